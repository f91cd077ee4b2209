"""Section 3 and the chain to A.1: evidence for ``theory/model.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import blocks, exact, model
from theory import notation as nt
from theory.explicit import explicit
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.poly import letter
from verify.checks import model as check
from verify.checks.points import Point, TaughtPoint, points, rational
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.predictions import of_prompts

NOW = nt.letter_of(model.w_now)
SHAPES = "five shapes with d < n, d = n, d > n; B on both sides of d; asymmetric Ṽ, W̃"
SMALL = ((1, 1, 3), (2, 3, 2), (3, 2, 2))  # (d, n, k) for rational arithmetic


def _rational_point(d, n):
    return (
        rational(d, d, f"V{d}{n}"),
        rational(d, d, f"W{d}{n}"),
        rational(d, n, f"X{d}{n}"),
        rational(d, 1, f"w{d}{n}"),
    )


def _chains():
    """(columns of the full model, block inputs) at rational points."""
    for d, n, k in SMALL:
        V, W, X, w = _rational_point(d, n)
        yield exact.chain(*exact.assemble(V, W), X, w, k), (V, W, exact.covariance(X), w)


def _previous(point: Point, prompt: int, step: int):
    """The letter ŵ_i at its measured value."""
    return {NOW: check.weights(point)[prompt, step][:, None]}


@pytest.mark.statements("eq-3.1")
def test_merged_weights(ledger, seed):
    attention, merged = model.merged_attention()
    printed = registry()["eq-3.1"].printed
    put_in = {model.V_full: model.W_P * model.W_V, model.W_full: model.W_K.T * model.W_Q}
    sides = lower_matrix(printed.lhs).equals(attention) and lower_matrix(printed.rhs.subs(put_in)).equals(
        merged
    )
    ledger.record("eq-3.1", symbolic(sides, "the print's two sides at the merged weights", kind="derivation"))
    ledger.record("eq-3.1", symbolic(attention.equals(merged), "any widths and lengths", kind="derivation"))
    ledger.record("eq-3.1", check.merged_layer(lambda K, Q, V, P: (P @ V, K.T @ Q), seed("merged")))


@pytest.mark.statements("eq-3.2.a")
def test_generated_column(ledger, seed):
    x, y, constant = model.other_rows()
    ok = x.is_zero() and y.is_zero() and constant.equals(blocks.unit()[3][3])
    ledger.record("eq-3.2.a", symbolic(ok, "general d, n, i", kind="derivation"))
    holds = all(
        column[: S.rows + 1, 0].is_zero_matrix and column[-1] == 1
        for columns, (_, _, S, _) in _chains()
        for column in columns
    )
    ledger.record("eq-3.2.a", symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 3"))
    step = of_prompts(model.recursion(), _previous, lambda p: p.k)

    def prediction(point: Point):
        rows = np.zeros((point.prompts.size, point.k, 2 * point.d + 2))
        rows[..., point.d + 1 : -1] = step(point)
        rows[..., -1] = 1
        return rows

    ledger.record(
        "eq-3.2.a", identity(check.generated_columns, prediction, points(seed("columns"), 1), SHAPES)
    )


@pytest.mark.statements("eq-3.2.b")
def test_constant_slot(ledger, seed):
    free = model.constant_row()
    ledger.record(
        "eq-3.2.b",
        symbolic(free.equals(blocks.unit()[3][3]), "every block of V and W free", "outside", "derivation"),
    )
    ledger.record("eq-3.2.b", counterexample(registry()["eq-3.2.b"], "outside"))
    full_v = blocks.full("V")
    full_v[3] = [cell * 0 for cell in full_v[3]]
    held = blocks.forward(full_v, blocks.full("W"), letter(NOW))[3][0]
    ledger.record(
        "eq-3.2.b",
        symbolic(
            held.equals(blocks.unit()[3][3]),
            "last block row of V zero, the rest free",
            "condition",
            "derivation",
        ),
    )
    ledger.record(
        "eq-3.2.b",
        identity(
            lambda p: check.generated_columns(p)[..., -1:],
            lambda p: np.ones((p.prompts.size, p.k, 1)),
            points(seed("slot"), 1),
            SHAPES,
            "condition",
        ),
    )


@pytest.mark.statements("eq-3.5.a")
def test_path(ledger, seed):
    eta, i, w = nt.eta, nt.i, sp.Symbol("w")
    reached = (1 - (1 - eta) ** i) * w
    step = sp.simplify(reached.subs(i, i + 1) - reached - eta * (w - reached))
    ledger.record(
        "eq-3.5.a",
        symbolic(
            step == 0,
            "w_{i+1} − w_i = η(w* − w_i): the error is multiplied by 1−η",
            "condition",
            "derivation",
        ),
    )
    rates = [sp.Rational(1, 10), sp.Rational(1), sp.Rational(3, 2), sp.Rational(19, 10)]
    falls = all(
        (exact.target(sp.Matrix([1]), r, j + 1)[0] - 1)
        == (1 - r) * (exact.target(sp.Matrix([1]), r, j)[0] - 1)
        and abs(1 - r) < 1
        for r in rates
        for j in range(6)
    )
    ledger.record("eq-3.5.a", symbolic(falls, "η = 1/10, 1, 3/2, 19/10", "condition"))
    ledger.record("eq-3.5.a", counterexample(registry()["eq-3.5.a"], "outside"))
    far = [abs(1 - exact.target(sp.Matrix([1]), sp.Integer(r), 6)[0]) for r in (0, 2, 3)]
    ledger.record("eq-3.5.a", symbolic(any(f < 1 for f in far), f"η = 0, 2, 3: |w_6−w*| = {far}", "outside"))

    def prediction(point: Point):
        shares = 1 - (1 - point.eta) ** np.arange(point.k + 2)
        return shares[:, None] * point.w_star[:, None, :]

    ledger.record(
        "eq-3.5.a", identity(check.supervised_path, prediction, points(seed("path")), SHAPES, "condition")
    )


@pytest.mark.statements("eq-3.5.b")
def test_supervised_loss(ledger, seed):
    """k+1 terms, and rows other than the weights contribute nothing under the pattern."""
    holds = True
    for d, n, k in SMALL:
        V, W, X, w = _rational_point(d, n)
        S, eta = exact.covariance(X), sp.Rational(2, 7)
        direct = exact.supervised_loss(V, W, [(X, w)], eta, k)
        terms = [
            exact.target(w, eta, i) + V * S * (W * exact.target(w, eta, i) - w) - exact.target(w, eta, i + 1)
            for i in range(k + 1)
        ]
        holds = holds and sp.expand(direct - sum(exact.frobenius_squared(r) for r in terms) / 2) == 0
    ledger.record("eq-3.5.b", symbolic(holds, "full model against A.1 on the path, rationals, d ≤ 3, k ≤ 3"))
    definition, _ = model.residual()
    per_step = of_prompts(definition, steps=lambda p: p.k + 1)

    def prediction(point: Point):
        return np.array([(per_step(point) ** 2).sum() / (2 * point.prompts.size)])

    ledger.record(
        "eq-3.5.b",
        identity(check.supervised_loss, prediction, points(seed("sft loss"), kind=TaughtPoint), SHAPES),
    )


@pytest.mark.statements("eq-A.1")
def test_recursion(ledger, seed):
    derived = model.recursion()
    printed = lower_matrix(registry()["eq-A.1"].printed.rhs)
    ledger.record(
        "eq-A.1", symbolic(derived.equals(printed), "block product, general d, n, i", kind="derivation")
    )
    holds = True
    for columns, (V, W, S, star_at) in _chains():
        now = sp.zeros(S.rows, 1)
        for column in columns:
            now = now + V * S * (W * now - star_at)
            holds = holds and now == column[S.rows + 1 : -1, 0]
    ledger.record("eq-A.1", symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 3"))
    ledger.record(
        "eq-A.1",
        identity(
            check.next_weights,
            of_prompts(printed, _previous, lambda p: p.k),
            points(seed("recursion"), 1),
            SHAPES,
        ),
    )


@pytest.mark.statements("eq-A.1-steps.a")
def test_query(ledger, seed):
    _, w_pattern = blocks.pattern()
    seen = blocks.product(w_pattern, blocks.last_column(letter(NOW)))
    expected = [letter(nt.letter_of(nt.W)) @ letter(NOW), blocks.unit()[1][1] * -1]
    ok = (
        all(a[0].equals(b) for a, b in zip(seen[:2], expected, strict=True))
        and seen[2][0].is_zero()
        and seen[3][0].is_zero()
    )
    ledger.record("eq-A.1-steps.a", symbolic(ok, "general d", kind="derivation"))

    def prediction(point: Point):
        rows = np.zeros((point.prompts.size, point.k, 2 * point.d + 2))
        rows[..., : point.d] = check.weights(point)[:, : point.k] @ point.W.T
        rows[..., point.d] = -1
        return rows

    ledger.record("eq-A.1-steps.a", identity(check.queries, prediction, points(seed("queries"), 1), SHAPES))


@pytest.mark.statements("eq-A.1-steps.b")
def test_block_display(ledger, seed):
    """V Z_i, and the vector that meets it: W̃ŵ_i, where the print has W̃w_0."""
    v_pattern, w_pattern = blocks.pattern()
    tokens, ones = letter(blocks.TOKENS), letter(blocks.ONES)
    mixed = blocks.product(v_pattern, blocks.embedding(tokens, ones))
    only = all(mixed[r][c].is_zero() for r in range(4) for c in range(2) if (r, c) != (2, 0))
    ok = only and mixed[2][0].equals(letter(nt.letter_of(nt.V)) @ blocks.X)
    first = letter(nt.letter_of(model.w_zero))
    right, printed = (blocks.product(w_pattern, blocks.last_column(w))[0][0] for w in (letter(NOW), first))
    ledger.record(
        "eq-A.1-steps.b", symbolic(right.equals(printed), "W̃w_0 for W̃ŵ_i, general d, i", kind="derivation")
    )
    ledger.record("eq-A.1-steps.b", counterexample(registry()["eq-A.1-steps.b"]))
    V, W, X, w = _rational_point(2, 3)
    start = [exact.weight_column(sp.zeros(2, 1))]
    widths = [exact.embed(X, w, start + exact.chain(*exact.assemble(V, W), X, w, i)).cols for i in range(4)]
    ledger.record(
        "eq-A.1-steps.b",
        symbolic(
            all(width == 3 + 3 for width in widths), f"n+3 columns at n = 3, against {widths} for i = 0 … 3"
        ),
    )
    ledger.record(
        "eq-A.1-steps.b", symbolic(ok, "V Z_i = [ṼX, 0] in the weight rows", "corrected", "derivation")
    )

    def prediction(point: Point):
        out = np.zeros((point.prompts.size, 2 * point.d + 2, point.n + point.k))
        out[:, point.d + 1 : -1, : point.n] = point.V @ point.prompts.X.numpy()
        return out

    ledger.record(
        "eq-A.1-steps.b", identity(check.mixing, prediction, points(seed("mixing"), 1), SHAPES, "corrected")
    )


@pytest.mark.statements("eq-A.1-steps.c")
def test_scores(ledger, seed):
    column = blocks.forward(*blocks.pattern(), letter(NOW))
    ok = column[2][0].equals(model.recursion()) and column[0][0].is_zero() and column[1][0].is_zero()
    _, w_pattern = blocks.pattern()
    Z = blocks.embedding(letter(blocks.TOKENS), letter(blocks.ONES))
    meets = blocks.product(blocks.transpose(Z), blocks.product(w_pattern, blocks.last_column(letter(NOW))))
    w, star = letter(nt.letter_of(nt.W)), letter(nt.letter_of(nt.w_star))
    ok = ok and meets[1][0].is_zero() and meets[0][0].equals(blocks.X.T @ (w @ letter(NOW) - star))
    ledger.record("eq-A.1-steps.c", symbolic(ok, "general d, n, i", kind="derivation"))

    def prediction(point: Point):
        now = check.weights(point)[:, point.k - 1]
        X = point.prompts.X.numpy()
        on_prompt = np.einsum("bdn,bd->bn", X, now @ point.W.T - point.w_star)
        return np.concatenate([on_prompt, np.zeros((point.prompts.size, point.k))], axis=1)

    ledger.record("eq-A.1-steps.c", identity(check.scores, prediction, points(seed("scores"), 1), SHAPES))


@pytest.mark.statements("eq-A.1-steps.d")
def test_step_error(ledger, seed):
    definition, _ = model.residual()
    power = nt.rho_cot**nt.i
    star = letter(nt.letter_of(nt.w_star))
    aim, now = star * (1 - power * nt.rho_cot), star * (1 - power)
    ledger.record(
        "eq-A.1-steps.d",
        symbolic(
            definition.norm2().equals((aim - now).norm2()),
            "w_{i+1} − ŵ_i at ŵ_i = w_i, general d",
            kind="derivation",
        ),
    )
    ledger.record("eq-A.1-steps.d", counterexample(registry()["eq-A.1-steps.d"]))
    output = definition + aim  # the model's output from w_i, which the paper's A.1 calls ŵ_{i+1}
    ledger.record(
        "eq-A.1-steps.d",
        symbolic(
            (aim - output).norm2().equals(definition.norm2()),
            "w_{i+1} − ŵ_{i+1}, general d",
            "corrected",
            "derivation",
        ),
    )
    outputs = of_prompts(output, steps=lambda p: p.k + 1)

    def squared_gap(point: Point):
        return ((check.supervised_path(point)[:, 1:] - outputs(point)) ** 2).sum(-1)

    ledger.record(
        "eq-A.1-steps.d",
        identity(
            check.step_errors, squared_gap, points(seed("step error"), kind=TaughtPoint), SHAPES, "corrected"
        ),
    )


@pytest.mark.statements("eq-A.4")
def test_solution(ledger, seed):
    applied, printed = model.induction_step()
    printed_form = registry()["eq-A.4"].printed
    ledger.record(
        "eq-A.4", symbolic(applied.equals(printed), "induction on k, general d, n, k", kind="derivation")
    )
    holds = True
    for columns, (V, W, S, star) in _chains():
        given = {nt.V: V, nt.W: W, nt.S: S, nt.w_star: star, model.w_hat0: sp.zeros(S.rows, 1)}
        parts = [
            explicit(part, given, {nt.k: len(columns), nt.d: S.rows}) for part in printed_form.args[1].args
        ]
        holds = holds and parts[0] - parts[1] == columns[-1][S.rows + 1 : -1, 0]
    ledger.record("eq-A.4", symbolic(holds, "full forward pass, rationals, d ≤ 3, k ≤ 3"))

    def prediction(point: Point):
        out = []
        for S, star in zip(point.S, point.w_star, strict=True):
            M = np.eye(point.d) + point.V @ S @ point.W
            powers = [np.linalg.matrix_power(M, i) for i in range(point.k + 1)]
            out.append(
                powers[-1] @ point.w0 - sum((p @ point.V @ S @ star for p in powers[:-1]), np.zeros(point.d))
            )
        return np.array(out)

    ledger.record(
        "eq-A.4",
        identity(check.last_weight, prediction, points(seed("solution")), SHAPES + "; ŵ_0 ≠ 0, k = 0 … 4"),
    )
