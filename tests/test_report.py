"""The report: what it says is the ledger, it needs no network, and a browser shows it on any screen."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from theory.errors import ArgumentError
from theory.statement import registry
from verify.cli import app
from verify.ledger import load_statements, store
from verify.output.companion_text import SYMBOLS
from verify.output.latex_break import TEXT, broken
from verify.output.latex_macros import MACRO, formula, table
from verify.output.report_math import mathml, prose_html

ROWS = store.load(store.committed_path())
PHONE, DESKTOP = 390, 1280
# What the browser is asked, in one start: first filters, then, every fold open, the layout of two frames in
# light and in dark, which a frame takes from the element around it.
MEASURE = """<!doctype html><pre id="measured"></pre>
<iframe width="390" height="800" src="report.html"></iframe>
<iframe width="1280" height="800" src="report.html"></iframe>
<script>
function luminance(colour) {
  const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
}
function contrast(element, paper) {
  const [a, b] = [luminance(element.ownerDocument.defaultView.getComputedStyle(element).color), paper];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
}
function layout(frame) {
  const page = frame.contentDocument, view = frame.contentWindow;
  const all = selector => [...page.querySelectorAll(selector)];
  for (const fold of all("details")) fold.open = true;
  view.dispatchEvent(new view.Event("resize"));
  const paper = luminance(view.getComputedStyle(page.body).backgroundColor);
  const box = element => element.getBoundingClientRect();
  const name = element => element.tagName + " in " + (element.closest("[id]")?.id ?? "");
  const scrolled = all(".scroll").filter(e => e.scrollWidth > e.clientWidth);
  return {
    width: view.innerWidth,
    wide: page.documentElement.scrollWidth,
    dark: view.matchMedia("(prefers-color-scheme: dark)").matches,
    paper,
    contrast: Math.min(...all(".verdict, p, a, .faint, dt, figcaption").map(e => contrast(e, paper))),
    formulas: all(".formula > math").length,
    flat: all("math").filter(e => !(box(e).width > 0 && box(e).height > 0)).map(name),
    fractions: all("mfrac").length,
    unstacked: all("mfrac").filter(e => !(box(e.children[0]).bottom <= box(e.children[1]).top + 1)).map(name),
    outside: all("body *:not(.scroll > *, .scroll > * *, math *, .skip)")
      .filter(e => box(e).right > view.innerWidth + 1).map(name),
    scrolled: scrolled.length,
    unreachable: scrolled.filter(e => e.tabIndex !== 0).map(name),
    images: all("img").map(e => e.naturalWidth),
  };
}
function shown(page) {
  const seen = all => [...page.querySelectorAll(all)].filter(e => e.checkVisibility()).map(e => e.id);
  const ids = seen("article"), lines = seen("tbody tr[id]").map(id => id.replace("line-", ""));
  return {ids, lines, count: page.getElementById("count").textContent};
}
function choose(frame, name, value) {
  const page = frame.contentDocument, form = page.getElementById("filters");
  if (name === "clear") page.getElementById("clear").click();
  else if (name === "verdict") form.querySelector(`[value="${value}"]`).click();
  else {
    form.elements[name].value = value;
    form.elements[name].dispatchEvent(new frame.contentWindow.Event("input", {bubbles: true}));
  }
  return {...shown(page), hash: frame.contentWindow.location.hash};
}
addEventListener("load", () => {
  const frames = [...document.querySelectorAll("iframe")], [phone, desktop] = frames;
  const found = {};
  found.misprint = choose(desktop, "verdict", "misprint");
  found.two = choose(desktop, "verdict", "open");
  found.section = choose(desktop, "section", "The Hessian");
  found.clear = choose(desktop, "clear");
  desktop.contentWindow.history.replaceState(null, "", "#verdict=refuted&text=hessian");
  desktop.contentWindow.dispatchEvent(new Event("hashchange"));
  found.linked = shown(desktop.contentDocument);
  desktop.contentDocument.getElementById("clear").click();
  found.text = choose(desktop, "text", "spectral RADIUS");
  found.none = choose(desktop, "text", "no such words");
  desktop.contentWindow.history.replaceState(null, "", "#fig-4.a");  // filtered away just now
  desktop.contentWindow.dispatchEvent(new Event("hashchange"));
  found.anchor = shown(desktop.contentDocument);
  found.top = desktop.contentDocument.getElementById("fig-4.a").getBoundingClientRect().top;
  for (const scheme of ["light", "dark"]) {
    for (const frame of frames) frame.style.colorScheme = scheme;
    found[scheme] = {phone: layout(phone), desktop: layout(desktop)};
  }
  document.getElementById("measured").textContent = JSON.stringify(found);
  for (const frame of frames) frame.remove();  // nothing is left to paint
});
</script>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    found = CliRunner().invoke(app, ["report", "--out", str(out)])
    assert found.exit_code == 0, found.output
    assert found.output.split() == [str(out / "report.html")]
    return out


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


class Read(HTMLParser):
    """Every attribute, the text, and whether what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_nothing_is_fetched_and_every_link_arrives(page: str) -> None:
    read = Read(page)
    assert read.open == []
    ids = [value for _, name, value in read.found if name == "id"]
    assert len(ids) == len(set(ids))
    links = {(tag, value) for tag, name, value in read.found if name in ("href", "src", "action", "srcset")}
    outside = [link for link in links if not link[1].startswith(("#", "data:image/png;base64,"))]
    assert outside == [("a", "https://arxiv.org/abs/2603.01293")]  # a link is followed by the reader alone
    assert {value[1:] for _, value in links if value.startswith("#")} <= set(ids)
    assert not re.search(r"@import|url\(|<link|fetch\(|XMLHttp|WebSocket", page)
    assert {row["id"] for row in ROWS} <= set(ids)


def test_rows_say_what_the_ledger_says(page: str) -> None:
    articles = dict(re.findall(r'<article id="([^"]*)"(.*?)</article>', page, re.DOTALL))
    assert list(sorted(articles)) == sorted(row["id"] for row in ROWS)
    for row in ROWS:
        text = unescape(articles[row["id"]])
        assert f'data-verdict="{row["verdict"]}"' in text
        assert text.count('class="scroll formula"') == 1 + (row["corrected_latex"] is not None)
        assert f"lsatheory verify {row['id']} --profile standard --base-seed 0<" in text
        for e in row["evidence"]:
            assert f">{e['measured']}</td>" in text
            assert f">{e['regime']}</td>" in text
    assert page.count('src="data:image/png') == len({*re.findall(r'<figure id="([^"]*)"', page)}) == 10


def _signs(text: str) -> Counter[str]:
    return Counter(re.findall(r"[A-Za-z0-9]", unicodedata.normalize("NFKC", text)))


def test_formulas_keep_every_letter_and_digit() -> None:
    load_statements()
    statements = registry()
    symbols = SYMBOLS | table(statements.values())
    for statement in statements.values():
        for form in (statement.printed, statement.corrected):
            if form is None:
                continue
            latex = " ".join(broken(formula(form), symbols, TEXT))
            while MACRO.search(latex):
                latex = MACRO.sub(lambda m: symbols[m[0][1:]], latex)
            latex = re.sub(r"\\(?:begin|end)\{\w+\}", "", latex)
            latex = re.sub(r"\\(lim|min|max|log|exp|Pr)(?![a-z])", r"\1", latex)
            latex = re.sub(r"\\ell", "l", latex)
            math = ET.fromstring(mathml(formula(form), symbols))
            assert _signs("".join(math.itertext())) == _signs(re.sub(r"\\[A-Za-z]+", "", latex)), statement.id


def test_notation_in_mathml() -> None:
    word = mathml(r"\left\| H \right\|_{\mathrm{op}}", {})
    assert '<mi class="word">op</mi>' in word
    assert word.count('stretchy="false"') == 2
    least = mathml(r"\mathop{\mathrm{arg\,min}}_{k} \frac{k}{2}", {})
    assert re.search(r"<munder><mo [^>]*>arg\u2009min</mo>", least)
    assert 'stretchy="true"' in mathml(r"\left( \frac{a}{b} \right)", {})
    assert '<mi mathvariant="normal">Σ</mi>' in mathml(r"\lsaS", {"lsaS": r"\Sigma"})
    assert "<mn>𝟏</mn>" in mathml(r"\mathbf{1}\left(\beta < 1\right)", {})
    text = prose_html("by eq-6.1 & 5 % of Ṽ_*, γ = 1, not fig-9", SYMBOLS | table(()), ["eq-6.1.a"])
    assert '<a href="#eq-6.1.a">eq-6.1</a> &amp; 5 % of <math>' in text
    assert text.endswith(", not fig-9")
    for latex in (r"\nosuchthing{x}", r"x_1_2"):
        with pytest.raises(ArgumentError, match="latex="):
            mathml(latex, {})


def test_bad_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "file")])
    assert found.exit_code != 0
    assert "must be a folder" in found.output


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """The page in a real browser; fails where CI promises one and has none, else skips."""
    browser = shutil.which("chromium")
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: install Debian's package chromium")
        pytest.skip("chromium is missing; what the page says was still checked")
    (folder / "measure.html").write_text(MEASURE, encoding="utf-8")
    command = [
        browser,
        "--headless",
        "--no-sandbox",  # as root in a container there is none
        "--disable-gpu",
        "--allow-file-access-from-files",  # frames of two files are strangers otherwise
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,1000",
        "--dump-dom",
        (folder / "measure.html").as_uri(),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    measured = re.search(r'<pre id="measured">(.*?)</pre>', run.stdout, re.DOTALL)
    assert measured is not None
    assert measured[1], run.stderr[-2000:]
    return dict(json.loads(unescape(measured[1])))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_in_a_browser(found: dict[str, Any], scheme: str) -> None:
    formulas = sum(1 + (row["corrected_latex"] is not None) for row in ROWS)
    for name, width in (("phone", PHONE), ("desktop", DESKTOP)):
        layout = found[scheme][name]
        assert (layout["width"], layout["dark"]) == (width, scheme == "dark")
        assert (layout["paper"] < 0.5) is (scheme == "dark")
        assert layout["contrast"] >= 4.5  # WCAG 2, level AA
        assert layout["formulas"] == formulas
        assert layout["flat"] == []
        assert layout["fractions"] > 100
        assert layout["unstacked"] == []
        assert layout["wide"] <= width
        assert layout["outside"] == []
        assert layout["unreachable"] == []
        assert all(layout["images"])
    assert found[scheme]["phone"]["scrolled"] > 0


def test_filters_in_a_browser(found: dict[str, Any]) -> None:
    def ids(**wanted: str) -> set[str]:
        return {r["id"] for r in ROWS if all(r[key] == value for key, value in wanted.items())}

    everything = ids()
    hessian = {r["id"] for r in ROWS if r["id"].startswith("app-E")}
    refuted = {i for i in ids(verdict="refuted") if re.search("hessian", _text(i), re.IGNORECASE)}
    radius = {i for i in everything if re.search("spectral", _text(i)) and re.search("radius", _text(i))}
    either = ids(verdict="misprint") | ids(verdict="open")
    expected = {
        "linked": refuted,
        "misprint": ids(verdict="misprint"),
        "two": either,
        "section": either & hessian,
        "clear": everything,
        "text": radius,
        "none": set(),
        "anchor": everything,
    }
    for name, wanted in expected.items():
        assert set(found[name]["ids"]) == set(found[name]["lines"]) == wanted, name
        assert found[name]["count"] == f"{len(wanted)} of {len(ROWS)} statements"
    assert 0 <= found["top"] < 100
    assert refuted
    assert radius
    assert found["section"]["hash"] == "#verdict=misprint&verdict=open&section=The+Hessian"


def _text(id: str) -> str:
    row = next(r for r in ROWS if r["id"] == id)
    return str([value for key, value in row.items() if key != "evidence"]).lower()
