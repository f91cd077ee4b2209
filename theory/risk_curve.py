"""Proposition B.2 and Appendix D: the risk curve F(β) of Theorem B.1 at its ends, its spike and β = 0.

F is taken as printed, B.16 and B.17 included; where the corrected F differs, the note says so.  The same
questions about Ṽ_* itself: :mod:`theory.risk_curve_exact`.  Derived in :mod:`theory.risk_curve_formulas`,
counterexamples in :mod:`theory.risk_curve_points`.  Notes: ``notes/risk_curve.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory import risk_curve_points as points
from theory.block_symbols import (
    T12,
    Sigma,
    Sigma_bar,
    a,
    alpha,
    aspect,
    average,
    beta,
    delta,
    delta_tilde,
    k,
    kappa,
    mu,
    q,
    r,
    rho_pre,
    w,
)
from theory.notation import eta
from theory.risk_curve_formulas import (
    BIAS,
    DECAY,
    FLOOR,
    START,
    curve,
    inverse_trace,
    mean_square,
    variance,
)
from theory.statement import Statement, register

_INF = sp.Symbol(r"\uparrow \infty")
_INV = r"\mathrm{inv}"
C1, C2 = sp.symbols("C_1 C_2")


def F(at: sp.Expr) -> sp.Expr:
    """F(β), by name."""
    return nt.Label(sp.Symbol("F"), at)


def rate(name: str) -> sp.Expr:
    """A derivative at β = 0, by name."""
    return nt.Label(sp.Symbol(name), sp.Integer(0))


F_RATE, BIAS_RATE, Q_RATE, T12_RATE = (rate(x) for x in ("F'", r"\mathrm{Bias}'", "q'", "T_{12}'"))
W_RATE = {i: rate(f"w_{{{i}}}'") for i in (1, 2)}
INV_RATE, INV_S_RATE, VAR_S_RATE = (
    rate(rf"T_{{{name}}}'") for name in (_INV, rf"{_INV},\Sigma", r"\mathrm{var},\Sigma")
)
VAR_START = rate(r"T_{\mathrm{var}}")  # T_var(0), no derivative
RATES = {
    Q_RATE: q,
    T12_RATE: T12,
    W_RATE[1]: w[1],
    W_RATE[2]: w[2],
    INV_RATE: inverse_trace(Sigma[k] ** 2),
    INV_S_RATE: inverse_trace(Sigma[k]),
    VAR_S_RATE: variance(Sigma),
    BIAS_RATE: BIAS,
    F_RATE: curve(),
}  # what they are the derivatives of
BIAS_LIMIT = rate(r"\lim_{r \to 0^{+}} \mathrm{Bias}'")
V_OF = nt.Label(nt.scalar_symbol("V_noise", "V"), aspect)
BIG_O = nt.Label(sp.Symbol("O"), 1 / r)

_SPACE = ("0 < γ < ∞, the proportional regime", "r > 0", "0 < μ₁ < 1")
_WIDE_SHIFT = sp.Ge(mu[1], rho_pre**2 / (1 + rho_pre**2), evaluate=False)
_STRICT = "μ₁ > ρ²/(1 + ρ²), strictly"
_BELOW = sp.Lt(
    nt.Label(sp.Symbol(r"\min_{0 \leq \beta < 1}"), F(beta)),
    nt.Label(sp.Symbol(r"\lim_{\beta \to \infty}"), F(beta)),
    evaluate=False,
)

register(
    Statement(
        "prop-B.2-i.a",
        "Proposition B.2 (i)",
        "F diverges at β = 1, from either side",
        nt.Tends(F(beta), beta, sp.Integer(1), sp.oo),
        assumptions=_SPACE,
        depends_on=("thm-B.1",),
        note="|β − 1| F tends to the same C₂ on both sides.  For γ = 0 (n ≫ d) there is no spike: C₂ = 0.",
    )
)
register(
    Statement(
        "prop-B.2-i.b",
        "Proposition B.2 (i) and its proof",
        "F = C₁ + C₂/(β − 1) for β > 1, C₁ and C₂ strictly positive, so that F strictly decreases",
        nt.Lines(
            sp.Eq(F(beta), C1 + C2 / (beta - 1), evaluate=False),
            sp.Eq(C1, FLOOR, evaluate=False),
            sp.Eq(C2, DECAY, evaluate=False),
            nt.Listing(sp.Gt(C1, 0), sp.Gt(C2, 0)),
        ),
        assumptions=("β > 1", *_SPACE),
        depends_on=("thm-B.1",),
        note="C₂ = γη²ā(Σμ_k/a_k)(Σμ_k(Σ_k² + γΣ̄Σ_k)/a_k²).  Both need γ > 0: at γ = 0 F is constant for "
        "β > 1, C₂ = 0, and C₁ = μ₂(1 − η/r)² vanishes at r = η.",
    )
)
register(
    Statement(
        "prop-B.2-i.c",
        "Proposition B.2 (i)",
        "The asymptotic floor F(∞)",
        nt.Tends(F(beta), beta, sp.oo, FLOOR),
        assumptions=_SPACE,
        depends_on=("prop-B.2-i.b",),
        note="It is μ₂(1 − η/r)² + γΣ̄(μ₁/(ρ + 1) + μ₂η²/r²).",
    )
)
register(
    Statement(
        "prop-B.2-ii.a",
        "Proposition B.2 (ii)",
        "F(0) is the error of the pretrained model",
        sp.Eq(F(sp.Integer(0)), START, evaluate=False),
        assumptions=_SPACE,
        depends_on=("thm-B.1",),
    )
)
register(
    Statement(
        "prop-B.2-ii.b",
        "Proposition B.2 (ii) and its proof",
        "F(∞) − F(0) grows like 1/r²",
        sp.Eq(
            F(_INF) - F(sp.Integer(0)),
            sp.Add(eta**2 / r**2 * mu[2] * (1 + aspect * Sigma_bar), BIG_O, evaluate=False),
            evaluate=False,
        ),
        assumptions=("r → 0 at fixed μ₁, ρ, η, γ", *_SPACE),
        depends_on=("prop-B.2-i.c", "prop-B.2-ii.a"),
        note="The O(1/r) is −2ημ₂/r + const, exactly.  It is a property of F: for Ṽ_* itself the gap "
        "stays bounded as r → 0 (ext-curve.d).",
    )
)
register(
    Statement(
        "prop-B.2-ii.c",
        "Proposition B.2 (ii)",
        "For sufficiently small r the global minimum of F is at β < 1",
        _BELOW,
        assumptions=("r small", *_SPACE),
        depends_on=("prop-B.2-i.b", "prop-B.2-ii.b"),
        note="It holds for r ≤ r₀, η/r₀ = (1 + √(1 + (1+γΣ̄)D/μ₂))/(1+γΣ̄), D = F(0) − μ₂ − γΣ̄μ₁/(ρ+1) "
        "(for every r where the root is not real): then F(∞) ≥ F(0).  The minimum may be at β = 0, no "
        "fine-tuning: so it is with n = 600, the other settings those of Figure 5.",
    )
)
register(
    Statement(
        "prop-B.2-insight",
        "Appendix B, before Proposition B.2",
        "Under interference the minimum of the asymptotic error is in the regime of β < 1",
        _BELOW,
        assumptions=("interference, r ≠ 0", *_SPACE),
        condition="F(0) ≤ F(∞), for which r ≤ r₀ of prop-B.2-ii.c is enough",
        counterexample=points.large_sets_win,
        depends_on=("prop-B.2-ii.c",),
        note="At the settings of Figure 5, r = 0.1, it fails.  n = 1000: the least F below the spike is "
        "3.15 (3.28 corrected), F(∞) = 2.05; n = 5000: 3.65 (4.45) and 0.81.  It would hold for r < "
        "0.0828 and r < 0.0560 (corrected 0.0811, 0.0507; r₀ = 0.0809, 0.0304); for Ṽ_* itself see "
        "ext-curve.e.",
    )
)
register(
    Statement(
        "prop-B.2-iii",
        "Proposition B.2 (iii)",
        "If μ₁ ≥ ρ²/(1+ρ²), then F′(0) < 0 for sufficiently small r and γ",
        sp.Implies(_WIDE_SHIFT, sp.Lt(F_RATE, 0), evaluate=False),
        assumptions=("r < r₀, γ < γ₀", *_SPACE),
        condition=_STRICT,
        counterexample=points.slope_at_equality,
        depends_on=("app-D.c", "app-D-limit", "app-D-end.b"),
        note="F′(0) extends continuously to r = γ = 0, with −1/ρ² + μ₂/μ₁ there along every path: the "
        "strict inequality is enough, and the reverse one makes F′(0) > 0.  At equality F′(0) = C(ρ)γ − "
        "2r/(ηρ²) + …, C(ρ) > 0: positive for r ≪ γ.  All of this holds with B.16 and B.17 corrected, "
        "though F′(0) and C(ρ) are then others.",
    )
)
register(
    Statement(
        "app-D.a",
        "Appendix D (iii)",
        "The initial derivatives of q, w_k and T₁₂",
        nt.Lines(
            sp.Eq(mean_square, average(mu[k] * a[k] ** 2, 2), evaluate=False),
            nt.Listing(
                sp.Eq(Q_RATE, 1 / mean_square, evaluate=False),
                *(sp.Eq(W_RATE[i], a[i] ** 2 / mean_square, evaluate=False) for i in (1, 2)),
            ),
            sp.Eq(T12_RATE, mu[1] * mu[2] * a[1] ** 2 * a[2] ** 2 / mean_square**2, evaluate=False),
        ),
        depends_on=("eq-B.11", "eq-B.12"),
    )
)
register(
    Statement(
        "app-D.b",
        "Appendix D (iii)",
        "The initial derivative of the bias",
        sp.Eq(
            BIAS_RATE,
            average(mu[k] * a[k] ** 2 * (2 * alpha[k] * delta[k] + delta[k] ** 2), 2) / mean_square
            + mu[1] * mu[2] * a[1] ** 2 * a[2] ** 2 / mean_square**2
            * (delta_tilde[2] ** 2 - delta_tilde[1] ** 2)
            * (Sigma[1] ** 2 - Sigma[2] ** 2),
            evaluate=False,
        ),
        depends_on=("app-D.a", "eq-B.13"),
    )
)  # fmt: skip
register(
    Statement(
        "app-D.c",
        "Appendix D (iii)",
        "F′(0) = Bias′(0) + V(γ), and V(γ) → 0 as γ → 0",
        nt.Lines(
            sp.Eq(F_RATE, BIAS_RATE + V_OF, evaluate=False),
            sp.Eq(
                V_OF,
                aspect * (INV_RATE * VAR_START + Sigma_bar * VAR_S_RATE)
                + aspect**2 * Sigma_bar * INV_S_RATE * VAR_START,
                evaluate=False,
            ),
            nt.Tends(V_OF, aspect, sp.Integer(0), sp.Integer(0)),
        ),
        assumptions=("r > 0",),
        depends_on=("thm-B.1",),
        note="The print argues for each r > 0.  What (iii) needs, |V(γ)| ≤ Cγ for all r, γ ≤ 1 with one "
        "C, is true: V/γ is a polynomial in r, γ, rδ̃₂, g_k and 1/c, all bounded.  T′_var,Σ(0) by B.17 as "
        "printed is wrong; the true one has T′₁₂(0)(δ̃₂² − δ̃₁²)(Σ₁ − Σ₂) in it.",
    )
)
register(
    Statement(
        "app-D-limit",
        "Appendix D (iii)",
        "The initial derivative of the bias as r → 0",
        nt.Chain(
            BIAS_LIMIT,
            1 / (mu[1] * a[1] ** 2) * (mu[1] * a[1] ** 2 * -(alpha[1] ** 2) + mu[2] * eta**2)
            + mu[2] * eta**2 / (mu[1] * a[1] ** 2) * ((rho_pre + 1) ** 2 - 1),
            -(alpha[1] ** 2) + mu[2] / mu[1],
        ),
        depends_on=("app-D.b",),
    )
)
register(
    Statement(
        "app-D-end.a",
        "Appendix D (iii)",
        "α₁² falls from 1/ρ² as γ leaves 0",
        nt.Listing(
            sp.Eq(alpha[1], (kappa - 1) / (rho_pre + kappa), evaluate=False),
            sp.Lt(rate(r"\frac{d}{d\gamma} \alpha_{1}^{2}"), 0),
            sp.Eq(rate(r"\alpha_{1}^{2}"), 1 / rho_pre**2, evaluate=False),
        ),
        depends_on=("eq-B.7",),
        note="The derivative is −2(μ₁ρ + μ₂)(1 + ρ)/ρ³.",
    )
)
register(
    Statement(
        "app-D-end.b",
        "Appendix D (iii)",
        "From α₁²(0) = 1/ρ² ≥ μ₂/μ₁, by continuity: α₁² ≥ μ₂/μ₁ for small γ, so lim Bias′(0) < 0",
        sp.Implies(
            _WIDE_SHIFT,
            sp.And(
                sp.Ge(alpha[1] ** 2, mu[2] / mu[1]),
                sp.Lt(BIAS_LIMIT, 0),
            ),
            evaluate=False,
        ),
        assumptions=("γ > 0 small",),
        condition=_STRICT,
        counterexample=points.bias_at_equality,
        depends_on=("app-D-end.a", "app-D-limit"),
        note="By app-D-end.a itself α₁² < 1/ρ² for small γ > 0: at equality, μ₂/μ₁ = 1/ρ², it is below "
        "μ₂/μ₁.",
    )
)
