"""In-context regression prompts: features from N(0, covariance), task vectors from N(0, I_d)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from numerics.errors import (
    ArgumentError,
    check_count,
    check_covariance,
    check_shape,
    check_type,
    rounding_slack,
)


@dataclass(frozen=True, eq=False)
class Prompts:
    """A batch of prompts: features X (..., B, d, n) and task vectors w_star (..., B, d), float64.

    The last leading dimension counts the prompts of one run, further ones are independent runs.
    Raises :class:`ArgumentError` if the shapes do not fit.
    """

    X: Tensor
    w_star: Tensor

    def __post_init__(self) -> None:
        check_shape("X", self.X, "B", "d", "n")
        check_shape("w_star", self.w_star, *self.X.shape[:-1])

    @property
    def d(self) -> int:
        """Feature dimension."""
        return self.X.shape[-2]

    @property
    def n(self) -> int:
        """Prompt length: the number of (x, y) pairs."""
        return self.X.shape[-1]

    @property
    def size(self) -> int:
        """B, the number of prompts of one run."""
        return self.X.shape[-3]

    @property
    def S(self) -> Tensor:
        """Empirical covariances X Xᵀ/n, shape (..., B, d, d)."""
        return self.X @ self.X.mT / self.n

    @property
    def y(self) -> Tensor:
        """Noiseless labels ⟨w*, x_j⟩, shape (..., B, n)."""
        return torch.einsum("...dn,...d->...n", self.X, self.w_star)


def sample_prompts(
    covariance: Tensor,
    n: int,
    size: int | tuple[int, ...],
    generator: torch.Generator,
    antithetic: bool = False,
) -> Prompts:
    """Independent prompts of length n, with columns of X from N(0, covariance) and w* from N(0, I_d).

    ``size`` is B, or a leading shape (..., B).  A singular covariance is allowed.  ``antithetic`` draws
    the first B/2 prompts of each run and repeats them as (X, −w*) in the second half.  The prompts live
    on the generator's device; the same seed gives the same prompts.

    Raises :class:`ArgumentError` for a count below 1, a matrix that is no covariance, or an odd B with
    ``antithetic``.
    """
    check_count("n", n)
    leading = tuple(check_count("size", s) for s in (size if isinstance(size, tuple) else (size,)))
    check_type("generator", generator, torch.Generator)
    if not leading:
        raise ArgumentError("size=(): must be an integer or a non-empty tuple of integers")
    if antithetic and leading[-1] % 2:
        raise ArgumentError(f"size={size!r}: must be even (its last entry) for antithetic pairs")
    root = _square_root(check_covariance("covariance", covariance)).to(generator.device)
    d = root.shape[0]
    drawn = (*leading[:-1], leading[-1] // 2) if antithetic else leading
    # Drawn as (..., n, d), so that one matrix product with the symmetric root serves all prompts.
    X = (_normal((*drawn, n, d), generator) @ root).mT
    w_star = _normal((*drawn, d), generator)
    if antithetic:
        X = torch.cat([X, X], dim=-3)
        w_star = torch.cat([w_star, -w_star], dim=-2)
    return Prompts(X, w_star)


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, device=generator.device, generator=generator)


def _square_root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a positive semidefinite matrix, of the same numerical rank.

    Eigenvalues within rounding of zero, of either sign, are set to zero: the root would turn a 1e-17
    into a 3e-9, well outside the covariance's range.
    """
    values, vectors = torch.linalg.eigh(covariance)
    values = torch.where(values > rounding_slack(covariance), values, 0.0)
    return (vectors * values.sqrt()) @ vectors.mT
