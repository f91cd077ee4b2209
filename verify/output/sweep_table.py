"""A sweep's store as a table: its state in the terminal, its results as CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from numerics.files import replace_file
from numerics.sweeps.store import Row, Status
from theory.errors import ArgumentError

Record = dict[str, Any]
# Of a cell itself; the configuration's and the result's have config. and result. before them.
COLUMNS = ("experiment", "seed", "key", "code", "torch", "device", "seconds", "finished")


def table(lines: Iterable[Status]) -> Table:
    """A line for each experiment and version of the code."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("experiment", "code", "done", "running", "missing", "corrupt", "hours", "device"):
        text = name in ("experiment", "code", "device")
        found.add_column(name, justify="left" if text else "right", no_wrap=text)
    for line in lines:
        counts = (line.done, line.running, line.missing, line.corrupt)
        hours = f"{line.seconds / 3600:.2f}"
        found.add_row(line.experiment, line.code[:12], *map(str, counts), hours, " ".join(line.devices))
    return found


def check_table(out: Path) -> None:
    """Raises :class:`ArgumentError` unless ``out`` can be exported to."""
    if out.suffix not in (".csv", ".parquet") or not out.parent.is_dir():
        raise ArgumentError(f"out={str(out)!r}: must be a .csv or .parquet file in an existing folder")
    if out.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise ArgumentError(f"out={str(out)!r}: needs `pip install 'lsatheory[parquet]'`") from None


def export(rows: Iterable[Row], out: Path) -> None:
    """Write ``rows``, wholly or not at all; :class:`OSError` where there is no room."""
    records = [_record(row) for row in rows]
    names = list(COLUMNS)
    for kind in ("config.", "result."):
        names += sorted({name for record in records for name in record if name.startswith(kind)})
    columns = {name: [record.get(name) for record in records] for name in names}
    replace_file(out, _csv(columns) if out.suffix == ".csv" else _parquet(columns))


def _record(row: Row) -> Record:
    record = {name: getattr(row, name) for name in COLUMNS}
    result = json.loads(row.result)
    parts = {"config": json.loads(row.config), "result": result if isinstance(result, dict) else {"": result}}
    return record | {f"{kind}.{key}": value for kind, part in parts.items() for key, value in part.items()}


def _csv(columns: dict[str, list[Any]]) -> bytes:
    """Lists and dictionaries as JSON, floats to the last digit, what a cell does not have empty."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow(_text(value) if isinstance(value, list | dict | bool) else value for value in values)
    return buffer.getvalue().encode()


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    """Lists as lists of numbers; as JSON the columns whose values have no type in common."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name, values in columns.items():
        try:
            if any(isinstance(value, dict) for value in values):
                raise pa.ArrowInvalid("keys that differ from cell to cell")
            arrays[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays[name] = pa.array([None if value is None else _text(value) for value in values])
    buffer = io.BytesIO()
    pq.write_table(pa.table(arrays), buffer)
    return buffer.getvalue()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
