"""The numbers of Figures 1, 2 and 5 of arXiv:2603.01293: simulated errors, and what is predicted for them.

Errors are per dimension, Err = R/d of eq. (5.1), as the ticks of the printed figures are.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from numerics.curves import CurveSetting, simulate_curves
from numerics.device import seeded
from numerics.sampling import sft_targets
from numerics.sft import first_order_operators, risk
from theory.errors import check_count
from theory.proportional import sft_risk_limit

Array = NDArray[np.float64]
Progress = Callable[[float], None]
REALIZATIONS = 10  # those of Figure 5; the print gives none for Figures 1 and 2
WINDOW = 3  # |B − rank A| up to which the error has no variance (and up to 1 no mean)
ROLES = ("n_post", "n_pre", "n_test")


@dataclass(frozen=True)
class Task:
    """Section 5.2: Σ₀ = diag(ρ1_m, 1), Σ = Σ₀ + diag(1_m, 0), A = diag(η(ρ+1)1_m, r1), at one length n.

    ``n`` is the length of the prompts of post-training, of pretraining (in Γ₀) and of the test, unless
    ``n_pre`` or ``n_test`` say otherwise.
    """

    r: float
    n: int
    n_pre: int | None = None
    n_test: int | None = None
    d: int = 400
    m: int = 200
    rho: float = 0.1
    eta: float = 0.2

    @property
    def rank(self) -> int:
        return self.d if self.r > 0 else self.m

    @property
    def levels(self) -> dict[str, list[float]]:
        """The two levels of A, Σ₀ and Σ."""
        post = [self.eta * (self.rho + 1), self.r]
        return {"post": post, "pre": [self.rho, 1.0], "test": [self.rho + 1, 1.0]}

    @property
    def simulated(self) -> CurveSetting:
        top = (torch.arange(self.d) < self.m).double()
        diagonal = {name: first * top + second * (1 - top) for name, (first, second) in self.levels.items()}
        return CurveSetting(
            diagonal["post"],
            diagonal["pre"],
            diagonal["test"],
            self.eta,
            self.n,
            n_pre=self.n_pre,
            n_test=self.n_test,
        )

    def limit(self, B: ArrayLike) -> Array:
        """The exact limit of Err(Ṽ_*) at β = B/d, (N,); infinite at B = rank A."""
        ratios = {"aspect": self.d / self.n, "aspect_pre": self._aspect(self.n_pre)}
        found = sft_risk_limit(**self._at(B), **ratios, aspect_test=self._aspect(self.n_test))
        return np.asarray(found)

    def first_order_limit(self, B: ArrayLike, printed: bool) -> Array:
        """F(β) of Theorem B.1 at β = B/d, (N,), as printed or corrected; infinite at B = d.  r > 0, one n."""
        from theory.first_order_limit import linearised_risk_limit  # here, as SymPy slows every process down

        return np.asarray(linearised_risk_limit(**self._at(B), aspect=self.d / self.n, printed=printed))

    def _aspect(self, n: int | None) -> float:
        return self.d / (self.n if n is None else n)

    def _at(self, B: ArrayLike) -> dict[str, Any]:
        share = self.m / self.d
        beta = np.asarray(B, dtype=float) / self.d
        return {"beta": beta, "eta": self.eta, "weights": [share, 1 - share], **self.levels}


@dataclass(frozen=True, eq=False)
class Sample:
    """Simulated errors of independent training sets: ``errors`` (realizations, N) at ``counts`` B (N,)."""

    rank: int
    counts: NDArray[np.int64]
    errors: Array

    def at(self, counts: ArrayLike) -> Sample:
        """The part at those B that are among ``counts``."""
        places = np.isin(self.counts, np.asarray(counts))
        return replace(self, counts=self.counts[places], errors=self.errors[:, places])

    def quantile(self, share: float) -> Array:
        """(N,); it exists at every B."""
        return np.asarray(np.quantile(self.errors, share, axis=0))

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Where means and their standard errors make sense: |B − rank A| > 3."""
        return np.abs(self.counts - self.rank) > WINDOW

    @property
    def mean(self) -> Array:
        """(N,); NaN within the window about rank A."""
        mean = np.full(len(self.counts), np.nan)
        mean[self.kept] = self.errors[:, self.kept].mean(0)
        return mean

    @property
    def standard_error(self) -> Array:
        """Of the mean, (N,); NaN within the window about rank A."""
        error = np.full(len(self.counts), np.nan)
        error[self.kept] = self.errors[:, self.kept].std(0, ddof=1) / len(self.errors) ** 0.5
        return error

    def deviation(self, prediction: Array) -> tuple[Array, Array]:
        """prediction/mean − 1 and its standard error to first order, (N,) each; NaN within the window."""
        ratio = prediction / self.mean
        return ratio - 1, ratio * self.standard_error / self.mean


@dataclass(frozen=True)
class Figure1:
    """Samples at B = 1, …, B_max."""

    tasks: list[Task]
    samples: list[Sample]


@dataclass(frozen=True)
class Figure2:
    """One task per r (n = 800 in all roles) and the samples at the B of ``counts``.

    ``points[role, r]`` holds (n, sample) with n in that role alone, and in all three for the role "all".
    """

    tasks: list[Task]
    counts: tuple[int, ...]
    points: dict[tuple[str, float], list[tuple[int, Sample]]]


@dataclass(frozen=True)
class Figure5:
    """Samples of Err(Ṽ_*) at B = 1, …, B_max and of Err(V_S + V_N) at a few B."""

    tasks: list[Task]
    samples: list[Sample]
    first_order: list[Sample]


def figure1(
    progress: Progress,
    workers: int,
    *,
    lengths: Sequence[int] = (400, 800, 1200),
    levels: Sequence[float] = (0.0, 0.01, 0.1),
    d: int = 400,
    B_max: int = 2000,
    realizations: int = REALIZATIONS,
) -> Figure1:
    """Simulated at every n of ``lengths`` and r of ``levels``; m = d/2."""
    tasks = [Task(r, n, d=d, m=d // 2) for r in levels for n in lengths]
    return Figure1(tasks, curves(tasks, np.arange(1, B_max + 1), realizations, 1, workers, progress))


def figure2(
    progress: Progress,
    workers: int,
    *,
    lengths: Sequence[int] = (20, 50, 100, 200, 400, 600, 800, 1000),
    role_lengths: Sequence[int] = (50, 200, 500, 1000),
    other: int = 800,
    levels: Sequence[float] = (0.0, 0.01, 0.1),
    counts: tuple[int, ...] = (50, 150, 300, 500),
    d: int = 400,
    realizations: int = REALIZATIONS,
) -> Figure2:
    """Simulated at ``lengths`` in all roles, and at ``role_lengths`` in one with ``other`` in the two."""
    base = [Task(r, other, d=d, m=d // 2) for r in levels]
    places = [
        (role, task, n)
        for task in base
        for role in ("all", *ROLES)
        for n in (lengths if role == "all" else role_lengths)
    ]
    tasks = [with_length(task, role, n) for role, task, n in places]
    points: dict[tuple[str, float], list[tuple[int, Sample]]] = {}
    found = curves(tasks, np.asarray(counts), realizations, 2, workers, progress)
    for (role, task, n), sample in zip(places, found, strict=True):
        points.setdefault((role, task.r), []).append((n, sample))
    return Figure2(base, counts, points)


def figure5(
    progress: Progress,
    workers: int,
    *,
    lengths: Sequence[int] = (1000, 5000),
    d: int = 600,
    B_max: int = 1000,
    counts: Sequence[int] = (
        *(10, 30, 60, 100, 150, 200, 250, 300, 350, 400, 450, 500, 530, 560),
        *(650, 700, 760, 830, 910, 1000),
    ),
    realizations: int = REALIZATIONS,
) -> Figure5:
    """Simulated at every n of ``lengths``, r = 0.1, m = d/2; V_S + V_N at the B of ``counts``."""
    tasks = [Task(0.1, n, d=d, m=d // 2) for n in lengths]
    share = 0.1  # of the time
    samples = curves(
        tasks, np.arange(1, B_max + 1), realizations, 5, workers, lambda done: progress(share * done)
    )
    at = np.asarray(sorted(counts))
    first = first_order(
        tasks, at, realizations, 6, workers, lambda done: progress(share + (1 - share) * done)
    )
    return Figure5(tasks, samples, first)


def with_length(task: Task, role: str, n: int) -> Task:
    """``task`` with ``n`` in one role alone ("n_post", "n_pre", "n_test"), or in "all"."""
    if role == "all":
        return replace(task, n=n, n_pre=None, n_test=None)
    if role == "n_post":
        return replace(task, n=n, n_pre=task.n_pre or task.n, n_test=task.n_test or task.n)
    return replace(task, **{role: n})


def curves(
    tasks: Sequence[Task],
    counts: NDArray[np.int64],
    realizations: int,
    seed: int,
    workers: int,
    progress: Progress,
) -> list[Sample]:
    """Err(Ṽ_*) at ``counts`` (N,), increasing: a sample for each task, nested over B."""
    return _samples(_curve, tasks, counts, realizations, seed, workers, progress)


def first_order(
    tasks: Sequence[Task],
    counts: NDArray[np.int64],
    realizations: int,
    seed: int,
    workers: int,
    progress: Progress,
) -> list[Sample]:
    """Err(V_S + V_N), eq. (B.4), at ``counts``: a sample for each task, nested over B."""
    return _samples(_first_order, tasks, counts, realizations, seed, workers, progress)


def _curve(task: Task, counts: NDArray[np.int64], seed: int) -> Array:
    errors = simulate_curves([task.simulated], 1, int(counts[-1]), seed)
    return np.asarray(errors[0, 0].numpy()[counts - 1] / task.d)


def _first_order(task: Task, counts: NDArray[np.int64], seed: int) -> Array:
    torch.set_num_threads(1)
    of = task.simulated
    Omega, Phi = sft_targets(of.A, of.n, int(counts[-1]), seeded(seed, "cpu"))
    errors = []
    for B in counts:
        V_S, V_N = first_order_operators(Omega[:, :B], Phi[:, :B], of.A, of.gamma0_inv, of.eta)
        errors.append(float(risk(V_S + V_N, of.Sigma, of.n_test or of.n)) / task.d)
    return np.asarray(errors)


def _samples(
    simulate: Callable[[Task, NDArray[np.int64], int], Array],
    tasks: Sequence[Task],
    counts: NDArray[np.int64],
    realizations: int,
    seed: int,
    workers: int,
    progress: Progress,
) -> list[Sample]:
    """A job for each task and realization: the same numbers whatever the number of processes."""
    check_count("realizations", realizations, 2)
    children = np.random.SeedSequence(seed).generate_state(len(tasks) * realizations)
    jobs = [(tasks[i // realizations], counts, int(child)) for i, child in enumerate(children)]
    rows = _in_processes(simulate, jobs, workers, progress)
    errors = np.stack(rows).reshape(len(tasks), realizations, len(counts))
    return [Sample(task.rank, counts, found) for task, found in zip(tasks, errors, strict=True)]


def _in_processes(
    call: Callable[..., Array], jobs: Sequence[tuple[Any, ...]], workers: int, progress: Progress
) -> list[Array]:
    """``call`` on each job in order; with one worker nothing is started."""
    if check_count("workers", workers) == 1:
        found = []
        for job in jobs:
            found.append(call(*job))
            progress(len(found) / len(jobs))
        return found
    # Not a fork of this process, whose BLAS threads would not come along.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
        waiting = [pool.submit(call, *job) for job in jobs]
        done: Iterable[Any] = as_completed(waiting)
        for count, _ in enumerate(done, 1):
            progress(count / len(jobs))
        return [future.result() for future in waiting]
