"""The checks of outcome supervision on finitely many prompts call wrong predictions wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import sympy as sp
import torch
from mutations import Case, Plan, unnoticed

from numerics.sft import sft_minimiser
from theory import notation as nt
from theory import os_finite
from theory.kstep import c
from theory.os_limits import isotropic_fixed_point
from verify.checks import os_finite as check
from verify.checks.os_finite import Trained
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260306
Goal = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def minimiser(eta: float = 1.0, start: float = 1.0, turned: bool = False) -> Goal:
    """(4.1), with another rate, from another start, or transposed."""

    def goal(Omega: torch.Tensor, Phi: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
        found = sft_minimiser(Omega, Phi, inverse * start, eta)
        return found.mT if turned else found

    return goal


def ends() -> Case:
    wrong = {
        "η = 0.99": minimiser(0.99),
        "other start": minimiser(start=1.01),
        "transposed": minimiser(turned=True),
    }
    return Case(lambda p: check.ends(p, SEED), minimiser(), wrong)


def zero_loss() -> Case:
    wrong = {"η = 0.999": minimiser(0.999), "transposed": minimiser(turned=True)}
    return Case(lambda p: check.zero_loss(p, SEED), minimiser(), wrong)


def other_minimum() -> Case:
    """At k = 2 it is another, at k = 1 it cannot be."""
    return Case(lambda p: check.other_minimum(p, 2, SEED), True, {"interpolating": False})


def same_minimum() -> Case:
    return Case(lambda p: check.other_minimum(p, 1, SEED), False, {"another": True})


def trend() -> Case:
    places = [Trained(2, 15, t) for t in (0, 20, 400)]
    wrong = {"up first": (1, 1), "down for ever": (-1, -1), "the other way": (1, -1)}
    return Case(lambda p: check.trend(p, places, SEED, STANDARD), (-1, 1), wrong)


def trend_in_length() -> Case:
    places = [Trained(2, 15, 5, n, 0.5) for n in (100, 200)]
    return Case(lambda p: check.trend(p, places, SEED, STANDARD), (1,), {"falls": (-1,)})


def excess_one_step() -> Case:
    printed = os_finite.ONE_STEP_RATE

    def goal(of: sp.Expr) -> Callable[[int, int], float]:
        return lambda d, n: float(of.subs({nt.d: d, nt.n: n}))

    wrong = {
        "factor": printed * sp.Rational(5, 4),
        "half, as of the loss": printed / 2,
        "n + d": printed.subs(nt.n, nt.n - 1),
        "power 2": printed * (nt.d + nt.n + 1),
        "noise alone": printed * nt.d / (nt.d + 2),
        "one d less": printed.subs(nt.d, nt.d - 1),
    }
    kept = {name: goal(one) for name, one in wrong.items() if _far(one, printed)}
    assert len(kept) >= 4
    return Case(lambda p: check.excess_one_step(p, 3, 12, SEED, STANDARD), goal(printed), kept)


def _far(one: sp.Expr, right: sp.Expr) -> bool:
    """Off by more than twice the tolerance, 15 %."""
    at = {nt.d: 3, nt.n: 12}
    return bool(abs(one.subs(at) / right.subs(at) - 1) > 0.3)


def excess_scalar() -> Case:
    def goal(factor: float = 1.0, more: int = 0, length: int = 1) -> Callable[[int, int], float]:
        def value(n: int, k: int) -> float:
            n, k = n * length, k + more
            rate = os_finite.scalar_rate(k).subs(nt.n, n)
            return factor * float(rate.subs(c, sp.Float(isotropic_fixed_point(k, 1, n), 17)))

        return value

    wrong = {
        "a third, without the fourth moment of w*": goal(1 / 3),
        "three halves": goal(1.5),
        "k − 1": goal(more=-1),
        "2n": goal(length=2),
    }
    return Case(lambda p: check.excess_scalar(p, 100, 2, SEED, STANDARD), goal(), wrong)


def prompts_to_floor() -> Case:
    right = lambda k: float(os_finite.prompts_to_floor(k))  # noqa: E731
    wrong = {
        "factor": lambda k: right(k) * 9 / 8,
        "k + 1": lambda k: right(k + 1),
        "4^k": lambda k: 4.0**k,
        "without the fourth moment of w*": lambda k: right(k) / 3,
    }
    return Case(lambda p: check.prompts_to_floor(p, 3), right, wrong)


def one_step_loss() -> Case:
    def right(V: np.ndarray, Omega: np.ndarray, Phi: np.ndarray) -> float:
        return float(((Omega + V @ Phi) ** 2).sum() / (2 * Phi.shape[1]))

    wrong = {
        "a bit": lambda V, Omega, Phi: right(V, Omega, Phi) * (1 + 1e-9),
        "sign": lambda V, Omega, Phi: right(-V, Omega, Phi),
        "Vᵀ": lambda V, Omega, Phi: right(V.T, Omega, Phi),
        "exchanged": lambda V, Omega, Phi: right(V, Phi, Omega),
        "not halved": lambda V, Omega, Phi: 2 * right(V, Omega, Phi),
    }
    return Case(lambda p: check.one_step_loss(p, SEED), right, wrong)


def losses_and_miss() -> Case:
    """S = I, w* = e_1 and a nilpotent M."""
    X, w, V = 2**0.5 * np.eye(2), np.array([1.0, 0.0]), np.array([[-1.0, 0.0], [1.0, -1.0]])
    wrong = {"loss": lambda *_: (1e-6, True), "solved in one step": lambda *_: (0.0, False)}
    return Case(lambda p: check.losses_and_miss(p, X, w, V), lambda *_: (0.0, True), wrong)


PLAN: Plan = {
    "os_finite.one_step_loss": (one_step_loss,),
    "os_finite.losses_and_miss": (losses_and_miss,),
    "os_finite.ends": (ends,),
    "os_finite.zero_loss": (zero_loss,),
    "os_finite.other_minimum": (other_minimum, same_minimum),
    "os_finite.trend": (trend, trend_in_length),
    "os_finite.excess_one_step": (excess_one_step,),
    "os_finite.excess_scalar": (excess_scalar,),
    "os_finite.prompts_to_floor": (prompts_to_floor,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_too_few_runs_decide_nothing() -> None:
    with patch.object(check, "LEAST_RUNS", check.RUNS + 1):
        assert check.other_minimum(True, 1, SEED).outcome == "undecided"


def test_a_change_within_the_scatter_is_undecided() -> None:
    places = [Trained(2, 15, 20), Trained(2, 16, 20)]
    assert check.trend((-1,), places, SEED, replace(STANDARD, family=5e-10)).outcome == "undecided"
