"""Which side of a comparison each argument of a check comes to: what is measured, or what is predicted.

A *check* is a function of ``verify/checks`` or ``verify/stats`` that returns evidence.  Its parameters say
by their names which side they are on (:data:`PREDICTED`; all others are measured, as the safe side).  What
a test passes is followed back through the test's own variables, loops, nested functions and helpers to the
definitions that it names.

A variable is all that it may have been set to: what was set before an unconditional assignment to it is
forgotten, and nested functions see all of it.  Which branch a condition takes is not followed, nor a change
made by a function that a variable was passed to.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from verify.routes.code import Function, Module, own, parameters, stored
from verify.routes.order import Place, places, reaching

# What is compared with, and how closely: the prediction and the scale and tolerance that it sets.
PREDICTED = frozenset(
    {
        *("prediction", "goal", "bound", "claim", "sign", "expected", "limit", "rate", "decay", "stated"),
        *("unit", "scale", "delta"),
    }
)
# What goes into the wording of the evidence alone.
WORDS = frozenset({"form", "regime", "text", "kind", "profile"})
SYMBOLIC = frozenset(
    {"verify.checks.run.exact", "verify.checks.run.counterexample", "verify.ledger.evidence.Evidence"}
)
# Take what both sides have been put into.  A property test counts as neither kind of evidence.
PROPERTY = frozenset(
    {
        *("verify.checks.generated.generated", "verify.checks.precision.evidence"),
        "verify.stats.precision.two_precisions",
    }
)
_PUTS_IN = frozenset({"append", "extend", "insert", "add", "update", "setdefault"})


def _changes(call: ast.AST) -> Iterator[str]:
    """The variable that a method call changes: found.append(x), known.update(x), and torch's x.copy_(y)."""
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        method = call.func.attr
        if method in _PUTS_IN or (method.endswith("_") and not method.endswith("__")):
            yield from stored(call.func.value)


@dataclass(frozen=True)
class Value:
    """What a name is set to: the expression, the scope and place that it stands in, and where it is set."""

    node: ast.AST
    scope: Scope
    place: Place
    at: Place
    sure: bool = False  # sets all of the variable


class Scope:
    """A function, nested function or comprehension with what its names are set to."""

    def __init__(self, node: ast.AST, module: Module, parent: Scope | None = None) -> None:
        self.node, self.module, self.parent = node, module, parent
        self.values: dict[str, list[Value]] = {}
        self.places = places(node) if isinstance(node, ast.FunctionDef) else {}
        self.parameters = set(parameters(node)) if isinstance(node, Function) else set()
        self.outer = {name for x in own(node) if isinstance(x, ast.Nonlocal) for name in x.names}
        self.inner = [Scope(x, module, self) for x in self._nested()]
        runs = list(own(node))
        self.calls = [x for x in runs if isinstance(x, ast.Call)]
        for each in runs:
            if isinstance(each, ast.Assign):
                for target in each.targets:
                    self._match(target, each.value, True)
            elif isinstance(each, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and each.value is not None:
                self._match(each.target, each.value)
            elif isinstance(each, ast.withitem) and each.optional_vars is not None:
                self._match(each.optional_vars, each.context_expr)
            elif isinstance(each, ast.FunctionDef | ast.ClassDef):
                self._set(each.name, each, True)
        for each in runs:
            if isinstance(each, ast.For | ast.comprehension):
                place = self.place(each.iter)
                for value in self._members(each.iter):
                    self._match(each.target, value, True, place, place.in_body())
            elif isinstance(each, ast.Call):
                for name in _changes(each):
                    if name in self.values:
                        for x in [*each.args, *(k.value for k in each.keywords)]:
                            self._set(name, x)
        for scope in self.inner:
            self._from_inside(scope)
        if isinstance(node, ast.FunctionDef):
            self._parametrised(node)

    def _nested(self) -> Iterator[ast.AST]:
        kinds = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
        yield from (x for x in own(self.node) if isinstance(x, kinds))

    def place(self, node: ast.AST) -> Place:
        """Where something stands; all of a comprehension or lambda is in one place."""
        return self.places.get(node, Place(0, ((0, 0),)))

    def _set(
        self,
        name: str,
        value: ast.AST,
        sure: bool = False,
        place: Place | None = None,
        at: Place | None = None,
    ) -> None:
        if name in self.outer:
            return  # the scope around it takes it as set by all of this function
        place = place or self.place(value)
        self.values.setdefault(name, []).append(Value(value, self, place, at or place, sure))

    def literal(self, value: ast.AST) -> ast.AST:
        """What is written out where a name is set, if that is one place."""
        if isinstance(value, ast.Name) and (scope := self.owner(value.id)):
            known = scope.reaching(value.id, self.place(value) if scope is self else None)
            if len(known) == 1 and isinstance(known[0].node, ast.Tuple | ast.List | ast.Dict):
                return known[0].node
        return value

    def _members(self, value: ast.AST) -> list[ast.AST]:
        """The items of a tuple, list, ``zip`` or ``items()`` that is written out; else the whole."""
        value = self.literal(value)
        if isinstance(value, ast.Tuple | ast.List):
            if not any(isinstance(x, ast.Starred) for x in value.elts):
                return list(value.elts)
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "zip":
            return [ast.Tuple(elts=list(value.args), ctx=ast.Load())]
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            known = self.literal(value.func.value)
            if value.func.attr == "items" and isinstance(known, ast.Dict) and None not in known.keys:
                pairs = zip(known.keys, known.values, strict=True)
                return [ast.Tuple(elts=[k, v], ctx=ast.Load()) for k, v in pairs if k is not None]
        return [value]

    def _match(
        self,
        target: ast.AST,
        value: ast.AST,
        sure: bool = False,
        place: Place | None = None,
        at: Place | None = None,
    ) -> None:
        """Sets the names of ``target``, place by place where both sides have places."""
        both = isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List)
        if both and len(target.elts) == len(value.elts):  # type: ignore[attr-defined]
            places = list(zip(target.elts, value.elts, strict=True))  # type: ignore[attr-defined]
            if not any(isinstance(x, ast.Starred) for pair in places for x in pair):
                for each, part in places:
                    self._match(each, part, sure, place, at)
                return
        for name in stored(target):
            whole = isinstance(target, ast.Name | ast.Tuple | ast.List)  # and not x[0] = …
            self._set(name, value, sure and whole, place, at)

    def _from_inside(self, scope: Scope) -> None:
        """What nested code changes outside of it, and what nested functions are called with."""
        for each in ast.walk(scope.node):
            names: list[str] = []
            if isinstance(each, ast.Nonlocal):
                names = each.names
            elif isinstance(each, ast.Attribute | ast.Subscript) and isinstance(each.value, ast.Name):
                if isinstance(each.ctx, ast.Store):
                    names = [each.value.id]
            else:
                names = list(_changes(each))
            for name in names:
                if name in self.values and name not in scope.values and name not in scope.parameters:
                    self._set(name, scope.node)
        if isinstance(scope.node, ast.FunctionDef):
            for call in (x for x in ast.walk(self.node) if isinstance(x, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id == scope.node.name:
                    for parameter, value in placed(call, parameters(scope.node), self):
                        given = Value(value, self, self.place(call), scope.place(scope.node))
                        for one in [parameter] if parameter else parameters(scope.node):
                            scope.values.setdefault(one, []).append(given)

    def _parametrised(self, f: ast.FunctionDef) -> None:
        for d in f.decorator_list:
            if isinstance(d, ast.Call) and isinstance(d.func, ast.Attribute) and d.func.attr == "parametrize":
                names = ast.literal_eval(d.args[0])
                listed = [x.strip() for x in names.split(",")] if isinstance(names, str) else list(names)
                target: ast.AST = ast.Name(id=listed[0], ctx=ast.Store())
                if len(listed) > 1:
                    target = ast.Tuple([ast.Name(id=x, ctx=ast.Store()) for x in listed], ast.Store())
                for value in self._members(d.args[1]):
                    self._match(target, value, True, Place(0, ((0, -1),)))

    def owner(self, name: str) -> Scope | None:
        """The scope that a name belongs to, going outwards; none for one of the module."""
        scope: Scope | None = self
        while scope and name not in scope.values and name not in scope.parameters:
            scope = scope.parent
        return scope

    def reaching(self, name: str, use: Place | None) -> list[Value]:
        """What a name may be at a place; anywhere if that is ``None``."""
        values = self.values.get(name, [])
        if use is None:
            return values
        seen = reaching([(v.at, v.sure) for v in values], use)
        return [v for v, is_seen in zip(values, seen, strict=True) if is_seen]

    def scopes(self) -> Iterator[Scope]:
        yield self
        for each in self.inner:
            yield from each.scopes()


def read_off(node: ast.AST, module: Module) -> set[str]:
    """The names of the attributes that code reads off objects, not off modules."""
    attributes = (x for x in ast.walk(node) if isinstance(x, ast.Attribute))
    return {
        x.attr for x in attributes if not (isinstance(x.value, ast.Name) and x.value.id in module.imports)
    }


def placed(call: ast.Call, order: list[str], scope: Scope) -> Iterator[tuple[str | None, ast.AST]]:
    """The arguments of a call with the parameters that they go to; ``None`` where that is not written."""
    given: list[ast.AST] = []
    for value in call.args:
        whole = scope.literal(value.value) if isinstance(value, ast.Starred) else None
        given += whole.elts if isinstance(whole, ast.Tuple | ast.List) else [value]
    known = len(order)
    for place, one in enumerate(given):
        known = min(known, place) if isinstance(one, ast.Starred) else known
        yield order[place] if place < known else None, one
    for keyword in call.keywords:
        yield keyword.arg, keyword.value
