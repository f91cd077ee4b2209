"""The largest step size at which gradient descent does not diverge, measured on training itself.

Runs at several step sizes train side by side, one a replica in the leading dimension; the first that fails
bounds the next, finer set from above.  Nothing here knows a curvature or a formula for the step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.errors import ArgumentError, check_count, check_positive, check_rate, check_shape
from numerics.reduced import step
from numerics.training import check_growth

Loss = Callable[[Tensor], Tensor]  # (..., d, d) → (...)
REPLICAS = 12
FINEST = 1e-12
WIDEST = 2.0**12  # how far from the guess the limit is looked for, either way


class Bracket(NamedTuple):
    """Every step size tried up to ``stable`` trains, and ``unstable`` is the smallest that does not."""

    stable: float
    unstable: float

    @property
    def middle(self) -> float:
        """The geometric mean."""
        return float((self.stable * self.unstable) ** 0.5)


def first_failure(loss: Loss, start: Tensor, step_sizes: Tensor, steps: int, growth: float) -> int:
    """The index of the first of the ascending ``step_sizes`` (R,) whose run from ``start`` (d, d) fails,
    R if none does.

    A run fails when its loss exceeds ``growth`` times its first value or is not finite, in any of ``steps``
    updates, or ends above its first value.
    """
    d = check_shape("start", start, "d", "d").shape[-1]
    check_shape("start", start, d, d)
    check_shape("step_sizes", step_sizes, "R")
    if start.ndim != 2 or step_sizes.ndim != 1:
        raise ArgumentError(
            f"start has shape {tuple(start.shape)}, step_sizes {tuple(step_sizes.shape)}: "
            "must be (d, d) and (R,)"
        )
    check_count("steps", steps)
    check_growth(growth)
    V = start.detach().expand(len(step_sizes), *start.shape).clone()
    first = loss(V).detach()
    alive = len(step_sizes)  # only those below the first that failed can matter
    for _ in range(steps):
        leaf = V.requires_grad_()
        value = loss(leaf)
        # False for NaN.
        failed = (~(value.detach() <= growth * first[:alive])).nonzero()
        if len(failed):
            alive = int(failed[0])
            if alive == 0:
                return 0
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        V = V.detach()[:alive] - step_sizes[:alive, None, None] * slope[:alive]
    failed = (~(loss(V).detach() <= first[:alive])).nonzero()
    return int(failed[0]) if len(failed) else alive


def largest_stable_step(
    loss: Loss, start: Tensor, guess: float, steps: int = 200, resolution: float = 0.01, growth: float = 1e3
) -> Bracket:
    """The step sizes between which gradient descent on ``loss`` from ``start`` (d, d) begins to fail.

    ``loss`` takes (R, d, d) to R losses.  unstable/stable ≤ 1 + ``resolution``; a run fails as in
    :func:`first_failure`.  Near the limit of a quadratic a run at 1 + ε times it grows like e^{4εt} in the
    loss, so ``steps`` must be a few times 1/(4 · resolution).

    Raises :class:`ArgumentError` for a bad argument, and for no limit within a factor 4096 of ``guess``.
    """
    guess, resolution = check_positive("guess", guess), check_positive("resolution", resolution)
    if resolution < FINEST:
        raise ArgumentError(
            f"resolution={resolution!r}: must be at least {FINEST:g}, float64 tells no finer steps"
        )
    check_count("steps", steps)
    d = check_shape("start", start, "d", "d").shape[-1]
    check_shape("start", start, d, d)
    check_growth(growth)

    low, high = guess / 8, guess * 8
    while True:
        grid = torch.logspace(0, 1, REPLICAS, base=high / low, dtype=torch.float64) * low
        at = first_failure(loss, start, grid, steps, growth)
        if 0 < at < REPLICAS:
            break
        low, high = (low / 64, low) if at == 0 else (high, high * 64)
        if high <= guess / WIDEST or low >= guess * WIDEST:
            raise ArgumentError(f"guess={guess!r}: must be within a factor {WIDEST:g} of the limit")
    stable, unstable = float(grid[at - 1]), float(grid[at])
    while unstable > (1 + resolution) * stable:
        inner = torch.logspace(0, 1, REPLICAS + 2, base=unstable / stable, dtype=torch.float64) * stable
        at = first_failure(loss, start, inner[1:-1], steps, growth)
        stable, unstable = float(inner[at]), float(inner[at + 1])
    return Bracket(stable, unstable)


def supervised_loss_of(S: Tensor, w_star: Tensor, eta: float, k: int) -> Loss:
    """Ṽ ↦ L_SFT(Ṽ, I) for prompts with covariances S (B, d, d) and w_star (B, d), by steps of eq. (A.1)
    from the supervised path w_i = (1 − (1−η)^i) w*, i = 0, …, k."""
    eta = check_rate("eta", eta)
    check_count("k", k, 0)
    if check_shape("w_star", w_star, "B", "d").ndim != 2:
        raise ArgumentError(f"w_star has shape {tuple(w_star.shape)}: must be (B, d)")
    B, d = w_star.shape
    check_shape("S", S, B, d, d)
    identity = torch.eye(d, dtype=torch.float64)
    path = [(1 - (1 - eta) ** i) * w_star for i in range(k + 2)]

    def loss(V_block: Tensor) -> Tensor:
        shared = V_block.unsqueeze(-3)  # one for all prompts
        total = torch.zeros(V_block.shape[:-2], dtype=torch.float64)
        for now, goal in pairwise(path):
            total = total + (step(now, shared, identity, S, w_star) - goal).square().sum(dim=(-2, -1))
        return total / (2 * B)

    return loss
