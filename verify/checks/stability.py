"""Where outcome supervision starts, and how large a step it can take there: measured.

The largest stable step is bracketed on training itself; curvature is Lanczos on the differentiated loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.curvature import curvature, outcome_loss_of
from numerics.device import seeded
from numerics.prompts import sample_prompts
from numerics.stability import Bracket, largest_stable_step, supervised_loss_of
from verify.checks import wishart_nodes
from verify.checks.points import tensor
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
RESOLUTION = 0.03  # of the bracket of a step size
LANCZOS = 1e-6


@dataclass(frozen=True)
class Scene:
    """Blocks of d/2 with Σ₀ = ``level`` and 1, Σ = 1.1 and 1, as in Figure 1; B training prompts of length n.

    ``n_pre`` None: Γ₀ = Σ₀, prompts of pretraining without end.
    """

    k: int
    level: float = 0.5
    d: int = 8
    n: int = 64
    B: int = 16
    n_pre: int | None = None
    seed: int = 0

    @property
    def Sigma0(self) -> Array:
        return np.repeat([self.level, 1.0], self.d // 2)

    @property
    def Sigma(self) -> Array:
        return np.repeat([1.1, 1.0], self.d // 2)

    @property
    def gamma0(self) -> Array:
        if self.n_pre is None:
            return self.Sigma0
        return (1 + 1 / self.n_pre) * self.Sigma0 + self.Sigma0.sum() / self.n_pre

    def start(self) -> Start:
        prompts = sample_prompts(tensor(np.diag(self.Sigma)), self.n, self.B, seeded(self.seed, "cpu"))
        return Start(self.k, tensor(np.diag(-1 / self.gamma0)), prompts.S, prompts.w_star)

    @property
    def radius(self) -> float:
        """ρ(I − Γ₀⁻¹Σ)."""
        return float(np.abs(1 - self.Sigma / self.gamma0).max())

    def __str__(self) -> str:
        return f"k={self.k}, d={self.d}, n={self.n}, B={self.B}, Σ₀=diag({self.level:g}, 1)"


@dataclass(frozen=True, eq=False)
class Start:
    """L_OS, or with ``eta`` L_SFT, of prompts with S (B, d, d) and w* (B, d), and where training starts."""

    k: int
    V: Tensor
    S: Tensor
    w_star: Tensor
    eta: float | None = None
    label: str = field(default="", compare=False)

    def loss(self, V: Tensor) -> Tensor:
        if self.eta is None:
            return outcome_loss_of(self.S, self.w_star, self.k)(V)
        return supervised_loss_of(self.S, self.w_star, self.eta, self.k)(V)

    @cached_property
    def curvature(self) -> float:
        """λ_max of the Hessian at the start."""
        return curvature(self.loss, self.V, tolerance=LANCZOS)[0]

    @cached_property
    def limit(self) -> Bracket:
        """The largest stable step."""
        return largest_stable_step(self.loss, self.V, 2 / self.curvature, 150, RESOLUTION)

    @property
    def Phi(self) -> Array:
        """[S_1w*_1 … S_Bw*_B], d × B."""
        return torch.einsum("bij,bj->ib", self.S, self.w_star).numpy()


def population(k: int, levels: Sequence[float], errors: Sequence[float], seed: int | None = None) -> Start:
    """Prompts so long that S = A, with w* along √d times the axes, so that the mean over prompts is that over
    w*; A has eigenvalues ``levels`` and I + ṼA ``errors``, in one basis, turned if ``seed`` is given."""
    A, at = np.diag(levels).astype(float), np.asarray(errors, dtype=float)
    V = np.diag((at - 1) / np.asarray(levels))
    if seed is not None:
        turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=A.shape))
        A, V = turn @ A @ turn.T, turn @ V @ turn.T
    d = len(A)
    S = tensor(A).expand(d, d, d)
    label = f"k={k}, A={tuple(levels)}, x={tuple(errors)}"
    return Start(k, tensor(V), S, d**0.5 * torch.eye(d, dtype=torch.float64), label=label)


Limit = Callable[[Start], float]


def limits(prediction: Limit, starts: Sequence[Start], regime: str, form: str = "printed") -> Evidence:
    """The largest stable step of each start against ``prediction``, relative, to within δ = 4 %.

    The bracket is 3 % wide, and at the limit of a quadratic 150 steps tell runs apart that are 2 % beyond it.
    """
    delta = 4e-2
    found = [s.limit.middle / prediction(s) - 1 for s in starts]
    worst = max(found, key=abs)
    outcome = "agrees" if abs(worst) <= delta else "differs"
    return Evidence(
        "training",
        outcome,
        f"η_max measured/predicted {1 + worst:.3g} at worst of {len(found)}",
        regime,
        delta,
        form=form,
    )


started = cache(Scene.start)
SETS = 40


def beyond(
    prediction: Callable[[int], tuple[float, float]],
    scenes: Sequence[Scene],
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """Whether η_max over 2/λ_max(H) at the start is inside the range that ``prediction`` gives for k for most
    sets of prompts: for more than half of them, by an interval for their share.

    A set is of one of ``scenes``, drawn with equal chances.  The interval is that of Clopper and Pearson, for
    any law: single sets reach far beyond the others.
    """
    source, found = np.random.default_rng(seed), []
    for _ in range(SETS):
        scene = scenes[int(source.integers(len(scenes)))]
        of = started(replace(scene, seed=int(source.integers(2**31))))
        found.append((scene.k, of.limit.middle * of.curvature / 2))
    inside = sum(prediction(k)[0] <= ratio <= prediction(k)[1] for k, ratio in found)
    share = scipy.stats.binomtest(inside, SETS).proportion_ci(1 - profile.alpha)
    half = 0.5
    outcome = "agrees" if share.low > half else "differs" if share.high < half else "undecided"
    medians = ", ".join(
        f"{np.median([r for j, r in found if j == k]):.2f} at k={k}" for k in sorted({k for k, _ in found})
    )
    return Evidence(
        "training",
        outcome,
        f"{inside} of {SETS} sets, {share.low:.2f} to {share.high:.2f} of all; η_max/(2/λ_max) {medians}",
        f"sampled prompts, d={scenes[0].d}, ρ from {min(s.radius for s in scenes):.2g} "
        f"to {max(s.radius for s in scenes):.2g}",
        half,
        profile.alpha,
        form,
    )


def power(
    prediction: float | Array,
    of: Sequence[float],
    by: Sequence[float],
    delta: float,
    regime: str,
    form: str = "printed",
    kind: str = "training",
) -> Evidence:
    """The exponent of ``of`` in ``by``, every difference quotient of the logarithms within ``delta`` of the
    prediction for it, or for all."""
    slopes = np.diff(np.log(of)) / np.diff(np.log(by))
    off = np.abs(slopes - prediction)
    return Evidence(
        kind,
        "agrees" if off.max() <= delta else "differs",
        f"exponent {slopes.min():.3f} … {slopes.max():.3f}",
        regime,
        delta,
        form=form,
    )


def order_of_limits(
    prediction: int | Sequence[int],
    pairs: Sequence[tuple[Start, Start]],
    loss: str,
    regime: str,
    form: str = "printed",
) -> Evidence:
    """The sign of the change of η_max of ``loss`` from first to second start, beyond the brackets' width, of
    each pair."""
    logs = [np.log(second.limit.middle / first.limit.middle) for first, second in pairs]
    width = 2 * np.log1p(RESOLUTION)
    found = [0 if abs(change) <= width else int(np.sign(change)) for change in logs]
    outcome = "agrees" if np.equal(found, prediction).all() else "differs"
    shown = ", ".join(f"{np.exp(change):.3g}" for change in logs)
    return Evidence("training", outcome, f"η_max of {loss} times {shown}", regime, width, form=form)


# The start ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pretraining:
    """Σ₀ and Δ (d × d) and the length n of the prompts of pretraining."""

    Sigma0: Array
    Delta: Array
    n: int


def starting_radius(
    prediction: Callable[[Pretraining], Array],
    at: Sequence[Pretraining],
    delta: float,
    form: str = "printed",
) -> Evidence:
    """M = I + V₀Σ, V₀ the minimiser of E‖(I + V S)w*‖² over all prompts from N(0, Σ₀), and ρ(M) against the
    matrix of ``prediction`` and its ρ, relative, to within ``delta``.  No prompt is drawn."""
    worst, shown = 0.0, []
    for of in at:
        X, weights = wishart_nodes.features(of.Sigma0, of.n)
        S = X @ X.swapaxes(1, 2) / X.shape[2]
        V = -np.linalg.solve(*(np.einsum("b,bij->ij", weights, m) for m in (S @ S, S))).T
        M, stated = np.eye(len(V)) + V @ (of.Sigma0 + of.Delta), prediction(of)
        measured, claimed = (float(np.abs(np.linalg.eigvals(one)).max()) for one in (M, stated))
        apart = float(np.linalg.norm(stated - M) / np.linalg.norm(M))
        worst = max(worst, apart, abs(claimed / measured - 1))
        shown.append(f"{measured:.3f}")
    lengths = ", ".join(f"{of.n}" for of in at)
    return Evidence(
        "monte-carlo",
        "agrees" if worst <= delta else "differs",
        f"ρ(M) = {', '.join(shown)}: M or ρ(M) off by {worst:.1e}",
        f"pretrained on all prompts, d={len(at[0].Sigma0)}, n={lengths}",
        delta,
        form=form,
    )


def _covariances(Sigma: Array, n: int, size: int, seed: int) -> Array:
    generator, parts = seeded(seed, "cpu"), []
    most = max(1, 2**20 // (len(Sigma) * n))
    while size > 0:
        parts.append(sample_prompts(tensor(Sigma), n, min(size, most), generator).S.numpy())
        size -= most
    return np.concatenate(parts)


PROMPTS = 1500


Claim = Callable[[Array], Array]  # ρ(M_τ) of each prompt → whether it is as claimed


def claimed_share(
    prediction: Claim,
    V: Array,
    Sigma: Array,
    n: int,
    seed: int,
    profile: Profile,
    regime: str = "",
    form: str = "printed",
) -> Evidence:
    """The share of new prompts from N(0, Σ) with ρ(I + V S_τ) as ``prediction`` has it, against 1, to within
    δ = 10 %.

    By Hoeffding's interval, which holds for a share of 0 and of 1 too.
    """
    S = _covariances(Sigma, n, PROMPTS, seed)
    radii = np.abs(np.linalg.eigvals(np.eye(len(V)) + V @ S)).max(-1)
    share = float(np.mean(prediction(radii)))
    half = float(np.sqrt(np.log(2 / profile.alpha) / (2 * PROMPTS)))
    delta = 0.1
    if 1 - share - half > delta:
        outcome = "differs"
    else:
        outcome = "agrees" if 1 - share + half <= delta else "undecided"
    return Evidence(
        "monte-carlo",
        outcome,
        f"{share:.3f} ± {half:.2g} of the prompts are as claimed, mean ρ(M_τ) {radii.mean():.3g}",
        f"d={len(V)}, n={n}{', ' if regime else ''}{regime}",
        delta,
        profile.alpha,
        form,
    )
