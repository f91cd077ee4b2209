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
from verify.checks import precision_policy as precisely
from verify.checks.points import rational
from verify.checks.run import exact as symbolic

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
    assert loss == nt.Label(nt.L_OS, nt.V, nt.W)
    error = letter(nt.letter_of(pg.e))
    derived = pg.first_moment().equals(error * scale)
    ledger.record(id, symbolic(derived, "E[(R − b)z]/σ ∝ e, then Jᵀ; general d", kind="derivation"))
    holds = True
    for d, n, k in SIZES:
        at = rational_policy(d, n, k, R(2, 3), with_W=True)
        assert not zero(at.gradient)
        holds = holds and zero(at.mean(constant(R(1, 5))) - scale * at.gradient)
    ledger.record(
        id, symbolic(holds, "full model, W̃ ≠ I, Gaussian moments, (d,n,k) = (1,2,3), (2,1,2), (2,3,1)")
    )
    for k, baseline in ((2, "none"), (3, -1.0)):
        drawn = check.policy(AT, k, 0.7, with_W=True)
        wanted = float(scale) * predict.outcome_slope(drawn)
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
            holds = holds and zero(points.covariance(e, R(3, 2), constant(b)) - exact_output(whole, e, given))
    ledger.record(id, symbolic(holds, "moments to order 6, rationals, d = 1, 2, with and without baseline"))
    e = np.array([0.9, -0.4, 0.3])
    for b in (0.0, -2.0):
        wanted = predict.in_output(whole, e, {pg.b: b, pg.sigma: 0.6})
        ledger.record(id, check.output_covariance(wanted, e, 0.6, Estimator(b), seed(f"one {b}"), profile))


def exact_output(expression, e, given):
    """A printed covariance in rationals."""
    inner = {pg.SQUARED: frobenius_squared(e)}
    total = sp.zeros(e.rows)
    for part in expression.args:
        coefficient, (*factors,) = part.as_coeff_matrices()
        value = coefficient.xreplace(inner).subs(given)
        total += value * (sp.eye(e.rows) if factors == [nt.I] else e * e.T)
    return total


@pytest.mark.statements("ext-rl.c")
def test_weights(ledger, profile, seed):
    id = "ext-rl.c"
    total, squared = printed(id).args
    holds = True
    for k in (1, 2, 3):
        parts = [
            squared.rhs.function.subs({nt.k: k, nt.i: i, nt.j: j}).doit() for i in range(k) for j in range(k)
        ]
        holds = holds and lower_scalar(sp.Add(*parts)).equals(pg.jacobian_squared(k))
    ledger.record(id, symbolic(holds, "‖J‖² in words, general d, k = 1, 2, 3", kind="derivation"))
    holds = True
    for d, n, k in SIZES:
        at, b = rational_policy(d, n, k, R(2, 3), with_W=False), R(1, 5)
        size = predict.jacobian_squared(printed(id), at.V, covariance(at.X), at.w_star, k)
        given = {pg.SQUARED: frobenius_squared(at.error), pg.J_SQUARED: size}
        given |= {pg.SLOPE_SQUARED: frobenius_squared(at.gradient), pg.b: b}
        lam = predict.factor(printed("ext-rl.b"))
        value = total.rhs.xreplace({pg.factor: lam}).xreplace(given).subs({pg.sigma: at.sigma, nt.d: d})
        holds = holds and size == frobenius_squared(at.jacobian)
        holds = holds and sp.simplify(at.spread(constant(b)) - value) == 0
    ledger.record(id, symbolic(holds, "full model, Gaussian moments, (d,n,k) = (1,2,3), (2,1,2), (2,3,1)"))
    drawn = check.policy(AT, 2, 0.7)
    ledger.record(id, check.spread(spread_of(drawn), (0.0, -1.5), drawn, seed("weights draws"), profile))


def spread_of(at):
    """b ↦ the printed spread on a policy's one prompt."""
    total = printed("ext-rl.c").args[0].rhs.xreplace({pg.factor: predict.factor(printed("ext-rl.b"))})
    V, S, w = (sp.Matrix(x) for x in (at.V, at.S[0], at.w_star[0]))
    slope, e = predict.outcome_slope(at), predict.error(at)
    given = {
        pg.J_SQUARED: predict.jacobian_squared(printed("ext-rl.c"), V, S, w, at.k),
        pg.SLOPE_SQUARED: float((slope**2).sum()),
        pg.SQUARED: float(e @ e),
    }
    here = total.xreplace(given).subs({pg.sigma: at.sigma, nt.d: at.d})
    return lambda b: float(here.subs(pg.b, b))


@pytest.mark.statements("ext-rl.d")
def test_best_baseline(ledger, profile, seed):
    id = "ext-rl.d"
    (_, best, reward), saved = printed(id).args[0].args, printed(id).args[1]
    star, shift = printed("ext-rl.b").args[1].rhs, sp.Symbol("h")
    (mean,) = reward.atoms(nt.Expectation)
    offset = lower_scalar(reward - mean)
    same = (pg.expected_reward() + offset).equals(lower_scalar(star))
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
    wanted = float(reward.xreplace({mean: sp.Float(mean_reward)}).subs(pg.sigma, drawn.sigma))
    cost = saved.rhs.subs(pg.b, best + 1).xreplace(predict.of_prompts(predict.terms_of(drawn))[0])
    bend = float(cost.subs(pg.sigma, drawn.sigma))
    ledger.record(id, check.least_baseline((wanted, bend), drawn, seed("best draws"), profile))


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
    of_drawn = predict.of_prompts(predict.terms_of(drawn))
    baseline, spread = map(float, predict.constant_baseline(printed(id), of_drawn, given))
    ledger.record(id, check.spread(lambda _: spread, (baseline,), drawn, seed("shared draws"), profile))
    cost = float(predict.terms_of(drawn).jacobian_squared.mean()) / drawn.sigma**2
    ledger.record(id, check.least_baseline((baseline, cost), drawn, seed("shared least"), profile))


@pytest.mark.statements("ext-rl.f")
def test_group_mean(ledger, profile, seed):
    id = "ext-rl.f"
    scale, loss = predict.slope_factor(printed(id))
    assert loss == pg.LOSS
    # E[(R_i − R̄)z_i] = (1 − 1/G) E[R_i z_i]: the other rewards do not depend on z_i.
    wanted = pg.first_moment() * (1 - 1 / pg.group)
    derived = wanted.equals(letter(nt.letter_of(pg.e)) * scale)
    ledger.record(id, symbolic(derived, "independent actions, general G, d", kind="derivation"))
    holds = True
    for size, shape in ((2, (2, 2, 2)), (3, (1, 2, 3))):
        at = rational_policy(*shape, R(2, 3), with_W=True)
        assert not zero(at.gradient)
        holds = holds and zero(at.mean(group_mean, size) - scale.subs(pg.group, size) * at.gradient)
        holds = holds and zero(at.mean(leave_one_out, size) + at.gradient)
    ledger.record(id, symbolic(holds, "full model, W̃ ≠ I, Gaussian moments, G = 2, 3, both baselines"))
    drawn = check.policy(AT, 2, 0.7, with_W=True)
    for kind, factor in (("group", 1.0), ("leave-one-out", 3 / 2)):
        wanted = factor * float(scale.subs(pg.group, 3)) * predict.outcome_slope(drawn)
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
        value = points.covariance(e, R(3, 2), leave_one_out, size)
        holds = holds and zero(value - exact_output(whole, e, given))
    ledger.record(id, symbolic(holds, "moments to order 6, rationals, (d,G) = (1,2), (1,4), (2,2), (2,3)"))
    e = np.array([0.9, -0.4, 0.3])
    for size in (2, 5):
        wanted = predict.in_output(whole, e, {pg.group: size, pg.sigma: 0.8})
        estimator = Estimator("leave-one-out", size)
        ledger.record(id, check.output_covariance(wanted, e, 0.8, estimator, seed(f"loo {size}"), profile))


@pytest.mark.statements("ext-rl.h")
def test_normalised(ledger, seed):
    id = "ext-rl.h"
    scale, objective = predict.slope_factor(printed(id))
    assert isinstance(objective, nt.Expectation)
    holds = True
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
    (distance,) = objective.atoms(nt.Frobenius)
    vector = lower_matrix(distance.args[0].subs(pg.z, nt.matrix("p", nt.d, 1, "p")))
    # s = |R₁ − R₂|/2 = σ|q·y|/2, and y = √2 times the vector of the print.
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
    holds = lower_scalar((scale * objective) ** 2).equals(pg.reward_variance() * rule**2)
    holds = holds and (scale / rule).subs(pg.sigma, 1) > 0
    ledger.record(
        id, symbolic(bool(holds), "Var R = σ²‖e‖² + dσ⁴/2, s_G → √Var R; general d", kind="derivation")
    )
    ledger.record(id, symbolic(opposite_slopes(objective), "two prompts, d = k = 1: slopes 1/4 and −1/2"))
    drawn = check.policy(AT, 2, 1.5, with_W=True)
    wanted = predict.large_group_slope(drawn, printed(id))
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
    ratio = predict.evaluations(printed(id), [prompt], s, {}, pg.group)
    # The trace of JᵀCJ with the printed C: I gives ‖J‖², eeᵀ gives ‖∇L_τ‖².
    coefficients = {str(f): c for p in printed("ext-rl.g").args[1].args for c, f in [parts(p)]}
    spread = sum(c.xreplace({pg.SQUARED: a}) * (j if "I" in f else g) for f, c in coefficients.items())
    holds = len(coefficients) == 2 and sp.simplify(pg.group * (1 + spread / (g - s)) - ratio) == 0
    ledger.record(id, symbolic(bool(holds), "total variance, ext-rl.g through J", kind="derivation"))
    holds = True
    for d, n, k, size in ((1, 2, 2, 3), (2, 2, 1, 2)):
        policies = [rational_policy(d, n, k, R(2, 3), with_W=False, key=key) for key in ("", "y")]
        terms = exact_terms(policies)
        slopes = [p.gradient for p in policies]
        apart = frobenius_squared(slopes[0] - slopes[1]) / 4
        total = sum(p.spread(leave_one_out, size) for p in policies) / 2 + apart
        middle = frobenius_squared((slopes[0] + slopes[1]) / 2)
        value = predict.evaluations(printed(id), terms, middle, {pg.sigma: R(2, 3), nt.d: d}, size)
        holds = holds and sp.simplify(size * total / apart - value) == 0
    ledger.record(
        id, symbolic(bool(holds), "full model, Gaussian moments, two prompts, (d,G) = (1,3), (2,2)")
    )
    drawn = check.policy(AT, 2, 0.5, size=16)
    wanted = predict.evaluations_of(drawn, 4)
    ledger.record(id, check.rewards_per_outcome(wanted, drawn, 4, seed("evaluations draws"), profile, 8e-2))
    excess = lambda at, size: predict.evaluations_of(at, size) / size  # noqa: E731
    ledger.record(id, check.trained(excess, 4, seed("descent"), profile))


def parts(part):
    coefficient, factors = part.as_coeff_matrices()
    return coefficient, tuple(map(str, factors))


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
    ratio = predict.evaluations(printed("ext-rl.k"), [prompt], 0, {}, pg.group)
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
    size, wanted = int(best.subs(nt.d, 3)), float(least.subs(nt.d, 3))
    drawn = check.trainable(7, 1, 6, 24, 1e-3, d=3)
    ledger.record(id, check.rewards_per_outcome(wanted, drawn, size, seed("best group"), profile))
