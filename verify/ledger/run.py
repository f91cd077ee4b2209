"""A run of the checks: the evidence that it collects, and the rows that it can judge from it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from theory.errors import ArgumentError
from theory.statement import Statement
from verify.ledger import store
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

PARTIAL = "partial"  # shown in place of a verdict that the run cannot give


@dataclass
class Run:
    """What is known of the run in progress.

    ``tests`` maps a test to the ids of its marker; ``missing`` are ids that a test left out of this
    run gives evidence for; ``full`` says that no test was left out.  A test is ``broken`` when it
    failed or was skipped: it did not make its checks.
    """

    profile: Profile
    base_seed: int
    statements: dict[str, Statement] = field(default_factory=dict)
    tests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    full: bool = False
    passed: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    evidence: dict[str, list[Evidence]] = field(default_factory=dict)
    rows: list[store.Row] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    written: bool = False
    started: float = field(default_factory=time.perf_counter)
    clock: float = 0.0

    def began(self) -> bool:
        """Whether any test with a marker was run."""
        return not self.tests.keys().isdisjoint(self.passed | self.broken)

    def judge(self) -> None:
        """Fill ``rows``, in the registry's order: all statements in a full run, else those tested.

        A statement with a test that did not pass is open; one with a test that was left out, or that
        an interruption kept from running, is shown as partial.
        """
        unfinished = self.tests.keys() - self.passed - self.broken
        self.full = self.full and not unfinished
        missing = self.missing.union(*(self.tests[t] for t in unfinished))
        tested = {i for ids in self.tests.values() for i in ids}
        failed = {i for t in self.broken & self.tests.keys() for i in self.tests[t]}
        for i, statement in self.statements.items():
            if i in tested or self.full:
                row = store.row(statement, self.evidence.get(i, []))
                if i in missing:
                    row["verdict"] = PARTIAL
                elif i in failed:
                    row["verdict"] = "open"
                self.rows.append(row)

    def judged(self) -> list[store.Row]:
        """The rows with a verdict."""
        return [row for row in self.rows if row["verdict"] != PARTIAL]

    def compare(self) -> None:
        """Fill ``stale``: how the judged rows differ from the committed ones."""
        judged = self.judged()
        ids = {row["id"] for row in judged}
        committed = store.load(store.committed_path())
        self.stale = store.stale(judged, (row for row in committed if self.full or row["id"] in ids))


class Recorder:
    """What the ``ledger`` fixture gives a test: :meth:`record`."""

    def __init__(self, run: Run, test: str) -> None:
        self._run = run
        self._marked = run.tests.get(test, ())

    def record(self, id: str, evidence: Evidence) -> None:
        """Keep ``evidence`` for statement ``id``, with the time since the test began or last recorded.

        Raises :class:`ArgumentError` for an id that is not registered or not in the test's marks.
        """
        if id not in self._run.statements:
            raise ArgumentError(f"id={id!r}: unknown statement, known are {', '.join(self._run.statements)}")
        if id not in self._marked:
            raise ArgumentError(f"id={id!r}: must be in the test's marks, here {', '.join(self._marked)}")
        now = time.perf_counter()
        self._run.evidence.setdefault(id, []).append(replace(evidence, seconds=now - self._run.clock))
        self._run.clock = now
