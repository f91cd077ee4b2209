"""Claims of one's own: the worked examples as a user runs them, verdicts and borders, bad files."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from theory import notation as nt
from theory.errors import ArgumentError
from verify.claims import (
    Claim,
    k_step_errors,
    measured,
    one_step_errors,
    points,
    scalar,
    simulators,
    symbolic,
)
from verify.claims import check as judge
from verify.claims.template import template
from verify.cli import app
from verify.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "notes" / "claims"
QUICK = PROFILES["quick"]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LSATHEORY_PROFILE": "quick", "COLUMNS": "160"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def lsatheory(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run("-c", "from verify.cli import app; app()", *arguments, cwd=cwd)


def compiles(folder: Path, *ids: str) -> None:
    """The pieces after their macros are a document without an error and without a reference to nothing."""
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex")
    lines = [r"\documentclass{article}\usepackage{amsmath,amssymb}\input{macros}\begin{document}"]
    lines += [rf"\input{{{id}}}\eqref{{lsa:{id}}}" for id in ids] + [r"\end{document}"]
    (folder / "all.tex").write_text("\n".join(lines), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    for _ in range(2):  # the second run knows the labels
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-2000:]
    assert "undefined" not in found.stdout
    assert "Overfull" not in found.stdout


def sampled_claim(formula: object = sp.Integer(1), **changes: object) -> Claim:
    """E z² = 1, with what is changed."""
    given = {
        "title": "a square",
        "formula": formula,
        "symbols": {},
        "simulate": lambda at, size, rng: rng.normal(size=size) ** 2,
        "derive": lambda: sp.Integer(1),
    }
    return Claim(**{**given, **changes})


def verdict(claim: Claim) -> judge.Finding:
    return judge.check(claim, "x", 0, QUICK)


# The worked examples -------------------------------------------------------------------------------


def test_a_wrong_factor_and_a_regime_are_found_from_the_command_line(tmp_path: Path) -> None:
    files = [str(EXAMPLES / name) for name in ("wrong_factor.py", "few_prompts.py")]
    found = lsatheory("check", *files, "--profile", "quick", "--out", "tex", cwd=tmp_path)
    assert (found.returncode, found.stderr) == (1, "")
    assert "open  wrong-factor" in found.stdout
    assert "counterexample: d=1, n=1, V=1, Sigma=1: printed 7, true 6" in found.stdout
    assert "a factor 1/2 on the term 2*Trace(V*Sigma*V.T)*Trace(Sigma)/n" in found.stdout
    assert "open  few-prompts" in found.stdout
    assert "border: agrees for B ≤ 4, differs from 5 on (at n=2, d=4)" in found.stdout
    # Where the covariance is singular the border is its rank.
    assert "border: agrees for B ≤ 3, differs from 4 on (at n=6, d=4, Sigma of rank 3)" in found.stdout
    assert {path.name for path in (tmp_path / "tex").iterdir()} == {
        "wrong-factor.tex", "few-prompts.tex", "macros.tex",
    }  # fmt: skip
    compiles(tmp_path / "tex", "wrong-factor", "few-prompts")


def test_the_examples_run_under_pytest(tmp_path: Path) -> None:
    names = ("one_step_risk.py", "few_prompts_if.py", "two_steps_limit.py", "wrong_factor.py")
    files = []
    for name in names:  # copied: a claim is checked in any folder
        (tmp_path / name).write_text((EXAMPLES / name).read_text(encoding="utf-8"), encoding="utf-8")
        files.append(name)
    found = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:sugar", *files, cwd=tmp_path)
    assert re.search(r"^1 failed, 3 passed in ", found.stdout, re.MULTILINE), found.stdout + found.stderr
    assert "FAILED wrong_factor.py::test_claim" in found.stdout
    assert "a factor 1/2 on the term" in found.stdout


@pytest.mark.parametrize(
    ("name", "most"),
    [("one_step_risk", 25), ("wrong_factor", 25), ("two_steps_limit", 40), ("few_prompts", 40)],
)
def test_the_examples_are_short(name: str, most: int) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= most


def test_the_page_shows_the_example_as_it_is_and_names_every_field() -> None:
    page = (ROOT / "notes" / "claims.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    example = (EXAMPLES / "one_step_risk.py").read_text(encoding="utf-8")
    assert example.partition("\n\n")[2] == block
    for field in dataclasses.fields(Claim):
        assert f"`{field.name}`" in page or field.name in ("title", "assumptions", "left", "source", "specs")


def test_new_writes_a_claim_that_holds_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def new(name: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            app(["new", name])
        return int(ended.value.code or 0), capsys.readouterr().err

    assert new("my_claim") == (0, "")
    assert (tmp_path / "my_claim.py").read_text(encoding="utf-8") == template("my_claim")
    assert new("my_claim") == (2, "error: my_claim.py: exists, must be a new file\n")
    assert new("my-claim")[1].startswith("error: name='my-claim': must be a Python name")
    (claim,) = judge.load(tmp_path / "my_claim.py").values()
    assert verdict(claim).row["verdict"] == "confirmed"


# Verdicts ------------------------------------------------------------------------------------------


def test_a_claim_without_symbolic_evidence_stays_open() -> None:
    found = verdict(sampled_claim(derive=None))
    assert found.row["verdict"] == "open"
    assert "no symbolic evidence: give definition= or derive=" in found.notes
    assert verdict(sampled_claim()).row["verdict"] == "confirmed"


def test_a_simulator_that_contradicts_the_derivation_stays_open() -> None:
    found = verdict(sampled_claim(simulate=lambda at, size, rng: 2 * rng.normal(size=size) ** 2))
    assert found.row["verdict"] == "open"
    assert [e["outcome"] for e in found.row["evidence"]] == ["agrees", "differs"]


@pytest.mark.parametrize(("consequences", "expected"), [((), "misprint"), (("a theorem",), "refuted")])
def test_a_correction_makes_a_wrong_claim_a_misprint_or_refuted(
    consequences: tuple[str, ...], expected: str
) -> None:
    wrong, right = (c * sp.Trace(nt.V * nt.Sigma) for c in (3, 2))
    claim = Claim(
        "twice the trace", wrong, (nt.V, nt.Sigma), definition=2 * sp.Trace(nt.V * nt.Sigma_hat),
        corrected=right, consequences=consequences, scale=1.0,
    )  # fmt: skip
    found = verdict(claim)
    assert found.row["verdict"] == expected
    assert any("true/printed = 2/3 at all 5 points" in note for note in found.notes)
    assert not found.holds


def test_a_factor_is_measured_where_nothing_is_known_exactly() -> None:
    c = scalar("width", "c", positive=True)
    claim = sampled_claim(
        c**2,
        symbols={c: (0.5, 2.0)},
        derive=None,
        simulate=lambda at, size, rng: 2 * (at[c] * rng.normal(size=size)) ** 2,
    )
    (note,) = [note for note in verdict(claim).notes if "measured/printed" in note]
    assert "(2?) at all 4 points: wrong by a factor" in note


def test_the_border_in_a_real_scalar_is_found() -> None:
    """The mean is min(r, 1), claimed is r."""
    r = scalar("reach", "r", positive=True)
    claim = sampled_claim(
        r,
        symbols={r: (0.2, 2.0)},
        derive=lambda: r,
        simulate=lambda at, size, rng: min(at[r], 1.0) * rng.normal(size=size) ** 2,
        delta=0.01,
    )
    (border,) = [note for note in judge.check(claim, "x", 0, PROFILES["standard"]).notes if "border" in note]
    words = border.split()
    below, above = float(words[words.index("≤") + 1].rstrip(",")), float(words[words.index("from") + 1])
    assert border.startswith("border: agrees for reach ≤")
    # Within δ = 1 % of the claim, r is at most 1.01; a grid of 0.225, halved until the test cannot tell.
    assert 0.75 < below <= 1.011
    assert 1.0 < above <= 1.1


def test_a_limit_that_is_wrong_differs_and_one_that_is_not_approached_does_not_agree() -> None:
    def claim(formula: object, shift: float) -> Claim:
        return sampled_claim(
            formula,
            limit=(nt.d, (5, 10, 20, 40)),
            derive=None,
            simulate=lambda at, size, rng: 1 + shift + 1 / at[nt.d] + 0.1 * rng.normal(size=size),
            delta=0.05,
        )

    def outcomes(of: Claim) -> set[str]:
        return {e["outcome"] for e in judge.check(of, "x", 0, PROFILES["standard"]).row["evidence"]}

    assert outcomes(claim(sp.Integer(1), 0.0)) == {"agrees"}
    assert outcomes(claim(sp.Integer(2), 0.0)) == {"differs"}
    assert "agrees" not in outcomes(claim(sp.Integer(1), 0.2))


def test_the_border_of_a_limit_is_found() -> None:
    """The mean is min(r, 1) + 1/d, claimed is the limit r."""
    r = scalar("reach", "r", positive=True)
    claim = sampled_claim(
        r,
        symbols={r: (0.5, 2.0)},
        derive=lambda: r,
        limit=(nt.d, (5, 10, 20, 40)),
        simulate=lambda at, size, rng: min(at[r], 1.0) + 1 / at[nt.d] + 0.1 * rng.normal(size=size),
        delta=0.1,
    )
    found = judge.check(claim, "x", 0, PROFILES["standard"])
    assert found.row["verdict"] == "open"
    (border,) = [note for note in found.notes if "border" in note]
    words = border.split()
    below, above = float(words[words.index("≤") + 1].rstrip(",")), float(words[words.index("from") + 1])
    # At d = 40 the mean is 1.025 beyond the border, within δ = 10 % of r up to 1.139.
    assert below <= 1.14 <= above + 0.02
    assert above - below < 0.05


# Ingredients ---------------------------------------------------------------------------------------


def test_points_are_generic() -> None:
    claim = Claim("x", nt.FrobeniusSquared(nt.V), (nt.V, nt.Sigma), simulate=one_step_errors)
    drawn = points.points(claim, 0)
    assert all(at[nt.d] != at[nt.n] for at in drawn)
    assert all(np.linalg.norm(at[nt.V] - at[nt.V].T) > 0.1 for at in drawn)
    ranks = [int(np.linalg.matrix_rank(at[nt.Sigma])) < at[nt.d] for at in drawn]
    assert ranks == [False, False, True, False]
    inverse = Claim("x", sp.Trace(sp.Inverse(nt.Sigma)), (nt.Sigma,), definition=sp.Trace(nt.Sigma_hat))
    assert all(np.linalg.eigvalsh(at[nt.Sigma]).min() > 0.1 for at in points.points(inverse, 0))
    assert all(one.at[nt.Sigma].det() != 0 for one in points.exact_points(inverse))
    first, *_ = points.exact_points(claim)
    assert first.label == "d=1, n=1, V=1, Sigma=1"


@pytest.mark.parametrize("k", [1, 2])
def test_the_two_samplers_of_steps_have_one_mean(k: int) -> None:
    """The forward pass at d = 8, errors without prompts at d = 9, each against the definition in words."""
    definition = nt.FrobeniusSquared((nt.I + nt.V * nt.Sigma_hat) ** k)
    for d in (simulators.SMALL, simulators.SMALL + 1):
        symbols = {nt.d: d, nt.n: 7, nt.V: -sp.Rational(1, 5) * nt.I, nt.Sigma: nt.I}
        claim = Claim("x", sp.Integer(d), symbols, simulate=k_step_errors(k))
        (at, *_) = points.points(claim, 0)
        expected = simulators.over_prompts(definition)(at, 4000, np.random.default_rng(1))
        found = k_step_errors(k)(at, 20_000, np.random.default_rng(0))
        spread = found.std() / len(found) ** 0.5 + expected.std() / len(expected) ** 0.5
        assert abs(found.mean() - expected.mean()) < 6 * spread


def test_decimals_and_inverses_in_expressions_are_exact() -> None:
    V, Sigma = nt.V, nt.Sigma
    symbols = {nt.G: None, Sigma: nt.G * nt.G.T + nt.I, V: -0.4 * (Sigma + nt.I).I + 0.1 * nt.G}
    for factor, expected in ((2, "agrees"), (3, "differs")):
        claim = Claim("x", factor * sp.Trace(V * Sigma), symbols, definition=2 * sp.Trace(V * nt.Sigma_hat))
        found, example = symbolic.evidence(claim, claim.formula, "printed")
        assert [e.outcome for e in found] == [expected, expected]
        # At d = 1: Σ = 2, V = −0.4/3 + 0.1 = −1/30.
        assert example is None or str(example) == "d=1, n=1, G=1, Sigma=2, V=-1/30: printed -1/5, true -2/15"


def test_a_matrix_claim_is_checked_entry_by_entry() -> None:
    S, V, Sigma = nt.Sigma_hat, nt.V, nt.Sigma
    right = Sigma * V * Sigma + (Sigma * V.T * Sigma + sp.Trace(Sigma * V) * Sigma) / nt.n
    wrong = Sigma * V * Sigma + (Sigma * V * Sigma + sp.Trace(Sigma * V) * Sigma) / nt.n
    for formula, expected in ((right, "agrees"), (wrong, "differs")):
        claim = Claim("the mean of Σ̂VΣ̂", formula, (V, Sigma), definition=S * V * S, delta=0.05)
        outcomes = {e.kind: e.outcome for e in symbolic.evidence(claim, formula, "printed")[0]}
        numeric = measured.compare(claim, formula, points.points(claim, 0)[:1], 0, QUICK)
        assert {*outcomes.values(), numeric.outcome} == {expected}


# Bad input -----------------------------------------------------------------------------------------

HEAD = "import numpy as np\nimport sympy as sp\nfrom theory.notation import *\nfrom verify.claims import *\n"
BAD = {
    "missing symbol": (
        HEAD + "r = scalar('r_', 'r')\nclaim = Claim('t', r, (V, Sigma), simulate=one_step_errors)",
        "formula has r_ as well",
    ),
    "no simulator": (HEAD + "claim = Claim('t', n, ())", "simulate=None: must be a function"),
    "text for a formula": (HEAD + "claim = Claim('t', 'n', (), simulate=one_step_errors)", "must be a SymPy"),
    "a name taken": (HEAD + "matrix('V', d, d, 'V')", "must be a name that theory.notation does not have"),
    "wrong shape": (
        HEAD + "claim = Claim('t', n, (), simulate=lambda at, size, rng: rng.normal(size=(size, 2)))",
        "simulate gave shape (",
    ),
    "not a number": (
        HEAD + "claim = Claim('t', n, (), simulate=lambda at, size, rng: np.full(size, np.nan))",
        "simulate gave samples that are not finite",
    ),
    "it raises": (
        HEAD + "def simulate(at, size, rng):\n    return at[W]\nclaim = Claim('t', n, (), simulate=simulate)",
        "simulate: line 6: KeyError: W",
    ),
    "ours without V": (
        HEAD + "claim = Claim('t', n, (), simulate=one_step_errors)", "symbols: must have V, Sigma",
    ),
    "an error in the file": (HEAD + "claim = Claim(1 / 0)", "line 5: ZeroDivisionError: division by zero"),
    "no Python": (HEAD + "claim = (", "line 5: SyntaxError"),
    "no claim": ("x = 1", "must have a Claim at its top level"),
    "never met": (
        HEAD + "claim = Claim('t', n, {}, simulate=lambda a, s, r: r.normal(size=s), condition=sp.Lt(n, 0))",
        "must be a relation",
    ),
    "half a dimension": (
        HEAD + "claim = Claim('t', n, {d: (0.5, 3)}, simulate=one_step_errors)", "must have whole ends",
    ),
    "division by zero": (
        HEAD + "claim = Claim('t', 1 / (n - 2), (V, Sigma), simulate=one_step_errors)",
        "formula has no value at d=3, n=2",
    ),
    "not real": (
        HEAD + "claim = Claim('t', sp.log(1 - 2 * n), (V, Sigma), simulate=one_step_errors)",
        "has no value at",
    ),
    "none at all": (
        HEAD + "claim = Claim('t', n, {d: (0, 3)}, simulate=one_step_errors)", "must have positive ends",
    ),
    "derives nothing": (
        HEAD + "claim = Claim('t', n, (V, Sigma), simulate=one_step_errors, derive=lambda: None)",
        "derive()=None: must be a SymPy expression",
    ),
    "of zero": (
        HEAD + "claim = Claim('t', 0, {}, simulate=lambda a, s, r: r.normal(size=s))", "scale=None: must be",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = BAD[name]
    file = tmp_path / "bad.py"
    file.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        app(["check", str(file), "--profile", "quick"])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="must be a Python file"):
        judge.load(tmp_path / "nothing.py")
