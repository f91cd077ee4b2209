"""The gradient of the outcome loss (Section 6, Appendix E): its formula, and how it scales with k.

Notes: ``notes/outcome_gradient.md``.
"""

from __future__ import annotations

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.printing.latex import LatexPrinter

from theory import notation as nt
from theory import outcome_points as points
from theory.notation import B, I, S_tau, V, d, j, k, tau, w_star_tau
from theory.outcome_calculus import Inner, M_tau, SpectralRadius, in_words, value
from theory.statement import BEYOND, Statement, register, registry
from theory.words.poly import Matrix

GRADIENT = nt.Gradient(nt.L_OS, V)
SUMMAND = (M_tau.T) ** j * M_tau**k * w_star_tau * w_star_tau.T * (M_tau.T) ** (k - 1 - j) * S_tau.T
PRINTED = nt.MatrixSum(nt.MatrixSum(SUMMAND, j, 0, k - 1), tau, 1, B) / B


class Growth(nt.FrobeniusSquared):
    """lim sup ‖X‖_F^{1/k} as k grows, the factor that X gains per step."""

    def _latex(self, printer: LatexPrinter) -> str:
        inner = printer._print(self.args[0])
        return rf"\mathop{{\mathrm{{lim\,sup}}}}_{{k \to \infty}} \left\| {inner} \right\|_F^{{1/k}}"


# Derivations ---------------------------------------------------------------------------------------


def summand(formula: MatrixExpr) -> MatrixExpr:
    """What a gradient formula sums over τ and j."""
    (per_prompt,) = [node for node in formula.atoms(nt.MatrixSum) if node.args[1] == tau]
    inner = per_prompt.args[0]
    assert isinstance(inner, nt.MatrixSum)
    return inner.args[0]


def expanded(formula: MatrixExpr, steps: int) -> tuple[Matrix, Matrix]:
    """(∇ of ½‖(I + ṼS)^k w*‖² by the product rule, ``formula``) in words, general d, S of any symmetry."""
    at = in_words(steps)
    miss = value(M_tau**k * w_star_tau, at.of_prompt(at.prompts[0]))
    derived = (miss.norm2() * sp.Rational(1, 2)).gradient(nt.letter_of(V))
    return derived, value(formula, at)


def induction(term: MatrixExpr) -> tuple[MatrixExpr, MatrixExpr]:
    """Both sides of the induction on k, for k and j that stay symbols.

    The gradient of uᵀM^k w in Ṽ for a fixed u is Γ_k(u) = Σ_j g_j(k, u), g_j(k, u) being the printed ``term``
    with u for M^k w*.  Since uᵀM^{k+1}w = (Mᵀu)ᵀM^k w where only the later factors move, plus uᵀ(dM)M^k w,
    Γ_{k+1}(u) = u wᵀ(Mᵀ)^k Sᵀ + Γ_k(Mᵀu); so does the sum, if g_0(k+1, u) is the first of these and
    g_{j+1}(k+1, u) = g_j(k, Mᵀu).  ∇L is Γ_k(M^k w*).  Returned: the two sides of both, added.
    """
    u = sp.MatrixSymbol("u", d, 1)
    parts = list(term.args)
    at = parts.index(M_tau**k)  # ValueError: the term has no M^k
    parts[at : at + 2] = [u]

    def of(index: sp.Expr, steps: sp.Expr, vector: MatrixExpr) -> MatrixExpr:
        moved = [p.subs(k, steps).subs(j, index) if p != u else vector for p in parts]
        return sp.MatMul(*moved).doit()

    first = sp.MatMul(u, w_star_tau.T, (M_tau.T) ** k, S_tau.T).doit()
    left = sp.MatAdd(of(sp.Integer(0), k + 1, u), of(j + 1, k + 1, u) * 2)
    return left, sp.MatAdd(first, of(j, k, M_tau.T * u) * 2)


def powers(term: MatrixExpr) -> sp.Expr:
    """The number of factors M or Mᵀ in a summand of the gradient."""
    exponents = [p.exp for p in term.args if isinstance(p, sp.MatPow) and p.base in (M_tau, M_tau.T)]
    return sp.expand(sp.Add(*exponents))


def radial() -> tuple[sp.Expr, sp.Expr]:
    """⟨∇L, Ṽ⟩ and (k/B) Σ (‖M^k w*‖² − ⟨M^k w*, M^{k−1}w*⟩)."""
    now, before = M_tau**k * w_star_tau, M_tau ** (k - 1) * w_star_tau
    change = nt.NormSquared(now) - Inner(now, before)
    return Inner(GRADIENT, V), k / B * sp.Sum(change, (tau, 1, B))


# Statements ----------------------------------------------------------------------------------------

_STABLE = sp.Lt(SpectralRadius(M_tau), 1, evaluate=False)
_UNSTABLE = sp.Gt(SpectralRadius(M_tau), 1, evaluate=False)
EXPANDING = "for some τ, w*_τ has a part in the eigenspaces of M_τ with |λ| > 1"
P_tau = nt.matrix("P_tau", d, d, r"P_{\tau}")
_PROJECTION = I - V * S_tau * nt.Pinv(S_tau * V * S_tau) * S_tau
_RESPONSE = S_tau * nt.Pinv(S_tau * V.T * S_tau) * S_tau
LONG_CHAIN = -nt.MatrixSum(P_tau.T * P_tau * w_star_tau * w_star_tau.T * _RESPONSE, tau, 1, B) / B

register(
    Statement(
        "os-gradient",
        "Section 6, Appendix E",
        "The gradient of the outcome loss at W̃ = I",
        sp.Eq(GRADIENT, PRINTED, evaluate=False),
        assumptions=("W̃ = I", "M_τ = I + Ṽ S_τ"),
        depends_on=("prop-6.1.b",),
        note="For every d, n, B, k, singular S_τ and non-normal M_τ included; it would hold for S_τ that are "
        "not symmetric too.",
    )
)
register(
    Statement(
        "os-vanishing.a",
        "Section 6, vanishing gradients",
        "In the stable region the gradient shrinks exponentially in k",
        sp.Implies(_STABLE, sp.Lt(Growth(GRADIENT), 1, evaluate=False), evaluate=False),
        assumptions=("Ṽ and the prompts are fixed as k grows", "ρ(M_τ) < 1 for every τ"),
        depends_on=("os-gradient",),
        note="Read as k → ∞: per step by ρ² at most, and by ρ² for almost every w*.  Not from the first step "
        "on: with M non-normal, or ρ near 1, it grows before it falls, for ρ near 1 up to k ≈ −1/(2 ln ρ).  "
        "For n < d or singular A there is no stable region, M_τ being I on null(S_τ): see ext-os-null.",
    )
)
register(
    Statement(
        "os-vanishing.b",
        "Section 6, growing gradients",
        "For ρ(M_τ) > 1 the gradient grows exponentially in k",
        sp.Implies(_UNSTABLE, sp.Gt(Growth(GRADIENT), 1, evaluate=False), evaluate=False),
        assumptions=("Ṽ and the prompts are fixed as k grows",),
        condition=f"{EXPANDING}, as almost every w* has",
        counterexample=lambda: points.falls_outside(registry()["os-vanishing.b"].printed),
        depends_on=("os-gradient", "ext-os-radial"),
        note="With it the factor per step is r² or more, r the largest |λ| of such an eigenspace, and no "
        "cancellation between prompts undoes it.  Without it the gradient can still grow, where M is "
        "not normal: by r ρ(M) per step.  Only the lim sup grows: a gradient can vanish at single k.",
    )
)
register(
    Statement(
        "ext-os-radial",
        BEYOND,
        "The outcome gradient along Ṽ itself",
        sp.Eq(*radial(), evaluate=False),
        assumptions=("W̃ = I",),
        depends_on=("os-gradient",),
        note="With Cauchy-Schwarz: ‖∇L_k‖ ≥ 2k √L_k (√L_k − √L_{k−1})/‖Ṽ‖, so a loss that grows "
        "exponentially in k brings its gradient with it.",
    )
)
register(
    Statement(
        "ext-os-null",
        BEYOND,
        "The outcome gradient at long chains where S_τ is singular: neither vanishing nor growing",
        nt.Listing(nt.Tends(GRADIENT, k, sp.oo, LONG_CHAIN), sp.Eq(P_tau, _PROJECTION, evaluate=False)),
        assumptions=(
            "Ṽ ≺ 0 symmetric",
            "all eigenvalues of M_τ but those equal to 1 are below 1 in modulus",
        ),
        depends_on=("os-gradient",),
        note="P_τ = lim M_τ^k is the projection onto null(S_τ) along Ṽ range(S_τ).  At n < d ρ(M_τ) ≥ 1 "
        "always, and this is what stands in for the stable region.  The limit is 0 for invertible S_τ.",
    )
)
