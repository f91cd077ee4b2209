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
from verify.checks import precision_fits as fits
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
    of_small,
    same,
    two_blocks,
)
from verify.stats.bounded import lift
from verify.stats.bounded_algebra import eigenvalues
from verify.surface import value

R = sp.Rational


def printed(id):
    return registry()[id].printed


def corrected(id):
    return registry()[id].corrected


# The equivalent of R(z) -----------------------------------------------------------------------------


def levels_of(form, at, root):
    """The levels of the printed (zI + v(z)A²)⁻¹, one dimension a block."""
    values = {nt.A: np.diag(np.sqrt(Levels(at).levels)), z: at.shift[0], fm.v_z: root}
    return value(form.rhs, values).diagonal()


def has_levels(matrix, shifts):
    """Whether the two levels of a printed inverse are 1/(x_k + b c_k), as in the equation of the theory."""
    values = {nt.A: sp.diag(*(sp.sqrt(bs.c[j]) for j in (1, 2))), fm.D_2: sp.diag(0, 1), z: z, fm.t: fm.t}
    found = value(matrix, {**values, fm.v_z: b, fm.v_t: b}).diagonal()
    return all(same(x, 1 / (shift + b * bs.c[j])) for x, shift, j in zip(found, shifts, (1, 2), strict=True))


@pytest.mark.statements("eq-C.45.a")
def test_equivalent(ledger, profile, seed):
    id = "eq-C.45.a"
    limit, form = printed(id).args
    equal = moments.of_equation(3) == moments.of_wishart(3) and limit.args[-1] == 0
    equal = equal and has_levels(form.rhs, (z, z))
    ledger.record(
        id,
        symbolic(
            equal, "any C, F, β: the terms z⁻² to z⁻⁴ of tr(FR)/d, exact Wishart means", kind="derivation"
        ),
    )
    for at in (SCARCE, AMPLE):
        expected = levels_of(form, at, Levels(at).scalars[fm.v_z])
        ledger.record(
            id, check.limit(expected, check.RESOLVENTS, at, seed("equivalents"), profile, "printed")
        )


def root_in(expression, transform, values):
    """The printed v(z), for a companion matrix with this Stieltjes transform at z."""
    companion = (1 / transform - values[z]) * (sp.eye(2) if isinstance(transform, sp.Expr) else np.eye(2))
    return value(expression, {fm.companion: companion, **values})


@pytest.mark.statements("eq-C.45.b")
def test_companion(ledger, profile, seed):
    id = "eq-C.45.b"
    ledger.record(id, counterexample(registry()[id]))
    form, companion, of_root = corrected(id).args
    m, s, root = points.transforms()
    found = root_in(of_root.rhs, s, {beta: points.HALF, z: points.AT})
    holds = sp.simplify(found - root) == 0 and root == 1 / m - points.AT and has_levels(form.rhs, (z, z))
    ledger.record(id, symbolic(holds, points.ONE_BLOCK, "corrected"))
    # 1/(x + ωᵀR_{-}ω) for the diagonal of the companion's resolvent: z s(1 + (1/d) tr CR) = 1
    transform = sp.Symbol("s")
    relation = calculus.equation(sp.simplify(root_in(of_root.rhs, transform, {beta: beta, z: z})), z)
    reduced = sp.expand(relation / beta + 1)
    holds = same(reduced, z * transform * (1 + bs.average(_equivalent_level())))
    ledger.record(id, symbolic(holds, "b = βzs in b(1 + tr(CT)/d) = β", "corrected", "derivation"))
    gram = of_small(companion.rhs)
    ledger.record(id, identities.identity(identities.companion, gram, seed(id), "corrected"))
    for at in (SCARCE, AMPLE):
        here = Levels(at)
        scalars = {beta: float(at.beta), z: at.shift[0]}
        for which, expression in (("printed", printed(id)), ("corrected", corrected(id))):
            root = root_in(expression.args[2].rhs, here.transform, scalars)
            expected = levels_of(expression.args[0], at, root)
            evidence = check.limit(expected, check.RESOLVENTS, at, seed("equivalents"), profile, which)
            ledger.record(id, evidence)
        # the transform that the v(z) of T(z) belongs to, v being proportional to it
        expected = [here.transform * here.scalars[fm.v_z] / root]
        evidence = check.limit(expected, check.TRANSFORM, at, seed("equivalents"), profile, "corrected")
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
    left = gap.subs({fm.m_z: m, fm.v_z: transform, beta: B / d})
    ledger.record(
        id, symbolic(sp.simplify(left) == 0, "any M, by its singular values", "condition", "derivation")
    )
    ledger.record(id, counterexample(registry()[id], "outside"))

    of_print = sp.lambdify([fm.v_z, beta, z], printed(id).rhs, "sympy")

    def right(at):
        s = (1 / (np.linalg.eigvalsh(at.M.T @ at.M) + at.z)).mean()
        return of_print(s, at.B / at.d, at.z)

    def exactly(at):
        values = eigenvalues(lift(at.M).T @ lift(at.M))
        return of_print(sum(1 / (x + at.z) for x in values) / at.B, R(at.B, at.d), at.z)

    ledger.record(id, identities.identity(identities.scaled_mean, right, seed(id), "condition"))
    sides = fits.scaled_mean, identities.scaled_mean, exactly
    ledger.record(id, fits.resolvent(*sides, seed(id), "condition"))
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
        for root, form in ((here.scalars[fm.v_z], "condition"), (here.transform, "outside")):
            expected = [here.value(printed("eq-C.51").rhs, scalars={fm.v_z: root})]
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
        both = [here.value(side / z) for side in corrected(id).args]
        ledger.record(id, check.limit(both, check.BOTH, at, seed("equivalents"), profile, "corrected"))
        cases = [(printed(id).lhs, here.scalars[fm.v_z]), (printed(id).rhs, here.transform)]
        for side, root in cases:
            expected = [here.value(side / z, scalars={fm.v_z: root})]
            ledger.record(id, check.limit(expected, check.MEAN, at, seed("equivalents"), profile, "printed"))


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
        share = [Levels(at).value(printed(id).args[3])]
        ledger.record(id, check.limit(share, check.NULL_SPACE, at, seed("null space"), profile, form))


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
    equal = equal and moments.pair_of_equation(2) == moments.pair_of_wishart(2)
    text = "any K, at K = 2: −d/dt tr(D₁T(z,t))/d, whose terms z⁻³ and z⁻⁴ are exact Wishart means"
    ledger.record("lem-C.3", symbolic(equal, text, kind="derivation"))
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
    sides = fits.slope_of_block, identities.slope_of_block, of(printed(id).rhs)
    ledger.record(id, fits.resolvent(*sides, seed(id)))


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
    equal = has_levels(printed(id).rhs, (z, z + fm.t))
    equal = equal and moments.pair_of_equation(2) == moments.pair_of_wishart(2)
    ledger.record(
        id, symbolic(equal, "its derivative at t = 0 by exact Wishart means, any C, F, G", kind="derivation")
    )
    id = "eq-C.74"
    ledger.record(id, counterexample(registry()[id]))
    m, _, root = points.transforms()
    values, scalars = {nt.A: sp.eye(1), fm.T: sp.eye(1) * m}, {beta: points.HALF, nt.d: 1, z: points.AT}
    found = explicit(corrected(id).rhs, values, scalars)
    ledger.record(id, symbolic(found == 1 / root, points.ONE_BLOCK, "corrected"))
    for at in (SCARCE, AMPLE):
        here, root = Levels(at), Levels(at).scalars[fm.v_z]
        scalars = {beta: float(at.beta), z: at.shift[0]}
        spread = [int(16 * weight) for weight in at.weights]
        A = np.diag(np.repeat(np.sqrt(at.levels), spread))
        T = np.linalg.inv(scalars[z] * np.eye(16) + root * A @ A)
        for form, side in (("printed", printed(id).rhs), ("corrected", corrected(id).rhs)):
            for equivalent, quantity in ((0 * T, check.REMAINDER), (T, check.INVERSE_ROOT)):
                expected = [value(side, {**scalars, nt.A: A, fm.T: equivalent})]
                ledger.record(id, check.limit(expected, quantity, at, seed("equivalents"), profile, form))
