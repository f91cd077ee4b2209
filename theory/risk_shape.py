"""The shape of the exact limit of Err(Ṽ_*) as a function of β = B/d: its terms, ends, slope and spike.

With h_k and t_k what −Γ₀⁻¹ and −ηAC† miss of the best level on block k, δ = t − h, and w, v, q those of
``theory/equivalents.py``,

    Err = floor + Σ μ_k x_k [h_k² (1 − w_k) + t_k² w_k] + Σ μ_k (x̄ − x_k) δ_k² v_k + η² r̄ q x̄,

x̄ the mean of x under the weights μ_k v_k: the change of level, the leakage between blocks, the noise.
Above the spike Err = C₁ + C₂/(β − rank).  The same limit as ``theory/proportional.py``, sorted by what each
part does.  Derivation: ``notes/plan.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.equivalents import root
from theory.errors import ArgumentError, check_numbers, shown
from theory.proportional import Setting, checked_setting

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The limit of Err(Ṽ_*) as a function of q, the root of Σ μ_k c_k q/(1 + c_k q) = β.

    ``weights`` μ, ``levels`` c, ``gain`` x_k = Σ_k² + γ_test Σ̄ Σ_k, and ``start`` h and ``tuned`` t, what
    −Γ₀⁻¹ and −ηAC† miss of the best level −Σ_k/x_k; each (K, …).  ``floor`` is the error of the best
    levels, ``noise`` η² r̄; each (…).  The axes after the first are any number of settings at once.
    """

    weights: Array
    levels: Array
    gain: Array
    start: Array
    tuned: Array
    floor: Array
    noise: Array

    @property
    def spike(self) -> Array:
        """rank(A)/d."""
        return _sum(self.weights, (self.levels > 0).astype(float))

    @property
    def none(self) -> Array:
        """The error without fine-tuning, β → 0."""
        return self.floor + _sum(self.weights, self.gain * self.start**2)

    @property
    def limit(self) -> Array:
        """C₁, the error at β → ∞."""
        end = np.where(self.levels > 0, self.tuned, self.start)
        return self.floor + _sum(self.weights, self.gain * end**2)

    @property
    def decay(self) -> Array:
        """C₂ of the error C₁ + C₂/(β − rank) above the spike."""
        held = self.levels > 0
        return self.noise * _sum(
            self.weights, np.divide(self.gain, self.levels, out=np.zeros_like(self.gain), where=held)
        )

    @property
    def slope(self) -> Array:
        """The derivative in β at β = 0: whether the first prompts help."""
        c, x, mean = self.levels, self.gain, _sum(self.weights, self.levels)
        change = (self.tuned - self.start) ** 2
        over, with_x = c / mean, _sum(self.weights, x * c) / mean
        return (
            _sum(self.weights, over * x * (self.tuned**2 - self.start**2 - change))
            + with_x * _sum(self.weights, over * change)
            + self.noise * with_x / mean
        )

    def beta(self, q: Array) -> Array:
        """β at each q, (…, N)."""
        ratio = self.levels[..., None] * q
        return _sum(self.weights[..., None], ratio / (1 + ratio))

    def at(self, q: Array) -> Array:
        """The error at each finite q > 0, (…, N)."""
        mu, c, x, h, t = (
            f[..., None] for f in (self.weights, self.levels, self.gain, self.start, self.tuned)
        )
        ratio = c * q
        free = 1 / (1 + ratio)
        w = ratio * free
        v = w * free
        change = (t - h) ** 2
        # the mean of x under the weights μv, or μv/q where v may fall below the least of float64
        weight = np.where(q < 1, c * free * free, v)
        mean = _sum(mu, x * weight) / _sum(mu, weight)
        shifted = _sum(mu, x * (h * h * free + t * t * w))
        leak = _sum(mu, (mean - x) * change * v)
        return np.asarray(self.floor[..., None] + shifted + leak + self.noise[..., None] * q * mean)

    def error(self, beta: ArrayLike) -> Array:
        """The error of one setting at each β ≥ 0, of the shape of ``beta``; ∞ at the spike unless C₂ = 0."""
        at = check_numbers("beta", beta)
        if not (at >= 0).all():
            raise ArgumentError(f"beta={shown(beta)}: must be numbers of at least 0")
        spike, limit, decay = float(self.spike), float(self.limit), float(self.decay)
        found = np.full(at.shape, np.inf if decay > 0 else limit)
        over, inside = at > spike, (at > 0) & (at < spike)
        found[over] = limit + decay / (at[over] - spike)
        q = root(at[inside], self.levels, self.weights)
        finite = np.isfinite(q)  # rounding may put a β next to the spike on it
        found[inside] = np.where(finite, self.at(np.where(finite, q, 1.0)), found[inside])
        found[at == 0] = float(self.none)
        return found


def _sum(weights: Array, values: Array) -> Array:
    """Σ_k μ_k f_k over the first axis."""
    return np.asarray((weights * values).sum(0))


def curve(of: Setting) -> Curve:
    """The curve of a setting; raises :class:`ArgumentError` for A = 0, where there is no fine-tuning."""
    kept = checked_setting(of).weights > 0
    mu, test = of.weights[kept], of.test[kept]
    if not (of.post[kept] > 0).any():
        raise ArgumentError("post: must be positive on some block of positive weight (A = 0 teaches nothing)")
    levels = of.targets[kept]
    gain = test * (test + of.aspect_test * float(of.weights @ of.test))
    best = np.divide(test, gain, out=np.zeros_like(gain), where=gain > 0)
    return Curve(
        mu,
        levels,
        gain,
        of.initial[kept] + best,
        best - of.eta * of.regression[kept],
        np.asarray(mu @ (1 - test * best)),
        np.asarray(of.eta**2 * of.remainder),
    )
