"""Wrong predictions of the losses, their residuals and gradients, one for every term and factor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from mutations import Case, Plan, of_words, unnoticed
from numpy.typing import NDArray
from test_planted_identities import Predict, against, at_k, columns, star

from theory import descent, model, outcome
from theory import notation as nt
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix, Scalar
from verify.checks import descent as descent_check
from verify.checks import model as check
from verify.checks.points import Point, SquaredPoint, TaughtPoint
from verify.predictions import OMEGA, PHI, V, of_prompts

Array = NDArray[np.float64]
RESIDUAL = model.residual()[1]
ON_PATH = {nt.rho_cot: 1 - nt.rho_cot, nt.i: nt.i + 1}


def on_path(expression: Matrix) -> Predict:
    return of_prompts(expression, steps=lambda p: p.k + 1)


def supervised_residuals() -> Case:
    def make(expression: Matrix) -> Predict:
        return lambda p: columns(on_path(expression)(p), constant=0.0)

    case = of_words(against(check.supervised_residuals), make, RESIDUAL, scalars=ON_PATH)
    output = {"the output": lambda p: columns(on_path(RESIDUAL)(p))}  # 1 in the constant row
    return Case(case.check, case.right, {**case.wrong, **output})


def step_errors() -> Case:
    def make(expression: Matrix) -> Predict:
        return lambda p: (on_path(expression)(p) ** 2).sum(-1)

    at = against(check.step_errors, kind=TaughtPoint)
    return of_words(at, make, RESIDUAL, scalars=ON_PATH, words=False)


def supervised_loss() -> Case:
    def make(expression: Matrix, fewer: int = 0, share: float = 0.5) -> Predict:
        def predict(point: Point) -> Array:
            per_step = (on_path(expression)(point) ** 2).sum((0, -1)) * share / point.prompts.size
            return np.array([per_step[: point.k + 1 - fewer].sum()])

        return predict

    at = against(check.supervised_loss, kind=TaughtPoint)
    case = of_words(at, make, RESIDUAL, scalars=ON_PATH, words=False)
    more = {"k terms": make(RESIDUAL, fewer=1), "1/B": make(RESIDUAL, share=1.0)}
    return Case(case.check, case.right, {**case.wrong, **more})


def _outcome(measure: Predict, with_W: bool) -> Case:
    def make(miss: Callable[[int], Matrix], share: float = 0.5) -> Predict:
        return lambda p: np.array([(of_prompts(miss(p.k) @ star)(p) ** 2).sum() * share / p.prompts.size])

    def printed(k: int) -> Matrix:
        return outcome.printed(k, with_W)

    wrong = {name: make(family) for name, family in at_k(printed).items()}
    wrong["W̃ for I" if with_W else "I for W̃"] = make(lambda k: outcome.printed(k, not with_W))
    wrong["1/B"] = make(printed, 1.0)
    return Case(against(measure, 1, SquaredPoint), make(printed), wrong)


def outcome_loss() -> Case:
    return _outcome(check.outcome_loss, True)


def outcome_loss_at_identity() -> Case:
    return _outcome(check.outcome_loss_at_identity, False)


def supervised_path() -> Case:
    def make(expression: Matrix) -> Predict:
        return of_prompts(expression, steps=lambda p: p.k + 2)

    return of_words(against(check.supervised_path), make, star * (1 - nt.rho_cot**nt.i), scalars=ON_PATH)


def _at_identity(expression: Matrix | Scalar) -> Predict:
    """An expression in Ṽ, Φ, Ω, η, c_k and B."""

    def predict(point: Point) -> Array:
        c_k = sum((1 - point.eta) ** (2 * i) for i in range(point.k + 1))
        values = {V: point.V, PHI: np.einsum("bij,bj->ib", point.S, point.w_star), OMEGA: point.w_star.T}
        return np.atleast_1d(evaluate(expression, values, {nt.eta: point.eta, nt.c_k: c_k}))

    return predict


# c_{k+1} = 1 + (1−η)² c_k is put in the place of c_k.
RESTRICTED = {nt.c_k: 1 + nt.c_k * (1 - nt.eta) ** 2, nt.eta: 1 - nt.eta, nt.B: nt.B + 1}


def gradient_at_identity() -> Case:
    at = against(descent_check.gradient_at_identity, kind=TaughtPoint)
    return of_words(at, _at_identity, descent.restricted_gradient()[1], scalars=RESTRICTED)


def loss_at_identity() -> Case:
    at = against(descent_check.loss_at_identity, kind=TaughtPoint)
    return of_words(at, _at_identity, descent.restricted_loss(), scalars=RESTRICTED)


PLAN: Plan = {
    "model.supervised_residuals": (supervised_residuals,),
    "model.step_errors": (step_errors,),
    "model.supervised_loss": (supervised_loss,),
    "model.outcome_loss": (outcome_loss,),
    "model.outcome_loss_at_identity": (outcome_loss_at_identity,),
    "model.supervised_path": (supervised_path,),
    "descent.gradient_at_identity": (gradient_at_identity,),
    "descent.loss_at_identity": (loss_at_identity,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
