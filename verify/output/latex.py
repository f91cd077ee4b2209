"""The ledger as LaTeX: a fragment for each statement and one document, on amsmath, amssymb and bm."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from theory.errors import ArgumentError
from theory.statement import BEYOND
from verify.ledger.store import Row, write_files

_GREEK = {c: unicodedata.name(c).split()[-1].lower() for c in "αβγδζηθικμνξπρστυχψω"}
_GREEK |= {c: unicodedata.name(c).split()[-1].capitalize() for c in "ΓΔΘΞΠΣΥΦΨΩ"}
_GREEK |= {"ε": "varepsilon", "λ": "lambda", "Λ": "Lambda", "φ": "varphi", "ς": "varsigma"}
_GREEK |= {"ϕ": "phi", "ϵ": "epsilon"}
_SIGNS = {
    "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "≪": "ll", "≫": "gg", "≍": "asymp", "∝": "propto",
    "⪰": "succeq", "⪯": "preceq", "≻": "succ", "≺": "prec", "≡": "equiv", "∼": "sim", "≃": "simeq",
    "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq", "∪": "cup", "∩": "cap", "∅": "emptyset",
    "×": "times", "·": "cdot", "⋅": "cdot", "±": "pm", "∓": "mp", "÷": "div", "√": "surd", "∞": "infty",
    "→": "to", "←": "leftarrow", "↦": "mapsto", "⇒": "Rightarrow", "⇔": "Leftrightarrow",
    "∑": "sum", "∏": "prod", "∫": "int", "∇": "nabla", "∂": "partial", "∀": "forall", "∃": "exists", "∥": "|",
    "‖": "|", "⊥": "perp", "⊙": "odot", "⊗": "otimes", "⊕": "oplus", "∘": "circ", "°": "circ", "′": "prime",
    "⟨": "langle", "⟩": "rangle", "…": "ldots", "⋯": "cdots", "∎": "blacksquare", "ℓ": "ell",
    "ℝ": "mathbb{R}", "↔": "leftrightarrow",
    "ℕ": "mathbb{N}", "ℤ": "mathbb{Z}", "𝔼": "mathbb{E}", "𝔇": "mathfrak{D}", "𝒩": "mathcal{N}",
}  # fmt: skip
_RAISED = dict(
    zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱᵀᵗᵏ†‡⊤", [*"0123456789+-()niTtk", r"\dagger", r"\ddagger", r"\top"], strict=True)
)
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑᵢⱼₖₘₙₜ", "0123456789+-()aeijkmnt", strict=True))
_ACCENTS = {"\u0303": "tilde", "\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0307": "dot"}
_LETTER_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0308": '"', "\u0327": "c ", "\u030c": "v "}
_TYPE = {
    "–": "--",
    "—": "---",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "\u00a0": "~",
    "\u2009": r"\,",
    "−": "-",
}
_ASCII = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#",
    "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "\n": " ",
    # Outside math the default encoding prints other characters for these.
    "<": r"\ensuremath{<}", ">": r"\ensuremath{>}", "|": r"\ensuremath{|}", "*": r"\ensuremath{*}",
}  # fmt: skip
_RAISED_RUN = re.compile(f"[{''.join(map(re.escape, _RAISED))}]+")
_LOWERED_RUN = re.compile(f"[{''.join(map(re.escape, _LOWERED))}]+")
_LETTER = r"[^\W\d_][\u0300-\u036f]*"
# W_yc, ŵ_{i+1}, Ṽ_*, S_τ: a letter and what is under it.
_INDEX = r"\{[^{}]*\}|\*|[A-Za-z0-9]+|[α-ω]"
_INDEXED = re.compile(rf"({_LETTER})_({_INDEX})")
# An indexed letter, a run of scripts, else one character with the combining accents that follow it.
_PIECE = re.compile(
    rf"{_LETTER}_(?:{_INDEX})|{_RAISED_RUN.pattern}|{_LOWERED_RUN.pattern}|.[\u0300-\u036f]*",
    re.DOTALL,
)


def _command(letter: str) -> str | None:
    name = _GREEK.get(letter) or _SIGNS.get(letter)
    return f"\\{name}" if name else None


def _piece(piece: str, ascii_text: dict[str, str]) -> str:
    """LaTeX of a run of raised or lowered signs, or of one character with its accents."""
    indexed = _INDEXED.fullmatch(piece)
    if indexed and ascii_text:  # in prose; a formula has its own indices
        base, index = indexed[1], indexed[2].strip("{}")
        inner = (
            _piece(base, ascii_text).removeprefix(r"\ensuremath{").removesuffix("}")
            if not base.isascii()
            else base
        )
        text = rf"\mathrm{{{index}}}" if index.isalpha() and len(index) > 2 else _command(index) or index
        return rf"\ensuremath{{{inner}_{{{text}}}}}"
    if indexed:
        return "".join(_piece(p, ascii_text) for p in (indexed[1], "_", *indexed[2]))
    letter, accents = piece[0], piece[1:]
    if letter in _RAISED:
        return rf"\ensuremath{{{{}}^{{{' '.join(_RAISED[c] for c in piece)}}}}}"
    if letter in _LOWERED:
        return rf"\ensuremath{{{{}}_{{{''.join(_LOWERED[c] for c in piece)}}}}}"
    if letter in _TYPE and not accents:
        return _TYPE[letter]
    command = _command(letter)
    if command is None:  # a composed letter (ŵ, ö) is a letter and its accents
        decomposed = unicodedata.normalize("NFD", letter)
        letter, accents = decomposed[0], decomposed[1:] + accents
    if command is None and not letter.isascii():
        raise ArgumentError(
            f"text with {letter!r} (U+{ord(letter):04X}): no LaTeX is known for this character"
        )
    if not accents:
        return rf"\ensuremath{{{command}}}" if command else ascii_text.get(letter, letter)
    if len(accents) == 1 and accents in _LETTER_ACCENTS and command is None:
        return rf"\{_LETTER_ACCENTS[accents]}{{{letter}}}"
    if any(a not in _ACCENTS for a in accents):
        raise ArgumentError(f"text with {piece!r}: no LaTeX is known for this accent")
    body = command or letter
    for accent in accents:
        body = rf"\{_ACCENTS[accent]}{{{body}}}"
    return rf"\ensuremath{{{body}}}"


def _translated(text: str, ascii_text: dict[str, str]) -> str:
    return "".join(_piece(p, ascii_text) for p in _PIECE.findall(unicodedata.normalize("NFC", text)))


def escape(text: str) -> str:
    """Prose as LaTeX: specials escaped, Greek letters, relations, scripts and accents as commands.

    Raises :class:`ArgumentError` for a character with no LaTeX here, as pdflatex would stop at it.
    """
    return _translated(text, _ASCII)


def formula(latex: str) -> str:
    """Display math; words inside it may hold Greek letters and signs, which become commands."""
    return f"\\[\n{_translated(latex, {})}\n\\]\n"


def heading(row: Row) -> str:
    """What stands over the first formula: the paper's print, or a statement of ours."""
    return "Ours:" if row["source"] == BEYOND else "As printed:"


def statement_tex(row: Row) -> str:
    """The statement: source, title, verdict, printed form, and what the verdict rests on."""
    parts = [
        rf"\paragraph{{{escape(row['source'])}: {escape(row['title'])}}}" + "\n",
        rf"\textit{{{escape(row['verdict'])}}} (\texttt{{{escape(row['id'])}}}). {heading(row)}" + "\n",
        formula(row["printed_latex"]),
    ]
    if row["corrected_latex"] is not None:
        parts += ["Corrected:\n", formula(row["corrected_latex"])]
    for label in ("condition", "counterexample"):
        if row[label] is not None:
            parts.append(f"{label.capitalize()}: {escape(row[label].rstrip('.'))}.\n\n")
    return "".join(parts)


def document(rows: Iterable[Row]) -> str:
    """A document of all the statements that compiles by itself."""
    head = (
        "\\documentclass{article}\n"
        "\\usepackage{amsmath,amssymb,bm}\n"
        "\\allowdisplaybreaks\n"
        "\\addtolength{\\textwidth}{4cm}\\addtolength{\\oddsidemargin}{-2cm}\n"
        "\\addtolength{\\textheight}{4cm}\\addtolength{\\topmargin}{-2cm}\n"
        "\\begin{document}\n"
        "\\section*{Statements of arXiv:2603.01293}\n\n"
    )
    return head + "\n".join(statement_tex(row) for row in rows) + "\n\\end{document}\n"


def write(rows: Iterable[Row], out_dir: Path) -> list[Path]:
    """Write ``<id>.tex`` for each row and ``statements.tex``, the document; the paths written."""
    rows = list(rows)
    files = {f"{row['id']}.tex": statement_tex(row) for row in rows} | {"statements.tex": document(rows)}
    write_files({out_dir / name: text for name, text in files.items()})
    return [out_dir / name for name in files]
