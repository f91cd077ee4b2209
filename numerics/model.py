"""The one-layer linear self-attention model and its chain of thought (Section 3 of arXiv:2603.01293).

A prompt is a matrix Z with 2d+2 rows: x (d rows), y (1), the weight slot (d), the constant slot (1).
Its n data columns are followed by one column (0, 0, w, 1) for each weight estimate so far.  All tensors
are float64 and may carry leading batch dimensions ("..."), which broadcast.  A wrong shape raises
:class:`~numerics.errors.ArgumentError`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from numerics.errors import check_batch, check_count, check_positive, check_rate, check_real, check_shape


def lsa(Z: Tensor, V: Tensor, W: Tensor, scale: float) -> Tensor:
    """f_LSA(Z) = Z + V Z · ZᵀWZ / scale, eq. (3.1); Z (..., 2d+2, m), V and W (..., 2d+2, 2d+2)."""
    scale = _check_layer(Z, V, W, scale)
    return Z + V @ (Z @ Z.mT) @ (W @ Z) / scale


def linear_attention(Z: Tensor, W_K: Tensor, W_Q: Tensor, W_V: Tensor, W_P: Tensor, scale: float) -> Tensor:
    """The layer before its weights are merged: Z + W_P W_V Z (W_K Z)ᵀ (W_Q Z) / scale.

    Z (..., 2d+2, m), keys and queries W_K, W_Q (..., p, 2d+2), values W_V (..., q, 2d+2), projection
    W_P (..., 2d+2, q).  Eq. (3.1) writes V for W_P W_V and W for W_Kᵀ W_Q.
    """
    check_shape("Z", Z, "2d+2", "m")
    rows = Z.shape[-2]
    check_shape("W_K", W_K, "p", rows)
    check_shape("W_Q", W_Q, W_K.shape[-2], rows)
    check_shape("W_V", W_V, "q", rows)
    check_shape("W_P", W_P, rows, W_V.shape[-2])
    scale = check_positive("scale", scale)
    leading = {"Z": Z, "W_K": W_K, "W_Q": W_Q, "W_V": W_V, "W_P": W_P}
    check_batch(**{name: tensor.shape[:-2] for name, tensor in leading.items()})
    return Z + W_P @ (W_V @ Z) @ (W_K @ Z).mT @ (W_Q @ Z) / scale


def last_column(Z: Tensor, V: Tensor, W: Tensor, scale: float) -> Tensor:
    """f_LSA(Z)[:, −1] of eq. (3.1) by matrix-vector products, shape (..., 2d+2)."""
    scale = _check_layer(Z, V, W, scale)
    last = Z[..., -1]
    # einsum, not matmul: a V or W that the batch of prompts shares is then multiplied as one matrix
    # and not copied for each prompt.
    query = torch.einsum("...ij,...j->...i", W, last)
    scores = torch.einsum("...im,...i->...m", Z, query)
    mixed = torch.einsum("...im,...m->...i", Z, scores)
    return last + torch.einsum("...ij,...j->...i", V, mixed) / scale


def embed(X: Tensor, w_star: Tensor, w0: Tensor | None = None) -> Tensor:
    """The prompt Ẑ₀ of eq. (3.2), shape (..., 2d+2, n+1): columns (x_j, y_j, 0, 0), then (0, 0, w₀, 1).

    X (..., d, n), w_star (..., d), w0 (..., d) or zero; y_j = ⟨w*, x_j⟩ without noise.
    """
    check_shape("X", X, "d", "n")
    d = X.shape[-2]
    check_shape("w_star", w_star, d)
    w0 = torch.zeros_like(w_star) if w0 is None else check_shape("w0", w0, d)
    check_batch(X=X.shape[:-2], w_star=w_star.shape[:-1], w0=w0.shape[:-1])
    y = torch.einsum("...dn,...d->...n", X, w_star)
    data = torch.cat([_expand(X, 2, y.shape[:-1]), y.unsqueeze(-2)], dim=-2)
    return _append(pad(data, (0, 0, 0, d + 1)), _weight_column(w0))


def assemble(V_block: Tensor, W_block: Tensor, label_entry: Tensor | float = -1.0) -> tuple[Tensor, Tensor]:
    """V and W, each (..., 2d+2, 2d+2), with the pattern of eq. (3.8); differentiable in all arguments.

    V_block (..., d, d) goes to V₃₁ (weight rows, x columns), W_block (..., d, d) to W₁₃ (x rows, weight
    columns) and label_entry, a number or shape (...), to W's entry (y row, constant column).
    """
    check_shape("V_block", V_block, "d", "d")
    d = V_block.shape[-1]
    check_shape("W_block", W_block, d, d)
    if not isinstance(label_entry, Tensor):
        label_entry = check_real("label_entry", label_entry)
    label = torch.as_tensor(label_entry, dtype=W_block.dtype, device=W_block.device)
    check_batch(W_block=W_block.shape[:-2], label_entry=label.shape)
    V = pad(V_block, (0, d + 2, d + 1, 1))
    W = pad(W_block, (d + 1, 1, 0, d + 2)) + pad(label[..., None, None], (2 * d + 1, 0, d, d + 1))
    return V, W


def chain_of_thought(
    V: Tensor, W: Tensor, X: Tensor, w_star: Tensor, k: int, w0: Tensor | None = None
) -> Tensor:
    """The prompt after k ≥ 0 steps, each appending f_LSA(Z)[:, −1] with scale n; (..., 2d+2, n+1+k)."""
    check_count("k", k, 0)
    Z = embed(X, w_star, w0)
    n = X.shape[-1]
    for _ in range(k):
        Z = _append(Z, last_column(Z, V, W, n))
    return Z


def predicted_weights(Z: Tensor, n: int) -> Tensor:
    """ŵ_0, …, ŵ_k, shape (..., k+1, d): the weight slots of the columns of Z after its n data columns."""
    check_shape("Z", Z, "2d+2", "n+1+k")
    check_count("n", n)
    d = Z.shape[-2] // 2 - 1
    return Z[..., d + 1 : 2 * d + 1, n:].mT


def teacher_sequence(X: Tensor, w_star: Tensor, eta: float, i: int) -> Tensor:
    """Z_i of eq. (3.5), shape (..., 2d+2, n+1+i): the prompt with ground-truth weight columns 0, …, i.

    Column l is (0, 0, w_l, 1) with w_l = (1 − (1−η)^l) w*, so that w_0 = 0 for every η in (0, 1].
    """
    eta = check_rate("eta", eta)
    check_count("i", i, 0)
    Z = embed(X, w_star)
    if i == 0:
        return Z
    reached = torch.tensor(
        [1 - (1 - eta) ** step for step in range(1, i + 1)], dtype=X.dtype, device=X.device
    )
    columns = _weight_column(reached[:, None] * w_star.unsqueeze(-2)).mT
    return torch.cat([Z, _expand(columns, 2, Z.shape[:-2])], dim=-1)


def _weight_column(w: Tensor) -> Tensor:
    """(0, 0, w, 1), shape (..., 2d+2), for w (..., d)."""
    return torch.cat([pad(w, (w.shape[-1] + 1, 0)), torch.ones_like(w[..., :1])], dim=-1)


def _append(Z: Tensor, column: Tensor) -> Tensor:
    """Z with one more column; a batch dimension that only one of the two has is broadcast."""
    batch = torch.broadcast_shapes(Z.shape[:-2], column.shape[:-1])
    return torch.cat([_expand(Z, 2, batch), _expand(column, 1, batch).unsqueeze(-1)], dim=-1)


def _expand(tensor: Tensor, kept: int, batch: torch.Size) -> Tensor:
    """``tensor`` with all but its last ``kept`` dimensions broadcast to ``batch``."""
    return tensor.expand(*batch, *tensor.shape[tensor.ndim - kept :])


def _check_layer(Z: Tensor, V: Tensor, W: Tensor, scale: float) -> float:
    check_shape("Z", Z, "2d+2", "m")
    rows = Z.shape[-2]
    check_shape("V", V, rows, rows)
    check_shape("W", W, rows, rows)
    check_batch(Z=Z.shape[:-2], V=V.shape[:-2], W=W.shape[:-2])
    return check_positive("scale", scale)
