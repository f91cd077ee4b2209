"""The checks of step sizes and of the start call wrong predictions wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed

from theory import notation as nt
from theory import stability
from theory.statement import registry
from verify import stability_settings as settings
from verify.checks import stability as check
from verify.checks import stability_course as course
from verify.checks.stability import Pretraining, Scene, Start, population, started
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260306
STARTS = [population(2, (1.3,), (-2.5,)), population(3, (0.7, 1.4), (0.6, -0.9), seed=2)]
EACH = stability.EACH_LIMIT


def predicted(formula: sp.Expr) -> Callable[[Start], float]:
    return settings.each_limit(formula, stability.a_i, stability.x_i)


def limits() -> Case:
    x, k = sp.Abs(stability.x_i), nt.k
    wrong = {
        "factor": EACH * sp.Rational(9, 8),
        "factor below": EACH * sp.Rational(8, 9),
        "k² for k": EACH / k,
        "2k for 2k − 2": EACH / x**2,
        "2k − 1 for 2k − 2": EACH / x,
        "a for a²": EACH * stability.a_i,
        "1 for 2": EACH / 2,
        "2/λ": 2 / (k * (2 * k - 1) * stability.a_i**2 * x ** (2 * k - 2)),
    }
    return Case(
        lambda p: check.limits(p, STARTS, "planted"),
        predicted(EACH),
        {name: predicted(formula) for name, formula in wrong.items()},
    )


def beyond() -> Case:
    scenes = [Scene(3, 0.4), Scene(4, 0.2)]
    wrong = {
        "2/λ": lambda k: (0.0, 1.03),
        "k": lambda k: (2 / 3 * k, 4 / 3 * k),
        "k²": lambda k: (2 / 3 * k**2, 4 / 3 * k**2),
        "half": lambda k: (2 / 3 * (k - 0.5), 4 / 3 * (k - 0.5)),
        "above": lambda k: (1.2 * (2 * k - 1), 9.0 * k),
    }
    right = lambda k: (2 / 3 * (2 * k - 1), 4 / 3 * (2 * k - 1))  # noqa: E731
    return Case(lambda p: check.beyond(p, scenes, SEED, STANDARD), right, wrong)


def power() -> Case:
    by = [1.0, 2.0, 5.0]
    of = [3 * x**2 for x in by]
    wrong = {"one more": 3.0, "one less": 1.0, "sign": -2.0, "factor": 2.25}
    return Case(lambda p: check.power(p, of, by, 0.1, "planted"), 2.0, wrong)


def order_of_limits() -> Case:
    pair = (started(Scene(2, 0.8)), started(Scene(2, 0.4)))
    return Case(lambda p: check.order_of_limits(p, [pair], "L", "planted"), -1, {"same": 0, "up": 1})


def same_limits() -> Case:
    pair = tuple(replace(started(Scene(1, level)), eta=0.5) for level in (0.8, 0.4))
    return Case(lambda p: check.order_of_limits(p, [pair], "L", "planted"), 0, {"down": -1, "up": 1})  # type: ignore[list-item]


def starting_radius() -> Case:
    formula = registry()["sec-6-spectral.a"].corrected.args[1]  # type: ignore[union-attr]
    at = [Pretraining(settings.SIGMA0, settings.SHIFT, 3)]
    right = settings.of_print(formula)
    half = settings.of_print(formula - nt.I)
    wrong: dict[str, Any] = {
        "printed": settings.of_print(registry()["sec-6-spectral.a"].printed.args[0].args[1]),
        "n + 2": lambda of: right(replace(of, n=of.n + 2)),
        "of Σ": lambda of: half(of),
        "Σ₀ for Δ": lambda of: right(replace(of, Delta=of.Sigma0)),
        "factor": lambda of: right(of) * 9 / 8,
    }
    return Case(lambda p: check.starting_radius(p, at, 1e-9), right, wrong)


def claimed_share() -> Case:
    V, Sigma = -np.eye(3), np.diag([3.5, 1.0, 1.0])  # ρ(M_τ) near 2.5
    wrong = {"stable": lambda r: r < 1, "larger": lambda r: r > 3, "median": lambda r: r > np.median(r)}
    return Case(lambda p: check.claimed_share(p, V, Sigma, 300, SEED, STANDARD), lambda r: r > 1, wrong)


def stable_share() -> Case:
    V, Sigma = -np.eye(3), np.diag([1.2, 1.0, 1.0])  # ρ(M_τ) near 0.3
    wrong = {"unstable": lambda r: r > 1, "smaller": lambda r: r < 0.1, "median": lambda r: r < np.median(r)}
    return Case(lambda p: check.claimed_share(p, V, Sigma, 300, SEED, STANDARD), lambda r: r < 1, wrong)


def curvature_changes() -> Case:
    scenes = [Scene(3, d=4, n=n) for n in (8, 32, 128)]
    wrong = {"up": (1, 1), "up last": (-1, 1), "up first": (1, -1)}
    return Case(lambda p: course.curvature_changes(p, scenes, SEED, STANDARD), (-1, -1), wrong)


def scatter() -> Case:
    scenes = [Scene(3, d=4, B=B) for B in (4, 128)]
    run = lambda p: course.curvature_changes(p, scenes, SEED, STANDARD, scatter=True)  # noqa: E731
    return Case(run, (-1,), {"up": (1,)})


def course_changes(quantity: str) -> Case:
    run = lambda p: course.course_changes(p, settings.UNSTABLE, (0, 10, 100), quantity, SEED, STANDARD)  # noqa: E731
    return Case(run, (-1, -1), {"up": (1, 1), "up last": (-1, 1), "up first": (1, -1)})


def reached_changes() -> Case:
    scenes = [Scene(2, level, d=4, n=32, B=24) for level in (0.5, 0.25, 0.1)]
    wrong = {"down": (-1, -1), "down last": (1, -1)}
    return Case(lambda p: course.reached_changes(p, scenes, 100, SEED, STANDARD), (1, 1), wrong)


def gained_changes() -> Case:
    scenes = [Scene(2, level, d=4, n=32, B=24) for level in (0.5, 0.25, 0.1)]
    wrong = {"down": (-1, -1), "down last": (1, -1)}
    return Case(lambda p: course.reached_changes(p, scenes, 100, SEED, STANDARD, gained=True), (1, 1), wrong)


def one_step() -> Case:
    starts = [population(k, (1.3,), (x,)) for k, x in ((1, -0.4), (2, 1.7), (3, -1.2))]

    def factor(power: int = 2, share: float = 1.0, more: int = 0) -> Any:
        def predict(start: Start, size: float, x: np.ndarray) -> np.ndarray:
            k = start.k + more
            return 1 - share * size * k * 1.3**2 * np.abs(x) ** (2 * start.k - power)

        return predict

    wrong = {
        "half": factor(share=0.5),
        "a bit": factor(share=1 + 1e-6),
        "2k − 1": factor(1),
        "k + 1": factor(more=1),
    }
    return Case(lambda p: course.one_step(p, starts, 0.3, "printed"), factor(), wrong)


def steps_taken() -> Case:
    starts = [population(2, (1.0, 1.0), (-radius, 0.5)) for radius in (2.0, 3.0)]
    right = [25 * (4 - 1) / 2, 25 * (9 - 1) / 2]
    wrong = {"factor": [9 / 8 * x for x in right], "sign": [-x for x in right], "without 1": [50.0, 112.5]}
    wrong["nothing"] = [float("nan")] * 2
    return Case(lambda p: course.steps_taken(p, starts, 0.02, "planted"), right, wrong)


def shrinkage() -> Case:
    starts = [population(3, (1.0, 1.0), (-rho, 0.5)) for rho in (2.0, 4.0)]
    right = [2 * (0.5 / rho) ** 4 for rho in (2.0, 4.0)]
    wrong = {
        "factor": [x * 9 / 8 for x in right],
        "swapped": right[::-1],
        "square": [2 * (0.5 / rho) ** 2 for rho in (2.0, 4.0)],
        "half": [x / 2 for x in right],
    }
    return Case(lambda p: course.shrinkage(p, starts, "planted"), right, wrong)


PLAN: Plan = {
    "stability.limits": (limits,),
    "stability.beyond": (beyond,),
    "stability.power": (power,),
    "stability.order_of_limits": (order_of_limits, same_limits),
    "stability.starting_radius": (starting_radius,),
    "stability.claimed_share": (claimed_share, stable_share),
    "stability_course.curvature_changes": (curvature_changes, scatter),
    "stability_course.course_changes": (lambda: course_changes("curvature"), lambda: course_changes("added")),
    "stability_course.reached_changes": (reached_changes, gained_changes),
    "stability_course.one_step": (one_step,),
    "stability_course.shrinkage": (shrinkage,),
    "stability_course.steps_taken": (steps_taken,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
