"""The reference of theory, numerics and verify.claims, from the docstrings: ``python docs/build.py OUT``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import pdoc

PACKAGES = ("theory", "numerics", "verify.claims")


def _modules(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return [package, *(found.name for found in pkgutil.walk_packages(path, f"{package}."))]


def _home(module: str) -> None:
    """Let the constructors of named tuples say in which module the types of their fields are known.

    Python makes them in a module of their own, where pdoc would look for those types in vain.
    """
    for _, cls in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if hasattr(cls, "_fields") and cls.__module__ == module:
            cls.__new__.__module__ = module


def build(out: Path) -> None:
    """Write the pages to ``out``."""
    for package in PACKAGES:
        for module in _modules(package):
            _home(module)
    pdoc.render.configure(template_directory=Path(__file__).parent)
    # pdoc leaves out the modules of a package that lists what it exports; those of the algebra belong here.
    pdoc.pdoc(*PACKAGES, *_modules("theory.words")[1:], output_directory=out)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
