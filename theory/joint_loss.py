"""The limit of L_SFT as B → ∞, in Ṽ and W̃: derived from the forward pass, its value and its minimiser.

Notes: ``notes/joint.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import blocks
from theory import notation as nt
from theory.errors import (
    ArgumentError,
    check_count,
    check_covariance,
    check_finite,
    check_numbers,
    check_rate,
    in_range,
)
from theory.lower import lower_matrix
from theory.notation import A, V, W, c_k, d, eta, n
from theory.wishart import expectation
from theory.words.evaluate import CUTOFF, evaluate
from theory.words.poly import Matrix, Scalar, Words, identity, letter

Array = NDArray[np.float64]
s0, s1, s2 = (nt.scalar_symbol(f"s{j}", f"s_{j}", real=True) for j in range(3))  # Σ_i (1 − ρ^i)^j
_a = sp.Symbol("a_i", real=True)  # w_i = a_i w* on the path
_V, _W, _A, _S = (nt.letter_of(m) for m in (V, W, A, nt.S))
v, w, cov = letter(_V), letter(_W), letter(_A)


def path_sums(eta: Any, k: int) -> dict[sp.Symbol, Any]:
    """Σ_{i=0}^k (1−ρ^i)^j for j = 0, 1, 2, and c_k = Σ ρ^{2i}, ρ = 1−η; 0⁰ = 1."""
    powers = [(1 - eta) ** i for i in range(check_count("k", k, 0) + 1)]
    sums = {s: sum((1 - p) ** j for p in powers) for j, s in enumerate((s0, s1, s2))}
    return {**sums, c_k: sum(p**2 for p in powers)}


def in_path_sums(value: Words) -> Words:
    """c_k = s_0 − 2s_1 + s_2 put in."""
    return value.map_coefficients(lambda c: c.subs(c_k, s0 - 2 * s1 + s2))


# The loss -------------------------------------------------------------------------------

T_OF_V = (n + 1) / n * A * V.T * V * A + (1 / n) * sp.Trace(A * V.T * V) * A  # E[S ṼᵀṼ S]


def twice_loss(T: sp.Expr) -> sp.Expr:
    """Twice the population loss, with T for E[S ṼᵀṼ S]."""
    quadratic = s2 * sp.Trace(W.T * T * W) - 2 * s1 * sp.Trace(T * W) + s0 * sp.Trace(T)
    linear = -2 * eta * (s1 - s2) * sp.Trace(V * A * W) + 2 * eta * (s0 - s1) * sp.Trace(V * A)
    return quadratic + linear + eta**2 * c_k * d


def gradient_formula() -> tuple[Matrix, Matrix]:
    """Ṽ E[SQS] − η(s_1−s_2)W̃ᵀA + η(s_0−s_1)A, Q = s_2W̃W̃ᵀ − s_1(W̃ + W̃ᵀ) + s_0I, and
    s_2TW̃ − s_1T − η(s_1−s_2)AṼᵀ."""
    inner = w @ w.T * s2 - (w + w.T) * s1 + identity(d) * s0
    mean = cov @ inner @ cov * ((n + 1) / n) + cov * ((cov @ inner).trace() * (1 / n))
    t = lower_matrix(T_OF_V)
    mixed = eta * (s1 - s2)
    in_V = v @ mean - w.T @ cov * mixed + cov * (eta * (s0 - s1))
    return in_V, t @ w * s2 - t * s1 - cov @ v.T * mixed


@cache
def _loss() -> Scalar:
    star = letter(nt.letter_of(nt.w_star))
    out = blocks.forward(*blocks.pattern(), star * _a)
    aim = blocks.last_column(star * (_a + eta * (1 - _a)))
    squares = sum(((f[0] - g[0]).norm2() for f, g in zip(out, aim, strict=True)), start=Scalar({}))
    step = expectation(blocks.gaussian_task(squares * sp.Rational(1, 2)), _S, _A, n)

    def summed(c: sp.Expr) -> sp.Expr:
        return sum(x * (s0, s1, s2)[power] for (power,), x in sp.Poly(sp.expand(c), _a).terms())

    return step.map_coefficients(summed)


def population_loss_expr(k: int | None = None) -> Scalar:
    """lim_{B→∞} L_SFT in Ṽ, W̃, A, n, η, from the forward pass; without k in the sums s_0, s_1, s_2."""
    return _loss() if k is None else _on_path(_loss(), k)


@cache
def _gradient() -> tuple[Matrix, Matrix]:
    return _loss().gradient(_V), _loss().gradient(_W)


def population_loss_gradient_expr(k: int | None = None) -> tuple[Matrix, Matrix]:
    """∂/∂Ṽ and ∂/∂W̃ of :func:`population_loss_expr`, d × d."""
    in_V, in_W = _gradient()
    return (in_V, in_W) if k is None else (_on_path(in_V, k), _on_path(in_W, k))


def _on_path(value: Words, k: int) -> Words:
    sums = path_sums(eta, k)
    return value.map_coefficients(lambda c: c.subs(sums))


# Numbers -------------------------------------------------------------------------------------------


def _square(name: str, value: Array, size: int) -> Array:
    block = check_numbers(name, value)
    if block.shape != (size, size):
        raise ArgumentError(f"{name} has shape {block.shape}: must be {size} × {size}, the shape of A")
    return check_finite(name, block)


def _checked(A: Array, n: int, eta: float, k: int) -> tuple[Array, dict[sp.Symbol, Any]]:
    check_count("n", n)
    eta = check_rate("eta", eta)
    return check_covariance("A", A), {nt.n: n, nt.eta: eta, **path_sums(eta, k)}


@in_range("V, W, A")
def population_loss(V: Array, W: Array, A: Array, n: int, eta: float, k: int) -> float:
    """lim_{B→∞} L_SFT at d × d blocks V, W and prompts of n samples of N(0, A).

    Raises :class:`ArgumentError` for what is not a covariance, blocks of another shape or not finite,
    n < 1, η outside (0, 1], k < 0.
    """
    covariance, scalars = _checked(A, n, eta, k)
    size = len(covariance)
    matrices = {_V: _square("V", V, size), _W: _square("W", W, size), _A: covariance}
    return float(evaluate(_loss(), matrices, scalars))


@dataclass(frozen=True, eq=False)
class JointMinimiser:
    """Blocks V, W, the population loss there and the Frobenius norm of its gradient in both."""

    V: Array
    W: Array
    loss: float
    gradient_norm: float


@in_range("A")
def joint_minimiser(A: Array, n: int, eta: float, k: int) -> JointMinimiser:
    """The minimiser of the population loss over Ṽ and W̃, for a d × d covariance A, singular or not.

    Off the range of A the loss has no minimiser of its own: V is 0 there, W is I.  At k = 0 it does not
    depend on W: I.  In the eigenbasis of A, where every minimiser is diagonal, the two linear equations
    are solved in turn from (Ṽ_∞, I), which lowers the loss at each turn.  At a given tr(AṼᵀṼ) the minimiser
    is unique; that no second trace does as well is proved for large n and seen for all others that were
    tried (``notes/joint.md``).

    Raises :class:`ArgumentError` for what is not a covariance, n < 1, η outside (0, 1], k < 0.
    """
    covariance, scalars = _checked(A, n, eta, k)
    values, basis = np.linalg.eigh(covariance)
    kept = values > CUTOFF * values[-1]
    onto = basis[:, kept]
    v_at, w_at = _alternated(values[kept], scalars)
    V = (onto * v_at) @ onto.T
    W = np.eye(len(values)) + (onto * (w_at - 1)) @ onto.T
    slopes = [evaluate(g, {_V: V, _W: W, _A: covariance}, scalars) for g in _gradient()]
    norm = float(np.linalg.norm(np.stack(slopes)))
    return JointMinimiser(V, W, population_loss(V, W, covariance, n, eta, k), norm)


def _alternated(values: Array, scalars: Mapping[sp.Symbol, Any]) -> tuple[Array, Array]:
    """Ṽ and W̃ on the eigenvalues of A, until no pair of turns of ten moves log(−Ṽ) less than before.

    After each pair the rest of the geometric series that the two would begin is added (Aitken), if that
    lowers the loss: for wide spectra the turns alone take tens of thousands.
    """
    size, rate = scalars[n], scalars[eta]
    one, two = float(scalars[s1]), float(scalars[s2])
    mixed, falling = one - two, scalars[s0] - one

    def mean(diagonal: Array) -> Array:  # E[S · S]
        return (size + 1) / size * values**2 * diagonal + values * (values @ diagonal) / size

    def best_W(V: Array) -> Array:
        return np.asarray(one / two + rate * mixed / two * values * V / mean(V**2))

    def turn(V: Array) -> Array:
        W = best_W(V)
        return np.asarray(
            rate * (mixed * W - falling) * values / mean(two * W**2 - 2 * one * W + scalars[s0])
        )

    def loss(V: Array) -> float:  # at its best W, up to a factor and a constant
        second = mean(V**2)
        quadratic = (scalars[s0] - one**2 / two) * float((second + 2 * rate * values * V).sum())
        return quadratic - (rate * mixed) ** 2 / two * float(((values * V) ** 2 / second).sum())

    V = -rate * values / mean(np.ones_like(values))
    if not mixed > 0 or not len(values):
        return V, np.ones_like(values)
    least, stalled = np.inf, 0
    while least > 1e-15 and stalled < 10:
        first = turn(V)
        second = turn(first)
        before, after = np.log(first / V), np.log(second / first)
        moved = float(np.abs(after).max())
        least, stalled = min(least, moved), stalled + 1 if moved >= least else 0
        share = float(before @ after / max(before @ before, np.finfo(float).tiny))
        rest = after * share / (1 - share) if 0 < share < 1 else 0 * after
        further = second * np.exp(rest.clip(-1, 1))
        V = further if loss(further) < loss(second) else second
    return V, best_W(V)
