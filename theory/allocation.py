"""Sections 5 and 5.1: which post-training covariance A is best.

Derived in :mod:`theory.allocation_words`, counterexamples in :mod:`theory.allocation_points`, numbers from
:mod:`theory.allocation_optimum`.  Notes: ``notes/allocation.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import allocation_points as points
from theory import notation as nt
from theory.allocation_optimum import (  # noqa: F401  the numbers, for those who look for them here
    Allocation,
    Row,
    allocation_table,
    full_risk_allocation,
    optimal_allocation,
    post_training_risk,
    risk_parts,
)
from theory.allocation_words import Delta, Gamma, Y
from theory.notation import A, Gamma0, I, Sigma, Sigma0, V, d, eta, n
from theory.risk import formula
from theory.statement import Statement, register

P_U = nt.matrix("P_U", d, d, "P_{U}", symmetric=True)
Sigma_U = nt.matrix("Sigma_U", d, d, r"\Sigma_{U}", symmetric=True)  # PΣP
V_inf = nt.matrix("V_inf", d, d, r"\widetilde{V}_{\infty}")

# Statements ----------------------------------------------------------------------------------------

_OFF = I - P_U
RISK = nt.Label(sp.Symbol(r"L_{\mathrm{post}}"), A)
SIGMA_U = P_U * Sigma0 * P_U + Delta
_MISS = I + V_inf * Sigma
_N = n + 1 + sp.Trace(P_U)
_PRINTED_INVERSE = ((n + 1) / n * A + sp.Trace(A) / n * I).I
OPERATOR = I - eta * _PRINTED_INVERSE * SIGMA_U
OPERATOR_TRUE = P_U - eta * P_U * _PRINTED_INVERSE * SIGMA_U - P_U * Gamma0.I * _OFF * Sigma0 * P_U
COMPLEMENT_TRUE = _OFF - _OFF * Gamma0.I * _OFF * Sigma0 * _OFF
# I + ṼΣ at A = ηΣ_U, on U and off it.
ON_U_LEVELS = (
    (1 / n) * (Sigma_U + sp.Trace(Sigma_U) * P_U) * ((n + 1) / n * Sigma_U + sp.Trace(Sigma_U) / n * I).I
)
OFF_LEVELS = (1 / n) * (_OFF * Sigma0 * _OFF + sp.Trace(Sigma0) * _OFF) * Gamma0.I
_SHARES = nt.FrobeniusSquared(_OFF * _MISS * _OFF) / nt.FrobeniusSquared(P_U * _MISS * P_U)
ON_SHIFT = eta * (Sigma_U + sp.Trace(_OFF * Sigma0) / _N * P_U)
LYAPUNOV = (
    P_U * Sigma * Gamma * Y + Y * Gamma * Sigma * P_U,
    2 * Sigma_U - P_U * Sigma * Gamma * _OFF * Gamma0.I * P_U - P_U * Gamma0.I * _OFF * Gamma * Sigma * P_U,
)
FROM_Y = n * eta / (n + 1) * (nt.Pinv(Y) - sp.Trace(nt.Pinv(Y)) / _N * P_U)
ANY, ON_U = (sp.Symbol(text) for text in (r"A \succeq 0", r"\mathrm{range}(A) = U"))
COMMUTES = "Σ₀ commutes with P_U"

register(
    Statement(
        "sec-5-dominant.a",
        "Section 5, after (5.1)",
        "For large n, ‖I + ṼΣ‖_F is the dominant term of (5.1): its share tends to 1",
        nt.Tends(nt.FrobeniusSquared(I + V * Sigma) / formula(V), n, sp.oo, sp.Integer(1)),
        condition="the norm is squared, d and Ṽ are held fixed as n grows, and I + ṼΣ ≠ 0",
        counterexample=points.share_at_optimum,
        depends_on=("prop-5.1",),
        note="Along the best A of each n the share tends to 0 for Σ₀ ≻ 0: ‖I + ṼΣ‖² is of order 1/n² there, "
        "the rest of order 1/n.  At the paper's own settings (d = 400, n = 400, 800, 1200) and A = ηΣ_U it "
        "is 22, 12, 8 %.",
    )
)
register(
    Statement(
        "sec-5-dominant.b",
        "Section 5, after (5.1)",
        "Focus on the dominant term: the A that minimises it is the A that minimises the post-test error",
        nt.Chain(nt.Argmin(RISK, ANY), nt.Argmin(nt.Frobenius(_MISS), ANY)),
        corrected=nt.Lines(
            nt.Chain(nt.Argmin(RISK, ANY), eta * Sigma),
            nt.Chain(nt.Argmin(RISK, ON_U), ON_SHIFT),
        ),
        condition="as limits n → ∞ at fixed d, Σ₀ ≻ 0; the second corrected form is for Σ₀ that commutes "
        "with P_U",
        counterexample=points.minimisers_apart,
        depends_on=("sec-5-dominant.a", "prop-4.3", "insight-1.b"),
        note="Σ_U = P_UΣ₀P_U + Δ.  At every finite n the two differ: on U, Ṽ_∞ = −Σ_U⁻¹ for the one and "
        "−((n+1)/n Σ_U + tr(Σ)/n)⁻¹ for the other, and the first has more risk than the simple A = ηΣ_U.  "
        "At the paper's settings 304.1, 169.7, 118.7 against 219.8, 143.2, 105.8.",
    )
)
register(
    Statement(
        "sec-5.1-operator",
        "Section 5.1, display",
        "The error operator on U = range(Δ) = range(A) in the population limit (I is that of U)",
        sp.Eq(P_U * _MISS * P_U, OPERATOR, evaluate=False),
        corrected=sp.Eq(P_U * _MISS * P_U, OPERATOR_TRUE, evaluate=False),
        condition=COMMUTES,
        counterexample=points.operator_on_shift,
        depends_on=("prop-4.3",),
        note="Necessary too: the lacking term is aK⁻¹B(aC+tI)⁻¹Bᵀ with K ≻ 0, zero only for B = 0, B the "
        "block of Σ₀ between U and its complement.",
    )
)
register(
    Statement(
        "sec-5.1-complement.a",
        "Section 5.1",
        "Outside range(Δ), Γ₀⁻¹Σ₀ ≈ I, by the definition of Γ₀: as n → ∞",
        nt.Tends(_OFF * Gamma0.I * Sigma0 * _OFF, n, sp.oo, _OFF),
        condition="d is fixed and range(Σ₀) contains the complement of U (Σ₀ ≻ 0 suffices)",
        counterexample=points.initial_on_complement,
        depends_on=("eq-3.6.a",),
        note="The running text of Section 5.2, Σ₀ = diag(ρ1_m, 0), violates it: Γ₀⁻¹Σ₀ = 0 on all of U^⊥.",
    )
)
register(
    Statement(
        "sec-5.1-complement.b",
        "Section 5.1",
        "If U = range(Δ), the residual I + ṼΣ on U^⊥ is negligible: it tends to 0 as n → ∞",
        nt.Tends(_OFF * _MISS * _OFF, n, sp.oo, sp.ZeroMatrix(d, d)),
        corrected=sp.Eq(_OFF * _MISS * _OFF, COMPLEMENT_TRUE, evaluate=False),
        condition=f"d is fixed, {COMMUTES} and is positive definite on U^⊥",
        counterexample=points.residual_on_complement,
        depends_on=("prop-4.3", "sec-5.1-complement.a"),
        note="Necessary too.  On the eigenspace c of such a Σ₀ it is (c + tr Σ₀)/((n+1)c + tr Σ₀): of order "
        "d/n, and 1 where c = 0.",
    )
)
register(
    Statement(
        "sec-5.1-complement.c",
        "Section 5.1",
        "The residual on U^⊥ is negligible beside that on U, where A acts (A ≈ ηΣ_U)",
        nt.Tends(_SHARES, n, sp.oo, sp.Integer(0)),
        corrected=nt.Lines(
            sp.Eq(P_U * _MISS * P_U, ON_U_LEVELS, evaluate=False),
            sp.Eq(_OFF * _MISS * _OFF, OFF_LEVELS, evaluate=False),
        ),
        assumptions=("A = η(P_UΣ₀P_U + Δ)", f"{COMMUTES}, positive definite on U^⊥"),
        counterexample=points.residuals_compared,
        consequences=("insight-1.a", "sec-5.2-interference.a"),
        depends_on=("sec-5.1-operator", "sec-5.1-complement.b"),
        note="Beside what, the print does not say; that it tends to 0 is sec-5.1-complement.b.  "
        "Σ_U = P_UΣ₀P_U + Δ.  Both fall like 1/n, and their ratio tends to a positive number, (1 + tr "
        "Σ₀/c)²/(1 + tr Σ_U/σ)² for one eigenvalue each.  At the paper's settings the squares are 25.3, "
        "9.4, 4.8 on U^⊥ against 22.4, 8.1, 4.1 on U, and 200 on U^⊥ with the Σ₀ of the running text.",
    )
)
register(
    Statement(
        "sec-5.1-allocation",
        "Section 5.1",
        "For large n the best A on U = range(Δ) is η(P_UΣ₀P_U + Δ)",
        nt.Tends(nt.Argmin(RISK, ON_U), n, sp.oo, eta * SIGMA_U),
        corrected=nt.Lines(
            sp.Eq(LYAPUNOV[0], LYAPUNOV[1], evaluate=False), nt.Chain(nt.Argmin(RISK, ON_U), FROM_Y)
        ),
        condition=f"d is fixed and {COMMUTES}",
        counterexample=points.best_on_shift,
        depends_on=("sec-5-dominant.b", "prop-4.3"),
        note="Σ_U = P_UΣ₀P_U + Δ.  The corrected form, Γ = (n+1)/n Σ + tr(Σ)/n I and Y = −P_UṼ_∞P_U, holds "
        "at every n where it is a covariance of range U, and is η(Σ_U + tr((I−P_U)Σ₀)/(n+1+m) P_U) if Σ₀ "
        "commutes with P_U: at the paper's settings 30, 18, 13 % above ηΣ_U.  The zero of the printed "
        "operator is 33, 20, 14 % below.",
    )
)
