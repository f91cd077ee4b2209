"""What hangs on what: fates under a wrong statement, trees, the picture, the command."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from planted import PLAIN

from theory.errors import ArgumentError
from theory.statement import BEYOND
from verify.cli import app
from verify.graph import Graph, members
from verify.ledger import load_statements, store
from verify.output import graph as view
from verify.output.table import rendered

#  a ─→ b ─→ c ─→ d      e is a consequence of b alone; f, ours, depends on b; g depends on nothing
VERDICTS = {
    "a": "confirmed", "b": "refuted", "c": "confirmed", "d": "confirmed", "e.a": "misprint",
    "e.b": "confirmed-if", "f": "confirmed", "g": "supported",
}  # fmt: skip


@pytest.fixture
def graph() -> Graph:
    needs = {"b": ("a",), "c": ("b",), "d": ("c",), "f": ("b",)}
    statements = {
        id: replace(PLAIN, id=id, title=f"title of {id}", depends_on=needs.get(id, ())) for id in VERDICTS
    }
    statements["b"] = replace(statements["b"], consequences=("e",))
    statements["f"] = replace(statements["f"], source=BEYOND)
    return Graph(statements, VERDICTS)


def test_fates(graph: Graph) -> None:
    assert graph.fates("b") == {
        "falls": ["e.a"],
        "holds under a condition": ["e.b"],
        "needs another proof": ["c"],
        "stands": ["f", "d"],
    }
    assert graph.fates("d") == {}
    # Were c wrong, only d would lose its proof.
    assert graph.fates("c") == {"needs another proof": ["d"]}
    assert graph.sources() == ["b", "e.a"]
    assert graph.above("d") == ["c", "b", "a"]


def test_a_statement_without_a_verdict_is_not_judged(graph: Graph) -> None:
    open_ = Graph(graph.statements, {i: v for i, v in VERDICTS.items() if i != "c"})
    assert open_.fate("b", "c") == "not judged"


def test_members_are_parts_in_letters_or_behind_a_dash() -> None:
    ids = ["x.a", "x.b", "x.10", "x-1", "y-i.a", "y-ii"]
    assert members("x", ids) == ["x.a", "x.b"]
    assert members("y", ids) == ["y-i.a", "y-ii"]
    assert members("y-ii", ids) == ["y-ii"]
    assert members("z", ids) == []


def test_layers_follow_dependencies_and_a_cycle_is_named(graph: Graph) -> None:
    assert graph.layers(graph.statements) == [["a", "e.a", "e.b", "g"], ["b"], ["c", "f"], ["d"]]
    a = replace(graph.statements["a"], depends_on=("d",))
    with pytest.raises(ArgumentError, match=r"a, b, c, d, f depend on each other"):
        Graph({**graph.statements, "a": a}, {}).layers(graph.statements)


def test_the_tree_has_every_statement_once_with_its_fate(graph: Graph) -> None:
    text = rendered(*view.trees(graph, "b"), colour=False)
    assert "c  confirmed: needs another proof  title of c" in text
    assert all(text.count(f"title of {id}") == 1 for id in VERDICTS if id != "g")
    assert "1 falls, 1 holds under a condition, 1 needs another proof, 2 stands" in text
    assert "nothing hangs on it" in rendered(*view.trees(graph, "g"), colour=False)


def test_the_overview_has_what_is_wrong_and_where_it_enters(graph: Graph) -> None:
    text = rendered(*view.overview(graph), colour=False)
    assert "8 statements, 4 dependencies" in text
    assert "errors enter at: b, e.a" in text


SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("id", [None, "b"])
def test_the_picture_keeps_its_boxes_apart_and_inside(graph: Graph, id: str | None) -> None:
    root = ET.fromstring(view.svg(graph, id))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = []
    for group in root.iter(f"{SVG}g"):
        box, text = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        assert box is not None
        assert text is not None
        x, y, w, h = (float(box.attrib[key]) for key in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + w <= width
        assert y >= view.HEAD
        assert y + h <= height
        boxes.append((text.text, x, y, w, h))
    assert sorted(str(b[0]) for b in boxes) == [i for i in VERDICTS if i != "g"]  # g is tied to nothing
    for j, (_, x, y, w, h) in enumerate(boxes):
        for _, u, v, w2, h2 in boxes[:j]:
            assert x + w <= u or u + w2 <= x or y + h <= v or v + h2 <= y


def test_the_papers_graph_is_whole() -> None:
    """Every id that a statement names is one, no cycle, and the whole picture can be drawn."""
    statements = load_statements()
    for statement in statements.values():
        for named in (*statement.depends_on, *statement.consequences):
            assert members(named, statements), f"{statement.id} names {named}"
    verdicts = {row["id"]: row["verdict"] for row in store.load(store.committed_path())}
    graph = Graph(statements, verdicts)
    assert ET.fromstring(view.svg(graph)).tag == f"{SVG}svg"
    assert "prop-B.2-i.a" in graph.fates("thm-B.1")["needs another proof"]
    assert {"eq-B.16", "thm-B.1"} <= set(graph.fates("eq-C.32.a")["falls"])
    # Where errors enter, nothing that is used is wrong.
    assert "eq-C.35.a" not in graph.sources()
    assert "eq-B.3.a" in graph.sources()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["graph", *arguments])
    return int(ended.value.code or 0)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("thm-B.1") == 0
    out = capsys.readouterr().out
    assert out.startswith("thm-B.1  refuted")
    assert "prop-B.2-i.a  confirmed: needs another proof" in out
    picture = tmp_path / "graph.svg"
    assert run("thm-B.1", "--out", str(picture)) == 0
    assert ET.parse(picture).getroot().tag == f"{SVG}svg"
    capsys.readouterr()
    for arguments, message in (
        (("thm-B",), "error: id='thm-B': must be the id of a statement"),
        (("thm-4.1", "--out", "x.png"), "error: out='x.png': must be an .svg file"),
        (("rem-4.1",), "error: id='rem-4.1': must be one of rem-4.1.a, rem-4.1.b"),
    ):
        assert run(*arguments) == 2
        err = capsys.readouterr().err
        assert err.startswith(message)
        assert err.count("\n") == 1
