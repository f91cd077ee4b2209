"""Whether two expressions are equal: at random points, every matrix and symbol generic.

Two expressions that agree at two generic points to nine digits are taken to be one: a polynomial identity
that fails, fails at almost every point.  Functions that have no value here (a named loss, a spectral radius)
are smooth random functions of their arguments.  What random symbols cannot see as equal (two matrices that
commute in the setting of a statement alone) counts as different.
"""

from __future__ import annotations

import warnings
import zlib
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.matrices.expressions.matexpr import MatrixExpr

from theory import notation as nt

SIZES = {"d": 5, "n": 6, "B": 3, "k": 4, "m": 7, "K": 3}  # B < d: no projection on a range is I by accident
PROJECTIONS = ("P_U", "P_W", "Pi_M", "Pi=MM+")


class Point:
    """Values for all symbols, drawn from ``seed`` and the name; letters in ``singular`` have rank d − 1."""

    def __init__(self, seed: int, singular: frozenset[sp.Basic] = frozenset()) -> None:
        self._seed = seed
        self._singular = singular
        self._index: dict[Any, int] = {}

    def _random(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(name.encode())])

    def scalar(self, name: str) -> complex:
        return complex(self._random(name).uniform(0.3, 2.0))

    def integer(self, node: Any) -> int:
        return round(np.real(self.value(sp.sympify(node))))

    def matrix(self, symbol: sp.MatrixSymbol) -> np.ndarray:
        rows, cols = map(self.integer, symbol.shape)
        found = self._random(symbol.name).normal(size=(rows, cols))
        letter = nt.LETTERS.get(symbol.name)
        if symbol.name in PROJECTIONS:
            onto, _ = np.linalg.qr(found[:, : rows - 1])
            return onto @ onto.T
        if symbol in self._singular:
            found[:, 0] = 0.0
        return found @ found.T if letter is not None and letter.symmetric else found

    def total(self, term: sp.Basic, limits: list[Any]) -> Any:
        """The sum over the last of ``limits``, the others inside it."""
        if not limits:
            return self.value(term)
        *rest, (index, low, high) = limits
        first, last = self.integer(low), self.integer(high)
        kept, found = self._index.get(index), []
        for at in range(first, last + 1):
            self._index[index] = at
            found.append(self.total(term, rest))
        self._index.pop(index, None)
        if kept is not None:
            self._index[index] = kept
        return sum(found[1:], start=found[0]) if found else 0j

    def value(self, node: Any) -> Any:
        """The value of an expression: a number or an array, and for a relation or another compound form a
        number that depends on all its parts."""
        if node in self._index:
            return complex(self._index[node])
        if isinstance(node, sp.MatrixSymbol):
            return self.matrix(node)
        if isinstance(node, sp.Identity):
            return np.eye(self.integer(node.shape[0]))
        if isinstance(node, sp.ZeroMatrix):
            return np.zeros(tuple(map(self.integer, node.shape)))
        if isinstance(node, sp.Symbol):
            return complex(SIZES[node.name]) if node.name in SIZES else self.scalar(node.name)
        if isinstance(node, sp.Indexed):
            return self.scalar(f"{node.base}{[self.integer(i) for i in node.indices]}")
        if isinstance(node, sp.Number | sp.NumberSymbol):
            return complex(node)
        if isinstance(node, sp.Sum):
            return self.total(node.function, [tuple(limit) for limit in node.limits])
        if isinstance(node, nt.MatrixSum):
            return self.total(node.args[0], [node.args[1:]])
        if not isinstance(node, sp.Basic):
            return self.scalar(str(node))
        return self._combined(node, [self.value(arg) for arg in node.args])

    def _combined(self, node: sp.Basic, parts: list[Any]) -> Any:
        if isinstance(node, sp.Add):
            return sum(parts[1:], start=parts[0])
        if isinstance(node, sp.Mul):
            product = parts[0]
            for part in parts[1:]:
                product = product @ part if np.ndim(product) and np.ndim(part) else product * part
            return product
        if isinstance(node, sp.Inverse):
            return np.linalg.inv(parts[0])
        if isinstance(node, sp.Pow | sp.MatPow):
            base, exponent = parts
            whole = round(np.real(exponent))
            return np.linalg.matrix_power(base, whole) if np.ndim(base) else base**exponent
        if isinstance(node, sp.Transpose):
            return parts[0].T
        if isinstance(node, nt.Pinv):
            return np.linalg.pinv(parts[0])
        if isinstance(node, sp.Trace):
            return complex(np.trace(parts[0]))
        if type(node) in (nt.FrobeniusSquared, nt.NormSquared, nt.Frobenius):
            return complex(np.sum(np.abs(parts[0]) ** 2)) ** (0.5 if isinstance(node, nt.Frobenius) else 1)
        if isinstance(node, nt.MatrixExpectation):
            return parts[0]
        if isinstance(node, sp.Function) and not isinstance(node, AppliedUndef) and np.ndim(parts[0]) == 0:
            return complex(node.func(*map(sp.sympify, parts)).evalf())
        return self._unknown(node, parts)

    def _unknown(self, node: sp.Basic, parts: list[Any]) -> Any:
        """A smooth random function of the parts, in the shape of the node."""
        name = type(node).__name__ if parts else str(node)
        total = self.scalar(name)
        for at, part in enumerate(parts):
            flat = np.ravel(part)
            weights = self._random(f"{name}/{at}").uniform(0.3, 2.0, size=flat.size)
            total = total + np.sum(np.tanh(weights * flat / 4)) + weights.sum() * np.sum(flat) / 7
        if isinstance(node, MatrixExpr):
            shape = tuple(map(self.integer, node.shape))
            return total * self._random(name).normal(size=shape)
        return complex(total)


def _close(one: Any, other: Any) -> bool:
    if np.shape(one) != np.shape(other):
        return False
    a, b = np.asarray(one, dtype=complex), np.asarray(other, dtype=complex)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return bool(np.array_equal(a, b))
    scale = max(float(np.max(np.abs(a))), float(np.max(np.abs(b))), 1e-12)
    return bool(np.max(np.abs(a - b)) <= 1e-9 * scale)


def well_formed(expression: sp.Basic) -> bool:
    """Whether the shapes of all factors and terms fit, where the expression can be evaluated at all."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            Point(1).value(expression)
    except ValueError as error:
        return "shape" not in str(error) and "mismatch" not in str(error) and "square" not in str(error)
    except (TypeError, ArithmeticError, np.linalg.LinAlgError):
        return True
    return True


def equal(one: sp.Basic, other: sp.Basic) -> bool:
    """Whether the two agree at two generic points; ``False`` where they have no value."""
    singular = frozenset(
        inner for e in (one, other) for p in e.atoms(nt.Pinv) for inner in p.atoms(sp.MatrixSymbol)
    ) - {i.arg for e in (one, other) for i in e.atoms(sp.Inverse)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return all(_close(Point(s, singular).value(one), Point(s, singular).value(other)) for s in (1, 2))
    except (TypeError, ValueError, np.linalg.LinAlgError, OverflowError, ZeroDivisionError):
        return False
