"""The noise term and the risk of the linearised Ṽ as d, n and B grow in proportion, and what is exact below.

A statistic such as (1/d) tr(…) of one training set is itself a mean over about d things; its distance
from its limit is of order 1/d, so that 2T(2d) − T(d), of independent sets, is off by 1/d² alone.  Its k-th
cumulant is of order d^(2−2k), so that its skewness is 1/d, that of a mean of d² draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.diagonal import trace
from numerics.sampling import sft_targets
from verify.checks.linearised import Batch, at_right, in_sets, pinv
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
SMALL = 40  # the first of the two dimensions; shares, β and γ below make whole numbers of it
GROUP = 64  # training sets drawn at once
RATIO = 3e-2  # tolerance on a ratio that tends to 1: what the extrapolation leaves is below 0.3 %


@dataclass(frozen=True)
class Regime:
    """Blocks in proportion: their shares of d, the levels of A, Σ₀ and Σ, η, γ = d/n and β = B/d.

    ``turned``: in a random basis.
    """

    shares: tuple[float, ...]
    post: tuple[float, ...]
    pre: tuple[float, ...]
    test: tuple[float, ...]
    eta: float
    aspect: float
    beta: float
    turned: bool = False

    @property
    def text(self) -> str:
        blocks = f"{len(self.shares)} blocks" if len(self.shares) > 1 else "one block"
        return f"{blocks}, β={self.beta:g}, γ={self.aspect:g}"

    def diagonal(self, d: int, levels: tuple[float, ...]) -> Tensor:
        edges = np.round(np.cumsum((0.0, *self.shares)) * d).astype(int)
        return torch.from_numpy(np.repeat(levels, np.diff(edges))).double()

    def sets(self, d: int, size: int, generator: torch.Generator) -> Batch:
        """``size`` training sets of dimension d, Γ₀ as (3.7) has it."""
        n, B = round(d / self.aspect), round(self.beta * d)
        A, Sigma0, Sigma = (self.diagonal(d, x) for x in (self.post, self.pre, self.test))
        start = 1 / ((1 + 1 / n) * Sigma0 + Sigma0.sum() / n)
        if self.turned:
            basis = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64, generator=generator))[0]
            A, start, Sigma = ((x + x.mT) / 2 for x in (basis * x @ basis.mT for x in (A, start, Sigma)))
        omega, phi = (in_sets(x, size) for x in sft_targets(A, n, B * size, generator))
        return Batch(omega, phi, A, start, Sigma, self.eta, n)


def error(of: Batch, V: Tensor) -> Tensor:
    """(5.1) over d, test prompts as long as those of post-training."""
    through = at_right(V, of.Sigma)
    squared = through.square().sum((-1, -2))
    linear = 2 * through.diagonal(dim1=-2, dim2=-1).sum(-1)
    size = (through * V).sum((-1, -2))
    return 1 + (linear + squared + (squared + size * trace(of.Sigma)) / of.n) / of.d


Statistic = Callable[[Batch], Tensor]


def _extrapolated(statistic: Statistic, regime: Regime, generator: torch.Generator, size: int) -> Array:
    """2T(2d) − T(d), (size, components)."""
    found = []
    for start in range(0, size, GROUP):
        each = []
        for d in (SMALL, 2 * SMALL):
            value = statistic(regime.sets(d, min(GROUP, size - start), generator))
            each.append(value.reshape(len(value), -1).numpy())
        found.append(2 * each[1] - each[0])
    return np.concatenate(found)


def _at_limit(
    statistic: Statistic,
    expected: Array,
    delta: float,
    regime: Regime,
    what: str,
    seed: int,
    profile: Profile,
    form: str,
) -> Evidence:
    """The extrapolated statistic against ``expected``, relative."""
    generator = seeded(seed, "cpu")
    # The least number of draws establishes less than the quick profile asks for.
    delta *= min(1.0, 2.5 / profile.delta_factor)
    return sampled(
        lambda size: _extrapolated(statistic, regime, generator, size),
        expected,
        np.where(expected == 0, 1.0, np.abs(expected)),
        delta,
        f"{what}, {regime.text}, d={SMALL}, {2 * SMALL} extrapolated",
        profile,
        form,
        "scaling",
        limit=True,
        averaged=SMALL**2,
    )


def ratio(
    prediction: Statistic,
    measure: Statistic,
    regime: Regime,
    what: str,
    seed: int,
    profile: Profile,
    form: str = "printed",
    delta: float = RATIO,
    expected: float = 1.0,
) -> Evidence:
    """``measure`` over ``prediction`` of the same training sets against its limit, ``expected``."""

    def statistic(sets: Batch) -> Tensor:
        return measure(sets) / prediction(sets)

    components = statistic(regime.sets(SMALL, 2, seeded(seed, "cpu"))).reshape(2, -1).shape[1]
    goals = np.full(components, expected)
    return _at_limit(statistic, goals, delta, regime, what, seed, profile, form)


Pair = tuple[Statistic, Statistic]
PILOT = 256


def together(
    prediction: float,
    factors: Pair,
    regime: Regime,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """E[T₁T₂]/(E[T₁] E[T₂]) of two factors of common training sets against its limit ``prediction``: the mean
    of 1 + (T₁/t₁ − 1)(T₂/t₂ − 1), t their means over other training sets.

    If t_i is off by the share e_i, the mean of what is without correlation is off by e₁e₂.  A set scatters by
    15 % and 3 % at the smaller d, a mean of :data:`PILOT` by a sixteenth of it: but for a chance of 1e-11, e₁
    < 0.07 and e₂ < 0.014, and e₁e₂ is 1/30 of the tolerance.
    """
    source = seeded(seed + 1, "cpu")
    pilots = {d: regime.sets(d, PILOT, source) for d in (SMALL, 2 * SMALL)}
    means = {d: [float(f(sets).mean()) for f in factors] for d, sets in pilots.items()}

    def statistic(sets: Batch) -> Tensor:
        first, second = (f(sets) / mean - 1 for f, mean in zip(factors, means[sets.d], strict=True))
        return 1 + first * second

    what = "mean of the product over that of the factors"
    return _at_limit(statistic, np.array([prediction]), RATIO, regime, what, seed, profile, form)


def excess(
    prediction: float,
    of: Callable[[Batch], Tensor],
    regime: Regime,
    what: str,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """(Err(V) − Err(Ṽ_*))/γ, V = ``of`` and Ṽ_* of the same training sets, against the limit ``prediction``,
    to within 8 % of it: a small difference of two risks."""

    def statistic(sets: Batch) -> Tensor:
        return (error(sets, of(sets)) - error(sets, sets.minimiser())) / regime.aspect

    return _at_limit(statistic, np.array([prediction]), 8e-2, regime, what, seed, profile, form)


def risk_limit(
    prediction: float, regime: Regime, seed: int, profile: Profile, form: str = "printed"
) -> Evidence:
    """Err(Ṽ_*) against ``prediction``, relative, to within 3 %."""
    what = "Err(Ṽ_*), bases turned" if regime.turned else "Err(Ṽ_*)"

    def statistic(sets: Batch) -> Tensor:
        return error(sets, sets.minimiser())

    return _at_limit(statistic, np.array([prediction]), 3e-2, regime, what, seed, profile, form)


# At fixed d -----------------------------------------------------------------------------------------------


def _tasks(A: Tensor, B: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ω and M† of ``size`` sets of tasks."""
    omega = torch.randn(size, len(A), B, dtype=torch.float64, generator=generator)
    return omega, pinv(A @ omega)


def weighted_square(
    prediction: Array,
    A: Array,
    Sigma: Array,
    B: int,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """Every entry of E[Σ_τ Q_ττ w*_τw*_τᵀ], Q = M†Σ²M†ᵀ, in units of the largest; B ≥ d + 6, where it has a
    variance with room to spare."""
    generator, d = seeded(seed, "cpu"), len(A)
    upper = np.triu_indices(d)

    def draw(size: int) -> Array:
        omega, plus = _tasks(torch.from_numpy(A), B, size, generator)
        weights = (plus @ torch.from_numpy(Sigma)).square().sum(-1)
        found = torch.einsum("sb,sib,sjb->sij", weights, omega, omega).numpy()
        return np.ascontiguousarray(found[:, upper[0], upper[1]])

    scale = float(np.abs(prediction).max())
    return sampled(
        draw, prediction[upper], scale, 1e-2, f"d={d}, B={B}, {len(upper[0])} entries", profile, form
    )


TOGETHER = 200


def dependence(
    prediction: float,
    factors: Pair,
    regime: Regime,
    d: int,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """The correlation of 1/first and second, two factors of common training sets, against ``prediction``: the
    mean of the correlations within groups of :data:`TOGETHER` sets, which is off by about ρ/(2·TOGETHER)."""
    generator = seeded(seed, "cpu")

    def draw(size: int) -> Array:
        sets = regime.sets(d, size * TOGETHER, generator)
        both = torch.stack([1 / factors[0](sets), factors[1](sets)]).reshape(2, size, TOGETHER)
        x, y = both - both.mean(-1, keepdim=True)
        return ((x * y).sum(-1) / (x.square().sum(-1) * y.square().sum(-1)).sqrt())[:, None].numpy()

    what = f"correlations of {TOGETHER} sets, d={d}, {regime.text}"
    return sampled(
        draw, np.array([prediction]), 1.0, 3e-2, what, profile, form, limit=True, averaged=TOGETHER
    )
