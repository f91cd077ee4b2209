"""Policy gradients drawn action by action, and trained with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.curvature import outcome_errors, outcome_loss_of
from numerics.device import seeded
from numerics.model import assemble, chain_of_thought, predicted_weights
from numerics.policy_gradient import (
    Estimator,
    log_probability,
    policy_mean,
    reward,
    sample_actions,
    surrogate,
    train,
)
from numerics.prompts import Prompts, sample_prompts
from numerics.training import gradient_descent
from verify.checks.points import block, covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths, rounding_test

Array = NDArray[np.float64]
STEPS = 2  # of the model that is trained
GROUPS = 64  # groups that one sample of a mean is itself the mean of


@dataclass(frozen=True, eq=False)
class Policy:
    """A model with blocks V, W (d × d) after k steps on ``prompts``, and the deviation σ of its actions."""

    V: Array
    W: Array
    prompts: Prompts
    k: int
    sigma: float

    @property
    def d(self) -> int:
        return self.prompts.d

    @property
    def S(self) -> Array:
        return self.prompts.S.numpy()

    @property
    def w_star(self) -> Array:
        return self.prompts.w_star.numpy()

    def described(self, estimator: Estimator) -> str:
        of = f"(d,n,k) = ({self.d},{self.prompts.n},{self.k}), N = {self.prompts.size}, σ = {self.sigma:g}"
        return f"{of}, advantages: {estimator.kind}, G = {estimator.size}"


def policy(seed: int, k: int, sigma: float, with_W: bool = False, size: int = 1, d: int = 2) -> Policy:
    """V asymmetric near −0.5(Σ + 0.3I)⁻¹, prompts of length 2d from N(0, Σ), Σ not diagonal."""
    Sigma = covariance(d, seed % 2**31)
    V = -0.5 * np.linalg.inv(Sigma + 0.3 * np.eye(d)) + block(d, seed % 2**31 + 1, 0.15)
    W = np.eye(d) + (block(d, seed % 2**31 + 2, 0.3) if with_W else 0.0)
    return Policy(V, W, sample_prompts(tensor(Sigma), 2 * d, size, seeded(seed, "cpu")), k, sigma)


def full_mean(at: Policy, V_block: Tensor, which: int = 0) -> Tensor:
    """ŵ_k of the full model for blocks Ṽ (size, d, d) on one prompt: (size, d)."""
    full = assemble(V_block, tensor(at.W).expand_as(V_block))
    X, star = (t[which].expand(len(V_block), *t.shape[1:]) for t in (at.prompts.X, at.prompts.w_star))
    return predicted_weights(chain_of_thought(*full, X, star, at.k), at.prompts.n)[..., -1, :]


def expectation(
    prediction: Array,
    at: Policy,
    estimator: Estimator,
    seed: int,
    profile: Profile,
    delta: float = 4e-2,
    limit: bool = False,
    form: str = "printed",
) -> Evidence:
    """The mean of the estimator in Ṽ over actions, every entry: log π differentiated through the full model
    on the first prompt."""
    generator = seeded(seed, "cpu")
    star = at.prompts.w_star[0]

    def draw(size: int) -> Array:
        V = tensor(at.V).expand(size, at.d, at.d).clone().requires_grad_()
        means = full_mean(at, V).unsqueeze(1).expand(size, GROUPS, at.d)
        value = surrogate(means, star, at.sigma, estimator, generator).mean(-1).sum()
        return torch.autograd.grad(value, V)[0].reshape(size, -1).numpy()

    scale = float(np.abs(prediction).max()) or 1.0
    kind = "scaling" if limit else "monte-carlo"
    regime = at.described(estimator) + ", all entries"
    if not np.isfinite(prediction).all():
        return Evidence(kind, "differs", "no number is predicted", regime, delta, form=form)
    return sampled(
        draw, prediction.ravel(), scale, delta, regime, profile, form, kind, limit=limit, averaged=GROUPS
    )


def output_covariance(
    prediction: Array, error: Array, sigma: float, estimator: Estimator, seed: int, profile: Profile
) -> Evidence:
    """Cov of the estimator in the policy's mean, every entry, from pairs of independent groups."""
    generator = seeded(seed, "cpu")
    d, many = len(error), 16
    rows, cols = np.triu_indices(d)

    def estimates(size: int) -> Tensor:
        mean = tensor(error).expand(size, many, d).clone().requires_grad_()
        value = surrogate(mean, torch.zeros(d, dtype=torch.float64), sigma, estimator, generator).sum()
        return torch.autograd.grad(value, mean)[0]

    def draw(size: int) -> Array:
        apart = estimates(size) - estimates(size)
        return (apart[..., rows] * apart[..., cols] / 2).mean(1).numpy()

    regime = f"d = {d}, σ = {sigma:g}, advantages: {estimator.kind}, G = {estimator.size}, all entries"
    scale = abs(float(np.trace(prediction))) / d or 1.0
    return sampled(draw, prediction[rows, cols], scale, 5e-2, regime, profile, averaged=many)


def _estimates(at: Policy, which: Tensor, estimators: list[Estimator], generator: torch.Generator) -> Tensor:
    """One estimate in Ṽ on each of the prompts ``which`` for each of ``estimators``, all of the same G and
    from the same actions: (estimators, prompts, d²)."""
    V = tensor(at.V).expand(len(which), at.d, at.d).clone().requires_grad_()
    drawn = Prompts(at.prompts.X[which].unsqueeze(1), at.prompts.w_star[which].unsqueeze(1))
    mean = policy_mean(V, drawn, at.k)[:, 0]
    star = at.prompts.w_star[which]
    actions = sample_actions(mean, at.sigma, estimators[0].size, generator)
    scores, rewards = log_probability(actions, mean, at.sigma), reward(actions, star)
    slopes = [
        torch.autograd.grad((one.advantages(rewards) * scores).mean(-1).sum(), V, retain_graph=True)[0]
        for one in estimators
    ]
    return torch.stack(slopes).reshape(len(estimators), len(which), -1)


MERGED = 4  # squares of estimates of skewness 20, more than the test of a mean allows for, to a sample


def spread(
    prediction: Callable[[float], float],
    baselines: tuple[float, ...],
    at: Policy,
    seed: int,
    profile: Profile,
    delta: float = 6e-2,
) -> Evidence:
    """E‖ĝ_b − E ĝ_b‖_F² in Ṽ about each prompt's own gradient, the mean over the prompts, for each of
    ``baselines``; from pairs of estimates on one prompt.

    A sample is a mean of :data:`MERGED` such squares."""
    generator = seeded(seed, "cpu")
    estimators = [Estimator(baseline) for baseline in baselines]
    expected = np.array([prediction(baseline) for baseline in baselines])

    def draw(size: int) -> Array:
        which = torch.randint(at.prompts.size, (size * MERGED,), generator=generator)
        apart = _estimates(at, which, estimators, generator) - _estimates(at, which, estimators, generator)
        return (apart.square().sum(-1) / 2).reshape(-1, size, MERGED).mean(-1).T.numpy()

    regime = f"{at.described(estimators[0])}, {len(baselines)} baselines"
    return sampled(draw, expected, np.abs(expected), delta, regime, profile)


def least_baseline(
    prediction: tuple[float, float], at: Policy, seed: int, profile: Profile, delta: float = 4e-2
) -> Evidence:
    """E‖ĝ_b‖_F² in Ṽ is the parabola q₀ + q₁b + q₂b²: ``prediction`` is its vertex and q₂."""
    generator = seeded(seed, "cpu")
    vertex, curvature = prediction
    step = 1.0
    estimators = [Estimator(x) for x in (-step, 0.0, step)]

    def draw(size: int) -> Array:
        which = torch.randint(at.prompts.size, (size,), generator=generator)
        low, middle, high = _estimates(at, which, estimators, generator).square().sum(-1)
        slope, bend = (high - low) / (2 * step), (high + low - 2 * middle) / (2 * step**2)
        return torch.stack([-slope / 2, bend], dim=1).numpy()

    expected = np.array([vertex * curvature, curvature])
    return sampled(draw, expected, np.abs(expected), delta, at.described(estimators[0]), profile)


def normalised_group(at: Policy, size: int, seed: int) -> tuple[Array, Array]:
    """The normalised estimator in Ṽ (d, d) of one group on the first prompt, and its actions (G, d)."""
    V = tensor(at.V).unsqueeze(0).clone().requires_grad_()
    mean = full_mean(at, V)
    actions = sample_actions(mean, at.sigma, size, seeded(seed, "cpu"))
    advantages = Estimator("normalised", size).advantages(reward(actions, at.prompts.w_star[:1]))
    value = (advantages * log_probability(actions, mean, at.sigma)).mean()
    return torch.autograd.grad(value, V)[0][0].numpy(), actions[0].numpy()


def pathwise(
    prediction: Callable[[Policy, Array], Array], at: list[Policy], size: int, seed: int
) -> Evidence:
    """The normalised estimator of one group (score function, full model) against ``prediction``(policy, z) at
    the same normals z (G, d), to rounding."""
    worst = None
    for j, one in enumerate(at):
        slope, actions = normalised_group(one, size, seed + j)
        mean = full_mean(one, tensor(one.V).unsqueeze(0)).numpy()
        normals = (actions - mean) / one.sigma
        rewards = reward(tensor(actions), one.prompts.w_star[0])
        # What cancels: rewards against their mean, in units of their spread; z is read off the actions.
        lost = float(rewards.abs().max() / rewards.std()) + float(np.abs(mean).max()) / one.sigma
        scale = lost * float(np.abs(slope).max())
        found = rounding_test(slope, prediction(one, normals), scale, (one.prompts.n + 20) * one.k * size)
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    regime = f"{len(at)} policies, d = {at[0].d}, G = {size}, sample by sample"
    return Evidence("monte-carlo", worst.outcome, worst.measured, regime, worst.delta)


def slopes_of(at: Policy) -> Tensor:
    """∇_Ṽ ½‖ŵ_k − w*‖² of each prompt, (N, d²), by torch."""
    V = tensor(at.V).expand(at.prompts.size, at.d, at.d).clone().requires_grad_()
    drawn = Prompts(at.prompts.X.unsqueeze(1), at.prompts.w_star.unsqueeze(1))
    loss = (policy_mean(V, drawn, at.k)[:, 0] - at.prompts.w_star).square().sum() / 2
    return torch.autograd.grad(loss, V)[0].reshape(at.prompts.size, -1)


def rewards_per_outcome(
    prediction: float, at: Policy, size: int, seed: int, profile: Profile, delta: float = 6e-2
) -> Evidence:
    """Reward evaluations over outcome-supervised prompts for a gradient of the same error: G times the
    variance of the leave-one-out estimator on a prompt drawn from the set, over that of the prompt's own
    gradient.  A sample is a mean of :data:`MERGED` squares."""
    generator = seeded(seed, "cpu")
    slopes = slopes_of(at)
    shared = float((slopes - slopes.mean(0)).square().sum(-1).mean())
    estimator = Estimator("leave-one-out", size)

    def draw(count: int) -> Array:
        which = torch.randint(at.prompts.size, (2, count * MERGED), generator=generator)
        (found,) = _estimates(at, which.ravel(), [estimator], generator)
        apart = found[: count * MERGED] - found[count * MERGED :]
        costs = apart.square().sum(-1) * (size / 2 / shared)
        return costs.reshape(count, MERGED).mean(-1, keepdim=True).numpy()

    return sampled(draw, np.array([prediction]), prediction, delta, at.described(estimator), profile)


# Training -------------------------------------------------------------------------------------------


def minimised(at: Policy) -> Policy:
    """The policy at the minimum of L_OS on its prompts, by BFGS."""
    loss = outcome_loss_of(at.prompts.S, at.prompts.w_star, at.k)

    def value(x: Array) -> tuple[float, Array]:
        V = tensor(x.reshape(at.d, at.d)).requires_grad_()
        found = loss(V)
        return float(found.detach()), torch.autograd.grad(found, V)[0].numpy().ravel()

    found = scipy.optimize.minimize(value, at.V.ravel(), jac=True, method="BFGS", options={"gtol": 1e-10})
    best: Array = np.array(found.x, dtype=np.float64).reshape(at.d, at.d)
    return Policy(best, at.W, at.prompts, at.k, at.sigma)


@cache
def stationary(
    at: Policy, estimator: Estimator | None, batch: int, step_size: float, steps: int, runs: int, seed: int
) -> Array:
    """The excess loss (runs,) of stochastic gradient descent from the minimum, over the last half of
    ``steps``.

    ``batch`` prompts drawn with replacement at each step; ``estimator`` None is outcome supervision.
    """
    generator = seeded(seed, "cpu")
    start = tensor(at.V).expand(runs, at.d, at.d)
    loss = outcome_loss_of(at.prompts.S, at.prompts.w_star, at.k)
    least = float(loss(tensor(at.V)))
    kept: list[Tensor] = []

    def drawn() -> Prompts:
        which = torch.randint(at.prompts.size, (runs, batch), generator=generator)
        return Prompts(at.prompts.X[which], at.prompts.w_star[which])

    def outcomes(parameters: list[Tensor]) -> Tensor:
        prompts = drawn()
        errors = outcome_errors(parameters[0], prompts.S, prompts.w_star, at.k)
        return errors.square().sum(dim=(-2, -1)) / (2 * batch)

    def observe(t: int, parameters: list[Tensor]) -> None:
        if 2 * t > steps and t % 10 == 0:
            S, star = (x.expand(runs, *x.shape) for x in (at.prompts.S, at.prompts.w_star))
            errors = outcome_errors(parameters[0], S, star, at.k)
            kept.append(errors.square().sum(dim=(-2, -1)) / (2 * at.prompts.size) - least)

    if estimator is None:
        gradient_descent(outcomes, [start], step_size, steps, observe)
    else:
        train(start, drawn, at.k, at.sigma, estimator, generator, step_size, steps, observe)
    return torch.stack(kept).mean(0).numpy()


@cache
def trainable(seed: int, k: int, n: int, size: int, sigma: float, d: int = 2) -> Policy:
    """Prompts of a well-conditioned covariance and the minimum on them: descent forgets its start soon."""
    Sigma = np.diag(np.linspace(0.8, 1.1, d)) + 0.2 * (np.ones((d, d)) - np.eye(d))
    prompts = sample_prompts(tensor(Sigma), n, size, seeded(seed, "cpu"))
    start: Array = np.asarray(-0.5 * np.linalg.inv(Sigma))
    return minimised(Policy(start, np.eye(d), prompts, k, sigma))


def trained(prediction: Callable[[Policy, int], float], size: int, seed: int, profile: Profile) -> Evidence:
    """The stationary excess loss of training with leave-one-out groups over that of outcome supervision, step
    size and prompts for each step the same, against ``prediction``(policy at the minimum, G = ``size``).

    With r predicted and independent runs x of the one and y of the other, the ratio is within δ of r where
    the means of x − (1 − δ)ry and (1 + δ)ry − x are positive.  δ covers terms of the order of the step
    size, about 4 %, and the intervals.
    """
    at, delta = trainable(4, STEPS, 6, 16, 0.3), 0.18
    runs = 1600 if profile.sample_factor <= 1 else 6400
    settings = (4, 0.03, 300, runs)
    plain = stationary(at, None, *settings, seed)
    rewarded = stationary(at, Estimator("leave-one-out", size), *settings, seed + 1)
    goal = prediction(at, size) * plain
    both = np.stack([rewarded - (1 - delta) * goal, (1 + delta) * goal - rewarded], axis=1)
    mean, half = both.mean(axis=0), half_widths(both, profile.alpha)
    outcome = "undecided"
    if (mean > half).all():
        outcome = "agrees"
    elif not (mean > -half).all():
        outcome = "differs"
    ratio = rewarded.mean() / plain.mean()
    return Evidence(
        "training",
        outcome,
        f"ratio of excesses {ratio:.2f}, rel. dev. {rewarded.mean() / goal.mean() - 1:.3f}",
        f"d=2, n=6, k={STEPS}, 16 prompts, 4 a step, G = {size}, step size {settings[1]:g}, {runs} runs",
        delta,
        profile.alpha,
    )
