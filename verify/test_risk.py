"""Proposition 5.1, Lemma A.1 and eq. A.3: evidence for ``theory/risk.py``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from theory import exact, risk
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.words.evaluate import evaluate
from verify.checks import model as model_check
from verify.checks import risk as check
from verify.checks.points import Point, block, covariance, exact_array, points, rational
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.ledger.evidence import Evidence
from verify.predictions import SIGMA, G, V, at_setting, of_prompts

SIZES = ((1, 1, None), (2, 1, None), (2, 2, 1))


def _moment_points():
    """(M, L, n): exact M, a root L of Σ (singular in the last), for expectations by Gaussian moments."""
    for d, n, rank in SIZES:
        root = rational(d, d, f"root{d}{n}")
        if rank:
            root[:, rank:] = sp.zeros(d, d - rank)
        yield rational(d, d, f"M{d}{n}"), root, n


def _equal_by_moments(expression, function) -> bool:
    """``expression`` (words) against E of ``function``(M, S), both exact, at every moment point."""
    for M, root, n in _moment_points():
        arrays = {V: exact_array(M), G: exact_array(M), SIGMA: exact_array(root * root.T)}
        words = evaluate(expression, arrays, {nt.n: n})
        direct = exact.mean_over_prompts(partial(function, M), root, n)
        if isinstance(direct, sp.MatrixBase):
            if not all(a == b for a, b in zip(np.ravel(words), direct, strict=True)):
                return False
        elif sp.expand(words - direct) != 0:
            return False
    return True


MOMENTS = "Gaussian moments, (d,n) = (1,1), (2,1), (2,2) with Σ singular, rational asymmetric matrix"


def _risk(M, S):
    return exact.frobenius_squared(sp.eye(M.rows) + M * S)


@pytest.mark.statements("prop-5.1")
def test_risk_derived(ledger):
    derived = risk.risk()
    printed = lower_scalar(registry()["prop-5.1"].printed.args[2])
    middle = lower_scalar(registry()["prop-5.1"].printed.args[1])
    ledger.record("prop-5.1", symbolic(derived.equals(printed), "general d, n, Ṽ, Σ", kind="derivation"))
    ledger.record(
        "prop-5.1", symbolic(middle.equals(printed), "second equality, general d, n", kind="derivation")
    )
    ledger.record("prop-5.1", symbolic(_equal_by_moments(printed, _risk), MOMENTS))


@pytest.mark.statements("prop-5.1")
def test_risk_sampled(ledger, profile, seed):
    prediction = at_setting(lower_scalar(risk.formula(nt.V)))
    ledger.record("prop-5.1", check.model_risk(prediction, seed("model risk"), profile))
    ledger.record("prop-5.1", check.norm_risk(prediction, seed("norm risk"), profile))


@pytest.mark.statements("prop-5.1")
def test_risk_limit(ledger, profile, seed):
    printed = lower_scalar(risk.formula(nt.V))
    at_infinity = printed.map_coefficients(lambda c: sp.limit(c, nt.n, sp.oo))
    expected = lower_scalar(nt.FrobeniusSquared(nt.I + nt.V * nt.Sigma))
    ledger.record("prop-5.1", symbolic(at_infinity.equals(expected), "limit n → ∞", kind="derivation"))
    ledger.record("prop-5.1", check.limit_in_length(at_setting(at_infinity), seed("limit"), profile))


@pytest.mark.statements("prop-5.1")
def test_risk_at_two_precisions(ledger):
    """Word by word in floats against exact rationals of the same floats: equal to rounding."""
    worst = 0.0

    @given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 9))
    def run(key, d, n):
        nonlocal worst
        M, Sigma = block(d, key), covariance(d, key + 1)
        value = risk.one_step_risk(M, Sigma, n)
        high = evaluate(
            risk.risk(),
            {
                V: exact_array(sp.Matrix(M).applyfunc(sp.Rational)),
                SIGMA: exact_array(sp.Matrix(Sigma).applyfunc(sp.Rational)),
            },
            {nt.n: n},
        )
        # Terms of size ‖I‖², ‖MΣ‖² … are added: cancellation is relative to their sum.
        size = (
            d
            + 2 * abs(np.trace(M @ Sigma))
            + 3 * np.linalg.norm(M) ** 2 * np.linalg.norm(Sigma) * np.trace(Sigma)
        )
        worst = max(worst, abs(float(high) - value) / size)

    run()
    delta = 1e-14  # forty roundings of terms bounded by `size`, d ≤ 5
    outcome = "agrees" if worst <= delta else "differs"
    ledger.record(
        "prop-5.1",
        Evidence(
            "property", outcome, f"max rel. dev. {worst:.1e}", "d ≤ 5, n ≤ 9, floats and rationals", delta
        ),
    )


@pytest.mark.statements("prop-5.1.a")
def test_prompt_length(ledger, seed):
    ledger.record("prop-5.1.a", counterexample(registry()["prop-5.1.a"]))
    miss = risk.one_step_miss()
    v, s, star = (lower_matrix(m) for m in (nt.V, nt.S, nt.w_star))
    derived = miss + star
    ledger.record(
        "prop-5.1.a",
        symbolic(derived.equals(-(v @ s @ star)), "m = n, general d, n", "corrected", "derivation"),
    )

    def measure(point: Point):
        zeroed = Point(point.V, np.eye(point.d), point.prompts, 0 * point.w0, point.eta, 1)
        return model_check.next_weights(zeroed)

    ledger.record(
        "prop-5.1.a",
        identity(
            measure,
            of_prompts(derived),
            points(seed("prompt length")),
            "m = n, five shapes, w_0 = 0",
            "corrected",
        ),
    )


@pytest.mark.statements("lem-A.1.a", "lem-A.1.d")
def test_lemma(ledger, profile, seed):
    derived = risk.risk_of(G)
    right, wrong = (lower_scalar(registry()[i].printed.args[1]) for i in ("lem-A.1.a", "lem-A.1.d"))
    ledger.record("lem-A.1.a", symbolic(derived.equals(right), "general d, n, A, Σ", kind="derivation"))
    ledger.record("lem-A.1.a", symbolic(_equal_by_moments(right, _risk), MOMENTS))
    sampled = check.norm_risk(at_setting(right), seed("lemma"), profile)
    ledger.record("lem-A.1.a", sampled)
    ledger.record("lem-A.1.d", symbolic(derived.equals(wrong), "general d, n, A, Σ", kind="derivation"))
    ledger.record("lem-A.1.d", counterexample(registry()["lem-A.1.d"]))
    ledger.record(
        "lem-A.1.d", symbolic(derived.equals(right), "general d, n, A, Σ", "corrected", "derivation")
    )
    ledger.record("lem-A.1.d", check.norm_risk(at_setting(wrong), seed("lemma last line"), profile))
    ledger.record("lem-A.1.d", replace(sampled, form="corrected"))


@pytest.mark.statements("lem-A.1.b")
def test_mean_of_quadratic(ledger, profile, seed):
    inner = lower_matrix(nt.G.T * nt.G)
    derived, printed = risk.quadratic_mean(inner), lower_matrix(registry()["lem-A.1.b"].printed.rhs)
    ledger.record("lem-A.1.b", symbolic(derived.equals(printed), "M = AᵀA, general d, n", kind="derivation"))
    ledger.record("lem-A.1.b", symbolic(_equal_by_moments(printed, lambda M, S: S * M.T * M * S), MOMENTS))
    ledger.record("lem-A.1.b", check.quadratic_mean(at_setting(printed), seed("quadratic"), profile))


@pytest.mark.statements("lem-A.1.c")
def test_second_moment(ledger, profile, seed):
    derived, printed = risk.second_moment(), lower_scalar(registry()["lem-A.1.c"].printed.rhs)
    ledger.record("lem-A.1.c", symbolic(derived.equals(printed), "general d, n", kind="derivation"))
    ledger.record(
        "lem-A.1.c",
        symbolic(_equal_by_moments(printed, lambda M, S: exact.frobenius_squared(M * S)), MOMENTS),
    )
    ledger.record("lem-A.1.c", check.second_moment(at_setting(printed), seed("second moment"), profile))


@pytest.mark.statements("eq-A.3.a", "eq-A.3.b")
@pytest.mark.parametrize("id", ["eq-A.3.a", "eq-A.3.b"])
def test_expansion(ledger, profile, seed, id):
    derived = risk.risk_of(G)
    statement = registry()[id]
    assert statement.corrected is not None
    printed, corrected = (lower_scalar(form.args[1]) for form in (statement.printed, statement.corrected))
    if id == "eq-A.3.b":
        half = printed + lower_scalar(4 * sp.Trace(nt.G * nt.Sigma))
        ledger.record(
            id,
            symbolic(derived.equals(half), "transposition alone, sign mended", kind="derivation"),
        )
    ledger.record(id, symbolic(derived.equals(printed), "general d, n, A, Σ", kind="derivation"))
    ledger.record(id, counterexample(registry()[id]))
    ledger.record(id, check.norm_risk(at_setting(printed), seed(id), profile))
    ledger.record(id, symbolic(derived.equals(corrected), "general d, n, A, Σ", "corrected", "derivation"))
    ledger.record(id, check.norm_risk(at_setting(corrected), seed(f"{id} corrected"), profile, "corrected"))
