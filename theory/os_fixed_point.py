"""The minimisers of the exact k-step risk E‖(I + ṼS)^k‖_F², where outcome supervision ends: by Newton.

What can be said in closed form is in :mod:`theory.os_limits`.  Notes: ``notes/os_limits.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.sparse.linalg import LinearOperator, minres

from theory.errors import binary_size, check_count, check_definite, check_positive, in_range
from theory.kstep import MISS, SIGMA, V
from theory.kstep_value import program

Array = NDArray[np.float64]
LEAST = 1e-3  # of a start, at an A of order one
STEP = 1e-30  # of the complex step: the gradient is a polynomial, so its square is all that is dropped


@in_range("A")
def one_step_fixed_point(A: Array, n: int, eta: float = 1.0) -> Array:
    """−η((n+1)/n A + tr(A)/n I)⁻¹: outcome supervision with k = 1 at η = 1, fine-tuning at any k (eq. 4.2).

    ``A`` is d × d.  Raises :class:`ArgumentError` for an A that is not positive definite, n < 1, and an
    η that is not positive.
    """
    covariance = check_definite("A", A)
    size = check_count("n", n)
    eta = check_positive("eta", eta)
    inner = (size + 1) / size * covariance + np.trace(covariance) / size * np.eye(len(covariance))
    return np.asarray(-eta * np.linalg.inv(inner))


@dataclass(frozen=True)
class FixedPoint:
    """A stationary point ``V`` (d × d) of the k-step risk, and the risk there.

    ``slope`` is ‖gradient‖·‖V‖/risk, ``curvature`` the least eigenvalue of the Hessian over all d × d
    directions in units of risk/‖V‖²: negative at a saddle.
    """

    V: Array
    risk: float
    slope: float
    curvature: float


@in_range("A")
def os_fixed_point(A: Array, n: int, k: int) -> FixedPoint:
    """The stationary point of E‖(I + ṼS)^k‖_F² among the Ṽ that share A's eigenbasis.

    S is of n samples of N(0, A), A d × d.  By symmetry it is stationary among all d × d matrices; for k ≥ 2
    and long prompts it is a saddle there (see :func:`os_minimiser`).  Trust-region Newton on the exact
    gradient.  Raises :class:`ArgumentError` for an A that is not positive definite, n < 1, k < 1, and where
    the polynomial is too large (k ≥ 5).
    """
    covariance, n, k, unit = _checked(A, n, k)
    return _in_units(_commuting(covariance, n, k), unit)


def _checked(A: Array, n: int, k: int) -> tuple[Array, int, int, float]:
    """A in units in which it is of order one, and the unit: the risk is one of ṼA alone."""
    covariance = check_definite("A", A)
    unit = binary_size(covariance)
    return covariance / unit, check_count("n", n), check_count("k", k), unit


def _in_units(point: FixedPoint, unit: float) -> FixedPoint:
    return replace(point, V=point.V / unit)  # slope and curvature are in units of V


def _commuting(covariance: Array, n: int, k: int) -> FixedPoint:
    eigenvalues, basis = np.linalg.eigh(covariance)
    start = np.diagonal(basis.T @ one_step_fixed_point(covariance, n) @ basis).copy()
    point = _newton(start, eigenvalues, n, k)
    return _described(basis @ np.diag(point) @ basis.T, covariance, n, k)[0]


@in_range("A")
def os_minimiser(A: Array, n: int, k: int) -> FixedPoint:
    """The lowest minimum of E‖(I + ṼS)^k‖_F² over all d × d Ṽ that is reached from :func:`os_fixed_point`.

    From there and from displacements by ‖Ṽ‖/√n along the direction of least curvature, until no direction
    curves down.  Nothing proves it global.  Where it does not share A's eigenbasis, its mirror images D Ṽ D,
    D = diag(±1) in that basis, are as good.  Raises as :func:`os_fixed_point`.
    """
    covariance, n, k, unit = _checked(A, n, k)
    best, direction = _described(_commuting(covariance, n, k).V, covariance, n, k)
    for _ in range(len(covariance) + 1):
        size = float(np.linalg.norm(best.V)) / np.sqrt(n)
        found = [
            _described(_newton(best.V + share * size * direction, covariance, n, k), covariance, n, k)
            for share in (0.3, 1.0, 2.0)
        ]
        lowest = min(found, key=lambda point: point[0].risk)
        if lowest[0].risk > best.risk * (1 - 1e-9):
            break
        best, direction = lowest
    return _in_units(best, unit)


def risk_and_gradient(block: Array, covariance: Array, n: int, k: int) -> tuple[float, Array]:
    """The k-step risk and its gradient, at d × d matrices or at the eigenvalues of commuting ones.

    The arguments are taken as checked.
    """
    one = np.eye(len(block)) if block.ndim == 2 else 1.0
    product = block @ covariance if block.ndim == 2 else block * covariance
    values = {V: block, SIGMA: covariance, MISS: one + product}
    value, slopes = program(k).gradient(values, n)
    turned = slopes[MISS] @ covariance if block.ndim == 2 else slopes[MISS] * covariance
    return value, slopes[V] + turned


def _curvature(at: Array, direction: Array, covariance: Array, n: int, k: int) -> Array:
    """The Hessian at ``at`` times ``direction``, by a complex step of the gradient."""
    return np.asarray(risk_and_gradient(at + 1j * STEP * direction, covariance, n, k)[1].imag / STEP)


def _described(block: Array, covariance: Array, n: int, k: int) -> tuple[FixedPoint, Array]:
    """A stationary point, and the unit direction of its least curvature."""
    value, slope = risk_and_gradient(block, covariance, n, k)
    size, d = float(np.linalg.norm(block)), len(block)
    hessian = np.array(
        [_curvature(block, unit.reshape(d, d), covariance, n, k).ravel() for unit in np.eye(d * d)]
    )
    eigenvalues, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    point = FixedPoint(
        block, value, float(np.linalg.norm(slope)) * size / value, float(eigenvalues[0]) * size**2 / value
    )
    return point, vectors[:, 0].reshape(d, d)


def _newton(start: Array, covariance: Array, n: int, k: int) -> Array:
    """A local minimum from ``start`` by trust-region Newton, matrices or eigenvalues of commuting ones."""
    # In units of the start, so that the first trust region is of its size; a displaced one may be zero.
    scale = max(float(np.linalg.norm(start)) / np.sqrt(start.size), LEAST)

    def value(x: Array) -> tuple[float, Array]:
        risk, slope = risk_and_gradient(scale * x.reshape(start.shape), covariance, n, k)
        return risk, scale * slope.ravel()

    def curvature(x: Array, direction: Array) -> Array:
        turned = _curvature(scale * x.reshape(start.shape), direction.reshape(start.shape), covariance, n, k)
        return np.asarray(scale**2 * turned.ravel())

    with np.errstate(all="ignore"):  # a step tried far out may overflow, and is then not taken
        found = optimize.minimize(
            value,
            start.ravel() / scale,
            jac=True,
            hessp=curvature,
            method="trust-krylov",
            # A smaller gradient gains less than rounding of the risk: the trust region shrinks for ever.
            options={"gtol": 1e-5 * value(start.ravel() / scale)[0], "maxiter": 100},
        ).x
    for _ in range(2):  # each full Newton step squares the error
        hessian = LinearOperator(
            (start.size,) * 2, matvec=lambda v, at=found: curvature(at, v.ravel()), dtype=float
        )
        found = found + minres(hessian, -value(found)[1], rtol=1e-12)[0]
    return np.asarray(scale * found.reshape(start.shape))
