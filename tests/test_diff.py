"""Two ledgers beside each other: each difference is shown once, and the exit status tells."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
from planted import FALSE, NEW, TRUE, evidence

from verify.cli import app
from verify.ledger import store
from verify.output.diff import FIELDS, Change, differences

ROWS = [
    store.row(TRUE, evidence("ex+ mc+")),
    store.row(FALSE, evidence("ex- mc- ex+corrected mc+corrected")),
]


def changed(**fields: object) -> list[store.Row]:
    rows = deepcopy(ROWS)
    rows[0].update(fields)
    return rows


def test_no_difference() -> None:
    assert differences(ROWS, deepcopy(ROWS)) == []


def test_rows_added_and_removed() -> None:
    more = [*ROWS, store.row(NEW, [])]
    assert differences(ROWS, more) == [Change("new-1", "row", None, "open")]
    assert differences(more, ROWS) == [Change("new-1", "row", "open", None)]


@pytest.mark.parametrize("field", FIELDS)
def test_a_change_of_any_field_is_one_difference(field: str) -> None:
    other = "open" if field == "verdict" else "other"
    (found,) = differences(ROWS, changed(**{field: other}))
    assert (found.id, found.new) == ("true-1", other)


def test_figures_that_moved_appeared_or_went() -> None:
    moved = deepcopy(ROWS)
    moved[0]["evidence"][1]["measured"] = "1"
    (found,) = differences(ROWS, moved)
    assert found.what == "monte-carlo, printed form, d = 3"
    assert (found.old, found.new) == (
        "agrees: 0, δ = 0.01, α = 0.0001",
        "agrees: 1, δ = 0.01, α = 0.0001",
    )
    less = deepcopy(ROWS)
    del less[0]["evidence"][1]
    assert [(c.old is None, c.new is None) for c in differences(ROWS, less)] == [(False, True)]
    assert [(c.old is None, c.new is None) for c in differences(less, ROWS)] == [(True, False)]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["diff", *arguments])
    return int(ended.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    store.save(old, ROWS)
    store.save(new, changed(verdict="open", condition="n > 1"))
    assert run(str(old), str(old)) == 0
    assert capsys.readouterr().out == "no difference\n"
    assert run(str(old), str(new)) == 1
    out = capsys.readouterr().out
    assert "1 verdicts, 1 other changes" in out
    assert [line.split() for line in out.splitlines() if "verdict " in line] == [
        ["true-1", "verdict", "confirmed", "open"]
    ]
    assert run(str(old), str(tmp_path / "none.json")) == 2
    assert capsys.readouterr().err.startswith("error: ")
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    assert run(str(old), str(tmp_path / "bad.json")) == 2
