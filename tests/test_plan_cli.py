"""``lsatheory plan``: what it prints for block values and for files, its figures, and its errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from verify.cli import app
from verify.output import plan_phase

Command = Callable[..., tuple[int, str, str]]
BLOCKS = ("--weights", ".5,.5", "--pre", ".1,1", "--test", "1.1,1", "--d", "400")


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs ``lsatheory plan``: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "120")

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app(["plan", *arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return command


def rows(out: str) -> dict[str, list[str]]:
    """The numbers of each line of the table, by its label."""
    found = {}
    for line in out.splitlines()[4:]:
        if not line.strip():
            break
        label = line[: len("better again from ")].strip()
        found[label] = line[len("better again from ") :].split()
    return found


def test_plan_of_figure_1(plan: Command) -> None:
    code, out, err = plan(*BLOCKS, "--post", ".22,.1", "--n", "800", "--have", "300", "--budget", "160000")
    assert (code, err) == (0, "")
    assert out.startswith("d = 400, rank A = 400, n = 800, η = 0.2\n")
    assert "\x1b" not in out
    table = rows(out)
    assert list(table) == [
        *("no fine-tuning", "best below rank A", "2 times that", "10 times that"),
        *("better again from", "at hand", "without end", "no model: ŵ = 0"),
    ]
    assert table["no fine-tuning"] == ["0", "1643", "4.107", "8.31×"]
    assert table["best below rank A"] == ["213", "921.1", "2.303", "4.66×"]
    assert table["2 times that"][0] == "426"
    assert table["better again from"][:2] == ["576", "920.4"]
    assert table["without end"] == ["∞", "197.7", "0.4941", "1×"]
    words = " ".join(out.split())
    assert "Best with more prompts without end: from B = 576 on they beat 213 prompts." in words
    assert "More prompts hurt from B = 213 to 400." in words
    assert "At B = 300 the error is 6.34 times the least; the first 213 of them alone are better" in words
    assert "160000 tokens is best spent on B = 1797 prompts of n = 89: 294.4." in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "--post .22,.01 --n 800",
            "Best with 120 prompts: not even prompts without end are better. More prompts hurt from B = 120 "
            "to 400. No number of prompts beats the answer ŵ = 0.",
        ),
        (
            "--post .22,.0002 --n 133",
            "Best without fine-tuning: no number of prompts is better than none. More prompts hurt from "
            "B = 0 to 400.",
        ),
        ("--post .22,.2 --n 400 --have 400", "At B = 400, within 1 of rank A, the error has no mean"),
        ("--post .22,.2 --n 400 --have 0", "At B = 0 the error is 3.77 times the least."),
        ("--post .22,.2 --n 400 --budget 30", "A budget of 30 tokens is best spent on B = 1 prompts"),
        (
            "--post .22,.1 --n 5000 --n-pre 200 --have 900",
            "At B = 900 the error is 3.46 times the least; the model without them is better, 3.46 times. "
            "Their best length is n = 1112, with 224.9.",
        ),
        (
            "--post .22,.1 --n 800 --have 300",
            "the first 213 of them alone are better, 1.36 times. Longer fine-tuning prompts are better "
            "without end, to 668.",
        ),
        (
            "--post .22,0 --n 400 --n-pre 800 --n-test 1600",
            "d = 400, rank A = 200, n = 400 (pretraining 800, test 1600), η = 0.2",
        ),
    ],
)
def test_words(plan: Command, arguments: str, words: str) -> None:
    code, out, _ = plan(*BLOCKS, *arguments.split())
    assert code == 0
    assert words in " ".join(out.split())


def spectra(folder: Path, suffix: str) -> list[str]:
    """Figure 1's spectra at r = 0.1 as files, in a mixed order that all three share."""
    order = np.random.default_rng(0).permutation(400)
    arguments = []
    for name, levels in (("post", (0.22, 0.1)), ("pre", (0.1, 1.0)), ("test", (1.1, 1.0))):
        values = np.repeat(levels, 200)[order]
        path = folder / f"{name}{suffix}"
        if suffix == ".npy":
            np.save(path, values)
        else:
            path.write_text("\n".join(map(repr, values.tolist())) + "\n\n")
        arguments += [f"--{name}-file", str(path)]
    return arguments


@pytest.mark.parametrize("suffix", [".txt", ".npy"])
def test_files_say_what_blocks_say(plan: Command, tmp_path: Path, suffix: str) -> None:
    from_files = plan(*spectra(tmp_path, suffix), "--n", "800", "--have", "100")
    assert from_files == plan(*BLOCKS, "--post", ".22,.1", "--n", "800", "--have", "100")


def test_a_thousand_eigenvalues_take_less_than_two_seconds(plan: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    arguments = []
    for name in ("post", "pre", "test"):
        np.savetxt(tmp_path / f"{name}.txt", rng.exponential(size=1000))
        arguments += [f"--{name}-file", str(tmp_path / f"{name}.txt")]
    start = time.process_time()
    code, out, _ = plan(*arguments, "--n", "700", "--have", "300", "--budget", "300000")
    assert time.process_time() - start < 2
    assert code == 0
    assert "d = 1000, rank A = 1000" in out


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_figure(plan: Command, tmp_path: Path, suffix: str, magic: bytes) -> None:
    path = tmp_path / f"plan{suffix}"
    code, out, _ = plan(*BLOCKS, "--post", ".22,.1", "--n", "400", "--have", "50", "--out", str(path))
    assert code == 0
    assert out.splitlines()[-1] == str(path)
    assert path.read_bytes().startswith(magic)


def test_phase_diagram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_phase, "POINTS", 24)
    plan_phase.figure(tmp_path / "phase.png")
    assert (tmp_path / "phase.png").read_bytes().startswith(b"\x89PNG")


GOOD = (*BLOCKS, "--post", ".22,.1", "--n", "400")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--n", "400"),
        BLOCKS,
        (*BLOCKS, "--n", "400"),
        (*BLOCKS[:-2], "--post", ".22,.1", "--n", "400"),
        (*BLOCKS, "--post", ".22,a", "--n", "400"),
        (*BLOCKS, "--post", "", "--n", "400"),
        (*BLOCKS, "--post", ".22", "--n", "400"),
        (*BLOCKS, "--post", "-.22,1", "--n", "400"),
        (*BLOCKS, "--post", "nan,1", "--n", "400"),
        (*BLOCKS, "--post", "0,0", "--n", "400"),
        (*GOOD, "--weights", ".5,.6"),
        (*GOOD, "--n", "0"),
        (*GOOD, "--n-pre", "0"),
        (*GOOD, "--n-test", "-3"),
        (*GOOD, "--d", "0"),
        (*GOOD, "--eta", "1.5"),
        (*GOOD, "--have", "-1"),
        (*GOOD, "--budget", "3"),
        (*GOOD, "--out", "plan.txt"),
        (*GOOD, "--out", "no/such/folder/plan.png"),
        (*GOOD, "--post-file", "post.txt"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(plan: Command, arguments: tuple[str, ...]) -> None:
    code, out, err = plan(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "has no eigenvalues"),
        (b"1\n2\n", "as many in every file"),
        (b"1\nabc\n3\n", "line 2: 'abc' is not a number"),
        (b"1\n2 3\n4\n", "line 2: '2 3' is not a number"),
        (b"1\n-2\n4\n", "eigenvalue 2: -2 must be finite and not negative"),
        (b"1\nnan\n4\n", "eigenvalue 2: nan must be finite"),
        (b"\xff\xfe\x00", "neither text with one number a line nor"),
    ],
)
def test_bad_files_are_named(plan: Command, tmp_path: Path, content: bytes | None, words: str) -> None:
    for name in ("post", "pre", "test"):
        (tmp_path / f"{name}.txt").write_text("1\n2\n3\n")
    (tmp_path / "pre.txt").unlink()
    if content is not None:
        (tmp_path / "pre.txt").write_bytes(content)
    files = [x for name in ("post", "pre", "test") for x in (f"--{name}-file", str(tmp_path / f"{name}.txt"))]
    code, out, err = plan(*files, "--n", "400")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert str(tmp_path / "pre.txt") in err


@pytest.mark.parametrize("values", [np.ones((2, 2)), np.array(["a", "b"]), np.array([1j, 2]), np.array(3.0)])
def test_arrays_that_are_no_spectrum_are_named(plan: Command, tmp_path: Path, values: np.ndarray) -> None:
    path = tmp_path / "post.npy"
    np.save(path, values)
    for damage in (False, True):
        if damage:
            path.write_bytes(path.read_bytes()[:40])
        arguments = ("--post-file", str(path), "--pre-file", str(path), "--test-file", str(path))
        code, out, err = plan(*arguments, "--n", "5")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {path}")


def test_dimension_beside_files_must_be_theirs(plan: Command, tmp_path: Path) -> None:
    files = spectra(tmp_path, ".txt")
    assert plan(*files, "--n", "400", "--d", "400")[0] == 0
    code, _, err = plan(*files, "--n", "400", "--d", "399")
    assert (code, err.count("\n")) == (2, 1)
    assert "must be 400" in err
