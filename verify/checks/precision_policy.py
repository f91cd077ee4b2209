"""The policy-gradient estimator of one group at a second precision, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from verify.checks import definition as written
from verify.checks.definition import Lifted
from verify.checks.points import GRADIENT, Point
from verify.checks.policy_gradient import Policy, normalised_group
from verify.checks.precision import evidence
from verify.ledger.evidence import Evidence
from verify.stats.bounded import Numbers, lift
from verify.stats.precision import two_precisions


@dataclass(frozen=True, eq=False)
class LiftedPolicy:
    """A policy on its first prompt in bounded numbers; ``sigma`` is rational."""

    point: Lifted
    sigma: Any

    @property
    def w_star(self) -> Numbers:
        return np.asarray(self.point.w_star[0])

    def moved(self) -> list[tuple[Numbers, Numbers]]:
        """ŵ_k and its derivative in each entry of Ṽ, row by row, by the full model."""
        found = []
        for unit in written.units(self.point):
            reached = written.last_weight(written.moving(self.point, unit))[0]
            found.append((np.array([x.value for x in reached]), np.array([x.slope for x in reached])))
        return found


def lifted(at: Policy) -> LiftedPolicy:
    """The policy with its floats taken exactly."""
    point = Point(at.V, at.W, at.prompts, np.zeros(at.d), 0.5, at.k)
    return LiftedPolicy(written.first(written.lifted(point)), sp.Rational(at.sigma))


def estimator(at: LiftedPolicy, actions: Numbers) -> Numbers:
    """(1/G) Σ_i A_i ∇ log π(a_i), A_i the standardised rewards −½‖a_i − w*‖², (d, d)."""
    rewards = -((actions - at.w_star) ** 2).sum(-1) / 2
    size = len(rewards)
    centred = rewards - rewards.sum() / size
    advantages = centred / np.sqrt((centred**2).sum() / size)
    entries = []
    for mean, slope in at.moved():
        scores = ((actions - mean) @ slope) / at.sigma**2
        entries.append((advantages @ scores) / size)
    return np.array(entries, dtype=object).reshape(at.point.d, at.point.d)


def pathwise(
    prediction: Callable[[LiftedPolicy, Numbers], Numbers], at: Sequence[Policy], size: int, seed: int
) -> Evidence:
    """The normalised estimator of one group against ``prediction``(policy, normals z (G, d))."""
    found = []
    for j, one in enumerate(at):
        slope, actions = normalised_group(one, size, seed + j)
        exact, drawn = lifted(one), lift(actions)
        mean, _ = exact.moved()[0]
        stated = prediction(exact, (drawn - mean) / exact.sigma)
        found.append(two_precisions(slope, estimator(exact, drawn), stated, GRADIENT))
    return evidence(found, f"{len(at)} policies, d = {at[0].d}, G = {size}, sample by sample")
