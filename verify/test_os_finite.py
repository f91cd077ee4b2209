"""Outcome supervision on finitely many prompts: evidence for ``theory/os_finite.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from numerics.sft import sft_minimiser
from theory import exact, finetuning, os_finite, os_limits
from theory import notation as nt
from theory import os_finite_points as points
from theory import risk_in_q as rq
from theory.explicit import explicit
from theory.kstep import c
from theory.lower import lower_matrix
from theory.os_finite_points import figure_four, outcome_slope, outcome_value
from theory.statement import registry
from verify.checks import interference, sandwich
from verify.checks import os_finite as check
from verify.checks.os_finite import DIMENSION, Trained
from verify.checks.points import rational, tensor
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_interference import diverges, signs

R = sp.Rational
RANK = DIMENSION // 5


def prompts_of(d, n, B, key):
    return [(rational(d, n, f"{key}x{t}"), rational(d, 1, f"{key}w{t}")) for t in range(B)]


def at_rate(Omega, Phi, inverse, eta=1.0):
    return sft_minimiser(Omega, Phi, inverse, eta)


# One step ---------------------------------------------------------------------------------------------


@pytest.mark.statements("ext-os-finite.a")
def test_one_step_is_fine_tuning(ledger, seed):
    id = "ext-os-finite.a"
    loss, end = registry()[id].printed.args
    printed = lower_matrix(end.args[3])
    omega, phi = finetuning.omega, finetuning.phi
    still = ((omega + printed @ phi) @ phi.T).terms == {}
    kept = ((printed - finetuning.init) @ finetuning.eye_minus_projection()).terms == {}
    ledger.record(
        id,
        symbolic(
            still and kept,
            "words: (Ω + ṼΦ)Φᵀ = 0 at the end, and what the gradients −(Ω + ṼΦ)Φᵀ do not reach is unchanged",
            kind="derivation",
        ),
    )
    gamma0 = sp.diag(2, 3)
    holds = True
    for B in (1, 2, 3):  # below, at and above rank A
        prompts, V = prompts_of(2, 2, B, f"a{B}"), rational(2, 2, f"aV{B}")
        Omega, Phi = exact.stack(prompts)
        given = {nt.Omega: Omega, nt.Phi: Phi, nt.Gamma0: gamma0}
        holds = holds and outcome_value(prompts, V, 1) == value(loss.args[1], {**given, nt.V: V, nt.B: B})
        goal = value(end.args[3], given)
        moved = goal + gamma0.inv()
        holds = holds and outcome_slope(prompts, goal, 1).is_zero_matrix
        holds = holds and (moved * (sp.eye(2) - Phi * Phi.pinv())).is_zero_matrix  # what no gradient reaches
    text = "rationals, d = n = 2, B = 1, 2, 3: loss; slope 0 at the end, unmoved where no gradient reaches"
    ledger.record(id, symbolic(bool(holds), text))

    def goal_of(Omega, Phi, inverse):
        given = (x.numpy() for x in (Omega, Phi, inverse.reciprocal().diag()))
        return tensor(value(end.args[3], dict(zip((nt.Omega, nt.Phi, nt.Gamma0), given, strict=True))))

    ledger.record(id, check.ends(goal_of, seed(id)))

    def stated(V, Omega, Phi):
        return float(value(loss.args[1], {nt.V: V, nt.Omega: Omega, nt.Phi: Phi, nt.B: Phi.shape[1]}))

    ledger.record(id, check.one_step_loss(stated, seed(id)))


@pytest.mark.statements("ext-os-finite.b")
def test_pole(ledger, profile, seed):
    id = "ext-os-finite.b"
    pole, *_ = registry()[id].printed.args
    up, down = signs(id)
    ends, turns = [], []
    for length in points.LENGTHS:
        of = figure_four(length)
        first, number = rq.turns(of)
        turns.append(rq.turning_beta(of)[0] if number else sp.Integer(0))
        # From the last turning point on the risk rises; past the spike it is C₁ + C₂/(β − rank).
        ends.append((first, number) in ((up, 0), (-up, 1)) and rq.excess(of) * down < 0)
        ends.append(of.rank == R(1, 5) and sp.limit(rq.curve(of).risk, rq.q, sp.oo) == pole.args[3])
    text = (
        f"Sturm: one slope from β = {', '.join(f'{float(x):.4f}' for x in turns)} to the pole; n = d, 2d, 4d"
    )
    ledger.record(id, symbolic(all(ends), text))
    places = [(check.scene(200, 100), B) for B in (5, 12, 20, 30, 60)]
    ledger.record(id, interference.trend((up, up, down, down), places, seed(id), profile, what="Figure 4"))
    sizes = (check.scene(40, 20), check.scene(160, 80))
    ledger.record(id, interference.growth(float(diverges(pole)), sizes, seed(id), profile))


# Minima -----------------------------------------------------------------------------------------------


def printed_loss(prompts, V, k):
    """The printed L_OS at a Ṽ."""
    (norm,) = registry()["ext-os-finite.c"].printed.args[0].args[1].lhs.atoms(nt.NormSquared)
    total = sp.Integer(0)
    for X, w in prompts:
        given = {nt.V: V, nt.S_tau: exact.covariance(X), nt.w_star_tau: w}
        total += exact.frobenius_squared(explicit(norm.args[0], given, {nt.k: k, nt.d: len(w)}))
    return sp.expand(total / (2 * len(prompts)))


@pytest.mark.statements("ext-os-finite.c")
def test_minima(ledger, seed):
    id = "ext-os-finite.c"
    implied, other = registry()[id].printed.args
    lost, left_over = implied.args[1].rhs, other.args[0].rhs  # the losses that are claimed
    zero = lost == 0 and all(os_finite.error_where_interpolated(k).terms == {} for k in range(1, 6))
    ledger.record(id, symbolic(zero, "words: (I + ṼS)^k w* with ṼS w* = −w*, k = 1 … 5", kind="derivation"))
    few = prompts_of(2, 2, 2, "c")
    goal = exact.fixed_point(*exact.stack(few), sp.diag(2, 3), 1)
    holds = all(printed_loss(few, goal, k) == outcome_value(few, goal, k) == lost for k in (1, 2, 3, 4))
    one, block = points.nilpotent()
    values = [printed_loss(one, block, k) for k in (1, 2, 3)]
    Omega, Phi = exact.stack(one)
    apart = value(other.args[1], {nt.V: block, nt.Phi: Phi, nt.Omega: Omega})
    holds = holds and values == [R(1, 2), left_over, left_over] and bool(apart)
    text = "rationals, d = B = 2, k = 1 … 4; L = 1/2, 0, 0 at k = 1, 2, 3 for the nilpotent M"
    ledger.record(id, symbolic(bool(holds), text))
    ledger.record(id, check.zero_loss(at_rate, seed(id), float(lost)))

    def stated(V, Omega, Phi):
        return left_over, value(other.args[1], {nt.V: V, nt.Omega: Omega, nt.Phi: Phi})

    # The same in floats.
    X, w, M = 2**0.5 * np.eye(2), np.array([1.0, 0.0]), np.array([[0.0, 0.0], [1.0, 0.0]])
    ledger.record(id, check.losses_and_miss(stated, X, w, M - np.eye(2)))


@pytest.mark.statements("ext-os-finite.d")
def test_other_minimum(ledger, profile, seed):
    id = "ext-os-finite.d"
    other, less = signs(id)
    ledger.record(id, check.other_minimum(other == 1, 2, seed(id)))
    places = [Trained(k, RANK // 2, 100) for k in (1, 2)]
    ledger.record(id, check.trend((less,), places, seed("finite"), profile))


# Steps, prompts, length -------------------------------------------------------------------------------

SIZES = (RANK // 2, 3 * RANK // 2, 6 * RANK)


@pytest.mark.statements("ext-os-finite.e", "ext-os-finite.f", "ext-os-finite.g")
@pytest.mark.parametrize(
    ("id", "places"),
    [
        ("ext-os-finite.e", [Trained(2, B, 30) for B in SIZES]),
        ("ext-os-finite.f", [Trained(2, B, 500) for B in SIZES]),
        ("ext-os-finite.g", [Trained(2, SIZES[1], t) for t in (0, 20, 500)]),
    ],
)
def test_trends(ledger, profile, seed, id, places):
    found = signs(id)
    wanted = found * 2 if len(found) == 1 else found
    ledger.record(id, check.trend(wanted, places, seed("finite"), profile))


@pytest.mark.statements("ext-os-finite.h")
def test_length(ledger, profile, seed):
    id = "ext-os-finite.h"
    for sign, t in zip(signs(id), (500, 5), strict=True):
        places = [Trained(2, SIZES[1], t, n, 0.5) for n in (2 * DIMENSION, 8 * DIMENSION)]
        ledger.record(id, check.trend((sign,), places, seed("finite"), profile))


# Many prompts -----------------------------------------------------------------------------------------


@pytest.mark.statements("ext-os-finite.i")
def test_one_step_rate(ledger, profile, seed):
    id = "ext-os-finite.i"
    printed = registry()[id].printed.args[3]
    same = sp.simplify(os_finite.one_step_rate() - printed) == 0
    ledger.record(id, symbolic(same, "E‖e‖²‖u‖²/q from words, general d, n", kind="derivation"))
    holds = True
    for d, n in ((1, 1), (1, 3), (2, 1), (2, 2)):
        least = sp.Rational(n, n + d + 1)

        def noise(S, d=d, least=least):
            """E over w of ‖(I − cS)w‖²‖Sw‖², the Gaussian fourth moments as they are."""
            w = sp.Matrix(sp.symbols(f"w:{d}"))
            value = exact.frobenius_squared(w - least * S * w) * exact.frobenius_squared(S * w)
            return exact.gaussian_mean(sp.expand(value), list(w))

        q = exact.mean_over_prompts(lambda S: (S * S).trace(), sp.eye(d), n) / d
        direct = exact.mean_over_prompts(noise, sp.eye(d), n) / q
        holds = holds and sp.simplify(printed.subs({nt.d: d, nt.n: n}) - direct) == 0
    ledger.record(id, symbolic(bool(holds), "Gaussian moments, (d,n) = (1,1), (1,3), (2,1), (2,2)"))
    goal = lambda d, n: float(printed.subs({nt.d: d, nt.n: n}))  # noqa: E731
    ledger.record(id, sandwich.one_step(goal, ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))))
    ledger.record(id, check.excess_one_step(goal, 3, 12, seed(id), profile))


def of_scalar(printed, n, k):
    """The printed ratio of means at d = 1, its means over S = χ²_n/n; 1/(1 − cS) has none."""

    def mean(of):
        return os_finite.scalar_mean(of, os_finite.s) if of.is_polynomial(os_finite.s) else sp.nan

    nodes = sorted(printed.atoms(nt.Expectation), key=str)
    means = {node: mean(node.args[0].subs(nt.k, k)) for node in nodes}
    return printed.subs(means).subs(nt.k, k).subs(nt.n, n)


@pytest.mark.statements("ext-os-finite.j")
def test_scalar_rate(ledger, profile, seed):
    id = "ext-os-finite.j"
    printed = registry()[id].printed.args[3]
    same = all(sp.cancel(os_finite.scalar_rate(k) - of_scalar(printed, nt.n, k)) == 0 for k in (1, 2, 3, 4))
    ledger.record(
        id,
        symbolic(
            same,
            "E[slope²]/E[bend] of ½w²(1 − cS)^{2k} differentiated, k = 1 … 4, every c, n",
            kind="derivation",
        ),
    )
    one = sp.factor(of_scalar(printed, nt.n, 1).subs(c, nt.n / (nt.n + 2)))
    other = os_finite.ONE_STEP_RATE.subs(nt.d, 1)
    by_hand = of_scalar(printed, 1, 2).subs(c, 1)  # E g⁴(1 − g²)⁶ and E g⁴(1 − g²)²
    g = sp.Symbol("g")
    noise, bend = (exact.gaussian_mean(sp.expand(g**4 * (1 - g**2) ** p), [g]) for p in (6, 2))
    holds = sp.simplify(one - other) == 0 and by_hand == 6 * noise / (3 * bend)
    ledger.record(
        id, symbolic(bool(holds), "k = 1: that of ext-os-finite.i, every n; n = 1, k = 2, c = 1 by hand")
    )

    def at(n, k, level):
        return float(of_scalar(printed, n, k).subs(c, sp.Float(level, 17)))

    ledger.record(id, sandwich.scalar(at, ((1, 1, 0.7), (2, 2, 0.6), (2, 3, 0.4))))
    goal = lambda n, k: at(n, k, os_limits.isotropic_fixed_point(k, 1, n))  # noqa: E731
    ledger.record(id, check.excess_scalar(goal, 100, 2, seed(id), profile))


def prompts_at(printed, k):
    """The print at k; m!! of an even m < 0 has no value."""
    try:
        return printed.subs(nt.k, k)
    except ValueError:
        return sp.nan


@pytest.mark.statements("ext-os-finite.k")
def test_prompts_to_floor(ledger):
    id = "ext-os-finite.k"
    printed = registry()[id].printed.args[3]
    found = [os_finite.prompts_to_floor(k) for k in range(1, 9)]
    same = all(prompts_at(printed, k) == value for k, value in enumerate(found, 1))
    ledger.record(id, symbolic(same, "Gaussian moments of 1 − cS, k = 1 … 8", kind="derivation"))
    # At k = 1, where c is rational, the ratio of exact expressions at every n.
    ratio = os_finite.ONE_STEP_RATE.subs(nt.d, 1) / (2 / (nt.n + 2))
    ledger.record(
        id, symbolic(sp.limit(ratio, nt.n, sp.oo) == prompts_at(printed, 1), "k = 1 from ext-os-finite.i")
    )
    for k in (2, 3, 4):
        ledger.record(id, check.prompts_to_floor(lambda k: float(prompts_at(printed, k)), k))
