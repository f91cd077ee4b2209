"""What each definition of the package refers to, read off the source without running it.

A *definition* is a name at the top level of a module, written ``module.name``.  It refers to another
where its code names it, whether to call it, to pass it on or to read it.  Whoever names a class may call
all its methods, since the object must have been made by somebody who named the class; so a call of a
method needs no guess at the type.  A name that leads nowhere is kept as ``?name`` and counts as unknown
code.  Not seen: names computed at run time (``getattr`` with a variable on an object), and what a
library calls by itself; the functions that run such code (``eval`` and the like) are unknown code too.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from pathlib import Path

LAYERS = ("theory", "numerics", "verify")
# They rerun the checks, or judge claims that are not the paper's, and give no evidence for a statement.
APART = (("verify", "mutation"), ("verify", "calibration"), ("verify", "claims"), ("verify", "claim_cli"))
_RUNS_CODE = {"eval", "exec", "compile", "globals", "locals", "vars", "__import__"}
_BUILTIN = (set(dir(builtins)) | {"__file__", "__name__", "__doc__"}) - _RUNS_CODE
_COMPREHENSION = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Function = ast.FunctionDef | ast.Lambda
Free = tuple[str, tuple[str, ...]]  # a name and what is read off it: nt.letter_of is ("nt", ("letter_of",))


def parameters(of: Function) -> list[str]:
    """The names of all parameters, those of ``*`` and ``**`` last."""
    a = of.args
    rest = [x for x in (a.vararg, a.kwarg) if x is not None]
    return [x.arg for x in [*a.posonlyargs, *a.args, *a.kwonlyargs, *rest]]


def stored(target: ast.AST) -> Iterator[str]:
    """The names that an assignment to ``target`` changes: x, and x in x.a = … and x[0] = …."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Attribute | ast.Subscript | ast.Starred):
        yield from stored(target.value)
    elif isinstance(target, ast.Tuple | ast.List):
        for each in target.elts:
            yield from stored(each)


def own(node: ast.AST) -> Iterator[ast.AST]:
    """What runs in the scope of a function or of an expression, without what runs in a scope inside."""
    todo: list[ast.AST] = list(ast.iter_child_nodes(node))
    while todo:
        each = todo.pop()
        yield each
        if not isinstance(each, ast.FunctionDef | ast.Lambda | ast.ClassDef | _COMPREHENSION):
            todo += ast.iter_child_nodes(each)


def bound(node: ast.AST) -> set[str]:
    """The names that a function makes its own."""
    found: set[str] = set(parameters(node)) if isinstance(node, Function) else set()
    outer: set[str] = set()
    for each in own(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
        elif isinstance(each, ast.FunctionDef | ast.ClassDef) or (
            isinstance(each, ast.ExceptHandler) and each.name
        ):
            found.add(str(each.name))
        elif isinstance(each, ast.Nonlocal | ast.Global):
            outer |= set(each.names)
    return found - outer


def free(node: ast.AST, local: frozenset[str] = frozenset()) -> Iterator[Free]:
    """The names that the code below ``node`` reads and does not bind itself.  Annotations do not count."""
    if isinstance(node, ast.Attribute | ast.Name):
        attributes: list[str] = []
        base: ast.AST = node
        while isinstance(base, ast.Attribute):
            attributes.insert(0, base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            yield from free(base, local)
        elif base.id not in local and not (base is node and isinstance(base.ctx, ast.Store)):
            yield base.id, tuple(attributes)
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
        node = node.args[0]  # to ask for a class is not to make one
        yield from free(node, local)
        return
    outside: list[ast.AST] = []
    inside: list[ast.AST] = []
    within = local
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        outside = [*getattr(node, "decorator_list", []), *node.args.defaults]
        outside += [x for x in node.args.kw_defaults if x is not None]
        inside = list(node.body) if isinstance(node, ast.FunctionDef) else [node.body]
        within = local | bound(node)
    elif isinstance(node, ast.ClassDef):
        outside = [*node.decorator_list, *node.bases, *node.keywords]
        outside += [x for x in node.body if isinstance(x, ast.FunctionDef | ast.ClassDef)]
        inside = [x for x in node.body if not isinstance(x, ast.FunctionDef | ast.ClassDef)]
        within = local | bound(node)
    elif isinstance(node, _COMPREHENSION):
        inside = list(ast.iter_child_nodes(node))
        within = local | {name for g in node.generators for name in stored(g.target)}
    else:
        for name, value in ast.iter_fields(node):
            if name not in ("annotation", "returns"):
                several = value if isinstance(value, list) else [value]
                outside += [x for x in several if isinstance(x, ast.AST)]
    for each in outside:
        yield from free(each, local)
    for each in inside:
        yield from free(each, within)


class Module:
    """The definitions and the imports of one file."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.tree = name, ast.parse(source)
        self.imports: dict[str, list[str]] = {}  # name → what it stands for; inside functions too
        self.imported: set[str] = set()
        self.names: dict[str, list[ast.AST]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for a in node.names:
                    full = a.name if a.asname else a.name.split(".")[0]
                    self.imports.setdefault(a.asname or full, []).append(full)
                    self.imported.add(a.name)
            elif isinstance(node, ast.ImportFrom):
                for a in node.names:
                    self.imports.setdefault(a.asname or a.name, []).append(f"{node.module}.{a.name}")
                    self.imported.add(f"{node.module}.{a.name}")
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.names.setdefault(node.name, []).append(node)
            elif not isinstance(node, ast.Import | ast.ImportFrom):
                for target in [node, *own(node)]:
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                        self.names.setdefault(target.id, []).append(node)


class Code:
    """The three layers under ``root``; a file is read when it is first asked for."""

    def __init__(self, root: Path) -> None:
        self.paths: dict[str, Path] = {}
        self._modules: dict[str, Module] = {}
        self._direct: dict[str, frozenset[str]] = {}
        self._closures: dict[str, frozenset[str]] = {}
        for layer in LAYERS:
            for path in sorted((root / layer).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                if parts[:2] in APART:
                    continue
                self.paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    def module(self, name: str) -> Module:
        """The module of a name in ``paths``."""
        if name not in self._modules:
            self._modules[name] = Module(name, self.paths[name].read_text(encoding="utf-8"))
        return self._modules[name]

    def imported(self, name: str) -> set[str]:
        """The modules that one imports, those of other packages by the name of the package."""
        found = set()
        for target in self.module(name).imported:
            if target.split(".")[0] not in LAYERS:
                found.add(target.split(".")[0])
                continue
            found |= {m for m in (target, target.rpartition(".")[0]) if m in self.paths}
        return found

    def imports(self, names: Iterable[str]) -> set[str]:
        """The modules and what they import, at any remove."""
        seen: set[str] = set()
        todo = list(names)
        while todo:
            now = todo.pop()
            if now not in seen:
                seen.add(now)
                todo += self.imported(now) - seen if now in self.paths else ()
        return seen

    def _resolve(self, dotted: str) -> set[str]:
        """The definitions that a dotted name means; all of a module's where it is a module."""
        if dotted.split(".")[0] not in LAYERS:
            return set()
        if dotted in self.paths:
            return {f"{dotted}.{name}" for name in self.module(dotted).names}
        head, _, name = dotted.rpartition(".")
        if head in self.paths:
            module = self.module(head)
            if name in module.names:
                return {dotted}
            if name in module.imports:
                return set().union(*(self._resolve(target) for target in module.imports[name]))
        return {f"?{dotted}"}

    def named(self, module: Module, name: str, attributes: tuple[str, ...] = ()) -> set[str]:
        """The definitions that ``name.attribute…`` means at the top level of a module."""
        if name in module.names:
            return {f"{module.name}.{name}"}
        if name not in module.imports:
            return set() if name in _BUILTIN else {f"?{name}"}
        found: set[str] = set()
        for target in module.imports[name]:
            rest = list(attributes)
            while rest and (target in self.paths or target in LAYERS):
                target = f"{target}.{rest.pop(0)}"
            found |= self._resolve(target)
        return found

    def nodes(self, definition: str) -> list[ast.AST]:
        """The code of a definition; none for unknown code."""
        head, _, name = definition.rpartition(".")
        return self.module(head).names[name] if head in self.paths else []

    def direct(self, definition: str) -> frozenset[str]:
        """What a definition refers to itself."""
        if definition not in self._direct:
            found: set[str] = set()
            for node in self.nodes(definition):
                found |= self.references(node, self.module(module_of(definition)))
            self._direct[definition] = frozenset(found - {definition})
        return self._direct[definition]

    def references(self, node: ast.AST, module: Module) -> set[str]:
        """The definitions that code at the top level of a module names."""
        return set().union(*(self.named(module, *one) for one in set(free(node))))

    def methods_reached(self, definition: str, method: str) -> set[str]:
        """What a method of a class refers to, with the methods of the class that it may call."""
        (node,) = self.nodes(definition)
        found: set[str] = set()
        todo, seen = [method], set()
        while todo:
            name = todo.pop()
            for each in node.body if isinstance(node, ast.ClassDef) and name not in seen else []:
                if isinstance(each, ast.FunctionDef) and each.name == name:
                    found |= self.references(each, self.module(module_of(definition)))
                    todo += [x.attr for x in ast.walk(each) if isinstance(x, ast.Attribute)]
            seen.add(name)
        return found

    def closure(self, definitions: Iterable[str]) -> frozenset[str]:
        """The definitions and all that they refer to, at any remove."""
        return frozenset().union(*(self._reached(definition) for definition in definitions))

    def _reached(self, definition: str) -> frozenset[str]:
        if definition not in self._closures:
            seen: set[str] = set()
            todo = [definition]
            while todo:
                now = todo.pop()
                if now in seen:
                    continue
                if now in self._closures:
                    seen |= self._closures[now]
                else:
                    seen.add(now)
                    todo += self.direct(now) - seen
            self._closures[definition] = frozenset(seen)
        return self._closures[definition]


def module_of(definition: str) -> str:
    """The module of a definition, itself where it is unknown code."""
    return definition if definition.startswith("?") else definition.rpartition(".")[0]
