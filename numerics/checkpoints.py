"""Training that survives being killed: model, optimiser and random numbers are saved every so many steps.

What comes back is bit for bit what went in, and on the CPU, with as many threads, so is all that follows: a
run that was killed and resumed ends where one that was not ends.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from numerics.errors import ArgumentError, check_count, shown
from numerics.files import remove_parts, replace_file

DIGEST = hashlib.sha256().digest_size


@runtime_checkable
class Stateful(Protocol):
    """Modules, optimisers, schedulers of the learning rate."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


# Generators, tensors, lists and dictionaries of plain values are changed in place when a run is resumed.
Part = Stateful | Generator | Tensor | list[Any] | dict[str, Any]


def save(path: Path, state: Any) -> None:
    """Write ``state``, tensors and plain values in lists and dictionaries, wholly or not at all.

    The folder is made if need be.  Raises :class:`OSError` where there is no room; the last one is kept then.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    body = buffer.getvalue()
    replace_file(path, hashlib.sha256(body).digest() + body)


def load(path: Path) -> Any:
    """What :func:`save` wrote, on the CPU.

    Raises :class:`ArgumentError` for a file that is damaged or no checkpoint, and :class:`OSError` for one
    that cannot be read.  Only data is read: no file can make this run code.
    """
    content = path.read_bytes()
    digest, body = content[:DIGEST], content[DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        raise ArgumentError(f"{path}: damaged, or no checkpoint: remove it to start anew")
    return torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)


def train(
    advance: Callable[[int], None],
    steps: int,
    parts: Mapping[str, Part],
    checkpoint: Path | None = None,
    every: int = 100,
) -> None:
    """Call ``advance(t)`` for t = 0, …, steps − 1, from where ``checkpoint`` stands if there is one.

    ``parts`` is all that ``advance`` changes: weights, optimiser, the generator that draws minibatches, a
    list of losses.  They are saved with t and torch's own random numbers after every ``every`` steps and at
    the end, so that a run that is complete is not repeated.  Raises :class:`ArgumentError` for a checkpoint
    of other parts.
    """
    check_count("steps", steps, 0)
    check_count("every", every)
    first = 0
    if checkpoint is not None:
        remove_parts(checkpoint)
        if checkpoint.exists():
            first = _restore(checkpoint, parts)
    for t in range(first, steps):
        advance(t)
        if checkpoint is not None and ((t + 1) % every == 0 or t + 1 == steps):
            _keep(checkpoint, t + 1, parts)


def _keep(path: Path, step: int, parts: Mapping[str, Part]) -> None:
    random = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        random["cuda"] = torch.cuda.get_rng_state()
    states = {name: _state(name, part) for name, part in parts.items()}
    save(path, {"step": step, "random": random, "parts": states})


def _restore(path: Path, parts: Mapping[str, Part]) -> int:
    """The step that the checkpoint was made after; ``parts`` are as they were then."""
    kept = load(path)
    if not isinstance(kept, dict) or kept.keys() != {"step", "random", "parts"}:
        raise ArgumentError(f"{path}: no checkpoint of training")
    if kept["parts"].keys() != parts.keys():
        had = ", ".join(kept["parts"])
        raise ArgumentError(f"{path}: a checkpoint of {had}: must be of {', '.join(parts)}")
    for name, part in parts.items():
        try:
            _set(part, kept["parts"][name])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ArgumentError(f"{path}: {name} is that of another run ({shown(str(error))})") from None
    torch.set_rng_state(kept["random"]["cpu"])
    if "cuda" in kept["random"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(kept["random"]["cuda"])
    return int(kept["step"])


def _state(name: str, part: Part) -> Any:
    if isinstance(part, Generator):
        return part.get_state()
    if isinstance(part, Tensor):
        return part.detach().clone()  # of a view, not all that it is a view of
    if isinstance(part, Stateful):
        return part.state_dict()
    if isinstance(part, list | dict):
        return part
    raise ArgumentError(f"parts[{name!r}]={shown(part)}: must have a state")


def _set(part: Part, state: Any) -> None:
    if isinstance(part, Generator):
        part.set_state(state)
    elif isinstance(part, Tensor):
        if (state.shape, state.dtype) != (part.shape, part.dtype):
            raise ValueError(f"shape {tuple(state.shape)}, {state.dtype}")
        with torch.no_grad():
            part.copy_(state)
    elif isinstance(part, Stateful):
        part.load_state_dict(state)
    elif isinstance(part, list):
        part[:] = state
    else:
        part.clear()
        part.update(state)
