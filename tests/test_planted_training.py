"""Wrong predictions of what training ends at, and of how fast: fine-tuning and descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mutations import Case, Plan, mutants, of_words, unnoticed
from numpy.typing import NDArray

from theory import descent as theorem
from theory import finetuning
from theory import notation as nt
from theory.words.evaluate import evaluate
from theory.words.letters import Letter
from theory.words.poly import Matrix, identity, letter
from verify.checks import descent as check
from verify.checks import finetuning as minimisers
from verify.checks.finetuning import Task, spectrum, task
from verify.ledger.evidence import Evidence
from verify.predictions import task_matrix

Array = NDArray[np.float64]
SEED = 20260303
FIXED = finetuning.fixed_point()
GOALS = mutants(FIXED, scalars={nt.eta: 1 - nt.eta})


def few() -> list[Task]:
    """Fewer prompts than dimensions, and A singular: the null space of Φ counts."""
    return [task(3, 5, 2, SEED, k=2), task(4, 3, 2, SEED, k=3, rank=2)]


def many() -> list[Task]:
    """More prompts than ṼΦ = −ηΩ can be solved for."""
    return [task(3, 5, 7, SEED, k=2)]


def limit(expression: Matrix, W: Callable[[int], Array] = np.eye) -> Callable[[Task], tuple[Array, Array]]:
    return lambda of: (task_matrix(expression)(of), W(of.prompts.d))


def regularised_limit() -> Case:
    wrong: dict[str, Any] = {name: (limit(m), few()) for name, m in GOALS.items()}
    wrong["W̃ = 9/8 I"] = (limit(FIXED, lambda d: np.eye(d) * 9 / 8), few())
    wrong["W̃ = −I"] = (limit(FIXED, lambda d: -np.eye(d)), few())
    wrong["W̃ = Ṽ"] = (lambda of: (limit(FIXED)(of)[0],) * 2, few())
    wrong["inconsistent"] = (limit(FIXED), many())
    return Case(lambda p: minimisers.regularised_limit(*p), (limit(FIXED), few()), wrong)


def regularised_limit_held() -> Case:
    def run(goal: Callable[[Task], tuple[Array, Array]]) -> Evidence:
        return minimisers.regularised_limit(goal, few() + many(), hold_W=True)

    return Case(run, limit(FIXED), {name: limit(m) for name, m in GOALS.items()})


def loss_in_the_limit() -> Case:
    wrong = {"1/8": (0.125, few()), "1e-6": (1e-6, few()), "inconsistent": (0.0, many())}
    return Case(lambda p: minimisers.loss_in_the_limit(*p, "printed"), (0.0, few()), wrong)


def conditions_at_zero_loss() -> Case:
    def run(given: tuple[int, tuple[int, ...], float]) -> Evidence:
        k, which, size = given
        return minimisers.conditions_at_zero_loss(SEED, k, "printed", which, size)

    wrong = {
        "1/8": (2, (0, 1, 2), 0.125),
        "first at k = 0": (0, (0,), 0.0),
        "second at k = 0": (0, (1,), 0.0),
    }
    return Case(run, (2, (0, 1, 2), 0.0), wrong)


def limits_over_k() -> Case:
    wrong = {"1/8": (2, 0.125), "inconsistent": (7, 0.0)}
    return Case(
        lambda p: minimisers.limits_over_k((1, 3), SEED, p[0], "printed", prediction=p[1]), (2, 0.0), wrong
    )


# Descent --------------------------------------------------------------------------------------------


def steps() -> list[tuple[Task, float]]:
    """λ⁺_min decides the rate of the first, λ_max of the second."""
    return [(task(3, 5, 2, SEED, k=2), 0.5), (task(3, 4, 2, SEED, k=1), 0.97)]


def descent_goal() -> Case:
    def run(goal: check.Goal) -> Evidence:
        return check.descent(goal, theorem.contraction, steps())

    return Case(run, task_matrix(FIXED), {name: task_matrix(m) for name, m in GOALS.items()})


def descent_rate() -> Case:
    right = theorem.contraction
    wrong = {
        "factor": lambda high, low, step: right(high, low, step * 9 / 8),
        "sign": lambda high, low, step: abs(1 + step * low),
        "λ_max alone": lambda high, low, step: abs(1 - step * high),
        "λ⁺_min alone": lambda high, low, step: abs(1 - step * low),
        "min for max": lambda high, low, step: min(abs(1 - step * high), abs(1 - step * low)),
        "too slow": lambda high, low, step: right(high, low, step) ** 0.5,
        "too fast": lambda high, low, step: right(high, low, step) ** 2,
        "η for 1−η": lambda high, low, step: right(high, low, step * 0.6 / 0.4),
        "at the printed step": lambda high, low, step: 1 - low / high,
    }
    return Case(lambda rate: check.descent(task_matrix(FIXED), rate, steps()), right, wrong)


def constraint_at_limit() -> Case:
    wrong = {
        "1/8": (few(), False, 0.125),
        "inconsistent": (many(), False, 0.0),
        "normal": (many(), True, 0.125),
    }
    right = (few(), False, 0.0)
    return Case(lambda p: check.constraint_at_limit(p[0], p[1], "printed", p[2]), right, wrong)


def normal_equation_at_limit() -> Case:
    wrong = {"1/8": (True, 0.125), "the constraint itself": (False, 0.0)}
    return Case(lambda p: check.constraint_at_limit(many(), p[0], "printed", p[1]), (True, 0.0), wrong)


def error_map() -> Case:
    M = Letter("M", nt.d, nt.d, symmetric=True)
    of = [t for t, _ in steps()]

    def make(expression: Matrix) -> Callable[[float, Array], Array]:
        return lambda step, square: np.asarray(evaluate(expression, {M: square}, {nt.step_size: step}))

    def run(prediction: Callable[[float, Array], Array]) -> Evidence:
        return check.error_map(prediction, of, limit(FIXED))

    return of_words(run, make, identity(nt.d) - letter(M) * nt.step_size)


def error_map_goal() -> Case:
    def run(goal: Callable[[Task], tuple[Array, Array]]) -> Evidence:
        return check.error_map(lambda g, M: np.eye(len(M)) - g * M, [t for t, _ in steps()], goal)

    return Case(run, limit(FIXED), {name: limit(m) for name, m in GOALS.items()})


def map_norm() -> Case:
    full = [(task(3, 4, 5, SEED), 0.5), (task(2, 3, 2, SEED), 0.95)]
    wrong = {
        "lower bound": (full, False, 7 / 8),
        "sign": (full, False, -1.0),
        "a step beyond the largest": ([(t, f * 9 / 8) for t, f in full], False, 1.0),
        "off the range of Φ": ([(task(3, 4, 2, SEED), 0.5)], False, 1.0),
    }
    return Case(lambda p: check.map_norm(p[0], p[1], "printed", p[2]), (full, False, 1.0), wrong)


def map_norm_on_range() -> Case:
    few_prompts = [(task(3, 4, 2, SEED), 0.5)]
    wrong = {"lower bound": (True, 0.25), "everywhere": (False, 1.0)}
    return Case(lambda p: check.map_norm(few_prompts, p[0], "printed", p[1]), (True, 1.0), wrong)


def curvature_bound() -> Case:
    def run(given: tuple[list[float], bool, Callable[[float], float]]) -> Evidence:
        etas, strict, bound = given
        return check.curvature_bound(etas, strict, SEED, "printed", bound)

    right = check.geometric_bound
    wrong = {
        "factor": ([0.2, 0.7], True, lambda eta: right(eta) * 7 / 8),
        "sign": ([0.2, 0.7], True, lambda eta: 1 / (2 * eta + eta**2)),
        "η for 1−η": ([0.2, 0.7], True, lambda eta: right(1 - eta)),
        "strict at η = 1": ([1.0], True, right),
    }
    return Case(run, ([0.2, 0.7], True, right), wrong)


def curvature_bound_weak() -> Case:
    wrong = {
        "factor": lambda eta: check.geometric_bound(eta) * 7 / 8,
        "sign": lambda eta: 1 / (2 * eta + eta**2),
    }
    return Case(
        lambda bound: check.curvature_bound([0.2, 1.0], False, SEED, "printed", bound),
        check.geometric_bound,
        wrong,
    )


def faster_with_k() -> Case:
    high, low = spectrum(task(3, 4, 3, SEED, k=0, eta=0.3))
    wrong = {
        "printed": ("printed", 0.99),
        "factor": ("corrected", 0.99 * 9 / 8),
        "2η + η²": ("corrected", 0.99 * (2 + 0.3) / (2 - 0.3)),
        "λ_max − λ_min": ("corrected", 0.99 * (high + low) / (high - low)),
        "B + 1": ("corrected", 0.99 * 4 / 3),
    }
    return Case(lambda p: check.faster_with_k(*p, (0.3,), SEED, "printed"), ("corrected", 0.99), wrong)


PLAN: Plan = {
    "finetuning.regularised_limit": (regularised_limit, regularised_limit_held),
    "finetuning.loss_in_the_limit": (loss_in_the_limit,),
    "finetuning.conditions_at_zero_loss": (conditions_at_zero_loss,),
    "finetuning.limits_over_k": (limits_over_k,),
    "descent.descent": (descent_goal, descent_rate),
    "descent.constraint_at_limit": (constraint_at_limit, normal_equation_at_limit),
    "descent.error_map": (error_map, error_map_goal),
    "descent.map_norm": (map_norm, map_norm_on_range),
    "descent.curvature_bound": (curvature_bound, curvature_bound_weak),
    "descent.faster_with_k": (faster_with_k,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
