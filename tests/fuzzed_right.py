"""What the results of the numeric functions of ``theory/`` must satisfy, for the fuzz tests.

The references are exact arithmetic on the floats that were given, or an equation that the result solves.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from theory import (
    joint_loss,
    kstep,
    kstep_value,
    os_fixed_point,
    os_limits,
    population,
    proportional,
    risk_shape,
)
from theory.words.evaluate import evaluate

Exact = np.ndarray  # of Fractions


def exact(value: Any) -> Exact:
    array = np.asarray(value, dtype=float)
    return np.array([Fraction(float(x)) for x in array.flat], dtype=object).reshape(array.shape)


def close(found: Any, wanted: Any, scale: Any = 0, share: float = 1e-9) -> None:
    """``found`` within ``share`` of the wanted size, or of the ``scale`` of terms that cancel in it: the sums
    are short and their conditions below 10⁶, roundings are 10⁻¹⁶."""
    found, wanted = np.asarray(found, dtype=float), np.asarray(wanted)
    assert found.shape == wanted.shape, (found.shape, wanted.shape)
    for a, b in zip(found.flat, wanted.flat, strict=True):
        gap = abs(Fraction(float(a)) - Fraction(b))
        # Parts below the least normal number have no relative precision.
        most = Fraction(share) * max(abs(Fraction(b)), Fraction(scale)) + Fraction(2) ** -1000
        assert gap <= most, f"{a!r} is not {float(b)!r}"


def _one_step(V: Any, Sigma: Any, n: Any) -> tuple[Fraction, Fraction, Fraction]:
    """‖I + VΣ‖², (1/n)(tr(VΣ²Vᵀ) + tr(VΣVᵀ) tr Σ), and the size of what cancels in them."""
    V, Sigma = exact(V), exact(Sigma)
    product = V @ Sigma
    square = sum(x * x for x in product.flat)
    one = len(V) + 2 * np.trace(product) + square
    rest = (square + (product * V).sum() * np.trace(Sigma)) / int(n)
    size = (
        len(V)
        + 2 * sum(abs(x) for x in product.flat)
        + square
        + np.trace(Sigma) * np.abs(product * V).sum() / int(n)
    )
    return one, rest, size


def risk_value(found: float, V: Any, Sigma: Any, n: Any, **_: Any) -> None:
    one, rest, size = _one_step(V, Sigma, n)
    close(found, one + rest, size)


def parts(found: Any, V: Any, Sigma: Any, n: Any) -> None:
    one, rest, size = _one_step(V, Sigma, n)
    close(found[0], one, size)
    close(found[1], rest, size)


@cache
def _words(k: int) -> Any:
    return kstep.k_step_risk_expr(k)


def exact_k_step(V: Any, Sigma: Any, n: Any, k: Any) -> Fraction:
    """The polynomial in plain words in rational arithmetic, where floats take it in centred ones."""
    matrices = {
        kstep.V: np.array(sp.Matrix(exact(V).tolist()).applyfunc(sp.Rational).tolist(), dtype=object),
        kstep.SIGMA: np.array(sp.Matrix(exact(Sigma).tolist()).applyfunc(sp.Rational).tolist(), dtype=object),
    }
    found = evaluate(_words(int(k)), matrices, {kstep.n: sp.Integer(int(n)), kstep.d: len(matrices[kstep.V])})
    return Fraction(int(found.p), int(found.q))


def bound(found: Any, V: Any, Sigma: Any, n: Any, k: Any, **_: Any) -> None:
    gap = abs(Fraction(float(found[0])) - exact_k_step(V, Sigma, n, k))
    assert gap <= Fraction(float(found[1])) + Fraction(2) ** -1000, (found, float(gap))


def k_step(found: Any, V: Any, Sigma: Any, n: Any, k: Any, **_: Any) -> None:
    if int(k) == 1:
        risk_value(found, V, Sigma, n)
    else:
        bounded = kstep_value.k_step_risk_bound(V, Sigma, n, k)
        assert found == bounded[0]
        bound(bounded, V, Sigma, n, k)


def gradient(found: Any, V: Any, Sigma: Any, n: Any, k: Any, **_: Any) -> None:
    """At k = 1 the gradient is 2(VΓ + I)Σ, Γ = (1 + 1/n)Σ + tr Σ/n."""
    k_step(found[0], V, Sigma, n, k)
    if int(k) == 1:
        V, Sigma, n = exact(V), exact(Sigma), int(n)
        inner = Sigma * Fraction(n + 1, n)
        for i in range(len(V)):
            inner[i, i] += np.trace(Sigma) / n
        wanted = 2 * (V @ inner @ Sigma + Sigma)
        size = 2 * (np.abs(V) @ np.abs(inner) @ np.abs(Sigma) + np.abs(Sigma)).max()
        close(found[1], wanted, size)


def gamma0(found: Any, Sigma0: Any, n: Any) -> None:
    Sigma0, n = exact(Sigma0), int(n)
    wanted = Sigma0 * Fraction(n + 1, n)
    for i in range(len(wanted)):
        wanted[i, i] += np.trace(Sigma0) / n
    close(found, wanted, np.abs(wanted).max())


def _inner(A: Any, n: int) -> Exact:
    A = exact(A)
    inner = A * Fraction(n + 1, n)
    for i in range(len(A)):
        inner[i, i] += np.trace(A) / n
    return inner


def one_step_fixed_point(found: Any, A: Any, n: Any, eta: Any) -> None:
    """V ((n+1)/n A + tr(A)/n) = −η, condition at most n + 1 or that of A."""
    product = exact(found) @ _inner(A, int(n))
    identity = np.eye(len(found)) * -float(eta)
    close((product - exact(identity)).astype(float), np.zeros(product.shape), float(eta), 1e-7)


def population_value(found: Any, A: Any, n: Any, eta: Any, gamma0: Any) -> None:
    """Ṽ_∞ M A = −ηA, M = (n+1)/n A + tr(A)/n, for any A; and Γ₀Ṽ_∞ = −1 off the range of A."""
    A = np.asarray(A, dtype=float)
    if not A.any():
        close((exact(gamma0) @ exact(found)).astype(float), -np.eye(len(A)), 1, 1e-7)
        return
    unit = float(np.abs(A).max())
    product = exact(found) @ _inner(A, int(n)) @ exact(A / unit)
    # A singular A and Γ₀ of another scale: the part off the range is only as zero as the projection.
    size = float(eta) + np.abs(found).max() * unit * 1e-3
    close((product + exact(A / unit) * Fraction(float(eta))).astype(float), np.zeros(A.shape), size, 1e-7)


def fine_tuned(found: Any, Omega: Any, Phi: Any, gamma0: Any, eta: Any) -> None:
    """The normal equations V ΦΦᵀ = −η ΩΦᵀ, to the rounding of I − ΦΦ† times Γ₀⁻¹."""
    Omega, Phi, V = exact(Omega), exact(Phi), exact(found)
    gap = (V @ Phi + Fraction(float(eta)) * Omega) @ Phi.T
    initial = Fraction(float(np.abs(np.linalg.inv(np.asarray(gamma0, dtype=float))).max()))
    size = (np.abs(V).max() + initial) * np.abs(Phi).max() ** 2 + np.abs(Omega).max() * np.abs(Phi).max()
    assert np.abs(gap).max() <= Fraction(1e-7) * size * len(V)


def fixed_point(found: Any, A: Any, n: Any, k: Any) -> None:
    # Beyond it rounding of Ṽ moves a risk of order n^{−k} by as much as itself.
    assert found.slope < 1e-6 or int(n) > 10**6
    close(found.risk, kstep_value.k_step_risk(found.V, A, n, k), share=1e-8)


def minimiser(found: Any, A: Any, n: Any, k: Any) -> None:
    fixed_point(found, A, n, k)
    assert found.curvature > -1e-6 or int(n) > 10**6
    assert found.risk <= os_fixed_point.os_fixed_point(A, n, k).risk * (1 + 1e-9)


def loss(found: Any, V: Any, W: Any, A: Any, n: Any, eta: Any, k: Any) -> None:
    """From Ṽ, W̃ to Ṽ/c, A·c: a power of two rounds nothing."""
    again = joint_loss.population_loss(np.asarray(V, float) / 4, W, np.asarray(A, float) * 4, n, eta, k)
    close(found, again, 1 + abs(found))


def joint(found: Any, A: Any, n: Any, eta: Any, k: Any) -> None:
    """Stationary, and no worse than Ṽ_∞ with W̃ = I."""
    size = float(np.linalg.norm(np.asarray(A, dtype=float)))
    assert found.gradient_norm <= 1e-7 * max(size, 1.0)
    if size > 0:
        A = np.asarray(A, float)
        start = population.population_limit(A, n, eta, np.eye(len(A)) * size)
        assert (
            found.loss <= joint_loss.population_loss(start, np.eye(len(A)), A, n, eta, k) * (1 + 1e-7) + 1e-12
        )


def allocation(found: Any, Sigma_U: Any, n: Any, eta: Any) -> None:
    assert -1e-9 <= found.value <= len(found.A)
    if float(eta) < 1e-300:
        return  # A, in proportion to η, is below the normal numbers
    values = np.linalg.eigvalsh(found.A)
    assert values[0] >= -1e-9 * values[-1]
    # From A back to the operator: its norm is the value.
    Sigma_U = np.asarray(Sigma_U, dtype=float)
    if found.feasible:
        M = (n + 1) / n * found.A + np.trace(found.A) / n * np.eye(len(found.A))
        gap = np.eye(len(M)) - float(eta) * np.linalg.inv(M) @ Sigma_U
        assert np.abs(gap).max() < 1e-6


def limit(found: Any, beta: Any, **blocks: Any) -> None:
    """Against the other form of the same limit, ``theory/risk_shape.py``."""
    of = proportional.setting(**blocks)
    if not (of.post[of.weights > 0] > 0).any():
        return  # which A = 0 does not have
    wanted = risk_shape.curve(of).error(beta)
    assert np.shape(found) == np.shape(beta)
    finite = np.isfinite(wanted)
    assert (np.isfinite(found) == finite).all()
    # The terms of the first form cancel where fine-tuning helps much.
    size = 1 + np.max(of.initial**2) * np.max(of.test) ** 2 + np.max(of.regression**2) * np.max(of.test) ** 2
    gap = np.abs(np.where(finite, found, 0) - np.where(finite, wanted, 0))
    assert (gap <= 1e-8 * np.where(finite, np.abs(wanted), 1) + 1e-12 * size).all(), (found, wanted)


def plan(found: Any, of: Any) -> None:
    beta = np.linspace(0.01, 3, 97)
    assert found.best <= np.min(found.error(beta)) * (1 + 1e-9)


def spectrum(found: Any, m: Any, a: Any, steps: Any) -> None:
    """The trace: k(2k−1)a²m^{2k−2} on the diagonal, h²(p + q) of each pair."""
    m, a, k = exact(m), exact(a), int(steps)
    h = lambda i, j: sum(m[i] ** s * m[j] ** (k - 1 - s) for s in range(k))  # noqa: E731
    total = sum(k * (2 * k - 1) * a[i] ** 2 * m[i] ** (2 * k - 2) for i in range(len(m)))
    total += sum(h(i, j) ** 2 * (a[i] ** 2 + a[j] ** 2) for i in range(len(m)) for j in range(i))
    assert found.shape == (len(m) ** 2,)
    close(sum(map(Fraction, found.tolist())), total, sum(map(Fraction, np.abs(found).tolist())), 1e-9)


def terms(found: Any, V: Any, S: Any, w_star: Any, k: Any) -> None:
    V, S, w_star = exact(V), exact(S), exact(w_star)
    for i, w in enumerate(w_star):
        size = Fraction(1)
        for _ in range(int(k)):
            w, size = w + V @ (S[i] @ w), size + (np.abs(V) @ np.abs(S[i])).sum() * max(1, np.abs(w).max())
        close(found.error_squared[i], sum(x * x for x in w), size**2 * len(w))


def contraction(found: Any, lambda_max: Any, lambda_min: Any, step: Any) -> None:
    top, low, g = (Fraction(float(x)) for x in (lambda_max, lambda_min, step))
    close(found, max(abs(1 - g * top), abs(1 - g * low)), 1)


def expression(found: Any, k: Any, **_: Any) -> None:
    assert found.letters() == {kstep.V, kstep.SIGMA}


def isotropic(found: float, steps: Any, dim: Any, length: Any) -> None:
    slope = os_limits.isotropic_stationarity(int(steps))
    at = {os_limits.d: int(dim), os_limits.n: int(length)}
    sides = [
        slope.subs(at).subs(os_limits.c, sp.Rational(found) * (1 + sp.Rational(e, 10**12))) for e in (-1, 1)
    ]
    assert sides[0] < 0 < sides[1]
