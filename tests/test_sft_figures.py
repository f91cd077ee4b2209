"""Figures 1, 2 and 5: their settings, the window without means, the drawing, the files, bad input."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_figures import figure1_setting

from theory.errors import ArgumentError
from verify.cli import app
from verify.output import sft_data as data
from verify.output import sft_figures as view
from verify.output import sft_rows
from verify.output.figure_files import write_table
from verify.output.sft_data import Sample, Task


def silent(share: float) -> None:
    assert 0 <= share <= 1 + 1e-12


def figure1() -> data.Figure1:
    return data.figure1(silent, 1, lengths=(20, 60), levels=(0.0, 0.1), d=20, B_max=60, realizations=3)


def figure2() -> data.Figure2:
    return data.figure2(
        silent,
        1,
        lengths=(20, 40, 80),
        role_lengths=(20, 80),
        other=40,
        levels=(0.0, 0.1),
        counts=(3, 8, 15, 30),
        d=20,
        realizations=3,
    )


def figure5() -> data.Figure5:
    return data.figure5(silent, 1, lengths=(40, 80), d=20, B_max=40, counts=(30, 3, 10), realizations=3)


def test_shapes_of_the_data() -> None:
    one, two, five = figure1(), figure2(), figure5()
    assert [(task.r, task.n) for task in one.tasks] == [(0.0, 20), (0.0, 60), (0.1, 20), (0.1, 60)]
    assert [sample.errors.shape for sample in one.samples] == [(3, 60)] * 4
    assert [sample.rank for sample in one.samples] == [10, 10, 20, 20]
    assert {key: [n for n, _ in points] for key, points in two.points.items()} == {
        (role, r): [20, 40, 80] if role == "all" else [20, 80]
        for r in (0.0, 0.1)
        for role in ("all", *data.ROLES)
    }
    assert {s.errors.shape for points in two.points.values() for _, s in points} == {(3, 4)}
    assert [s.errors.shape for s in five.samples + five.first_order] == [(3, 40)] * 2 + [(3, 3)] * 2
    assert five.first_order[0].counts.tolist() == [3, 10, 30]
    for sample in (*one.samples, *five.samples, *five.first_order):
        assert (sample.errors > 0).all()
        assert len(np.unique(sample.errors[:, 0])) == 3


def test_setting_is_the_papers() -> None:
    for r in (0.0, 0.01):
        mine, other = Task(r, 800).simulated, figure1_setting(800, r)
        for name in ("A", "Sigma0", "Sigma"):
            assert torch.allclose(getattr(mine, name), getattr(other, name), rtol=1e-14, atol=0)
        assert (mine.eta, mine.n, mine.n_pre, mine.n_test) == (0.2, 800, 800, 800)


@pytest.mark.parametrize("role", ["all", *data.ROLES])
def test_simulation_and_limit_have_the_same_setting(role: str) -> None:
    base = Task(0.1, 80, d=80, m=40)
    task = data.with_length(base, role, 300)
    counts = np.array([30, 160])
    sample = data.curves([task], counts, 20, 0, 1, silent)[0]
    # Off by O(1/d): within 5 %.  With the length in another role it is off by more.
    assert np.abs(sample.mean / task.limit(counts) - 1).max() < 0.05
    for other in {"all", *data.ROLES} - {role}:
        wrong = data.with_length(base, other, 300).limit(counts)
        assert np.abs(sample.mean / wrong - 1).max() > 0.1


def test_first_order_limits_at_figure_5() -> None:
    task = Task(0.1, 1000, d=600, m=300)
    printed, corrected = (task.first_order_limit([300, 900], which) for which in (True, False))
    assert printed[0] / corrected[0] == pytest.approx(0.837, abs=1e-3)
    assert printed[1] == pytest.approx(corrected[1], rel=1e-12)
    small = Task(0.1, 200, d=60, m=30)
    counts = np.array([30, 120])
    sample = data.first_order([small], counts, 20, 0, 1, silent)[0]
    assert np.abs(sample.mean / small.first_order_limit(counts, False) - 1).max() < 0.06
    assert abs(sample.mean[0] / small.first_order_limit(counts, True)[0] - 1) > 0.1


def test_means_leave_the_window_out() -> None:
    counts = np.arange(1, 21)
    errors = np.random.default_rng(0).uniform(1, 2, (5, 20))
    window = np.abs(counts - 10) <= 3
    errors[0, window] = np.inf
    sample = Sample(10, counts, errors)
    assert np.isnan(sample.mean).tolist() == window.tolist()
    assert np.isnan(sample.standard_error).tolist() == window.tolist()
    assert (sample.mean[~window] == errors[:, ~window].mean(0)).all()
    middle, error = sample.deviation(np.full(20, 1.5))
    assert np.isnan(middle).tolist() == np.isnan(error).tolist() == window.tolist()
    assert middle[0] == pytest.approx(1.5 / errors[:, 0].mean() - 1)
    assert error[0] == pytest.approx(1.5 / errors[:, 0].mean() ** 2 * errors[:, 0].std(ddof=1) / 5**0.5)
    assert np.isfinite(sample.quantile(0.5)).all()
    assert sample.at([3, 18]).counts.tolist() == [3, 18]


@pytest.mark.parametrize("draw", [figure1, figure5])
def test_no_deviation_is_drawn_in_the_window(draw: Callable[[], Any]) -> None:
    drawn = getattr(view, draw.__name__)(draw())
    for panel, rank in zip(drawn.axes[2:], (10, 20) if draw is figure1 else (20, 20), strict=True):
        places = [np.asarray(line.get_xdata(), dtype=float) for line in panel.lines]
        curves = [
            at for at, line in zip(places, panel.lines, strict=True) if line.get_color() in view.COLOURS
        ]
        assert len(curves) > 1
        for at in curves:
            assert np.abs(at - rank).min() > 3


def test_numbers_do_not_depend_on_the_processes() -> None:
    tasks = [Task(0.1, 20, d=6, m=3), Task(0.0, 20, d=6, m=3)]
    counts = np.array([1, 4, 9])
    alone, pair = (data.curves(tasks, counts, 2, 7, workers, silent) for workers in (1, 2))
    assert [s.errors.tolist() for s in alone] == [s.errors.tolist() for s in pair]


@pytest.mark.parametrize(
    ("figure", "suffix", "start"),
    [(figure1, ".png", b"\x89PNG"), (figure2, ".svg", b"<?xml"), (figure5, ".pdf", b"%PDF")],
)
def test_files(figure: Callable[[], Any], suffix: str, start: bytes, tmp_path: Path) -> None:
    drawn = getattr(view, figure.__name__)(figure())
    once, again = tmp_path / f"once{suffix}", tmp_path / f"again{suffix}"
    view.save(drawn, [once])
    view.save(drawn, [again])
    assert once.read_bytes().startswith(start)
    assert once.read_bytes() == again.read_bytes()


def test_where_a_figure_goes(tmp_path: Path) -> None:
    assert view.outputs(5, tmp_path) == [tmp_path / f"fig5{suffix}" for suffix in (".png", ".pdf", ".csv")]
    assert view.outputs(1, tmp_path / "x.svg") == [tmp_path / "x.svg", tmp_path / "x.csv"]


def test_tables_have_what_is_drawn(tmp_path: Path) -> None:
    for figure in (figure1, figure2, figure5):
        found: Any = figure()
        write_table(sft_rows.rows(found), tmp_path / "rows.csv")
        with (tmp_path / "rows.csv").open(encoding="utf-8") as file:
            read = list(csv.DictReader(file))
        first = [row for row in read if row["model"] == "minimiser"]
        if figure is figure2:
            ((_, points), *_) = found.points.items()
            (n, sample), counts = points[0], (3, 8, 15, 30)
            assert {(row["n_post"], row["n_pre"]) for row in first} >= {
                ("20", "40"),
                ("40", "20"),
                ("20", "20"),
            }
            limit = data.with_length(found.tasks[0], "all", n).limit(sample.counts)
        else:
            sample = found.samples[0].at(sft_rows.drawn(found.samples[0]))
            counts = sample.counts
            assert {*range(1, 41)} <= {*counts} <= {*range(1, 41), 45, 50, 55, 60}
            limit = found.tasks[0].limit(counts)
        for place, B in enumerate(counts):
            row = first[place]
            assert row["B"] == str(B)
            assert float(row["q50"]) == pytest.approx(np.median(sample.errors[:, place]), rel=1e-6)
            assert float(row["limit"]) == pytest.approx(limit[place], rel=1e-6)
            assert (row["mean"] == "") == (abs(B - sample.rank) <= 3)
        ours = [row for row in read if row["model"] == "first order"]
        assert len(ours) == (6 if figure is figure5 else 0)
        if ours:
            F = found.tasks[0].first_order_limit(found.first_order[0].counts, printed=True)
            assert [float(row["F_printed"]) for row in ours[:3]] == pytest.approx(F.tolist(), rel=1e-6)
            assert float(ours[0]["mean"]) == pytest.approx(found.first_order[0].mean[0], rel=1e-6)


def test_command_prints_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = figure1()
    monkeypatch.setattr(data, "figure1", lambda progress, workers, realizations: small)
    with pytest.raises(SystemExit) as ended:
        app(["figure", "1", "--out", str(tmp_path)])
    assert not ended.value.code
    files = sorted(tmp_path.iterdir())
    assert capsys.readouterr().out.split() == [str(files[place]) for place in (2, 1, 0)]
    assert [file.name for file in files] == ["fig1.csv", "fig1.pdf", "fig1.png"]


def test_two_realizations_at_least() -> None:
    with pytest.raises(ArgumentError, match="realizations=1: must be an integer of at least 2"):
        data.curves([Task(0.1, 20, d=6, m=3)], np.array([1]), 1, 0, 1, silent)
