"""A sequential equivalence test: is the mean of a sampled quantity the predicted one, to within δ?

A check that only fails to find a difference passes best when it is noisiest.  So an interval has to
lie inside ±δ before the test says ``agrees``, and sampling goes on until it does, or until it
excludes the prediction, or until the budget ends (``undecided``, which is no pass).

Why stages with Bonferroni t intervals.  Looking at an ordinary interval after every batch and
stopping when it suits multiplies its error.  Here the looks are fixed in advance, after
first·2^j samples (j = 0 … stages − 1), and each of the stages × p intervals is given the error
α/(stages·p).  By the union bound all of them hold at once with probability 1 − α, whatever the
dependence between stages and components, so stopping at any stage by any rule keeps α.  Doubling
makes the stages few, which is what the bound is cheap for; anytime-valid intervals for unbounded
variables would need a bound on the variance that no simulation here can give.

Why ``first`` has a least value.  A t interval is right for means that are nearly normal *at the
tail that it uses*.  For a law of skewness κ the one-sided error of the Studentised mean is
off by a factor exp(±κz³/(3√n)) at the normal quantile z (Cramér).  With n ≥ 4z⁶
(:func:`least_first`) this is exp(±κ/6) at the first stage and √2 times less in the exponent at each
later one: for squared Gaussians (κ = 2.8) the two sides balance and Bonferroni's slack covers the
rest; for squared products of two Gaussians (κ = 8.8) the error may reach 1.2α.  The most skewed
quantity of this package, the model's squared error at n < d (κ = 15), may reach 2.2α: α is nominal to
that factor, which is why the checks take it at 1e-5.

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

# What a sample may be off by rounding alone, in units of the scale: 4500 float64 roundings, room for
# a forward pass of small matrices.  It widens every interval, so that a component without variance,
# or with a variance that is itself rounding, is compared to rounding and not to zero.
ROUNDING = 1e-12

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """How a comparison ended, at the component that decided it.

    ``deviation`` (signed) and ``half_width`` are in units of the scale, ``samples`` is the total
    drawn.  The component is the one whose interval is farthest out for ``differs``, and the one
    whose interval reaches farthest from zero otherwise.
    """

    outcome: str
    deviation: float
    half_width: float
    samples: int
    delta: float
    alpha: float

    @property
    def measured(self) -> str:
        """For example ``rel. dev. 1.2e-3 ± 0.9e-3 (n = 40000)``: both figures on one exponent."""
        largest = max(abs(self.deviation), self.half_width)
        exponent = int(f"{largest:.1e}".split("e")[1])
        tail = f"e{exponent}" if exponent else ""
        figures = (f"{x / 10.0**exponent:.1f}{tail}" for x in (self.deviation, self.half_width))
        return f"rel. dev. {' ± '.join(figures)} (n = {self.samples})"


def least_first(alpha: float, stages: int, p: int) -> int:
    """The least size of the first stage, 4z⁶ with z the normal quantile of each interval's tail."""
    return max(100, math.ceil(4 * float(ndtri(1 - alpha / (2 * stages * p))) ** 6))


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


def _decide(deviation: Array, half_width: Array, delta: float, limit: bool) -> tuple[str | None, int]:
    """The outcome at one stage (``None``: go on) and the component that it is read off."""
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

    ``draw(size)`` gives (size, p) independent, unbiased float64 samples; it is called with
    size = ``first`` only, so memory does not grow with the budget.  ``prediction``: (p,).
    ``scale``: (p,) or one number, positive.  ``delta`` is the tolerance to be established and
    ``alpha`` bounds the probability of a wrong ``differs`` or ``agrees``.

    An exact statement (``limit=False``) ``differs`` when an interval excludes zero deviation, however
    small; a limit does when an interval lies wholly outside ±``delta``.  Both ``agree`` when all
    intervals lie inside ±``delta``.  ``averaged`` is the number m of independent draws that each sample
    is itself a mean of: its skewness is √m times less, so ``first`` may be m times less (and 64 at
    least, where the t quantile is still near the normal one).  Raises :class:`ArgumentError` for bad
    arguments or samples.
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
    first = check_count("first", first, max(64, -(-least_first(alpha, stages, p) // averaged)))

    tail = alpha / (2 * stages * p)
    count, mean, M2 = 0, np.zeros(p), np.zeros(p)
    for stage in range(stages):
        while count < first * 2**stage:
            # Centred on the prediction, so that a small deviation of a large mean keeps its digits.
            count, mean, M2 = _merge(count, mean, M2, (_sample(draw, first, p) - expected) / unit)
        quantile = -float(stdtrit(count - 1, tail))
        half_width = quantile * np.sqrt(M2 / (count - 1) / count) + ROUNDING
        outcome, at = _decide(mean, half_width, delta, limit)
        if outcome is not None:
            break
    return Outcome(outcome or "undecided", float(mean[at]), float(half_width[at]), count, delta, alpha)
