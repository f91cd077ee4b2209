"""Scalar formulas make the round trip: their LaTeX, read back by SymPy's parser, is the expression."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
import sympy as sp
from sympy.parsing.latex import parse_latex

from theory.statement import Statement
from verify.ledger import load_statements
from verify.output.latex_macros import MACRO, formula

# With matrices, means or functionals of ours inside, SymPy's parser has nothing to read them as.
SCALAR = (
    sp.Symbol,
    sp.Number,
    sp.NumberSymbol,
    sp.Add,
    sp.Mul,
    sp.Pow,
    sp.Sum,
    sp.Tuple,
    sp.exp,
    sp.log,
    sp.Abs,
)


def _scalar(expression: sp.Basic) -> bool:
    if isinstance(expression, sp.Indexed):
        return True
    if isinstance(expression, sp.Symbol):
        return MACRO.fullmatch(formula(expression)) is not None
    return isinstance(expression, SCALAR) and all(map(_scalar, expression.args))


def _sides(form: sp.Basic) -> Iterator[sp.Expr]:
    """The scalar expressions that a form relates or lists."""
    if isinstance(form, sp.Expr):
        if _scalar(form) and not form.is_Atom:
            yield form
        return
    for part in form.args:
        if isinstance(part, sp.Basic):
            yield from _sides(part)


@cache
def _name(latex: str) -> str:
    """A name that the parser takes for one symbol, the same for the same LaTeX."""
    return f"x_{{{_name.cache_info().currsize}}}"


def _expanded(latex: str) -> str:
    """The macros as plain names, indices included; a dot before a bracket, and bars in the parser's way."""
    latex = re.sub(rf"({MACRO.pattern})_\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}", lambda m: _name(m[0]), latex)
    latex = MACRO.sub(lambda m: _name(m[0]), latex)
    latex = re.sub(r"\\left\|\{(.*?)\}\\right\|", r"|\1|", latex)
    return re.sub(r"(x_\{\d+\})(?=\s*\\left\()", r"\1 \\cdot ", latex)


def _renamed(expression: sp.Basic) -> sp.Basic:
    """The expression with the same names, for comparison."""
    if isinstance(expression, sp.Symbol | sp.Indexed):
        return sp.Symbol(_name(formula(expression)))
    return expression.func(*map(_renamed, expression.args)) if expression.args else expression


def _read(latex: str) -> sp.Expr:
    found = parse_latex(_expanded(latex))
    return found.subs(sp.Symbol("e"), sp.E).replace(
        lambda e: isinstance(e, sp.log) and len(e.args) == 2, lambda e: sp.log(e.args[0])
    )


def _same(one: sp.Expr, other: sp.Expr) -> bool:
    difference = one.doit() - other.doit()
    return difference == 0 or sp.expand(difference) == 0 or sp.simplify(difference) == 0


ROWS = [
    (s, sides)
    for s in load_statements().values()
    if (sides := [side for form in (s.printed, s.corrected) if form is not None for side in _sides(form)])
]


@pytest.mark.parametrize(("statement", "sides"), [pytest.param(*row, id=row[0].id) for row in ROWS])
def test_scalar_formulas_return_from_latex(statement: Statement, sides: list[sp.Expr]) -> None:
    for side in sides:
        assert _same(_read(formula(side)), _renamed(side))


def test_many_rows_are_scalar() -> None:
    assert len(ROWS) >= 100
    assert sum(len(sides) for _, sides in ROWS) >= 200


@pytest.mark.parametrize("wrong", [r"\frac{\lsar}{2}", r"- \lsar", r"\lsar^{2}", r"\lsar \lsaq", r"\lsaq"])
def test_another_formula_is_told_apart(wrong: str) -> None:
    r = sp.Symbol("r")
    assert _same(_read(r"\lsar"), _renamed(r))
    assert not _same(_read(wrong), _renamed(r))
