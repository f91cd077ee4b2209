"""Sweeps in processes of their own: killed, two at once, without a worker, without room on the disk."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import faults
import pytest
from sweeping import TINY, started, swept, tiny

from numerics.sweeps.runner import Summary, checkpoints
from numerics.sweeps.store import open_store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def done(path: Path) -> int:
    """Cells with a result, as another process sees them while they come."""
    if not path.exists():
        return 0
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT count(result) FROM cells").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.OperationalError:  # not made yet
        return 0


def await_done(path: Path, count: int, run: subprocess.Popen[str]) -> None:
    while done(path) < count:
        assert run.poll() is None, run.communicate()
        time.sleep(0.01)


def ended(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = run.communicate(timeout=300)
    return run.returncode, out, err


def test_killed_between_the_result_and_its_checkpoint(path: Path) -> None:
    """What is left of a cell that is done goes with the next run; another's stays."""
    settings = {"count": 4}
    swept(path, **settings)
    _, cells = tiny(**settings)
    for name in (cells[1].key, "of-another-sweep"):
        (checkpoints(path) / name).mkdir(parents=True)
        (checkpoints(path) / name / "state.pt").write_bytes(b"")
    assert swept(path, **settings) == Summary(0, 4)
    assert [folder.name for folder in checkpoints(path).iterdir()] == ["of-another-sweep"]


def test_killed_at_any_moment_only_the_cells_in_flight_are_lost(path: Path, tmp_path: Path) -> None:
    """What was stored stays; of two workers, each run that is killed computes two cells in vain at most."""
    log, rng, kills = tmp_path / "log", random.Random(20261122), 2
    settings = {"count": 40, "seconds": 0.02, "log": str(log)}
    for kill in range(kills):
        run = started(path, json.dumps(settings), workers=workers())
        await_done(path, 8 * (kill + 1), run)
        time.sleep(rng.uniform(0, 0.1))
        run.kill()
        run.communicate()
    before = done(path)
    assert 8 * kills <= before < 40
    time.sleep(1)  # a cell takes 0.02 s, and orphans would go on
    computed = len(log.read_text().splitlines())
    assert swept(path, **settings) == Summary(40 - before, before)  # type: ignore[arg-type]
    again = len(log.read_text().splitlines())
    assert again - computed == 40 - before
    assert again <= 40 + kills * 2
    _, cells = tiny(**settings)
    with open_store(path) as store:
        assert len(store.results(cells)) == 40
        assert store.corrupt() == []
    assert not checkpoints(path).exists()


def workers() -> int:
    from numerics.sweeps.executors import cores

    return min(2, cores())


def test_two_processes_share_a_store_and_no_cell(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = json.dumps({"count": 60, "seconds": 0.05, "log": str(log)})
    runs = [started(path, settings) for _ in range(2)]
    ends = [ended(run) for run in runs]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert Counter(log.read_text().splitlines()) == Counter(f"{cell} 0" for cell in range(60))
    counts = [eval(out, {"Summary": Summary}) for _, out, _ in ends]
    assert sum(count.computed for count in counts) == 60
    assert [count.computed + count.found for count in counts] == [60, 60]


def test_a_worker_that_is_killed_ends_the_run_and_loses_nothing(path: Path, tmp_path: Path) -> None:
    settings = {"count": 6, "act": f"die {tmp_path / 'dead'}"}
    code, _, err = ended(started(path, json.dumps(settings)))
    assert code == 1
    assert err.startswith("error: a worker was killed, perhaps for want of memory ("), err
    assert err.count("\n") == 1
    kept = done(path)
    assert f"{kept} of 6 cells are done and kept" in err
    assert kept == 2
    assert swept(path, **settings) == Summary(4, 2)  # type: ignore[arg-type]


def test_a_worker_has_one_thread_and_no_more_workers_than_cores(path: Path) -> None:
    from numerics.errors import ArgumentError
    from numerics.sweeps.executors import cores, process_pool

    code, _, err = ended(started(path, '{"count": 1, "act": "threads"}'))
    assert code == 0, err
    with open_store(path) as store:
        assert store.results(tiny(count=1, act="threads")[1]) == [{"threads": 1, "omp": "1"}]
    for count in (cores() + 1, 0, -1):
        with pytest.raises(ArgumentError, match=r"^workers="), process_pool(count):
            pass


def test_ctrl_c_ends_it_at_once_and_gives_up_the_claims(path: Path) -> None:
    command = [*_cli("run", TINY, path), "--workers", "1", "--set", "count=9", "--set", "seconds=100"]
    run = subprocess.Popen(
        command,
        env=faults.environment(),
        stderr=subprocess.PIPE,
        start_new_session=True,
        # A worker of pytest-xdist ignores it, and so would its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not _claimed(path):
        assert run.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)  # the worker is there, and may still be importing
    start = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert time.monotonic() - start < 30  # the cell would take 100 s
    assert run.returncode != 0
    assert b"Traceback" not in err, err
    assert not _claimed(path)
    for _ in range(200):  # nor is a worker left
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of it is still there")


def _claimed(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with open_store(path) as store:
            return any(line.running for line in store.status())
    except (OSError, ValueError):  # not made yet
        return False


def _cli(command: str, *words: object) -> list[str]:
    *names, store = map(str, words)
    start = [sys.executable, "-c", "from verify.cli import app; app()"]
    return [*start, "sweep", command, *names, "--store", store]


# The disk -----------------------------------------------------------------------------------------

FULL = """
import pathlib, shutil, sys
from sweeping import swept, tiny
from numerics.sweeps.store import open_store
folder = pathlib.Path(sys.argv[1])
store, filler = folder / "store.db", folder / "filler"
print(swept(store, count=5))
for room in (0, 600_000):  # from the start, and in the middle
    filler.write_bytes(bytes(shutil.disk_usage(folder).free - room))
    try:
        swept(store, 10, count=20)
    except OSError as error:
        print(error)
    filler.unlink()
    with open_store(store) as opened:
        print(len(opened.results(tiny(count=5)[1])), opened.corrupt(), opened.status()[0].done > 5)
print(swept(store, 10, count=20).computed >= 5)
with open_store(store) as opened:
    print(len(opened.results(tiny(10, count=20)[1])), opened.corrupt())
"""


def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    place = tmp_path / "small"
    prefix = faults.mounted(f"mkdir -p {place}", f"mount -t tmpfs -o size=8m none {place}")
    found = faults.run(prefix, tmp_path, "-c", FULL, str(place))
    assert found.stdout.splitlines() == [
        "Summary(computed=5, found=0)",
        f"{place}/store.db: no space left on the disk",
        "5 [] False",
        f"{place}/store.db: no space left on the disk",
        "5 [] True",
        "True",
        "200 []",
    ], found.stderr


def test_a_store_that_cannot_be_written_is_one_line(path: Path, tmp_path: Path) -> None:
    swept(path, count=1)
    prefix = faults.read_only(tmp_path)
    found = faults.run(prefix, Path("/"), *_cli("run", TINY, path)[1:], "--set", "count=2", "--workers", "1")
    assert found.returncode == 1, found.stdout
    assert found.stderr.startswith(f"error: {path}: "), found.stderr
    assert found.stderr.count("\n") == 1
