"""The companion paper as reported: evidence for ``theory/companion.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import companion, exact, kstep, model, pretraining
from theory import companion_points as points
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.words.poly import identity, letter, substitute
from verify.checks import companion as check
from verify.checks import kstep as chains
from verify.checks import model as measured
from verify.checks.companion import Mixture
from verify.checks.points import covariance, rational
from verify.checks.points import points as generic
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.checks.run import identity as to_rounding
from verify.companion_predictions import (
    at_matrices,
    at_spectrum,
    fixed_point,
    gamma,
    of_matrices,
    of_one,
    of_spectrum,
    printed,
    trained,
)
from verify.surface import value
from verify.test_pretraining import _slope as slope

n, m, k, H, h = nt.n, nt.m_prompt, nt.k, companion.H, companion.h
R = sp.Rational
TURN = sp.Matrix([[R(3, 5), R(-4, 5)], [R(4, 5), R(3, 5)]])
SKEWED = TURN * sp.diag(1, 3) * TURN.T  # Λ or Σ in rationals, not diagonal, eigenvalues 1 and 3
APART, ALIKE = (R(1), R(3)), (R(2), R(2))
GAMMA = lower_matrix(companion.Gamma.I)


def corrected(id):
    return registry()[id].corrected


@pytest.mark.statements("rel-pretraining")
def test_fixed_point(ledger, seed):
    id = "rel-pretraining"
    limit, form = (side.rhs for side in printed(id).args)
    as_prompted = lower_matrix(form.subs(companion.Lambda, nt.Sigma0))
    derived = pretraining.gamma0_derived().equals(as_prompted)
    solved = (lower_matrix(limit) @ lower_matrix(companion.Gamma) + identity(nt.d)).is_zero()
    ledger.record(id, symbolic(derived and solved, "(ṼΓ + I)Λ = 0, general d, n, Λ", kind="derivation"))
    holds = True
    for d, length in ((1, 2), (2, 1)):
        root = rational(d, d, f"rel{d}{length}")
        holds = holds and slope(fixed_point(root * root.T, length), root, length) == sp.zeros(d)
    ledger.record(id, symbolic(holds, "gradient by Gaussian moments, (d,n) = (1,2), (2,1)"))
    at = [Mixture((1.0,), (covariance(d, seed("Λ") % 2**31),), length) for d, length in ((2, 3), (3, 2))]
    ledger.record(id, check.stationary(of_one, at))


@pytest.mark.statements("rel-recursion")
def test_recursion(ledger, seed):
    id = "rel-recursion"
    form, x = printed(id).rhs, letter(nt.letter_of(companion.X_m))
    put = {nt.letter_of(nt.V): GAMMA * -1, nt.letter_of(nt.W): identity(nt.d)}
    derived = substitute(model.recursion(), put | {nt.letter_of(nt.S): x @ x.T * (1 / m)})
    ledger.record(id, symbolic(derived.equals(lower_matrix(form)), "general d, m, i", kind="derivation"))

    def steps(Gamma, X, star, reached):
        given = {companion.Gamma: Gamma, companion.X_m: X, nt.w_star: star, nt.d: X.shape[0]}
        return [value(form, {**given, model.w_now: now}) for now in reached]

    X, star, Gamma = rational(2, 3, "relX"), rational(2, 1, "relw"), gamma(SKEWED, 2)
    columns = exact.chain(*exact.assemble(-Gamma.inv(), sp.eye(2)), X, star, 3)
    reached = [sp.zeros(2, 1)] + [column[3:5, :] for column in columns]
    holds = steps(Gamma, X, star, reached[:-1]) == reached[1:]
    ledger.record(id, symbolic(holds, "three steps in rationals, d=2, m=3, n=2"))
    Gammas = {d: gamma(covariance(d, seed("Λ") % 2**31), 3) for d in (1, 2, 3, 4)}
    at = [replace(p, V=-np.linalg.inv(Gammas[p.d])) for p in generic(seed("recursion"), 1, identity=True)]

    def prediction(point):
        found = []
        for X, star, reached in zip(point.X, point.w_star, measured.weights(point), strict=True):
            now = [w[:, None] for w in reached[:-1]]
            found.append(np.hstack(steps(Gammas[point.d], X, star[:, None], now)).T)
        return np.array(found)

    ledger.record(id, to_rounding(measured.next_weights, prediction, at, "five shapes, Γ of n = 3"))


# One step ---------------------------------------------------------------------------------------------


def _exact_risk(Lambda, root, length, test):
    """E‖I − Γ⁻¹S‖_F² over S of ``test`` columns, by Gaussian moments."""
    V = -points.gamma(Lambda, length).inv()
    return exact.mean_over_prompts(lambda S: exact.frobenius_squared(sp.eye(2) + V * S), root, test)


def _rational_risks():
    for length, test in ((1, 2), (3, 1)):
        yield APART, length, test, _exact_risk(SKEWED, TURN * sp.diag(1, sp.sqrt(3)), length, test)
        yield ALIKE, length, test, _exact_risk(2 * sp.eye(2), sp.sqrt(2) * sp.eye(2), length, test)


@pytest.mark.statements("rel-one-step.b")
def test_one_step(ledger, profile, seed):
    id = "rel-one-step.b"
    form = printed(id).rhs
    level, share = sp.symbols("lambda_i t", positive=True)
    rate = -level / ((1 + 1 / n) * level + share / n)  # Ṽλ; (5.1) direction by direction, of length m
    each = (1 + rate) ** 2 + (rate**2 + rate**2 * share / level) / m
    holds = sp.simplify(form.function.subs(h[nt.i], share / level) - each) == 0
    whole = tuple(form.limits[0]) == (nt.i, 1, nt.d)
    ledger.record(
        id, symbolic(holds and whole, "(5.1) in Λ's eigenbasis, general d, n, m, Λ", kind="derivation")
    )
    holds = all(sp.simplify(at_spectrum(form, at, a, b, 1) - x) == 0 for at, a, b, x in _rational_risks())
    ledger.record(id, symbolic(holds, "Gaussian moments, d = 2, (n,m) = (1,2), (3,1), two Λ"))
    at = [trained(L, 4, L, b, 1) for L, b in ((covariance(2, 5), 3), (covariance(3, 6), 2))]
    ledger.record(id, check.equal(of_spectrum(form), at))
    wide = trained(covariance(50, seed("wide") % 2**31), 30, covariance(50, seed("wide") % 2**31), 20, 1)
    of_chain = chains.Chain(wide.V, np.eye(50), wide.Sigma, 20, 1)
    ledger.record(
        id, chains.risk(lambda c: of_spectrum(form)(wide), [of_chain], seed("sampled"), profile, 2e-2)
    )


def _not_negative(expression):
    """Whether numerator and denominator have no negative coefficient: positive at positive arguments."""
    parts = sp.fraction(sp.factor(sp.together(expression)))
    return all(c >= 0 for part in parts for c in sp.Poly(sp.expand(part)).coeffs())


@pytest.mark.statements("rel-one-step.a")
def test_bound(ledger):
    id = "rel-one-step.a"
    claim, each = printed(id), printed("rel-one-step.b").rhs.function
    bound, below = claim.rhs, sp.Symbol("s", nonnegative=True)
    one = sp.Symbol("h", positive=True)
    gap = sp.expand(bound / nt.d).subs(H, one + below) - each.subs(h[nt.i], one)
    holds = claim.func is sp.Le and not gap.has(nt.d) and _not_negative(gap)
    where = "(bound − error)/d of each direction at H = h_i + s has positive coefficients alone"
    ledger.record(id, symbolic(bool(holds), where + ", general d, n, m, Λ ≻ 0", kind="derivation"))
    alone = each.subs(h[nt.i], H) * nt.d
    first = sp.limit(n**2 * (bound.limit(m, sp.oo) - alone.limit(m, sp.oo)), n, sp.oo) == 0
    second = sp.simplify(m * (bound.limit(n, sp.oo) - alone.limit(n, sp.oo))) == 0
    where = "Λ ∝ I: both terms reached as n → ∞, the first at m = ∞"
    ledger.record(id, symbolic(bool(first and second), where, kind="derivation"))
    holds = all(
        claim.func(x, at_spectrum(bound, at, a, b, 1)) == sp.true for at, a, b, x in _rational_risks()
    )
    ledger.record(id, symbolic(holds, "Gaussian moments, d = 2, (n,m) = (1,2), (3,1), two Λ"))

    def at_most(one):
        return 0.0, of_spectrum(bound)(one)

    def nearly(one):
        """At Λ ∝ I, H = d: each term of the error is its bound over (1 + (1 + d)/n)², ≥ 1 − 2(1 + d)/n."""
        high = of_spectrum(bound)(one)
        return high * (1 - 2 * (1 + one.d) / one.n), high

    generic_at = [
        trained(L, a, L, b, 1) for L in (covariance(2, 5), covariance(2, 9)) for a, b in ((2, 3), (40, None))
    ]
    ledger.record(id, check.bounded(at_most, generic_at))
    level = 1.7 * np.eye(2)
    ledger.record(id, check.bounded(nearly, [trained(level, 1000, level, b, 1) for b in (2, 3, None)]))


# Many steps -------------------------------------------------------------------------------------------


def _at_infinity(steps):
    """The exact k-step risk of the word engine at Ṽ = −Γ⁻¹ as the length of the test prompt grows."""
    found = kstep.k_step_risk_expr(steps).map_coefficients(lambda c: sp.limit(c, n, sp.oo))
    return substitute(found, {nt.letter_of(nt.V): GAMMA * -1})


def _equal(function, Lambda, Sigma, ks=(1, 2, 3)):
    """``function`` of k against ‖(I − Γ⁻¹Σ)^k‖_F², in rationals, n = 2."""
    miss = sp.eye(2) - points.gamma(Lambda, 2).inv() * Sigma
    return all(sp.simplify(function(steps) - points.long_prompt_error(miss, steps)) == 0 for steps in ks)


@pytest.mark.statements("rel-many-steps")
def test_many_steps(ledger, seed):
    id = "rel-many-steps"
    claim, (exactly, ordered) = printed(id).args[3], corrected(id).args
    total = exactly.args[3]
    level, share = sp.symbols("lambda_i t", positive=True)
    miss = 1 - level / ((1 + 1 / n) * level + share / n)
    found = sp.simplify((total.function.subs(h[nt.i], share / level) / miss ** (2 * k)).subs(k, 3)) == 1
    whole = tuple(total.limits[0]) == (nt.i, 1, nt.d)
    words = all(
        _at_infinity(steps).equals(lower_scalar(companion.LONG_ERROR.subs(k, steps))) for steps in (1, 2, 3)
    )
    where = "the k-step risk at n → ∞ in Λ's eigenbasis, general d, n, Λ, k ≤ 3"
    ledger.record(id, symbolic(found and whole and words, where, "corrected", "derivation"))
    alone = total.function.subs(h[nt.i], H) * nt.d
    same = sp.simplify(alone - claim) == 0
    ledger.record(
        id, symbolic(same, "all h_i = H, Λ ∝ I: the print, general d, n, k", "condition", "derivation")
    )
    below = sp.Symbol("s", positive=True)
    ratio = (ordered.rhs / nt.d / total.function).subs({k: R(1, 2), h[nt.i]: H - below}).subs(H, H + below)
    holds = ordered.func is sp.Le and ordered.lhs == total and _not_negative(sp.simplify(ratio) - 1)
    holds = holds and sp.simplify(ordered.rhs - alone) == 0
    where = "print over error of a direction at h_i = H − s: 2k-th power of what is at least 1, 1 at s = 0"
    ledger.record(id, symbolic(bool(holds), where, "corrected", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for Lambda, levels, form in ((2 * sp.eye(2), ALIKE, "condition"), (SKEWED, APART, "outside")):
        holds = _equal(lambda s, at=levels: at_spectrum(claim, at, 2, 1, s), Lambda, Lambda)
        ledger.record(id, symbolic(holds, f"eigenvalues {levels}, n = 2, k ≤ 3", form))
    holds = _equal(lambda s: at_spectrum(total, APART, 2, 1, s), SKEWED, SKEWED)
    ledger.record(id, symbolic(holds, "eigenvalues (1, 3), n = 2, k ≤ 3", "corrected"))
    level, other = 1.7 * np.eye(3), covariance(3, seed("Λ") % 2**31)
    alike, apart = ([trained(L, 5, L, None, s) for s in (1, 2, 4)] for L in (level, other))
    ledger.record(id, check.equal(of_spectrum(claim), alike, "condition"))
    ledger.record(id, check.equal(of_spectrum(claim), apart, "outside"))
    ledger.record(id, check.equal(of_spectrum(total), apart, "corrected"))
    bounds = lambda one: (0.0, of_spectrum(ordered.rhs)(one))  # noqa: E731
    ledger.record(id, check.bounded(bounds, apart, "corrected"))


# Another test covariance --------------------------------------------------------------------------------


def _apart(seed):
    """Λ and Σ that do not commute."""
    return covariance(3, seed % 2**31), covariance(3, (seed + 1) % 2**31)


@pytest.mark.statements("rel-overthinking.a")
def test_criterion(ledger, seed):
    id = "rel-overthinking.a"
    claim, form = printed(id).args[3], corrected(id).args[3]
    holds = all(_at_infinity(steps).equals(lower_scalar(form.subs(k, steps))) for steps in (1, 2, 3))
    where = "the k-step risk as m → ∞, general d, n, Λ, Σ, k ≤ 3"
    ledger.record(id, symbolic(holds, where, "corrected", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    Lambda = sp.diag(1, 5)
    at_two = points.gamma(Lambda, 2)
    mirror = sp.Matrix([[R(3, 5), R(4, 5)], [R(4, 5), R(-3, 5)]]) / 3
    # Σ = Γ^½(I − N)Γ^½ with N² = I/9: the even powers of N commute with Γ, N does not.
    root = at_two.applyfunc(sp.sqrt)
    settings = (
        ("Σ diagonal as Λ, k ≤ 3", sp.diag(4, 7), (1, 2, 3), "condition"),
        ("(I − Γ⁻¹Σ)² = I/9, k = 2, 4", root * (sp.eye(2) - mirror) * root, (2, 4), "condition"),
        ("(I − Γ⁻¹Σ)² = I/9, k = 1", root * (sp.eye(2) - mirror) * root, (1,), "outside"),
        ("Σ not diagonal, k ≤ 3", points.DETOUR[1], (1, 2, 3), "outside"),
    )
    for where, Sigma, ks, of in settings:
        holds = _equal(lambda s, at=Sigma: at_matrices(claim, Lambda, at, 2, s), Lambda, Sigma, ks)
        ledger.record(id, symbolic(holds, f"Λ = diag(1, 5), n = 2, {where}", of))
    Lambda, Sigma = _apart(seed("crossed"))
    beside = np.linalg.inv(np.eye(3) + Lambda)
    crossed = [trained(Lambda, 5, Sigma, None, s) for s in (1, 2, 3)]
    alike = [trained(Lambda, 5, beside, None, s) for s in (1, 2, 3)]
    ledger.record(id, check.equal(of_matrices(form), crossed, "corrected"))
    ledger.record(id, check.equal(of_matrices(claim), alike, "condition"))
    ledger.record(id, check.equal(of_matrices(claim), crossed, "outside"))


@pytest.mark.statements("rel-overthinking.b")
def test_sandwich(ledger, seed):
    id = "rel-overthinking.b"
    lower, upper = printed(id).args
    G = letter(nt.letter_of(nt.G))
    skew = (G - G.T).norm2() * R(1, 2)
    apart = (G.norm2() - (G @ G).trace()).equals(skew)
    ordered = lower.func is sp.Le and upper.func is sp.Le
    where = "‖A‖_F² − tr A² = ‖A − Aᵀ‖_F²/2 at A = (I − Γ⁻¹Σ)^k, general d, n, Λ, Σ, k"
    ledger.record(id, symbolic(apart and ordered, where, kind="derivation"))
    levels, N = (
        sp.symbols("g1:4", positive=True),
        sp.Matrix(3, 3, lambda a, b: sp.Symbol(f"N{min(a, b)}{max(a, b)}")),
    )
    Gamma = sp.diag(*levels)
    entries = sum(N[a, b] ** 2 * levels[b] / levels[a] for a in range(3) for b in range(3))
    holds = sp.simplify((Gamma * N * Gamma.inv() * N).trace() - entries) == 0
    holds = holds and upper.rhs == companion.condition_number * lower.lhs and upper.lhs == lower.rhs
    where = "tr(ΓNΓ⁻¹N) = Σ N_ij² γ_j/γ_i ≤ κ(Γ) tr N², N = (I − Γ^(−1/2)ΣΓ^(−1/2))^k, d = 3"
    ledger.record(id, symbolic(holds, where, kind="derivation"))
    Lambda, Sigma = points.DETOUR
    within = True
    for steps in (1, 2, 3):
        found = points.long_prompt_error(sp.eye(2) - points.gamma(Lambda, 1).inv() * Sigma, steps)
        low, high = (at_matrices(side, Lambda, Sigma, 1, steps) for side in (lower.lhs, upper.rhs))
        middles = [at_matrices(side, Lambda, Sigma, 1, steps) for side in (lower.rhs, upper.lhs)]
        within = within and all(sp.simplify(x - found) == 0 for x in middles)
        within = within and bool(low < found) and bool(found < high) and sp.simplify(high / low) == 2
    ledger.record(id, symbolic(within, "Λ = diag(1, 5), Γ = diag(8, 16), κ(Γ) = 2, k ≤ 3"))
    Lambda, Sigma = _apart(seed("crossed"))
    at = [trained(Lambda, 5, s * Sigma, None, steps) for s in (1.0, 3.0) for steps in (1, 2, 3)]
    both = lambda one: (of_matrices(lower.lhs)(one), of_matrices(upper.rhs)(one))  # noqa: E731
    ledger.record(id, check.bounded(both, at))
    ledger.record(id, check.equal(of_matrices(lower.rhs), at))
