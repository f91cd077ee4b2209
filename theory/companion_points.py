"""Points in rationals at which what is reported of arXiv:2510.03605 fails.

Each value is redone from the matrices (I − Γ⁻¹Σ)^k themselves: no formula of the statements enters.
"""

from __future__ import annotations

import sympy as sp

from theory import exact
from theory.statement import Counterexample

R = sp.Rational
DETOUR = (sp.diag(1, 5), sp.Matrix([[13, 9], [9, 7]]))  # Λ and Σ, n = 1: the first step harms
NESTED = (sp.diag(2, 3), sp.diag(1, 3), sp.diag(2, 6))  # Σ, Λ_1, Λ_2 = 2Λ_1


def gamma(Lambda: sp.Matrix, n: int) -> sp.Matrix:
    """Γ at pretraining covariance Λ and length n."""
    return (1 + R(1, n)) * Lambda + Lambda.trace() / n * sp.eye(Lambda.rows)


def long_prompt_error(matrix: sp.Matrix, k: int) -> sp.Expr:
    """‖M^k‖_F², the error of k steps on prompts whose empirical covariance makes the miss M."""
    return exact.frobenius_squared(matrix**k)


def unequal_levels() -> Counterexample:
    """Λ = diag(1, 2), n = k = 1: H = 3, Γ = diag(5, 7)."""
    Lambda = sp.diag(1, 2)
    hardness = Lambda.trace() / min(Lambda.diagonal())
    printed = 2 * (1 + 1 / (1 + hardness)) ** -2
    actual = long_prompt_error(sp.eye(2) - gamma(Lambda, 1).inv() * Lambda, 1)
    return Counterexample("d=2, Λ=Σ=diag(1,2), n=k=1, m=∞: the error", printed, actual)


def detour() -> Counterexample:
    """Λ = diag(1, 5), n = k = 1: the criterion falls below its value 2 at k = 0, the error rises above it."""
    Lambda, Sigma = DETOUR
    Gamma = gamma(Lambda, 1)
    root = Gamma.applyfunc(lambda x: 1 / sp.sqrt(x) if x else x)  # Γ is diagonal
    printed = sp.simplify(((sp.eye(2) - root * Sigma * root) ** 2).trace())
    actual = long_prompt_error(sp.eye(2) - Gamma.inv() * Sigma, 1)
    where = "d=2, Λ=diag(1,5), Σ=[[13,9],[9,7]], n=k=1, m=∞ (2 at k=0): the error"
    return Counterexample(where, printed, actual)


def mixed(weight: sp.Expr) -> sp.Expr:
    """‖I − Λ_π⁻¹Σ‖_F² at :data:`NESTED`, π = (1 − weight, weight)."""
    Sigma, first, second = NESTED
    Lambda = (1 - weight) * first + weight * second
    return long_prompt_error(sp.eye(2) - Lambda.inv() * Sigma, 1)


def undercovered() -> Counterexample:
    """Λ_π = (1 + p) Λ_1 with Σ⁻¹Λ_1 = diag(1/2, 1): the proxy takes p = 1/5, and p = 1/2 does better."""
    p = sp.Symbol("p")
    Sigma, first, second = NESTED
    proxy = exact.frobenius_squared(sp.eye(2) - Sigma.inv() * ((1 - p) * first + p * second))
    (chosen,) = sp.solve(sp.diff(proxy, p), p)
    where = f"Σ=diag(2,3), Λ_1=diag(1,3), Λ_2=diag(2,6): the least error, read off π_2={chosen} and π_2=1/2"
    return Counterexample(where, mixed(chosen), mixed(R(1, 2)))
