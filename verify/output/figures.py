"""The figures of arXiv:2603.01293 by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from theory.errors import ArgumentError, shown
from verify.output import figure_four, figure_three, sft_figures

NUMBERS = (*sft_figures.NUMBERS[:2], 3, 4, *sft_figures.NUMBERS[2:])


def make(name: str, out: Path, workers: int, **settings: Any) -> list[Path | str]:
    """Compute the figure ``name``, as 4 or fig-4, and write it; what it says, if it does, and its files.

    ``settings`` but ``runs`` are of Figures 3 and 4, None where they have their own.  Raises
    :class:`ArgumentError` for another name, where no figure can be written, and for such a setting with
    another figure.
    """
    number = {str(n): n for n in NUMBERS}.get(name.removeprefix("fig-"))
    if number is None:
        plain, long = (", ".join(f"{prefix}{n}" for n in NUMBERS) for prefix in ("", "fig-"))
        raise ArgumentError(f"figure={shown(name)}: must be {plain} or {long}")
    given = {setting: value for setting, value in settings.items() if value is not None}
    if number == 3:
        return figure_three.make(out, workers, **given)
    if number == 4:
        return [*figure_four.make(out, workers, **given)]
    for setting, value in given.items() - {("runs", given.get("runs"))}:
        raise ArgumentError(f"{setting}={shown(value)}: must be left out, it is one of Figures 3 and 4")
    return [*sft_figures.make(number, out, workers, **given)]
