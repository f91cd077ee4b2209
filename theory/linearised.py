"""Appendix B: Ṽ_* to first order in E = Φ − AΩ, and what that says of the risk.

Derived in :mod:`theory.linearised_words`, one block in closed form in :mod:`theory.linearised_moments`,
counterexamples in :mod:`theory.linearised_points`.  Its bias is :mod:`theory.linearised_bias`, its noise
:mod:`theory.linearised_noise`.  Notes: ``notes/linearised.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import linearised_moments as moments
from theory import linearised_points as points
from theory import notation as nt
from theory.block_symbols import aspect
from theory.error_term_formulas import eq
from theory.finetuning import V_STAR
from theory.linearised_words import (
    BEYOND_RANGE,
    BEYOND_ROWS,
    M_PINV,
    OPERATOR,
    PI_M,
    PROJECTION,
    PROJECTION_TRUE,
    V_S,
    E,
)
from theory.notation import Gamma0, I, Phi, Sigma, V, d, n, w_star
from theory.risk import w_hat
from theory.statement import BEYOND, Statement, register

ERR = sp.Symbol(r"\mathrm{Err}")
LACKING = nt.matrix("V_lacking", d, d, r"V_{\perp}")
WELL_POSED = "|B − d| ≥ 2 and an invertible A"


def expansion(form: sp.Basic) -> sp.Expr:
    """The right side of a first-order statement, with what its further lines define put in."""
    if isinstance(form, nt.Lines):
        first, *rest = form.args
        return expansion(first).subs({line.args[0]: line.args[1] for line in rest})
    return form.args[1]


# Appendix B -------------------------------------------------------------------------------------------

register(
    Statement(
        "eq-B.3.a",
        "Eq. B.3, the projection",
        "ΦΦ† to first order in E, Φ = M + E, M = AΩ",
        nt.FirstOrder(Phi * nt.Pinv(Phi), PROJECTION, E),
        corrected=nt.FirstOrder(Phi * nt.Pinv(Phi), PROJECTION_TRUE, E),
        counterexample=points.projection,
        consequences=("eq-B.3.b", "eq-B.4.b"),
        note="M† changes by −M†EM† + (MᵀM)†Eᵀ(I−MM†) + (I−M†M)Eᵀ(MMᵀ)† as long as the rank stays; the "
        "print has the first term alone.  A projection is symmetric, so its change has to be.  For B ≥ "
        "rank A the range stays too, both corrections are zero and the print holds.",
    )
)
register(
    Statement(
        "eq-B.3.b",
        "Eq. B.3",
        "Ṽ_* to first order in E",
        nt.FirstOrder(V_STAR, OPERATOR, E),
        corrected=nt.Lines(
            nt.FirstOrder(V_STAR, OPERATOR + LACKING, E), eq(LACKING, BEYOND_RANGE + BEYOND_ROWS)
        ),
        counterexample=points.operator,
        consequences=("eq-B.4.b",),
        depends_on=("eq-B.3.a", "thm-4.1"),
        note="For an invertible A what is lacking is D_pre M†ᵀEᵀ(I−MM†), D_pre = Γ₀⁻¹ − ηA⁻¹: zero for B ≥ "
        "d, and of the size of the other terms for B < d.  For a singular A and B > rank A the last "
        "term of V_⊥ is not zero either.",
    )
)
register(
    Statement(
        "eq-B.4.a",
        "Eq. B.4",
        "(B.3) regrouped: V_S of order zero and V_N = −V_S EM† of order one",
        nt.Lines(
            eq(fm.V_S + fm.V_N, OPERATOR),
            eq(fm.V_S, V_S),
            eq(fm.V_N, -fm.V_S * E * M_PINV),
        ),
        depends_on=("eq-B.3.b",),
    )
)
register(
    Statement(
        "eq-B.4.b",
        "Eq. B.4",
        "V_S + V_N is the first-order approximation of Ṽ_*",
        nt.FirstOrder(V_STAR, fm.V_S + fm.V_N, E),
        corrected=nt.Lines(
            nt.FirstOrder(V_STAR, fm.V_S + fm.V_N + LACKING, E),
            eq(
                LACKING,
                (fm.V_S + Gamma0.I) * M_PINV.T * E.T * (I - PI_M) + BEYOND_ROWS,
            ),
        ),
        counterexample=points.relative_error,
        consequences=("fig-5.b", "insight-2"),
        depends_on=("eq-B.3.b", "eq-B.4.a"),
        note="Off by order ‖E‖, that is n^(−1/2), for B < d.  It is the approximation for B ≥ d and an "
        "invertible A.  Risks agree to first order in γ in neither case: ext-sft-linear.  Theorem B.1 is "
        "about V_S + V_N whatever that approximates.",
    )
)
TEST_ERROR = nt.Expectation(nt.FrobeniusSquared(I + V * Sigma)) / d + nt.Expectation(
    sp.Trace(V * Sigma**2 * V.T) + sp.Trace(V * Sigma * V.T) * sp.Trace(Sigma)
) / (n * d)
register(
    Statement(
        "eq-B.5",
        "Eq. B.5",
        "The test error over d: (5.1) averaged over the training data",
        nt.Chain(nt.Label(ERR, V), nt.Expectation(nt.NormSquared(w_hat - w_star)) / d, TEST_ERROR),
        assumptions=("the test prompt is independent of the training data", "W̃ = I, w_0 = 0"),
        depends_on=("prop-5.1",),
        note="n is here the length of the test prompt.  For B, rank A ≥ 2 the mean over training sets is "
        "finite, at Ṽ_* and at V_S + V_N, only if |B − rank A| ≥ 2.",
    )
)
NU = {
    name: nt.scalar_symbol(f"nu_{name}", rf"\nu_{{{text}}}")
    for name, text in (
        ("0", r"\Gamma_0"),
        ("1", r"\Delta"),
        ("A", "A"),
        ("joint", r"(\Gamma_0, \Delta, A)"),
    )
}
_LIMIT = sp.Symbol("f")


def _macroscopic(*spectra: sp.Symbol) -> nt.Tends:
    return nt.Tends(nt.Label(ERR, V_STAR), d, sp.oo, nt.Label(_LIMIT, *spectra))


register(
    Statement(
        "app-B-general.a",
        "Appendix B",
        "There is a limit for all Γ₀, Δ, A whose spectra converge weakly, with finite second moments",
        _macroscopic(),
        condition="the three commute and their joint spectral distribution converges; the eigenvalues stay "
        "bounded, and those of Γ₀, and of A where not 0, away from 0; β is not rank(A)/d",
        counterexample=points.one_small_eigenvalue,
        note="Weak convergence fixes neither tr(A)/d nor tr(A⁻²)/d, which the risk has.  If the three do not "
        "commute, traces such as tr(A²Γ₀⁻²Σ²)/d have to converge besides.",
    )
)
register(
    Statement(
        "app-B-general.b",
        "Appendix B",
        "The limit is a function of the separate spectral densities ν, not of the coordinates",
        _macroscopic(NU["0"], NU["1"], NU["A"]),
        corrected=_macroscopic(NU["joint"]),
        counterexample=points.swapped_levels,
        depends_on=("app-B-general.a",),
        note="It is one of the joint distribution: which eigenvalues belong to one direction.  The block "
        "formulas of Theorem B.1 use just that.",
    )
)

# Beyond the paper ---------------------------------------------------------------------------------------

_COMPLETE = nt.Label(ERR, fm.V_S + fm.V_N + LACKING)
_X_Y = "A = aI, Σ₀ = σ₀I, Σ = σI, x = ησ/a, y = σ/σ₀, one n for all prompts, γ = d/n"


def _excess(of: nt.Label, value: sp.Expr) -> nt.Tends:
    return nt.Tends((of - nt.Label(ERR, V_STAR)) / aspect, aspect, 0, value)


for part, title, of, value, where, text in (
    (
        "a",
        "Err(V_S + V_N), which is F(β), is not Err(Ṽ_*) to first order in γ for β < 1",
        fm.ERR,
        bs.beta * (moments.fit**2 - 2 * moments.fit + moments.start**2),
        "β < 1",
        "The difference is γβ((1−x)² + y² − 1).  V_N is kept in the square, where it is of order γ, and the "
        "terms of second order in E are not, whose product with I + V_SΣ is of the same order.",
    ),
    (
        "b",
        "Nor for β > 1, unless A = ηΣ",
        fm.ERR,
        2 * moments.fit * (moments.fit - 1),
        "β > 1",
        "There V_S + V_N is the first-order approximation.",
    ),
    (
        "c",
        "With the complete first-order approximation the difference is larger or smaller, but not zero",
        _COMPLETE,
        2 * bs.beta * (moments.fit**2 - moments.fit * moments.start - moments.fit + moments.start**2),
        "β < 1",
        "V_⊥, of eq-B.4.b, adds γβ(x−y)².  What is left is twice the product of I + V_SΣ with the mean of "
        "the terms of second order in E.",
    ),
):
    register(
        Statement(
            f"ext-sft-linear.{part}",
            BEYOND,
            title,
            _excess(of, value),
            assumptions=("d → ∞ first, then γ → 0", _X_Y, where),
            depends_on=("eq-B.4.b", "thm-B.1"),
            note=text,
        )
    )
