"""The fixed-point equation against exact Wishart means: its expansion for large z, moment by moment.

(1/d) tr(F (MMᵀ/d)^i G (MMᵀ/d)^j) has an exact mean for any covariance C and matrices F, G; its limit has to
be what the equation gives.  Notes: ``notes/equivalents.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory.block_symbols import beta
from theory.wishart import expectation
from theory.words.letters import Letter
from theory.words.poly import letter

x, level, F, G = sp.symbols("x c f g")  # x = 1/z; a block's levels of C and of the diagonal F and G
d, B = sp.symbols("d B", integer=True, positive=True)


def average(power: int, *marks: sp.Symbol) -> sp.Symbol:
    """Σ μ_k c_k^power, with f_k or g_k in the sum if marked."""
    return sp.Symbol("".join(["m", *sorted(str(mark) for mark in marks), f"_{power}"]))


def _truncated(expression: sp.Expr, order: int) -> sp.Expr:
    series = sp.Poly(sp.expand(expression), x)
    return sum(series.coeff_monomial(x**j) * x**j for j in range(order + 1))


def _mean(expression: sp.Expr) -> sp.Expr:
    """The average over blocks of a polynomial in the levels, of degree at most 1 in f and in g."""
    total = sp.Integer(0)
    for (power, f, g), part in sp.Poly(sp.expand(expression), level, F, G).terms():
        marks = [F] * f + [G] * g
        total += part * (average(power, *marks) if power or marks else 1)
    return total


def _geometric(ratio: sp.Expr, order: int) -> sp.Expr:
    """1/(1 + ratio) for a ratio of order x, up to x^order."""
    total = term = sp.Integer(1)
    for _ in range(order):
        term = _truncated(-term * ratio, order)
        total += term
    return total


def _root_and_equivalent(order: int) -> tuple[sp.Expr, sp.Expr]:
    """b and zT = 1/(1 + x b c) as series in x up to ``order``, each round right to one order more."""
    root = T = sp.Integer(0)
    for _ in range(order + 2):
        T = _geometric(x * root * level, order)
        root = sp.expand(beta * _geometric(x * _mean(level * T), order))
    return root, T


@cache
def of_equation(order: int) -> tuple[sp.Expr, ...]:
    """lim (1/d) tr(F (MMᵀ/d)^j), j = 1 … order: of (1/d) tr(F T), the coefficients of (−1)^j z^{−1−j}."""
    series = sp.Poly(_mean(F * _root_and_equivalent(order)[1]), x)
    return tuple(sp.expand((-1) ** j * series.coeff_monomial(x**j)) for j in range(1, order + 1))


@cache
def pair_of_equation(order: int) -> tuple[sp.Expr, ...]:
    """lim (1/d) Σ_{i+j=p} tr(F (MMᵀ/d)^i G (MMᵀ/d)^j), p = 1 … order: of the derivative of (1/d) tr(F T) by
    z → z + t g, the coefficients of (−1)^{p+1} z^{−2−p}."""
    root, T = _root_and_equivalent(order)
    square = _truncated(T**2, order)
    change = sp.Integer(0)  # db/dt
    for _ in range(order + 2):
        moved = _mean(level * (G + change * level) * square)
        change = _truncated(x**2 * root**2 / beta * moved, order)
    series = sp.Poly(_truncated(_mean(F * (G + change * level) * square), order), x)
    return tuple(sp.expand((-1) ** j * series.coeff_monomial(x**j)) for j in range(1, order + 1))


def _limit(words: list[tuple[int, int]], marked: bool) -> sp.Expr:
    """lim (1/d) (B/d)^{i+j} Σ E tr(F S^i G S^j) over the (i, j), S = MMᵀ/B; without G if not ``marked``."""
    S, C, first, second = (Letter(name, d, d, symmetric=True) for name in ("S", "C", "F", "G"))
    marks = {first: F, second: G}
    total = sp.Integer(0)
    for i, j in words:
        word = letter(first) @ letter(S).power(i)
        if marked:
            word = word @ letter(second) @ letter(S).power(j)
        for traces, coefficient in expectation(word.trace(), S, C, B).terms.items():
            value = coefficient * (B / d) ** (i + j) / d
            for trace in traces:
                found = [marks[factor.letter] for factor in trace if factor.letter in marks]
                value *= d * average(len(trace) - len(found), *found)
            total += value
    return sp.expand(sp.limit(sp.expand(total.subs(B, beta * d)), d, sp.oo))


@cache
def of_wishart(order: int) -> tuple[sp.Expr, ...]:
    """What :func:`of_equation` has to give, from exact means."""
    return tuple(_limit([(j, 0)], False) for j in range(1, order + 1))


@cache
def pair_of_wishart(order: int) -> tuple[sp.Expr, ...]:
    """What :func:`pair_of_equation` has to give, from exact means."""
    return tuple(_limit([(i, p - i) for i in range(p + 1)], True) for p in range(1, order + 1))
