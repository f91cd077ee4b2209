"""Section 3 and the chain to A.1: the forward pass in blocks, the recursion, its solution.

Notes: ``notes/model.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import blocks, exact
from theory import notation as nt
from theory.notation import B, I, S, V, W, X, d, eta, i, n, rho_cot, w_star
from theory.statement import Counterexample, Statement, register
from theory.words.letters import Factor, Letter
from theory.words.poly import Matrix, identity, letter, replace_word

Z = nt.matrix("Z", 2 * d + 2, nt.t, "Z")
V_full = nt.matrix("V_full", 2 * d + 2, 2 * d + 2, "V")
W_full = nt.matrix("W_full", 2 * d + 2, 2 * d + 2, "W")
W_K, W_Q, W_V = (nt.matrix(f"W_{a}", nt.j, 2 * d + 2, f"W_{a}") for a in "KQV")
W_P = nt.matrix("W_P", 2 * d + 2, nt.j, "W_P")
w_now = nt.matrix("w_i", d, 1, r"\hat{w}_{i}")
w_next = nt.matrix("w_i+1", d, 1, r"\hat{w}_{i+1}")
w_zero = nt.matrix("w_0", d, 1, "w_{0}")
w_hat0 = nt.matrix("w_hat0", d, 1, r"\hat{w}_{0}")
w_hat_k = nt.matrix("w_hat_k", d, 1, r"\hat{w}_{k}")
w_hat_k_tau = nt.matrix("w_hat_k_tau", d, 1, r"\hat{w}_{\tau,k}")
path = nt.matrix("path_i", d, 1, "w_{i}")
path_next = nt.matrix("path_i+1", d, 1, "w_{i+1}")
path_next_tau = nt.matrix("path_i+1_tau", d, 1, r"w_{i+1,\tau}")
output = nt.matrix("f_tau", 2 * d + 2, 1, r"f_{\mathrm{LSA}}(Z_{i,\tau})_{[:,-1]}")
target_tau = nt.matrix("target_tau", 2 * d + 2, 1, r"(0,0,w_{i+1,\tau},1)")
hat_tau = nt.matrix("w_i_tau", d, 1, r"\hat{w}_{i,\tau}")
hat_next_tau = nt.matrix("w_i+1_tau", d, 1, r"\hat{w}_{i+1,\tau}")
LAST = sp.Symbol(r"f_{\mathrm{LSA}}(Z_{i})_{[:,-1]}")
Z_i = nt.matrix("Z_i", 2 * d + 2, n + i + 1, "Z_{i}")
ONE, ZERO = sp.Integer(1), sp.Integer(0)

# Derivations ---------------------------------------------------------------------------------------


def merged_attention() -> tuple[Matrix, Matrix]:
    """Z + W_P W_V Z (W_K Z)ᵀ(W_Q Z)/λ, and eq. 3.1 at V = W_P W_V, W = W_KᵀW_Q."""
    k, q, v, p, z = (letter(nt.letter_of(a)) for a in (W_K, W_Q, W_V, W_P, Z))
    attention = z + p @ v @ z @ (k @ z).T @ (q @ z) * (1 / nt.lam)
    merged = z + (p @ v) @ z @ z.T @ (k.T @ q) @ z * (1 / nt.lam)
    return attention, merged


def recursion() -> Matrix:
    """The weight rows of f_LSA(Z_i)[:, −1] under the pattern (3.8): the right side of A.1."""
    return blocks.forward(*blocks.pattern(), letter(nt.letter_of(w_now)))[2][0]


def constant_row() -> Matrix:
    """The constant row of a generated column for V and W with every block free."""
    return blocks.forward(blocks.full("V"), blocks.full("W"), letter(nt.letter_of(w_now)))[3][0]


def induction_step() -> tuple[Matrix, Matrix]:
    """A.4 at k+1, once from A.1 applied to A.4 at k and once as printed; M = I + ṼSW̃.

    M^k and G_k = Σ_{i<k} M^i enter as letters, with M^{k+1} = M M^k and G_{k+1} = I + M G_k.
    """
    Mk, Gk = Letter("M^k", d, d), Letter("G_k", d, d)
    v, s, w, star, start = (letter(nt.letter_of(a)) for a in (V, S, W, w_star, w_hat0))
    M = identity(d) + v @ s @ w
    at_k = letter(Mk) @ start - letter(Gk) @ v @ s @ star
    applied = at_k + v @ s @ (w @ at_k - star)
    printed = M @ letter(Mk) @ start - (identity(d) + M @ letter(Gk)) @ v @ s @ star
    return applied, printed


def residual() -> tuple[Matrix, Matrix]:
    """R_i = w_i + ṼS(W̃w_i − w*) − w_{i+1} on the path w_i = (1−ρ^i)w*, and the print's last line."""
    v, s, w, star = (letter(nt.letter_of(a)) for a in (V, S, W, w_star))
    power = rho_cot**i
    now, following = star * (1 - power), star * (1 - rho_cot * power)
    definition = replace_word(recursion(), (Factor(nt.letter_of(w_now)),), now) - following
    printed = v @ s @ (w - identity(d)) @ star - (v @ s @ w + identity(d) * (1 - rho_cot)) @ star * power
    return definition, printed


# Counterexamples -----------------------------------------------------------------------------------


def _constant_slot() -> Counterexample:
    full_v, full_w = exact.assemble(sp.zeros(1), sp.zeros(1))
    full_v[3, 0] = 1  # the constant row of V reads the features
    column = exact.chain(full_v, full_w, exact.matrix([[1]]), exact.matrix([[1]]), 1)[0]
    return Counterexample("d=n=1, x=w*=1, W_yc=-1, only V_cx=1 non-zero", ONE, column[3])


def _rate() -> Counterexample:
    reached = exact.target(exact.matrix([[1]]), sp.Integer(2), 5)[0]
    return Counterexample(
        "η=2, w*=1: w_5 of the path 0, 2, 0, 2, …, which never gets nearer to w*", ONE, reached
    )


def _first_weight() -> Counterexample:
    """d=n=1, X=w*=W̃=1, Ṽ=−1/2: ŵ_1 = 1/2; the print's second line takes W̃w_0 for W̃ŵ_1."""
    one, half = exact.matrix([[1]]), exact.matrix([["-1/2"]])
    full = exact.assemble(half, one)
    columns = exact.chain(*full, one, one, 2)
    printed = columns[0][2] + half[0] * (0 - 1)
    return Counterexample("d=n=1, X=w*=W̃=1, Ṽ=-1/2, i=1", printed, columns[1][2])


def _step_error() -> Counterexample:
    """A model on the path exactly: Ṽ = −η at d=n=1; the true step error is 0."""
    one, half = exact.matrix([[1]]), sp.Rational(1, 2)
    full = exact.assemble(exact.matrix([["-1/2"]]), one)
    out = exact.taught(*full, one, one, half, 1)[2]
    w1, w2 = exact.target(one, half, 1)[0], exact.target(one, half, 2)[0]
    return Counterexample("d=n=1, X=w*=W̃=1, Ṽ=-1/2, η=1/2, i=1 (ŵ_1=w_1)", (w2 - w1) ** 2, (w2 - out) ** 2)


# Statements ----------------------------------------------------------------------------------------

_UPDATE = V * S * (W * w_now - w_star)
_NULL = sp.ZeroMatrix(d, 1)
_SEEN = nt.Column(W * w_now, -ONE, _NULL, ZERO)
_NOW = nt.Column(_NULL, ZERO, w_now, ONE)
_VX = V * X
_PRINTED_VZ = nt.Blocks(
    sp.Tuple(sp.ZeroMatrix(d, n), ZERO, ZERO, ZERO),
    sp.Tuple(sp.ZeroMatrix(1, n), ZERO, ZERO, ZERO),
    sp.Tuple(_VX, ZERO, ZERO, ZERO),
    sp.Tuple(sp.ZeroMatrix(1, n), ZERO, ZERO, ZERO),
)
_TRUE_VZ = nt.Blocks(
    sp.Tuple(sp.ZeroMatrix(d, n), nt.Zeros(d, i + 1)),
    sp.Tuple(sp.ZeroMatrix(1, n), nt.Zeros(1, i + 1)),
    sp.Tuple(_VX, nt.Zeros(d, i + 1)),
    sp.Tuple(sp.ZeroMatrix(1, n), nt.Zeros(1, i + 1)),
)

register(
    Statement(
        "eq-3.1",
        "Eq. 3.1",
        "Linear self-attention with merged weights W = W_KᵀW_Q, V = W_P W_V",
        sp.Eq(
            Z + W_P * W_V * Z * (W_K * Z).T * (W_Q * Z) / nt.lam,
            Z + V_full * Z * (Z.T * W_full * Z) / nt.lam,
            evaluate=False,
        ),
        note="Every pair (V, W) is reached only if the inner widths are at least 2d+2.",
    )
)
register(
    Statement(
        "eq-3.2.a",
        "Eq. 3.2",
        "The prediction is rows d+2 … 2d+1 of the last column of f_LSA; under (3.8) the column is (0, "
        "0, ŵ_{i+1}, 1)",
        nt.Chain(LAST, nt.Column(_NULL, ZERO, w_next, ONE)),
        assumptions=("V, W in the pattern (3.8)",),
    )
)
register(
    Statement(
        "eq-3.2.b",
        "Eq. 3.3",
        "Every generated column ends in the constant 1",
        nt.Chain(sp.Symbol(r"f_{\mathrm{LSA}}(\hat{Z}_{i})_{[2d+2,-1]}"), ONE),
        condition="the last block row of V is zero, as it is under (3.8)",
        counterexample=_constant_slot,
    )
)
register(
    Statement(
        "eq-3.4",
        "Eq. 3.4",
        "Outcome loss: only the k-th prediction is penalised (full model and recursion A.1 agree)",
        sp.Eq(
            nt.Label(nt.L_OS, V, W),
            sp.Sum(nt.NormSquared(w_hat_k_tau - nt.w_star_tau), (nt.tau, 1, B)) / (2 * B),
            evaluate=False,
        ),
        depends_on=("eq-A.1",),
    )
)
register(
    Statement(
        "eq-3.5.a",
        "Eq. 3.5",
        "The path w_i = (1 − (1−η)^i) w* converges exponentially for an arbitrary rate η",
        nt.Tends((1 - (1 - eta) ** i) * w_star, i, sp.oo, w_star),
        condition="0 < η < 2; the error shrinks by |1−η| a step, by 1−η for 0 < η ≤ 1",
        counterexample=_rate,
    )
)
register(
    Statement(
        "eq-3.5.b",
        "Eq. 3.5",
        "Supervised loss: k+1 terms i = 0 … k, each the full (2d+2)-row residual",
        sp.Eq(
            nt.Label(nt.L_SFT, V, W),
            sp.Sum(nt.NormSquared(output - target_tau), (i, 0, nt.k), (nt.tau, 1, B)) / (2 * B),
            evaluate=False,
        ),
        depends_on=("eq-A.1", "thm-4.1-residual"),
        note="k counts differently in the two losses: L_SFT trains steps 1 … k+1, L_OS runs k steps.",
    )
)
register(
    Statement(
        "eq-A.1",
        "Eq. A.1",
        "Under the pattern (3.8) the model's step is affine in its last weight",
        sp.Eq(w_next, w_now + _UPDATE, evaluate=False),
        assumptions=("λ = n",),
    )
)
register(
    Statement(
        "eq-A.1-steps.a",
        "Proof of Theorem 4.1, line 1",
        "W Z[:,−1] = (W̃ŵ_i; −1; 0; 0)",
        nt.Chain(LAST, nt.Sum_(_NOW, nt.Product_(V_full * Z_i * Z_i.T / n, _SEEN))),
    )
)
register(
    Statement(
        "eq-A.1-steps.b",
        "Proof of Theorem 4.1, line 2",
        "The same in blocks",
        nt.Product_(_PRINTED_VZ, Z_i.T, nt.Column(W * w_zero, -ONE, _NULL, ZERO)),
        corrected=nt.Product_(_TRUE_VZ, Z_i.T, _SEEN),
        counterexample=_first_weight,
        note="W̃w_0 should be W̃ŵ_i, and V Z_i has n+i+1 columns where n+3 are printed.",
    )
)
register(
    Statement(
        "eq-A.1-steps.c",
        "Proof of Theorem 4.1, lines 3 and 4",
        "The scores are XᵀW̃ŵ_i − yᵀ on the prompt and 0 on the generated columns; the update is "
        "ṼXXᵀ(W̃ŵ_i − w*)/n",
        nt.Chain(LAST, nt.Sum_(_NOW, nt.Column(_NULL, ZERO, V * X * X.T * (W * w_now - w_star) / n, ZERO))),
    )
)
register(
    Statement(
        "eq-A.1-steps.d",
        "Proof of Theorem 4.1, after A.1",
        "The error of a supervised step",
        nt.NormSquared(path_next_tau - hat_tau),
        corrected=nt.NormSquared(path_next_tau - hat_next_tau),
        counterexample=_step_error,
        note="The residual of the next line compares w_{i+1} with the model's output from w_i, which is "
        "ŵ_{i+1}.",
    )
)
_M = I + V * S * W
register(
    Statement(
        "eq-A.4",
        "Eq. A.4",
        "The recursion solved",
        nt.Chain(
            w_hat_k,
            nt.Minus(_M**nt.k * w_hat0, nt.MatrixSum(_M**i * V * S * w_star, i, 0, nt.k - 1)),
        ),
        depends_on=("eq-A.1",),
    )
)
