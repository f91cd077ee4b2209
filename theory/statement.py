"""A statement of the paper: what is printed, what the derivation yields, where the two part."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import sympy as sp

from theory.errors import ArgumentError, shown


@dataclass(frozen=True)
class Counterexample:
    """A point, redone from scratch, at which the printed statement fails.

    ``point`` says in words what is put in; ``printed`` is what the print gives there and ``actual``
    what the definition gives, both exact.
    """

    point: str
    printed: sp.Basic
    actual: sp.Basic

    def __str__(self) -> str:
        return f"{self.point}: printed {sp.sstr(self.printed)}, true {sp.sstr(self.actual)}"


@dataclass(frozen=True)
class Statement:
    """One checkable sentence or displayed equation.

    ``printed`` is the statement as the paper prints it and ``corrected`` what the derivation yields,
    ``None`` where the print stands.  ``assumptions`` are printed; ``condition`` is what the print
    lacks.  ``consequences`` names what fails downstream because the print is wrong: it separates a
    refuted statement from a misprint.  ``qualitative`` marks a claim with no formula to be equal to.
    The verdict is not here: it is computed from the evidence.
    """

    id: str
    source: str
    title: str
    printed: sp.Basic
    corrected: sp.Basic | None = None
    assumptions: tuple[str, ...] = ()
    condition: str = ""
    counterexample: Callable[[], Counterexample] | None = None
    consequences: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    qualitative: bool = False
    note: str = ""


BEYOND = "beyond the paper"  # the source of a statement of ours
REPORTED = "arXiv:2510.03605, as reported"  # of one of the companion paper, in our words
ELSEWHERE = (BEYOND, REPORTED)  # no statement of the paper

# The paper's order, whatever the order in which the modules are imported.
_ORDER = (
    "eq-3.",
    "thm-4.1",
    "thm-4.2",
    "rem-4.1",
    "prop-4.3",
    "prop-5.1",
    "sec-5-",
    "sec-5.1-complement",
    "sec-5.1-operator",
    "sec-5.1-allocation",
    "sec-5.1-hardness",
    "insight-1",
    "sec-5.2-",
    "fig-1",
    "fig-2",
    "insight-2",
    "prop-6.1",
    "os-gradient",
    "os-vanishing",
    "eq-6.1",
    "sec-6-curvature",
    "insight-3",
    "sec-6-spectral",
    "sec-6-cases",
    "insight-4",
    "sec-6-practical",
    "sec-7",
    "fig-3",
    "fig-4",
    "lem-A.",
    "eq-A.",
    "app-B",
    "eq-B.",
    "thm-B.1",
    "fig-5",
    "prop-B.2",
    "eq-C.",
    "lem-C.",
    "app-D",
    "app-E",
    "abs-",
    "rel-pretraining",
    "rel-recursion",
    "rel-one-step",
    "rel-many-steps",
    "rel-",
    "ext-",
)
_REGISTRY: dict[str, Statement] = {}


@cache
def _place(id: str) -> tuple[int, list[tuple[int, str]]]:
    for rank, prefix in enumerate(_ORDER):
        if id.startswith(prefix):
            # eq-B.3 before eq-B.11: runs of digits by their number
            parts = re.findall(r"\d+|\D+", id)
            return rank, [(int(p), "") if p.isdigit() else (-1, p) for p in parts]
    return len(_ORDER), []  # the others behind, as registered


def register(statement: Statement) -> Statement:
    """Enter ``statement`` into the registry and return it; an id can be taken only once."""
    if statement.id in _REGISTRY:
        raise ArgumentError(f"id={statement.id!r}: already registered, an id names one statement")
    _REGISTRY[statement.id] = statement
    return statement


def registry() -> dict[str, Statement]:
    """All registered statements by id, in the paper's order: its sections, then its appendices."""
    return {id: _REGISTRY[id] for id in sorted(_REGISTRY, key=_place)}


def select(ids: tuple[str, ...] | list[str]) -> list[Statement]:
    """The statements that ``ids`` name: an id names itself and its lettered parts (``rem-4.1`` names
    ``rem-4.1.a`` and ``rem-4.1.b``, never ``rem-4.10``).  No ids: all.

    Raises :class:`ArgumentError` for an id that names none.
    """
    if not ids:
        return list(registry().values())
    chosen: dict[str, Statement] = {}
    for wanted in ids:
        found = {
            i: s
            for i, s in registry().items()
            if i == wanted or re.fullmatch(rf"{re.escape(wanted)}\.[a-z]", i)
        }
        if not found:
            known = ", ".join(registry())
            raise ArgumentError(f"id={shown(wanted)}: unknown statement, known are {known}")
        chosen.update(found)
    return list(chosen.values())
