"""Post-training targets (w, Sw) without the prompts they come from.

Fine-tuning sees a prompt only through w ~ N(0, I_d) and Sw, S = (1/n) Σ x_i x_iᵀ with x_i ~ N(0, A):
the columns of Ω and Φ in eq. (4.1) of arXiv:2603.01293.  Their joint law needs 2d normals and one χ²
per prompt in place of dn normals.  Proof and tests: ``notes/sampling.md``.  What k steps of the model see
of a prompt is drawn without it too: :mod:`numerics.revealed`, found here as well.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.diagonal import check_covariance_or_diagonal, full, times
from numerics.errors import check_count, check_type
from numerics.prompts import _normal, _square_root, sample_prompts
from numerics.revealed import RevealedWishart, k_step_errors, k_step_errors_by_definition

__all__ = [
    "RevealedWishart",
    "k_step_errors",
    "k_step_errors_by_definition",
    "sft_targets",
    "sft_targets_by_definition",
]

CHUNK = 2**24  # numbers in the features that the definition holds at once: 128 MiB


def sft_targets(A: Tensor, n: int, B: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ω = [w_1 … w_B] and Φ = [S_1w_1 … S_Bw_B], each (d, B), in the exact law of B prompts of length n.

    ``A``, the covariance of the features, is (d, d) or its diagonal (d,); singular is allowed.  A
    diagonal A, in either form, costs O(d) per target, any other one two products with A^{1/2} more.
    With u = A^{1/2}w and û = u/‖u‖,

        Sw = (‖u‖/n) A^{1/2} (c û + √c (I − ûûᵀ) h),   c ~ χ²_n, h ~ N(0, I_d) independent of w,

    with the same c in both places.  The targets live on the generator's device; the same seed gives the
    same targets.  Raises :class:`~numerics.errors.ArgumentError` for a count below 1 and for what is no
    covariance.
    """
    check_count("n", n)
    check_count("B", B)
    check_type("generator", generator, torch.Generator)
    A = check_covariance_or_diagonal("A", A)
    root = (A.sqrt() if A.ndim == 1 else _square_root(A)).to(generator.device)
    shape = (A.shape[0], B)
    w = _normal(shape, generator)
    h = _normal(shape, generator)
    # χ²_n is twice a Gamma(n/2); torch.distributions would draw it from the global generator.
    c = 2 * torch._standard_gamma(w.new_full((B,), n / 2), generator=generator)
    u = times(root, w)
    norm = torch.linalg.vector_norm(u, dim=0)
    along = (u * h).sum(0) / torch.where(norm > 0, norm, 1.0)  # ûᵀh; u = 0 has Sw = 0 whatever û
    # ‖u‖(c û + √c (I − ûûᵀ)h), in place: arrays of this size are bound by memory.
    mixed = h.mul_(c.sqrt() * norm).addcmul_(u, c - c.sqrt() * along)
    return w, times(root, mixed.div_(n))


def sft_targets_by_definition(A: Tensor, n: int, B: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Ω and Φ, each (d, B), from B prompts with all their features drawn: what :func:`sft_targets` equals
    in law.

    Arguments and errors as there.  O(n d²) per prompt; memory does not grow with B beyond that of Ω and Φ.
    """
    check_count("n", n)
    check_count("B", B)
    covariance = full(check_covariance_or_diagonal("A", A))
    most = max(1, CHUNK // (n * covariance.shape[0]))
    Omega, Phi = [], []
    for start in range(0, B, most):
        prompts = sample_prompts(covariance, n, min(most, B - start), generator)
        Omega.append(prompts.w_star)
        Phi.append(torch.einsum("bdn,bn->bd", prompts.X, prompts.y) / n)
    return torch.cat(Omega).mT.contiguous(), torch.cat(Phi).mT.contiguous()
