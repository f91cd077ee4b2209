"""The terms of Theorem B.1: Bias, T_var, T_var,Σ, the parts of Terms I and II, and their sum F(β).

Derived in :mod:`theory.error_term_words`, counterexamples in :mod:`theory.error_term_points`, in numbers
:func:`theory.first_order_limit.linearised_risk_limit`.  Notes: ``notes/error_terms.md``.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import error_term_points as points
from theory import error_term_words as words
from theory import notation as nt
from theory.block_symbols import T12, Sigma_bar, alpha, aspect, delta, delta_tilde, g, k, mu, s, w
from theory.error_term_formulas import (
    BIAS,
    LEAK,
    SUM,
    T11,
    T22,
    Bias,
    T_inv,
    T_inv_Sigma,
    T_var,
    T_var_Sigma,
    eq,
    limit,
    printed_variance,
    two,
    variance,
)
from theory.notation import Gamma0, Sigma, d
from theory.statement import BEYOND, Statement, register

INVERTIBLE = "A invertible (r > 0)"


def _expanded(total: sp.Symbol, X: sp.MatrixSymbol, third: Any) -> sp.Eq:
    """(C.32), (C.38): the trace of V_S X V_Sᵀ as three."""
    linear = sp.Trace(-(Gamma0.I) * X * fm.D_pre * fm.Pi)
    return eq(total, sp.Trace(Gamma0.I**2 * X) / d + 2 * linear / d + sp.Trace(third) / d)


# Bias -------------------------------------------------------------------------------------------------

register(
    Statement(
        "eq-B.13",
        "Eq. B.13",
        "The bias term",
        eq(Bias, BIAS),
        assumptions=(INVERTIBLE,),
        depends_on=("eq-B.7", "eq-C.14", "lem-C.1", "lem-C.2"),
    )
)
register(
    Statement(
        "eq-C.5",
        "Eq. C.5",
        "The first trace of the bias",
        nt.Chain(sp.Trace(fm.D_1**2) / d, two(mu[k] * alpha[k] ** 2)),
        depends_on=("eq-B.7.b",),
        note="In the limit: at finite d the levels of Γ₀ are off by terms of order 1/d.",
    )
)
register(
    Statement(
        "eq-C.11",
        "Eq. C.11",
        "The trace of (Π_kk)² from Π² = Π",
        eq(fm.T[k, k], mu[k] * w[k] - T12),
        depends_on=("eq-C.8",),
    )
)
register(
    Statement(
        "eq-C.12",
        "Eq. C.12",
        "The quadratic trace (1/d) tr(D_pre²ΠΣ²Π) of the bias",
        eq(
            fm.Quad,
            mu[1] * delta[1] ** 2 * w[1] + mu[2] * delta[2] ** 2 * w[2] + LEAK,
        ),
        depends_on=("eq-C.7", "eq-C.11"),
    )
)
register(
    Statement(
        "eq-C.13",
        "Eq. C.13",
        "The linear trace of the bias",
        limit(
            2 * sp.Trace(fm.D_1 * Sigma * fm.Pi * fm.D_pre) / d, 2 * two(mu[k] * alpha[k] * delta[k] * w[k])
        ),
        depends_on=("eq-C.6", "lem-C.1"),
    )
)
register(
    Statement(
        "eq-C.14",
        "Eq. C.14",
        "The limit of the squared norm of the error operator of V_S",
        limit(nt.FrobeniusSquared(fm.M_S) / d, BIAS),
        depends_on=("eq-C.5", "eq-C.12", "eq-C.13"),
    )
)

# T_var ------------------------------------------------------------------------------------------------

register(
    Statement(
        "eq-B.16",
        "Eq. B.16",
        "T_var, the limit of (1/d) tr(V_S Σ_A V_Sᵀ)",
        eq(T_var, printed_variance(s)),
        corrected=eq(T_var, variance(s)),
        assumptions=(INVERTIBLE,),
        counterexample=points.variance_of_noise,
        consequences=("thm-B.1", "eq-C.43", "fig-5.a"),
        depends_on=("eq-C.35.a", "lem-C.1", "lem-C.2"),
        note="The print lacks T₁₂(δ̃₁−δ̃₂)(δ̃₁s₂−δ̃₂s₁).  It is right where T₁₂ = 0, as for β > 1.",
    )
)
register(
    Statement(
        "eq-B.17",
        "Eq. B.17",
        "T_var,Σ, the limit of (1/d) tr(V_SΣV_Sᵀ)",
        eq(T_var_Sigma, printed_variance(bs.Sigma)),
        corrected=eq(T_var_Sigma, variance(bs.Sigma)),
        assumptions=(INVERTIBLE,),
        counterexample=points.variance_at_test,
        consequences=("thm-B.1", "eq-C.42", "fig-5.a"),
        depends_on=("eq-C.39", "lem-C.1", "lem-C.2"),
        note="The print lacks T₁₂(δ̃₁−δ̃₂)(δ̃₁Σ₂−δ̃₂Σ₁).",
    )
)
register(
    Statement(
        "eq-C.32.a",
        "Eq. C.32",
        "T_var expanded into three traces",
        _expanded(T_var, fm.Sigma_A, fm.D_pre * fm.Pi * fm.Sigma_A * fm.D_pre * fm.Pi),
        corrected=_expanded(T_var, fm.Sigma_A, fm.D_pre * fm.Pi * fm.Sigma_A * fm.Pi * fm.D_pre),
        counterexample=points.third_trace,
        consequences=("eq-C.35.a", "eq-B.16", "thm-B.1"),
        depends_on=("eq-C.2",),
        note="D_pre and Π do not commute, so that the third trace is the transpose's: ΠD_pre, not D_preΠ.",
    )
)
register(
    Statement(
        "eq-C.32.b",
        "After eq. C.32",
        "The first trace of T_var",
        limit(sp.Trace(Gamma0.I**2 * fm.Sigma_A), two(mu[k] * g[k] ** 2 * s[k])),
        corrected=limit(sp.Trace(Gamma0.I**2 * fm.Sigma_A) / d, two(mu[k] * g[k] ** 2 * s[k])),
        counterexample=points.first_trace,
        depends_on=("eq-B.8", "eq-B.9"),
        note="1/d is lacking.",
    )
)
register(
    Statement(
        "eq-C.32.c",
        "After eq. C.32",
        "The second trace of T_var",
        limit(
            2 * sp.Trace(-(Gamma0.I) * fm.Sigma_A * fm.D_pre * fm.Pi) / d,
            2 * two(mu[k] * g[k] * delta_tilde[k] * s[k] * w[k]),
        ),
        depends_on=("eq-B.8", "eq-B.9", "lem-C.1"),
    )
)
_THIRD = sp.Trace(fm.D_pre * fm.Pi * fm.Sigma_A * fm.D_pre * fm.Pi) / d
register(
    Statement(
        "eq-C.33",
        "Eq. C.33",
        "The trace (1/d) tr(D_pre ΠΣ_A D_pre Π) in traces of blocks",
        nt.Chain(
            fm.Quad,
            _THIRD,
            delta_tilde[1] ** 2 * s[1] * T11
            + delta_tilde[2] ** 2 * s[2] * T22
            + delta_tilde[1] * delta_tilde[2] * (s[1] + s[2]) * T12,
        ),
        note="True of the trace that it names, which is not the one in T_var (eq-C.32.a).",
    )
)
register(
    Statement(
        "eq-C.34",
        "Eq. C.34",
        "The same trace by T_kk = μ_k w_k − T₁₂",
        nt.Chain(
            fm.Quad,
            _THIRD,
            two(mu[k] * delta_tilde[k] ** 2 * s[k] * w[k])
            - T12
            * (
                delta_tilde[1] ** 2 * s[1]
                + delta_tilde[2] ** 2 * s[2]
                - delta_tilde[1] * delta_tilde[2] * s[1]
                - delta_tilde[1] * delta_tilde[2] * s[2]
            ),
        ),
        depends_on=("eq-C.33", "eq-C.11"),
        note="So is the factorisation of the bracket, (δ̃₁−δ̃₂)(δ̃₁s₁−δ̃₂s₂), true.",
    )
)
register(
    Statement(
        "eq-C.35.a",
        "Eq. C.35",
        "T_var, as the proof ends",
        eq(T_var, printed_variance(s)),
        corrected=eq(T_var, variance(s)),
        counterexample=points.variance_of_noise,
        consequences=("eq-B.16", "eq-C.43", "thm-B.1"),
        depends_on=("eq-C.32.a", "eq-C.34"),
    )
)
register(
    Statement(
        "eq-C.35.b",
        "After eq. C.35",
        "The noise part of Term I is the product of T_inv and T_var",
        limit(
            nt.Expectation(nt.FrobeniusSquared(fm.V_N * Sigma), "E") / d,
            T_inv * T_var,
        ),
        corrected=limit(
            nt.Expectation(nt.FrobeniusSquared(fm.V_N * Sigma), "E") / d,
            aspect * T_inv * T_var,
        ),
        counterexample=points.noise,
        depends_on=("eq-C.19",),
        note="γ is lacking, which C.19 and Theorem B.1 have.  T_inv and T_var stand for the traces here, not "
        "for (C.28) and (C.35).",
    )
)
register(
    Statement(
        "eq-C.38",
        "Eq. C.38",
        "T_var,Σ expanded into three traces",
        _expanded(T_var_Sigma, Sigma, fm.D_pre * fm.Pi * Sigma * fm.D_pre * fm.Pi),
        corrected=_expanded(T_var_Sigma, Sigma, fm.D_pre * fm.Pi * Sigma * fm.Pi * fm.D_pre),
        counterexample=points.third_trace_at_test,
        consequences=("eq-C.39", "eq-B.17", "thm-B.1"),
        depends_on=("eq-C.2",),
        note="As in eq-C.32.a.",
    )
)
register(
    Statement(
        "eq-C.39",
        "Eq. C.39",
        "T_var,Σ, as the proof ends",
        eq(T_var_Sigma, printed_variance(bs.Sigma)),
        corrected=eq(T_var_Sigma, variance(bs.Sigma)),
        counterexample=points.variance_at_test,
        consequences=("eq-B.17", "eq-C.42", "thm-B.1"),
        depends_on=("eq-C.38",),
    )
)

# The sum ----------------------------------------------------------------------------------------------

_SIGNAL_EQ = eq(fm.SIGNAL, aspect * Sigma_bar * T_var_Sigma)
_NOISE_EQ = eq(fm.NOISE, aspect**2 * Sigma_bar * T_inv_Sigma * T_var)
register(
    Statement(
        "eq-C.42",
        "Eq. C.42",
        "The signal part of Term II, with T_var,Σ of (C.39)",
        nt.Lines(_SIGNAL_EQ, eq(T_var_Sigma, printed_variance(bs.Sigma))),
        corrected=nt.Lines(_SIGNAL_EQ, eq(T_var_Sigma, variance(bs.Sigma))),
        counterexample=points.signal,
        consequences=("thm-B.1",),
        depends_on=("eq-C.39", "eq-C.36"),
        note="The first line is true of the trace (1/d) tr(V_SΣV_Sᵀ); what (C.39) puts in for it is not.",
    )
)
register(
    Statement(
        "eq-C.43",
        "Eq. C.43",
        "The noise part of Term II, with T_var of (C.35)",
        nt.Lines(_NOISE_EQ, eq(T_var, printed_variance(s))),
        corrected=nt.Lines(_NOISE_EQ, eq(T_var, variance(s))),
        counterexample=points.noise_at_test,
        consequences=("thm-B.1",),
        depends_on=("eq-C.35.a", "eq-C.40", "eq-B.15"),
        note="The first line is true of the traces; what (C.35) puts in for T_var is not.",
    )
)


def _theorem(form: Any) -> nt.Lines:
    return nt.Lines(limit(fm.ERR, SUM), eq(Bias, BIAS), eq(T_var, form(s)), eq(T_var_Sigma, form(bs.Sigma)))


register(
    Statement(
        "thm-B.1",
        "Theorem B.1",
        "The limit F(β) of the post-test error of the first-order V_S + V_N",
        _theorem(printed_variance),
        corrected=_theorem(variance),
        assumptions=("B/d → β", "m/d → μ₁", "d/n → γ", INVERTIBLE),
        counterexample=points.total,
        consequences=("fig-5.a",),
        depends_on=("eq-B.13", "eq-B.14", "eq-B.15", "eq-B.16", "eq-B.17", "eq-C.1", "eq-C.19", "eq-C.37"),
        note="T_inv and T_inv,Σ as in (B.14), (B.15).  The print is right at β = 0, for β > 1 and in "
        "Bias, which is what Proposition B.2 rests on.  At the setting of Figure 5, n = 1000, it is 16 % low "
        "at B = 300, and its least value over β < 1 is at β = 0.245 in place of 0.07.",
    )
)
_ERR_K = nt.Lines(
    limit(fm.ERR, SUM),
    eq(Bias, words.BIAS_K),
    eq(T_var, words.T_VAR_K),
    eq(T_var_Sigma, words.T_VAR_SIGMA_K),
    eq(T_inv, words.inverse_trace(bs.Sigma[k] ** 2)),
    eq(T_inv_Sigma, words.inverse_trace(bs.Sigma[k])),
)
register(
    Statement(
        "ext-first-order-limit",
        BEYOND,
        "The limit of the post-test error of V_S + V_N for K blocks",
        _ERR_K,
        assumptions=(INVERTIBLE, "0 < β < 1", "w_k and v_k = w_k(1−w_k) from Σ μ_k w_k = β"),
        depends_on=("thm-B.1", "lem-C.1", "lem-C.2"),
        note="For β > 1: w_k = 1, the products of two sums with v vanish, T_inv = Σ μ_kΣ_k²/a_k²/(β−1).",
    )
)
