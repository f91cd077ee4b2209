"""The two routes of each statement: the proof on this source, and that planted violations are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from theory.errors import ArgumentError
from verify.ledger import store
from verify.ledger.evidence import NUMERIC, SYMBOLIC
from verify.routes import Analysis, Code
from verify.routes.allowed import SHARED
from verify.routes.report import analysis, lines, markdown, routes


@pytest.fixture(scope="module")
def whole() -> Analysis:
    return analysis()


def test_nothing_measured_reaches_theory(whole: Analysis) -> None:
    assert list(whole.violations()) == []


def test_every_exception_is_needed(whole: Analysis) -> None:
    assert list(whole.stale()) == []
    shared = {x for id in whole.ids for x in whole.route(id).shared}
    assert all(any(x.startswith(start) for x in shared) for start in SHARED)


def test_every_confirmed_statement_has_two_routes(whole: Analysis) -> None:
    for row in store.load(store.committed_path()):
        route = whole.route(row["id"])
        kinds = {e["kind"] for e in row["evidence"]}
        # Each kind of evidence that the ledger has comes by the route of that kind.
        assert route.derived == bool(kinds & SYMBOLIC), row["id"]
        assert bool(route.numeric) or not kinds & NUMERIC, row["id"]
        if row["verdict"] == "confirmed":
            assert route.symbolic, row["id"]
            assert route.numeric, row["id"]
            assert route.derived, row["id"]


def test_table_is_current(whole: Analysis) -> None:
    text = (store.project_root() / "notes" / "routes.md").read_text(encoding="utf-8")
    assert text == markdown(whole), "python -m verify.routes.report writes it"


def test_one_statement_alone_has_the_same_routes(whole: Analysis) -> None:
    ids = ["prop-5.1", "eq-C.34", "sec-6-spectral.b"]  # marked plainly, by a table, with shared code
    assert routes(ids) == {id: whole.route(id) for id in ids}
    symbolic, numeric = lines(whole.route("prop-5.1"))
    assert symbolic == "symbolic route: theory.risk"
    assert numeric == "numeric route: numerics.model, numerics.prompts, verify.checks.risk"
    with pytest.raises(ArgumentError, match=r"id='nothing'"):
        routes(["nothing"])


# Planted --------------------------------------------------------------------------------------------------

SOURCE = {
    "theory/errors.py": "class ArgumentError(ValueError): ...\n",
    "theory/risk.py": "def risk(V):\n    return 2 * V\n\nSIZE = risk(3)\n\nclass Point:\n    V = 1\n",
    "numerics/prompts.py": "def sample(size):\n    return size\n",
    "numerics/model.py": "import torch\n\ndef forward(V, size):\n    return V * size\n",
    "verify/ledger/evidence.py": "class Evidence: ...\n",
    "verify/checks/run.py": (
        "from verify.ledger.evidence import Evidence\n"
        "def sampled(draw, prediction) -> Evidence:\n    return Evidence(draw, prediction)\n"
        "def identity(measure, prediction, at) -> Evidence:\n    return Evidence(measure, prediction, at)\n"
        "def exact(holds, regime) -> Evidence:\n    return Evidence(holds, regime)\n"
    ),
    "verify/checks/risk.py": (
        "from numerics.model import forward\n"
        "from numerics.prompts import sample\n"
        "from theory.errors import ArgumentError\n"
        "from verify.checks.run import sampled\n"
        "from verify.ledger.evidence import Evidence\n"
        "class Setting:\n    def __init__(self, V):\n        self.V = V\n"
        "    def size(self):\n        return 1\n"
        "def simulate(of, size):\n    return forward(of.V, sample(size))\n"
        "def compare(prediction, at, seed) -> Evidence:\n"
        "    def draw(size):\n        return [simulate(of, size) for of in at]\n"
        "    return sampled(draw, [prediction(of) for of in at])\n"
    ),
    "verify/settings.py": (
        "from verify.checks.risk import Setting\ndef settings():\n    return [Setting(1), Setting(2)]\n"
    ),
    "verify/test_risk.py": (
        "import pytest\n"
        "from theory import risk\n"
        "from verify.checks import risk as check\n"
        "from verify.checks.run import exact, identity\n"
        "from verify.settings import settings\n"
        "@pytest.mark.statements('one')\n"
        "def test_one(ledger, seed):\n"
        "    ledger.record('one', exact(risk.risk(1) == 2, 'regime'))\n"
        "    prediction = lambda of: risk.risk(of.V)\n"
        "    at = settings()\n"
        "    ledger.record('one', check.compare(prediction, at, seed))\n"
    ),
}
CALL = "    ledger.record('one', check.compare(prediction, at, seed))\n"


def planted(folder: Path, *edits: tuple[str, str, str]) -> list[str]:
    """The violations of the small package with the edits (file, old, new)."""
    source = dict(SOURCE)
    for name, old, new in edits:
        assert old in source[name]
        source[name] = source[name].replace(old, new)
    for name, text in source.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(Analysis(Code(folder), ["one"]).violations())


def in_test(new: str, old: str = "    at = settings()\n") -> tuple[str, str, str]:
    return "verify/test_risk.py", old, new


SETTING = "check.Setting(risk.risk(1))"
WRONG = {
    "a draw that calls theory": [
        ("verify/checks/risk.py", "forward(of.V, sample(size))", "risk.risk(of.V)"),
        (
            "verify/checks/risk.py",
            "from numerics.model import",
            "from theory import risk\nfrom numerics.model import",
        ),
    ],
    "a theory function measured by itself": [
        in_test("    ledger.record('one', identity(lambda V: risk.risk(V), risk.risk, 1))\n", CALL)
    ],
    "passed on without a call": [
        in_test("    ledger.record('one', identity(risk.risk, risk.risk, 1))\n", CALL)
    ],
    "by a local function": [
        in_test(
            "    def measure(V):\n        return risk.risk(V)\n"
            "    ledger.record('one', identity(measure, risk.risk, 1))\n",
            CALL,
        )
    ],
    "a setting made by a formula": [in_test(f"    at = [{SETTING}]\n")],
    "a constant of theory": [in_test("    at = [check.Setting(risk.SIZE)]\n")],
    "a class of theory": [in_test("    at = [risk.Point()]\n")],
    "the whole module by a computed name": [
        in_test("    at = [getattr(risk, name)(1) for name in ['risk']]\n")
    ],
    "put into a list": [in_test(f"    at = settings()\n    at.append({SETTING})\n")],
    "put into a place": [in_test("    at = settings()\n    at[0].V = risk.risk(1)\n")],
    "by a loop": [
        in_test(f"    for at in (settings(), [{SETTING}]):\n    {CALL}", "    at = settings()\n" + CALL)
    ],
    "by a loop over pairs": [
        in_test(
            f"    for prediction, at in ((1, settings()), (2, [{SETTING}])):\n    {CALL}",
            "    at = settings()\n" + CALL,
        )
    ],
    "in the other branch": [in_test(f"    at = settings()\n    if seed:\n        at = [{SETTING}]\n")],
    "later in the loop": [
        in_test(
            f"    at = settings()\n    for _ in range(2):\n    {CALL}        at = [{SETTING}]\n",
            "    at = settings()\n" + CALL,
        )
    ],
    "by a nested function": [
        in_test(
            "    at = settings()\n    def change():\n        nonlocal at\n"
            f"        at = [{SETTING}]\n    change()\n"
        )
    ],
    "by an argument of a nested function": [
        in_test(f"    def go(at):\n    {CALL}    go([{SETTING}])\n", "    at = settings()\n" + CALL)
    ],
    "by starred arguments": [
        in_test(
            f"    given = prediction, [{SETTING}], seed\n    ledger.record('one', check.compare(*given))\n",
            CALL,
        )
    ],
    "by a keyword": [
        in_test(f"    ledger.record('one', check.compare(prediction, seed=seed, at=[{SETTING}]))\n", CALL)
    ],
    "by a helper": [
        (
            "verify/test_risk.py",
            "@pytest",
            "def helper(prediction, at, seed):\n    return check.compare(prediction, at, seed)\n@pytest",
        ),
        in_test(f"    ledger.record('one', helper(prediction, [{SETTING}], seed))\n", CALL),
    ],
    "by another name": [
        in_test(
            f"    run = check.compare\n    ledger.record('one', run(prediction, [{SETTING}], seed))\n", CALL
        )
    ],
    "by a call with some of the arguments": [
        in_test(
            f"    run = functools.partial(check.compare, prediction, [{SETTING}])\n"
            "    ledger.record('one', run(seed))\n",
            CALL,
        ),
        ("verify/test_risk.py", "import pytest\n", "import functools\nimport pytest\n"),
    ],
    "by a library that calls the check": [
        in_test(f"    ledger.record('one', *map(check.compare, [prediction], [[{SETTING}]], [seed]))\n", CALL)
    ],
    "by parametrize": [
        ("verify/test_risk.py", "@pytest", f"@pytest.mark.parametrize('at', [[{SETTING}]])\n@pytest"),
        in_test("", "    at = settings()\n"),
        in_test("def test_one(at, ledger", "def test_one(ledger"),
    ],
    "by a fixture": [
        (
            "verify/test_risk.py",
            "@pytest.mark",
            f"@pytest.fixture\ndef at():\n    return [{SETTING}]\n@pytest.mark",
        ),
        in_test("", "    at = settings()\n"),
        in_test("def test_one(at, ledger", "def test_one(ledger"),
    ],
    "in the settings": [
        ("verify/settings.py", "Setting(2)]", "Setting(risk(1))]"),
        ("verify/settings.py", "from verify", "from theory.risk import risk\nfrom verify"),
    ],
    "by a method of a setting": [
        ("verify/checks/risk.py", "return 1\n", "return risk(1)\n"),
        ("verify/checks/risk.py", "from numerics.model", "from theory.risk import risk\nfrom numerics.model"),
    ],
}


@pytest.mark.parametrize("edits", WRONG.values(), ids=WRONG)
def test_theory_on_the_measured_side_is_found(tmp_path: Path, edits: list[tuple[str, str, str]]) -> None:
    found = planted(tmp_path, *edits)
    assert any("measures reaches theory.risk." in line for line in found), found


RIGHT = {
    "as it is": [],
    "forgotten before the call": [in_test(f"    at = [{SETTING}]\n    at = settings()\n")],
    "set after the call": [in_test(f"{CALL}    at = [{SETTING}]\n", CALL)],
    "forgotten in the loop": [
        in_test(
            f"    at = [{SETTING}]\n    for _ in (1, 2):\n        at = settings()\n    {CALL}",
            "    at = settings()\n" + CALL,
        )
    ],
    "of the same name elsewhere": [
        in_test("    at = settings()\n    names = [at for at in (risk.risk(1),)]\n")
    ],
    "on the other side of a loop": [
        in_test(
            f"    for prediction, at in ((risk.risk, settings()),):\n    {CALL}",
            "    at = settings()\n" + CALL,
        )
    ],
    "asked for and not made": [in_test("    at = settings()\n    at.append(isinstance(at, risk.Point))\n")],
    "in an annotation": [in_test("    at: risk.Point = settings()\n")],
}


@pytest.mark.parametrize("edits", RIGHT.values(), ids=RIGHT)
def test_what_is_not_measured_is_not_found(tmp_path: Path, edits: list[tuple[str, str, str]]) -> None:
    assert planted(tmp_path, *edits) == []


OTHER = {
    "numerics imports theory": (
        [("numerics/model.py", "import torch", "import theory.risk")],
        "numerics.model imports theory.risk",
    ),
    "through another module": (
        [
            ("numerics/model.py", "import torch", "from numerics import prompts"),
            ("numerics/prompts.py", "def", "from theory import risk\ndef"),
        ],
        "numerics.model imports theory",
    ),
    "numerics imports sympy": (
        [("numerics/prompts.py", "def", "def f():\n    import sympy\ndef")],
        "numerics.prompts imports sympy",
    ),
    "theory imports torch": (
        [("theory/risk.py", "def", "from torch import nn\ndef")],
        "theory.risk imports torch",
    ),
    "a prediction in a draw": (
        [("verify/checks/risk.py", "return [simulate(of, size)", "return [simulate(prediction(of), size)")],
        "verify.checks.risk.compare: its prediction goes into verify.checks.run.sampled",
    ),
    "a prediction in a simulation": (
        [("verify/checks/risk.py", "    def draw", "    forward(prediction, 1)\n    def draw")],
        "verify.checks.risk.compare: its prediction goes into numerics.model.forward",
    ),
    "a prediction by the simulation": (
        [in_test("    prediction = lambda of: check.simulate(of, 1)\n    at = settings()\n")],
        "one: both routes run numerics.model.forward",
    ),
    "a derivation by the simulation": (
        [in_test("exact(check.simulate(1, 2) == 2", "exact(risk.risk(1) == 2")],
        "one: its derivation and its measurement run numerics.model.forward",
    ),
    "a prediction read off a setting that simulates": (
        [
            ("verify/checks/risk.py", "return 1\n", "return forward(1, 1)\n"),
            in_test("of.size()", "risk.risk(of.V)"),
        ],
        "one: both routes run verify.checks.risk.Setting.size",
    ),
    "evidence without a check": (
        [
            in_test("    ledger.record('one', Evidence('training', 'agrees'))\n", CALL),
            in_test("import pytest\nfrom verify.ledger.evidence import Evidence\n", "import pytest\n"),
        ],
        "verify.test_risk.test_one: makes evidence without a check",
    ),
    "a name that leads nowhere": (
        [("verify/checks/risk.py", "sample(size))", "samples(size))")],
        "reaches ?samples",
    ),
    "code made at run time": ([("verify/checks/risk.py", "sample(size))", "eval('risk'))")], "reaches ?eval"),
}


@pytest.mark.parametrize(("edits", "told"), OTHER.values(), ids=OTHER)
def test_other_violations_are_found(tmp_path: Path, edits: list[tuple[str, str, str]], told: str) -> None:
    found = planted(tmp_path, *edits)
    assert any(told in line for line in found), found


def test_routes_of_the_small_package(tmp_path: Path) -> None:
    planted(tmp_path)
    route = Analysis(Code(tmp_path), ["one"]).route("one")
    assert route.symbolic == ("theory.risk",)
    assert route.numeric == ("numerics.model", "numerics.prompts", "verify.checks.risk")
    assert route.shared == route.inputs == ()
    assert route.derived
