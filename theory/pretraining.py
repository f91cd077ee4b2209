"""Eq. 3.6: what minimising E‖ŵ_1 − w*‖² from w_0 = 0 fixes, and what it leaves free.

With label entry b = W_yc the prediction is ŵ_1 = w_0 + ṼS(W̃w_0 + b w*) = b ṼSw*.
Notes: ``notes/pretraining.md``.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import blocks, exact
from theory import notation as nt
from theory.errors import ArgumentError, check_count, check_covariance, in_range
from theory.lower import lower_matrix
from theory.notation import Gamma0, I, Sigma0, V, d, n
from theory.statement import Counterexample, Statement, register
from theory.wishart import expectation
from theory.words.letters import Letter
from theory.words.poly import Matrix, Scalar, identity, letter, substitute, zero

b = nt.scalar_symbol("W_yc", "W_{yc}", real=True)
w_hat1 = nt.matrix("w_hat1", d, 1, r"\hat{w}_{1}")
V_pre = nt.matrix("V_pre", d, d, r"\widetilde{V}_{\mathrm{pre}}")
V_init = nt.matrix("V_init", d, d, r"\widetilde{V}_{\mathrm{init}}")
W_pre = nt.matrix("W_pre", d, d, r"\widetilde{W}_{\mathrm{pre}}")
W_init = nt.matrix("W_init", d, d, r"\widetilde{W}_{\mathrm{init}}")

_S, _SIGMA0, _V = (nt.letter_of(a) for a in (nt.S, Sigma0, V))

# Derivations ---------------------------------------------------------------------------------------


def prediction() -> Matrix:
    """ŵ_1 of the full model from w_0 = 0, with label entry b: block product, no recursion used."""
    return blocks.forward(*blocks.pattern(b), zero(d, 1))[2][0]


def loss() -> Scalar:
    """E‖ŵ_1 − w*‖² over w* ~ N(0, I) and S of n samples of N(0, Σ₀)."""
    miss = prediction() - letter(nt.letter_of(nt.w_star))
    mean = blocks.gaussian_task(miss.norm2())
    return expectation(mean, _S, _SIGMA0, n)


def right_quotient(expression: Matrix, by: Letter) -> Matrix:
    """Q with ``expression`` = Q · by.  Raises :class:`ArithmeticError` where a word does not end in it."""
    total = zero(expression.rows, by.rows)
    for (traces, word), c in expression.terms.items():
        if not word or word[-1].letter != by or word[-1].transposed:
            raise ArithmeticError(f"{expression} has a term that does not end in {by}")
        total = total + Matrix.of_word(word[:-1], expression.rows, by.rows) * Scalar({traces: c})
    return total


def gamma0_derived() -> Matrix:
    """Γ₀, found: the gradient at b = −1 is 2(ṼΓ₀ + I)Σ₀; Γ₀ is the factor left of Σ₀ at Ṽ."""
    half_gradient = loss().map_coefficients(lambda c: c.subs(b, -1)).gradient(_V) * sp.Rational(1, 2)
    constant = substitute(half_gradient, {_V: zero(d, d)})
    assert isinstance(constant, Matrix)
    if not right_quotient(constant, _SIGMA0).equals(identity(d)):
        raise ArithmeticError("the gradient at Ṽ = 0 is not 2 Σ₀")
    at_identity = substitute(half_gradient, {_V: identity(d)})
    assert isinstance(at_identity, Matrix)
    return right_quotient(at_identity - constant, _SIGMA0)


def gamma0_printed() -> Matrix:
    """Γ₀ as printed in (3.7)."""
    return lower_matrix(_GAMMA0)


def stationarity(solution: Matrix) -> Matrix:
    """The gradient of the pretraining loss at b = −1 and Ṽ = ``solution``."""
    gradient = loss().map_coefficients(lambda c: c.subs(b, -1)).gradient(_V)
    return substitute(gradient, {_V: solution})


def conserved() -> tuple[Scalar, Scalar]:
    """⟨Ṽ, ∂L/∂Ṽ⟩ and b ∂L/∂b: equal, so gradient flow conserves ‖Ṽ‖_F² − b²."""
    value = loss()
    inner = (letter(_V).T @ value.gradient(_V)).trace()
    return inner, value.map_coefficients(lambda c: b * sp.diff(c, b))


@in_range("Sigma0")
def gamma0(Sigma0: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Γ₀ = (1 + 1/n) Σ₀ + (1/n) tr(Σ₀) I for a d × d array (arXiv:2603.01293, eq. 3.7).

    Raises :class:`ArgumentError` for what is not a covariance, n < 1, and Σ₀ = 0, where Γ₀ = 0 has no
    inverse; any other Σ₀, singular or not, makes Γ₀ invertible.
    """
    n = check_count("n", n)
    matrix = check_covariance("Sigma0", Sigma0)
    if np.trace(matrix) <= 0:
        raise ArgumentError("Sigma0 is zero: tr(Sigma0) must be positive, or Gamma0 has no inverse")
    return (1 + 1 / n) * matrix + np.trace(matrix) / n * np.eye(len(matrix))


# Counterexamples -----------------------------------------------------------------------------------


def _singular() -> Counterexample:
    """Σ₀ = diag(1, 0), n = 1: the loss of the print and of a matrix that differs from it are equal."""
    root = sp.diag(1, 0)
    printed = sp.diag(sp.Rational(-1, 3), -1)
    other = sp.diag(sp.Rational(-1, 3), 0)

    def risk(M: sp.Matrix) -> sp.Expr:
        return exact.mean_over_prompts(lambda S: exact.frobenius_squared(sp.eye(2) + M * S), root, 1)

    slope = exact.mean_over_prompts(lambda S: 2 * (sp.eye(2) + other * S) * S, root, 1)
    if risk(printed) != risk(other) or slope != sp.zeros(2):
        raise ArithmeticError("diag(-1/3, 0) is expected to be a minimiser")
    return Counterexample(
        "d=2, n=1, Σ₀=diag(1,0), started at Ṽ=0: the flow moves the first column only; entry (2,2) of "
        "its limit",
        printed[1, 1],
        other[1, 1],
    )


def _untouched() -> Counterexample:
    """ŵ_1 does not read W̃: two values of W̃, one prediction."""
    X, w = exact.matrix([[1, 2], [0, 1]]), exact.matrix([[1], [3]])
    V_at = exact.matrix([[1, 2], [3, 5]])
    outs = {
        tuple(exact.chain(*exact.assemble(V_at, W_at), X, w, 1)[0])
        for W_at in (sp.eye(2), exact.matrix([[0, 7], [1, 0]]))
    }
    if len(outs) != 1:
        raise ArithmeticError("ŵ_1 is expected not to depend on W̃")
    return Counterexample(
        "any prompt, W̃ initialised at 0: ∂L/∂W̃ = 0, so tr W̃ at d=2 ends at", sp.Integer(2), sp.Integer(0)
    )


def _label() -> Counterexample:
    """d = n = 1, Σ₀ = 4/3, so Γ₀ = 4: from Ṽ = −ε, b = −ε the flow keeps Ṽ = b and ends at Ṽb = 1/4."""
    root = sp.sqrt(sp.Rational(4, 3))
    v, label = sp.symbols("v b")
    X, normals = exact.normal_prompt(sp.Matrix([[root]]), 1)
    value = exact.gaussian_mean((label * v * exact.covariance(X)[0] - 1) ** 2, normals)
    end = {v: sp.Rational(-1, 2), label: sp.Rational(-1, 2)}
    if any(sp.diff(value, s).subs(end) != 0 for s in (v, label)):
        raise ArithmeticError("(-1/2, -1/2) is expected to be stationary")
    return Counterexample(
        "d=n=1, Σ₀=4/3, Ṽ and W_yc both trained from -ε: W_yc ends at", sp.Integer(-1), end[label]
    )


# Statements ----------------------------------------------------------------------------------------

ONTO = Sigma0 * nt.Pinv(Sigma0)
ON_RANGE = -Gamma0.I * ONTO + V_init * (I - ONTO)
_GAMMA0 = (1 + 1 / n) * Sigma0 + (1 / n) * sp.Trace(Sigma0) * I

register(
    Statement(
        "eq-3.6.a",
        "Eqs. 3.6, 3.7",
        "Pretraining on infinitely many prompts gives Ṽ = −Γ₀⁻¹",
        nt.Listing(sp.Eq(V_pre, -Gamma0.I, evaluate=False), sp.Eq(Gamma0, _GAMMA0, evaluate=False)),
        corrected=sp.Eq(V_pre, ON_RANGE, evaluate=False),
        assumptions=("proper initialization", "w_0 = 0", "w* ~ N(0, I)", "loss E‖ŵ_1 − w*‖²"),
        condition="Σ₀ is invertible (and W_yc is held at −1); on the null space of Σ₀ training leaves Ṽ "
        "where it started",
        counterexample=_singular,
        note="Σ₀ of the running text of Section 5.2, diag(ρ1_m, 0), is singular.",
    )
)
register(
    Statement(
        "eq-3.6.b",
        "Eq. 3.6",
        "Pretraining gives W̃ = I",
        sp.Eq(W_pre, I, evaluate=False),
        corrected=sp.Eq(W_pre, W_init, evaluate=False),
        assumptions=("proper initialization",),
        condition="proper initialization means W̃ = I: with w_0 = 0 the loss does not depend on W̃",
        counterexample=_untouched,
    )
)
register(
    Statement(
        "eq-3.6.c",
        "Eq. 3.6",
        "Pretraining gives −1 in the y entry of W",
        sp.Eq(b, -1, evaluate=False),
        corrected=sp.Eq(b * V_pre * ONTO, Gamma0.I * ONTO, evaluate=False),
        assumptions=("proper initialization",),
        condition="W_yc is held at −1, a normalisation: the loss depends on the product W_yc Ṽ alone",
        counterexample=_label,
        note="Trained together, W_yc and Ṽ move so that ‖Ṽ‖_F² − W_yc² is conserved, and end at a product "
        "W_yc Ṽ = Γ₀⁻¹ (on the range of Σ₀) unless they start on a saddle such as Ṽ = 0, W_yc = 0.",
    )
)
