"""Cells, their keys and their store: what is computed, what is not computed again, what is not believed."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sweeping import TINY, swept, tiny

import numerics
from numerics.errors import ArgumentError, SweepStopped
from numerics.sweeps import cells as cells_
from numerics.sweeps.cells import Cell, canonical, code_version, grid
from numerics.sweeps.experiments import find
from numerics.sweeps.runner import Summary, checkpoints
from numerics.sweeps.store import SCHEMA, open_store
from numerics.sweeps.worker import Computed, Failed, compute

COMPUTED = Computed("[1]", 0.5, "2.0", "cpu")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


# Keys --------------------------------------------------------------------------------------------


def test_a_key_is_that_of_the_content() -> None:
    def key(config: object, seed: int = 0, code: str = "c", name: str = "e") -> str:
        return Cell(name, canonical("config", config), seed, code).key

    one = key({"a": [1, 2.5, None], "b": "é"})
    assert one == key({"b": "é", "a": (1, 2.5, None)})
    others = [
        key({"a": [1, 2.5, None], "b": "e"}),
        key({"a": [1, 2.5], "b": "é"}),
        key({"a": [1, 2.5, None], "b": "é"}, seed=1),
        key({"a": [1, 2.5, None], "b": "é"}, code="d"),
        key({"a": [1, 2.5, None], "b": "é"}, name="f"),
        key({"a": 1}, seed=11),
        key({"a": 1}, seed=1, code="1c"),
    ]
    assert len({one, *others}) == len(others) + 1
    assert len(one) == 64


def test_a_grid_is_every_configuration_with_every_seed_once() -> None:
    found = grid("e", "c", [{"d": 1}, {"d": 2}, {"d": 1}], [0, 1])
    assert [(cell.config, cell.seed) for cell in found] == [
        ('{"d":1}', 0),
        ('{"d":2}', 0),
        ('{"d":1}', 1),
        ('{"d":2}', 1),
    ]
    for bad in (float("nan"), {1, 2}, object(), b"x"):
        with pytest.raises(ArgumentError, match=r"^config=.*must be plain JSON values"):
            grid("e", "c", [{"d": bad}], [0])
    with pytest.raises(ArgumentError, match="seed"):
        grid("e", "c", [{}], [-1])


def test_the_code_version_is_that_of_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "numerics"
    (root / "sub").mkdir(parents=True)
    for name in ("__init__.py", "sub/a.py"):
        (root / name).write_text("x = 1\n")
    monkeypatch.setattr(numerics, "__file__", str(root / "__init__.py"))
    seen = [code_version()]
    assert seen[0] == code_version()
    (root / "notes.txt").write_text("no source")
    assert seen[0] == code_version()
    (root / "sub" / "a.py").write_text("x = 2\n")
    seen.append(code_version())
    (root / "sub" / "a.py").rename(root / "sub" / "b.py")
    seen.append(code_version())
    own = tmp_path / "own.py"
    for text in ("y = 1\n", "y = 2\n"):
        own.write_text(text)
        seen.append(code_version(own))
    assert len(set(seen)) == 5


# Runs --------------------------------------------------------------------------------------------


def test_a_run_computes_what_is_missing_and_nothing_else(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert swept(path, 2, count=3, log=str(log)) == Summary(6, 0)
    assert swept(path, 3, count=3, log=str(log)) == Summary(3, 6)
    assert swept(path, 3, count=3, log=str(log)) == Summary(0, 9)
    assert sorted(lines(log)) == [f"{cell} {seed}" for cell in range(3) for seed in range(3)]
    experiment, cells = tiny(3, count=3, log=str(log))
    with open_store(path) as store:
        results = store.results(cells)
        (status,) = store.status()
    assert (status.done, status.running, status.missing, status.corrupt) == (9, 0, 0, 0)
    assert status.devices == ("cpu",)
    assert (status.experiment, status.code) == (experiment.name, experiment.code)
    for cell, result in zip(cells, results, strict=True):
        alone = compute(TINY, cell.code, cell.config, cell.seed, "cpu", "")
        assert isinstance(alone, Computed)
        assert json.loads(alone.result) == result  # whatever was computed before, in which thread
    assert len({str(result) for result in results}) == 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "store.db"]


def test_progress_is_the_share_that_is_done(path: Path) -> None:
    from numerics.sweeps.executors import Workers
    from numerics.sweeps.runner import run_sweep

    swept(path, count=2)
    shares: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        run_sweep(*tiny(count=8), path, Workers(pool, 1), progress=shares.append)
    assert shares == sorted(shares)
    assert set(shares) == {i / 8 for i in range(2, 9)}


def test_a_cell_that_fails_is_named_and_tried_again(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        with pytest.raises(SweepStopped) as error:
            swept(path, count=3, act="fail", log=str(log))
        message = str(error.value)
        assert message.startswith("1 of 3 cells failed; the first, tiny_experiment.py {")
        assert message.endswith(": ArithmeticError: cell 1 fails")
        assert 'tiny_experiment.py", line' in str(error.value.__cause__)
    assert sorted(lines(log)) == ["0 0", "1 0", "1 0", "2 0"]
    with open_store(path) as store:
        (status,) = store.status()
    assert (status.done, status.running, status.missing) == (2, 0, 1)


def test_a_cell_has_a_checkpoint_until_it_is_done(path: Path) -> None:
    swept(path, count=2, act="checkpoint")
    _, cells = tiny(count=2, act="checkpoint")
    with open_store(path) as store:
        results = store.results(cells)
    for cell, result in zip(cells, results, strict=True):
        assert result["losses"] == [0.5, 1.5, 2.5, 3.5, 4.5]
        assert result["file"] == str(checkpoints(path) / cell.key / "state.pt")
        assert result["there"]
    assert not checkpoints(path).exists()


def test_a_worker_that_does_not_see_the_folder_goes_without(tmp_path: Path) -> None:
    _, (cell, *_) = tiny(act="checkpoint")
    found = compute(TINY, cell.code, cell.config, 0, "cpu", str(tmp_path / "none" / cell.key / "state.pt"))
    assert isinstance(found, Failed)  # the experiment asserts that there is one
    assert found.message == "AssertionError()"


def test_a_worker_with_other_sources_does_not_compute() -> None:
    _, (cell, *_) = tiny()
    found = compute(TINY, "0" * 64, cell.config, 0, "cpu", "")
    assert isinstance(found, Failed)
    assert "the worker's sources are not those" in found.message


# Claims ------------------------------------------------------------------------------------------


def test_a_claim_is_one_process_until_it_runs_out(path: Path) -> None:
    _, cells = tiny(count=4)
    with open_store(path, create=True) as one, open_store(path) as two:
        one.add(cells)
        assert one.claim(cells, 2, "one", 60) == (cells[:2], [], [])
        assert two.claim(cells, 9, "two", 0.05) == (cells[2:], cells[:2], [])
        assert one.claim(cells, 9, "one", 60).held == cells  # nor twice by the same
        one.finish([(cells[0], COMPUTED)])
        assert two.claim(cells, 9, "two", 60).done == cells[:1]
        time.sleep(0.1)
        (status,) = one.status()
        assert (status.done, status.running, status.missing) == (1, 1, 2)
        two.renew("two", 60)  # late, and nobody came
        assert one.claim(cells[2:], 9, "one", 60).held == cells[2:]
        two.release("two", cells[2])
        assert one.claim(cells[2:], 9, "one", 60) == (cells[2:3], cells[3:], [])
        two.release("two")
        assert one.claim(cells[3:], 9, "one", 60).claimed == cells[3:]
        one.release("one")
        two.claim(cells[1:2], 1, "dead", -1)
        assert one.claim(cells[1:2], 1, "one", 60).claimed == cells[1:2]


def test_the_first_result_stays(path: Path) -> None:
    _, (cell, *_) = tiny()
    with open_store(path, create=True) as store:
        store.add([cell])
        for result in ("[1]", "[2]"):
            store.finish([(cell, COMPUTED._replace(result=result))])
        assert store.results([cell]) == [[1]]


def test_a_dead_claim_is_waited_for_and_taken_over(path: Path, tmp_path: Path) -> None:
    _, cells = tiny(count=3)
    with open_store(path, create=True) as store:
        store.add(cells)
        store.claim(cells, 1, "dead", 1.0)
        start = time.monotonic()
        assert swept(path, count=3) == Summary(3, 0)
        assert time.monotonic() - start > 0.9


def test_many_make_a_store_at_once(path: Path) -> None:
    _, cells = tiny(count=20)
    ready, found = threading.Barrier(8), []

    def claim(name: int) -> None:
        ready.wait()
        with open_store(path, create=True) as store:
            store.add(cells)
            found.extend(store.claim(cells, 3, str(name), 60).claimed)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(claim, range(8)))
    assert sorted(cell.key for cell in found) == sorted(cell.key for cell in cells)


# Damage ------------------------------------------------------------------------------------------

DAMAGE = {
    "key": "'x' || substr(key, 2)",
    "experiment": "'fig-4'",
    "config": "replace(config, 'cell', 'cull')",
    "config, no text": "x'ff00fe'",
    "seed": "seed + 1",
    "seed, no number": "'one'",
    "code": "'x' || substr(code, 2)",
    "result": "replace(result, '1', '2')",
    "result, half": "substr(result, 1, 20)",
    "result, no text": "x'80'",
    "result, nothing": "''",
    "seconds": "seconds + 1e-9",
    "torch": "'2.0'",
    "device": "'cuda'",
    "finished": "'2000-01-01'",
    "checksum": "'x' || substr(checksum, 2)",
    "checksum, none": "NULL",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_corrupt_row_is_found_named_and_computed_anew(path: Path, what: str) -> None:
    swept(path, count=3, log="")
    _, cells = tiny(count=3)
    with open_store(path) as store:
        before = store.results(cells)
    column = what.partition(",")[0]
    damage(path, f"UPDATE cells SET {column} = {DAMAGE[what]} WHERE rowid = 2")
    with open_store(path) as store:
        (row,) = store.corrupt()
        assert sum(line.corrupt for line in store.status()) == 1
        with pytest.raises(ArgumentError, match=f"^{path}: (corrupt|no result): tiny_experiment"):
            store.results(cells)
    assert "\n" not in str(row)
    if column == "key":  # a row that is nobody's: its cell has none
        assert swept(path, count=3) == Summary(1, 2)
    else:
        with pytest.raises(ArgumentError, match=f"^{path}: corrupt row: tiny_experiment.py .*--repair"):
            swept(path, count=3)
    assert swept(path, count=3, repair=True) == (Summary(0, 3) if column == "key" else Summary(1, 2))
    with open_store(path) as store:
        assert store.corrupt() == []
        assert store.results(cells) == before


def damage(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_store_of_another_schema_is_refused_and_left_alone(path: Path) -> None:
    swept(path, count=1)
    damage(path, f"PRAGMA user_version = {SCHEMA + 1}")
    content = path.read_bytes()
    for create in (False, True):
        with (
            pytest.raises(
                ArgumentError, match=rf"store\.db: a store of schema version {SCHEMA + 1}: must be 1"
            ),
            open_store(path, create),
        ):
            pass
    assert path.read_bytes() == content


def test_what_is_no_store_is_refused_and_left_alone(path: Path, tmp_path: Path) -> None:
    damage(path, "CREATE TABLE mine (x)")
    text = tmp_path / "text.db"
    text.write_text("no database " * 100)
    for bad in (path, text):
        content = bad.read_bytes()
        for create in (False, True):
            with pytest.raises(ArgumentError, match="must be a store of sweeps"), open_store(bad, create):
                pass
        assert bad.read_bytes() == content
    for bad, create in ((tmp_path, True), (tmp_path / "no" / "x.db", True), (tmp_path / "x.db", False)):
        with pytest.raises(ArgumentError, match=r"^store="), open_store(bad, create):
            pass
    assert not (tmp_path / "x.db").exists()


def test_a_damaged_file_is_one_line(path: Path) -> None:
    swept(path, count=3)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises((ArgumentError, OSError), match="malformed") as error, open_store(path) as store:
        store.status()
    assert "\n" not in str(error.value)


# Experiments by name -----------------------------------------------------------------------------


def test_experiments_are_found_by_name_module_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own_experiment.py"
    own.write_text("def cells(profile='paper'): return [{}]\ndef run(*_): return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    by_file, by_module = find(str(own)), find("module:own_experiment")
    assert (by_file.name, by_module.name) == ("own_experiment.py", "module:own_experiment")
    assert by_file.code == by_module.code != code_version()
    assert find("fig-4").code == code_version()
    with pytest.raises(ArgumentError, match=r"settings=\{'d': 3\}: own_experiment.py takes others"):
        by_file.configurations("paper", {"d": 3})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("fig-9", None, "must be .*fig-4.*, module:NAME or a .py file"),
        ("", None, "must be"),
        ("module:no_such_module", None, "cannot be imported .*no_such_module"),
        ("module:", None, "cannot be imported"),
        ("none.py", None, "no such file"),
        ("bad.py", "def cells(:", "cannot be imported"),
        ("needs.py", "import no_such_module", "cannot be imported .*no_such_module"),
        ("half.py", "def cells(profile): return []", "has no function run"),
    ],
)
def test_what_is_no_experiment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ArgumentError, match=f"^experiment=.*{message}") as error:
        find(name)
    assert "\n" not in str(error.value)


def test_registered_experiments_are_modules_of_the_package() -> None:
    """The wall stands between packages by what their files import; these are imported by name."""
    from numerics.experiments import EXPERIMENTS

    for module in EXPERIMENTS.values():
        assert module.startswith("numerics.experiments.")
        assert (
            Path(cells_.__file__).parents[1] / "experiments" / f"{module.rpartition('.')[2]}.py"
        ).is_file()
