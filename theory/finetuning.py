"""Theorem 4.1: the limit of the regularised fine-tuning minimisers.

Notes: ``notes/finetuning.md``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import exact
from theory import notation as nt
from theory.errors import ArgumentError, check_definite, check_finite, check_numbers, check_rate, in_range
from theory.lower import lower_matrix
from theory.model import residual
from theory.notation import B, Gamma0, I, Omega, Phi, S_tau, V, W, d, eta, rho_cot, w_star_tau
from theory.statement import Counterexample, Statement, register
from theory.words.evaluate import evaluate
from theory.words.letters import Factor, Letter, pinv_letter
from theory.words.poly import Matrix, identity, letter, replace_word, substitute

FIXED_POINT = -eta * Omega * nt.Pinv(Phi) - Gamma0.I * (I - Phi * nt.Pinv(Phi))
CONSISTENT = "ṼΦ = −ηΩ has a solution, ΩΦ†Φ = Ω (almost surely: B ≤ rank A)"
HALF = sp.Rational(1, 2)
Prompts = list[tuple[sp.Matrix, sp.Matrix]]

_PHI, _OMEGA, _V, _S = (nt.letter_of(a) for a in (Phi, Omega, V, nt.S))
phi, omega, v = letter(_PHI), letter(_OMEGA), letter(_V)
projection = phi @ letter(pinv_letter(_PHI))
init = -lower_matrix(Gamma0.I)

# Derivations ---------------------------------------------------------------------------------------


def least_distance() -> Matrix:
    """The V nearest to −Γ₀⁻¹ among those with VΦ = −ηΩ.

    Stationarity of ½‖V + Γ₀⁻¹‖_F² − ⟨Λ, VΦ + ηΩ⟩ gives V = −Γ₀⁻¹ + ΛΦᵀ; then V = VΦΦ† + V(I − ΦΦ†), the
    first part from the constraint, the second, where Λ drops out, from stationarity.
    """
    multiplier = letter(Letter("Lambda", d, B))
    stationary = init + multiplier @ phi.T
    outside = stationary @ eye_minus_projection()
    inside = replace_word(v @ phi, (Factor(_V), Factor(_PHI)), omega * -eta) @ letter(pinv_letter(_PHI))
    return inside + outside


def fixed_point() -> Matrix:
    """Ṽ_* as printed in (4.1)."""
    return lower_matrix(FIXED_POINT)


def eye_minus_projection() -> Matrix:
    """I − ΦΦ†, the projection off the range of Φ."""
    return identity(d) - projection


def constraint_gap() -> Matrix:
    """Ṽ_*Φ + ηΩ: zero for every Ω only if Φ†Φ = I; in words, η Ω (I − Φ†Φ)."""
    return fixed_point() @ phi + omega * eta


def zero_loss_residual(at: Matrix = identity(d)) -> Matrix:  # noqa: B008
    """The residual of step i at W̃ = ``at`` with ṼS w* replaced by −η w*: zero at I."""
    definition, _ = residual()
    placed = substitute(definition, {nt.letter_of(nt.W): at})
    assert isinstance(placed, Matrix)
    pattern = (Factor(_V), Factor(_S), Factor(nt.letter_of(nt.w_star)))
    value = replace_word(placed, pattern, letter(nt.letter_of(nt.w_star)) * -(1 - rho_cot))
    return value.map_coefficients(lambda c: sp.powsimp(sp.expand(c)))


def residual_at_identity() -> tuple[Matrix, Matrix]:
    """R_i at W̃ = I, and −ρ^i (ṼS + ηI) w* with η = 1 − ρ."""
    definition, _ = residual()
    star, s = letter(nt.letter_of(nt.w_star)), letter(_S)
    at_identity = substitute(definition, {nt.letter_of(nt.W): identity(d)})
    assert isinstance(at_identity, Matrix)
    return at_identity, (v @ s + identity(d) * (1 - rho_cot)) @ star * -(rho_cot**nt.i)


@in_range("Omega, Phi, gamma0")
def fine_tuned(
    Omega: NDArray[np.float64], Phi: NDArray[np.float64], gamma0: NDArray[np.float64], eta: float
) -> NDArray[np.float64]:
    """Ṽ_* of (4.1) from the d × B matrices Ω, Φ and Γ₀ (arXiv:2603.01293, eq. 4.1).

    Raises :class:`ArgumentError` for shapes that differ, entries that are not finite, a Γ₀ that is not
    an invertible covariance, η outside (0, 1].
    """
    eta = check_rate("eta", eta)
    gamma0 = check_definite("gamma0", gamma0)
    Omega, Phi = check_numbers("Omega", Omega), check_numbers("Phi", Phi)
    if Omega.shape != Phi.shape or Omega.ndim != 2 or len(Omega) != len(gamma0) or not Omega.size:
        raise ArgumentError(
            f"Omega has shape {Omega.shape}, Phi {Phi.shape}: must both be d × B with d = {len(gamma0)}"
        )
    check_finite("Omega", Omega)
    check_finite("Phi", Phi)
    values = {_OMEGA: Omega, _PHI: Phi, nt.letter_of(Gamma0): gamma0}
    return np.asarray(evaluate(fixed_point(), values, {nt.eta: eta}))


# Counterexamples -----------------------------------------------------------------------------------


def singular_prompts() -> Prompts:
    """d = 2, n = 1, A = diag(1, 0), B = 2 > rank A: x = e_1 twice, w* = e_1 and (1, 1)."""
    x = exact.matrix([[1], [0]])
    return [(x, exact.matrix([[1], [0]])), (x, exact.matrix([[1], [1]]))]


def full_prompts() -> Prompts:
    """d = 2, n = 1, A = I, B = 3 > d: x = e_1, e_2, e_1 and w* = e_1, e_2, (1, 1)."""
    e1, e2 = exact.matrix([[1], [0]]), exact.matrix([[0], [1]])
    return [(e1, e1), (e2, e2), (e1, exact.matrix([[1], [1]]))]


def scalar_prompts() -> Prompts:
    """d = n = 1, B = 2: x = 1, 2 and w* = 1."""
    one = exact.matrix([[1]])
    return [(one, one), (exact.matrix([[2]]), one)]


def slope_at_print(prompts: Prompts, k: int) -> sp.Expr:
    """∂L_SFT/∂W̃_12 at the printed limit (Ṽ_*, I), η = 1/2, Γ₀ = diag(2, 3)."""
    fixed = exact.fixed_point(*exact.stack(prompts), sp.diag(2, 3), HALF)
    return exact.supervised_gradient(prompts, fixed, HALF, k)[1][0, 1]


@cache
def _not_stationary() -> Counterexample:
    return Counterexample(
        "d=2, n=1, B=3, η=1/2, k=1, x=e1,e2,e1, w*=e1,e2,(1,1): dL/dW̃_12 at (Ṽ_*, I), zero at a minimiser",
        sp.Integer(0),
        slope_at_print(full_prompts(), 1),
    )


@cache
def depends_on_k() -> Counterexample:
    """Two equal prompts of different tasks: (4.1) is stationary at k = 0 and not at k = 1."""
    if slope_at_print(singular_prompts(), 0) != 0:
        raise ArithmeticError("the printed limit is expected to be stationary at k = 0")
    return Counterexample(
        "d=2, n=1, B=2, η=1/2, x=e1 twice, w*=e1,(1,1): dL/dW̃_12 at (Ṽ_*, I) is 0 at k=0; at k=1",
        sp.Integer(0),
        slope_at_print(singular_prompts(), 1),
    )


def _positive_loss() -> Counterexample:
    v, prompts = sp.Symbol("v"), scalar_prompts()
    loss = exact.supervised_loss(sp.Matrix([[v]]), sp.eye(1), prompts, HALF, 0)
    least = loss.subs(v, sp.solve(sp.diff(loss, v), v)[0])
    return Counterexample("d=n=1, B=2, x=1,2, w*=1, η=1/2, k=0: least L_SFT", sp.Integer(0), least)


def _k_zero() -> Counterexample:
    """k = 0, d = n = B = 1, x = w* = 1, Ṽ = −η, W̃ = 2: zero loss, yet ṼS(W̃−I)w* = −η."""
    one, v_at, w_at = exact.matrix([[1]]), exact.matrix([["-1/2"]]), exact.matrix([[2]])
    if exact.supervised_loss(v_at, w_at, [(one, one)], HALF, 0) != 0:
        raise ArithmeticError("the loss is expected to be zero")
    return Counterexample(
        "k=0, d=n=B=1, x=w*=1, η=1/2, Ṽ=-1/2, W̃=2, loss 0: ṼS(W̃-I)w*",
        sp.Integer(0),
        (v_at * exact.covariance(one) * (w_at - sp.eye(1)) * one)[0],
    )


def unsolved_constraint() -> Counterexample:
    """Two scalar prompts whose targets no Ṽ fits: ṼΦ = −ηΩ fails at Ṽ_*."""
    omega, phi = exact.stack(scalar_prompts())
    fixed = exact.fixed_point(omega, phi, sp.Matrix([[3]]), HALF)
    return Counterexample(
        "d=n=1, B=2, x=1,2, w*=1, η=1/2: first entry of Ṽ_*Φ", (-HALF * omega)[0], (fixed * phi)[0]
    )


# Statements ----------------------------------------------------------------------------------------

_V_LAM = nt.matrix("V_lam", d, d, r"\widetilde{V}_{\lambda}")
_W_LAM = nt.matrix("W_lam", d, d, r"\widetilde{W}_{\lambda}")
V_STAR = nt.matrix("V_*", d, d, r"\widetilde{V}_{*}")
W_STAR = nt.matrix("W_*", d, d, r"\widetilde{W}_{*}")
_R = nt.matrix("R", d, 1, r"R_{i,\tau}")
_ZERO = sp.ZeroMatrix(d, 1)
_CONDITIONS = nt.Listing(
    sp.Eq(V * S_tau * (W - I) * w_star_tau, _ZERO, evaluate=False),
    sp.Eq((V * S_tau * W + eta * I) * w_star_tau, _ZERO, evaluate=False),
)

register(
    Statement(
        "thm-4.1",
        "Theorem 4.1, eq. 4.1",
        "The limit of the regularised fine-tuning minimisers as λ → 0⁺",
        nt.Tends(
            sp.Tuple(_V_LAM, _W_LAM),
            nt.lam,
            sp.Symbol("0^{+}"),
            nt.Chain(sp.Tuple(V_STAR, W_STAR), sp.Tuple(FIXED_POINT, I)),
        ),
        assumptions=("Ṽ and W̃ both free", "Σ₀ ≠ 0"),
        condition=f"{CONSISTENT}, or k = 0, or η = 1, or d = 1; or W̃ is held at I",
        counterexample=_not_stationary,
        note="With B > rank A, d ≥ 2, k ≥ 1 and 0 < η < 1 almost surely no limit point has W̃ = I; "
        "Ṽ_* is then the minimiser with W̃ held at I.  (A = 0 is trivial: the loss is constant.)",
    )
)
register(
    Statement(
        "thm-4.1-residual",
        "Proof of Theorem 4.1",
        "The residual of a supervised step",
        sp.Eq(
            _R,
            V * S_tau * (W - I) * w_star_tau - rho_cot**nt.i * (V * S_tau * W + eta * I) * w_star_tau,
            evaluate=False,
        ),
        depends_on=("eq-A.1", "eq-3.5.a"),
    )
)
register(
    Statement(
        "thm-4.1-manifold.a",
        "Proof of Theorem 4.1",
        "The limit lies on the zero-loss manifold",
        sp.Eq(nt.Label(nt.L_SFT, V_STAR, W_STAR), 0, evaluate=False),
        condition=CONSISTENT,
        counterexample=_positive_loss,
    )
)
register(
    Statement(
        "thm-4.1-manifold.b",
        "Proof of Theorem 4.1",
        "1 and ρ^i are linearly independent for i ≠ 0, so zero loss needs two conditions",
        _CONDITIONS,
        condition="k ≥ 1: over i = 0 … k the sequences 1 and ρ^i are independent if and only if k ≥ 1 "
        "and η ≠ 0",
        counterexample=_k_zero,
        note="For one i the two numbers are never independent.  The conclusion ṼΦ = −ηΩ needs i = 0 alone.",
    )
)
register(
    Statement(
        "thm-4.1-manifold.c",
        "Proof of Theorem 4.1",
        "The two conditions give ṼΦ = −ηΩ",
        sp.Eq(V * Phi, -eta * Omega, evaluate=False),
        depends_on=("thm-4.1-manifold.b",),
    )
)
register(
    Statement(
        "thm-4.1-manifold.d",
        "Proof of Theorem 4.1",
        "The penalty makes W̃_* = I the unique minimiser",
        sp.Eq(W_STAR, I, evaluate=False),
        condition=f"{CONSISTENT}, or k = 0, or η = 1, or d = 1",
        counterexample=depends_on_k,
        depends_on=("thm-4.1-manifold.a",),
    )
)
