"""The gradient of the supervised loss in every entry of V and W, and what descent does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.losses import sft_loss, sft_residuals
from numerics.model import assemble
from numerics.prompts import Prompts, sample_prompts
from numerics.training import gradient_descent
from verify.checks.points import GRADIENT, block, covariance, tensor
from verify.ledger.evidence import Evidence
from verify.stats import rounding_test

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


def cubature(A: Array) -> Prompts:
    """400 prompts of length n = 3 in d = 2 whose means of polynomials, of degree 5 at most in X and 3 in w*,
    are those over columns of X from N(0, A) and w* from N(0, I).

    X = A^{1/2} Z.  The six entries of Z take the twelve points ±10^{1/2} eᵢ, the 64 points (±s, …, ±s) with
    s⁴ = 100/64, and 0 in 24 places: E z² = (2·10 + 64·10/8)/100 = 1, E z⁴ = (2·100 + 64·100/64)/100 = 3,
    E z²z'² = 64·(100/64)/100 = 1, and odd moments vanish.  w* takes (±1, ±1).
    """
    signs = [np.array(list(product((-1.0, 1.0), repeat=size))) for size in (2, 6)]
    axes = np.sqrt(10.0) * np.eye(6)
    nodes = np.concatenate([axes, -axes, (100 / 64) ** 0.25 * signs[1], np.zeros((24, 6))]).reshape(-1, 2, 3)
    X = np.linalg.cholesky(A) @ np.repeat(nodes, 4, axis=0)
    return Prompts(tensor(X), tensor(np.tile(signs[0], (len(nodes), 1))))


Blocks = Callable[[Flow], tuple[Array, Array]]


def population_gradient(prediction: Blocks, seed: int, where: str, form: str = "printed") -> Evidence:
    """The mean gradient, entry by entry, against ``prediction`` = full (2d+2)² matrices for V and W.

    ``where``: ``label`` compares the entry W_yc, ``others`` all the others.  The gradient of a prompt is of
    degree 4 in X, two from the residual and two from ZZᵀ, and what is odd in w* vanishes: the mean over
    :func:`cubature` is that over all prompts.
    """
    of = replace(flow(seed), k=3)  # steps away from w_0 = 0
    prompts = cubature(of.A)
    found = torch.cat([g.mean(0).flatten() for g in prompt_gradients(of, prompts)]).numpy()
    expected = np.concatenate([m.ravel() for m in prediction(of)])
    label = _mask(len(of.V), "label")
    keep = label if where == "label" else ~label
    # What the terms of a prompt's gradient can be, by Frobenius norms.
    norm = np.linalg.norm
    spread = 1 + torch.einsum("bii->b", prompts.S).numpy()
    weights = float((1 + norm(of.V)) * (1 + norm(of.W)) * (1 + abs(of.label)))
    scale = weights * (of.k + 1) * float(np.mean(spread**2 * (1 + norm(prompts.w_star, axis=1)) ** 4))
    operations = GRADIENT * (of.n + of.k + 3 * len(label)) * (of.k + 1) + prompts.size
    outcome = rounding_test(found[keep], expected[keep], scale, operations)
    regime = f"d=2, n=3, k={of.k}, η=0.4, all moments up to the fifth, {keep.sum()} entries ({where})"
    return Evidence("monte-carlo", outcome.outcome, outcome.measured, regime, outcome.delta, form=form)


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
    prediction: tuple[Array, Array],
    seed: int,
    antithetic: bool,
    B: int = 40,
    hold_label: bool = False,
    form: str = "printed",
) -> Evidence:
    """The largest entry outside the pattern after 100 steps on all entries, less that of
    ``prediction`` (V, W), relative to the blocks: to rounding where the prompts come in pairs (X, ±w*).
    Reported beside it is what the other kind of prompts gives.  With ``hold_label`` W_yc, which is then not
    trained, is compared as well.

    The rounding of 100 steps over B prompts stays below 100 · B · 2⁻⁵² times the size of the blocks.
    """
    of = replace(flow(seed), n=12)  # short prompts have outliers on which descent diverges
    d = len(of.V)
    out, expected = {}, np.concatenate([m.ravel() for m in prediction])
    keep = _mask(d, "zeros") | _mask(d, "label") if hold_label else _mask(d, "zeros")
    for paired in (True, False):
        prompts = sample_prompts(tensor(of.A), of.n, B, seeded(seed, "cpu"), paired)
        flat = np.concatenate([m.ravel() for m in descended(of, prompts, hold_label=hold_label)])
        size = np.abs(flat[_mask(d, "blocks")]).max()
        out[paired] = float(np.abs(flat - expected)[keep].max() / size)
    delta = 100 * B * float(np.finfo(float).eps)
    return Evidence(
        "training",
        "agrees" if out[antithetic] <= delta else "differs",
        f"largest entry outside the pattern {out[True]:.1e} with pairs (X, ±w*), {out[False]:.1e} without",
        f"d=2, n=12, k=1, B={B}, judged {'with' if antithetic else 'without'} pairs, 100 steps on all entries"
        + (" but W_yc" if hold_label else ""),
        delta,
        form=form,
    )


@cache
def label_path(at: Flow) -> tuple[float, float, float, float]:
    """In a step of 1e-6 on all entries from ``at``, per unit of step size: the change of W_yc and that of
    (‖Ṽ‖² − ‖W̃‖²)/(2W_yc); then W_yc after 200 steps, and the norm of the gradient.  Over all prompts, by
    :func:`cubature`: n = 3."""
    prompts, d = cubature(at.A), len(at.V)
    entry, step = (d, 2 * d + 1), 1e-6
    V, W = descended(at, prompts, 1, step)
    slope = (float(W[entry]) - at.label) / step
    grown = (V**2).sum() - (at.V**2).sum() - ((W**2).sum() - W[entry] ** 2 - (at.W**2).sum())
    end = float(descended(at, prompts, 200, 0.005)[1][entry])
    scale = float(sum(g.mean(0).square().sum() for g in prompt_gradients(at, prompts))) ** 0.5
    return slope, float(grown) / step / (2 * at.label), end, scale


def label_after_descent(prediction: Callable[[Flow], float], at: Flow, form: str) -> Evidence:
    """The change of W_yc in the first step of descent on all entries, per unit of step size, that of
    (‖Ṽ‖² − ‖W̃‖²)/(2W_yc), which is the same where ‖Ṽ‖² − ‖W̃‖² − W_yc² is conserved, and where descent takes
    W_yc, from ``at``.

    ``prediction`` is the derivative of W_yc along the flow at ``at``.  A step of 1e-6 has the slope to 1e-6
    of the gradient's own scale by Taylor; δ is 1e-4 of it.
    """
    slope, conserving, end, scale = label_path(at)
    delta, expected = 1e-4, prediction(at)
    off = max(abs(slope - expected), abs(conserving - expected))
    return Evidence(
        "training",
        "agrees" if off <= delta * scale else "differs",
        f"dW_yc/dt = {slope:.3f}; W_yc goes from {at.label:g} to {end:.3f}",
        f"d={len(at.V)}, n={at.n}, k={at.k}, all moments of the prompts, from (3.6), all entries trained",
        delta,
        form=form,
    )
