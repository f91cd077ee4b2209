"""What Figure 4's caption says of its panels, measured on the experiment: trends, and where they turn.

Errors are compared run by run: all configurations of a panel train and test on the same draws, so that what
a run's prompts do to all of them alike cancels in the logarithm of a ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.experiments import figure_four as experiment
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
FLAT = 0.05  # of the error, between the ends of a panel or at a turn: what a reader of the print can tell
BOOTSTRAP = 2000
WORDS = {-1: "falls", 1: "rises"}


@dataclass(frozen=True)
class Panel:
    """A panel: the test error at ``values`` of ``axis``, the other settings as ``settings`` or the default.

    ``quantity`` is ``test``, after the epochs of Adam; ``converged``, at the end of L-BFGS; or ``closed``, at
    the minimiser (4.1).
    """

    loss: str
    axis: str
    values: tuple[int, ...]
    quantity: str = "test"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configs(self) -> list[dict[str, Any]]:
        # A minimum is not computed where nobody reads it, nor an epoch of Adam.
        spare = {"test": {"iterations": 0}, "converged": {"epochs": 0}}
        unread = spare.get(self.quantity, {"iterations": 0, "epochs": 0})
        base = experiment.DEFAULTS | unread | dict(self.settings) | {"loss": self.loss}
        return [base | {self.axis: value} for value in self.values]

    def __str__(self) -> str:
        of = self.configs[0]
        trained = {
            "test": f"{of['epochs']} epochs of Adam, "
            + (f"minibatches of {of['batch']}" if of["batch"] else "full batch"),
            "converged": "L-BFGS",
            "closed": "the minimiser (4.1)",
        }[self.quantity]
        others = ", ".join(f"{name}={of[name]}" for name in ("B", "n", "k") if name != self.axis)
        lengths = f", n_pre={of['n_pre']}" if of["n_pre"] else ""
        at = ", ".join(map(str, self.values))
        shift = "Δ_ii = 1 for all i" if of["basis"] == "rotated" else "Δ a projection"
        return (
            f"{self.loss.upper()}, {of['model']}, {trained}: {self.axis} = {at} at d={of['d']}, "
            f"{others}{lengths}, rank Δ={of['rank']}, {shift}, {of['runs']} runs"
        )

    def log_errors(self, seed: int) -> Array:
        """(runs, p)."""
        short = seed % 2**40  # the experiment has streams of its own for each seed, 2²² apart
        errors = [_errors(tuple(sorted(config.items())), self.quantity, short) for config in self.configs]
        return np.log(np.array(errors).T)


@cache
def _errors(config: tuple[tuple[str, Any], ...], quantity: str, seed: int) -> list[float]:
    found: list[float] = experiment.run(dict(config), seed, torch.device("cpu"))[quantity]
    return found


def slopes(panel: Panel, logs: Array) -> Array:
    """The slope of log₂ error against log₂ of the axis by least squares, run by run: (runs,)."""
    x = np.log2(np.array(panel.values, dtype=float))
    x = x - x.mean()
    return np.asarray(logs @ x / (x @ x) / np.log(2))


def trend(sign: int, panel: Panel, seed: int, profile: Profile, form: str = "printed") -> Evidence:
    """Whether the error falls (``sign`` −1), rises (1) or does neither (0) along the panel.

    The slope is in powers of 2 of the error for each doubling of the axis; one that makes :data:`FLAT` or
    less between the ends of the panel is none.
    """
    logs = panel.log_errors(seed)
    found = slopes(panel, logs)
    (half,) = half_widths(found[:, None], profile.alpha)
    slope = float(found.mean())
    delta = float(np.log2(1 + FLAT) / np.log2(panel.values[-1] / panel.values[0]))
    if sign:
        outcome = "agrees" if sign * slope - half > delta else "undecided"
        if sign * slope + half < delta:
            outcome = "differs"
    else:
        outcome = "agrees" if abs(slope) + half <= delta else "undecided"
        if abs(slope) - half > delta:
            outcome = "differs"
    change = np.exp((logs[:, -1] - logs[:, 0]).mean())
    measured = f"error × 2^({slope:+.3f} ± {half:.2g}) per doubling of {panel.axis}, last/first {change:.3g}"
    return Evidence("training", outcome, measured, str(panel), delta, profile.alpha, form)


def turning(
    claim: tuple[int, int], panel: Panel, seed: int, profile: Profile, form: str = "printed"
) -> Evidence:
    """Whether the error first goes the way of the first of ``claim`` and then that of the other.

    It does if from the first value to some interior one, and from there to the last, it changes that way by
    more than :data:`FLAT`; it does not if at none of them.  All differences from the ends hold together.
    """
    logs = panel.log_errors(seed)
    inner = logs[:, 1:-1]
    differences = np.concatenate(
        [claim[0] * (inner - logs[:, :1]), claim[1] * (logs[:, -1:] - inner)], axis=1
    )
    means, halves = differences.mean(axis=0), half_widths(differences, profile.alpha)
    low, high, delta = means - halves, means + halves, float(np.log1p(FLAT))
    places = inner.shape[1]
    turns = (low[:places] > delta) & (low[places:] > delta)
    straight = (high[:places] < delta) | (high[places:] < delta)
    outcome = "agrees" if turns.any() else "differs" if straight.all() else "undecided"
    extreme, (first, last) = position(panel, claim[1] * logs)
    at = panel.values.index(extreme)
    ends = [np.exp((logs[:, end] - logs[:, at]).mean()) for end in (0, -1)]
    measured = (
        f"{'least' if claim[1] > 0 else 'largest'} at {panel.axis} = {extreme} (95 % of bootstraps: "
        f"{first} to {last}), first and last {ends[0]:.3g} and {ends[1]:.3g} times that"
    )
    regime = f"{WORDS[claim[0]]}, then {WORDS[claim[1]]}? {panel}"
    return Evidence("training", outcome, measured, regime, delta, profile.alpha, form)


def position(panel: Panel, logs: Array) -> tuple[int, tuple[int, int]]:
    """Where the mean over the runs is least, and between which values it is in 95 % of bootstraps."""
    runs = len(logs)
    drawn = np.random.default_rng(0).integers(runs, size=(BOOTSTRAP, runs))
    places = logs[drawn].mean(axis=1).argmin(axis=1)
    low, high = np.quantile(places, (0.025, 0.975), method="nearest")
    at = int(logs.mean(axis=0).argmin())
    return panel.values[at], (panel.values[int(low)], panel.values[int(high)])
