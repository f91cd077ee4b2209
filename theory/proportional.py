"""The exact limit of the post-test risk of fine-tuning as d, n and B grow in proportion.

Paper: Appendix B gives a curve F(β) for a linearised Ṽ; this is the limit for Ṽ_* (eq. 4.1) itself, any
number of blocks, any ratios.  Statements: :mod:`theory.sft_limit`.  Notes: ``notes/proportional.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.equivalents import Equivalents, equivalents
from theory.errors import ArgumentError, check_numbers, check_rate, check_real, shown

Array = NDArray[np.float64]
UNIT = 1e-9  # what the sum of the weights may be off by: K roundings of numbers typed to ten digits
LARGEST = (
    1e50  # of a level or a ratio, and 1/LARGEST the least positive level: products of six do not overflow
)
FEW = 16  # blocks up to which looking for equal ones costs more than it saves
CHUNK = 2**14  # blocks times values of β that are held at once: arrays that stay in a core's cache


@dataclass(frozen=True)
class Setting:
    """A fine-tuning task in the proportional limit, checked by :func:`setting`, block values as (K,) arrays.

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
    def spread(self) -> float:
        """γā, what the sampling of a prompt adds to a level of A."""
        return self.aspect * float(self.weights @ self.post)

    @property
    def targets(self) -> Array:
        """The levels c_k = a_k² + γ ā a_k of the covariance of a column Sw* of Φ."""
        return np.asarray(self.post * (self.post + self.spread))

    @property
    def regression(self) -> Array:
        """The levels of the regression of w* on Sw*: AC† is 1/(a_k + γā), and 0 where a_k = 0."""
        return np.divide(1.0, self.post + self.spread, out=np.zeros_like(self.post), where=self.post > 0)

    @property
    def remainder(self) -> float:
        """r̄ = Σ μ_k (1 − a_k/(a_k + γā)): the variance of w* that Sw* leaves open, mean over directions."""
        # γā/(a_k + γā): no difference of two numbers near 1
        left = np.divide(
            self.spread, self.post + self.spread, out=np.ones_like(self.post), where=self.post > 0
        )
        return float(self.weights @ left)


def _numbers(name: str, value: ArrayLike, wanted: str) -> Array:
    try:
        return check_numbers(name, value)
    except ArgumentError:
        raise ArgumentError(f"{name} is not made of numbers: must be {wanted}") from None


def checked_beta(beta: ArrayLike) -> Array:
    """β as numbers; :class:`ArgumentError` unless positive and finite, one number or a list."""
    wanted = "positive and finite, a number or a list of numbers"
    at = _numbers("beta", beta, wanted)
    if at.ndim > 1 or at.size == 0:
        raise ArgumentError(f"beta has shape {at.shape}: must be {wanted}")
    for each in at[~(np.isfinite(at) & (at > 0))].flat:
        raise ArgumentError(f"beta={each:g}: must be {wanted}")
    return at


def _blocks(name: str, value: ArrayLike, count: int | None = None, least: float = 0.0) -> Array:
    wanted = "one value a block" if count is None else f"one value for each of the {count} weights"
    array = _numbers(name, value, f"a list of numbers, {wanted}")
    if array.ndim != 1 or array.size == 0 or (count is not None and array.size != count):
        raise ArgumentError(f"{name} has shape {array.shape}: must be a list of numbers, {wanted}")
    allowed = (array == 0) | ((array >= least) & (array <= LARGEST))
    for at in np.flatnonzero(~allowed):
        smallest = f"0 or at least {least:g}, and" if least else "not negative and"
        raise ArgumentError(f"{name}[{at}]={array[at]:g}: must be {smallest} at most {LARGEST:g}")
    return array


def check_ratio(name: str, value: float | None, otherwise: float | None = None) -> float:
    """``value``, or ``otherwise`` if it is None, as a ratio d/n."""
    must = f"be a ratio d/n, at least 0 and at most {LARGEST:g}"
    chosen = check_real(name, otherwise if value is None else value, must)
    if not 0 <= chosen <= LARGEST:
        raise ArgumentError(f"{name}={shown(value)}: must {must}")
    return chosen


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
    mu = _blocks("weights", weights)
    if not abs(float(mu.sum()) - 1) <= UNIT:
        raise ArgumentError(f"weights: must sum to 1, the sum is {mu.sum():.10g}")
    A, Sigma0, Sigma = (
        _blocks(name, value, mu.size, 1 / LARGEST)
        for name, value in (("post", post), ("pre", pre), ("test", test))
    )
    ratio = check_ratio("aspect", aspect)
    ratio_pre, ratio_test = (
        check_ratio(name, value, ratio)
        for name, value in (("aspect_pre", aspect_pre), ("aspect_test", aspect_test))
    )
    if mu @ Sigma0 == 0:
        raise ArgumentError("pre: must be positive on some block of positive weight (Σ₀ = 0 has no Γ₀⁻¹)")
    if ratio_pre == 0:
        for at in np.flatnonzero(Sigma0 == 0):
            raise ArgumentError(f"pre[{at}]=0: must be positive at aspect_pre = 0, where Γ₀ = Σ₀ is inverted")
    rate = check_rate("eta", eta)
    return Setting(mu, A, Sigma0, Sigma, rate, ratio, ratio_pre, ratio_test)


def checked_setting(of: object) -> Setting:
    """``of`` if it is a :class:`Setting`."""
    if not isinstance(of, Setting):
        raise ArgumentError(f"of={shown(of)}: must be a Setting, as made by setting(…)")
    return of


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
        """The limit of Err(Ṽ_*) at each β, (N,)."""
        return self.bias + self.noise + self.signal + self.signal_noise


def limit_terms(beta: ArrayLike, of: Setting) -> Terms:
    """The parts of the limit of Err(Ṽ_*) at each β ≥ 0 (a number or (N,)).

    At the spike the noise is infinite, unless r̄ = 0 (γ = 0 and A invertible).  Memory is O(K + N).  The
    arguments are taken as checked.
    """
    of, at = _merged(of), np.atleast_1d(np.asarray(beta, dtype=float))
    if at.size * of.weights.size <= CHUNK:
        return _terms(at, of)
    size = max(1, CHUNK // of.weights.size)
    parts = [_terms(at[start : start + size], of) for start in range(0, at.size, size)]
    return Terms(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Terms)))


def _merged(of: Setting) -> Setting:
    """``of`` with blocks of equal levels taken together, which changes no value."""
    if of.weights.size <= FEW:
        return of
    levels, where = np.unique(np.stack([of.post, of.pre, of.test]), axis=1, return_inverse=True)
    mu = np.bincount(where.ravel(), weights=of.weights)
    return replace(of, weights=np.asarray(mu, dtype=float), post=levels[0], pre=levels[1], test=levels[2])


def _terms(beta: Array, of: Setting) -> Terms:
    found: Equivalents = equivalents(beta, of.targets, of.weights)
    mu, g, test = of.weights, of.initial, of.test
    change = -of.eta * of.regression - g  # V_S = −Γ₀⁻¹ + (change) Π
    miss = 1 + g * test
    bias = mu @ miss**2 + 2 * found.linear(miss * change * test) + found.quadratic(change**2, test**2)
    weight = of.aspect_test * float(mu @ test)
    signal = mu @ (g * g * test) + 2 * found.linear(g * change * test) + found.quadratic(change**2, test)
    left = of.eta**2 * of.remainder
    noise, with_noise = np.zeros_like(bias), np.zeros_like(bias)
    if left > 0:  # 0 · ∞ at the spike is no noise
        noise = left * found.inverse(test**2)
        if weight > 0:
            with_noise = weight * left * found.inverse(test)
    return Terms(bias, noise, weight * signal, with_noise)


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
    singular.  The eigenvalues of three commuting matrices are K = d blocks of weight 1/d.

    At the spike β = rank(A)/d the limit is infinite, unless aspect = 0 and A is invertible.  The risk at
    finite d is off by O(1/d): in relative terms by 2.6/d at Figure 5's n = 1000, B = 300.

    Raises :class:`ArgumentError` for β ≤ 0, weights that do not sum to 1, negative levels or ratios, η
    outside (0, 1], Σ₀ = 0, a zero level of Σ₀ at aspect_pre = 0, ratios above 1e50 and levels that are
    neither 0 nor between 1e-50 and 1e50.
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
    at = checked_beta(beta)
    found = limit_terms(at, of).total
    return found if at.ndim else float(found[0])
