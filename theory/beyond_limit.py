"""The limit of the fine-tuning error for prompts of other laws, where d, n and B grow in proportion.

What :mod:`theory.proportional` has for Gaussian features, isotropic tasks and no noise, with an effective
prompt length, label noise and tasks of any levels; k = 0 where there is noise.  Notes: ``notes/beyond.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.equivalents import equivalents
from theory.errors import ArgumentError, check_numbers, check_real, shown
from theory.proportional import Setting, Terms, checked_beta, checked_setting

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Departure:
    """How pretraining, post-training and test prompts depart from the paper's.

    ``shortening``: ϑχ ≥ 1, with ϑ = Eg² of elliptical features and χ = lim ‖C‖_F²/n of correlated ones.
    ``noise``: lim σ²/d.  ``tasks``: the levels of Λ, one a block, or None for Λ = I.
    """

    shortening: float = 1.0
    noise: float = 0.0
    tasks: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(check_real("shortening", self.shortening)) or self.shortening < 1:
            raise ArgumentError(f"shortening={shown(self.shortening)}: must be finite and at least 1")
        if not np.isfinite(check_real("noise", self.noise)) or self.noise < 0:
            raise ArgumentError(f"noise={shown(self.noise)}: must be finite and not negative")
        if self.tasks is not None:
            levels = check_numbers("tasks", self.tasks)
            if levels.ndim != 1 or not (np.isfinite(levels) & (levels > 0)).all():
                raise ArgumentError(f"tasks={shown(self.tasks)}: must be a list of positive numbers")

    def levels(self, of: Setting) -> Array:
        """ℓ_k of Λ, (K,)."""
        if self.tasks is None:
            return np.ones_like(of.weights)
        if len(self.tasks) != len(of.weights):
            raise ArgumentError(
                f"tasks has {len(self.tasks)} levels: must have one for each of {len(of.weights)}"
            )
        return np.asarray(self.tasks, dtype=float)

    def spread(self, aspect: float, levels: Array, of: Setting) -> float:
        """γ(ϑχ avg(level · ℓ) + ς²): what the sampling of a prompt and its noise add to a level."""
        return aspect * (self.shortening * float(of.weights @ (levels * self.levels(of))) + self.noise)


def target_levels(of: Setting, departure: Departure) -> Array:
    """The levels C_k of the covariance of a column Sw* + ξ of fine-tuning at k = 0, (K,)."""
    spread = departure.spread(of.aspect, of.post, of)
    return np.asarray(of.post**2 * departure.levels(of) + spread * of.post)


def initial_levels(of: Setting, departure: Departure) -> Array:
    """The levels of the pretrained Ṽ, (K,)."""
    tasks, spread = departure.levels(of), departure.spread(of.aspect_pre, of.pre, of)
    return np.asarray(-tasks / (of.pre * tasks + spread))


def limit_terms(
    beta: ArrayLike, of: Setting, departure: Departure, pretraining: Departure | None = None
) -> Terms:
    """The parts of lim (1/d) E‖ŵ_1 − w*‖² at each β > 0, as :func:`theory.proportional.limit_terms` has them.

    ``beta`` is a number or (N,), each part (N,).  The test error is that of the noisy prompt against w*;
    ``pretraining`` departs likewise unless said otherwise.  Raises :class:`ArgumentError` for β ≤ 0 and
    ``tasks`` of another number of blocks.
    """
    of, at = checked_setting(of), np.atleast_1d(checked_beta(beta))
    mu, test, tasks = of.weights, of.test, departure.levels(of)
    targets = target_levels(of, departure)
    g = initial_levels(of, departure if pretraining is None else pretraining)
    held = of.post > 0
    regression = np.divide(tasks * of.post, targets, out=np.zeros_like(targets), where=held)
    left = tasks - regression * of.post * tasks  # the variance of w* that the column leaves open
    found = equivalents(at, targets, mu)
    change, miss = -of.eta * regression - g, 1 + g * test
    bias = mu @ (miss**2 * tasks) + 2 * found.linear(miss * change * test * tasks)
    bias = bias + found.quadratic(change**2, test**2 * tasks)
    weight = departure.spread(of.aspect_test, test, of)
    signal = mu @ (g * g * test) + 2 * found.linear(g * change * test) + found.quadratic(change**2, test)
    open_ = of.eta**2 * float(mu @ left)
    noise = open_ * found.inverse(test**2 * tasks)
    return Terms(bias, noise, weight * signal, weight * open_ * found.inverse(test))


def sft_risk_limit(
    beta: ArrayLike, of: Setting, departure: Departure, pretraining: Departure | None = None
) -> Array:
    """lim (1/d) E‖ŵ_1 − w*‖² at each β > 0, (N,): the sum of the parts that :func:`limit_terms` has.

    Arguments and errors as there.
    """
    return limit_terms(beta, of, departure, pretraining).total


def linearised_limit(
    beta: ArrayLike, of: Setting, departure: Departure, pretraining: Departure | None = None
) -> Array:
    """lim (1/d) E‖ŵ_1 − w*‖² for V_S + V_N of eq. (B.4): the corrected F(β) of Theorem B.1, (N,).

    M = AΩ has the levels a_k²ℓ_k, E = Φ − M + Ξ those of the spread.  Arguments and errors as of
    :func:`limit_terms`; :class:`ArgumentError` for an A that is singular as well.
    """
    of, at = checked_setting(of), np.atleast_1d(checked_beta(beta))
    if not (of.post > 0).all():
        raise ArgumentError("post: must be positive on every block, V_S has A⁻¹")
    mu, test, tasks = of.weights, of.test, departure.levels(of)
    g = initial_levels(of, departure if pretraining is None else pretraining)
    found = equivalents(at, of.post**2 * tasks, mu)
    change, miss = -of.eta / of.post - g, 1 + g * test

    def energy(levels: Array) -> Array:
        """(1/d) tr(V_S diag(levels) V_Sᵀ)."""
        straight = mu @ (g * g * levels) + 2 * found.linear(g * change * levels)
        return np.asarray(straight + found.quadratic(change**2, levels))

    bias = mu @ (miss**2 * tasks) + 2 * found.linear(miss * change * test * tasks)
    bias = bias + found.quadratic(change**2, test**2 * tasks)
    weight = departure.spread(of.aspect_test, test, of)
    noise = energy(departure.spread(of.aspect, of.post, of) * of.post)
    inverse = found.inverse(test**2 * tasks) + weight * found.inverse(test)
    return np.asarray(bias + weight * energy(test) + noise * inverse)
