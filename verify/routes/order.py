"""Which assignments a use of a variable may see, from the order of the statements."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class Place:
    """A statement: its number in the order of the source, the blocks that it is in with its number in each,
    and the first and last statement of the outermost loop around it."""

    number: int
    path: tuple[tuple[int, int], ...] = ()
    loop: tuple[int, int] | None = None

    def after(self, other: Place) -> bool:
        """Whether ``other`` has always run before."""
        block, index = other.path[-1]
        return any(block == mine and index < at for mine, at in self.path)

    def in_body(self) -> Place:
        """Where a loop sets its variable: before the first statement of its body."""
        return replace(self, path=(*self.path, (-self.number, -1)))


def places(function: ast.FunctionDef) -> dict[ast.AST, Place]:
    """The place of everything in a function; that of a function inside it for what is in the latter."""
    found: dict[ast.AST, Place] = {}
    count = 0

    def visit(statements: Sequence[ast.AST], block: int, outer: Place) -> None:
        nonlocal count
        for index, statement in enumerate(statements):
            count += 1
            at = Place(count, (*outer.path, (block, index)), outer.loop)
            nested = not isinstance(statement, ast.FunctionDef | ast.ClassDef)
            inner = [getattr(statement, name, []) for name in _BLOCKS] if nested else []
            if isinstance(statement, ast.For | ast.While) and at.loop is None:
                size = sum(isinstance(x, ast.stmt | ast.ExceptHandler) for x in ast.walk(statement))
                at = replace(at, loop=(count, count + size))
            found.update(dict.fromkeys(ast.walk(statement), at))
            for number, each in enumerate(inner):
                if isinstance(each, list) and each:
                    # The body of a loop has the number by which Place.in_body knows it.
                    visit(each, -at.number if number == 0 else 1000 * at.number + number, at)

    visit(function.body, 0, Place(0))
    return found


def reaching(sets: Sequence[tuple[Place, bool]], use: Place) -> list[bool]:
    """Which of the assignments a use may see; each with whether it surely sets the whole variable."""
    last = max((at.number for at, sure in sets if sure and use.after(at)), default=-1)
    end = use.number
    if use.loop and last < use.loop[0]:
        end = max(end, use.loop[1])
    return [last <= at.number <= end for at, _ in sets]
