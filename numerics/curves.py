"""Risk curves of fine-tuning over B, simulated over settings and realizations in a pool of processes."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.diagonal import check_covariance_or_diagonal, trace
from numerics.errors import ArgumentError, check_count, check_rate
from numerics.sampling import sft_targets
from numerics.sft import risk_curve


@dataclass(frozen=True, eq=False)
class CurveSetting:
    """Where a risk curve is taken: covariances of the features, rate η and context lengths.

    ``A`` (post-training), ``Sigma0`` (pretraining) and ``Sigma`` (test) are (d, d) or their diagonals
    (d,).  ``n`` is the context length of post-training; those of pretraining, which Γ₀ depends on, and of
    the test are the same unless given.  Raises :class:`ArgumentError` for what is no covariance, sizes
    that differ, Σ₀ = 0, a count below 1 and η outside (0, 1].
    """

    A: Tensor
    Sigma0: Tensor
    Sigma: Tensor
    eta: float
    n: int
    n_pre: int | None = None
    n_test: int | None = None

    def __post_init__(self) -> None:
        d = check_covariance_or_diagonal("Sigma0", self.Sigma0).shape[0]
        for name in ("A", "Sigma0", "Sigma"):
            object.__setattr__(self, name, check_covariance_or_diagonal(name, getattr(self, name), d).cpu())
        if not self.Sigma0.any():
            raise ArgumentError("Sigma0 is zero: must not be, or Γ₀ has no inverse")
        object.__setattr__(self, "eta", check_rate("eta", self.eta))
        check_count("n", self.n)
        for name in ("n_pre", "n_test"):
            given = getattr(self, name)
            object.__setattr__(self, name, self.n if given is None else check_count(name, given))

    @property
    def gamma0_inv(self) -> Tensor:
        """Γ₀⁻¹, Γ₀ = ((n_pre+1)/n_pre) Σ₀ + (tr Σ₀/n_pre) I; (d,) or (d, d) like Σ₀."""
        n = check_count("n_pre", self.n_pre)
        spread = trace(self.Sigma0) / n
        if self.Sigma0.ndim == 1:
            return 1 / ((n + 1) / n * self.Sigma0 + spread)
        return torch.linalg.inv((n + 1) / n * self.Sigma0 + spread * torch.eye(self.Sigma0.shape[0]).double())


def simulate_curves(
    settings: Sequence[CurveSetting], realizations: int, B_max: int, seed: int, workers: int = 1
) -> Tensor:
    """:func:`~numerics.sft.risk_curve` of fresh targets, shape (settings, realizations, B_max), on the CPU.

    Each realization of each setting draws from its own generator, made from (seed, place of the setting,
    realization): the same numbers whatever the number of ``workers``, each a process with one thread.
    With one worker nothing is started.  A script that asks for more must be importable (its calls under
    ``if __name__ == "__main__"``).  Raises :class:`ArgumentError` for no settings and counts out of range.
    """
    check_count("realizations", realizations)
    check_count("B_max", B_max)
    check_count("seed", seed, 0)
    check_count("workers", workers)
    if not settings:
        raise ArgumentError("settings is empty: must have at least one")
    places = [(i, j) for i in range(len(settings)) for j in range(realizations)]
    if workers == 1:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            found = [_curve(settings[i], B_max, seed, i, j) for i, j in places]
        finally:
            torch.set_num_threads(threads)
    else:
        # Pickled here: tensors handed to a process go through shared memory, one open file each.
        packed = [pickle.dumps(setting) for setting in settings]
        jobs = ((packed[i], B_max, seed, i, j) for i, j in places)
        # Not a fork of this process, whose BLAS threads would not come along.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            min(workers, len(places)), context, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            found = list(pool.map(_unpacked_curve, jobs))
    return torch.from_numpy(np.stack(found)).reshape(len(settings), realizations, B_max)


def _unpacked_curve(job: tuple[bytes, int, int, int, int]) -> NDArray[np.float64]:
    return _curve(pickle.loads(job[0]), *job[1:])


def _curve(setting: CurveSetting, B_max: int, seed: int, place: int, realization: int) -> NDArray[np.float64]:
    state = np.random.SeedSequence(seed, spawn_key=(place, realization)).generate_state(1, np.uint64)
    generator = seeded(int(state[0] >> np.uint64(1)), "cpu")  # torch takes 63 bits
    Omega, Phi = sft_targets(setting.A, setting.n, B_max, generator)
    n_test = check_count("n_test", setting.n_test)
    return risk_curve(Omega, Phi, setting.gamma0_inv, setting.Sigma, setting.eta, n_test).numpy()
