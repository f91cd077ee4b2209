"""From an expression in a test back to the definitions that it is made from."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from verify.routes.code import Code, Free, Function, Module, free
from verify.routes.flow import Scope, read_off
from verify.routes.order import Place


@dataclass
class Found:
    """What an expression is made from: definitions, parameters of the function around, and the calls,
    strings and names of attributes in it."""

    definitions: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    calls: set[ast.Call] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Parts:
    """What stands in an expression: the names that it reads, those of them that functions inside read (when
    they run, not where they stand), calls, strings and names of attributes."""

    names: list[Free]
    late: set[str]
    calls: set[ast.Call]
    words: set[str]
    attributes: set[str]


class Tracer:
    """Follows expressions back to definitions."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self._parts: dict[ast.AST, Parts] = {}

    def parts(self, node: ast.AST, module: Module) -> Parts:
        """What stands in an expression, read once."""
        if node not in self._parts:
            inside = list(ast.walk(node))
            functions = [x for x in inside if isinstance(x, Function) and x is not node]
            self._parts[node] = Parts(
                list(dict.fromkeys(free(node))),
                {name for x in functions for name, _ in free(x)},
                {x for x in inside if isinstance(x, ast.Call)},
                {x.value for x in inside if isinstance(x, ast.Constant) and isinstance(x.value, str)},
                read_off(node, module),
            )
        return self._parts[node]

    def trace(self, expression: ast.AST, scope: Scope) -> Found:
        """Where an expression that stands in a scope comes from."""
        found = Found()
        seen: set[tuple[ast.AST, Place]] = set()
        todo = [(expression, scope, scope.place(expression))]
        while todo:
            node, at, place = todo.pop()
            if (node, place) in seen:
                continue
            seen.add((node, place))
            if isinstance(node, ast.IfExp):
                todo += [(node.body, at, place), (node.orelse, at, place)]
                continue
            parts = self.parts(node, at.module)
            found.calls |= parts.calls
            found.words |= parts.words
            found.attributes |= parts.attributes
            for name, attributes in parts.names:
                owner = at.owner(name)
                if owner is None:
                    found.definitions |= self.code.named(at.module, name, attributes)
                    continue
                late = isinstance(node, Function) or name in parts.late
                use = None if late else _seen_from(owner, at, place)
                for value in owner.reaching(name, use):
                    todo.append((value.node, value.scope, value.place))
                if owner.parent is None and name in owner.parameters:
                    found.parameters.add(name)
                    if name in at.module.names:  # a fixture of the module
                        found.definitions.add(f"{at.module.name}.{name}")
        return found


def _seen_from(owner: Scope, scope: Scope, place: Place) -> Place | None:
    """The place in ``owner`` at which code in ``scope`` runs; ``None`` if that is a function inside."""
    while scope is not owner:
        if isinstance(scope.node, Function) or scope.parent is None:
            return None
        place = scope.parent.place(scope.node)
        scope = scope.parent
    return place
