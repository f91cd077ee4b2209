"""``lsatheory graph`` and ``lsatheory diff``: what hangs on what, and what two ledgers disagree on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from theory.errors import ArgumentError
from verify.ledger import load_statements, store
from verify.one_line import one_line_errors
from verify.output import diff as beside
from verify.output.table import rendered


@one_line_errors()
def graph(
    id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="A statement; all if none is named.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="An .svg file to write.")] = None,
) -> None:
    """What a statement rests on, what hangs on it, and what falls, stands or needs another proof."""
    from verify.graph import Graph
    from verify.output import graph as view

    if out is not None and (out.suffix != ".svg" or not out.resolve().parent.is_dir()):
        raise ArgumentError(f"out={str(out)!r}: must be an .svg file in an existing folder")
    found = Graph(load_statements(), {row["id"]: row["verdict"] for row in store.current_rows()})
    if id is not None:
        found.check(id)
    if out is not None:
        store.write_text(out, view.svg(found, id))
        typer.echo(out)
        return
    parts = view.overview(found) if id is None else view.trees(found, id)
    typer.echo(rendered(*parts, colour=sys.stdout.isatty()), nl=False)


@one_line_errors()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A ledger, as notes/ledger.json.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Another one.")],
) -> None:
    """Compare two ledgers: rows, verdicts, formulas, figures; exit status 1 if they differ."""
    for path in (old, new):
        if not path.is_file():
            raise ArgumentError(f"{path}: must be a ledger, as `lsatheory ledger --json` prints it")
    changes = beside.differences(store.load(old), store.load(new))
    parts = [beside.table(changes)] if changes else []
    typer.echo(rendered(*parts, beside.summary(changes), colour=sys.stdout.isatty()), nl=False)
    raise typer.Exit(int(bool(changes)))
