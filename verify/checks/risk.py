"""The one-step risk and its ingredients, sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.model import assemble, embed, last_column
from numerics.prompts import sample_prompts
from verify.checks.points import block, covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

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


def second_moment(prediction: Predict, seed: int, profile: Profile, form: str = "printed") -> Evidence:
    """E‖AΣ̂‖_F²."""
    generator = seeded(seed, "cpu")

    def draw(s: Setting, size: int) -> torch.Tensor:
        return (tensor(s.V) @ _covariances(s, size, generator)).square().sum((-2, -1))

    return _against(settings(seed), draw, prediction, 2e-2, profile, form)


def quadratic_mean(
    prediction: Callable[[Setting], Array], seed: int, profile: Profile, symmetric: bool = True
) -> Evidence:
    """E[Σ̂MΣ̂], every entry, with M = AᵀA, or M = A itself where ``symmetric`` is False."""
    generator = seeded(seed, "cpu")
    at = settings(seed)[3]
    inner = at.V.T @ at.V if symmetric else at.V
    expected = prediction(at)

    def draw(size: int) -> Array:
        S = _covariances(at, size, generator)
        return (S @ tensor(inner) @ S).reshape(size, -1).numpy()

    # Off-diagonal means may be near zero: the scale is the largest entry.
    scale = float(np.abs(expected).max())
    regime = f"d=4, n=6, all 16 entries, M = {'AᵀA' if symmetric else 'A asymmetric'}"
    return sampled(draw, expected.ravel(), scale, 2e-2, regime, profile)


LENGTHS = (4, 16, 64, 256)


def limit_in_length(prediction: Predict, seed: int, profile: Profile) -> Evidence:
    """E‖I + VΣ̂‖_F² at n = 256, and the rate at which it gets to ``prediction`` from n = 4 on."""
    generator = seeded(seed, "cpu")
    base = settings(seed)[0]
    limit = prediction(base)
    size = max(2000, int(40_000 * profile.sample_factor))
    gaps = []
    for n in LENGTHS:
        # Samples in proportion to n: the noise of the risk falls like 1/n, as the gap does.
        M = torch.eye(len(base.V), dtype=torch.float64) + tensor(base.V) @ _covariances(
            Setting(base.V, base.Sigma, n), size, generator
        )
        risk = M.square().sum((-2, -1))
        gaps.append((float(risk.mean()) / limit - 1, float(risk.std()) / limit / size**0.5))
    means, errors = (np.array(x) for x in zip(*gaps, strict=True))
    slope = float(np.polyfit(np.log(LENGTHS[:3]), np.log(np.abs(means[:3])), 1)[0])
    delta = 0.05
    near = abs(means[-1]) + 5 * errors[-1] < delta * profile.delta_factor
    # The slope of log gap against log n from three points has the error of its end points / log 16.
    noise = 5 * float(np.hypot(*(errors[[0, 2]] / np.abs(means[[0, 2]])))) / np.log(16)
    return Evidence(
        "scaling",
        "agrees" if near and abs(slope + 1) < noise else "differs",
        f"slope {slope:.3f} ± {noise:.3f}, gap {means[-1]:.1e} at n = {LENGTHS[-1]}",
        "d=3, n = 4 … 256: gap to ‖I+VΣ‖² falls like 1/n",
        delta,
    )
