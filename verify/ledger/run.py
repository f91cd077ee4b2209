"""A run of the checks: the evidence that it collects, and the rows that it can judge from it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

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
    failed or was skipped: it did not make its checks.  ``recorded`` is what each test found,
    ``peak`` the memory in MiB of the largest process and ``lost`` the number of those that ended without a
    word; ``faults`` are the files that could not be read or written.
    """

    profile: Profile
    base_seed: int
    statements: dict[str, Statement] = field(default_factory=dict)
    tests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    full: bool = False
    passed: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    recorded: dict[str, list[tuple[str, Evidence]]] = field(default_factory=dict)
    peak: float = 0.0
    lost: int = 0
    rows: list[store.Row] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    written: bool = False
    started: float = field(default_factory=time.perf_counter)
    clock: float = 0.0

    def began(self) -> bool:
        """Whether any test with a marker was run."""
        return not self.tests.keys().isdisjoint(self.passed | self.broken)

    def evidence(self) -> dict[str, list[Evidence]]:
        """The evidence for each statement, in the order of the tests, whichever ran first."""
        found: dict[str, list[Evidence]] = {}
        for test in self.tests:
            for i, piece in self.recorded.get(test, ()):
                found.setdefault(i, []).append(piece)
        return found

    def share(self) -> dict[str, Any]:
        """What a worker process sends to the one that judges: this run in plain lists, for :meth:`merge`."""
        return {
            "tests": {test: list(ids) for test, ids in self.tests.items()},
            "missing": sorted(self.missing),
            "full": self.full,
            "passed": sorted(self.passed),
            "broken": sorted(self.broken),
            "recorded": {t: [[i, asdict(e)] for i, e in found] for t, found in self.recorded.items()},
            "peak": self.peak,
        }

    def merge(self, share: dict[str, Any]) -> None:
        """Take in a worker's :meth:`share`.  Every worker collects all tests and runs some of them."""
        self.tests = {test: tuple(ids) for test, ids in share["tests"].items()}
        self.missing.update(share["missing"])
        self.full = share["full"]
        self.passed.update(share["passed"])
        self.broken.update(share["broken"])
        for test, found in share["recorded"].items():
            self.recorded.setdefault(test, []).extend((i, Evidence(**e)) for i, e in found)
        self.peak = max(self.peak, share["peak"])

    def judge(self) -> None:
        """Fill ``rows``, in the registry's order: all statements in a full run, else those tested.

        A statement with a test that did not pass is open; one with a test that was left out, or that
        an interruption kept from running, is shown as partial.
        """
        unfinished = self.tests.keys() - self.passed - self.broken
        self.full = self.full and not unfinished
        missing = self.missing.union(*(self.tests[t] for t in unfinished))
        tested = {i for ids in self.tests.values() for i in ids}
        evidence = self.evidence()
        failed = {i for t in self.broken & self.tests.keys() for i in self.tests[t]}
        for i, statement in self.statements.items():
            if i in tested or self.full:
                row = store.row(statement, evidence.get(i, []))
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
        self._test = test
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
        found = self._run.recorded.setdefault(self._test, [])
        found.append((id, replace(evidence, seconds=now - self._run.clock)))
        self._run.clock = now
