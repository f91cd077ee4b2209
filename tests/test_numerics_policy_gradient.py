"""Policy gradients: estimators, log-probabilities and training against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from numerics.device import seeded
from numerics.errors import ArgumentError
from numerics.losses import outcome_loss
from numerics.model import assemble, chain_of_thought, predicted_weights
from numerics.policy_gradient import (
    Estimator,
    log_probability,
    policy_mean,
    reward,
    sample_actions,
    surrogate,
    train,
)
from numerics.prompts import Prompts, sample_prompts
from theory import policy_gradient_value as value
from theory.errors import ArgumentError as TheoryError
from verify.output import policy_gradient_figure

EYE = torch.eye(3, dtype=torch.float64)


def setting(size=4, seed=0):
    generator = seeded(seed, "cpu")
    prompts = sample_prompts(
        torch.diag(torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)), 6, size, generator
    )
    V = -0.5 * EYE + 0.1 * torch.randn(3, 3, dtype=torch.float64, generator=generator)
    return prompts, V, generator


def test_log_probability_is_the_gaussian_s():
    actions = torch.tensor([[[0.5, -1.0], [0.0, 2.0]]], dtype=torch.float64)
    mean, sigma = torch.tensor([[0.25, 1.0]], dtype=torch.float64), 0.5
    squares = (actions - mean.unsqueeze(1)).square().sum(-1)
    wanted = -squares / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
    assert torch.allclose(log_probability(actions, mean, sigma), wanted, rtol=1e-14)


def test_actions_are_around_the_mean():
    mean = torch.tensor([[1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    actions = sample_actions(mean, 0.3, 100_000, seeded(1, "cpu"))
    assert actions.shape == (1, 100_000, 2)
    assert not actions.requires_grad
    # Six standard errors.
    assert torch.allclose(actions.mean(1), mean.detach(), atol=6 * 0.3 / 100_000**0.5)
    assert torch.allclose(actions.std(1), torch.full((1, 2), 0.3, dtype=torch.float64), rtol=6 / 200_000**0.5)
    again = sample_actions(mean, 0.3, 100_000, seeded(1, "cpu"))
    assert torch.equal(actions, again)


def test_policy_is_around_the_full_model_s_weights():
    prompts, V, _ = setting()
    full = chain_of_thought(*assemble(V, EYE), prompts.X, prompts.w_star, 3)
    wanted = predicted_weights(full, prompts.n)[..., -1, :]
    assert torch.allclose(policy_mean(V, prompts, 3), wanted, rtol=1e-12)


def test_reward_is_minus_the_outcome_loss():
    prompts, V, _ = setting()
    rewards = reward(policy_mean(V, prompts, 2).unsqueeze(1), prompts.w_star)
    assert float(-rewards.mean()) == pytest.approx(
        float(outcome_loss(*assemble(V, EYE), prompts, 2)), rel=1e-12
    )


def test_advantages():
    rewards = torch.tensor([[1.0, 2.0, 6.0]], dtype=torch.float64)

    def of(kind):
        return Estimator(kind, 3).advantages(rewards)[0].tolist()

    assert of("none") == [1, 2, 6]
    assert of(2.5) == [-1.5, -0.5, 3.5]
    assert of("group") == [-2, -1, 3]
    assert of("leave-one-out") == pytest.approx([1 - 4, 2 - 3.5, 6 - 1.5])
    deviation = ((4 + 1 + 9) / 3) ** 0.5
    assert of("normalised") == pytest.approx([-2 / deviation, -1 / deviation, 3 / deviation])


def test_surrogate_has_the_score_function_s_gradient():
    mean = torch.tensor([[0.4, -0.1]], dtype=torch.float64, requires_grad=True)
    star = torch.zeros(1, 2, dtype=torch.float64)
    (slope,) = torch.autograd.grad(
        surrogate(mean, star, 0.5, Estimator(-1.0, 4), seeded(3, "cpu")).sum(), mean
    )
    actions = sample_actions(mean, 0.5, 4, seeded(3, "cpu"))
    weights = reward(actions, star) + 1
    wanted = (weights.unsqueeze(-1) * (actions - mean.detach().unsqueeze(1)) / 0.25).mean(1)
    assert torch.allclose(slope, wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", ["group", "leave-one-out", "normalised", -0.5])
def test_training_lowers_the_loss_and_repeats(kind):
    prompts, _, _ = setting(size=16)
    start = torch.zeros(2, 3, 3, dtype=torch.float64)  # two runs

    def trained():
        generator = seeded(5, "cpu")
        both = type(prompts)(prompts.X.expand(2, -1, -1, -1), prompts.w_star.expand(2, -1, -1))
        return train(start, lambda: both, 2, 0.2, Estimator(kind, 4), generator, 0.01, 150)

    found = trained()
    assert torch.equal(found, trained())
    assert not torch.equal(found[0], found[1])
    before = float(outcome_loss(*assemble(start[0], EYE), prompts, 2))
    for V in found:
        assert float(outcome_loss(*assemble(V, EYE), prompts, 2)) < before / 2


def test_bad_input():
    with pytest.raises(ArgumentError, match="kind='mean'"):
        Estimator("mean", 4)
    with pytest.raises(ArgumentError, match="kind=nan"):
        Estimator(math.nan)
    with pytest.raises(ArgumentError, match="size=1"):
        Estimator("group", 1)
    with pytest.raises(ArgumentError, match="size=0"):
        Estimator("none", 0)
    with pytest.raises(ArgumentError, match="rewards has shape"):
        Estimator("group", 3).advantages(torch.zeros(2, 4, dtype=torch.float64))
    mean = torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(ArgumentError, match="sigma=0"):
        sample_actions(mean, 0.0, 2, seeded(0, "cpu"))
    with pytest.raises(ArgumentError, match="actions has shape"):
        log_probability(mean[:, :2], mean, 1.0)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_terms_of_the_theory_are_torch_s(k):
    prompts, V, _ = setting()
    terms = value.prompt_terms(V.numpy(), prompts.S.numpy(), prompts.w_star.numpy(), k)
    for j in range(prompts.size):
        one = Prompts(prompts.X[j : j + 1], prompts.w_star[j : j + 1])
        J = torch.autograd.functional.jacobian(lambda block, at=one: policy_mean(block, at, k)[0], V).reshape(
            3, 9
        )
        error = policy_mean(V, one, k)[0] - one.w_star[0]
        assert float(terms.error_squared[j]) == pytest.approx(float(error.square().sum()), rel=1e-12)
        assert float(terms.jacobian_squared[j]) == pytest.approx(float(J.square().sum()), rel=1e-12)
        assert torch.allclose(torch.as_tensor(terms.gradients[j]).reshape(-1), J.mT @ error, rtol=1e-10)


def test_rewards_per_outcome():
    prompts, V, _ = setting()
    V, S, w = V.numpy(), prompts.S.numpy(), prompts.w_star.numpy()
    terms = value.prompt_terms(V, S, w, 2)
    spread = value.group_spread(terms, 0.3, 4)
    assert value.rewards_per_outcome(terms, spread, 4) > 4
    # One prompt: its outcome gives the gradient exactly, no number of rewards does.
    alone = value.prompt_terms(V, S[:1], w[:1], 2)
    assert value.rewards_per_outcome(alone, value.group_spread(alone, 0.3, 4), 4) == math.inf
    with pytest.raises(TheoryError, match="size=1"):
        value.group_spread(terms, 0.3, 1)
    with pytest.raises(TheoryError, match="sigma=0"):
        value.constant_spread(terms, 0, 0.0)
    with pytest.raises(TheoryError, match="w_star has shape"):
        value.prompt_terms(V, S, w[:, :2], 2)
    with pytest.raises(TheoryError, match="k=0"):
        value.prompt_terms(V, S, w, 0)


def test_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(policy_gradient_figure, "STEPS", 3)
    monkeypatch.setattr(policy_gradient_figure, "TEST", 50)
    policy_gradient_figure.figure(tmp_path / "small.png")
    assert (tmp_path / "small.png").stat().st_size > 10_000
