"""A checked claim in the terminal and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from verify.claims.check import Finding
from verify.output import latex
from verify.output.latex_macros import table
from verify.output.plain import plain
from verify.output.table import STYLES, evidence_table


def report(found: Finding) -> list[RenderableType]:
    """Verdict, formula, evidence, and what is known of where it fails."""
    row = found.row
    parts: list[RenderableType] = [
        Text.assemble((row["verdict"], STYLES[row["verdict"]]), f"  {row['id']}  {row['title']}"),
        Text(plain(row["printed_latex"])),
    ]
    if row["corrected_latex"]:
        parts.append(Text(f"corrected: {plain(row['corrected_latex'])}"))
    if row["condition"]:
        parts.append(Text(f"condition: {row['condition']}"))
    if row["counterexample"] and not any(note.startswith("counterexample") for note in found.notes):
        parts.append(Text(f"counterexample: {row['counterexample']}"))
    parts += [Text(), evidence_table(row)]
    return parts + [Text(note) for note in found.notes]


def latex_files(findings: Iterable[Finding]) -> dict[str, str]:
    """By name: ``macros.tex``, and for each claim a piece to be input after it, as the paper's rows have."""
    findings = list(findings)
    symbols = table([one.statement for one in findings])
    files = {"macros.tex": latex.macros(symbols)}
    for one in findings:
        files[f"{one.row['id']}.tex"] = latex.statement_tex(one.row, one.statement, symbols)
    return files
