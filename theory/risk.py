"""Proposition 5.1, Lemma A.1 and eq. A.3: the one-step test risk.

Notes: ``notes/risk.md``.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import blocks, exact
from theory import notation as nt
from theory.errors import ArgumentError, binary_size, check_count, check_covariance, check_numbers, in_range
from theory.kstep import k_step_gradient_expr, k_step_risk_expr  # noqa: F401  the k-step risk is found here
from theory.kstep_value import k_step_gradient, k_step_risk, k_step_risk_bound  # noqa: F401
from theory.lower import lower_scalar
from theory.notation import G, I, Sigma, Sigma_hat, V, X, d, n
from theory.statement import Counterexample, Statement, register
from theory.wishart import expectation
from theory.words.evaluate import evaluate
from theory.words.letters import Letter
from theory.words.poly import Matrix, Scalar, identity, letter, zero

w_hat = nt.matrix("w_hat", d, 1, r"\hat{w}")
_S, _SIGMA, _V, _G = (nt.letter_of(a) for a in (nt.S, Sigma, V, G))

# Derivations ---------------------------------------------------------------------------------------


def one_step_miss() -> Matrix:
    """ŵ_1 − w* at w_0 = 0, W̃ = I from the block product: −(I + ṼS)w*."""
    return blocks.forward(*blocks.pattern(), zero(d, 1))[2][0] - letter(nt.letter_of(nt.w_star))


def risk_given_prompt() -> Scalar:
    """E over w* ~ N(0, I) of ‖ŵ_1 − w*‖²."""
    return blocks.gaussian_task(one_step_miss().norm2())


def risk_of(matrix: Letter) -> Scalar:
    """E‖I + M Σ̂‖_F² over Σ̂ = XXᵀ/n, x ~ N(0, Σ), for any letter M."""
    return expectation((identity(d) + letter(matrix) @ letter(_S)).norm2(), _S, _SIGMA, n)


def risk() -> Scalar:
    """The one-step risk E‖ŵ_1 − w*‖², derived from the forward pass."""
    return expectation(risk_given_prompt(), _S, _SIGMA, n)


def quadratic_mean(inner: Matrix) -> Matrix:
    """E[Σ̂ M Σ̂]."""
    s = letter(_S)
    return expectation(s @ inner @ s, _S, _SIGMA, n)


def second_moment() -> Scalar:
    """E‖M Σ̂‖_F² for the arbitrary matrix of Lemma A.1."""
    return expectation((letter(_G) @ letter(_S)).norm2(), _S, _SIGMA, n)


@in_range("V, Sigma")
def one_step_risk(V: NDArray[np.float64], Sigma: NDArray[np.float64], n: int) -> float:
    """E‖ŵ_1 − w*‖² at W̃ = I, w_0 = 0 (arXiv:2603.01293, eq. 5.1), for a d × d V and covariance Σ.

    Raises :class:`ArgumentError` for what is not a covariance, a V of another shape or not finite, n < 1.
    """
    n = check_count("n", n)
    covariance = check_covariance("Sigma", Sigma)
    block = check_numbers("V", V)
    if block.shape != covariance.shape or not np.isfinite(block).all():
        raise ArgumentError(f"V has shape {block.shape}: must be a finite matrix of shape {covariance.shape}")
    unit = binary_size(
        covariance
    )  # the risk is one of VΣ and of VΣVᵀ · Σ: no part of it is lost at any scale
    values = {_V: block * unit, _SIGMA: covariance / unit}
    return float(evaluate(_RISK, values, {nt.n: n, nt.d: len(block)}))


# Statements ----------------------------------------------------------------------------------------


def formula(M: sp.MatrixSymbol, cross: int = 1) -> sp.Expr:
    """‖I + MΣ‖_F² + (1/n)(tr(MΣ²Mᵀ) + cross · tr(MΣMᵀ)tr(Σ)): (5.1) at cross = 1."""
    return (
        nt.FrobeniusSquared(I + M * Sigma)
        + (sp.Trace(M * Sigma**2 * M.T) + cross * sp.Trace(M * Sigma * M.T) * sp.Trace(Sigma)) / n
    )


_RISK = lower_scalar(formula(V))
_LHS = nt.Expectation(nt.FrobeniusSquared(I + G * Sigma_hat))
_GTG = G.T * G
_MEAN_PRINTED = (n - 1) / n * Sigma * _GTG * Sigma + (1 / n) * (
    2 * Sigma * _GTG * Sigma + sp.Trace(Sigma * _GTG) * Sigma
)
_TAIL = (sp.Trace(G * Sigma**2 * G.T) + sp.Trace(G * Sigma * G.T) * sp.Trace(Sigma)) / n
_SECOND_PRINTED = (n + 1) / n * sp.Trace(G * Sigma**2 * G.T) + sp.Trace(G * Sigma * G.T) * sp.Trace(Sigma) / n
A3_FIRST = d + nt.Expectation(nt.FrobeniusSquared(G * Sigma_hat)) - 2 * nt.Expectation(sp.Trace(G * Sigma))
A3_FIRST_TRUE = d + nt.Expectation(nt.FrobeniusSquared(G * Sigma_hat)) + 2 * sp.Trace(G * Sigma)
A3_SECOND = d + sp.Trace(G.T * Sigma**2 * G) - 2 * nt.Expectation(sp.Trace(G * Sigma)) + _TAIL
A3_SECOND_TRUE = d + sp.Trace(G * Sigma**2 * G.T) + 2 * sp.Trace(G * Sigma) + _TAIL


def _scalar_case(printed: Scalar) -> Counterexample:
    """d = n = 1, Σ = A = 1: E(1 + z²)² = 6."""
    one = exact.matrix([[1]])
    actual = exact.mean_over_prompts(lambda S: exact.frobenius_squared(sp.eye(1) + one * S), one, 1)
    as_array = np.array([[sp.Integer(1)]], dtype=object)
    value = evaluate(printed, {_G: as_array, _SIGMA: as_array}, {n: 1, d: 1})
    return Counterexample("d=n=1, Σ=A=1", value, actual)


def _last_line() -> Counterexample:
    return _scalar_case(lower_scalar(formula(G, 2)))


def _sign() -> Counterexample:
    return _scalar_case(lower_scalar(A3_FIRST))


def _transposition() -> Counterexample:
    """A = E_12, Σ = diag(1, 2), n = 1: tr(AΣ) = 0, so that the transposition alone is at work."""
    step = exact.matrix([[0, 1], [0, 0]])
    root = exact.matrix([[1, 0], [0, 0]]) + sp.diag(0, sp.sqrt(2))
    actual = exact.mean_over_prompts(lambda S: exact.frobenius_squared(sp.eye(2) + step * S), root, 1)
    arrays = {
        _G: np.array(step.tolist(), dtype=object),
        _SIGMA: np.array(sp.diag(1, 2).tolist(), dtype=object),
    }
    printed = evaluate(lower_scalar(A3_SECOND), arrays, {n: 1, d: 2})
    return Counterexample("d=2, n=1, Σ=diag(1,2), A=[[0,1],[0,0]]", printed, sp.simplify(actual))


def _prompt_length() -> Counterexample:
    """n = 1 column in X, m = 2 pairs in the prompt, λ = n as in eq. 3.1."""
    X_n, X_m, w = exact.matrix([[1]]), exact.matrix([[1, 2]]), exact.matrix([[1]])
    full = exact.assemble(exact.matrix([["-1/2"]]), sp.eye(1))
    printed = -exact.matrix([["-1/2"]])[0] * exact.covariance(X_n)[0] * w[0]
    Z = exact.embed(X_m, w, [exact.weight_column(sp.zeros(1, 1))])
    actual = exact.forward(Z, *full, X_n.cols)[2]
    return Counterexample("d=1, Ṽ=-1/2, w*=1, x_1=1, x_2=2, m=2, X=[x_1], λ=n=1: ŵ", printed, actual)


register(
    Statement(
        "prop-5.1",
        "Proposition 5.1, eq. 5.1",
        "The one-step test risk at finite prompt length",
        nt.Chain(
            nt.Expectation(nt.NormSquared(w_hat - nt.w_star), "X, w^{*}"),
            nt.Expectation(nt.FrobeniusSquared(I + V * Sigma_hat), "X"),
            formula(V),
        ),
        assumptions=("W̃ = I", "w_0 = 0", "x ~ N(0, Σ) independent", "w* ~ N(0, I)"),
        depends_on=("eq-A.1", "lem-A.1.a"),
        note="As n → ∞ the risk tends to ‖I + ṼΣ‖_F², at rate 1/n.",
    )
)
register(
    Statement(
        "prop-5.1.a",
        "Proposition 5.1, first sentence",
        "The test prompt (x_1, y_1, …, x_m, y_m) has X = [x_1|…|x_n] and gives ŵ = −(1/n) Ṽ X Xᵀ w*",
        sp.Eq(w_hat, -(1 / n) * V * X * X.T * nt.w_star, evaluate=False),
        corrected=nt.Listing(
            sp.Eq(w_hat, -(1 / n) * V * X * X.T * nt.w_star, evaluate=False),
            sp.Eq(nt.m_prompt, n, evaluate=False),
        ),
        counterexample=_prompt_length,
        depends_on=("eq-A.1",),
        note="The prompt length is m in the prompt and n in X and in 1/n; one letter for both mends it.",
    )
)
register(
    Statement(
        "lem-A.1.a",
        "Lemma A.1, eq. A.2",
        "The identity of Proposition 5.1 for any d × d matrix A",
        nt.Chain(_LHS, formula(G)),
        assumptions=("x_1, …, x_n ~ N(0, Σ) independent",),
    )
)
register(
    Statement(
        "lem-A.1.b",
        "Proof of Lemma A.1",
        "The mean of Σ̂ AᵀA Σ̂",
        sp.Eq(nt.MatrixExpectation(Sigma_hat * _GTG * Sigma_hat), _MEAN_PRINTED, evaluate=False),
        note="With a matrix M that is not symmetric in place of AᵀA, one ΣMΣ becomes ΣMᵀΣ: "
        "E[Σ̂MΣ̂] = ΣMΣ + (ΣMᵀΣ + tr(ΣM)Σ)/n.",
    )
)
register(
    Statement(
        "lem-A.1.c",
        "Proof of Lemma A.1",
        "The mean of the quadratic term",
        sp.Eq(nt.Expectation(nt.FrobeniusSquared(G * Sigma_hat)), _SECOND_PRINTED, evaluate=False),
        depends_on=("lem-A.1.b",),
    )
)
register(
    Statement(
        "lem-A.1.d",
        "Proof of Lemma A.1, last line",
        "The last line of the proof",
        nt.Chain(_LHS, formula(G, 2)),
        corrected=nt.Chain(_LHS, formula(G)),
        counterexample=_last_line,
        note="A factor 2 too many on tr(AΣAᵀ)tr(Σ); the lemma itself (A.2) is right.",
    )
)
register(
    Statement(
        "eq-A.3.a",
        "Eq. A.3",
        "The square expanded",
        nt.Chain(_LHS, A3_FIRST),
        corrected=nt.Chain(_LHS, A3_FIRST_TRUE),
        counterexample=_sign,
        note="The sign of the cross term; it is right for ‖I − AΣ̂‖².",
    )
)
register(
    Statement(
        "eq-A.3.b",
        "Proof of Lemma A.1, after A.3",
        "The quadratic term put in",
        nt.Chain(_LHS, A3_SECOND),
        corrected=nt.Chain(_LHS, A3_SECOND_TRUE),
        counterexample=_transposition,
        note="The sign again, and tr(AᵀΣ²A) where tr(AΣ²Aᵀ) is meant: they differ unless tr(Σ²(AᵀA − AAᵀ)) "
        "= 0.",
    )
)
