"""The exceptions of this package, and the checks of arguments that raise the first of them."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

# Entries and eigenvalues this small, relative to d times the largest entry, are rounding: a float64
# eigenvalue computation is off by a small multiple of d · 2.2e-16.
ROUNDING = 1e-13


class ArgumentError(ValueError):
    """Bad input: one line that names the argument, its value and what is allowed."""


class Diverged(ArithmeticError):  # noqa: N818  what happened, not whose mistake it is
    """Training left every bound: one line with the step, the step size and the largest that may do.

    ``limit`` is 2/|λ| for the curvature λ of largest modulus at the start, ``None`` where there is none.
    It is the largest stable step of a quadratic loss, and an estimate for others.
    """

    def __init__(self, step: int, step_size: float, limit: float | None) -> None:
        self.step, self.step_size, self.limit = step, step_size, limit
        shown = "unknown" if limit is None else f"{limit:.3g}"
        super().__init__(f"diverged at step {step}, step size {step_size:.3g}, estimated limit {shown}")


def check_count(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int, at least ``least``; anything else raises :class:`ArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ArgumentError(f"{name}={value!r}: must be an integer of at least {least}")
    return int(value)


def check_rate(name: str, value: float) -> float:
    """``value`` in (0, 1], the range of the supervised path's rate η."""
    if not 0 < value <= 1:
        raise ArgumentError(f"{name}={value!r}: must lie in (0, 1]")
    return value


def check_positive(name: str, value: float) -> float:
    """``value`` if it is positive and finite."""
    if not 0 < value < math.inf:
        raise ArgumentError(f"{name}={value!r}: must be positive and finite")
    return value


def check_shape(name: str, value: Tensor, *last: int | str) -> Tensor:
    """``value`` if it is float64 and its shape ends in ``last``.

    A name in ``last`` stands for any size of at least 1, the same wherever the name recurs.
    """
    shape = tuple(value.shape)
    named: dict[str, int] = {}
    fits = len(shape) >= len(last) and all(
        have == (named.setdefault(want, max(have, 1)) if isinstance(want, str) else want)
        for have, want in zip(shape[len(shape) - len(last) :], last, strict=True)
    )
    if not fits or value.dtype != torch.float64:
        wanted = ", ".join(["...", *map(str, last)])
        raise ArgumentError(
            f"{name} has shape {shape} and {value.dtype}: must be ({wanted}) in torch.float64"
        )
    return value


def check_covariance(name: str, value: Tensor, d: int | None = None) -> Tensor:
    """``value`` if it is a finite, symmetric, positive semidefinite d × d matrix, as float64.

    Symmetry and semidefiniteness are judged relative to the largest entry, at the rounding of an
    eigenvalue computation (d · 1e-13).
    """
    matrix = torch.as_tensor(value, dtype=torch.float64).detach()
    shape = tuple(matrix.shape)
    if matrix.ndim != 2 or shape[0] != shape[1] or shape[0] < 1:
        raise ArgumentError(f"{name} has shape {shape}: must be a square matrix, d × d with d ≥ 1")
    if d is not None and shape[0] != d:
        raise ArgumentError(f"{name} has shape {shape}: must be {d} × {d}")
    if not torch.isfinite(matrix).all():
        raise ArgumentError(f"{name} has entries that are not finite: every entry must be a finite number")
    slack = rounding_slack(matrix)
    asymmetry = float((matrix - matrix.mT).abs().max())
    if asymmetry > slack:
        raise ArgumentError(f"{name} is not symmetric (largest asymmetry {asymmetry:.3g}): must be symmetric")
    smallest = float(torch.linalg.eigvalsh(matrix)[0])
    if smallest < -slack:
        raise ArgumentError(f"{name} has the eigenvalue {smallest:.3g}: must be positive semidefinite")
    return matrix


def rounding_slack(matrix: Tensor) -> float:
    """What counts as zero among the entries' differences and the eigenvalues of a square ``matrix``."""
    largest = max(float(matrix.abs().max()), torch.finfo(torch.float64).tiny)
    return matrix.shape[-1] * ROUNDING * largest
