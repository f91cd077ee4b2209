"""The functions of ``numerics/`` for the fuzz tests: good arguments, and which check a result must pass."""

from __future__ import annotations

import fuzzed_tensors as make
import torch
from fuzzed import Fuzzed

from numerics import (
    curvature,
    curves,
    losses,
    model,
    outcome_fit,
    policy_gradient,
    pretraining,
    prompts,
    reduced,
    revealed,
    sampling,
    sft,
    stability,
    training,
)
from numerics.errors import Diverged

FUNCTIONS: dict[str, Fuzzed] = {
    "curvature.outcome_errors": make.case(
        curvature.outcome_errors, make.outcome, make.matches(make.numpy_rollout)
    ),
    "curvature.curvature": make.case(
        curvature.curvature,
        lambda rng: {
            "loss": make.quadratic,
            "V_block": make.tensor(rng, (d := int(rng.integers(1, 3))), d),
            "tolerance": 1e-6,
        },
        fixed=frozenset({"loss"}),
    ),
    "curves.CurveSetting": make.case(curves.CurveSetting, make.curve_setting),
    "losses.sft_residuals": make.case(losses.sft_residuals, make.extended(make.full, eta=0.5, k=2)),
    "losses.sft_loss": make.case(losses.sft_loss, make.extended(make.full, eta=0.5, k=2)),
    "losses.outcome_loss": make.case(losses.outcome_loss, make.extended(make.full, k=2)),
    "losses.pretraining_loss": make.case(losses.pretraining_loss, make.full),
    "model.lsa": make.case(model.lsa, make.layer, make.matches(make.numpy_layer)),
    "model.last_column": make.case(
        model.last_column, make.layer, make.matches(lambda **of: make.numpy_layer(**of)[..., -1])
    ),
    "model.linear_attention": make.case(
        model.linear_attention,
        lambda rng: {
            "Z": make.tensor(rng, 4, 3),
            "W_K": make.tensor(rng, 2, 4),
            "W_Q": make.tensor(rng, 2, 4),
            "W_V": make.tensor(rng, 3, 4),
            "W_P": make.tensor(rng, 4, 3),
            "scale": 2.0,
        },
    ),
    "model.embed": make.case(model.embed, make.task),
    "model.assemble": make.case(
        model.assemble,
        lambda rng: {
            "V_block": make.tensor(rng, (d := make.size(rng)), d),
            "W_block": make.tensor(rng, d, d),
            "label_entry": -1.0,
        },
    ),
    "model.chain_of_thought": make.case(
        model.chain_of_thought,
        lambda rng: {
            "V": make.tensor(rng, 6, 6),
            "W": make.tensor(rng, 6, 6),
            "X": make.tensor(rng, 2, 3),
            "w_star": make.tensor(rng, 2),
            "k": 2,
        },
    ),
    "model.predicted_weights": make.case(
        model.predicted_weights, lambda rng: {"Z": make.tensor(rng, 6, 5), "n": 3}
    ),
    "model.teacher_sequence": make.case(model.teacher_sequence, make.extended(make.task, eta=0.5, i=2)),
    "outcome_fit.draw_targets": make.case(
        outcome_fit.draw_targets,
        lambda rng: {
            "levels": torch.tensor([1.0, 0.5]).double(),
            "d": 3,
            "n": 4,
            "size": 2,
            "generator": make.generator(rng),
        },
    ),
    "outcome_fit.fit_loss": make.case(outcome_fit.fit_loss, make.fit),
    "outcome_fit.first_curvature": make.case(outcome_fit.first_curvature, make.fit),
    "outcome_fit.descend": make.case(
        outcome_fit.descend, make.extended(make.fit, keep=(0, 2), step_size=0.5), raises=(Diverged,)
    ),
    "outcome_fit.minimise": make.case(
        outcome_fit.minimise, make.extended(make.fit, gradient=1e-4, iterations=20)
    ),
    "policy_gradient.sample_actions": make.case(
        policy_gradient.sample_actions, make.extended(make.policy, size=3, generator=make.generator)
    ),
    "policy_gradient.log_probability": make.case(
        policy_gradient.log_probability,
        lambda rng: {
            **(of := make.policy(rng)),
            "actions": of["mean"].unsqueeze(-2).expand(-1, 3, -1).clone() + 0.1,
        },
    ),
    "policy_gradient.reward": make.case(
        policy_gradient.reward,
        lambda rng: {
            "actions": make.tensor(rng, 2, 3, (d := make.size(rng))),
            "w_star": make.tensor(rng, 2, d),
        },
    ),
    "policy_gradient.surrogate": make.case(policy_gradient.surrogate, make.estimated),
    "policy_gradient.policy_mean": make.case(
        policy_gradient.policy_mean,
        lambda rng: {
            "V_block": make.tensor(rng, (d := make.size(rng)), d),
            "prompts": make.some_prompts(rng, d),
            "k": 2,
        },
    ),
    "prompts.Prompts": make.case(prompts.Prompts, make.task),
    "prompts.sample_prompts": make.case(
        prompts.sample_prompts,
        lambda rng: {
            "covariance": make.covariance(rng, make.size(rng)),
            "n": 3,
            "size": 2,
            "generator": make.generator(rng),
        },
    ),
    "pretraining.pretrain": make.case(
        pretraining.pretrain,
        lambda rng: {
            "covariance": make.covariance(rng, 2),
            "n": 4,
            "free": {"V"},
            "initial": {"V": torch.zeros(2, 2), "W": torch.eye(2), "label": -1.0},
            "batch": 2,
            "steps": 2,
            "step_size": 0.01,
            "generator": make.generator(rng),
            "replicas": 2,
        },
        raises=(Diverged,),
    ),
    "reduced.step": make.case(
        reduced.step,
        lambda rng: {
            "w": make.tensor(rng, (d := make.size(rng))),
            "V_block": make.tensor(rng, d, d),
            "W_block": make.tensor(rng, d, d),
            "S": make.covariance(rng, d),
            "w_star": make.tensor(rng, d),
        },
    ),
    "reduced.rollout": make.case(
        reduced.rollout,
        lambda rng: {
            "V_block": make.tensor(rng, (d := make.size(rng)), d),
            "W_block": make.tensor(rng, d, d),
            "S": make.covariance(rng, d),
            "w_star": make.tensor(rng, d),
            "k": 2,
        },
    ),
    "revealed.k_step_errors": make.case(revealed.k_step_errors, make.errors, raises=(OverflowError,)),
    "revealed.k_step_errors_by_definition": make.case(
        revealed.k_step_errors_by_definition, make.errors, raises=(OverflowError,)
    ),
    "sampling.sft_targets": make.case(sampling.sft_targets, make.sampled),
    "sampling.sft_targets_by_definition": make.case(sampling.sft_targets_by_definition, make.sampled),
    "sft.risk": make.case(
        sft.risk,
        lambda rng: {
            "V": make.tensor(rng, (d := make.size(rng)), d),
            "Sigma": make.covariance(rng, d),
            "n_test": 5,
        },
        make.right_sft_risk,
    ),
    "sft.pseudo_inverse": make.case(
        sft.pseudo_inverse, lambda rng: {"M": make.tensor(rng, make.size(rng), 3)}
    ),
    "sft.sft_minimiser": make.case(sft.sft_minimiser, make.targets, make.right_minimiser),
    "sft.first_order_operators": make.case(
        sft.first_order_operators,
        lambda rng: {**(of := make.targets(rng)), "A": make.covariance(rng, len(of["Phi"]))},
    ),
    "sft.risk_curve": make.case(
        sft.risk_curve,
        lambda rng: {**(of := make.targets(rng)), "Sigma": make.covariance(rng, len(of["Phi"])), "n_test": 5},
    ),
    "stability.first_failure": make.case(
        stability.first_failure, make.first, fixed=frozenset({"loss"}), endless=frozenset({"growth"})
    ),
    "stability.largest_stable_step": make.case(
        stability.largest_stable_step,
        lambda rng: {
            "loss": make.quadratic,
            "start": make.tensor(rng, 2, 2),
            "guess": 1.0,
            "steps": 20,
            "resolution": 0.1,
            "growth": 1e3,
        },
        fixed=frozenset({"loss"}),
        endless=frozenset({"growth"}),
    ),
    "stability.supervised_loss_of": make.case(
        stability.supervised_loss_of,
        lambda rng: {"S": (of := make.outcome(rng))["S"], "w_star": of["w_star"], "eta": 0.5, "k": 2},
    ),
    "training.gradient_descent": make.case(
        training.gradient_descent,
        lambda rng: {
            "loss": make.sum_of_squares,
            "parameters": [make.tensor(rng, 2, 2)],
            "step_size": 0.1,
            "steps": 3,
            "growth": 1e12,
        },
        fixed=frozenset({"loss", "parameters"}),
        endless=frozenset({"growth"}),
        raises=(Diverged,),
    ),
    "training.adam": make.case(
        training.adam,
        lambda rng: {
            "loss": make.sum_of_squares,
            "parameters": [make.tensor(rng, 2, 2)],
            "lr": 0.1,
            "steps": 3,
        },
        fixed=frozenset({"loss", "parameters"}),
    ),
}

# Public functions with numbers or tensors among their arguments or results that are not fuzzed, and why.
ELSEWHERE = {
    "errors.check_real": "a check itself, made by every function above",
    "errors.check_rate": "a check itself",
    "errors.check_positive": "a check itself",
    "errors.check_tensor": "a check itself",
    "errors.check_shape": "a check itself",
    "errors.check_covariance": "a check itself",
    "errors.as_float64": "a check itself",
    "errors.rounding_slack": "of a matrix that has passed the checks",
    "training.check_growth": "a check itself",
    "diagonal.check_square": "a check itself",
    "diagonal.check_covariance_or_diagonal": "a check itself",
    "diagonal.times": "of matrices that have passed the checks",
    "diagonal.full": "of a matrix that has passed the checks",
    "diagonal.trace": "of a matrix that has passed the checks",
    "curvature.outcome_loss_of": "returns a loss, which is outcome_errors",
    "curvature.hessian_times": "of any loss; what it is given goes to torch",
    "curves.simulate_curves": "of settings, fuzzed as CurveSetting, and counts",
    "policy_gradient.train": "gradient_descent on surrogate",
    "experiments.batched_training.adam_epochs": "of what figure_four.run has made of checked settings",
    "experiments.batched_training.adam_step": "of what figure_four.run has made of checked settings",
    "experiments.batched_training.minimise": "of what figure_four.run has made of checked settings",
    "experiments.figure_four.closed_form": "of what run has made of checked settings",
    "experiments.figure_four.loss_of": "of what run has made of checked settings",
    "experiments.figure_four.off_pattern": "of what run has made of checked settings",
    "experiments.figure_four.test_error": "of what run has made of checked settings",
    "experiments.single_layer.full_outcome": "of what figure_four.run has made of checked settings",
    "experiments.single_layer.full_outcome_loss": "of what figure_four.run has made of checked settings",
    "experiments.single_layer.full_sft_loss": "of what figure_four.run has made of checked settings",
    "experiments.single_layer.path": "of what figure_four.run has made of checked settings",
    "experiments.single_layer.reduced_outcome": "of what figure_four.run has made of checked settings",
    "experiments.single_layer.reduced_outcome_loss": "of what figure_four.run has made of checked settings",
    "experiments.single_layer.reduced_sft_loss": "of what figure_four.run has made of checked settings",
    "experiments.shifted_task.shifted_task": "of settings that figure_four.run has checked",
    "experiments.shifted_task.initial_inverse": "of settings that figure_four.run has checked",
    "experiments.beyond.closed_form": "of settings that the experiment's run has checked",
    "experiments.beyond.curvature": "of settings that the experiment's run has checked",
    "experiments.beyond.gradient": "of settings that the experiment's run has checked",
    "experiments.beyond.limit": "of settings that the experiment's run has checked",
    "experiments.beyond.linearised": "of settings that the experiment's run has checked",
    "experiments.beyond.outcome_one_step": "of settings that the experiment's run has checked",
    "experiments.beyond.outcome_two_steps": "of settings that the experiment's run has checked",
    "experiments.beyond.population": "of settings that the experiment's run has checked",
    "experiments.beyond.pretrained": "of settings that the experiment's run has checked",
    "experiments.beyond.risk": "of settings that the experiment's run has checked",
    "experiments.beyond.risk_long": "of settings that the experiment's run has checked",
    "experiments.beyond.run": "of settings that the experiment's run has checked",
    "experiments.beyond.threshold": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.draw": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.nearest_minimiser": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.path_steps": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.population_minimiser": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.supervised_steps": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.weights_after": "of settings that the experiment's run has checked",
    "experiments.prompt_laws.with_noise": "of settings that the experiment's run has checked",
    "gpt2.losses.outcome_loss": "of settings that the experiment's run has checked",
    "gpt2.losses.risks": "of settings that the experiment's run has checked",
    "gpt2.losses.sft_loss": "of settings that the experiment's run has checked",
    "gpt2.losses.step_errors": "of settings that the experiment's run has checked",
    "gpt2.losses.supervised_path": "of settings that the experiment's run has checked",
    "gpt2.model.estimate_token": "of settings that the experiment's run has checked",
    "gpt2.prompts.minibatch": "of settings that the experiment's run has checked",
    "gpt2.training.post_train": "of settings that the experiment's run has checked",
    "gpt2.training.pretrain": "of settings that the experiment's run has checked",
    "sweeps.runner.run_sweep": "of what the command line has checked, fuzzed there",
}
