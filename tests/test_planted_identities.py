"""Wrong predictions of the columns that the full model writes, one for every term and factor.

The comparisons are to rounding: nothing is random, and no mutation is too small to be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
from mutations import Case, Plan, mutants, of_words, unnoticed
from numpy.typing import NDArray

from theory import model
from theory import notation as nt
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix, identity, letter, zero
from verify.checks import model as check
from verify.checks import run
from verify.checks.points import Point, points
from verify.ledger.evidence import Evidence
from verify.predictions import V, of_prompts

Array = NDArray[np.float64]
Predict = Callable[[Point], Array]
NOW, START = nt.letter_of(model.w_now), nt.letter_of(model.w_hat0)
v, s, w, star, now, start = (
    letter(nt.letter_of(m)) for m in (nt.V, nt.S, nt.W, nt.w_star, model.w_now, model.w_hat0)
)
UPDATE = now + v @ s @ (w @ now - star)


def against(measure: Predict, least_k: int = 0, kind: type[Point] = Point) -> Callable[[Predict], Evidence]:
    """The check at the first two of the generic points, d = 3 < n, k = 3 and d = 4 > n, k = 2.  The others
    lie at borders (η = 1, k = 0, d = 1), where some mutants are equal to the right prediction."""
    at = list(islice(points(20260301, least_k, kind), 2))
    return lambda prediction: run.identity(measure, prediction, at, "two shapes")


def previous(point: Point, prompt: int, step: int) -> dict[Any, Array]:
    return {NOW: check.weights(point)[prompt, step][:, None]}


def from_start(point: Point, prompt: int, step: int) -> dict[Any, Array]:
    return {START: point.w0[:, None]}


def each_step(expression: Any) -> Predict:
    """An expression in ŵ_i at i = 0 … k−1, (B, k, d)."""
    return of_prompts(expression, previous, lambda p: p.k)


def columns(weights: Array, y: float = 0.0, constant: float = 1.0) -> Array:
    """(…, d) weights as the columns (0, y, weights, constant)."""
    ends = [np.full((*weights.shape[:-1], 1), value) for value in (y, constant)]
    return np.concatenate([np.zeros_like(weights), ends[0], weights, ends[1]], axis=-1)


def solution(k: int) -> Matrix:
    """ŵ_k of A.4 in words."""
    M = identity(nt.d) + v @ s @ w
    return M.power(k) @ start - sum((M.power(i) @ v @ s @ star for i in range(k)), zero(nt.d, 1))


def at_k(family: Callable[[int], Matrix], words: bool = True) -> dict[str, Callable[[int], Matrix]]:
    """Wrong families: the formula at k+1 in the place of k, and each mutant of the formula at k = 2."""
    found = mutants(family(2), words=words)
    wrong = {name: lambda j, m=m: m if j == 2 else family(j) for name, m in found.items()}
    return {**wrong, "k+1 for k": lambda j: family(j + 1)}


def layer(weights: Callable[..., Any]) -> Callable[..., Any]:
    """Eq. 3.1 at the merged (V, W) that ``weights`` makes of W_K, W_Q, W_V, W_P."""

    def predict(Z: Any, K: Any, Q: Any, V: Any, P: Any, scale: float) -> Any:
        merged_V, merged_W = weights(K, Q, V, P)
        return Z + merged_V @ (Z @ (Z.T @ (merged_W @ Z))) / scale

    return predict


def merged_layer() -> Case:
    wrong = {
        "factor": lambda K, Q, V, P: (P @ V * 9 / 8, K.T @ Q),
        "sign": lambda K, Q, V, P: (-P @ V, K.T @ Q),
        "both transposed": lambda K, Q, V, P: ((P @ V).T, K.T @ Q),
        "keys for queries": lambda K, Q, V, P: (P @ V, Q.T @ K),
        "no values": lambda K, Q, V, P: (np.eye(len(P)), K.T @ Q),
        "no keys": lambda K, Q, V, P: (P @ V, Q.T @ Q),
    }
    return Case(
        lambda p: check.merged_layer(p, 3),
        layer(lambda K, Q, V, P: (P @ V, K.T @ Q)),
        {name: layer(weights) for name, weights in wrong.items()},
    )


def next_weights() -> Case:
    return of_words(against(check.next_weights, 1), each_step, UPDATE)


def generated_columns() -> Case:
    terms = mutants(UPDATE, words=False)  # every factor is edited in next_weights
    wrong = {name: lambda p, m=m: columns(each_step(m)(p)) for name, m in terms.items()}
    wrong["y is −1"] = lambda p: columns(each_step(UPDATE)(p), y=-1.0)
    wrong["constant is 0"] = lambda p: columns(each_step(UPDATE)(p), constant=0.0)
    wrong["k for k+1"] = lambda p: columns(check.weights(p)[:, :-1])
    return Case(against(check.generated_columns, 1), lambda p: columns(each_step(UPDATE)(p)), wrong)


def weights() -> Case:
    def make(family: Callable[[int], Matrix]) -> Predict:
        return of_prompts(family, from_start, lambda p: p.k + 1)

    wrong = {name: make(family) for name, family in at_k(solution, words=False).items()}
    return Case(against(check.weights), make(solution), wrong)


def last_weight() -> Case:
    def make(family: Callable[[int], Matrix]) -> Predict:
        return lambda p: of_prompts(family(p.k), from_start)(p)[:, 0]

    wrong = {name: make(family) for name, family in at_k(solution).items()}
    return Case(against(check.last_weight), make(solution), wrong)


def queries() -> Case:
    def make(expression: Matrix, label: float = -1.0) -> Predict:
        def predict(point: Point) -> Array:
            seen = each_step(expression)(point)
            rows = np.zeros((*seen.shape[:-1], 2 * point.d + 2))
            rows[..., : point.d], rows[..., point.d] = seen, label
            return rows

        return predict

    more = (nt.letter_of(nt.V), nt.letter_of(nt.w_star))
    case = of_words(against(check.queries, 1), make, w @ now, letters=more)
    return Case(case.check, case.right, {**case.wrong, "label 1": make(w @ now, 1.0)})


def scores() -> Case:
    def make(expression: Matrix, on_weights: float = 0.0, power: int = 0) -> Predict:
        def predict(point: Point) -> Array:
            seen = each_step(expression)(point)[:, -1]
            on_prompt = np.einsum("bdn,bd->bn", point.prompts.X.numpy(), seen) / point.n**power
            return np.concatenate([on_prompt, np.full((len(seen), point.k), on_weights)], axis=1)

        return predict

    case = of_words(against(check.scores, 1), make, w @ now - star)
    more = {
        "generated columns score": make(w @ now - star, 1.0),
        "divided by n": make(w @ now - star, 0.0, 1),
    }
    return Case(case.check, case.right, {**case.wrong, **more})


def mixing() -> Case:
    def make(expression: Matrix, row: int = 1) -> Predict:
        def predict(point: Point) -> Array:
            out = np.zeros((point.prompts.size, 2 * point.d + 2, point.n + point.k))
            for t, X in enumerate(point.prompts.X.numpy()):
                values = {V: point.V, nt.letter_of(nt.W): point.W, nt.letter_of(nt.X): X}
                at = row * (point.d + 1)
                out[t, at : at + point.d, : point.n] = evaluate(expression, values)
            return out

        return predict

    right = v @ letter(nt.letter_of(nt.X))
    case = of_words(against(check.mixing, 1), make, right, letters=[nt.letter_of(nt.W)])
    return Case(case.check, case.right, {**case.wrong, "in the rows of x": make(right, 0)})


PLAN: Plan = {
    "model.merged_layer": (merged_layer,),
    "model.next_weights": (next_weights,),
    "model.generated_columns": (generated_columns,),
    "model.weights": (weights,),
    "model.last_weight": (last_weight,),
    "model.queries": (queries,),
    "model.scores": (scores,),
    "model.mixing": (mixing,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
