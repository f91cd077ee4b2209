"""Small points of Section 5 in rationals, from the definitions: moments of prompts and nothing else.

The pretrained model minimises E‖I + ṼS‖_F² over prompts from N(0, Σ₀); fine-tuning on N(0, A) with B → ∞
solves its normal equations on the range of A and keeps the pretrained model off it; the post-test error is
E‖I + ṼS‖_F² over prompts from N(0, Σ).
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import exact
from theory.statement import Counterexample

R = sp.Rational
n = sp.Symbol("n", positive=True)


def root(covariance: sp.Matrix) -> sp.Matrix:
    """L with LLᵀ the covariance, which is diagonal or positive definite."""
    if covariance.is_diagonal():
        return sp.diag(*map(sp.sqrt, covariance.diagonal()))
    return covariance.cholesky()


def _moments(covariance: sp.Matrix, length: int) -> tuple[sp.Matrix, sp.Matrix]:
    """E[S] and E[S²]."""
    L = root(covariance)
    pair = (exact.mean_over_prompts(f, L, length) for f in (lambda S: S, lambda S: S * S))
    return sp.simplify(next(pair)), sp.simplify(next(pair))


def pretrained(Sigma0: sp.Matrix, length: int) -> sp.Matrix:
    """The minimiser −E[S] E[S²]⁻¹; for a singular Σ₀, where there are many, −Γ₀⁻¹ of (3.7)."""
    if Sigma0.det() == 0:
        return -((1 + R(1, length)) * Sigma0 + Sigma0.trace() / length * sp.eye(Sigma0.rows)).inv()
    first, second = _moments(Sigma0, length)
    return -first * second.inv()


def fine_tuned(A: sp.Matrix, Sigma0: sp.Matrix, length: int) -> sp.Matrix:
    """−E[S] E[S²]† over prompts from N(0, A) (η = 1), and the pretrained model on the null space of A."""
    first, second = _moments(A, length)
    kept = sp.eye(A.rows) - A * A.pinv()
    return -first * second.pinv() + pretrained(Sigma0, length) * kept


def error(V: sp.Matrix, covariance: sp.Matrix, length: int) -> sp.Expr:
    """E‖I + ṼS‖_F² over prompts from N(0, covariance)."""
    risk = exact.mean_over_prompts(
        lambda S: exact.frobenius_squared(sp.eye(V.rows) + V * S), root(covariance), length
    )
    return sp.simplify(risk)


def post_test(A: sp.Matrix, Sigma0: sp.Matrix, Delta: sp.Matrix, length: int) -> sp.Expr:
    """The post-test error after fine-tuning on N(0, A) at η = 1; A = 0 is the pretrained model."""
    return error(fine_tuned(A, Sigma0, length), Sigma0 + Delta, length)


def hardness(A: sp.Matrix, Sigma0: sp.Matrix, length: int) -> sp.Expr:
    """The pretrained model's error on prompts from N(0, A)."""
    return error(pretrained(Sigma0, length), A, length)


def _expect(found: sp.Expr, wanted: sp.Expr, what: str) -> None:
    if sp.simplify(found - wanted) != 0:
        raise ArithmeticError(f"{what}: {found}, expected {wanted}")


# Points --------------------------------------------------------------------------------------------

NOVEL = (sp.diag(0, 1), sp.diag(1, 0))  # Σ₀ and Δ of orthogonal ranges
CROSSED = (sp.Matrix([[2, 1], [1, 1]]), sp.diag(1, 0))  # Σ₀ does not commute with P_U
TEXT = "Σ₀=[[2,1],[1,1]], Δ=diag(1,0)"


@cache
def share_at_optimum() -> Counterexample:
    """d = 1, Σ = 1: the best Ṽ = −n/(n+2) leaves (2/(n+2))² of a risk 2/(n+2)."""
    share = 2 / (n + 2)
    for length in (1, 2, 3):
        V = fine_tuned(sp.eye(1), sp.eye(1), length)
        at = (1 + V[0]) ** 2 / error(V, sp.eye(1), length)
        _expect(at, share.subs(n, length), "share")
    return Counterexample(
        "d=1, Σ=1, A=η, so Ṽ=-n/(n+2): share of ‖I+ṼΣ‖² in the risk, n→∞",
        sp.Integer(1),
        sp.limit(share, n, sp.oo),
    )


@cache
def minimisers_apart() -> Counterexample:
    """d = n = 1, Σ = 1, η = 1: the A > 0 with the least ‖I + ṼΣ‖, and the one with the least risk."""
    a = sp.Symbol("a", positive=True)
    V = fine_tuned(sp.Matrix([[a]]), sp.eye(1), 1)
    (printed,) = sp.solve((1 + V[0]) ** 2, a)
    (actual,) = sp.solve(sp.diff(error(V, sp.eye(1), 1), a), a)
    return Counterexample("d=n=1, Σ=1, η=1: the A that minimises", printed, actual)


@cache
def operator_on_shift() -> Counterexample:
    """The operator on U where Σ₀ does not commute with P_U."""
    Sigma0, Delta = CROSSED
    V = fine_tuned(sp.diag(1, 0), Sigma0, 1)
    printed = 1 - R(1, 3) * (Sigma0 + Delta)[0, 0]  # M = 2A + tr(A) = 3
    return Counterexample(f"n=1, {TEXT}, A=ηdiag(1,0)", printed, (sp.eye(2) + V * (Sigma0 + Delta))[0, 0])


def _gamma0(Sigma0: sp.Matrix) -> sp.Matrix:
    """Γ₀ of (3.7) at any n, against the pretrained model at n = 2."""
    found = (1 + 1 / n) * Sigma0 + Sigma0.trace() / n * sp.eye(Sigma0.rows)
    if found.subs(n, 2).inv() != -pretrained(Sigma0, 2):
        raise ArithmeticError("Γ₀⁻¹ is expected to be the pretrained model")
    return found


@cache
def initial_on_complement() -> Counterexample:
    """Γ₀⁻¹Σ₀ off U as n → ∞ where Σ₀ is singular there."""
    Sigma0 = sp.diag(R(1, 10), 0)
    return Counterexample(
        "Σ₀=diag(1/10,0), U=range(e1): entry (2,2) of Γ₀⁻¹Σ₀, n→∞",
        sp.Integer(1),
        sp.limit((_gamma0(Sigma0).inv() * Sigma0)[1, 1], n, sp.oo),
    )


@cache
def residual_on_complement() -> Counterexample:
    """Ṽ keeps the columns of −Γ₀⁻¹ on U^⊥, whatever A on U is."""
    Sigma0, Delta = CROSSED
    V = -_gamma0(Sigma0).inv() * sp.diag(0, 1)
    entry = (sp.eye(2) + V * (Sigma0 + Delta))[1, 1]
    return Counterexample(f"{TEXT}: I+ṼΣ on U^⊥, n→∞", sp.Integer(0), sp.limit(entry, n, sp.oo))


@cache
def residuals_compared() -> Counterexample:
    """Σ₀ = diag(1, 2), Δ = diag(1, 0), A = ηΣ_U: both residuals fall like 1/n."""
    level = (n + 1) / n * 2 + R(2) / n  # M(ηΣ_U)/η
    _expect(fine_tuned(sp.diag(2, 0), sp.diag(1, 2), 2)[0, 0], -1 / level.subs(n, 2), "Ṽ_∞")
    on_U, off = 1 - 2 / level, 1 - 2 / _gamma0(sp.diag(1, 2))[1, 1]
    return Counterexample(
        "Σ₀=diag(1,2), Δ=diag(1,0), A=ηΣ_U: ‖I+ṼΣ‖² on U^⊥ over that on U, n→∞",
        sp.Integer(0),
        sp.limit(off**2 / on_U**2, n, sp.oo),
    )


@cache
def best_on_shift() -> Counterexample:
    """m = 1: Ṽ = −x e₁e₁ᵀ − Γ₀⁻¹e₂e₂ᵀ with x = η/M(A), and (5.1) is quadratic in x."""
    Sigma0, Delta = CROSSED
    Sigma, x = Sigma0 + Delta, sp.Symbol("x")
    V = sp.diag(-x, 0) - _gamma0(Sigma0).inv() * sp.diag(0, 1)
    weight = Sigma * ((1 + 1 / n) * Sigma + Sigma.trace() / n * sp.eye(2))
    risk = 2 + 2 * (V * Sigma).trace() + (V * weight * V.T).trace()
    (best,) = sp.solve(sp.diff(risk, x), x)
    alpha = sp.simplify(n / ((n + 2) * best))
    at = post_test(sp.diag(alpha.subs(n, 1), 0), Sigma0, Delta, 1)
    _expect(at, risk.subs(x, best).subs(n, 1), "risk")
    return Counterexample(
        f"{TEXT}, η=1: the best A on U over e1e1ᵀ, n→∞", Sigma[0, 0], sp.limit(alpha, n, sp.oo)
    )


@cache
def error_ratio() -> Counterexample:
    """A = Σ₀: the pretrained model is at its best there, and what is left is not ‖I − Γ₀⁻¹A‖²."""
    approx, ratio = (2 / (n + 2)) ** 2, (n + 2) / 2
    for length in (1, 2, 3):
        V = pretrained(sp.eye(1), length)
        _expect((1 + V[0]) ** 2, approx.subs(n, length), "‖I - Γ₀⁻¹A‖²")
        _expect(error(V, sp.eye(1), length) / (1 + V[0]) ** 2, ratio.subs(n, length), "ratio")
    return Counterexample("d=1, A=Σ₀=1: error over ‖I-Γ₀⁻¹A‖², n→∞", sp.Integer(1), sp.limit(ratio, n, sp.oo))


@cache
def largest_elsewhere() -> Counterexample:
    """Ranges at an angle of 84°, and a direction e₃ that pretraining does not know at all."""
    v = sp.Matrix([1, 10, 0])
    inverse = -pretrained(v * v.T, 1)
    return Counterexample(
        "n=1, Σ₀=vvᵀ with v=(1,10,0), Δ=diag(1,0,0): the largest value of wᵀΓ₀⁻¹w, |w|=1",
        inverse[0, 0],
        max(inverse.eigenvals()),
    )


@cache
def easier_on_shift() -> Counterexample:
    """Equal examples on U and off it, at a level at which those on U are the easier."""
    Sigma0, _ = NOVEL
    on_U, off = (hardness(R(1, 4) * P, Sigma0, 1) for P in (sp.diag(1, 0), sp.diag(0, 1)))
    return Counterexample(
        f"n=1, Σ₀=diag(0,1), Δ=diag(1,0): error {on_U} on N(0, P_U/4), {off} on N(0, (I-P_U)/4); sign of "
        "the difference",
        sp.Integer(1),
        sp.sign(on_U - off),
    )


@cache
def best_over_all() -> Counterexample:
    """The best A on U, α e₁e₁ᵀ, and A = ηΣ = η I."""
    Sigma0, Delta = NOVEL
    a = sp.Symbol("a", positive=True)
    risk = post_test(sp.diag(a, 0), Sigma0, Delta, 1)
    (best,) = sp.solve(sp.diff(risk, a), a)
    return Counterexample(
        "n=1, Σ₀=diag(0,1), Δ=diag(1,0): the least post-test error",
        risk.subs(a, best),
        post_test(Sigma0 + Delta, Sigma0, Delta, 1),
    )


@cache
def harder_and_worse() -> Counterexample:
    """A₁ = diag(4/3, 0) is aligned with Δ and harder than A₂ = I."""
    Sigma0, Delta = NOVEL
    first, second = sp.diag(R(4, 3), 0), sp.eye(2)
    hard = [hardness(A, Sigma0, 1) for A in (first, second)]
    if not hard[0] > hard[1]:
        raise ArithmeticError(f"errors {hard}: the first is expected to be harder")
    worse = [post_test(A, Sigma0, Delta, 1) for A in (first, second)]
    return Counterexample(
        f"n=1, η=1, Σ₀=diag(0,1), Δ=diag(1,0), A₁=diag(4/3,0), A₂=I: hardness {hard[0]} and {hard[1]}, "
        f"post-test error {worse[0]} and {worse[1]}; sign of the difference",
        sp.Integer(-1),
        sp.sign(worse[0] - worse[1]),
    )
