"""Gradient descent on the fine-tuning loss at W̃ = I, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.losses import sft_loss
from numerics.model import assemble
from numerics.training import gradient_descent
from verify.checks.finetuning import Task, spectrum, task
from verify.checks.points import Point, tensor
from verify.ledger.evidence import Evidence

Array = NDArray[np.float64]


def gradient_at_identity(point: Point) -> Array:
    """∇_Ṽ L_SFT at (Ṽ, I), by automatic differentiation of the full model."""
    V = tensor(point.V).requires_grad_()
    loss = sft_loss(*assemble(V, torch.eye(point.d, dtype=torch.float64)), point.prompts, point.eta, point.k)
    return torch.autograd.grad(loss, V)[0].numpy()


def loss_at_identity(point: Point) -> Array:
    """L_SFT at (Ṽ, I), one number."""
    V, W = assemble(tensor(point.V), torch.eye(point.d, dtype=torch.float64))
    return sft_loss(V, W, point.prompts, point.eta, point.k).numpy()[None]


@cache
def trajectory(of: Task, step_size: float, steps: int) -> list[Array]:
    """Ṽ_0 … Ṽ_steps of gradient descent on L_SFT(Ṽ, I), the full model differentiated."""
    identity = torch.eye(of.prompts.d, dtype=torch.float64)
    seen: list[Array] = []

    def loss(parameters: list[Tensor]) -> Tensor:
        return sft_loss(*assemble(parameters[0], identity), of.prompts, of.eta, of.k)

    gradient_descent(loss, [tensor(of.initial)], step_size, steps, lambda _, p: seen.append(p[0].numpy()))
    return seen


def curvature(of: Task) -> float:
    """c_k = Σ_{i=0}^k (1−η)^{2i}, summed."""
    return sum((1 - of.eta) ** (2 * i) for i in range(of.k + 1))


Goal = Callable[[Task], Array]
Rate = Callable[[float, float, float], float]  # (λ_max, λ⁺_min, γ c_k / B) → α


def descent(goal: Goal, rate: Rate, tasks: Sequence[tuple[Task, float]]) -> Evidence:
    """The iterates against the bound αᵗ‖Ṽ_0 − Ṽ_*‖, and the ratio of late errors against α itself.

    A task comes with the step as a fraction of the largest that is allowed.  The bound alone would let
    a rate that is too slow pass, so the contraction that descent settles to is measured too; it is read
    off errors far above rounding, and approaches α like the ratio of the two slowest modes, which the
    tolerance of 1e-2 allows for.
    """
    outcome, worst, excess = "agrees", 0.0, 0.0
    for of, fraction in tasks:
        high, low = spectrum(of)
        c_k = curvature(of)
        step_size = fraction * 2 * of.B / (c_k * high)
        alpha = rate(high, low, step_size * c_k / of.B)
        target = goal(of)
        steps = 150
        errors = np.array([np.linalg.norm(V - target) for V in trajectory(of, step_size, steps)])
        floor = 1e-11 * (1 + np.linalg.norm(target))
        bound = alpha ** np.arange(steps + 1) * errors[0]
        excess = max(
            excess, float(np.max((errors - floor) / bound.clip(1e-300) * (errors > floor), initial=0))
        )
        clean = np.flatnonzero(errors > 1e4 * floor)
        last = int(clean[-1])
        if last == steps or last >= 12:
            window = max(1, min(10, last // 4))
            measured = (errors[last] / errors[last - window]) ** (1 / window)
            worst = max(worst, abs(measured - alpha))
    if excess > 1 + 1e-9 or worst > 1e-2:
        outcome = "differs"
    return Evidence(
        "training",
        outcome,
        f"error/bound ≤ {excess:.3f}, |rate − α| ≤ {worst:.1e}",
        "; ".join(f"{of.label}, γ={f:g}·max" for of, f in tasks),
        1e-2,
    )


def features(point: Point) -> Array:
    """Φ = [S_1w*_1 … S_Bw*_B] of a point, d × B."""
    return np.einsum("bij,bj->ib", point.S, point.w_star)


def parts(point: Point) -> tuple[float, Array]:
    """c_k and ṼΦ + ηΩ at a point, from the definitions of c_k, Φ and Ω."""
    c_k = sum((1 - point.eta) ** (2 * i) for i in range(point.k + 1))
    return c_k, point.V @ features(point) + point.eta * point.w_star.T


def constraint_at_limit(tasks: Sequence[Task], normal: bool, form: str, prediction: float = 0.0) -> Evidence:
    """‖V_∞Φ + ηΩ‖, or with ``normal`` ‖(V_∞Φ + ηΩ)Φᵀ‖, at the end V_∞ of gradient descent, against 0.

    Descent runs at 0.9 of the largest step until the slowest mode has shrunk by 1e-7.
    """
    delta, worst = 1e-6, 0.0
    for of in tasks:
        high, low = spectrum(of)
        c_k = curvature(of)
        steps = max(75, int(np.ceil(16 / 1.8 * high / low)))  # 0.8^75 for the fastest mode
        end = trajectory(of, 1.8 * of.B / (c_k * high), steps)[-1]
        gap = end @ of.Phi + of.eta * of.Omega
        gap = gap @ of.Phi.T / high**0.5 if normal else gap
        worst = max(worst, float(np.linalg.norm(gap) / np.linalg.norm(of.eta * of.Omega)))
    return Evidence(
        "training",
        "agrees" if abs(worst - prediction) <= delta else "differs",
        f"relative gap {worst:.1e} after descent",
        "; ".join(of.label for of in tasks),
        delta,
        form=form,
    )


def error_map(
    prediction: Callable[[float, Array], Array],
    tasks: Sequence[Task],
    goal: Callable[[Task], tuple[Array, Array]],
) -> Evidence:
    """Δ_{t+1} of descent against Δ_t · ``prediction``(γc_k/B, M), M = ΦΦᵀ, over 20 steps, to rounding.

    A step goes through the forward pass and its derivative: sums over B(k+1) prompts and rows of n + k
    and 2d + 2 terms, a few thousand roundings of numbers of the size of Ṽ: 1e-12.
    """
    delta, worst = 1e-12, 0.0
    for of in tasks:
        high, _ = spectrum(of)
        c_k = curvature(of)
        step_size = 0.9 * of.B / (c_k * high)
        target = goal(of)[0]
        errors = [V - target for V in trajectory(of, step_size, 20)]
        one_step = prediction(step_size * c_k / of.B, of.Phi @ of.Phi.T)
        size = float(np.linalg.norm(target) + np.linalg.norm(of.initial))
        worst = max(worst, *(float(np.abs(b - a @ one_step).max()) / size for a, b in pairwise(errors)))
    return Evidence(
        "training",
        "agrees" if worst <= delta else "differs",
        f"max rel. dev. {worst:.1e} over 20 steps",
        "; ".join(of.label for of in tasks),
        delta,
    )


def stepped(of: Task, V: Array, step_size: float) -> Array:
    """One step of gradient descent on L_SFT(Ṽ, I) from ``V``."""
    identity = torch.eye(of.prompts.d, dtype=torch.float64)

    def loss(parameters: list[Tensor]) -> Tensor:
        return sft_loss(*assemble(parameters[0], identity), of.prompts, of.eta, of.k)

    return gradient_descent(loss, [tensor(V)], step_size, 1)[0].numpy()


def action(of: Task, step_size: float, on_range: bool) -> Array:
    """The matrix that one step of descent multiplies the error by, from differences of steps of the full
    model; with ``on_range`` in an orthonormal basis of the range of Φ."""
    d = of.prompts.d
    # The step is affine in Ṽ and acts on each of its rows alike: the unit vectors in one row are enough.
    base = stepped(of, of.initial, step_size)
    rows = []
    for j in range(d):
        moved = of.initial.copy()
        moved[0, j] += 1.0
        rows.append((stepped(of, moved, step_size) - base)[0])
    found = np.array(rows)
    if on_range:
        left, values, _ = np.linalg.svd(of.Phi, full_matrices=False)
        left = left[:, values > values[0] * 1e-6]
        found = left.T @ found @ left
    return found


def map_norm(tasks: Sequence[tuple[Task, float]], on_range: bool, form: str, bound: float = 1.0) -> Evidence:
    """The operator norm of the step of descent must be below ``bound``, on the range of Φ only if
    ``on_range``.  A task comes with its step as a fraction of the largest allowed."""
    worst = 0.0
    for of, fraction in tasks:
        step_size = fraction * 2 * of.B / (curvature(of) * spectrum(of)[0])
        worst = max(worst, float(np.linalg.norm(action(of, step_size, on_range), 2)))
    # A norm of exactly 1 is computed to a few roundings of 1; the norms below 1 here are so by far more.
    return Evidence(
        "training",
        "agrees" if worst < bound - 1e-9 else "differs",
        f"largest operator norm {worst:.6f}",
        "; ".join(f"{of.label}, γ={f:g}·max" for of, f in tasks),
        1e-9,
        form=form,
    )


def geometric_bound(eta: float) -> float:
    """1/(2η−η²), the sum of the whole geometric series."""
    return 1 / (2 * eta - eta**2)


def curvature_bound(
    etas: Sequence[float],
    strict: bool,
    seed: int,
    form: str,
    bound: Callable[[float], float] = geometric_bound,
) -> Evidence:
    """c_k as the full model has it, the ratio of the losses at k and at k = 0 at W̃ = I, against
    ``bound``(η): below it by more than rounding if ``strict``, else not above it."""
    outcome, gaps = "agrees", []
    for eta in etas:
        for k in (0, 1, 4):
            losses = []
            for steps in (0, k):
                of = task(3, 4, 5, seed, k=steps, eta=eta)
                W = torch.eye(3, dtype=torch.float64)
                losses.append(float(sft_loss(*assemble(tensor(of.initial), W), of.prompts, eta, steps)))
            gap = bound(eta) - losses[1] / losses[0]
            gaps.append(gap)
            # 1e-12: a few thousand roundings of numbers of order one.
            if gap < (1e-12 if strict else -1e-12):
                outcome = "differs"
    return Evidence(
        "training",
        outcome,
        f"least gap {min(gaps):.1e}",
        f"full model, η = {list(etas)}, k = 0, 1, 4",
        1e-12,
        form=form,
    )


def faster_with_k(limit: str, share: float, etas: Sequence[float], seed: int, form: str) -> Evidence:
    """The contraction of a step of descent at k = 0 … 4, at ``share`` of the largest step that the print
    (2B(2η−η²)/λ_max) or the correction (…/(λ_max + λ⁺_min)) allows: does every k beat the one before?"""
    outcome, found = "agrees", []
    for eta in etas:
        rates = []
        for k in range(5):
            of = task(3, 4, 3, seed, k=k, eta=eta)
            high, low = spectrum(of)
            allowed = 2 * of.B * (2 * eta - eta**2) / (high if limit == "printed" else high + low)
            rates.append(float(np.linalg.norm(action(of, share * allowed, True), 2)))
        found.append(" ".join(f"{r:.4f}" for r in rates))
        if not all(b < a for a, b in pairwise(rates)):
            outcome = "differs"
    regime = f"d=3, n=4, B=3, k = 0 … 4, η = {list(etas)}, γ = {share} of the {limit} limit"
    return Evidence("training", outcome, f"rates {'; '.join(found)}", regime, 1e-9, form=form)
