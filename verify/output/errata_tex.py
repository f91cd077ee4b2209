"""The errata as a LaTeX document that compiles by itself, on amsmath and amssymb."""

from __future__ import annotations

from collections.abc import Mapping

from theory.statement import Statement
from verify.ledger.store import Row
from verify.output.errata import chosen, group, parts, preface, repeated, separate
from verify.output.latex import DOCUMENT, display, macros
from verify.output.latex_break import TEXT
from verify.output.latex_macros import formula, table
from verify.output.latex_prose import prose

_TITLE = r"""\title{Errata to arXiv:2603.01293}
\author{}\date{}
\begin{document}
\maketitle
"""


def errata_tex(rows: list[Row], known: Mapping[str, Statement]) -> str:
    """``errata.tex``, of the same entries as the Markdown."""
    verdicts, apart = {r["id"]: r["verdict"] for r in rows}, separate()
    entries = chosen(rows)
    again = repeated(entries)
    statements = [known[row["id"]] for row in entries]
    symbols = table(statements)
    said, points = preface(rows)
    out = [DOCUMENT + macros(symbols) + _TITLE + prose(said)]
    if points:
        out += [r"\begin{enumerate}", *(rf"\item {prose(point)}" for point in points), r"\end{enumerate}"]
    title = ""
    for number, (row, statement) in enumerate(zip(entries, statements, strict=True), 1):
        if group(row) != title:
            title = group(row)
            out.append(rf"\section*{{{title}}}")
        heading = f"{number}. {prose(row['source'])}"
        out.append(rf"\lsastatement{{{row['id']}}}{{{heading}}}{{{row['verdict']}}}{{{prose(row['title'])}}}")
        for part in parts(row, known, verdicts, apart, again.get(row["id"])):
            if part.form:
                form = getattr(statement, part.form)
                out.append(rf"\lsaform{{{part.label}}}")
                out.append(display(formula(form), symbols, TEXT, row, part.form).rstrip())
            else:
                out.append(rf"\lsaremark{{{part.label}}}{{{prose(part.text.rstrip('.'))}}}")
    return "\n".join(out) + "\n\\end{document}\n"
