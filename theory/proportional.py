"""The exact limit of the post-test risk of fine-tuning as d, n and B grow in proportion.

Paper: Appendix B gives a curve F(β) for a linearised Ṽ; this is the limit for Ṽ_* (eq. 4.1) itself, any
number of blocks, any ratios.  Notes: ``notes/proportional.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.equivalents import Equivalents, equivalents
from theory.errors import ArgumentError, check_rate

Array = NDArray[np.float64]
UNIT = 1e-9  # what the sum of the weights may be off by: K roundings of numbers typed to ten digits


@dataclass(frozen=True)
class Setting:
    """A fine-tuning task in the proportional limit, block values as (K,) arrays.

    ``weights`` μ_k; ``post``, ``pre``, ``test`` the levels of A, Σ₀ and Σ; ``eta`` the rate of the supervised
    path; ``aspect``, ``aspect_pre``, ``aspect_test`` the ratios d/n of the prompts of post-training, of
    pretraining and of the test.
    """

    weights: Array
    post: Array
    pre: Array
    test: Array
    eta: float
    aspect: float
    aspect_pre: float
    aspect_test: float

    @property
    def spike(self) -> float:
        """rank(A)/d, the β at which the risk is infinite."""
        return float(self.weights[self.post > 0].sum())

    @property
    def initial(self) -> Array:
        """The levels of −Γ₀⁻¹: −1/(σ₀ + γ_pre Σ̄₀)."""
        return np.asarray(-1 / (self.pre + self.aspect_pre * (self.weights @ self.pre)))

    @property
    def targets(self) -> Array:
        """The levels c_k = a_k² + γ ā a_k of the covariance of a column Sw* of Φ."""
        return np.asarray(self.post * (self.post + self.aspect * (self.weights @ self.post)))

    @property
    def regression(self) -> Array:
        """The levels of the regression of w* on Sw*: AC† is 1/(a_k + γā), and 0 where a_k = 0."""
        shifted = self.post + self.aspect * (self.weights @ self.post)
        return np.divide(1.0, shifted, out=np.zeros_like(shifted), where=self.post > 0)

    @property
    def remainder(self) -> float:
        """r̄ = 1 − Σ μ_k a_k/(a_k + γā): the variance of w* that Sw* leaves open, mean over directions."""
        return float(self.weights @ (1 - self.post * self.regression))


def _blocks(name: str, value: ArrayLike, count: int | None) -> Array:
    array = np.asarray(value, dtype=float)
    if array.ndim != 1 or array.size == 0 or (count is not None and array.size != count):
        wanted = "one value a block" if count is None else f"one value for each of the {count} weights"
        raise ArgumentError(f"{name} has shape {array.shape}: must be a list of numbers, {wanted}")
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ArgumentError(f"{name}={array.tolist()!r}: must be finite and not negative")
    return array


def _ratio(name: str, value: float | None, otherwise: float | None = None) -> float:
    chosen = otherwise if value is None else value
    if (
        not isinstance(chosen, int | float | np.number)
        or isinstance(chosen, bool)
        or not 0 <= chosen < np.inf
    ):
        raise ArgumentError(f"{name}={value!r}: must be a finite ratio d/n, at least 0")
    return float(chosen)


def setting(
    *,
    aspect: float,
    eta: float,
    weights: ArrayLike,
    post: ArrayLike,
    pre: ArrayLike,
    test: ArrayLike,
    aspect_pre: float | None = None,
    aspect_test: float | None = None,
) -> Setting:
    """The checked :class:`Setting`; arguments and errors as :func:`sft_risk_limit`."""
    mu = _blocks("weights", weights, None)
    if abs(float(mu.sum()) - 1) > UNIT:
        raise ArgumentError(f"weights={mu.tolist()!r}: must sum to 1, the sum is {mu.sum():.10g}")
    levels = {name: _blocks(name, v, mu.size) for name, v in (("post", post), ("pre", pre), ("test", test))}
    ratio = _ratio("aspect", aspect)
    ratio_pre, ratio_test = (
        _ratio(name, value, ratio)
        for name, value in (("aspect_pre", aspect_pre), ("aspect_test", aspect_test))
    )
    if mu @ levels["pre"] == 0:
        raise ArgumentError("pre: must be positive on some block of positive weight (Σ₀ = 0 has no Γ₀⁻¹)")
    if ratio_pre == 0 and (levels["pre"] == 0).any():
        raise ArgumentError(
            f"pre={levels['pre'].tolist()!r}: must be positive at aspect_pre = 0, where Γ₀ = Σ₀ is inverted"
        )
    rate = check_rate("eta", eta)
    return Setting(
        mu, levels["post"], levels["pre"], levels["test"], float(rate), ratio, ratio_pre, ratio_test
    )


@dataclass(frozen=True)
class Terms:
    """The four parts of the limit of Err(Ṽ_*) at each β, (N,) each; their sum is the limit.

    ``bias`` and ``signal`` come from V_S = −ηLΠ − Γ₀⁻¹(I − Π): (1/d)‖I + V_SΣ‖² and
    γ_test Σ̄ (1/d) tr(V_SΣV_Sᵀ).  ``noise`` and ``signal_noise`` come from −ηRΦ†, R the part of Ω that Φ
    does not determine, with Σ² and with γ_test Σ̄ Σ in the place of Σ².
    """

    bias: Array
    noise: Array
    signal: Array
    signal_noise: Array

    @property
    def total(self) -> Array:
        return self.bias + self.noise + self.signal + self.signal_noise


def limit_terms(beta: ArrayLike, of: Setting) -> Terms:
    """The parts of the limit of Err(Ṽ_*) at each β ≥ 0 (a number or (N,)); infinite at the spike."""
    found: Equivalents = equivalents(beta, of.targets, of.weights)
    mu, g, test = of.weights, of.initial, of.test
    change = -of.eta * of.regression - g  # V_S = −Γ₀⁻¹ + (change) Π

    def of_operator(x: Array) -> Array:
        """(1/d) tr(V_S X V_Sᵀ) for X = diag(x_k)."""
        return mu @ (g * g * x) + 2 * found.linear(g * change * x) + found.quadratic(change**2, x)

    miss = 1 + g * test
    bias = mu @ miss**2 + 2 * found.linear(miss * change * test) + found.quadratic(change**2, test**2)
    open_ = of.eta**2 * of.remainder
    weight = of.aspect_test * float(mu @ test)
    noise, with_noise = (np.zeros_like(bias), np.zeros_like(bias))
    if open_ > 0:  # 0 · ∞ at the spike is no noise
        noise, with_noise = open_ * found.inverse(test**2), weight * open_ * found.inverse(test)
    return Terms(bias, noise, weight * of_operator(test), with_noise)


def sft_risk_limit(
    *,
    beta: ArrayLike,
    aspect: float,
    eta: float,
    weights: ArrayLike,
    post: ArrayLike,
    pre: ArrayLike,
    test: ArrayLike,
    aspect_pre: float | None = None,
    aspect_test: float | None = None,
) -> float | Array:
    """lim Err(Ṽ_*) = lim R(Ṽ_*)/d, R the risk (5.1), as d, n, B → ∞ with B/d → β and d/n → aspect.

    ``beta`` is a number or (N,), and the result has its shape.  ``weights`` μ_k are the shares of the K
    blocks; ``post``, ``pre``, ``test`` the levels of A, Σ₀, Σ on them; ``aspect`` is d/n of post-training,
    and of pretraining and test unless ``aspect_pre``, ``aspect_test`` say otherwise (0: n ≫ d).  A may be
    singular.  At the spike β = rank(A)/d the limit is infinite (unless aspect = 0: no noise).

    Raises :class:`ArgumentError` for β ≤ 0, weights that do not sum to 1, negative levels or ratios, η
    outside (0, 1], Σ₀ = 0, and a zero level of Σ₀ at aspect_pre = 0.
    """
    of = setting(
        aspect=aspect,
        eta=eta,
        weights=weights,
        post=post,
        pre=pre,
        test=test,
        aspect_pre=aspect_pre,
        aspect_test=aspect_test,
    )
    at = np.asarray(beta, dtype=float)
    if at.ndim > 1 or at.size == 0 or not (np.isfinite(at) & (at > 0)).all():
        raise ArgumentError(f"beta={beta!r}: must be positive and finite, a number or a list of numbers")
    found = limit_terms(at, of).total
    return found if at.ndim else float(found[0])
