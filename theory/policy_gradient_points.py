"""Policy gradients from their definition, in rationals: the oracle that the closed forms are held against.

A policy w = ŵ_k(Ṽ) + σz, z ~ N(0, I), reward −½‖w − w*‖², and the estimator as a polynomial in the z of a
group, its score by SymPy's derivative of log π along the full model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from theory import exact
from theory.errors import check_count

Advantage = Callable[[list[Any]], list[Any]]  # a group's rewards → its advantages


def constant(b: Any) -> Advantage:
    """R − b."""
    return lambda rewards: [r - b for r in rewards]


def group_mean(rewards: list[Any]) -> list[Any]:
    """R less the mean of the group."""
    mean = sp.Add(*rewards) / len(rewards)
    return [r - mean for r in rewards]


def leave_one_out(rewards: list[Any]) -> list[Any]:
    """R less the mean of the others."""
    return [r - (sp.Add(*rewards) - r) / (len(rewards) - 1) for r in rewards]


@dataclass(frozen=True)
class Policy:
    """The model with blocks V, W (d × d) after k steps on the prompt X (d × n), w_star (d × 1); rationals."""

    V: sp.Matrix
    W: sp.Matrix
    X: sp.Matrix
    w_star: sp.Matrix
    k: int
    sigma: Any

    @cached_property
    def _entries(self) -> sp.Matrix:
        return sp.Matrix(self.V.rows, self.V.rows, sp.symbols(f"v:{self.V.rows}:{self.V.rows}"))

    @cached_property
    def _reached(self) -> sp.Matrix:
        """ŵ_k as a polynomial in the entries of Ṽ."""
        d = self.V.rows
        column = exact.chain(*exact.assemble(self._entries, self.W), self.X, self.w_star, self.k)[-1]
        return column[d + 1 : -1, 0].applyfunc(sp.expand)

    def _here(self, value: sp.Matrix) -> sp.Matrix:
        return value.subs(dict(zip(self._entries, self.V, strict=True)))

    @cached_property
    def error(self) -> sp.Matrix:
        """ŵ_k − w*, d × 1."""
        return self._here(self._reached) - self.w_star

    @cached_property
    def gradient(self) -> sp.Matrix:
        """∇_Ṽ of ½‖ŵ_k − w*‖², d × d."""
        loss = exact.frobenius_squared(self._reached - self.w_star) / 2
        return self._here(self._entries.applyfunc(lambda v: sp.diff(loss, v)))

    @cached_property
    def jacobian(self) -> sp.Matrix:
        """∂ŵ_k/∂Ṽ, d × d², the entries of Ṽ row by row."""
        return self._here(self._reached.jacobian(list(self._entries)))

    def estimate(self, advantage: Advantage, size: int) -> tuple[sp.Matrix, list[sp.Symbol]]:
        """The estimator in Ṽ as a column of d² polynomials in standard normals, and these."""
        d, total, groups, normals = self.V.rows, sp.zeros(self.V.rows**2, 1), [], []
        for member in range(check_count("size", size)):
            z = sp.Matrix(sp.symbols(f"z{member}_:{d}"))
            groups.append(self._here(self._reached) + self.sigma * z)
            normals += list(z)
        rewards = [-exact.frobenius_squared(action - self.w_star) / 2 for action in groups]
        for action, weight in zip(groups, advantage(rewards), strict=True):
            log_pi = -exact.frobenius_squared(action - self._reached) / (2 * self.sigma**2)
            score = self._here(self._entries.reshape(d * d, 1).applyfunc(lambda v, of=log_pi: sp.diff(of, v)))
            total += weight * score / size
        return total.applyfunc(sp.expand), normals

    def mean(self, advantage: Advantage, size: int = 1) -> sp.Matrix:
        """E of the estimator, d × d."""
        total, normals = self.estimate(advantage, size)
        return total.applyfunc(lambda x: exact.gaussian_mean(x, normals)).reshape(self.V.rows, self.V.rows)

    def spread(self, advantage: Advantage, size: int = 1) -> Any:
        """E‖estimator − its mean‖_F²."""
        total, normals = self.estimate(advantage, size)
        second = exact.gaussian_mean(sp.Add(*(x**2 for x in total)), normals)
        return second - exact.frobenius_squared(self.mean(advantage, size))


def covariance(error: sp.Matrix, sigma: Any, advantage: Advantage, size: int = 1) -> sp.Matrix:
    """The covariance of the estimator in the output, (1/G) Σ advantage · z/σ, d × d."""
    d, normals, total = error.rows, [], sp.zeros(error.rows, 1)
    group = [sp.Matrix(sp.symbols(f"z{member}_:{d}")) for member in range(check_count("size", size))]
    rewards = [-exact.frobenius_squared(error + sigma * z) / 2 for z in group]
    for z, weight in zip(group, advantage(rewards), strict=True):
        total += weight * z / (sigma * size)
        normals += list(z)
    mean = total.applyfunc(lambda x: exact.gaussian_mean(x, normals))
    return (total * total.T).applyfunc(lambda x: exact.gaussian_mean(x, normals)) - mean * mean.T
