"""What the abstract says of fine-tuning: evidence for ``theory/abstract.py``."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp

from theory import abstract, exact
from theory import abstract_points as points
from theory import allocation_words as words
from theory import notation as nt
from theory import risk_in_q as rq
from theory.interference import err, least
from theory.statement import registry
from verify.allocation_settings import initial
from verify.checks import abstract as check
from verify.checks import allocation as errors
from verify.checks import interference
from verify.checks.abstract import Levels
from verify.checks.allocation import Law, Shift, Trial
from verify.checks.points import covariance, rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_abstract import sign, trials

R = sp.Rational

# Fine-tuning: small ------------------------------------------------------------------------------------

D = 60
FAR = 6 * D
MATCHED, OFF = (3.0, 2.0, 1.0), (3.0, 0.4, 0.2)  # A/η equal to Σ, and to a fifth of it on two blocks


def simulated(post, eta, length=4):
    """The blocks of :mod:`theory.abstract_points` in finite size, A = η·``post``."""
    A, pre, test = tuple(eta * x for x in post), (0.5, 2.0, 1.0), (3.0, 2.0, 1.0)
    return Levels(0.0, 3 * D, D, 12, eta, n_pre=length * D, sizes=(12, 30, 18), post=A, pre=pre, test=test)


LEAST, END, NONE = least(r"\mathrm{rank}(A)/d"), err(sp.oo), err(sp.Integer(0))


def orders(form):
    """For each end of the curve that is compared with the least below the spike, whether it is higher."""
    parts = form.args if isinstance(form, nt.Listing) else (form,)
    assert all(LEAST in part.args for part in parts)
    return {next(x for x in part.args if x != LEAST): part.lts == LEAST for part in parts}


def exact_order(id, settings, text, form):
    """Whether some β below the spike has less risk than each end, as the print has it."""
    claims, holds = orders(registry()[id].printed), True
    for of in settings:
        levels = {END: rq.floor(of), NONE: rq.start(of)}
        holds = holds and all(rq.above(of, levels[end]) != higher for end, higher in claims.items())
    return symbolic(bool(holds), f"Sturm, three blocks, {text}", form)


SCALES = (R(1, 2), R(1, 5))


@pytest.mark.statements("abs-ii.a")
def test_small(ledger, profile, seed):
    id = "abs-ii.a"
    ledger.record(id, counterexample(registry()[id], "outside"))
    few = [points.blocks(tuple(eta * x for x in points.OFF), eta) for eta in SCALES]
    few.append(points.blocks((R(3), R(1, 2), R(0))))
    for of in few:
        assert rq.turns(of)[0] == -1  # the condition
        assert rq.start(of) < rq.floor(of)
    ledger.record(
        id, exact_order(id, few, "the risk falls at 0 and is above the pretrained one at ∞", "condition")
    )
    # The risk of every Ṽ is at least that of −Γ⁻¹, which is Ṽ_∞ at A = ηΣ.
    risk, completed = words.excess()
    assert risk.equals(completed)
    many = [points.matched(eta) for eta in SCALES]
    ledger.record(id, exact_order(id, many, "A = ηΣ", "outside"))
    higher = orders(registry()[id].printed)
    fall, rise = ([sign if higher[end] else -sign] for end, sign in ((NONE, -1), (END, 1)))
    at = simulated(OFF, 0.5)
    what = "three blocks, A off ηΣ"
    ledger.record(
        id,
        interference.trend(
            fall + rise, [(at, 1), (at, 7), (at, FAR)], seed("few"), profile, "condition", what
        ),
    )
    best = "where pretraining on prompts of n = d is better than fine-tuning on any"
    ledger.record(id, exact_order(id, [points.blocks(points.OFF, length=1)], best, "outside"))
    at = simulated(OFF, 0.5, 1)
    ledger.record(
        id, interference.trend(fall, [(at, 1), (at, 20)], seed("none"), profile, "outside", "n_pre = d")
    )
    at = simulated(MATCHED, 0.5)
    for B in (5, 50):
        places = [(at, B), (at, FAR)]
        ledger.record(
            id, interference.trend(rise, places, seed("many"), profile, "outside", "three blocks, A = ηΣ")
        )


# Fine-tuning: challenging ------------------------------------------------------------------------------


def long_prompts(G, Sigma, P, eta):
    """Difficulty of A = ηΣP and error afterwards at S = Σ, so n = ∞, from the definitions; G is Γ₀⁻¹."""
    A = eta * Sigma * P
    after = -eta * (A * A).pinv() * A - G * (sp.eye(P.rows) - P)
    one = sp.eye(P.rows)
    return exact.frobenius_squared(eta * one - G * A), exact.frobenius_squared(one + after * Sigma)


@pytest.mark.statements("abs-ii.b")
def test_challenging(ledger, profile, seed):
    id = "abs-ii.b"
    row = registry()[id]
    ledger.record(id, counterexample(row, "outside"))
    premise, conclusion = row.printed.args
    # n = ∞, Σ₀ in general position: the error after is that before, minus the difficulty over η².
    G = sp.Matrix(3, 3, lambda i, j: sp.Symbol(f"g{min(i, j)}{max(i, j)}"))
    Sigma, eta = sp.diag(*sp.symbols("s1:4", positive=True)), sp.Symbol("eta", positive=True)
    before = exact.frobenius_squared(sp.eye(3) - G * Sigma)
    left = []
    for P in (sp.diag(1, 1, 0), sp.diag(0, 1, 1), sp.diag(1, 0, 1)):
        hard, after = long_prompts(G, Sigma, P, eta)
        left.append(sp.simplify(after + hard / eta**2 - before))
    opposite = sign(premise) == -sign(conclusion)
    first = premise.args[0].args[1:] == conclusion.args[0].args[1:]
    law = opposite == first and left == [sp.Integer(1)] * 3
    text = "n=∞, d=3, m=2, every Γ₀⁻¹, Σ, η: difficulty/η² + error after = error before + d − m"
    ledger.record(id, symbolic(bool(law), text, "condition", "derivation"))
    turn = sp.Matrix([[3, -4], [4, 3]]) / 5
    G, Sigma = sp.Matrix([[2, 1], [1, 1]]).inv(), turn * sp.diag(5, 2) * turn.T
    ends = [long_prompts(G, Sigma, turn * P * turn.T, R(1, 3)) for P in (sp.diag(0, 1), sp.diag(1, 0))]
    where = "rationals, n=∞, d=2, Σ₀ commuting with nothing"
    ledger.record(id, symbolic(implied(row.printed, *ends), where, "condition"))
    # Sampled: at n = 40 for the data of the condition, at n = 8 for data of one trace on e₁ and on e₂.
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
    Sigma = basis @ np.diag([3.0, 2.0, 1.5, 1.0]) @ basis.T
    Sigma0 = np.linalg.inv(
        np.linalg.inv(Sigma) + 0.5 * basis[:, :1] @ basis[:, :1].T + 0.03 * covariance(4, 4)
    )
    onto = [basis @ np.diag(x) @ basis.T for x in ([1, 1, 0, 0], [0, 0, 1, 1])]
    ledger.record(
        id, sampled_order(row, Sigma0, Sigma, [0.4 * Sigma @ P for P in onto], 40, 0.4, seed, profile)
    )
    Sigma0, Sigma = np.diag([2.0, 1.0]), np.diag([6.0, 2.0])
    sets = [np.diag([4.0, 0.0]), np.diag([0.0, 4.0])]
    ledger.record(id, sampled_order(row, Sigma0, Sigma, sets, 8, 1.0, seed, profile, "outside"))


def implied(implication, first, second):
    """Whether the print holds for two sets in either order; (difficulty, error after) of each, generic."""
    holds = True
    for one, other in ((first, second), (second, first)):
        values = {
            nt.Label(abstract.HARD, A): x[0]
            for A, x in zip((abstract.A1, abstract.A2), (one, other), strict=True)
        }
        values |= {
            nt.Label(abstract.POST, A): x[1]
            for A, x in zip((abstract.A1, abstract.A2), (one, other), strict=True)
        }
        premise, conclusion = (bool(value(part, values)) for part in implication.args)
        holds = holds and (conclusion or not premise)
    return holds


def sampled_order(row, Sigma0, Sigma, sets, n, eta, seed, profile, form="condition"):
    """The order of the errors afterwards, from what the print says of the order of the difficulties, which
    are η² times the errors of the model Ṽ/η."""
    premise, conclusion = row.printed.args
    at = [Shift(Sigma0, Sigma - Sigma0, A @ np.linalg.pinv(A), A, n, eta, "") for A in sets]
    hard = [Trial(initial(one) / eta, Law(one.A, n)) for one in at]
    found = errors.order(1, hard, seed("difficulty"), profile, form)
    assert found.outcome != "undecided"
    second_harder = 1 if found.outcome == "agrees" else -1
    # The first set in the print, whose difficulty it compares with the second's, is the harder or the easier.
    wanted = -second_harder if sign(premise) == -sign(conclusion) else second_harder
    return errors.order(wanted, trials(Law(Sigma, n), *at), seed("after"), profile, form)


# Fine-tuning: diluted ----------------------------------------------------------------------------------


def order_of_kept(printed, one, other):
    """The sign that the print gives to the change of what is kept from the set ``one`` to a set ``other``."""
    (_, _, first), (_, _, second) = one, other
    return -claimed_change(printed, first, second)


def claimed_change(printed, first, second):
    premise, conclusion = printed.args
    found = 0
    for pair in ((first, second), (second, first)):
        if bool(value(premise, dict(zip((abstract.B1, abstract.B2), map(sp.Integer, pair), strict=True)))):
            # 1 where the larger set is said to keep less
            less = (
                sign(conclusion) == -1 if conclusion.args[0].args[1] == abstract.B2 else sign(conclusion) == 1
            )
            found = (1 if less else -1) * (1 if pair == (first, second) else -1)
    return found


@pytest.mark.statements("abs-ii.c")
def test_diluted(ledger, seed):
    id = "abs-ii.c"
    row = registry()[id]
    ledger.record(id, counterexample(row, "outside"))
    assert row.corrected is not None
    claim = row.corrected.rhs
    counts = [(2, 2, 1), (2, 2, 2), (2, 2, 3), (3, 2, 1), (3, 2, 2), (3, 2, 4), (3, 1, 2)]
    holds, left = True, {}
    for d, rank, B in counts:
        root = rational(d, rank, f"kept{d}{rank}")
        prompts = [
            (root * rational(rank, 1, f"{d}{rank}x{t}"), rational(d, 1, f"{d}{rank}w{t}")) for t in range(B)
        ]
        left[d, rank, B] = points.kept(prompts, sp.diag(2, 3, 5)[:d, :d], R(2, 5))
        holds = holds and left[d, rank, B] == value(claim, {nt.d: d, nt.B: B, abstract.RANK: rank})
    ledger.record(
        id, symbolic(bool(holds), "(4.1) in rationals, d=2, 3, B below, at, above rank A", "corrected")
    )
    falls = [
        (left[a], left[b], a, b) for a, b in itertools.pairwise(counts) if a[:2] == b[:2] and a[2] < a[1]
    ]
    holds = all(sp.sign(y - x) == order_of_kept(row.printed, a, b) for x, y, a, b in falls)
    ledger.record(id, symbolic(bool(holds), "the same, B₁ < rank A", "condition"))

    def stated(d, rank, B):
        return float(value(claim, {nt.d: d, nt.B: B, abstract.RANK: rank}))

    at = [(7, 4, B) for B in (1, 2, 3, 4, 5, 9)] + [(6, 6, B) for B in (2, 5, 6, 8)]
    ledger.record(id, check.kept(stated, at, 3, seed("kept"), "corrected"))
    ordered = lambda one, other: order_of_kept(row.printed, one, other)  # noqa: E731
    ledger.record(id, check.kept_order(ordered, at[:4], 3, seed("kept"), "condition"))
    ledger.record(id, check.kept_order(ordered, at[3:6], 3, seed("kept"), "outside"))
