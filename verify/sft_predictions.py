"""The printed formulas of Sections 4.1 to 4.3, evaluated at fine-tuning tasks and at generic points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import descent, exact, finetuning
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.wishart import expectation
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix
from verify.checks.finetuning import Task
from verify.checks.points import Point
from verify.predictions import OMEGA, PHI, V
from verify.surface import value

Array = NDArray[np.float64]
Pair = tuple[Any, Any]


def fine_tuned() -> tuple[Any, Any]:
    """(Ṽ_*, W̃_*) as (4.1) prints them."""
    V_star, W_star = registry()["thm-4.1"].printed.args[3].args[1]
    return V_star, W_star


def at_task(expression: Any, of: Task) -> Array:
    """An expression in Ω, Φ, Γ₀, η at a task."""
    values = {nt.Omega: of.Omega, nt.Phi: of.Phi, nt.Gamma0: of.gamma0, nt.eta: of.eta}
    return np.asarray(value(expression, values))


def in_rationals(
    expression: Any, prompts: finetuning.Prompts, gamma0: sp.Matrix, eta: Any, **more: Any
) -> Any:
    """The same at rational prompts; ``more`` are values by the names of symbols of :mod:`theory.notation`."""
    omega, phi = exact.stack(prompts)
    values = {nt.Omega: omega, nt.Phi: phi, nt.Gamma0: gamma0, nt.eta: eta}
    return value(expression, values | {getattr(nt, name): x for name, x in more.items()})


def printed_limit(of: Task) -> tuple[Array, Array]:
    """(Ṽ_*, W̃_*) of (4.1)."""
    V_star, W_star = fine_tuned()
    return at_task(V_star, of), at_task(W_star, of)


def printed_goal(of: Task) -> Array:
    """Ṽ_* of (4.1)."""
    return at_task(fine_tuned()[0], of)


def _sides(id: str, form: str = "printed") -> list[Pair]:
    """The two sides of each equation of a statement."""
    found = getattr(registry()[id], form)
    equations = found.args if isinstance(found, nt.Listing) else (found,)
    return [(equation.lhs, equation.rhs) for equation in equations]


def zero_loss_conditions(id: str) -> Callable[[Array, Array, Task], Array]:
    """Left minus right side of each equation in Ṽ, W̃, S_τ, w*_τ, Ω, Φ, for every prompt of a task."""

    def gaps(V: Array, W: Array, of: Task) -> Array:
        found = []
        for S, star in zip(of.prompts.S.numpy(), of.prompts.w_star.numpy(), strict=True):
            values = {nt.V: V, nt.W: W, nt.S_tau: S, nt.w_star_tau: star[:, None], nt.eta: of.eta}
            values |= {nt.Omega: of.Omega, nt.Phi: of.Phi}
            found += [(value(left, values) - value(right, values)).ravel() for left, right in _sides(id)]
        return np.concatenate(found)

    return gaps


def constraint(id: str, form: str) -> Callable[[Task, Array], tuple[Array, Array]]:
    """The two sides of an equation for the end Ṽ of descent; the paper calls it Ṽ_* or Ṽ."""

    def sides(of: Task, end: Array) -> tuple[Array, Array]:
        values = {nt.V: end, finetuning.V_STAR: end, nt.Omega: of.Omega, nt.Phi: of.Phi}
        ((left, right),) = _sides(id, form)
        scalars = {nt.eta: of.eta, nt.B: of.B}
        return value(left, values | scalars), value(right, values | scalars)

    return sides


# Descent --------------------------------------------------------------------------------------------


def rate(high: Any, low: Any, step_size: Any, c_k: Any, B: Any) -> Any:
    """α of Theorem 4.2 as printed."""
    values = {nt.lambda_max: high, nt.lambda_min: low, nt.step_size: step_size, nt.c_k: c_k, nt.B: B}
    return value(registry()["thm-4.2.a"].printed.args[1].rhs, values)


def rate_at_half(high: Any, low: Any, *_: Any) -> Any:
    """α at γ = B/(c_kλ_max) as printed."""
    return value(registry()["thm-4.2.b"].printed.rhs, {nt.lambda_max: high, nt.lambda_min: low})


def bound(gamma0: Any, goal: Any, alpha: Any, t: int) -> Any:
    """The printed bound on ‖Ṽ_t − Ṽ_*‖."""
    values = {nt.Gamma0: gamma0, finetuning.V_STAR: goal, nt.alpha: alpha, nt.t: t}
    return value(registry()["thm-4.2.a"].printed.args[0].rhs, values)


def relation(id: str, form: str = "printed") -> Callable[[Any, Any], bool]:
    """The relation that a statement claims, ≤ or <, or with ≥ where it says so; of an implication that of
    its conclusion, of several displays that of the first."""
    found = getattr(registry()[id], form)
    while not isinstance(found, sp.Rel):
        found = found.args[1] if isinstance(found, sp.Implies) else found.args[0]
    return lambda left, right: bool(found.func(left, right))


def _at_identity(expression: Any, point: Point) -> Any:
    """Words in Ṽ, Φ, Ω at a point, its numbers of any kind."""
    columns = [S @ star for S, star in zip(point.S, point.w_star, strict=True)]
    values = {V: point.V, PHI: np.array(columns).T, OMEGA: point.w_star.T}
    c_k = sum((1 - point.eta) ** (2 * i) for i in range(point.k + 1))
    return evaluate(expression, values, {nt.eta: point.eta, nt.c_k: c_k})


def loss_at(point: Point) -> Any:
    """L_SFT(Ṽ, I) as printed, one number."""
    return np.array([_at_identity(lower_scalar(registry()["thm-4.2-proof.a"].printed.rhs), point)])


def slope_at(point: Point) -> Any:
    """Its gradient as printed, d × d."""
    return _at_identity(lower_matrix(registry()["thm-4.2-proof.b"].printed.rhs), point)


def next_error(of: Task, step_size: float, c_k: float, error: Array) -> Array:
    """Δ_{t+1} from Δ_t as printed."""
    values = {descent.D_T: error, descent.M: of.Phi @ of.Phi.T}
    values |= {nt.step_size: step_size, nt.c_k: c_k, nt.B: of.B}
    return np.asarray(value(registry()["thm-4.2-proof.d"].printed.rhs, values))


def curvature_bound(form: str) -> Callable[[Any], Any]:
    """The printed bound on c_k as a function of η, infinite where it divides by zero."""

    def at(eta: Any) -> Any:
        found = getattr(registry()["thm-4.2-proof.f"], form)
        found = found.args[1] if isinstance(found, sp.Implies) else found
        try:
            return value(found.rhs, {nt.eta: eta})
        except ZeroDivisionError:
            return float("inf")

    return at


def largest_step(form: str) -> Callable[[Any, Any, Any, Any], Any]:
    """The step γ(λ_max, λ⁺_min, η, B) up to which more steps are claimed to be faster."""

    def at(high: Any, low: Any, eta: Any, B: Any) -> Any:
        assumed = getattr(registry()["rem-4.1.b"], form).args[0]
        (on_step,) = [r for r in [assumed, *assumed.args] if getattr(r, "lhs", None) == nt.step_size]
        values = {nt.lambda_max: high, nt.lambda_min: low, nt.eta: eta, nt.B: B}
        return value(on_step.rhs, values)

    return at


# Many prompts ---------------------------------------------------------------------------------------


def population_form(id: str = "prop-4.3") -> Any:
    """The printed limit of Ṽ_* as B → ∞, the last of equal sides."""
    limit = registry()[id].printed.args[3]
    return limit.args[-1] if isinstance(limit, nt.Chain) else limit


def of_population(id: str = "prop-4.3") -> Callable[[Array, int, float, Array], Array]:
    """The same at A, n, η, Γ₀."""

    def limit(A: Array, n: int, eta: float, gamma0: Array) -> Array:
        values = {nt.A: A, nt.n: n, nt.eta: eta, nt.Gamma0: gamma0}
        return np.asarray(value(population_form(id), values))

    return limit


def moment_form(id: str) -> Matrix:
    """The printed value of a moment in words, the mean over S taken where one is left."""
    form = registry()[id].printed.rhs
    factor, (inside,) = form.as_coeff_matrices() if isinstance(form, sp.MatMul) else (1, [form])
    if not isinstance(inside, nt.MatrixExpectation):
        return lower_matrix(inside) * factor
    return expectation(lower_matrix(inside.args[0]), nt.letter_of(nt.S), nt.letter_of(nt.A), nt.n) * factor
