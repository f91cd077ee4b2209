"""Wrong predictions of property tests: wrong everywhere, in one entry, or in a corner of what is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

from theory.exact import frobenius_squared
from verify.checks import generated
from verify.checks.generated import Equality
from verify.checks.points import Point
from verify.ledger.evidence import Evidence
from verify.profiles import PROFILES
from verify.strategies import MomentPoint, model_points, moment_points

Array = NDArray[np.float64]
STANDARD = PROFILES["standard"]


def spread(point: Point) -> Array:
    """ṼS of the first prompt."""
    return np.asarray(point.V @ point.S[0])


def off(where: Callable[[Point], bool], by: float = 1e-9) -> Callable[[Point], Array]:
    """Off by a part in 10⁹ of the scale, in one entry, at some of the points."""

    def wrong(point: Point) -> Array:
        found = spread(point).copy()
        found[-1, 0] += by * point.growth * where(point)
        return found

    return wrong


def rank(point: Point) -> int:
    return int(np.linalg.matrix_rank(point.S[0], hermitian=True))


def identity() -> Case:
    wrong = {
        "factor": lambda p: spread(p) * 9 / 8,
        "sign": lambda p: -spread(p),
        "transposed": lambda p: spread(p).T,
        "other order": lambda p: p.S[0] @ p.V,
        "another prompt": lambda p: p.V @ p.S[-1],
        "an entry": off(lambda p: True),
        "n < d": off(lambda p: p.n < p.d),
        "B < d": off(lambda p: p.prompts.size < p.d),
        "η = 1": off(lambda p: p.eta == 1),
        "rank below min(d, n)": off(lambda p: rank(p) < min(p.d, p.n)),
        "nearly singular": off(lambda p: np.linalg.cond(p.S[0]) > 1e6),
    }
    return Case(lambda p: generated.identity(spread, p, model_points(), STANDARD), spread, wrong)


Trace = Callable[[MomentPoint], sp.Expr]


def exact() -> Case:
    """tr LLᵀ = ‖L‖²."""

    def check(prediction: Trace) -> Evidence:
        compare = lambda at: Equality(frobenius_squared(at.root) == prediction(at))  # noqa: E731
        return generated.generated(compare, moment_points(), generated.EXACT, STANDARD)

    right: Trace = lambda at: (at.root * at.root.T).trace()  # noqa: E731
    wrong: dict[str, Trace] = {
        "square of the trace": lambda at: at.root.trace() ** 2,
        "singular": lambda at: right(at) + int(at.root.det() == 0),
        "n > d": lambda at: right(at) + int(at.n > at.M.rows),
        "not commuting": lambda at: right(at) + int(at.M * at.root != at.root * at.M),
    }
    return Case(check, right, wrong)


PLAN: Plan = {"generated.identity": (identity,), "generated.generated": (exact,)}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_what_differs_is_shown_at_its_simplest() -> None:
    found = generated.identity(spread, off(lambda p: p.d > 1 and p.k > 1), model_points(), STANDARD)
    assert found.outcome == "differs"
    assert " of the scale at d=2, n=" in found.measured
    assert ", k=2, η=0.0625" in found.measured


def test_as_many_examples_as_the_profile_says() -> None:
    for name in ("quick", "standard"):
        profile = PROFILES[name]
        found = generated.identity(spread, spread, model_points(), profile)
        assert found.regime.startswith(f"{profile.examples} examples, ")


def test_an_error_is_no_outcome() -> None:
    def fails(point: Point) -> Array:
        raise ArithmeticError("no such point")

    with pytest.raises(ArithmeticError, match="no such point"):
        generated.identity(spread, fails, model_points(), STANDARD)
