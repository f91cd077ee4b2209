"""From a measurement and a prediction to a piece of evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.logic.boolalg import Boolean

from theory.errors import ArgumentError
from theory.statement import Statement
from verify.checks.points import Point
from verify.ledger.evidence import Evidence
from verify.profiles import PROFILES, Profile
from verify.stats import LEAST, equivalence_test, least_first, rounding_test

Array = NDArray[np.float64]
ALPHA = PROFILES["standard"].alpha  # of a slope that is read off the same samples in all profiles
STAGES = 8


def identity(
    measure: Callable[[Point], Array],
    prediction: Callable[[Point], Array],
    at: Iterable[Point],
    regime: str,
    form: str = "printed",
) -> Evidence:
    """``measure`` (the full model) against ``prediction`` at generic points, to rounding."""
    worst = None
    for point in at:
        found = rounding_test(measure(point), prediction(point), point.growth, point.operations)
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    return Evidence("monte-carlo", worst.outcome, worst.measured, regime, worst.delta, 0.0, form)


def sampled(
    draw: Callable[[int], Array],
    prediction: Array,
    scale: Array | float,
    delta: float,
    regime: str,
    profile: Profile,
    form: str = "printed",
    kind: str = "monte-carlo",
    limit: bool = False,
    averaged: int = 1,
    stages: int = STAGES,
) -> Evidence:
    """``draw`` against ``prediction`` by the sequential equivalence test, tolerance ``delta`` at the
    standard profile.  ``averaged``: how many independent draws each sample is itself a mean of.  What has
    no value agrees with nothing."""
    expected = np.atleast_1d(np.asarray(prediction, dtype=float))
    if not np.isfinite(expected).all():
        return Evidence(kind, "differs", f"predicted {expected}", regime, delta, form=form)
    stages = stages + max(0, math.ceil(math.log2(profile.sample_factor)))
    first = max(LEAST, math.ceil(least_first(profile.alpha, stages, expected.size) / averaged))
    found = equivalence_test(
        draw, expected, scale, delta * profile.delta_factor, profile.alpha, first, stages, limit, averaged
    )
    outcome, measured = found.outcome, found.measured
    return Evidence(kind, outcome, measured, regime, found.delta, found.alpha, form, found.detects)


def exact(
    holds: bool, regime: str, form: str = "printed", kind: str = "exact", measured: str = ""
) -> Evidence:
    """A symbolic comparison: equality of normal forms (``derivation``) or of rationals (``exact``).

    Equal normal forms prove equality.  Different ones suggest that the two differ and prove it only where
    no rule is missing, so a verdict against the print rests on an exact counterexample as well.
    """
    return Evidence(
        kind,
        "agrees" if holds else "differs",
        measured or ("equal" if holds else "not equal"),
        regime,
        form=form,
    )


def counterexample(statement: Statement, form: str = "printed") -> Evidence:
    """The statement's counterexample, recomputed in rationals: what is printed against what is true.

    Raises :class:`ArgumentError` for a statement that has none.
    """
    if statement.counterexample is None:
        raise ArgumentError(f"id={statement.id!r}: has no counterexample")
    found = statement.counterexample()
    same = found.printed == found.actual
    if not isinstance(found.printed, Boolean):
        same = sp.simplify(found.printed - found.actual) == 0
    return exact(bool(same), found.point, form, measured=f"printed {found.printed}, true {found.actual}")
