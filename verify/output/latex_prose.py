"""Prose with Unicode mathematics (titles, conditions, notes) as LaTeX, on amsmath and amssymb.

A scanner finds the longest formulas in the text, ``Ṽ_*Φ = −ηΩ`` in ``where Ṽ_*Φ = −ηΩ fails``, and sets each
as one, so that TeX spaces and breaks it; what is no formula is escaped.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from theory.errors import ArgumentError
from verify.output.latex_macros import COMMON_LETTERS, PREFIX, with_macros
from verify.output.latex_signs import (
    ACCENTS,
    ATOMS,
    BARS,
    BINARY,
    BRACKETS,
    CLOSING,
    FUNCTIONS,
    GREEK,
    LOWERED,
    NAMED,
    RAISED,
    RELATIONS,
    TEXT,
    TEXT_ACCENTS,
    UNNAMED,
    WIDE,
    command,
)

Found = tuple[str, int]  # LaTeX, and where the text goes on

# The ids of rows, and what looks like a variable and is none: (B.3), A.1, 1(c), the part (a).
ID = re.compile(
    r"\b(?:eq|thm|rem|prop|lem|sec|fig|insight|app|os|abs|rel|ext)-[A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*(?![\w(])"
)
_REFERENCE = re.compile(r"\(?[A-E]\.\d+\)?|\d+\([a-z]\)|\((?:[a-z]|ii|iii|iv)\)|[a-z]\)|[ei]\.[eg]\.")
# A part of the paper by its name, or a list of them: Appendices B to D, Figures 1 … 5, Panel (a), Part A.
_KIND = "[Aa]ppendix|[Ss]ection|[Ff]igure|[Pp]anel|Part|Term|Case|Step|Table|Lemma|Theorem|Proposition|Remark"
_KINDS = "[Aa]ppendices|(?:[Ss]ection|[Ff]igure|[Pp]anel|Part|Term|Case|Step|Table|Lemma|Theorem|Remark)s"
_NAME = r"(?>(?:[A-Z]|\d+)(?:\.\d+)*(?: ?\([a-z]\))?|[IVX]+|\((?:[a-z]|ii|iii|iv)\))(?:'s\b)?"
_NAME += rf"(?![\w'(^]| ?[{''.join({*RELATIONS, *BINARY, *RAISED, *LOWERED, *ACCENTS} - set('-/…⋯'))}])"
_NAMED = re.compile(rf"(?:{_KIND}) {_NAME}|(?:{_KINDS}) {_NAME}(?:(?:,| and|, and| or| to|–| …) ?{_NAME})*")
_CODE = re.compile(r"(?:theory|numerics|verify|notes)[./]\w[\w./]*\w")  # a module or a file
_POSSESSIVE = re.compile(r"(?<=\S)'s\b")  # U's, behind a formula
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_INDEX = re.compile(r"(?:var|inv),Σ|\d+(?:\.\d+)?|[A-Za-z]+|ττ|[α-ωΑ-Ω]|\*|⊥|∞|=|†|°|∘")
_ENGLISH = {
    "am", "an", "as", "at", "be", "by", "do", "if", "in", "is", "it", "no", "of", "on", "or", "so", "to",
    "we",
}  # fmt: skip


def _index_text(word: str) -> str:
    """An index: ``max`` an operator, ``pre`` and ``OS`` upright, ``ij`` and ``k`` variables, or signs."""
    if not (word.isascii() and word.isalpha()):
        return "".join(
            RAISED.get(c) or command(GREEK.get(c) or ATOMS.get(c) or BINARY.get(c), c) for c in word
        )
    if word in ("max", "min"):
        return f"\\{word}"
    upright = len(word) > 2 or word == "op" or (len(word) == 2 and word.isupper())
    return rf"\mathrm{{{word}}}" if upright else word


def _index(text: str, i: int) -> Found | None:
    """What stands behind ``_`` or ``^``."""
    sign = text[i : i + 1]
    if sign in ("{", "("):
        found = _expression(text, i + 1, CLOSING[sign])
        closed = found is not None and text.startswith(CLOSING[sign], found[1])
        return (found[0], found[1] + 1) if found and closed else None
    if sign == "|" and (bars := _term(text, i)):
        return bars
    if index := _INDEX.match(text, i):
        return ",".join(map(_index_text, index[0].split(","))), index.end()
    if sign in ("−", "-") and (after := _index(text, i + 1)):
        return f"-{after[0]}", after[1]
    return None


def _scripts(text: str, i: int) -> Found:
    """Everything raised and lowered from ``i`` on, raised and lowered parts each in one."""
    raised: list[str] = []
    lowered: list[str] = []
    while i < len(text):
        sign = text[i]
        if sign in RAISED:
            raised.append(RAISED[sign])
        elif sign in LOWERED:
            lowered.append(LOWERED[sign])
        elif sign == "*" or (sign == "'" and not text[i + 1 : i + 2].isalpha()):
            raised.append("*" if sign == "*" else r"\prime")
        elif sign in "_^" and (found := _index(text, i + 1)):
            (lowered if sign == "_" else raised).append(found[0])
            i = found[1]
            continue
        else:
            break
        i += 1

    def group(mark: str, parts: list[str]) -> str:
        joined = "".join(p + (" " if re.search(r"\\[A-Za-z]+$", p) else "") for p in parts).strip()
        return f"{mark}{{{joined}}}" if joined else ""

    if raised == ["*"]:  # w*_τ, whose star is part of its name
        return group("^", raised) + group("_", lowered), i
    return group("_", lowered) + group("^", raised), i


def _letter(text: str, i: int) -> Found | None:
    """One letter, Greek or Latin, with its accents."""
    decomposed = unicodedata.normalize("NFD", text[i])
    base, marks = decomposed[0], list(decomposed[1:])
    i += 1
    while i < len(text) and text[i] in ACCENTS:
        marks.append(text[i])
        i += 1
    name = GREEK.get(base)
    if (name is None and not (base.isascii() and base.isalpha())) or any(m not in ACCENTS for m in marks):
        return None
    shown = command(name, base)
    for mark in marks:
        accent = ACCENTS[mark]
        shown = rf"\{'wide' if (shown, accent) in WIDE else ''}{accent}{{{shown}}}"
    return shown, i


def _word(text: str, i: int, glued: bool) -> Found | None:
    """A run of Latin letters: an operator, a variable or a product of variables; None if it is a word."""
    run = re.compile(r"[A-Za-z]+").match(text, i)
    assert run is not None
    word, end = run[0], run.end()
    following = text[end : end + 1]
    if following in ACCENTS:  # dW̃: the accent is on the last letter, another term
        return (word[:-1], end - 1) if len(word) < 4 else None
    if following not in GREEK and unicodedata.normalize("NFD", following)[1:] in TEXT_ACCENTS:
        return None  # Möbius
    applied = following in ("(", "_", "^", "′", "²")
    if word in FUNCTIONS or (word in NAMED and applied):
        shown = rf"\operatorname{{{word}}}" if word in NAMED | UNNAMED else f"\\{word}"
        argument = _term(text, end + 1) if following == " " and word in FUNCTIONS else None
        if argument:
            return f"{shown} {argument[0]}", argument[1]
        return (shown, end) if applied or glued else None
    if len(word) == 1:
        if word == "E" and text[i - 1 : i] != "‖" and _is_mean(text, end):
            return r"\mathbb{E}", end
        digits = re.compile(r"\d+(?![\d.])").match(text, end)
        if digits and word in "ekwx":
            return f"{word}_{{{digits[0]}}}", digits.end()
        return (f"\\{PREFIX}{word} " if word in COMMON_LETTERS else word), end
    marked = following in {*ACCENTS, *GREEK, *RAISED, *LOWERED, *"_^*∞"}
    mixed = len(word) == 2 and word[0].islower() and word[1].isupper()
    product = len(word) == 2 or (len(word) == 3 and not word.islower())
    if product and (glued or marked or mixed) and word.lower() not in _ENGLISH:
        return word, end  # nB, dL, MM†: the scripts belong to the last letter
    return None


def _is_mean(text: str, i: int) -> bool:
    """Whether what stands behind the E before ``i`` is what it is the mean of, and E no matrix."""
    if re.match(r"[\[‖|(]", text[i:]):
        return True
    term = _term(text, i + 1) if text.startswith(" ", i) else None
    return term is not None and _stands_alone(text[i + 1 : term[1]])


@cache
def _term(text: str, i: int, glued: bool = False) -> Found | None:
    """A variable, number or bracket with its scripts; ``glued`` to a formula before it."""
    if i >= len(text) or text[i].isspace():
        return None
    sign = text[i]
    found: Found | None = None
    if sign in "([{⟨‖|":
        inner = _expression(text, i + 1, CLOSING[sign])
        ends = r"[)\]]" if sign in "([" else re.escape(CLOSING[sign])  # (0, 1] is half open
        if inner and (closed := re.compile(f" ?({ends})").match(text, inner[1])):
            left, right = BARS[sign] if sign in BARS else (BRACKETS[sign], BRACKETS[closed[1]])
            found = f"{left}{inner[0]}{right}", closed.end()
    elif sign == "√" and (argument := _term(text, i + 1)):
        found = rf"\sqrt{{{argument[0].removeprefix('(').removesuffix(')')}}}", argument[1]
    elif number := _NUMBER.match(text, i):
        mantissa, _, exponent = number[0].partition("e")
        found = (rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa), number.end()
    elif sign in ATOMS or (sign == "…" and glued):
        found = command(ATOMS.get(sign, "ldots"), sign), i + 1
    elif sign.isascii() and sign.isalpha() and text[i + 1 : i + 2] not in ACCENTS:
        found = _word(text, i, glued)
    elif sign == "Σ" and re.match(r"μ|_[τℓl]| ?w\*? ?w", text[i + 1 :]):
        found = r"\sum", i + 1  # over what follows, or over its index
    elif unicodedata.normalize("NFD", sign)[0].isalpha():
        found = _letter(text, i)
    if found is None:
        return None
    scripts, end = _scripts(text, found[1])
    return found[0] + scripts, end


def _operator(text: str, i: int) -> Found | None:
    """A relation or binary sign, the spaces around it, and the signs of what follows."""
    space = re.compile(r"[ \u00a0]*").match(text, i)
    assert space is not None
    i = space.end()
    sign = text[i : i + 1]
    if not sign or not (sign in RELATIONS or sign in BINARY):
        return None
    name = RELATIONS.get(sign) or BINARY.get(sign)
    after = re.compile(r"[ \u00a0]*").match(text, i + 1)
    assert after is not None
    spaced = after.end() > i + 1
    if sign in "-/" and (bool(space[0]) != spaced):
        return None  # "12 -step", a hyphen or a dash of prose
    shown = command(name, sign)
    end = after.end()
    if text[end : end + 1] in ("-", "−") and sign not in "-−/":
        return f" {shown} -", end + 1
    return (shown if sign == "/" else f" {shown} "), end


@cache
def _expression(text: str, i: int, closing: str = "") -> Found | None:
    """The longest formula from ``i`` on; before a ``closing`` bracket it may have commas and semicolons."""
    start = i
    shown = ""
    if text[i : i + 1] in ("-", "−", "±"):
        shown, i = (r"\pm " if text[i] == "±" else "-"), i + 1
    elif (first := text[i : i + 1]) and first in RELATIONS and first != "~":
        operator = _operator(text, i)
        assert operator is not None
        shown, i = operator[0].lstrip(), operator[1]
    term = _term(text, i, glued=closing != "")
    if term is None:
        return (":", i + 1) if closing and text.startswith(":", start) else None
    shown, i = shown + term[0], term[1]
    while i < len(text):
        operator = _operator(text, i)
        hyphen = text[i : i + 1] == "-"  # k-th
        if operator and (term := _term(text, operator[1], glued=not hyphen)):
            shown, i = shown + operator[0] + term[0], term[1]
            continue
        if text[i] == closing:
            break
        # A product without a sign, with or without a space; inside brackets a bar is a separator.
        if (text[i] != "|" or not closing) and (term := _term(text, i, glued=True)):
            shown, i = f"{shown} {term[0]}", term[1]
            continue
        term = _term(text, i + 1) if text[i] == " " else None
        if term and _may_follow(text[start:i], text[i + 1 : term[1]]):
            shown, i = rf"{shown} \, {term[0]}", term[1]
            continue
        if closing and text[i] in ",;|:":
            space = re.compile(r" *").match(text, i + 1)
            assert space is not None
            term = _expression(text, space.end(), closing)
            if term:
                bar = r" \mid " if text[i] == "|" else f"{text[i]} "
                shown, i = f"{shown}{bar}{term[0]}", term[1]
                continue
        break
    return shown, i


def _may_follow(before: str, text: str) -> bool:
    """Whether ``text`` is a factor of the formula ``before`` a space before it."""
    if before in ("a", "A") or (text[0] == "(" and (set(text) & {*RELATIONS, ","})):
        return False
    if re.fullmatch(r"[A-Z]", text) and before[-1].isdigit():
        return False  # at η = 0.2 U is easier
    return text in FUNCTIONS or _stands_alone(text)


def _stands_alone(text: str) -> bool:
    """Whether ``text`` is mathematics wherever it stands; a number, a word, a lone a or A is not."""
    if text in ("a", "A") or re.fullmatch(r"[\d.,/ ()]*%?", text):
        return False
    return not re.fullmatch(r"[A-Za-z]{2,}", text) or re.fullmatch(r"[a-z][A-Z]", text) is not None


def _is_letter_a(text: str, i: int) -> bool:
    """Whether the A at ``i`` is the covariance and no article, and no appendix."""
    if text[i] != "A":
        return False
    starts = i == 0 or text[:i].rstrip().endswith((".", ":", "“"))
    return not starts or re.match(r"A(?! [a-z])|A (?:invertible|singular|is|has|and)\b", text[i:]) is not None


def _character(sign: str) -> str:
    if sign in TEXT:
        return TEXT[sign]
    for known in (GREEK, RELATIONS, BINARY, ATOMS):
        if sign in known and not sign.isascii():
            return f"${command(known[sign], sign)}$"
    for scripts, mark in ((RAISED, "^"), (LOWERED, "_")):
        if sign in scripts:
            return f"${{}}{mark}{{{scripts[sign]}}}$"
    decomposed = unicodedata.normalize("NFD", sign)
    base, marks = decomposed[0], decomposed[1:]
    if len(marks) == 1 and marks[0] in TEXT_ACCENTS and base.isascii():
        return rf"\{TEXT_ACCENTS[marks[0]]}{{{base}}}"
    if sign.isascii():
        return sign
    raise ArgumentError(f"text with {sign!r} (U+{ord(sign):04X}): no LaTeX is known for this character")


def prose(text: str) -> str:
    r"""Prose as LaTeX: formulas between dollar signs, ids as ``\lsaref{…}``, the rest escaped.

    Raises :class:`ArgumentError` for a character with no LaTeX here, as pdflatex would stop at it.
    """
    text = unicodedata.normalize("NFC", text)
    parts: list[str] = []
    i = 0
    while i < len(text):
        boundary = i == 0 or not (text[i - 1].isascii() and text[i - 1].isalnum())
        if boundary and (found := ID.match(text, i)):
            parts.append(rf"\lsaref{{{found[0]}}}")
            i = found.end()
            continue
        if boundary and (found := _CODE.match(text, i)):
            parts.append(rf"\texttt{{{''.join(map(_character, found[0]))}}}")
            i = found.end()
            continue
        found = (_NAMED.match(text, i) or _REFERENCE.match(text, i)) if boundary else None
        found = found or _POSSESSIVE.match(text, i)
        if found and not text[found.end() : found.end() + 1].isalnum():
            parts.append("".join(map(_character, found[0])))
            i = found.end()
            continue
        formula = _expression(text, i) if boundary else None
        if formula and (
            _stands_alone(text[i : formula[1]]) or (text[i : formula[1]] == "A" and _is_letter_a(text, i))
        ):
            parts.append(f"${re.sub(' +', ' ', with_macros(formula[0])).strip()}$")
            i = formula[1]
        elif boundary and (word := re.compile(r"[A-Za-z]+(?:'[a-z]+)?|\d[\d.,/]*\d").match(text, i)):
            parts.append(r"$\infty$" if word[0] == "oo" else word[0])
            i = word.end()
        elif text[i] in "^_" and (found_index := _index(text, i + 1)):
            parts.append(f"${{}}{text[i]}{{{found_index[0]}}}$")
            i = found_index[1]
        else:
            parts.append(_character(text[i]))
            i += 1
    return "".join(parts)
