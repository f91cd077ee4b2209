"""LaTeX of the statements as Unicode: nothing of LaTeX is left, and what binds keeps binding."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import notation as nt
from theory.notation import V, eta, latex, n
from verify.ledger import load_statements
from verify.output.plain import plain

x, y = sp.symbols("x y")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (V * nt.S, "Ṽ S"),
        (nt.FrobeniusSquared(nt.I + V * nt.Sigma_hat), "‖I + Ṽ Σ̂‖_F²"),
        (-eta * nt.Omega * nt.Pinv(nt.Phi), "−η Ω Φ†"),
        (sp.Inverse(nt.Gamma0), "Γ₀⁻¹"),
        (sp.Trace(V * nt.Sigma**2 * V.T) / n, "tr(Ṽ Σ² Ṽᵀ)/n"),
        (x / (y + 1), "x/(y + 1)"),
        ((x + 1) / y, "(x + 1)/y"),
        (sp.Mul(1 / y, V, evaluate=False), "(1/y) Ṽ"),
        (sp.sqrt(x + 1), "√(x + 1)"),
        (x ** (2 * nt.k - 2), "x²ᵏ⁻²"),
        (sp.Sum(nt.eta**nt.i, (nt.i, 0, nt.k)), "∑_(i=0)ᵏ ηⁱ"),
        (nt.lambda_max, "λ_max(M)"),
        (nt.Expectation(x, "X"), "E_X[x]"),
        (nt.Tends(x, nt.B, sp.oo, y), "lim_(B → ∞) x = y"),
        (nt.Column(V, sp.Integer(1)), "[Ṽ; 1]"),
        (nt.Lines(x, y), "x\ny"),
        (sp.Le(x, y), "x ≤ y"),
    ],
)
def test_formulas(expression: sp.Basic, text: str) -> None:
    assert plain(latex(expression)) == text


def test_no_statement_leaves_latex_behind() -> None:
    for statement in load_statements().values():
        for form in (statement.printed, statement.corrected):
            if form is not None:
                text = plain(latex(form))
                assert not set(text) & set("\\{}&⟦⟧⦃⦄\x01\x02"), (statement.id, text)
                assert text.count("(") == text.count(")"), (statement.id, text)
