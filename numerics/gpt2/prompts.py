"""Prompts for the decoder: features as rows, in the dtype of the model, a leading dimension for the runs.

Each draw has its own generator, known by the seed, what it is for, and its place: nothing has to be kept to
resume a training, and the first B prompts, and the first n examples of each, are the same for all B and n.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from numerics.device import seeded
from numerics.gpt2.model import estimate_token

STREAMS = ("weights", "lengths", "pretraining", "train", "test", "order", "gate")
BLOCK = 64  # prompts that share a generator
PLACES = 2**24  # generators of one stream


class Batch(NamedTuple):
    """Features X (runs, B, n, d) and tasks w (runs, B, d); labels are y = ⟨w, x⟩."""

    X: Tensor
    w: Tensor

    def first(self, n: int) -> Batch:
        """The first n examples of each prompt."""
        return Batch(self.X[..., :n, :], self.w)

    def chosen(self, places: Tensor) -> Batch:
        """The prompts at ``places`` (runs, b), for each run its own."""
        run = torch.arange(len(places), device=places.device)[:, None]
        return Batch(self.X[run, places], self.w[run, places])

    def tokens(self) -> Tensor:
        """(x₁, 0), (y₁, 0, …), …, (x_n, 0), (y_n, 0, …): (runs, B, 2n, d+1)."""
        y = self.X @ self.w[..., None]
        d = self.w.shape[-1]
        pairs = torch.stack([pad(self.X, (0, 1)), pad(y, (0, d))], dim=-2)
        return pairs.flatten(-3, -2)

    def start(self) -> Tensor:
        """:meth:`tokens` and (w₀, 1), w₀ = 0: (runs, B, 2n+1, d+1)."""
        return torch.cat([self.tokens(), estimate_token(torch.zeros_like(self.w))[..., None, :]], dim=-2)


class Source(NamedTuple):
    """Gaussian features: x = ``scale`` ∘ g + ``factor`` h, of covariance diag(scale²) + factor factorᵀ.

    ``scale`` (d,), ``factor`` (d, r), r ≥ 1; tasks are from N(0, I_d).
    """

    scale: Tensor
    factor: Tensor

    def draw(self, runs: int, size: int, n: int, generator: torch.Generator) -> Batch:
        """``size`` prompts of length n for each run."""
        d, r = self.factor.shape
        kind = {"generator": generator, "device": self.scale.device, "dtype": self.scale.dtype}
        w = torch.randn(runs, size, d, **kind)  # type: ignore[call-overload]
        g = torch.randn(runs, size, n, d + r, **kind)  # type: ignore[call-overload]
        return Batch(g[..., :d] * self.scale + g[..., d:] @ self.factor.mT, w)

    def draw_set(self, runs: int, size: int, n: int, seed: int, stream: str) -> Batch:
        """As :meth:`draw`, in blocks, so that a smaller ``size`` gives the first of the same prompts."""
        device = self.scale.device
        blocks = [
            self.draw(runs, BLOCK, n, generator(seed, stream, place, device))
            for place in range(-(-size // BLOCK))
        ]
        X, w = (torch.cat(parts, dim=1)[:, :size] for parts in zip(*blocks, strict=True))
        return Batch(X, w)


def stream_seed(seed: int, stream: str, place: int) -> int:
    """A seed for the draw at ``place`` of one of the independent streams of ``seed``."""
    return (seed * len(STREAMS) + STREAMS.index(stream)) * PLACES + place


def generator(seed: int, stream: str, place: int, device: torch.device) -> torch.Generator:
    """The generator of that draw."""
    return seeded(stream_seed(seed, stream, place), device)


def minibatch(step: int, runs: int, B: int, size: int, seed: int, device: torch.device) -> Tensor:
    """Places (runs, ≤ size) of the prompts of update ``step``: in each epoch an order for each run."""
    if size >= B:
        return torch.arange(B, device=device).expand(runs, B)
    epoch, part = divmod(step, -(-B // size))
    order = torch.rand(runs, B, generator=generator(seed, "order", epoch, device), device=device)
    return order.argsort(dim=1)[:, part * size : (part + 1) * size]
