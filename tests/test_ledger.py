"""The verdict follows from the evidence and from nothing else, and the ledger's files keep it."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import replace

import pytest
import sympy as sp
from planted import CLAIM, IF, MATTERS, PLAIN, WRONG, evidence, fails, rows

from theory.errors import ArgumentError
from theory.statement import Counterexample, Statement
from verify.ledger import store
from verify.ledger.evidence import Evidence
from verify.ledger.verdict import VERDICTS, verdict
from verify.profiles import PROFILES, profile_named

GENERAL = replace(IF, corrected=sp.Integer(0))  # says what holds without the condition
CASES = [
    # confirmed: one symbolic and one numeric kind, whichever they are
    (PLAIN, "der+ mc+", "confirmed"),
    (PLAIN, "ex+ tr+", "confirmed"),
    (PLAIN, "der+ prop+ sc+", "confirmed"),
    (PLAIN, "", "open"),
    (PLAIN, "der+ ex+ prop+", "open"),
    (PLAIN, "mc+ tr+ sc+ prop+", "open"),
    (PLAIN, "der+ mc+ ex-", "open"),
    (PLAIN, "der+ mc+ mc-", "open"),
    (PLAIN, "der+ mc+ prop-", "open"),
    (PLAIN, "der+ mc+ tr?", "open"),
    (PLAIN, "der- mc-", "open"),
    # evidence on a form that the statement does not have
    (PLAIN, "der+ mc+ mc+corrected", "open"),
    (PLAIN, "der+ mc+ mc-outside", "open"),
    (WRONG, "der- der+corrected mc+corrected mc+condition", "open"),
    # a counterexample to something said to hold as it stands
    (replace(PLAIN, counterexample=fails), "der+ mc+", "open"),
    # supported
    (CLAIM, "mc+", "supported"),
    (CLAIM, "sc+ ex+", "supported"),
    (CLAIM, "der+ ex+ prop+", "open"),
    (CLAIM, "mc+ tr-", "open"),
    (CLAIM, "mc+ prop-", "open"),
    (CLAIM, "mc+ sc?", "open"),
    (replace(CLAIM, counterexample=fails), "mc+", "open"),
    # confirmed-if
    (IF, "der+condition mc+condition ex-outside", "confirmed-if"),
    (IF, "der+condition mc+condition mc-outside ex+outside", "confirmed-if"),
    (IF, "der+condition mc+condition ex-outside ex-", "confirmed-if"),
    (IF, "der+condition mc+condition", "open"),
    (IF, "der+condition mc+condition ex+outside", "open"),
    (IF, "der+condition mc+condition prop-outside", "open"),
    (IF, "der+condition prop+condition ex-outside", "open"),
    (IF, "mc+condition ex-outside", "open"),
    (IF, "der+condition mc+condition mc-condition ex-outside", "open"),
    (IF, "der+condition mc+condition prop-condition ex-outside", "open"),
    (IF, "der+condition mc+condition ex-outside mc?outside", "open"),
    (IF, "der+condition mc+condition ex-outside mc+", "open"),
    (IF, "der+ mc+", "open"),
    (replace(IF, counterexample=None), "der+condition mc+condition ex-outside", "open"),
    (replace(IF, corrected=sp.Integer(0)), "der+condition mc+condition ex-outside", "open"),
    (replace(IF, corrected=sp.Integer(0)), "der- der+corrected mc+corrected", "open"),
    (GENERAL, "der+condition mc+condition ex-outside der+corrected sc+corrected", "confirmed-if"),
    (GENERAL, "der+condition mc+condition ex-outside der+corrected", "open"),
    (GENERAL, "der+condition mc+condition ex-outside der+corrected sc+corrected mc-corrected", "open"),
    (GENERAL, "der+condition mc+condition ex-outside der+corrected sc+corrected ex+", "open"),
    # misprint and refuted: the same evidence, the consequences decide
    (WRONG, "der- der+corrected mc+corrected", "misprint"),
    (MATTERS, "der- der+corrected mc+corrected", "refuted"),
    (MATTERS, "ex- mc- ex+corrected tr+corrected prop+corrected", "refuted"),
    (MATTERS, "ex- mc- mc+ ex+corrected tr+corrected", "refuted"),
    (MATTERS, "mc- prop- ex+corrected tr+corrected", "open"),
    (MATTERS, "mc- mc+ ex+corrected tr+corrected", "open"),
    (MATTERS, "ex- ex+corrected prop+corrected", "open"),
    (MATTERS, "ex- mc+corrected", "open"),
    (MATTERS, "ex- ex+corrected mc+corrected sc-corrected", "open"),
    (MATTERS, "ex- ex+corrected mc+corrected prop-corrected", "open"),
    (MATTERS, "ex- ex+corrected mc?corrected mc+corrected", "open"),
    (MATTERS, "der+ mc+", "open"),
    (replace(MATTERS, counterexample=None), "ex- ex+corrected mc+corrected", "open"),
    (replace(PLAIN, consequences=("thm-1",)), "ex- mc-", "open"),
]


@pytest.mark.parametrize(("statement", "text", "expected"), CASES)
def test_verdict(statement: Statement, text: str, expected: str) -> None:
    found = evidence(text)
    assert verdict(statement, found) == expected
    assert verdict(statement, found[::-1]) == expected


def test_every_verdict_is_reached() -> None:
    assert {expected for *_, expected in CASES} == set(VERDICTS)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"kind": "proof"}, "kind"),
        ({"outcome": "passes"}, "outcome"),
        ({"form": "other"}, "form"),
        ({"measured": " "}, "measured"),
        ({"regime": ""}, "regime"),
        ({"delta": 0.0}, "delta"),
        ({"alpha": 1.0}, "alpha"),
        ({"delta": None}, "monte-carlo"),
        ({"seconds": -1.0}, "seconds"),
    ],
)
def test_evidence_is_validated(changed: dict, named: str) -> None:
    good = {
        "kind": "monte-carlo",
        "outcome": "agrees",
        "measured": "0",
        "regime": "d = 3",
        "delta": 0.01,
        "alpha": 1e-4,
    }
    assert Evidence(**good).form == "printed"
    with pytest.raises(ArgumentError, match=named):
        Evidence(**{**good, **changed})


def test_evidence_says_what_is_allowed_and_takes_the_border() -> None:
    good = Evidence("monte-carlo", "agrees", "0", "d = 3", 0.01)
    kinds = "derivation, exact, property, monte-carlo, training, scaling"
    words = {
        "kind": f"'proof': must be one of {kinds}",
        "outcome": "'': must be one of agrees, differs, undecided",
        "form": "'other': must be one of printed, condition, outside, corrected",
        "measured": "' ': must say something in words",
        "regime": "3: must say something in words",
        "alpha": "-1e-09: must lie in [0, 1)",
        "seconds": "-1e-09: must not be negative",
    }
    for name, text in words.items():
        with pytest.raises(ArgumentError) as caught:
            replace(good, **{name: ast.literal_eval(text.split(": must")[0])})
        assert str(caught.value) == f"{name}={text}"
    for name, where in (("delta", "tolerated"), ("detects", "sampled")):
        for value in (0.0, -1.0, float("nan")):
            with pytest.raises(ArgumentError) as caught:
                replace(good, **{name: value})
            assert str(caught.value) == f"{name}={value}: must be positive, or None where nothing is {where}"
        assert getattr(replace(good, **{name: 1e-300}), name) == 1e-300
    with pytest.raises(ArgumentError) as caught:
        replace(good, delta=None)
    assert str(caught.value) == (
        "delta=None: a monte-carlo check must declare the tolerance that it establishes"
    )
    with pytest.raises(ArgumentError, match="alpha=nan"):
        replace(good, alpha=float("nan"))
    with pytest.raises(ArgumentError, match="seconds=nan"):
        replace(good, seconds=float("nan"))
    assert replace(good, kind="exact", delta=None, alpha=0.0, seconds=0.0).delta is None


def test_row_contract() -> None:
    plain, wrong, _ = rows()
    assert list(plain) == [
        "id",
        "source",
        "title",
        "verdict",
        "condition",
        "printed_latex",
        "corrected_latex",
        "counterexample",
        "assumptions",
        "consequences",
        "note",
        "evidence",
    ]
    assert (plain["condition"], plain["corrected_latex"], plain["counterexample"]) == (None, None, None)
    assert (plain["verdict"], plain["printed_latex"]) == ("confirmed", "aa = 2 bb")
    assert (wrong["verdict"], wrong["corrected_latex"]) == ("refuted", "aa = 2 bb")
    assert wrong["counterexample"] == "b = 1: printed 3, true 2"
    assert plain["evidence"][1] == {
        "kind": "monte-carlo",
        "outcome": "agrees",
        "measured": "0",
        "regime": "d = 3",
        "delta": 0.01,
        "alpha": 1e-4,
        "form": "printed",
        "detects": 0.01,
    }


def test_counterexample_must_be_one() -> None:
    same = replace(WRONG, counterexample=lambda: Counterexample("b = 1", sp.Integer(2), sp.Integer(2)))
    with pytest.raises(ArgumentError, match="equal"):
        store.row(same, [])


def test_save_and_load_return_the_rows(tmp_path) -> None:
    path = tmp_path / "notes" / "ledger.json"
    assert store.load(path) == []
    store.save(path, rows())
    assert store.load(path) == rows()
    assert path.read_text(encoding="utf-8").startswith('[\n {\n  "id": "x-1",')
    assert "Ṽ" in path.read_text(encoding="utf-8")


def test_save_that_dies_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "ledger.json"
    store.save(path, rows()[:1])

    def dies(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        store.save(path, rows())
    assert store.load(path) == rows()[:1]
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.json"]


@pytest.mark.parametrize("text", ["{", '{"id": "x"}', "[1]"])
def test_load_rejects_what_is_no_ledger(tmp_path, text: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=r"ledger\.json"):
        store.load(path)


def test_current_rows_are_the_committed_ones_under_the_last_run(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(store, "project_root", lambda: tmp_path)
    first, second, third = rows()
    store.save(store.committed_path(), [first, second])
    store.save(store.last_run_path(), [third, {**first, "verdict": "open"}])
    assert [(r["id"], r["verdict"]) for r in store.current_rows()] == [
        ("x-1", "open"),
        ("x-2", "refuted"),
        ("x-3", "confirmed-if"),
    ]


def test_stale_sees_ids_verdicts_conditions_formulas_and_no_measured_figure() -> None:
    committed = rows()
    assert store.stale(rows(), committed) == []
    moved = rows()
    moved[0]["evidence"][0]["measured"] = "other"
    moved[1]["evidence"] = []
    moved[2]["title"] = "other"
    assert store.stale(moved, committed) == []
    assert store.stale(committed[1:], committed) == ["x-1: in the committed ledger, not in this run"]
    assert store.stale(committed, committed[1:]) == ["x-1: confirmed, not in the committed ledger"]
    for key in ("verdict", "condition", "printed_latex", "corrected_latex", "counterexample"):
        changed = json.loads(json.dumps(committed))
        changed[1][key] = "other"
        (line,) = store.stale(changed, committed)
        assert line.startswith(f"x-2: {key.replace('_latex', ' formula')} was ")
        assert line.endswith("is other")


def test_profiles_keep_the_power_of_a_check() -> None:
    assert [p.name for p in PROFILES.values()] == ["quick", "standard", "thorough"]
    # The width of an interval goes with one over the root of the sample size.
    assert all(p.delta_factor**2 * p.sample_factor == 1 for p in PROFILES.values())
    with pytest.raises(ArgumentError, match="slow"):
        profile_named("slow")
