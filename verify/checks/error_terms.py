"""The traces that make up the error of V_S + V_N, measured on drawn Ω and Φ, and their limits.

V_S = −ηΩM† − Γ₀⁻¹(I − MM†) and V_N = −V_SEM†, M = AΩ, E = Φ − M, are built as they are defined, with Γ₀ of
(3.7) and A, Σ₀, Σ constant on blocks of coordinates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.sampling import sft_targets
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import pseudo_inverse_rounds, rounding_test

Array = NDArray[np.float64]

# What 2T(2d) − T(d) keeps of the distance to the limit is of order 1/d²: below 0.6 % at d = 30, 40 for traces
# of Π, below 1 % for those with M† (thousands of draws each), and a quarter of that at twice d.
DELTA, DELTA_NOISE = 2e-2, 6e-2
WIDEST = 2.0  # δ at most, in units of the above: four times it would hide errors of 20 %
CHUNK = 64  # pairs of draws made at once
DRAWS = 4  # for an identity, which each draw has to satisfy
DOUBLINGS = 7


@dataclass(frozen=True)
class Task:
    """Blocks of these sizes with the levels of A, Σ₀ and Σ, B prompts of length n, rate η."""

    sizes: tuple[int, ...]
    B: int
    n: int
    post: tuple[float, ...]
    pre: tuple[float, ...]
    test: tuple[float, ...]
    eta: float

    @property
    def d(self) -> int:
        return sum(self.sizes)

    def scaled(self, factor: int) -> Task:
        """The same ratios at ``factor`` times d."""
        sizes = tuple(factor * size for size in self.sizes)
        return replace(self, sizes=sizes, B=factor * self.B, n=factor * self.n)

    def diagonal(self, levels: Sequence[float]) -> Tensor:
        """The diagonal (d,) with these block values."""
        return torch.tensor(np.repeat(np.asarray(levels, dtype=float), self.sizes))


def paper(m: int, rest: int, B: int, n: int, rho: float, eta: float, r: float) -> Task:
    """Appendix B: Σ₀ = diag(ρ, 1), A = diag(η(ρ+1), r), Σ = diag(ρ+1, 1) on blocks of sizes m, d − m."""
    return Task((m, rest), B, n, (eta * (rho + 1), r), (rho, 1.0), (rho + 1, 1.0), eta)


class Levels:
    """The diagonal matrices of a task, each (d,)."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.A, self.Sigma0, self.Sigma = map(task.diagonal, (task.post, task.pre, task.test))
        self.inverse = 1 / ((1 + 1 / task.n) * self.Sigma0 + self.Sigma0.sum() / task.n)  # Γ₀⁻¹
        self.D_1 = 1 - self.inverse * self.Sigma
        self.D_pre = self.inverse - task.eta / self.A
        self.Sigma_A = (self.A.sum() * self.A + self.A**2) / task.d

    def of_blocks(self, diagonal: Tensor) -> Array:
        """Its value on each block, (K,)."""
        starts = np.cumsum((0, *self.task.sizes[:-1]))
        return np.asarray(diagonal.numpy()[starts])


class Drawn(Levels):
    """The operators of ``size`` draws of a task: ``Pi``, ``V_S`` and ``V_N``, (size, d, d) each."""

    def __init__(self, task: Task, size: int, generator: torch.Generator) -> None:
        super().__init__(task)
        d, B = task.d, task.B
        targets = sft_targets(self.A, task.n, size * B, generator)
        Omega, Phi = (x.reshape(d, size, B).transpose(0, 1).contiguous() for x in targets)
        self.Omega = Omega
        M = self.A[:, None] * Omega
        # M† = R⁻¹Qᵀ of M = QR, or its transpose; M has full rank almost surely.
        tall = d >= B
        Q, R = torch.linalg.qr(M if tall else M.mT)
        solved = torch.linalg.solve_triangular(R, Q.mT, upper=True)
        pseudo_inverse = solved if tall else solved.mT
        self.Pi = M @ pseudo_inverse
        off = torch.eye(d, dtype=torch.float64) - self.Pi
        self.V_S = -task.eta * Omega @ pseudo_inverse - self.inverse[:, None] * off
        self.V_N = -self.V_S @ ((Phi - M) @ pseudo_inverse)

    def mean_square(self, V: Tensor, X: Tensor) -> Tensor:
        """(1/d) tr(V X Vᵀ), (size,), X given by its diagonal."""
        return (V.square() * X).sum((-2, -1)) / self.task.d

    def pair(self, i: int, j: int) -> Tensor:
        """T_ij = (1/d) tr(Π_ijΠ_ji), (size,)."""
        ends = np.cumsum((0, *self.task.sizes))
        rows, cols = (slice(ends[at], ends[at + 1]) for at in (i, j))
        return (self.Pi[:, rows, cols] * self.Pi[:, cols, rows].mT).sum((-2, -1)) / self.task.d

    def share(self, k: int) -> Tensor:
        """(1/d_k) tr Π_kk, (size,)."""
        ends = np.cumsum((0, *self.task.sizes))
        return self.Pi.diagonal(dim1=-2, dim2=-1)[:, ends[k] : ends[k + 1]].mean(-1)

    def linear(self, F: Tensor) -> Tensor:
        """(1/d) tr(FΠ), (size,), F given by its diagonal."""
        return (self.Pi.diagonal(dim1=-2, dim2=-1) * F).sum(-1) / self.task.d

    def quadratic(self, F: Tensor, G: Tensor) -> Tensor:
        """(1/d) tr(FΠGΠ), (size,), F and G given by their diagonals."""
        return (F[:, None] * self.Pi * G * self.Pi.mT).sum((-2, -1)) / self.task.d

    @property
    def weight(self) -> float:
        """tr(Σ)/n, what (5.1) multiplies tr(ṼΣṼᵀ) by."""
        return float(self.Sigma.sum()) / self.task.n

    def error(self) -> Tensor:
        """(5.1) of V_S + V_N over d, all of its terms, (size,)."""
        V = self.V_S + self.V_N
        miss = torch.eye(self.task.d, dtype=torch.float64) + V * self.Sigma
        first = miss.square().sum((-2, -1)) / self.task.d
        rest = self.mean_square(V, self.Sigma**2) / self.task.n
        return first + rest + self.weight * self.mean_square(V, self.Sigma)

    def bias(self) -> Tensor:
        miss = torch.eye(self.task.d, dtype=torch.float64) + self.V_S * self.Sigma
        return miss.square().sum((-2, -1)) / self.task.d


Measure = Callable[[Drawn], Tensor]
MEASURES: dict[str, Measure] = {
    "bias": Drawn.bias,
    "T_var": lambda at: at.mean_square(at.V_S, at.Sigma_A),
    "T_var,Σ": lambda at: at.mean_square(at.V_S, at.Sigma),
    "T_11": lambda at: at.pair(0, 0),
    "T_22": lambda at: at.pair(1, 1),
    "bias, linear": lambda at: 2 * at.linear(at.D_1 * at.Sigma * at.D_pre),
    "bias, quadratic": lambda at: at.quadratic(at.D_pre**2, at.Sigma**2),
    "T_var, linear": lambda at: -2 * at.linear(at.inverse * at.Sigma_A * at.D_pre),
    "tr(D_preΠΣ_AD_preΠ)/d": lambda at: at.quadratic(at.D_pre, at.Sigma_A * at.D_pre),
    "noise I": lambda at: at.mean_square(at.V_N, at.Sigma**2),
    "signal II": lambda at: at.weight * at.mean_square(at.V_S, at.Sigma),
    "noise II": lambda at: at.weight * at.mean_square(at.V_N, at.Sigma),
    "error": Drawn.error,
}


class _Pool:
    """Draws of 2T(2d) − T(d), made when first asked for and kept: all checks of a task share them."""

    def __init__(self, task: Task, seed: int) -> None:
        self.task, self.kept = task, np.empty((0, len(MEASURES)))
        self.generator = seeded(seed, "cpu")

    def column(self, measure: str, start: int, stop: int) -> Array:
        """Draws ``start`` … ``stop`` − 1 of the measure."""
        while stop > len(self.kept):
            small, large = (
                torch.stack([measure(drawn) for measure in MEASURES.values()], dim=1).numpy()
                for drawn in (Drawn(self.task.scaled(f), CHUNK, self.generator) for f in (1, 2))
            )
            self.kept = np.concatenate([self.kept, 2 * large - small])
        return self.kept[start:stop, list(MEASURES).index(measure)]


@cache
def _pool(task: Task, seed: int) -> _Pool:
    return _Pool(task, seed)


Part = tuple[str, Task]


def _text(tasks: Sequence[Task]) -> str:
    sizes = ", ".join(f"({t.d},{t.n},{t.B})" for t in tasks)
    return f"(d,n,B) = {sizes} and twice these, 2T(2d) − T(d)"


def limits(
    prediction: Sequence[float],
    of: Sequence[Part],
    seed: int,
    profile: Profile,
    form: str = "printed",
    delta: float = DELTA,
) -> Evidence:
    """The limit of each of the measures ``of``, relative to its ``prediction``.

    A draw of dimension d is a mean of about d² terms for this purpose: the third cumulant of a trace of order
    1 falls like 1/d beside its variance to the 3/2.
    """
    expected = np.array(prediction, dtype=float)
    factor = 2 if profile.sample_factor > 1 else 1
    tasks = [task.scaled(factor) for _, task in of]
    start = 0

    def draw(size: int) -> Array:
        nonlocal start
        start += size
        parts = zip(of, tasks, strict=True)
        return np.stack([_pool(t, seed).column(m, start - size, start) for (m, _), t in parts], axis=1)

    scale = np.where(expected == 0, 1.0, np.abs(expected))
    delta *= min(1.0, WIDEST / profile.delta_factor)
    text = f"{', '.join(dict.fromkeys(name for name, _ in of))}: {_text(list(dict.fromkeys(tasks)))}"
    averaged = min(task.d for task in tasks) ** 2
    return sampled(draw, expected, scale, delta, text, profile, form, limit=True, averaged=averaged)


def identity(
    prediction: Callable[[Drawn], Array],
    measure: str,
    tasks: Sequence[Task],
    seed: int,
    form: str = "printed",
) -> Evidence:
    """A measure against ``prediction`` from other quantities of the same draw, to rounding, in each draw."""
    generator = seeded(seed, "cpu")
    worst = None
    for task in tasks:
        at = Drawn(task, DRAWS, generator)
        operator, weight = (
            1 + float(sum(x.abs().max() for x in pair))
            for pair in ((at.inverse, at.D_pre), (at.Sigma, at.Sigma_A))
        )
        scale = (operator * weight) ** 2
        rounds = pseudo_inverse_rounds(at.A[:, None] * at.Omega)
        found = rounding_test(MEASURES[measure](at).numpy(), prediction(at), scale, rounds)
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    text = f"each of {DRAWS} draws, (d,n,B) = {', '.join(f'({t.d},{t.n},{t.B})' for t in tasks)}"
    return Evidence("monte-carlo", worst.outcome, worst.measured, text, worst.delta, 0.0, form)


QUANTITIES: dict[str, Callable[[Levels], Array]] = {
    "kappa": lambda at: np.array([float(at.Sigma0.sum()) / at.task.n]),
    "alpha": lambda at: at.of_blocks(at.D_1),
    "delta": lambda at: at.of_blocks(at.D_pre * at.Sigma),
    "delta_tilde": lambda at: at.of_blocks(at.D_pre),
    "g": lambda at: at.of_blocks(-at.inverse),
    "s": lambda at: at.of_blocks(at.Sigma_A),
    "tr(D₁²)/d": lambda at: np.array([float((at.D_1**2).mean())]),
    "tr(Γ₀⁻²Σ_A)/d": lambda at: np.array([float((at.inverse**2 * at.Sigma_A).mean())]),
    "tr(Γ₀⁻²Σ_A)": lambda at: np.array([float((at.inverse**2 * at.Sigma_A).sum())]),
}


def levels(
    prediction: Callable[[Task], Sequence[float]],
    quantity: str,
    tasks: Sequence[Task],
    form: str = "printed",
    blocks: slice = slice(None),
) -> Evidence:
    """The limit of a quantity that is not random, of the ``blocks`` alone, from d to 2^7 d.

    Extrapolated from the last two for a gap like 1/d, it is off by a multiple of 1/d², 1e-5 at most; and the
    gap has to halve with each doubling, or be rounding.  δ = 1e-4 of the largest value.
    """
    delta, outcome, worst = 1e-4, "agrees", 0.0
    for task in tasks:
        expected = np.asarray(prediction(task), dtype=float)
        scale = np.abs(expected).max() or 1.0
        found = [QUANTITIES[quantity](Levels(task.scaled(2**j)))[blocks] for j in range(DOUBLINGS + 1)]
        gaps = [np.abs(x - expected).max() / scale for x in found]
        end = float(np.abs(2 * found[-1] - found[-2] - expected).max() / scale)
        halves = all(after < 0.6 * before + 1e-12 for before, after in pairwise(gaps))
        worst = max(worst, end)
        if end > delta or not halves:
            outcome = "differs"
    text = f"{quantity}, d = {', '.join(str(t.d) for t in tasks)} to {2**DOUBLINGS} times that"
    return Evidence("scaling", outcome, f"limit off by {worst:.1e}", text, delta, 0.0, form)
