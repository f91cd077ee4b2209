"""Wrong predictions of what policy gradients are on average, of how they spread, and of what they cost.

Sampled at the ``quick`` profile, whose tolerance is four times that of the evidence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

from numerics.policy_gradient import Estimator
from theory import policy_gradient as pg
from theory.policy_gradient_value import (
    constant_spread,
    group_spread,
    least_spread,
    prompt_terms,
    rewards_per_outcome,
)
from theory.statement import registry
from verify import policy_gradient_predictions as predict
from verify.checks import policy_gradient as check
from verify.profiles import PROFILES

Array = NDArray[np.float64]
AT, SEED = 36, 20260301
QUICK = PROFILES["quick"]


def _expectation(
    kind: str | float, size: int, right: Callable[[check.Policy], Array], sigma: float = 0.7
) -> Case:
    at = check.policy(AT, 2, sigma, with_W=True)
    slope = right(at)
    plain = -predict.outcome_slope(at)
    wrong = {
        "sign": -slope,
        "factor": slope * 3 / 2,
        "transposed": slope.T,
        "one entry": slope + np.array([[0.0, 0.0], [0.5, 0.0]]) * np.abs(slope).max(),
    }
    if size > 1:
        wrong |= {"outcome": plain} if kind != "leave-one-out" else {"group": plain / 2}
    return Case(lambda p: check.expectation(p, at, Estimator(kind, size), SEED, QUICK), slope, wrong)


def _minus(scale: float) -> Callable[[check.Policy], Array]:
    return lambda at: -scale * predict.outcome_slope(at)


def _pair(at: check.Policy) -> Array:
    return predict.pair_slope(at, registry()["ext-rl.i"].printed)


def large_groups() -> Case:
    """The limit at G = 32, its tolerance 24 % here."""
    at = check.policy(AT, 2, 1.5, with_W=True)
    right = predict.large_group_slope(at, registry()["ext-rl.j"].printed)
    estimator = Estimator("normalised", 32)
    e = predict.error(at)
    wrong = {
        "not normalised": -predict.outcome_slope(at),
        "two actions": _pair(at),
        "without σ² d/2": -predict.outcome_slope(at) / (1.5 * np.sqrt(e @ e)),
        "sign": -right,
        "factor": right * 3 / 2,
    }
    return Case(lambda p: check.expectation(p, at, estimator, SEED, QUICK, 6e-2, limit=True), right, wrong)


E = np.array([0.9, -0.4, 0.3])


def _output(kind: str | float, size: int, sigma: float = 0.8) -> Case:
    """Every term of ext-rl.b or ext-rl.g, by factor and sign."""
    alone = kind == "none" or not isinstance(kind, str)
    whole = (
        predict.one_action(registry()["ext-rl.b"].printed)
        if alone
        else registry()["ext-rl.g"].printed.args[1]
    )
    given = {pg.b: 0.0 if kind == "none" else kind, pg.group: size, pg.sigma: sigma}
    right = predict.in_output(whole, E, given)
    along = np.outer(E, E)
    wrong = {
        "factor": right * 3 / 2,
        "second moment": right + along,
        "eeᵀ left out": right - along / (1 if alone else size - 1),
        "I left out": along,
        "σ doubled": predict.in_output(whole, E, {**given, pg.sigma: 2 * sigma}),
    }
    if kind == "none":  # there eeᵀ is within the tolerance
        del wrong["second moment"], wrong["eeᵀ left out"]
    if alone:
        wrong["other baseline"] = predict.in_output(whole, E, {**given, pg.b: float(given[pg.b]) - 2})
    else:
        wrong["G + 1"] = predict.in_output(whole, E, {**given, pg.group: size + 1})
        wrong["of the group's mean"] = right * ((size - 1) / size) ** 2
    return Case(
        lambda p: check.output_covariance(p, E, sigma, Estimator(kind, size), SEED, QUICK), right, wrong
    )


def spread() -> Case:
    """Through the Jacobian, with no baseline and with one."""
    at = check.policy(AT, 2, 0.7)
    terms = predict.terms_of(at)
    size, slope = float(terms.jacobian_squared[0]), float((terms.gradients**2).sum())

    def right(b: float) -> float:
        return float(constant_spread(terms, at.sigma, b)[0])

    wrong: dict[str, Callable[[float], float]] = {
        "factor": lambda b: right(b) * 3 / 2,
        "‖J‖² of one step": lambda b: (
            (right(b) - slope) * float(_terms(at, 1).jacobian_squared[0]) / size + slope
        ),
        "a row of J": lambda b: (right(b) - slope) / at.d + slope,
        "baselines exchanged": lambda b: right(-1.5 - b),
        "as with the best": lambda b: float(least_spread(terms, at.sigma)[0]),
    }
    return Case(lambda p: check.spread(p, (0.0, -1.5), at, SEED, QUICK), right, wrong)


def _terms(at: check.Policy, k: int) -> Any:
    return prompt_terms(at.V, at.S, at.w_star, k)


def least_baseline() -> Case:
    """One baseline for six prompts."""
    at = check.policy(AT, 1, 0.7, size=6)
    terms = predict.terms_of(at)
    weights = terms.jacobian_squared / terms.jacobian_squared.sum()
    best = -((terms.error_squared * weights).sum() + (at.d + 2) * at.sigma**2) / 2
    plain = -(terms.error_squared.mean() + (at.d + 2) * at.sigma**2) / 2
    cost = terms.jacobian_squared.mean() / at.sigma**2
    assert abs(plain / best - 1) > 0.3
    wrong = {
        "mean of the best ones": (plain, cost),
        "expected reward": (best + 2 * at.sigma**2, cost),
        "none": (-1e-3, cost),
        "sign": (-best, cost),
        "factor": (best * 3 / 2, cost),
        "cost without σ": (best, cost * at.sigma**2),
        "half the cost": (best, cost / 2),
    }
    return Case(lambda p: check.least_baseline(p, at, SEED, QUICK), (best, cost), wrong)


def _pathwise(size: int) -> Case:
    at = [check.policy(AT, k, sigma, with_W=True, d=3) for k, sigma in ((1, 0.5), (2, 0.2))]

    def of(change: Callable[[check.Policy, Array], Array]) -> Callable[[check.Policy, Array], Array]:
        return change

    def scaled(scale: sp.Expr) -> Callable[[check.Policy, Array], Array]:
        return lambda one, z: predict.normalised_pathwise(one, z, scale)

    wrong = {
        "sign": scaled(pg.sigma**-2),
        "1/σ": scaled(-1 / pg.sigma),
        "1/(2σ²)": scaled(-(pg.sigma**-2) / 2),
        "a bit": scaled(-(1 + sp.Float(1e-9)) * pg.sigma**-2),
        "Bessel's deviation": scaled(-sp.sqrt(sp.Rational(size - 1, size)) * pg.sigma**-2),
        "transposed": of(lambda one, z: predict.normalised_pathwise(one, z).T),
        "other actions": of(lambda one, z: predict.normalised_pathwise(one, 1.01 * z)),
    }
    return Case(lambda p: check.pathwise(p, at, size, SEED), predict.normalised_pathwise, wrong)


def evaluations() -> Case:
    at = check.policy(AT, 2, 0.5, size=16)
    terms, size = predict.terms_of(at), 4
    best = least_spread(terms, at.sigma)

    def ratio(of: Array, count: int = size) -> float:
        return rewards_per_outcome(terms, of, count)

    right = ratio(group_spread(terms, at.sigma, size))
    wrong = {
        "factor": right * 3 / 2,
        "per prompt": right / size,
        "prompts' spread left out": right - size,
        "of one action": ratio(best, 1),
        "of G = 2": ratio(group_spread(terms, at.sigma, 2), 2) * 2,
        "gradient's own": ratio((terms.gradients**2).sum(axis=(1, 2)) / (size - 1)),
    }
    return Case(lambda p: check.rewards_per_outcome(p, at, size, SEED, QUICK), right, wrong)


def trained() -> Case:
    """18 per cent of tolerance at any profile, and an interval of 13."""
    size = 4

    def right(at: check.Policy, count: int) -> float:
        return predict.evaluations_of(at, count) / count

    def spread_only(at: check.Policy, count: int) -> float:
        return right(at, count) - 1

    def with_size(count: int) -> Callable[[check.Policy, int], float]:
        return lambda at, _: right(at, count)

    wrong: dict[str, Callable[[check.Policy, int], float]] = {
        "per reward": lambda at, count: right(at, count) * count,
        "prompts' spread left out": spread_only,
        "2G": with_size(2 * size),
        "factor": lambda at, count: right(at, count) * 2,
        "half": lambda at, count: right(at, count) / 2,
        "equal": lambda at, count: 1.0,
    }
    return Case(lambda p: check.trained(p, size, SEED, QUICK), right, wrong)


PLAN: Plan = {
    "policy_gradient.expectation": (
        partial(_expectation, -1.0, 1, _minus(1.0)),
        partial(_expectation, "group", 2, _minus(0.5)),
        partial(_expectation, "leave-one-out", 2, _minus(1.0)),
        partial(_expectation, "normalised", 2, _pair, 1.5),
        large_groups,
    ),
    "policy_gradient.output_covariance": (
        partial(_output, "none", 1),
        partial(_output, -1.0, 1),
        partial(_output, "leave-one-out", 2),
        partial(_output, "leave-one-out", 4),
    ),
    "policy_gradient.spread": (spread,),
    "policy_gradient.least_baseline": (least_baseline,),
    "policy_gradient.pathwise": (partial(_pathwise, 2), partial(_pathwise, 5)),
    "policy_gradient.rewards_per_outcome": (evaluations,),
    "policy_gradient.trained": (trained,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
