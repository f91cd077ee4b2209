"""Section 3 written out on the full (2d+2)-row embedding, in NumPy arrays of numbers of any kind.

The measure of the second precision: it shares no code with :mod:`numerics`, has no closed form, and takes
derivatives by the product rule on numbers a + bε, ε² = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from verify.checks.outcome_derivatives import DerivativePoint
from verify.checks.points import Point
from verify.stats.bounded import Numbers, bounded, lift
from verify.stats.bounded_algebra import operator_norm


@dataclass(frozen=True, eq=False)
class LiftedPrompts:
    """X (B, d, n) and w* (B, d)."""

    X: Numbers
    w_star: Numbers

    @property
    def size(self) -> int:
        return len(self.X)

    @property
    def d(self) -> int:
        return int(self.X.shape[1])

    @property
    def n(self) -> int:
        return int(self.X.shape[2])


@dataclass(frozen=True)
class Lifted(Point):
    """A point whose floats are taken exactly, in arrays of bounded numbers; η is a SymPy rational.

    ``direction`` is that of a :class:`DerivativePoint`, at which derivatives are taken.
    """

    prompts: Any
    direction: Numbers

    @property
    def X(self) -> Numbers:
        return np.asarray(self.prompts.X)

    @property
    def S(self) -> Numbers:
        return np.array([X @ X.T / self.n for X in self.X])

    @property
    def w_star(self) -> Numbers:
        return np.asarray(self.prompts.w_star)


def lifted(point: Point) -> Lifted:
    """The point in bounded numbers, with nothing rounded."""
    prompts = LiftedPrompts(lift(point.X), lift(point.prompts.w_star.numpy()))
    direction = point.direction if isinstance(point, DerivativePoint) else np.zeros((point.d, point.d))
    eta: Any = sp.Rational(point.eta)
    return Lifted(lift(point.V), lift(point.W), prompts, lift(point.w0), eta, point.k, lift(direction))


# The model --------------------------------------------------------------------------------------------


def assemble(point: Lifted) -> tuple[Numbers, Numbers]:
    """(V, W) of the pattern (3.8), (2d+2, 2d+2) each."""
    d = point.d
    V, W = np.zeros((2, 2 * d + 2, 2 * d + 2), dtype=object)
    V[d + 1 : 2 * d + 1, :d] = point.V
    W[:d, d + 1 : 2 * d + 1] = point.W
    W[d, 2 * d + 1] = -1
    return V, W


def embed(X: Numbers, w_star: Numbers, columns: list[Numbers]) -> Numbers:
    """Z of eq. 3.2: the columns (x, y, 0, 0) of a prompt, then ``columns`` of length 2d+2."""
    d, n = X.shape
    prompt = np.zeros((2 * d + 2, n), dtype=object)
    prompt[:d], prompt[d] = X, w_star @ X
    return np.column_stack([prompt, *columns])


def weight_column(w: Numbers) -> Numbers:
    """(0, 0, w, 1)."""
    return np.concatenate([np.zeros(len(w) + 1, dtype=object), w, [1]])


def last_column(Z: Numbers, V: Numbers, W: Numbers, n: int) -> Numbers:
    """f_LSA(Z)[:, −1] = Z[:, −1] + V Z Zᵀ W Z[:, −1]/n (eq. 3.1)."""
    z = Z[:, -1]
    return np.asarray(z + V @ (Z @ (Z.T @ (W @ z))) / n)


def chains(point: Lifted) -> list[Numbers]:
    """The embedding of each prompt after k steps from w0, (2d+2, n+1+k)."""
    V, W = assemble(point)
    found = []
    for X, star in zip(point.X, point.w_star, strict=True):
        Z = embed(X, star, [weight_column(point.w0)])
        for _ in range(point.k):
            Z = np.column_stack([Z, last_column(Z, V, W, point.n)])
        found.append(Z)
    return found


# What is compared -------------------------------------------------------------------------------------


def generated_columns(point: Lifted) -> Numbers:
    return np.array([Z[:, point.n + 1 :].T for Z in chains(point)])


def weights(point: Lifted) -> Numbers:
    return np.array([Z[point.d + 1 : -1, point.n :].T for Z in chains(point)])


def last_weight(point: Lifted) -> Numbers:
    return np.asarray(weights(point)[:, -1])


def next_weights(point: Lifted) -> Numbers:
    return np.asarray(weights(point)[:, 1:])


def queries(point: Lifted) -> Numbers:
    _, W = assemble(point)
    return np.array([(W @ Z[:, point.n : point.n + point.k]).T for Z in chains(point)])


def scores(point: Lifted) -> Numbers:
    _, W = assemble(point)
    seen = [Z[:, : point.n + point.k] for Z in chains(point)]
    return np.array([Z.T @ (W @ Z[:, -1]) for Z in seen])


def mixing(point: Lifted) -> Numbers:
    V, _ = assemble(point)
    return np.array([V @ Z[:, : point.n + point.k] for Z in chains(point)])


def supervised_path(point: Lifted) -> Numbers:
    """w_0 … w_{k+1} of eq. 3.5."""
    rest = 1 - bounded(point.eta)
    reached = np.array([1 - rest**i for i in range(point.k + 2)])
    return np.asarray(reached[:, None] * point.w_star[:, None, :])


def supervised_residuals(point: Lifted) -> Numbers:
    """f_LSA(Z_i)[:, −1] − (0, 0, w_{i+1}, 1), (B, k+1, 2d+2)."""
    V, W = assemble(point)
    found = []
    for X, star, path in zip(point.X, point.w_star, supervised_path(point), strict=True):
        columns = [weight_column(w) for w in path]
        for i in range(point.k + 1):
            Z = embed(X, star, columns[: i + 1])
            found.append(last_column(Z, V, W, point.n) - columns[i + 1])
    return np.array(found).reshape(point.prompts.size, point.k + 1, -1)


def step_errors(point: Lifted) -> Numbers:
    return np.asarray((supervised_residuals(point) ** 2).sum(axis=-1))


def supervised_loss(point: Lifted) -> Numbers:
    return np.array([step_errors(point).sum() / (2 * point.prompts.size)])


def outcome_loss(point: Lifted) -> Numbers:
    """L_OS from ŵ_0 = 0."""
    point = replace(point, w0=0 * point.w0)
    miss = last_weight(point) - point.w_star
    return np.array([(miss**2).sum() / (2 * point.prompts.size)])


def one_step_risk(M: Numbers, Sigma: Numbers, n: int) -> Any:
    """E‖I + MS‖_F² for S = XXᵀ/n, columns of X from N(0, Σ): the square multiplied out, and
    E[S_cb S_eb] = Σ_cbΣ_eb + (Σ_ceΣ_bb + Σ_cbΣ_eb)/n."""
    apart, within = Sigma[:, None, :] * Sigma[None, :, :], Sigma[:, :, None] * np.diag(Sigma)
    moments = apart + (within + apart) / n  # (d, d, d) in c, e, b
    return len(M) + 2 * (M * Sigma.T).sum() + (M * (M @ moments.sum(-1))).sum()


# Derivatives ------------------------------------------------------------------------------------------


class Dual:
    """a + bε with ε² = 0, of which b is the derivative; nested for second derivatives."""

    __slots__ = ("slope", "value")

    def __init__(self, value: Any, slope: Any = 0) -> None:
        self.value, self.slope = value, slope

    def __add__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value + other, self.slope)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other: Any) -> Dual:
        if not isinstance(other, Dual):
            return Dual(self.value * other, self.slope * other)
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __sub__(self, other: Any) -> Dual:
        return self + -other

    def __neg__(self) -> Dual:
        return self * -1

    def __truediv__(self, number: int) -> Dual:
        return Dual(self.value / number, self.slope / number)

    def __pow__(self, exponent: int) -> Dual:
        assert exponent == 2
        return self * self

    __radd__, __rmul__ = __add__, __mul__


Loss = Callable[[Lifted], Numbers]


def moving(point: Lifted, direction: Numbers) -> Lifted:
    """The point with Ṽ + ε ``direction`` for Ṽ."""
    return replace(point, V=np.vectorize(Dual, otypes=[object])(point.V, direction))


def units(point: Lifted) -> list[Numbers]:
    """The d² matrices with a single 1, row by row."""
    made = []
    for at in product(range(point.d), repeat=2):
        unit = np.zeros((point.d, point.d), dtype=object)
        unit[at] = 1
        made.append(unit)
    return made


def _square(entries: list[Any], point: Lifted) -> Numbers:
    return np.array(entries, dtype=object).reshape(point.d, point.d)


def _slope(point: Lifted, *directions: Numbers, loss: Loss = outcome_loss) -> Any:
    """The derivative of a loss in Ṽ along one direction, or along one and then another."""
    for direction in directions:
        point = moving(point, direction)
    found = loss(point)[0]
    for _ in directions:
        found = found.slope
    return found


def gradient(point: Lifted) -> Numbers:
    """∇_Ṽ L_OS, (d, d)."""
    return _square([_slope(point, unit) for unit in units(point)], point)


def supervised_gradient(point: Lifted) -> Numbers:
    """∇_Ṽ L_SFT, (d, d)."""
    return _square([_slope(point, unit, loss=supervised_loss) for unit in units(point)], point)


def radial(point: Lifted) -> Numbers:
    return np.array([_slope(point, point.V)])


def first(point: Lifted) -> Lifted:
    """The point with its first prompt alone."""
    return replace(point, prompts=LiftedPrompts(point.X[:1], point.w_star[:1]))


def first_prompt(point: Lifted) -> Numbers:
    """H[E] of the loss of the first prompt."""
    alone = first(point)
    return _square([_slope(alone, unit, point.direction) for unit in units(point)], point)


def curvature_along(point: Lifted) -> Numbers:
    """⟨E, H[E]⟩."""
    return np.array([_slope(point, point.direction, point.direction)])


def power_norms(point: Lifted) -> Numbers:
    """Σ_j Σ_l ‖M‖^j ‖M‖^l ‖M‖^{k−1−l} ‖M‖^{k−1−j} ‖w*‖²‖S‖ of the first prompt, added up."""
    S, star, last = point.S[0], point.w_star[0], point.k - 1
    size = operator_norm(np.eye(point.d) + point.V @ S)
    powers = [size**j for j in range(point.k)]
    terms = (
        powers[j] * powers[i] * powers[last - i] * powers[last - j]
        for j, i in product(range(point.k), repeat=2)
    )
    return np.array([sum(terms) * (star @ star) * operator_norm(S)])


def gauss_newton(point: Lifted) -> Numbers:
    """JᵀJ[E] of the first prompt, J the derivative of ŵ_k."""
    alone = first(replace(point, w0=0 * point.w0))

    def moved(direction: Numbers) -> Numbers:
        return np.array([x.slope for x in last_weight(moving(alone, direction))[0]])

    along = moved(point.direction)
    return _square([moved(unit) @ along for unit in units(point)], point)
