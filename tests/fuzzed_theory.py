"""The numeric functions of ``theory/`` for the fuzz tests: good arguments, and the check of the result."""

from __future__ import annotations

from typing import Any

import fuzzed_right as right
import numpy as np
from fuzzed import Arguments, Fuzzed

from theory import (
    allocation_optimum,
    curvature,
    descent,
    finetuning,
    first_order_limit,
    joint_loss,
    kstep,
    kstep_value,
    os_fixed_point,
    os_limits,
    plan,
    plan_length,
    plan_phase,
    policy_gradient_value,
    population,
    pretraining,
    proportional,
    risk,
    risk_shape,
)

Rng = np.random.Generator

# Good arguments ------------------------------------------------------------------------------------


def _size(rng: Rng) -> int:
    return int(rng.integers(1, 4))


def _count(rng: Rng) -> int:
    return int(rng.choice([1, 2, 5, 50, 10**6]))


def _covariance(rng: Rng, d: int) -> np.ndarray:
    """Definite, of condition up to some hundreds, at any of a few scales."""
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    matrix = (Q * rng.uniform(0.1, 3.0, d)) @ Q.T * float(rng.choice([1.0, 1.0, 1e-3, 1e3]))
    return (matrix + matrix.T) / 2


def _rate(rng: Rng) -> float:
    return float(rng.choice([0.2, 0.5, 1.0]))


def _risk(rng: Rng) -> Arguments:
    d = _size(rng)
    Sigma = _covariance(rng, d)
    return {"V": rng.normal(size=(d, d)) / np.abs(Sigma).max(), "Sigma": Sigma, "n": _count(rng)}


def _k_step(rng: Rng) -> Arguments:
    return {**_risk(rng), "k": int(rng.integers(1, 3))}


def _limited(rng: Rng) -> Arguments:
    return {**_k_step(rng), "limit": kstep_value.TERM_LIMIT}


def _fixed_point(rng: Rng) -> Arguments:
    d = int(rng.integers(1, 3))
    return {"A": _covariance(rng, d), "n": int(rng.choice([1, 5, 50])), "k": int(rng.integers(1, 3))}


def _joint(rng: Rng) -> Arguments:
    task = {"A": _covariance(rng, _size(rng)), "n": _count(rng), "eta": _rate(rng)}
    return {**task, "k": int(rng.integers(0, 4))}


def _blocks(rng: Rng) -> Arguments:
    count = _size(rng)
    weights = rng.uniform(0.2, 1.0, count)
    return {
        "weights": weights / weights.sum(),
        "post": rng.uniform(0.1, 2.0, count),
        "pre": rng.uniform(0.1, 2.0, count),
        "test": rng.uniform(0.1, 2.0, count),
        "eta": _rate(rng),
        "aspect": float(rng.uniform(0.05, 1.0)),
    }


def _prompts(rng: Rng) -> Arguments:
    d, many = _size(rng), _size(rng)
    S = np.stack([_covariance(rng, d) for _ in range(many)])
    S /= np.abs(S).max()
    return {
        "V": rng.normal(size=(d, d)),
        "S": S,
        "w_star": rng.normal(size=(many, d)),
        "k": int(rng.integers(1, 4)),
    }


def _terms(rng: Rng) -> Arguments:
    return {"of": policy_gradient_value.prompt_terms(**_prompts(rng)), "sigma": float(rng.uniform(0.1, 1.0))}


def _setting(rng: Rng) -> proportional.Setting:
    return proportional.setting(**_blocks(rng))


def _phase(rng: Rng) -> Arguments:
    return {"rho_pre": float(rng.uniform(0.05, 0.5)), "share": float(rng.uniform(0.2, 0.8))}


def _table(rng: Rng) -> Arguments:
    rows = [(int(rng.integers(1, 4)), *map(float, rng.uniform(0.1, 2.0, 2))) for _ in range(_size(rng))]
    return {"levels": tuple(rows), "lengths": (1, 10)}


def _table_of(levels: Any, lengths: Any) -> list[tuple[float, float]]:
    """The table without the distance, which the pretrained model does not have."""
    return [(row.risk, row.share) for row in allocation_optimum.allocation_table(levels, lengths)]


def _spectrum_outside(rng: Rng) -> Arguments:
    return {"sigma": np.array([5.0, 1.0, 0.3]) * rng.uniform(0.5, 2.0), "n": int(rng.integers(1, 3))}


def _shifted(rng: Rng) -> Arguments:
    d = _size(rng)
    return {"Sigma0": _covariance(rng, d), "Delta": _covariance(rng, d), "n": _count(rng), "eta": _rate(rng)}


def _curve(rng: Rng) -> Arguments:
    return {"of": _setting(rng)}


NAMES = ("weights", "post", "pre", "test", "aspect", "aspect_pre", "aspect_test", "eta")  # of a setting
FUNCTIONS: dict[str, Fuzzed] = {
    "allocation_optimum.optimal_allocation": Fuzzed(
        allocation_optimum.optimal_allocation,
        lambda rng: {"Sigma_U": _covariance(rng, _size(rng)), "n": _count(rng), "eta": _rate(rng)},
        right.allocation,
    ),
    "allocation_optimum.constrained_spectrum": Fuzzed(
        allocation_optimum.constrained_spectrum, _spectrum_outside
    ),
    "allocation_optimum.full_risk_allocation": Fuzzed(
        allocation_optimum.full_risk_allocation, _shifted, raises=(ArithmeticError,)
    ),
    "allocation_optimum.risk_parts": Fuzzed(allocation_optimum.risk_parts, _risk, right.parts),
    "allocation_optimum.post_training_risk": Fuzzed(
        allocation_optimum.post_training_risk,
        lambda rng: {"A": (s := _shifted(rng))["Sigma0"] / 2, **s},
        names=("gamma0",),
    ),
    "allocation_optimum.allocation_table": Fuzzed(_table_of, _table, names=("n",)),
    "curvature.spectrum": Fuzzed(
        curvature.spectrum,
        lambda rng: {
            "m": rng.normal(size=3),
            "a": rng.uniform(0.1, 2.0, 3),
            "steps": int(rng.integers(1, 5)),
        },
        right.spectrum,
        long=frozenset({"steps"}),
    ),
    "descent.contraction": Fuzzed(
        descent.contraction,
        lambda rng: {
            "lambda_max": 3.0,
            "lambda_min": float(rng.uniform(0, 3)),
            "step": float(rng.uniform(0.1, 1)),
        },
        right.contraction,
    ),
    "finetuning.fine_tuned": Fuzzed(
        finetuning.fine_tuned,
        lambda rng: {
            "Omega": rng.normal(size=(d := _size(rng), b := _size(rng))),
            "Phi": rng.normal(size=(d, b)),
            "gamma0": _covariance(rng, d),
            "eta": _rate(rng),
        },
        right.fine_tuned,
    ),
    "first_order_limit.linearised_risk_limit": Fuzzed(
        first_order_limit.linearised_risk_limit,
        lambda rng: {"beta": float(rng.choice([0.3, 0.7, 2.0])), **_blocks(rng)},
        infinite=True,
    ),
    "joint_loss.population_loss": Fuzzed(
        joint_loss.population_loss,
        lambda rng: {
            **(of := _joint(rng)),
            "V": rng.normal(size=of["A"].shape) / np.abs(of["A"]).max(),
            "W": rng.normal(size=of["A"].shape),
        },
        right.loss,
        long=frozenset({"k"}),
    ),
    "joint_loss.joint_minimiser": Fuzzed(
        joint_loss.joint_minimiser, _joint, right.joint, long=frozenset({"k"})
    ),
    "kstep.k_step_risk_expr": Fuzzed(
        kstep.k_step_risk_expr,
        lambda rng: {"k": int(rng.integers(1, 3)), "limit": kstep_value.TERM_LIMIT},
        right.expression,
        endless=frozenset({"limit"}),
        names=("expression",),
    ),
    "kstep.centred_risk": Fuzzed(
        kstep.centred_risk,
        lambda rng: {"k": int(rng.integers(1, 3)), "limit": kstep_value.TERM_LIMIT},
        endless=frozenset({"limit"}),
        names=("expression",),
    ),
    "kstep_value.program": Fuzzed(
        kstep_value.program,
        lambda rng: {"k": int(rng.integers(1, 3)), "limit": kstep_value.TERM_LIMIT},
        endless=frozenset({"limit"}),
        names=("expression",),
    ),
    "kstep_value.k_step_risk": Fuzzed(
        kstep_value.k_step_risk, _limited, right.k_step, endless=frozenset({"limit"}), names=("expression",)
    ),
    "kstep_value.k_step_gradient": Fuzzed(
        kstep_value.k_step_gradient,
        _limited,
        right.gradient,
        endless=frozenset({"limit"}),
        names=("expression",),
    ),
    "kstep_value.k_step_risk_bound": Fuzzed(
        kstep_value.k_step_risk_bound,
        _limited,
        right.bound,
        endless=frozenset({"limit"}),
        names=("expression",),
    ),
    "os_fixed_point.one_step_fixed_point": Fuzzed(
        os_fixed_point.one_step_fixed_point,
        lambda rng: {"A": _covariance(rng, _size(rng)), "n": _count(rng), "eta": _rate(rng)},
        right.one_step_fixed_point,
    ),
    "os_fixed_point.os_fixed_point": Fuzzed(os_fixed_point.os_fixed_point, _fixed_point, right.fixed_point),
    "os_fixed_point.os_minimiser": Fuzzed(os_fixed_point.os_minimiser, _fixed_point, right.minimiser),
    "os_limits.isotropic_fixed_point": Fuzzed(
        os_limits.isotropic_fixed_point,
        lambda rng: {"steps": int(rng.integers(1, 3)), "dim": _size(rng), "length": _count(rng)},
        right.isotropic,
        names=("k",),
    ),
    "os_limits.many_steps": Fuzzed(
        os_limits.many_steps, lambda rng: {"length": _count(rng), "steps": int(rng.choice([10, 1000]))}
    ),
    "plan.best_prompts": Fuzzed(plan.best_prompts, _curve, right.plan),
    "plan.whole_rank": Fuzzed(
        plan.whole_rank,
        lambda rng: {"plan": plan.best_prompts(_setting(rng)), "d": int(rng.integers(1, 400))},
    ),
    "plan.whole_error": Fuzzed(
        plan.whole_error,
        lambda rng: {
            "plan": plan.best_prompts(_setting(rng)),
            "d": 100,
            "prompts": int(rng.integers(0, 400)),
        },
        infinite=True,
    ),
    "plan.whole_prompts": Fuzzed(
        plan.whole_prompts,
        lambda rng: {"plan": plan.best_prompts(_setting(rng)), "d": int(rng.integers(1, 400))},
    ),
    "plan_length.with_length": Fuzzed(
        plan_length.with_length, lambda rng: {**_curve(rng), "aspect": 0.5, "roles": ("post", "test")}
    ),
    "plan_length.best_length": Fuzzed(
        plan_length.best_length,
        lambda rng: {**_curve(rng), "beta": float(rng.uniform(0.1, 2)), "roles": ("post",), "shortest": 0.05},
        infinite=True,
        names=("aspect",),
    ),
    "plan_length.best_split": Fuzzed(
        plan_length.best_split,
        lambda rng: {
            **_curve(rng),
            "tokens": float(rng.uniform(0.5, 5)),
            "roles": ("post",),
            "shortest": 0.05,
        },
        infinite=True,
        names=("aspect",),
    ),
    "plan_length.whole_length": Fuzzed(
        plan_length.whole_length,
        lambda rng: {**_curve(rng), "d": 100, "prompts": int(rng.integers(1, 400)), "shortest": 20},
        names=("beta", "aspect", "budget"),
    ),
    "plan_phase.two_blocks": Fuzzed(
        plan_phase.two_blocks, lambda rng: {"ratio": 0.5, "aspect": 0.5, **_phase(rng)}, names=NAMES
    ),
    "plan_phase.phase_diagram": Fuzzed(
        plan_phase.phase_diagram,
        lambda rng: {"ratios": np.array([0.1, 1.0]), "aspects": np.array([0.5]), **_phase(rng)},
        infinite=True,
        names=("ratio", *NAMES),
    ),
    "plan_phase.boundary": Fuzzed(
        plan_phase.boundary,
        lambda rng: {"aspect": 0.5, "low": 0.01, "high": 1.0, "points": 3, **_phase(rng)},
        long=frozenset({"points"}),
        names=("ratio", *NAMES),
    ),
    "policy_gradient_value.prompt_terms": Fuzzed(
        policy_gradient_value.prompt_terms, _prompts, right.terms, long=frozenset({"k"})
    ),
    "policy_gradient_value.least_spread": Fuzzed(policy_gradient_value.least_spread, _terms),
    "policy_gradient_value.group_spread": Fuzzed(
        policy_gradient_value.group_spread, lambda rng: {**_terms(rng), "size": int(rng.integers(2, 6))}
    ),
    "policy_gradient_value.constant_spread": Fuzzed(
        policy_gradient_value.constant_spread, lambda rng: {**_terms(rng), "baseline": float(rng.normal())}
    ),
    "policy_gradient_value.rewards_per_outcome": Fuzzed(
        policy_gradient_value.rewards_per_outcome,
        lambda rng: {
            "of": (of := _terms(rng)["of"]),
            "spread": rng.uniform(0.1, 1.0, of.error_squared.shape),
            "size": 3,
        },
        infinite=True,
    ),
    "population.population_limit": Fuzzed(
        population.population_limit,
        lambda rng: {
            "A": _covariance(rng, d := _size(rng)),
            "n": _count(rng),
            "eta": _rate(rng),
            "gamma0": _covariance(rng, d),
        },
        right.population_value,
    ),
    "pretraining.gamma0": Fuzzed(
        pretraining.gamma0,
        lambda rng: {"Sigma0": _covariance(rng, _size(rng)), "n": _count(rng)},
        right.gamma0,
    ),
    "proportional.checked_beta": Fuzzed(
        proportional.checked_beta, lambda rng: {"beta": np.array([0.5, 2.0])}
    ),
    "proportional.setting": Fuzzed(proportional.setting, _blocks),
    "proportional.sft_risk_limit": Fuzzed(
        proportional.sft_risk_limit,
        lambda rng: {"beta": float(rng.choice([0.3, 0.7, 2.0])), **_blocks(rng)},
        right.limit,
        infinite=True,
    ),
    "risk.one_step_risk": Fuzzed(risk.one_step_risk, _risk, right.risk_value),
    "risk_shape.curve": Fuzzed(risk_shape.curve, _curve),
    "risk_shape.Curve.error": Fuzzed(
        lambda beta: risk_shape.curve(_setting(np.random.default_rng(3))).error(beta),
        lambda rng: {"beta": rng.uniform(0, 3, 4)},
        infinite=True,
        endless=frozenset({"beta"}),
    ),
}

# Public functions with numbers among their arguments or results that are not fuzzed, and why.
ELSEWHERE = {
    **{
        f"errors.check_{what}": "a check itself"
        for what in ("real", "positive", "rate", "numbers", "finite", "shape", "covariance", "definite")
    },
    "errors.binary_size": "of arrays that have passed the checks",
    **dict.fromkeys(("proportional.checked_setting", "proportional.check_ratio"), "a check itself"),
    "kstep.check_limit": "a check itself",
    "task_selection.select_tasks": "of lists of matrices; its errors: tests/test_task_selection.py",
    "wishart.expectation": "of words, symbolic; tests/test_wishart.py",
    "words.evaluate.rational": "of exact entries, symbolic",
    **{
        f"beyond_limit.{name}": "its errors: tests/test_beyond_limit.py"
        for name in ("initial_levels", "limit_terms", "linearised_limit", "sft_risk_limit", "target_levels")
    },
}
# Called in loops: what calls them has checked, and their docstrings say so.
TAKEN_AS_CHECKED = (
    "equivalents.root",
    "equivalents.equivalents",
    "equivalents.resolvent_root",
    "first_order_limit.block_levels",
    "first_order_limit.value_at",
    "first_order_limit.linearised_terms",
    "os_fixed_point.risk_and_gradient",
    "proportional.limit_terms",
    "words.program.matrix_root",
)
