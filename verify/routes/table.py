"""The two routes of every statement, and what the static analysis finds against them."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from verify.routes.allowed import INPUTS, PAIRED, PLAIN, SETTINGS, SHARED
from verify.routes.code import Code, module_of
from verify.routes.flow import SYMBOLIC, Scope, read_off
from verify.routes.judges import EVIDENCE, Judges

Ids = frozenset[str]
# What every derivation is written in, and what every measurement is compared with.
_ALGEBRA = {f"theory.{name}" for name in ("errors", "exact", "explicit", "lower", "notation", "statement")}
_JUDGING = {
    f"verify.checks.{name}"
    for name in ("definition", "generated", "points", "precision", "precision_fits", "run")
}


@dataclass(frozen=True)
class Route:
    """The two routes of a statement, by modules, and what they have in common.

    ``symbolic``: the modules of theory that its derivation and its predictions are taken from.
    ``numeric``: the modules of numerics, and the checks, that measure.  ``shared``: code of both that is no
    plain carrier of numbers.  ``inputs``: definitions of theory that say where a measurement is made.
    ``derived``: whether there is symbolic evidence that has no code in common with what is measured.
    """

    symbolic: tuple[str, ...]
    numeric: tuple[str, ...]
    shared: tuple[str, ...]
    inputs: tuple[str, ...]
    derived: bool


@dataclass
class _Sides:
    measured: set[str] = field(default_factory=set)
    predicted: set[str] = field(default_factory=set)
    derived: list[frozenset[str]] = field(default_factory=list)
    inputs: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)


class Analysis:
    """The comparisons of the code, by statement."""

    def __init__(self, code: Code, ids: Iterable[str], modules: Iterable[str] | None = None) -> None:
        self.code, self.ids = code, frozenset(ids)
        self.judges = Judges(code, modules)
        self.sides: dict[str, _Sides] = defaultdict(_Sides)
        self._inputs: dict[str, set[str]] = defaultdict(set)
        self._routes: dict[str, Route] = {}
        self._attributes: dict[str, set[str]] = {}
        self._methods: dict[str, list[tuple[str, str]]] = {}
        for full in sorted(self.judges.made):
            if module_of(full).rpartition(".")[2].startswith("test_"):
                self._attribute(full, self.judges.scopes[full])

    def measured_at(self, tests: str) -> set[str]:
        """The statements that measure where an entry of :data:`INPUTS` for these tests says."""
        return self._inputs[tests]

    def marked(self, scope: Scope) -> frozenset[str]:
        """The statements that a test is marked with."""
        node = scope.node
        found: set[str] = set()
        decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
        marks = [x for x in decorators if ast.unparse(x).startswith("pytest.mark.statements")]
        for each in marks or decorators:  # parametrize carries the marks where the test itself has none
            if isinstance(each, ast.Call):
                trace = self.judges.tracer.trace(each, scope)
                found |= trace.words
                for definition in self.code.closure(trace.definitions):
                    if module_of(definition) == scope.module.name:
                        name = definition.rpartition(".")[2]
                        for value in scope.module.names.get(name, []):
                            found |= _strings(value)
        return frozenset(found) & self.ids

    def _recorded(self, scope: Scope, marked: frozenset[str]) -> Iterator[tuple[Ids, set[ast.Call]]]:
        """What the test records: the ids, and the calls that the evidence comes from."""
        trace = self.judges.tracer.trace
        for inner in scope.scopes():
            for call in inner.calls:
                if ast.unparse(call.func).endswith(".record") and len(call.args) == 2:
                    id, evidence = (trace(x, inner) for x in call.args)
                    yield frozenset(id.words) & marked or marked, evidence.calls

    def _attribute(self, full: str, scope: Scope) -> None:
        marked = self.marked(scope)
        recorded = list(self._recorded(scope, marked))
        for made in self.judges.made[full]:
            ids: Ids = frozenset().union(*(of for of, within in recorded if made.call in within))
            if not ids:  # by a helper that records, told for which statement
                ids = frozenset(_strings(made.call)) & marked
            measured, predicted, read = self.judges.sides(made)
            allowed = allowed_inputs(full)
            for where, what, _ in INPUTS:
                if full.startswith(where) and measured.intersection(what):
                    self._inputs[where] |= ids or marked
            for id in ids or marked:
                self.sides[id].measured |= measured - allowed
                self.sides[id].inputs |= measured & allowed
                self.sides[id].predicted |= predicted
                self.sides[id].read |= read
                self.sides[id].derived += self.judges.derived(made)

    @cached_property
    def printed_in(self) -> dict[str, str]:
        """The module of theory that registers a statement, where it writes the id out."""
        found: dict[str, str] = {}
        for name in (m for m in self.code.paths if m.startswith("theory.")):
            for call in (x for x in ast.walk(self.code.module(name).tree) if isinstance(x, ast.Call)):
                if call.args and ast.unparse(call.func) == "Statement":
                    found |= dict.fromkeys(_strings(call.args[0]), name)
        return found

    def route(self, id: str) -> Route:
        """The two routes of a statement."""
        if id not in self._routes:
            self._routes[id] = self._route(id)
        return self._routes[id]

    def _route(self, id: str) -> Route:
        of = self.sides[id]
        measured, predicted = self.code.closure(of.measured), self.code.closure(of.predicted)
        # Of theory the modules that the checks name; what these rest on is common to most of it.
        named = {x for x in predicted if not x.startswith("theory.")}
        first = {y for x in named for y in self.code.direct(x)} | of.predicted
        symbolic = {module_of(x) for x in first if x.startswith("theory.") and not _common(x)}
        if id in self.printed_in and of.predicted:
            symbolic.add(self.printed_in[id])
        plain = ("numerics.errors.", "numerics.device.", "numerics.diagonal.")
        numeric = {module_of(x) for x in measured if x.startswith("numerics.") and not x.startswith(plain)}
        numeric |= {module_of(x) for x in measured if x.startswith("verify.checks.")} - _JUDGING
        shared = tuple(sorted(self._shared(measured, predicted) | self._read(of.read, measured, predicted)))
        derived = bool(of.derived) and not self.derivation_shares(id)
        return Route(
            tuple(sorted(symbolic)), tuple(sorted(numeric)), shared, tuple(sorted(of.inputs)), derived
        )

    def derivation_shares(self, id: str) -> set[str]:
        """What symbolic evidence and measurement both run that is neither plain nor a setting."""
        of = self.sides[id]
        both = self.code.closure(of.measured) & self.code.closure(set().union(*of.derived))
        return {x for x in both if not self._setting(x)}

    def _shared(self, measured: frozenset[str], predicted: frozenset[str]) -> set[str]:
        """What both sides reach, without plain code, settings, and what is behind :data:`SHARED`."""
        explained = {x for x in predicted if x.startswith(tuple(SHARED))}
        behind = self.code.closure(explained)
        found = {x for x in measured & predicted if not self._setting(x)}
        return (found - behind) | {x for x in explained if self.code.closure([x]) & found}

    def _read(self, read: set[str], measured: frozenset[str], predicted: frozenset[str]) -> set[str]:
        """Methods by which a prediction may read off its setting what numerics computes: Class.method."""
        names = set(read)
        for definition in (x for x in predicted if x.startswith("verify.")):
            if definition not in self._attributes:
                module = self.code.module(module_of(definition))
                found = [read_off(node, module) for node in self.code.nodes(definition)]
                self._attributes[definition] = set().union(*found)
            names |= self._attributes[definition]
        simulating = (x for definition in measured for x in self._simulating(definition))
        return {f"{definition}.{method}" for definition, method in simulating if method in names}

    def _simulating(self, definition: str) -> list[tuple[str, str]]:
        """The methods of a class of the checks that come to code of numerics other than the plain."""
        if definition not in self._methods:
            found = []
            nodes = self.code.nodes(definition) if definition.startswith("verify.checks.") else []
            bodies = (x for node in nodes if isinstance(node, ast.ClassDef) for x in node.body)
            for each in (x for x in bodies if isinstance(x, ast.FunctionDef)):
                far = self.code.closure(self.code.methods_reached(definition, each.name))
                if any(x.startswith("numerics.") and not x.startswith(tuple(PLAIN)) for x in far):
                    found.append((definition, each.name))
            self._methods[definition] = found
        return self._methods[definition]

    def _setting(self, definition: str) -> bool:
        if definition.startswith((*PLAIN, *SETTINGS)):
            return True
        if not definition.startswith("verify."):
            return False
        module, _, name = definition.rpartition(".")
        data = not isinstance(self.code.module(module).names[name][0], ast.FunctionDef)
        return data and all(x.startswith(("verify.", *PLAIN)) for x in self.code.closure([definition]))

    @cached_property
    def _entering(self) -> dict[str, str]:
        return dict(sorted(set(self.judges.entering())))

    def stale(self) -> Iterator[str]:
        """Exceptions that nothing needs any more, in lines."""
        used = {(t, x) for t, made in self.judges.made.items() for each in made for x in each.measured}
        for where, what, _ in INPUTS:
            for definition in what:
                if not any(test.startswith(where) and x == definition for test, x in used):
                    yield f"INPUTS: nothing in {where}* measures at {definition}"
        yield from (f"PAIRED: the prediction of {x} goes nowhere" for x in PAIRED if x not in self._entering)

    def violations(self) -> Iterator[str]:
        """What speaks against the independence of the routes, in lines."""
        yield from wall(self.code)
        for test, comparisons in sorted(self.judges.made.items()):
            for made in comparisons:
                if made.check == EVIDENCE and "property" not in _strings(made.call):
                    yield f"{test}: makes evidence without a check"
                own = {made.check} - SYMBOLIC - set(self.judges.made)
                for definition in sorted(made.measured - allowed_inputs(test) | own):
                    for far in sorted(self.code.closure([definition])):
                        if far.startswith(("theory.", "?")) and not far.startswith(tuple(PLAIN)):
                            yield f"{test}: what {made.check} measures reaches {far} through {definition}"
        for check, into in self._entering.items():
            if check not in PAIRED:
                yield f"{check}: its prediction goes into {into}"
        for id in sorted(self.sides):
            for definition in sorted(self.derivation_shares(id)):
                yield f"{id}: its derivation and its measurement run {definition}"
            for definition in self.route(id).shared:
                if not definition.startswith(tuple(SHARED)):
                    yield f"{id}: both routes run {definition}"


def wall(code: Code) -> Iterator[str]:
    """Modules of theory or numerics that import, at any remove, what is on the other side."""
    other = {"theory": {"numerics", "verify", "torch"}, "numerics": {"theory", "verify", "sympy"}}
    for layer, barred in other.items():
        for name in (m for m in code.paths if m.split(".")[0] == layer):
            for found in sorted(code.imports([name])):
                if found.split(".")[0] in barred:
                    yield f"{name} imports {found}"


def allowed_inputs(test: str) -> set[str]:
    """The definitions of theory that a test may measure at."""
    return {x for where, what, _ in INPUTS for x in what if test.startswith(where)}


def _strings(node: ast.AST) -> set[str]:
    constants = (x.value for x in ast.walk(node) if isinstance(x, ast.Constant))
    return {x for x in constants if isinstance(x, str)}


def _common(definition: str) -> bool:
    return module_of(definition) in _ALGEBRA or definition.startswith("theory.words.")
