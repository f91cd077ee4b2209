"""Published moments of the Wishart distribution, and those of its inverse by routes of their own.

W = nS ~ Wishart(n, Σ).  Letac & Massam, "All invariant moments of the Wishart distribution", Scand. J.
Statist. 31 (2004), print E[W], …, E[W⁴] and E[W⁻¹], E[W⁻²].  The inverse moments are held against means of
polynomials: |W| is the ratio of the densities for n + 2 and n samples, and |W| W⁻¹ = adj W.
"""

from __future__ import annotations

import re
from math import comb, factorial, prod

import numpy as np
import pytest
import sympy as sp
from pairings import LETTERS, d, n, product

from theory import exact
from theory.errors import ArgumentError
from theory.wishart import covariance, expectation, inverse_mean, inverse_quadratic_mean, variance
from theory.words import Letter, Matrix, Scalar, identity, inverse_letter, letter

S, SIGMA, K = LETTERS["S"], LETTERS["G"], LETTERS["K"]
s, sigma, k = product("S"), product("G"), product("K")
A = Letter("A", d, d, symmetric=True)
a = letter(A)
m = sp.Symbol("m", integer=True, positive=True)


def mean(value):
    return expectation(value, S, SIGMA, n)


def published() -> dict[str, tuple]:
    t1, t2, t3, t4 = (sigma.power(p).trace() for p in (1, 2, 3, 4))
    W = s * n
    tr = [W.power(p).trace() for p in range(5)]
    return {
        "W": (W, sigma * n),
        "W²": (W.power(2), sigma.power(2) * (n * (n + 1)) + sigma * t1 * n),
        "W³": (
            W.power(3),
            sigma.power(3) * (n * (n**2 + 3 * n + 4))
            + sigma.power(2) * t1 * (2 * n * (n + 1))
            + sigma * t2 * (n * (n + 1))
            + sigma * t1 * t1 * n,
        ),
        "W⁴": (
            W.power(4),
            sigma.power(4) * (n * (n**3 + 6 * n**2 + 21 * n + 20))
            + (sigma.power(3) * t1 * 3 + sigma * t3) * (n * (n**2 + 3 * n + 4))
            + sigma.power(2) * t2 * (n * (2 * n**2 + 5 * n + 5))
            + (sigma.power(2) * t1 * t1 + sigma * t1 * t2) * (3 * n * (n + 1))
            + sigma * t1 * t1 * t1 * n,
        ),
        "W tr W": (W * tr[1], sigma * t1 * n**2 + sigma.power(2) * (2 * n)),
        "(tr W)²": (tr[1] * tr[1], t1 * t1 * n**2 + t2 * (2 * n)),
        "tr W tr W²": (
            tr[1] * tr[2],
            t1 * t2 * (n**3 + n**2 + 4 * n) + t1 * t1 * t1 * n**2 + t3 * (4 * n * (n + 1)),
        ),
        "tr W⁴": (
            tr[4],
            t4 * (n * (n**3 + 6 * n**2 + 21 * n + 20))
            + t1 * t3 * (4 * n * (n**2 + 3 * n + 4))
            + t2 * t2 * (n * (2 * n**2 + 5 * n + 5))
            + t1 * t1 * t2 * (6 * n * (n + 1))
            + t1 * t1 * t1 * t1 * n,
        ),
    }


PUBLISHED = published()


@pytest.mark.parametrize("name", PUBLISHED)
def test_moments_of_letac_and_massam(name: str) -> None:
    value, printed = PUBLISHED[name]
    assert mean(value).terms == printed.terms


@pytest.mark.parametrize(
    ("order", "printed"),
    [
        (1, n * d),
        (2, n * d * (n + d + 1)),
        (3, n * d * (n**2 + d**2 + 3 * n * d + 3 * n + 3 * d + 4)),
        (4, n * d * (n**3 + 6 * n**2 * d + 6 * n * d**2 + d**3 + 6 * n**2 + 17 * n * d + 6 * d**2)
            + n * d * (21 * n + 21 * d + 20)),
    ],
)  # fmt: skip
def test_white_traces_are_symmetric_in_samples_and_dimensions(order: int, printed: sp.Expr) -> None:
    # At Σ = I the traces of (XXᵀ)^p and (XᵀX)^p are the same, with n and d exchanged.
    white = mean((s * n).power(order).trace()).subs({SIGMA: identity(d)})
    assert list(white.terms) == [()]
    assert sp.expand(white.terms[()] - printed) == 0
    assert sp.expand(printed - printed.subs({n: d, d: n}, simultaneous=True)) == 0


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_powers_of_a_linear_trace_have_the_cumulants_of_chi_squares(order: int) -> None:
    # tr(A W) is a sum of n independent λ_i χ²: its cumulants are 2^{r−1} (r−1)! n tr((AΣ)^r).
    kappa = [
        (a @ sigma).power(r).trace() * (2 ** (r - 1) * factorial(r - 1) * n) for r in range(1, order + 1)
    ]
    moments = [identity(1).trace()]
    for r in range(1, order + 1):
        moments.append(sum((kappa[i - 1] * moments[r - i] * comb(r - 1, i - 1) for i in range(2, r + 1)),
                           start=kappa[0] * moments[r - 1]))  # fmt: skip
    power = (a @ s).trace() * n
    value = power
    for _ in range(order - 1):
        value = value * power
    assert mean(value).terms == moments[order].terms


def test_variance_of_a_linear_trace() -> None:
    assert variance((a @ s).trace(), S, SIGMA, n).terms == ((a @ sigma).power(2).trace() * (2 / n)).terms
    skew = (k @ sigma).power(2).trace() + (k @ sigma @ k.T @ sigma).trace()
    assert variance((k @ s).trace(), S, SIGMA, n).terms == (skew * (1 / n)).terms
    both = (k @ sigma @ a @ sigma).trace() * (2 / n)
    assert covariance((k @ s).trace(), (a @ s).trace(), S, SIGMA, n).terms == both.terms


@pytest.mark.parametrize("size", [1, 2])
def test_covariance_of_traces_is_that_of_the_definition(size: int) -> None:
    root = sp.Matrix([[1, 2], [-1, 3]])
    X, normals = exact.normal_prompt(root, size)
    at = exact.covariance(X)
    f, g = at.trace(), (at * at).trace()
    direct = exact.gaussian_mean(f * g, normals) - sp.prod(exact.gaussian_mean(x, normals) for x in (f, g))
    found = covariance(s.trace(), (s @ s).trace(), S, SIGMA, n)
    assert found.subs({SIGMA: root * root.T, n: size}) == direct
    assert found.equals(covariance((s @ s).trace(), s.trace(), S, SIGMA, n))
    assert variance(s.trace() * 2 + 1, S, SIGMA, n).equals(variance(s.trace(), S, SIGMA, n) * 4)


COVARIANCE = sp.Matrix([[2, 1, -1], [1, 3, 1], [-1, 1, 4]])
FIXED = sp.Matrix([[1, -2, 3], [4, 0, -1], [2, 5, -3]])  # neither symmetric nor antisymmetric


def sized(dim: int) -> tuple[Letter, Letter]:
    """Σ and K as letters of a known size, for which existence can be decided."""
    return Letter("Sigma", dim, dim, symmetric=True), Letter("K", dim, dim)


def adjugate(M: Matrix, dim: int) -> tuple[Matrix, Scalar]:
    """(adj M, |M|) of a dim × dim matrix by Cayley and Hamilton, as words."""
    t1, t2, t3 = (M.power(p).trace() for p in (1, 2, 3))
    half = (t1 * t1 - t2) * sp.Rational(1, 2)
    if dim == 1:
        return identity(d), t1
    if dim == 2:
        return identity(d) * t1 - M, half
    return M.power(2) - M * t1 + identity(d) * half, (t1 * half * 2 - t1 * t2 * 2 + t3 * 2) * sp.Rational(
        1, 6
    )


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_inverse_moments_are_those_of_the_adjugate(dim: int) -> None:
    # E_{n+2}[g(W)] = E_n[|W| g(W)] / E_n[|W|], E_{n+4} the same with |W|²; E_n[|W|] > 0 if n ≥ d.
    cov, fixed = COVARIANCE[:dim, :dim], FIXED[:dim, :dim]
    adj, det = adjugate(s * n, dim)
    once, twice, weight, weight2 = (mean(x) for x in (adj, adj @ k @ adj, det, det * det))
    Sigma, M = sized(dim)
    for size in (dim, dim + 1, dim + 4):
        at = {SIGMA: cov, K: fixed, n: size}
        # |W| is |Σ| times a product of independent χ² of n, n − 1, … degrees of freedom: the route itself.
        degrees = [size - i for i in range(dim)]
        assert weight.subs(at) == cov.det() * prod(degrees)
        assert weight2.subs(at) == cov.det() ** 2 * prod(f * (f + 2) for f in degrees)
        inverse = inverse_mean(Sigma, size + 2).subs({Sigma: cov})
        assert inverse == once.subs(at) * (size + 2) / weight.subs(at)
        quadratic = inverse_quadratic_mean(letter(M), Sigma, size + 4).subs({Sigma: cov, M: fixed})
        assert quadratic == twice.subs(at) * (size + 4) ** 2 / weight2.subs(at)


def test_antisymmetric_matrices_need_fewer_samples() -> None:
    # W⁻¹JW⁻¹ = J / |W| for 2 × 2, W⁻¹[v]W⁻¹ = [Wv] / |W| for the cross product [v] with v: one |W| is enough.
    def cross(v: sp.Matrix) -> sp.Matrix:
        return sp.Matrix(3, 3, [0, -v[2], v[1], v[2], 0, -v[0], -v[1], v[0], 0])

    v = sp.Matrix([2, -1, 3])
    for dim, turn in ((2, sp.Matrix([[0, 1], [-1, 0]])), (3, cross(v))):
        Sigma, M = sized(dim)
        cov = COVARIANCE[:dim, :dim]
        for size in (dim, dim + 3):
            weight = cov.det() * prod(size - i for i in range(dim))
            expected = turn if dim == 2 else cross(size * cov * v)
            half = letter(M) - letter(M).T
            found = inverse_quadratic_mean(half, Sigma, size + 2).subs({Sigma: cov, M: turn / 2})
            assert found == expected * (size + 2) ** 2 / weight
        with pytest.raises(ArgumentError, match=rf"^n={dim + 1}: "):
            inverse_quadratic_mean(half, Sigma, dim + 1)


def test_inverse_moments_of_one_dimension_are_those_of_chi_squares() -> None:
    one, x = Letter("Sigma", 1, 1, symmetric=True), sp.Rational(5, 3)
    for size in (5, 6, 11):
        half = sp.Rational(size, 2)
        first, second = (sp.gamma(half - r) / sp.gamma(half) * (size / (2 * x)) ** r for r in (1, 2))
        assert inverse_mean(one, size).subs({one: sp.Matrix([[x]])})[0] == first
        assert inverse_quadratic_mean(identity(1), one, size).subs({one: sp.Matrix([[x]])})[0] == second


def test_inverse_moments_of_letac_and_massam() -> None:
    size, inverse = d + 3 + m, letter(inverse_letter(SIGMA))
    q = size - d
    printed = (inverse @ inverse * (q - 1) + inverse * inverse.trace()) * (1 / (q * (q - 1) * (q - 3)))
    assert inverse_quadratic_mean(identity(d), SIGMA, size).equals(printed * size**2)
    assert inverse_mean(SIGMA, size).equals(inverse * (size / (q - 1)))
    assert inverse_quadratic_mean(k, SIGMA, size).T.equals(inverse_quadratic_mean(k.T, SIGMA, size))


def test_inverse_quadratic_mean_against_samples() -> None:
    # n > d + 15: S⁻¹ has eighth moments, so that the standard errors have a variance themselves.  Five of
    # them are exceeded by one of nine entries with probability below 1e-5.
    dim, size, draws = 3, 20, 200_000
    Sigma, M = sized(dim)
    at = {Sigma: np.array(COVARIANCE.tolist(), dtype=float), M: np.array(FIXED.tolist(), dtype=float)}
    X = np.random.default_rng(20).standard_normal((draws, size, dim)) @ np.linalg.cholesky(at[Sigma]).T
    drawn = np.linalg.inv(np.swapaxes(X, 1, 2) @ X / size)
    drawn = drawn @ at[M] @ drawn
    error = drawn.std(axis=0) / np.sqrt(draws)

    def errors_off(value: Matrix) -> float:
        return float(np.abs((drawn.mean(axis=0) - value.subs(at)) / error).max())

    inverse = letter(inverse_letter(Sigma))
    right = inverse_quadratic_mean(letter(M), Sigma, size)
    assert errors_off(right) < 5
    unit = sp.Rational(size**2, (size - dim) * (size - dim - 1) * (size - dim - 3))
    for wrong in (
        right + inverse @ letter(M) @ inverse * unit,  # n − d − 1 for n − d − 2
        right - inverse @ letter(M).T @ inverse * unit,
        right - inverse * (letter(M) @ inverse).trace() * unit,
        inverse_quadratic_mean(letter(M).T, Sigma, size),
        right * sp.Rational(size - dim - 3, size - dim - 2),
    ):
        assert errors_off(wrong) > 5


@pytest.mark.parametrize(
    ("size", "dim", "exists"),
    [
        (4, 3, 0), (5, 3, 1), (6, 3, 1), (7, 3, 2), (3, 1, 1), (5, 1, 2),
        (d, d, 0), (d + 1, d, 0), (d + 2, d, 1), (d + 3, d, 1), (d + 4, d, 2),
        (d + 1 + m, d, 1), (d + 3 + m, d, 2), (n, d, 0), (n, 3, 0), (8, d, 0),
    ],
)  # fmt: skip
def test_inverse_moments_that_do_not_exist_are_refused(size, dim, exists: int) -> None:
    Sigma = Letter("Sigma", dim, dim, symmetric=True)
    makers = [lambda: inverse_mean(Sigma, size), lambda: inverse_quadratic_mean(identity(dim), Sigma, size)]
    for number, make in enumerate(makers, start=1):
        if number <= exists:
            assert all(c.is_positive for c in map(sp.factor, make().terms.values()))
            continue
        with pytest.raises(ArgumentError) as raised:
            make()
        assert re.match(
            rf"n={re.escape(str(size))}: E\[S⁻¹.* (does|may) not exist: must have n > d", str(raised.value)
        )
        assert "\n" not in str(raised.value)


def test_fixed_matrix_of_another_shape_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^M is d × 3: must be d × d$"):
        inverse_quadratic_mean(letter(Letter("M", d, 3)), SIGMA, d + 4)
