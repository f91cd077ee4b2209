"""What hangs on what: the statements as a graph, and what becomes of it where one of them is refuted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from theory.errors import ArgumentError, shown
from theory.statement import ELSEWHERE, Statement

WRONG = ("refuted", "misprint")
# What becomes of a statement under one that is wrong, worst first.
FATES = ("falls", "holds under a condition", "needs another proof", "stands", "not judged")


def members(id: str, ids: Iterable[str]) -> list[str]:
    """The statements that ``id`` names: itself, else its lettered parts, else those that begin with it and a
    dash (``prop-B.2`` names ``prop-B.2-i.a``)."""
    known = list(ids)
    if id in known:
        return [id]
    lettered = [i for i in known if re.fullmatch(rf"{re.escape(id)}\.[a-z]", i)]
    return lettered or [i for i in known if i.startswith(f"{id}-")]


@dataclass(frozen=True)
class Graph:
    """The statements by id, in the paper's order, and their verdicts (none for what was never judged)."""

    statements: Mapping[str, Statement]
    verdicts: Mapping[str, str]

    @cached_property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """By id, the statements that it depends on."""
        return {i: self._all(s.depends_on) for i, s in self.statements.items()}

    @cached_property
    def hits(self) -> dict[str, tuple[str, ...]]:
        """By id, the statements that fail, change or lose their proof as it is wrong: its consequences."""
        return {i: self._all(s.consequences) for i, s in self.statements.items()}

    @cached_property
    def used_by(self) -> dict[str, tuple[str, ...]]:
        """By id, the statements that depend on it."""
        found: dict[str, list[str]] = {i: [] for i in self.statements}
        for i, needed in self.uses.items():
            for one in needed:
                found[one].append(i)
        return {i: tuple(of) for i, of in found.items()}

    def _all(self, ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(i for id in ids for i in members(id, self.statements)))

    def check(self, id: str) -> str:
        """``id`` if it is a statement's; else raises :class:`ArgumentError`."""
        if id not in self.statements:
            parts = ", ".join(members(id, self.statements))
            must = f"be one of {parts}" if parts else "be the id of a statement (`lsatheory ledger` has them)"
            raise ArgumentError(f"id={shown(id)}: must {must}")
        return id

    def below(self, id: str) -> list[str]:
        """All that depends on ``id``, directly or not, or is a consequence on the way; nearest first."""
        return self._reached(id, lambda i: (*self.used_by[i], *self.hits[i]))

    def reached(self, id: str) -> list[str]:
        """All that depends on ``id``, directly or not; nearest first."""
        return self._reached(id, lambda i: self.used_by[i])

    def above(self, id: str) -> list[str]:
        """All that ``id`` depends on, directly or not; nearest first."""
        return self._reached(id, lambda i: self.uses[i])

    def _reached(self, id: str, neighbours: Callable[[str], Iterable[str]]) -> list[str]:
        found, queue = {id}, [id]
        for one in queue:
            for other in neighbours(one):
                if other not in found:
                    found.add(other)
                    queue.append(other)
        return queue[1:]

    def fate(self, id: str, of: str) -> str:
        """What becomes of the statement ``of``, below ``id``, as ``id`` is wrong: one of :data:`FATES`.

        A verdict rests on the statement's own evidence and on no other verdict.  So one that is borne out
        stays so: where its proof in print uses something wrong, it is the proof that is lost.
        """
        verdict = self.verdicts.get(of, "open")
        if verdict in WRONG:
            return "falls"
        if verdict == "confirmed-if":
            return "holds under a condition"
        if verdict not in ("confirmed", "supported"):
            return "not judged"
        if self.statements[of].source in ELSEWHERE:
            return "stands"  # not the paper's: nothing in its print proves it
        wrong = {i for i in self.statements if self.verdicts.get(i) in WRONG} | {id}
        return "needs another proof" if wrong.intersection(self.uses[of]) else "stands"

    def fates(self, id: str) -> dict[str, list[str]]:
        """What is below ``id`` by its fate, worst first; fates that nothing has are left out."""
        found = {fate: [i for i in self.below(id) if self.fate(id, i) == fate] for fate in FATES}
        return {fate: ids for fate, ids in found.items() if ids}

    def sources(self) -> list[str]:
        """Where errors enter: what is wrong though nothing is that it depends on, at any distance."""
        wrong = [i for i in self.statements if self.verdicts.get(i) in WRONG]
        return [i for i in wrong if not any(self.verdicts.get(j) in WRONG for j in self.above(i))]

    def layers(self, ids: Iterable[str]) -> list[list[str]]:
        """``ids`` in layers, each behind all that it depends on; :class:`ArgumentError` for a cycle."""
        chosen = dict.fromkeys(ids)
        depth: dict[str, int] = {}
        left = list(chosen)
        while left:
            ready = [i for i in left if all(j in depth for j in self.uses[i] if j in chosen)]
            if not ready:
                raise ArgumentError(f"depends_on: {', '.join(left)} depend on each other, must not")
            for i in ready:
                depth[i] = 1 + max((depth[j] for j in self.uses[i] if j in chosen), default=-1)
            left = [i for i in left if i not in depth]
        return [
            [i for i in chosen if depth[i] == level] for level in range(max(depth.values(), default=-1) + 1)
        ]
