"""Generic points: asymmetric, non-commuting, unequal dimensions; in rationals and in float64."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.prompts import Prompts, sample_prompts

Array = NDArray[np.float64]


def rational(rows: int, cols: int, key: str) -> sp.Matrix:
    """A matrix of non-zero small rationals, drawn from ``key``."""
    source = random.Random(key)
    return sp.Matrix(
        rows,
        cols,
        lambda *_: sp.Rational(source.choice([-4, -3, -2, -1, 1, 2, 3, 4]), source.choice([1, 2, 3, 5])),
    )


def exact_array(matrix: sp.Matrix) -> NDArray[np.object_]:
    """A SymPy matrix as an object array, the exact input of the word algebra."""
    return np.array(matrix.tolist(), dtype=object).reshape(matrix.shape)


def covariance(d: int, seed: int, rank: int | None = None) -> Array:
    """A d × d covariance of the given rank (full by default), far from diagonal.

    Its trace is 1.5 d, or 1.4 d: were it d, a formula with d or tr I for tr Σ would pass every check.
    """
    source = np.random.default_rng(seed)
    if rank is not None:
        # A spectrum of its own: least squares on a nearly lower rank have hardly a variance.
        onto, _ = np.linalg.qr(source.normal(size=(d, rank)))
        matrix = onto @ np.diag(np.linspace(0.6, 1.4, rank) * 1.5 * d / rank) @ onto.T
    else:
        root = source.normal(size=(d, d))
        matrix = root @ root.T
        matrix = 0.8 * matrix / np.trace(matrix) * 1.5 * d + 0.2 * np.eye(d)
    return np.asarray((matrix + matrix.T) / 2)


def block(d: int, seed: int, size: float = 0.45) -> Array:
    """A d × d matrix of normal entries, asymmetric, of spectral norm near ``size``·2."""
    return np.random.default_rng(seed).normal(size=(d, d)) * (size / np.sqrt(d))


def tensor(array: Array) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float64)


# How many times as many roundings a derivative goes through as what it is one of.  A sweep backwards repeats
# them once forwards and once backwards, where the contractions have the same lengths, and adds up what each
# number is used for: Ṽ in kB places and each of k columns in 2k + 2, which is fewer than two more times the
# k(3d + n + 5) of a chain if 2k + 2 + B ≤ 2(3d + n + 5).  A second derivative is that of a derivative.
GRADIENT, HESSIAN = 4, 16


@dataclass(frozen=True)
class Point:
    """A model and a few prompts: blocks V, W (d × d), prompts (B of length n), a start w0, a path."""

    V: Array
    W: Array
    prompts: Prompts
    w0: Array
    eta: float
    k: int

    @property
    def d(self) -> int:
        return self.prompts.d

    @property
    def n(self) -> int:
        return self.prompts.n

    @property
    def label(self) -> str:
        return f"d={self.d}, n={self.n}, B={self.prompts.size}, k={self.k}, η={self.eta:g}"

    @property
    def X(self) -> Array:
        return self.prompts.X.numpy()

    @property
    def S(self) -> Array:
        return self.prompts.S.numpy()

    @property
    def w_star(self) -> Array:
        return self.prompts.w_star.numpy()

    @property
    def growth(self) -> float:
        """A bound on what one rounding can do to k steps: the largest sum of absolute values of a step (by
        Frobenius norms, ‖|X||X|ᵀ‖ ≤ n tr S) times the sum of the norms of (I + ṼSW̃)^j, j ≤ k."""
        norm, found = np.linalg.norm, 0.0
        for S, star in zip(self.S, self.w_star, strict=True):
            now, power, size, reach = self.w0, np.eye(self.d), 0.0, 0.0
            for _ in range(self.k + 1):
                terms = norm(self.V) * np.trace(S) * (norm(self.W) * norm(now) + norm(star))
                size = max(size, float(norm(now) + norm(star) + terms))
                reach += float(norm(power, 2))
                now = now + self.V @ S @ (self.W @ now - star)
                power = power @ (np.eye(self.d) + self.V @ S @ self.W)
            found = max(found, size * reach)
        return found

    @property
    def operations(self) -> int:
        """The longest chain of roundings: sums over n + k and 2d + 2 terms in each of k + 1 steps."""
        return (self.n + self.k + 3 * (2 * self.d + 2)) * (self.k + 1)


class SquaredPoint(Point):
    """A point whose measure is quadratic in what k steps of the model compute."""

    @property
    def growth(self) -> float:
        return float(super().growth ** 2)


class TaughtPoint(Point):
    """A point whose measure is a sum of squares of single steps from the taught path (eq. 3.5)."""

    @property
    def growth(self) -> float:
        norm = np.linalg.norm
        step = 1 + norm(self.V) * max(np.trace(S) for S in self.S) * (1 + norm(self.W))
        return float((self.k + 1) * (step * norm(self.w_star, axis=-1).max()) ** 2)

    @property
    def operations(self) -> int:
        """Those of the gradient, which its measure may be."""
        return GRADIENT * super().operations


# d < n, d > n, d = n, B on both sides of d; k = 0 and η = 1 at the border.
SIZES = ((3, 5, 2, 3, 0.4), (4, 2, 6, 2, 0.7), (2, 2, 2, 1, 1.0), (3, 7, 4, 0, 0.25), (1, 1, 3, 4, 0.9))


def points(seed: int, least_k: int = 0, kind: type[Point] = Point, identity: bool = False) -> Iterator[Point]:
    """Generic points over :data:`SIZES` = (d, n, B, k, η), k raised to ``least_k`` where it is below, at
    W̃ = I if ``identity``."""
    for j, (d, n, B, k, eta) in enumerate(SIZES):
        at = (seed + 7919 * j) % 2**62
        generator = seeded(at, "cpu")
        prompts = sample_prompts(tensor(covariance(d, at)), n, B, generator)
        w0 = torch.randn(d, generator=generator, dtype=torch.float64).numpy()
        W = np.eye(d) if identity else block(d, at + 2)
        yield kind(block(d, at + 1), W, prompts, w0, eta, max(k, least_k))
