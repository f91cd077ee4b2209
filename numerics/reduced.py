"""The recursion on the weights alone that eq. (A.1) of arXiv:2603.01293 puts in the model's place.

Faster than the full model, and equal to it only for V and W of the pattern of eq. (3.8); that it is equal
there is a statement of the paper, tested on :mod:`numerics.model`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.errors import check_batch, check_count, check_shape


def step(w: Tensor, V_block: Tensor, W_block: Tensor, S: Tensor, w_star: Tensor) -> Tensor:
    """w + V S (W w − w*), eq. (A.1); w and w_star (..., d), the matrices (..., d, d), batch broadcast."""
    d = check_shape("w_star", w_star, "d").shape[-1]
    check_shape("w", w, d)
    check_shape("V_block", V_block, d, d)
    check_shape("W_block", W_block, d, d)
    check_shape("S", S, d, d)
    matrices = {"V_block": V_block, "W_block": W_block, "S": S}
    leading = {name: matrix.shape[:-2] for name, matrix in matrices.items()}
    check_batch(w=w.shape[:-1], w_star=w_star.shape[:-1], **leading)
    error = _apply(W_block, w) - w_star
    return w + _apply(V_block, _apply(S, error))


def rollout(
    V_block: Tensor, W_block: Tensor, S: Tensor, w_star: Tensor, k: int, w0: Tensor | None = None
) -> Tensor:
    """The weights after 0, …, k steps of eq. (A.1) from w0 (or zero), shape (..., k+1, d)."""
    check_count("k", k, 0)
    d = check_shape("w_star", w_star, "d").shape[-1]
    path = [torch.zeros_like(w_star) if w0 is None else check_shape("w0", w0, d)]
    for _ in range(k):
        path.append(step(path[-1], V_block, W_block, S, w_star))
    return torch.stack(torch.broadcast_tensors(*path), dim=-2)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return torch.einsum("...ij,...j->...i", matrix, vector)
