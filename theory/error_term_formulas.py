"""The formulas of Theorem B.1 in block symbols, as printed and corrected.

The statements are those of :mod:`theory.error_terms`.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory import block_symbols as bs
from theory import notation as nt
from theory.block_symbols import T12, Sigma_bar, alpha, aspect, average, delta, delta_tilde, g, k, mu, w
from theory.notation import d

M_S, D_1, D_pre, Pi, Sigma_A, V_S, V_N = (
    nt.matrix(name, d, d, latex)
    for name, latex in (
        ("M_S", "M_{S}"),
        ("D_1", "D_{1}"),
        ("D_pre", r"D_{\mathrm{pre}}"),
        ("Pi_M", r"\Pi_{M}"),
        ("Sigma_A", r"\Sigma_{A}"),
        ("V_S", "V_{S}"),
        ("V_N", "V_{N}"),
    )
)
Bias, Quad, T_var, T_var_Sigma, T_inv, T_inv_Sigma = (
    nt.scalar_symbol(name, latex, positive=True)
    for name, latex in (
        ("Bias", r"\mathrm{Bias}"),
        ("Quad", r"\mathrm{Quad}"),
        ("T_var", r"T_{\mathrm{var}}"),
        ("T_var_Sigma", r"T_{\mathrm{var},\Sigma}"),
        ("T_inv", r"T_{\mathrm{inv}}"),
        ("T_inv_Sigma", r"T_{\mathrm{inv},\Sigma}"),
    )
)
SIGNAL, NOISE = (sp.Symbol(rf"\mathrm{{Term\ II\ {part}}}") for part in ("Signal", "Noise"))
ERR = nt.Label(sp.Symbol(r"\mathrm{Err}"), V_S + V_N)
T11, T22 = (nt.scalar_symbol(f"T_{i}{i}", f"T_{{{i}{i}}}", positive=True) for i in (1, 2))
T = sp.IndexedBase("T", real=True)  # T_ij = (1/d) tr(Π_ij Π_ji)


def eq(left: Any, right: Any) -> sp.Eq:
    """left = right, for print."""
    return sp.Eq(left, right, evaluate=False)


def limit(expression: Any, value: Any) -> nt.Tends:
    """The limit as d → ∞, n, m and B in proportion."""
    return nt.Tends(expression, d, sp.oo, value)


def two(summand: sp.Expr) -> sp.Sum:
    """The sum over the paper's two blocks."""
    return average(summand, 2)


def value(form: sp.Basic) -> sp.Expr:
    """The right side of a printed or corrected form; its later lines define symbols of the first."""
    if isinstance(form, nt.Lines):
        first, *rest = form.args
        return value(first).subs({line.args[0]: value(line) for line in rest})
    return form.args[-1]


# The formulas -----------------------------------------------------------------------------------------

_SHIFT = (delta_tilde[2] ** 2 - delta_tilde[1] ** 2) * T12
_APART = (delta_tilde[1] - delta_tilde[2]) * T12


def _squares(x: Any) -> sp.Expr:
    """Σ μ_k x_k [g_k²(1 − w_k) + (g_k + δ̃_k)² w_k]."""
    return two(mu[k] * x * (g[k] ** 2 * (1 - w[k]) + (g[k] + delta_tilde[k]) ** 2 * w[k]))


def printed_variance(x: sp.IndexedBase) -> sp.Expr:
    """(B.16), (B.17) as printed, for X with levels x_k."""
    return _squares(x[k]) - _APART * (delta_tilde[1] * x[1] - delta_tilde[2] * x[2])


def variance(x: sp.IndexedBase) -> sp.Expr:
    """lim (1/d) tr(V_S X V_Sᵀ) for two blocks."""
    return _squares(x[k]) + _SHIFT * (x[1] - x[2])


LEAK = _SHIFT * (bs.Sigma[1] ** 2 - bs.Sigma[2] ** 2)  # what Π carries between the blocks, in the bias
BIAS = two(mu[k] * (alpha[k] ** 2 * (1 - w[k]) + (alpha[k] + delta[k]) ** 2 * w[k])) + LEAK
TERMS = {
    "bias": Bias,
    "noise": aspect * T_inv * T_var,
    "signal": aspect * Sigma_bar * T_var_Sigma,
    "signal_noise": aspect**2 * Sigma_bar * T_inv_Sigma * T_var,
}
SUM = sp.Add(*TERMS.values())
