"""The derivations of all statements: ``notes/derivations.json``, and a section of each ``notes/<part>.md``.

``python -m verify.output.derivations`` writes both.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from html import escape
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypedDict

from theory.statement import registry
from verify.derivation import derivations, note
from verify.ledger import load_statements, store
from verify.ledger.store import Row
from verify.output.markdown import plain_text
from verify.output.steps import Taken, derived_form, established, steps

LONGEST = 500  # characters of LaTeX; longer formulas are for `lsatheory show ID --latex`
BEGIN = "<!-- derivations: written by make ledger -->"
END = "<!-- end of derivations -->"


class Recorded(TypedDict):
    """The derivation of a statement: its steps, and a side of the judged form as they wrote it."""

    steps: list[Any]
    derived: str | None


NO_DERIVATION = Recorded(steps=[], derived=None)


def length(found: Recorded) -> int:
    """Characters of all formulas of a derivation."""
    pairs = [pair for entry in found["steps"] if "rule" in entry for pair in entry["pairs"]]
    return sum(len(one or "") for pair in pairs for side in pair for one in side)


def recorded(id: str) -> Recorded:
    """The derivation of ``id`` as it is taken now."""
    load_statements()
    found = derivations(id)
    return Recorded(steps=list(steps(found, LONGEST)), derived=derived_form(registry()[id], found))


def derived_ids(rows: Iterable[Row]) -> list[str]:
    """The statements with symbolic evidence."""
    return [row["id"] for row in rows if any(e["kind"] == "derivation" for e in row["evidence"])]


def path() -> Path:
    """What is committed of the derivations."""
    return store.committed_path().with_name("derivations.json")


def as_json(found: Mapping[str, Recorded]) -> str:
    """How derivations are written."""
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def committed() -> dict[str, Recorded]:
    """All derivations under version control, by id; none beside a ledger that came without them."""
    return _read(path()) if path().exists() else {}


@cache
def _read(file: Path) -> dict[str, Recorded]:
    found: dict[str, Recorded] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _math(latex: str | None) -> str:
    # GitHub leaves what is between $` and `$ to its renderer of formulas alone.
    return "(long)" if latex is None else f"$`{latex.replace(chr(10), ' ')}`$"


def _pair(given: list[str | None], results: list[str | None]) -> str:
    sides = [", ".join(map(_math, side)) for side in (given, results) if side]
    return " → ".join(sides)


def _item(number: int, step: Taken) -> str:
    mark = f"{number}. "
    lines = [f"{mark}{plain_text(step['rule'])} (`{step['function']}`)"]
    lines += [f"{' ' * len(mark)}- {_pair(*pair)}" for pair in step["pairs"]]
    if step["more"]:
        lines.append(f"{' ' * len(mark)}- and {step['more']} more of the kind")
    return "\n".join(lines)


def _statement(row: Row, found: Recorded) -> str:
    lines, number = [f"<details><summary><code>{row['id']}</code>: {escape(row['title'])}</summary>\n"], 0
    for entry in found["steps"]:
        if "rule" in entry:
            number += 1
            lines.append(_item(number, entry))
        else:
            lines.append(f"\n⊢ {plain_text(established(entry))}\n")
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)) + "\n</details>"


def section(rows: Iterable[Row], found: Mapping[str, Recorded]) -> str:
    """The section of a note with the derivations of these rows as numbered steps."""
    body = [_statement(row, found[row["id"]]) for row in rows]
    return "\n\n".join([BEGIN, "## Derivations, step by step", TEXT, *body, END]) + "\n"


TEXT = """What the theory computed for the symbolic evidence, in its order: the rule of each step, the
function that took it, and what came out (what went in before the arrow, where the rule is one of the
algebra). `⊢` is what the steps before it establish. `lsatheory show ID` takes them again, and has the
formulas that are too long for here."""


def with_section(page: str, part: str) -> str:
    """``page`` ending in ``part`` in the place of the section that it had."""
    hand = page.split(BEGIN)[0].rstrip("\n")
    return f"{hand}\n\n{part}"


def notes(rows: Iterable[Row], found: Mapping[str, Recorded]) -> dict[Path, str]:
    """Every note that has derivations, with them, by its path under the project."""
    load_statements()
    placed = [(page, row) for row in rows if row["id"] in found and (page := note(row["id"])) is not None]
    pages: dict[Path, str] = {}
    for page, group in groupby(sorted(placed, key=lambda pair: str(pair[0])), lambda pair: pair[0]):
        text = (store.project_root() / page).read_text(encoding="utf-8")
        pages[page] = with_section(text, section([row for _, row in group], found))
    return pages


def main() -> None:
    """Take all derivations again, on all cores, and write them and the notes."""
    rows = store.load(store.committed_path())
    ids = derived_ids(rows)
    # Spawned: a fork of a process that holds torch's threads may hang.
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1), get_context("spawn")) as pool:
        found = dict(zip(ids, pool.map(recorded, ids), strict=True))
    root = store.project_root()
    store.write_files(
        {path(): as_json(found)} | {root / page: body for page, body in notes(rows, found).items()}
    )


if __name__ == "__main__":
    main()
