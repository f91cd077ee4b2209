"""Samples drawn once for all mutants of a test.

A check draws the same numbers for every prediction, its seed being the same.  ``draw`` is known by its code
and by what it closes over, states of generators included; one that closes over anything that has no
fingerprint is called each time.
"""

from __future__ import annotations

import hashlib
import inspect
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
import torch

from verify.checks import run

LARGEST = 2**28  # bytes kept for a test


class UnknownError(Exception):
    """No fingerprint."""


def _parts(value: Any, seen: tuple[int, ...] = ()) -> Iterator[bytes]:
    """Bytes that differ where two values would make ``draw`` give other samples."""
    if id(value) in seen:
        return
    seen = (*seen, id(value))
    if isinstance(value, str | int | float | complex | bool | bytes | type(None)):
        yield repr(value).encode()
    elif isinstance(value, np.ndarray | np.generic):
        yield str((value.shape, value.dtype)).encode() + np.ascontiguousarray(value).tobytes()
    elif isinstance(value, torch.Tensor):
        if value.requires_grad:
            raise UnknownError("a tensor with a graph behind it")
        yield from _parts(value.detach().numpy(), seen)
    elif isinstance(value, torch.Generator):
        yield value.get_state().numpy().tobytes()
    elif isinstance(value, np.random.Generator):
        yield pickle.dumps(value.bit_generator.state)
    elif isinstance(value, sp.Basic):
        yield sp.srepr(value).encode()
    elif isinstance(value, partial):
        for one in (value.func, value.args, sorted(value.keywords.items())):
            yield from _parts(one, seen)
    elif isinstance(value, type) or type(value).__name__ in ("module", "builtin_function_or_method"):
        yield repr(value).encode()
    elif hasattr(value, "__code__"):
        yield value.__code__.co_code + repr(value.__code__.co_filename).encode()
        yield repr(value.__code__.co_firstlineno).encode()
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        for one in (*cells, value.__defaults__, value.__kwdefaults__, getattr(value, "__self__", None)):
            yield from _parts(one, seen)
    elif isinstance(value, tuple | list):
        yield str(len(value)).encode()
        for one in value:
            yield from _parts(one, seen)
    elif isinstance(value, set | frozenset):
        yield from _parts(sorted(value, key=repr), seen)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _parts((key, one), seen)
    elif hasattr(value, "__func__"):
        yield from _parts((value.__func__, value.__self__), seen)
    elif hasattr(value, "__dict__"):
        yield type(value).__qualname__.encode()
        yield from _parts(vars(value), seen)
    else:
        raise UnknownError(type(value).__name__)


def fingerprint(draw: Any) -> str | None:
    try:
        digest = hashlib.sha256()
        for part in _parts(draw):
            digest.update(part)
        return digest.hexdigest()
    except (UnknownError, ValueError, RuntimeError, RecursionError):
        return None


@contextmanager
def shared_draws() -> Iterator[None]:
    """Within it, ``sampled`` calls a ``draw`` that it has seen before for those batches alone that no
    mutant has asked for yet."""
    known: dict[str, tuple[Callable[[int], Any], list[Any]]] = {}
    original = run.sampled
    held = 0

    def shared(draw: Callable[[int], Any], *args: Any, **options: Any) -> Any:
        nonlocal held
        key = fingerprint(draw)
        if key is None:
            return original(draw, *args, **options)
        first, batches = known.setdefault(key, (draw, []))
        asked = 0

        def again(size: int) -> Any:
            nonlocal asked, held
            if asked == len(batches):
                batches.append((size, first(size)))
                held += batches[-1][1].nbytes
            kept, batch = batches[asked]
            asked += 1
            return batch if kept == size else draw(size)

        found = original(again, *args, **options)
        if held > LARGEST:
            known.clear()
            held = 0
        return found

    places = [m for name, m in sys.modules.items() if name.startswith("verify.") and m is not None]
    patched = [m for m in places if getattr(m, "sampled", None) is original]
    for module in patched:
        module.sampled = shared  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in patched:
            module.sampled = original  # type: ignore[attr-defined]


def _remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, called once for equal arguments; generators are left as it left them.

    A tensor or array is handed out as a copy, as the caller may write into it."""
    known: dict[str, tuple[Any, list[Any]]] = {}

    def generators(args: tuple[Any, ...], options: dict[str, Any]) -> list[Any]:
        values = (*args, *options.values())
        return [v for v in values if isinstance(v, torch.Generator | np.random.Generator)]

    def state(one: Any) -> Any:
        return one.get_state() if isinstance(one, torch.Generator) else one.bit_generator.state

    def remembered(*args: Any, **options: Any) -> Any:
        key = fingerprint((args, options))
        if key is None:
            return function(*args, **options)
        drawn = generators(args, options)
        if key not in known:
            rest = [v for v in (*args, *options.values()) if not any(v is one for one in drawn)]
            before = fingerprint(rest)
            found = function(*args, **options)
            if fingerprint(rest) != before:
                return found  # it writes into what it was given
            if isinstance(found, torch.Generator | np.random.Generator):
                return found  # a new one each time: whoever asked for it draws from it
            if isinstance(found, torch.Tensor) and found.requires_grad:
                return found
            known[key] = _copied(found), [state(one) for one in drawn]
        found, states = known[key]
        for one, after in zip(drawn, states, strict=True):
            if isinstance(one, torch.Generator):
                one.set_state(after)
            else:
                one.bit_generator.state = after
        return _copied(found)

    return remembered


def _copied(found: Any) -> Any:
    if isinstance(found, torch.Tensor):
        return found.clone()
    return found.copy() if isinstance(found, np.ndarray) else found


@contextmanager
def remembered_calls(package: str) -> Iterator[None]:
    """Within it, what the checks call of ``package`` by name is computed once for equal arguments."""
    undo: list[tuple[Any, str, Any]] = []
    wrapped: dict[int, Any] = {}
    for module_name, module in list(sys.modules.items()):
        if module is None or not module_name.startswith("verify."):
            continue
        for name, value in list(vars(module).items()):
            inner = getattr(value, "__wrapped__", value)
            plain = hasattr(inner, "__code__") and str(getattr(inner, "__module__", "")).startswith(package)
            if plain and not inspect.isgeneratorfunction(inner):
                undo.append((module, name, value))
                setattr(module, name, wrapped.setdefault(id(value), _remembered(value)))
    try:
        yield
    finally:
        for module, name, value in undo:
            setattr(module, name, value)
