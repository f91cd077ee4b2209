"""The registered formulas at the settings of :mod:`numerics.experiments.beyond`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import scipy.linalg
import sympy as sp
from numpy.typing import NDArray

from numerics.experiments import beyond as measured
from theory import beyond
from theory import beyond_words as words
from theory import notation as nt
from theory.beyond_limit import Departure, linearised_limit, sft_risk_limit
from theory.kstep import c
from theory.proportional import setting
from theory.statement import registry
from theory.words.evaluate import evaluate
from verify.surface import value

Array = NDArray[np.float64]
Config = Mapping[str, Any]


def prediction(of: Config) -> float | None:
    """What ``of`` measures, by the extended theory; None where it has no formula."""
    found = _PREDICTIONS[of["result"]](of)
    return None if found is None else float(found)


def _form(id: str) -> Any:
    """The general form of ``id``: the first line, its last side."""
    printed = registry()[id].printed
    first = printed.args[0] if isinstance(printed, nt.Lines) else printed
    last = first.args[-1]
    return last.args[-1] if isinstance(last, nt.Chain) else last


def tasks(of: Config) -> Array:
    """Λ, given the part u_0 = (1, …, 1) that tasks share."""
    base = np.array(measured.TASKS) if of["tasks"] else np.eye(of["d"])
    return np.asarray((1 - of["share"]) * base + of["share"] * np.ones((of["d"], of["d"])))


def second(of: Config, A: Array, n: int) -> Array:
    """E[SΛS] by the law of the features."""
    kind, nu = of["features"], of["nu"]
    law = {
        "rademacher": "ext-beyond.a",
        "student_entries": "ext-beyond.a",
        "student": "ext-beyond.b",
    }.get(kind, "ext-beyond.c")
    lags = np.arange(n)
    overlap = float(((of["r"] ** np.abs(lags[:, None] - lags)) ** 2).sum())
    values = {
        nt.Sigma: A,
        words.M: tasks(of),
        beyond.L: np.real(scipy.linalg.sqrtm(A)),
        nt.n: n,
        beyond.kurtosis: -2.0 if kind == "rademacher" else 6 / (nu - 4),
        words.theta: (nu - 2) / (nu - 4),
        words.overlap: overlap,
    }
    return np.asarray(value(registry()[law].printed.rhs, values))


def symbols(of: Config, covariance: Any, n: int = 0) -> dict[Any, Any]:
    """A configuration's values by symbol, with ``covariance`` for Σ and A."""
    A, length = np.array(covariance), n or of["n"]
    mean, etas = second(of, A, length), np.array(of["rates"])
    weights = ((1 - etas[:, None]) ** (2 * np.arange(of["k"] + 1))).sum(1)  # c_k of each rate
    return {
        nt.Sigma: A,
        nt.A: A,
        words.Lambda: tasks(of),
        words.sigma: of["sigma"],
        nt.n: length,
        nt.k: of["k"],
        nt.c_k: float(weights.mean()),
        nt.eta: float((weights * etas).mean() / weights.mean()),
        beyond.SECOND: mean,
        beyond.SECOND_A: mean,
    }


def _start(of: Config, covariance: Any) -> float:
    return float(np.trace(value(_form("ext-beyond.e"), symbols(of, covariance))))


def _population(of: Config) -> float:
    return float(np.trace(value(beyond.POPULATION, symbols(of, measured.POST))))


def _risk(of: Config, n: int = 0) -> float:
    return float(
        value(_form("ext-beyond.d"), symbols(of, measured.TEST, n) | {nt.V: np.array(measured.BLOCK)})
    )


def _curvature(of: Config, one_step: bool) -> float:
    at = symbols(of, measured.POST) | ({nt.k: 0, nt.c_k: 1.0} if one_step else {})
    return float(value(_form("ext-beyond.j"), at))


def _closed_form(of: Config) -> float | None:
    return None if of["sigma"] or len(set(of["rates"])) > 1 else 0.0


def _gaussian(of: Config) -> bool:
    return bool(of["features"] == "gaussian")


@cache
def _slope() -> Any:
    return words.noisy_risk(2).gradient(words.V)


def _gradient(of: Config) -> float | None:
    """Half the gradient of the two-step risk: the outcome loss has ½."""
    if not _gaussian(of):
        return None
    values = {
        words.V: np.array(measured.BLOCK),
        words.SIGMA: np.array(measured.POST),
        words.ROOT: np.linalg.cholesky(tasks(of)),
    }
    slope = evaluate(_slope(), values, {nt.n: of["n"], words.sigma: of["sigma"]})
    return float((np.asarray(slope) * np.array(measured.DIRECTION)).sum() / 2)


def _two_steps(of: Config) -> float | None:
    """At A = I the law of S is invariant under rotations, so that Λ enters by its trace, which is d."""
    if not _gaussian(of):
        return None
    form = registry()["ext-beyond.k"].printed.rhs
    at = form.subs({nt.d: of["d"], nt.n: of["n"], words.sigma: sp.Rational(str(of["sigma"]))})
    risk = sp.Poly(at, c)
    return float(min((x.evalf(17) for x in sp.real_roots(risk.diff())), key=risk.eval))


def _limit(of: Config, linear: bool) -> float | None:
    """Pretraining as in the paper; no spike in Λ."""
    if of["share"] or of["k"]:
        return None
    theta = (of["nu"] - 2) / (of["nu"] - 4) if of["features"] == "student" else 1.0
    levels = measured.LEVELS
    departure = Departure(
        shortening=theta * (1 + of["r"] ** 2) / (1 - of["r"] ** 2),
        noise=of["sigma"] ** 2 / of["d"],
        tasks=levels["tasks"] if of["tasks"] else None,
    )
    at = setting(
        aspect=of["d"] / of["n"],
        eta=float(np.mean(of["rates"])),
        weights=(0.5, 0.5),
        post=levels["post"],
        pre=levels["pre"],
        test=levels["test"],
    )
    function = linearised_limit if linear else sft_risk_limit
    return float(function(of["beta"], at, departure, Departure())[0])


_PREDICTIONS = {
    "pretrained": lambda of: _start(of, measured.SIGMA0),
    "closed_form": _closed_form,
    "population": _population,
    "risk": _risk,
    "risk_long": lambda of: _risk(of, 100),
    "outcome_one_step": lambda of: _start(of, measured.POST),
    "outcome_two_steps": _two_steps,
    "gradient": _gradient,
    "curvature": lambda of: _curvature(of, True),
    "threshold": lambda of: 2 / _curvature(of, False),
    "limit": lambda of: _limit(of, False),
    "linearised": lambda of: _limit(of, True),
}
