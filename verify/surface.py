"""The value of a printed formula at a point: what a check compares with what it measures.

A prediction that is evaluated from the print changes with the print.  Numbers and arrays (float64, or SymPy
matrices for exact arithmetic) come in for the symbols; the paper's compound displays (block columns, sums
over prompts, pseudo-inverses, norms) are evaluated as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, reduce
from operator import add, matmul
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef

from theory import notation as nt
from theory.errors import ArgumentError
from theory.words.evaluate import CUTOFF

Values = Mapping[sp.Basic, Any]


def value(expression: Any, values: Values) -> Any:
    """``expression`` with ``values`` for its symbols, its indexed levels or any part of it.

    A function stands for what depends on the prompt: ``{nt.S_tau: lambda tau: S[tau - 1]}`` is asked for
    each term of a sum over ``nt.tau``, and what it returns for each over ``nt.i`` if that is a function.
    Matrices are float64 arrays, arrays of objects that add and multiply, or SymPy matrices throughout;
    the sizes d, n, B are read off the matrices that are given, and have to be given where none is.
    Blocks and columns come out as one matrix.  Raises :class:`ArgumentError` for a symbol without a
    value and for an expression that has no rule.
    """
    return _Evaluation(values).value(sp.sympify(expression))


class _Evaluation:
    def __init__(self, values: Values) -> None:
        self._values = dict(values)
        for symbol, given in values.items():  # sizes, as the matrices have them
            if isinstance(symbol, sp.MatrixSymbol) and not callable(given):
                for size, found in zip(symbol.shape, given.shape, strict=True):
                    if isinstance(size, sp.Symbol):
                        self._values.setdefault(size, found)
        given = [v for v in self._values.values() if not callable(v)]
        self._exact = any(isinstance(v, sp.MatrixBase) for v in given) or not any(
            isinstance(v, float | np.ndarray | np.floating) for v in given
        )
        objects = any(isinstance(v, np.ndarray) and v.dtype == object for v in given)
        self._kind = object if objects else float

    def value(self, node: Any) -> Any:
        node = sp.sympify(node)  # a bare 0 or 1 of a block column
        if node in self._values:
            return self._given(node)
        if isinstance(node, sp.Indexed):
            at = node.base[tuple(sp.Integer(self.integer(i)) for i in node.indices)]
            if at in self._values:
                return self._given(at)
            raise ArgumentError(f"values: nothing for {at}")
        rule = _rule(node.__class__)
        if rule is None:
            return self.unknown(node)
        return rule(self, node)

    def _given(self, node: sp.Basic) -> Any:
        found = self._values[node]
        for index in (nt.tau, nt.i):
            found = found(self._values[index]) if callable(found) else found
        return found

    def unknown(self, node: sp.Basic) -> Any:
        """Of a symbol that is not given, or a form without a rule."""
        raise ArgumentError(f"values: nothing for {nt.latex(node)} ({type(node).__name__})")

    def integer(self, node: Any) -> int:
        return int(self.value(sp.sympify(node)))

    def number(self, node: sp.Expr) -> Any:
        return node if self._exact or self._kind is object else float(node)

    def identity(self, size: Any) -> Any:
        rows = self.integer(size)
        return sp.eye(rows) if self._exact else np.eye(rows, dtype=self._kind)

    def zero(self, rows: Any, cols: Any) -> Any:
        shape = self.integer(rows), self.integer(cols)
        return sp.zeros(*shape) if self._exact else np.zeros(shape, dtype=self._kind)

    def total(self, term: sp.Basic, limits: list[Any]) -> Any:
        """The sum over the last of ``limits``, the others inside it; the last is named first."""
        if not limits:
            return self.value(term)
        *rest, (index, low, high) = limits
        first, last = self.integer(low), self.integer(high)
        kept = self._values.get(index)
        terms = []
        for at in range(first, last + 1):
            self._values[index] = at
            terms.append(self.total(term, rest))
        self._values.pop(index, None)
        if kept is not None:
            self._values[index] = kept
        return reduce(add, terms) if terms else self.empty(term)

    def empty(self, term: sp.Basic) -> Any:
        shape = getattr(term, "shape", None)
        return self.zero(*shape) if shape else 0

    def parts(self, node: sp.Basic) -> list[Any]:
        return [self.value(arg) for arg in node.args]

    def product(self, node: sp.Basic) -> Any:
        numbers = [p for p in self.parts(node) if not _is_matrix(p)]
        matrices = [p for p in self.parts(node) if _is_matrix(p)]
        scale = reduce(lambda a, b: a * b, numbers, 1)
        return reduce(matmul, matrices) * scale if matrices else scale

    def power(self, node: sp.Basic) -> Any:
        base, exponent = self.parts(node)
        if not _is_matrix(base):
            return base**exponent
        if self._exact:
            return base ** sp.sympify(exponent)
        return np.linalg.matrix_power(base, int(exponent))

    def inverse(self, node: sp.Inverse) -> Any:
        found = self.value(node.arg)
        return found.inv() if self._exact else np.linalg.inv(found)

    def pinv(self, node: nt.Pinv) -> Any:
        found = self.value(node.args[0])
        return found.pinv() if self._exact else np.linalg.pinv(found, rcond=CUTOFF)

    def trace(self, node: sp.Trace) -> Any:
        found = self.value(node.arg)
        if self._exact:
            return found.trace()
        return np.trace(found) if self._kind is object else float(np.trace(found))

    def squares(self, node: sp.Basic) -> Any:
        found = self.value(node.args[0])
        if self._exact or self._kind is object:
            total = sum(x**2 for x in (found if self._exact else found.ravel()))
        else:
            total = float(np.sum(found**2))
        if type(node) is nt.Frobenius:
            return sp.sqrt(total) if self._exact else total**0.5
        return total

    def operator_norm(self, node: sp.Basic) -> float:
        return float(np.linalg.norm(np.asarray(self.value(node.args[0]), dtype=float), 2))

    def stacked(self, node: sp.Basic) -> Any:
        """A block column, or a block matrix by its rows; a bare 0 or 1 is a 1 × 1 block."""
        rows = [row.args if isinstance(row, sp.Tuple) else (row,) for row in node.args]
        blocks = [[self._block(b) for b in row] for row in rows]
        return sp.Matrix(sp.BlockMatrix(blocks).as_explicit()) if self._exact else np.block(blocks)

    def _block(self, node: sp.Basic) -> Any:
        found = self.value(node)
        if _is_matrix(found):
            return found
        return sp.Matrix([[found]]) if self._exact else np.array([[float(found)]])

    def function(self, node: sp.Function) -> Any:
        parts = [sp.sympify(p) for p in self.parts(node)]
        return self.number(node.func(*parts))


def _is_matrix(found: Any) -> bool:
    return isinstance(found, sp.MatrixBase) or np.ndim(found) > 0


def _entrywise(left: Any, right: Any) -> Any:
    return left.multiply_elementwise(right) if isinstance(left, sp.MatrixBase) else left * right


def _relation(evaluation: _Evaluation, node: Any) -> Any:
    return node.func(evaluation.value(node.lhs), evaluation.value(node.rhs))


Rule = Callable[[_Evaluation, Any], Any]
_RULES: tuple[tuple[Any, Rule], ...] = (
    (sp.Number | sp.NumberSymbol, lambda e, node: e.number(node)),
    (sp.Identity, lambda e, node: e.identity(node.shape[0])),
    (sp.ZeroMatrix, lambda e, node: e.zero(*node.shape)),
    (sp.MatrixSymbol | sp.Symbol | AppliedUndef, lambda e, node: e.unknown(node)),
    (sp.Sum, lambda e, node: e.total(node.function, [tuple(limit) for limit in node.limits])),
    (nt.MatrixSum, lambda e, node: e.total(node.args[0], [node.args[1:]])),
    (sp.Inverse, lambda e, node: e.inverse(node)),
    (sp.HadamardProduct, lambda e, node: reduce(_entrywise, e.parts(node))),
    (sp.Transpose, lambda e, node: e.value(node.arg).T),
    (nt.Pinv, lambda e, node: e.pinv(node)),
    (sp.Trace, lambda e, node: e.trace(node)),
    (nt.OperatorNorm, lambda e, node: e.operator_norm(node)),
    (nt.FrobeniusSquared, lambda e, node: e.squares(node)),  # and its subclasses
    (nt.Column | nt.Blocks, lambda e, node: e.stacked(node)),
    (sp.Add | nt.Sum_, lambda e, node: reduce(add, e.parts(node))),
    (nt.Minus, lambda e, node: reduce(lambda a, b: a - b, e.parts(node))),
    (sp.Mul | nt.Product_, lambda e, node: e.product(node)),
    (sp.Pow | sp.MatPow, lambda e, node: e.power(node)),
    (sp.Rel, _relation),
    (sp.Function | sp.Max | sp.Min, lambda e, node: e.function(node)),
)


@cache
def _rule(kind: Any) -> Rule | None:
    return next((rule for kinds, rule in _RULES if issubclass(kind, kinds)), None)
