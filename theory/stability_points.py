"""Small points of Sections 6 and 7 in rationals: transition matrices, and descent in one dimension."""

from __future__ import annotations

import sympy as sp

from theory import exact
from theory.statement import Counterexample, registry

R = sp.Rational
ONE = sp.Integer(1)


def transition(Sigma0: sp.Matrix, S: sp.Matrix, length: sp.Expr | int) -> sp.Matrix:
    """M = I − Γ₀⁻¹S with Γ₀ of (3.7) for pretraining prompts of n = ``length``; ``sp.oo``: Γ₀ = Σ₀."""
    gamma0 = Sigma0 + (Sigma0 + Sigma0.trace() * sp.eye(Sigma0.rows)) / length
    return sp.eye(Sigma0.rows) - gamma0.inv() * S


def radius(M: sp.Matrix) -> sp.Expr:
    """ρ(M), for a matrix with real eigenvalues."""
    return sp.Max(*(sp.Abs(value) for value in M.eigenvals()))


def shift_radius(Sigma0: sp.Matrix, Delta: sp.Matrix, length: sp.Expr | int) -> sp.Expr:
    """ρ(Γ₀⁻¹Δ)."""
    return radius(sp.eye(Sigma0.rows) - transition(Sigma0, Delta, length))


def descended(x: sp.Expr, step: sp.Expr, k: int, a: sp.Expr = ONE) -> sp.Expr:
    """x = 1 + ṼS after one step of gradient descent on L_OS at d = 1; a = S |w*|, put at S = a, w* = 1."""
    one = sp.Symbol("V")
    miss = exact.matrix([[1]])
    for _ in range(k):
        miss = miss + a * one * miss  # the recursion (A.1) on w* − ŵ_k, with w* = 1
    loss = (miss[0, 0] ** 2) / 2
    slope = sp.diff(loss, one).subs(one, (x - 1) / a)
    return sp.expand(x - step * a * slope)


def limit_of_descent(x: sp.Expr, k: int, a: sp.Expr = ONE) -> sp.Expr:
    """The step that takes x to −x: below it |x| falls in every step, above it grows in every step."""
    # x' is affine in the step.
    moved = x - descended(x, sp.Integer(1), k, a)
    return sp.nsimplify(2 * x / moved)


def top_curvature(x: sp.Expr, k: int, a: sp.Expr = ONE) -> sp.Expr:
    """d²L_OS/dṼ² at d = 1, differentiated."""
    one = sp.Symbol("V")
    return sp.diff((1 + a * one) ** (2 * k) / 2, one, 2).subs(one, (x - 1) / a)


# Counterexamples -----------------------------------------------------------------------------------


def _printed(id: str, **values: sp.Expr | int) -> sp.Expr:
    """The right-hand side that a statement prints, its symbols given by name."""
    side = registry()[id].printed.rhs
    return side.subs({symbol: values[symbol.name] for symbol in side.free_symbols})


AS_FIGURE_ONE = (sp.diag(R(1, 10), 1), sp.diag(1, 0))  # Σ₀, Δ; with n = d


def wrong_side() -> Counterexample:
    """Figure 1 at n = d = 2: ρ(M) on the other side of 1 than ρ(Γ₀⁻¹Δ)."""
    Sigma0, Delta = AS_FIGURE_ONE
    return Counterexample(
        "d=n=2, Σ₀=diag(1/10,1), Δ=diag(1,0), as Figure 1 at n=d: ρ(M)",
        shift_radius(Sigma0, Delta, 2),
        radius(transition(Sigma0, Sigma0 + Delta, 2)),
    )


def too_cautious() -> Counterexample:
    """A step beyond 2/λ_max that lands on the minimum."""
    x, k, step = sp.Integer(-3), 2, R(1, 18)  # deep in the unstable region, on the side of −Γ₀⁻¹Δ
    printed = sp.Lt(step, _printed("sec-6-spectral.b", lambda_H=top_curvature(x, k), k=k))
    reached = sp.Lt(sp.Abs(descended(x, step, k)), sp.Abs(x))
    return Counterexample(
        "d=1, k=2, S=w*=1, Ṽ=-4, so M=-3: step 1/18 lands on the minimum: the step is allowed",
        printed,
        reached,
    )


def other_power() -> Counterexample:
    """The largest stable step at k = 2, from that at k = 1 by the printed power of k."""
    x = sp.Integer(2)
    constant = limit_of_descent(x, 1)  # C from k = 1, where ρ has the power 0
    printed = _printed("sec-6-spectral.c", C_step=constant, rho_M=x, k=2)
    return Counterexample("d=1, S=w*=1, 1+ṼS=2, C from k=1: η_max at k=2", printed, limit_of_descent(x, 2))


def not_along() -> Counterexample:
    """Γ₀ with eigenvalues 9 and 1 at 45° to e₁: e₁ᵀΓ₀e₁ = 5 but 1/(Γ₀⁻¹)₁₁ = 9/5."""
    gamma0, Delta = sp.Matrix([[5, 4], [4, 5]]), sp.diag(2, 0)
    return Counterexample(
        "n=∞, Σ₀=Γ₀=((5,4),(4,5)), Δ=2e₁e₁ᵀ, so e₁ᵀΔe₁=2 < e₁ᵀΓ₀e₁=5: ρ(M) < 1",
        sp.true,
        sp.Lt(radius(transition(gamma0, gamma0 + Delta, sp.oo)), 1),
    )


def balanced_and_unstable() -> Counterexample:
    """Balanced pretraining, Σ₀ = I, that starts at ρ(M) > 1."""
    Sigma0, Delta = sp.eye(2), sp.diag(5, 0)
    return Counterexample(
        "d=n=2, Σ₀=I, so κ(Γ₀)=1, Δ=diag(5,0): ρ(M) < 1",
        sp.true,
        sp.Lt(radius(transition(Sigma0, Sigma0 + Delta, 2)), 1),
    )


def same_gain() -> Counterexample:
    """From 1 + ṼS = 1/2 and 3, the second deep in the unstable region."""
    gains = []
    for x in (R(1, 2), sp.Integer(3)):
        moved = descended(x, limit_of_descent(x, 2) / 4, 2)
        gains.append((x / moved) ** 4)  # of L = x⁴/2
    near, far = gains
    where = f"d=1, k=2, S=w*=1, 1+ṼS=1/2, 3, a step of a quarter of the largest: L falls by {near} and {far}"
    return Counterexample(f"{where}; by more from the first", sp.true, sp.sympify(near > far))


def one_step_alike() -> Counterexample:
    """1 + ṼS = −1/2 and −3 are Σ = 3/2 and 4 times Γ₀."""
    near, far = (limit_of_descent(x, 1) for x in (R(-1, 2), sp.Integer(-3)))
    return Counterexample(
        "d=1, k=1, S=w*=1, 1+ṼS=−1/2, −3: η_max is larger at the first", sp.true, near > far
    )
