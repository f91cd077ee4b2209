"""The errata: every statement that is not true as printed, worst first, as the ledger has it."""

from __future__ import annotations

import re

from theory.statement import ELSEWHERE, registry
from verify.ledger import load_statements, store
from verify.output import errata
from verify.output.errata import POINTS, READINGS, SEVERITIES, STANDS, chosen, markdown, preface, repeated
from verify.output.errata_tex import errata_tex
from verify.output.latex import printed_label

load_statements()
ROWS = store.load(store.committed_path())
VERDICTS = {row["id"]: row["verdict"] for row in ROWS}


def test_committed_errata_are_those_of_the_ledger() -> None:
    notes = store.committed_path().parent
    assert (notes / "errata.md").read_text(encoding="utf-8") == markdown(ROWS, registry())
    assert (notes / "errata.tex").read_text(encoding="utf-8") == errata_tex(ROWS, registry())


def test_every_faulty_statement_of_the_paper_is_there_once_formulas_first_and_worst_first() -> None:
    text = markdown(ROWS, registry())
    named = re.findall(r"^`(\S+)`, (\S+)\.$", text, re.MULTILINE)
    faulty = [
        r["id"]
        for r in ROWS
        if r["source"] not in ELSEWHERE and r["verdict"] not in ("confirmed", "supported")
    ]
    assert sorted(id for id, _ in named) == sorted(faulty)
    read = {row["id"]: printed_label(row) == "As read here" for row in ROWS}
    ranks = [(read[id], list(SEVERITIES).index(verdict)) for id, verdict in named]
    assert ranks == sorted(ranks)
    for kind in set(ranks):  # in the paper's order within each
        ids = [id for (id, _), rank in zip(named, ranks, strict=True) if rank == kind]
        assert ids == [id for id in faulty if id in ids]
    assert text.count("## " + READINGS) == 1
    assert text.index("## " + READINGS) < text.index("`insight-1.a`, refuted.")


def test_each_entry_says_where_what_and_how_sure() -> None:
    entries = re.split(r"^### \d+\. ", markdown(ROWS, registry()), flags=re.MULTILINE)[1:]
    again = repeated(chosen(ROWS))
    for row, entry in zip(chosen(ROWS), entries, strict=True):
        assert entry.startswith(row["source"])
        assert row["printed_latex"] in entry
        assert printed_label(row) in entry
        assert "**How sure.**" in entry
        assert ("**Again.**" in entry) == (row["id"] in again)
        if row["id"] in again:
            assert f"The point of `{again[row['id']]}`" in entry
            continue
        assert row["corrected_latex"] is None or row["corrected_latex"] in entry
        assert ("**Holds if.**" in entry) == (row["condition"] is not None)
        assert ("**Fails" in entry) == (row["counterexample"] is not None)
        for named in row["consequences"]:
            assert named in entry


def test_a_point_is_told_once() -> None:
    entries = chosen(ROWS)
    again, rows = repeated(entries), {row["id"]: row for row in entries}
    order = list(rows)
    for id, first in again.items():
        assert order.index(first) < order.index(id)
        assert first not in again
        assert [rows[id][key] for key in ("verdict", "counterexample", "condition")] == [
            rows[first][key] for key in ("verdict", "counterexample", "condition")
        ]
    assert again["eq-C.35.a"] == "eq-B.16"  # one formula, printed twice
    assert again["eq-B.15"] == again["eq-C.41.b"] == "eq-B.14"  # three formulas, one gap at β = 1
    # the same point, but another statement fails there
    assert rows["rem-4.1.a"]["counterexample"] == rows["thm-4.1-manifold.d"]["counterexample"]
    assert "rem-4.1.a" not in again
    text = markdown(ROWS, registry())
    assert text.count("where both indicators are 0") == 1


def test_assumptions_of_a_reading_are_not_called_printed() -> None:
    entries = re.split(r"^### \d+\. ", markdown(ROWS, registry()), flags=re.MULTILINE)[1:]
    for row, entry in zip(chosen(ROWS), entries, strict=True):
        printed = bool(row["assumptions"]) and printed_label(row) == "As printed"
        assert ("**Under the printed assumptions.**" in entry) == printed
        assert ("**In the setting.**" in entry) == (bool(row["assumptions"]) and not printed)


def test_truth_values_are_said_in_words() -> None:
    assert errata._in_words("k = 2: H ≤ 2: printed True, true False") == (
        "k = 2: H ≤ 2: by the print yes, in truth no"
    )
    assert errata._in_words("limit: printed 0, true oo") == "limit: printed 0, true ∞"
    assert "printed True" not in markdown(ROWS, registry())


def test_preface_is_short_and_borne_out() -> None:
    said, points = preface(ROWS)
    assert len(points) == len(POINTS) <= 9
    assert all(name in said for name in STANDS)
    counted = [r["verdict"] for r in ROWS if r["source"] not in ELSEWHERE]
    for verdict in ("refuted", "confirmed-if", "misprint", "confirmed", "supported"):
        assert re.search(rf"\b{counted.count(verdict)}\b", said), verdict


def test_preface_leaves_out_what_the_ledger_no_longer_says() -> None:
    cleared = [{**row, "verdict": "confirmed"} if row["id"] == "insight-2" else row for row in ROWS]
    moved = [{**row, "verdict": "refuted"} if row["id"] == "prop-5.1" else row for row in ROWS]
    assert len(preface(cleared)[1]) == len(POINTS) - 1
    assert "(5.1)" not in preface(moved)[0]
    assert preface([])[1] == []


def test_what_rests_on_an_entry_comes_with_its_verdict() -> None:
    listed = errata._listed(["thm-4.1", "fig-1", "nothing"], VERDICTS)
    assert listed.startswith(f"thm-4.1 ({VERDICTS['thm-4.1']}); fig-1 (")
    assert listed.endswith("; nothing")
    parts = [v for id, v in VERDICTS.items() if id.startswith("fig-1.")]
    assert f"{parts.count('confirmed')} confirmed" in listed
    assert errata._named("thm-4.1", VERDICTS) == ["thm-4.1"]
    assert errata._named("prop-B.2-i", VERDICTS) == ["prop-B.2-i.a", "prop-B.2-i.b", "prop-B.2-i.c"]
