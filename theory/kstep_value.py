"""The k-step risk and its gradient at explicit matrices, in float64 and without cancellation.

Near Ṽ = −Σ⁻¹ with n ≫ d the words of E‖(I + ṼS)^k‖_F² cancel to a part in (n/d)^k.  In the centred words
M₀ = I + ṼΣ and S − Σ nothing of order one is left to cancel.  Notes: ``notes/kstep.md``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from theory.errors import (
    ArgumentError,
    binary_size,
    check_count,
    check_covariance,
    check_finite,
    check_numbers,
    in_range,
)
from theory.kstep import MISS, SIGMA, V, centred_risk, check_limit
from theory.notation import n as n_symbol
from theory.wishart import TERM_LIMIT
from theory.words.program import Program

Array = NDArray[np.float64]


def program(k: int, limit: float = TERM_LIMIT) -> Program:
    """The k-step risk in centred words, ready for numbers."""
    return _program(
        check_count("k", k), check_limit(limit)
    )  # by position: else a call with the default limit derives it again


@cache
def _program(k: int, limit: float) -> Program:
    return Program(centred_risk(k, limit), SIGMA, n_symbol)


def _checked(block: Array, Sigma: Array, n: int, k: int) -> tuple[Array, Array, float]:
    """V and Σ in units that make Σ of order one and leave VS, and so the risk, as it is; and the unit."""
    check_count("n", n)
    check_count("k", k)
    covariance = check_covariance("Sigma", Sigma)
    matrix = check_numbers("V", block)
    if matrix.shape != covariance.shape:
        raise ArgumentError(f"V has shape {matrix.shape}: must be {covariance.shape}, the shape of Sigma")
    unit = binary_size(covariance)
    return check_finite("V", matrix) * unit, covariance / unit, unit


def _matrices(block: Array, Sigma: Array) -> dict:
    return {V: block, SIGMA: Sigma, MISS: np.eye(len(block)) + block @ Sigma}


@in_range("V, Sigma")
def k_step_risk(V: Array, Sigma: Array, n: int, k: int, *, limit: float = TERM_LIMIT) -> float:
    """E‖(I + VS)^k w*‖² over S = XXᵀ/n, x ~ N(0, Σ), w* ~ N(0, I): exact up to rounding.

    ``V`` and ``Sigma`` are d × d, Σ symmetric positive semidefinite, singular or not.  The first call for
    a k derives its polynomial (k = 4: some seconds).  Raises :class:`ArgumentError` for what is not a
    covariance, a V of another shape or not finite, n < 1, k < 1, and where more than ``limit`` terms are
    predicted.
    """
    block, covariance, _ = _checked(V, Sigma, n, k)
    return float(program(k, limit).value(_matrices(block, covariance), n))


@in_range("V, Sigma")
def k_step_gradient(
    V: Array, Sigma: Array, n: int, k: int, *, limit: float = TERM_LIMIT
) -> tuple[float, Array]:
    """The k-step risk and its d × d gradient in V, exact up to rounding.

    Arguments and errors as of :func:`k_step_risk`.
    """
    block, covariance, unit = _checked(V, Sigma, n, k)
    value, slope = _gradient(block, covariance, n, k, limit)
    return value, slope * unit


def _gradient(block: Array, covariance: Array, n: int, k: int, limit: float) -> tuple[float, Array]:
    value, slopes = program(k, limit).gradient(_matrices(block, covariance), n)
    return value, slopes[V] + slopes[MISS] @ covariance


@in_range("V, Sigma")
def k_step_risk_bound(
    V: Array, Sigma: Array, n: int, k: int, *, limit: float = TERM_LIMIT
) -> tuple[float, float]:
    """The k-step risk, and a bound on what rounding has done to it.  Raises as :func:`k_step_risk`.

    The bound is that of :meth:`theory.words.program.Program.bounded`: every rounding at its worst, and in
    the worst direction.  For a singular Σ it is of the order of the square root of what rounding does.
    """
    block, covariance, _ = _checked(V, Sigma, n, k)
    matrices, d = _matrices(block, covariance), len(covariance)
    norms = float(np.linalg.norm(block) * np.linalg.norm(covariance))
    roundings = (d + 1) * 2.0**-53  # of an entry of I + VΣ
    miss = roundings / (1 - roundings) * (np.sqrt(d) + norms)
    return program(k, limit).bounded(matrices, {MISS: miss}, n)
