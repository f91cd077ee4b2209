"""The files under ``notes/`` that are generated are the ones that the committed ledger yields."""

from __future__ import annotations

from theory import statements  # noqa: F401
from theory.statement import registry
from verify.ledger import store
from verify.ledger.kills import committed_kills, committed_path
from verify.mutation import report, shown
from verify.output.markdown import ledger_markdown
from verify.profiles import MOST_CHECKS, PROFILES


def test_rendering_is_current():
    committed = store.load(store.committed_path())
    shown = ledger_markdown(committed, committed_kills())
    assert store.committed_path().with_name("ledger.md").read_text(encoding="utf-8") == shown


def test_formulas_are_those_of_the_theory():
    """Also without a run of the checks: ids, conditions, formulas and counterexamples are recomputed."""
    committed = store.load(store.committed_path())
    fresh = [
        store.row(s, []) | {"verdict": r["verdict"]}
        for s, r in zip(registry().values(), committed, strict=True)
    ]
    assert store.stale(fresh, committed) == []


def test_sampled_checks_keep_the_declared_total():
    """The probability of any error in the run that the committed ledger is of, by the union bound."""
    committed = store.load(store.committed_path())
    alphas = [e["alpha"] for row in committed for e in row["evidence"] if e["alpha"]]
    assert len(alphas) <= MOST_CHECKS
    assert sum(alphas) <= PROFILES["standard"].family <= 1e-6


def test_sampled_checks_say_what_they_detect():
    for row in store.load(store.committed_path()):
        for e in row["evidence"]:
            assert not e["alpha"] or 0 < e["detects"] <= e["delta"]


def test_mutants_were_made_of_the_formulas_as_they_are():
    found = report.load(committed_path())
    assert report.stale(found) == []
    assert committed_path().with_suffix(".md").read_text(encoding="utf-8") == shown.markdown(found)


def test_mutants_are_noticed():
    """At least 99 % of all, 95 % of each statement's, and 95 % by numeric evidence alone."""
    found = report.load(committed_path())
    sums = shown.totals(found)
    assert sums["killed"] >= 0.99
    assert sums["numeric"] >= 0.95
    by_statement: dict[str, list[report.Killed]] = {}
    for one in found:
        by_statement.setdefault(one.id, []).append(one)
    # A check of an open row agrees with nothing that a wrong formula could be told from.
    settled = {row["id"] for row in store.load(store.committed_path()) if row["verdict"] != "open"}
    shares = {
        id: sum(one.killed for one in forms) / tried
        for id, forms in by_statement.items()
        if id in settled and (tried := sum(one.tried for one in forms))
    }
    assert {id: share for id, share in shares.items() if share < 0.95} == {}


def test_no_check_is_vacuous():
    assert report.vacuous(report.load(committed_path())) == []
