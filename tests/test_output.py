"""The ledger for reading: LaTeX that compiles, Markdown, a table that fits."""

from __future__ import annotations

import pytest
from planted import PLAIN, evidence, rows

from theory.errors import ArgumentError
from verify.ledger import store
from verify.output.latex import document, escape, formula, statement_tex, write
from verify.output.markdown import ledger_markdown
from verify.output.table import ledger_table, measured, rendered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% of A_1 & B#", r"50\% of \ensuremath{A_{1}} \& B\#"),
        ("x < y | z", r"x \ensuremath{<} y \ensuremath{|} z"),
        ("η ≤ 1", r"\ensuremath{\eta} \ensuremath{\leq} 1"),
        ("B ∉ S ≠ T", r"B \ensuremath{\notin} S \ensuremath{\neq} T"),
        ("A†", r"A\ensuremath{{}^{\dagger}}"),
        ("Γ₀⁻¹", r"\ensuremath{\Gamma}\ensuremath{{}_{0}}\ensuremath{{}^{- 1}}"),
        ("Ṽ, W̃", r"\ensuremath{\tilde{V}}, \ensuremath{\tilde{W}}"),
        ("ŵ, Σ̂", r"\ensuremath{\hat{w}}, \ensuremath{\hat{\Sigma}}"),
        ("Möbius", r"M\"{o}bius"),
        ("λ ε φ – “q”", r"\ensuremath{\lambda} \ensuremath{\varepsilon} \ensuremath{\varphi} -- ``q''"),
        ("\\{}", r"\textbackslash{}\{\}"),
    ],
)  # fmt: skip
def test_escape(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_escape_refuses_what_latex_would_stop_at() -> None:
    with pytest.raises(ArgumentError, match="U\\+6F22"):
        escape("漢")


def test_formula_keeps_latex_and_translates_words() -> None:
    assert formula(r"\text{as Ṽ}_{1} & x") == "\\[\n\\text{as \\ensuremath{\\tilde{V}}}_{1} & x\n\\]\n"


def test_document_is_ascii_balanced_and_needs_three_packages(tmp_path) -> None:
    text = document(rows())
    assert text.isascii()
    assert text.replace(r"\{", "").replace(r"\}", "").count("{") == (
        text.replace(r"\{", "").replace(r"\}", "").count("}")
    )
    assert text.count(r"\usepackage") == 1
    assert r"\usepackage{amsmath,amssymb,bm}" in text
    assert "$" not in text
    assert "\\[\naa = 2 bb\n\\]" in text
    written = write(rows(), tmp_path / "tex")
    assert sorted(p.name for p in (tmp_path / "tex").iterdir()) == [
        "statements.tex",
        "x-1.tex",
        "x-2.tex",
        "x-3.tex",
    ]
    assert {p.name for p in written} == {p.name for p in (tmp_path / "tex").iterdir()}
    assert (tmp_path / "tex" / "statements.tex").read_text() == text
    assert (tmp_path / "tex" / "x-2.tex").read_text() == statement_tex(rows()[1])
    assert "Corrected" in statement_tex(rows()[1])
    assert "Corrected" not in statement_tex(rows()[2])


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
