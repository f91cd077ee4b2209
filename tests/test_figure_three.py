"""Figure 3: what is read off its panels, with findings planted; its files, its command line."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from numerics.experiments import figure_three as experiment
from theory.errors import ArgumentError
from verify.checks import figure_three as claims
from verify.cli import app
from verify.output import figure_three as view
from verify.output.figure_files import figure_files

CONFIG = experiment.cells("small")[0]
Law = Callable[[str, int, int, int], float]


def planted(law: Law, noise: float = 0.01, pretrained: float = 0.4, seeds: int = 6) -> list[dict[str, Any]]:
    """Results in which the error over that of ŵ = 0 is law(loss, B, n, k) times e^noise, a run a seed.

    After another number of steps than k_test it is twice as much, on prompts of another length three times.
    """
    rng, d, steps = np.random.default_rng(0), CONFIG["d"], CONFIG["k_pre"]
    found = []
    for _ in range(seeds):
        points = []
        for point in experiment.points(CONFIG):
            error = d * law(point["loss"], point["B"], point["n"], point["k"]) * np.exp(noise * rng.normal())
            test = [error if i == CONFIG["k_test"] else 2 * error for i in range(1, steps + 1)]
            other = test if point["n"] == CONFIG["n"] else [3 * e for e in test]
            points.append(point | {"test": [test], "test_centre": [other], "train": [[1.0], [0.5]]})
        start = {"pre_lengths": [[d * 1.0] * (steps - 1) + [d * pretrained]]}
        start["test"] = {str(n): [[d * 0.5] * steps] for n in CONFIG["n_grid"]}  # type: ignore[assignment]
        found.append({"parameters": 1, "pretrained": start, "points": points})
    return found


def as_claimed(loss: str, B: int, n: int, k: int) -> float:
    """Every claim of the caption."""
    if loss == "sft":
        return 0.1 * float(np.exp(np.log(B / 64) ** 2 / 20 + np.log(n / 8) ** 2))
    return B**-0.1 * n**-0.5 * k**0.3


def opposite(loss: str, B: int, n: int, k: int) -> float:
    """None of them."""
    if loss == "sft":
        return B**-0.1 / n * k**0.5
    return B**0.1 * n**0.2 * k**-0.3


@pytest.mark.parametrize(("law", "outcome"), [(as_claimed, "supported"), (opposite, "not supported")])
def test_planted_trends_are_found(law: Law, outcome: str) -> None:
    found = claims.judge(planted(law), CONFIG)
    assert [(f.panel, f.claim) for f in found] == [
        *[("a", "falls, then rises"), ("b", "falls, then rises"), ("c", "is flat")],
        *[("d", "falls"), ("e", "falls"), ("f", "rises")],
    ]
    assert [f.outcome for f in found] == [outcome] * 6


def test_noise_is_not_settled_and_no_trend_is_no_claim() -> None:
    loud = claims.judge(planted(lambda *_: 0.3, noise=1.0), CONFIG)
    assert {f.outcome for f in loud} == {"cannot be settled"}
    quiet = claims.judge(planted(lambda *_: 0.3, noise=1e-4), CONFIG)
    assert [f.outcome for f in quiet] == [*["not supported"] * 2, "supported", *["not supported"] * 3]


def test_a_decoder_that_has_not_learned_settles_nothing() -> None:
    results = planted(as_claimed)
    results[3]["pretrained"]["pre_lengths"][0][-1] = 0.51 * CONFIG["d"]
    gate = claims.gate(results, CONFIG)
    assert not gate.passed
    assert "worst of 6 runs 0.510): not at most 0.5" in str(gate)
    assert {f.outcome for f in claims.judge(results, CONFIG)} == {"cannot be settled"}
    assert claims.gate(planted(as_claimed, pretrained=0.5), CONFIG).passed


def test_numbers_of_a_finding() -> None:
    """A slope, a turning point and its gains, as planted."""
    found = {f.panel: f.measured for f in claims.judge(planted(as_claimed, noise=1e-9), CONFIG)}
    assert found["d"] == "error × 2^(-0.100 ± 0.000) per doubling of B, last/first 0.478"
    assert found["f"].startswith("error × 2^(+0.300")
    assert found["b"].startswith("least inside at n = 9; over it, first 1.23 (1.23 to 1.23), last 1.59")


def test_alternative_readings() -> None:
    results = planted(as_claimed, noise=0.0)
    plain, other = (claims.panel(results, CONFIG, "os", "n", own) for own in ("", "length"))
    np.testing.assert_allclose(
        other.errors[plain.at != CONFIG["n"]], 3 * plain.errors[plain.at != CONFIG["n"]]
    )
    plain, other = (claims.panel(results, CONFIG, "os", "k", own) for own in ("", "steps"))
    np.testing.assert_allclose(other.errors[plain.at != 3], 2 * plain.errors[plain.at != 3])
    np.testing.assert_array_equal(other.errors[plain.at == 3], plain.errors[plain.at == 3])
    assert plain.at.tolist() == CONFIG["k_grid"]
    with pytest.raises(ArgumentError, match="at least 2 for an interval"):
        claims.judge(results[:1], CONFIG)


def test_intervals_are_students() -> None:
    """Of the mean of 1, 2, 3: 2 ± 4.3027/√3; of two columns at once 6.2053/√3, t at 0.9875 (tables)."""
    column = np.array([[1.0], [2.0], [3.0]])
    for samples, t in ((column, 4.30265), (np.hstack([column, column]), 6.20535)):
        means, halves = claims.intervals(samples)
        np.testing.assert_allclose(means, 2)
        np.testing.assert_allclose(halves, t / 3**0.5, rtol=1e-5)


@cache
def trained() -> view.Results:
    pytest.importorskip("transformers", reason="needs the extra gpt2")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = experiment.cells("tiny")[0]
    found = [experiment.run(config, seed, torch.device("cpu")) for seed in range(2)]
    torch.set_num_threads(threads)
    return view.Results(config, found)


def test_six_panels_and_every_run_in_the_csv(tmp_path: Path) -> None:
    results = trained()
    paths = figure_files("fig3", tmp_path)
    assert [path.name for path in paths] == ["fig3.png", "fig3.pdf", "fig3.csv"]
    view.write(results, paths)
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1].read_bytes().startswith(b"%PDF")
    axes = view.draw(results).axes
    assert [a.get_title()[:3] for a in axes] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    assert all("cannot be settled" in a.get_title() for a in axes)
    with paths[2].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * len(results.found[0]["points"])
    point = results.found[1]["points"][3]
    row = rows[2 * len(results.found[0]["points"]) + 2 * 3 + 1]
    assert [row[name] for name in ("loss", "B", "n", "k", "seed", "run")] == ["sft", "8", "3", "3", "1", "1"]
    assert float(row["test_3"]) == point["test"][1][2] / 5
    assert float(row["centre_length"]) == point["test_centre"][1][2] / 5
    assert float(row["before"]) == results.found[1]["pretrained"]["test"]["3"][1][2] / 5


def test_lines_say_the_gate_and_every_claim() -> None:
    lines = view.Results(CONFIG, planted(as_claimed)).lines
    assert lines[0].startswith("pretrained risk on pretraining data 0.400 of the zero predictor's (worst")
    assert lines[1] == "pretrained risk on test data 0.500 of the zero predictor's"
    assert [line[:3] for line in lines[2:]] == [f"({x})" for x in "abcdefbecf"]
    assert all(": supported; " in line for line in lines[2:8])


def test_collecting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra gpt2")
    settings: dict[str, Any] = {"profile": "tiny", "store": tmp_path / "x.sqlite", "runs": 2, "sft_steps": 1}
    first = view.collect(lambda share: None, 1, "cpu", **settings)
    shares: list[float] = []
    again = view.collect(shares.append, 1, "cpu", **settings)
    assert again.found == first.found
    assert len(first.found) == 2
    assert shares[-1] == 1
    assert len(shares) <= 2


def test_without_transformers_the_command_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(SystemExit) as ended:
        app(["figure", "3", "--out", "."])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: model='gpt2': needs `pip install 'lsatheory[gpt2]'`\n"


def test_command_prints_what_came_out_and_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[Any, ...]] = []

    def collect(progress, workers, device, profile, runs, **settings):  # type: ignore[no-untyped-def]
        asked.append((workers, device, profile, runs, settings))
        return view.Results(CONFIG, planted(as_claimed))

    monkeypatch.setattr(view, "collect", collect)
    words = ["--profile", "small", "--runs", "6", "--device", "cpu", "--workers", "1"]
    with pytest.raises(SystemExit) as ended:
        app(["figure", "fig-3", "--out", str(tmp_path / "x.pdf"), *words])
    assert not ended.value.code
    assert asked == [(1, "cpu", "small", 6, {})]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:-2] == view.Results(CONFIG, planted(as_claimed)).lines
    assert lines[-2:] == [str(tmp_path / name) for name in ("x.pdf", "x.csv")]
