"""README and findings: their Python runs as it stands; figures, verdicts, commands and links are right."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import typer

from verify.cli import app
from verify.ledger import store
from verify.output.readme import placed
from verify.output.verdicts import SHOWN, picture

ROOT = Path(__file__).resolve().parents[1]
README, CONTRIBUTING, FINDINGS, SWEEPS = (
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "notes/findings.md", "notes/sweeps.md")
)
ROWS = {row["id"]: row for row in store.load(store.committed_path())}


@pytest.mark.parametrize("page", [README, SWEEPS], ids=lambda page: page.name)
def test_python_runs_and_prints_what_it_says(page: Path) -> None:
    """A comment behind a ``print`` is what is printed."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        printed: list[str] = []
        exec(compile(block, page.name, "exec"), {"print": lambda value, to=printed: to.append(str(value))})
        calls = re.findall(r"^print\(.*?\)(?:  # (.*))?$", block, re.MULTILINE)
        assert len(calls) == len(printed)
        assert [(said, was) for said, was in zip(calls, printed, strict=True) if said and said != was] == []


def test_figures_are_current() -> None:
    text = README.read_text(encoding="utf-8")
    assert placed(text) == text


def texts(svg: str) -> list[str]:
    """What stands in the picture, in order; rich's versions may set it differently."""
    spans = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return " ".join("".join(span.itertext()) for span in spans).split()


def test_picture_is_current() -> None:
    """It has a row with each verdict of the ledger, and loads nothing from the network."""
    kept = (ROOT / "notes" / "figures" / "verdicts.svg").read_text(encoding="utf-8")
    assert texts(kept) == texts(picture())
    assert set(SHOWN) <= set(texts(kept))
    assert {ROWS[id]["verdict"] for id in SHOWN} == {row["verdict"] for row in ROWS.values()}
    assert "url(http" not in kept
    assert "@font-face" not in kept


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [README, CONTRIBUTING, FINDINGS, SWEEPS], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    for path, anchor in links:
        target = page.parent / path
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{path}#{anchor}"


def test_commands_are_those_there_are() -> None:
    """The README names every command of ``lsatheory``, and no command or option that there is not."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    pages = [page.read_text(encoding="utf-8") for page in (README, CONTRIBUTING, SWEEPS)]
    named: dict[str, set[str]] = {}
    for line in re.findall(r"lsatheory ([a-z][^\n`]*)", "\n".join(pages)):
        words = line.split("  #")[0].split()
        named.setdefault(words[0], set()).update(word for word in words if word.startswith("--"))
    assert named.keys() == commands.keys()
    for name, options in named.items():
        command = commands[name]
        parts = [command, *getattr(command, "commands", {}).values()]
        known = {option for part in parts for parameter in part.params for option in parameter.opts}
        assert options <= known, name


# A finding: its text, and behind "Rows:" what it rests on.
FOUND = re.findall(
    r"^- (.*?)\n  Rows: ([^\n]*)\.$", FINDINGS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def rows_of(behind: str) -> dict[str, str]:
    return dict(re.findall(r"`([^`]+)`(?:\]\([^)]*\))? ([a-z-]+)", behind))


def test_findings_have_the_verdicts_of_the_ledger() -> None:
    text = FINDINGS.read_text(encoding="utf-8")
    assert len(FOUND) == len(re.findall(r"^- ", text, re.MULTILINE)) > 30
    named = {id: verdict for _, behind in FOUND for id, verdict in rows_of(behind).items()}
    assert {id: ROWS[id]["verdict"] for id in named} == named
    # A row that has a section of its own in the ledger is linked to it.
    assert set(re.findall(r"(?<!\[)`([\w.-]+)` [a-z-]+[;.]", text)) == {
        id for id, verdict in named.items() if verdict == "confirmed"
    } | {id for id, verdict in named.items() if verdict == "supported"}


NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?")


def value(number: str) -> Fraction:
    return Fraction(number.replace(",", ""))


def said(number: str, known: set[Fraction]) -> bool:
    """Whether a known number is this one, or its decimals are those of a known one, rounded."""
    half = Fraction(1, 2 * 10 ** len(number.partition(".")[2]))
    at = value(number)
    return at in known or ("." in number and any(abs(at - one) <= half for one in known))


@pytest.mark.parametrize(
    ("text", "behind"), FOUND, ids=[re.sub(r"[^\w.]+", "-", text[:24]) for text, _ in FOUND]
)
def test_numbers_of_a_finding_are_those_of_its_rows(text: str, behind: str) -> None:
    """Or of the notes that it links to: no number is of its own."""
    notes = [
        (FINDINGS.parent / name).read_text(encoding="utf-8") for name in re.findall(r"\]\((\w+\.md)\)", text)
    ]
    behind_it = "\n".join([json.dumps([ROWS[id] for id in rows_of(behind)], ensure_ascii=False), *notes])
    known = {value(number) for number in NUMBER.findall(behind_it) if not number.endswith("/0")}
    told = [n for n in NUMBER.findall(re.sub(r"\]\([^)]*\)|`[^`]*`", "", text)) if len(n) > 1]
    assert [number for number in told if not said(number, known)] == []


def test_numbers_of_the_five_findings_are_those_of_all() -> None:
    (five,) = re.findall(r"## What has been found\n(.*?)\n## ", README.read_text(encoding="utf-8"), re.DOTALL)
    known = {value(number) for number in NUMBER.findall(FINDINGS.read_text(encoding="utf-8"))}
    told = NUMBER.findall(re.sub(r"\]\([^)]*\)", "", five))
    assert len(told) > 20
    assert [number for number in told if not said(number, known)] == []
