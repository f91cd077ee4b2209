"""The pretrained model's error and miss, from which Err(Ṽ) starts: no randomness, extrapolated in d."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from verify.checks.risk_curve import WIDE, Task, initial_error, sized
from verify.ledger.evidence import Evidence


def _level(of: Task, d: int) -> float:
    at = sized(of, d)
    return float(1 - at.inverse[0] * at.Sigma[0])


def initial_miss(prediction: Sequence[float], tasks: Sequence[Task], form: str = "printed") -> Evidence:
    """The level of I − Γ₀⁻¹Σ on the first block, extrapolated as in :func:`start`."""
    return _deterministic(_level, prediction, tasks, form)


def miss_bound(
    prediction: Sequence[float], sign: int, tasks: Sequence[Task], form: str = "printed"
) -> Evidence:
    """Whether the square of that level is above ``prediction`` (``sign`` = 1) or below, by the 1e-3 at least
    that the extrapolation leaves."""
    found = np.array([(2 * _level(of, 2 * WIDE) - _level(of, WIDE)) ** 2 for of in tasks])
    apart, delta = sign * (found - np.array(prediction)), 1e-3
    outcome = "agrees" if (apart > delta).all() else "differs" if (apart < -delta).any() else "undecided"
    text = f"d = {WIDE}, {2 * WIDE}; {'; '.join(of.text for of in tasks)}"
    measured = f"squares {', '.join(f'{x:.3g}' for x in found)}"
    return Evidence("scaling", outcome, measured, text, delta, form=form)


def start(prediction: Sequence[float], tasks: Sequence[Task], form: str = "printed") -> Evidence:
    """Err(−Γ₀⁻¹), extrapolated from d = 192 and 384, no randomness; what is left is of order 1/d²."""
    return _deterministic(lambda of, d: initial_error(sized(of, d)), prediction, tasks, form)


def _deterministic(
    at: Callable[[Task, int], float], prediction: Sequence[float], tasks: Sequence[Task], form: str
) -> Evidence:
    found = np.array([2 * at(of, 2 * WIDE) - at(of, WIDE) for of in tasks])
    worst, delta = float(np.abs(found / np.array(prediction) - 1).max()), 1e-3
    text = f"d = {WIDE}, {2 * WIDE}; {'; '.join(of.text for of in tasks)}"
    outcome = "agrees" if worst < delta else "differs"
    return Evidence("scaling", outcome, f"rel. dev. {worst:.1e}", text, delta, form=form)
