"""Weighted prompts with the moments of all prompts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from numerics.device import seeded
from numerics.losses import sft_loss
from numerics.model import assemble
from numerics.prompts import sample_prompts
from verify.checks.points import block, covariance, tensor
from verify.checks.wishart_nodes import features, prompts


@pytest.mark.parametrize(
    ("d", "n", "rank"), [(2, 1, None), (2, 2, None), (2, 4, None), (3, 2, 2), (1, 3, None)]
)
def test_second_moments_are_those_of_columns(d: int, n: int, rank: int | None) -> None:
    """All E S_ij S_kl against Gauss-Hermite nodes in each entry of the n columns themselves."""
    A = covariance(d, 5, rank)
    values, basis = np.linalg.eigh(A)
    grid = np.array(list(product((-(3**0.5), 0.0, 3**0.5), repeat=d * n))).reshape(-1, d, n)
    columns = basis * np.sqrt(values.clip(0)) @ grid
    expected = (np.where(grid == 0, 2 / 3, 1 / 6).prod((1, 2)), columns @ columns.swapaxes(1, 2) / n)
    X, weights = features(A, n)
    assert X.shape[1:] == (d, min(n, d))
    assert (weights > 0).all()
    S = X @ X.swapaxes(1, 2) / X.shape[2]
    for indices in ("b,bij->ij", "b,bij,bkl->ijkl"):
        found, stated = (
            np.einsum(indices, w, *[s] * (indices.count(","))) for w, s in ((weights, S), expected)
        )
        assert np.abs(found - stated).max() < 1e-12 * np.abs(stated).max()


def test_loss_is_the_mean_over_prompts() -> None:
    """L_SFT of the weighted prompts, within five standard errors of that of sampled prompts."""
    A = covariance(2, 7)
    V, W = assemble(tensor(block(2, 1)), tensor(np.eye(2) + block(2, 2, 0.3)))
    found = float(sft_loss(V, W, prompts(A, 5), 0.4, 2))
    means = torch.stack(
        [sft_loss(V, W, sample_prompts(tensor(A), 5, 2000, seeded(j, "cpu")), 0.4, 2) for j in range(40)]
    )
    error = float(means.std()) / 40**0.5
    assert abs(found - float(means.mean())) < 5 * error
    assert error < 0.01 * found
