"""Figures 1, 2 and 5 of arXiv:2603.01293, prediction and simulation in one: ``lsatheory figure``.

Numbers: :mod:`verify.output.sft_data`.  What the figures show: ``notes/figures.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter
from numpy.typing import ArrayLike

from theory.errors import ArgumentError, check_count
from verify.output import sft_data as data
from verify.output import sft_rows
from verify.output.figure_files import figure_files, write_table
from verify.output.progress import progress_bar
from verify.output.sft_data import WINDOW, Array, Sample, Task

NUMBERS = (1, 2, 5)
# From Okabe and Ito's and Tol's palettes, told apart with any colour vision; marks say the same again.
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
COLOURS, MARKERS = (BLUE, VERMILION, GREEN, PURPLE), "osD^"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.5,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.handlelength": 1.5,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "lsatheory",
}
WIDTH = 7.2  # inches: a page
TINY = np.array([0.03, 0.1, 0.3])  # and the limit this close to the spike
LEAST, MOST, LINEAR = -0.5, 0.05, 0.01  # ends of the axis of deviations, and where it is linear
Prediction = Callable[[ArrayLike], Array]


def outputs(number: int, out: Path) -> list[Path]:
    """The files that Figure ``number`` goes to, by :func:`figure_files`.

    Raises :class:`ArgumentError` for another number and where no figure can be written.
    """
    if number not in NUMBERS:
        raise ArgumentError(f"figure={number!r}: must be 1, 2 or 5, the figures of the closed form")
    return figure_files(f"fig{number}", out)


def make(number: int, out: Path, workers: int, runs: int = data.REALIZATIONS) -> list[Path]:
    """Simulate ``runs`` training sets for each curve of Figure ``number`` and write it; the files written.

    Raises :class:`ArgumentError` as :func:`outputs`, before anything is simulated.
    """
    paths = outputs(number, out)
    check_count("workers", workers)
    check_count("runs", runs, 2)  # one has no standard error
    found: data.Figure1 | data.Figure2 | data.Figure5
    with progress_bar(f"Figure {number}") as progress:
        if number == 1:
            found = data.figure1(progress, workers, realizations=runs)
            drawn = figure1(found)
        elif number == 2:
            found = data.figure2(progress, workers, realizations=runs)
            drawn = figure2(found)
        else:
            found = data.figure5(progress, workers, realizations=runs)
            drawn = figure5(found)
    save(drawn, paths[:-1])
    write_table(sft_rows.rows(found), paths[-1])
    return paths


def save(figure: Figure, paths: list[Path]) -> None:
    """Write the figure to each path, in the format of its suffix; the same bytes again, so no dates."""
    undated = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with rc_context(STYLE):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # laid out once: every further time would move things a little
        for path in paths:
            figure.savefig(path, dpi=150, metadata=undated[path.suffix])


@rc_context(STYLE)
def figure1(of: data.Figure1) -> Figure:
    """Err(Ṽ_*) against B, a panel for each r; below, the limit over the simulated mean."""
    levels = sorted({task.r for task in of.tasks})
    figure, axes = _panels(len(levels), 5.2, [2.2, 1])
    for place, r in enumerate(levels):
        top, below = axes[:, place]
        chosen = [(task, sample) for task, sample in zip(of.tasks, of.samples, strict=True) if task.r == r]
        for index, (task, sample) in enumerate(chosen):
            colour = COLOURS[index]
            _curve(top, sample, task.limit, color=colour)
            _simulated(top, sample, index, len(chosen))
            _deviation(below, sample, task.limit, colour)
            top.plot([], [], "-" + MARKERS[index], color=colour, mfc="white", label=f"$n={task.n}$")
        samples = [sample for _, sample in chosen]
        _about_spike(top, below, samples)
        top.set(title=f"({'abc'[place]}) $r={r:g}$, rank $A={samples[0].rank}$")
    axes[0, 0].set(ylabel=r"$\mathrm{Err}(\tilde V_*)$")
    axes[1, 0].set(ylabel="limit / mean − 1")
    axes[0, 0].legend(loc="upper right")
    _caption(
        figure,
        "Figure 1: post-test error against the number of prompts",
        _setting(of.tasks[0])
        + " (the print gives no $\\eta$).  Lines: exact limit.  Marks and bands: median "
        f"and 10 to 90 % of {len(of.samples[0].errors)}",
        r"simulated training sets, as the error has no mean at $|B-\mathrm{rank}\,A|\leq1$ and no variance "
        r"at $\leq3$.  Below: exact limit over",
        r"simulated mean, ± one standard error, without $|B-\mathrm{rank}\,A|\leq3$ (grey).  Dashes: "
        r"$-1/|B-\mathrm{rank}\,A|$, a finite-size effect.",
    )
    return figure


@rc_context(STYLE)
def figure2(of: data.Figure2) -> Figure:
    """Err(Ṽ_*) against n, a column for each r: one n in all roles, its deviations, and each role alone."""
    figure, axes = _panels(len(of.tasks), 8.6, [2, 1, 1.4, 1.4, 1.4])
    for place, task in enumerate(of.tasks):
        column = axes[:, place]
        for role, panel in zip(("all", *data.ROLES), column[[0, 2, 3, 4]], strict=True):
            for index in range(len(of.counts)):
                _against_length(panel, task, role, of.points[role, task.r], index)
            _plain_log(panel)
            if role != "all":
                panel.axvline(task.n, color="k", linestyle=":", linewidth=0.8)
        for index in range(len(of.counts)):
            _deviation_in_length(column[1], task, of.points["all", task.r], index)
        column[1].axhline(0, color="k", linewidth=0.6)
        column[1].yaxis.set_major_formatter(PercentFormatter(1, 0))
        column[0].set(title=f"({'abc'[place]}) $r={task.r:g}$, rank $A={task.rank}$")
        column[-1].set(xlabel="length of the prompts")
    error = r"$\mathrm{Err}(\tilde V_*)$"
    labels = [f"{error}, one $n$", "limit / mean − 1"]
    labels += [f"{error}, $n_\\mathrm{{{role[2:]}}}$ alone" for role in data.ROLES]
    for panel, label in zip(axes[:, 0], labels, strict=True):
        panel.set(ylabel=label)
    figure.align_ylabels(axes[:, 0])
    axes[0, len(of.tasks) // 2].legend(loc="center", ncols=2)
    drawn = len(of.points["all", of.tasks[0].r][0][1].errors)
    _caption(
        figure,
        "Figure 2: post-test error against the length of the prompts",
        _setting(of.tasks[0])
        + f" (the print gives no $\\eta$).  Lines: exact limit.  Marks: median of {drawn} "
        "simulated",
        "training sets, bars 10 to 90 %.  First row, as in print: one $n$ for the prompts of pretraining, "
        "post-training and test.",
        "Second: exact limit over simulated mean, ± one standard error.  Then the length of one kind of "
        "prompts alone,",
        f"the two others having {of.tasks[0].n} (dotted line: all three have).",
    )
    return figure


@rc_context(STYLE)
def figure5(of: data.Figure5) -> Figure:
    """Err(Ṽ_*), Err(V_S + V_N) and what is predicted for each; below, prediction over simulated mean."""
    figure, axes = _panels(len(of.tasks), 5.6, [2.2, 1.2])
    for place, (task, sample, first) in enumerate(zip(of.tasks, of.samples, of.first_order, strict=True)):
        top, below = axes[:, place]
        _curve(
            top, sample, task.limit, color=BLUE, label=r"$\mathrm{Err}(\tilde V_*)$, exact limit", star=True
        )
        _simulated(top, sample, 0, 1, label=r"$\mathrm{Err}(\tilde V_*)$, simulated")
        _deviation(below, sample, task.limit, BLUE)
        for printed, look, mark in (
            (False, {"color": VERMILION, "label": "$F$, corrected"}, "s"),
            (True, {"color": "k", "linestyle": "--", "label": "$F$, as printed"}, "x"),
        ):
            F = partial(task.first_order_limit, printed=printed)
            _curve(top, sample, F, star=True, **look)
            middle, error = first.deviation(F(first.counts))
            below.errorbar(first.counts, middle, error, fmt=mark, color=look["color"], mfc="white")
        low, middle, high = (first.quantile(share) for share in (0.1, 0.5, 0.9))
        label = r"$\mathrm{Err}(V_S+V_N)$, simulated"
        bars = [middle - low, high - middle]
        top.errorbar(first.counts, middle, bars, fmt="s", color=VERMILION, mfc="white", label=label)
        _about_spike(top, below, [sample])
        top.set(title=f"({'ab'[place]}) $n={task.n}$")
    axes[0, 0].set(ylabel="Err")
    axes[1, 0].set(ylabel="prediction / mean − 1")
    axes[0, 0].legend(loc="upper left")
    _caption(
        figure,
        "Figure 5: the fine-tuned minimiser, its first-order approximation, and $F$",
        _setting(of.tasks[0]) + f", $r={of.tasks[0].r:g}$.  Marks: median of {len(of.samples[0].errors)} "
        "simulated training sets, bands and bars 10 to 90 %.  Stars: least",
        r"value below $B=d$.  Below: exact limit over mean $\mathrm{Err}(\tilde V_*)$ (blue line), "
        r"$F$ corrected (squares) and as printed (crosses) over",
        r"mean $\mathrm{Err}(V_S+V_N)$, ± one standard error, without $|B-d|\leq3$ (grey): no variance "
        r"there, and no mean at $|B-d|\leq1$.",
        r"Dashes: $-1/|B-d|$, a finite-size effect.",
    )
    return figure


def _panels(columns: int, height: float, ratios: list[float]) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(len(ratios), columns, sharex="col", squeeze=False, height_ratios=ratios)


def _setting(task: Task) -> str:
    return f"$d={task.d}$, $m={task.m}$, $\\rho={task.rho:g}$, $\\eta={task.eta:g}$"


def _caption(figure: Figure, title: str, *lines: str) -> None:
    figure.suptitle(title, fontsize=10, fontweight="bold")
    figure.supxlabel("\n".join(lines), fontsize=7.5, x=0.01, ha="left", multialignment="left")


def _curve(axes: Axes, sample: Sample, prediction: Prediction, star: bool = False, **look: Any) -> None:
    """Two branches, each up to the spike; a ``star`` at the least value of the left one."""
    at = sft_rows.drawn(sample)
    left = np.r_[at[at < sample.rank], np.sort(sample.rank - TINY)]
    right = np.r_[np.sort(sample.rank + TINY), at[at > sample.rank]]
    values = prediction(left)
    axes.plot(np.r_[left, np.nan, right], np.r_[values, np.nan, prediction(right)], **look)
    if star:
        least = int(values.argmin())
        axes.plot(left[least], values[least], "*", color=look["color"], markersize=8, zorder=4)


def _simulated(axes: Axes, sample: Sample, index: int, of: int, label: str | None = None) -> None:
    """Median (marks, apart from those of the ``of`` − 1 other samples) and 10 to 90 % (band)."""
    colour = COLOURS[index]
    at = sample.at(sft_rows.drawn(sample))
    axes.fill_between(at.counts, at.quantile(0.1), at.quantile(0.9), color=colour, alpha=0.3, linewidth=0)
    step = max(1, len(sample.counts) // (20 if of > 1 else 40))
    marks = sample.at(sample.counts[index * step // of :: step])
    axes.plot(marks.counts, marks.quantile(0.5), MARKERS[index], color=colour, mfc="white", label=label)


def _deviation(axes: Axes, sample: Sample, prediction: Prediction, colour: str) -> None:
    """A line and a band, without the window about the spike."""
    at = sample.at(sft_rows.drawn(sample, 10))
    at = at.at(at.counts[at.kept])
    middle, error = at.deviation(prediction(at.counts))
    for side in (at.counts < at.rank, at.counts > at.rank):
        counts, line, half = at.counts[side], middle[side], error[side]
        axes.fill_between(counts, line - half, line + half, color=colour, alpha=0.3, linewidth=0)
        axes.plot(counts, line, color=colour)


def _about_spike(top: Axes, below: Axes, samples: Sequence[Sample]) -> None:
    """Scales and limits that the spike leaves readable, and what is marked about it."""
    rank = samples[0].rank
    medians = np.concatenate([sample.quantile(0.5)[sample.kept] for sample in samples])
    top.set(yscale="log", ylim=(0.6 * medians.min(), 3 * medians.max()))
    below.set(xlabel="prompts, $B$", ylim=(LEAST, MOST))
    below.set_yscale("symlog", linthresh=LINEAR)
    below.set_yticks([-0.1, -0.01, 0, 0.01])
    below.yaxis.set_major_formatter(PercentFormatter(1, 0))
    below.yaxis.set_minor_locator(NullLocator())
    below.axhline(0, color="k", linewidth=0.6)
    for axes in (top, below):
        axes.axvspan(rank - WINDOW, rank + WINDOW, color="0.8", linewidth=0, zorder=0)
    away = np.geomspace(WINDOW, rank / 4, 100)  # beyond, it is lost in the rest of O(1/d)
    for side in (-1, 1):
        below.plot(rank + side * away, -1 / away, "k--", linewidth=0.8)


def _plain_log(axes: Axes) -> None:
    """A logarithmic axis with plain numbers: the more of them, the fewer decades it has."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    subs: Sequence[float] = (1,) if decades > 2 else (1, 2, 5) if decades > 0.7 else range(1, 10)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _against_length(axes: Axes, task: Task, role: str, points: list[tuple[int, Sample]], index: int) -> None:
    lengths = np.array([n for n, _ in points])
    B = points[0][1].counts[index]
    shortest, longest = 20, max(lengths)
    fine = np.unique(np.linspace(shortest, longest, 150).astype(int))
    line = [float(data.with_length(task, role, int(n)).limit(B)) for n in fine]
    axes.plot(fine, line, color=COLOURS[index])
    low, middle, high = (np.array([s.quantile(q)[index] for _, s in points]) for q in (0.1, 0.5, 0.9))
    bars = [middle - low, high - middle]
    look: dict[str, Any] = {
        "fmt": MARKERS[index],
        "color": COLOURS[index],
        "mfc": "white",
        "label": f"$B={B}$",
    }
    axes.errorbar(lengths, middle, bars, **look)


def _deviation_in_length(axes: Axes, task: Task, points: list[tuple[int, Sample]], index: int) -> None:
    found = [sample.deviation(data.with_length(task, "all", n).limit(sample.counts)) for n, sample in points]
    middle, error = ([part[which][index] for part in found] for which in (0, 1))
    lengths = [n for n, _ in points]
    axes.errorbar(lengths, middle, error, fmt=MARKERS[index], color=COLOURS[index], mfc="white")
