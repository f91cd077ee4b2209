"""The graph of the statements: trees for the terminal, an SVG in layers."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping

from rich import box
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from verify.graph import WRONG, Graph
from verify.output.table import STYLES

FATE_STYLES = {
    "falls": "magenta",
    "holds under a condition": "cyan",
    "needs another proof": "yellow",
    "stands": "green",
    "not judged": "dim",
}
# Fill and border of a node by verdict; borders are dark enough to be seen on white.
COLOURS = {
    "confirmed": ("#e3f4e3", "#2e7d32"),
    "supported": ("#f1f8e9", "#689f38"),
    "confirmed-if": ("#e0f3f8", "#00788a"),
    "misprint": ("#fff4d6", "#b07700"),
    "refuted": ("#f8dcec", "#a3246b"),
}
OTHER = ("#eeeeee", "#777777")
WIDTH, HEIGHT, GAP, STEP = 138, 22, 8, 62  # a node, the room below it and between layers
MARGIN, SWEEPS, HEAD = 16, 6, 44


def _label(graph: Graph, id: str, fate: str = "") -> Text:
    verdict = graph.verdicts.get(id, "open")
    line = Text(f"{id}  ", overflow="ellipsis", no_wrap=True).append(verdict, STYLES[verdict])
    if fate:
        line.append(": ").append(fate, FATE_STYLES[fate])
    return line.append(f"  {graph.statements[id].title}", "dim")


def _tree(graph: Graph, id: str, next_of: Callable[[str], Iterable[str]], fate: Callable[[str], str]) -> Tree:
    """Every statement once, at its shortest distance; nearest first, so that no branch hides another."""
    root = Tree(Text(""), hide_root=True)
    nodes, queue = {id: root}, [id]
    for one in queue:
        for other in next_of(one):
            if other not in nodes:
                nodes[other] = nodes[one].add(_label(graph, other, fate(other)))
                queue.append(other)
    return root


def trees(graph: Graph, id: str) -> list[Text | Tree]:
    """What ``id`` rests on, and what becomes of all that hangs on it where it is wrong."""
    found: list[Text | Tree] = [_label(graph, id)]
    if graph.uses[id]:
        found += [Text("\nrests on", style="bold"), _tree(graph, id, lambda i: graph.uses[i], lambda _: "")]
    if fates := graph.fates(id):
        wrong = graph.verdicts.get(id) in WRONG
        head = "what hangs on it, and as it is wrong" if wrong else "what hangs on it, and were it wrong"
        below = _tree(graph, id, lambda i: (*graph.used_by[i], *graph.hits[i]), lambda i: graph.fate(id, i))
        counts = ", ".join(f"{len(ids)} {fate}" for fate, ids in fates.items())
        found += [Text(f"\n{head}", style="bold"), below, Text(f"\n{counts}")]
    else:
        found.append(Text("\nnothing hangs on it"))
    return found


def overview(graph: Graph) -> list[Text | Table]:
    """A line for each statement that is wrong, with the fate of what hangs on it, and where errors enter."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("wrong", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("falls", "under a condition", "needs another proof"):
        table.add_column(name, overflow="fold", ratio=1)
    table.add_column("stand", justify="right", no_wrap=True)
    for id in graph.statements:
        verdict = graph.verdicts.get(id)
        if verdict not in WRONG:
            continue
        fates = graph.fates(id)
        lists = (fates.get(f, []) for f in ("falls", "holds under a condition", "needs another proof"))
        cells = [Text(", ".join(ids)) for ids in lists]
        table.add_row(id, Text(verdict, style=STYLES[verdict]), *cells, str(len(fates.get("stands", []))))
    edges = sum(map(len, graph.uses.values()))
    return [
        Text(f"{len(graph.statements)} statements, {edges} dependencies"),
        table,
        Text(f"errors enter at: {', '.join(graph.sources()) or 'none'}"),
        Text("`lsatheory graph ID` has what one rests on and what hangs on it"),
    ]


# SVG -----------------------------------------------------------------------------------------------


def _ordered(graph: Graph, layers: list[list[str]]) -> list[list[str]]:
    """The layers with their members near what they are tied to: the barycentre heuristic (Sugiyama 1981)."""
    layers = [list(layer) for layer in layers]
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else layers[::-1]:
            place = {i: (n + 0.5) / len(other) for other in layers for n, i in enumerate(other)}

            def centre(id: str, place: Mapping[str, float] = place, forward: bool = forward) -> float:
                tied = [place[j] for j in (graph.uses if forward else graph.used_by)[id] if j in place]
                return sum(tied) / len(tied) if tied else place[id]

            layer.sort(key=centre)
    return layers


def svg(graph: Graph, id: str | None = None) -> str:
    """The graph as SVG, what depends on something to the right of it; around ``id`` alone if one is given.

    Fill and border show the verdict, which the tooltip names with the title; a dashed curve leads from what
    is refuted to its consequences.  Statements that nothing is tied to are left out of the whole graph.
    """
    hit = {i for consequences in graph.hits.values() for i in consequences}
    tied = [i for i in graph.statements if graph.uses[i] or graph.used_by[i] or graph.hits[i] or i in hit]
    chosen = tied if id is None else [id, *graph.above(id), *graph.below(id)]
    layers = _ordered(graph, graph.layers(chosen))
    tallest = max(map(len, layers))
    height = HEAD + MARGIN + tallest * (HEIGHT + GAP)
    at: dict[str, tuple[float, float]] = {}
    for column, layer in enumerate(layers):
        room = (height - HEAD - MARGIN) / len(layer)
        for row, one in enumerate(layer):
            at[one] = MARGIN + column * (WIDTH + STEP), HEAD + row * room + (room - HEIGHT) / 2
    width = max(2 * MARGIN + len(layers) * (WIDTH + STEP) - STEP, 640)
    root = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height:.0f}")
    root.set("font-family", "sans-serif")
    root.set("font-size", "12")
    ET.SubElement(root, "rect", width="100%", height="100%", fill="white")
    _legend(root)
    for one in at:
        for other in graph.used_by[one]:
            if other in at:
                _curve(root, at[one], at[other], "#9aa0a6", "")
        # A consequence that dependencies lead to is drawn by them.
        for other in set(graph.hits[one]).difference(graph.reached(one)) if graph.hits[one] else ():
            if other in at:
                _curve(root, at[one], at[other], COLOURS["refuted"][1], "4 3")
    for one, (x, y) in at.items():
        _node(root, graph, one, x, y, one == id)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _legend(root: ET.Element) -> None:
    x = MARGIN
    for verdict, (fill, border) in {**COLOURS, "not judged": OTHER}.items():
        ET.SubElement(
            root, "rect", x=f"{x}", y="12", width="14", height="14", rx="3", fill=fill, stroke=border
        )
        ET.SubElement(root, "text", x=f"{x + 20}", y="23", fill="#202124").text = verdict
        x += 34 + 8 * len(verdict)
    ET.SubElement(root, "text", x=f"{x}", y="23", fill="#202124").text = "- - consequence"


def _curve(
    root: ET.Element, start: tuple[float, float], end: tuple[float, float], colour: str, dashes: str
) -> None:
    x0, y0, x1, y1 = start[0] + WIDTH, start[1] + HEIGHT / 2, end[0], end[1] + HEIGHT / 2
    bend = max(STEP / 2, abs(x1 - x0) / 2)
    path = f"M{x0:.0f},{y0:.0f} C{x0 + bend:.0f},{y0:.0f} {x1 - bend:.0f},{y1:.0f} {x1:.0f},{y1:.0f}"
    drawn = ET.SubElement(root, "path", d=path, fill="none", stroke=colour)
    if dashes:
        drawn.set("stroke-dasharray", dashes)


def _node(root: ET.Element, graph: Graph, id: str, x: float, y: float, chosen: bool) -> None:
    verdict = graph.verdicts.get(id, "open")
    fill, border = COLOURS.get(verdict, OTHER)
    group = ET.SubElement(root, "g")
    ET.SubElement(group, "title").text = f"{id}: {verdict}. {graph.statements[id].title}"
    box_ = ET.SubElement(
        group, "rect", x=f"{x:.0f}", y=f"{y:.0f}", width=f"{WIDTH}", height=f"{HEIGHT}", rx="4"
    )
    box_.set("fill", fill)
    box_.set("stroke", border)
    box_.set("stroke-width", "3" if chosen else "1.2")
    text = ET.SubElement(group, "text", x=f"{x + WIDTH / 2:.0f}", y=f"{y + 15:.0f}", fill="#202124")
    text.set("text-anchor", "middle")
    if len(id) > 20:
        text.set("textLength", f"{WIDTH - 8}")
        text.set("lengthAdjust", "spacingAndGlyphs")
    text.text = id
