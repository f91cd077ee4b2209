"""The checks of the abstract's sentences call wrong predictions wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from mutations import Case, Plan, unnoticed

from verify.checks import abstract as check
from verify.checks.abstract import Direction
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260304
COUNTS = [(5, 3, B) for B in (1, 2, 3, 4)]
ONE = Direction(2, 0.3, 4, 1)


def quadrature() -> Case:
    """E(1 + vs)² = 1 + 2vσ + v²σ²(n + 2)/n of a product of two directions that do not mix, n = 1 and 2."""
    V, Sigma = np.diag([-0.3, 0.2]), np.diag([2.0, 0.5])
    at = [(V, Sigma, n) for n in (1, 2)]

    def risk(v: float, s: float, other: float, n: int) -> float:
        return 1 + 2 * v * s + v * v * s * (s * (n + 1) + s + other) / n

    right = [risk(-0.3, 2.0, 0.5, n) + risk(0.2, 0.5, 2.0, n) for n in (1, 2)]
    wrong = {
        "n of the other": right[::-1],
        "a bit": [right[0], right[1] * (1 + 1e-9)],
        "long": [risk(-0.3, 2.0, 0.5, 10**9) + risk(0.2, 0.5, 2.0, 10**9)] * 2,
    }
    return Case(lambda p: check.quadrature(p, at, "corrected"), right, wrong)


def kept() -> Case:
    wrong: dict[str, Callable[..., float]] = {
        "to the end": lambda d, rank, B: d - B,
        "rank alone": lambda d, rank, B: d - rank,
        "of the rank": lambda d, rank, B: rank - min(B, rank),
    }
    right: Callable[..., float] = lambda d, rank, B: d - min(B, rank)  # noqa: E731
    return Case(lambda p: check.kept(p, COUNTS, 3, SEED, "corrected"), right, wrong)


def kept_order() -> Case:
    wrong: dict[str, Callable[..., int]] = {
        "falls for ever": lambda one, other: -1,
        "rises": lambda one, other: 1,
        "stays": lambda one, other: 0,
    }
    right: Callable[..., int] = lambda one, other: -int(one[2] < one[1])  # noqa: E731
    return Case(lambda p: check.kept_order(p, COUNTS, 3, SEED, "condition"), right, wrong)


def sets() -> Case:
    wrong = {"rises": (1, 1), "turns": (-1, 1), "turns down": (1, -1)}
    return Case(lambda p: check.sets(p, 3, 2, (1, 12, 600), SEED, STANDARD, "condition"), (-1, -1), wrong)


def bound() -> Case:
    def at(scale: float, power: float, way: int = 1) -> Callable[..., bool]:
        def claim(D: float, a: float, eta: float, k: int, before: float, after: float) -> bool:
            edge = (scale / (k * a**2 * eta)) ** power
            return (way * D < way * edge) == (after < before)

        return claim

    wrong = {
        "half": at(1, 2),
        "of x²": at(2, 1),
        "a bit": at(2.1, 2),
        "the other side": at(2, 2, -1),
    }
    return Case(lambda p: check.bound(p, [ONE], "condition"), at(2, 2), wrong)


def factors() -> Case:
    def at(scale: float, power: int) -> Callable[..., float]:
        return lambda D, a, eta, k: (1 - scale * k * a**2 * eta * D**0.5) ** power  # type: ignore[no-any-return]

    wrong = {"of x": at(1, 2), "half": at(0.5, 4), "a bit": at(1 + 1e-6, 4), "rises": at(-1, 4)}
    starts = [(ONE, x) for x in (0.4, 1.5)]
    return Case(lambda p: check.factors(p, starts, "corrected"), at(1, 4), wrong)


def gains() -> Case:
    """One step solves D = 1/0.36."""
    starts = (0.5, 1.0, 1.5, 1.9)

    def turn(at: float) -> Callable[..., int]:
        return lambda one, other: 1 if one < at else -1

    wrong = {"falls": turn(0.0), "rises": turn(1e9), "early": turn(0.9), "late": turn(6.0)}
    return Case(lambda p: check.gains(p, ONE, starts, "condition"), turn(2.0), wrong)


PLAN: Plan = {
    "abstract.quadrature": (quadrature,),
    "abstract.kept": (kept,),
    "abstract.kept_order": (kept_order,),
    "abstract.sets": (sets,),
    "abstract.bound": (bound,),
    "abstract.factors": (factors,),
    "abstract.gains": (gains,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
