"""The checks of the outcome loss's curvature call wrong predictions wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from mutations import Case, Plan, unnoticed

from theory import kstep
from theory import notation as nt
from theory.curvature import spectrum
from theory.errors import ArgumentError
from verify.checks import curvature as check
from verify.checks.curvature import Landscape
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260304
D = 4


def commuting(steps: int, isotropic: bool = False, radius: float = 0.9) -> Landscape:
    m = np.array([-radius, 0.5, -0.2, 0.3])
    levels = np.ones(D) if isotropic else np.array([1.0, 0.4, 2.0, 1.5])
    return Landscape(np.diag((m - 1) / levels), np.diag(levels), D**0.5 * np.eye(D), steps)


def along() -> Case:
    at = [commuting(steps, isotropic=True) for steps in (1, 2)]

    def quadratic(factor: float = 1.0, more: int = 0) -> Callable[[Landscape, np.ndarray], float]:
        """At A = I: Σ_ij E_ij (h_ij² E_ij + t_ij E_ji)."""

        def predict(a: Landscape, E: np.ndarray) -> float:
            on, k = 1 + np.diag(a.V), a.k + more
            h, long = (
                sum(np.outer(on**p, on ** (steps - 1 - p)) for p in range(steps)) for steps in (k, 2 * k - 1)
            )
            return factor * float((E * (h**2 * E + (k * long - h**2) * E.T)).sum())

        return predict

    wrong = {
        "factor": quadratic(9 / 8),
        "sign": quadratic(-1.0),
        "a bit": quadratic(1 + 1e-5),
        "one step more": quadratic(more=1),
    }
    return Case(lambda p: check.along(p, at, "planted"), quadratic(), wrong)


def between() -> Case:
    at = [commuting(3), commuting(3, isotropic=True)]

    def bounds(low: float = 1.0, high: float = 1.0) -> Callable[[Landscape], tuple[float, float]]:
        def predict(a: Landscape) -> tuple[float, float]:
            levels, size = np.diag(a.S), a.k * (2 * a.k - 1) * 0.9 ** (2 * a.k - 2)
            return low * size * float(levels.min()) ** 2, high * size * float(levels.max()) ** 2

        return predict

    wrong = {
        "lower too high": bounds(9 / 8, 1.0),
        "upper too low": bounds(1.0, 8 / 9),
        "k² for k(2k−1)": bounds(1.0, 3 / 5),
        "swapped": lambda a: bounds()(a)[::-1],
        "a power more": bounds(1.0, 0.9),
    }
    return Case(lambda p: check.between(p, at, "planted"), bounds(), wrong)


def exponents() -> Case:
    places = ((8, 0.95), (24, 0.95), (8, 0.7))
    replicas = [[(r - 0.01 * j, commuting(k, True, r - 0.01 * j)) for k, r in places] for j in range(4)]
    wrong = {
        "linear in k": (1.0, 1.0),
        "cubic": (3.0, 1.0),
        "none": (0.0, 1.0),
        "falling": (-2.0, 1.0),
        "ρ^{k−1}": (2.0, 0.5),
        "ρ^{4k−4}": (2.0, 2.0),
        "1/ρ": (2.0, -1.0),
        "factor": (2.25, 1.125),
    }
    return Case(lambda p: check.exponents(p, replicas, "planted", STANDARD, drawn=False), (2.0, 1.0), wrong)


def exponent_at_one_radius() -> Case:
    replicas = [[(1.0, commuting(steps, True, 1.0)) for steps in (8, 24)] for _ in range(2)]
    wrong = {"linear": (1.0, 0.0), "cubic": (3.0, 0.0), "none": (0.0, 0.0), "factor": (2.25, 0.0)}
    return Case(lambda p: check.exponents(p, replicas, "planted", STANDARD, drawn=False), (2.0, 0.0), wrong)


def peak() -> Case:
    def right(radius: float) -> float:
        rate = -np.log(radius)
        return float((2 + rate + np.sqrt(4 + rate**2)) / (4 * rate))

    wrong: dict[str, Callable[[float], float]] = {
        "factor": lambda r: right(r) * 9 / 8,
        "sign": lambda r: -right(r),
        "of k²ρ^{2k−2}": lambda r: float(-1 / np.log(r)),
        "other root": lambda r: float((2 - np.log(r) - np.sqrt(4 + np.log(r) ** 2)) / (-4 * np.log(r))),
        "1 − ρ for −ln ρ": lambda r: 1 / (1 - r) + 1 / 4,
    }
    return Case(lambda p: check.peak(p, (0.8, 0.92), D), right, wrong)


def corner() -> Case:
    wrong = {
        "factor": 1 / 20,
        "kept alone": 1 / 36,
        "dropped alone": 1 / 60,
        "sign": -2 / 45,
        "twice": 4 / 45,
    }
    return Case(lambda p: check.corner(p, ((0.9, 0.5),)), 2 / 45, wrong)


def along_identity() -> Case:
    cases = ((0.8, 3, 12, 1), (0.4, 4, 20, 2))

    def curved(moment_shift: int = 0, factor: float = 1.0) -> np.ndarray:
        found = []
        for c, d, n, steps in cases:
            at = kstep.isotropic_risk(steps + moment_shift).diff(kstep.c, 2) / (2 * nt.d)
            found.append(factor * float(at.subs({nt.d: d, nt.n: n, kstep.c: c})))
        return np.array(found)

    wrong = {
        "factor": curved(factor=9 / 8),
        "sign": curved(factor=-1.0),
        "one step more": curved(1),
        "without 1/2": curved(factor=2.0),
        "n = ∞": np.array([1.0, 6 * 0.6**2]),
        "k² for k(2k−1)": curved() * np.array([1.0, 4 / 6]),
    }
    return Case(lambda p: check.along_identity(p, cases, SEED, STANDARD), curved(), wrong)


def by_prompt() -> Case:
    """k(2k−1)/d tr(S²(I − cS)^{2k−2}), and wrong ones."""
    cases = ((0.8, 3, 12, 1), (0.4, 4, 20, 2))

    def curved(S: np.ndarray, c: float, k: int, count: float | None = None, power: int = 2) -> float:
        M = np.eye(len(S)) - c * S
        total = np.trace(np.linalg.matrix_power(S, power) @ np.linalg.matrix_power(M, 2 * k - 2))
        return float((k * (2 * k - 1) if count is None else count) / len(S) * total)

    wrong = {
        "k²": lambda S, c, k: curved(S, c, k, k**2),
        "S for S²": partial(curved, power=1),
        "trace split": lambda S, c, k: curved(np.trace(S) / len(S) * np.eye(len(S)), c, k),
        "sign": lambda S, c, k: -curved(S, c, k),
    }
    return Case(lambda p: check.by_prompt(p, cases, SEED), curved, wrong)


def _thinking(level: float, right: int) -> Case:
    V = -level * np.eye(3)
    wrong = {"the other way": (-right, 1.0), "a negative level": (-1, -1.0)}
    return Case(lambda p: check.thinking(p, V, 12, (1, 2), SEED, STANDARD), (right, 1.0), wrong)


def transient() -> Case:
    """Γ = diag(1, 4), ρ = 0.6: ‖M^k‖ = 2ρ^k for odd k, ρ^k for even."""
    V, S = -np.diag([1.0, 0.25]), np.array([[1.0, -1.2], [-1.2, 4.0]])
    at = [Landscape(V, S, np.eye(2), steps) for steps in (1, 2, 3)]
    wrong: dict[str, Callable[[Landscape], float]] = {
        "without κ": lambda a: 0.6**a.k,
        "factor": lambda a: 8 / 9 * 2 * 0.6**a.k,
        "a power more": lambda a: 2 * 0.6 ** (a.k + 1),
        "κ^{1/4}": lambda a: 2**0.5 * 0.6**a.k,
    }
    return Case(lambda p: check.transient(p, at, "planted"), lambda a: 2 * 0.6**a.k, wrong)


def attained() -> Case:
    """The same at odd k, where a larger bound is as wrong as a smaller one."""
    V, S = -np.diag([1.0, 0.25]), np.array([[1.0, -1.2], [-1.2, 4.0]])
    tight = [Landscape(V, S, np.eye(2), steps) for steps in (1, 3)]
    wrong: dict[str, Callable[[Landscape], float]] = {
        "twice": lambda a: 4 * 0.6**a.k,
        "sign": lambda a: -2 * 0.6**a.k,
        "κ": lambda a: 4 * 0.6**a.k,
        "without κ": lambda a: 0.6**a.k,
    }
    return Case(lambda p: check.transient(p, [], "planted", tight), lambda a: 2 * 0.6**a.k, wrong)


PLAN: Plan = {
    "curvature.along": (along,),
    "curvature.between": (between,),
    "curvature.exponents": (exponents, exponent_at_one_radius),
    "curvature.peak": (peak,),
    "curvature.corner": (corner,),
    "curvature.along_identity": (along_identity,),
    "curvature.by_prompt": (by_prompt,),
    "curvature.transient": (transient, attained),
    "curvature.thinking": (lambda: _thinking(1.95, 1), lambda: _thinking(0.1, -1)),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_spectrum_of_equal_eigenvalues() -> None:
    """A = I, M = mI: k(2k−1)m^{2k−2} on the symmetric matrices, k m^{2k−2} on the skew ones."""
    found = spectrum(np.full(3, -0.7), np.ones(3), 4)
    assert found == pytest.approx(np.repeat([4, 28], [3, 6]) * 0.7**6)


def test_bad_input() -> None:
    with pytest.raises(ArgumentError, match="m has shape"):
        spectrum(np.ones(3), np.ones(2), 2)
    with pytest.raises(ArgumentError, match="steps=0"):
        spectrum(np.ones(2), np.ones(2), 0)
