"""The phase diagram of notes/plan.md: few prompts or prompts without end, in the two-block family.

``python -m verify.output.plan_phase FILE`` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from theory.plan_phase import Phases, boundary, phase_diagram
from verify.output.plan import ZERO, check_figure

RATIOS, ASPECTS = (1e-3, 3.0), (0.05, 10.0)
POINTS = 120
DIMENSION, ETA = 400, 0.2  # of Figure 1, for its settings
OVERTAKEN = (2, 10, 100)


def figure(path: Path) -> None:
    """Write the diagram to ``path``; its suffix is the format."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    phases = phase_diagram(np.geomspace(*RATIOS, POINTS), np.geomspace(*ASPECTS, POINTS))
    axes = plt.figure(figsize=(6.8, 4.8), layout="constrained").subplots()
    lead = np.log10(phases.limit / phases.below).T
    limit = float(np.abs(lead).max())
    shades = axes.pcolormesh(
        phases.ratios, phases.aspects, lead, cmap="RdBu_r", vmin=-limit, vmax=limit, shading="gouraud"
    )
    plt.gcf().colorbar(shades, label=r"$\log_{10}$ (error at $B\to\infty$ / least error below rank $A$)")
    _lines(axes, phases)
    for r in (0.01, 0.1):
        for n in (400, 800, 1200):
            axes.plot(r / ETA, DIMENSION / n, "k" + ("o" if r == 0.01 else "s"), markersize=5)
    axes.plot([], [], "ko", markersize=5, label=r"Figure 1, $r=0.01$, were $\eta=0.2$")
    axes.plot([], [], "ks", markersize=5, label=r"Figure 1, $r=0.1$")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=RATIOS,
        ylim=ASPECTS,
        xlabel=r"$r/\eta$",
        ylabel=r"$\gamma=d/n$",
        title="Best with few prompts (red) or with prompts without end (blue)",
    )
    axes.legend(fontsize=8, loc="lower left")
    plt.gcf().savefig(path, dpi=150)
    plt.close("all")


def _lines(axes, phases: Phases) -> None:  # type: ignore[no-untyped-def]
    """The border of the phases, where it is overtaken by so many prompts, and where ŵ = 0 is as good."""
    edge = [(low, y) for y in np.geomspace(*ASPECTS, 61) for low in boundary(y, low=1e-5, high=RATIOS[1])]
    axes.plot(*zip(*edge, strict=True), "k-", linewidth=2, label="equally good")
    # 1/(β − 1) of the β that overtakes: smooth through the border, where it is 0
    pace = ((phases.below - phases.limit) / phases.decay).T
    levels = sorted(1 / (beta - 1) for beta in OVERTAKEN)
    drawn = axes.contour(phases.ratios, phases.aspects, pace, levels=levels, colors="k", linewidths=0.7)
    for text in axes.clabel(drawn, fmt=lambda x: f"$B={1 + 1 / x:.0f}\\,d$", fontsize=7, inline=False):
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
    axes.plot([], [], "k-", linewidth=0.7, label="so many prompts beat the best few")
    best = np.minimum(phases.below, phases.limit).T
    axes.contour(phases.ratios, phases.aspects, best, levels=[ZERO], colors="tab:green", linestyles="--")
    axes.plot([], [], "--", color="tab:green", label=r"to the left $\hat w=0$ is better than either")


if __name__ == "__main__":
    check_figure(Path(sys.argv[1]))
    figure(Path(sys.argv[1]))
