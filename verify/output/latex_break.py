r"""Formulas over the lines of a column: broken at relations, at + and −, in brackets, then between factors.

Nothing is scaled; ``\left`` and ``\right`` that a break parts become ``\Bigl`` and ``\Bigr``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from verify.output.latex_tree import DELIMITER, QUAD, Node, parse, shown, total

TEXT = 345.0  # points: the text of LaTeX's article, at ten points
COLUMN = 234.0  # a column of a paper in two columns
MARGIN = 0.97  # the estimates are a little off; what TeX makes of them is measured in the tests

Line = tuple[int, str, float]  # indentation in quads, LaTeX, width


def _split(nodes: list[Node], at: Callable[[Node], bool]) -> list[list[Node]]:
    """Cut before each node that ``at`` picks, but not before the first."""
    parts: list[list[Node]] = [[]]
    for node in nodes:
        if at(node) and parts[-1]:
            parts.append([])
        parts[-1].append(node)
    return parts


def _indented(lines: list[Line], by: int) -> list[Line]:
    return [(indent + by, text, width) for indent, text, width in lines]


def _flat(nodes: list[Node]) -> list[Node]:
    """Without line breaks that are there already: they were made for another width."""
    out: list[Node] = []
    for node in nodes:
        if node.kind == "aligned":
            body = [n for row in node.parts for n in row if n.kind != "space"]
            out += _flat(body)
        else:
            out.append(node)
    return out


def lines(nodes: list[Node], limit: float) -> list[Line]:
    """``nodes`` over lines of at most ``limit`` points where that can be done."""
    nodes = _flat(nodes)
    if len(nodes) == 1 and nodes[0].kind == "gathered":
        return [line for row in nodes[0].parts for line in lines(list(row), limit)]
    if total(nodes) <= limit:
        return [(0, shown(nodes), total(nodes))]
    listed = _split(nodes, lambda n: n.kind == "space")
    if len(listed) > 1:
        parts = [[n for n in part if n.kind != "space"] for part in listed]
        return [line for part in parts if part for line in lines(part, limit)]
    entries = _split(nodes, lambda n: n.kind == "comma")
    if len(entries) > 1:
        rows = [lines([n for n in part if n.kind != "comma"], limit) for part in entries]
        for row in rows[:-1]:
            row[-1] = (row[-1][0], f"{row[-1][1]},", row[-1][2])
        return [line for row in rows for line in row]
    segments = _split(nodes, lambda n: n.kind == "rel")
    out = _terms(segments[0], limit)
    for relation, *body in segments[1:]:
        indent, last, before = out[-1]
        short = len(out) == 1 and before <= 0.3 * limit  # T = …, whose right side is broken behind it
        rest = _terms(body, limit - relation.width - (before if short else 2 * QUAD))
        sign, (_, first, width) = relation.text.strip(), rest[0]
        if indent * QUAD + before + relation.width + width <= limit:
            out[-1] = (indent, f"{last} {sign} {first}", before + relation.width + width)
            out += _indented(rest[1:], 1)
        else:
            out.append((1, f"{sign} {first}", relation.width + width))
            out += _indented(rest[1:], 2)
    return out


def _terms(nodes: list[Node], limit: float) -> list[Line]:
    """A sum: as many terms a line as fit."""
    if total(nodes) <= limit:
        return [(0, shown(nodes), total(nodes))]
    terms = _split(nodes, lambda n: n.kind == "bin")
    if len(terms) == 1:
        return _product(nodes, limit)
    out: list[Line] = []
    for term in terms:
        width = total(term)
        if out and out[-1][0] * QUAD + out[-1][2] + width <= limit:
            indent, text, before = out[-1]
            out[-1] = (indent, f"{text} {shown(term)}", before + width)
            continue
        indent = 1 if out else 0
        if width <= limit - indent * QUAD:
            out.append((indent, shown(term), width))
        else:
            out += _indented(_product(term, limit - (indent + 1) * QUAD), indent)
    return out


def _product(nodes: list[Node], limit: float) -> list[Line]:
    """A product: broken inside its widest bracket or numerator, else between its factors."""
    if total(nodes) <= limit:
        return [(0, shown(nodes), total(nodes))]
    widest = max(range(len(nodes)), key=lambda j: nodes[j].width)
    node = nodes[widest]
    before, after = nodes[:widest], nodes[widest + 1 :]
    opens = re.match(rf"\s*\\left\s*({DELIMITER})", node.text)
    if (
        node.kind == "frac"
        and node.parts  # not 1/x that a break has left
        and node.width > 0.6 * limit
        and total(node.parts[1]) < 0.5 * limit
        and not node.scripts
    ):
        numerator = list(node.parts[0])
        over = Node(rf"\frac{{1}}{{{shown(node.parts[1])}}}", total(node.parts[1]) + 2.4, "frac", tall=True)
        sums = any(n.kind == "bin" for n in numerator)
        body = rf"\left({shown(numerator)}\right)"
        bracket = Node(body, total(numerator) + 14, "delim", (tuple(numerator),), "", True)
        return _product([*before, over, *([bracket] if sums else numerator), *after], limit)
    prefix, suffix = total(before), total(after)
    if node.kind == "delim" and opens and prefix < 0.6 * limit and node.width > 0.4 * limit:
        size = "bigg" if node.tall else "Big"
        closes = re.match(rf"\\right\s*({DELIMITER})", node.text[node.text.rindex(r"\right") :])
        assert closes is not None
        room = limit - prefix - 16
        for width in (
            limit - 3 * QUAD - 16,
            (limit + room) / 2 - 16,
            room,
        ):  # lines below need not be so short
            rows = lines(list(node.parts[0]), width)
            if width <= room or (len(rows) > 1 and rows[0][2] <= room):
                break
        if len(rows) > 1:
            first = f"{shown(before)} \\{size}l{opens[1]} {rows[0][1]}".strip()
            out = [(0, first, prefix + 8 + rows[0][2]), *_indented(rows[1:], 1)]
            indent, text, width = out[-1]
            end = rf"{text} \{size}r{closes[1]}{node.scripts}"
            out[-1] = (indent, end, width + 8 + 0.7 * 5 * len(node.scripts) * 0.3)
            return _joined(out, after, limit) if suffix else out
    return _factors(nodes, limit)


def _joined(out: list[Line], after: list[Node], limit: float) -> list[Line]:
    """``after`` behind the last of the lines, or below it."""
    indent, text, width = out[-1]
    if indent * QUAD + width + total(after) <= limit:
        return [*out[:-1], (indent, f"{text} {shown(after)}", width + total(after))]
    below = _product(after, limit - 3 * QUAD)
    first = (1, rf"{{}}\cdot {below[0][1]}", below[0][2] + 10)
    return [*out, first, *_indented(below[1:], 2)]


def _factors(nodes: list[Node], limit: float) -> list[Line]:
    """A product without a bracket to break in: as many factors a line as fit, a dot before the next ones."""
    factors: list[list[Node]] = []
    for node in nodes:
        bound = factors and (factors[-1][-1].kind in ("op", "bin", "times") or node.kind == "comma")
        if bound:
            factors[-1].append(node)  # an operator and what it is of
        else:
            factors.append([node])
    if len(factors) == 1:
        return [(0, shown(nodes), total(nodes))]
    out: list[Line] = []
    for factor in factors:
        width = total(factor)
        if out and out[-1][0] * QUAD + out[-1][2] + width <= limit:
            indent, text, before = out[-1]
            out[-1] = (indent, f"{text} {shown(factor)}", before + width)
            continue
        indent, dot = (1, r"{}\cdot ") if out else (0, "")
        first, *rest = _product(factor, limit - indent * QUAD - 10)
        out.append((indent, dot + first[1], first[2] + (10 if dot else 0)))
        out += _indented(rest, indent)
    return out


def broken(latex: str, macros: Mapping[str, str], limit: float) -> list[str]:
    r"""``latex`` as the lines of an ``align*``: those after the first are indented by ``\quad``."""
    return [r"\quad " * indent + text for indent, text, _ in lines(parse(latex, macros), MARGIN * limit)]


def fits(latex: str, macros: Mapping[str, str], limit: float) -> bool:
    """Whether ``latex`` can be broken to ``limit``: a wide matrix cannot."""
    found = lines(parse(latex, macros), MARGIN * limit)
    return all(indent * QUAD + width <= MARGIN * limit for indent, _, width in found)
