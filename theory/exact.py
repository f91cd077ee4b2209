"""The definitions in rational arithmetic: the oracle that the derivations are held against.

The forward pass works on the full (2d+2)-row embedding of eqs. 3.1 to 3.5 and knows no recursion;
expectations expand the definition into monomials of independent standard normals and use
E[z^{2p}] = (2p−1)!! alone.  Everything is a SymPy matrix of rationals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import sympy as sp
from sympy.polys.rings import PolyRing

from theory.errors import ArgumentError, check_count

Rational: TypeAlias = Any  # SymPy numbers and polynomials


def matrix(rows: list[list[int | str | sp.Expr]]) -> sp.Matrix:
    """A matrix of rationals; strings such as ``"-2/3"`` are read exactly."""
    return sp.Matrix([[sp.sympify(x, rational=True) for x in row] for row in rows])


def assemble(V: sp.Matrix, W: sp.Matrix, label: Rational | int = -1) -> tuple[sp.Matrix, sp.Matrix]:
    """The full (2d+2) × (2d+2) weights of the pattern (3.8) from the d × d blocks Ṽ, W̃."""
    d = V.rows
    full_v, full_w = sp.zeros(2 * d + 2), sp.zeros(2 * d + 2)
    full_v[d + 1 : 2 * d + 1, :d] = V
    full_w[:d, d + 1 : 2 * d + 1] = W
    full_w[d, 2 * d + 1] = label
    return full_v, full_w


def embed(X: sp.Matrix, w_star: sp.Matrix, columns: list[sp.Matrix]) -> sp.Matrix:
    """Z of eq. 3.2: prompt columns (x, y, 0, 0), then ``columns`` of length 2d+2 as they are."""
    d, n = X.shape
    prompt = sp.Matrix.vstack(X, w_star.T * X, sp.zeros(d, n), sp.zeros(1, n))
    return sp.Matrix.hstack(prompt, *columns)


def weight_column(w: sp.Matrix) -> sp.Matrix:
    """(0, 0, w, 1)."""
    return sp.Matrix.vstack(sp.zeros(w.rows + 1, 1), w, sp.ones(1, 1))


def forward(Z: sp.Matrix, V: sp.Matrix, W: sp.Matrix, n: int) -> sp.Matrix:
    """f_LSA(Z)[:, −1] = Z[:, −1] + V Z Zᵀ W Z[:, −1] / n (eq. 3.1 with λ = n)."""
    z = Z[:, -1]
    return z + V * (Z * (Z.T * (W * z))) / n


def chain(V: sp.Matrix, W: sp.Matrix, X: sp.Matrix, w_star: sp.Matrix, k: int) -> list[sp.Matrix]:
    """The k columns that the model with full weights V, W appends to its own embedding (eq. 3.3)."""
    check_count("k", k, 0)
    columns = [weight_column(sp.zeros(X.rows, 1))]
    for _ in range(k):
        columns.append(forward(embed(X, w_star, columns), V, W, X.cols))
    return columns[1:]


def taught(V: sp.Matrix, W: sp.Matrix, X: sp.Matrix, w_star: sp.Matrix, eta: Rational, i: int) -> sp.Matrix:
    """f_LSA(Z_i)[:, −1] with the ground-truth weights w_0 … w_i of eq. 3.5 in the embedding."""
    columns = [weight_column(target(w_star, eta, j)) for j in range(i + 1)]
    return forward(embed(X, w_star, columns), V, W, X.cols)


def target(w_star: sp.Matrix, eta: Rational, i: int) -> sp.Matrix:
    """w_i = (1 − (1−η)^i) w* (eq. 3.5); 0⁰ = 1, so w_0 = 0 at η = 1 too."""
    return (1 - sp.sympify(1 - eta) ** i) * w_star


def covariance(X: sp.Matrix) -> sp.Matrix:
    """S = XXᵀ/n."""
    return X * X.T / X.cols


def supervised_loss(
    V: sp.Matrix,
    W: sp.Matrix,
    prompts: list[tuple[sp.Matrix, sp.Matrix]],
    eta: Rational,
    k: int,
    label: Rational | int = -1,
) -> Rational:
    """L_SFT of eq. 3.5 at blocks Ṽ, W̃, from the full model, over prompts (X, w*)."""
    check_count("k", k, 0)
    full_v, full_w = assemble(V, W, label)
    total = sp.Integer(0)
    for X, w_star in prompts:
        for i in range(k + 1):
            miss = taught(full_v, full_w, X, w_star, eta, i) - weight_column(target(w_star, eta, i + 1))
            total += sum(x**2 for x in miss)
    return sp.expand(total / (2 * len(prompts)))


def gaussian_mean(polynomial: sp.Expr, normals: list[sp.Symbol]) -> Rational:
    """E of a polynomial in independent standard normals, monomial by monomial; other symbols stay.

    Raises ``ValueError`` for what is no polynomial in them.
    """
    polynomial = sp.sympify(polynomial)
    # Roots and fractions of numbers and of other symbols count as symbols; one of the normals is refused.
    roots = {x for x in polynomial.atoms(sp.Pow) if not (x.exp.is_Integer and x.exp.is_positive)}
    roots = {x for x in roots if x.free_symbols.isdisjoint(normals)}
    others = (polynomial.free_symbols | roots) - set(normals)
    # A polynomial ring multiplies out a hundred times faster than expand.
    ring = PolyRing((*normals, *sorted(others, key=str)), sp.QQ)
    total = ring.zero
    for powers, coefficient in ring.from_expr(polynomial).terms():
        drawn, kept = powers[: len(normals)], powers[len(normals) :]
        if all(p % 2 == 0 for p in drawn):
            moment = sp.QQ(int(sp.prod([sp.factorial2(p - 1) for p in drawn if p])))
            total += ring.term_new((0,) * len(drawn) + kept, coefficient * moment)
    return total.as_expr()


def normal_prompt(root: sp.Matrix, n: int, name: str = "z") -> tuple[sp.Matrix, list[sp.Symbol]]:
    """X = L Z with Z a d × n matrix of standard normal symbols: columns x ~ N(0, L Lᵀ)."""
    check_count("n", n)
    if root.rows != root.cols:
        raise ArgumentError(f"root has shape {root.shape}: must be square")
    symbols = [[sp.Symbol(f"{name}{r}_{c}") for c in range(n)] for r in range(root.cols)]
    return root * sp.Matrix(symbols), [s for row in symbols for s in row]


def mean_over_prompts(function: Callable[[sp.Matrix], Any], root: sp.Matrix, n: int) -> sp.Matrix | Rational:
    """E over S of ``function(S)``, a polynomial in S's entries, from the definition of S."""
    X, normals = normal_prompt(root, n)
    value = function(covariance(X))
    if isinstance(value, sp.MatrixBase):
        return value.applyfunc(lambda e: gaussian_mean(e, normals))
    return gaussian_mean(value, normals)


def frobenius_squared(M: sp.Matrix) -> Rational:
    """‖M‖_F²."""
    return sp.Add(*(x**2 for x in M))


def fixed_point(Omega: sp.Matrix, Phi: sp.Matrix, gamma0: sp.Matrix, eta: sp.Expr) -> sp.Matrix:
    """Ṽ_* of (4.1) in rational arithmetic."""
    plus = Phi.pinv()
    return -eta * Omega * plus - gamma0.inv() * (sp.eye(Phi.rows) - Phi * plus)


def stack(prompts: list[tuple[sp.Matrix, sp.Matrix]]) -> tuple[sp.Matrix, sp.Matrix]:
    """(Ω, Φ) of prompts (X, w*)."""
    return (
        sp.Matrix.hstack(*(w for _, w in prompts)),
        sp.Matrix.hstack(*(covariance(X) * w for X, w in prompts)),
    )


def supervised_gradient(
    prompts: list[tuple[sp.Matrix, sp.Matrix]], V: sp.Matrix, eta: Rational, k: int
) -> tuple[sp.Matrix, sp.Matrix]:
    """The gradients of L_SFT in Ṽ and in W̃ at (V, I), from the full model in rational arithmetic.

    The loss is quadratic in Ṽ and in W̃, each with the other fixed, so central differences are exact.
    """
    size = V.rows

    def slope(at: Callable[[sp.Matrix], Rational]) -> sp.Matrix:
        def entry(row: int, col: int) -> Rational:
            unit = sp.zeros(size)
            unit[row, col] = 1
            return (at(unit) - at(-unit)) / 2

        return sp.Matrix(size, size, entry)

    return (
        slope(lambda change: supervised_loss(V + change, sp.eye(size), prompts, eta, k)),
        slope(lambda change: supervised_loss(V, sp.eye(size) + change, prompts, eta, k)),
    )
