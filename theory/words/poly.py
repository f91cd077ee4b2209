"""Polynomials in matrix words: :class:`Scalar` (sums of products of traces) and :class:`Matrix`.

Coefficients are SymPy scalars.  A term of a matrix polynomial is a product of traces times a word;
factors of shape 1 × 1 (vᵀ A v) are kept as traces, so that equal expressions are equal objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar

import sympy as sp

from theory.errors import ArgumentError
from theory.words.letters import (
    Dim,
    Factor,
    Letter,
    Word,
    check_free,
    reduce_trace,
    reduce_word,
    transpose,
    word_key,
)

Traces = tuple[Word, ...]
Number: TypeAlias = Any  # a SymPy scalar or a Python integer


def _sort_traces(traces: Iterable[Word]) -> Traces:
    return tuple(sorted(traces, key=word_key))


def _trace_of_word(word: Word, dim: Dim) -> tuple[Dim, Traces]:
    """tr(word) in normal form as (coefficient, traces): tr(I) = ``dim``, with no trace left."""
    reduced = reduce_trace(word)
    if not reduced:
        return dim, ()
    cuts = [i for i, f in enumerate(reduced) if f.rows == 1]
    if len(cuts) < 2:
        return sp.Integer(1), (reduced,)
    turned = reduced[cuts[0] :] + reduced[: cuts[0]]
    ends = [i - cuts[0] for i in cuts] + [len(reduced)]
    return sp.Integer(1), tuple(reduce_trace(turned[a:b]) for a, b in pairwise(ends))


def normal_scalar(expr: sp.Expr) -> sp.Expr:
    """A rational function of the scalars in lowest terms, powers of one base merged."""
    return sp.cancel(sp.powsimp(sp.expand(sp.powsimp(sp.sympify(expr)), power_base=False)))


def _collect(items: Iterable[tuple[object, sp.Expr]], expand: bool = True) -> dict:
    total: dict = {}
    for key, value in items:
        total[key] = total[key] + value if key in total else value
    if expand:
        total = {key: sp.expand(value) for key, value in total.items()}
    return {key: value for key, value in total.items() if value != 0}


@dataclass(frozen=True, eq=False)
class Scalar:
    """A polynomial in traces: ``{traces: coefficient}``."""

    terms: Mapping[Traces, sp.Expr]

    @classmethod
    def of_terms(cls, terms: Iterable[tuple[Traces, sp.Expr]]) -> Scalar:
        """The sum of coefficient · Π tr(word), the words not empty, in any form; coefficients expanded."""
        known: dict[Word, tuple[Dim, Traces]] = {}
        pieces = []
        for words, c in terms:
            traces: Traces = ()
            for word in words:
                if word not in known:
                    known[word] = _trace_of_word(word, word[0].rows)
                factor, normal = known[word]
                c, traces = c if factor == 1 else sp.expand(c * factor), traces + normal
            pieces.append((_sort_traces(traces), c))
        return cls(_collect(pieces, expand=False))

    def __add__(self, other: Scalar | Number) -> Scalar:
        return Scalar(_collect([*self.terms.items(), *scalar(other).terms.items()]))

    __radd__ = __add__

    def __neg__(self) -> Scalar:
        return self * -1

    def __sub__(self, other: Scalar | Number) -> Scalar:
        return self + scalar(other) * -1

    def __rsub__(self, other: Scalar | Number) -> Scalar:
        return scalar(other) - self

    def __mul__(self, other: Scalar | Number) -> Scalar:
        return Scalar(
            _collect(
                (_sort_traces(t + u), a * b)
                for t, a in self.terms.items()
                for u, b in scalar(other).terms.items()
            )
        )

    __rmul__ = __mul__

    def equals(self, other: Scalar | Number) -> bool:
        """Whether the two are the same polynomial (coefficients compared as rational functions)."""
        return all(normal_scalar(c) == 0 for c in (self - other).terms.values())

    def map_coefficients(self, change: Callable[[sp.Expr], sp.Expr]) -> Scalar:
        """``change`` applied to every coefficient, a SymPy expression in the sizes."""
        return Scalar(_collect((t, change(c)) for t, c in self.terms.items()))

    def subs(self, values: Mapping[Any, Any]) -> Any:
        """The value with letters and symbols replaced: see :func:`theory.words.evaluate.subs`."""
        from theory.words.evaluate import subs

        return subs(self, values)

    def letters(self) -> set[Letter]:
        """The letters that occur."""
        return {f.letter for traces in self.terms for word in traces for f in word}

    def gradient(self, target: Letter) -> Matrix:
        """∂/∂target, of target's shape: d tr(V W) = tr(dV W) gives Wᵀ, d tr(Vᵀ W) gives W.

        Raises :class:`ArgumentError` for a symmetric or idempotent target, whose entries are not free,
        and where an inverse of the target occurs.
        """
        if target.symmetric or target.idempotent:
            raise ArgumentError(f"letter {target}: cannot differentiate by entries that are not free")
        check_free(self.letters(), target, "differentiate by it")
        found = []
        for traces, coefficient in self.terms.items():
            for j, word in enumerate(traces):
                others = traces[:j] + traces[j + 1 :]
                for i, factor in enumerate(word):
                    if factor.letter == target:
                        rest = word[i + 1 :] + word[:i]
                        rest = rest if factor.transposed else transpose(rest)
                        found.append((others, rest, coefficient))
        return Matrix.of_terms(target.rows, target.cols, found)

    def __str__(self) -> str:
        return _text((" ".join(f"tr({' '.join(map(str, w))})" for w in t), c) for t, c in self.terms.items())


@dataclass(frozen=True, eq=False)
class Matrix:
    """A ``rows`` × ``cols`` matrix polynomial: ``{(traces, word): coefficient}``."""

    rows: Dim
    cols: Dim
    terms: Mapping[tuple[Traces, Word], sp.Expr]

    @classmethod
    def of_word(cls, word: Word, rows: Dim, cols: Dim, coefficient: Number = 1) -> Matrix:
        """The matrix of one word, its 1 × 1 segments pulled out as traces."""
        reduced = reduce_word(word)
        cuts = [0, *(i for i in range(1, len(reduced)) if reduced[i].rows == 1), len(reduced)]
        segments = [reduced[a:b] for a, b in pairwise(cuts) if a < b]
        inner: list[Word] = []
        outer: list[Word] = []
        for segment in segments:
            (inner if segment[0].rows == 1 and segment[-1].cols == 1 else outer).append(segment)
        value = sp.sympify(coefficient)
        traces: Traces = ()
        for segment in inner:
            factor, found = _trace_of_word(segment, sp.Integer(1))
            value, traces = value * factor, traces + found
        joined = tuple(f for segment in outer for f in segment)
        return cls(sp.sympify(rows), sp.sympify(cols), {(_sort_traces(traces), joined): value})

    @classmethod
    def of_terms(cls, rows: Dim, cols: Dim, terms: Iterable[tuple[Traces, Word, sp.Expr]]) -> Matrix:
        """The sum of coefficient · Π tr(word) · word, the traces' words not empty, in any form."""
        pieces = []
        for words, word, c in terms:
            for (inner, outer), value in cls.of_word(word, rows, cols, c).terms.items():
                for traces, factor in Scalar.of_terms([(words, value)]).terms.items():
                    pieces.append(((_sort_traces(traces + inner), outer), factor))
        return cls(sp.sympify(rows), sp.sympify(cols), _collect(pieces))

    @property
    def shape(self) -> tuple[Dim, Dim]:
        """Rows and columns, each a SymPy expression or a number."""
        return (self.rows, self.cols)

    @property
    def T(self) -> Matrix:
        """The transpose."""
        return Matrix(
            self.cols,
            self.rows,
            _collect(((t, reduce_word(transpose(w))), c) for (t, w), c in self.terms.items()),
        )

    def _same_shape(self, other: Matrix, verb: str) -> None:
        if self.shape != other.shape:
            raise ArgumentError(
                f"cannot {verb} a {self.rows} × {self.cols} and a {other.rows} × {other.cols} matrix"
            )

    def __add__(self, other: Matrix) -> Matrix:
        self._same_shape(other, "add")
        return Matrix(self.rows, self.cols, _collect([*self.terms.items(), *other.terms.items()]))

    def __neg__(self) -> Matrix:
        return self * -1

    def __sub__(self, other: Matrix) -> Matrix:
        return self + -other

    def __mul__(self, other: Scalar | Number) -> Matrix:
        """Product with a scalar polynomial or a number."""
        return Matrix(
            self.rows,
            self.cols,
            _collect(
                ((_sort_traces(t + u), w), a * b)
                for (t, w), a in self.terms.items()
                for u, b in scalar(other).terms.items()
            ),
        )

    __rmul__ = __mul__

    def __matmul__(self, other: Matrix) -> Matrix:
        if self.cols != other.rows:
            raise ArgumentError(
                f"cannot multiply {self.rows} × {self.cols} by {other.rows} × {other.cols}: must chain"
            )
        products = (
            (t + u, w + x, a * b) for (t, w), a in self.terms.items() for (u, x), b in other.terms.items()
        )
        return Matrix.of_terms(self.rows, other.cols, products)

    def power(self, exponent: int) -> Matrix:
        """The matrix to the power ``exponent``, 0 or more; the identity at 0."""
        result = identity(self.rows)
        for _ in range(exponent):
            result = result @ self
        return result

    def trace(self) -> Scalar:
        """The trace; :class:`~theory.errors.ArgumentError` for a matrix that is not square."""
        if self.rows != self.cols:
            raise ArgumentError(f"trace of a {self.rows} × {self.cols} matrix: must be square")
        parts = []
        for (t, w), c in self.terms.items():
            factor, found = _trace_of_word(w, self.rows)
            parts.append((_sort_traces(t + found), c * factor))
        return Scalar(_collect(parts))

    def norm2(self) -> Scalar:
        """Squared Frobenius norm tr(MᵀM)."""
        return (self.T @ self).trace()

    def equals(self, other: Matrix) -> bool:
        """Whether the two are the same polynomial (coefficients compared as rational functions)."""
        return all(normal_scalar(c) == 0 for c in (self - other).terms.values())

    def is_zero(self) -> bool:
        """Whether every coefficient vanishes."""
        return self.equals(zero(self.rows, self.cols))

    def map_coefficients(self, change: Callable[[sp.Expr], sp.Expr]) -> Matrix:
        """``change`` applied to every coefficient, a SymPy expression in the sizes."""
        return Matrix(self.rows, self.cols, _collect((k, change(c)) for k, c in self.terms.items()))

    def subs(self, values: Mapping[Any, Any]) -> Any:
        """The value with letters and symbols replaced: see :func:`theory.words.evaluate.subs`."""
        from theory.words.evaluate import subs

        return subs(self, values)

    def letters(self) -> set[Letter]:
        """The letters that occur."""
        return {f.letter for traces, word in self.terms for w in (*traces, word) for f in w}

    def __str__(self) -> str:
        return _text(
            (" ".join([*(f"tr({' '.join(map(str, x))})" for x in t), *(map(str, w) if w else "I")]), c)
            for (t, w), c in self.terms.items()
        )


def _text(parts: Iterable[tuple[str, sp.Expr]]) -> str:
    return " + ".join(f"({c}) {label}".strip() for label, c in parts) or "0"


Words = TypeVar("Words", Matrix, Scalar)


def scalar(value: Scalar | Number) -> Scalar:
    """A number or SymPy scalar as a :class:`Scalar`; a :class:`Scalar` as it is."""
    return value if isinstance(value, Scalar) else Scalar(_collect([((), sp.sympify(value))]))


def zero(rows: Dim | int, cols: Dim | int) -> Matrix:
    """The ``rows`` × ``cols`` matrix polynomial 0."""
    return Matrix(sp.sympify(rows), sp.sympify(cols), {})


def identity(dim: Dim | int) -> Matrix:
    """The identity of size ``dim``."""
    return Matrix(sp.sympify(dim), sp.sympify(dim), {((), ()): sp.Integer(1)})


def letter(one: Letter) -> Matrix:
    """The letter as a matrix polynomial."""
    return Matrix.of_word((Factor(one),), one.rows, one.cols)


def replace_word(expression: Matrix, pattern: Word, value: Matrix) -> Matrix:
    """``expression`` with every occurrence of the neighbours ``pattern``, and of their transpose,
    replaced by ``value``, whose own words are left alone: the way a constraint such as ṼΦ = −ηΩ enters
    a derivation.  Only the open words are searched, not the traces.
    """
    sides = ((pattern, value), (transpose(pattern), value.T))
    total = zero(expression.rows, expression.cols)
    for (traces, word), coefficient in expression.terms.items():
        new = _replace_in_word(word, expression.rows, expression.cols, sides)
        total = total + new * Scalar({traces: coefficient})
    return total


def _replace_in_word(word: Word, rows: Dim, cols: Dim, sides: tuple[tuple[Word, Matrix], ...]) -> Matrix:
    for i in range(len(word)):
        for pattern, value in sides:
            end = i + len(pattern)
            if word[i:end] == pattern:
                head = Matrix.of_word(word[:i], rows, value.rows)
                return head @ value @ _replace_in_word(word[end:], value.cols, cols, sides)
    return Matrix.of_word(word, rows, cols)


def substitute(expression: Words, values: Mapping[Letter, Matrix]) -> Words:
    """``expression`` with letters replaced by matrix polynomials of the same shape, traces included.

    Raises :class:`ArgumentError` for a value of another shape, one that is not symmetric for a symmetric
    letter (its transposes are gone), and where an inverse of a replaced letter occurs.
    """
    for target, value in values.items():
        check_free(expression.letters(), target, "substitute for it")
        if value.shape != (target.rows, target.cols) or (target.symmetric and not value.equals(value.T)):
            kind = "symmetric " if target.symmetric else ""
            raise ArgumentError(
                f"letter {target}: value is {value.rows} × {value.cols}, {value}: "
                f"must be a {kind}{target.rows} × {target.cols} matrix"
            )

    def of_word(word: Word, rows: Dim, cols: Dim) -> Matrix:
        product = identity(rows)
        for f in word:
            base = values.get(f.letter, letter(f.letter))
            product = product @ (base.T if f.transposed else base)
        return product if word else Matrix.of_word((), rows, cols)

    def of_traces(traces: Traces) -> Scalar:
        product = scalar(1)
        for word in traces:
            product = product * of_word(word, word[0].rows, word[-1].cols).trace()
        return product

    if isinstance(expression, Scalar):
        result = scalar(0)
        for traces, c in expression.terms.items():
            result = result + of_traces(traces) * c
        return result
    total = zero(expression.rows, expression.cols)
    for (traces, word), c in expression.terms.items():
        total = total + of_word(word, expression.rows, expression.cols) * (of_traces(traces) * c)
    return total
