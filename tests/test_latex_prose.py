"""Prose with Unicode mathematics as LaTeX: the rules one by one, and every row of the ledger."""

from __future__ import annotations

import re

import pytest

from theory.errors import ArgumentError
from verify.ledger import load_statements, store
from verify.output.companion_text import CAPTIONS, SECTIONS
from verify.output.errata import POINTS
from verify.output.latex_prose import ID, prose


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% of A_1 & c#", r"50\% of $A_{1}$ \& $c$\#"),
        ("x < y | z", r"$x < y$ $\vert$ $z$"),
        ("Σ ⪰ Σ₀, ‖M‖", r"$\lsaSigma \succeq \lsaSigmaZero$, $\| M \|$"),
        ("w*_τ and S_τŵ_{i+1}", r"$\lsawStar_{\tau}$ and $S_{\tau} \lsawHat_{i + 1}$"),
        ("where Ṽ_*Φ = −ηΩ fails", r"where $\lsaV_{*} \lsaPhi = -\lsaeta \lsaOmega$ fails"),
        ("‖I+ṼΣ‖_op ≤ 1", r"$\| I + \lsaV \lsaSigma \|_{\mathrm{op}} \leq 1$"),
        ("(1 − (1−η)^i) w*", r"$(1 - (1 - \lsaeta)^{i}) \, \lsawStar$"),
        ("ρ^{2k−2} and ρ^(2k−2)", r"$\rho^{2 \lsak - 2}$ and $\rho^{2 \lsak - 2}$"),
        ("λ⁺_min/λ_max(M)", r"$\lambda_{\min}^{+}/\lambda_{\max} (M)$"),
        ("E‖ŵ − w*‖²", r"$\mathbb{E} \| \lsawHat - \lsawStar \|^{2}$"),
        ("‖E‖ is small", r"$\| E \|$ is small"),
        ("x ~ N(0, A), A ⪰ 0", r"$x \sim N (0, A)$, $A \succeq 0$"),
        ("λ_max(Σ₀ on U) ≤ 1", r"$\lambda_{\max}$($\lsaSigmaZero$ on $U$) $\leq 1$"),
        ("the k-th of a set, a (2d+2)-row", r"the $\lsak$-th of a set, a $(2 \lsad + 2)$-row"),
        ("dL/dW̃_12 and MM†", r"$dL/d \lsaW_{12}$ and $MM^{\dagger}$"),
        ("such a Σ₀, at η = 0.2 U is", r"such a $\lsaSigmaZero$, at $\lsaeta = 0.2$ $U$ is"),
        ("A column of Φ; the A here; Appendix A", r"A column of $\lsaPhi$; the $A$ here; Appendix A"),
        ("Term I of (B.3), A.1, Figure 1(c), part (a)", "Term I of (B.3), A.1, Figure 1(c), part (a)"),
        ("Appendices B to D: Ṽ", r"Appendices B to D: $\lsaV$"),
        ("Figures 1 … 5, Panel (a), Part A of it", r"Figures 1 \ldots{} 5, Panel (a), Part A of it"),
        ("Sections A.1 and B, Figure 5 (a)", "Sections A.1 and B, Figure 5 (a)"),
        ("Lemma C, Term II's share of Appendix E's", "Lemma C, Term II's share of Appendix E's"),
        ("in Appendix B, A = ηΣ; Part A = 2", r"in Appendix B, $A = \lsaeta \lsaSigma$; Part $A = 2$"),
        ("Section 5.1, A on U; the part A of U", r"Section 5.1, $A$ on $U$; the part $A$ of $U$"),
        ("Figure 2's setting, Σ's levels, U's", r"Figure 2's setting, $\lsaSigma$'s levels, $U$'s"),
        ("Figure 1's d = 400", r"Figure 1's $\lsad = 400$"),
        ("held at −1, printed -1/2, 1e-9", r"held at $-1$, printed $-1/2$, $1 \cdot 10^{-9}$"),
        ("for B < d (η = 0.2)", r"for $\lsaB < \lsad$ $(\lsaeta = 0.2)$"),
        ("the paper's Möbius – “so”…", r"the paper's M\"{o}bius -- ``so''\ldots{}"),
        ("Σμ_k/a_k, |B − rank A|", r"$\sum \mu_{k}/a_{k}$, $\vert \lsaB - \operatorname{rank} A \vert$"),
        ("(1/B) Σ w* w*ᵀ = I", r"$(1/\lsaB) \, \sum \, \lsawStar \, w^{*\top} = I$"),
        ("η ∈ (0, 1]", r"$\lsaeta \in (0, 1]$"),
        ("Proposition B.2 (ii), (E S²)⁻¹", r"Proposition B.2 (ii), $(\mathbb{E} \, S^{2})^{-1}$"),
        ("E has mean zero; EQEᵀ", r"$E$ has mean zero; $EQE^{\top}$"),
        ("see numerics.gpt2.model_x.", r"see \texttt{numerics.gpt2.model\_x}."),
        ("see ext-os.a, not eq-B.16.", r"see \lsaref{ext-os.a}, not \lsaref{eq-B.16}."),
        ("by rel-overthinking.b", r"by \lsaref{rel-overthinking.b}"),
        ("true oo, \\{}", r"true $\infty$, \textbackslash{}\{\}"),
    ],
)  # fmt: skip
def test_prose(text: str, expected: str) -> None:
    def plain(latex: str) -> str:
        return re.sub(r"(\\[A-Za-z]+) (?![A-Za-z])", r"\1", latex)

    assert plain(prose(text)) == plain(expected)


def test_what_latex_would_stop_at_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"U\+6F22"):
        prose("漢")


def _texts() -> list[tuple[str, str]]:
    rows = store.load(store.committed_path())
    found = []
    for row in rows:
        kept = [row[key] for key in ("source", "title", "condition", "counterexample", "note") if row[key]]
        found += [(row["id"], text) for text in (*kept, *row["assumptions"], *row["consequences"])]
    for s in load_statements().values():
        found += [(s.id, text) for text in (s.title, s.condition, s.note, *s.assumptions) if text]
    return found


def test_every_text_comes_out_as_balanced_plain_latex() -> None:
    for id, text in _texts():
        latex = prose(text)
        bare = re.sub(r"\\[^A-Za-z]", "", latex)
        assert latex.isascii(), (id, text)
        assert latex.count("$") % 2 == 0, (id, latex)
        assert bare.count("{") == bare.count("}"), (id, latex)
        for formula in re.findall(r"\$([^$]*)\$", latex):
            inside = re.sub(r"\\[^A-Za-z]", "", formula)
            assert inside.count("(") == inside.count(")"), (id, latex)
            # A word of three small letters in a formula would be set as a product of variables.
            words = re.sub(
                r"\\[A-Za-z]+|\\(?:operatorname|mathrm)\{[a-zA-Z]+\}|(?<=\{)[A-Za-z]+(?=\})", " ", formula
            )
            assert not re.search(r"[a-z]{3}", words), (id, latex)


def test_no_sign_of_mathematics_is_left_in_the_prose_between_formulas() -> None:
    """Scripts and stars outside a formula would print as characters."""
    for id, text in _texts():
        between = re.sub(r"\$[^$]*\$|\\(?:lsaref|texttt)\{[^}]*\}", "", prose(text))
        assert not re.search(r"\\_|\\textasciicircum|(?<!\\)[_^*]", between), (id, between)


def test_every_id_that_a_text_names_is_a_statements() -> None:
    known = load_statements()
    for s in known.values():
        for text in (s.title, s.condition, s.note, *s.assumptions, *s.consequences):
            for id in ID.findall(text):
                assert id in known or any(re.match(rf"{re.escape(id)}[.-]", k) for k in known), (s.id, id)


def test_what_is_written_for_the_companion_and_the_errata_converts_too() -> None:
    for text in (*CAPTIONS.values(), *(s.text for s in SECTIONS), *POINTS.values()):
        assert prose(text).isascii()
