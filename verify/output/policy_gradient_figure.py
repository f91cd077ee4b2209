"""Outcome supervision against policy gradients: loss by what was paid for it, notes/policy_gradient.md.

``python -m verify.output.policy_gradient_figure FILE`` writes it.  The levels are those of Figure 4 of
arXiv:2603.01293 at a tenth of its dimension; every run starts at −Γ₀⁻¹ and spends :data:`SPENT` outcomes or
reward evaluations a step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.curvature import outcome_errors
from numerics.device import seeded
from numerics.policy_gradient import Estimator, train
from numerics.prompts import Prompts, sample_prompts
from numerics.training import gradient_descent
from theory.os_fixed_point import one_step_fixed_point
from theory.policy_gradient_value import PromptTerms, group_spread, prompt_terms
from verify.output.plan import check_figure

Array = NDArray[np.float64]
D, N, K, SIGMA = 10, 20, 1, 0.5
SPENT, STEPS, RUNS, RATE = 64, 1500, 8, 0.01  # floors are those of small step sizes
TEST = 2000
GROUP = 4
COLOURS = ("#000000", "#0072B2", "#009E73", "#D55E00", "#AA4499", "#888888")


def estimators(terms: PromptTerms) -> dict[str, Estimator | None]:
    """By label; the constant baseline is the best at the start, whose ``terms`` these are: with that of the
    minimum, the run diverges on the larger errors before it."""
    weights = terms.jacobian_squared / terms.jacobian_squared.sum()
    constant = -(float((terms.error_squared * weights).sum()) + (D + 2) * SIGMA**2) / 2
    return {
        "outcome supervision": None,
        f"REINFORCE, mean of the others, $G={GROUP}$": Estimator("leave-one-out", GROUP),
        f"group mean (GRPO without std), $G={GROUP}$": Estimator("group", GROUP),
        f"group mean and std (GRPO), $G={GROUP}$": Estimator("normalised", GROUP),
        "REINFORCE, constant baseline": Estimator(constant),
        "REINFORCE, no baseline (diverges)": Estimator("none"),
    }


def covariances() -> tuple[Tensor, Tensor]:
    """Σ₀, of level .1 on the first fifth, and Σ = Σ₀ + Δ with Δ = 1 there."""
    known = torch.ones(D, dtype=torch.float64)
    known[: D // 5] = 0.1
    shift = torch.zeros(D, dtype=torch.float64)
    shift[: D // 5] = 1.0
    return torch.diag(known), torch.diag(known + shift)


def losses(estimator: Estimator | None, least: float, test: Prompts) -> tuple[Array, Array]:
    """Steps and the mean over runs of L_OS on the ``test`` prompts less ``least``."""
    Sigma0, Sigma = covariances()
    generator = seeded(1, "cpu")
    start = tensor_of(one_step_fixed_point(Sigma0.numpy(), N)).expand(RUNS, D, D)
    size = 1 if estimator is None else estimator.size
    draw: Callable[[], Prompts] = lambda: sample_prompts(Sigma, N, (RUNS, SPENT // size), generator)  # noqa: E731
    steps, found = [], []
    marks = set(np.unique(np.geomspace(1, STEPS, 40).astype(int)).tolist())

    def observe(t: int, parameters: list[Tensor]) -> None:
        if t in marks:
            S, star = test.S, test.w_star
            values = [outcome_errors(V, S, star, K).square().sum(-1).mean() / 2 for V in parameters[0]]
            steps.append(t)
            found.append(float(torch.stack(values).mean()) - least)

    def outcomes(parameters: list[Tensor]) -> Tensor:
        prompts = draw()
        return outcome_errors(parameters[0], prompts.S, prompts.w_star, K).square().sum(-1).mean(-1) / 2

    if estimator is None:
        gradient_descent(outcomes, [start], RATE, STEPS, observe)
    else:
        train(start, draw, K, SIGMA, estimator, generator, RATE, STEPS, observe)
    return np.array(steps), np.array(found)


def tensor_of(array: Array) -> Tensor:
    return torch.as_tensor(array, dtype=torch.float64)


def figure(path: Path) -> None:
    """Write the figure to ``path``; its suffix is the format."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    _, Sigma = covariances()
    test = sample_prompts(Sigma, N, TEST, seeded(2, "cpu"))
    best = one_step_fixed_point(Sigma.numpy(), N)
    least = float(outcome_errors(tensor_of(best), test.S, test.w_star, K).square().sum(-1).mean()) / 2
    terms = prompt_terms(best, test.S.numpy(), test.w_star.numpy(), K)
    start = one_step_fixed_point(covariances()[0].numpy(), N)
    first = prompt_terms(start, test.S.numpy(), test.w_star.numpy(), K)
    rest = float(group_spread(terms, SIGMA, GROUP).mean())
    floors = {0: RATE / 4 * terms.shared / SPENT, 1: RATE / 4 * (terms.shared + rest) / (SPENT / GROUP)}
    axes = plt.figure(figsize=(6.8, 4.6), layout="constrained").subplots()
    top = 0.0
    for place, (label, estimator) in enumerate(estimators(first).items()):
        steps, excess = losses(estimator, least, test)
        colour = COLOURS[place]
        axes.plot(steps * SPENT, excess, "-", color=colour, label=label)
        top = max(top, excess[0])
        if place in floors:
            axes.axhline(floors[place], color=colour, linestyle=":", linewidth=1)
    ratio = floors[1] / floors[0]
    axes.plot([], [], "k:", linewidth=1, label=f"predicted floors, ratio {ratio:.1f}")
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(5 * SPENT, STEPS * SPENT),
        ylim=(floors[0] / 3, 3 * top),
        xlabel="outcomes, or reward evaluations",
        ylabel=r"$L_\mathrm{OS}$ less its minimum",
        title=rf"$d={D}$, $n={N}$, $k={K}$, $\sigma={SIGMA}$, {SPENT} a step, step size {RATE}, {RUNS} runs",
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7.5)
    plt.gcf().savefig(path, dpi=150)
    plt.close("all")


if __name__ == "__main__":
    check_figure(Path(sys.argv[1]))
    figure(Path(sys.argv[1]))
