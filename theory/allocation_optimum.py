"""Section 5.1 in numbers: the post-training covariance A that is best, and what each choice of A costs.

Derivations: :mod:`theory.allocation`, ``notes/allocation.md``.  In what follows U is the range of the shift,
m its dimension, N = n + 1 + m and M(A) = (n+1)/n A + tr(A)/n I on U, so that Ṽ_∞ = −η M(A)⁻¹ there; A ⪰ 0 is
λ_max(X) tr(X⁻¹) ≤ N in X = M(A)⁻¹, a convex cone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
from numpy.typing import NDArray

from theory.errors import (
    ArgumentError,
    binary_size,
    check_count,
    check_covariance,
    check_definite,
    check_finite,
    check_rate,
    in_range,
    shown,
)
from theory.population import population_limit
from theory.pretraining import gamma0
from theory.risk import one_step_risk
from theory.words.evaluate import CUTOFF

Array = NDArray[np.float64]
KKT = 1e-8  # what the numerical optimum may leave of the optimality conditions, relative to their terms


@dataclass(frozen=True)
class Allocation:
    """The A (m × m) that minimises ‖P − η M(A)⁻¹ Σ_U‖_F² over A ⪰ 0, and that least ``value``.

    ``stationary`` (m × m) makes the norm zero and is no covariance unless ``feasible``.  If it is none, A is
    singular and ``value`` an infimum over the A of range U that none attains: Ṽ_∞ jumps where the rank of A
    drops.
    """

    A: Array
    value: float
    feasible: bool
    stationary: Array


@dataclass(frozen=True)
class Row:
    """One choice of A at prompt length n: the risk (5.1), the share of ‖I + ṼΣ‖_F² in it, and ‖A − ηΣ_U‖_F
    relative to ‖ηΣ_U‖_F (NaN without post-training)."""

    n: int
    choice: str
    risk: float
    share: float
    distance: float


@in_range("Sigma_U")
def optimal_allocation(Sigma_U: Array, n: int, eta: float) -> Allocation:
    """The minimiser of the operator on U as printed in arXiv:2603.01293, Section 5.1, for an m × m covariance
    Σ_U = P_UΣ₀P_U + Δ on U.

    Where (nη/(n+1))(Σ_U − tr(Σ_U)/(n+1+m) I) ⪰ 0 it is that; otherwise it commutes with Σ_U and its
    eigenvalues come from a root in one unknown (:func:`constrained_spectrum`).  Raises
    :class:`ArgumentError` for a Σ_U that is not positive definite, n < 1, η outside (0, 1].
    """
    check_count("n", n)
    eta = check_rate("eta", eta)
    matrix = check_definite("Sigma_U", Sigma_U)
    m = len(matrix)
    stationary = _preimage(matrix, n) * eta
    values, basis = np.linalg.eigh(matrix)
    if values[0] * (n + 1 + m) >= values.sum():
        return Allocation(stationary, 0.0, True, stationary)
    mu = constrained_spectrum(values, n)
    # μ is λ_min(M) where A has no part, to the last bit; the value is m − Σ z, as ⟨1 − z, z⟩ = 0 on a cone.
    A = (basis * (eta * n / (n + 1) * (mu - mu.min()))) @ basis.T
    return Allocation((A + A.T) / 2, float(m - (values / mu).sum()), False, stationary)


@in_range("sigma")
def constrained_spectrum(sigma: Array, n: int) -> Array:
    """The μ (m,) that minimise Σ(1 − σ_i/μ_i)² over μ_i ≥ Σ_j μ_j/(n+1+m), for positive σ (m,) that violate
    it themselves: eigenvalues of M(A)/η.

    In x = c/μ with max x = 1 the conditions are, for multipliers β of Σ 1/x_i = N and α_i of x_i ≤ 1,
    x_i²σ_i(σ_ix_i − c) = β/2 or x_i = 1, α_i = 2σ_i(c − σ_i) + β ≥ 0 and Σα_i = Nβ.  At given c the last
    fixes β, which grows with c, and so do all x_i: Σ 1/x_i = N has one root c.
    """
    sigma = check_finite("sigma", sigma)
    N = check_count("n", n) + 1 + sigma.size
    if sigma.ndim != 1 or sigma.size == 0 or not (sigma > 0).all():
        raise ArgumentError(f"sigma={shown(sigma)}: must be a list of positive numbers")
    if sigma.min() * N >= sigma.sum():
        raise ArgumentError(
            f"sigma={shown(sigma)}: must violate σ_i ≥ Σσ/(n+1+m), or it is the answer itself"
        )
    s = sigma / sigma.max()

    def scaled(c: float) -> Array:
        slack, beta = 2 * s * (c - s), 0.0
        while True:  # Newton on a convex, piecewise linear, decreasing function: ends after m steps at most
            active = slack + beta > 0
            new = slack[active].sum() / (N - active.sum())
            if new <= beta:
                break
            beta = new
        q = beta * s / (2 * c**3)
        y = 1 + np.minimum(q, np.cbrt(q))  # σx/c, the root of y²(y − 1) = q from above
        for _ in range(60):
            y = y - (y * y * (y - 1) - q) / (y * (3 * y - 2))
        return np.asarray(np.minimum(1.0, y * c / s))

    def excess(c: float) -> float:
        return float((1 / scaled(c)).sum() - N)

    c = scipy.optimize.brentq(excess, s.min() / (2 * N), 1.0, xtol=1e-16, rtol=4 * np.finfo(float).eps)
    return np.asarray(float(c) * np.max(sigma) / scaled(float(c)))


@in_range("Sigma0, Delta")
def full_risk_allocation(Sigma0: Array, Delta: Array, n: int, eta: float, within_shift: bool = True) -> Array:
    """The A (d × d) at which Ṽ_∞(A) has the least risk (arXiv:2603.01293, eqs. 4.2 and 5.1) under
    Σ = Σ₀ + Δ: over all A ⪰ 0 it is ηΣ, and with ``within_shift`` the best A of range U = range(Δ).

    On U the risk is convex in X = ηM(A)⁻¹, with a Lyapunov equation for its stationary point; for Σ₀ that
    commutes with P_U this is η(Σ_U + tr(C)/(n+1+m) P_U), C = Σ₀ on the complement of U.  Where that point
    is no covariance, the least value on the cone is sought over A = LLᵀ by BFGS: as the problem is convex
    in X, and X ↔ A smooth both ways, what satisfies the optimality conditions is the optimum, and they are
    checked.  A is then singular and the infimum over range(A) = U is not attained.

    Raises :class:`ArgumentError` for what is not a covariance, Σ₀ = 0, Δ = 0 with ``within_shift``, n < 1,
    η outside (0, 1], and :class:`ArithmeticError` if the search does not arrive.
    """
    check_count("n", n)
    eta = check_rate("eta", eta)
    start = check_covariance("Sigma0", Sigma0)
    shift = check_covariance("Delta", Delta, len(start))
    if not within_shift:
        return eta * (start + shift)
    quadratic, linear, basis = _risk_in_X(start, shift, n)
    X = scipy.linalg.solve_continuous_lyapunov(quadratic, 2 * linear)
    # Rounding of a small eigenvalue is not to pass for a negative one, nor the other way about.
    if np.linalg.eigvalsh(X)[0] > CUTOFF * np.linalg.norm(X, 2):
        A = _preimage(np.linalg.inv((X + X.T) / 2), n)
        if np.linalg.eigvalsh(A)[0] >= -CUTOFF * np.linalg.norm(A, 2):
            return np.asarray(eta * basis @ A @ basis.T)
    return np.asarray(eta * basis @ _on_cone(quadratic, linear, n) @ basis.T)


@in_range("V, Sigma")
def risk_parts(V: Array, Sigma: Array, n: int) -> tuple[float, float]:
    """‖I + VΣ‖_F² and (1/n)(tr(VΣ²Vᵀ) + tr(VΣVᵀ)tr Σ), whose sum is (5.1), for a d × d V.

    Raises as :func:`theory.risk.one_step_risk`.
    """
    total = one_step_risk(V, Sigma, n)
    operator = float(np.linalg.norm(np.eye(len(V)) + np.asarray(V) @ Sigma) ** 2)
    return operator, total - operator


@in_range("A, Sigma0, Delta")
def post_training_risk(A: Array, Sigma0: Array, Delta: Array, n: int, eta: float) -> float:
    """The risk (5.1) under Σ₀ + Δ of Ṽ_∞(A), eq. 4.2; d × d covariances, A = 0 for the pretrained model.

    Raises :class:`ArgumentError` for what is not a covariance, Σ₀ = 0, n < 1, η outside (0, 1].
    """
    start = check_covariance("Sigma0", Sigma0)
    shift = check_covariance("Delta", Delta, len(start))
    prompts = check_covariance("A", A, len(start))
    unit = binary_size(np.stack([start, shift]))  # all of one dimension, in which the risk has none
    start, shift, prompts = start / unit, shift / unit, prompts / unit
    return one_step_risk(population_limit(prompts, n, eta, gamma0(start, n)), start + shift, n)


def allocation_table(levels: Sequence[tuple[int, float, float]], lengths: Sequence[int]) -> list[Row]:
    """Five choices of A at each prompt length, for diagonal Σ₀ and Δ given by ``levels``: (how many
    coordinates, Σ₀ there, Δ there); U is where Δ > 0.  No η: A is in proportion to it, Ṽ_∞ free of it.

    The choices are ``pretrained``, ``operator`` (:func:`optimal_allocation`; in the infeasible case its
    infimum), ``eta Sigma_U``, ``full risk`` (:func:`full_risk_allocation`) and ``eta Sigma``.  Raises
    :class:`ArgumentError` for counts below 1, negative levels, Σ₀ = 0, Δ = 0.
    """
    try:
        triples = [(check_count("levels", many), *check_finite("levels", [a, b])) for many, a, b in levels]
        if isinstance(lengths, str | bytes) or not isinstance(lengths, Sequence) or not lengths:
            raise TypeError
        lengths = [check_count("n", n) for n in lengths]
    except ArgumentError:
        raise
    except (TypeError, ValueError):
        raise ArgumentError(
            f"levels={shown(levels)}, lengths={shown(lengths)}: must be lists, of (count, Σ₀, Δ) and of n"
        ) from None
    counts = [many for many, _, _ in triples]
    if not counts:
        raise ArgumentError("levels=(): must have an entry")
    start, shift = (np.repeat([level[j] for level in triples], counts) for j in (1, 2))
    if min(start.min(), shift.min()) < 0 or start.max() <= 0 or shift.max() <= 0:
        raise ArgumentError(
            f"levels={shown(levels)}: must be non-negative, and neither Sigma0 nor Delta zero"
        )
    unit = binary_size(
        np.maximum(start, shift)
    )  # A is found in proportion to the levels, and no risk changes
    start, shift = start / unit, shift / unit
    U, sigma = shift > 0, start + shift
    rows = []
    for n in lengths:
        base, m = sigma * U, int(U.sum())
        feasible = sigma[U].min() * (n + 1 + m) >= sigma[U].sum()
        M = sigma[U] if feasible else constrained_spectrum(sigma[U], n)
        operator = np.zeros_like(sigma)
        operator[U] = n / (n + 1) * (M - M.sum() / (n + 1 + m))
        full = np.where(U, sigma + start[~U].sum() / (n + 1 + m), 0.0)
        before = -1 / ((n + 1) / n * start + start.sum() / n)
        for choice, A, support in (
            ("pretrained", None, U & False),
            ("operator", operator, U),
            ("eta Sigma_U", base, U),
            ("full risk", full, U),
            ("eta Sigma", sigma, sigma > 0),
        ):
            level = np.ones_like(sigma) if A is None else (n + 1) / n * A + A.sum() / n
            v = np.where(support, -1 / level, before)
            part = float(((1 + v * sigma) ** 2).sum())
            risk = part + float((v**2 * sigma * (sigma + sigma.sum())).sum()) / n
            gap = np.nan if A is None else float(np.linalg.norm(A - base) / np.linalg.norm(base))
            rows.append(Row(n, choice, risk, part / risk, gap))
    return rows


def _preimage(M: Array, n: int) -> Array:
    """The A with (n+1)/n A + tr(A)/n I = M."""
    m = len(M)
    return np.asarray(n / (n + 1) * (M - np.trace(M) / (n + 1 + m) * np.eye(m)))


def _risk_in_X(Sigma0: Array, Delta: Array, n: int) -> tuple[Array, Array, Array]:
    """Q, K (m × m) and a basis (d × m) of U: the risk is tr(XQX) − 2 tr(XK) and a constant."""
    values, vectors = np.linalg.eigh(Delta)
    kept = values > CUTOFF * max(float(values[-1]), float(np.finfo(float).tiny))
    if not kept.any():
        raise ArgumentError("Delta is zero: it must have a range for A to be supported on")
    basis, rest = vectors[:, kept], vectors[:, ~kept]
    Sigma = Sigma0 + Delta
    weight = Sigma @ ((n + 1) / n * Sigma + np.trace(Sigma) / n * np.eye(len(Sigma)))
    across = basis.T @ weight @ rest @ (rest.T @ np.linalg.inv(gamma0(Sigma0, n)) @ basis)
    linear = basis.T @ Sigma @ basis - (across + across.T) / 2
    return basis.T @ weight @ basis, linear, basis


def _on_cone(quadratic: Array, linear: Array, n: int) -> Array:
    """The A ⪰ 0, A ≠ 0, that minimises tr(XQX) − 2 tr(XK) at X = M(A)⁻¹, by BFGS over A = LLᵀ."""
    m = len(quadratic)

    def slope(A: Array) -> tuple[float, Array]:
        X = np.linalg.inv((n + 1) / n * A + np.trace(A) / n * np.eye(m))
        product = quadratic @ X
        value = float(np.trace(X @ product) - 2 * np.trace(X @ linear))
        by_M = -X @ (product + product.T - 2 * linear) @ X
        return value, (n + 1) / n * by_M + np.trace(by_M) / n * np.eye(m)

    # In units in which A = I and the value are of order one.
    size = float(np.linalg.norm(quadratic, 2) / np.linalg.norm(linear, 2)) / (1 + m / n)
    unit = float(np.linalg.norm(linear, 2)) / size

    def objective(flat: Array) -> tuple[float, Array]:
        L = flat.reshape(m, m)
        value, by_A = slope(size * L @ L.T)
        return value / unit, (2 * size / unit * by_A @ L).ravel()

    def curvature(flat: Array) -> Array:
        steps = 1e-6 * np.eye(m * m)
        change = np.array([objective(flat + h)[1] - objective(flat - h)[1] for h in steps]) / 2e-6
        return (change + change.T) / 2

    # BFGS comes near, a trust region over flat places, and Newton, by least squares as L and LO are the
    # same for every orthogonal O, to rounding: the value alone tells minima apart to √rounding only.
    flat = scipy.optimize.minimize(objective, np.eye(m).ravel(), jac=True, method="BFGS").x
    flat = scipy.optimize.minimize(
        objective, flat, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-10}
    ).x
    for _ in range(3):
        flat = flat - np.linalg.lstsq(curvature(flat), objective(flat)[1], rcond=1e-8)[0]
    L = flat.reshape(m, m)
    A = size * L @ L.T
    by_A = slope(A)[1]
    scale = float(np.linalg.norm(linear, 2)) / float(np.linalg.norm(A, 2)) ** 2
    left = max(-float(np.linalg.eigvalsh(by_A)[0]), float(np.abs(by_A @ A).max() / np.linalg.norm(A, 2)))
    if not left <= KKT * scale:
        raise ArithmeticError(f"no optimum found: {left / scale:.1e} is left of the optimality conditions")
    values, basis = np.linalg.eigh(A)
    values[values < CUTOFF * values[-1]] = 0.0
    return np.asarray((basis * values) @ basis.T)
