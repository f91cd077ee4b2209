"""The README's tour: its commands, in order in a copy of the clone, print what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
(TOUR,) = re.findall(
    r"^## A tour.*?(?=^## )", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
BLOCKS = re.findall(r"```console\n(.*?)```\n\n```text\n(.*?)```", TOUR, re.DOTALL)
ACTIVATE = ". .venv/bin/activate"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read; the run that one of them leaves behind is no run of this clone."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("theory", "numerics", "verify", "notes"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lsatheory(command: str, cwd: Path) -> str:
    program, *arguments = command.split()
    assert program == "lsatheory"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "COLUMNS": "100"}
    run = (sys.executable, "-c", "from verify.cli import app; app()", *arguments)
    environment["PYTHONPATH"] = str(cwd)
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    done = subprocess.run(run, cwd=cwd, env=environment, timeout=300, check=False, **both)
    assert done.returncode == ("wrong" in command), done.stdout[-3000:]  # a claim that fails: status 1
    return done.stdout


def matches(shown: str, printed: str) -> bool:
    """Whether ``shown`` is ``printed``, where ``…`` stands for anything and spaces for any number of them."""
    line_by_line = re.sub(r"(?m)^…\n", "…", shown.strip() + "\n")
    pattern = re.escape(line_by_line).replace("…", ".*?")
    return re.fullmatch(re.sub(r"(\\ )+", " +", pattern), printed.strip() + "\n", re.DOTALL) is not None


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        ("a\n…\nd\n", True),
        ("a\nb\nc\nd\n", True),
        ("…\nd\n", True),
        ("a\nb …\nd\n", False),
        ("a\nc\n…\n", False),
        ("a\nb\n", False),
    ],
)
def test_what_is_left_out_is_marked(shown: str, same: bool) -> None:
    assert matches(shown, "a\nb\nc\nd\n") == same


def test_the_tour_shows_what_is_printed(clone: Path) -> None:
    assert TOUR.count("```console") == len(BLOCKS) > 4
    for commands, shown in BLOCKS:
        lines = [line for line in commands.splitlines() if line != ACTIVATE]
        printed = "".join(lsatheory(line, clone) for line in lines)
        assert matches(shown, printed), f"shown:\n{shown}\nprinted:\n{printed}"


def test_a_new_claim_keeps_to_the_style(clone: Path) -> None:
    """So that ``make lint`` is as green after the tour as before."""
    pytest.importorskip("ruff", reason="the extra dev")
    lsatheory("lsatheory new another_claim", clone)
    for check in (("check",), ("format", "--check")):
        ruff = (sys.executable, "-m", "ruff", *check, "--no-cache", "another_claim.py")
        done = subprocess.run(ruff, cwd=clone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
