"""Wrong predictions of what training ends at, and of how fast: fine-tuning and descent."""

from __future__ import annotations

import operator
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
from verify.checks.finetuning import Task, task
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
    def run(given: tuple[int, minimisers.Gaps]) -> Evidence:
        return minimisers.conditions_at_zero_loss(SEED, given[0], "printed", given[1])

    def first(V: Array, W: Array, of: Task) -> Array:
        return np.einsum("ij,bjk,kl,bl->bi", V, of.prompts.S.numpy(), W - np.eye(len(W)), star(of))

    def second(V: Array, W: Array, of: Task) -> Array:
        turned = np.einsum("ij,bjk,kl,bl->bi", V, of.prompts.S.numpy(), W, star(of))
        return np.asarray(turned + of.eta * star(of))

    def star(of: Task) -> Array:
        return np.asarray(of.prompts.w_star.numpy())

    def solved(V: Array, W: Array, of: Task) -> Array:
        return V @ of.Phi + of.eta * of.Omega

    def all_three(V: Array, W: Array, of: Task) -> Array:
        return np.concatenate([gap(V, W, of).ravel() for gap in (first, second, solved)])

    wrong = {
        "1/8": (2, lambda V, W, of: all_three(V, W, of) + 0.125),
        "sign": (2, lambda V, W, of: V @ of.Phi - of.eta * of.Omega),
        "Ω for Φ": (2, lambda V, W, of: V @ of.Omega + of.eta * of.Omega),
        "first at k = 0": (0, first),
        "second at k = 0": (0, second),
    }
    return Case(run, (2, all_three), wrong)


def limits_over_k() -> Case:
    wrong = {"1/8": (2, 0.125), "inconsistent": (7, 0.0)}
    return Case(
        lambda p: minimisers.limits_over_k((1, 3), SEED, p[0], "printed", prediction=p[1]), (2, 0.0), wrong
    )


# Descent --------------------------------------------------------------------------------------------


def steps() -> list[tuple[Task, float]]:
    """λ⁺_min decides the rate of the first, λ_max of the second."""
    return [(task(3, 5, 2, SEED, k=2), 0.5), (task(3, 4, 2, SEED, k=1), 0.97)]


def step_rate(high: float, low: float, step_size: float, c_k: float, B: int) -> float:
    return theorem.contraction(high, low, step_size * c_k / B)


def geometric(gamma0: Array, goal: Array, alpha: float, t: int) -> float:
    return float(alpha**t * np.linalg.norm(np.linalg.inv(gamma0) + goal))


def descent_goal() -> Case:
    def run(goal: check.Goal) -> Evidence:
        return check.descent(goal, step_rate, geometric, operator.le, steps())

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

    def run(rate: Callable[[float, float, float], float]) -> Evidence:
        def given(high: float, low: float, step_size: float, c_k: float, B: int) -> float:
            return rate(high, low, step_size * c_k / B)

        return check.descent(task_matrix(FIXED), given, geometric, operator.le, steps())

    return Case(run, right, wrong)


def descent_bound() -> Case:
    wrong = {
        "factor": (lambda *at: geometric(*at) * 9 / 8, operator.le),
        "a step earlier": (lambda g, V, alpha, t: geometric(g, V, alpha, t + 1), operator.le),
        "sign": (lambda g, V, alpha, t: geometric(g, -V, alpha, t), operator.le),
        "t²": (lambda g, V, alpha, t: geometric(g, V, alpha, t * t), operator.le),
        "turned round": (geometric, operator.ge),
        "strict": (geometric, operator.lt),
    }
    return Case(
        lambda p: check.descent(task_matrix(FIXED), step_rate, *p, steps()), (geometric, operator.le), wrong
    )


def constraint(of: Task, V: Array) -> tuple[Array, Array]:
    return V @ of.Phi, -of.eta * of.Omega


def normal_equation(of: Task, V: Array) -> tuple[Array, Array]:
    return V @ of.Phi @ of.Phi.T, -of.eta * of.Omega @ of.Phi.T


def _wrong(right: Callable[[Task, Array], tuple[Array, Array]]) -> dict[str, Any]:
    return {
        "factor": lambda of, V: (right(of, V)[0], right(of, V)[1] * 9 / 8),
        "sign": lambda of, V: (right(of, V)[0], -right(of, V)[1]),
        "dropped": lambda of, V: (right(of, V)[0], 0 * right(of, V)[1]),
    }


def constraint_at_limit() -> Case:
    wrong = {name: (claim, few()) for name, claim in _wrong(constraint).items()}
    wrong["inconsistent"] = (constraint, many())
    return Case(lambda p: check.constraint_at_limit(*p, "printed"), (constraint, few()), wrong)


def normal_equation_at_limit() -> Case:
    wrong = _wrong(normal_equation) | {"the constraint itself": constraint}
    return Case(lambda p: check.constraint_at_limit(p, many(), "printed"), normal_equation, wrong)


def error_map() -> Case:
    M = Letter("M", nt.d, nt.d, symmetric=True)
    of = [t for t, _ in steps()]

    def make(expression: Matrix) -> Callable[[Task, float, float, Array], Array]:
        def after(of: Task, step_size: float, c_k: float, error: Array) -> Array:
            scalars = {nt.step_size: step_size * c_k / of.B}
            return np.asarray(error @ evaluate(expression, {M: of.Phi @ of.Phi.T}, scalars))

        return after

    def run(prediction: Callable[[Task, float, float, Array], Array]) -> Evidence:
        return check.error_map(prediction, of, task_matrix(FIXED))

    return of_words(run, make, identity(nt.d) - letter(M) * nt.step_size)


def error_map_goal() -> Case:
    def after(of: Task, step_size: float, c_k: float, error: Array) -> Array:
        return np.asarray(error - step_size * c_k / of.B * error @ of.Phi @ of.Phi.T)

    def run(goal: check.Goal) -> Evidence:
        return check.error_map(after, [t for t, _ in steps()], goal)

    return Case(run, task_matrix(FIXED), {name: task_matrix(m) for name, m in GOALS.items()})


def map_norm() -> Case:
    full = [(task(3, 4, 5, SEED), 0.5), (task(2, 3, 2, SEED), 0.95)]
    less = operator.lt
    wrong = {
        "lower bound": (full, False, 7 / 8, less),
        "sign": (full, False, -1.0, less),
        "turned round": (full, False, 1.0, operator.gt),
        "a step beyond the largest": ([(t, f * 9 / 8) for t, f in full], False, 1.0, less),
        "off the range of Φ": ([(task(3, 4, 2, SEED), 0.5)], False, 1.0, less),
    }

    def run(given: tuple[list[tuple[Task, float]], bool, float, check.Claim]) -> Evidence:
        tasks, on_range, bound, claim = given
        return check.map_norm(tasks, on_range, "printed", bound, claim)

    return Case(run, (full, False, 1.0, less), wrong)


def map_norm_on_range() -> Case:
    few_prompts = [(task(3, 4, 2, SEED), 0.5)]
    wrong = {"lower bound": (True, 0.25), "everywhere": (False, 1.0)}
    return Case(lambda p: check.map_norm(few_prompts, p[0], "printed", p[1], operator.lt), (True, 1.0), wrong)


def geometric_bound(eta: float) -> float:
    """1/(2η−η²), the sum of the whole geometric series."""
    return 1 / (2 * eta - eta**2)


def curvature_bound() -> Case:
    def run(given: tuple[list[float], check.Claim, Callable[[float], float]]) -> Evidence:
        etas, claim, bound = given
        return check.curvature_bound(etas, SEED, "printed", bound, claim)

    right, less = geometric_bound, operator.lt
    wrong = {
        "factor": ([0.2, 0.7], less, lambda eta: right(eta) * 7 / 8),
        "too weak": ([0.2, 0.7], less, lambda eta: right(eta) * 9 / 8),
        "sign": ([0.2, 0.7], less, lambda eta: 1 / (2 * eta + eta**2)),
        "η for 1−η": ([0.2, 0.7], less, lambda eta: right(1 - eta)),
        "turned round": ([0.2, 0.7], operator.gt, right),
        "strict at η = 1": ([1.0], less, right),
    }
    return Case(run, ([0.2, 0.7], less, right), wrong)


def curvature_bound_weak() -> Case:
    wrong = {
        "factor": lambda eta: geometric_bound(eta) * 7 / 8,
        "sign": lambda eta: 1 / (2 * eta + eta**2),
    }
    return Case(
        lambda bound: check.curvature_bound([0.2, 1.0], SEED, "printed", bound, operator.le),
        geometric_bound,
        wrong,
    )


def faster_with_k() -> Case:
    def mended(high: float, low: float, eta: float, B: int) -> float:
        return 2 * B * (2 * eta - eta**2) / (high + low)

    less = operator.lt
    wrong: dict[str, Any] = {
        "printed": (lambda h, low, eta, B: mended(h, 0, eta, B), less),
        "factor": (lambda *at: mended(*at) * 9 / 8, less),
        "2η + η²": (lambda h, low, eta, B: mended(h, low, eta, B) * (2 + eta) / (2 - eta), less),
        "λ_max − λ_min": (lambda h, low, eta, B: mended(h, -low, eta, B), less),
        "B + 1": (lambda h, low, eta, B: mended(h, low, eta, B + 1), less),
        "turned round": (mended, operator.gt),
    }
    return Case(
        lambda p: check.faster_with_k(p[0], 0.99, (0.3,), SEED, "printed", p[1]), (mended, less), wrong
    )


PLAN: Plan = {
    "finetuning.regularised_limit": (regularised_limit, regularised_limit_held),
    "finetuning.loss_in_the_limit": (loss_in_the_limit,),
    "finetuning.conditions_at_zero_loss": (conditions_at_zero_loss,),
    "finetuning.limits_over_k": (limits_over_k,),
    "descent.descent": (descent_goal, descent_rate, descent_bound),
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
