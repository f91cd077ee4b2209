"""What a sweep costs beside its cells, for ``make bench``; nothing here is a test."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_figures import Row
from sweeping import tiny

from numerics.sweeps.executors import cores, process_pool
from numerics.sweeps.runner import run_sweep

CELLS = 1000


def empty_cell_seconds(workers: int) -> tuple[float, float]:
    """The time a cell of CELLS that do next to nothing, and the time before the first, in a process pool."""
    with TemporaryDirectory() as folder, process_pool(workers) as pool:
        start = time.perf_counter()
        run_sweep(*tiny(count=10 * workers), Path(folder) / "first.db", pool)  # until all have started
        begun = time.perf_counter()
        run_sweep(*tiny(count=CELLS), Path(folder) / "store.db", pool)
        return (time.perf_counter() - begun) / CELLS, begun - start


def sweep_seconds() -> list[Row]:
    """The rows of the table.  It starts processes: guard the script by ``if __name__ == "__main__"``."""
    workers = min(2, cores())
    cell, start = empty_cell_seconds(workers)
    return [
        Row(f"an empty cell of a sweep of {CELLS:,}, {workers} processes, ms", f"{cell * 1e3:.2g}", "5"),
        Row("    until they have started, s", f"{start:.2g}"),
    ]


if __name__ == "__main__":
    for row in sweep_seconds():
        print(*row, sep="  ")
