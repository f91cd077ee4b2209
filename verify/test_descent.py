"""Theorem 4.2 and Remark 4.1: evidence for ``theory/descent.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import descent, exact, finetuning
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from verify.checks import descent as check
from verify.checks import finetuning as tasks_of
from verify.checks.points import TaughtPoint, points, rational
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.predictions import task_matrix
from verify.test_finetuning import ETA, exact_prompts, overdetermined, printed_limit
from verify.test_model import SHAPES


def regimes(seed):
    """B below, at and above d, A singular; k = 0, η = 1; small, near-optimal and near-critical steps."""
    return [
        (tasks_of.task(3, 5, 2, seed("B<d"), k=2), 0.5),
        (tasks_of.task(3, 5, 2, seed("B<d"), k=0, eta=0.3), 0.9),
        (tasks_of.task(3, 4, 8, seed("B>d"), k=1, eta=1.0), 0.8),
        (tasks_of.task(3, 5, 6, seed("rank"), k=3, rank=2), 0.4),
        (tasks_of.task(3, 2, 3, seed("B=d>n"), k=1), 0.5),
        (tasks_of.task(1, 3, 2, seed("d=1"), k=2), 0.9),
    ]


@pytest.mark.statements("thm-4.2.a")
def test_rate(ledger, seed):
    moved, printed = descent.error_recursion()
    outside = descent.initial_error_outside().is_zero()
    # On range(Φ) the map has eigenvalues 1 − gμ, μ between λ⁺_min and λ_max: a convex combination.
    low, high, share, g = sp.symbols("l h s g")
    mixed = sp.expand(
        (1 - g * (share * low + (1 - share) * high)) - (share * (1 - g * low) + (1 - share) * (1 - g * high))
    )
    ledger.record(
        "thm-4.2.a",
        symbolic(
            moved.equals(printed) and outside and mixed == 0,
            "Δ_t stays in range(Φ); |1 − gμ| is convex in μ",
            kind="derivation",
        ),
    )
    printed_alpha = registry()["thm-4.2.a"].printed.args[1].rhs
    grid = [
        (sp.Rational(p, 3), sp.Rational(q, 7), sp.Rational(r, 5))
        for p in (3, 7)
        for q in (1, 6)
        for r in (1, 4)
    ]
    named = all(
        printed_alpha.subs({nt.lambda_max: top, nt.lambda_min: least, nt.step_size: g, nt.c_k: 1, nt.B: 1})
        == descent.contraction(top, least, g)
        for top, least, g in grid
    )
    ledger.record("thm-4.2.a", symbolic(named, "α as printed, rational grid"))
    goal = task_matrix(finetuning.fixed_point())
    ledger.record("thm-4.2.a", check.descent(goal, descent.contraction, regimes(seed)))


@pytest.mark.statements("thm-4.2.b")
def test_rate_at_the_printed_step(ledger, seed):
    low, gap = sp.symbols("l g", positive=True)
    high = low + gap  # λ_max ≥ λ⁺_min
    step = 1 / high
    alpha = sp.Max(sp.Abs(1 - step * high), sp.Abs(sp.simplify(1 - step * low)))
    ledger.record(
        "thm-4.2.b",
        symbolic(sp.simplify(alpha - (1 - low / high)) == 0, "γ = B/(c_k λ_max)", kind="derivation"),
    )
    goal = task_matrix(finetuning.fixed_point())
    at_half = [(task, 0.5) for task, _ in regimes(seed)]
    ledger.record("thm-4.2.b", check.descent(goal, lambda high, low, step: 1 - low / high, at_half))


@pytest.mark.statements("thm-4.2-proof.a", "thm-4.2-proof.b")
def test_loss_and_gradient(ledger, seed):
    residual, printed = finetuning.residual_at_identity()
    ledger.record(
        "thm-4.2-proof.a",
        symbolic(residual.equals(printed), "R_i = −ρ^i(ṼS + ηI)w*, general d, i", kind="derivation"),
    )
    derived, _ = descent.restricted_gradient()
    stated = lower_matrix(registry()["thm-4.2-proof.b"].printed.rhs)
    ledger.record("thm-4.2-proof.b", symbolic(derived.equals(stated), "general d, B", kind="derivation"))
    same = lower_scalar(registry()["thm-4.2-proof.a"].printed.rhs).equals(descent.restricted_loss())
    ledger.record("thm-4.2-proof.a", symbolic(same, "c_k/(2B) ‖ṼΦ + ηΩ‖_F² in words", kind="derivation"))
    loss_holds = slope_holds = True
    for d, n, B, k in ((1, 2, 3, 2), (2, 1, 2, 0), (2, 2, 3, 1)):
        prompts, V = exact_prompts(d, n, B), rational(d, d, f"dv{d}{B}")
        omega, phi = exact.stack(prompts)
        c_k = sum((1 - ETA) ** (2 * i) for i in range(k + 1))
        gap = V * phi + ETA * omega
        loss = exact.supervised_loss(V, sp.eye(d), prompts, ETA, k)
        loss_holds = loss_holds and loss == c_k / (2 * B) * exact.frobenius_squared(gap)
        slope_holds = (
            slope_holds and exact.supervised_gradient(prompts, V, ETA, k)[0] == c_k / B * gap * phi.T
        )
    ledger.record("thm-4.2-proof.a", symbolic(loss_holds, "full model, rationals, d ≤ 2, B ≤ 3, k ≤ 2"))
    ledger.record("thm-4.2-proof.b", symbolic(slope_holds, "full model, rationals, d ≤ 2, B ≤ 3, k ≤ 2"))

    def loss_at(point):
        c_k, gap = check.parts(point)
        return np.array([c_k / (2 * point.prompts.size) * (gap**2).sum()])

    def slope_at(point):
        c_k, gap = check.parts(point)
        return c_k / point.prompts.size * gap @ check.features(point).T

    ledger.record(
        "thm-4.2-proof.a",
        identity(
            check.loss_at_identity, loss_at, points(seed("loss"), kind=TaughtPoint, identity=True), SHAPES
        ),
    )
    ledger.record(
        "thm-4.2-proof.b",
        identity(
            check.gradient_at_identity,
            slope_at,
            points(seed("slope"), kind=TaughtPoint, identity=True),
            SHAPES,
        ),
    )


@pytest.mark.statements("thm-4.2-proof.c")
def test_constraint(ledger, seed):
    gap, normal = finetuning.constraint_gap(), finetuning.normal_equation_gap()
    ledger.record(
        "thm-4.2-proof.c",
        symbolic(gap.is_zero(), "Ṽ_*Φ + ηΩ = ηΩ(I − Φ†Φ), general d, B", "outside", "derivation"),
    )
    ledger.record("thm-4.2-proof.c", counterexample(registry()["thm-4.2-proof.c"], "outside"))
    for prompts, text in ((exact_prompts(3, 2, 2), "B=2 < d=3"), (exact_prompts(2, 2, 2), "B=d=2")):
        omega, phi = exact.stack(prompts)
        fixed = exact.fixed_point(omega, phi, sp.diag(*range(2, phi.rows + 2)), ETA)
        ledger.record(
            "thm-4.2-proof.c", symbolic(fixed * phi == -ETA * omega, f"rationals, {text}", "condition")
        )
    ledger.record(
        "thm-4.2-proof.c",
        symbolic(normal.is_zero(), "(Ṽ_*Φ + ηΩ)Φᵀ = 0, general d, B", "corrected", "derivation"),
    )
    under = [tasks_of.task(3, 5, 2, seed("B<d")), tasks_of.task(3, 4, 3, seed("B=d"))]
    over = overdetermined(seed)
    ledger.record("thm-4.2-proof.c", check.constraint_at_limit(under, False, "condition"))
    ledger.record("thm-4.2-proof.c", check.constraint_at_limit(over, False, "outside"))
    ledger.record("thm-4.2-proof.c", check.constraint_at_limit(under + over, True, "corrected"))


@pytest.mark.statements("thm-4.2-proof.d")
def test_recursion(ledger, seed):
    moved, printed = descent.error_recursion()
    ledger.record(
        "thm-4.2-proof.d", symbolic(moved.equals(printed), "general d, B, Φ of any rank", kind="derivation")
    )
    ledger.record(
        "thm-4.2-proof.d",
        check.error_map(
            lambda step, M: np.eye(len(M)) - step * M, [t for t, _ in regimes(seed)], printed_limit
        ),
    )


def _norm_below_one(d, B, on_range):
    """‖I − gM‖ < 1 in rationals, M = ΦΦᵀ: the symmetric map N has norm below 1 iff I − N² is positive
    definite; g = 1/tr M is inside the step condition."""
    _, phi = exact.stack(exact_prompts(d, 2, B))
    M = phi * phi.T
    step = sp.eye(d) - M / M.trace()
    if on_range:
        step = step * phi * phi.pinv()
    return bool((sp.eye(d) - step * step).is_positive_definite)


@pytest.mark.statements("thm-4.2-proof.e")
def test_operator_norm(ledger, seed):
    full_rank, few = ((2, 3), (2, 2)), ((2, 1), (3, 2))
    ledger.record(
        "thm-4.2-proof.e",
        symbolic(all(_norm_below_one(d, B, False) for d, B in full_rank), "rationals, B ≥ d", "condition"),
    )
    ledger.record("thm-4.2-proof.e", counterexample(registry()["thm-4.2-proof.e"], "outside"))
    ledger.record(
        "thm-4.2-proof.e",
        symbolic(any(_norm_below_one(d, B, False) for d, B in few), "rationals, B < d", "outside"),
    )
    ledger.record(
        "thm-4.2-proof.e",
        symbolic(
            all(_norm_below_one(d, B, True) for d, B in full_rank + few), "rationals, any B", "corrected"
        ),
    )
    full = [(tasks_of.task(3, 4, 5, seed("full")), 0.5), (tasks_of.task(2, 3, 2, seed("square")), 0.95)]
    deficient = [
        (tasks_of.task(3, 4, 2, seed("few")), 0.5),
        (tasks_of.task(3, 4, 5, seed("flat"), rank=2), 0.95),
    ]
    ledger.record("thm-4.2-proof.e", check.map_norm(full, False, "condition"))
    ledger.record("thm-4.2-proof.e", check.map_norm(deficient, False, "outside"))
    ledger.record("thm-4.2-proof.e", check.map_norm(full + deficient, True, "corrected"))


@pytest.mark.statements("thm-4.2-proof.f")
def test_bound_on_c_k(ledger, seed):
    rho, k, eta = nt.rho_cot, nt.k, nt.eta
    closed = descent.geometric_sum()
    grows = (
        sp.simplify(closed.subs(k, k + 1) - closed - rho ** (2 * k + 2)) == 0
        and sp.simplify(closed.subs(k, 1) - 1 - rho**2) == 0
    )
    gap = sp.simplify(1 / (1 - rho**2) - closed - rho ** (2 * k + 2) / (1 - rho**2)) == 0
    square = sp.expand((1 - rho**2).subs(rho, 1 - eta) - (2 * eta - eta**2)) == 0
    ledger.record(
        "thm-4.2-proof.f",
        symbolic(
            grows and gap and square,
            "bound − c_k = ρ^{2k+2}/(1−ρ²), positive for 0 < |ρ| < 1",
            "condition",
            "derivation",
        ),
    )
    ledger.record("thm-4.2-proof.f", counterexample(registry()["thm-4.2-proof.f"], "outside"))
    values = [sp.Rational(1, 10), sp.Rational(3, 4), sp.Rational(3, 2), sp.Integer(1)]
    holds = all(
        sum((1 - e) ** (2 * i) for i in range(j + 1)) <= 1 / (2 * e - e**2) for e in values for j in range(6)
    )
    ledger.record("thm-4.2-proof.f", symbolic(holds and gap, "η = 1/10, 3/4, 3/2, 1; k ≤ 5", "corrected"))
    ledger.record("thm-4.2-proof.f", check.curvature_bound([0.2, 0.7], True, seed("c_k"), "condition"))
    ledger.record("thm-4.2-proof.f", check.curvature_bound([1.0], True, seed("c_k"), "outside"))
    ledger.record("thm-4.2-proof.f", check.curvature_bound([0.2, 0.7, 1.0], False, seed("c_k"), "corrected"))


@pytest.mark.statements("rem-4.1.a")
def test_minimiser_and_k(ledger, seed):
    ledger.record("rem-4.1.a", counterexample(registry()["rem-4.1.a"], "outside"))
    zero = finetuning.zero_loss_residual().is_zero()  # every R_i, i symbolic: for all k at once
    nearest = finetuning.least_distance().equals(finetuning.fixed_point())
    ledger.record(
        "rem-4.1.a",
        symbolic(
            zero and nearest,
            "where ṼΦ = −ηΩ is solved, (Ṽ_*, I) has zero loss for every k and is nearest",
            "condition",
            "derivation",
        ),
    )
    for B, eta, hold, d, text in (
        (2, 0.4, False, 3, "consistent"),
        (7, 1.0, False, 3, "η=1"),
        (5, 0.4, False, 1, "d=1"),
        (7, 0.4, True, 3, "held"),
    ):
        ledger.record("rem-4.1.a", tasks_of.limits_over_k((1, 3), seed(text), B, "condition", eta, hold, d))
    ledger.record("rem-4.1.a", tasks_of.limits_over_k((1, 3), seed("inconsistent"), 7, "outside"))


def _pair_criterion():
    """α(c') < α(c) against g(c' λ_max + c λ⁺_min) < 2, c < c' two values of c_k, on a rational grid that
    meets equality, where α must be equal."""
    rationals = [
        sp.Rational(p, q) for p, q in ((1, 5), (1, 2), (2, 3), (1, 1), (5, 3), (3, 2), (12, 5), (3, 1))
    ]
    holds = met = 0
    for low in (sp.Integer(1), sp.Rational(1, 3)):
        for c in (sp.Integer(1), sp.Rational(5, 4)):
            for more in (sp.Rational(5, 4), sp.Rational(21, 16)):
                for g in (*rationals, 2 / (more + c * low)):
                    if not (c < more and g * more < 2):  # λ_max = 1, inside the step condition
                        continue
                    before, after = (descent.contraction(sp.Integer(1), low, g * x) for x in (c, more))
                    criterion = g * (more + c * low)
                    if (after < before) != (criterion < 2) or (after == before) != (criterion == 2):
                        return False, 0
                    holds, met = holds + 1, met + (criterion == 2)
    return holds > 0, met


@pytest.mark.statements("rem-4.1.b")
def test_speed_and_k(ledger, seed):
    """α as a function of c = γc_k/B falls up to 2/(λ_max + λ⁺_min) and rises after it."""
    high, low, c = sp.symbols("h l c", positive=True)
    turn = 2 / (high + low)
    meets = sp.simplify((1 - turn * low) - (turn * high - 1)) == 0
    supremum = 1 / (2 * nt.eta - nt.eta**2)  # of c_k, not reached for ρ ≠ 0
    bound = 2 * (2 * nt.eta - nt.eta**2) / (high + low)
    reaches = sp.simplify(bound * supremum - turn) == 0
    gap = sp.expand((1 - c * low) - (c * high - 1) - (high + low) * (turn - c))
    ledger.record(
        "rem-4.1.b",
        symbolic(
            meets and reaches and sp.simplify(gap) == 0,
            "α = 1 − cλ⁺_min up to c = 2/(λ_max+λ⁺_min), and falls; γc_k/B stays below that",
            "condition",
            "derivation",
        ),
    )
    ledger.record("rem-4.1.b", counterexample(registry()["rem-4.1.b"], "outside"))
    holds, met = _pair_criterion()
    ledger.record(
        "rem-4.1.b",
        symbolic(
            holds and met > 0,
            f"faster iff γ(c'λ_max + cλ⁺_min) < 2B, rational grid, equality {met} times",
            "corrected",
        ),
    )
    ledger.record("rem-4.1.b", check.faster_with_k("corrected", 0.99, (0.3, 0.6), seed("speed"), "condition"))
    ledger.record("rem-4.1.b", check.faster_with_k("corrected", 1.0, (0.4, 0.8), seed("limit"), "corrected"))
    ledger.record("rem-4.1.b", check.faster_with_k("printed", 0.99, (0.3, 0.6), seed("speed"), "outside"))
