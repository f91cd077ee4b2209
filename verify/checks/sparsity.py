"""The gradient of the supervised loss in every entry of V and W, and what descent does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.losses import sft_loss, sft_residuals
from numerics.model import assemble
from numerics.prompts import Prompts, sample_prompts
from numerics.training import gradient_descent
from verify.checks.points import block, covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)  # hashed by identity, for the cache of runs
class Flow:
    """A point of the pattern (blocks V, W, label entry b) and the data that moves it."""

    V: Array
    W: Array
    label: float
    A: Array
    n: int
    eta: float
    k: int


def flow(seed: int) -> Flow:
    """d = 2, n = 3, k = 1, η = 0.4; asymmetric blocks that do not commute with A."""
    at = seed % 2**31
    return Flow(block(2, at), np.eye(2) + block(2, at + 1, 0.3), -1.0, covariance(2, at + 2), 3, 0.4, 1)


def prompt_gradients(of: Flow, prompts: Prompts) -> tuple[Tensor, Tensor]:
    """Gradient of each prompt's loss in all entries of V and W, by automatic differentiation of the full
    model: each prompt is given its own copy of the weights.  Shapes (B, 2d+2, 2d+2)."""
    V, W = assemble(tensor(of.V), tensor(of.W), of.label)
    size = prompts.size
    copy_V, copy_W = (m.expand(size, *m.shape).clone().requires_grad_() for m in (V, W))
    single = Prompts(prompts.X.unsqueeze(1), prompts.w_star.unsqueeze(1))
    loss = sft_residuals(copy_V, copy_W, single, of.eta, of.k).square().sum() / 2
    grad_V, grad_W = torch.autograd.grad(loss, (copy_V, copy_W))
    return grad_V, grad_W


Blocks = Callable[[Flow], tuple[Array, Array]]


def population_gradient(
    prediction: Blocks, seed: int, profile: Profile, where: str, form: str = "printed"
) -> Evidence:
    """The mean gradient, entry by entry, against ``prediction`` = full (2d+2)² matrices for V and W.

    ``where``: ``zeros`` compares the entries outside the pattern (3.8), ``label`` the entry W_yc, ``blocks``
    Ṽ and W̃.  The scale of an entry is the norm of the predicted gradient of its block, which for W̃ is
    ten times less than for Ṽ; a true value of 0 is measured by that of all of V and W.
    """
    of, generator = flow(seed), seeded(seed, "cpu")
    if where != "zeros":
        of = replace(of, n=2, k=3)  # steps away from w_0 = 0, and short prompts: no term is small
    d = len(of.V)
    expected = np.concatenate([m.ravel() for m in prediction(of)])
    keep = np.flatnonzero(_mask(d, where))
    parts = np.split(expected[keep], 2) if where == "blocks" else [expected]
    scale = np.repeat([float(np.linalg.norm(part)) for part in parts], len(keep) // len(parts))

    def draw(size: int) -> Array:
        prompts = sample_prompts(tensor(of.A), of.n, size, generator)
        found = torch.cat([g.reshape(size, -1) for g in prompt_gradients(of, prompts)], dim=1)
        return found[:, keep].numpy()

    regime = f"d=2, n={of.n}, k={of.k}, η=0.4, fresh prompts, {len(keep)} entries ({where})"
    return sampled(draw, expected[keep], scale, 5e-2, regime, profile, form)


def _mask(d: int, where: str) -> NDArray[np.bool_]:
    """Which of the 2(2d+2)² entries ``where`` names."""
    V, W = (np.zeros((2 * d + 2, 2 * d + 2), dtype=bool) for _ in range(2))
    V[d + 1 : 2 * d + 1, :d] = True
    W[:d, d + 1 : 2 * d + 1] = True
    inside = np.concatenate([V.ravel(), W.ravel()])
    label = np.zeros_like(inside)
    label[(2 * d + 2) ** 2 + d * (2 * d + 2) + 2 * d + 1] = True
    return {"blocks": inside, "label": label, "zeros": ~(inside | label)}[where]


def descended(
    of: Flow, prompts: Prompts, steps: int = 100, step_size: float = 0.01, hold_label: bool = False
) -> tuple[Array, Array]:
    """(V, W) after gradient descent on all their entries from the pattern, on all but W_yc if it is held."""
    V, W = assemble(tensor(of.V), tensor(of.W), of.label)
    moving = torch.ones_like(W)
    if hold_label:
        moving[len(of.V), 2 * len(of.V) + 1] = 0

    def loss(p: list[Tensor]) -> Tensor:
        return sft_loss(p[0], W + moving * (p[1] - W), prompts, of.eta, of.k)

    V_end, W_end = gradient_descent(loss, [V, W], step_size, steps)
    return V_end.numpy(), W_end.numpy()


def zero_blocks(
    prediction: float,
    seed: int,
    antithetic: bool,
    B: int = 40,
    hold_label: bool = False,
    form: str = "printed",
) -> Evidence:
    """The largest entry outside the pattern after 100 steps on all entries, relative to the blocks,
    against ``prediction`` (0): to rounding where the prompts come in pairs (X, ±w*).  Reported beside it
    is what the other kind of prompts gives.  With ``hold_label`` the change of W_yc, which is then not
    trained, counts as an entry outside the pattern.

    The rounding of 100 steps over B prompts stays below 100 · B · 2⁻⁵² times the size of the blocks.
    """
    of = replace(flow(seed), n=12)  # short prompts have outliers on which descent diverges
    d = len(of.V)
    out = {}
    for paired in (True, False):
        prompts = sample_prompts(tensor(of.A), of.n, B, seeded(seed, "cpu"), paired)
        flat = np.concatenate([m.ravel() for m in descended(of, prompts, hold_label=hold_label)])
        size = np.abs(flat[_mask(d, "blocks")]).max()
        stray = [*flat[_mask(d, "zeros")], *(flat[_mask(d, "label")] - of.label if hold_label else [])]
        out[paired] = float(np.abs(stray).max() / size)
    delta = 100 * B * float(np.finfo(float).eps)
    return Evidence(
        "training",
        "agrees" if abs(out[antithetic] - prediction) <= delta else "differs",
        f"largest entry outside the pattern {out[True]:.1e} with pairs (X, ±w*), {out[False]:.1e} without",
        f"d=2, n=12, k=1, B={B}, judged {'with' if antithetic else 'without'} pairs, 100 steps on all entries"
        + (" but W_yc" if hold_label else ""),
        delta,
        form=form,
    )


@cache
def label_path(at: Flow, seed: int) -> tuple[Prompts, float, float, float]:
    """Prompts in pairs (X, ±w*), the change of W_yc in a step of 1e-6 on all entries from ``at``, per unit
    of step size, W_yc after 200 steps, and the norm of the gradient."""
    prompts = sample_prompts(tensor(at.A), at.n, 100, seeded(seed, "cpu"), True)
    entry = (len(at.V), 2 * len(at.V) + 1)
    step = 1e-6
    slope = (float(descended(at, prompts, 1, step)[1][entry]) - at.label) / step
    end = float(descended(at, prompts, 200, 0.005)[1][entry])
    scale = float(sum(g.mean(0).square().sum() for g in prompt_gradients(at, prompts))) ** 0.5
    return prompts, slope, end, scale


def label_after_descent(
    prediction: Callable[[Flow, Prompts], float], at: Flow, seed: int, form: str
) -> Evidence:
    """The change of W_yc in the first step of descent on all entries, per unit of step size, and where
    descent takes it, from ``at``; prompts in pairs (X, ±w*).

    ``prediction`` is the derivative of W_yc along the flow at ``at``, for these prompts.  A step of 1e-6
    has the slope to 1e-6 of the gradient's own scale by Taylor; δ is 1e-4 of it.
    """
    prompts, slope, end, scale = label_path(at, seed)
    delta = 1e-4
    return Evidence(
        "training",
        "agrees" if abs(slope - prediction(at, prompts)) <= delta * scale else "differs",
        f"dW_yc/dt = {slope:.3f}; W_yc goes from {at.label:g} to {end:.3f}",
        f"d={len(at.V)}, n={at.n}, k={at.k}, B=100 in pairs, from (3.6), all entries trained",
        delta,
        form=form,
    )


def conserved_change(seed: int, expected: float) -> Evidence:
    """The change of ‖Ṽ‖² − ‖W̃‖² − W_yc² over descent, per unit of step size, at two step sizes.

    Gradient flow conserves it; descent changes it by O(step), so halving the step halves the change.
    """
    of = replace(flow(seed), n=12)
    prompts = sample_prompts(tensor(of.A), of.n, 40, seeded(seed, "cpu"), True)
    d = len(of.V)
    blocks = _mask(d, "blocks") | _mask(d, "label")

    def invariant(V: Array, W: Array) -> float:
        flat = np.concatenate([(V**2).ravel(), -(W**2).ravel()])
        return float(flat[blocks].sum())

    V0, W0 = (m.numpy() for m in assemble(tensor(of.V), tensor(of.W), of.label))
    moved = [
        invariant(*descended(of, prompts, steps, step)) - invariant(V0, W0)
        for steps, step in ((50, 0.02), (100, 0.01), (200, 0.005))
    ]
    # Richardson: the limit of zero step from the last two, with the next order as the tolerance.
    limit = 2 * moved[2] - moved[1]
    delta = abs(2 * moved[1] - moved[0] - limit) + 1e-12
    return Evidence(
        "scaling",
        "agrees" if abs(limit - expected) <= delta else "differs",
        f"change {moved[2]:.1e} at the least step, {limit:.1e} extrapolated",
        "d=2, n=12, k=1, B=40 in pairs, time 1 in 50, 100, 200 steps",
        max(delta, 1e-12),
        form="corrected",
    )
