"""Few prompts or prompts without end: the phases of the paper's two-block family.

Σ₀ = (ρ, 1), Σ = (ρ + 1, 1) and A = (η(ρ + 1), r) on shares μ₁ and 1 − μ₁.  Ṽ_* does not change when A and
η are scaled together (Φ is scaled then, and ηΦ† not), so that the phase depends on r/η, γ, ρ and μ₁ alone.
Notes: ``notes/plan.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from theory.errors import (
    ArgumentError,
    check_count,
    check_finite,
    check_positive,
    check_real,
    in_range,
    shown,
)
from theory.plan import REACH, best_prompts
from theory.proportional import Setting, setting
from theory.risk_shape import Curve, curve

Array = NDArray[np.float64]
COARSE = 192  # points of the first search in log q
ZOOMS, FINE, SHRINK = 7, 17, 8  # then 17 points on ± one spacing, which each time falls 8-fold


def two_blocks(
    ratio: float,
    aspect: float,
    *,
    rho_pre: float = 0.1,
    share: float = 0.5,
    aspect_pre: float | None = None,
    aspect_test: float | None = None,
) -> Setting:
    """The family at r/η = ``ratio``, d/n = ``aspect`` and m/d = ``share``, scaled to η = 1.

    Raises :class:`ArgumentError` for a share outside [0, 1], and as :func:`theory.proportional.setting`.
    """
    ratio, rho_pre = check_real("ratio", ratio), check_real("rho_pre", rho_pre)
    if not 0 <= check_real("share", share) <= 1:
        raise ArgumentError(f"share={shown(share)}: must lie in [0, 1]")
    return setting(
        aspect=aspect,
        aspect_pre=aspect_pre,
        aspect_test=aspect_test,
        eta=1.0,
        weights=[share, 1 - share],
        post=[rho_pre + 1, ratio],
        pre=[rho_pre, 1],
        test=[rho_pre + 1, 1],
    )


@dataclass(frozen=True)
class Phases:
    """At each r/η (first axis) and γ (second axis), errors per dimension.

    ``below`` is the least over β in [0, rank), reached at ``beta``; ``none`` at β = 0, ``limit`` C₁ at
    β → ∞ and ``decay`` C₂.
    """

    ratios: Array
    aspects: Array
    beta: Array
    below: Array
    none: Array
    limit: Array
    decay: Array

    @property
    def few(self) -> NDArray[np.bool_]:
        """Where no number of prompts above the rank is better than the best below it."""
        return np.asarray(self.below <= self.limit)

    @property
    def overtaken(self) -> Array:
        """The β from which more prompts beat ``below``, rank = 1; ∞ where they never do."""
        lead = self.below - self.limit
        return 1 + np.divide(self.decay, lead, out=np.full_like(lead, np.inf), where=lead > 0)


def phase_diagram(
    ratios: ArrayLike, aspects: ArrayLike, *, rho_pre: float = 0.1, share: float = 0.5
) -> Phases:
    """Both candidates for the optimum on a grid of r/η > 0 and γ > 0, all settings searched at once.

    ``ratios`` and ``aspects`` are numbers or lists, the candidates (ratios, aspects).  Raises
    :class:`ArgumentError` for what is not positive, ``rho_pre`` or ``share`` out of range.
    """
    r, gamma = (_positive(name, values) for name, values in (("ratios", ratios), ("aspects", aspects)))
    cells = [curve(two_blocks(x, y, rho_pre=rho_pre, share=share)) for x in r for y in gamma]
    shape = Curve(*(np.stack([getattr(c, f.name) for c in cells], axis=-1) for f in fields(Curve)))
    beta, below = _least(shape)
    grid = (r.size, gamma.size)
    return Phases(r, gamma, *(x.reshape(grid) for x in (beta, below, shape.none, shape.limit, shape.decay)))


def _least(shape: Curve) -> tuple[Array, Array]:
    """The β in [0, spike) of the least error of each curve, and that error."""
    log_c = np.log(shape.levels)
    start, end = -log_c.max(0) - REACH, -log_c.min(0) + REACH
    width = (end - start) / (COARSE - 1)
    s = start[:, None] + width[:, None] * np.arange(COARSE)
    centre = _lowest(shape, s)
    for _ in range(ZOOMS):
        centre = _lowest(shape, centre[:, None] + width[:, None] * np.linspace(-1, 1, FINE))
        width = width / SHRINK
    q = np.exp(centre)[:, None]
    error, beta = shape.at(q)[:, 0], shape.beta(q)[:, 0]
    helps = error < shape.none
    return np.where(helps, beta, 0.0), np.where(helps, error, shape.none)


def _lowest(shape: Curve, s: Array) -> Array:
    """The log q of the least error in each row of ``s``."""
    return np.take_along_axis(s, shape.at(np.exp(s)).argmin(-1)[:, None], -1)[:, 0]


@in_range("aspect, low, high, rho_pre, share")
def boundary(
    aspect: float,
    *,
    low: float = 1e-4,
    high: float = 1e2,
    points: int = 61,
    rho_pre: float = 0.1,
    share: float = 0.5,
) -> tuple[float, ...]:
    """The r/η in [low, high] at which the best β below the rank and β → ∞ are equally good, ascending.

    Sign changes of log(below/limit) on ``points`` values, each refined to a relative 1e-12.
    """
    points, low, high = check_count("points", points, 2), check_real("low", low), check_real("high", high)
    if not 0 < low < high:
        raise ArgumentError(f"low={low!r}, high={high!r}: must be 0 < low < high")
    check_positive("aspect", aspect)  # without noise the limit is 0, and no β below the rank is as good

    def lead(log_ratio: float) -> float:
        plan = best_prompts(two_blocks(float(np.exp(log_ratio)), aspect, rho_pre=rho_pre, share=share))
        return float(np.log(plan.below.error / plan.limit))

    s = np.linspace(np.log(low), np.log(high), points)
    leads = np.array([lead(x) for x in s])
    crossings = np.flatnonzero(np.sign(leads[1:]) * np.sign(leads[:-1]) < 0)
    return tuple(float(np.exp(brentq(lead, s[i], s[i + 1], xtol=1e-13))) for i in crossings)


def _positive(name: str, values: ArrayLike) -> Array:
    array = check_finite(name, values)
    if array.ndim != 1 or array.size == 0 or not (array > 0).all():
        raise ArgumentError(f"{name}={shown(values)}: must be a list of positive numbers")
    return array
