"""The ledger in the terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from verify.ledger.evidence import KINDS, NUMERIC
from verify.ledger.store import Row

STYLES = {
    "confirmed": "green",
    "confirmed-if": "cyan",
    "supported": "green",
    "misprint": "yellow",
    "refuted": "magenta",
    "open": "bold red",
    "partial": "dim",
}
_SHORT = {
    "derivation": "derive",
    "property": "prop",
    "monte-carlo": "mc",
    "training": "train",
    "scaling": "scale",
}


def width() -> int:
    """The terminal's width, and 120 columns where there is no terminal."""
    return shutil.get_terminal_size((120, 24)).columns


def rendered(*parts: RenderableType, colour: bool) -> str:
    """``parts`` as text, with ANSI colours or without."""
    console = Console(
        file=io.StringIO(),
        width=width(),
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
    )
    for part in parts:
        console.print(part)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def kinds(row: Row) -> str:
    """The kinds of evidence that the row has, in short, strongest first."""
    present = {e["kind"] for e in row["evidence"]}
    return " ".join(_SHORT.get(k, k) for k in KINDS if k in present)


def telling(row: Row) -> list[dict[str, Any]]:
    """The evidence to show where there is room for little: what is undecided, else the strongest of what
    agrees and of what differs, numeric before other, then the widest tolerance."""
    found = []
    for outcome in ("undecided",), ("agrees",), ("differs",):
        best = max(
            (e for e in row["evidence"] if e["outcome"] in outcome),
            key=lambda e: (e["kind"] in NUMERIC, e["delta"] or 0.0),
            default=None,
        )
        if best is not None:
            found.append(best)
        if found and outcome == ("undecided",):
            break
    return found


_FORMS = {
    "printed": "",
    "condition": "under the condition ",
    "outside": "without it ",
    "corrected": "corrected ",
}


def measured(row: Row) -> str:
    """That evidence in words, the form named where it is not the printed one."""
    lines = []
    for e in telling(row):
        delta = "" if e["delta"] is None else f", δ = {e['delta']:.0e}".replace("e-0", "e-")
        lines.append(f"{_FORMS[e['form']]}{e['outcome']}: {e['measured']}{delta}")
    return "; ".join(lines) if lines else "no evidence"


def ledger_table(
    rows: Iterable[Row], kills: Mapping[str, str], seconds: Mapping[str, float] | None = None
) -> Table:
    """A line for each row, with its mutants killed (``kills`` by id); ``seconds`` by id adds their column."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("statement", overflow="fold", min_width=12)
    table.add_column("verdict", no_wrap=True)
    table.add_column("evidence", overflow="fold", max_width=22)
    table.add_column("measured", overflow="fold", ratio=1)
    table.add_column("mutants", justify="right", no_wrap=True)
    if seconds is not None:
        table.add_column("s", justify="right", no_wrap=True)
    for row in rows:
        cells: list[RenderableType] = [
            Text(row["id"]),
            Text(row["verdict"], style=STYLES[row["verdict"]]),
            Text(kinds(row)),
            Text(measured(row)),
            Text(kills.get(row["id"], "")),
        ]
        if seconds is not None:
            cells.append(Text(f"{seconds.get(row['id'], 0.0):.1f}"))
        table.add_row(*cells)
    return table


def evidence_table(row: Row) -> Table:
    """Every piece of the row's evidence."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("kind", "form", "outcome", "measured", "regime", "δ", "α", "detects"):
        table.add_column(name, overflow="fold", no_wrap=name in ("kind", "form", "outcome"))
    for e in row["evidence"]:
        delta = "" if e["delta"] is None else f"{e['delta']:.1e}"
        alpha = f"{e['alpha']:.1e}" if e["alpha"] else ""
        detects = f"{e['detects']:.1e}" if e.get("detects") else ""
        words = (e["kind"], e["form"], e["outcome"], e["measured"], e["regime"], delta, alpha, detects)
        table.add_row(*map(Text, words))
    return table


def counts(rows: Iterable[Row]) -> Text:
    """How many rows have each verdict, in one line."""
    verdicts = [row["verdict"] for row in rows]
    parts = [Text(f"{verdicts.count(v)} {v}", style=s) for v, s in STYLES.items() if v in verdicts]
    return Text(", ").join(parts) if parts else Text("no statements")
