"""Sweeps on a Dask cluster of this machine: a worker is killed, a scheduler does not answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeping import TINY, tiny

from numerics.errors import ArgumentError
from numerics.sweeps import executors
from numerics.sweeps.executors import cluster
from numerics.sweeps.runner import Summary, checkpoints, run_sweep
from numerics.sweeps.store import open_store
from numerics.sweeps.worker import compute
from verify.cli import app

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of one with two workers, processes of one thread that are started again if they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as local:
        yield local.scheduler_address


def test_a_sweep_goes_on_where_a_worker_is_killed(scheduler: str, tmp_path: Path) -> None:
    path, log, dead = tmp_path / "store.db", tmp_path / "log", tmp_path / "dead"
    experiment, cells = tiny(2, count=6, act=f"die {dead}", log=str(log), seconds=0.05)
    with cluster(scheduler) as workers:
        assert run_sweep(experiment, cells, path, workers) == Summary(12, 0)
    assert dead.exists()
    assert len(log.read_text().splitlines()) > 12  # what the worker that died had in its hands
    with open_store(path) as store:
        results = store.results(cells)
        assert store.corrupt() == []
    here = compute(experiment.origin, cells[5].code, cells[5].config, cells[5].seed, "cpu", "")
    assert here.result == str(results[5]).replace("'", '"').replace(" ", "")  # type: ignore[union-attr]
    assert not checkpoints(path).exists()


def test_the_command_line_on_a_cluster(
    scheduler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = str(tmp_path / "store.db")
    words = ["sweep", "run", TINY, "--store", store, "--scheduler", scheduler, "--set", "count=3"]
    for told in ("3 cells computed in ", ", 3 were there"):
        with pytest.raises(SystemExit) as ended:
            app(words)
        assert ended.value.code == 0
        assert told in capsys.readouterr().out


def test_a_scheduler_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that is closed, and one that is open and says nothing."""
    monkeypatch.setattr(executors, "ANSWER", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port in (1, silent.getsockname()[1]):
            start = time.monotonic()
            with pytest.raises(SystemExit) as ended:
                app(
                    [
                        *("sweep", "run", TINY, "--store", str(tmp_path / "store.db")),
                        *("--scheduler", f"tcp://127.0.0.1:{port}"),
                    ]
                )
            assert ended.value.code == 1
            assert capsys.readouterr().err == f"error: scheduler='tcp://127.0.0.1:{port}': no answer in 1 s\n"
            assert time.monotonic() - start < 6
    assert list(tmp_path.iterdir()) == []


def test_a_scheduler_without_workers_is_named() -> None:
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1") as local,
        pytest.raises(OSError, match=r"^scheduler=.*: has no workers$"),
        cluster(local.scheduler_address),
    ):
        pass


@pytest.mark.parametrize(
    "address", ["", "localhost", "tcp://localhost", "udp://localhost:1", "tcp://:", "a b"]
)
def test_what_is_no_address_is_named(address: str) -> None:
    with (
        pytest.raises(ArgumentError, match=r"^scheduler=.*: must be an address as tcp://host:8786$"),
        cluster(address),
    ):
        pass
