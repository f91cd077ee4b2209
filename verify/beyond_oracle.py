"""Prompts outside the paper's assumptions in rational arithmetic: laws with finitely many values, enumerated.

Independent of the derivations: means are sums over all outcomes, predictions come out of the full model on an
embedding whose label row has the noise in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import sympy as sp

from theory import exact

R = sp.Rational
Value = tuple[sp.Expr, sp.Expr]  # a value and its probability
SIGNS: tuple[Value, ...] = ((R(-1), R(1, 2)), (R(1), R(1, 2)))
THREE: tuple[Value, ...] = ((R(-2), R(1, 8)), (R(0), R(3, 4)), (R(2), R(1, 8)))  # κ = 1
RADII: tuple[Value, ...] = ((R(1, 2), R(2, 3)), (R(2), R(1, 3)))  # Eg = 1, ϑ = 3/2
Prompt = tuple[sp.Matrix, sp.Matrix, sp.Matrix]  # X, w*, ε (n × 1)


def outcomes(values: tuple[Value, ...], rows: int, cols: int) -> Iterator[tuple[sp.Matrix, sp.Expr]]:
    """Every matrix of independent entries with these values, and its probability."""
    for entries in product(values, repeat=rows * cols):
        yield sp.Matrix(rows, cols, [value for value, _ in entries]), sp.prod(p for _, p in entries)


def mean_over_entries(
    values: tuple[Value, ...], root: sp.Matrix, function: Callable[[sp.Matrix], sp.Matrix], n: int
) -> sp.Matrix:
    """E[function(S)] for x = Lz with entries of z of these values."""
    total = sp.zeros(root.rows)
    for z, p in outcomes(values, root.cols, n):
        total += function(exact.covariance(root * z)) * p
    return total


def second_moment_of_entries(values: tuple[Value, ...], root: sp.Matrix, M: sp.Matrix, n: int) -> sp.Matrix:
    """E[SMS] for the same."""
    return mean_over_entries(values, root, lambda S: S * M * S, n)


def second_moment_of_radii(root: sp.Matrix, M: sp.Matrix, n: int) -> sp.Matrix:
    """E[SMS] for columns √g Lz, z standard normal, g of :data:`RADII`."""
    X, normals = exact.normal_prompt(root, n)
    total = sp.zeros(root.rows)
    for g, p in outcomes(RADII, n, 1):
        S = X * sp.diag(*g) * X.T / n
        total += (S * M * S).applyfunc(lambda e: exact.gaussian_mean(e, normals)) * p
    return total


def second_moment_of_pairs(root: sp.Matrix, M: sp.Matrix, factor: sp.Matrix) -> sp.Matrix:
    """E[SMS] for Gaussian columns with E[x_ix_jᵀ] = C_ij LLᵀ, C = ``factor`` ``factor``ᵀ."""
    X, normals = exact.normal_prompt(root, factor.rows)
    S = exact.covariance(X * factor.T)
    return (S * M * S).applyfunc(lambda e: exact.gaussian_mean(e, normals))


# The full model on noisy labels ---------------------------------------------------------------------


def embed(prompt: Prompt, columns: list[sp.Matrix]) -> sp.Matrix:
    """Z of eq. 3.2 with ε added to the labels."""
    X, w, noise = prompt
    Z = exact.embed(X, w, columns)
    Z[X.rows, : X.cols] = Z[X.rows, : X.cols] + noise.T
    return Z


def predicted(V: sp.Matrix, prompt: Prompt, k: int) -> sp.Matrix:
    """ŵ_k from w_0 = 0 at W̃ = I."""
    d = V.rows
    full = exact.assemble(V, sp.eye(d))
    columns = [exact.weight_column(sp.zeros(d, 1))]
    for _ in range(k):
        columns.append(exact.forward(embed(prompt, columns), *full, prompt[0].cols))
    return columns[-1][d + 1 : 2 * d + 1, 0]


def squared_miss(V: sp.Matrix, prompt: Prompt, k: int) -> sp.Expr:
    """‖ŵ_k − w*‖²."""
    return sp.expand(exact.frobenius_squared(predicted(V, prompt, k) - prompt[1]))


def path_loss(V: sp.Matrix, W: sp.Matrix, prompts: list[Prompt], levels: list[sp.Expr]) -> sp.Expr:
    """L_SFT on the path w_i = (1 − q_i)w*, q = ``levels``, from the full model on noisy labels."""
    full, total = exact.assemble(V, W), sp.Integer(0)
    for prompt in prompts:
        columns = [exact.weight_column((1 - q) * prompt[1]) for q in levels]
        for i in range(len(levels) - 1):
            out = exact.forward(embed(prompt, columns[: i + 1]), *full, prompt[0].cols)
            total += exact.frobenius_squared(out - columns[i + 1])
    return sp.expand(total / (2 * len(prompts)))


def rates(eta: sp.Expr, k: int) -> list[sp.Expr]:
    """q_0 … q_{k+1} of eq. 3.5."""
    return [sp.sympify(1 - eta) ** i for i in range(k + 2)]


def population(
    function: Callable[[Prompt], Any], root: sp.Matrix, task_root: sp.Matrix, sigma: sp.Expr, n: int
) -> Any:
    """The mean of ``function`` over prompts with Rademacher entries in z = L⁻¹x, u = Λ^{-1/2}w* and ε/σ."""
    d, total = root.rows, None
    for z, p in outcomes(SIGNS, d, n):
        for u, q in outcomes(SIGNS, d, 1):
            for noise, s in outcomes(SIGNS, n, 1):
                term = function((root * z, task_root * u, sigma * noise)) * (p * q * s)
                total = term if total is None else total + term
    return total


def slope(loss: Callable[[sp.Matrix], sp.Expr], at: sp.Matrix) -> sp.Matrix:
    """The gradient of a quadratic function of a matrix, by central differences, which are exact."""

    def entry(row: int, col: int) -> sp.Expr:
        unit = sp.zeros(*at.shape)
        unit[row, col] = 1
        return (loss(at + unit) - loss(at - unit)) / 2

    return sp.Matrix(*at.shape, entry)


def columns_of(prompts: list[Prompt]) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """Ω, Φ and Ξ."""
    return (
        sp.Matrix.hstack(*(w for _, w, _ in prompts)),
        sp.Matrix.hstack(*(exact.covariance(X) * w for X, w, _ in prompts)),
        sp.Matrix.hstack(*(X * noise / X.cols for X, _, noise in prompts)),
    )
