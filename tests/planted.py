"""Planted statements with evidence to go with them, and a small project that holds two of them.

``python -m pytest`` runs in that project as in the real one: same plugin, same thin conftest, another
theory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import sympy as sp

from theory import statement as registered
from theory.statement import Counterexample, Statement
from verify.ledger import store
from verify.ledger.evidence import Evidence

ROOT = Path(__file__).resolve().parents[1]

# Names that no part of the theory gives a LaTeX of its own.
a, b = sp.symbols("aa bb")
SHORT = {"der": "derivation", "ex": "exact", "prop": "property", "mc": "monte-carlo", "tr": "training"}
SHORT |= {"sc": "scaling"}
OUTCOME = {"+": "agrees", "-": "differs", "?": "undecided"}


def evidence(text: str) -> list[Evidence]:
    """``"der+ mc-corrected"``: a derivation that agrees, a Monte Carlo check that differs, by form."""
    found = []
    for word in text.split():
        at = next(i for i, c in enumerate(word) if c in OUTCOME)
        numbers = {"delta": 0.01, "alpha": 1e-4} if word[:at] == "mc" else {}
        form = word[at + 1 :] or "printed"
        found.append(Evidence(SHORT[word[:at]], OUTCOME[word[at]], "0", "d = 3", form=form, **numbers))
    return found


def fails() -> Counterexample:
    return Counterexample("b = 1", sp.Integer(3), sp.Integer(2))


PLAIN = Statement("x-1", "Lemma 1", "a title", sp.Eq(a, 2 * b))
CLAIM = replace(PLAIN, qualitative=True)
IF = replace(PLAIN, condition="B > n", counterexample=fails)
WRONG = replace(PLAIN, printed=sp.Eq(a, 3 * b), corrected=sp.Eq(a, 2 * b), counterexample=fails)
MATTERS = replace(WRONG, consequences=("thm-1",))

TRUE = replace(PLAIN, id="true-1", title="a true one")
FALSE = replace(MATTERS, id="false-1.a", source="Lemma 2", title="a false one")
NEW = replace(PLAIN, id="new-1", title="one that nobody tests")
BOTH = {"true-1": "confirmed", "false-1.a": "refuted"}

CHECKS = """
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from theory.statement import registry
from verify.ledger.evidence import Evidence
from verify.stats import equivalence_test, least_first


def compare(seed, factor, profile):
    rng = np.random.default_rng(seed)
    return equivalence_test(
        lambda size: 2.0 + rng.standard_normal((size, 1)), factor, 2.0, 0.1 * profile.delta_factor, 1e-7,
        least_first(1e-7, 4, 1), 4,
    )


def check(ledger, id, factor, form, seed, profile):
    exact = "agrees" if factor == 2 else "differs"
    ledger.record(id, Evidence("exact", exact, "==", "b = 1", form=form))
    found = compare(seed(id), factor, profile)
    ledger.record(
        id, Evidence("monte-carlo", found.outcome, found.measured, "b = 1", found.delta, found.alpha, form)
    )


@pytest.mark.statements("true-1")
def test_true(ledger, seed, profile):
    check(ledger, "true-1", TRUE_FACTOR, "printed", seed, profile)


@pytest.mark.statements("false-1.a")
@pytest.mark.parametrize(("factor", "form"), [(3.0, "printed"), (2.0, "corrected")])
def test_false(ledger, seed, profile, factor, form):
    check(ledger, "false-1.a", factor, form, seed, profile)


@pytest.mark.statements("true-1")
def test_settings(profile, request):
    assert settings().max_examples == profile.examples
    assert settings().derandomize == (not request.config.getoption("base_seed", None))
    assert settings().deadline is None
    assert settings().database is None
"""


def rows() -> list[store.Row]:
    """A confirmed, a refuted and a conditional one, with text that is hard on LaTeX."""
    return [
        store.row(PLAIN, evidence("der+ mc+")),
        store.row(
            replace(MATTERS, id="x-2", title="‖I+ṼΣ‖ ≤ 1 | ŵ", condition=""),
            evidence("ex- mc+corrected ex+corrected"),
        ),
        store.row(
            replace(IF, id="x-3", condition="η ∈ (0, 1], A† exists & B_0 > 5%"),
            evidence("der+condition mc+condition ex-outside"),
        ),
    ]


def install(root: Path, *more: Statement) -> None:
    """Put the planted statements in the place of the theory's, and ``root`` in that of the project."""
    sys.modules["theory.statements"] = types.ModuleType("theory.statements")
    registered._REGISTRY = {s.id: s for s in (TRUE, FALSE, *more)}
    store.project_root = lambda: root


def make(root: Path, more: str = "") -> None:
    """Write the project's files; ``more`` names a further statement of this module."""
    (root / "verify").mkdir(exist_ok=True)
    thin = (ROOT / "verify" / "conftest.py").read_text()
    arguments = f"pathlib.Path({str(root)!r}), {more}"
    first = f"import pathlib\nimport planted\nplanted.install({arguments})\nimport pytest\n"
    (root / "verify" / "conftest.py").write_text(thin.replace("import pytest\n", first))
    (root / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\naddopts = ["--strict-markers", "-p", "no:cacheprovider"]\n'
        'filterwarnings = ["error"]\n'
    )
    plant(root)


def plant(root: Path, text: str = CHECKS, factor: float = 2.0, name: str = "test_planted.py") -> None:
    """Write a file of checks, the prediction of the true statement being ``factor``."""
    (root / "verify" / name).write_text(text.replace("TRUE_FACTOR", str(factor)))


def run(root: Path, *arguments: str, where: str = "verify", **env: str) -> subprocess.CompletedProcess[str]:
    """``python -m pytest where arguments`` in the project, without what would change width or profile."""
    kept = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LSATHEORY_PROFILE")}
    kept |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", where, *arguments]
    return subprocess.run(command, cwd=root, env=kept | env, capture_output=True, text=True, timeout=120)
