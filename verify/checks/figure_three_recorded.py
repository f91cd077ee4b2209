"""Figure 3's caption judged from the table of a run of ``lsatheory figure 3``, which takes half an hour.

Nothing is drawn here, so that α is 0: the intervals of :mod:`verify.checks.figure_three` are 95 % ones over
the runs of the table, and the evidence says so.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from theory.errors import ArgumentError
from verify.checks.figure_three import (
    AXES,
    FLAT,
    LEVEL,
    NOT_SUPPORTED,
    SUPPORTED,
    UNSETTLED,
    Array,
    Gate,
    Panel,
    trend,
    turning,
)
from verify.ledger.evidence import Evidence

OUTCOMES = {SUPPORTED: "agrees", NOT_SUPPORTED: "differs", UNSETTLED: "undecided"}
Place = tuple[str, int, int, int]  # loss, B, n, k


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a table holds: the gate, and the test errors over those of ŵ = 0 at each place, (runs,)."""

    gate: Gate
    errors: Mapping[Place, Array]
    name: str

    def panel(self, loss: str, axis: str, centre: Mapping[str, int]) -> Panel:
        """The errors along ``axis``, B, n and k of the others being those of ``centre``."""
        held = {name: centre[name] for name in AXES if name != axis}
        found = {}
        for (of, *place), errors in self.errors.items():
            at = dict(zip(AXES, place, strict=True))
            if of == loss and all(at[name] == value for name, value in held.items()):
                found[at[axis]] = errors
        places = sorted(found)
        return Panel(loss, axis, np.array(places, dtype=float), np.array([found[x] for x in places]))


def recorded(rows: Iterable[Mapping[str, str]], steps: int, name: str) -> Recorded:
    """From the rows of :func:`verify.output.figure_three.rows`, the errors after ``steps`` generated steps.

    Raises :class:`ArgumentError` where a column is missing or the places are not all of the same runs.
    """
    places: dict[Place, dict[tuple[str, str], float]] = {}
    pretrained: dict[tuple[str, str], float] = {}
    try:
        for row in rows:
            run, place = (row["seed"], row["run"]), (row["loss"], *(int(row[x]) for x in AXES))
            places.setdefault(place, {})[run] = float(row[f"test_{steps}"])  # type: ignore[arg-type]
            pretrained[run] = float(row["pretraining"])
    except (KeyError, ValueError) as error:
        raise ArgumentError(f"table={name!r}: not that of Figure 3 ({error})") from None
    if not places or any(set(found) != set(pretrained) for found in places.values()):
        raise ArgumentError(f"table={name!r}: must have the same runs at every place, and one at least")
    order = sorted(pretrained)
    errors = {place: np.array([found[run] for run in order]) for place, found in places.items()}
    return Recorded(Gate(np.array([pretrained[run] for run in order])), errors, name)


def read(path: Path, steps: int, name: str) -> Recorded:
    """The table at ``path``; :class:`ArgumentError` where there is none, or another."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return recorded(csv.DictReader(file), steps, name)
    except OSError as error:
        raise ArgumentError(f"table={name!r}: cannot be read ({error.strerror})") from None


def caption(
    claim: Sequence[int], loss: str, axis: str, of: Recorded, centre: Mapping[str, Any], setting: str
) -> Evidence:
    """Whether the error has the course that ``claim`` says: one of a trend, two of a turn.

    Undecided where the gate is not passed: a decoder that has not learned the task says nothing.
    """
    panel, gated = of.panel(loss, axis, centre), of.gate.passed
    if len(claim) == 2:
        found, delta = turning(panel, gated, (claim[0], claim[1])), float(np.log1p(FLAT))
    else:
        found, delta = trend(claim[0], panel, gated), float(np.log2(1 + FLAT))
    places = ", ".join(f"{x:g}" for x in panel.at)
    seeds = f"{len(of.gate.risks)} seeds"
    regime = f"recorded: {of.name}, {seeds}, {setting}: {loss.upper()}, {axis} = {places}"
    measured = f"{found.measured}; {100 * LEVEL:g} % intervals over {seeds}; {of.gate}"
    return Evidence("training", OUTCOMES[found.outcome], measured, regime, delta)
