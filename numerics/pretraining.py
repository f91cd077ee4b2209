"""Pretraining of the full model by stochastic gradient descent on fresh prompts."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import torch
from torch import Tensor

from numerics.errors import ArgumentError, check_count, check_covariance, check_type, shown
from numerics.losses import pretraining_loss
from numerics.model import assemble
from numerics.prompts import sample_prompts
from numerics.training import gradient_descent

NAMES = ("V", "W", "label")


def pretrain(
    covariance: Tensor,
    n: int,
    free: AbstractSet[str],
    initial: Mapping[str, Tensor | float],
    batch: int,
    steps: int,
    step_size: float,
    generator: torch.Generator,
    replicas: int,
) -> dict[str, Tensor]:
    """Average over the second half of the steps of each parameter, from independent runs in parallel.

    The loss is that of :func:`~numerics.losses.pretraining_loss` on ``batch`` fresh prompts per step and
    run, of length n with features from N(0, covariance).  ``free`` names the trained ones among ``V``
    and ``W`` (the blocks of eq. 3.8) and ``label`` (W's entry between y and constant); the others stay at
    ``initial``, which gives all three: (d, d), (d, d) and a number, or the same with a leading dimension
    of ``replicas``.  Averaged are the iterates after the updates steps//2 + 1, …, steps.
    The loss makes one step from w₀ = 0, which the W block multiplies: it gets no gradient and never moves.

    Returns ``V`` and ``W`` (replicas, d, d) and ``label`` (replicas,) on the generator's device.  Raises
    :class:`ArgumentError` for unknown names, shapes that do not fit and numbers out of range.
    """
    d = check_covariance("covariance", covariance).shape[0]
    check_count("steps", steps)
    check_count("batch", batch)
    check_count("replicas", replicas)
    check_type("generator", generator, torch.Generator)
    if not isinstance(free, AbstractSet) or not free or not free <= set(NAMES):
        raise ArgumentError(f"free={shown(free)}: must be a non-empty subset of {', '.join(NAMES)}")
    if not isinstance(initial, Mapping) or set(initial) != set(NAMES):
        raise ArgumentError(f"initial={shown(initial)}: must have exactly {', '.join(NAMES)}")
    shapes = {"V": (d, d), "W": (d, d), "label": ()}
    start = {name: _per_replica(name, initial[name], shapes[name], replicas, generator) for name in NAMES}
    trained = [name for name in NAMES if name in free]
    totals = [torch.zeros_like(start[name]) for name in trained]

    def loss(parameters: list[Tensor]) -> Tensor:
        now = start | dict(zip(trained, parameters, strict=True))
        V, W = assemble(now["V"], now["W"], now["label"])
        return pretraining_loss(V, W, sample_prompts(covariance, n, (replicas, batch), generator))

    def observe(t: int, parameters: list[Tensor]) -> None:
        if t > steps // 2:
            for total, parameter in zip(totals, parameters, strict=True):
                total += parameter

    gradient_descent(loss, [start[name] for name in trained], step_size, steps, observe)
    averages = [total / (steps - steps // 2) for total in totals]
    return start | dict(zip(trained, averages, strict=True))


def _per_replica(
    name: str, value: Tensor | float, shape: tuple[int, ...], replicas: int, generator: torch.Generator
) -> Tensor:
    """A copy of ``value`` for each replica, on the generator's device."""
    tensor = torch.as_tensor(value, dtype=torch.float64, device=generator.device).detach()
    if tuple(tensor.shape) not in (shape, (replicas, *shape)):
        raise ArgumentError(
            f"initial[{name!r}] has shape {tuple(tensor.shape)}: must be {shape} or {(replicas, *shape)}"
        )
    return tensor.expand(replicas, *shape).clone()
