"""Wrong predictions of the k-step risk, of its gradient, and of where outcome supervision ends.

Sampled at the ``quick`` profile, whose tolerance is 12 % of the risk and 20 % of the gradient: a mutant that
is off by less than twice that is not planted there.  For the risk such a mutant is held against exact moments
instead, which have no tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import BY_LENGTH, Case, Plan, mutants, unnoticed
from numpy.typing import NDArray

from theory import exact, kstep, os_limits
from theory import notation as nt
from theory.kstep import SIGMA, V, W
from theory.kstep_value import k_step_gradient, k_step_risk
from theory.os_fixed_point import one_step_fixed_point, os_fixed_point, os_minimiser
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix, Scalar, identity, letter
from verify.checks import kstep as check
from verify.checks import os_limits as ends
from verify.checks.points import block, covariance, exact_array, rational
from verify.profiles import PROFILES

Array = NDArray[np.float64]
SEED = 20260305
GRADIENT_SEED = 1  # here the gradients at k = 1, 2, 3, at V and at Vᵀ, are all far apart
QUICK, STANDARD = PROFILES["quick"], PROFILES["standard"]
BY_N = {"factor": BY_LENGTH, "scalars": {nt.n: nt.n + 1}}


def at_chain(expression: Scalar | Matrix) -> Callable[[check.Chain], Any]:
    """An expression in Ṽ, W̃, Σ and n as a prediction."""
    return lambda c: evaluate(expression, {V: c.V, W: c.W, SIGMA: c.Sigma}, {nt.n: c.n})


def far(of: Scalar | Matrix, wrong: Mapping[str, Any], at: list[check.Chain], delta: float) -> set[str]:
    """The mutants that are off by more than twice the tolerance, in an entry at one of the chains."""
    right = [np.asarray(at_chain(of)(chain)) for chain in at]

    def off(mutant: Any) -> float:
        now = [np.asarray(at_chain(mutant)(chain)) for chain in at]
        return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(now, right, strict=True))

    return {name for name, mutant in wrong.items() if off(mutant) > 2 * delta * QUICK.delta_factor}


# The risk -------------------------------------------------------------------------------------------


def chains(k: int, with_W: bool) -> list[check.Chain]:
    """Prompts shorter than those of the evidence, n = 2 and 4 at d = 3: there more terms count."""
    found = []
    for j, (n, rank) in enumerate(((2, None), (4, 2))):
        Sigma = covariance(3, SEED + 50 + j, rank)
        block_V = -0.4 * np.linalg.inv(Sigma + 0.3 * np.eye(3)) + block(3, SEED + j, 0.12)
        block_W = np.eye(3) + (block(3, SEED + 9 + j, 0.5) if with_W else 0.0)
        found.append(check.Chain(block_V, block_W, Sigma, n, k))
    return found


@cache
def planted(k: int, with_W: bool) -> tuple[Scalar, dict[str, Scalar], dict[str, Scalar]]:
    """The risk, its mutants that are far off, and the others; factors of words are edited at k = 1 alone."""
    right = kstep.k_step_risk_expr(k, with_W)
    wrong = mutants(right, words=k == 1, **BY_N)
    names = far(right, wrong, chains(k, with_W), 3e-2)
    return right, {name: wrong[name] for name in names}, {n: m for n, m in wrong.items() if n not in names}


def _risk(k: int, with_W: bool) -> Case:
    right, wrong, _ = planted(k, with_W)
    assert len(wrong) > 20
    wrong = wrong | {
        "k + 1": kstep.k_step_risk_expr(k + 1, with_W),
        "Vᵀ": right.subs({V: letter(V).T}),
        "n = ∞": right.subs({nt.n: 10**9}),
    }
    if k > 1:
        wrong |= {"k − 1": kstep.k_step_risk_expr(k - 1, with_W)}
    if with_W:
        wrong |= {"W = I": right.subs({W: identity(nt.d)}), "Wᵀ": right.subs({W: letter(W).T})}
        wrong |= {"W²": right.subs({W: letter(W).power(2)})}
    at = chains(k, with_W)
    return Case(
        lambda p: check.risk(p, at, SEED, QUICK),
        at_chain(right),
        {name: at_chain(mutant) for name, mutant in wrong.items()},
    )


def wide_risk() -> Case:
    """By the recursion, d = 50."""
    at = check.wide(SEED, 2)

    def value(k: int = 2, change: Callable[[check.Chain], check.Chain] = lambda c: c) -> Any:
        return lambda chain: k_step_risk(change(chain).V, change(chain).Sigma, change(chain).n, k)

    wrong = {
        "k − 1": value(1),
        "k + 1": value(3),
        "n + 1": value(2, lambda c: replace(c, n=c.n + 1)),
        "n = ∞": value(2, lambda c: replace(c, n=10**9)),
        # Not Vᵀ: what of V is skew changes the risk by less than 1 % here.
        "sign": value(2, lambda c: replace(c, V=-c.V)),
        "diagonal Σ": value(2, lambda c: replace(c, Sigma=np.diag(np.diagonal(c.Sigma)))),
        "factor": lambda chain: value()(chain) * 9 / 8,
    }
    return Case(lambda p: check.risk(p, [at], SEED, QUICK, 2e-2), value(), wrong)


def squared_miss(block: sp.Matrix, other: sp.Matrix, k: int) -> Callable[[sp.Matrix], sp.Expr]:
    """‖·‖_F² of w* ↦ ŵ_k − w*, k steps of (A.1)."""

    def function(S: sp.Matrix) -> sp.Expr:
        reached = sp.zeros(2)
        for _ in range(k):
            reached = (reached + block * S * (other * reached - sp.eye(2))).applyfunc(sp.expand)
        return exact.frobenius_squared(sp.eye(2) - reached)

    return function


BLOCK, ROOT, OTHER = (rational(2, 2, key) for key in ("kV222", "kL222", "kW222"))
AT = {V: exact_array(BLOCK), W: exact_array(OTHER), SIGMA: exact_array(ROOT * ROOT.T)}


@pytest.mark.parametrize(("k", "with_W"), [(1, False), (2, False), (2, True)])
def test_small_mutants_are_seen_by_exact_moments(k: int, with_W: bool) -> None:
    """Those that sampling is not asked to tell apart, in rationals at d = n = 2."""
    right, _, small = planted(k, with_W)
    other = OTHER if with_W else sp.eye(2)
    direct = exact.mean_over_prompts(squared_miss(BLOCK, other, k), ROOT, 2)
    assert evaluate(right, AT, {nt.n: 2}) == direct
    assert small
    assert {name for name, mutant in small.items() if evaluate(mutant, AT, {nt.n: 2}) == direct} == set()


# Its gradient ---------------------------------------------------------------------------------------


@cache
def planted_gradient(k: int) -> tuple[Matrix, dict[str, Matrix], dict[str, Matrix]]:
    """As :func:`planted`, at the chain that the check draws."""
    right, at = kstep.k_step_gradient_expr(k), []

    def noted(chain: check.Chain) -> Array:
        at.append(chain)
        return np.asarray(at_chain(right)(chain))

    check.gradient(noted, GRADIENT_SEED, replace(QUICK, delta_factor=1e3), k)
    wrong = mutants(right, words=k == 1, **BY_N)
    if k > 1:  # of its 370 mutants, at ten milliseconds each, every fourth
        wrong = dict(list(wrong.items())[::4])
    names = far(right, wrong, at, 5e-2)
    return right, {name: wrong[name] for name in names}, {n: m for n, m in wrong.items() if n not in names}


def _gradient(k: int) -> Case:
    right, wrong, _ = planted_gradient(k)
    assert len(wrong) > 15
    wrong = wrong | {
        "transposed": right.T,
        "of L_OS": right * sp.Rational(1, 2),
        "at Vᵀ": right.subs({V: letter(V).T}),
        "ascent": right * -1,
    }
    others = {
        f"k = {j}": lambda c, j=j: k_step_gradient(c.V, c.Sigma, c.n, j)[1] for j in (1, 2, 3) if j != k
    }
    return Case(
        lambda p: check.gradient(p, GRADIENT_SEED, QUICK, k),
        at_chain(right),
        {name: at_chain(mutant) for name, mutant in wrong.items()} | others,
    )


@pytest.mark.parametrize(("k", "size"), [(1, 2), (2, 1)])
def test_small_mutants_of_the_gradient_are_seen_by_exact_moments(k: int, size: int) -> None:
    """Against the derivative of the exact risk along a generic line."""
    right, _, small = planted_gradient(k)
    step, t = rational(2, 2, "gS2"), sp.Symbol("t")
    risk = exact.mean_over_prompts(squared_miss(BLOCK + t * step, sp.eye(2), k), ROOT, size)
    slope = sp.diff(risk, t).subs(t, 0)

    def equal(expression: Matrix) -> bool:
        return bool((evaluate(expression, AT, {nt.n: size}) * exact_array(step)).sum() == slope)

    assert equal(right)
    assert small
    assert {name for name, mutant in small.items() if equal(mutant)} == set()


# Without sampling ------------------------------------------------------------------------------------


def at_nodes() -> Case:
    right, at = kstep.k_step_risk_expr(2, with_W=True), check.small(SEED, True, 2)
    wrong = {"factor": right * sp.Rational(9, 8), "n + 1": right.subs({nt.n: nt.n + 1})}
    wrong |= {"Vᵀ": right.subs({V: letter(V).T}), "W = I": right.subs({W: identity(nt.d)})}
    wrong |= {"1/n³ left out": right.map_coefficients(lambda c: c - sp.expand(c).coeff(nt.n, -3) / nt.n**3)}
    wrong |= {"k = 1": kstep.k_step_risk_expr(1, with_W=True)}
    predictions = {name: at_chain(mutant) for name, mutant in wrong.items()}
    return Case(lambda p: check.risk_at_nodes(p, at), at_chain(right), predictions)


def gradient_at_nodes() -> Case:
    right, at = kstep.k_step_gradient_expr(1), check.small(SEED, False, 1)
    wrong = {name: at_chain(mutant) for name, mutant in mutants(right, **BY_N).items()}
    return Case(lambda p: check.gradient_at_nodes(p, at), at_chain(right), wrong)


# Where training ends --------------------------------------------------------------------------------

SIZE = 5000  # prompts a draw, as the evidence has


def upper(V: Array) -> Array:
    return V.T if V[0, 1] < V[1, 0] else V


def trained_one_step() -> Case:
    """A with eigenvalues 0.8 and 2, k = 1."""
    right: ends.Goal = lambda A, n, k: one_step_fixed_point(A, n)  # noqa: E731
    wrong: dict[str, ends.Goal] = {
        "factor": lambda A, n, k: right(A, n, k) * 9 / 8,
        "sign": lambda A, n, k: -right(A, n, k),
        "n + 2": lambda A, n, k: one_step_fixed_point(A, n + 2),
        "n = ∞": lambda A, n, k: -np.linalg.inv(A),
        "supervised, η = 1/2": lambda A, n, k: one_step_fixed_point(A, n, 0.5),
        "tr A left out": lambda A, n, k: -np.linalg.inv((n + 1) / n * A),
        "n for n + 1": lambda A, n, k: -np.linalg.inv(A + np.trace(A) / n * np.eye(2)),
        "not inverted": lambda A, n, k: -((n + 1) / n * A + np.trace(A) / n * np.eye(2)),
        "of two steps": lambda A, n, k: os_fixed_point(A, n, 2).V,
        "isotropic": lambda A, n, k: -os_limits.isotropic_fixed_point(1, 2, n) * np.eye(2) * 2 / np.trace(A),
        "A's eigenvalues exchanged": lambda A, n, k: one_step_fixed_point(np.trace(A) * np.eye(2) - A, n),
    }
    return Case(lambda p: ends.trained(p, "dense", 6, 1, SEED, STANDARD, SIZE), right, wrong)


def trained_isotropic() -> Case:
    """k = 2, n = 6: a minimum there."""

    def goal(steps: int = 2, dim: int = 2, more: int = 0, factor: float = 1.0) -> ends.Goal:
        found = lambda n: os_limits.isotropic_fixed_point(steps, dim, n + more)  # noqa: E731
        return lambda A, n, k: -factor * found(n) * np.eye(2)

    wrong = {
        "factor": goal(factor=9 / 8),
        "sign": goal(factor=-1.0),
        "of one step": goal(1),
        "of three steps": goal(3),
        "n + 2": goal(more=2),
        "d = 1": goal(dim=1),
        "d = 3": goal(dim=3),
        "supervised, η = 1/2": lambda A, n, k: one_step_fixed_point(A, n, 0.5),
        "n = ∞": lambda A, n, k: -np.linalg.inv(A),
        "one eigenvalue": lambda A, n, k: goal()(A, n, k) * np.diag([1.0, 0.9]),
        "turned": lambda A, n, k: goal()(A, n, k) + 0.1 * np.array([[0.0, 1.0], [-1.0, 0.0]]),
    }
    return Case(lambda p: ends.trained(p, "isotropic", 6, 2, SEED, STANDARD, SIZE), goal(), wrong)


def trained_turned() -> Case:
    """k = 2, n = 60, where the isotropic point is a saddle."""

    @cache
    def lowest(n: int, k: int = 2) -> Array:
        return upper(os_minimiser(np.eye(2), n, k).V)

    right: ends.Goal = lambda A, n, k: lowest(n)  # noqa: E731
    wrong: dict[str, ends.Goal] = {
        "isotropic": lambda A, n, k: os_fixed_point(A, n, 2).V,
        "turned the other way": lambda A, n, k: lowest(n).T,
        "half as far": lambda A, n, k: (3 * lowest(n) + lowest(n).T) / 4,
        "symmetric": lambda A, n, k: lowest(n) + np.array([[1.0, 2], [2, 1]]) * abs(lowest(n)[0, 1]),
        "of three steps": lambda A, n, k: lowest(n, 3),
        "of one step": lambda A, n, k: one_step_fixed_point(A, n),
        "at n/2": lambda A, n, k: lowest(n // 2),
        "factor": lambda A, n, k: lowest(n) * 9 / 8,
        "supervised, η = 1/2": lambda A, n, k: one_step_fixed_point(A, n, 0.5),
    }
    return Case(lambda p: ends.trained(p, "isotropic", 60, 2, SEED, STANDARD, SIZE), right, wrong)


def many_steps() -> Case:
    y, right = float(os_limits.ratio), os_limits.many_steps

    def limit(n: int, k: int) -> float:
        return n * y / 4

    wrong: dict[str, Callable[[int, int], float]] = {
        "the limit alone": limit,
        "correction with the other sign": lambda n, k: 2 * limit(n, k) - right(n, k),
        "half the correction": lambda n, k: (limit(n, k) + right(n, k)) / 2,
        "log k left out": lambda n, k: right(n, k) + _rate(n, k, (n + 1) / 2),
        "(n/2) log k": lambda n, k: right(n, k) + _rate(n, k, 0.5),
        "factor": lambda n, k: right(n, k) * 9 / 8,
        "y = e": lambda n, k: right(n, k) + n * (np.e - y) / 4,
        "y = 4": lambda n, k: right(n, k) + n * (4 - y) / 4,
        "n y/2": lambda n, k: right(n, k) + limit(n, k),
        "n + 1": lambda n, k: right(n + 1, k),
        "of k steps for 2k": lambda n, k: right(n, 2 * k),
    }
    return Case(ends.many_steps, right, wrong)


def _rate(n: int, k: int, power: float) -> float:
    """What k^power in the tail moves k c_k by."""
    y = float(os_limits.ratio)
    return power * float(np.log(k)) / (k * 8 * (1 + y) / (n * y**2))


def _correction(steps: int, factor: float = 1.0) -> Callable[[int], float]:
    found = os_limits.large_length_correction(steps)
    return lambda dim: factor * float(found.subs(nt.d, dim))


def _corrections(k: int) -> dict[str, Callable[[int], float]]:
    wrong = {f"x_{j}": _correction(j) for j in (1, 2, 3) if j != k}
    wrong |= {"factor": _correction(k, 9 / 8), "sign": _correction(k, -1.0)}
    wrong |= {"d + 1": lambda dim: _correction(k)(dim + 1), "half": lambda dim: _correction(k)(dim) / 2}
    return wrong


def _long_prompts(k: int) -> Case:
    return Case(lambda p: ends.long_prompts(p, k), _correction(k), _corrections(k))


def long_prompts_sampled() -> Case:
    # The tolerance is 20 %, and the interval 12 %.
    wrong = {"factor": _correction(2, 2.0), "sign": _correction(2, -1.0), "half": _correction(2, 0.5)}
    return Case(lambda p: ends.long_prompts_sampled(p, 2, SEED, STANDARD), _correction(2), wrong)


PLAN: Plan = {
    "kstep.risk": (partial(_risk, 1, False), partial(_risk, 2, False), partial(_risk, 2, True), wide_risk),
    "kstep.gradient": (partial(_gradient, 1), partial(_gradient, 2)),
    "kstep.risk_at_nodes": (at_nodes,),
    "kstep.gradient_at_nodes": (gradient_at_nodes,),
    "os_limits.trained": (trained_one_step, trained_isotropic, trained_turned),
    "os_limits.many_steps": (many_steps,),
    "os_limits.long_prompts": tuple(partial(_long_prompts, k) for k in (1, 2, 3)),
    "os_limits.long_prompts_sampled": (long_prompts_sampled,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
