"""What the steps of outcome supervision achieve: curvature, error and spectral radius along training.

Many sets of prompts are trained side by side, each with a step size from its own curvature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.curvature import outcome_errors
from numerics.device import seeded
from numerics.prompts import sample_prompts
from numerics.training import gradient_descent
from verify.checks.points import tensor
from verify.checks.stability import Scene, Start
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
SETS = 160  # of training prompts, trained side by side
NEW = 200  # prompts that each trained model is seen on


@dataclass(frozen=True)
class Ensemble:
    """:data:`SETS` sets of training prompts of a scene, S (R, B, d, d) and w* (R, B, d)."""

    scene: Scene
    S: Tensor
    w_star: Tensor

    def losses(self, V: Tensor) -> Tensor:
        errors = outcome_errors(V, self.S, self.w_star, self.scene.k)
        return errors.square().sum(dim=(-2, -1)) / (2 * self.scene.B)

    def curvatures(self, V: Tensor) -> Tensor:
        """λ_max of each Hessian at V (R, d, d), all d² × d² entries: d is small here."""
        d, k = self.scene.d, self.scene.k

        def loss(block: Tensor, S: Tensor, w_star: Tensor) -> Tensor:
            return outcome_errors(block, S, w_star, k).square().sum() / (2 * self.scene.B)

        # Backwards twice: forward mode warns of its own deprecated parts.
        dense = torch.func.vmap(torch.func.jacrev(torch.func.grad(loss)))(V, self.S, self.w_star)
        return torch.linalg.eigvalsh(dense.reshape(len(V), d * d, d * d))[:, -1]


@cache
def ensemble(scene: Scene) -> Ensemble:
    A, size = tensor(np.diag(scene.Sigma)), (SETS, scene.B)
    prompts = sample_prompts(A, scene.n, size, seeded(scene.seed, "cpu"))
    return Ensemble(scene, prompts.S, prompts.w_star)


def initials(scene: Scene) -> Tensor:
    return tensor(np.diag(-1 / scene.gamma0)).repeat(SETS, 1, 1)


def curvature_changes(
    prediction: Sequence[int],
    scenes: Sequence[Scene],
    seed: int,
    profile: Profile,
    what: str = "",
    scatter: bool = False,
) -> Evidence:
    """The sign of the change of log λ_max at the start from each scene to the next; with ``scatter`` that of
    its distance from the median over the sets of prompts."""
    columns = []
    for scene in scenes:
        drawn = ensemble(replace(scene, seed=seed))
        logs = drawn.curvatures(initials(scene)).log().numpy()
        columns.append(np.abs(logs - np.median(logs)) if scatter else logs)
    name = "scatter of log λ_max" if scatter else "log λ_max"
    return _signs(prediction, np.diff(np.array(columns).T, axis=1), f"{what}{scenes[0]}", name, profile)


@cache
def course(scene: Scene, steps: tuple[int, ...]) -> dict[str, Array]:
    """Gradient descent of an ensemble, each at (2k−1)/λ_max, half of what the limit is at d = 1.

    After each of ``steps``, by name, (SETS, times): the log of the curvature, of the error on new prompts,
    of what 1.2 Σ adds to it, and the share of new prompts with ρ(M_τ) > 1.
    """
    drawn, start = ensemble(scene), initials(scene)
    sizes = (2 * scene.k - 1) / drawn.curvatures(start)
    A, generator = tensor(np.diag(scene.Sigma)), seeded(scene.seed + 1, "cpu")
    new = sample_prompts(A, scene.n, NEW, generator)
    seen: dict[str, list[Array]] = {name: [] for name in ("curvature", "error", "added", "share")}

    def error(V: Tensor, S: Tensor) -> Tensor:
        # w* is standard normal: its mean is the Frobenius norm.
        M = torch.eye(scene.d, dtype=torch.float64) + V.unsqueeze(1) @ S
        return torch.linalg.matrix_power(M, scene.k).square().sum(dim=(-2, -1)).mean(-1)

    def observe(t: int, parameters: list[Tensor]) -> None:
        if t not in steps:
            return
        (V,) = parameters
        now, shifted = error(V, new.S), error(V, 1.2 * new.S)
        M = torch.eye(scene.d, dtype=torch.float64) + V.unsqueeze(1) @ new.S[: NEW // 4]
        seen["curvature"].append(drawn.curvatures(V).log().numpy())
        seen["error"].append(now.log().numpy())
        seen["added"].append((shifted - now).log().numpy())
        seen["share"].append((torch.linalg.eigvals(M).abs().amax(-1) > 1).double().mean(-1).numpy())

    # A step of size one on Σ_r η_r L_r is a step of size η_r on each L_r.
    gradient_descent(lambda p: sizes * drawn.losses(p[0]), [start], 1.0, max(steps), observe)
    return {name: np.array(columns).T for name, columns in seen.items()}


NAMES = {
    "curvature": "log λ_max",
    "error": "log error",
    "added": "log of what 1.2 Σ adds",
    "share": "share with ρ(M_τ) > 1",
}


def course_changes(
    prediction: Sequence[int],
    scene: Scene,
    steps: tuple[int, ...],
    quantity: str,
    seed: int,
    profile: Profile,
) -> Evidence:
    """The sign of the change of a quantity of :func:`course` between the times of training ``steps``."""
    found = course(replace(scene, seed=seed), steps)[quantity]
    regime = f"{scene}, steps {', '.join(map(str, steps))} of size (2k−1)/λ_max"
    return _signs(prediction, np.diff(found, axis=1), regime, NAMES[quantity], profile)


def reached_changes(
    prediction: Sequence[int],
    scenes: Sequence[Scene],
    steps: int,
    seed: int,
    profile: Profile,
    gained: bool = False,
) -> Evidence:
    """The sign of the change of the log error reached after ``steps`` from each scene to the next, or of the
    log of the factor ``gained`` in them."""
    errors = [course(replace(s, seed=seed), (0, steps))["error"] for s in scenes]
    reached = [e[:, 0] - e[:, 1] if gained else e[:, 1] for e in errors]
    regime = f"{scenes[0]}, then {', '.join(f'{s.level:g}' for s in scenes[1:])}; {steps} steps"
    name = "log of the factor gained" if gained else "log error"
    return _signs(prediction, np.diff(np.array(reached).T, axis=1), regime, name, profile)


def _signs(prediction: Sequence[int], changes: Array, regime: str, what: str, profile: Profile) -> Evidence:
    """Student intervals over the sets of prompts, α shared among the changes; every one clear of zero."""
    mean, half = changes.mean(axis=0), half_widths(changes, profile.alpha)
    clear = np.abs(mean) > half
    if (np.sign(mean) * np.asarray(prediction) < 0)[clear].any():
        outcome = "differs"
    else:
        outcome = "agrees" if clear.all() else "undecided"
    shown = ", ".join(f"{m:+.2g} ± {h:.1g}" for m, h in zip(mean, half, strict=True))
    return Evidence(
        "training", outcome, f"{what} changes by {shown}", regime, float(half.min()), profile.alpha
    )


# Progress -------------------------------------------------------------------------------------------


def steps_to_edge(start: Start, fraction: float, most: int = 5000) -> int:
    """Steps of gradient descent of size ``fraction`` · 2(2k−1)/λ_max until ρ(M_τ) ≤ 1 for all prompts.

    Raises :class:`ArithmeticError` where that takes more than ``most``.
    """
    arrived: list[int] = []

    def observe(before: int, t: int, parameters: list[Tensor]) -> None:
        if not arrived:
            M = torch.eye(len(start.V), dtype=torch.float64) + parameters[0] @ start.S
            if bool((torch.linalg.eigvals(M).abs() <= 1).all()):
                arrived.append(before + t)

    size, V, done, part = fraction * 2 * (2 * start.k - 1) / start.curvature, start.V, 0, 50
    while not arrived and done < most:
        (V,) = gradient_descent(_first(start.loss), [V], size, part, partial(observe, done))
        done += part
    if not arrived:
        raise ArithmeticError(f"ρ > 1 after {most} steps from {start.label}")
    return arrived[0]


def steps_taken(
    prediction: Sequence[float], starts: Sequence[Start], fraction: float, regime: str
) -> Evidence:
    """:func:`steps_to_edge` of each start against ``prediction``, relative, within δ = 5 %: a step more or
    less, and what a finite ``fraction`` leaves of the limit of small steps."""
    delta, taken = 5e-2, np.array([steps_to_edge(of, fraction) for of in starts])
    off = float(np.max(np.abs(np.asarray(prediction) / taken - 1)))
    outcome = "agrees" if off <= delta else "differs"
    shown = f"{', '.join(map(str, taken))} steps, off by {off:.1e}"
    return Evidence("training", outcome, shown, regime, delta)


def one_step(
    prediction: Callable[[Start, float, Array], Array], starts: Sequence[Start], fraction: float, form: str
) -> Evidence:
    """The eigenvalues of M after one step, as factors, against ``prediction``(start, step, x), to 1e-9."""
    worst = 0.0
    for start in starts:
        size = fraction * start.limit.stable
        S = start.S[0]
        moved = gradient_descent(_first(start.loss), [start.V], size, 1)[0]
        eye = torch.eye(len(S), dtype=torch.float64)
        before, after = ((eye + V @ S).diagonal().numpy() for V in (start.V, moved))
        worst = max(worst, float(np.abs(after / before - prediction(start, size, before)).max()))
    return Evidence(
        "training",
        "agrees" if worst <= 1e-9 else "differs",
        f"factors off by {worst:.1e}",
        "; ".join(s.label for s in starts),
        1e-9,
        form=form,
    )


def shrinkage(prediction: Sequence[float], starts: Sequence[Start], regime: str) -> Evidence:
    """By what share of itself the last eigenvalue of M shrinks in a step of the largest stable size, against
    ``prediction``, the largest that is allowed, within δ = 4 % of it (the width of the bracket is 3 %)."""
    delta, off, shown = 4e-2, 0.0, []
    for share, of in zip(prediction, starts, strict=True):
        moved = gradient_descent(_first(of.loss), [of.V], of.limit.middle, 1)[0]
        before, after = (float((1 + V @ of.S[0]).diagonal()[-1]) for V in (of.V, moved))
        found = 1 - abs(after) / abs(before)
        off = max(off, abs(found / share - 1))
        shown.append(f"{found:.2g}")
    outcome = "agrees" if off <= delta else "differs"
    return Evidence("training", outcome, f"shrinks by {', '.join(shown)}", regime, delta)


def _first(loss: Callable[[Tensor], Tensor]) -> Callable[[list[Tensor]], Tensor]:
    """A loss of the list of parameters, of which there is one."""
    return lambda parameters: loss(parameters[0])
