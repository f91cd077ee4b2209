"""Eq. 3.4 and Proposition 6.1: evidence for ``theory/outcome.py``."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import exact, model, outcome
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.poly import letter
from verify.checks import definition as written
from verify.checks import generated, precision
from verify.checks import model as check
from verify.checks.points import SquaredPoint, points, rational
from verify.checks.precision import hard_points
from verify.checks.run import exact as symbolic
from verify.checks.run import identity
from verify.model_predictions import at_k, last_weights, recursion, total
from verify.strategies import model_points
from verify.surface import value
from verify.test_model import SHAPES

SMALL = ((1, 2, 4), (2, 1, 3), (2, 3, 2), (3, 2, 2))  # (d, n, k)


def _exact_losses(with_W):
    """L_OS of two prompts from the full model's own chain, and values of the symbols, in rationals."""
    for d, n, k in SMALL:
        V, W = rational(d, d, f"ov{d}{n}"), rational(d, d, f"oW{d}{n}") if with_W else sp.eye(d)
        X, w = (
            [rational(*size, f"o{name}{d}{n}{t}") for t in range(2)]
            for name, size in (("x", (d, n)), ("w", (d, 1)))
        )
        reached = [
            exact.chain(*exact.assemble(V, W), *one, k)[-1][d + 1 : -1, 0] for one in zip(X, w, strict=True)
        ]
        S = [exact.covariance(one) for one in X]
        misses = (exact.frobenius_squared(a - b) for a, b in zip(reached, w, strict=True))
        at = {nt.V: V, nt.W: W, nt.k: k, nt.B: 2, nt.w_star_tau: lambda tau, w=w: w[tau - 1]}
        yield sum(misses) / 4, {**at, nt.S_tau: lambda tau, S=S: S[tau - 1]}


@pytest.mark.statements("eq-3.4")
def test_outcome_loss(ledger, profile, seed):
    """The loss of the full model, against the recursion run k times."""
    claim, step, holds = registry()["eq-3.4"].printed.rhs, recursion(), True
    for loss, at in _exact_losses(True):
        ends = []
        for tau in (1, 2):
            here = {nt.S: at[nt.S_tau](tau), nt.w_star: at[nt.w_star_tau](tau)}
            now = sp.zeros(at[nt.V].rows, 1)
            for _ in range(at[nt.k]):
                now = value(step, {**at, **here, model.w_now: now})
            ends.append(now)
        stated = value(claim, {**at, model.w_hat_k_tau: lambda tau, ends=ends: ends[tau - 1]})
        holds = holds and sp.expand(loss - stated) == 0
    ledger.record("eq-3.4", symbolic(holds, "full forward pass against A.1, rationals, d ≤ 3, k ≤ 4"))
    prediction = total(claim, last_weights)
    ledger.record(
        "eq-3.4", identity(check.outcome_loss, prediction, points(seed("os loss"), 1, SquaredPoint), SHAPES)
    )
    examples = model_points(SquaredPoint, 1)
    ledger.record("eq-3.4", generated.identity(check.outcome_loss, prediction, examples, profile))
    at = hard_points(seed("os loss"), 1)
    ledger.record("eq-3.4", precision.identity(written.outcome_loss, check.outcome_loss, prediction, at))


@pytest.mark.statements("prop-6.1.a", "prop-6.1.b")
@pytest.mark.parametrize(("id", "with_W"), [("prop-6.1.a", True), ("prop-6.1.b", False)])
def test_closed_form(ledger, profile, seed, id, with_W):
    claim = registry()[id].printed.rhs
    holds = all(sp.expand(loss - value(claim, at)) == 0 for loss, at in _exact_losses(with_W))
    ledger.record(id, symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 4"))
    measure = check.outcome_loss if with_W else check.outcome_loss_at_identity
    prediction = total(claim)
    ledger.record(
        id,
        identity(
            measure,
            prediction,
            points(seed(id), 1, SquaredPoint, identity=not with_W),
            SHAPES + "; k = 1 … 4",
        ),
    )
    examples = model_points(SquaredPoint, 1, identity=not with_W)
    ledger.record(id, generated.identity(measure, prediction, examples, profile))
    at = hard_points(seed(id), 1, identity=not with_W)
    ledger.record(id, precision.identity(written.outcome_loss, measure, prediction, at))
    (norm,) = claim.atoms(nt.NormSquared)
    one_prompt = norm.args[0].xreplace({nt.S_tau: nt.S, nt.w_star_tau: nt.w_star})
    star = letter(nt.letter_of(nt.w_star))
    words = all(
        (outcome.unrolled(k, with_W) @ star).equals(lower_matrix(at_k(one_prompt, k))) for k in range(1, 5)
    )
    by_step, following = outcome.induction(with_W)
    ledger.record(
        id,
        symbolic(
            by_step.equals(following) and words,
            "in words at k = 1 … 4, and by induction on k, general d, n",
            kind="derivation",
        ),
    )
