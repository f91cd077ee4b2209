"""Figure 3 of arXiv:2603.01293: a decoder of the GPT-2 type, pretrained on Σ₀, post-trained on Δ.

A configuration is all six panels: its runs are pretrained once, side by side, and every post-training starts
from there.  What the print leaves open is a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from numerics import checkpoints
from numerics.errors import ArgumentError, check_count, check_positive, check_rate, shown
from numerics.experiments.shifted_task import BASES, shifted_task
from numerics.gpt2.losses import outcome_loss, risks, sft_loss
from numerics.gpt2.model import Ensemble, Size
from numerics.gpt2.prompts import Source, stream_seed
from numerics.gpt2.training import SCHEDULES, Curriculum, Optimisation, post_train, pretrain

LOSSES, DTYPES, AXES = ("sft", "os"), ("float32", "float64"), ("B", "n", "k")
# The print: layers, heads, width, batch, steps of both losses, k_pre, k and k_test.  From Garg et al. (2022),
# whose curriculum it names: d, n_pre, d_start, n_start, interval, pre_steps and pre_lr.  The rest is open.
PAPER: dict[str, Any] = {
    "d": 20,
    "rank": 4,
    "basis": "rotated",
    "eta": 0.5,
    "layers": 12,
    "heads": 8,
    "width": 256,
    "n_pre": 41,  # the longest prompt of pretraining
    "shortest": 1,  # and the shortest
    "d_start": 5,
    "n_start": 11,
    "interval": 2000,
    "k_pre": 8,
    "pre_steps": 500_000,
    "pre_batch": 64,
    "pre_lr": 1e-4,
    "pre_schedule": "constant",
    "pre_warmup": 0,
    "B": 1024,  # the centre: B, n and k where another is varied
    "n": 41,
    "k": 3,
    "B_grid": [64, 128, 256, 512, 1024, 2048, 4096, 6400],
    "n_grid": [5, 10, 15, 20, 25, 30, 41],
    "k_grid": [1, 2, 3, 4, 5, 6],
    "sft_steps": 100,
    "os_steps": 12_000,
    "batch": 64,
    "lr": 1e-4,
    "k_test": 3,
    "test_prompts": 1280,  # a run
    "runs": 10,
    "dtype": "float32",
}
# A decoder that learns the task in minutes: six seeds, one run each, on two cores.
SMALL: dict[str, Any] = {
    "d": 5,
    "rank": 2,
    "layers": 2,
    "heads": 4,
    "width": 32,
    "n_pre": 16,
    "shortest": 5,
    "d_start": 2,
    "n_start": 5,
    "interval": 150,
    "pre_steps": 10_000,
    "pre_batch": 32,
    "pre_lr": 3e-3,
    "pre_schedule": "cosine",
    "pre_warmup": 200,
    "n": 11,
    "B_grid": [4, 16, 64, 256, 1024, 6400],
    "n_grid": [5, 7, 9, 11, 16],
    "k_grid": [1, 2, 3, 4, 6],
    "os_steps": 300,
    "lr": 1e-3,
    "test_prompts": 512,
    "runs": 1,
}
# A smoke test.
TINY: dict[str, Any] = {
    "layers": 1,
    "width": 8,
    "heads": 2,
    "pre_steps": 8,
    "pre_batch": 8,
    "B": 8,
    "n": 4,
    "n_pre": 6,
    "shortest": 3,
    "B_grid": [2, 4, 8],
    "n_grid": [3, 4, 6],
    "k_grid": [1, 3],
    "sft_steps": 4,
    "os_steps": 4,
    "batch": 4,
    "k_pre": 4,
    "test_prompts": 64,
    "runs": 2,
}
PROFILES = {"paper": PAPER, "small": PAPER | SMALL, "tiny": PAPER | SMALL | TINY}


def cells(profile: str = "paper", **settings: Any) -> list[dict[str, Any]]:
    """One configuration: that of ``profile``, with ``settings`` in place of its own.

    Raises :class:`ArgumentError` for an unknown profile or setting and a value out of range.
    """
    if profile not in PROFILES:
        raise ArgumentError(f"profile={shown(profile)}: must be one of {', '.join(PROFILES)}")
    return [checked(PROFILES[profile] | settings)]


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` with every setting known, present and in range; else :class:`ArgumentError`."""
    if set(config) != set(PAPER):
        wrong = ", ".join(sorted(set(config) ^ set(PAPER)))
        raise ArgumentError(f"settings unknown or missing: {wrong}: must be exactly {', '.join(PAPER)}")
    found = dict(config)
    for name, value in found.items():
        if name.endswith("_grid"):
            if not isinstance(value, list) or not value:
                raise ArgumentError(f"{name}={shown(value)}: must be a list of integers")
            for each in value:
                check_count(name, each)
        elif name == "pre_warmup":
            check_count(name, value, 0)
        elif isinstance(PAPER[name], int):
            check_count(name, value)
        elif name == "eta":
            check_rate(name, value)
        elif name in ("lr", "pre_lr"):
            check_positive(name, value)
    for name, allowed in (("dtype", DTYPES), ("basis", BASES), ("pre_schedule", SCHEDULES)):
        if found[name] not in allowed:
            raise ArgumentError(f"{name}={shown(found[name])}: must be one of {', '.join(allowed)}")
    longest = max(found["n"], *found["n_grid"])
    if longest > found["n_pre"]:
        raise ArgumentError(f"n_pre={found['n_pre']}: must be at least {longest}, the longest prompt")
    if found["k_test"] > found["k_pre"]:
        raise ArgumentError(f"k_test={found['k_test']}: must be at most k_pre = {found['k_pre']}")
    curriculum_of(found)
    size_of(found)
    return found


def points(of: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Loss, B, n and k of every post-training: each grid about the centre, the centre once."""
    found = []
    for loss in LOSSES:
        centre = {"loss": loss} | {axis: of[axis] for axis in AXES}
        near = [centre | {axis: value} for axis in AXES for value in of[f"{axis}_grid"]]
        found += [centre, *(point for point in near if point != centre)]
    return found


def size_of(of: Mapping[str, Any]) -> Size:
    """The decoder of a configuration, with room for its longest sequence."""
    most = 1 + max(of["k_pre"], of["k"], *of["k_grid"])
    return Size(of["d"], of["layers"], of["heads"], of["width"], 2 * of["n_pre"] + most)


def curriculum_of(of: Mapping[str, Any]) -> Curriculum:
    """The curriculum of a configuration."""
    names = ("d_start", "n_start", "interval", "shortest")
    return Curriculum(d=of["d"], n=of["n_pre"], **{name: of[name] for name in names})


def sources_of(of: Mapping[str, Any], device: torch.device, dtype: torch.dtype) -> dict[str, Source]:
    """Features of pretraining (Σ₀), post-training (Δ) and the test (Σ₀ + Δ)."""
    task = shifted_task(of["d"], of["rank"], of["basis"])
    scale, factor = task.pre.sqrt().to(device, dtype), task.factor.to(device, dtype)
    none = torch.zeros_like
    return {
        "pre": Source(scale, none(factor)),
        "post": Source(none(scale), factor),
        "test": Source(scale, factor),
    }


def run(
    config: Mapping[str, Any], seed: int, device: torch.device, checkpoint: Path | None = None
) -> dict[str, Any]:
    """Pretrain all runs of ``config``, post-train them at each of :func:`points`, test them on Σ₀ + Δ.

    Lists begin with the runs.  A risk is the mean of ‖ŵ_i − w*‖² over ``test_prompts`` prompts after i = 1,
    …, k_pre generated steps; that of ŵ = 0 is d.  ``pretrained``: ``pre``, the risk on prompts of pretraining
    of the length of post-training; ``pre_lengths``, over all lengths of pretraining; ``post``, on prompts
    from Δ; ``test``, on those of the test, for each length of a post-training; ``loss``, of training.
    ``points``: loss, B, n, k; ``test``, the risk on test prompts of the same length; ``test_centre``, of the
    length of the centre; ``train``, the training loss.  ``parameters``: of a decoder.
    """
    of = checked(config)
    kind = device, getattr(torch, of["dtype"])
    sources = sources_of(of, *kind)
    model = Ensemble(size_of(of), [stream_seed(seed, "weights", r) for r in range(of["runs"])], *kind)

    def kept(name: str) -> Path | None:
        return None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}-{name}")

    how = Optimisation(of["pre_steps"], of["pre_batch"], of["pre_lr"], of["pre_schedule"], of["pre_warmup"])
    losses = pretrain(
        model, sources["pre"], curriculum_of(of), how, of["eta"], of["k_pre"], seed, kept("pretraining")
    )
    pretrained = model.state_dict()

    most = max(of["B"], *of["B_grid"])
    data = sources["post"].draw_set(of["runs"], most, of["n_pre"], seed, "train")
    test = sources["test"].draw_set(of["runs"], of["test_prompts"], of["n_pre"], seed, "test")
    gate = sources["pre"].draw_set(of["runs"], of["test_prompts"], of["n_pre"], seed, "gate")
    other = sources["post"].draw_set(of["runs"], of["test_prompts"], of["n_pre"], seed, "gate")
    risk = partial(risks, model, steps=of["k_pre"])
    lengths = range(of["shortest"], of["n_pre"] + 1)
    start = {
        "pre": risk(gate.first(of["n"])).tolist(),
        "pre_lengths": torch.stack([risk(gate.first(n)) for n in lengths]).mean(0).tolist(),
        "post": risk(other.first(of["n"])).tolist(),
        "test": {str(n): risk(test.first(n)).tolist() for n in sorted({of["n"], *of["n_grid"]})},
        "loss": losses,
    }

    found: list[dict[str, Any]] = []
    done = kept("points")
    if done is not None and done.exists():
        found = checkpoints.load(done)
    for place, point in list(enumerate(points(of)))[len(found) :]:
        model.load_state_dict(pretrained)
        loss = partial(sft_loss, eta=of["eta"]) if point["loss"] == "sft" else outcome_loss
        how = Optimisation(of[f"{point['loss']}_steps"], of["batch"], of["lr"])
        part = data.first(point["n"])
        part = part._replace(X=part.X[:, : point["B"]], w=part.w[:, : point["B"]])
        file = kept(f"point-{place}")
        logged = post_train(model, part, partial(loss, k=point["k"]), how, seed, file)
        found.append(
            point
            | {
                "test": risk(test.first(point["n"])).tolist(),
                "test_centre": risk(test.first(of["n"])).tolist(),
                "train": logged,
            }
        )
        if done is not None and file is not None:
            checkpoints.save(done, found)
            file.unlink(missing_ok=True)
    one = sum(w[0].numel() for w in model.weights.values())
    return {"parameters": one, "pretrained": start, "points": found}
