"""The losses of arXiv:2603.01293 for the decoder, and its risk after each step of its chain of thought.

All have shape (runs,) or (runs, steps), so that their sum is differentiated for all runs at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.gpt2.model import Ensemble, estimate_token
from numerics.gpt2.prompts import Batch


def supervised_path(w: Tensor, eta: float, steps: int) -> Tensor:
    """w_i = (1 − (1−η)^i) w* for i = 0, …, steps; w (..., d) to (..., steps+1, d)."""
    share = 1 - (1 - eta) ** torch.arange(steps + 1, dtype=w.dtype, device=w.device)
    return share[:, None] * w[..., None, :]


def sft_loss(model: Ensemble, batch: Batch, eta: float, k: int) -> Tensor:
    """Eq. (3.5) by teacher forcing: 1/(2B) Σ_τ Σ_{i=0}^{k} ‖read-out at (w_i, 1) − w_{i+1}‖², (runs,)."""
    path = supervised_path(batch.w, eta, k + 1)
    tokens = torch.cat([batch.tokens(), estimate_token(path[..., :-1, :])], dim=-2)
    found = model(tokens)[..., -(k + 1) :, :]
    return (found - path[..., 1:, :]).square().sum((-2, -1)).mean(1) / 2


def outcome_loss(model: Ensemble, batch: Batch, k: int) -> Tensor:
    """Eq. (3.4): 1/(2B) Σ_τ ‖ŵ_k − w*‖², (runs,); the gradient passes through all k generated steps."""
    return step_errors(model, batch, k)[..., -1].mean(1) / 2


def step_errors(model: Ensemble, batch: Batch, steps: int) -> Tensor:
    """‖ŵ_i − w*‖² for i = 1, …, steps, (runs, B, steps)."""
    return (model(batch.start(), steps) - batch.w[..., None, :]).square().sum(-1)


@torch.no_grad()
def risks(model: Ensemble, batch: Batch, steps: int, at_once: int = 256) -> Tensor:
    """The mean over the prompts of :func:`step_errors`, (runs, steps), ``at_once`` prompts at a time."""
    B = batch.w.shape[1]
    parts = [
        step_errors(model, Batch(batch.X[:, at : at + at_once], batch.w[:, at : at + at_once]), steps)
        for at in range(0, B, at_once)
    ]
    return torch.cat(parts, dim=1).mean(1)
