"""The README's Python runs as it stands, and its figures are those of the ledger."""

from __future__ import annotations

import re
from pathlib import Path

from verify.output.readme import placed

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_python_blocks_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_figures_are_current() -> None:
    assert placed(README) == README
