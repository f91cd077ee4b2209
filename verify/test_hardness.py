"""Hardness and Insight 1: evidence for ``theory/hardness.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import allocation_points as points
from theory import allocation_words as words
from theory import hardness
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.words.poly import letter
from verify.allocation_predictions import (
    completed,
    corrected,
    errors_on,
    excess_errors,
    levels_of,
    printed,
    sign,
    stated,
)
from verify.allocation_settings import (
    AT,
    CROSSED,
    best_on_shift,
    dominant,
    excess,
    hardness_trials,
    initial,
    limit,
    matrices,
    paper_trial,
    paper_trials,
    small_crossed,
)
from verify.checks import allocation as check
from verify.checks import allocation_fits as fits
from verify.checks.allocation import Law, Trial
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_allocation import unrestricted

n, R = points.n, sp.Rational
S, C, T_U, T_C, T0 = sp.symbols("sigma c t_U t_C t_0", positive=True)

# Hardness ---------------------------------------------------------------------------------------------


@pytest.mark.statements("sec-5.1-hardness.a")
def test_error_formula(ledger, profile, seed):
    id = "sec-5.1-hardness.a"
    derived, form = words.pretrained_error(letter(nt.letter_of(nt.A))), corrected(id).rhs
    closed, target = lower_scalar(form), printed(id).args[3]
    ledger.record(id, symbolic(derived.equals(closed), "general d, n, A", "corrected", "derivation"))
    at_infinity = derived.map_coefficients(lambda c: sp.limit(c, nt.n, sp.oo))
    first = lower_scalar(nt.FrobeniusSquared(nt.I - nt.Gamma0.I * nt.A))
    ledger.record(
        id,
        symbolic(
            at_infinity.equals(first * target),
            "error − ‖I−Γ₀⁻¹A‖² is 1/n times what is bounded for Σ₀ ≻ 0",
            "condition",
            "derivation",
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))

    def trial(length):
        at = small_crossed(length)
        return Trial(initial(at), Law(at.A + at.Sigma0 / 2, length))

    def unit(length):
        return dominant(trial(length))

    found = check.approach(float(target), trial, unit, seed("error"), profile, "condition")
    ledger.record(id, found)
    wide = hardness_trials(400)
    trials = (wide[1.0, "U"], wide[0.2, "U"])
    approximate = [dominant(t) for t in trials]
    ledger.record(id, check.errors(approximate, trials, seed("hard"), profile, "outside"))
    at = check.paper(400)
    exact = errors_on(form, at, [1.1 * at.P, 0.22 * at.P])
    ledger.record(id, check.errors(exact, trials, seed("hard"), profile, "corrected"))
    at, of = small_crossed(3), trial(3)
    exact = errors_on(form, at, [of.law.Sigma])
    ledger.record(id, check.errors(exact, [of], seed("hard small"), profile, "corrected"))
    holds = True
    for length in (1, 2):
        Sigma0, A = sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([[5, -1], [-1, 1]])
        values, scalars = matrices(sp.eye(2), Sigma0, sp.zeros(2), A, length, sp.Integer(1))
        holds = holds and points.hardness(A, Sigma0, length) == value(form, values | scalars)
    ledger.record(id, symbolic(holds, "Gaussian moments, d=2, n=1, 2, no commutation", "corrected"))


@pytest.mark.statements("sec-5.1-hardness.b")
def test_largest_values(ledger, profile, seed):
    id = "sec-5.1-hardness.b"
    relation, larger = printed(id), sign(printed(id))
    inverse = [1 / ((1 + 1 / n) * x + T0 / n) for x in (S, C)]
    apart = (1 + 1 / n) * (C - S) * inverse[0] * inverse[1]
    ledger.record(
        id,
        symbolic(
            sp.simplify(larger * (inverse[0] - inverse[1]) - apart) == 0,
            "1/(aσ+t) − 1/(ac+t) has the sign of c − σ, Σ₀ commuting",
            "condition",
            "derivation",
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))
    for level, form in ((1, "condition"), (0, "outside")):
        Sigma0 = sp.diag(R(1, 10), level)
        found = (R(3, 2) * Sigma0 + Sigma0.trace() / 2 * sp.eye(2)).inv()
        where = f"d=2, n=2, Σ₀=diag(1/10, {level})"
        holds = relation.func(found[0, 0], found[1, 1])
        ledger.record(id, symbolic(bool(holds), where, form))
    for known, form in ((0.05, "condition"), (1.0, "outside")):
        at = check.shift(AT, 12, 5, 2, known=known)
        on, off = (np.linalg.eigvalsh(q @ at.Sigma0 @ q) for q in (at.P, at.off))
        assert (on[-1] < off[off > 1e-9][0]) == (form == "condition")
        ledger.record(id, fits.initial_order(larger, at, seed("initial"), profile, form))


def threshold(inverse, first, second, kappa):
    """(2/κ) tr((P_U − P_W)Γ₀⁻¹)/tr((P_U − P_W)Γ₀⁻²)."""
    return 2 / kappa * ((first - second) * inverse).trace() / ((first - second) * inverse * inverse).trace()


@pytest.mark.statements("sec-5.1-hardness.c")
def test_highest_error(ledger, profile, seed):
    id = "sec-5.1-hardness.c"
    on = words.pretrained_error(letter(words.P) * words.alpha)
    general = on.equals(words.pretrained_error_on(words.P))
    p, q, kappa = sp.symbols("p q kappa", positive=True)
    change = kappa * words.alpha**2 * q - 2 * words.alpha * p
    beyond = change.subs(words.alpha, 2 * p / (kappa * q) + words.alpha)
    relation, harder = printed(id), sign(printed(id))
    holds = relation.func(sp.factor(beyond), 0) == sp.true
    ledger.record(
        id,
        symbolic(
            bool(general and holds),
            "d − 2α tr(PΓ₀⁻¹) + κα² tr(PΓ₀⁻²), any P, Γ₀; the difference in α",
            "condition",
            "derivation",
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))
    Sigma0 = sp.Matrix([[R(1, 5), R(1, 10)], [R(1, 10), 1]])
    first, second = sp.diag(1, 0), sp.diag(0, 1)
    edge = threshold(-points.pretrained(Sigma0, 1), first, second, 3)
    for factor, form in ((R(9, 8), "condition"), (R(7, 8), "outside")):
        errors = [points.hardness(factor * edge * P, Sigma0, 1) for P in (first, second)]
        holds = bool(relation.func(*errors))
        where = f"Gaussian moments, d=2, n=1, Σ₀ not commuting, α at {factor} of the threshold"
        ledger.record(id, symbolic(holds, where, form))
    at = check.shift(AT, 3, 4, 2, crossing=0.6, known=0.1)
    level = threshold(-initial(at), at.P, at.off, 1 + 3 / at.n)
    for share, form in ((1.5, "condition"), (0.5, "outside")):
        trials = [Trial(initial(at), Law(share * level * P, at.n)) for P in (at.off, at.P)]
        ledger.record(id, check.order(harder, trials, seed("harder"), profile, form))
    wide = hardness_trials(400)
    for eta, form in ((1.0, "condition"), (0.2, "outside")):
        pair = (wide[eta, "W"], wide[eta, "U"])
        ledger.record(id, check.order(harder, pair, seed("hard"), profile, form))


# Insight 1 --------------------------------------------------------------------------------------------


@pytest.mark.statements("insight-1.a")
def test_most_effective(ledger, profile, seed):
    id = "insight-1.a"
    ledger.record(id, counterexample(registry()[id]))
    form = corrected(id).args[1]
    a = 1 + 1 / n
    gap = (1 / (a * C + T_C / n) - 1 / (a * C + (T_C + T_U) / n)) ** 2 * C * (a * C + (T_C + T_U) / n)
    closed = (T_U / n) ** 2 * C / ((a * C + (T_C + T_U) / n) * (a * C + T_C / n) ** 2)
    assert sp.simplify(gap - closed) == 0
    ledger.record(
        id,
        symbolic(
            closed == 0,
            "excess of the best A on U, per eigenvalue c on U^⊥: (tr Δ/n)²c/((ac+T/n)(ac+T₀/n)²)",
            kind="derivation",
        ),
    )
    level = levels_of(letter(nt.letter_of(nt.Sigma))) * nt.eta
    squares = words.excess()
    holds = squares[0].equals(squares[1]) and levels_of(lower_matrix(form)).equals(level)
    where = "M(ηΣ) = ηΓ, which makes the square in Ṽ + Γ⁻¹ zero, general d, n, Ṽ, Σ ⪰ 0"
    ledger.record(id, symbolic(holds, where, "corrected", "derivation"))
    ledger.record(id, unrestricted(form, seed, profile))
    at = CROSSED
    law, chosen = Law(at.Sigma, at.n), (stated(form)(at), best_on_shift(at), at.eta * at.on_shift)
    small_trials = [Trial(limit(at, A), law) for A in chosen]
    expected = [excess(at, best_on_shift(at)), excess(at, at.eta * at.on_shift)]
    ledger.record(id, check.gaps(expected, small_trials, seed("gaps"), profile, "corrected"))
    pair = [paper_trial(stated(form)(check.paper(400)), 400), paper_trials(400)["full risk"]]
    levels = (1.0, 220.0, 420.0)  # c, tr Σ₀, tr Σ; gap per direction of U^⊥ from the closed form above
    each = closed.subs({n: 400, C: levels[0], T_C: levels[1], T_U: levels[2] - levels[1]})
    ledger.record(id, check.gaps([200 * float(each)], pair, seed("paper"), profile, "corrected"))
    # As printed ηΣ, which is not aligned with Δ, is no better than the best A that is.
    ledger.record(id, check.order(1, pair[::-1], seed("paper"), profile, "printed"))
    for crossed in (points.NOVEL, points.CROSSED):
        whole = crossed[0] + crossed[1]
        values = {nt.eta: sp.Integer(1), nt.Sigma: whole, nt.A: crossed[0]}
        best = points.post_test(value(form, values), *crossed, 1)
        others = [points.post_test(sp.diag(x, 0), *crossed, 1) for x in (1, R(5, 2), 4)]
        where = f"n=1, Σ₀={crossed[0].tolist()}"
        ledger.record(id, symbolic(min(others) <= best, f"{where}, three A on U against A=ηΣ"))
        others += [points.post_test(sp.Matrix([[2, x], [x, 3]]), *crossed, 1) for x in (-1, R(1, 3))]
        others += [points.post_test(x * whole, *crossed, 1) for x in (R(7, 8), R(9, 8))]
        worse = all(best < other for other in others)
        ledger.record(id, symbolic(worse, f"{where}, seven other A: all worse than ηΣ", "corrected"))


@pytest.mark.statements("insight-1.b")
def test_harder_is_better(ledger, profile, seed):
    id = "insight-1.b"
    ledger.record(id, counterexample(registry()[id]))
    error, apart = corrected(id).args
    left, right = completed()
    ledger.record(id, symbolic(left.equals(right), "general d, n, Ṽ, Σ ⪰ 0", "corrected", "derivation"))
    at = CROSSED
    law, whole = Law(at.Sigma, at.n), at.eta * at.Sigma
    chosen = (whole, at.A, 3 * at.eta * at.on_shift, at.eta * at.Sigma0, 2 * whole)
    trials = [Trial(limit(at, A), law) for A in chosen]
    found = check.errors(excess_errors(at, chosen), trials, seed("excess"), profile, "corrected")
    ledger.record(id, found)
    holds = True
    for A in (sp.diag(R(1, 2), 0), sp.Matrix([[2, R(1, 3)], [R(1, 3), 3]]), sp.zeros(2)):
        Sigma0, Delta = points.CROSSED
        values, scalars = matrices(sp.diag(1, 0), Sigma0, Delta, A, 1, sp.Integer(1))
        values |= scalars
        values[hardness.apart] = value(apart.rhs, values)
        found = points.post_test(A, Sigma0, Delta, 1) - value(error.rhs, values)
        holds = holds and sp.simplify(found) == 0
    ledger.record(id, symbolic(holds, f"Gaussian moments, n=1, {points.TEXT}, three A", "corrected"))
    # 3ηΣ_U is harder than ηΣ_U at η = 1 (ten times the error), and worse.
    wide = hardness_trials(400)[1.0, "U"]
    harder = (wide, Trial(3 * wide.V, wide.law))
    found = check.order(1, harder, seed("hard"), profile, "printed")
    assert found.outcome == "agrees", "3ηΣ_U is expected to be the harder"
    pair = [paper_trials(400)[name] for name in ("eta Sigma_U", "thrice")]
    ledger.record(id, check.order(-1, pair, seed("paper"), profile, "printed"))
