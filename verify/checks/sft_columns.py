"""Columns (w*, Sw*) drawn with all their prompts: their law and regression, how nearly Gaussian they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.prompts import sample_prompts
from numerics.sft import sft_minimiser
from verify.checks.finetuning import Task
from verify.checks.points import block, covariance, tensor
from verify.checks.population import least_norm_change
from verify.checks.run import ALPHA, sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths, pseudo_inverse_rounds, rounding_test

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Normals:
    """A^{1/2} (d, d), n, and what a column is made of: w, h (size, d) and c (size,)."""

    root: Array
    n: int
    w: Array
    h: Array
    c: Array


def law(prediction: Callable[[Normals], Array], seed: int, profile: Profile) -> Evidence:
    """Columns from prompts against columns from ``prediction``: the mean of cos(v·Sw* + u·w*) for six (u, v),
    whose values at all (u, v) are the joint law of (w*, Sw*), as (−w*, −Sw*) has the same."""
    d, n = 3, 2
    A = covariance(d, seed % 2**31, 2)
    values, vectors = np.linalg.eigh(A)
    root = vectors @ np.diag(np.sqrt(values.clip(min=0))) @ vectors.T
    generator, source = seeded(seed, "cpu"), np.random.default_rng(seed)
    # From near 0, where the second moments are seen, to where the law is all but averaged out.
    at = np.random.default_rng(seed % 2**31).normal(size=(2, d, 6)) * np.linspace(0.15, 0.9, 6)

    def draw(size: int) -> Array:
        prompts = sample_prompts(tensor(A), n, size, generator)
        Sw = torch.einsum("bij,bj->bi", prompts.S, prompts.w_star).numpy()
        w, h = source.normal(size=(2, size, d))
        other = prediction(Normals(root, n, w, h, source.chisquare(n, size)))
        return np.asarray(
            np.cos(Sw @ at[0] + prompts.w_star.numpy() @ at[1]) - np.cos(other @ at[0] + w @ at[1])
        )

    regime = f"d={d}, n={n}, A of rank 2, six points of the characteristic function of (w*, Sw*)"
    return sampled(draw, np.zeros(6), 1.0, 2e-2, regime, profile)


def regression(
    prediction: Callable[[Array, int], tuple[Array, Array]], seed: int, profile: Profile
) -> Evidence:
    """With L and the remainder of ``prediction``(A, n): E[(w − LSw)(Sw)ᵀ] against 0 in units of A, and
    E[(w − LSw)(w − LSw)ᵀ] against the remainder."""
    d, n = 3, 4
    A = covariance(d, seed % 2**31, 2)
    L, remainder = prediction(A, n)
    generator = seeded(seed, "cpu")

    def draw(size: int) -> Array:
        prompts = sample_prompts(tensor(A), n, size, generator)
        Sw = torch.einsum("bij,bj->bi", prompts.S, prompts.w_star).numpy()
        left = prompts.w_star.numpy() - Sw @ L.T
        pairs = (left[:, :, None] * other[:, None, :] for other in (Sw, left))
        return np.concatenate([pair.reshape(size, -1) for pair in pairs], axis=1)

    expected = np.concatenate([np.zeros(d * d), remainder.ravel()])
    scale = np.repeat([float(np.abs(A).max()), 1.0], d * d)
    return sampled(draw, expected, scale, 2e-2, f"d={d}, n={n}, A of rank 2, all 18 entries", profile)


def decomposition(prediction: Callable[[Array, Array, Array, Array, float], Array], seed: int) -> Evidence:
    """Ṽ_* (by singular values) against ``prediction``(L, Ω, Φ, Γ₀⁻¹, η), L any matrix, at B < d and B > d."""
    worst = None
    for B in (3, 8):
        of = Task(
            sample_prompts(tensor(covariance(5, seed % 2**31)), 6, B, seeded(seed, "cpu")),
            np.eye(5),
            0.4,
            0,
            "",
        )
        start = np.asarray(np.linalg.inv(covariance(5, seed % 2**31 + 1)), dtype=float)
        L = block(5, seed % 2**31 + 2)
        V = sft_minimiser(tensor(of.Omega), tensor(of.Phi), tensor(start), of.eta).numpy()
        size = _size(of, start) + _size(of, of.eta * L)
        rounds = pseudo_inverse_rounds(of.Phi)
        found = rounding_test(V, prediction(L, of.Omega, of.Phi, start, of.eta), size, rounds)
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    return Evidence("monte-carlo", worst.outcome, worst.measured, "d=5, B=3 and 8, L arbitrary", worst.delta)


def _size(of: Task, start: Array) -> float:
    """‖Φ†‖(η‖Ω‖ + ‖G‖‖Φ‖) + ‖G‖ in Frobenius norms, the absolute values that −ηΩΦ† − G(I − ΦΦ†) adds up."""
    norm = np.linalg.norm
    parts = of.eta * norm(of.Omega) + norm(start) * norm(of.Phi)
    return float(norm(np.linalg.pinv(of.Phi)) * parts + norm(start))


def rescaling(prediction: Callable[[float], tuple[float, float]], seed: int) -> Evidence:
    """Ṽ_* on prompts from N(0, A) with rate η, against that on the same normals with A and η times the two
    numbers ``prediction``(s); both by least squares."""
    worst = None
    for B, s in ((3, 2.5), (40, 0.3)):
        A, start = covariance(4, seed % 2**31), covariance(4, seed % 2**31 + 1) + 0.3 * np.eye(4)
        of_A, of_eta = prediction(s)
        pair = [
            Task(sample_prompts(tensor(a * A), 3, B, seeded(seed, "cpu")), start, 0.3 * e, 0, "")
            for a, e in ((1.0, 1.0), (of_A, of_eta))
        ]
        V, other = map(least_norm_change, pair)
        # The roots of a covariance, by eigenvalues, differ by √κ roundings, which Φ† multiplies by its own.
        roots = np.sqrt(np.linalg.cond(A))
        rounds = math.ceil(pseudo_inverse_rounds(pair[0].Phi) * roots)
        found = rounding_test(other, V, _size(pair[0], pair[0].initial), rounds)
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    return Evidence("monte-carlo", worst.outcome, worst.measured, "d=4, n=3, B=3 and 40", worst.delta)


SIZES, DRAWS = (20, 80, 320), 240
Ideal = Callable[[Array, float, Array, Array], Array]  # (A, d/n, Ω, H) → Φ₀


def _gap(d: int, ideal: Ideal, source: np.random.Generator) -> float:
    """‖Φ − Φ₀‖_op/√d at n = 2d, B = d/2, Φ by its law ext-limit.a, from the Ω and H that Φ₀ is made of."""
    n, B = 2 * d, d // 2
    A = np.repeat([1.5, 0.3], [d // 4, d - d // 4])
    root = np.sqrt(A)[:, None]
    w, h = source.normal(size=(2, d, B))
    c = source.chisquare(n, B)
    u = root * w
    norm = np.linalg.norm(u, axis=0)
    unit = u / norm
    Phi = norm / n * root * (c * unit + np.sqrt(c) * (h - unit * (unit * h).sum(0)))
    return float(np.linalg.norm(Phi - ideal(np.diag(A), d / n, w, h), 2)) / d**0.5


def coupling(prediction: Ideal, seed: int) -> Evidence:
    """‖Φ − Φ₀‖_op/√d tends to 0, like √(log d/d): the power of (log d)/d by which it falls is near ½.

    The mean over draws of the power of each, Φ₀ being made anew; the log of a norm near that of the worst
    column scatters by a tenth.
    """
    source = np.random.default_rng(seed)
    norms = np.array([[_gap(d, prediction, source) for d in SIZES] for _ in range(DRAWS)])
    found = np.polyfit(np.log(np.log(SIZES) / SIZES), np.log(norms).T, 1)[0]
    power, half, delta = float(found.mean()), float(half_widths(found[:, None], ALPHA)[0]), 0.15
    off, means = abs(power - 0.5), norms.mean(axis=0)
    return Evidence(
        "scaling",
        "agrees" if off + half <= delta else "differs" if off - half > delta else "undecided",
        f"norms {means[0]:.3f}, {means[1]:.3f}, {means[2]:.3f}: power {power:.2f} ± {half:.2f} of (log d)/d",
        f"d = {', '.join(map(str, SIZES))}, n = 2d, B = d/2",
        delta,
        ALPHA,
    )
