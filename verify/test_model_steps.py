"""The steps of the proof on the way to A.1: evidence for ``theory/model.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import blocks, exact, model
from theory import notation as nt
from theory.lower import lower_scalar
from theory.statement import registry
from theory.words.poly import letter, substitute
from verify.checks import definition as written
from verify.checks import model as check
from verify.checks import precision
from verify.checks.definition import Lifted
from verify.checks.points import Point, TaughtPoint, points
from verify.checks.precision import hard_points
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.model_predictions import cells, corrected, from_reached, of_prompt, printed, reached, taught
from verify.surface import value
from verify.test_model import NOW, SHAPES, rational_point


def _embedded(point: Point):
    """Z_i as the model has written it, for each prompt and step, and V."""
    if isinstance(point, Lifted):
        whole, V = written.chains(point), written.assemble(point)[0]
    else:
        whole, V = list(check.chain(point).numpy()), check.full(point)[0].numpy()
    now = from_reached(point)

    def at(prompt: int, step: int):
        Z = whole[prompt][:, : point.n + step + 1]
        return {model.V_full: V, model.Z_i: Z, **now(prompt, step)}

    return at


def _beside(*measures):
    """What several measures find, in one row for each prompt and step."""
    return lambda point: np.concatenate([measure(point) for measure in measures], axis=-1)


def _in_rows(*parts):
    """Arrays of prompts, each flat, in one row for each prompt."""
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


@pytest.mark.statements("eq-A.1-steps.a")
def test_query(ledger, seed):
    """The column that a step writes, and W Z_i[:, −1] by itself: V reads a part of it only."""
    claim = registry()["eq-A.1-steps.a"].printed.args[1]
    seen = claim.args[1].args[-1]
    _, w_pattern = blocks.pattern()
    query = blocks.product(w_pattern, blocks.last_column(letter(NOW)))
    ok = all(row[0].equals(cell) for row, cell in zip(query, cells(seen), strict=True))
    ledger.record("eq-A.1-steps.a", symbolic(ok, "general d", kind="derivation"))
    columns, queries = printed(claim, _embedded), printed(seen)
    prediction = lambda point: np.concatenate([columns(point), queries(point)], axis=-1)  # noqa: E731
    measure = _beside(check.generated_columns, check.queries)
    ledger.record("eq-A.1-steps.a", identity(measure, prediction, points(seed("queries"), 1), SHAPES))
    at, defined = hard_points(seed("queries"), 1), _beside(written.generated_columns, written.queries)
    ledger.record("eq-A.1-steps.a", precision.identity(defined, measure, prediction, at))


@pytest.mark.statements("eq-A.1-steps.b")
def test_block_display(ledger, seed):
    """V Z_i, and the vector that meets it: W̃ŵ_i, where the print has W̃w_0."""
    claim = corrected("eq-A.1-steps.b")
    v_pattern, w_pattern = blocks.pattern()
    tokens, ones = letter(blocks.TOKENS), letter(blocks.ONES)
    mixed = blocks.product(v_pattern, blocks.embedding(tokens, ones))
    mixing, _, seen = claim.args
    prompt, written_after = zip(*(row.args for row in mixing.args), strict=True)
    ok = all(row[0].equals(cell) for row, cell in zip(mixed, cells(nt.Column(*prompt)), strict=True))
    ok = ok and all(
        row[1].is_zero() and zero.is_ZeroMatrix for row, zero in zip(mixed, written_after, strict=True)
    )
    query = blocks.product(w_pattern, blocks.last_column(letter(NOW)))
    ok = ok and all(row[0].equals(cell) for row, cell in zip(query, cells(seen), strict=True))
    first = letter(nt.letter_of(model.w_zero))
    right, wrong = (blocks.product(w_pattern, blocks.last_column(w))[0][0] for w in (letter(NOW), first))
    ledger.record(
        "eq-A.1-steps.b", symbolic(right.equals(wrong), "W̃w_0 for W̃ŵ_i, general d, i", kind="derivation")
    )
    ledger.record("eq-A.1-steps.b", counterexample(registry()["eq-A.1-steps.b"]))
    V, W, X, w = rational_point(2, 3)
    start = [exact.weight_column(sp.zeros(2, 1))]
    widths = [exact.embed(X, w, start + exact.chain(*exact.assemble(V, W), X, w, i)).cols for i in range(4)]
    ledger.record(
        "eq-A.1-steps.b",
        symbolic(
            all(width == 3 + 3 for width in widths), f"n+3 columns at n = 3, against {widths} for i = 0 … 3"
        ),
    )
    ledger.record(
        "eq-A.1-steps.b", symbolic(ok, "V Z_i and W Z_i[:, −1], general d, i", "corrected", "derivation")
    )

    def prediction(point: Point):
        """The factors, and their product over n, which is what the last step adds."""
        at, step, found = _embedded(point), point.k - 1, []
        for prompt in range(point.prompts.size):
            given = {**of_prompt(point, prompt), **at(prompt, step), nt.i: step}
            parts = [value(mixing, given), value(seen, given), value(claim, given) / point.n]
            found.append(np.concatenate([np.ravel(part) for part in parts]))
        return np.array(found)

    def measure(point: Point):
        moved = np.diff(check.chain(point).numpy()[..., -2:])
        return _in_rows(check.mixing(point), check.queries(point)[:, -1], moved)

    def defined(point: Lifted):
        moved = np.array([Z[:, -1] - Z[:, -2] for Z in written.chains(point)])
        return _in_rows(written.mixing(point), written.queries(point)[:, -1], moved)

    ledger.record(
        "eq-A.1-steps.b", identity(measure, prediction, points(seed("mixing"), 1), SHAPES, "corrected")
    )
    at = hard_points(seed("mixing"), 1)
    ledger.record("eq-A.1-steps.b", precision.identity(defined, measure, prediction, at, "corrected"))


@pytest.mark.statements("eq-A.1-steps.c")
def test_scores(ledger, seed):
    """The column that a step writes, and the scores that it comes from."""
    claim = registry()["eq-A.1-steps.c"].printed.args[1]
    column = blocks.forward(*blocks.pattern(), letter(NOW))
    stated = [blocks.with_covariance(now + step) for now, step in zip(*map(cells, claim.args), strict=True)]
    ok = all(row[0].equals(cell) for row, cell in zip(column, stated, strict=True))
    _, w_pattern = blocks.pattern()
    Z = blocks.embedding(letter(blocks.TOKENS), letter(blocks.ONES))
    meets = blocks.product(blocks.transpose(Z), blocks.product(w_pattern, blocks.last_column(letter(NOW))))
    w, star = letter(nt.letter_of(nt.W)), letter(nt.letter_of(nt.w_star))
    ok = ok and meets[1][0].is_zero() and meets[0][0].equals(blocks.X.T @ (w @ letter(NOW) - star))
    ledger.record("eq-A.1-steps.c", symbolic(ok, "general d, n, i", kind="derivation"))
    columns = printed(claim)

    def prediction(point: Point):
        now = reached(point)[:, point.k - 1]
        on_prompt = np.einsum("bdn,bd->bn", point.X, now @ point.W.T - point.w_star)
        none = np.zeros((point.prompts.size, point.k))
        return np.hstack([columns(point).reshape(len(none), -1), on_prompt, none])

    def measure(point: Point):
        return _in_rows(check.generated_columns(point), check.scores(point))

    def defined(point: Lifted):
        return _in_rows(written.generated_columns(point), written.scores(point))

    ledger.record("eq-A.1-steps.c", identity(measure, prediction, points(seed("scores"), 1), SHAPES))
    at = hard_points(seed("scores"), 1)
    ledger.record("eq-A.1-steps.c", precision.identity(defined, measure, prediction, at))


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
    claim, path = corrected("eq-A.1-steps.d"), registry()["eq-3.5.a"].printed.args[0]
    names = (nt.letter_of(model.path_next_tau), nt.letter_of(model.hat_next_tau))
    stated = substitute(lower_scalar(claim), dict(zip(names, (aim, output), strict=True)))
    ledger.record(
        "eq-A.1-steps.d",
        symbolic(
            stated.equals(definition.norm2()), "w_{i+1} − ŵ_{i+1}, general d", "corrected", "derivation"
        ),
    )

    def on_path(point: Point):
        def at(prompt: int, step: int):
            output, aim = taught(of_prompt(point, prompt), path, step)
            return {model.path_next_tau: aim, model.hat_next_tau: output}

        return at

    each = printed(claim, on_path, lambda p: p.k + 1)
    squared_gap = lambda point: each(point)[..., 0]  # noqa: E731
    ledger.record(
        "eq-A.1-steps.d",
        identity(
            check.step_errors, squared_gap, points(seed("step error"), kind=TaughtPoint), SHAPES, "corrected"
        ),
    )
    at = hard_points(seed("step error"))
    found = precision.identity(written.step_errors, check.step_errors, squared_gap, at, "corrected")
    ledger.record("eq-A.1-steps.d", found)
