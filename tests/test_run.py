"""A run of the checks: what it collects, what it may judge, and what workers send each other."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from planted import FALSE, NEW, TRUE, evidence

from theory.errors import ArgumentError
from verify.ledger import store
from verify.ledger.run import Recorder, Run
from verify.profiles import PROFILES

ALL = {s.id: s for s in (TRUE, FALSE, NEW)}
TESTS = {"t-1": ("true-1",), "t-2": ("false-1.a",), "t-3": ("false-1.a", "true-1")}
GOOD = {
    "t-1": [("true-1", e) for e in evidence("der+ mc+")],
    "t-2": [("false-1.a", e) for e in evidence("ex- ex+corrected mc+corrected")],
}


def finished(**changed: object) -> Run:
    """A run of all tests, each of which passed, with evidence for two of the three statements."""
    run = Run(PROFILES["standard"], 3, statements=dict(ALL), tests=dict(TESTS), full=True)
    run.passed |= set(TESTS)
    run.recorded |= {test: list(found) for test, found in GOOD.items()}
    for name, value in changed.items():
        setattr(run, name, value)
    return run


def shown(run: Run) -> dict[str, str]:
    run.judge()
    return {row["id"]: row["verdict"] for row in run.rows}


def test_a_full_run_judges_all_statements_in_the_registrys_order() -> None:
    run = finished()
    assert list(shown(run).items()) == [("true-1", "confirmed"), ("false-1.a", "refuted"), ("new-1", "open")]
    assert run.full
    assert run.judged() == run.rows == [store.row(s, run.evidence().get(i, [])) for i, s in ALL.items()]


def test_a_run_that_is_not_full_judges_what_it_tested() -> None:
    assert shown(finished(full=False)) == {"true-1": "confirmed", "false-1.a": "refuted"}
    only = finished(full=False, tests={"t-1": ("true-1",)})
    assert shown(only) == {"true-1": "confirmed"}


def test_a_statement_with_a_broken_test_is_open() -> None:
    run = finished(passed={"t-2", "t-3"}, broken={"t-1"})
    assert shown(run) == {"true-1": "open", "false-1.a": "refuted", "new-1": "open"}
    assert run.full  # it was run: nothing is left out
    # One test may break two statements; a broken test without marks breaks none.
    two = {i: ALL[i] for i in ("true-1", "false-1.a")}
    run = finished(passed={"t-1", "t-2"}, broken={"t-3", "elsewhere"}, statements=two)
    assert shown(run) == {"true-1": "open", "false-1.a": "open"}


def test_a_statement_with_a_test_left_out_is_partial() -> None:
    run = finished(missing={"false-1.a"}, full=False)
    assert shown(run) == {"true-1": "confirmed", "false-1.a": "partial"}
    assert [row["id"] for row in run.judged()] == ["true-1"]
    # Left out weighs more than broken: nobody knows what the other test would have found.
    assert shown(finished(missing={"true-1"}, broken={"t-1"}))["true-1"] == "partial"


def test_an_interruption_leaves_statements_partial_and_the_run_not_full() -> None:
    run = finished(passed={"t-1", "t-3"})
    assert shown(run) == {"true-1": "confirmed", "false-1.a": "partial"}
    assert not run.full


def test_a_run_began_with_its_first_marked_test() -> None:
    for found, expected in [({}, False), ({"passed": {"t-1"}}, True), ({"broken": {"t-2"}}, True)]:
        assert Run(PROFILES["quick"], 0, tests=dict(TESTS), **found).began() is expected
    assert not Run(PROFILES["quick"], 0, tests=dict(TESTS), passed={"elsewhere"}).began()


def test_evidence_is_in_the_order_of_the_tests_and_of_marked_tests_alone() -> None:
    later, first, stray = evidence("mc- der+ ex-")
    run = finished(recorded={"elsewhere": [("true-1", stray)], "t-3": [("true-1", later)], **GOOD})
    run.recorded["t-1"].insert(0, ("true-1", first))
    assert run.evidence() == {
        "true-1": [first, *evidence("der+ mc+"), later],
        "false-1.a": [e for _, e in GOOD["t-2"]],
    }


def test_what_workers_share_is_merged_as_if_one_had_run_all() -> None:
    whole = finished(passed={"t-1", "t-2"}, broken={"t-3"}, missing={"new-1"}, peak=7.0)
    collected = {"tests": dict(TESTS), "statements": dict(ALL), "full": True}
    one = Run(PROFILES["standard"], 3, **collected, passed={"t-1"}, missing={"new-1"}, peak=7.0)
    other = Run(PROFILES["standard"], 3, **collected, passed={"t-2"}, broken={"t-3"}, peak=2.0)
    one.recorded["t-1"], other.recorded["t-2"] = list(GOOD["t-1"]), list(GOOD["t-2"])
    for shares in ((one, other), (other, one)):
        judge = Run(PROFILES["standard"], 3, statements=dict(ALL))
        for worker in shares:
            judge.merge(json.loads(json.dumps(worker.share())))
        for name in ("tests", "missing", "full", "passed", "broken", "recorded", "peak"):
            assert getattr(judge, name) == getattr(whole, name), name
        assert judge.evidence() == whole.evidence()
        assert shown(judge) == {"true-1": "open", "false-1.a": "open", "new-1": "partial"}


def test_a_share_is_in_plain_sorted_lists() -> None:
    run = finished(missing={"b", "a"}, broken={"y", "x"}, peak=5.0)
    assert run.share() == {
        "tests": {test: list(ids) for test, ids in TESTS.items()},
        "missing": ["a", "b"],
        "full": True,
        "passed": ["t-1", "t-2", "t-3"],
        "broken": ["x", "y"],
        "recorded": {test: [[i, asdict(e)] for i, e in found] for test, found in GOOD.items()},
        "peak": 5.0,
    }


def test_two_workers_may_record_for_one_test() -> None:
    judge = Run(PROFILES["standard"], 3)
    first, second = evidence("der+ mc+")
    for piece in (first, second):
        judge.merge(finished(recorded={"t-1": [("true-1", piece)]}).share())
    assert judge.recorded == {"t-1": [("true-1", first), ("true-1", second)]}


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ledger of the finished run, in a project of its own."""
    monkeypatch.setattr(store, "project_root", lambda: tmp_path)
    run = finished()
    run.judge()
    store.save(store.committed_path(), run.rows)
    return store.committed_path()


def compared(run: Run) -> list[str]:
    run.judge()
    run.compare()
    return run.stale


def test_only_a_full_run_sees_rows_that_nobody_computes(committed: Path) -> None:
    assert compared(finished()) == []
    assert compared(finished(full=False)) == []
    two = {i: ALL[i] for i in ("true-1", "false-1.a")}
    assert compared(finished(statements=two, full=False)) == []
    assert compared(finished(statements=two)) == ["new-1: in the committed ledger, not in this run"]


def test_a_moved_verdict_is_stale_unless_it_is_partial(committed: Path) -> None:
    (line,) = compared(finished(broken={"t-1"}))
    assert line == "true-1: verdict was confirmed, is open"
    assert compared(finished(broken={"t-1"}, missing={"true-1"}, full=False)) == []


def test_a_recorder_keeps_evidence_with_the_time_that_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(PROFILES["standard"], 0, statements=dict(ALL), tests=dict(TESTS), clock=10.0)
    now = iter([12.5, 13.0, 21.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    first, second, third = (replace(e, seconds=99.0) for e in evidence("der+ mc+ ex-"))
    recorder = Recorder(run, "t-3")
    recorder.record("true-1", first)
    recorder.record("false-1.a", second)
    assert run.clock == 13.0
    Recorder(run, "t-2").record("false-1.a", third)
    assert run.recorded == {
        "t-3": [("true-1", replace(first, seconds=2.5)), ("false-1.a", replace(second, seconds=0.5))],
        "t-2": [("false-1.a", replace(third, seconds=8.0))],
    }
    assert run.clock == 21.0


def test_a_recorder_takes_only_what_its_test_is_marked_with() -> None:
    run = Run(PROFILES["standard"], 0, statements=dict(ALL), tests=dict(TESTS))
    (piece,) = evidence("der+")
    unknown = r"^id='true-2': unknown statement, known are true-1, false-1\.a, new-1$"
    with pytest.raises(ArgumentError, match=unknown):
        Recorder(run, "t-1").record("true-2", piece)
    unmarked = r"^id='true-1': must be in the test's marks, here false-1\.a$"
    with pytest.raises(ArgumentError, match=unmarked):
        Recorder(run, "t-2").record("true-1", piece)
    with pytest.raises(ArgumentError, match=r"here false-1\.a, true-1$"):
        Recorder(run, "t-3").record("new-1", piece)
    with pytest.raises(ArgumentError, match=r"^id='true-1': must be in the test's marks, here $"):
        Recorder(run, "elsewhere").record("true-1", piece)
    assert run.recorded == {}
