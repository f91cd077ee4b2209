"""The abstract's sentences, simulated: fine-tuning and outcome supervision on sets of every size, and what is
left of pretraining."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.curvature import outcome_errors, outcome_loss_of
from numerics.curves import CurveSetting
from numerics.device import seeded
from numerics.prompts import sample_prompts
from numerics.sft import sft_minimiser
from numerics.training import gradient_descent
from verify.checks.interference import Scene
from verify.checks.points import covariance, tensor
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Levels(Scene):
    """Blocks of the given ``sizes`` and levels of A, Σ₀ and Σ in finite size; ``n_pre`` as in a scene."""

    sizes: tuple[int, ...] = ()
    post: tuple[float, ...] = ()
    pre: tuple[float, ...] = ()
    test: tuple[float, ...] = ()

    def setting(self) -> CurveSetting:
        sizes = torch.tensor(self.sizes)
        A, Sigma0, Sigma = (
            tensor(np.array(levels)).repeat_interleave(sizes) for levels in (self.post, self.pre, self.test)
        )
        return CurveSetting(A=A, Sigma0=Sigma0, Sigma=Sigma, eta=self.eta, n=self.n, n_pre=self.n_pre)


NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(3)  # exact up to degree 5; the error has degree 4


def quadrature(prediction: Sequence[float], at: Sequence[tuple[Array, Array, int]], form: str) -> Evidence:
    """E‖I + VS‖_F² at each (V, Σ, n), by a product rule that is exact, against ``prediction``, to 1e-10."""
    worst = 0.0
    for goal, (V, Sigma, n) in zip(prediction, at, strict=True):
        d = len(V)
        nodes = np.array(list(product(NODES, repeat=d * n))).reshape(-1, d, n)
        weights = np.array([np.prod(w) for w in product(WEIGHTS / WEIGHTS.sum(), repeat=d * n)])
        X = np.linalg.cholesky(Sigma) @ nodes
        found = ((np.eye(d) + V @ X @ X.swapaxes(1, 2) / n) ** 2).sum(axis=(1, 2)) @ weights
        worst = max(worst, abs(goal / found - 1))
    text = f"product rule, (d, n) = {', '.join(f'({len(V)}, {n})' for V, _, n in at)}"
    outcome = "agrees" if worst <= 1e-10 else "differs"
    return Evidence("monte-carlo", outcome, f"rel. dev. {worst:.1e}", text, 1e-10, form=form)


# What is left of pretraining ----------------------------------------------------------------------------


Count = tuple[int, int, int]  # d, rank A, B


def _kept(at: Sequence[Count], n: int, seed: int) -> tuple[list[float], str]:
    """By how much Ṽ_* moves, ‖·‖_F², when −Γ₀⁻¹ is moved by −I, at each (d, rank A, B)."""
    found = []
    for d, rank, B in at:
        prompts = sample_prompts(tensor(covariance(d, seed % 2**31, rank)), n, B, seeded(seed, "cpu"))
        Omega = prompts.w_star.mT
        Phi = torch.einsum("bij,bj->ib", prompts.S, prompts.w_star)
        start = tensor(covariance(d, 7 + seed % 2**31))
        moved = [sft_minimiser(Omega, Phi, start + more, 0.4) for more in (0, torch.eye(d).double())]
        found.append(float((moved[1] - moved[0]).square().sum()))
    return found, f"n={n}, (d, rank A, B) = {', '.join(map(str, at))}"


KEPT = 1e-6  # a whole number, from differences of Ṽ_* of norm up to 10⁴, rounded at 1e-16


def kept(
    prediction: Callable[[int, int, int], float], at: Sequence[Count], n: int, seed: int, form: str
) -> Evidence:
    """What is left of a change of −Γ₀⁻¹ by −I, ‖·‖_F², against ``prediction``(d, rank A, B)."""
    found, text = _kept(at, n, seed)
    off = max(abs(x - prediction(*where)) for x, where in zip(found, at, strict=True))
    outcome = "agrees" if off <= KEPT else "differs"
    return Evidence("monte-carlo", outcome, f"{_shown(found)}: off by {off:.1e}", text, KEPT, form=form)


def kept_order(
    prediction: Callable[[Count, Count], int], at: Sequence[Count], n: int, seed: int, form: str
) -> Evidence:
    """The sign of the change of what is left from each place to the next, against ``prediction``."""
    found, text = _kept(at, n, seed)
    signs = [int(np.sign(x)) if abs(x) > KEPT else 0 for x in np.diff(found)]
    holds = signs == [prediction(*pair) for pair in pairwise(at)]
    return Evidence("monte-carlo", "agrees" if holds else "differs", _shown(found), text, KEPT, form=form)


def _shown(found: Sequence[float]) -> str:
    return f"kept {', '.join(f'{x:.3f}' for x in found)}"


# Outcome supervision on sets of prompts -----------------------------------------------------------------

SETS = 400
DRAWN = 100_000  # prompts that the error is taken on, common to all sets


def _trained(n: int, k: int, B: int, rng: np.random.Generator) -> Array:
    """c = −Ṽ of the minimum of (1/2B) Σ w*²(1 − cS)^{2k} of each of :data:`SETS` sets, d = 1, by bisection of
    the slope, which is monotone."""
    S = rng.chisquare(n, (SETS, B)) / n
    weight = S * rng.chisquare(1, (SETS, B))
    low, high = np.zeros(SETS), 1 / S.min(axis=1)
    for _ in range(50):
        middle = (low + high) / 2
        rising = (weight * (middle[:, None] * S - 1) ** (2 * k - 1)).sum(axis=1) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.asarray((low + high) / 2)


def sets(
    prediction: Sequence[int], n: int, k: int, sizes: Sequence[int], seed: int, profile: Profile, form: str
) -> Evidence:
    """The sign of the change of the log of E(1 − cS)^{2k}, d = 1, from each number of prompts to the next."""
    rng = np.random.default_rng(seed % 2**32)
    new = rng.chisquare(n, DRAWN) / n
    means = (new[:, None] ** np.arange(2 * k + 1)).mean(axis=0)
    signs = (-1.0) ** np.arange(2 * k + 1) * np.array([_binomial(2 * k, j) for j in range(2 * k + 1)])
    logs = []
    for B in sizes:
        c = _trained(n, k, B, rng)
        logs.append(np.log((c[:, None] ** np.arange(2 * k + 1)) @ (signs * means)))
    found = np.diff(np.array(logs).T, axis=1)
    mean, half = found.mean(axis=0), half_widths(found, profile.alpha)
    clear = np.abs(mean) > half
    if (np.sign(mean) * np.asarray(prediction) < 0)[clear].any():
        outcome = "differs"
    else:
        outcome = "agrees" if clear.all() else "undecided"
    shown = ", ".join(f"{m:+.2g} ± {h:.1g}" for m, h in zip(mean, half, strict=True))
    text = f"d=1, A=Σ, n={n}, k={k}, B={', '.join(map(str, sizes))}, {SETS} sets each"
    return Evidence(
        "training", outcome, f"log risk changes by {shown}", text, float(half.min()), profile.alpha, form
    )


def _binomial(n: int, j: int) -> float:
    return float(np.prod([(n - i) / (i + 1) for i in range(j)]))


# Difficulty ---------------------------------------------------------------------------------------------

STEPS = 3
EDGE = 0.01  # how far on either side of a measured bound the claims are read


@dataclass(frozen=True)
class Direction:
    """One prompt at d = 1 of length n, trained at depth k by steps of size ``share``/a², a = S|w*|."""

    k: int
    share: float
    n: int
    seed: int

    def losses(self, x: float, steps: int = 1) -> tuple[Array, float, float, float]:
        """The error over w*² after 0 … steps from 1 + ṼS = x, as the model makes it; the difficulty,
        which is the first of them; a and the step size."""
        prompt = sample_prompts(torch.eye(1).double(), self.n, 1, seeded(self.seed, "cpu"))
        S, w = prompt.S, prompt.w_star
        a = float(S[0, 0, 0] * w[0, 0].abs())
        start, found = (x - 1) / S[0], []

        def observe(t: int, parameters: list[torch.Tensor]) -> None:
            errors = outcome_errors(parameters[0], S, w, self.k)
            found.append(float((errors / w).square().sum()))

        loss, size = outcome_loss_of(S, w, self.k), self.share / a**2
        gradient_descent(lambda p: loss(p[0]), [start], size, steps, observe, growth=math.inf)
        return np.array(found), found[0], a, size

    def __str__(self) -> str:
        return f"(k, ηa²) = ({self.k}, {self.share:g})"


Claim = Callable[[float, float, float, int, float, float], bool]  # D, a, η, k, errors before and after


def bound(prediction: Claim, at: Sequence[Direction], form: str) -> Evidence:
    """Whether ``prediction`` holds of the error after each step, 1 % in 1 + ṼS on either side of the bound on
    the difficulty that bisection finds."""
    holds, shown = True, []
    for of in at:
        low, high = 1e-3, 1e2
        while high > (1 + EDGE / 100) * low:
            middle = (low * high) ** 0.5
            losses = of.losses(middle)[0]
            low, high = (low, middle) if losses[1] > losses[0] else (middle, high)
        for x in (low * (1 - EDGE), low * (1 + EDGE)):
            losses, D, a, size = of.losses(x, STEPS)
            holds = holds and all(prediction(D, a, size, of.k, losses[0], after) for after in losses[1:])
        shown.append(f"{low ** (2 * of.k):.3g}")
    measured = f"the error rises from D = {', '.join(shown)} on"
    regime = f"d=1, {', '.join(map(str, at))}, {STEPS} steps"
    return Evidence("training", "agrees" if holds else "differs", measured, regime, 2 * EDGE, form=form)


def factors(
    prediction: Callable[[float, float, float, int], float], at: Sequence[tuple[Direction, float]], form: str
) -> Evidence:
    """L_1/L_0 of one step from each start against ``prediction``(D, a, η, k), relative where above 1,
    to 1e-8: few roundings."""
    worst = 0.0
    for of, x in at:
        losses, D, a, size = of.losses(x)
        found = losses[1] / losses[0]
        worst = max(worst, abs(found - prediction(D, a, size, of.k)) / max(1.0, found))
    regime = f"d=1, {', '.join(dict.fromkeys(str(of) for of, _ in at))}, {len(at)} starts"
    outcome = "agrees" if worst <= 1e-8 else "differs"
    return Evidence("training", outcome, f"factors off by {worst:.1e}", regime, 1e-8, form=form)


def gains(
    prediction: Callable[[float, float], int],
    of: Direction,
    starts: Sequence[float],
    form: str,
) -> Evidence:
    """The sign of the change of L_0/L_1 from each start to the next, against ``prediction`` of their D."""
    runs = [of.losses(x) for x in starts]
    gained = [losses[0] / losses[1] for losses, *_ in runs]
    wanted = [prediction(one[1], other[1]) for one, other in pairwise(runs)]
    holds = np.sign(np.diff(gained)).astype(int).tolist() == wanted
    measured = f"L₀/L₁ = {', '.join(f'{g:.3g}' for g in gained)}"
    regime = f"d=1, {of}, D = {', '.join(f'{run[1]:.3g}' for run in runs)}"
    return Evidence("training", "agrees" if holds else "differs", measured, regime, form=form)
