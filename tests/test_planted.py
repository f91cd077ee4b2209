"""Every check is given wrong predictions and calls them wrong: none is missing from the plans.

A check that takes its prediction from a helper inside it, or compares nothing, would pass for ever;
so a function of ``verify.checks`` that returns evidence, or a quantity to compare, needs an entry here.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module

import numpy as np
import planted
import pytest
import sympy as sp
import test_planted_abstract
import test_planted_allocation
import test_planted_beyond
import test_planted_companion
import test_planted_curvature
import test_planted_equivalents
import test_planted_error_terms
import test_planted_figure_five
import test_planted_figure_four
import test_planted_figure_three
import test_planted_generated
import test_planted_identities
import test_planted_interference
import test_planted_joint
import test_planted_kstep
import test_planted_linearised
import test_planted_losses
import test_planted_nodes
import test_planted_os_finite
import test_planted_outcome_derivatives
import test_planted_policy_gradient
import test_planted_precision
import test_planted_pretraining
import test_planted_revealed
import test_planted_risk_curve
import test_planted_sampled
import test_planted_sft_limit
import test_planted_stability
import test_planted_training
from mutations import BY_LENGTH, Case, Plan, mutants, unnoticed

import verify.checks
from theory import finetuning, risk
from theory import notation as nt
from theory.lower import lower_scalar
from theory.statement import Counterexample
from theory.words.poly import letter
from verify.checks import run
from verify.checks.points import points
from verify.profiles import PROFILES


def identity() -> Case:
    """Off by one part in 10¹⁰, at one point of five, in one entry."""
    at = list(points(20260304))

    def moved(point: object) -> np.ndarray:
        V = at[3].V.copy()
        V[0, 1] *= 1 + 1e-10
        return V if point is at[3] else point.V  # type: ignore[attr-defined]

    wrong = {
        "factor": lambda p: p.V * 9 / 8,
        "sign": lambda p: -p.V,
        "transposed": lambda p: p.V.T,
        "a bit": moved,
    }
    return Case(lambda p: run.identity(lambda point: point.V, p, at, "five shapes"), lambda p: p.V, wrong)


def _sampled(limit: bool, small: float) -> Case:
    """Normal samples around (2, −1), and predictions that are wrong in both components or in one."""

    def check(prediction: np.ndarray) -> object:
        rng = np.random.default_rng(20260304)
        draw = lambda size: np.array([2.0, -1.0]) + rng.normal(size=(size, 2))  # noqa: E731
        return run.sampled(draw, prediction, 1.0, 2e-2, "planted", PROFILES["quick"], limit=limit)

    wrong = {
        "factor": [2.25, -1.125],
        "sign": [2.0, 1.0],
        "swapped": [-1.0, 2.0],
        "a bit": [2.0, -1.0 + small],
    }
    return Case(check, np.array([2.0, -1.0]), wrong)  # type: ignore[arg-type]


def exact() -> Case:
    return Case(lambda holds: run.exact(holds, "planted"), True, {"unequal": False})


def counterexample() -> Case:
    """What a statement prints at a point, against what is true there, 2."""

    def check(printed: sp.Basic) -> object:
        made = Counterexample("a point", printed, sp.Integer(2))
        return run.counterexample(replace(planted.PLAIN, counterexample=lambda: made))

    wrong = {"factor": sp.Rational(9, 4), "sign": sp.Integer(-2), "square": sp.Integer(4)}
    return Case(check, sp.Integer(2), wrong)  # type: ignore[arg-type]


RUN: Plan = {
    "run.identity": (identity,),
    # An exact value is wrong if it is off at all, a limit if it is off by more than δ = 8e-2.
    "run.sampled": (lambda: _sampled(False, 0.08), lambda: _sampled(True, 0.16)),
    "run.exact": (exact,),
    "run.counterexample": (counterexample,),
}
PLANS = {
    **RUN,
    **test_planted_abstract.PLAN,
    **test_planted_allocation.PLAN,
    **test_planted_beyond.PLAN,
    **test_planted_companion.PLAN,
    **test_planted_curvature.PLAN,
    **test_planted_equivalents.PLAN,
    **test_planted_error_terms.PLAN,
    **test_planted_figure_five.PLAN,
    **test_planted_figure_four.PLAN,
    **test_planted_figure_three.PLAN,
    **test_planted_generated.PLAN,
    **test_planted_identities.PLAN,
    **test_planted_interference.PLAN,
    **test_planted_joint.PLAN,
    **test_planted_kstep.PLAN,
    **test_planted_linearised.PLAN,
    **test_planted_losses.PLAN,
    **test_planted_nodes.PLAN,
    **test_planted_os_finite.PLAN,
    **test_planted_outcome_derivatives.PLAN,
    **test_planted_policy_gradient.PLAN,
    **test_planted_precision.PLAN,
    **test_planted_pretraining.PLAN,
    **test_planted_revealed.PLAN,
    **test_planted_risk_curve.PLAN,
    **test_planted_sampled.PLAN,
    **test_planted_sft_limit.PLAN,
    **test_planted_stability.PLAN,
    **test_planted_training.PLAN,
}


@pytest.mark.parametrize("name", RUN)
def test_planted(name: str) -> None:
    for make in RUN[name]:
        assert unnoticed(make()) == {}


def _to_be_planted() -> Iterator[str]:
    """Public functions of verify.checks that return evidence, or an array from a point alone."""
    for found in pkgutil.iter_modules(verify.checks.__path__):
        module = import_module(f"verify.checks.{found.name}")
        for name, value in vars(module).items():
            if (
                name.startswith("_")
                or not callable(value)
                or getattr(value, "__module__", "") != module.__name__
            ):
                continue
            if inspect.isclass(value):
                continue
            signature = inspect.signature(value)
            inputs = [p.annotation for p in signature.parameters.values()]
            if signature.return_annotation == "Evidence" or (
                inputs == ["Point"] and signature.return_annotation == "Array"
            ):
                yield f"{found.name}.{name}"


def test_every_check_is_planted() -> None:
    assert set(_to_be_planted()) == set(PLANS)


def test_every_term_of_the_risk_has_its_mutants() -> None:
    """d + 2 tr(ΣV) + (1 + 1/n) tr(ΣΣVᵀV) + (1/n) tr Σ tr(ΣVᵀV): five summands, by factor and by sign."""
    names = list(mutants(lower_scalar(risk.formula(nt.V)), BY_LENGTH))
    assert sum("other sign" in name for name in names) == 5
    assert sum("times" in name for name in names) == 6  # five and the whole


def test_a_mutant_is_another_polynomial() -> None:
    v, sigma = letter(nt.letter_of(nt.V)), letter(nt.letter_of(nt.Sigma))
    assert any(name.endswith(": V transposed") for name in mutants(sigma @ v))
    assert not any(name.endswith(": V transposed") for name in mutants((sigma @ v).trace()))
    fixed = finetuning.fixed_point()
    assert not any(mutant.equals(fixed) for mutant in mutants(fixed).values())
