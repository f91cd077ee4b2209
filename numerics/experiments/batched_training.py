"""Adam and L-BFGS on many independent runs side by side: one tensor, no loop over runs.

``loss`` maps weights with a leading dimension for the runs to (runs,).  The runs never touch each other: Adam
works entry by entry, and L-BFGS has inner products, step sizes and a stop of its own for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.experiments.single_layer import Seen, Weights

Loss = Callable[[Weights, Seen], Tensor]
ARMIJO, HALVINGS, HISTORY = 1e-4, 30, 20


class Minimum(NamedTuple):
    """Where L-BFGS stopped: weights, and for each run the loss and the largest entry of the gradient."""

    weights: Weights
    loss: Tensor
    gradient: Tensor


def adam_step(optimizer: torch.optim.Optimizer, leaves: Weights, loss: Loss, seen: Seen) -> Tensor:
    """One update; the loss before it, (runs,)."""
    optimizer.zero_grad()
    value = loss(leaves, seen)
    value.sum().backward()
    optimizer.step()
    return value.detach()


def adam_epochs(
    loss: Loss,
    weights: Weights,
    seen: Seen,
    lr: float,
    epochs: int,
    batch: int,
    order: torch.Generator,
) -> tuple[Weights, Tensor]:
    """The weights after ``epochs`` of :class:`torch.optim.Adam`, and each epoch's loss, (epochs+1, runs).

    ``batch`` prompts an update, in a new order for each run and epoch; 0 is all of them.  The loss of an
    epoch is the mean over its updates of the loss before the update, the last entry that of all prompts at
    the end.
    """
    leaves = [x.detach().clone().requires_grad_() for x in weights]
    optimizer = torch.optim.Adam(leaves, lr=lr, fused=True)
    runs, B = seen.w.shape[:2]
    logged = []
    for _ in range(epochs):
        if not batch or batch >= B:
            logged.append(adam_step(optimizer, leaves, loss, seen))
            continue
        shuffled = torch.rand(runs, B, generator=order, device=seen.w.device).argsort(dim=1)
        parts = shuffled.split(batch, dim=1)
        found = [adam_step(optimizer, leaves, loss, seen.chosen(part)) for part in parts]
        sizes = [part.shape[1] / B for part in parts]
        logged.append(sum((x * s for x, s in zip(found, sizes, strict=True)), torch.zeros_like(found[0])))
    with torch.no_grad():
        logged.append(loss(leaves, seen))
    return [x.detach() for x in leaves], torch.stack(logged)


def minimise(loss: Loss, weights: Weights, seen: Seen, gradient: float, iterations: int) -> Minimum:
    """L-BFGS until no entry of the gradient is above ``gradient``, or no step lowers the loss, or
    ``iterations`` are used up: ``Minimum.gradient`` says which.

    Each run halves its own step until the loss falls (Armijo), and drops pairs without curvature.
    """
    runs = weights[0].shape[0]
    shapes = [x.shape for x in weights]
    sizes = [x[0].numel() for x in weights]

    def parts(x: Tensor) -> Weights:
        return [p.reshape(s) for p, s in zip(x.split(sizes, dim=1), shapes, strict=True)]

    def value(x: Tensor) -> tuple[Tensor, Tensor]:
        leaf = x.requires_grad_()
        found = loss(parts(leaf), seen)
        (slope,) = torch.autograd.grad(found.sum(), leaf)
        return found.detach(), slope

    x = torch.cat([p.detach().reshape(runs, -1) for p in weights], dim=1)
    f, g = value(x)
    x = x.detach()
    live = torch.ones_like(f, dtype=torch.bool)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(iterations):
        live = live & (g.abs().amax(1) > gradient)
        if not live.any():
            break
        direction = -_two_loops(g, pairs)
        slope = (direction * g).sum(1)
        downhill = slope < 0
        direction = torch.where(downhill[:, None], direction, -g)
        slope = torch.where(downhill, slope, -g.square().sum(1))
        size = torch.ones_like(f) if pairs else 1 / g.norm(dim=1).clamp(min=1.0)
        taken = ~live
        new_x, new_f, new_g = x, f, g
        for _ in range(HALVINGS):
            trial = torch.where(taken[:, None], new_x, x + size[:, None] * direction)
            trial_f, trial_g = value(trial.detach())
            good = ~taken & (trial_f <= f + ARMIJO * size * slope) & torch.isfinite(trial_f)
            new_x = torch.where(good[:, None], trial.detach(), new_x)
            new_f, new_g = torch.where(good, trial_f, new_f), torch.where(good[:, None], trial_g, new_g)
            taken = taken | good
            if taken.all():
                break
            size = torch.where(taken, size, size / 2)
        live = live & taken  # a run whose loss no step lowers is at its rounding
        s, y = new_x - x, new_g - g
        curvature = (s * y).sum(1)
        kept = curvature > 1e-10 * s.norm(dim=1) * y.norm(dim=1)
        rho = torch.where(kept, 1 / torch.where(kept, curvature, 1.0), 0.0)
        pairs = [*pairs, (s, y, rho)][-HISTORY:]
        x, f, g = new_x, new_f, new_g
    return Minimum([p.clone() for p in parts(x)], f, g.abs().amax(1))


def _two_loops(g: Tensor, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The inverse Hessian of the ``pairs`` times g, run by run (Nocedal and Wright, algorithm 7.4)."""
    q, alphas = g, []
    for s, y, rho in reversed(pairs):
        alpha = rho * (s * q).sum(1)
        q = q - alpha[:, None] * y
        alphas.append(alpha)
    if pairs:
        s, y, rho = pairs[-1]
        size = torch.where(rho > 0, 1 / (rho * y.square().sum(1)).clamp(min=1e-300), 1.0)
        q = q * size[:, None]
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + (alpha - rho * (y * q).sum(1))[:, None] * s
    return q
