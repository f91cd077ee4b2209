"""Bad words on the command line: an answer or a message, an exit status, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import faults
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from verify.cli import app

EXAMPLES = max(40, int(os.environ.get("LSATHEORY_FUZZ", "0")) // 10)
NUMBERS = [
    "", "nan", "inf", "-inf", "-1", "0", "1", "2", "5", "2.5", "1e400", "1e-300", "1e50", "abc", "½", "--",
    "-", "1,2", "nan,1", ",", "0.5,0.5", "1;2", "0x10", "1_000", " 7 ", "9" * 30, "9" * 5000, "é\u0303",
    "\udcff", "[1]",
]  # fmt: skip
PATHS = [
    "",
    "/",
    ".",
    "/nonexistent/x.png",
    "/dev/null",
    "/dev/full",
    "x.txt",
    "\udcff.png",
    "a" * 300 + ".png",
]
IDS = ["prop-5.1", "rem-4.1", "no-such", "", "*", "PROP-5.1", "\udcff", "-", "prop-5.1 ", "x" * 5000]
GOOD = {"--n": "20", "--d": "10", "--weights": ".5,.5", "--post": "1,2", "--pre": "1,1", "--test": "2,1"}
MORE = ["--n-pre", "--n-test", "--eta", "--have", "--budget"]
FILES = ["--post-file", "--pre-file", "--test-file", "--out"]


def _plan() -> st.SearchStrategy[list[str]]:
    number = st.tuples(st.sampled_from([*GOOD, *MORE]), st.sampled_from(NUMBERS))
    path = st.tuples(st.sampled_from(FILES), st.sampled_from(PATHS))
    changed = st.lists(number | path, min_size=1, max_size=3)
    return changed.map(
        lambda pairs: ["plan", *(word for pair in (GOOD | dict(pairs)).items() for word in pair)]
    )


def _words(command: str, *pools: list[str]) -> st.SearchStrategy[list[str]]:
    return st.tuples(*map(st.sampled_from, pools)).map(lambda words: [command, *words])


# Good words for `stability`, `figure`, `verify` and `report` take long: theirs are bad throughout.
COMMANDS = st.one_of(
    _plan(),
    _plan(),
    _words("risk", NUMBERS),
    _words("risk", ["1", "2"], ["--limit"], NUMBERS),
    _words("show", IDS),
    _words("latex", IDS, ["--out"], [p for p in PATHS if p not in ("", ".", "/", "x.txt") and len(p) < 200]),
    _words("overthinking", ["--d", "--n"], NUMBERS),
    _words("overthinking", ["--out"], PATHS),
    _words("stability", ["--d"], ["0", "1", "3", "-2", "abc", "1e400", "", "9" * 30]),
    _words("stability", ["--out"], PATHS),
    _words("figure", ["0", "6", "x", "-1", "9" * 30], ["--out"], PATHS),
    _words("sweep", ["run"], [*IDS, "module:", "module:x.y", "x.py", "/.py"], ["--store"], PATHS),
    _words("sweep", ["run"], ["fig-4"], ["--store"], ["/", ""], ["--seeds"], NUMBERS),
    _words(
        "sweep", ["run"], ["fig-4"], ["--store"], ["/"], ["--set"], [*NUMBERS, "=", "d=", "d=[", "d=1e400"]
    ),
    _words(
        "sweep", ["run"], ["fig-4"], ["--store"], ["/"], ["--workers", "--dtype", "--scheduler"], NUMBERS[3:]
    ),
    _words("sweep", ["status"], ["--store"], PATHS),
    _words("sweep", ["export"], ["--store"], PATHS, ["--out"], [*PATHS, "x.csv", "x.parquet"]),
    _words("report", IDS),
    _words(
        "report", ["--out", "--in"], ["/dev/null", "/dev/full", "/dev/full/x", "a" * 300, "a" * 300 + "/x"]
    ),
    _words("graph", IDS),
    _words("graph", ["prop-5.1"], ["--out"], [*PATHS, "x.svg", "/x/y.svg"]),
    _words("diff", PATHS, PATHS),
    _words("check", PATHS),
    _words("new", [*IDS, *PATHS]),
    _words("verify", ["no-such", "", "\udcff"]),
    _words("verify", ["--profile", "--base-seed"], ["slow", "", "1e3"]),
    _words("no-such", IDS),
)


def told(code: int, out: str, err: str) -> None:
    """What is owed to whoever typed it."""
    assert code in (0, 1, 2), (code, err)
    assert "Traceback" not in out + err, err
    if code:
        assert err.strip(), out
        assert err.count("\n") == 1 or "Usage:" in err, err
        assert len(err.partition("known are")[0]) < 1200, err


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(COMMANDS)
@example(["risk", "9" * 20])
@example(["risk", "1", "--limit", "nan"])
@example(["show", "\udcff"])
@example(["show", "x" * 5000])
@example(["plan", *(word for pair in (GOOD | {"--n": "9" * 5000}).items() for word in pair)])
@example(["overthinking", "--out", "a" * 300 + ".png"])
@example(["report", "--out", "a" * 300])
@example(["report", "--out", "/dev/full"])
def test_words_on_the_command_line(words: list[str]) -> None:
    with TemporaryDirectory() as folder, chdir(folder):  # where some paths are good
        found = CliRunner().invoke(app, words)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    told(found.exit_code, found.stdout, found.stderr)


@pytest.mark.parametrize(
    "words",
    [["plan", "--n", "nan"], ["show", b"\xff"]],
)
def test_words_for_a_process_of_its_own(words: list[str | bytes], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from verify.cli import app; app()", *words]
    found = subprocess.run(command, env=faults.environment(), cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 2
    told(found.returncode, found.stdout, found.stderr)
