"""Err(V_S + V_N) over Err(Ṽ_*) on common training sets, in the setting of Figure 5 at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.sampling import sft_targets
from numerics.sft import first_order_operators, risk, sft_minimiser
from verify.checks.error_terms import Levels, paper
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
SIZE = 60  # and twice it: the finite-size part of order 1/d goes out in 2T(2d) − T(d)
DRAWS = 72

Place = tuple[float, float]  # n/d and β


@cache
def _errors(place: Place, draws: int, seed: int) -> Array:
    """Extrapolated (Err(V_S + V_N), Err(Ṽ_*)) of each draw, (draws, 2)."""
    length, beta = place
    generator = seeded(seed + round(1e6 * length) + round(1e3 * beta), "cpu")  # a stream for each place
    found = []
    for _ in range(draws):
        pair = []
        for d in (2 * SIZE, SIZE):
            n, B = round(length * d), round(beta * d)
            at = Levels(paper(d // 2, d // 2, B, n, 0.1, 0.2, 0.1))
            Omega, Phi = sft_targets(at.A, n, B, generator)
            V_S, V_N = first_order_operators(Omega, Phi, at.A, at.inverse, 0.2)
            minimiser = sft_minimiser(Omega, Phi, at.inverse, 0.2)
            pair.append(torch.stack([risk(V, at.Sigma, n) for V in (V_S + V_N, minimiser)]) / d)
        found.append((2 * pair[0] - pair[1]).numpy())
    return np.array(found)


def _ratios(places: Sequence[Place], seed: int, profile: Profile) -> tuple[Array, Array, Array]:
    """The ratio of the means at each place, the half widths of intervals that hold together, and the mean
    of Err(Ṽ_*)."""
    draws = max(DRAWS, int(DRAWS * min(profile.sample_factor, 4)))
    ratios, halves, means = [], [], []
    for place in places:
        found = _errors(place, draws, seed)
        linear, exact = found.mean(axis=0)
        ratios.append(linear / exact)
        means.append(exact)
        # The ratio's error to first order is that of the mean of (linear − ratio · exact)/exact's mean.
        residual = (found[:, :1] - ratios[-1] * found[:, 1:]) / exact
        halves.append(float(half_widths(residual, profile.alpha / len(places))[0]))
    return np.array(ratios), np.array(halves), np.array(means)


def _text(places: Sequence[Place]) -> str:
    pairs = ", ".join(f"({length:.3g}, {beta:.3g})" for length, beta in places)
    return f"(n/d, β) = {pairs}, d = {SIZE} and {2 * SIZE}"


def within(
    prediction: Callable[[float], float],
    places: Sequence[Place],
    seed: int,
    profile: Profile,
    form: str = "printed",
    sign: int = 1,
) -> Evidence:
    """Whether Err(V_S + V_N) is at most ``prediction``(Err(Ṽ_*)) at every place, or at least that for
    ``sign`` = −1."""
    ratios, halves, exact = _ratios(places, seed, profile)
    excess = sign * (ratios - np.array([prediction(float(x)) / x for x in exact]))
    if (excess > halves).any():
        outcome = "differs"
    else:
        outcome = "agrees" if (excess + halves <= 0).all() else "undecided"
    measured = f"ratios {', '.join(f'{x:.2f}' for x in ratios)} (± {halves.max():.1g})"
    return Evidence("monte-carlo", outcome, measured, _text(places), float(halves.max()), profile.alpha, form)


def approach(
    prediction: float, places: Sequence[Place], seed: int, profile: Profile, form: str = "printed"
) -> Evidence:
    """Whether the ratio comes closer to ``prediction`` from place to place, each n/d several times the last,
    and ends within δ = 10 % of it."""
    ratios, halves, _ = _ratios(places, seed, profile)
    gaps = np.abs(ratios - prediction)
    delta = 0.1
    closer = bool((np.diff(gaps) < 0).all())
    if gaps[-1] - halves[-1] > delta or not closer:
        outcome = "differs"
    else:
        outcome = "agrees" if gaps[-1] + halves[-1] <= delta else "undecided"
    measured = f"ratios {', '.join(f'{x:.3f}' for x in ratios)} (± {halves.max():.1g})"
    return Evidence("scaling", outcome, measured, _text(places), delta, profile.alpha, form)
