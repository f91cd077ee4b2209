"""F(β) of Theorem B.1 in numbers: the limit of the post-test error of the first-order V_S + V_N.

The formulas are those of the statements of :mod:`theory.error_terms`, compiled: the print's for two blocks,
and the corrected ones for any number.  The limit for Ṽ_* itself, which is another, is that of
:mod:`theory.proportional`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray

from theory import block_symbols as bs
from theory import error_terms  # noqa: F401  registers the formulas
from theory.equivalents import Equivalents, equivalents
from theory.error_term_formulas import (
    T11,
    T22,
    TERMS,
    Bias,
    T_inv,
    T_inv_Sigma,
    T_var,
    T_var_Sigma,
    value,
)
from theory.errors import ArgumentError
from theory.proportional import Setting, Terms, checked_beta, setting
from theory.statement import registry

Array = NDArray[np.float64]
FAMILIES = (bs.mu, bs.a, bs.Sigma, bs.g, bs.s, bs.alpha, bs.delta, bs.delta_tilde, bs.w, bs.v)
SCALARS = (bs.q, bs.T12, T11, T22, T_inv, T_inv_Sigma, bs.Sigma_bar, bs.aspect)
# From the rank on v/Σμv is 0/0; every term that has it has a further factor v, so any positive v will do.
VANISHING = 1e-150


@cache
def _compiled(formula: sp.Expr, blocks: int) -> Callable[..., Any]:
    return bs.callable_of(formula, FAMILIES, SCALARS, blocks)


def block_levels(of: Setting) -> dict[sp.IndexedBase, Array]:
    """μ_k, a_k, Σ_k, g_k, s_k, α_k, δ_k, δ̃_k, (K,) each; A invertible, which is taken as checked."""
    g = of.initial
    tilde = -g - of.eta / of.post
    return {
        bs.mu: of.weights,
        bs.a: of.post,
        bs.Sigma: of.test,
        bs.g: g,
        bs.s: (of.weights @ of.post) * of.post,
        bs.alpha: 1 + g * of.test,
        bs.delta: tilde * of.test,
        bs.delta_tilde: tilde,
    }


def value_at(formula: sp.Expr, beta: ArrayLike, of: Setting) -> Array:
    """A formula in block symbols at the limits that belong to each β, (N,).

    T₁₁, T₁₂, T₂₂ are those of the first two blocks, and T_inv, T_inv,Σ those of (B.14) and (B.15).  The
    arguments are taken as checked.
    """
    found: Equivalents = equivalents(beta, of.post**2, of.weights)
    blocks = len(of.weights)
    one = np.eye(max(blocks, 2))[:, :blocks]
    T11, T12, T22 = (found.quadratic(one[i], one[j]) for i, j in ((0, 0), (0, 1), (1, 1)))
    scalars = (
        found.q,
        T12,
        T11,
        T22,
        found.inverse(of.test**2),
        found.inverse(of.test),
        float(of.weights @ of.test),
        of.aspect,
    )
    v = np.where(np.isinf(found.q), VANISHING, found.v)
    values = _compiled(formula, blocks)(*block_levels(of).values(), found.w, v, *scalars)
    return np.broadcast_to(np.asarray(values, dtype=float), found.beta.shape)


@cache
def _forms(printed: bool) -> dict[sp.Symbol, sp.Expr]:
    """Bias, T_var and T_var,Σ, of the registered statements."""
    known = registry()
    if printed:
        ids = {Bias: "eq-B.13", T_var: "eq-B.16", T_var_Sigma: "eq-B.17"}
        return {symbol: value(known[id].printed) for symbol, id in ids.items()}
    lines = known["ext-first-order-limit"].printed.args
    return {line.args[0]: value(line) for line in lines if line.args[0] in (Bias, T_var, T_var_Sigma)}


def linearised_terms(beta: ArrayLike, of: Setting, printed: bool = False) -> Terms:
    """Bias, γT_invT_var, γΣ̄T_var,Σ and γ²Σ̄T_inv,ΣT_var at each β ≥ 0 (a number or (N,)), (N,) each.

    At β = 1 the two with T_inv are infinite (0 at γ = 0).  The arguments are taken as checked.
    """
    forms = _forms(printed)
    parts = {name: value_at(term.xreplace(forms), beta, of) for name, term in TERMS.items() if of.aspect > 0}
    if not parts:
        bias = value_at(forms[Bias], beta, of)
        return Terms(bias, *[np.zeros_like(bias)] * 3)
    return Terms(**parts)


def linearised_risk_limit(
    *,
    beta: ArrayLike,
    aspect: float,
    eta: float,
    weights: ArrayLike,
    post: ArrayLike,
    pre: ArrayLike,
    test: ArrayLike,
    printed: bool = False,
) -> float | Array:
    """lim Err(V_S + V_N), F(β) of Theorem B.1, as d, n, B → ∞ with B/d → β and d/n → aspect.

    ``beta`` is a number or (N,), and the result has its shape.  ``weights`` μ_k are the shares of the K
    blocks; ``post``, ``pre``, ``test`` the levels of A, Σ₀, Σ on them, those of A positive.  ``printed``:
    F as the paper prints it, for K = 2, which is wrong for β < 1.  At β = 1 both are infinite.

    Raises :class:`ArgumentError` for β ≤ 0, weights that do not sum to 1, negative levels or
    ratio, a level of A that is zero, η outside (0, 1], Σ₀ = 0, and K ≠ 2 with ``printed``.
    """
    of = setting(aspect=aspect, eta=eta, weights=weights, post=post, pre=pre, test=test)
    if not (of.post > 0).all():
        raise ArgumentError(f"post={of.post.tolist()!r}: must be positive, as V_S has the inverse of A")
    if printed and len(of.weights) != 2:
        raise ArgumentError(
            f"weights={of.weights.tolist()!r}: must be two numbers, the printed F is for two blocks"
        )
    at = checked_beta(beta)
    found = linearised_terms(at, of, printed).total
    return found if at.ndim else float(found[0])
