"""``lsatheory check`` and ``lsatheory new``: a claim of one's own."""

from __future__ import annotations

import keyword
import sys
from pathlib import Path
from typing import Annotated

import typer

from theory.errors import ArgumentError, check_count, shown
from verify.ledger.store import write_files
from verify.one_line import one_line_errors
from verify.output.table import rendered
from verify.profiles import profile_named


@one_line_errors()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Python files with a claim each, or more.")
    ],
    profile: Annotated[str, typer.Option(help="quick, standard or thorough.")] = "standard",
    base_seed: Annotated[int, typer.Option(help="The seed that all random numbers derive from.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the claims as LaTeX.")] = None,
) -> None:
    """Check your own claims by the rules of the paper's; exit status 1 if one does not hold."""
    from verify.claims import check as judge  # here, because it loads torch
    from verify.claims.report import latex_files, report

    settings = profile_named(profile)
    check_count("base_seed", base_seed, 0)
    if out is not None and out.exists() and not out.is_dir():
        raise ArgumentError(f"out={str(out)!r}: must be a folder")
    found = []
    for path in files:
        for id, claim in judge.load(path).items():
            found.append(judge.check(claim, id, base_seed, settings))
            typer.echo(rendered(*report(found[-1]), colour=sys.stdout.isatty()), nl=False)
    if out is not None:
        pieces = {out / name: text for name, text in latex_files(found).items()}
        write_files(pieces)
        for written in pieces:
            typer.echo(written)
    raise typer.Exit(int(not all(one.holds for one in found)))


@one_line_errors()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the claim: NAME.py is written.")],
) -> None:
    """Write a claim that runs, to be changed into yours."""
    from verify.claims.template import template

    name = name.removesuffix(".py")
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ArgumentError(f"name={shown(name)}: must be a Python name, as my_claim")
    path = Path(f"{name}.py")
    if path.exists():
        raise ArgumentError(f"{path}: exists, must be a new file")
    path.write_text(template(name), encoding="utf-8")
    typer.echo(f"{path}: change it, then run `lsatheory check {path}`")
