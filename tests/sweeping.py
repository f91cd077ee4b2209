"""Sweeps of ``tiny_experiment.py`` in the tests: in threads of this process, or in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faults

from numerics.sweeps.cells import Cell, grid
from numerics.sweeps.executors import Workers
from numerics.sweeps.experiments import find
from numerics.sweeps.runner import Summary, run_sweep

TINY = str(Path(__file__).parent / "tiny_experiment.py")
# As `lsatheory sweep run`, with claims that run out sooner.
SCRIPT = """
import json, sys
from pathlib import Path
from sweeping import tiny
from numerics.errors import SweepStopped
from numerics.sweeps.executors import process_pool
from numerics.sweeps.runner import run_sweep

if __name__ == "__main__":
    store, workers, seeds, settings = sys.argv[1:]
    try:
        with process_pool(int(workers)) as pool:
            print(run_sweep(*tiny(int(seeds), **json.loads(settings)), Path(store), pool, lease=2.0))
    except (SweepStopped, OSError) as error:
        sys.exit(f"error: {error}")
"""


def tiny(seeds: int = 1, **settings: Any) -> tuple[Any, list[Cell]]:
    """The experiment and its cells."""
    experiment = find(TINY)
    configs = experiment.configurations("paper", settings)
    return experiment, grid(experiment.name, experiment.code, configs, range(seeds))


def swept(store: Path, seeds: int = 1, repair: bool = False, **settings: Any) -> Summary:
    """A run in two threads."""
    with ThreadPoolExecutor(2) as pool:
        return run_sweep(*tiny(seeds, **settings), store, Workers(pool, 2), repair=repair, lease=2.0)


def started(store: Path, settings: str, workers: int = 1, seeds: int = 1) -> subprocess.Popen[str]:
    """A run in processes of its own; ``settings`` is JSON."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(store), str(workers), str(seeds), settings],
        env=faults.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
