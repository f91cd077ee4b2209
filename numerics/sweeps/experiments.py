"""Experiments by name: those of the package, and anybody's own with the same two functions.

An experiment is a module with::

    def cells(profile: str = "paper", **settings) -> list[dict]
    def run(config: dict, seed: int, device: torch.device, checkpoint: Path | None = None) -> dict

``cells`` are its configurations, plain JSON values; ``run`` computes one, a JSON-able result that depends on
the configuration, the seed and the type of the device alone.  ``checkpoint`` is a file in a folder of the
cell's own, for :mod:`numerics.checkpoints`, removed when the result is stored.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from numerics.errors import ArgumentError, shown
from numerics.experiments import EXPERIMENTS
from numerics.sweeps.cells import code_version, digest

MODULE = "module:"


@dataclass(frozen=True)
class Experiment:
    """``origin`` is what :func:`find` finds it by from any process and folder, ``code`` its version."""

    name: str
    origin: str
    code: str
    module: ModuleType

    def configurations(self, profile: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """The module's ``cells``; :class:`ArgumentError` for a setting that it does not have."""
        try:
            inspect.signature(self.module.cells).bind(profile, **settings)
        except TypeError as error:
            raise ArgumentError(f"settings={shown(settings)}: {self.name} takes others ({error})") from None
        found: list[dict[str, Any]] = self.module.cells(profile, **settings)
        if not found:
            raise ArgumentError(f"profile={shown(profile)}: {self.name} has no cells there")
        return found


def find(name: str) -> Experiment:
    """The experiment ``name``: one of EXPERIMENTS, ``module:`` and a module, or a file that ends in .py.

    Of one that is not of this package its own file counts as its source, and nothing that it imports.
    Raises :class:`ArgumentError` for one that is not there, cannot be imported or is no experiment.
    """
    return _found(str(Path(name).resolve()) if name.endswith(".py") else name)


@cache
def _found(name: str) -> Experiment:
    """Once in a process: its sources are those that it imported."""
    short = name
    if name.endswith(".py"):
        short, module = Path(name).name, _from_file(Path(name))
    elif name in EXPERIMENTS:
        module = _imported(EXPERIMENTS[name], name)
    elif name.startswith(MODULE):
        module = _imported(name.removeprefix(MODULE), name)
    else:
        own = ", ".join(sorted(EXPERIMENTS))
        raise ArgumentError(f"experiment={shown(name)}: must be {own}, {MODULE}NAME or a .py file")
    for function in ("cells", "run"):
        if not callable(getattr(module, function, None)):
            raise ArgumentError(f"experiment={shown(name)}: has no function {function}")
    source = [] if module.__name__.startswith("numerics.") else [Path(str(module.__file__))]
    return Experiment(short, name, code_version(*source), module)


def _imported(module: str, name: str) -> ModuleType:
    try:
        return import_module(module)
    except (ModuleNotFoundError, ValueError, TypeError) as error:
        raise ArgumentError(f"experiment={shown(name)}: cannot be imported ({error})") from None


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ArgumentError(f"experiment={shown(str(path))}: no such file")
    spec = spec_from_file_location(f"experiment_{digest(str(path))[:12]}", path)
    if spec is None or spec.loader is None:
        raise ArgumentError(f"experiment={shown(str(path))}: must be a file of Python")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # as dataclasses want it
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise ArgumentError(f"experiment={shown(str(path))}: cannot be imported ({error})") from None
    return module
