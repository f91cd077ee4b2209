"""The one exception of this package, and the checks of numeric input that raise it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class ArgumentError(ValueError):
    """Bad input: one line that names the argument, its value and what is allowed."""


def check_count(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int, at least ``least``; anything else raises :class:`ArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name}={value!r}: must be an integer of at least {least}")
    return int(value)


def check_finite(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """``value`` if all its entries are finite numbers."""
    if not np.isfinite(value).all():
        raise ArgumentError(f"{name} has entries that are not finite: every entry must be a finite number")
    return value


def check_rate(name: str, value: float) -> float:
    """``value`` in (0, 1], the range of the supervised path's rate η."""
    if not 0 < value <= 1:
        raise ArgumentError(f"{name}={value!r}: must lie in (0, 1]")
    return value


def check_covariance(name: str, value: NDArray[np.float64], d: int | None = None) -> NDArray[np.float64]:
    """``value`` if it is a finite, symmetric, positive semidefinite d × d matrix.

    Symmetry and semidefiniteness are judged relative to the largest entry, at the rounding of an
    eigenvalue computation (d · 1e-13).
    """
    matrix = np.asarray(value, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 1:
        raise ArgumentError(f"{name} has shape {matrix.shape}: must be a square matrix, d × d with d ≥ 1")
    if d is not None and matrix.shape[0] != d:
        raise ArgumentError(f"{name} has shape {matrix.shape}: must be {d} × {d}")
    check_finite(name, matrix)
    slack = _slack(matrix)
    asymmetry = float(np.abs(matrix - matrix.T).max())
    if asymmetry > slack:
        raise ArgumentError(f"{name} is not symmetric (largest asymmetry {asymmetry:.3g}): must be symmetric")
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest < -slack:
        raise ArgumentError(f"{name} has the eigenvalue {smallest:.3g}: must be positive semidefinite")
    return matrix


def check_definite(name: str, value: NDArray[np.float64], d: int | None = None) -> NDArray[np.float64]:
    """``value`` if it is a covariance that can be inverted, its smallest eigenvalue above rounding."""
    matrix = check_covariance(name, value, d)
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest <= _slack(matrix):
        raise ArgumentError(f"{name} has the eigenvalue {smallest:.3g}: must be positive definite")
    return matrix


def _slack(matrix: NDArray[np.float64]) -> float:
    return matrix.shape[0] * 1e-13 * max(float(np.abs(matrix).max()), float(np.finfo(float).tiny))
