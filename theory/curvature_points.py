"""The outcome loss's Hessian at explicit points in rationals, and the points where Section 6 on it fails.

The Hessian comes from differentiating the recursion (A.1) on the error, e_{i+1} = e_i + ṼS e_i, twice along
unit matrices: no formula of Section 6 or Appendix E enters.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import sympy as sp

from theory import exact
from theory.statement import Counterexample

R = sp.Rational
Prompts = list[tuple[sp.Matrix, sp.Matrix]]  # (S, w*) of each prompt


def unit(row: int, col: int, d: int) -> sp.Matrix:
    """E_ij, d × d."""
    return sp.Matrix(d, d, lambda i, j: int((i, j) == (row, col)))


def second_derivative(
    V: sp.Matrix, prompts: Prompts, steps: int, one: sp.Matrix, other: sp.Matrix
) -> sp.Expr:
    """∂²/∂s∂t of L_OS(Ṽ + s·one + t·other, I) at s = t = 0."""
    total: Any = 0
    for S, w in prompts:
        M, zero = sp.eye(V.rows) + V * S, sp.zeros(V.rows, 1)
        at, by_s, by_t, mixed = w, zero, zero, zero
        for _ in range(steps):
            mixed = M * mixed + one * (S * by_t) + other * (S * by_s)
            by_s, by_t = M * by_s + one * (S * at), M * by_t + other * (S * at)
            at = M * at
        total += (by_s.T * by_t + at.T * mixed)[0]
    return sp.expand(total / len(prompts))


def hessian(V: sp.Matrix, prompts: Prompts, steps: int) -> sp.Matrix:
    """The d² × d² Hessian of L_OS(·, I) at Ṽ, entries of Ṽ row by row."""
    d = V.rows
    units = [unit(i, j, d) for i in range(d) for j in range(d)]
    found = sp.zeros(d * d)
    for a, b in combinations_with_replacement(range(d * d), 2):
        found[a, b] = found[b, a] = second_derivative(V, prompts, steps, units[a], units[b])
    return found


def spanning(S: sp.Matrix) -> Prompts:
    """d prompts with one S and tasks √d e_i: (1/B) Σ w* w*ᵀ = I."""
    d = S.rows
    return [(S, sp.sqrt(d) * sp.eye(d)[:, i]) for i in range(d)]


def largest(V: sp.Matrix, prompts: Prompts, steps: int) -> sp.Expr:
    """λ_max of the Hessian, where its characteristic polynomial has roots that can be written down."""
    return max(sp.simplify(root) for root in hessian(V, prompts, steps).eigenvals())


def _printed_growth(rho: sp.Expr, few: int, many: int) -> sp.Expr:
    return sp.Rational(many, few) ** 2 * rho ** (2 * many - 2 * few)


@cache
def solved_prompt() -> Counterexample:
    """One prompt, solved: M w* = 0 while ρ(M) = 1/2."""
    V, prompts = sp.diag(R(-1, 2), -1), [(sp.eye(2), sp.Matrix([0, 1]))]
    few, many = (largest(V, prompts, k) for k in (2, 4))
    return Counterexample(
        "d=2, B=1, S=I, w*=(0,1), Ṽ=-diag(1/2,1): M=diag(1/2,0), M w*=0; λ_max at k=4 over that at k=2",
        _printed_growth(R(1, 2), 2, 4),
        many / few,
    )


@cache
def unseen_direction() -> Counterexample:
    """S of rank one, as from prompts of N(0, Δ), at the minimum of the loss: M = diag(0, 1), ρ(M) = 1."""
    V, prompts = -sp.eye(2), spanning(sp.diag(1, 0))
    few, many = (largest(V, prompts, k) for k in (2, 4))
    return Counterexample(
        "d=2, S=diag(1,0), Ṽ=-I, Σww^T/B=I: M=diag(0,1), ρ(M)=1; λ_max at k=4 over that at k=2",
        _printed_growth(sp.Integer(1), 2, 4),
        many / few,
    )


@cache
def boundary_at_one() -> Counterexample:
    """d = n = Σ = 1, Ṽ = −1/10: I + ṼΣ = 0.9, and thinking helps although ρ is just below 1."""
    miss = []
    for k in (1, 2, 3):

        def squared(S: sp.Matrix, k: int = k) -> sp.Expr:
            return ((sp.eye(1) - S / 10) ** k)[0] ** 2

        miss.append(exact.mean_over_prompts(squared, sp.eye(1), 1))
    return Counterexample(
        f"d=n=Σ=1, Ṽ=-1/10, so I+ṼΣ=9/10: the risks of 1, 2, 3 steps, {', '.join(map(str, miss))}, "
        "against that of none, 1; sign of the difference",
        sp.Integer(1),
        max(sp.sign(risk - 1) for risk in miss),
    )
