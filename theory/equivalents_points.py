"""Small points of Appendix C in rationals: one block with A = I, or matrices of size one and two.

For A = I and Ω of N(0, 1/d) entries, m(z) = lim (1/d) tr (ΩΩᵀ + z)⁻¹ is the Stieltjes transform of the
Marchenko-Pastur law, z m² + (z − 1 + β) m − 1 = 0: rational at β = 1/2, z = 3/4.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import equivalents_moments as moments
from theory.block_symbols import beta
from theory.statement import Counterexample
from theory.wishart import inverse_mean, inverse_quadratic_mean
from theory.words.letters import Letter
from theory.words.poly import Scalar, identity

R = sp.Rational
z, q = sp.symbols("z q", positive=True)
HALF, AT = R(1, 2), R(3, 4)
ONE_BLOCK = "A=I, β=1/2, z=3/4"


def _expect(found: sp.Expr, wanted: sp.Expr, what: str) -> None:
    if sp.simplify(found - wanted) != 0:
        raise ArithmeticError(f"{what}: {found}, expected {wanted}")


@cache
def mean_transform() -> sp.Expr:
    """m(z): the positive solution, checked against exact Wishart means."""
    middle = z - 1 + beta
    found = (sp.sqrt(middle**2 + 4 * z) - middle) / (2 * z)
    x = sp.Symbol("x", positive=True)
    series = sp.series(sp.simplify(found.subs(z, 1 / x)), x, 0, 4).removeO()
    for j, moment in enumerate(moments.of_wishart(2), start=1):
        at_one = moment.subs({symbol: 1 for symbol in moment.free_symbols - {beta}})
        _expect((-1) ** j * series.coeff(x, j + 1), at_one, f"moment {j}")
    return found


@cache
def transforms() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """At β = 1/2, z = 3/4: m, the companion's transform s of z m = 1 − β + βz s, and v of m = 1/(z + v)."""
    m = mean_transform().subs({beta: HALF, z: AT})
    return m, (AT * m - 1 + HALF) / (HALF * AT), 1 / m - AT


# Resolvents -------------------------------------------------------------------------------------------


@cache
def companion_transform() -> Counterexample:
    """T = (z + v)⁻¹ with the companion's transform for v, against m."""
    m, s, _ = transforms()
    return Counterexample(f"{ONE_BLOCK}, v=s={s}: lim tr(R)/d", 1 / (AT + s), m)


@cache
def ratio_of_transform() -> Counterexample:
    """The companion is invertible for β < 1: its transform has a positive limit, and s/z none."""
    m = mean_transform().subs(beta, HALF)
    s = (z * m - 1 + HALF) / (HALF * z)
    (root,) = sp.solve(q / (1 + q) - HALF, q)
    return Counterexample("A=I, β=1/2, v=s: lim v(z)/z, which should be q", sp.limit(s / z, z, 0, "+"), root)


@cache
def identity_for_equivalent() -> Counterexample:
    """z m = 1 − β + βz v with the v of T."""
    m, _, v = transforms()
    return Counterexample(f"{ONE_BLOCK}, v={v} that of T: z m", 1 - HALF + HALF * AT * v, AT * m)


@cache
def relation() -> Counterexample:
    """Both sides of C.52, with the companion's transform and with the v of T."""
    m, s, v = transforms()
    gaps = [1 - HALF + HALF * AT * x - AT / (AT + x) for x in (s, v)]
    if 0 in gaps:
        raise ArithmeticError(f"differences {gaps}: none is expected to vanish")
    _expect(AT * m, AT / (AT + v), "z m")
    return Counterexample(
        f"{ONE_BLOCK}: left minus right side at v=s={s}; at the v={v} of T it is {gaps[1]}",
        sp.Integer(0),
        gaps[0],
    )


@cache
def silverstein() -> Counterexample:
    """1/v − z − (1/(βd)) tr(A²T) with the v of T, and with the companion's transform."""
    _, s, v = transforms()
    gaps = [1 / x - AT - 1 / HALF / (AT + x) for x in (v, s)]
    if 0 in gaps:
        raise ArithmeticError(f"differences {gaps}: none is expected to vanish")
    return Counterexample(
        f"{ONE_BLOCK}: 1/v-z-tr(A²T)/(βd) at the v={v} of T; at v=s={s} it is {gaps[1]}",
        sp.Integer(0),
        gaps[0],
    )


SINGULAR = "A=diag(1,0), d=B=2, β=1"
_A = sp.diag(1, 0)
_OMEGA = sp.Matrix([[1, 2], [3, 5]])  # any: M = AΩ has the rank of A


@cache
def null_space() -> Counterexample:
    """lim z v(z), the share of the null space, for a singular A."""
    companion = _OMEGA.T * _A**2 * _OMEGA
    transform = (companion + z * sp.eye(2)).inv().trace() / 2
    return Counterexample(f"{SINGULAR}: lim z v(z)", sp.Integer(0), sp.limit(z * transform, z, 0, "+"))


def _projection() -> sp.Matrix:
    """MM† of M = AΩ, the same for any Ω."""
    M = _A * _OMEGA
    return M * M.pinv()


@cache
def off_range() -> Counterexample:
    """w_k of a block on which A vanishes."""
    return Counterexample(f"{SINGULAR}: w_2=tr(Π_22)/d_2", sp.Integer(1), _projection()[1, 1])


@cache
def total_fraction() -> Counterexample:
    """The sum of the shares w_k where A is singular."""
    return Counterexample(f"{SINGULAR}: Σμ_k w_k=tr(Π)/d", sp.Integer(1), _projection().trace() / 2)


@cache
def no_root() -> Counterexample:
    """3/4 = (1/2) q/(1 + q) has the solution −3 alone."""
    of = sp.Symbol("x", real=True)
    found = [x for x in sp.solve(HALF * of / (1 + of) - AT, of) if x >= 0]
    return Counterexample(
        "A=diag(1_m,0), μ_1=1/2, β=3/4: number of solutions q≥0", sp.Integer(1), sp.Integer(len(found))
    )


# Inverse traces -----------------------------------------------------------------------------------------


@cache
def diverging_square() -> Counterexample:
    """d = 2, B = 1, M = (1, 0)ᵀ: Ĝ = diag(1/2, 0)."""
    gram = sp.diag(HALF, 0)
    resolvent = (gram + z * sp.eye(2)).inv()
    return Counterexample(
        "A=Σ=I, d=2, B=1, Ω=(1,0): lim tr(Σ²A²R²)/d",
        (gram.pinv() ** 2).trace() / 2,
        sp.limit((resolvent**2).trace() / 2, z, 0, "+"),
    )


def _at_identity(value: Scalar, size: sp.Expr) -> sp.Expr:
    """A polynomial in traces of a covariance, at the identity of that size."""
    return sum(coefficient * size ** len(words) for words, coefficient in value.terms.items())


@cache
def square_of_pinv() -> Counterexample:
    """A = Σ = I: (1/d) tr Ĝ†^j = (1/d) tr K^{−j}, K = MᵀM/d Wishart with d degrees of freedom, B × B."""
    B, more = sp.symbols("B m", integer=True, positive=True)
    d = B + 3 + more
    one = Letter("I_B", B, B, symmetric=True)
    first, second = (
        sp.limit(_at_identity(mean.trace(), B).subs(more, B - 3) / (2 * B), B, sp.oo)
        for mean in (inverse_mean(one, d), inverse_quadratic_mean(identity(B), one, d))
    )
    return Counterexample("A=Σ=I, β=1/2: limits of tr(Σ²A²(Ĝ†)²)/d and of T_inv=tr(Σ²Ĝ†)/d", second, first)


@cache
def perturbed() -> Counterexample:
    """Ĝ + tAΣ²A + z = Ĝ + (t + z) for A = Σ = I: m(t + z), finite at z = 0."""
    t = AT
    (root,) = sp.solve((1 + t) * q / (1 + (1 + t) * q) - HALF, q)
    return Counterexample(
        "A=Σ=I, β=1/2, t=3/4: lim z tr(R(z,t))/d",
        1 / (1 + (1 + t) * root),
        sp.limit(z * mean_transform().subs(beta, HALF).subs(z, z + t), z, 0, "+"),
    )


@cache
def wishart_scale() -> Counterexample:
    """(1/d) E tr W = B/d."""
    (mean,) = moments.of_wishart(1)
    at = mean.subs({symbol: 1 for symbol in mean.free_symbols - {beta}}).subs(beta, 2)
    return Counterexample("W=ΩΩᵀ/d, β=2: lim tr(W)/d", 1 / (sp.Integer(2) - 1), at)


@cache
def projection_for_gram() -> Counterexample:
    """G is MMᵀ, and not the projection MM† that is printed for it."""
    M = sp.Matrix([[2]])
    return Counterexample("d=B=1, A=1, Ω=2: MM† for G=AΩΩᵀA", (M * M.pinv())[0], (M * M.T)[0])


@cache
def at_threshold() -> Counterexample:
    """A = Σ = I: β/(1 − β) below 1, 1/(β − 1) above, monotone in β on either side."""
    (root,) = sp.solve(q / (1 + q) - beta, q)
    limits = [sp.limit(root, beta, 1, "-"), sp.limit(1 / (beta - 1), beta, 1, "+")]
    if limits != [sp.oo, sp.oo]:
        raise ArithmeticError(f"limits {limits}: both are expected to be infinite")
    return Counterexample("A=Σ=I, β=1, where both indicators are 0", sp.Integer(0), limits[0])
