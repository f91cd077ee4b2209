"""``lsatheory report``: the ledger as a page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from theory.errors import ArgumentError
from theory.statement import registry
from verify.ledger import load_statements, store
from verify.one_line import one_line_errors


@one_line_errors()
def report(out: Annotated[Path, typer.Option(help="Folder for report.html.")]) -> None:
    """The committed ledger as one HTML page: verdicts with filters, formulas, evidence, figures."""
    from verify.output import report as view  # here, because it loads SymPy

    if out.exists() and not out.is_dir():
        raise ArgumentError(f"out={str(out)!r}: must be a folder")
    # Not a later run's rows: of the committed ones the profile and the base seed are known.
    rows = store.load(store.committed_path())
    if not rows:
        raise ArgumentError(f"{store.committed_path()}: no ledger there, `make ledger` computes one")
    load_statements()
    path = out / "report.html"
    store.write_text(path, view.report(rows, registry()))
    typer.echo(path)
