"""Eq. 3.4 and Proposition 6.1: evidence for ``theory/outcome.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from numpy.typing import NDArray

from theory import exact, outcome
from theory import notation as nt
from theory.explicit import explicit
from theory.statement import registry
from theory.words.poly import Matrix
from verify.checks import model as check
from verify.checks.points import Point, SquaredPoint, points, rational
from verify.checks.run import exact as symbolic
from verify.checks.run import identity
from verify.predictions import of_prompts
from verify.test_model import SHAPES

SMALL = ((1, 2, 4), (2, 1, 3), (2, 3, 2), (3, 2, 2))  # (d, n, k)


def loss_of(miss: Callable[[int], Matrix]) -> Callable[[Point], NDArray[np.float64]]:
    """(1/2B) Σ ‖miss(k) w*‖² at a point, ``miss``(k) a d × d expression in Ṽ, W̃, S."""

    def predict(point: Point):
        star: Matrix = outcome.letter(nt.letter_of(nt.w_star))
        return np.array([(of_prompts(miss(point.k) @ star)(point) ** 2).sum() / (2 * point.prompts.size)])

    return predict


def _exact_loss(id, with_W):
    """L_OS from the full model's own chain against the printed form, in rationals."""
    for d, n, k in SMALL:
        V, X, w = rational(d, d, f"ov{d}{n}"), rational(d, n, f"ox{d}{n}"), rational(d, 1, f"ow{d}{n}")
        W = rational(d, d, f"oW{d}{n}") if with_W else sp.eye(d)
        reached = exact.chain(*exact.assemble(V, W), X, w, k)[-1][d + 1 : -1, 0]
        S = exact.covariance(X)
        (norm,) = registry()[id].printed.rhs.atoms(nt.NormSquared)
        given = {nt.V: V, nt.W: W, nt.S_tau: S, nt.w_star_tau: w}
        miss = explicit(norm.args[0], given, {nt.k: k, nt.d: d})
        if exact.frobenius_squared(reached - w) != exact.frobenius_squared(miss):
            return False
    return True


@pytest.mark.statements("eq-3.4")
def test_outcome_loss(ledger, seed):
    """The loss of the full model, against the recursion run k times."""
    holds = True
    for d, n, k in SMALL:
        V, W, X, w = (
            rational(d, d, f"V{k}"),
            rational(d, d, f"W{k}"),
            rational(d, n, f"X{k}"),
            rational(d, 1, f"w{k}"),
        )
        now = sp.zeros(d, 1)
        for _ in range(k):
            now = now + V * exact.covariance(X) * (W * now - w)
        reached = exact.chain(*exact.assemble(V, W), X, w, k)[-1][d + 1 : -1, 0]
        holds = holds and (reached - w).applyfunc(sp.expand) == (now - w).applyfunc(sp.expand)
    ledger.record("eq-3.4", symbolic(holds, "full forward pass against A.1, rationals, d ≤ 3, k ≤ 4"))

    def prediction(point: Point):
        total = 0.0
        for S, star in zip(point.S, point.w_star, strict=True):
            now = np.zeros(point.d)
            for _ in range(point.k):
                now = now + point.V @ S @ (point.W @ now - star)
            total += float(((now - star) ** 2).sum())
        return np.array([total / (2 * point.prompts.size)])

    ledger.record(
        "eq-3.4", identity(check.outcome_loss, prediction, points(seed("os loss"), 1, SquaredPoint), SHAPES)
    )


@pytest.mark.statements("prop-6.1.a", "prop-6.1.b")
@pytest.mark.parametrize(("id", "with_W"), [("prop-6.1.a", True), ("prop-6.1.b", False)])
def test_closed_form(ledger, seed, id, with_W):
    by_step, printed = outcome.induction(with_W)
    ledger.record(id, symbolic(by_step.equals(printed), "induction on k, general d, n, k", kind="derivation"))
    words = all(outcome.unrolled(k, with_W).equals(outcome.printed(k, with_W)) for k in range(1, 6))
    ledger.record(id, symbolic(words, "words expanded, general d, k = 1 … 5", kind="derivation"))
    ledger.record(id, symbolic(_exact_loss(id, with_W), "full forward pass, rationals, d ≤ 3, k ≤ 4"))
    measure = check.outcome_loss if with_W else check.outcome_loss_at_identity
    prediction = loss_of(lambda k: outcome.printed(k, with_W))
    ledger.record(
        id,
        identity(
            measure,
            prediction,
            points(seed(id), 1, SquaredPoint, identity=not with_W),
            SHAPES + "; k = 1 … 4",
        ),
    )
