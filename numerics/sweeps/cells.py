"""A cell of a sweep: a configuration with a seed, known by the content of what its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numerics
from numerics.errors import ArgumentError, check_count, shown


def canonical(name: str, value: Any) -> str:
    """``value`` as JSON, the same text for the same content; :class:`ArgumentError` for what is not JSON."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}={shown(value)}: must be plain JSON values ({error})") from None


def digest(*parts: bytes | str) -> str:
    """SHA-256 of the parts, each with its length before it."""
    found = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        found.update(len(content).to_bytes(8, "big") + content)
    return found.hexdigest()


def code_version(*more: Path) -> str:
    """Of the sources of numerics as they lie on the disk, committed or not, and of the files ``more``."""
    root = Path(numerics.__file__).parent
    sources = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    parts: list[bytes | str] = []
    for name in sorted(sources):
        parts += [name, sources[name].read_bytes()]
    return digest(*parts, *(path.read_bytes() for path in more))


@dataclass(frozen=True)
class Cell:
    """``config`` is canonical JSON; ``code`` is :func:`code_version` with the experiment's own source."""

    experiment: str
    config: str
    seed: int
    code: str

    @cached_property
    def key(self) -> str:
        """What the result is stored under."""
        return digest(self.experiment, self.config, str(self.seed), self.code)

    def __str__(self) -> str:
        return f"{self.experiment} {self.config} seed {self.seed} ({self.key[:12]})"


def grid(experiment: str, code: str, configs: Iterable[dict[str, Any]], seeds: Iterable[int]) -> list[Cell]:
    """Every configuration with every seed, seed by seed; one cell where two are the same."""
    texts = [canonical("config", config) for config in configs]
    found = {
        cell.key: cell
        for seed in seeds
        for cell in (Cell(experiment, text, check_count("seed", seed, 0), code) for text in texts)
    }
    return list(found.values())
