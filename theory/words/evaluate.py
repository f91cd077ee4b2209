"""Numbers for letters: a word polynomial at explicit matrices, in floats or in exact fractions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.errors import ArgumentError
from theory.words.letters import Letter, Word
from theory.words.poly import Matrix, Scalar, Words, substitute

CUTOFF = 1e-12  # singular values below this share of the largest count as zero
Values = Mapping[Letter, NDArray[Any]]


def _invert(matrix: NDArray[Any], kind: str) -> NDArray[Any]:
    if matrix.dtype != object:
        # NumPy's own cut-off, 1e-15, keeps singular values that are rounding: those of a sum of thousands
        # of columns from a singular covariance reach 2e-15 of the largest.
        return np.linalg.inv(matrix) if kind == "inv" else np.linalg.pinv(matrix, rcond=CUTOFF)
    exact = sp.Matrix(matrix)
    return np.array((exact.inv() if kind == "inv" else exact.pinv()).tolist(), dtype=object)


def evaluate(
    expression: Matrix | Scalar, matrices: Values, scalars: Mapping[sp.Symbol, Any] | None = None
) -> Any:
    """``expression`` at ``matrices`` (letter → array of its shape) and ``scalars`` (symbol → number).

    Floating arrays give floats; object arrays of SymPy rationals give exact SymPy numbers.  Letters of
    an inverse or pseudo-inverse are computed from the matrix that they invert.  Symbols that stand for
    a dimension are read off the matrices.  Raises :class:`ArgumentError` for a letter with no value,
    for a shape that contradicts another, and for a scalar left without a value.
    """
    known: dict[sp.Symbol, Any] = dict(scalars or {})
    for one, array in matrices.items():
        if array.ndim != 2:
            raise ArgumentError(f"{one.name} has shape {array.shape}: must be {one.rows} × {one.cols}")
        for dim, size in zip((one.rows, one.cols), array.shape, strict=True):
            if dim.is_Symbol:
                known.setdefault(dim, size)

    def known_in(given: Any) -> sp.Expr:
        """``given`` with what is known put in: SymPy's search for a number or a lone symbol takes most of
        the time of an evaluation in floats."""
        found = sp.sympify(given)
        found = sp.sympify(known.get(found, found)) if found.is_Symbol else found
        return found if found.is_Number else found.subs(known)

    for one, array in matrices.items():
        wanted = tuple(known_in(dim) for dim in (one.rows, one.cols))
        if any(dim.is_Integer and dim != size for dim, size in zip(wanted, array.shape, strict=True)):
            raise ArgumentError(f"{one.name} has shape {array.shape}: must be {wanted}")
    exact = all(array.dtype == object for array in matrices.values())
    cache: dict[Letter, NDArray[Any]] = dict(matrices)

    def value(one: Letter) -> NDArray[Any]:
        if one not in cache:
            if one.of is None:
                raise ArgumentError(
                    f"letter {one.name}: has no value, given are {sorted(map(str, matrices))}"
                )
            cache[one] = _invert(value(one.of), one.kind)
        return cache[one]

    def product(word: Word) -> NDArray[Any]:
        result = None
        for f in word:
            array = value(f.letter).T if f.transposed else value(f.letter)
            result = array if result is None else result @ array
        assert result is not None
        return result

    def number(coefficient: sp.Expr) -> Any:
        found = known_in(coefficient)
        if not found.is_number:
            raise ArgumentError(
                f"coefficient {coefficient}: no value for {sorted(map(str, found.free_symbols))}"
            )
        return found if exact else float(found)

    traces_seen: dict[Word, Any] = {}

    def traces_value(traces: tuple[Word, ...]) -> Any:
        total = 1
        for word in traces:
            if word not in traces_seen:
                traces_seen[word] = np.trace(product(word))
            total = total * traces_seen[word]
        return total

    if isinstance(expression, Scalar):
        return sum(
            (number(c) * traces_value(t) for t, c in expression.terms.items()), start=number(sp.Integer(0))
        )
    rows, cols = (int(number(dim)) for dim in expression.shape)
    total = np.zeros((rows, cols), dtype=object if exact else float)
    for (traces, word), c in expression.terms.items():
        base = product(word) if word else np.eye(rows, dtype=int)
        total = total + number(c) * traces_value(traces) * base
    return total


def subs(expression: Words, values: Mapping[Any, Any]) -> Any:
    """``expression`` with letters replaced by polynomials or by explicit matrices, symbols by scalars.

    A letter may be given as a :class:`Matrix` polynomial of its shape, or as a SymPy or NumPy matrix; with
    explicit matrices for all letters the result is a number or an explicit matrix (SymPy for SymPy, exact;
    NumPy for NumPy).  Raises :class:`ArgumentError` where explicit matrices leave a letter or a symbol
    without a value, and for shapes that do not fit.
    """
    letters = {key: value for key, value in values.items() if isinstance(key, Letter)}
    symbols = {sp.sympify(key): value for key, value in values.items() if not isinstance(key, Letter)}
    words = {key: value for key, value in letters.items() if isinstance(value, Matrix)}
    arrays = {key: value for key, value in letters.items() if key not in words}
    if words:
        expression = substitute(expression, words)
    if not arrays:
        return expression.map_coefficients(lambda c: c.subs(symbols))
    exact = not any(isinstance(value, np.ndarray) for value in arrays.values())
    given = {
        key: np.array(sp.Matrix(value).tolist(), dtype=object) if exact else np.asarray(value, dtype=float)
        for key, value in arrays.items()
    }
    for one, array in given.items():
        if one.symmetric and not (array.shape == array.T.shape and (array == array.T).all()):
            raise ArgumentError(f"letter {one}: value is not symmetric, must be a symmetric matrix")
    found = evaluate(expression, given, symbols)
    return sp.Matrix(found) if exact and isinstance(expression, Matrix) else found


def function(expression: Matrix | Scalar) -> Callable[..., Any]:
    """``expression`` as a callable of (matrices, scalars): a prediction to hand to a check."""
    return lambda matrices, scalars=None: evaluate(expression, matrices, scalars)


def rational(entries: list[list[Any]]) -> NDArray[Any]:
    """An exact matrix: entries may be integers, SymPy rationals, or strings such as ``"-2/3"``."""
    return np.array([[sp.Rational(x) for x in row] for row in entries], dtype=object)
