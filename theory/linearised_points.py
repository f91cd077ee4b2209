"""Small points of the linearisation in rationals, from the definitions.

Counterexamples of :mod:`theory.linearised` and :mod:`theory.linearised_noise`.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import exact
from theory.statement import Counterexample

R = sp.Rational
eps = sp.Symbol("epsilon", positive=True)
d = sp.Symbol("d", positive=True)

# One prompt x = (1, ε), w* = e₁: Φ = M + E with M = e₁, E = ε e₂ -----------------------------------------


def one_prompt() -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """(Ω, M, Φ) for A = I, n = B = 1."""
    Omega, x = sp.Matrix([1, 0]), sp.Matrix([1, eps])
    Phi = exact.covariance(x) * Omega
    if Phi - Omega != sp.Matrix([0, eps]):
        raise ArithmeticError(f"E = {Phi - Omega}: expected (0, ε)")
    return Omega, Omega, Phi


def pinv(column: sp.Matrix) -> sp.Matrix:
    """M† of a column that is not zero."""
    return column.T / (column.T * column)[0]


def fitted(Omega: sp.Matrix, features: sp.Matrix) -> sp.Matrix:
    """−ΩM† − ½(I − MM†): η = 1, Γ₀ = 2I."""
    return -Omega * pinv(features) - R(1, 2) * (sp.eye(2) - features * pinv(features))


POINT = "d=2, n=B=1, A=I, w*=(1,0), x=(1,ε)"


@cache
def projection() -> Counterexample:
    """ΦΦ† to first order, half of which (B.3) drops."""
    _, M, Phi = one_prompt()
    E = Phi - M
    printed = M * pinv(M) + (sp.eye(2) - M * pinv(M)) * E * pinv(M)
    slopes = [sp.diff(matrix[0, 1], eps).subs(eps, 0) for matrix in (printed, Phi * pinv(Phi))]
    return Counterexample(f"{POINT}: slope in ε at 0 of entry (1,2) of ΦΦ†", *slopes)


@cache
def operator() -> Counterexample:
    """Ṽ_* to first order as printed in (B.3)."""
    Omega, M, Phi = one_prompt()
    E, plus = Phi - M, pinv(M)
    off = sp.eye(2) - M * plus
    printed = -Omega * (plus - plus * E * plus) - R(1, 2) * (off - off * E * plus)
    slopes = [sp.diff(matrix[0, 1], eps).subs(eps, 0) for matrix in (printed, fitted(Omega, Phi))]
    return Counterexample(f"{POINT}, η=1, Γ₀=2I: slope in ε at 0 of entry (1,2) of Ṽ_*", *slopes)


@cache
def relative_error() -> Counterexample:
    """What V_S + V_N misses of Ṽ_*, over ‖E‖."""
    Omega, M, Phi = one_prompt()
    E, V_S = Phi - M, fitted(Omega, M)
    miss = fitted(Omega, Phi) - V_S + V_S * E * pinv(M)
    ratio = exact.frobenius_squared(miss) / exact.frobenius_squared(E)
    return Counterexample(
        f"{POINT}, η=1, Γ₀=2I: ‖Ṽ_*-V_S-V_N‖/‖E‖ as ε→0",
        sp.Integer(0),
        sp.sqrt(sp.limit(sp.simplify(ratio), eps, 0)),
    )


# Singular A ---------------------------------------------------------------------------------------------

SINGULAR = "A=diag(1,0), B=1, w*=(1,1), η=1, Γ₀=I, A† for A⁻¹"


def _singular() -> tuple[sp.Matrix, sp.Matrix]:
    """−ηA†Π − Γ₀⁻¹(I − Π), and V_S by its definition."""
    A, Omega = sp.diag(1, 0), sp.Matrix([1, 1])
    M = A * Omega
    onto = M * pinv(M)
    off = sp.eye(2) - onto
    return -A.pinv() * onto - off, -Omega * pinv(M) - off


@cache
def singular_operator() -> Counterexample:
    """V_S as printed for an A that is singular."""
    printed, actual = _singular()
    return Counterexample(f"{SINGULAR}: entry (2,1) of V_S", printed[1, 0], actual[1, 0])


@cache
def singular_miss() -> Counterexample:
    """I + V_SΣ as printed for an A that is singular."""
    printed, actual = _singular()
    return Counterexample(f"{SINGULAR}, Σ=I: entry (2,1) of I+V_SΣ", printed[1, 0], actual[1, 0])


# The noise term -----------------------------------------------------------------------------------------


def chi_square_moment(degrees: int, power: int) -> sp.Expr:
    """E[X^power] for X ~ χ² with so many degrees of freedom."""
    return sp.simplify(
        2**power * sp.gamma(R(degrees, 2) + power) / sp.gamma(R(degrees, 2)),
    )


def _mean(polynomial: sp.Expr, squares: dict[sp.Symbol, int], normal: sp.Symbol) -> sp.Expr:
    """E of a Laurent polynomial in independent χ² variables and one standard normal."""
    total = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(polynomial)):
        powers = term.as_powers_dict()
        value = exact.gaussian_mean(normal ** powers.get(normal, 0), [normal])
        rest = term / normal ** powers.get(normal, 0)
        for symbol, degrees in squares.items():
            power = powers.get(symbol, 0)
            value, rest = value * chi_square_moment(degrees, power), rest / symbol**power
        total += sp.simplify(rest) * value
    return total


@cache
def weighted_square() -> sp.Matrix:
    """Z = E[Σ_τ Q_ττ w*_τw*_τᵀ] at d = 2, B = 5, A = I, Σ = diag(2, 1).

    ΩΩᵀ = G = TTᵀ with T lower triangular, T₁₁² ~ χ²₅, T₂₁ ~ N(0, 1), T₂₂² ~ χ²₄ (Bartlett), and w*_τ =
    Th_τ with h_τ a column of two orthonormal rows in R⁵, independent of T: E[h_ih_jh_kh_l] is
    (δ_ijδ_kl + δ_ikδ_jl + δ_ilδ_jk)/35.
    """
    B, F = 5, sp.diag(4, 1)
    s, t, u = sp.symbols("s t u", positive=True)  # T₁₁², T₂₁, T₂₂²
    G = sp.Matrix([[s, sp.sqrt(s) * t], [sp.sqrt(s) * t, t**2 + u]])
    inside = sp.expand((G.inv() * F).trace())
    mean = sp.diag(*(_mean(sp.expand(inside * G[i, i]), {s: B, u: B - 1}, t) for i in (0, 1)))
    return (mean + 2 * F) / (B + 2)


@cache
def isotropy() -> Counterexample:
    """A mean that would be a multiple of I if Q_ττ and w*_τ were independent."""
    Z = weighted_square()
    return Counterexample(
        "d=2, B=5, A=I, Σ=diag(2,1): Z_11/Z_22 for Z = E[Σ_τ Q_ττ w*w*ᵀ]", sp.Integer(1), Z[0, 0] / Z[1, 1]
    )


@cache
def dependence() -> Counterexample:
    """M = m = r(2 cos θ, sin θ) with r² ~ χ²₂ independent of θ: |m|² = r²D, D = 4cos²θ + sin²θ, is one factor
    inverted; the other is a function of Π = mmᵀ/|m|², that is of D."""
    A, D = sp.diag(2, 1), sp.Symbol("D", positive=True)
    m = sp.Matrix([2 * sp.sqrt((D - 1) / 3), sp.sqrt((4 - D) / 3)])
    onto = m * m.T / D
    V_S = -A.inv() * onto - (sp.eye(2) - onto)
    Sigma_A = (A.trace() * A + A**2) / 2
    other = sp.expand((V_S * Sigma_A * V_S.T).trace())
    # The mean over θ of 1/(α cos²θ + β sin²θ) is (αβ)^(−1/2), and of its square the derivative by both.
    alpha, beta = sp.symbols("alpha beta", positive=True)
    first = 1 / sp.sqrt(alpha * beta)
    means = {
        -1: first,
        -2: -sp.diff(first, alpha) - sp.diff(first, beta),
        0: sp.Integer(1),
        1: (alpha + beta) / 2,
    }

    def mean(of: sp.Expr) -> sp.Expr:
        terms = (term.as_coeff_exponent(D) for term in sp.Add.make_args(sp.expand(of)))
        return sum(c * means[int(power)].subs({alpha: 4, beta: 1}) for c, power in terms)

    found = chi_square_moment(2, 1) * (mean(D * other) - mean(D) * mean(other))
    return Counterexample(
        "d=2, B=1, A=diag(2,1), Σ=Γ₀=I, η=1: covariance of 1/tr(Σ²(MMᵀ)†) and tr(V_S Σ_A V_Sᵀ)",
        sp.Integer(0),
        sp.simplify(found),
    )


# Other spectra ------------------------------------------------------------------------------------------


def long_prompts(A: sp.Matrix, Sigma: sp.Matrix) -> sp.Expr:
    """Err(Ṽ_*) for n = ∞, where Φ = AΩ, and B ≥ d; η = 1, Γ₀ = I."""
    Omega = sp.eye(A.rows)
    V = exact.fixed_point(Omega, A * Omega, sp.eye(A.rows), sp.Integer(1))
    return exact.frobenius_squared(sp.eye(A.rows) + V * Sigma) / A.rows


@cache
def one_small_eigenvalue() -> Counterexample:
    """The spectrum of A tends to the point 1, at which Err is 0."""
    value = (d - 1) ** 2 / d
    for size in (2, 3, 4):
        A = sp.diag(*[1] * (size - 1), R(1, size))
        if long_prompts(A, sp.eye(size)) != value.subs(d, size):
            raise ArithmeticError("(d-1)²/d is expected")
    return Counterexample(
        "η=1, Σ=I, A=diag(1,…,1,1/d), n=∞, B=d: Err(Ṽ_*) as d→∞", sp.Integer(0), sp.limit(value, d, sp.oo)
    )


@cache
def swapped_levels() -> Counterexample:
    """The same levels of A, along Δ and across it."""
    aligned, crossed = (long_prompts(sp.diag(*a), sp.diag(2, 1)) for a in ((2, 1), (1, 2)))
    return Counterexample(
        "η=1, Σ₀=I, Δ=diag(1,0), n=∞, B=d: Err(Ṽ_*) for A=diag(2,1), and for A=diag(1,2)", aligned, crossed
    )
