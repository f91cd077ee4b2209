"""Where tensors live and where random numbers come from."""

from __future__ import annotations

import torch

from numerics.errors import ArgumentError, check_count


def resolve(device: str = "auto") -> torch.device:
    """The device that ``device`` names: ``auto`` is the GPU if there is one, else the CPU.

    Only ``cpu`` and ``cuda`` (or ``cuda:0``, …) compute in float64 throughout.  Raises
    :class:`ArgumentError` for any other name, and for a GPU that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        found = torch.device("meta")  # a device that nothing can be computed on: rejected below
    if found.type == "cpu":
        return found
    if found.type == "cuda" and (found.index or 0) < torch.cuda.device_count():
        return found
    raise ArgumentError(f"device={device!r}: must be auto, cpu or an available cuda device")


def seeded(seed: int, device: torch.device | str) -> torch.Generator:
    """A generator on ``device``: the same non-negative ``seed`` gives the same draws on the same device."""
    return torch.Generator(device=device).manual_seed(check_count("seed", seed, 0))
