r"""Statements as LaTeX: macros for the symbols, a piece to ``\input`` for each, a table, a document.

Packages: amsmath and amssymb; longtable and array for the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from theory.statement import BEYOND, REPORTED, Statement
from verify.ledger.store import Row
from verify.output.latex_break import TEXT, broken
from verify.output.latex_macros import definitions, formula, table, with_macros
from verify.output.latex_prose import prose
from verify.output.table import kinds

# How the pieces look: a paper that inputs them changes it here.
_LAYOUT = r"""% Made by `lsatheory latex`, to be read in before the statements.  Needs amsmath and amssymb.
\providecommand{\lsaref}[1]{\texttt{#1}}% a statement's id; its formula has the label lsa:<id>
\newcommand{\lsastatement}[4]{% id, source, verdict, title
  \par\addvspace{\bigskipamount}{\raggedright\noindent
  \textbf{#2}\quad\textit{#3}\quad\texttt{#1}\par\nobreak\noindent #4.\par}\nobreak}
\newcommand{\lsaremark}[2]{\par{\sloppy\noindent\textit{#1}: #2.\par}}% condition, counterexample, note
\newcommand{\lsaform}[1]{\par\noindent\textit{#1}:}% the display follows
\newcommand{\lsaderivation}[1]{% the derivation of a statement
  \par\addvspace{\bigskipamount}\noindent\textbf{Derivation of \lsaref{#1}}\par\nobreak}
\newcommand{\lsaderivationstep}[3]{% number, rule, function
  \par{\raggedright\noindent #1.~#2 {\small(\texttt{#3})}\par}}
\newcommand{\lsaderivationmore}[1]{\par\noindent and #1 more of the kind.\par}
\newcommand{\lsaderivationend}[1]{% what the steps establish
  \par{\raggedright\noindent$\vdash$ \textit{#1}.\par}}

% The symbols.
"""
DOCUMENT = r"""\documentclass{article}
\usepackage{amsmath,amssymb}
\allowdisplaybreaks
\emergencystretch=3em
"""


def macros(symbols: Mapping[str, str]) -> str:
    """``macros.tex``: the layout of statements, and the macros of their symbols."""
    return _LAYOUT + definitions(symbols)


def _sentence(text: str) -> str:
    return prose(text.strip().rstrip("."))


def _tag(row: Row, form: str) -> str:
    """The paper's number of an equation, the id of what has none; a prime is the corrected form."""
    numbered = re.fullmatch(r"(?:Theorem|Proposition|Lemma) \S+, eq\. (\S+)", row["source"])
    number = numbered[1] if numbered else row["id"].removeprefix("eq-")
    return number + ("" if form == "printed" else "$'$")


def display(latex: str, symbols: Mapping[str, str], width: float, row: Row, form: str = "printed") -> str:
    """A display no wider than ``width`` points, with the tag and the label of the statement."""
    lines = broken(latex, symbols, width)
    label = f"lsa:{row['id']}" + ("" if form == "printed" else f":{form}")
    mark = rf"\tag{{{_tag(row, form)}}}\label{{{label}}}"
    if len(lines) == 1:
        return f"\\begin{{equation*}}\n{lines[0]} {mark}\n\\end{{equation*}}\n"
    body = " \\\\\n".join(f"& {line}" for line in lines)
    return f"\\begin{{align*}}\n{body} {mark}\n\\end{{align*}}\n"


def unnumbered(latex: str, symbols: Mapping[str, str], width: float = TEXT) -> str:
    """A display without a number, no wider than ``width`` points."""
    lines = broken(with_macros(latex.replace("\n", " ")), symbols, width)
    if len(lines) == 1:
        return f"\\begin{{equation*}}\n{lines[0]}\n\\end{{equation*}}\n"
    body = " \\\\\n".join(f"& {line}" for line in lines)
    return f"\\begin{{align*}}\n{body}\n\\end{{align*}}\n"


def printed_label(row: Row) -> str:
    """What to call the first formula: the print has no formula for a claim in words, we do."""
    if row["source"] == BEYOND:
        return "Statement"
    if row["source"] == REPORTED:
        return "As reported"
    if row["source"].startswith(("Insight", "Abstract", "Figure")):
        return "As read here"
    in_text = row["source"].startswith("Section") and not re.search(r", (?:eq\.|display)", row["source"])
    return "As printed, or read from the text" if in_text else "As printed"


def statement_tex(
    row: Row,
    statement: Statement,
    symbols: Mapping[str, str],
    width: float = TEXT,
    derived: str | None = None,
) -> str:
    """The statement: source, verdict, title, printed form, and what the verdict rests on; ``derived`` is a
    side of it as the derivation wrote it."""
    ours = row["source"] == BEYOND
    heading = ("Beyond the paper" if ours else prose(row["source"]), row["verdict"], _sentence(row["title"]))
    parts = [
        rf"\lsastatement{{{row['id']}}}{{{heading[0]}}}{{{heading[1]}}}{{{heading[2]}}}" + "\n",
        rf"\lsaform{{{printed_label(row)}}}" + "\n",
        display(formula(statement.printed), symbols, width, row),
    ]
    if row["condition"] is not None:
        parts.append(rf"\lsaremark{{Holds if}}{{{_sentence(row['condition'])}}}" + "\n")
    if statement.corrected is not None:
        parts.append("\\lsaform{Corrected}\n")
        parts.append(display(formula(statement.corrected), symbols, width, row, "corrected"))
    if derived is not None:
        parts += ["\\lsaform{As derived}\n", unnumbered(derived, symbols, width)]
    if row["counterexample"] is not None:
        parts.append(rf"\lsaremark{{Counterexample}}{{{_sentence(row['counterexample'])}}}" + "\n")
    return "".join(parts)


def evidence_kinds(row: Row) -> str:
    """The kinds of evidence behind a verdict."""
    return ", ".join(dict.fromkeys(e["kind"] for e in row["evidence"])) or "none"


def verdict_table(rows: Iterable[Row]) -> str:
    """``table.tex``: a longtable of the verdicts, for a document with longtable and array."""
    head = (
        "\\begingroup\\footnotesize\\setlength{\\tabcolsep}{4pt}\n"
        "\\begin{longtable}{@{}>{\\raggedright\\arraybackslash}p{.24\\linewidth}"
        ">{\\raggedright\\arraybackslash}p{.42\\linewidth}"
        ">{\\raggedright\\arraybackslash}p{.135\\linewidth}"
        ">{\\raggedright\\arraybackslash}p{.13\\linewidth}@{}}\n"
        "statement & what it says & verdict & evidence \\\\ \\hline \\endhead\n"
    )
    body = ""
    for row in rows:
        id = row["id"].replace("-", "-\\allowbreak ").replace(".", ".\\allowbreak ")
        body += rf"\texttt{{{id}}} & {prose(row['title'])} & {row['verdict']} & {kinds(row)} \\" + "\n"
    return head + body + "\\end{longtable}\\endgroup\n"


def document(rows: Iterable[Row], statements: Mapping[str, Statement]) -> str:
    """A document of these statements that compiles by itself."""
    rows = list(rows)
    used = [statements[row["id"]] for row in rows]
    symbols = table(used)
    body = "\n".join(statement_tex(r, s, symbols) for r, s in zip(rows, used, strict=True))
    title = "\\section*{Statements of arXiv:2603.01293}\n\n"
    return f"{DOCUMENT}{macros(symbols)}\\begin{{document}}\n{title}{body}\n\\end{{document}}\n"


def pieces(
    rows: Iterable[Row],
    statements: Mapping[str, Statement],
    width: float,
    derived: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """``macros.tex``, ``table.tex`` and a file for each row, by name; formulas no wider than ``width``.
    ``derived``: what derivations wrote, by id."""
    rows, derived = list(rows), derived or {}
    used = [statements[row["id"]] for row in rows]
    symbols = table(used)
    files = {"macros.tex": macros(symbols), "table.tex": verdict_table(rows)}
    for row, statement in zip(rows, used, strict=True):
        files[f"{row['id']}.tex"] = statement_tex(row, statement, symbols, width, derived.get(row["id"]))
    return files
