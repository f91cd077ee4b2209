"""The figure of notes/os_finite.md: post-test risk of outcome supervision against B, n and steps of training.

``python -m verify.output.os_finite_figure FILE`` writes it.  Exact one-step risk of simulated training, mean
of the logarithm and its standard error over training sets; k = 1 is fine-tuning at η = 1.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from numerics.curves import simulate_curves
from numerics.errors import Diverged
from theory.proportional import sft_risk_limit
from verify.checks.os_finite import DIMENSION, paths, scene
from verify.output.plan import check_figure

RUNS, SEED = 10, 20260307
RANK = DIMENSION // 5
SIZES = (3, 5, 7, 9, 10, 12, 15, 20, 30, 50, 100)
LENGTHS = (50, 75, 100, 150, 200, 300, 400)
STEPS = (0, 1, 3, 10, 30, 100, 300, 1000)
COLOURS = {1: "tab:blue", 2: "tab:red", 4: "tab:green"}


def figure(path: Path) -> None:
    """Write the figure to ``path``; its suffix is the format."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    axes = plt.figure(figsize=(13, 4.4), layout="constrained").subplots(1, 3, sharey=True)
    for each in axes:
        each.set(xscale="log", yscale="log", ylim=(0.2, 30))
    _against_size(axes[0])
    _against_length(axes[1])
    _against_steps(axes[2])
    axes[0].set(ylabel="post-test risk / d")
    for each in axes:
        each.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
        each.legend(fontsize=7.5, handlelength=3.5)
    plt.gcf().savefig(path, dpi=150)
    plt.close("all")


def _mean(logs: np.ndarray) -> tuple[float, float]:
    """The mean of the logarithm and its standard error."""
    return float(logs.mean()), float(logs.std(ddof=1)) / len(logs) ** 0.5


def _draw(axes: Any, xs: list[float], logs: list[np.ndarray], **style: Any) -> None:
    means, errors = np.array([_mean(one) for one in logs]).T
    centre = np.exp(means)
    axes.errorbar(
        xs, centre, [centre * (1 - np.exp(-errors)), centre * (np.exp(errors) - 1)], capsize=2, **style
    )


def _kept(k: int, B: int, n: int, share: float, keep: tuple[int, ...]) -> dict[int, np.ndarray] | None:
    """The paths, or nothing where a training run diverges."""
    try:
        return paths(k, B, n, share, keep, RUNS, SEED + B)
    except Diverged:
        return None


def _against_size(axes: Any) -> None:
    n = 2 * DIMENSION
    for k, steps, style in ((1, 1000, "-"), (2, 30, "--"), (2, 1000, "-"), (4, 1000, "-")):
        found = [paths(k, B, n, 1.0, (0, 30, 1000), RUNS, SEED + B)[steps] for B in SIZES]
        label = f"k = {k}, {steps} steps" + (" (= SFT, η = 1)" if k == 1 else "")
        _draw(
            axes, list(SIZES), found, color=COLOURS[k], linestyle=style, marker="o", markersize=3, label=label
        )
    beta = np.geomspace(SIZES[0], SIZES[-1], 400) / DIMENSION
    for eta, style, label in ((1.0, ":", "exact limit, η = 1"), (0.5, "-.", "SFT, η = 1/2, exact limit")):
        limit = _limit(beta, eta)
        axes.plot(
            beta * DIMENSION, limit, style, color="k" if eta == 1 else "tab:purple", linewidth=1, label=label
        )
    of = scene(n)
    before = paths(1, SIZES[0], n, 1.0, (0, 30, 1000), RUNS, SEED + SIZES[0])[0]
    axes.axhline(float(np.exp(before.mean())), color="gray", linewidth=0.8, label="pretrained")
    half = simulate_curves([_at_half(of)], RUNS, SIZES[-1], SEED)[0].numpy() / of.d
    _draw(
        axes,
        list(SIZES),
        [np.log(half[:, B - 1]) for B in SIZES],
        color="tab:purple",
        linestyle="",
        marker="s",
        markersize=3,
    )
    axes.axvline(RANK, color="gray", linestyle=":", linewidth=0.8)
    axes.set(xlabel="prompts B", title=f"d = {DIMENSION}, rank A = {RANK}, n = {n}")


def _at_half(of: Any) -> Any:
    return replace(of.setting(), eta=0.5)


def _limit(beta: np.ndarray, eta: float) -> np.ndarray:
    return np.asarray(
        sft_risk_limit(
            beta=beta,
            aspect=0.5,
            eta=eta,
            weights=[0.2, 0.8],
            post=[1, 0],
            pre=[0.1, 1],
            test=[1.1, 1],
        )
    )


def _against_length(axes: Any) -> None:
    B = 3 * RANK // 2
    for k, steps, style in ((1, 500, "-"), (2, 5, "--"), (2, 500, "-"), (4, 500, "-")):
        places = [(n, _kept(k, B, n, 0.5, (0, 5, 500))) for n in LENGTHS]
        kept = [(n, found) for n, found in places if found is not None]
        label = f"k = {k}, {steps} steps" + (" (= SFT, η = 1)" if k == 1 else "")
        style_of = {"color": COLOURS[k], "linestyle": style, "marker": "o", "markersize": 3}
        _draw(axes, [n for n, _ in kept], [found[steps] for _, found in kept], label=label, **style_of)
    before = [(n, paths(1, B, n, 0.5, (0, 5, 500), RUNS, SEED + B)[0]) for n in LENGTHS]
    axes.plot(
        [n for n, _ in before],
        [np.exp(x.mean()) for _, x in before],
        color="gray",
        linewidth=0.8,
        label="pretrained",
    )
    axes.set(xlabel="prompt length n", title=f"B = {B}, half the step size")
    axes.set_xticks([50, 100, 200, 400], ["50", "100", "200", "400"], minor=False)
    axes.minorticks_off()


def _against_steps(axes: Any) -> None:
    for B, style in ((3 * RANK // 2, "-"), (10 * RANK, "--")):
        for k in (1, 2, 4):
            found = paths(k, B, 2 * DIMENSION, 0.5, STEPS, RUNS, SEED + B)
            at = [max(t, 0.5) for t in STEPS]  # no step at the left edge
            style_of = {"color": COLOURS[k], "linestyle": style, "marker": "o", "markersize": 3}
            _draw(axes, at, [found[t] for t in STEPS], label=f"k = {k}, B = {B}", **style_of)
    axes.set(xlabel="steps of gradient descent (left edge: none)", title="half the step size, n = 2d")


if __name__ == "__main__":
    check_figure(Path(sys.argv[1]))
    figure(Path(sys.argv[1]))
