"""Wrong predictions of what the risk curve does at β = 0, next to β = 1 and above.

A wrong value closer than twice a check's tolerance may be called equal: none here is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

from theory import risk_curve_exact as exact
from theory import risk_curve_formulas as formulas
from theory.block_symbols import T12, Sigma, a, aspect, average, explicit, g, k, mu, rho_pre, s, w
from theory.risk_curve_formulas import slope_at_zero
from verify.checks import risk_curve as check
from verify.checks import risk_curve_start as starts
from verify.checks.risk_curve import Task
from verify.profiles import PROFILES
from verify.risk_curve_settings import (
    APART,
    AT_EQUALITY,
    FEW_HELP,
    FEW_HURT,
    FIGURE_5,
    LEVEL,
    SMALL_R,
    exact_at,
    exact_number,
    linearised_at,
    number,
)

Array = NDArray[np.float64]
SEED, QUICK, STANDARD = 20260306, PROFILES["quick"], PROFILES["standard"]


def _terms(expression: sp.Expr, read: Callable[[sp.Expr], Array], delta: float) -> dict[str, Array]:
    """Each term of a sum left out, with the other sign and times 9/8, where that moves one entry by 2δ."""
    right, wrong = read(expression), {}
    for index, term in enumerate(sp.Add.make_args(expression)):
        for name, factor in (("without", 0), ("sign", -1), ("times 9/8", sp.Rational(9, 8))):
            value = read(expression + (factor - 1) * term)
            if np.abs(value / right - 1).max() > 2 * delta:
                wrong[f"{name} term {index}"] = value
    assert wrong, "no term matters"
    return wrong


def _around(right: Array) -> dict[str, Array]:
    one = np.array(right, dtype=float)
    one[-1] *= 9 / 8
    return {"factor": right * 9 / 8, "sign": -right, "none": right * 1e-3, "one entry": one}


def _numbers(of: Callable[[sp.Expr, Task], float], tasks: Sequence[Task]) -> Callable[[sp.Expr], Array]:
    return lambda expression: np.array([of(expression, task) for task in tasks])


def bias_slopes() -> Case:
    tasks = (FEW_HELP, FEW_HURT)
    read, goal = _numbers(number, tasks), sp.expand(explicit(slope_at_zero(formulas.BIAS), 2))
    right = read(goal)
    wrong = _around(right) | _terms(goal, read, 4e-2)
    wrong["δ̃ for δ"] = read(goal.xreplace({formulas.delta[i]: formulas.delta_tilde[i] for i in (1, 2)}))

    def run(prediction: Array) -> Any:
        return check.slopes(prediction, tasks, "zeroth order", SEED, STANDARD, bias_only=True)

    return Case(run, right, wrong)


def error_slopes() -> Case:
    """V_S + V_N: the true F′(0), each of its four parts edited, and the print with its misprinted B.17."""
    tasks = (FEW_HELP, SMALL_R)
    read = _numbers(number, tasks)
    start = explicit(formulas.variance(s), 2).xreplace({w[1]: 0, w[2]: 0, T12: 0})
    inverse, inverse_S = (slope_at_zero(formulas.inverse_trace(x)) for x in (Sigma[k] ** 2, Sigma[k]))
    spread = slope_at_zero(formulas.variance(Sigma, corrected=True))
    parts = {
        "bias": slope_at_zero(formulas.BIAS),
        "noise": aspect * inverse * start,
        "signal": aspect * formulas.Sigma_bar * spread,
        "signal noise": aspect**2 * formulas.Sigma_bar * inverse_S * start,
    }
    right = read(sp.Add(*parts.values()))
    wrong = _around(right) | {f"without the {name}": right - read(part) for name, part in parts.items()}
    wrong |= {
        "the print": read(slope_at_zero(formulas.curve())),
        "Ṽ_*": _numbers(exact_number, tasks)(exact.SLOPE),
    }
    wrong = {name: value for name, value in wrong.items() if np.abs(value / right - 1).max() > 8e-2}
    assert {"the print", "Ṽ_*", "without the bias", "without the noise", "without the signal"} <= set(wrong)
    return Case(lambda p: check.slopes(p, tasks, "first order", SEED, STANDARD), right, wrong)


def exact_slopes() -> Case:
    tasks = (FEW_HELP, SMALL_R)
    read = _numbers(exact_number, tasks)
    goal = exact.SLOPE.xreplace({exact.miss: exact.MISS})
    right = read(goal)
    wrong = _around(right) | _terms(goal, read, 4e-2)
    wrong["F′(0)"] = _numbers(number, tasks)(slope_at_zero(formulas.curve(corrected=True)))
    wrong["no noise"] = read(
        exact.SLOPE.xreplace({exact.miss: exact.MISS - formulas.eta**2 * exact.LEFT_OPEN})
    )
    return Case(lambda p: check.slopes(p, tasks, "minimiser", SEED, STANDARD), right, wrong)


def growth() -> Case:
    """The slope's derivative in γ at equality, of the exact limit and of F."""
    read = _numbers(lambda x, of: float(x.xreplace({rho_pre: sp.Float(of.rho)})), LEVEL)
    goal = exact.at_equality()
    right = read(goal)
    top, bottom = sp.fraction(goal)
    wrong = _around(right) | {
        "the other sign": -right,
        "without the constant": read((top - top.subs(rho_pre, 0)) / bottom),
        "swapped": right[::-1],
    }
    return Case(lambda p: check.growth(p, LEVEL, "minimiser", SEED, QUICK), right, wrong)


def projections() -> Case:
    """q′, w′ and T₁₂′ at 0, one of the four wrong at a time."""
    tasks = (FEW_HELP, FEW_HURT)
    mean = explicit(average(mu[k] * a[k] ** 2, 2), 2)
    rates = [1 / mean, a[1] ** 2 / mean, a[2] ** 2 / mean, mu[1] * mu[2] * (a[1] * a[2]) ** 2 / mean**2]

    def read(chosen: Sequence[sp.Expr]) -> Array:
        return np.array([number(x, of) for of in tasks for x in chosen])

    right = read(rates)
    wrong = _around(right)
    for index, name in enumerate(("q", "w₁", "w₂", "T₁₂")):
        for text, factor in (
            ("times 9/8", sp.Rational(9, 8)),
            ("sign", -1),
            ("times c", mean),
            ("times μ₁", mu[1]),
        ):
            wrong[f"{name} {text}"] = read([x * factor if i == index else x for i, x in enumerate(rates)])
    wrong["w swapped"] = read([rates[0], rates[2], rates[1], rates[3]])
    return Case(lambda p: check.projections(p, tasks, SEED, STANDARD), right, wrong)


def slope_sign(of: Task, operator: str, sign: int, bias_only: bool = False) -> Case:
    def run(prediction: int) -> Any:
        return check.slope_sign(prediction, of, operator, SEED, STANDARD, bias_only=bias_only)

    return Case(run, sign, {"sign": -sign, "none": 0})


def miss_bound() -> Case:
    """The squares are 3.04 and 0.605."""
    wrong = {"one above": [3.0, 0.61], "both above": [3.1, 0.7], "those at γ = 0": [4.0, 1.0]}
    tasks = [SMALL_R, AT_EQUALITY]
    return Case(lambda p: starts.miss_bound(p, 1, tasks), [3.0, 0.6], wrong)


def above(operator: str) -> Case:
    def make(C1: float, C2: float) -> Callable[[float], float]:
        return lambda beta: C1 + C2 / (beta - 1)

    at_two, far = exact_at([2.0, 1e15], APART)
    ends = {
        "first order": [number(x, APART) for x in (formulas.FLOOR, formulas.DECAY)],
        "minimiser": [far, at_two - far],
    }
    floor, decay = ends.pop(operator)
    (other,) = ends.values()
    wrong = {
        "factor": make(floor * 1.25, decay * 1.25),
        "sign": make(-floor, -decay),
        "floor times 1.25": make(floor * 1.25, decay),
        "no decay": make(floor, 0.0),
        "decay times 3": make(floor, decay * 3),
        "rises": make(floor, -decay),
        "no floor": make(0.0, decay),
        "the other Ṽ": make(other[0], other[1]),
    }
    return Case(lambda p: check.above(p, APART, operator, SEED, STANDARD), make(floor, decay), wrong)


def gap() -> Case:
    of = Task(1 / 2, 0.5, 0.9, 0.00225, 1 / 128)
    right = of.eta**2 * (1 - of.first) * (1 + of.aspect * (1 + of.first * of.rho))
    decay = number(formulas.DECAY, of)
    wrong = {
        "factor": right * 1.25,
        "sign": -right,
        "no μ₂": right / (1 - of.first),
        "1/r": right * of.r,
        "η": right / of.eta**2,
        "1 + 20γΣ̄": right * (1 + 19 * of.aspect * 1.25),
    }
    return Case(lambda p: check.gap(p, decay, of, "first order", SEED, STANDARD), right, wrong)


def deterministic(run: Callable[..., Any], expression: sp.Expr) -> Case:
    tasks = (FEW_HELP, FEW_HURT, FIGURE_5)
    read = _numbers(number, tasks)
    right, goal = read(expression), sp.expand(explicit(expression, 2))
    wrong = _around(right) | {"a bit": right * 1.003}
    if len(goal.args) > 1:
        wrong |= _terms(goal, read, 1e-3)
    return Case(lambda p: run(p, tasks), right, wrong)


def spike() -> Case:
    below, over = (linearised_at(1 - x / 2, FEW_HURT) / linearised_at(1 - x, FEW_HURT) for x in (0.5, -0.5))
    right = (below, over)
    wrong = {
        "no divergence": (1.0, 1.0),
        "none below": (1.0, right[1]),
        "none above": (right[0], 1.0),
        "second order": (2 * right[0], 2 * right[1]),
        "sign": (-right[0], -right[1]),
    }
    return Case(lambda p: check.spike(p, FEW_HURT, "first order", SEED, STANDARD), right, wrong)


def order(of: Task, operator: str, few: Sequence[float], many: Sequence[float], sign: int) -> Case:
    def run(prediction: int) -> Any:
        return check.order(prediction, of, operator, few, many, SEED, STANDARD)

    return Case(run, sign, {"sign": -sign, "none": 0})


PLAN: Plan = {
    "risk_curve.slopes": (bias_slopes, error_slopes, exact_slopes),
    "risk_curve.slope_sign": (
        partial(slope_sign, SMALL_R, "first order", -1),
        partial(slope_sign, AT_EQUALITY, "minimiser", 1),
        partial(slope_sign, AT_EQUALITY, "zeroth order", 1, True),
    ),
    "risk_curve.growth": (growth,),
    "risk_curve.projections": (projections,),
    "risk_curve.above": (partial(above, "first order"), partial(above, "minimiser")),
    "risk_curve.gap": (gap,),
    "risk_curve_start.start": (partial(deterministic, starts.start, formulas.START),),
    "risk_curve_start.initial_miss": (partial(deterministic, starts.initial_miss, 1 + g[1] * Sigma[1]),),
    "risk_curve_start.miss_bound": (miss_bound,),
    "risk_curve.spike": (spike,),
    "risk_curve.order": (
        partial(order, FIGURE_5, "first order", (0, 0.25, 0.5), (20,), -1),
        partial(order, SMALL_R, "minimiser", (0, 0.25), (1.5, 3, 20), 1),
    ),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
