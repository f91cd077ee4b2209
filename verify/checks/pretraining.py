"""Pretraining measured: which blocks stochastic gradient descent on E‖ŵ_1 − w*‖² moves, and where to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.pretraining import pretrain
from verify.checks.points import tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
D, N, STEPS, STEP = 3, 2, 240, 0.05  # N small, so that what is of order 1/n in Γ₀ is seen, and not D


def batch(profile: Profile) -> int:
    """Prompts a step and run: 48, fewer where the profile's tolerance is wider."""
    return int(48 * min(1.0, 4 * profile.sample_factor))


def initial(seed: int, size: float = 0.05) -> dict[str, torch.Tensor]:
    """Small random blocks inside the pattern, the label entry at −1."""
    source = np.random.default_rng(seed % 2**31)
    return {
        "V": tensor(source.normal(size=(D, D)) * size),
        "W": tensor(source.normal(size=(D, D)) * size),
        "label": torch.tensor(-1.0, dtype=torch.float64),
    }


def covariance0(seed: int, rank: int = D) -> Array:
    """Σ₀ of the given rank, not diagonal, with a spectrum on which no mode of descent is slow or unstable."""
    onto, _ = np.linalg.qr(np.random.default_rng(seed % 2**31).normal(size=(D, rank)))
    return np.asarray(onto @ np.diag(np.linspace(0.7, 1.5, rank)) @ onto.T)


# What the run ends at, from (Σ₀, n, initial Ṽ): for the blocks that are compared.
Goal = Callable[[Array, int, Array], Array]


def block_V(
    goal: Goal, seed: int, profile: Profile, free: set[str], rank: int = D, form: str = "condition"
) -> Evidence:
    """The averaged iterate of Ṽ against ``goal``, the label entry held at −1.

    With fresh prompts the mean iterate follows the population recursion exactly, so the mean over
    independent runs is unbiased but for the transient, e^{-10} of which is left when averaging starts.
    An average over half the steps is as normal as one over a half of its prompts: over 3000 runs its
    skewness is below 0.17.
    """
    # As large as what it ends at: what is left of it off the range of Σ₀ is then seen.
    Sigma0, start, generator = covariance0(seed, rank), initial(seed, 0.5), seeded(seed, "cpu")
    V0 = start["V"].numpy()
    expected = goal(Sigma0, N, V0)

    def draw(size: int) -> Array:
        found = pretrain(tensor(Sigma0), N, free, start, batch(profile), STEPS, STEP, generator, size)
        return found["V"].reshape(size, -1).numpy()

    scale = float(np.linalg.norm(expected, 2)) or 1.0
    regime = f"d={D}, n={N}, Σ₀ of rank {rank}, trained {'+'.join(sorted(free))}, W_yc held at −1"
    return sampled(
        draw,
        expected.ravel(),
        scale,
        2e-2,
        regime,
        profile,
        form,
        "training",
        True,
        averaged=batch(profile) * STEPS // 4,
        stages=3,
    )


def block_W(goal: Callable[[Array], Array], seed: int, start_at: Array | None, form: str) -> Evidence:
    """W̃ after training Ṽ and W̃ together, against ``goal``(initial W̃); it takes part in no gradient, so
    the comparison is exact."""
    start, generator = initial(seed), seeded(seed, "cpu")
    if start_at is not None:
        start["W"] = tensor(start_at)
    end = pretrain(tensor(covariance0(seed)), N, {"V", "W"}, start, 8, 50, STEP, generator, 4)["W"].numpy()
    gap = float(np.abs(end - goal(start["W"].numpy())).max())
    # The reported block is a mean of iterates: a sum of 25 equal numbers, divided.
    delta = 50 * float(np.finfo(float).eps)
    where = "W̃ started at I" if start_at is not None else "W̃ started small and random"
    return Evidence(
        "training",
        "agrees" if gap <= delta else "differs",
        f"distance {gap:.1e}",
        f"d={D}, n={N}, trained V+W, {where}",
        delta,
        form=form,
    )


def held_label(prediction: float, seed: int) -> Evidence:
    """The label entry after training Ṽ and W̃ with it held, against ``prediction``: an exact comparison."""
    found = pretrain(
        tensor(covariance0(seed)), N, {"V", "W"}, initial(seed), 8, 50, STEP, seeded(seed, "cpu"), 4
    )
    gap = float((found["label"] - prediction).abs().max())
    delta = float(np.finfo(float).eps)
    return Evidence(
        "training",
        "agrees" if gap <= delta else "differs",
        f"distance {gap:.1e}",
        f"d={D}, n={N}, trained V+W, W_yc held",
        delta,
        form="condition",
    )


@cache
def free_run(seed: int, prompts: int, replicas: int, call: int) -> tuple[Array, Array]:
    """Ṽ and the label entry b trained together from small values: (replicas, d, d) and (replicas,).

    The same numbers for the same arguments, so that b and b Ṽ are read off one training."""
    size = 0.3
    start = initial(seed, 0.1)
    # From b < 0 with ⟨Ṽ, Σ₀⟩ < 0 the flow keeps the sign of b, the print's.
    start["V"] = start["V"] - size * torch.eye(D, dtype=torch.float64)
    start["label"] = torch.tensor(-size, dtype=torch.float64)
    Sigma0, generator = tensor(covariance0(seed)), seeded((seed + call) % 2**62, "cpu")
    found = pretrain(Sigma0, N, {"V", "label"}, start, prompts, 2 * STEPS, STEP / 2, generator, replicas)
    return found["V"].numpy(), found["label"].numpy()


def free_label(goal: Goal, seed: int, profile: Profile, what: str, form: str) -> Evidence:
    """Ṽ and the label entry b after training both; ``what`` is ``label`` (b) or ``product`` (b Ṽ, every
    entry).  ``goal`` takes Σ₀, n and an initial Ṽ that it may not use.

    The problem is no longer linear, so the noise of a constant step biases the mean by O(step): δ = 5e-2.
    """
    expected = np.atleast_1d(goal(covariance0(seed), N, np.zeros((D, D)))).ravel()
    calls = count()

    def draw(size: int) -> Array:
        V, label = free_run(seed, batch(profile), size, next(calls))
        found = label[:, None] if what == "label" else (label[:, None, None] * V).reshape(size, -1)
        return np.asarray(found)

    regime = f"d={D}, n={N}, Ṽ and W_yc trained from size 0.3, compared: {what}"
    scale = float(np.linalg.norm(expected)) or 1.0
    averaged = batch(profile) * STEPS
    return sampled(draw, expected, scale, 5e-2, regime, profile, form, "training", True, averaged, stages=3)
