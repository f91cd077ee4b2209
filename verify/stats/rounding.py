"""The comparison of two computations of one number: equal up to the rounding of float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.errors import ArgumentError, check_count

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class RoundingOutcome:
    """How a comparison ended: ``deviation`` and the tolerance ``delta`` are in units of the scale.

    ``alpha`` is 0: nothing is random once the inputs are fixed.
    """

    outcome: str
    deviation: float
    delta: float
    alpha: float = 0.0

    @property
    def measured(self) -> str:
        """For example ``rounding 3.1e-16 of the scale``."""
        if self.deviation == 0:
            return "rounding 0"
        digits, exponent = f"{self.deviation:.1e}".split("e")
        return f"rounding {digits}e{int(exponent)} of the scale"


def rounding_test(
    values: ArrayLike, prediction: ArrayLike, scale: ArrayLike, operations: int
) -> RoundingOutcome:
    """``agrees`` when max |values − prediction| / scale ≤ 8·eps·``operations``, else ``differs``.

    ``operations`` is the length of the longest chain of floating-point operations behind an entry (a
    product of k matrices of size d: k·d), and ``scale`` bounds the intermediate results (a product of
    norms, not the value itself, which may have cancelled).  A chain of m operations errs by at most
    m·(eps/2)·scale to first order.  Two computations are compared, which makes it m·eps; the factor
    8 leaves room for operands that are sums of several terms and for the inputs' own rounding.  A
    wrong formula is off by a fraction of the scale: some ten decades above.

    ``values`` and ``prediction`` broadcast, ``scale`` is positive and broadcasts with them.  Raises
    :class:`ArgumentError` for values that are not finite or a scale that is not positive.
    """
    operations = check_count("operations", operations)
    computed, expected, unit = (np.asarray(a) for a in (values, prediction, scale))
    if computed.size == 0 or not (np.isfinite(computed).all() and np.isfinite(expected).all()):
        raise ArgumentError("values and prediction must be finite, and at least one of them")
    if not (np.isfinite(unit) & (unit > 0)).all():
        raise ArgumentError(f"scale={scale!r}: must be positive and finite")
    deviation = float(np.max(np.abs(computed - expected) / unit))
    delta = 8 * EPS * operations
    return RoundingOutcome("agrees" if deviation <= delta else "differs", deviation, delta)
