"""What the abstract says of outcome supervision: evidence for ``theory/abstract.py``."""

from __future__ import annotations

import itertools

import pytest
import sympy as sp

from theory import abstract, stability
from theory import abstract_points as points
from theory import allocation_words as words
from theory import notation as nt
from theory.interference import err
from theory.statement import registry
from verify.checks import abstract as check
from verify.checks import interference
from verify.checks.abstract import Direction
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_abstract import sign
from verify.test_abstract_tuning import END, FAR, MATCHED, OFF, exact_order, orders, simulated

R = sp.Rational

# Outcome supervision: large-scale ----------------------------------------------------------------------


@pytest.mark.statements("abs-iii.a")
def test_large(ledger, profile, seed):
    id = "abs-iii.a"
    ledger.record(id, counterexample(registry()[id], "outside"))
    risk, completed = words.excess()
    distance = sp.Symbol("x", positive=True)  # tr((Ṽ + Γ⁻¹)ΣΓ(Ṽ + Γ⁻¹)ᵀ)
    printed = registry()[id].printed
    ends = {err(sp.oo): sp.Integer(0)} | {x: distance for x in printed.args if x != err(sp.oo)}
    holds = risk.equals(completed) and printed.func(*(ends[x] for x in printed.args)) == sp.true
    ledger.record(
        id, symbolic(bool(holds), "k=1: risk − least = tr((Ṽ+Γ⁻¹)ΣΓ(Ṽ+Γ⁻¹)ᵀ)", "condition", "derivation")
    )
    ledger.record(id, exact_order(id, [points.matched()], "k=1, A = Σ", "condition"))
    fall = [1 if orders(printed)[END] else -1]
    at = simulated(MATCHED, 1.0)
    for B in (3, 24, 48):
        places = [(at, B), (at, FAR)]
        ledger.record(
            id,
            interference.trend(fall, places, seed("large"), profile, "condition", "k=1, three blocks, A = Σ"),
        )
    for n, k in ((3, 2), (6, 3)):
        ledger.record(id, check.sets(2 * fall, n, k, (1, 12, 600), seed("sets"), profile, "condition"))
    at = simulated(OFF, 1.0)
    places = [(at, 5), (at, FAR)]
    ledger.record(
        id, interference.trend(fall, places, seed("off"), profile, "outside", "k=1, three blocks, A off Σ")
    )


# Outcome supervision: difficulty -----------------------------------------------------------------------

DIRECTIONS = [
    Direction(k, share, n, 3 * k + n) for k, share, n in ((2, 0.3, 4), (3, 0.05, 2), (4, 0.6, 7), (2, 2.5, 3))
]


def stands(printed, D, a, eta, k, before, after):
    """Whether each part of the print has premise and conclusion both true or both false at these numbers: the
    two parts say of one bound that it is the border."""
    given = {abstract.D: D, abstract.a: a, nt.eta: eta, nt.k: k, abstract.L0: before, abstract.LT: after}
    return all(len({bool(value(side, given)) for side in part.args}) == 1 for part in printed.args)


@pytest.mark.statements("abs-iii.b")
def test_not_too_difficult(ledger):
    id = "abs-iii.b"
    row = registry()[id]
    ledger.record(id, counterexample(row, "outside"))
    ratio, _ = stability.one_dimension()
    holds = True
    for premise in (part.args[0] for part in row.printed.args):
        (edge,) = (x for x in premise.args if x != abstract.D)
        there = {stability.a: abstract.a, stability.x: edge ** (1 / (2 * nt.k))}
        size = stability.STEP_LIMIT.subs(there)
        holds = holds and all(sp.simplify(size.subs(nt.k, k) - nt.eta) == 0 for k in range(2, 9))
    eps = R(1, 10**6)
    for part, truth in zip(row.printed.args, ([True, False, False], [False, False, True]), strict=True):
        at = [{abstract.L0: sp.Integer(1), abstract.LT: 1 + x} for x in (-eps, sp.Integer(0), eps)]
        holds = holds and [bool(value(part.args[1], x)) for x in at] == truth
    turned = sp.simplify(ratio.subs(nt.eta, stability.STEP_LIMIT)) == -1
    where = "x′/x = −1 at the bound, D = x^{2k}, k = 2 … 8, every a, η"
    ledger.record(id, symbolic(bool(holds and turned), where, "condition", "derivation"))
    holds = True
    for k, step, a in ((2, R(1, 8), R(3)), (3, R(1, 12), R(1)), (4, R(3), R(1, 2))):
        for x in (R(1, 3), R(4, 5), R(1), R(9, 5), R(5, 2), R(4)):
            D = points.difficulty(x, k)
            after = points.factor(x, step, k, a) * D
            holds = holds and stands(row.printed, D, a, step, sp.Integer(k), D, after)
    ledger.record(id, symbolic(bool(holds), "rationals, d=1, k=2, 3, 4, six starts each", "condition"))
    ledger.record(id, check.bound(lambda *at: stands(row.printed, *at), DIRECTIONS, "condition"))


@pytest.mark.statements("abs-iii.c")
def test_easier_is_better(ledger):
    id = "abs-iii.c"
    row = registry()[id]
    ledger.record(id, counterexample(row, "outside"))
    assert row.corrected is not None
    form = row.corrected.rhs
    ratio, _ = stability.one_dimension()
    x = sp.Symbol("x", positive=True)
    derived = ratio.subs(stability.x, x).subs(stability.a, abstract.a) ** (2 * nt.k)
    same = sp.simplify(sp.powdenest(form.subs(abstract.D, x ** (2 * nt.k)), force=True) / derived) == 1
    ledger.record(id, symbolic(bool(same), "(x′/x)^{2k}, D = x^{2k}, general k", "corrected", "derivation"))
    holds, ordered = True, True
    for k, step, a in ((2, R(1, 8), R(3)), (3, R(1, 12), R(1)), (4, R(3), R(1, 2))):
        gained = []
        for start in (R(1, 3), R(4, 5), R(6, 5), R(5, 2)):
            D, found = points.difficulty(start, k), points.factor(start, step, k, a)
            given = {abstract.D: D, abstract.a: a, nt.eta: step, nt.k: sp.Integer(k)}
            holds = holds and sp.simplify(value(form, given) - found) == 0
            past = 1 - points.factor_of_x(start, step, k, a) >= 1
            gained.append((D, 1 / found, past))
        beyond = [(D, g) for D, g, past in gained if past]
        ordered = ordered and all(
            int(sp.sign(two[1] - one[1])) == of_gains(row.printed, one[0], two[0])
            for one, two in itertools.pairwise(beyond)
        )
    ledger.record(id, symbolic(bool(holds), "rationals, d=1, k=2, 3, 4, four starts each", "corrected"))
    ledger.record(id, symbolic(bool(ordered), "the same, beyond what one step solves", "condition"))

    def stated(D, a, eta, k):
        return float(value(form, {abstract.D: D, abstract.a: a, nt.eta: eta, nt.k: k}))

    starts = [(of, x) for of in DIRECTIONS for x in (0.4, 0.9, 1.3)]
    ledger.record(id, check.factors(stated, starts, "corrected"))
    claim = lambda one, other: of_gains(row.printed, one, other)  # noqa: E731
    of = Direction(2, 0.25, 5, 8)  # one step solves x² = 2
    ledger.record(id, check.gains(claim, of, (1.5, 1.7, 1.9, 2.1), "condition"))
    ledger.record(id, check.gains(claim, of, (0.2, 0.6, 1.0, 1.3), "outside"))


def of_gains(printed, one, other):
    """The sign of the change of the gain that the print claims from difficulty ``one`` to ``other``."""
    premise, conclusion = printed.args
    (left, right), found = (x.args[0] for x in conclusion.args), 0
    for pair, way in (((one, other), 1), ((other, one), -1)):
        if bool(value(premise, {abstract.D1: pair[0], abstract.D2: pair[1]})):
            larger = sign(conclusion) if (left, right) == (abstract.D1, abstract.D2) else -sign(conclusion)
            found = -larger * way
    return found
