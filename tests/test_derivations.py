"""The committed derivations: those of the ledger, taken again the same, in the notes, and in the LaTeX."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from theory import risk
from theory.lower import lower_scalar
from theory.statement import registry
from verify.derivation import derivations
from verify.ledger import load_statements, store
from verify.output import derivations as written
from verify.output.latex_break import TEXT
from verify.output.latex_macros import table
from verify.output.latex_steps import derivation_tex
from verify.output.steps import derived_form, steps

ROWS = store.load(store.committed_path())
FOUND = written.committed()
# Settled by an argument that the line of what is established states whole: no function derives anything.
ONE_LINE = {
    "thm-4.2.b",
    "rem-4.1.b",
    "sec-5.1-hardness.b",
    "eq-A.1-steps.a",
    "eq-A.1-steps.b",
    "eq-C.50",
    "rel-one-step.b",
    "rel-overthinking.b",
    "ext-curve.d",
    "ext-os-curvature.b",
    "ext-os-curvature.g",
    "ext-overthinking.a",
    "ext-overthinking.b",
    "ext-rl.k",
}
SAMPLE = written.derived_ids(ROWS)[::24]


def test_what_they_establish_is_the_ledgers_evidence() -> None:
    assert list(FOUND) == written.derived_ids(ROWS)
    for row in ROWS:
        ledger = [
            tuple(e[key] for key in ("form", "regime", "outcome", "measured"))
            for e in row["evidence"]
            if e["kind"] == "derivation"
        ]
        for entry in FOUND.get(row["id"], written.NO_DERIVATION)["steps"]:
            if "rule" not in entry:
                assert tuple(entry[key] for key in ("form", "regime", "outcome", "measured")) in ledger


def test_all_but_arguments_of_one_line_have_steps() -> None:
    bare = {id for id, one in FOUND.items() if not any("rule" in entry for entry in one["steps"])}
    assert bare == ONE_LINE


@pytest.mark.parametrize("id", SAMPLE)
def test_taken_again_they_are_the_same(id: str) -> None:
    again = written.recorded(id)
    assert written.as_json({id: again}) == written.as_json({id: FOUND[id]})


def test_the_notes_have_them() -> None:
    pages = written.notes(ROWS, FOUND)
    assert len(pages) > 20
    for page, text in pages.items():
        assert (store.project_root() / page).read_text(encoding="utf-8") == text, f"{page}: run make ledger"
    everything = "".join(pages.values())
    for id in FOUND:
        assert f"<summary><code>{id}</code>" in everything


def test_what_is_written_by_hand_stays(tmp_path: Path) -> None:
    page = written.with_section("# By hand\n\nText.\n", "first\n")
    assert page == "# By hand\n\nText.\n\nfirst\n"
    block = f"{written.BEGIN}\n\nold\n\n{written.END}\n"
    assert written.with_section(f"# By hand\n\n{block}", "new\n") == "# By hand\n\nnew\n"


def test_a_derived_form_is_a_side_in_other_terms() -> None:
    load_statements()
    statement = registry()["lem-A.1.c"]
    right = derivations("lem-A.1.c")
    assert derived_form(statement, right) == (
        r"\frac{\left(n + 1\right) \operatorname{tr}\left(A \Sigma^{2} A^{\top} \right)}{n}"
        r" + \frac{\operatorname{tr}\left(A \Sigma A^{\top} \right) \operatorname{tr}\left(\Sigma \right)}{n}"
    )
    doubled = 2 * lower_scalar(statement.printed.args[1])
    with patch.object(risk, "second_moment", lambda: doubled):
        assert derived_form(statement, derivations("lem-A.1.c")) is None


def test_a_long_formula_is_left_to_the_command() -> None:
    load_statements()
    found = derivations("prop-5.1")
    pairs = [p for entry in steps(found, 40) if "rule" in entry for p in entry["pairs"]]
    shown = [one for pair in pairs for side in pair for one in side]
    assert None in shown
    assert all(one is None or len(one) <= 40 for one in shown)


def test_the_latex_has_every_step_and_what_it_establishes() -> None:
    load_statements()
    text = derivation_tex("prop-5.1", FOUND["prop-5.1"], table([registry()["prop-5.1"]]), TEXT)
    for entry in FOUND["prop-5.1"]["steps"]:
        if "rule" in entry:
            assert entry["function"].split(".")[-1].replace("_", r"\_\allowbreak ") in text
    ends = sum("rule" not in entry for entry in FOUND["prop-5.1"]["steps"])
    assert text.count(r"\lsaderivationend") == ends
