"""The solver of task selection against exact minimisers, found support by support in rationals."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import sympy as sp

from theory.errors import ArgumentError
from theory.task_selection import select_tasks

R = sp.Rational
# Σ and tasks whose optimum has one, two, three tasks: at a corner, on an edge, inside with a positive least.
INSTANCES = {
    "corner": (sp.diag(2, 3), [sp.diag(1, 3), sp.diag(R(1, 2), 1), sp.diag(R(1, 2), 7)]),
    "edge": (sp.diag(2, 3), [sp.diag(1, 3), sp.diag(2, 6), sp.Matrix([[9, 1], [1, 9]])]),
    "inside": (
        sp.Matrix([[2, 1], [1, 3]]),
        [sp.Matrix([[1, 1], [1, 4]]), sp.Matrix([[4, 0], [0, 2]]), sp.Matrix([[1, R(1, 2)], [R(1, 2), 2]])],
    ),
    "one task": (sp.diag(1, 2), [sp.diag(5, 1)]),
}


def gram(Sigma: sp.Matrix, tasks: list[sp.Matrix]) -> sp.Matrix:
    """⟨I − Σ⁻¹Λ_a, I − Σ⁻¹Λ_b⟩: the proxy is πᵀ Q π on the simplex."""
    columns = [(sp.eye(Sigma.rows) - Sigma.inv() * task).vec() for task in tasks]
    return sp.Matrix(len(tasks), len(tasks), lambda a, b: (columns[a].T * columns[b])[0])


def optimal(Q: sp.Matrix, pi: sp.Matrix) -> bool:
    """Karush, Kuhn and Tucker's conditions: Qπ ≥ πᵀQπ everywhere, with equality where π > 0."""
    slope, least = Q * pi, (pi.T * Q * pi)[0]
    on_simplex = all(x >= 0 for x in pi) and sum(pi) == 1
    return on_simplex and all(g == least if x > 0 else g >= least for g, x in zip(slope, pi, strict=True))


def minimisers(Q: sp.Matrix) -> list[sp.Matrix]:
    """All points that satisfy the conditions, where each support has one candidate."""
    found, ones = [], sp.ones
    for size in range(1, Q.rows + 1):
        for support in combinations(range(Q.rows), size):
            part = Q.extract(list(support), list(support))
            bordered = sp.Matrix.vstack(
                sp.Matrix.hstack(part, ones(size, 1)), sp.Matrix.hstack(ones(1, size), sp.zeros(1))
            )
            if bordered.det() == 0:
                continue
            solved = bordered.inv()[:size, -1]
            pi = sp.zeros(Q.rows, 1)
            for at, x in zip(support, solved, strict=True):
                pi[at] = x
            if all(x > 0 for x in solved) and optimal(Q, pi):
                found.append(pi)
    return found


@pytest.mark.parametrize(("name", "tasks_used"), [("corner", 1), ("edge", 2), ("inside", 3), ("one task", 1)])
def test_exact_minimiser(name: str, tasks_used: int) -> None:
    Sigma, tasks = INSTANCES[name]
    Q = gram(Sigma, tasks)
    (exact,) = minimisers(Q)
    assert sum(bool(x > 0) for x in exact) == tasks_used
    found = select_tasks(np.array(Sigma, dtype=float), [np.array(task, dtype=float) for task in tasks])
    # Least squares of condition κ loses κ² ε of its solution at most.
    loss = np.linalg.cond(np.array(Q, dtype=float) + 1) * np.finfo(float).eps
    assert np.abs(found - np.array(exact, dtype=float).ravel()).max() <= 10 * loss
    assert found.min() >= 0
    moved = (exact + sp.ones(len(tasks), 1) / len(tasks)) / 2
    assert optimal(Q, moved) == (len(tasks) == 1)


def test_generic_optimum_satisfies_the_conditions() -> None:
    source = np.random.default_rng(3)
    roots = source.normal(size=(9, 4, 4))
    Sigma, *tasks = (root @ root.T + np.eye(4) / 2 for root in roots)
    pi = select_tasks(Sigma, tasks)
    columns = np.array([(np.eye(4) - np.linalg.solve(Sigma, task)).ravel() for task in tasks])
    slope = columns @ (pi @ columns)
    least = pi @ slope
    # A Gram matrix of entries up to ‖c‖², at most 16 + 8 terms of rounding each.
    slack = 1e3 * np.finfo(float).eps * (columns**2).sum(axis=1).max() * np.linalg.cond(Sigma)
    assert (slope >= least - slack).all()
    assert np.abs(slope - least)[pi > 0].max() <= slack
    assert pi.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("Sigma", "tasks", "named"),
    [
        (np.diag([1.0, 0.0]), [np.eye(2)], "Sigma"),
        (np.eye(2), [], "covariances"),
        (np.eye(2), [np.eye(2), np.eye(3)], r"covariances\[1\]"),
        (np.eye(2), [-np.eye(2)], r"covariances\[0\]"),
        (np.eye(2), 3, "covariances"),
    ],
)
def test_bad_input_is_named(Sigma: object, tasks: object, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        select_tasks(Sigma, tasks)  # type: ignore[arg-type]
