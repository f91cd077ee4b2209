"""Traces of projections, pseudo-inverses and resolvents of M = C^{1/2}N, sampled, against their limits.

M is d × B with independent columns N(0, C), C diagonal in K blocks.  What is measured is computed from M by
its definition, at d and at 2d.  A mean at d is its limit plus a series in 1/d, so that twice the one at 2d
minus the one at d (independent draws) is the limit up to 1/d²: some hundredths of a per cent at d = 64, a few
tenths for pseudo-inverses with d − B = 12.  The tolerances are above that, and below what a wrong term does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from numerics.device import seeded
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
SIZE = 64  # d of the smaller matrices, a multiple of the denominators of the weights and of β
# Cumulants of d·trace are of order d^{2−r} for smooth functions of Gaussian matrices, so that a trace is as
# skew as a mean of order d² draws; d²/4 allows for functions that are not so smooth, as pseudo-inverses.
AVERAGED = SIZE**2 // 4
STAGES = 6


@dataclass(frozen=True)
class Ensemble:
    """Block levels of C, weights, β = B/d, and the diagonal x of R = (MMᵀ/d + diag(x))⁻¹, all by block."""

    levels: tuple[float, ...]
    weights: tuple[Fraction, ...]
    beta: Fraction
    shift: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        """What is sampled, in words."""
        levels = ", ".join(f"{c:g}" for c in self.levels)
        weights = ", ".join(map(str, self.weights))
        shift = f", x=({', '.join(f'{x:g}' for x in self.shift)})" if self.shift else ""
        return f"c=({levels}), μ=({weights}), β={self.beta}{shift}, d={SIZE} and {2 * SIZE}"

    def blocks(self, d: int) -> Tensor:
        """The block of each of the d coordinates."""
        sizes = [each * d for each in self.weights]
        assert sum(sizes) == d, "the blocks have to fill the space"
        assert all(size.denominator == 1 for size in sizes), "blocks have to have whole dimensions"
        return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor([int(size) for size in sizes]))

    def draw(self, d: int, size: int, generator: torch.Generator) -> Tensor:
        """``size`` draws of M, (size, d, B)."""
        columns = self.beta * d
        assert columns.denominator == 1, "B has to be a whole number"
        root = torch.tensor(self.levels, dtype=torch.float64).sqrt()[self.blocks(d)]
        normal = torch.randn((size, d, int(columns)), generator=generator, dtype=torch.float64)
        return root[:, None] * normal


def _inverse(matrices: Tensor) -> Tensor:
    """Inverses of positive definite matrices."""
    return torch.cholesky_inverse(torch.linalg.cholesky(matrices))


def _shifted(matrices: Tensor, by: Tensor) -> Tensor:
    matrices.diagonal(dim1=-2, dim2=-1).add_(by)
    return matrices


@dataclass(frozen=True)
class Projected:
    """Traces by block of N draws, Ĝ = MMᵀ/d, Π = MM†, D_k the projection on block k of dimension d_k.

    ``gram`` (1/d_k) tr(D_kĜ), ``fraction`` (1/d_k) tr(D_kΠ), ``inverse`` (1/d) tr(D_kĜ†) and
    ``inverse_square`` (1/d) tr(D_kĜ†²), (N, K); ``pair`` (1/d) tr(D_iΠD_jΠ), (N, K, K).
    """

    gram: Array
    fraction: Array
    inverse: Array
    inverse_square: Array
    pair: Array


def projected(at: Ensemble, d: int, size: int, generator: torch.Generator) -> Projected:
    """The traces of ``size`` draws at dimension d."""
    M, block = at.draw(d, size, generator), at.blocks(d)
    onto = torch.nn.functional.one_hot(block, len(at.levels)).double()  # (d, K)
    held = torch.tensor(at.levels)[block] > 0  # the other rows of M are zero
    rows, kept = M[:, held], onto[held]
    if M.shape[-1] < len(kept):
        # M† = (MᵀM)⁻¹Mᵀ, so Ĝ† = YYᵀ/d with Y = M(MᵀM/d)⁻¹
        gram = _inverse(rows.mT @ rows / d)
        Y = rows @ gram
        projection = Y @ rows.mT / d
        inverse, square = Y.square().sum(-1) / d, ((Y @ gram) * Y).sum(-1) / d
    else:
        gram = rows @ rows.mT / d
        dagger = _inverse(gram)
        projection = gram @ dagger
        inverse, square = dagger.diagonal(dim1=-2, dim2=-1), dagger.square().sum(-1)
    each = onto.sum(0)
    return Projected(
        ((M.square().sum(-1) / d) @ onto / each).numpy(),
        (projection.diagonal(dim1=-2, dim2=-1) @ kept / each).numpy(),
        (inverse @ kept / d).numpy(),
        (square @ kept / d).numpy(),
        (kept.T @ projection.square() @ kept / d).numpy(),
    )


@dataclass(frozen=True)
class Resolved:
    """Traces of N draws, R = (MMᵀ/d + diag(x))⁻¹: ``resolvent`` (1/d_k) tr(D_kR), (N, K), and ``pair``
    (1/d) tr(D_iRD_jR), (N, K, K)."""

    resolvent: Array
    pair: Array


def resolved(at: Ensemble, d: int, size: int, generator: torch.Generator) -> Resolved:
    """The traces of ``size`` draws at dimension d."""
    M, block = at.draw(d, size, generator), at.blocks(d)
    onto = torch.nn.functional.one_hot(block, len(at.levels)).double()
    R = _inverse(_shifted(M @ M.mT / d, torch.tensor(at.shift, dtype=torch.float64)[block]))
    return Resolved(
        (R.diagonal(dim1=-2, dim2=-1) @ onto / onto.sum(0)).numpy(),
        (onto.T @ R.square() @ onto / d).numpy(),
    )


def transformed(at: Ensemble, d: int, size: int, generator: torch.Generator) -> Array:
    """(1/B) tr((MᵀM/d + x_1)⁻¹), the Stieltjes transform of the companion matrix, of ``size`` draws, (N,)."""
    M = at.draw(d, size, generator)
    companion = _inverse(_shifted(M.mT @ M / d, torch.tensor(at.shift[0])))
    return np.asarray(companion.diagonal(dim1=-2, dim2=-1).mean(-1).numpy())


@cache
def _pair(of: Callable[..., Any], at: Ensemble, seed: int, index: int, size: int) -> tuple[Any, Any]:
    """The ``index``-th batch of ``size`` draws at d and, independent of them, at 2d."""
    generator = seeded((seed + 1_000_003 * index) % 2**62, "cpu")
    return of(at, SIZE, size, generator), of(at, 2 * SIZE, size, generator)


@dataclass(frozen=True)
class Quantity:
    """What is compared: ``read`` of the traces that ``of`` computes, to within ``delta`` of the prediction,
    or of ``unit`` where that is 0."""

    name: str
    of: Callable[..., Any]
    read: Callable[[Any, Ensemble], Array]
    delta: float
    unit: float = 1.0


def limit(
    prediction: Sequence[float] | Array,
    quantity: Quantity,
    at: Ensemble,
    seed: int,
    profile: Profile,
    form: str,
) -> Evidence:
    """The limit of ``quantity`` as d → ∞ against ``prediction``."""
    expected = np.atleast_1d(np.asarray(prediction, dtype=float))
    batches = count()

    def draw(size: int) -> Array:
        small, large = _pair(quantity.of, at, seed, next(batches), size)
        found = 2 * quantity.read(large, at) - quantity.read(small, at)
        return np.asarray(found).reshape(size, -1)

    return sampled(
        draw,
        expected,
        np.where(expected == 0, quantity.unit, np.abs(expected)),
        # The least number of draws establishes half of what the quick profile asks for.
        quantity.delta * min(1.0, 2 / profile.delta_factor),
        f"{quantity.name}, {at.text}",
        profile,
        form,
        limit=True,
        averaged=AVERAGED,
        stages=STAGES,
    )


# Quantities -------------------------------------------------------------------------------------------

FRACTIONS = Quantity("tr(D_kΠ)/d_k", projected, lambda x, at: x.fraction, 1.5e-2)
GRAM = Quantity("tr(D_kĜ)/d_k", projected, lambda x, at: x.gram, 2e-2)
LEAKAGE = Quantity("tr(D₁ΠD₂Π)/d", projected, lambda x, at: x.pair[:, 0, 1], 2.5e-2, 0.1)
INVERSES = Quantity("tr(D_kĜ†)/d", projected, lambda x, at: x.inverse, 6e-2)
RESOLVENTS = Quantity("tr(D_kR)/d_k", resolved, lambda x, at: x.resolvent, 2e-2)
MEAN = Quantity("tr(R)/d", resolved, lambda x, at: x.resolvent @ np.array(at.weights, dtype=float), 1.5e-2)
BOTH = Quantity("tr(R)/d", resolved, lambda x, at: np.stack([MEAN.read(x, at)] * 2, axis=1), 1.5e-2)
TRANSFORM = Quantity("Stieltjes transform of MᵀM/d", transformed, lambda x, at: x, 1.5e-2)
NULL_SPACE = Quantity("z times that of MᵀM/d", transformed, lambda x, at: at.shift[0] * x, 1e-2)
PAIR = Quantity("tr(D₁RD₂R)/d", resolved, lambda x, at: x.pair[:, 0, 1], 2e-2)


def _root(resolvent: Array, at: Ensemble) -> Array:
    """The v that makes (x_1 + v c_1)⁻¹ the mean of R on the first block."""
    return np.asarray((1 / resolvent[:, 0] - at.shift[0]) / at.levels[0])


def _ratio(x: Projected, at: Ensemble) -> Array:
    """v/z of :func:`_root` as z → 0 at fixed d, where z tr(D_1R)/d_1 → 1 − tr(D_1Π)/d_1."""
    return np.asarray(x.fraction[:, 0] / (1 - x.fraction[:, 0]) / at.levels[0])


def _remainder(x: Resolved, at: Ensemble) -> Array:
    """1/v − (1/(βd)) tr(CR)."""
    weight = np.array(at.weights, dtype=float) * np.array(at.levels) / float(at.beta)
    return np.asarray(1 / _root(x.resolvent, at) - x.resolvent @ weight)


def _slope(x: Resolved, at: Ensemble) -> Array:
    """Of that v in t, R with diag(x) + tD₂: d/dt tr(D₁R) = −tr(D₁RD₂R)."""
    first = x.pair[:, 0, 1] / float(at.weights[0])
    return np.asarray(first / x.resolvent[:, 0] ** 2 / at.levels[0])


RATIO = Quantity("v(z)/z as z→0", projected, _ratio, 4e-2)
ROOT = Quantity("v", resolved, lambda x, at: _root(x.resolvent, at), 4e-2)
INVERSE_ROOT = Quantity("1/v", resolved, lambda x, at: 1 / _root(x.resolvent, at), 4e-2)
REMAINDER = Quantity("1/v − tr(A²R)/(βd)", resolved, _remainder, 6e-2)
SLOPE = Quantity("dv/dt at t=0", resolved, _slope, 4e-2)


def inverse(f: Sequence[float], square: bool = False) -> Quantity:
    """(1/d) tr(FĜ†) for F = diag(f_k) by block, or (1/d) tr(FĜ†²)."""
    name = f"tr(FĜ†{'²' if square else ''})/d, F=({', '.join(f'{x:g}' for x in f)})"

    def read(x: Projected, at: Ensemble) -> Array:
        return np.asarray((x.inverse_square if square else x.inverse) @ np.array(f))

    return Quantity(name, projected, read, 1e-1 if square else 6e-2)


def quadratic(f: Sequence[float], g: Sequence[float]) -> Quantity:
    """(1/d) tr(FΠGΠ) for F = diag(f_k), G = diag(g_k) by block."""
    name = f"tr(FΠGΠ)/d, F=({', '.join(f'{x:g}' for x in f)}), G=({', '.join(f'{x:g}' for x in g)})"
    return Quantity(name, projected, lambda x, at: np.array(f) @ x.pair @ np.array(g), 2e-2)


# At B = d, where the pseudo-inverse has no mean ---------------------------------------------------------

DIMENSIONS = (8, 64)
THRESHOLD_DRAWS = 2000
EXPONENT = 0.35  # δ, for every profile: of the two candidates, 0 and 1, it leaves one


@cache
def _at_threshold(seed: int, size: int) -> list[Array]:
    """(1/d) tr(D_kĜ⁻¹) of ``size`` draws at B = d for each of the dimensions, (size, 2)."""
    at = Ensemble((1.9, 0.35), (Fraction(1, 4), Fraction(3, 4)), Fraction(1))
    generator, found = seeded(seed, "cpu"), []
    for d in DIMENSIONS:
        M = at.draw(d, size, generator)
        onto = torch.nn.functional.one_hot(at.blocks(d)).double()
        found.append((_inverse(M @ M.mT / d).diagonal(dim1=-2, dim2=-1) @ onto / d).numpy())
    return found


def growth(prediction: float, f: Sequence[float], seed: int, profile: Profile, form: str) -> Evidence:
    """The exponent at which the median of (1/d) tr(FĜ⁻¹) grows with d at B = d, against ``prediction``.

    The least eigenvalue of Ĝ is of order 1/d² there, so that the trace is of order d; the interval is that of
    the two medians, by order statistics.
    """
    reach = -float(special.ndtri(profile.alpha / 4)) * THRESHOLD_DRAWS**0.5 / 2
    low_end, high_end = int(THRESHOLD_DRAWS / 2 - reach), int(THRESHOLD_DRAWS / 2 + reach) + 1
    ends = []
    for draws in _at_threshold(seed, THRESHOLD_DRAWS):
        found = np.sort(draws @ np.array(f))
        ends.append((found[low_end], found[high_end]))
    steps = np.log(DIMENSIONS[1] / DIMENSIONS[0])
    low, high = (float(np.log(ends[1][j] / ends[0][1 - j]) / steps) for j in (0, 1))
    outcome = "agrees" if prediction - EXPONENT <= low and high <= prediction + EXPONENT else "undecided"
    if not low - EXPONENT <= prediction <= high + EXPONENT:
        outcome = "differs"
    measured = f"exponent between {low:.2f} and {high:.2f}"
    text = f"median of tr(FĜ†)/d at B = d = {', '.join(map(str, DIMENSIONS))}"
    return Evidence("scaling", outcome, measured, text, EXPONENT, profile.alpha, form)
