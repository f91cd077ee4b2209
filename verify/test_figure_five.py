"""Figure 5: evidence for ``theory/figure_five.py``."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import figure_five as figure_five_rows
from theory import figure_five_points as points
from theory import risk_in_q as rq
from theory.block_symbols import q
from theory.error_term_formulas import T_inv, T_inv_Sigma
from theory.error_term_formulas import value as right
from theory.first_order_limit import linearised_risk_limit
from theory.statement import registry
from verify.checks import error_terms, figure_five
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value

R = sp.Rational
BETAS = (*(R(j, 10) for j in range(1, 10)), R(99, 100))


def blocks(n):
    of = points.setting(n)
    levels = {name: [float(x) for x in getattr(of, name)] for name in ("weights", "post", "pre", "test")}
    return {"aspect": float(of.aspect), "eta": float(of.eta), **levels}


def task(n, B):
    return error_terms.paper(15, 15, B, round(float(points.LENGTHS[n]) * 30), 0.1, 0.2, 0.1)


@pytest.mark.statements("fig-5.a")
def test_curve_of_the_linearised_error(ledger, profile, seed):
    id = "fig-5.a"
    ledger.record(id, counterexample(registry()[id]))
    statement, holds = registry()[id], True
    assert statement.corrected is not None
    for n, level in ((1000, R(25)), (5000, R(2, 3))):
        at = points.Figure5(points.setting(n).aspect, level)
        values = {bs.mu: (R(1, 2),) * 2, bs.g: at.g, bs.delta_tilde: at.change, bs.w: at.w, bs.v: at.v}
        values |= {bs.Sigma: at.Sigma, bs.s: at.s}
        scalars = {bs.T12: at.T[0, 1], T_inv: at.inverse([x**2 for x in at.Sigma])}
        noise, signal = (
            bs.at(right(registry()[formula].corrected), values, scalars | {T_inv_Sigma: 0})
            for formula in ("eq-B.16", "eq-B.17")
        )
        inverse, at_test = (at.inverse([x**p for x in at.Sigma]) for p in (2, 1))
        weight = at.aspect * sum(at.Sigma) / 2
        whole = at.bias + at.aspect * inverse * noise + weight * (signal + at.aspect * at_test * noise)
        stated = value(statement.corrected.args[1], {figure_five_rows.F_TRUE: whole})
        holds = holds and sp.simplify(stated - sum(at.parts(True))) == 0
    text = (
        "F with T_var and T_var,Σ at Figure 5's levels, q = 25 (n=1000) and 2/3 (5000), from the traces of Π"
    )
    ledger.record(id, symbolic(bool(holds), text, "corrected"))
    of = [(1000, 15)]
    parts = [("error", task(n, B)) for n, B in of]
    for printed, form in ((True, "printed"), (False, "corrected")):
        wanted = []
        for n, B in of:
            limit = float(linearised_risk_limit(beta=B / 30, printed=printed, **blocks(n)))
            name = {figure_five_rows.F: limit, figure_five_rows.F_TRUE: limit}
            wanted.append(value(getattr(statement, form).args[1], name))
        found = error_terms.limits(wanted, parts, seed("error terms"), profile, form, error_terms.DELTA_NOISE)
        ledger.record(id, found)


def both(n, beta):
    """Err(V_S + V_N) and Err(Ṽ_*) in the limit at a rational β < 1, to 40 digits."""
    of = points.setting(n)
    share = sum(a**2 * q / (1 + a**2 * q) for a in of.post) / 2
    roots = sp.Poly(sp.numer(sp.together(share - beta)), q).nroots(n=40)
    (level,) = (x for x in roots if x.is_positive)
    return sum(points.Figure5(of.aspect, level).parts(True)), sp.N(rq.at_beta(of, beta), 40)


@pytest.mark.statements("fig-5.b")
def test_within_a_factor(ledger, profile, seed):
    id = "fig-5.b"
    bound = registry()[id].printed
    ledger.record(id, counterexample(registry()[id], "outside"))

    def holds(pairs):
        return all(
            value(bound, {figure_five_rows.LINEAR: x, figure_five_rows.EXACT: y}) == sp.true for x, y in pairs
        )

    of = points.setting(5000)
    # Above the spike both are C₁ + C₂/(β − 1), so that the ratio lies between those of C₁ and of C₂.
    ends = [(points.linearised_floor(of), rq.floor(of)), (points.linearised_excess(of), rq.excess(of))]
    text = f"n=5000: ratios {', '.join(str(sp.N(x / y, 4)) for x, y in ends)} of C₁ and of C₂, β > 1"
    ledger.record(id, symbolic(holds(ends), text, "condition"))
    below = [both(5000, beta) for beta in BETAS]
    largest = float(max(x / y for x, y in below))
    where = f"n=5000: at most {largest:.3f} at β = 1/10 … 99/100, 40 digits"
    ledger.record(id, symbolic(holds(below), where, "condition", "property"))

    def limit_on(error):
        return value(bound.rhs, {figure_five_rows.EXACT: error})

    # At β = 4 and n = 5000 Err(Ṽ_*) is near ½: a bound by its square is none there.
    for n, betas, form in (
        (5000, (1 / 6, 1 / 2, 3 / 2, 4), "condition"),
        (1000, (1 / 6, 1 / 2, 3 / 2), "outside"),
    ):
        places = [(float(points.LENGTHS[n]), beta) for beta in betas]
        sign = {"<=": 1, ">=": -1}[bound.rel_op]
        found = figure_five.within(limit_on, places, seed("ratios"), profile, form, sign)
        ledger.record(id, found)


@pytest.mark.statements("fig-5.c")
def test_tighter_for_longer_prompts(ledger, profile, seed):
    id = "fig-5.c"
    zero = sp.Integer(0)
    of = replace(points.setting(1000), aspect=zero, aspect_pre=zero, aspect_test=zero)
    linear = points.Figure5(zero, q)
    below = sp.simplify(rq.curve(of).risk - sum(linear.parts(True))) == 0
    beyond = (
        rq.floor(of) == points.linearised_floor(of) and rq.excess(of) == points.linearised_excess(of) == 0
    )
    text = "at γ = 0 both limits are one rational function of q, and one constant beyond the spike"
    equal = bool(below and beyond) and registry()[id].printed.args[-1] == 1
    ledger.record(id, symbolic(equal, text, kind="derivation"))
    for beta in (1 / 6, 1 / 2, 3 / 2):
        # Beyond the spike the difference is larger, and takes longer prompts to vanish.
        lengths = (5 / 3, 25 / 3, 125 / 3) + ((625 / 3,) if beta > 1 else ())
        places = [(length, beta) for length in lengths]
        ledger.record(
            id, figure_five.approach(float(registry()[id].printed.args[-1]), places, seed("ratios"), profile)
        )
