"""Power: the deviation that the equivalence test notices with probability 0.99.

A deviation D is noticed when the test does not end in ``agrees``.  By construction one above δ is, with
probability 1 − α.  An exact statement ``differs`` at any deviation that the sampling resolves, so that less
than δ is noticed too, which is what this module works out; a limit tolerates δ, and nothing less is
noticed.

Let a block of n samples have the mean x and the standard error s, and let q be its t quantile.  ``agrees`` at
a look needs, in every block, A: x + q s ≤ δ, and that not every block has B: x − q s > 0 (else the look ends
in ``differs``).  So, whatever the other components do,

    P(agrees at the look) ≤ P(A)^b − P(A and B)^b,   b blocks,

and P(agrees) is at most the sum over the looks.  For samples whose mean is D and nearly normal, x/s and
(x − δ)/s are noncentral t: P(A) = P(T(−(δ − D)/σ) ≤ −q) for the true standard error σ, and likewise B.  A and
B are not independent, P(A and B) ≥ P(A) + P(B) − 1.  σ is that of the run: the pooled spread of a sample
divided by √n, with which the sum is a function of D alone, and the answer is the least D above which it stays
below 1 %.  The component with the largest spread is taken, as the other ones are noticed more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import nctdtr, ndtr, stdtrit

Array = NDArray[np.float64]
MISSED = 0.01
GRID = 100  # steps of D up to δ: the answer is known to δ/100, and rounded up
LARGE = 200  # degrees of freedom from which a t variable is taken as normal


def _t_below(at: float, degrees: int, centre: Array) -> Array:
    """P(T ≤ ``at``) of the noncentral t law; of the normal law for many ``degrees`` of freedom, where the two
    are a few per mille apart and the noncentral series is slow."""
    if degrees > LARGE:
        return np.asarray(ndtr(at - centre))
    return np.asarray(nctdtr(degrees, centre, at))


def agree_probability(
    deviations: Array, spread: float, plan: Sequence[tuple[int, float]], blocks: int, delta: float
) -> Array:
    """The bound above on P(agrees), for each of ``deviations`` ≥ 0.

    ``spread`` is the standard deviation of a sample, ``plan`` gives for each look the size of a block and the
    error of each end of its interval.
    """
    total = np.zeros_like(deviations)
    for n, t in plan:
        error, q = spread / n**0.5, -float(stdtrit(n - 1, t))
        inside = _t_below(-q, n - 1, (deviations - delta) / error)
        clear = 1 - _t_below(q, n - 1, deviations / error)
        both = np.maximum(inside + clear - 1, 0.0)
        total += inside**blocks - both**blocks
    return np.minimum(total, 1.0)


def detected(spread: float, plan: Sequence[tuple[int, float]], blocks: int, delta: float) -> float:
    """The least deviation from which on P(agrees) ≤ 1 %, at most ``delta``; all in units of the scale."""
    if spread == 0:
        return delta
    deviations = np.linspace(0.0, delta, GRID + 1)[1:]
    missed = agree_probability(deviations, spread, plan, blocks, delta) > MISSED
    missed[-1] = False  # at δ by construction, with probability 1 − α
    return float(deviations[int(np.flatnonzero(missed).max(initial=-1)) + 1])
