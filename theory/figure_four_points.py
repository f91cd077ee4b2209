"""Figure 4 in rationals: many prompts at any n, few at long ones, one direction update by update.

Σ₀ is 1/10 on a fifth of the coordinates and 1 on the others, as printed.  Δ is made of groups of five
coordinates, one of them where Σ₀ is small: 11ᵀ in each has Δ_ii = 1 for every i and rank d/5; e₁e₁ᵀ is the
projection on the coordinates where Σ₀ is small.  Notes: ``notes/figure_four.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import exact
from theory import os_finite_points as proportional
from theory import risk_in_q as rq
from theory.allocation_points import n
from theory.os_finite_points import outcome_slope
from theory.statement import Counterexample

R = sp.Rational
ONE = sp.Integer(1)
LOW, ETA = R(1, 10), R(1, 5)
GROUP = sp.diag(LOW, 1, 1, 1, 1)  # Σ₀
ONES, FIRST = sp.ones(5, 5), sp.diag(1, 0, 0, 0, 0)  # Δ

# Many prompts -------------------------------------------------------------------------------------------


def many_prompts(
    Delta: sp.Matrix,
    eta: sp.Rational,
    groups: int,
    post: sp.Expr = n,
    others: sp.Expr = n,
) -> sp.Expr:
    """The test error, by (5.1), of Ṽ_∞ (4.2) for prompts from Δ: a rational function of n.

    ``Delta`` (5, 5) of rank 1 is that of each of ``groups`` groups; ``post`` is the length of the
    post-training prompts, ``others`` that of the pretraining and of the test prompts.  η = 1 is outcome
    supervision at k = 1.
    """
    level = Delta.trace()
    P, Sigma = Delta / level, GROUP + Delta
    start = ((1 + 1 / others) * GROUP + groups * GROUP.trace() / others * sp.eye(5)).inv()
    V = -eta / ((1 + 1 / post) * level + groups * level / post) * P - start * (sp.eye(5) - P)
    spread = (V * Sigma * Sigma * V.T).trace() + groups * Sigma.trace() * (V * Sigma * V.T).trace()
    risk = exact.frobenius_squared(sp.eye(5) + V * Sigma) + spread / others
    return sp.cancel(sp.together(groups * risk))


@cache
def course(error: sp.Expr, first: int = 1) -> tuple[int, ...]:
    """The signs of the slope of a rational function of n from ``first`` on, in order, by Sturm's theorem.

    Raises ``ArithmeticError`` for one that turns more than once.
    """
    top, bottom = (sp.Poly(x, n) for x in sp.fraction(error))
    slope = sp.Poly(top.diff(n) * bottom - top * bottom.diff(n), n, domain="QQ")
    ends = int(sp.sign(slope.eval(first))), int(sp.sign(slope.LC()))
    turns = int(slope.count_roots(first, None))
    if turns == 0:
        return ends[:1]
    if turns > 1 or ends[0] == ends[1]:
        raise ArithmeticError(f"{turns} turning points, slopes {ends} at the ends")
    return ends


def longer_prompts_alone() -> Counterexample:
    """d = 100: the length of the post-training prompts alone."""
    error = many_prompts(ONES, ETA, 20, others=sp.Integer(200))
    return Counterexample(
        "d=100, Δ=11ᵀ in each five coordinates, η=1/5, B→∞, pretraining and test n=200: does the error rise "
        "with n of post-training anywhere from n=1 on?",
        sp.true,
        sp.sympify(1 in course(error)),
    )


def longer_is_worse() -> Counterexample:
    """d = 5, k = 1: one n."""
    error = many_prompts(ONES, ONE, 1)
    short, long = (error.subs(n, length) for length in (18, 28))
    return Counterexample(
        f"d=5, Δ=11ᵀ, k=1, B→∞: is the error {sp.N(long, 4)} at n=28 below {sp.N(short, 4)} at n=18?",
        sp.true,
        sp.sympify(bool(long < short)),
    )


# Few prompts --------------------------------------------------------------------------------------------


@cache
def few_long_prompts() -> tuple[sp.Expr, sp.Expr]:
    """c₁, c₂ of the error c₁ + c₂/(B − 2) of (4.1), B ≥ 3: d = 2, Σ₀ = diag(1/10, 1), Δ = 11ᵀ, n → ∞.

    There S = 11ᵀ, and (4.1) depends on the prompts through z = Σuδ/Σu² alone, u = w₁ + w₂, δ = w₁ − w₂.
    The mean of the errors at z and −z is c₁ + c₂z², and E z² = E 2/Σu² = 1/(B − 2), as u and δ are
    independent and of variance 2.
    """
    levels = []
    for tasks in ([(1, 1)], [(1, 0)], [(2, 1), (1, -1), (0, 3)]):
        mean = (_long_prompts(tasks) + _long_prompts([(b, a) for a, b in tasks])) / 2
        z = R(sum(a * a - b * b for a, b in tasks), sum((a + b) ** 2 for a, b in tasks))
        levels.append((z**2, mean))
    (_, c1), (at, high), (y, other) = levels
    c2 = (high - c1) / at
    if levels[0][0] != 0 or c1 + c2 * y != other:
        raise ArithmeticError(f"errors {levels}: expected to be linear in z²")
    return c1, c2


def _long_prompts(tasks: list[tuple[int, int]]) -> sp.Expr:
    """‖I + Ṽ_*Σ‖² at S = 11ᵀ."""
    prompts = [(sp.ones(2, 1), sp.Matrix(w)) for w in tasks]
    V = exact.fixed_point(*exact.stack(prompts), sp.diag(LOW, 1), ETA)
    return exact.frobenius_squared(sp.eye(2) + V * (sp.diag(LOW, 1) + sp.ones(2, 2)))


def only_falls_at_the_minimum() -> Counterexample:
    """Figure 4(a) at the minimiser (4.1): whether the error rises with B at all."""
    c1, c2 = few_long_prompts()
    return Counterexample(
        f"d=2, Σ₀=diag(1/10,1), Δ=11ᵀ, n→∞, η=1/5, the minimiser (4.1): error {c1} + ({c2})/(B−2); does it "
        "rise with B anywhere?",
        sp.true,
        sp.sympify(bool(c2 < 0)),
    )


def more_prompts_at_the_minimum() -> Counterexample:
    """k = 1 in proportion, Δ the projection: B = 5 and 15 at d = n = 100, rank Δ = 20."""
    few, more = (rq.at_beta(proportional.figure_four(1), B) for B in (R(1, 20), R(3, 20)))
    return Counterexample(
        f"k=1, Δ a projection, d=n=100 in proportion, the minimum: is the error {sp.N(more, 4)} d at B=15 "
        f"below {sp.N(few, 4)} d at B=5?",
        sp.true,
        sp.sympify(bool(more < few)),
    )


# Update by update ---------------------------------------------------------------------------------------

PROMPT = [(sp.ones(1, 1), sp.ones(1, 1))]  # d = 1, S = w* = 1
START = sp.Matrix([[-1 / LOW]])  # −Γ₀⁻¹, n → ∞


def error_of(V: sp.Matrix) -> sp.Expr:
    """(1 + Ṽ(Σ₀ + Δ))²: one step on a long prompt."""
    return (1 + V[0] * (LOW + 1)) ** 2


def tuned(updates: int, eta: sp.Rational = ETA, k: int = 1) -> list[sp.Expr]:
    """Errors after 0, 1, … ``updates`` gradient steps of 1/4 in Ṽ on L_SFT, W̃ = 1, from the full model."""
    V, found = START, [error_of(START)]
    for _ in range(updates):
        V = V - exact.supervised_gradient(PROMPT, V, eta, k)[0] / 4
        found.append(error_of(V))
    return found


def supervised(updates: int, k: int) -> list[sp.Expr]:
    """The same on L_OS, the step half of the one that takes 1 + Ṽ at the start to 0."""
    V, found = START, [error_of(START)]
    step = 1 / (2 * k * (1 + START[0]) ** (2 * k - 2))
    for _ in range(updates):
        V = V - step * outcome_slope(PROMPT, V, k)
        found.append(error_of(V))
    return found
