"""Figures 1, 2 and 5 as tables: the numbers that are drawn, a row for each curve and each B."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

from verify.output import sft_data as data
from verify.output.sft_data import Sample, Task

Row = dict[str, Any]
NEAR = 30  # |B − rank A| up to which a curve is drawn at every B


def rows(of: data.Figure1 | data.Figure2 | data.Figure5) -> Iterator[Row]:
    """The setting, B, the simulated quantiles, mean and its standard error, and the predictions.

    Errors are Err = R/d.  ``model`` is "minimiser" for Ṽ_* and "first order" for V_S + V_N, with F(β) in the
    last two columns.  Empty: mean and error within 3 of the spike, where the latter does not exist, and what
    is no prediction for the model.
    """
    if isinstance(of, data.Figure2):
        for (role, r), points in of.points.items():
            task = next(task for task in of.tasks if task.r == r)
            for n, sample in points:
                yield from _minimiser(data.with_length(task, role, n), sample)
        return
    for task, sample in zip(of.tasks, of.samples, strict=True):
        yield from _minimiser(task, sample.at(drawn(sample)))
    if isinstance(of, data.Figure5):
        for task, sample in zip(of.tasks, of.first_order, strict=True):
            F = {
                name: task.first_order_limit(sample.counts, printed=name == "F_printed").tolist()
                for name in ("F_corrected", "F_printed")
            }
            for place, row in enumerate(_simulated(task, sample, "first order")):
                yield row | {"limit": ""} | {name: _short(values[place]) for name, values in F.items()}


def drawn(sample: Sample, step: int = 5) -> NDArray[Any]:
    """The B that a curve is drawn at: every ``step``, and all next to the spike."""
    counts = sample.counts
    chosen = (abs(counts - sample.rank) <= NEAR) | (counts % step == 0)
    chosen[[0, -1]] = True
    return counts[chosen]


def _minimiser(task: Task, sample: Sample) -> Iterator[Row]:
    limits = task.limit(sample.counts).tolist()
    for row, limit in zip(_simulated(task, sample, "minimiser"), limits, strict=True):
        yield row | {"limit": _short(limit), "F_corrected": "", "F_printed": ""}


def _short(value: float) -> float:
    """Seven digits, more than the simulation and the limit share."""
    return float(f"{value:.7g}")


def _simulated(task: Task, sample: Sample, model: str) -> Iterator[Row]:
    lengths = {"n_post": task.n, "n_pre": task.n_pre or task.n, "n_test": task.n_test or task.n}
    setting = {"model": model, "d": task.d, "m": task.m, "rho": task.rho, "eta": task.eta, "r": task.r}
    columns = {f"q{round(100 * share)}": sample.quantile(share) for share in (0.1, 0.5, 0.9)}
    columns |= {"mean": sample.mean, "standard_error": sample.standard_error}
    for place, (B, kept) in enumerate(zip(sample.counts.tolist(), sample.kept, strict=True)):
        found: Row = {name: _short(values[place]) for name, values in columns.items()}
        if not kept:
            found |= {"mean": "", "standard_error": ""}
        yield setting | lengths | {"B": B, "training_sets": len(sample.errors)} | found
