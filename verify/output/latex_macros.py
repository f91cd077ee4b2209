r"""A macro for each symbol of the statements, ``\lsaGammaZero`` for Γ₀: a paper renames it in one place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from theory import notation as nt
from theory.errors import ArgumentError
from theory.statement import Statement

PREFIX = "lsa"
MACRO = re.compile(rf"\\{PREFIX}[A-Za-z]+(?![A-Za-z])")
_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_MARKS = {"*": "Star", "+": "Plus", "'": "Prime", "=": "Is", "(": "Of"}
# A letter or an upright name with its scripts, given as LaTeX; anything longer is a phrase.
_HEAD = re.compile(
    r"(?:\\mathrm\{\w+\}|\\[A-Za-z]+(?:\{\w\})?|[A-Za-z])(?:_\{(?:[^{}\s]|\{\w+\})*\}|_\w)?'?(?:\([a-z,0-9]+\))?"
)
# What stands for one thing throughout the paper, so that phrases and prose may use its macro too.
_COMMON = {
    "V": r"\widetilde{V}", "W": r"\widetilde{W}", "Sigma0": r"\Sigma_{0}", "Gamma0": r"\Gamma_{0}",
    "Sigma_hat": r"\widehat{\Sigma}", "w*": "w^{*}", "w_hat": r"\hat{w}", "Omega": r"\Omega", "Phi": r"\Phi",
    "Sigma": r"\Sigma", "eta": r"\eta", "beta": r"\beta",
}  # fmt: skip
COMMON_LETTERS = ("d", "n", "B", "k")  # too short to be found in a phrase, but used by the prose

_OPEN, _CLOSE = "\x01", "\x02"  # around a macro's name while SymPy prints


def _macro(name: str) -> str:
    """A name of letters alone: ``w*_tau`` is lsaWStarTau's ``wStarTau``."""
    name = name.replace(r"\mathrm", "").replace(r"\widetilde", "")
    name = re.sub(r"_\{?(?=[A-Za-z](?![A-Za-z]))", " Sub ", name)  # x_i is no ξ
    parts = re.findall(r"[A-Za-z]+|\d|[*+'=(]", name)
    spelled = [_DIGITS[int(p)] if p.isdigit() else _MARKS.get(p, p) for p in parts]
    return PREFIX + spelled[0] + "".join(p if len(p) == 1 else p[0].upper() + p[1:] for p in spelled[1:])


@cache
def _common() -> dict[str, str]:
    """The LaTeX of the common symbols, longest first, and their macros."""
    found = {latex: _macro(name) for name, latex in _COMMON.items()}
    found |= {name: _macro(name) for name in COMMON_LETTERS}
    return dict(sorted(found.items(), key=lambda pair: -len(pair[0])))


def _braced(latex: str) -> str:
    """D_1 and D_{1} are one symbol."""
    return re.sub(r"_(\w)(?![\w}])", r"_{\1}", latex)


def with_macros(latex: str) -> str:
    """``latex`` with the common symbols in it as macros: for phrases, and the formulas of prose."""
    latex = _braced(latex)
    for fragment, macro in _common().items():
        if fragment in COMMON_LETTERS:
            continue
        before = r"(?<![A-Za-z\\])" if fragment[0].isalpha() else ""
        after = r"(?![A-Za-z])" if fragment[-1].isalpha() else ""
        latex = re.sub(before + re.escape(fragment) + after, rf"\\{macro} ", latex)
    return latex


def _symbol_macro(name: str) -> str | None:
    """The macro of the symbol ``name``; None for a phrase."""
    plain = re.fullmatch(r"[A-Za-z][\w*+'=^().,/\[\]-]*", name) and "{" not in name and "\\" not in name
    if not plain and not _HEAD.fullmatch(name):
        return None
    known = _common().get(name)
    # A name that is LaTeX already may look like another's: \lambda_{\min} beside λ_min(M)
    return known or _macro(name) + ("Bare" if name.startswith("\\") else "")


def symbols(statement: Statement) -> dict[str, str]:
    """The macros that the formulas of ``statement`` use, and their LaTeX."""
    found: dict[str, str] = {}
    for form in (statement.printed, statement.corrected):
        if form is not None:
            found |= _printed(form)[1]
    return found


def table(statements: Iterable[Statement]) -> dict[str, str]:
    """Every macro and what it stands for, the common ones first.

    Raises :class:`ArgumentError` where two symbols that look different would share a macro.
    """
    found = {macro: latex for latex, macro in _common().items()}
    for statement in statements:
        for macro, latex in symbols(statement).items():
            if found.setdefault(macro, latex) != latex:
                raise ArgumentError(f"\\{macro}: must stand for {found[macro]} or for {latex}, not for both")
    return found


def definitions(table: Mapping[str, str]) -> str:
    """The macros as TeX; what is made of a common symbol is defined by its macro."""
    common = set(_common().values())
    lines = [
        rf"\newcommand{{\{macro}}}{{{latex if macro in common else with_macros(latex).rstrip()}}}"
        for macro, latex in table.items()
    ]
    return "\n".join(lines) + "\n"


class InLine(nt._Printer):
    """The printer of the statements with every formula in one line, for what breaks it itself."""

    _print_Add = LatexPrinter._print_Add
    _print_Relational = LatexPrinter._print_Relational


class _Printer(InLine):
    """The printer of the statements in one line, every symbol as its macro."""

    seen: dict[str, str]

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        shown = super()._print_Symbol(expr, style)
        macro = _symbol_macro(expr.name)
        if macro is None:
            return with_macros(shown)
        self.seen[macro] = _braced(shown)
        # The hat stays in sight of the printers, which put such a base in brackets before a power.
        return f"{_OPEN}{macro}{'^' if '^' in shown else ''}{_CLOSE}"

    def _print_MatAdd(self, expr: Any) -> str:
        # In the order of the ledger, which goes by the length of the LaTeX without macros.
        terms = {nt.latex(a): self._print(a) for a in expr.args}
        shown = [terms[key] for key in sorted(terms, key=lambda text: (text.startswith("-"), len(text)))]
        return shown[0] + "".join(
            f" - {text[1:].lstrip()}" if text.startswith("-") else f" + {text}" for text in shown[1:]
        )


@cache
def _printed(expression: sp.Basic) -> tuple[str, dict[str, str]]:
    """LaTeX in one line, and what its macros stand for: those printed, which the tree alone need not show."""
    printer = _Printer(nt.SETTINGS)
    printer.seen = {}
    text = str(printer.doprint(expression))
    text = re.sub(rf"{_OPEN}([A-Za-z]+)\^?{_CLOSE}(?=[A-Za-z])", r"\\\1 ", text)
    return re.sub(rf"{_OPEN}([A-Za-z]+)\^?{_CLOSE}", r"\\\1", text), printer.seen


def formula(expression: sp.Basic) -> str:
    """LaTeX of a statement's form in one line, its symbols as macros."""
    return _printed(expression)[0]
