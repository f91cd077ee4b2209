"""The Hessian of the outcome loss and the bounds on it: evidence for ``theory/outcome_hessian.py``."""

from __future__ import annotations

import pytest
import sympy as sp
import torch

from theory import notation as nt
from theory import outcome_hessian as hessian
from theory import outcome_points as oracle
from theory.outcome_calculus import Differential, E, M, S, in_norms, in_words, value, w
from theory.outcome_points import at_rationals, exactly
from theory.statement import registry
from theory.words.poly import letter
from verify.checks import definition as written
from verify.checks import outcome_derivatives as check
from verify.checks import precision
from verify.checks.outcome_derivatives import DerivativePoint, Search
from verify.checks.points import HESSIAN, points, rational
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.outcome_derivative_settings import (
    exact_prompts,
    interpolated,
    interpolating,
    long_prompts,
    of_point,
    of_tensors,
)
from verify.stability_settings import most
from verify.test_model import SHAPES
from verify.test_outcome_gradient import SMALL

REGIME = SHAPES + "; k = 1 … 4, E asymmetric"
ONE_PROMPT = [(d, k, n) for d, _, k, n in SMALL]


def printed(id):
    return registry()[id].printed


def corrected(id):
    found = registry()[id].corrected
    assert found is not None
    return found


def product_rule():
    """The printed dG with the printed A_j and B_j in it."""
    listing = printed("app-E-hessian.a")
    return hessian.with_blocks(listing.args[0].rhs, listing)


def precisely(name, formula, at, form="printed", sweeps=HESSIAN):
    """The formula at a second precision at the first, the third and a hard one of the points."""
    sides = getattr(written, name), getattr(check, name), of_point(formula)
    return precision.identity(*sides, at, form, sweeps)


def hard(seed, least_k=1):
    return precision.hard_points(seed, least_k, DerivativePoint, identity=True)


def sloped(put):
    """The side that app-E-hessian.d prints, ``put`` made of what it differentiates."""
    side = printed("app-E-hessian.d").rhs
    return side.xreplace({slope: put(slope.args[1]) for slope in side.atoms(hessian.Slope)})


def along_E(k):
    """The printed gradient of one prompt in words, and the letters of Ṽ and E."""
    return value(sloped(lambda gradient: gradient), in_words(k)), nt.letter_of(nt.V), nt.letter_of(E)


@pytest.mark.statements("app-E-hessian.a")
def test_product_rule(ledger, profile, seed):
    id = "app-E-hessian.a"
    formula = product_rule()
    words = all(hessian.along(*along_E(k)).equals(value(formula, in_words(k))) for k in range(1, 5))
    ledger.record(
        id, symbolic(words, "the gradient's derivative in words, general d, k = 1 … 4", kind="derivation")
    )
    ledger.record(id, symbolic(exact_hessian(formula), "exact differences, d ≤ 3, k ≤ 3, n < d too"))
    at = points(seed("product rule"), 1, DerivativePoint, identity=True)
    ledger.record(id, identity(check.first_prompt, of_point(formula), at, REGIME))
    ledger.record(id, precisely("first_prompt", formula, hard(seed("product rule"))))
    ledger.record(id, check.over_examples(check.first_prompt, of_point(formula), profile))


def exact_hessian(formula, along=None):
    """A formula for H[E] of one prompt against second derivatives of the loss along lines, in rationals."""
    for d, k, n in ONE_PROMPT:
        V, F, prompts = rational(d, d, f"hV{d}{k}"), rational(d, d, f"hE{d}{k}"), exact_prompts(d, 1, n)
        if oracle.hessian_times(V, F, prompts, k) != exactly(formula, at_rationals(V, prompts, k, F)):
            return False
    return True


def at_minimum(k):
    """(Ṽ, S, w*) with M w* = 0, or M w* ≠ 0 and M²w* = 0 for k ≥ 2, and M ≠ 0."""
    S_at, star = sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([1, 0])
    steps = [sp.Matrix([[0, 2], [0, sp.Rational(1, 2)]])]
    if k > 1:
        steps.append(sp.Matrix([[0, 0], [3, 0]]))
    return [((step - sp.eye(2)) * S_at.inv(), S_at, star) for step in steps]


@pytest.mark.statements("app-E-hessian.b")
def test_dropped_terms(ledger, seed):
    id = "app-E-hessian.b"
    limit = printed(id).args[3]
    ledger.record(id, counterexample(registry()[id], "outside"))
    x, F = sp.symbols("x e", positive=True)
    whole = sp.diff(x ** (2 * nt.k) / 2, x, 2) * F**2
    kept = sp.diff(x**nt.k, x) ** 2 * F**2
    share = sp.simplify((whole - kept) / kept)
    assert sp.simplify(share - (1 - 1 / nt.k)) == 0
    ledger.record(
        id,
        symbolic(
            sp.limit(share, x, 0) == limit,
            "d = 1, general k: 1 − 1/k of what is kept",
            "outside",
            "derivation",
        ),
    )
    kept_formula = hessian.with_blocks(hessian.KEPT, printed("app-E-hessian.a"))
    holds = True
    for k in (1, 2, 3):
        F = rational(2, 2, f"mE{k}")
        for V, S_at, star in at_minimum(k):
            kept = exactly(kept_formula, at_rationals(V, [(S_at, star)], k, F))
            whole = oracle.hessian_times(V, F, [(S_at, star)], k)
            holds = holds and any(kept) and (whole - kept == limit * kept)
    ledger.record(
        id, symbolic(holds, "M^k w* = 0 with M ≠ 0: dropped 0, kept not, both continuous", "condition")
    )
    for k in (2, 4):
        ledger.record(id, check.dropped(float(limit), interpolating(seed("minimum")), k, "condition"))
    ledger.record(id, check.dropped(float(limit), long_prompts(), 2, "outside"))


@pytest.mark.statements("app-E-hessian.c")
def test_kept_term(ledger, seed):
    id = "app-E-hessian.c"
    formula = printed(id).rhs
    kept = hessian.with_blocks(hessian.KEPT, printed("app-E-hessian.a"))
    words = all(value(formula, in_words(k)).equals(value(kept, in_words(k))) for k in range(1, 5))
    ledger.record(id, symbolic(words, "power rule in words, general d, k = 1 … 4", kind="derivation"))
    near = points(seed("kept"), 1, DerivativePoint, identity=True)
    ledger.record(id, identity(check.gauss_newton, of_point(formula), near, REGIME))
    minima = interpolated(points(seed("kept"), 1, DerivativePoint, identity=True))
    ledger.record(id, identity(check.first_prompt, of_point(formula), minima, REGIME + ", M w* = 0"))
    holds = True
    for k in (1, 2, 3):
        F = rational(2, 2, f"cE{k}")
        for V, S_at, star in at_minimum(k):
            stated = exactly(formula, at_rationals(V, [(S_at, star)], k, F))
            holds = holds and stated == oracle.hessian_times(V, F, [(S_at, star)], k)
    ledger.record(id, symbolic(holds, "is the Hessian where M^k w* = 0, rationals, d = 2, k ≤ 3"))
    ledger.record(id, precisely("gauss_newton", formula, hard(seed("kept"))))


@pytest.mark.statements("app-E-hessian.d")
def test_direction(ledger, seed):
    id = "app-E-hessian.d"
    holds = True
    for k in range(1, 5):
        gradient, v, direction = along_E(k)
        loss = value(nt.NormSquared(M**k * w), in_words(k)) * sp.Rational(1, 2)
        second = (letter(direction).T @ loss.gradient(v)).trace().gradient(v)
        holds = holds and hessian.along(gradient, v, direction).equals(second)
    ledger.record(
        id, symbolic(holds, "∇⟨∇L, E⟩ of the loss in words, general d, k = 1 … 4", kind="derivation")
    )
    ledger.record(id, symbolic(exact_slope(), "second derivatives by exact differences, d = 2, k ≤ 2"))
    formula = sloped(Differential)
    at = points(seed("direction"), 1, DerivativePoint, identity=True)
    ledger.record(id, identity(check.first_prompt, of_point(formula), at, REGIME))
    ledger.record(id, precisely("first_prompt", formula, hard(seed("direction"))))


def exact_slope():
    """The slope in t of the printed gradient at Ṽ + tE, exact, against Σ ∂²L/∂Ṽ_ab∂Ṽ_cd E_cd."""
    formula = sloped(lambda gradient: gradient)
    for k in (1, 2):
        V, F, prompts = rational(2, 2, f"dV{k}"), rational(2, 2, f"dE{k}"), exact_prompts(2, 1)
        gradients = [
            exactly(formula, at_rationals(V + t * F, prompts, k)) * weight
            for t, weight in oracle.weights(2 * k - 1, 1)
        ]
        if sum(gradients, start=sp.zeros(2)) != oracle.hessian_times(V, F, prompts, k):
            return False
    return True


# Bounds --------------------------------------------------------------------------------------------


def searches(seed, *sizes, **more):
    return [Search(d, k, seed(f"search {d} {k}"), **more) for d, k in sizes]


@pytest.mark.statements("app-E-opnorm.a")
def test_first_bound(ledger, profile, seed):
    id = "app-E-opnorm.a"
    statement = registry()[id]
    wrong, right = statement.printed.rhs, most(corrected(id))
    ledger.record(id, counterexample(statement))
    derived = hessian.majorant(hessian.quadratic_form(M, S, w))
    same = all(in_norms(derived, k) == in_norms(right, k) for k in range(1, 7))
    ledger.record(
        id,
        symbolic(
            same,
            "triangle inequality and ‖XY‖ ≤ ‖X‖‖Y‖ on the exact Hessian, k = 1 … 6",
            "corrected",
            "derivation",
        ),
    )
    ledger.record(id, symbolic(exactly_bounded(right), "M, S in rationals, d = 2, k ≤ 3", "corrected"))
    ledger.record(id, check.over_matrices(of_tensors(wrong), profile))
    ledger.record(id, check.adversarial(of_tensors(wrong), searches(seed, (2, 2), unit=True)))
    ledger.record(id, check.over_matrices(of_tensors(right), profile, "corrected"))
    found = searches(seed, (2, 2), (2, 3))
    ledger.record(id, check.adversarial(of_tensors(right), found, "corrected", attained=True))


def exactly_bounded(formula):
    """D²L[E, E] ≤ ‖E‖_F² times the bound."""
    for k in (1, 2, 3):
        V, F, prompts = rational(2, 2, f"bV{k}"), rational(2, 2, f"bE{k}"), exact_prompts(2, 1)
        curvature = oracle.slope(V, F, prompts, k, 2) / sum(x**2 for x in F)
        if not curvature <= exactly(formula, at_rationals(V, prompts, k)):
            return False
    return True


def sum_of_norms(V, S_at, w_at, k):
    """‖w*‖²‖S‖ Σ_{j,l<k} ‖M^j‖‖M^l‖‖M^{k−1−l}‖‖M^{k−1−j}‖ for many points (…, d, d) at once."""
    norm, step = torch.linalg.matrix_norm, torch.eye(V.shape[-1], dtype=V.dtype) + V @ S_at
    powers = [norm(torch.linalg.matrix_power(step, p), 2) for p in range(k)]
    total = sum(a * b for a, b in zip(powers, powers[::-1], strict=True))
    return w_at.square().sum((-2, -1)) * norm(S_at, 2) * total**2


@pytest.mark.statements("app-E-opnorm.b")
def test_submultiplicativity(ledger, seed):
    id = "app-E-opnorm.b"
    smaller, larger = printed(id).lhs, most(printed(id))
    same = larger.has(sp.Sum) and sp.simplify(hessian.merged(smaller) - hessian.merged(larger)) == 0
    ledger.record(id, symbolic(same, "‖M^p‖ ≤ ‖M‖^p in each factor, general k", kind="derivation"))
    holds = True
    for k in (3, 4):
        at = at_rationals(rational(2, 2, f"sV{k}"), exact_prompts(2, 1), k)
        holds = holds and bool(exactly(smaller, at) < exactly(larger, at))
    ledger.record(id, symbolic(holds, "algebraic numbers, d = 2, k = 3, 4: strictly"))
    found = searches(seed, (2, 3), (3, 4), lower=sum_of_norms, steps=60)
    ledger.record(id, check.adversarial(of_tensors(larger), found, attained=True))


@pytest.mark.statements("app-E-opnorm.c")
def test_spectral_radius(ledger, seed):
    id = "app-E-opnorm.c"
    statement = registry()[id]
    ledger.record(id, counterexample(statement))
    left, right = corrected(id).args
    same = sp.simplify(hessian.counted(left) - right.subs(hessian.NORM(M), hessian.size)) == 0
    ledger.record(id, symbolic(same, "k² equal terms, general k", "corrected", "derivation"))
    for form, formula in (("printed", statement.printed.rhs), ("corrected", right)):
        at = points(seed("powers"), 2, DerivativePoint, identity=True)
        ledger.record(id, identity(check.power_norms, of_point(formula), at, SHAPES + "; k = 2 … 4", form))
    at = hard(seed("powers"), 2)
    ledger.record(id, precisely("power_norms", right, at, "corrected", 1))


@pytest.mark.statements("ext-os-hessian")
def test_quadratic_form(ledger, profile, seed):
    id = "ext-os-hessian"
    formula = printed(id).rhs
    words = []
    for k in range(1, 5):
        derived, stated = hessian.second_differential(k)
        words.append(derived.equals(stated) and derived.equals(value(formula, in_words(k))))
    by_rule, split = hessian.induction()
    regime = "product rule twice, general d, any S, k = 1 … 4; on from there by induction on k"
    ledger.record(id, symbolic(all(words) and by_rule.equals(split), regime, kind="derivation"))
    holds = True
    for d, B, k, n in SMALL:
        V, F, prompts = rational(d, d, f"qV{d}{k}"), rational(d, d, f"qE{d}{k}"), exact_prompts(d, B, n)
        holds = holds and oracle.slope(V, F, prompts, k, 2) == exactly(
            formula, at_rationals(V, prompts, k, F)
        )
    ledger.record(id, symbolic(holds, "exact differences along E, d ≤ 3, B ≤ 2, k ≤ 3, n < d too"))
    at = points(seed("form"), 1, DerivativePoint, identity=True)
    ledger.record(id, identity(check.curvature_along, of_point(formula), at, REGIME))
    ledger.record(id, precisely("curvature_along", formula, hard(seed("form"))))
    ledger.record(id, check.over_examples(check.curvature_along, of_point(formula), profile))


@pytest.mark.statements("ext-os-bound")
def test_best_bound(ledger, profile, seed):
    id = "ext-os-bound"
    formula = most(printed(id))
    derived = sp.expand(hessian.majorant(hessian.quadratic_form(M, S, w), largest=True).doit())
    stated = formula.subs(hessian.NORM(M), hessian.size)
    same = sp.simplify(derived - stated) == 0
    ledger.record(id, symbolic(same, "k² + 2·k(k−1)/2 terms of one size, general k", kind="derivation"))
    ledger.record(id, symbolic(exactly_bounded(formula), "M, S in rationals, d = 2, k ≤ 3"))
    ledger.record(id, symbolic(attained(formula), "equal at S = sI, Ṽ = vI, E = w*w*ᵀ, d ≤ 3, k ≤ 3"))
    ledger.record(id, check.over_matrices(of_tensors(formula), profile))
    found = searches(seed, (2, 2), (3, 3))
    ledger.record(id, check.adversarial(of_tensors(formula), found, attained=True))


def attained(formula):
    for d, k in ((1, 2), (2, 1), (2, 3), (3, 2)):
        star = sp.Matrix([1, 2, 2][:d])
        unit = star * star.T / star.dot(star)
        V, prompts = sp.Rational(-5, 7) * sp.eye(d), [(sp.Rational(4, 3) * sp.eye(d), star)]
        if oracle.slope(V, unit, prompts, k, 2) != exactly(formula, at_rationals(V, prompts, k)):
            return False
    return True
