"""Figure 4 of arXiv:2603.01293, trained as printed and to a minimum: ``lsatheory figure 4``.

Numbers: :mod:`verify.output.figure_four_data`.  What the figure shows: ``notes/figure_four.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from theory.errors import check_count
from verify.output import figure_four_data as data
from verify.output.figure_files import figure_files, write_table
from verify.output.figure_four_data import Curve, Result
from verify.output.progress import progress_bar
from verify.output.sft_figures import BLUE, GREEN, PURPLE, STYLE, VERMILION, WIDTH, save

PANELS = (("sft", "B"), ("sft", "n"), ("sft", "k"), ("os", "B"), ("os", "n"), ("os", "k"))
LABELS = {"B": "prompts, $B$", "n": "prompt length, $n$", "k": "steps in training, $k$"}
TITLES = {"sft": "SFT", "os": "outcome supervision"}
# What is drawn: model, quantity, and how it looks.
SERIES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("full", "test", {"color": VERMILION, "marker": "s", "linestyle": "", "label": "Adam, all weights"}),
    ("reduced", "test", {"color": BLUE, "marker": "o", "label": r"Adam, $\tilde V$ and $\tilde W$"}),
    ("reduced", "converged", {"color": GREEN, "marker": "D", "label": "L-BFGS"}),
    ("reduced", "closed", {"color": PURPLE, "marker": "^", "label": "Theorem 4.1"}),
)
ROOM = 1.15  # above and below what is drawn
NO_MEAN = 1  # |B − rank A| up to which the minimiser (4.1) has no mean error


def make(
    out: Path, workers: int, device: str = "auto", profile: str = "paper", **settings: Any
) -> list[Path]:
    """Train all configurations, which goes on where it was stopped, and write the figure; its files.

    Raises :class:`ArgumentError` for a setting out of range and where no figure can be written, before any
    training.
    """
    paths = figure_files("fig4", out)
    check_count("runs", settings.get("runs", 2), 2)  # one has no error bar
    with progress_bar("Figure 4") as progress:
        results = data.collect(progress, workers, device, profile, **settings)
    return write(results, paths)


def write(results: Sequence[Result], paths: list[Path]) -> list[Path]:
    """The figure and the CSV of ``results``."""
    save(draw(results), paths[:-1])
    write_table(data.rows(results), paths[-1])
    return paths


@rc_context(STYLE)
def draw(results: Sequence[Result]) -> Figure:
    """Test error against B, n and k, for fine-tuning above and for outcome supervision below."""
    figure = Figure(figsize=(WIDTH, 6.2))
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3, sharex="col")
    centre = data.centre(results)
    for place, (panel, (loss, axis)) in enumerate(zip(axes.flat, PANELS, strict=True)):
        _panel(panel, results, loss, axis, centre)
        panel.set_title(f"({'abcdef'[place]}) {TITLES[loss]}")
        if loss == "os":
            panel.set_xlabel(LABELS[axis])
    for row in axes:
        row[0].set_ylabel(r"test error $\mathrm{E}\|\hat w-w^*\|^2$")
    lines: dict[str, Any] = {}
    for panel in axes.flat:
        lines |= {str(label): line for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=4)
    centre |= {"iterations": max(config["iterations"] for config, _ in results)}
    figure.supxlabel("\n".join(_caption(centre)), fontsize=7.5, x=0.01, ha="left", multialignment="left")
    return figure


def _caption(of: Mapping[str, Any]) -> list[str]:
    batch = f"minibatches of {of['batch']}" if of["batch"] else "all prompts at once"
    shift = "$\\Delta_{ii}=1$ for all $i$" if of["basis"] == "rotated" else "$\\Delta$ a projection"
    return [
        f"Figure 4 at $d={of['d']}$, $B={of['B']}$, $n={of['n']}$, $k={of['k']}$ where not varied, rank "
        f"$\\Delta={of['rank']}$, {shift}, $\\eta={of['eta']:g}$; test with $k={of['k_test']}$.",
        f"Adam at {of['lr']:g}, {of['epochs']} epochs, {batch}, from $-\\Gamma_0^{{-1}}$.  Marks: mean of "
        f"{of['runs']} runs, bars ± one standard error.",
        r"Against $n$: solid, one $n$ in all roles; dashed, the length of the post-training prompts alone.  "
        r"Dotted: before training.",
        f"L-BFGS: on $\\tilde V$ and $\\tilde W$, {of['iterations']} steps at most; the CSV has the gradient "
        "where it ends.",
        r"Grey: $B=\mathrm{rank}\,\Delta$, where the minimiser of Theorem 4.1 has no mean error (left out).",
    ]


def _panel(axes: Axes, results: Sequence[Result], loss: str, axis: str, centre: Mapping[str, Any]) -> None:
    reached: list[float] = []
    for alone in (False, True) if axis == "n" else (False,):
        style = "--" if alone else "-"
        before = data.panel(results, loss, "reduced", axis, "initial", alone)
        before = before or data.panel(results, loss, "full", axis, "initial", alone)
        if before is not None:
            axes.plot(before.at, before.mean, ":", color="0.4", linewidth=0.9)
        for model, quantity, look in SERIES:
            curve = data.panel(results, loss, model, axis, quantity, alone)
            if curve is None:
                continue
            if axis == "B" and quantity in ("converged", "closed"):
                curve = without_spike(curve, centre["rank"])
            reached += [*(curve.mean - curve.error), *(curve.mean + curve.error)]
            face = "white" if alone else look["color"]
            named = {"linestyle": style} | look
            if alone:
                named.pop("label")
            axes.errorbar(curve.at, curve.mean, curve.error, mfc=face, markersize=3, **named)
        _limit(axes, results, loss, axis, alone)
    if axis == "B":
        axes.axvline(centre["rank"], color="0.8", linewidth=2, zorder=0)
    axes.set_yscale("log")
    if axis != "k":
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    # What training reached fills the panel; where it began may lie beyond.
    low, high = min(reached) / ROOM, max(reached) * ROOM
    axes.set_ylim(low, high)
    subs = (1,) if high / low > 100 else (1, 2, 5) if high / low > 5 else range(1, 10)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def without_spike(curve: Curve, rank: int) -> Curve:
    """The curve without the B at which the minimiser has no mean error."""
    kept = np.abs(curve.at - rank) > NO_MEAN
    return Curve(curve.at[kept], curve.values[kept])


def _limit(axes: Axes, results: Sequence[Result], loss: str, axis: str, alone: bool) -> None:
    """The exact limit of the error of Theorem 4.1 where there is one: at the configurations of the curve."""
    of = [config for config, _ in data.along(results, loss, "reduced", axis, alone)]
    limits = [(config[axis], data.exact_limit(config)) for config in of]
    known = [(at, limit) for at, limit in limits if limit is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "k-", linewidth=0.8, label="exact limit of Theorem 4.1")
