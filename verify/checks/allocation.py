"""The errors of chosen Ṽ on chosen prompts, sampled: sizes, differences, limits; and the settings of
Section 5 that they are taken in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.model import assemble, embed, last_column
from numerics.prompts import sample_prompts
from verify.checks.points import covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
WIDE = 50  # dimensions from which the error is sampled prompt by prompt, the task averaged out:
FEW = 36  # of these, whose squared norms scatter by a few per cent, nearly normally, are enough


@dataclass(frozen=True, eq=False)  # hashed by identity, for the caches of what is sampled
class Shift:
    """Pretraining covariance, shift with projection P onto its range, post-training covariance A, prompt
    length and rate."""

    Sigma0: Array
    Delta: Array
    P: Array
    A: Array
    n: int
    eta: float
    text: str

    @property
    def Sigma(self) -> Array:
        return self.Sigma0 + self.Delta

    @property
    def on_shift(self) -> Array:
        """PΣP."""
        return np.asarray(self.P @ self.Sigma @ self.P)

    @property
    def off(self) -> Array:
        """I − P."""
        return np.asarray(np.eye(len(self.P)) - self.P)


@dataclass(frozen=True, eq=False)
class Law:
    """Test prompts of length n from N(0, Sigma)."""

    Sigma: Array
    n: int


@dataclass(frozen=True, eq=False)
class Trial:
    """A d × d block V and the prompts that it is tested on; trials of one law share its samples."""

    V: Array
    law: Law


def shift(seed: int, n: int, d: int, m: int, crossing: float = 0.0, known: float = 1.0) -> Shift:
    """A generic Σ₀, and Δ and A of rank m, in a basis far from the coordinates'; η = 0.4.

    Σ₀ ≻ 0 commutes with P unless ``crossing`` (below 1) couples U with its complement; its part on U is
    multiplied by ``known``.  Drawn until the eigenvalues of Σ on U are within a factor 2.5, where the
    operator has a zero for short prompts too.
    """
    for at in range(seed % 2**31, seed % 2**31 + 1000):
        on, change, after = known * covariance(m, at), covariance(m, at + 2), covariance(m, at + 3)
        values = np.linalg.eigvalsh(on + change)
        if values[-1] < 2.5 * values[0]:
            break
    off = covariance(d - m, at + 1)
    source = np.random.default_rng(at)
    between = source.normal(size=(m, d - m))
    between = crossing * between / np.linalg.norm(between, 2)
    between = np.linalg.cholesky(on) @ between @ np.linalg.cholesky(off).T
    basis = np.linalg.qr(source.normal(size=(d, d)))[0]

    def turned(matrix: Array) -> Array:
        found = basis @ np.pad(matrix, (0, d - len(matrix))) @ basis.T
        return np.asarray((found + found.T) / 2)

    Sigma0 = turned(np.block([[on, between], [between.T, off]]))
    text = f"d={d}, m={m}, n={n}, Σ₀ {'not commuting' if crossing else 'commuting'} with P_U"
    return Shift(Sigma0, turned(change), turned(np.eye(m)), turned(after), n, 0.4, text)


def paper(n: int, level: float = 1.0) -> Shift:
    """Section 5.2: d = 400, m = 200, Σ₀ = diag(0.1 1_m, level 1_{d−m}), Δ = diag(1_m, 0), A = ηΣ_U: the
    caption of Figure 1 at ``level`` 1, the running text at 0."""
    P = np.diag(np.repeat([1.0, 0.0], 200))
    Sigma0 = np.diag(np.repeat([0.1, level], 200))
    return Shift(Sigma0, P, P, 0.2 * 1.1 * P, n, 0.2, f"d=400, m=200, n={n}, Σ₀=diag(0.1, {level:g})")


Generators = dict[Law, torch.Generator]


def _generators(trials: Sequence[Trial], seed: int) -> Generators:
    """One for each law, all with the same seed: different laws get the same normals."""
    return {t.law: seeded(seed, "cpu") for t in trials}


def _misses(trials: Sequence[Trial], size: int, generators: Generators) -> Array:
    """‖ŵ_1 − w*‖² of each trial, (size, trials), by the full forward pass."""
    seen = {}
    for law, generator in generators.items():
        drawn = sample_prompts(tensor(law.Sigma), law.n, size, generator)
        seen[law] = embed(drawn.X, drawn.w_star), drawn.w_star
    columns = []
    for t in trials:
        (Z, star), d = seen[t.law], len(t.V)
        V, W = assemble(tensor(t.V), torch.eye(d, dtype=torch.float64))
        found = last_column(Z, V, W, t.law.n)[:, d + 1 : 2 * d + 1]
        columns.append((found - star).square().sum(-1))
    return torch.stack(columns, dim=1).numpy()


@cache
def _wide_covariances(law: Law, seed: int, size: int) -> list[tuple[Array, Array]]:
    """S and S² of ``size`` prompts."""
    S = sample_prompts(tensor(law.Sigma), law.n, size, seeded(seed, "cpu")).S
    return [(one.numpy(), (one @ one).numpy()) for one in S]


def _wide(trials: Sequence[Trial], seed: int, profile: Profile) -> Array:
    """‖I + VS‖_F² = d + 2 tr(VS) + tr(VᵀV S²) of each trial, (prompts, trials)."""
    size, columns = FEW if profile.sample_factor >= 1 else FEW // 2, []
    for t in trials:
        square = t.V.T @ t.V
        pairs = _wide_covariances(t.law, seed, size)
        columns.append([len(t.V) + 2 * (t.V.T * S).sum() + (square * S2).sum() for S, S2 in pairs])
    return np.array(columns).T


def _compared(
    prediction: Array,
    scale: Array,
    combine: Callable[[Array], Array],
    trials: Sequence[Trial],
    seed: int,
    profile: Profile,
    text: str,
    form: str,
    delta: float,
) -> Evidence:
    """The mean of ``combine`` of the errors against ``prediction``, in units of ``scale``, to within
    ``delta``: by the sequential test for small d, by t intervals for wide."""
    if len(trials[0].V) < WIDE:
        generators = _generators(trials, seed)
        return sampled(
            lambda size: combine(_misses(trials, size, generators)),
            prediction,
            scale,
            delta,
            text,
            profile,
            form,
        )
    found = combine(_wide(trials, seed, profile)) / scale
    gap, half = np.abs(found.mean(axis=0) - prediction / scale), half_widths(found, profile.alpha)
    delta *= max(1.0, profile.delta_factor)  # the number of prompts has no thorough profile
    outcome = "agrees" if (gap + half <= delta).all() else "undecided"
    outcome = "differs" if (gap > half).any() else outcome
    at = int(np.argmax(gap + half))
    measured = f"rel. dev. {gap[at]:.1e} ± {half[at]:.1e} (n = {len(found)})"
    return Evidence("monte-carlo", outcome, measured, text, delta, profile.alpha, form)


def _text(trials: Sequence[Trial], what: str) -> str:
    sizes = dict.fromkeys((len(t.V), t.law.n) for t in trials)
    return f"{what}, (d,n) = {', '.join(f'({d},{n})' for d, n in sizes)}"


def errors(
    prediction: Sequence[float], trials: Sequence[Trial], seed: int, profile: Profile, form: str
) -> Evidence:
    """E‖ŵ_1 − w*‖² of each trial, relative to ``prediction``."""
    expected = np.array(prediction, dtype=float)
    text = _text(trials, f"errors of {len(trials)} Ṽ")
    return _compared(expected, np.abs(expected), lambda x: x, trials, seed, profile, text, form, 3e-2)


def gaps(
    prediction: Sequence[float], trials: Sequence[Trial], seed: int, profile: Profile, form: str
) -> Evidence:
    """The errors of the later trials minus that of the first, each relative to its ``prediction`` (absolute
    where that is 0); δ = 10 %, as a gap is a small part of the errors that it is between."""
    expected = np.array(prediction, dtype=float)
    text = _text(trials, f"differences of the errors of {len(trials)} Ṽ")
    unit = np.where(expected == 0, 1.0, np.abs(expected))
    return _compared(expected, unit, lambda x: x[:, 1:] - x[:, :1], trials, seed, profile, text, form, 0.1)


def order(sign: int, trials: Sequence[Trial], seed: int, profile: Profile, form: str) -> Evidence:
    """The sign of the second trial's error minus the first's, which have to be clearly apart, on common
    prompts or normals."""
    if len(trials[0].V) < WIDE:
        size = int(40_000 * max(1.0, profile.sample_factor))  # a sign needs as many at any tolerance
        found = _misses(trials, size, _generators(trials, seed))
    else:
        found = _wide(trials, seed, profile)
    change = found[:, 1:] - found[:, :1]
    mean, half = float(change.mean()), float(half_widths(change, profile.alpha)[0])
    outcome = "undecided" if abs(mean) < half else "agrees" if np.sign(mean) == sign else "differs"
    measured, text = f"second minus first {mean:.3g} ± {half:.1g}", _text(trials, "two errors, by sign")
    return Evidence("monte-carlo", outcome, measured, text, half, profile.alpha, form)


LENGTHS = (16, 64, 256)


def approach(
    prediction: float,
    at: Callable[[int], Trial],
    unit: Callable[[int], float],
    seed: int,
    profile: Profile,
    form: str,
) -> Evidence:
    """The limit of E‖I + VS‖_F²/``unit``(n) in n, extrapolated from n = 64 and 256 for a gap like 1/n, whose
    size has to fall from each n to the next.

    What the extrapolation leaves is of order (tr Σ/n)² at n = 64, about 1 %; δ = 5 %.
    """
    means, halves = [], []
    for n in LENGTHS:
        trial, generator = at(n), seeded(seed, "cpu")
        V, cov = tensor(trial.V), tensor(trial.law.Sigma)
        parts = []
        for _ in range(max(1, int(8 * profile.sample_factor))):
            S = sample_prompts(cov, trial.law.n, 1000, generator).S
            parts.append((torch.eye(len(V), dtype=torch.float64) + V @ S).square().sum((-2, -1)))
        found = torch.cat(parts)[:, None].numpy() / unit(n)
        means.append(float(found.mean()))
        halves.append(float(half_widths(found, profile.alpha / len(LENGTHS))[0]))
    end = (4 * means[2] - means[1]) / 3
    spread = (4 * halves[2] + halves[1]) / 3
    delta = 5e-2 * profile.delta_factor
    gap = np.abs(np.array(means) - prediction)
    approached = bool((np.diff(gap) < halves[0]).all())
    if abs(end - prediction) > delta + spread or not approached:
        outcome = "differs"
    else:
        outcome = "agrees" if abs(end - prediction) + spread < delta else "undecided"
    measured = f"ratios {', '.join(f'{x:.3g}' for x in means)}, limit {end:.3g} ± {spread:.1g}"
    text = f"d={len(trial.V)}, n = {', '.join(map(str, LENGTHS))}"
    return Evidence("scaling", outcome, measured, text, delta, profile.alpha, form)
