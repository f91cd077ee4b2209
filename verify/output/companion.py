"""``companion.tex``: the paper's statements from its definitions to the exact limit, in one document."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from theory.errors import ArgumentError
from theory.statement import Statement
from verify.ledger import store
from verify.ledger.store import Row
from verify.output.companion_text import CAPTIONS, DEFINITIONS, SECTIONS, SYMBOLS, Section
from verify.output.derivations import NO_DERIVATION, Recorded, length
from verify.output.latex import evidence_kinds, macros, statement_tex, verdict_table
from verify.output.latex_macros import table
from verify.output.latex_prose import prose
from verify.output.latex_steps import derivation_tex

_HEAD = r"""\documentclass{article}
\usepackage{amsmath,amssymb,array,graphicx,longtable}
\usepackage[hidelinks]{hyperref}
\allowdisplaybreaks
\emergencystretch=3em
\renewcommand{\figurename}{Plot}
\addtolength{\topmargin}{-1.5cm}\addtolength{\textheight}{3cm}
\newcommand{\lsaref}[1]{\ifcsname r@lsa:#1\endcsname\hyperref[lsa:#1]{\texttt{#1}}\else\texttt{#1}\fi}
"""
_VERDICTS = r"""\title{Companion to arXiv:2603.01293\\\large what holds, statement by statement}
\author{}\date{}
\begin{document}
\maketitle
\noindent Every statement that can be checked, in the paper's order, with its verdict. \textit{Confirmed} is
true as printed: derived, or exact in rational arithmetic, and borne out by simulation or training.
\textit{Confirmed-if} is true under a condition that the print lacks, \textit{misprint} wrong with nothing
else depending on it, \textit{refuted} wrong with consequences; the corrected form is checked like the
printed one. \textit{Supported} is a qualitative claim that the measured quantity bears out. Formulas carry
the paper's number, or the name of the statement in the ledger; a prime is the corrected form.
\tableofcontents
\section{Definitions}
"""

SHORT = 500  # characters of formulas: so short a derivation stands behind its statement


def figures_folder() -> Path:
    """The figures under version control."""
    return store.committed_path().with_name("figures")


def figures() -> dict[str, Path]:
    """Every figure by its name, as PDF where there is one."""
    found: dict[str, Path] = {}
    for suffix in (".png", ".pdf"):
        found |= {path.stem: path for path in sorted(figures_folder().glob(f"*{suffix}"))}
    return found


def _figure(path: Path) -> str:
    caption = prose(CAPTIONS.get(path.stem, path.stem.replace("-", " ").replace("_", " ") + "."))
    size = r"width=\linewidth,height=.8\textheight,keepaspectratio"
    image = rf"\includegraphics[{size}]{{figures/{path.name}}}"
    return rf"\begin{{figure}}[htbp]\centering{image}\caption{{{caption}}}\end{{figure}}" + "\n"


def _derivation(id: str, found: Recorded, symbols: Mapping[str, str]) -> str:
    """The steps, where they are few; of a long derivation the number of its steps."""
    number = sum("rule" in entry for entry in found["steps"])
    if length(found) <= SHORT:
        return derivation_tex(id, found, symbols) if number else ""
    return rf"\lsaremark{{Derivation}}{{{number} steps, \texttt{{lsatheory show {id}}}}}" + "\n"


def section_of(id: str) -> Section | None:
    """The section with the longest beginning of ``id``: the exact limit is apart from what else is ours."""
    fits = [(len(p), section) for section in SECTIONS for p in section.prefixes if id.startswith(p)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def companion(
    rows: Iterable[Row],
    known: Mapping[str, Statement],
    taken: Mapping[str, Recorded] | None = None,
) -> str:
    """The document, which compiles beside the figures that :func:`copy_figures` puts there; ``taken`` are
    derivations by id."""
    rows, taken = list(rows), taken or {}
    symbols = SYMBOLS | table(known.values())
    images = figures()
    parts = [_HEAD, macros(symbols), _VERDICTS, DEFINITIONS]
    grouped: dict[Section | None, list[Row]] = {section: [] for section in SECTIONS}
    for row in rows:
        grouped.setdefault(section_of(row["id"]), []).append(row)
    for section, members in grouped.items():
        if not members:
            continue
        parts.append(rf"\section{{{section.title if section else 'Other statements'}}}" + "\n")
        if section:
            parts.append(prose(section.text) + "\n")
        for row in members:
            found = taken.get(row["id"], NO_DERIVATION)
            parts.append(statement_tex(row, known[row["id"]], symbols, derived=found["derived"]))
            if row["note"]:
                parts.append(rf"\lsaremark{{Note}}{{{prose(row['note'].rstrip('.'))}}}" + "\n")
            if row["evidence"]:
                parts.append(rf"\lsaremark{{Evidence}}{{{evidence_kinds(row)}}}" + "\n")
            parts.append(_derivation(row["id"], found, symbols))
        for name in section.figures if section else ():
            if name in images:
                parts.append(_figure(images[name]))
        parts.append("\\clearpage\n")
    shown = {name for section in SECTIONS for name in section.figures}
    if others := [_figure(path) for name, path in images.items() if name not in shown]:
        parts += ["\\section{Other figures}\n", *others, "\\clearpage\n"]
    parts.append("\\section{All verdicts}\n" + verdict_table(rows))
    return "".join(parts) + "\\end{document}\n"


def copy_figures(folder: Path) -> None:
    """Put the figures where the companion looks for them: beside it, in ``figures``."""
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for path in figures().values():
            shutil.copyfile(path, folder / "figures" / path.name)
    except OSError as error:
        raise ArgumentError(f"{folder / 'figures'}: cannot be written ({error.strerror or error})") from None


def compile_pdf(source: Path) -> Path | None:
    """Run pdflatex on ``source`` until its references stand; the PDF, or None where there is no pdflatex.

    Raises :class:`ArgumentError` with TeX's first complaint where it stops.
    """
    if shutil.which("pdflatex") is None:
        return None
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", source.name]
    for _ in range(3):
        run = subprocess.run(
            command, cwd=source.parent, capture_output=True, text=True, errors="replace", check=False
        )
        if run.returncode:
            said = re.search(r"^! .*", run.stdout, re.MULTILINE)
            raise ArgumentError(f"{source}: pdflatex stops ({said[0] if said else 'no message'})")
        if "Rerun to get" not in run.stdout and "Rerun LaTeX" not in run.stdout:
            break
    return source.with_suffix(".pdf")
