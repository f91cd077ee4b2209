"""Inverses, pseudo-inverses and norms of matrices of bounded numbers.

The values are those of twice the digits, rounded; the bounds are those of what LAPACK does in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.errors import ArgumentError
from verify.stats.bounded import CONTEXT, Bounded, Numbers, lift
from verify.stats.rounding import DECOMPOSITION

Array = NDArray[np.float64]


def inverse(matrix: Numbers) -> Numbers:
    """A⁻¹, (d, d).

    Gaussian elimination with pivots gives a column x of an A + ΔA with |ΔA| ≤ γ_3d |L||U| (Higham, Theorem
    9.4), so |δX| ≤ γ_3d |X| |L||U| |X|; and what A itself is off by is multiplied by |X| from both sides.
    Raises :class:`ArgumentError` for a matrix that is not square or that is singular.
    """
    at, sizes, depth = _parts(matrix)
    d = len(matrix)
    if matrix.shape != (d, d):
        raise ArgumentError(f"matrix of shape {matrix.shape}: must be square")
    with CONTEXT.workprec(2 * CONTEXT.prec):
        try:
            factors, pivots = CONTEXT.LU_decomp(at)
            found = CONTEXT.inverse(at)
        except ZeroDivisionError:
            raise ArgumentError("matrix: is singular, must have an inverse") from None
    LU, X = np.abs(_floats(factors)), np.abs(_floats(found))
    grown = (np.tril(LU, -1) + np.eye(d)) @ np.triu(LU)
    for row, other in reversed(list(enumerate(pivots))):
        grown[[row, other]] = grown[[other, row]]
    return _numbers(found, X @ (3 * d * grown + depth * sizes) @ X)


def pseudo_inverse(matrix: Numbers) -> Numbers:
    """M† of a matrix of full rank, (B, d) for (d, B).

    Singular values and QR give those of an M + ΔM, ‖ΔM‖ ≤ p u‖M‖, p = 10dB, which moves M† by √2 κ p u ‖M†‖
    at most (Wedin); bases off by p u and two products add 4 p u ‖M†‖, a triangular solve κ p u ‖M†‖.  What M
    itself is off by is multiplied by √2 ‖M†‖².
    """
    if matrix.shape[0] < matrix.shape[1]:
        return pseudo_inverse(matrix.T).T
    at, sizes, depth = _parts(matrix)
    with CONTEXT.workprec(4 * CONTEXT.prec):  # the condition is squared here
        found = CONTEXT.inverse(at.T * at) * at.T
    norm = np.linalg.norm
    own, plus = norm(_floats(at)), norm(_floats(found))  # Frobenius', above the operator norms
    rounds = DECOMPOSITION * matrix.size * (3 * own * plus + 4) + np.sqrt(2) * plus * norm(sizes) * depth
    return _numbers(found, np.full((found.rows, found.cols), rounds * plus))


def gram_inverse(matrix: Numbers) -> Numbers:
    """(MMᵀ)† of a d × B matrix M of full rank, by the eigenvalues of MMᵀ, those that are not zero.

    Its bound is that of a pseudo-inverse of MMᵀ, (1 + √5)/2 for √2 where the rank is not full, and MMᵀ is off
    by B roundings more than M.
    """
    gram = lift(matrix @ matrix.T)
    at, sizes, depth = _parts(gram)
    kept = min(matrix.shape)
    with CONTEXT.workprec(4 * CONTEXT.prec):
        values, vectors = CONTEXT.eigsy(at)  # ascending
        found = CONTEXT.zeros(at.rows)
        for i in range(at.rows - kept, at.rows):
            found += vectors[:, i] * vectors[:, i].T / values[i]
    norm = np.linalg.norm
    own, plus = norm(_floats(at)), norm(_floats(found))
    rounds = DECOMPOSITION * gram.size * (3 * own * plus + 4) + 2 * plus * norm(sizes) * depth
    return _numbers(found, np.full((at.rows, at.rows), rounds * plus))


def operator_norm(matrix: Numbers) -> Bounded:
    """‖M‖, the largest singular value: Weyl's bound on what moves it."""
    at, sizes, depth = _parts(matrix)
    with CONTEXT.workprec(2 * CONTEXT.prec):
        found = max(CONTEXT.svd_r(at, compute_uv=False))
    size = float(found) + float(np.linalg.norm(sizes))
    return Bounded(+found, size, max(DECOMPOSITION * matrix.size, depth))


def _parts(matrix: Numbers) -> tuple[Any, Array, int]:
    """Values as a matrix of mpmath, sizes (those of what is rounded alone), and the largest depth."""
    numbers = lift(matrix)
    at = CONTEXT.matrix([[x.value for x in row] for row in numbers])
    depth = max(x.depth for x in numbers.flat)
    sizes = np.array([[x.size if x.depth else 0.0 for x in row] for row in numbers])
    return at, sizes, depth


def _floats(matrix: Any) -> Array:
    return np.array(matrix.tolist(), dtype=float)


def eigenvalues(matrix: Numbers) -> Numbers:
    """Those of a symmetric matrix, ascending: Weyl's bound on what moves them."""
    at, sizes, depth = _parts(matrix)
    with CONTEXT.workprec(2 * CONTEXT.prec):
        found = CONTEXT.eigsy(at, eigvals_only=True)
    size = float(np.linalg.norm(_floats(at)) + np.linalg.norm(sizes))
    depth = max(DECOMPOSITION * matrix.size, depth)
    return np.array([Bounded(+found[i], size, depth) for i in range(len(found))], dtype=object)


def inverse_slope(matrix: Numbers, direction: Numbers) -> Numbers:
    """d/dt (A + tK)⁻¹ at t = 0, by a difference quotient at four times the digits.

    With step 2⁻²⁵⁶ it leaves parts in 2⁵¹² of the third derivative, and 424 bits after what cancels.  The
    bound is that of the product A⁻¹KA⁻¹.
    """
    at, along = (_parts(x)[0] for x in (matrix, direction))
    with CONTEXT.workprec(4 * CONTEXT.prec):
        step = CONTEXT.ldexp(1, -256)
        found = (CONTEXT.inverse(at + step * along) - CONTEXT.inverse(at - step * along)) / (2 * step)
    X = inverse(matrix)
    return _within(found, X @ direction @ X)


def ridge_limit(target: Numbers, Phi: Numbers, start: Numbers, bounds: Numbers) -> Numbers:
    """The V that minimises ‖VΦ − target‖² + λ‖V − start‖² as λ → 0, with the bounds of ``bounds``.

    λ = 2⁻³⁴⁰ at four times the digits: off by parts in 2³⁴⁰ times the condition of ΦΦᵀ squared.
    """
    aim, at, before = (_parts(x)[0] for x in (target, Phi, start))
    with CONTEXT.workprec(4 * CONTEXT.prec):
        weight = CONTEXT.ldexp(1, -340)
        found = (aim * at.T + weight * before) * CONTEXT.inverse(at * at.T + weight * CONTEXT.eye(at.rows))
    return _within(found, bounds)


def _numbers(values: Any, errors: Array) -> Numbers:
    """Values that are off by ``errors`` times u: a condition number counts as that many roundings."""
    floats = np.abs(_floats(values))
    depth = max(1, math.ceil(errors.max() / floats.max()))
    sizes = np.maximum(floats, errors / depth)
    rows = range(values.rows), range(values.cols)
    found = [[Bounded(+values[i, j], float(sizes[i, j]), depth) for j in rows[1]] for i in rows[0]]
    return np.array(found, dtype=object)


def _within(values: Any, bounds: Numbers) -> Numbers:
    """Values with the bounds of other numbers."""
    rows = range(len(bounds)), range(bounds.shape[1])
    found = [
        [Bounded(+values[i, j], bounds[i, j].size, bounds[i, j].depth) for j in rows[1]] for i in rows[0]
    ]
    return np.array(found, dtype=object)
