"""Every check of an argument in numerics/, one table: what is rejected, in which words, what is let through.

A row gives a function, good arguments, and what it demands of some of them.  From a demand follow the bad
values (a dimension missing, one too large, an empty one, single precision; one below the least count; …),
their message word for word, and the border that is still allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from numerics import (
    curvature,
    curves,
    losses,
    model,
    outcome_fit,
    policy_gradient,
    pretraining,
    reduced,
    revealed,
    sampling,
    sft,
    stability,
    training,
)
from numerics.device import seeded
from numerics.errors import ArgumentError
from numerics.prompts import Prompts, sample_prompts


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=seeded(sum(shape), "cpu"))


@dataclass(frozen=True)
class Shape:
    """The last dimensions: a number is demanded as it is, a name stands for any size of at least 1."""

    last: tuple[int | str, ...]

    def bad(self, name: str, value: Tensor) -> Iterator[tuple[object, str]]:
        batch, have = value.shape[: value.ndim - len(self.last)], value.shape[value.ndim - len(self.last) :]
        wrong = [torch.zeros(have[1:]).double(), value.float()]
        for at, wanted in enumerate(self.last):
            sizes = [0] if isinstance(wanted, str) and self.last.count(wanted) == 1 else [have[at] + 1, 0]
            wrong += [torch.zeros(*batch, *have[:at], size, *have[at + 1 :]).double() for size in sizes]
        for each in wrong:
            must = f"must be ({', '.join(map(str, ('...', *self.last)))}) in torch.float64"
            yield each, f"{name} has shape {tuple(each.shape)} and {each.dtype}: {must}"

    def good(self) -> list[object]:
        return []


@dataclass(frozen=True)
class Among:
    """Numbers: some that are no good and the rule that they break, and the border."""

    wrong: tuple[object, ...]
    rule: str
    border: list[object] = field(default_factory=list)

    def bad(self, name: str, value: object) -> Iterator[tuple[object, str]]:
        for each in self.wrong:
            yield each, f"{name}={each!r}: must {self.rule}"

    def good(self) -> list[object]:
        return self.border


def shape(*last: int | str) -> Shape:
    return Shape(last)


def count(least: int) -> Among:
    return Among((least - 1, least + 0.5, True), f"be an integer of at least {least}", [least])


POSITIVE = Among((0.0, -1.0, torch.inf, torch.nan), "be positive and finite")
RATE = Among((0.0, -0.5, 1.01, torch.nan), "lie in (0, 1]", [1.0])

d, n, B, k, p, q, r = 2, 4, 3, 2, 3, 4, 1
D6 = 2 * d + 2
LAYER = {"V": normal(D6, D6) / 9, "W": normal(D6, D6) / 9}
COVARIANCE = torch.tensor([[1.0, 0.3], [0.3, 0.5]]).double()
PROMPTS = sample_prompts(COVARIANCE, n, B, seeded(1, "cpu"))
BLOCKS = {"V_block": normal(d, d), "W_block": normal(d, d), "S": PROMPTS.S}
TARGETS = outcome_fit.draw_targets(torch.ones(r).double(), d, n, B, seeded(2, "cpu"))
INITIAL = {"V": -torch.eye(d), "W": torch.eye(d), "label": -1.0}
DATA = {"X": PROMPTS.X, "w_star": PROMPTS.w_star}
DATA_SHAPES = {"X": shape("d", "n"), "w_star": shape(d)}
LAYER_SHAPES = {"V": shape(D6, D6), "W": shape(D6, D6)}
STEP_SHAPES = {name: shape(d, d) for name in BLOCKS} | {"w_star": shape("d")}
FITTED = {"Omega": normal(d, B), "Phi": normal(d, B), "gamma0_inv": torch.ones(d).double(), "eta": 0.5}
FITTED_RULES = {"Omega": shape(d, B), "Phi": shape("d", "B"), "eta": RATE}


def quadratic(parameters: list[Tensor]) -> Tensor:
    return parameters[0].square().sum()


def with_generator(function: Callable[..., object]) -> Callable[..., object]:
    """A generator of its own for each call."""
    return lambda **given: function(generator=seeded(3, "cpu"), **given)


def loss_of(V: Tensor) -> Tensor:
    return V.square().sum(dim=(-2, -1))


def of_targets(make: Callable[..., Callable[[Tensor], Tensor]], **given: Any) -> Tensor:
    """A loss that is made of targets, evaluated: some check their arguments only then."""
    V_block = given.pop("V_block")
    return make(**given)(V_block)


Demands = dict[str, Shape | Among]
TABLE: dict[str, tuple[Callable[..., object], dict[str, Any], Demands]] = {
    "prompts": (Prompts, DATA, {"X": shape("B", "d", "n"), "w_star": shape(B, d)}),
    "sample_prompts": (
        with_generator(sample_prompts),
        {"covariance": COVARIANCE, "n": n, "size": B},
        {"n": count(1), "size": count(1)},
    ),
    "lsa": (
        model.lsa,
        {"Z": normal(D6, 5), **LAYER, "scale": 2},
        {"Z": shape("2d+2", "m"), "scale": POSITIVE, **LAYER_SHAPES},
    ),
    "last_column": (
        model.last_column,
        {"Z": normal(B, D6, 5), **LAYER, "scale": 2},
        {"Z": shape("2d+2", "m"), "scale": POSITIVE, **LAYER_SHAPES},
    ),
    "linear_attention": (
        model.linear_attention,
        {"Z": normal(D6, 5), "W_K": normal(p, D6), "W_Q": normal(p, D6), "W_V": normal(q, D6)}
        | {"W_P": normal(D6, q), "scale": 2},
        {"Z": shape("2d+2", "m"), "W_K": shape("p", D6), "W_Q": shape(p, D6), "W_V": shape("q", D6)}
        | {"W_P": shape(D6, q), "scale": POSITIVE},
    ),
    "embed": (model.embed, DATA | {"w0": normal(B, d)}, DATA_SHAPES | {"w0": shape(d)}),
    "assemble": (
        model.assemble,
        {"V_block": normal(d, d), "W_block": normal(d, d)},
        {"V_block": shape("d", "d"), "W_block": shape(d, d)}
        | {"label_entry": Among(("x", torch.nan, True), "be a finite number", [2])},
    ),
    "chain_of_thought": (
        model.chain_of_thought,
        LAYER | DATA | {"k": k, "w0": normal(B, d)},
        LAYER_SHAPES | DATA_SHAPES | {"w0": shape(d), "k": count(0)},
    ),
    "predicted_weights": (
        model.predicted_weights,
        {"Z": normal(D6, 5), "n": 2},
        {"Z": shape("2d+2", "n+1+k"), "n": count(1)},
    ),
    "teacher_sequence": (
        model.teacher_sequence,
        DATA | {"eta": 0.5, "i": 2},
        DATA_SHAPES | {"eta": RATE, "i": count(0)},
    ),
    "step": (reduced.step, BLOCKS | {"w_star": normal(d), "w": normal(d)}, STEP_SHAPES | {"w": shape(d)}),
    "rollout": (
        reduced.rollout,
        BLOCKS | {"w_star": normal(d), "k": k, "w0": normal(d)},
        STEP_SHAPES | {"k": count(0), "w0": shape(d)},
    ),
    "sft_residuals": (
        losses.sft_residuals,
        LAYER | {"prompts": PROMPTS, "eta": 0.5, "k": k},
        LAYER_SHAPES | {"eta": RATE, "k": count(0)},
    ),
    "sft_loss": (
        losses.sft_loss,
        LAYER | {"prompts": PROMPTS, "eta": 0.5, "k": k},
        LAYER_SHAPES | {"eta": RATE, "k": count(0)},
    ),
    "outcome_loss": (
        losses.outcome_loss,
        LAYER | {"prompts": PROMPTS, "k": k},
        LAYER_SHAPES | {"k": count(1)},
    ),
    "pretraining_loss": (losses.pretraining_loss, LAYER | {"prompts": PROMPTS}, LAYER_SHAPES),
    "sft_targets": (
        with_generator(sampling.sft_targets),
        {"A": COVARIANCE, "n": n, "B": B},
        {"n": count(1), "B": count(1)},
    ),
    "sft_targets_by_definition": (
        with_generator(sampling.sft_targets_by_definition),
        {"A": COVARIANCE, "n": n, "B": B},
        {"n": count(1), "B": count(1)},
    ),
    "k_step_errors": (
        with_generator(revealed.k_step_errors),
        {"V": COVARIANCE, "Sigma": COVARIANCE, "n": n, "k": k, "size": 5},
        {"n": count(1), "k": count(0), "size": count(1)},
    ),
    "k_step_errors_by_definition": (
        with_generator(revealed.k_step_errors_by_definition),
        {"V": COVARIANCE, "Sigma": COVARIANCE, "n": n, "k": k, "size": 5},
        {"n": count(1), "k": count(0), "size": count(1)},
    ),
    "outcome_errors": (
        curvature.outcome_errors,
        {"V_block": normal(d, d), "S": PROMPTS.S, "w_star": PROMPTS.w_star, "k": k},
        {"V_block": shape(d, d), "S": shape(B, d, d), "w_star": shape("B", "d"), "k": count(1)},
    ),
    "curvature": (
        curvature.curvature,
        {"loss": loss_of, "V_block": normal(d, d)},
        {"V_block": shape("d", "d")},
    ),
    "largest_stable_step": (
        stability.largest_stable_step,
        {"loss": loss_of, "start": normal(d, d), "guess": 1.0, "steps": 20, "resolution": 0.2},
        {"start": shape("d", "d"), "guess": POSITIVE, "steps": count(1), "resolution": POSITIVE}
        | {"growth": Among((1.0, 0.5, torch.nan), "be above 1")},
    ),
    "supervised_loss": (
        partial(of_targets, stability.supervised_loss_of),
        {"V_block": normal(d, d), "S": PROMPTS.S, "w_star": PROMPTS.w_star, "eta": 0.5, "k": k},
        {"S": shape(B, d, d), "w_star": shape("B", "d"), "eta": RATE, "k": count(0)},
    ),
    "draw_targets": (
        with_generator(outcome_fit.draw_targets),
        {"levels": torch.ones(1).double(), "d": d, "n": n, "size": B},
        {"levels": shape("r"), "d": count(1), "n": count(1), "size": count(1)},
    ),
    "fit_loss": (
        outcome_fit.fit_loss,
        {"columns": normal(d, r), "targets": TARGETS, "k": k},
        {"columns": shape(d, r), "k": count(1)},
    ),
    "descend": (
        outcome_fit.descend,
        {"columns": normal(d, r), "targets": TARGETS, "k": k, "keep": [1], "step_size": 0.1},
        {"step_size": POSITIVE},
    ),
    "minimise": (
        outcome_fit.minimise,
        {"columns": normal(d, r), "targets": TARGETS, "k": k},
        {"columns": shape("d", "r")},
    ),
    "gradient_descent": (
        training.gradient_descent,
        {"loss": quadratic, "parameters": [normal(2)], "step_size": 0.1, "steps": 2},
        {"step_size": POSITIVE, "steps": count(0), "growth": Among((1.0, 0.5, torch.nan), "be above 1")},
    ),
    "adam": (
        training.adam,
        {"loss": quadratic, "parameters": [normal(2)], "lr": 0.1, "steps": 2},
        {"lr": POSITIVE, "steps": count(0)},
    ),
    "pretrain": (
        with_generator(pretraining.pretrain),
        {"covariance": COVARIANCE, "n": n, "free": {"V"}, "initial": INITIAL, "batch": 2, "steps": 2}
        | {"step_size": 0.1, "replicas": 2},
        {"n": count(1), "batch": count(1), "steps": count(1), "replicas": count(1), "step_size": POSITIVE},
    ),
    "simulate_curves": (
        curves.simulate_curves,
        {"settings": [curves.CurveSetting(COVARIANCE, COVARIANCE, COVARIANCE, 0.5, n)]}
        | {"realizations": 2, "B_max": 2, "seed": 1},
        {"realizations": count(1), "B_max": count(1), "seed": count(0)},
    ),
    "curve_setting": (
        curves.CurveSetting,
        {"A": COVARIANCE, "Sigma0": COVARIANCE, "Sigma": COVARIANCE, "eta": 0.5, "n": n},
        {"eta": RATE, "n": count(1), "n_pre": count(1), "n_test": count(1)},
    ),
    "estimator": (policy_gradient.Estimator, {"kind": "none", "size": 2}, {"size": count(1)}),
    "estimator of a number": (policy_gradient.Estimator, {"kind": 0.5, "size": 2}, {"size": count(1)}),
    "estimator of a group": (policy_gradient.Estimator, {"kind": "group", "size": 2}, {"size": count(2)}),
    "advantages": (
        policy_gradient.Estimator("group", 3).advantages,
        {"rewards": normal(B, 3)},
        {"rewards": shape(3)},
    ),
    "sample_actions": (
        with_generator(policy_gradient.sample_actions),
        {"mean": normal(B, d), "sigma": 0.5, "size": 2},
        {"mean": shape("d"), "sigma": POSITIVE, "size": count(1)},
    ),
    "log_probability": (
        policy_gradient.log_probability,
        {"actions": normal(B, 5, d), "mean": normal(B, d), "sigma": 0.5},
        {"actions": shape("G", d), "mean": shape("d"), "sigma": POSITIVE},
    ),
    "policy_mean": (
        policy_gradient.policy_mean,
        {"V_block": normal(d, d), "prompts": PROMPTS, "k": k},
        {"V_block": shape(d, d), "k": count(0)},
    ),
    "risk": (
        sft.risk,
        {"V": normal(d, d), "Sigma": COVARIANCE, "n_test": n},
        {"V": shape("d", "d"), "n_test": count(1)},
    ),
    "pseudo_inverse": (sft.pseudo_inverse, {"M": normal(d, B)}, {"M": shape("d", "B")}),
    "sft_minimiser": (sft.sft_minimiser, FITTED, FITTED_RULES),
    "first_order_operators": (sft.first_order_operators, FITTED | {"A": COVARIANCE}, FITTED_RULES),
    "risk_curve": (
        sft.risk_curve,
        FITTED | {"Sigma": COVARIANCE, "n_test": n},
        FITTED_RULES | {"n_test": count(1)},
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_good_arguments_are_let_through(name: str) -> None:
    function, good, demands = TABLE[name]
    function(**good)
    for argument, demand in demands.items():
        for border in demand.good():
            function(**good | {argument: border})


@pytest.mark.parametrize(("name", "argument"), [(name, a) for name, row in TABLE.items() for a in row[2]])
def test_bad_arguments_are_rejected_in_these_words(name: str, argument: str) -> None:
    function, good, demands = TABLE[name]
    cases = list(demands[argument].bad(argument, good.get(argument)))
    assert len(cases) >= 3
    for value, message in cases:
        with pytest.raises(ArgumentError) as caught:
            function(**good | {argument: value})
        assert str(caught.value) == message


# Functions of several tensors with leading dimensions, in the order of the message: the last dimensions of
# each, and what else the call needs.
BATCHED: dict[str, tuple[Callable[..., object], dict[str, tuple[int, ...]], dict[str, Any]]] = {
    "lsa": (model.lsa, {"Z": (D6, 5), "V": (D6, D6), "W": (D6, D6)}, {"scale": 2}),
    "last_column": (model.last_column, {"Z": (D6, 5), "V": (D6, D6), "W": (D6, D6)}, {"scale": 2}),
    "linear_attention": (
        model.linear_attention,
        {"Z": (D6, 5), "W_K": (p, D6), "W_Q": (p, D6), "W_V": (q, D6), "W_P": (D6, q)},
        {"scale": 2},
    ),
    "embed": (model.embed, {"X": (d, n), "w_star": (d,), "w0": (d,)}, {}),
    "assemble": (model.assemble, {"W_block": (d, d), "label_entry": ()}, {"V_block": normal(d, d)}),
    "step": (
        reduced.step,
        {"w": (d,), "w_star": (d,), "V_block": (d, d), "W_block": (d, d), "S": (d, d)},
        {},
    ),
}


@pytest.mark.parametrize("name", BATCHED)
def test_leading_dimensions_must_broadcast(name: str) -> None:
    function, last, rest = BATCHED[name]
    for one in last:
        for other in last.keys() - {one}:
            leading = dict.fromkeys(last, ()) | {one: (3,), other: (2,)}
            with pytest.raises(ArgumentError) as caught:
                function(**{a: normal(*leading[a], *last[a]) for a in last}, **rest)
            told = ", ".join(f"{a} has the leading shape {leading[a]}" for a in last)
            assert str(caught.value) == f"{told}: must broadcast"
            leading[other] = (4, 1)
            function(**{a: normal(*leading[a], *last[a]) for a in last}, **rest)


def test_runs_and_their_prompts_must_broadcast() -> None:
    prompts = sample_prompts(COVARIANCE, n, (3, B), seeded(1, "cpu"))
    shapes = {"V": (), "W": (), "prompts": (3,)}
    for name in ("V", "W"):
        with pytest.raises(ArgumentError) as caught:
            losses.pretraining_loss(**LAYER | {name: normal(2, D6, D6)}, prompts=prompts)
        told = ", ".join(f"{a} has the leading shape {s}" for a, s in (shapes | {name: (2,)}).items())
        assert str(caught.value) == f"{told}: must broadcast"
    told = r"^V has the leading shape \(2,\), W has the leading shape \(3,\), "
    with pytest.raises(ArgumentError, match=told):
        losses.pretraining_loss(normal(2, D6, D6), normal(3, D6, D6), PROMPTS)


def test_wrong_types_are_named() -> None:
    steps = {"V": COVARIANCE, "Sigma": COVARIANCE, "n": n, "k": 1, "size": 5}
    for function, given in [
        (sample_prompts, {"covariance": COVARIANCE, "n": n, "size": B}),
        (sampling.sft_targets, {"A": COVARIANCE, "n": n, "B": B}),
        (revealed.k_step_errors, steps),
        (revealed.k_step_errors_by_definition, steps),
    ]:
        with pytest.raises(ArgumentError) as caught:
            function(**given, generator=3)  # type: ignore[operator]
        assert str(caught.value) == "generator=3: must be a Generator"
    with pytest.raises(ArgumentError, match=r"^prompts=3: must be a Prompts$"):
        losses.outcome_loss(**LAYER, prompts=3, k=1)
