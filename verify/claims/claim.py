"""A claim of one's own: symbols, formula, assumptions and what its mean is measured on, in one short file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.matrices.expressions.matexpr import MatrixExpr

from theory import notation as nt
from theory.errors import ArgumentError, shown
from theory.statement import Counterexample, Statement

Array = NDArray[np.float64]
At: TypeAlias = dict[sp.Basic, Any]  # a point: the value of each symbol, and of the sizes d, n, B
Simulate: TypeAlias = Callable[[At, int, np.random.Generator], Any]
SIZES = (nt.d, nt.n, nt.B)
NAMED = sp.Symbol | sp.MatrixSymbol
_OWN: set[str] = set()  # names of symbols of claims
LEAST_SIZES = 3  # of a limit: two do not show a gap that keeps falling


@dataclass(frozen=True)
class Claim:
    """The mean of what is simulated is ``formula``.

    ``symbols`` says what varies, and how, in the order in which it is drawn: a matrix symbol with None (a
    generic one; a covariance if its letter is symmetric), a scalar with a range ``(low, high)`` or a number,
    either with an expression in the symbols before it.  The sizes d, n, and B where
    the claim names it, need no entry: they are drawn unequal.  A tuple of matrix symbols is None for each.

    ``definition`` is an expression, polynomial in Σ̂ = XXᵀ/n (``theory.notation.Sigma_hat``, x ~ N(0, Σ)),
    whose mean over prompts is claimed; it is derived, computed exactly and, without ``simulate``, sampled.
    ``simulate(at, size, rng)`` gives samples at a point (symbol → float, int or array; ``rng`` is NumPy's),
    of shape (size,) or (size, rows, columns) as the formula is.  ``derive()`` gives an expression that the
    formula has to equal, for a claim without a definition.

    ``limit`` is a size and three or more growing values of it: the formula is then the limit for that size
    → ∞.  ``condition`` is a relation of scalars under which the formula is claimed, ``corrected`` a formula
    to be held beside a wrong one, ``consequences`` what hangs on it.  ``delta`` is the relative tolerance to
    be established at the profile ``standard``, ``scale`` what it is relative to where the formula is 0.

    Raises :class:`ArgumentError` for what does not fit together.
    """

    title: str
    formula: Any
    symbols: Mapping[Any, Any] | tuple[Any, ...]
    definition: Any = None
    simulate: Simulate | None = None
    derive: Callable[[], Any] | None = None
    assumptions: tuple[str, ...] = ()
    left: Any = None
    limit: tuple[Any, tuple[int, ...]] | None = None
    condition: Any = None
    corrected: Any = None
    consequences: tuple[str, ...] = ()
    delta: float = 2e-2
    scale: float | None = None
    source: str = "Claim"
    specs: dict[sp.Basic, Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("formula", "definition", "left", "corrected"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, check_expression(name, given))
        object.__setattr__(self, "specs", _specs(self.symbols))
        if not isinstance(self.title, str) or not self.title.strip():
            raise ArgumentError(f"title={shown(self.title)}: must say in words what is claimed")
        if self.definition is None and self.simulate is None:
            raise ArgumentError(
                "simulate=None: must be a function, or definition= an expression in Sigma_hat"
            )
        for name in ("simulate", "derive"):
            if (function := getattr(self, name)) is not None and not callable(function):
                raise ArgumentError(f"{name}={shown(function)}: must be a function")
        for name in ("assumptions", "consequences"):
            if not isinstance(getattr(self, name), tuple):
                raise ArgumentError(f"{name}={shown(getattr(self, name))}: must be a tuple of texts")
        for name in ("delta", "scale"):
            number = getattr(self, name)
            if not (number is None and name == "scale") and not (
                isinstance(number, int | float) and 0 < number < np.inf
            ):
                raise ArgumentError(f"{name}={shown(number)}: must be positive and finite")
        self._check_limit()
        self._check_symbols()

    def _check_limit(self) -> None:
        if self.limit is None:
            return
        if not isinstance(self.limit, tuple) or len(self.limit) != 2:
            raise ArgumentError(
                f"limit={shown(self.limit)}: must be (size, growing values), as (d, (8, 16, 32))"
            )
        size, values = self.limit
        if size not in SIZES:
            raise ArgumentError(f"limit in {size}: must be in one of the sizes d, n, B of theory.notation")
        rising = all(isinstance(v, int) and v > 0 for v in values) and list(values) == sorted(set(values))
        if len(values) < LEAST_SIZES or not rising:
            raise ArgumentError(
                f"limit={shown(values)}: must be {LEAST_SIZES} or more rising positive integers"
            )

    def _check_symbols(self) -> None:
        known = {*self.specs, *SIZES}
        for name in ("formula", "definition", "corrected", "condition"):
            used = unknown_symbols(getattr(self, name)) - known
            used -= {nt.Sigma_hat} if name == "definition" else set()
            if used:
                names = ", ".join(sorted(str(s) for s in used))
                listed = ", ".join(map(str, self.specs))
                raise ArgumentError(f"symbols={listed}: {name} has {names} as well, which must be among them")
        if self.definition is not None and nt.Sigma not in self.specs:
            raise ArgumentError("symbols: Sigma must be among them, the covariance of definition= (I is one)")
        if self.condition is not None and not isinstance(self.condition, sp.Rel):
            raise ArgumentError(
                f"condition={shown(self.condition)}: must be a relation of scalars, as Le(B, d)"
            )

    def sizes(self) -> set[sp.Basic]:
        """Those of d, n, B that a point has: d and n, and B where the claim names it."""
        named = [self.formula, self.definition, self.corrected, self.condition, *self.specs]
        named += [spec for spec in self.specs.values() if isinstance(spec, sp.Basic)]
        return {nt.d, nt.n, *set().union(*map(unknown_symbols, named), *map(_shape_symbols, self.specs))} & {
            *SIZES
        }

    def inverts(self) -> bool:
        """Whether a matrix is inverted, so that no covariance may be singular."""
        given = (e for e in (self.formula, self.corrected, *self.specs.values()) if isinstance(e, sp.Basic))
        nodes = (node for one in given for node in sp.preorder_traversal(one))
        return any(isinstance(node, sp.Inverse | sp.MatPow) and node.exp.is_negative for node in nodes)

    def statement(self, id: str, counterexample: Counterexample | None = None) -> Statement:
        """The claim as a statement of the ledger; ``counterexample`` as found."""
        printed, corrected = (None if f is None else self._printed(f) for f in (self.formula, self.corrected))
        assert printed is not None
        return Statement(
            id,
            self.source,
            self.title,
            printed,
            corrected=corrected,
            assumptions=self.assumptions,
            condition=_words(self.condition),
            counterexample=None if counterexample is None else lambda: counterexample,
            consequences=self.consequences,
        )

    def _printed(self, formula: sp.Basic) -> sp.Basic:
        left = self.left
        if left is None and self.definition is not None:
            matrix = isinstance(self.definition, MatrixExpr)
            left = nt.MatrixExpectation(self.definition) if matrix else nt.Expectation(self.definition, "X")
        left = sp.Symbol(r"\mathbb{E}\,[\text{simulated}]") if left is None else left
        return (
            nt.Chain(left, formula) if self.limit is None else nt.Tends(left, self.limit[0], sp.oo, formula)
        )


def matrix(name: str, rows: Any, cols: Any, latex: str, symmetric: bool = False) -> sp.MatrixSymbol:
    """A matrix symbol of one's own, rows × cols in d, n, B or integers; ``symmetric``: a covariance.

    Raises :class:`ArgumentError` for a name that the paper's notation has.
    """
    _take(name)
    return nt.matrix(name, rows, cols, latex, symmetric)


def scalar(name: str, latex: str, **assumptions: bool) -> sp.Symbol:
    """A scalar symbol of one's own that prints as ``latex``; SymPy's assumptions, as ``positive=True``.

    Raises :class:`ArgumentError` for a name that the paper's notation has.
    """
    _take(name)
    return nt.scalar_symbol(name, latex, **assumptions)


def _take(name: str) -> None:
    """Claims may share a name, each with its own meaning; the paper's names keep theirs."""
    if name not in _OWN and name in {s.name for s in vars(nt).values() if isinstance(s, NAMED)} | {
        *nt.LETTERS
    }:
        raise ArgumentError(f"name={shown(name)}: must be a name that theory.notation does not have")
    _OWN.add(name)


def unknown_symbols(expression: Any) -> set[sp.Basic]:
    """The symbols of ``expression`` that need a value."""
    return set() if expression is None else set(expression.free_symbols)


def _shape_symbols(symbol: sp.Basic) -> set[sp.Basic]:
    return set().union(*(size.free_symbols for size in getattr(symbol, "shape", ())))


def check_expression(name: str, given: Any) -> sp.Basic:
    """``given`` as a SymPy expression, scalar or matrix; else raises :class:`ArgumentError`."""
    try:
        found = sp.sympify(given)
    except (sp.SympifyError, TypeError, ValueError):
        found = None
    if isinstance(given, str) or not isinstance(found, sp.Expr | MatrixExpr | nt.Column | nt.Blocks):
        raise ArgumentError(f"{name}={shown(given)}: must be a SymPy expression")
    return found


def _specs(given: Any) -> dict[sp.Basic, Any]:
    """``symbols`` as a dict, each entry of a kind that can be drawn."""
    if not isinstance(given, Mapping):
        if not isinstance(given, tuple):
            raise ArgumentError(f"symbols={shown(given)}: must be a dict, or a tuple of matrix symbols")
        given = dict.fromkeys(given)
    for symbol, spec in given.items():
        if not isinstance(symbol, sp.Symbol | sp.MatrixSymbol):
            raise ArgumentError(f"symbols has {shown(symbol)}: must be a symbol of SymPy")
        if spec is None:
            if isinstance(symbol, sp.Symbol) and symbol not in SIZES:
                raise ArgumentError(
                    f"symbols: {symbol} must have a range (low, high), a value or an expression"
                )
        elif isinstance(spec, tuple):
            numbers = len(spec) == 2 and all(isinstance(x, int | float) for x in spec)
            if isinstance(symbol, sp.MatrixSymbol) or not numbers or not spec[0] < spec[1]:
                raise ArgumentError(
                    f"symbols: {symbol} has {shown(spec)}, must be (low, high) with low < high"
                )
            if symbol.is_integer and not all(isinstance(x, int) for x in spec):
                raise ArgumentError(f"symbols: {symbol} has {shown(spec)}, must have whole ends")
            if symbol.is_positive and not spec[0] > 0:
                raise ArgumentError(f"symbols: {symbol} has {shown(spec)}, must have positive ends")
        else:
            check_expression(f"symbols[{symbol}]", spec)
    return dict(given)


def _words(condition: Any) -> str:
    if condition is None:
        return ""
    text = sp.sstr(condition)
    for sign, better in (("<=", "≤"), (">=", "≥"), ("**", "^"), ("*", "·")):
        text = text.replace(sign, better)
    return text
