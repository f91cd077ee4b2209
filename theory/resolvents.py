"""The resolvents behind Lemmas C.1 and C.2, C.45 to C.53, and Lemma C.3 with its proof, C.70 to C.79.

Derived in :mod:`theory.equivalents_calculus` and :mod:`theory.equivalents_moments`, counterexamples in
:mod:`theory.equivalents_points`, formulas in :mod:`theory.resolvent_formulas`.  Notes:
``notes/equivalents.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import equivalents_points as points
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.block_symbols import beta, mu, q, z
from theory.projections import INVERTIBLE
from theory.resolvent_formulas import D_1, D_2, R, T, eq, m_z, nearly, normalised, onto, two, v_z
from theory.statement import Statement, register

OF_T = "v(z) is the one that makes T(z) the equivalent of R(z), not the Stieltjes transform that C.45 names"
OF_COMPANION = "v(z) is the Stieltjes transform of the companion matrix, not the v(z) of T(z)"

register(
    Statement(
        "eq-C.45.a",
        "Appendix C, eq. C.45",
        "R(z) has a deterministic equivalent T(z) of this form, with some scalar v(z)",
        nt.Lines(fm.EQUIVALENT, fm.FORM),
        note="For G = AΩΩᵀA with Ω of variance 1/d, that is MMᵀ/d for Ω ~ N(0, 1).",
    )
)
register(
    Statement(
        "eq-C.45.b",
        "Appendix C, eq. C.45",
        "That v(z) is the Stieltjes transform of the companion matrix",
        nt.Lines(fm.FORM, fm.COMPANION, eq(v_z, fm.TRANSFORM)),
        corrected=nt.Lines(fm.FORM, fm.COMPANION, eq(v_z, beta * z * fm.TRANSFORM)),
        counterexample=points.companion_transform,
        consequences=("eq-C.48", "eq-C.51", "eq-C.52"),
        depends_on=("eq-C.45.a",),
        note="The usual form is (I + v A²)⁻¹/z, with the transform v of a companion scaled by 1/B.  w_k and "
        "T₁₂ stand: with βz v(z) for v(z) in T(z) and C.48 their proofs go through.",
    )
)
register(
    Statement(
        "eq-C.48",
        "Appendix C, eq. C.48",
        "q is the limit of v(z)/z",
        nearly(v_z / z, q),
        condition=f"{OF_T}; β < rank(A)/d",
        counterexample=points.ratio_of_transform,
        depends_on=("eq-C.45.b",),
        note="With the Stieltjes transform v(z)/z has no limit, and q = β lim v(z).  From β = rank(A)/d on "
        "the ratio tends to ∞, the q of the print.",
    )
)
register(
    Statement(
        "eq-C.50",
        "Appendix C, eq. C.50",
        "The trace identity between the resolvents of G and of its companion matrix",
        eq(z * m_z, 1 - beta + beta * z * v_z),
        condition=OF_COMPANION,
        counterexample=points.identity_for_equivalent,
        depends_on=("eq-C.45.b",),
        note="Exact at any size.  With the v(z) of T(z) it reads z m(z) = 1 − β + v(z).",
    )
)
register(
    Statement(
        "eq-C.51",
        "Appendix C, eq. C.51",
        "m(z) = lim tr(R)/d from the deterministic equivalent",
        eq(m_z, fm.blocks(mu[fm.k] / (z + fm.LEVEL * v_z))),
        condition=OF_T,
        counterexample=points.companion_transform,
        depends_on=("eq-C.45.a",),
    )
)
register(
    Statement(
        "eq-C.52",
        "Appendix C, eq. C.52",
        "The relation between β and v(z) from C.50 and C.51",
        eq(1 - beta + beta * z * v_z, fm.blocks(mu[fm.k] * z / (z + fm.LEVEL * v_z))),
        corrected=eq(1 - beta + v_z, fm.blocks(mu[fm.k] * z / (z + fm.LEVEL * v_z))),
        counterexample=points.relation,
        depends_on=("eq-C.50", "eq-C.51"),
        note="C.50 holds for one v(z), C.51 for another, their combination for neither; corrected for the "
        "v(z) of T(z).  C.54 is right: it takes the limit of C.50 with one, of C.51 with the other.",
    )
)
register(
    Statement(
        "eq-C.53",
        "Appendix C, eq. C.53",
        "lim z v(z): the share of the null space of the companion matrix",
        nearly(z * v_z, sp.Max(1 - 1 / beta, 0)),
        condition=f"{OF_COMPANION}; {INVERTIBLE}",
        counterexample=points.null_space,
        depends_on=("eq-C.45.b",),
        note="For singular A max(1 − rank(A)/(βd), 0).  For the v(z) of T(z) the limit is 0.",
    )
)
register(
    Statement(
        "lem-C.3",
        "Lemma C.3, eqs. C.61 to C.63 and C.79",
        "The trace of the product of two resolvents between two blocks, z > 0",
        nt.Lines(
            fm.tends(normalised(D_1 * R * D_2 * R), fm.TWO_RESOLVENTS),
            eq(fm.Psi[fm.k], mu[fm.k] * fm.LEVEL / (z + fm.LEVEL * v_z) ** 2),
            eq(fm.DELTA, 1 - v_z**2 / beta * two(mu[fm.k] * fm.LEVEL**2 / (z + fm.LEVEL * v_z) ** 2)),
        ),
        assumptions=("D₁D₂ = 0", "T(z) is the deterministic equivalent of R(z)"),
        depends_on=("eq-C.45.a", "eq-C.78"),
        note="v(z) is what makes T(z) the equivalent, as the lemma says; not the transform of C.45.",
    )
)
register(
    Statement(
        "eq-C.70",
        "Appendix C, eq. C.70",
        "The cross-trace as a derivative, R(z, t) = (G + tD₂ + zI)⁻¹, m₁ = tr(D₁R)/d",
        eq(fm.slope(r"m_{1}(z,t)"), -normalised(D_1 * R * D_2 * R)),
    )
)
register(
    Statement(
        "eq-C.71",
        "Appendix C, eqs. C.71 to C.73",
        "The equivalent of the perturbed resolvent R(z, t)",
        eq(fm.T_t, onto(z * nt.I + fm.v_t * nt.A**2 + fm.t * D_2)),
        depends_on=("eq-C.45.a",),
        note="v(z, t) solves the corrected C.74 with T(z, t).",
    )
)
register(
    Statement(
        "eq-C.74",
        "Appendix C, eq. C.74",
        "The Silverstein equation for v(z, t), at t = 0",
        eq(1 / v_z, z + normalised(nt.A**2 * T) / beta),
        corrected=eq(1 / v_z, 1 / beta + normalised(nt.A**2 * T) / beta),
        counterexample=points.silverstein,
        depends_on=("eq-C.45.b",),
        note="The constant is 1/β for the v(z) of T(z); with the Stieltjes transform it fails too.  The "
        "derivative in t, all that is used, has lost it.",
    )
)
register(
    Statement(
        "eq-C.78",
        "Appendix C, eqs. C.75 to C.78",
        "The derivative v′(0) of v(z, t) at t = 0",
        eq(fm.slope("v(z,t)"), v_z**2 / beta * fm.Psi[2] / fm.DELTA),
        depends_on=("eq-C.71", "eq-C.74"),
    )
)
