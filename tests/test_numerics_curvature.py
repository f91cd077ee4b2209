"""Hessian-vector products and extreme curvature against the whole Hessian, and against the full model."""

from __future__ import annotations

import pytest
import torch

from numerics.curvature import curvature, hessian_times, outcome_loss_of
from numerics.errors import ArgumentError
from numerics.losses import outcome_loss
from numerics.model import assemble
from numerics.prompts import sample_prompts


def setting(d, size, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    prompts = sample_prompts(torch.diag(torch.linspace(0.5, 2.0, d, dtype=torch.float64)), n, size, generator)
    V = torch.randn(d, d, generator=generator, dtype=torch.float64) / 3 - 0.5 * torch.eye(
        d, dtype=torch.float64
    )
    return prompts, V


@pytest.mark.parametrize(("d", "size", "n", "k"), [(1, 3, 2, 3), (3, 5, 7, 3), (4, 2, 3, 1), (4, 6, 2, 4)])
def test_extreme_curvature_is_that_of_the_whole_hessian(d, size, n, k):
    prompts, V = setting(d, size, n)
    loss = outcome_loss_of(prompts.S, prompts.w_star, k)
    whole = torch.autograd.functional.hessian(loss, V).reshape(d * d, d * d)
    values = torch.linalg.eigvalsh(whole)
    scale = float(values.abs().max())
    for largest, wanted in ((True, values[-1]), (False, values[0])):
        value, direction = curvature(loss, V, largest)
        # Lanczos to 1e-8 of the eigenvalue, which where small is relative to the others.
        assert value == pytest.approx(float(wanted), abs=1e-7 * scale)
        assert float(direction.norm()) == pytest.approx(1.0)
        along = torch.sum(direction * hessian_times(loss, V, direction))
        assert float(along) == pytest.approx(value, abs=1e-7 * scale)


def test_loss_is_the_full_model_s():
    prompts, V = setting(3, 4, 5)
    full = outcome_loss(*assemble(V, torch.eye(3, dtype=torch.float64)), prompts, 3)
    assert float(outcome_loss_of(prompts.S, prompts.w_star, 3)(V)) == pytest.approx(float(full), rel=1e-12)


def test_bad_input():
    prompts, V = setting(3, 4, 5)
    with pytest.raises(ArgumentError, match="k=0"):
        outcome_loss_of(prompts.S, prompts.w_star, 0)(V)
    with pytest.raises(ArgumentError, match="V_block has shape"):
        outcome_loss_of(prompts.S, prompts.w_star, 2)(V[:2, :2])
