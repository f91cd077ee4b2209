"""What each fixed point costs at another depth than it was trained for: the table and the figure.

Isotropic prompts: Ṽ = −cI with c the outcome-supervised fixed point of k steps, or the supervised one of
rate η; tested with k′ steps.  Curves are exact; the points are simulated prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import sympy as sp
import torch
from rich.table import Table

from numerics.device import seeded
from numerics.prompts import sample_prompts
from theory import notation as nt
from theory.kstep import c, isotropic_risk
from theory.os_limits import isotropic_fixed_point

DEPTHS = range(1, 7)
SIMULATED = range(1, 5)  # beyond, the mean is made by prompts rarer than one in those drawn
PROMPTS = 40_000


@dataclass(frozen=True)
class Curve:
    """The risk per dimension at each of :data:`DEPTHS` of Ṽ = −``c`` I."""

    label: str
    trained: int | None
    c: float
    risks: list[float]


@cache
def curves(d: int, n: int) -> list[Curve]:
    """Outcome supervision with k = 1 … 4 steps, and fine-tuning with η = ½, ¼; n samples of N(0, I_d)."""
    points: list[tuple[str, int | None, float]] = [
        (f"outcome, k = {k}", k, isotropic_fixed_point(k, d, n)) for k in (1, 2, 3, 4)
    ]
    points += [(f"supervised, η = {eta}", None, eta * n / (n + d + 1)) for eta in (0.5, 0.25)]
    return [
        Curve(label, k, value, [_risk(step, value, d, n) / d for step in DEPTHS])
        for label, k, value in points
    ]


def _risk(k: int, value: float, d: int, n: int) -> float:
    """In rationals: the terms of the polynomial alternate in sign."""
    return float(isotropic_risk(k).subs({nt.d: d, nt.n: n, c: sp.Rational(value)}))


def simulated(value: float, d: int, n: int) -> tuple[list[float], list[float]]:
    """Mean of ‖(I − cS)^k‖_F²/d at each of :data:`SIMULATED`, and its standard error."""
    S = sample_prompts(torch.eye(d, dtype=torch.float64), n, PROMPTS, seeded(0, "cpu")).S
    shrink = 1 - value * torch.linalg.eigvalsh(S)
    powers = torch.stack([(shrink ** (2 * k)).mean(-1) for k in SIMULATED])
    return powers.mean(-1).tolist(), (powers.std(-1) / PROMPTS**0.5).tolist()


def table(d: int, n: int) -> Table:
    """Risk per dimension by training and test depth; the least of each row in bold."""
    found = Table(
        "fixed point", "c", *(f"k′ = {k}" for k in DEPTHS), title=f"risk/d, A = I, d = {d}, n = {n}"
    )
    for curve in curves(d, n):
        cells = [f"{risk:.3g}" for risk in curve.risks]
        least = int(np.argmin(curve.risks))
        cells[least] = f"[bold]{cells[least]}[/bold]"
        found.add_row(curve.label, f"{curve.c:.4f}", *cells)
    return found


def figure(d: int, n: int, path: Path) -> None:
    """Write the figure to ``path``; its suffix is the format."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    axes = plt.figure(figsize=(6.4, 4.2), layout="constrained").subplots()
    for place, curve in enumerate(curves(d, n)):
        colour = f"C{place}"
        style = "-" if curve.trained else "--"
        axes.plot(list(DEPTHS), curve.risks, style, color=colour, label=curve.label)
        if curve.trained:
            axes.plot(
                curve.trained, curve.risks[curve.trained - 1], "s", color=colour, markersize=9, mfc="none"
            )
        means, errors = simulated(curve.c, d, n)
        axes.errorbar(list(SIMULATED), means, [2 * e for e in errors], fmt=".", color=colour, capsize=2)
    axes.set(
        yscale="log",
        xlabel="steps at test, $k'$",
        ylabel=r"$\mathbb{E}\Vert\hat w_{k'}-w^*\Vert^2/d$",
        title=f"Risk beyond the trained depth (squares), $A=I$, $d={d}$, $n={n}$",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    plt.gcf().savefig(path, dpi=150)
    plt.close("all")
