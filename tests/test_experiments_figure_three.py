"""Figure 3's experiment: the decoder, its prompts and losses, the curriculum, and a run that is resumed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from numerics import checkpoints
from numerics.errors import ArgumentError
from numerics.experiments import figure_three as experiment
from numerics.gpt2 import losses, prompts, training
from numerics.gpt2.model import Decoder, Ensemble, Size, count_parameters, estimate_token

pytest.importorskip("transformers", reason="needs the extra gpt2")
CPU = torch.device("cpu")
SIZE = Size(d=3, layers=2, heads=2, width=8, positions=20)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model() -> Ensemble:
    """Two decoders whose weights are large enough that every path through them counts."""
    found = Ensemble(SIZE, [1, 2], CPU, torch.float64)
    with torch.no_grad():
        for w in found.weights.values():
            w += 0.3 * torch.randn(w.shape, dtype=w.dtype, generator=torch.Generator().manual_seed(0))
    return found


@pytest.fixture(scope="module")
def batch() -> prompts.Batch:
    return source().draw(2, 4, 5, torch.Generator().manual_seed(3))


def source(dtype: torch.dtype = torch.float64) -> prompts.Source:
    scale = torch.tensor([0.5, 1.0, 2.0], dtype=dtype)
    return prompts.Source(scale, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=dtype))


def test_the_paper_s_decoder_has_its_parameters() -> None:
    """9.5M: 12 layers of 12w² + 13w, two norms' worth at the end, positions, and the maps in and out."""
    size = experiment.size_of(experiment.cells()[0])
    w, d = 256, 20
    assert (size.layers, size.heads, size.width, size.d) == (12, 8, w, d)
    layers = 12 * (12 * w**2 + 13 * w) + 2 * w
    maps = (d + 1) * w + w + w * d + d
    assert count_parameters(size) == layers + size.positions * w + maps
    assert count_parameters(size) == pytest.approx(9.5e6, rel=0.01)


def test_tokens_are_examples_then_estimates() -> None:
    X = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    found = prompts.Batch(X, torch.tensor([[[10.0, 1.0]]])).start()
    wanted = [[1, 2, 0], [12, 0, 0], [3, 4, 0], [34, 0, 0], [0, 0, 1]]
    assert found[0, 0].tolist() == wanted
    assert estimate_token(torch.tensor([5.0, 6.0])).tolist() == [5, 6, 1]


def test_runs_are_decoders_of_their_own(model: Ensemble, batch: prompts.Batch) -> None:
    tokens = batch.start()
    for run in range(2):
        one = Decoder(SIZE).double()
        one.load_state_dict({name: w[run] for name, w in model.weights.items()}, strict=True)
        for steps in (0, 3):
            torch.testing.assert_close(model(tokens, steps)[run], one(tokens[run], steps), rtol=0, atol=1e-12)
    value = losses.sft_loss(model, batch, 0.5, 2)
    gradients = torch.autograd.grad(value[0], list(model.weights.values()))
    assert all(not g[1].any() for g in gradients)
    assert all(g[0].any() for g in gradients)


def test_generation_is_the_whole_sequence_anew_at_every_step(model: Ensemble, batch: prompts.Batch) -> None:
    """Kept keys and values change neither the estimates nor the gradient."""
    tokens, found = batch.start(), []
    for _ in range(3):
        found.append(model(tokens)[..., -1, :])
        tokens = torch.cat([tokens, estimate_token(found[-1])[..., None, :]], dim=-2)
    torch.testing.assert_close(model(batch.start(), 3), torch.stack(found, dim=-2), rtol=0, atol=1e-12)
    wanted = (found[-1] - batch.w).square().sum((-2, -1)) / (2 * 4)
    value = losses.outcome_loss(model, batch, 3)
    torch.testing.assert_close(value, wanted)
    weights = list(model.weights.values())
    pairs = zip(
        torch.autograd.grad(value.sum(), weights), torch.autograd.grad(wanted.sum(), weights), strict=True
    )
    for mine, other in pairs:
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-12)
    every = losses.step_errors(model, batch, 3)
    torch.testing.assert_close(losses.risks(model, batch, 3, at_once=3), every.mean(1))


@pytest.mark.parametrize("k", [0, 2])
def test_teacher_forcing_is_one_sequence_for_each_step(model: Ensemble, batch: prompts.Batch, k: int) -> None:
    eta, total = 0.3, torch.zeros(2, dtype=torch.float64)
    path = [(1 - (1 - eta) ** i) * batch.w for i in range(k + 2)]
    for i in range(k + 1):
        seen = [batch.tokens(), *(estimate_token(w)[..., None, :] for w in path[: i + 1])]
        total += (model(torch.cat(seen, dim=-2))[..., -1, :] - path[i + 1]).square().sum((-2, -1)) / (2 * 4)
    torch.testing.assert_close(losses.sft_loss(model, batch, eta, k), total, rtol=1e-12, atol=0)


def test_a_sequence_too_long_is_told(model: Ensemble, batch: prompts.Batch) -> None:
    with pytest.raises(ArgumentError, match="a sequence of 21 tokens: must be at most 20"):
        model(batch.start(), 11)
    with pytest.raises(ArgumentError, match=r"width=8: must be a multiple of heads = 3"):
        Size(3, 1, 3, 8, 10)


def test_draws_are_prefixes_and_have_their_covariance() -> None:
    many = source().draw_set(2, 3000, 6, 5, "test")
    few = source().draw_set(2, 70, 6, 5, "test")
    assert torch.equal(few.X, many.X[:, :70])
    assert torch.equal(few.w, many.w[:, :70])
    assert not torch.equal(few.X, source().draw_set(2, 70, 6, 6, "test").X)
    assert not torch.equal(few.X, source().draw_set(2, 70, 6, 5, "train").X)
    x = many.X.reshape(-1, 3)
    wanted = torch.diag(source().scale ** 2) + source().factor @ source().factor.mT
    # Entries of 36000 draws: 5 standard deviations of a covariance of 5.
    torch.testing.assert_close(x.mT @ x / len(x), wanted, rtol=0, atol=5 * 5 * (2 / 36000) ** 0.5)
    assert float(many.w.square().mean()) == pytest.approx(1, abs=0.05)


def test_an_epoch_has_every_prompt_once() -> None:
    epoch = [prompts.minibatch(step, 2, 10, 4, 0, CPU) for step in range(6)]
    assert [part.shape[1] for part in epoch[:3]] == [4, 4, 2]
    for three in (epoch[:3], epoch[3:]):
        assert all(sorted(row) == list(range(10)) for row in torch.cat(three, dim=1).tolist())
    assert not torch.equal(epoch[0], epoch[3])
    assert prompts.minibatch(7, 2, 3, 4, 0, CPU).tolist() == [[0, 1, 2]] * 2


def test_the_curriculum_grows_as_in_garg() -> None:
    curriculum = experiment.curriculum_of(experiment.cells()[0])
    found = [curriculum.stage(step) for step in (0, 1999, 2000, 28_000, 30_000, 500_000)]
    assert found == [(5, 11), (5, 11), (6, 13), (19, 39), (20, 41), (20, 41)]
    seen = {curriculum.length(step, 0) for step in range(400)}
    assert seen == set(range(1, 12))
    with pytest.raises(ArgumentError, match="must be at most d = 20"):
        experiment.cells(d_start=21)


def test_the_learning_rate_rises_and_falls() -> None:
    how = training.Optimisation(100, 1, 0.5, "cosine", 10)
    assert how.rate(0) == pytest.approx(0.05)
    assert how.rate(50) == pytest.approx(0.25)
    assert how.rate(99) < 1e-3
    assert training.Optimisation(100, 1, 0.5).rate(99) == 0.5


def test_training_lowers_the_loss_of_every_run() -> None:
    model = Ensemble(SIZE, [1, 2], CPU, torch.float32)
    data = source(torch.float32).draw_set(2, 8, 5, 0, "train")
    how = training.Optimisation(60, 8, 3e-3)
    for loss in (lambda m, b: losses.sft_loss(m, b, 0.5, 1), lambda m, b: losses.outcome_loss(m, b, 2)):
        logged = torch.tensor(training.post_train(model, data, loss, how, 0))
        assert logged.shape == (60, 2)
        assert (logged[-1] < 0.8 * logged[0]).all()


def tiny(**settings: Any) -> dict[str, Any]:
    return experiment.cells("tiny", **settings)[0]


def test_a_run_says_what_was_measured() -> None:
    of = tiny()
    found = experiment.run(of, 0, CPU)
    assert found["parameters"] == count_parameters(experiment.size_of(of))
    assert [[p[name] for name in ("loss", "B", "n", "k")] for p in found["points"]] == [
        [loss, *point]
        for loss in ("sft", "os")
        for point in ([8, 4, 3], [2, 4, 3], [4, 4, 3], [8, 3, 3], [8, 6, 3], [8, 4, 1])
    ]
    for risk in (*(p[name] for p in found["points"] for name in ("test", "test_centre")),
                 *(found["pretrained"][name] for name in ("pre", "pre_lengths", "post"))):  # fmt: skip
        assert torch.tensor(risk).shape == (2, 4)
        assert (torch.tensor(risk) > 0).all()
    assert list(found["pretrained"]["test"]) == ["3", "4", "6"]
    assert experiment.run(of, 0, CPU) == found
    assert experiment.run(of, 1, CPU)["pretrained"] != found["pretrained"]


def test_post_trainings_start_from_the_pretrained_decoder() -> None:
    """With steps too small to matter they are where it was, at every point and on the same test prompts."""
    found = experiment.run(tiny(lr=1e-30), 0, CPU)
    for point in found["points"]:
        assert point["test"] == found["pretrained"]["test"][str(point["n"])]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [3, 5, 6, 20])
def test_resumed_it_ends_where_it_would_have(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any write, of pretraining or later."""
    of, file = tiny(runs=1, B_grid=[4], n_grid=[4]), tmp_path / "checkpoint"
    whole = experiment.run(of, 0, CPU)
    monkeypatch.setattr(training, "EVERY", 2)
    written, save = 0, checkpoints.save

    def save_some(path: Path, state: Any) -> None:
        nonlocal written
        written += 1
        if written > after:
            raise Killed
        save(path, state)

    monkeypatch.setattr(checkpoints, "save", save_some)
    with pytest.raises(Killed):
        experiment.run(of, 0, CPU, file)
    monkeypatch.setattr(checkpoints, "save", save)
    assert experiment.run(of, 0, CPU, file) == whole


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ArgumentError) as told:
        experiment.run(tiny(), 0, CPU)
    assert str(told.value) == "model='gpt2': needs `pip install 'lsatheory[gpt2]'`"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"profile": "huge"}, "profile='huge': must be one of paper, small, tiny"),
        ({"depth": 3}, "settings unknown or missing: depth"),
        ({"layers": 0}, "layers=0: must be an integer of at least 1"),
        ({"width": 100}, "width=100: must be a multiple of heads = 8"),
        ({"eta": 1.5}, r"eta=1.5: must lie in \(0, 1\]"),
        ({"lr": 0}, "lr=0: must be positive"),
        ({"dtype": "float16"}, "dtype='float16': must be one of float32, float64"),
        ({"basis": "skew"}, "basis='skew': must be one of"),
        ({"B_grid": 5}, "B_grid=5: must be a list of integers"),
        ({"k_grid": [1, 0]}, "k_grid=0: must be an integer of at least 1"),
        ({"n_grid": [50]}, "n_pre=41: must be at least 50"),
        ({"k_test": 9}, "k_test=9: must be at most k_pre = 8"),
        ({"pre_schedule": "wavy"}, "pre_schedule='wavy': must be one of constant, cosine"),
    ],
)
def test_bad_settings_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        experiment.cells(**settings)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_devices_agree(batch: prompts.Batch) -> None:
    values: list[Tensor] = []
    for device in ("cpu", "cuda"):
        model = Ensemble(SIZE, [1, 2], torch.device(device), torch.float64)
        moved = prompts.Batch(batch.X.to(device), batch.w.to(device))
        values.append(losses.outcome_loss(model, moved, 3).cpu())
    torch.testing.assert_close(values[0], values[1], rtol=1e-10, atol=0)
