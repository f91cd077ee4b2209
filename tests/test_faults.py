"""A full or read-only disk, no network, half a file: one clear line, and the ledger as it was."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import faults
import pytest
from planted import BOTH, ROOT, make, rows, run

from theory.errors import ArgumentError
from verify.ledger import store

CLI = "from verify.cli import app; app()"
STAGED = f".*{store.TEMPORARY}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted project with the ledger that it wrote itself, under this project's own pytest options."""
    folder = tmp_path_factory.mktemp("finished")
    make(folder)
    own = (ROOT / "pyproject.toml").read_text()
    options = re.search(r"^\[tool\.pytest\.ini_options\].*?(?=^\[)", own, re.DOTALL | re.MULTILINE)
    assert options is not None
    (folder / "pyproject.toml").write_text(options[0])
    written = run(folder, "--update-ledger")
    assert written.returncode == 0, written.stdout + written.stderr
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    conftest = folder / "verify" / "conftest.py"
    conftest.write_text(conftest.read_text().replace(str(finished), str(folder)))
    return folder


def one_line(text: str) -> str:
    """``text`` if it is one line of error, and no traceback."""
    assert text.startswith("error: "), text
    assert text.count("\n") == 1, text
    return text


# The store ---------------------------------------------------------------------------------------


def test_what_cannot_be_written_leaves_the_old_files(tmp_path: Path) -> None:
    """The second of two files finds no room: neither is replaced, and nothing else is left."""
    old = tmp_path / "old.json"
    old.write_text("old\n")
    script = f"""
import pathlib, sys
from theory.errors import ArgumentError
from verify.ledger import store
folder = pathlib.Path({str(tmp_path / "notes")!r})
(folder / "filler").write_bytes(b"")
(folder / "filler").unlink()
(folder / "room").write_bytes(bytes(8192))  # of 16384, 4096 of them old.json
try:
    store.write_files({{folder / "old.json": "new", folder / "other.json": "new" * 10000}})
except ArgumentError as error:
    print(error)
print((folder / "old.json").read_text() + str(sorted(path.name for path in folder.iterdir())))
"""
    prefix = faults.full_disk(tmp_path / "notes", old)
    found = faults.run(prefix, tmp_path, "-c", script)
    assert found.stdout.splitlines() == [
        f"{tmp_path}/notes/other.json: cannot be written (No space left on device)",
        "old",
        "['old.json', 'room']",
    ], found.stderr


def test_leftovers_of_killed_runs_do_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    for name, age in (("dead", 2 * store.HOUR), ("alive", 0.0)):
        left = tmp_path / f".ledger.json.{name}{store.TEMPORARY}"
        left.write_text("half")
        os.utime(left, (time.time() - age,) * 2)
    store.save(path, rows())
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        f".ledger.json.alive{store.TEMPORARY}",
        "ledger.json",
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[{"id": "x-1", "verdict": "conf',
        '[{"id": "x-1"}]',
        '[{"id": "x-1", "verdict": "fine", "evidence": []}]',
        '[{"id": "x-1", "verdict": "open", "evidence": [1]}]',
        '[{"id": "x-1", "verdict": "open", "evidence": [{"kind": "exact"}]}]',
        "[" * 100_000,
        "\x00" * 4096,
    ],
)
def test_half_a_ledger_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=r"^\S+ledger\.json: ") as error:
        store.load(path)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_and_a_folder_in_its_place_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match=r"ledger\.json: not JSON"):
        store.load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ArgumentError, match=r"ledger\.json: cannot be read"):
        store.load(path)
    with pytest.raises(ArgumentError, match=r"ledger\.json: cannot be written"):
        store.save(path, [])
    assert not list(tmp_path.glob(STAGED))


# A run -------------------------------------------------------------------------------------------


def test_in_a_read_only_checkout_the_verdicts_are_shown_and_the_run_is_red(project: Path) -> None:
    before = (project / ".lsatheory" / "last-run.json").read_bytes()
    found = faults.run(faults.read_only(project), project, "-m", "pytest", "verify")
    text = found.stdout + found.stderr
    assert found.returncode == 1, text
    assert "last-run.json: cannot be written (Read-only file system)" in " ".join(text.split())
    assert "1 confirmed, 1 refuted" in text
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert (project / ".lsatheory" / "last-run.json").read_bytes() == before


def test_a_full_disk_keeps_the_committed_ledger(project: Path) -> None:
    notes, before = project / "notes", (project / "notes" / "ledger.json").read_text()
    kept = shutil.copytree(notes, project / "kept")
    prefix = faults.full_disk(notes, *kept.iterdir())
    script = "import subprocess, sys; print(subprocess.run(sys.argv[1:]).returncode, flush=True); "
    script += "print(repr(open('notes/ledger.json').read()))"
    found = faults.run(
        prefix, project, "-c", script, sys.executable, "-m", "pytest", "verify", "--update-ledger"
    )
    *_, status, ledger = found.stdout.splitlines()
    assert status == "1", found.stdout + found.stderr
    assert ledger == repr(before)
    assert "ledger not written: see below" in found.stdout
    assert "cannot be written (No space left on device)" in " ".join(found.stdout.split())
    assert "Traceback" not in found.stdout + found.stderr


def test_half_a_committed_ledger_is_red_and_stays_as_it_is(project: Path) -> None:
    path = project / "notes" / "ledger.json"
    path.write_bytes(half := path.read_bytes()[:1000])
    found = run(project)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "ledger.json: not JSON" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr
    assert path.read_bytes() == half
    assert {r["id"]: r["verdict"] for r in store.load(project / ".lsatheory" / "last-run.json")} == BOTH


# The command line --------------------------------------------------------------------------------


def test_the_command_line_on_a_full_and_a_read_only_disk(tmp_path: Path) -> None:
    """stdout that takes nothing, and a folder that takes no file."""
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            [sys.executable, "-c", CLI, "ledger"],
            env=faults.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert found.returncode == 1
    assert "No space left on device" in one_line(found.stderr)

    prefix = faults.read_only(tmp_path)
    found = faults.run(prefix, tmp_path, "-c", CLI, "latex", "prop-5.1", "--out", str(tmp_path / "tex"))
    assert found.returncode == 2
    assert "cannot be written (Read-only file system)" in one_line(found.stderr)


def test_latex_needs_neither_tex_nor_network_nor_greek_letters(tmp_path: Path) -> None:
    prefix = faults.no_network()
    plain = faults.run([], tmp_path, "-c", CLI, "latex", "prop-5.1")
    bare = faults.run(prefix, tmp_path, "-c", CLI, "latex", "prop-5.1", PATH="/nonexistent")
    assert plain.returncode == bare.returncode == 0, bare.stderr
    assert plain.stdout == bare.stdout
    assert bare.stdout.startswith("\\documentclass")


def test_a_terminal_without_greek_letters_shows_their_codes(tmp_path: Path) -> None:
    found = faults.run([], tmp_path, "-c", CLI, "ledger", PYTHONIOENCODING="latin-1")
    assert found.returncode == 0, found.stderr
    assert "\\u03b4 = " in found.stdout


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -c '{CLI}' ledger --json | head -1"
    found = subprocess.run(
        ["sh", "-c", command], env=faults.environment(), capture_output=True, text=True, cwd=tmp_path
    )
    assert found.stdout == "[\n"
    assert found.stderr == ""


def test_half_a_last_run_is_named_on_the_command_line(project: Path) -> None:
    path = project / ".lsatheory" / "last-run.json"
    path.write_bytes(path.read_bytes()[:1000])
    script = f"import pathlib, planted; planted.install(pathlib.Path({str(project)!r})); {CLI}"
    found = faults.run([], project, "-c", script, "ledger", "--json")
    assert found.returncode == 2
    assert "last-run.json: not JSON" in one_line(found.stderr)
    assert json.loads((project / "notes" / "ledger.json").read_text())
