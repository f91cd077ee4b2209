"""Identities at a second precision: the definition against the formula at 51 digits, float64 against both.

An identity that holds to rounding at 2⁻⁵³ and at 2⁻¹⁷⁰, at the same floats, holds at that point: what
float64 could hide is 34 digits above what the second precision allows.  Tolerances are derived in
:mod:`verify.stats.bounded`; see ``notes/precision.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from verify.checks.definition import Lifted, lifted
from verify.checks.points import Point, points, tensor
from verify.ledger.evidence import Evidence
from verify.stats.bounded import Numbers
from verify.stats.precision import PrecisionOutcome, two_precisions, worst

Array = NDArray[np.float64]


def evidence(found: Iterable[PrecisionOutcome], regime: str, form: str = "printed") -> Evidence:
    """The worst of several comparisons."""
    of = worst(found)
    return Evidence("property", of.outcome, of.measured, regime, of.second.delta or None, 0.0, form)


def identity(
    definition: Callable[[Lifted], Numbers],
    measure: Callable[[Point], Array],
    prediction: Callable[[Point], Numbers],
    at: Iterable[Point],
    form: str = "printed",
    sweeps: int = 1,
) -> Evidence:
    """``prediction`` against ``definition`` at 51 digits, and ``measure`` in float64 against the latter.

    ``sweeps``: :data:`~verify.checks.points.GRADIENT` or HESSIAN where the measure differentiates.
    """
    found, shapes = [], []
    for point in at:
        exact = lifted(point)
        found.append(two_precisions(measure(point), definition(exact), prediction(exact), sweeps))
        shapes.append(f"({point.d},{point.n},{point.prompts.size},{point.k})")
    return evidence(found, f"(d,n,B,k) = {', '.join(shapes)}, S nearly singular in the last", form)


def nearly_singular(point: Point, ratio: float = 2.0**-7) -> Point:
    """Its features shrunk along one direction, and Ṽ near −S⁻¹ of the first prompt, whose entries are large
    and cancel in I + ṼS."""
    along = np.linspace(1.0, 2.0, point.d)
    squeeze = np.eye(point.d) - (1 - ratio) * np.outer(along, along) / (along @ along)
    prompts = replace(point.prompts, X=tensor(squeeze) @ point.prompts.X)
    return replace(point, prompts=prompts, V=0.1 * point.V - 0.9 * np.linalg.inv(prompts.S[0].numpy()))


def hard_points(
    seed: int, least_k: int = 0, kind: type[Point] = Point, identity: bool = False
) -> list[Point]:
    """Two generic points, d < n and d = n, the latter at η = 1, and one with S nearly singular."""
    generic = list(islice(points(seed, least_k, kind, identity), 3))
    return [generic[0], generic[2], nearly_singular(replace(generic[0], k=max(least_k, 2)))]
