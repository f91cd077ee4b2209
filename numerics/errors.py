"""The exceptions of this package, and the checks of arguments that raise the first of them."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

# Entries and eigenvalues this small, relative to d times the largest entry, are rounding: a float64
# eigenvalue computation is off by a small multiple of d · 2.2e-16.
ROUNDING = 1e-13
MOST = 2**63  # where torch's integers end
T = TypeVar("T")
SHOWN = 80  # characters of a bad value in its message


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


class SweepStopped(RuntimeError):  # noqa: N818  likewise
    """A sweep that ended before all its cells were done: one line with the reason; what is done is kept."""


def shown(value: object) -> str:
    """``value`` as a message shows it: in one line, and not a long one."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integer of more than 4300 digits
        text = "an integer of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def check_count(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int, at least ``least`` and below 2⁶³; else raises :class:`ArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) < MOST:
        bound = " and below 2⁶³" if isinstance(value, Integral) and int(value) >= MOST else ""
        raise ArgumentError(f"{name}={shown(value)}: must be an integer of at least {least}{bound}")
    return int(value)


def check_real(name: str, value: Any, must: str = "be a finite number") -> float:
    """``value`` as a float; :class:`ArgumentError` for what is no real number, NaN, and beyond float64."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ArgumentError(f"{name}={shown(value)}: must {must}")
    return number


def check_rate(name: str, value: Any) -> float:
    """``value`` as a float in (0, 1], the range of the supervised path's rate η."""
    number = check_real(name, value, "lie in (0, 1]")
    if not 0 < number <= 1:
        raise ArgumentError(f"{name}={shown(value)}: must lie in (0, 1]")
    return number


def check_positive(name: str, value: Any) -> float:
    """``value`` as a float if it is positive and finite."""
    number = check_real(name, value, "be positive and finite")
    if not number > 0:
        raise ArgumentError(f"{name}={shown(value)}: must be positive and finite")
    return number


def check_tensor(name: str, value: Any) -> Tensor:
    """``value`` if it is a tensor."""
    if not isinstance(value, Tensor):
        raise ArgumentError(f"{name}={shown(value)}: must be a tensor in torch.float64")
    return value


def check_shape(name: str, value: Any, *last: int | str) -> Tensor:
    """``value`` if it is a float64 tensor and its shape ends in ``last``.

    A name in ``last`` stands for any size of at least 1, the same wherever the name recurs.
    """
    check_tensor(name, value)
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


def as_float64(name: str, value: Any) -> Tensor:
    """``value``, a tensor, an array or a list of lists of real numbers, as a float64 tensor without graph."""
    if isinstance(value, Tensor):
        if value.dtype == torch.bool or value.is_complex():
            raise ArgumentError(f"{name} has entries of type {value.dtype}: must be real numbers")
        return value.detach().to(torch.float64)
    try:
        array = np.asarray(value)
    except ValueError:  # ragged
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"{name}={shown(value)}: must be a tensor of real numbers")
    return torch.from_numpy(array.astype(np.float64))


def check_type(name: str, value: Any, wanted: type[T]) -> T:
    """``value`` if it is a ``wanted``."""
    if not isinstance(value, wanted):
        raise ArgumentError(f"{name}={shown(value)}: must be a {wanted.__name__}")
    return value


def check_batch(**leading: tuple[int, ...]) -> None:
    """Raises :class:`ArgumentError` unless the ``leading`` shapes, by name, broadcast."""
    try:
        torch.broadcast_shapes(*leading.values())
    except RuntimeError:
        told = ", ".join(f"{name} has the leading shape {tuple(shape)}" for name, shape in leading.items())
        raise ArgumentError(f"{told}: must broadcast") from None


def check_covariance(name: str, value: Any, d: int | None = None) -> Tensor:
    """``value`` if it is a finite, symmetric, positive semidefinite d × d matrix, as float64.

    Symmetry and semidefiniteness are judged relative to the largest entry, at the rounding of an
    eigenvalue computation (d · 1e-13).
    """
    matrix = as_float64(name, value)
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
    size = 2.0 ** math.floor(math.log2(float(matrix.abs().max()) or 1.0))  # dividing by it rounds nothing
    smallest = float(torch.linalg.eigvalsh(matrix / size)[0]) * size
    if smallest < -slack:
        raise ArgumentError(f"{name} has the eigenvalue {smallest:.3g}: must be positive semidefinite")
    return matrix


def rounding_slack(matrix: Tensor) -> float:
    """What counts as zero among the entries' differences and the eigenvalues of a square ``matrix``."""
    largest = max(float(matrix.abs().max()), torch.finfo(torch.float64).tiny)
    return matrix.shape[-1] * ROUNDING * largest
