"""The comparison of one identity at two precisions: float64, and 51 digits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.errors import ArgumentError
from verify.stats.bounded import SECOND_UNIT, UNIT, Bounded, lift


@dataclass(frozen=True)
class Gap:
    """A difference and the most that rounding can make of it, in units of the size of what is compared."""

    deviation: float
    delta: float

    @property
    def share(self) -> float:
        """Of what rounding can do; above 1 it is not rounding."""
        if self.delta == 0:
            return float("inf") if self.deviation else 0.0
        return self.deviation / self.delta


@dataclass(frozen=True)
class PrecisionOutcome:
    """``second``: the definition against the formula at 51 digits.  ``single``: the float64 measure against
    the definition at 51 digits.  Each is the gap of the entry where it is the largest share of its bound.

    ``condition`` is the largest size/|value| of an entry that is not zero.
    """

    second: Gap
    single: Gap
    condition: float

    @property
    def outcome(self) -> str:
        return "agrees" if self.second.share <= 1 and self.single.share <= 1 else "differs"

    @property
    def measured(self) -> str:
        """For example ``51 digits: 1e-51 of the size, bound 3e-49; float64: 2e-16, bound 4e-14; condition
        3e+08``."""
        return (
            f"51 digits: {self.second.deviation:.0e} of the size, bound {self.second.delta:.0e}; "
            f"float64: {self.single.deviation:.0e}, bound {self.single.delta:.0e}; "
            f"condition {self.condition:.0e}"
        )


def _share(gap: Gap) -> tuple[float, float]:
    return gap.share, gap.delta


def worst(found: Iterable[PrecisionOutcome]) -> PrecisionOutcome:
    """What is worst in several comparisons, each figure by itself."""
    outcomes = list(found)
    return PrecisionOutcome(
        max((one.second for one in outcomes), key=_share),
        max((one.single for one in outcomes), key=_share),
        max(one.condition for one in outcomes),
    )


def two_precisions(
    measured: ArrayLike, defined: ArrayLike, stated: ArrayLike, sweeps: int = 1
) -> PrecisionOutcome:
    """``agrees`` when |defined − stated| is within their two bounds at 51 digits, in every entry, and
    |measured − defined| within the bound of the definition at float64.

    ``measured`` are floats; ``defined``, from the definition, and ``stated``, from the formula, bounded
    numbers; all of one shape.  ``sweeps``: how many times as many roundings as the definition
    the float64 measure may go through.  Raises :class:`ArgumentError` for shapes that are not equal, for
    nothing at all and for floats that are not finite.
    """
    floats: NDArray[np.float64] = np.asarray(measured, dtype=float)
    left, right = lift(defined), lift(stated)
    if not floats.size or not floats.shape == left.shape == right.shape:
        raise ArgumentError(
            f"shapes {floats.shape}, {left.shape}, {right.shape} of measured, defined, stated: "
            "must be equal, and not empty"
        )
    if not np.isfinite(floats).all():
        raise ArgumentError("measured: must be finite")
    second, single, condition = [], [], 0.0
    for x, a, b in zip(floats.flat, left.flat, right.flat, strict=True):
        lost = a.bound(SECOND_UNIT) + b.bound(SECOND_UNIT)
        second.append(_gap(abs(a.value - b.value), lost, max(a.size, b.size)))
        repeated = Bounded(a.value, a.size, a.depth * sweeps)
        single.append(_gap(abs(a.value - float(x)), repeated.bound(UNIT), a.size))
        if abs(a.value) > lost:
            condition = max(condition, a.size / float(abs(a.value)))
    return PrecisionOutcome(max(second, key=_share), max(single, key=_share), condition)


def _gap(difference: object, bound: float, size: float) -> Gap:
    unit = size or 1.0
    return Gap(float(difference) / unit, bound / unit)  # type: ignore[arg-type]
