"""Hypothesis strategies: covariances from eigenvalues and orthogonal factors, sizes, seeds, models.

What is drawn is small: sizes, rational eigenvalues, seeds.  Matrices follow from them, so that a failing
example shrinks to few dimensions, equal eigenvalues and the seed 0, which is the identity for an
orthogonal factor.  Eigenvalues are dyadic rationals: the floats are the rationals, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
import torch
from hypothesis import assume
from hypothesis import strategies as st
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.prompts import sample_prompts
from verify.checks.points import Point, block, tensor

Array = NDArray[np.float64]
Draw = Callable[[st.SearchStrategy[Any]], Any]
Spectrum = list[Fraction]

KINDS = ("distinct", "tied", "singular", "nearly singular", "wide")


def seeds() -> st.SearchStrategy[int]:
    """Seeds of generators, shrinking to 0."""
    return st.integers(0, 2**32 - 1)


@st.composite
def sizes(draw: Draw, most: int = 5, least: int = 1) -> tuple[int, int, int]:
    """(d, n, B) from ``least`` to ``most``, pairwise different, in all six orders."""
    d, n, B = draw(st.lists(st.integers(least, most), min_size=3, max_size=3, unique=True))
    return d, n, B


# Spectra -------------------------------------------------------------------------------------------


def _distinct(draw: Draw, d: int) -> Spectrum:
    steps = draw(st.lists(st.integers(0, 24), min_size=d, max_size=d, unique=True))
    return [1 + Fraction(step, 8) for step in steps]


@st.composite
def spectra(draw: Draw, d: int, *kinds: str) -> Spectrum:
    """d eigenvalues of one of those kinds, of any kind if none is given, in any order.

    ``distinct``: 1 … 4 in eighths.  ``tied``: the same with at least one value twice (d ≥ 2), all equal at
    the simplest.  ``singular``: at least one zero, and all of them at d = 1.  ``nearly singular``: at least
    one of 2⁻²⁰ … 2⁻⁴⁰ beside those of size 1.  ``wide``: 2⁻¹⁰ … 2¹⁰, each on its own.
    """
    kind = draw(st.sampled_from(kinds or KINDS))
    if kind == "wide":
        powers = draw(st.lists(st.integers(-10, 10), min_size=d, max_size=d))
        return [Fraction(2) ** power for power in powers]
    levels: Spectrum = _distinct(draw, d)
    if kind == "tied":
        # Two places at least share a level.
        places = draw(st.lists(st.integers(0, max(0, d - 2)), min_size=d, max_size=d))
        return [levels[place] for place in places]
    if kind in ("singular", "nearly singular"):
        small = Fraction(0) if kind == "singular" else Fraction(1, 2 ** draw(st.integers(20, 40)))
        count = draw(st.integers(1, max(1, d - 1)))
        at = draw(st.permutations(range(d)))[:count]
        return [small if j in at else level for j, level in enumerate(levels)]
    return levels


# Orthogonal factors --------------------------------------------------------------------------------


def haar(d: int, seed: int) -> Array:
    """A d × d orthogonal matrix, uniform over ``seed``; the identity at 0.

    QR of a Gaussian matrix with the signs of R's diagonal made positive (Mezzadri 2007).
    """
    if seed == 0:
        return np.eye(d)
    Q, R = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))
    return np.asarray(Q * np.sign(np.diag(R)))


def orthogonal(d: int) -> st.SearchStrategy[Array]:
    """Orthogonal d × d matrices in float64, shrinking to the identity."""
    return seeds().map(lambda seed: haar(d, seed))


@st.composite
def rational_orthogonal(draw: Draw, d: int) -> sp.Matrix:
    """Orthogonal d × d matrices of rationals: the Cayley transform (I − K)(I + K)⁻¹ of a skew K of small
    integers, shrinking to the identity.  The eigenvalue −1 is not reached."""
    K = sp.zeros(d)
    for i in range(d):
        for j in range(i):
            K[i, j] = draw(st.integers(-2, 2))
            K[j, i] = -K[i, j]
    return (sp.eye(d) - K) * (sp.eye(d) + K).inv()


# Covariances ---------------------------------------------------------------------------------------


def from_factors(levels: Sequence[Fraction], Q: Array) -> Array:
    """Q diag(levels) Qᵀ, symmetric to the last bit."""
    matrix = (Q * np.array([float(level) for level in levels])) @ Q.T
    return np.asarray((matrix + matrix.T) / 2)


@st.composite
def covariances(draw: Draw, d: int, *kinds: str) -> Array:
    """d × d covariances with a spectrum of those kinds (see :func:`spectra`), shrinking to a diagonal one."""
    return from_factors(draw(spectra(d, *kinds)), draw(orthogonal(d)))


@st.composite
def rational_covariances(draw: Draw, d: int, *kinds: str) -> tuple[sp.Matrix, sp.Matrix]:
    """(L, Σ) in rationals with Σ = LLᵀ, whose eigenvalues are the squares of those drawn."""
    levels, Q = draw(spectra(d, *kinds)), draw(rational_orthogonal(d))
    root = Q * sp.diag(*(sp.Rational(x.numerator, x.denominator) for x in levels))
    return root, root * root.T


def commutator(A: Array, B: Array) -> float:
    """‖AB − BA‖_F / (‖A‖ ‖B‖) in spectral norms, at most 2√d; 0 for a zero matrix."""
    size = float(np.linalg.norm(A, 2) * np.linalg.norm(B, 2))
    return float(np.linalg.norm(A @ B - B @ A)) / size if size else 0.0


@st.composite
def non_commuting_pairs(draw: Draw, d: int, *kinds: str) -> tuple[Array, Array]:
    """Two d × d covariances (d ≥ 2) of those kinds, their :func:`commutator` at least 1e-3.

    A plane rotation by the angle of the 3-4-5 triangle is between them at the simplest.
    """
    turn = np.eye(d)
    turn[:2, :2] = np.array([[3.0, -4.0], [4.0, 3.0]]) / 5
    frame, other = draw(orthogonal(d)), draw(orthogonal(d))
    A = from_factors(draw(spectra(d, *kinds)), frame)
    B = from_factors(draw(spectra(d, *kinds)), frame @ turn @ other)
    assume(commutator(A, B) >= 1e-3)
    return A, B


# Models --------------------------------------------------------------------------------------------


@st.composite
def model_points(
    draw: Draw, kind: type[Point] = Point, least_k: int = 0, identity: bool = False, most: int = 4
) -> Point:
    """A model with prompts from a covariance of any kind: d ≠ n ≠ B ≤ ``most``, k ≤ 3, 0 < η ≤ 1, blocks of
    any size up to 1 that are neither symmetric nor commute with it; W̃ = I if ``identity``."""
    d, n, B = draw(sizes(most))
    k, eta = draw(st.integers(least_k, 3)), draw(st.integers(1, 16)) / 16
    Sigma, seed = draw(covariances(d)), draw(seeds())
    generator = seeded(seed, "cpu")
    prompts = sample_prompts(tensor(Sigma), n, B, generator)
    w0 = torch.randn(d, generator=generator, dtype=torch.float64).numpy()
    V, W = (block(d, seed + j, draw(st.integers(1, 16)) / 16) for j in (1, 2))
    return kind(V, np.eye(d) if identity else W, prompts, w0, eta, k)


@dataclass(frozen=True)
class MomentPoint:
    """A matrix M and a root L of a covariance, d × d in rationals, for prompts of length n."""

    M: sp.Matrix
    root: sp.Matrix
    n: int

    @property
    def label(self) -> str:
        return f"M={self.M.tolist()}, L={self.root.tolist()}, n={self.n}"


@st.composite
def moment_points(draw: Draw) -> MomentPoint:
    """Points small enough for the exact mean of a polynomial in Gaussian entries: nd ≤ 3, d ≠ n."""
    d, n = draw(st.sampled_from([(1, 2), (1, 3), (2, 1), (3, 1)]))
    entries = draw(st.lists(st.integers(-3, 3), min_size=d * d, max_size=d * d))
    root, _ = draw(rational_covariances(d, "distinct", "tied", "singular"))
    return MomentPoint(sp.Matrix(d, d, entries), root, n)
