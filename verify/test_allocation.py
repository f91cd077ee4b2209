"""Section 5.1 and Insight 1: evidence for ``theory/allocation.py``."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import sympy as sp

from theory import allocation
from theory import allocation_points as points
from theory import allocation_words as words
from theory import notation as nt
from theory.explicit import explicit
from theory.lower import lower_matrix, lower_scalar
from theory.population import LIMIT
from theory.risk import formula
from theory.statement import registry
from theory.words.poly import letter
from verify.allocation_predictions import (
    OFF,
    best_of_all,
    best_on_U,
    corrected,
    from_lyapunov,
    in_words,
    inside,
    inverted,
    least_on_shift,
    levels_of,
    lyapunov,
    lyapunov_in_words,
    on_eigenspace,
    printed,
    stated,
)
from verify.allocation_settings import (
    CROSSED,
    FULL,
    POINTS,
    SHORT,
    SIZES,
    at_points,
    dominant,
    equal,
    limit,
    matrices,
    paper_trial,
    paper_trials,
    rationals,
    slim,
    small,
    small_crossed,
    table,
)
from verify.checks import allocation as check
from verify.checks import allocation_fits as fits
from verify.checks.allocation import Law, Trial
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value

n, R = points.n, sp.Rational
S, C, T_U, T_C, T0, M = sp.symbols("sigma c t_U t_C t_0 m", positive=True)


# The dominant term ------------------------------------------------------------------------------------


@pytest.mark.statements("sec-5-dominant.a")
def test_share(ledger, profile, seed):
    id = "sec-5-dominant.a"
    risk = lower_scalar(formula(nt.V))
    at_infinity = risk.map_coefficients(lambda c: sp.limit(c, nt.n, sp.oo))
    first = lower_scalar(nt.FrobeniusSquared(nt.I + nt.V * nt.Sigma))
    target = printed(id).args[3]
    holds = (at_infinity * target).equals(first) and not first.equals(0)
    ledger.record(id, symbolic(holds, "(5.1) → ‖I+ṼΣ‖², general d, Ṽ, Σ", "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    at = small_crossed(3)

    def fixed(length):
        return Trial(limit(at), Law(at.Sigma, length))

    inverse = inverted(target)
    found = check.approach(inverse, fixed, lambda k: dominant(fixed(k)), seed("share"), profile, "condition")
    ledger.record(id, found)

    def best(length):
        of = small_crossed(length)
        return Trial(limit(of, of.eta * of.Sigma), Law(of.Sigma, length))

    found = check.approach(1.0, best, lambda k: dominant(best(k)), seed("share at best"), profile, "outside")
    ledger.record(id, found)
    rows, trials = table(400), paper_trials(400)
    parts = [row.share * row.risk for row in rows.values()]
    chosen = [trials[name] for name in rows]
    ledger.record(id, check.errors(parts, chosen, seed("paper"), profile, "outside"))


@pytest.mark.statements("sec-5-dominant.b")
def test_minimisers(ledger, profile, seed):
    id = "sec-5-dominant.b"
    (operator, by_trace), (risk, risk_trace) = words.eigenvalues(S, T_U, T_C, M)
    eta, k = nt.eta, nt.n
    three = sp.symbols("a:3")
    traces = {T_U: sum(three), M: 3}
    consistent = [
        sp.simplify((sum(each.subs(S, x) for x in three) - total).subs(traces)) == 0
        for each, total in ((operator, by_trace), (risk, risk_trace))
    ]
    # The print is zero at A = the operator's zero as n → ∞: I + Ṽ_∞Σ on U, Ṽ_∞ = −η/(…).
    zero = (k + 1) / k * operator + by_trace / k - eta * S
    (norm,) = printed(id).args[1].args[0].args
    miss = on_eigenspace(norm, {nt.Sigma: S, nt.A: operator, allocation.V_inf: -1 / S})
    ledger.record(
        id,
        symbolic(
            all(consistent)
            and sp.simplify(zero) == 0
            and sp.simplify(miss) == 0
            and sp.limit(operator, k, sp.oo) == sp.limit(risk, k, sp.oo) == eta * S,
            "both eigenvalues tend to ησ, Σ₀ commuting with P_U (m = d: A unrestricted)",
            "condition",
            "derivation",
        ),
    )
    # Excess (σ+T)²/(n²σΓ) of the first against σδ²/(Γ(Γ−δ)²) of ηΣ_U, δ = tr(C)/n: the sign is that of
    factor = (S + T_U + T_C) * ((k + 1) * S + T_U) - k * S * T_C
    worse = all(c > 0 for c in sp.Poly(factor, S, T_U, T_C, k).coeffs())
    level, delta = (k + 1) / k * S + (T_U + T_C) / k, T_C / k
    first = (1 / S - 1 / level) ** 2 * S * level
    second = (1 / (level - delta) - 1 / level) ** 2 * S * level
    other = (S + T_U + T_C) * ((k + 1) * S + T_U) + k * S * T_C
    denominator = k**4 * S * level * (level - delta) ** 2
    factored = sp.simplify(first - second - factor * other / denominator) == 0
    assert factored
    ledger.record(
        id,
        symbolic(
            not worse, "excess risk at most that of A = ηΣ_U, per eigenvalue, any n", "outside", "derivation"
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))
    best = least_on_shift(printed(id).args[1].args[0], far=10**6)
    ledger.record(id, fits.minimiser_limit(best, small, seed("minimisers"), profile, "condition"))
    # As printed the A of least ‖I + ṼΣ‖ is the best: no worse than any other on U.
    pair = [paper_trials(400)[name] for name in ("full risk", "operator")]
    ledger.record(id, check.gaps([0.0], pair, seed("paper"), profile, "outside"))
    ledger.record(id, least_errors(seed, profile))
    # The exact minimisers: Ṽ_∞ = −Γ⁻¹ where A has a part, and nothing is below that.
    inverse = (k + 1) / k * risk + risk_trace / k - eta * level
    squares = words.excess()
    values = {nt.eta: eta, nt.n: k, nt.Sigma: S, allocation.Sigma_U: S, allocation.P_U: sp.Integer(1)}
    values |= {nt.Sigma0: S, nt.A: S, sp.Trace(allocation.P_U): M}
    on_U = on_eigenspace(best_on_U(), values | {sp.Trace(OFF * nt.Sigma0): T_C})
    everywhere = levels_of(lower_matrix(best_of_all()))
    ledger.record(
        id,
        symbolic(
            sp.simplify(inverse) == 0
            and squares[0].equals(squares[1])
            and sp.simplify(on_U - risk) == 0
            and everywhere.equals(levels_of(letter(nt.letter_of(nt.Sigma))) * eta),
            "M(A) = ηΓ on U, and (5.1) is a square of Ṽ + Γ⁻¹ and a constant",
            "corrected",
            "derivation",
        ),
    )
    holds = True
    for values, scalars in at_points(True):
        for A in (value(form, values | scalars) for form in (best_on_U(), best_of_all())):
            V = explicit(LIMIT, {nt.A: A, nt.Gamma0: values[nt.Gamma0]}, scalars)
            goal = -values[allocation.Gamma].inv()
            holds = holds and equal(V * A, goal * A)
    ledger.record(id, symbolic(holds, f"Ṽ_∞ = −Γ⁻¹ on range(A), {SIZES}", "corrected"))
    ledger.record(id, fits.minimiser(stated(best_on_U()), SHORT, seed("best on U"), profile, "corrected"))
    ledger.record(id, unrestricted(best_of_all(), seed, profile))


def least_errors(seed, profile):
    """The errors at the two A of the print in the caption's setting against the least of the table."""
    rows, at = table(400), check.paper(400)
    least = [rows[name].risk for name in ("eta Sigma", "full risk")]
    chosen = [paper_trial(stated(form)(at), 400) for form in (best_of_all(), best_on_U())]
    return check.errors(least, chosen, seed("paper"), profile, "corrected")


def unrestricted(best, seed, profile):
    """The search over all A, Σ₀ and Δ not commuting."""
    return fits.minimiser(stated(best), small_crossed(3), seed("all"), profile, "corrected", within=False)


# Operator and complement ------------------------------------------------------------------------------


def explicit_operator(form, values, scalars):
    P = values[allocation.P_U]
    return P * value(form, values | scalars) * P


@pytest.mark.statements("sec-5.1-operator")
def test_operator(ledger, profile, seed):
    id = "sec-5.1-operator"
    definition, _, _ = words.operator()
    forms = {"condition": printed(id).rhs, "outside": printed(id).rhs, "corrected": corrected(id).rhs}
    display, whole = (words.onto @ in_words(forms[x]) @ words.onto for x in ("condition", "corrected"))
    commuting = words.commuting(definition).equals(words.commuting(display))
    ledger.record(id, symbolic(commuting, "general d, n, A on U", "condition", "derivation"))
    ledger.record(id, symbolic(definition.equals(display), "general Σ₀", "outside", "derivation"))
    ledger.record(id, symbolic(definition.equals(whole), "general Σ₀", "corrected", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for at, form in ((FULL, "condition"), (CROSSED, "outside"), (CROSSED, "corrected")):
        made = stated(forms[form], inside)
        ledger.record(id, fits.residual(made, at, fits.on_shift, seed("fits"), profile, form))
    for commutes, form in ((True, "condition"), (False, "outside"), (False, "corrected")):
        holds = [
            equal(
                explicit_operator(nt.I + allocation.V_inf * nt.Sigma, values, scalars),
                explicit_operator(forms[form], values, scalars),
            )
            for values, scalars in at_points(commutes)
        ]
        ledger.record(id, symbolic(all(holds), f"{SIZES}, Σ₀ {'' if commutes else 'not '}commuting", form))


def rational_limit(commuting, form, read):
    """Whether ``read``(Γ₀⁻¹, Σ₀, I − P) is ``form`` at d = 3, m = 1, n = ∞, where Γ₀ = Σ₀ ≻ 0 and its
    inverse is continuous."""
    P, Sigma0, _, _ = rationals("complement", 3, 1, commuting)
    gamma = ((1 + 1 / n) * Sigma0 + Sigma0.trace() / n * sp.eye(3)).subs(n, sp.oo)
    return equal(read(gamma.inv(), Sigma0, sp.eye(3) - P), value(form, {allocation.P_U: P}))


@pytest.mark.statements("sec-5.1-complement.a")
def test_initial_inverse(ledger, profile, seed):
    id = "sec-5.1-complement.a"
    share, target = C / ((1 + 1 / n) * C + T0 / n), printed(id).args[3]
    on_U, on_rest = (on_eigenspace(target, {allocation.P_U: sp.Integer(x)}) for x in (1, 0))
    ledger.record(
        id,
        symbolic(
            sp.limit(share, n, sp.oo) == on_rest and on_U == 0 and share.subs(C, 0) == 0,
            "Γ₀⁻¹Σ₀ is 1 on each eigenspace c > 0 of Σ₀ in the limit, 0 on the null space",
            "condition",
            "derivation",
        ),
    )
    holds = rational_limit(False, target, lambda inverse, Sigma0, off: off * inverse * Sigma0 * off)
    ledger.record(id, symbolic(holds, "rationals, d=3, Σ₀ not commuting", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for crossing in (0.0, 0.4):
        found = fits.residual_limit(
            stated(target),
            partial(slim, crossing=crossing),
            fits.initial_inverse,
            seed("fits"),
            profile,
            "condition",
        )
        ledger.record(id, found)


@pytest.mark.statements("sec-5.1-complement.b")
def test_complement(ledger, profile, seed):
    id = "sec-5.1-complement.b"
    (definition, _), zero = words.complement(), {nt.d: 1, allocation.P_U: sp.Integer(0)}
    whole, target = corrected(id).rhs, printed(id).args[3]
    same = definition.equals(in_words(whole))
    ledger.record(id, symbolic(same, "general d, n", "corrected", "derivation"))
    left = 1 - C / ((1 + 1 / n) * C + T0 / n)
    same = sp.simplify(left - (C + T0) / ((n + 1) * C + T0)) == 0
    ledger.record(
        id,
        symbolic(
            same and sp.limit(left, n, sp.oo) == on_eigenspace(target, zero),
            "(c + tr Σ₀)/((n+1)c + tr Σ₀) → 0 on each eigenspace c > 0",
            "condition",
            "derivation",
        ),
    )
    ledger.record(id, counterexample(registry()[id], "outside"))

    def read(inverse, Sigma0, off):
        return off - off * inverse * off * Sigma0 * off

    for commuting, form in ((True, "condition"), (False, "outside")):
        ledger.record(id, symbolic(rational_limit(commuting, target, read), "rationals, d=3", form))
    holds = []
    for values, scalars in at_points(False):
        off = sp.eye(values[nt.A].rows) - values[allocation.P_U]
        direct = off * explicit(nt.I + allocation.V_inf * nt.Sigma, values, scalars) * off
        holds.append(equal(direct, value(whole, values | scalars)))
    ledger.record(id, symbolic(all(holds), f"{SIZES}, Σ₀ not commuting", "corrected"))
    for crossing, form in ((0.0, "condition"), (0.4, "outside")):
        family = partial(slim, crossing=crossing)
        found = fits.residual_limit(stated(target), family, fits.on_complement, seed("fits"), profile, form)
        ledger.record(id, found)
    ledger.record(
        id,
        fits.residual(stated(whole), CROSSED, fits.on_complement, seed("fits"), profile, "corrected"),
    )


@pytest.mark.statements("sec-5.1-complement.c")
def test_residuals_compared(ledger, profile, seed):
    id = "sec-5.1-complement.c"
    ledger.record(id, counterexample(registry()[id]))
    on = 1 - S / ((1 + 1 / n) * S + T_U / n)
    off = 1 - C / ((1 + 1 / n) * C + T0 / n)
    ratio = sp.simplify(off / on)
    at_infinity = sp.simplify(sp.limit(ratio, n, sp.oo))
    ledger.record(
        id, symbolic(at_infinity == 0, "residual c over residual σ, n → ∞, general", kind="derivation")
    )
    lines = [line.rhs for line in corrected(id).args]
    Sigma_U = allocation.Sigma_U
    known = {nt.n: n, nt.Sigma0: C, Sigma_U: S, sp.Trace(Sigma_U): T_U, sp.Trace(nt.Sigma0): T0}
    known |= {nt.Gamma0: (1 + 1 / n) * C + T0 / n, nt.d: 1}
    levels = [
        on_eigenspace(line, known | {allocation.P_U: x})
        for line, x in zip(lines, (sp.Integer(1), sp.Integer(0)), strict=True)
    ]
    positive = sp.simplify(at_infinity - (1 + T0 / C) / (1 + T_U / S)) == 0
    ledger.record(
        id,
        symbolic(
            positive and all(sp.simplify(x - y) == 0 for x, y in zip((on, off), levels, strict=True)),
            "on each eigenspace; the ratio tends to (1 + t₀/c)/(1 + t_U/σ)",
            "corrected",
            "derivation",
        ),
    )
    holds = True
    for d, m, length in POINTS:
        P, Sigma0, Delta, _ = rationals(f"ratio{d}{m}", d, m, True)
        A = R(2, 5) * (P * Sigma0 * P + Delta)
        values, scalars = matrices(P, Sigma0, Delta, A, length, R(2, 5))
        miss, off_P = explicit(nt.I + allocation.V_inf * nt.Sigma, values, scalars), sp.eye(d) - P
        on_U, rest = (value(line, values | scalars) for line in lines)
        holds = holds and equal(P * miss * P, on_U) and equal(off_P * miss * off_P, rest)
    ledger.record(id, symbolic(holds, f"{SIZES}, Σ₀ commuting, A = ηΣ_U", "corrected"))
    chosen = replace(FULL, A=FULL.eta * FULL.on_shift, text=f"{FULL.text}, A=ηΣ_U")
    made = stated(nt.Sum_(*lines))
    found = fits.residual(made, chosen, fits.both, seed("both"), profile, "corrected")
    ledger.record(id, found)


# The best A on U --------------------------------------------------------------------------------------


def stationary_in_rationals(d, m, length):
    """Whether the Lyapunov equation's Y makes (5.1)'s derivative along all blocks on U zero; its A."""
    P, Sigma0, Delta, A = rationals(f"lyapunov{d}{m}", d, m, False)
    values, scalars = matrices(P, Sigma0, Delta, A, length, sp.Integer(1))
    basis = sp.Matrix.hstack(*P.columnspace())
    unknowns = {(i, j): sp.Symbol(f"y{i}{j}") for i in range(m) for j in range(i, m)}
    inner = sp.Matrix(m, m, lambda i, j: unknowns[min(i, j), max(i, j)])
    Y = basis * inner * basis.T
    left, right = (value(side, values | scalars | {allocation.Y: Y}) for side in lyapunov().args)
    found = sp.solve(list(basis.T * (left - right) * basis), list(unknowns.values()), dict=True)[0]
    V = -Y - values[nt.Gamma0].inv() * (sp.eye(d) - P)
    Sigma, level = values[nt.Sigma], values[allocation.Gamma]
    risk = d + 2 * (V * Sigma).trace() + (V * Sigma * level * V.T).trace()
    return all(sp.expand(sp.diff(risk, y).subs(found)) == 0 for y in unknowns.values())


@pytest.mark.statements("sec-5.1-allocation")
def test_allocation(ledger, profile, seed):
    id = "sec-5.1-allocation"
    _, (risk, _) = words.eigenvalues(S, T_U, T_C, M)
    target = printed(id).args[3]
    known = {nt.eta: nt.eta, nt.Sigma0: C, allocation.Delta: S - C, allocation.P_U: sp.Integer(1)}
    tends = sp.expand(sp.limit(risk, nt.n, sp.oo) - on_eigenspace(target, known)) == 0
    ledger.record(id, symbolic(tends, "on each eigenspace of Σ_U", "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    slope, _ = words.slope_on_shift()
    same = slope.equals(lyapunov_in_words())
    ledger.record(id, symbolic(same, "general d, n, Σ₀, Δ", "corrected", "derivation"))
    holds = all(stationary_in_rationals(d, m, length) for d, m, length in POINTS)
    ledger.record(id, symbolic(holds, f"stationary, {SIZES}, Σ₀ not commuting", "corrected"))
    V = points.fine_tuned(sp.diag(R(315, 122), 0), points.CROSSED[0], 2)
    Y = sp.diag(-V[0, 0], 0)
    values, scalars = matrices(sp.diag(1, 0), *points.CROSSED, sp.diag(1, 0), 2, sp.Integer(1))
    values |= scalars | {allocation.Y: Y}
    left, right = (value(side, values) for side in lyapunov().args)
    back = value(corrected(id).args[1].args[1], values)
    agrees = (left - right)[0, 0] == 0 and back == sp.diag(R(315, 122), 0)
    ledger.record(id, symbolic(agrees, f"Gaussian moments, n=2, {points.TEXT}", "corrected"))
    for family, form in ((small, "condition"), (small_crossed, "outside")):
        found = fits.minimiser_limit(stated(target), family, seed("minimisers"), profile, form)
        ledger.record(id, found)
    ledger.record(id, fits.minimiser(from_lyapunov, CROSSED, seed("crossed"), profile, "corrected"))
    trials, rows = paper_trials(400), table(400)
    at = check.paper(400)
    best = paper_trial(from_lyapunov(at, [at.P]), 400)
    pair = [best, trials["eta Sigma_U"]]
    gap = rows["eta Sigma_U"].risk - rows["full risk"].risk
    ledger.record(id, check.gaps([gap], pair, seed("paper"), profile, "corrected"))
