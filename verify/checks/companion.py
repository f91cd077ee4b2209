"""The pretrained model on prompts of other lengths and laws: full forward passes, and no sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from numerics.model import assemble, chain_of_thought, predicted_weights
from numerics.prompts import Prompts
from verify.checks.points import GRADIENT, tensor
from verify.ledger.evidence import Evidence
from verify.stats import rounding_test

Array = NDArray[np.float64]
NODES = 3  # the risk of one step and the gradient are of degree four in each normal


@dataclass(frozen=True)
class Trained:
    """A model with block V (d × d), pretrained at covariance Lambda and length n, makes k steps on prompts
    from N(0, Sigma) of length m; None stands for infinite length."""

    V: Array
    Lambda: Array
    Sigma: Array
    n: int | None
    m: int | None
    k: int

    @property
    def d(self) -> int:
        return len(self.V)

    @property
    def label(self) -> str:
        return f"({self.d},{self.n or '∞'},{self.m or '∞'},{self.k})"


@dataclass(frozen=True)
class Mixture:
    """Pretraining prompts of length n, from N(0, covariances[j]) with probability weights[j]."""

    weights: tuple[float, ...]
    covariances: tuple[Array, ...]
    n: int


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(values.clip(0)))


def _nodes(covariance: Array, length: int) -> tuple[Prompts, torch.Tensor]:
    """Prompts and weights: Gauss's rule for each normal of X; √d eᵢ for w*, squared in the risk."""
    d = len(covariance)
    points, weights = hermegauss(NODES)
    grid = np.array(list(product(points, repeat=d * length))).reshape(-1, d, length)
    each = np.array(list(product(weights / weights.sum(), repeat=d * length))).prod(axis=1)
    X = _root(covariance) @ np.repeat(grid, d, axis=0)
    star = np.tile(np.sqrt(d) * np.eye(d), (len(grid), 1))
    return Prompts(tensor(X), tensor(star)), tensor(np.repeat(each, d) / d)


def _prompts(at: Trained) -> tuple[Prompts, torch.Tensor]:
    if at.m is not None:
        return _nodes(at.Sigma, at.m)
    # XXᵀ/d = Σ, what XXᵀ/m tends to
    d = at.d
    X = np.sqrt(d) * np.repeat(_root(at.Sigma)[None], d, axis=0)
    return Prompts(tensor(X), tensor(np.sqrt(d) * np.eye(d))), tensor(np.full(d, 1 / d))


def _error(at: Trained) -> tuple[float, float, int]:
    """E‖ŵ_k − w*‖², a bound on the sum of its terms' absolute values, and the roundings of each."""
    if at.m is not None and at.k != 1:
        raise ValueError(f"k={at.k}: the nodes know the moments of one step alone")
    prompts, weights = _prompts(at)
    full = assemble(tensor(at.V), torch.eye(at.d, dtype=torch.float64))
    path = chain_of_thought(*full, prompts.X, prompts.w_star, at.k)
    misses = (predicted_weights(path, prompts.n)[..., -1, :] - prompts.w_star).square().sum(-1)
    # (1 + ‖V‖ tr S)^k bounds the sum of absolute values in k steps
    grown = (1 + torch.einsum("bii->b", prompts.S) * float(np.linalg.norm(at.V))) ** (2 * at.k)
    scale = at.d**2 * float(weights @ (grown * prompts.w_star.square().sum(-1)))
    operations = (prompts.n + at.k + 3 * (2 * at.d + 2)) * (at.k + 1) + prompts.size
    return float(weights @ misses), scale, operations


def _regime(at: list[Trained]) -> str:
    return "(d,n,m,k) = " + ", ".join(one.label for one in at) + ", full model without sampling"


def equal(prediction: Callable[[Trained], float], at: list[Trained], form: str = "printed") -> Evidence:
    """The error of k steps of the full model, to rounding."""
    worst = []
    for one in at:
        found, scale, operations = _error(one)
        worst.append(rounding_test(found, prediction(one), scale, operations))
    of = max(worst, key=lambda each: each.deviation / each.delta)
    return Evidence("monte-carlo", of.outcome, of.measured, _regime(at), of.delta, form=form)


def bounded(
    bound: Callable[[Trained], tuple[float, float]], at: list[Trained], form: str = "printed"
) -> Evidence:
    """That error between a lower and an upper bound, which its rounding may cross."""
    holds, least, most, slack = True, np.inf, -np.inf, 0.0
    for one in at:
        found, scale, operations = _error(one)
        low, high = bound(one)
        allowed = rounding_test(found, found, scale, operations).delta * scale
        holds = holds and low - allowed <= found <= high + allowed
        slack = max(slack, allowed / abs(high))
        least, most = min(least, found / high), max(most, found / high)
    measured = f"error over upper bound from {least:.3g} to {most:.3g}"
    return Evidence("monte-carlo", "agrees" if holds else "differs", measured, _regime(at), slack, form=form)


def stationary(prediction: Callable[[Mixture], Array], at: list[Mixture], form: str = "printed") -> Evidence:
    """The gradient of the full model's loss over the mixture: every entry is zero at the predicted V.

    The loss is a convex quadratic in V: a point without slope is its minimum.
    """
    worst = []
    for one in at:
        start = prediction(one)
        V, d = tensor(start).requires_grad_(), len(start)
        loss, scale, operations = torch.zeros((), dtype=torch.float64), 0.0, 1
        for weight, covariance in zip(one.weights, one.covariances, strict=True):
            prompts, weights = _nodes(covariance, one.n)
            full = assemble(V, torch.eye(d, dtype=torch.float64))
            path = chain_of_thought(*full, prompts.X, prompts.w_star, 1)
            misses = (predicted_weights(path, prompts.n)[..., -1, :] - prompts.w_star).square().sum(-1)
            loss = loss + weight * (weights @ misses)
            traces = torch.einsum("bii->b", prompts.S)
            terms = traces * (1 + traces * float(np.linalg.norm(start))) * prompts.w_star.square().sum(-1)
            scale += 2 * d**2 * weight * float(weights @ terms)
            operations = max(operations, GRADIENT * 2 * (one.n + 1 + 3 * (2 * d + 2)) + prompts.size)
        (slope,) = torch.autograd.grad(loss, V)
        worst.append(rounding_test(slope.numpy(), 0.0, scale, operations))
    of = max(worst, key=lambda each: each.deviation / each.delta)
    regime = "gradient at the predicted Ṽ by Gauss's rule, (d,n,L) = " + ", ".join(
        f"({len(one.covariances[0])},{one.n},{len(one.weights)})" for one in at
    )
    return Evidence("monte-carlo", of.outcome, of.measured, regime, of.delta, form=form)
