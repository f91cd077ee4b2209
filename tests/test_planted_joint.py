"""Wrong predictions of the loss with both blocks free, its gradient and where its minimiser lies."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, mutants, unnoticed
from numpy.typing import NDArray

from theory import joint
from theory import notation as nt
from theory.joint import s0, s1, s2
from theory.lower import lower_matrix, lower_scalar
from theory.population import population_limit
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix
from verify.checks import joint as check
from verify.checks.joint import Blocks, Pair, Population
from verify.predictions import A, of_blocks
from verify.profiles import PROFILES

Array = NDArray[np.float64]
SEED = 20260305
QUICK, STANDARD = PROFILES["quick"], PROFILES["standard"]
HALF = sp.Rational(1, 2)
SUMS = {s0: s0 + 1, s1: s2, s2: s1, nt.eta: 1 - nt.eta, nt.n: nt.n + 1, nt.c_k: nt.c_k + 1}
EQUAL = Population((1.5, 1.5, 0.0), 3, 0.4, 1, 1)
UNEQUAL = Population((0.5, 3.0), 4, 0.3, 2, 1)
LONG = Population((1.0, 2.0), check.LENGTHS[0], 0.4, 1, 1)


def mean_loss() -> Case:
    """Of the wrong losses those that are off by more than δ = 2 %: every change of a sign has to be."""
    at = check.generic(SEED + 1, 3, 2)
    right = lower_scalar(joint.twice_loss(joint.T_OF_V)) * HALF
    expected, wrong = of_blocks(right)(at), {}
    for name, mutant in mutants(right, scalars=SUMS).items():
        if abs(of_blocks(mutant)(at) / expected - 1) > 2e-2:
            wrong[name] = of_blocks(mutant)
        else:
            assert "other sign" not in name
    return Case(lambda p: check.mean_loss(p, at, SEED, STANDARD), of_blocks(right), wrong)


def _gradient(which: int) -> Case:
    """Of the wrong gradients of one block those with an entry off by more than δ = 5 % of its norm."""
    at, typed = check.generic(SEED, 2), joint.gradient_formula()
    expected = [of_blocks(g)(at) for g in typed]
    allowed = 0.05 * np.linalg.norm(expected[which])
    wrong = {}
    for name, mutant in mutants(typed[which], scalars=SUMS, words=which == 1).items():
        found = [*expected]
        found[which] = of_blocks(mutant)(at)
        if np.abs(found[which] - expected[which]).max() > allowed:
            wrong[name] = lambda _, found=found: (found[0], found[1])
        else:
            assert "other sign" not in name
    return Case(
        lambda p: check.mean_gradient(p, at, SEED, STANDARD), lambda _: (expected[0], expected[1]), wrong
    )


def joint_population(at: Callable[[Population], Pair]) -> Callable[[Population], float]:
    """The loss at the blocks."""
    return lambda of: joint.population_loss(*at(of), of.A, of.n, of.eta, of.k)


def at_limit(of: Population) -> Pair:
    return population_limit(of.A, of.n, of.eta, np.eye(len(of.A))), np.eye(len(of.A))


def slope() -> Case:
    """The gradient in W̃ at (Ṽ_∞, I): the printed one against another sign, size, order, or none."""
    of = Population((0.2, 3.0), 12, 0.4, 1, 1)
    at = check.placed(of, at_limit)
    Q = (of.n + 1) / of.n * of.A + np.trace(of.A) / of.n * np.eye(2)
    letters = {A: of.A, nt.letter_of(joint.Q): (Q + Q.T) / 2}
    scalars = {nt.n: of.n, nt.eta: of.eta, **joint.path_sums(of.eta, of.k)}
    right = lower_matrix(joint.SLOPE)

    def make(expression: Matrix) -> Callable[[Blocks], Pair]:
        return lambda _: (np.zeros((2, 2)), np.asarray(evaluate(expression, letters, scalars)))

    wrong: dict[str, Any] = {name: make(m) for name, m in mutants(right, scalars=SUMS).items()}
    same = np.asarray(evaluate(right, letters, scalars))
    unit = float(np.linalg.norm(same))
    wrong = {name: p for name, p in wrong.items() if np.abs(p(at)[1] - same).max() > 0.05 * unit}
    wrong["stationary"] = lambda _: (np.zeros((2, 2)), np.zeros((2, 2)))
    return Case(lambda p: check.mean_gradient(p, at, SEED, STANDARD, "W", unit), make(right), wrong)


def no_slope() -> Case:
    """It is 0 for equal eigenvalues, in units of one of the two parts that cancel."""
    at, unit = check.placed(EQUAL, at_limit), 0.05

    def make(value: float) -> Callable[[Blocks], Pair]:
        return lambda _: (np.full((3, 3), value), np.full((3, 3), value))

    wrong = {"1/8 of the unit": make(unit / 8), "less than nothing": make(-unit / 8)}
    return Case(lambda p: check.mean_gradient(p, at, SEED, STANDARD, "W", unit), make(0.0), wrong)


def gradient_of_each() -> Case:
    def run(given: tuple[float, float, int]) -> Any:
        entry, eta, k = given
        of = Population(UNEQUAL.spectrum, 4, eta, k, 1)
        gradient = np.full((2, 2), entry)
        return check.gradient_of_each(lambda _: (gradient, gradient), [check.placed(of, at_limit)], SEED)

    wrong = {"1/8": (0.125, 1.0, 2), "1e-6": (1e-6, 0.3, 0), "η < 1 and k > 0": (0.0, 0.3, 2)}
    return Case(run, (0.0, 1.0, 2), wrong)


def least_loss() -> Case:
    def make(expression: sp.Expr) -> Callable[[Population], float]:
        def predict(of: Population) -> float:
            scalars = {nt.n: of.n, nt.d: len(of.spectrum), joint.rank: sum(x > 0 for x in of.spectrum)}
            return float(
                expression.subs({**scalars, nt.eta: of.eta, **joint.path_sums(of.eta, of.k), nt.k: of.k})
            )

        return predict

    least, r = joint.LEAST, joint.rank
    spread = nt.eta**2 * nt.c_k / 2
    wrong = {
        "factor": least * 9 / 8,
        "sign": -least,
        "no n": spread * (nt.d - r),
        "other sign inside": spread * (nt.d + r * nt.n / (nt.n + r + 1)),
        "n + r": spread * (nt.d - r * nt.n / (nt.n + r)),
        "n + d + 1": spread * (nt.d - r * nt.n / (nt.n + nt.d + 1)),
        "rank d": least.subs(r, nt.d),
        "r for d": least.subs(nt.d, r),
        "k + 1 for c_k": least.subs(nt.c_k, nt.k + 1),
        "η": least / nt.eta,
    }
    return Case(
        lambda p: check.least_loss(p, EQUAL, SEED),
        make(least),
        {name: make(expression) for name, expression in wrong.items()},
    )


def at_minimiser(of: Population) -> Pair:
    found = joint.joint_minimiser(of.A, of.n, of.eta, of.k)
    return found.V, found.W


def _moved(right: Callable[[Population], Pair]) -> dict[str, Callable[[Population], Pair]]:
    return {
        "Ṽ by a quarter": lambda of: (right(of)[0] * 1.25, right(of)[1]),
        "W̃ by a quarter": lambda of: (right(of)[0], right(of)[1] * 1.25),
        "sign of Ṽ": lambda of: (-right(of)[0], right(of)[1]),
        "sign of W̃": lambda of: (right(of)[0], -right(of)[1]),
        "swapped": lambda of: right(of)[::-1],
        "n + 2": lambda of: right(Population(of.spectrum, of.n + 2, of.eta, of.k, of.basis)),
        "1 − η": lambda of: right(Population(of.spectrum, of.n, 1 - of.eta, of.k, of.basis)),
        "in another basis": lambda of: right(Population(of.spectrum, of.n, of.eta, of.k, of.basis + 1)),
    }


def minimiser() -> Case:
    wrong = _moved(at_minimiser)
    wrong["(Ṽ_∞, I)"] = at_limit
    wrong["k + 1"] = lambda of: at_minimiser(Population(of.spectrum, of.n, of.eta, of.k + 1, of.basis))
    return Case(lambda goal: check.minimiser(goal, UNEQUAL, SEED), at_minimiser, wrong)


def minimiser_at_limit() -> Case:
    return Case(lambda goal: check.minimiser(goal, EQUAL, SEED), at_limit, _moved(at_limit))


def minimiser_bound() -> Case:
    right = joint_population(at_limit)

    def run(given: tuple[float, check.Claim]) -> Any:
        of = Population((0.5, 3.0), 3, 1.0, 1, 1)
        return check.minimiser(at_limit, of, SEED, lambda of: given[0] * right(of), given[1])

    wrong = {"above it": (9 / 8, operator.ge), "turned round": (0.875, operator.le)}
    return Case(run, (0.875, operator.ge), wrong)


def limit_in_length() -> Case:
    """Of the wrong limits those that are off by more than twice δ."""
    scalars = {nt.eta: LONG.eta, **joint.path_sums(LONG.eta, LONG.k)}
    formulas = [lower_matrix(e) for e in (joint.FIRST_V, joint.FIRST_W)]
    right = [np.asarray(evaluate(e, {A: LONG.A}, scalars)) for e in formulas]
    wrong = {}
    for which in (0, 1):
        found = mutants(formulas[which], sp.Rational(3, 2), {s: x for s, x in SUMS.items() if s != nt.n})
        for name, mutant in found.items():
            pair = [*right]
            pair[which] = np.asarray(evaluate(mutant, {A: LONG.A}, scalars))
            if np.linalg.norm(pair[which] - right[which]) > 2e-3 * np.linalg.norm(right[which]):
                wrong[f"{'VW'[which]}: {name}"] = lambda _, pair=pair: (pair[0], pair[1])
            else:
                assert "other sign" not in name
    return Case(
        lambda p: check.limit_in_length(p, LONG),
        lambda _: (right[0], right[1]),
        wrong,
    )


PLAN: Plan = {
    "joint.mean_loss": (mean_loss,),
    "joint.mean_gradient": (lambda: _gradient(0), lambda: _gradient(1), slope, no_slope),
    "joint.gradient_of_each": (gradient_of_each,),
    "joint.least_loss": (least_loss,),
    "joint.minimiser": (minimiser, minimiser_at_limit, minimiser_bound),
    "joint.limit_in_length": (limit_in_length,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
