"""Formulas of the outcome loss's derivatives as predictions, and the settings that they are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.prompts import sample_prompts
from theory.outcome_calculus import Given, at_arrays, in_norms, value
from theory.statement import Statement
from verify.checks.definition import Lifted
from verify.checks.outcome_derivatives import Chain, Claim, DerivativePoint
from verify.checks.points import Point, block, covariance, rational, tensor
from verify.stability_settings import initial
from verify.stats.bounded_algebra import inverse, operator_norm

Array = NDArray[np.float64]


def _radius(matrix: Any) -> Any:
    return torch.linalg.eigvals(torch.as_tensor(matrix)).abs().amax(-1)


def _inverse(matrix: Array) -> Array:
    """M⁻¹, or nan in each entry where there is none."""
    singular = np.linalg.matrix_rank(matrix) < len(matrix)
    return np.asarray(np.full_like(matrix, np.nan) if singular else np.linalg.inv(matrix))


def at_floats(V: Array, covariances: Array, stars: Array, k: int, direction: Array | None = None) -> Given:
    """Ṽ, prompts with covariances (B, d, d) and weights (B, d)."""
    prompts = [(S_at, w_at[:, None]) for S_at, w_at in zip(covariances, stars, strict=True)]
    return at_arrays(
        V,
        prompts,
        k,
        np.eye(len(V)),
        direction=direction,
        exact=False,
        norm=lambda matrix: float(np.linalg.norm(matrix, 2)),
        radius=lambda matrix: float(_radius(matrix)),
        pinv=lambda matrix: np.linalg.pinv(matrix, rcond=1e-10),
        inverse=_inverse,
    )


def at_lifted(point: Lifted) -> Given:
    """A point of the second precision."""
    prompts = [(S_at, w_at[:, None]) for S_at, w_at in zip(point.S, point.w_star, strict=True)]
    one = np.eye(point.d)
    return at_arrays(
        point.V, prompts, point.k, one, direction=point.direction, norm=operator_norm, inverse=inverse
    )


def of_point(formula: sp.Basic) -> Callable[[Point], Array]:
    """A formula at a point; one without τ is that of the first prompt."""

    def predict(point: Point) -> Array:
        if isinstance(point, Lifted):
            return np.atleast_1d(np.asarray(value(formula, at_lifted(point))))
        assert isinstance(point, DerivativePoint)
        at = at_floats(point.V, point.S, point.w_star, point.k, point.direction)
        return np.atleast_1d(np.asarray(value(formula, at), dtype=float))

    return predict


def of_chain(formula: sp.Basic) -> Callable[[Chain], Array]:
    """A formula with no k in it at a chain."""
    return lambda chain: np.asarray(value(formula, at_floats(chain.V, chain.S, chain.w_star, 0)))


def of_tensors(formula: sp.Expr) -> Callable[[Tensor, Tensor, Tensor, int], Tensor]:
    """A bound by the norms of w*, S and the powers of M, and by ρ(M), for many points at once."""
    norm = torch.linalg.matrix_norm

    @cache
    def compiled(k: int) -> tuple[list[str], Callable[..., Tensor]]:
        expression = in_norms(formula, k)
        symbols = sorted(expression.free_symbols, key=str)
        return [str(s) for s in symbols], sp.lambdify(symbols, expression, "math")

    def bound(V: Tensor, S_at: Tensor, w_at: Tensor, k: int) -> Tensor:
        step = torch.eye(V.shape[-1], dtype=V.dtype) + V @ S_at

        def of(name: str) -> Tensor:
            if name in ("u", "s"):
                return w_at.square().sum((-2, -1)) if name == "u" else norm(S_at, 2)
            if name == "r":
                return torch.as_tensor(_radius(step))
            power = int(name[1:]) if name[0] == "m" else -int(name[1:])
            return norm(torch.linalg.matrix_power(step, power), 2)

        names, value_of = compiled(k)
        return torch.as_tensor(value_of(*map(of, names)))

    return bound


def exact_prompts(d: int, B: int, n: int | None = None) -> list[tuple[sp.Matrix, sp.Matrix]]:
    """B prompts (S, w*) in rationals, S of rank n."""
    found = []
    for t in range(B):
        X = rational(d, n or d, f"oX{d}{t}")
        found.append((X * X.T / X.cols, rational(d, 1, f"ow{d}{t}")))
    return found


def claim(statement: Statement) -> Claim:
    """A printed implication as a function of ρ(M) and of the factor per step that the gradient gains."""
    premise, conclusion = statement.printed.args

    def holds(radius: float, rate: float) -> bool:
        given = premise.func(sp.Float(radius), premise.rhs)
        return bool(not given or conclusion.func(sp.Float(rate), conclusion.rhs))

    return holds


# Settings ------------------------------------------------------------------------------------------


def figure_one(shifted: bool, seed: int, d: int = 40, n: int = 100, B: int = 10) -> Chain:
    """Figure 1's levels at a tenth of its d: Ṽ = −Γ₀⁻¹ for Σ₀ = diag(0.1, 1), halves of the axes each, and
    prompts from Σ₀, or from Σ₀ + Δ with ``shifted``."""
    levels = np.where(np.arange(d) < d // 2, 0.1, 1.0)
    Sigma = np.diag(levels + shifted * (np.arange(d) < d // 2))
    prompts = sample_prompts(tensor(Sigma), n, B, seeded(seed, "cpu"))
    V = initial(np.diag(levels), n)
    where = "Σ₀ + Δ" if shifted else "Σ₀"
    return Chain(V, prompts.S.numpy(), prompts.w_star.numpy(), f"Figure 1's levels, d={d}, n={n}, {where}")


def non_normal(radius: float, seed: int, d: int = 3, B: int = 1) -> Chain:
    """Asymmetric Ṽ with ρ(M) = ``radius`` for a full-rank S, M far from normal."""
    source = np.random.default_rng(seed % 2**32)
    S_at = np.array([covariance(d, seed % 2**32)] * B)
    shape = np.triu(source.normal(size=(d, d)) * 4, 1) + np.diag(np.linspace(0.3, 1, d) * radius)
    turn, _ = np.linalg.qr(source.normal(size=(d, d)))
    step = turn @ shape @ turn.T
    V = (step - np.eye(d)) @ np.linalg.inv(S_at[0])
    return Chain(V, S_at, source.normal(size=(B, d)), f"M not normal, d={d}")


def short_prompts(seed: int, d: int = 8, n: int = 2, B: int = 4) -> Chain:
    """n < d: M_τ is I on null(S_τ), and below 1 elsewhere."""
    prompts = sample_prompts(tensor(covariance(d, seed % 2**32)), n, B, seeded(seed, "cpu"))
    covariances = prompts.S.numpy()
    root = block(d, seed % 2**32 + 1)
    V = -(root @ root.T + np.eye(d))
    V = 1.5 * V / max(np.linalg.norm(V @ S_at, 2) for S_at in covariances)
    return Chain(V, covariances, prompts.w_star.numpy(), f"n = {n} < d = {d}")


def interpolating(seed: int, d: int = 3, B: int = 2) -> Chain:
    """B < d prompts of length d + 2 and a Ṽ with ṼΦ = −Ω: a global minimum with M_τw*_τ = 0, M_τ ≠ 0."""
    prompts = sample_prompts(tensor(covariance(d, seed % 2**32)), d + 2, B, seeded(seed, "cpu"))
    covariances, stars = prompts.S.numpy(), prompts.w_star.numpy()
    Phi, start = np.einsum("tij,tj->it", covariances, stars), -0.7 * np.eye(d) + block(d, 5, 0.2)
    V = start - (start @ Phi + stars.T) @ np.linalg.pinv(Phi)
    return Chain(V, covariances, stars, f"interpolating Ṽ, d={d}, B={B}")


def long_prompts(d: int = 3, B: int = 6) -> Chain:
    """n = ∞, where every S_τ is Σ, and Ṽ = −Σ⁻¹, where M = 0."""
    Sigma = covariance(d, 7)
    stars = np.random.default_rng(8).normal(size=(B, d))
    return Chain(
        np.asarray(-np.linalg.inv(Sigma), dtype=float), np.array([Sigma] * B), stars, f"n = ∞, d={d}, B={B}"
    )


def interpolated(at: Iterator[Point]) -> Iterator[Point]:
    """The points with Ṽ changed by a matrix of rank one, so that M w* = 0 for their first prompt."""
    for point in at:
        S_at, star = point.S[0], point.w_star[0]
        onto = S_at @ star
        yield replace(point, V=point.V - np.outer(point.V @ onto + star, onto) / (onto @ onto))
