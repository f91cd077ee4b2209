"""Sections 6 and 7 on step sizes: where training starts, and how large a step gradient descent can take.

Small points in rationals: :mod:`theory.stability_points`.  Notes: ``notes/stability.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory import stability_points as points
from theory.allocation_words import Delta
from theory.notation import Gamma0, I, Sigma0, d, eta, k, n
from theory.pretraining import gamma0_printed
from theory.statement import BEYOND, Statement, register
from theory.words.poly import Matrix, identity, letter

a = nt.scalar_symbol("a_S", "a", positive=True)  # S |w*| at d = 1
x = nt.scalar_symbol("x_0", "x_0", real=True)  # 1 + ṼS at the start, d = 1
a_i = nt.scalar_symbol("a_{i}", "a_i", positive=True)
x_i = nt.scalar_symbol("x_{i}", "x_i", real=True)
now, after = sp.Symbol("x_t", positive=True), sp.Symbol("x_{t+1}", real=True)
curvature = nt.scalar_symbol("lambda_H", r"\lambda_{\max}(H)", positive=True)
radius = nt.scalar_symbol("rho_M", r"\rho(M)", positive=True)
constant = nt.scalar_symbol("C_step", "C", positive=True)
limit = nt.scalar_symbol("eta_max", r"\eta_{\max}", positive=True)

# Derivations ---------------------------------------------------------------------------------------


def transition() -> tuple[Matrix, Matrix]:
    """Γ₀(I − Γ₀⁻¹(Σ₀ + Δ)) with Γ₀ of (3.7), and −(Δ − (Σ₀ + tr(Σ₀)I)/n), for general Σ₀, Δ, n."""
    sigma0, delta = (letter(nt.letter_of(m)) for m in (Sigma0, Delta))
    spread = sigma0 + identity(d) * sigma0.trace()
    return gamma0_printed() - sigma0 - delta, spread * (1 / n) - delta


def margin() -> tuple[Matrix, Matrix]:
    """2Γ₀ − (Σ₀ + Δ), which is positive definite iff every eigenvalue of M at S = Σ is above −1, and
    (Γ₀ − Δ) + (Σ₀ + tr(Σ₀)I)/n."""
    gamma0, sigma0, delta = gamma0_printed(), *(letter(nt.letter_of(m)) for m in (Sigma0, Delta))
    spread = sigma0 + identity(d) * sigma0.trace()
    return gamma0 * 2 - sigma0 - delta, (gamma0 - delta) + spread * (1 / n)


def one_dimension() -> tuple[sp.Expr, sp.Expr]:
    """x′/x of a step of gradient descent on ½w²(1 + ṼS)^(2k), and the second derivative, general k."""
    V, S, w, at = sp.symbols("V S w x", positive=True)
    loss = w**2 * (1 + V * S) ** (2 * k) / 2
    there = {V: (at - 1) / S}
    slope, second = (sp.simplify(sp.diff(loss, V, order).subs(there)) for order in (1, 2))
    ratio = 1 - eta * S * slope / at
    of_ratio, of_second = (
        sp.powsimp(sp.simplify(e.subs(S, a / w).subs(at, sp.Abs(x)))) for e in (ratio, second)
    )
    return of_ratio, of_second


STEP_LIMIT = 2 / (k * a**2 * sp.Abs(x) ** (2 * k - 2))
EACH_LIMIT = STEP_LIMIT.subs({a: a_i, x: x_i})
CURVATURE = k * (2 * k - 1) * a**2 * sp.Abs(x) ** (2 * k - 2)


# Statements ----------------------------------------------------------------------------------------

_M = sp.Symbol("M")
_RHO = sp.Symbol(r"\rho")
_SPREAD = (Sigma0 + sp.Trace(Sigma0) * I) / n
_NEAR_SIGMA = "S → Σ: prompts long against the dimension"
_U_DELTA, _U_GAMMA = sp.Symbol(r"u^{\top} \Delta u"), sp.Symbol(r"u^{\top} \Gamma_0 u")
_SHIFT = nt.Label(_RHO, Gamma0.I * Delta)
_BALANCE = nt.scalar_symbol("kappa_Gamma", r"\kappa(\Gamma_0)", positive=True)
_GAIN = sp.Function("g_t")  # L_0/L_t
_SFT, _OS = (sp.Function(name) for name in (r"\eta_{\max}^{\mathrm{SFT}}", r"\eta_{\max}^{\mathrm{OS}}"))
_R1, _R2 = sp.symbols("rho_1 rho_2", positive=True)
_T1, _T2, _N1, _N2, _B1, _B2 = sp.symbols("t_1 t_2 n_1 n_2 B_1 B_2", positive=True)
_lambda = sp.Function(r"\lambda_{\max}")
_SCATTER = sp.Function(r"\operatorname{sd} \lambda_{\max}")
_ADDED = sp.Function(r"L_{1.2 \Sigma} - L_{\Sigma}")
_UNSTABLE = sp.Function(r"P_{\rho > 1}")

register(
    Statement(
        "sec-6-spectral.a",
        "Section 6, pretraining and generalization",
        "Near initialization M ≈ −Γ₀⁻¹Δ and ρ(M) ≈ ρ(Γ₀⁻¹Δ)",
        nt.Listing(
            nt.SameLimit(_M, -Gamma0.I * Delta),
            nt.SameLimit(nt.Label(_RHO, _M), nt.Label(_RHO, Gamma0.I * Delta)),
        ),
        corrected=nt.Chain(_M, Gamma0.I * (_SPREAD - Delta)),
        assumptions=("V = −Γ₀⁻¹", _NEAR_SIGMA),
        condition="n → ∞ in pretraining at fixed d and Σ₀ ≻ 0, so that tr(Σ₀)/n is small beside Δ",
        counterexample=points.wrong_side,
        depends_on=("eq-3.6.a",),
        note="Prompts long against the dimension in pretraining, too, and Σ₀ ≻ 0 are enough.  At Figure "
        "1's own n = d = 400 the print has ρ = 1.54 and M at S = Σ has 0.69; the prompts' own M_τ, S_τ "
        "being far from Σ at n = d, have about 4.2.  If the prompts come from A, as in Section 5, or from "
        "Δ, as in Figure 4, M is I − Γ₀⁻¹A, with eigenvalue 1 wherever A vanishes: then ρ(M) ≥ 1.",
    )
)
register(
    Statement(
        "sec-6-spectral.b",
        "Section 6, case 2",
        "To maintain stability the step size must satisfy η < 2/λ_max(H), H at the start",
        sp.Lt(eta, 2 / curvature, evaluate=False),
        corrected=nt.Listing(sp.Lt(eta, 2 * (2 * k - 1) / curvature, evaluate=False), sp.Eq(d, 1)),
        counterexample=points.too_cautious,
        consequences=("sec-6-spectral.c",),
        depends_on=("prop-6.1.b",),
        note="True at k = 1, where the loss is quadratic.  At d = 1 the corrected condition is necessary "
        "and sufficient; for long prompts and V that commutes with A it is sufficient.  Measured on "
        "sampled prompts: η_max is 2/3 to 4/3 of (2k − 1)·2/λ_max for most sets, for ρ(M) from 0.4 to "
        "10 and k up to 4, so 2/λ_max is too cautious by up to seven times.  Next to the minimum, at Σ₀ = Σ, "
        "η_max is still 1.6, 2.1, 2.7 times 2/λ_max at k = 2, 3, 4: the loss is flatter at its "
        "minimum than where training starts.",
    )
)
register(
    Statement(
        "sec-6-spectral.c",
        "Section 6, case 2",
        "The largest stable step falls like C/(k²ρ(M)^(2k−2))",
        sp.Eq(limit, constant / (k**2 * radius ** (2 * k - 2)), evaluate=False),
        corrected=sp.Eq(limit, constant / (k * radius ** (2 * k - 2)), evaluate=False),
        assumptions=("d = 1, or long prompts and V that commutes with A", "C does not depend on k and ρ"),
        counterexample=points.other_power,
        depends_on=("sec-6-spectral.b",),
        note="C = 2/a², a = S |w*|.  λ_max(H) itself is k(2k−1)a²ρ^(2k−2), k² up to a factor 2 − 1/k.  Of "
        "the two powers of k one is made up for by the steps that descent can take beyond 2/λ_max.",
    )
)
register(
    Statement(
        "sec-6-cases.a",
        "Section 6, case 1",
        "Γ₀ large in the directions where Δ is: training starts at ρ(M) < 1",
        sp.Implies(sp.Lt(_U_DELTA, _U_GAMMA, evaluate=False), sp.Lt(radius, 1, evaluate=False)),
        assumptions=("u eigenvectors of Δ", _NEAR_SIGMA, "Σ ≻ 0"),
        condition="Δ ≺ Γ₀ as matrices, not only along the eigenvectors of Δ, and S ≺ 2Γ₀ for every prompt",
        counterexample=points.not_along,
        depends_on=("sec-6-spectral.a",),
        note="At S = Σ exactly ρ(M) < 1 iff 0 ≺ Σ ≺ 2Γ₀, also where Σ₀ and Δ do not commute; Δ ≺ Γ₀ gives "
        "it.  For sampled prompts it takes more: Σ₀ = I, Δ = δI, d/n → c starts at ρ(M_τ) < 1 iff c < "
        "1 and (1+δ)(1+√c)² < 2(1+c), so at n = d for no δ > 0.  For n < d every M_τ has eigenvalue "
        "1.",
    )
)
register(
    Statement(
        "sec-6-cases.b",
        "Section 6, case 2",
        "ρ(Γ₀⁻¹Δ) ≫ 1, read as at least 2: training starts in the unstable region",
        sp.Implies(sp.Ge(_SHIFT, 2, evaluate=False), sp.Gt(radius, 1, evaluate=False)),
        assumptions=("V = −Γ₀⁻¹", _NEAR_SIGMA, "Σ₀ ≻ 0"),
        depends_on=("sec-6-spectral.a",),
        note="ρ(M) > ρ(Γ₀⁻¹Δ) − 1 at S = Σ.  Between 1 and 2 it may be stable: Figure 1 at n = 400 has "
        "1.54 and ρ(M) = 0.69.  Figure 4's Σ₀, with Δ on its weak fifth, reaches 2 only if the "
        "prompts of pretraining have n ≥ 206.",
    )
)
register(
    Statement(
        "insight-3.a",
        "Insight 3",
        "The curvature at the start falls with prompt length, and its scatter with the number of prompts",
        nt.Listing(
            sp.Lt(_lambda(_N2), _lambda(_N1), evaluate=False),
            sp.Lt(_SCATTER(_B2), _SCATTER(_B1), evaluate=False),
        ),
        assumptions=("n₂ > n₁, B₂ > B₁", "k ≥ 2"),
        qualitative=True,
        depends_on=("eq-6.1",),
        note="k = 3, d = 4, Δ/Γ₀ = 1.2: from n = 8 to 32 to 128 λ_max falls by factors of 18 and 4, as "
        "sampled S_τ have eigenvalues above those of Σ and ρ^(2k−2) magnifies them.  From B = 4 to "
        "128 its level hardly changes, its scatter falls from a factor of 2.5 to one of 1.3.  At k = "
        "1 n hardly matters (factors of 1.6 and 1.07), and B lowers the level, by 1.5 from 8 to 128.  "
        "Where ρ is large more prompts make the start sharper: d = 1, Ṽ = −3, n = 20, k = 4 has a median of "
        "4e2 at B = 1, 5e4 at B = 1024 (1.8e3 at n = ∞), as rare prompts carry the mean.",
    )
)
register(
    Statement(
        "insight-3.b",
        "Insight 3",
        "More gradient steps lower the curvature and what a shift of the test distribution adds to the error",
        nt.Listing(
            sp.Lt(_lambda(_T2), _lambda(_T1), evaluate=False),
            sp.Lt(_ADDED(_T2), _ADDED(_T1), evaluate=False),
        ),
        assumptions=("start at ρ(M) > 1", "k ≥ 2", "shift Σ → 1.2 Σ"),
        qualitative=True,
        depends_on=("eq-6.1",),
        note="From ρ = 3.4 at k = 2: curvature 203, 7.4, 2.3 after 0, 10, 100 steps.  Fails at k = 1, "
        "where the curvature is the same everywhere, and for starts at ρ(M) < 1 after the first 10 "
        "steps (0.63, rising to 0.81).  Relative to the error what a shift adds does not fall but "
        "rises, from 1.4 to 2.3 times the error.",
    )
)
register(
    Statement(
        "insight-4.a",
        "Insight 4",
        "At equal Σ and equally many steps the error reached is the lower the more of Δ was pretrained",
        sp.Implies(
            sp.Lt(_R1, _R2, evaluate=False),
            sp.Lt(sp.Function("L_t")(_R1), sp.Function("L_t")(_R2), evaluate=False),
            evaluate=False,
        ),
        assumptions=(
            "steps of (2k−1)/λ_max(H) at the start, about half the largest",
            "k ≥ 2",
            "ρ ≥ 1 at the start",
        ),
        qualitative=True,
        depends_on=("sec-6-cases.a",),
        note="k = 2, d = 4, 100 steps: 0.24, 0.24, 0.59, 9.6 from ρ = 0.5, 1.2, 3.4, 10.  Of the error "
        "reached: as for the improvement it is the reverse, factors of 8, 79, 1100 and 4100; at d = 1 "
        "the factor is the same from every start (ext-step-size.c).  Fails at k = 1, where the error "
        "reached is the same from all.",
    )
)
register(
    Statement(
        "insight-4.b",
        "Insight 4",
        "A high initial spectral radius makes training slow: the steps to ρ = 1 grow like ρ^(2k−2)",
        sp.Eq(sp.Function("t")(radius), constant * (radius ** (2 * k - 2) - 1) / (2 * k - 2), evaluate=False),
        assumptions=("a fixed fraction of the largest stable step", "k ≥ 2"),
        qualitative=True,
        depends_on=("ext-step-size.c",),
        note="Exponent measured to 0.2 at k = 2, 3.  At k = 1 the number of steps grows like log ρ only.",
    )
)
register(
    Statement(
        "insight-4.c",
        "Insight 4",
        "Read of the factor: equally many steps improve a task by the larger one the more was pretrained",
        sp.Implies(
            sp.Lt(_R1, _R2, evaluate=False), sp.Gt(_GAIN(_R1), _GAIN(_R2), evaluate=False), evaluate=False
        ),
        corrected=nt.Listing(sp.Eq(_GAIN(_R1), _GAIN(_R2), evaluate=False), sp.Eq(d, 1)),
        assumptions=("g_t = L_0/L_t", "an equal share of the largest stable step", "k ≥ 2"),
        counterexample=points.same_gain,
        consequences=("abs-iii.c",),
        depends_on=("ext-step-size.c",),
        note="The factor is our reading of “improving performance”.  Read of the error that is reached, or "
        "of the steps that it takes, Insight 4 is borne out: insight-4.a, insight-4.b.  At d = 1 the "
        "factor is the same from every start; in more dimensions the order measured is the reverse: after "
        "100 steps at k = 2 it is a factor of thousands from ρ = 10 and of eight from ρ = 0.5.  The far "
        "start gains more and still ends at the larger error.",
    )
)
register(
    Statement(
        "sec-6-practical.a",
        "Section 6, practical implications",
        "The step that the unstable directions force can be too small for progress in the others",
        sp.Le(1 - sp.Abs(after) / sp.Abs(now), 2 * (now / radius) ** (2 * k - 2), evaluate=False),
        assumptions=("long prompts, V that commutes with A", "equal a_i", "k ≥ 2"),
        qualitative=True,
        depends_on=("ext-step-size.b",),
        note="x_t one of the smaller eigenvalues of M.  It lasts only while ρ does: at fixed step the top "
        "direction falls to the others.  Nothing of it at k = 1.",
    )
)
register(
    Statement(
        "sec-6-practical.b",
        "Section 6, practical implications",
        "Many steps and prompts push the model into the stable region: fewer new prompts have ρ(M) > 1",
        sp.Lt(_UNSTABLE(_T2), _UNSTABLE(_T1), evaluate=False),
        assumptions=("t₂ > t₁ steps", "start at ρ(M) > 1", "n > d"),
        qualitative=True,
        depends_on=("insight-3.b",),
        note="Fails for n ≤ d: there ρ(M_τ) ≥ 1 for every V whatever.",
    )
)
register(
    Statement(
        "sec-7.a",
        "Section 7",
        "In novel subspaces the Hessian's norm grows like k²ρ^(2k−2)",
        sp.Eq(curvature, constant * k**2 * radius ** (2 * k - 2), evaluate=False),
        assumptions=("Σ₀ + Δ fixed, Γ₀ → 0 on the range of Δ",),
        qualitative=True,
        depends_on=("eq-6.1",),
        note="As an order of magnitude: the power 2k − 2 of ρ is measured to 5 % at condition numbers of "
        "Γ₀ from 10 to 100; the factor is k(2k−1) at d = 1, not k².  No escalation while ρ < 1, and "
        "none at k = 1.",
    )
)
register(
    Statement(
        "sec-7.b",
        "Section 7",
        "Balanced pretraining starts in the stable regime",
        sp.Implies(sp.Eq(_BALANCE, 1, evaluate=False), sp.Lt(radius, 1, evaluate=False), evaluate=False),
        assumptions=("κ the condition number", _NEAR_SIGMA, "Σ ≻ 0"),
        condition="Σ ≺ 2Γ₀: balance must come with a level of the size of Δ",
        counterexample=points.balanced_and_unstable,
        depends_on=("sec-6-cases.a",),
        note="Alignment decides, not balance: κ(Γ₀) = 1 with Σ₀ = I and Δ = 3I starts at ρ = 3, and Σ₀ = "
        "diag(1, 1/100) with Δ = diag(1/2, 0) at 1/2.  At finite n no Γ₀ is singular: λ_min(Γ₀) ≥ "
        "tr(Σ₀)/n, κ(Γ₀) ≤ n + 2.",
    )
)
register(
    Statement(
        "sec-7.c",
        "Section 7",
        "The alignment of Γ₀ and Δ limits the step of outcome supervision, and not that of fine-tuning",
        nt.Listing(
            sp.Eq(_SFT(_R1), _SFT(_R2), evaluate=False),
            sp.Implies(
                sp.Lt(_R1, _R2, evaluate=False), sp.Gt(_OS(_R1), _OS(_R2), evaluate=False), evaluate=False
            ),
        ),
        assumptions=("equal Σ, so that Γ₀ alone differs",),
        condition="k ≥ 2: with one step L_OS is quadratic, L_SFT at η = 1",
        counterexample=points.one_step_alike,
        depends_on=("thm-4.2.a", "ext-step-size.a"),
        note="Fine-tuning: 2B/(c_k λ_max(ΦΦᵀ)) whatever Γ₀ is.  There Γ₀ enters through the distance of "
        "the start and through what stays outside range Φ.",
    )
)

register(
    Statement(
        "ext-step-size.a",
        BEYOND,
        "The largest stable step at d = 1, and the basin of the minimum",
        sp.Eq(limit, STEP_LIMIT, evaluate=False),
        assumptions=("d = 1, B = 1 or equal S", "a² = S² mean(w*²)", "x₀ = 1 + ṼS at the start"),
        depends_on=("prop-6.1.b",),
        note="Descent converges for η < η_max, alternates between ±x₀ at it and diverges beyond: the basin "
        "of x = 0 is |x₀|^(2k−2) < 2/(k a² η).  For k ≥ 2 every step size converges from near enough.",
    )
)
register(
    Statement(
        "ext-step-size.b",
        BEYOND,
        "Long prompts, V that commutes with A: each eigenvalue on its own",
        sp.Eq(
            limit,
            2 / k * nt.Label(r"\min_{i}", EACH_LIMIT * k / 2),
            evaluate=False,
        ),
        assumptions=("population loss at n = ∞", "a_i eigenvalues of A", "x_i = 1 + v_i a_i", "least over i"),
        depends_on=("ext-step-size.a",),
        note="At least (2k − 1)·2/λ_max(H), as H has the eigenvalues k(2k−1)a_i²x_i^(2k−2) among others.",
    )
)
register(
    Statement(
        "ext-step-size.c",
        BEYOND,
        "At a fixed fraction of the largest stable step the factor gained does not depend on the start",
        sp.Eq(after / now, 1 - eta / limit * 2 * (now / x) ** (2 * k - 2), evaluate=False),
        assumptions=("d = 1",),
        depends_on=("ext-step-size.a",),
        note="x_t/x₀ is a function of t, k and η/η_max alone, and falls like (2(2k−2) t "
        "η/η_max)^(−1/(2k−2)): for k ≥ 2 no exponential convergence, but a power law.",
    )
)
