"""(C.1)–(C.8): Term I split into what V_S and V_N make of it, and the trace of the bias by blocks.

Derived in :mod:`theory.linearised_words` and :mod:`theory.error_term_words`, counterexamples in
:mod:`theory.linearised_points`.  Notes: ``notes/linearised.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import linearised_points as points
from theory import notation as nt
from theory.block_symbols import T12, alpha, average, delta, delta_tilde, k
from theory.error_term_formulas import T11, T22, eq
from theory.linearised import WELL_POSED
from theory.linearised_words import E, MeanGiven
from theory.notation import A, Gamma0, I, Sigma, d, eta
from theory.statement import Statement, register

TRACE_OF_BLOCK = sp.IndexedBase(nt.scalar_symbol("tr_Pi", r"\operatorname{tr}\Pi").name, real=True)
_sizes = {one: nt.scalar_symbol(f"d_{one}", f"d_{{{one}}}", integer=True, positive=True) for one in "kj"}
PI_KK, PI_KJ, PI_JK = (
    nt.matrix(f"Pi_{a}{b}", _sizes[a], _sizes[b], rf"\Pi_{{{a}{b}}}") for a, b in ("kk", "kj", "jk")
)
INVERTIBLE = "A is invertible (r > 0); the setting of Appendix B has r = 0 too"

_SQUARE = nt.FrobeniusSquared(I + (fm.V_S + fm.V_N) * Sigma)
register(
    Statement(
        "eq-C.1.a",
        "Eq. C.1",
        "Term I is the sum of what V_S and V_N make of it",
        eq(
            nt.Expectation(_SQUARE),
            nt.Expectation(nt.FrobeniusSquared(I + fm.V_S * Sigma))
            + nt.Expectation(nt.FrobeniusSquared(fm.V_N * Sigma)),
        ),
        depends_on=("eq-C.1.b",),
        note=f"For every d, n and B, if ∞ = ∞ is allowed; for {WELL_POSED} all three are finite, for B, d ≥ "
        "2 only then.  For a singular A, |B − rank A| ≥ 4 is enough.",
    )
)
register(
    Statement(
        "eq-C.1.b",
        "Eq. C.1, the reason",
        "Given Ω, E has mean zero and is independent of V_S",
        eq(MeanGiven(E), sp.ZeroMatrix(d, nt.B)),
        note="Given Ω, V_S is a constant.  Without that E and V_S are dependent, through Ω; and M = AΩ, "
        "which the proof calls deterministic, is so given Ω alone.",
    )
)
register(
    Statement(
        "eq-C.2",
        "Eq. C.2",
        "V_S by the projection, from A⁻¹Π_M = ΩM†",
        eq(fm.V_S, -eta * A.I * fm.Pi - Gamma0.I * (I - fm.Pi)),
        condition=INVERTIBLE,
        counterexample=points.singular_operator,
        depends_on=("eq-B.4.a",),
        note="With A† for A⁻¹ it fails for a singular A: ΩM† does not vanish off the range of A.",
    )
)
register(
    Statement(
        "eq-C.3",
        "Eq. C.3",
        "M_S = I + V_SΣ by the projection",
        nt.Chain(fm.M_S, I + fm.V_S * Sigma, (I - Gamma0.I * Sigma) + (Gamma0.I - eta * A.I) * fm.Pi * Sigma),
        condition=INVERTIBLE,
        counterexample=points.singular_miss,
        depends_on=("eq-C.2",),
    )
)
_DIAGONAL = ("A, Σ and Γ₀ diagonal, constant on each block",)
_LINEAR = sp.Trace(fm.D_1 * Sigma * fm.Pi * fm.D_pre)
register(
    Statement(
        "eq-C.4",
        "Eq. C.4",
        "‖M_S‖_F² as three traces",
        eq(
            nt.FrobeniusSquared(fm.M_S) / d,
            sp.Trace(fm.D_1**2) / d + 2 * _LINEAR / d + sp.Trace(fm.D_pre**2 * fm.Pi * Sigma**2 * fm.Pi) / d,
        ),
        assumptions=_DIAGONAL,
        depends_on=("eq-C.3",),
        note="Without commuting the first two terms are tr(D₁ᵀD₁) and 2 tr(D₁ᵀD_preΠΣ).",
    )
)
register(
    Statement(
        "eq-C.6",
        "Eq. C.6",
        "The linear trace by the diagonal blocks of Π",
        nt.Chain(
            2 * _LINEAR / d,
            2 * sp.Trace(fm.D_pre * fm.D_1 * Sigma * fm.Pi) / d,
            2 / d * average(alpha[k] * delta[k] * TRACE_OF_BLOCK[k, k], 2),
        ),
        assumptions=_DIAGONAL,
        note="With the levels of D₁ and D_preΣ at the d at hand; α_k and δ_k of (B.7) are their limits.",
    )
)
register(
    Statement(
        "eq-C.7",
        "Eq. C.7",
        "The quadratic trace by T_ij = (1/d) tr(Π_ij Π_ji)",
        eq(
            fm.Quad,
            delta[1] ** 2 * T11
            + delta[2] ** 2 * T22
            + (delta_tilde[2] ** 2 * bs.Sigma[1] ** 2 + delta_tilde[1] ** 2 * bs.Sigma[2] ** 2) * T12,
        ),
        assumptions=_DIAGONAL,
    )
)
register(
    Statement(
        "eq-C.8",
        "Eq. C.8",
        "The diagonal blocks of Π² = Π",
        eq(PI_KK**2 + PI_KJ * PI_JK, PI_KK),
        assumptions=("j ≠ k", "two blocks"),
    )
)
