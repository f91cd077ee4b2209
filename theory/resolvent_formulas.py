"""The matrices and scalars of Appendix C's resolvents, and the formulas that several statements share."""

from __future__ import annotations

from typing import Any

import sympy as sp

from theory import notation as nt
from theory.block_symbols import K, a, average, beta, family, k, mu, v, z
from theory.equivalents_calculus import f, g, t
from theory.notation import A, B, I, Omega, d

__all__ = ["f", "g", "k", "t"]

M = nt.matrix("M=AOmega", d, B, "M")
Pi, R, T, T_t, D, D_1, D_2, F, G = (
    nt.matrix(name, d, d, latex, symmetric=True)
    for name, latex in (
        ("Pi=MM+", r"\Pi_{M}"),
        ("R(z)", "R(z)"),
        ("T(z)", "T(z)"),
        ("T(z,t)", "T(z,t)"),
        ("D", "D"),
        ("D_block_1", "D_{1}"),
        ("D_block_2", "D_{2}"),
        ("F", "F"),
        ("G_blocks", "G"),
    )
)
companion = nt.matrix("G_companion", B, B, r"\tilde{G}", symmetric=True)
m_z, v_z, v_t = (nt.scalar_symbol(name, name, positive=True) for name in ("m(z)", "v(z)", "v(z,t)"))
Psi = family("Psi(z)", r"\Psi")
DELTA = nt.scalar_symbol("Delta(z)", r"\Delta(z)", positive=True)


def eq(left: Any, right: Any) -> sp.Eq:
    """left = right, for print."""
    return sp.Eq(left, right, evaluate=False)


def nearly(expression: Any, value: Any) -> nt.Tends:
    """The limit z → 0⁺."""
    return nt.Tends(expression, z, sp.Symbol("0^{+}"), value)


def tends(expression: Any, value: Any) -> nt.Tends:
    """The limit as d → ∞ and B with it."""
    return nt.Tends(expression, d, sp.oo, value)


def slope(of: str) -> sp.Symbol:
    """∂/∂t of what prints as ``of``, at t = 0."""
    return sp.Symbol(rf"\left. \partial_{{t}} {of} \right|_{{t=0}}")


def normalised(matrix: Any) -> sp.Expr:
    """(1/d) tr."""
    return sp.Trace(matrix) / d


def onto(matrix: Any) -> sp.Inverse:
    """The inverse."""
    return sp.Inverse(matrix)


def two(summand: sp.Expr) -> sp.Sum:
    """The sum over the paper's two blocks."""
    return average(summand, 2)


def blocks(summand: sp.Expr) -> sp.Sum:
    """The sum over K blocks."""
    return average(summand, K)


LEVEL = a[k] ** 2


def share(root: sp.Expr) -> sp.Expr:
    """a_k² q/(1 + a_k² q)."""
    return LEVEL * root / (1 + LEVEL * root)


NUMERATOR = mu[1] * mu[2] * v[1] * v[2]
SPREAD = mu[1] * v[1] + mu[2] * v[2]
LEAKAGE = NUMERATOR / SPREAD
EQUIVALENT = tends(normalised(D * R) - normalised(D * T), 0)
FORM = eq(T, sp.Inverse(z * I + v_z * A**2))
COMPANION = eq(companion, Omega.T * A**2 * Omega)
COMPANION_TRACE = sp.Trace(sp.Inverse(companion + z * sp.Identity(B)))
TRANSFORM = COMPANION_TRACE / B
TWO_RESOLVENTS = v_z**2 / beta * Psi[1] * Psi[2] / DELTA
