"""Curvature beyond the paper: evidence for the ``ext-`` rows of ``theory/curvature.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import curvature, exact, kstep
from theory import curvature_points as points
from theory import notation as nt
from theory.curvature import beta, rho
from theory.explicit import explicit
from theory.kstep import c
from theory.statement import registry
from verify.checks import curvature as check
from verify.checks.curvature import Landscape
from verify.checks.points import block, covariance, rational
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_curvature import isotropic, normal, spanning

R = sp.Rational
k = nt.k


def pair_values(printed):
    """The displayed second derivatives with h and t put in: E_ii, and the block of E_ij, E_ji."""
    single, pair, first, second = (line.args for line in printed.args)
    given = {second[0]: second[1], first[0]: first[1]}
    rows = [[entry.subs(given).subs(given) for entry in row] for row in pair[1].args]
    return single[1], sp.Matrix(rows)


@pytest.mark.statements("ext-os-curvature.a")
def test_commuting_spectrum(ledger):
    id = "ext-os-curvature.a"
    single, pair = pair_values(registry()[id].printed)
    derived = {curvature.x: curvature.m_i, curvature.y: curvature.m_j}
    t = curvature.coupling(k).subs(derived) * curvature.a_i * curvature.a_j
    h = curvature.first_order(k).subs(derived) * curvature.a_j
    same = sp.simplify(pair[0, 1] - t) == 0 and sp.simplify(pair[0, 0] - h**2) == 0
    number = k**2 + 2 * sp.binomial(k, 2).expand(func=True)
    alone = single - number * curvature.a_i**2 * curvature.m_i ** (2 * k - 2)
    same = same and sp.expand(alone) == 0
    ledger.record(
        id,
        symbolic(
            bool(same and curvature.induction()),
            "M^k to second order by induction on k, general k",
            kind="derivation",
        ),
    )
    m, a = (R(1, 2), R(-3, 4)), (R(2), R(1, 3))
    given = {curvature.m_i: m[0], curvature.m_j: m[1], curvature.a_i: a[0], curvature.a_j: a[1]}
    V, holds = sp.diag(*((q - 1) / r for q, r in zip(m, a, strict=True))), True
    for steps in range(1, 5):
        whole = points.hessian(V, points.spanning(sp.diag(*a)), steps)
        by_hand = pair.subs(k, steps).subs(given)
        holds = holds and whole[1:3, 1:3] == by_hand and whole[0, 0] == single.subs(k, steps).subs(given)
        holds = holds and whole[0, 1:] == sp.zeros(1, 3)
    ledger.record(id, symbolic(bool(holds), "whole Hessian, d=2, k = 1 … 4, differentiating A.1"))
    blocks = sp.lambdify((curvature.m_i, curvature.m_j, curvature.a_i, curvature.a_j, k), [single, *pair])

    def quadratic(at, E):
        levels = np.diag(at.S)
        on = 1 + np.diag(at.V) * levels
        total = 0.0
        for i, j in np.ndindex(len(on), len(on)):
            if i < j:
                _, p, q, r, s = blocks(on[i], on[j], levels[i], levels[j], at.k)
                total += p * E[i, j] ** 2 + (q + r) * E[i, j] * E[j, i] + s * E[j, i] ** 2
            elif i == j:
                j = (i + 1) % len(on)  # the other eigenvalue does not count
                total += blocks(on[i], on[j], levels[i], levels[j], at.k)[0] * E[i, i] ** 2
        return total

    at = []
    for steps in (1, 2, 3, 5):
        source = np.random.default_rng(steps)
        levels, on = source.uniform(0.1, 3, 15), source.uniform(-1.2, 0.9, 15)
        at.append(Landscape(np.diag((on - 1) / levels), np.diag(levels), spanning(15), steps))
    ledger.record(id, check.along(quadratic, at, "d=15, diagonal V and A, E generic, k = 1, 2, 3, 5"))


@pytest.mark.statements("ext-os-curvature.b")
def test_bounds(ledger, seed):
    id = "ext-os-curvature.b"
    low, high = registry()[id].printed.args
    levels, radius = [sp.Symbol("low", positive=True), sp.Symbol("high", positive=True)], rho
    found = []
    for side, level in ((low.lhs, levels[0]), (high.rhs, levels[1])):
        labels = {one: level for one in side.atoms(nt.Label) if nt.A in one.args}
        labels |= {one: radius for one in side.atoms(nt.Label) if nt.A not in one.args}
        found.append(side.subs(labels))
    number = k**2 + 2 * sp.binomial(k, 2).expand(func=True)
    same = all(
        sp.simplify(side - number * level**2 * rho ** (2 * k - 2)) == 0
        for side, level in zip(found, levels, strict=True)
    )
    where = "k² + 2C(k,2) terms of norm ≤ ρ^{2k−2}‖A‖²; E = u uᵀA⁻¹ with Mu = ±ρu has k(2k−1)ρ^{2k−2}/‖E‖²"
    ledger.record(id, symbolic(bool(same), where, kind="derivation"))
    turn, other = (sp.Matrix([[p, -q], [q, p]]) for p, q in ((R(3, 5), R(4, 5)), (R(5, 13), R(12, 13))))
    A, M = other * sp.diag(R(1, 2), 2) * other.T, turn * sp.diag(R(-2, 3), R(1, 4)) * turn.T
    at, holds = {levels[0]: R(1, 2), levels[1]: 2, rho: R(2, 3)}, True
    for steps in (1, 2, 3):
        whole = points.hessian((M - sp.eye(2)) * A.inv(), points.spanning(A), steps)
        below, above = (side.subs(k, steps).subs(at) for side in found)
        along = sp.Matrix((turn[:, 0] * turn[:, 0].T * A.inv()).reshape(4, 1))
        holds = holds and (above * sp.eye(4) - whole).is_positive_semidefinite
        holds = holds and (along.T * whole * along)[0] >= below * (along.T * along)[0]
    ledger.record(id, symbolic(bool(holds), "d=2, M symmetric, not commuting with A, k = 1 … 3"))
    bounds = sp.lambdify((*levels, rho, k), found)

    def predict(one):
        spectrum = np.linalg.eigvalsh(one.S)
        M = np.eye(len(one.V)) + one.V @ one.S
        return bounds(spectrum[0], spectrum[-1], np.linalg.norm(M, 2), one.k)

    A = covariance(30, seed("bounds"))
    generic = [Landscape(normal(30, r, 3, A), A, spanning(30), steps) for steps, r in ((2, 0.7), (5, 1.1))]
    turning = np.kron(np.eye(10), 0.95 * np.array([[0.6, -0.8], [0.8, 0.6]])) - np.eye(20)
    scaled = isotropic(100, 0.9, 1, 4)
    tight = [
        Landscape(scaled.V / 1.7, 1.7 * scaled.S, scaled.w, 4),
        Landscape(turning, np.eye(20), spanning(20), 6),
    ]
    regime = "d=30, A generic; d=100 and d=20 (rotations) at A=1.7I and I, where the two bounds are one"
    ledger.record(id, check.between(predict, generic, regime, tight))


@pytest.mark.statements("ext-os-curvature.c")
def test_peak(ledger):
    id = "ext-os-curvature.c"
    printed = registry()[id].printed.rhs
    slope = sp.diff(sp.log(k) + sp.log(2 * k - 1) - (2 * k - 2) * curvature.decay, k)
    concave = sp.simplify(sp.diff(slope, k) + 1 / k**2 + 4 / (2 * k - 1) ** 2) == 0
    holds = sp.simplify(slope.subs(k, printed)) == 0 and concave
    ledger.record(
        id, symbolic(bool(holds), "zero slope of log(k(2k−1)ρ^{2k−2}), which is concave", kind="derivation")
    )
    holds = True
    for radius in (R(1, 2), R(9, 10), R(99, 100)):
        values = [j * (2 * j - 1) * radius ** (2 * j - 2) for j in range(1, 150)]
        best = 1 + values.index(max(values))
        holds = holds and abs(float(printed.subs(curvature.decay, -sp.log(radius)).evalf()) - best) < 1
    ledger.record(id, symbolic(bool(holds), "best integer k at ρ = 1/2, 9/10, 99/100, within 1"))
    predict = sp.lambdify(curvature.decay, printed)
    ledger.record(id, check.peak(lambda radius: float(predict(-np.log(radius))), (0.4, 0.6, 0.8)))


def solved(d, size, key):
    """V and prompts with (I + VS_τ)w_τ = 0, in rationals: the S_τ differ, M_τ is not normal."""
    roots = [rational(d, d, f"{key} S{j}") for j in range(size)]
    tasks = [rational(d, 1, f"{key} w{j}") for j in range(size)]
    prompts = [(root * root.T, w) for root, w in zip(roots, tasks, strict=True)]
    seen = sp.Matrix.hstack(*(S * w for S, w in prompts))
    V = -sp.Matrix.hstack(*tasks) * seen.pinv() + rational(d, d, key) * (sp.eye(d) - seen * seen.pinv())
    return V, prompts


@pytest.mark.statements("ext-os-curvature.d")
def test_solved_prompts(ledger, seed):
    id = "ext-os-curvature.d"
    printed = registry()[id].printed.args[1]

    def stated(V, prompts, steps, E):
        """The print; nan where it has M⁻¹, which there is not, as M w* = 0."""
        given = {
            nt.V: V,
            nt.S_tau: lambda tau: prompts[(tau - 1) % len(prompts)][0],
            nt.w_star_tau: lambda tau: prompts[(tau - 1) % len(prompts)][1],
            nt.matrix("E", nt.d, nt.d, "E"): E,
        }
        try:
            return value(printed, {**given, k: steps, nt.B: len(prompts)})
        except (np.linalg.LinAlgError, sp.matrices.exceptions.NonInvertibleMatrixError):
            return np.nan

    holds = True
    for d, size, steps in ((2, 2, 1), (2, 1, 2), (2, 2, 3), (3, 2, 4)):
        V, prompts = solved(d, size, f"solved {steps}")
        E = rational(d, d, f"E{steps}")
        holds = holds and points.second_derivative(V, prompts, steps, E, E) == stated(V, prompts, steps, E)
    ledger.record(id, symbolic(bool(holds), "S_τ all different, M not normal, d ≤ 3, B ≤ 2, k = 1 … 4"))

    def quadratic(at, E):
        prompts = [(S, w[:, None]) for S, w in zip(at.S, at.w, strict=True)]
        return float(stated(at.V, prompts, at.k, E))

    at = []
    for steps in (2, 4):
        S = np.stack([covariance(12, seed("solved") + j, 7 if j % 2 else None) for j in range(5)])
        w = np.random.default_rng(steps).normal(size=(5, 12))
        seen = np.einsum("bij,bj->ib", S, w)
        V = -w.T @ np.linalg.pinv(seen) + 0.3 * block(12, steps) @ (np.eye(12) - seen @ np.linalg.pinv(seen))
        at.append(Landscape(V, S, w, steps))
    ledger.record(id, check.along(quadratic, at, "d=12, five different S_τ, two singular, k = 2, 4"))
    # All that is left of D²L with M w* = 0 is the norm of the slope, in words.
    M, one, w = sp.symbols("M F w", commutative=False)
    (power,) = printed.atoms(sp.MatPow)
    holds = True
    for steps in range(1, 7):
        now, slope = w, sp.Integer(0)
        for _ in range(steps):
            now, slope = (sp.expand(e).subs(M * w, 0) for e in (M * now, M * slope + one * now))
        holds = holds and now == 0 and sp.expand(slope - M ** power.exp.subs(k, steps) * one * w) == 0
    ledger.record(id, symbolic(bool(holds), "A.1 differentiated with M w* = 0, k = 1 … 6", kind="derivation"))


@pytest.mark.statements("ext-os-curvature.e")
def test_finite_prompts(ledger, profile, seed):
    id = "ext-os-curvature.e"
    printed = registry()[id].printed.args[1]
    (mean,) = printed.atoms(nt.Expectation)

    def averaged(steps, average):
        """The print with ``average`` of its trace put in, a function of Σ̂'s trace powers; nan where it has
        negative ones."""
        s = sp.Symbol("s")
        inside = value(mean.args[0], {nt.Sigma_hat: sp.Matrix([[s]]), c: c, k: steps, nt.d: 1})
        if not sp.cancel(inside).is_polynomial(s):
            return sp.nan
        total = sum(
            weight * average(power) for (power,), weight in sp.Poly(sp.cancel(inside), s).terms() if power
        )
        return printed.subs(mean, sp.Symbol("mean")).subs(k, steps).subs(sp.Symbol("mean"), total)

    holds = all(
        sp.expand(
            sp.diff(kstep.isotropic_risk(steps), c, 2) / (2 * nt.d) - averaged(steps, kstep.isotropic_moment)
        )
        == 0
        for steps in (1, 2, 3)
    )
    ledger.record(
        id, symbolic(holds, "½ d²/dc² of the exact risk over d, general d, n, k = 1 … 3", kind="derivation")
    )
    cases = ((0.8, 3, 12, 1), (0.4, 4, 20, 2), (0.3, 2, 30, 3))
    one_prompt = printed.xreplace({mean: mean.args[0]})

    def stated(S, level, steps):
        return value(one_prompt, {nt.Sigma_hat: S, nt.d: len(S), c: level, k: steps})

    ledger.record(id, check.by_prompt(stated, cases, seed("prompts")))
    predicted = [
        float(averaged(steps, kstep.isotropic_moment).subs({nt.d: d, nt.n: length, c: level}))
        for level, d, length, steps in cases
    ]
    ledger.record(id, check.along_identity(np.array(predicted), cases, seed("finite"), profile))
    holds, level = True, R(2, 3)
    for d, length, steps in ((1, 2, 3), (2, 1, 2), (2, 2, 1)):
        unit = sp.eye(d) / sp.sqrt(d)

        def curved(S, steps=steps, unit=unit):
            V = -level * sp.eye(S.rows)
            return points.second_derivative(V, points.spanning(S), steps, unit, unit)

        def inner(S, steps=steps):
            return value(mean.args[0], {nt.Sigma_hat: S, k: steps, c: level})

        found, by_hand = (exact.mean_over_prompts(f, sp.eye(d), length) for f in (curved, inner))
        holds = holds and sp.expand(found - (printed / mean).subs({k: steps, nt.d: d}) * by_hand) == 0
    ledger.record(id, symbolic(bool(holds), "Gaussian moments, (d,n,k) = (1,2,3), (2,1,2), (2,2,1), c = 2/3"))


@pytest.mark.statements("ext-os-curvature.f")
def test_jordan_block(ledger):
    id = "ext-os-curvature.f"
    shape, _, _, limit = registry()[id].printed.args
    (largest,) = shape.atoms(nt.Label)
    scale = sp.simplify(largest / shape)
    along = sp.limit(sp.simplify(curvature.along_corner(k) / scale), k, sp.oo)
    ledger.record(
        id,
        symbolic(
            sp.simplify(along - limit) == 0,
            "D²L on E_21 for general k; entries (E_ij, E_lm) are of lower order in k",
            kind="derivation",
        ),
    )
    M, E, holds = sp.Matrix([[R(1, 2), 1], [0, R(1, 2)]]), points.unit(1, 0, 2), True
    at = {rho: R(1, 2), beta: 1}
    for steps in (1, 2, 4, 7):
        direct = points.second_derivative(M - sp.eye(2), points.spanning(sp.eye(2)), steps, E, E)
        holds = holds and direct == curvature.along_corner(sp.Integer(steps)).subs(at)
    levels = []
    for where in ((1, 0), (0, 0), (1, 1), (0, 1)):
        one = points.unit(*where, 2)
        levels.append(points.second_derivative(M - sp.eye(2), points.spanning(sp.eye(2)), 40, one, one))
    goal = (scale * limit).subs(k, 40).subs(at)
    # C(k,3)² and kC(k,5) fall short of their leading terms by about 6/k and 10/k.
    close = 1 - R(12, 40) < levels[0] / goal < 1 and all(abs(x / goal) < R(1, 40) for x in levels[1:])
    ledger.record(
        id, symbolic(bool(holds and close), "E_21 at k = 1, 2, 4, 7; diagonal of the Hessian at k = 40")
    )
    ledger.record(id, check.corner(float(limit), ((0.95, 1.0), (0.9, 0.5))))


@pytest.mark.statements("ext-os-curvature.g")
def test_transient_growth(ledger, seed):
    id = "ext-os-curvature.g"
    printed = registry()[id].printed
    a, b, p, q, r = sp.symbols("a b p q r", positive=True)
    root, S = sp.diag(a, b), sp.Matrix([[p, q], [q, r]])
    similar = root * (sp.eye(2) - (root * root).inv() * S) * root.inv()
    holds = (similar - similar.T).applyfunc(sp.simplify) == sp.zeros(2)
    (condition,), (radius,) = (
        [one for one in printed.rhs.atoms(nt.Label) if one.args[0] == sp.Symbol(name)]
        for name in (r"\kappa", r"\rho")
    )
    kappa = sp.Symbol("kappa", positive=True)
    bound = printed.rhs.subs({condition: kappa, radius: rho})
    same = radius.args[1] == printed.lhs.args[0].base and condition.args[1] == curvature.GAMMA
    holds = holds and same and sp.simplify(bound - sp.sqrt(kappa) * rho**k) == 0
    where = "Γ^{1/2}MΓ^{−1/2} = I − Γ^{−1/2}SΓ^{−1/2}, symmetric; ‖Γ^{1/2}‖‖Γ^{−1/2}‖ = √κ"
    ledger.record(id, symbolic(bool(holds), where, kind="derivation"))
    holds, matrix = True, printed.lhs.args[0]
    for level in (R(1, 2), R(1, 3)):
        given = {curvature.GAMMA: sp.diag(1, 4), nt.S: sp.Matrix([[1, -2 * level], [-2 * level, 4]])}
        for steps in (1, 2, 3):
            power = explicit(matrix, given, {k: steps, nt.d: 2})
            norm = max(map(sp.sqrt, (power.T * power).eigenvals()))
            about = value(radius.args[1], given)
            found = max(map(sp.Abs, about.eigenvals()))
            levels = value(condition.args[1], given).singular_values()
            limit = bound.subs({kappa: max(levels) / min(levels), rho: found, k: steps})
            holds = holds and (norm == limit if steps % 2 else norm < limit)
    ledger.record(id, symbolic(bool(holds), "Γ=diag(1,4), ρ = 1/2, 1/3, k = 1 … 3: equal for odd k"))

    def predict(one):
        given = {curvature.GAMMA: -np.linalg.inv(one.V), nt.S: one.S}
        spread = np.linalg.cond(value(condition.args[1], given))
        found = np.abs(np.linalg.eigvals(value(radius.args[1], given))).max()
        return float(value(printed.rhs, {condition: float(spread), radius: float(found), k: one.k}))

    Gamma = covariance(20, seed("transient"))
    V: np.ndarray = -np.linalg.inv(Gamma)
    drawn = [covariance(20, seed("transient") + j, 5 if j == 2 else None) for j in (1, 2)]
    at = [Landscape(V, S, np.eye(20), steps) for S in drawn for steps in (1, 4, 16)]
    hand = np.array([[1.0, -1.4], [-1.4, 4.0]])
    tight = [Landscape(np.diag([-1.0, -0.25]), hand, np.eye(2), steps) for steps in (1, 3)]
    regime = "d=20, Γ and S generic, S of rank 5 in one, k = 1, 4, 16; d=2, where it is attained"
    ledger.record(id, check.transient(predict, at, regime, tight))
