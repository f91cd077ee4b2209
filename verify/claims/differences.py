"""Where and how a claim fails: a factor that would mend it, and the border of what it holds for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.statement import Counterexample
from verify.claims import symbolic
from verify.claims.claim import SIZES, At, Claim
from verify.claims.measured import compare, mean, predicted, scales
from verify.claims.points import SHAPES, label, meets, point
from verify.profiles import Profile

Array = NDArray[np.float64]
DENOMINATOR = 12  # of the fractions that a factor is named by
GRID, HALVINGS = 9, 5
BASES = 3  # settings of the other symbols at which a border in a whole number is looked for
ROUNDING = 1e-9  # of exact values that are compared as floats
EXACT = 1e-6  # a factor known to this is known exactly, or not simple
MOST_VALUES = 16  # of a whole number that are all tried


def _ratios(true: Array, half: Array, base: Array) -> tuple[float, float]:
    """The interval that all ratios true/base lie in, empty (low > high) where they differ."""
    if (np.abs(base) <= 1e-9 * np.abs(base).max(initial=1e-300)).any():
        return np.inf, -np.inf  # 0 times a factor is 0
    low, high = (true - half) / base, (true + half) / base
    return float(np.minimum(low, high).max()), float(np.maximum(low, high).min())


def _named(low: float, high: float) -> str:
    """The simplest fraction of the interval, beside its middle; the middle alone where there is none."""
    middle, half = (low + high) / 2, (high - low) / 2
    for denominator in range(1, DENOMINATOR + 1):
        nearest = Fraction(round(middle * denominator), denominator)
        if low <= nearest <= high:
            return f"{nearest}" if half < EXACT else f"{middle:.3f} ± {half:.3f} ({nearest}?)"
    return f"{middle:.3f} ± {half:.3f}" if half >= EXACT else f"{middle:.6g}"


def factor(claim: Claim, formula: Any, at: Sequence[At], seed: int, profile: Profile) -> list[str]:
    """Whether one factor on the whole formula, or on one of its terms, makes it right.

    It has to be the same at all points: exactly at the small ones where the truth is known there, else within
    the intervals of what is measured at ``at``.  Every factor that passes is named.
    """
    if exact := symbolic.true_values(claim):
        at, word = [one.at for one, _ in exact], "true"
        means = np.concatenate([np.asarray(true, dtype=float).ravel() for _, true in exact])
        half = ROUNDING * np.abs(means)
    else:
        found = [mean(claim, one, seed + j, profile, profile.alpha / len(at)) for j, one in enumerate(at)]
        means, half = (np.concatenate(parts) for parts in zip(*found, strict=True))
        word = "measured"
    whole = np.concatenate([predicted(formula, one) for one in at])
    where = f"at all {len(at)} points"
    lines = []
    low, high = _ratios(means, half, whole)
    if low <= high:
        lines.append(f"{word}/printed = {_named(low, high)} {where}: wrong by a factor")
    for term in sp.Add.make_args(sp.expand(formula)) if isinstance(formula, sp.Add) else ():
        part = np.concatenate([predicted(term, one) for one in at])
        low, high = _ratios(means - (whole - part), half + ROUNDING * np.abs(whole), part)
        if low <= high:
            lines.append(f"a factor {_named(low, high)} on the term {sp.sstr(term)} mends it {where}")
    if lines:
        return lines
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = means / whole
    return [
        f"{word}/printed from {ratios.min():.3g} to {ratios.max():.3g} at {len(at)} points: no factor will do"
    ]


def measured_counterexample(
    claim: Claim, formula: Any, inside: bool, seed: int, profile: Profile
) -> Counterexample | None:
    """The point of least sizes at which the measured mean is not the formula's value.

    For what no exact value is known of: the mean is that of a sample, its half width in the words.
    """
    if claim.limit is not None:
        return None  # at any one size a limit may be missed
    shapes = sorted((*product(range(1, 4), repeat=3), *SHAPES), key=sum)
    for sizes in dict.fromkeys(tuple(_in_range(claim, shape).items()) for shape in shapes):
        at = point(claim, 0, seed, dict(sizes))
        if meets(claim, at) != inside:
            continue
        expected = predicted(formula, at)
        found, half = mean(claim, at, seed, profile, profile.alpha)
        off = np.abs(found - expected) - half
        worst = int(off.argmax())
        if off[worst] > 1e-9 * scales(claim, expected)[worst]:
            words = f"{label(at)}, a sampled mean ± {half[worst]:.1g}"
            return Counterexample(words, sp.Float(expected[worst], 5), sp.Float(found[worst], 5))
    return None


def _in_range(claim: Claim, shape: tuple[int, ...]) -> At:
    """The shape's sizes, moved into the claim's ranges; without those that it gives otherwise."""
    found: At = {}
    for size, wanted in zip(SIZES, shape, strict=True):
        spec = claim.specs.get(size)
        if isinstance(spec, tuple):
            found[size] = int(min(max(wanted, spec[0]), spec[1]))
        elif spec is None and size in claim.sizes():
            found[size] = wanted
    return found


def borders(claim: Claim, formula: Any, seed: int, profile: Profile) -> Iterator[str]:
    """For each scalar with a range: where the claim begins or ceases to hold as it alone varies."""
    for symbol, spec in claim.specs.items():
        if not isinstance(spec, tuple) or (claim.limit is not None and symbol == claim.limit[0]):
            continue
        lines = []
        for base in range(BASES if symbol.is_integer else 1):
            rest = {s: v for s, v in point(claim, base, seed).items() if s != symbol}
            drawn = {s for s in rest if claim.specs.get(s) is None or isinstance(claim.specs[s], tuple)}
            fixed = {s: v for s, v in rest.items() if s in drawn and isinstance(s, sp.Symbol)}
            line = _border(symbol, spec, _tester(claim, formula, symbol, fixed, base, seed, profile))
            if line:
                others = label({s: v for s, v in rest.items() if s in drawn})
                lines.append(f"{line} (at {others})" if others else line)
        yield from dict.fromkeys(lines)


def _tester(
    claim: Claim, formula: Any, symbol: sp.Symbol, fixed: At, base: int, seed: int, profile: Profile
) -> Callable[[Any], str]:
    def outcome(number: Any) -> str:
        at = {**fixed, symbol: number}
        if claim.limit is not None:
            size, values = claim.limit
            at[size] = values[-1]
        return compare(claim, formula, [point(claim, base, seed, at)], seed + 1, profile).outcome

    return outcome


def _border(symbol: sp.Symbol, spec: tuple[Any, Any], outcome: Callable[[Any], str]) -> str | None:
    """The border in words; None where the outcome is the same all over the range."""
    low, high = spec
    if symbol.is_integer:
        grid = sorted({round(x) for x in np.linspace(low, high, min(MOST_VALUES, high - low + 1))})
    else:
        grid = [float(x) for x in np.linspace(low, high, GRID)]
    found = {number: outcome(number) for number in grid}
    if set(found.values()) <= {"differs", "undecided"} or set(found.values()) <= {"agrees", "undecided"}:
        return None
    turns = [(a, b) for a, b in pairwise(grid) if found[a] != found[b]]
    pieces = []
    for a, b in turns:
        if "undecided" not in (found[a], found[b]):
            a, b = _narrowed(a, b, found[a], bool(symbol.is_integer), outcome)
        pieces.append((a, b))
    if len(pieces) == 1:
        (a, b), (start, end) = pieces[0], (found[grid[0]], found[grid[-1]])
        low_words, high_words = f"{symbol} ≤ {a:.4g}", f"from {b:.4g} on"
        return f"{start} for {low_words}, {end} {high_words}"
    runs = ", ".join(f"{number:.4g} {found[number]}" for number in grid)
    return f"in {symbol}: {runs}"


def _narrowed(a: Any, b: Any, left: str, whole: bool, outcome: Callable[[Any], str]) -> tuple[Any, Any]:
    """Two values nearer to each other with the outcome ``left`` at the first and another at the second.

    An undecided value between them is left there: the border is somewhere within what remains.
    """
    for _ in range(HALVINGS):
        middle = (a + b) // 2 if whole else (a + b) / 2
        if middle in (a, b):
            break
        found = outcome(middle)
        if found == "undecided":
            break
        a, b = (middle, b) if found == left else (a, middle)
    return a, b
