"""T_inv and T_inv,Σ: eqs. B.14, B.15 and their derivation, C.20 to C.31 and C.41.

Derived in :mod:`theory.equivalents_calculus`, counterexamples in :mod:`theory.equivalents_points`.  Notes:
``notes/equivalents.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import equivalents_points as points
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.block_symbols import Sigma as Sigma_k
from theory.block_symbols import a, beta, c, k, mu, q, v, w, z
from theory.notation import A, Omega, Sigma, d
from theory.resolvent_formulas import M, R, blocks, eq, nearly, normalised, t, tends, two
from theory.statement import BEYOND, Statement, register

T_inv = nt.scalar_symbol("T_inv", r"T_{\mathrm{inv}}", positive=True)
T_inv_Sigma = nt.scalar_symbol("T_inv_Sigma", r"T_{\mathrm{inv},\Sigma}", positive=True)
G_hat = nt.matrix("G_hat", d, d, r"\hat{G}", symmetric=True)
G = nt.matrix("G=MM^T", d, d, "G", symmetric=True)
W = nt.matrix("W=OmegaOmega^T/d", d, d, "W", symmetric=True)
D_k = nt.matrix("D_k", d, d, "D_{k}", symmetric=True)
d_k = nt.scalar_symbol("d_k", "d_{k}", integer=True, positive=True)
q_t = nt.scalar_symbol("q(t)", "q(t)", positive=True)
q_slope = nt.scalar_symbol("q'(0)", "q'(0)", real=True)
rank = nt.scalar_symbol("rank(C)/d", r"\mathrm{rank}(C)/d", positive=True)
MEAN = "m(z,t)"
_ONE = nt.scalar_symbol("indicator", r"\mathbf{1}")
BELOW, ABOVE = (nt.Label(_ONE, relation(beta, 1, evaluate=False)) for relation in (sp.Lt, sp.Gt))


def below(level: sp.Expr) -> sp.Expr:
    """q Σμ_k(f_k/a_k²)w_k² / Σμ_k(1/a_k²)w_k² for the block levels f_k."""
    return q * two(mu[k] * level / a[k] ** 2 * w[k] ** 2) / two(mu[k] / a[k] ** 2 * w[k] ** 2)


def above(level: sp.Expr) -> sp.Expr:
    """(1/(β − 1)) Σμ_k f_k/a_k²."""
    return two(mu[k] * level / a[k] ** 2) / (beta - 1)


def tilted(root: sp.Expr) -> sp.Expr:
    """Σ μ_k a_k²(1 + tΣ_k²) root/(1 + a_k²(1 + tΣ_k²) root)."""
    level = a[k] ** 2 * (1 + t * Sigma_k[k] ** 2) * root
    return two(mu[k] * level / (1 + level))


_SQUARED = sp.MatMul(nt.Pinv(G_hat), nt.Pinv(G_hat))
_TARGET = normalised(Sigma**2 * nt.Pinv(G_hat))
_LEVELS = a[k] ** 2 * fm.v_t

for _id, _where, _name, _level, _text in (
    ("eq-B.14", "Appendix B, eq. B.14", T_inv, Sigma_k[k] ** 2, "T_inv = lim tr(Σ²Ĝ†)/d"),
    ("eq-B.15", "Appendix B, eq. B.15", T_inv_Sigma, Sigma_k[k], "T_inv,Σ = lim tr(ΣĜ†)/d"),
    ("eq-C.41.b", "Appendix C, eq. C.41", T_inv_Sigma, Sigma_k[k], "T_inv,Σ, as B.15"),
):
    register(
        Statement(
            _id,
            _where,
            f"{_text}, Ĝ = MMᵀ/d, Ω ~ N(0, 1)",
            eq(_name, below(_level) * BELOW + above(_level) * ABOVE),
            condition="β ≠ 1",
            counterexample=points.at_threshold,
            depends_on=("eq-B.11",) if _id != "eq-C.41.b" else ("eq-B.15",),
            note="The same in (B.14), (B.15) and (C.41): at β = 1 both indicators are 0, while the trace "
            "tends to ∞ whenever B/d → 1: it is monotone in B on either side of d.  The 1/a_k² ask for A ≻ "
            "0; singular A: ext-equivalents.c.",
        )
    )
register(
    Statement(
        "eq-C.20",
        "Appendix C, eq. C.20",
        "Normalisation: T_inv in terms of Ĝ = MMᵀ/d",
        nt.Chain(
            sp.Trace(Sigma**2 * nt.Pinv(M * M.T)),
            sp.Trace(Sigma**2 * nt.Pinv(d * G_hat)),
            _TARGET,
        ),
        note="With Ω ~ N(0, 1), as said there; Lemma C.2 has variance 1/d, where tr(Σ²(MMᵀ)†)/d is the same.",
    )
)
register(
    Statement(
        "eq-C.22",
        "Appendix C, eqs. C.21 and C.22",
        "The derivative of m(z, t) = tr(R(z, t))/d, R(z, t) = (Ĝ + tAΣ²A + zI)⁻¹",
        eq(fm.slope(MEAN), -normalised(R * (A * Sigma**2 * A) * R)),
    )
)
register(
    Statement(
        "eq-C.23",
        "Appendix C, eq. C.23",
        "The cyclic step: A and Σ² commute",
        nt.Chain(
            -normalised(R * (A * Sigma**2 * A) * R),
            -normalised((A * Sigma**2 * A) * R**2),
            -normalised(Sigma**2 * A**2 * R**2),
        ),
        assumptions=("A and Σ diagonal",),
        depends_on=("eq-C.22",),
    )
)
register(
    Statement(
        "eq-C.24.a",
        "Appendix C, eq. C.24",
        "R(z)² tends to (Ĝ†)² in the trace of C.23",
        nearly(normalised(Sigma**2 * A**2 * R**2), normalised(Sigma**2 * A**2 * _SQUARED)),
        condition="B ≥ d, or R(z)² is replaced by ΠR(z)²Π, which C.23 does not have",
        counterexample=points.diverging_square,
        depends_on=("eq-C.23",),
        note="On the null space of Ĝ, of dimension d − B, R(z)² is z⁻².  The text takes the limit “strictly "
        "on the non-null subspace”; the derivative of m(z, t) is not so restricted.",
    )
)
register(
    Statement(
        "eq-C.24.b",
        "Appendix C, eq. C.24",
        "The limit of C.24 is T_inv",
        nt.Chain(-q_slope, normalised(Sigma**2 * A**2 * _SQUARED), _TARGET),
        corrected=nt.Chain(-q_slope, _TARGET),
        counterexample=points.square_of_pinv,
        consequences=("eq-C.25",),
        depends_on=("eq-C.24.a",),
        note="True with q(t) = lim tr((MᵀM/d)⁻¹)/d and A²(1+tΣ²) in the place of A²: then −q′(0) is exactly "
        "tr(Σ²Ĝ†)/d, and C.26 to C.28 follow.  C.21 to C.24 as printed do not lead to T_inv; B.14 is right.",
    )
)
register(
    Statement(
        "eq-C.25",
        "Appendix C, eq. C.25",
        "The fixed-point equation of the perturbed resolvent R(z, t) = (Ĝ + tAΣ²A + zI)⁻¹",
        nt.Lines(nearly(fm.v_t / z, q_t), eq(beta, tilted(q_t))),
        corrected=eq(
            beta,
            fm.v_t + two(mu[k] * _LEVELS / (z + t * a[k] ** 2 * Sigma_k[k] ** 2 + _LEVELS)),
        ),
        counterexample=points.perturbed,
        depends_on=("eq-C.24.b",),
        note="The envelope of that R(z, t) is z + a_k²(tΣ_k² + v(z, t)), not z + a_k²(1+tΣ_k²)v(z, t).  The "
        "printed equation is that of A²(1+tΣ²) in the place of A², and C.26 to C.28 use it as such.",
    )
)
register(
    Statement(
        "eq-C.26",
        "Appendix C, eqs. C.26 and C.27",
        "C.25 differentiated at t = 0",
        nt.Lines(
            eq(
                0,
                two(
                    mu[k] * (a[k] ** 2 * Sigma_k[k] ** 2 * q + a[k] ** 2 * q_slope) / (1 + a[k] ** 2 * q) ** 2
                ),
            ),
            eq(
                -q_slope * two(mu[k] * w[k] ** 2 / (a[k] ** 2 * q**2)),
                q * two(mu[k] * Sigma_k[k] ** 2 * w[k] ** 2 / (a[k] ** 2 * q**2)),
            ),
        ),
    )
)
register(
    Statement(
        "eq-C.28",
        "Appendix C, eq. C.28",
        "T_inv for β < 1",
        eq(T_inv, below(Sigma_k[k] ** 2)),
        assumptions=("β < 1",),
        depends_on=("eq-B.11",),
        note="Not by C.24 as printed; by eq-C.24.b as corrected, or as the term z⁰ of tr(Σ²R(z))/d.",
    )
)
register(
    Statement(
        "eq-C.29.a",
        "Appendix C, eq. C.29",
        "The deterministic equivalent of W = ΩΩᵀ/d",
        tends(normalised(W), 1 / (beta - 1)),
        corrected=tends(normalised(sp.Inverse(W)), 1 / (beta - 1)),
        counterexample=points.wishart_scale,
        note="W ≍ βI; it is W⁻¹ that has the equivalent I/(β−1), and that is what is used.",
    )
)
register(
    Statement(
        "eq-C.29.b",
        "Appendix C, eq. C.29",
        "The deterministic equivalent of Ĝ⁻¹ for β > 1, block by block",
        tends(sp.Trace(D_k * sp.Inverse(G_hat)) / d_k, 1 / ((beta - 1) * a[k] ** 2)),
        assumptions=("β > 1",),
    )
)
register(
    Statement(
        "eq-C.30",
        "Appendix C, eq. C.30",
        "T_inv for β > 1",
        eq(T_inv, above(Sigma_k[k] ** 2)),
        assumptions=("β > 1",),
        depends_on=("eq-C.29.b",),
    )
)
register(
    Statement(
        "eq-C.31",
        "Appendix C, below eq. C.30",
        "C.28 and C.30 both diverge at β = 1",
        nt.Tends(T_inv, beta, 1, sp.oo),
        depends_on=("eq-C.28", "eq-C.30"),
        note="Alike: |β−1| T_inv tends to Σμ_kΣ_k²/a_k² from either side.",
    )
)
register(
    Statement(
        "eq-C.41.a",
        "Appendix C, above eq. C.41",
        "T_inv,Σ in terms of G",
        nt.Lines(
            tends(normalised(Sigma * nt.Pinv(G)), T_inv_Sigma),
            nt.Chain(G, M * nt.Pinv(M), A * Omega * Omega.T * A),
        ),
        corrected=nt.Lines(
            tends(normalised(Sigma * nt.Pinv(G_hat)), T_inv_Sigma),
            nt.Chain(G_hat, M * M.T / d, A * Omega * Omega.T * A / d),
        ),
        counterexample=points.projection_for_gram,
        depends_on=("eq-C.20",),
        note="MM† is a projection; and with Ω ~ N(0, 1), as in C.20, the 1/d is in Ĝ.",
    )
)
register(
    Statement(
        "ext-equivalents.c",
        BEYOND,
        "Any number of blocks, A ⪰ 0: the limit of tr(F(MMᵀ/d)†)/d for F constant on blocks",
        nt.Lines(
            nt.Listing(
                tends(
                    normalised(fm.F * nt.Pinv(G_hat)),
                    q * blocks(mu[k] * fm.f[k] * v[k]) / blocks(mu[k] * v[k]),
                ),
                sp.Lt(beta, rank, evaluate=False),
            ),
            nt.Listing(
                tends(normalised(fm.F * nt.Pinv(G_hat)), blocks(mu[k] * fm.f[k] / c[k]) / (beta - rank)),
                sp.Gt(beta, rank, evaluate=False),
            ),
        ),
        assumptions=("the sums over the blocks with c_k > 0",),
        depends_on=("ext-equivalents.a",),
        note="v_k is 0 where c_k = 0.  The print's ratio is the first line where no c_k is 0.",
    )
)
