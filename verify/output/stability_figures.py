"""The largest stable step of gradient descent, measured, beside 2/λ_max and Theorem 4.2: table and figure.

Prompts and blocks as in Figure 1 of arXiv:2603.01293 with d of your choice: Σ₀ = ρ on half the directions and
1 on the others, Σ = 1.1 and 1.  Steps are bracketed on training itself, to 3 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from rich.table import Table

from verify.checks.stability import Scene, Start
from verify.output.progress import progress_bar

STEPS = range(1, 7)  # of the chain of thought
SETS = 3  # of prompts
ETA = 0.2  # rate of the supervised path
LEVEL = 0.1
LEVELS = (1.0, 0.7, 0.4, 0.2, 0.05, 0.01)  # of Σ₀ on the shift, down to κ(Γ₀) = 100
BALANCE_STEPS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Measured:
    """By set of prompts: the largest stable step, 2/λ_max at the start, and the largest ρ(M_τ) there."""

    limit: list[float]
    quadratic: list[float]
    radius: float


def _started(scene: Scene, supervised: bool) -> Start:
    start = scene.start()
    return replace(start, eta=ETA) if supervised else start


@cache
def measured(scene: Scene, supervised: bool = False, sets: int | None = None) -> Measured:
    """Over so many sets of prompts of a scene, :data:`SETS` by default."""
    starts = [_started(replace(scene, seed=seed), supervised) for seed in range(sets or SETS)]
    M = np.eye(scene.d) + starts[0].V.numpy() @ starts[0].S.numpy()
    return Measured(
        [of.limit.middle for of in starts],
        [2 / of.curvature for of in starts],
        float(np.abs(np.linalg.eigvals(M)).max()),
    )


def bound(scene: Scene) -> list[float]:
    """2B/(c_k λ_max(ΦΦᵀ)) of Theorem 4.2, by set of prompts."""
    c_k = sum((1 - ETA) ** (2 * i) for i in range(scene.k + 1))
    starts = [replace(scene, seed=seed).start() for seed in range(SETS)]
    return [2 * scene.B / (c_k * float(np.linalg.norm(of.Phi, 2)) ** 2) for of in starts]


def by_steps(d: int, n: int) -> list[Scene]:
    """Pretraining prompts as long as the others, as in Figure 1."""
    return [Scene(k, LEVEL, d, n, 2 * d, n_pre=n) for k in STEPS]


def by_balance(d: int, n: int, k: int) -> list[Scene]:
    """Long prompts in pretraining, so that κ(Γ₀) is that of Σ₀."""
    return [Scene(k, level, d, n, 2 * d) for level in LEVELS]


def table(d: int, n: int) -> Table:
    """The steps at each k, means over the sets of prompts."""
    found = Table(
        "k",
        "2/λ_max",
        "η_max",
        "ratio",
        "2k − 1",
        "Theorem 4.2",
        "η_max, SFT",
        "ratio, SFT",
        title=f"largest stable steps, d = {d}, n = {n}, B = {2 * d}, Σ₀ = diag({LEVEL:g}, 1)",
    )
    with progress_bar("steps of descent"):
        for scene in by_steps(d, n):
            own, taught = measured(scene), measured(scene, True)
            ratio = np.array(own.limit) / own.quadratic
            other = np.array(taught.limit) / bound(scene)
            cells = [np.mean(own.quadratic), np.mean(own.limit), None, None]
            cells += [np.mean(bound(scene)), np.mean(taught.limit)]
            shown = [f"{x:.3g}" if x is not None else "" for x in cells]
            shown[2] = f"{ratio.min():.2f} – {ratio.max():.2f}"
            shown[3] = str(2 * scene.k - 1)
            found.add_row(str(scene.k), *shown, f"{other.min():.2f} – {other.max():.2f}")
    return found


def figure(d: int, n: int, path: Path) -> None:
    """Write the figure to ``path``; its suffix is the format."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    left, right = plt.figure(figsize=(9.6, 4.4), layout="constrained").subplots(1, 2)
    scenes = by_steps(d, n)
    own, taught = [measured(s) for s in scenes], [measured(s, True) for s in scenes]
    ks = list(STEPS)
    _bars(left, ks, [m.limit for m in own], "C0", "o", r"outcome: largest stable step")
    left.plot(
        ks, [np.mean(m.quadratic) for m in own], "C0:", label=r"outcome: $2/\lambda_{\max}$ at the start"
    )
    ends = [(2 * k - 1) * float(np.mean(m.quadratic)) for k, m in zip(ks, own, strict=True)]
    left.plot(ks, ends, "C0--", label=r"outcome: $(2k-1)\cdot 2/\lambda_{\max}$")
    _bars(left, ks, [m.limit for m in taught], "C1", "s", "supervised: largest stable step")
    left.plot(ks, [np.mean(bound(s)) for s in scenes], "C1:", label="supervised: Theorem 4.2")
    left.set(
        yscale="log",
        xlabel="steps of the chain, $k$",
        ylabel="step size",
        title=f"$d={d}$, $n={n}$, $B={2 * d}$, $\\Sigma_0=\\mathrm{{diag}}({LEVEL:g},1)$, "
        f"largest $\\rho(M_\\tau)={own[0].radius:.1f}$",
    )
    for place, k in enumerate(BALANCE_STEPS):
        scenes = by_balance(d, n, k)
        x = [s.Sigma0.max() / s.Sigma0.min() for s in scenes]
        found = [measured(s, sets=1) for s in scenes]
        _bars(right, x, [m.limit for m in found], f"C{place}", "o", f"outcome, $k={k}$")
        right.plot(x, [np.mean(m.quadratic) for m in found], f"C{place}:")
    scenes = by_balance(d, n, 2)
    x = [s.Sigma0.max() / s.Sigma0.min() for s in scenes]
    _bars(right, x, [measured(s, True, 1).limit for s in scenes], "k", "s", "supervised, $k=2$")
    right.axvline(2 / 1.1, color="0.6", lw=0.8)
    right.set(
        xscale="log",
        yscale="log",
        xlabel=r"condition number of $\Gamma_0$, $\Sigma_0+\Delta$ fixed",
        title=r"lines: measured; dotted: $2/\lambda_{\max}$; grey: $\Sigma=2\Gamma_0$",
    )
    for axes in (left, right):
        axes.title.set_fontsize(9.5)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7.5, loc="lower left")
    plt.gcf().savefig(path, dpi=150)
    plt.close("all")


def _bars(
    axes: object, x: Sequence[float], y: Sequence[Sequence[float]], colour: str, mark: str, label: str
) -> None:
    """Means over the sets of prompts, with the least and the greatest."""
    mean = np.mean(y, axis=1)
    reach = np.array([mean - np.min(y, axis=1), np.max(y, axis=1) - mean])
    axes.errorbar(x, mean, reach, fmt=f"{mark}-", color=colour, capsize=2, markersize=4, label=label)  # type: ignore[attr-defined]
