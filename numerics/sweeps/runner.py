"""The cells of a sweep that have no result yet, computed by an executor, each stored as it comes.

Killed at any moment, a run loses the cells in flight and nothing else; the next run computes what is missing.
Several runs may share a store: a cell is computed by the one that has claimed it.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from numerics.errors import ArgumentError, SweepStopped
from numerics.sweeps.cells import Cell
from numerics.sweeps.executors import Workers
from numerics.sweeps.experiments import Experiment
from numerics.sweeps.store import Store, open_store
from numerics.sweeps.worker import Computed, Failed, compute

LEASE = 20.0  # seconds after which the cells of a run that was killed are another's
POLL = 0.5  # seconds between two looks at cells that others have claimed
Pending = dict["Future[Computed | Failed]", Cell]


@dataclass
class Summary:
    """``computed`` cells by this run, ``found`` those that had a result or got one elsewhere."""

    computed: int = 0
    found: int = 0


def run_sweep(
    experiment: Experiment,
    cells: Sequence[Cell],
    path: Path,
    workers: Workers,
    device: str = "cpu",
    repair: bool = False,
    lease: float = LEASE,
    progress: Callable[[float], None] = lambda share: None,
) -> Summary:
    """Compute those of ``cells`` that the store at ``path`` has no result of; it is made if need be.

    ``progress`` is called with the share of ``cells`` that are done.  A cell that fails does not keep the
    others from being computed.  Raises :class:`SweepStopped` for cells that failed and for a worker that
    died, :class:`ArgumentError` for corrupt rows among ``cells`` unless ``repair`` has them computed anew,
    and what :func:`open_store` raises.
    """
    with open_store(path, create=True) as store:
        rows = store.corrupt(remove=repair)
        corrupt = {row.key for row in rows} & {cell.key for cell in cells}
        if corrupt and not repair:
            named = next(cell for cell in cells if cell.key in corrupt)
            more = f" and {len(corrupt) - 1} more" if len(corrupt) > 1 else ""
            raise ArgumentError(f"{path}: corrupt row: {named}{more}; --repair computes it anew")
        store.add(cells)
        return _Run(experiment, cells, store, workers, device, lease, progress).to_the_end()


def checkpoints(path: Path) -> Path:
    """The folder of the checkpoints of the store ``path``: one in it for each cell in flight."""
    return path.absolute().with_name(f"{path.name}.checkpoints")


class _Run:
    def __init__(
        self,
        experiment: Experiment,
        cells: Sequence[Cell],
        store: Store,
        workers: Workers,
        device: str,
        lease: float,
        progress: Callable[[float], None],
    ) -> None:
        self._experiment, self._store, self._workers = experiment, store, workers
        self._device, self._lease, self._progress = device, lease, progress
        self._claimant = uuid4().hex
        done = store.done()
        self._open = deque(
            c for c in cells if c.key not in done
        )  # and not in flight here, as far as is known
        self._pending: Pending = {}
        self._failed: list[tuple[Cell, Failed]] = []
        self._total, self._summary = len(cells), Summary(found=len(cells) - len(self._open))
        self._checkpoints = checkpoints(store.path)
        for folder in self._checkpoints.glob("*"):
            if folder.name in done:  # left by a run that was killed after it had stored the result
                shutil.rmtree(folder, ignore_errors=True)

    def to_the_end(self) -> Summary:
        renewed = time.monotonic()
        try:
            while self._open or self._pending:
                held = self._start()
                self._report()
                if self._pending:
                    done, _ = wait(self._pending, POLL if held else self._lease / 4, FIRST_COMPLETED)
                    self._take(done)
                elif held:
                    time.sleep(POLL)  # for what others compute, or no longer do
                if time.monotonic() - renewed > self._lease / 4:
                    self._store.renew(self._claimant, self._lease)
                    renewed = time.monotonic()
            self._report()
        finally:
            for future, cell in self._pending.items():
                future.cancel()
                self._leave(cell)
            with suppress(sqlite3.Error):  # else the claims run out
                self._store.release(self._claimant)
            with suppress(OSError):  # there is one of another run, or none at all
                self._checkpoints.rmdir()
        if self._failed:
            cell, failed = self._failed[0]
            message = (
                f"{len(self._failed)} of {self._total} cells failed; the first, {cell}: {failed.message}"
            )
            raise SweepStopped(message) from RuntimeError(failed.trace)
        return self._summary

    def _start(self) -> bool:
        """Give the executor what it has room for; is anything held by others?"""
        room = self._workers.at_once - len(self._pending)
        if room < 1 or not self._open:
            return False
        found = self._store.claim(self._open, room, self._claimant, self._lease)
        for _ in range(sum(map(len, found))):
            self._open.popleft()
        self._open.extend(found.held)
        self._summary.found += len(found.done)
        for cell in found.claimed:
            folder = self._checkpoints / cell.key
            folder.mkdir(parents=True, exist_ok=True)
            kept = str(folder / "state.pt")
            task = (self._experiment.origin, cell.code, cell.config, cell.seed, self._device, kept)
            try:
                self._pending[self._workers.executor.submit(compute, *task)] = cell
            except RuntimeError as error:  # of a pool that is broken
                raise self._stopped(error) from error
        return bool(found.held)

    def _take(self, done: set[Future[Computed | Failed]]) -> None:
        """Store what came; what the executor could not do ends the run, after that."""
        computed, lost = [], None
        for future in done:
            cell = self._pending.pop(future)
            try:
                outcome = future.result()
            except (Exception, CancelledError) as error:
                lost = error
                continue
            if isinstance(outcome, Failed):
                self._failed.append((cell, outcome))
                self._store.release(self._claimant, cell)
                self._leave(cell)
            else:
                computed.append((cell, outcome))
        if computed:
            self._store.finish(computed)
            self._summary.computed += len(computed)
            for cell, _ in computed:
                shutil.rmtree(self._checkpoints / cell.key, ignore_errors=True)
        if lost is not None:
            raise self._stopped(lost) from lost

    def _leave(self, cell: Cell) -> None:
        """Of a cell that is not done: what it saved stays."""
        with suppress(OSError):  # it saved something
            (self._checkpoints / cell.key).rmdir()

    def _stopped(self, error: BaseException) -> SweepStopped:
        done = self._summary.computed + self._summary.found
        reason = " ".join(str(error).split()) or type(error).__name__
        broken = isinstance(error, BrokenExecutor)
        what = "a worker was killed, perhaps for want of memory" if broken else "the workers failed"
        return SweepStopped(
            f"{what} ({reason}); {done} of {self._total} cells are done and kept, "
            "the same command computes the others"
        )

    def _report(self) -> None:
        self._progress((self._summary.computed + self._summary.found) / self._total)
