"""What the full (2d+2)-row model does, measured: columns, steps, chains, losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from numerics import losses, model
from numerics.device import seeded
from verify.checks.points import Point, tensor
from verify.ledger.evidence import Evidence
from verify.stats import rounding_test

Array = NDArray[np.float64]


def full(point: Point) -> tuple[torch.Tensor, torch.Tensor]:
    """(V, W) of the pattern (3.8) at the point's blocks."""
    return model.assemble(tensor(point.V), tensor(point.W))


def chain(point: Point) -> torch.Tensor:
    """The embedding after k steps from w0, (B, 2d+2, n+1+k)."""
    V, W = full(point)
    w0 = tensor(np.tile(point.w0, (point.prompts.size, 1)))
    return model.chain_of_thought(V, W, point.prompts.X, point.prompts.w_star, point.k, w0)


def generated_columns(point: Point) -> Array:
    """The columns that the model appends, (B, k, 2d+2)."""
    return chain(point)[..., point.n + 1 :].mT.numpy()


def weights(point: Point) -> Array:
    """ŵ_0 … ŵ_k read from rows d+2 … 2d+1, (B, k+1, d)."""
    return model.predicted_weights(chain(point), point.n).numpy()


def last_weight(point: Point) -> Array:
    """ŵ_k, (B, d)."""
    return weights(point)[:, -1]


def next_weights(point: Point) -> Array:
    """ŵ_1 … ŵ_k, (B, k, d): each is one forward pass from the one before."""
    return weights(point)[:, 1:]


def queries(point: Point) -> Array:
    """W Z_i[:, −1] of each step i = 0 … k−1, (B, k, 2d+2)."""
    _, W = full(point)
    Z = chain(point)[..., point.n : point.n + point.k]
    return (W @ Z).mT.numpy()


def scores(point: Point) -> Array:
    """Z_iᵀ W Z_i[:, −1] of the last step, (B, n+k): scores of the prompt, then of the generated columns."""
    _, W = full(point)
    Z = chain(point)[..., : point.n + point.k]
    return torch.einsum("bim,bi->bm", Z, torch.einsum("ij,bj->bi", W, Z[..., -1])).numpy()


def mixing(point: Point) -> Array:
    """V Z_i of the last step, (B, 2d+2, n+k)."""
    V, _ = full(point)
    return (V @ chain(point)[..., : point.n + point.k]).numpy()


def supervised_residuals(point: Point) -> Array:
    """f_LSA(Z_i)[:,−1] − (0, 0, w_{i+1}, 1) on the taught path, (B, k+1, 2d+2)."""
    V, W = full(point)
    return losses.sft_residuals(V, W, point.prompts, point.eta, point.k).numpy()


def step_errors(point: Point) -> Array:
    """The squared error of each supervised step, all rows, (B, k+1)."""
    return np.asarray((supervised_residuals(point) ** 2).sum(axis=-1))


def supervised_loss(point: Point) -> Array:
    """L_SFT from its definition, one number."""
    V, W = full(point)
    return losses.sft_loss(V, W, point.prompts, point.eta, point.k).numpy()[None]


def outcome_loss(point: Point) -> Array:
    """L_OS from its definition, one number."""
    V, W = full(point)
    return losses.outcome_loss(V, W, point.prompts, point.k).numpy()[None]


def outcome_loss_at_identity(point: Point) -> Array:
    """L_OS from its definition at W̃ = I."""
    V, W = model.assemble(tensor(point.V), torch.eye(point.d, dtype=torch.float64))
    return losses.outcome_loss(V, W, point.prompts, point.k).numpy()[None]


def supervised_path(point: Point) -> Array:
    """w_0 … w_{k+1} as the model is taught them, (B, k+2, d)."""
    Z = model.teacher_sequence(point.prompts.X, point.prompts.w_star, point.eta, point.k + 1)
    return model.predicted_weights(Z, point.n).numpy()


Layer = Callable[[Array, Array, Array, Array, Array, float], Array]


def merged_layer(prediction: Layer, seed: int) -> Evidence:
    """The layer with W_K, W_Q, W_V, W_P, and the one with V = W_P W_V and W = W_KᵀW_Q, against
    ``prediction`` of Z, W_K, W_Q, W_V, W_P and λ, layer by layer."""
    generator = seeded(seed, "cpu")
    rows, width, inner, value = 8, 9, 5, 4  # d = 3; unequal inner widths for scores and values
    Z, W_K, W_Q, W_V, W_P = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((20, rows, width), (inner, rows), (inner, rows), (value, rows), (rows, value))
    )
    scale = 6.0
    layers = (
        model.linear_attention(Z, W_K, W_Q, W_V, W_P, scale),
        model.lsa(Z, W_P @ W_V, W_K.mT @ W_Q, scale),
    )
    K, Q, V, P = (w.numpy() for w in (W_K, W_Q, W_V, W_P))
    stated = np.array([prediction(z, K, Q, V, P, scale) for z in Z.numpy()])
    norms = [float(torch.linalg.matrix_norm(w, 2)) for w in (W_K, W_Q, W_V, W_P)]
    bound = 1 + np.prod(norms) * float(torch.linalg.matrix_norm(Z, 2).max()) ** 3
    found = rounding_test(torch.stack(layers).numpy(), stated, bound, 4 * rows + width)
    return Evidence(
        "monte-carlo", found.outcome, found.measured, "d=3, widths 5 and 4, 20 layers", found.delta
    )
