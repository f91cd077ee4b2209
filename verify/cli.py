"""The command line: read the ledger, rerun its checks, print its LaTeX."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from theory.errors import ArgumentError, check_count
from theory.statement import registry, select
from theory.wishart import TERM_LIMIT
from verify.claim_cli import check, new
from verify.graph_cli import diff, graph
from verify.ledger import load_statements, store
from verify.ledger.kills import committed_kills
from verify.one_line import one_line_errors
from verify.output.progress import progress_bar
from verify.output.table import STYLES, counts, evidence_table, ledger_table, rendered
from verify.profiles import profile_named
from verify.report_cli import report
from verify.sweep_cli import app as sweep_app

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Statement-by-statement checks of the theory of arXiv:2603.01293.",
)

app.add_typer(sweep_app, name="sweep")
app.command()(check)
app.command()(new)
app.command()(graph)
app.command()(diff)
app.command()(report)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Statements; all if none is named.")]


@app.callback()
def _streams() -> None:
    # A terminal without Greek letters shows their codes; printing does not fail there.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


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
@one_line_errors()
def ledger(json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False) -> None:
    """All verdicts: the committed ones, replaced where the last run here has newer ones."""
    rows = store.current_rows()
    if not rows:
        raise ArgumentError(f"{store.committed_path()}: no ledger there, `lsatheory verify` computes one")
    if json:
        typer.echo(store.dumps(rows), nl=False)
    else:
        _print(ledger_table(rows, committed_kills()), counts(rows))


@app.command()
@one_line_errors()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A statement.")],
    as_latex: Annotated[bool, typer.Option("--latex", help="Formulas as LaTeX.")] = False,
) -> None:
    """One statement in full: formulas, derivation step by step, verdict, evidence, the two routes to it."""
    from verify.output import derivation  # here, because it loads the checks
    from verify.output.plain import plain
    from verify.routes.report import lines, routes  # here, because it reads all the source

    rows = _rows([id])
    ways = routes([row["id"] for row in rows])
    for row in rows:
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
                text = plain(text) if key.endswith("_latex") and not as_latex else text
                parts += [Text(f"\n{label}", style="bold"), Text(text)]
        _print(*parts)  # before the derivation, which may take seconds
        parts = [*derivation.parts(registry()[row["id"]], registry(), as_latex)]
        parts += [Text(), evidence_table(row)] if row["evidence"] else [Text("\nno evidence yet")]
        parts += [Text(), *map(Text, lines(ways[row["id"]]))]
        _print(*parts)


@app.command()
@one_line_errors()
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
    if store.installed():  # pytest would look for options in the folders above, another project's
        arguments += ["-c", os.devnull, f"--rootdir={Path.cwd()}"]
    raise typer.Exit(int(pytest.main(arguments + [f"--statement={i}" for i in ids or []])))


@app.command()
@one_line_errors()
def mutate(
    ids: Ids = None,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Mutants of each form; 0: all.")] = 0,
    profile: Annotated[str, typer.Option(help="quick, standard or thorough.")] = "quick",
    update: Annotated[bool, typer.Option("--update", help="Write notes/mutation.json and .md.")] = False,
) -> None:
    """Run the checks on wrong formulas: how many do they notice, and by which kind of evidence?"""
    profile_named(profile)
    load_statements()
    select(ids or [])
    from verify.mutation import launch, report, shown  # here, because they load what they tamper with

    found = launch.mutate(ids or [], limit, profile)
    if json:
        typer.echo(report.dumps(found), nl=False)
    else:
        _print(shown.killed_table(found), shown.summary(found))
    if update:
        for path in report.write(found, shown.markdown):
            typer.echo(path, err=True)


@app.command()
@one_line_errors()
def risk(
    k: Annotated[int, typer.Argument(metavar="K", help="Steps of the chain of thought.")],
    with_w: Annotated[bool, typer.Option("--with-w", help="Keep W̃ instead of W̃ = I.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="LaTeX instead of plain words.")] = False,
    limit: Annotated[float, typer.Option(help="Most terms that may be predicted.")] = TERM_LIMIT,
) -> None:
    """The exact k-step risk E‖ŵ_k − w*‖² at finite prompt length, for any Ṽ, Σ, n."""
    from theory.kstep import k_step_risk_expr  # here, because it derives statements of its own
    from theory.lower import latex_of

    with progress_bar(f"risk of {k} steps") as progress:
        found = k_step_risk_expr(k, with_w, limit=limit, progress=progress)
    typer.echo(latex_of(found) if as_latex else str(found))


@app.command()
@one_line_errors()
def overthinking(
    d: Annotated[int, typer.Option(help="Dimension.")] = 5,
    n: Annotated[int, typer.Option(help="Prompt length.")] = 10,
    out: Annotated[Path | None, typer.Option(help="Figure to write, .png, .pdf or .svg.")] = None,
) -> None:
    """What each fixed point costs with another number of steps than it was trained for."""
    if out is not None and (out.suffix not in (".png", ".pdf", ".svg") or not out.parent.is_dir()):
        raise ArgumentError(f"out={str(out)!r}: must be a .png, .pdf or .svg file in an existing folder")
    from verify.output import overthinking as view  # here, because it loads torch

    _print(view.table(check_count("d", d), check_count("n", n)))
    if out is not None:
        view.figure(d, n, out)
        typer.echo(out)


@app.command()
@one_line_errors()
def stability(
    d: Annotated[int, typer.Option(help="Dimension, even.")] = 20,
    n: Annotated[int, typer.Option(help="Prompt length.")] = 40,
    out: Annotated[Path | None, typer.Option(help="Figure to write, .png, .pdf or .svg.")] = None,
) -> None:
    """The largest stable step of gradient descent, measured, beside 2/λ_max and Theorem 4.2."""
    if out is not None and (out.suffix not in (".png", ".pdf", ".svg") or not out.parent.is_dir()):
        raise ArgumentError(f"out={str(out)!r}: must be a .png, .pdf or .svg file in an existing folder")
    if check_count("d", d, 2) % 2:
        raise ArgumentError(f"d={d!r}: must be even, two blocks of one size")
    from verify.output import stability_figures as view  # here, because it loads torch

    _print(view.table(d, check_count("n", n)))
    if out is not None:
        view.figure(d, n, out)
        typer.echo(out)


@app.command()
@one_line_errors()
def plan(
    n: Annotated[int | None, typer.Option(help="Prompt length, in all its roles.")] = None,
    weights: Annotated[str | None, typer.Option(help="Shares of the blocks, as .5,.5.")] = None,
    post: Annotated[str | None, typer.Option(help="Levels of A on the blocks.")] = None,
    pre: Annotated[str | None, typer.Option(help="Levels of Σ₀.")] = None,
    test: Annotated[str | None, typer.Option(help="Levels of Σ.")] = None,
    d: Annotated[int | None, typer.Option(help="Dimension; with files their length.")] = None,
    post_file: Annotated[Path | None, typer.Option(help="Eigenvalues of A, one a line, or .npy.")] = None,
    pre_file: Annotated[Path | None, typer.Option(help="Those of Σ₀, in the same order.")] = None,
    test_file: Annotated[Path | None, typer.Option(help="Those of Σ.")] = None,
    n_pre: Annotated[int | None, typer.Option(help="Prompt length of pretraining, if another.")] = None,
    n_test: Annotated[int | None, typer.Option(help="Prompt length of the test, if another.")] = None,
    eta: Annotated[float, typer.Option(help="Rate of the supervised path.")] = 0.2,
    have: Annotated[int | None, typer.Option(help="Prompts at hand.")] = None,
    budget: Annotated[int | None, typer.Option(help="Tokens nB to spend.")] = None,
    out: Annotated[Path | None, typer.Option(help="Figure to write, .png, .pdf or .svg.")] = None,
) -> None:
    """How many prompts to fine-tune on, from the exact limit of the post-test error."""
    from verify import spectra  # here, because they load scipy's optimisers
    from verify.output import plan as view

    if out is not None:
        view.check_figure(out)
    task = spectra.task(
        blocks={"weights": weights, "post": post, "pre": pre, "test": test},
        files={"post": post_file, "pre": pre_file, "test": test_file},
        d=d,
        n=n,
        n_pre=n_pre,
        n_test=n_test,
        eta=eta,
    )
    _print(*view.report(task, have, budget))
    if out is not None:
        view.figure(task, out, have)
        typer.echo(out)


@app.command()
@one_line_errors()
def figure(
    name: Annotated[str, typer.Argument(metavar="1|2|3|4|5", help="Which figure of the paper, or fig-1 ….")],
    out: Annotated[Path, typer.Option(help="Folder for a .png, a .pdf and a .csv, or one file.")],
    workers: Annotated[int, typer.Option(help="Processes that simulate.")] = 2,
    runs: Annotated[int | None, typer.Option(help="Runs that are averaged, or training sets.")] = None,
    device: Annotated[str | None, typer.Option(help="Of Figures 3 and 4: cpu, cuda or auto.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Of Figures 3 and 4: float64 or float32.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of Figures 3 and 4: paper, or small for 3.")] = None,
) -> None:
    """A figure of the paper: the simulation, and the exact limit where there is one."""
    from verify.output import figures  # here, because it loads torch

    settings = {"runs": runs, "device": device, "dtype": dtype, "profile": profile}
    for line in figures.make(name, out, workers, **settings):
        typer.echo(line)


@app.command()
@one_line_errors()
def latex(
    ids: Ids = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a file a statement, macros, table, errata, companion.")
    ] = None,
) -> None:
    """Statements as LaTeX: a document on stdout, or all that a paper needs in a folder."""
    from verify.output import latex as tex  # here, because reading the ledger needs no printer
    from verify.output import latex_folder

    rows = _rows(ids or [])
    if out is None:
        typer.echo(tex.document(rows, registry()), nl=False)
        return
    paths = latex_folder.write(rows, registry(), out)
    for path in paths:
        typer.echo(path)
    if out / "companion.pdf" not in paths:
        typer.echo(
            f"{out / 'companion.tex'}: no pdflatex here to make a PDF (Debian: texlive-latex-recommended)",
            err=True,
        )
