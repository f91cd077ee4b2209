"""How hard a run tries: three named settings of tolerance, sample size and number of examples."""

from __future__ import annotations

from dataclasses import dataclass

from theory.errors import ArgumentError

MOST_CHECKS = 520  # sampled checks of a full run; tests/test_committed.py holds the ledger to it


@dataclass(frozen=True)
class Profile:
    """``delta_factor`` multiplies a check's tolerance δ and ``sample_factor`` its sample size, in the
    ratio that keeps the power: half the δ needs four times the samples.  ``examples`` is the number
    of points of each property test.  ``family`` bounds the probability of any error in a whole run."""

    name: str
    delta_factor: float
    sample_factor: float
    examples: int
    family: float
    randomised: bool = False  # whether the base seed is drawn where none is given

    @property
    def alpha(self) -> float:
        """The error probability of each sampled check: :data:`MOST_CHECKS` of them add up to ``family``."""
        return self.family / MOST_CHECKS


PROFILES = {
    p.name: p
    for p in (
        Profile("quick", 4.0, 1 / 16, 20, 1e-4),
        Profile("standard", 1.0, 1.0, 100, 1e-6),
        Profile("thorough", 1 / 4, 16.0, 1000, 1e-6, randomised=True),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name; :class:`ArgumentError` for any other."""
    if name not in PROFILES:
        raise ArgumentError(f"profile={name!r}: must be one of {', '.join(PROFILES)}")
    return PROFILES[name]
