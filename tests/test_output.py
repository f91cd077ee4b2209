"""The ledger for reading: Markdown, a table that fits."""

from __future__ import annotations

from planted import PLAIN, evidence, rows

from verify.ledger import store
from verify.output.markdown import ledger_markdown
from verify.output.table import ledger_table, measured, rendered


def test_markdown_has_a_row_each_and_a_section_where_the_print_fails() -> None:
    text = ledger_markdown(rows(), {"x-1": "3/4"})
    table = [line for line in text.splitlines() if line.startswith("| `x-")]
    assert len(table) == 3
    assert "## x-1" not in text
    assert "## x-2: refuted" in text
    assert "$$\naa = 2 bb\n$$" in text
    assert "$$\naa = 3 bb\n$$" in text
    assert "Condition: η ∈ (0, 1]" in text
    # A bar inside a cell would begin another one.
    assert ledger_markdown([{**rows()[0], "condition": "|A|"}], {}).count("\\|A\\|") == 1


def test_table_fits_and_names_the_form(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    long = rows()
    long[0]["evidence"][1]["measured"] = "rel. dev. 1.2e-3 ± 0.9e-3 (n = 40000), a component of many " * 3
    text = rendered(ledger_table(long, {}, {"x-1": 1.25}), colour=False)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    assert "\x1b" in rendered(ledger_table(long, {}), colour=True)
    assert measured(rows()[1]) == "corrected agrees: 0, δ = 1e-2; differs: 0"
    # Nothing is cut off: what does not fit goes on in the next line.
    assert "".join(text.split()).count("component") == 3


def test_undecided_and_differing_figures_are_shown_first() -> None:
    assert measured(store.row(PLAIN, evidence("der+ mc+ prop?"))) == "undecided: 0"
    assert measured(store.row(PLAIN, evidence("der- mc+ tr-"))) == "agrees: 0, δ = 1e-2; differs: 0"
    assert measured(store.row(PLAIN, [])) == "no evidence"
