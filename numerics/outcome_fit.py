"""The empirical outcome loss at W̃ = I minimised: by gradient descent as in the paper, and to a minimum.

With A = diag(levels, 0) a prompt's covariance is zero outside its leading r × r block, so that only the first
r columns of Ṽ enter the loss and are ever trained: those are held here, (..., d, r), and r may be d.  Further
leading dimensions are independent runs, side by side.  The loss runs the recursion (A.1) on the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from numerics.errors import (
    ArgumentError,
    Diverged,
    check_batch,
    check_count,
    check_positive,
    check_shape,
    check_type,
    shown,
)
from numerics.prompts import sample_prompts

POWER_STEPS = 40  # of the power iteration for the first curvature: a step size needs two digits


class Targets(NamedTuple):
    """Prompts as the loss sees them: the leading blocks S (..., B, r, r) and the tasks w (..., B, d)."""

    S: Tensor
    w: Tensor


class Fit(NamedTuple):
    """Where a minimiser stopped: the columns (d, r), the loss, and the largest entry of its gradient."""

    columns: Tensor
    loss: float
    gradient: float


def draw_targets(
    levels: Tensor, d: int, n: int, size: int | tuple[int, ...], generator: torch.Generator
) -> Targets:
    """Prompts of length n with features from N(0, diag(levels, 0)) and w* ~ N(0, I_d); ``size`` is (..., B).

    ``levels`` (r,), positive, r ≤ d.  Raises :class:`ArgumentError` for r > d and what is no covariance.
    """
    check_shape("levels", levels, "r")
    check_count("d", d)
    if levels.ndim != 1:
        raise ArgumentError(f"levels has shape {tuple(levels.shape)}: must be one dimension, (r,)")
    if not (torch.isfinite(levels) & (levels >= 0)).all():
        raise ArgumentError(f"levels={shown(levels.tolist())}: must be finite and not negative")
    r = len(levels)
    if r > d:
        raise ArgumentError(f"levels has {r} entries: must have at most d = {d}")
    prompts = sample_prompts(torch.diag(levels), n, size, generator)
    shape = (*prompts.w_star.shape[:-1], d - r)
    rest = torch.randn(shape, dtype=levels.dtype, device=generator.device, generator=generator)
    return Targets(prompts.S, torch.cat([prompts.w_star, rest], dim=-1))


def fit_loss(columns: Tensor, targets: Targets, k: int) -> Tensor:
    """L_OS = 1/(2B) Σ ‖w* − ŵ_k‖² after k ≥ 1 steps, shape (...)."""
    check_count("k", k)
    S, w = check_type("targets", targets, Targets)
    r = S.shape[-1]
    check_shape("columns", columns, w.shape[-1], r)
    check_batch(columns=columns.shape[:-2], targets=w.shape[:-2])
    error = w
    for _ in range(k):
        moved = (S @ error[..., :r, None])[..., 0]
        error = error + moved @ columns.mT
    return error.square().sum(dim=(-2, -1)) / (2 * w.shape[-2])


def first_curvature(columns: Tensor, targets: Targets, k: int) -> Tensor:
    """The size of the largest eigenvalue of the Hessian of the loss, shape (...), by power iteration.

    From below, to about a per cent: for step sizes.
    """

    check_shape("columns", columns, "d", "r")

    def slope(at: Tensor) -> Tensor:
        (found,) = torch.autograd.grad(fit_loss(at, targets, k).sum(), at, create_graph=True)
        return found

    at = columns.detach().clone().requires_grad_()
    gradient = slope(at)
    direction = gradient.detach()
    size = direction.new_zeros(direction.shape[:-2])
    for _ in range(POWER_STEPS):
        unit = direction / torch.linalg.matrix_norm(direction)[..., None, None]
        (direction,) = torch.autograd.grad((gradient * unit).sum(), at, retain_graph=True)
        size = torch.linalg.matrix_norm(direction)
    return size


def descend(
    columns: Tensor, targets: Targets, k: int, keep: Sequence[int], step_size: float = 1.0
) -> dict[int, Tensor]:
    """Gradient descent from ``columns``: the columns after each number of steps in ``keep``.

    ``step_size`` is in units of 1/λ_max of the Hessian at the start, each run with its own.  Raises
    :class:`~numerics.errors.Diverged` for a run whose loss is no longer finite.
    """
    step_size = check_positive("step_size", step_size)
    if not isinstance(keep, Sequence) or not keep:
        raise ArgumentError(f"keep={shown(keep)}: must be a list of numbers of steps")
    last = max(check_count("keep", t, 0) for t in keep)
    steps = step_size / first_curvature(columns, targets, k)
    current, found = columns.detach().clone(), {}
    for t in range(last + 1):
        if t in keep:
            found[t] = current
        if t == last:
            break
        leaf = current.detach().requires_grad_()
        loss = fit_loss(leaf, targets, k)
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        current = leaf.detach() - steps[..., None, None] * gradient
        if not torch.isfinite(loss).all():
            at = float(steps[~torch.isfinite(loss)].min())
            raise Diverged(t, at, 2 * at / step_size)
    return found


def minimise(
    columns: Tensor, targets: Targets, k: int, gradient: float = 1e-8, iterations: int = 5000
) -> Fit:
    """A minimum near ``columns`` (d, r), one run, by L-BFGS until no entry of the gradient is above
    ``gradient``, or ``iterations`` are used up: ``Fit.gradient`` says which."""
    start = check_shape("columns", columns, "d", "r")
    check_positive("gradient", gradient)
    check_count("iterations", iterations)

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.as_tensor(x.reshape(start.shape)).requires_grad_()
        loss = fit_loss(leaf, targets, k)
        (slope,) = torch.autograd.grad(loss, leaf)
        return float(loss.detach()), slope.numpy().ravel()

    options = {"gtol": gradient, "ftol": 0.0, "maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30}
    found = scipy.optimize.minimize(
        value, start.numpy().ravel(), jac=True, method="L-BFGS-B", options=options
    )
    columns = torch.as_tensor(found.x.reshape(start.shape))
    return Fit(columns, float(found.fun), float(np.abs(found.jac).max()))
