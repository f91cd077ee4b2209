"""The training losses of arXiv:2603.01293, each from its definition on the full model.

V and W are (..., 2d+2, 2d+2), prompts have X (..., B, d, n); the mean is over B, and further leading
dimensions, which broadcast, are independent runs: the losses have shape (...).  All raise
:class:`~numerics.errors.ArgumentError` for a bad argument.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.errors import check_batch, check_count, check_shape, check_type
from numerics.model import chain_of_thought, embed, last_column, predicted_weights, teacher_sequence
from numerics.prompts import Prompts


def sft_residuals(V: Tensor, W: Tensor, prompts: Prompts, eta: float, k: int) -> Tensor:
    """f_LSA(Z_i)[:, −1] − (0, 0, w_{i+1}, 1) of eq. (3.5) for i = 0, …, k; shape (..., B, k+1, 2d+2).

    All 2d+2 rows, whether or not V and W have the pattern of eq. (3.8).  η in (0, 1], k ≥ 0.
    """
    check_count("k", k, 0)
    V, W = _per_prompt(V, W, prompts)
    n = prompts.n
    # Z_i is the first n+1+i columns of Z_{k+1}, and its target is the column after them.
    Z = teacher_sequence(prompts.X, prompts.w_star, eta, k + 1)
    residuals = [last_column(Z[..., : n + 1 + i], V, W, n) - Z[..., n + 1 + i] for i in range(k + 1)]
    return torch.stack(residuals, dim=-2)


def sft_loss(V: Tensor, W: Tensor, prompts: Prompts, eta: float, k: int) -> Tensor:
    """L_SFT of eq. (3.5): 1/(2B) times the squared :func:`sft_residuals`, summed over prompts and i."""
    return sft_residuals(V, W, prompts, eta, k).square().sum(dim=(-3, -2, -1)) / (2 * prompts.size)


def outcome_loss(V: Tensor, W: Tensor, prompts: Prompts, k: int) -> Tensor:
    """L_OS of eq. (3.4): 1/(2B) Σ ‖ŵ_k − w*‖² with ŵ_k from k ≥ 1 steps of the chain of thought."""
    check_count("k", k)
    V, W = _per_prompt(V, W, prompts)
    Z = chain_of_thought(V, W, prompts.X, prompts.w_star, k)
    error = predicted_weights(Z, prompts.n)[..., -1, :] - prompts.w_star
    return error.square().sum(dim=(-2, -1)) / (2 * prompts.size)


def pretraining_loss(V: Tensor, W: Tensor, prompts: Prompts) -> Tensor:
    """The mean over the prompts of ‖ŵ_1 − w*‖², one step of the chain of thought from w₀ = 0."""
    V, W = _per_prompt(V, W, prompts)
    d = prompts.d
    column = last_column(embed(prompts.X, prompts.w_star), V, W, prompts.n)
    error = column[..., d + 1 : 2 * d + 1] - prompts.w_star
    return error.square().sum(dim=(-2, -1)) / prompts.size


def _per_prompt(V: Tensor, W: Tensor, prompts: Prompts) -> tuple[Tensor, Tensor]:
    """V and W with a dimension for the prompts of a run, which all share them."""
    rows = 2 * check_type("prompts", prompts, Prompts).d + 2
    check_shape("V", V, rows, rows)
    check_shape("W", W, rows, rows)
    check_batch(V=V.shape[:-2], W=W.shape[:-2], prompts=prompts.X.shape[:-3])
    return V.unsqueeze(-3), W.unsqueeze(-3)
