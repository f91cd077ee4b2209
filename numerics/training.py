"""Full-batch optimisers: plain gradient descent and Adam.

``loss`` maps the list of parameters to a tensor.  A tensor with several entries is summed before it is
differentiated, so that replicas in a leading dimension train side by side without touching each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from numerics.errors import ArgumentError, Diverged, check_count, check_positive, check_real, shown

Loss = Callable[[list[Tensor]], Tensor]
Observer = Callable[[int, list[Tensor]], None]
GROWTH = 1e12  # no run that comes back was ever this many times above its start
AT_REST = torch.finfo(torch.float64).eps ** 2  # a loss that is rounding, squared
ITERATIONS = 30  # of the power method: an estimate for an error message


def check_growth(growth: float) -> float:
    """``growth`` if it is above 1; ∞ is allowed."""
    if isinstance(growth, float) and growth == math.inf:
        return growth
    number = check_real("growth", growth, "be above 1")
    if not number > 1:
        raise ArgumentError(f"growth={shown(growth)}: must be above 1")
    return number


def gradient_descent(
    loss: Loss,
    parameters: Sequence[Tensor],
    step_size: float,
    steps: int,
    observe: Observer | None = None,
    growth: float = GROWTH,
) -> list[Tensor]:
    """The parameters after ``steps`` updates p − step_size · ∇loss(p); ``parameters`` stay as they are.

    ``loss`` is called once per update.  ``observe`` is called with t and the detached parameters for
    t = 0, …, steps.  Raises :class:`~numerics.errors.ArgumentError` for a negative number of steps, a
    step size that is not positive or a ``growth`` of 1 or less, and :class:`~numerics.errors.Diverged` when
    an entry of the loss exceeds ``growth`` times its first value, or it or a parameter is not finite.
    """
    step_size = check_positive("step_size", step_size)
    check_count("steps", steps, 0)
    growth = check_growth(growth)
    current = _detached(parameters)
    _report(observe, 0, current)
    most: Tensor | None = None
    for t in range(1, steps + 1):
        leaves = [p.requires_grad_() for p in current]
        value = loss(leaves)
        if most is None:
            most = growth * value.detach().abs().clamp(min=AT_REST)
        # What t − 1 updates led to.  The comparison is false for NaN.
        if not bool((value.detach() <= most).all()):
            raise Diverged(t - 1, step_size, _estimated_limit(loss, parameters))
        gradients = torch.autograd.grad(value.sum(), leaves)
        current = [p.detach() - step_size * g for p, g in zip(leaves, gradients, strict=True)]
        if not all(bool(torch.isfinite(p).all()) for p in current):
            raise Diverged(t, step_size, _estimated_limit(loss, parameters))
        _report(observe, t, current)
    return current


def _estimated_limit(loss: Loss, parameters: Sequence[Tensor]) -> float | None:
    """2/|λ|, λ the eigenvalue of largest modulus of the Hessian at ``parameters``, by the power method."""
    leaves = [p.requires_grad_() for p in _detached(parameters)]
    gradients = torch.autograd.grad(loss(leaves).sum(), leaves, create_graph=True)
    # The gradient is a start with a part in the steep directions; without one there is nothing to tell.
    direction = [g.detach() for g in gradients]
    found = 0.0
    for _ in range(ITERATIONS):
        size = math.sqrt(sum(float(v.square().sum()) for v in direction))
        if not 0 < size < math.inf:
            return None
        direction = [v / size for v in direction]
        slope = sum((g * v).sum() for g, v in zip(gradients, direction, strict=True))
        if not isinstance(slope, Tensor) or not slope.requires_grad:
            return None  # a loss that is linear has no curvature
        times = torch.autograd.grad(slope, leaves, retain_graph=True, allow_unused=True)
        direction = [torch.zeros_like(p) if v is None else v for v, p in zip(times, leaves, strict=True)]
        found = math.sqrt(sum(float(v.square().sum()) for v in direction))
    return 2 / found if 0 < found < math.inf else None


def adam(
    loss: Loss, parameters: Sequence[Tensor], lr: float, steps: int, observe: Observer | None = None
) -> list[Tensor]:
    """The parameters after ``steps`` updates of :class:`torch.optim.Adam`, otherwise at its defaults.

    Everything else is as in :func:`gradient_descent`.
    """
    lr = check_positive("lr", lr)
    check_count("steps", steps, 0)
    leaves = [p.requires_grad_() for p in _detached(parameters)]
    optimizer = torch.optim.Adam(leaves, lr=lr)
    _report(observe, 0, leaves)
    for t in range(1, steps + 1):
        optimizer.zero_grad()
        loss(leaves).sum().backward()
        optimizer.step()
        _report(observe, t, leaves)
    return _detached(leaves)


def _detached(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]


def _report(observe: Observer | None, t: int, parameters: Sequence[Tensor]) -> None:
    if observe is not None:
        observe(t, _detached(parameters))  # copies: Adam goes on to change its own in place
