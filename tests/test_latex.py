"""Statements as LaTeX: macros, formulas that say what the ledger says, line breaks, the pieces of a paper."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest
import sympy as sp
from planted import MATTERS, PLAIN, rows

from theory import notation as nt
from theory.errors import ArgumentError
from theory.statement import Statement
from verify.ledger import load_statements, store
from verify.output import companion_text, latex_macros
from verify.output.latex import display, document, macros, pieces, statement_tex, verdict_table
from verify.output.latex_break import COLUMN, TEXT, broken

STATEMENTS = load_statements()
SYMBOLS = latex_macros.table(STATEMENTS.values())
FORMS = [
    pytest.param(form, id=f"{s.id}-{name}")
    for s in STATEMENTS.values()
    for name, form in (("printed", s.printed), ("corrected", s.corrected))
    if form is not None
]
# What lays out and says nothing; \left grows with what it holds, \Bigl does not.
LAYOUT = re.compile(
    r"\\(?:begin|end)\{(?:aligned|gathered)\}|\\\\|\\quad|\\[Bb]igg?[lr]|\\left|\\right|[&\s{},]"
)


formula_of = cache(latex_macros.formula)


def expanded(latex: str) -> str:
    return latex_macros.MACRO.sub(lambda found: SYMBOLS[found[0][1:]], latex)


def said(latex: str) -> str:
    """The signs of ``latex`` in order, without what lays them out."""
    return LAYOUT.sub("", re.sub(r"\{\}\\cdot ", "", latex))


@pytest.mark.parametrize("form", FORMS)
def test_macros_and_line_breaks_change_no_sign(form: sp.Basic) -> None:
    formula = formula_of(form)
    assert said(expanded(formula)) == said(nt.latex(form))
    for width in (TEXT, COLUMN):
        lines = "".join(broken(formula, SYMBOLS, width))
        if r"\frac{1}" not in lines:  # a numerator that is too wide becomes a bracket behind 1/…
            assert said(lines) == said(formula)
        assert sorted(latex_macros.MACRO.findall(lines)) == sorted(latex_macros.MACRO.findall(formula))


def test_a_macro_for_each_symbol_each_defined_once() -> None:
    text = macros(SYMBOLS)
    defined = re.findall(r"\\(?:new|provide)command\{\\([A-Za-z]+)\}", text)
    assert len(defined) == len(set(defined))
    assert set(SYMBOLS) <= set(defined)
    used = {name for p in FORMS for name in latex_macros.MACRO.findall(formula_of(p.values[0]))}
    assert {name[1:] for name in used} <= set(SYMBOLS)
    # The same letter for two things is two macros; what is made of another symbol follows it.
    assert SYMBOLS["lsaG"] == SYMBOLS["lsaA"] == "A"
    assert r"\newcommand{\lsaVInf}{\lsaV _{\infty}}" in text


def test_common_symbols_are_those_of_the_formulas() -> None:
    assert {name: SYMBOLS[name] for name in companion_text.SYMBOLS} == companion_text.SYMBOLS
    assert {m[1:] for m in latex_macros.MACRO.findall(companion_text.DEFINITIONS)} <= set(SYMBOLS)
    for name, latex in latex_macros._COMMON.items():
        assert nt.latex(sp.Symbol(name)) == latex


def test_symbols_that_look_different_cannot_share_a_macro() -> None:
    clash = [
        replace(PLAIN, id=f"x-{i}", printed=sp.Symbol(name))
        for i, name in enumerate(("a_1", "a1", "lambda1"))
    ]
    assert latex_macros.table(clash)["lsaaOne"] == "a_{1}"
    wrong = [replace(PLAIN, printed=sp.Symbol(name)) for name in ("F'", "FPrime")]
    with pytest.raises(ArgumentError, match="FPrime"):
        latex_macros.table(wrong)


A, B, C = (rf"\mathrm{{{letter * 10}}}" for letter in "abc")  # 54 points each
QUADS = r"\quad \quad"
TRACE = rf"\operatorname{{tr}}\left({A}\right)"


@pytest.mark.parametrize(
    ("latex", "width", "lines"),
    [
        (f"{A} = {B} + {C}", 250.0, [f"{A} = {B} + {C}"]),
        (f"{A} = {B} + {C}", 110.0, [A, rf"\quad = {B}", rf"{QUADS} \quad + {C}"]),
        (f"{A} = {B} + {C}", 185.0, [A, rf"\quad = {B} + {C}"]),
        (f"{A} + {B} - {C}", 140.0, [f"{A} + {B}", rf"\quad - {C}"]),
        (rf"{A} \left({B} + {C}\right)^{{2}}", 155.0, [rf"{A} \Bigl( {B}", rf"{QUADS} + {C} \Bigr)^{{2}}"]),
        (f"{A} = 1, \\quad {B} = {C}", 160.0, [f"{A} = 1,", f"{B} = {C}"]),
        (rf"\frac{{{A} + {B}}}{{c}}", 110.0, [rf"\frac{{1}}{{c}} \biggl( {A}", rf"{QUADS} + {B} \biggr)"]),
        (f"{A} {B} {C}", 120.0, [f"{A} {B}", rf"\quad {{}}\cdot {C}"]),
        (rf"{TRACE} {B}", 90.0, [TRACE, rf"\quad {{}}\cdot {B}"]),
        (rf"\begin{{gathered}} {A} = {B} \\ {C} \end{{gathered}}", 150.0, [f"{A} = {B}", C]),
        (rf"\begin{{aligned}} & {A} \\ & \quad = {B} \end{{aligned}}", 150.0, [f"{A} = {B}"]),
    ],
)  # fmt: skip
def test_breaks(latex: str, width: float, lines: list[str]) -> None:
    assert [" ".join(line.split()) for line in broken(latex, {}, width)] == lines


def _planted() -> dict[str, Statement]:
    return {
        "x-1": PLAIN,
        "x-2": replace(MATTERS, id="x-2", title="‖I+ṼΣ‖ ≤ 1 | ŵ"),
        "x-3": replace(PLAIN, id="x-3", condition="η ∈ (0, 1], A† exists & B_0 > 5%"),
    }


def test_display_has_the_papers_number_and_a_label() -> None:
    one = display("a = b", {}, TEXT, {"id": "eq-3.6.a", "source": "Eqs. 3.6, 3.7"})
    assert one == "\\begin{equation*}\na = b \\tag{3.6.a}\\label{lsa:eq-3.6.a}\n\\end{equation*}\n"
    more = display(f"{A} = {B}", {}, 100.0, {"id": "thm-4.1", "source": "Theorem 4.1, eq. 4.1"}, "corrected")
    assert more.startswith(f"\\begin{{align*}}\n& {A} \\\\\n& \\quad = {B} ")
    assert r"\tag{4.1$'$}\label{lsa:thm-4.1:corrected}" in more


def test_document_is_ascii_and_needs_two_packages() -> None:
    text = document(rows(), _planted())
    assert text.isascii()
    assert text.count(r"\usepackage") == 1
    assert r"\usepackage{amsmath,amssymb}" in text
    assert "\\lsaform{As printed}\n" in text
    assert "\\lsaaa = 2 \\lsabb \\tag{x-1}" in text


def test_pieces_are_the_statements_their_macros_and_a_table() -> None:
    found = pieces(rows(), _planted(), COLUMN)
    assert sorted(found) == ["macros.tex", "table.tex", "x-1.tex", "x-2.tex", "x-3.tex"]
    assert "Corrected" in found["x-2.tex"]
    assert "Corrected" not in found["x-3.tex"]
    assert (
        r"\lsaremark{Holds if}{$\lsaeta \in (0, 1]$, $A^{\dagger}$ exists \& $\lsaB _{0} > 5$\%}"
        in found["x-3.tex"]
    )
    assert found["table.tex"].count(r"\\") == 4  # a heading and three rows
    for name, text in found.items():
        assert "documentclass" not in text, name
    row = rows()[0]
    assert statement_tex(row, PLAIN, latex_macros.table([PLAIN]), COLUMN) == found["x-1.tex"]


def test_table_has_every_row() -> None:
    ledger = store.load(store.committed_path())
    text = verdict_table(ledger)
    for row in ledger:
        broken_id = row["id"].replace("-", r"-\allowbreak ").replace(".", r".\allowbreak ")
        assert rf"\texttt{{{broken_id}}} &" in text
