"""Section 6 on curvature: evidence for ``theory/curvature.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import kstep
from theory import notation as nt
from theory.curvature import RADIUS, rho
from theory.kstep import c
from theory.statement import registry
from verify.checks import curvature as check
from verify.checks.curvature import Landscape
from verify.checks.points import covariance
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value

R = sp.Rational
k = nt.k
STEPS, REPLICAS = (8, 32), 24
HEIGHT = k * (2 * k - 1) * rho ** (2 * k - 2)  # λ_max at A = I, M normal: ext-os-curvature.b


def printed_growth(printed):
    """The print's growth of λ_max in k, and in ρ where it has it, all ρ(M_τ) equal to ρ."""
    growth = printed.args[1]
    for total in growth.atoms(sp.Sum):
        growth = growth.subs(total, total.function * nt.B)
    radii = {one: rho for one in growth.atoms(nt.Label) if one.args[0] == RADIUS.args[0]}
    return sp.simplify(growth.subs(radii))


def between_constants(ratio):
    """Whether a ratio that is monotone in k lies between positive constants."""
    return all(one.is_positive and one.is_finite for one in (ratio.subs(k, 1), sp.limit(ratio, k, sp.oo)))


def powers(growth):
    """(p, q) of a growth k^p ρ^{q(2k−2)}; nan of one that is not positive."""
    if not growth.subs(rho, R(1, 2)).subs(k, 4).subs(nt.B, 3).is_positive:
        return np.nan, np.nan
    p = sp.limit(k * sp.diff(sp.log(growth), k).subs(rho, 1), k, sp.oo)
    q = sp.simplify(rho * sp.diff(sp.log(growth), rho) / (2 * k - 2))
    return float(p), float(q.subs(k, 4))


def spanning(d):
    return d**0.5 * np.eye(d)


def normal(d, radius, seed, A):
    """V with I + VA symmetric, its spectrum −radius and the rest within ±0.4; A does not commute."""
    source = np.random.default_rng(seed)
    turn = np.linalg.qr(source.normal(size=(d, d)))[0]
    m = np.append(-radius, source.uniform(-0.4, 0.4, d - 1))
    return (turn * m @ turn.T - np.eye(d)) @ np.linalg.inv(A)


def family(d, places, seed, replicas=REPLICAS):
    """Replicas of (ρ, landscape) at places (k, ρ), with M normal, A generic."""
    for j in range(replicas):
        A = covariance(d, seed + j)
        yield [
            (radius, Landscape(normal(d, radius, seed + 100 + j, A), A, spanning(d), steps))
            for steps, radius in places
        ]


@pytest.mark.statements("eq-6.1")
def test_scaling(ledger, profile, seed):
    id = "eq-6.1"
    growth = printed_growth(registry()[id].printed)
    ratio = sp.simplify(HEIGHT / growth)
    bounded = not ratio.has(rho) and between_constants(ratio)
    ledger.record(
        id,
        symbolic(
            bool(bounded),
            f"λ_max/printed is {ratio} times λ_min(A)² to λ_max(A)², by ext-os-curvature.b",
            "condition",
            "derivation",
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))
    at = list(family(10, ((8, 1.0), (32, 1.0), (32, 0.7)), seed("scaling")))
    regime = f"d=10, M symmetric, A generic, k = 8, 32, ρ = 0.7, 1, {REPLICAS} draws"
    ledger.record(id, check.exponents(powers(growth), at, regime, profile, "condition"))
    # At A = I the draws differ by rounding alone: two will do.
    three = ((4, 1.0), (8, 1.0), (4, 0.8))
    wide = [[(r, isotropic(100, r, s, steps)) for steps, r in three] for s in (1, 2)]
    regime = "d=100, M symmetric, A=I, k = 4, 8, ρ = 0.8, 1, 2 draws"
    ledger.record(id, check.exponents(powers(growth), wide, regime, profile, "condition", drawn=False))
    solved = [[(0.9, solved_prompts(12, 5, k_, seed("solved") + j)) for k_ in STEPS] for j in range(12)]
    regime = "d=12, five prompts solved at the first step, ρ = 0.9, k = 8, 32, 12 draws"
    ledger.record(id, check.exponents(powers(growth), solved, regime, profile, "outside"))


def isotropic(d, radius, seed, steps):
    return Landscape(normal(d, radius, seed, np.eye(d)), np.eye(d), spanning(d), steps)


def solved_prompts(d, size, steps, seed):
    """S = I and M = ρ outside the span of the tasks, 0 on it."""
    tasks = np.random.default_rng(seed).normal(size=(size, d))
    onto = np.linalg.pinv(tasks) @ tasks
    return Landscape(-0.1 * np.eye(d) - 0.9 * onto, np.eye(d), tasks, steps)


@pytest.mark.statements("sec-6-curvature.a")
def test_quadratic_growth(ledger, profile, seed):
    id = "sec-6-curvature.a"
    growth = printed_growth(registry()[id].printed)
    ratio = sp.simplify(HEIGHT.subs(rho, 1) / growth)
    slope = sp.diff(rho ** (2 * k - 2), rho).subs(rho, 1)
    bernoulli = sp.simplify(slope - (2 * k - 2)) == 0  # and ρ^{2k−2} is convex in ρ for k ≥ 2
    ledger.record(
        id,
        symbolic(
            bool(bernoulli and between_constants(ratio)),
            f"λ_max/printed is {ratio} times 1 − 2(k−1)(1−ρ) to 1",
            "condition",
            "derivation",
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))
    p = (powers(growth)[0], 0.0)
    near = list(family(10, [(steps, 0.999) for steps in STEPS], seed("near")))
    regime = f"d=10, M symmetric, A generic, ρ = 0.999, k = 8, 32, {REPLICAS} draws"
    ledger.record(id, check.exponents(p, near, regime, profile, "condition"))
    regime = "Figures 1 and 4 (d=100, prompts from Δ, n=∞) at the minimum, ρ(M) = 1, k = 4, 12"
    ledger.record(id, check.exponents(p, list(minima()), regime, profile, "outside", drawn=False))
    inside = list(family(10, ((12, 0.9), (36, 0.9)), seed("inside"), 12))
    regime = "d=10, M symmetric, A generic, ρ = 0.9, k = 12, 36, 12 draws"
    ledger.record(id, check.exponents(p, inside, regime, profile, "outside"))


def minima():
    """The paper's Δ = 1 on a block of d/2 (Figure 1) or d/5 (Figure 4), 0 off it, where Σ₀ = 1: training goes
    from V = −Σ₀⁻¹ to VΔ = −Δ and leaves the rest as it was."""
    d = 100
    for size in (d // 2, d // 5):
        Delta = np.diag((np.arange(d) < size) * 1.0)
        yield [(1.0, Landscape(-np.eye(d), Delta, spanning(d), steps)) for steps in (4, 12)]


@pytest.mark.statements("sec-6-curvature.b")
def test_overthinking(ledger, profile, seed):
    id = "sec-6-curvature.b"
    printed = registry()[id].printed
    sign = 1 if isinstance(printed, sp.StrictGreaterThan) else -1
    level = sp.simplify(printed.rhs / nt.d)  # of risk/d
    risk = kstep.isotropic_risk(1) / nt.d
    edge = (nt.n - nt.d - 1) / (nt.n + nt.d + 1)
    at_edge = sp.simplify(risk.subs(c, 1 + edge) - level) == 0
    rises = sp.simplify(sp.diff(risk, c, 2)).is_positive  # convex, 1 at c = 0: above 1 beyond the edge
    ledger.record(
        id,
        symbolic(
            bool(at_edge and rises) and sign == 1,
            "risk/d at k = 1 passes 1 at ρ = (n−d−1)/(n+d+1); at k ≥ its k-th power by Jensen's inequality",
            "condition",
            "derivation",
        ),
    )
    holds = True
    for length, radius in ((9, R(3, 4)), (20, R(17, 20))):
        at = [kstep.isotropic_risk(j).subs({nt.d: 5, nt.n: length, c: 1 + radius}) / 5 for j in (1, 2, 3)]
        holds = holds and all(sign * (at[j] - level) > 0 and at[j] >= at[0] ** (j + 1) for j in range(3))
    ledger.record(
        id, symbolic(bool(holds), "d=5, (n, ρ) = (9, 3/4), (20, 17/20), k = 1 … 3, exact risk", "condition")
    )
    ledger.record(id, counterexample(registry()[id], "outside"))
    for V, form in ((-1.85 * np.eye(5), "condition"), (-0.05 * np.eye(5), "outside")):
        wanted = sign, float(value(level, {nt.d: 5}))
        ledger.record(id, check.thinking(wanted, V, 20, (1, 2), seed(form), profile, form))
