"""The registered formulas on the companion paper at a setting: what its checks take as predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import companion, task_selection
from theory import notation as nt
from theory.statement import registry
from verify.checks.companion import Mixture, Trained
from verify.surface import value

Array = NDArray[Any]


def printed(id: str) -> Any:
    return registry()[id].printed


def gamma(Lambda: Any, n: int) -> Any:
    """Γ of rel-pretraining as registered, in floats or rationals."""
    return value(printed("rel-pretraining").args[1].rhs, {companion.Lambda: Lambda, nt.n: n})


def fixed_point(Lambda: Any, n: int) -> Any:
    """Ṽ of rel-pretraining as registered."""
    return value(printed("rel-pretraining").args[0].rhs, {companion.Gamma: gamma(Lambda, n)})


def trained(Lambda: Array, n: int, Sigma: Array, m: int | None, k: int) -> Trained:
    """The model that rel-pretraining says pretraining ends at."""
    return Trained(fixed_point(Lambda, n), Lambda, Sigma, n, m, k)


def at_spectrum(form: sp.Expr, levels: Sequence[Any], n: Any, m: Any, k: Any) -> Any:
    """A form in the hardness of each direction, or in that of the hardest, Λ of eigenvalues ``levels``."""
    each = [sum(levels) / level for level in levels]
    given = {companion.h[at]: one for at, one in enumerate(each, 1)}
    return value(form, {**given, companion.H: max(each), nt.d: len(each), nt.n: n, nt.m_prompt: m, nt.k: k})


def of_spectrum(form: sp.Expr) -> Callable[[Trained], float]:
    """The same at a setting; an infinite m is one whose inverse is zero."""

    def at(one: Trained) -> float:
        m = np.inf if one.m is None else one.m
        return float(at_spectrum(form, list(np.linalg.eigvalsh(one.Lambda)), one.n, m, one.k))

    return at


def at_matrices(form: sp.Expr, Lambda: Any, Sigma: Any, n: int, k: int) -> Any:
    """A form in Γ, Γ^(−1/2), κ(Γ) and Σ, in floats or for a diagonal Λ exactly."""
    Gamma = gamma(Lambda, n)
    if isinstance(Gamma, sp.MatrixBase):
        levels = np.array(list(Gamma.diagonal()))
        root = sp.diag(*(1 / sp.sqrt(level) for level in levels))
    else:
        levels, vectors = np.linalg.eigh(Gamma)
        root = (vectors / np.sqrt(levels)) @ vectors.T
    given = {companion.Gamma: Gamma, companion.root: root, nt.Sigma: Sigma, nt.k: k}
    return value(form, {**given, companion.condition_number: max(levels) / min(levels)})


def of_matrices(form: sp.Expr) -> Callable[[Trained], float]:
    """The same at a setting."""

    def at(one: Trained) -> float:
        assert one.n is not None
        return float(at_matrices(form, one.Lambda, one.Sigma, one.n, one.k))

    return at


def worst(id: str, Lambda: Any, n: int, share: Any) -> Any:
    """The Σ as registered at which an ``ext-overthinking`` bound is reached, for a diagonal Λ."""
    Gamma = gamma(Lambda, n)
    exact = isinstance(Gamma, sp.MatrixBase)
    levels = [Gamma[at, at] for at in range(Gamma.shape[0])]
    given: dict[sp.Basic, Any] = {companion.Gamma: Gamma, companion.share: share}
    for vector, level, end in (
        (companion.u, companion.low, levels.index(min(levels))),
        (companion.v, companion.high, levels.index(max(levels))),
    ):
        identity = sp.eye(len(levels)) if exact else np.eye(len(levels))
        given |= {vector: identity[:, end : end + 1], level: levels[end]}
    return value(printed(id).args[1].args[0].rhs, given)


# Task selection --------------------------------------------------------------------------------------


def _weights(weights: Sequence[Any] | Array) -> dict[sp.Basic, Any]:
    return {task_selection.weight[at]: one for at, one in enumerate(weights, 1)}


def mixed(id: str, weights: Sequence[Any] | Array, covariances: Sequence[Any]) -> Any:
    """Λ_π as registered beside the statement."""
    given = {task_selection.Lambda_tau: lambda tau: covariances[tau - 1], task_selection.L: len(weights)}
    return value(printed(id).args[1].rhs, {**_weights(weights), **given, nt.d: covariances[0].shape[0]})


def objectives(weights: Sequence[Any], covariances: Sequence[Any], Sigma: Any) -> tuple[Any, Any]:
    """The proxy and the error of rel-selection.a as registered."""
    given = {task_selection.Lambda_pi: mixed("rel-selection.a", weights, covariances), nt.Sigma: Sigma}
    proxy, error = (side.args[0] for side in printed("rel-selection.a").args[0].args)
    return value(proxy, given), value(error, given)


def mixture_fixed_point(weights: Sequence[Any], covariances: Sequence[Any], n: int) -> Any:
    """Ṽ of rel-selection.b as registered."""
    end, _, each = printed("rel-selection.b").args
    gammas = [value(each.rhs, {task_selection.Lambda_tau: one, nt.n: n}) for one in covariances]
    given = {
        task_selection.Lambda_tau: lambda tau: covariances[tau - 1],
        task_selection.Gamma_tau: lambda tau: gammas[tau - 1],
        task_selection.L: len(weights),
        task_selection.Lambda_pi: mixed("rel-selection.b", weights, covariances),
        nt.d: covariances[0].shape[0],
    }
    return value(end.rhs, {**given, **_weights(weights)})


def of_mixture(at: Mixture) -> Array:
    return np.asarray(mixture_fixed_point(at.weights, at.covariances, at.n))


def of_one(at: Mixture) -> Array:
    """Ṽ of rel-pretraining, for prompts of one covariance."""
    return np.asarray(fixed_point(at.covariances[0], at.n))
