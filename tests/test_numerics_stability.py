"""The largest stable step, and a run that diverges: an error that says where, never NaN."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from numerics.curvature import outcome_loss_of
from numerics.device import seeded
from numerics.errors import ArgumentError, Diverged
from numerics.losses import sft_loss
from numerics.model import assemble
from numerics.prompts import sample_prompts
from numerics.stability import Bracket, first_failure, largest_stable_step, supervised_loss_of
from numerics.training import gradient_descent

LEVELS = torch.tensor([[3.0, 0.5], [1.0, 0.1]]).double()
START = torch.tensor([[0.2, -1.0], [0.7, 0.4]]).double()
PROMPTS = sample_prompts(torch.tensor([[1.0, 0.3], [0.3, 0.5]]).double(), 4, 5, seeded(1, "cpu"))


def quadratic(V: Tensor) -> Tensor:
    """½ Σ λ_ij V_ij²: descent is stable up to 2/3, two over the largest λ."""
    return (LEVELS * V.square()).sum(dim=(-2, -1)) / 2


def power(V: Tensor) -> Tensor:
    """½ V⁶ of one entry: from V the limit is 2/(3V⁴)."""
    return V.square().sum(dim=(-2, -1)) ** 3 / 2


def test_limit_of_a_quadratic() -> None:
    for guess in (0.6, 1e-3, 200.0):
        found = largest_stable_step(quadratic, START, guess, steps=300)
        assert found.unstable <= 1.01 * found.stable
        # 300 steps at 1 + ε times the limit: e^{1200 ε}/… beyond the start, so ε = 0.01 is seen.
        assert found.stable <= 2 / 3 * 1.01
        assert found.unstable >= 2 / 3


@pytest.mark.parametrize("at", [0.3, -2.0])
def test_limit_of_a_power(at: float) -> None:
    found = largest_stable_step(power, torch.tensor([[at]]).double(), 1.0, steps=100)
    assert found.stable <= 2 / (3 * at**4) * (1 + 1e-9)
    assert found.unstable >= 2 / (3 * at**4) * (1 - 1e-9)
    assert found.stable < found.middle < found.unstable


def test_first_failure_is_that_of_single_runs() -> None:
    loss = outcome_loss_of(PROMPTS.S, PROMPTS.w_star, 2)
    V = torch.diag(torch.tensor([-0.3, -0.5]).double())
    sizes = torch.logspace(-2, 1, 9, dtype=torch.float64)
    together = first_failure(loss, V, sizes, 60, 1e3)
    alone = [first_failure(loss, V, size[None], 60, 1e3) for size in sizes]
    assert together == alone.index(0)
    assert 0 < together < len(sizes)


def test_a_run_that_ends_above_its_start_fails() -> None:
    # One step of 0.7 takes 3V to −1.1 V: above the start, far below any growth.
    V = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).double()
    assert first_failure(quadratic, V, torch.tensor([0.6, 0.7]).double(), 1, 1e3) == 1


def test_supervised_loss_is_that_of_the_full_model() -> None:
    V = torch.tensor([[-0.3, 0.1], [0.05, -0.4]]).double()
    for k in (0, 1, 3):
        full = sft_loss(*assemble(V, torch.eye(2).double()), PROMPTS, 0.3, k)
        loss = supervised_loss_of(PROMPTS.S, PROMPTS.w_star, 0.3, k)
        # A few hundred roundings of numbers of order one.
        assert float((loss(V) / full - 1).abs()) < 1e-13
        assert torch.equal(loss(torch.stack([V, 2 * V]))[0], loss(torch.stack([V, V]))[1])


# A run that diverges --------------------------------------------------------------------------------


def descended(step_size: float, steps: int = 10_000, **more: float) -> list[Tensor]:
    return gradient_descent(lambda p: quadratic(p[0]), [START], step_size, steps, **more)


def test_divergence_says_where_and_what_would_do() -> None:
    with pytest.raises(
        Diverged, match=r"^diverged at step \d+, step size 0\.8, estimated limit 0\.667$"
    ) as caught:
        descended(0.8)
    # The loss of the steepest entry grows by (0.8·3 − 1)² = 1.96 a step, from 0.06 of 0.62: 1e12 in 45 steps.
    assert caught.value.step == pytest.approx(44, abs=2)
    assert caught.value.step_size == 0.8
    assert caught.value.limit == pytest.approx(2 / 3, rel=1e-3)


def test_below_the_limit_nothing_is_raised() -> None:
    (end,) = descended(0.66, 400)
    assert float(end.abs().max()) < float(START.abs().max())


def test_growth_is_an_argument() -> None:
    with pytest.raises(Diverged) as caught:
        descended(0.8, growth=10.0)
    assert caught.value.step < 10
    descended(0.8, 20, growth=math.inf)


def test_overflow_within_a_step() -> None:
    """A polynomial of high degree passes from large to infinite at once."""
    with pytest.raises(Diverged, match="diverged at step"):
        gradient_descent(lambda p: power(p[0]), [torch.tensor([[1e60]]).double()], 1.0, 5, growth=math.inf)
    with pytest.raises(Diverged, match=r"estimated limit unknown$") as caught:
        gradient_descent(lambda p: p[0].sum() * torch.inf, [START], 1.0, 5)
    assert caught.value.limit is None
    assert "nan" not in str(caught.value)


def test_one_replica_that_diverges_is_enough() -> None:
    starts = torch.stack([START * 0, START])
    with pytest.raises(Diverged):
        gradient_descent(lambda p: quadratic(p[0]), [starts], 0.8, 1000)


def test_rounding_at_the_minimum_is_no_divergence() -> None:
    goal = torch.full((2, 2), 1 / 3).double()
    target = 3 * goal - 2 / 3  # goal up to a rounding: a loss of 1e-32 that fluctuates
    gradient_descent(lambda p: (p[0] - target).square().sum(), [goal], 0.3, 200)


def test_the_outcome_loss_diverges_with_a_clear_end() -> None:
    loss = outcome_loss_of(PROMPTS.S, PROMPTS.w_star, 4)
    V = torch.diag(torch.tensor([-4.0, -5.0]).double())
    seen: list[Tensor] = []
    with pytest.raises(Diverged):
        gradient_descent(lambda p: loss(p[0]), [V], 1.0, 50, lambda _, p: seen.append(p[0]))
    assert all(bool(torch.isfinite(p).all()) for p in seen)


BAD: dict[str, Callable[[], object]] = {
    "growth": lambda: descended(0.1, growth=1.0),
    "growth NaN": lambda: descended(0.1, growth=math.nan),
    "growth of the search": lambda: largest_stable_step(quadratic, START, 1.0, growth=0.5),
    "guess = 0": lambda: largest_stable_step(quadratic, START, 0.0),
    "guess too far": lambda: largest_stable_step(quadratic, START, 1e9),
    "guess too far below": lambda: largest_stable_step(quadratic, START, 1e-9),
    "resolution": lambda: largest_stable_step(quadratic, START, 1.0, resolution=-0.1),
    "steps": lambda: largest_stable_step(quadratic, START, 1.0, steps=0),
    "start": lambda: largest_stable_step(quadratic, START[0], 1.0),
    "eta": lambda: supervised_loss_of(PROMPTS.S, PROMPTS.w_star, 0.0, 1),
    "k": lambda: supervised_loss_of(PROMPTS.S, PROMPTS.w_star, 0.5, -1),
    "S": lambda: supervised_loss_of(PROMPTS.S[:2], PROMPTS.w_star, 0.5, 1),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_argument_is_named(case: str) -> None:
    with pytest.raises(ArgumentError, match=rf"^{case.split()[0]}\b[^\n]*: must [^\n]*$"):
        BAD[case]()


def test_bracket_has_its_middle() -> None:
    assert Bracket(1.0, 4.0).middle == 2.0
