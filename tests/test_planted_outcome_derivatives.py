"""Wrong predictions of the outcome loss's gradient and Hessian, of how they scale, and of bounds on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

from theory import notation as nt
from theory import outcome_gradient, outcome_hessian
from theory.errors import ArgumentError
from theory.notation import B, S_tau, d, j, k, tau, w_star_tau
from theory.outcome_calculus import (
    Differential,
    E,
    Given,
    Inner,
    M,
    M_tau,
    S,
    SpectralRadius,
    in_norms,
    in_words,
    value,
    w,
)
from theory.statement import registry
from verify.checks import outcome_derivatives as check
from verify.checks import run
from verify.checks.outcome_derivatives import Chain, DerivativePoint, Search
from verify.checks.points import Point, points
from verify.ledger.evidence import Evidence
from verify.outcome_derivative_settings import (
    claim,
    interpolating,
    long_prompts,
    non_normal,
    of_chain,
    of_point,
    of_tensors,
    short_prompts,
)
from verify.profiles import PROFILES

Array = NDArray[np.float64]
Predict = Callable[[Point], Array]
QUICK = PROFILES["quick"]
EIGHTH = sp.Rational(9, 8)


def against(measure: Predict) -> Callable[[Predict], Evidence]:
    """At d = 3, n = 5, k = 3 and d = 4, n = 2, k = 2: at d = 1 or k = 1 some mutants are right."""
    at = list(islice(points(20260305, 1, DerivativePoint, identity=True), 2))
    return lambda prediction: run.identity(measure, prediction, at, "two shapes")


def of(measure: Predict, right: sp.Basic, wrong: dict[str, sp.Basic]) -> Case:
    return Case(against(measure), of_point(right), {name: of_point(one) for name, one in wrong.items()})


# Gradient ------------------------------------------------------------------------------------------


def gradients(first: Any, middle: Any, last: Any, *, high: Any = k - 1, weight: Any = 1 / B) -> sp.Basic:
    """(1/B) Σ_τ Σ_j first · middle w* w*ᵀ · last S, all three powers of M or Mᵀ."""
    term = first * middle * w_star_tau * w_star_tau.T * last * S_tau
    return weight * nt.MatrixSum(nt.MatrixSum(term, j, 0, high), tau, 1, B)


T = M_tau.T
WRONG_GRADIENTS = {
    "factor": EIGHTH * outcome_gradient.PRINTED,
    "sign": -outcome_gradient.PRINTED,
    "no 1/B": gradients(T**j, M_tau**k, T ** (k - 1 - j), weight=sp.Integer(1)),
    "first not transposed": gradients(M_tau**j, M_tau**k, T ** (k - 1 - j)),
    "last not transposed": gradients(T**j, M_tau**k, M_tau ** (k - 1 - j)),
    "middle transposed": gradients(T**j, T**k, T ** (k - 1 - j)),
    "k + 1": gradients(T**j, M_tau ** (k + 1), T ** (k - 1 - j)),
    "k − 1": gradients(T**j, M_tau ** (k - 1), T ** (k - 1 - j)),
    "one more M": gradients(T**j, M_tau**k, T ** (k - j)),
    "one term less": gradients(T**j, M_tau**k, T ** (k - 1 - j), high=k - 2),
    "w* at the start alone": gradients(T**j, nt.I, T ** (k - 1 - j)),
}


def gradient() -> Case:
    return of(check.gradient, outcome_gradient.PRINTED, WRONG_GRADIENTS)


def radial() -> Case:
    right = outcome_gradient.radial()[1]
    now, before = M_tau**k * w_star_tau, M_tau ** (k - 1) * w_star_tau

    def sums(term: sp.Expr, weight: sp.Expr = k / B) -> sp.Expr:
        return weight * sp.Sum(term, (tau, 1, B))

    wrong = {
        "factor": EIGHTH * right,
        "sign": sums(nt.NormSquared(now) + Inner(now, before)),
        "no k": sums(nt.NormSquared(now) - Inner(now, before), 1 / B),
        "with M^{k−1} twice": sums(nt.NormSquared(now) - nt.NormSquared(before)),
        "first alone": sums(nt.NormSquared(now)),
    }
    return of(check.radial, right, wrong)


def over_examples() -> Case:
    return Case(
        lambda p: check.over_examples(check.gradient, p, QUICK),
        of_point(outcome_gradient.PRINTED),
        {name: of_point(one) for name, one in WRONG_GRADIENTS.items()},
    )


# Hessian -------------------------------------------------------------------------------------------


def product_rule(**parts: Any) -> sp.Basic:
    """dG of one prompt, of Σ_j A_j M^k B_j."""
    before, after = M.T**j, w * w.T * (M.T) ** (k - 1 - j) * S
    terms = {
        "a": Differential(before) * M**k * after,
        "m": before * Differential(M**k) * after,
        "b": before * M**k * Differential(after),
    }
    terms = {name: term for name, term in (terms | parts).items() if term is not None}
    return nt.MatrixSum(sp.MatAdd(*terms.values()), j, 0, k - 1)


def wrong_products() -> dict[str, sp.Basic]:
    before, after = M.T**j, w * w.T * (M.T) ** (k - 1 - j) * S
    return {
        "factor": EIGHTH * product_rule(),
        "without dA": product_rule(a=None),
        "without dB": product_rule(b=None),
        "without dM^k": product_rule(m=None),
        "what is kept alone": product_rule(a=None, b=None),
        "sign of dA": product_rule(a=-Differential(before) * M**k * after),
        "M^{k−1} in dB": product_rule(b=before * M ** (k - 1) * Differential(after)),
        "d(M^{k−1})": product_rule(m=before * Differential(M ** (k - 1)) * after),
    }


def first_prompt() -> Case:
    return of(check.first_prompt, product_rule(), wrong_products())


def averaged(formula: sp.Basic) -> Predict:
    """The mean over the prompts of a formula for one of them."""
    alone = of_point(formula)

    def predict(point: Point) -> Array:
        order = range(point.prompts.size)
        turned = [
            DerivativePoint(point.V, point.W, _prompt(point, t), point.w0, point.eta, point.k) for t in order
        ]
        return np.asarray(np.mean([alone(one) for one in turned], axis=0))

    return predict


def _prompt(point: Point, t: int) -> Any:
    prompts = point.prompts
    return type(prompts)(prompts.X[t : t + 1], prompts.w_star[t : t + 1])


def hessian_along() -> Case:
    wrong = {name: averaged(one) for name, one in wrong_products().items()}
    wrong["the first prompt's"] = of_point(product_rule())
    return Case(against(check.hessian_along), averaged(product_rule()), wrong)


DM = Differential(M)


def double_sum(first: Any, last: Any, high: Any = k - 1, change: Any = DM) -> sp.Basic:
    l = outcome_hessian.l  # noqa: E741
    term = first * M**l * change * M ** (k - 1 - l) * w * w.T * last * S
    return nt.MatrixSum(nt.MatrixSum(term, l, 0, high), j, 0, k - 1)


def gauss_newton() -> Case:
    right = outcome_hessian.DOUBLE_SUM
    wrong = {
        "factor": EIGHTH * right,
        "sign": -right,
        "first not transposed": double_sum(M**j, (M.T) ** (k - 1 - j)),
        "last not transposed": double_sum((M.T) ** j, M ** (k - 1 - j)),
        "one term less": double_sum((M.T) ** j, (M.T) ** (k - 1 - j), k - 2),
        "E for dM": double_sum((M.T) ** j, (M.T) ** (k - 1 - j), change=E),
        "the whole Hessian": product_rule(),
    }
    return of(check.gauss_newton, right, wrong)


def curvature_along() -> Case:
    right = sp.Sum(outcome_hessian.quadratic_form(M_tau, S_tau, w_star_tau), (tau, 1, B)) / B
    once = nt.MatrixSum(M_tau**j * E * S_tau * M_tau ** (k - 1 - j) * w_star_tau, j, 0, k - 1)
    kept = sp.Sum(nt.NormSquared(once), (tau, 1, B)) / B
    wrong = {
        "factor": EIGHTH * right,
        "no 1/B": B * right,
        "what is kept alone": kept,
        "half of what is dropped": (kept + right) / 2,
        "what is dropped twice": 2 * right - kept,
        "of the first prompt": outcome_hessian.quadratic_form(M, S, w),
    }
    return of(check.curvature_along, right, wrong)


def power_norms() -> Case:
    norm, squared = nt.OperatorNorm, nt.NormSquared(w) * nt.OperatorNorm(S)
    wrong = {
        "the radius": outcome_hessian.WITH_RADIUS,
        "factor": EIGHTH * outcome_hessian.WITH_NORM,
        "norms of powers": outcome_hessian.NORM_SUM,
        "2k − 1": k**2 * norm(M) ** (2 * k - 1) * squared,
        "k": k * norm(M) ** (2 * k - 2) * squared,
        "k(2k − 1)": k * (2 * k - 1) * norm(M) ** (2 * k - 2) * squared,
        "‖S‖²": outcome_hessian.WITH_NORM * norm(S),
    }
    return of(check.power_norms, outcome_hessian.WITH_NORM, wrong)


# Long chains, minima -------------------------------------------------------------------------------


def gradient_rate() -> Case:
    """ρ = 0.8, 0.6 and 1.2: the gradient is multiplied by ρ² a step, up to what k = 64 leaves over."""
    chains = [non_normal(0.8, 11), non_normal(0.6, 5, 4, 3), non_normal(1.2, 11)]

    def within(power: float, factor: float = 1.0) -> check.Claim:
        return lambda radius, rate: abs(rate / (factor * radius**power) - 1) < 0.03

    wrong: dict[str, check.Claim] = {
        "grows where stable": lambda radius, rate: not (radius < 1 and rate <= 1),
        "grows everywhere": lambda radius, rate: rate > 1,
        "shrinks everywhere": lambda radius, rate: rate < 1,
        "ρ": within(1),
        "ρ³": within(3),
        "factor": within(2, 9 / 8),
    }
    return Case(lambda p: check.gradient_rate(p, chains, 64), within(2), wrong)


@pytest.mark.parametrize("id", ["os-vanishing.a", "os-vanishing.b"])
def test_the_printed_claim_is_what_is_checked(id: str) -> None:
    """Each of its two signs turned: some chain contradicts it."""
    chains = [non_normal(0.8, 11), non_normal(1.2, 11)]
    printed = registry()[id].printed
    premise, conclusion = printed.args
    turn = {sp.StrictLessThan: sp.Gt, sp.StrictGreaterThan: sp.Lt}
    other = [turn[type(one)](*one.args, evaluate=False) for one in (premise, conclusion)]
    for parts, outcome in (
        ((premise, conclusion), "agrees"),
        ((premise, other[1]), "differs"),
        ((other[0], conclusion), "differs"),
    ):
        statement = replace(registry()[id], printed=sp.Implies(*parts, evaluate=False))
        assert check.gradient_rate(claim(statement), chains, 32).outcome == outcome


def long_chain() -> Case:
    chains = [short_prompts(17)]
    P, once = outcome_gradient.P_tau, outcome_gradient._PROJECTION
    limit = outcome_gradient.LONG_CHAIN

    def put(formula: sp.Basic, projection: sp.Basic = once) -> Callable[[Chain], Array]:
        return of_chain(formula.xreplace({P: projection}))

    wrong = {
        "factor": put(EIGHTH * limit),
        "sign": put(-limit),
        "zero": lambda chain: 1e-3 * put(limit)(chain),
        "orthogonal projection": put(limit, nt.I - S_tau * nt.Pinv(S_tau)),
        "onto the range": put(limit, nt.I - once),
        "transposed": lambda chain: put(limit)(chain).T,
        "no 1/B": put(B * limit),
    }
    return Case(lambda p: check.long_chain(p, chains, (5, 1500)), put(limit), wrong)


def _dropped(minimum: Chain, steps: int, right: float) -> Case:
    wrong = {"half": 0.5, "all": 1.0, "a little": 0.01, "1 − 1/k": 1 - 1 / steps, "nothing": 0.0}
    wrong = {name: share for name, share in wrong.items() if abs(share - right) > 5e-3}
    return Case(lambda p: check.dropped(p, minimum, steps), right, wrong)


def dropped_at_interpolation() -> Case:
    return _dropped(interpolating(3), 3, 0.0)


def dropped_at_one() -> Case:
    """d = 1: 1 − 1/k whatever the distance."""
    return _dropped(long_prompts(1), 3, 2 / 3)


# Bounds --------------------------------------------------------------------------------------------

WRONG_BOUNDS = {
    "as printed": outcome_hessian.NORM_SUM,
    "with the radius": outcome_hessian.WITH_RADIUS * nt.OperatorNorm(S),
    "k² for k(2k − 1)": outcome_hessian.WITH_NORM * nt.OperatorNorm(S),
    "a ninth less": outcome_hessian.SHARP * sp.Rational(8, 9),
    "2k − 1": outcome_hessian.SHARP * nt.OperatorNorm(M),
    "one S": outcome_hessian.SHARP / nt.OperatorNorm(S),
}


def adversarial() -> Case:
    wrong = {name: of_tensors(one) for name, one in WRONG_BOUNDS.items()}
    wrong["an eighth more"] = of_tensors(outcome_hessian.SHARP * EIGHTH)  # a bound, and not attained
    found = [Search(2, 2, 9)]
    return Case(
        lambda p: check.adversarial(p, found, attained=True), of_tensors(outcome_hessian.SHARP), wrong
    )


def adversarial_general() -> Case:
    wrong = {name: of_tensors(one) for name, one in WRONG_BOUNDS.items()}
    wrong["what is dropped halved"] = of_tensors((outcome_hessian.GENERAL + outcome_hessian.NORM_SUM) / 2)
    del wrong["2k − 1"]
    return Case(lambda p: check.adversarial(p, [Search(2, 2, 9)]), of_tensors(outcome_hessian.GENERAL), wrong)


def over_matrices() -> Case:
    wrong = {name: of_tensors(one) for name, one in WRONG_BOUNDS.items() if name != "a ninth less"}
    return Case(lambda p: check.over_matrices(p, QUICK), of_tensors(outcome_hessian.SHARP), wrong)


PLAN: Plan = {
    "outcome_derivatives.gradient": (gradient,),
    "outcome_derivatives.radial": (radial,),
    "outcome_derivatives.over_examples": (over_examples,),
    "outcome_derivatives.first_prompt": (first_prompt,),
    "outcome_derivatives.hessian_along": (hessian_along,),
    "outcome_derivatives.gauss_newton": (gauss_newton,),
    "outcome_derivatives.curvature_along": (curvature_along,),
    "outcome_derivatives.power_norms": (power_norms,),
    "outcome_derivatives.gradient_rate": (gradient_rate,),
    "outcome_derivatives.long_chain": (long_chain,),
    "outcome_derivatives.dropped": (dropped_at_interpolation, dropped_at_one),
    "outcome_derivatives.adversarial": (adversarial, adversarial_general),
    "outcome_derivatives.over_matrices": (over_matrices,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


# Formulas at values --------------------------------------------------------------------------------


def test_a_formula_names_what_it_lacks() -> None:
    at = in_words(2)
    with pytest.raises(ArgumentError, match="matrices lack Phi"):
        value(nt.Phi, at)
    with pytest.raises(ArgumentError, match="no value for"):
        value(nt.eta * nt.NormSquared(w), at)
    with pytest.raises(ArgumentError, match="power is -1"):
        value(M ** (k - 3), replace(at, inverse=None))
    with pytest.raises(ArgumentError, match="no way to take it"):
        value(SpectralRadius(M), at)
    with pytest.raises(ArgumentError, match="no way to invert it"):
        value(nt.Pinv(S), at)
    with pytest.raises(ArgumentError, match="has no value here"):
        value(nt.MatrixExpectation(S), at)
    traced = at.matrices[nt.V] * value(Inner(M, M), at)
    with pytest.raises(ArgumentError, match="inside a trace"):
        outcome_hessian.along(traced, nt.letter_of(nt.V), nt.letter_of(E))


def test_bounds_in_norms() -> None:
    m, m2, s, u, r = sp.symbols("m1 m2 s u r", positive=True)
    assert in_norms(outcome_hessian.GENERAL, 2) == sp.expand((4 * m**2 + 2 * m2) * s**2 * u)
    assert in_norms(outcome_hessian.WITH_RADIUS, 2) == 4 * r**2 * s * u
    assert in_norms(outcome_hessian.SHARP, 1) == s**2 * u


def test_differentials_follow_the_product_rule() -> None:
    one = np.eye(2)
    A, C, moved = (np.array(x, dtype=float) for x in ([[1, 2], [3, 5]], [[0, 1], [-2, 1]], [[1, 0], [4, -1]]))
    at = Given({M: A, S: C}, {d: 2}, one, exact=False, moves={M: moved})
    assert np.allclose(value(Differential(M * S * M.T), at), moved @ C @ A.T + A @ C @ moved.T)
    assert np.allclose(value(Differential(M**3), at), moved @ A @ A + A @ moved @ A + A @ A @ moved)
    assert np.allclose(value(Differential(S), at), 0)
