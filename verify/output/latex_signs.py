"""The Unicode signs of the rows and their LaTeX commands (without the backslash), by what they do."""

from __future__ import annotations

import unicodedata

GREEK = {c: unicodedata.name(c).split()[-1].lower() for c in "αβγδζηθικμνξπρστυχψω"}
GREEK |= {c: unicodedata.name(c).split()[-1].capitalize() for c in "ΓΔΘΞΠΣΥΦΨΩ"}
GREEK |= {"ε": "varepsilon", "λ": "lambda", "Λ": "Lambda", "φ": "varphi", "ς": "varsigma", "ϕ": "phi"}
GREEK |= {"ϑ": "vartheta", "ϖ": "varpi", "ϱ": "varrho", "ϵ": "epsilon"}
RELATIONS = {
    "≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "≪": "ll", "≫": "gg", "≍": "asymp", "∝": "propto",
    "⪰": "succeq", "⪯": "preceq", "≻": "succ", "≺": "prec", "≡": "equiv", "∼": "sim", "≃": "simeq",
    "∈": "in", "∉": "notin", "⊂": "subset", "⊆": "subseteq", "→": "to", "←": "leftarrow", "↦": "mapsto",
    "⇒": "Rightarrow", "⇔": "Leftrightarrow", "↔": "leftrightarrow", "=": None, "<": None, ">": None,
    "~": "sim",
}  # fmt: skip
BINARY = {
    "+": None, "−": None, "-": None, "/": None, "×": "times", "·": "cdot", "⋅": "cdot", "±": "pm", "∪": "cup",
    "∩": "cap", "⊙": "odot", "⊗": "otimes", "⊕": "oplus", "∘": "circ", "…": "ldots", "⋯": "cdots",
}  # fmt: skip
ATOMS = {
    "∞": "infty", "∅": "emptyset", "∇": "nabla", "∂": "partial", "∑": "sum", "∏": "prod", "∫": "int",
    "∀": "forall", "∃": "exists", "⊥": "perp", "ℓ": "ell", "ℝ": "mathbb{R}", "ℕ": "mathbb{N}",
    "𝔼": "mathbb{E}", "𝒩": "mathcal{N}", "½": "tfrac{1}{2}",
}  # fmt: skip
RAISED = dict(
    zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱᵗᵏ", "0123456789+-()nitk", strict=True),
    **{"ᵀ": r"\top", "⊤": r"\top", "†": r"\dagger", "‡": r"\ddagger", "′": r"\prime", "°": r"\circ"},
)
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₐₑᵢⱼₖₘₙₜ", "0123456789+-()aeijkmnt", strict=True))
ACCENTS = {"\u0303": "tilde", "\u0302": "hat", "\u0304": "bar", "\u0305": "bar", "\u0307": "dot"}
WIDE = {("V", "tilde"), ("W", "tilde"), (r"\Sigma", "hat")}  # as the formulas have them
TEXT_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0308": '"', "\u0327": "c ", "\u030c": "v "}
TEXT = {
    "–": "--", "—": "---", "“": "``", "”": "''", "‘": "`", "’": "'", "\u00a0": "~", "\u2009": r"\,",
    "…": r"\ldots{}", "−": "$-$", "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&",
    "%": r"\%", "#": r"\#", "_": r"\_", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "|": r"$\vert$", "‖": r"$\Vert$", "√": r"$\surd$", "*": "$*$", "<": "$<$", ">": "$>$", "\n": " ",
    "⟨": r"$\langle$", "⟩": r"$\rangle$",
}  # fmt: skip
BRACKETS = {c: c for c in "()[]"} | {"{": r"\{", "}": r"\}", "⟨": r"\langle ", "⟩": r" \rangle"}
BARS = {"‖": (r"\| ", r" \|"), "|": (r"\vert ", r" \vert ")}
CLOSING = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "‖": "‖", "|": "|"}
# Operators that take an argument after a space, and words that are one only before a bracket.
FUNCTIONS = {"tr", "rank", "log", "ln", "exp", "det", "dim", "max", "min", "sup", "lim"}
UNNAMED = {"tr", "rank"}  # functions that TeX has no command for
NAMED = {
    "diag",
    "range",
    "null",
    "mean",
    "vec",
    "difficulty",
    "Err",
    "Bias",
    "Var",
    "Cov",
    "HM",
    "sd",
    "sign",
}


def command(name: str | None, sign: str) -> str:
    """A backslash before ``name``, or the sign itself where there is no name; − is a minus."""
    return "-" if sign == "−" else sign if name is None else f"\\{name}"
