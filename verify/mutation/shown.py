"""What the mutants found, as a table and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from verify.ledger.evidence import KINDS
from verify.mutation.report import Killed, vacuous


def totals(found: Iterable[Killed]) -> dict[str, float]:
    """Sums over the forms, and the least share killed of a statement's mutants."""
    found = [one for one in found if one.tried]
    tried = sum(one.tried for one in found)
    return {
        "statements": len({one.id for one in found}),
        "mutants": tried,
        "equal": sum(one.equal for one in found),
        "killed": sum(one.killed for one in found) / tried if tried else 0.0,
        "numeric": sum(one.numeric for one in found) / tried if tried else 0.0,
        "least": min((one.killed / one.tried for one in found), default=0.0),
    }


def _counts(by: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {by[kind]}" for kind in KINDS if kind in by)


def killed_table(found: Iterable[Killed]) -> Table:
    """A line for each form: killed of tried, by numeric evidence alone, by kind, and who survives."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("statement", overflow="fold", min_width=12)
    table.add_column("form")
    for name in ("mutants", "killed", "numeric"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("killed by", overflow="fold")
    table.add_column("survivors", overflow="fold", ratio=1)
    for one in found:
        survivors = Text("; ".join(one.survivors), style="yellow")
        cells = (one.id, one.form, str(one.tried), str(one.killed), str(one.numeric), _counts(one.by))
        table.add_row(*map(Text, cells), survivors)
    return table


def summary(found: Iterable[Killed]) -> Text:
    """The totals in words, and the checks that notice nothing."""
    found = list(found)
    sums = totals(found)
    text = Text(
        f"{sums['mutants']} mutants of {sums['statements']} statements "
        f"({sums['equal']} more are equal to the original): {100 * sums['killed']:.1f} % killed, "
        f"{100 * sums['numeric']:.1f} % by numeric evidence alone, "
        f"{100 * sums['least']:.0f} % at least of each form"
    )
    for line in vacuous(found):
        text.append(f"\nvacuous: {line}", style="bold red")
    return text


def _listed(title: str, lines: list[str]) -> list[str]:
    return [f"\n## {title}\n", *(f"- {line}" for line in lines)] if lines else []


def markdown(found: list[Killed]) -> str:
    """``notes/mutation.md``: totals, a line for each form, survivors, and what was not counted and why."""
    head = (
        "# Mutants of the registered formulas\n\nWritten by `lsatheory mutate --update`; not to be edited.\n"
    )
    table = ["| id | form | mutants | killed | by numeric evidence | killed by |", "|" + " --- |" * 6]
    for one in found:
        cells = (
            f"`{one.id}`",
            one.form,
            f"{one.tried} of {one.made}",
            one.killed,
            one.numeric,
            _counts(one.by),
        )
        table.append(f"| {' | '.join(map(str, cells))} |")
    survivors = [f"`{one.id}`, {one.form}: {'; '.join(one.survivors)}" for one in found if one.survivors]
    unseen = [f"`{one.id}`, {one.form}: {'; '.join(one.unseen)}" for one in found if one.unseen]
    excused = [f"`{one.id}`, {one.form}: {name}: {why}" for one in found for name, why in one.excused.items()]
    parts = [head, summary(found).plain.split("\n")[0] + "\n", *table]
    parts += _listed("Survivors", survivors)
    parts += _listed("No wrong statements, and not counted", excused)
    parts += _listed("Noticed by symbolic evidence alone", unseen)
    parts += _listed("Checks that notice none of the mutants", vacuous(found))
    return "\n".join(parts) + "\n"
