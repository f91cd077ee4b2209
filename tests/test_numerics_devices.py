"""Samplers draw on their generator's device and in float64; where there is a GPU, there too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from numerics.device import seeded
from numerics.outcome_fit import draw_targets
from numerics.policy_gradient import sample_actions
from numerics.pretraining import pretrain
from numerics.prompts import sample_prompts
from numerics.revealed import RevealedWishart, k_step_errors, k_step_errors_by_definition
from numerics.sampling import sft_targets, sft_targets_by_definition

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
MATRIX = torch.tensor([[1.0, 0.4, -0.2], [0.4, 0.7, 0.1], [-0.2, 0.1, 0.5]]).double()
DIAGONAL = torch.tensor([1.2, 0.0, 0.4]).double()
MEAN = torch.tensor([1.0, -2.0]).double()
INITIAL = {"V": -MATRIX, "W": MATRIX, "label": torch.tensor(-0.9).double()}


def prompts(generator: torch.Generator) -> list[Tensor]:
    drawn = sample_prompts(MATRIX, 4, (2, 6), generator, antithetic=True)
    return [drawn.X, drawn.w_star]


def revealed(generator: torch.Generator) -> list[Tensor]:
    gram = RevealedWishart(3, 2, 4, 3, generator, torch.float64)
    u = torch.ones(4, 3, dtype=torch.float64, device=generator.device)
    answers = [gram.times(u)]
    answers += [gram.times(u.roll(1, 0) * answers[0]), gram.times(answers[0])]
    return [*answers, gram.rank.double()]


def pretrained(generator: torch.Generator) -> list[Tensor]:
    return list(pretrain(MATRIX, 3, {"V", "label"}, INITIAL, 4, 3, 0.05, generator, 2).values())


SAMPLERS: dict[str, Callable[[torch.Generator], list[Tensor] | tuple[Tensor, ...]]] = {
    "sample_prompts": prompts,
    "sft_targets": lambda g: sft_targets(MATRIX, 4, 5, g),
    "sft_targets of a diagonal": lambda g: sft_targets(DIAGONAL, 4, 5, g),
    "sft_targets_by_definition": lambda g: sft_targets_by_definition(DIAGONAL, 4, 5, g),
    "k_step_errors": lambda g: [k_step_errors(-MATRIX, MATRIX, 4, 3, 5, g)],
    "k_step_errors of diagonals": lambda g: [k_step_errors(-DIAGONAL, DIAGONAL, 4, 3, 5, g)],
    "k_step_errors_by_definition": lambda g: [k_step_errors_by_definition(-MATRIX, DIAGONAL, 4, 3, 5, g)],
    "revealed": revealed,
    "draw_targets": lambda g: draw_targets(torch.ones(2).double().to(g.device), 3, 4, 5, g),
    "sample_actions": lambda g: [sample_actions(MEAN.to(g.device), 0.5, 5, g)],
    "pretrain": pretrained,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", SAMPLERS)
def test_draws_are_on_the_generators_device(name: str, device: str) -> None:
    drawn = SAMPLERS[name](seeded(1, device))
    assert {(t.device.type, t.dtype) for t in drawn} == {(device, torch.float64)}
    assert all(torch.isfinite(t).all() for t in drawn)
