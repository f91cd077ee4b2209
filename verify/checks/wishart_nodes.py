"""Prompts with the moments of all prompts: a loss that is quadratic in S and in w* has its mean over them."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.prompts import Prompts
from verify.checks.points import tensor

Array = NDArray[np.float64]


def _chi(freedom: int) -> list[tuple[float, float]]:
    """Two values of a χ variable and their probabilities: E χ² and E χ⁴ are those of ``freedom`` degrees.

    χ² takes the nodes of Gauss's rule, (ν + 2) ± √(2(ν + 2)), exact to the third power of χ².
    """
    up = freedom + 2
    return [((up + s * (2 * up) ** 0.5) ** 0.5, (1 - s * (2 / up) ** 0.5) / 2) for s in (-1, 1)]


def features(A: Array, n: int) -> tuple[Array, Array]:
    """Features X (m, d, r) with r = min(n, d) columns, and weights (m,) that add up to 1: the weighted means
    of polynomials in S = XXᵀ/r of degree 2 are those over n columns from N(0, A).

    Bartlett: ZZᵀ of n normal columns has the law of LLᵀ, L (d, r) lower triangular with χ variables of n,
    n − 1, … degrees on the diagonal and normals below it.  Such a polynomial is of degree 4 in an entry of L.
    A normal takes 0, ±√3 with the probabilities 2/3, 1/6, 1/6 (Gauss-Hermite, exact to degree 5); an odd
    power of a χ goes with an odd power of a normal of its column, both means being 0.
    """
    d, r = len(A), min(n, len(A))
    normal = [(-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6)]
    entries = [(i, j) for j in range(r) for i in range(j, d)]
    nodes = np.array(list(product(*(_chi(n - j) if i == j else normal for i, j in entries))))
    L = np.zeros((len(nodes), d, r))
    for at, (i, j) in enumerate(entries):
        L[:, i, j] = nodes[:, at, 0]
    values, basis = np.linalg.eigh(A)
    root = (basis * np.sqrt(np.where(values > 1e-12 * values[-1], values, 0.0))) @ basis.T
    return root @ L * (r / n) ** 0.5, nodes[:, :, 1].prod(1)


def prompts(A: Array, n: int) -> Prompts:
    """Prompts over which the mean of a loss is its mean over all prompts of length n from N(0, A).

    For a loss that is quadratic in w* and, through S alone, in X, as L_SFT is (eq-A.1).  Each of
    :func:`features` comes with the tasks √d e_j, and with its weight as a factor of their squares.
    """
    X, weights = features(A, n)
    d, m = len(A), len(X)
    tasks = np.sqrt(d * m * weights)[:, None, None] * np.eye(d)
    return Prompts(torch.repeat_interleave(tensor(X), d, 0), tensor(tasks.reshape(m * d, d)))
