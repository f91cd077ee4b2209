"""What policy gradients cost, in numbers: the noise of each prompt, and rewards needed per outcome.

The formulas are those of :mod:`theory.policy_gradient`, rows ``ext-rl.c``, ``ext-rl.g`` and ``ext-rl.k``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.errors import (
    ArgumentError,
    check_count,
    check_finite,
    check_numbers,
    check_positive,
    in_range,
    shown,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PromptTerms:
    """Of each of N prompts: ‖ŵ_k − w*‖² (N), ‖J‖_F² (N) and ∇_Ṽ ½‖ŵ_k − w*‖² (N, d, d)."""

    error_squared: Array
    jacobian_squared: Array
    gradients: Array

    @property
    def d(self) -> int:
        """The dimension."""
        return int(self.gradients.shape[-1])

    @property
    def shared(self) -> float:
        """P: how far one prompt's gradient is from the mean, E‖∇L_τ‖² − ‖∇L‖²."""
        return float(((self.gradients - self.gradients.mean(axis=0)) ** 2).sum(axis=(1, 2)).mean())


@in_range("V, S, w_star")
def prompt_terms(V: Array, S: Array, w_star: Array, k: int) -> PromptTerms:
    """The terms at Ṽ (d, d), W̃ = I, for prompts with covariances S (N, d, d) and tasks w_star (N, d).

    Raises :class:`ArgumentError` for shapes that do not fit, entries that are not finite, k < 1.
    """
    check_count("k", k)
    V, S, w_star = (check_numbers(name, value) for name, value in (("V", V), ("S", S), ("w_star", w_star)))
    if V.ndim != 2 or S.ndim != 3 or not V.size or not S.size:
        raise ArgumentError(f"V has shape {V.shape}, S {S.shape}: must be d × d and N × d × d")
    d = V.shape[-1]
    for name, value, shape in (("V", V, (d, d)), ("S", S, (len(S), d, d)), ("w_star", w_star, (len(S), d))):
        if value.shape != shape:
            raise ArgumentError(f"{name} has shape {value.shape}: must be {shape}")
        check_finite(name, value)
    M = np.eye(d) + V @ S
    powers, misses = [np.broadcast_to(np.eye(d), S.shape)], [w_star]  # M^i, M^i w*
    for _ in range(k):
        powers.append(powers[-1] @ M)
        misses.append(np.einsum("nij,nj->ni", M, misses[-1]))
    seen = np.stack([np.einsum("nij,nj->ni", S, misses[k - 1 - i]) for i in range(k)])
    outer = np.einsum("inab,jnab->nij", np.stack(powers[:k]), np.stack(powers[:k]))
    size = np.einsum("nij,inc,jnc->n", outer, seen, seen)
    gradients = sum(np.einsum("nab,na,nc->nbc", powers[i], misses[k], seen[i]) for i in range(k))
    return PromptTerms((misses[k] ** 2).sum(axis=-1), size, np.asarray(gradients))


@in_range("of, sigma")
def least_spread(of: PromptTerms, sigma: float) -> Array:
    """The spread of one action's estimator with the prompt's own best baseline, (N).

    A spread is E‖ĝ − ∇‖_F², ∇ the prompt's gradient.  Raises :class:`ArgumentError` for a σ that is not
    positive.
    """
    _check_terms(of)
    sigma = check_positive("sigma", sigma)
    level = of.error_squared + (of.d + 2) * sigma**2 / 2
    return level * of.jacobian_squared + (of.gradients**2).sum(axis=(1, 2))


@in_range("of, sigma")
def group_spread(of: PromptTerms, sigma: float, size: int) -> Array:
    """The spread about each prompt's gradient with G = ``size`` actions, the mean of the others as baseline.

    (N), as of :func:`least_spread`.  Raises :class:`ArgumentError` for a size below 2 and a σ that is not
    positive.
    """
    check_count("size", size, 2)
    _check_terms(of)
    sigma = check_positive("sigma", sigma)
    rest = (size - 2) / (size * (size - 1)) * sigma**2 * of.jacobian_squared
    return np.asarray(least_spread(of, sigma) / (size - 1) + rest)


@in_range("of, sigma, baseline")
def constant_spread(of: PromptTerms, sigma: float, baseline: float | Array) -> Array:
    """The spread of one action's estimator with a baseline, one for all or (N) one each: (N).

    Raises :class:`ArgumentError` for a baseline of another shape and a σ that is not positive.
    """
    _check_terms(of)
    sigma = check_positive("sigma", sigma)
    baseline = check_finite("baseline", baseline)
    if baseline.shape not in ((), of.error_squared.shape):
        raise ArgumentError(
            f"baseline has shape {baseline.shape}: must be a number or {of.error_squared.shape}"
        )
    best = -(of.error_squared + (of.d + 2) * sigma**2) / 2
    return np.asarray(least_spread(of, sigma) + (baseline - best) ** 2 / sigma**2 * of.jacobian_squared)


def rewards_per_outcome(of: PromptTerms, spread: Array, size: int) -> float:
    """N_RL/N_OS at equal error of the gradient, for an estimator with that ``spread`` per prompt of ``size``
    actions; infinite where all prompts have the same gradient.

    ``spread`` is (N).  Raises :class:`ArgumentError` for another shape, a negative spread, a size below 1.
    """
    _check_terms(of)
    check_count("size", size)
    spread = check_finite("spread", spread)
    if spread.shape != of.error_squared.shape or not (spread >= 0).all():
        raise ArgumentError(f"spread={shown(spread)}: must be {len(of.error_squared)} numbers of at least 0")
    return float(size * (1 + spread.mean() / of.shared)) if of.shared > 0 else float("inf")


def _check_terms(of: object) -> None:
    if not isinstance(of, PromptTerms):
        raise ArgumentError(f"of={shown(of)}: must be what prompt_terms returns")
