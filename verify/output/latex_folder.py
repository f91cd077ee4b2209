"""All that a paper needs, in a folder: what ``lsatheory latex --out`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from theory.errors import ArgumentError
from theory.statement import Statement
from verify.ledger.store import Row, write_files
from verify.output import companion, latex
from verify.output.derivations import committed
from verify.output.errata_tex import errata_tex
from verify.output.latex_break import COLUMN
from verify.output.latex_macros import table
from verify.output.latex_steps import derivation_tex


def files(rows: list[Row], statements: Mapping[str, Statement]) -> dict[str, str]:
    """Everything but figures and PDF, by name; formulas of the single statements, and of their derivations,
    fit the column of a paper in two columns."""
    taken = committed()
    found = latex.pieces(rows, statements, COLUMN, {id: one["derived"] for id, one in taken.items()})
    symbols = table(statements[row["id"]] for row in rows)
    for id in (row["id"] for row in rows if row["id"] in taken):
        found[f"{id}-derivation.tex"] = derivation_tex(id, taken[id], symbols, COLUMN)
    return found | {
        "errata.tex": errata_tex(rows, statements),
        "companion.tex": companion.companion(rows, statements, taken),
    }


def write(rows: list[Row], statements: Mapping[str, Statement], folder: Path) -> list[Path]:
    """Write macros, a file for each statement and for its derivation, table, errata and companion, with its
    figures; the paths.

    ``companion.pdf`` is among them where there is a pdflatex.  Raises :class:`ArgumentError` for a folder
    that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"out={str(folder)!r}: must be a folder")
    texts = files(rows, statements)
    write_files({folder / name: text for name, text in texts.items()})
    companion.copy_figures(folder)
    pdf = companion.compile_pdf(folder / "companion.tex")
    return [folder / name for name in texts] + ([pdf] if pdf else [])
