"""Revealed Wishart matrices: evidence for ``theory/revealed.py``."""

from __future__ import annotations

import pytest

from verify.checks import revealed as check
from verify.checks.kstep import wide
from verify.checks.run import exact as symbolic
from verify.revealed_law import (
    ASKED,
    answers_of,
    chains,
    ends_of,
    errors_of,
    moments_agree,
    printed,
    risks_of,
    step_agrees,
    two_steps_agree,
)


@pytest.mark.statements("ext-revealed.a")
def test_law(ledger, profile, seed):
    id = "ext-revealed.a"
    law = printed()
    ledger.record(
        id, symbolic(moments_agree(law), "three moments of GᵀGQ_k, d=3, (n,k) = (1,3), (2,2), (3,2)")
    )
    ledger.record(id, symbolic(two_steps_agree(law), "two-step risk, q_2 from z_1, d ≤ 3, n ≤ 2"))
    ledger.record(id, check.answers(answers_of(law), list(ASKED), seed("answers"), profile))


@pytest.mark.statements("ext-revealed.b")
def test_errors(ledger, profile, seed):
    id = "ext-revealed.b"
    law = printed()
    ledger.record(id, symbolic(step_agrees(law), "e_2 = (I+ṼS)e_1 at any z_1, z_2, d=3"))
    ledger.record(id, symbolic(two_steps_agree(law), "E‖e_2‖² = E‖(I+ṼS)²‖², rationals, d ≤ 3, n ≤ 2"))
    at = chains(seed("law"))
    ledger.record(id, check.errors(errors_of(law), at, seed("errors"), profile))
    near = [at[1], check.chain(10, 10, 3, seed("near"))]
    ledger.record(id, check.errors(errors_of(law), near, seed("sampler"), profile, sampler=True))
    ledger.record(id, check.ends(ends_of(law), [*at, *near], seed("ends")))
    sizes = [check.chain(3, 6, 2, seed("long")), wide(seed("wide"), 2)]
    ledger.record(id, check.risk(risks_of(law), sizes, seed("risk"), profile))
