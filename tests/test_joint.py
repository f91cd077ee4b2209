"""The population loss with both blocks free and its minimiser, as functions to be called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory import joint
from theory import notation as nt
from theory.errors import ArgumentError
from theory.joint import joint_minimiser, population_loss, population_loss_expr, population_loss_gradient_expr
from theory.population import population_limit
from theory.words.evaluate import evaluate

Array = NDArray[np.float64]
V, W, A = (nt.letter_of(m) for m in (nt.V, nt.W, nt.A))
TURN = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]


def at_limit(A: Array, n: int, eta: float, k: int) -> float:
    limit = population_limit(A, n, eta, np.eye(len(A)))
    return population_loss(limit, np.eye(len(A)), A, n, eta, k)


# Computed apart from this package: eigenvalues, n, η, k; those of Ṽ and W̃, the loss.
KNOWN: list[tuple[Any, ...]] = [
    (
        (1, 2), 1, 0.5, 1,
        (-0.100124562263, -0.0713661581825),
        (0.756557706353, 1.12075341035), 0.236161029233783,
    ),
    (
        (1, 2, 4), 5, 0.3, 3,
        (-0.112085218817, -0.0779615623032, -0.0496425345535),
        (0.536248688961, 0.923119154909, 1.18011609751), 0.117229361646734,
    ),
    ((0.1, 1, 10), 3, 0.3, 3, None, (-5.24290135, -0.32414249, 1.18005863), 0.170407372160879),
]  # fmt: skip


@pytest.mark.parametrize(("spectrum", "n", "eta", "k", "in_V", "in_W", "loss"), KNOWN)
def test_known_minimisers(spectrum, n, eta, k, in_V, in_W, loss):
    turn = TURN if len(spectrum) == 3 else np.linalg.qr(TURN[:2, :2])[0]
    A = turn @ np.diag(spectrum) @ turn.T
    found = joint_minimiser((A + A.T) / 2, n, eta, k)
    assert found.loss == pytest.approx(loss, rel=1e-12)
    assert found.gradient_norm < 1e-13
    assert turn.T @ found.W @ turn == pytest.approx(np.diag(in_W), abs=1e-8)
    if in_V is not None:
        assert turn.T @ found.V @ turn == pytest.approx(np.diag(in_V), abs=1e-11)
    assert found.loss < at_limit(A, n, eta, k)


def test_gains():
    for spectrum, n, eta, k, _, _, loss in KNOWN[1:]:
        gain = 1 - loss / at_limit(np.diag(np.array(spectrum, float)), n, eta, k)
        assert gain == pytest.approx({5: 0.02357, 3: 0.06340}[n], abs=1e-5)


def test_a_worse_local_minimum():
    """Ṽ with a wrong sign: stationary, curved upwards, and above the minimum that is found."""
    A, n, eta, k = np.diag([0.1, 1.0, 10.0]), 3, 0.3, 3
    scalars = {nt.n: n, nt.eta: eta, **joint.path_sums(eta, k)}
    start = np.concatenate(
        [np.diag(x).ravel() for x in ((0.07546, -0.05197, -0.01675), (9.002, -0.552, 1.113))]
    )

    def slope(x: Array) -> Array:
        blocks = dict(zip((V, W), x.reshape(2, 3, 3), strict=True))
        slopes = [
            evaluate(g, {**blocks, nt.letter_of(nt.A): A}, scalars) for g in population_loss_gradient_expr()
        ]
        return np.concatenate([g.ravel() for g in slopes])

    at = scipy.optimize.root(slope, start, tol=1e-13).x
    assert at == pytest.approx(start, abs=1e-3)
    curvature = np.array([(slope(at + h) - slope(at - h)) / 2e-4 for h in 1e-4 * np.eye(18)])
    assert np.linalg.eigvalsh((curvature + curvature.T) / 2).min() > 0
    loss = population_loss(*at.reshape(2, 3, 3), A, n, eta, k)
    assert loss == pytest.approx(0.178142, abs=1e-6)
    assert joint_minimiser(A, n, eta, k).loss < loss


def reduced(logs: Array, spectrum: Array, n: int, beta: float) -> float:
    """(4) of the note, from scratch, at μ = exp(logs)."""
    mu = np.exp(logs - logs.max())
    b = (n + 1) / n * spectrum + spectrum.sum() / n
    ratio = np.sqrt(spectrum * mu).sum() ** 2 / (b @ mu)
    return float(len(spectrum) - (1 - beta) * ratio - beta * (mu / ((n + 1) / n * mu + mu.sum() / n)).sum())


@given(
    st.integers(0, 2**32), st.sampled_from([1, 3, 20]), st.sampled_from([0.02, 0.3, 0.97]), st.integers(1, 20)
)
@settings(max_examples=25)
def test_no_other_start_does_better(seed, n, eta, k):
    """The reduced problem from random starts: the alternation is not stuck in a minimum of its own."""
    source = np.random.default_rng(seed)
    spectrum = np.exp(source.normal(size=source.integers(2, 6)) * source.choice([0.3, 1, 3]))
    sums = joint.path_sums(eta, k)
    beta = (sums[joint.s1] - sums[joint.s2]) ** 2 / (sums[joint.s2] * sums[nt.c_k])
    starts = source.normal(size=(6, len(spectrum))) * 3
    least = min(scipy.optimize.minimize(reduced, x, (spectrum, n, beta)).fun for x in starts)
    found = joint_minimiser(np.diag(spectrum), n, eta, k)
    assert found.loss <= eta**2 * sums[nt.c_k] / 2 * least * (1 + 1e-9)
    assert (np.diag(found.V) < 0).all()


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_dense_blocks_are_never_below(seed):
    """Of the blocks near the minimiser and far from it, none has less loss, and diagonal ones have less."""
    source = np.random.default_rng(seed)
    A = np.diag([0.3, 1.0, 4.0])
    found = joint_minimiser(A, 2, 0.4, 2)
    size = 10.0 ** source.integers(-4, 1)
    blocks = [M + size * source.normal(size=(3, 3)) for M in (found.V, found.W)]
    assert population_loss(*blocks, A, 2, 0.4, 2) >= found.loss


@pytest.mark.parametrize(("eta", "k"), [(0.4, 0), (1.0, 3)])
def test_stays_at_identity_where_W_does_not_pull(eta, k):
    A = TURN @ np.diag([0.5, 1.0, 3.0]) @ TURN.T
    A = (A + A.T) / 2
    found = joint_minimiser(A, 3, eta, k)
    np.testing.assert_allclose(found.W, np.eye(3), rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.V, population_limit(A, 3, eta, np.eye(3)), rtol=0, atol=1e-14)


def test_equal_eigenvalues_of_a_singular_covariance():
    """(Ṽ_∞, I) on the range; off it Ṽ is 0 and W̃ is I, and the loss does not see either."""
    d, r, n, eta, k = 3, 2, 4, 0.3, 2
    A = 1.5 * TURN[:, :2] @ TURN[:, :2].T
    A = (A + A.T) / 2
    found = joint_minimiser(A, n, eta, k)
    c_k = joint.path_sums(eta, k)[nt.c_k]
    assert found.loss == pytest.approx(eta**2 * c_k / 2 * (d - r * n / (n + r + 1)), rel=1e-13)
    np.testing.assert_allclose(found.W, np.eye(3), rtol=0, atol=1e-12)
    off = np.outer(TURN[:, 2], TURN[:, 2])
    assert found.V @ off == pytest.approx(np.zeros((3, 3)), abs=1e-14)
    moved = population_loss(found.V + off, found.W + off @ TURN, A, n, eta, k)
    assert moved == pytest.approx(found.loss, rel=1e-13)


def test_no_features():
    found = joint_minimiser(np.zeros((2, 2)), 3, 0.5, 2)
    assert not found.V.any()
    np.testing.assert_array_equal(found.W, np.eye(2))
    assert found.loss == pytest.approx(0.25 * (1 + 1 / 4 + 1 / 16))


@pytest.mark.parametrize(
    ("spectrum", "n", "eta", "k"),
    [
        ((1e-3, 1.0, 5.0), 2, 0.3, 4),
        ((1e-10, 1.0, 5.0), 2, 0.3, 4),
        ((1.3e-10, 3.3e-5, 3.6e-3, 1.0), 10**7, 1e-4, 10),  # 60 000 turns without the extrapolation
    ],
)
def test_wide_spectra(spectrum, n, eta, k):
    """Each eigenvalue's equations hold to the rounding of their own terms."""
    A = np.diag(spectrum)
    found, sums = joint_minimiser(A, n, eta, k), joint.path_sums(eta, k)
    blocks, scalars = {V: found.V, W: found.W, nt.letter_of(nt.A): A}, {nt.n: n, nt.eta: eta, **sums}
    in_V, in_W = (np.diag(evaluate(g, blocks, scalars)) for g in population_loss_gradient_expr())
    mixed, falling = sums[joint.s1] - sums[joint.s2], sums[joint.s0] - sums[joint.s1]
    in_turn = np.array(spectrum) * eta
    assert np.abs(in_V / in_turn / (falling + mixed * np.abs(np.diag(found.W)))).max() < 1e-9
    assert np.abs(in_W / in_turn / mixed / np.diag(found.V)).max() < 1e-9


def test_expression_at_an_explicit_depth():
    """At k given, a polynomial in η; at any k, in the sums over the path."""
    for k in (0, 1, 3):
        sums = joint.path_sums(nt.eta, k)
        in_sums = joint.in_path_sums(population_loss_expr()).map_coefficients(lambda c, s=sums: c.subs(s))
        assert population_loss_expr(k).equals(in_sums)
        slopes = population_loss_expr(k).gradient(V), population_loss_expr(k).gradient(W)
        assert all(g.equals(f) for g, f in zip(population_loss_gradient_expr(k), slopes, strict=True))
    assert not {joint.s0, joint.s1, joint.s2} & population_loss_expr(3).terms[()].free_symbols


def test_sums_over_the_path():
    assert joint.path_sums(sp.Rational(1, 2), 1) == {
        joint.s0: 2, joint.s1: sp.Rational(1, 2), joint.s2: sp.Rational(1, 4), nt.c_k: sp.Rational(5, 4)
    }  # fmt: skip
    assert joint.path_sums(1.0, 2)[joint.s1] == 2.0


BAD: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n=0: must be an integer of at least 1"),
    ({"k": -1}, "k=-1: must be an integer of at least 0"),
    ({"eta": 0.0}, "eta=0.0: must lie in"),
    ({"eta": 1.5}, "eta=1.5: must lie in"),
    ({"A": np.diag([1.0, -1.0])}, "A has the eigenvalue -1"),
    ({"A": np.ones((2, 3))}, "A has shape"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arguments(change, message):
    good = {"A": np.eye(2), "n": 3, "eta": 0.5, "k": 2}
    with pytest.raises(ArgumentError, match=message) as one:
        joint_minimiser(**{**good, **change})
    with pytest.raises(ArgumentError, match=message) as two:
        population_loss(np.eye(2), np.eye(2), **{**good, **change})
    assert all("\n" not in str(error.value) for error in (one, two))


@pytest.mark.parametrize(
    ("V", "W", "message"),
    [
        (np.eye(3), np.eye(2), "V has shape"),
        (np.eye(2), np.ones(2), "W has shape"),
        (np.eye(2), np.diag([1.0, np.nan]), "W has entries that are not finite"),
    ],
)
def test_bad_blocks(V, W, message):
    with pytest.raises(ArgumentError, match=message):
        population_loss(V, W, np.eye(2), 3, 0.5, 2)
