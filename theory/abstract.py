"""The abstract and the conclusion: latent capabilities, small and challenging sets, large-scale data.

Each sentence is read as forms on the exact objects.  Points in rationals: :mod:`theory.abstract_points`.
Notes: ``notes/abstract.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import abstract_points as points
from theory import notation as nt
from theory.allocation import P_U, V_inf
from theory.allocation_words import Gamma
from theory.interference import err, least
from theory.notation import B, Gamma0, I, Sigma, d, eta, k
from theory.statement import Statement, register

_SOURCE = "Abstract, conclusion"
PRE, POST, HARD = (sp.Symbol(rf"L_{{\mathrm{{{name}}}}}") for name in ("pre", "post", "SFT, pre"))
CONDITION_NUMBER = sp.Symbol(r"\kappa")
balanced, unbalanced = (
    nt.matrix(f"Sigma_0{x}", d, d, rf"\Sigma_{{0}}^{{\mathrm{{{x}}}}}", symmetric=True)
    for x in ("bal", "unb")
)
ON, OFF = nt.matrix("E_U", d, d, "E"), nt.matrix("F_off", d, d, "F")
A1, A2 = (nt.matrix(f"A_{j}", d, d, f"A_{{{j}}}", symmetric=True) for j in (1, 2))
B1, B2 = sp.symbols("B_1 B_2", positive=True)
RANK = nt.scalar_symbol("rank_A", r"\mathrm{rank}(A)", positive=True)
KEPT = sp.Symbol(r"\mathrm{kept}")
L0, LT, L1 = (nt.scalar_symbol(f"L_{t}", f"L_{t}", positive=True) for t in "0t1")
D, D1, D2 = (nt.scalar_symbol(f"D{j}", f"D{j and '_' + j}", positive=True) for j in ("", "1", "2"))
GAIN = sp.Function("g")  # L_0/L_1
a = nt.scalar_symbol("a_S", "a", positive=True)  # S |w*| at d = 1


def _implies(one: sp.Basic, other: sp.Basic) -> sp.Implies:
    return sp.Implies(one, other, evaluate=False)


def _square_in(M: sp.MatrixExpr) -> sp.Expr:
    """tr(M ΣΓ Mᵀ), the distance from −Γ⁻¹ that the risk is made of."""
    return sp.Trace(M * Sigma * Gamma * M.T)


_AFTER = d - sp.Trace(Sigma * Gamma.I) + _square_in(ON) + _square_in(OFF)
_AT_ONE_STEP = "d = 1, one prompt or equal S", "a² = S² mean(w*²)"
DIFFICULT = (2 / (k * a**2 * eta)) ** (k / (k - 1))

register(
    Statement(
        "abs-i.a",
        _SOURCE,
        "Balanced pretraining data can induce latent capabilities that post-training activates: more error "
        "before, less after",
        nt.Listing(
            sp.Eq(sp.Trace(balanced), sp.Trace(unbalanced), evaluate=False),
            sp.Lt(
                nt.Label(CONDITION_NUMBER, balanced), nt.Label(CONDITION_NUMBER, unbalanced), evaluate=False
            ),
            sp.Gt(nt.Label(PRE, balanced), nt.Label(PRE, unbalanced), evaluate=False),
            sp.Lt(nt.Label(POST, balanced), nt.Label(POST, unbalanced), evaluate=False),
        ),
        assumptions=("for some Σ₀, Σ and A", "error on prompts from one Σ", "one A of rank below d"),
        depends_on=("prop-4.3", "prop-5.1"),
        note="n = 1, Σ = diag(10, 2), A = diag(10, 0): 154/45 before and 86/45 after for Σ₀ = diag(3, 1), "
        "9/2 and 76/45 for 2I.  Post-training orders pretraining data by what they leave outside range(A), "
        "the pretrained error by the sum of both parts: abs-i.b.  The same for every B ≥ rank(A).",
    )
)
register(
    Statement(
        "abs-i.b",
        _SOURCE,
        "As a rule: of pretraining data of one trace the balanced, Σ₀ = (tr/d) I, leave least after "
        "post-training",
        _implies(
            sp.Eq(sp.Trace(balanced), sp.Trace(unbalanced), evaluate=False),
            sp.Lt(nt.Label(POST, balanced), nt.Label(POST, unbalanced), evaluate=False),
        ),
        corrected=nt.Listing(
            sp.Eq(nt.Label(POST, Gamma0), _AFTER, evaluate=False),
            sp.Eq(ON, (V_inf + Gamma.I) * P_U, evaluate=False),
            sp.Eq(OFF, (Gamma.I - Gamma0.I) * (I - P_U), evaluate=False),
        ),
        condition="Σ is a multiple of I on U^⊥, U = range(A); Σ ⪰ Σ₀, both commute with P_U; the "
        "unbalanced Σ₀ has more than its share dim(U)/d of the trace on U",
        counterexample=points.more_elsewhere,
        depends_on=("abs-i.a", "insight-1.b"),
        note="Corrected for every Σ₀ if Σ commutes with P_U: only F knows Σ₀.  So what counts is not "
        "balance but how near Γ₀ is to Γ outside U: an uneven test wants uneven pretraining, and more "
        "trace off U beats balance.  Of Σ ⪰ Σ₀ it takes Σ ⪰ (tr/d) I alone.  For invertible A nothing of "
        "Σ₀ is left, and there is nothing latent.",
    )
)
register(
    Statement(
        "abs-ii.a",
        _SOURCE,
        "SFT learns best from a small set: some B < rank(A) has less risk than B → ∞, and than none",
        nt.Listing(
            sp.Lt(least(r"\mathrm{rank}(A)/d"), err(sp.oo), evaluate=False),
            sp.Lt(least(r"\mathrm{rank}(A)/d"), err(sp.Integer(0)), evaluate=False),
        ),
        assumptions=("d, n, B → ∞ in proportion",),
        condition="the first prompts help, Err′(0) < 0, and Ṽ_∞ has more risk than −Γ₀⁻¹: by tr((Ṽ + "
        "Γ⁻¹)ΣΓ(Ṽ + Γ⁻¹)ᵀ) it is farther from −Γ⁻¹; never at A = ηΣ, one prompt length, where Ṽ_∞ = −Γ⁻¹",
        counterexample=points.best_is_large,
        depends_on=("insight-2", "insight-1.b", "ext-curve.a", "ext-curve.c"),
        note="At A = ηΣ no training set of any size is as good as B → ∞, realization by realization, for "
        "every Σ₀ and n; for range(A) = U and Σ that commutes with P_U the same at the best A on U.  Small "
        "sets are best for data off the optimum: A/η = diag(3, 2/5, 1/5) for Σ = diag(3, 2, 1) has 1.68 d "
        "at the best B, 2.06 d before, 4.34 d at B → ∞, and A = ηΣ ends at 0.27 d.  Where pretraining is "
        "nearer to −Γ⁻¹ (there n_pre = d: 0.45 d) no set is better than none.  Sufficient, not necessary: "
        "insight-2.",
    )
)
register(
    Statement(
        "abs-ii.b",
        _SOURCE,
        "SFT learns best from challenging examples: of two sets the harder for the pretrained model ends "
        "lower",
        _implies(
            sp.Gt(nt.Label(HARD, A1), nt.Label(HARD, A2), evaluate=False),
            sp.Lt(nt.Label(POST, A1), nt.Label(POST, A2), evaluate=False),
        ),
        assumptions=("difficulty: E‖ηw* + ṼSw*‖², the supervised loss of −Γ₀⁻¹", "B → ∞"),
        condition="A_j = ηΣP_j of one rank, P_j projections that commute with Σ, and n → ∞ at fixed d",
        counterexample=points.harder_and_worse,
        depends_on=("insight-1.b", "sec-5.1-hardness.a"),
        note="There the gain is the difficulty: L_post = L_pre + d − m − (difficulty of A)/η², for every "
        "Σ₀.  Elsewhere it fails at equal trace and rank, and by the error of outcomes as difficulty "
        "(insight-1.b).",
    )
)
register(
    Statement(
        "abs-ii.c",
        _SOURCE,
        "Larger SFT sets dilute the pretraining signal: less of −Γ₀⁻¹ is left in Ṽ_*",
        _implies(
            sp.Lt(B1, B2, evaluate=False),
            sp.Lt(nt.Label(KEPT, B2), nt.Label(KEPT, B1), evaluate=False),
        ),
        corrected=sp.Eq(nt.Label(KEPT, B), d - sp.Min(B, RANK), evaluate=False),
        assumptions=("kept(B) = ‖∂Ṽ_*/∂(Γ₀⁻¹)[I]‖_F² = ‖I − ΦΦ†‖_F²", "almost surely"),
        condition="B₁ < rank(A)",
        counterexample=points.no_further,
        depends_on=("thm-4.1",),
        note="One direction a prompt up to B = rank(A), then none: what is outside range(A) is never "
        "diluted, and sets beyond rank(A) dilute no further.  All is forgotten from B = d on where A is "
        "invertible.  Whether that costs anything is abs-ii.a.",
    )
)
register(
    Statement(
        "abs-iii.a",
        _SOURCE,
        "Outcome supervision is most effective on large-scale data: every B < rank(A) has more risk than B "
        "→ ∞",
        sp.Gt(least(r"\mathrm{rank}(A)/d"), err(sp.oo), evaluate=False),
        assumptions=("risk at the depth k of training", "global minimisers of L_OS"),
        condition="the training prompts are the test's own: A = Σ, one length (any k)",
        counterexample=points.few_are_better,
        depends_on=("ext-os-finite.a", "abs-ii.a"),
        note="At A = Σ the population's loss is half the test error, so nothing is below its minimum; the "
        "excess falls like 1/B (ext-os-finite.i, .j), with a pole at B = rank(A) at k = 1 "
        "(ext-os-finite.b).  At k = 1 this is fine-tuning at η = 1: where abs-ii.a holds there, this "
        "fails.  What separates small from large is the data, not the loss.",
    )
)
register(
    Statement(
        "abs-iii.b",
        _SOURCE,
        "… and on data not overly difficult for the pretrained model: a bound below which the error falls, "
        "beyond which it rises",
        nt.Listing(
            _implies(sp.Lt(D, DIFFICULT, evaluate=False), sp.Lt(LT, L0, evaluate=False)),
            _implies(sp.Gt(D, DIFFICULT, evaluate=False), sp.Gt(LT, L0, evaluate=False)),
        ),
        assumptions=(
            "D > 0 the error of the pretrained model over w*²",
            "steps of one size η",
            *_AT_ONE_STEP,
        ),
        condition="k ≥ 2",
        counterexample=points.no_bound,
        depends_on=("ext-step-size.a",),
        note="Beyond it the error grows at every step.  The bound falls with k, η and the level of the "
        "data.  At k = 1 there is none: the largest step is 2/a² for every difficulty.",
    )
)
register(
    Statement(
        "abs-iii.c",
        _SOURCE,
        "… the less difficult the more effective: the error falls by the larger factor on the easier data",
        _implies(
            sp.Lt(D1, D2, evaluate=False),
            sp.Gt(GAIN(D1), GAIN(D2), evaluate=False),
        ),
        corrected=sp.Eq(L1 / L0, (1 - k * a**2 * eta * D ** (1 - 1 / k)) ** (2 * k), evaluate=False),
        assumptions=("g = L_0/L_1 of a step", "one step size for all data", *_AT_ONE_STEP),
        condition="k ≥ 2 and D₁ ≥ (1/(ka²η))^(k/(k−1)), the difficulty that one step solves",
        counterexample=points.harder_gains_more,
        depends_on=("abs-iii.b", "insight-4.c"),
        note="Below that difficulty the harder data gain more, and data that the model solves gain "
        "nothing.  With a step in proportion to each largest one the factor is the same for all "
        "(ext-step-size.c).",
    )
)
