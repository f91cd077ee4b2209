"""Where the checks of ``theory/stability.py`` are made, and prints as predictions there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import notation as nt
from theory import stability
from theory.allocation_words import Delta
from theory.explicit import explicit
from verify.checks.stability import Pretraining, Scene, Start, population
from verify.surface import value

Array = NDArray[np.float64]
SIGMA0, SHIFT = np.array([[1.0, 0.4], [0.4, 0.5]]), np.array([[0.3, -0.5], [-0.5, 1.6]])
CROSSED = np.array([[5.0, 4.0], [4.0, 5.0]])  # eigenvalues 9 and 1 at 45° to the axes
UNSTABLE = Scene(2, 0.25, d=4, n=32)


@cache
def one_dimensional() -> list[Start]:
    return [population(k, (1.3,), (x,)) for k in (1, 2, 3, 4) for x in (-2.5, 0.6)]


@cache
def commuting() -> list[Start]:
    """In a turned basis, levels that differ; the least limit is at the largest |x| or the largest level."""
    return [
        population(k, (0.4, 1.5, 1.0), x, seed=5)
        for k in (1, 2, 3)
        for x in ((-3.0, 0.5, 0.8), (-0.9, 0.7, -0.2))
    ]


@cache
def sampled() -> list[Scene]:
    """Prompts as in Figure 1, on either side of ρ = 1; k to 4."""
    scenes = [Scene(k, level) for k, level in ((2, 0.1), (2, 0.8), (3, 0.4), (4, 0.2))]
    return [*scenes, Scene(3, 0.4, n=8)]


def at(expression: sp.Expr, k: int, **values: float) -> float:
    """A printed expression as a number; names are those of ``theory.stability``."""
    given = {getattr(stability, name): value for name, value in values.items()}
    found = expression.subs(given).subs({nt.k: k, **given})
    return float(found) if found.is_extended_real else float("nan")  # as 1/0 is not


def most(relation: sp.Rel) -> sp.Expr:
    """The largest left side that a printed inequality allows."""
    return relation.rhs if isinstance(relation, sp.StrictLessThan | sp.LessThan) else sp.oo


def allowed(expression: sp.Expr) -> Callable[[Start], float]:
    """A limit of the step in terms of λ_max(H), as a prediction."""
    return lambda start: at(expression, start.k, curvature=start.curvature)


def ways(*relations: sp.Rel) -> tuple[int, ...]:
    """−1 for each order printed as <, +1 for each >."""
    return tuple({sp.StrictLessThan: -1, sp.StrictGreaterThan: 1}[type(each)] for each in relations)


def along(implication: sp.Implies) -> int:
    """The sign of the change, as the first quantity grows, that an implication between two orders prints."""
    first, second = ways(*implication.args)
    return first * second


def concluded(implication: sp.Implies) -> Callable[[Array], Array]:
    """What a printed implication concludes of ρ(M), for many values of it.

    Rounding of an eigenvalue 1, which singular prompts have, is no sign of instability.
    """
    relation = implication.args[1]
    return lambda radii: np.array(
        [bool(value(relation, {stability.radius: r})) for r in np.where(abs(radii - 1) < 1e-9, 1.0, radii)]
    )


def from_one_step(expression: sp.Expr) -> Callable[[Start], float]:
    """η_max with the C of k = 1, where it is 2/λ_max(H), as a prediction."""

    def predict(start: Start) -> float:
        C = float(2 / replace(start, k=1).curvature)
        M = np.eye(len(start.V)) + start.V.numpy() @ start.S[0].numpy()
        return at(expression, start.k, constant=C, radius=float(np.abs(np.linalg.eigvals(M)).max()))

    return predict


def each_limit(formula: sp.Expr, level: sp.Symbol, error: sp.Symbol) -> Callable[[Start], float]:
    """The least over the eigenvalues of ``formula``, as a prediction."""

    def predict(start: Start) -> float:
        A, V = start.S[0].numpy(), start.V.numpy()
        levels, basis = np.linalg.eigh(A)
        errors = 1 + np.diag(basis.T @ V @ basis) * levels
        pairs = zip(levels, errors, strict=True)
        return min(float(formula.subs({level: a, error: x}).subs(nt.k, start.k)) for a, x in pairs)

    return predict


def printed_matrix(expression: sp.Expr, Sigma0: sp.Matrix, shift: sp.Matrix, n: int) -> sp.Matrix:
    """A printed matrix at Σ₀, Δ and Γ₀ of (3.7) for prompts of length n."""
    gamma0 = Sigma0 + (Sigma0 + Sigma0.trace() * sp.eye(Sigma0.rows)) / n
    values = {nt.Sigma0: Sigma0, Delta: shift, nt.Gamma0: gamma0}
    return explicit(expression, values, {nt.d: Sigma0.rows, nt.n: n})


def of_print(expression: sp.Expr) -> Callable[[Pretraining], Array]:
    """A printed matrix, as a prediction from Σ₀, Δ and n of pretraining."""

    def predict(of: Pretraining) -> Array:
        Sigma0, shift = (sp.Matrix(m).applyfunc(sp.nsimplify) for m in (of.Sigma0, of.Delta))
        found = printed_matrix(expression, Sigma0, shift, of.n)
        return np.array(found.evalf(), dtype=float)

    return predict


def initial(Sigma0: Array, n_pre: int | None = None) -> Array:
    """−Γ₀⁻¹ of (3.7); None: Γ₀ = Σ₀."""
    d = len(Sigma0)
    spread = 0 if n_pre is None else (Sigma0 + np.trace(Sigma0) * np.eye(d)) / n_pre
    return np.asarray(-np.linalg.inv(Sigma0 + spread))
