"""What holds for every matrix M, at any size: regularised projections, derivatives of resolvents, traces.

Measured from the definitions (pseudo-inverse, automatic differentiation, eigenvalues) on small Gaussian M.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from verify.ledger.evidence import Evidence
from verify.stats import rounding_test
from verify.stats.rounding import DECOMPOSITION

Array = NDArray[np.float64]
SHAPES = ((4, 2), (3, 5), (5, 4))  # (d, B), on both sides of B = d
SHIFTS = (2.0**-8, 2.0**-14, 2.0**-20)
LEAST = 1e-2  # what the eigenvalues of MMᵀ that are not zero are above
NEAR = 16 * SHIFTS[-1] / LEAST  # z → 0 is reached up to z over that, d times for MMᵀ/d, twice for a square


@dataclass(frozen=True)
class Small:
    """M (d, B), the diagonals of A and Σ (d,), the dimension of the first block, and z > 0."""

    M: Array
    A: Array
    Sigma: Array
    first: int
    z: float

    @property
    def d(self) -> int:
        return len(self.M)

    @property
    def B(self) -> int:
        return self.M.shape[1]

    @property
    def blocks(self) -> tuple[Array, Array]:
        """D₁ and D₂."""
        inside = np.arange(self.d) < self.first
        return np.diag(inside.astype(float)), np.diag((~inside).astype(float))


Measure = Callable[[Small], ArrayLike]


def smalls(seed: int, shapes: tuple[tuple[int, int], ...] = SHAPES) -> list[Small]:
    """One for each shape, M = AΩ.  All entries are short dyadic fractions, so that a prediction may be
    evaluated in rationals."""
    rng, found = np.random.default_rng(seed), []
    for d, B in shapes:
        A, Sigma = (np.repeat(levels, (1, d - 1)) for levels in ((1.25, 0.625), (2.125, 0.75)))
        while True:
            M = A[:, None] * np.round(16 * rng.normal(size=(d, B))) / 16
            if np.linalg.svd(M, compute_uv=False)[-1] ** 2 > LEAST:
                break
        found.append(Small(M, A, Sigma, 1, 0.75))
    return found


# Measured ---------------------------------------------------------------------------------------------


def _tensor(array: ArrayLike) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float64)


def projection(at: Small) -> Array:
    """MM†, (d, d)."""
    M = _tensor(at.M)
    return np.asarray((M @ torch.linalg.pinv(M)).numpy())


def projected_trace(at: Small) -> float:
    """(1/d) tr(D₁ΠD₂Π)."""
    D1, D2 = at.blocks
    Pi = projection(at)
    return float(np.trace(D1 @ Pi @ D2 @ Pi)) / at.d


def _slope(at: Small, left: Array, gram: Array, direction: Array) -> float:
    """d/dt of (1/d) tr(left (gram + t direction + z)⁻¹) at t = 0, by automatic differentiation."""
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    inner = _tensor(gram + at.z * np.eye(len(gram))) + t * _tensor(direction)
    (_tensor(left) @ torch.linalg.inv(inner)).trace().div(at.d).backward()
    assert t.grad is not None
    return float(t.grad)


def slope_of_mean(at: Small) -> float:
    """Of (1/d) tr((MMᵀ/d + tAΣ²A + z)⁻¹)."""
    return _slope(at, np.eye(at.d), at.M @ at.M.T / at.d, np.diag((at.A * at.Sigma) ** 2))


def slope_of_companion(at: Small) -> float:
    """Of (1/d) tr((MᵀM/d)⁻¹) for A²(1 + tΣ²) in the place of A², B ≤ d."""
    M = _tensor(at.M)
    gram, direction = M.mT @ M / at.d, M.mT @ torch.diag(_tensor(at.Sigma**2)) @ M / at.d
    return _slope(replace(at, z=0.0), np.eye(at.B), gram.numpy(), direction.numpy())


def slope_of_block(at: Small) -> float:
    """Of (1/d) tr(D₁(MMᵀ + tD₂ + z)⁻¹)."""
    D1, D2 = at.blocks
    return _slope(at, D1, at.M @ at.M.T, D2)


def scaled_mean(at: Small) -> float:
    """z (1/d) tr((MMᵀ + z)⁻¹), from the eigenvalues."""
    return float((at.z / (np.linalg.eigvalsh(at.M @ at.M.T) + at.z)).mean())


def companion(at: Small) -> Array:
    """MᵀM, (B, B)."""
    return np.asarray(at.M.T @ at.M)


def inverse_trace(at: Small) -> float:
    """tr(Σ²(MMᵀ)†)."""
    found = torch.linalg.pinv(_tensor(at.M @ at.M.T), hermitian=True)
    return float(found.diagonal().numpy() @ at.Sigma**2)


def weighted_inverse(at: Small) -> float:
    """tr(Σ(MMᵀ)†)."""
    found = torch.linalg.pinv(_tensor(at.M @ at.M.T), hermitian=True)
    return float(found.diagonal().numpy() @ at.Sigma)


def square_trace(at: Small) -> float:
    """(1/d) tr(Σ²A²(Ĝ†)²), Ĝ = MMᵀ/d."""
    found = torch.linalg.pinv(_tensor(at.M @ at.M.T / at.d), hermitian=True)
    return float((found @ found).diagonal().numpy() @ (at.A * at.Sigma) ** 2) / at.d


# Compared ---------------------------------------------------------------------------------------------


def identity(
    measure: Measure,
    prediction: Measure,
    seed: int,
    form: str = "printed",
    shapes: tuple[tuple[int, int], ...] = SHAPES,
) -> Evidence:
    """``measure`` against ``prediction`` on Gaussian M of several shapes, to rounding.

    Traces of products of positive matrices, whose terms do not cancel; κ is that of MMᵀ + z or of what is not
    zero of MMᵀ, in the Frobenius norm d times as much at most.
    """
    worst = None
    for at in smalls(seed, shapes):
        found, expected = (np.asarray(of(at)) for of in (measure, prediction))
        spread = np.linalg.svd(at.M, compute_uv=False) ** 2
        condition = (spread[0] + at.z) / min(spread[-1], at.z)
        rounds = math.ceil(DECOMPOSITION * at.d**2 * (3 * at.d * condition + 4))
        outcome = rounding_test(found, expected, max(1e-3, np.abs(found).max()), rounds)
        if worst is None or outcome.deviation > worst.deviation:
            worst = outcome
    assert worst is not None
    text = f"Gaussian M, (d,B) = {', '.join(f'({d},{B})' for d, B in shapes)}"
    return Evidence("monte-carlo", worst.outcome, worst.measured, text, worst.delta, 0.0, form)


def approach(
    measure: Measure,
    prediction: Measure,
    seed: int,
    form: str = "printed",
    shapes: tuple[tuple[int, int], ...] = SHAPES,
    limit: Measure | None = None,
) -> Evidence:
    """``prediction`` at z = 2⁻⁸, 2⁻¹⁴, 2⁻²⁰ against ``measure``, which it has to approach as z → 0, and
    ``limit``, what is stated for that, against both."""
    gaps = np.zeros(len(SHIFTS))
    for at in smalls(seed, shapes):
        found = np.asarray(measure(at))
        scale = max(1e-3, float(np.abs(found).max()))
        goals = [found, *([] if limit is None else [np.asarray(limit(at))])]
        for goal in goals:
            each = [np.abs(prediction(replace(at, z=z)) - goal).max() / scale for z in SHIFTS]
            gaps = np.maximum(gaps, each)
    falls = gaps[-1] < gaps[-2] / 10  # the gap at the first z may be small because it changes its sign
    outcome = "agrees" if falls and gaps[-1] < NEAR else "differs"
    measured = "rel. dev. " + ", ".join(f"{gap:.1e}" for gap in gaps) + " at z = 2⁻⁸, 2⁻¹⁴, 2⁻²⁰"
    text = f"Gaussian M, (d,B) = {', '.join(f'({d},{B})' for d, B in shapes)}"
    return Evidence("scaling", outcome, measured, text, NEAR, 0.0, form)
