"""The projection MM† on the columns of M: Lemmas C.1 and C.2, eqs. B.11 and B.12, and what leads to them.

Derived in :mod:`theory.equivalents_calculus`, counterexamples in :mod:`theory.equivalents_points`, formulas
in :mod:`theory.resolvent_formulas`.  Notes: ``notes/equivalents.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import equivalents_points as points
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.block_symbols import T12, beta, mu, q, v, w, z
from theory.resolvent_formulas import D_1, D_2, M, Pi, R, eq, nearly, normalised, two, v_z
from theory.statement import BEYOND, Statement, register

INVERTIBLE = "A ≻ 0 (r > 0)"
RANK = "in general w_k = 1 on the range of A from β = rank(A)/d on, and w_k = 0 off it"

register(
    Statement(
        "eq-B.11",
        "Appendix B, eq. B.11",
        "For β < 1 the equation for q has one non-negative solution",
        eq(beta, two(mu[fm.k] * fm.share(q))),
        condition=f"{INVERTIBLE}, or β < rank(A)/d",
        counterexample=points.no_root,
        note="At r = 0, the print's optimal allocation, there is none for μ₁ ≤ β < 1.",
    )
)
register(
    Statement(
        "eq-B.12",
        "Appendix B, eq. B.12",
        "The limit T₁₂ of tr(Π₁₂Π₂₁)/d for β < 1, and 0 for β ≥ 1",
        nt.Lines(
            nt.Listing(eq(T12, fm.LEAKAGE), sp.Lt(beta, 1, evaluate=False)),
            nt.Listing(eq(T12, 0), sp.Ge(beta, 1, evaluate=False)),
        ),
        depends_on=("eq-B.11",),
        note="Normalised by d.  For r = 0 there is no q in μ₁ ≤ β < 1; T₁₂ is 0 there too.",
    )
)
register(
    Statement(
        "lem-C.1",
        "Lemma C.1, eqs. C.9, C.10, C.46, C.47 and C.49",
        "The share w_k = lim tr(Π_kk)/d_k of block k in the range of M",
        nt.Lines(
            nt.Listing(eq(w[fm.k], fm.share(q)), sp.Lt(beta, 1, evaluate=False)),
            nt.Listing(eq(w[fm.k], 1), sp.Ge(beta, 1, evaluate=False)),
        ),
        condition=INVERTIBLE,
        counterexample=points.off_range,
        depends_on=("eq-B.11",),
        note=f"β = 1 included.  {RANK.capitalize()}.",
    )
)
register(
    Statement(
        "lem-C.2",
        "Lemma C.2, eq. C.15",
        "The limit T₁₂ of tr(Π₁₂Π₂₁)/d",
        eq(T12, fm.LEAKAGE),
        depends_on=("lem-C.1", "lem-C.3"),
        note="For any number of blocks T_ij = μ_i μ_j v_i v_j/Σμ_k v_k, i ≠ j: ext-equivalents.b.",
    )
)
register(
    Statement(
        "eq-C.44",
        "Appendix C, eqs. C.44 and C.57",
        "The projection on the columns of M is the limit of a ridge-regularised inverse",
        nt.Listing(
            nearly(M * sp.Inverse(M.T * M + z * sp.Identity(nt.B)) * M.T, Pi),
            nearly(nt.I - z * sp.Inverse(M * M.T + z * nt.I), Pi),
        ),
        note="The two are equal at every z > 0, for every M.",
    )
)
register(
    Statement(
        "eq-C.56",
        "Appendix C, eqs. C.54 to C.56",
        "The shares add up to the rank of M over d",
        eq(two(mu[fm.k] * w[fm.k]), sp.Min(beta, 1)),
        condition=INVERTIBLE,
        counterexample=points.total_fraction,
        depends_on=("lem-C.1",),
        note="Exact at any size: tr(Π) = min(B, rank A) almost surely.",
    )
)
register(
    Statement(
        "eq-C.60",
        "Appendix C, eqs. C.59 and C.60",
        "The cross-trace of the projection from two resolvents",
        nearly(z**2 * normalised(D_1 * R * D_2 * R), normalised(D_1 * Pi * D_2 * Pi)),
        assumptions=("D₁D₂ = 0",),
        note="Exact before the limit: tr(D₁(I−zR)D₂(I−zR)) = z² tr(D₁RD₂R).  z → 0 and d → ∞ commute: the "
        "limit law of the eigenvalues of G has a mass on (0, ε) that vanishes with ε.",
    )
)
register(
    Statement(
        "eq-C.66",
        "Appendix C, eqs. C.64 to C.69",
        "z → 0 in Lemma C.3 gives T₁₂",
        nt.Lines(
            nearly(v_z**2 / z**2 * (z**2 * fm.Psi[1]) * (z**2 * fm.Psi[2]) / beta, fm.NUMERATOR / beta),
            nearly(fm.DELTA, fm.SPREAD / beta),
            eq(T12, fm.LEAKAGE),
        ),
        assumptions=("β < 1",),
        depends_on=("lem-C.3", "eq-C.48", "eq-C.60"),
    )
)
register(
    Statement(
        "ext-equivalents.a",
        BEYOND,
        "Any number of blocks, A ⪰ 0: the limit of tr(FΠ)/d for F constant on blocks",
        nt.Listing(
            fm.tends(normalised(fm.F * Pi), fm.blocks(mu[fm.k] * fm.f[fm.k] * w[fm.k])),
            eq(beta, fm.blocks(mu[fm.k] * w[fm.k])),
        ),
        assumptions=(
            "w_k = c_k q/(1 + c_k q) for β < rank(C)/d, and 1 where c_k > 0, 0 elsewhere, from there on",
        ),
        note="C = A², or the covariance of any Gaussian columns.",
    )
)
register(
    Statement(
        "ext-equivalents.b",
        BEYOND,
        "Any number of blocks, A ⪰ 0: the limit of tr(FΠGΠ)/d for F, G constant on blocks",
        fm.tends(
            normalised(fm.F * Pi * fm.G * Pi),
            fm.blocks(mu[fm.k] * fm.f[fm.k] * fm.g[fm.k] * w[fm.k] ** 2)
            + fm.blocks(mu[fm.k] * fm.f[fm.k] * v[fm.k])
            * fm.blocks(mu[fm.k] * fm.g[fm.k] * v[fm.k])
            / fm.blocks(mu[fm.k] * v[fm.k]),
        ),
        assumptions=("β < rank(C)/d; from there on the second term is 0",),
        depends_on=("ext-equivalents.a",),
    )
)
