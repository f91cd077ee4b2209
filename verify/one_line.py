"""Errors of the command line: one line that says what is wrong, an exit status, no traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from theory.errors import ArgumentError


def _told() -> tuple[type[Exception], ...]:
    """The errors whose message says all there is to say: bad input, no file, no memory, divergence."""
    # Where numerics is not loaded, which takes a while, it has raised nothing.
    numerics = sys.modules.get("numerics.errors")
    own = (numerics.ArgumentError, numerics.Diverged, numerics.SweepStopped) if numerics else ()
    return (ArgumentError, OSError, MemoryError, *own)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """One line on stderr: bad input has exit status 2, what fails on good input 1."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has gone, which Click takes as the end
    except _told() as error:
        typer.echo(f"error: {' '.join(str(error).split()) or type(error).__name__}", err=True)
        if isinstance(error, OSError):
            _drop_output()
        raise typer.Exit(2 if isinstance(error, ValueError) else 1) from None


def _drop_output() -> None:
    """What a full disk did not take of stdout is not tried again at exit, which would end in a traceback."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
