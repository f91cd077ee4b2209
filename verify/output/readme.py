"""The figures of the README's "What the verdicts mean", from the committed ledger and what stands beside it.

``python -m verify.output.readme`` writes them between the two comments of the README.
"""

from __future__ import annotations

import json
import re
from statistics import median, quantiles
from typing import Any

from theory.errors import ArgumentError
from verify.ledger import store
from verify.profiles import PROFILES

BEGIN, END = "<!-- figures: written by make ledger -->", "<!-- end of figures -->"


def _beside(name: str) -> Any:
    path = store.committed_path().with_name(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _power(rows: list[store.Row]) -> str:
    found = [e for row in rows for e in row["evidence"] if e["alpha"]]
    total = sum(e["alpha"] for e in found)
    detects = [100 * e["detects"] for e in found if e.get("detects")]
    ninth = quantiles(detects, n=10)[-1]
    kept = [row["id"] for row in rows if any(e["regime"].startswith("recorded: ") for e in row["evidence"])]
    besides = f" Besides, {', '.join(kept)} rest on recorded runs, at 95 %." if kept else ""
    return (
        f"{len(found)} checks are sampled; the probability of any wrong outcome in a run is at most "
        f"{total:.1g} (declared: {PROFILES['standard'].family:.0e}). The deviation that a check notices with "
        f"probability 0.99 is {median(detects):.2g} % of its scale in the median, at most {ninth:.2g} % for "
        f"nine of ten; `lsatheory show` has it for each.{besides}"
    )


def _mutants(found: list[dict[str, Any]]) -> str:
    made, tried, killed, numeric = (
        sum(one[key] for one in found) for key in ("made", "tried", "killed", "numeric")
    )
    return (
        f"{tried} of {made} wrong formulas, one place of a registered one changed, were put in its place: "
        f"{100 * killed / tried:.1f} % were noticed, {100 * numeric / tried:.1f} % by simulation or training "
        "alone, each by a check whose reference does not read the formula "
        "([notes/mutation.md](notes/mutation.md))."
    )


def _false_alarms(found: dict[str, Any]) -> str:
    event = "differs, true"
    rates = {
        alpha: max(
            (c["count"] for c in found["counts"] if c["event"] == event and c["alpha"] == alpha), default=0
        )
        for alpha in (0.05, 0.01)
    }
    checks = len(found["checks"])
    return (
        f"In {found['runs']} runs of each of {checks} checks on true statements, α raised to 0.05 and 0.01, "
        f"`differs` came out at most {rates[0.05]} and {rates[0.01]} times "
        "([notes/calibration.md](notes/calibration.md))."
    )


def figures() -> str:
    """The list of figures, in Markdown."""
    rows = store.load(store.committed_path())
    lines = [
        f"{len(rows)} statements, {sum(r['verdict'] == 'open' for r in rows)} of them open.",
        _power(rows),
    ]
    if mutation := _beside("mutation.json"):
        lines.append(_mutants(mutation))
    if calibration := _beside("calibration.json"):
        lines.append(_false_alarms(calibration))
    return "\n".join(f"- {line}" for line in lines)


def placed(text: str) -> str:
    """The README's ``text`` with today's figures; :class:`ArgumentError` where the comments are missing."""
    if not (BEGIN in text and END in text):
        raise ArgumentError(f"README.md: must hold {BEGIN} and {END}")
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{figures()}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    readme = store.project_root() / "README.md"
    store.write_text(readme, placed(readme.read_text(encoding="utf-8")))
