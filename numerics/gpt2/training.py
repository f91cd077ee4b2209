"""Pretraining on a curriculum, and post-training on a fixed set of prompts; all runs in one tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from numerics import checkpoints
from numerics.errors import ArgumentError, check_count, shown
from numerics.gpt2.losses import sft_loss
from numerics.gpt2.model import Ensemble
from numerics.gpt2.prompts import Batch, Source, generator, minibatch

SCHEDULES = ("constant", "cosine")
RECORDS = 50  # of the training loss
EVERY = 1000  # updates between two checkpoints
Loss = Callable[[Ensemble, Batch], Tensor]


@dataclass(frozen=True)
class Curriculum:
    """Dimension and length of the prompts of pretraining, as in Garg et al. (2022): both grow with the step.

    In the stage s = step // ``interval`` features have d_s = min(``d``, ``d_start`` + s) dimensions, the
    others zero, and prompts n_s = min(``n``, ``n_start`` + 2s) examples at most.  Garg et al. train on every
    prefix of a prompt; here a length between ``shortest`` and n_s is drawn for each update.
    """

    d: int
    n: int
    d_start: int
    n_start: int
    interval: int
    shortest: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_count(name, value)
        if self.d_start > self.d or self.n_start > self.n or self.shortest > self.n:
            raise ArgumentError(
                f"d_start={self.d_start}, n_start={self.n_start}, shortest={self.shortest}: "
                f"must be at most d = {self.d}, n = {self.n} and n"
            )

    def stage(self, step: int) -> tuple[int, int]:
        """d_s and n_s."""
        s = step // self.interval
        return min(self.d, self.d_start + s), min(self.n, self.n_start + 2 * s)

    def length(self, step: int, seed: int) -> int:
        """The length of the prompts of update ``step``, the same for all runs."""
        longest = self.stage(step)[1]
        least = min(self.shortest, longest)
        source = generator(seed, "lengths", step, torch.device("cpu"))
        return int(torch.randint(least, longest + 1, (), generator=source))


@dataclass(frozen=True)
class Optimisation:
    """Adam: updates, prompts in each, learning rate, its ``schedule`` and the updates over which it rises.

    ``cosine`` falls to zero at the end.
    """

    steps: int
    batch: int
    lr: float
    schedule: str = "constant"
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise ArgumentError(f"schedule={shown(self.schedule)}: must be one of {', '.join(SCHEDULES)}")

    def rate(self, step: int) -> float:
        """The learning rate of update ``step``."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = (1 + math.cos(math.pi * step / self.steps)) / 2 if self.schedule == "cosine" else 1.0
        return self.lr * rise * fall


def pretrain(
    model: Ensemble,
    source: Source,
    curriculum: Curriculum,
    how: Optimisation,
    eta: float,
    k: int,
    seed: int,
    checkpoint: Path | None = None,
) -> list[list[float]]:
    """Train ``model`` in place on L_SFT with a chain of thought of length k, fresh prompts for each update.

    The training loss (records, runs).
    """
    device = source.scale.device

    def prompts(step: int, runs: int) -> Batch:
        n, active = curriculum.length(step, seed), curriculum.stage(step)[0]
        drawn = source.draw(runs, how.batch, n, generator(seed, "pretraining", step, device))
        if active == curriculum.d:
            return drawn
        on = (torch.arange(curriculum.d, device=device) < active).to(drawn.w.dtype)
        return Batch(drawn.X * on, drawn.w * on)

    return _train(model, prompts, lambda m, b: sft_loss(m, b, eta, k), how, checkpoint)


def post_train(
    model: Ensemble,
    data: Batch,
    loss: Loss,
    how: Optimisation,
    seed: int,
    checkpoint: Path | None = None,
) -> list[list[float]]:
    """Train ``model`` in place on the prompts ``data``; the training loss of minibatches (records, runs)."""
    B = data.w.shape[1]

    def prompts(step: int, runs: int) -> Batch:
        return data.chosen(minibatch(step, runs, B, how.batch, seed, data.w.device))

    return _train(model, prompts, loss, how, checkpoint)


def _train(
    model: Ensemble,
    prompts: Callable[[int, int], Batch],
    loss: Loss,
    how: Optimisation,
    checkpoint: Path | None,
) -> list[list[float]]:
    runs = len(next(iter(model.weights.values())))
    # Adam works entry by entry: the runs do not touch each other.
    optimizer = torch.optim.Adam(model.weights.values(), lr=how.lr, fused=True)
    record = max(1, how.steps // RECORDS)
    losses: list[list[float]] = []

    def advance(step: int) -> None:
        for group in optimizer.param_groups:
            group["lr"] = how.rate(step)
        optimizer.zero_grad()
        value = loss(model, prompts(step, runs))
        value.sum().backward()
        optimizer.step()
        if step % record == 0:
            losses.append(value.tolist())

    parts: dict[str, checkpoints.Part] = {"weights": model, "adam": optimizer, "losses": losses}
    checkpoints.train(advance, how.steps, parts, checkpoint, EVERY)
    return losses
