"""Formulas for the terminal: the LaTeX of :func:`theory.notation.latex` as a line of Unicode."""

from __future__ import annotations

import re
import unicodedata

from verify.output.latex_signs import ATOMS, BINARY, GREEK, RELATIONS

_NAMES = {
    command: sign
    for signs in (ATOMS, BINARY, RELATIONS, GREEK)
    for sign, command in signs.items()
    if command is not None and command.isalpha()
}
_NAMES |= {"le": "≤", "ge": "≥", "ne": "≠", "rightarrow": "→", "uparrow": "↑", "downarrow": "↓", "wedge": "∧"}
_NAMES |= {
    "vee": "∨",
    "neg": "¬",
    "top": "⊤",
    "dagger": "†",
    "prime": "′",
    "dots": "…",
    "mid": "|",
    "mp": "∓",
}
_NAMES |= {"langle": "⟨", "rangle": "⟩", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "sqrt": "√"}
_NAMES |= {"lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "bmod": "mod"}
_NAMES |= {name: name for name in ("max", "min", "lim", "log", "ln", "exp", "sup", "inf", "det", "arg")}
_ACCENTS = {"widetilde": "\u0303", "tilde": "\u0303", "widehat": "\u0302", "hat": "\u0302", "bar": "\u0304"}
_ACCENTS |= {"overline": "\u0304", "dot": "\u0307"}
_RAISED = dict(zip("0123456789+-()niTk⊤−†*′", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱᵀᵏᵀ⁻†*′", strict=True))
_LOWERED = dict(zip("0123456789+-()aeijkmnt", "₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑᵢⱼₖₘₙₜ", strict=True))
_TYPE = ("mathrm", "text", "operatorname", "mathbb", "mathbf", "mathcal", "mathfrak", "bm", "mathop")
_LAYOUT = ("left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "displaystyle", "limits")
_BREAK = "\x02"
_GROUP = r"\{([^{}]*)\}"
# A factor of a product: no sign that would bind less than what is around it.
_ATOM = re.compile(r"[^\s+\-−=<>≤≥/,·]+|‖[^‖]*‖\S*|[^\s(]*\([^()]*\)[^\s\w(]?")


def plain(latex: str) -> str:
    """``latex`` as text: letters with their accents, raised and lowered signs, fractions with a slash.

    Displays of several lines stay so; a command that has no sign here is left as its name.
    """
    found = (_line(line) for line in _unwrapped(latex).split(_BREAK))
    return "\n".join(line for line in found if line)


def _unwrapped(latex: str) -> str:
    environment = r"\\(begin|end)\{(\w+\*?)\}(\{[^}]*\})?"
    text = re.sub(environment, lambda m: "\x01" if m[2] == "bmatrix" else "", latex)
    # A matrix is a line: its rows behind semicolons.
    text = re.sub(
        "\x01([^\x01]*)\x01", lambda m: "[" + re.sub(r"\\\\", ";", m[1]).replace("&", ",") + "]", text
    )
    text = text.replace(r"\\", _BREAK)
    text = re.sub(rf"\\({'|'.join(_LAYOUT)})(?![a-zA-Z])\.?", "", text)
    text = re.sub(r"\\q?quad|\\[,;:! ]|~|&", " ", text)
    return text


def _line(text: str) -> str:
    text = re.sub(r"\\\{", "⦃", text)
    text = re.sub(r"\\\}", "⦄", text)
    text = re.sub(r"\\\|", "‖", text)
    text = re.sub(rf"\\({'|'.join(_NAMES)})(?![a-zA-Z])", _named, text)
    # x^2 is x^{2}, in which groups are taken from the innermost on.
    text = re.sub(r"([_^])\s*([^\s{\\])", r"\1{\2}", text)
    while (step := _inner(text)) != text:
        text = step
    text = re.sub(r"[{}]", "", text).replace("⦃", "{").replace("⦄", "}")
    text = re.sub(r"\\([a-zA-Z]+)", r"\1", text)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"(?<=\S) -\s?(?=\S)", " − ", text)
    text = re.sub(r"\b(lim|max|min|sup|inf|min) _", r"\1_", text)
    while (step := re.sub(r"⟦([^⟦⟧]*)⟧(\s*(?:$|[-+−=≃≈≤≥<>),;\]‖⟧]))?", _closed, text)) != text:
        text = step
    text = re.sub(r"([(\[]) ", r"\1", text)
    text = re.sub(r" ([)\],;])", r"\1", text)
    text = re.sub(r"‖ ([^‖]*?) ‖", r"‖\1‖", text)
    text = re.sub(r"(tr|E|max|min|exp|log) \(", r"\1(", text)
    return unicodedata.normalize("NFC", re.sub(r"(^|[=(,\[≃≈≤≥] ?)[−-] (?=\S)", r"\1−", text))


def _closed(found: re.Match[str]) -> str:
    """A fraction, in brackets where a factor follows that would seem to be below the slash."""
    return f"({found[1]})" if found[2] is None else found[1] + found[2]


def _named(found: re.Match[str]) -> str:
    sign = _NAMES[found[1]]
    return f"{sign} " if sign.isascii() and sign.isalpha() else sign


def _inner(text: str) -> str:
    """One round over the groups that hold none."""
    for name, accent in _ACCENTS.items():
        text = re.sub(rf"\\{name}\s*\{{\s*([^{{}}])([^{{}}]*?)\s*\}}", rf"\1{accent}\2", text)
    text = re.sub(rf"\\(?:{'|'.join(_TYPE)})\*?\s*{_GROUP}", r"\1", text)
    text = re.sub(rf"\\[dt]?frac\s*{_GROUP}\s*{_GROUP}", _fraction, text)
    text = re.sub(rf"√\s*{_GROUP}", lambda m: f"√({m[1]})", text)
    text = re.sub(rf"\^{_GROUP}", lambda m: _script(m[1], _RAISED, "^"), text)
    text = re.sub(rf"_{_GROUP}", lambda m: _script(m[1], _LOWERED, "_"), text)
    return re.sub(r"(?<![\\a-zA-Z_^}])\{([^{}]*)\}", r"\1", text)


def _fraction(found: re.Match[str]) -> str:
    return f"⟦{_factor(found[1])}/{_factor(found[2], True)}⟧"


def _factor(inside: str, below: bool = False) -> str:
    """A numerator or denominator, in brackets unless it binds more than the slash."""
    inside = inside.strip()
    alone = _ATOM.fullmatch(inside) is not None
    return inside if alone or (not below and re.fullmatch(r"[^+\-−=]*", inside)) else f"({inside})"


def _script(inside: str, signs: dict[str, str], mark: str) -> str:
    inside = inside.strip()
    compact = inside.replace(" ", "")
    word = len(compact) > 2 and compact.isalpha()
    if compact and not word and all(c in signs for c in compact):
        return "".join(signs[c] for c in compact)
    simple = re.fullmatch(r"[\w\u0300-\u036f*]+", inside)
    return f"{mark}{inside}" if simple else f"{mark}({inside})"
