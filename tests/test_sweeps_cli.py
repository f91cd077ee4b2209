"""``lsatheory sweep``: what it computes, shows and writes, and how it says that input is bad."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import faults
import pytest
from sweeping import TINY, swept, tiny

from numerics.sweeps.store import open_store
from verify.cli import app
from verify.output import sweep_table

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sweep(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a subcommand: (exit code, stdout, stderr)."""

    def command(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app(["sweep", *map(str, words)])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of three cells."""
    store = tmp_path / "store.db"
    swept(store, count=3)
    return store


def test_a_run_from_the_command_line(path: Path, sweep: Command) -> None:
    words = ("run", TINY, "--store", path, "--workers", 1, "--set", "count=2", "--set", "act=threads")
    code, out, err = sweep(*words)
    assert (code, err) == (0, "")
    assert out.startswith(f"{TINY}: 2 cells computed in ")
    code, out, _ = sweep(*words)
    assert (code, out.partition(" s, ")[2]) == (0, "2 were there\n")
    with open_store(path) as store:
        assert [r["threads"] for r in store.results(tiny(count=2, act="threads")[1])] == [1, 1]
        assert store.status()[0].done == 5


def test_status(path: Path, sweep: Command) -> None:
    code, out, err = sweep("status", "--store", path)
    assert (code, err) == (0, "")
    *_, line = [words for words in map(str.split, out.splitlines()) if words]
    assert line[0] == "tiny_experiment.py"
    assert line[2:] == ["3", "0", "0", "0", "0.00", "cpu"]


def spoil(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE cells SET seconds = seconds + 1 WHERE rowid = 2")
    connection.commit()
    connection.close()


def test_corrupt_rows_are_named_and_left_out(path: Path, tmp_path: Path, sweep: Command) -> None:
    spoil(path)
    key = tiny(count=3)[1][1].key
    code, out, err = sweep("status", "--store", path)
    assert code == 1
    assert out.split()[-6:] == ["2", "0", "0", "1", "0.00", "cpu"]
    assert err.startswith("corrupt: tiny_experiment.py {")
    assert err.endswith(f"({key[:12]})\n")
    table = tmp_path / "out.csv"
    assert sweep("export", "--store", path, "--out", table) == (1, f"{table}\n", err)
    with table.open() as file:
        assert [row["config.cell"] for row in csv.DictReader(file)] == ["0", "2"]
    code, _, told = sweep("run", TINY, "--store", path, "--set", "count=3")
    assert code == 2
    assert told.startswith(f"error: {path}: corrupt row: tiny_experiment.py ")
    assert told.count("\n") == 1
    assert sweep("run", TINY, "--store", path, "--set", "count=3", "--workers", 1, "--repair")[0] == 0
    assert sweep("status", "--store", path)[0] == 0


def test_csv_has_every_digit(path: Path, tmp_path: Path, sweep: Command) -> None:
    table = tmp_path / "out.csv"
    assert sweep("export", "--store", path, "--out", table) == (0, f"{table}\n", "")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = tiny(count=3)[1]
    with open_store(path) as store:
        results = store.results(cells)
    for row, cell, result in zip(rows, cells, results, strict=True):
        assert (row["key"], row["code"], row["seed"]) == (cell.key, cell.code, "0")
        assert json.loads(row["result.draws"]) == result["draws"]
        assert float(row["result.global"]) == result["global"]
        assert row["config.cell"] == str(json.loads(cell.config)["cell"])
        assert (row["device"], row["config.log"]) == ("cpu", "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "store.db"]


def test_parquet_has_lists(path: Path, tmp_path: Path, sweep: Command) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    swept(path, count=2, act="threads")  # another result
    table = tmp_path / "out.parquet"
    assert sweep("export", "--store", path, "--out", table) == (0, f"{table}\n", "")
    found = parquet.read_table(table).to_pydict()
    with open_store(path) as store:
        results = store.results(tiny(count=3)[1])
    assert found["result.draws"] == [*(r["draws"] for r in results), None, None]
    assert found["config.cell"] == [0, 1, 2, 0, 1]
    assert found["result.threads"][:3] == [None] * 3


def test_parquet_of_values_without_a_common_type() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")
    import io

    values = {"a": [1, "x", None], "b": [{"c": 1}, None, {"d": 2}], "e": [1, 2.5, float("nan")]}
    found = parquet.read_table(io.BytesIO(sweep_table._parquet(values))).to_pydict()
    assert found["a"] == ["1", '"x"', None]
    assert found["b"] == ['{"c": 1}', None, '{"d": 2}']
    assert found["e"][:2] == [1.0, 2.5]


def test_without_pyarrow_parquet_says_what_to_install(
    path: Path, tmp_path: Path, sweep: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.delitem(__import__("sys").modules, "pyarrow.parquet", raising=False)
    code, _, err = sweep("export", "--store", path, "--out", tmp_path / "x.parquet")
    assert (code, err.partition(": needs ")[2]) == (2, "`pip install 'lsatheory[parquet]'`\n")
    assert sweep("export", "--store", path, "--out", tmp_path / "x.csv")[0] == 0


def test_an_export_that_finds_no_room_leaves_the_old_one(path: Path, tmp_path: Path) -> None:
    old = tmp_path / "out.csv"
    old.write_text("old\n")
    prefix = faults.full_disk(tmp_path / "full", old)
    target = str(tmp_path / "full" / "out.csv")
    found = faults.run(
        prefix,
        tmp_path,
        "-c",
        "import sys\nfrom contextlib import suppress\nfrom verify.cli import app\n"
        "with suppress(SystemExit): app()\nprint(open(sys.argv[-1]).read(), file=sys.stderr, end='')",
        *("sweep", "export", "--store", str(path), "--out", target),
    )
    assert found.stderr == f"error: {target}: cannot be written (No space left on device)\nold\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "fig-9", "--store", "s.db"), "experiment='fig-9': must be "),
        (("run", TINY, "--store", "s.db", "--profile", "tiny"), "profile='tiny': must be paper"),
        (
            ("run", TINY, "--store", "s.db", "--set", "d=3"),
            "settings={'d': 3}: tiny_experiment.py takes others",
        ),
        (("run", TINY, "--store", "s.db", "--set", "count"), "set='count': must be KEY=VALUE"),
        (("run", TINY, "--store", "s.db", "--set", "profile=x"), "set='profile=x': must be KEY=VALUE"),
        (("run", TINY, "--store", "s.db", "--dtype", "int8"), "settings={'dtype': 'int8'}: "),
        (("run", TINY, "--store", "s.db", "--seeds", "0"), "seeds=0: must be an integer of at least 1"),
        (
            ("run", TINY, "--store", "s.db", "--set", "count=0"),
            "profile='paper': tiny_experiment.py has no cells",
        ),
        (("run", TINY, "--store", "s.db", "--workers", "99999"), "workers=99999: must be at most "),
        (("run", TINY, "--store", "s.db", "--workers", "0"), "workers=0: must be an integer of at least 1"),
        (("run", TINY, "--store", "s.db", "--device", "gpu"), "device='gpu': must be auto, cpu or"),
        (("run", TINY, "--store", "s.db", "--device", "cuda:99"), "device='cuda:99': must be auto, cpu or"),
        (("run", TINY, "--store", "s.db", "--scheduler", "x"), "scheduler='x': must be an address as "),
        (
            ("run", TINY, "--store", "s.db", "--scheduler", "x", "--workers", "2"),
            "workers=2: must be left out",
        ),
        (("run", TINY, "--store", "no/s.db"), "store='no/s.db': must be a file in an existing folder"),
        (("status", "--store", "none.db"), "store='none.db': must be a store that"),
        (("export", "--store", "none.db", "--out", "x.csv"), "store='none.db': must be a store that"),
        (("export", "--store", "none.db", "--out", "x.txt"), "out='x.txt': must be a .csv or .parquet file"),
        (("export", "--store", "none.db", "--out", "no/x.csv"), "out='no/x.csv': must be a .csv or"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = sweep(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {message}"), err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
