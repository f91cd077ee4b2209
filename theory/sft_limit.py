"""The exact limit of the post-test risk of fine-tuning, Err(Ṽ_*), as d, n and B grow in proportion.

Beyond arXiv:2603.01293, whose Appendices B to D treat a linearised Ṽ and two blocks.  Derived in
:mod:`theory.sft_limit_calculus`, in numbers in :mod:`theory.proportional`.  Notes: ``notes/proportional.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory import sft_limit_calculus as calculus
from theory.block_symbols import (
    Sigma,
    Sigma_bar,
    a,
    aspect,
    average,
    beta,
    family,
    k,
    mu,
    r,
    rho_pre,
    v,
    w,
)
from theory.finetuning import V_STAR
from theory.notation import A, Gamma0, I, Omega, Phi, S, d, eta, n, w_star
from theory.population import SECOND_MOMENT
from theory.sft_limit_calculus import a_bar, rank
from theory.statement import BEYOND, Statement, register

# Symbols ------------------------------------------------------------------------------------------

root = nt.matrix("A^(1/2)", d, d, "A^{1/2}", symmetric=True)
u_hat = nt.matrix("u_hat", d, 1, r"\hat{u}")
h = nt.matrix("h", d, 1, "h")
H = nt.matrix("H_normal", d, nt.B, "H")
ideal = nt.matrix("Phi_0", d, nt.B, r"\Phi_{0}")
L = nt.matrix("L", d, d, "L")
C = nt.matrix("C", d, d, "C", symmetric=True)
V_S = nt.matrix("V_S_phi", d, d, "V_{S}")
V_R = nt.matrix("V_R_phi", d, d, "V_{R}")
F, G = (nt.matrix(f"{name}_diagonal", d, d, name, symmetric=True) for name in "FG")
Pi = nt.matrix("Pi_phi", d, d, r"\Pi", symmetric=True)
norm_u = nt.scalar_symbol("norm_u", r"\left\| u \right\|", positive=True)
chi_square = nt.scalar_symbol("chi_square", "c", positive=True)
xi = nt.scalar_symbol("xi", r"\xi", real=True)
along, across = nt.scalar_symbol("s_tau", "s", real=True), nt.scalar_symbol("t_tau", "t", positive=True)
scale = nt.scalar_symbol("s_scale", "s", positive=True)
f, x = family("f_trace", "f"), family("g_trace", "g")
limit = nt.Label(sp.Symbol(r"\mathrm{Err}_{\infty}"), beta)
ERR = nt.Label(sp.Symbol(r"\mathrm{Err}"), V_STAR)

PROPORTION = "d, n, B → ∞ with B/d → β, d/n → γ, and d/n → γ_pre, γ_test in pretraining and test"
BLOCKS = "A, Σ₀, Σ are diagonal with K blocks of share μ_k and levels a_k, p_k, Σ_k; Σ₀ ≠ 0; γ > 0 or A ≻ 0"
BELOW = "β < rank(A)/d"
SETTING = (PROPORTION, BLOCKS)


def _eq(left: sp.Basic, right: sp.Basic) -> sp.Eq:
    return sp.Eq(left, right, evaluate=False)


def _listing(table: dict[sp.Basic, sp.Expr]) -> nt.Listing:
    return nt.Listing(*(_eq(name, value) for name, value in table.items()))


def _lim(of: sp.Basic, value: sp.Expr) -> nt.Tends:
    return nt.Tends(of, d, sp.oo, value)


# One column ---------------------------------------------------------------------------------------

register(
    Statement(
        "ext-limit.a",
        BEYOND,
        "The law of a column of Φ given w*, from d + 1 numbers in place of dn",
        _eq(
            S * w_star,
            norm_u / n * root * (chi_square * u_hat + sp.sqrt(chi_square) * (I - u_hat * u_hat.T) * h),
        ),
        assumptions=(
            "equality in law, jointly with w*",
            "u = A^{1/2}w*, û = u/‖u‖, c ~ χ²_n and h ~ N(0, I) independent of w*",
        ),
        depends_on=("prop-5.1",),
        note="One c in both places.  Any A ⪰ 0, any n; Sw* = 0 where u = 0.",
    )
)
register(
    Statement(
        "ext-limit.b",
        BEYOND,
        "A column of Φ is nearly Gaussian: two scalar factors, and their effect on Φ",
        nt.Lines(
            _eq(S * w_star, along * A * w_star + across * root * h),
            nt.Listing(
                _eq(along, (chi_square - sp.sqrt(chi_square) * xi) / n),
                _eq(across, norm_u * sp.sqrt(chi_square) / n),
            ),
            nt.Listing(
                _eq(ideal, A * Omega + sp.sqrt(aspect * a_bar) * root * H),
                _lim(nt.OperatorNorm(Phi - ideal) / sp.sqrt(d), sp.Integer(0)),
            ),
        ),
        assumptions=(*SETTING, "ξ = ûᵀh ~ N(0, 1)", "H = [h_1 … h_B]"),
        depends_on=("ext-limit.a",),
        note="E(s − 1)² = 3/n, and t² has mean tr(A)/n and variance of order 1/n; the largest of B such "
        "factors is off by O(√(log d/d)) almost surely.  Of Φ not being Gaussian the proof needs no more.",
    )
)

# The pair (w*, Sw*) -------------------------------------------------------------------------------

_mean = nt.MatrixExpectation
_open = w_star - L * S * w_star

register(
    Statement(
        "ext-limit.c",
        BEYOND,
        "The covariance of (w*, Sw*), and its levels in the limit",
        nt.Lines(
            _eq(_mean(w_star * (S * w_star).T), A),
            nt.Chain(C, _mean(S * w_star * (S * w_star).T), SECOND_MOMENT),
            _lim((1 + aspect / d) * a[k] ** 2 + aspect * a_bar * a[k], a[k] * (a[k] + aspect * a_bar)),
        ),
        assumptions=("the first two are exact at every d, n",),
        depends_on=("eq-A.wishart2", "prop-4.3-proof.b"),
    )
)
register(
    Statement(
        "ext-limit.d",
        BEYOND,
        "The regression of w* on Sw*: L = AC†, and what it leaves open",
        nt.Lines(
            nt.Listing(_eq(L, A * nt.Pinv(C)), _eq(_mean(_open * (S * w_star).T), sp.ZeroMatrix(d, d))),
            _eq(_mean(_open * _open.T), I - A * nt.Pinv(C) * A),
        ),
        assumptions=("exact at every d, n, A singular or not",),
        depends_on=("ext-limit.c",),
        note="In the limit L has the levels 1/(a_k + γā), 0 where a_k = 0, and the remainder γā/(a_k + γā).",
    )
)
_onto = Phi * nt.Pinv(Phi)
register(
    Statement(
        "ext-limit.e",
        BEYOND,
        "Ṽ_* in two parts: one a function of the projection Π = ΦΦ†, one linear in R = Ω − LΦ",
        _eq(
            V_STAR,
            -eta * L * _onto - Gamma0.I * (I - _onto) - eta * (Omega - L * Phi) * nt.Pinv(Phi),
        ),
        assumptions=("any L, d, B",),
        depends_on=("thm-4.1",),
        note="With Φ₀ of ext-limit.b in the place of Φ, and L the regression on it, R is independent of Φ₀.",
    )
)

# Limits of the parts ------------------------------------------------------------------------------

_inverse = nt.Pinv(Phi * Phi.T / d)
_ofF, _ofG = average(mu[k] * v[k] * f[k]), average(mu[k] * v[k] * x[k])
_spread = average(mu[k] * v[k])

register(
    Statement(
        "ext-limit.f",
        BEYOND,
        "The traces of Π = ΦΦ† and of the pseudo-inverse of ΦΦᵀ/d",
        nt.Lines(
            calculus.ROOT,
            _listing(calculus.SHARES),
            _lim(sp.Trace(F * Pi) / d, average(mu[k] * f[k] * w[k])),
            _lim(
                sp.Trace(F * Pi * G * Pi) / d,
                average(mu[k] * f[k] * x[k] * w[k] ** 2) + _ofF * _ofG / _spread,
            ),
            _lim(sp.Trace(F * _inverse) / d, calculus.inverse(f[k])),
        ),
        assumptions=(*SETTING, BELOW, "F, G are diagonal with block levels f_k, g_k", "c_k = a_k(a_k + γā)"),
        depends_on=("ext-limit.b", "ext-limit.c"),
        note="Above the rank Π = AA† and the last is Σ μ_k f_k/c_k over a_k > 0, divided by β − rank(A)/d.",
    )
)
_parts = (*SETTING, BELOW, "g_k, L_k, ψ_k, r̄ as in ext-limit.j; V_S = −ηLΠ − Γ₀⁻¹(I − Π)")
register(
    Statement(
        "ext-limit.g",
        BEYOND,
        "The bias",
        _lim(nt.FrobeniusSquared(I + V_S * nt.Sigma) / d, calculus.BIAS),
        assumptions=_parts,
        depends_on=("ext-limit.e", "ext-limit.f"),
    )
)
register(
    Statement(
        "ext-limit.h",
        BEYOND,
        "The signal in the sampling of the test prompts",
        _lim(sp.Trace(V_S * nt.Sigma * V_S.T) / d, calculus.SIGNAL),
        assumptions=_parts,
        depends_on=("ext-limit.e", "ext-limit.f"),
        note="It enters with γ_test Σ̄.",
    )
)
_noise = eta**2 * calculus.r_bar
register(
    Statement(
        "ext-limit.i",
        BEYOND,
        "The noise of V_R = −η(Ω − LΦ)Φ†, in the error and in the sampling of the test prompts",
        nt.Listing(
            _lim(nt.FrobeniusSquared(V_R * nt.Sigma) / d, _noise * calculus.inverse(Sigma[k] ** 2)),
            _lim(sp.Trace(V_R * nt.Sigma * V_R.T) / d, _noise * calculus.inverse(Sigma[k])),
        ),
        assumptions=_parts,
        depends_on=("ext-limit.d", "ext-limit.e", "ext-limit.f"),
        note="r̄ is the mean variance of w* that Sw* leaves open; the cross terms with V_S vanish.",
    )
)

# The theorem --------------------------------------------------------------------------------------

_levels = dict(calculus.LEVELS)
_risks = {name: _levels.pop(name) for name in (calculus.risk_before[k], calculus.risk_after[k])}
_second = {key: _levels.pop(key) for key in (calculus.psi[k], calculus.chi[k])}
DEFINITIONS = (
    {key: value for key, value in calculus.SCALARS.items() if key != calculus.r_bar},
    {calculus.r_bar: calculus.SCALARS[calculus.r_bar]},
    _levels,
    _second,
    _risks,
)
register(
    Statement(
        "ext-limit.j",
        BEYOND,
        "The limit of the post-test error of Ṽ_*: β below rank(A)/d = β_A, and above",
        nt.Lines(
            _lim(ERR, calculus.sft_risk_limit_expr()),
            _lim(ERR, calculus.sft_risk_limit_expr(past_rank=True)),
            *map(_listing, DEFINITIONS),
            nt.Listing(calculus.ROOT, *_listing(calculus.SHARES).args),
        ),
        assumptions=(
            *SETTING,
            "β ≠ rank(A)/d",
            "above it w_k = c_k c†_k: 1 where a_k > 0, else 0; c†_k = 1/c_k or 0",
        ),
        depends_on=("ext-limit.g", "ext-limit.h", "ext-limit.i", "prop-5.1", "thm-4.1"),
        note="In probability given the training prompts, for γ > 0 also in the mean.  R⁰_k is the error of "
        "the pretrained model in a block, R^∞_k that of fine-tuning on infinitely many prompts.",
    )
)
register(
    Statement(
        "ext-limit.k",
        BEYOND,
        "The spike: at β_A = rank(A)/d, with the same coefficient on both sides",
        nt.Tends(sp.Abs(beta - rank) * limit, beta, rank, calculus.EXCESS),
        assumptions=SETTING,
        depends_on=("ext-limit.j",),
        note="Nowhere else: the limit is continuous at every other β > 0.  No spike if γ = 0 and A ≻ 0.",
    )
)
register(
    Statement(
        "ext-limit.l",
        BEYOND,
        "The two ends: the pretrained model, and the population limit of fine-tuning",
        nt.Lines(
            nt.Tends(limit, beta, sp.Integer(0), average(mu[k] * calculus.risk_before[k])),
            nt.Tends(limit, beta, sp.oo, average(mu[k] * calculus.risk_after[k])),
        ),
        assumptions=(*SETTING, "A ≻ 0 in the second; where a_k = 0 it keeps R⁰_k"),
        depends_on=("ext-limit.j", "prop-4.3"),
        note="The second is the limit d → ∞ of the error of Ṽ_∞ of (4.2): the two limits commute.",
    )
)
register(
    Statement(
        "ext-limit.m",
        BEYOND,
        "Above the rank the error falls like 1/(β − β_A)",
        _eq(sp.Derivative(limit, beta), -calculus.EXCESS / (beta - rank) ** 2),
        assumptions=(*SETTING, "β > rank(A)/d"),
        depends_on=("ext-limit.j",),
        note="Strictly decreasing iff r̄ Σ_k μ_k c†_k χ_k > 0: Σ is not zero on range(A), and γ > 0 "
        "or A is singular.",
    )
)
_LARGE = nt.Label(sp.Symbol(r"\lim_{\beta \to \infty} \mathrm{Err}_{\infty}"), beta)
_one, _two = mu[1], mu[2]
_start = 1 / (aspect * _one * (1 + rho_pre))
SMALL_R = (
    _one * (1 - 1 / (1 + aspect * _one)) ** 2
    + _two * (1 - _start) ** 2
    + aspect * Sigma_bar * (_one / ((1 + rho_pre) * (1 + aspect * _one) ** 2) + _two * _start**2)
)
register(
    Statement(
        "ext-limit.n",
        BEYOND,
        "Strong interference does not make the large-B error infinite: A = diag(η(ρ+1)1_m, r1), r → 0",
        nt.Tends(_LARGE, r, sp.Integer(0), SMALL_R),
        assumptions=("Σ₀ = diag(ρ1_m, 1), Σ = diag((ρ+1)1_m, 1)", "γ = γ_test > 0"),
        depends_on=("ext-limit.l",),
        note="The sampling of the prompts keeps ηL₂ = η/(r + γā) finite.  The F(∞) of Proposition B.2 grows "
        "like η²/r².  At a fixed β > 1 the error does grow, like 1/r, by its part C₂/(β − 1).",
    )
)
register(
    Statement(
        "ext-limit.o",
        BEYOND,
        "Ṽ_* depends on η and A through A/η alone",
        nt.Chain(nt.Label(V_STAR, scale * eta, scale * A), nt.Label(V_STAR, eta, A)),
        assumptions=("in law, at every d, n, B; prompt by prompt for √s X in the place of X", "s > 0"),
        depends_on=("thm-4.1",),
        note="So does the limit.  A rate η asks for data ηΣ at every B, not only at B = ∞.",
    )
)
