"""A statement's SymPy expression at explicit matrices: the printed object itself, evaluated exactly.

Unlike :mod:`theory.lower` this knows no rewriting; it is how formulas with an inverse or pseudo-inverse
of a sum are compared with what they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from theory.errors import ArgumentError
from theory.notation import FrobeniusSquared, MatrixSum, Pinv


def explicit(
    expression: Any, matrices: Mapping[sp.MatrixSymbol, sp.Matrix], scalars: Mapping[sp.Symbol, Any]
) -> Any:
    """``expression`` with every matrix symbol and scalar given; a SymPy matrix or number.

    Raises :class:`ArgumentError` for a symbol without a value and for a node that has no value here.
    """

    def value(node: Any) -> Any:
        return explicit(node, matrices, scalars)

    if isinstance(expression, sp.MatrixSymbol):
        if expression not in matrices:
            raise ArgumentError(f"matrices lack {expression}: given are {sorted(map(str, matrices))}")
        return matrices[expression]
    if isinstance(expression, sp.Identity):
        return sp.eye(int(expression.shape[0].subs(scalars)))
    if isinstance(expression, sp.Transpose):
        return value(expression.arg).T
    if isinstance(expression, sp.Inverse):
        return value(expression.arg).inv()
    if isinstance(expression, Pinv):
        return value(expression.args[0]).pinv()
    if isinstance(expression, sp.Trace):
        return value(expression.arg).trace()
    if type(expression) is FrobeniusSquared:
        return sp.Add(*(x**2 for x in value(expression.args[0])))
    if isinstance(expression, sp.MatPow):
        return value(expression.base) ** int(expression.exp.subs(scalars))
    if isinstance(expression, MatrixSum):
        of, index, low, high = expression.args
        bounds = (int(sp.sympify(edge).subs(scalars)) for edge in (low, high))
        first, last = bounds
        terms = [explicit(of, matrices, {**scalars, index: at}) for at in range(first, last + 1)]
        return sum(terms, start=sp.zeros(*(int(size.subs(scalars)) for size in of.shape)))
    if isinstance(expression, sp.MatAdd | sp.MatMul | sp.Add | sp.Mul | sp.Pow):
        first, *rest = map(value, expression.args)
        for other in rest:
            if isinstance(expression, sp.Pow):
                first = first**other
            elif isinstance(expression, sp.MatAdd | sp.Add):
                first = first + other
            else:
                first = first * other
        return first
    found = sp.sympify(expression).subs(scalars)
    if not found.is_number:
        raise ArgumentError(f"expression={expression}: no value for {sorted(map(str, found.free_symbols))}")
    return found
