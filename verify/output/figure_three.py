"""Figure 3 of arXiv:2603.01293, a decoder of the GPT-2 type: ``lsatheory figure 3``.

Training: :mod:`numerics.experiments.figure_three`.  What the panels show: :mod:`verify.checks.figure_three`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from numerics.gpt2.model import check_installed
from theory.errors import check_count
from verify.checks import figure_three as claims
from verify.output.figure_files import figure_files, write_table
from verify.output.figure_four import LABELS, TITLES
from verify.output.progress import progress_bar
from verify.output.sft_figures import BLUE, STYLE, VERMILION, WIDTH, save
from verify.output.trained import trained

SEEDS = {"paper": 1, "small": 6, "tiny": 3}  # the paper's ten runs are side by side in one
OWN = {
    "n": ("length", "test at one n, that of the centre"),
    "k": ("steps", "test with the k of training"),
}
COLOURS = {"sft": BLUE, "os": VERMILION}


class Results:
    """What a configuration came to at each seed."""

    def __init__(self, config: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> None:
        self.config, self.found = config, found
        self.gate = claims.gate(found, config)
        self.findings = claims.judge(found, config)

    def panel(self, loss: str, axis: str, own: str = "") -> claims.Panel:
        """As :func:`verify.checks.figure_three.panel`."""
        return claims.panel(self.found, self.config, loss, axis, own)

    @property
    def lines(self) -> list[str]:
        """The gate, then each claim with its outcome and numbers."""
        of = self.config
        pretrained = [np.array(result["pretrained"]["test"][str(of["n"])]) for result in self.found]
        before = np.concatenate(pretrained)[:, of["k_test"] - 1].mean() / of["d"]
        lines = [str(self.gate), f"pretrained risk on test data {before:.3f} of the zero predictor's"]
        for own, said in (("", ""), *OWN.values()):
            for finding in claims.judge(self.found, of, own):
                if not own or "abcdef".index(finding.panel) % 3 == list(OWN).index(_axis(own)) + 1:
                    told = f" ({said})" if said else ""
                    lines.append(
                        f"({finding.panel}) {finding.claim}{told}: {finding.outcome}; {finding.measured}"
                    )
        return lines


def _axis(own: str) -> str:
    return next(axis for axis, (name, _) in OWN.items() if name == own)


def make(
    out: Path,
    workers: int,
    device: str = "auto",
    profile: str = "paper",
    runs: int | None = None,
    **settings: Any,
) -> list[Path | str]:
    """Pretrain and post-train, which goes on where it was stopped, and draw; what it says, and its files.

    ``runs`` are those of one configuration for ``paper``, seeds for the
    profiles whose configurations have one run.  Raises :class:`ArgumentError` for a setting out of range and
    where no figure can be written, before any training.
    """
    paths = figure_files("fig3", out)
    if runs is not None:
        check_count("runs", runs, 2)  # one has no error bar
    with progress_bar("Figure 3") as progress:
        results = collect(progress, workers, device, profile, runs, **settings)
    write(results, paths)
    return [*results.lines, *paths]


def collect(
    progress: Callable[[float], None],
    workers: int,
    device: str = "auto",
    profile: str = "paper",
    runs: int | None = None,
    store: Path | None = None,
    **settings: Any,
) -> Results:
    """The experiment at all its seeds; what the store has is not computed again."""
    check_installed()
    if runs is not None and SEEDS.get(profile) == 1:
        settings["runs"] = runs
    seeds = runs if runs is not None and SEEDS.get(profile) != 1 else SEEDS.get(profile, 1)
    configs, found = trained("fig-3", profile, settings, seeds, workers, device, store, progress)
    return Results(configs[0], found)


def write(results: Results, paths: Sequence[Path]) -> None:
    """The figure, and last the CSV."""
    save(draw(results), list(paths[:-1]))
    write_table(rows(results), paths[-1])


def rows(results: Results) -> Iterator[dict[str, Any]]:
    """One for each run of each post-training: errors relative to those of ŵ = 0, as the figure has them.

    ``test_i`` is that after i generated steps on prompts of the length of post-training, ``centre_length`` on
    those of the length of the centre after k_test; ``before`` is the pretrained decoder's after k_test.
    """
    of = results.config
    d, k = of["d"], of["k_test"]
    for seed, result in enumerate(results.found):
        for point in result["points"]:
            for run, test in enumerate(point["test"]):
                row = {name: point[name] for name in ("loss", *claims.AXES)} | {"seed": seed, "run": run}
                row |= {f"test_{i}": error / d for i, error in enumerate(test, start=1)}
                row["centre_length"] = point["test_centre"][run][k - 1] / d
                row["before"] = result["pretrained"]["test"][str(point["n"])][run][k - 1] / d
                row["pretraining"] = result["pretrained"]["pre_lengths"][run][-1] / d
                yield row | {"loss_first": point["train"][0][run], "loss_last": point["train"][-1][run]}


@rc_context(STYLE)
def draw(results: Results) -> Figure:
    """Test error against B, n and k, for fine-tuning above and for outcome supervision below."""
    figure = Figure(figsize=(WIDTH, 5.8))
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3, sharex="col", sharey="row")
    for place, (panel, (loss, axis, _)) in enumerate(zip(axes.flat, claims.CLAIMS, strict=True)):
        _panel(panel, results, loss, axis)
        finding = results.findings[place]
        panel.set_title(f"({finding.panel}) {TITLES[loss]}\n“{finding.claim}”: {finding.outcome}", fontsize=8)
        if loss == "os":
            panel.set_xlabel(LABELS[axis])
    for row in axes:
        row[0].set_ylabel(r"test error over that of $\hat w=0$")
    lines: dict[str, Any] = {}
    for panel in axes.flat:
        lines |= {str(label): line for line, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    order = sorted(lines, key=lambda label: ([*TITLES.values(), label].index(label), label))
    figure.legend([lines[label] for label in order], order, loc="outside upper center", ncols=3)
    figure.supxlabel("\n".join(_caption(results)), fontsize=7.5, x=0.01, ha="left", multialignment="left")
    return figure


def _panel(axes: Axes, results: Results, loss: str, axis: str) -> None:
    of = results.panel(loss, axis)
    look: dict[str, Any] = {"color": COLOURS[loss], "marker": "o", "markersize": 3.5}
    axes.errorbar(of.at, *_bars(of.errors), label=TITLES[loss], **look)
    if axis in OWN:
        own, said = OWN[axis]
        other = results.panel(loss, axis, own)
        grey = look | {"color": "0.35", "marker": "s", "mfc": "white", "linestyle": "--"}
        axes.errorbar(other.at, *_bars(other.errors), label=said, **grey)
    axes.plot(of.at, _before(results, axis, of.at), "k:", linewidth=0.9, label="before post-training")
    axes.set_yscale("log")
    axes.set_xscale("log")
    if axis == "B":
        axes.xaxis.set_major_locator(LogLocator())
    else:
        axes.xaxis.set_major_locator(FixedLocator(list(of.at)))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _bars(errors: Any) -> tuple[Any, Any]:
    """Means over the runs and one standard error."""
    return errors.mean(axis=1), errors.std(axis=1, ddof=1) / errors.shape[1] ** 0.5


def _before(results: Results, axis: str, at: Any) -> list[float]:
    of = results.config
    found = []
    for value in at:
        n = int(value) if axis == "n" else of["n"]
        risks = np.concatenate([np.array(result["pretrained"]["test"][str(n)]) for result in results.found])
        found.append(float(risks[:, of["k_test"] - 1].mean()) / of["d"])
    return found


def _caption(results: Results) -> list[str]:
    of = results.config
    return [
        f"Figure 3: {of['layers']} layers, {of['heads']} heads, width {of['width']} "
        f"({results.found[0]['parameters']:,} parameters), $d={of['d']}$, rank $\\Delta={of['rank']}$, "
        f"$\\eta={of['eta']:g}$; $B={of['B']}$, $n={of['n']}$, $k={of['k']}$ where not varied.",
        f"Test with $k={of['k_test']}$.  {of['pre_steps']:,} steps of pretraining, then {of['sft_steps']:,} "
        f"(SFT) or {of['os_steps']:,} (outcome supervision), batches of {of['batch']}, Adam at {of['lr']:g}.",
        f"Marks: mean of {len(results.gate.risks)} runs, bars ± one standard error; claims of the caption "
        "judged by 95 % intervals over the runs.",
        f"Before post-training: {results.gate}.",
    ]
