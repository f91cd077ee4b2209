"""Fine-tuning at d, n and B in proportion, simulated from (4.1) and (5.1), against its limit.

A mean at d is its limit plus a series in 1/d, so twice the one at 2d minus the one at d, drawn independently,
is the limit up to O(1/d²).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache, cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.sampling import sft_targets
from numerics.sft import risk, risk_curve
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
STAGES = 7
SIZE = 72  # d of the smaller matrices
PROMPTS, TOGETHER = 40_000, 16  # over d: from so many the regression of w* on Sw* is known to 0.1 %


@dataclass(frozen=True)
class Task:
    """Blocks of share ``weights`` with levels ``post``, ``pre``, ``test`` of A, Σ₀, Σ; prompts of ``length``
    n/d in post-training, and of others in pretraining and test; the β = B/d that are looked at."""

    weights: tuple[Fraction, ...]
    post: tuple[float, ...]
    pre: tuple[float, ...]
    test: tuple[float, ...]
    eta: float
    length: Fraction
    length_pre: Fraction
    length_test: Fraction
    betas: tuple[Fraction, ...]
    size: int

    @property
    def aspects(self) -> tuple[float, float, float]:
        """d/n of post-training, pretraining and test."""
        return float(1 / self.length), float(1 / self.length_pre), float(1 / self.length_test)

    @property
    def rank(self) -> float:
        """rank(A)/d."""
        return float(sum(m for m, level in zip(self.weights, self.post, strict=True) if level > 0))

    @property
    def text(self) -> str:
        levels = ", ".join(f"{level:g}" for level in self.post)
        aspects = ", ".join(f"{each:.3g}" for each in self.aspects)
        betas = ", ".join(map(str, self.betas))
        return f"a=({levels}), γ's=({aspects}), β={betas}, d={self.size} and {2 * self.size}"


def _whole(value: Fraction) -> int:
    assert value.denominator == 1, "blocks, prompts and their lengths have to be whole numbers"
    return int(value)


@dataclass(frozen=True)
class Sized:
    """A task at a dimension d: the diagonals of A, Γ₀⁻¹, Σ (d,), lengths and numbers of prompts."""

    of: Task
    d: int

    def spread(self, levels: Sequence[float]) -> Tensor:
        """The diagonal (d,) with these block levels."""
        sizes = torch.tensor([_whole(m * self.d) for m in self.of.weights])
        return torch.tensor(levels, dtype=torch.float64).repeat_interleave(sizes)

    @cached_property
    def A(self) -> Tensor:
        return self.spread(self.of.post)

    @cached_property
    def Sigma(self) -> Tensor:
        return self.spread(self.of.test)

    @cached_property
    def Sigma0(self) -> Tensor:
        return self.spread(self.of.pre)

    @cached_property
    def n(self) -> int:
        return _whole(self.of.length * self.d)

    @cached_property
    def n_test(self) -> int:
        return _whole(self.of.length_test * self.d)

    @cached_property
    def gamma0_inv(self) -> Tensor:
        """The pretrained model at these d and n, eq. (3.7), not its limit."""
        n = _whole(self.of.length_pre * self.d)
        return 1 / ((1 + 1 / n) * self.Sigma0 + self.Sigma0.sum() / n)

    @cached_property
    def counts(self) -> list[int]:
        return [_whole(beta * self.d) for beta in self.of.betas]

    def regression(self, seed: int) -> Tensor:
        """The slope of w* on Sw*, E[S] E[S²]⁻¹ on the range of A, by sampled prompts: one number a block."""
        generator, first, second = seeded(seed, "cpu"), torch.zeros_like(self.A), torch.zeros_like(self.A)
        for _ in range(max(1, PROMPTS // (self.d * TOGETHER))):
            shape = (TOGETHER, self.d, self.n)
            X = self.A.sqrt()[:, None] * torch.randn(shape, dtype=torch.float64, generator=generator)
            S = X @ X.mT / self.n
            first += S.diagonal(dim1=-2, dim2=-1).sum(0)
            second += S.square().sum((0, 2))
        found = []
        for part in range(len(self.of.post)):
            at = self.spread([float(j == part) for j in range(len(self.of.post))])
            over = float((at * second).sum())
            found.append(float((at * first).sum()) / over if over > 0 else 0.0)
        return self.spread(found)


FEW, PER_SAMPLE = 12, 20  # dimension and prompts of a sample of :func:`squares`


def squares(prediction: Callable[[int], Array], of: Task, seed: int, profile: Profile) -> Evidence:
    """E(S²)_ii on each block at d = 12, and extrapolated, against ``prediction``(d): both, in this order."""
    sizes, generator = [Sized(of, d) for d in (FEW, 2 * FEW)], seeded(seed, "cpu")

    def levels(each: Sized, size: int) -> Array:
        shape = (size, PER_SAMPLE, each.d, each.n)
        X = each.A.sqrt()[:, None] * torch.randn(shape, dtype=torch.float64, generator=generator)
        found = (X @ X.mT / each.n).square().sum(-1).mean(1)
        edges = [_whole(m * each.d) for m in of.weights]
        return np.stack([part.mean(-1).numpy() for part in found.split(edges, -1)], axis=1)

    def draw(size: int) -> Array:
        small, large = (levels(each, size) for each in sizes)
        return np.concatenate([small, 2 * large - small], axis=1)

    expected, text = np.asarray(prediction(FEW)), f"E(S²)_ii by block, {of.text}"
    text = text.replace(f"d={of.size} and {2 * of.size}", f"d={FEW} and {2 * FEW}")
    return sampled(draw, expected, np.abs(expected), 2e-2, text, profile, averaged=PER_SAMPLE)


# What is measured, and the δ for it: what 128 pairs establish.  One pair has the trace of a projection to
# 7 %, a bias to 3 %, and a pseudo-inverse, with B terms like 1/χ² in it, to 20 %.
PARTS = {
    "linear": 4e-2,
    "quadratic": 5e-2,
    "inverse": 0.12,
    "bias": 2e-2,
    "signal": 2e-2,
    "noise": 0.12,
    "signal noise": 0.12,
    "error": 6e-2,
}


def _pinv(Phi: Tensor) -> Tensor:
    """Φ† of independent columns, or of rows that are independent where they are not zero (a singular A).

    By the Gram matrix: far from the spike its condition is below 1e6, so that ten digits are left.
    """
    d, B = Phi.shape
    kept = (Phi != 0).any(1)
    if int(kept.sum()) >= B:
        return torch.linalg.solve(Phi.mT @ Phi, Phi.mT)
    found = torch.zeros(B, d, dtype=Phi.dtype)
    found[:, kept] = torch.linalg.solve(Phi[kept] @ Phi[kept].mT, Phi[kept]).mT
    return found


def _parts(at: Sized, L: Tensor, Omega: Tensor, Phi: Tensor) -> list[float]:
    """:data:`PARTS` of one draw: traces with F = Σ₀ and G = Σ, the parts of V_S = −ηLΠ − Γ₀⁻¹(I − Π) and of
    V_R = Ṽ_* − V_S, and the error."""
    d, F, Sigma, G = at.d, at.Sigma0[:, None], at.Sigma[:, None], at.gamma0_inv
    pinv = _pinv(Phi)
    Pi = Phi @ pinv
    outside = G[:, None] * (torch.eye(d, dtype=torch.float64) - Pi)
    V = -at.of.eta * Omega @ pinv - outside  # (4.1)
    V_S = -at.of.eta * L[:, None] * Pi - outside
    V_R = V - V_S
    miss = torch.eye(d, dtype=torch.float64) + V_S * at.Sigma
    values = (
        (F[:, 0] * Pi.diagonal()).sum(),
        ((F * Pi) * (Sigma * Pi).mT).sum(),
        d * (F * (pinv * pinv).sum(0)[:, None]).sum(),  # tr(F(ΦΦᵀ)†) is tr(FΦ†ᵀΦ†)
        miss.square().sum(),
        (V_S * V_S * at.Sigma).sum(),
        (V_R * at.Sigma).square().sum(),
        (V_R * V_R * at.Sigma).sum(),
        risk(V, at.Sigma, at.n_test),
    )
    return [float(value) / d for value in values]


@dataclass(eq=False)
class Draws:
    """Batches of a random array, the j-th drawn once and kept: several statements look at the same ones."""

    make: Callable[[int], Array]
    kept: list[Array] = field(default_factory=list)

    def batch(self, j: int, size: int) -> Array:
        while len(self.kept) <= j:
            self.kept.append(self.make(size))
        assert len(self.kept[j]) == size
        return self.kept[j]

    def reader(self, read: Callable[[Array], Array]) -> Callable[[int], Array]:
        """What a sequential test draws from: ``read`` of one batch after the other."""
        at = iter(range(10**9))
        return lambda size: read(self.batch(next(at), size))


@cache
def part_draws(of: Task, seed: int) -> Draws:
    """Extrapolated :data:`PARTS`, (size, β, parts)."""
    sizes = [Sized(of, d) for d in (of.size, 2 * of.size)]
    slopes = [each.regression(seed + each.d) for each in sizes]
    generator = seeded(seed, "cpu")

    def one() -> Array:
        found = []
        for each, L in zip(sizes, slopes, strict=True):
            Omega, Phi = sft_targets(each.A, each.n, max(each.counts), generator)
            found.append(np.array([_parts(each, L, Omega[:, :B], Phi[:, :B]) for B in each.counts]))
        return np.asarray(2 * found[1] - found[0])

    return Draws(lambda size: np.stack([one() for _ in range(size)]))


def parts(
    prediction: Sequence[float],
    name: str,
    of: Task,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """One of :data:`PARTS` at each β of the task, relative to ``prediction``."""
    expected, at, delta = np.array(prediction, dtype=float), list(PARTS).index(name), PARTS[name]
    draw = part_draws(of, seed).reader(lambda batch: batch[:, :, at])
    return _limit(draw, expected, np.abs(expected), delta, f"{name}: {of.text}", profile, form)


def _limit(
    draw: Callable[[int], Array],
    expected: Array,
    scale: Array,
    delta: float,
    regime: str,
    profile: Profile,
    form: str,
) -> Evidence:
    # Near the least number of draws that the test takes, a tolerance is at most half as large again.
    delta *= min(1.0, 1.5 / profile.delta_factor)
    # The third cumulant of d times a trace is O(1/d) where its variance is O(1): a skewness as of d² draws.
    # Measured on 1000 pairs: below 0.3.
    return sampled(
        draw,
        expected,
        scale,
        delta,
        regime,
        profile,
        form,
        "scaling",
        limit=True,
        averaged=SIZE**2,
        stages=STAGES,
    )


# Settings -----------------------------------------------------------------------------------------

_F = Fraction
THIRDS = (_F(1, 4), _F(5, 12), _F(1, 3))
GENERIC = Task(
    THIRDS,
    (0.4, 1.0, 0.25),
    (0.5, 0.1, 1.0),
    (1.1, 1.0, 2.0),
    0.35,
    _F(5, 3),
    _F(5, 6),
    _F(10, 3),
    (_F(1, 4), _F(7, 12), _F(3, 2)),
    SIZE,
)
SINGULAR = Task(
    THIRDS,
    (0.0, 0.5, 1.0),
    (0.6, 1.0, 0.1),
    (0.7, 1.5, 1.0),
    0.6,
    _F(5, 6),
    _F(5, 3),
    _F(5, 4),
    (_F(1, 4), _F(5, 12), _F(5, 4)),
    SIZE,
)
# Figure 5 at n = 1000: d/n = 0.6, B = 100 and 300 of d = 600.
FIGURE = Task(
    (_F(1, 2), _F(1, 2)),
    (0.22, 0.1),
    (0.1, 1.0),
    (1.1, 1.0),
    0.2,
    *(_F(5, 3),) * 3,
    (_F(1, 6), _F(1, 2)),
    60,
)


def interference(r: float) -> Task:
    """The paper's two blocks with m = 2d/3, ρ = ½, n = d/2 and a small r, at large β."""
    eta, rho = 0.2, 0.5
    levels = (eta * (rho + 1), r), (rho, 1.0), (rho + 1, 1.0)
    return Task((_F(2, 3), _F(1, 3)), *levels, eta, *(_F(1, 2),) * 3, (_F(6), _F(12)), 36)


# The error at several β, and what is read off it --------------------------------------------------


def _error(at: Sized, Omega: Tensor, Phi: Tensor) -> float:
    """Err(Ṽ_*) over d."""
    pinv, G = _pinv(Phi), at.gamma0_inv[:, None]
    V = -at.of.eta * Omega @ pinv - G * (torch.eye(at.d, dtype=torch.float64) - Phi @ pinv)  # (4.1)
    return float(risk(V, at.Sigma, at.n_test)) / at.d


@cache
def error_draws(of: tuple[Task, ...], seed: int) -> Draws:
    """Extrapolated errors at all β of all tasks, side by side: (size, values)."""
    generator = seeded(seed, "cpu")

    def errors(each: Sized) -> Array:
        Omega, Phi = sft_targets(each.A, each.n, max(each.counts), generator)
        if min(each.of.betas) >= 2:  # far from the spike
            return np.array([_error(each, Omega[:, :B], Phi[:, :B]) for B in each.counts])
        curve = risk_curve(Omega, Phi, each.gamma0_inv, each.Sigma, each.of.eta, each.n_test)
        return np.array([float(curve[B - 1]) / each.d for B in each.counts])

    def one() -> Array:
        found = [2 * errors(Sized(task, 2 * task.size)) - errors(Sized(task, task.size)) for task in of]
        return np.concatenate(found)

    return Draws(lambda size: np.stack([one() for _ in range(size)]))


def errors(
    prediction: Sequence[float],
    combine: Array,
    of: tuple[Task, ...],
    what: str,
    seed: int,
    profile: Profile,
    form: str = "printed",
    delta: float = 3e-2,
) -> Evidence:
    """Rows of ``combine`` times the errors of ``of`` (its β side by side), relative to ``prediction``."""
    expected = np.array(prediction, dtype=float)
    draw = error_draws(of, seed).reader(lambda batch: batch @ combine.T)
    regime = f"{what}: {'; '.join(task.text for task in of)}"
    return _limit(draw, expected, np.abs(expected), delta, regime, profile, form)
