"""``lsatheory sweep``: experiments on a grid of configurations and seeds, and what is in their store."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from theory.errors import ArgumentError, check_count, shown
from verify.one_line import one_line_errors
from verify.output.progress import progress_bar
from verify.output.table import rendered

app = typer.Typer(no_args_is_help=True, help="Experiments that can be stopped, resumed and shared out.")

StorePath = Annotated[Path, typer.Option("--store", help="The SQLite file of the results.")]


@app.command()
@one_line_errors()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As fig-4; or module:NAME, or a .py file.")],
    store: StorePath,
    profile: Annotated[str, typer.Option(help="Which configurations.")] = "paper",
    seeds: Annotated[int, typer.Option(help="How many seeds: 0, 1, …")] = 1,
    workers: Annotated[int | None, typer.Option(help="Processes; all cores, or 1 on a GPU.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="float64 or float32, if not the profile's.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, as d=20.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(help="Of a Dask cluster, as tcp://host:8786.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Compute corrupt rows anew.")] = False,
) -> None:
    """Compute what is missing in the store; stopped at any moment, the same command goes on."""
    from numerics.device import resolve  # here, because they load torch
    from numerics.sweeps.cells import grid
    from numerics.sweeps.executors import cluster, process_pool
    from numerics.sweeps.experiments import find
    from numerics.sweeps.runner import run_sweep

    if scheduler is not None and workers is not None:
        raise ArgumentError(f"workers={workers}: must be left out with --scheduler, which has its own")
    settings = _settings(setting or []) | ({} if dtype is None else {"dtype": dtype})
    experiment = find(name)
    configs = experiment.configurations(profile, settings)
    cells = grid(experiment.name, experiment.code, configs, range(check_count("seeds", seeds)))
    if scheduler is None:
        device = str(resolve(device))  # absent is said now and once
    many = 1 if workers is None and device.startswith("cuda") else workers
    start = time.perf_counter()
    with (
        process_pool(many) if scheduler is None else cluster(scheduler) as pool,
        progress_bar(name) as progress,
    ):
        done = run_sweep(experiment, cells, store, pool, device, repair, progress=progress)
    took = time.perf_counter() - start
    typer.echo(f"{name}: {done.computed} cells computed in {took:.1f} s, {done.found} were there")


@app.command()
@one_line_errors()
def status(store: StorePath) -> None:
    """How far each experiment is; corrupt rows by name, and exit status 1 if there is one."""
    from numerics.sweeps.store import open_store  # here, because it loads torch
    from verify.output import sweep_table as view

    with open_store(store) as opened:
        lines, corrupt = opened.status(), opened.corrupt()
    typer.echo(rendered(view.table(lines), colour=sys.stdout.isatty()), nl=False)
    _name(corrupt)


@app.command()
@one_line_errors()
def export(
    store: StorePath, out: Annotated[Path, typer.Option(help="A .csv or .parquet file to write.")]
) -> None:
    """A row for each cell done; corrupt ones are left out, named, and make the exit status 1."""
    from numerics.sweeps.store import open_store
    from verify.output import sweep_table as view

    view.check_table(out)
    with open_store(store) as opened:
        rows = list(opened.rows())
    view.export([row for row in rows if row.right], out)
    typer.echo(out)
    _name([row for row in rows if not row.right])


def _name(corrupt: list[Any]) -> None:
    for row in corrupt:
        typer.echo(f"corrupt: {row}", err=True)
    if corrupt:
        raise typer.Exit(1)


def _settings(words: list[str]) -> dict[str, Any]:
    """KEY=VALUE as a dictionary; a value that is no JSON is text."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier() or key == "profile" or key in found:
            raise ArgumentError(f"set={shown(word)}: must be KEY=VALUE, each key once")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
