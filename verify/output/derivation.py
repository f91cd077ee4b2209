"""The derivation of a statement in the terminal: numbered steps, the rule of each, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.padding import Padding
from rich.text import Text

from theory import notation as nt
from theory.lower import latex_of
from theory.statement import Statement
from theory.words.poly import Matrix, Scalar
from verify.derivation import Derivation, derivations, note
from verify.graph import members
from verify.output.plain import plain

LONG = 400  # characters of a formula in the terminal; the rest is for --latex
MANY = 4  # formulas of one step that are shown


def formula(found: Any, as_latex: bool) -> str:
    """A formula of the theory, whatever language it is in, in one line or more."""
    latex = latex_of(found) if isinstance(found, Scalar | Matrix) else nt.latex(found)
    if as_latex:
        return latex
    text = plain(latex)
    return text if len(text) <= LONG else f"{text[:LONG]} …"


def _shown(found: tuple[Any, ...], as_latex: bool) -> str:
    parts = [formula(one, as_latex) for one in found[:MANY]]
    more = [f"and {len(found) - MANY} more"] if len(found) > MANY else []
    return ";  ".join([*parts, *more])


def _steps(found: list[Derivation], as_latex: bool) -> Iterator[Text | Padding]:
    number, seen = 0, set()
    for one in found:
        e = one.evidence
        for step in one.steps:
            if str(step) in seen:
                continue  # a step on the way to an earlier piece
            seen.add(str(step))
            number += 1
            yield Text(f"{number:3d}. {step.rule}  ").append(step.function, "dim")
            given = f"{_shown(step.given, as_latex)}  →  " if step.given else ""
            yield Padding(Text(given + _shown(step.results, as_latex)), (0, 0, 0, 7))
        outcome = f"{e.form} form, {e.regime}: {e.outcome}, {e.measured}"
        yield Padding(Text(f"⊢ {outcome}", style="bold"), (0, 0, 0, 2))


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
