"""The wall between theory and numerics, read off the source and checked once at run time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# What a layer may import beyond the standard library.
ALLOWED = {
    "theory": {"theory", "numpy", "scipy", "sympy"},
    "numerics": {"numerics", "numpy", "scipy", "torch", "distributed", "transformers"},
    "verify": {
        *("verify", "theory", "numerics", "numpy", "scipy", "sympy", "torch"),
        *("hypothesis", "latex2mathml", "matplotlib", "mpmath", "pyarrow", "pytest", "rich", "typer"),
    },
}
# It imports the experiments by name: those of the package, which are read here too (tests/test_sweeps.py),
# and whatever somebody else wants to run.
BY_NAME = {"numerics/sweeps/experiments.py"}
NO_RANDOMNESS_NO_FILES = {"random", "secrets", "tempfile", "shutil", "pathlib", "os", "io"}


def imported(source: str) -> set[str]:
    """The top-level packages that ``source`` imports, inside functions too, or loads by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." if node.level else (node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
            "import_module",
            "__import__",
        ):
            literal = node.args[0] if node.args else None
            known = isinstance(literal, ast.Constant) and isinstance(literal.value, str)
            found.add(literal.value.split(".")[0] if known else "a computed name")  # type: ignore[union-attr]
    return found


FILES = [path for layer in ALLOWED for path in sorted((ROOT / layer).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_stay_on_their_side(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0]
    names = imported(path.read_text(encoding="utf-8"))
    # A relative import would hide its layer, a computed one its package.
    allowed = ALLOWED[layer] | sys.stdlib_module_names
    if path.relative_to(ROOT).as_posix() in BY_NAME:
        allowed = allowed | {"a computed name"}
    assert names <= allowed, f"{path.relative_to(ROOT)} imports {', '.join(sorted(names - allowed))}"
    if layer == "theory":
        assert not names & NO_RANDOMNESS_NO_FILES


def test_every_layer_was_read() -> None:
    layers = [path.relative_to(ROOT).parts[0] for path in FILES]
    assert all(layers.count(layer) > 5 for layer in ALLOWED)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import torch.nn as nn, sympy", {"torch", "sympy"}),
        ("from theory.words import letter", {"theory"}),
        ("def f():\n    if True:\n        from numerics import model", {"numerics"}),
        ("from . import letters", {"."}),
        ("import importlib\nimportlib.import_module('torch.nn')", {"importlib", "torch"}),
        ("__import__(name)", {"a computed name"}),
        ("'import torch'", set()),
    ],
)
def test_reader_sees_every_form_of_import(source: str, names: set[str]) -> None:
    assert imported(source) == names


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("theory.statements", ("torch", "numerics", "verify")),
        ("numerics.training", ("theory", "verify")),
    ],
)
def test_fresh_import_loads_nothing_from_the_other_side(module: str, absent: tuple[str, ...]) -> None:
    # numerics is not held to the absence of sympy here: torch itself imports it.
    code = f"import sys, {module}; print([m for m in sys.modules if m.split('.')[0] in {absent}])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"


def parts() -> list[str]:
    """The modules that ``theory/statements.py`` imports: the parts of the mathematics."""
    tree = ast.parse((ROOT / "theory" / "statements.py").read_text(encoding="utf-8"))
    return [
        a.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for a in node.names
        if node.module == "theory"
    ]


def test_every_part_of_the_theory_has_its_checks() -> None:
    assert len(parts()) == len(set(parts())) >= 8
    for part in parts():
        assert (ROOT / "theory" / f"{part}.py").is_file()
        assert (ROOT / "verify" / f"test_{part}.py").is_file(), f"verify/test_{part}.py is missing"


def test_every_module_that_registers_statements_is_a_part() -> None:
    registering = {
        path.stem
        for path in (ROOT / "theory").rglob("*.py")
        if "register(" in path.read_text(encoding="utf-8") and path.stem != "statement"
    }
    assert registering == set(parts())
