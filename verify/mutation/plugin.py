"""pytest plugin: each test runs once as it is, and once more for every mutant of its statements.

``-p verify.mutation.plugin`` with ``--mutants N`` (at most N for each form, all by default) and
``--mutants-out FILE``.  Nothing is judged; what each check found is compared with what it found
on the formula as it is registered.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from theory.statement import registry
from verify.ledger import load_statements
from verify.ledger.evidence import Evidence
from verify.mutation.draws import remembered_calls, shared_draws
from verify.mutation.mutants import Mutant, claims, mutants
from verify.mutation.tamper import Theory, imported_with
from verify.mutation.values import equal, well_formed
from verify.plugin import RUN

CALLED = imported_with(load_statements, "/theory/")
PATIENCE = 10.0  # times as long as on the registered formula; who does not come back has noticed nothing
FORMS = {"printed": ("printed", "condition"), "corrected": ("corrected",)}


class Notes:
    """Takes evidence as the ledger does, and keeps it."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Evidence]] = []

    def record(self, id: str, evidence: Evidence) -> None:
        self.found.append((id, evidence))

    def of(self, id: str) -> list[Evidence]:
        return [e for i, e in self.found if i == id]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mutants")
    group.addoption("--mutants", type=int, default=0, help="at most so many mutants of each form (0: all)")
    group.addoption("--mutants-out", help="file for what was found, as JSON")


def chosen(id: str, form: str, limit: int) -> tuple[list[Mutant], int, int]:
    """(mutants to try, how many there are, how many more are equal to the original).

    Those to try are drawn by the statement's id where there are more than ``limit``.
    """
    statement = registry()[id]
    found = [m for m in mutants(claims(statement)[form]) if well_formed(m.new)]
    total = len(found)
    if limit and total > limit:
        found = random.Random(f"{id} {form}").sample(found, limit)
    different = [m for m in found if not equal(m.side, m.new)]
    return different, total, len(found) - len(different)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """TimeoutError after so much time of the processor; other programs may be busy beside this one."""

    def ring(number: int, frame: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Mutation:
    """What the mutants did to the checks of each test."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.theory: Theory | None = None
        self.mutants: dict[tuple[str, str], tuple[list[Mutant], int, int]] = {}
        self.results: list[dict[str, Any]] = []

    def run(self, item: pytest.Function, ids: tuple[str, ...]) -> None:
        self.theory = self.theory or Theory(CALLED)
        names = inspect.signature(item.obj).parameters
        args = {name: item.funcargs[name] for name in names if name in item.funcargs}
        with shared_draws(), remembered_calls("numerics"):
            self.theory.forget()
            started = time.process_time()
            before = self._found(item, args, 3600)
            self.once = time.process_time() - started
            limit = 2 + PATIENCE * self.once
            if isinstance(before[1], str):
                raise AssertionError(f"the test does not pass as it is: {before[1]}")
            for id in ids:
                if before[0].of(id):
                    self._mutate(item, args, id, before[0].of(id), limit)

    def _found(self, item: pytest.Function, args: dict[str, Any], limit: float) -> tuple[Notes, str | None]:
        notes = Notes()
        if "ledger" in args:
            args = {**args, "ledger": notes}
        try:
            with _alarm(limit):
                item.obj(**args)
        except Exception as error:
            return notes, f"{type(error).__name__}: {str(error)[:120]}"
        return notes, None

    def _mutate(
        self, item: pytest.Function, args: dict[str, Any], id: str, before: list[Evidence], limit: float
    ) -> None:
        assert self.theory is not None
        for form in claims(registry()[id]):
            if (id, form) not in self.mutants:
                self.mutants[id, form] = chosen(id, form, self.limit)
            watched = [at for at, e in enumerate(before) if e.form in FORMS[form] and e.outcome == "agrees"]
            killed: dict[str, list[int]] = {}
            stopped: dict[str, str] = {}
            read: dict[sp.Basic, list[bool]] = {}  # by side
            started = time.process_time()
            for at, mutant in enumerate(self.mutants[id, form][0]):
                tried = read.setdefault(mutant.side, [])
                if len(tried) >= 2 and not any(tried):
                    continue  # the test does not read this part of the form
                self.theory.read = False
                with self.theory.with_mutant(id, form, mutant):
                    notes, error = self._found(item, args, limit)
                tried.append(self.theory.read)
                after = notes.of(id)
                kills = [j for j in watched if j < len(after) and after[j].outcome != "agrees"]
                if kills:
                    killed[str(at)] = kills
                if error:
                    stopped[str(at)] = error
            self.results.append(
                {
                    "id": id,
                    "form": form,
                    "test": item.nodeid,
                    "read": any(map(any, read.values())),
                    "checks": {str(j): [before[j].kind, before[j].regime] for j in watched},
                    "killed": killed,
                    "stopped": stopped,
                    "seconds": round(time.process_time() - started, 2),
                    "once": round(self.once, 2),
                }
            )


KEY = pytest.StashKey[Mutation]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = Mutation(config.getoption("--mutants"))


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[RUN].tests = {}  # this run judges nothing


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    ids = tuple(dict.fromkeys(i for mark in pyfuncitem.iter_markers("statements") for i in mark.args))
    if not ids:
        return None
    pyfuncitem.config.stash[KEY].run(pyfuncitem, ids)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    mutation = session.config.stash[KEY]
    path = session.config.getoption("--mutants-out")
    if path:
        forms = {
            f"{id} {form}": {"names": [m.name for m in found], "total": total, "equal": same}
            for (id, form), (found, total, same) in mutation.mutants.items()
        }
        worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / f"{worker}.json").write_text(
            json.dumps({"forms": forms, "results": mutation.results}, indent=1)
        )
