"""How far the core results move when an assumption of arXiv:2603.01293 fails, measured from the definitions.

A configuration is one result under one departure: the runs are independent estimates of one number.  Nothing
here knows what it should be.  Departures and numbers: ``notes/beyond.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics.device import seeded
from numerics.errors import ArgumentError, check_count, check_rate, shown
from numerics.experiments.prompt_laws import (
    Law,
    NoisyPrompts,
    draw,
    nearest_minimiser,
    population_minimiser,
    supervised_steps,
    weights_after,
)
from numerics.model import assemble
from numerics.prompts import _square_root
from numerics.sft import first_order_operators

# Generic: no two of them commute, and no trace is d.  Roots are symmetric.
SIGMA0 = ((2.0, 0.5, 0.0, 0.2), (0.5, 1.2, 0.3, 0.0), (0.0, 0.3, 0.8, 0.1), (0.2, 0.0, 0.1, 1.5))
POST = ((1.0, -0.3, 0.2, 0.0), (-0.3, 1.6, 0.0, 0.4), (0.2, 0.0, 0.7, 0.1), (0.0, 0.4, 0.1, 1.9))
TEST = ((1.3, 0.2, 0.0, -0.4), (0.2, 0.9, 0.3, 0.0), (0.0, 0.3, 1.7, 0.2), (-0.4, 0.0, 0.2, 1.1))
TASKS = ((1.6, 0.4, 0.0, 0.2), (0.4, 0.5, -0.2, 0.0), (0.0, -0.2, 1.1, 0.3), (0.2, 0.0, 0.3, 0.8))
BLOCK = ((-0.5, 0.1, 0.0, -0.1), (0.2, -0.6, 0.1, 0.0), (0.0, 0.1, -0.4, 0.2), (0.1, 0.0, -0.2, -0.5))
DIRECTION = ((0.3, -0.2, 0.5, 0.1), (0.0, 0.4, 0.2, -0.3), (0.1, 0.2, -0.6, 0.4), (-0.4, 0.1, 0.0, 0.2))
# Blocks of the proportional limit: levels of Σ₀, A, Σ and Λ on two halves.
LEVELS = {"pre": (0.5, 1.0), "post": (0.6, 0.3), "test": (1.5, 1.0), "tasks": (1.5, 0.5)}

DEPARTURES: dict[str, dict[str, Any]] = {
    "none": {},
    "label noise": {"sigma": 1.0},
    "Rademacher entries": {"features": "rademacher"},
    "Student t entries": {"features": "student_entries"},
    "multivariate t": {"features": "student"},
    "autocorrelated": {"features": "autocorrelated", "r": 0.6},
    "tasks N(0, Λ)": {"tasks": True},
    "shared task": {"share": 0.5},
    "two rates": {"rates": (0.3, 0.7)},
}
DEFAULTS: dict[str, Any] = {
    "features": "gaussian",
    "nu": 20,
    "r": 0.0,
    "sigma": 0.0,
    "share": 0.0,
    "tasks": False,  # whether w* ~ N(0, Λ)
    "rates": (0.5, 0.5),  # half of the prompts each
    "n": 6,
    "k": 3,
    "size": 20_000,  # prompts of a run
    "runs": 20,
    "d": 4,
    "beta": 0.6,
}
# Of the proportional limit; size: test prompts of a run.
LARGE = {"d": 100, "n": 200, "k": 0, "size": 200, "runs": 16}
NOISE = 0.5  # σ²/d there
QUICK = {"size": 500, "runs": 8}
QUICK_LARGE = {"d": 20, "n": 40, "size": 100, "runs": 4}
MORE_STEPS = "label noise, k = 3"


def cells(profile: str = "paper", **settings: Any) -> list[dict[str, Any]]:
    """Every result under every departure that it can meet; a setting replaces its default in all of them.

    Raises :class:`ArgumentError` for an unknown profile or setting.
    """
    if profile not in ("paper", "quick"):
        raise ArgumentError(f"profile={shown(profile)}: must be one of paper, quick")
    for name in set(settings) - set(DEFAULTS):
        raise ArgumentError(f"{name}={shown(settings[name])}: must be one of {', '.join(DEFAULTS)}")
    quick, found = profile == "quick", []
    for result in RESULTS:
        base = DEFAULTS | (QUICK if quick else {})
        departures = {k: v for k, v in DEPARTURES.items() if k != "two rates" or result in SUPERVISED}
        if result in ("limit", "linearised"):
            base = DEFAULTS | LARGE | (QUICK_LARGE if quick else {})
            departures["label noise"] = {"sigma": (NOISE * base["d"]) ** 0.5}
            if result == "limit":
                departures[MORE_STEPS] = departures["label noise"] | {"k": 3}
        found += [
            {"result": result, "departure": name} | base | changes | settings
            for name, changes in departures.items()
        ]
    return found


def run(
    config: Mapping[str, Any], seed: int, device: torch.device, checkpoint: Path | None = None
) -> dict[str, list[float]]:
    """``value``: the estimate of each run.  Seconds of work: ``checkpoint`` is not used."""
    if config.get("result") not in RESULTS:
        raise ArgumentError(f"result={shown(config.get('result'))}: must be one of {', '.join(RESULTS)}")
    generator = seeded(seed, device)
    measure = RESULTS[config["result"]]
    for name in ("n", "size", "runs", "d"):
        check_count(name, config[name])
    return {"value": [float(measure(config, generator)) for _ in range(config["runs"])]}


# Prompts --------------------------------------------------------------------------------------------


def law_of(of: Mapping[str, Any]) -> Law:
    """The law of a configuration's prompts."""
    return Law(**{name: of[name] for name in ("features", "nu", "r", "sigma", "share")})


def _matrix(rows: tuple[tuple[float, ...], ...], generator: torch.Generator) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64, device=generator.device)


def _prompts(of: Mapping[str, Any], covariance: Any, generator: torch.Generator, n: int = 0) -> NoisyPrompts:
    root = _square_root(_matrix(covariance, generator))
    tasks = _square_root(_matrix(TASKS, generator)) if of["tasks"] else None
    return draw(law_of(of), root, n or of["n"], of["size"], generator, tasks)


def _etas(of: Mapping[str, Any], size: int, generator: torch.Generator) -> Tensor:
    """A rate for each of ``size`` prompts, in turn."""
    first, second = (check_rate("rates", one) for one in of["rates"])
    odd = torch.arange(size, device=generator.device) % 2 == 1
    return torch.where(odd, second, first).double()


# Results --------------------------------------------------------------------------------------------


def _one_step(of: Mapping[str, Any], covariance: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Supervision of the first step with the whole of w*: pretraining, and outcome supervision at k = 1."""
    drawn = _prompts(of, covariance, generator)
    return supervised_steps(drawn, torch.ones_like(drawn.noise[:, 0]), 0)


def pretrained(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """tr Ṽ at the minimiser of the pretraining loss, Σ₀."""
    return population_minimiser(*_one_step(of, SIGMA0, generator)).trace()


def outcome_one_step(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """tr Ṽ at the minimiser of the outcome loss at k = 1, A."""
    return population_minimiser(*_one_step(of, POST, generator)).trace()


def curvature(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """λ_max of the Hessian of the outcome loss at k = 1."""
    seen = _one_step(of, POST, generator)[0].flatten(0, -2)
    return torch.linalg.eigvalsh(seen.mT @ seen / len(seen))[-1]


def _supervised(of: Mapping[str, Any], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    drawn = _prompts(of, POST, generator)
    return supervised_steps(drawn, _etas(of, of["size"], generator), of["k"])


def population(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """tr Ṽ at the minimiser of the supervised loss on many prompts, W̃ = I."""
    return population_minimiser(*_supervised(of, generator)).trace()


def threshold(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """2/λ_max of the Hessian of the supervised loss in Ṽ."""
    seen = _supervised(of, generator)[0]
    columns = seen.flatten(0, -2)
    return 2 / torch.linalg.eigvalsh(columns.mT @ columns / len(seen))[-1]


def closed_form(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """Median over 50 fine-tunings on 2 prompts of the distance of the minimiser nearest to −I from (4.1).

    ‖Ṽ − Ṽ_*‖/‖Ṽ_*‖ with Ṽ_* from Ω and the noiseless Φ at the mean rate.
    """
    found = []
    eta = float(np.mean(of["rates"]))
    start = -torch.eye(of["d"], dtype=torch.float64, device=generator.device)
    for _ in range(50):
        drawn = _prompts({**of, "size": 2}, POST, generator)
        V = nearest_minimiser(*supervised_steps(drawn, _etas(of, 2, generator), of["k"]), start)
        Omega = drawn.prompts.w_star.mT
        Phi = (drawn.prompts.S @ drawn.prompts.w_star[..., None])[..., 0].mT
        stated = start - (eta * Omega + start @ Phi) @ torch.linalg.pinv(Phi)
        found.append(torch.linalg.matrix_norm(V - stated) / torch.linalg.matrix_norm(stated))
    return torch.stack(found).median()


def _blocks(columns: Any, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    V = columns if isinstance(columns, Tensor) else _matrix(columns, generator)
    return assemble(V, torch.eye(len(V), dtype=torch.float64, device=generator.device))


def risk(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """E‖ŵ_1 − w*‖² at a fixed Ṽ, Σ."""
    return _mean_error(of, _blocks(BLOCK, generator), _prompts(of, TEST, generator), 1)


def risk_long(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """The same at prompts of 100 columns, where one term is to dominate."""
    few = {**of, "size": max(1, of["size"] // 10)}
    return _mean_error(of, _blocks(BLOCK, generator), _prompts(few, TEST, generator, 100), 1)


def _mean_error(of: Mapping[str, Any], blocks: tuple[Tensor, Tensor], drawn: NoisyPrompts, k: int) -> Tensor:
    error = weights_after(*blocks, drawn, k) - drawn.prompts.w_star
    return error.square().sum(-1).mean()


def gradient(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """The slope of the outcome loss at k = 2 along a fixed direction, from a fixed Ṽ."""
    V = _matrix(BLOCK, generator).requires_grad_()
    loss = _mean_error(of, _blocks(V, generator), _prompts(of, POST, generator), 2) / 2
    (slope,) = torch.autograd.grad(loss, V)
    return (slope * _matrix(DIRECTION, generator)).sum()


def outcome_two_steps(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """c at the least outcome loss at k = 2 among Ṽ = −cI, A = I: a quartic in c by five values."""
    d = of["d"]
    eye = torch.eye(d, dtype=torch.float64, device=generator.device)
    drawn = _prompts(of, tuple(map(tuple, eye.tolist())), generator)
    at = np.linspace(0.0, 1.0, 5)
    values = [float(_mean_error(of, _blocks(-c * eye, generator), drawn, 2)) for c in at]
    slope = np.polynomial.Polynomial.fit(at, values, 4).convert().deriv()
    roots = [float(x.real) for x in slope.roots() if abs(x.imag) < 1e-9]
    return torch.tensor(min(roots, key=slope.integ()))


# The proportional limit -----------------------------------------------------------------------------


def _fine_tuned(of: Mapping[str, Any], generator: torch.Generator, linear: bool) -> Tensor:
    """(1/d) E‖ŵ_1 − w*‖² of (4.1) on B = βd prompts, or of its first-order parts.

    Pretraining is as in the paper, at prompts of the same length.
    """
    d, n = of["d"], of["n"]
    pre, post, test, tasks = (
        torch.tensor(LEVELS[name], dtype=torch.float64, device=generator.device).repeat_interleave(d // 2)
        for name in ("pre", "post", "test", "tasks")
    )
    task_root = torch.diag(tasks.sqrt()) if of["tasks"] else None
    size = round(of["beta"] * d)
    trained = draw(law_of(of), torch.diag(post.sqrt()), n, size, generator, task_root)
    seen, wanted = supervised_steps(trained, _etas(of, size, generator), of["k"])
    inverse = 1 / ((1 + 1 / n) * pre + pre.sum() / n)
    if linear:
        # Φ + Ξ is what the first step multiplies, with its sign
        V = sum(
            first_order_operators(
                trained.prompts.w_star.mT, -seen[:, 0].mT, post, inverse, float(np.mean(of["rates"]))
            )
        )
    else:
        V = nearest_minimiser(seen, wanted, -torch.diag(inverse))
    tested = draw(law_of(of), torch.diag(test.sqrt()), n, of["size"], generator, task_root)
    return _mean_error(of, _blocks(torch.as_tensor(V), generator), tested, 1) / d


def limit(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """The post-test error of fine-tuning over d, at large d."""
    return _fine_tuned(of, generator, False)


def linearised(of: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    """The same for V_S + V_N of Appendix B."""
    return _fine_tuned(of, generator, True)


RESULTS: dict[str, Callable[[Mapping[str, Any], torch.Generator], Tensor]] = {
    "pretrained": pretrained,
    "closed_form": closed_form,
    "population": population,
    "risk": risk,
    "risk_long": risk_long,
    "outcome_one_step": outcome_one_step,
    "outcome_two_steps": outcome_two_steps,
    "gradient": gradient,
    "curvature": curvature,
    "threshold": threshold,
    "limit": limit,
    "linearised": linearised,
}
SUPERVISED = ("closed_form", "population", "threshold")
