"""Proposition B.2 asked of Ṽ_* itself: evidence for ``theory/risk_curve_exact.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import risk_curve_exact as exact
from theory import risk_curve_points as points
from theory.block_symbols import (
    Sigma,
    a,
    alpha,
    aspect,
    explicit,
    g,
    k,
    mu,
    r,
    rho_pre,
    w,
)
from theory.notation import eta
from theory.risk_curve_formulas import REST, in_numbers, in_paper, positive
from theory.statement import registry
from verify.checks import risk_curve as check
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.risk_curve_settings import (
    APART,
    AT_EQUALITY,
    LEVEL,
    MANY,
    MATCHED,
    SLOPED,
    SLOPED_TINY,
    SMALL_R,
    exact_at,
)
from verify.risk_curve_settings import exact_number as number

R = sp.Rational


def printed(id):
    return registry()[id].printed


def point(first, rho, rate, level, ratio):
    return points.Point(*map(sp.sympify, (first, rho, rate, level, ratio)))


def at_point(expression, of):
    """An expression in levels at a point in rationals."""
    values = {rho_pre: of.rho, eta: of.eta, r: of.r, aspect: of.aspect, mu[1]: of.first}
    return in_numbers(exact.in_levels(expression, 2)).xreplace(values)


def slope_printed():
    return printed("ext-curve.a").args[0].rhs


def slope_in_levels(blocks=2):
    """The print of ext-curve.a with its own definitions put in."""
    first, sums, levels = printed("ext-curve.a").args
    named = {each.lhs: each.rhs for each in sums.args}
    body = explicit(first.rhs.xreplace({exact.miss: named[exact.miss]}), blocks)
    body = body.xreplace({exact.column_mean: explicit(named[exact.column_mean], blocks)})
    spots = range(1, blocks + 1)
    return body.xreplace({x.lhs.subs(k, i): x.rhs.subs(k, i) for x in levels.args for i in spots})


@pytest.mark.statements("ext-curve.a")
def test_slope(ledger, profile, seed):
    id = "ext-curve.a"
    goal = slope_printed().xreplace({exact.miss: exact.MISS})
    holds = exact.expanded(exact.slope_at_zero(3) - explicit(goal, 3), 3) == 0
    ledger.record(id, symbolic(holds, "d/dβ of the limit curve, K = 3", kind="derivation"))
    of = point(R(1, 3), R(1, 2), R(2, 3), R(1, 4), R(1, 2))
    ledger.record(
        id,
        symbolic(at_point(slope_in_levels(), of) == points.exact(of).slope, "two blocks at a rational point"),
    )
    expected = [number(slope_in_levels(), each) for each in SLOPED]
    ledger.record(id, check.slopes(expected, SLOPED, "minimiser", seed("slope"), profile))


@pytest.mark.statements("ext-curve.b")
def test_slope_without_interference(ledger, profile, seed):
    id = "ext-curve.b"
    goal = printed(id).args[3]
    at_zero = in_paper(exact.in_levels(exact.SLOPE, 2).xreplace({a[2]: sp.Integer(0)}))
    left = sp.cancel(sp.together((at_zero - in_paper(goal)).xreplace(REST)))
    ledger.record(id, symbolic(left == 0, "r = 0 in ext-curve.a, which has no 1/r", kind="derivation"))
    of = point(R(1, 3), R(1, 2), R(2, 3), points.r, R(1, 2))
    found = points.exact(of).slope.subs(points.r, 0)
    ledger.record(id, symbolic(found == at_point(goal, of), "r → 0 at a rational point"))
    expected = [number(goal, each) for each in SLOPED_TINY]
    ledger.record(id, check.slopes(expected, SLOPED_TINY, "minimiser", seed("tiny r"), profile))


@pytest.mark.statements("ext-curve.c")
def test_first_prompts(ledger, profile, seed):
    id = "ext-curve.c"
    together, edge = printed(id).args
    end = in_numbers(printed("ext-curve.b").args[3])
    at_zero = sp.cancel(end.subs(aspect, 0) - in_numbers(together.args[1])) == 0
    powers = [
        term.as_powers_dict()
        for term in sp.Add.make_args(
            sp.expand(explicit(slope_printed().xreplace({exact.miss: exact.MISS}), 2))
        )
    ]
    smooth = all(base == exact.column_mean or p >= 0 for one in powers for base, p in one.items())
    equality, rate = edge.args
    rise = sp.diff(end.subs(mu[1], equality.rhs), aspect).subs(aspect, 0)
    same = sp.cancel(rise - rate.rhs) == 0
    holds = at_zero and smooth and same and positive(rate.rhs)
    ledger.record(
        id,
        symbolic(
            bool(holds), "no negative power but of c̄ ≥ μ₁a₁²; equality: rising, any ρ", kind="derivation"
        ),
    )
    spots = [point(first, R(1, 2), R(2, 3), R(1, 1000), R(1, 1000)) for first in (R(1, 4), R(1, 5), R(3, 20))]
    small = [points.exact(of).slope for of in spots]
    wanted = [at_point(together.args[1], of) or at_point(rate.rhs, of) for of in spots]
    signs = all(x * y > 0 for x, y in zip(small, wanted, strict=True))
    ledger.record(id, symbolic(bool(signs), "signs at ρ=1/2, μ₁=1/4, 1/5, 3/20, r=γ=1/1000"))
    both_small = replace(SMALL_R, r=1e-4, aspect=2.0**-10)
    expected = [number(together.args[1], both_small)]
    ledger.record(id, check.slopes(expected, [both_small], "minimiser", seed("both small"), profile))
    expected = [number(rate.rhs, each) for each in LEVEL]
    ledger.record(id, check.growth(expected, LEVEL, "minimiser", seed("growth"), profile))
    for of in (AT_EQUALITY, replace(SMALL_R, first=1 / 8)):
        sign = int(np.sign(number(together.args[1], of) or number(rate.rhs, of)))
        ledger.record(id, check.slope_sign(sign, of, "minimiser", seed("sign"), profile))


@pytest.mark.statements("ext-curve.d")
def test_gap(ledger, profile, seed):
    id = "ext-curve.d"
    gap = printed(id).rhs
    ends = [explicit(exact.PLAIN, 2).xreplace({w[i]: sp.Integer(at) for i in (1, 2)}) for at in (1, 0)]
    left = (ends[0] - ends[1] - explicit(gap, 2)).xreplace(
        {exact.gain[i]: exact.MEANING[exact.gain].xreplace({k: sp.Integer(i)}) for i in (1, 2)}
        | {alpha[i]: 1 + g[i] * Sigma[i] for i in (1, 2)}
    )
    ledger.record(id, symbolic(sp.expand(left) == 0, "Π = I without noise less Π = 0", kind="derivation"))

    for of in (APART, MANY):
        end = number(gap + exact.START, of)

        def expected(at, of=of, end=end):
            return end if at == float("inf") else exact_at([at], of)[0]

        ledger.record(id, check.above(expected, of, "minimiser", seed("above"), profile))


@pytest.mark.statements("ext-curve.e")
def test_minimum(ledger, profile, seed):
    id = "ext-curve.e"
    ledger.record(id, counterexample(registry()[id], "outside"))
    x = sp.Symbol("x", positive=True)  # η/(r + γā), which grows as r and γ go to 0
    floor = explicit(exact.FLOOR, 2).xreplace({Sigma[2]: sp.Integer(1)})
    floor = sp.expand(floor.xreplace({a[2] + aspect * exact.post_mean: eta / x}))
    grows = sp.expand(floor.coeff(x, 2) - mu[2] * (1 + aspect * exact.Sigma_bar)) == 0
    text = "Err_*(∞) = μ₂(1+γΣ̄)η²/(r+γā)² + …, Err_*(0) is bounded, C₂* > 0"
    sign = {"<": 1, ">": -1}[printed(id).rel_op]
    ledger.record(id, symbolic(grows and sign == 1, text, "condition", "derivation"))
    found = points.exact(point(R(1, 2), R(1, 2), R(2, 3), R(1, 50), R(1, 20)))
    ledger.record(
        id,
        symbolic(
            bool(sign * (found.floor - found.error.subs(points.q, 0)) > 0),
            "Err_*(0) < Err_*(∞) at r=1/50, γ=1/20",
            "condition",
        ),
    )
    for of, few, many, form in (
        (SMALL_R, (0, 0.25), (1.5, 3, 20), "condition"),
        (MATCHED, (0, 0.1, 0.3, 0.6), (40,), "outside"),
    ):
        ledger.record(id, check.order(sign, of, "minimiser", few, many, seed("order"), profile, form))
