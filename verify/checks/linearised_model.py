"""The error of the full model on test prompts, after fine-tuning on a training set or at V_S of one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from numerics.model import assemble, embed, last_column
from numerics.prompts import Prompts, sample_prompts
from verify.checks.linearised import Training, batch
from verify.checks.points import tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import rounding_test

Array = NDArray[np.float64]


def _found(prompts: Prompts, V: Tensor, n: int) -> Tensor:
    """ŵ_1 of each prompt at Ṽ = V (size, d, d), W̃ = I, (size, d)."""
    d = V.shape[-1]
    weights = assemble(V, torch.eye(d).double().expand_as(V))
    return last_column(embed(prompts.X, prompts.w_star), *weights, n)[:, d + 1 : 2 * d + 1]


def model_error(
    prediction: Callable[[Tensor, Training], Array],
    of: Training,
    n_test: int,
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """‖ŵ_1 − w*‖²/d of the full model at Ṽ_* of a fresh training set, on a fresh test prompt, against
    ``prediction``(Ṽ_*, setting) for that training set, in units of its mean."""

    def misses(size: int, generator: torch.Generator) -> tuple[Tensor, Array]:
        V = batch(of, size, generator).minimiser()
        prompts = sample_prompts(tensor(of.Sigma), n_test, size, generator)
        miss = _found(prompts, V, n_test) - prompts.w_star
        return V, miss.square().sum(-1).numpy() / of.d

    scale = float(misses(5000, seeded(seed + 1, "cpu"))[1].mean())
    generator = seeded(seed, "cpu")

    def draw(size: int) -> Array:
        V, found = misses(size, generator)
        return (found - prediction(V, of))[:, None]

    regime = f"d={of.d}, B={of.Omega.shape[1]}, n={of.n}, test prompts of {n_test}"
    delta = 4e-2 * min(1.0, 1.5 / profile.delta_factor)  # a term of order 1/n is a tenth of the error
    return sampled(draw, np.zeros(1), scale, delta, regime, profile, form)


def model_distance(
    prediction: Callable[[Array, Array], float], of: Training, n_test: int, seed: int, form: str = "printed"
) -> Evidence:
    """‖ŵ_1 − w*‖²/d of the full model at V_S of ``of`` against ``prediction``(ŵ_1, w*), columns (d, 1), on
    each of eight prompts: a difference, its square and their sum, d + 4 roundings."""
    prompts = sample_prompts(tensor(of.Sigma), n_test, 8, seeded(seed, "cpu"))
    found = _found(prompts, tensor(of.parts()[0]).expand(8, of.d, of.d), n_test)
    measured = (found - prompts.w_star).square().mean(-1).numpy()
    pairs = zip(found.numpy(), prompts.w_star.numpy(), strict=True)
    expected = [prediction(one[:, None], other[:, None]) for one, other in pairs]
    outcome = rounding_test(measured, expected, float(measured.max()), of.d + 4)
    text = f"d={of.d}, eight test prompts of {n_test}"
    return Evidence("monte-carlo", outcome.outcome, outcome.measured, text, outcome.delta, 0.0, form)
