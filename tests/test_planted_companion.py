"""Wrong predictions of the errors, bounds and fixed points of the companion paper."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

from verify.checks import companion as check
from verify.checks.companion import Mixture, Trained
from verify.checks.points import covariance
from verify.companion_predictions import fixed_point, gamma, mixture_fixed_point, trained, worst

Array = NDArray[np.float64]
LAMBDA, SIGMA = covariance(3, 41), covariance(3, 42)


def miss(at: Trained) -> Array:
    return np.eye(at.d) + at.V @ at.Sigma


def long_error(at: Trained, k: int | None = None) -> float:
    return float(np.sum(np.linalg.matrix_power(miss(at), at.k if k is None else k) ** 2))


def one_step(at: Trained, m: int) -> float:
    spread = np.trace(at.V @ at.Sigma @ at.Sigma @ at.V.T)
    return long_error(at) + float(spread + np.trace(at.V @ at.Sigma @ at.V.T) * np.trace(at.Sigma)) / m


def long_prompts() -> Case:
    at = [trained(LAMBDA, 4, SIGMA, None, k) for k in (1, 2, 3)]
    wrong: dict[str, Callable[[Trained], float]] = {
        "factor": lambda one: 9 / 8 * long_error(one),
        "a bit": lambda one: (1 + 1e-9) * long_error(one),
        "k + 1": lambda one: long_error(one, one.k + 1),
        "k − 1": lambda one: long_error(one, one.k - 1),
        "trace": lambda one: float(np.trace(np.linalg.matrix_power(miss(one), 2 * one.k))),
        "at Λ": lambda one: long_error(trained(LAMBDA, 4, LAMBDA, None, one.k)),
        "n + 1": lambda one: long_error(trained(LAMBDA, 5, SIGMA, None, one.k)),
    }
    return Case(lambda p: check.equal(p, at), long_error, wrong)


def short_prompts() -> Case:
    at = [trained(LAMBDA[:2, :2], 4, SIGMA[:2, :2], 3, 1)]
    wrong: dict[str, Callable[[Trained], float]] = {
        "factor": lambda one: 9 / 8 * one_step(one, 3),
        "m + 1": lambda one: one_step(one, 4),
        "m − 1": lambda one: one_step(one, 2),
        "m = ∞": long_error,
    }
    return Case(lambda p: check.equal(p, at), lambda one: one_step(one, 3), wrong)


def bounded() -> Case:
    at = [trained(LAMBDA, 4, SIGMA, None, k) for k in (1, 2)]

    def around(low: float, high: float) -> Callable[[Trained], tuple[float, float]]:
        return lambda one: (low * long_error(one), high * long_error(one))

    wrong = {
        "above": around(1.001, 1.1),
        "below": around(0.9, 0.999),
        "exchanged": around(1.1, 0.9),
        "sign": around(-1.1, -0.9),
        "a bit": around(0.9, 1 - 1e-6),
    }
    return Case(lambda p: check.bounded(p, at), around(0.9, 1.1), wrong)


LEVELS = np.diag([1.0, 4.0, 2.0])
FACTORS: dict[str, Callable[[float], float]] = {
    "exchanging": lambda kappa: (kappa + 1 / kappa) / 2,
    "projecting": lambda kappa: (kappa + 1) ** 2 / (4 * kappa),
    "κ": lambda kappa: kappa,
    "κ/2": lambda kappa: kappa / 2,
    "√κ": lambda kappa: kappa**0.5,
    "(κ − 1/κ)/2": lambda kappa: (kappa - 1 / kappa) / 2,
    "κ + 1/κ": lambda kappa: kappa + 1 / kappa,
    "(κ² + 1/κ²)/2": lambda kappa: (kappa**2 + kappa**-2) / 2,
    "(κ + 1)²/κ": lambda kappa: (kappa + 1) ** 2 / kappa,
    "(κ − 1)²/(4κ)": lambda kappa: (kappa - 1) ** 2 / (4 * kappa),
    "none": lambda kappa: 1.0,
}


def scaled(factor: Callable[[float], float]) -> Callable[[Trained], float]:
    """The criterion tr (I − Γ⁻¹Σ)^2k times a factor of κ(Γ)."""

    def at(one: Trained) -> float:
        levels = np.diag(gamma(one.Lambda, 5))
        power = np.linalg.matrix_power(miss(one), 2 * one.k)
        return factor(max(levels) / min(levels)) * float(np.trace(power))

    return at


def reached(id: str, ks: tuple[int, ...]) -> list[Trained]:
    return [trained(LEVELS, 5, worst(id, LEVELS, 5, part), None, k) for part in (1.0, 0.5) for k in ks]


def sharp(id: str, ks: tuple[int, ...], name: str) -> Case:
    at = reached(id, ks)
    wrong = {other: scaled(factor) for other, factor in FACTORS.items() if other != name}
    return Case(lambda p: check.equal(p, at), scaled(FACTORS[name]), wrong)


def exceeded(id: str, ks: tuple[int, ...], name: str) -> Case:
    """Any smaller factor is no bound."""
    at, right = reached(id, ks), FACTORS[name]

    def below(factor: Callable[[float], float]) -> Callable[[Trained], tuple[float, float]]:
        return lambda one: (0.0, scaled(factor)(one))

    kappa = 31 / 13  # of Γ = diag(2.6, 6.2, 3.8), that of LEVELS
    less = {
        other: factor for other, factor in FACTORS.items() if factor(kappa) < right(kappa) and other != name
    }
    smaller = {other: below(factor) for other, factor in less.items()}
    smaller["a bit"] = below(lambda kappa: (1 - 1e-6) * right(kappa))
    return Case(lambda p: check.bounded(p, at), below(right), smaller)


ODD = ("ext-overthinking.a", (1, 3), "exchanging")
EVEN = ("ext-overthinking.b", (2, 4), "projecting")


def stationary() -> Case:
    # of one trace they would make V symmetric: at d = 2 the squares are then multiples of Λ and I
    pair = (covariance(2, 43), 2 * covariance(2, 44))
    at = [Mixture((0.3, 0.7), pair, 3), Mixture((1.0, 0.0), pair, 2)]

    def right(one: Mixture) -> Array:
        return np.asarray(mixture_fixed_point(one.weights, one.covariances, one.n))

    def of_mean(one: Mixture) -> Array:
        mean = sum(w * each for w, each in zip(one.weights, one.covariances, strict=True))
        return np.asarray(fixed_point(mean, one.n))

    wrong: dict[str, Callable[[Mixture], Array]] = {
        "factor": lambda one: 9 / 8 * right(one),
        "sign": lambda one: -right(one),
        "transposed": lambda one: right(one).T,
        "n + 1": lambda one: right(Mixture(one.weights, one.covariances, one.n + 1)),
        "of the mean covariance": of_mean,
        "equal weights": lambda one: right(Mixture((0.5, 0.5), pair, one.n)),
        "a bit": lambda one: right(one) + 1e-9 * np.array([[0.0, 1.0], [0.0, 0.0]]),
        "none": lambda one: np.zeros((2, 2)),
    }
    return Case(lambda p: check.stationary(p, at), right, wrong)


PLAN: Plan = {
    "companion.equal": (long_prompts, short_prompts, lambda: sharp(*ODD), lambda: sharp(*EVEN)),
    "companion.bounded": (bounded, lambda: exceeded(*ODD), lambda: exceeded(*EVEN)),
    "companion.stationary": (stationary,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
