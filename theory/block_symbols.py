"""The symbols of Appendices B–D: block values as indexed families, averages over K blocks as sums.

A formula holds for K blocks in general; :func:`at` puts numbers in, exact ones staying exact, and
:func:`callable_of` compiles it for a number of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from theory import notation as nt
from theory.errors import ArgumentError

K = sp.Symbol("K", integer=True, positive=True)
k, l = sp.symbols("k l", integer=True, positive=True)  # noqa: E741  two block indices
q, beta, z = sp.symbols("q beta z", positive=True)
aspect = nt.scalar_symbol("aspect", r"\gamma", positive=True)
aspect_pre = nt.scalar_symbol("aspect_pre", r"\gamma_{\mathrm{pre}}", positive=True)
aspect_test = nt.scalar_symbol("aspect_test", r"\gamma_{\mathrm{test}}", positive=True)
rho_pre = nt.scalar_symbol("rho_pre", r"\rho", positive=True)
r = sp.Symbol("r", positive=True)
kappa = sp.Symbol("kappa", positive=True)
Sigma_bar = nt.scalar_symbol("Sigma_bar", r"\bar{\Sigma}", positive=True)
T12 = nt.scalar_symbol("T_12", "T_{12}", positive=True)


def family(name: str, latex: str) -> sp.IndexedBase:
    """A real number for each block, printed as ``latex`` with the block as index."""
    nt.scalar_symbol(name, latex)
    return sp.IndexedBase(name, real=True)


mu = family("mu", r"\mu")
a = family("a", "a")  # A
pre = family("p", "p")  # Σ₀
Sigma = family("Sigma_block", r"\Sigma")  # Σ, which the paper writes Σ_k
c = family("c", "c")  # the covariance of a column of Φ
w = family("w", "w")
v = family("v", "v")
g = family("g", "g")  # −Γ₀⁻¹
s = family("s", "s")  # Σ_A
alpha = family("alpha_block", r"\alpha")  # D₁ = I − Γ₀⁻¹Σ
delta = family("delta", r"\delta")  # D_pre Σ
delta_tilde = family("delta_tilde", r"\tilde{\delta}")  # D_pre = Γ₀⁻¹ − ηA⁻¹


def average(summand: sp.Expr, count: Any = K, index: sp.Symbol = k) -> sp.Sum:
    """Σ_{k=1}^{count} of ``summand``, an expression in k; the weights μ_k are not put in."""
    return sp.Sum(summand, (index, 1, count))


def explicit(expression: sp.Expr, blocks: int) -> sp.Expr:
    """``expression`` with its sums written out for so many blocks."""
    return expression.subs(K, blocks).doit()


def at(
    expression: sp.Expr,
    values: Mapping[sp.IndexedBase, Sequence[Any]],
    scalars: Mapping[sp.Symbol, Any] | None = None,
) -> sp.Expr:
    """``expression`` at block values (one sequence for each family, all of one length) and at scalars.

    Rationals stay rational.  Raises :class:`ArgumentError` for families of different lengths.
    """
    lengths = {len(each) for each in values.values()}
    if len(lengths) != 1:
        raise ArgumentError(f"values of {sorted(lengths)} blocks: every family must have as many")
    (blocks,) = lengths
    table = {base[i + 1]: sp.sympify(x) for base, xs in values.items() for i, x in enumerate(xs)}
    table |= {symbol: sp.sympify(x) for symbol, x in (scalars or {}).items()}
    return explicit(expression, blocks).xreplace(table)


def callable_of(
    expression: sp.Expr, families: Sequence[sp.IndexedBase], scalars: Sequence[sp.Symbol], blocks: int
) -> Callable[..., Any]:
    """A NumPy function of the families (each of length ``blocks``), then of the scalars; broadcasts."""
    names = {base[i + 1]: sp.Symbol(f"{base}_{i + 1}") for base in families for i in range(blocks)}
    body = explicit(expression, blocks).xreplace(names)
    rows = [[names[base[i + 1]] for i in range(blocks)] for base in families]
    return sp.lambdify([*rows, *scalars], body, "numpy")
