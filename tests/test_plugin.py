"""The whole way on a small project with planted statements: pytest, plugin, ledger, red or green."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planted import BOTH, CHECKS, make, plant, run


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The planted project, without a ledger."""
    make(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def notes() -> dict[str, str]:
    """The ledger's files as the bare project writes them, kept because it takes a pytest run."""
    return {}


@pytest.fixture
def project(bare: Path, notes: dict[str, str]) -> Path:
    """The bare project with the ledger that it wrote itself."""
    if not notes:
        written = run(bare, "--update-ledger")
        assert written.returncode == 0, written.stdout + written.stderr
        assert "ledger written: 2 statements" in written.stdout
        notes |= {path.name: path.read_text() for path in (bare / "notes").iterdir()}
        last(bare).unlink()
    (bare / "notes").mkdir(exist_ok=True)
    for name, text in notes.items():
        (bare / "notes" / name).write_text(text)
    return bare


def verdicts(path: Path) -> dict[str, str]:
    return {row["id"]: row["verdict"] for row in json.loads(path.read_text())}


def last(project: Path) -> Path:
    return project / ".lsatheory" / "last-run.json"


def test_a_ledger_that_nobody_committed_is_red_and_not_written(bare: Path) -> None:
    found = run(bare)
    assert found.returncode == 1, found.stdout + found.stderr
    assert "true-1: confirmed, not in the committed ledger" in found.stdout
    assert not (bare / "notes").exists()


def test_the_written_ledger_is_green_and_red_once_a_verdict_moves(project: Path) -> None:
    committed = project / "notes" / "ledger.json"
    before = committed.read_text()
    assert verdicts(committed) == BOTH
    assert "seconds" not in before
    assert "## false-1.a: refuted" in (project / "notes" / "ledger.md").read_text()

    green = run(project)
    assert green.returncode == 0, green.stdout + green.stderr
    assert last(project).read_text() == before
    assert "not the committed one" not in green.stdout
    assert "full run, profile standard, base seed 0" in green.stdout
    assert "3 sampled checks at α = 1e-07 each; " in green.stdout
    assert "probability of any error in the run at most 3e-07, declared 1e-06\n" in green.stdout
    assert "\x1b" not in green.stdout
    assert max(map(len, green.stdout.splitlines())) <= 120

    plant(project, factor=2.5)
    red = run(project)
    assert red.returncode == 1
    assert "true-1: verdict was confirmed, is open" in red.stdout
    assert "4 passed" in red.stdout  # the tests could make their checks; it is the verdict that moved
    assert committed.read_text() == before
    assert verdicts(last(project)) == BOTH | {"true-1": "open"}


def test_a_test_that_fails_or_skips_opens_its_statement_and_keeps_the_ledger(project: Path) -> None:
    before = (project / "notes" / "ledger.json").read_text()
    more = """
@pytest.mark.statements("true-1")
def test_fails():
    assert False

@pytest.mark.statements("false-1.a")
def test_skips():
    pytest.skip("later")
"""
    plant(project, CHECKS + more)
    red = run(project, "--update-ledger")
    assert red.returncode == 1
    assert "true-1: verdict was confirmed, is open" in red.stdout
    assert "false-1.a: verdict was refuted, is open" in red.stdout
    assert "ledger not written" in red.stdout
    assert (project / "notes" / "ledger.json").read_text() == before


def test_choosing_a_statement_judges_it_and_no_other(project: Path) -> None:
    chosen = run(project, "--statement", "false-1")
    assert chosen.returncode == 0, chosen.stdout
    assert "2 passed, 2 deselected" in chosen.stdout
    assert verdicts(last(project)) == {"false-1.a": "refuted"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "-k", "2.0-corrected"],
        ["verify/test_planted.py::test_false[2.0-corrected]"],
        ["verify/test_b.py"],
    ],
)
def test_part_of_a_statement_s_tests_gives_no_verdict(project: Path, arguments: list[str]) -> None:
    other = 'import pytest\n@pytest.mark.statements("true-1")\ndef test_b():\n    pass\n'
    plant(project, other, name="test_b.py")
    part = run(project, *arguments[1:], where=arguments[0])
    assert part.returncode == 0, part.stdout
    assert "partial run" in part.stdout
    assert "\n1 partial\n" in part.stdout
    assert verdicts(last(project)) == {}


def test_a_statement_without_evidence_and_a_row_without_a_statement_are_red(project: Path) -> None:
    committed = project / "notes" / "ledger.json"
    rows = json.loads(committed.read_text())
    committed.write_text(json.dumps([*rows, {**rows[0], "id": "gone-1"}]))
    make(project, more="planted.NEW")
    red = run(project)
    assert red.returncode == 1
    assert "new-1: open, not in the committed ledger" in red.stdout
    assert "gone-1: in the committed ledger, not in this run" in red.stdout

    # An open statement that is committed as open is no news.
    committed.write_text(last(project).read_text())
    assert verdicts(committed) == BOTH | {"new-1": "open"}
    assert run(project).returncode == 0


@pytest.mark.parametrize(
    ("test", "arguments", "message"),
    [
        ("def test_x():\n    pass\n", [], "lacks @pytest.mark.statements"),
        ('@pytest.mark.statements("true-2")\ndef test_x():\n    pass\n', [], "'true-2'"),
        ("", ["--statement", "true"], "id='true': unknown statement"),
        ("", ["--update-ledger", "-k", "true"], "--update-ledger: writes the whole ledger"),
        ("", ["--profile", "slow"], "profile='slow': must be one of quick, standard, thorough"),
    ],
)
def test_usage_errors(bare: Path, test: str, arguments: list[str], message: str) -> None:
    plant(bare, CHECKS + test)
    found = run(bare, *arguments)
    assert found.returncode == 4
    assert message in found.stderr
    assert "Traceback" not in found.stderr + found.stdout


def test_record_takes_only_ids_that_are_registered_and_marked(bare: Path) -> None:
    plant(
        bare,
        CHECKS
        + """
@pytest.mark.statements("true-1")
@pytest.mark.parametrize("id", ["true-2", "false-1.a"])
def test_record(ledger, id):
    ledger.record(id, Evidence("exact", "agrees", "==", "b = 1"))
""",
    )
    found = run(bare)
    assert "2 failed, 4 passed" in found.stdout
    assert "id='true-2': unknown statement" in found.stdout
    assert "id='false-1.a': must be in the test's marks, here true-1" in found.stdout


def test_profile_seed_and_whole_project(project: Path) -> None:
    (project / "tests").mkdir()
    (project / "tests" / "test_plain.py").write_text("def test_plain():\n    pass\n")
    # From the root without naming the folder: pytest meets it, and the plugin, only while collecting.
    whole = run(project, where=".", LSATHEORY_PROFILE="quick")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert "full run, profile quick, base seed 0" in whole.stdout
    assert "5 passed" in whole.stdout
    runs = []
    for seed in ("0", "1", "1"):
        seeded = run(project, "--profile=quick", f"--base-seed={seed}", LSATHEORY_PROFILE="thorough")
        assert f"profile quick, base seed {seed}" in seeded.stdout
        runs.append(last(project).read_text())
    assert runs[0] != runs[1]
    assert runs[1] == runs[2]
    alone = run(project, where="tests")
    assert alone.returncode == 0
    assert "ledger" not in alone.stdout


def test_in_several_processes_the_same_ledger(project: Path) -> None:
    alone = run(project)
    before = last(project).read_text()
    both = run(project, "-n", "2")
    assert both.returncode == alone.returncode == 0, both.stdout + both.stderr
    assert "full run, profile standard, base seed 0" in both.stdout
    assert "3 sampled checks at α = 1e-07 each" in both.stdout
    assert last(project).read_text() == before

    part = run(project, "-n", "2", "-k", "2.0-corrected")
    assert part.returncode == 0, part.stdout
    assert "\n1 partial\n" in part.stdout

    # A worker that dies takes what it found with it: neither its verdicts nor the ledger are written.
    fatal = """
import os, pytest
@pytest.mark.statements("true-1")
def test_dies():
    os.kill(os.getpid(), 9)
"""
    plant(project, fatal, name="test_fatal.py")
    committed = (project / "notes" / "ledger.json").read_text()
    died = run(project, "-n", "2", "--update-ledger")
    assert died.returncode == 1
    assert "ledger not written" in died.stdout
    assert "processes ended without their evidence" in died.stdout
    assert (project / "notes" / "ledger.json").read_text() == committed


def test_colours_on_a_terminal_and_sugar(bare: Path) -> None:
    shown = run(bare, "--color=yes", "--force-sugar", COLUMNS="100")
    assert shown.returncode == 1
    assert "\x1b[35mrefuted" in shown.stdout
    assert "\x1b[32mconfirmed" in shown.stdout
    assert "\x1b[1;31mtrue-1: confirmed, not in the committed ledger" in shown.stdout
