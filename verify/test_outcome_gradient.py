"""The gradient of the outcome loss: evidence for ``theory/outcome_gradient.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import exact, outcome_gradient
from theory import notation as nt
from theory import outcome_points as oracle
from theory.outcome_calculus import M_tau, in_words, value
from theory.outcome_points import at_rationals, exactly
from theory.statement import registry
from verify.checks import definition as written
from verify.checks import outcome_derivatives as check
from verify.checks import precision
from verify.checks.outcome_derivatives import DerivativePoint
from verify.checks.points import GRADIENT, points, rational
from verify.checks.run import counterexample, identity
from verify.checks.run import exact as symbolic
from verify.outcome_derivative_settings import (
    claim,
    exact_prompts,
    figure_one,
    non_normal,
    of_chain,
    of_point,
    short_prompts,
)
from verify.test_model import SHAPES

SMALL = ((1, 2, 3, None), (2, 2, 1, None), (2, 2, 3, 1), (3, 1, 2, 2))  # d, B, k, the rank of S


def printed(id):
    return registry()[id].printed


@pytest.mark.statements("os-gradient")
def test_gradient(ledger, profile, seed):
    id = "os-gradient"
    formula = printed(id).rhs
    words = [outcome_gradient.expanded(formula, k) for k in range(1, 6)]
    ledger.record(
        id,
        symbolic(
            all(derived.equals(stated) for derived, stated in words),
            "product rule in words, general d, any S, k = 1 … 5",
            kind="derivation",
        ),
    )
    term = outcome_gradient.summand(formula)
    by_steps = M_tau**nt.k in term.args  # else it is no Γ_k(M^k w*)
    if by_steps:
        left, right = outcome_gradient.induction(term)
        by_steps = left == right
    ledger.record(id, symbolic(by_steps, "induction on k, powers as symbols", kind="derivation"))
    holds = True
    for d, B, k, n in SMALL:
        V, prompts = rational(d, d, f"oV{d}{k}"), exact_prompts(d, B, n)
        stated = exactly(formula, at_rationals(V, prompts, k))
        by_entries, by_chain = oracle.gradient(V, prompts, k), oracle.back_propagated(V, prompts, k)
        holds = holds and by_entries == stated and by_chain == stated
    ledger.record(id, symbolic(holds, "exact differences along each entry, d ≤ 3, B ≤ 2, k ≤ 3, n < d too"))
    ledger.record(id, symbolic(scalar_derivatives(formula), "SymPy's scalar derivatives, d = 2, k = 2"))
    at = points(seed("os gradient"), 1, DerivativePoint, identity=True)
    ledger.record(id, identity(check.gradient, of_point(formula), at, SHAPES + "; k = 1 … 4"))
    hard = precision.hard_points(seed("os gradient"), 1, DerivativePoint, identity=True)
    sides = written.gradient, check.gradient, of_point(formula)
    ledger.record(id, precision.identity(*sides, hard, sweeps=GRADIENT))
    ledger.record(id, check.over_examples(check.gradient, of_point(formula), profile))


def scalar_derivatives(formula):
    """Each entry of the gradient by sympy.diff of an expanded polynomial in four scalars: no traces."""
    entries = sp.symbols("v0:4")
    X, star, block = rational(2, 2, "sX"), rational(2, 1, "sw"), rational(2, 2, "sV")
    S = X * X.T / 2
    at = dict(zip(entries, block, strict=True))
    miss = oracle.errors(sp.Matrix(2, 2, entries), S, star, 2)[-1]
    loss = sp.expand(exact.frobenius_squared(miss) / 2)
    slopes = sp.Matrix(2, 2, [sp.diff(loss, x).subs(at) for x in entries])
    return slopes == exactly(formula, at_rationals(block, [(S, star)], 2))


def exact_rate(V, prompts, k):
    """(‖∇L_2k‖/‖∇L_k‖)^{1/k}, the gradients in rationals."""
    first, second = (exact.frobenius_squared(oracle.back_propagated(V, prompts, j)) for j in (k, 2 * k))
    return float(sp.N(second / first, 30)) ** (1 / (2 * k)) if first else 0.0


STABLE = sp.Matrix(
    [[sp.Rational(-1, 2), 3], [0, sp.Rational(-5, 3)]]
)  # with S = I: M = [[1/2, 3], [0, −2/3]]
GROWING = sp.Matrix([[sp.Rational(1, 4), 3], [0, -1]])  # M = [[5/4, 3], [0, 0]]


@pytest.mark.statements("os-vanishing.a")
def test_vanishing(ledger, seed):
    id = "os-vanishing.a"
    holds = claim(registry()[id])
    count = outcome_gradient.powers(outcome_gradient.summand(printed("os-gradient").rhs))
    r, C, c = sp.symbols("r C c", positive=True)
    # ‖M^i‖ ≤ C rⁱ for every r > ρ(M) (Gelfand), in each of the k summands, three powers in each.
    log = sp.limit(sp.expand_log(sp.log(nt.k * C**3 * c * r**count), force=True) / nt.k, nt.k, sp.oo)
    below = holds(sp.Rational(1, 2), sp.exp(log).subs(r, sp.Rational(2, 3)))
    ledger.record(
        id,
        symbolic(
            sp.simplify(log - 2 * sp.log(r)) == 0 and below,
            "‖∇L‖ ≤ k C³ r^{2k−1}‖w*‖²‖S‖ for every r > ρ, from the printed gradient",
            kind="derivation",
        ),
    )
    prompts = [(sp.eye(2), sp.Matrix([1, 2]))]
    rate = exact_rate(STABLE, prompts, 40)
    ledger.record(
        id, symbolic(holds(2 / 3, rate) and abs(rate - 4 / 9) < 0.02, "M=[[1/2,3],[0,−2/3]], k = 40, 80")
    )
    # The last has ρ > 1: the premise is read from the print as well.
    chains = [figure_one(False, seed("stable")), non_normal(0.8, seed("stable")), non_normal(0.6, 5, 4, 3)]
    ledger.record(id, check.gradient_rate(holds, [*chains, non_normal(1.2, seed("stable"))], 64))


@pytest.mark.statements("os-vanishing.b")
def test_growing(ledger, seed):
    id = "os-vanishing.b"
    holds = claim(registry()[id])
    ledger.record(id, counterexample(registry()[id], "outside"))
    # L_k ~ k^{2m}r^{2k} then, so √L_k − √L_{k−1} is of the size of √L_k again and again; r = 5/4.
    side = radial_identity()
    L = lambda k, r: r ** (2 * k)  # noqa: E731
    r = sp.Rational(5, 4)
    bound = 2 * nt.k * sp.sqrt(L(nt.k, r)) * (sp.sqrt(L(nt.k, r)) - sp.sqrt(L(nt.k - 1, r)))
    log = sp.limit(sp.expand_log(sp.log(sp.simplify(bound)), force=True) / nt.k, nt.k, sp.oo)
    grows = holds(r, float(sp.exp(log)))
    ledger.record(
        id,
        symbolic(
            side and grows, "‖∇L_k‖‖Ṽ‖ ≥ ⟨∇L_k, Ṽ⟩ ≥ 2k√L_k(√L_k − √L_{k−1})", "condition", "derivation"
        ),
    )
    for weight, form in (([1, 1], "condition"), ([12, -5], "outside")):
        prompts = [(sp.eye(2), sp.Matrix(weight))]
        rate = exact_rate(GROWING, prompts, 20)
        ledger.record(id, symbolic(holds(1.25, rate), f"M=[[5/4,3],[0,0]], w*={weight}, k = 20, 40", form))
    chains = [figure_one(True, seed("growing")), non_normal(1.3, seed("growing")), non_normal(1.1, 6, 4, 3)]
    chains.append(non_normal(0.7, seed("growing")))
    ledger.record(id, check.gradient_rate(holds, chains, 16, "condition"))


def radial_identity():
    """⟨∇L, Ṽ⟩ of the printed gradient in words, k = 1 … 4."""
    formula, (_, stated) = printed("os-gradient").rhs, printed("ext-os-radial").args
    for k in range(1, 5):
        at = in_words(k)
        slope = value(formula, at)
        if not (slope.T @ at.matrices[nt.V]).trace().equals(value(stated, at)):
            return False
    return True


@pytest.mark.statements("ext-os-radial")
def test_radial(ledger, profile, seed):
    id = "ext-os-radial"
    ledger.record(id, symbolic(radial_identity(), "words, general d, any S, k = 1 … 4", kind="derivation"))
    formula = printed(id).rhs
    holds = True
    for d, B, k, n in SMALL:
        V, prompts = rational(d, d, f"rV{d}{k}"), exact_prompts(d, B, n)
        holds = holds and oracle.slope(V, V, prompts, k) == exactly(formula, at_rationals(V, prompts, k))
    ledger.record(id, symbolic(holds, "exact differences along Ṽ, d ≤ 3, B ≤ 2, k ≤ 3"))
    at = points(seed("radial"), 1, DerivativePoint, identity=True)
    ledger.record(id, identity(check.radial, of_point(formula), at, SHAPES + "; k = 1 … 4"))
    hard = precision.hard_points(seed("radial"), 1, DerivativePoint, identity=True)
    sides = written.radial, check.radial, of_point(formula)
    ledger.record(id, precision.identity(*sides, hard, sweeps=GRADIENT))
    ledger.record(id, check.over_examples(check.radial, of_point(formula), profile))


def long_chain_formula(statement):
    """The printed limit with its P_τ put in."""
    tends, definition = statement.printed.args
    return tends.args[3].xreplace({definition.lhs: definition.rhs})


@pytest.mark.statements("ext-os-null")
def test_singular_covariance(ledger, seed):
    id = "ext-os-null"
    formula = long_chain_formula(registry()[id])
    holds = True
    for d, n in ((2, 1), (3, 2), (3, 1)):
        L, X, star = rational(d, d, f"nL{d}"), rational(d, n, f"nX{d}{n}"), rational(d, 1, f"nw{d}")
        S, V = X * X.T / n, -(L * L.T)
        on = S * (S * V * S).pinv() * S
        P = sp.eye(d) - V * on
        # Along Ṽ range(S), which M maps to itself, M^i dies out; on null(S) it is I.
        projects = P * P == P and (S * P).is_zero_matrix and (sp.eye(d) + V * S) * P == P
        summed = V * (-on * star) == (P - sp.eye(d)) * star  # ṼS Σ_i M^i w* = lim M^N w* − w*
        limit = P.T * P * star * (-on * star).T
        holds = holds and projects and summed
        holds = holds and limit == exactly(formula, at_rationals(V, [(S, star)], 1))
    ledger.record(id, symbolic(holds, "lim M^k and Σ S M^i w* in rationals, d ≤ 3, n < d"))
    chains = [short_prompts(seed("short")), short_prompts(seed("shorter"), 5, 1, 3)]
    ledger.record(id, check.long_chain(of_chain(formula), chains, (5, 1500)))
    assert np.all([chain.radius >= 1 - 1e-12 for chain in chains])
