"""What goes wrong inside somebody's file, in one line that says where."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

from theory.errors import ArgumentError


def called(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """``function(*arguments)``; what it raises becomes an :class:`ArgumentError` with the line that did."""
    try:
        return function(*arguments)
    except Exception as error:
        raise ArgumentError(f"{name}: {told(error, _file(function))}") from error


def _file(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if code else ""


def told(error: BaseException, file: str = "") -> str:
    """The error in words, with the last line of ``file`` that was on the way to it."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    if isinstance(error, SyntaxError) and error.filename == file:
        lines = [error.lineno]
    where = f"line {lines[-1]}: " if lines else ""
    text = str(error) if isinstance(error, ArgumentError) else f"{type(error).__name__}: {error}"
    return f"{where}{' '.join(text.split())}"
