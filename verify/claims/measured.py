"""The numeric evidence for a claim: its simulator's mean against the formula, by sequential tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.errors import ArgumentError
from verify.checks.run import sampled
from verify.claims.claim import At, Claim, Simulate
from verify.claims.faults import called
from verify.claims.points import evaluated, label, point
from verify.claims.simulators import over_prompts
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
SAMPLES = 20_000  # of a mean that is measured to be shown, at the standard profile


def simulator(claim: Claim) -> Simulate:
    """The claim's own, else its definition over sampled prompts."""
    return claim.simulate if claim.simulate is not None else over_prompts(claim.definition)


def predicted(formula: Any, at: At) -> Array:
    """The formula at a point, flat."""
    found = np.asarray(evaluated(formula, at), dtype=float).ravel()
    if not np.isfinite(found).all():
        raise ArgumentError(f"formula is not finite at {label(at)}: must be, at every point of its symbols")
    return found


def draws(claim: Claim, at: At, rng: np.random.Generator) -> Callable[[int], Array]:
    """``draw(size)``: (size, components) checked samples at a point."""
    simulate = simulator(claim)
    shape = np.shape(evaluated(claim.formula, at))

    def draw(size: int) -> Array:
        try:
            found = np.asarray(called("simulate", simulate, at, size, rng), dtype=float)
        except (TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError("simulate: must give an array of numbers") from None
        if found.shape != (size, *shape):
            raise ArgumentError(
                f"simulate gave shape {found.shape} for size={size} at {label(at)}: must be {(size, *shape)}"
            )
        if not np.isfinite(found).all():
            raise ArgumentError(
                f"simulate gave samples that are not finite at {label(at)}: every one must be"
            )
        return found.reshape(size, -1)

    return draw


def scales(claim: Claim, expected: Array) -> Array:
    """What deviations are relative to: the size of the formula, its largest entry for a matrix."""
    largest = float(np.abs(expected).max())
    if claim.scale is None and largest == 0:
        raise ArgumentError(
            "scale=None: must be given where the formula is 0, as what its deviation is relative to"
        )
    return np.full(expected.size, claim.scale or largest)


def compare(
    claim: Claim,
    formula: Any,
    at: Sequence[At],
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """The means at all the points together against the formula there, by the sequential equivalence test.

    Of a limit, at one size: it ``differs`` where it is off by more than δ.
    """
    expected = [predicted(formula, one) for one in at]
    each = [draws(claim, one, np.random.default_rng((seed, j))) for j, one in enumerate(at)]
    scale = np.concatenate([scales(claim, e) for e in expected])
    where = "; ".join(label(one) for one in at)
    return sampled(
        lambda size: np.concatenate([draw(size) for draw in each], axis=1),
        np.concatenate(expected),
        scale,
        claim.delta,
        where,
        profile,
        form,
        limit=claim.limit is not None,
    )


def mean(claim: Claim, at: At, seed: int, profile: Profile, alpha: float) -> tuple[Array, Array]:
    """Mean and half width of every component at a point, from one sample of fixed size."""
    size = max(10_000, int(SAMPLES * profile.sample_factor))
    found = draws(claim, at, np.random.default_rng((seed, size)))(size)
    return found.mean(axis=0), half_widths(found, alpha)


def growing(claim: Claim, seed: int, j: int) -> list[At]:
    """The j-th generic point at each of the sizes of the limit, all else being the same."""
    assert claim.limit is not None
    size, values = claim.limit
    base = point(claim, j, seed)
    kept = {s: v for s, v in base.items() if isinstance(claim.specs.get(s), tuple)}
    return [point(claim, j, seed, {**kept, size: each}) for each in values]


def approach(claim: Claim, formula: Any, seed: int, profile: Profile, form: str, at: list[At]) -> Evidence:
    """At growing sizes: the last within δ of the limit, and the gap falling on the way there.

    ``differs`` needs the last interval wholly outside ±δ and no smaller gap than half the first; ``agrees`` a
    last interval inside ±δ, and gaps that fall or were inside from the first size on.
    """
    assert claim.limit is not None
    size, values = claim.limit
    alpha, gaps, halves = profile.alpha / len(values), [], []
    for place, one in enumerate(at):
        expected = predicted(formula, one)
        found, half = mean(claim, one, seed + place, profile, alpha)
        scale = scales(claim, expected)
        worst = int(np.argmax(np.abs(found - expected) / scale))
        gaps.append(float((found - expected)[worst] / scale[worst]))
        halves.append(float((half / scale)[worst]))
    delta = claim.delta * profile.delta_factor
    first, last = abs(gaps[0]), abs(gaps[-1])
    falls = last + halves[-1] < first - halves[0] or first + halves[0] <= delta
    if last + halves[-1] <= delta and falls:
        outcome = "agrees"
    elif last - halves[-1] > delta and last + halves[-1] > (first - halves[0]) / 2:
        outcome = "differs"
    else:
        outcome = "undecided"
    scalars = {
        s: v for s, v in at[-1].items() if isinstance(claim.specs.get(s), tuple) and isinstance(s, sp.Symbol)
    }
    where = f"{size} = {', '.join(map(str, values))}" + (f"; {label(scalars)}" if scalars else "")
    path = ", ".join(f"{gap:.1e} ± {half:.0e}" for gap, half in zip(gaps, halves, strict=True))
    return Evidence("scaling", outcome, f"gaps {path}", where, delta, profile.alpha, form)
