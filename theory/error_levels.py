"""The block levels of Γ₀, D₁, D_pre and Σ_A that Theorem B.1 is written in: eqs. (B.7) to (B.9).

Notes: ``notes/error_terms.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory.block_symbols import a, alpha, aspect, delta, delta_tilde, g, kappa, mu, r, rho_pre, s
from theory.error_term_formulas import eq
from theory.notation import d, eta
from theory.statement import Statement, register

PRE, POST, TEST = (rho_pre, 1), (eta * (rho_pre + 1), r), (rho_pre + 1, 1)  # of Σ₀, A and Σ


def derived() -> dict[str, list[sp.Expr]]:
    """The limits of the levels of the two blocks, as d and n = d/γ grow: by name of what has them.

    Γ₀ is (1 + 1/n)Σ₀ + (1/n) tr(Σ₀) I, (3.7); "kappa" is tr(Σ₀)/n.
    """
    n, shares = d / aspect, (mu[1], 1 - mu[1])
    mean = [sum(x * y for x, y in zip(shares, each, strict=True)) for each in (PRE, POST)]
    gamma0 = [sp.limit((1 + 1 / n) * p + d * mean[0] / n, d, sp.oo) for p in PRE]
    change = [1 / x - eta / y for x, y in zip(gamma0, POST, strict=True)]
    return {
        "kappa": [sp.limit(d * mean[0] / n, d, sp.oo)],
        "alpha": [1 - y / x for x, y in zip(gamma0, TEST, strict=True)],
        "delta": [x * y for x, y in zip(change, TEST, strict=True)],
        "delta_tilde": change,
        "g": [-1 / x for x in gamma0],
        "s": [sp.limit((d * mean[1] * x + x**2) / d, d, sp.oo) for x in POST],
    }


register(
    Statement(
        "eq-B.7.a",
        "Eq. B.7",
        "κ, the limit of tr(Σ₀)/n: Γ₀ has the levels ρ + κ and 1 + κ",
        eq(kappa, aspect * (mu[1] * rho_pre + 1 - mu[1])),
        depends_on=("eq-3.6.a",),
        note="Printed with μ for μ₁.",
    )
)
register(
    Statement(
        "eq-B.7.b",
        "Eq. B.7",
        "α_k, the levels of D₁ = I − Γ₀⁻¹Σ",
        nt.Listing(
            eq(alpha[1], (kappa - 1) / (rho_pre + kappa)),
            eq(alpha[2], kappa / (kappa + 1)),
        ),
        depends_on=("eq-B.7.a",),
    )
)
register(
    Statement(
        "eq-B.7.c",
        "Eq. B.7",
        "δ₁ and δ̃₁ = δ₁/Σ₁, the levels of D_preΣ and of D_pre = Γ₀⁻¹ − ηA⁻¹ on the first block",
        nt.Listing(
            eq(delta[1], (1 - kappa) / (rho_pre + kappa)),
            eq(delta_tilde[1], (1 - kappa) / ((rho_pre + kappa) * (rho_pre + 1))),
        ),
        depends_on=("eq-B.7.a",),
    )
)
register(
    Statement(
        "eq-B.7.d",
        "Eq. B.7",
        "δ₂ = δ̃₂, the level of D_pre on the second block",
        nt.Listing(eq(delta[2], 1 / (1 + kappa) - eta / r), eq(delta_tilde[2], 1 / (1 + kappa) - eta / r)),
        depends_on=("eq-B.7.a",),
        note="For r > 0 alone: at r = 0, the allocation that the paper calls optimal, A has no inverse and "
        "Theorem B.1 says nothing.",
    )
)
register(
    Statement(
        "eq-B.8",
        "Eq. B.8",
        "g_k, the levels of −Γ₀⁻¹",
        nt.Listing(eq(g[1], -1 / (rho_pre + kappa)), eq(g[2], -1 / (1 + kappa))),
        depends_on=("eq-B.7.a",),
    )
)
_MEAN = mu[1] * a[1] + mu[2] * a[2]
_MEAN_PAPER = mu[1] * eta * (rho_pre + 1) + mu[2] * r
register(
    Statement(
        "eq-B.9",
        "Eq. B.9",
        "s_k, the limits of the levels of Σ_A = (1/d)(tr(A)A + A²)",
        nt.Lines(
            nt.Chain(s[1], _MEAN * a[1], _MEAN_PAPER * eta * (rho_pre + 1)),
            nt.Chain(s[2], _MEAN * a[2], _MEAN_PAPER * r),
        ),
    )
)
