"""Where Proposition B.2 fails, in exact arithmetic, from the formulas as the paper prints them.

Coded apart from :mod:`theory.risk_curve`, for two blocks of weights μ₁, 1 − μ₁.  Both curves are rational
functions of q, and q ↦ β(q) maps (0, ∞) onto (0, 1), so that a claim about all β < 1 is one about the roots
of a polynomial.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from theory.statement import Counterexample

R = sp.Rational
q, r = sp.symbols("q r")  # positive, which SymPy had better not know: it asks at every sum
gamma = sp.Symbol("gamma", positive=True)
HAND = "ρ=1, μ₁=1/2=ρ²/(1+ρ²), η=1"
FIGURE_5 = "d=600, m=300, ρ=1/10, η=1/5, r=1/10"


@dataclass(frozen=True)
class Point:
    """μ₁, ρ, η, r, γ, each a number or a symbol."""

    first: sp.Expr
    rho: sp.Expr
    eta: sp.Expr
    r: sp.Expr
    aspect: sp.Expr

    def mean(self, pair: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
        """The mean of a ``pair`` of levels over the two blocks."""
        return self.first * pair[0] + (1 - self.first) * pair[1]

    @property
    def post(self) -> tuple[sp.Expr, sp.Expr]:
        """The levels of A."""
        return self.eta * (self.rho + 1), self.r

    @property
    def test(self) -> tuple[sp.Expr, sp.Expr]:
        """The levels of Σ."""
        return self.rho + 1, sp.Integer(1)

    @property
    def initial(self) -> tuple[sp.Expr, sp.Expr]:
        """The levels of −Γ₀⁻¹."""
        kappa = self.aspect * self.mean((self.rho, sp.Integer(1)))
        return -1 / (self.rho + kappa), -1 / (1 + kappa)

    def error(self, levels: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
        """The limit of Err(Ṽ) for a block-diagonal Ṽ."""
        miss = self.mean(tuple((1 + x * s) ** 2 for x, s in zip(levels, self.test, strict=True)))
        spread = self.mean(tuple(s * x * x for x, s in zip(levels, self.test, strict=True)))
        return miss + self.aspect * self.mean(self.test) * spread


@dataclass(frozen=True)
class Curve:
    """β and the error below the spike as functions of q, and the error at β → ∞."""

    beta: sp.Expr
    error: sp.Expr
    floor: sp.Expr

    @property
    def slope(self) -> sp.Expr:
        """The derivative of the error in β at β = 0."""
        rates = [sp.diff(f, q).subs(q, 0) for f in (self.error, self.beta)]
        return sp.cancel(sp.together(rates[0] / rates[1]))

    @property
    def above_floor(self) -> sp.Poly:
        """A polynomial in q, over polynomials in r, with the sign of error − floor for q, r > 0."""
        quotient = sp.QQ.frac_field(q, r).from_sympy(self.error - self.floor)
        top, bottom = (sp.Poly(part.as_expr(), q, r) for part in (quotient.numer, quotient.denom))
        signs = {bool(c > 0) for c in bottom.coeffs()}
        assert len(signs) == 1, "the denominator must have one sign"
        return sp.Poly((top if signs == {True} else -top).as_expr(), q)


def _fixed_point(of: Point, levels: tuple[sp.Expr, sp.Expr]) -> tuple[sp.Expr, list[sp.Expr], list[sp.Expr]]:
    """β, w and μv/q in q."""
    w = [c * q / (1 + c * q) for c in levels]
    mu = (of.first, 1 - of.first)
    return of.mean((w[0], w[1])), w, [m * c / (1 + c * q) ** 2 for m, c in zip(mu, levels, strict=True)]


def printed(of: Point, corrected: bool = False) -> Curve:
    """F(β) of (B.10), as printed or with the T₁₂ terms of B.16 and B.17 corrected."""
    a, test, g = of.post, of.test, of.initial
    mu, gamma_, mean = (of.first, 1 - of.first), of.aspect, of.mean(of.test)
    beta, w, spread = _fixed_point(of, (a[0] ** 2, a[1] ** 2))
    T12 = q * spread[0] * spread[1] / (spread[0] + spread[1])
    one, two = (-x - of.eta / y for x, y in zip(g, a, strict=True))
    s = [of.mean(a) * x for x in a]

    def both(start: list[sp.Expr], change: list[sp.Expr], x: list[sp.Expr]) -> sp.Expr:
        return sum(
            m * y * (b**2 * (1 - z) + (b + c) ** 2 * z)
            for m, y, b, c, z in zip(mu, x, start, change, w, strict=True)
        )

    def leak(x: list[sp.Expr]) -> sp.Expr:
        if corrected:
            return T12 * (two**2 - one**2) * (x[0] - x[1])
        return -T12 * (one - two) * (one * x[0] - two * x[1])

    def inverse(x: list[sp.Expr]) -> sp.Expr:  # w²/a² = qv
        return q * (spread[0] * x[0] + spread[1] * x[1]) / (spread[0] + spread[1])

    unit = [sp.Integer(1)] * 2
    bias = both([1 + x * y for x, y in zip(g, test, strict=True)], [one * test[0], two * test[1]], unit)
    bias += T12 * (two**2 - one**2) * (test[0] ** 2 - test[1] ** 2)
    T_var = both(list(g), [one, two], s) + leak(s)
    T_var_S = both(list(g), [one, two], list(test)) + leak(list(test))
    error = bias + gamma_ * inverse([x**2 for x in test]) * T_var + gamma_ * mean * T_var_S
    error += gamma_**2 * mean * inverse(list(test)) * T_var
    return Curve(beta, error, of.error((-of.eta / a[0], -of.eta / a[1])))


def exact(of: Point) -> Curve:
    """The limit of Err(Ṽ_*) itself (``notes/proportional.md``)."""
    a, test, g = of.post, of.test, of.initial
    shift = of.aspect * of.mean(a)
    after = tuple(-of.eta / (x + shift) for x in a)
    beta, w, spread = _fixed_point(of, (a[0] * (a[0] + shift), a[1] * (a[1] + shift)))
    gain = [x**2 + of.aspect * of.mean(test) * x for x in test]
    square = [(x - y) ** 2 for x, y in zip(after, g, strict=True)]
    # the quadratic x(level)² + 2σ level + 1 at −Γ₀⁻¹ and at −ηL, of which w_k takes the second
    parts = [
        [1 + 2 * y * s + y * y * x for s, x, y in zip(test, gain, lev, strict=True)] for lev in (g, after)
    ]
    plain = of.mean(tuple(b * (1 - z) + c * z for b, c, z in zip(*parts, w, strict=True)))
    total = spread[0] + spread[1]
    leak = -q * spread[0] * spread[1] / total * (square[0] - square[1]) * (gain[0] - gain[1])
    noise = of.eta**2 * of.mean(tuple(shift / (x + shift) for x in a))
    inverse = q * (spread[0] * gain[0] + spread[1] * gain[1]) / total
    return Curve(beta, plain + leak + noise * inverse, of.error(after))


def figure_5(length: int) -> Point:
    """A panel of Figure 5, n = ``length``."""
    return Point(R(1, 2), R(1, 10), R(1, 5), R(1, 10), R(600, length))


@cache
def above_floor_throughout(curve: Curve) -> bool:
    """Whether no β < 1 comes down to the error at β → ∞, by Sturm's theorem; a curve in numbers."""
    sign = curve.above_floor
    start = sp.cancel(sp.together(curve.error)).subs(q, 0)
    return bool(start > curve.floor and sign.LC() > 0 and sign.count_roots(0, None) == 0)


def large_sets_win() -> Counterexample:
    """Figure 5 (a)."""
    found = printed(figure_5(1000))
    return Counterexample(
        f"{FIGURE_5}, n=1000 (Figure 5 a): is F(β) ≤ F(∞) = {sp.N(found.floor, 4)} at some β < 1?",
        sp.true,
        sp.sympify(not above_floor_throughout(found)),
    )


def _at_equality() -> Point:
    return Point(R(1, 2), sp.Integer(1), sp.Integer(1), r, gamma)


@cache
def slope_at_equality() -> Counterexample:
    """F′(0) as r → 0 at γ > 0 is of the order of γ, and positive."""
    slope = printed(_at_equality()).slope.subs(r, 0)
    return Counterexample(
        f"{HAND}: sign of F'(0)/γ, first r → 0 then γ → 0",
        sp.Integer(-1),
        sp.sign(sp.cancel(slope / gamma).subs(gamma, 0)),
    )


def bias_at_equality() -> Counterexample:
    """κ = γ and μ₂/μ₁ = 1: α₁² = ((1 − γ)/(1 + γ))² < 1."""
    of = _at_equality()
    alpha = 1 + of.initial[0] * of.test[0]
    apart = sp.factor(alpha**2 - (1 - of.first) / of.first)
    if sp.cancel(apart + 4 * gamma / (1 + gamma) ** 2) != 0:
        raise ArithmeticError(f"α₁² − μ₂/μ₁ = {apart}, expected −4γ/(1 + γ)²")
    return Counterexample(
        f"{HAND}: is α₁² − μ₂/μ₁ = −4γ/(1 + γ)² ≥ 0 for small γ > 0?",
        sp.true,
        sp.sympify(not apart.is_negative),
    )


MATCHED = Point(R(2, 3), sp.Integer(1), sp.Integer(1), r, sp.Integer(1))


@cache
def never_below_floor(of: Point) -> sp.Expr | None:
    """An r₁ such that for all r < r₁ no β < 1 comes down to Err(Ṽ_*) at β → ∞; ``None`` if this is not shown.

    Shown by the coefficients in q of the difference's numerator, all positive for r < r₁.
    """
    roots = []
    for coefficient in exact(of).above_floor.coeffs():
        in_r = sp.Poly(coefficient, r)
        lowest = next(c for c in reversed(in_r.all_coeffs()) if c != 0)
        if lowest < 0:
            return None
        roots += [root for root in in_r.real_roots() if root > 0]
    return min(roots) if roots else sp.oo


def small_r_is_not_enough() -> Counterexample:
    """A point at which no β < 1 is as good as β → ∞, however small r is."""
    found = exact(MATCHED)
    ends = [x.subs(r, 0) for x in (found.error.subs(q, 0), found.floor)]
    return Counterexample(
        f"μ₁=2/3, ρ=η=γ=1, r → 0: Err(0) → {ends[0]}, Err(∞) → {ends[1]}; is, for arbitrarily small r, the "
        "error at some β < 1 at most Err(∞)?",
        sp.true,
        sp.sympify(never_below_floor(MATCHED) is None),
    )
