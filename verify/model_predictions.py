"""The registered formulas of Section 3 at a point: what the checks of the model take as predictions.

A point is one in floats or one in bounded numbers; the formula is evaluated as it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.matrices.expressions.matexpr import MatrixExpr

from theory import model
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.poly import Matrix, identity
from verify.checks import definition as written
from verify.checks import model as check
from verify.checks.definition import Lifted
from verify.checks.points import Point
from verify.surface import value

Array = NDArray[Any]
Values = Mapping[sp.Basic, Any]
At = Callable[[int, int], Values]  # symbols of a prompt and a step


def corrected(id: str) -> Any:
    return registry()[id].corrected


def recursion() -> sp.Basic:
    """The right side of A.1 as registered."""
    return registry()["eq-A.1"].printed.rhs


def in_recursion(form: sp.Basic) -> sp.Basic:
    """``form`` with A.1 as registered for ŵ_{i+1}."""
    return form.xreplace({model.w_next: recursion()})


def reached(point: Point) -> Array:
    """ŵ_0 … ŵ_k as measured, (B, k+1, d), at the point's precision."""
    return written.weights(point) if isinstance(point, Lifted) else check.weights(point)


def from_reached(point: Point) -> At:
    """The symbol ŵ_i at its measured value."""
    weights = reached(point)
    return lambda prompt, step: {model.w_now: weights[prompt, step][:, None]}


def symbols(point: Point) -> dict[sp.Basic, Any]:
    """Values of what a sum over prompts contains."""
    return {
        nt.V: point.V,
        nt.W: point.W,
        nt.S_tau: lambda tau: point.S[tau - 1],
        nt.w_star_tau: lambda tau: point.w_star[tau - 1][:, None],
        model.w_hat0: point.w0[:, None],
        nt.eta: point.eta,
        nt.rho_cot: 1 - point.eta,
        nt.n: point.n,
        nt.B: point.prompts.size,
        nt.k: point.k,
    }


def of_prompt(point: Point, prompt: int) -> dict[sp.Basic, Any]:
    """Values of what is said of one prompt."""
    here = {nt.S: point.S[prompt], nt.X: point.X[prompt], nt.w_star: point.w_star[prompt][:, None]}
    return {**symbols(point), **here}


def printed(
    form: sp.Basic, more: Callable[[Point], At] = from_reached, steps: Callable[[Point], int] = lambda p: p.k
) -> Callable[[Point], Array]:
    """A column, or a number, for each prompt and step of a point, (B, steps, rows)."""

    def predict(point: Point) -> Array:
        at, found = more(point), []
        for prompt in range(point.prompts.size):
            base = of_prompt(point, prompt)
            row = [value(form, {**base, nt.i: i, **at(prompt, i)}) for i in range(steps(point))]
            found.append([np.ravel(one) for one in row])
        return np.array(found)

    return predict


def total(form: sp.Basic, more: Callable[[Point], Values] = lambda _: {}) -> Callable[[Point], Array]:
    """A number for a point, as an array of one."""
    return lambda point: np.array([value(form, {**symbols(point), **more(point)})])


def last_weights(point: Point) -> Values:
    """ŵ_k of each prompt: A.1 as registered, k times from 0."""
    step, found = recursion(), []
    for prompt in range(point.prompts.size):
        base, now = of_prompt(point, prompt), 0 * point.w0[:, None]
        for _ in range(point.k):
            now = value(step, {**base, model.w_now: now})
        found.append(now)
    return {model.w_hat_k_tau: lambda tau: found[tau - 1]}


def taught(base: Values, path: sp.Basic, step: int) -> tuple[Any, Any]:
    """The model's output from w_i, and w_{i+1}: A.1 and the path of eq. 3.5 as registered, at values."""
    now, following = (value(path, {**base, nt.i: i}) for i in (step, step + 1))
    return value(recursion(), {**base, model.w_now: now}), following


def supervised(point: Point) -> Values:
    """The model's output and its target in each supervised step, as full columns."""
    path, column = registry()["eq-3.5.a"].printed.args[0], registry()["eq-3.2.a"].printed.args[1]
    found = [
        [taught(of_prompt(point, prompt), path, step) for step in range(point.k + 1)]
        for prompt in range(point.prompts.size)
    ]

    def at(side: int) -> Callable[[int], Callable[[int], Array]]:
        return lambda tau: lambda i: value(column, {model.w_next: found[tau - 1][i][side]})

    return {model.output: at(0), model.target_tau: at(1)}


# In words -------------------------------------------------------------------------------------------


def cells(column: nt.Column) -> list[Matrix]:
    """The blocks of a column in words; a bare number is a 1 × 1 block."""
    return [
        lower_matrix(part) if isinstance(part, MatrixExpr) else identity(1) * part for part in column.args
    ]


def at_k(form: sp.Basic, k: int) -> sp.Basic:
    """``form`` at an explicit k, its sums of matrices written out."""

    def terms(found: nt.MatrixSum) -> sp.Basic:
        of, index, low, high = found.args
        return reduce(add, (of.subs(index, i) for i in range(int(low), int(high) + 1)))

    return form.subs(nt.k, k).replace(lambda e: isinstance(e, nt.MatrixSum), terms)
