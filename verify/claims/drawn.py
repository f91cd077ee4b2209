"""The definition of a claim at exact points that hypothesis draws, down to the simplest at which it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import sympy as sp
from hypothesis import assume
from hypothesis import strategies as st

from theory import notation as nt
from verify.checks.generated import EXACT, Equality, generated
from verify.claims.claim import SIZES, At, Claim
from verify.claims.points import NORMALS, ExactPoint, entry, evaluated, meets, rational_entries, sizes
from verify.claims.symbolic import actual, same
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.strategies import rational_covariances
from verify.surface import value

Draw = Callable[[st.SearchStrategy[Any]], Any]
SHAPES = ((1, 2), (1, 3), (2, 1), (3, 1))  # (d, n), nd ≤ 3: exact means take a hundredth of a second


@st.composite
def exact_points(draw: Draw, claim: Claim, inside: bool) -> ExactPoint:
    """Small rational points on one side of the claim's condition; sizes that it gives are its own."""
    d, n = draw(st.sampled_from(SHAPES))
    at: At = sizes(claim, (d, n, draw(st.integers(1, 3))), {}, exact=True)
    for symbol, spec in claim.specs.items():
        if isinstance(spec, tuple):
            low, high = (Fraction(str(x)) for x in spec)
            if symbol.is_integer:
                at[symbol] = sp.Integer(draw(st.integers(int(low), min(int(high), int(low) + 2))))
            else:
                at[symbol] = sp.Rational(str(low + (high - low) * Fraction(draw(st.integers(0, 8)), 8)))
    roots = {}
    for symbol, spec in claim.specs.items():
        if symbol in at:
            continue
        if spec is not None:
            at[symbol] = entry(at, symbol, rational_entries(spec), exact=True)
            continue
        rows, cols = (int(value(size, at)) for size in symbol.shape)
        if nt.letter_of(symbol).symmetric:
            kinds = ("distinct", "tied") if claim.inverts() else ("distinct", "tied", "singular")
            roots[symbol], at[symbol] = draw(rational_covariances(rows, *kinds))
        else:
            entries = draw(st.lists(st.integers(-3, 3), min_size=rows * cols, max_size=rows * cols))
            at[symbol] = sp.Matrix(rows, cols, entries)
    assume(meets(claim, at) == inside and all(at.get(size, 1) > 0 for size in SIZES))
    return ExactPoint(at, roots)


def small(claim: Claim) -> bool:
    """Whether every point that could be drawn has an exact mean that takes no time."""
    most = []
    for size in (nt.d, nt.n):
        spec = claim.specs.get(size)
        if isinstance(spec, tuple):
            most.append(min(spec[1], spec[0] + 2))
        elif spec is not None:
            most.append(spec if isinstance(spec, int) else NORMALS + 1)
    return len(most) == 0 or (len(most) == 2 and most[0] * most[1] <= NORMALS)


def evidence(claim: Claim, formula: Any, form: str, profile: Profile) -> Evidence:
    """The formula against the mean of the definition, both exact, at a quarter of the profile's examples."""

    def compare(point: ExactPoint) -> Equality:
        return Equality(same(evaluated(formula, point.at), actual(claim, point)))

    fewer = replace(profile, examples=profile.examples // 4)
    return generated(compare, exact_points(claim, form != "outside"), EXACT, fewer, form)
