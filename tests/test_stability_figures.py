"""``lsatheory stability``: its table and figure, on a small setting, and its bad input."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from verify.cli import app
from verify.output import stability_figures as view


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STEPS", (1, 2)), ("LEVELS", (0.8, 0.2)), ("BALANCE_STEPS", (2,)), ("SETS", 2)):
        monkeypatch.setattr(view, name, value)


@pytest.mark.usefixtures("small")
def test_table_and_figure(tmp_path: Path) -> None:
    figure = tmp_path / "figure.png"
    found = CliRunner().invoke(app, ["stability", "--d", "2", "--n", "8", "--out", str(figure)])
    assert found.exit_code == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    # At k = 1 both losses are quadratic: the measured steps are 2/λ_max and Theorem 4.2's.
    (row,) = (line for line in found.stdout.splitlines() if line.startswith("│ 1"))
    _, quadratic, limit, _, _, bound, taught, _ = (cell.strip() for cell in row.strip("│").split("│"))
    assert float(limit) == pytest.approx(float(quadratic), rel=0.04)
    assert float(taught) == pytest.approx(float(bound), rel=0.04)


@pytest.mark.parametrize(
    "arguments",
    [["--d", "3"], ["--d", "0"], ["--n", "0"], ["--out", "figure.txt"], ["--out", "no/figure.png"]],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments: list[str]) -> None:
    found = CliRunner().invoke(app, ["stability", *arguments])
    assert found.exit_code == 2
    assert found.stdout == ""
    assert found.stderr.startswith(f"error: {arguments[0].strip('-')}=")
    assert found.stderr.count("\n") == 1
