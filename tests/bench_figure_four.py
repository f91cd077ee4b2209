"""The times of Figure 4 of arXiv:2603.01293: steps of training, beside the whole embedding and a loop.

For ``make bench``; nothing here is a test.  Δ has rank d/5: the loss sees of a prompt S on its range alone.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from bench_figures import Row, timed
from torch import Tensor

from numerics.device import seeded
from numerics.experiments import figure_four as four
from numerics.experiments import single_layer as layer
from numerics.experiments.batched_training import Loss, adam_step
from numerics.experiments.shifted_task import initial_inverse, shifted_task, training_prompts
from numerics.experiments.single_layer import Seen, Weights
from numerics.losses import outcome_loss
from numerics.model import assemble
from numerics.prompts import Prompts
from verify.output import figure_four_data as data

D, N, B, K, RUNS, RANK = 100, 200, 200, 4, 10, 20
STEPS = 20


def start(seen: Seen, runs: int, basis: str) -> Weights:
    inverse = initial_inverse(shifted_task(D, RANK, basis), N).to(seen.w.dtype)
    return [x.expand(runs, -1, -1) for x in (-torch.diag(inverse), torch.eye(D, dtype=seen.w.dtype))]


def step_seconds(loss: Loss, weights: Weights, seen: Seen, steps: int = STEPS) -> float:
    """The least time of a step of Adam, loss and gradient included."""
    leaves = [x.detach().clone().requires_grad_() for x in weights]
    optimizer = torch.optim.Adam(leaves, lr=1e-3, fused=True)
    return min(timed(lambda: adam_step(optimizer, leaves, loss, seen)) for _ in range(steps))


def prompts(runs: int, basis: str, dtype: torch.dtype = torch.float64) -> Seen:
    task = shifted_task(D, RANK, basis)
    return training_prompts(task, N, B, runs, 0, (torch.device("cpu"), dtype))


def reduced(weights: Weights, seen: Seen) -> Tensor:
    return layer.reduced_outcome_loss(layer.columns_of(weights, seen), seen, K)


def embedding_row() -> list[Row]:
    """One run: the step of the reduced model, and that of the embedding with all its n + 1 + k columns."""
    source = seeded(0, "cpu")
    h = torch.randn(1, B, RANK, N, dtype=torch.float64, generator=source)
    w = torch.randn(1, B, D, dtype=torch.float64, generator=source)
    X = torch.nn.functional.pad(h, (0, 0, 0, D - RANK))
    seen = Seen(h @ h.mT / N, w, N)
    weights = start(seen, 1, "diagonal")
    features = Prompts(X, w)

    def embedded(blocks: Weights, _: Seen) -> Tensor:
        return outcome_loss(*assemble(*blocks), features, K)

    fast, slow = (
        step_seconds(loss, weights, seen, steps) for loss, steps in ((reduced, STEPS), (embedded, 3))
    )
    off = float((reduced(weights, seen) / embedded(weights, seen) - 1).abs().max())
    whole = step_seconds(partial(layer.full_outcome_loss, k=K), four.whole_layer(weights), seen, 5)
    return [
        Row("OS step, reduced, 1 run, ms", f"{fast * 1e3:.3g}"),
        Row("    on the full embedding, n = 200, ms", f"{slow * 1e3:.3g}"),
        Row("    reduced is faster by a factor of", f"{slow / fast:.0f}", "≥ 5"),
        Row("    relative difference of the losses", f"{off:.1g}", "1e-10"),
        Row("    all 2(2d+2)² weights, from S and w*, ms", f"{whole * 1e3:.3g}"),
    ]


def loop_seconds(seen: Seen, weights: Weights) -> float:
    """A step in a loop over runs and prompts, each prompt's loss by the recursion on its S."""
    total = 0.0
    for run in range(len(seen.w)):
        V, W = (x[run].clone().requires_grad_() for x in weights)
        optimizer = torch.optim.Adam([V, W], lr=1e-3)
        cores, tasks = seen.core[run], seen.w[run]
        begun = time.perf_counter()
        optimizer.zero_grad()
        losses = []
        for core, w in zip(cores, tasks, strict=True):
            S = torch.nn.functional.pad(core, (0, D - RANK, 0, D - RANK))
            found = torch.zeros_like(w)
            for _ in range(K):
                found = found + V @ (S @ (W @ found - w))
            losses.append((found - w).square().sum())
        (torch.stack(losses).sum() / (2 * B)).backward()
        optimizer.step()
        total += time.perf_counter() - begun
    return total


def figure_seconds(batch: int, model: str, workers: int = 2) -> float:
    """All panels, without the minima by L-BFGS."""
    with TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite"
        settings = {"batch": batch, "model": model, "iterations": 0}
        return timed(lambda: data.collect(lambda _: None, workers, "cpu", "paper", store, **settings))


def figure_four_rows(panels: bool = True) -> list[Row]:
    """The rows of Figure 4; ``panels``: those that take minutes too.  It starts processes."""
    found = []
    for basis in ("diagonal", "rotated"):
        for dtype in (torch.float64, torch.float32):
            seen = prompts(RUNS, basis, dtype)
            weights = start(seen, RUNS, basis)
            # As the experiment does: without a basis only what the loss depends on is held.
            loss: Loss = partial(layer.reduced_outcome_loss, k=K) if basis == "diagonal" else reduced
            held = layer.columns_of(weights, seen) if basis == "diagonal" else weights
            took = step_seconds(loss, held, seen) * 1e3
            name = f"OS step, reduced, d = {D}, B = {B}, k = {K}, {RUNS} runs, Δ {basis}, {dtype}"
            found.append(Row(f"{name.replace('torch.', '')}, ms", f"{took:.3g}", "20"))
    found += embedding_row()
    seen = prompts(2, "diagonal")
    weights = start(seen, 2, "diagonal")
    batched = step_seconds(partial(layer.reduced_outcome_loss, k=K), layer.columns_of(weights, seen), seen)
    looped = loop_seconds(seen, weights)
    found.append(
        Row("training throughput against a loop over prompts and runs", f"{looped / batched:.0f}", "≥ 10")
    )
    if panels:
        for batch, cap in ((0, "4"), (20, "10")):
            name = "full batch" if not batch else f"minibatches of {batch}"
            minutes = figure_seconds(batch, "reduced") / 60
            found.append(Row(f"Figure 4, all panels, reduced, 10 runs, {name}, min", f"{minutes:.2g}", cap))
    return found


if __name__ == "__main__":
    for row in figure_four_rows():
        print(*row, sep="  ", flush=True)
