"""Where the panels of Figure 4 are measured: two fifths of the paper's size in every length, more runs.

d, rank Δ, n and B are 0.4 times those of the figure, where each panel goes the same way
(``notes/figure_four.md``); 40 runs, for intervals that hold with the error probability of a check.
"""

from __future__ import annotations

from typing import Any

from verify.checks.figure_four import Panel

SCALED: dict[str, Any] = {
    "d": 40,
    "rank": 8,
    "n": 80,
    "B": 80,
    "runs": 40,
    "test_prompts": 40,
    "dtype": "float32",
}
COUNTS, LENGTHS, STEPS = (4, 80, 200), (10, 80, 240), (1, 3, 8)
AXES = {"B": COUNTS, "n": LENGTHS, "k": STEPS}
ALONE = {"n_pre": SCALED["n"], "n_test": SCALED["n"]}  # with n that of the post-training prompts alone


def panel(loss: str, axis: str, quantity: str = "test", **settings: Any) -> Panel:
    """A panel at that size; ``settings`` replace what is there."""
    return Panel(loss, axis, AXES[axis], quantity, SCALED | settings)
