"""The reference: every public name says what it is, and ``make docs`` builds without a warning."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("theory", "numerics", "verify.claims")


def modules() -> list[str]:
    found = list(PACKAGES)
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found += [one.name for one in pkgutil.walk_packages(path, f"{package}.")]
    return found


def made(cls: type) -> bool:
    """Whether Python wrote the class's docstring: a signature, or the fields of a named tuple."""
    text = vars(cls).get("__doc__") or ""
    return text.startswith(f"{cls.__name__}(")


def undocumented(cls: type) -> Iterator[str]:
    """Methods and properties of ``cls`` without a docstring; an override means what its base's means."""
    if getattr(cls, "_is_protocol", False):
        return
    for name, value in vars(cls).items():
        own: Any = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        new = not any(name in vars(base) for base in cls.__mro__[1:])
        if inspect.isfunction(own) and new and not name.startswith("_") and not own.__doc__:
            yield f"{cls.__module__}.{cls.__name__}.{name}"


def test_every_public_name_has_a_docstring() -> None:
    names = modules()
    without = []
    for name in names:
        module = importlib.import_module(name)
        if not module.__doc__:
            without.append(name)
        for key, value in vars(module).items():
            if key.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isclass(value):
                without += undocumented(value)
            elif not inspect.isfunction(inspect.unwrap(value) if callable(value) else value):
                continue
            if not value.__doc__ or (inspect.isclass(value) and made(value)):
                without.append(f"{name}.{key}")
    assert len(names) > 100
    assert without == []


def test_the_reference_builds_without_a_warning(tmp_path: Path) -> None:
    """A page for each module, and in it what the docstring says."""
    pytest.importorskip("pdoc", reason="the reference is made by pdoc, of the extra dev")
    build = (sys.executable, ROOT / "docs" / "build.py", tmp_path)
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pages = {path.relative_to(tmp_path).with_suffix("") for path in tmp_path.rglob("*.html")}
    # Of verify.claims what it exports is on its own page.
    of_their_own = {name for name in modules() if not name.startswith("verify.claims.")}
    assert {Path(*name.split(".")) for name in of_their_own} <= pages
    page = (tmp_path / "theory" / "risk.html").read_text(encoding="utf-8")
    assert "for a d × d V and covariance Σ" in page
    assert "numpy.dtype" not in page  # the types of arrays are short
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "the one-step test risk" in start
    assert ":mod:" not in start
    assert ":class:" not in start
