"""Gradient, Hessian-vector products and extreme curvature of the outcome loss at W̃ = I.

The loss runs the recursion (A.1) on the error, e_0 = w*, e_{i+1} = e_i + Ṽ S e_i; torch differentiates it,
and nothing here knows the formulas of Section 6 and Appendix E of arXiv:2603.01293.  No d² × d² matrix is
formed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from numerics.errors import ArgumentError, check_batch, check_count, check_positive, check_shape

Loss = Callable[[Tensor], Tensor]


def outcome_errors(V_block: Tensor, S: Tensor, w_star: Tensor, k: int) -> Tensor:
    """w* − ŵ_k after k ≥ 1 steps; Ṽ (..., d, d), S (..., B, d, d), w_star and the result (..., B, d)."""
    check_count("k", k)
    d = check_shape("w_star", w_star, "B", "d").shape[-1]
    check_shape("V_block", V_block, d, d)
    check_shape("S", S, *w_star.shape[-2:], d)
    check_batch(V_block=V_block.shape[:-2], S=S.shape[:-3], w_star=w_star.shape[:-2])
    error = w_star
    for _ in range(k):
        error = error + torch.einsum("...bij,...bj->...bi", S, error) @ V_block.mT
    return error


def outcome_loss_of(S: Tensor, w_star: Tensor, k: int) -> Loss:
    """Ṽ ↦ L_OS(Ṽ, I) = 1/(2B) Σ ‖w* − ŵ_k‖² for prompts with covariances S (B, d, d) and w_star (B, d)."""

    def loss(V_block: Tensor) -> Tensor:
        errors = outcome_errors(V_block, S, w_star, k)
        return errors.square().sum(dim=(-2, -1)) / (2 * w_star.shape[-2])

    return loss


def hessian_times(loss: Loss, V_block: Tensor, direction: Tensor) -> Tensor:
    """d/dt ∇loss(Ṽ + tE) at t = 0, shape of Ṽ."""
    # Backwards twice, the Hessian being symmetric: forward mode warns of its own deprecated parts.
    (found,) = torch.func.vjp(torch.func.grad(loss), V_block)[1](direction)
    return torch.as_tensor(found)


def curvature(
    loss: Loss, V_block: Tensor, largest: bool = True, tolerance: float = 1e-8
) -> tuple[float, Tensor]:
    """The largest (or smallest) eigenvalue of the Hessian of ``loss`` at Ṽ (d, d), and its unit direction.

    Lanczos on Hessian-vector products, to ``tolerance`` relative to the eigenvalue; O(d²) memory.
    Raises :class:`scipy.sparse.linalg.ArpackNoConvergence` where Lanczos does not get there.
    """
    d = check_shape("V_block", V_block, "d", "d").shape[-1]
    if check_shape("V_block", V_block, d, d).ndim != 2:
        raise ArgumentError(f"V_block has shape {tuple(V_block.shape)}: must be one matrix, without batch")
    check_positive("tolerance", tolerance)
    if d == 1:
        ones = torch.ones_like(V_block)
        return float(hessian_times(loss, V_block, ones)), ones

    def times(vector: np.ndarray) -> np.ndarray:
        direction = torch.as_tensor(vector.reshape(d, d), dtype=V_block.dtype)
        return hessian_times(loss, V_block, direction).detach().numpy().ravel()

    operator = LinearOperator((d * d, d * d), matvec=times, dtype=np.float64)
    # A fixed start: the same answer every time.  It has a part along every eigenvector, almost surely.
    start = np.random.default_rng(0).standard_normal(d * d)
    values, vectors = eigsh(operator, k=1, which="LA" if largest else "SA", v0=start, tol=tolerance)
    return float(values[0]), torch.as_tensor(vectors[:, 0].reshape(d, d))
