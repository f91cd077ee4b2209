"""T_inv, T_inv,Σ and their derivation: evidence for ``theory/inverse_trace.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import equivalents_calculus as calculus
from theory import equivalents_points as points
from theory import inverse_trace as inv
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.block_symbols import Sigma, a, beta, c, k, mu, q, w, z
from theory.equivalents_calculus import f, t
from theory.explicit import explicit
from theory.statement import registry
from theory.wishart import inverse_mean
from theory.words.letters import Letter
from verify.checks import equivalents as check
from verify.checks import precision_fits as fits
from verify.checks import resolvent_identities as identities
from verify.checks.equivalents import Ensemble
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.resolvent_settings import (
    AMPLE,
    NEAR,
    PAPER,
    PAST,
    SCARCE,
    TEST,
    THREE,
    Levels,
    in_w,
    of,
    of_small,
    root_of,
    same,
)
from verify.surface import value

R = sp.Rational
SQUARED = tuple(level**2 for level in TEST)
SHIFT = R(2, 7)


def printed(id):
    return registry()[id].printed


def corrected(id):
    return registry()[id].corrected


def branch(expression, at):
    """A formula with its indicators, at β = B/d of this ensemble."""
    here = {beta: R(at.beta.numerator, at.beta.denominator)}
    return expression.replace(
        lambda x: isinstance(x, nt.Label), lambda x: sp.Integer(bool(value(x.args[1], here)))
    )


def with_levels(expression, power):
    """F = Σ^power in a general expression at K = 2."""
    levels = {f[j]: Sigma[j] ** power for j in (1, 2)}
    return bs.explicit(expression, 2).xreplace(levels | {mu[2]: 1 - mu[1]})


POWER = {"eq-B.14": 2, "eq-B.15": 1, "eq-C.41.b": 1, "eq-C.28": 2, "eq-C.30": 2}


@pytest.mark.statements("eq-B.14", "eq-B.15", "eq-C.41.b", "eq-C.28", "eq-C.30")
@pytest.mark.parametrize("id", POWER)
def test_inverse_trace(ledger, profile, seed, id):
    form = "printed" if registry()[id].counterexample is None else "condition"
    power, formula = POWER[id], printed(id).rhs
    sides = {"eq-C.28": (SCARCE, NEAR, PAPER), "eq-C.30": (AMPLE,)}.get(id, (SCARCE, NEAR, PAPER, AMPLE))
    if SCARCE in sides:
        wanted = in_w(with_levels(calculus.at_zero(calculus.inverse_by_expansion()), power))
        equal = same(in_w(branch(formula, SCARCE)), wanted)
        ledger.record(id, symbolic(equal, "any K, at K = 2: the z⁰ term of tr(FR)/d", form, "derivation"))
    if AMPLE in sides:
        wanted = in_w(with_levels(calculus.inverse_above(), power).subs(beta, R(7, 3)))
        equal = same(in_w(branch(formula, AMPLE).subs(beta, R(7, 3))), wanted)
        ledger.record(id, symbolic(equal, "any K, at K = 2, β = 7/3: b = β − 1 at z = 0", form, "derivation"))
    if form == "condition":
        ledger.record(id, counterexample(registry()[id], "outside"))
        ledger.record(id, check.growth(0.0, [x**power for x in TEST], seed("threshold"), profile, "outside"))
    for at in sides:
        side, here = branch(formula, at), Levels(at)
        whole = [here.value(side)]
        quantity = check.inverse([x**power for x in TEST])
        ledger.record(id, check.limit(whole, quantity, at, seed("equivalents"), profile, form))
        by_block = [here.value(side, {Sigma: row}) for row in np.eye(2)]  # linear in Σ_k^power
        ledger.record(id, check.limit(by_block, check.INVERSES, at, seed("equivalents"), profile, form))


@pytest.mark.statements("eq-C.31")
def test_threshold(ledger, profile, seed):
    id = "eq-C.31"
    level = {w[j]: a[j] ** 2 * q / (1 + a[j] ** 2 * q) for j in (1, 2)}
    values = {a[1]: 2, a[2]: R(1, 3), Sigma[1]: 3, Sigma[2]: R(1, 2), mu[1]: R(1, 4), mu[2]: R(3, 4)}
    below = bs.explicit(printed("eq-C.28").rhs, 2).xreplace(level).xreplace(values)
    distance = 1 - bs.explicit(printed("eq-B.11").rhs, 2).xreplace(values)
    above = bs.explicit(printed("eq-C.30").rhs, 2).xreplace(values)
    ends = [sp.limit(below, q, sp.oo), sp.limit(above, beta, 1, "+")]
    alike = sp.limit(below * distance, q, sp.oo) == sp.cancel(above * (beta - 1))
    stated = printed(id).args[3]
    holds = all(end == stated for end in ends) and alike
    ledger.record(id, symbolic(holds, "at rational levels, q → ∞ and β → 1⁺; |β−1|T_inv has one limit"))
    exponent = 1.0 if stated == sp.oo else 0.0  # 0: of what is bounded
    ledger.record(id, check.growth(exponent, SQUARED, seed("threshold"), profile, "printed"))


# Normalisation and derivatives --------------------------------------------------------------------------


def rationals(key, d=3, B=2, shift=SHIFT):
    """M = AΩ with rational entries, and the matrices of the definitions."""
    A, test = sp.diag(R(3, 2), *[R(1, 2)] * (d - 1)), sp.diag(2, *[R(1, 3)] * (d - 1))
    Omega = rational(d, B, key)
    M = A * Omega
    gram = M * M.T / d
    values = {fm.M: M, nt.A: A, nt.Sigma: test, nt.Omega: Omega, inv.G_hat: gram}
    if d <= B or shift > 0:
        values[fm.R] = (gram + shift * sp.eye(d)).inv()
    return values, {nt.d: d, nt.B: B, z: shift}


@pytest.mark.statements("eq-C.20")
def test_normalisation(ledger, seed):
    id = "eq-C.20"
    for d, B in ((3, 2), (2, 3)):
        found = {explicit(side, *rationals(id, d, B)) for side in printed(id).args}
        ledger.record(id, symbolic(len(found) == 1, f"d={d}, B={B}"))
    for side in printed(id).args[1:]:
        ledger.record(id, identities.identity(identities.inverse_trace, of(side), seed(id)))
        sides = fits.inverse_trace, identities.inverse_trace, of(side)
        ledger.record(id, fits.resolvent(*sides, seed(id)))


@pytest.mark.statements("eq-C.22", "eq-C.23")
def test_derivative(ledger, seed):
    values, scalars = rationals("eq-C.22")
    x = sp.Symbol("x")
    tilt = values[nt.A] * values[nt.Sigma] ** 2 * values[nt.A]
    moving = (values[inv.G_hat] + x * tilt + scalars[z] * sp.eye(3)).inv().trace() / 3
    wanted = sp.diff(moving, x).subs(x, 0)
    for id, sides in (("eq-C.22", [printed("eq-C.22").rhs]), ("eq-C.23", printed("eq-C.23").args)):
        equal = all(explicit(side, values, scalars) == wanted for side in sides)
        ledger.record(id, symbolic(equal, "d=3, B=2, z = 2/7"))
        for side in sides[id != "eq-C.22" :]:
            found = identities.identity(identities.slope_of_mean, of(side, scaled=True), seed(id))
            ledger.record(id, found)
            sides = fits.slope_of_mean, identities.slope_of_mean, of(side, scaled=True)
            ledger.record(id, fits.resolvent(*sides, seed(id)))


@pytest.mark.statements("eq-C.24.a")
def test_square_at_zero(ledger, seed):
    id = "eq-C.24.a"
    expression, _, _, limit = printed(id).args
    values, scalars = rationals(id, 2, 3, sp.Integer(0))
    equal = explicit(expression, values, scalars) == explicit(limit, values, scalars)
    ledger.record(id, symbolic(equal, "d=2, B=3, at z = 0", "condition"))
    s = sp.Symbol("s", positive=True)
    moving = {nt.A: sp.Matrix([[a[1]]]), nt.Sigma: sp.Matrix([[Sigma[1]]]), inv.G_hat: sp.Matrix([[s]])}
    moving |= {fm.R: sp.Matrix([[1 / (s + z)]])}
    on_range = sp.limit(value(expression, moving), z, 0) == value(limit, moving)
    text = "ΠR²Π, by eigenvalues s > 0 of Ĝ"
    ledger.record(id, symbolic(on_range, text, "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for shapes, form in ((((3, 5), (2, 4)), "condition"), (((4, 2), (5, 4)), "outside")):
        side, target = of(expression, scaled=True), of_small(limit)
        found = identities.approach(identities.square_trace, side, seed(id), form, shapes, target)
        ledger.record(id, found)


@pytest.mark.statements("eq-C.24.b", "eq-C.26")
def test_slope_of_root(ledger, profile, seed):
    id = "eq-C.24.b"
    ledger.record(id, counterexample(registry()[id]))
    equal = calculus.at_zero(calculus.inverse_by_tilt()) == calculus.at_zero(calculus.inverse_by_expansion())
    prediction = lambda at: -of_small(corrected(id).args[1])(at)  # noqa: E731
    narrow = ((4, 2), (5, 4), (3, 3))
    found = identities.identity(identities.slope_of_companion, prediction, seed(id), "corrected", narrow)
    ledger.record(id, found)
    values, scalars = rationals(id)
    A, test, Omega = (values[one] for one in (nt.A, nt.Sigma, nt.Omega))
    x = sp.Symbol("x")
    gram = Omega.T * A * (sp.eye(3) + x * test**2) * A * Omega / 3
    slope = sp.diff(gram.inv().trace() / 3, x).subs(x, 0)
    holds = explicit(corrected(id).args[1], values, scalars) == -slope
    text = "tr((MᵀM/d)⁻¹)/d differentiated, d=3, B=2; −dq/dt for C(1+tF) is the z⁰ term of tr(FR)/d, any K"
    ledger.record(id, symbolic(holds and equal, text, "corrected"))
    # C.26 and C.27 give q′(0); −q′(0) is sampled as the derivative of tr((MᵀM/d)⁻¹)/d
    first, second = printed("eq-C.26").args
    of_equation = sp.diff(inv.tilted(q + t * inv.q_slope), t).subs(t, 0)
    levels = {w[j]: a[j] ** 2 * q / (1 + a[j] ** 2 * q) for j in (1, 2)}
    equal = same(bs.explicit(of_equation, 2), bs.explicit(first.rhs, 2))
    ledger.record("eq-C.26", symbolic(equal, "C.25 differentiated", kind="derivation"))
    gap = bs.explicit(second.rhs - second.lhs, 2).xreplace(levels)
    equal = same(gap, bs.explicit(first.rhs, 2))
    ledger.record("eq-C.26", symbolic(equal, "C.27 from C.26", kind="derivation"))
    sides = {"C.26": first.rhs, "C.27": second.lhs - second.rhs}
    for at in (SCARCE, NEAR):
        here = Levels(at)
        for side in sides.values():
            at_zero, at_one = (here.value(side, scalars={inv.q_slope: x}) for x in (0.0, 1.0))
            expected = [at_zero / (at_one - at_zero)]  # −q′(0), which the side is linear in
            quantity = check.inverse(SQUARED)
            found = check.limit(expected, quantity, at, seed("equivalents"), profile, "printed")
            ledger.record("eq-C.26", found)
        crossed = check.inverse([x * y for x, y in zip(SQUARED, at.levels, strict=True)], square=True)
        ledger.record(id, check.limit(expected, crossed, at, seed("equivalents"), profile, "printed"))


@pytest.mark.statements("eq-C.25")
def test_perturbed_envelope(ledger, profile, seed):
    id = "eq-C.25"
    ledger.record(id, counterexample(registry()[id]))
    shift = z + t * c[k] * f[k]
    general = bs.explicit(calculus.equation(fm.v_t, shift), 2)
    general = general.xreplace({f[j]: Sigma[j] ** 2 for j in (1, 2)} | {mu[2]: 1 - mu[1]})
    stated = bs.explicit(corrected(id).rhs - beta, 2).xreplace({mu[2]: 1 - mu[1]})
    equal = same(general.xreplace({c[j]: a[j] ** 2 for j in (1, 2)}), stated)
    ledger.record(id, symbolic(equal, "the equation at x_k = z + t a_k²Σ_k²", "corrected", "derivation"))
    at_one = bs.at(corrected(id).rhs, {mu: [1, 0], a: [1, 1], Sigma: [1, 1]}, {z: 0, t: points.AT})
    root = points.transforms()[2]  # of m(t) at t = 3/4
    holds = at_one.subs(fm.v_t, root) == points.HALF
    ledger.record(id, symbolic(holds, "A=Σ=I, β=1/2, t=3/4, z→0: v = 1/4", "corrected"))
    here, scalars = Levels(SCARCE), {z: 0.3, t: 0.7}
    share = lambda v: here.value(corrected(id).rhs, scalars=scalars | {fm.v_t: v})  # noqa: E731
    root = root_of(lambda v: share(v) - float(SCARCE.beta), 1)
    moved = tuple(0.3 + 0.7 * x * y for x, y in zip(SCARCE.levels, SQUARED, strict=True))
    at = replace(SCARCE, shift=moved)
    ledger.record(id, check.limit([root], check.ROOT, at, seed("moved"), profile, "corrected"))
    small, tilt = 1e-3, 0.2
    levels = [small + tilt * x * y for x, y in zip(SCARCE.levels, SQUARED, strict=True)]
    at = replace(SCARCE, shift=tuple(levels))
    here, scalars = Levels(SCARCE), {z: small, t: tilt}
    root = root_of(lambda x: here.value(corrected(id).rhs, scalars=scalars | {fm.v_t: x}) - float(at.beta), 1)
    expected = [1 / (x + root * y) for x, y in zip(levels, at.levels, strict=True)]
    ledger.record(id, check.limit(expected, check.RESOLVENTS, at, seed("tilted"), profile, "corrected"))
    # As printed v(z, t) is near z q(t), with an envelope z + a_k²(1 + tΣ_k²)z q(t).
    of_print = printed(id).args[1].rhs
    root = root_of(lambda x: here.value(of_print, scalars=scalars | {inv.q_t: x}) - float(at.beta), 100)
    expected = [
        1 / (small * (1 + y * (1 + tilt * x) * root)) for x, y in zip(SQUARED, at.levels, strict=True)
    ]
    ledger.record(id, check.limit(expected, check.RESOLVENTS, at, seed("tilted"), profile, "printed"))


# Above the threshold, and any number of blocks ----------------------------------------------------------

ISOTROPIC = Ensemble((1.0,), (AMPLE.weights[0] * 0 + 1,), AMPLE.beta)


def mean_of_inverse():
    """lim (1/d) E tr W⁻¹, W = ΩΩᵀ/d: of B/d times the inverse of a Wishart matrix of B degrees of freedom."""
    d, more = sp.symbols("d m", integer=True, positive=True)
    B = d + 1 + more
    one = Letter("I_d", d, d, symmetric=True)
    (coefficient,) = inverse_mean(one, B).terms.values()
    return sp.limit((coefficient * d / B).subs(more, (beta - 1) * d - 1), d, sp.oo)


@pytest.mark.statements("eq-C.29.a", "eq-C.29.b")
def test_inverse_of_wishart(ledger, profile, seed):
    id = "eq-C.29.a"
    ledger.record(id, counterexample(registry()[id]))
    limit = corrected(id).args[3]
    holds = sp.simplify(mean_of_inverse() - limit) == 0
    ledger.record(id, symbolic(holds, "exact Wishart mean, d → ∞", "corrected", "derivation"))
    here = Levels(ISOTROPIC)
    for of_form, quantity, form in (
        (corrected, check.INVERSES, "corrected"),
        (printed, check.GRAM, "printed"),
    ):
        expected = [here.value(of_form(id).args[3])]
        ledger.record(id, check.limit(expected, quantity, ISOTROPIC, seed("Wishart"), profile, form))
    id = "eq-C.29.b"
    limit = printed(id).args[3]
    holds = sp.simplify(mean_of_inverse() / a[k] ** 2 - limit) == 0
    ledger.record(id, symbolic(holds, "Ĝ⁻¹ = A⁻¹W⁻¹A⁻¹, exact Wishart mean", kind="derivation"))
    by_block = np.array(Levels(AMPLE).by_block(limit)) * Levels(AMPLE).weights
    ledger.record(id, check.limit(by_block, check.INVERSES, AMPLE, seed("equivalents"), profile, "printed"))


@pytest.mark.statements("eq-C.41.a")
def test_definition_with_projection(ledger, profile, seed):
    id = "eq-C.41.a"
    ledger.record(id, counterexample(registry()[id]))
    for d, B in ((3, 2), (2, 3)):
        values, scalars = rationals(id, d, B)
        gram, of_M, of_A = (explicit(x, values, scalars) for x in corrected(id).args[1].args)
        target = explicit(sp.Trace(nt.Sigma * nt.Pinv(fm.M * fm.M.T)), values, scalars)  # C.40
        side = explicit(corrected(id).args[0].args[0], values, scalars)
        stated = corrected(id).args[0].args[3] == inv.T_inv_Sigma
        holds = gram == of_M == of_A and side == target and stated
        ledger.record(id, symbolic(holds, f"tr(Σ(MMᵀ)†) of C.40, d={d}, B={B}", "corrected"))
    for side in corrected(id).args[1].args[1:]:
        whole = corrected(id).args[0].args[0].xreplace({inv.G_hat: side})
        found = identities.identity(identities.weighted_inverse, of_small(whole), seed(id), "corrected")
        ledger.record(id, found)
    for at in (SCARCE, AMPLE):
        known = Levels(at).value(branch(printed("eq-B.15").rhs, at))
        expected = [float(corrected(id).args[0].args[3].subs(inv.T_inv_Sigma, known))]
        found = check.limit(expected, check.inverse(TEST), at, seed("equivalents"), profile, "corrected")
        ledger.record(id, found)


@pytest.mark.statements("ext-equivalents.c")
def test_any_number_of_blocks(ledger, profile, seed):
    id = "ext-equivalents.c"
    below, above = (line.args[0].args[3] for line in printed(id).args)
    sides = [line.args[1].rel_op for line in printed(id).args] == ["<", ">"]  # of the rank
    spread = below.xreplace({bs.v[k]: w[k] * (1 - w[k])})
    general = calculus.normal(spread, lambda index: c[index])
    equal = same(general, calculus.at_zero(calculus.inverse_by_expansion()))
    ledger.record(id, symbolic(sides and equal, "any K: the z⁰ term of tr(FR)/d", kind="derivation"))
    equal = sides and sp.simplify(above.subs(inv.rank, 1) - calculus.inverse_above()) == 0
    ledger.record(id, symbolic(equal, "any K, all c_k > 0: b = β − 1 at z = 0", kind="derivation"))
    F = (1.3, 0.4, 0.9)
    expected = [Levels(THREE).value(below, {f: F})]
    ledger.record(id, check.limit(expected, check.inverse(F), THREE, seed("equivalents"), profile, "printed"))
    held = {mu: list(Levels(PAST).weights[:2]), c: PAST.levels[:2], f: F[:2]}
    rank = float(sum(PAST.weights[:2]))
    expected = [float(bs.at(above, held, {beta: float(PAST.beta), inv.rank: rank}))]
    ledger.record(id, check.limit(expected, check.inverse(F), PAST, seed("equivalents"), profile, "printed"))
