"""The training losses of one linear self-attention layer from what a prompt does to it: S and w*.

A prompt enters the layer through ZZᵀ alone.  Its data columns add to that a block made of S, Sw* and w*ᵀSw*,
fixed for the whole chain of thought; each appended column adds its own outer product.  So the losses of
eqs. (3.4) and (3.5) of arXiv:2603.01293, with *all* 2(2d+2)² weights free, need no feature, and cost the
same for every prompt length.  Derivation, and agreement with :mod:`numerics.losses` to rounding:
``notes/figure_four.md``.

Rows are prompts: S is symmetric, so that Sx is x·S, which a batched matrix product does three times as fast.
Everything is in the dtype and on the device of the prompts.  Leading dimensions are independent runs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

Weights = list[Tensor]  # two matrices: columns [ṼP, PᵀW̃], blocks [Ṽ, W̃] of eq. (3.8), or the layer's [V, W]


class Seen(NamedTuple):
    """Prompts as the layer sees them: S = P · core · Pᵀ and the tasks w*.

    ``core`` (..., B, r, r), ``w`` (..., B, d), ``n`` the prompt length, ``basis`` P (d, r) with orthonormal
    columns.  Without one P is the first r columns of I: then S is zero outside its leading block.
    """

    core: Tensor
    w: Tensor
    n: int
    basis: Tensor | None = None

    def onto(self, rows: Tensor) -> Tensor:
        """Pᵀx for each row x: (..., d) to (..., r)."""
        return rows[..., : self.core.shape[-1]] if self.basis is None else rows @ self.basis

    def times(self, rows: Tensor) -> Tensor:
        """core · x for each prompt's row x, (..., B, r)."""
        return (rows.unsqueeze(-2) @ self.core).squeeze(-2)

    def chosen(self, index: Tensor) -> Seen:
        """The prompts ``index`` (runs, b) of each run, where there is one leading dimension."""
        run = torch.arange(index.shape[0], device=index.device)[:, None]
        return self._replace(core=self.core[run, index], w=self.w[run, index])


def path(eta: float, k: int) -> list[float]:
    """1 − (1−η)^i for i = 0, …, k+1: the share of w* that the supervised path has reached."""
    return [1 - (1 - eta) ** i for i in range(k + 2)]


def _mean_of_halves(squares: Tensor) -> Tensor:
    """1/(2B) times the sum over prompts of what the entries of each row sum to."""
    return squares.sum(dim=(-2, -1)) / (2 * squares.shape[-2])


def columns_of(blocks: Weights, seen: Seen) -> Weights:
    """ṼP (..., d, r) and PᵀW̃ (..., r, d) of the blocks (..., d, d): all of them that a loss depends on."""
    V, W = blocks
    if seen.basis is None:
        r = seen.core.shape[-1]
        return [V[..., :r], W[..., :r, :]]
    return [V @ seen.basis, seen.basis.mT @ W]


def reduced_outcome_loss(columns: Weights, seen: Seen, k: int) -> Tensor:
    """L_OS of eq. (3.4) by the recursion (A.1), shape (...)."""
    return _mean_of_halves((reduced_outcome(columns, seen, k) - seen.w).square())


def reduced_outcome(columns: Weights, seen: Seen, k: int) -> Tensor:
    """ŵ_k of the recursion (A.1) from zero, (..., B, d).

    ŵ_i = ṼP z_i with z_i in ℝ^r, so that the chain runs there and needs PᵀW̃ṼP (r × r) alone.
    """
    V, W = columns
    across, w_seen = (W @ V).mT, seen.onto(seen.w)
    z = -seen.times(w_seen)
    for _ in range(k - 1):
        z = z + seen.times(z @ across - w_seen)
    return z @ V.mT


def reduced_sft_loss(columns: Weights, seen: Seen, k: int, eta: float) -> Tensor:
    """L_SFT of eq. (3.5), shape (...): residuals ṼS(a_iW̃w* − w*) − (a_{i+1} − a_i)w*, i = 0, …, k."""
    V, W = columns
    held = -seen.times(seen.onto(seen.w)) @ V.mT
    moved = seen.times(seen.w @ W.mT) @ V.mT
    a = path(eta, k)
    total = torch.zeros_like(held)
    for i in range(k + 1):
        total = total + (held + a[i] * moved - (a[i + 1] - a[i]) * seen.w).square()
    return _mean_of_halves(total)


class _Layer:
    """V and W (..., 2d+2, 2d+2) of the whole layer on the prompts ``seen``."""

    def __init__(self, weights: Weights, seen: Seen) -> None:
        V, W = weights
        d = seen.w.shape[-1]
        self.seen, self.V, self.W, self.d = seen, V, W, d
        self.w_seen = seen.onto(seen.w)
        # Columns of V that the data block feeds: those of x on the range of S, and that of y.
        self.V_x = V[..., :d] @ seen.basis if seen.basis is not None else V[..., : self.w_seen.shape[-1]]
        self.V_y = V[..., d].unsqueeze(-2)

    def data(self, query: Tensor) -> Tensor:
        """V times the data block of ZZᵀ/n times the query: V (I; w*ᵀ) S (q_x + q_y w*), (..., B, 2d+2)."""
        d = self.d
        seen_query = self.seen.onto(query[..., :d]) + query[..., d : d + 1] * self.w_seen
        x = self.seen.times(seen_query)
        return x @ self.V_x.mT + (x * self.w_seen).sum(-1, keepdim=True) * self.V_y


def full_outcome(weights: Weights, seen: Seen, k: int) -> Tensor:
    """ŵ_k (..., B, d) of the chain of thought of the whole layer, whose columns are whole rows here."""
    layer = _Layer(weights, seen)
    V, W, d, n = layer.V, layer.W, layer.d, seen.n
    batch = torch.broadcast_shapes(V.shape[:-2], seen.w.shape[:-2])
    column = V.new_zeros(2 * d + 2)
    column[-1] = 1.0
    column = column.expand(*batch, seen.w.shape[-2], -1)
    query = W[..., -1].unsqueeze(-2)  # W (0, 0, 0, 1), one for all prompts
    sent = V[..., -1].unsqueeze(-2)  # and V times it
    columns, images = [column], [sent]
    for step in range(k):
        if step:
            columns.append(column)
            query = column @ W.mT
            images.append(column @ V.mT)
        column = column + layer.data(query)
        for past, image in zip(columns, images, strict=True):
            column = column + (past * query).sum(-1, keepdim=True) / n * image
    return column[..., d + 1 : 2 * d + 1]


def full_outcome_loss(weights: Weights, seen: Seen, k: int) -> Tensor:
    """L_OS of eq. (3.4) on the whole layer, shape (...); [V, W] (..., 2d+2, 2d+2)."""
    return _mean_of_halves((full_outcome(weights, seen, k) - seen.w).square())


def full_sft_loss(weights: Weights, seen: Seen, k: int, eta: float) -> Tensor:
    """L_SFT of eq. (3.5) on the whole layer, shape (...): all 2d+2 rows of every residual.

    Columns are (0, 0, a_l w*, 1), so that queries and residuals are combinations of a few rows, whatever k.
    """
    layer = _Layer(weights, seen)
    V, W, d, w = layer.V, layer.W, layer.d, seen.w
    slots = slice(d + 1, 2 * d + 1)
    along, const = w @ W[..., slots].mT, W[..., -1].unsqueeze(-2)  # queries of (0, 0, w*, 0) and (0, 0, 0, 1)
    data_along, data_const = layer.data(along), layer.data(const)
    w_image, const_image = w @ V[..., slots].mT, V[..., -1].unsqueeze(-2)
    # The inner products of (0, 0, w*, 0) and (0, 0, 0, 1) with either query.
    ww, wc = ((w * q[..., slots]).sum(-1, keepdim=True) for q in (along, const))
    cw, cc = along[..., -1:], const[..., -1:]
    a = path(eta, k)
    target = torch.nn.functional.pad(w, (d + 1, 1))
    total = torch.zeros_like(data_along)
    first = second = 0.0  # sums of a_l and a_l² up to i
    for i in range(k + 1):
        first, second = first + a[i], second + a[i] ** 2
        to_w = (second * (a[i] * ww + wc) + first * (a[i] * cw + cc)) / seen.n
        to_const = (first * (a[i] * ww + wc) + (i + 1) * (a[i] * cw + cc)) / seen.n
        residual = a[i] * data_along + data_const + to_w * w_image + to_const * const_image
        total = total + (residual - (a[i + 1] - a[i]) * target).square()
    return _mean_of_halves(total)
