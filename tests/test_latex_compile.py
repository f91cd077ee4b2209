"""All that is emitted, through a real pdflatex: nothing sticks out, every reference stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread
from planted import PLAIN

from theory.statement import registry
from verify.ledger import load_statements, store
from verify.ledger.store import row
from verify.output import companion, latex, latex_folder
from verify.output.derivations import committed
from verify.output.errata_tex import errata_tex

load_statements()
ROWS = [r for r in store.load(store.committed_path()) if r["id"] in registry()]
# A document in two columns of the width that the single statements are broken for.
PAPER = r"""\documentclass[twocolumn]{article}
\usepackage{amsmath,amssymb,array,longtable}
\setlength{\columnsep}{22pt}\setlength{\textwidth}{490pt}
\addtolength{\oddsidemargin}{-2cm}\addtolength{\textheight}{2cm}
\allowdisplaybreaks
\input{macros}
\begin{document}
%s
\onecolumn
\input{table}
\end{document}
"""
COMPLAINTS = re.compile(
    r"^(?:Overfull .*|! .*|Missing character.*|.*[Uu]ndefined (?:references|citations|control).*"
    r"|LaTeX Warning: (?:Reference|Citation|Label|Command|There were|Float).*|Package \w+ Warning.*)",
    re.MULTILINE,
)


def compiled(folder: Path, name: str, times: int = 1) -> list[str]:
    """What pdflatex complains of in ``name``; fails where CI promises a pdflatex and has none, else skips."""
    if shutil.which("pdflatex") is None:
        if os.environ.get("CI"):
            pytest.fail("pdflatex is missing: install texlive-latex-recommended")
        pytest.skip("pdflatex is missing; the static check of every statement still ran")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", f"{name}.tex"]
    environment = os.environ | {"max_print_line": "1000"}  # a message is one line
    for _ in range(times):
        subprocess.run(command, cwd=folder, capture_output=True, check=False, env=environment)
    log = (folder / f"{name}.log").read_text(encoding="latin-1")
    return COMPLAINTS.findall(log) + ([] if "Output written on" in log else ["no output"])


def rendered(folder: Path, name: str) -> list[Path]:
    """The pages of a PDF as PNG; fails where CI promises a pdftoppm and has none, else skips."""
    if shutil.which("pdftoppm") is None:
        if os.environ.get("CI"):
            pytest.fail("pdftoppm is missing: install poppler-utils")
        pytest.skip("pdftoppm is missing; the PDF itself was made without complaint")
    subprocess.run(["pdftoppm", "-r", "40", "-gray", "-png", f"{name}.pdf", "page"], cwd=folder, check=True)
    return sorted(folder.glob("page-*.png"))


def test_every_statement_fits_a_column(tmp_path: Path) -> None:
    files = latex_folder.files(ROWS, registry())
    derivations = sum(f"{r['id']}-derivation.tex" in files for r in ROWS)
    assert derivations > 200
    pieces = [name for r in ROWS for name in (r["id"], f"{r['id']}-derivation") if f"{name}.tex" in files]
    inputs = "\n".join(rf"\input{{{name}}}" for name in pieces)
    store.write_files({tmp_path / name: text for name, text in files.items()})
    store.write_text(tmp_path / "paper.tex", PAPER % inputs)
    assert compiled(tmp_path, "paper", times=2) == []


def test_companion_stands_by_itself(tmp_path: Path) -> None:
    text = companion.companion(ROWS, registry(), committed())
    store.write_text(tmp_path / "companion.tex", text)
    companion.copy_figures(tmp_path)
    assert compiled(tmp_path, "companion", times=3) == []
    for r in ROWS:
        assert rf"\label{{lsa:{r['id']}}}" in text
    for path in companion.figures().values():
        assert f"figures/{path.name}" in text
    assert text.index("Definitions}") < text.index("lsa:eq-3.1}") < text.index("lsa:thm-4.1}")
    assert text.index("lsa:thm-B.1}") < text.index("lsa:abs-i.a}") < text.index("lsa:ext-limit.j}")
    pages = [imread(page) for page in rendered(tmp_path, "companion")]
    assert len(pages) > 100
    for number, page in enumerate(pages, 1):
        # Something is on every page, and nothing at its edge, where a printer would cut it off.
        edge = np.concatenate(
            [page[:, :4].ravel(), page[:, -4:].ravel(), page[:4].ravel(), page[-4:].ravel()]
        )
        assert page.min() < 0.5, f"page {number} is blank"
        assert edge.min() > 0.9, f"page {number} runs to the edge"


def test_errata_stand_by_themselves(tmp_path: Path) -> None:
    store.write_text(tmp_path / "errata.tex", errata_tex(ROWS, registry()))
    assert compiled(tmp_path, "errata", times=2) == []


def test_document_of_one_statement_compiles(tmp_path: Path) -> None:
    store.write_text(tmp_path / "one.tex", latex.document([row(PLAIN, [])], {PLAIN.id: PLAIN}))
    assert compiled(tmp_path, "one", times=2) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (r"\nosuchcommand", "! Undefined control sequence"),
        (r"\left( x", "! "),
        (r"x_1_2", "! Double subscript"),
        (r"\mathrm{" + "a" * 80 + "}", "Overfull"),
        (r"\text{\ref{lsa:nowhere}}", "Reference `lsa:nowhere'"),
    ],
)
def test_what_is_wrong_is_complained_of(wrong: str, said: str, tmp_path: Path) -> None:
    good = latex.document([row(PLAIN, [])], {PLAIN.id: PLAIN})
    store.write_text(tmp_path / "one.tex", good.replace("{equation*}\n", f"{{equation*}}\n{wrong} ", 1))
    assert any(said in line for line in compiled(tmp_path, "one"))


def test_missing_pdflatex_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="pdflatex is missing"):
        compiled(tmp_path, "none")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        compiled(tmp_path, "none")
    assert companion.compile_pdf(tmp_path / "none.tex") is None
