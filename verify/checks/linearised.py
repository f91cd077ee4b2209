"""The linearisation of Ṽ_* in E = Φ − AΩ, measured: its order of error, its matrix identities, its means.

Everything is computed from Ω, Φ and the definitions; what is compared with is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.diagonal import full, times
from numerics.prompts import sample_prompts
from numerics.sampling import sft_targets
from numerics.sft import first_order_operators, pseudo_inverse, sft_minimiser
from verify.checks.points import covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths, pseudo_inverse_rounds, rounding_test

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Training:
    """A training set in what fine-tuning sees of it: Ω and Φ = AΩ + E, (d, B); Γ₀, A, Σ are (d, d).

    ``split`` is the size of the first of two blocks, where the three are constant on each.
    """

    Omega: Array
    E: Array
    A: Array
    gamma0: Array
    Sigma: Array
    eta: float
    n: int
    text: str
    split: int | None = None

    @property
    def d(self) -> int:
        return len(self.A)

    @property
    def M(self) -> Array:
        return np.asarray(self.A @ self.Omega)

    @property
    def Phi(self) -> Array:
        return np.asarray(self.M + self.E)

    @property
    def start(self) -> Array:
        """Γ₀⁻¹."""
        return np.asarray(np.linalg.inv(self.gamma0))

    @property
    def rank(self) -> int:
        """That of A."""
        return int(np.linalg.matrix_rank(self.A))

    @property
    def A_inverse(self) -> Array:
        return np.asarray(np.linalg.inv(self.A))

    @property
    def gram_plus(self) -> Array:
        """(MMᵀ)†."""
        return np.asarray(np.linalg.pinv(self.M @ self.M.T, rcond=1e-10))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ω, Φ, Γ₀⁻¹."""
        return tensor(self.Omega), tensor(self.Phi), tensor(self.start)

    @property
    def condition(self) -> float:
        """σ_max(M)/σ_min⁺(M)."""
        values = np.linalg.svd(self.M, compute_uv=False)
        return float(values[0] / values[values > 1e-10 * values[0]][-1])

    def parts(self) -> tuple[Array, Array]:
        """V_S and V_N of (B.4)."""
        omega, phi, start = self.tensors
        first, second = first_order_operators(omega, phi, tensor(self.A), start, self.eta)
        return first.numpy(), second.numpy()

    def projection(self) -> Array:
        """MM†."""
        M = tensor(self.M)
        return (M @ pseudo_inverse(M)).numpy()


def training(
    d: int, n: int, B: int, seed: int, rank: int | None = None, split: int | None = None
) -> Training:
    """A generic training set, A, Σ and Γ₀ not commuting unless ``split``; drawn until σ_max(M) is at most
    fifteen times σ_min⁺(M) and twice E, for which the expansion is one."""
    text = (
        f"d={d}, B={B}"
        + (f", rank A={rank}" if rank else "")
        + (f", blocks {split}+{d - split}" if split else "")
    )
    for at in range(seed % 2**31, seed % 2**31 + 4000, 4):
        if split:
            first = np.arange(d) < split
            levels = np.random.default_rng(at).uniform(0.5, 2.0, size=6)
            three: list[Array] = [np.diag(np.where(first, *levels[2 * i : 2 * i + 2])) for i in range(3)]
        else:
            three = [covariance(d, at, rank), covariance(d, at + 1) + np.eye(d), covariance(d, at + 2)]
        A, gamma0, Sigma = three
        omega, phi = (x.numpy() for x in sft_targets(tensor(A), n, B, seeded(at + 3, "cpu")))
        found = Training(omega, phi - A @ omega, A, gamma0, Sigma, 0.6, n, text, split)
        if found.condition < 15:
            return found
    raise ArithmeticError(f"no training set for {text}")


# Order of error -----------------------------------------------------------------------------------------

Prediction = Callable[[Training], Array]
STEPS = tuple(2.0**-j for j in (6, 7, 8, 9))


def projection(of: Training) -> Array:
    """ΦΦ†."""
    _, phi, _ = of.tensors
    return (phi @ pseudo_inverse(phi)).numpy()


def minimiser(of: Training) -> Array:
    """Ṽ_*."""
    omega, phi, start = of.tensors
    return sft_minimiser(omega, phi, start, of.eta).numpy()


def expansion(
    prediction: Prediction,
    exact: Callable[[Training], Array],
    trainings: Sequence[Training],
    form: str = "printed",
) -> Evidence:
    """The power of t in ‖exact − prediction‖ as E → tE, from t = 2⁻⁶ to 2⁻⁹ in units of σ_min⁺(M)/‖E‖: 2 for
    an expansion to first order, 1 for one that lacks a first-order term.

    The next order changes it by less than 0.05 there; a distance below 1e-12 is rounding, where the two are
    equal at every t.
    """
    delta, slopes = 0.2, []
    for of in trainings:
        unit = np.linalg.norm(of.M, 2) / of.condition / np.linalg.norm(of.E, 2)
        gaps = []
        for t in STEPS:
            scaled = replace(of, E=unit * t * of.E)
            gaps.append(float(np.linalg.norm(exact(scaled) - prediction(scaled))))
        slopes.append(2.0 if max(gaps) < 1e-12 else float(np.log2(gaps[0] / gaps[-1]) / 3))
    off = np.abs(np.array(slopes) - 2)
    outcome = "agrees" if off.max() < delta else "differs"
    shown = ", ".join(f"{s:.2f}" for s in slopes)
    return Evidence(
        "scaling",
        outcome,
        f"error of order t^{shown}",
        "; ".join(of.text for of in trainings),
        delta,
        form=form,
    )


SETS = 16
LENGTHS = (2**10, 2**18)


@cache
def _of_lengths(seed: int, d: int, B: int) -> list[tuple[Training, Training]]:
    """Training sets from prompts of both lengths, with the same Ω."""
    A, gamma0, Sigma = covariance(d, seed % 2**31), covariance(d, seed % 2**31 + 1) + np.eye(d), np.eye(d)
    found = []
    for j in range(SETS):
        pair = []
        for n in LENGTHS:
            omega, phi = (x.numpy() for x in sft_targets(tensor(A), n, B, seeded((seed + j) % 2**62, "cpu")))
            pair.append(Training(omega, phi - A @ omega, A, gamma0, Sigma, 0.6, n, ""))
        found.append((pair[0], pair[1]))
    return found


def in_length(
    prediction: Prediction, d: int, B: int, seed: int, profile: Profile, form: str = "printed"
) -> Evidence:
    """The power of n in ‖Ṽ_* − prediction‖ from n = 2¹⁰ to 2¹⁸: −1 for an expansion to first order in E,
    which is of order n^(−1/2), and −1/2 for one that lacks a first-order term.  Prompts sampled, Ω common;
    the mean over training sets of the slope of each."""
    slopes = []
    for pair in _of_lengths(seed, d, B):
        gaps = [float(np.linalg.norm(minimiser(of) - prediction(of))) for of in pair]
        slopes.append(np.log2(gaps[1] / gaps[0]) / np.log2(LENGTHS[1] / LENGTHS[0]))
    found = np.array(slopes)[:, None]
    mean, half = float(found.mean()), float(half_widths(found, profile.alpha)[0])
    delta = 0.15
    off = abs(mean + 1)
    outcome = "agrees" if off + half < delta else "differs" if off - half > delta else "undecided"
    return Evidence(
        "scaling",
        outcome,
        f"distance of order n^{mean:.2f} ± {half:.2f}",
        f"d={d}, B={B}, n={LENGTHS[0]}, {LENGTHS[1]}, {SETS} training sets",
        delta,
        profile.alpha,
        form,
    )


# Identities ---------------------------------------------------------------------------------------------


def equality(
    prediction: Prediction,
    measure: Callable[[Training], Array | float],
    trainings: Sequence[Training],
    what: str,
    form: str = "printed",
) -> Evidence:
    """``measure`` of training sets against ``prediction``, to rounding.

    There are at most four M†, each beside an M or an E of less than half its norm: the absolute values add up
    to κ⁴ times what is compared, or 1, at most.
    """
    worst = None
    for of in trainings:
        value, expected = np.atleast_1d(measure(of)), np.atleast_1d(prediction(of))
        size = max(1.0, float(np.abs(value).max())) * of.condition**4
        found = rounding_test(value, expected, size, 4 * pseudo_inverse_rounds(of.M))
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    text = f"{what}: {'; '.join(of.text for of in trainings)}"
    return Evidence("monte-carlo", worst.outcome, worst.measured, text, worst.delta, 0.0, form)


# Means --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Batch:
    """Training sets (size, d, B) with common A, Γ₀⁻¹, Σ, each (d, d) or its diagonal (d,)."""

    Omega: Tensor
    Phi: Tensor
    A: Tensor
    start: Tensor
    Sigma: Tensor
    eta: float
    n: int

    @property
    def d(self) -> int:
        return len(self.A)

    @property
    def M(self) -> Tensor:
        return times(self.A, self.Omega)

    @property
    def E(self) -> Tensor:
        return self.Phi - self.M

    def _fitted(self, features: Tensor, plus: Tensor) -> Tensor:
        """−ηΩM† − Γ₀⁻¹(I − MM†), written −Γ₀⁻¹ + (Γ₀⁻¹M − ηΩ)M†."""
        return (times(self.start, features) - self.eta * self.Omega) @ plus - full(self.start)

    def parts(self) -> tuple[Tensor, Tensor]:
        """V_S and V_N of (B.4), (size, d, d)."""
        M = self.M
        plus = pinv(M)
        fixed = self._fitted(M, plus)
        return fixed, -(fixed @ self.E) @ plus

    def minimiser(self) -> Tensor:
        """Ṽ_*, (size, d, d)."""
        return self._fitted(self.Phi, pinv(self.Phi))


def pinv(M: Tensor) -> Tensor:
    """M† of matrices of full rank, by the smaller of MᵀM and MMᵀ: right to rounding times its condition."""
    if M.shape[-1] <= M.shape[-2]:
        return torch.linalg.solve(M.mT @ M, M.mT)
    return torch.linalg.solve(M @ M.mT, M).mT


def at_right(V: Tensor, matrix: Tensor) -> Tensor:
    """V times ``matrix`` (d, d) or its diagonal (d,)."""
    return V * matrix if matrix.ndim == 1 else V @ matrix


def in_sets(columns: Tensor, size: int) -> Tensor:
    """Columns (d, size · B) as (size, d, B)."""
    return columns.reshape(len(columns), size, -1).movedim(1, 0).contiguous()


def batch(of: Training, size: int, generator: torch.Generator) -> Batch:
    """Independent training sets of the setting of ``of``."""
    omega, phi = sft_targets(tensor(of.A), of.n, of.Omega.shape[1] * size, generator)
    omega, phi = (in_sets(x, size) for x in (omega, phi))
    return Batch(omega, phi, tensor(of.A), tensor(of.start), tensor(of.Sigma), of.eta, of.n)


def split_mean(
    prediction: Callable[[Array, Array], Array],
    of: Training,
    biased: bool,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """E‖C + (V_S + V_N)W‖² against ``prediction``(‖C + V_SW‖², ‖V_NW‖²), on common training sets: C = I and
    W = Σ (``biased``), or C = 0 and W = Σ^{1/2}."""
    values, vectors = np.linalg.eigh(of.Sigma)
    weight = tensor(of.Sigma if biased else vectors @ np.diag(values**0.5) @ vectors.T)
    base = torch.eye(of.d).double() if biased else torch.zeros(of.d, of.d).double()

    def parts(size: int, generator: torch.Generator) -> tuple[Array, Array, Array]:
        fixed, noise = batch(of, size, generator).parts()
        first, second = base + fixed @ weight, noise @ weight
        found = (x.square().sum((-1, -2)).numpy() for x in (first + second, first, second))
        return next(found), next(found), next(found)

    scale = float(parts(20_000, seeded(seed + 1, "cpu"))[0].mean())
    generator = seeded(seed, "cpu")

    def draw(size: int) -> Array:
        whole, first, second = parts(size, generator)
        return (whole - prediction(first, second))[:, None]

    regime = f"d={of.d}, B={of.Omega.shape[1]}, n={of.n}, {'Term I' if biased else 'Term II'}"
    return sampled(draw, np.zeros(1), scale, 2e-2, regime, profile, form)


def given_tasks(
    prediction: Callable[[Training], Array],
    measure: Callable[[Tensor, Training], Tensor],
    of: Training,
    what: str,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """The mean of ``measure``(E, setting) over prompts with the tasks Ω of ``of`` given, against
    ``prediction``, all components in units of the root mean square of the largest."""
    d, B = of.Omega.shape
    A, omega = tensor(of.A), tensor(of.Omega)

    def measured(size: int, generator: torch.Generator) -> Array:
        S = sample_prompts(A, of.n, (size, B), generator).S
        E = torch.einsum("sbij,jb->sib", S - A, omega)
        return measure(E, of).reshape(size, -1).numpy()

    pilot = measured(4000, seeded(seed + 1, "cpu"))
    scale = float(np.sqrt((pilot**2).mean(axis=0)).max())
    generator = seeded(seed, "cpu")
    return sampled(
        lambda size: measured(size, generator),
        np.ravel(prediction(of)),
        scale,
        2e-2 * min(1.0, 1.5 / profile.delta_factor),  # one prompt of B = 5 has to count
        f"{what}, d={d}, B={B}, n={of.n}, Ω given",
        profile,
        form,
    )
