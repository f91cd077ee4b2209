"""Theorem 4.2 and Remark 4.1: gradient descent on the fine-tuning loss at W̃ = I.

Notes: ``notes/descent.md``.
"""

from __future__ import annotations

from numbers import Rational

import sympy as sp

from theory import exact
from theory import notation as nt
from theory.errors import ArgumentError, check_positive, check_real, in_range
from theory.finetuning import (
    CONSISTENT,
    HALF,
    V_STAR,
    depends_on_k,
    eye_minus_projection,
    fixed_point,
    init,
    omega,
    phi,
    unsolved_constraint,
    v,
)
from theory.notation import (
    B,
    Gamma0,
    I,
    Omega,
    Phi,
    V,
    c_k,
    d,
    eta,
    lambda_max,
    lambda_min,
    rho_cot,
    step_size,
)
from theory.statement import Counterexample, Statement, register
from theory.words.letters import Letter
from theory.words.poly import Matrix, Scalar, identity, letter, substitute

DELTA = Letter("Delta", d, d)  # Δ_t

# Derivations ---------------------------------------------------------------------------------------


def restricted_loss() -> Scalar:
    """L_SFT(Ṽ, I) = c_k/(2B) ‖ṼΦ + ηΩ‖_F²."""
    return (v @ phi + omega * eta).norm2() * (c_k / (2 * B))


def restricted_gradient() -> tuple[Matrix, Matrix]:
    """The gradient of :func:`restricted_loss`, derived, and as printed, (c_k/B)(ṼΦ + ηΩ)Φᵀ."""
    return restricted_loss().gradient(nt.letter_of(V)), (v @ phi + omega * eta) @ phi.T * (c_k / B)


def error_recursion() -> tuple[Matrix, Matrix]:
    """Δ_{t+1} of gradient descent from Ṽ_t = Ṽ_* + Δ_t, derived, and Δ_t(I − (γc_k/B)ΦΦᵀ)."""
    delta = letter(DELTA)
    gradient = substitute(restricted_gradient()[0], {nt.letter_of(V): fixed_point() + delta})
    assert isinstance(gradient, Matrix)
    return delta - gradient * step_size, delta @ (identity(d) - phi @ phi.T * (step_size * c_k / B))


def initial_error_outside() -> Matrix:
    """(−Γ₀⁻¹ − Ṽ_*)(I − ΦΦ†): zero, so that only the range of Φ is ever contracted."""
    return (init - fixed_point()) @ eye_minus_projection()


def geometric_sum() -> sp.Expr:
    """c_k = Σ_{i=0}^k ρ^{2i} in closed form, 0 < ρ < 1."""
    return (1 - rho_cot ** (2 * nt.k + 2)) / (1 - rho_cot**2)


@in_range("lambda_max, step")
def contraction(lambda_max: float, lambda_min: float, step: float) -> float:
    """α of Theorem 4.2 with ``step`` = γc_k/B.

    Raises :class:`ArgumentError` unless λ_max ≥ λ_min ≥ 0 and the step is positive.
    """
    most, least = check_real("lambda_max", lambda_max), check_real("lambda_min", lambda_min)
    if not most >= least >= 0:
        raise ArgumentError(f"lambda_max={most!r}, lambda_min={least!r}: must be lambda_max ≥ lambda_min ≥ 0")
    check_positive("step", step)
    # Rational numbers stay exact; NumPy's shorter floats would round.
    lambda_max, lambda_min, step = (
        value if isinstance(value, Rational) else float(value) for value in (lambda_max, lambda_min, step)
    )
    return max(abs(1 - step * lambda_max), abs(1 - step * lambda_min))


# Counterexamples -----------------------------------------------------------------------------------


def _operator_norm() -> Counterexample:
    x = exact.matrix([[1], [0]])
    _, phi = exact.stack([(x, x)])
    M = phi * phi.T
    map_ = sp.eye(2) - M * HALF  # γ c_k / B = 1/2, inside the step condition γ c_k λ_max / B < 2
    norm = max(map_.singular_values())
    return Counterexample("d=2, B=1, M=diag(1,0), γc_k/B=1/2: ‖I−(γc_k/B)M‖_op < 1", sp.true, sp.Lt(norm, 1))


def _equality_at_one() -> Counterexample:
    c = sp.Add(*((sp.Integer(1) - 1) ** (2 * j) for j in range(4)))
    return Counterexample("η=1, k=3: c_k = 1 < 1/(2η−η²) = 1", sp.true, sp.Lt(c, 1))


def _slower() -> Counterexample:
    """d = n = B = 1, x = w* = 1, Σ₀ = 1, so Γ₀ = 3; η = 1/2 and γ = 1 < 3/2: one step of descent."""
    one = exact.matrix([[1]])
    start, goal = sp.Rational(-1, 3), -HALF
    errors = []
    for steps in (0, 1):
        slope = exact.supervised_gradient([(one, one)], sp.Matrix([[start]]), HALF, steps)[0][0]
        errors.append(sp.Abs(start - slope - goal))
    return Counterexample(
        f"d=n=B=1, x=w*=1, Σ₀=1, η=1/2, γ=1: |Ṽ_1−Ṽ_*| is {errors[0]} at k=0; at k=1 no more than that",
        errors[0],
        errors[1],
    )


# Statements ----------------------------------------------------------------------------------------

_V_T = nt.matrix("V_t", d, d, r"\widetilde{V}_{t}")
D_T, _D_NEXT = nt.matrix("D_t", d, d, r"\Delta_{t}"), nt.matrix("D_t+1", d, d, r"\Delta_{t+1}")
M = nt.matrix("M", d, d, "M", symmetric=True)
_GRAD = nt.matrix("grad", d, d, r"\nabla_{\widetilde{V}} L_{\mathrm{SFT}}(\widetilde{V}, I)")
_STATE = Gamma0.I + V_STAR
_STEP_MAP = I - step_size * c_k / B * M

register(
    Statement(
        "thm-4.2.a",
        "Theorem 4.2",
        "Gradient descent on Ṽ from −Γ₀⁻¹ converges to Ṽ_* linearly",
        nt.Listing(
            sp.Le(nt.Frobenius(_V_T - V_STAR), nt.alpha**nt.t * nt.Frobenius(_STATE), evaluate=False),
            sp.Eq(
                nt.alpha,
                sp.Max(
                    sp.Abs(1 - step_size * c_k * lambda_max / B), sp.Abs(1 - step_size * c_k * lambda_min / B)
                ),
                evaluate=False,
            ),
        ),
        assumptions=("W̃ = I", "0 < γ < 2B/(c_k λ_max(M))"),
        depends_on=("thm-4.2-proof.a", "thm-4.2-proof.b", "thm-4.2-proof.d"),
        note="Holds for every B and every rank of Φ ≠ 0, consistent or not.",
    )
)
register(
    Statement(
        "thm-4.2.b",
        "Theorem 4.2, last display",
        "At γ = B/(c_k λ_max) the rate is 1 − λ⁺_min/λ_max",
        sp.Eq(nt.alpha, 1 - lambda_min / lambda_max, evaluate=False),
        depends_on=("thm-4.2.a",),
    )
)
register(
    Statement(
        "thm-4.2-proof.a",
        "Proof of Theorem 4.2",
        "The loss at W̃ = I",
        sp.Eq(
            nt.Label(nt.L_SFT, V, I),
            c_k / (2 * B) * nt.FrobeniusSquared(V * Phi + eta * Omega),
            evaluate=False,
        ),
        depends_on=("thm-4.1-residual",),
    )
)
register(
    Statement(
        "thm-4.2-proof.b",
        "Proof of Theorem 4.2",
        "Its gradient",
        sp.Eq(_GRAD, c_k / B * (V * Phi + eta * Omega) * Phi.T, evaluate=False),
    )
)
register(
    Statement(
        "thm-4.2-proof.c",
        "Proof of Theorem 4.2",
        "Noting Ṽ_*Φ = −ηΩ",
        sp.Eq(V_STAR * Phi, -eta * Omega, evaluate=False),
        corrected=sp.Eq(V_STAR * Phi * Phi.T, -eta * Omega * Phi.T, evaluate=False),
        condition=CONSISTENT,
        counterexample=unsolved_constraint,
        note="The recursion of the proof needs the corrected equation only, which always holds.",
    )
)
register(
    Statement(
        "thm-4.2-proof.d",
        "Proof of Theorem 4.2",
        "The error recursion",
        sp.Eq(_D_NEXT, D_T * (I - step_size * c_k / B * M), evaluate=False),
    )
)
register(
    Statement(
        "thm-4.2-proof.e",
        "Proof of Theorem 4.2",
        "The step condition ensures that the map has operator norm below 1",
        sp.Lt(nt.OperatorNorm(_STEP_MAP), 1, evaluate=False),
        corrected=sp.Lt(nt.OperatorNorm(_STEP_MAP * Phi * nt.Pinv(Phi)), 1, evaluate=False),
        assumptions=("0 < γ < 2B/(c_k λ_max(M))",),
        condition="M is invertible (B ≥ d and A invertible); otherwise the norm is 1",
        counterexample=_operator_norm,
        note="The theorem stands: the error starts in the range of Φ and never leaves it.",
    )
)
register(
    Statement(
        "thm-4.2-proof.f",
        "Theorem 4.2",
        "The bound on c_k",
        sp.Lt(c_k, 1 / (2 * eta - eta**2), evaluate=False),
        corrected=sp.Implies(
            sp.And(sp.Lt(0, eta, evaluate=False), sp.Lt(eta, 2, evaluate=False)),
            sp.Le(c_k, 1 / (2 * eta - eta**2), evaluate=False),
        ),
        condition="0 < η < 2 and η ≠ 1: at η = 1 both sides are 1",
        counterexample=_equality_at_one,
    )
)
register(
    Statement(
        "rem-4.1.a",
        "Remark 4.1",
        "The minimiser depends on n, B and η, not on k",
        nt.Chain(
            sp.Symbol(r"(\widetilde{V}_{*}, \widetilde{W}_{*})(k)"),
            sp.Symbol(r"(\widetilde{V}_{*}, \widetilde{W}_{*})(k')"),
        ),
        condition=f"{CONSISTENT}, or η = 1, or d = 1; or W̃ is held at I",
        counterexample=depends_on_k,
        depends_on=("thm-4.1",),
        note="Of the formula (4.1), which has no k, it is true as printed; of the minimiser it is not.",
    )
)
register(
    Statement(
        "rem-4.1.b",
        "Remark 4.1",
        "At a fixed step γ < 2B(2η−η²)/λ_max(M), larger k gives faster convergence",
        sp.Implies(
            sp.Lt(step_size, 2 * B * (2 * eta - eta**2) / lambda_max, evaluate=False),
            sp.Lt(sp.Symbol(r"\alpha_{k+1}"), sp.Symbol(r"\alpha_{k}"), evaluate=False),
        ),
        corrected=sp.Implies(
            sp.And(
                sp.Lt(eta, 2, evaluate=False),
                sp.Ne(eta, 1, evaluate=False),
                sp.Le(step_size, 2 * B * (2 * eta - eta**2) / (lambda_max + lambda_min), evaluate=False),
            ),
            sp.Lt(sp.Symbol(r"\alpha_{k+1}"), sp.Symbol(r"\alpha_{k}"), evaluate=False),
        ),
        condition="0 < η < 2, η ≠ 1 and γ ≤ 2B(2η−η²)/(λ_max(M) + λ⁺_min(M)); beyond it larger k overshoots",
        counterexample=_slower,
        depends_on=("thm-4.2.a", "thm-4.2-proof.f"),
        note="For one pair k, k+1: faster if and only if η ≠ 1 and γ(c_{k+1}λ_max + c_k λ⁺_min) < 2B.",
    )
)
