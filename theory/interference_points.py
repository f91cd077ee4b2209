"""Where the claims of Section 5.2 fail, in exact arithmetic, and the settings of its figures.

Figures 1 and 2: d = 400, m = 200, ρ = 0.1, so n/d = 1, 2, 3 for n = 400, 800, 1200.  η is not given; η = 1/5,
that of Figure 5, is used where nothing is said.  Notes: ``notes/interference.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import risk_in_q as rq
from theory.risk_in_q import Blocks, two_blocks
from theory.statement import Counterexample

R = sp.Rational
ETA = R(1, 5)
PANELS = (R(0), R(1, 100), R(1, 10))  # r of Figures 1 and 2, a to c
LENGTHS = (1, 2, 3)  # n/d
# By hand: m/d = 1/2, ρ = 1, η = 1, n = d, so A = diag(2, r), Σ₀ = I, Σ = diag(2, 1).
HAND = "m/d=1/2, ρ=1, η=1, n=d"


def figure(r: sp.Rational, length: object, eta: sp.Rational = ETA) -> Blocks:
    """A panel of Figures 1 and 2; ``length`` is n/d, or those of post-training, pretraining and test."""
    return two_blocks(r, length, eta)


def by_hand(r: sp.Rational) -> Blocks:
    """Two equal blocks at ρ = η = γ = 1 with the level ``r`` on U^⊥: small enough for a pencil."""
    return two_blocks(r, sp.Integer(1), sp.Integer(1), sp.Integer(1))


def best_is_not_zero() -> Counterexample:
    """r = 0 against r = η, both at B → ∞."""
    zero, matched = rq.floor(by_hand(R(0))), rq.floor(by_hand(R(1)))
    return Counterexample(
        f"{HAND}: least of the risks over d at B → ∞ for r = 0 and r = 1",
        zero,
        min(zero, matched),
    )


def weaker_and_worse() -> Counterexample:
    """r = η against 4η: more r, more risk."""
    small, large = rq.floor(by_hand(R(1))), rq.floor(by_hand(R(4)))
    return Counterexample(
        f"{HAND}: is the risk over d at B → ∞, {small} at r = 1 and {large} at r = 4, less at the larger r?",
        sp.true,
        sp.sympify(bool(large < small)),
    )


@cache
def better_without_end(r: sp.Rational, length: int, eta: sp.Rational = ETA) -> bool:
    """Whether every B below the spike has more risk than B → ∞, by Sturm's theorem."""
    of = figure(r, length, eta)
    return rq.above(of, rq.floor(of))


def large_sets_win() -> Counterexample:
    """Figure 1(c), n = 400: no B < d comes down to the risk at B → ∞."""
    of = figure(R(1, 10), 1)
    return Counterexample(
        "d=400, m=200, n=400, ρ=1/10, η=1/5, r=1/10: is the risk over d of some B < d below "
        f"{rq.floor(of)}, that of B → ∞?",
        sp.true,
        sp.sympify(not better_without_end(R(1, 10), 1)),
    )


def above_optimum_fails() -> Counterexample:
    """Figure 1(b), n = 400."""
    of = figure(R(1, 100), 1)
    return Counterexample(
        "d=400, m=200, n=400, ρ=1/10, η=1/5, r=1/100: is the risk at B → ∞, "
        f"{sp.N(rq.floor(of), 6)} d, above the least below the spike?",
        sp.true,
        sp.sympify(not better_without_end(R(1, 100), 1)),
    )


def only_rises_where_plotted() -> Counterexample:
    """Figure 1(a), n = 400: the turning point lies left of B = 50, where the plot begins."""
    low, _ = rq.turning_beta(figure(R(0), 1))
    return Counterexample(
        "d=400, m=200, n=400, ρ=1/10, r=0: is the turning point at or right of B = 50, the first plotted?",
        sp.true,
        sp.sympify(bool(low * 400 >= 50)),
    )


def no_turn_in_length() -> Counterexample:
    """Figure 2(c), B = 300: the risk falls from n = 300 to 600 to 1000 and is still falling there."""
    values = [rq.at_beta(figure(R(1, 10), R(n, 400)), R(3, 4)) for n in (600, 800, 1000)]
    return Counterexample(
        "d=400, B=300, r=1/10: does the risk rise anywhere between n = 600, 800 and 1000?",
        sp.true,
        sp.sympify(bool(values[1] > values[0]) or bool(values[2] > values[1])),
    )
