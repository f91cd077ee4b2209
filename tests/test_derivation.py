"""Derivations as steps: they are those that the theory takes, each with its rule, and nothing is measured."""

from __future__ import annotations

import sys
from unittest.mock import patch

import pytest

from theory import notation as nt
from theory import risk
from theory.lower import lower_scalar
from theory.statement import registry
from verify import derivation
from verify.cli import app
from verify.ledger import load_statements


def functions(id: str) -> list[list[str]]:
    return [[step.function for step in one.steps] for one in derivation.derivations(id)]


def test_the_steps_of_proposition_51() -> None:
    first, *_ = derivation.derivations("prop-5.1")
    assert [step.function for step in first.steps[:4]] == [
        "theory.blocks.forward",
        "theory.risk.one_step_miss",
        "theory.risk.risk_given_prompt",
        "theory.risk.risk",
    ]
    assert (first.evidence.kind, first.evidence.outcome) == ("derivation", "agrees")
    (result,) = first.steps[3].results
    assert result.equals(lower_scalar(registry()["prop-5.1"].printed.args[2]))
    assert "Gaussian integration by parts" in first.steps[3].rule


def test_a_wrong_theory_shows_in_the_steps() -> None:
    """The steps are what is computed: with another mean they are others, and the outcome is."""
    right = derivation.derivations("lem-A.1.c")
    with patch.object(risk, "second_moment", lambda: 2 * lower_scalar(nt.FrobeniusSquared(nt.G * nt.Sigma))):
        wrong = derivation.derivations("lem-A.1.c")
    assert [one.evidence.outcome for one in right] == ["agrees"]
    assert [one.evidence.outcome for one in wrong] == ["differs"]
    assert any(step.function == "theory.risk.second_moment" for step in right[0].steps)
    assert not wrong[0].steps


def test_parametrised_and_marked_tests_are_followed_for_their_statement_alone() -> None:
    load_statements()
    for id in ("eq-A.3.a", "eq-C.12"):
        cases = [case for _, case in derivation._tests(id) if "id" in case]
        assert cases
        assert all(case["id"] == id for case in cases)
        assert any(steps for steps in functions(id))


def test_nothing_is_measured_and_everything_is_put_back() -> None:
    from numerics import prompts
    from verify.checks import risk as check

    before = check.norm_risk
    with patch.object(prompts, "_normal", side_effect=AssertionError("drawn")):
        assert derivation.derivations("lem-A.1.d")
    assert check.norm_risk is before
    assert sys.getprofile() is None


def test_a_statement_that_no_test_names_has_none() -> None:
    assert derivation.derivations("no-such-statement") == []
    assert derivation.note("no-such-statement") is None
    assert str(derivation.note("prop-5.1")) == "notes/risk.md"


def test_show_has_the_steps_in_unicode_and_as_latex(capsys: pytest.CaptureFixture[str]) -> None:
    for options, sign in (((), "−w* − Ṽ S w*"), (("--latex",), r"- \widetilde{V} S w^{*}")):
        with pytest.raises(SystemExit) as ended:
            app(["show", "lem-A.1.d" if options else "prop-5.1.a", *options])
        out = capsys.readouterr().out
        assert not ended.value.code
        assert "  1. " in out
        assert "⊢ corrected form" in out
        assert (sign in out) == (not options)
        assert (r"\widehat{\Sigma}" in out) == bool(options)
