"""The surface syntax: the paper's symbols as SymPy objects, and their LaTeX.

Statements are written here, as printed or as derived; :mod:`theory.lower` carries them into the word
algebra, which decides equality.  LaTeX needs amsmath, amssymb and bm alone.
"""

from __future__ import annotations

import re
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.printing.latex import LatexPrinter

from theory.words.letters import Letter

# Scalars.  rho_cot = 1 − η is kept apart from the pretraining level that the paper also calls ρ.
d, n, B, k, i, j, t, tau, m_prompt = sp.symbols("d n B k i j t tau m", integer=True, positive=True)
eta, rho_cot, lam, step_size, c_k = sp.symbols("eta rho lambda gamma c_k", positive=True)
lambda_max, lambda_min = sp.symbols("lambda_max lambda_min", positive=True)
alpha = sp.Symbol("alpha", nonnegative=True)

_LATEX = {
    "lambda_max": r"\lambda_{\max}(M)",
    "lambda_min": r"\lambda_{\min}^{+}(M)",
    "c_k": "c_k",
}
LETTERS: dict[str, Letter] = {}


def matrix(name: str, rows: Any, cols: Any, latex: str, symmetric: bool = False) -> sp.MatrixSymbol:
    """A matrix of the paper: a SymPy symbol for print, and the letter of the same name for algebra."""
    LETTERS[name] = Letter(name, sp.sympify(rows), sp.sympify(cols), symmetric=symmetric)
    _LATEX[name] = latex
    return sp.MatrixSymbol(name, rows, cols)


def letter_of(symbol: sp.MatrixSymbol) -> Letter:
    """The letter of a symbol made by :func:`matrix`."""
    return LETTERS[symbol.name]


def scalar_symbol(name: str, latex: str, **assumptions: bool) -> sp.Symbol:
    """A scalar that prints as ``latex``."""
    _LATEX[name] = latex
    return sp.Symbol(name, **assumptions)


V = matrix("V", d, d, r"\widetilde{V}")
W = matrix("W", d, d, r"\widetilde{W}")
S = matrix("S", d, d, "S", symmetric=True)
S_tau = matrix("S_tau", d, d, r"S_{\tau}", symmetric=True)
X = matrix("X", d, n, "X")
y = matrix("y", 1, n, "y")
w_star = matrix("w*", d, 1, "w^{*}")
w_star_tau = matrix("w*_tau", d, 1, r"w^{*}_{\tau}")
Sigma = matrix("Sigma", d, d, r"\Sigma", symmetric=True)
Sigma_hat = matrix("Sigma_hat", d, d, r"\widehat{\Sigma}", symmetric=True)
Sigma0 = matrix("Sigma0", d, d, r"\Sigma_{0}", symmetric=True)
Gamma0 = matrix("Gamma0", d, d, r"\Gamma_{0}", symmetric=True)
A = matrix("A", d, d, "A", symmetric=True)
G = matrix("G", d, d, "A")  # the arbitrary, non-symmetric matrix that Lemma A.1 calls A
Omega = matrix("Omega", d, B, r"\Omega")
Phi = matrix("Phi", d, B, r"\Phi")
I = sp.Identity(d)  # noqa: E741  the paper's letter


class FrobeniusSquared(sp.Expr):
    """‖M‖_F² = tr(MᵀM)."""

    is_commutative = True

    def __new__(cls, of: Any) -> FrobeniusSquared:
        return sp.Expr.__new__(cls, sp.sympify(of))

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\left\| {printer._print(self.args[0])} \right\|_F^2"


class Frobenius(FrobeniusSquared):
    """‖M‖_F."""

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\left\| {printer._print(self.args[0])} \right\|_F"


class OperatorNorm(FrobeniusSquared):
    """‖M‖_op, the largest singular value."""

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\left\| {printer._print(self.args[0])} \right\|_{{\mathrm{{op}}}}"


class NormSquared(FrobeniusSquared):
    """‖v‖² of a vector."""

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\left\| {printer._print(self.args[0])} \right\|^2"


class Expectation(sp.Expr):
    """E over the random matrices named in ``over`` (a string for print) of a scalar."""

    is_commutative = True

    def __new__(cls, of: Any, over: Any = "") -> Expectation:
        return sp.Expr.__new__(
            cls, sp.sympify(of), over if isinstance(over, sp.Basic) else sp.Symbol(over or " ")
        )

    def _latex(self, printer: LatexPrinter) -> str:
        over = str(self.args[1]).strip()
        return rf"\mathbb{{E}}{f'_{{{over}}}' if over else ''}\left[ {printer._print(self.args[0])} \right]"


class MatrixExpectation(MatrixExpr):
    """E of a matrix."""

    is_commutative = False

    def __new__(cls, of: Any) -> MatrixExpectation:
        return MatrixExpr.__new__(cls, of)

    @property
    def shape(self) -> Any:
        return self.args[0].shape

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\mathbb{{E}}\left[ {printer._print(self.args[0])} \right]"


class Pinv(MatrixExpr):
    """The Moore-Penrose pseudo-inverse M†."""

    is_commutative = False

    def __new__(cls, of: Any) -> Pinv:
        return MatrixExpr.__new__(cls, of)

    @property
    def shape(self) -> Any:
        return self.args[0].shape[::-1]

    def _latex(self, printer: LatexPrinter) -> str:
        inner = printer._print(self.args[0])
        atom = isinstance(self.args[0], sp.MatrixSymbol) and "^" not in inner
        return rf"{inner}^{{\dagger}}" if atom else rf"\left( {inner} \right)^{{\dagger}}"


class Chain(sp.Basic):
    """a = b = c: equal sides, printed in one line."""

    def _latex(self, printer: LatexPrinter) -> str:
        return " = ".join(printer._print(side) for side in self.args)


class Tends(sp.Basic):
    """``expression`` tends to ``limit`` as ``variable`` tends to ``to``."""

    def _latex(self, printer: LatexPrinter) -> str:
        expression, variable, to, limit = (printer._print(a) for a in self.args)
        left = rf"\lim_{{{variable} \to {to}}} {expression}"
        text = f"{left} = {limit}"
        return text if _width(text) < WIDE else _broken(left, "=", limit)


class FirstOrder(sp.Basic):
    """``of`` is ``expansion`` up to terms of second order in the matrix ``by``."""

    def _latex(self, printer: LatexPrinter) -> str:
        of, expansion, by = (printer._print(a) for a in self.args)
        return rf"{of} = {expansion} + O\left(\left\| {by} \right\|^2\right)"


class SameLimit(sp.Basic):
    """a ≃ b: a/b tends to 1 in the limit that the statement is about."""

    def _latex(self, printer: LatexPrinter) -> str:
        return r" \simeq ".join(printer._print(side) for side in self.args)


class Argmin(sp.Basic):
    """The minimiser of ``objective`` over ``variables``."""

    def _latex(self, printer: LatexPrinter) -> str:
        objective, variables = (printer._print(a) for a in self.args)
        return rf"\mathop{{\mathrm{{arg\,min}}}}_{{{variables}}} \; {objective}"


class Gradient(MatrixExpr):
    """∇_M f, of the shape of M."""

    is_commutative = False

    def __new__(cls, of: Any, by: Any) -> Gradient:
        return MatrixExpr.__new__(cls, sp.sympify(of), by)

    @property
    def shape(self) -> Any:
        return self.args[1].shape

    def _latex(self, printer: LatexPrinter) -> str:
        of, by = (printer._print(a) for a in self.args)
        return rf"\nabla_{{{by}}} \; {of}"


class Label(sp.Expr):
    """A named scalar functional with arguments: ``Label("L_SFT", V, W)``."""

    is_commutative = True

    def __new__(cls, name: Any, *args: Any) -> Label:
        head = name if isinstance(name, sp.Basic) else sp.Symbol(name)
        return sp.Expr.__new__(cls, head, *map(sp.sympify, args))

    def _latex(self, printer: LatexPrinter) -> str:
        head, *rest = (printer._print(a) for a in self.args)
        return rf"{head}\left({', '.join(rest)}\right)" if rest else head


class Column(sp.Basic):
    """A block column (a; b; c; d), one entry a line."""

    def _latex(self, printer: LatexPrinter) -> str:
        return r"\begin{bmatrix} " + r" \\ ".join(printer._print(a) for a in self.args) + r" \end{bmatrix}"


class Blocks(sp.Basic):
    """A block matrix given as rows (SymPy tuples) of blocks."""

    def _latex(self, printer: LatexPrinter) -> str:
        rows = (" & ".join(printer._print(a) for a in row.args) for row in self.args)
        return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"


class Sum_(sp.Basic):
    """A sum of things that SymPy does not add (block columns, their products)."""

    def _latex(self, printer: LatexPrinter) -> str:
        return " + ".join(printer._print(a) for a in self.args)


class Product_(sp.Basic):
    """A product of things that SymPy does not multiply (block matrices)."""

    def _latex(self, printer: LatexPrinter) -> str:
        return r" \, ".join(printer._print(a) for a in self.args)


def _broken(left: str, sign: str, right: str) -> str:
    return rf"\begin{{aligned}} & {left} \\ & \quad {sign} {right} \end{{aligned}}"


def _gathered(lines: list[str]) -> str:
    body = r" \\ ".join(lines)
    return rf"\begin{{gathered}} {body} \end{{gathered}}"


class Lines(sp.Basic):
    """Several displays, one a line."""

    def _latex(self, printer: LatexPrinter) -> str:
        return _gathered([printer._print(a) for a in self.args])


class Listing(sp.Basic):
    """Several displays, side by side, or one a line where that is too wide."""

    def _latex(self, printer: LatexPrinter) -> str:
        parts = [printer._print(a) for a in self.args]
        beside = r", \quad ".join(parts)
        return beside if _width(beside) < WIDE else _gathered(parts)


class Minus(sp.Basic):
    """a − b of things that SymPy does not subtract."""

    def _latex(self, printer: LatexPrinter) -> str:
        return " - ".join(printer._print(a) for a in self.args)


class MatrixSum(MatrixExpr):
    """Σ of a matrix expression over an index; printed as written."""

    is_commutative = False

    def __new__(cls, of: Any, index: Any, low: Any, high: Any) -> MatrixSum:
        return MatrixExpr.__new__(cls, of, sp.sympify(index), sp.sympify(low), sp.sympify(high))

    @property
    def shape(self) -> Any:
        return self.args[0].shape

    def _latex(self, printer: LatexPrinter) -> str:
        of, index, low, high = (printer._print(a) for a in self.args)
        return rf"\sum_{{{index}={low}}}^{{{high}}} {of}"


class Zeros(sp.ZeroMatrix):
    """A zero block that prints its shape."""

    def _latex(self, printer: LatexPrinter) -> str:
        height, width = (
            rf"({printer._print(size)})" if isinstance(size, sp.Add) else printer._print(size)
            for size in self.shape
        )
        return rf"0_{{{height} \times {width}}}"


L_SFT = sp.Symbol(r"L_{\mathrm{SFT}}")
L_OS = sp.Symbol(r"L_{\mathrm{OS}}")


LINE = 52  # characters, about a line of text
WIDE = 75  # characters of :func:`_width` that no longer fit, scripts and fractions being narrower
_NO_WIDTH = r"\\(left|right|widetilde|widehat|mathbb|mathrm|quad)(?![a-zA-Z])|[{}^_\s]"


def _width(text: str) -> int:
    """About how many characters wide LaTeX is: a command is one, a fraction its wider part."""
    while (found := re.search(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", text)) is not None:
        text = text.replace(found[0], max(found[1], found[2], key=len))
    return len(re.sub(r"\\[a-zA-Z]+", "x", re.sub(_NO_WIDTH, "", text.replace(r"\operatorname{tr}", "tr"))))


class _Printer(LatexPrinter):
    """SymPy's printer in the paper's type: I, ⊤ and the names of this module."""

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        head, star, index = expr.name.partition("*_")  # one of several w*: the star goes up, the number down
        known = _LATEX.get(expr.name, f"{head}^{{*}}_{{{index}}}" if star else None)
        return known if known is not None else super()._print_Symbol(expr, style=style)

    def _print_MatrixSymbol(self, expr: Any) -> str:
        return self._print_Symbol(expr)

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        # Positive terms first, so that 2η − η² does not print as −η² + 2η.
        return sorted(
            super()._as_ordered_terms(expr, order), key=lambda term: term.could_extract_minus_sign()
        )

    def _print_Add(self, expr: Any, order: Any = None) -> str:
        text = super()._print_Add(expr, order)
        if _width(text) < LINE or len(expr.args) < 3:
            return str(text)
        # Too wide for a line of text: as many terms a line as fit.
        lines: list[str] = []
        for term in self._as_ordered_terms(expr, order):
            shown = super()._print_Add(sp.Add(term, evaluate=False)) if term.is_Add else self._print(term)
            signed = shown if shown.startswith("-") or not lines else f"+ {shown}"
            if lines and _width(lines[-1] + signed) < LINE:
                lines[-1] += f" {signed}"
            else:
                lines.append(signed)
        body = r" \\ & ".join(lines)
        return rf"\begin{{aligned}} & {body} \end{{aligned}}"

    def _print_Relational(self, expr: Any) -> str:
        text = str(super()._print_Relational(expr))
        if _width(text) < WIDE:
            return text
        left, right = self._print(expr.lhs), self._print(expr.rhs)
        sign = text[len(left) : len(text) - len(right)].strip()
        return _broken(left, sign, right)

    def _print_MatAdd(self, expr: Any) -> str:
        # I + ṼS, Z + VZZᵀWZ: the shortest first, what is subtracted last.
        texts = (self._print(a) for a in expr.args)
        parts = sorted(texts, key=lambda text: (text.startswith("-"), len(text)))
        return parts[0] + "".join(
            f" - {text[1:].lstrip()}" if text.startswith("-") else f" + {text}" for text in parts[1:]
        )

    def _print_Identity(self, expr: Any) -> str:
        return "I"

    def _print_ZeroMatrix(self, expr: Any) -> str:
        return "0"

    def _print_Transpose(self, expr: Any) -> str:
        inner = self._print(expr.arg)
        atom = isinstance(expr.arg, sp.MatrixSymbol) and "^" not in inner
        return rf"{inner}^{{\top}}" if atom else rf"\left( {inner} \right)^{{\top}}"

    def _print_Indexed(self, expr: Any) -> str:
        return f"{self._print(expr.base)}_{{{','.join(map(self._print, expr.indices))}}}"

    def _print_Str(self, expr: Any) -> str:
        return rf"\text{{{expr.name}}}"


SETTINGS = {"mul_symbol": None, "mat_str": "bmatrix", "mat_delim": ""}  # bmatrix brings its brackets


def latex(expression: sp.Basic) -> str:
    """LaTeX of a statement, for amsmath, amssymb and bm alone."""
    return str(_Printer(SETTINGS).doprint(expression))
