r"""Formulas and prose as MathML: the LaTeX of the statements, line by line, through latex2mathml.

What that library makes of the notation here is put right in its tree: words of several letters come letter by
letter, limits beside their operators, and capital Greek letters in italics.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from html import escape
from itertools import pairwise
from xml.etree import ElementTree as ET

from latex2mathml.converter import convert

from theory.errors import ArgumentError
from verify.graph import members
from verify.output.latex_break import TEXT, broken
from verify.output.latex_macros import MACRO
from verify.output.latex_prose import prose

_LIMITS = ("lim", "min", "max", "sup", "inf")
_RELATIONS = {"~": "∼", "⪰": "⪰", "⪯": "⪯"}  # which come as variables, without space
_BREAKS = {*"=<>≤≥≠≈≃∼∝→⇒≺≻⪯⪰,;∈≡"}
_WIDE = 24  # signs that a phone may have no room for: such a part scrolls by itself
_TALL = {"mfrac", "munder", "munderover", "mtable", "msqrt"}
# What `prose` makes of text outside its formulas, and HTML for it; no other command may be there.
_TEXT = (
    (r"\\(&amp;|[%_#$])", r"\1"),
    (r"\\texttt\{([^{}]*)\}", r"<code>\1</code>"),
    (r"\\ldots\{\}", "…"),
    (r"``", "“"),
    (r"''", "”"),
)


def mathml(latex: str, symbols: Mapping[str, str], width: float = TEXT) -> str:
    """``latex`` as one ``<math display="block">``, a row for each line of at most ``width`` points.

    ``symbols`` are its macros.  Raises :class:`ArgumentError` for LaTeX that cannot be converted.
    """
    lines = [_line(text, symbols) for text in broken(latex, symbols, width)]
    math = ET.Element("math", {"display": "block"})
    if len(lines) == 1:
        math.append(lines[0])
    else:
        table = ET.SubElement(math, "mtable", {"displaystyle": "true", "class": "lines"})
        for line in lines:
            ET.SubElement(ET.SubElement(table, "mtr"), "mtd").append(line)
    return ET.tostring(math, encoding="unicode")


def prose_html(text: str, symbols: Mapping[str, str], ids: Collection[str]) -> str:
    """Prose with Unicode mathematics as HTML, its formulas as MathML, links to ``ids``."""
    parts = re.split(r"(?<!\\)\$(.*?)(?<!\\)\$", prose(text), flags=re.DOTALL)
    return "".join(_inline(part, symbols) if i % 2 else _words(part, ids) for i, part in enumerate(parts))


def _inline(latex: str, symbols: Mapping[str, str]) -> str:
    """A formula in the text: lines break behind its relations and before its signs."""
    parts: list[list[ET.Element]] = [[]]
    for element in _line(latex, symbols):
        sign = element.text if element.tag == "mo" else None
        if sign in ("+", "−") and parts[-1]:
            element.set("form", "infix")  # else it binds what follows
            parts.append([])
        parts[-1].append(element)
        if sign and sign in _BREAKS:
            element.set("form", "infix")
            parts.append([])
    found = []
    for part in filter(None, parts):
        math = ET.Element("math")
        ET.SubElement(math, "mrow").extend(part)
        text = ET.tostring(math, encoding="unicode")
        wide = len("".join(math.itertext())) > _WIDE
        found.append(f'<span class="scroll inline">{text}</span>' if wide else text)
    return "<wbr>".join(found)


def _words(text: str, ids: Collection[str]) -> str:
    def link(found: re.Match[str]) -> str:
        named = members(found[1], ids)  # fig-1 is fig-1.a and what follows
        return f'<a href="#{named[0]}">{found[1]}</a>' if named else found[1]

    found = escape(text, quote=False)
    for pattern, html in _TEXT:
        found = re.sub(pattern, html, found)
    found = re.sub(r"\\lsaref\{([^{}]*)\}", link, found)
    if "\\" in found:
        raise ArgumentError(f"text={text!r}: must be of commands that the report knows")
    return found


def _line(latex: str, symbols: Mapping[str, str]) -> ET.Element:
    """A line as an ``<mrow>``."""
    text = latex
    while MACRO.search(text):
        text = MACRO.sub(lambda m: symbols[m[0][1:]], text)
    # The library knows no \Bigl\langle, but \Bigl with a sign.
    text = re.sub(r"(\\[bB]igg?[lr])\s*\\([lr])angle", lambda m: m[1] + {"l": "⟨", "r": "⟩"}[m[2]], text)
    # Every line of an aligned begins with its &, so that it is a column; the library reads that in brackets.
    text = re.sub(r"(\\begin\{aligned\}|\\\\)\s*&", r"\1 ", text)
    text = text.replace(r"\begin{aligned}", r"\begin{array}{l}").replace(r"\end{aligned}", r"\end{array}")
    try:
        math = ET.fromstring(convert(text, display="block"))
    except Exception as error:  # the library and the XML parser have no class of error in common
        raise ArgumentError(f"latex={latex!r}: must be a formula that MathML has ({error})") from None
    row = ET.Element("mrow")
    row.extend(math)
    for element in row.iter():
        element.tag = element.tag.partition("}")[2] or element.tag  # HTML knows MathML without a namespace
    if any("\\" in text for text in row.itertext()):
        raise ArgumentError(f"latex={latex!r}: must be of commands that latex2mathml knows")
    _mend(row)
    return row


def _mend(element: ET.Element) -> None:
    """Put ``element`` right, from the leaves on."""
    if element.tag == "mo" and len(element):  # \mathop{\mathrm{arg\,min}}: an operator holds text alone
        parts = [e for e in element.iter() if not len(e)]
        element[:], element.text = [], "".join("\u2009" if e.tag == "mspace" else e.text or "" for e in parts)
    for child in element:
        _mend(child)
    if element.tag == "mrow":
        _join_words(element)
        _lower_brackets(element)
        for word, after in pairwise(element):
            if word.get("rspace") and "(" in (after.text, *(e.text for e in after[:1])):
                word.set("rspace", "0")  # tr(A), but rank A
    if element.tag == "mi" and element.text in _RELATIONS:
        element.tag, element.text = "mo", _RELATIONS[element.text]
    if element.tag == "mo" and element.text == "∞":
        element.tag = "mi"  # as an operator it has space around it
    if element.tag == "mi" and re.fullmatch("[Α-Ω]", element.text or ""):
        element.set("mathvariant", "normal")
    if element.get("mathvariant") == "bold" and (element.text or "").isdigit():
        # Browsers know no variant but normal: 𝟏 is a sign of its own.
        element.text = "".join(chr(ord("𝟎") + int(digit)) for digit in element.text or "")
        del element.attrib["mathvariant"]
    if element.tag == "mo" and re.fullmatch(r"[A-Za-z\u2009]{2,}", element.text or ""):
        # Otherwise it has the space that is around a relation.
        element.attrib |= {"lspace": "0.167em", "rspace": "0.167em"}
        if (element.text or "").split("\u2009")[-1] in _LIMITS:
            element.set("movablelimits", "true")
    if element.tag == "mo" and element.text == "/":
        element.attrib |= {"lspace": "0", "rspace": "0"}
    if element.tag == "msub" and element[0].get("movablelimits"):
        element.tag = "munder"


def _join_words(row: ET.Element) -> None:
    r"""Make one ``<mi>`` of the upright letters of a word, \mathrm{op}, which come one by one."""
    kept: list[ET.Element] = []
    for child in row:
        letters = child.tag == "mi" and child.get("mathvariant") == "normal" and (child.text or "").isascii()
        if letters and kept and kept[-1].tag == "mi" and kept[-1].get("class") == "word":
            kept[-1].text = (kept[-1].text or "") + (child.text or "")
            kept[-1].attrib.pop("mathvariant", None)  # a word is upright by itself, and a letter is not
        else:
            kept.append(child)
            if letters:
                child.set("class", "word")
    row[:] = kept


def _lower_brackets(row: ET.Element) -> None:
    r"""\left( and \right) around what is not tall as plain brackets: those that grow have wide margins."""
    fences = [e for e in row if e.tag == "mo" and e.get("fence") and not e.get("minsize")]
    inside = [e for child in row if child not in fences for e in child.iter()]
    if not any(e.tag in _TALL or e.get("stretchy") == "true" for e in inside):
        for fence in fences:
            fence.set("stretchy", "false")
