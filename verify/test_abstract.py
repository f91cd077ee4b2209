"""What the abstract says of pretraining: evidence for ``theory/abstract.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import abstract, exact
from theory import abstract_points as points
from theory import allocation_points as small
from theory import notation as nt
from theory.allocation import P_U, V_inf
from theory.allocation_words import Gamma
from theory.statement import registry
from verify.allocation_settings import initial, limit
from verify.checks import abstract as check
from verify.checks import allocation as errors
from verify.checks import interference
from verify.checks.abstract import Levels
from verify.checks.allocation import Law, Shift, Trial
from verify.checks.points import covariance, rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value

R = sp.Rational
PAIR = (abstract.balanced, abstract.unbalanced)


def sign(relation):
    """+1 where the relation says that its first side is the larger, −1 where the second."""
    return 1 if relation.gts == relation.args[0] else -1


def claimed(implication, values):
    """The sign of what is concluded, 0 where the premise does not hold."""
    premise, conclusion = implication.args
    return sign(conclusion) if bool(value(premise, values)) else 0


def level(covariance, n):
    """(n+1)/n Σ + tr(Σ)/n I."""
    return (1 + R(1, n)) * covariance + covariance.trace() / n * sp.eye(covariance.rows)


# Pretraining ------------------------------------------------------------------------------------------


def diagonal(Sigma0, Sigma, A, n):
    """A setting with U the range of A, everything diagonal, η = 1."""
    Sigma0, Sigma, A = (np.diag(np.array(x, dtype=float)) for x in (Sigma0, Sigma, A))
    return Shift(Sigma0, Sigma - Sigma0, (A > 0).astype(float), A, n, 1.0, "")


def trials(law, *settings):
    """Post-trained models on prompts of one law."""
    return [Trial(limit(at), law) for at in settings]


@pytest.mark.statements("abs-i.a")
def test_latent(ledger, profile, seed):
    id = "abs-i.a"
    parts = registry()[id].printed.args
    chosen = (points.BALANCED, points.UNBALANCED)
    found = [points.before_and_after(Sigma0, points.TEST, points.TAUGHT) for Sigma0 in chosen]
    values = dict(zip(PAIR, chosen, strict=True))
    for which, Sigma0, (before, after) in zip(PAIR, chosen, found, strict=True):
        spread = max(Sigma0.diagonal()) / min(Sigma0.diagonal())
        values |= {nt.Label(abstract.CONDITION_NUMBER, which): spread}
        values |= {nt.Label(abstract.PRE, which): before, nt.Label(abstract.POST, which): after}
    holds = all(bool(value(part, values)) for part in parts)
    where = "Gaussian moments, d=2, n=1, Σ=diag(10,2), A=diag(10,0), Σ₀=2I and diag(3,1)"
    ledger.record(id, symbolic(holds, where))
    apart = {found[0][1] - found[1][1]}  # the same for every training set
    for B in (1, 2, 4):
        prompts = [(sp.diag(1, 0) * rational(2, 1, f"x{t}"), rational(2, 1, f"w{t}")) for t in range(B)]
        for which, Sigma0 in zip(PAIR, chosen, strict=True):
            V = exact.fixed_point(*exact.stack(prompts), level(Sigma0, 1), 1)
            values[nt.Label(abstract.POST, which)] = small.error(V, points.TEST, 1)
        holds = holds and all(bool(value(part, values)) for part in parts)
        apart.add(values[nt.Label(abstract.POST, PAIR[0])] - values[nt.Label(abstract.POST, PAIR[1])])
    ledger.record(id, symbolic(holds and len(apart) == 1, "the same, fine-tuned on 1, 2 and 4 prompts"))

    # Simulated at another size, of other levels: U has 2 of 6 directions.
    def blocks(*levels):
        return np.repeat(levels, (2, 4))

    flat, uneven, Sigma = (2.0, 2.0), (4.0, 1.0), (10.0, 2.0)
    ends = [diagonal(blocks(*x), blocks(*Sigma), blocks(9.0, 0.0), 6) for x in (uneven, flat)]
    law = Law(ends[0].Sigma, 6)
    arrays = dict(zip(PAIR, (ends[1].Sigma0, ends[0].Sigma0), strict=True))
    arrays |= {nt.Label(abstract.CONDITION_NUMBER, m): float(np.linalg.cond(M)) for m, M in arrays.items()}
    premise = all(bool(value(part, arrays)) for part in parts[:2])
    before, after = (sign(part) if premise else 0 for part in parts[2:])  # of the balanced, the second here
    pair = [Trial(initial(at), law) for at in ends]
    ledger.record(id, errors.order(before, pair, seed("before"), profile, "printed"))
    ledger.record(id, errors.order(after, trials(law, *ends), seed("after"), profile, "printed"))

    def placed(pre):
        post, test = (9.0, 0.0), (10.0, 2.0)
        return Levels(0.0, 6, 6, 2, 1.0, sizes=(2, 4), post=post, pre=pre, test=test), 40

    places = [placed(pre) for pre in (uneven, flat)]
    what = "Σ=diag(10,2), Σ₀=diag(4,1), then 2I"
    ledger.record(id, interference.trend((after,), places, seed("fine-tuned"), profile, what=what))


POWERS = (lambda S: S, lambda S: S * S)
LEVEL = ([8, 3, 3, 3], [8, 0, 0, 0], 3)  # Σ, A, n
MORE_ON_U, MORE_OFF = ([4, 0.5, 1, 2.5], [0.5, 2.5, 2.5, 2.5])
UNEVEN = ([10, 8, 2], [10, 0, 0], 1)


@pytest.mark.statements("abs-i.b")
def test_balance(ledger, profile, seed):
    id = "abs-i.b"
    row = registry()[id]
    ledger.record(id, counterexample(row, "outside"))
    gamma, full = sp.symbols("gamma Gamma", positive=True)
    part = (1 / gamma - 1 / full) ** 2
    share = sp.Symbol("t", positive=True)  # γ = Γ/(1 + t), below Γ
    below = {gamma: full / (1 + share)}
    falls = sp.simplify(part.diff(gamma).subs(below)).is_negative
    convex = sp.factor(part.diff(gamma, 2).subs(below)).is_positive
    premise, conclusion = row.printed.args
    order = conclusion.lhs == nt.Label(abstract.POST, abstract.balanced) and sign(conclusion) == -1
    same = bool(value(premise, dict.fromkeys(PAIR, sp.eye(2))))
    text = "(1/γ − 1/Γ)² falls and is convex for γ < Γ: Jensen, then more trace off U"
    ledger.record(id, symbolic(bool(falls and convex and order and same), text, "condition", "derivation"))
    assert row.corrected is not None
    error, on, off = row.corrected.args
    holds = True
    for Sigma, P, root, Sigma0, n in corrected_points():
        values = {nt.Sigma: Sigma, Gamma: level(Sigma, n), nt.Gamma0: level(Sigma0, n), P_U: P}
        first, second = (exact.mean_over_prompts(power, root, n) for power in POWERS)
        values[V_inf] = -first * second.pinv() + small.pretrained(Sigma0, n) * (sp.eye(P.rows) - P)
        values |= {abstract.ON: value(on.rhs, values), abstract.OFF: value(off.rhs, values)}
        direct = small.error(values[V_inf], Sigma, n)
        holds = holds and sp.simplify(value(error.rhs, values) - direct) == 0
    where = "Gaussian moments, (d,n) = (2,1), (2,2), (3,1), Σ₀ commuting with nothing, A of rank 1, 2"
    ledger.record(id, symbolic(bool(holds), where, "corrected"))
    at = generic()
    expected, law = [closed(row.corrected, at)], Law(at.Sigma, at.n)
    ledger.record(id, errors.errors(expected, trials(law, at), seed("error"), profile, "corrected"))
    placed, stated = [], []
    for Sigma, P, root, Sigma0, n in corrected_points():
        Sigma, P, A, Sigma0 = (np.array(x.tolist(), dtype=float) for x in (Sigma, P, root * root, Sigma0))
        at = Shift(Sigma0, Sigma - Sigma0, P, A, n, 1.0, "")
        placed.append((limit(at), at.Sigma, n))
        stated.append(closed(row.corrected, at))
    ledger.record(id, check.quadrature(stated, placed, "corrected"))
    cases = (
        (LEVEL, MORE_ON_U, 2.0, "condition"),
        (LEVEL, MORE_OFF, 2.0, "outside"),
        (UNEVEN, [2.25, 2.5, 1.25], 2.0, "outside"),
    )
    for (at_test, taught, n), unbalanced, flat, form in cases:
        ends = [diagonal(x, at_test, taught, n) for x in (unbalanced, [flat] * len(at_test))]
        wanted = claimed(row.printed, dict(zip(PAIR, (ends[1].Sigma0, ends[0].Sigma0), strict=True)))
        pair = trials(Law(ends[0].Sigma, n), *ends)
        ledger.record(id, errors.order(wanted, pair, seed("order"), profile, form))


def closed(corrected, at):
    """The corrected form at a setting, in floats."""
    error, on, off = corrected.args
    values = {nt.Sigma: at.Sigma, P_U: at.P, nt.Gamma0: -np.linalg.inv(initial(at)), V_inf: limit(at)}
    values[Gamma] = (1 + 1 / at.n) * at.Sigma + np.trace(at.Sigma) / at.n * np.eye(len(at.P))
    values |= {abstract.ON: value(on.rhs, values), abstract.OFF: value(off.rhs, values)}
    return float(value(error.rhs, values))


def corrected_points():
    """(Σ, P, root of A, Σ₀, n) with Σ and A on the blocks of P, along no axis in two dimensions."""
    turn = sp.Matrix([[3, -4], [4, 3]]) / 5
    P = turn * sp.diag(1, 0) * turn.T
    Sigma = turn * sp.diag(5, 2) * turn.T
    for n in (1, 2):
        yield Sigma, P, R(3, 2) * P, sp.Matrix([[2, 1], [1, 1]]), n
    Sigma0 = sp.Matrix([[2, 1, 0], [1, 2, R(1, 2)], [0, R(1, 2), 1]])
    yield sp.diag(4, 3, 2), sp.diag(1, 1, 0), sp.Matrix([[2, 1, 0], [1, 1, 0], [0, 0, 0]]), Sigma0, 1


def generic():
    """Σ on the blocks of P in a basis far from the coordinates', Σ₀ generic, η = 0.4."""
    basis = np.linalg.qr(np.random.default_rng(5).normal(size=(4, 4)))[0]
    P, A, Sigma = (
        basis @ np.diag(x) @ basis.T for x in ([1, 1, 0, 0], [0.9, 0.4, 0, 0], [2.5, 1.5, 1.2, 0.7])
    )
    Sigma0 = 0.5 * covariance(4, 11)
    return Shift(Sigma0, Sigma - Sigma0, P, A, 5, 0.4, "")
