"""The checks of Figure 5 call wrong predictions wrong."""

from __future__ import annotations

import pytest
from mutations import Case, Plan, unnoticed

from verify.checks import figure_five as check
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260304
LENGTHS = (5 / 3, 25 / 3, 125 / 3)


def within() -> Case:
    places = [(25 / 3, 1 / 6), (25 / 3, 1 / 2)]
    wrong = {"the other way": 0.5, "equal": 1.0, "a tenth more": 1.1}
    return Case(lambda p: check.within(lambda x: p * x, places, SEED, STANDARD), 1.3, wrong)


def approach() -> Case:
    places = [(length, 1 / 2) for length in LENGTHS]
    wrong = {"a fifth more": 1.2, "half": 0.5, "double": 2.0}
    return Case(lambda p: check.approach(p, places, SEED, STANDARD), 1.0, wrong)


def apart() -> Case:
    """Shorter and shorter prompts."""

    def run(places: list[tuple[float, float]]) -> object:
        return check.approach(1.0, places, SEED, STANDARD)

    right = [(length, 1 / 2) for length in LENGTHS]
    return Case(run, right, {"reversed": right[::-1], "too short": right[:2]})  # type: ignore[arg-type]


PLAN: Plan = {"figure_five.within": (within,), "figure_five.approach": (approach, apart)}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
