"""Formulas as LaTeX in one line, read into a tree of what TeX sets side by side, with estimated widths.

Widths are in points of the ten-point fonts; what TeX makes of them is measured in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

QUAD = 10.0
BESIDE = 9.0  # what a sum in a fraction has more, its limits being beside it and not above and below
INNER = 3.3  # the thin spaces around brackets that grow, and around fractions


class Node(NamedTuple):
    """What stands in the line: LaTeX, width, and what it is.

    ``parts`` are those of a bracket, a fraction or an environment's rows, ``scripts`` what is raised and
    lowered behind it; ``tall`` is what needs large brackets.
    """

    text: str
    width: float
    kind: str
    parts: tuple[tuple[Node, ...], ...] = ()
    scripts: str = ""
    tall: bool = False


DELIMITER = r"\\[A-Za-z]+|\\.|."
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_RELATIONS = {*"=<>", r"\leq", r"\geq", r"\neq", r"\approx", r"\sim", r"\simeq", r"\ll", r"\gg", r"\propto"}
_RELATIONS |= {r"\to", r"\equiv", r"\in", r"\succ", r"\succeq", r"\prec", r"\Rightarrow", r"\Leftrightarrow"}
_SIGNS = {"+", "-", r"\pm"}
_TIMES = {r"\cdot", r"\times", r"\odot"}
_LARGE = {
    r"\sum": 16.2,
    r"\prod": 14.7,
    r"\min": 21.2,
    r"\max": 22.2,
    r"\lim": 16.7,
    r"\log": 16.2,
    r"\exp": 18.7,
}
_WIDTHS = {
    r"\,": 1.7, r"\;": 2.8, r"\ ": 3.4, r"\!": -1.7, r"\quad": QUAD, r"\qquad": 2 * QUAD, r"\|": 5.0,
    ",": 4.5, ";": 4.5, "(": 3.9, ")": 3.9, "[": 2.8, "]": 2.8, "'": 3.0, "|": 2.8, r"\infty": 10.0,
    r"\ldots": 13.0, r"\uparrow": 6.0, r"\Pr": 12.0, "m": 8.8, "w": 7.2,
}  # fmt: skip
_WORDS = {r"\operatorname", r"\mathrm", r"\text", r"\mathbb", r"\mathfrak", r"\mathcal"}
_OVER = {r"\widetilde", r"\widehat", r"\tilde", r"\hat", r"\bar", r"\dot", r"\mathop", r"\sqrt"}
_SCRIPT = 0.72  # the size of what is raised or lowered


def total(nodes: tuple[Node, ...] | list[Node]) -> float:
    """The width of ``nodes`` side by side."""
    return sum(node.width for node in nodes)


def shown(nodes: tuple[Node, ...] | list[Node]) -> str:
    """Their LaTeX."""
    return re.sub(r"\s+", " ", "".join(node.text for node in nodes)).strip()


def _char(token: str) -> float:
    if token in _WIDTHS:
        return _WIDTHS[token]
    if token.startswith("\\"):
        return 8.0 if token[1:2].isupper() else 6.2
    return 7.8 if token.isupper() else 5.3


def _argument(tokens: list[str], i: int) -> tuple[list[str], int]:
    """The tokens of a group without its braces, or the next token, and where it goes on."""
    while tokens[i].isspace():
        i += 1
    if tokens[i] != "{":
        return [tokens[i]], i + 1
    end = _end(tokens, i, "{", "}")
    assert end is not None
    return tokens[i + 1 : end], end + 1


def _end(tokens: list[str], i: int, opening: str, closing: str) -> int | None:
    """Where what is opened at ``i`` is closed; None if it is not."""
    depth = 0
    for j in range(i, len(tokens)):
        depth += (tokens[j] == opening) - (tokens[j] == closing)
        if depth == 0:
            return j
    return None


def _rows(tokens: list[str]) -> list[list[list[str]]]:
    """The cells of an environment's rows."""
    rows: list[list[list[str]]] = [[[]]]
    depth = 0
    for token in tokens:
        depth += (token in ("{", r"\begin", r"\left")) - (token in ("}", r"\end", r"\right"))
        if depth == 0 and token == r"\\":
            rows.append([[]])
        elif depth == 0 and token == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(token)
    return rows


def parse(latex: str, macros: Mapping[str, str]) -> list[Node]:
    """The nodes of ``latex``; ``macros`` are what the commands defined stand for, without the backslash."""
    tokens = _TOKEN.findall(latex)
    found: list[Node] = []
    i = 0
    while i < len(tokens):
        space = ""  # kept, where it may end a command's name
        while i < len(tokens) and tokens[i].isspace():
            space, i = " ", i + 1
        if i == len(tokens):
            break
        if tokens[i] in "_^":
            part, end = _argument(tokens, i + 1)
            last = found.pop() if found else Node("{}", 0.0, "ord")
            found.append(_scripted(last, tokens[i], "".join(part), macros))
        else:
            node, end = _node(tokens, i, found[-1].kind if found else "", macros)
            found.append(node._replace(text=space + node.text))
        i = end
    return found


def _scripted(node: Node, mark: str, script: str, macros: Mapping[str, str]) -> Node:
    """``node`` with one more script, beside it or, at ∑ and lim, above and below."""
    width = _SCRIPT * total(parse(script, macros)) + 0.5
    text = f"{mark}{{{script}}}"
    if node.kind == "op" and not re.match(r"\s*\\(mathbb|operatorname)", node.text):
        grown = max(node.width, width)
    else:  # a second script stands over the first
        grown = node.width + (max(0.0, width - 8) if node.scripts else width)
    return node._replace(text=node.text + text, width=grown, scripts=node.scripts + text)


def _node(tokens: list[str], i: int, before: str, macros: Mapping[str, str]) -> tuple[Node, int]:
    """What begins at token ``i``, behind a node of the kind ``before``, and where it ends."""

    def inner(part: list[str]) -> tuple[Node, ...]:
        return tuple(parse("".join(part), macros))

    token = tokens[i]
    if token == r"\left":
        end = _end(tokens, i, r"\left", r"\right")
        assert end is not None
        body = inner(tokens[i + 2 : end])
        tall = any(n.tall for n in body)
        bars = sum(t != "." for t in (tokens[i + 1], tokens[end + 1])) * (7.0 if tall else 4.5)
        width = total(body) + bars + INNER
        return Node("".join(tokens[i : end + 2]), width, "delim", (body,), tall=tall), end + 2
    if token == r"\begin":
        name, start = _argument(tokens, i + 1)
        end = _end(tokens, i, r"\begin", r"\end")
        assert end is not None
        _, after = _argument(tokens, end + 1)
        cells = [[inner(cell) for cell in row] for row in _rows(tokens[start:end])]
        columns = max(map(len, cells))
        width = sum(max(total(row[c]) for row in cells if c < len(row)) + 10 for c in range(columns)) + 10
        rows = tuple(tuple(node for cell in row for node in cell) for row in cells)
        return Node("".join(tokens[i:after]), width, "".join(name), rows, tall=True), after
    if token in (r"\frac", r"\tfrac"):
        above, i = _argument(tokens, i + 1)
        below, i = _argument(tokens, i)
        parts = inner(above), inner(below)
        text = rf"{token}{{{''.join(above)}}}{{{''.join(below)}}}"
        width = max(total(part) + BESIDE * sum(n.text.count(r"\sum_") for n in part) for part in parts)
        return Node(text, width + 2.4 + INNER, "frac", parts, tall=True), i
    if token in _WORDS:
        part, i = _argument(tokens, i + 1)
        letters = "".join(part)
        operator = token == r"\operatorname" or letters == "E"
        width = 5.4 * len(letters) + (1.7 if operator else 0) + (1.5 if token == r"\mathbb" else 0)
        return Node(f"{token}{{{letters}}}", width, "op" if operator else "ord"), i
    if token in _OVER:
        part, i = _argument(tokens, i + 1)
        width = total(inner(part)) + (9.0 if token == r"\sqrt" else 0.5)
        return Node(f"{token}{{{''.join(part)}}}", width, "op" if token == r"\mathop" else "ord"), i
    if token == r"\substack":
        part, i = _argument(tokens, i + 1)
        width = max(total(inner(row[0])) for row in _rows(part))
        return Node(f"{token}{{{''.join(part)}}}", width, "ord"), i
    if token == "{":
        part, i = _argument(tokens, i)
        return Node(f"{{{''.join(part)}}}", total(inner(part)), "ord"), i
    if token in "([" and (closed := _end(tokens, i, token, ")" if token == "(" else "]")) is not None:
        body = inner(tokens[i + 1 : closed])
        return Node("".join(tokens[i : closed + 1]), total(body) + 7.8, "ord"), closed + 1
    return _sign(token, before, macros), i + 1


def _sign(token: str, before: str, macros: Mapping[str, str]) -> Node:
    """A single sign or command without arguments."""
    if token in _RELATIONS:
        return Node(token, 13.5, "rel")
    if token in _SIGNS:
        binary = before not in ("", "rel", "bin", "op", "comma")
        return Node(token, 12.3 if binary else 7.8, "bin" if binary else "ord")
    if token in _LARGE:
        return Node(token, _LARGE[token], "op", tall=token in (r"\sum", r"\prod"))
    if token in _TIMES:
        return Node(token, 12.0, "times")
    if token in (",", ";"):
        return Node(token, 4.5, "comma")
    if token[1:] in macros and token[0] == "\\":
        return Node(token, total(parse(macros[token[1:]], macros)), "ord")
    return Node(token, _char(token), "space" if token in (r"\quad", r"\qquad") else "ord")
