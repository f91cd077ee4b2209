"""The derivation of a statement in the terminal: numbered steps, the rule of each, and what it rests on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.padding import Padding
from rich.text import Text

from theory.statement import Statement
from verify.derivation import Derivation, derivations, note
from verify.graph import members
from verify.output.plain import plain
from verify.output.steps import established, steps

LONG = 400  # characters of a formula in the terminal; the rest is for --latex


def _formula(latex: str | None, as_latex: bool) -> str:
    if latex is None:
        return "…"
    text = latex if as_latex else plain(latex)
    return text if as_latex or len(text) <= LONG else f"{text[:LONG]} …"


def _steps(found: list[Derivation], as_latex: bool) -> Iterator[Text | Padding]:
    number = 0
    entry: Any
    for entry in steps(found, sys.maxsize):
        if "rule" not in entry:
            yield Padding(Text(f"⊢ {established(entry)}", style="bold"), (0, 0, 0, 2))
            continue
        number += 1
        yield Text(f"{number:3d}. {entry['rule']}  ").append(entry["function"], "dim")
        for pair in entry["pairs"]:
            sides = [";  ".join(_formula(one, as_latex) for one in side) for side in pair if side]
            yield Padding(Text("  →  ".join(sides)), (0, 0, 0, 7))
        if entry["more"]:
            yield Padding(Text(f"and {entry['more']} more of the kind", style="dim"), (0, 0, 0, 7))


def parts(
    statement: Statement, statements: Mapping[str, Statement], as_latex: bool = False
) -> list[Text | Padding]:
    """The steps on the way to the statement's derivations, what it depends on, and where to read on.

    Where its tests call no function of the theory, or none without measuring, the words of the evidence are
    all there is.
    """
    found = derivations(statement.id)
    shown: list[Text | Padding] = [Text("\nderivation", style="bold")]
    shown += list(_steps(found, as_latex)) or [Text("no steps: it is settled by the evidence below")]
    needed = [statements[i] for id in statement.depends_on for i in members(id, statements)]
    if needed:
        shown.append(Text("rests on", style="bold"))
        shown += [Text(f"  {one.id}: {one.title}") for one in needed]
    if (page := note(statement.id)) is not None:
        shown.append(Text(f"read on in {page}"))
    return shown
