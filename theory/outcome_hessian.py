"""The Hessian of the outcome loss (Appendix E): what is dropped near a minimum, and the bounds on its norm.

Notes: ``notes/outcome_hessian.md``.
"""

from __future__ import annotations

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.printing.latex import LatexPrinter

from theory import notation as nt
from theory import outcome_points as points
from theory.errors import ArgumentError
from theory.notation import B, S_tau, V, d, j, k, tau, w_star_tau
from theory.outcome_calculus import (
    Differential,
    E,
    Inner,
    M,
    M_tau,
    S,
    SpectralRadius,
    in_words,
    value,
    w,
)
from theory.statement import BEYOND, Statement, register, registry
from theory.words.letters import Factor, Letter
from theory.words.poly import Matrix, Scalar, letter

a, b = sp.symbols("a i", integer=True, nonnegative=True)  # the name b is the label entry's
l = sp.Symbol("l", integer=True, nonnegative=True)  # noqa: E741  the paper's index
NORM = nt.OperatorNorm
size = nt.scalar_symbol("norm of M", r"\mu", positive=True)  # ‖M‖ where it is only a number


class Slope(MatrixExpr):
    """d/dt G(Ṽ + tE) at t = 0 of a matrix function ``name`` of Ṽ; ``of`` is its formula."""

    is_commutative = False

    def __new__(cls, name: sp.Basic, of: MatrixExpr) -> Slope:
        return MatrixExpr.__new__(cls, name, of)

    @property
    def shape(self) -> tuple[sp.Basic, sp.Basic]:
        return (d, d)

    def _latex(self, printer: LatexPrinter) -> str:
        name, V_block, direction = (printer._print(x) for x in (self.args[0], V, E))
        at = rf"{name}\left( {V_block} + t {direction} \right)"
        return rf"\left. \frac{{d}}{{dt}} {at} \right|_{{t=0}}"


class BracketSum(nt.MatrixSum):
    """A sum of terms that are sums themselves."""

    def _latex(self, printer: LatexPrinter) -> str:
        of, index, low, high = (printer._print(x) for x in self.args)
        return rf"\sum_{{{index}={low}}}^{{{high}}} \left( {of} \right)"


# Formulas ------------------------------------------------------------------------------------------

_A_J, _B_J = nt.matrix("A_j", d, d, "A_{j}"), nt.matrix("B_j", d, d, "B_{j}")
_DG = nt.matrix("dG", d, d, "dG")
_FIRST, _LAST = (M.T) ** j, w * w.T * (M.T) ** (k - 1 - j) * S.T
PRODUCT_RULE = BracketSum(
    Differential(_A_J) * M**k * _B_J + _A_J * Differential(M**k) * _B_J + _A_J * M**k * Differential(_B_J),
    j,
    0,
    k - 1,
)
GRADIENT = nt.MatrixSum((M.T) ** j * M**k * w * w.T * (M.T) ** (k - 1 - j) * S.T, j, 0, k - 1)
KEPT = nt.MatrixSum(_A_J * Differential(M**k) * _B_J, j, 0, k - 1)
_TERM = (M.T) ** j * M**l * Differential(M) * M ** (k - 1 - l) * w * w.T * (M.T) ** (k - 1 - j) * S.T
DOUBLE_SUM = nt.MatrixSum(nt.MatrixSum(_TERM, l, 0, k - 1), j, 0, k - 1)

_NORMS = sp.Mul(
    *(NORM(M**p) for p in (j, l, k - 1 - l, k - 1 - j)), nt.NormSquared(w), NORM(S), evaluate=False
)
_POWERS = sp.Mul(
    *(sp.Pow(NORM(M), p, evaluate=False) for p in (j, l, k - 1 - l, k - 1 - j)),
    nt.NormSquared(w),
    NORM(S),
    evaluate=False,
)
NORM_SUM = sp.Sum(_NORMS, (l, 0, k - 1), (j, 0, k - 1))
POWER_SUM = sp.Sum(_POWERS, (l, 0, k - 1), (j, 0, k - 1))
WITH_RADIUS = k**2 * SpectralRadius(M) ** (2 * k - 2) * nt.NormSquared(w) * NORM(S)
WITH_NORM = k**2 * NORM(M) ** (2 * k - 2) * nt.NormSquared(w) * NORM(S)

_REST = (
    2
    * NORM(M**k)
    * sp.Sum(NORM(M**a) * NORM(M**b) * NORM(M ** (k - 2 - a - b)), (b, 0, k - 2 - a), (a, 0, k - 2))
)
GENERAL = (
    (sp.Sum(NORM(M**j) * NORM(M ** (k - 1 - j)), (j, 0, k - 1)) ** 2 + _REST)
    * nt.NormSquared(w)
    * NORM(S) ** 2
)
SHARP = k * (2 * k - 1) * nt.NormSquared(w) * NORM(S) ** 2 * NORM(M) ** (2 * k - 2)


def quadratic_form(step: MatrixExpr, covariance: MatrixExpr, star: MatrixExpr) -> sp.Expr:
    """D²[½‖M^k w*‖²](E, E), one prompt."""
    once = nt.MatrixSum(step**j * E * covariance * step ** (k - 1 - j) * star, j, 0, k - 1)
    twice = step**a * E * covariance * step**b * E * covariance * step ** (k - 2 - a - b) * star
    both = nt.MatrixSum(nt.MatrixSum(twice, b, 0, k - 2 - a), a, 0, k - 2)
    return nt.NormSquared(once) + 2 * Inner(step**k * star, both)


# Derivations ---------------------------------------------------------------------------------------


def along(of: Matrix, target: Letter, direction: Letter) -> Matrix:
    """The derivative of a word polynomial as ``target`` moves along ``direction``: the product rule.

    Raises :class:`ArgumentError` where the target is inside a trace.
    """
    found = []
    for (traces, word), coefficient in of.terms.items():
        if any(f.letter == target for trace in traces for f in trace):
            raise ArgumentError(f"of={of}: has {target} inside a trace, must have it in words alone")
        for place, factor in enumerate(word):
            if factor.letter == target:
                moved = (*word[:place], Factor(direction, factor.transposed), *word[place + 1 :])
                found.append((traces, moved, coefficient))
    return Matrix.of_terms(of.rows, of.cols, found)


def with_blocks(formula: MatrixExpr, listing: sp.Basic) -> MatrixExpr:
    """A formula with the A_j, B_j that ``listing`` prints put in."""
    blocks = {one.lhs: one.rhs for one in listing.args if one.lhs in (_A_J, _B_J)}
    return formula.xreplace(blocks)


def second_differential(step_back: int) -> tuple[Scalar, Scalar]:
    """D²[½‖M^k w*‖²](E, E) at k = ``step_back`` in words: by the product rule twice, and as stated."""
    at = in_words(step_back)
    v, e = nt.letter_of(V), nt.letter_of(E)
    miss = value(M**k * w, at)
    first = along(miss, v, e)
    derived = first.norm2() + (miss.T @ along(first, v, e)).trace()
    return derived, value(quadratic_form(M, S, w), at)


def majorant(node: sp.Basic, largest: bool = False) -> sp.Expr:
    """A bound on the norm of a formula, ‖E‖_F = 1: the triangle inequality for sums, ‖XY‖ ≤ ‖X‖‖Y‖ for
    products, Cauchy-Schwarz for inner products.  ‖M^p‖ stays, or with ``largest`` becomes ‖M‖^p."""
    if isinstance(node, nt.MatrixSum):
        of, index, low, high = node.args
        return sp.Sum(majorant(of, largest), (index, low, high))
    if isinstance(node, nt.NormSquared):
        return majorant(node.args[0], largest) ** 2
    if isinstance(node, sp.MatMul | Inner | sp.Mul | sp.Add):
        parts = [majorant(part, largest) for part in node.args]
        return sp.Add(*parts) if isinstance(node, sp.Add) else sp.powsimp(sp.Mul(*parts))
    if isinstance(node, sp.MatPow):
        return size**node.exp if largest else NORM(node)
    if isinstance(node, sp.MatrixSymbol):
        return {E: sp.Integer(1), w: sp.sqrt(nt.NormSquared(w))}.get(node, NORM(node))
    return sp.Abs(node)


def induction() -> tuple[Matrix, Matrix]:
    """D²(M^{k+1}w)(E, E) for general k: by Leibniz' rule, and as the sums over a + b + c = k − 1.

    M^k w, D_k = Σ_j M^j ES M^{k−1−j}w and Q_k = Σ_{a+b+c=k−2} M^a ES M^b ES M^c w enter as letters.  The
    terms with a = 0 of Q_{k+1} are ES D_k, those with a ≥ 1 are M Q_k.
    """
    p, dk, qk = (letter(Letter(name, d, 1)) for name in ("M^k w", "D_k", "Q_k"))
    es = letter(nt.letter_of(E)) @ letter(Letter("S_any", d, d))
    step = letter(nt.letter_of(M))
    # D²(M·p) = M D²p + 2 (DM)(Dp), with D²p = 2 Q_k and D p = D_k; and D(M p) = ES p + M D_k.
    by_rule = step @ (qk * 2) + es @ dk * 2
    split = (es @ dk + step @ qk) * 2
    assert not (es @ p).is_zero()
    return by_rule, split


def merged(norms: sp.Expr) -> sp.Expr:
    """The terms of a double sum with every ‖M^p‖ replaced by ‖M‖^p: by submultiplicativity no less."""
    factor, total = norms.as_coeff_Mul()
    terms = total.function.replace(
        lambda n: isinstance(n, nt.OperatorNorm) and isinstance(n.args[0], sp.MatPow),
        lambda n: size ** n.args[0].exp,
    )
    return factor * sp.powsimp(terms.subs(NORM(M), size))


def counted(norms: sp.Expr) -> sp.Expr:
    """A double sum whose terms are then all equal, for k that stays a symbol."""
    return sp.simplify(sp.Sum(merged(norms), (l, 0, k - 1), (j, 0, k - 1)).doit())


# Statements ----------------------------------------------------------------------------------------

_H = nt.matrix("H_os", d**2, d**2, "H")
_TARGET = nt.matrix("H[dM]", d, d, "H[dM]")
_H_E = nt.matrix("H[E]", d, d, "H[E]")
_BLOCKS = (sp.Eq(_A_J, _FIRST, evaluate=False), sp.Eq(_B_J, _LAST, evaluate=False))
_G = sp.Symbol(r"\nabla_{\widetilde{V}} L")
_SHARE = sp.Symbol(
    r"\frac{\left\| \sum_{j} \left( dA_{j} M^{k} B_{j} + A_{j} M^{k} dB_{j} \right) \right\|_F}"
    r"{\left\| \sum_{j} A_{j} \, d(M^{k}) \, B_{j} \right\|_F}"
)
_MISS = sp.Symbol(r"M^{k} w^{*}")

register(
    Statement(
        "app-E-hessian.a",
        "Appendix E",
        "The differential of the gradient by the product rule",
        nt.Listing(sp.Eq(_DG, PRODUCT_RULE, evaluate=False), *_BLOCKS),
        depends_on=("os-gradient",),
    )
)
register(
    Statement(
        "app-E-hessian.b",
        "Appendix E",
        "Near the global minimum the terms with M^k vanish beside the one that is kept",
        nt.Tends(_SHARE, _MISS, 0, sp.Integer(0)),
        assumptions=("M^k w* ≈ 0",),
        condition="the term that is kept does not vanish at the minimum as well: for instance some "
        "M_τ w*_τ = 0 with M_τ^{k−1} ≠ 0, as at an interpolating Ṽ",
        counterexample=lambda: points.dropped_at_one(registry()["app-E-hessian.b"].printed),
        depends_on=("app-E-hessian.a",),
        note="At M^k w* = 0 itself the dropped terms are zero.  But they are small beside the kept one only "
        "where that one is not small too.  For d = 1 they are 1 − 1/k of it at every Ṽ.  Likewise on the way "
        "to M = 0, the minimum Ṽ = −Σ⁻¹ that long prompts (S_τ → Σ) lead to: there, for k ≥ 2, the whole "
        "Hessian vanishes.",
    )
)
register(
    Statement(
        "app-E-hessian.c",
        "Appendix E",
        "What is kept, with the power rule put in",
        sp.Eq(_TARGET, DOUBLE_SUM, evaluate=False),
        assumptions=("M^k w* = 0", "dM = E·S"),
        depends_on=("app-E-hessian.a",),
        note="Printed with ≈ near a minimum; it is the Hessian where M^k w* = 0, and everywhere JᵀJ of the "
        "Gauss-Newton method.  As a function of dM it has one S, as one of E (app-E-hessian.d) two.",
    )
)
register(
    Statement(
        "app-E-hessian.d",
        "Appendix E",
        "The Hessian along a direction E",
        sp.Eq(_H_E, Slope(_G, GRADIENT), evaluate=False),
        depends_on=("os-gradient",),
        note="A definition; what is checked is that with the printed gradient it is Σ ∂²L/∂Ṽ_ab∂Ṽ_cd E_cd.",
    )
)
register(
    Statement(
        "app-E-opnorm.a",
        "Appendix E",
        "The bound on the Hessian by norms of powers",
        sp.Le(NORM(_H), NORM_SUM, evaluate=False),
        corrected=sp.Le(NORM(_H), GENERAL, evaluate=False),
        counterexample=lambda: points.beyond_first_bound(registry()["app-E-opnorm.a"].printed),
        consequences=("eq-6.1",),
        depends_on=("app-E-hessian.b", "app-E-hessian.d"),
        note="One ‖S‖ too few: dM = E·S brings the second.  And for k ≥ 2 the dropped terms count: d = 1, "
        "S = 1, k = 2, M = 1 has H = 6w*², the print 4w*².  What is printed bounds JᵀJ as a function of dM.  "
        "At Figure 1's levels no point tested exceeds it, for all these bounds are loose there.",
    )
)
register(
    Statement(
        "app-E-opnorm.b",
        "Appendix E",
        "Submultiplicativity",
        sp.Le(NORM_SUM, POWER_SUM, evaluate=False),
    )
)
register(
    Statement(
        "app-E-opnorm.c",
        "Appendix E",
        "The sum of powers of the norm in terms of the spectral radius",
        sp.Eq(POWER_SUM, WITH_RADIUS, evaluate=False),
        corrected=sp.Eq(POWER_SUM, WITH_NORM, evaluate=False),
        counterexample=lambda: points.nilpotent(registry()["app-E-opnorm.c"].printed),
        consequences=("eq-6.1",),
        depends_on=("app-E-opnorm.b",),
        note="ρ(M) ≤ ‖M‖, so the bound is lost.  Equal if and only if ρ(M) = ‖M‖ or k = 1.  So for normal M, "
        "which I + Ṽ S_τ is if Ṽ and S_τ commute, but for sampled prompts is not.  At Figure 1's d = 400, "
        "n = 1000, with Ṽ = −Γ₀⁻¹ and prompts from Σ₀, ρ(M) = 0.94 and ‖M‖ = 1.17: powers of the one fall "
        "with k, those of the other grow.",
    )
)
register(
    Statement(
        "ext-os-hessian",
        BEYOND,
        "The exact Hessian of the outcome loss as a quadratic form",
        sp.Eq(
            Inner(E, _H_E), sp.Sum(quadratic_form(M_tau, S_tau, w_star_tau), (tau, 1, B)) / B, evaluate=False
        ),
        assumptions=("W̃ = I",),
        depends_on=("prop-6.1.b",),
        note="The first term is what Appendix E keeps, the second what it drops.",
    )
)
register(
    Statement(
        "ext-os-bound",
        BEYOND,
        "The best bound on the Hessian of one prompt by the norms of w*, S and M",
        sp.Le(NORM(_H), SHARP, evaluate=False),
        depends_on=("ext-os-hessian",),
        note="Equal at S = sI, Ṽ = vI, E = w*w*ᵀ, in every d, so no factor below k(2k−1) will do.  For B "
        "prompts the mean of the bounds.  A share k/(2k−1) of it is from the term that Appendix E keeps.",
    )
)
