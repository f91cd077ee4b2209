"""Wrong predictions at the second precision: errors that float64 cannot see, and measures that are wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest
import sympy as sp
import test_planted_equivalents
import test_planted_error_terms
import test_planted_identities
import test_planted_linearised
import test_planted_sft_limit
from mutations import Case, Plan, of_words, unnoticed
from test_planted_identities import at_k, from_start, solution
from test_planted_outcome_derivatives import WRONG_GRADIENTS

from theory import finetuning, outcome_gradient
from theory import policy_gradient as pg
from theory.words.poly import Matrix
from verify import policy_gradient_predictions as predict
from verify.checks import definition as written
from verify.checks import descent, policy_gradient, precision, precision_policy, resolvent_identities
from verify.checks import model as check
from verify.checks import outcome_derivatives as derivatives
from verify.checks import precision_fits as fits
from verify.checks.definition import Lifted
from verify.checks.outcome_derivatives import DerivativePoint
from verify.checks.points import GRADIENT, HESSIAN, Point, points
from verify.ledger.evidence import Evidence
from verify.outcome_derivative_settings import of_point
from verify.predictions import of_prompts, of_targets
from verify.stats.bounded import CONTEXT, Bounded, bounded, lift
from verify.stats.precision import two_precisions

AT = precision.hard_points(20260306, 1)
DERIVED = precision.hard_points(20260306, 2, DerivativePoint, identity=True)[1:]
PAIRS = {
    "generated_columns": check.generated_columns,
    "next_weights": check.next_weights,
    "last_weight": check.last_weight,
    "queries": check.queries,
    "scores": check.scores,
    "mixing": check.mixing,
    "supervised_path": check.supervised_path,
    "supervised_residuals": check.supervised_residuals,
    "step_errors": check.step_errors,
    "supervised_loss": check.supervised_loss,
    "outcome_loss": check.outcome_loss,
    "gradient": derivatives.gradient,
    "radial": derivatives.radial,
    "first_prompt": derivatives.first_prompt,
    "gauss_newton": derivatives.gauss_newton,
    "curvature_along": derivatives.curvature_along,
    "power_norms": derivatives.power_norms,
    "supervised_gradient": descent.gradient_at_identity,
}


def relative(size: str) -> Bounded:
    """1 + size to all digits."""
    exact = 1 + CONTEXT.mpf(size)
    return Bounded(exact, float(exact))


def in_one_entry(found: np.ndarray, factor: Bounded) -> np.ndarray:
    """The last entry that is not zero moved."""
    moved = found.copy()
    at = max(i for i, x in enumerate(moved.flat) if isinstance(x, Bounded) and x.value)
    moved.flat[at] = moved.flat[at] * factor
    return moved


def at_both_precisions(name: str) -> Case:
    """The definition as its own formula, and off by 10⁻¹⁰, by 10⁻²⁵ of one entry, in sign."""
    of, measure = getattr(written, name), PAIRS[name]
    at = AT if measure.__module__ == check.__name__ else DERIVED

    def against(prediction: Callable[[Lifted], Any]) -> Evidence:
        return precision.identity(of, measure, prediction, at, sweeps=HESSIAN)

    wrong = {
        "by 1e-10": lambda p: of(p) * relative("1e-10"),
        "by 1e-25 in one entry": lambda p: in_one_entry(of(p), relative("1e-25")),
        "sign": lambda p: of(p) * -1,
    }
    return Case(against, of, wrong)


def wrong_measure() -> Case:
    """A float64 measure that is not what is defined, by 10⁻¹⁰ in one entry of one point, or at all."""

    def against(measure: Callable[[Point], Any]) -> Evidence:
        return precision.identity(written.last_weight, measure, written.last_weight, AT)

    def moved(point: Point) -> np.ndarray:
        found = check.last_weight(point).copy()
        found[0, 0] *= 1 + 1e-10 if point is AT[0] else 1.0
        return found

    wrong = {
        "by 1e-10": moved,
        "one step more": lambda p: check.last_weight(type(p)(p.V, p.W, p.prompts, p.w0, p.eta, p.k + 1)),
        "zero": lambda p: 0 * check.last_weight(p),
    }
    return Case(against, check.last_weight, wrong)


def last_weight() -> Case:
    """A.4 in words, and its terms wrong at k = 2."""

    def make(family: Callable[[int], Matrix]) -> Callable[[Point], Any]:
        return lambda p: of_prompts(family(p.k), from_start)(p)[:, 0]

    wrong = {name: make(family) for name, family in at_k(solution, words=False).items()}
    at = list(islice(points(20260306), 2))
    return Case(
        lambda p: precision.identity(written.last_weight, check.last_weight, p, at), make(solution), wrong
    )


def gradient() -> Case:
    def against(prediction: Callable[[Point], Any]) -> Evidence:
        return precision.identity(
            written.gradient, derivatives.gradient, prediction, DERIVED, sweeps=GRADIENT
        )

    wrong = {name: of_point(one) for name, one in WRONG_GRADIENTS.items()}
    return Case(against, of_point(outcome_gradient.PRINTED), wrong)


# Pseudo-inverses and resolvents -----------------------------------------------------------------------


def again(case: Case, check: Callable[[Any], Evidence], most: int = 12) -> Case:
    """A case of float64 at the second precision, with at most so many of its wrong predictions, and the right
    one off by 10⁻²⁵."""
    kept = dict(islice(case.wrong.items(), most))
    assert kept

    def off(*arguments: Any) -> Any:
        return lift(case.right(*arguments)) * relative("1e-25")

    return Case(check, case.right, {**kept, "by 1e-25": off})


def equality() -> Case:
    measure = lambda of: of.parts()[0]  # noqa: E731
    case = test_planted_linearised.equality()
    return again(case, lambda p: fits.equality(p, measure, [test_planted_linearised.NARROW], "planted"))


def term() -> Case:
    case = test_planted_error_terms.identity("eq-B.16", "T_var", 1)
    return again(case, lambda p: fits.term(p, "T_var", 20260306))


def expanded_term() -> Case:
    case = test_planted_error_terms.expansion("eq-C.32.a", "T_var")
    return again(case, lambda p: fits.term(p, "T_var", 20260306))


def decomposition() -> Case:
    return again(test_planted_sft_limit.decomposition(), lambda p: fits.decomposition(p, 20260306))


def least_norm() -> Case:
    form = finetuning.fixed_point()
    case = of_words(lambda p: fits.least_norm(p, 20260306), of_targets, form)
    return again(case, case.check, most=len(case.wrong))


def worst_of_two() -> Case:
    """One comparison that agrees, and another with the prediction's factor."""

    def against(factor: Bounded) -> Evidence:
        x = bounded(0.1)
        pairs = ((x, x), (x * x, x * x * factor))
        return precision.evidence((two_precisions([a.value], [a], [b]) for a, b in pairs), "planted")

    return Case(against, bounded(1), {"by 1e-25": relative("1e-25"), "by 9/8": bounded(9 / 8)})


def merged_layer() -> Case:
    case = test_planted_identities.merged_layer()
    off = test_planted_identities.layer(lambda K, Q, V, P: (P @ V * relative("1e-25"), K.T @ Q))
    return Case(lambda p: fits.merged_layer(p, 20260306), case.right, {**case.wrong, "by 1e-25": off})


def resolvent(name: str, case: Callable[[], Case]) -> Case:
    sides = getattr(fits, name), getattr(resolvent_identities, name)
    found = again(case(), lambda p: fits.resolvent(*sides, p, 20260306))
    # A float times a rational is a number of 15 digits to SymPy, and refused.
    exact = {"factor": sp.Rational(9, 8), "sign": sp.Integer(-1)}
    times = {key: lambda at, by=by: by * found.right(at) for key, by in exact.items()}
    return replace(found, wrong={**found.wrong, **times})


def pathwise() -> Case:
    right, scale = predict.normalised_precisely, -(pg.sigma**-2)
    at = [policy_gradient.policy(20260306, 2, 0.5, with_W=True, d=2)]
    wrong = {
        "sign": lambda one, z: right(one, z, -scale),
        "1/σ": lambda one, z: right(one, z, scale * pg.sigma),
        "1/(2σ²)": lambda one, z: right(one, z, scale / 2),
        "transposed": lambda one, z: right(one, z).T,
        "other actions": lambda one, z: right(one, z * bounded(1.01)),
        "by 1e-25": lambda one, z: right(one, z) * relative("1e-25"),
    }
    return Case(lambda p: precision_policy.pathwise(p, at, 3, 20260306), right, wrong)


FITS: Plan = {
    "precision_fits.equality": (equality,),
    "precision_fits.term": (term, expanded_term),
    "precision_fits.decomposition": (decomposition,),
    "precision_fits.least_norm": (least_norm,),
    "precision_fits.merged_layer": (merged_layer,),
    "precision_fits.resolvent": (
        partial(resolvent, "slope_of_mean", test_planted_equivalents.slope_of_mean),
        partial(resolvent, "slope_of_block", test_planted_equivalents.slope_of_block),
        partial(resolvent, "inverse_trace", test_planted_equivalents.normalisation),
    ),
}
PLAN: Plan = {
    **FITS,
    "precision.evidence": (worst_of_two,),
    "precision_policy.pathwise": (pathwise,),
    "precision.identity": (
        *(partial(at_both_precisions, name) for name in PAIRS),
        wrong_measure,
        last_weight,
        gradient,
    ),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_every_definition_is_planted() -> None:
    """All that is defined by hand and compared, by its signature."""
    found = {
        name
        for name, value in vars(written).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and value.__module__ == written.__name__
        and inspect.signature(value).return_annotation == "Numbers"
        and [p.annotation for p in inspect.signature(value).parameters.values()] == ["Lifted"]
    }
    assert found - {"weights"} == set(PAIRS)  # all of weights but the first is next_weights
