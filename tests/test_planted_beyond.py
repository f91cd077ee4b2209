"""The checks of prompts outside the paper's assumptions call wrong predictions wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from mutations import Case, Plan, unnoticed

from verify.checks import beyond as check
from verify.checks import beyond_tuning as tuning
from verify.checks.beyond import Noisy
from verify.checks.beyond_tuning import Large, Tuning
from verify.profiles import PROFILES

STANDARD = PROFILES["standard"]
SEED = 20260307
Array = np.ndarray


# The right predictions by hand, each with what makes it wrong as a keyword ---------------------------


def moment(wrong: str = "", **at: Any) -> Array:
    """E[SMS] for all laws at once: the parameters of the others are those of a Gaussian."""
    L, M, Sigma, n = at["L"], at["M"], at["Sigma"], at["n"]
    kurtosis, theta, overlap = at["kurtosis"], at["theta"], at["overlap"]
    if wrong == "Gaussian":
        kurtosis, theta, overlap = 0.0, 1.0, float(n)
    root = np.linalg.cholesky(Sigma) if wrong == "another root" else L
    inner = root.T @ M @ root
    entries = root @ np.diag(np.diag(inner)) @ root.T * (kurtosis / (2 if wrong == "half" else 1))
    if wrong == "not the diagonal":
        entries = kurtosis * root @ inner @ root.T
    pairs = Sigma @ (M if wrong == "M for Mᵀ" else M.T) @ Sigma + np.trace(M @ Sigma) * Sigma
    straight = 0.0 if wrong == "without ϑ − 1" else (theta - 1) / n
    share = overlap / n**2 if overlap != n else 1 / n
    if wrong == "lag once":
        share = np.sqrt(overlap) / n
    return np.asarray((1 + straight) * Sigma @ M @ Sigma + share * theta * pairs + entries / n)


def second_moment(law: str, *wrong: str) -> Callable[[], Case]:
    def make() -> Case:
        planted = {name: partial(moment, name) for name in wrong}
        return Case(lambda p: check.second_moment(p, law, SEED, STANDARD), partial(moment, ""), planted)

    return make


def gaussian_second(at: Noisy) -> Array:
    A, tasks = at.Sigma, at.Lambda
    return np.asarray((1 + 1 / at.n) * A @ tasks @ A + np.trace(tasks @ A) / at.n * A)


def risk(at: Noisy, V: Array, noise: float = 1.0, power: int = 2, isotropic: bool = False) -> float:
    at = replace(at, task_root=np.eye(len(V))) if isotropic else at
    inner = gaussian_second(at) + noise * at.sigma**power / at.n * at.Sigma
    return float(np.trace(at.Lambda) + 2 * np.trace(V @ at.Sigma @ at.Lambda) + np.trace(V @ inner @ V.T))


def one_step_risk() -> Case:
    wrong = {
        "no noise": partial(risk, noise=0.0),
        "twice the noise": partial(risk, noise=2.0),
        "σ for σ²": partial(risk, power=1),
        "Λ = I": partial(risk, isotropic=True),
    }
    return Case(lambda p: check.one_step_risk(p, SEED, STANDARD), risk, wrong)


def fixed(
    at: Noisy, eta: float = 1.0, k: int = 0, noise: float = 1.0, isotropic: bool = False, rate: float = 1.0
) -> Array:
    at = replace(at, task_root=np.eye(len(at.root))) if isotropic else at
    c_k = ((1 - eta) ** (2 * np.arange(k + 1))).sum()
    inner = gaussian_second(at) + noise * (k + 1) / c_k * at.sigma**2 / at.n * at.Sigma
    found = -rate * eta * at.Lambda @ at.Sigma @ np.linalg.inv(inner)
    return np.asarray(found)


def pretrained() -> Case:
    wrong = {
        "no noise": partial(fixed, noise=0.0),
        "Λ = I": partial(fixed, isotropic=True),
        "9/10 of it": partial(fixed, rate=0.9),
    }
    return Case(lambda p: check.pretrained(p, SEED, STANDARD), fixed, wrong)


def population() -> Case:
    wrong = {
        "noise not multiplied by k": lambda at, eta, k: fixed(
            at, eta, k, ((1 - eta) ** (2 * np.arange(k + 1))).sum() / (k + 1)
        ),
        "no noise": partial(fixed, noise=0.0),
        "noise k times": lambda at, eta, k: fixed(at, eta, k, k / (k + 1)),
        "Λ = I": partial(fixed, isotropic=True),
        "η = 0.44": partial(fixed, rate=1.1),
    }
    return Case(lambda p: check.population(p, SEED, STANDARD), fixed, wrong)


def two_step_risk(d: int, n: int, c: float, sigma: float, noise: float = 1.0, cubic: float = 4.0) -> float:
    """By the moments E tr S^j of a white Wishart matrix, j ≤ 4."""
    m = [d, d, d * (n + d + 1) / n]
    m.append(d * (n**2 + d**2 + 3 * n * d + 3 * n + 3 * d + 4) / n**2)
    fourth = (
        n**3 + d**3 + 6 * n**2 * d + 6 * n * d**2 + 6 * n**2 + 6 * d**2 + 17 * n * d + 21 * n + 21 * d + 20
    )
    m.append(d * fourth / n**3)
    plain = m[0] - 4 * c * m[1] + 6 * c**2 * m[2] - 4 * c**3 * m[3] + c**4 * m[4]
    return float(plain + noise * sigma**2 / n * (4 * c**2 * m[1] - cubic * c**3 * m[2] + c**4 * m[3]))


def two_steps() -> Case:
    wrong = {
        "no noise": partial(two_step_risk, noise=0.0),
        "noise of one step": lambda d, n, c, s: two_step_risk(d, n, c, 0.0) + s**2 / n * c**2 * d,
        "noise not contracted": partial(two_step_risk, cubic=0.0),
    }
    return Case(lambda p: check.two_steps(p, SEED, STANDARD), two_step_risk, wrong)


def tail() -> Case:
    wrong: dict[str, Callable[[int, int], float]] = {
        "2k": lambda nu, k: -nu / (2 * k),
        "ν + 1": lambda nu, k: -(nu + 1) / (4 * k),
        "upwards": lambda nu, k: nu / (4 * k),
    }
    return Case(lambda p: check.tail(p, SEED), lambda nu, k: -nu / (4 * k), wrong)


def tuned(of: Tuning, cross: float = 1.0, steps: int = 0, start: float = 1.0, rate: float = 1.0) -> Array:
    q = of.levels[:-1]
    c, b, last = (q**2).sum(), cross * q.sum(), len(q) + steps
    phi, xi = of.Phi, of.Xi
    N = c * phi @ phi.T + b * (phi @ xi.T + xi @ phi.T) + last * xi @ xi.T
    plus = np.linalg.pinv(N, rcond=1e-10, hermitian=True)
    eta = rate * (1 - of.levels[1])
    off = np.eye(len(N)) - N @ plus
    return np.asarray(
        -eta * of.Omega @ (c * phi.T + b * xi.T) @ plus - start * np.linalg.inv(of.gamma0) @ off
    )


SHAPES = ((5, 4, 1, 2), (4, 3, 3, 2), (3, 4, 6, 1), (4, 2, 2, 1))


def minimiser() -> Case:
    wrong = {
        "no cross terms": partial(tuned, cross=0.0),
        "k for k + 1": partial(tuned, steps=-1),
        "other start": partial(tuned, start=1.001),
        "η off by a part in 1000": partial(tuned, rate=1.001),
        "without noise": lambda of: tuned(Tuning(of.Omega, of.Phi, 0 * of.Xi, of.gamma0, of.levels)),
    }
    return Case(lambda p: tuning.minimiser(p, SHAPES, 0.8, SEED), tuned, wrong)


def few_prompts(of: Tuning, wiped: bool = True) -> Array:
    off = np.eye(len(of.Phi)) - of.Xi @ np.linalg.pinv(of.Xi)
    left = off @ of.Phi
    plus = np.linalg.pinv(left)
    rest = np.eye(len(left)) - left @ plus - (of.Xi @ np.linalg.pinv(of.Xi) if wiped else 0)
    return np.asarray(-(1 - of.levels[1]) * of.Omega @ plus - np.linalg.inv(of.gamma0) @ rest)


def few() -> Case:
    shapes = ((4, 3, 2, 1), (6, 4, 3, 3))
    wrong = {"noise does not wipe": partial(few_prompts, wiped=False)}
    return Case(lambda p: tuning.minimiser(p, shapes, 0.1, SEED), few_prompts, wrong)


def free_blocks() -> Case:
    right = np.array([[1.0, 0.0], [0.5, 1.0]])
    planted = {"I": np.eye(2), "transposed": right.T, "0.45": np.array([[1.0, 0.0], [0.45, 1.0]])}
    wrong = {name: partial(np.copy, one) for name, one in planted.items()}
    return Case(lambda p: tuning.free_blocks(p, SEED), partial(np.copy, right), wrong)


def bend(at: Noisy, eta: float, k: int, noise: float = 1.0, steps: int = 1) -> float:
    c_k = ((1 - eta) ** (2 * np.arange(k + 1))).sum() if steps else 1.0
    N = c_k * gaussian_second(at) + noise * (k + 1) * at.sigma**2 / at.n * at.Sigma
    return float(np.linalg.eigvalsh(N)[-1])


def curvature() -> Case:
    wrong = {
        "no noise": partial(bend, noise=0.0),
        "noise once": partial(bend, noise=1 / 3),
        "c = 1": partial(bend, steps=0),
    }
    return Case(lambda p: tuning.curvature(p, SEED, STANDARD), bend, wrong)


def level(at: Large, universal: bool = False, noise: float = 1.0, tasks: bool = True) -> Array:
    a, own = np.array(at.post), np.array(at.tasks) if tasks else np.ones(2)
    factor = 1.0 if universal else at.theta * at.chi
    return np.asarray(a**2 * own + at.aspect * (factor * (a * own).mean() + noise * at.noise) * a)


def column_levels() -> Case:
    wrong = {
        "universality": partial(level, universal=True),
        "no noise": partial(level, noise=0.0),
        "Λ = I": partial(level, tasks=False),
    }
    return Case(lambda p: tuning.column_levels(p, SEED, STANDARD), level, wrong)


PLAN: Plan = {
    "beyond.second_moment": (
        second_moment("rademacher", "Gaussian", "half", "not the diagonal", "M for Mᵀ", "another root"),
        second_moment("two_radii", "Gaussian", "without ϑ − 1", "M for Mᵀ"),
        second_moment("autocorrelated", "Gaussian", "lag once", "M for Mᵀ"),
    ),
    "beyond.one_step_risk": (one_step_risk,),
    "beyond.pretrained": (pretrained,),
    "beyond.population": (population,),
    "beyond.two_steps": (two_steps,),
    "beyond.tail": (tail,),
    "beyond_tuning.minimiser": (minimiser, few),
    "beyond_tuning.free_blocks": (free_blocks,),
    "beyond_tuning.curvature": (curvature,),
    "beyond_tuning.column_levels": (column_levels,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
