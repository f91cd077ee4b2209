"""Fine-tuning on prompts outside the paper's assumptions: minimisers of the full model's loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.experiments.prompt_laws import (
    Law,
    NoisyPrompts,
    draw,
    nearest_minimiser,
    path_steps,
    supervised_steps,
)
from numerics.model import assemble, embed, last_column
from numerics.prompts import Prompts
from verify.checks.beyond import Noisy, noisy, said
from verify.checks.points import covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[Any]


@dataclass(frozen=True)
class Tuning:
    """A fine-tuning: Ω, Φ and Ξ, Γ₀, and the levels q_0 … q_{k+1} of the path that is supervised."""

    Omega: Array
    Phi: Array
    Xi: Array
    gamma0: Array
    levels: Array

    @property
    def k(self) -> int:
        return len(self.levels) - 2


def _drawn(d: int, n: int, B: int, sigma: float, seed: int) -> NoisyPrompts:
    root: Array = np.linalg.cholesky(covariance(d, seed))
    return draw(Law(sigma=sigma), tensor(root), n, B, seeded(seed, "cpu"))


def minimiser(
    prediction: Callable[[Tuning], Array],
    shapes: tuple[tuple[int, int, int, int], ...],
    sigma: float,
    seed: int,
    levels: Callable[[int], Array] = lambda k: 0.6 ** np.arange(k + 2),
) -> Evidence:
    """The minimiser of L_SFT(·, I) nearest to −Γ₀⁻¹ against ``prediction``, at each (d, n, B, k).

    By least squares on what the full model multiplies with Ṽ.  ``levels``(k) is the path, by default that of
    η = 0.4.  The prediction may invert a product of Φ with itself: with condition numbers below 10⁴ its
    rounding stays below 10⁻⁷ relative.
    """
    worst = 0.0
    for j, (d, n, B, k) in enumerate(shapes):
        drawn, path = _drawn(d, n, B, sigma, seed + j), np.asarray(levels(k), dtype=float)
        gamma0 = covariance(d, seed + 70 + j)
        start: Array = -np.linalg.inv(gamma0)
        found = nearest_minimiser(*path_steps(drawn, tensor(path)), tensor(start)).numpy()
        S, w = drawn.prompts.S.numpy(), drawn.prompts.w_star.numpy()
        Xi = np.einsum("bdn,bn->db", drawn.prompts.X.numpy(), drawn.noise.numpy()) / n
        stated = prediction(Tuning(w.T, np.einsum("bij,bj->ib", S, w), Xi, gamma0, path))
        worst = max(worst, float(np.linalg.norm(found - stated) / np.linalg.norm(found)))
    delta = 1e-6
    regime = f"(d,n,B,k) = {', '.join(map(str, shapes))}, σ = {sigma:g}, least squares on the full model"
    return Evidence(
        "training", "agrees" if worst < delta else "differs", f"distance {worst:.0e}", regime, delta
    )


def example() -> NoisyPrompts:
    """d = n = 2, B = 1: X = I, w* = (2, 0), Xε/n = (0, 1/2)."""
    X, w, noise = torch.eye(2).double()[None], torch.tensor([[2.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]])
    return NoisyPrompts(Prompts(X, w), noise.double())


def free_blocks(prediction: Callable[[], Array], seed: int) -> Evidence:
    """The W̃ of the limit of the regularised minimisers over Ṽ and W̃ against ``prediction``().

    What is left of the way is of order λ: 10⁻⁴ allows for a factor of 100 at λ = 10⁻⁶.
    """
    ends, expected, delta = _regularised_ends(seed), prediction(), 1e-4
    gaps = [float(np.linalg.norm(end - expected)) for end in ends]
    outcome = "agrees" if gaps[-1] < delta and gaps[-1] < gaps[0] / 100 else "differs"
    measured = f"distance {gaps[0]:.0e} at λ = 1e-3, {gaps[-1]:.0e} at 1e-6"
    return Evidence("training", outcome, measured, "d=n=2, B=1, k=1, η=1/2, Γ₀=I, both blocks free", delta)


def _regularised_ends(seed: int) -> list[Array]:
    """W̃ at λ = 10⁻³ … 10⁻⁶; what is left of the way is of order λ.

    L_SFT (η = 1/2, k = 1) on :func:`example` plus λ times the squared distance from (−I, I), by BFGS from
    a few starts, the lowest kept.  On the valley of zero loss the slope is of order λ times the way left, so
    that BFGS stops at a share of λ.
    """
    of, eye = example(), np.eye(2)
    source = np.random.default_rng(seed)
    starts = [np.concatenate([-eye.ravel(), eye.ravel()]) + 0.1 * source.normal(size=8) for _ in range(3)]
    ends = []
    for lam in (1e-3, 1e-4, 1e-5, 1e-6):
        options = {"gtol": 1e-6 * lam}
        tried = [
            scipy.optimize.minimize(_regularised, x, (of, lam), jac=True, method="BFGS", options=options)
            for x in starts
        ]
        best = min(tried, key=lambda one: float(one.fun))
        starts = [best.x, *starts[1:]]
        ends.append(np.asarray(best.x[4:].reshape(2, 2)))
    return ends


def _regularised(x: Array, of: NoisyPrompts, lam: float) -> tuple[float, Array]:
    leaf = torch.tensor(x.reshape(2, 2, 2), requires_grad=True)
    V, W = assemble(leaf[0], leaf[1])
    n, total = of.prompts.n, torch.zeros((), dtype=torch.float64)
    for q in (1.0, 0.5):
        w_now = (1 - q) * of.prompts.w_star
        Z = embed(of.prompts.X, of.prompts.w_star, w_now)
        Z[..., 2, :n] += of.noise
        target = 0.5 * q * of.prompts.w_star + w_now
        out = last_column(Z, V, W, n)
        total = total + (out[..., 3:5] - target).square().sum() / 2
    eye = torch.eye(2, dtype=torch.float64)
    total = total + lam * ((leaf[0] + eye).square().sum() + (leaf[1] - eye).square().sum())
    (slope,) = torch.autograd.grad(total, leaf)
    return float(total.detach()), slope.numpy().ravel()


def curvature(
    prediction: Callable[[Noisy, float, int], float], seed: int, profile: Profile, at: Noisy | None = None
) -> Evidence:
    """λ_max of the Hessian of L_SFT(·, I) at B = ∞ against ``prediction``(setting, η, k).

    The mean of (vᵀg)² summed over the steps, g what Ṽ multiplies, along the leading eigenvector v of other
    100 000 prompts, which is off by 10⁻⁵ of λ_max.
    """
    at, eta, k = at or noisy(seed)[2], 0.4, 2
    generator = seeded(seed, "cpu")

    def seen(size: int) -> torch.Tensor:
        return supervised_steps(at.draw(size, generator), torch.full((size,), eta).double(), k)[0]

    pilot = seen(100_000)
    v = torch.linalg.eigh(torch.einsum("bki,bkj->ij", pilot, pilot))[1][:, -1]
    expected = np.array([prediction(at, eta, k)])
    regime = f"{said([at])}, k={k}, along the leading eigenvector"
    return sampled(
        lambda size: (seen(size) @ v).square().sum(-1, keepdim=True).numpy(),
        expected,
        np.abs(expected),
        4e-2,
        regime,
        profile,
    )


@dataclass(frozen=True)
class Large:
    """A law where d, n are large: levels of A and Λ on halves, ϑ, χ, σ²/d, γ."""

    name: str
    law: Law
    theta: float = 1.0
    chi: float = 1.0
    noise: float = 0.0
    post: tuple[float, float] = (0.6, 0.3)
    tasks: tuple[float, float] = (1.5, 0.5)
    aspect: float = 0.5


LARGE = (
    Large("Rademacher entries", Law("rademacher")),
    Large("two radii", Law("two_radii"), theta=1.5),
    Large("autocorrelated", Law("autocorrelated", r=0.6), chi=1.36 / 0.64),
    Large("label noise", Law(sigma=0.5 * 50**0.5), noise=0.25),
)


def column_levels(prediction: Callable[[Large], Array], seed: int, profile: Profile, d: int = 50) -> Evidence:
    """The mean square of the entries of Sw* + Xε/n on each block, at d = 50, against the limit.

    What is left at d = 50 is of order 1/n: 1.5 % at most.
    """
    generator = seeded(seed, "cpu")
    expected = np.concatenate([prediction(at) for at in LARGE])

    def sample(size: int) -> Array:
        found = []
        for at in LARGE:
            n = round(d / at.aspect)
            root, tasks = (
                torch.diag(torch.tensor(x).double().repeat_interleave(d // 2).sqrt())
                for x in (at.post, at.tasks)
            )
            X, w, noise = (*_parts(draw(at.law, root, n, size, generator, tasks)),)
            column = torch.einsum("bdn,bn->bd", X, torch.einsum("bdn,bd->bn", X, w) + noise) / n
            found.append(column.square().reshape(size, 2, d // 2).mean(-1))
        return np.asarray(torch.cat(found, dim=1).numpy())

    return sampled(
        sample,
        expected,
        np.abs(expected),
        8e-2,
        f"d={d}, γ = 1/2, Λ and A in two blocks: {', '.join(at.name for at in LARGE)}",
        profile,
        kind="scaling",
        limit=True,
        averaged=d // 4,
    )


def _parts(of: NoisyPrompts) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return of.prompts.X, of.prompts.w_star, of.noise
