"""First-order expansions of M†, of the projection MM† and of Ṽ_*, and conditional means given Ω, in words.

Φ = M + E with M = AΩ.  The statements are those of :mod:`theory.linearised` and
:mod:`theory.linearised_noise`.  Notes: ``notes/linearised.md``.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.printing.latex import LatexPrinter

from theory import notation as nt
from theory.lower import lower_matrix
from theory.notation import A, B, Gamma0, I, Omega, d, eta, n
from theory.wishart import expectation
from theory.words.letters import Factor, Letter, pinv_letter
from theory.words.poly import Matrix, Scalar, Words, identity, letter, replace_word, substitute, zero

M = nt.matrix("M_features", d, B, "M")
E = nt.matrix("E_features", d, B, "E")
Q = nt.matrix("Q_M", B, B, "Q", symmetric=True)
H = nt.matrix("H_bounded", d, d, "H", symmetric=True)
M_PINV = nt.Pinv(M)
PI_M = M * M_PINV


class MeanGiven(MatrixExpr):
    """E of a matrix over the prompts' features, Ω given."""

    is_commutative = False

    def __new__(cls, of: Any) -> MeanGiven:
        return MatrixExpr.__new__(cls, of)

    @property
    def shape(self) -> Any:
        return self.args[0].shape

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\mathbb{{E}}_{{E|\Omega}}\left[ {printer._print(self.args[0])} \right]"


V_S = -eta * Omega * M_PINV - Gamma0.I * (I - PI_M)
# (B.3) as printed, and what it lacks.
PROJECTION = PI_M + (I - PI_M) * E * M_PINV
PROJECTION_TRUE = PROJECTION + M_PINV.T * E.T * (I - PI_M)
OPERATOR = -eta * Omega * (M_PINV - M_PINV * E * M_PINV) - Gamma0.I * ((I - PI_M) - (I - PI_M) * E * M_PINV)
BEYOND_RANGE = (Gamma0.I - eta * Omega * M_PINV) * M_PINV.T * E.T * (I - PI_M)
BEYOND_ROWS = -eta * Omega * (sp.Identity(B) - M_PINV * M) * E.T * M_PINV.T * M_PINV

_M, _E, _OMEGA, _A = (nt.letter_of(x) for x in (M, E, Omega, A))
m, e, omega = letter(_M), letter(_E), letter(_OMEGA)
m_pinv = letter(pinv_letter(_M))
pi, rows = m @ m_pinv, m_pinv @ m  # the projections on the columns and on the rows of M
inverse = lower_matrix(Gamma0.I)

# First order ------------------------------------------------------------------------------------------


def printed_change() -> Matrix:
    """The change of M† to first order in E as (B.3) has it: −M†EM†."""
    return -(m_pinv @ e @ m_pinv)


def change() -> Matrix:
    """The change of M† to first order in E, where the rank stays: −M†EM† + (MᵀM)†Eᵀ(I − MM†) +
    (I − M†M)Eᵀ(MMᵀ)† (Golub & Pereyra 1973), with (MᵀM)† = M†M†ᵀ and (MMᵀ)† = M†ᵀM†."""
    off_columns, off_rows = identity(d) - pi, identity(B) - rows
    added = m_pinv @ m_pinv.T @ e.T @ off_columns + off_rows @ e.T @ m_pinv.T @ m_pinv
    return printed_change() + added


def penrose_gaps(of: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """What is left, to first order in E, of Penrose's equations for M + E and M† + ``of``:
    ΦXΦ − Φ, XΦX − X, ΦX − (ΦX)ᵀ, XΦ − (XΦ)ᵀ.

    The first is −(I − MM†)E(I − M†M) at best: zero where the rank stays to first order.
    """
    left, right = e @ m_pinv + m @ of, m_pinv @ e + of @ m
    first = e @ rows + m @ of @ m + pi @ e - e
    second = of @ pi + m_pinv @ e @ m_pinv + rows @ of - of
    return first, second, left - left.T, right - right.T


def projection_change(of: Matrix) -> Matrix:
    """The change of MM† to first order if M† changes by ``of``."""
    return e @ m_pinv + m @ of


def operator_change(of: Matrix) -> Matrix:
    """The change of −ηΩM† − Γ₀⁻¹(I − MM†) to first order if M† changes by ``of``."""
    return -(omega @ of) * eta + inverse @ projection_change(of)


def linear_part(expansion: MatrixExpr) -> Matrix:
    """The terms of an expansion that have the letter E."""
    whole = lower_matrix(expansion)
    return whole - substitute(whole, {_E: zero(d, B)})


def invertible(expression: Matrix) -> Matrix:
    """``expression`` with Ω = A⁻¹M."""
    return substitute(expression, {_OMEGA: lower_matrix(A.I) @ m})


def full_rows(expression: Matrix) -> Matrix:
    """``expression`` with MM† = I."""
    return replace_word(expression, (Factor(_M), Factor(pinv_letter(_M))), identity(d))


def pinv_of_square(candidate: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """What is left of Penrose's equations for MMᵀ and ``candidate``."""
    square = m @ m.T
    return (
        square @ candidate @ square - square,
        candidate @ square @ candidate - candidate,
        square @ candidate - (square @ candidate).T,
        candidate @ square - (candidate @ square).T,
    )


# Means given Ω ----------------------------------------------------------------------------------------

_S = [Letter(f"S_{t}", d, d, symmetric=True) for t in (1, 2)]
TASKS = [Letter(f"w*_{t}", d, 1) for t in (1, 2)]
Q_ENTRIES = {(0, 0): sp.Symbol("Q_11"), (0, 1): sp.Symbol("Q_12"), (1, 1): sp.Symbol("Q_22")}


def mean(expression: Words) -> Words:
    """E over the covariances of two prompts from N(0, A)."""
    for one in _S:
        expression = expectation(expression, one, _A, n)
    return expression


def columns() -> tuple[Matrix, Matrix]:
    """ε_τ = (S_τ − A)w*_τ of two prompts."""
    a = letter(_A)
    first, second = ((letter(S) - a) @ letter(w) for S, w in zip(_S, TASKS, strict=True))
    return first, second


def quadratic() -> Matrix:
    """E[EQEᵀ | Ω] for two prompts and any symmetric Q: it is a sum over pairs of prompts, so that two have
    everything that B have."""
    inside = zero(d, d)
    for i, left in enumerate(columns()):
        for j, right in enumerate(columns()):
            inside = inside + left @ right.T * Q_ENTRIES[min(i, j), max(i, j)]
    return mean(inside)


def vanishes_given_tasks(rest: Scalar) -> bool:
    """Whether the mean of ``rest`` given Ω is zero: every word has the letter E once, and E[E | Ω] = 0."""
    once = all(sum(f.letter == _E for word in traces for f in word) == 1 for traces in rest.terms)
    return once and all(mean(column).is_zero() for column in columns())


def signal_and_noise() -> tuple[Matrix, Matrix]:
    """V_S, a function of Ω, and V_N = −V_S E M†."""
    fixed = lower_matrix(V_S)
    return fixed, -(fixed @ e @ m_pinv)
