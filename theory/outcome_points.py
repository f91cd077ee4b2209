"""The outcome loss at W̃ = I in rational arithmetic, its derivatives, and where the print fails.

The derivatives read no formula of Section 6 or Appendix E: the loss runs the recursion (A.1), along a line
it is a polynomial of degree 2k, and they are those of the polynomial through 2k + 1 of its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import exact
from theory.outcome_calculus import Given, at_arrays, value
from theory.statement import Counterexample

Prompts = Sequence[tuple[sp.Matrix, sp.Matrix]]  # (S, w*), w* a column


def errors(V: sp.Matrix, S: sp.Matrix, w: sp.Matrix, k: int) -> list[sp.Matrix]:
    """w* − ŵ_i for i = 0 … k, by A.1 from ŵ_0 = 0."""
    reached, found = w * 0, [w]
    for _ in range(k):
        reached = reached + V * (S * (reached - w))
        found.append(w - reached)
    return found


def loss(V: sp.Matrix, prompts: Prompts, k: int) -> Any:
    """L_OS(Ṽ, I) = 1/(2B) Σ ‖w* − ŵ_k‖²."""
    total = sum(exact.frobenius_squared(errors(V, S, w, k)[-1]) for S, w in prompts)
    return total / (2 * len(prompts))


@cache
def weights(degree: int, order: int) -> tuple[tuple[int, sp.Rational], ...]:
    """(x, weight) such that Σ weight · p(x) is p^{(order)}(0) for every polynomial of that degree."""
    at = [(j + 1) // 2 * (-1) ** j for j in range(degree + 1)]  # 0, −1, 1, −2, 2, …
    powers = sp.Matrix(degree + 1, degree + 1, lambda p, j: sp.Integer(at[j]) ** p)
    right = sp.zeros(degree + 1, 1)
    right[order] = sp.factorial(order)
    return tuple(zip(at, powers.LUsolve(right), strict=True))


def along(function: Callable[[int], Any], degree: int, order: int) -> Any:
    """The derivative at 0, of the given order, of a polynomial function of at most that degree."""
    return sum(weight * function(x) for x, weight in weights(degree, order) if weight)


def units(dim: int) -> list[sp.Matrix]:
    """The matrices with a single 1, row by row."""
    made = []
    for row, col in product(range(dim), repeat=2):
        unit = sp.zeros(dim)
        unit[row, col] = 1
        made.append(unit)
    return made


def slope(V: sp.Matrix, E: sp.Matrix, prompts: Prompts, k: int, order: int = 1) -> Any:
    """d/dt (or of another order) of L_OS(Ṽ + tE, I) at t = 0."""
    return along(lambda t: loss(V + t * E, prompts, k), 2 * k, order)


def gradient(V: sp.Matrix, prompts: Prompts, k: int) -> sp.Matrix:
    """∇L_OS, entry by entry."""
    return sp.Matrix(V.rows, V.rows, [slope(V, unit, prompts, k) for unit in units(V.rows)])


def hessian_times(V: sp.Matrix, E: sp.Matrix, prompts: Prompts, k: int) -> sp.Matrix:
    """Σ ∂²L/∂Ṽ_ab∂Ṽ_cd E_cd, each second derivative by polarisation of those along lines."""
    entries = []
    for unit in units(V.rows):
        plus, minus = (slope(V, E + sign * unit, prompts, k, 2) for sign in (1, -1))
        entries.append((plus - minus) / 4)
    return sp.Matrix(V.rows, V.rows, entries)


def back_propagated(V: sp.Matrix, prompts: Prompts, k: int) -> sp.Matrix:
    """∇L_OS by the chain rule backwards through A.1, for k too large for polynomials of degree 2k."""
    total = sp.zeros(V.rows)
    for S, w in prompts:
        path = errors(V, S, w, k)
        sent = path[-1]
        for now in reversed(path[:-1]):
            total += sent * (S * now).T
            sent = sent + (V * S).T * sent
    return total / len(prompts)


# Formulas at rationals -----------------------------------------------------------------------------


def _array(matrix: sp.Matrix) -> NDArray[np.object_]:
    return np.array(matrix.tolist(), dtype=object).reshape(matrix.shape)


def _inverse(matrix: NDArray[Any]) -> NDArray[Any]:
    """M⁻¹, or nan in each entry where there is none."""
    found = sp.Matrix(matrix.tolist())
    return _array(found.inv() if found.det() != 0 else sp.nan * sp.ones(*found.shape))


def at_rationals(V: sp.Matrix, prompts: Prompts, k: int, E: sp.Matrix | None = None) -> Given:
    """Exact arrays; norms as algebraic numbers."""

    def norm(matrix: NDArray[Any]) -> Any:
        found = sp.Matrix(matrix.tolist())
        if found.rows != 2:
            return max(found.singular_values())
        square = found.T * found
        trace, det = square.trace(), square.det()
        return sp.sqrt((trace + sp.sqrt(trace**2 - 4 * det)) / 2)

    return at_arrays(
        _array(V),
        [(_array(S_at), _array(w_at)) for S_at, w_at in prompts],
        k,
        _array(sp.eye(V.rows)),
        direction=None if E is None else _array(E),
        norm=norm,
        radius=lambda matrix: max(abs(x) for x in sp.Matrix(matrix.tolist()).eigenvals()),
        pinv=lambda matrix: _array(sp.Matrix(matrix.tolist()).pinv()),
        inverse=_inverse,
    )


def exactly(formula: sp.Basic, given: Given) -> Any:
    """A formula in rationals, a SymPy matrix or number."""
    found = value(formula, given)
    return sp.Matrix(found.tolist()) if isinstance(found, np.ndarray) else sp.sympify(found)


# Where the print fails -----------------------------------------------------------------------------

_ONE = sp.eye(1)


def falls_outside(printed: sp.Basic) -> Counterexample:
    """S = I, M = diag(2, 1/2), w* = e₂: ρ(M) = 2, and the gradient is k 2^{1−2k} in one entry."""
    V, w = sp.diag(1, sp.Rational(-1, 2)), sp.Matrix([0, 1])
    first, second = (exact.frobenius_squared(gradient(V, [(sp.eye(2), w)], k)) for k in (1, 4))
    premise, conclusion = printed.args
    # Falling from k = 1 to 4 is a factor per step below 1.
    claimed = sp.Implies(premise.func(2, premise.rhs), conclusion.func(second / first, 1))
    return Counterexample("S=I, M=diag(2,1/2), w*=e₂: ‖∇L‖² grows from k=1 to 4", sp.true, claimed)


def dropped_at_one(printed: sp.Basic) -> Counterexample:
    """d = 1, S = w* = 1, k = 2: L = x⁴/2 in x = M, so H = 6x², of which 4x² is kept, at every x."""
    x, k = sp.Rational(1, 1000), 2
    whole = slope(sp.Matrix([[x - 1]]), _ONE, [(_ONE, _ONE)], k, 2)
    kept = along(lambda t: errors(sp.Matrix([[x - 1 + t]]), _ONE, _ONE, k)[-1][0], k, 1) ** 2
    return Counterexample(
        "d=S=w*=1, k=2, M=1/1000: what is dropped over what is kept, in the limit M → 0",
        printed.args[3],
        (whole - kept) / kept,
    )


def beyond_first_bound(printed: sp.Basic) -> Counterexample:
    """d = 1, k = 1, w* = 1, S = 2: H = S²w*² = 4 at every Ṽ."""
    prompts = [(2 * _ONE, _ONE)]
    found = slope(-_ONE, _ONE, prompts, 1, 2)
    bound = exactly(printed.args[1], at_rationals(-_ONE, prompts, 1))
    return Counterexample(f"d=k=w*=1, S=2: ‖H‖={found} ≤ {bound}", sp.true, printed.func(found, bound))


def nilpotent(printed: sp.Basic) -> Counterexample:
    """M = [[0, 1], [0, 0]]: norm 1, spectral radius 0; S = I, w* = e₁, k = 2."""
    V = sp.Matrix([[-1, 1], [0, -1]])
    at = at_rationals(V, [(sp.eye(2), sp.Matrix([1, 0]))], 2)
    left, right = (exactly(side, at) for side in printed.args)
    return Counterexample("M=[[0,1],[0,0]], S=I, ‖w*‖=1, k=2: k²ρ(M)^{2k−2} against the sum", right, left)
