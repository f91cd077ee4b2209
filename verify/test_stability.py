"""Sections 6 and 7 on step sizes: evidence for ``theory/stability.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import descent, stability
from theory import notation as nt
from theory import stability_points as points
from theory.allocation_words import Delta
from theory.curvature import rho
from theory.lower import lower_matrix
from theory.pretraining import gamma0_printed
from theory.statement import registry
from theory.words.poly import letter
from verify.checks import curvature
from verify.checks import stability as check
from verify.checks import stability_course as course
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.checks.stability import Pretraining, Scene, population, started
from verify.stability_settings import (
    CROSSED,
    SHIFT,
    SIGMA0,
    allowed,
    along,
    at,
    commuting,
    concluded,
    each_limit,
    from_one_step,
    initial,
    most,
    of_print,
    one_dimensional,
    printed_matrix,
    sampled,
)
from verify.surface import value
from verify.test_curvature import powers

R = sp.Rational
KS = (1, 2, 3, 4)
VALUES = (R(-3), R(1, 2), R(5, 3), R(-1, 4))  # of x = 1 + ṼS

# The step -------------------------------------------------------------------------------------------


@pytest.mark.statements("sec-6-spectral.b")
def test_step_condition(ledger, profile, seed):
    id = "sec-6-spectral.b"
    row = registry()[id]
    ledger.record(id, counterexample(row))
    assert row.corrected is not None
    step, where = row.corrected.args
    corrected, claimed = most(step), bool(value(where, {nt.d: 1}))
    exact = at_limit = True
    for k in KS:
        for x in VALUES:
            true = points.limit_of_descent(x, k, R(2, 3))
            top = points.top_curvature(x, k, R(2, 3))
            exact = exact and true == row.printed.rhs.subs(stability.curvature, top).subs(nt.k, k)
            at_limit = at_limit and true == corrected.subs(stability.curvature, top).subs(nt.k, k)
    ledger.record(id, symbolic(exact, "d=1, k = 1 … 4, x and −x after a step, rationals"))
    regime = "d=1, k = 1 … 4, x and −x after a step, rationals"
    ledger.record(id, symbolic(at_limit and claimed, regime, "corrected"))
    ratio, second = stability.one_dimension()
    limit = sp.solve(sp.Eq(ratio, -1), nt.eta)
    ledger.record(
        id,
        symbolic(
            claimed and [sp.simplify(r - corrected.subs(stability.curvature, second)) for r in limit] == [0],
            "d=1, general k",
            "corrected",
            "derivation",
        ),
    )
    regime = "d=1, k = 1 … 4, x = −2.5, 0.6"
    starts = one_dimensional()
    limit_there = allowed(corrected)

    def limit_claimed(start):
        return limit_there(start) if value(where, {nt.d: len(start.V)}) else np.inf

    ledger.record(id, check.limits(limit_claimed, starts, regime, "corrected"))
    ledger.record(id, check.limits(allowed(row.printed.rhs), starts, regime))
    # Any number of dimensions, most sets of sampled prompts: how far beyond 2/λ_max.
    unit = {stability.curvature: 2}
    edge = lambda k: float(corrected.subs(unit).subs(nt.k, k))  # noqa: E731
    near = lambda k: (2 / 3 * edge(k), 4 / 3 * edge(k))  # noqa: E731
    ledger.record(id, check.beyond(near, sampled(), seed(id), profile, "corrected"))
    top = lambda k: (1 + check.RESOLUTION) * float(row.printed.rhs.subs(unit).subs(nt.k, k))  # noqa: E731
    ledger.record(id, check.beyond(lambda k: (0.0, top(k)), sampled(), seed(id), profile))


@pytest.mark.statements("sec-6-spectral.c")
def test_step_scaling(ledger):
    id = "sec-6-spectral.c"
    row = registry()[id]
    assert row.corrected is not None
    ledger.record(id, counterexample(row))
    ratio, _ = stability.one_dimension()
    (limit,) = sp.solve(sp.Eq(ratio, -1), nt.eta)
    given = {stability.constant: 2 / stability.a**2, stability.radius: sp.Abs(stability.x)}
    same = [sp.simplify(limit / form.rhs.subs(given)) == 1 for form in (row.printed, row.corrected)]
    ledger.record(id, symbolic(same[0], "d=1, general k, C = 2/a²", kind="derivation"))
    ledger.record(id, symbolic(same[1], "d=1, general k, C = 2/a²", "corrected", "derivation"))
    regime = "C from k = 1; d=1, k = 1 … 4, and d=3, V and A in one turned basis, k = 2, 3, ρ = 3, 4"
    starts = [
        *one_dimensional(),
        *(population(k, (1.5, 0.9, 1.2), (x, 0.4, -0.7), 6) for k in (2, 3) for x in (-3.0, 4.0)),
    ]
    ledger.record(id, check.limits(from_one_step(row.corrected.rhs), starts, regime, "corrected"))
    ledger.record(id, check.limits(from_one_step(row.printed.rhs), starts, regime))


@pytest.mark.statements("ext-step-size.a")
def test_one_dimension(ledger):
    id = "ext-step-size.a"
    formula = registry()[id].printed.rhs
    ratio, _ = stability.one_dimension()
    q = nt.eta * 2 / formula  # x'/x = 1 − q, so |x'| < |x| iff 0 < q < 2
    ledger.record(
        id, symbolic(sp.simplify(ratio - (1 - q)) == 0, "x′/x = 1 − 2η/η_max, general k", kind="derivation")
    )
    holds = all(
        points.limit_of_descent(x, k, R(5, 7))
        == formula.subs({stability.a: R(5, 7), stability.x: x}).subs(nt.k, k)
        for k in KS
        for x in VALUES
    )
    ledger.record(id, symbolic(holds, "x and −x after a step, d=1, k = 1 … 4, rationals"))
    ledger.record(id, check.limits(each_limit(formula, stability.a, stability.x), one_dimensional(), "d=1"))


def decoupled(formula, k):
    """Gradient of ½‖(I + ṼA)^k‖_F² at diagonal V and A, in rationals: diagonal, and each entry as in one
    dimension at the limit given."""
    x = [R(-3, 2), R(2, 5)]
    a = [R(1, 2), R(3)]
    V = sp.Matrix(2, 2, sp.symbols("v:4"))
    M = sp.eye(2) + V * sp.diag(*a)
    loss = sum(e**2 for e in M**k) / 2
    there = dict(zip(V, sp.diag(*((xi - 1) / ai for xi, ai in zip(x, a, strict=True))), strict=True))
    slope = V.applyfunc(lambda v: sp.diff(loss, v).subs(there))
    limits = [
        formula.subs({stability.a_i: ai, stability.x_i: xi}).subs(nt.k, k)
        for ai, xi in zip(a, x, strict=True)
    ]
    # x_i goes to −x_i at its limit: η a_i ∂L/∂v_i = 2x_i.
    return slope.is_diagonal() and all(limits[j] * a[j] * slope[j, j] == 2 * x[j] for j in (0, 1))


@pytest.mark.statements("ext-step-size.b")
def test_commuting(ledger):
    id = "ext-step-size.b"
    formula = registry()[id].printed.rhs.replace(nt.Label, lambda _, each: each)  # least over i
    holds = all(decoupled(formula, k) for k in (1, 2, 3))
    ledger.record(id, symbolic(holds, "gradient at diagonal Ṽ, all four entries, d=2, k = 1, 2, 3"))
    regime = "d=3, A and V in one turned basis, k = 1, 2, 3, ρ = 3 and 0.9"
    ledger.record(id, check.limits(each_limit(formula, stability.a_i, stability.x_i), commuting(), regime))


@pytest.mark.statements("ext-step-size.c")
def test_same_factor(ledger):
    id = "ext-step-size.c"
    printed = registry()[id].printed
    ratio, _ = stability.one_dimension()
    # From x_t, with the limit that belongs to x_0.
    now, first = sp.symbols("x_t x_0", positive=True)
    limit = stability.STEP_LIMIT.subs(stability.x, first)
    stepped = ratio.subs(stability.x, now)
    claimed = printed.rhs.subs(stability.limit, limit).subs(stability.x, first).subs(stability.now, now)
    ledger.record(id, symbolic(sp.simplify(stepped - claimed) == 0, "d=1, general k", kind="derivation"))

    def factor(start, size, x):
        # As if training had started at 1.3 times where it is now.
        first = 1.3 * float(x[0])
        level = {stability.a: float(start.S[0, 0, 0]), stability.x: first}
        largest = at(stability.STEP_LIMIT.subs(level), start.k)
        values = {nt.eta: size, stability.limit: largest, stability.now: float(x[0]), stability.x: first}
        return np.array([float(printed.rhs.subs(values).subs(nt.k, start.k))])

    ledger.record(id, course.one_step(factor, one_dimensional(), 0.4, "printed"))


# The start ------------------------------------------------------------------------------------------


def exact_transition(expression, length):
    Sigma0, shift = sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([[1, -2], [-2, 5]])
    found = printed_matrix(expression, Sigma0, shift, length)
    return found == points.transition(Sigma0, Sigma0 + shift, length)


@pytest.mark.statements("sec-6-spectral.a")
def test_transition(ledger):
    id = "sec-6-spectral.a"
    row = registry()[id]
    assert row.corrected is not None
    printed, corrected = row.printed.args[0].args[1], row.corrected.args[1]
    derived, _ = stability.transition()
    whole, leading = (lower_matrix(nt.Gamma0 * form) for form in (corrected, printed))
    ledger.record(id, symbolic(derived.equals(whole), "Γ₀M, general d, n", "corrected", "derivation"))
    left = (derived - leading).map_coefficients(lambda c: sp.limit(c, nt.n, sp.oo))
    text = "Γ₀M is the print's, and 1/n times what n leaves alone"
    ledger.record(id, symbolic(left.equals(left * 0), text, "condition", "derivation"))
    ledger.record(id, counterexample(row, "outside"))
    ledger.record(
        id,
        symbolic(all(exact_transition(corrected, n) for n in (1, 2, 5)), "d=2, no commutation", "corrected"),
    )
    near, long = (Pretraining(SIGMA0, SHIFT, n) for n in (2, 2000))
    # The print leaves out (Σ₀ + tr Σ₀)/n: less than 1e-2 of the least eigenvalue of Σ₀ at n = 2000.
    ledger.record(id, check.starting_radius(of_print(printed), [long], 1e-2, "condition"))
    ledger.record(id, check.starting_radius(of_print(printed), [near], 1e-2, "outside"))
    other = Pretraining(CROSSED / 9, SHIFT, 3)
    ledger.record(id, check.starting_radius(of_print(corrected), [near, other], 1e-9, "corrected"))


@pytest.mark.statements("sec-6-cases.a")
def test_aligned(ledger, profile, seed):
    id = "sec-6-cases.a"
    left, right = stability.margin()
    # 0 ≺ Σ ≺ 2Γ₀ puts the eigenvalues of I − Γ₀⁻¹Σ between −1 and 1, and no nearer to 0.
    holds = left.equals(right) and bounds_the_unit_disk(registry()[id].printed)
    ledger.record(id, symbolic(holds, "2Γ₀ − Σ = (Γ₀−Δ) + (Σ₀+tr Σ₀ I)/n", "condition", "derivation"))
    claim, holds = registry()[id].printed.args[1], True
    for j, length in enumerate((1, 3, sp.oo)):
        root = rational(2, 2, f"al{j}")
        Sigma0 = root * root.T + sp.eye(2)
        gamma0 = Sigma0 + (Sigma0 + Sigma0.trace() * sp.eye(2)) / length
        below = rational(2, 1, f"be{j}")
        shift = R(9, 10) * below * below.T / (below.T * gamma0.inv() * below)[0, 0]  # Δ ≺ Γ₀
        reached = points.radius(points.transition(Sigma0, Sigma0 + shift, length))
        holds = holds and bool(value(claim, {stability.radius: reached}))
    ledger.record(id, symbolic(holds, "d=2, no commutation, n = 1, 3, ∞, Δ at 9/10 of Γ₀", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    # κ of S = Σ: u Δ u = 2 < u Γ₀ u = 5, yet unstable.
    shift, long, V = np.diag([2.0, 0.0]), 2000, initial(CROSSED)
    given = (CROSSED + shift, long, seed(id), profile, "Σ₀ at 45° to Δ")
    stable = concluded(registry()[id].printed)
    ledger.record(id, check.claimed_share(stable, V, *given, "outside"))
    aligned = (CROSSED + 0.4 * shift, long, seed(id), profile, "Δ ≺ Γ₀ at 45°")
    ledger.record(id, check.claimed_share(stable, V, *aligned, "condition"))
    # S_τ ≺ 2Γ₀ too: Σ₀ = I, Δ = I/5, prompts of n = 32 d and of n = d.
    d = 24
    for n, form in ((32 * d, "condition"), (d, "outside")):
        V = initial(np.eye(d), n)
        text = "Σ₀ = I, Δ = I/5"
        ledger.record(id, check.claimed_share(stable, V, 1.2 * np.eye(d), n, seed(id), profile, text, form))


def bounds_the_unit_disk(implication):
    """Whether the print concludes ρ(M) < 1, and not of less or more."""
    relation = implication.args[1]
    eps = R(1, 10**6)
    return [bool(value(relation, {stability.radius: r})) for r in (0, 1 - eps, 1, 1 + eps)] == [1, 1, 0, 0]


@pytest.mark.statements("sec-6-cases.b")
def test_misaligned(ledger, profile, seed):
    id = "sec-6-cases.b"
    row = registry()[id]
    least = row.printed.args[0].rhs
    left, right = stability.transition()
    # M = Γ₀⁻¹R − Γ₀⁻¹Δ with R = (Σ₀+tr Σ₀ I)/n, and Γ₀ − R = Σ₀ ⪰ 0: ρ(M) > ρ(Γ₀⁻¹Δ) − 1.
    rest = gamma0_printed() - (right + letter(nt.letter_of(Delta)))
    derived = left.equals(right) and rest.equals(letter(nt.letter_of(nt.Sigma0)))
    claim = row.printed.args[1]
    # So ρ(M) is above ``least`` − 1, by as little as one likes.
    eps = R(1, 10**6)
    derived = derived and bool(value(claim, {stability.radius: least - 1 + eps}))
    ledger.record(id, symbolic(derived, "Γ₀M = R − Δ and Γ₀ − R = Σ₀ ⪰ 0", kind="derivation"))
    holds = True
    for j, length in enumerate((1, 2, 7, sp.oo)):
        root, along = rational(2, 2, f"mi{j}"), rational(2, 1, f"ma{j}")
        Sigma0 = root * root.T + sp.eye(2) / 5
        shift = along * along.T
        shift = shift * least / points.shift_radius(Sigma0, shift, length)
        reached = points.radius(points.transition(Sigma0, Sigma0 + shift, length))
        holds = holds and bool(value(claim, {stability.radius: reached}))
    ledger.record(id, symbolic(holds, "d=2, no commutation, n = 1, 2, 7, ∞, at ρ(Γ₀⁻¹Δ) = 2"))
    V, novel = initial(SIGMA0, 2), np.array([[0.6, -0.5], [-0.5, 0.5]])
    size = 1.02 * float(least) / float(np.abs(np.linalg.eigvals(V @ novel)).max())
    given = (V, SIGMA0 + size * novel, 1000, seed(id), profile, "no commutation, ρ(Γ₀⁻¹Δ) = 2.04")
    ledger.record(id, check.claimed_share(concluded(row.printed), *given))


@pytest.mark.statements("sec-7.b")
def test_balance(ledger, profile, seed):
    id = "sec-7.b"
    left, right = stability.margin()
    row = registry()[id]
    holds = left.equals(right) and bounds_the_unit_disk(row.printed)
    ledger.record(id, symbolic(holds, "M = I − Γ₀⁻¹Σ > −I iff Σ ≺ 2Γ₀", "condition", "derivation"))
    inside = points.radius(points.transition(sp.eye(2), sp.Matrix([[3, 1], [1, 2]]), 2))
    holds = bool(value(row.printed.args[1], {stability.radius: inside}))
    ledger.record(id, symbolic(holds, "Σ₀=I, n=d=2, Δ=((2,1),(1,1)): Σ ≺ 2Γ₀ = 5I", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for shift, form in ((0.5, "condition"), (3.0, "outside")):
        Sigma = np.eye(4) + np.diag([shift, shift, 0.0, 0.0])
        text = f"Σ₀ = I, Δ = {shift:g} on half"
        given = (initial(np.eye(4)), Sigma, 1000, seed(id), profile, text, form)
        ledger.record(id, check.claimed_share(concluded(row.printed), *given))


# What follows for training --------------------------------------------------------------------------


@pytest.mark.statements("sec-7.c")
def test_bottleneck(ledger):
    id = "sec-7.c"
    gradient = descent.restricted_gradient()[0]
    moved, given = descent.error_recursion()
    free = moved.equals(given) and gradient.equals(descent.restricted_gradient()[1])
    same, order = registry()[id].printed.args
    way = along(order)  # from the smaller ρ to the larger
    ends = [[points.limit_of_descent(x, k) for x in (R(-1, 2), R(-3))] for k in (2, 3, 4)]
    falls = isinstance(same, sp.Eq) and all((far - near) * way > 0 for near, far in ends)
    regime = "the map of fine-tuning's error has no Γ₀; d=1, k = 2, 3, 4, x = −1/2 and −3"
    ledger.record(id, symbolic(bool(free and falls), regime, "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    near, far = (started(Scene(2, level)) for level in (0.8, 0.2))
    taught = replace(near, k=2, eta=0.4), replace(far, k=2, eta=0.4)
    outcome = [(replace(near, k=k), replace(far, k=k)) for k in (1, 2, 3)]
    regime = "sampled prompts, d=8, n=64, B=16, Σ₀ = diag(0.8, 1) and diag(0.2, 1)"
    each = "L_SFT (k=2), L_OS (k=2) and L_OS (k=3)"
    pairs = [taught, *outcome[1:]]
    ledger.record(id, check.order_of_limits((0, way, way), pairs, each, regime, "condition"))
    ledger.record(id, check.order_of_limits(way, outcome[:1], "L_OS, k=1,", regime, "outside"))


@pytest.mark.statements("sec-7.a")
def test_escalation(ledger, profile):
    id = "sec-7.a"
    rhs = registry()[id].printed.rhs
    for k in (2, 3):
        scenes = [Scene(k, level, n=160, B=32) for level in (0.1, 0.03, 0.01)]
        starts = [started(s) for s in scenes]
        expected = [at(rhs, k, constant=1, radius=r) for r in (1.0, np.e)]
        radii = [largest(of) for of in starts]
        ledger.record(
            id,
            check.power(
                float(np.log(expected[1] / expected[0])),
                [of.curvature for of in starts],
                radii,
                0.05 * (2 * k - 2),
                f"{scenes[0]}, κ(Γ₀) = 10, 33, 100, against the largest ρ(M_τ)",
                kind="monte-carlo",
            ),
        )
    growth = rhs.subs({stability.constant: 1, stability.radius: rho})
    at_ends = [[(r, novel(k, r)) for k, r in ((8, 3.0), (32, 3.0), (32, 2.0))]]
    regime = "n = ∞, Σ = I, two of four directions novel, k = 8, 32, ρ = 2, 3"
    ledger.record(id, curvature.exponents(powers(growth), at_ends, regime, profile, drawn=False))


def novel(k, radius):
    """Γ₀ = 1/(1 + ρ) in two directions of four, where Σ = I."""
    return curvature.Landscape(-np.diag([1 + radius, 1 + radius, 1, 1]), np.eye(4), 2 * np.eye(4), k)


def largest(start):
    M = np.eye(len(start.V)) + start.V.numpy() @ start.S.numpy()
    return float(np.abs(np.linalg.eigvals(M)).max())
