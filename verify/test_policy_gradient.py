"""Outcome supervision as reinforcement learning: evidence for ``theory/policy_gradient.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from numerics.policy_gradient import Estimator
from theory import notation as nt
from theory import policy_gradient as pg
from theory import policy_gradient_points as points
from theory.exact import covariance, frobenius_squared
from theory.lower import lower_matrix, lower_scalar
from theory.policy_gradient_points import constant, group_mean, leave_one_out
from theory.statement import registry
from theory.words.letters import Letter
from theory.words.poly import identity, letter
from verify import policy_gradient_predictions as predict
from verify.checks import policy_gradient as check
from verify.checks import policy_nodes as exactly
from verify.checks import precision_policy as precisely
from verify.checks.points import rational
from verify.checks.run import exact as symbolic
from verify.surface import value

R = sp.Rational
R = sp.Rational
SIZES = ((1, 2, 3), (2, 1, 2), (2, 3, 1))  # (d, n, k)
AT = 36  # policies whose gradient is not small beside its spread
ERRORS = (sp.Matrix([R(-3, 2)]), sp.Matrix([2, R(-1, 3)]))


def printed(id: str) -> sp.Basic:
    return registry()[id].printed


def rational_policy(d: int, n: int, k: int, sigma: sp.Expr, with_W: bool, key: str = "") -> points.Policy:
    shapes = ((d, d, "V"), (d, d, "W"), (d, n, "X"), (d, 1, "w"))
    V, W, X, w = (rational(rows, cols, f"reward {name}{d}{n}{k}{key}") for rows, cols, name in shapes)
    return points.Policy(V, W if with_W else sp.eye(d), X, w, k, sigma)


def exact_terms(policies: list[points.Policy]) -> list[predict.Values]:
    """‖e‖², ‖J‖², ‖∇L_τ‖² of each, from the full model."""
    squares = [[frobenius_squared(x) for x in (p.error, p.jacobian, p.gradient)] for p in policies]
    return [dict(zip((pg.SQUARED, pg.J_SQUARED, pg.ONE_SLOPE_SQUARED), one, strict=True)) for one in squares]


def zero(matrix: sp.Matrix) -> bool:
    return all(sp.simplify(x) == 0 for x in matrix)


@pytest.mark.statements("ext-rl.a")
def test_expected_gradient(ledger, profile, seed):
    id = "ext-rl.a"
    scale, loss = predict.slope_factor(printed(id))
    named = loss == nt.Label(nt.L_OS, nt.V, nt.W)
    error = letter(nt.letter_of(pg.e))
    derived = pg.first_moment().equals(error * scale)
    ledger.record(id, symbolic(named and derived, "E[(R − b)z]/σ ∝ e, then Jᵀ; general d", kind="derivation"))
    holds = True
    for d, n, k in SIZES:
        at = rational_policy(d, n, k, R(2, 3), with_W=True)
        assert not zero(at.gradient)
        holds = holds and named and zero(at.mean(constant(R(1, 5))) - scale * at.gradient)
    ledger.record(
        id, symbolic(holds, "full model, W̃ ≠ I, Gaussian moments, (d,n,k) = (1,2,3), (2,1,2), (2,3,1)")
    )
    for k, baseline in ((2, "none"), (3, -1.0)):
        drawn = check.policy(AT, k, 0.7, with_W=True)
        wanted = predict.mean_slope(drawn, printed(id))
        ledger.record(id, exactly.mean_at_nodes(wanted, drawn, Estimator(baseline)))
        ledger.record(id, check.expectation(wanted, drawn, Estimator(baseline), seed("mean"), profile))


@pytest.mark.statements("ext-rl.b")
def test_one_action(ledger, profile, seed):
    id = "ext-rl.b"
    whole = predict.one_action(printed(id))
    derived = lower_matrix(whole).equals(pg.covariance(pg.b))
    ledger.record(
        id, symbolic(derived, "Gaussian moments of rank-one Wishart words, general d", kind="derivation")
    )
    holds = True
    for e in ERRORS:
        for b in (0, R(-7, 4)):
            given = {pg.b: b, pg.sigma: R(3, 2), nt.d: e.rows}
            holds = holds and zero(
                points.covariance(e, R(3, 2), constant(b)) - value(whole, {**given, pg.e: e})
            )
    ledger.record(id, symbolic(holds, "moments to order 6, rationals, d = 1, 2, with and without baseline"))
    e = np.array([0.9, -0.4, 0.3])
    for b in (0.0, -2.0):
        wanted = predict.in_output(whole, e[:2], {pg.b: b, pg.sigma: 0.6})
        ledger.record(id, exactly.covariance_at_nodes(wanted, e[:2], 0.6, Estimator(b)))
        wanted = predict.in_output(whole, e, {pg.b: b, pg.sigma: 0.6})
        ledger.record(id, check.output_covariance(wanted, e, 0.6, Estimator(b), seed(f"one {b}"), profile))


@pytest.mark.statements("ext-rl.c")
def test_weights(ledger, profile, seed):
    id = "ext-rl.c"
    total, squared = printed(id).args
    holds = True
    for k in (1, 2, 3):
        parts = [
            squared.rhs.function.subs({nt.k: k, nt.i: i, nt.j: j}).doit() for i in range(k) for j in range(k)
        ]
        found = predict.lowered(sp.Add(*parts))
        holds = holds and found is not None and found.equals(pg.jacobian_squared(k))
    ledger.record(id, symbolic(holds, "‖J‖² in words, general d, k = 1, 2, 3", kind="derivation"))
    holds = True
    for d, n, k in SIZES:
        at, b = rational_policy(d, n, k, R(2, 3), with_W=False), R(1, 5)
        size = predict.jacobian_squared(printed(id), at.V, covariance(at.X), at.w_star, k)
        given = {pg.SQUARED: frobenius_squared(at.error), pg.J_SQUARED: size}
        given |= {pg.SLOPE_SQUARED: frobenius_squared(at.gradient), pg.b: b}
        lam = predict.factor(printed("ext-rl.b"))
        found = total.rhs.xreplace({pg.factor: lam}).xreplace(given).subs({pg.sigma: at.sigma, nt.d: d})
        holds = holds and size == frobenius_squared(at.jacobian)
        holds = holds and sp.simplify(at.spread(constant(b)) - found) == 0
    ledger.record(id, symbolic(holds, "full model, Gaussian moments, (d,n,k) = (1,2,3), (2,1,2), (2,3,1)"))
    for k, d in ((1, 3), (2, 2), (3, 2)):
        one = check.policy(AT, k, 0.7, d=d)
        ledger.record(id, exactly.spread_at_nodes(predict.spread_of(one), (0.0, -1.5), one))
    stated = predict.spread_of(drawn := check.policy(AT, 2, 0.7))
    ledger.record(id, check.spread(stated, (0.0, -1.5), drawn, seed("weights draws"), profile))


@pytest.mark.statements("ext-rl.d")
def test_best_baseline(ledger, profile, seed):
    id = "ext-rl.d"
    (_, named, reward), saved = printed(id).args[0].args, printed(id).args[1]
    best = pg.best
    star, shift = printed("ext-rl.b").args[1].rhs, sp.Symbol("h")
    mean, offset = nt.Expectation(pg._R), sp.Symbol("m")
    told = lower_scalar(reward.xreplace({mean: offset}) - offset) + pg.expected_reward()
    same = told.equals(lower_scalar(star)) and reward.coeff(mean) == 1 and named == pg.best
    cost = pg.covariance(lower_scalar(star) + shift) - pg.covariance(lower_scalar(star))
    wanted = saved.rhs.xreplace({pg.J_SQUARED: sp.Integer(1)}).subs(pg.b, best + shift)
    vertex = cost.equals(identity(nt.d) * wanted)
    ledger.record(
        id,
        symbolic(same and vertex, "the covariance at b_* + h, least at h = 0; general d", kind="derivation"),
    )
    at = rational_policy(2, 2, 2, R(2, 3), with_W=False)
    square, b = frobenius_squared(at.error), sp.Symbol("b")
    given = {pg.SQUARED: square, pg.sigma: at.sigma, nt.d: 2}
    parabola = sp.Poly(sp.expand(at.spread(constant(b))), b)
    vertex = sp.solve(parabola.diff(), b) == [star.xreplace(given).subs(given)]
    mean_reward = -(square + 2 * at.sigma**2) / 2
    vertex = vertex and star.xreplace(given).subs(given) == reward.xreplace({mean: mean_reward}).subs(given)
    cost = saved.rhs.subs(pg.b, best + 1).xreplace({pg.J_SQUARED: frobenius_squared(at.jacobian)}).subs(given)
    same = sp.simplify(parabola.coeff_monomial(b**2) - cost) == 0
    ledger.record(id, symbolic(bool(vertex and same), "full model, Gaussian moments, (d,n,k) = (2,2,2)"))
    drawn = check.policy(AT, 2, 0.7)
    e = predict.error(drawn)
    mean_reward = -(float(e @ e) + drawn.d * drawn.sigma**2) / 2
    scalars = {pg.sigma: drawn.sigma, best: -(float(e @ e) + (drawn.d + 2) * drawn.sigma**2) / 2}
    vertices = [
        predict.number(side.xreplace({mean: sp.Float(mean_reward)}).subs(scalars)) for side in (named, reward)
    ]
    cost = saved.rhs.xreplace(predict.prompts_of(drawn)[0])
    bend = predict.number(cost.subs(pg.b, best + 1).subs(scalars))
    for one in vertices:
        ledger.record(id, exactly.least_at_nodes((one, bend), drawn))
    ledger.record(id, check.least_baseline((vertices[1], bend), drawn, seed("best draws"), profile))


@pytest.mark.statements("ext-rl.e")
def test_one_baseline_for_all(ledger, profile, seed):
    id = "ext-rl.e"
    a, j, g = (sp.symbols(f"{name}1:3", positive=True) for name in "ajg")
    prompts = [
        {pg.SQUARED: x, pg.J_SQUARED: y, pg.ONE_SLOPE_SQUARED: t} for x, y, t in zip(a, j, g, strict=True)
    ]
    best, least = predict.constant_baseline(printed(id), prompts, {})
    b = pg.b
    lam = predict.factor(printed("ext-rl.b"))
    whole = predict.averaged(nt.Expectation(lam * pg.J_SQUARED + pg.ONE_SLOPE_SQUARED, "t"), prompts, {})
    stationary = sp.simplify(sp.diff(whole, b).subs(b, best)) == 0
    same = sp.simplify(whole.subs(b, best) - least) == 0
    ledger.record(
        id, symbolic(stationary and same, "two prompts, ‖e‖², ‖J‖², ‖∇L‖² as symbols", kind="derivation")
    )
    policies = [rational_policy(2, 2, 2, R(2, 3), with_W=False, key=key) for key in ("", "x")]
    terms = exact_terms(policies)
    best, least = predict.constant_baseline(printed(id), terms, {pg.sigma: R(2, 3), nt.d: 2})
    parabola = sp.Poly(sp.expand(sum(p.spread(constant(b)) for p in policies) / 2), b)
    holds = sp.solve(parabola.diff(), b) == [best] and sp.simplify(parabola.eval(best) - least) == 0
    ledger.record(id, symbolic(bool(holds), "full model, Gaussian moments, two prompts, (d,n,k) = (2,2,2)"))
    drawn = check.policy(AT, 1, 0.7, size=6)
    given = {pg.sigma: drawn.sigma, nt.d: drawn.d}
    found = predict.constant_baseline(printed(id), predict.prompts_of(drawn), given)
    baseline, spread = map(predict.number, found)
    bend = float(predict.terms_of(drawn).jacobian_squared.mean()) / drawn.sigma**2
    ledger.record(id, exactly.least_at_nodes((baseline, bend), drawn))
    # The least itself, at whatever baseline it is.
    ledger.record(id, exactly.least_spread_at_nodes(spread, drawn))
    ledger.record(id, check.spread(lambda _: spread, (baseline,), drawn, seed("shared draws"), profile))
    ledger.record(id, check.least_baseline((baseline, bend), drawn, seed("shared least"), profile))


@pytest.mark.statements("ext-rl.f")
def test_group_mean(ledger, profile, seed):
    id = "ext-rl.f"
    scale, loss = predict.slope_factor(printed(id))
    named = loss == pg.LOSS
    # E[(R_i − R̄)z_i] = (1 − 1/G) E[R_i z_i]: the other rewards do not depend on z_i.
    wanted = pg.first_moment() * (1 - 1 / pg.group)
    derived = wanted.equals(letter(nt.letter_of(pg.e)) * scale)
    ledger.record(id, symbolic(named and derived, "independent actions, general G, d", kind="derivation"))
    holds = True
    for size, shape in ((2, (2, 2, 2)), (3, (1, 2, 3))):
        at = rational_policy(*shape, R(2, 3), with_W=True)
        assert not zero(at.gradient)
        holds = holds and named and zero(at.mean(group_mean, size) - scale.subs(pg.group, size) * at.gradient)
        holds = holds and zero(at.mean(leave_one_out, size) + at.gradient)
    ledger.record(id, symbolic(holds, "full model, W̃ ≠ I, Gaussian moments, G = 2, 3, both baselines"))
    drawn = check.policy(AT, 2, 0.7, with_W=True)
    for kind, factor in (("group", 1.0), ("leave-one-out", 3 / 2)):
        wanted = factor * predict.mean_slope(drawn, printed(id), {pg.group: 3})
        ledger.record(id, exactly.mean_at_nodes(wanted, drawn, Estimator(kind, 3)))
        ledger.record(id, check.expectation(wanted, drawn, Estimator(kind, 3), seed(kind), profile))


@pytest.mark.statements("ext-rl.g")
def test_group_covariance(ledger, profile, seed):
    id = "ext-rl.g"
    whole = printed(id).args[1]
    derived = lower_matrix(whole).equals(pg.leave_one_out_covariance())
    ledger.record(id, symbolic(derived, "Hoeffding's decomposition, general G, d", kind="derivation"))
    holds = True
    for e, size in ((ERRORS[0], 2), (ERRORS[0], 4), (ERRORS[1], 2), (ERRORS[1], 3)):
        given = {pg.group: size, pg.sigma: R(3, 2), nt.d: e.rows}
        found = points.covariance(e, R(3, 2), leave_one_out, size)
        holds = holds and zero(found - value(whole, {**given, pg.e: e}))
    ledger.record(id, symbolic(holds, "moments to order 6, rationals, (d,G) = (1,2), (1,4), (2,2), (2,3)"))
    e = np.array([0.9, -0.4, 0.3])
    for size in (3, 4):
        wanted = predict.in_output(whole, e[:2], {pg.group: size, pg.sigma: 0.8})
        estimator = Estimator("leave-one-out", size)
        ledger.record(id, exactly.covariance_at_nodes(wanted, e[:2], 0.8, estimator))
    for size in (2, 5):
        wanted = predict.in_output(whole, e, {pg.group: size, pg.sigma: 0.8})
        estimator = Estimator("leave-one-out", size)
        ledger.record(id, check.output_covariance(wanted, e, 0.8, estimator, seed(f"loo {size}"), profile))


@pytest.mark.statements("ext-rl.h")
def test_normalised(ledger, seed):
    id = "ext-rl.h"
    scale, objective = predict.slope_factor(printed(id))
    holds = isinstance(objective, nt.Expectation)
    for size in (2, 3, 4):
        # ∇s = ∇s²/(2s), and the estimator is (1/G) Σ (R_i − R̄) z_i/(σs).
        slope, moved = pg.spread_slope(size)
        holds = holds and (slope * (scale / 2)).equals(moved * (1 / pg.sigma))
    ledger.record(id, symbolic(holds, "sample by sample in words, general d, G = 2, 3, 4", kind="derivation"))
    policies = [check.policy(AT, k, sigma, with_W=True, d=3) for k, sigma in PATHS]
    for size in (2, 5):
        ledger.record(id, check.pathwise(predict.normalised_pathwise, policies, size, seed("paths")))
        ledger.record(id, precisely.pathwise(predict.normalised_precisely, policies, size, seed("paths")))


PATHS = ((1, 0.5), (2, 0.2), (3, 1.0))  # (k, σ)


@pytest.mark.statements("ext-rl.i")
def test_pairs(ledger, profile, seed):
    id = "ext-rl.i"
    scale, objective = predict.slope_factor(printed(id))
    e, p, q = letter(nt.letter_of(pg.e)), *(letter(Letter(name, nt.d, 1)) for name in "pq")
    first, second = ((e + (p + q * sign) * (pg.sigma / sp.sqrt(2))).norm2() * R(-1, 2) for sign in (1, -1))
    y = e * sp.sqrt(2) + p * pg.sigma
    holds = (first - second).equals((q.T @ y).trace() * -pg.sigma)
    x = sp.Symbol("x", real=True)
    folded = sp.integrate(2 * x * sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi), (x, 0, sp.oo))  # E|q·ŷ|
    distances = objective.atoms(nt.Frobenius)
    holds = holds and len(distances) == 1
    # s = |R₁ − R₂|/2 = σ|q·y|/2, and y = √2 times the vector of the print.
    for distance in distances:
        vector = lower_matrix(distance.args[0].subs(pg.z, nt.matrix("p", nt.d, 1, "p")))
        holds = holds and (vector * sp.sqrt(2)).equals(y)
    rule = predict.slope_factor(printed("ext-rl.h"))[0]
    holds = holds and sp.simplify(rule * pg.sigma / 2 * folded * sp.sqrt(2) - scale) == 0
    ledger.record(id, symbolic(bool(holds), "R₁ − R₂ = −σ q·(√2e + σp), general d", kind="derivation"))
    for k, sigma in ((2, 1.5), (1, 0.1)):
        drawn = check.policy(AT, k, sigma, with_W=True)
        wanted = predict.pair_slope(drawn, printed(id))
        ledger.record(
            id, check.expectation(wanted, drawn, Estimator("normalised", 2), seed("pairs"), profile)
        )


@pytest.mark.statements("ext-rl.j")
def test_large_groups(ledger, profile, seed):
    id = "ext-rl.j"
    scale, objective = predict.slope_factor(printed(id))
    rule = predict.slope_factor(printed("ext-rl.h"))[0]
    # c f = c_h √Var R, squared.
    square = predict.lowered((scale * objective) ** 2)
    holds = square is not None and square.equals(pg.reward_variance() * rule**2)
    holds = holds and (scale / rule).subs(pg.sigma, 1) > 0
    ledger.record(
        id, symbolic(bool(holds), "Var R = σ²‖e‖² + dσ⁴/2, s_G → √Var R; general d", kind="derivation")
    )
    ledger.record(id, symbolic(opposite_slopes(objective), "two prompts, d = k = 1: slopes 1/4 and −1/2"))
    drawn = check.policy(AT, 2, 1.5, with_W=True)
    wanted = predict.large_group_slope(drawn, printed(id))
    ledger.record(id, exactly.mean_at_nodes(wanted, drawn, Estimator("none"), many=True))
    ledger.record(
        id,
        check.expectation(
            wanted, drawn, Estimator("normalised", 32), seed("large"), profile, 6e-2, limit=True
        ),
    )


def opposite_slopes(objective):
    """Slopes of L_OS and of the mean of ``objective`` at Ṽ = −1/2, (S, w*) = (1, 2), (3, 1), σ → 0."""
    v, total, other = sp.Symbol("v"), 0, 0
    for S, w in ((1, 2), (3, 1)):
        square = ((1 + v * S) * w) ** 2
        total += square / 4  # 1/(2B)
        other += objective.xreplace({pg.SQUARED: square}).subs({pg.sigma: 0, nt.d: 1}) / 2
    slopes = [sp.diff(f, v).subs(v, R(-1, 2)) for f in (total, other)]
    return slopes == [R(1, 4), R(-1, 2)]


@pytest.mark.statements("ext-rl.k")
def test_evaluations(ledger, profile, seed):
    id = "ext-rl.k"
    a, j, g, s = sp.symbols("a j g s", positive=True)
    prompt = {pg.SQUARED: a, pg.J_SQUARED: j, pg.ONE_SLOPE_SQUARED: g}
    ratio = predict.evaluations(printed(id), [prompt], {pg.SLOPE_SQUARED: s}, {}, pg.group)
    # The trace of JᵀCJ with the printed C: I gives ‖J‖², eeᵀ gives ‖∇L_τ‖².
    pairs = [part.as_coeff_matrices() for part in printed("ext-rl.g").args[1].args]
    spread = sum(f.xreplace({pg.SQUARED: a}) * (j if matrices == [nt.I] else g) for f, matrices in pairs)
    holds = len(pairs) == 2 and sp.simplify(pg.group * (1 + spread / (g - s)) - ratio) == 0
    ledger.record(id, symbolic(bool(holds), "total variance, ext-rl.g through J", kind="derivation"))
    holds = True
    for d, n, k, size in ((1, 2, 2, 3), (2, 2, 1, 2)):
        policies = [rational_policy(d, n, k, R(2, 3), with_W=False, key=key) for key in ("", "y")]
        terms = exact_terms(policies)
        slopes = [p.gradient for p in policies]
        apart = frobenius_squared(slopes[0] - slopes[1]) / 4
        total = sum(p.spread(leave_one_out, size) for p in policies) / 2 + apart
        middle = frobenius_squared((slopes[0] + slopes[1]) / 2)
        whole, scalars = {pg.SLOPE_SQUARED: middle}, {pg.sigma: R(2, 3), nt.d: d}
        found = predict.evaluations(printed(id), terms, whole, scalars, size)
        holds = holds and sp.simplify(size * total / apart - found) == 0
    ledger.record(
        id, symbolic(bool(holds), "full model, Gaussian moments, two prompts, (d,G) = (1,3), (2,2)")
    )
    drawn = check.policy(AT, 2, 0.5, size=16)
    few = check.policy(AT, 2, 0.5, size=3)
    rewards = lambda size: predict.evaluations_of(few, size)  # noqa: E731
    ledger.record(id, exactly.evaluations_at_nodes(rewards, (3, 4), few))
    wanted = predict.evaluations_of(drawn, 4)
    ledger.record(id, check.rewards_per_outcome(wanted, drawn, 4, seed("evaluations draws"), profile, 8e-2))
    excess = lambda at, size: predict.evaluations_of(at, size) / size  # noqa: E731
    ledger.record(id, check.trained(excess, 4, seed("descent"), profile))


@pytest.mark.statements("ext-rl.l")
def test_best_group(ledger, profile, seed):
    id = "ext-rl.l"
    least, best = (display.rhs for display in printed(id).args)
    v, s, w, e = (letter(nt.letter_of(x)) for x in (nt.V, nt.S, nt.w_star, pg.e))
    read = (s @ w).norm2()
    holds = pg.jacobian_squared(1).equals(read * nt.d)
    slope = ((s @ w) @ e.T).T * -1  # ∇ of e·ŵ_1 = −e·ṼSw* in Ṽ
    holds = holds and (e.T @ v @ s @ w).trace().gradient(nt.letter_of(nt.V)).equals(slope * -1)
    holds = holds and slope.norm2().equals(read * e.norm2())
    a, r = sp.symbols("a r", positive=True)
    prompt = {pg.SQUARED: a, pg.J_SQUARED: nt.d * r, pg.ONE_SLOPE_SQUARED: a * r}
    ratio = predict.evaluations(printed("ext-rl.k"), [prompt], {pg.SLOPE_SQUARED: 0}, {}, pg.group)
    small = sp.simplify(sp.limit(ratio, pg.sigma, 0))
    real = sp.Symbol("x", positive=True)
    small = small.subs(pg.group, real)
    holds = holds and sp.simplify(small - real - (nt.d + 1) * real / (real - 1)) == 0
    holds = holds and sp.simplify(sp.diff(small, real).subs(real, best)) == 0
    holds = holds and sp.simplify(small.subs(real, best) - least) == 0
    ledger.record(
        id,
        symbolic(
            bool(holds),
            "‖J‖² = d‖Sw*‖², ‖∇L‖² = ‖e‖²‖Sw*‖² in words; G + (d+1)G/(G−1) is convex",
            kind="derivation",
        ),
    )
    # d = 3: the best group is of three, and one outcome is worth nine rewards.
    goal = lambda d: (predict.number(least.subs(nt.d, d)), predict.number(best.subs(nt.d, d)))  # noqa: E731
    ats = [check.trainable(7, 1, 6, 6, 1e-4, d=d) for d in (1, 2)]
    ledger.record(id, exactly.best_group_at_nodes(goal, ats))
    size, wanted = int(best.subs(nt.d, 3)), float(least.subs(nt.d, 3))
    drawn = check.trainable(7, 1, 6, 24, 1e-3, d=3)
    ledger.record(id, check.rewards_per_outcome(wanted, drawn, size, seed("best group"), profile))
