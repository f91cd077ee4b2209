"""Outcome supervision trained to its minimum on many prompts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import scipy.optimize
import scipy.special
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.prompts import sample_prompts
from numerics.reduced import rollout
from verify.checks.points import tensor
from verify.checks.repeated import repeated
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
Goal = Callable[[Array, int, int], Array]  # (A, n, k) → V
BATCHES = 60


def _minimised(S: torch.Tensor, k: int, start: Array) -> Array:
    """The V that minimises the mean of ‖ŵ_k − w*‖², by BFGS on the recursion (A.1).

    The tasks are the d unit vectors for each prompt: the loss is quadratic in w*, and they have the second
    moments of N(0, I) without its noise.
    """
    d = len(start)
    tasks = torch.eye(d, dtype=torch.float64)

    def value(x: Array) -> tuple[float, Array]:
        V = tensor(x.reshape(d, d)).requires_grad_()
        reached = rollout(V, tasks, S[:, None], tasks, k)[..., -1, :]
        loss = (reached - tasks).square().sum() / len(S)
        (slope,) = torch.autograd.grad(loss, V)
        return float(loss.detach()), slope.numpy().ravel()

    found = scipy.optimize.minimize(value, start.ravel(), jac=True, method="BFGS", options={"gtol": 1e-6})
    return np.asarray(found.x.reshape(d, d))


@cache
def trained_weights(kind: str, n: int, k: int, seed: int, size: int) -> tuple[Array, Array]:
    """A, and the minimiser of L_OS(·, I) for each of :data:`BATCHES` draws of ``size`` prompts, with the sign
    of the basis in which V₁₂ > V₂₁: A = I has no other."""
    turn = np.linalg.qr(np.random.default_rng(seed % 2**31).normal(size=(2, 2)))[0]
    A = np.asarray(turn @ np.diag([0.8, 2.0]) @ turn.T) if kind == "dense" else np.eye(2)
    generator = seeded(seed, "cpu")
    start = -0.5 * np.linalg.inv(A) + np.array([[0.0, 0.1], [-0.1, 0.0]])
    found = [_minimised(sample_prompts(tensor(A), n, size, generator).S, k, start) for _ in range(BATCHES)]
    if kind == "isotropic":
        found = [V.T if V[0, 1] < V[1, 0] else V for V in found]
    return A, np.stack(found)


def trained(
    goal: Goal,
    kind: str,
    n: int,
    k: int,
    seed: int,
    profile: Profile,
    size: int = 5000,
    form: str = "printed",
) -> Evidence:
    """The minimiser of L_OS(Ṽ, I), d = 2, by BFGS, against ``goal``(A, n, k), entry by entry.

    The mean over the draws, in units of its norm; δ covers a bias of order 1/size, and the intervals.
    """
    A, found = trained_weights(kind, n, k, seed, size)
    where = "= I" if kind == "isotropic" else "with eigenvalues 0.8, 2"
    regime = f"d=2, n={n}, k={k}, A {where}, {BATCHES} × {size} prompts"
    scale = float(np.linalg.norm(found.mean(axis=0)))
    return repeated(found, goal(A, n, k), scale, 0.03, regime, profile, "training", form)


def many_steps(goal: Callable[[int, int], float], form: str = "printed") -> Evidence:
    """k c_k at d = 1 against ``goal``(n, k) as k grows, c_k by :func:`_one_dimensional`.

    ``goal`` leaves out terms of relative order (log k/k)²; δ is twice that at the last k, 2e-3.
    """
    delta, worst, falls = 4e-3, 0.0, True
    for n in (1, 3):
        gaps = [abs(k * _one_dimensional(n, k) / goal(n, k) - 1) for k in (20, 60, 120)]
        worst, falls = max(worst, gaps[-1]), falls and gaps[0] > gaps[1] > gaps[2]
    agrees = worst < delta and falls
    measured = f"rel. dev. {worst:.1e} at k = 120, {'falling' if falls else 'not falling'}"
    return Evidence("scaling", "agrees" if agrees else "differs", measured, "d=1, n = 1, 3", delta, form=form)


def _one_dimensional(n: int, k: int) -> float:
    """The minimiser of E(1 − cλ)^{2k}, nλ chi-square with n degrees of freedom: d = 1.

    Gauss–Laguerre quadrature, exact for these polynomials, and a scalar minimiser.
    """
    nodes, weights = scipy.special.roots_genlaguerre(k + 2, n / 2 - 1)
    eigenvalues = 2 * nodes / n

    def log_risk(c: float) -> float:
        with np.errstate(divide="ignore"):
            logs = np.log(weights) + 2 * k * np.log(np.abs(1 - c * eigenvalues))
        return float(scipy.special.logsumexp(logs))

    bounds = (0.1 * min(1, n / k), min(1, 1.2 * n / k))
    return float(_minimiser(log_risk, bounds))


def _minimiser(function: Callable[[float], float], bounds: tuple[float, float]) -> float:
    found = scipy.optimize.minimize_scalar(function, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return float(found.x)


def _chi_squares(freedom: int, count: int) -> tuple[Array, Array]:
    """Nodes and weights for χ² with ``freedom`` degrees, exact up to degree 2·count − 1."""
    nodes, weights = scipy.special.roots_genlaguerre(count, freedom / 2 - 1)
    return 2 * nodes, weights / weights.sum()


def _two_dimensional(n: int, k: int) -> float:
    """The minimiser of E tr(I − cS)^{2k} at d = 2, A = I: nS = LLᵀ with χ²_n and χ²_{n−1} on the diagonal of
    L, squared, and a normal below it (Bartlett), and Gauss's rule for each, exact for these polynomials."""
    (first, p), (second, q) = (_chi_squares(m, k + 2) for m in (n, n - 1))
    normal, r = hermegauss(2 * k + 2)
    a, b, z = (x.ravel() for x in np.meshgrid(first, second, normal, indexing="ij"))
    weights = np.einsum("i,j,l->ijl", p, q, r / r.sum()).ravel()
    S = np.stack([a, np.sqrt(a) * z, np.sqrt(a) * z, z**2 + b], axis=-1).reshape(-1, 2, 2) / n
    eigenvalues = np.linalg.eigvalsh(S)

    def risk(c: float) -> float:
        return float(weights @ ((1 - c * eigenvalues) ** (2 * k)).sum(axis=1))

    return _minimiser(risk, (0.3, 1.0))


def long_prompts(goal: Callable[[int], float], k: int, form: str = "printed") -> Evidence:
    """lim n(1 − c_n) at d = 1 and 2 against ``goal``(d), extrapolated from two n: left is 1/n²."""
    gaps, delta = [], 0.01
    for d, least in ((1, _one_dimensional), (2, _two_dimensional)):
        half, whole = (n * (1 - least(n, k)) for n in (100, 200))
        gaps.append(abs(goal(d) / (2 * whole - half) - 1))
    outcome = "agrees" if max(gaps) < delta else "differs"
    measured = f"rel. dev. {', '.join(f'{gap:.1e}' for gap in gaps)}"
    return Evidence("scaling", outcome, measured, f"d = 1, 2, k={k}, n = 100, 200", delta, form=form)


@cache
def _lengths(seed: int, k: int, n: int) -> Array:
    """n(1 − c_n) for :data:`BATCHES` draws: c_n minimises the mean of tr(I − cS)^{2k} at A = I, d = 2."""
    generator, found = seeded(seed + n, "cpu"), []
    for _ in range(BATCHES):
        S = sample_prompts(torch.eye(2, dtype=torch.float64), n, 4000, generator).S
        eigenvalues = torch.linalg.eigvalsh(S).numpy()

        def risk(c: float, at: Array = eigenvalues) -> float:
            return float(((1 - c * at) ** (2 * k)).mean())

        found.append(n * (1 - _minimiser(risk, (0.3, 1.0))))
    return np.array(found)


def long_prompts_sampled(
    goal: Callable[[int], float], k: int, seed: int, profile: Profile, form: str = "printed"
) -> Evidence:
    """As :func:`long_prompts` from drawn prompts, d = 2; δ covers what is left, of order 1/n², and the
    interval."""
    samples = 2 * _lengths(seed, k, 80) - _lengths(seed, k, 40)
    regime = f"d=2, k={k}, n = 40, 80, {BATCHES} × 4000 prompts"
    return repeated(samples, goal(2), float(samples.mean()), 0.2, regime, profile, "scaling", form)
