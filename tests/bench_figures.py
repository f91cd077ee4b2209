"""The times of Figure 1 of arXiv:2603.01293 and of errors after k steps, beside those from the definition.

For ``make bench``; nothing here is a test.  Complete is: n in {400, 800, 1200}, r in {0, 0.01, 0.1},
10 realizations, every B from 1 to 2000, at d = 400, m = 200, ρ = 0.1, η = 0.2.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from numerics.curves import CurveSetting, simulate_curves
from numerics.device import seeded
from numerics.sampling import (
    k_step_errors,
    k_step_errors_by_definition,
    sft_targets,
    sft_targets_by_definition,
)
from numerics.sft import risk, risk_curve, sft_minimiser

LENGTHS, ALLOCATIONS = (400, 800, 1200), (0.0, 0.01, 0.1)
REALIZATIONS, B_MAX, WORKERS = 10, 2000, 2
TIMED_B = (1, 100, 200, 400, 600, 1000, 2000)  # where singular values are timed; in between a straight line
TIMED_PROMPTS = 100


class Row(NamedTuple):
    """A line of the table of ``make bench``; ``held_to`` is empty where nothing was promised."""

    what: str
    measured: str
    held_to: str = ""


def figure1_setting(n: int, r: float, d: int = 400, m: int = 200, rho: float = 0.1) -> CurveSetting:
    """Figure 1: Σ₀ = diag(ρ1_m, 1), Δ = diag(1_m, 0), A = diag(η(ρ+1)1_m, r1) with η = 0.2."""
    eta = 0.2
    top = (torch.arange(d) < m).double()
    Sigma0 = rho * top + (1 - top)
    return CurveSetting(eta * (rho + 1) * top + r * (1 - top), Sigma0, Sigma0 + top, eta, n)


def figure1_settings() -> list[CurveSetting]:
    return [figure1_setting(n, r) for n in LENGTHS for r in ALLOCATIONS]


def timed(call: Callable[[], object], repeat: int = 1) -> float:
    """Median wall time of a call, in seconds."""
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def targets(setting: CurveSetting) -> tuple[Tensor, Tensor]:
    return sft_targets(setting.A, setting.n, B_MAX, seeded(0, "cpu"))


def by_singular_values(setting: CurveSetting, Omega: Tensor, Phi: Tensor, B: int) -> float:
    """One point of a curve."""
    V = sft_minimiser(Omega[:, :B], Phi[:, :B], setting.gamma0_inv, setting.eta)
    return float(risk(V, setting.Sigma, setting.n))


def by_definition_seconds(setting: CurveSetting, repeat: int = 3) -> float:
    """The time on one thread of one curve, every B up to B_MAX, by drawing all features once and taking the
    singular values of Φ for each B: **extrapolated** from TIMED_PROMPTS prompts and the B of TIMED_B.
    """
    Omega, Phi = targets(setting)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        drawing = timed(
            lambda: sft_targets_by_definition(setting.A, setting.n, TIMED_PROMPTS, seeded(0, "cpu")), repeat
        )
        points = [timed(lambda B=B: by_singular_values(setting, Omega, Phi, B), repeat) for B in TIMED_B]
    finally:
        torch.set_num_threads(threads)
    between = [
        (right - left) * (low + high) / 2
        for left, right, low, high in zip(TIMED_B, TIMED_B[1:], points, points[1:], strict=False)
    ]
    return drawing * B_MAX / TIMED_PROMPTS + sum(between)


def peak_memory_bytes() -> int:
    """An upper bound on what was resident at once: the peak of this process, and WORKERS times that of the
    largest process it has waited for."""
    own, child = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return (own + WORKERS * child) * (1 if sys.platform == "darwin" else 1024)


def worst_difference(setting: CurveSetting, at: Iterable[int]) -> float:
    """The largest relative difference of a curve from singular values, over the B ``at``."""
    Omega, Phi = targets(setting)
    curve = risk_curve(Omega, Phi, setting.gamma0_inv, setting.Sigma, setting.eta, setting.n)
    return max(abs(float(curve[B - 1]) / by_singular_values(setting, Omega, Phi, B) - 1) for B in at)


def figure1_seconds() -> list[Row]:
    """The rows of Figure 1.  It starts processes: the script that calls it must be guarded by
    ``if __name__ == "__main__"``."""
    settings = figure1_settings()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = timed(lambda: simulate_curves(settings, REALIZATIONS, B_MAX, 0, WORKERS))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = peak_memory_bytes()
    # The definition on as many processes of one thread.
    definition = sum(map(by_definition_seconds, settings)) * REALIZATIONS / WORKERS
    count = len(settings) * REALIZATIONS * B_MAX
    peak = worst_difference(figure1_setting(400, 0.01), range(390, 411))
    return [
        Row(f"Figure 1, {count:,} points, {WORKERS} processes, s", f"{whole:.3g}", "15"),
        Row("    their processor time, s (which a busy machine stretches less)", f"{processor:.3g}"),
        Row("    peak memory, GB", f"{memory / 1e9:.2g}", "2"),
        Row("    from the definition, extrapolated, s", f"{definition:.3g}"),
        Row("    the curves are faster by a factor of", f"{definition / whole:.0f}", "≥ 200"),
        Row("    relative difference from singular values, B = 390, …, 410", f"{peak:.1g}"),
    ]


def _peak_kib() -> int:
    """The most that this process ever held; macOS counts bytes.

    Linux' own count: the ``ru_maxrss`` of a process begins with the memory of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)


def revealed(
    sampler: str, size: int, repeat: int, threads: int, d: int = 10_000, k: int = 4
) -> tuple[float, float]:
    """The least seconds a prompt of ``repeat`` calls for ``size`` prompts, and MB above what importing took,
    at d = n, diagonal V and Σ, float32.  For a process of its own: the peak is the process's."""
    torch.set_num_threads(threads)
    draw = {"revealed": k_step_errors, "definition": k_step_errors_by_definition}[sampler]
    Sigma = torch.linspace(0.1, 1, d)
    V = -1 / (Sigma * (1 + 1 / d) + Sigma.sum() / d)
    before = _peak_kib()
    least = min(
        timed(lambda: draw(V, Sigma, d, k, size, seeded(0, "cpu"), torch.float32)) for _ in range(repeat)
    )
    return least / size, (_peak_kib() - before) * 1024 / 1e6


def revealed_seconds() -> list[Row]:
    """The rows of the k-step errors at d = n = 10⁴, k = 4, each side in a fresh process."""
    found = []
    for call in (("revealed", 58, 20, 1), ("revealed", 58, 20, WORKERS), ("definition", 1, 2, WORKERS)):
        code = f"from bench_figures import revealed; print(*revealed(*{call}))"
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append([float(x) for x in ran.stdout.split()])
    (alone, _), (fast, held), (slow, all_held) = found
    return [
        Row("errors after 4 steps, d = n = 10,000, a prompt, ms", f"{fast * 1e3:.2g}", "1"),
        Row("    on one thread (two wait for each other on a busy machine), ms", f"{alone * 1e3:.2g}"),
        Row("    memory above the imports, MB", f"{held:.0f}", "200"),
        Row("    from the definition, a prompt, ms", f"{slow * 1e3:.0f}"),
        Row("    and its memory, MB", f"{all_held:.0f}"),
        Row("    revealed is faster by a factor of", f"{slow / fast:.0f}"),
    ]


if __name__ == "__main__":
    for row in revealed_seconds():
        print(*row, sep="  ")
    for row in figure1_seconds():
        print(*row, sep="  ")
