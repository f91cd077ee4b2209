"""The limit of Err(Ṽ_*) below the spike as a rational function of the root q, in exact arithmetic.

On 0 < β < rank(A)/d the map q ↦ β(q) is increasing and onto, so what the curve does in β it does in q, where
Sturm's theorem counts turning points and crossings.  Every block value is a rational here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from theory import block_symbols as bs
from theory import notation as nt
from theory import sft_limit_calculus as calculus
from theory.block_symbols import q

Numbers = tuple[sp.Rational, ...]
HALF, FIFTH, TENTH = (sp.Rational(1, x) for x in (2, 5, 10))


@dataclass(frozen=True)
class Blocks:
    """Weights μ_k, levels of A, Σ₀, Σ, rate η and d/n of post-training, pretraining and test; rationals."""

    weights: Numbers
    post: Numbers
    pre: Numbers
    test: Numbers
    eta: sp.Rational
    aspect: sp.Rational
    aspect_pre: sp.Rational
    aspect_test: sp.Rational

    def mean(self, values: tuple[sp.Expr, ...]) -> sp.Expr:
        """Σ μ_k x_k of a value for each block."""
        return sum((m * x for m, x in zip(self.weights, values, strict=True)), sp.Integer(0))

    @property
    def shifted(self) -> Numbers:
        """a_k + γā."""
        return tuple(a + self.aspect * self.mean(self.post) for a in self.post)

    @property
    def rank(self) -> sp.Rational:
        """rank(A)/d."""
        return self.mean(tuple(sp.Integer(1 if a > 0 else 0) for a in self.post))

    @property
    def remainder(self) -> sp.Rational:
        """r̄, the mean over directions of the variance of w* that Sw* leaves open."""
        return 1 - self.mean(tuple(a / s for a, s in zip(self.post, self.shifted, strict=True)))

    @property
    def after(self) -> Numbers:
        """The levels of −ηL, what fine-tuning puts in on range(A); 0 off it."""
        return tuple(
            -self.eta / s if a > 0 else sp.Integer(0) for a, s in zip(self.post, self.shifted, strict=True)
        )

    @property
    def initial(self) -> Numbers:
        """The levels of −Γ₀⁻¹."""
        return tuple(-1 / (p + self.aspect_pre * self.mean(self.pre)) for p in self.pre)


def two_blocks(
    r: sp.Rational,
    length: tuple[sp.Rational, sp.Rational, sp.Rational] | sp.Rational,
    eta: sp.Rational = FIFTH,
    rho: sp.Rational = TENTH,
    first: sp.Rational = HALF,
) -> Blocks:
    """The paper's setting: A = diag(η(ρ+1)1_m, r 1_{d−m}), Σ₀ = diag(ρ 1_m, 1_{d−m}), Σ = Σ₀ + diag(1_m, 0).

    ``length`` is n/d, one number or those of (post-training, pretraining, test); ``first`` is m/d.
    """
    lengths = length if isinstance(length, tuple) else (length, length, length)
    one = sp.Integer(1)
    return Blocks(
        (first, 1 - first),
        (eta * (rho + 1), sp.sympify(r)),
        (rho, one),
        (rho + 1, one),
        sp.sympify(eta),
        *(1 / sp.sympify(x) for x in lengths),
    )


def risk_of(of: Blocks, levels: Numbers) -> sp.Expr:
    """The risk per direction of a block-diagonal Ṽ: Σμ(1 + xσ)² + γ_test Σ̄ Σμσx²."""
    miss = of.mean(tuple((1 + x * s) ** 2 for x, s in zip(levels, of.test, strict=True)))
    spread = of.mean(tuple(s * x * x for x, s in zip(levels, of.test, strict=True)))
    return miss + of.aspect_test * of.mean(of.test) * spread


def start(of: Blocks) -> sp.Rational:
    """The limit as β → 0: the risk of −Γ₀⁻¹."""
    return risk_of(of, of.initial)


def floor(of: Blocks) -> sp.Rational:
    """The limit as β → ∞: −ηL on range(A), −Γ₀⁻¹ off it."""
    levels = (x if a > 0 else g for a, x, g in zip(of.post, of.after, of.initial, strict=True))
    return risk_of(of, tuple(levels))


@dataclass(frozen=True)
class Curve:
    """β and the risk as rational functions of q, for q > 0."""

    beta: sp.Expr
    risk: sp.Expr


def _reduced(expression: sp.Expr) -> sp.Expr:
    """A rational function of q in lowest terms."""
    field = sp.QQ.frac_field(q)
    return field.to_sympy(field.from_sympy(expression))


@cache
def curve(of: Blocks) -> Curve:
    """The curve below the spike: :func:`theory.sft_limit_calculus.sft_risk_limit_expr` at these blocks."""
    c = tuple(a * s for a, s in zip(of.post, of.shifted, strict=True))
    levels = {bs.mu: of.weights, bs.Sigma: of.test, bs.g: of.initial, bs.c: c}
    levels[calculus.L] = tuple(1 / s for s in of.shifted)
    scalars = {
        nt.eta: of.eta,
        calculus.r_bar: of.remainder,
        bs.Sigma_bar: of.mean(of.test),
        bs.aspect_test: of.aspect_test,
    }
    risk = calculus.at_levels(calculus.sft_risk_limit_expr(), levels, scalars)
    share = of.mean(tuple(x * q / (1 + x * q) for x in c))
    return Curve(_reduced(share), _reduced(risk))


@cache
def slope(of: Blocks) -> sp.Poly:
    """A polynomial with the sign of dErr/dβ for q > 0."""
    top, bottom = (sp.Poly(x, q) for x in sp.fraction(curve(of).risk))
    return sp.Poly(top.diff(q) * bottom - top * bottom.diff(q), q, domain="QQ")


def turns(of: Blocks) -> tuple[int, int]:
    """The sign of the slope as β → 0, and the number of distinct turning points below the spike."""
    polynomial = slope(of)
    lowest = polynomial.all_coeffs()[::-1]
    first = next(x for x in lowest if x != 0)
    at_zero = sp.Poly(q, q)
    while polynomial.eval(0) == 0:
        polynomial = sp.quo(polynomial, at_zero)
    return int(sp.sign(first)), int(polynomial.count_roots(0, None))


def turning_beta(of: Blocks, digits: int = 12) -> tuple[sp.Rational, sp.Rational]:
    """A rational interval around β at the first turning point, of relative width 10^−digits in q.

    Raises ``StopIteration`` where there is none.
    """
    polynomial = slope(of)
    (low, high), _ = next(
        root for root in polynomial.intervals(eps=sp.Rational(1, 10**digits), inf=0) if root[0][1] > 0
    )
    of_q = curve(of).beta
    return of_q.subs(q, low), of_q.subs(q, high)


def above(of: Blocks, level: sp.Rational) -> bool:
    """Whether the whole curve below the spike lies above ``level``."""
    top, bottom = sp.fraction(curve(of).risk)
    difference = sp.Poly(top - level * bottom, q, domain="QQ")
    positive = sp.Poly(top, q).LC() / sp.Poly(bottom, q).LC() > 0
    return bool(positive and start(of) > level and difference.count_roots(0, None) == 0)


def at_beta(of: Blocks, beta: sp.Rational) -> sp.Expr:
    """The risk at a rational β below the spike of two blocks, exact: q is the root of a quadratic."""
    roots = sp.Poly(sp.numer(sp.together(curve(of).beta - beta)), q).all_roots()
    positive = [x for x in roots if x.is_real and x > 0]
    assert len(positive) == 1
    return curve(of).risk.subs(q, positive[0])


def excess(of: Blocks) -> sp.Rational:
    """C₂ of the curve above the spike, C₁ + C₂/(β − rank), C₁ the :func:`floor`: η² r̄ Σ₊μ(σ² + γΣ̄σ)/c."""
    held = [a > 0 for a in of.post]
    weight = of.aspect_test * of.mean(of.test)
    parts = (
        (t * t + weight * t) / (a * s) if h else sp.Integer(0)
        for h, t, a, s in zip(held, of.test, of.post, of.shifted, strict=True)
    )
    return of.eta**2 * of.remainder * of.mean(tuple(parts))


def past_spike(of: Blocks, beta: sp.Rational) -> sp.Rational:
    """The risk at β above the spike."""
    return floor(of) + excess(of) / (beta - of.rank)
