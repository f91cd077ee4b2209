"""How hard a run tries: three named settings of tolerance, sample size and number of examples."""

from __future__ import annotations

from dataclasses import dataclass

from theory.errors import ArgumentError


@dataclass(frozen=True)
class Profile:
    """``delta_factor`` multiplies a check's tolerance δ and ``sample_factor`` its sample size, in the
    ratio that keeps the power: half the δ needs four times the samples.  ``examples`` is the number
    of points of each property test."""

    name: str
    delta_factor: float
    sample_factor: float
    examples: int
    alpha: float  # error probability of each sampled check


PROFILES = {
    p.name: p
    for p in (
        Profile("quick", 4.0, 1 / 16, 20, 1e-4),
        Profile("standard", 1.0, 1.0, 100, 1e-5),
        Profile("thorough", 1 / 4, 16.0, 1000, 1e-5),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name; :class:`ArgumentError` for any other."""
    if name not in PROFILES:
        raise ArgumentError(f"profile={name!r}: must be one of {', '.join(PROFILES)}")
    return PROFILES[name]
