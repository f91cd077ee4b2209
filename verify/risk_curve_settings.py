"""The settings in which Proposition B.2 is checked, and what its formulas give there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import risk_curve_exact as exact
from theory import risk_curve_formulas as formulas
from theory.block_symbols import a, aspect, average, explicit, k, mu, r, rho_pre
from theory.equivalents import root
from theory.notation import eta
from theory.proportional import limit_terms, setting
from theory.risk_curve_formulas import in_numbers, mean_square
from theory.risk_curve_points import Point, printed, q
from verify.checks.risk_curve import Task

FEW_HELP = Task(2 / 3, 0.5, 0.9, 0.4, 0.25)
FEW_HURT = Task(1 / 4, 1.5, 0.7, 0.5, 0.5)
APART = replace(FEW_HURT, aspect=0.25)  # where Ṽ_* and V_S + V_N are far apart for many prompts
# Where few terms of C₁, or of C₂, are small.
MANY, NOISY = Task(2 / 3, 1.0, 0.4, 0.8, 0.25), Task(1 / 2, 2.0, 1.2, 0.3, 0.5)
SMALL_R = Task(1 / 2, 0.5, 0.9, 0.02, 0.0625)  # and small γ, in the condition of Proposition B.2 (iii)
AT_EQUALITY = Task(1 / 2, 1.0, 0.9, 0.002, 0.125)  # μ₁ = ρ²/(1 + ρ²)
# Where each factor of a slope shows and a draw of it scatters little: γ is not small, no level is near 1.
SLOPED = (Task(1 / 4, 2.0, 0.5, 0.8, 0.25), Task(2 / 3, 0.5, 0.5, 0.4, 0.5))
SLOPED_LINEARISED = (Task(1 / 4, 0.8, 0.5, 0.8, 2.0), Task(3 / 4, 2.0, 0.5, 0.8, 1.0))
SLOPED_TINY = (Task(3 / 4, 2.0, 0.5, 1e-4, 2.0), Task(2 / 3, 0.5, 0.5, 1e-4, 0.5))
BIASED_TINY = (Task(2 / 3, 0.5, 1.4, 1e-4, 0.25), Task(2 / 3, 0.5, 0.5, 1e-4, 0.25))
# At equality in Proposition B.2 (iii), r → 0: small and large powers of ρ count.
LEVEL = tuple(Task(x, (x / (1 - x)) ** 0.5, 0.5, 1e-6, 0.0) for x in (1 / 3, 3 / 4))
LARGE_GAP = Task(2 / 3, 0.5, 0.5, 0.00125, 1 / 128)
FIGURE_5 = Task(1 / 2, 0.1, 0.2, 0.1, 0.6)  # its panel (a)
MATCHED = Task(2 / 3, 1.0, 1.0, 0.2, 1.0)  # the counterexample of ext-curve.e, at r = 1/5


def values(of: Task) -> dict[sp.Basic, sp.Float]:
    """μ₁, ρ, η, r, γ of a task."""
    pairs = ((rho_pre, of.rho), (eta, of.eta), (r, of.r), (aspect, of.aspect), (mu[1], of.first))
    return {symbol: sp.Float(value) for symbol, value in pairs}


def number(expression: sp.Expr, of: Task) -> float:
    """An expression in the block values of Appendix B, and c = Σμ_ka_k², at a task."""
    square = explicit(average(mu[k] * a[k] ** 2, 2), 2)
    return float(in_numbers(explicit(expression, 2).xreplace({mean_square: square})).xreplace(values(of)))


def exact_number(expression: sp.Expr, of: Task) -> float:
    """An expression in the levels of :mod:`theory.risk_curve_exact` at a task."""
    return float(in_numbers(exact.in_levels(expression, 2)).xreplace(values(of)))


def linearised_at(beta: float, of: Task) -> float:
    """F at β, with B.16 and B.17 corrected."""
    at = Point(*(sp.Float(x) for x in (of.first, of.rho, of.eta, of.r, of.aspect)))
    if beta > 1:
        return number(formulas.FLOOR, of) + number(formulas.DECAY, of) / (beta - 1)
    squares = np.array([float(x) ** 2 for x in at.post])
    (found,) = root([beta], squares, np.array([of.first, 1 - of.first]))
    return float(printed(at, corrected=True).error.xreplace({q: sp.Float(found)}))


def exact_at(betas: Sequence[float], of: Task) -> NDArray[np.float64]:
    """The limit of Err(Ṽ_*) at each β, by :mod:`theory.proportional`."""
    chosen = setting(
        aspect=of.aspect,
        eta=of.eta,
        weights=[of.first, 1 - of.first],
        post=[of.eta * (of.rho + 1), of.r],
        pre=[of.rho, 1.0],
        test=[of.rho + 1, 1.0],
    )
    return limit_terms(np.array(betas), chosen).total
