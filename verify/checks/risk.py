"""The one-step risk and its ingredients, sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.model import assemble, embed, last_column
from numerics.prompts import sample_prompts
from verify.checks.points import block, covariance, tensor
from verify.checks.run import ALPHA, sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """A d × d matrix V (or A), a covariance and a prompt length."""

    V: Array
    Sigma: Array
    n: int


def settings(seed: int) -> list[Setting]:
    """n below, at and above d; a singular Σ; V asymmetric and not commuting with Σ."""
    shapes = ((3, 2, None), (2, 2, None), (3, 5, 2), (4, 6, None))
    return [
        Setting(block(d, seed + j), covariance(d, seed + 50 + j, rank), n)
        for j, (d, n, rank) in enumerate(shapes)
    ]


REGIME = "(d,n) = (3,2), (2,2), (3,5) with Σ of rank 2, (4,6); V asymmetric, no commutation"
Predict = Callable[[Setting], float]


def _columns(at: list[Setting], draw: Callable[[Setting, int], torch.Tensor]) -> Callable[[int], Array]:
    return lambda size: np.stack([draw(s, size).numpy() for s in at], axis=1)


def _against(
    at: list[Setting],
    draw: Callable[[Setting, int], torch.Tensor],
    prediction: Predict,
    delta: float,
    profile: Profile,
    form: str,
) -> Evidence:
    expected = np.array([prediction(s) for s in at])
    return sampled(_columns(at, draw), expected, np.abs(expected), delta, REGIME, profile, form)


def model_risk(prediction: Predict, seed: int, profile: Profile, form: str = "printed") -> Evidence:
    """E‖ŵ_1 − w*‖² by the full forward pass over prompts and tasks."""
    generator = seeded(seed, "cpu")

    def draw(s: Setting, size: int) -> torch.Tensor:
        d = len(s.V)
        V, W = assemble(tensor(s.V), torch.eye(d, dtype=torch.float64))
        prompts = sample_prompts(tensor(s.Sigma), s.n, size, generator)
        out = last_column(embed(prompts.X, prompts.w_star), V, W, s.n)
        return (out[:, d + 1 : 2 * d + 1] - prompts.w_star).square().sum(-1)

    return _against(settings(seed), draw, prediction, 2e-2, profile, form)


def _covariances(s: Setting, size: int, generator: torch.Generator) -> torch.Tensor:
    return sample_prompts(tensor(s.Sigma), s.n, size, generator).S


def norm_risk(prediction: Predict, seed: int, profile: Profile, form: str = "printed") -> Evidence:
    """E‖I + AΣ̂‖_F² over prompts alone."""
    generator = seeded(seed, "cpu")

    def draw(s: Setting, size: int) -> torch.Tensor:
        M = torch.eye(len(s.V), dtype=torch.float64) + tensor(s.V) @ _covariances(s, size, generator)
        return M.square().sum((-2, -1))

    return _against(settings(seed), draw, prediction, 1e-2, profile, form)


def norm_by_prompt(prediction: Callable[[Array, Array], float], seed: int) -> Evidence:
    """‖I + VΣ̂‖_F² of single prompts against ``prediction``(V, Σ̂), to rounding: the mean of ‖ŵ_1 − w*‖² over
    w* ~ N(0, I) is the sum over the tasks e_i, each by the full forward pass."""
    generator, worst, delta = seeded(seed, "cpu"), 0.0, 1e-11  # a few hundred operations, Σ̂ of condition 10²
    for s in settings(seed):
        d = len(s.V)
        eye = torch.eye(d, dtype=torch.float64)
        prompt = sample_prompts(tensor(s.Sigma), s.n, 1, generator)
        V, W = assemble(tensor(s.V), eye)
        out = last_column(embed(prompt.X.expand(d, d, s.n), eye), V, W, s.n)
        found = float((out[:, d + 1 : 2 * d + 1] - eye).square().sum())
        worst = max(worst, abs(prediction(s.V, prompt.S[0].numpy()) / found - 1))
    outcome = "agrees" if worst < delta else "differs"
    return Evidence("monte-carlo", outcome, f"rel. dev. {worst:.1e}", f"single prompts, {REGIME}", delta)


def second_moment(prediction: Predict, seed: int, profile: Profile, form: str = "printed") -> Evidence:
    """E‖AΣ̂‖_F²."""
    generator = seeded(seed, "cpu")

    def draw(s: Setting, size: int) -> torch.Tensor:
        return (tensor(s.V) @ _covariances(s, size, generator)).square().sum((-2, -1))

    return _against(settings(seed), draw, prediction, 2e-2, profile, form)


def quadratic_mean(
    prediction: Callable[[Setting], Array], seed: int, profile: Profile, symmetric: bool = True
) -> Evidence:
    """E[Σ̂MΣ̂], every entry, with M = AᵀA, or M = A itself where ``symmetric`` is False.

    In two settings, with short prompts for what is of order 1/n: in one alone two traces may be close.
    """
    generator = seeded(seed, "cpu")
    at = [s for j, s in enumerate(settings(seed)) if j in (0, 2)]
    expected = np.stack([prediction(s) for s in at])

    def draw(size: int) -> Array:
        found = []
        for s in at:
            S = _covariances(s, size, generator)
            inner = s.V.T @ s.V if symmetric else s.V
            found.append((S @ tensor(inner) @ S).reshape(size, -1))
        return torch.cat(found, dim=1).numpy()

    # Off-diagonal means may be near zero: the scale is the largest entry of each setting.
    scale = np.repeat(np.abs(expected).max(axis=(1, 2)), expected[0].size)
    M = "AᵀA" if symmetric else "A asymmetric"
    regime = f"(d,n) = (3,2), (3,5) with Σ of rank 2, all 18 entries, M = {M}"
    return sampled(draw, expected.ravel(), scale, 2e-2, regime, profile)


LENGTHS = (1, 4, 16, 256)


@cache
def risks_by_length(seed: int, size: int) -> tuple[Array, Array]:
    """Mean of ‖I + VΣ̂‖_F² at each of :data:`LENGTHS` from ``size`` prompts, and joint half widths."""
    generator, base = seeded(seed, "cpu"), settings(seed)[0]
    found = []
    for n in LENGTHS:
        S = _covariances(Setting(base.V, base.Sigma, n), size, generator)
        risk = (torch.eye(len(base.V), dtype=torch.float64) + tensor(base.V) @ S).square().sum((-2, -1))
        half = half_widths(risk[:, None].numpy(), ALPHA / len(LENGTHS))[0]
        found.append((float(risk.mean()), float(half)))
    means, halves = zip(*found, strict=True)
    return np.array(means), np.array(halves)


def limit_in_length(prediction: Predict, seed: int, profile: Profile, rate: float = -1.0) -> Evidence:
    """The limit of E‖I + VΣ̂‖_F² in n against ``prediction``, and the power of n that it is approached at
    from n = 1 on against ``rate``.

    The limit is extrapolated from the last two lengths, for a gap that falls like n^rate.
    """
    limit = prediction(settings(seed)[0])
    size = int(40_000 * max(1.0, profile.sample_factor))  # below, the slope is not known to a quarter
    means, halves = risks_by_length(seed, size)
    gaps, halves = means / limit - 1, halves / abs(limit)
    slope = float(np.polyfit(np.log(LENGTHS[:3]), np.log(np.abs(gaps[:3])), 1)[0])
    delta = 1e-2 * profile.delta_factor
    share = (LENGTHS[2] / LENGTHS[3]) ** -rate  # of the gap at the third length that is left at the last
    end = float(gaps[3] - share * gaps[2]) / (1 - share)
    spread = float(halves[3] + share * halves[2]) / (1 - share)
    # The slope of log gap against log n from three points has the error of its end points / log 16.
    noise = float((halves[[0, 2]] / np.abs(gaps[[0, 2]])).sum()) / np.log(16)
    if abs(end) > delta + spread or abs(slope - rate) > noise:
        outcome = "differs"
    else:
        # A slope that is not known to a quarter does not tell 1/n from 1/√n or 1/n².
        outcome = "agrees" if abs(end) + spread < delta and noise < 0.25 else "undecided"
    return Evidence(
        "scaling",
        outcome,
        f"slope {slope:.3f} ± {noise:.3f}, limit off by {end:.1e} ± {spread:.1e}",
        f"d=3, n = {LENGTHS[0]} … {LENGTHS[-1]}: gap to ‖I+VΣ‖² falls like 1/n",
        delta,
        ALPHA,
    )
