"""Section 5.1 derived: the operator, the risk and its minimiser over A, for general d and n.

U is the range of the shift Δ, P its projection, Σ = Σ₀ + Δ, and Ṽ_∞ of (4.2) is −ηY − Γ₀⁻¹(I − P) with
Y = M(A)⁻¹ on U, M(A) = (n+1)/n A + tr(A)/n P.  Statements: :mod:`theory.allocation`.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory.lower import lower_scalar
from theory.notation import A, Gamma0, Sigma, Sigma0, V, d, eta, n
from theory.risk import formula
from theory.words.letters import Letter, inverse_letter
from theory.words.poly import Matrix, Scalar, identity, letter, substitute

Delta = nt.matrix("Shift", d, d, r"\Delta", symmetric=True)
Gamma = nt.matrix("Gamma", d, d, r"\Gamma", symmetric=True)
Y = nt.matrix("Y_U", d, d, "Y", symmetric=True)
alpha = nt.scalar_symbol("level", r"\alpha", positive=True)

P = Letter("P_U", d, d, symmetric=True, idempotent=True)
_Y, _D, _S0, _G0, _SIGMA, _V, _A, _GAMMA = (
    nt.letter_of(a) for a in (Y, Delta, Sigma0, Gamma0, Sigma, V, A, Gamma)
)
onto, off = letter(P), identity(d) - letter(P)
before = letter(inverse_letter(_G0))  # Γ₀⁻¹
_inside = onto @ letter(_Y) @ onto
_fitted = _inside * -eta - before @ off
_test = letter(_S0) + onto @ letter(_D) @ onto


def operator() -> tuple[Matrix, Matrix, Matrix]:
    """P(I + Ṽ_∞Σ)P, its print P − ηY(PΣ₀P + Δ), and what the print lacks, −PΓ₀⁻¹(I − P)Σ₀P."""
    printed = onto - (_inside @ _test @ onto) * eta
    lacking = -(onto @ before @ off @ letter(_S0) @ onto)
    return onto @ (identity(d) + _fitted @ _test) @ onto, printed, lacking


def complement() -> tuple[Matrix, Matrix]:
    """(I − P)(I + Ṽ_∞Σ)(I − P), in which A has no part, and (I − P) − (I − P)Γ₀⁻¹(I − P)Σ₀(I − P)."""
    closed = off - off @ before @ off @ letter(_S0) @ off
    return off @ (identity(d) + _fitted @ _test) @ off, closed


def commuting(expression: Matrix) -> Matrix:
    """``expression`` for Σ₀ = PΣ₀P + (I − P)Σ₀(I − P); Γ₀⁻¹, a letter of its own, stays as it is."""
    start = letter(_S0)
    return substitute(expression, {_S0: onto @ start @ onto + off @ start @ off})


def preimage(M: Matrix) -> Matrix:
    """The A with (n+1)/n A + tr(A)/n I = M: nM/(n+1) − n tr(M)/((n+1)(n+1+d)) I."""
    return M * (n / (n + 1)) - identity(d) * (M.trace() * (n / ((n + 1) * (n + 1 + d))))


def excess() -> tuple[Scalar, Scalar]:
    """The risk (5.1), and d − tr(ΣΓ⁻¹) + tr((Ṽ + Γ⁻¹)ΣΓ(Ṽ + Γ⁻¹)ᵀ), both in Ṽ and
    Γ = (n+1)/n Σ + tr(Σ)/n I, which fixes Σ."""
    gamma, inverse, v = letter(_GAMMA), letter(inverse_letter(_GAMMA)), letter(_V)
    sigma = preimage(gamma)
    risk = substitute(lower_scalar(formula(V)), {_SIGMA: sigma})
    apart = v + inverse
    return risk, (apart @ sigma @ gamma @ apart.T).trace() - (sigma @ inverse).trace() + d


def slope_on_shift() -> tuple[Matrix, Matrix]:
    """A quarter of the derivative of (5.1) along symmetric Y at η = 1, Ṽ = −PYP − Γ₀⁻¹(I − P), and the
    Lyapunov equation ½(PΣΓY + YΓΣP) − (Σ_U − sym(PΣΓ(I − P)Γ₀⁻¹P)), with ΣΓ = (n+1)/n Σ² + tr(Σ)/n Σ;
    Σ free."""
    free = Letter("Y", d, d)
    fitted = -(onto @ letter(free) @ onto) - before @ off
    slope = substitute(lower_scalar(formula(V)), {_V: fitted}).gradient(free)
    slope = substitute(slope, {free: letter(_Y)})
    sigma = letter(_SIGMA)
    weight = sigma @ sigma * ((n + 1) / n) + sigma * (sigma.trace() * (1 / n))
    half = onto @ weight @ _inside - onto @ sigma @ onto + onto @ weight @ off @ before @ onto
    return (slope + slope.T) * sp.Rational(1, 4), (half + half.T) * sp.Rational(1, 2)


def eigenvalues(
    sigma: sp.Expr, trace_U: sp.Expr, trace_C: sp.Expr, m: sp.Expr
) -> tuple[tuple[sp.Expr, sp.Expr], tuple[sp.Expr, sp.Expr]]:
    """(A, trace of A) on the eigenspace σ of Σ_U: first where ‖P − ηYΣ_U‖ is zero, then where the risk is
    least, for Σ₀ that commutes with P; tr Σ_U, tr C and m = dim U given."""
    operator = n * eta / (n + 1) * (sigma - trace_U / (n + 1 + m)), n * eta * trace_U / (n + 1 + m)
    risk = eta * (sigma + trace_C / (n + 1 + m)), eta * (trace_U + m * trace_C / (n + 1 + m))
    return operator, risk


def pretrained_error(covariance: Matrix) -> Scalar:
    """(5.1) of −Γ₀⁻¹ on prompts from N(0, covariance)."""
    return substitute(lower_scalar(formula(V)), {_V: -before, _SIGMA: covariance})


def pretrained_error_on(projection: Letter) -> Scalar:
    """d − 2α tr(PΓ₀⁻¹) + κα² tr(PΓ₀⁻²), κ = 1 + (1 + tr P)/n: the error on N(0, αP), commuting or not."""
    p = letter(projection)
    kappa = (p.trace() + (n + 1)) * (1 / n)
    quadratic = (p @ before @ before).trace() * kappa * alpha**2
    return quadratic - (p @ before).trace() * (2 * alpha) + d
