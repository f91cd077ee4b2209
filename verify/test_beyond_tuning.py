"""Beyond the paper's assumptions, fine-tuning: evidence for ``theory/beyond.py``."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import pytest
import sympy as sp

from theory import beyond, exact
from theory import beyond_words as words
from theory import block_symbols as block
from theory import notation as nt
from theory.beyond_limit import Departure, target_levels
from theory.lower import lower_matrix
from theory.proportional import setting
from theory.statement import registry
from theory.words.poly import letter
from verify import beyond_oracle as oracle
from verify.checks import beyond as moments
from verify.checks import beyond_tuning as check
from verify.checks.points import rational
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_beyond import ENTRIES, POINT, at_signs, means_of_signs, signs

R = sp.Rational
HALF = R(1, 2)
LOUD = replace(signs(2), sigma=4.0)  # noise that weighs as much as the rest
GAMMA0 = sp.Matrix([[2, 1], [1, 3]])


def _prompts(d, n, B, key):
    return [tuple(rational(r, c, f"{key}{t}{(r, c)}") for r, c in ((d, n), (d, 1), (n, 1))) for t in range(B)]


def _tuned(forms, Omega, Phi, Xi, gamma0, levels):
    """A matrix form, or a form and what N in it is, at numbers; ``levels`` are those of the path."""
    k = len(levels) - 2
    values = {nt.Omega: Omega, nt.Phi: Phi, beyond.Xi: Xi, nt.Gamma0: gamma0, nt.k: k}
    values |= {nt.eta: 1 - levels[1], nt.c_k: sum(q**2 for q in levels[:-1]), beyond.b_k: sum(levels[:-1])}
    values |= {beyond.levels_q[i]: q for i, q in enumerate(levels)}
    for symbol, form in forms[1:]:
        values[symbol] = value(form, values)
    return value(forms[0], values)


def _forms(id):
    printed = registry()[id].printed
    if isinstance(printed, nt.Listing):
        first, second = printed.args
        return (first.rhs, (second.lhs, second.rhs))
    return (printed.args[1],)


def _nearest(V, prompts, levels):
    """Whether V has no slope and differs from −Γ₀⁻¹ on the range of what it multiplies alone."""
    d = V.rows
    still = oracle.slope(lambda at: oracle.path_loss(at, sp.eye(d), prompts, levels), V) == sp.zeros(d)
    seen = []  # Ṽ = I reads off what it multiplies
    for X, w, noise in prompts:
        for q in levels[:-1]:
            full = exact.assemble(sp.eye(d), sp.eye(d))
            Z = oracle.embed((X, w, noise), [exact.weight_column((1 - q) * w)])
            seen.append((exact.forward(Z, *full, X.cols) - Z[:, -1])[d + 1 : 2 * d + 1, 0])
    G = sp.Matrix.hstack(*seen)
    off = sp.eye(d) - G * G.pinv()
    return still and ((V + GAMMA0.inv()) * off).applyfunc(sp.simplify) == sp.zeros(d)


def _gradient_in_words(levels_sum):
    """Σ_i R_i g_iᵀ with R = Ṽg + qηω, g = qφ + ξ, from the residual of the model; powers of q summed."""
    q, eta = words.rate, nt.eta
    phi, xi, omega = (letter(nt.letter_of(a)) for a in (nt.Phi, beyond.Xi, nt.Omega))
    residual = letter(words.V) @ (phi * q + xi) + omega * (q * eta)
    total = residual @ (phi * q + xi).T
    return total.map_coefficients(lambda one: sum(one.coeff(q, p) * levels_sum[p] for p in range(3)))


def _model_residual():
    """That R is what the full model has, but for its sign."""
    S, X, star, noise = (letter(a) for a in (words.S, nt.letter_of(nt.X), words.W_STAR, words.NOISE))
    column = S @ star * words.rate + X @ noise * (1 / nt.n)
    stated = letter(words.V) @ column + star * (words.rate * nt.eta)
    return words.supervised_residual().equals(-stated)


@pytest.mark.statements("ext-beyond.f")
def test_noisy_minimiser(ledger, seed):
    id = "ext-beyond.f"
    listed = registry()[id].printed.args
    fixed, inner = listed[0].rhs, listed[1].rhs
    slope = _gradient_in_words({0: nt.k + 1, 1: beyond.b_k, 2: nt.c_k})
    # V N + η(c_kΩΦᵀ + b_kΩΞᵀ): at the print V N = −η(…)N†N, and rows of (…) lie in the range of N.
    plus = nt.Pinv(beyond.N)
    target = sum((p for p in fixed.args if not p.has(nt.Gamma0)), start=sp.ZeroMatrix(nt.d, nt.d))
    left = lower_matrix(target.xreplace({plus: sp.Identity(nt.d)}))
    stated = letter(words.V) @ lower_matrix(inner) - left
    rest = sum((p for p in fixed.args if p.has(nt.Gamma0)), start=sp.ZeroMatrix(nt.d, nt.d))
    off = rest == -nt.Gamma0.I * (nt.I - beyond.N * plus)
    holds = slope.equals(stated) and _model_residual() and off
    ledger.record(
        id,
        symbolic(holds, "normal equations from the model's residual, general d, n, B, k", kind="derivation"),
    )
    right = True
    for n, B, k in ((2, 1, 0), (2, 1, 2), (1, 2, 1), (2, 2, 1)):
        prompts, levels = _prompts(2, n, B, "noisy"), oracle.rates(R(1, 3), k)
        V = _tuned(_forms(id), *oracle.columns_of(prompts), GAMMA0, levels)
        right = right and _nearest(V, prompts, levels)
    ledger.record(
        id, symbolic(right, "full model in rationals: no slope, nearest; d = 2, B = 1, 2, k = 0, 1, 2")
    )
    ones = [(sp.ones(1), sp.ones(1), sp.ones(1))]
    by_hand = []
    for k, at in ((0, R(-1, 4)), (1, R(-11, 50))):
        levels = oracle.rates(HALF, k)
        loss = partial(oracle.path_loss, W=sp.eye(1), prompts=ones, levels=levels)
        stated = _tuned(_forms(id), *oracle.columns_of(ones), sp.eye(1), levels)
        by_hand.append(stated == sp.Matrix([[at]]) and oracle.slope(loss, sp.Matrix([[at]]))[0] == 0)
    ledger.record(id, symbolic(all(by_hand), "d = n = B = 1: −1/4 at k = 0, −11/50 at k = 1"))
    shapes = ((4, 3, 3, 2), (3, 4, 6, 1), (4, 2, 2, 0), (3, 5, 1, 4))
    ledger.record(id, check.minimiser(_at_tuning(id), shapes, 0.8, seed("minimiser")))


def _at_tuning(id):
    return lambda of: _tuned(_forms(id), of.Omega, of.Phi, of.Xi, of.gamma0, of.levels)


@pytest.mark.statements("ext-beyond.g")
def test_few_prompts(ledger, seed):
    id = "ext-beyond.g"
    # For Ξ of full column rank and P = I − ΞΞ†: Ṽ_*Ξ = 0 and Ṽ_*Φ = −ηΩ, so that the loss is zero.
    holds, zero_loss = True, True
    for d, n, B, k in ((2, 2, 1, 1), (4, 2, 2, 2)):
        prompts, levels = _prompts(d, n, B, "few"), oracle.rates(R(1, 3), k)
        gamma0 = sp.eye(d) + sp.ones(d)
        V = _tuned(_forms(id), *oracle.columns_of(prompts), gamma0, levels)
        zero_loss = zero_loss and oracle.path_loss(V, sp.eye(d), prompts, levels) == 0
        _, Phi, Xi = oracle.columns_of(prompts)
        both = sp.Matrix.hstack(Phi, Xi)
        off = sp.eye(d) - both * both.pinv()
        holds = holds and (V + gamma0.inv()) * off == sp.zeros(d)
    ledger.record(
        id,
        symbolic(
            holds and zero_loss, "full model in rationals: zero loss, nearest; (d,B,k) = (2,1,1), (4,2,2)"
        ),
    )
    X = sp.eye(2)
    by_hand = all(
        _tuned(
            _forms(id),
            *oracle.columns_of([(X, sp.Matrix([2, 0]), sp.Matrix([0, 2 * e]))]),
            sp.eye(2),
            oracle.rates(HALF, 1),
        )
        == sp.diag(-1, 0)
        for e in (1, R(1, 1000))
    )
    ledger.record(id, symbolic(by_hand, "d = n = 2, B = 1, noise of size 1 and 1/1000: the same matrix"))
    shapes = ((4, 3, 2, 1), (6, 4, 3, 3), (5, 2, 1, 2))
    for sigma in (1.0, 1e-2):
        ledger.record(id, check.minimiser(_at_tuning(id), shapes, sigma, seed("few")))


@pytest.mark.statements("ext-beyond.h")
def test_other_W(ledger, seed):
    id = "ext-beyond.h"
    W, e = sp.Matrix(registry()[id].printed.rhs), HALF
    prompt, levels = [(sp.eye(2), sp.Matrix([2, 0]), sp.Matrix([0, 2 * e]))], oracle.rates(HALF, 1)
    _, Phi, Xi = oracle.columns_of(prompt)
    # Zero loss: ṼSW̃w* = Ṽ(Sw* + ξ) = −ηw*.  At this W̃ the two are one, and the nearest Ṽ is at e²/(1 + e²).
    seen = Phi + Xi
    V = -sp.eye(2) + sp.Matrix([0, e]) * seen.T / (1 + e**2)
    here = (sp.diag(-1, 0), sp.eye(2))
    zero_loss = all(oracle.path_loss(*at, prompt, levels) == 0 for at in ((V, W), here))
    one = W * Phi == seen
    far, near = (
        exact.frobenius_squared(at[0] + sp.eye(2)) + exact.frobenius_squared(at[1] - sp.eye(2))
        for at in (here, (V, W))
    )
    least = exact.frobenius_squared(W - sp.eye(2)) == e**2  # of W̃e₁ = (1, e)
    holds = zero_loss and one and least and far == 1 and near == R(9, 20)
    ledger.record(
        id, symbolic(holds, "zero loss in rationals, distance² 9/20; 1 at W̃ = I, where Ṽ is singular")
    )
    stated = lambda: np.array(sp.Matrix(registry()[id].printed.rhs).tolist(), dtype=float)  # noqa: E731
    ledger.record(id, check.free_blocks(stated, seed("free")))


@pytest.mark.statements("ext-beyond.i", "ext-beyond.j")
def test_population(ledger, profile, seed):
    id = "ext-beyond.i"
    tends, equal = registry()[id].printed.args
    general = tends.args[3].args[1]
    size = registry()["ext-beyond.j"].printed.rhs
    (norm,) = size.atoms(nt.OperatorNorm)
    curvature = size / norm * norm.args[0]
    # Ṽ N_∞ + ηc_kΛA, where the cross terms in φ and ξ have no mean: the model's slope, and the print's zero.
    inverse = general.args[-1]
    outer = general == -nt.eta * words.Lambda * nt.A * inverse
    same = _same_sum(inverse.arg * nt.c_k, curvature)
    slope = _gradient_in_words({0: nt.k + 1, 1: 0, 2: nt.c_k})
    phi, xi, omega = (lower_matrix(a) for a in (nt.Phi, beyond.Xi, nt.Omega))
    means = letter(words.V) @ (phi @ phi.T * nt.c_k + xi @ xi.T * (nt.k + 1)) + omega @ phi.T * (
        nt.eta * nt.c_k
    )
    holds = outer and same and slope.equals(means) and _model_residual()
    ledger.record(
        id,
        symbolic(
            bool(holds),
            "slope of the model's loss with E φφᵀ = E[SΛS], E ξξᵀ = σ²A/n, E ωφᵀ = ΛA, general d, n, k",
            kind="derivation",
        ),
    )
    holds = True
    for n, k in ((1, 1), (2, 0)):
        at = _population_values(n, k, general, curvature)
        V = value(general, at)
        loss = _population_loss(n, k)
        holds = holds and oracle.slope(loss, V) == sp.zeros(2)
        H = value(curvature, at)
        E = rational(2, 2, "direction")
        bend = loss(E) + loss(-E) - 2 * loss(sp.zeros(2))
        ledger.record(
            "ext-beyond.j",
            symbolic(
                sp.expand(bend - (E * H * E.T).trace()) == 0,
                f"full model, signs enumerated, n = {n}, k = {k}",
            ),
        )
    ledger.record(id, symbolic(holds, "full model, signs enumerated: no slope, (n,k) = (1,1), (2,0)"))
    values = {nt.A: sp.diag(2, 3), nt.n: 3, nt.k: 2, nt.c_k: R(3, 2), words.sigma: R(1, 2), nt.eta: R(1, 3)}
    A = values[nt.A]
    second = R(4, 3) * A**2 + A.trace() * A / 3
    sides = value(equal.lhs, values | {nt.MatrixExpectation(nt.S**2): second}), value(equal.rhs, values)
    ledger.record(id, symbolic(sides[0] == sides[1], "second line, E[S²] of eq-A.wishart2, d = 2"))

    def prediction(at, eta, k):
        return value(general, _of_setting(general, at, eta, k))

    ledger.record(id, moments.population(prediction, seed("population"), profile, at=LOUD))
    alone = lambda at, eta, k: value(equal.rhs, _of_setting(equal.rhs, at, eta, k))  # noqa: E731
    ledger.record(id, moments.population(alone, seed("isotropic"), profile, isotropic=True))
    stated = lambda at, eta, k: value(size, _of_setting(size, at, eta, k))  # noqa: E731
    ledger.record("ext-beyond.j", check.curvature(stated, seed("curvature"), profile, LOUD))


def _same_sum(first, second):
    """Two matrix forms in A and the means that they name, compared by coefficient."""
    parts = {nt.A, *first.atoms(nt.MatrixExpectation), *second.atoms(nt.MatrixExpectation)}
    turn = {part: sp.Dummy() * nt.I for part in parts}
    return lower_matrix((first - second).doit().xreplace(turn).doit()).is_zero()


def _population_values(n, k, *forms):
    root, tasks = POINT["root"], POINT["tasks"]
    levels = oracle.rates(HALF, k)[:-1]
    known = {
        nt.A: root * root.T,
        words.Lambda: tasks * tasks.T,
        words.sigma: POINT["sigma"],
        nt.n: n,
        nt.k: k,
        nt.eta: HALF,
        nt.c_k: sum(q**2 for q in levels),
    }
    for form in forms:
        known |= means_of_signs(form, nt.S, n)
    return known


@cache
def _loss_polynomial(n, k):
    V, levels = sp.Matrix(2, 2, ENTRIES), oracle.rates(HALF, k)
    loss = lambda prompt: oracle.path_loss(V, sp.eye(2), [prompt], levels)  # noqa: E731
    return sp.expand(oracle.population(loss, POINT["root"], POINT["tasks"], POINT["sigma"], n))


def _population_loss(n, k):
    return lambda V: _loss_polynomial(n, k).subs(dict(zip(ENTRIES, V, strict=True)))


def _of_setting(form, at, eta, k):
    """A setting of the checks, by symbol; features of signs where ``form`` names a mean."""
    levels = (1 - eta) ** np.arange(k + 1)
    more = {nt.A: at.Sigma, nt.eta: eta, nt.k: k, nt.c_k: float((levels**2).sum())}
    return at_signs(form, at, nt.S) | more


@pytest.mark.statements("ext-beyond.m")
def test_path(ledger, seed):
    id = "ext-beyond.m"
    (form,) = _forms(id)
    q = [beyond.levels_q[i] for i in range(5)]
    mean_rate = beyond.RATE.subs(nt.k, 3).doit()
    v = sp.Symbol("v")
    loss = sum((v * q[i] + q[i] - q[i + 1]) ** 2 for i in range(4))  # Ṽφ = vω on the range of Φ
    least = sp.solve(sp.diff(loss, v), v)[0]
    holds = sp.simplify(least + mean_rate) == 0 and form.has(beyond.RATE)
    ledger.record(
        id, symbolic(bool(holds), "least squares over the steps at k = 3, general levels", kind="derivation")
    )
    exactly = True
    for n, B, levels in (
        (2, 1, [1, R(2, 3), R(1, 3), 0]),
        (1, 3, [1, R(1, 2), R(3, 4)]),
        (2, 1, oracle.rates(R(1, 3), 2)),
    ):
        prompts = [(X, w, sp.zeros(n, 1)) for X, w, _ in _prompts(2, n, B, "path")]
        V = _tuned(_forms(id), *oracle.columns_of(prompts), GAMMA0, list(levels))
        exactly = exactly and _nearest(V, prompts, list(levels))
    third = beyond.RATE.subs(nt.k, 2).doit().subs(dict(zip(q, [1, R(2, 3), R(1, 3), 0], strict=False)))
    ledger.record(
        id, symbolic(exactly and third == R(3, 7), "full model in rationals, three paths; equal steps: 3/7")
    )
    shapes = ((4, 3, 3, 2), (3, 4, 6, 1), (3, 2, 2, 4))
    path = lambda k: np.cos(np.linspace(0, 1.2, k + 2))  # noqa: E731  any that starts at 1
    ledger.record(id, check.minimiser(_at_tuning(id), shapes, 0.0, seed("path"), path))


@pytest.mark.statements("ext-beyond.n")
def test_proportional_levels(ledger, profile, seed):
    id = "ext-beyond.n"
    form = registry()[id].printed.rhs
    noise, N = sp.symbols("noise N", positive=True)
    gamma, theta, chi = block.aspect, words.theta, beyond.chi
    shares, post, own = (sp.symbols(f"{name}_1:3", positive=True) for name in ("m", "a", "l"))
    families = {block.mu: shares, block.a: post, beyond.tasks: own}
    stated = block.at(form.subs(block.k, 1), families, {beyond.noise_level: sp.sqrt(noise)})
    # On an eigenvector of level a, d = γN, σ² = d·noise; each law alone.
    a, l = post[0], own[0]  # noqa: E741
    spread = gamma * N * sum(x * y * z for x, y, z in zip(shares, post, own, strict=True))  # tr(ΛA)
    laws = {
        (theta, 1): registry()["ext-beyond.b"].printed.rhs,
        (1, chi): registry()["ext-beyond.c"].printed.rhs,
    }
    holds = True
    for (t, x), law in laws.items():
        level = _level(law, a, l, spread).subs({words.overlap: chi * N, nt.n: N}) + gamma * noise * a
        alone = stated.subs({theta: t, chi: x})
        holds = holds and sp.simplify(sp.limit(sp.expand(level), N, sp.oo) - alone) == 0
    both = sp.expand(stated)
    product = both.coeff(theta).coeff(chi) != 0 and both.coeff(theta, 0).coeff(chi) == 0
    product = product and both.coeff(theta).coeff(chi, 0) == 0
    entries = sp.limit((a * l * a * beyond.kurtosis) / N, N, sp.oo) == 0
    ledger.record(
        id,
        symbolic(
            bool(holds and product and entries),
            "limits of ext-beyond.a, b, c on an eigenvector",
            kind="derivation",
        ),
    )
    ledger.record(id, check.column_levels(lambda at: _levels(form, at), seed("levels"), profile))
    at = SimpleNamespace(post=(0.7, 0.2), tasks=(0.4, 1.7), theta=1.5, chi=1.0, aspect=0.5, noise=0.0)
    of = setting(aspect=at.aspect, eta=0.5, weights=(0.5, 0.5), post=at.post, pre=(1, 1), test=(1, 1))
    code = target_levels(of, Departure(shortening=at.theta, tasks=at.tasks))
    used = np.allclose(code, _levels(form, at), rtol=1e-14)
    ledger.record(id, symbolic(used, "the levels that theory.beyond_limit goes on with"))


def _level(law, a, l, trace):  # noqa: E741
    """A law of E[SΛS] on an eigenvector of A and Λ."""
    plain = {words.M: l * nt.I, nt.Sigma: a * nt.I}
    replaced = law.xreplace({sp.Trace(words.M * nt.Sigma): trace}).xreplace(plain)
    return sp.expand(sum(c for (_, word), c in lower_matrix(replaced.doit()).terms.items() if not word))


def _levels(form, at):
    families = {block.mu: (0.5, 0.5), block.a: at.post, beyond.tasks: at.tasks}
    scalars = {words.theta: at.theta, beyond.chi: at.chi, block.aspect: at.aspect}
    scalars |= {beyond.noise_level: at.noise**0.5}
    explicit = block.explicit(form, 2)
    return np.array([float(block.at(explicit.subs(block.k, j), families, scalars)) for j in (1, 2)])
