"""Faults made for real: a disk that is full or read-only, no network, a process that is killed.

Mounts and networks are those of a namespace of their own (``unshare``), which ends with its process.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from planted import ROOT

FULL = "16k"  # of a tmpfs: four pages, one a small file


def environment(**env: str) -> dict[str, str]:
    """This process' environment as the planted project's runs have it."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LSATHEORY_PROFILE")}
    kept |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | env


@cache
def _unshare(*kinds: str) -> tuple[str, ...] | None:
    """The command that gives a program namespaces of its own, if this machine allows it."""
    program = shutil.which("unshare")
    for user in ((), ("--map-root-user",)) if program else ():
        command = (str(program), *user, *kinds)
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return None


def no_network() -> list[str]:
    """A prefix to a command that has no network, not even a loopback."""
    return list(_unshare("--net") or pytest.skip("unshare --net is not allowed here"))


def mounted(*steps: str) -> list[str]:
    """A prefix to a command that sees the mounts made by the shell lines ``steps``."""
    prefix = _unshare("--mount")
    if prefix is None:
        pytest.skip("unshare --mount is not allowed here")
    return [*prefix, "sh", "-c", "set -e; " + "; ".join(steps) + '; exec "$@"', "sh"]


def full_disk(folder: Path, *keep: Path) -> list[str]:
    """``folder`` on a file system of its own that has room for nothing more than the files ``keep``."""
    inside = [shlex.quote(str(folder / path.name)) for path in keep]
    outside = [shlex.quote(str(path)) for path in keep]
    place = shlex.quote(str(folder))
    copies = [f"cp {a} {b}" for a, b in zip(outside, inside, strict=True)]
    return mounted(
        f"mkdir -p {place}",
        f"mount -t tmpfs -o size={FULL} none {place}",
        *copies,
        f"dd if=/dev/zero of={place}/filler bs=1k 2>/dev/null || true",
    )


def read_only(folder: Path) -> list[str]:
    """``folder`` and all beneath it cannot be written, by root neither."""
    place = shlex.quote(str(folder))
    return mounted(f"mount --bind {place} {place}", f"mount -o remount,ro,bind {place}")


def run(prefix: list[str], where: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``prefix`` python ``command`` in the folder ``where``."""
    return subprocess.run(
        [*prefix, sys.executable, *command],
        cwd=where,
        env=environment(**env),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
    )
