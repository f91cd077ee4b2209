"""The checks of a few statements, run on mutants of their formulas."""

from __future__ import annotations

import pytest

from verify.mutation.launch import mutate
from verify.mutation.report import vacuous


@pytest.fixture(scope="module")
def found():
    return mutate(["eq-3.2.b", "eq-B.8", "eq-A.4"], 4, "quick")


def test_every_form_is_tried(found) -> None:
    assert [(one.id, one.form) for one in found] == [
        ("eq-3.2.b", "printed"),
        ("eq-A.4", "printed"),
        ("eq-B.8", "printed"),
    ]
    assert all(3 <= one.tried <= 4 for one in found)


def test_numeric_evidence_alone_notices_all(found) -> None:
    assert all(one.numeric == one.killed == one.tried and not one.survivors for one in found)
    assert vacuous(found) == []
