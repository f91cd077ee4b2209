"""Numbers that carry their rounding: the bounds hold for float64, and are no wider than they need be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch

from theory.errors import ArgumentError
from verify.stats import pseudo_inverse_rounds
from verify.stats.bounded import CONTEXT, SECOND_UNIT, UNIT, Bounded, bounded, lift
from verify.stats.bounded_algebra import (
    eigenvalues,
    gram_inverse,
    inverse,
    inverse_slope,
    operator_norm,
    pseudo_inverse,
)
from verify.stats.precision import two_precisions, worst

SEEDS = range(20)


def exactly(x: Bounded) -> Fraction:
    """The value as a fraction."""
    sign, mantissa, exponent, _ = x.value._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** exponent


def shares(floats: np.ndarray, found: np.ndarray) -> list[float]:
    """|float − value|/bound, entry by entry."""
    pairs = zip(np.ravel(floats), np.ravel(found), strict=True)
    return [float(abs(x.value - float(f))) / x.bound(UNIT) for f, x in pairs]


def test_sums_and_products_are_exact_to_170_bits() -> None:
    x, y = bounded(0.1), bounded(3)
    assert exactly(x * y - 0.3) == Fraction(0.1) * 3 - Fraction(0.3)
    assert exactly(bounded(sp.Rational(3, 8))) == Fraction(3, 8)
    third = bounded(sp.Rational(1, 3))
    assert abs(exactly(third) - Fraction(1, 3)) < Fraction(1, 2**171)
    assert (third.depth, x.depth, bounded(sp.Rational(3, 8)).depth) == (1, 0, 0)


def test_depth_counts_the_roundings_of_a_term() -> None:
    x = lift([0.3, -0.7, 1.1, 0.9])
    dot = x @ x
    assert (dot.depth, dot.size) == (4, pytest.approx(0.09 + 0.49 + 1.21 + 0.81))  # a product, three sums
    assert (x[0] - x[1] * x[2]).depth == 2
    # What rounds nothing: an exact zero, and a sign.
    assert (x[0] + 0).depth == (x[0] * 1).depth == (x[0] * -1).depth == (x[0] * 0).depth == 0
    assert (x[0] * 0).size == 0
    assert (x[0] ** 3).depth == 2
    assert (x[0] ** 0).value == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_bound_holds_for_products_in_float64(seed: int) -> None:
    """Chains that cancel, in the order of NumPy and of torch: no error beyond the bound, some above 1 %."""
    source = np.random.default_rng(seed)
    V, S = source.normal(size=(2, 6, 6))
    power = np.linalg.matrix_power(np.eye(6) + V @ S, 3)
    found = np.linalg.matrix_power(np.eye(6) + lift(V) @ lift(S), 3)
    by_torch = torch.linalg.matrix_power(torch.eye(6, dtype=torch.float64) + torch.tensor(V @ S), 3).numpy()
    for floats in (power, by_torch):
        assert 1e-3 < max(shares(floats, found)) <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_bound_holds_for_what_lapack_does(seed: int) -> None:
    """Conditions from 1 to 1e9."""
    source = np.random.default_rng(seed)
    levels = 10.0 ** -np.linspace(0, 9 * seed / len(SEEDS), 4)
    left, right = (np.linalg.qr(source.normal(size=(4, 4)))[0] for _ in range(2))
    A, M = left * levels @ right, (left * levels)[:, :3] @ right[:3, :3]
    K = source.normal(size=(4, 4))
    pairs = [
        (np.linalg.inv(A), inverse(lift(A))),
        (np.linalg.pinv(M), pseudo_inverse(lift(M))),
        (np.linalg.pinv(M.T), pseudo_inverse(lift(M.T))),
        (np.linalg.norm(A, 2), operator_norm(lift(A))),
        (np.linalg.eigvalsh(A @ A.T), eigenvalues(lift(A) @ lift(A).T)),
        (-np.linalg.inv(A) @ K @ np.linalg.inv(A), inverse_slope(lift(A), lift(K))),
    ]
    if levels[-1] > 1e-5:  # else MMᵀ has no rank in float64
        pairs.append((np.linalg.pinv(M @ M.T, rcond=1e-12), gram_inverse(lift(M))))
    for floats, found in pairs:
        assert max(shares(floats, found)) <= 1


def test_inverses_are_right_to_all_digits() -> None:
    A = lift(np.random.default_rng(0).normal(size=(4, 4)))
    M = A[:, :2]
    one = np.eye(4)
    for product, goal in (
        (A @ inverse(A), one),
        (pseudo_inverse(M) @ M, one[:2, :2]),
        (gram_inverse(M) @ M, pseudo_inverse(M).T),
    ):
        gaps = np.vectorize(lambda x: float(abs(x.value)))(product - goal)
        assert gaps.max() < 1e-47
    moved = inverse_slope(A, one) + inverse(A) @ inverse(A)
    assert np.vectorize(lambda x: float(abs(x.value)))(moved).max() < 1e-47
    squares = sum(x.value for x in eigenvalues(A @ A.T))
    assert abs(squares - sum((x * x).value for x in A.ravel())) < 1e-47
    assert abs(operator_norm(A).value - CONTEXT.sqrt(eigenvalues(A.T @ A)[-1].value)) < 1e-47


def test_rounding_of_the_input_reaches_the_inverse() -> None:
    """I + VS off by roundings of a million times its size: the bound of its inverse says so."""
    V, S = np.diag([1e6, 1.0]), np.diag([1 - 1e-6, 1.0])
    found = inverse(lift(V) @ lift(S) - np.diag([999990.0, 0.0]))
    assert found[0, 0].bound(UNIT) > 1e5 * UNIT * float(found[0, 0].value)


def test_two_precisions() -> None:
    x = lift([0.1, 0.2, 0.3])
    square = (x * x).sum()
    floats = float((np.array([0.1, 0.2, 0.3]) ** 2).sum())
    found = two_precisions([floats], [square], [square])
    assert found.outcome == "agrees"
    assert found.condition == pytest.approx(1)
    assert found.single.delta == pytest.approx(3 * UNIT)
    assert found.second.delta == pytest.approx(6 * SECOND_UNIT)
    tiny = bounded(1) + bounded(2.0**-100)
    assert two_precisions([floats], [square], [square * tiny]).outcome == "differs"
    assert two_precisions([floats * (1 + 1e-15)], [square], [square]).outcome == "differs"
    assert two_precisions([floats * (1 + 1e-15)], [square], [square], sweeps=4).outcome == "agrees"
    assert worst([found, two_precisions([floats], [square], [square * tiny])]).outcome == "differs"
    # What no rounding can move must be equal.
    assert two_precisions([0.0], [bounded(0)], [bounded(0)]).outcome == "agrees"
    assert two_precisions([1e-300], [bounded(0)], [bounded(0)]).outcome == "differs"


@pytest.mark.parametrize("bad", [sp.Float(0.1), sp.Symbol("x"), "1", None, 1j, np.inf])
def test_what_is_not_known_to_all_digits_is_refused(bad: object) -> None:
    with pytest.raises(ArgumentError, match="must be a finite float, an integer or a rational"):
        bounded(bad)
    with pytest.raises((TypeError, ArgumentError)):
        bounded(1) * bad  # type: ignore[operator]


def test_errors() -> None:
    with pytest.raises(ZeroDivisionError):
        bounded(1) / 0
    with pytest.raises(ArgumentError, match="must be square"):
        inverse(lift(np.ones((2, 3))))
    with pytest.raises(ArgumentError, match="is singular"):
        inverse(lift(np.ones((2, 2))))
    one = lift([1.0])
    for bad in (([1.0, 2.0], one, one), ([1.0], lift([[1.0]]), one), ([], lift([1.0])[:0], lift([1.0])[:0])):
        with pytest.raises(ArgumentError, match="must be equal, and not empty"):
            two_precisions(*bad)
    with pytest.raises(ArgumentError, match="finite"):
        two_precisions([np.nan], one, one)


@pytest.mark.parametrize("ratio", [1.0, 1e-3, 1e-7])
def test_roundings_of_a_pseudo_inverse(ratio: float) -> None:
    """Like those of the bounded one; a cut-off rank counts by what is kept, a batch by its worst."""
    source = np.random.default_rng(3)
    M = source.normal(size=(5, 3))
    M[:, 2] = M[:, 1] + ratio * M[:, 2]
    rounds = pseudo_inverse_rounds(M)
    # There relative to the largest entry, here to ‖M†‖_F, √15 times that at most.
    assert 0.99 < pseudo_inverse(lift(M))[0, 0].depth / rounds < 15**0.5
    assert pseudo_inverse_rounds(np.stack([M, source.normal(size=(5, 3))])) == rounds
    flat = np.stack([M[:, 0], 2 * M[:, 0], M[:, 0]], axis=1)  # of rank 1: κ = 1
    assert pseudo_inverse_rounds(flat) == pytest.approx(10 * 15 * 7, abs=1)
