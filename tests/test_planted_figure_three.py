"""The rows of Figure 3 follow the table that they are read from: one that says otherwise changes them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import test_figure_three as made
from mutations import Case, Plan, unnoticed

from numerics.experiments.figure_three import cells
from theory import statements  # noqa: F401
from theory.errors import ArgumentError
from theory.statement import registry
from verify import test_figure_three as rows
from verify.checks import figure_three_recorded as check
from verify.checks.figure_three import CLAIMS
from verify.ledger.evidence import Evidence
from verify.ledger.verdict import verdict
from verify.output import figure_three as view
from verify.output.figure_files import write_table

IDS = list(rows.PANELS)
CENTRE = {name: made.CONFIG[name] for name in ("B", "n", "k")}


def table(law: made.Law, path: Path | None = None, **options: Any) -> list[dict[str, str]]:
    """The rows of a run that follows ``law``, as they are read back from the file."""
    found = list(view.rows(view.Results(made.CONFIG, made.planted(law, **options))))
    if path is not None:
        write_table(found, path)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]))
    writer.writeheader()
    writer.writerows(found)
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def of(law: made.Law, **options: Any) -> check.Recorded:
    return check.recorded(table(law, **options), made.CONFIG["k_test"], "planted")


def turn() -> Case:
    wrong = {"only rises": (1, 1), "only falls": (-1, -1), "rises, then falls": (1, -1)}
    return Case(lambda s: check.caption(s, "sft", "n", of(made.as_claimed), CENTRE, "small"), (-1, 1), wrong)


def trend(loss: str, axis: str, sign: int) -> Case:
    wrong = {str(other): (other,) for other in {-1, 0, 1} - {sign}}
    return Case(
        lambda s: check.caption(s, loss, axis, of(made.as_claimed), CENTRE, "small"),  # type: ignore[arg-type]
        (sign,),
        wrong,
    )


PLAN: Plan = {
    "figure_three_recorded.caption": (
        turn,
        lambda: trend("sft", "k", 0),
        lambda: trend("os", "B", -1),
        lambda: trend("os", "k", 1),
    )
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


class Notes:
    """Takes evidence as the ledger does."""

    def __init__(self) -> None:
        self.found: dict[str, list[Evidence]] = {}

    def record(self, id: str, evidence: Evidence) -> None:
        self.found.setdefault(id, []).append(evidence)


def verdicts(path: Path) -> list[str]:
    notes = Notes()
    with patch.object(rows, "TABLE", path):
        rows.test_caption(notes)
    return [verdict(registry()[id], notes.found[id]) for id in IDS]


def test_rows_follow_the_table(tmp_path: Path) -> None:
    path = tmp_path / "fig3.csv"
    table(made.as_claimed, path)
    assert verdicts(path) == ["supported"] * 6
    table(made.opposite, path)
    assert verdicts(path) == ["open"] * 6
    # Of one seed in six, pretraining has not come below half of the risk of ŵ = 0.
    worse = table(made.as_claimed)
    for row in worse:
        row["pretraining"] = "0.51" if row["seed"] == "3" else row["pretraining"]
    write_table(worse, path)
    assert verdicts(path) == ["open"] * 6


def test_the_committed_table_is_of_the_configuration_that_is_named() -> None:
    assert cells(rows.SETTING)[0] == made.CONFIG
    assert (CENTRE, made.CONFIG["k_test"]) == (rows.CENTRE, rows.STEPS)
    assert list(rows.PANELS.values()) == [(loss, axis) for loss, axis, _ in CLAIMS]
    found = check.read(rows.TABLE, made.CONFIG["k_test"], "fig3.csv")
    assert len(found.gate.risks) == view.SEEDS[rows.SETTING]
    for axis in ("B", "n", "k"):
        assert found.panel("os", axis, CENTRE).at.tolist() == made.CONFIG[f"{axis}_grid"]


def test_another_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"table='x': cannot be read \(No such file"):
        check.read(tmp_path / "none.csv", 3, "x")
    good = table(made.as_claimed)
    with pytest.raises(ArgumentError, match=r"table='x': not that of Figure 3 \('test_9'\)"):
        check.recorded(good, 9, "x")
    with pytest.raises(ArgumentError, match="table='x': must have the same runs at every place"):
        check.recorded(good[1:], 3, "x")
