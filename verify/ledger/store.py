"""The ledger on disk: ``notes/ledger.json`` (committed) and ``.lsatheory/last-run.json``."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from theory.errors import ArgumentError
from theory.statement import Statement
from verify.ledger.evidence import Evidence
from verify.ledger.verdict import VERDICTS, verdict

Row = dict[str, Any]

# What has to equal the committed ledger; measured figures may move with the platform.
_SETTLED = (
    "verdict", "condition", "printed_latex", "corrected_latex", "counterexample", "assumptions",
    "consequences", "note",
)  # fmt: skip
_SHOWN = {"kind", "outcome", "measured", "regime", "delta", "alpha", "form"}  # of evidence, in any version
TEMPORARY, HOUR = ".part", 3600.0
_EVIDENCE = ("kind", "outcome", "measured", "regime", "delta", "alpha", "form", "detects")


def project_root() -> Path:
    """The folder that holds ``verify/`` and ``notes/``: the clone, or site-packages for a wheel."""
    return Path(__file__).resolve().parents[2]


def installed() -> bool:
    """Whether this is a wheel's installation and no clone: then nothing is written beside the package."""
    return project_root().name in ("site-packages", "dist-packages")


def state_folder() -> Path:
    """Where runs leave what no commit has: in the clone, or in the working folder of an installation."""
    return (Path.cwd() if installed() else project_root()) / ".lsatheory"


def committed_path() -> Path:
    """The ledger under version control."""
    return project_root() / "notes" / "ledger.json"


def last_run_path() -> Path:
    """The rows of the last run on this machine."""
    return state_folder() / "last-run.json"


def row(statement: Statement, evidence: Sequence[Evidence]) -> Row:
    """The statement's line in the ledger, verdict included.

    The counterexample is recomputed; :class:`ArgumentError` if it is none, printed and true value
    being equal.
    """
    from theory.notation import latex  # SymPy's printers take a while to load, and reading needs none

    text = None
    if statement.counterexample is not None:
        found = statement.counterexample()
        if found.printed == found.actual:
            raise ArgumentError(f"counterexample of {statement.id!r}: printed and true value are equal")
        text = str(found)
    return {
        "id": statement.id,
        "source": statement.source,
        "title": statement.title,
        "verdict": verdict(statement, evidence),
        "condition": statement.condition or None,
        "printed_latex": latex(statement.printed),
        "corrected_latex": None if statement.corrected is None else latex(statement.corrected),
        "counterexample": text,
        "assumptions": list(statement.assumptions),
        "consequences": list(statement.consequences),
        "note": statement.note or None,
        "evidence": [{key: getattr(e, key) for key in _EVIDENCE} for e in evidence],
    }


def load(path: Path) -> list[Row]:
    """The rows of ``path``, none if there is no such file; :class:`ArgumentError` if it is no ledger."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{path}: not JSON ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "id" in r for r in rows):
        raise ArgumentError(f"{path}: must be a list of rows, each with an id")
    for each in rows:
        evidence = each.get("evidence")
        known = isinstance(evidence, list) and all(
            isinstance(e, dict) and e.keys() >= _SHOWN for e in evidence
        )
        if each.get("verdict") not in VERDICTS or not known:
            raise ArgumentError(f"{path}: the row {each['id']!r} must have a verdict and its evidence")
    return rows


def write_files(files: Mapping[Path, str]) -> None:
    """Write all of ``files``, or none of them where one cannot be written.

    Each is written beside its place and moved there, so that no reader, and no run that is killed, sees
    half of one; :class:`ArgumentError` for a folder or disk that takes no file.
    """
    staged: list[tuple[str, Path]] = []
    path = Path()
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
            staged.append((name, path))
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)  # else a crash of the machine may keep the name and lose the text
            # mkstemp makes files for the owner alone; these are for everybody.
            os.chmod(name, 0o644)
        while staged:
            name, path = staged[0]
            os.replace(name, path)
            staged.pop(0)
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        for name, _ in staged:
            with suppress(OSError):
                os.unlink(name)


def write_text(path: Path, text: str) -> None:
    """Write one file, as :func:`write_files`."""
    write_files({path: text})


def _remove_leftovers(path: Path) -> None:
    """Remove what killed runs left beside ``path``: a write takes no hour, so none in progress is hit."""
    for left in path.parent.glob(f".{path.name}.*{TEMPORARY}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > HOUR:
                left.unlink()


def dumps(rows: Iterable[Row]) -> str:
    """Rows as JSON: keys as :func:`row` orders them, readable diffs."""
    return json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n"


def save(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows to ``path``, wholly or not at all."""
    write_text(path, dumps(rows))


def current_rows() -> list[Row]:
    """The committed rows, each replaced by the last run's where that run judged it."""
    newer = {r["id"]: r for r in load(last_run_path())}
    rows = [newer.pop(r["id"], r) for r in load(committed_path())]
    return rows + list(newer.values())


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def stale(computed: Iterable[Row], committed: Iterable[Row]) -> list[str]:
    """One line for each way in which the computed ledger is not the committed one; [] if it is.

    Numbers measured and the list of evidence do not count, the verdict that they lead to does.
    """
    new, old = ({r["id"]: r for r in rows} for rows in (computed, committed))
    lines = [f"{i}: {new[i]['verdict']}, not in the committed ledger" for i in new if i not in old]
    lines += [f"{i}: in the committed ledger, not in this run" for i in old if i not in new]
    for i in new:
        for key in _SETTLED:
            was, now = old.get(i, new[i]).get(key), new[i].get(key)
            if was != now:
                lines.append(f"{i}: {key.replace('_latex', ' formula')} was {_shown(was)}, is {_shown(now)}")
    return lines
