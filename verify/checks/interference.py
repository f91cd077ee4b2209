"""Section 5.2 from simulated fine-tuning: how log Err(Ṽ_*) changes from place to place.

A place is a setting and a number of prompts B; one realization of the training set gives the risk at every B,
so changes within a setting are paired.  The logarithm is taken because the figures show it and because at
B = rank A the risk itself has no mean, while its logarithm has all moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.curves import CurveSetting, simulate_curves
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
REALIZATIONS = 24  # at d = 400, where log Err scatters by 1 %; more at smaller d
MOST_COLUMNS = 48_000  # Ω and Φ of all realizations, beyond which there are no more of them
AT_SPIKE = 400  # where it scatters by a factor of 3


@dataclass(frozen=True)
class Scene:
    """The paper's two blocks in finite size: A = η(ρ+1) and ``r``, Σ₀ = ρ and 1, Σ = ρ+1 and 1.

    ``n`` is the length of the post-training prompts, and of the others where ``n_pre``, ``n_test`` are None.
    """

    r: float
    n: int
    d: int = 400
    m: int = 200
    eta: float = 0.2
    rho: float = 0.1
    n_pre: int | None = None
    n_test: int | None = None

    def setting(self) -> CurveSetting:
        first = (torch.arange(self.d) < self.m).double()
        return CurveSetting(
            A=self.eta * (self.rho + 1) * first + self.r * (1 - first),
            Sigma0=self.rho * first + (1 - first),
            Sigma=(self.rho + 1) * first + (1 - first),
            eta=self.eta,
            n=self.n,
            n_pre=self.n_pre,
            n_test=self.n_test,
        )


Place = tuple[Scene, int]


@cache
def _curves(scene: Scene, most: int, realizations: int, seed: int) -> Array:
    """Err(Ṽ_*) for B = 1 … most, (realizations, most)."""
    found = simulate_curves([scene.setting()], realizations, most, seed)[0] / scene.d
    return found.numpy()


def _logarithms(places: Sequence[Place], realizations: int, seed: int) -> Array:
    """log Err(Ṽ_*) at each place, (realizations, places); places of one scene share the realizations."""
    most: dict[Scene, int] = {}
    for scene, B in places:
        most[scene] = max(B, most.get(scene, 0))
    streams = {scene: seed + 7919 * j for j, scene in enumerate(most)}
    columns = [_curves(scene, most[scene], realizations, streams[scene])[:, B - 1] for scene, B in places]
    return np.log(np.stack(columns, axis=1))


def _number(places: Sequence[Place], profile: Profile) -> int:
    """Realizations: in proportion to 1/d, and more where they cost less than at d = 400: d²B each."""
    d, most = min(scene.d for scene, _ in places), max(B for _, B in places)
    cheap = min(REALIZATIONS * 400**2 // d**2, MOST_COLUMNS // most)
    least = max(min(120, REALIZATIONS * 400 // d), cheap)
    return max(least, int(least * min(profile.sample_factor, 4)))


def _places(places: Sequence[Place]) -> str:
    scene = places[0][0]
    scenes = {s for s, _ in places}
    lengths = sorted({s.n for s in scenes})
    text = f"d={scene.d}, r={scene.r:g}, n={', '.join(map(str, lengths))}"
    return f"{text}, B={', '.join(map(str, dict.fromkeys(B for _, B in places)))}"


def trend(
    prediction: Sequence[int],
    places: Sequence[Place],
    seed: int,
    profile: Profile,
    form: str = "printed",
    what: str = "",
) -> Evidence:
    """The sign of the change of log Err(Ṽ_*) from each place to the next, every one clearly away from zero.

    Student intervals over the realizations, α shared among the changes.
    """
    found = np.diff(_logarithms(places, _number(places, profile), seed), axis=1)
    mean = found.mean(axis=0)
    half = np.broadcast_to(half_widths(found, profile.alpha), mean.shape)
    signs = np.asarray(prediction)
    if (np.sign(mean) * signs < 0)[np.abs(mean) > half].any():
        outcome = "differs"
    else:
        outcome = "agrees" if (np.abs(mean) > half).all() else "undecided"
    shown = ", ".join(f"{x:+.2g} ± {h:.1g}" for x, h in zip(mean, half, strict=True))
    nearest = int(np.argmin(np.abs(mean) / half))  # what is established is a sign: the change nearest to none
    return Evidence(
        "monte-carlo",
        outcome,
        f"log Err changes by {shown}",
        f"{what}{', ' if what else ''}{_places(places)}",
        float(half[nearest]),
        profile.alpha,
        form,
    )


def growth(
    prediction: float, scenes: tuple[Scene, Scene], seed: int, profile: Profile, form: str = "printed"
) -> Evidence:
    """The power of d with which Err(Ṽ_*) one prompt from the spike grows between two sizes, to within ½.

    From the mean of log Err at B = rank A − 1 and rank A + 1 over :data:`AT_SPIKE` training sets.  At
    distance ε in β the error is like 1/ε, and one prompt is ε = 1/d; at B = rank A the scatter is twice this.
    """
    number = AT_SPIKE * (4 if profile.sample_factor > 1 else 1)
    logs = []
    for j, scene in enumerate(scenes):
        spike = scene.d if scene.r > 0 else scene.m
        logs.append(np.log(_curves(scene, spike + 1, number, seed + j)[:, [-3, -1]]).mean(axis=1))
    small, large = scenes
    found = (logs[1] - logs[0]) / np.log(large.d / small.d)
    mean, half = float(found.mean()), float(half_widths(found[:, None], profile.alpha)[0])
    delta = 0.5
    if abs(mean - prediction) - half > delta:
        outcome = "differs"
    else:
        outcome = "agrees" if abs(mean - prediction) + half <= delta else "undecided"
    text = f"B = rank A ± 1, d = {small.d} and {large.d}, n/d = {small.n / small.d:g}, r={small.r:g}"
    return Evidence("scaling", outcome, f"Err ~ d^{mean:.2f} ± {half:.2f}", text, delta, profile.alpha, form)
