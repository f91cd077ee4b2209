"""Policy gradients for the chain of thought: a Gaussian policy around ŵ_k, rewarded by −½‖w − w*‖².

The estimators are REINFORCE's, and differ in what they subtract from a reward.  Each is the gradient of a
:func:`surrogate`, advantage times log-probability of the action, by torch; no gradient of the reward and no
formula for a mean or a variance is used here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.errors import ArgumentError, check_batch, check_count, check_positive, check_shape, check_type
from numerics.prompts import Prompts
from numerics.reduced import rollout
from numerics.training import Observer, gradient_descent

# What is subtracted from a group's rewards: nothing; their mean; the mean of the others; and their mean,
# the rest divided by their standard deviation (with 1/G).
ESTIMATORS = ("none", "group", "leave-one-out", "normalised")


@dataclass(frozen=True)
class Estimator:
    """How rewards become advantages: one of :data:`ESTIMATORS`, or a number that is subtracted.

    ``size`` is G, the number of actions drawn for each prompt.  Raises :class:`ArgumentError` for another
    kind, a size below 1, or below 2 where the actions of a group are compared.
    """

    kind: str | float
    size: int = 1

    def __post_init__(self) -> None:
        number = isinstance(self.kind, int | float) and math.isfinite(self.kind)
        if not number and self.kind not in ESTIMATORS:
            raise ArgumentError(f"kind={self.kind!r}: must be a number or one of {', '.join(ESTIMATORS)}")
        check_count("size", self.size, 1 if number or self.kind == "none" else 2)

    def advantages(self, rewards: Tensor) -> Tensor:
        """Advantages of the rewards (..., G) of groups, of the same shape."""
        check_shape("rewards", rewards, self.size)
        if self.kind == "none":
            return rewards
        if not isinstance(self.kind, str):
            return rewards - self.kind
        centred = rewards - rewards.mean(-1, keepdim=True)
        if self.kind == "leave-one-out":
            return centred * (self.size / (self.size - 1))
        if self.kind == "normalised":
            return centred / centred.square().mean(-1, keepdim=True).sqrt()
        return centred


def sample_actions(mean: Tensor, sigma: float, size: int, generator: torch.Generator) -> Tensor:
    """``size`` actions from N(mean, σ²I) for each mean (..., d): shape (..., size, d), without gradient."""
    sigma = check_positive("sigma", sigma)
    check_type("generator", generator, torch.Generator)
    d = check_shape("mean", mean, "d").shape[-1]
    shape = (*mean.shape[:-1], check_count("size", size), d)
    normal = torch.randn(shape, dtype=mean.dtype, device=generator.device, generator=generator)
    return mean.detach().unsqueeze(-2) + sigma * normal


def log_probability(actions: Tensor, mean: Tensor, sigma: float) -> Tensor:
    """log π of actions (..., G, d) under N(mean, σ²I), mean (..., d): shape (..., G)."""
    sigma = check_positive("sigma", sigma)
    d = check_shape("mean", mean, "d").shape[-1]
    check_shape("actions", actions, "G", d)
    check_batch(actions=actions.shape[:-2], mean=mean.shape[:-1])
    # Unchecked: a mean that has diverged is one for the loss to show.
    policy = torch.distributions.Normal(mean.unsqueeze(-2), sigma, validate_args=False)
    return policy.log_prob(actions).sum(-1)


def reward(actions: Tensor, w_star: Tensor) -> Tensor:
    """−½‖w − w*‖² of actions (..., G, d) for tasks (..., d): shape (..., G)."""
    d = check_shape("w_star", w_star, "d").shape[-1]
    check_shape("actions", actions, "G", d)
    check_batch(actions=actions.shape[:-2], w_star=w_star.shape[:-1])
    return -(actions - w_star.unsqueeze(-2)).square().sum(-1) / 2


def surrogate(
    mean: Tensor, w_star: Tensor, sigma: float, estimator: Estimator, generator: torch.Generator
) -> Tensor:
    """The group's mean of advantage · log π, shape (...): its gradient is the estimator, its value nothing.

    ``mean`` (..., d) is the policy's, ŵ_k with its graph; actions are drawn here, G for each.
    """
    check_type("estimator", estimator, Estimator)
    check_shape("w_star", w_star, check_shape("mean", mean, "d").shape[-1])
    check_batch(mean=mean.shape[:-1], w_star=w_star.shape[:-1])
    actions = sample_actions(mean, sigma, estimator.size, generator)
    advantages = estimator.advantages(reward(actions, w_star))
    return (advantages * log_probability(actions, mean, sigma)).mean(-1)


def train(
    start: Tensor,
    draw: Callable[[], Prompts],
    k: int,
    sigma: float,
    estimator: Estimator,
    generator: torch.Generator,
    step_size: float,
    steps: int,
    observe: Observer | None = None,
) -> Tensor:
    """Ṽ (..., d, d) after ``steps`` policy-gradient ascents from ``start`` at W̃ = I, on prompts drawn anew by
    ``draw`` (X (..., B, d, n)) at each step; leading dimensions are independent runs.

    Each step spends B·G reward evaluations.  ``observe`` as in
    :func:`~numerics.training.gradient_descent`.
    """

    def loss(parameters: list[Tensor]) -> Tensor:
        prompts = draw()
        mean = policy_mean(parameters[0], prompts, k)
        return -surrogate(mean, prompts.w_star, sigma, estimator, generator).mean(-1)

    return gradient_descent(loss, [start], step_size, steps, observe)[0]


def policy_mean(V_block: Tensor, prompts: Prompts, k: int) -> Tensor:
    """ŵ_k at W̃ = I for Ṽ (..., d, d) and prompts (..., B, d, n): shape (..., B, d)."""
    check_type("prompts", prompts, Prompts)
    d = check_shape("V_block", V_block, prompts.d, prompts.d).shape[-1]
    eye = torch.eye(d, dtype=V_block.dtype, device=V_block.device)
    return rollout(V_block.unsqueeze(-3), eye, prompts.S, prompts.w_star, k)[..., -1, :]
