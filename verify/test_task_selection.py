"""Task selection of the companion paper: evidence for ``theory/task_selection.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import companion_points as points
from theory import notation as nt
from theory import pretraining, task_selection
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.poly import identity, letter
from verify.checks import companion as check
from verify.checks.companion import Mixture
from verify.checks.points import covariance
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.companion_predictions import mixed, mixture_fixed_point, objectives, of_mixture, printed
from verify.test_companion import SKEWED
from verify.test_pretraining import _slope as slope

R = sp.Rational


@pytest.mark.statements("rel-selection.a")
def test_selection(ledger, seed):
    id, p = "rel-selection.a", sp.Symbol("p")
    ledger.record(id, counterexample(registry()[id], "outside"))
    Sigma, *pair = points.NESTED
    proxy, error = objectives((1 - p, p), pair, Sigma)
    chosen = sp.solve(sp.diff(proxy, p), p)
    least = all(sp.diff(error, p).subs(p, each) == 0 for each in chosen)
    where = f"slope of the error at the proxy's π_2 = {', '.join(map(str, chosen))}, Σ=diag(2,3)"
    ledger.record(id, symbolic(least, where, "outside"))
    tasks = [SKEWED, sp.diag(1, 2), sp.Matrix([[3, 1], [1, 1]])]
    weights = (R(1, 2), R(1, 3), R(1, 6))
    whole = mixed(id, weights, tasks)
    miss = sp.Symbol("t")
    moved = [w + miss * e for w, e in zip(weights, (2, -1, -1), strict=True)]
    both = objectives(moved, tasks, whole)
    second = [sp.simplify(sp.diff(x, miss, 2).subs(miss, 0)) for x in both]
    zero = all(sp.simplify(x.subs(miss, 0)) == 0 for x in both)
    # The covariance of a prompt that is of task τ with probability π_τ.
    drawn = sum((w * x for w, x in zip(weights, tasks, strict=True)), sp.zeros(2))
    holds = zero and second[0] == second[1] and second[0] > 0 and whole == drawn
    where = "Σ = Λ_π of three tasks, d = 2: both vanish there, with one positive curvature across"
    ledger.record(id, symbolic(bool(holds), where, "condition"))
    floats = [covariance(3, (seed("tasks") + at) % 2**31) for at in range(3)]
    target = np.einsum("t,tij->ij", (0.5, 0.3, 0.2), floats)
    found = task_selection.select_tasks(target, floats)
    best = mixed(id, found, floats)
    at = [check.Trained(-np.linalg.inv(best), best, target, None, None, 1)]
    risk = lambda one: float(objectives((1.0,), [one.Lambda], one.Sigma)[1])  # noqa: E731
    ledger.record(id, check.equal(risk, at, "condition"))
    others = [mixed(id, weights, floats) for weights in ((1.0, 0.0, 0.0), (0.2, 0.2, 0.6))]
    at = [check.Trained(-np.linalg.inv(other), other, target, None, None, 1) for other in others]
    ledger.record(id, check.equal(risk, at, "condition"))


@pytest.mark.statements("rel-selection.b")
def test_mixture(ledger, seed):
    id = "rel-selection.b"
    half = (
        pretraining.loss().map_coefficients(lambda c: c.subs(pretraining.b, -1)).gradient(nt.letter_of(nt.V))
    )
    gamma0 = lower_matrix(printed(id).args[2].rhs.subs(task_selection.Lambda_tau, nt.Sigma0))
    sigma0 = letter(nt.letter_of(nt.Sigma0))
    slope_of = (letter(nt.letter_of(nt.V)) @ gamma0 + identity(nt.d)) @ sigma0 * 2
    ledger.record(
        id,
        symbolic(
            half.equals(slope_of),
            "gradient 2(ṼΓ_τ + I)Λ_τ of each task, general d, n, Λ_τ: its mean over π is zero at the print",
            kind="derivation",
        ),
    )
    roots, weights = [sp.Matrix([[1, 0], [1, 1]]), sp.Matrix([[2, 1], [0, 1]])], (R(1, 3), R(2, 3))
    end = mixture_fixed_point(weights, [root * root.T for root in roots], 1)
    total = sum((slope(end, root, 1) * w for root, w in zip(roots, weights, strict=True)), start=sp.zeros(2))
    ledger.record(
        id, symbolic(sp.simplify(total) == sp.zeros(2), "Gaussian moments, d = 2, n = 1, two tasks")
    )
    # of one trace they would make Ṽ symmetric: at d = 2 the squares are then multiples of Λ and I
    each = tuple((1 + at) * covariance(2, (seed("tasks") + at) % 2**31) for at in range(3))
    at = [Mixture((0.5, 0.3, 0.2), each, 3), Mixture((0.25, 0.75), each[:2], 2)]
    ledger.record(id, check.stationary(of_mixture, at))
