"""SIGKILL while the ledger is written and while tests run, and two runs at once in one checkout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import faults
import pytest
from planted import BOTH, CHECKS, make, plant, run

from verify.ledger import store

# A process without threads, which may fork: each child writes and is killed, and the files are looked at.
# Every file's text says in each line which state it is of.
WRITER = """
import itertools, json, os, pathlib, random, signal, sys, tempfile, time
from verify.ledger import store

folder = pathlib.Path(sys.argv[1])
NAMES = ("ledger.json", "ledger.md", "statements.tex")


def state(word):
    return {folder / name: f"{name} {word}\\n" * 20000 for name in NAMES}


def child(body):
    pid = os.fork()
    if pid == 0:
        body()
        os._exit(0)
    return pid


def found():
    words = []
    for name in NAMES:
        text = (folder / name).read_text()
        word = text.split()[1]
        words.append(word if text == f"{name} {word}\\n" * 20000 else "half")
    return words


def dies_at(call):
    count = itertools.count()

    def counted(function):
        def before(*arguments, **named):
            if next(count) == call:
                os.kill(os.getpid(), 9)
            return function(*arguments, **named)
        return before

    tempfile.mkstemp = counted(tempfile.mkstemp)
    for name in ("fdopen", "fsync", "chmod", "replace"):
        setattr(os, name, counted(getattr(os, name)))
    store.write_files(state("new"))


steps = []
for call in itertools.count():
    store.write_files(state("old"))
    status = os.waitpid(child(lambda: dies_at(call)), 0)[1]
    steps.append(found())
    if status == 0:
        break

def for_ever():
    for word in itertools.cycle(("new", "old")):
        store.write_files(state(word))

store.write_files(state("old"))
rng, times = random.Random(20260301), []
for _ in range(30):
    pid = child(for_ever)
    time.sleep(rng.uniform(0.002, 0.03))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    times.append(found())
print(json.dumps({"steps": steps, "times": times}))
"""


def test_killed_at_any_moment_of_a_write_the_files_are_old_or_new(tmp_path: Path) -> None:
    found = faults.run([], tmp_path, "-c", WRITER, str(tmp_path))
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    # Three files staged by four calls each, then three moved: killed before any of the 15 calls, or not.
    assert told["steps"] == [["old"] * 3] * 13 + [["new", "old", "old"], ["new", "new", "old"], ["new"] * 3]
    assert {word for words in told["times"] for word in words} == {"old", "new"}
    # What was left behind goes with the first write once it is old.
    left = [path for path in tmp_path.iterdir() if path.name.endswith(store.TEMPORARY)]
    assert len(left) > 3
    for path in left:
        os.utime(path, (0, 0))
    for name in ("ledger.json", "ledger.md", "statements.tex"):
        store.write_text(tmp_path / name, "")
    assert len(list(tmp_path.iterdir())) == 3


SLOW = """
import os, pathlib, time

pathlib.Path(f"process-{os.getpid()}").touch()

@pytest.mark.statements("true-1")
def test_slow():
    if "SLEEP" in os.environ:
        pathlib.Path("running").touch()
        time.sleep(float(os.environ["SLEEP"]))
"""


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_killed_runs_and_two_at_once_give_the_same_ledger(tmp_path: Path) -> None:
    """All in one checkout: a full run, one that is killed in its tests, then two at once, in two processes
    and in one, under other hash seeds, thread counts and no network."""
    make(tmp_path)
    plant(tmp_path, CHECKS + SLOW)
    first = run(tmp_path, "--update-ledger")
    assert first.returncode == 0, first.stdout + first.stderr
    files = [*(tmp_path / "notes").iterdir(), tmp_path / ".lsatheory" / "last-run.json"]
    before = {path: path.read_bytes() for path in files}
    for path in tmp_path.glob("process-*"):
        path.unlink()

    command = [sys.executable, "-m", "pytest", "verify", "--update-ledger", "-n", "2"]
    killed = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=faults.environment(SLEEP="60"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 100
    try:
        while not (tmp_path / "running").exists() and killed.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / "running").exists()
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    workers = [int(path.name.split("-")[1]) for path in tmp_path.glob("process-*")]
    assert len(workers) == 2
    assert {path: path.read_bytes() for path in files} == before

    both = [
        subprocess.Popen(
            [*prefix, *command[:4], *more],
            cwd=tmp_path,
            env=faults.environment(PYTHONHASHSEED=seed, OMP_NUM_THREADS=threads),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for prefix, more, seed, threads in (
            ([], ["-n", "2"], "0", "1"),
            (faults.no_network(), [], "random", "2"),
        )
    ]
    for one in both:
        text, _ = one.communicate(timeout=120)
        assert one.returncode == 0, text
        assert "full run" in text
        assert "1 confirmed, 1 refuted" in text
    assert {path: path.read_bytes() for path in files} == before
    assert {r["id"]: r["verdict"] for r in store.load(tmp_path / ".lsatheory" / "last-run.json")} == BOTH
    # Workers whose run was killed have ended by themselves.
    while any(map(_alive, workers)):
        assert time.monotonic() < deadline, workers
        time.sleep(0.1)
