"""Training that is killed and resumed ends where training that was not ends, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import faults
import pytest
import torch
from torch import nn

from numerics import checkpoints
from numerics.device import seeded
from numerics.errors import ArgumentError

# A process without threads, which may fork.  Its children train, Adam on minibatches with dropout, which
# draws from torch's own generator, and are killed at a random moment until one comes to the end.
KILLED = """
import os, pathlib, random, signal, sys, time
import torch, torch._dynamo  # which the first optimiser would load, in every child
from torch import nn
from numerics import checkpoints
from numerics.device import seeded

folder = pathlib.Path(sys.argv[1])
torch.set_num_threads(1)
STEPS = 400


def trained(checkpoint, final):
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(20, 30), nn.Dropout(0.3), nn.Linear(30, 1)).double()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.StepLR(optimiser, 50, 0.9)
    batches = seeded(2, "cpu")
    x = torch.randn(64, 20, generator=seeded(3, "cpu"), dtype=torch.float64)
    losses = []

    def advance(t):
        rows = torch.randint(64, (8,), generator=batches)
        optimiser.zero_grad()
        loss = (model(x[rows]) - x[rows].sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimiser.step()
        scheduler.step()
        losses.append(loss.item())

    parts = dict(model=model, optimiser=optimiser, scheduler=scheduler, batches=batches, losses=losses)
    checkpoints.train(advance, STEPS, parts, checkpoint, 7)
    checkpoints.save(final, {"model": model.state_dict(), "losses": losses})


def child(*paths):
    pid = os.fork()
    if pid == 0:
        trained(*paths)
        os._exit(0)
    return pid


assert os.waitpid(child(None, folder / "whole"), 0)[1] == 0
assert os.waitpid(child(folder / "other" / "state.pt", folder / "kept"), 0)[1] == 0
rng, kills, resumed = random.Random(20261122), 0, set()
checkpoint = folder / "run" / "state.pt"
while True:
    before = checkpoint.stat().st_ino if checkpoint.exists() else None
    step = checkpoints.load(checkpoint)["step"] if before else 0
    resumed.add(step)
    pid = child(checkpoint, folder / "killed")
    if kills < 8 and step < STEPS:
        while not checkpoint.exists() or checkpoint.stat().st_ino == before:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.05))  # some steps and some checkpoints later
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if status == 0:
        break
    assert status == signal.SIGKILL, status
    kills += 1
print(kills, len(resumed), len(list(folder.glob("run/.*"))))
"""


def test_killed_training_resumes_to_the_same_bits(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", KILLED, str(tmp_path)],
        env=faults.environment(OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    kills, resumed, left = map(int, ran.stdout.split())
    assert resumed == kills + 1 >= 4  # each got further
    assert left == 0
    whole, killed, kept = (checkpoints.load(tmp_path / name) for name in ("whole", "killed", "kept"))
    assert len(whole["losses"]) == 400
    assert whole["losses"] == killed["losses"] == kept["losses"]
    for name, weights in whole["model"].items():
        assert torch.equal(weights, killed["model"][name]), name


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.pt"
    state = {
        "x": torch.tensor([0.1, float("nan"), float("inf")]),
        "n": [1, 2.5, None, "ü"],
        "deep": {"y": {}},
    }
    checkpoints.save(path, state)
    found = checkpoints.load(path)
    assert torch.equal(found["x"], state["x"]) or found["x"].isnan().tolist() == [False, True, False]
    assert {key: found[key] for key in ("n", "deep")} == {key: state[key] for key in ("n", "deep")}
    assert [p.name for p in path.parent.iterdir()] == ["b.pt"]


@pytest.mark.parametrize("at", [0, 40, 700, -1])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, at: int) -> None:
    path = tmp_path / "state.pt"
    checkpoints.save(path, {"x": torch.zeros(100)})
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    for damaged in (bytes(content), bytes(content[:-7]), b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(ArgumentError, match=r"state\.pt: damaged, or no checkpoint"):
            checkpoints.load(path)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    old = tmp_path / "state.pt"
    checkpoints.save(old, [1, 2])
    script = f"""
import pathlib, torch
from numerics import checkpoints
path = pathlib.Path({str(tmp_path / "full")!r}) / "state.pt"
try:
    checkpoints.save(path, torch.zeros(10000))
except OSError as error:
    print(error)
print(checkpoints.load(path), sorted(p.name for p in path.parent.iterdir()))
"""
    found = faults.run(faults.full_disk(tmp_path / "full", old), tmp_path, "-c", script)
    assert found.stdout.splitlines() == [
        f"{tmp_path}/full/state.pt: cannot be written (No space left on device)",
        "[1, 2] ['filler', 'state.pt']",
    ], found.stderr


def test_parts_of_every_kind_go_on_where_they_were(tmp_path: Path) -> None:
    """Stopped after 4 of 7 steps and resumed in other objects."""

    def parts() -> dict[str, checkpoints.Part]:
        leaf = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
        return {"leaf": leaf, "draws": seeded(5, "cpu"), "list": [0], "dict": {"old": 1}}

    def advance(own: dict[str, checkpoints.Part], stop: int, t: int) -> None:
        if t == stop:
            raise KeyboardInterrupt
        with torch.no_grad():
            own["leaf"] += torch.randn(2, 3, generator=own["draws"], dtype=torch.float64) + torch.rand(1)  # type: ignore[operator]
        own["list"].append(t)  # type: ignore[union-attr]
        own["dict"].pop("old", None)  # type: ignore[union-attr]
        own["dict"][str(t)] = 1  # type: ignore[index]

    torch.manual_seed(0)
    whole = parts()
    checkpoints.train(lambda t: advance(whole, -1, t), 7, whole)
    torch.manual_seed(0)
    first, second = parts(), parts()
    path = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        checkpoints.train(lambda t: advance(first, 5, t), 7, first, path, 2)
    torch.manual_seed(99)
    checkpoints.train(lambda t: advance(second, -1, t), 7, second, path, 2)
    assert second["list"] == whole["list"] == [0, *range(7)]
    assert second["dict"] == whole["dict"]
    assert torch.equal(second["leaf"], whole["leaf"])  # type: ignore[arg-type]
    after: list[int] = []
    checkpoints.train(after.append, 7, second, path)
    assert after == []  # a run that is complete is not repeated


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    checkpoints.train(lambda t: None, 1, {"model": nn.Linear(2, 3), "x": torch.zeros(2)}, path)
    for parts, message in (
        ({"model": nn.Linear(2, 3)}, "a checkpoint of model, x: must be of model"),
        ({"model": nn.Linear(2, 4), "x": torch.zeros(2)}, "model is that of another run"),
        ({"model": nn.Linear(2, 3), "x": torch.zeros(1, 2)}, "x is that of another run"),
        ({"model": nn.Linear(2, 3), "x": torch.zeros(2).double()}, "x is that of another run"),
    ):
        with pytest.raises(ArgumentError, match=message) as error:
            checkpoints.train(lambda t: None, 2, parts, path)
        assert "\n" not in str(error.value)
    checkpoints.save(path, [1])
    with pytest.raises(ArgumentError, match="no checkpoint of training"):
        checkpoints.train(lambda t: None, 2, {}, path)
    with pytest.raises(ArgumentError, match=r"parts\['x'\]=3: must have a state"):
        checkpoints.train(lambda t: None, 1, {"x": 3}, tmp_path / "new.pt")  # type: ignore[dict-item]
    for steps, every in ((-1, 1), (1, 0)):
        with pytest.raises(ArgumentError):
            checkpoints.train(lambda t: None, steps, {}, None, every)
