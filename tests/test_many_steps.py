"""Many steps at fixed V: the cases of the theorem on overthinking in ``notes/kstep.md``."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import scipy.special
from test_kstep import Array, at_rationals, drawn, fractions

from theory import kstep
from theory.kstep_value import k_step_risk


def square_of_product(block: Array, Sigma: Array, size: int) -> Fraction:
    """E‖VS‖_F²."""
    v, sigma = fractions(block), fractions(Sigma)
    first, second = np.trace(v @ sigma @ sigma @ v.T), np.trace(v @ sigma @ v.T) * np.trace(sigma)
    return first * Fraction(size + 1, size) + second / size


SKEW = np.array([[0.0, 1.0, -2.0], [-1.0, 0.0, 0.5], [2.0, -0.5, 0.0]])
ONTO = np.diag([2.0, 1.0, 0.0])


@pytest.mark.parametrize(
    ("block", "Sigma", "size"),
    [
        (SKEW, np.array([[1.5, 0.5, 0.25], [0.5, 1.0, 0.0], [0.25, 0.0, 0.75]]), 1),
        (np.array([[0.0, 0, 5], [0, 0, 1], [3, -1, 2]]), ONTO, 4),  # V takes the range of Σ out of it
        (SKEW, ONTO, 1),
    ],
)
def test_risk_grows_as_the_square_of_the_steps(block: Array, Sigma: Array, size: int) -> None:
    """(VS)² = 0 and tr VS = 0, so that (I + VS)^k = I + kVS: d + k² E‖VS‖²."""
    growth = square_of_product(block, Sigma, size)
    assert growth > 0
    for k in (1, 2, 3):
        assert at_rationals(kstep.k_step_risk_expr(k), block, Sigma, size) == 3 + k * k * growth


def test_risk_does_not_grow_off_the_range() -> None:
    """VΣ = 0 alone keeps the risk at d."""
    block = np.array([[0.0, 0, 5], [0, 0, 1], [0, 0, -3]])
    for k in (1, 2, 3):
        assert at_rationals(kstep.k_step_risk_expr(k), block, ONTO, 2) == 3


def test_prompts_that_make_the_risk_grow() -> None:
    """An eigenvalue 1 + λxᵀVx of I + VS along one direction, 1 ± iλxᵀVy in one plane where V is skew."""
    block, (x, y) = drawn(3, 4)[0], np.random.default_rng(1).normal(size=(2, 3))
    for lam in (1.0, 100.0):
        line = np.linalg.eigvals(np.eye(3) + lam * block @ np.outer(x, x))
        assert np.abs(line - (1 + lam * x @ block @ x)).min() < 1e-10 * lam
        plane = np.linalg.eigvals(np.eye(3) + lam * SKEW @ (np.outer(x, x) + np.outer(y, y)))
        for sign in (1j, -1j):
            assert np.abs(plane - (1 + sign * lam * x @ SKEW @ y)).min() < 1e-10 * lam


def test_risk_falls_and_then_grows_for_ever() -> None:
    """d = 1, V = −0.4, n = 30: E(1 − 0.4λ)^{2k} by quadrature, exact to k = 149; its logarithm is convex."""
    nodes, weights = scipy.special.roots_genlaguerre(150, 14)
    logs = np.log(weights / weights.sum())
    spread = np.log(np.abs(1 - 0.4 * nodes / 15))
    risks = np.array([scipy.special.logsumexp(logs + 2 * k * spread) for k in range(141)])
    for k in (1, 2, 3):
        assert k_step_risk(np.array([[-0.4]]), np.eye(1), 30, k) == pytest.approx(np.exp(risks[k]), rel=1e-12)
    assert np.all(np.diff(risks, 2) > 0)
    assert 20 < risks.argmin() < 40
    assert risks.min() < -15
    assert risks[-1] > 300
