"""A sequential equivalence test: is the mean of a sampled quantity the predicted one, to within δ?

A check that only fails to find a difference passes best when it is noisiest.  So an interval has to
lie inside ±δ before the test says ``agrees``, and sampling goes on until it does, or until it
excludes the prediction, or until the budget ends (``undecided``, which is no pass).

Why stages.  Looking at an ordinary interval after every batch and stopping when it suits multiplies its
error.  Here the looks are fixed in advance, when each block holds first · (1, 2, 3, 4, 6, 8, 12, …) samples,
up to first · 2^(stages − 1), and the looks × p × 2 ends of intervals share α equally.  By the union bound all
of them hold at once with probability 1 − α, whatever the dependence between looks and components, so stopping
at any look by any rule keeps α.  Growth by 4/3 or 3/2 makes the looks few, which is what the bound is cheap
for; anytime-valid intervals for unbounded variables would need a bound on the variance that no simulation
here can give.

Why blocks.  A run of five hundred checks leaves each of them an α of 2e-9.  The t interval for that
reaches to 6.4 standard errors, where nothing is known of the tail of a skewed law's mean and nothing can
be measured.  So the samples go in turn to three blocks.  Each has its own t interval, whose ends miss the
mean with probability t each, and the interval of the test is their hull,

    [min_b (mean_b − h_b), max_b (mean_b + h_b)].

It lies above the mean only if all three do, and below only if all three do.  At any one look the blocks
hold disjoint samples, so these are intersections of three independent events: t³ at each end, exactly.
With t³ an end's share of α, t is 4e-4 or 1e-4 where α is 2e-9: an event that a simulation can count
(``python -m verify.calibration`` does).  Three things to doubt:

- *Stopping.*  The bound is on the event that any of the intervals misses, at any look, stopped or not.
- *Dependence.*  Later looks hold the earlier samples: the union bound asks for nothing.  Samples within
  a block may share anything that its t interval survives; blocks may share nothing, so ``draw`` has to give
  new samples at each call, and a draw that reuses its numbers (common prompts, a seed for each call)
  has to do so within a call.
- *Disagreement.*  A block alone can make the outcome neither ``differs`` nor ``agrees``, and it cannot stop
  the test: the next look is at all blocks, each a third or a half longer.

The hull costs: it is about as long as the single interval at 7.3 standard errors in place of 6.4.

Why ``first`` has a least value.  A t interval is right for means that are nearly normal *at the
tail that it uses*.  For a law of skewness κ the probability of one end is off by a factor
exp(±κ r(z)/√n), r(z) = (2z² + 1) φ(z)/(6 Φ(−z)) ≈ z³/3, at the normal quantile z of t (Edgeworth, Cramér),
and that of the hull's by its cube; both ends together by cosh(3κ r(z)/√n).  The most skewed quantity of this
package, the model's squared error at n < d, has κ = 15.  The blocks of the first look are so long
(:func:`least_first`) that the exponent is 7 for it, and it falls like 1/√n from look to look.  Each look's t
is such that t³ *times this factor* is an end's share (:func:`tails`).  So α is no nominal figure up to κ =
15; at κ = 0 the error is less than α by the factor, which is large at the first looks and near 1 at the last.

What goes wrong for heavy tails.  Without a third moment that correction has no bound, and without a
second moment there is no interval: rare, huge samples carry part of the mean, a run that has not
met one sees a small variance and a wrong mean, and ``differs`` becomes frequent.  A quantity without
a variance (a pseudo-inverse near |B − rank A| ≤ 3) is to be compared by quantiles, that is by the
frequency of an event: indicator samples, which this test takes like any others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from theory.errors import ArgumentError, check_count
from verify.stats.power import detected

# What a sample may be off by rounding alone, in units of the scale: 4500 float64 roundings, room for
# a forward pass of small matrices.  It widens every interval, so that a component without variance,
# or with a variance that is itself rounding, is compared to rounding and not to zero.
ROUNDING = 1e-12
BLOCKS = 3
SKEWNESS = 15.0  # of the model's squared error at n < d, the most skewed quantity that is sampled
EXPONENT = 7.0  # of the hull's excess at the least first look and that skewness
LEAST = 21  # samples of a block: 63 in all, for a t interval with a variance known to a sixth

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """How a comparison ended, at the component that decided it.

    ``deviation`` (signed) and ``half_width`` are centre and half length of the hull of the blocks'
    intervals, in units of the scale; ``samples`` is the total drawn.  The component is the one whose
    interval is farthest out for ``differs``, and the one whose interval reaches farthest from zero
    otherwise.  ``detects`` is the deviation that the test would have called ``agrees`` with probability 1 %
    at most (:func:`verify.stats.power.detected`).
    """

    outcome: str
    deviation: float
    half_width: float
    samples: int
    delta: float
    alpha: float
    detects: float | None = None

    @property
    def measured(self) -> str:
        """For example ``rel. dev. 1.2e-3 ± 0.9e-3 (n = 40000)``: both figures on one exponent."""
        largest = max(abs(self.deviation), self.half_width)
        exponent = int(f"{largest:.1e}".split("e")[1])
        tail = f"e{exponent}" if exponent else ""
        figures = (f"{x / 10.0**exponent:.1f}{tail}" for x in (self.deviation, self.half_width))
        return f"rel. dev. {' ± '.join(figures)} (n = {self.samples})"


def looks(stages: int) -> list[int]:
    """When the test looks, in units of the first look: 1, 2, 3, 4, 6, 8, … up to 2^(stages − 1)."""
    most = 2 ** (stages - 1)
    return sorted({2**j for j in range(stages)} | {3 * 2**j for j in range(stages) if 3 * 2**j < most})


def _cubed(alpha: float, stages: int, p: int) -> float:
    """t³ but for the excess: the share of an end of an interval."""
    return alpha / (2 * len(looks(stages)) * p)


def least_first(alpha: float, stages: int, p: int) -> int:
    """The least size of a block's first look: at it :data:`SKEWNESS` makes the exponent :data:`EXPONENT`."""
    t = (_cubed(alpha, stages, p) / math.cosh(EXPONENT)) ** (1 / BLOCKS)
    z = -float(ndtri(t))
    r = (2 * z**2 + 1) * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / (6 * t)
    return max(100, math.ceil((BLOCKS * SKEWNESS * r / EXPONENT) ** 2))


def tails(alpha: float, stages: int, p: int, first: int, averaged: int = 1) -> list[tuple[int, float]]:
    """For each look the size of a block and t, the probability that an end of its interval misses.

    The exponent of the excess is taken with the r(z) of the least first look, the largest.
    """
    cubed, least = _cubed(alpha, stages, p), least_first(alpha, stages, p)
    sizes = [first * times for times in looks(stages)]
    excess = [math.cosh(EXPONENT * math.sqrt(least / (averaged * n))) for n in sizes]
    return [(n, (cubed / e) ** (1 / BLOCKS)) for n, e in zip(sizes, excess, strict=True)]


def _sample(draw: Callable[[int], Array], size: int, p: int) -> Array:
    """``size`` samples of ``draw``, checked: float64, (size, p), finite."""
    samples = np.asarray(draw(size))
    if samples.shape != (size, p) or samples.dtype != np.float64:
        raise ArgumentError(
            f"draw({size}) gave shape {samples.shape} of {samples.dtype}: must be ({size}, {p}) of float64"
        )
    if not np.isfinite(samples).all():
        raise ArgumentError(f"draw({size}) gave samples that are not finite: every sample must be")
    return samples


def _merge(count: int, mean: Array, M2: Array, batch: Array) -> tuple[int, Array, Array]:
    """Count, mean and summed squared deviation after ``batch`` (Chan's update: no sum of squares of
    uncentred samples, which would cancel)."""
    more = len(batch)
    batch_mean = batch.mean(axis=0)
    shift = batch_mean - mean
    total = count + more
    squares = ((batch - batch_mean) ** 2).sum(axis=0)
    return total, mean + shift * (more / total), M2 + squares + shift**2 * (count * more / total)


def hull(means: Array, half_widths: Array) -> tuple[Array, Array]:
    """Centre and half length of the hull of the blocks' intervals, (p,) each, from (blocks, p)."""
    low, high = (means - half_widths).min(axis=0), (means + half_widths).max(axis=0)
    return (low + high) / 2, (high - low) / 2


def _decide(deviation: Array, half_width: Array, delta: float, limit: bool) -> tuple[str | None, int]:
    """The outcome at one look (``None``: go on) and the component that it is read off."""
    nearest = np.abs(deviation) - half_width  # distance of the interval from zero, if positive
    farthest = np.abs(deviation) + half_width
    if nearest.max() > (delta if limit else 0.0):
        return "differs", int(nearest.argmax())
    worst = int(farthest.argmax())
    return ("agrees" if farthest[worst] <= delta else None), worst


def equivalence_test(
    draw: Callable[[int], Array],
    prediction: ArrayLike,
    scale: ArrayLike,
    delta: float,
    alpha: float,
    first: int,
    stages: int,
    limit: bool = False,
    averaged: int = 1,
) -> Outcome:
    """Compare the mean of ``draw`` with ``prediction``, deviations in units of ``scale``.

    ``draw(size)`` gives (size, p) independent, unbiased float64 samples, independent of those of all other
    calls; it is called with size = ``first``, a block of the first look, only, so memory does not grow with
    the budget.  ``prediction``: (p,).  ``scale``: (p,) or one number, positive.  ``delta`` is the tolerance
    to be established and ``alpha`` bounds the probability of a wrong ``differs`` or ``agrees``.

    An exact statement (``limit=False``) ``differs`` when an interval excludes zero deviation, however
    small; a limit does when an interval lies wholly outside ±``delta``.  Both ``agree`` when all
    intervals lie inside ±``delta``.  ``averaged`` is the number m of independent draws that each sample
    is itself a mean of: its skewness is √m times less, so ``first`` may be m times less (and
    :data:`LEAST` at least).  Raises :class:`ArgumentError` for bad arguments or samples.
    """
    expected = np.atleast_1d(np.asarray(prediction, dtype=float))
    if expected.ndim != 1 or expected.size == 0 or not np.isfinite(expected).all():
        raise ArgumentError(f"prediction={prediction!r}: must be finite numbers, one a component")
    p = expected.size
    unit = np.asarray(scale, dtype=float)
    if unit.shape not in ((), (p,)) or not (np.isfinite(unit) & (unit > 0)).all():
        raise ArgumentError(
            f"scale={scale!r}: must be positive, one number or one for each of {p} components"
        )
    if not delta > 2 * ROUNDING:
        raise ArgumentError(f"delta={delta!r}: must be above {2 * ROUNDING:g}, the rounding of the samples")
    if not 0 < alpha < 1:
        raise ArgumentError(f"alpha={alpha!r}: must lie in (0, 1)")
    stages = check_count("stages", stages)
    averaged = check_count("averaged", averaged)
    least = -(-least_first(alpha, stages, p) // averaged)
    first = check_count("first", first, max(LEAST, least))

    plan = tails(alpha, stages, p, first, averaged)
    count, means, M2 = 0, np.zeros((BLOCKS, p)), np.zeros((BLOCKS, p))
    for size, t in plan:
        while count < size:
            for b in range(BLOCKS):
                # Centred on the prediction, so that a small deviation of a large mean keeps its digits.
                batch = (_sample(draw, first, p) - expected) / unit
                _, means[b], M2[b] = _merge(count, means[b], M2[b], batch)
            count += first
        error = np.sqrt(M2 / (count - 1) / count)
        deviation, half_width = hull(means, -float(stdtrit(count - 1, t)) * error + ROUNDING)
        outcome, at = _decide(deviation, half_width, delta, limit)
        if outcome is not None:
            break
    spread = float(np.sqrt(M2.sum(axis=0) / (count - 1) / BLOCKS).max())
    return Outcome(
        outcome or "undecided",
        float(deviation[at]),
        float(half_width[at]),
        BLOCKS * count,
        delta,
        alpha,
        delta if limit else detected(spread, plan, BLOCKS, delta),
    )
