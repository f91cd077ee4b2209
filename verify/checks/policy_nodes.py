"""Means and covariances of policy gradients without sampling: Gauss's rule over the actions.

The rewards are quadratic in the actions, so that the squares of estimates are polynomials, of degree six in
each normal; four nodes know them.  The score comes from torch, and so does the derivative of the policy's
mean in Ṽ, of the full model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from torch import Tensor

from numerics.policy_gradient import Estimator, log_probability, reward
from verify.checks.points import tensor
from verify.checks.policy_gradient import Policy, full_mean, slopes_of
from verify.ledger.evidence import Evidence

Array = NDArray[np.float64]
NODES = 4
DELTA = 1e-9  # of the size: means of polynomials in float64
LEADING = 1e-5  # where σ is 1e-3, and terms of order σ² are left


def _grid(size: int, d: int, count: int) -> tuple[Tensor, Tensor]:
    """Normals (count^(size·d), size, d) and their weights."""
    points, weights = hermegauss(count)
    at = np.indices((count,) * (size * d)).reshape(size * d, -1)
    each = np.prod((weights / weights.sum())[at], axis=0)
    return tensor(points[at].T.reshape(-1, size, d)), tensor(each)


def _moments(
    e: Tensor, sigma: float, estimator: Estimator, count: int = NODES, many: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean (d,) and covariance (d, d) of the estimator in the output, e (d,) being ŵ_k − w*.

    ``many``: of one action whose reward is measured against the mean and in units of the deviation of all
    rewards, as a group that is large enough gives them.
    """
    normals, weights = _grid(estimator.size, len(e), count)
    mean = e.expand(len(normals), -1).clone().requires_grad_()
    actions = (mean.unsqueeze(1) + sigma * normals).detach()
    rewards = reward(actions, torch.zeros_like(mean))
    advantages = estimator.advantages(rewards)
    if many:
        centred = rewards - weights @ rewards
        advantages = centred / (weights @ centred.square()).sqrt()
    value = (advantages * log_probability(actions, mean, sigma)).mean(-1).sum()
    (found,) = torch.autograd.grad(value, mean)
    middle = weights @ found
    return middle, (found - middle).mT @ (weights[:, None] * (found - middle))


def _errors(at: Policy) -> list[tuple[Tensor, Tensor]]:
    """e (d,) and its derivative in Ṽ (d, d²) on each prompt, by the full model."""
    found, V = [], tensor(at.V)
    for which in range(at.prompts.size):
        mean = lambda V, which=which: full_mean(at, V.unsqueeze(0), which)[0]  # noqa: E731
        J = torch.autograd.functional.jacobian(mean, V).reshape(at.d, -1)
        found.append((mean(V) - at.prompts.w_star[which], J))
    return found


def _spread(at: Policy, estimator: Estimator, count: int = NODES) -> float:
    """E‖ĝ − Eĝ‖_F² in Ṽ about each prompt's own mean, the mean over the prompts."""
    each = [torch.trace(J.mT @ _moments(e, at.sigma, estimator, count)[1] @ J).item() for e, J in _errors(at)]
    return float(np.mean(each))


def _judged(found: Array, stated: Array, regime: str, delta: float = DELTA) -> Evidence:
    """``found`` against ``stated``, relative to the largest that is found; no number agrees with nothing."""
    off = float(np.max(np.abs(stated - found))) / float(np.abs(found).max())
    outcome = "agrees" if off < delta else "differs"
    return Evidence("monte-carlo", outcome, f"rel. dev. {off:.1e}", regime + ", by Gauss's rule", delta)


def mean_at_nodes(prediction: Array, at: Policy, estimator: Estimator, many: bool = False) -> Evidence:
    """The mean of the estimator in Ṽ (d, d) on the first prompt; for ``many`` that of a large group."""
    e, J = _errors(at)[0]
    found = (_moments(e, at.sigma, estimator, many=many)[0] @ J).reshape(at.d, at.d).numpy()
    regime = at.described(estimator) if not many else at.described(estimator) + " of a group without end"
    return _judged(found, prediction, regime)


def covariance_at_nodes(prediction: Array, error: Array, sigma: float, estimator: Estimator) -> Evidence:
    """Cov of the estimator in the policy's mean, (d, d), where that is ``error`` off w*."""
    found = _moments(tensor(error), sigma, estimator)[1].numpy()
    regime = f"d = {len(error)}, σ = {sigma:g}, advantages: {estimator.kind}, G = {estimator.size}"
    return _judged(found, prediction, regime)


def spread_at_nodes(
    prediction: Callable[[float], float], baselines: tuple[float, ...], at: Policy
) -> Evidence:
    """The spread in Ṽ with each of ``baselines``."""
    found = [_spread(at, Estimator(b)) for b in baselines]
    regime = f"{at.described(Estimator(baselines[0]))}, {len(baselines)} baselines"
    return _judged(np.array(found), np.array([prediction(b) for b in baselines]), regime)


def _parabola(at: Policy) -> tuple[float, float, float]:
    """The spread at the best baseline, that baseline, and the factor of b²."""
    low, middle, high = (_spread(at, Estimator(b)) for b in (-1.0, 0.0, 1.0))
    bend, slope = (high + low - 2 * middle) / 2, (high - low) / 2
    return middle - slope**2 / (4 * bend), -slope / (2 * bend), bend


def least_at_nodes(prediction: tuple[float, float], at: Policy) -> Evidence:
    """The best baseline and the factor of b² in the spread, a parabola in the baseline."""
    found = np.array(_parabola(at)[1:])
    return _judged(found, np.array(prediction), at.described(Estimator(0.0)) + ", vertex")


def least_spread_at_nodes(prediction: float, at: Policy) -> Evidence:
    """The spread at the best baseline, one for all prompts."""
    found = np.array(_parabola(at)[:1])
    return _judged(found, np.array([prediction]), at.described(Estimator(0.0)) + ", least spread")


def _ratio(at: Policy, size: int, count: int) -> float:
    """Reward evaluations over outcome-supervised prompts for a gradient of the same error."""
    slopes = slopes_of(at)
    shared = float((slopes - slopes.mean(0)).square().sum(-1).mean())
    return size * (_spread(at, Estimator("leave-one-out", size), count) + shared) / shared


def evaluations_at_nodes(prediction: Callable[[int], float], sizes: tuple[int, ...], at: Policy) -> Evidence:
    """The number of rewards that one outcome is worth, for groups of each of ``sizes``."""
    found = [_ratio(at, size, NODES) for size in sizes]
    regime = at.described(Estimator("leave-one-out", sizes[0])) + f", G = {', '.join(map(str, sizes))}"
    return _judged(np.array(found), np.array([prediction(size) for size in sizes]), regime)


def best_group_at_nodes(prediction: Callable[[int], tuple[float, float]], at: Sequence[Policy]) -> Evidence:
    """``prediction``(d): the least number of rewards that one outcome is worth over real G, and that G.

    σ is so small that three nodes know the leading term.  A mean of a function of two actions over a group
    has a variance a/G + b/(G(G − 1)) (Hoeffding): the number is G + a + b/(G − 1), with a and b from G = 2
    and 3, which G = 4 has to bear out.
    """
    found, stated = [], []
    for one in at:
        two, three, four = (_ratio(one, size, 3) for size in (2, 3, 4))
        b = 2 * (two - three + 1)
        a = two - 2 - b
        found += [1 + a + 2 * b**0.5, 1 + b**0.5, four]
        stated += [*prediction(one.d), 4 + a + b / 3]
    sizes = ", ".join(f"({one.d},{one.prompts.size})" for one in at)
    regime = f"(d,N) = {sizes}, k = {at[0].k}, σ = {at[0].sigma:g}, G = 2, 3, 4"
    return _judged(np.array(found), np.array(stated), regime, LEADING)
