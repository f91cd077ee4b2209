"""The task, the draws and the results of Figure 4's experiment."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from numerics import sft
from numerics.errors import ArgumentError
from numerics.experiments import figure_four as four
from numerics.experiments import shifted_task as tasks
from numerics.experiments import single_layer as layer

CPU = torch.device("cpu")
KIND = (CPU, torch.float64)
SMALL = four.DEFAULTS | {
    "d": 10,
    "n": 30,
    "B": 12,
    "k": 2,
    "rank": 2,
    "runs": 3,
    "epochs": 5,
    "test_prompts": 30,
    "iterations": 50,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("basis", tasks.BASES)
def test_shift_has_its_rank_and_diagonal(basis: str) -> None:
    task = tasks.shifted_task(20, 3, basis)
    shift = task.factor @ task.factor.mT
    assert int(torch.linalg.matrix_rank(shift)) == 3
    diagonal = torch.ones(20).double() if basis == "rotated" else (torch.arange(20) < 3).double()
    torch.testing.assert_close(shift.diagonal(), diagonal)
    torch.testing.assert_close(task.Sigma, torch.diag(task.pre) + shift)
    assert task.pre.tolist() == [0.1] * 4 + [1.0] * 16
    if task.basis is not None:
        torch.testing.assert_close(task.basis @ task.root, task.factor)


def test_initial_inverse_is_that_of_the_print() -> None:
    task = tasks.shifted_task(20, 3, "diagonal")
    Gamma0 = (1 + 1 / 7) * torch.diag(task.pre) + task.pre.sum() / 7 * torch.eye(20).double()
    torch.testing.assert_close(torch.diag(tasks.initial_inverse(task, 7)), torch.linalg.inv(Gamma0))


@pytest.mark.parametrize("basis", tasks.BASES)
def test_prompts_have_their_covariance(basis: str) -> None:
    """Means over many prompts of S, 6 standard errors of an entry of a Wishart matrix at most."""
    task = tasks.shifted_task(6, 2, basis)
    shift = task.factor @ task.factor.mT
    seen = tasks.training_prompts(task, 30, 400, 10, 1, KIND)
    P = torch.eye(6, 2).double() if seen.basis is None else seen.basis
    S = (P @ seen.core.mean((0, 1)) @ P.mT, shift)
    test = list(tasks.test_prompts(task, 30, 400, 10, 1, KIND))
    S_test = (torch.cat([part.core for part in test], dim=1).mean((0, 1)), task.Sigma)
    for found, wanted in (S, S_test):
        scale = wanted.diagonal()
        error = ((wanted.square() + scale[:, None] * scale) / (30 * 4000)).sqrt()
        assert ((found - wanted).abs() <= 6 * error + 1e-12).all()
    assert float(seen.w.square().mean()) == pytest.approx(1, abs=6 * (2 / seen.w.numel()) ** 0.5)


@pytest.mark.parametrize("basis", tasks.BASES)
def test_draws_are_common_to_configurations(basis: str) -> None:
    task = tasks.shifted_task(6, 2, basis)
    few, many = (tasks.training_prompts(task, 40, B, 2, 3, KIND) for B in (7, 45))
    torch.testing.assert_close(few.core, many.core[:, :7], rtol=0, atol=0)
    torch.testing.assert_close(few.w, many.w[:, :7], rtol=0, atol=0)
    # The features of shorter prompts are those of longer ones: S moves by what the other columns add.
    short = tasks.training_prompts(task, 30, 7, 2, 3, KIND)
    rest = few.core * 40 - short.core * 30
    assert float(torch.linalg.eigvalsh(rest).min()) > -1e-10
    torch.testing.assert_close(short.w, few.w, rtol=0, atol=0)
    single = tasks.training_prompts(task, 40, 7, 2, 3, (CPU, torch.float32))
    torch.testing.assert_close(single.core.double(), few.core, rtol=1e-5, atol=1e-5)
    other = tasks.training_prompts(task, 40, 7, 2, 4, KIND)
    assert not torch.equal(other.w, few.w)


def test_streams_of_a_seed_differ() -> None:
    first = [
        torch.rand(1, generator=tasks.generator(s, name, 0, CPU)) for s in (0, 1) for name in tasks.STREAMS
    ]
    assert len({float(x) for x in first}) == len(first)


@pytest.mark.parametrize("basis", tasks.BASES)
@pytest.mark.parametrize("B", [1, 12])
def test_closed_form_is_that_of_the_minimiser(basis: str, B: int) -> None:
    task = tasks.shifted_task(10, 2, basis)
    seen = tasks.training_prompts(task, 30, B, 2, 0, KIND)
    inverse = tasks.initial_inverse(task, 30)
    start = [x.expand(2, 10, 10) for x in (-torch.diag(inverse), torch.eye(10).double())]
    columns = layer.columns_of(start, seen)
    V, W = four.with_columns(start, [four.closed_form(columns[0], seen, 0.4), columns[1]], seen)
    P = torch.eye(10, 2).double() if seen.basis is None else seen.basis
    for run in range(2):
        Omega = seen.w[run].mT.contiguous()
        Phi = (P @ seen.times(seen.onto(seen.w))[run].mT).contiguous()
        wanted = sft.sft_minimiser(Omega, Phi, torch.diag(inverse), 0.4)
        torch.testing.assert_close(V[run], wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(W, start[1])


@pytest.mark.parametrize("basis", tasks.BASES)
@pytest.mark.parametrize("loss", four.LOSSES)
def test_full_layer_starts_where_the_reduced_one_does(basis: str, loss: str) -> None:
    reduced, full = (
        four.run(SMALL | {"basis": basis, "loss": loss, "model": model, "epochs": 0}, 0, CPU)
        for model in four.MODELS
    )
    assert full["initial"] == pytest.approx(reduced["initial"], rel=1e-12)
    assert full["test"] == pytest.approx(full["initial"], rel=1e-12)
    assert full["training_loss"][0] == pytest.approx(reduced["training_loss"][0], rel=1e-12)


def test_test_error_is_the_risk_of_the_closed_form() -> None:
    """Mean over many test prompts against eq. (5.1), within 6 standard errors."""
    task = tasks.shifted_task(10, 2, "diagonal")
    V = -torch.diag(tasks.initial_inverse(task, 30))
    weights = [x.expand(4, 10, 10) for x in (V, torch.eye(10).double())]
    tests = four.prompts_for_test(10, 2, "diagonal", 15, 1000, 4, 0, KIND)
    found = four.test_error(weights, tests, 1)
    wanted = float(sft.risk(V, task.Sigma, 15))
    errors = torch.cat([(layer.reduced_outcome(weights, x, 1) - x.w).square().sum(-1) for x in tests], dim=1)
    assert abs(float(found.mean()) - wanted) < 6 * float(errors.std()) / math.sqrt(errors.numel())


@pytest.mark.parametrize("model", four.MODELS)
@pytest.mark.parametrize("loss", four.LOSSES)
def test_results(model: str, loss: str) -> None:
    config = SMALL | {"model": model, "loss": loss, "batch": 5}
    found = four.run(config, 0, CPU)
    assert found == json.loads(json.dumps(found)) == four.run(config, 0, CPU)
    assert found != four.run(config, 1, CPU)
    assert len(found["training_loss"]) == 6
    assert all(len(found[name]) == 3 for name in ("test", "initial"))
    assert ("off_pattern" in found) == (model == "full")
    assert ("converged" in found) == (model == "reduced")
    assert ("closed" in found) == (model == "reduced" and loss == "sft")
    for first, last in zip(found["training_loss"][0], found["training_loss"][-1], strict=True):
        assert last < first


def test_the_full_layer_leaves_the_pattern() -> None:
    found = four.run(SMALL | {"model": "full"}, 0, CPU)
    assert all(share > 0.1 for share in found["off_pattern"])


def test_cells_are_the_panels() -> None:
    cells = four.cells()
    assert all(four.checked(cell) == cell for cell in cells)
    assert len({json.dumps(cell, sort_keys=True) for cell in cells}) == len(cells)
    for axis, values in four.GRIDS["paper"].items():
        others = {name: four.DEFAULTS[name] for name in ("B", "n", "k", "n_pre", "n_test") if name != axis}
        panel = [c for c in cells if all(c[name] == value for name, value in others.items())]
        for loss in four.LOSSES:
            chosen = [c[axis] for c in panel if c["loss"] == loss and c["model"] == "full"]
            assert sorted(chosen) == sorted({*values, four.DEFAULTS[axis]})
    only = four.cells("quick", loss="os", model="full", eta=0.5)
    assert {(c["loss"], c["model"], c["eta"], c["d"]) for c in only} == {("os", "full", 0.5, 20)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"d": 0}, "d=0: must be an integer of at least 1"),
        ({"batch": -1}, "batch=-1: must be an integer of at least 0"),
        ({"loss": "rl"}, "loss='rl': must be one of sft, os"),
        ({"eta": 1.5}, "eta=1.5: must lie in"),
        ({"basis": 3}, "basis=3: must be one of diagonal, rotated"),
        ({"rank": 11, "d": 10}, "rank=11: must be at most d = 10"),
        ({"colour": "red"}, "settings unknown or missing: colour"),
        ({"lr": float("nan")}, "lr=nan: must be positive"),
        ({"dtype": "float16"}, "dtype='float16': must be one of float64, float32"),
    ],
)
def test_bad_settings(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(")):
        four.cells(**wrong)
    with pytest.raises(ArgumentError):
        four.run(four.DEFAULTS | wrong, 0, CPU)


def test_bad_profile_and_missing_setting() -> None:
    with pytest.raises(ArgumentError, match="profile='huge': must be one of paper, quick"):
        four.cells("huge")
    with pytest.raises(ArgumentError, match="settings unknown or missing: eta"):
        four.run({name: value for name, value in four.DEFAULTS.items() if name != "eta"}, 0, CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_devices_agree() -> None:
    """Streams differ between devices, so that the prompts are drawn here and trained on there."""
    task = tasks.shifted_task(10, 2, "rotated")
    seen = tasks.training_prompts(task, 30, 12, 3, 0, KIND)
    there = seen._replace(core=seen.core.cuda(), w=seen.w.cuda(), basis=seen.basis.cuda())  # type: ignore[union-attr]
    weights = four.whole_layer([torch.randn(3, 10, 10).double() for _ in range(2)])
    for loss in (layer.full_outcome_loss, lambda w, s, k: layer.full_sft_loss(w, s, k, 0.3)):
        here, away = loss(weights, seen, 3), loss([x.cuda() for x in weights], there, 3)
        torch.testing.assert_close(away.cpu(), here, rtol=1e-9, atol=0)
