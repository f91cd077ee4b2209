"""The levels of Appendix B, eqs. B.7 to B.9: evidence for ``theory/error_levels.py``."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import error_levels
from theory.statement import registry
from verify.checks import error_terms as check
from verify.checks.run import exact as symbolic
from verify.error_term_settings import PAPER, printed_levels

ROWS = ("eq-B.7.a", "eq-B.7.b", "eq-B.7.c", "eq-B.7.d", "eq-B.8", "eq-B.9")
SYMBOLS = {"alpha_block": "alpha"}


def meanings(id):
    """(what, block or None, formula) of each equation of a statement on levels."""
    printed = registry()[id].printed
    for line in printed.args if not isinstance(printed, sp.Eq) else (printed,):
        left, *right = line.args
        indexed = isinstance(left, sp.Indexed)
        name = str(left.base) if indexed else str(left)
        for formula in right:
            yield SYMBOLS.get(name, name), int(left.indices[0]) if indexed else None, formula


def of_levels(formula):
    """The prediction of a level of one block."""
    return lambda task: [printed_levels(formula, task)]


@pytest.mark.parametrize("id", [pytest.param(id, marks=pytest.mark.statements(id)) for id in ROWS])
def test_levels(id, ledger):
    derived = error_levels.derived()
    (kappa,) = derived["kappa"]
    # (B.6) and μ₂ = 1 − μ₁, for the forms in a_k and μ₂
    known = {bs.kappa: kappa, bs.mu[2]: 1 - bs.mu[1]} | dict(
        zip((bs.a[1], bs.a[2]), error_levels.POST, strict=True)
    )
    for what, block, formula in meanings(id):
        at = 0 if block is None else block - 1
        holds = sp.simplify(derived[what][at] - formula.xreplace(known)) == 0
        ledger.record(
            id, symbolic(holds, f"{what}, limit of Γ₀ of (3.7), general ρ, η, r, μ₁, γ", kind="derivation")
        )
        prediction = of_levels(formula)
        ledger.record(id, check.levels(prediction, what, PAPER, blocks=slice(at, at + 1)))
