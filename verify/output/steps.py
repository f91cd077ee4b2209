"""The steps of a derivation as LaTeX in JSON's types: what terminal, notes and papers show of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, TypedDict

import sympy as sp

from theory import notation as nt
from theory.errors import ArgumentError
from theory.lower import lower_matrix, lower_scalar, raise_matrix, raise_scalar
from theory.statement import Statement
from theory.words.poly import Matrix, Scalar
from verify.derivation import Derivation, Step
from verify.output.latex_macros import InLine

MANY = 4  # formulas of one step that are shown
LARGE = 300  # operations: whether more is the same as a side of the print takes long to find out
TIMES = 3  # and times that one rule is applied in a row


class Taken(TypedDict):
    """A rule applied once or more in a row: pairs of what went in and what came out, as LaTeX; ``more``
    times than shown.  None is a formula too long to be read."""

    rule: str
    function: str
    pairs: list[tuple[list[str | None], list[str | None]]]
    more: int


class Reached(TypedDict):
    """What the steps before it establish: a piece of the evidence."""

    form: str
    regime: str
    outcome: str
    measured: str


def established(entry: Reached) -> str:
    """What the steps before it establish, in a line."""
    return f"{entry['form']} form, {entry['regime']}: {entry['outcome']}, {entry['measured']}"


def latex(found: Any) -> str:
    """A formula of the theory in one line, whatever language it is in."""
    if isinstance(found, Scalar):
        found = raise_scalar(found)
    elif isinstance(found, Matrix):
        found = raise_matrix(found)
    return str(InLine(nt.SETTINGS).doprint(found))


def _shown(found: tuple[Any, ...], longest: int) -> list[str | None]:
    shown: list[str | None] = []
    for one in found[:MANY]:
        text = latex(one)
        shown.append(text if len(text) <= longest else None)
    return shown + ([None] if len(found) > MANY else [])


def _taken(group: list[Step], longest: int) -> Taken:
    pairs = [(_shown(one.given, longest), _shown(one.results, longest)) for one in group[:TIMES]]
    first = group[0]
    return Taken(rule=first.rule, function=first.function, pairs=pairs, more=max(0, len(group) - TIMES))


def steps(found: list[Derivation], longest: int) -> Iterator[Taken | Reached]:
    """The steps in their order, each once, and behind those of each piece of evidence what they establish;
    of formulas of more than ``longest`` characters None."""
    seen: set[str] = set()  # matrices have no hash
    for one in found:
        new = [step for step in one.steps if str(step) not in seen]  # the others led to an earlier piece
        seen.update(map(str, new))
        for _, group in itertools.groupby(new, lambda step: (step.function, step.rule)):
            yield _taken(list(group), longest)
        e = one.evidence
        yield Reached(form=e.form, regime=e.regime, outcome=e.outcome, measured=e.measured)


def _sides(judged: Any) -> list[Any]:
    """The expressions that a statement relates, however they are grouped."""
    parts = getattr(judged, "args", ())  # None has none, nor has a number of Python's within
    return [side for part in parts for side in ([part] if isinstance(part, sp.Expr) else _sides(part))]


def _equal(found: Any, side: Any) -> bool:
    """The two are one and the same, and are not written the same way."""
    try:
        if isinstance(found, Matrix) and side.is_Matrix:
            same = found.equals(lower_matrix(side))
        elif isinstance(found, Scalar) and not side.is_Matrix:
            same = found.equals(lower_scalar(side))
        elif isinstance(found, sp.Expr) and not side.is_Matrix and found.free_symbols == side.free_symbols:
            if sp.count_ops(found) > LARGE:
                return False
            same = sp.cancel(found - side) == 0
        else:
            return False
    except (ArgumentError, AttributeError, TypeError, ValueError):
        return False  # the algebra cannot read the side
    return bool(same) and latex(found) != latex(side)


def derived_form(statement: Statement, found: list[Derivation]) -> str | None:
    """A side of the judged form as the derivation wrote it, the last such; None where it wrote none."""
    for one in reversed(found):
        if one.evidence.outcome == "agrees":
            corrected = one.evidence.form == "corrected"
            sides = _sides(statement.corrected if corrected else statement.printed)
            for step in reversed(one.steps):
                for result in step.results:
                    if any(_equal(result, side) for side in sides):
                        return latex(result)
    return None
