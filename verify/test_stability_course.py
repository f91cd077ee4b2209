"""Insights 3 and 4 and Section 6 on practice: evidence for ``theory/stability.py`` from whole trainings."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import notation as nt
from theory import stability
from theory import stability_points as points
from theory.statement import registry
from verify.checks import stability_course as course
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.checks.stability import Scene, population
from verify.stability_settings import UNSTABLE, along, at, each_limit, most, one_dimensional, ways
from verify.surface import value

LEARNED = [Scene(2, level, d=4, n=32, B=24) for level in (0.5, 0.25, 0.1)]  # less and less of Δ pretrained


@pytest.mark.statements("insight-3.a")
def test_more_data(ledger, profile, seed):
    id = "insight-3.a"
    for what, sizes, way in zip(
        "nB", ((8, 32, 128), (4, 128)), ways(*registry()[id].printed.args), strict=True
    ):
        scenes = [Scene(3, d=4, **{what: size}) for size in sizes]
        text = f"{what} = {', '.join(map(str, sizes))}: "
        changes = (way,) * (len(sizes) - 1)
        given = (changes, scenes, seed(what), profile, text)
        ledger.record(id, course.curvature_changes(*given, scatter=what == "B"))


@pytest.mark.statements("insight-3.b", "sec-6-practical.b")
def test_more_steps(ledger, profile, seed):
    data = (seed("course"), profile)
    printed = ways(*registry()["insight-3.b"].printed.args)
    for quantity, way in zip(("curvature", "added"), printed, strict=True):
        found = course.course_changes((way, way), UNSTABLE, (0, 10, 100), quantity, *data)
        ledger.record("insight-3.b", found)
    fewer = ways(registry()["sec-6-practical.b"].printed)
    found = course.course_changes(fewer, UNSTABLE, (0, 100), "share", *data)
    ledger.record("sec-6-practical.b", found)


@pytest.mark.statements("insight-4.a")
def test_partly_learned(ledger, profile, seed):
    id = "insight-4.a"
    way = along(registry()[id].printed)
    ledger.record(id, course.reached_changes((way, way), LEARNED, 100, seed("learned"), profile))


@pytest.mark.statements("insight-4.c")
def test_improvement(ledger, profile, seed):
    id = "insight-4.c"
    row = registry()[id]
    ledger.record(id, counterexample(row))
    way = along(row.printed)
    ledger.record(id, course.reached_changes((way, way), LEARNED, 100, seed("learned"), profile, gained=True))
    # One step of a share of the largest: x'/x in u = x/x_0 and the share alone.
    assert row.corrected is not None
    same, where = row.corrected.args
    equal = isinstance(same, sp.Eq) and bool(value(where, {nt.d: 1}))
    ratio, _ = stability.one_dimension()
    first, u, share = sp.symbols("x_0 u f", positive=True)
    size = share * stability.STEP_LIMIT.subs(stability.x, first)
    stepped = sp.simplify(ratio.subs(stability.x, u * first).subs(nt.eta, size))
    ledger.record(
        id, symbolic(equal and not stepped.has(first), "d=1, general k and share", "corrected", "derivation")
    )

    def gain(start, size, _x):
        # That of another start, in rationals, at the same share of its largest step.
        if not value(where, {nt.d: len(start.V)}):
            return np.array([np.inf])  # nothing is claimed there
        part = sp.Rational(size / each_limit(stability.STEP_LIMIT, stability.a, stability.x)(start))
        far = sp.Integer(7)
        moved = points.descended(far, part * points.limit_of_descent(far, start.k), start.k)
        return np.array([float(moved / far)])

    ledger.record(id, course.one_step(gain, one_dimensional(), 0.3, "corrected"))


@pytest.mark.statements("insight-4.b")
def test_slow(ledger):
    id = "insight-4.b"
    printed = registry()[id].printed.rhs
    places = ((2, 1.5), (2, 4.0), (3, 1.5), (3, 3.0))
    starts = [population(k, (1.1, 1.0), (-radius, 0.5), 3) for k, radius in places]
    share = 0.02
    # x′/x = 1 − 2 share (x/x₀)^(2k−2) in small steps.
    expected = [at(printed, k, constant=1 / (2 * share), radius=radius) for k, radius in places]
    regime = (
        f"(k, ρ) = {', '.join(f'({k}, {r:g})' for k, r in places)}, d=2, C = 1/(2 share of the largest step)"
    )
    ledger.record(id, course.steps_taken(expected, starts, share, regime))


@pytest.mark.statements("sec-6-practical.a")
def test_disparity(ledger):
    id = "sec-6-practical.a"
    bound = most(registry()[id].printed)
    for k, radii in ((2, (2.0, 8.0)), (3, (4.0,))):
        starts = [population(k, (1.0, 1.0), (-rho, 0.5)) for rho in radii]
        regime = f"k={k}, d=2, ρ = {', '.join(f'{r:g}' for r in radii)}, the other direction at 1/2"
        given = bound.subs(stability.now, 0.5)
        ledger.record(id, course.shrinkage([at(given, k, radius=rho) for rho in radii], starts, regime))
