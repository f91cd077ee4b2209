"""Where a claim is put to the test: generic points in float64, and small exact ones, the simplest first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from theory import notation as nt
from theory.errors import ArgumentError
from verify.checks.points import block, covariance, rational
from verify.claims.claim import SIZES, At, Claim
from verify.surface import value

POINTS = 4
TRIED = 200  # points that are drawn for a condition to be met, and to be missed
# Unequal sizes (d, n, B), in several orders: a formula that mistakes one for another fails at one of them.
SHAPES = ((3, 2, 4), (2, 3, 5), (4, 6, 2), (3, 5, 1))
BLOCKS = (0.45, 0.25, 0.6, 0.35)  # sizes of square matrices: terms of unlike degrees are told apart
SMALL = ((1, 1, 1), (1, 1, 2), (2, 1, 1), (1, 2, 1), (2, 2, 1))
NORMALS = 4  # n · d, up to which the exact mean of a polynomial in the prompt takes no time


def entry(at: At, symbol: sp.Basic, expression: Any, exact: bool) -> Any:
    """An expression in what is known; the whole number next to it for an integer."""
    found = value(expression, at)
    if isinstance(symbol, sp.MatrixSymbol):
        return found if exact else np.asarray(found, dtype=float)
    if symbol.is_integer:
        return sp.Integer(round(found)) if exact else max(1, round(float(found)))
    return sp.sympify(found) if exact else float(found)


def sizes(claim: Claim, shape: tuple[int, ...], fixed: At, exact: bool) -> At:
    """The sizes that the claim has and that no expression gives; ``fixed`` ones first."""
    whole = sp.Integer if exact else int
    return {
        size: whole(fixed.get(size, default))
        for size, default in zip(SIZES, shape, strict=True)
        if size in fixed or (claim.specs.get(size) is None and size in claim.sizes())
    }


def rational_entries(spec: Any) -> sp.Basic:
    """An expression with its decimals as the fractions that they are written as."""
    found = sp.sympify(spec)
    return found.xreplace({x: sp.Rational(str(x)) for x in found.atoms(sp.Float)})


def point(claim: Claim, j: int, seed: int, fixed: At | None = None) -> At:
    """The j-th generic point: asymmetric matrices, unequal sizes, a singular covariance where j mod 4 = 2 and
    the claim inverts none.

    ``fixed`` are values of scalars and sizes that replace the drawn ones.
    """
    fixed, rng = fixed or {}, np.random.default_rng((seed, j))
    singular = j % POINTS == 2 and not claim.inverts()
    at = sizes(claim, SHAPES[j % len(SHAPES)], fixed, exact=False)
    # Ranges first: an expression or a shape may depend on any of them.
    for symbol, spec in claim.specs.items():
        if isinstance(spec, tuple):
            low, high = spec
            drawn = rng.integers(low, high + 1) if symbol.is_integer else rng.uniform(low, high)
            at[symbol] = fixed.get(symbol, int(drawn) if symbol.is_integer else float(drawn))
    for place, (symbol, spec) in enumerate(claim.specs.items()):
        if symbol in at:
            continue
        if spec is not None:
            at[symbol] = entry(at, symbol, spec, exact=False)
            continue
        rows, cols = (int(value(size, at)) for size in symbol.shape)
        key = (seed + 101 * j + 17 * place) % 2**32
        if nt.letter_of(symbol).symmetric:
            at[symbol] = covariance(rows, key, rows - 1 if singular and rows > 1 else None)
        elif rows == cols:
            at[symbol] = block(rows, key, BLOCKS[j % len(BLOCKS)])
        else:
            at[symbol] = np.random.default_rng(key).normal(size=(rows, cols))
    return at


def evaluated(formula: Any, at: At) -> Any:
    """The formula at a point; :class:`ArgumentError` where it has no value, as a division by zero."""
    try:
        return value(formula, at)
    except ArgumentError:
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        where = f"formula has no value at {label(at)} ({why})"
        raise ArgumentError(f"{where}: must have one wherever it is claimed") from None


def meets(claim: Claim, at: At) -> bool:
    """Whether the claim's condition holds at a point; True where it has none."""
    if claim.condition is None:
        return True
    scalars = {s: v for s, v in at.items() if isinstance(s, sp.Symbol)}
    found = claim.condition.subs(scalars)
    if found not in (sp.true, sp.false):
        raise ArgumentError(
            f"condition={claim.condition}: must be a relation of scalars, is {found} at a point"
        )
    return bool(found)


def points(claim: Claim, seed: int, inside: bool = True) -> list[At]:
    """:data:`POINTS` generic points at which the condition holds, or at which it does not.

    Raises :class:`ArgumentError` where none is found.
    """
    found: list[At] = []
    for j in range(TRIED):
        at = point(claim, j, seed)
        if meets(claim, at) == inside:
            found.append(at)
        if len(found) == POINTS:
            return found
    if not found:
        verb = "holds" if inside else "fails"
        raise ArgumentError(
            f"condition={claim.condition}: must be one that {verb} at some of {TRIED} points drawn"
        )
    return found


@dataclass(frozen=True)
class ExactPoint:
    """Rational values for the symbols, and a root L of each drawn covariance LLᵀ."""

    at: At
    roots: dict[sp.Basic, sp.Matrix]

    @property
    def label(self) -> str:
        """The point in words, as in a report."""
        return label(self.at)


def exact_points(claim: Claim, inside: bool = True) -> Iterator[ExactPoint]:
    """Small rational points at which the condition holds, or does not: d = n = 1 and all else 1 at first."""
    for j, shape in enumerate(SMALL):
        found = _exact(claim, j, shape)
        if meets(claim, found.at) == inside and found.at[nt.d] * found.at[nt.n] <= NORMALS:
            yield found


def _exact(claim: Claim, j: int, shape: tuple[int, ...]) -> ExactPoint:
    at, roots = sizes(claim, shape, {}, exact=True), {}
    for symbol, spec in claim.specs.items():
        if isinstance(spec, tuple):
            at[symbol] = _rational(symbol, spec, j)
    for symbol, spec in claim.specs.items():
        if symbol in at:
            continue
        if spec is not None:
            at[symbol] = entry(at, symbol, rational_entries(spec), exact=True)
            continue
        rows, cols = (int(value(size, at)) for size in symbol.shape)
        drawn = sp.ones(rows, cols) if j == 0 else rational(rows, cols, f"{symbol}{j}")
        if nt.letter_of(symbol).symmetric:
            if j == len(SMALL) - 1 and rows > 1 and not claim.inverts():
                drawn[:, -1] = sp.zeros(rows, 1)  # singular
            roots[symbol] = drawn
            drawn = drawn * drawn.T
        at[symbol] = drawn
    return ExactPoint(at, roots)


def _rational(symbol: sp.Symbol, spec: tuple[float, float], j: int) -> sp.Rational:
    """1 where the range has it, at first; then fractions of the range, whole numbers from its lower end."""
    low, high = (sp.Rational(str(x)) for x in spec)
    if symbol.is_integer:
        return sp.Integer(min(math.floor(high), math.ceil(low) + j))
    if j == 0 and low <= 1 <= high:
        return sp.Integer(1)
    return low + (high - low) * sp.Rational(2 * j + 1, 2 * len(SMALL) + 1)


def label(at: At) -> str:
    """A point in words: scalars, exact and 1 × 1 matrices by their entries, singular covariances by rank."""
    parts = []
    for symbol, found in at.items():
        if not isinstance(symbol, sp.MatrixSymbol):
            parts.append(f"{symbol}={found:.4g}" if isinstance(found, float) else f"{symbol}={found}")
        elif np.size(found) == 1:
            entry = np.ravel(found)[0]
            parts.append(f"{symbol}={entry}" if isinstance(entry, sp.Basic) else f"{symbol}={entry:.3g}")
        elif isinstance(found, sp.MatrixBase):
            parts.append(f"{symbol}={found.tolist()}")
        elif nt.letter_of(symbol).symmetric and (rank := np.linalg.matrix_rank(found)) < len(found):
            parts.append(f"{symbol} of rank {rank}")
    return ", ".join(parts)
