"""Section 3 and the chain to A.1: evidence for ``theory/model.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import blocks, exact, model
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.poly import letter, substitute
from verify.checks import definition as written
from verify.checks import generated, precision
from verify.checks import model as check
from verify.checks import precision_fits as fits
from verify.checks.points import Point, TaughtPoint, points, rational
from verify.checks.precision import hard_points
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.model_predictions import (
    at_k,
    cells,
    in_recursion,
    of_prompt,
    printed,
    recursion,
    supervised,
    taught,
    total,
)
from verify.strategies import model_points
from verify.surface import value

NOW = nt.letter_of(model.w_now)
SHAPES = "five shapes with d < n, d = n, d > n; B on both sides of d; asymmetric Ṽ, W̃"
SMALL = ((1, 1, 3), (2, 3, 2), (3, 2, 2))  # (d, n, k) for rational arithmetic


def rational_point(d, n):
    return (
        rational(d, d, f"V{d}{n}"),
        rational(d, d, f"W{d}{n}"),
        rational(d, n, f"X{d}{n}"),
        rational(d, 1, f"w{d}{n}"),
    )


def _chains():
    """(columns of the full model, values of the symbols) at rational points."""
    for d, n, k in SMALL:
        V, W, X, w = rational_point(d, n)
        at = {nt.V: V, nt.W: W, nt.S: exact.covariance(X), nt.w_star: w, nt.d: d, nt.n: n}
        yield exact.chain(*exact.assemble(V, W), X, w, k), at


@pytest.mark.statements("eq-3.1")
def test_merged_weights(ledger, seed):
    attention, merged = model.merged_attention()
    claim = registry()["eq-3.1"].printed
    put_in = {model.V_full: model.W_P * model.W_V, model.W_full: model.W_K.T * model.W_Q}

    def prediction(Z, K, Q, V, P, scale):
        return value(claim.rhs, {model.Z: Z, model.V_full: P @ V, model.W_full: K.T @ Q, nt.lam: scale})

    for layer in (check.merged_layer, fits.merged_layer):
        ledger.record("eq-3.1", layer(prediction, seed("merged")))
    sides = lower_matrix(claim.lhs).equals(attention) and attention.equals(merged)
    holds = sides and lower_matrix(claim.rhs.subs(put_in)).equals(attention)
    ledger.record("eq-3.1", symbolic(holds, "any widths and lengths", kind="derivation"))


@pytest.mark.statements("eq-3.2.a")
def test_generated_column(ledger, profile, seed):
    claim = in_recursion(registry()["eq-3.2.a"].printed.args[1])
    derived = blocks.forward(*blocks.pattern(), letter(NOW))
    ok = all(row[0].equals(cell) for row, cell in zip(derived, cells(claim), strict=True))
    ledger.record("eq-3.2.a", symbolic(ok, "general d, n, i", kind="derivation"))
    holds = True
    for columns, at in _chains():
        now = sp.zeros(at[nt.d], 1)
        for column in columns:
            holds = holds and value(claim, {**at, model.w_now: now}) == column
            now = column[at[nt.d] + 1 : -1, 0]
    ledger.record("eq-3.2.a", symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 3"))
    prediction = printed(claim)
    ledger.record(
        "eq-3.2.a", identity(check.generated_columns, prediction, points(seed("columns"), 1), SHAPES)
    )
    at = hard_points(seed("columns"), 1)
    ledger.record(
        "eq-3.2.a",
        precision.identity(written.generated_columns, check.generated_columns, prediction, at),
    )
    drawn = generated.identity(check.generated_columns, prediction, model_points(least_k=1), profile)
    ledger.record("eq-3.2.a", drawn)


@pytest.mark.statements("eq-3.2.b")
def test_constant_slot(ledger, seed):
    free = model.constant_row()
    ledger.record(
        "eq-3.2.b",
        symbolic(free.equals(blocks.unit()[3][3]), "every block of V and W free", "outside", "derivation"),
    )
    ledger.record("eq-3.2.b", counterexample(registry()["eq-3.2.b"], "outside"))
    claim = registry()["eq-3.2.b"].printed.args[1]
    full_v = blocks.full("V")
    full_v[3] = [cell * 0 for cell in full_v[3]]
    held = blocks.forward(full_v, blocks.full("W"), letter(NOW))[3][0]
    ledger.record(
        "eq-3.2.b",
        symbolic(
            held.equals(blocks.unit()[3][3] * claim),
            "last block row of V zero, the rest free",
            "condition",
            "derivation",
        ),
    )
    prediction = lambda p: np.full((p.prompts.size, p.k, 1), float(claim))  # noqa: E731
    ledger.record(
        "eq-3.2.b",
        identity(
            lambda p: check.generated_columns(p)[..., -1:],
            prediction,
            points(seed("slot"), 1),
            SHAPES,
            "condition",
        ),
    )
    found = precision.identity(
        lambda p: written.generated_columns(p)[..., -1:],
        lambda p: check.generated_columns(p)[..., -1:],
        prediction,
        hard_points(seed("slot"), 1),
        "condition",
    )
    ledger.record("eq-3.2.b", found)


@pytest.mark.statements("eq-3.5.a")
def test_path(ledger, seed):
    path, _, _, limit = registry()["eq-3.5.a"].printed.args
    away = lower_matrix(path) - lower_matrix(limit)
    gap = lower_matrix(path.subs(nt.i, nt.i + 1)) - lower_matrix(limit) - away * (1 - nt.eta)
    ledger.record(
        "eq-3.5.a",
        symbolic(
            gap.map_coefficients(sp.simplify).is_zero(),
            "w_{i+1} − w* = (1−η)(w_i − w*)",
            "condition",
            "derivation",
        ),
    )
    one = sp.Matrix([1])
    end = value(limit, {nt.w_star: one})[0]
    rates = [sp.Rational(1, 10), sp.Rational(1), sp.Rational(3, 2), sp.Rational(19, 10)]
    falls = all(
        exact.target(one, r, j + 1)[0] - end == (1 - r) * (exact.target(one, r, j)[0] - end)
        and abs(1 - r) < 1
        for r in rates
        for j in range(6)
    )
    ledger.record("eq-3.5.a", symbolic(falls, "η = 1/10, 1, 3/2, 19/10", "condition"))
    ledger.record("eq-3.5.a", counterexample(registry()["eq-3.5.a"], "outside"))
    far = [abs(1 - exact.target(sp.Matrix([1]), sp.Integer(r), 6)[0]) for r in (0, 2, 3)]
    ledger.record("eq-3.5.a", symbolic(any(f < 1 for f in far), f"η = 0, 2, 3: |w_6−w*| = {far}", "outside"))

    def prediction(point: Point):
        """From w_0 = 0 towards the limit, 1−η of the way left after each step."""
        left = np.array([(1 - point.eta) ** i for i in range(point.k + 2)])
        ends = [value(limit, {nt.w_star: star[:, None]}) for star in point.w_star]
        return np.array([(1 - left) * end for end in ends]).swapaxes(1, 2)

    ledger.record(
        "eq-3.5.a", identity(check.supervised_path, prediction, points(seed("path")), SHAPES, "condition")
    )
    at, course = hard_points(seed("path")), written.supervised_path
    ledger.record("eq-3.5.a", precision.identity(course, check.supervised_path, prediction, at, "condition"))


@pytest.mark.statements("eq-3.5.b")
def test_supervised_loss(ledger, profile, seed):
    """k+1 terms, and rows other than the weights contribute nothing under the pattern."""
    claim, path = registry()["eq-3.5.b"].printed.rhs, registry()["eq-3.5.a"].printed.args[0]
    column = registry()["eq-3.2.a"].printed.args[1]
    holds = True
    for d, n, k in SMALL:
        V, W, X, w = rational_point(d, n)
        S, eta = exact.covariance(X), sp.Rational(2, 7)
        base = {nt.V: V, nt.W: W, nt.S: S, nt.w_star: w, nt.eta: eta}
        steps = [taught(base, path, i) for i in range(k + 1)]
        out, aim = ([value(column, {model.w_next: step[side]}) for step in steps] for side in (0, 1))
        given = {model.output: lambda _: out.__getitem__, model.target_tau: lambda _: aim.__getitem__}  # noqa: B023
        stated = value(claim, {**base, **given, nt.k: k, nt.B: 1})
        holds = holds and sp.expand(exact.supervised_loss(V, W, [(X, w)], eta, k) - stated) == 0
    ledger.record("eq-3.5.b", symbolic(holds, "full model against A.1 on the path, rationals, d ≤ 3, k ≤ 3"))
    prediction = total(claim, supervised)
    ledger.record(
        "eq-3.5.b",
        identity(check.supervised_loss, prediction, points(seed("sft loss"), kind=TaughtPoint), SHAPES),
    )
    at = hard_points(seed("sft loss"))
    ledger.record(
        "eq-3.5.b", precision.identity(written.supervised_loss, check.supervised_loss, prediction, at)
    )
    drawn = generated.identity(check.supervised_loss, prediction, model_points(TaughtPoint), profile)
    ledger.record("eq-3.5.b", drawn)


@pytest.mark.statements("eq-A.1")
def test_recursion(ledger, profile, seed):
    claim = recursion()
    holds = True
    for columns, at in _chains():
        now = sp.zeros(at[nt.d], 1)
        for column in columns:
            now = value(claim, {**at, model.w_now: now})
            holds = holds and now == column[at[nt.d] + 1 : -1, 0]
    ledger.record("eq-A.1", symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 3"))
    prediction = printed(claim)
    ledger.record("eq-A.1", identity(check.next_weights, prediction, points(seed("recursion"), 1), SHAPES))
    at = hard_points(seed("recursion"), 1)
    ledger.record("eq-A.1", precision.identity(written.next_weights, check.next_weights, prediction, at))
    derived = model.recursion().equals(lower_matrix(claim))
    ledger.record("eq-A.1", symbolic(derived, "block product, general d, n, i", kind="derivation"))
    drawn = generated.identity(check.next_weights, prediction, model_points(least_k=1), profile)
    ledger.record("eq-A.1", drawn)


@pytest.mark.statements("eq-A.4")
def test_solution(ledger, profile, seed):
    claim = registry()["eq-A.4"].printed.args[1]
    holds = True
    for columns, at in _chains():
        stated = value(claim, {**at, nt.k: len(columns), model.w_hat0: sp.zeros(at[nt.d], 1)})
        holds = holds and stated == columns[-1][at[nt.d] + 1 : -1, 0]
    ledger.record("eq-A.4", symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 3"))

    def prediction(point: Point):
        found = [value(claim, of_prompt(point, t))[:, 0] for t in range(point.prompts.size)]
        return np.array(found)

    ledger.record(
        "eq-A.4",
        identity(check.last_weight, prediction, points(seed("solution")), SHAPES + "; ŵ_0 ≠ 0, k = 0 … 4"),
    )
    at = hard_points(seed("solution"))
    ledger.record("eq-A.4", precision.identity(written.last_weight, check.last_weight, prediction, at))
    drawn = generated.identity(check.last_weight, prediction, model_points(), profile)
    ledger.record("eq-A.4", drawn)
    applied, following = model.induction_step()
    step, start = model.recursion(), letter(nt.letter_of(model.w_hat0))
    words, now = True, start
    for k in range(1, 4):
        now = substitute(step, {NOW: now})
        powers, sums = (lower_matrix(part) for part in at_k(claim, k).args)
        words = words and now.equals(powers - sums)
    ledger.record(
        "eq-A.4",
        symbolic(
            applied.equals(following) and words,
            "in words at k = 1, 2, 3, and by induction on k, general d, n",
            kind="derivation",
        ),
    )
