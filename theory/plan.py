"""How many prompts to fine-tune on: the least of the exact limit of the post-test risk over β = B/d.

Below the spike β = rank(A)/d the limit has no, one or several local minima; above it is C₁ + C₂/(β − rank).
Notes: ``notes/plan.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from theory.errors import ArgumentError, check_count, check_positive, shown
from theory.proportional import Setting
from theory.risk_shape import Curve, curve

Array = NDArray[np.float64]
STEP = 1 / 16  # of the grid in log q, on which every w_k is a logistic function of unit width
REACH = 20.0  # the grid starts at shares w_k of e⁻²⁰ and ends at 1 − e⁻²⁰
CELLS = 2_000_000  # numbers in an array of the search, 16 MB
ROUNDING = 1e-13  # relative: a difference in error as small as this is none
NO_MEAN = 1  # at |B − rank A| up to this the pseudo-inverse has no mean


class Regime(Enum):
    """Where the least error is; of equal errors the one of fewest prompts."""

    NONE = "no fine-tuning"
    FEW = "a number of prompts below the rank of A"
    RANK = "as many prompts as the rank of A"  # without noise: more change nothing
    ENDLESS = "more prompts without end"


@dataclass(frozen=True)
class Point:
    """A place β = B/d on the curve and the error there, per dimension."""

    beta: float
    error: float


@dataclass(frozen=True)
class Plan:
    """The limit of Err(Ṽ_*) against β = B/d.

    ``minima`` are the local ones inside (0, spike), by β; ``below`` is the least of the error over
    [0, spike), at β = 0 if no prompts do best there (at the spike if the error falls up to it, which takes
    C₂ = 0).  ``rises`` are the intervals of β in which more data hurts.
    """

    curve: Curve
    minima: tuple[Point, ...]
    below: Point
    rises: tuple[tuple[float, float], ...]

    @property
    def spike(self) -> float:
        """β at the spike, rank(A)/d."""
        return float(self.curve.spike)

    @property
    def none(self) -> float:
        """The error at β → 0."""
        return float(self.curve.none)

    @property
    def limit(self) -> float:
        """The error at β → ∞, C₁."""
        return float(self.curve.limit)

    @property
    def decay(self) -> float:
        """C₂."""
        return float(self.curve.decay)

    @property
    def best(self) -> float:
        """The infimum of the error over all β."""
        return min(self.below.error, self.limit)

    @property
    def regime(self) -> Regime:
        """Where the error is least; differences below :data:`ROUNDING` are none."""
        if self.limit < self.below.error * (1 - ROUNDING) or self.below.beta == self.spike:
            return Regime.ENDLESS if self.decay > 0 else Regime.RANK
        return Regime.FEW if self.below.beta > 0 else Regime.NONE

    @property
    def overtaken(self) -> float | None:
        """The β above the spike from which on the error is below ``below``; None if it never is."""
        if self.limit >= self.below.error * (1 - ROUNDING):
            return None
        return self.spike + self.decay / (self.below.error - self.limit)

    def error(self, beta: ArrayLike) -> Array:
        """As :meth:`Curve.error`."""
        return self.curve.error(beta)

    def penalty(self, factor: float) -> float:
        """error(factor · β*)/error(β*) at β* of ``below``: what a training set larger by ``factor`` costs."""
        return float(self.error(check_positive("factor", factor) * self.below.beta)) / self.below.error


def best_prompts(of: Setting) -> Plan:
    """Where the exact limit of Err(Ṽ_*) is least over β = B/d, and what other numbers of prompts cost.

    Below the spike the error is a closed form in q, sampled on a grid in log q; every turning point is then
    found by a bounded search between its neighbours, β to about 1e-8 and the error to rounding.
    Raises :class:`ArgumentError` for A = 0.
    """
    shape = curve(of)
    log_c = np.log(shape.levels[shape.levels > 0])
    s = np.arange(-log_c.max() - REACH, -log_c.min() + REACH, STEP)
    pieces = np.array_split(s, 1 + s.size * shape.levels.size // CELLS)
    values = np.concatenate([[shape.none], *(shape.at(np.exp(piece)) for piece in pieces)])
    steps = np.diff(values)
    moving = np.flatnonzero(np.abs(steps) > ROUNDING * values[1:])  # step i leads to s[i]; no plateaus
    rising = steps[moving] > 0
    turns = np.flatnonzero(rising[1:] != rising[:-1])
    found = [
        _turn(shape, s[max(moving[k] - 1, 0)], s[moving[k + 1]], 1.0 if rising[k + 1] else -1.0)
        for k in turns
    ]
    none, spike = Point(0.0, float(shape.none)), Point(float(shape.spike), float(shape.limit))
    # the stretches between 0, the turning points and the spike, and whether the error rises there
    stretches = pairwise([none, *found, spike])
    rises_there = rising[[*turns, -1]] if moving.size else [False]
    minima = tuple(point for point, k in zip(found, turns, strict=True) if rising[k + 1])
    candidates = [*minima, spike] if shape.decay == 0 else minima
    below = none
    for point in candidates:
        if point.error < below.error * (1 - ROUNDING):
            below = point
    rises = tuple((a.beta, b.beta) for (a, b), up in zip(stretches, rises_there, strict=True) if up)
    return Plan(shape, minima, below, rises)


def _turn(shape: Curve, low: float, high: float, sign: float) -> Point:
    """The minimum (``sign`` 1) or maximum (−1) between two values of log q."""

    def signed(log_q: float) -> float:
        return sign * float(shape.at(np.exp(np.array([log_q])))[0])

    found = minimize_scalar(signed, bounds=(low, high), method="bounded", options={"xatol": 1e-11})
    return Point(float(shape.beta(np.exp(np.array([found.x])))[0]), sign * float(found.fun))


@dataclass(frozen=True)
class Prompts:
    """A plan in whole prompts.

    ``count`` is the best number of prompts below the spike and ``error`` its error per dimension;
    ``overtaken`` is the least number above the spike that does better, None if none does.
    """

    count: int
    error: float
    overtaken: int | None


def whole_rank(plan: Plan, d: int) -> float:
    """rank(A) at dimension ``d``: the spike in prompts, free of the rounding of the weights."""
    if not isinstance(plan, Plan):
        raise ArgumentError(f"plan={shown(plan)}: must be a Plan, as best_prompts returns it")
    return round(plan.spike * check_count("d", d), 6)


def whole_error(plan: Plan, d: int, prompts: int) -> float:
    """The error per dimension of so many prompts; ∞ at |B − rank A| ≤ 1, where noise leaves it no mean."""
    near = abs(check_count("prompts", prompts, 0) - whole_rank(plan, d)) <= NO_MEAN
    if near and prompts > 0 and plan.decay > 0:
        return np.inf
    return float(plan.error(prompts / d))


def whole_prompts(plan: Plan, d: int) -> Prompts:
    """The plan at dimension ``d``."""
    rank = whole_rank(plan, d)
    reals = np.array([0.0, plan.below.beta, *(point.beta for point in plan.minima)]) * d
    near = {int(B) for B in (*np.floor(reals), *np.ceil(reals))}
    if plan.decay > 0:  # the last number of prompts that has a mean, should the best be nearer to the spike
        last = max(0, int(np.ceil(rank - NO_MEAN)) - 1)
        near = {min(B, last) for B in near}
    errors = {B: whole_error(plan, d, B) for B in sorted(near)}
    count = min(errors, key=lambda B: errors[B])
    error = errors[count]
    if plan.limit >= error * (1 - ROUNDING):
        return Prompts(count, error, None)
    first = rank + max(NO_MEAN, plan.decay * d / (error - plan.limit))
    return Prompts(count, error, int(np.floor(first)) + 1)
