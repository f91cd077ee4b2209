"""Figure 4: its curves, its files, its command line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from numerics.experiments import figure_four as experiment
from theory.errors import ArgumentError
from theory.proportional import sft_risk_limit
from verify.cli import app
from verify.output import figure_four as view
from verify.output import figure_four_data as data
from verify.output.figure_files import figure_files, write_table

TINY = {"d": 10, "rank": 2, "epochs": 3, "runs": 3, "test_prompts": 20, "iterations": 20}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def results(basis: str = "diagonal") -> list[data.Result]:
    cells = experiment.cells("quick", basis=basis, **TINY)
    return [(config, experiment.run(config, 0, torch.device("cpu"))) for config in cells]


@pytest.mark.parametrize("basis", ["diagonal", "rotated"])
def test_six_panels(basis: str, tmp_path: Path) -> None:
    drawn = view.draw(results(basis))
    assert [axes.get_title()[:3] for axes in drawn.axes] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    for axes, (loss, axis) in zip(drawn.axes, view.PANELS, strict=True):
        labels = axes.get_legend_handles_labels()[1]
        assert {"Adam, all weights", "L-BFGS"} <= set(labels)
        limits = "exact limit of Theorem 4.1" in labels
        assert limits == (loss == "sft" and basis == "diagonal")
        assert axes.get_xscale() == ("linear" if axis == "k" else "log")
    paths = view.write(results(basis), figure_files("fig4", tmp_path))
    assert [path.name for path in paths] == ["fig4.png", "fig4.pdf", "fig4.csv"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    assert paths[1].read_bytes().startswith(b"%PDF")


def test_csv_has_every_run(tmp_path: Path) -> None:
    write_table(data.rows(results()), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * len(results())
    config, result = results()[5]
    mine = [row for row in rows if all(row[name] == str(config[name]) for name in data.SETTINGS)]
    assert [float(row["test"]) for row in mine] == result["test"]
    assert [float(row["loss_last"]) for row in mine] == result["training_loss"][-1]


def test_curves_vary_one_thing() -> None:
    curve = data.panel(results(), "sft", "reduced", "B")
    assert curve is not None
    assert curve.at.tolist() == [4, 8, 16, 64]
    others = {"loss": "sft", "model": "reduced", "k": 4, "n": 40, "n_pre": 0}
    chosen = {c["B"]: r for c, r in results() if others.items() <= c.items()}
    wanted = np.array([chosen[B]["test"] for B in (4, 8, 16, 64)])
    np.testing.assert_array_equal(curve.values, wanted)
    np.testing.assert_allclose(curve.mean, wanted.mean(1))
    np.testing.assert_allclose(curve.error, wanted.std(1, ddof=1) / 3**0.5)
    alone = data.panel(results(), "os", "full", "n", alone=True)
    assert alone is not None
    assert alone.at.tolist() == [10, 40, 160]
    assert data.panel(results(), "os", "full", "n", "converged") is None
    assert view.without_spike(curve, 8).at.tolist() == [4, 16, 64]


def test_limit_is_that_of_the_levels() -> None:
    """Two ways to write the blocks, also where Δ reaches beyond the low part of Σ₀."""
    config = experiment.DEFAULTS | {"basis": "diagonal", "rank": 50, "n": 200, "n_pre": 80, "n_test": 50}
    levels = {"weights": [0.5, 0.2, 0.3], "post": [0, 1, 1], "pre": [1, 0.1, 1], "test": [1, 1.1, 2]}
    ratios = {"aspect": 0.5, "aspect_pre": 1.25, "aspect_test": 2.0}
    wanted = 100 * float(sft_risk_limit(beta=2.0, eta=0.2, **ratios, **levels))
    assert data.exact_limit(config) == pytest.approx(wanted, rel=1e-12)
    for other in ({"loss": "os"}, {"basis": "rotated"}, {"B": 50}):
        assert data.exact_limit(config | other) is None


def test_closed_form_is_near_the_limit() -> None:
    """The mean of 20 closed forms at d = 40 and B well above the rank, within 4 % of the limit: finite d, and
    100 test prompts a run."""
    settings = {"d": 40, "rank": 8, "n": 80, "B": 60, "runs": 20, "epochs": 0, "iterations": 0}
    config = experiment.DEFAULTS | {"basis": "diagonal"} | settings
    found = experiment.run(config, 0, torch.device("cpu"))
    limit = data.exact_limit(config)
    assert limit is not None
    assert float(np.mean(found["closed"])) == pytest.approx(limit, rel=0.04)


def test_collecting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    shares: list[float] = []
    store = tmp_path / "store.sqlite"
    settings = {"profile": "quick", "store": store, "model": "reduced", "loss": "sft", **TINY}
    first = data.collect(shares.append, 1, "cpu", **settings)  # type: ignore[arg-type]
    assert shares[-1] == 1
    shares.clear()
    again = data.collect(shares.append, 1, "cpu", **settings)  # type: ignore[arg-type]
    assert again == first
    assert len(shares) <= 2


def test_command_prints_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict[str, object]] = []

    def collect(progress, workers, device, profile, **settings):  # type: ignore[no-untyped-def]
        asked.append({"device": device, **settings})
        return results()

    monkeypatch.setattr(data, "collect", collect)
    with pytest.raises(SystemExit) as ended:
        app(["figure", "fig-4", "--out", str(tmp_path / "x.png"), "--runs", "3", "--device", "cpu"])
    assert not ended.value.code
    assert asked == [{"device": "cpu", "runs": 3}]
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in ("x.png", "x.csv")]
    with pytest.raises(ArgumentError, match="out="):
        figure_files("fig4", tmp_path / "no" / "x.png")
