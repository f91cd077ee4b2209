"""The ledger as Markdown, for ``notes/ledger.md``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from verify.ledger.store import Row
from verify.output.table import kinds, measured

_HEAD = ("id", "source", "verdict", "condition", "evidence", "measured", "mutants killed")


def plain_text(text: str) -> str:
    """``text`` with the signs escaped that Markdown would read: of emphasis, tables and tags."""
    return re.sub(r"([*_|<])", r"\\\1", text)


def _cell(text: str) -> str:
    return plain_text(text.replace("\\", "\\\\")).replace("\n", " ")


def _section(row: Row) -> str:
    """What there is to say on a statement that does not simply hold."""
    parts = [
        f"## {row['id']}: {row['verdict']}",
        plain_text(f"{row['source']}. {row['title']}"),
        "As printed:",
    ]
    parts.append(f"$$\n{row['printed_latex']}\n$$")
    if row["corrected_latex"] is not None:
        parts += ["Corrected:", f"$$\n{row['corrected_latex']}\n$$"]
    for label in ("condition", "counterexample"):
        if row[label] is not None:
            parts.append(f"{label.capitalize()}: {plain_text(row[label])}")
    if row["assumptions"]:
        parts.append("Assumed in print: " + plain_text("; ".join(row["assumptions"])))
    if row["note"] is not None:
        parts.append(f"Note: {plain_text(row['note'])}")
    if row["consequences"]:
        parts.append("Consequences: " + "; ".join(row["consequences"]))
    found = [
        plain_text(f"- {e['kind']}, {e['form']} form, {e['regime']}: {e['outcome']}, {e['measured']}")
        for e in row["evidence"]
    ]
    parts.append("\n".join(found) if found else "No evidence.")
    return "\n\n".join(parts)


def ledger_markdown(rows: Iterable[Row], kills: Mapping[str, str]) -> str:
    """A table of all rows with their mutants killed (``kills`` by id), then a section for each that is
    neither confirmed nor supported."""
    rows = list(rows)
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + " --- |" * len(_HEAD)]
    for row in rows:
        cells = (
            f"`{row['id']}`",
            row["source"],
            row["verdict"],
            row["condition"] or "",
            kinds(row),
            measured(row),
            kills.get(row["id"], ""),
        )
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    noted = [
        r for r in rows if r["verdict"] in ("confirmed", "supported") and (r["note"] or r["assumptions"])
    ]
    notes = "\n## Confirmed: what is assumed, what to note\n\n" if noted else ""
    for r in noted:
        assumed = f"assuming {'; '.join(r['assumptions'])}. " if r["assumptions"] else ""
        notes += plain_text(f"- `{r['id']}`: {assumed}{r['note'] or ''}".rstrip()) + "\n"
    sections = [_section(r) for r in rows if r["verdict"] not in ("confirmed", "supported")]
    head = "# Ledger\n\nWritten by `make ledger` from the evidence of a full run; not to be edited.\n\n"
    return head + "\n".join(lines) + "\n" + notes + "".join(f"\n{s}\n" for s in sections)
