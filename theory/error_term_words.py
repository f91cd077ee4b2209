"""The terms of Theorem B.1 derived: traces of V_S = −Γ₀⁻¹ + D_preΠ, Π a projection, for two blocks and K.

Γ₀, A and Σ are diagonal and constant on each block, so that each is a combination of the projections on the
blocks, with levels g_k (of −Γ₀⁻¹), δ̃_k (of D_pre), Σ_k and s_k (of Σ_A).  The statements are those of
:mod:`theory.error_terms`.
"""

from __future__ import annotations

import sympy as sp

from theory import block_symbols as bs
from theory.block_symbols import T12, Sigma, a, alpha, average, delta, delta_tilde, g, k, mu, q, s, v, w
from theory.error_term_formulas import T11, T22, T_inv
from theory.errors import ArgumentError
from theory.notation import d, n
from theory.wishart import expectation
from theory.words.letters import Letter
from theory.words.poly import Matrix, Scalar, identity, letter, scalar, substitute

_FIRST = Letter("P_1", d, d, symmetric=True, idempotent=True)
_PI = Letter("Pi_M", d, d, symmetric=True, idempotent=True)
BLOCKS = (letter(_FIRST), identity(d) - letter(_FIRST))
PI = letter(_PI)


def diagonal(levels: sp.IndexedBase) -> Matrix:
    """The matrix with these levels on the two blocks."""
    first, second = BLOCKS
    return first * levels[1] + second * levels[2]


V_S = diagonal(g) + diagonal(delta_tilde) @ PI
MISS = identity(d) + V_S @ diagonal(Sigma)  # M_S, the error operator of V_S


def factors(blocks: int) -> dict[sp.Indexed, sp.Expr]:
    """α_k = 1 + g_kΣ_k and δ_k = δ̃_kΣ_k, of D₁ = I − Γ₀⁻¹Σ and D_preΣ."""
    spots = range(1, blocks + 1)
    return {alpha[i]: 1 + g[i] * Sigma[i] for i in spots} | {
        delta[i]: delta_tilde[i] * Sigma[i] for i in spots
    }


def mean_square(operator: Matrix, levels: sp.IndexedBase | None = None) -> Scalar:
    """(1/d) tr(V X Vᵀ), X with these levels (I by default)."""
    inside = operator if levels is None else operator @ diagonal(levels)
    return (inside @ operator.T).trace() * (1 / d)


def block_trace(i: int, j: int) -> Scalar:
    """T_ij = (1/d) tr(Π_ij Π_ji) of the block indices 1, 2."""
    return (BLOCKS[i - 1] @ PI @ BLOCKS[j - 1] @ PI).trace() * (1 / d)


def in_traces(formula: sp.Expr) -> Scalar:
    """A formula in μ_k, w_k, T_ij with what they stand for at finite d: μ_k = d_k/d,
    w_k = (1/d_k) tr Π_kk, T_ij = (1/d) tr(Π_ijΠ_ji).

    Raises :class:`ArgumentError` where μ_k, μ_kw_k and T_ij do not enter linearly.
    """
    share, kept = sp.symbols("mu_1 mu_2"), sp.symbols("x_1 x_2")
    names = {mu[i]: share[i - 1] for i in (1, 2)}
    names |= {w[i]: kept[i - 1] / share[i - 1] for i in (1, 2)}
    body = sp.expand(bs.explicit(formula, 2).xreplace(factors(2)).xreplace(names))
    meaning = {share[i]: BLOCKS[i].trace() * (1 / d) for i in (0, 1)}
    meaning |= {kept[i]: (BLOCKS[i] @ PI).trace() * (1 / d) for i in (0, 1)}
    meaning |= {T11: block_trace(1, 1), T22: block_trace(2, 2), T12: block_trace(1, 2)}
    total = scalar(0)
    for symbol, trace in meaning.items():
        weight = body.coeff(symbol)
        if weight.free_symbols & set(meaning):
            raise ArgumentError(f"formula={formula}: must be linear in μ_k, μ_k w_k and T_ij")
        total, body = total + trace * weight, sp.expand(body - weight * symbol)
    return total + body


# K blocks ---------------------------------------------------------------------------------------------


def coupling(f: sp.Expr, x: sp.Expr) -> sp.Expr:
    """(Σ μ_k f_k v_k)(Σ μ_k x_k v_k)/Σ μ_k v_k: what Π carries between directions, in and between blocks."""
    return average(mu[k] * f * v[k]) * average(mu[k] * x * v[k]) / average(mu[k] * v[k])


# What Π enters linearly, and through its diagonal alone: of V_S X V_Sᵀ for each level x_k, and of the bias.
_OPERATOR = g[k] ** 2 + 2 * g[k] * delta_tilde[k] * w[k]
_MISS = alpha[k] ** 2 + 2 * alpha[k] * delta[k] * w[k]


def operator_trace(x: sp.IndexedBase) -> sp.Expr:
    """lim (1/d) tr(V_S X V_Sᵀ) for X with levels x_k."""
    each = _OPERATOR + delta_tilde[k] ** 2 * w[k] ** 2
    return average(mu[k] * x[k] * each) + coupling(delta_tilde[k] ** 2, x[k])


BIAS_K = average(mu[k] * (_MISS + delta[k] ** 2 * w[k] ** 2)) + coupling(delta_tilde[k] ** 2, Sigma[k] ** 2)
T_VAR_K, T_VAR_SIGMA_K = operator_trace(s), operator_trace(Sigma)


def inverse_trace(f: sp.Expr) -> sp.Expr:
    """lim (1/d) tr(F (MMᵀ/d)†) for β < 1, F with levels f."""
    return q * average(mu[k] * f * v[k]) / average(mu[k] * v[k])


def pair(i: int, j: int, blocks: int) -> sp.Expr:
    """lim T_ij for so many blocks: μ_iμ_jv_iv_j/Σμv, and μ_iw_i² besides for i = j."""
    spread = bs.explicit(average(mu[k] * v[k]), blocks)
    same = mu[i] * w[i] ** 2 if i == j else sp.Integer(0)
    return same + mu[i] * mu[j] * v[i] * v[j] / spread


def by_pairs(blocks: int) -> dict[str, sp.Expr]:
    """The limits of the bias, T_var and T_var,Σ from the block traces: Σ_ij δ̃_i² x_j T_ij and what is linear
    in Π."""
    spots = range(1, blocks + 1)
    found = {}
    for name, linear, x in (
        ("bias", _MISS, Sigma[k] ** 2),
        ("T_var", _OPERATOR * s[k], s[k]),
        ("T_var,Σ", _OPERATOR * Sigma[k], Sigma[k]),
    ):
        crossed = [delta_tilde[i] ** 2 * x.subs(k, j) * pair(i, j, blocks) for i in spots for j in spots]
        found[name] = bs.explicit(average(mu[k] * linear), blocks) + sp.Add(*crossed)
    return found


# The noise --------------------------------------------------------------------------------------------

_S, _A, _Z, _V = (Letter(name, d, d, symmetric=name != "V") for name in ("S", "A", "Z", "V"))


def noise() -> tuple[Scalar, Scalar]:
    """(1/d) tr(V_S E[EQEᵀ] V_Sᵀ) where Σ_τ Q_ττ w_τw_τᵀ = tr(Q) I, as (C.17) has it in the limit, and
    (d/n) tr(Q) (1/d) tr(V_SΣ_AV_Sᵀ); T_inv stands for tr(Q)."""
    away = letter(_S) - letter(_A)
    mean = expectation(away @ letter(_Z) @ away, _S, _A, n)
    isotropic = substitute(mean, {_Z: identity(d) * T_inv})
    covariance = letter(_A) * (letter(_A).trace() * (1 / d)) + letter(_A) @ letter(_A) * (1 / d)
    both = (letter(_V) @ x @ letter(_V).T for x in (isotropic, covariance * (T_inv * d / n)))
    first, second = (x.trace() * (1 / d) for x in both)
    return first, second


def two_blocks(formula: sp.Expr) -> sp.Expr:
    """A formula for two blocks in q alone: w_k = a_k²q/(1 + a_k²q), v_k = w_k(1 − w_k) and T₁₂ of (B.12)."""
    body = bs.explicit(formula, 2).xreplace(factors(2))
    body = body.xreplace({T12: pair(1, 2, 2)}).xreplace({v[i]: w[i] * (1 - w[i]) for i in (1, 2)})
    return body.xreplace({w[i]: a[i] ** 2 * q / (1 + a[i] ** 2 * q) for i in (1, 2)})
