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
from theory.pretraining import gamma0_printed
from theory.statement import registry
from theory.words.poly import letter
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
    at,
    commuting,
    each_limit,
    from_one_step,
    initial,
    of_print,
    one_dimensional,
    printed_matrix,
    sampled,
)

R = sp.Rational
KS = (1, 2, 3, 4)
VALUES = (R(-3), R(1, 2), R(5, 3), R(-1, 4))  # of x = 1 + ṼS

# The step -------------------------------------------------------------------------------------------


@pytest.mark.statements("sec-6-spectral.b")
def test_step_condition(ledger):
    id = "sec-6-spectral.b"
    row = registry()[id]
    ledger.record(id, counterexample(row))
    assert row.corrected is not None
    corrected = row.corrected.args[0].rhs
    exact = at_limit = True
    for k in KS:
        for x in VALUES:
            true = points.limit_of_descent(x, k, R(2, 3))
            top = points.top_curvature(x, k, R(2, 3))
            exact = exact and true == row.printed.rhs.subs(stability.curvature, top).subs(nt.k, k)
            at_limit = at_limit and true == corrected.subs(stability.curvature, top).subs(nt.k, k)
    ledger.record(id, symbolic(exact, "d=1, k = 1 … 4, x and −x after a step, rationals"))
    ledger.record(id, symbolic(at_limit, "d=1, k = 1 … 4, x and −x after a step, rationals", "corrected"))
    ratio, second = stability.one_dimension()
    limit = sp.solve(sp.Eq(ratio, -1), nt.eta)
    ledger.record(
        id,
        symbolic(
            [sp.simplify(r - corrected.subs(stability.curvature, second)) for r in limit] == [0],
            "d=1, general k",
            "corrected",
            "derivation",
        ),
    )
    regime = "d=1, k = 1 … 4, x = −2.5, 0.6"
    starts = one_dimensional()
    ledger.record(id, check.limits(allowed(corrected), starts, regime, "corrected"))
    ledger.record(id, check.limits(allowed(row.printed.rhs), starts, regime))
    # Any number of dimensions, sampled prompts: how far beyond 2/λ_max.
    unit = {stability.curvature: 2}
    edge = lambda k: float(corrected.subs(unit).subs(nt.k, k))  # noqa: E731
    ledger.record(id, check.beyond(lambda k: (0.65 * edge(k), 1.1 * edge(k)), sampled(), "corrected"))
    most = lambda k: (1 + check.RESOLUTION) * float(row.printed.rhs.subs(unit).subs(nt.k, k))  # noqa: E731
    ledger.record(id, check.beyond(lambda k: (0.0, most(k)), sampled()))


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
    (_, formula) = registry()[id].printed.rhs.args
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
        share = size / check_limit(start)
        values = {nt.eta: share, stability.limit: 1, stability.now: float(x[0]), stability.x: float(x[0])}
        return np.array([float(printed.rhs.subs(values).subs(nt.k, start.k))])

    def check_limit(start):
        return each_limit(stability.STEP_LIMIT, stability.a, stability.x)(start)

    ledger.record(id, course.one_step(factor, one_dimensional(), 0.4, "printed"))


# The start ------------------------------------------------------------------------------------------


def exact_transition(expression, length):
    Sigma0, shift = sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([[1, -2], [-2, 5]])
    found = printed_matrix(expression, Sigma0, shift, length)
    return found == points.transition(Sigma0, Sigma0 + shift, length)


@pytest.mark.statements("sec-6-spectral.a")
def test_transition(ledger, seed):
    id = "sec-6-spectral.a"
    row = registry()[id]
    assert row.corrected is not None
    printed, corrected = row.printed.args[0].args[1], row.corrected.args[1]
    derived, stated = stability.transition()
    ledger.record(id, symbolic(derived.equals(stated), "Γ₀M, general d, n", "corrected", "derivation"))
    bounded = (derived + letter(nt.letter_of(Delta))).map_coefficients(lambda c: sp.limit(c, nt.n, sp.oo))
    ledger.record(
        id,
        symbolic(
            bounded.equals(bounded * 0), "Γ₀M + Δ is 1/n times what n leaves alone", "condition", "derivation"
        ),
    )
    ledger.record(id, counterexample(row, "outside"))
    ledger.record(
        id,
        symbolic(all(exact_transition(corrected, n) for n in (1, 2, 5)), "d=2, no commutation", "corrected"),
    )
    near, long = (Pretraining(SIGMA0, SHIFT, n) for n in (2, 2000))
    ledger.record(id, check.starting_radius(of_print(printed), [long], seed(id), "condition", 1000))
    ledger.record(id, check.starting_radius(of_print(printed), [near], seed(id), "outside"))
    ledger.record(id, check.starting_radius(of_print(corrected), [near], seed(id), "corrected"))


@pytest.mark.statements("sec-6-cases.a")
def test_aligned(ledger, profile, seed):
    id = "sec-6-cases.a"
    left, right = stability.margin()
    ledger.record(
        id, symbolic(left.equals(right), "2Γ₀ − Σ = (Γ₀−Δ) + (Σ₀+tr Σ₀ I)/n", "condition", "derivation")
    )
    holds = True
    for j, length in enumerate((1, 3, sp.oo)):
        root = rational(2, 2, f"al{j}")
        Sigma0 = root * root.T + sp.eye(2)
        gamma0 = Sigma0 + (Sigma0 + Sigma0.trace() * sp.eye(2)) / length
        below = rational(2, 1, f"be{j}")
        shift = R(9, 10) * below * below.T / (below.T * gamma0.inv() * below)[0, 0]  # Δ ≺ Γ₀
        holds = holds and bool(points.radius(points.transition(Sigma0, Sigma0 + shift, length)) < 1)
    ledger.record(id, symbolic(holds, "d=2, no commutation, n = 1, 3, ∞, Δ at 9/10 of Γ₀", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    # κ of S = Σ: u Δ u = 2 < u Γ₀ u = 5, yet unstable.
    shift, long, V = np.diag([2.0, 0.0]), 2000, initial(CROSSED)
    given = (CROSSED + shift, long, seed(id), profile, "Σ₀ at 45° to Δ")
    ledger.record(id, check.unstable_share(0.0, V, *given, "outside"))
    aligned = (CROSSED + 0.4 * shift, long, seed(id), profile, "Δ ≺ Γ₀ at 45°")
    ledger.record(id, check.unstable_share(0.0, V, *aligned, "condition"))
    # S_τ ≺ 2Γ₀ too: Σ₀ = I, Δ = I/5, prompts of n = 32 d and of n = d.
    d = 24
    for n, form in ((32 * d, "condition"), (d, "outside")):
        V = initial(np.eye(d), n)
        text = "Σ₀ = I, Δ = I/5"
        ledger.record(id, check.unstable_share(0.0, V, 1.2 * np.eye(d), n, seed(id), profile, text, form))


@pytest.mark.statements("sec-6-cases.b")
def test_misaligned(ledger, profile, seed):
    id = "sec-6-cases.b"
    row = registry()[id]
    least = row.printed.args[0].rhs
    left, right = stability.transition()
    # M = Γ₀⁻¹R − Γ₀⁻¹Δ with R = (Σ₀+tr Σ₀ I)/n, and Γ₀ − R = Σ₀ ⪰ 0: ρ(M) > ρ(Γ₀⁻¹Δ) − 1.
    rest = gamma0_printed() - (right + letter(nt.letter_of(Delta)))
    derived = left.equals(right) and rest.equals(letter(nt.letter_of(nt.Sigma0)))
    ledger.record(id, symbolic(derived, "Γ₀M = R − Δ and Γ₀ − R = Σ₀ ⪰ 0", kind="derivation"))
    holds = True
    for j, length in enumerate((1, 2, 7, sp.oo)):
        root, along = rational(2, 2, f"mi{j}"), rational(2, 1, f"ma{j}")
        Sigma0 = root * root.T + sp.eye(2) / 5
        shift = along * along.T
        shift = shift * least / points.shift_radius(Sigma0, shift, length)
        holds = holds and bool(points.radius(points.transition(Sigma0, Sigma0 + shift, length)) > 1)
    ledger.record(id, symbolic(holds, "d=2, no commutation, n = 1, 2, 7, ∞, at ρ(Γ₀⁻¹Δ) = 2"))
    shift = np.array([[0.6, -0.5], [-0.5, 0.5]])
    V = initial(SIGMA0, 8)
    shift = shift * 1.25 * float(least) / float(np.abs(np.linalg.eigvals(V @ shift)).max())
    text = "no commutation, ρ(Γ₀⁻¹Δ) = 2.5"
    ledger.record(id, check.unstable_share(1.0, V, SIGMA0 + shift, 1000, seed(id), profile, text))


@pytest.mark.statements("sec-7.b")
def test_balance(ledger, profile, seed):
    id = "sec-7.b"
    left, right = stability.margin()
    ledger.record(
        id, symbolic(left.equals(right), "M = I − Γ₀⁻¹Σ > −I iff Σ ≺ 2Γ₀", "condition", "derivation")
    )
    inside = points.radius(points.transition(sp.eye(2), sp.Matrix([[3, 1], [1, 2]]), 2))
    ledger.record(id, symbolic(bool(inside < 1), "Σ₀=I, n=d=2, Δ=((2,1),(1,1)): Σ ≺ 2Γ₀ = 5I", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for shift, form in ((0.5, "condition"), (3.0, "outside")):
        Sigma = np.eye(4) + np.diag([shift, shift, 0.0, 0.0])
        text = f"Σ₀ = I, Δ = {shift:g} on half"
        given = (initial(np.eye(4)), Sigma, 1000, seed(id), profile, text, form)
        ledger.record(id, check.unstable_share(0.0, *given))


# What follows for training --------------------------------------------------------------------------


@pytest.mark.statements("sec-7.c")
def test_bottleneck(ledger):
    id = "sec-7.c"
    gradient = descent.restricted_gradient()[0]
    moved, given = descent.error_recursion()
    free = moved.equals(given) and gradient.equals(descent.restricted_gradient()[1])
    ledger.record(
        id, symbolic(free, "the map of fine-tuning's error has no Γ₀", "condition", kind="derivation")
    )
    falls = all(points.limit_of_descent(R(-1, 2), k) > points.limit_of_descent(R(-3), k) for k in (2, 3, 4))
    ledger.record(id, symbolic(bool(falls), "d=1, k = 2, 3, 4, x = −1/2 and −3", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    near, far = (started(Scene(2, level)) for level in (0.8, 0.2))
    taught = [replace(of, k=2, eta=0.4) for of in (near, far)]
    regime = "sampled prompts, d=8, n=64, B=16, Σ₀ = diag(0.8, 1) and diag(0.2, 1)"
    ledger.record(id, check.order_of_limits(0, [(taught[0], taught[1])], "L_SFT, k=2,", regime, "condition"))
    for k, form in ((2, "condition"), (3, "condition"), (1, "outside")):
        pair = replace(near, k=k), replace(far, k=k)
        ledger.record(id, check.order_of_limits(-1, [pair], f"L_OS, k={k},", regime, form))
    # Fine-tuning's own limit, Theorem 4.2.
    bound = lambda s: 2 * len(s.w_star) / (taught_sum(s) * np.linalg.norm(s.Phi, 2) ** 2)  # noqa: E731
    ledger.record(id, check.limits(bound, taught, f"L_SFT, 2B/(c_k λ_max(ΦΦᵀ)), {regime}", "condition"))


def taught_sum(start):
    return sum((1 - start.eta) ** (2 * i) for i in range(start.k + 1))


@pytest.mark.statements("sec-7.a")
def test_escalation(ledger):
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


def largest(start):
    M = np.eye(len(start.V)) + start.V.numpy() @ start.S.numpy()
    return float(np.abs(np.linalg.eigvals(M)).max())
