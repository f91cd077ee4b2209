"""Where cells are computed: processes of this machine, a Dask cluster; any other executor does as well."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

from numerics.errors import ArgumentError, check_count, shown
from numerics.sweeps.worker import begin

# What BLAS and OpenMP read when they are loaded: workers × threads is at most the cores.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ANSWER = 10.0  # seconds that a scheduler has to answer
AHEAD = 2  # cells that a cluster is given for each of its threads, the network being slow


class Workers(NamedTuple):
    """An executor, and how many cells it is given at a time."""

    executor: Executor
    at_once: int


class _Pool(ProcessPoolExecutor):
    """Its processes are deaf to Ctrl-C from their first moment: their parent hears it, and ends them."""

    def submit(self, *args: Any, **named: Any) -> Future[Any]:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            return super().submit(*args, **named)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which a new process inherits
        try:
            return super().submit(*args, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def process_pool(workers: int | None = None) -> Iterator[Workers]:
    """``workers`` processes of one thread each, as many as there are cores by default, and no more than that.

    Left by an error or Ctrl-C, it kills them and waits for no cell.
    """
    count = cores() if workers is None else check_count("workers", workers)
    if count > cores():
        raise ArgumentError(f"workers={count}: must be at most {cores()}, the cores there are for it")
    kept = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    others = set(multiprocessing.active_children())
    # Not a fork of this process, whose BLAS threads would not come along.
    pool = _Pool(count, multiprocessing.get_context("spawn"), begin)
    try:
        yield Workers(pool, count)
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def cluster(scheduler: str) -> Iterator[Workers]:
    """The workers of the Dask scheduler at an address as tcp://host:8786; needs the extra ``cluster``.

    They need this package in this version.  A cell whose worker dies is computed by another.  Raises
    :class:`ArgumentError` for an address that is none, :class:`OSError` where nobody answers in 10 s or
    there is no worker.
    """
    try:
        from distributed import Client
        from distributed.comm import connect
        from distributed.utils import silence_logging_cmgr
    except ImportError:
        raise ArgumentError(
            f"scheduler={shown(scheduler)}: needs `pip install 'lsatheory[cluster]'`"
        ) from None
    if not re.fullmatch(r"tcp://\S+:\d+", scheduler):
        raise ArgumentError(f"scheduler={shown(scheduler)}: must be an address as tcp://host:8786")

    async def answers() -> None:
        (await connect(scheduler, timeout=ANSWER)).abort()

    try:
        # The client itself would wait for ever for an open port that says nothing.
        asyncio.run(asyncio.wait_for(answers(), ANSWER))
        client = Client(scheduler, timeout=ANSWER, set_as_default=False)
    except OSError:
        raise OSError(f"scheduler={shown(scheduler)}: no answer in {ANSWER:.0f} s") from None
    with silence_logging_cmgr("critical"), client:  # one line says what fails
        threads = sum(client.nthreads().values())
        if not threads:
            raise OSError(f"scheduler={shown(scheduler)}: has no workers")
        yield Workers(client.get_executor(pure=False), AHEAD * threads)
