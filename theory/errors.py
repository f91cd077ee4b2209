"""The one exception of this package, and the checks of numeric input that raise it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
MOST = 2**53  # up to which float64 holds every integer
SHOWN = 80  # characters of a bad value in its message


class ArgumentError(ValueError):
    """Bad input: one line that names the argument, its value and what is allowed."""


class OutOfRange(ArgumentError):  # noqa: N818  what happened to good arguments
    """Good arguments on which the way to the result leaves float64."""


def shown(value: object) -> str:
    """``value`` as a message shows it: in one line, and not a long one."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integer of more than 4300 digits
        text = "an integer of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def check_count(name: str, value: object, least: int = 1) -> int:
    """``value`` as an int, at least ``least`` and at most 2⁵³; else raises :class:`ArgumentError`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= MOST:
        bound = " and at most 2⁵³" if isinstance(value, Integral) and int(value) > MOST else ""
        raise ArgumentError(f"{name}={shown(value)}: must be an integer of at least {least}{bound}")
    return int(value)


def check_real(name: str, value: Any, must: str = "be a finite number") -> float:
    """``value`` as a float; :class:`ArgumentError` for what is no real number, NaN, and beyond float64."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else np.nan
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise ArgumentError(f"{name}={shown(value)}: must {must}")
    return number


def check_positive(name: str, value: Any) -> float:
    """``value`` as a float if it is positive and finite, else :class:`ArgumentError`."""
    number = check_real(name, value, "be positive and finite")
    if not number > 0:
        raise ArgumentError(f"{name}={shown(value)}: must be positive and finite")
    return number


def check_rate(name: str, value: Any) -> float:
    """``value`` as a float in (0, 1], the range of the path's rate η, else :class:`ArgumentError`."""
    number = check_real(name, value, "lie in (0, 1]")
    if not 0 < number <= 1:
        raise ArgumentError(f"{name}={shown(value)}: must lie in (0, 1]")
    return number


def check_numbers(name: str, value: Any) -> NDArray[np.float64]:
    """``value`` as float64: an array, or a list of lists; :class:`ArgumentError` unless of real numbers.

    Text and truth values are no numbers here, and a complex number is none that is real.
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and all(
            isinstance(x, Real) and not isinstance(x, bool) for x in array.flat
        ):
            array = array.astype(float)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # ragged, or beyond float64, or with a graph
        raise ArgumentError(f"{name}={shown(value)}: must be an array of real numbers") from None
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} has entries of type {array.dtype}: must be an array of real numbers")
    with np.errstate(over="ignore"):  # of a long double, to ∞
        return np.asarray(array, dtype=float)


def check_finite(name: str, value: Any) -> NDArray[np.float64]:
    """``value`` as float64 if all its entries are finite numbers, else :class:`ArgumentError`."""
    array = check_numbers(name, value)
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} has entries that are not finite: every entry must be a finite number")
    return array


def check_shape(name: str, value: Any, *shape: int | str) -> NDArray[np.float64]:
    """``value`` as a finite float64 array of that ``shape``; a letter in it stands for any size from 1 on.

    Raises :class:`ArgumentError` for any other.
    """
    array = check_numbers(name, value)
    fits = array.ndim == len(shape) and all(
        have == want if isinstance(want, int) else have >= 1
        for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        raise ArgumentError(
            f"{name} has shape {array.shape}: must be {' × '.join(map(str, shape)) or 'a number'}"
        )
    return check_finite(name, array)


def check_covariance(name: str, value: Any, d: int | None = None) -> NDArray[np.float64]:
    """``value`` if it is a finite, symmetric, positive semidefinite d × d matrix.

    Symmetry and semidefiniteness are judged relative to the largest entry, at the rounding of an
    eigenvalue computation (d · 1e-13).  Raises :class:`ArgumentError` for what is none.
    """
    matrix = check_numbers(name, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 1:
        raise ArgumentError(f"{name} has shape {matrix.shape}: must be a square matrix, d × d with d ≥ 1")
    if d is not None and matrix.shape[0] != d:
        raise ArgumentError(f"{name} has shape {matrix.shape}: must be {d} × {d}")
    check_finite(name, matrix)
    slack = _slack(matrix)
    with np.errstate(over="ignore"):  # of entries near the largest float64, to an asymmetry of ∞
        asymmetry = float(np.abs(matrix - matrix.T).max())
    if asymmetry > slack:
        raise ArgumentError(f"{name} is not symmetric (largest asymmetry {asymmetry:.3g}): must be symmetric")
    smallest = _smallest(matrix)
    if smallest < -slack:
        raise ArgumentError(f"{name} has the eigenvalue {smallest:.3g}: must be positive semidefinite")
    return matrix


def check_definite(name: str, value: Any, d: int | None = None) -> NDArray[np.float64]:
    """``value`` if it is a covariance that can be inverted, its smallest eigenvalue above rounding.

    Raises :class:`ArgumentError` for any other.
    """
    matrix = check_covariance(name, value, d)
    smallest = _smallest(matrix)
    if smallest <= _slack(matrix):
        raise ArgumentError(f"{name} has the eigenvalue {smallest:.3g}: must be positive definite")
    return matrix


def _smallest(matrix: NDArray[np.float64]) -> float:
    """The least eigenvalue, in units in which the largest entry is of order one."""
    size = binary_size(matrix)
    return float(np.linalg.eigvalsh(matrix / size)[0]) * size


def binary_size(array: NDArray[np.float64]) -> float:
    """The power of two next to the largest entry, 1 for zeros: what divides an array without rounding it."""
    largest = float(np.abs(array).max(initial=0.0))
    return float(2.0 ** np.floor(np.log2(largest))) if largest > 0 else 1.0


def _slack(matrix: NDArray[np.float64]) -> float:
    return matrix.shape[0] * 1e-13 * max(float(np.abs(matrix).max()), float(np.finfo(float).tiny))


def in_range(names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function of numbers: good arguments that lead it out of float64 are an
    :class:`ArgumentError` that blames ``names``, and no ∞ or NaN with or without a warning."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def checked(*arguments: P.args, **named: P.kwargs) -> R:
            try:
                with np.errstate(over="raise", invalid="raise", divide="raise"):
                    found = function(*arguments, **named)
                finite = all(np.isfinite(part).all() for part in _parts(found))
            except (FloatingPointError, OverflowError, ZeroDivisionError, np.linalg.LinAlgError, OutOfRange):
                finite = False
            if not finite:
                raise OutOfRange(
                    f"{names}: the way to the result leaves float64, must be nearer to 1 in size"
                )
            return found

        return checked

    return decorated


def _parts(found: Any) -> list[Any]:
    """The numbers of a result: a number, an array, a tuple or a dataclass of them."""
    if is_dataclass(found):
        found = tuple(getattr(found, field.name) for field in fields(found))
    if isinstance(found, tuple | list):
        return [part for each in found for part in _parts(each)]
    return [found] if isinstance(found, float | np.ndarray | np.number) else []
