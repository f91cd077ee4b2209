"""``lsatheory figure`` with bad input: one line that names it, before anything is computed."""

from __future__ import annotations

import pytest

from verify.cli import app


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["6", "--out", "."], "figure='6': must be 1, 2, 3, 4, 5 or fig-1, fig-2, fig-3, fig-4"),
        (["1", "--out", "x.txt"], "out='x.txt': must be an existing folder, or a .png, .pdf or .svg file"),
        (["1", "--out", "no/such/x.png"], "out='no/such/x.png': must be"),
        (["2", "--out", ".", "--workers", "0"], "workers=0: must be an integer of at least 1"),
        (["3", "--out", "x.txt"], "out='x.txt': must be an existing folder"),
        (["fig-3", "--out", ".", "--runs", "1"], "runs=1: must be an integer of at least 2"),
        (["3", "--out", ".", "--profile", "huge"], "profile='huge': must be one of paper, small, tiny"),
        (["3", "--out", ".", "--dtype", "int8"], "dtype='int8': must be one of float32, float64"),
        (["3", "--out", ".", "--device", "abacus"], "device='abacus': must be auto, cpu or"),
        (["1", "--out", ".", "--profile", "small"], "profile='small': must be left out"),
        (["four", "--out", "."], "figure='four': must be 1, 2, 3, 4, 5 or fig-1"),
        (["4", "--out", "x.txt"], "out='x.txt': must be an existing folder"),
        (["fig-4", "--out", ".", "--runs", "1"], "runs=1: must be an integer of at least 2"),
        (["4", "--out", ".", "--dtype", "int8"], "dtype='int8': must be one of float64, float32"),
        (["4", "--out", ".", "--device", "abacus"], "device='abacus': must be auto, cpu or"),
        (["4", "--out", ".", "--workers", "0"], "workers=0: must be an integer of at least 1"),
        (["fig-1", "--out", ".", "--runs", "1"], "runs=1: must be an integer of at least 2"),
        (["2", "--out", ".", "--device", "cpu"], "device='cpu': must be left out, it is one of Figures 3"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["figure", *arguments])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1
