"""The table of ``notes/beyond.md``: every core result under every departure, measured and by the theory.

``python -m verify.output.beyond`` measures (half an hour of a core), writes ``notes/figures/beyond.csv`` and
the table; ``--table`` writes the table from the CSV alone.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from numerics.experiments import beyond
from numerics.files import replace_file
from verify.beyond_predictions import prediction
from verify.output.figure_files import write_table
from verify.output.progress import progress_bar

ROOT = Path(__file__).resolve().parents[2]
CSV, NOTE = ROOT / "notes" / "figures" / "beyond.csv", ROOT / "notes" / "beyond.md"
BEGIN, END = "<!-- table: written by verify.output.beyond -->", "<!-- end of table -->"
LEVEL = 0.99  # that all intervals hold at once
NAMES = {
    "pretrained": "pretrained Ṽ (eq. 3.7), tr Ṽ",
    "closed_form": "Theorem 4.1, B = 2: distance of the minimiser from (4.1)",
    "population": "Proposition 4.3, k = 3, tr Ṽ",
    "risk": "Proposition 5.1, risk at n = 6",
    "risk_long": "the same at n = 100 (dominant term)",
    "outcome_one_step": "OS, k = 1, minimiser (ext-os.a), tr Ṽ",
    "outcome_two_steps": "OS, k = 2, isotropic minimiser c (ext-os.b)",
    "gradient": "OS, k = 2, slope of the loss",
    "curvature": "OS, k = 1, λ_max of the Hessian",
    "threshold": "SFT, k = 3, largest step 2/λ_max",
    "limit": "Err(Ṽ_*) at d = {d:g}; nominal and theory: the limit",
    "linearised": "Err(V_S + V_N) at d = {d:g}; nominal and theory: the corrected F(β)",
}


def rows(cells: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each configuration; the intervals hold at once with probability :data:`LEVEL`.

    Bonferroni over the rows, t intervals of the means over runs.
    """
    cells = list(cells)
    nominal = {each["result"]: prediction(each) for each in cells if each["departure"] == "none"}
    found = []
    with progress_bar("beyond") as advance:
        for number, each in enumerate(cells):
            values = np.array(beyond.run(each, 1000 + number, torch.device("cpu"))["value"])
            t = stats.t.ppf(1 - (1 - LEVEL) / (2 * len(cells)), len(values) - 1)
            before, mean = nominal[each["result"]], float(values.mean())
            found.append(
                {
                    "result": each["result"],
                    "departure": each["departure"],
                    "nominal": before,
                    "simulated": mean,
                    "half_width": float(t * values.std(ddof=1) / len(values) ** 0.5),
                    "move": mean / before - 1 if before else None,
                    "theory": prediction(each),
                    "runs": len(values),
                    "prompts": each["size"],
                    "d": each["d"],
                }
            )
            advance((number + 1) / len(cells))
    return found


def read_csv(source: Path = CSV) -> list[dict[str, Any]]:
    with source.open(encoding="utf-8", newline="") as file:
        return [
            {name: text if name in ("result", "departure") else _number(text) for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def _number(text: str) -> float | None:
    return float(text) if text else None


def table(found: list[dict[str, Any]]) -> str:
    """Markdown, a block of rows for each result."""
    lines = [
        "| result | departure | nominal | simulated, 99 % | move | extended theory |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    shown = ""
    for row in found:
        name = NAMES[row["result"]].format(d=row["d"]) if row["result"] != shown else ""
        shown = row["result"]
        lines.append(
            f"| {name} | {row['departure']} | {_digits(row['nominal'])} | {_digits(row['simulated'])} ± "
            f"{_short(row['half_width'])} | {_percent(row['move'])} | {_digits(row['theory'])} |"
        )
    return "\n".join(lines)


def _digits(number: float | None) -> str:
    return "—" if number is None else f"{number:.4g}" if abs(number) > 1e-9 else "0"


def _short(number: float) -> str:
    return f"{number:.2g}" if number > 1e-9 else "0"


def _percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:+.1f} %"


def put_into_note(found: list[dict[str, Any]], note: Path = NOTE) -> None:
    """Replace what is between the marks in the note."""
    text = note.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    replace_file(note, f"{before}{BEGIN}\n{table(found)}\n{END}{after}".encode())


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--table"]):
        print("usage: python -m verify.output.beyond [--table]", file=sys.stderr)
        return 2
    if not arguments:
        write_table(rows(beyond.cells()), CSV)
    put_into_note(read_csv())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
