"""Task selection of arXiv:2510.03605, as reported: a mixture of pretraining tasks for a test covariance.

Notes: ``notes/companion.md``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import nnls

from theory import companion_points as points
from theory import notation as nt
from theory.errors import ArgumentError, check_covariance, check_definite, shown
from theory.notation import I, Sigma, d, n, tau
from theory.pretraining import V_pre
from theory.statement import BEYOND, REPORTED, Statement, register

Array = NDArray[np.float64]
L = sp.Symbol("L", integer=True, positive=True)
weight = sp.IndexedBase("pi")
Lambda_tau = nt.matrix("Lambda_tau", d, d, r"\Lambda_{\tau}", symmetric=True)
Lambda_pi = nt.matrix("Lambda_pi", d, d, r"\Lambda_{\pi}", symmetric=True)
Gamma_tau = nt.matrix("Gamma_tau", d, d, r"\Gamma_{\tau}", symmetric=True)
simplex = nt.scalar_symbol("pi_simplex", r"\pi \in \Delta")


def select_tasks(Sigma: Array, covariances: Sequence[Array]) -> Array:
    """π of the simplex that minimises ‖I − Σ⁻¹ Σ_ℓ π_ℓ Λ_ℓ‖_F², an array of the length L of ``covariances``.

    With the columns c_ℓ = vec(I − Σ⁻¹Λ_ℓ) it is the point of least norm of their convex hull.  Lawson and
    Hanson's non-negative least squares finds it in finitely many steps, with no weight to choose: over
    u = tπ, t ≥ 0, the least ‖Cu‖² + (1ᵀu − 1)² is r/(1 + r) with r = ‖Cπ‖², which grows with r.

    ``Sigma`` and each covariance are d × d; where several π are optimal one of them is returned.  Raises
    :class:`ArgumentError` for a singular Σ, no covariances, or what is none of Σ's size.
    """
    target = check_definite("Sigma", Sigma)
    if not isinstance(covariances, Sequence | np.ndarray) or not len(covariances):
        raise ArgumentError(f"covariances={shown(covariances)}: must be a list of one matrix or more")
    each = [
        check_covariance(f"covariances[{at}]", given, len(target)) for at, given in enumerate(covariances)
    ]
    columns = np.array([(np.eye(len(target)) - np.linalg.solve(target, one)).ravel() for one in each]).T
    found, _ = nnls(np.vstack([columns, np.ones(len(each))]), np.append(np.zeros(len(columns)), 1.0))
    return np.asarray(found / found.sum())


_MIXED = sp.Eq(Lambda_pi, nt.MatrixSum(weight[tau] * Lambda_tau, tau, 1, L), evaluate=False)
_PROXY = nt.FrobeniusSquared(I - Sigma.I * Lambda_pi)
_ERROR = nt.FrobeniusSquared(I - Lambda_pi.I * Sigma)

register(
    Statement(
        "rel-selection.a",
        REPORTED,
        "The mixture nearest to the test covariance has the least error",
        nt.Listing(nt.Chain(nt.Argmin(_PROXY, simplex), nt.Argmin(_ERROR, simplex)), _MIXED),
        assumptions=("Ṽ = −Λ_π⁻¹, the limit of −Γ⁻¹ as n → ∞", "one step, m → ∞", "Σ ≻ 0, Λ_π ≻ 0"),
        condition="Σ is itself a mixture of the Λ_τ",
        counterexample=points.undercovered,
        depends_on=("prop-5.1", "rel-pretraining"),
        note="With E = I − Σ⁻¹Λ_π the error is ‖E(I − E)⁻¹‖_F²: the proxy is its second order in E.  A "
        "direction with too little of Λ_π costs at most 1 in the proxy, and any amount in the error.",
    )
)
register(
    Statement(
        "rel-selection.b",
        BEYOND,
        "What pretraining on prompts drawn from a mixture of covariances ends at",
        nt.Listing(
            sp.Eq(
                V_pre,
                -Lambda_pi * sp.Inverse(nt.MatrixSum(weight[tau] * Gamma_tau * Lambda_tau, tau, 1, L)),
                evaluate=False,
            ),
            _MIXED,
            sp.Eq(Gamma_tau, (1 + 1 / n) * Lambda_tau + (1 / n) * sp.Trace(Lambda_tau) * I, evaluate=False),
        ),
        assumptions=("each prompt of N(0, Λ_τ) with probability π_τ", "Λ_π ≻ 0", "W_yc held at −1"),
        depends_on=("eq-3.6.a",),
        note="As n → ∞ it tends to −Λ_π(Σ π_τΛ_τ²)⁻¹, which is −Λ_π⁻¹ only where all Λ_τ with π_τ > 0 are "
        "equal: even where Λ_π = Σ one step leaves an error.",
    )
)
