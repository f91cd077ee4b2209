"""Proposition 4.3: the fine-tuned weights as the number of prompts grows.

Notes: ``notes/population.md``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import exact
from theory import notation as nt
from theory.blocks import gaussian_task
from theory.errors import binary_size, check_count, check_covariance, check_definite, check_rate, in_range
from theory.finetuning import HALF, V_STAR, unsolved_constraint
from theory.notation import A, B, Gamma0, I, Omega, Phi, S, V, d, eta, n
from theory.statement import Counterexample, Statement, register
from theory.wishart import expectation
from theory.words.evaluate import CUTOFF
from theory.words.poly import Matrix, letter

Q_LIMIT = (n + 1) / n * A + sp.Trace(A) / n * A * nt.Pinv(A)
LIMIT = -eta * nt.Pinv(Q_LIMIT) - Gamma0.I * (I - A * nt.Pinv(A))

# Derivations ---------------------------------------------------------------------------------------


def task_moments() -> tuple[Matrix, Matrix]:
    """E[w*(Sw*)ᵀ] and E[Sw*(Sw*)ᵀ], the means of ΩΦᵀ/B and ΦΦᵀ/B, over w* and S."""
    star, s = letter(nt.letter_of(nt.w_star)), letter(nt.letter_of(S))
    first, second = star @ (s @ star).T, (s @ star) @ (s @ star).T
    moments = (expectation(gaussian_task(m), nt.letter_of(S), nt.letter_of(A), n) for m in (first, second))
    return next(moments), next(moments)


def second_moment() -> Matrix:
    """E[S²], derived."""
    s = letter(nt.letter_of(S))
    return expectation(s @ s, nt.letter_of(S), nt.letter_of(A), n)


def limit_on_eigenspace(a: sp.Expr, trace: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """−η A (E S²)⁻¹ and −η((n+1)/n A + tr(A)/n)⁻¹ on the eigenspace of A with eigenvalue a > 0.

    All the matrices of Proposition 4.3 but Γ₀ are functions of A, so this, and 0 on the null space, is
    the whole identity.
    """
    second = task_moments()[1]
    moment = sum(
        c * a ** len(word) * sp.prod([trace for _ in traces]) for (traces, word), c in second.terms.items()
    )
    return -eta * a / moment, -eta / ((n + 1) / n * a + trace / n)


@in_range("A, gamma0")
def population_limit(
    A: NDArray[np.float64], n: int, eta: float, gamma0: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Ṽ_∞ of (4.2), as printed there, for a d × d covariance A, singular or not.

    Raises :class:`ArgumentError` for what is not a covariance, a Γ₀ with no inverse, n < 1, η outside
    (0, 1].
    """
    n = check_count("n", n)
    eta = check_rate("eta", eta)
    covariance = check_covariance("A", A)
    initial = check_definite("gamma0", gamma0, len(covariance))
    # On the eigenspaces: as I − AA† the projection off the range would be rounding where it is zero, and
    # Γ₀⁻¹ may be any number of times larger than the rest.
    unit = binary_size(covariance)
    values, basis = np.linalg.eigh(covariance / unit)
    kept = values > CUTOFF * max(values[-1], 0.0)
    onto, rest = basis[:, kept], basis[:, ~kept]
    inner = (n + 1) / n * values[kept] + np.trace(covariance / unit) / n
    return np.asarray(-eta * ((onto / inner) @ onto.T) / unit - np.linalg.solve(initial, rest @ rest.T))


# Counterexamples -----------------------------------------------------------------------------------


@cache
def _joint_slope() -> Counterexample:
    """d = 2, n = 1, A = diag(1, 2), η = 1/2, k = 1: Ṽ_∞ = −½ diag(1/5, 1/7) is not a minimiser with W̃ = I.

    The population loss is quadratic in W̃, so its slope in W̃_11 is a central difference, and its mean one
    of monomials of x and w*."""
    X, normals = exact.normal_prompt(sp.diag(1, sp.sqrt(2)), 1)
    tasks = list(sp.symbols("u1 u2"))
    limit = sp.diag(sp.Rational(-1, 10), sp.Rational(-1, 14))
    sides = [
        exact.supervised_loss(limit, sp.diag(1 + change, 1), [(X, sp.Matrix(tasks))], HALF, 1)
        for change in (1, -1)
    ]
    slope = exact.gaussian_mean((sides[0] - sides[1]) / 2, [*normals, *tasks])
    return Counterexample(
        "d=2, n=1, A=diag(1,2), η=1/2, k=1: dL/dW̃_11 of the population loss at (Ṽ_∞, I)",
        sp.Integer(0),
        slope,
    )


# Statements ----------------------------------------------------------------------------------------

_V_INF = nt.matrix("V_inf", d, d, r"\widetilde{V}_{\infty}")
_MEAN_S2 = nt.MatrixExpectation(S**2)
SECOND_MOMENT = (n + 1) / n * A**2 + (1 / n) * sp.Trace(A) * A

register(
    Statement(
        "prop-4.3",
        "Proposition 4.3, eq. 4.2",
        "The limit of Ṽ_* as B → ∞",
        nt.Tends(V_STAR, B, sp.oo, nt.Chain(_V_INF, LIMIT)),
        assumptions=("x ~ N(0, A), A ⪰ 0", "n, d fixed"),
        condition="Ṽ_* is the matrix of (4.1), the minimiser with W̃ held at I; for the minimiser over Ṽ and "
        "W̃, which Theorem 4.1 calls Ṽ_*, k = 0, or η = 1, or d = 1",
        counterexample=_joint_slope,
        depends_on=("thm-4.1", "prop-4.3-proof.b", "prop-4.3-proof.c", "eq-A.wishart2"),
        note="Of the formula (4.1) it is true as printed, and needs no invertible A; A = 0 gives −Γ₀⁻¹.  But "
        "B → ∞ is where Theorem 4.1 lacks its condition B ≤ rank A, and (4.1) is not the minimiser.",
    )
)
register(
    Statement(
        "prop-4.3-proof.a",
        "Proof of Proposition 4.3",
        "Ṽ_* satisfies ṼΦ = −ηΩ",
        sp.Eq(V * Phi, -eta * Omega, evaluate=False),
        corrected=sp.Eq(V * Phi * Phi.T / B, -eta / B * Omega * Phi.T, evaluate=False),
        counterexample=unsolved_constraint,
        note="Not a condition but an error here: B → ∞ brings B > rank A, where it is false almost surely.  "
        "The normal equations printed next hold.",
    )
)
register(
    Statement(
        "prop-4.3-proof.b",
        "Proof of Proposition 4.3",
        "The mean of ΩΦᵀ/B",
        sp.Eq(nt.MatrixExpectation(Omega * Phi.T / B), A, evaluate=False),
    )
)
register(
    Statement(
        "prop-4.3-proof.c",
        "Proof of Proposition 4.3",
        "The mean of ΦΦᵀ/B",
        sp.Eq(nt.MatrixExpectation(Phi * Phi.T / B), _MEAN_S2, evaluate=False),
    )
)
register(
    Statement(
        "prop-4.3-proof.d",
        "Proof of Proposition 4.3",
        "For invertible A the limit is −ηA(E S²)⁻¹",
        nt.Tends(
            V_STAR,
            B,
            sp.oo,
            nt.Chain(
                -eta * A * sp.Inverse(nt.MatrixExpectation(S**2)),
                -eta * sp.Inverse((n + 1) / n * A + sp.Trace(A) / n * I),
            ),
        ),
        assumptions=("A invertible",),
    )
)
register(
    Statement(
        "prop-4.3-proof.e",
        "Proof of Proposition 4.3",
        "For singular A the same on range(A), the initialisation on its null space",
        nt.Tends(V_STAR * (I - A * nt.Pinv(A)), B, sp.oo, -Gamma0.I * (I - A * nt.Pinv(A))),
        note="Equality holds as soon as rank Φ = rank A, almost surely at B ≥ rank A.",
    )
)
register(
    Statement(
        "eq-A.wishart2",
        "Proof of Proposition 4.3",
        "The second moment of S",
        sp.Eq(_MEAN_S2, SECOND_MOMENT, evaluate=False),
    )
)
