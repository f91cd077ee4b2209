"""Revealed Wishart matrices against prompts with all their features drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.prompts import sample_prompts
from numerics.reduced import rollout
from numerics.sampling import k_step_errors
from verify.checks.kstep import Chain
from verify.checks.points import block, covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import rounding_test

Array = NDArray[np.float64]
Shape = tuple[int, int, int]  # (d, n, k)
At = TypeVar("At", Shape, Chain)
DrawAnswers = Callable[[Shape, int, np.random.Generator], Array]
DrawErrors = Callable[[Chain, int, np.random.Generator], Array]
Ends = Callable[[Chain, Array, Array], float]
LEVELS = (0.2, 0.9)
PILOT = 4096
BATCH = 2**14


def chain(d: int, n: int, k: int, seed: int) -> Chain:
    """V asymmetric and not commuting with Σ ≻ 0, Ṽ near −0.4Σ⁻¹."""
    Sigma = covariance(d, seed)
    V = -0.4 * np.linalg.inv(Sigma + 0.3 * np.eye(d)) + block(d, seed + 1, 0.1)
    return Chain(V, np.eye(d), Sigma, n, k)


def start(d: int) -> Array:
    """The first question of :func:`answers`."""
    return np.linspace(1.0, 2.0, d)


def question(u: Array, answer: Array) -> Array:
    """The next one, (size, d): no polynomial in the answers so far."""
    return np.roll(u, 1, axis=1) + answer / (1 + np.linalg.norm(answer, axis=1, keepdims=True))


def _answers(shape: Shape, size: int, generator: torch.Generator) -> Array:
    """GᵀGu_j from the n × d normals G, (size, k·d)."""
    d, n, k = shape
    G = torch.randn(size, n, d, generator=generator, dtype=torch.float64).numpy()
    u, found = np.broadcast_to(start(d), (size, d)), []
    for _ in range(k):
        found.append((np.swapaxes(G, 1, 2) @ (G @ u[:, :, None]))[:, :, 0])
        u = question(u, found[-1])
    return np.concatenate(found, axis=1)


def _errors(at: Chain, size: int, generator: torch.Generator) -> Array:
    """‖e_j‖², 1 ≤ j ≤ k, by the recursion (A.1) on drawn prompts; (size, k)."""
    prompts = sample_prompts(tensor(at.Sigma), at.n, size, generator)
    path = rollout(tensor(at.V), tensor(at.W), prompts.S, prompts.w_star, at.k)
    return (prompts.w_star[:, None] - path)[:, 1:].square().sum(-1).numpy()


def _same(
    prediction: Callable[[At, int, np.random.Generator], Array],
    defined: Callable[[At, int, torch.Generator], Array],
    at: list[At],
    regime: str,
    seed: int,
    profile: Profile,
    delta: float,
    form: str,
) -> Evidence:
    """Frequencies of lying above quantiles: whole laws, where moments are heavy."""
    generator, source = seeded(seed, "cpu"), np.random.default_rng(seed)
    levels = [np.quantile(defined(one, PILOT, generator), LEVELS, axis=0) for one in at]

    def above(samples: Array, cuts: Array) -> Array:
        return np.concatenate([samples > cut for cut in cuts], axis=1).astype(float)

    def part(size: int) -> Array:
        found = [
            above(defined(one, size, generator), cuts) - above(prediction(one, size, source), cuts)
            for one, cuts in zip(at, levels, strict=True)
        ]
        return np.concatenate(found, axis=1)

    def draw(size: int) -> Array:
        return np.concatenate([part(min(BATCH, size - done)) for done in range(0, size, BATCH)])

    count = sum(cuts.size for cuts in levels)
    return sampled(draw, np.zeros(count), 1.0, delta, regime, profile, form)


def _where(shapes: list[Shape]) -> str:
    return "; ".join(f"(d,n,k) = ({d},{n},{k})" for d, n, k in shapes)


def _shapes(at: list[Chain]) -> list[Shape]:
    return [(len(c.V), c.n, c.k) for c in at]


def answers(
    prediction: DrawAnswers,
    at: list[Shape],
    seed: int,
    profile: Profile,
    delta: float = 2e-2,
    form: str = "printed",
) -> Evidence:
    """``prediction``, draws (size, k·d) of GᵀGu_j for the questions of :func:`start` and :func:`question`,
    against the definition."""
    regime = f"frequencies of GᵀGu_j above quantiles, u_j from the answers before, {_where(at)}"
    return _same(prediction, _answers, at, regime, seed, profile, delta, form)


def errors(
    prediction: DrawErrors,
    at: list[Chain],
    seed: int,
    profile: Profile,
    delta: float = 2e-2,
    form: str = "printed",
    sampler: bool = False,
) -> Evidence:
    """``prediction``, draws (size, k) of ‖e_1‖² … ‖e_k‖², against (A.1) on drawn prompts, or against the
    sampler of ``numerics``."""
    regime = f"frequencies of ‖e_j‖² above quantiles, {_where(_shapes(at))}, no commutation"
    regime += ", numerics.sampling" if sampler else ""
    return _same(prediction, _sampler if sampler else _errors, at, regime, seed, profile, delta, form)


def _sampler(at: Chain, size: int, generator: torch.Generator) -> Array:
    return k_step_errors(tensor(at.V), tensor(at.Sigma), at.n, at.k, size, generator)[:, 1:].numpy()


def ends(prediction: Ends, at: list[Chain], seed: int, form: str = "printed") -> Evidence:
    """‖e_k‖² by the recursion (A.1) on drawn prompts against ``prediction``(chain, S, w*), to rounding."""
    generator, worst = seeded(seed, "cpu"), None
    for chain in at:
        prompts = sample_prompts(tensor(chain.Sigma), chain.n, 3, generator)
        path = rollout(tensor(chain.V), tensor(chain.W), prompts.S, prompts.w_star, chain.k)
        found = (prompts.w_star - path[:, -1]).square().sum(-1).numpy()
        each = list(zip(prompts.S.numpy(), prompts.w_star.numpy(), strict=True))
        stated = [prediction(chain, S, star) for S, star in each]
        V = np.linalg.norm(chain.V)
        scale = [(1 + V * np.linalg.norm(S)) ** (2 * chain.k) * float(star @ star) for S, star in each]
        one = rounding_test(found, stated, scale, 4 * (len(chain.V) + 2) * (chain.k + 1))
        if worst is None or one.deviation / one.delta > worst.deviation / worst.delta:
            worst = one
    assert worst is not None
    regime = f"‖e_k‖² prompt by prompt, {_where(_shapes(at))}"
    return Evidence("monte-carlo", worst.outcome, worst.measured, regime, worst.delta, form=form)


def drawn(at: Chain, size: int, source: np.random.Generator) -> Array:
    """The errors that :func:`numerics.sampling.k_step_errors` draws, a prediction for :func:`errors`."""
    return _sampler(at, size, seeded(int(source.integers(2**62)), "cpu"))


def risk(
    prediction: Callable[[Chain], Array],
    at: list[Chain],
    seed: int,
    profile: Profile,
    delta: float = 3e-2,
    form: str = "printed",
) -> Evidence:
    """The mean of revealed errors after 1, …, k steps against ``prediction``, (k,) numbers for each chain."""
    source = np.random.default_rng(seed)
    expected = np.concatenate([prediction(c) for c in at])

    def draw(size: int) -> Array:
        return np.concatenate([drawn(c, size, source) for c in at], axis=1)

    regime = f"mean of revealed errors after each step, {_where(_shapes(at))}, no commutation"
    return sampled(draw, expected, np.abs(expected), delta, regime, profile, form)
