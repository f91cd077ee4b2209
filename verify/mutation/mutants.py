"""Single-place mutants of a registered formula.

A mutant differs from what a statement claims in one place: a term dropped, doubled or of the other sign, a
number one up or down, an exponent, n for d, a transpose, two symbols of one family exchanged, a
trace moved, a relation turned round.  The left side of an equation names what is measured and is left alone,
unless it is a sum that is equal to a number, a formula that is equal to 0 or the value of a function that has
the same value elsewhere; so are the names of indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.matrices.expressions.matexpr import MatrixExpr

from theory import block_symbols as bs
from theory import notation as nt
from theory.curvature import Proportional
from theory.statement import Statement

Named = tuple[str, sp.Basic]

# What is exchanged for what, in one place; indexed levels by their bases.
SWAPS: tuple[tuple[sp.Basic, sp.Basic], ...] = (
    (nt.Sigma, nt.Sigma0),
    (nt.Sigma, nt.A),
    (nt.V, nt.W),
    (nt.S, nt.Sigma),
    (nt.Omega, nt.Phi),
    (nt.d, nt.n),
    (nt.n, nt.B),
    (nt.eta, nt.rho_cot),
    (bs.g, bs.delta_tilde),
    (bs.alpha, bs.delta),
    (bs.a, bs.Sigma),
    (bs.mu, bs.w),
    (bs.s, bs.Sigma),
)
LENGTHS = (nt.n, nt.B, nt.m_prompt, nt.k)
Inequality = sp.StrictLessThan | sp.StrictGreaterThan | sp.LessThan | sp.GreaterThan
FLIPPED = {
    sp.StrictLessThan: sp.StrictGreaterThan,
    sp.StrictGreaterThan: sp.StrictLessThan,
    sp.LessThan: sp.GreaterThan,
    sp.GreaterThan: sp.LessThan,
}


@dataclass(frozen=True)
class Mutant:
    """``whole`` is the form with ``side`` replaced by ``new`` in one place, which ``name`` describes."""

    name: str
    whole: sp.Basic
    side: sp.Basic
    new: sp.Basic


def text(node: sp.Basic) -> str:
    """The expression in one line."""
    try:
        return sp.sstr(node)
    except AttributeError:  # symbols of differential geometry know LaTeX alone
        return nt.latex(node)


def rebuilt(node: sp.Basic, args: tuple[sp.Basic, ...]) -> sp.Basic:
    """``node`` with other arguments, relations unevaluated."""
    if isinstance(node, Relational | sp.Implies):
        return node.func(*args, evaluate=False)
    return node.func(*args)


def _fits(node: sp.Basic, new: Any) -> bool:
    """Whether ``new`` may stand in ``node``'s place: both scalar, or matrices of one shape."""
    if isinstance(node, MatrixExpr) != isinstance(new, MatrixExpr):
        return False
    return not isinstance(node, MatrixExpr) or bool(node.shape == new.shape)


def _square(node: Any) -> bool:
    return bool(node.shape[0] == node.shape[1])


def _here(node: sp.Basic) -> Iterator[tuple[str, Callable[[], sp.Basic]]]:
    """What may stand at ``node``'s place instead, by name, as functions: some will not fit."""
    if isinstance(node, sp.Add):  # of matrices, too
        for at, term in enumerate(node.args):
            rest = (*node.args[:at], *node.args[at + 1 :])
            yield f"{text(term)} dropped", partial(node.func, *rest)
            yield f"{text(term)} doubled", partial(lambda rest, term: node.func(*rest, 2 * term), rest, term)
            yield (
                f"{text(term)} of the other sign",
                partial(lambda rest, term: node.func(*rest, -term), rest, term),
            )
    elif isinstance(node, sp.Rational):
        for new in dict.fromkeys((node + 1, node - 1, 2 * node, -node)):
            if new != node:
                yield f"{text(node)} → {new}", partial(sp.sympify, new)
    elif node in (sp.oo, -sp.oo):
        yield f"{node} → {-node}", partial(sp.sympify, -node)
        yield f"{node} → 1", partial(sp.sympify, 1)
    elif isinstance(node, sp.Symbol | sp.Indexed | sp.MatrixSymbol):
        yield from ((name, partial(sp.sympify, new)) for name, new in _symbol(node))
    if isinstance(node, sp.Mul):
        for at, factor in enumerate(node.args):
            if not (isinstance(factor, sp.Number | sp.Pow) or factor.has(sp.oo) or _index(factor)):
                before, after = node.args[:at], node.args[at + 1 :]
                yield f"{text(factor)} squared", partial(node.func, *before, factor, factor, *after)
                yield f"{text(factor)} left out", partial(node.func, *before, *after)
    if isinstance(node, sp.Pow) and not node.exp.is_number:
        yield f"{text(node)}: exponent + 1", partial(node.func, node.base, node.exp + 1)
        yield f"{text(node)}: exponent − 1", partial(node.func, node.base, node.exp - 1)
    if isinstance(node, sp.Inverse):
        yield f"{text(node.arg)} not inverted", partial(sp.sympify, node.arg)
    yield from ((name, partial(sp.sympify, new)) for name, new in _traces(node))


def _index(factor: sp.Basic) -> bool:
    return isinstance(factor, sp.Symbol) and bool(factor.is_integer) and factor not in (*LENGTHS, nt.d)


def _symbol(node: sp.Basic) -> Iterator[Named]:
    if node in LENGTHS:
        yield f"{text(node)} → {node} + 1", node + 1
        yield f"{text(node)} → {node} − 1", node - 1
    for pair in SWAPS:
        for one, other in (pair, pair[::-1]):
            if node == one and getattr(one, "shape", ()) == getattr(other, "shape", ()):
                yield f"{one} → {other}", other
            if isinstance(node, sp.Indexed) and isinstance(other, sp.IndexedBase) and node.base == one:
                yield f"{text(node)} → {other[node.indices]}", other[node.indices]
    if isinstance(node, sp.Indexed):
        for at, index in enumerate(node.indices):
            if index in (1, 2):
                turned = (*node.indices[:at], 3 - index, *node.indices[at + 1 :])
                yield f"{text(node)} → {node.base[turned]}", node.base[turned]
    if isinstance(node, sp.MatrixSymbol) and _square(node) and not _symmetric(node):
        yield f"{node} transposed", sp.Transpose(node)


def _symmetric(node: sp.MatrixSymbol) -> bool:
    letter = nt.LETTERS.get(node.name)
    return letter is not None and letter.symmetric


def _traces(node: sp.Basic) -> Iterator[Named]:
    """tr(XY) → tr(X) tr(Y) and tr(X) tr(Y) → tr(XY); tr(X) Y → tr(Y) X."""
    if isinstance(node, sp.Trace) and isinstance(node.arg, sp.MatMul):
        coefficient, (first, *rest) = node.arg.as_coeff_matrices()
        if rest and _square(first):
            others = prod(rest[1:], start=rest[0])
            yield f"{text(node)}: split", coefficient * sp.Trace(first) * sp.Trace(others)
    if isinstance(node, sp.Mul):
        traces = [a for a in node.args if isinstance(a, sp.Trace)]
        if len(traces) == 2:
            rest = [a for a in node.args if a not in traces]
            yield f"{text(node)}: joined", sp.Mul(*rest, sp.Trace(traces[0].arg * traces[1].arg))
    if isinstance(node, sp.MatMul):
        coefficient, factors = node.as_coeff_matrices()
        for trace in coefficient.atoms(sp.Trace):
            if len(factors) == 1 and trace.arg.shape == factors[0].shape and trace.arg != factors[0]:
                yield (
                    f"{text(node)}: trace moved",
                    coefficient.xreplace({trace: sp.Trace(factors[0])}) * trace.arg,
                )


def _attempts(steps: Iterable[tuple[str, Callable[[], sp.Basic]]], node: sp.Basic) -> Iterator[Named]:
    """Those of the steps that give an expression of ``node``'s shape."""
    for name, make in steps:
        try:
            new = make()
        except (TypeError, ValueError):
            continue  # shapes that do not fit
        if _fits(node, new):
            yield name, new


def _inside(node: sp.Basic) -> Iterator[Named]:
    """``node`` with one place of it, itself included, replaced."""
    yield from _attempts(_here(node), node)
    if isinstance(node, sp.MatrixSymbol | sp.Indexed | sp.Symbol | sp.Identity | sp.ZeroMatrix):
        return
    for at, child in enumerate(node.args):
        if not isinstance(child, sp.Basic):
            continue
        if isinstance(child, sp.Tuple) and isinstance(node, sp.Sum):
            continue
        if isinstance(node, nt.Label | nt.Expectation) and at == (0 if isinstance(node, nt.Label) else 1):
            continue
        if at == 1 and isinstance(
            node, nt.MatrixSum | sp.Inverse
        ):  # an index, an exponent that nothing reads
            continue
        if at == 1 and isinstance(node, sp.Pow | sp.MatPow) and isinstance(child, sp.Rational):
            for new in (child + 1, child - 1):
                yield from _attempts(
                    [(f"{text(node)}: exponent {new}", partial(rebuilt, node, (node.args[0], new)))], node
                )
            continue
        around = lambda new, at=at: rebuilt(node, (*node.args[:at], new, *node.args[at + 1 :]))  # noqa: E731
        yield from _attempts(((name, partial(around, new)) for name, new in _inside(child)), node)


def _sides(form: sp.Basic) -> Iterator[tuple[sp.Basic, Callable[[sp.Basic], sp.Basic]]]:
    """The claimed parts of a form, each with what builds the form around another in its place."""

    def at(index: int, build: Callable[[sp.Basic], sp.Basic]) -> Callable[[sp.Basic], sp.Basic]:
        return lambda new: rebuilt(form, (*form.args[:index], build(new), *form.args[index + 1 :]))

    if isinstance(form, nt.Lines | nt.Listing | sp.And | sp.Or):
        places = range(len(form.args))
    elif isinstance(form, nt.Chain) and _one_function(form):
        places = range(len(form.args) - 1)
    elif isinstance(form, nt.Chain | nt.SameLimit | Proportional):
        places = range(1, len(form.args))
    elif isinstance(form, nt.Tends):
        places = range(3, 4)
    elif isinstance(form, sp.Eq) and isinstance(form.lhs, sp.Add) and isinstance(form.rhs, sp.Number):
        places = range(2)
    elif isinstance(form, sp.Eq) and isinstance(form.rhs, sp.ZeroMatrix) and _formula(form.lhs):
        places = range(1)
    elif isinstance(form, nt.FirstOrder | sp.Implies | Relational):
        places = range(1, 2)
    else:
        yield form, lambda new: new
        return
    for index in places:
        if isinstance(form, Inequality) and isinstance(form.args[index], sp.Number):
            continue  # see _turned
        for side, build in _sides(sp.sympify(form.args[index])):
            yield side, at(index, build)


def _one_function(form: sp.Basic) -> bool:
    """Whether the chain says that a function, by name, has one value at several arguments."""
    return all(isinstance(x, nt.Label) for x in form.args) and len({x.args[0] for x in form.args}) == 1


def _formula(side: sp.Basic) -> bool:
    """Whether a side is made of symbols alone, and of more than one: no mean of anything, nothing by name."""
    measured = (nt.MatrixExpectation, nt.Expectation, nt.Label, AppliedUndef)
    return isinstance(side, sp.MatMul | sp.MatAdd) and not side.has(*measured)


def _no_matrix(form: sp.Basic, side: sp.Basic) -> bool:
    """Whether the form says that ``side`` is 0, which is then true of every multiple."""
    equations = (x for x in sp.preorder_traversal(form) if isinstance(x, sp.Eq))
    return any(x.lhs == side and isinstance(x.rhs, sp.ZeroMatrix) for x in equations)


def _turned(form: sp.Basic) -> Iterator[Named]:
    """Inequalities of the form turned round, one at a time; what an implication assumes is left alone."""
    if isinstance(form, Inequality):
        yield f"{text(form)} turned round", FLIPPED[type(form)](*form.args, evaluate=False)
        if isinstance(form.rhs, sp.Number) and form.rhs != 0:
            # A weaker bound would be as true, and 0 has no other size.
            less = isinstance(form, sp.StrictLessThan | sp.LessThan)
            tighter = form.rhs - abs(form.rhs) / 2 if less else form.rhs + abs(form.rhs) / 2
            yield f"{text(form)}: {form.rhs} → {tighter}", form.func(form.lhs, tighter, evaluate=False)
    skip = (0,) if isinstance(form, sp.Implies) else ()
    if isinstance(form, nt.Lines | nt.Listing | nt.Chain | sp.And | sp.Implies):
        for at, child in enumerate(form.args):
            if at not in skip:
                for name, new in _turned(child):
                    yield name, rebuilt(form, (*form.args[:at], new, *form.args[at + 1 :]))


def claims(statement: Statement) -> dict[str, sp.Basic]:
    """The forms that the statement holds to be true, by name: what is printed, unless it is wrong."""
    found = {}
    if statement.corrected is None or statement.condition:
        found["printed"] = statement.printed
    if statement.corrected is not None:
        found["corrected"] = statement.corrected
    return found


def _named(side: sp.Basic) -> bool:
    """Whether a side is the name of a quantity and no formula for it."""
    if isinstance(side, sp.Symbol):
        return side.name.startswith("\\") or "(" in side.name
    return isinstance(side, nt.Label | AppliedUndef | nt.Gradient)


def _symbols(form: sp.Basic) -> set[Any]:
    """The symbols of the form, those in the shapes of its matrices and the bases of its levels included."""
    found: set[Any] = set()
    for node in sp.preorder_traversal(form):
        if isinstance(node, sp.MatrixSymbol | sp.Symbol | sp.IndexedBase):
            found.add(node)
        if isinstance(node, sp.MatrixSymbol | sp.Identity):
            found |= {s for size in node.shape for s in sp.sympify(size).free_symbols}
    return found


def mutants(form: sp.Basic) -> list[Mutant]:
    """All mutants of ``form`` that are other expressions, each once, of the symbols that it has."""
    present = _symbols(form)
    limited = {form.args[1]} if isinstance(form, nt.Tends) else set()
    found: dict[sp.Basic, Mutant] = {}
    for side, build in _sides(form):
        elsewhere = isinstance(form, nt.Chain) and side == form.args[0]  # the arguments of a function
        wrong = [] if _named(side) and not elsewhere else list(_inside(side))
        nought = (isinstance(form, sp.Eq) and form.args == (side, 0)) or _no_matrix(form, side)
        if not (_named(side) or nought) and isinstance(side, sp.Expr) and side not in (0, sp.oo, -sp.oo):
            wrong = [("the side doubled", 2 * side), ("the side of the other sign", -side), *wrong]
        allowed = present - (limited - _symbols(side))  # what goes to its limit enters none
        for name, new in wrong:
            if new != side and (whole := build(new)) != form and _symbols(new) <= allowed:
                found.setdefault(whole, Mutant(name, whole, side, new))
    for name, whole in _turned(form):
        if whole != form:
            found.setdefault(whole, Mutant(name, whole, form, whole))
    return list(found.values())
