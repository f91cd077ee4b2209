"""The comparisons that the tests make, with the definitions on either side of each."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from verify.routes.code import Code, Function, parameters
from verify.routes.flow import PREDICTED, PROPERTY, SYMBOLIC, WORDS, Scope, placed
from verify.routes.trace import Tracer

_CHECKS = ("verify.checks.", "verify.stats.", "verify.ledger.evidence.")
# Of verify/, what neither tests nor prepares what tests compare.
_TOOLS = ("verify.ledger", "verify.output", "verify.routes", "verify.plugin", "verify.cli", "verify.seeds")
EVIDENCE = "verify.ledger.evidence.Evidence"


def _judges(node: ast.FunctionDef) -> bool:
    returned = ast.unparse(node.returns) if node.returns else ""
    return "Evidence" in returned or "Outcome" in returned


@dataclass(frozen=True)
class Comparison:
    """A call of a check, or of a helper that calls one, and the definitions on either side."""

    call: ast.Call
    check: str
    measured: frozenset[str]
    predicted: frozenset[str]
    read: frozenset[str]  # names of attributes, on the predicted side


class Judges:
    """The comparisons of the modules named (all of ``verify/`` by default), by the function they are in."""

    def __init__(self, code: Code, modules: Iterable[str] | None = None) -> None:
        self.code, self.tracer = code, Tracer(code)
        self._tables: dict[str, dict[str, set[str]]] = {}  # check or helper → parameter → its sides
        self.made: dict[str, list[Comparison]] = {}
        self.scopes: dict[str, Scope] = {}
        for name in sorted(code.imports(code.paths if modules is None else modules)):
            if name.startswith("verify.") and not f"{name}.".startswith((*_CHECKS, *_TOOLS)):
                for definition, node in self._functions(name):
                    self.scopes[definition] = Scope(node, code.module(name))
        while any([self._summarise(full, scope) for full, scope in self.scopes.items()]):
            pass

    def _functions(self, module: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for name, (node, *_) in self.code.module(module).names.items():
            if isinstance(node, ast.FunctionDef):
                yield f"{module}.{name}", node

    def table(self, function: str) -> dict[str, set[str]] | None:
        """The sides that each parameter of a check or helper comes to; ``None`` for other functions."""
        if function not in self._tables and function.startswith(_CHECKS):
            head, _, name = function.rpartition(".")
            node = self.code.module(head).names[name][0] if head in self.code.paths else None
            if function == EVIDENCE:
                self._tables[function] = {}
            elif isinstance(node, ast.FunctionDef) and _judges(node):
                self._tables[function] = {p: self._side(function, p) for p in parameters(node)}
        return self._tables.get(function)

    @staticmethod
    def _side(check: str, parameter: str) -> set[str]:
        if parameter in WORDS:
            return set()
        if check in PROPERTY:
            return set()
        return {"predicted" if check in SYMBOLIC or parameter in PREDICTED else "measured"}

    def heads(self, call: ast.Call, scope: Scope) -> set[str]:
        """The functions that a call may be one of, of those at the top level of a module.

        None where it is a method of what a variable holds, or a function inside, whose own calls count.
        """
        names = self.tracer.parts(call.func, scope.module).names
        owner = next((found for name, _ in names if (found := scope.owner(name))), None)
        if owner is None or not isinstance(call.func, ast.Name):
            direct = not isinstance(call.func, ast.Attribute) or owner is None
            return self.tracer.trace(call.func, scope).definitions if direct else set()
        values = (v for v in owner.values.get(call.func.id, []) if not isinstance(v.node, Function))
        return {x for v in values for x in self.tracer.trace(v.node, v.scope).definitions}

    def _called(self, call: ast.Call, scope: Scope) -> Iterator[tuple[str, set[str], bool]]:
        """The checks and helpers that a call calls, or hands on to be called; with what else a variable that
        it is called by may hold, and whether it is handed on."""
        heads = self.heads(call, scope)
        known = {x for x in heads if self.table(x) is not None}
        yield from ((check, heads - known, False) for check in sorted(known))
        if not known:
            handed = {x for argument in call.args for x in self._meant(argument, scope)}
            yield from ((x, set(), True) for x in sorted(handed) if self.table(x) is not None)

    def _meant(self, node: ast.AST, scope: Scope) -> set[str]:
        """The definitions that a name, or a variable set to one, means itself."""
        found: set[str] = set()
        todo, seen = [(node, scope)], set()
        while todo:
            now, at = todo.pop()
            if now in seen or not isinstance(now, ast.Name | ast.Attribute):
                continue
            seen.add(now)
            for name, attributes in self.tracer.parts(now, at.module).names:
                owner = at.owner(name)
                if owner is None:
                    found |= self.code.named(at.module, name, attributes)
                else:
                    todo += [(value.node, value.scope) for value in owner.values.get(name, [])]
        return found

    def arguments(self, call: ast.Call, check: str, scope: Scope) -> Iterator[tuple[ast.AST, set[str]]]:
        """The arguments of a call of a check or helper with the sides that they come to."""
        table = self.table(check) or {}
        for name, value in placed(call, list(table), scope):
            if check in SYMBOLIC:
                yield value, {"predicted"}
            elif name is None:  # nothing says where it goes
                yield value, set().union(*table.values())
            else:
                yield value, table.get(name, {"measured"})

    def _summarise(self, full: str, scope: Scope) -> bool:
        """Whether anything new was learnt about a function."""
        mine: dict[str, set[str]] = {p: set() for p in parameters(scope.node)}  # type: ignore[arg-type]
        made = []
        for inner in scope.scopes():
            for call in inner.calls:
                for check, beside, handed in self._called(call, inner):
                    if check == full:
                        continue
                    reached: dict[str, set[str]] = {"measured": beside, "predicted": set(), "read": set()}
                    given = ((x, {"measured"}) for x in [*call.args, *(k.value for k in call.keywords)])
                    for value, sides in given if handed else self.arguments(call, check, inner):
                        found = self.tracer.trace(value, inner)
                        if "predicted" in sides:
                            reached["read"] |= found.attributes
                        for side in sides:
                            reached[side] |= found.definitions
                            for p in found.parameters:
                                mine[p].add(side)
                    made.append(Comparison(call, check, *map(frozenset, reached.values())))
        changed = bool(made) and (self._tables.get(full) != mine or self.made.get(full) != made)
        if made:
            self._tables[full], self.made[full] = mine, made
        return changed

    def sides(self, comparison: Comparison) -> tuple[set[str], set[str], set[str]]:
        """What a comparison measures, predicts and reads, what a helper in its place does included."""
        found = set(comparison.measured), set(comparison.predicted), set(comparison.read)
        if comparison.check not in self.made:
            return found[0] | ({comparison.check} - SYMBOLIC), *found[1:]
        for inner in self.made[comparison.check]:
            if inner.check != comparison.check:
                for mine, more in zip(found, self.sides(inner), strict=True):
                    mine |= more
        return found

    def derived(self, comparison: Comparison) -> list[frozenset[str]]:
        """What each derivation or exact comparison in a comparison is made from."""
        if comparison.check in SYMBOLIC - {EVIDENCE}:
            return [comparison.predicted]
        inside = self.made.get(comparison.check, [])
        return [x for inner in inside if inner.check != comparison.check for x in self.derived(inner)]

    def entering(self) -> Iterator[tuple[str, str]]:
        """Checks whose prediction goes into what they measure or simulate, and where."""
        for module in (m for m in self.code.paths if m.startswith("verify.checks.")):
            for full, node in self._functions(module):
                claimed = PREDICTED & set(parameters(node))
                if not claimed or self.table(full) is None:
                    continue
                scope = Scope(node, self.code.module(module))
                for inner in scope.scopes():
                    for call in inner.calls:
                        for head in sorted(self.heads(call, inner)):
                            for value in self._fed(call, head, inner):
                                if self.tracer.trace(value, inner).parameters & claimed:
                                    yield full, head

    def _fed(self, call: ast.Call, head: str, scope: Scope) -> list[ast.AST]:
        """The arguments of a call that are measured or simulated with."""
        if head.startswith("numerics."):
            return [*call.args, *(k.value for k in call.keywords)]
        if self.table(head) is None or head in SYMBOLIC:
            return []
        return [value for value, sides in self.arguments(call, head, scope) if "measured" in sides]
