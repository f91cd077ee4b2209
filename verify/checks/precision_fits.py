"""Identities of pseudo-inverses and resolvents at a second precision.

Each compares what is defined, at 51 digits, with what is stated, and the float64 measure of
:mod:`verify.checks.linearised`, :mod:`verify.checks.error_terms`, :mod:`verify.checks.sft_columns` or
:mod:`verify.checks.resolvent_identities` with what is defined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from numerics import model
from numerics.device import seeded
from numerics.sft import sft_minimiser
from verify.checks import error_terms
from verify.checks.linearised import Training
from verify.checks.points import tensor
from verify.checks.precision import evidence
from verify.checks.resolvent_identities import Small, smalls
from verify.ledger.evidence import Evidence
from verify.stats.bounded import Numbers, bounded, lift
from verify.stats.bounded_algebra import (
    eigenvalues,
    gram_inverse,
    inverse,
    inverse_slope,
    pseudo_inverse,
    ridge_limit,
)
from verify.stats.precision import two_precisions

Array = NDArray[np.float64]


# The linearisation ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Lifted(Training):
    """A training set in bounded numbers, what :mod:`numerics` computes from it written out."""

    @property
    def rank(self) -> int:
        return int(np.linalg.matrix_rank(np.vectorize(lambda x: float(x.value))(self.A)))

    @cached_property
    def start(self) -> Numbers:
        return inverse(self.gamma0)

    @cached_property
    def A_inverse(self) -> Numbers:
        return inverse(self.A)

    @cached_property
    def plus(self) -> Numbers:
        return pseudo_inverse(self.M)

    @cached_property
    def gram_plus(self) -> Numbers:
        return gram_inverse(self.M)

    def projection(self) -> Numbers:
        return np.asarray(self.M @ self.plus)

    def parts(self) -> tuple[Numbers, Numbers]:
        """V_S = −ηΩM† − Γ₀⁻¹(I − MM†) and V_N = −V_S E M†, E = Φ − M."""
        first = -self.eta * self.Omega @ self.plus - self.start @ (np.eye(self.d) - self.projection())
        return first, -first @ self.E @ self.plus


def lifted(of: Training) -> Lifted:
    """The training set with its floats taken exactly."""
    eta: Any = sp.Rational(of.eta)
    Omega, E, A, gamma0, Sigma = map(lift, (of.Omega, of.E, of.A, of.gamma0, of.Sigma))
    return Lifted(Omega, E, A, gamma0, Sigma, eta, of.n, of.text, of.split)


Of = Callable[[Training], Any]


def equality(
    prediction: Of, measure: Of, trainings: Sequence[Training], what: str, form: str = "printed"
) -> Evidence:
    """``measure`` against ``prediction`` of training sets."""
    found = []
    for of in trainings:
        exact = lifted(of)
        measured, defined, stated = map(np.atleast_1d, (measure(of), measure(exact), prediction(exact)))
        found.append(two_precisions(measured, defined, stated))
    return evidence(found, f"{what}: {'; '.join(of.text for of in trainings)}", form)


# Error terms ------------------------------------------------------------------------------------------


class Drawn:
    """One draw of :class:`verify.checks.error_terms.Drawn` in bounded numbers, full matrices throughout."""

    def __init__(self, of: error_terms.Drawn) -> None:
        self.task, d, eta = of.task, of.task.d, bounded(of.task.eta)
        A, Sigma0, Sigma = (lift(x) for x in (of.A, of.Sigma0, of.Sigma))
        self.A, self.Sigma = A, Sigma
        self.inverse = 1 / ((1 + bounded(1) / self.task.n) * Sigma0 + Sigma0.sum() / self.task.n)
        self.D_1, self.D_pre = 1 - self.inverse * Sigma, self.inverse - eta / A
        self.Sigma_A = (A.sum() * A + A**2) / d
        Omega = lift(of.Omega[0])
        M = A[:, None] * Omega
        plus = pseudo_inverse(M)
        self.Pi = (M @ plus)[None]
        off = np.eye(d) - self.Pi[0]
        self.V_S = -eta * Omega @ plus - self.inverse[:, None] * off

    def of_blocks(self, diagonal: Numbers) -> Numbers:
        starts = np.cumsum((0, *self.task.sizes[:-1]))
        return np.asarray(diagonal[starts])

    def _block(self, i: int, j: int) -> Numbers:
        ends = np.cumsum((0, *self.task.sizes))
        return np.asarray(self.Pi[0, ends[i] : ends[i + 1], ends[j] : ends[j + 1]])

    def pair(self, i: int, j: int) -> Numbers:
        return np.array([np.trace(self._block(i, j) @ self._block(j, i)) / self.task.d])

    def share(self, k: int) -> Numbers:
        return np.array([np.trace(self._block(k, k)) / self.task.sizes[k]])

    def measure(self, name: str) -> Numbers:
        """A quantity of :data:`verify.checks.error_terms.MEASURES`, a trace over d."""
        D_1, D_pre, Sigma, inverse, Sigma_A = (
            np.diag(x) for x in (self.D_1, self.D_pre, self.Sigma, self.inverse, self.Sigma_A)
        )
        miss, V, Pi = np.eye(self.task.d) + self.V_S @ Sigma, self.V_S, self.Pi[0]
        made: dict[str, Callable[[], Any]] = {
            "bias": lambda: miss @ miss.T,
            "T_var": lambda: V @ Sigma_A @ V.T,
            "T_var,Σ": lambda: V @ Sigma @ V.T,
            "T_11": lambda: self._block(0, 0) @ self._block(0, 0),
            "T_22": lambda: self._block(1, 1) @ self._block(1, 1),
            "bias, linear": lambda: 2 * D_1 @ Sigma @ D_pre @ Pi,
            "bias, quadratic": lambda: D_pre @ D_pre @ Pi @ Sigma @ Sigma @ Pi,
            "T_var, linear": lambda: -2 * inverse @ Sigma_A @ D_pre @ Pi,
            "tr(D_preΠΣ_AD_preΠ)/d": lambda: D_pre @ Pi @ Sigma_A @ D_pre @ Pi,
            "signal II": lambda: self.Sigma.sum() / self.task.n * (V @ Sigma @ V.T),
        }
        return np.array([np.trace(made[name]()) / self.task.d])


TASKS = (
    error_terms.Task((2, 3), 3, 7, (0.3, 1.2), (1.2, 0.4), (0.6, 1.9), 0.7),
    error_terms.Task((1, 2), 4, 5, (1.1, 0.4), (0.5, 1.3), (1.6, 0.7), 0.6),
)


def term(prediction: Callable[[Any], Any], measure: str, seed: int, form: str = "printed") -> Evidence:
    """A measure of one small draw against ``prediction`` from other quantities of the same draw."""
    found = []
    for task in TASKS:
        at = error_terms.Drawn(task, 1, seeded(seed, "cpu"))
        exact = Drawn(at)
        measured = error_terms.MEASURES[measure](at).numpy()
        found.append(two_precisions(measured, exact.measure(measure), prediction(exact)))
    sizes = ", ".join(f"({task.d},{task.n},{task.B})" for task in TASKS)
    return evidence(found, f"one draw, (d,n,B) = {sizes}", form)


# Ṽ_* --------------------------------------------------------------------------------------------------

SHAPES = ((4, 2), (3, 5), (4, 3))  # (d, B)
FITS = f"(d,B) = {', '.join(map(str, SHAPES))}, Φ nearly singular in the last"
RATE = 0.4
Fit = Callable[[Numbers, Numbers, Numbers, Any], Numbers]  # Ω, Φ, Γ₀⁻¹, η → Ṽ


def _targets(seed: int) -> list[tuple[Array, Array, Array]]:
    """Generic Ω, Φ and Γ₀⁻¹; two columns of the last Φ are parallel to 2⁻¹⁷."""
    source, found = np.random.default_rng(seed), []
    for d, B in SHAPES:
        Omega, Phi = source.normal(size=(2, d, B))
        found.append((Omega, Phi, np.eye(d) + 0.2 * source.normal(size=(d, d))))
    last = found[-1][1]
    last[:, 1] = last[:, 0] + 2.0**-17 * last[:, 1]
    return found


def _by_formula(Omega: Numbers, Phi: Numbers, start: Numbers) -> Numbers:
    """−ηΩΦ† − Γ₀⁻¹(I − ΦΦ†)."""
    plus = pseudo_inverse(Phi)
    return np.asarray(-RATE * Omega @ plus - start @ (np.eye(len(Phi)) - Phi @ plus))


def decomposition(
    prediction: Callable[[Numbers, Numbers, Numbers, Numbers, Any], Numbers], seed: int
) -> Evidence:
    """Ṽ_* of (4.1) against ``prediction``(L, Ω, Φ, Γ₀⁻¹, η), L any matrix."""
    found = []
    for Omega, Phi, start in _targets(seed):
        measured = sft_minimiser(tensor(Omega), tensor(Phi), tensor(start), RATE).numpy()
        L, Omega, Phi, start = map(lift, (start[::-1] + 1, Omega, Phi, start))
        stated = prediction(L, Omega, Phi, start, sp.Rational(RATE))
        found.append(two_precisions(measured, _by_formula(Omega, Phi, start), stated))
    return evidence(found, FITS + ", L arbitrary")


def least_norm(prediction: Fit, seed: int, form: str = "printed") -> Evidence:
    """The minimiser of ‖VΦ + ηΩ‖² + λ‖V + Γ₀⁻¹‖² as λ → 0 against ``prediction``(Ω, Φ, Γ₀⁻¹, η).

    In float64 a least-squares change of least norm (LAPACK).  Its bound, and that of the limit, is the one of
    the pseudo-inverse.
    """
    found = []
    for Omega, Phi, start in _targets(seed):
        change, *_ = np.linalg.lstsq(Phi.T, (start @ Phi - RATE * Omega).T, rcond=None)
        measured = change.T - start
        Omega, Phi, start = map(lift, (Omega, Phi, start))
        defined = ridge_limit(-RATE * Omega, Phi, -start, _by_formula(Omega, Phi, start))
        found.append(two_precisions(measured, defined, prediction(Omega, Phi, start, sp.Rational(RATE))))
    return evidence(found, FITS + ", λ = 2⁻³⁴⁰", form)


# Layers -----------------------------------------------------------------------------------------------


def merged_layer(
    prediction: Callable[[Numbers, Numbers, Numbers, Numbers, Numbers, int], Numbers], seed: int
) -> Evidence:
    """The layer with W_K, W_Q, W_V, W_P written out against ``prediction`` of Z, W_K, W_Q, W_V, W_P and λ."""
    source, scale = np.random.default_rng(seed), 6
    shapes = ((6, 5), (3, 6), (3, 6), (2, 6), (6, 2))
    Z, K, Q, V, P = (source.normal(size=shape) for shape in shapes)
    layer = partial(model.linear_attention, scale=scale)
    measured = layer(*map(tensor, (Z, K, Q, V, P))).numpy()
    Z, K, Q, V, P = map(lift, (Z, K, Q, V, P))
    defined = Z + (P @ (V @ Z)) @ ((K @ Z).T @ (Q @ Z)) / scale
    stated = prediction(Z, K, Q, V, P, scale)
    return evidence([two_precisions(measured, defined, stated)], "d=2, widths 3 and 2")


# Resolvents -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exact(Small):
    """A small M whose floats stand for the rationals that they are."""

    @property
    def numbers(self) -> tuple[Numbers, Numbers]:
        """MMᵀ and I."""
        M = lift(self.M)
        return M @ M.T, np.eye(self.d)


def scaled_mean(at: Exact) -> Any:
    gram, _ = at.numbers
    return sum(at.z / (x + at.z) for x in eigenvalues(gram)) / at.d


def inverse_trace(at: Exact) -> Any:
    return np.diag(gram_inverse(lift(at.M))) @ lift(at.Sigma) ** 2


def slope_of_mean(at: Exact) -> Any:
    gram, one = at.numbers
    moved = inverse_slope(gram / at.d + at.z * one, np.diag((lift(at.A) * lift(at.Sigma)) ** 2))
    return np.trace(moved) / at.d


def slope_of_block(at: Exact) -> Any:
    gram, one = at.numbers
    D1, D2 = at.blocks
    return np.trace(lift(D1) @ inverse_slope(gram + at.z * one, D2)) / at.d


def resolvent(
    definition: Callable[[Exact], Any],
    measure: Callable[[Small], Any],
    prediction: Callable[[Small], Any],
    seed: int,
    form: str = "printed",
) -> Evidence:
    """``measure`` against ``prediction``, in rationals or in bounded numbers, on Gaussian M."""
    found, shapes = [], []
    for at in smalls(seed):
        exact = Exact(at.M, at.A, at.Sigma, at.first, at.z)
        measured, defined, stated = map(np.asarray, (measure(at), definition(exact), prediction(exact)))
        found.append(two_precisions(measured, defined, stated))
        shapes.append(f"({at.d},{at.B})")
    return evidence(found, f"Gaussian M, (d,B) = {', '.join(shapes)}", form)
