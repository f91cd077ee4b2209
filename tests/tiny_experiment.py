"""An experiment for the tests of the sweeps: draws, told by a log of which cell was computed when."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch

from numerics import checkpoints
from numerics.device import seeded
from numerics.errors import ArgumentError


def cells(
    profile: str = "paper", count: int = 6, seconds: float = 0.0, log: str = "", act: str = ""
) -> list[dict[str, Any]]:
    """``act`` is what is done beside: see ``run``."""
    if profile != "paper":
        raise ArgumentError(f"profile={profile!r}: must be paper")
    return [{"cell": i, "seconds": seconds, "log": log, "act": act} for i in range(count)]


def run(
    config: dict[str, Any], seed: int, device: torch.device, checkpoint: Path | None = None
) -> dict[str, Any]:
    """Three normal draws.  The log gets a line, with a folder for those that are to be told once."""
    if config["log"]:
        with open(config["log"], "a", encoding="utf-8") as file:
            file.write(f"{config['cell']} {seed}\n")
    time.sleep(config["seconds"])
    act = config["act"]
    if act == "fail" and config["cell"] == 1:
        raise ArithmeticError("cell 1 fails")
    if act.startswith("die ") and config["cell"] == 2 and _first(act):
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "threads":
        return {"threads": torch.get_num_threads(), "omp": os.environ.get("OMP_NUM_THREADS")}
    if act == "checkpoint":
        assert checkpoint is not None
        losses: list[float] = []
        checkpoints.train(lambda t: losses.append(t + 0.5), 5, {"losses": losses}, checkpoint, 1)
        return {"losses": losses, "file": str(checkpoint), "there": checkpoint.is_file()}
    draws = torch.randn(3, generator=seeded(seed, device), dtype=torch.float64, device=device)
    return {"draws": (draws + config["cell"]).tolist(), "global": torch.rand(1).item()}


def _first(act: str) -> bool:
    """Once, whoever asks: the file that ``act`` names is made by one of them."""
    try:
        os.close(os.open(act.removeprefix("die "), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
