"""Full-batch optimisers: plain gradient descent and Adam.

``loss`` maps the list of parameters to a tensor.  A tensor with several entries is summed before it is
differentiated, so that replicas in a leading dimension train side by side without touching each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from numerics.errors import check_count, check_positive

Loss = Callable[[list[Tensor]], Tensor]
Observer = Callable[[int, list[Tensor]], None]


def gradient_descent(
    loss: Loss, parameters: Sequence[Tensor], step_size: float, steps: int, observe: Observer | None = None
) -> list[Tensor]:
    """The parameters after ``steps`` updates p − step_size · ∇loss(p); ``parameters`` stay as they are.

    ``loss`` is called once per update.  ``observe`` is called with t and the detached parameters for
    t = 0, …, steps.  Raises :class:`~numerics.errors.ArgumentError` for a negative number of steps or a
    step size that is not positive.
    """
    check_positive("step_size", step_size)
    check_count("steps", steps, 0)
    current = _detached(parameters)
    _report(observe, 0, current)
    for t in range(1, steps + 1):
        leaves = [p.requires_grad_() for p in current]
        gradients = torch.autograd.grad(loss(leaves).sum(), leaves)
        current = [p.detach() - step_size * g for p, g in zip(leaves, gradients, strict=True)]
        _report(observe, t, current)
    return current


def adam(
    loss: Loss, parameters: Sequence[Tensor], lr: float, steps: int, observe: Observer | None = None
) -> list[Tensor]:
    """The parameters after ``steps`` updates of :class:`torch.optim.Adam`, otherwise at its defaults.

    Everything else is as in :func:`gradient_descent`.
    """
    check_positive("lr", lr)
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
