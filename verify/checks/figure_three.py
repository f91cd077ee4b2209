"""What Figure 3's caption says of its panels, judged on trained decoders: supported, not, or neither.

The criteria are those of Figure 4 (:mod:`verify.checks.figure_four`), but that a trend is one of FLAT for
each doubling of the axis, where there it is one of FLAT between the ends of a panel.  The intervals are
Student's over the runs, of logarithms of ratios of one run's errors on one set of test prompts, and hold at
95 % for each claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from theory.errors import ArgumentError
from verify.checks.figure_four import FLAT

Array = NDArray[np.float64]
LEVEL = 0.95
ENOUGH = 0.5  # of the zero predictor's risk: a decoder above has not learned the task
SUPPORTED, NOT_SUPPORTED, UNSETTLED = "supported", "not supported", "cannot be settled"
AXES = ("B", "n", "k")
TURNS, FALLS, RISES, STAYS = "falls, then rises", "falls", "rises", "is flat"
# The caption: loss, axis, claim.
CLAIMS = (
    ("sft", "B", TURNS),
    ("sft", "n", TURNS),
    ("sft", "k", STAYS),
    ("os", "B", FALLS),
    ("os", "n", FALLS),
    ("os", "k", RISES),
)


@dataclass(frozen=True, eq=False)
class Panel:
    """Test errors along an axis over those of ŵ = 0: ``at`` (p,), rising, and ``errors`` (p, runs)."""

    loss: str
    axis: str
    at: Array
    errors: Array

    @property
    def logs(self) -> Array:
        """(runs, p)."""
        return np.log(self.errors.T)


@dataclass(frozen=True)
class Finding:
    """``outcome`` of the claim about a panel, and the numbers it rests on."""

    panel: str
    claim: str
    outcome: str
    measured: str


@dataclass(frozen=True, eq=False)
class Gate:
    """What pretraining reached: risks relative to that of ŵ = 0, (runs,), over all lengths of its prompts."""

    risks: Array

    @property
    def passed(self) -> bool:
        """Has every run's decoder learned the task?"""
        return bool((self.risks <= ENOUGH).all())

    def __str__(self) -> str:
        said = "at most" if self.passed else "not at most"
        return (
            f"pretrained risk on pretraining data {self.risks.mean():.3f} of the zero predictor's "
            f"(worst of {len(self.risks)} runs {self.risks.max():.3f}): {said} {ENOUGH:g}"
        )


def gate(results: Iterable[Mapping[str, Any]], config: Mapping[str, Any]) -> Gate:
    """After the chain of thought of pretraining, all its steps generated."""
    risks = [result["pretrained"]["pre_lengths"] for result in results]
    return Gate(np.concatenate([np.array(r)[:, -1] for r in risks]) / config["d"])


def panel(
    results: Iterable[Mapping[str, Any]], config: Mapping[str, Any], loss: str, axis: str, own: str = ""
) -> Panel:
    """The errors after ``k_test`` generated steps; ``results`` are of one configuration at several seeds.

    ``own``: "length" for test prompts of the length of the centre along n, "steps" for k generated steps
    along k.
    """
    found = []
    for result in results:
        centre = {name: config[name] for name in AXES if name != axis}
        chosen = [
            point
            for point in result["points"]
            if point["loss"] == loss and all(point[name] == value for name, value in centre.items())
        ]
        chosen.sort(key=lambda point: float(point[axis]))
        name = "test_centre" if own == "length" else "test"
        steps = [point["k"] if own == "steps" else config["k_test"] for point in chosen]
        errors = [np.array(point[name])[:, s - 1] for point, s in zip(chosen, steps, strict=True)]
        found.append(([point[axis] for point in chosen], np.array(errors)))
    at = np.array(found[0][0], dtype=float)
    if len(at) < 2 or any(places != found[0][0] for places, _ in found):
        raise ArgumentError(f"results: must have the same two or more values of {axis} for each seed")
    return Panel(loss, axis, at, np.concatenate([errors for _, errors in found], axis=1) / config["d"])


def intervals(samples: Array) -> tuple[Array, Array]:
    """Means (p,) of ``samples`` (runs, p), and half widths at which Student's intervals hold for all p."""
    runs, p = samples.shape
    if runs < 2:
        raise ArgumentError(f"runs={runs}: must be at least 2 for an interval")
    t = float(stdtrit(runs - 1, 1 - (1 - LEVEL) / (2 * p)))
    return samples.mean(axis=0), t * samples.std(axis=0, ddof=1) / runs**0.5


def trend(sign: int, of: Panel, gated: bool = True) -> Finding:
    """Does the error fall (−1), rise (1) or stay (0) along the panel, per doubling of the axis?"""
    x = np.log2(of.at)
    x = x - x.mean()
    slopes = of.logs @ x / (x @ x) / np.log(2)
    (mean,), (half,) = intervals(slopes[:, None])
    delta = float(np.log2(1 + FLAT))
    low, high = mean - half, mean + half
    if sign:
        low, high = (low, high) if sign > 0 else (-high, -low)
        yes, no = low > delta, high < delta
    else:
        yes, no = -delta <= low and high <= delta, low > delta or high < -delta
    last = np.exp((of.logs[:, -1] - of.logs[:, 0]).mean())
    measured = f"error × 2^({mean:+.3f} ± {half:.3f}) per doubling of {of.axis}, last/first {last:.3g}"
    return _finding(of, {-1: FALLS, 0: STAYS, 1: RISES}[sign], bool(yes), bool(no), measured, gated)


def turning(of: Panel, gated: bool = True, signs: tuple[int, int] = (-1, 1)) -> Finding:
    """Does the error fall to some interior value and rise from there?  Not if at none by :data:`FLAT`.

    Other ``signs`` ask for another course: (1, 1) whether it rises, and from there rises again.
    """
    if len(of.at) < 3:
        raise ArgumentError(f"{of.axis}: must have at least three values")
    logs = of.logs
    inner = logs[:, 1:-1]
    means, halves = intervals(np.concatenate([logs[:, :1] - inner, logs[:, -1:] - inner], axis=1))
    places, delta = inner.shape[1], float(np.log1p(FLAT))
    found = np.repeat([-signs[0], signs[1]], places) * means
    low, high = found - halves, found + halves
    yes = ((low[:places] > 0) & (low[places:] > 0)).any()
    no = ((high[:places] < delta) | (high[places:] < delta)).all()
    at = 1 + int(inner.mean(axis=0).argmin())
    gains = [
        f"{end} {np.exp(means[k]):.3g} ({np.exp(means[k] - halves[k]):.3g} to "
        f"{np.exp(means[k] + halves[k]):.3g})"
        for end, k in (("first", at - 1), ("last", places + at - 1))
    ]
    measured = f"least inside at {of.axis} = {of.at[at]:g}; over it, {', '.join(gains)}"
    return _finding(of, TURNS, bool(yes), bool(no), measured, gated)


def _finding(of: Panel, claim: str, yes: bool, no: bool, measured: str, gated: bool) -> Finding:
    place = next(i for i, (loss, axis, _) in enumerate(CLAIMS) if (loss, axis) == (of.loss, of.axis))
    outcome = SUPPORTED if yes else NOT_SUPPORTED if no else UNSETTLED
    return Finding("abcdef"[place], claim, outcome if gated else UNSETTLED, measured)


def judge(results: Iterable[Mapping[str, Any]], config: Mapping[str, Any], own: str = "") -> list[Finding]:
    """The six claims; none is settled where the :class:`Gate` is not passed.  ``own``: :func:`panel`."""
    given = list(results)
    gated = gate(given, config).passed
    signs = {FALLS: -1, STAYS: 0, RISES: 1}
    found = []
    for loss, axis, claim in CLAIMS:
        of = panel(given, config, loss, axis, own)
        found.append(turning(of, gated) if claim == TURNS else trend(signs[claim], of, gated))
    return found
