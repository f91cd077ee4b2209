"""Property tests: an identity at points that hypothesis draws, from :mod:`verify.strategies`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from hypothesis import HealthCheck, Phase, core, given, settings
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from verify.checks.points import Point
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import RoundingOutcome, rounding_test

Array = NDArray[np.float64]


REGIME = "d ≠ n ≠ B ≤ 4, k ≤ 3, S singular, tied, of condition up to 1e12; asymmetric Ṽ"
EXACT = "d ≠ n ≤ 3, Ṽ of small integers, Σ rational: distinct and equal eigenvalues, singular"


class Labelled(Protocol):
    """An example that says in words where it is."""

    @property
    def label(self) -> str: ...


class Comparison(Protocol):
    """How the two sides compare at an example: one of :mod:`verify.stats`, or :class:`Equality`."""

    @property
    def outcome(self) -> str: ...

    @property
    def measured(self) -> str: ...

    @property
    def deviation(self) -> float: ...

    @property
    def delta(self) -> float | None: ...


@dataclass(frozen=True)
class Equality:
    """A comparison in exact arithmetic."""

    holds: bool
    delta: None = None

    @property
    def outcome(self) -> str:
        return "agrees" if self.holds else "differs"

    @property
    def measured(self) -> str:
        return "equal" if self.holds else "not equal"

    @property
    def deviation(self) -> float:
        return float(not self.holds)


Example = TypeVar("Example", bound=Labelled)


class _Differs(Exception):  # noqa: N818  no mistake, but what was found
    """An example at which the two sides differ."""


def generated(
    compare: Callable[[Example], Comparison],
    examples: SearchStrategy[Example],
    regime: str,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """``compare`` at the examples that hypothesis draws, until one differs; then at the simplest that does.

    The examples are as many as the profile says, the same in each run where hypothesis is derandomised.
    The function given to hypothesis lives inside a test that has the recording fixture, which a test that
    is itself ``@given`` could not ask for (``function_scoped_fixture``).
    """
    found: list[Comparison] = []

    @settings(
        max_examples=profile.examples,
        derandomize=core.global_force_seed is None,  # also where no pytest run has loaded a profile
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(examples)
    def hold(example: Example) -> None:
        outcome = compare(example)
        found.append(outcome)
        if outcome.outcome != "agrees":
            raise _Differs(outcome, example.label)

    try:
        hold()
    except _Differs as differs:
        outcome, label = differs.args
        return Evidence(
            "property", "differs", f"{outcome.measured} at {label}", regime, outcome.delta, form=form
        )
    worst = max(found, key=lambda one: one.deviation / (one.delta or 1))
    return Evidence(
        "property", "agrees", worst.measured, f"{len(found)} examples, {regime}", worst.delta, form=form
    )


def identity(
    measure: Callable[[Point], Array],
    prediction: Callable[[Point], Array],
    examples: SearchStrategy[Point],
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """``measure`` (the full model) against ``prediction`` at drawn points, to rounding."""

    def compare(point: Point) -> RoundingOutcome:
        return rounding_test(measure(point), prediction(point), point.growth, point.operations)

    return generated(compare, examples, REGIME, profile, form)
