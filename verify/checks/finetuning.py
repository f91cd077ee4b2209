"""Fine-tuning measured: the tasks, and the regularised minimisers as λ → 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.losses import sft_loss, sft_residuals
from numerics.model import assemble
from numerics.prompts import Prompts, sample_prompts
from verify.checks.points import covariance, tensor
from verify.ledger.evidence import Evidence

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)  # hashed by identity, for the cache of minimisers
class Task:
    """Fine-tuning prompts with the initialisation −Γ₀⁻¹ (``gamma0`` d × d), the rate and k."""

    prompts: Prompts
    gamma0: Array
    eta: float
    k: int
    label: str

    @property
    def Omega(self) -> Array:
        return self.prompts.w_star.numpy().T

    @property
    def Phi(self) -> Array:
        """[S_1w*_1 … S_Bw*_B], d × B."""
        return torch.einsum("bij,bj->ib", self.prompts.S, self.prompts.w_star).numpy()

    @property
    def B(self) -> int:
        return self.prompts.size

    @property
    def initial(self) -> Array:
        return np.asarray(-np.linalg.inv(self.gamma0), dtype=float)


CONDITION = 30.0  # of ΦΦᵀ on its range: the slowest mode of descent takes five hundred steps


def spectrum(of: Task) -> tuple[float, float]:
    """λ_max and λ⁺_min of ΦΦᵀ, the latter the least above rounding."""
    values = np.linalg.svd(of.Phi, compute_uv=False) ** 2
    kept = values[values > values[0] * 1e-12]
    return float(kept[0]), float(kept[-1])


@cache
def task(d: int, n: int, B: int, seed: int, k: int = 2, eta: float = 0.4, rank: int | None = None) -> Task:
    """A task with generic covariances of prompts and of pretraining, which do not commute; the first
    drawn from ``seed`` on whose condition number lets descent arrive."""
    text = f"d={d}, n={n}, B={B}, k={k}, η={eta}" + (f", rank A={rank}" if rank else "")
    for attempt in range(1000):
        at = (seed + 104729 * attempt) % 2**62
        prompts = sample_prompts(tensor(covariance(d, at, rank)), n, B, seeded(at, "cpu"))
        found = Task(prompts, covariance(d, at + 11) + 0.3 * np.eye(d), eta, k, text)
        high, low = spectrum(found)
        if high < CONDITION * low:
            return found
    raise ArithmeticError(f"no task of condition below {CONDITION} for {text}")


@dataclass(frozen=True, eq=False)
class Residuals:
    """All residuals of the full model, R(v, w) = constant + A v + C w + (v, w)-bilinear part, for the
    flattened blocks v, w of length d²: probed at 0 and at the unit matrices.

    Eq. 3.1 is linear in V and in W, so the probe is exact, and so are the derivatives.
    """

    constant: Array  # (m,)
    in_V: Array  # (m, d²)
    in_W: Array  # (m, d²)
    bilinear: Array  # (m, d², d²)

    def at(self, x: Array) -> Array:
        v, w = np.split(x, 2)
        return self.constant + self.in_V @ v + self.in_W @ w + (self.bilinear @ w) @ v

    def jacobian(self, x: Array) -> Array:
        v, w = np.split(x, 2)
        return np.concatenate([self.in_V + self.bilinear @ w, self.in_W + v @ self.bilinear], axis=1)

    def hessian(self, x: Array) -> Array:
        """Of ½‖R‖²."""
        first = self.jacobian(x)
        mixed = np.tensordot(self.at(x), self.bilinear, 1)
        none = np.zeros_like(mixed)
        return np.asarray(first.T @ first + np.block([[none, mixed], [mixed.T, none]]))


@cache
def probed(of: Task) -> Residuals:
    """The residuals of ``of``, divided by √B, so that L_SFT = ½‖R‖²."""
    d = of.prompts.d
    units = torch.cat([torch.zeros(1, d * d), torch.eye(d * d)]).double().reshape(-1, d, d)
    V, W = assemble(units[:, None], units[None])
    V = V.expand(len(units), len(units), *V.shape[-2:])
    found = sft_residuals(V, W.expand_as(V), of.prompts, of.eta, of.k).flatten(2).numpy() / of.B**0.5
    base, in_V, in_W = found[0, 0], found[1:, 0] - found[0, 0], found[0, 1:] - found[0, 0]
    bilinear = found[1:, 1:] - found[1:, :1] - found[:1, 1:] + base
    return Residuals(base, in_V.T, in_W.T, np.moveaxis(bilinear, -1, 0))


def regularised(
    of: Task, lam: float, start: tuple[Array, Array], hold_W: bool = False
) -> tuple[Array, Array]:
    """The minimiser of L_SFT + λ‖Ṽ + Γ₀⁻¹‖² + λ‖W̃ − I‖² from ``start``: Levenberg-Marquardt on the
    residuals of the full model, then Newton steps in a trust region, which do not crawl along the nearly
    flat zero-loss set as Gauss-Newton steps do."""
    d = of.prompts.d
    model, centre = probed(of), np.concatenate([of.initial.ravel(), np.eye(d).ravel()])
    moving = np.arange(d * d if hold_W else 2 * d * d)
    pull = (2 * lam) ** 0.5 * np.eye(2 * d * d)[:, moving]

    def point(x: Array) -> Array:
        return np.concatenate([x, centre[len(x) :]])

    def residual(x: Array) -> Array:
        return np.concatenate([model.at(point(x)), pull @ (x - centre[moving])])

    def jacobian(x: Array) -> Array:
        return np.concatenate([model.jacobian(point(x))[:, moving], pull])

    near = scipy.optimize.least_squares(
        residual, np.concatenate([m.ravel() for m in start])[moving], jacobian, method="lm"
    ).x
    # In units of the penalty, which the tolerance on the gradient is then on.
    found = scipy.optimize.minimize(
        lambda x: residual(x) @ residual(x) / lam,
        near,
        jac=lambda x: 2 * jacobian(x).T @ residual(x) / lam,
        hess=lambda x: (
            2 * (model.hessian(point(x))[np.ix_(moving, moving)] + 2 * lam * np.eye(len(moving))) / lam
        ),
        method="trust-exact",
        options={"gtol": 1e-7, "initial_trust_radius": 1e-3, "maxiter": 500},
    ).x
    V, W = np.split(point(found), 2)
    return V.reshape(d, d), W.reshape(d, d)


@cache
def path_to_limit(of: Task, lams: tuple[float, ...], hold_W: bool) -> list[tuple[Array, Array]]:
    """The regularised minimisers at falling λ, each started at the one before."""
    now = (of.initial, np.eye(of.prompts.d))
    found = []
    for lam in lams:
        now = regularised(of, lam, now, hold_W)
        found.append(now)
    return found


LAMBDAS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-9)


def regularised_limit(
    goal: Callable[[Task], tuple[Array, Array]],
    tasks: Sequence[Task],
    form: str = "printed",
    hold_W: bool = False,
) -> Evidence:
    """The minimisers as λ → 0 against ``goal`` = (Ṽ_*, W̃_*): the distance must vanish.

    Read off λ = 1e-4 and 1e-9: relative distance below δ at the last, and a tenth or less of what it was
    at the first.  It falls in proportion to λ but for plateaus where λ passes a small curvature of the
    zero-loss set, and not at all towards a goal that is not the limit.  Below 1e-7, the tolerance on the
    gradient of the minimiser, it need not fall.
    """
    delta, worst, ratio = 1e-3, 0.0, np.inf
    for of in tasks:
        V_goal, W_goal = goal(of)
        scale = float(np.linalg.norm(V_goal) + np.linalg.norm(W_goal))
        gaps = [
            float(np.hypot(np.linalg.norm(V - V_goal), np.linalg.norm(W - W_goal))) / scale
            for V, W in path_to_limit(of, LAMBDAS, hold_W)[1::3]
        ]
        worst = max(worst, gaps[1])
        ratio = min(ratio, gaps[0] / gaps[1] if gaps[1] > 1e-7 else np.inf)
    agrees = worst < delta and ratio > 10
    return Evidence(
        "training",
        "agrees" if agrees else "differs",
        f"distance {worst:.1e} at λ = 1e-9"
        + (f", falling {ratio:.2g}-fold from 1e-4" if np.isfinite(ratio) else ""),
        "; ".join(of.label for of in tasks),
        delta,
        form=form,
    )


def loss_in_the_limit(prediction: float, tasks: Sequence[Task], form: str) -> Evidence:
    """L_SFT at the regularised minimisers as λ → 0, against ``prediction`` (0).

    At a minimiser the loss is at most λ times the squared distance to a zero-loss point, if there is
    one: the tolerance is 1e-7 at λ = 1e-9, for distances below 10.
    """
    delta, found = 1e-7, []
    for of in tasks:
        V, W = path_to_limit(of, LAMBDAS, False)[-1]
        found.append(float(sft_loss(*assemble(tensor(V), tensor(W)), of.prompts, of.eta, of.k)))
    agrees = all(abs(value - prediction) <= delta for value in found)
    return Evidence(
        "training",
        "agrees" if agrees else "differs",
        f"loss {max(found):.1e} at λ = 1e-9",
        "; ".join(of.label for of in tasks),
        delta,
        form=form,
    )


Gaps = Callable[[Array, Array, Task], Array]  # Ṽ, W̃, task → what has to be 0


def conditions_at_zero_loss(seed: int, k: int, form: str, claim: Gaps) -> Evidence:
    """The largest entry of ``claim`` at a zero-loss point that is found by minimising L_SFT alone from a
    random start, against 0.

    The minimiser stops at residuals of 1e-8; conditions that follow from zero loss are linear
    combinations of them with factors below 1/η², so 1e-6 is allowed.
    """
    of = task(3, 4, 2, seed, k=k)
    d = of.prompts.d
    start = np.random.default_rng(seed).normal(size=2 * d * d)

    model = probed(of)
    found = scipy.optimize.least_squares(model.at, start, model.jacobian, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    reached = float(np.abs(found.fun).max())
    if reached > 1e-8:
        return Evidence("training", "undecided", f"residual {reached:.1e}", of.label, 1e-6, form=form)
    V, W = found.x[: d * d].reshape(d, d), found.x[d * d :].reshape(d, d)
    worst = float(np.abs(claim(V, W, of)).max())
    delta = 1e-6
    return Evidence(
        "training",
        "agrees" if worst <= delta else "differs",
        f"largest {worst:.1e} at residual {reached:.1e}",
        f"{of.label}, from a random start",
        delta,
        form=form,
    )


def limits_over_k(
    ks: tuple[int, int],
    seed: int,
    B: int,
    form: str,
    eta: float = 0.4,
    hold_W: bool = False,
    d: int = 3,
    prediction: float = 0.0,
) -> Evidence:
    """The distance between the regularised minimisers at λ → 0 for two values of k, on the same prompts.

    Both are within 1e-3 of their limits (see :func:`regularised_limit`), relative to their size.
    """
    delta, ends = 2e-3, []
    for k in ks:
        of = task(d, 5, B, seed, k=k, eta=eta)
        ends.append(np.concatenate([m.ravel() for m in path_to_limit(of, LAMBDAS, hold_W)[-1]]))
    gap = float(np.linalg.norm(ends[0] - ends[1]) / np.linalg.norm(ends[0]))
    return Evidence(
        "training",
        "agrees" if abs(gap - prediction) <= delta else "differs",
        f"limits {gap:.1e} apart",
        f"d={d}, n=5, B={B}, η={eta}, k={ks[0]} against k={ks[1]}" + (", W̃ held at I" if hold_W else ""),
        delta,
        form=form,
    )
