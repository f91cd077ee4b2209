"""A plan of the fine-tuning set: the table, the sentences and the figure of ``lsatheory plan``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from theory.errors import ArgumentError, check_count
from theory.plan import NO_MEAN, Plan, Prompts, best_prompts, whole_error, whole_prompts, whole_rank
from theory.plan_length import SHORTEST, whole_length
from verify.spectra import Task

LARGER = (2, 10)
ZERO = 1.0  # the error per dimension of the answer ŵ = 0
Row = tuple[str, str, float]


def report(task: Task, have: int | None = None, budget: int | None = None) -> list[RenderableType]:
    """The table and what it says; ``have`` prompts at hand and a ``budget`` of tokens are optional."""
    plan = best_prompts(task.setting)
    whole = whole_prompts(plan, task.d)
    best = min(whole.error, plan.limit)
    parts: list[RenderableType] = [_table(task, _rows(task, plan, whole, have), best)]
    parts += [Text(line) for line in _sentences(task, plan, whole)]
    if have is not None:
        parts.append(Text(_at_hand(task, plan, whole, have)))
    if budget is not None:
        parts.append(Text(_split(task, budget)))
    parts.append(
        Text(
            "The errors are the exact limit of d, n, B → ∞ in proportion. At finite d the mean is off by "
            "some parts in d, and by more within a few prompts of rank A or at n of a few tens.",
            style="dim",
        )
    )
    return parts


def _rows(task: Task, plan: Plan, whole: Prompts, have: int | None) -> list[Row]:
    """(what, prompts, error per dimension) of each line."""
    counted = [("no fine-tuning", 0)]
    if whole.count > 0:
        counted.append(("best below rank A", whole.count))
        counted += [(f"{factor} times that", factor * whole.count) for factor in LARGER]
    if whole.overtaken is not None:
        counted.append(("better again from", whole.overtaken))
    if have is not None:
        counted.append(("at hand", check_count("have", have, 0)))
    rows = [(what, str(B), whole_error(plan, task.d, B)) for what, B in counted]
    return [*rows, ("without end", "∞", plan.limit), ("no model: ŵ = 0", "", ZERO)]


def _table(task: Task, rows: list[Row], best: float) -> Table:
    setting, d = task.setting, task.d
    lengths = f"n = {task.n}"
    if (task.n_pre, task.n_test) != (task.n, task.n):
        lengths += f" (pretraining {task.n_pre}, test {task.n_test})"
    found = Table(
        title=f"d = {d}, rank A = {round(setting.spike * d, 6):g}, {lengths}, η = {setting.eta:g}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    found.add_column("prompts")
    for name in ("B", "E‖ŵ − w*‖²", "per dimension", "against the best"):
        found.add_column(name, justify="right")
    for what, count, error in rows:
        if np.isinf(error):
            cells = ["no mean", "no mean", ""]
        else:
            cells = [f"{error * d:.4g}", f"{error:.4g}", f"{error / best:.3g}×"]
        found.add_row(what, count, *cells)
    return found


def _sentences(task: Task, plan: Plan, whole: Prompts) -> list[str]:
    d, rank = task.d, whole_rank(plan, task.d)
    few = f"{whole.count} prompts" if whole.count else "no prompts"
    if whole.overtaken is not None:
        best = f"Best with more prompts without end: from B = {whole.overtaken} on they beat {few}."
    elif whole.count == 0:
        best = "Best without fine-tuning: no number of prompts is better than none."
    elif whole.count >= rank:
        best = f"Best with B = {whole.count}, the rank of A: more prompts change nothing."
    else:
        best = f"Best with {few}: not even prompts without end are better."
    lines = [best]
    if plan.rises:
        ranges = ", ".join(f"{low * d:.0f} to {high * d:.0f}" for low, high in plan.rises)
        lines.append(f"More prompts hurt from B = {ranges}.")
    if min(whole.error, plan.limit) > ZERO:
        lines.append("No number of prompts beats the answer ŵ = 0.")
    return lines


def _at_hand(task: Task, plan: Plan, whole: Prompts, have: int) -> str:
    error = whole_error(plan, task.d, have)
    if np.isinf(error):
        return f"At B = {have}, within 1 of rank A, the error has no mean: take away or add some prompts."
    lines = f"At B = {have} the error is {error / min(whole.error, plan.limit):.3g} times the least"
    if whole.count < have and error > whole.error:
        better = f"the first {whole.count} of them alone are" if whole.count else "the model without them is"
        lines += f"; {better} better, {error / whole.error:.3g} times"
    if have == 0:
        return lines + "."
    best = whole_length(task.setting, task.d, prompts=have)
    if best.n is None:
        return f"{lines}. Longer fine-tuning prompts are better without end, to {best.error * task.d:.4g}."
    shortest = ", the shortest considered" if best.n == SHORTEST else ""
    return f"{lines}. Their best length is n = {best.n}{shortest}, with {best.error * task.d:.4g}."


def _split(task: Task, budget: int) -> str:
    best = whole_length(task.setting, task.d, budget=budget)
    if best.n is None:
        return f"A budget of {budget} tokens is best not spent."
    shortest = ", the shortest considered" if best.n == SHORTEST else ""
    return (
        f"A budget of {budget} tokens is best spent on B = {best.prompts} prompts of n = {best.n}{shortest}: "
        f"{best.error * task.d:.4g}."
    )


def check_figure(path: Path) -> None:
    """Raises :class:`ArgumentError` unless a figure can be written to ``path``."""
    if path.suffix not in (".png", ".pdf", ".svg") or not path.parent.is_dir():
        raise ArgumentError(f"out={str(path)!r}: must be a .png, .pdf or .svg file in an existing folder")


def figure(task: Task, path: Path, have: int | None = None) -> None:
    """The predicted error against B, written to ``path``; its suffix is the format."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    plan = best_prompts(task.setting)
    d, whole = task.d, whole_prompts(plan, task.d)
    rank = whole_rank(plan, d)
    marked = [whole.count * factor for factor in (1, *LARGER)] if whole.count else []
    end = 1.5 * max([3 * rank, have or 0, whole.overtaken or 0, *marked])
    near = np.geomspace(1.5, max(rank, 2), 200)
    at = np.unique(np.concatenate([np.geomspace(1, end, 600), rank - near, rank + near]))
    axes = plt.figure(figsize=(6.4, 4.2), layout="constrained").subplots()
    below, above = rank - NO_MEAN, rank + NO_MEAN
    for side in (at[(at >= 1) & (at < below)], at[(at > above) & (at <= end)]):
        axes.plot(side, plan.error(side / d) * d, "C0")
    axes.axvline(rank, color="0.6", linewidth=1, label=f"rank $A$ = {rank:g}")
    axes.axhline(plan.none * d, color="C2", linestyle=":", label="no fine-tuning")
    axes.axhline(plan.limit * d, color="C1", linestyle="--", label=r"$B\to\infty$")
    axes.axhline(ZERO * d, color="0.4", linestyle="-.", linewidth=1, label=r"$\hat w=0$")
    names = ("best below rank $A$", *(f"{factor}×" for factor in LARGER))
    points = list(zip(marked, names, "osD", strict=False)) if marked else []
    points += [(whole.overtaken, "better again from", "^")] if whole.overtaken else []
    points += [(have, "at hand", "*")] if have else []
    for place, label, shape in points:
        error = whole_error(plan, d, place)
        if np.isfinite(error):
            axes.plot(place, error * d, shape, color="C3", label=f"{label}, $B={place}$")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="prompts, $B$",
        ylabel=r"$\mathbb{E}\Vert\hat w-w^*\Vert^2$",
        title=f"Predicted error, $d={d}$, $n={task.n}$, $\\eta={task.setting.eta:g}$",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    plt.gcf().savefig(path, dpi=150)
    plt.close("all")
