"""Figure 4 of arXiv:2603.01293: one linear self-attention layer, post-trained by Adam and to a minimum.

A configuration is one point of one panel; its runs are trained side by side in one tensor.  What the print
leaves open is a setting; how the panels depend on it: ``notes/figure_four.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from numerics.errors import ArgumentError, check_count, check_positive, check_rate, shown
from numerics.experiments import single_layer as layer
from numerics.experiments.batched_training import Loss, adam_epochs, minimise
from numerics.experiments.shifted_task import (
    BASES,
    Kind,
    generator,
    initial_inverse,
    shifted_task,
    test_prompts,
    training_prompts,
)
from numerics.experiments.single_layer import Seen, Weights

LOSSES, MODELS, DTYPES = ("sft", "os"), ("reduced", "full"), ("float64", "float32")
# The print: d, Σ₀, Δ_ii = 1, lr, epochs, k = 1 at the test, 10 runs.  The rest is open.
DEFAULTS: dict[str, Any] = {
    "d": 100,
    "n": 200,
    "B": 200,
    "k": 4,
    "loss": "sft",
    "model": "reduced",
    "eta": 0.2,
    "rank": 20,
    "basis": "rotated",
    "n_pre": 0,  # 0: that of the training prompts
    "n_test": 0,  # likewise
    "scale": 1.0,
    "lr": 1e-3,
    "epochs": 130,
    "batch": 20,  # 0: all prompts
    "k_test": 1,
    "test_prompts": 100,  # a run
    "runs": 10,
    "dtype": "float64",
    "iterations": 600,  # of L-BFGS on the reduced model; 0: none
}
GRADIENT = 1e-4  # where L-BFGS stops: the loss of one prompt at the end is of the order of d/2
GRIDS: dict[str, dict[str, tuple[int, ...]]] = {
    "paper": {
        "B": (5, 10, 15, 20, 25, 30, 40, 60, 100, 200, 400, 800),
        "n": (10, 20, 50, 100, 200, 400, 800),
        "k": (1, 2, 3, 4, 6, 8),
    },
    "quick": {"B": (4, 8, 16, 64), "n": (10, 40, 160), "k": (1, 2, 4)},
}
QUICK = {"d": 20, "n": 40, "B": 16, "rank": 4, "runs": 4, "epochs": 40, "iterations": 200}


def cells(profile: str = "paper", **settings: Any) -> list[dict[str, Any]]:
    """The configurations of the panels: B, n and k in turn away from the centre, each loss and model.

    n in all its roles, as eq. (3.7) has one n, and that of the post-training prompts alone.  A setting
    replaces its default in all of them; ``loss`` and ``model`` leave only that one.  Configurations with the
    same test prompts, which they share, are neighbours.  Raises :class:`ArgumentError` for an unknown profile
    or setting and a value out of range.
    """
    if profile not in GRIDS:
        raise ArgumentError(f"profile={shown(profile)}: must be one of {', '.join(GRIDS)}")
    base = DEFAULTS | (QUICK if profile == "quick" else {})
    checked(base | settings)
    found = []
    for model in [settings.get("model")] if "model" in settings else MODELS:
        for loss in [settings.get("loss")] if "loss" in settings else LOSSES:
            centre = base | settings | {"loss": loss, "model": model}
            for axis, values in GRIDS[profile].items():
                found += [centre | {axis: value} for value in values]
            found.append(centre)
            # The length of the post-training prompts alone, those of pretraining and of the test as they are.
            alone = {name: centre[name] or centre["n"] for name in ("n_pre", "n_test")}
            found += [centre | alone | {"n": value} for value in GRIDS[profile]["n"]]
    unique = {tuple(sorted(each.items())): each for each in found}
    order = ("n", "model", "loss", "B", "k")
    return sorted(
        unique.values(), key=lambda each: [each["n_test"] or each["n"], *(each[name] for name in order)]
    )


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """``config`` with every setting known, present and in range; else :class:`ArgumentError`."""
    if set(config) != set(DEFAULTS):
        wrong = ", ".join(sorted(set(config) ^ set(DEFAULTS)))
        raise ArgumentError(f"settings unknown or missing: {wrong}: must be exactly {', '.join(DEFAULTS)}")
    found = dict(config)
    for name in ("d", "n", "B", "k", "rank", "k_test", "test_prompts", "runs"):
        check_count(name, found[name])
    for name in ("n_pre", "n_test", "epochs", "batch", "iterations"):
        check_count(name, found[name], 0)
    if found["rank"] > found["d"]:
        raise ArgumentError(f"rank={found['rank']}: must be at most d = {found['d']}")
    for name in ("lr", "scale"):
        check_positive(name, found[name])
    check_rate("eta", found["eta"])
    for name, allowed in (("loss", LOSSES), ("model", MODELS), ("dtype", DTYPES), ("basis", BASES)):
        if found[name] not in allowed:
            raise ArgumentError(f"{name}={shown(found[name])}: must be one of {', '.join(allowed)}")
    return found


def run(
    config: Mapping[str, Any], seed: int, device: torch.device, checkpoint: Path | None = None
) -> dict[str, Any]:
    """Train all runs of ``config``; lists with an entry for each run.

    ``test``: mean ‖ŵ − w*‖² over the run's test prompts, after ``epochs`` of Adam; ``initial``: before.
    ``closed``: at the minimiser (4.1) of Theorem 4.1; for outcome supervision at k = 1, where the loss is
    that of fine-tuning with η = 1.  ``converged``: where L-BFGS ends on the reduced model, with
    ``converged_loss`` and ``converged_gradient``.  ``training_loss``: (epochs+1, runs).  ``off_pattern``: for
    the full layer, the norm of the change of what stays as it is by eq. (3.8), over that of the blocks.
    A training of seconds: ``checkpoint`` is not used.
    """
    of = checked(config)
    kind: Kind = (device, getattr(torch, of["dtype"]))
    task = shifted_task(of["d"], of["rank"], of["basis"])
    inverse = initial_inverse(task, of["n_pre"] or of["n"]).mul(of["scale"]).to(*kind)
    seen = training_prompts(task, of["n"], of["B"], of["runs"], seed, kind)
    order = generator(seed, "order", 0, device)
    blocks = [-torch.diag(inverse), torch.eye(of["d"], device=device, dtype=kind[1])]
    start = [x.expand(of["runs"], -1, -1) for x in blocks]

    found: dict[str, Any] = {}
    models = {"initial": start}
    fit = partial(adam_epochs, seen=seen, lr=of["lr"], epochs=of["epochs"], batch=of["batch"], order=order)
    if of["model"] == "full":
        whole = whole_layer(start)
        trained, logged = fit(loss_of(of, layer.full_sft_loss, layer.full_outcome_loss), whole)
        models["test"] = trained
        found["off_pattern"] = off_pattern(trained, whole).tolist()
    else:
        on_columns = loss_of(of, layer.reduced_sft_loss, layer.reduced_outcome_loss)
        columns = layer.columns_of(start, seen)
        if task.basis is None:
            # The other columns and rows have no gradient, so that Adam leaves them.
            trained, logged = fit(on_columns, columns)
            models["test"] = with_columns(start, trained, seen)
        else:
            trained, logged = fit(lambda w, seen: on_columns(layer.columns_of(w, seen), seen), start)
            models["test"] = trained
        if of["iterations"]:
            ended = minimise(on_columns, columns, seen, GRADIENT, of["iterations"])
            models["converged"] = with_columns(start, ended.weights, seen)
            found["converged_loss"] = ended.loss.tolist()
            found["converged_gradient"] = ended.gradient.tolist()
        if of["loss"] == "sft" or of["k"] == 1:
            eta = of["eta"] if of["loss"] == "sft" else 1.0
            models["closed"] = with_columns(start, [closed_form(columns[0], seen, eta), columns[1]], seen)
    found["training_loss"] = logged.tolist()
    tests = prompts_for_test(
        of["d"], of["rank"], of["basis"], of["n_test"] or of["n"], of["test_prompts"], of["runs"], seed, kind
    )
    return found | {name: test_error(w, tests, of["k_test"]).tolist() for name, w in models.items()}


def loss_of(of: Mapping[str, Any], sft: Callable[..., Tensor], outcome: Callable[..., Tensor]) -> Loss:
    """The loss of a configuration as a function of weights and prompts."""
    return partial(sft, k=of["k"], eta=of["eta"]) if of["loss"] == "sft" else partial(outcome, k=of["k"])


def whole_layer(blocks: Weights) -> Weights:
    """V and W (..., 2d+2, 2d+2) with the pattern of eq. (3.8) around the blocks [Ṽ, W̃]."""
    d = blocks[0].shape[-1]
    V, W = (x.new_zeros(*x.shape[:-2], 2 * d + 2, 2 * d + 2) for x in blocks)
    V[..., d + 1 : 2 * d + 1, :d] = blocks[0]
    W[..., :d, d + 1 : 2 * d + 1] = blocks[1]
    W[..., d, -1] = -1.0
    return [V, W]


def off_pattern(trained: Weights, start: Weights) -> Tensor:
    """Norm of the change outside the two blocks over that inside them, (runs,)."""
    d = start[0].shape[-1] // 2 - 1
    inside, outside = [], []
    for x, y, rows, columns in zip(trained, start, (d + 1, 0), (0, d + 1), strict=True):
        change = (x - y).square()
        block = change[..., rows : rows + d, columns : columns + d].sum((-2, -1))
        inside.append(block)
        outside.append(change.sum((-2, -1)) - block)
    return ((outside[0] + outside[1]) / (inside[0] + inside[1]).clamp(min=1e-300)).sqrt()


def with_columns(start: Weights, columns: Weights, seen: Seen) -> Weights:
    """The blocks that are ``start`` but for ṼP and PᵀW̃, which are ``columns``."""
    held = layer.columns_of(start, seen)
    if seen.basis is None:
        V, W = (x.clone() for x in start)
        V[..., : columns[0].shape[-1]] = columns[0]
        W[..., : columns[1].shape[-2], :] = columns[1]
        return [V, W]
    P = seen.basis
    return [start[0] + (columns[0] - held[0]) @ P.mT, start[1] + P @ (columns[1] - held[1])]


def closed_form(column: Tensor, seen: Seen, eta: float) -> Tensor:
    """ṼP of the minimiser (4.1) that starts from ``column``: −ηΩΦ⁺ + (start)(I − ΦΦ⁺), (runs, d, r)."""
    Phi = seen.times(seen.onto(seen.w)).mT.double()
    # What Φ says of rank is rounding of float64 wherever the prompts came in that.
    change = (-eta * seen.w.mT.double() - column.double() @ Phi) @ torch.linalg.pinv(Phi)
    return column + change.to(column.dtype)


@lru_cache(maxsize=1)
def prompts_for_test(
    d: int, rank: int, basis: str, n: int, size: int, runs: int, seed: int, kind: Kind
) -> list[Seen]:
    """The test prompts, which configurations of one n share."""
    return list(test_prompts(shifted_task(d, rank, basis), n, size, runs, seed, kind))


def test_error(weights: Weights, prompts: Iterable[Seen], k: int) -> Tensor:
    """Mean ‖ŵ_k − w*‖² over the prompts of each run, (runs,)."""
    predict = layer.full_outcome if weights[0].shape[-1] > _dimension(prompts) else layer.reduced_outcome
    errors = [(predict(weights, part, k) - part.w).square().sum(-1) for part in prompts]
    return torch.cat(errors, dim=1).mean(1)


def _dimension(prompts: Iterable[Seen]) -> int:
    return next(iter(prompts)).w.shape[-1]
