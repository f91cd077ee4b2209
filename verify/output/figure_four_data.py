"""The numbers of Figure 4 of arXiv:2603.01293: trained, and the exact limit where there is one.

Training is :mod:`numerics.experiments.figure_four`; what is predicted comes from the theory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.experiments import figure_four as experiment
from theory.proportional import sft_risk_limit
from verify.output.trained import trained

Array = NDArray[np.float64]
Result = tuple[Mapping[str, Any], Mapping[str, Any]]  # a configuration and what came of it
QUANTITIES = ("initial", "test", "converged", "closed")
AXES = ("B", "n", "k")
ROLES = ("n_pre", "n_test")
SETTINGS = ("loss", "model", *AXES, *ROLES, "batch", "basis", "rank", "eta")


@dataclass(frozen=True)
class Curve:
    """Test errors along an axis: ``at`` (p,) and ``values`` (p, runs), at rising values of the axis."""

    at: Array
    values: Array

    @property
    def mean(self) -> Array:
        return np.asarray(self.values.mean(axis=1))

    @property
    def error(self) -> Array:
        """One standard error of the mean over the runs."""
        return np.asarray(self.values.std(axis=1, ddof=1) / self.values.shape[1] ** 0.5)


def collect(
    progress: Callable[[float], None],
    workers: int,
    device: str = "auto",
    profile: str = "paper",
    store: Path | None = None,
    **settings: Any,
) -> list[Result]:
    """Every configuration of the experiment and its result; what the store has is not computed again."""
    configs, found = trained("fig-4", profile, settings, 1, workers, device, store, progress)
    return list(zip(configs, found, strict=True))


def panel(
    results: Iterable[Result], loss: str, model: str, axis: str, quantity: str = "test", alone: bool = False
) -> Curve | None:
    """The curve of a panel, if there is one: what else is varied is at its most frequent value.

    ``alone``: with the lengths of the prompts of pretraining and of the test given, not those of ``n``.
    """
    chosen = [pair for pair in along(results, loss, model, axis, alone) if pair[1].get(quantity)]
    if len(chosen) < 2:
        return None
    at = np.array([config[axis] for config, _ in chosen], dtype=float)
    return Curve(at, np.array([result[quantity] for _, result in chosen], dtype=float))


def along(results: Iterable[Result], loss: str, model: str, axis: str, alone: bool = False) -> list[Result]:
    """The configurations of a panel, with their results, at rising values of ``axis``."""
    chosen = [
        (config, result)
        for config, result in results
        if (config["loss"], config["model"]) == (loss, model)
        and all((config[name] > 0) == alone for name in ROLES)
    ]
    for other in AXES:
        if other != axis and chosen:
            centre = _commonest(config[other] for config, _ in chosen)
            chosen = [pair for pair in chosen if pair[0][other] == centre]
    return sorted(chosen, key=lambda pair: float(pair[0][axis]))


def _commonest(values: Iterable[int]) -> int:
    seen = list(values)
    return max(sorted(set(seen)), key=seen.count)


def exact_limit(config: Mapping[str, Any]) -> float | None:
    """The exact limit of the error at the minimiser (4.1), for fine-tuning on the diagonal Δ; else None."""
    known = {"loss": "sft", "basis": "diagonal", "scale": 1, "k_test": 1}
    if any(config[name] != value for name, value in known.items()):
        return None
    d, rank, low, n = config["d"], config["rank"], config["d"] // 5, config["n"]
    # Blocks of constant levels: inside both the low part of Σ₀ and Δ, inside one of them, outside both.
    ends = sorted({0, rank, low, d})
    middles = [(a + b) / 2 for a, b in pairwise(ends)]
    pre = [0.1 if m < low else 1.0 for m in middles]
    post = [1.0 if m < rank else 0.0 for m in middles]
    limit = sft_risk_limit(
        beta=config["B"] / d,
        aspect=d / n,
        aspect_pre=d / (config["n_pre"] or n),
        aspect_test=d / (config["n_test"] or n),
        eta=config["eta"],
        weights=np.diff(ends) / d,
        post=post,
        pre=pre,
        test=[a + b for a, b in zip(pre, post, strict=True)],
    )
    return float(limit) * d if config["B"] != rank else None


def rows(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """One for each run of each configuration, as the CSV has them."""
    for config, result in results:
        limit = exact_limit(config)
        for run in range(config["runs"]):
            row: dict[str, Any] = {name: config[name] for name in SETTINGS} | {"run": run}
            for name in (*QUANTITIES, "converged_loss", "converged_gradient", "off_pattern"):
                row[name] = result[name][run] if name in result else ""
            first, last = (result["training_loss"][epoch][run] for epoch in (0, -1))
            yield row | {"loss_first": first, "loss_last": last, "limit": "" if limit is None else limit}


def centre(results: Sequence[Result]) -> dict[str, Any]:
    """The configuration that all panels share."""
    return dict(experiment.DEFAULTS) | {
        name: _commonest(config[name] for config, _ in results)
        for name in results[0][0]
        if isinstance(results[0][0][name], int) and name not in ROLES
    }
