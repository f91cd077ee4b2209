"""Figure 4's setting as blocks, and small points in rationals: minima of the outcome loss on few prompts.

Figure 4: d = 100, Σ₀ = 0.1 on the first d/5 directions and 1 on the others, Δ the identity on the first d/5,
Σ = Σ₀ + Δ, prompts from Δ.  Neither n nor the place of Δ's block is printed: n = d, 2d, 4d is used, and the
block where Σ₀ is small.  Notes: ``notes/os_finite.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import exact
from theory.finetuning import Prompts
from theory.risk_in_q import Blocks

R = sp.Rational
LENGTHS = (1, 2, 4)  # n/d


def figure_four(length: object) -> Blocks:
    """Fine-tuning at η = 1 in the setting of Figure 4, n = ``length``·d for all prompts."""
    ratio = 1 / sp.sympify(length)
    one, zero = sp.Integer(1), sp.Integer(0)
    return Blocks(
        (R(1, 5), R(4, 5)), (one, zero), (R(1, 10), one), (R(11, 10), one), one, ratio, ratio, ratio
    )


def outcome_slope(prompts: Prompts, block: sp.Matrix, k: int) -> sp.Matrix:
    """∂L_OS/∂Ṽ at W̃ = I and Ṽ = ``block``, entry by entry from the loss along each direction."""
    t = sp.Symbol("t")
    d = block.rows
    found = sp.zeros(d, d)
    for i in range(d):
        for j in range(d):
            moved = block + t * sp.Matrix(d, d, lambda a, b, i=i, j=j: int((a, b) == (i, j)))
            found[i, j] = sp.diff(outcome_value(prompts, moved, k), t).subs(t, 0)
    return found


def outcome_value(prompts: Prompts, block: sp.Matrix, k: int) -> sp.Expr:
    """L_OS = 1/(2B) Σ ‖ŵ_k − w*‖² at W̃ = I, k steps of (A.1) from w_0 = 0."""
    total = sp.Integer(0)
    for X, w in prompts:
        S, reached = exact.covariance(X), sp.zeros(*w.shape)
        for _ in range(k):
            reached = (reached + block * S * (reached - w)).applyfunc(sp.expand)
        total += exact.frobenius_squared(reached - w)
    return sp.expand(total / (2 * len(prompts)))


def nilpotent() -> tuple[Prompts, sp.Matrix]:
    """d = n = 2, B = 1, S = I, w* = e_1, and a Ṽ with (I + ṼS)² = 0 that takes w* to e_2 in one step."""
    X = sp.sqrt(2) * sp.eye(2)  # XXᵀ/2 = I
    return [(X, exact.matrix([[1], [0]]))], exact.matrix([[-1, 0], [1, -1]])
