"""pytest plugin: tests record evidence, the end of the run computes the ledger and compares it.

A test under ``verify/`` carries ``@pytest.mark.statements("prop-5.1", …)`` with the ids that it gives
evidence for and calls ``ledger.record(id, evidence)``.  A test passes when its checks could be made,
whatever they found; the run is green when the verdicts are the committed ones.

A run *judges* a statement when it holds all of the statement's tests; a statement with a test that
did not pass is open.  A run with every test is *full*: it also notices statements that nobody tests
and committed rows that nobody computes, and it alone may write the ledger.

With pytest-xdist (``-n 2``) each worker sends what its tests found, and the process that started them judges.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import RenderableType
from rich.text import Text

from theory.errors import ArgumentError
from theory.statement import select
from verify import reproduce
from verify.ledger import load_statements, store
from verify.ledger.kills import committed_kills
from verify.ledger.run import Recorder, Run
from verify.output.markdown import ledger_markdown
from verify.output.table import counts, ledger_table, rendered
from verify.profiles import PROFILES, Profile, profile_named

RUN = pytest.StashKey[Run]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ledger", "ledger of statements")
    group.addoption("--profile", help=f"{', '.join(PROFILES)} (default: $LSATHEORY_PROFILE, else standard)")
    group.addoption("--base-seed", type=int, help="what all seeds derive from (0; drawn in thorough)")
    group.addoption("--statement", action="append", metavar="ID", help="run this statement's tests only")
    group.addoption("--update-ledger", action="store_true", help="write the ledger instead of comparing it")


def _option(config: pytest.Config, name: str) -> Any:
    # Where pytest meets this folder only while collecting, the options are not on the command line.
    return config.getoption(name, default=None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "statements(*ids): the statements that this test gives evidence for")
    try:
        name = _option(config, "profile") or os.environ.get("LSATHEORY_PROFILE", "standard")
        profile = profile_named(name)
    except ArgumentError as error:
        raise pytest.UsageError(str(error)) from None
    # One thread: sums come out the same on any machine, and small matrices do not wait for busy cores.
    torch.set_num_threads(1)
    config.stash[RUN] = Run(profile, reproduce.settle(config, profile).base)
    config.pluginmanager.register(reproduce, "lsatheory-reproduce")


def _folder() -> Path:
    return store.project_root() / "verify"


def _marked(item: pytest.Item) -> tuple[str, ...]:
    """The ids in the item's marks, each once."""
    return tuple(dict.fromkeys(i for mark in item.iter_markers("statements") for i in mark.args))


def _check_marks(run: Run, items: list[pytest.Item]) -> None:
    """Every test of the folder names statements, and known ones."""
    for item in items:
        ids = _marked(item)
        if not ids and _folder() in item.path.resolve().parents:
            raise pytest.UsageError(f'{item.nodeid}: lacks @pytest.mark.statements("id", …)')
        for i in ids:
            if i not in run.statements:
                raise pytest.UsageError(f"{item.nodeid}: marked with {i!r}, which is no registered statement")


def _uncollected(config: pytest.Config, items: list[pytest.Item]) -> set[Path]:
    """The test files of the folder that the command line leaves out, wholly or in part."""
    files = {item.path.resolve() for item in items}
    single = {(config.invocation_params.dir / a.split("::")[0]).resolve() for a in config.args if "::" in a}
    return set(_folder().glob("test_*.py")) - (files - single)


@pytest.hookimpl(trylast=True)  # after -k, -m and the like have deselected what they will
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    run = config.stash[RUN]
    if not any(_marked(i) or _folder() in i.path.resolve().parents for i in items):
        return
    run.statements = load_statements()
    _check_marks(run, items)
    left_out = _uncollected(config, items)
    # A file that was not collected still names its statements, in quotes.
    text = "".join(path.read_text(encoding="utf-8") for path in left_out)
    run.missing |= {i for i in run.statements if f'"{i}"' in text}
    run.full = not left_out and not run.missing
    if wanted := _option(config, "statement"):
        try:
            chosen = {s.id for s in select(wanted)}
        except ArgumentError as error:
            raise pytest.UsageError(f"--statement: {error}") from None
        config.hook.pytest_deselected(items=[i for i in items if chosen.isdisjoint(_marked(i))])
        items[:] = [i for i in items if not chosen.isdisjoint(_marked(i))]
    run.tests = {item.nodeid: _marked(item) for item in items if _marked(item)}
    if _option(config, "update_ledger") and not run.full:
        raise pytest.UsageError("--update-ledger: writes the whole ledger, so it needs all tests of verify/")


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        if ids := _marked(item):
            run = item.config.stash[RUN]
            run.missing.update(ids)
            run.full = False


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[RUN].clock = time.perf_counter()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    # By the exception itself: whatever ended a phase early (failure, skip, expected failure), the
    # test did not make its checks.
    run = item.config.stash[RUN]
    if call.excinfo is not None:
        run.broken.add(item.nodeid)
    elif call.when == "teardown":
        run.passed.add(item.nodeid)


def _peak() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    run = node.config.stash[RUN]
    if share := getattr(node, "workeroutput", {}).get("ledger"):
        run.merge(json.loads(share))
    else:
        run.lost += 1  # what it ran counts as not run


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    run = session.config.stash[RUN]
    run.peak = max(run.peak, _peak())
    if hasattr(session.config, "workeroutput"):
        # As text, since xdist sends plain types alone and a figure may be NumPy's.
        session.config.workeroutput["ledger"] = json.dumps(run.share(), default=float)
        return
    if not run.began():
        return
    run.statements = run.statements or load_statements()
    with _noted(run):
        run.judge()
    with _noted(run):
        store.save(store.last_run_path(), run.judged())
    green = session.exitstatus == pytest.ExitCode.OK
    with _noted(run):
        if _option(session.config, "update_ledger") and run.full and green and not run.faults:
            _write_ledger(run)
        else:
            run.compare()
    if (run.stale or run.lost or run.faults) and green:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@contextmanager
def _noted(run: Run) -> Iterator[None]:
    """A file that cannot be read or written is a line of the summary: the verdicts are shown all the same."""
    try:
        yield
    except ArgumentError as error:
        run.faults.append(str(error))


def _kills(run: Run) -> dict[str, str]:
    with _noted(run):
        return committed_kills()
    return {}


def _write_ledger(run: Run) -> None:
    path = store.committed_path()
    markdown = ledger_markdown(run.rows, committed_kills())
    store.write_files({path: store.dumps(run.rows), path.with_name("ledger.md"): markdown})
    run.written = True


def _totals(run: Run) -> Text:
    """Scope, time, memory and the error probability of the whole run, in two lines."""
    found = [e for pieces in run.evidence().values() for e in pieces]
    alphas = [e.alpha for e in found if e.alpha > 0]
    each = f" at α = {' or '.join(f'{a:.0e}' for a in sorted(set(alphas)))} each" if alphas else ""
    kept = "" if sum(alphas) <= run.profile.family else ": MORE THAN DECLARED"
    return Text(
        f"{'full' if run.full else 'partial'} run, profile {run.profile.name}, base seed {run.base_seed}, "
        f"{time.perf_counter() - run.started:.1f} s, peak memory of a process {run.peak:.0f} MiB\n"
        f"{len(alphas)} sampled checks{each}; probability of any error in the run at most "
        f"{sum(alphas):.2g}, declared {run.profile.family:.0e}{kept}"
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    run = config.stash[RUN]
    if not run.rows and not run.faults:
        return
    seconds = {i: sum(e.seconds for e in pieces) for i, pieces in run.evidence().items()}
    table = ledger_table(run.rows, _kills(run), seconds)
    parts: list[RenderableType] = [table, counts(run.rows), _totals(run)]
    if run.written:
        parts.append(Text(f"ledger written: {len(run.rows)} statements", style="green"))
    elif _option(config, "update_ledger"):
        why = "see below" if run.faults else "not every test passed"
        parts.append(Text(f"ledger not written: {why}", style="bold red"))
    if run.lost:
        parts.append(Text(f"{run.lost} processes ended without their evidence", style="bold red"))
    parts += [Text(line, style="bold red") for line in run.faults + run.stale]
    if run.stale:
        config.stash[reproduce.MOVED] = sorted({line.split(":")[0] for line in run.stale} & {*run.statements})
        parts.append(Text("the ledger is not the committed one (make ledger writes it)", style="bold red"))
    terminalreporter.section("ledger")
    terminalreporter.write(rendered(*parts, colour=terminalreporter.hasmarkup))


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Recorder:
    """Takes the test's evidence."""
    return Recorder(request.config.stash[RUN], request.node.nodeid)


@pytest.fixture(scope="session")
def profile(request: pytest.FixtureRequest) -> Profile:
    """The run's profile."""
    return request.config.stash[RUN].profile


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> Callable[[str], int]:
    """``seed(label)``: a 63-bit seed that depends on the base seed and the label alone."""
    base = request.config.stash[RUN].base_seed

    def derived(label: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{base}:{label}".encode()).digest()[:8], "big") >> 1

    return derived
