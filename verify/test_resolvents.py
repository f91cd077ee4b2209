"""Resolvents and Lemma C.3: evidence for ``theory/resolvents.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import equivalents_calculus as calculus
from theory import equivalents_moments as moments
from theory import equivalents_points as points
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.block_symbols import beta, k, mu, q, z
from theory.equivalents_calculus import b, u
from theory.explicit import explicit
from theory.statement import registry
from verify.checks import equivalents as check
from verify.checks import resolvent_identities as identities
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.resolvent_settings import (
    AMPLE,
    NEAR,
    PERTURBED,
    SCARCE,
    SINGULAR,
    Levels,
    lemma_definitions,
    of,
    of_rational,
    same,
    two_blocks,
)

R = sp.Rational


def printed(id):
    return registry()[id].printed


def corrected(id):
    return registry()[id].corrected


# The equivalent of R(z) -----------------------------------------------------------------------------


def form_of_T(at, root):
    """The levels of the printed (zI + v(z)A²)⁻¹, one dimension a block."""
    here = Levels(at)
    values = {nt.A: sp.diag(*map(sp.sqrt, at.levels))}
    found = explicit(fm.FORM.rhs, values, {nt.d: len(at.levels), z: at.shift[0], fm.v_z: root})
    assert here.at is at
    return [float(x) for x in found.diagonal()]


@pytest.mark.statements("eq-C.45.a")
def test_equivalent(ledger, profile, seed):
    id = "eq-C.45.a"
    assert fm.FORM in printed(id).args
    equal = moments.of_equation(3) == moments.of_wishart(3) and printed(id).args[0].args[-1] == 0
    ledger.record(
        id,
        symbolic(
            equal, "any C, F, β: the terms z⁻² to z⁻⁴ of tr(FR)/d, exact Wishart means", kind="derivation"
        ),
    )
    for at in (SCARCE, AMPLE):
        expected = form_of_T(at, Levels(at).scalars[fm.v_z])
        ledger.record(
            id, check.limit(expected, check.RESOLVENTS, at, seed("equivalents"), profile, "printed")
        )


def transform_in(expression, value):
    """The printed v(z), with this for the Stieltjes transform of the companion matrix."""
    return expression.xreplace({fm.COMPANION_TRACE: value * nt.B})


@pytest.mark.statements("eq-C.45.b")
def test_companion(ledger, profile, seed):
    id = "eq-C.45.b"
    ledger.record(id, counterexample(registry()[id]))
    m, s, root = points.transforms()
    found = transform_in(corrected(id).args[2].rhs, s).subs({beta: points.HALF, z: points.AT})
    holds = found == root == 1 / m - points.AT and corrected(id).args[0] == fm.FORM
    ledger.record(id, symbolic(holds, points.ONE_BLOCK, "corrected"))
    # 1/(x + ωᵀR_{-}ω) for the diagonal of the companion's resolvent: z s(1 + (1/d) tr CR) = 1
    relation = calculus.equation(beta * z * sp.Symbol("s"), z)
    reduced = sp.expand(relation / beta + 1)
    holds = same(reduced, z * sp.Symbol("s") * (1 + bs.average(_equivalent_level())))
    ledger.record(id, symbolic(holds, "b = βzs in b(1 + tr(CT)/d) = β", "corrected", "derivation"))
    for at in (SCARCE, AMPLE):
        here = Levels(at)
        for form, expression in (("printed", printed(id)), ("corrected", corrected(id))):
            root = here.value(transform_in(expression.args[2].rhs, here.transform))
            evidence = check.limit(
                form_of_T(at, root), check.RESOLVENTS, at, seed("equivalents"), profile, form
            )
            ledger.record(id, evidence)
        evidence = check.limit(
            [here.transform], check.TRANSFORM, at, seed("equivalents"), profile, "corrected"
        )
        ledger.record(id, evidence)


def _equivalent_level():
    return mu[k] * bs.c[k] / (z + beta * z * sp.Symbol("s") * bs.c[k])


@pytest.mark.statements("eq-C.48")
def test_ratio(ledger, profile, seed):
    id = "eq-C.48"
    expression, _, _, limit = printed(id).args
    derived = sp.limit(expression.subs(fm.v_z, q * z + calculus.q2 * z**2), z, 0)
    ledger.record(id, symbolic(derived == limit, "b = qz + q₂z² + …", "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for at in (SCARCE, NEAR):
        expected = [Levels(at).value(limit)]
        ledger.record(id, check.limit(expected, check.RATIO, at, seed("equivalents"), profile, "condition"))


@pytest.mark.statements("eq-C.50")
def test_trace_identity(ledger, profile, seed):
    id = "eq-C.50"
    p, d, B, i = sp.symbols("p d B i", integer=True, positive=True)  # p = min(d, B) singular values
    s = sp.IndexedBase("s", positive=True)
    kept = sp.Sum(1 / (s[i] ** 2 + z), (i, 1, p))
    m, transform = (kept + (d - p) / z) / d, (kept + (B - p) / z) / B
    gap = printed(id).lhs - printed(id).rhs
    value = gap.subs({fm.m_z: m, fm.v_z: transform, beta: B / d})
    ledger.record(
        id, symbolic(sp.simplify(value) == 0, "any M, by its singular values", "condition", "derivation")
    )
    ledger.record(id, counterexample(registry()[id], "outside"))

    def right(at):
        s = float((1 / (np.linalg.eigvalsh(at.M.T @ at.M) + at.z)).mean())
        return float(printed(id).rhs.subs({fm.v_z: s, beta: R(at.B, at.d), z: at.z}))

    ledger.record(id, identities.identity(identities.scaled_mean, right, seed(id), "condition"))
    here = Levels(SCARCE)
    for root, form in ((here.transform, "condition"), (here.scalars[fm.v_z], "outside")):
        expected = [here.value(printed(id).rhs / z, scalars={fm.v_z: root})]
        ledger.record(id, check.limit(expected, check.MEAN, SCARCE, seed("equivalents"), profile, form))


@pytest.mark.statements("eq-C.51", "eq-C.52")
def test_mean_transform(ledger, profile, seed):
    m, _, root = points.transforms()
    one = {mu: [1], bs.a: [1]}
    scalars = {beta: points.HALF, z: points.AT, fm.v_z: root}
    found = bs.at(printed("eq-C.51").rhs, one, scalars)
    ledger.record("eq-C.51", symbolic(found == m, points.ONE_BLOCK, "condition"))
    ledger.record("eq-C.51", counterexample(registry()["eq-C.51"], "outside"))
    for at in (SCARCE, AMPLE):
        here = Levels(at)
        for value, form in ((here.scalars[fm.v_z], "condition"), (here.transform, "outside")):
            expected = [here.value(printed("eq-C.51").rhs, scalars={fm.v_z: value})]
            ledger.record(
                "eq-C.51", check.limit(expected, check.MEAN, at, seed("equivalents"), profile, form)
            )
    id = "eq-C.52"
    ledger.record(id, counterexample(registry()[id]))
    gap = corrected(id).lhs - corrected(id).rhs
    general = calculus.normal(
        gap.subs(fm.v_z, b).subs(beta, calculus.equation(b, z) + beta).xreplace({bs.a[k] ** 2: bs.c[k]}),
        lambda index: (1 / u[index] - z) / b,
    )
    ledger.record(
        id, symbolic(sp.cancel(general) == 0, "any K, b in its equation", "corrected", "derivation")
    )
    for at in (SCARCE, AMPLE):
        here = Levels(at)
        # with the companion's transform the left side is z m, the right is not; with the v of T the reverse
        cases = [(corrected(id).lhs, here.scalars[fm.v_z], "corrected")]
        cases += [(corrected(id).rhs, here.scalars[fm.v_z], "corrected")]
        cases += [
            (printed(id).lhs, here.scalars[fm.v_z], "printed"),
            (printed(id).rhs, here.transform, "printed"),
        ]
        for side, value, form in cases:
            expected = [here.value(side / z, scalars={fm.v_z: value})]
            ledger.record(id, check.limit(expected, check.MEAN, at, seed("equivalents"), profile, form))


@pytest.mark.statements("eq-C.53")
def test_null_space(ledger, profile, seed):
    id = "eq-C.53"
    m = points.mean_transform()
    s = (z * m - 1 + beta) / (beta * z)
    ends = [sp.limit((z * s).subs(beta, x), z, 0, "+") for x in (R(1, 2), R(3, 2))]
    expected = [printed(id).args[3].subs(beta, x) for x in (R(1, 2), R(3, 2))]
    ledger.record(id, symbolic(ends == expected, "A=I, β = 1/2 and 3/2", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    small = (1e-8, 1e-8)
    cases = [(replace(SCARCE, shift=small), "condition"), (replace(AMPLE, shift=small), "condition")]
    for at, form in [*cases, (SINGULAR, "outside")]:
        value = [Levels(at).value(printed(id).args[3])]
        ledger.record(id, check.limit(value, check.NULL_SPACE, at, seed("null space"), profile, form))


# Two resolvents -------------------------------------------------------------------------------------


def at_z(expression):
    """A printed expression of Lemma C.3 at K = 2, in u_k = 1/(z + b c_k), and with β of the root."""
    full = expression.xreplace(lemma_definitions()).subs(fm.v_z, b).subs(beta, calculus.equation(b, z) + beta)
    levels = {bs.a[j]: sp.sqrt((1 / u[j] - z) / b) for j in (1, 2)}
    squares = {bs.c[j]: (1 / u[j] - z) / b for j in (1, 2)}
    return two_blocks(full).xreplace(squares).xreplace(levels)


@pytest.mark.statements("lem-C.3", "eq-C.78")
def test_two_resolvents(ledger, profile, seed):
    limit = printed("lem-C.3").args[0].args[3]
    equal = same(at_z(limit), two_blocks(calculus.at_root(calculus.pair())))
    ledger.record("lem-C.3", symbolic(equal, "any K, at K = 2: −d/dt tr(D₁T(z,t))/d", kind="derivation"))
    equal = moments.pair_of_equation(2) == moments.pair_of_wishart(2)
    ledger.record(
        "lem-C.3",
        symbolic(
            equal,
            "any C, F, G, β: the terms z⁻³ and z⁻⁴ of tr(FRGR)/d, exact Wishart means",
            kind="derivation",
        ),
    )
    slope = printed("eq-C.78").rhs
    equal = same(at_z(slope), at_z(calculus.root_slope()))
    ledger.record("eq-C.78", symbolic(equal, "any K, at K = 2", kind="derivation"))
    for at in (SCARCE, AMPLE):
        here = Levels(at)
        families = {fm.Psi: here.by_block(printed("lem-C.3").args[1].rhs)}
        scalars = {fm.DELTA: here.value(printed("lem-C.3").args[2].rhs)}
        for id, quantity, side in (("lem-C.3", check.PAIR, limit), ("eq-C.78", check.SLOPE, slope)):
            expected = [here.value(side, families, scalars)]
            ledger.record(id, check.limit(expected, quantity, at, seed("equivalents"), profile, "printed"))


@pytest.mark.statements("eq-C.70")
def test_derivative_of_block(ledger, seed):
    id = "eq-C.70"
    values, scalars = of_rational(rational(3, 2, id))
    x = sp.Symbol("x")
    moving = (values[fm.M] * values[fm.M].T + x * values[fm.D_2] + scalars[z] * sp.eye(3)).inv()
    exact = sp.diff((values[fm.D_1] * moving).trace() / 3, x).subs(x, 0)
    found = explicit(printed(id).rhs, values, scalars)
    ledger.record(id, symbolic(found == exact, "d=3, B=2, z = 2/7"))
    ledger.record(id, identities.identity(identities.slope_of_block, of(printed(id).rhs), seed(id)))


@pytest.mark.statements("eq-C.71", "eq-C.74")
def test_perturbed_equivalent(ledger, profile, seed):
    id, here = "eq-C.71", Levels(PERTURBED)
    first, second = PERTURBED.shift
    values = {nt.A: sp.diag(*map(sp.sqrt, PERTURBED.levels)), fm.D_2: sp.diag(0, 1)}
    root = here.scalars[fm.v_z]
    scalars = {nt.d: 2, z: first, fm.t: second - first, fm.v_t: root}
    levels = explicit(printed(id).rhs, values, scalars).diagonal()
    found = check.limit(
        [float(x) for x in levels], check.RESOLVENTS, PERTURBED, seed("equivalents"), profile, "printed"
    )
    ledger.record(id, found)
    equal = moments.pair_of_equation(2) == moments.pair_of_wishart(2)
    ledger.record(
        id, symbolic(equal, "its derivative at t = 0 by exact Wishart means, any C, F, G", kind="derivation")
    )
    id = "eq-C.74"
    ledger.record(id, counterexample(registry()[id]))
    m, _, root = points.transforms()
    values, scalars = {nt.A: sp.eye(1), fm.T: sp.eye(1) * m}, {beta: points.HALF, nt.d: 1, z: points.AT}
    found = explicit(corrected(id).rhs, values, scalars)
    ledger.record(id, symbolic(found == 1 / root, points.ONE_BLOCK, "corrected"))
    constant = {
        form: statement.rhs.subs(sp.Trace(nt.A**2 * fm.T), 0)
        for form, statement in (("printed", printed(id)), ("corrected", corrected(id)))
    }
    for at in (SCARCE, AMPLE):
        for form, side in constant.items():
            expected = [Levels(at).value(side)]
            ledger.record(id, check.limit(expected, check.REMAINDER, at, seed("equivalents"), profile, form))
