"""Wrong predictions of what the linearisation of Ṽ_* says: expansions, identities, means and limits.

Mutants that agree in value with the right one (Π transposed, doubled) are left out, and those of a sampled
quantity that are off by less than twice the check's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from mutations import Case, Plan, mutants, unnoticed
from numpy.typing import NDArray

import theory.statements  # noqa: F401  registers every statement
from numerics.device import seeded
from theory import linearised, risk
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.words.poly import Matrix, Scalar
from verify.checks import linearised as check
from verify.checks import linearised_limits as limits
from verify.checks import linearised_model as full
from verify.checks.linearised import Training, tensor, training
from verify.linearised_settings import (
    LETTERS,
    ONE,
    TWO,
    of_sets,
    of_training,
    printed_scalar,
    regime,
    stacked,
)
from verify.profiles import PROFILES

Array = NDArray[np.float64]
SEED = 20260306
STANDARD = PROFILES["standard"]
NARROW, WIDE = training(4, 6, 2, SEED), training(4, 6, 5, SEED, rank=2)
AT = regime(TWO, 0.8, 0.5)


def form(id: str, which: str = "printed") -> Any:
    return getattr(registry()[id], which)


def apart(right: Matrix, of: Training, words: bool = True) -> dict[str, Callable[[Training], Array]]:
    """The mutants of a matrix expression that differ in value at ``of``."""
    goal = of_training(right)(of)
    found = {name: of_training(mutant) for name, mutant in mutants(right, words=words).items()}
    return {name: each for name, each in found.items() if np.abs(each(of) - goal).max() > 1e-6}


# Expansions and identities ------------------------------------------------------------------------------


def remembered(exact: Callable[[Training], Array]) -> Callable[[Training], Array]:
    """``exact``, computed once for each training set."""
    known: dict[bytes, Array] = {}

    def at(of: Training) -> Array:
        key = of.E.tobytes()
        if key not in known:
            known[key] = exact(of)
        return known[key]

    return at


def _expansion(id: str, exact: Callable[[Training], Array], words: bool) -> Case:
    """Every term and sign of the corrected expansion, with ``words`` every factor of every term; the ranks of
    M's rows and of its columns are not full."""
    right = lower_matrix(linearised.expansion(form(id, "corrected")))
    wrong: dict[str, Any] = apart(right, WIDE, words)
    signs = [name for name in wrong if "other sign" in name]
    assert len(signs) == len(right.terms)
    wrong["the print"] = of_training(linearised.expansion(form(id)))
    once = remembered(exact)
    return Case(lambda p: check.expansion(p, once, [NARROW, WIDE], "corrected"), of_training(right), wrong)


def projection() -> Case:
    return _expansion("eq-B.3.a", check.projection, True)


def operator() -> Case:
    return _expansion("eq-B.3.b", check.minimiser, False)


def in_length() -> Case:
    right = of_training(linearised.expansion(form("eq-B.4.b", "corrected")))

    def changed(noise: float, fixed: float = 1.0) -> Callable[[Training], Array]:
        def predict(of: Training) -> Array:
            first, second = of.parts()
            return right(of) + (fixed - 1) * first + (noise - 1) * second

        return predict

    wrong = {
        "the print": of_training(linearised.expansion(form("eq-B.4.b"))),
        # By an eighth, what is missing takes over between the two lengths only, at another n in each set.
        "factor of V_N": changed(3 / 2),
        "sign of V_N": changed(-1),
        "no V_N": changed(0),
        "factor of V_S": changed(1, 9 / 8),
    }
    return Case(lambda p: check.in_length(p, 4, 2, SEED, STANDARD, "corrected"), right, wrong)


def equality() -> Case:
    right = lower_matrix(form("eq-C.2").rhs)
    wrong = apart(right, NARROW)
    assert sum("other sign" in name for name in wrong) == len(right.terms)
    return Case(
        lambda p: check.equality(p, lambda of: of.parts()[0], [NARROW], "planted"), of_training(right), wrong
    )


# Means --------------------------------------------------------------------------------------------------


def _split(biased: bool) -> Case:
    of = training(3, 3, 10, SEED)
    wrong = {
        "noise by a factor": lambda a, b: a + 9 / 8 * b,
        "noise subtracted": lambda a, b: a - b,
        "no noise": lambda a, b: a,
        "no signal": lambda a, b: b,
        "factor": lambda a, b: 9 / 8 * (a + b),
    }
    return Case(lambda p: check.split_mean(p, of, biased, SEED, STANDARD), lambda a, b: a + b, wrong)


def model_error() -> Case:
    of = training(4, 10, 20, SEED)
    right = lower_scalar(risk.formula(nt.V)) * (1 / nt.d)

    def predict(expression: Scalar) -> Callable[[Any, Training], Array]:
        def at(V: Any, of: Training) -> Array:
            known = {LETTERS["V"]: V, LETTERS["Sigma"]: tensor(of.Sigma)}
            return np.asarray(stacked(expression, known.__getitem__, {nt.n: 10, nt.d: of.d}))

        return at

    sets = check.batch(of, 2000, seeded(SEED, "cpu")).minimiser()
    goal = predict(right)(sets, of).mean()
    found = {name: predict(mutant) for name, mutant in mutants(right, words=False).items()}
    wrong = {name: each for name, each in found.items() if abs(each(sets, of).mean() / goal - 1) > 0.1}
    assert sum("other sign" in name for name in wrong) == 5
    return Case(lambda p: full.model_error(p, of, 10, SEED, STANDARD), predict(right), wrong)


def model_distance() -> Case:
    def right(found: Array, w_star: Array) -> float:
        return float(((found - w_star) ** 2).mean())

    wrong: Mapping[str, Callable[[Array, Array], float]] = {
        "factor": lambda found, w_star: 9 / 8 * right(found, w_star),
        "sign": lambda found, w_star: right(-found, w_star),
        "not over d": lambda found, w_star: len(found) * right(found, w_star),
        "not squared": lambda found, w_star: right(found, w_star) ** 0.5,
        "no task": lambda found, w_star: right(found, 0 * w_star),
    }
    return Case(lambda p: full.model_distance(p, training(4, 10, 20, SEED), 10, SEED), right, wrong)


def given_tasks() -> Case:
    """(1/n)((wᵀAw)A + AwwᵀA) for the first prompt."""
    of = training(3, 3, 2, SEED)

    def right(of: Training) -> Array:
        w = of.Omega[:, :1]
        return ((w.T @ of.A @ w) * of.A + of.A @ w @ w.T @ of.A) / of.n

    w = of.Omega[:, :1]
    wrong: Mapping[str, Callable[[Training], Array]] = {
        "factor": lambda of: 9 / 8 * right(of),
        "sign": lambda of: -right(of),
        "none": lambda of: 0 * right(of),
        "no second term": lambda of: (w.T @ of.A @ w) * of.A / of.n,
        "no first term": lambda of: of.A @ w @ w.T @ of.A / of.n,
        "n + 1": lambda of: right(of) * of.n / (of.n + 1),
        "w not A^{1/2}w": lambda of: ((w.T @ w) * of.A + of.A @ w @ w.T @ of.A) / of.n,
    }

    def measure(E: Any, of: Training) -> Any:
        return E[:, :, :1] @ E[:, :, :1].mT

    return Case(lambda p: check.given_tasks(p, measure, of, "planted", SEED, STANDARD), right, wrong)


# Limits -------------------------------------------------------------------------------------------------


def _noise(sets: check.Batch) -> Any:
    return check.at_right(sets.parts()[1], sets.Sigma).square().sum((-1, -2)) / sets.d


def ratio() -> Case:
    """The right side of (C.18) with other factors."""
    right = printed_scalar(form("eq-C.18").args[1])
    pilot = AT.sets(80, 16, seeded(SEED, "cpu"))
    goal = of_sets(right)(pilot)
    found = {name: of_sets(mutant) for name, mutant in mutants(right).items()}
    wrong = {name: each for name, each in found.items() if abs((each(pilot) / goal).mean() - 1) > 0.1}
    assert any("other sign" in name for name in wrong)
    assert len(wrong) >= 6
    return Case(lambda p: limits.ratio(p, _noise, AT, "planted", SEED, STANDARD), of_sets(right), wrong)


def _first(sets: check.Batch) -> Any:
    return check.at_right(check.pinv(sets.M), sets.Sigma).square().sum((-1, -2))


def together() -> Case:
    """A factor with itself: E[T²]/(E T)² tends to 1 as well."""
    wrong = {"factor": 9 / 8, "sign": -1.0, "none": 1e-3}
    return Case(lambda p: limits.together(p, (_first, _first), AT, SEED, STANDARD), 1.0, wrong)


def excess() -> Case:
    """Of one block, β = 0.4, γ = 0.1, in closed form by hand."""
    at = regime(ONE, 0.1, 0.4)
    beta, gamma, x, y = 0.4, 0.1, 0.4 * 1.3 / 0.9, 1.3 / 0.7
    y_now = y / (1 + gamma)
    noise = gamma * beta / (1 - beta) * (y_now**2 * (1 - beta) + x**2 * beta)
    linear = (1 - x) ** 2 * beta + (1 + gamma) * noise + gamma * x**2 * beta
    shrunk = x / (1 + gamma)
    true = (1 - shrunk) ** 2 * beta + (1 + gamma) * shrunk**2 * gamma * beta / (1 - beta)
    true += gamma * shrunk**2 * beta
    right = (linear - true) / gamma
    wrong = {
        "factor": right * 9 / 8,
        "sign": -right,
        "none": 1e-2 * right,
        "without the noise of Ṽ_*": right + shrunk**2 * beta / (1 - beta),
        "as for β > 1": 2 * x * (x - 1),
    }
    return Case(
        lambda p: limits.excess(p, lambda s: sum(s.parts()), at, "planted", SEED, STANDARD), right, wrong
    )


def risk_limit() -> Case:
    """One block at β = 1.6, by hand."""
    at = regime(ONE, 0.8, 1.6)
    shrunk = 0.4 * 1.3 / 0.9 / 1.8
    noise = shrunk**2 * 0.8 / 0.6
    right = (1 - shrunk) ** 2 + noise + 0.8 * (shrunk**2 + noise)
    wrong = {
        "factor": right * 9 / 8,
        "sign": -right,
        "no noise": right - 1.8 * noise,
        "no test prompts": (1 - shrunk) ** 2 + noise,
    }
    return Case(lambda p: limits.risk_limit(p, at, SEED, STANDARD), right, wrong)


def weighted_square() -> Case:
    A, Sigma, B = np.diag([1.0, 2.0]), np.diag([3.0, 1.0]), 9
    F = np.diag([9.0, 0.25])

    def value(x: float, y: float) -> Array:
        return np.asarray((x * F + y * np.trace(F) * np.eye(2)) / ((B + 2) * (B - 3)))

    wrong = {
        "the print": np.trace(F) / (B - 3) * np.eye(2),
        "factor": value(9 / 8 * 2 * (B - 4), 9 / 8 * B),
        "sign": value(-2 * (B - 4), B),
        "no F": value(0, B),
        "B − d − 1": value(2 * (B - 3), B),
        "Σ² for F": value(2 * (B - 4), B) @ A @ A,
    }
    return Case(
        lambda p: limits.weighted_square(p, A, Sigma, B, SEED, STANDARD), value(2 * (B - 4), B), wrong
    )


def dependence() -> Case:
    """1/T against 1/T: correlation 1."""

    def inverse(sets: check.Batch) -> Any:
        return 1 / _first(sets)

    wrong = {"factor": 7 / 8, "sign": -1.0, "none": 0.0}
    return Case(lambda p: limits.dependence(p, (_first, inverse), AT, 4, SEED, STANDARD), 1.0, wrong)


PLAN: Plan = {
    "linearised.expansion": (projection, operator),
    "linearised.in_length": (in_length,),
    "linearised.equality": (equality,),
    "linearised.split_mean": (lambda: _split(True), lambda: _split(False)),
    "linearised.given_tasks": (given_tasks,),
    "linearised_limits.ratio": (ratio,),
    "linearised_limits.together": (together,),
    "linearised_limits.excess": (excess,),
    "linearised_limits.risk_limit": (risk_limit,),
    "linearised_limits.weighted_square": (weighted_square,),
    "linearised_limits.dependence": (dependence,),
    "linearised_model.model_error": (model_error,),
    "linearised_model.model_distance": (model_distance,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
