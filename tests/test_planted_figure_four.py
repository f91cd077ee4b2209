"""The checks of Figure 4's panels call wrong predictions wrong."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from mutations import Case, Plan, unnoticed

from verify.checks import figure_four as check
from verify.checks.figure_four import Panel
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260304
COURSES = {"a hill": (1, -1), "only rises": (1, 1), "only falls": (-1, -1)}
SMALL = {"d": 10, "n": 40, "B": 12, "rank": 2, "runs": 30, "test_prompts": 20, "basis": "diagonal"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rising() -> Case:
    """More steps in training, a larger error where it starts far off."""
    far = {"basis": "rotated", "n_pre": 400, "lr": 0.01, "epochs": 40}
    panel = Panel("os", "k", (1, 4), settings=SMALL | far)
    return Case(lambda sign: check.trend(sign, panel, SEED, STANDARD), 1, {"falls": -1, "flat": 0})


def flat() -> Case:
    """The minimiser (4.1) does not depend on k."""
    panel = Panel("sft", "k", (1, 2, 4), "closed", SMALL)
    return Case(lambda sign: check.trend(sign, panel, SEED, STANDARD), 0, {"falls": -1, "rises": 1})


def valley() -> Case:
    """At the start the error falls with n and rises again, as Γ₀ comes to be small where Δ is not."""
    panel = Panel("sft", "n", (1, 16, 100), settings=SMALL | {"d": 20, "rank": 4, "epochs": 1})
    return Case(lambda signs: check.turning(signs, panel, SEED, STANDARD), (-1, 1), COURSES)


PLAN: Plan = {"figure_four.trend": (rising, flat), "figure_four.turning": (valley,)}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def made(values: tuple[int, ...], means: list[float], runs: int = 30, noise: float = 0.002) -> Panel:
    """A panel whose errors are given, so that what is read off them is known."""
    panel = Panel("sft", "B", values, settings={"d": 10, "rank": 2})
    logs = np.log(means) + noise * np.random.default_rng(SEED).normal(size=(runs, len(means)))
    object.__setattr__(panel, "log_errors", lambda seed: logs)
    return panel


@pytest.mark.parametrize(
    ("means", "outcome"),
    [
        ([3, 1, 2], "agrees"),
        ([3, 2, 1], "differs"),
        ([3, 1, 1.001], "differs"),
        ([3, 1, 1.05], "undecided"),
    ],
)
def test_turning_has_three_outcomes(means: list[float], outcome: str) -> None:
    panel = made((10, 20, 40), means)
    found = check.turning((-1, 1), panel, SEED, STANDARD)
    assert found.outcome == outcome, found.measured
    assert check.position(panel, panel.log_errors(SEED))[0] == (10, 20, 40)[int(np.argmin(means))]


@pytest.mark.parametrize(
    ("means", "sign", "outcome"),
    [
        ([1, 2, 4], 1, "agrees"),
        ([1, 2, 4], -1, "differs"),
        ([1, 2, 4], 0, "differs"),
        ([1, 1, 1], 0, "agrees"),
        ([1, 1, 1], 1, "differs"),
        ([1, 1.025, 1.05], 1, "undecided"),
    ],
)
def test_trend_has_three_outcomes(means: list[float], sign: int, outcome: str) -> None:
    found = check.trend(sign, made((1, 2, 4), means), SEED, STANDARD)
    assert found.outcome == outcome, found.measured


def test_slope_is_a_power_of_the_axis() -> None:
    panel = made((10, 20, 80), [1.0, 0.5, 0.125], noise=0.0)
    np.testing.assert_allclose(check.slopes(panel, panel.log_errors(0)), -1)
