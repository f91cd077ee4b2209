"""Between the surface syntax (SymPy, for print) and the word algebra (for equality)."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from math import prod

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from theory.errors import ArgumentError
from theory.notation import (
    Expectation,
    FrobeniusSquared,
    NormSquared,
    Pinv,
    Sigma,
    Sigma_hat,
    latex,
    letter_of,
    n,
)
from theory.wishart import expectation
from theory.words.letters import Factor, Letter, Word, inverse_letter, pinv_letter
from theory.words.poly import Matrix, Scalar, Traces, identity, letter, scalar, zero

READABLE = 400  # terms


def lower_matrix(expression: MatrixExpr) -> Matrix:
    """A SymPy matrix expression as a word polynomial.

    Raises :class:`ArgumentError` for what the algebra has no rule for: the inverse or pseudo-inverse of
    anything but a single letter, a power that is not a non-negative integer.
    """
    if isinstance(expression, sp.MatrixSymbol):
        return letter(letter_of(expression))
    if isinstance(expression, sp.Identity):
        return identity(expression.shape[0])
    if isinstance(expression, sp.ZeroMatrix):
        return zero(*expression.shape)
    if isinstance(expression, sp.Transpose):
        return lower_matrix(expression.arg).T
    if isinstance(expression, sp.Inverse | Pinv):
        inside = expression.args[0]
        if not isinstance(inside, sp.MatrixSymbol):
            raise ArgumentError(f"expression={expression}: only a single letter can be inverted")
        turn = pinv_letter if isinstance(expression, Pinv) else inverse_letter
        return letter(turn(letter_of(inside)))
    if isinstance(expression, sp.MatAdd):
        first, *rest = map(lower_matrix, expression.args)
        return sum(rest, start=first)
    if isinstance(expression, sp.MatMul):
        coefficient, factors = expression.as_coeff_matrices()
        product = lower_matrix(factors[0])
        for factor in factors[1:]:
            product = product @ lower_matrix(factor)
        return product * lower_scalar(coefficient)
    if isinstance(expression, sp.MatPow) and expression.exp.is_Integer and expression.exp >= 0:
        return lower_matrix(expression.base).power(int(expression.exp))
    raise ArgumentError(f"expression={expression}: no rule carries it into matrix words")


def lower_scalar(expression: sp.Expr) -> Scalar:
    """A SymPy scalar with traces, norms and means over Σ̂ inside as a trace polynomial."""
    if isinstance(expression, sp.Trace):
        return lower_matrix(expression.arg).trace()
    if isinstance(expression, FrobeniusSquared) and type(expression) in (FrobeniusSquared, NormSquared):
        return lower_matrix(expression.args[0]).norm2()
    if isinstance(expression, Expectation):
        # Σ̂ is the one random matrix of the surface syntax; w* is averaged before a formula has it.
        found = expectation(lower_scalar(expression.args[0]), letter_of(Sigma_hat), letter_of(Sigma), n)
        assert isinstance(found, Scalar)
        return found
    if isinstance(expression, sp.Add):
        return sum(map(lower_scalar, expression.args), start=scalar(0))
    if isinstance(expression, sp.Mul):
        product = scalar(1)
        for factor in expression.args:
            product = product * lower_scalar(factor)
        return product
    if isinstance(expression, sp.Pow) and expression.exp.is_Integer and expression.exp > 0:
        base = lower_scalar(expression.base)
        return prod([base] * int(expression.exp), start=scalar(1))
    if expression.has(MatrixExpr, FrobeniusSquared, Expectation):
        raise ArgumentError(f"expression={expression}: no rule carries it into traces of words")
    return scalar(expression)


def _symbol(one: Letter) -> MatrixExpr:
    if one.of is not None:
        base = _symbol(one.of)
        return sp.Inverse(base) if one.kind == "inv" else Pinv(base)
    return sp.MatrixSymbol(one.name, one.rows, one.cols)


def _factor(f: Factor) -> MatrixExpr:
    base = _symbol(f.letter)
    return sp.Transpose(base) if f.transposed else base


def raise_word(word: Word, dim: sp.Expr) -> MatrixExpr:
    """A word as a SymPy product; the empty word is the identity of size ``dim``."""
    if not word:
        return sp.Identity(dim)
    parts = []
    for f, run in groupby(word):
        power = len(list(run))
        parts.append(_factor(f) if power == 1 else sp.MatPow(_factor(f), power))
    return sp.MatMul(*parts) if len(parts) > 1 else parts[0]


@cache
def _raise_trace(word: Word) -> sp.Expr:
    return sp.Trace(raise_word(word, sp.Integer(1)))


def _raise_traces(traces: Traces) -> list[sp.Expr]:
    return list(map(_raise_trace, traces))


def raise_scalar(value: Scalar) -> sp.Expr:
    """A trace polynomial as SymPy, for print; coefficients factored where it is short enough to be read."""
    factored = cache(sp.factor if len(value.terms) <= READABLE else sp.sympify)
    return sp.Add(*(sp.Mul(factored(c), *_raise_traces(t)) for t, c in value.terms.items()))


def raise_matrix(value: Matrix) -> MatrixExpr:
    """A word polynomial as SymPy, for print."""
    if not value.terms:
        return sp.ZeroMatrix(*value.shape)
    parts = [
        sp.MatMul(sp.factor(c), *_raise_traces(t), raise_word(w, value.rows)).doit(deep=False)
        for (t, w), c in value.terms.items()
    ]
    return sp.MatAdd(*parts) if len(parts) > 1 else parts[0]


def latex_of(value: Matrix | Scalar) -> str:
    """LaTeX of a word polynomial; letters of :mod:`theory.notation` in the paper's type."""
    return latex(raise_scalar(value) if isinstance(value, Scalar) else raise_matrix(value))
