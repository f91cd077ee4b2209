"""The command line: what it prints, what it writes, and how it says that input is bad."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from planted import BOTH, FALSE, TRUE, evidence, install

from theory import statement as registered
from verify.cli import app
from verify.ledger import store

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The planted statements and no ledger; what they displace comes back after the test."""
    monkeypatch.setattr(registered, "_REGISTRY", {})
    monkeypatch.setattr(store, "project_root", store.project_root)
    monkeypatch.setitem(sys.modules, "theory.statements", registered)
    install(tmp_path)
    return tmp_path


@pytest.fixture
def committed(project: Path) -> Path:
    """The project with a committed ledger."""
    rows = [
        store.row(TRUE, evidence("ex+ mc+")),
        store.row(FALSE, evidence("ex- mc- ex+corrected mc+corrected")),
    ]
    store.save(store.committed_path(), rows)
    return project


@pytest.fixture
def lsatheory(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command: (exit code, stdout, stderr)."""

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def test_ledger_as_a_table_and_as_json(committed: Path, lsatheory: Command) -> None:
    code, out, err = lsatheory("ledger")
    assert (code, err) == (0, "")
    cells = [line.split()[:2] for line in out.splitlines()]
    assert [c for c in cells if c and c[0] in BOTH] == [["true-1", "confirmed"], ["false-1.a", "refuted"]]
    assert "1 confirmed, 1 refuted" in out
    assert "\x1b" not in out

    code, out, _ = lsatheory("ledger", "--json")
    assert code == 0
    assert json.loads(out) == store.load(store.committed_path())


def test_show_takes_an_id_or_the_id_of_its_parts(committed: Path, lsatheory: Command) -> None:
    for id in ("false-1.a", "false-1"):
        code, out, _ = lsatheory("show", id)
        assert code == 0
        assert out.startswith("refuted  false-1.a  Lemma 2\na false one\n")
        for text in ("aa = 3 bb", "aa = 2 bb", "b = 1: printed 3, true 2", "monte-carlo", "1.0e-04"):
            assert text in out
    assert "corrected" not in lsatheory("show", "true-1")[1]


def test_show_before_any_run_has_no_evidence(project: Path, lsatheory: Command) -> None:
    code, out, _ = lsatheory("show", "true-1")
    assert code == 0
    assert out.startswith("open  true-1")
    assert "no evidence" in out


def test_latex_to_stdout_and_to_files(committed: Path, lsatheory: Command) -> None:
    code, out, _ = lsatheory("latex")
    assert code == 0
    assert out.startswith("\\documentclass")
    assert "Lemma 1" in out
    assert "Lemma 2" in out

    folder = committed / "tex"
    code, out, _ = lsatheory("latex", "true-1", "--out", str(folder))
    assert code == 0
    written = {"companion.tex", "errata.tex", "macros.tex", "table.tex", "true-1.tex"}
    assert written <= {p.name for p in folder.iterdir()}
    assert {str(folder / name) for name in written} <= set(out.split())
    assert "Lemma 2" not in (folder / "companion.tex").read_text()
    assert r"\lsastatement{true-1}{Lemma 1}{confirmed}{a true one}" in (folder / "true-1.tex").read_text()


def test_latex_without_pdflatex_says_so_in_a_line(
    committed: Path, lsatheory: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    code, out, err = lsatheory("latex", "--out", str(committed / "tex"))
    assert code == 0
    assert "companion.tex" in out
    assert "companion.pdf" not in out
    assert err.count("\n") == 1
    assert "no pdflatex" in err


def test_risk_prints_the_polynomial_in_words_or_latex(lsatheory: Command) -> None:
    code, out, err = lsatheory("risk", "1")
    assert (code, err) == (0, "")
    for term in (
        "(d)",
        "(2) tr(Sigma V)",
        "(1 + 1/n) tr(Sigma Sigma V' V)",
        "(1/n) tr(Sigma) tr(Sigma V' V)",
    ):
        assert term in out
    assert r"\widetilde{W}" in lsatheory("risk", "2", "--with-w", "--latex")[1]


def test_overthinking_has_a_table_and_a_figure(lsatheory: Command, tmp_path: Path) -> None:
    figure = tmp_path / "figure.png"
    code, out, _ = lsatheory("overthinking", "--d", "1", "--n", "1", "--out", str(figure))
    assert code == 0
    # d = n = 1: the fixed points 1/3 and the root of 105c³ − 45c² + 9c − 1, by hand in notes/os_limits.md.
    assert "0.3333" in out
    assert "0.2364" in out
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("status", [0, 1, 5])
def test_verify_runs_pytest_on_the_folder_and_passes_its_status_through(
    project: Path, lsatheory: Command, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    called: list[list[str]] = []

    def main(arguments: list[str]) -> int:
        called.append(arguments)
        return status

    monkeypatch.setattr(pytest, "main", main)
    assert lsatheory("verify", "true-1", "false-1", "--profile", "quick", "--base-seed", "3")[0] == status
    assert lsatheory("verify")[0] == status
    folder = str(project / "verify")
    assert called == [
        [folder, "--profile=quick", "--base-seed=3", "--statement=true-1", "--statement=false-1"],
        [folder, "--profile=standard", "--base-seed=0"],
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ledger"],
        ["show", "no-such"],
        ["verify", "no-such"],
        ["verify", "--profile", "slow"],
        ["latex", "no-such"],
        ["latex", "--out", __file__],
        ["risk", "0"],
        ["risk", "9"],
        ["overthinking", "--n", "0"],
        ["overthinking", "--out", "figure.txt"],
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(
    project: Path, lsatheory: Command, arguments: list[str]
) -> None:
    code, out, err = lsatheory(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
