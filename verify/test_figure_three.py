"""Figure 3: evidence for ``theory/figure_three.py``, from the committed table of a run."""

from __future__ import annotations

import pytest

from verify.checks import figure_three_recorded as check
from verify.ledger.store import committed_path
from verify.test_figure_four import signs

TABLE = committed_path().parent / "figures" / "fig3.csv"
SETTING = "small"
CENTRE, STEPS = {"B": 1024, "n": 11, "k": 3}, 3  # of that setting: where not varied, and at the test
PANELS = {
    "fig-3.a": ("sft", "B"),
    "fig-3.b": ("sft", "n"),
    "fig-3.c": ("sft", "k"),
    "fig-3.d": ("os", "B"),
    "fig-3.e": ("os", "n"),
    "fig-3.f": ("os", "k"),
}


@pytest.mark.statements(*PANELS)
def test_caption(ledger):
    found = check.read(TABLE, STEPS, f"notes/figures/{TABLE.name}")
    for id, (loss, axis) in PANELS.items():
        ledger.record(id, check.caption(signs(id), loss, axis, found, CENTRE, SETTING))
