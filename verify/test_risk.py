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
from theory.words.poly import substitute
from verify.checks import definition as written
from verify.checks import generated, precision
from verify.checks import model as model_check
from verify.checks import risk as check
from verify.checks.generated import Equality
from verify.checks.points import Point, block, exact_array, points, rational
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.predictions import SIGMA, G, V, X, at_setting, of_prompts
from verify.stats.bounded import lift
from verify.stats.precision import two_precisions
from verify.strategies import MomentPoint, covariances, model_points, moment_points, seeds, sizes
from verify.surface import value

SIZES = ((1, 1, None), (2, 1, None), (2, 2, 1))


def _moment_points():
    """(M, L, n): exact M, a root L of Σ (singular in the last), for expectations by Gaussian moments."""
    for d, n, rank in SIZES:
        root = rational(d, d, f"root{d}{n}")
        if rank:
            root[:, rank:] = sp.zeros(d, d - rank)
        yield rational(d, d, f"M{d}{n}"), root, n


def _equal_at(expression, function, M, root, n) -> bool:
    """``expression`` (words) against E of ``function``(M, S), both exact."""
    arrays = {V: exact_array(M), G: exact_array(M), SIGMA: exact_array(root * root.T)}
    words = evaluate(expression, arrays, {nt.n: n})
    direct = exact.mean_over_prompts(partial(function, M), root, n)
    if isinstance(direct, sp.MatrixBase):
        return all(a == b for a, b in zip(np.ravel(words), direct, strict=True))
    return sp.expand(words - direct) == 0


def _equal_by_moments(expression, function) -> bool:
    """The same at every moment point."""
    return all(_equal_at(expression, function, *at) for at in _moment_points())


MOMENTS = "Gaussian moments, (d,n) = (1,1), (2,1), (2,2) with Σ singular, rational asymmetric matrix"


def _risk(M, S):
    return exact.frobenius_squared(sp.eye(M.rows) + M * S)


def _quadratic(M, S):
    return S * M.T * M * S


def _second(M, S):
    return exact.frobenius_squared(M * S)


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
    prediction = at_setting(lower_scalar(registry()["prop-5.1"].printed.args[2]))
    ledger.record("prop-5.1", check.model_risk(prediction, seed("model risk"), profile))
    ledger.record("prop-5.1", check.norm_risk(prediction, seed("norm risk"), profile))
    middle = registry()["prop-5.1"].printed.args[1]
    one = middle.xreplace({mean: mean.args[0] for mean in middle.atoms(nt.Expectation)})

    def by_prompt(V_at, S_at):
        return value(one, {nt.V: V_at, nt.Sigma_hat: S_at})

    ledger.record("prop-5.1", check.norm_by_prompt(by_prompt, seed("single prompts")))


@pytest.mark.statements("prop-5.1")
def test_risk_limit(ledger, profile, seed):
    printed = lower_scalar(registry()["prop-5.1"].printed.args[2])
    at_infinity = printed.map_coefficients(lambda c: sp.limit(c, nt.n, sp.oo))
    expected = lower_scalar(nt.FrobeniusSquared(nt.I + nt.V * nt.Sigma))
    ledger.record("prop-5.1", symbolic(at_infinity.equals(expected), "limit n → ∞", kind="derivation"))
    ledger.record("prop-5.1", check.limit_in_length(at_setting(at_infinity), seed("limit"), profile))


@pytest.mark.statements("prop-5.1")
def test_risk_at_two_precisions(ledger):
    """In float64 and at 51 digits, against the square multiplied out and its moments added up."""
    found = []
    words = lower_scalar(registry()["prop-5.1"].printed.args[2])

    @given(st.data(), sizes(), seeds())
    def run(data, size, key):
        d, n, _ = size
        M, Sigma = block(d, key), data.draw(covariances(d))
        value = risk.one_step_risk(M, Sigma, n)
        exact = lift(M), lift(Sigma)
        stated = evaluate(words, dict(zip((V, SIGMA), exact, strict=True)), {nt.n: n})
        found.append(two_precisions([value], [stated], [written.one_step_risk(*exact, n)]))

    run()
    regime = f"{len(found)} examples, d ≠ n ≤ 5, Σ of any spectrum"
    ledger.record("prop-5.1", precision.evidence(found, regime))


@pytest.mark.statements("prop-5.1", "lem-A.1.b", "lem-A.1.c")
@pytest.mark.parametrize("id", ["prop-5.1", "lem-A.1.b", "lem-A.1.c"])
def test_moments_generated(ledger, profile, id):
    """The print in words against Gaussian moments, both exact, at covariances that hypothesis draws."""
    printed = registry()[id].printed
    words, function = {
        "prop-5.1": lambda: (lower_scalar(printed.args[-1]), _risk),
        "lem-A.1.b": lambda: (lower_matrix(printed.rhs), _quadratic),
        "lem-A.1.c": lambda: (lower_scalar(printed.rhs), _second),
    }[id]()

    def compare(at: MomentPoint) -> Equality:
        return Equality(_equal_at(words, function, at.M, at.root, at.n))

    fewer = replace(profile, examples=profile.examples // 4)  # exact means take a hundredth of a second
    ledger.record(id, generated.generated(compare, moment_points(), generated.EXACT, fewer))


@pytest.mark.statements("prop-5.1.a")
def test_prompt_length(ledger, profile, seed):
    ledger.record("prop-5.1.a", counterexample(registry()["prop-5.1.a"]))
    corrected = registry()["prop-5.1.a"].corrected
    assert corrected is not None
    weight, length = (form.rhs for form in corrected.args)
    words, x = lower_matrix(weight), lower_matrix(nt.X)
    derived = substitute(risk.one_step_miss(), {nt.letter_of(nt.S): x @ x.T * (1 / nt.n)})
    holds = words.equals(derived + lower_matrix(nt.w_star)) and length == nt.X.shape[1]
    ledger.record("prop-5.1.a", symbolic(holds, "m = n, general d, n", "corrected", "derivation"))

    def prediction(point: Point):
        """ŵ and, below it, the number of pairs."""
        found = of_prompts(words, lambda at, t, _: {X: at.X[t]})(point)
        pairs = value(length, {nt.n: point.n, nt.d: point.d})
        return np.concatenate([found, np.full_like(found[..., :1], pairs)], axis=-1)

    def with_length(found, point):
        return np.concatenate([found, np.full_like(found[..., :1], point.X.shape[-1])], axis=-1)

    def measure(point: Point):
        zeroed = Point(point.V, np.eye(point.d), point.prompts, 0 * point.w0, point.eta, 1)
        return with_length(model_check.next_weights(zeroed), point)

    ledger.record(
        "prop-5.1.a",
        identity(
            measure,
            prediction,
            points(seed("prompt length")),
            "m = n, five shapes, w_0 = 0",
            "corrected",
        ),
    )

    def by_hand(point):
        found = written.next_weights(replace(point, W=np.eye(point.d), w0=0 * point.w0, k=1))
        return with_length(found, point)

    at = precision.hard_points(seed("prompt length"))
    ledger.record("prop-5.1.a", precision.identity(by_hand, measure, prediction, at, "corrected"))
    drawn = generated.identity(measure, prediction, model_points(), profile, "corrected")
    ledger.record("prop-5.1.a", drawn)


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
    ledger.record("lem-A.1.b", symbolic(_equal_by_moments(printed, _quadratic), MOMENTS))
    ledger.record("lem-A.1.b", check.quadratic_mean(at_setting(printed), seed("quadratic"), profile))


@pytest.mark.statements("lem-A.1.c")
def test_second_moment(ledger, profile, seed):
    derived, printed = risk.second_moment(), lower_scalar(registry()["lem-A.1.c"].printed.rhs)
    ledger.record("lem-A.1.c", symbolic(derived.equals(printed), "general d, n", kind="derivation"))
    ledger.record(
        "lem-A.1.c",
        symbolic(_equal_by_moments(printed, _second), MOMENTS),
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
