"""The printed formulas of fine-tuning with both blocks free, evaluated at blocks and at populations."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import scipy.optimize
import sympy as sp
from numpy.typing import NDArray

from theory import joint
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.population import Q_LIMIT
from theory.statement import registry
from theory.words.evaluate import evaluate
from theory.words.poly import Scalar, substitute
from verify.checks.joint import Blocks, Pair, Population
from verify.predictions import A
from verify.surface import value

Array = NDArray[np.float64]
T_LETTER = nt.letter_of(joint.T)


def loss_with_T() -> Scalar:
    """The loss as printed, in Ṽ, W̃, A and T."""
    return lower_scalar(registry()["ext-sft-loss"].printed.rhs) * sp.Rational(1, 2)


def loss() -> Scalar:
    """The same with T = E[S ṼᵀṼ S] put in."""
    found = substitute(loss_with_T(), {T_LETTER: lower_matrix(joint.T_OF_V)})
    assert isinstance(found, Scalar)
    return found


def slope_form() -> Any:
    """The gradient in W̃ at (Ṽ_∞, I) as printed."""
    return registry()["ext-sft-stationary"].printed.rhs


def slope(at: Blocks) -> Pair:
    """The gradients at (Ṽ_∞, I): 0 in Ṽ, and the printed one."""
    Q = evaluate(lower_matrix(Q_LIMIT), {A: at.A}, {nt.n: at.n})
    values = {nt.A: at.A, joint.Q: (Q + Q.T) / 2, nt.n: at.n, nt.eta: at.eta}
    found = np.asarray(value(slope_form(), values | joint.path_sums(at.eta, at.k)))
    return np.zeros_like(found), found


def least_forms() -> tuple[Any, Any]:
    """The bound on the loss, and the loss at (Ṽ_∞, I), as printed."""
    bound, attained = registry()["ext-sft-minimum"].printed.args
    return bound.rhs, attained.rhs


def least(of: Population, form: int = 1) -> float:
    """The bound (0) or the loss at (Ṽ_∞, I) (1)."""
    scalars = {nt.n: of.n, nt.d: len(of.spectrum), joint.rank: sum(x > 0 for x in of.spectrum)}
    sums = joint.path_sums(of.eta, of.k)
    return float(value(least_forms()[form], {**scalars, nt.eta: of.eta, **sums}))


def reduced(lams: Any, mus: Any, scalars: dict[sp.Basic, Any]) -> Any:
    """η²c_k/2 times the printed function of μ, at these λ and μ; β as printed."""
    least_form, mixture = registry()["ext-sft-joint.a"].printed.args
    factor, least_of = least_form.args[1].args
    given = {base[i]: x for base, xs in ((joint.lam, lams), (joint.mu, mus)) for i, x in enumerate(xs, 1)}
    given |= {joint.rank: len(lams), sp.Trace(nt.A): sum(lams), **scalars}
    given[joint.beta] = value(mixture.rhs, given)
    return value(factor, given) * value(least_of.args[1], given)


def least_of(matrix: Array, n: int, eta: float, k: int) -> tuple[float, Pair]:
    """The least value of the printed function, and the blocks that the note gives at the μ where it is taken.

    Ṽ has the eigenvalues −σ√(μ/λ), σ the best of all scales; W̃ is the best for Ṽ.
    """
    values, basis = np.linalg.eigh(matrix)
    lams = [float(x) for x in values]
    scalars = {nt.n: n, nt.eta: eta, nt.d: len(lams), **joint.path_sums(eta, k)}
    symbols = sp.symbols(f"y:{len(lams)}", positive=True)
    function = sp.lambdify([symbols], reduced(lams, [sp.exp(y) for y in symbols], scalars), "numpy")
    # From μ = λy² at W̃ = I; a common factor does not count.
    inner = (n + 1) / n * values + values.sum() / n
    with np.errstate(all="ignore"):
        found = scipy.optimize.minimize(function, np.log(values / inner**2), method="BFGS", tol=1e-10)
        mus = np.exp(found.x)
        rows = np.sqrt(mus / values)
        sigma = eta * (values @ rows) / (inner @ mus)
    V_at = -sigma * (basis * rows) @ basis.T
    given = {nt.letter_of(nt.V): V_at, A: matrix}
    T = evaluate(lower_matrix(joint.T_OF_V), given, {nt.n: n})
    W_at = evaluate(joint.least_over_W()[0], {**given, T_LETTER: (T + T.T) / 2}, scalars)
    return float(found.fun), (V_at, np.asarray(W_at))


@cache
def least_joint(of: Population) -> tuple[float, Pair]:
    """The same for a population."""
    return least_of(of.A, of.n, of.eta, of.k)


def first_order_forms() -> tuple[Any, Any]:
    """The limits of n(Ṽ_n − Ṽ_∞) and n(W̃_n − I) as printed, H put in."""
    in_V, in_W = (form.args[3] for form in registry()["ext-sft-joint.b"].printed.args)
    return in_V.xreplace({joint.H: joint.H_OF_A}), in_W.xreplace({joint.H: joint.H_OF_A})


def first_order(of: Population) -> Pair:
    values = {nt.A: of.A, nt.eta: of.eta, **joint.path_sums(of.eta, of.k)}
    in_V, in_W = (np.asarray(value(form, values)) for form in first_order_forms())
    return in_V, in_W
