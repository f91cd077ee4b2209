"""Figure 5 in rationals: m/d = 1/2, ρ = r = 1/10, η = 1/5, so a = (11/50, 1/10), and γ = 3/5 or 3/25."""

from __future__ import annotations

import sympy as sp

from theory import risk_in_q as rq
from theory.error_term_points import Point
from theory.risk_in_q import Blocks, two_blocks
from theory.statement import Counterexample

R = sp.Rational
RHO, ETA, LEVEL = R(1, 10), R(1, 5), R(1, 10)
LENGTHS = {1000: R(5, 3), 5000: R(25, 3)}  # n/d


def setting(n: int) -> Blocks:
    """Figure 5 at the prompt length ``n``, 1000 or 5000."""
    return two_blocks(LEVEL, LENGTHS[n], ETA, RHO)


class Figure5(Point):
    """The terms of F and of lim Err(V_S + V_N) at a given q, the traces of Π taken one by one."""

    a = (ETA * (1 + RHO), LEVEL)
    Sigma = (1 + RHO, sp.Integer(1))

    def __init__(self, aspect: sp.Rational, q: sp.Expr) -> None:
        super().__init__(aspect)
        object.__setattr__(self, "q", q)

    @property
    def g(self) -> tuple[sp.Expr, ...]:
        return setting_initial(self.aspect)

    @property
    def change(self) -> tuple[sp.Expr, ...]:
        return tuple(-g - ETA / a for g, a in zip(self.g, self.a, strict=True))

    @property
    def w(self) -> tuple[sp.Expr, ...]:
        """The shares w_k = a_k²q/(1 + a_k²q) of the two blocks."""
        return tuple(a**2 * self.q / (1 + a**2 * self.q) for a in self.a)

    @property
    def beta(self) -> sp.Expr:
        """β, the mean of the shares."""
        return sum(self.w) / 2


def setting_initial(aspect: sp.Rational) -> tuple[sp.Expr, ...]:
    """The levels of −Γ₀⁻¹: Σ₀ = (ρ, 1) with equal weights."""
    return tuple(-1 / (p + aspect * (RHO + 1) / 2) for p in (RHO, sp.Integer(1)))


def linearised_apart() -> Counterexample:
    """n = 1000 at q = 25, β = 413/1105, B = 224."""
    at = Figure5(setting(1000).aspect, sp.Integer(25))
    printed, true = (sp.N(sum(at.parts(which)), 8) for which in (False, True))
    return Counterexample(f"Figure 5, n=1000, β={at.beta}: F against the limit of Err(Ṽ)", printed, true)


def linearised_floor(of: Blocks) -> sp.Expr:
    """The limit of Err(V_S + V_N) as β → ∞: the risk of −ηA⁻¹."""
    return rq.risk_of(of, tuple(-of.eta / a for a in of.post))


def linearised_excess(of: Blocks) -> sp.Expr:
    """C₂ of Err(V_S + V_N) = C₁ + C₂/(β − 1) above the spike, C₁ the :func:`linearised_floor`."""
    at_noise = of.eta**2 * of.mean(of.post) * of.mean(tuple(1 / a for a in of.post))
    weight = of.aspect_test * of.mean(of.test)
    inverse = of.mean(tuple((t * t + weight * t) / a**2 for t, a in zip(of.test, of.post, strict=True)))
    return of.aspect * at_noise * inverse


def twice_as_much() -> Counterexample:
    """n = 1000, β → ∞: the two sides are rational."""
    of = setting(1000)
    ratio = linearised_floor(of) / rq.floor(of)
    return Counterexample(
        f"Figure 5, n=1000, B → ∞: is the ratio of Err(Ṽ) and Err(Ṽ_*), {sp.N(ratio, 6)}, at most 2?",
        sp.true,
        sp.sympify(bool(ratio <= 2)),
    )
