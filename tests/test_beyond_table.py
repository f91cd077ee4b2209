"""The table of results under departures: its numbers, its file, its place in the note."""

from __future__ import annotations

from pathlib import Path

import pytest

from numerics.experiments import beyond as experiment
from verify.beyond_predictions import prediction
from verify.output import beyond
from verify.output.figure_files import write_table

CELLS = [
    each
    for each in experiment.cells("quick", size=200, runs=4)
    if each["result"] in ("risk", "closed_form") and each["departure"] in ("none", "label noise")
]


def test_rows_go_through_the_file_into_the_note(tmp_path: Path) -> None:
    found = beyond.rows(CELLS)
    assert [(row["result"], row["departure"]) for row in found] == [
        ("closed_form", "none"),
        ("closed_form", "label noise"),
        ("risk", "none"),
        ("risk", "label noise"),
    ]
    assert found[2]["nominal"] == found[2]["theory"] == found[3]["nominal"]
    assert found[3]["theory"] > found[3]["nominal"]
    assert found[1]["theory"] is None
    assert found[1]["move"] is None  # of zero
    write_table(found, tmp_path / "beyond.csv")
    read = beyond.read_csv(tmp_path / "beyond.csv")
    assert beyond.table(read) == beyond.table(found)
    note = tmp_path / "note.md"
    note.write_text(f"before\n{beyond.BEGIN}\nold\n{beyond.END}\nafter\n", encoding="utf-8")
    beyond.put_into_note(read, note)
    text = note.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "label noise" in text


def test_the_committed_table_is_that_of_the_committed_numbers() -> None:
    rows = beyond.read_csv()
    assert beyond.table(rows) in beyond.NOTE.read_text(encoding="utf-8")
    known = {(each["result"], each["departure"]): prediction(each) for each in experiment.cells()}
    assert [(row["result"], row["departure"]) for row in rows] == list(known)
    for row in rows:
        theory = known[row["result"], row["departure"]]
        assert row["theory"] == (None if theory is None else pytest.approx(theory, rel=1e-9))


def test_theory_lies_in_the_intervals() -> None:
    """Where it is exact; the proportional limit is off by parts in d, a minimiser by parts in 1000."""
    for row in beyond.read_csv():
        if row["theory"] is None or row["result"] == "closed_form":
            continue
        share = 5 / row["d"] if row["result"] in ("limit", "linearised") else 0.01
        gap = abs(row["simulated"] - row["theory"])
        assert gap < row["half_width"] + share * abs(row["theory"]), row


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert beyond.main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err
