"""The risk curve F(β) of Theorem B.1 as the paper prints it, for two blocks: its ends and its slope at β = 0.

B.10 to B.17 as functions of q, and the same with B.16 and B.17 corrected: where T₁₂ = 0 (β = 0, β > 1)
the two agree, their slopes at β = 0 do not.  Statements: :mod:`theory.risk_curve`.  Notes:
``notes/risk_curve.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import notation as nt
from theory.block_symbols import (
    T12,
    Sigma,
    Sigma_bar,
    a,
    alpha,
    aspect,
    average,
    delta,
    delta_tilde,
    explicit,
    g,
    k,
    kappa,
    mu,
    q,
    r,
    rho_pre,
    s,
    w,
)
from theory.notation import eta

mean_square = nt.scalar_symbol("c_mean", "c", positive=True)  # c = μ₁a₁² + μ₂a₂² of Appendix D

# As printed -------------------------------------------------------------------------------------------

BETA = average(mu[k] * a[k] ** 2 * q / (1 + a[k] ** 2 * q), 2)  # B.11
BIAS = average(  # B.13
    mu[k] * (alpha[k] ** 2 * (1 - w[k]) + (alpha[k] + delta[k]) ** 2 * w[k]), 2
) + T12 * (delta_tilde[2] ** 2 - delta_tilde[1] ** 2) * (Sigma[1] ** 2 - Sigma[2] ** 2)


def inverse_trace(x: sp.Expr, above: bool = False) -> sp.Expr:
    """T_inv of B.14 (x = Σ_k²) and B.15 (Σ_k) for β < 1, or times β − 1 for β > 1."""
    over = average(mu[k] * x / a[k] ** 2 * (1 if above else w[k] ** 2), 2)
    return over if above else q * over / average(mu[k] / a[k] ** 2 * w[k] ** 2, 2)


def variance(x: sp.IndexedBase, corrected: bool = False) -> sp.Expr:
    """T_var of B.16 (x = s) and B.17 (Σ), as printed or with the T₁₂ term that the derivation yields."""
    plain = average(mu[k] * x[k] * (g[k] ** 2 * (1 - w[k]) + (g[k] + delta_tilde[k]) ** 2 * w[k]), 2)
    one, two = delta_tilde[1], delta_tilde[2]
    if corrected:
        return plain + T12 * (two**2 - one**2) * (x[1] - x[2])
    return plain - T12 * (one - two) * (one * x[1] - two * x[2])


def curve(corrected: bool = False) -> sp.Expr:
    """F of B.10 for β < 1, in w_k, T₁₂ and q."""
    T_inv, T_inv_S = inverse_trace(Sigma[k] ** 2), inverse_trace(Sigma[k])
    T_var, T_var_S = variance(s, corrected), variance(Sigma, corrected)
    noise = aspect * T_inv * T_var + aspect**2 * Sigma_bar * T_inv_S * T_var
    return BIAS + noise + aspect * Sigma_bar * T_var_S


# F(0), and C₁, C₂ of F = C₁ + C₂/(β − 1) above the spike, where w_k = 1 and T₁₂ = 0 (Appendix D)
START = average(mu[k] * alpha[k] ** 2, 2) + aspect * Sigma_bar * average(mu[k] * Sigma[k] * g[k] ** 2, 2)
FLOOR = average(mu[k] * (alpha[k] + delta[k]) ** 2, 2) + aspect * Sigma_bar * average(
    mu[k] * Sigma[k] * (g[k] + delta_tilde[k]) ** 2, 2
)
_VAR_AT_ONE = average(mu[k] * s[k] * (g[k] + delta_tilde[k]) ** 2, 2)
DECAY = (
    aspect * inverse_trace(Sigma[k] ** 2, above=True)
    + aspect**2 * Sigma_bar * inverse_trace(Sigma[k], above=True)
) * _VAR_AT_ONE

# B.6 to B.9
PAPER = {
    a[1]: eta * (rho_pre + 1),
    a[2]: r,
    Sigma[1]: rho_pre + 1,
    Sigma[2]: sp.Integer(1),
    alpha[1]: (kappa - 1) / (rho_pre + kappa),
    alpha[2]: kappa / (kappa + 1),
    delta[1]: (1 - kappa) / (rho_pre + kappa),
    delta[2]: 1 / (1 + kappa) - eta / r,
    delta_tilde[1]: (1 - kappa) / (rho_pre + kappa) / (rho_pre + 1),
    delta_tilde[2]: 1 / (1 + kappa) - eta / r,
    g[1]: -1 / (rho_pre + kappa),
    g[2]: -1 / (1 + kappa),
    s[1]: (mu[1] * a[1] + mu[2] * a[2]) * a[1],
    s[2]: (mu[1] * a[1] + mu[2] * a[2]) * a[2],
}
_SUMS = {
    x[i] + y[i]: sp.cancel((x[i] + y[i]).xreplace(PAPER))
    for x, y in ((g, delta_tilde), (alpha, delta))
    for i in (1, 2)
}
REST = {mu[2]: 1 - mu[1], Sigma_bar: mu[1] * (rho_pre + 1) + 1 - mu[1]}
KAPPA = aspect * (mu[1] * rho_pre + 1 - mu[1])


# At values --------------------------------------------------------------------------------------------


@cache
def in_paper(expression: sp.Expr) -> sp.Expr:
    """An expression in block values at those of the paper, in ρ, η, r; μ_k, γ, κ and Σ̄ are kept."""
    return explicit(expression, 2).xreplace(_SUMS).xreplace(PAPER).xreplace(PAPER)


def in_numbers(expression: sp.Expr) -> sp.Expr:
    """The same in μ₁, ρ, η, r, γ alone."""
    return in_paper(expression).xreplace(REST).xreplace({kappa: KAPPA})


share = sp.Symbol("x", positive=True)  # μ₁/μ₂: any positive number


def positive(expression: sp.Expr) -> bool:
    """Whether an expression in μ₁ and positive symbols is, with μ₁ = x/(1 + x), a quotient of polynomials
    with positive coefficients alone: if so, it is positive for 0 < μ₁ < 1."""
    body = expression.xreplace(REST).xreplace({mu[1]: share / (1 + share)})
    quotient = sp.QQ.frac_field(share, *(body.free_symbols - {share})).from_sympy(body)
    signs = {bool(c > 0) for part in (quotient.numer, quotient.denom) for c in part.coeffs()}
    return len(signs) == 1


# Towards β = 1 and at β = 0 -----------------------------------------------------------------------------


@cache
def of_q(expression: sp.Expr) -> sp.Expr:
    """An expression in w_k, T₁₂ and q as a rational function of q without a 0/0 at q = 0."""
    filled = {i: a[i] ** 2 / (1 + a[i] ** 2 * q) for i in (1, 2)}  # w_k/q
    spread = {i: mu[i] * filled[i] / (1 + a[i] ** 2 * q) for i in (1, 2)}  # μ_k v_k/q
    # w_k² becomes q² times what stays: the ratio of two sums of them loses its q²
    scale = sp.Symbol("scale", positive=True)
    body = explicit(expression, 2).xreplace({w[i]: scale * filled[i] for i in (1, 2)})
    body = body.replace(lambda e: e.is_Add and e.has(scale), sp.factor_terms)
    leak = q * spread[1] * spread[2] / (spread[1] + spread[2])
    return body.xreplace({scale: q, T12: leak})


def residue() -> sp.Expr:
    """lim_{β→1−} (1 − β)F, printed or corrected: there q → ∞, T₁₂ → 0, and every other term is bounded."""
    u = sp.Symbol("u", positive=True)
    free = (mu[1] / (1 + a[1] ** 2 * q) + mu[2] / (1 + a[2] ** 2 * q)) * q  # (1 − β)q
    found = sp.Integer(0)
    for weight, x in ((aspect, Sigma[k] ** 2), (aspect**2 * Sigma_bar, Sigma[k])):
        growing = of_q(inverse_trace(x)) / q
        ends = [sp.cancel(sp.together(f.subs(q, 1 / u))).subs(u, 0) for f in (growing, free)]
        found += weight * ends[0] * ends[1]
    return found * explicit(_VAR_AT_ONE, 2)


@cache
def slope_at_zero(expression: sp.Expr) -> sp.Expr:
    """d/dβ at β = 0 of an expression in w_k, T₁₂ and q, for general block values and c = μ₁a₁² + μ₂a₂²."""
    rate, over = (sp.diff(of_q(one), q).subs(q, 0) for one in (expression, BETA))
    return rate.xreplace({over: mean_square}) / mean_square


offset = sp.Symbol("e", real=True)  # a₂δ̃₂ = r/(1 + κ) − η, finite as r → 0


def regular(slope: sp.Expr) -> sp.Expr:
    """A slope at zero in a₂ and e = a₂δ̃₂, expanded: a polynomial in a₂, e, g_k, γ and 1/c if nothing in it
    grows as r → 0 (Σ₂ = 1)."""
    body = slope.xreplace({Sigma[2]: sp.Integer(1)})
    return sp.expand(body.xreplace({delta_tilde[2]: offset / a[2], delta[2]: offset / a[2]}))


def bounded(slope: sp.Expr) -> bool:
    """Whether :func:`regular` of a slope has no negative power but those of c."""
    powers = (term.as_powers_dict() for term in sp.Add.make_args(regular(slope)))
    return all(base == mean_square or exponent >= 0 for one in powers for base, exponent in one.items())


def without_interference(slope: sp.Expr) -> sp.Expr:
    """The limit r → 0 of a bounded slope, in μ_k, ρ, γ, κ, Σ̄."""
    end = regular(slope).xreplace({s[1]: mu[1] * a[1] ** 2, s[2]: sp.Integer(0)})
    end = end.xreplace({mean_square: mu[1] * a[1] ** 2, a[2]: sp.Integer(0), offset: -eta})
    return in_paper(end)
