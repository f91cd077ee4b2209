"""The task of Section 8 of arXiv:2603.01293: pretraining on Σ₀, post-training on Δ, test on Σ₀ + Δ.

Draws are in blocks with a generator each, so that the first B prompts, and the first n features of each, are
the same whatever B and n are, and in either dtype: configurations are compared on common random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.device import seeded
from numerics.errors import ArgumentError, check_count, shown
from numerics.experiments.single_layer import Seen

PROMPTS, FEATURES = 20, 25  # in a block of draws
STREAMS = {"basis": 0, "train": 1, "test": 2, "order": 3}
BASES = ("diagonal", "rotated")
Kind = tuple[torch.device, torch.dtype]


class Task(NamedTuple):
    """Σ₀ = diag(``pre``), (d,), and Δ = factor · factorᵀ, (d, r).

    factor = basis · root with orthonormal columns ``basis`` (d, r), without one the first r columns of I."""

    pre: Tensor
    factor: Tensor
    basis: Tensor | None
    root: Tensor

    @property
    def Sigma(self) -> Tensor:
        """The covariance of the test, (d, d)."""
        return torch.diag(self.pre) + self.factor @ self.factor.mT


def generator(seed: int, stream: str, block: int, device: torch.device) -> torch.Generator:
    """One of the independent streams of ``seed``."""
    return seeded((seed * len(STREAMS) + STREAMS[stream]) * 2**20 + block, device)


def shifted_task(d: int, rank: int, basis: str, low: float = 0.1, basis_seed: int = 0) -> Task:
    """Σ₀ has ``low`` in the first d/5 places and 1 in the others; Δ has rank ``rank`` and trace ≤ d.

    ``diagonal``: Δ projects on the first ``rank`` coordinates, so that Δ_ii = 1 there.  ``rotated``: Δ = GGᵀ
    with rows of G uniform on the sphere of ℝ^rank, so that every Δ_ii = 1.  In float64 on the CPU.
    """
    check_count("d", d)
    check_count("rank", rank)
    if rank > d:
        raise ArgumentError(f"rank={rank}: must be at most d = {d}")
    if basis not in BASES:
        raise ArgumentError(f"basis={shown(basis)}: must be one of {', '.join(BASES)}")
    pre = torch.ones(d, dtype=torch.float64)
    pre[: d // 5] = low
    if basis == "diagonal":
        factor = torch.eye(d, rank, dtype=torch.float64)
        return Task(pre, factor, None, torch.eye(rank, dtype=torch.float64))
    source = generator(basis_seed, "basis", 0, torch.device("cpu"))
    rows = torch.randn(d, rank, dtype=torch.float64, generator=source)
    factor = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    Q, R = torch.linalg.qr(factor)
    return Task(pre, factor, Q, R)


def initial_inverse(task: Task, n_pre: int) -> Tensor:
    """The diagonal of Γ₀⁻¹, Γ₀ of eq. (3.7) at the prompt length ``n_pre``, (d,)."""
    check_count("n_pre", n_pre)
    return 1 / ((1 + 1 / n_pre) * task.pre + task.pre.sum() / n_pre)


def _normal(shape: tuple[int, ...], source: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Standard normals, drawn in float64 whatever ``dtype``."""
    return torch.randn(shape, dtype=torch.float64, device=source.device, generator=source).to(dtype)


def training_prompts(task: Task, n: int, B: int, runs: int, seed: int, kind: Kind) -> Seen:
    """B prompts of length n with features from N(0, Δ) for each of ``runs`` runs."""
    device, dtype = kind
    d, r = task.factor.shape
    cores, tasks = [], []
    root = task.root.to(device, dtype)
    for start in range(0, B, PROMPTS):
        source = generator(seed, "train", start // PROMPTS, device)
        tasks.append(_normal((runs, PROMPTS, d), source, dtype))
        total = torch.zeros(runs, PROMPTS, r, r, device=device, dtype=dtype)
        for done in range(0, n, FEATURES):
            X = _normal((runs, PROMPTS, FEATURES, r), source, dtype)[..., : n - done, :]
            total += X.mT @ X
        cores.append(root @ (total / n) @ root.mT)
    basis = None if task.basis is None else task.basis.to(device, dtype)
    return Seen(torch.cat(cores, dim=1)[:, :B], torch.cat(tasks, dim=1)[:, :B], n, basis)


def test_prompts(task: Task, n: int, size: int, runs: int, seed: int, kind: Kind) -> Iterator[Seen]:
    """``size`` prompts of length n with features from N(0, Σ₀ + Δ) for each run, a block at a time."""
    device, dtype = kind
    d, r = task.factor.shape
    scale, factor = task.pre.sqrt().to(device, dtype), task.factor.to(device, dtype)
    for start in range(0, size, PROMPTS):
        source = generator(seed, "test", start // PROMPTS, device)
        w = _normal((runs, PROMPTS, d), source, dtype)
        total = torch.zeros(runs, PROMPTS, d, d, device=device, dtype=dtype)
        for done in range(0, n, FEATURES):
            # x = Σ₀^{1/2}g + factor · h has the covariance Σ₀ + Δ.
            X = _normal((runs, PROMPTS, FEATURES, d + r), source, dtype)[..., : n - done, :]
            X = X[..., :d] * scale + X[..., d:] @ factor.mT
            total += X.mT @ X
        most = size - start
        yield Seen((total / n)[:, :most], w[:, :most], n)
