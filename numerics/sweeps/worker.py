"""What a worker does: one cell, whatever process or machine it is on."""

from __future__ import annotations

import json
import os
import threading
import time
import traceback
from multiprocessing import connection, parent_process
from pathlib import Path
from typing import NamedTuple

import torch

from numerics.device import resolve
from numerics.errors import ArgumentError
from numerics.sweeps.experiments import find

# Torch's random numbers and threads are the process's: it has one cell at a time, whatever threads ask.
_ONE = threading.Lock()


class Computed(NamedTuple):
    """The result as JSON, with what computed it and the time that took."""

    result: str
    seconds: float
    torch: str
    device: str


class Failed(NamedTuple):
    """An error of the experiment: one line, and where it came from.

    It is returned, as an exception that cannot be unpickled would take the pool down.
    """

    message: str
    trace: str


def compute(
    origin: str, code: str, config: str, seed: int, device: str, checkpoint: str
) -> Computed | Failed:
    """The result of the experiment ``origin`` at ``config``, JSON, where the sources are of version ``code``.

    Training is checkpointed where the folder of ``checkpoint`` is seen from this machine.
    """
    try:
        experiment = find(origin)
        if experiment.code != code:
            raise ArgumentError("code: the worker's sources are not those that the sweep was started with")
        where = resolve(device)
        kept = Path(checkpoint) if Path(checkpoint).parent.is_dir() else None
        with _ONE:
            torch.manual_seed(seed)  # no cell sees what the one before it drew
            start = time.perf_counter()
            found = experiment.module.run(json.loads(config), seed, where, kept)
            seconds = time.perf_counter() - start
        # NaN and infinities, of training that diverged, are as Python writes and reads them.
        result = json.dumps(found, separators=(",", ":"), ensure_ascii=False)
        return Computed(result, seconds, torch.__version__, str(where))
    except Exception as error:
        line = " ".join(str(error).split())
        return Failed(f"{type(error).__name__}: {line}" if line else repr(error), traceback.format_exc())


def begin() -> None:
    """Of a process of a pool: one thread, and it ends with its parent."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's process waits for ever for a parent that was killed, since it holds both ends of the pipe.
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
