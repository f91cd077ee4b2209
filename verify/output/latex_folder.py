"""All that a paper needs, in a folder: what ``lsatheory latex --out`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from theory.errors import ArgumentError
from theory.statement import Statement
from verify.ledger.store import Row, write_files
from verify.output import companion, latex
from verify.output.errata_tex import errata_tex
from verify.output.latex_break import COLUMN


def write(rows: list[Row], statements: Mapping[str, Statement], folder: Path) -> list[Path]:
    """Write macros, a file for each statement, table, errata and companion, with its figures; the paths.

    ``companion.pdf`` is among them where there is a pdflatex.  Formulas of the single statements fit the
    column of a paper in two columns.  Raises :class:`ArgumentError` for a folder that cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"out={str(folder)!r}: must be a folder")
    files = latex.pieces(rows, statements, COLUMN)
    files |= {
        "errata.tex": errata_tex(rows, statements),
        "companion.tex": companion.companion(rows, statements),
    }
    write_files({folder / name: text for name, text in files.items()})
    companion.copy_figures(folder)
    pdf = companion.compile_pdf(folder / "companion.tex")
    return [folder / name for name in files] + ([pdf] if pdf else [])
