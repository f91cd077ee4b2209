"""Prompts of other laws: their moments, their seeds, and the experiment on them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from numerics.device import seeded
from numerics.errors import ArgumentError
from numerics.experiments import beyond
from numerics.experiments.prompt_laws import (
    FEATURES,
    Law,
    draw,
    nearest_minimiser,
    path_steps,
    population_minimiser,
    supervised_steps,
    weights_after,
    with_noise,
)
from numerics.model import assemble, chain_of_thought, embed, predicted_weights
from numerics.sft import sft_minimiser

CPU = torch.device("cpu")
ROOT = torch.tensor([[1.0, 0.0, 0.0], [0.5, 1.2, 0.0], [-0.3, 0.4, 0.8]], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)


def of(features: str = "gaussian", size: int = 5, n: int = 4, seed: int = 3, **more: Any) -> Any:
    return draw(Law(features, **more), ROOT, n, size, seeded(seed, "cpu"))


@pytest.mark.parametrize("features", FEATURES)
def test_mean_and_covariance(features: str) -> None:
    """Of 200 000 columns: 6 standard errors of a product of entries are below 3 %."""
    X = of(features, 50_000, r=0.6 if features == "autocorrelated" else 0.0).prompts.X
    assert X.mean((0, 2)).abs().max() < 0.03
    assert (torch.einsum("bin,bjn->ij", X, X) / 200_000 - ROOT @ ROOT.mT).abs().max() < 0.03 * 2.5


def test_entries_and_radii() -> None:
    """Fourth moments: 1, 3 + 6/16, 3ϑ; 3 standard errors of x⁴ are about 3 % here."""
    expected = {"rademacher": 1.0, "student_entries": 3 + 6 / 16, "student": 3 * 18 / 16, "two_radii": 4.5}
    for features, fourth in expected.items():
        z = draw(Law(features), EYE, 4, 60_000, seeded(1, "cpu")).prompts.X[:, 1]
        assert float(z.pow(4).mean()) == pytest.approx(fourth, rel=0.05)
    assert set(of("rademacher").prompts.X[:, 0].abs().unique().tolist()) == {1.0}


def test_correlation_falls_like_a_power() -> None:
    X = draw(Law("autocorrelated", r=-0.6), EYE, 4, 100_000, seeded(1, "cpu")).prompts.X
    found = [float((X[:, 0, 0] * X[:, 0, lag]).mean()) for lag in range(4)]
    assert found == pytest.approx([1, -0.6, 0.36, -0.216], abs=0.03)
    assert abs(float((X[:, 0, 0] * X[:, 1, 1]).mean())) < 0.03


def test_tasks_and_noise() -> None:
    root = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    drawn = draw(Law(sigma=0.5), ROOT, 2, 100_000, seeded(1, "cpu"), root)
    w = drawn.prompts.w_star
    assert (w.mT @ w / len(w) - root @ root.mT).abs().max() < 0.12
    assert float(drawn.noise.square().mean()) == pytest.approx(0.25, rel=0.02)
    shared = draw(Law(share=0.4), ROOT, 2, 100_000, seeded(1, "cpu")).prompts.w_star
    expected = 0.6 * EYE + 0.4 * torch.ones(3, 3)
    assert (shared.mT @ shared / len(shared) - expected).abs().max() < 0.03


def test_same_seed_same_prompts() -> None:
    for features in FEATURES:
        one, two, other = (of(features, seed=s, sigma=1.0) for s in (4, 4, 5))
        assert torch.equal(one.prompts.X, two.prompts.X)
        assert torch.equal(one.noise, two.noise)
        assert not torch.equal(one.noise, other.noise)


def test_without_noise_it_is_the_model() -> None:
    drawn = of()
    V, W = assemble(-0.3 * EYE + 0.1, EYE)
    plain = predicted_weights(chain_of_thought(V, W, drawn.prompts.X, drawn.prompts.w_star, 3), 4)[..., -1, :]
    assert torch.allclose(weights_after(V, W, drawn, 3), plain, rtol=1e-12)


def test_noise_is_in_the_labels_alone() -> None:
    drawn = of(sigma=1.0)
    Z = embed(drawn.prompts.X, drawn.prompts.w_star)
    change = with_noise(Z, drawn.noise) - Z
    assert torch.allclose(change[:, 3, :4], drawn.noise, atol=1e-14)
    change[:, 3, :4] = 0
    assert float(change.abs().max()) == 0


def test_supervised_steps_are_those_of_their_path() -> None:
    drawn, k, eta = of(sigma=0.7), 2, 0.3
    seen, wanted = supervised_steps(drawn, torch.full((5,), eta, dtype=torch.float64), k)
    levels = torch.tensor([(1 - eta) ** i for i in range(k + 2)], dtype=torch.float64)
    others = path_steps(drawn, levels)
    assert torch.allclose(seen, others[0], atol=1e-12)
    assert torch.allclose(wanted, others[1], atol=1e-12)


def test_two_rates_keep_prompt_and_target_together() -> None:
    drawn = of()
    etas = torch.tensor([0.3, 0.7, 0.3, 0.7, 0.7], dtype=torch.float64)
    seen, wanted = supervised_steps(drawn, etas, 0)
    column = torch.einsum("bij,bj->bi", drawn.prompts.S, drawn.prompts.w_star)
    order = [0, 2, 1, 3, 4]  # by rate
    assert torch.allclose(seen[:, 0], -column[order], atol=1e-12)
    assert torch.allclose(wanted[:, 0], (etas[:, None] * drawn.prompts.w_star)[order], atol=1e-12)


def test_minimisers_without_noise_are_the_closed_form() -> None:
    for size in (2, 6):
        drawn = of(size=size)
        Omega = drawn.prompts.w_star.mT
        Phi = torch.einsum("bij,bj->ib", drawn.prompts.S, drawn.prompts.w_star)
        stated = sft_minimiser(Omega, Phi, EYE, 0.4)
        steps = supervised_steps(drawn, torch.full((size,), 0.4, dtype=torch.float64), 3)
        assert torch.allclose(nearest_minimiser(*steps, -EYE), stated, atol=1e-9)
        if size == 6:
            assert torch.allclose(population_minimiser(*steps), stated, atol=1e-9)


def test_cells_are_run_from_their_seed() -> None:
    cells = beyond.cells("quick", size=40, runs=2)
    assert {each["result"] for each in cells} == set(beyond.RESULTS)
    small = [each for each in cells if each["result"] not in ("limit", "linearised", "closed_form")]
    for each in small[::7]:
        first, again, other = (beyond.run(each, seed, CPU)["value"] for seed in (1, 1, 2))
        assert first == again != other
        assert len(first) == 2
        assert all(math.isfinite(x) for x in first)


def test_the_limit_runs_at_small_sizes() -> None:
    cells = beyond.cells("quick", d=8, n=16, runs=1, size=20)
    for each in (c for c in cells if c["result"] in ("limit", "linearised")):
        (value,) = beyond.run(each, 1, CPU)["value"]
        assert math.isfinite(value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Law("uniform"), "features"),
        (lambda: Law(nu=4.0), "nu"),
        (lambda: Law(r=1.0), "r="),
        (lambda: Law(sigma=-1.0), "sigma"),
        (lambda: Law(share=1.5), "share"),
        (lambda: of("student", nu=4.5), "nu"),
        (lambda: of(size=0), "size"),
        (lambda: beyond.cells("slow"), "profile"),
        (lambda: beyond.cells(depth=3), "depth"),
        (lambda: beyond.run({"result": "nothing"}, 1, CPU), "result"),
        (lambda: beyond.run({**beyond.DEFAULTS, "result": "risk", "n": 0}, 1, CPU), "n="),
    ],
)
def test_bad_input(make: Any, told: str) -> None:
    with pytest.raises(ArgumentError, match=told):
        make()
