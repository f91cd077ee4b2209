"""Section 5.1, hardness, and Insight 1: is data that is hard for the pretrained model the best?

Derived in :mod:`theory.allocation_words`, counterexamples in :mod:`theory.allocation_points`.  Notes:
``notes/allocation.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import allocation_points as points
from theory import notation as nt
from theory.allocation import ANY, COMMUTES, ON_U, P_U, RISK, V_inf
from theory.allocation_words import Gamma, alpha
from theory.notation import A, Gamma0, I, Sigma, d, eta, n
from theory.statement import Statement, register

P_W = nt.matrix("P_W", d, d, "P_{W}", symmetric=True)
apart = nt.matrix("V_inf + Gamma^-1", d, d, "D")
_HARD, _POST = (sp.Symbol(rf"L_{{\mathrm{{{when}}}}}") for when in ("pre", "post"))
_OFF = I - P_U
ERROR_TRUE = (
    nt.FrobeniusSquared(I - Gamma0.I * A)
    + (sp.Trace(Gamma0.I * A**2 * Gamma0.I) + sp.Trace(Gamma0.I * A * Gamma0.I) * sp.Trace(A)) / n
)
EXCESS = d - sp.Trace(Sigma * Gamma.I) + sp.Trace(apart * Sigma * Gamma * apart.T)
_A1, _A2 = (nt.matrix(f"A_{j}", d, d, f"A_{{{j}}}", symmetric=True) for j in (1, 2))

register(
    Statement(
        "sec-5.1-hardness.a",
        "Section 5.1, connection to hardness",
        "The pretrained model's error on prompts from N(0, A) is approximately ‖I − Γ₀⁻¹A‖_F²",
        nt.Tends(nt.Label(_HARD, A) / nt.FrobeniusSquared(I - Gamma0.I * A), n, sp.oo, sp.Integer(1)),
        corrected=sp.Eq(nt.Label(_HARD, A), ERROR_TRUE, evaluate=False),
        condition="d and A are fixed as n grows, Σ₀ ≻ 0 and A ≠ Σ₀",
        counterexample=points.error_ratio,
        depends_on=("prop-5.1", "eq-3.6.a"),
        note="At the paper's settings (n = 400, η = 1, A = ηΣ_U) it is 295.7, the error 583.3.",
    )
)
register(
    Statement(
        "sec-5.1-hardness.b",
        "Section 5.1, connection to hardness",
        "Γ₀⁻¹ takes its largest values on range(Δ)",
        sp.Ge(
            nt.Label(sp.Symbol(r"\lambda_{\min}"), P_U * Gamma0.I * P_U),
            nt.Label(sp.Symbol(r"\lambda_{\max}"), _OFF * Gamma0.I * _OFF),
            evaluate=False,
        ),
        assumptions=("range(Σ₀) and range(Δ) nearly orthogonal",),
        condition=f"{COMMUTES} and λ_max(Σ₀ on U) ≤ λ_min(Σ₀ on U^⊥): pretraining covers all of U^⊥ better",
        counterexample=points.largest_elsewhere,
        note="Orthogonal ranges alone do not give it: a direction of U^⊥ that pretraining lacks has a value "
        "as large.  With the Σ₀ of the running text, diag(ρ1_m, 0), Γ₀⁻¹ is largest on U^⊥.",
    )
)
register(
    Statement(
        "sec-5.1-hardness.c",
        "Section 5.1, connection to hardness",
        "Examples on range(Δ) carry the highest error: more than equal ones on a W ⊥ U of the same dimension",
        sp.Gt(nt.Label(_HARD, alpha * P_U), nt.Label(_HARD, alpha * P_W), evaluate=False),
        condition="tr((P_U−P_W)Γ₀⁻²) > 0 and α > (2/κ) tr((P_U−P_W)Γ₀⁻¹)/tr((P_U−P_W)Γ₀⁻²), κ = 1 + (m+1)/n",
        counterexample=points.easier_on_shift,
        depends_on=("prop-5.1", "sec-5.1-hardness.b"),
        note="Necessary too.  For Γ₀ = γ_U on U, γ_W on W it is α > HM(γ_U, γ_W)/κ, HM the harmonic mean; "
        "with the print's approximation κ = 1.  At the paper's settings, n = 400: η > 0.555; at η = 0.2 U "
        "is easier.",
    )
)
register(
    Statement(
        "insight-1.a",
        "Insight 1",
        "Post-training data aligned with Δ is the most effective: no other A has less post-test error",
        nt.Chain(nt.Argmin(RISK, ANY), nt.Argmin(RISK, ON_U)),
        corrected=nt.Chain(nt.Argmin(RISK, ANY), eta * Sigma),
        counterexample=points.best_over_all,
        consequences=("sec-5.2-interference.a", "abs-ii.b"),
        depends_on=("insight-1.b", "prop-4.3"),
        note="ηΣ is best among all Ṽ, for every Σ₀, Δ and n; for Σ ≻ 0 and U not everything no A on U is.  "
        "At the paper's settings A = ηΣ has 9, 7, 5 % less error than A = ηΣ_U at n = 400, 800, 1200.  "
        "What survives: if range(Σ₀) ⊂ U, ηΣ = ηΣ_U is on U; for Σ₀ ≻ 0 that commutes with P_U and fixed d "
        "the gap is of order 1/n² in an error of order 1/n; and at the paper's settings A = ηΣ_U is far "
        "better than the same data on U^⊥ (219.8 against 751.7 at n = 400).  If Σ₀ does not commute with "
        "P_U, the gap need not vanish, and the best A on U can be worse than no post-training.",
    )
)
register(
    Statement(
        "insight-1.b",
        "Insight 1",
        "Read as a rule: of two sets of post-training data the harder for the pretrained model is the more "
        "effective",
        sp.Implies(
            sp.Gt(nt.Label(_HARD, _A1), nt.Label(_HARD, _A2), evaluate=False),
            sp.Lt(nt.Label(_POST, _A1), nt.Label(_POST, _A2), evaluate=False),
            evaluate=False,
        ),
        corrected=nt.Listing(
            sp.Eq(nt.Label(_POST, A), EXCESS, evaluate=False),
            sp.Eq(apart, V_inf + Gamma.I, evaluate=False),
        ),
        counterexample=points.harder_and_worse,
        consequences=("insight-1.a", "abs-ii.b"),
        depends_on=("prop-4.3", "sec-5.1-hardness.a"),
        note="The rule is ours: the print explains hard as aligned with Δ, which is insight-1.a.  "
        "Γ = (n+1)/n Σ + tr(Σ)/n I.  What counts is how far Ṽ_∞(A) is from −Γ⁻¹, not how hard A is: "
        "the error is the same for all η at A/η fixed, while hardness changes its order with η; and among A "
        "of one trace the hardest is of rank one, where post-training does next to nothing.",
    )
)
