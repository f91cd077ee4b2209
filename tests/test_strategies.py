"""The strategies draw what they say, each kind of it, and shrink to something small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import find, given, settings
from hypothesis import strategies as st

from verify import strategies
from verify.checks.points import Point
from verify.strategies import KINDS, commutator, covariances, haar, model_points, sizes, spectra

FIND = settings(derandomize=True, database=None, deadline=None, max_examples=200)
EPS = float(np.finfo(float).eps)


def drawn(strategy: st.SearchStrategy[Any], count: int = 300) -> list[Any]:
    """What hypothesis draws, the same in every run."""
    found: list[Any] = []

    @settings(derandomize=True, database=None, deadline=None, max_examples=count)
    @given(strategy)
    def collect(one: Any) -> None:
        found.append(one)

    collect()
    return found


# Spectra -------------------------------------------------------------------------------------------

IS: dict[str, Callable[[list[Fraction]], bool]] = {
    "distinct": lambda x: len({*x}) == len(x) and min(x) >= 1 and max(x) <= 4,
    "tied": lambda x: len({*x}) < len(x) and min(x) >= 1,
    "singular": lambda x: 0 in x and max(x) >= 1,
    "nearly singular": lambda x: 0 < min(x) <= Fraction(1, 2**20) and max(x) >= 1,
    "wide": lambda x: min(x) >= Fraction(1, 1024) and max(x) <= 1024,
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), d=st.integers(2, 6))
def test_each_kind_is_what_it_says(kind: str, data: st.DataObject, d: int) -> None:
    levels = data.draw(spectra(d, kind))
    assert len(levels) == d
    assert IS[kind](levels)
    assert all(Fraction(float(level)) == level for level in levels)


def test_all_kinds_are_drawn() -> None:
    """At d = 4 without a kind: each at least one time in twenty, and the extremes within them."""
    found = drawn(spectra(4))
    for kind, holds in IS.items():
        assert sum(map(holds, found)) >= len(found) / 20, kind
    ranks = Counter(sum(level > 0 for level in levels) for levels in found)
    assert {1, 2, 3, 4} <= ranks.keys()
    assert any(len({*levels}) == 1 for levels in found)  # a multiple of the identity
    assert any(min(x) and max(x) / min(x) >= 2**35 for x in found)
    assert any(max(x) / min(x) >= 2**15 for x in drawn(spectra(4, "wide")))
    assert any(levels != sorted(levels) for levels in found)


@pytest.mark.parametrize(
    ("kind", "simplest"),
    [
        ("distinct", [Fraction(8, 8), Fraction(9, 8), Fraction(10, 8)]),
        ("tied", [Fraction(1)] * 3),
        ("wide", [Fraction(1)] * 3),
    ],
)
def test_spectra_shrink(kind: str, simplest: list[Fraction]) -> None:
    assert sorted(find(spectra(3, kind), lambda _: True, settings=FIND)) == simplest


def test_a_singular_spectrum_in_one_dimension() -> None:
    assert {tuple(x) for x in drawn(spectra(1, "singular"), 20)} == {(0,)}


# Orthogonal factors --------------------------------------------------------------------------------


@given(st.integers(1, 6), strategies.seeds())
def test_orthogonal(d: int, seed: int) -> None:
    Q = haar(d, seed)
    # d Householder reflections, each a sum over d entries (Higham, theorem 19.4: a small multiple of d² eps).
    assert np.abs(Q @ Q.T - np.eye(d)).max() <= 8 * d**2 * EPS


def test_haar_is_uniform() -> None:
    """Over 4000 seeds the means of entries and of their squares lie within 5 standard errors of 0 and 1/d."""
    d, count = 3, 4000
    Q = np.array([haar(d, seed) for seed in range(1, count + 1)])
    assert np.abs(Q.mean(0)).max() < 5 / np.sqrt(d * count)
    # Var Q_ij² = 3/(d(d+2)) − 1/d²
    spread = np.sqrt(3 / (d * (d + 2)) - 1 / d**2)
    assert np.abs((Q**2).mean(0) - 1 / d).max() < 5 * spread / np.sqrt(count)


@given(st.data(), st.integers(1, 4))
def test_rational_orthogonal(data: st.DataObject, d: int) -> None:
    Q = data.draw(strategies.rational_orthogonal(d))
    assert sp.eye(d) == Q * Q.T
    assert all(entry.is_Rational for entry in Q)


def test_orthogonal_factors_shrink_to_the_identity_and_are_others_too() -> None:
    assert find(strategies.rational_orthogonal(3), lambda _: True, settings=FIND) == sp.eye(3)
    assert (find(strategies.orthogonal(3), lambda _: True, settings=FIND) == np.eye(3)).all()
    for strategy in (strategies.rational_orthogonal(3), strategies.orthogonal(3)):
        full = [Q for Q in drawn(strategy, 60) if np.array(Q, dtype=float).all()]
        assert len(full) >= 15


# Covariances ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), d=st.integers(2, 5))
def test_covariances(kind: str, data: st.DataObject, d: int) -> None:
    """Symmetric to the last bit, positive semidefinite to rounding and with the spectrum drawn."""
    levels, Q = data.draw(spectra(d, kind)), data.draw(strategies.orthogonal(d))
    matrix = strategies.from_factors(levels, Q)
    assert (matrix == matrix.T).all()
    values = np.linalg.eigvalsh(matrix)
    # Weyl: eigenvalues move by the norm of the rounding, of Q (d² eps), of two products and of eigvalsh.
    slack = 32 * d**2 * EPS * float(max(levels))
    assert np.abs(values - sorted(map(float, levels))).max() <= slack
    assert values[0] >= -slack
    if kind == "singular":
        assert np.linalg.matrix_rank(matrix, tol=slack, hermitian=True) == sum(x > 0 for x in levels)


@given(st.data(), st.integers(1, 3), st.sampled_from(KINDS))
def test_rational_covariances(data: st.DataObject, d: int, kind: str) -> None:
    root, matrix = data.draw(strategies.rational_covariances(d, kind))
    assert matrix == root * root.T
    assert all(entry.is_Rational for entry in matrix)
    if d > 1:
        assert matrix.rank() < d if kind == "singular" else matrix.rank() == d


def test_a_covariance_shrinks_to_a_diagonal_one() -> None:
    matrix = find(covariances(3, "tied"), lambda _: True, settings=FIND)
    assert (matrix == np.eye(3)).all()
    matrix = find(covariances(3), lambda S: np.trace(S) > 5, settings=FIND)
    assert (matrix == np.diag(np.diag(matrix))).all()


@given(st.data(), st.integers(2, 5))
def test_non_commuting_pairs(data: st.DataObject, d: int) -> None:
    A, B = data.draw(strategies.non_commuting_pairs(d))
    assert commutator(A, B) >= 1e-3
    assert np.linalg.norm(A @ B - B @ A) > 0


def test_non_commuting_pairs_shrink_and_include_singular_ones() -> None:
    A, B = find(strategies.non_commuting_pairs(2), lambda _: True, settings=FIND)
    assert (np.diag(np.diag(A)) == A).all()
    assert np.abs(A).max() <= 4
    assert np.abs(B).max() <= 4
    pairs = drawn(strategies.non_commuting_pairs(3), 100)
    assert sum(np.linalg.matrix_rank(A, hermitian=True) < 3 for A, _ in pairs) >= 10


def test_commutator() -> None:
    assert commutator(np.diag([1.0, 2.0]), np.diag([3.0, 5.0])) == 0
    assert commutator(np.zeros((2, 2)), np.eye(2)) == 0
    # diag(1, 0) and the projector on (1, 1)/√2: AB − BA = [[0, 1], [−1, 0]]/2
    assert commutator(np.diag([1.0, 0.0]), np.full((2, 2), 0.5)) == pytest.approx(0.5**0.5, rel=1e-14)


# Sizes, models -------------------------------------------------------------------------------------


def test_sizes_differ_in_every_order() -> None:
    found = drawn(sizes(5))
    assert all(len({*size}) == 3 and min(size) >= 1 and max(size) <= 5 for size in found)
    orders = Counter(tuple(np.argsort(size).tolist()) for size in found)
    assert len(orders) == 6
    assert min(orders.values()) >= len(found) / 20
    assert sorted(find(sizes(5), lambda _: True, settings=FIND)) == [1, 2, 3]
    assert all(min(size) >= 2 for size in drawn(sizes(6, least=2), 50))


def test_model_points() -> None:
    found: list[Point] = drawn(model_points(least_k=1), 200)
    assert all(len({at.d, at.n, at.prompts.size}) == 3 and 1 <= at.k <= 3 for at in found)
    assert {at.k for at in found} == {1, 2, 3}
    assert any(at.eta == 1 for at in found)
    wide = [at for at in found if at.d > 1]
    # V and W̃ are not symmetric, and V does not commute with S where S is not zero.
    assert all(np.abs(at.V - at.V.T).max() > 0 and np.abs(at.W - at.W.T).max() > 0 for at in wide)
    ranks = [(at.d, at.n, int(np.linalg.matrix_rank(at.S[0], hermitian=True))) for at in wide]
    assert sum(rank < min(d, n) for d, n, rank in ranks) >= 10  # of the covariance, not for want of samples
    assert sum(d > n for d, n, _ in ranks) >= 20
    assert all((np.eye(at.d) == at.W).all() for at in drawn(model_points(identity=True), 20))


def test_a_failing_model_shrinks_to_few_dimensions() -> None:
    at = find(model_points(), lambda p: p.k >= 2 and p.d >= 2, settings=FIND)
    assert (at.d, at.k) == (2, 2)
    assert at.n * at.prompts.size == 3
