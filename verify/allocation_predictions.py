"""From the registered forms of Section 5.1 to numbers, and to words, for the checks to compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import scipy.optimize
import sympy as sp
from numpy.typing import NDArray

from theory import allocation, hardness
from theory import allocation_words as words
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.statement import registry
from theory.words.poly import Matrix, Scalar, identity, letter, substitute
from verify.allocation_settings import initial, limit
from verify.checks.allocation import Shift
from verify.surface import value

Array = NDArray[np.float64]
P, OFF = allocation.P_U, nt.I - allocation.P_U


def printed(id: str) -> Any:
    return registry()[id].printed


def corrected(id: str) -> Any:
    return registry()[id].corrected


def sign(relation: Any) -> int:
    """+1 if the relation says that its left side is the larger, −1 if the right."""
    return 1 if relation.rel_op in (">", ">=") else -1


def inverted(limit_of: sp.Expr) -> float:
    """What 1/x tends to where x ≥ 0 tends to this."""
    return 1 / float(limit_of) if limit_of else float(np.finfo(float).max)


def symbols(at: Shift, A: Array | None = None) -> dict[sp.Basic, Any]:
    """The values of the symbols in a setting; A is the setting's by default."""
    given = at.A if A is None else A
    return {
        **{nt.n: at.n, nt.eta: at.eta, nt.d: len(at.P), nt.A: given, P: at.P},
        **{nt.Sigma0: at.Sigma0, nt.Sigma: at.Sigma, allocation.Delta: at.Delta},
        **{allocation.Sigma_U: at.on_shift, nt.Gamma0: -np.linalg.inv(initial(at))},
        allocation.Gamma: (at.n + 1) / at.n * at.Sigma + np.trace(at.Sigma) / at.n * np.eye(len(at.P)),
    }


def stated(
    form: sp.Basic, read: Callable[[Shift, Array], Array] = lambda _, x: x
) -> Callable[[Shift], Array]:
    """``form`` at a setting, and what ``read`` takes of it."""
    return lambda at: np.asarray(read(at, value(form, symbols(at))), dtype=float)


def inside(at: Shift, matrix: Array) -> Array:
    """The block on U, PMP."""
    return np.asarray(at.P @ matrix @ at.P)


def errors_on(form: sp.Basic, at: Shift, chosen: Sequence[Array]) -> list[float]:
    """``form``, an error, at each A."""
    return [float(value(form, symbols(at, A))) for A in chosen]


def excess_errors(at: Shift, chosen: Sequence[Array]) -> list[float]:
    """The post-test errors that insight-1.b states."""
    error, apart = corrected("insight-1.b").args
    found = []
    for A in chosen:
        values = symbols(at, A) | {allocation.V_inf: limit(at, A)}
        found.append(float(value(error.rhs, values | {hardness.apart: value(apart.rhs, values)})))
    return found


def best_of_all() -> Any:
    """The A of sec-5-dominant.b, of all and of those on U."""
    return corrected("sec-5-dominant.b").args[0].args[1]


def best_on_U() -> Any:
    return corrected("sec-5-dominant.b").args[1].args[1]


def lyapunov() -> Any:
    """The equation for Y of sec-5.1-allocation."""
    return corrected("sec-5.1-allocation").args[0]


# The best A -------------------------------------------------------------------------------------------


def _basis(at: Shift) -> Array:
    vectors = np.linalg.eigh(at.P)[1]
    return np.asarray(vectors[:, -round(np.trace(at.P)) :])


def from_lyapunov(at: Shift, span: Sequence[Array] = ()) -> Array:
    """The A that sec-5.1-allocation states: its equation solved for Y in the ``span`` (all that is symmetric
    on U by default), and A from Y."""
    equation, best = corrected("sec-5.1-allocation").args
    basis, values = _basis(at), symbols(at)
    pairs = combinations_with_replacement(basis.T, 2)
    units = span or [np.outer(u, v) + np.outer(v, u) for u, v in pairs]

    def rest(Y: Array) -> Array:
        left, right = (value(side, values | {allocation.Y: Y}) for side in equation.args)
        return np.asarray(at.P @ (left - right) @ at.P).ravel()

    start = rest(np.zeros_like(at.P))
    slopes = np.stack([rest(unit) - start for unit in units], axis=1)
    found = np.linalg.lstsq(slopes, -start, rcond=None)[0]
    Y = np.tensordot(found, np.stack(units), 1)
    inverse = np.linalg.pinv(Y, rcond=1e-10)
    return np.asarray(value(best.args[1], values | {nt.Pinv(allocation.Y): inverse, allocation.Y: Y}))


def least_on_shift(objective: sp.Basic, far: int) -> Callable[[Shift], Array]:
    """The A = LLᵀ on U at which ``objective``, in Ṽ_∞(A), is least for prompts of length ``far``."""

    def predict(at: Shift) -> Array:
        basis, values = _basis(at), symbols(at) | {nt.n: far}
        m = basis.shape[1]
        before = -np.linalg.inv(at.Sigma0 + (at.Sigma0 + np.trace(at.Sigma0) * np.eye(len(at.P))) / far)

        def covariance(flat: Array) -> Array:
            L = flat.reshape(m, m)
            return np.asarray(L @ L.T)

        def error(flat: Array) -> float:
            A = covariance(flat)
            level = A + (A + np.trace(A) * np.eye(m)) / far
            V = before @ at.off - at.eta * basis @ np.linalg.inv(level) @ basis.T
            return float(value(objective, values | {nt.A: basis @ A @ basis.T, allocation.V_inf: V}))

        found = scipy.optimize.minimize(error, np.eye(m).ravel(), method="BFGS")
        return np.asarray(basis @ covariance(found.x) @ basis.T)

    return predict


# In words, and on an eigenspace -----------------------------------------------------------------------


def in_words(form: sp.Basic) -> Matrix:
    """``form`` with Y for the inverse of M(A) on U, and Δ = PΔP."""
    inverse = {x: P * words.Y * P for x in form.atoms(sp.Inverse) if not isinstance(x.arg, sp.MatrixSymbol)}
    onto, shift = letter(words.P), letter(nt.letter_of(allocation.Delta))
    lowered = substitute(lower_matrix(form.xreplace(inverse)), {nt.letter_of(P): onto})
    return substitute(lowered, {nt.letter_of(allocation.Delta): onto @ shift @ onto})


def lyapunov_in_words() -> Matrix:
    """Half of left less right of the equation of sec-5.1-allocation, Y = PYP, in Σ alone."""
    onto, sigma = letter(words.P), letter(nt.letter_of(nt.Sigma))
    known = {
        nt.letter_of(P): onto,
        nt.letter_of(allocation.Y): onto @ letter(nt.letter_of(allocation.Y)) @ onto,
        nt.letter_of(allocation.Gamma): levels_of(sigma),
        nt.letter_of(allocation.Sigma_U): onto @ sigma @ onto,
    }
    left, right = (substitute(lower_matrix(side), known) for side in lyapunov().args)
    return (left - right) * sp.Rational(1, 2)


def completed() -> tuple[Scalar, Scalar]:
    """The risk (5.1) in Ṽ and Γ, and the print of insight-1.b in the same."""
    risk, _ = words.excess()
    error, apart = corrected("insight-1.b").args
    gamma = letter(nt.letter_of(allocation.Gamma))
    stated = lower_scalar(error.rhs.xreplace({hardness.apart: apart.rhs.xreplace({allocation.V_inf: nt.V})}))
    return risk, substitute(stated, {nt.letter_of(nt.Sigma): words.preimage(gamma)})


def levels_of(A: Matrix) -> Matrix:
    """(n+1)/n A + tr(A)/n I."""
    return A * ((nt.n + 1) / nt.n) + identity(nt.d) * (A.trace() * (1 / nt.n))


def on_eigenspace(form: sp.Basic, values: Mapping[sp.Basic, Any]) -> sp.Expr:
    """``form`` on a common eigenspace of its matrices, eigenvalues given for them, and traces as symbols."""
    as_blocks = {
        key: sp.Matrix([[found]]) if isinstance(key, sp.MatrixSymbol) else found
        for key, found in values.items()
    }
    return value(form, as_blocks)[0, 0]
