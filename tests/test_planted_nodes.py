"""Wrong predictions of means that checks take by Gauss's rule, and of the mean of repeated runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

from numerics.policy_gradient import Estimator
from theory import notation as nt
from theory import os_finite
from theory import policy_gradient as pg
from theory.kstep import c
from theory.policy_gradient_value import constant_spread, group_spread, least_spread, rewards_per_outcome
from theory.statement import registry
from verify import policy_gradient_predictions as predict
from verify.checks import policy_gradient, policy_nodes, repeated, sandwich
from verify.profiles import PROFILES

Array = NDArray[np.float64]
AT = 36
A_BIT = 1 + 1e-8
STANDARD = PROFILES["standard"]


def one_step() -> Case:
    def goal(of: sp.Expr) -> Callable[[int, int], float]:
        return lambda d, n: float(of.subs({nt.d: d, nt.n: n}))

    right = os_finite.ONE_STEP_RATE
    wrong = {
        "a bit": right * sp.Float(A_BIT),
        "n + 1": right.subs(nt.n, nt.n + 1),
        "d for n": right.subs(nt.d, nt.n),
        "sign": -right,
    }
    cases = {name: goal(of) for name, of in wrong.items()}
    return Case(lambda p: sandwich.one_step(p, ((1, 2), (2, 1), (2, 2))), goal(right), cases)


def scalar() -> Case:
    def right(n: int, k: int, at: float, more: int = 0) -> float:
        return float(os_finite.scalar_rate(k + more).subs({nt.n: n, c: at}))

    wrong = {
        "a bit": lambda n, k, at: right(n, k, at) * A_BIT,
        "k + 1": lambda n, k, at: right(n, k, at, 1),
        "without the fourth moment of w*": lambda n, k, at: right(n, k, at) / 3,
        "other c": lambda n, k, at: right(n, k, at + 1e-3),
    }
    return Case(lambda p: sandwich.scalar(p, ((2, 1, 0.7), (2, 2, 0.6))), right, wrong)


def near(right: Array) -> dict[str, Array]:
    """Wrong by little, by sign and by place."""
    wrong = {"a bit": right * A_BIT, "sign": -right, "none": right * 0, "no number": right * np.nan}
    if right.ndim == 2 and not np.allclose(right, right.T):
        wrong["transposed"] = right.T
    return wrong


def mean() -> Case:
    at = policy_gradient.policy(AT, 2, 0.7, with_W=True)
    right = -predict.outcome_slope(at) * 2 / 3
    group = Estimator("group", 3)
    return Case(lambda p: policy_nodes.mean_at_nodes(p, at, group), right, near(right))


def mean_of_many() -> Case:
    at = policy_gradient.policy(AT, 2, 1.5, with_W=True)
    right = predict.large_group_slope(at, registry()["ext-rl.j"].printed)
    limit = lambda p: policy_nodes.mean_at_nodes(p, at, Estimator("none"), many=True)  # noqa: E731
    return Case(limit, right, near(right))


def covariance() -> Case:
    e = np.array([0.9, -0.4])
    whole = registry()["ext-rl.g"].printed.args[1]
    right = predict.in_output(whole, e, {pg.group: 3, pg.sigma: 0.8})
    estimator = Estimator("leave-one-out", 3)
    return Case(lambda p: policy_nodes.covariance_at_nodes(p, e, 0.8, estimator), right, near(right))


def spread() -> Case:
    at = policy_gradient.policy(AT, 2, 0.7)
    terms = predict.terms_of(at)

    def right(b: float) -> float:
        return float(constant_spread(terms, at.sigma, b)[0])

    wrong = {
        "a bit": lambda b: right(b) * A_BIT,
        "baselines exchanged": lambda b: right(-1.5 - b),
        "as with the best": lambda b: float(least_spread(terms, at.sigma)[0]),
    }
    return Case(lambda p: policy_nodes.spread_at_nodes(p, (0.0, -1.5), at), right, wrong)


SIX = policy_gradient.policy(AT, 1, 0.7, size=6)


def parabola() -> tuple[float, float, float]:
    terms = predict.terms_of(SIX)
    weights = terms.jacobian_squared / terms.jacobian_squared.sum()
    best = -((terms.error_squared * weights).sum() + (SIX.d + 2) * SIX.sigma**2) / 2
    least = float(np.mean(constant_spread(terms, SIX.sigma, float(best))))
    return least, float(best), float(terms.jacobian_squared.mean() / SIX.sigma**2)


def least_baseline() -> Case:
    _, best, bend = parabola()
    wrong = {
        "a bit": (best * (1 + 1e-6), bend),
        "a bit less bent": (best, bend / A_BIT),
        "expected reward": (best + 2 * SIX.sigma**2, bend),
        "exchanged": (bend, best),
    }
    return Case(lambda p: policy_nodes.least_at_nodes(p, SIX), (best, bend), wrong)


def least() -> Case:
    right, _, bend = parabola()
    each = float(least_spread(predict.terms_of(SIX), SIX.sigma).mean())
    wrong = {"a bit": right * A_BIT, "best for each": each, "bend": bend, "sign": -right}
    return Case(lambda p: policy_nodes.least_spread_at_nodes(p, SIX), right, wrong)


def evaluations() -> Case:
    at = policy_gradient.policy(AT, 2, 0.5, size=3)
    terms = predict.terms_of(at)

    def right(size: int) -> float:
        return rewards_per_outcome(terms, group_spread(terms, at.sigma, size), size)

    wrong = {
        "a bit": lambda size: right(size) * A_BIT,
        "per prompt": lambda size: right(size) / size,
        "prompts' spread left out": lambda size: right(size) - size,
        "G + 1": lambda size: right(size + 1),
    }
    return Case(lambda p: policy_nodes.evaluations_at_nodes(p, (2, 3), at), right, wrong)


def best_group() -> Case:
    at = [policy_gradient.trainable(7, 1, 6, 6, 1e-4, d=d) for d in (1, 2)]

    def right(d: int) -> tuple[float, float]:
        return (1 + (d + 1) ** 0.5) ** 2, 1 + (d + 1) ** 0.5

    wrong = {
        "one action": lambda d: (d + 2.0, 1.0),
        "1 per mille": lambda d: (right(d)[0] * 1.001, right(d)[1]),
        "G off": lambda d: (right(d)[0], right(d)[1] * 1.001),
        "d + 1": lambda d: right(d + 1),
    }
    return Case(lambda p: policy_nodes.best_group_at_nodes(p, at), right, wrong)


def runs() -> Case:
    samples = np.random.default_rng(1).normal(2.0, 0.1, size=(400, 2)) * np.array([1.0, -1.0])
    right = np.array([2.0, -2.0])
    wrong = {
        "sign": -right,
        "both": np.array([2.0, 2.0]),
        "beyond δ": right * 1.1,
        "no number": np.array([np.nan, -2.0]),
        "infinite": np.array([np.inf, -2.0]),
    }
    judge = lambda p: repeated.repeated(samples, p, 2.0, 0.05, "runs", STANDARD, "training")  # noqa: E731
    return Case(judge, right, wrong)


PLAN: Plan = {
    "policy_nodes.best_group_at_nodes": (best_group,),
    "policy_nodes.covariance_at_nodes": (covariance,),
    "policy_nodes.evaluations_at_nodes": (evaluations,),
    "policy_nodes.least_at_nodes": (least_baseline,),
    "policy_nodes.least_spread_at_nodes": (least,),
    "policy_nodes.mean_at_nodes": (mean, mean_of_many),
    "policy_nodes.spread_at_nodes": (spread,),
    "repeated.repeated": (runs,),
    "sandwich.one_step": (one_step,),
    "sandwich.scalar": (scalar,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_a_few_runs_decide_nothing() -> None:
    samples = np.random.default_rng(1).normal(2.0, 0.1, size=12)
    few = repeated.repeated(samples, 2.0, 2.0, 0.05, "runs", replace(STANDARD, family=1e-6), "training")
    assert few.outcome == "undecided"
