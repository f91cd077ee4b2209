"""Prompts outside the assumptions of arXiv:2603.01293: other features, other tasks, noise on the labels.

Features have mean 0 and the covariance L Lᵀ of a root L that is given; everything is float64 and drawn from
the generator, on its device.  The model sees the noise in the label row of its embedding alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.errors import ArgumentError, check_count, check_shape, check_type, shown
from numerics.model import assemble, embed, last_column, predicted_weights, teacher_sequence
from numerics.prompts import Prompts

FEATURES = ("gaussian", "rademacher", "student_entries", "student", "two_radii", "autocorrelated")
RADII = ((0.5, 2 / 3), (2.0, 1 / 3))  # g and its probability: Eg = 1, Eg² = 3/2


@dataclass(frozen=True)
class Law:
    """How a prompt is drawn.

    ``features``: Gaussian; entries of z = L⁻¹x that are ±1 or Student's t (``nu`` degrees of freedom,
    scaled to variance 1); x = √g Lz with z Gaussian and g = (nu − 2)/χ²_nu (multivariate t) or one of
    :data:`RADII`;
    Gaussian columns with E[x_i x_jᵀ] = r^|i−j| LLᵀ.  ``sigma``: the noise on a label.  ``share``: w* is
    √(1−share) u + √share u_0 with one u_0, all ones, for every prompt.
    """

    features: str = "gaussian"
    nu: float = 20.0
    r: float = 0.0
    sigma: float = 0.0
    share: float = 0.0

    def __post_init__(self) -> None:
        if self.features not in FEATURES:
            raise ArgumentError(f"features={shown(self.features)}: must be one of {', '.join(FEATURES)}")
        if not 4 < self.nu < math.inf:
            raise ArgumentError(f"nu={shown(self.nu)}: must be above 4, for a fourth moment, and finite")
        if not -1 < self.r < 1:
            raise ArgumentError(f"r={shown(self.r)}: must lie between -1 and 1")
        if not 0 <= self.sigma < math.inf:
            raise ArgumentError(f"sigma={shown(self.sigma)}: must be finite and not negative")
        if not 0 <= self.share <= 1:
            raise ArgumentError(f"share={shown(self.share)}: must lie in [0, 1]")


class NoisyPrompts(NamedTuple):
    """Prompts, and the noise (..., B, n) that their labels have besides ⟨w*, x_j⟩."""

    prompts: Prompts
    noise: Tensor


def draw(
    law: Law, root: Tensor, n: int, size: int, generator: torch.Generator, task_root: Tensor | None = None
) -> NoisyPrompts:
    """``size`` prompts of length n with covariance L Lᵀ, L = ``root`` (d, d); w* = ``task_root`` u, or u.

    Raises :class:`ArgumentError` for what is no law, roots of other shapes and counts below 1.
    """
    check_type("law", law, Law)
    d = check_shape("root", root, "d", "d").shape[-1]
    check_count("n", n)
    check_count("size", size)
    X = root @ _standard(law, (size, n, d), generator).mT
    w = _normal((size, d), generator)
    w = math.sqrt(1 - law.share) * w + math.sqrt(law.share)
    if task_root is not None:
        w = w @ check_shape("task_root", task_root, d, d).mT
    return NoisyPrompts(Prompts(X, w), law.sigma * _normal((size, n), generator))


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, device=generator.device, generator=generator)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, device=generator.device, generator=generator)


def _standard(law: Law, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Rows of covariance I, (size, n, d)."""
    if law.features == "rademacher":
        return 2.0 * (_uniform(shape, generator) < 0.5).double() - 1.0
    if law.features == "student_entries":
        # Bailey (1994): √(ν(U^{−2/ν} − 1)) cos 2πU' is Student's t; 1 − U is never 0.
        u = 1 - _uniform(shape, generator)
        radius = (law.nu * (u ** (-2 / law.nu) - 1)).sqrt()
        angle = 2 * math.pi * _uniform(shape, generator)
        return radius * torch.cos(angle) * math.sqrt((law.nu - 2) / law.nu)
    z = _normal(shape, generator)
    if law.features == "student":
        return z * _inverse_chi(law.nu, (*shape[:2], 1), generator)
    if law.features == "two_radii":
        small = _uniform((*shape[:2], 1), generator) < RADII[0][1]
        return z * torch.where(small, math.sqrt(RADII[0][0]), math.sqrt(RADII[1][0]))
    if law.features == "autocorrelated":
        lags = torch.arange(shape[1], dtype=torch.float64, device=z.device)
        C = law.r ** (lags[:, None] - lags).abs()
        return torch.linalg.cholesky(C) @ z
    return z


def _inverse_chi(nu: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """√((ν − 2)/χ²_ν), ν a whole number: the sum of ν squares."""
    if nu != int(nu):
        raise ArgumentError(f"nu={shown(nu)}: must be a whole number for the multivariate t")
    squares = sum(_normal(shape, generator).square() for _ in range(int(nu)))
    return (nu - 2) ** 0.5 / torch.as_tensor(squares).sqrt()


# The model on noisy labels --------------------------------------------------------------------------


def with_noise(Z: Tensor, noise: Tensor) -> Tensor:
    """The embedding Z (..., 2d+2, m) with ``noise`` (..., n) added to its n labels."""
    d, n = Z.shape[-2] // 2 - 1, noise.shape[-1]
    labels = Z[..., d : d + 1, :n] + noise.unsqueeze(-2)
    data = torch.cat([Z[..., :d, :n], labels, Z[..., d + 1 :, :n]], dim=-2)
    return torch.cat([data, Z[..., n:]], dim=-1)


def weights_after(V: Tensor, W: Tensor, of: NoisyPrompts, k: int) -> Tensor:
    """ŵ_k of each prompt, (..., B, d), from k ≥ 1 steps of the full model (V, W) on the noisy labels."""
    check_count("k", k)
    n = of.prompts.n
    Z = with_noise(embed(of.prompts.X, of.prompts.w_star), of.noise)
    for _ in range(k):
        Z = torch.cat([Z, last_column(Z, V, W, n).unsqueeze(-1)], dim=-1)
    return predicted_weights(Z, n)[..., -1, :]


def supervised_steps(of: NoisyPrompts, etas: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """What Ṽ multiplies in each supervised step at W̃ = I, and what it should give; each (B, k+1, d).

    The model's update from w_i is linear in Ṽ: it is read off the full model at Ṽ = I.  The target is
    w_{i+1} − w_i of eq. (3.5) for the rate of each prompt, ``etas`` (B,).
    """
    check_count("k", k, 0)
    prompts, n, d = of.prompts, of.prompts.n, of.prompts.d
    check_shape("etas", etas, prompts.size)
    eye = torch.eye(d, dtype=torch.float64, device=prompts.X.device)
    V, W = assemble(eye, eye)
    seen, wanted = [], []
    for rate in etas.unique():
        chosen = etas == rate
        part = Prompts(prompts.X[chosen], prompts.w_star[chosen])
        Z = with_noise(teacher_sequence(part.X, part.w_star, float(rate), k + 1), of.noise[chosen])
        steps = [last_column(Z[..., : n + 1 + i], V, W, n) - Z[..., n + i] for i in range(k + 1)]
        goals = [Z[..., n + 1 + i] - Z[..., n + i] for i in range(k + 1)]
        seen.append(torch.stack(steps, dim=-2)[..., d + 1 : 2 * d + 1])
        wanted.append(torch.stack(goals, dim=-2)[..., d + 1 : 2 * d + 1])
    return torch.cat(seen), torch.cat(wanted)


def path_steps(of: NoisyPrompts, levels: Tensor) -> tuple[Tensor, Tensor]:
    """The same on the path w_i = (1 − q_i)w* with ``levels`` q_0 = 1, …, q_{k+1}."""
    check_shape("levels", levels, "k+2")
    prompts, n, d = of.prompts, of.prompts.n, of.prompts.d
    eye = torch.eye(d, dtype=torch.float64, device=prompts.X.device)
    V, W = assemble(eye, eye)
    Z = with_noise(embed(prompts.X, prompts.w_star), of.noise)
    seen, wanted = [], []
    for now, following in pairwise(levels.tolist()):
        seen.append((last_column(Z, V, W, n) - Z[..., -1])[..., d + 1 : 2 * d + 1])
        wanted.append((now - following) * prompts.w_star)
        column = torch.zeros_like(Z[..., -1])
        column[..., d + 1 : 2 * d + 1] = (1 - following) * prompts.w_star
        column[..., -1] = 1.0
        Z = torch.cat([Z, column.unsqueeze(-1)], dim=-1)
    return torch.stack(seen, dim=-2), torch.stack(wanted, dim=-2)


def nearest_minimiser(seen: Tensor, wanted: Tensor, start: Tensor) -> Tensor:
    """The Ṽ nearest to ``start`` among those that minimise Σ‖Ṽ seen − wanted‖², (d, d); rows are vectors."""
    G, T = seen.flatten(0, -2).mT, wanted.flatten(0, -2).mT
    plus = torch.linalg.pinv(G, rtol=1e-11)
    return start + (T - start @ G) @ plus


def population_minimiser(seen: Tensor, wanted: Tensor) -> Tensor:
    """The same where the minimiser is unique, by the normal equations."""
    G, T = seen.flatten(0, -2), wanted.flatten(0, -2)
    return torch.linalg.solve(G.mT @ G, G.mT @ T).mT
