"""Proposition B.2 asked of Ṽ_* itself: the slope at β = 0, the floor and the minimum of its exact limit.

The curve of ext-limit.j for K blocks; that (i) holds for it is ext-limit.k to m.  Fine-tuning puts in the
levels −η/(a_k + γā); c_k = a_k² + γāa_k, and x_k = Σ_k² + γΣ̄Σ_k is the weight of a squared level.
Notes: ``notes/risk_curve.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory import risk_curve_points as points
from theory.block_symbols import (
    Sigma,
    Sigma_bar,
    a,
    alpha,
    aspect,
    average,
    beta,
    c,
    explicit,
    family,
    g,
    k,
    kappa,
    mu,
    q,
    r,
    rho_pre,
    v,
    w,
)
from theory.notation import eta
from theory.risk_curve_formulas import in_numbers
from theory.statement import BEYOND, Statement, register

gain = family("gain", "x")
post_mean = nt.scalar_symbol("a_bar", r"\bar{a}", positive=True)
column_mean = nt.scalar_symbol("c_bar", r"\bar{c}", positive=True)
miss = nt.scalar_symbol("N_miss", "N", positive=True)  # lim (1/d)E‖Γ₀⁻¹Sw − ηw‖²
_SHIFTED = a[k] + aspect * post_mean
MEANING = {
    gain: Sigma[k] ** 2 + aspect * Sigma_bar * Sigma[k],
    c: a[k] ** 2 + aspect * post_mean * a[k],
}
MISS = average(mu[k] * (eta**2 + 2 * eta * a[k] * g[k] + c[k] * g[k] ** 2))
LEFT_OPEN = average(mu[k] * aspect * post_mean / _SHIFTED)  # r̄, the variance of w* that Sw* leaves open


def in_levels(expression: sp.Expr, blocks: int) -> sp.Expr:
    """An expression in c_k, x_k and the means in terms of μ_k, a_k, Σ_k, g_k, η, γ alone."""
    body = explicit(expression.xreplace({miss: MISS}), blocks)
    names = {base[i]: meaning.subs(k, i) for base, meaning in MEANING.items() for i in range(1, blocks + 1)}
    means = {
        column_mean: average(mu[k] * MEANING[c]),
        post_mean: average(mu[k] * a[k]),
        Sigma_bar: average(mu[k] * Sigma[k]),
    }
    body = body.xreplace(names)
    for symbol, mean in means.items():  # c̄ holds ā
        body = body.xreplace({symbol: explicit(mean, blocks)})
    return body


_CHANGE = -eta / _SHIFTED - g[k]
PLAIN = average(  # in w_k alone: what is left at Π = 0 and at Π = I without noise
    mu[k]
    * (
        1 + 2 * g[k] * Sigma[k] + g[k] ** 2 * gain[k]
        + 2 * _CHANGE * (Sigma[k] + g[k] * gain[k]) * w[k] + _CHANGE**2 * gain[k] * w[k] ** 2
    )
)  # fmt: skip
_HEARD = average(mu[k] * gain[k] * v[k]) / average(mu[k] * v[k])  # the mean of x under the weights μ_kv_k


def limit_curve() -> sp.Expr:
    """lim Err(Ṽ_*) below the spike for K blocks, in w_k, v_k and q."""
    return PLAIN + (average(mu[k] * _CHANGE**2 * v[k]) + eta**2 * LEFT_OPEN * q) * _HEARD


def of_q(expression: sp.Expr, blocks: int) -> sp.Expr:
    """w_k = c_kq/(1 + c_kq) and v_k = w_k(1 − w_k) put in, without a 0/0 at q = 0; c_k kept."""
    scale = sp.Symbol("scale", positive=True)
    spots = range(1, blocks + 1)
    body = explicit(expression, blocks).xreplace({v[i]: scale * c[i] / (1 + c[i] * q) ** 2 for i in spots})
    body = body.replace(lambda e: e.is_Add and all(x.has(scale) for x in e.args), sp.factor_terms)
    return body.xreplace({scale: q} | {w[i]: c[i] * q / (1 + c[i] * q) for i in spots})


def slope_at_zero(blocks: int) -> sp.Expr:
    """d/dβ of :func:`limit_curve` at β = 0, differentiated, in c_k, x_k and the levels."""
    share = average(mu[k] * c[k] * q / (1 + c[k] * q))
    rates = [sp.diff(of_q(one, blocks), q).subs(q, 0) for one in (limit_curve(), share)]
    return rates[0] / rates[1]


SLOPE = (
    miss / column_mean**2 * average(mu[k] * c[k] * gain[k])
    - 2 / column_mean * average(mu[k] * (eta * a[k] + c[k] * g[k]) * (Sigma[k] + g[k] * gain[k]))
)  # fmt: skip
START = average(mu[k] * (alpha[k] ** 2 + aspect * Sigma_bar * Sigma[k] * g[k] ** 2), 2)
FLOOR = average(
    mu[k] * ((1 - eta * Sigma[k] / _SHIFTED) ** 2 + aspect * Sigma_bar * Sigma[k] * (eta / _SHIFTED) ** 2),
    2,
)
_SHRINK = 1 / (1 + aspect * mu[1])
_ALPHA = (1 - kappa) / (rho_pre + kappa)  # −α₁
SLOPE_LIMIT = (
    1 - _ALPHA**2 + _SHRINK * (1 / mu[1] - 2)
    + aspect * Sigma_bar / Sigma[1] * (_SHRINK / mu[1] - Sigma[1] ** 2 / (rho_pre + kappa) ** 2)
)  # fmt: skip


def expanded(expression: sp.Expr, blocks: int) -> sp.Expr:
    """Normal form, in the shifted levels t_k = a_k + γā and γā: c_k = a_kt_k, a_k = t_k − γā, Σμ_k = 1."""
    t = sp.symbols(f"t_1:{blocks + 1}", positive=True)
    noise = sp.Symbol("y", positive=True)
    spots = range(1, blocks + 1)
    body = explicit(expression.xreplace({miss: MISS}), blocks)
    mean = explicit(average(mu[k] * c[k]), blocks)
    body = body.xreplace({a[i] + aspect * post_mean: t[i - 1] for i in spots})
    body = body.xreplace({mean: column_mean}).xreplace({aspect * post_mean: noise})
    body = body.xreplace({c[i]: a[i] * t[i - 1] for i in spots}).xreplace({aspect: noise / post_mean})
    body = sp.expand(body).xreplace({a[i]: t[i - 1] - noise for i in spots})
    return sp.expand(sp.expand(body).xreplace({mu[blocks]: 1 - sum(mu[i] for i in spots[:-1])}))


def at_equality() -> sp.Expr:
    """d/dγ at 0 of :data:`SLOPE_LIMIT` for μ₁ = ρ²/(1 + ρ²), in ρ."""
    body = in_numbers(SLOPE_LIMIT)
    rate = sp.diff(body.subs(mu[1], rho_pre**2 / (1 + rho_pre**2)), aspect).subs(aspect, 0)
    return sp.factor(rate)


# Statements --------------------------------------------------------------------------------------------

_SPACE = ("one n for post-training, pretraining and test, d/n → γ > 0",)
_PAPER = ("the setting of Appendix B", *_SPACE)
_INF = sp.Symbol(r"\uparrow \infty")
ERROR_SLOPE = nt.Label(sp.Symbol(r"\mathrm{Err}_{*}'"), sp.Integer(0))

_BY_GAMMA = r"\lim_{\gamma \to 0} \frac{1}{\gamma} \lim_{r \to 0} \mathrm{Err}_{*}'"


def error(at: sp.Expr) -> sp.Expr:
    """lim Err(Ṽ_*) at β."""
    return nt.Label(sp.Symbol(r"\mathrm{Err}_{*}"), at)


register(
    Statement(
        "ext-curve.a",
        BEYOND,
        "What the first prompts do: the slope at β = 0 of lim Err(Ṽ_*), K blocks",
        nt.Lines(
            sp.Eq(ERROR_SLOPE, SLOPE, evaluate=False),
            nt.Listing(
                sp.Eq(miss, MISS, evaluate=False),
                sp.Eq(column_mean, average(mu[k] * c[k]), evaluate=False),
            ),
            nt.Listing(*(sp.Eq(base[k], meaning, evaluate=False) for base, meaning in MEANING.items())),
        ),
        assumptions=_SPACE,
        depends_on=("ext-limit.j",),
        note="A may be singular.  No random-matrix theory is needed: it is the law of large numbers at B "
        "= 1, where Ṽ_* = −Γ₀⁻¹ + (Γ₀⁻¹φ − ηw)φᵀ/‖φ‖².  At Figure 5 (a) it is −3.95, where F′(0) = −0.99 "
        "as printed and −0.33 corrected: the linearisation loses most of what the first prompts do.",
    )
)
register(
    Statement(
        "ext-curve.b",
        BEYOND,
        "The slope at β = 0 of lim Err(Ṽ_*) in the paper's setting, as r → 0 at fixed γ",
        nt.Tends(ERROR_SLOPE, r, sp.Integer(0), SLOPE_LIMIT),
        assumptions=_PAPER,
        depends_on=("ext-curve.a",),
        note="At γ = 0 it is −α₁² + μ₂/μ₁, the paper's limit of Bias′(0).",
    )
)
register(
    Statement(
        "ext-curve.c",
        BEYOND,
        "Proposition B.2 (iii) for Ṽ_* itself: slope < 0 for all small r and γ if and only if μ₁ > ρ²/(1+ρ²)",
        nt.Lines(
            nt.Chain(
                nt.Label(sp.Symbol(r"\lim_{r, \gamma \to 0} \mathrm{Err}_{*}'"), sp.Integer(0)),
                -1 / rho_pre**2 + mu[2] / mu[1],
            ),
            sp.Implies(
                sp.Eq(mu[1], rho_pre**2 / (1 + rho_pre**2), evaluate=False),
                sp.Eq(nt.Label(sp.Symbol(_BY_GAMMA), sp.Integer(0)), at_equality(), evaluate=False),
                evaluate=False,
            ),
        ),
        assumptions=_PAPER,
        depends_on=("ext-curve.b",),
        note="The limit is the same along every path: the slope has no pole at r = γ = 0.  The second "
        "line is the case of equality: the slope is that number times γ, less 2r/(ηρ²), to first order, "
        "so positive for r ≪ γ.",
    )
)
register(
    Statement(
        "ext-curve.d",
        BEYOND,
        "Proposition B.2 (ii) for Ṽ_* itself: the gap has η/(a_k + γā) where that of F has η/a_k",
        sp.Eq(error(_INF) - error(sp.Integer(0)), FLOOR - START, evaluate=False),
        assumptions=("r > 0", *_PAPER),
        depends_on=("ext-limit.l", "ext-limit.n", "prop-B.2-ii.b"),
        note="It grows without bound as r and γ go to 0 together, like μ₂η²/(r + γā)², not as r → 0 alone.",
    )
)
register(
    Statement(
        "ext-curve.e",
        BEYOND,
        "Proposition B.2 (ii) for Ṽ_* itself: for sufficiently small r the error is least at β < 1",
        sp.Lt(
            nt.Label(sp.Symbol(r"\min_{0 \leq \beta < 1}"), error(beta)),
            nt.Label(sp.Symbol(r"\lim_{\beta \to \infty}"), error(beta)),
            evaluate=False,
        ),
        assumptions=("r small", *_PAPER),
        condition="γ is small too: r < r₀ and γ < γ₀; enough is Err_*(0) < Err_*(∞)",
        counterexample=points.small_r_is_not_enough,
        depends_on=("ext-curve.d", "ext-limit.m", "prop-B.2-ii.c"),
        note="The exact criterion is the inequality itself, one on the roots of a polynomial in q.  At "
        "the other settings of Figure 5 it holds for r < 0.0183 (n = 1000) and r < 0.0395 (n = 5000), not "
        "at its r = 0.1.",
    )
)
