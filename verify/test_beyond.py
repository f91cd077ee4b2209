"""Beyond the paper's assumptions, features and one or two steps: evidence for ``theory/beyond.py``."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import sympy as sp

from theory import beyond, exact
from theory import beyond_words as words
from theory import notation as nt
from theory.kstep import c
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.words.poly import letter, substitute
from verify import beyond_oracle as oracle
from verify.checks import beyond as check
from verify.checks.points import rational
from verify.checks.run import exact as symbolic
from verify.surface import value

R = sp.Rational


def _law(id):
    return registry()[id].printed.rhs


def _at(form, **more):
    """A law of E[SMS] at numbers, floats or rationals."""
    names = {
        "L": beyond.L,
        "M": words.M,
        "Sigma": nt.Sigma,
        "n": nt.n,
        "kurtosis": beyond.kurtosis,
        "theta": words.theta,
        "overlap": words.overlap,
    }
    return value(form, {names[name]: one for name, one in more.items()})


@pytest.mark.statements("ext-beyond.a")
def test_entries(ledger, profile, seed):
    id, form = "ext-beyond.a", _law("ext-beyond.a")
    N, k4 = words.symbols(4), beyond.kurtosis
    stated = _at(form, L=sp.eye(4), M=N, Sigma=sp.eye(4), n=nt.n, kurtosis=k4)
    derived = (1 - 1 / nt.n) * N + words.entries_moment(4, k4) / nt.n
    same = (stated - derived).applyfunc(sp.expand) == sp.zeros(4)
    turned = _turned(form)
    ledger.record(
        id,
        symbolic(
            same and turned,
            "all patterns of four indices at d = 4, x = Lz by change of variables: general d, n",
            kind="derivation",
        ),
    )
    holds = True
    for values, kurtosis, (d, n) in (
        (oracle.SIGNS, -2, (2, 2)),
        (oracle.THREE, 1, (2, 2)),
        (oracle.SIGNS, -2, (3, 1)),
    ):
        root, M = rational(d, d, f"by{d}{n}"), rational(d, d, f"bm{d}{n}")
        found = oracle.second_moment_of_entries(values, root, M, n)
        holds = holds and found == _at(form, L=root, M=M, Sigma=root * root.T, n=n, kurtosis=kurtosis)
    ledger.record(
        id, symbolic(holds, "enumeration of ±1 and of 0, ±2 (κ = 1), (d,n) = (2,2), (3,1), asymmetric root")
    )
    for law in ("rademacher", "student_entries"):
        ledger.record(id, check.second_moment(partial(_at, form), law, seed(law), profile))


def _turned(form):
    """The law of x = Lz is L (law of z at LᵀML) Lᵀ."""
    L, M = rational(3, 3, "turn L"), rational(3, 3, "turn M")
    at = {"n": 2, "kurtosis": 5}
    whole = _at(form, L=L, M=M, Sigma=L * L.T, **at)
    inner = _at(form, L=sp.eye(3), M=L.T * M * L, Sigma=sp.eye(3), **at)
    return whole == L * inner * L.T


@pytest.mark.statements("ext-beyond.b", "ext-beyond.c")
def test_elliptical_and_correlated(ledger, profile, seed):
    derived = {"ext-beyond.b": words.elliptical_mean, "ext-beyond.c": words.autocorrelated_mean}
    for id, mean in derived.items():
        same = lower_matrix(_law(id)).equals(mean(letter(words.ANY)))
        ledger.record(id, symbolic(same, "from pairs of columns, general d, n, M, Σ", kind="derivation"))
    root, M = rational(2, 2, "radii"), rational(2, 2, "radii M")
    one, two = oracle.second_moment_of_radii(root, M, 1), oracle.second_moment_of_radii(root, M, 2)
    at = {"M": M, "Sigma": root * root.T}
    holds = all(x == _at(_law("ext-beyond.b"), n=n, theta=R(3, 2), **at) for n, x in ((1, one), (2, two)))
    ledger.record("ext-beyond.b", symbolic(holds, "g = 1/2, 2 enumerated, Gaussian moments, d = 2, n = 1, 2"))
    factor = sp.Matrix([[1, 0], [R(3, 5), R(4, 5)]])
    found = oracle.second_moment_of_pairs(root, M, factor)
    stated = _at(_law("ext-beyond.c"), n=2, overlap=exact.frobenius_squared(factor * factor.T), **at)
    ledger.record("ext-beyond.c", symbolic(found == stated, "Gaussian moments, C_12 = 3/5, d = n = 2"))
    laws = {"ext-beyond.b": ("two_radii", "student"), "ext-beyond.c": ("autocorrelated",)}
    for id, names in laws.items():
        for law in names:
            ledger.record(id, check.second_moment(partial(_at, _law(id)), law, seed(law), profile))


# One step -------------------------------------------------------------------------------------------

POINT = {"root": rational(2, 2, "one root"), "tasks": rational(2, 2, "one tasks"), "sigma": R(3, 2)}


def _values(n, form):
    """What a form of one step asks for at :data:`POINT`; the means that it names, by enumeration of signs."""
    root, tasks = POINT["root"], POINT["tasks"]
    known = {nt.Sigma: root * root.T, words.Lambda: tasks * tasks.T, words.sigma: POINT["sigma"], nt.n: n}
    return known | means_of_signs(form, nt.Sigma_hat, n)


def means_of_signs(form, S, n):
    """The means of functions of ``S`` and Λ in a form, each at features of signs, at :data:`POINT`."""
    Lambda = POINT["tasks"] * POINT["tasks"].T

    def mean(argument):
        inside = lambda at: sp.Matrix(value(argument, {S: at, words.Lambda: Lambda}))  # noqa: E731
        return oracle.mean_over_entries(oracle.SIGNS, POINT["root"], inside, n)

    return {named: mean(named.args[0]) for named in form.atoms(nt.MatrixExpectation)}


ENTRIES = sp.symbols("v:4")  # of a Ṽ at d = 2


@cache
def _risk_polynomial(n):
    miss = lambda prompt: oracle.squared_miss(sp.Matrix(2, 2, ENTRIES), prompt, 1)  # noqa: E731
    return sp.expand(oracle.population(miss, POINT["root"], POINT["tasks"], POINT["sigma"], n))


def _risk(V, n):
    """E‖ŵ_1 − w*‖² by enumeration of signs."""
    return _risk_polynomial(n).subs(dict(zip(ENTRIES, V, strict=True)))


@pytest.mark.statements("ext-beyond.d")
def test_one_step_risk(ledger, profile, seed):
    id = "ext-beyond.d"
    general, gaussian = registry()[id].printed.args
    S = nt.S
    drawn = {mean: mean.args[0].xreplace({nt.Sigma_hat: S}) for mean in general.atoms(nt.MatrixExpectation)}
    given_S = general.args[1].xreplace(drawn).xreplace({nt.Sigma: S})
    before = words.with_root(lower_scalar(given_S)).equals(words.noisy_risk(1, mean_of_S=False))
    after = words.with_root(lower_scalar(gaussian.rhs)).equals(words.noisy_risk(1))
    ledger.record(
        id,
        symbolic(
            before and after, "block product with a noisy label row, general d, n, Ṽ, Σ, Λ", kind="derivation"
        ),
    )
    V, holds = rational(2, 2, "one V"), True
    for n in (1, 2):
        stated = value(general.args[1], _values(n, general.args[1]) | {nt.V: V})
        holds = holds and stated == _risk(V, n)
    ledger.record(
        id, symbolic(holds, "full model, ±1 in features, tasks and noise enumerated, d = 2, n = 1, 2")
    )
    prediction = lambda at, V: value(gaussian.rhs, _symbols(at) | {nt.V: V})  # noqa: E731
    ledger.record(id, check.one_step_risk(prediction, seed("risk"), profile))
    whole = lambda at, V: value(general.args[1], at_signs(general, at) | {nt.V: V})  # noqa: E731
    ledger.record(id, check.one_step_risk(whole, seed("signs"), profile, [signs(1), signs(2)]))


def _symbols(at):
    """A setting of the checks, by symbol."""
    return {nt.Sigma: at.Sigma, words.Lambda: at.Lambda, words.sigma: at.sigma, nt.n: at.n}


def signs(n):
    """The setting of :data:`POINT`: z = L⁻¹x of signs: means of functions of S are finite sums."""
    root, tasks = (np.array(POINT[name].tolist(), dtype=float) for name in ("root", "tasks"))
    return check.Noisy(root, tasks, float(POINT["sigma"]), n, "rademacher")


def at_signs(form, at, S=nt.Sigma_hat):
    """:func:`_symbols` of a setting of :func:`signs`, and the means that ``form`` names."""
    means = means_of_signs(form, S, at.n)
    return _symbols(at) | {name: np.array(mean.tolist(), dtype=float) for name, mean in means.items()}


@pytest.mark.statements("ext-beyond.e")
def test_pretrained(ledger, profile, seed):
    id = "ext-beyond.e"
    chain, equal = registry()[id].printed.args
    general, gaussian = chain.args[1], equal.rhs
    half = words.noisy_risk(1).gradient(words.V) * R(1, 2)
    # Both forms are −(…)·D⁻¹ times what is left of it; the gradient is V D′ + ΛΣ.
    mean = words.gaussian_mean(lower_matrix(words.Lambda))
    named, inverted = general.atoms(nt.MatrixExpectation), general.args[-1].arg
    whole = inverted.xreplace(dict.fromkeys(named, nt.A))
    bracket = substitute(lower_matrix(whole), {nt.letter_of(nt.A): mean})
    first = named == {beyond.SECOND} and _is_slope(half, bracket)
    first = first and general == -words.Lambda * nt.Sigma * sp.Inverse(inverted)
    inverses, second = gaussian.atoms(sp.Inverse) - {words.Lambda.I}, False
    if len(inverses) == 1 and gaussian == -(inverse := inverses.pop()):
        tasks = lower_matrix(words.Lambda) @ lower_matrix(nt.Sigma)
        second = _is_slope(half, lower_matrix(inverse.arg) @ tasks)
    ledger.record(id, symbolic(first and second, "slope zero, general d, n, Σ, Λ", kind="derivation"))
    holds = True
    for n in (1, 2):
        V = value(general, _values(n, general))
        holds = holds and oracle.slope(partial(_risk, n=n), V) == sp.zeros(2)
    ledger.record(id, symbolic(holds, "full model, signs enumerated: no slope, d = 2, n = 1, 2"))
    ledger.record(id, check.pretrained(lambda at: value(gaussian, _symbols(at)), seed("start"), profile))
    whole = lambda at: value(general, at_signs(general, at))  # noqa: E731
    ledger.record(id, check.pretrained(whole, seed("signs"), profile, signs(2)))


def _is_slope(half, bracket):
    """Whether ½∇ is Ṽ · bracket + ΛΣ."""
    stated = letter(words.V) @ bracket + lower_matrix(words.Lambda) @ lower_matrix(nt.Sigma)
    return words.with_root(stated).equals(half)


@pytest.mark.statements("ext-beyond.k")
def test_two_steps(ledger, profile, seed):
    id = "ext-beyond.k"
    form = registry()[id].printed.rhs
    holds, s = True, sp.Symbol("s", positive=True)
    for d, n in ((1, 1), (1, 2), (1, 3), (2, 1)):
        X, normals = exact.normal_prompt(sp.eye(d), n)
        u, noise = sp.Matrix(sp.symbols(f"u:{d}")), sp.Matrix(sp.symbols(f"e:{n}"))
        miss = oracle.squared_miss(-c * sp.eye(d), (X, u, s * noise), 2)
        found = exact.gaussian_mean(miss, [*normals, *u, *noise])
        holds = holds and sp.expand(found - form.subs({nt.d: d, nt.n: n, words.sigma: s})) == 0
    ledger.record(id, symbolic(holds, "full model, Gaussian moments, (d,n) = (1,1), (1,2), (1,3), (2,1)"))

    def prediction(d, n, c_value, sigma):
        return float(form.subs({nt.d: d, nt.n: n, c: c_value, words.sigma: sigma}))

    ledger.record(id, check.two_steps(prediction, seed("two steps"), profile))


@pytest.mark.statements("ext-beyond.l")
def test_tail(ledger, seed):
    id = "ext-beyond.l"
    exponent = registry()[id].printed.args[3]
    x, nu = sp.symbols("x nu", positive=True)
    # d = n = 1: P(|x| > s) has −log P/log s → ν, and (1 − cx²)^{2k} > t from s of order t^{1/4k} on.
    density = (1 + x**2 / nu) ** (-(nu + 1) / 2)
    index = sp.limit(sp.log(density.subs(nu, 6)) / sp.log(x), x, sp.oo) + 1
    loss = sp.limit(sp.log((1 - x**2) ** 4) / sp.log(x), x, sp.oo)  # k = 2
    holds = sp.simplify(index / loss - exponent.subs({beyond.nu: 6, nt.k: 2})) == 0
    ledger.record(id, symbolic(bool(holds), "d = n = 1, ν = 6, k = 2, exponents of density and loss"))
    prediction = lambda nu, k: float(exponent.subs({beyond.nu: nu, nt.k: k}))  # noqa: E731
    ledger.record(id, check.tail(prediction, seed("tail")))
    assert np.isfinite(prediction(6, 2))
