"""Square matrices given in full (d, d) or by their diagonal (d,), which products then exploit."""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.errors import ArgumentError, as_float64, check_covariance, rounding_slack


def check_square(name: str, value: Tensor, d: int | None = None) -> Tensor:
    """``value`` as float64: a finite d × d matrix, or (d,) if it is diagonal or given by its diagonal."""
    matrix = as_float64(name, value)
    shape = tuple(matrix.shape)
    size = d if d is not None else max(shape[0], 1) if shape else 1
    if shape not in ((size,), (size, size)):
        allowed = "(d,) or (d, d) with d ≥ 1" if d is None else f"({d},) or ({d}, {d})"
        raise ArgumentError(f"{name} has shape {shape}: must be {allowed}")
    if not torch.isfinite(matrix).all():
        raise ArgumentError(f"{name} has entries that are not finite: every entry must be a finite number")
    if matrix.ndim == 2 and torch.equal(matrix, torch.diag(matrix.diagonal())):
        return matrix.diagonal().clone()
    return matrix


def check_covariance_or_diagonal(name: str, value: Tensor, d: int | None = None) -> Tensor:
    """:func:`check_square` for a covariance: non-negative (d,), or (d, d) symmetric and semidefinite.

    Negative diagonal entries within rounding of zero (d · 1e-13 of the largest) are set to zero.
    """
    matrix = check_square(name, value, d)
    if matrix.ndim == 2:
        return check_covariance(name, matrix)
    smallest = float(matrix.min())
    if smallest < -rounding_slack(matrix):
        raise ArgumentError(f"{name} has the diagonal entry {smallest:.3g}: must be non-negative")
    return matrix.clamp(min=0)


def times(matrix: Tensor, columns: Tensor) -> Tensor:
    """``matrix`` (d, d) or its diagonal (d,), times ``columns`` (d, B)."""
    return matrix[:, None] * columns if matrix.ndim == 1 else matrix @ columns


def full(matrix: Tensor) -> Tensor:
    """``matrix`` (d, d), or the diagonal matrix of (d,)."""
    return torch.diag(matrix) if matrix.ndim == 1 else matrix


def trace(matrix: Tensor) -> Tensor:
    """The trace of ``matrix`` (d, d) or of the diagonal (d,)."""
    return matrix.sum() if matrix.ndim == 1 else matrix.trace()
