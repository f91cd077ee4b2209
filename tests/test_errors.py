"""Bad input to ``theory/``: one line that names the argument and what is allowed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

import theory.statements  # noqa: F401  registers every statement
from theory import statement
from theory.errors import ArgumentError
from theory.finetuning import fine_tuned
from theory.population import population_limit
from theory.pretraining import gamma0
from theory.risk import one_step_risk

GOOD = np.array([[2.0, 0.5], [0.5, 1.0]])
BLOCK = np.array([[1.0, -2.0], [0.5, 3.0]])
OMEGA, PHI = np.array([[1.0, 2, 0], [0, 1, -1]]), np.array([[0.5, 1, 2], [3, -1, 1]])

NOT_A_COVARIANCE = {
    "not symmetric": np.array([[2.0, 0.5], [0.4, 1.0]]),
    "not PSD": np.array([[1.0, 2.0], [2.0, 1.0]]),
    "not square": np.ones((2, 3)),
    "a vector": np.ones(2),
    "a number": np.array(1.0),
    "empty": np.zeros((0, 0)),
    "NaN": np.array([[1.0, np.nan], [np.nan, 1.0]]),
    "infinite": np.array([[np.inf, 0.0], [0.0, 1.0]]),
}
SINGULAR = {
    "zero": np.zeros((2, 2)),
    "rank one": np.ones((2, 2)),
    "rank one up to rounding": np.array([[1.0, 1.0], [1.0, 1.0 + 1e-15]]),
}
NOT_A_COUNT = {"zero": 0, "negative": -1, "a fraction": 2.5, "a float": 3.0, "a flag": True, "text": "3"}
NOT_A_RATE = {"zero": 0.0, "negative": -0.1, "above one": 1.1, "NaN": float("nan")}
OTHER_SIZE = {"3 x 3": np.eye(3)}
NOT_FINITE = {"NaN": np.full((2, 3), np.nan), "infinite": np.full((2, 3), np.inf)}
NOT_A_BLOCK = {
    "another shape": np.eye(3),
    "a vector": np.ones(2),
    "NaN": np.full((2, 2), np.nan),
    "infinite": np.full((2, 2), np.inf),
}

# (function, its good arguments by name, what is bad for each)
FUNCTIONS: list[tuple[Callable, dict[str, object], dict[str, dict[str, object]]]] = [
    (
        gamma0,
        {"Sigma0": GOOD, "n": 3},
        {"Sigma0": {**NOT_A_COVARIANCE, "zero": np.zeros((2, 2))}, "n": NOT_A_COUNT},
    ),
    (
        one_step_risk,
        {"V": BLOCK, "Sigma": GOOD, "n": 3},
        {"V": NOT_A_BLOCK, "Sigma": NOT_A_COVARIANCE, "n": NOT_A_COUNT},
    ),
    (
        fine_tuned,
        {"Omega": OMEGA, "Phi": PHI, "gamma0": GOOD, "eta": 0.5},
        {
            "Omega": {"another shape": OMEGA[:, :2], "a vector": np.ones(2), **NOT_FINITE},
            "Phi": {"another shape": PHI.T, "a vector": np.ones(2), **NOT_FINITE},
            "gamma0": {**NOT_A_COVARIANCE, **SINGULAR},
            "eta": NOT_A_RATE,
        },
    ),
    (
        population_limit,
        {"A": GOOD, "n": 3, "eta": 0.5, "gamma0": GOOD},
        {
            "A": NOT_A_COVARIANCE,
            "n": NOT_A_COUNT,
            "eta": NOT_A_RATE,
            "gamma0": {**NOT_A_COVARIANCE, **SINGULAR, **OTHER_SIZE},
        },
    ),
]
CASES = [
    pytest.param(function, good, name, value, id=f"{function.__name__}-{name}-{kind}")
    for function, good, bad in FUNCTIONS
    for name, values in bad.items()
    for kind, value in values.items()
]


@pytest.mark.parametrize(("function", "good", "name", "value"), CASES)
def test_bad_argument_is_named_in_one_line(function, good, name: str, value: object) -> None:
    assert np.isfinite(function(**good)).all()
    with pytest.raises(ArgumentError) as error:
        function(**(good | {name: value}))
    message = str(error.value)
    assert "\n" not in message
    assert "must" in message
    assert name in message.split(":")[0].replace("=", " ").replace(",", " ").split()


def test_omega_and_phi_must_fit_gamma0() -> None:
    with pytest.raises(
        ArgumentError, match=r"^Omega has shape \(2, 3\), Phi \(2, 3\): must both be d × B with d = 3$"
    ):
        fine_tuned(OMEGA, PHI, np.eye(3), 0.5)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_rounding_is_judged_on_the_scale_of_the_matrix(scale: float) -> None:
    """An asymmetry of 1e-15 of the largest entry passes, one of 1e-9 does not, whatever the scale."""
    for slip, allowed in ((1e-15, True), (1e-9, False)):
        matrix = GOOD * scale
        matrix[0, 1] += slip * scale
        if allowed:
            gamma0(matrix, 3)
        else:
            with pytest.raises(ArgumentError, match=r"^Sigma0 is not symmetric"):
                gamma0(matrix, 3)


def test_border_cases_are_allowed() -> None:
    assert (gamma0(np.array([[1.0, 0], [0, 0]]), 1) == np.array([[3.0, 0], [0, 1]])).all()
    assert population_limit(np.zeros((2, 2)), 1, 1.0, 2 * np.eye(2)).tolist() == [[-0.5, 0], [0, -0.5]]
    assert one_step_risk(np.zeros((2, 2)), np.zeros((2, 2)), 1) == 2.0
    assert gamma0(np.array([[4.0]]), np.int64(2)).tolist() == [[8.0]]


@pytest.mark.parametrize("wanted", ["thm-9.9", "thm-4.", "", "THM-4.1", "rem-4.1.z"])
def test_unknown_statement_is_named(wanted: str) -> None:
    with pytest.raises(ArgumentError) as error:
        statement.select([wanted])
    assert str(error.value).startswith(f"id={wanted!r}: unknown statement, known are ")
    assert "thm-4.1" in str(error.value)
    assert "\n" not in str(error.value)


def test_one_unknown_id_among_known_ones_is_an_error() -> None:
    with pytest.raises(ArgumentError, match=r"^id='no-such'"):
        statement.select(["thm-4.1", "no-such"])


def test_selection() -> None:
    ids = list(statement.registry())
    assert [s.id for s in statement.select([])] == ids
    assert [s.id for s in statement.select(["rem-4.1"])] == ["rem-4.1.a", "rem-4.1.b"]
    # A name is no prefix of another: thm-4.1 is not thm-4.1-manifold, and nothing is chosen twice.
    assert [s.id for s in statement.select(["thm-4.1", "thm-4.1"])] == ["thm-4.1"]


def test_second_registration_is_an_error_and_changes_nothing() -> None:
    before = statement.registry()
    taken = statement.Statement("thm-4.1", "nowhere", "another one", sp.Integer(0))
    with pytest.raises(ArgumentError, match=r"^id='thm-4\.1': already registered"):
        statement.register(taken)
    assert statement.registry() == before


def test_registry_cannot_be_changed_from_outside() -> None:
    statement.registry().clear()
    assert statement.registry()


def test_dependencies_are_registered_statements() -> None:
    known = statement.registry()
    missing = {s.id: [a for a in s.depends_on if not _names(a, known)] for s in known.values()}
    assert not {i: names for i, names in missing.items() if names}


def _names(wanted: str, known: dict[str, statement.Statement]) -> bool:
    return any(i == wanted or i.startswith(f"{wanted}.") for i in known)
