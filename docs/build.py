"""The reference of theory, numerics and verify.claims, from the docstrings: ``python docs/build.py OUT``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import numpy as np
import pdoc

PACKAGES = ("theory", "numerics", "verify.claims")


def _modules(package: str) -> list[str]:
    path = importlib.import_module(package).__path__
    return [package, *(found.name for found in pkgutil.walk_packages(path, f"{package}."))]


class ArrayLike:
    """The name of a union that would fill lines."""

    __module__ = "numpy.typing"


class _NDArray:
    """An array of whatever numbers: their kind is in the docstring where it matters."""

    def __class_getitem__(cls, numbers: object) -> type:
        return np.ndarray


SHORT = {"NDArray": _NDArray, "Array": np.ndarray, "ArrayLike": ArrayLike}


def _shortened(name: str) -> None:
    """Prepare the annotations of a module, which pdoc evaluates in it."""
    module = importlib.import_module(name)
    for key in SHORT.keys() & vars(module).keys():
        setattr(module, key, SHORT[key])
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if hasattr(cls, "_fields") and cls.__module__ == name:
            # Python makes a named tuple's constructor in a module of its own, where no type is known.
            cls.__new__.__module__ = name


def build(out: Path) -> None:
    """Write the pages to ``out``."""
    for package in PACKAGES:
        for module in _modules(package):
            _shortened(module)
    pdoc.render.configure(template_directory=Path(__file__).parent)
    # pdoc leaves out the modules of a package that lists what it exports; those of the algebra belong here.
    pdoc.pdoc(*PACKAGES, *_modules("theory.words")[1:], output_directory=out)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
