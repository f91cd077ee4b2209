"""The files under ``notes/`` that are generated are the ones that the committed ledger yields."""

from __future__ import annotations

import pytest

from theory import statements  # noqa: F401
from theory.statement import registry
from verify.ledger import store
from verify.output.latex import document
from verify.output.markdown import ledger_markdown


@pytest.mark.parametrize(("name", "render"), [("ledger.md", ledger_markdown), ("statements.tex", document)])
def test_rendering_is_current(name, render):
    committed = store.load(store.committed_path())
    assert store.committed_path().with_name(name).read_text(encoding="utf-8") == render(committed)


def test_formulas_are_those_of_the_theory():
    """Also without a run of the checks: ids, conditions, formulas and counterexamples are recomputed."""
    committed = store.load(store.committed_path())
    fresh = [
        store.row(s, []) | {"verdict": r["verdict"]}
        for s, r in zip(registry().values(), committed, strict=True)
    ]
    assert store.stale(fresh, committed) == []
