"""Run the checks on the mutants, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from theory.errors import ArgumentError
from verify.ledger import load_statements, store
from verify.mutation.report import Killed, collected


def mutate(ids: list[str], limit: int, profile: str) -> list[Killed]:
    """The mutants of the statements ``ids`` (all if there is none), at most ``limit`` of each form (0: all).

    pytest shows its progress on stderr.  Raises :class:`ArgumentError` when a test does not pass on the
    formulas as they are, or nothing was run.
    """
    load_statements()  # what was found is put in the registry's order
    with tempfile.TemporaryDirectory() as folder:
        workers = ["-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "verify.mutation.plugin",
            "-p",
            "no:cacheprovider",
            "-q",
        ]
        command += [
            *workers,
            str(store.project_root() / "verify"),
            f"--profile={profile}",
            f"--mutants={limit}",
        ]
        command += [f"--mutants-out={folder}", *(f"--statement={i}" for i in ids)]
        # Several processes on small matrices: threads of theirs would wait for each other.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTEST_XDIST_WORKER", None)  # names its worker's file
        done = subprocess.run(command, cwd=store.project_root(), env=environment, stdout=sys.stderr)
        found = collected(Path(folder))
    if done.returncode != 0 or not found:
        raise ArgumentError(f"ID={' '.join(ids) or 'all'}: the checks did not run through, see above")
    return found
