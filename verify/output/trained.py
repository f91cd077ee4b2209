"""The trained figures' experiments, run as sweeps whose results are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numerics.device import resolve
from numerics.sweeps.cells import grid
from numerics.sweeps.executors import cores, process_pool
from numerics.sweeps.experiments import find
from numerics.sweeps.runner import run_sweep
from numerics.sweeps.store import open_store
from theory.errors import check_count
from verify.ledger.store import state_folder

Config = Mapping[str, Any]


def store_path() -> Path:
    """Where results are kept, so that a run that was stopped goes on."""
    return state_folder() / "figures.sqlite"


def trained(
    name: str,
    profile: str,
    settings: dict[str, Any],
    seeds: int,
    workers: int,
    device: str,
    store: Path | None,
    progress: Callable[[float], None],
) -> tuple[list[Config], list[Any]]:
    """The configurations of the experiment ``name``, and the results: each configuration at each seed.

    What the store has (:func:`store_path` if ``store`` is None) is not computed again.  Raises what
    :func:`numerics.sweeps.runner.run_sweep` does, and :class:`~theory.errors.ArgumentError` for a device or
    a number of workers that there is not.
    """
    path = store or store_path()
    path.parent.mkdir(exist_ok=True)
    experiment = find(name)
    configs = experiment.configurations(profile, settings)
    cells = grid(experiment.name, experiment.code, configs, range(seeds))
    where = str(resolve(device))
    most = 1 if where.startswith("cuda") else min(check_count("workers", workers), cores())
    with process_pool(most) as pool:
        run_sweep(experiment, cells, path, pool, where, progress=progress)
    with open_store(path) as opened:
        return list(configs), opened.results(cells)
