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
from verify.checks.points import GRADIENT, Point, tensor
from verify.ledger.evidence import Evidence
from verify.stats import pseudo_inverse_rounds
from verify.stats.bounded import UNIT

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
Rate = Callable[[float, float, float, float, int], float]  # (λ_max, λ⁺_min, γ, c_k, B) → α
Bound = Callable[[Array, Array, float, int], float]  # (Γ₀, Ṽ_*, α, t) → a bound on ‖Ṽ_t − Ṽ_*‖
Claim = Callable[[float, float], bool]  # whether a relation holds between two numbers


def holds(claim: Claim, found: float, bound: float, rounding: float) -> bool:
    """Whether ``found`` and ``bound`` are as claimed; they count as equal where rounding may be between."""
    return claim(bound, bound) if abs(found - bound) <= rounding else claim(found, bound)


def descent(
    goal: Goal, rate: Rate, bound: Bound, claim: Claim, tasks: Sequence[tuple[Task, float]]
) -> Evidence:
    """‖Ṽ_t − Ṽ_*‖ against ``bound``, which it has to be at t = 0; and the ratio of late errors against α.

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
        alpha = rate(high, low, step_size, c_k, of.B)
        target = goal(of)
        steps = 150
        errors = np.array([np.linalg.norm(V - target) for V in trajectory(of, step_size, steps)])
        floor = 1e-11 * (1 + np.linalg.norm(target))
        bounds = np.array([bound(of.gamma0, target, alpha, t) for t in range(steps + 1)])
        kept = errors > floor
        excess = max(excess, float(np.max((errors / bounds.clip(1e-300))[kept], initial=0)))
        pairs = zip(errors, bounds, strict=True)
        if not all(holds(claim, error, most, floor + 1e-9 * most) for error, most in pairs):
            outcome = "differs"
        if abs(errors[0] - bounds[0]) > floor:
            outcome = "differs"
        clean = np.flatnonzero(errors > 1e4 * floor)
        last = int(clean[-1])
        if last == steps or last >= 12:
            window = max(1, min(10, last // 4))
            measured = (errors[last] / errors[last - window]) ** (1 / window)
            worst = max(worst, abs(measured - alpha))
    if worst > 1e-2:
        outcome = "differs"
    return Evidence(
        "training",
        outcome,
        f"error/bound ≤ {excess:.3f}, |rate − α| ≤ {worst:.1e}",
        "; ".join(f"{of.label}, γ={f:g}·max" for of, f in tasks),
        1e-2,
    )


def constraint_at_limit(
    claim: Callable[[Task, Array], tuple[Array, Array]], tasks: Sequence[Task], form: str
) -> Evidence:
    """The two sides of an equation, ``claim``(task, V_∞), at the end V_∞ of gradient descent: how far apart
    they are, relative to the first.

    Descent runs at 0.9 of the largest step until the slowest mode has shrunk by 1e-7.
    """
    delta, worst = 1e-6, 0.0
    for of in tasks:
        high, low = spectrum(of)
        c_k = curvature(of)
        steps = max(75, int(np.ceil(16 / 1.8 * high / low)))  # 0.8^75 for the fastest mode
        end = trajectory(of, 1.8 * of.B / (c_k * high), steps)[-1]
        left, right = claim(of, end)
        worst = max(worst, float(np.linalg.norm(left - right) / np.linalg.norm(left)))
    return Evidence(
        "training",
        "agrees" if worst <= delta else "differs",
        f"relative gap {worst:.1e} after descent",
        "; ".join(of.label for of in tasks),
        delta,
        form=form,
    )


def error_map(
    prediction: Callable[[Task, float, float, Array], Array],
    tasks: Sequence[Task],
    goal: Goal,
) -> Evidence:
    """Δ_{t+1} of descent against ``prediction``(task, γ, c_k, Δ_t), over 20 steps, to rounding."""
    delta, worst = 0.0, -1.0
    for of in tasks:
        high, _ = spectrum(of)
        c_k = curvature(of)
        step_size = 0.9 * of.B / (c_k * high)
        target = goal(of)
        errors = [V - target for V in trajectory(of, step_size, 20)]
        stepped = [prediction(of, step_size, c_k, error) for error in errors[:-1]]
        gap = max(float(np.abs(b - a).max()) for a, b in zip(stepped, errors[1:], strict=True))
        bound = _step_rounding(of, step_size, target)
        if gap / bound > worst:
            worst, delta = gap / bound, bound
    return Evidence(
        "training",
        "agrees" if worst <= 1 else "differs",
        f"gap at most {worst:.1e} of what rounding allows, over 20 steps",
        "; ".join(of.label for of in tasks),
        delta,
    )


def _step_rounding(of: Task, step_size: float, target: Array) -> float:
    """What rounding makes of a step at most: γ_m times the sum of the absolute values that it adds up.

    In the step, Σ_i of |miss| |S(w_i − w*)|, m that of a gradient and of B(k + 1) such terms; in the map,
    d + B terms a product; and Ṽ_*, off by κ of Φ as ``notes/precision.md`` has it, times γc_kM/B, below 2.
    """
    norm, d, n, B, k = np.linalg.norm, of.prompts.d, of.prompts.n, of.B, of.k
    width = float(of.prompts.S.diagonal(dim1=-2, dim2=-1).sum(-1).max())
    star, block = float(of.prompts.w_star.norm(dim=-1).max()), float(norm(of.initial) + 2 * norm(target))
    slope = (k + 1) * star**2 * (4 + 3 * block * width) * 3 * width
    rounds = GRADIENT * (n + k + 3 * (2 * d + 2)) * (k + 1) + B * (k + 1)
    plus, fixed = norm(np.linalg.pinv(of.Phi, rcond=1e-12)), pseudo_inverse_rounds(of.Phi)
    size = plus * (of.eta * norm(of.Omega) + norm(of.initial) * norm(of.Phi)) + norm(of.initial)
    total = rounds * step_size * slope + 2 * (d + B) * block + 2 * fixed * size
    return float(UNIT * total)


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


def map_norm(
    tasks: Sequence[tuple[Task, float]], on_range: bool, form: str, bound: float, claim: Claim
) -> Evidence:
    """The largest operator norm of the step of descent against ``bound``, on the range of Φ only if
    ``on_range``.  A task comes with its step as a fraction of the largest allowed."""
    worst = 0.0
    for of, fraction in tasks:
        step_size = fraction * 2 * of.B / (curvature(of) * spectrum(of)[0])
        worst = max(worst, float(np.linalg.norm(action(of, step_size, on_range), 2)))
    # A norm of exactly 1 is computed to a few roundings of 1; the norms below 1 here are so by far more.
    return Evidence(
        "training",
        "agrees" if holds(claim, worst, bound, 1e-9) else "differs",
        f"largest operator norm {worst:.6f}",
        "; ".join(f"{of.label}, γ={f:g}·max" for of, f in tasks),
        1e-9,
        form=form,
    )


FAR = 60  # (1−η)^{2k+2} < 2e-12 at η ≥ 1/5


def curvature_bound(
    etas: Sequence[float], seed: int, form: str, bound: Callable[[float], float], claim: Claim
) -> Evidence:
    """c_k as the full model has it, the ratio of the losses at k and at k = 0 at W̃ = I, against
    ``bound``(η), which it has to come up to as k grows."""
    outcome, gaps = "agrees", []

    def loss(eta: float, k: int) -> float:
        of = task(3, 4, 5, seed, k=k, eta=eta)
        W = torch.eye(3, dtype=torch.float64)
        return float(sft_loss(*assemble(tensor(of.initial), W), of.prompts, eta, k))

    for eta in etas:
        most, first = bound(eta), loss(eta, 0)
        for k in (0, 1, 4):
            found = loss(eta, k) / first
            gaps.append(most - found)
            # 1e-12: a few thousand roundings of numbers of order one.
            if not holds(claim, found, most, 1e-12):
                outcome = "differs"
        if abs(most - loss(eta, FAR) / first) > 1e-10:
            outcome = "differs"
    return Evidence(
        "training",
        outcome,
        f"least gap {min(gaps):.1e}, none at k = {FAR}",
        f"full model, η = {list(etas)}, k = 0, 1, 4, {FAR}",
        1e-12,
        form=form,
    )


Allowed = Callable[[float, float, float, int], float]  # (λ_max, λ⁺_min, η, B) → the largest γ


def faster_with_k(
    allowed: Allowed, share: float, etas: Sequence[float], seed: int, form: str, claim: Claim
) -> Evidence:
    """The contraction of a step of descent at k = 0 … 4, at ``share`` of the step ``allowed``: is each as
    claimed beside the one before?"""
    outcome, found = "agrees", []
    for eta in etas:
        rates = []
        for k in range(5):
            of = task(3, 4, 3, seed, k=k, eta=eta)
            step_size = share * allowed(*spectrum(of), eta, of.B)
            rates.append(float(np.linalg.norm(action(of, step_size, True), 2)))
        found.append(" ".join(f"{r:.4f}" for r in rates))
        if not all(claim(after, before) for before, after in pairwise(rates)):
            outcome = "differs"
    regime = f"d=3, n=4, B=3, k = 0 … 4, η = {list(etas)}, γ = {share} of the largest in the {form} form"
    return Evidence("training", outcome, f"rates {'; '.join(found)}", regime, 1e-9, form=form)
