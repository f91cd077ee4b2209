"""(C.16)–(C.19) and (C.36), (C.37), (C.40): the noise term E‖V_NΣ‖_F² of the linearised risk, and Term II.

Derived in :mod:`theory.linearised_words` and :mod:`theory.linearised_moments`, counterexamples in
:mod:`theory.linearised_points`.  Notes: ``notes/linearised.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import error_term_formulas as fm
from theory import linearised_points as points
from theory import notation as nt
from theory.block_symbols import Sigma_bar, aspect
from theory.error_term_formulas import eq
from theory.linearised import WELL_POSED
from theory.linearised_words import M_PINV, E, H, M, MeanGiven, Q
from theory.notation import A, B, I, S, Sigma, V, d, n, tau, w_star_tau
from theory.statement import Statement, register

u = nt.matrix("u", d, 1, "u")
F = nt.matrix("F_inverse", d, d, "F", symmetric=True)
eps_tau, eps_sigma = (nt.matrix(f"eps_{t}", d, 1, rf"\varepsilon_{{\{t}}}") for t in ("tau", "sigma"))
Q_tau = nt.scalar_symbol("Q_tau", r"Q_{\tau\tau}", real=True)
_OUTER = Q_tau * w_star_tau * w_star_tau.T
Z = nt.MatrixExpectation(nt.MatrixSum(_OUTER, tau, 1, B))
SIGMA_A = sp.Trace(A) * A + A**2  # d Σ_A
NOISE = nt.Expectation(nt.FrobeniusSquared(fm.V_N * Sigma), "E") / d
T_INV, T_INV_SIGMA = (sp.Trace(X * nt.Pinv(M * M.T)) for X in (Sigma**2, Sigma))
T_VAR = sp.Trace(fm.V_S * fm.Sigma_A * fm.V_S.T)


def wishart_square(of: sp.MatrixExpr) -> sp.MatrixExpr:
    """(uᵀAu)A + AuuᵀA."""
    return sp.Trace(of.T * A * of) * A + A * of * of.T * A


LIMIT = ("≃: the ratio tends to 1 as d → ∞, B/d → β ≠ 1, d/n → γ", "A invertible, all eigenvalues bounded")

register(
    Statement(
        "eq-C.16.a",
        "Before C.17",
        "The covariance of a Wishart matrix times a vector",
        eq(
            nt.MatrixExpectation((S - A) * u * u.T * (S - A)),
            wishart_square(u) / n,
        ),
        assumptions=("S ~ W_d(n, A/n)", "u fixed"),
    )
)
register(
    Statement(
        "eq-C.16.b",
        "Before C.17",
        "Given Ω the columns ε_τ = (S_τ − A)w*_τ of E are uncorrelated",
        eq(MeanGiven(eps_tau * eps_sigma.T), sp.ZeroMatrix(d, d)),
        assumptions=("σ ≠ τ",),
        depends_on=("eq-C.1.b",),
    )
)
register(
    Statement(
        "eq-C.16.c",
        "Before C.17",
        "The mean of EQEᵀ given Ω",
        eq(
            MeanGiven(E * Q * E.T),
            nt.MatrixSum(Q_tau * wishart_square(w_star_tau) / n, tau, 1, B),
        ),
        depends_on=("eq-C.16.a", "eq-C.16.b"),
        note="Exact for every d, n and B.  Q = M†Σ²M†ᵀ is fixed given Ω alone: the print calls M itself "
        "deterministic.",
    )
)
register(
    Statement(
        "eq-C.16.d",
        "Eq. C.16",
        "The noise term as a trace",
        eq(
            nt.FrobeniusSquared(fm.V_N * Sigma) / d,
            sp.Trace(fm.V_S * E * M_PINV * Sigma**2 * M_PINV.T * E.T * fm.V_S.T) / d,
        ),
        depends_on=("eq-B.4.a",),
        note="Printed under E over the prompts, Ω given.",
    )
)
register(
    Statement(
        "eq-C.17.a",
        "Before C.17",
        "E[Σ_τ Q_ττ w*_τw*_τᵀ] is isotropic by rotational invariance, with c = E tr Q",
        nt.Chain(Z, nt.Expectation(sp.Trace(Q)) * I),
        corrected=nt.Lines(
            nt.Chain(Z, ((2 * (B - d - 2)) * F + B * sp.Trace(F) * I) / ((B + 2) * (B - d - 1))),
            eq(F, A.I * Sigma**2 * A.I),
            sp.Ge(B, d + 2, evaluate=False),
            nt.SameLimit(
                nt.Expectation(sp.Trace(H * nt.MatrixSum(_OUTER, tau, 1, B))),
                nt.Expectation(sp.Trace(Q)) * sp.Trace(H),
            ),
        ),
        assumptions=LIMIT,
        counterexample=points.isotropy,
        depends_on=("eq-C.16.c",),
        note="Q depends on Ω through A and Σ, which no rotation leaves alone; nor is Q_ττ uncorrelated with "
        "‖w*_τ‖² (d = 1, B = 3: 3/5, and E tr Q = 1).  It is off by 1/d relatively, in a term that "
        "itself is 1/d of (C.17), so nothing depends on it.",
    )
)
_WEIGHTED = nt.Expectation(sp.Trace(nt.MatrixSum(Q_tau * w_star_tau.T * A * w_star_tau, tau, 1, B)))
register(
    Statement(
        "eq-C.17.b",
        "Before C.17",
        "The correlation of w*_τᵀAw*_τ with Q_ττ vanishes in the limit",
        nt.SameLimit(_WEIGHTED, nt.Expectation(sp.Trace(Q)) * sp.Trace(A)),
        assumptions=LIMIT,
        depends_on=("eq-C.16.c",),
        note="For one block and B < d the ratio is 1 − 2/d.",
    )
)
register(
    Statement(
        "eq-C.17.c",
        "Eq. C.17",
        "The mean of EQEᵀ",
        nt.SameLimit(
            nt.Expectation(sp.Trace(H * E * Q * E.T)),
            nt.Expectation(sp.Trace(Q)) * sp.Trace(H * SIGMA_A) / n,
        ),
        assumptions=(*LIMIT, "H diagonal and bounded"),
        depends_on=("eq-C.17.a", "eq-C.17.b"),
        note="Printed as an equality of matrices; read as one in the limit, as the sentence before it.  At d "
        "= 1, B = 3 it is 6/5 against 2.",
    )
)
register(
    Statement(
        "eq-C.18",
        "Eq. C.18",
        "The noise term with the mean of EQEᵀ put in",
        nt.SameLimit(NOISE, aspect * sp.Trace(Q) * T_VAR / d),
        assumptions=LIMIT,
        depends_on=("eq-C.16.d", "eq-C.17.c"),
        note="In the limit only: V_S and Q both depend on Ω.  The part A²/d of Σ_A is of order 1/d, and at "
        "that order wrong: V_S Aw*_τ = −ηw*_τ for B ≤ d.",
    )
)
register(
    Statement(
        "eq-C.19.a",
        "Before C.19",
        "The property of the pseudo-inverse",
        eq(M_PINV.T * M_PINV, nt.Pinv(M * M.T)),
    )
)
register(
    Statement(
        "eq-C.19.b",
        "Eq. C.19",
        "The noise term is γ T_inv T_var in the limit",
        nt.SameLimit(nt.Expectation(nt.FrobeniusSquared(fm.V_N * Sigma)) / d, aspect * T_INV * T_VAR / d),
        assumptions=LIMIT,
        depends_on=("eq-C.18", "eq-C.19.a"),
        note="Each factor tends to a constant; that, and no independence, is why it splits.",
    )
)
_PAIR = sp.Symbol(r"\mathrm{Cov}")
register(
    Statement(
        "eq-C.19.c",
        "Eq. C.19, its reason",
        "The two factors are independent",
        eq(nt.Label(_PAIR, 1 / T_INV, T_VAR), 0),
        corrected=nt.SameLimit(nt.Expectation(T_INV * T_VAR), nt.Expectation(T_INV) * nt.Expectation(T_VAR)),
        assumptions=LIMIT,
        counterexample=points.dependence,
        note="Both are functions of Ω, and independence would make every covariance zero, that with 1/T_inv "
        "too.  For B ≥ d, V_S = −ηA⁻¹ is not random, and for one block tr(V_S Σ_A V_Sᵀ) is not.  If the word "
        "is to say no more than separate, read (C.19) as eq-C.19.b.",
    )
)
_SMALL, _LARGE = sp.Trace(V * Sigma**2 * V.T), sp.Trace(V * Sigma * V.T) * sp.Trace(Sigma)
register(
    Statement(
        "eq-C.36.a",
        "Before C.36",
        "tr(ṼΣṼᵀ)tr(Σ) dominates tr(ṼΣ²Ṽᵀ)",
        nt.Tends(_SMALL / _LARGE, d, sp.oo, sp.Integer(0)),
        assumptions=("the eigenvalues of Σ are bounded, tr(Σ)/d tends to Σ̄ > 0",),
        note="It is at most λ_max(Σ)/tr(Σ).  A single eigenvalue that grows like d undoes it.",
    )
)
register(
    Statement(
        "eq-C.36.b",
        "Eq. C.36",
        "Term II in the limit",
        nt.SameLimit(
            (sp.Trace(V * Sigma**2 * V.T) + _LARGE) / (n * d),
            aspect * Sigma_bar * sp.Trace(V * Sigma * V.T) / d,
        ),
        assumptions=("the eigenvalues of Σ are bounded, tr(Σ)/d tends to Σ̄ > 0",),
        depends_on=("eq-B.5", "eq-C.36.a"),
    )
)


def _mean_size(of: sp.MatrixExpr) -> sp.Expr:
    return aspect * Sigma_bar * nt.Expectation(sp.Trace(of * Sigma * of.T)) / d


register(
    Statement(
        "eq-C.37",
        "Eq. C.37",
        "Term II is the sum of a signal and a noise part",
        eq(_mean_size(fm.V_S + fm.V_N), _mean_size(fm.V_S) + _mean_size(fm.V_N)),
        depends_on=("eq-C.1.b",),
        note=f"Printed without the mean over Ω on the signal.  For {WELL_POSED} the terms are finite.",
    )
)
register(
    Statement(
        "eq-C.40",
        "Eq. C.40",
        "The noise part of Term II splits as (C.19) does",
        nt.SameLimit(
            nt.Expectation(sp.Trace(fm.V_N * Sigma * fm.V_N.T)) / d, aspect * T_INV_SIGMA * T_VAR / d
        ),
        assumptions=LIMIT,
        depends_on=("eq-C.19.b",),
        note="Printed with a Σ̂_E that is not defined; Σ_A is meant.",
    )
)
