r"""A recorded derivation as LaTeX: a piece to ``\input`` behind the statement."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from verify.output.derivations import Recorded
from verify.output.latex import unnumbered
from verify.output.latex_break import QUAD, TEXT, fits
from verify.output.latex_macros import with_macros
from verify.output.latex_prose import prose
from verify.output.steps import Taken, established

_LONG = r"\text{(long)}"


def _name(function: str) -> str:
    return re.sub(r"([._])", r"\1\\allowbreak ", function).replace("_", r"\_")


def _readable(latex: str | None, symbols: Mapping[str, str], width: float) -> str:
    room = width - 4 * QUAD  # for the arrow and what is before it
    return latex if latex is not None and fits(with_macros(latex), symbols, room) else _LONG


def _step(number: int, step: Taken, symbols: Mapping[str, str], width: float) -> str:
    out = rf"\lsaderivationstep{{{number}}}{{{prose(step['rule'])}}}{{{_name(step['function'])}}}" + "\n"
    for pair in step["pairs"]:
        sides = [[_readable(one, symbols, width) for one in side] for side in pair if side]
        if any(one != _LONG for side in sides for one in side):
            out += unnumbered(r" \to ".join(map(r",\quad ".join, sides)), symbols, width)
    if step["more"]:
        out += rf"\lsaderivationmore{{{step['more']}}}" + "\n"
    return out


def derivation_tex(id: str, found: Recorded, symbols: Mapping[str, str], width: float = TEXT) -> str:
    """The derivation of ``id`` as numbered steps, each with its rule and the formulas that it gave."""
    out, number = rf"\lsaderivation{{{id}}}" + "\n", 0
    entry: Any
    for entry in found["steps"]:
        if "rule" in entry:
            number += 1
            out += _step(number, entry, symbols, width)
        else:
            out += rf"\lsaderivationend{{{prose(established(entry))}}}" + "\n"
    return out
