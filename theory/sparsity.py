"""Eq. 3.8: which entries of V and W the population gradient of the supervised loss moves.

At a point of the pattern the residual of step i is (0, 0, R_i, 0) with R_i odd in w*, so a block whose
per-prompt gradient is odd in w* has mean zero.  The blocks V_wx, W_xw and W_yc are even.
Notes: ``notes/sparsity.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import blocks, exact
from theory import notation as nt
from theory.lower import raise_scalar
from theory.notation import A, n, rho_cot
from theory.pretraining import b
from theory.statement import Counterexample, Statement, register
from theory.wishart import expectation
from theory.words.letters import Letter
from theory.words.poly import Matrix, letter

now, following = sp.symbols("a_i a_next", real=True)  # w_i = a_i w*, w_{i+1} = a_next w*
IN_PATTERN = {("V", 2, 0), ("W", 0, 2), ("W", 1, 3)}
Gradient = dict[tuple[str, int, int], Matrix]


def prompt_gradient() -> Gradient:
    """Gradient of ½‖f_LSA(Z_i)[:,−1] − (0, 0, w_{i+1}, 1)‖² in every block of V and W, one prompt, at a
    pattern point with label entry b and w_i = a_i w*, w_{i+1} = a_next w*.

    f = z + V g with g = ZZᵀWz/n, so ∂/∂V = r gᵀ and ∂/∂W = (ZZᵀ/n) Vᵀr zᵀ.
    """
    star = letter(nt.letter_of(nt.w_star))
    v, w = blocks.pattern(b)
    tokens = star @ letter(Letter("a", sp.Integer(1), blocks.m))  # every written weight is a multiple of w*
    Z = blocks.embedding(tokens, letter(blocks.ONES))
    z = blocks.last_column(star * now)
    g = blocks.attend(Z, w, z)
    moved = blocks.product(v, g)
    aim = blocks.last_column(star * following)
    r = [[z[row][0] + moved[row][0] - aim[row][0]] for row in range(4)]
    back = blocks.attend(Z, blocks.unit(), blocks.product(blocks.transpose(v), r))
    found: Gradient = {}
    for row in range(4):
        for col in range(4):
            found["V", row, col] = blocks.with_covariance(r[row][0] @ g[col][0].T)
            found["W", row, col] = blocks.with_covariance(back[row][0] @ z[col][0].T)
    return found


def population_gradient() -> Gradient:
    """The mean of :func:`prompt_gradient` over w* ~ N(0, I) and S of n samples of N(0, A)."""
    S, cov = nt.letter_of(nt.S), nt.letter_of(A)
    return {
        key: expectation(blocks.gaussian_task(value), S, cov, n) for key, value in prompt_gradient().items()
    }


def on_path(value: Matrix, eta: sp.Expr, k: int) -> Matrix:
    """Σ_{i=0}^k of a population gradient on the path a_i = 1 − (1−η)^i."""
    total = value * 0
    for i in range(k + 1):
        total = total + value.subs({now: 1 - (1 - eta) ** i, following: 1 - (1 - eta) ** (i + 1)})
    return total


def label_gradient() -> Matrix:
    """The population gradient of the entry W_yc, a 1 × 1 matrix of traces."""
    return population_gradient()["W", 1, 3]


def _label_moves() -> Counterexample:
    """d = n = 1, Σ₀ = A = 1, η = 1/2, k = 0, at the initialisation Ṽ = −1/3, W̃ = 1, W_yc = −1."""
    X, normals = exact.normal_prompt(sp.Matrix([[1]]), 1)
    u, label = sp.symbols("u b")
    value = exact.supervised_loss(
        exact.matrix([["-1/3"]]), exact.matrix([[1]]), [(X, sp.Matrix([[u]]))], sp.Rational(1, 2), 0, label
    )
    slope = exact.gaussian_mean(sp.diff(value, label).subs(label, -1), [*normals, u])
    return Counterexample(
        "d=n=1, Σ₀=A=1, η=1/2, k=0, at (3.6): Ṽ=-1/3, W̃=1, W_yc=-1; dL/dW_yc is", sp.Integer(0), slope
    )


_T = sp.Symbol("t")
_V31, _W13 = sp.Symbol("V_{31}(t)"), sp.Symbol("W_{13}(t)")


def _sparse(rows: list[tuple[int, int, sp.Expr]]) -> nt.Blocks:
    grid: list[list[sp.Expr]] = [[sp.Integer(0)] * 4 for _ in range(4)]
    for row, col, entry in rows:
        grid[row][col] = entry
    return nt.Blocks(*(sp.Tuple(*row) for row in grid))


def _corrected_label() -> sp.Basic:
    rate = label_gradient().trace().map_coefficients(lambda c: c.subs({b: -1}))
    path = {now: 1 - rho_cot**nt.i, following: 1 - rho_cot ** (nt.i + 1)}
    value = raise_scalar(rate.map_coefficients(lambda c: sp.expand(c.subs(path))))
    return sp.Eq(
        sp.Symbol(r"\left. \dot{W}_{yc} \right|_{W_{yc}=-1}"), -sp.Sum(value, (nt.i, 0, nt.k)), evaluate=False
    )


register(
    Statement(
        "eq-3.8.a",
        "Eq. 3.8",
        "Population gradient flow keeps the zero blocks of V and W at zero, for any covariance and "
        "the supervised path",
        nt.Listing(
            nt.Chain(sp.Symbol("V(t)"), _sparse([(2, 0, _V31)])),
            nt.Chain(sp.Symbol("W(t)"), _sparse([(0, 2, _W13), (1, 3, sp.Symbol("W_{24}(t)"))])),
        ),
        assumptions=("infinitely many prompts", "w* ~ N(0, I) independent of X", "start in the pattern"),
        note="W_yc, printed as −1, is judged in eq-3.8.b.  Only the symmetry w* → −w* given X is used: pairs "
        "(X, ±w*) keep the blocks at zero at any B; "
        "without pairs a finite B moves V_wy, W_xc and (k ≥ 1) W_yw.",
    )
)
register(
    Statement(
        "eq-3.8.b",
        "Eq. 3.8",
        "The flow keeps the entry W_yc at the constant −1",
        nt.Chain(sp.Symbol("W_{24}(t)"), sp.Integer(-1)),
        corrected=_corrected_label(),
        counterexample=_label_moves,
        condition="W_yc is held at −1: the flow of Ṽ and W̃ alone",
        note="W_yc has an even gradient like Ṽ and W̃: over all entries the flow is one of three blocks, and "
        "conserves ‖Ṽ‖² − ‖W̃‖² − W_yc².  It stands still where its gradient is zero, as at η = 1, A = Σ₀.",
        depends_on=("eq-3.8.a",),
    )
)
