"""The seeds of a run, and the printed line: run again, it fails at the same example."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from planted import make, plant, run

from verify.profiles import PROFILES
from verify.reproduce import Seeds

# Not shrunk, so that what fails depends on the seed and on nothing else; one test draws inside, as those
# that record evidence do, one is drawn for, and one draws from the seed of the samplers.
FAILING = """
import numpy as np
import pytest
from hypothesis import Phase, given, settings, strategies as st

drawn = settings(phases=[Phase.generate], max_examples=1000)
numbers = st.integers(0, 2**32)


@pytest.mark.statements("true-1")
@pytest.mark.parametrize("text", ["a b", "c"])
def test_inside(ledger, text):
    @drawn
    @given(numbers)
    def holds(x):
        assert x % 101 != 77, f"failed at {x}"

    holds()


@pytest.mark.statements("true-1")
@drawn
@given(numbers)
def test_outside(x):
    assert x % 101 != 77, f"failed at {x}"


@pytest.mark.statements("false-1.a")
def test_sampled(seed):
    assert False, f"failed at {seed('sampled')}"
"""


# Hypothesis would draw these too, in a run that imports them.
CONSTANTS = "NUMBERS = [" + ", ".join(str(10**6 + 7919 * i) for i in range(500)) + "]"
OTHER = """
import constants, pytest
@pytest.mark.statements("true-1")
def test_other():
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make(tmp_path)
    plant(tmp_path, FAILING)
    plant(tmp_path, CONSTANTS, name="constants.py")
    plant(tmp_path, OTHER, name="test_other.py")
    return tmp_path


def lines(output: str) -> list[str]:
    """The command lines printed for tests that failed."""
    return [line for line in output.splitlines() if line.startswith("pytest ") and "::" in line]


def examples(output: str) -> dict[str, str]:
    """What each test failed at, from the summary."""
    line = r"^FAILED \S+::(test_\w+(?:\[[^]]*\])?) - AssertionError: failed at (\d+)"
    return dict(re.findall(line, output, re.M))


def again(project: Path, line: str) -> dict[str, str]:
    """What fails when the printed line is run."""
    program, *arguments = shlex.split(line)
    assert program == "pytest"
    ended = run(project, *arguments[1:], where=arguments[0], COLUMNS="200")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return examples(ended.stdout)


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_a_thorough_run_reproduces_from_its_lines(project: Path, processes: tuple[str, ...]) -> None:
    first = run(project, "--profile", "thorough", *processes, COLUMNS="200")
    (seed,) = set(
        re.findall(r"profile thorough, base seed (\d+), property tests seed \1$", first.stdout, re.M)
    )
    assert first.stdout.count(f"profile thorough, base seed {seed}, property tests") == 2  # at either end
    assert f"run, profile thorough, base seed {seed}, " in first.stdout  # the ledger's
    failed, printed = examples(first.stdout), lines(first.stdout)
    assert failed.keys() == {"test_inside[a b]", "test_inside[c]", "test_outside", "test_sampled"}
    assert len(printed) == 4
    assert all(line.endswith(f" --profile thorough --base-seed {seed}") for line in printed)
    one = next(line for line in printed if ("a b" if processes else "outside") in line)
    name = "test_inside[a b]" if processes else "test_outside"
    assert again(project, one) == {name: failed[name]}


def test_standard_runs_are_derandomised_unless_a_seed_is_given(project: Path) -> None:
    first = run(project, COLUMNS="200")
    assert "profile standard, base seed 0, property tests derandomised" in first.stdout
    failed = examples(first.stdout)
    inside = next(line for line in lines(first.stdout) if "test_outside" in line)
    assert inside == "pytest verify/test_planted.py::test_outside --profile standard --base-seed 0"
    assert again(project, inside) == {"test_outside": failed["test_outside"]}
    # A verdict that is not the committed one has its line too.
    both = "pytest verify/ --statement false-1.a --statement true-1 --profile standard --base-seed 0"
    assert both in first.stdout.splitlines()

    # Hypothesis alone would ignore the seed, derandomised.
    seeded = run(project, "--hypothesis-seed", "5", COLUMNS="200")
    other = examples(seeded.stdout)
    assert all(other[name] != failed[name] for name in failed if name != "test_sampled")
    assert other["test_sampled"] == failed["test_sampled"]
    ending = " --profile standard --base-seed 0 --hypothesis-seed 5"
    assert all(line.endswith(ending) for line in lines(seeded.stdout))
    # The base seed gives the samplers' seeds and, where no other is given, hypothesis' seed.
    based = examples(run(project, "--base-seed", "5", COLUMNS="200").stdout)
    assert based == {**other, "test_sampled": based["test_sampled"]}
    assert based["test_sampled"] != other["test_sampled"]


def test_a_seed_that_is_no_integer(project: Path) -> None:
    found = run(project, "--hypothesis-seed", "five")
    assert found.returncode == 4
    assert "--hypothesis-seed='five': must be an integer" in found.stderr


def test_command() -> None:
    seeds = Seeds(PROFILES["thorough"], 7, 7)
    assert seeds.command("a::b") == "pytest a::b --profile thorough --base-seed 7"
    assert Seeds(PROFILES["quick"], 0, None).command("a") == "pytest a --profile quick --base-seed 0"
    words = Seeds(PROFILES["quick"], 7, 9).command("a::b[x y]")
    assert words == "pytest 'a::b[x y]' --profile quick --base-seed 7 --hypothesis-seed 9"
