"""The settings that the evidence for Section 5.1 is taken in: generic, the paper's, and in rationals.

Like :mod:`verify.predictions` this takes predictions from :mod:`theory`; the checks never do.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import allocation, hardness
from theory import notation as nt
from theory.allocation_optimum import Row, allocation_table, full_risk_allocation, risk_parts
from theory.explicit import explicit
from theory.population import LIMIT
from verify.checks import allocation as check
from verify.checks.allocation import Law, Shift, Trial
from verify.checks.points import rational

Array = NDArray[np.float64]
Values = tuple[dict[Any, Any], dict[Any, Any]]  # of the matrix symbols and of the scalars

# The settings are fixed: the best A are covariances there, and every effect is several times its δ.
AT = 187
FULL, CROSSED = check.shift(AT, 3, 5, 2), check.shift(AT, 3, 5, 2, crossing=0.85)
SHORT = check.shift(AT, 2, 5, 2)  # where n + m + 1 is small, so that each of its terms counts
CAPTION = ((200, 0.1, 1.0), (200, 1.0, 0.0))  # Σ₀ and Δ of Figure 1


@cache
def small(n: int) -> Shift:
    return check.shift(AT, n, 3, 2)


@cache
def small_crossed(n: int) -> Shift:
    return check.shift(AT, n, 3, 2, crossing=0.6)


@cache
def slim(n: int, crossing: float) -> Shift:
    """dim U^⊥ = 2 > m = 1."""
    return check.shift(AT, n, 3, 1, crossing=crossing)


def initial(at: Shift) -> Array:
    """−Γ₀⁻¹."""
    spread = (at.Sigma0 + np.trace(at.Sigma0) * np.eye(len(at.P))) / at.n
    return np.asarray(-np.linalg.inv(at.Sigma0 + spread))


def limit(at: Shift, A: Array | None = None) -> Array:
    """Ṽ_∞ at A, by default the setting's: of the solutions of Ṽ E[S²] = −ηA that nearest to −Γ₀⁻¹."""
    first, before = at.A if A is None else A, initial(at)
    second = first @ first + (first @ first + np.trace(first) * first) / at.n
    missing = -at.eta * first - before @ second
    return np.asarray(before + missing @ np.linalg.pinv(second, rcond=1e-10, hermitian=True))


def best_on_shift(at: Shift) -> Array:
    return full_risk_allocation(at.Sigma0, at.Delta, at.n, at.eta)


def dominant(trial: Trial) -> float:
    """‖I + ṼΣ‖_F²."""
    return risk_parts(trial.V, trial.law.Sigma, trial.law.n)[0]


def excess(at: Shift, A: Array) -> float:
    """tr((Ṽ + Γ⁻¹)ΣΓ(Ṽ + Γ⁻¹)ᵀ) at Ṽ_∞(A)."""
    level = (at.n + 1) / at.n * at.Sigma + np.trace(at.Sigma) / at.n * np.eye(len(at.P))
    apart = limit(at, A) + np.linalg.inv(level)
    return float(np.trace(apart @ at.Sigma @ level @ apart.T))


# The paper's setting ----------------------------------------------------------------------------------


@cache
def table(n: int) -> dict[str, Row]:
    """The rows of the caption's setting by choice of A."""
    return {row.choice: row for row in allocation_table(CAPTION, (n,))}


def _diagonal_limit(at: Shift, A: Array) -> Array:
    """Ṽ_∞ at η diag(A), for diagonal Σ₀."""
    M = (at.n + 1) / at.n * A + A.sum() / at.n
    before = (at.n + 1) / at.n * np.diag(at.Sigma0) + np.trace(at.Sigma0) / at.n
    return np.diag(-1 / np.where(A > 0, M, before))


@cache
def paper_trials(n: int) -> dict[str, Trial]:
    """At the caption's Σ₀: each choice of A in the table, and A = 3ηΣ_U."""
    at = check.paper(n)
    law, zero = Law(at.Sigma, n), n / (n + 1) * (1.1 - 220 / (n + 201))
    chosen = {
        "pretrained": (0.0, 0.0),
        "operator": (zero, 0.0),
        "eta Sigma_U": (1.1, 0.0),
        "full risk": (1.1 + 200 / (n + 201), 0.0),
        "eta Sigma": (1.1, 1.0),
        "thrice": (3.3, 0.0),
    }
    halves = {name: np.repeat(levels, len(at.P) // 2) for name, levels in chosen.items()}
    return {name: Trial(_diagonal_limit(at, A), law) for name, A in halves.items()}


def paper_trial(A: Array, n: int) -> Trial:
    """The same at a diagonal A, with the same samples."""
    at = check.paper(n)
    return Trial(_diagonal_limit(at, np.diag(A) / at.eta), paper_trials(n)["eta Sigma"].law)


@cache
def hardness_trials(n: int) -> dict[tuple[float, str], Trial]:
    """The pretrained model on A = 1.1 P_U and on as much of U^⊥, at η = 1 and (A scaled, so Ṽ) at η = 0.2."""
    at = check.paper(n)
    V, laws = _diagonal_limit(at, np.zeros(len(at.P))), {"U": Law(1.1 * at.P, n), "W": Law(1.1 * at.off, n)}
    return {(eta, where): Trial(eta * V, laws[where]) for where in laws for eta in (1.0, 0.2)}


# Rationals --------------------------------------------------------------------------------------------

POINTS = ((2, 1, 1), (3, 2, 2))  # (d, m, n)
SIZES = "rationals, (d,m,n) = (2,1,1), (3,2,2), U along no axis"


def rationals(key: str, d: int, m: int, commuting: bool) -> tuple[Any, Any, Any, Any]:
    """(P, Σ₀, Δ, A) in rationals, d × d: P onto an m-dimensional U that no coordinate axis lies in."""
    columns = rational(d, d, f"{key} basis")
    basis = sp.GramSchmidt([columns[:, j] for j in range(d)])
    P = sp.zeros(d)
    for v in basis[:m]:
        P += v * v.T / (v.T * v)[0]
    off, inside = sp.eye(d) - P, []
    for j in range(3):
        root = rational(d, d, f"{key} {j}")
        inside.append(root * root.T)
    Sigma0 = inside[0] + sp.eye(d) / 5
    if commuting:
        Sigma0 = P * Sigma0 * P + off * Sigma0 * off
    return P, Sigma0, P * inside[1] * P, P * inside[2] * P


def matrices(P: Any, Sigma0: Any, Delta: Any, A: Any, n: int, eta: Any) -> Values:
    """Values of the symbols of the statements; Ṽ_∞ from (4.2)."""
    scalars = {nt.n: n, nt.d: P.rows, nt.eta: eta}

    def level(covariance: Any) -> Any:
        return (1 + sp.Rational(1, n)) * covariance + covariance.trace() / n * sp.eye(P.rows)

    Sigma = Sigma0 + Delta
    given = {nt.A: A, nt.Gamma0: level(Sigma0), nt.Sigma0: Sigma0, nt.Sigma: Sigma}
    V = explicit(LIMIT, given, scalars)
    given |= {allocation.P_U: P, allocation.Delta: Delta, allocation.Gamma: level(Sigma)}
    given[allocation.Sigma_U] = P * Sigma * P
    return given | {allocation.V_inf: V, hardness.apart: V + level(Sigma).inv()}, scalars


def at_points(commuting: bool) -> Iterator[Values]:
    for d, m, n in POINTS:
        P, Sigma0, Delta, A = rationals(f"alloc{d}{m}{n}", d, m, commuting)
        yield matrices(P, Sigma0, Delta, A, n, sp.Rational(2, 5))


def equal(left: Any, right: Any) -> bool:
    return all(sp.simplify(x) == 0 for x in left - right)
