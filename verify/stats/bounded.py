"""Numbers of 51 digits that know what rounding can have done to them, at any precision.

Each carries the value, its ``size`` (the same sum of products with every term positive, at the absolute
values of the inputs) and its ``depth``, the most roundings that one of its terms has been through.  Sums and
products computed in arithmetic of unit roundoff u, in any order of summation, are off by at most

    γ_m · size,  γ_m = mu/(1 − mu),  m the depth

(Higham, Accuracy and Stability of Numerical Algorithms, 2002, §3.1 and Lemma 3.1): each term of the expanded
sum is multiplied by at most m factors 1 + δ, |δ| ≤ u.  size/|value| is the condition number of the sum.  The
same bound serves float64, u = 2⁻⁵³, and the second precision, u = 2⁻¹⁷⁰.  For quotients and roots, and for
what an inverse does to the rounding of its matrix, it holds to first order in u.  Sizes are float64, off by
parts in 10¹³.  Nothing here underflows.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from mpmath.ctx_mp import MPContext
from numpy.typing import ArrayLike, NDArray

from theory.errors import ArgumentError

CONTEXT = MPContext()  # its own: SymPy changes the precision of the global one
CONTEXT.prec = 170
UNIT, SECOND_UNIT = 2.0**-53, 2.0**-CONTEXT.prec

Numbers: TypeAlias = NDArray[Any]  # of bounded numbers, and of what :func:`bounded` takes
KNOWN = (int, float, np.integer, sp.Rational)


class Bounded:
    """A number with the rounding bound of its evaluation; see the module."""

    __slots__ = ("depth", "size", "value")

    def __init__(self, value: Any, size: float, depth: int = 0) -> None:
        self.value, self.size, self.depth = value, size, depth

    def __add__(self, other: Any) -> Bounded:
        if other.__class__ is not Bounded:
            if not isinstance(other, KNOWN):
                return NotImplemented
            other = bounded(other)
        # To add an exact zero, or to multiply by it or by ±1, rounds nothing.
        if not other.size:
            return self
        if not self.size:
            return other
        depth = self.depth if self.depth > other.depth else other.depth
        return Bounded(self.value + other.value, self.size + other.size, depth + 1)

    def __mul__(self, other: Any) -> Bounded:
        if other.__class__ is not Bounded:
            if not isinstance(other, KNOWN):
                return NotImplemented
            other = bounded(other)
        size = self.size * other.size
        if not size:
            return ZERO
        rounds = not (self.is_sign() or other.is_sign())
        return Bounded(self.value * other.value, size, self.depth + other.depth + rounds)

    def __truediv__(self, other: Any) -> Bounded:
        if other.__class__ is not Bounded:
            if not isinstance(other, KNOWN):
                return NotImplemented
            other = bounded(other)
        if not other.value:
            raise ZeroDivisionError("division of a bounded number by zero")
        below = abs(float(other.value))
        # What its rounding does to a divisor is relative to its value.
        lost = other.size / below if other.depth else 0.0
        size, depth = self.size / below * (1 + lost), max(self.depth, other.depth) + 1
        return Bounded(self.value / other.value, size, depth)

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.size, self.depth)

    def __sub__(self, other: Any) -> Bounded:
        return self + -other

    def __rsub__(self, other: Any) -> Bounded:
        return -self + other

    def __rtruediv__(self, other: Any) -> Bounded:
        return bounded(other) / self if isinstance(other, KNOWN) else NotImplemented

    def __pow__(self, exponent: int) -> Bounded:
        found = bounded(1)
        for _ in range(exponent):
            found = found * self
        return found

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self) -> Bounded:
        """The root; ``np.sqrt`` calls it."""
        root = CONTEXT.sqrt(self.value)
        return Bounded(root, float(root) + self.size / (2 * float(root)), self.depth + 1)

    def is_sign(self) -> bool:
        """Whether it is 1 or −1, given so."""
        return self.depth == 0 and self.size == 1

    def bound(self, unit: float) -> float:
        """What rounding with unit roundoff ``unit`` moves the value by at most."""
        lost = self.depth * unit
        return lost / (1 - lost) * self.size


def bounded(x: Any) -> Bounded:
    """``x`` as a bounded number: floats and integers as they are, rationals rounded once.

    Raises :class:`ArgumentError` for what is known to fewer digits or is no real number.
    """
    if isinstance(x, Bounded):
        return x
    if isinstance(x, int | float | np.integer) and math.isfinite(x):
        return Bounded(CONTEXT.mpf(x if isinstance(x, float) else int(x)), abs(float(x)))
    if isinstance(x, sp.Rational):
        exact = sp.Rational(float(x)) == x
        return Bounded(CONTEXT.mpf(int(x.p)) / int(x.q), abs(float(x)), int(not exact))
    raise ArgumentError(f"x={x!r}: must be a finite float, an integer or a rational number")


ZERO = bounded(0)


def lift(array: ArrayLike) -> Numbers:
    """The same numbers, exactly, as an array of bounded ones."""
    return np.vectorize(bounded, otypes=[object])(np.asarray(array))


def read(array: ArrayLike, unit: float) -> tuple[Numbers, NDArray[np.float64]]:
    """Values and bounds of an array, of its shape."""
    numbers = lift(array)
    values = np.vectorize(lambda x: x.value, otypes=[object])(numbers)
    return values, np.vectorize(lambda x: x.bound(unit), otypes=[float])(numbers)
