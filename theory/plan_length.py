"""How long the prompts should be: the best n at a number of prompts B, or at a budget of nB tokens.

The length has three roles: of the prompts of post-training, of pretraining and of the test; each may vary
or stay.  Notes: ``notes/plan.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from theory.errors import ArgumentError, check_count, check_positive, shown
from theory.plan import NO_MEAN, ROUNDING
from theory.proportional import LARGEST, Setting, check_ratio, checked_setting
from theory.risk_shape import curve

Array = NDArray[np.float64]
ROLES = ("post", "pre", "test")
STEP = 0.1  # of the grid in log(d/n)
SHORTEST = 20  # in whole numbers: below it the lengths of the columns Sw differ by more than √(2/n) = 0.3
SMALLEST = 1e-8  # the least d/n > 0 tried; d/n = 0 is tried besides
NEAREST = 1e-7  # the relative distance from the spike at which the grid begins there


@dataclass(frozen=True)
class Length:
    """``length`` is n/d, ∞ if longer is better without end; ``beta`` is B/d and ``error`` the least error.

    ``endless`` is the error at n → ∞ (of a token budget, the one prompt of all tokens: no fine-tuning).
    """

    length: float
    beta: float
    error: float
    endless: float


def with_length(of: Setting, aspect: float, roles: Collection[str] = ("post",)) -> Setting:
    """``of`` with d/n = ``aspect`` in the roles named."""
    _check_roles(roles)
    checked_setting(of)
    aspect = check_ratio("aspect", aspect)
    if aspect == 0 and "pre" in roles and (of.pre == 0).any():
        raise ArgumentError("pre: must be positive at n → ∞, where Γ₀ = Σ₀ is inverted")
    return replace(
        of,
        aspect=aspect if "post" in roles else of.aspect,
        aspect_pre=aspect if "pre" in roles else of.aspect_pre,
        aspect_test=aspect if "test" in roles else of.aspect_test,
    )


def _check_roles(roles: Any) -> None:
    listed = isinstance(roles, list | tuple | set | frozenset) and len(roles) > 0
    if not listed or not all(isinstance(role, str) and role in ROLES for role in roles):
        raise ArgumentError(f"roles={shown(roles)}: must be one or more of {', '.join(ROLES)}")


def _check_share(name: str, value: float) -> float:
    """A number per dimension, positive and of a size that products of six do not lead out of float64."""
    if not 1 / LARGEST <= check_positive(name, value) <= LARGEST:
        raise ArgumentError(f"{name}={shown(value)}: must be between {1 / LARGEST:g} and {LARGEST:g}")
    return float(value)


def best_length(
    of: Setting, beta: float, *, roles: Collection[str] = ("post",), shortest: float = 0.05
) -> Length:
    """The best n/d ≥ ``shortest`` at B/d = ``beta`` prompts; raises :class:`ArgumentError` at the spike."""
    beta = _check_share("beta", beta)
    _check_roles(roles)
    if beta == float(curve(of).spike) and _noisy(of, roles):
        raise ArgumentError(f"beta={beta!r}: is the rank of A, where the error is infinite at every length")
    return _best(of, lambda aspect: beta, roles, shortest, spike=None)


def best_split(
    of: Setting, tokens: float, *, roles: Collection[str] = ("post",), shortest: float = 0.05
) -> Length:
    """The best n/d ≥ ``shortest``, and B/d with it, at nB/d² = ``tokens``."""
    tokens = _check_share("tokens", tokens)
    _check_roles(roles)
    return _best(of, lambda aspect: tokens * aspect, roles, shortest, float(curve(of).spike) / tokens)


def _noisy(of: Setting, roles: Collection[str]) -> bool:
    """Whether the error is infinite at the spike, at a finite length."""
    return float(curve(with_length(of, 1.0, roles)).decay) > 0


def _best(
    of: Setting,
    beta: Callable[[float], float],
    roles: Collection[str],
    shortest: float,
    spike: float | None,
) -> Length:
    if not check_positive("shortest", shortest) < 1 / SMALLEST:
        raise ArgumentError(f"shortest={shown(shortest)}: must be a positive n/d, below {1 / SMALLEST:g}")

    def error(log_aspect: float) -> float:
        aspect = float(np.exp(log_aspect))
        return float(curve(with_length(of, aspect, roles)).error(beta(aspect)))

    end = -np.log(shortest)
    s = np.append(np.arange(np.log(SMALLEST), end, STEP), end)
    if spike is not None:
        near = np.geomspace(NEAREST, STEP, 64)
        s = np.unique(np.concatenate([s, np.log(spike) - near, np.log(spike) + near]))
        s = s[s <= end]
    values = np.array([error(x) for x in s])
    i = int(values.argmin())
    at, least = float(s[i]), float(values[i])
    low, high = s[max(i - 1, 0)], s[min(i + 1, s.size - 1)]
    found = minimize_scalar(error, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    if found.fun < least:
        at, least = float(found.x), float(found.fun)
    singular = "pre" in roles and bool((of.pre == 0).any())
    endless = np.inf if singular else float(curve(with_length(of, 0.0, roles)).error(beta(0.0)))
    if endless <= least * (1 + ROUNDING):
        return Length(np.inf, beta(0.0), endless, endless)
    aspect = float(np.exp(at))
    return Length(1 / aspect, beta(aspect), least, endless)


@dataclass(frozen=True)
class WholeLength:
    """The best length ``n`` in whole numbers (None: longer without end, or no fine-tuning at all), the
    number of ``prompts`` with it and the error per dimension."""

    n: int | None
    prompts: int
    error: float


def whole_length(
    of: Setting,
    d: int,
    *,
    prompts: int | None = None,
    budget: int | None = None,
    roles: Collection[str] = ("post",),
    shortest: int = SHORTEST,
) -> WholeLength:
    """The best n ≥ ``shortest`` at dimension ``d``, for so many ``prompts`` or a ``budget`` of nB tokens.

    The limit takes n in proportion to d: at n = 20 it is off by about 10 % next to the rank of A, at n ≤ 2 it
    means nothing.  The whole numbers next to the real optimum are tried, for a budget n next to it with
    B = ⌊budget/n⌋ and B next to it with n = ⌊budget/B⌋; |B − rank A| ≤ 1 has no mean and is left out.
    """
    check_count("d", d)
    check_count("shortest", shortest)
    if (prompts is None) == (budget is None):
        raise ArgumentError(f"prompts={shown(prompts)}, budget={shown(budget)}: must give one of the two")
    _check_roles(roles)
    rank = round(float(curve(of).spike) * d, 6)
    if prompts is not None:
        B = check_count("prompts", prompts)
        if abs(B - rank) <= NO_MEAN and _noisy(of, roles):
            raise ArgumentError(f"prompts={B}: the error has no mean within 1 of the rank of A, {rank:g}")
        real = best_length(of, B / d, roles=roles, shortest=shortest / d)
        if np.isinf(real.length):
            return WholeLength(None, B, real.error)
        pairs = {(n, B) for n in _whole(real.length * d, shortest)}
    else:
        T = check_count("budget", budget, shortest)
        real = best_split(of, T / d**2, roles=roles, shortest=shortest / d)
        if np.isinf(real.length):
            return WholeLength(None, 0, real.error)
        pairs = {(n, T // n) for n in _whole(real.length * d, shortest, T)}
        pairs |= {(T // B, B) for B in _whole(real.beta * d, 1, T // shortest)}
        if _noisy(of, roles):
            pairs = {(n, B) for n, B in pairs if abs(B - rank) > NO_MEAN}
    errors = {(n, B): float(curve(with_length(of, d / n, roles)).error(B / d)) for n, B in sorted(pairs)}
    n, B = min(errors, key=lambda pair: errors[pair])
    return WholeLength(n, B, errors[n, B])


def _whole(x: float, least: int, most: float = np.inf) -> set[int]:
    """The whole numbers on both sides of x, within [least, most]."""
    return {int(min(max(y, least), most)) for y in (np.floor(x), np.ceil(x))}
