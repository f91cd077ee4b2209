"""The files of a figure: where it goes, and the table of its numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numerics.files import replace_file
from theory.errors import ArgumentError


def figure_files(name: str, out: Path) -> list[Path]:
    """``name``.png, ``name``.pdf and ``name``.csv in the folder ``out``, or ``out`` and a CSV beside it.

    Raises :class:`ArgumentError` where no figure can be written.
    """
    if out.is_dir():
        return [out / f"{name}{suffix}" for suffix in (".png", ".pdf", ".csv")]
    if out.suffix not in (".png", ".pdf", ".svg") or not out.parent.is_dir():
        raise ArgumentError(
            f"out={str(out)!r}: must be an existing folder, or a .png, .pdf or .svg file in one"
        )
    return [out, out.with_suffix(".csv")]


def write_table(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """``rows``, one at least and all of the same keys, as CSV: wholly or not at all."""
    found = list(rows)
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    replace_file(path, buffer.getvalue().encode())
