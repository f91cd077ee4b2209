"""The comparison of two computations of one number: equal up to the rounding of float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.errors import ArgumentError, check_count

EPS = float(np.finfo(np.float64).eps)
# Roundings of a singular value decomposition of a d × B matrix, for each of its dB entries.  The literature
# leaves the constant open (Higham, §19.3, γ̃): a Householder reflection from each side is 4 roundings a term,
# and two of the implicit steps that finish are as many again.
DECOMPOSITION = 10


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


def pseudo_inverse_rounds(matrix: ArrayLike, cutoff: float = 1e-12) -> int:
    """How many roundings M† counts as, for M (…, d, B): p(3κ + 4), p = 10dB, κ = ‖M‖_F‖M†‖_F, the largest.

    It errs by that times u‖M†‖_F; see :func:`verify.stats.bounded_algebra.pseudo_inverse`.  Singular values
    below ``cutoff`` of the largest count as zero.
    """
    values = np.linalg.svd(np.asarray(matrix, dtype=float), compute_uv=False)
    kept = values > cutoff * values.max(axis=-1, keepdims=True)
    inverted = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    condition = np.sqrt((values**2).sum(-1) * (inverted**2).sum(-1)).max()
    d, B = np.shape(matrix)[-2:]
    return math.ceil(DECOMPOSITION * d * B * (3 * condition + 4))


def rounding_test(
    values: ArrayLike, prediction: ArrayLike, scale: ArrayLike, operations: int
) -> RoundingOutcome:
    """``agrees`` when max |values − prediction| / scale ≤ 2γ_m, γ_m = mu/(1 − mu), else ``differs``.

    m = ``operations`` is the most roundings that a term of either side has been through (a product of k
    matrices of size d: k·d), u = eps/2, and ``scale`` bounds the sum of the terms' absolute values (a product
    of norms, not the value itself, which may have cancelled).  A sum of terms with m roundings each is off by
    γ_m times that at most (Higham, Lemma 3.1), and two computations are compared.  A wrong formula is off by
    a fraction of the scale: some ten decades above.

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
    delta = EPS * operations / (1 - EPS / 2 * operations)
    return RoundingOutcome("agrees" if deviation <= delta else "differs", deviation, delta)
