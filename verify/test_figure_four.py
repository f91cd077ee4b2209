"""Figure 4: evidence for ``theory/figure_four.py``."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import sympy as sp

from theory import exact
from theory import figure_four_points as points
from theory import notation as nt
from theory import os_finite_points as proportional
from theory import risk_in_q as rq
from theory.statement import registry
from verify.checks import figure_four as check
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.figure_four_settings import ALONE, SCALED, panel
from verify.surface import value

R = sp.Rational
HALF_RANK = {"rank": SCALED["d"] // 2, "k": 1}
UPDATES = (4, 80, 480)  # prompts: 1, 4 and 24 updates an epoch
ALL = 0  # prompts in a minibatch


def signs(id):
    """What the print gives as the sign of each slope, in its order: −1, 1, or 0 of an equation."""
    printed = registry()[id].printed
    parts = printed.args if isinstance(printed, nt.Listing) else (printed,)
    return tuple(_sign(part.args[-1] if isinstance(part, sp.Implies) else part) for part in parts)


def _sign(relation):
    if isinstance(relation, sp.Eq):
        return int(relation.rhs)
    return {sp.StrictGreaterThan: 1, sp.StrictLessThan: -1}[type(relation)]


def changes(errors):
    """The signs of the changes from each error to the next, repetitions once."""
    found = (int(sp.sign(b - a)) for a, b in itertools.pairwise(errors))
    return tuple(sign for sign, _ in itertools.groupby(found))


# Fine-tuning ------------------------------------------------------------------------------------------


@pytest.mark.statements("fig-4.a")
def test_fine_tuning_in_prompts(ledger, profile, seed):
    id = "fig-4.a"
    claim = signs(id)
    ledger.record(id, counterexample(registry()[id], "outside"))
    for k in (1, 3):
        errors = points.tuned(12, k=k)
        text = f"d=1, S=w*=1, Σ₀=1/10, η=1/5, k={k}: the error after 0, 1, …, 12 updates, rationals"
        ledger.record(id, symbolic(changes(errors) == claim, text, "condition"))
    # At η = 1 the end, −1, lies before the best, −10/11.
    errors = points.tuned(12, eta=R(1))
    text = "the same at η = 1"
    ledger.record(id, symbolic(changes(errors) == claim, text, "outside"))
    of = [replace(proportional.figure_four(length), eta=points.ETA) for length in proportional.LENGTHS]
    least_at_end = all(rq.above(each, rq.floor(each)) and rq.excess(each) > 0 for each in of)
    text = "(4.1), Δ a projection, n = d, 2d, 4d: every B has more error than B → ∞, Sturm"
    ledger.record(id, symbolic(not least_at_end, text, "outside"))
    many = replace(panel("sft", "B", **HALF_RANK), values=UPDATES)
    ledger.record(id, check.turning(claim, many, seed("prompts"), profile, "condition"))
    full = panel("sft", "B", **HALF_RANK, batch=ALL)
    ledger.record(id, check.turning(claim, full, seed("prompts"), profile, "outside"))
    least = panel("sft", "B", "closed")
    ledger.record(id, check.turning(claim, least, seed("prompts"), profile, "outside"))


@pytest.mark.statements("fig-4.b")
def test_fine_tuning_in_length(ledger, profile, seed):
    id = "fig-4.b"
    claim = signs(id)
    ledger.record(id, counterexample(registry()[id], "outside"))
    formulas = as_registered(points.ONES, points.ETA)
    for groups in (1, 20):
        course = points.course(points.many_prompts(points.ONES, points.ETA, groups))
        holds = formulas and course == claim
        text = f"d={5 * groups}, Δ=11ᵀ in each five coordinates, B → ∞, η=1/5: (5.1) of (4.2) at one n, Sturm"
        ledger.record(id, symbolic(holds, text, "condition"))
    for quantity in ("test", "closed"):
        found = check.turning(claim, panel("sft", "n", quantity), seed("tuning"), profile, "condition")
        ledger.record(id, found)
    found = check.turning(claim, panel("sft", "n", "closed", **ALONE), seed("tuning"), profile, "outside")
    ledger.record(id, found)


def as_registered(Delta, eta):
    """Whether (3.7), (4.2) and (5.1) as they are registered give the closed form at d = 10, n = 7."""
    Sigma0, A = (sp.diag(each, each) for each in (points.GROUP, Delta))
    at = {nt.Sigma0: Sigma0, nt.A: A, nt.Sigma: Sigma0 + A, nt.eta: eta, nt.n: sp.Integer(7)}
    at[nt.Gamma0] = value(registry()["eq-3.6.a"].printed.args[-1].rhs, at)
    at[nt.V] = value(registry()["prop-4.3"].printed.args[-1].args[-1], at)
    error = value(registry()["prop-5.1"].printed.args[-1], at)
    return bool(sp.simplify(error - points.many_prompts(Delta, eta, 2).subs(points.n, 7)) == 0)


@pytest.mark.statements("fig-4.c")
def test_fine_tuning_in_steps(ledger, profile, seed):
    id = "fig-4.c"
    (claim,) = signs(id)
    tasks = [(1, 2), (-1, 3), (2, 1)]
    prompts = [(x * sp.ones(2, 1), sp.Matrix(w)) for x, w in zip((1, 2, 3), tasks, strict=True)]
    V = exact.fixed_point(*exact.stack(prompts), points.GROUP[:2, :2], points.ETA)
    # No slope along any direction that the prompts see, and nothing moved off them, at each k: one end.
    same = all(exact.supervised_gradient(prompts, V, points.ETA, k)[0] == sp.zeros(2, 2) for k in (1, 2, 4))
    text = "d=2, Δ=11ᵀ, three prompts, rationals: (4.1) has no slope in Ṽ at k = 1, 2, 4: one error"
    ledger.record(id, symbolic(same == (claim == 0), text))
    ledger.record(id, check.trend(claim, panel("sft", "k"), seed("tuning"), profile))


# Outcome supervision ----------------------------------------------------------------------------------


@pytest.mark.statements("fig-4.d")
def test_outcomes_in_prompts(ledger, profile, seed):
    id = "fig-4.d"
    (claim,) = signs(id)
    ledger.record(id, counterexample(registry()[id], "outside"))
    for k, updates in ((1, 12), (2, 5), (3, 3)):
        errors = points.supervised(updates, k)
        text = f"d=1, S=w*=1, Σ₀=1/10, k={k}: the error after 0, 1, …, {updates} updates, rationals"
        ledger.record(id, symbolic(changes(errors) == (claim,), text, "condition"))
    ledger.record(id, check.trend(claim, panel("os", "B"), seed("outcomes"), profile, "condition"))
    few = replace(panel("os", "B", "closed", k=1, basis="diagonal"), values=(1, 2, 4, 6))
    ledger.record(id, check.trend(claim, few, seed("few"), profile, "outside"))


@pytest.mark.statements("fig-4.e")
def test_outcomes_in_length(ledger, profile, seed):
    id = "fig-4.e"
    (claim,) = signs(id)
    ledger.record(id, counterexample(registry()[id], "outside"))
    formulas = as_registered(points.FIRST, R(1))
    for groups in (1, 20):
        course = points.course(points.many_prompts(points.FIRST, R(1), groups), 10)
        holds = formulas and course == (claim,)
        text = f"d={5 * groups}, Δ a projection, k=1, B → ∞: (5.1) of (4.2) at one n from 10 on, Sturm"
        ledger.record(id, symbolic(holds, text, "condition"))
    least = panel("os", "n", "closed", k=1, basis="diagonal", B=240)
    ledger.record(id, check.trend(claim, least, seed("minimum"), profile, "condition"))
    ledger.record(id, check.trend(claim, panel("os", "n"), seed("outcomes"), profile, "outside"))


@pytest.mark.statements("fig-4.f")
def test_outcomes_in_steps(ledger, profile, seed):
    id = "fig-4.f"
    (claim,) = signs(id)
    ledger.record(id, check.trend(claim, panel("os", "k"), seed("outcomes"), profile))
