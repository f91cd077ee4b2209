"""The checks of Section 5.2 call wrong predictions wrong; the exact curve in q is the limit."""

from __future__ import annotations

import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed

from theory import risk_in_q as rq
from theory.block_symbols import q
from theory.interference_points import PANELS, figure
from theory.proportional import sft_risk_limit
from theory.risk_in_q import Blocks
from verify.checks import interference as check
from verify.checks.interference import Scene
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
R = sp.Rational
SEED = 20260304
SMALL = Scene(0.1, 100, d=100, m=50)


def trend() -> Case:
    places = [(SMALL, 3), (SMALL, 26), (SMALL, 80)]
    wrong = {"up first": (1, 1), "down for ever": (-1, -1), "the other way": (1, -1)}
    return Case(lambda p: check.trend(p, places, SEED, STANDARD), (-1, 1), wrong)


def growth() -> Case:
    sizes = (Scene(0.1, 20, d=20, m=10), Scene(0.1, 80, d=80, m=40))
    wrong = {"no growth": 0.0, "squared": 2.0, "inverse": -1.0}
    return Case(lambda p: check.growth(p, sizes, SEED, STANDARD), 1.0, wrong)


PLAN: Plan = {
    "interference.trend": (trend,),
    "interference.growth": (growth,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def _limit(of: Blocks, beta: sp.Rational) -> float:
    return sft_risk_limit(
        beta=float(beta),
        aspect=float(of.aspect),
        eta=float(of.eta),
        weights=list(map(float, of.weights)),
        post=list(map(float, of.post)),
        pre=list(map(float, of.pre)),
        test=list(map(float, of.test)),
        aspect_pre=float(of.aspect_pre),
        aspect_test=float(of.aspect_test),
    )  # type: ignore[return-value]


THREE = Blocks(
    (R(1, 5), R(1, 2), R(3, 10)),
    (R(2), R(0), R(1, 3)),
    (R(1, 4), R(3), R(1)),
    (R(1), R(1, 2), R(4)),
    R(3, 10),
    R(2, 3),
    R(5, 4),
    R(1, 7),
)


@pytest.mark.parametrize("of", [figure(PANELS[2], 2), figure(PANELS[0], (1, 2, 3)), THREE])
def test_exact_curve_is_the_limit(of: Blocks) -> None:
    """Below and above the spike, at both ends; two codes that share nothing but the theorem."""
    for value in (R(1, 50), R(3), R(400)):
        beta, risk = (f.subs(q, value) for f in (rq.curve(of).beta, rq.curve(of).risk))
        assert float(risk) == pytest.approx(_limit(of, beta), rel=1e-11)
    assert float(rq.start(of)) == pytest.approx(_limit(of, R(1, 10**12)), rel=1e-9)
    assert float(rq.past_spike(of, R(7, 2))) == pytest.approx(_limit(of, R(7, 2)), rel=1e-12)
    assert float(rq.floor(of)) == pytest.approx(_limit(of, R(10**14)), rel=1e-12)


def test_turning_points_are_those_of_the_curve() -> None:
    """Against a fine grid of the numeric limit."""
    for r in PANELS:
        of = figure(r, 1)
        low, high = rq.turning_beta(of)
        grid = [low * (1 + R(j, 50)) for j in range(-5, 6)]
        values = [_limit(of, b) for b in grid]
        assert high - low < R(1, 10**9)
        assert min(values) == values[5]


def test_above_counts_crossings() -> None:
    of = figure(R(1, 10), 1)
    least = rq.at_beta(of, sum(rq.turning_beta(of)) / 2)
    assert rq.above(of, R(str(float(least) * 0.999999)))
    assert not rq.above(of, R(str(float(least) * 1.000001)))
    assert not rq.above(of, rq.start(of) * 2)
