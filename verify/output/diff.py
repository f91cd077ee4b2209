"""Two ledgers beside each other: what one has and the other lacks, and what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from verify.ledger.store import Row
from verify.output.table import STYLES

# What a row says besides its evidence, the verdict first.
FIELDS = (
    "verdict", "printed_latex", "corrected_latex", "condition", "counterexample", "assumptions",
    "consequences", "note", "source", "title",
)  # fmt: skip


class Change(NamedTuple):
    """One difference: the row, what of it, how it was and how it is (None: there was, or is, none)."""

    id: str
    what: str
    old: str | None
    new: str | None


def differences(old: Iterable[Row], new: Iterable[Row]) -> list[Change]:
    """Every difference of two ledgers: rows added and removed, then changes in the order of the new one."""
    before, after = ({row["id"]: row for row in rows} for rows in (old, new))
    found = [Change(i, "row", before[i]["verdict"], None) for i in before if i not in after]
    found += [Change(i, "row", None, after[i]["verdict"]) for i in after if i not in before]
    for i, row in after.items():
        if i in before:
            found += _changes(i, before[i], row)
    return found


def _changes(id: str, old: Row, new: Row) -> Iterator[Change]:
    for name in FIELDS:
        was, now = _text(old.get(name)), _text(new.get(name))
        if was != now:
            yield Change(id, name.replace("_latex", " formula"), was, now)
    before, after = _evidence(old), _evidence(new)
    for key in dict.fromkeys((*before, *after)):
        for was, now in _paired(before.get(key, []), after.get(key, [])):
            if was != now:
                yield Change(id, f"{key[0]}, {key[1]} form, {key[2]}", was, now)


def _text(value: Any) -> str | None:
    return "; ".join(map(str, value)) or None if isinstance(value, list) else value


def _evidence(row: Row) -> dict[tuple[str, str, str], list[str]]:
    """The figures of the row's evidence by kind, form and regime."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for e in row["evidence"]:
        numbers = "".join(
            f", {sign} = {e[key]:.3g}" for sign, key in (("δ", "delta"), ("α", "alpha")) if e[key]
        )
        text = f"{e['outcome']}: {e['measured']}{numbers}"
        found.setdefault((e["kind"], e["form"], e["regime"]), []).append(text)
    return found


def _paired(old: list[str], new: list[str]) -> Iterator[tuple[str | None, str | None]]:
    for j in range(max(len(old), len(new))):
        yield (old[j] if j < len(old) else None, new[j] if j < len(new) else None)


def table(changes: Iterable[Change]) -> Table:
    """A line for each difference."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    found.add_column("statement", overflow="fold", min_width=12)
    for name in ("what", "old", "new"):
        found.add_column(name, overflow="fold", ratio=1)
    for change in changes:
        cells = (change.old, change.new)
        verdicts = change.what in ("row", "verdict")
        texts = [Text(t or "–", style=STYLES.get(t, "") if t and verdicts else "") for t in cells]
        found.add_row(Text(change.id), Text(change.what), *texts)
    return found


def summary(changes: list[Change]) -> Text:
    """How many differences of which sort, in one line."""
    if not changes:
        return Text("no difference")
    added = sum(c.what == "row" and c.old is None for c in changes)
    removed = sum(c.what == "row" and c.new is None for c in changes)
    verdicts = sum(c.what == "verdict" for c in changes)
    evidence = sum(" form, " in c.what for c in changes)
    other = len(changes) - added - removed - verdicts - evidence
    counts = (
        (added, "rows added"), (removed, "rows removed"), (verdicts, "verdicts"), (evidence, "figures"),
        (other, "other changes"),
    )  # fmt: skip
    return Text(", ".join(f"{count} {name}" for count, name in counts if count))
