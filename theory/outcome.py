"""Proposition 6.1: the outcome loss in closed form.

Notes: ``notes/outcome.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory.notation import B, I, S_tau, V, W, d, i, k, w_star_tau
from theory.statement import Statement, register
from theory.words.letters import Letter
from theory.words.poly import Matrix, identity, letter

# Derivations ---------------------------------------------------------------------------------------


def unrolled(steps: int, with_W: bool) -> Matrix:
    """w* − ŵ_k over w*, k steps of A.1 from w_0 = 0, as a d × d word polynomial in Ṽ, S, W̃."""
    v, s = letter(nt.letter_of(V)), letter(nt.letter_of(nt.S))
    w = letter(nt.letter_of(W)) if with_W else identity(d)
    factor = identity(d) * 0  # ŵ_i = factor · w*
    for _ in range(steps):
        factor = factor + v @ s @ (w @ factor - identity(d))
    return identity(d) - factor


def printed(steps: int, with_W: bool) -> Matrix:
    """I + Σ_{i<k} (ṼSW̃ + I)^i ṼS, or (I + ṼS)^k at W̃ = I, in words at an explicit k."""
    v, s, w = (letter(nt.letter_of(a)) for a in (V, nt.S, W))
    if not with_W:
        return (identity(d) + v @ s).power(steps)
    total = identity(d)
    for power in range(steps):
        total = total + (v @ s @ w + identity(d)).power(power) @ v @ s
    return total


def induction(with_W: bool) -> tuple[Matrix, Matrix]:
    """The factor of w* − ŵ_{k+1}: by A.1 from the print at k, and as printed at k+1 (general k, d).

    M = ṼSW̃ + I, and G_k = Σ_{i<k} M^i, M^k enter as letters with G_{k+1} = I + M G_k, M^{k+1} = M M^k.
    """
    v, s, w = (letter(nt.letter_of(a)) for a in (V, nt.S, W))
    if with_W:
        G_k = letter(Letter("G_k", d, d))
        M = v @ s @ w + identity(d)
        at_k = identity(d) + G_k @ v @ s
        at_next = identity(d) + (identity(d) + M @ G_k) @ v @ s
    else:
        w = identity(d)
        at_k = letter(Letter("M^k", d, d))
        at_next = (identity(d) + v @ s) @ at_k
    hat = identity(d) - at_k
    return identity(d) - (hat + v @ s @ (w @ hat - identity(d))), at_next


# Statements ----------------------------------------------------------------------------------------

_GENERAL = (I + nt.MatrixSum((V * S_tau * W + I) ** i * V * S_tau, i, 0, k - 1)) * w_star_tau
_AT_ONE = (I + V * S_tau) ** k * w_star_tau


def _loss(miss: sp.Expr, weight: sp.Expr) -> sp.Basic:
    return sp.Eq(
        nt.Label(nt.L_OS, V, weight), sp.Sum(nt.NormSquared(miss), (nt.tau, 1, B)) / (2 * B), evaluate=False
    )


register(
    Statement(
        "prop-6.1.a",
        "Proposition 6.1",
        "The outcome loss for general Ṽ, W̃",
        _loss(_GENERAL, W),
        assumptions=("V, W in the pattern (3.8)", "w_0 = 0"),
        depends_on=("eq-A.4",),
    )
)
register(
    Statement(
        "prop-6.1.b",
        "Section 6, after Proposition 6.1",
        "The outcome loss at W̃ = I",
        _loss(_AT_ONE, I),
        assumptions=("W̃ = I",),
        depends_on=("prop-6.1.a",),
    )
)
