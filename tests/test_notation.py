"""The paper's symbols: to words and back, and as LaTeX that a plain installation sets."""

from __future__ import annotations

import re

import pytest
import sympy as sp

import theory.statements  # noqa: F401  registers every statement
from theory import finetuning, population, pretraining, risk
from theory import notation as nt
from theory.errors import ArgumentError
from theory.lower import lower_matrix, lower_scalar, raise_matrix, raise_scalar, raise_word
from theory.notation import A, B, G, Gamma0, I, Omega, Phi, S, Sigma, Sigma0, V, W, X, d, eta, latex, n
from theory.statement import Statement, registry
from theory.words import identity, letter, scalar, zero
from theory.words.letters import inverse_letter, pinv_letter
from verify.ledger.store import row
from verify.output.latex import document

STATEMENTS = list(registry().values())

# What the formulas and the prose around them may use, all of it from LaTeX itself and amsmath, amssymb.
GREEK = (
    "alpha beta gamma delta varepsilon eta kappa lambda mu nu xi pi rho sigma tau phi varphi chi psi "
    "Gamma Delta Lambda Xi Pi Sigma Phi Psi Omega vartheta varsigma"
)
KERNEL = (
    "frac sqrt sum prod lim max min infty to left right quad top dagger times cdot cdots ldots partial "
    "nabla pm leq geq neq in ll gg approx sim simeq succeq equiv propto wedge widetilde widehat tilde "
    "hat dot bar mathrm mathbb mathbf mathop mid Rightarrow Leftrightarrow textit textbf texttt begin end "
    "documentclass usepackage section newcommand providecommand emergencystretch par noindent quad nobreak "
    "addvspace bigskipamount raggedright sloppy label perp prec succ prime circ vert surd "
    "uparrow langle rangle log ln exp dim Pr ell bigg biggl biggr Big Bigl Bigr small vdash"
)
AMS = "text operatorname substack mathfrak allowdisplaybreaks tag"
KNOWN = {*GREEK.split(), *KERNEL.split(), *AMS.split()}
SIGNS = set(r"[]{}\|,;:!%&_#$^ '`" + '"')  # commands of one sign
ENVIRONMENTS = {"document", "bmatrix", "equation*", "align*"}


def faults(text: str) -> list[str]:
    """What a plain LaTeX run would stop at: unknown commands, open braces, a lonely ``\\left``."""
    commands = re.findall(r"\\([A-Za-z]+|.)", text, re.DOTALL)
    known = KNOWN | set(re.findall(r"\\(?:new|provide)command\{\\([A-Za-z]+)\}", text))
    found = sorted({f"\\{c}" for c in commands if (c not in known if c.isalpha() else c not in SIGNS)})
    bare = re.sub(r"\\[^A-Za-z]", "", text)
    depth = 0
    for sign in re.findall(r"[{}]", bare):
        depth += 1 if sign == "{" else -1
        if depth < 0:
            break
    if depth:
        found.append("braces do not balance")
    opened: list[str] = []
    for command, name in re.findall(r"\\(left(?![a-z])|right(?![a-z])|begin|end)(?:\{([\w*]+)\})?", text):
        if command in ("left", "begin"):
            opened.append(command + name)
        elif not opened or opened.pop() != ("left" if command == "right" else "begin") + name:
            found.append(f"\\{command} closes nothing")
        if command == "begin" and name not in ENVIRONMENTS:
            found.append(f"unknown environment {name}")
    if opened:
        found.append(f"{opened[-1]} is not closed")
    if not text.isascii():
        found.append("not ASCII")
    return found


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda s: s.id)
def test_statement_is_plain_latex(statement: Statement) -> None:
    assert faults(document([row(statement, [])], {statement.id: statement})) == []
    for form in (statement.printed, statement.corrected):
        if form is not None:
            # Words of prose reach the document through \text only; a formula is never empty.
            assert re.sub(r"\s", "", latex(form))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (r"\mathbbm{1}", r"\mathbbm"),
        (r"\frac{1}{2", "braces do not balance"),
        (r"}{", "braces do not balance"),
        (r"\left( x", "left is not closed"),
        (r"x \right)", r"\right closes nothing"),
        (r"\begin{bmatrix} 1 \right)", r"\right closes nothing"),
        (r"\begin{pmatrix} 1 \end{pmatrix}", "unknown environment pmatrix"),
        (r"Ω", "not ASCII"),
    ],
)
def test_static_check_sees(text: str, fault: str) -> None:
    assert fault in faults(text)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Gamma0, r"\Gamma_{0}"),
        (-Gamma0.I, r"- \Gamma_{0}^{-1}"),
        (Sigma0, r"\Sigma_{0}"),
        (G, "A"),
        (V, r"\widetilde{V}"),
        (V.T, r"\widetilde{V}^{\top}"),
        (nt.Pinv(Phi), r"\Phi^{\dagger}"),
        (nt.Pinv(A + I), r"\left( I + A \right)^{\dagger}"),
        (nt.S_tau, r"S_{\tau}"),
        (nt.w_star_tau, r"w^{*}_{\tau}"),
        (nt.rho_cot, r"\rho"),
        (nt.step_size, r"\gamma"),
        (eta, r"\eta"),
        (2 * eta - eta**2, r"2 \eta - \eta^{2}"),
        (nt.lambda_min, r"\lambda_{\min}^{+}(M)"),
        (nt.FrobeniusSquared(I + V * Sigma), r"\left\| I + \widetilde{V} \Sigma \right\|_F^2"),
        (nt.Frobenius(V), r"\left\| \widetilde{V} \right\|_F"),
        (nt.OperatorNorm(V), r"\left\| \widetilde{V} \right\|_{\mathrm{op}}"),
        (nt.NormSquared(nt.w_star), r"\left\| w^{*} \right\|^2"),
        (nt.Expectation(sp.Trace(S), "X"), r"\mathbb{E}_{X}\left[ \operatorname{tr}\left(S \right) \right]"),
        (nt.MatrixExpectation(S), r"\mathbb{E}\left[ S \right]"),
        (nt.Zeros(d, nt.i + 1), r"0_{d \times (i + 1)}"),
        (nt.Column(sp.Integer(0), sp.Integer(1)), r"\begin{bmatrix} 0 \\ 1 \end{bmatrix}"),
        (nt.Tends(eta, B, sp.oo, nt.alpha), r"\lim_{B \to \infty} \eta = \alpha"),
        (nt.SameLimit(eta, nt.alpha), r"\eta \simeq \alpha"),
        (nt.FirstOrder(V, W, Phi), r"\widetilde{V} = \widetilde{W} + O\left(\left\| \Phi \right\|^2\right)"),
        (nt.MatrixSum(V**nt.i, nt.i, 0, nt.k - 1), r"\sum_{i=0}^{k - 1} \widetilde{V}^{i}"),
        (nt.Chain(eta, nt.alpha), r"\eta = \alpha"),
        (nt.Label(nt.L_SFT, V, W), r"L_{\mathrm{SFT}}\left(\widetilde{V}, \widetilde{W}\right)"),
    ],
)
def test_latex_of(expression: sp.Basic, expected: str) -> None:
    def plain(text: str) -> str:
        return re.sub(r"\s+", "", text)

    assert plain(latex(expression)) == plain(expected)


MATRICES = {
    "fixed point": finetuning.fixed_point(),
    "least distance gap": finetuning.constraint_gap(),
    "gamma0": pretraining.gamma0_derived(),
    "second moment": population.second_moment(),
    "population limit": population.task_moments()[1],
    "identity": identity(d) * (1 + eta),
    "zero": zero(d, B),
    "powers": letter(nt.letter_of(V)).power(3) @ letter(nt.letter_of(Omega)) * (1 / n),
}
SCALARS = {
    "risk": risk.risk(),
    "risk of any matrix": risk.risk_of(nt.letter_of(G)),
    "pretraining loss": pretraining.loss(),
    "second moment": risk.second_moment(),
    "number": scalar(sp.Rational(-2, 3) * eta),
    "zero": scalar(0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_returns_from_print(name: str) -> None:
    words = MATRICES[name]
    raised = raise_matrix(words)
    assert lower_matrix(raised).equals(words)
    assert raised.shape == words.shape
    assert faults(latex(raised)) == []


@pytest.mark.parametrize("name", SCALARS)
def test_scalar_returns_from_print(name: str) -> None:
    words = SCALARS[name]
    raised = raise_scalar(words)
    assert lower_scalar(raised).equals(words)
    assert faults(latex(raised)) == []


def test_lowering_keeps_order_transposes_and_coefficients() -> None:
    v, s, x = (letter(nt.letter_of(symbol)) for symbol in (V, S, X))
    assert lower_matrix(V * S * X).equals(v @ s @ x)
    assert not lower_matrix(V * S * X).equals(s @ v @ x)
    assert lower_matrix((V * S).T).equals(s @ v.T)
    assert lower_matrix(Gamma0.I).equals(letter(inverse_letter(nt.letter_of(Gamma0))))
    assert lower_matrix(nt.Pinv(Phi)).equals(letter(pinv_letter(nt.letter_of(Phi))))
    assert lower_matrix(-eta * V * X / n).equals(v @ x * (-eta / n))
    assert lower_scalar(nt.FrobeniusSquared(X)).equals((x @ x.T).trace())
    assert lower_matrix(sp.Trace(V * S) * S).equals(s * (v @ s).trace())
    assert lower_scalar(d * sp.Trace(I) - sp.Trace(V)).equals(d * d - v.trace())


def test_empty_word_is_the_identity() -> None:
    assert raise_word((), d) == I


@pytest.mark.parametrize(
    "lowered",
    [
        lambda: lower_matrix(nt.Pinv(V * S)),
        lambda: lower_matrix(sp.Inverse(V + S)),
        lambda: lower_matrix(sp.MatPow(V, nt.k)),
        lambda: lower_scalar(nt.Frobenius(V)),
        lambda: lower_scalar(nt.OperatorNorm(V)),
        lambda: lower_scalar(1 / sp.Trace(V)),
    ],
)
def test_what_the_words_cannot_say_is_refused(lowered) -> None:
    with pytest.raises(ArgumentError, match=r"^expression=[^\n]*: "):
        lowered()
