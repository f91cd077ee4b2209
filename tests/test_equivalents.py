"""The deterministic equivalents against facts that need no simulation: closed forms, invariances, edges, and
the same roots at sixty digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory.equivalents import equivalents, resolvent_root, root
from verify.checks.equivalents import Ensemble, projected, resolved, transformed
from verify.resolvent_settings import AMPLE, PAST, SCARCE, THREE

Array = NDArray[np.float64]
SHARES = np.array([1e-9, 0.03, 0.4, 0.75, 0.97, 1 - 1e-9])
WIDE = np.array([1e-8, 3e-3, 1.0, 2e5, 1e8])
WEIGHTS = np.array([0.3, 0.1, 0.25, 0.15, 0.2])


def exact_root(beta: float, levels: Array, weights: Array) -> mpmath.mpf:
    """q by bisection of log q at 60 digits, from the float64 inputs taken as exact."""
    with mpmath.workdps(60):
        pairs = [(mpmath.mpf(float(c)), mpmath.mpf(float(mu))) for c, mu in zip(levels, weights, strict=True)]

        def miss(x: mpmath.mpf) -> mpmath.mpf:
            q = mpmath.exp(x)
            return sum(mu * c * q / (1 + c * q) for c, mu in pairs) - mpmath.mpf(float(beta))

        return mpmath.exp(mpmath.findroot(miss, (-120, 120), solver="bisect", tol=1e-50, maxsteps=300))


@pytest.mark.parametrize("levels", [WIDE, WIDE[::-1], np.array([2.0, 0.3, 0.3, 5.0, 1.1])])
def test_root_at_sixty_digits(levels: Array) -> None:
    total = float(WEIGHTS.sum())
    found = equivalents(total * SHARES[:-1], levels, WEIGHTS)
    for j, beta in enumerate(found.beta):
        q = exact_root(beta, levels, WEIGHTS)
        assert found.q[j] == pytest.approx(float(q), rel=1e-12)
        for k, c in enumerate(levels):
            ratio = mpmath.mpf(float(c)) * q
            assert found.w[k, j] == pytest.approx(float(ratio / (1 + ratio)), rel=1e-12)
            assert found.v[k, j] == pytest.approx(float(ratio / (1 + ratio) ** 2), rel=1e-12)


def test_root_near_the_rank() -> None:
    """1 − β is known to 1e-16, so that q is to 1e-7 at 1 − β = 1e-9."""
    beta = SHARES[-1]
    weights = np.array([0.5, 0.5])
    found = root(beta, np.array([2.0, 0.5]), weights)
    assert float(found) == pytest.approx(float(exact_root(beta, np.array([2.0, 0.5]), weights)), rel=1e-6)


def test_one_block() -> None:
    """Π is a uniformly random projection, and Ĝ a Marchenko-Pastur matrix."""
    found = equivalents(SHARES, np.array([4.0]), np.array([1.0]))
    np.testing.assert_allclose(found.w[0], SHARES, rtol=1e-13)
    np.testing.assert_allclose(found.q, SHARES / (1 - SHARES) / 4, rtol=1e-6)
    np.testing.assert_allclose(found.inverse(np.ones(1)), SHARES / (1 - SHARES) / 4, rtol=1e-6)
    above = equivalents([1.5, 3.0], np.array([4.0]), np.array([1.0]))
    np.testing.assert_allclose(above.inverse(np.ones(1)), [1 / 2, 1 / 8], rtol=1e-14)


def test_two_blocks() -> None:
    """(1 − β) c₁c₂q² + (μ₁c₁ + μ₂c₂ − β(c₁ + c₂))q − β = 0 has one positive root."""
    c, mu, beta = np.array([3.0, 0.2]), np.array([0.35, 0.65]), SHARES[1:-1]
    square, middle = (1 - beta) * c.prod(), mu @ c - beta * c.sum()
    expected = (np.sqrt(middle**2 + 4 * square * beta) - middle) / (2 * square)
    np.testing.assert_allclose(root(beta, c, mu), expected, rtol=1e-12)


levels = st.floats(-8, 8).map(lambda x: 10.0**x)
problems = st.integers(1, 5).flatmap(
    lambda K: st.tuples(
        st.lists(levels | st.just(0.0), min_size=K, max_size=K).map(np.array),
        st.lists(st.floats(0.05, 1.0), min_size=K, max_size=K).map(lambda x: np.array(x) / sum(x)),
        st.floats(0.01, 1.6),
        st.lists(st.floats(-2, 2), min_size=K, max_size=K).map(np.array),
    )
)


@settings(max_examples=200)
@given(problems)
def test_a_projection_is_its_own_square(problem: tuple[Array, Array, float, Array]) -> None:
    """tr Π = min(B, rank), and tr(ΠGΠ) = tr(GΠ), for any levels, singular ones too."""
    c, mu, beta, g = problem
    found = equivalents(beta, c, mu)
    ones = np.ones_like(c)
    assert found.linear(ones)[0] == pytest.approx(min(beta, found.rank), rel=1e-12, abs=1e-15)
    scale = float(mu @ np.abs(g))
    assert found.quadratic(ones, g)[0] == pytest.approx(found.linear(g)[0], rel=1e-12, abs=1e-12 * scale)
    assert ((found.w >= 0) & (found.w <= 1)).all()
    assert (found.w[c == 0] == 0).all()


@settings(max_examples=100)
@given(problems, st.floats(0.1, 0.9))
def test_equal_blocks_may_be_split(problem: tuple[Array, Array, float, Array], share: float) -> None:
    """Halves of a block, and blocks of no weight, change nothing."""
    c, mu, beta, g = problem
    split = np.concatenate([c, c, [0.7]]), np.concatenate([share * mu, (1 - share) * mu, [0.0]])
    here, there = equivalents(beta, c, mu), equivalents(beta, *split)
    if abs(beta - here.rank) < 1e-9:
        return
    twice = np.concatenate([g, g, [3.0]])
    scale = float(mu @ np.abs(g)) + 1e-12
    assert there.linear(twice)[0] == pytest.approx(here.linear(g)[0], rel=1e-9, abs=1e-9 * scale)
    assert there.quadratic(twice, twice)[0] == pytest.approx(here.quadratic(g, g)[0], rel=1e-8)
    positive = np.abs(g) + 0.1
    again = np.concatenate([positive, positive, [3.0]])
    assert there.inverse(again)[0] == pytest.approx(here.inverse(positive)[0], rel=1e-6)


def test_scale_of_the_levels() -> None:
    """C → sC leaves Π and divides the pseudo-inverse by s."""
    c, mu, f = np.array([2.0, 0.5, 0.0]), np.array([0.3, 0.3, 0.4]), np.array([1.0, 3.0, 2.0])
    for beta in (0.2, 0.55, 0.9):
        here, there = equivalents(beta, c, mu), equivalents(beta, 1e6 * c, mu)
        np.testing.assert_allclose(there.w, here.w, rtol=1e-13)
        np.testing.assert_allclose(there.inverse(f), here.inverse(f) / 1e6, rtol=1e-12)


def test_few_columns() -> None:
    """β → 0: w_k = βc_k/Σμc and tr(FĜ†)/d = β Σμfc/(Σμc)²."""
    c, mu, f = np.array([2.0, 0.5]), np.array([0.3, 0.7]), np.array([1.0, 3.0])
    found = equivalents([0.0, 1e-9], c, mu)
    np.testing.assert_allclose(found.w[:, 1], 1e-9 * c / (mu @ c), rtol=1e-8)
    np.testing.assert_allclose(found.inverse(f)[1], 1e-9 * (mu @ (f * c)) / (mu @ c) ** 2, rtol=1e-8)
    assert (found.w[:, 0] == 0).all()
    assert found.inverse(f)[0] == 0
    assert found.quadratic(f, f)[0] == 0


def test_at_and_above_the_rank() -> None:
    c, mu, f = np.array([2.0, 0.0, 0.5]), np.array([0.3, 0.4, 0.3]), np.array([1.0, 7.0, 3.0])
    found = equivalents([0.6, 0.61, 5.0], c, mu)
    assert found.rank == pytest.approx(0.6)
    assert (found.w.T == [1, 0, 1]).all()
    assert (found.v == 0).all()
    assert np.isinf(found.inverse(f)[0])
    np.testing.assert_allclose(found.inverse(f)[1:], (0.3 / 2 + 0.9 / 0.5) / np.array([0.01, 4.4]), rtol=1e-9)
    np.testing.assert_allclose(found.quadratic(f, f), 0.3 + 0.3 * 9)


def test_no_levels_at_all() -> None:
    found = equivalents([0.0, 0.5], np.zeros(2), np.array([0.5, 0.5]))
    assert (found.w == 0).all()
    np.testing.assert_array_equal(found.inverse(np.ones(2)), [0, 0])


def test_inverse_trace_is_a_derivative_of_q() -> None:
    """−dq/dt for C(1 + tF), by differences."""
    c, mu, f, step = np.array([2.0, 0.5]), np.array([0.3, 0.7]), np.array([1.0, 3.0]), 1e-5
    beta = np.array([0.2, 0.8])
    change = root(beta, c * (1 + step * f), mu) - root(beta, c * (1 - step * f), mu)
    np.testing.assert_allclose(equivalents(beta, c, mu).inverse(f), -change / (2 * step), rtol=1e-8)


# Resolvents -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [1e-12, 1e-3, 1.0, 1e9])
@pytest.mark.parametrize("beta", [1e-6, 0.4, 1.0, 7.0])
def test_root_of_the_resolvent(beta: float, shift: float) -> None:
    x = shift * np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    b = resolvent_root(beta, WIDE, WEIGHTS, x)
    with mpmath.workdps(60):
        exact = mpmath.findroot(
            lambda b: (
                b
                + sum(
                    float(mu) * b * float(c) / (float(at) + b * float(c))
                    for c, mu, at in zip(WIDE, WEIGHTS, x, strict=True)
                )
                - beta
            ),
            (mpmath.mpf(10) ** -40, beta),
            solver="bisect",
            tol=1e-60,
            maxsteps=400,
        )
    assert b == pytest.approx(float(exact), rel=1e-9)


def test_resolvent_root_near_zero() -> None:
    """b/z tends to q below the rank, b to β − rank above it."""
    c, mu = np.array([2.0, 0.5, 0.0]), np.array([0.3, 0.3, 0.4])
    assert resolvent_root(0.45, c, mu, 1e-9) / 1e-9 == pytest.approx(float(root(0.45, c, mu)), rel=1e-7)
    assert resolvent_root(0.9, c, mu, 1e-9) == pytest.approx(0.3, rel=1e-7)


# The sampler of the checks ----------------------------------------------------------------------------


@pytest.mark.parametrize("at", [SCARCE, AMPLE, THREE, PAST])
def test_traces_are_those_of_the_definition(at: Ensemble) -> None:
    """M† by ``pinv``, resolvents by ``inv``, of the same draws."""
    import torch

    d, size = 32, 3
    M = at.draw(d, size, torch.Generator().manual_seed(7))
    found = projected(at, d, size, torch.Generator().manual_seed(7))
    block = at.blocks(d).numpy()
    D = [np.diag((block == j).astype(float)) for j in range(len(at.levels))]
    for one in range(size):
        m = M[one].numpy()
        gram = m @ m.T / d
        Pi, dagger = m @ np.linalg.pinv(m), np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
        for j, E in enumerate(D):
            assert found.fraction[one, j] == pytest.approx(np.trace(E @ Pi) / E.sum(), abs=1e-9)
            assert found.gram[one, j] == pytest.approx(np.trace(E @ gram) / E.sum())
            assert found.inverse[one, j] == pytest.approx(np.trace(E @ dagger) / d, rel=1e-8, abs=1e-12)
            square = np.trace(E @ dagger @ dagger) / d
            assert found.inverse_square[one, j] == pytest.approx(square, rel=1e-7, abs=1e-12)
            for l, other in enumerate(D):  # noqa: E741
                pair = np.trace(E @ Pi @ other @ Pi) / d
                assert found.pair[one, j, l] == pytest.approx(pair, abs=1e-9)
    if not at.shift:
        return
    R = np.linalg.inv(M[0].numpy() @ M[0].numpy().T / d + np.diag(np.array(at.shift)[block]))
    seen = resolved(at, d, size, torch.Generator().manual_seed(7))
    for j, E in enumerate(D):
        assert seen.resolvent[0, j] == pytest.approx(np.trace(E @ R) / E.sum())
        assert seen.pair[0, 0, j] == pytest.approx(np.trace(D[0] @ R @ E @ R) / d)
    companion = M[0].numpy().T @ M[0].numpy() / d
    transform = np.trace(np.linalg.inv(companion + at.shift[0] * np.eye(len(companion)))) / len(companion)
    assert transformed(at, d, size, torch.Generator().manual_seed(7))[0] == pytest.approx(transform)
