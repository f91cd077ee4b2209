"""The picture of the README: a few rows of the committed ledger's table, as a terminal shows them.

``python -m verify.output.verdicts`` writes ``notes/figures/verdicts.svg``.
"""

from __future__ import annotations

import io
from html import escape

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from verify.ledger import store
from verify.ledger.kills import committed_kills
from verify.output.table import counts, ledger_table

# Of the statements that carry the paper some with each verdict, short in the table; one beyond the paper.
SHOWN = (
    "thm-4.1",
    "thm-4.2.a",
    "prop-5.1",
    "insight-1.a",
    "insight-2",
    "prop-6.1.b",
    "insight-3.a",
    "lem-A.1.d",
    "thm-B.1",
    "fig-3.f",
    "ext-limit.j",
)
COLUMNS = 112
# Colours that can be told apart and read on the dark ground, which stands out from a light and a dark page.
_THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),  # black
        (255, 123, 114),  # red
        (63, 185, 80),  # green
        (227, 179, 65),  # yellow
        (88, 166, 255),  # blue
        (210, 168, 255),  # magenta
        (57, 197, 207),  # cyan
        (177, 186, 196),  # white
    ],
)
# A picture in a page loads no fonts, and every text in it has its width given: any monospaced font will do.
_FONTS = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def _format(title: str) -> str:
    """Rich's SVG without the fonts that it loads from the network, and with ``title`` for screen readers."""
    head, rest = CONSOLE_SVG_FORMAT.split("<style>", 1)
    style = rest[rest.index(".{unique_id}-matrix") :].replace("Fira Code, monospace", _FONTS)
    head = head.replace("<svg ", '<svg role="img" ') + f"<title>{escape(title)}</title>\n    "
    return f"{head}<style>\n    {style}"


def picture() -> str:
    """The rows :data:`SHOWN` of the committed ledger and the totals of all of it, as SVG."""
    rows = store.load(store.committed_path())
    shown = [row for row in rows if row["id"] in SHOWN]
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(ledger_table(shown, committed_kills()))
    console.print(counts(rows), highlight=False)
    title = f"lsatheory ledger: {len(shown)} of {len(rows)} statements, and the totals"
    svg = console.export_svg(title=title, theme=_THEME, code_format=_format(title), unique_id="verdicts")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    store.write_text(store.project_root() / "notes" / "figures" / "verdicts.svg", picture())
