"""A mutant in the place of a registered formula, wherever the formula is read.

The registry is not the only place that holds a formula: the function or the constant that it was registered
from holds it too, and a check that compares the two proves nothing.  So a mutant replaces the formula in the
registry, in every constant, and in what any function returns that was called while the statements were
registered.  A check notices then only by a reference that does not come from the formula.

What this cannot see: a formula typed a second time in another shape, and results that were cached in the
theory before the formula was replaced (the caches of the checks are emptied).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import update_wrapper
from types import CodeType, ModuleType
from typing import Any

import sympy as sp

from theory import statement as registered
from verify.mutation.mutants import Mutant

PARTS = 7  # nodes: what is smaller stands for itself in many formulas


def imported_with(load: Callable[[], Any], within: str) -> set[CodeType]:
    """The code of all functions, in files of the folder ``within``, that run while ``load`` does."""
    called: set[CodeType] = set()

    def watch(frame: Any, event: str, arg: object) -> None:
        code = frame.f_code
        if event == "call" and within in code.co_filename and not code.co_name.startswith("<"):
            called.add(code)

    sys.setprofile(watch)
    try:
        load()
    finally:
        sys.setprofile(None)
    return called


def _modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if module is not None and name.split(".")[0] in ("theory", "verify"):
            yield module


def _basics(value: Any) -> Iterator[sp.Basic]:
    if isinstance(value, sp.Basic):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _basics(one)
    elif isinstance(value, dict):
        for one in value.values():
            yield from _basics(one)


def _exchanged(value: Any, swap: dict[sp.Basic, sp.Basic]) -> Any:
    """``value`` with the formula exchanged inside it; ``value`` itself where it does not occur."""
    if isinstance(value, sp.Basic):
        return value.xreplace(swap)
    if type(value) in (tuple, list):
        return type(value)(_exchanged(one, swap) for one in value)
    if type(value) is dict:
        return {key: _exchanged(one, swap) for key, one in value.items()}
    return value


class Theory:
    """The formulas of ``theory``, open to be replaced.  ``called``: see :func:`imported_with`."""

    def __init__(self, called: set[CodeType]) -> None:
        self._swap: dict[sp.Basic, sp.Basic] = {}
        self.read = False  # whether a formula that is replaced was read since this was set to False
        self._constants: list[tuple[ModuleType, str, Any, frozenset[sp.Basic]]] = []
        self._caches: list[Callable[[], None]] = []
        self._opened: list[tuple[ModuleType, str, Any]] = []
        wrapped: dict[int, Any] = {}
        for module in _modules():
            for name, value in list(vars(module).items()):
                if inside := frozenset(e for b in _basics(value) for e in sp.preorder_traversal(b)):
                    self._constants.append((module, name, value, inside))
                if module.__name__.startswith("verify") and hasattr(value, "cache_clear"):
                    self._caches.append(value.cache_clear)
                inner = getattr(value, "__wrapped__", value)
                if getattr(inner, "__code__", None) in called:
                    if id(value) not in wrapped:
                        wrapped[id(value)] = self._open(value)
                    self._opened.append((module, name, value))
                    setattr(module, name, wrapped[id(value)])

    def close(self) -> None:
        """Put the functions back as they were."""
        for module, name, value in self._opened:
            setattr(module, name, value)

    def _open(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(*args: Any, **options: Any) -> Any:
            found = function(*args, **options)
            if not self._swap or (changed := _exchanged(found, self._swap)) == found:
                return found
            self.read = True
            return changed

        return update_wrapper(opened, function)

    @contextmanager
    def with_mutant(self, id: str, form: str, mutant: Mutant) -> Iterator[None]:
        """The mutant as the ``form`` (printed, corrected) of statement ``id``."""
        entries = registered._REGISTRY
        kept, undo = dict(entries), []
        big = sum(1 for _ in sp.preorder_traversal(mutant.side)) >= PARTS
        try:
            if big:
                self._swap.update({mutant.side: mutant.new})
                for module, name, value, inside in self._constants:
                    if mutant.side in inside:
                        undo.append((module, name, value))
                        setattr(module, name, _exchanged(value, self._swap))
                        self.read = True  # who reads a constant cannot be seen
                for other, statement in kept.items():
                    entries[other] = replace(
                        statement,
                        printed=_exchanged(statement.printed, self._swap),
                        corrected=_exchanged(statement.corrected, self._swap),
                    )
            entries[id] = self._watched(replace(kept[id], **{form: mutant.whole}))
            self.forget()
            yield
        finally:
            self._swap.clear()
            entries.update(kept)
            for module, name, value in undo:
                setattr(module, name, value)
            self.forget()

    def _watched(self, statement: registered.Statement) -> registered.Statement:
        """The statement, which notes that its formulas are read."""
        theory = self

        class Watched(registered.Statement):
            def __getattribute__(self, name: str) -> Any:
                if name in ("printed", "corrected", "counterexample"):
                    theory.read = True
                return super().__getattribute__(name)

        return Watched(**{f.name: getattr(statement, f.name) for f in fields(statement)})

    def forget(self) -> None:
        """Empty the caches of the checks: what they hold may depend on the formula."""
        for clear in self._caches:
            clear()
