"""The k-step risk and its gradient, sampled by the full model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.losses import outcome_loss
from numerics.model import assemble, chain_of_thought, predicted_weights
from numerics.prompts import Prompts, sample_prompts
from numerics.reduced import rollout
from verify.checks.points import GRADIENT, block, covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import rounding_test

Array = NDArray[np.float64]
NODES = 5
SMALL = 8  # dimensions up to which the full model is run


@dataclass(frozen=True)
class Chain:
    """A model with blocks V, W (d × d), tested with k steps on prompts of length n from N(0, Sigma)."""

    V: Array
    W: Array
    Sigma: Array
    n: int
    k: int


def chains(seed: int, with_W: bool, ks: tuple[int, ...]) -> Iterator[Chain]:
    """V near −0.4Σ⁻¹ and n > d, so that k steps keep their moments small; V asymmetric and not commuting
    with Σ, which is of rank 2 in the second."""
    for j, k in enumerate(ks):
        d, n, rank = ((3, 5, None), (3, 7, 2))[j % 2]
        Sigma = covariance(d, seed + 50 + j, rank)
        V = -0.4 * np.linalg.inv(Sigma + 0.3 * np.eye(d)) + block(d, seed + j, 0.1)
        W = np.eye(d) + (block(d, seed + 9 + j, 0.3) if with_W else 0.0)
        yield Chain(V, W, Sigma, n, k)


def wide(seed: int, k: int, d: int = 50, n: int = 20) -> Chain:
    """d = 50, n < d: V = −½(Σ + I/2)⁻¹ and an asymmetric part."""
    Sigma = covariance(d, seed)
    V = -0.5 * np.linalg.inv(Sigma + 0.5 * np.eye(d)) + block(d, seed + 1, 0.05)
    return Chain(V, np.eye(d), Sigma, n, k)


def _squared_misses(at: Chain, prompts: Prompts) -> torch.Tensor:
    if len(at.V) > SMALL:
        path = rollout(tensor(at.V), tensor(at.W), prompts.S, prompts.w_star, at.k)
        return (path[..., -1, :] - prompts.w_star).square().sum(-1)
    V, W = assemble(tensor(at.V), tensor(at.W))
    reached = predicted_weights(chain_of_thought(V, W, prompts.X, prompts.w_star, at.k), at.n)[..., -1, :]
    return (reached - prompts.w_star).square().sum(-1)


def _drawn(at: Chain, size: int, generator: torch.Generator) -> torch.Tensor:
    """``size`` squared misses, in batches that fit into memory."""
    batch = max(1, 2**18 // (len(at.V) * max(at.n, len(at.V))))
    draw = partial(sample_prompts, tensor(at.Sigma), at.n, generator=generator)
    return torch.cat([_squared_misses(at, draw(part)) for part in _parts(size, batch)])


def _parts(size: int, most: int) -> list[int]:
    return [min(most, size - done) for done in range(0, size, most)]


def _regime(at: list[Chain]) -> str:
    found = "; ".join(f"(d,n,k) = ({len(c.V)},{c.n},{c.k})" for c in at)
    return found + ", V asymmetric, no commutation"


def risk(
    prediction: Callable[[Chain], float],
    at: list[Chain],
    seed: int,
    profile: Profile,
    delta: float = 3e-2,
    form: str = "printed",
) -> Evidence:
    """E‖ŵ_k − w*‖² over prompts and tasks, by k forward passes of the full model, or of the recursion (A.1)
    that it is equal to where d is large."""
    generator = seeded(seed, "cpu")
    expected = np.array([prediction(c) for c in at])

    def draw(size: int) -> Array:
        return torch.stack([_drawn(c, size, generator) for c in at], dim=1).numpy()

    return sampled(draw, expected, np.abs(expected), delta, _regime(at), profile, form)


def gradient(
    prediction: Callable[[Chain], Array], seed: int, profile: Profile, k: int, form: str = "printed"
) -> Evidence:
    """∂/∂V of E‖ŵ_k − w*‖², every entry, as the mean of the full model's gradients prompt by prompt."""
    generator = seeded(seed, "cpu")
    # Well away from the minimum, where the gradient is small beside its spread.
    d = 2
    Sigma = covariance(d, seed + 50)
    at = Chain(-0.25 * np.linalg.inv(Sigma) + block(d, seed, 0.1), np.eye(d), Sigma, 5, k)
    expected = prediction(at)

    def slopes(size: int) -> torch.Tensor:
        prompts = sample_prompts(tensor(at.Sigma), at.n, size, generator)
        one_each = Prompts(prompts.X.unsqueeze(1), prompts.w_star.unsqueeze(1))
        V = tensor(at.V).expand(size, d, d).clone().requires_grad_()
        full = assemble(V, torch.eye(d, dtype=torch.float64).expand(size, d, d))
        # L_OS has the factor 1/2 that the risk has not.
        (slope,) = torch.autograd.grad(2 * outcome_loss(*full, one_each, at.k).sum(), V)
        return slope.reshape(size, -1)

    def draw(size: int) -> Array:
        return torch.cat([slopes(part) for part in _parts(size, 2**13)]).numpy()

    scale = float(np.abs(expected).max())
    return sampled(draw, expected.ravel(), scale, 5e-2, _regime([at]) + ", all entries", profile, form)


# Means without sampling ------------------------------------------------------------------------------


def small(
    seed: int, with_W: bool, k: int, sizes: tuple[tuple[int, int], ...] = ((2, 3), (3, 2))
) -> list[Chain]:
    """Generic chains of :data:`NODES` for each entry of X, by (d, n)."""
    found = []
    for j, (d, n) in enumerate(sizes):
        at = seed % 2**31 + 17 * j
        W = np.eye(d) + (block(d, at + 9, 0.5) if with_W else 0.0)
        found.append(Chain(block(d, at), W, covariance(d, at + 50), n, k))
    return found


def _nodes(at: Chain) -> tuple[Prompts, torch.Tensor]:
    """Prompts and weights: Gauss's rule for each normal of X; √d eᵢ for w*, squared in the risk."""
    d = len(at.V)
    points, weights = hermegauss(NODES)
    grid = np.array(list(product(points, repeat=d * at.n))).reshape(-1, d, at.n)
    each = np.array(list(product(weights / weights.sum(), repeat=d * at.n))).prod(axis=1)
    values, vectors = np.linalg.eigh(at.Sigma)
    X = (vectors * np.sqrt(values.clip(0))) @ np.repeat(grid, d, axis=0)
    star = np.tile(np.sqrt(d) * np.eye(d), (len(grid), 1))
    return Prompts(tensor(X), tensor(star)), tensor(np.repeat(each, d) / d)


def _judged(found: list[Array], expected: list[Array], at: list[Chain], sweeps: int, form: str) -> Evidence:
    """The worst of several comparisons to rounding."""
    worst = []
    for chain, value, stated in zip(at, found, expected, strict=True):
        prompts, weights = _nodes(chain)
        traces, norm = torch.einsum("bii->b", prompts.S), np.linalg.norm
        steps = (1 + traces * float(norm(chain.V) * (1 + norm(chain.W)))) ** (2 * chain.k)
        scale = len(chain.V) ** 2 * float(weights @ (steps * prompts.w_star.square().sum(-1)))
        each = (chain.n + chain.k + 3 * (2 * len(chain.V) + 2)) * (chain.k + 1)
        worst.append(rounding_test(value, stated, scale, sweeps * each + prompts.size))
    of = max(worst, key=lambda one: one.deviation / one.delta)
    return Evidence(
        "monte-carlo", of.outcome, of.measured, _regime(at) + ", by Gauss's rule", of.delta, form=form
    )


def risk_at_nodes(prediction: Callable[[Chain], Any], at: list[Chain], form: str = "printed") -> Evidence:
    """The same mean by k forward passes of the full model, over nodes that know all moments up to the ninth
    of each entry: the risk is of degree 4k ≤ 8.  ``prediction`` may give several sides of an equation."""
    found = []
    for chain in at:
        prompts, weights = _nodes(chain)
        found.append(np.asarray(float(weights @ _squared_misses(chain, prompts))))
    return _judged(found, [np.asarray(prediction(chain)) for chain in at], at, 1, form)


def gradient_at_nodes(
    prediction: Callable[[Chain], Array], at: list[Chain], form: str = "printed"
) -> Evidence:
    """∂/∂V of that mean, every entry, by automatic differentiation."""
    found = []
    for chain in at:
        prompts, weights = _nodes(chain)
        V = tensor(chain.V).requires_grad_()
        full = assemble(V, tensor(chain.W))
        reached = predicted_weights(chain_of_thought(*full, prompts.X, prompts.w_star, chain.k), chain.n)
        misses = (reached[..., -1, :] - prompts.w_star).square().sum(-1)
        found.append(torch.autograd.grad(weights @ misses, V)[0].numpy())
    return _judged(found, [prediction(chain) for chain in at], at, GRADIENT, form)
