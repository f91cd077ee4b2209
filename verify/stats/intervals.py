"""Intervals for the mean of a sample that is drawn once, where a check reads more than one equivalence off
it: a sign, a ratio, an extrapolated limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from theory.errors import ArgumentError
from verify.stats.equivalence import BLOCKS, hull

ROOM = 5.0

Array = NDArray[np.float64]


def half_widths(samples: Array, alpha: float) -> Array:
    """How far the intervals reach from the means of the columns that hold for all of them with probability
    1 − α: (p,) from ``samples`` (size, p).

    The interval is that of one look of :func:`verify.stats.equivalence_test`, the hull of the t intervals of
    three blocks of samples, widened to be symmetric about the mean of all.  Blocks of a few samples have no
    room for a skewness of 15: α is shared so that each end of a t interval may err :data:`ROOM` times its
    nominal t, which on 5 to 21 samples a law of skewness 0.7 does (measured).

    Raises :class:`ArgumentError` for fewer than two samples a block.
    """
    size, p = samples.shape
    if size < 2 * BLOCKS:
        raise ArgumentError(f"samples of shape {samples.shape}: must be at least {2 * BLOCKS} in each column")
    blocks = np.array_split(samples, BLOCKS)
    means = np.array([block.mean(axis=0) for block in blocks])
    # Skewness moves the errors from one end to the other: (ROOM t)³ for one and next to nothing for the
    # other.
    t = float((alpha / p) ** (1 / BLOCKS)) / ROOM
    halves = np.array(
        [-float(stdtrit(len(b) - 1, t)) * b.std(axis=0, ddof=1) / len(b) ** 0.5 for b in blocks]
    )
    centre, half = hull(means, halves)
    return np.asarray(np.abs(centre - samples.mean(axis=0)) + half)
