"""Deterministic equivalents of a projection and of a pseudo-inverse, all from one fixed-point equation.

M is d × B with independent columns N(0, C), C diagonal with K levels c_k of weights μ_k; d, B → ∞ with
B/d → β.  Π = MM† projects on the columns.  Everything below is a function of the root q of

    Σ_k μ_k c_k q / (1 + c_k q) = β,       q = ∞ from β = Σ{μ_k : c_k > 0} = rank(C)/d on,

and of w_k = c_k q/(1 + c_k q), v_k = w_k (1 − w_k).  Notes: ``notes/equivalents.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
STEPS = 200  # each halves the bracket at the least, so that these reach the last bit
EPS = float(np.finfo(np.float64).eps)


def root(beta: ArrayLike, levels: Array, weights: Array) -> Array:
    """q(β), of the shape of ``beta``; 0 at β = 0 and ∞ from the rank on.

    ``levels`` c_k ≥ 0 and ``weights`` μ_k ≥ 0 are (K,), all taken as checked.  Newton's method on
    logit(Σμ_k w_k/s) as a function of log q, which is a straight line for one level, kept inside a bracket.
    """
    beta = np.asarray(beta, dtype=float)
    held = (levels > 0) & (weights > 0)
    c, mu = levels[held], weights[held]
    rank = mu.sum()
    q = np.where(beta > 0, np.inf, 0.0)
    inside = (beta > 0) & (beta < rank)
    if not inside.any():
        return q
    share = beta[inside]
    goal = np.log(share) - np.log(rank - share)
    log_c = np.log(c)[:, None]
    low, high = goal - log_c.max(), goal - log_c.min()
    at = goal - float(mu @ log_c[:, 0]) / rank
    for _ in range(STEPS):
        ratio = np.exp(at + log_c)
        w = ratio / (1 + ratio)
        filled, free = mu @ w, mu @ (1 / (1 + ratio))
        miss = np.log(filled) - np.log(free) - goal
        low, high = np.where(miss <= 0, at, low), np.where(miss >= 0, at, high)
        step = miss * filled * free / (rank * (mu @ (w / (1 + ratio))))
        new = at - step
        new = np.where((new < low) | (new > high), (low + high) / 2, new)
        settled = np.abs(new - at) <= 4 * EPS * np.maximum(1.0, np.abs(at))
        at = new
        if settled.all():
            break
    q[inside] = np.exp(at)
    return q


@dataclass(frozen=True)
class Equivalents:
    """The limits at each of N values of β.

    ``beta`` and ``q`` are (N,), ``w`` and ``v`` (K, N), ``weights`` and ``levels`` (K,); ``rank`` is
    rank(C)/d, the place of the spike.
    """

    beta: Array
    q: Array
    w: Array
    v: Array
    levels: Array
    weights: Array

    @property
    def rank(self) -> float:
        """rank(C)/d, the share of the blocks whose level is not 0."""
        return float(self.weights[self.levels > 0].sum())

    def linear(self, f: Array) -> Array:
        """(1/d) tr(F Π) for F = diag(f_k): Σ μ_k f_k w_k, (N,)."""
        return np.asarray((self.weights * f) @ self.w)

    def quadratic(self, f: Array, g: Array) -> Array:
        """(1/d) tr(F Π G Π): Σ μ_k f_k g_k w_k² + (Σ μ_k f_k v_k)(Σ μ_k g_k v_k)/Σ μ_k v_k, (N,)."""
        spread = self.weights @ self.v
        crossed = ((self.weights * f) @ self.v) * ((self.weights * g) @ self.v)
        return np.asarray(
            (self.weights * f * g) @ self.w**2
            + np.divide(crossed, spread, out=np.zeros_like(spread), where=spread > 0)
        )

    def inverse(self, f: Array) -> Array:
        """(1/d) tr(F (MMᵀ/d)†), (N,); ∞ at the spike.

        Below it q Σ μ_k f_k v_k / Σ μ_k v_k, above it Σ{μ_k f_k/c_k : c_k > 0}/(β − rank).
        """
        held = self.levels > 0
        above = float((self.weights[held] * f[held] / self.levels[held]).sum())
        found = np.full(self.beta.shape, np.inf)
        past = self.beta > self.rank
        found[past] = above / (self.beta[past] - self.rank)
        below = np.isfinite(self.q)
        # q v_k = c_k q²/(1 + c_k q)², and v_k/q its finite form as q → 0
        shape = self.levels[held, None] / (1 + self.levels[held, None] * self.q[below]) ** 2
        crossed, spread = (self.weights * f)[held] @ shape, self.weights[held] @ shape
        none = np.zeros_like(spread)  # of C = 0
        found[below] = self.q[below] * np.divide(crossed, spread, out=none, where=spread > 0)
        return found


def equivalents(beta: ArrayLike, levels: Array, weights: Array) -> Equivalents:
    """The deterministic equivalents at each β ≥ 0 (a number or (N,)) for covariance levels c_k ≥ 0.

    The arguments are taken as checked.
    """
    beta = np.atleast_1d(np.asarray(beta, dtype=float))
    q = root(beta, levels, weights)
    with np.errstate(invalid="ignore"):  # ∞/∞ and ∞·0, replaced below
        ratio = levels[:, None] * q
        w, free = ratio / (1 + ratio), 1 / (1 + ratio)
    full = np.isinf(q)
    w[:, full], free[:, full] = (levels > 0)[:, None], (levels == 0)[:, None]
    return Equivalents(beta, q, w, w * free, levels, weights)


def resolvent_root(beta: float, levels: Array, weights: Array, shift: ArrayLike) -> float:
    """b > 0 of the equivalent diag(1/(x_k + b c_k)) of (MMᵀ/d + diag(x))⁻¹, x_k > 0 the ``shift``.

    It solves b + Σ μ_k b c_k/(x_k + b c_k) = β.  The left side is concave and increasing in b, so that
    Newton's method from 0 goes up to the root; where rounding lets it go no further it ends.  The arguments
    are taken as checked.
    """
    x = np.broadcast_to(np.asarray(shift, dtype=float), levels.shape)
    b = 0.0
    for _ in range(STEPS):
        free = x / (x + b * levels)
        miss = beta - b - float(weights @ (1 - free))
        new = b + miss / (1 + float(weights @ (levels * free**2 / x)))
        if not new > b * (1 + EPS):
            break
        b = new
    return b
