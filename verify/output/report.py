"""The ledger as one HTML page that needs no network: what ``lsatheory report`` writes."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Iterable, Mapping
from html import escape
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import sympy as sp

from theory.statement import Statement
from verify.ledger import store
from verify.ledger.kills import committed_kills
from verify.ledger.store import Row
from verify.ledger.verdict import VERDICTS
from verify.output.companion import figures, section_of
from verify.output.companion_text import CAPTIONS, SECTIONS, SYMBOLS
from verify.output.latex import printed_label
from verify.output.latex_macros import formula, table
from verify.output.report_math import mathml, prose_html
from verify.output.report_script import SCRIPT
from verify.output.report_style import STYLE
from verify.output.table import kinds

PAPER = "https://arxiv.org/abs/2603.01293"
_PACKAGES = ("lsatheory", "sympy", "mpmath", "numpy", "scipy", "torch", "hypothesis")
_EVIDENCE = ("kind", "form", "outcome", "measured", "regime", "δ", "α", "detects")
_MEANING = {
    "confirmed": "true as printed: derived, or exact in rational arithmetic, and borne out numerically",
    "confirmed-if": "true under a condition that the print lacks; it fails without it",
    "misprint": "wrong as printed, nothing downstream depends on it; the corrected form is checked",
    "refuted": "wrong as printed, and it matters; the corrected form is checked",
    "supported": "a qualitative claim that the measured quantity bears out",
    "open": "not settled",
}


class _Known(NamedTuple):
    """What stands beside the rows: the statements, the macros of their symbols, their mutants noticed."""

    statements: Mapping[str, Statement]
    symbols: Mapping[str, str]
    kills: Mapping[str, str]

    def prose(self, text: str) -> str:
        """Prose of the ledger as HTML."""
        return prose_html(text, self.symbols, self.statements)


def report(rows: Iterable[Row], statements: Mapping[str, Statement]) -> str:
    """The page: table, filters, and each row with formulas, evidence and the command that reruns it.

    ``rows`` are those of a ledger, ``statements`` by their ids.  Raises
    :class:`theory.errors.ArgumentError` for a formula that has no MathML.
    """
    rows = list(rows)
    known = _Known(statements, SYMBOLS | table(statements.values()), committed_kills())
    grouped: dict[str, list[Row]] = {section.title: [] for section in SECTIONS}
    for row in rows:
        grouped.setdefault(_section(row), []).append(row)
    grouped = {title: members for title, members in grouped.items() if members}
    parts = [_part(title, members, known) for title, members in grouped.items()]
    body = _header(rows) + _filters(rows, grouped) + f"<main>{_table(grouped, known)}{''.join(parts)}</main>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Verdicts on arXiv:2603.01293</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body>\n<a class="skip" href="#table">To the table</a>\n{body}<script>{SCRIPT}</script>\n'
        "</body>\n</html>\n"
    )


def _section(row: Row) -> str:
    section = section_of(row["id"])
    return section.title if section else "Other statements"


def _verdict(verdict: str) -> str:
    return f'<span class="verdict" style="--colour: var(--{verdict})">{verdict}</span>'


def _header(rows: list[Row]) -> str:
    """What this is, what the verdicts mean, and what it was computed with."""
    digest = hashlib.sha256(store.dumps(rows).encode()).hexdigest()[:16]
    versions = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        versions.append(f"{name} {metadata.version(name)}")
    entries = {
        "Ledger": f"<code>notes/ledger.json</code>, SHA-256 {digest}…, the verdicts of a full run",
        "Seeds": "base seed 0, profile standard, property tests derandomised; the seed of each sampled check "
        "follows from the base seed and the name of the check",
        "Versions": escape(", ".join(versions)) + ", where this page was written; "
        "<code>constraints.txt</code> pins those of <code>make ledger</code>",
        "Run again": "<code>lsatheory verify --profile standard --base-seed 0</code>, and a single statement "
        "by the line below it",
    }
    listed = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in entries.items())
    meanings = "".join(f"<dt>{_verdict(v)}</dt><dd>{_MEANING[v]}</dd>" for v in VERDICTS)
    return (
        f'<header><h1>Verdicts on <a href="{PAPER}">arXiv:2603.01293</a></h1>\n'
        f"<p>{len(rows)} statements, each derived, simulated and judged. A verdict is computed from its "
        "evidence.</p>\n"
        f'<dl class="provenance">{meanings}</dl>\n'
        f"<details><summary>Seeds, versions, how to run it again</summary>"
        f'<dl class="provenance">{listed}</dl>'
        "</details></header>\n"
    )


def _filters(rows: list[Row], sections: Iterable[str]) -> str:
    counts = {v: sum(row["verdict"] == v for row in rows) for v in VERDICTS}
    boxes = "".join(
        f'<label><input type="checkbox" name="verdict" value="{v}"> {_verdict(v)} '
        f'<span class="faint">{counts[v]}</span></label>'
        for v in VERDICTS
    )
    options = "".join(f'<option value="{escape(s)}">{escape(s)}</option>' for s in sections)
    return (
        f'<form id="filters" role="search" aria-label="Statements" hidden>'
        f"<fieldset><legend>Verdict</legend>{boxes}</fieldset>"
        f'<label class="field">Section<select name="section"><option value="">all</option>{options}</select>'
        '</label><label class="field">Text<input type="search" name="text" autocomplete="off"></label>'
        '<button type="button" id="clear">Show all</button><output id="count"></output></form>\n'
    )


def _table(grouped: Mapping[str, list[Row]], known: _Known) -> str:
    lines = "".join(
        f'<tr role="row" id="line-{row["id"]}">'
        f'<th role="rowheader" scope="row"><a href="#{row["id"]}">{row["id"]}</a></th>'
        f'<td role="cell">{_verdict(row["verdict"])}</td>'
        f'<td role="cell" class="title">{known.prose(row["title"])}</td>'
        f'<td role="cell" class="wide">{escape(row["source"])}</td>'
        f'<td role="cell" class="wide">{kinds(row)}</td></tr>\n'
        for members in grouped.values()
        for row in members
    )
    return (
        '<section id="table"><h2>All verdicts</h2>\n<table role="table" class="verdicts"><thead><tr>'
        '<th scope="col">Statement</th><th scope="col">Verdict</th><th scope="col">What it says</th>'
        '<th scope="col" class="wide">Source</th><th scope="col" class="wide">Evidence</th></tr></thead>\n'
        f"<tbody>{lines}</tbody></table></section>\n"
    )


def _part(title: str, rows: list[Row], known: _Known) -> str:
    """A section of the paper: its statements, then its figures."""
    section = section_of(rows[0]["id"])
    images = {name: path.with_suffix(".png") for name, path in figures().items()}
    shown = [name for name in (section.figures if section else ()) if name in images]
    text = f'<p class="faint">{known.prose(section.text)}</p>' if section else ""
    articles = "".join(_article(row, title, shown, known) for row in rows)
    plates = "".join(_figure(name, images[name], known) for name in shown)
    return f'<section class="part"><h2>{escape(title)}</h2>{text}\n{articles}{plates}</section>\n'


def _figure(name: str, path: Path, known: _Known) -> str:
    caption = CAPTIONS.get(name, name.replace("-", " ") + ".")
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure id="figure-{name}"><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{known.prose(caption)}</figcaption></figure>\n"
    )


def _formula(label: str, form: sp.Basic, row: Row, known: _Known) -> str:
    name = escape(f"{label}, {row['id']}")
    math = mathml(formula(form), known.symbols)
    return (
        f'<p class="label">{label}</p>'
        f'<div class="scroll formula" role="group" aria-label="{name}">{math}</div>\n'
    )


def _remark(label: str, text: str, known: _Known) -> str:
    return f'<p><span class="label">{label}:</span> {known.prose(text)}</p>\n'


def _article(row: Row, section: str, images: list[str], known: _Known) -> str:
    """One statement in full."""
    id, verdict = row["id"], row["verdict"]
    statement = known.statements[id]
    parts = [_formula(printed_label(row), statement.printed, row, known)]
    if row["condition"]:
        parts.append(_remark("Holds if", row["condition"], known))
    if statement.corrected is not None:
        parts.append(_formula("Corrected", statement.corrected, row, known))
    for label, key in (("Counterexample", "counterexample"), ("Note", "note")):
        if row[key]:
            parts.append(_remark(label, row[key], known))
    assumed = "Assumed in print" if printed_label(row) == "As printed" else "In the setting"
    for label, key in ((assumed, "assumptions"), ("Consequences", "consequences")):
        if row[key]:
            parts.append(_remark(label, "; ".join(row[key]), known))
    own = [name for name in images if id.split(".")[0].replace("fig-", "fig") == name]
    parts += [f'<p><a href="#figure-{name}">The figure</a></p>' for name in own]
    if id in known.kills:
        parts.append(_remark("Wrong formulas put in its place, noticed of tried", known.kills[id], known))
    words = (id, row["source"], row["title"], row["condition"], row["counterexample"], row["note"])
    text = escape(" ".join([*filter(None, words), *row["assumptions"], *row["consequences"]]))
    return (
        f'<article id="{id}" data-verdict="{verdict}" data-section="{escape(section)}" data-text="{text}" '
        f'style="--colour: var(--{verdict})">'
        f"<header><h3>{id}</h3>{_verdict(verdict)}<span>{escape(row['source'])}</span></header>\n"
        f"<p>{known.prose(row['title'])}.</p>\n{''.join(parts)}{_evidence(row)}"
        f'<p class="faint"><code>lsatheory verify {id} --profile standard --base-seed 0</code></p>'
        "</article>\n"
    )


def _evidence(row: Row) -> str:
    """Every piece of evidence, folded away."""
    if not row["evidence"]:
        return "<p>No evidence yet.</p>\n"
    head = "".join(f'<th scope="col">{name}</th>' for name in _EVIDENCE)
    lines = ""
    for e in row["evidence"]:
        delta = "" if e["delta"] is None else f"{e['delta']:.1e}"
        alpha = f"{e['alpha']:.1e}" if e["alpha"] else ""
        detects = f"{e['detects']:.1e}" if e.get("detects") else ""
        cells = (e["kind"], e["form"], e["outcome"], e["measured"], e["regime"], delta, alpha, detects)
        long = ' class="long"'
        lines += "<tr>" + "".join(
            f"<td{long if i in (3, 4) else ''}>{escape(cell)}</td>" for i, cell in enumerate(cells)
        )
        lines += "</tr>\n"
    return (
        f"<details><summary>Evidence: {kinds(row)} ({len(row['evidence'])})</summary>"
        f'<div class="scroll" role="group" aria-label="Evidence, {row["id"]}"><table class="evidence">'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div></details>\n"
    )
