"""The command line: read the ledger, rerun its checks, print its LaTeX."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from theory.errors import ArgumentError
from theory.statement import select
from verify.ledger import load_statements, store
from verify.output import latex as tex
from verify.output.table import STYLES, counts, evidence_table, ledger_table, rendered
from verify.profiles import profile_named

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Statement-by-statement checks of the theory of arXiv:2603.01293.",
)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Statements; all if none is named.")]


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Bad input: one line on stderr and exit status 2."""
    try:
        yield
    except ArgumentError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


def _print(*parts: RenderableType) -> None:
    typer.echo(rendered(*parts, colour=sys.stdout.isatty()), nl=False)


def _rows(ids: list[str]) -> list[store.Row]:
    """The rows of the statements named, formulas from the theory and the rest from the ledger."""
    load_statements()
    chosen = select(ids)
    kept = {row["id"]: row for row in store.current_rows()}
    rows = []
    for statement in chosen:
        row = store.row(statement, [])
        if statement.id in kept:
            row |= {key: kept[statement.id][key] for key in ("verdict", "evidence")}
        rows.append(row)
    return rows


@app.command()
@_one_line_errors()
def ledger(json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False) -> None:
    """All verdicts: the committed ones, replaced where the last run here has newer ones."""
    rows = store.current_rows()
    if not rows:
        raise ArgumentError(f"{store.committed_path()}: no ledger there, `lsatheory verify` computes one")
    if json:
        typer.echo(store.dumps(rows), nl=False)
    else:
        _print(ledger_table(rows), counts(rows))


@app.command()
@_one_line_errors()
def show(id: Annotated[str, typer.Argument(metavar="ID", help="A statement.")]) -> None:
    """One statement in full: formulas as LaTeX, verdict, evidence."""
    for row in _rows([id]):
        verdict = Text.assemble((row["verdict"], STYLES[row["verdict"]]), f"  {row['id']}  {row['source']}")
        parts: list[RenderableType] = [verdict, Text(row["title"])]
        for label, key in (
            ("printed", "printed_latex"),
            ("corrected", "corrected_latex"),
            ("condition", "condition"),
            ("counterexample", "counterexample"),
            ("consequences", "consequences"),
            ("note", "note"),
        ):
            if row[key]:
                text = row[key] if isinstance(row[key], str) else "; ".join(row[key])
                parts += [Text(f"\n{label}", style="bold"), Text(text)]
        parts += [Text(), evidence_table(row)] if row["evidence"] else [Text("\nno evidence yet")]
        _print(*parts)


@app.command()
@_one_line_errors()
def verify(
    ids: Ids = None,
    profile: Annotated[str, typer.Option(help="quick, standard or thorough.")] = "standard",
    base_seed: Annotated[int, typer.Option(help="The seed that all seeds derive from.")] = 0,
) -> None:
    """Run the checks; exit status 0 if every verdict is the committed one."""
    import pytest  # here, because reading the ledger should not wait for it

    profile_named(profile)
    load_statements()
    select(ids or [])
    arguments = [str(store.project_root() / "verify"), f"--profile={profile}", f"--base-seed={base_seed}"]
    raise typer.Exit(int(pytest.main(arguments + [f"--statement={i}" for i in ids or []])))


@app.command()
@_one_line_errors()
def latex(
    ids: Ids = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a file a statement and statements.tex.")
    ] = None,
) -> None:
    """Statements as LaTeX: a document on stdout, or files in a folder."""
    rows = _rows(ids or [])
    if out is None:
        typer.echo(tex.document(rows), nl=False)
    elif out.exists() and not out.is_dir():
        raise ArgumentError(f"out={str(out)!r}: must be a folder")
    else:
        for path in tex.write(rows, out):
            typer.echo(path)
