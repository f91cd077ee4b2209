"""Theorem B.1 at a point in rationals: μ = (1/2, 1/2), A = diag(1, 1/2), Σ = diag(2, 1), β = 1/2.

It is the paper's setting at ρ = 1, η = r = 1/2, so that A = ηΣ: no interference.  The equation for q reads
q/(1 + q) + (q/4)/(1 + q/4) = 1, q = 2.  What is true there comes from Π alone, by its traces T_ij, and the
counterexamples of (C.32), (C.38) from an explicit Π with d = 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import sympy as sp

from theory.statement import Counterexample

R = sp.Rational
HALF = R(1, 2)
TEXT = "μ=(1/2,1/2), β=1/2, ρ=1, η=r=1/2"


def _expect(found: sp.Expr, wanted: sp.Expr, what: str) -> None:
    if sp.simplify(found - wanted) != 0:
        raise ArithmeticError(f"{what}: {found}, expected {wanted}")


@dataclass(frozen=True)
class Point:
    """The paper's two blocks of equal size at ρ = 1, β = 1/2; lists have a value for each block."""

    aspect: sp.Rational

    a = (sp.Integer(1), HALF)
    Sigma = (sp.Integer(2), sp.Integer(1))
    q = sp.Integer(2)

    @property
    def g(self) -> tuple[sp.Expr, ...]:
        """Γ₀ = (1 + γ) I: both levels of Σ₀ are 1."""
        return (-1 / (1 + self.aspect),) * 2

    @property
    def change(self) -> tuple[sp.Expr, ...]:
        """δ̃_k."""
        return tuple(-g - HALF / a for g, a in zip(self.g, self.a, strict=True))

    @property
    def s(self) -> tuple[sp.Expr, ...]:
        """s_k = āa_k of each block."""
        mean = sum(self.a) / 2
        return tuple(mean * a for a in self.a)

    @property
    def w(self) -> tuple[sp.Expr, ...]:
        """The shares w_k = a_k²q/(1 + a_k²q); that their mean is β is checked."""
        found = tuple(a**2 * self.q / (1 + a**2 * self.q) for a in self.a)
        _expect(sum(found) / 2, HALF, "β")
        return found

    @property
    def v(self) -> tuple[sp.Expr, ...]:
        """v_k = w_k(1 − w_k)."""
        return tuple(w * (1 - w) for w in self.w)

    @property
    def T(self) -> sp.Matrix:
        """lim (1/d) tr(Π_ijΠ_ji): T₁₂ of (B.12), and T_kk = μ_kw_k − T₁₂ of Π² = Π."""
        T12 = self.v[0] * self.v[1] / (2 * sum(self.v))
        return sp.Matrix(2, 2, lambda i, j: T12 if i != j else self.w[i] / 2 - T12)

    def quadratic(self, f: Sequence[sp.Expr], x: Sequence[sp.Expr]) -> sp.Expr:
        """lim (1/d) tr(FΠXΠ)."""
        return sum(f[i] * x[j] * self.T[i, j] for i in (0, 1) for j in (0, 1))

    def square(self, constant: Sequence[sp.Expr], change: Sequence[sp.Expr], x: Sequence[sp.Expr]) -> sp.Expr:
        """lim (1/d) ‖(C + DΠ)X^{1/2}‖², C and D with these levels."""
        linear = sum(x[i] * constant[i] * (constant[i] + 2 * change[i] * self.w[i]) / 2 for i in (0, 1))
        return sp.simplify(linear + self.quadratic([c**2 for c in change], x))

    @property
    def bias(self) -> sp.Expr:
        """(1/d)‖D₁ + D_preΠΣ‖²: (C + DΠ)Σ with C = D₁Σ⁻¹."""
        first = [1 / x + g for g, x in zip(self.g, self.Sigma, strict=True)]
        return self.square(first, self.change, [x**2 for x in self.Sigma])

    def variance(self, x: Sequence[sp.Expr]) -> sp.Expr:
        """lim (1/d) tr(V_S X V_Sᵀ)."""
        return self.square(self.g, self.change, x)

    def inverse(self, f: Sequence[sp.Expr]) -> sp.Expr:
        """lim (1/d) tr(F(MMᵀ/d)†), (B.14)."""
        inside = [w**2 / a**2 for w, a in zip(self.w, self.a, strict=True)]
        return self.q * sum(x * y for x, y in zip(f, inside, strict=True)) / sum(inside)

    def printed(self, x: Sequence[sp.Expr]) -> sp.Expr:
        """(B.16), (B.17) as printed, typed here."""
        (d1, d2), T12 = self.change, self.T[0, 1]
        squares = sum(
            x[i] * (self.g[i] ** 2 * (1 - self.w[i]) + (self.g[i] + self.change[i]) ** 2 * self.w[i]) / 2
            for i in (0, 1)
        )
        return sp.simplify(squares - T12 * (d1 - d2) * (d1 * x[0] - d2 * x[1]))

    def parts(self, true: bool) -> tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]:
        """Bias, γT_invT_var, γΣ̄T_var,Σ and γ²Σ̄T_inv,ΣT_var."""
        form = self.variance if true else self.printed
        mean = sum(self.Sigma) / 2
        noise, signal = form(self.s), form(self.Sigma)
        inverse, at_test = (self.inverse([x**p for x in self.Sigma]) for p in (2, 1))
        gamma = self.aspect
        return (
            self.bias,
            gamma * inverse * noise,
            gamma * mean * signal,
            gamma**2 * mean * at_test * noise,
        )


AT = Point(sp.Integer(1))


def _parts(which: Sequence[int], what: str) -> Counterexample:
    printed, actual = (sp.simplify(sum(AT.parts(true)[i] for i in which)) for true in (False, True))
    return Counterexample(f"{TEXT}, γ=1: {what}", printed, actual)


@cache
def variance_of_noise() -> Counterexample:
    """T_var as printed in (B.16)."""
    return Counterexample(f"{TEXT}, γ=1: T_var", AT.printed(AT.s), AT.variance(AT.s))


@cache
def variance_at_test() -> Counterexample:
    """T_var,Σ as printed in (B.17)."""
    return Counterexample(f"{TEXT}, γ=1: T_var,Σ", AT.printed(AT.Sigma), AT.variance(AT.Sigma))


@cache
def signal() -> Counterexample:
    """The signal part of Term II, with T_var,Σ of (C.39)."""
    return _parts([2], "signal part of Term II")


@cache
def noise_at_test() -> Counterexample:
    """The noise part of Term II, with T_var of (C.35)."""
    return _parts([3], "noise part of Term II")


@cache
def total() -> Counterexample:
    """F(β) of Theorem B.1."""
    return _parts(range(4), "limit of Err(V_S+V_N)")


@cache
def noise() -> Counterexample:
    """The noise part of Term I without the factor γ."""
    at = Point(HALF)
    actual = at.parts(True)[1]
    return Counterexample(f"{TEXT}, γ=1/2: noise part of Term I", actual / at.aspect, actual)


@cache
def first_trace() -> Counterexample:
    """The first trace of T_var without the factor 1/d."""
    size = sp.Symbol("d", positive=True)
    each = sum(g**2 * s / 2 for g, s in zip(AT.g, AT.s, strict=True))
    return Counterexample(f"{TEXT}, γ=1: lim tr(Γ₀⁻²Σ_A)", each, sp.limit(size * each, size, sp.oo))


# d = 2 ------------------------------------------------------------------------------------------------


def _expansion(X: sp.Matrix, name: str) -> Counterexample:
    """(1/2) tr(V_S X V_Sᵀ) from V_S = −ηΩM† − Γ₀⁻¹(I − MM†), against the three traces as printed."""
    Omega, A, rate = sp.Matrix([1, 2]), sp.diag(1, HALF), HALF
    M = A * Omega
    inverse = M.pinv()
    Pi, before = M * inverse, sp.diag(HALF, HALF)
    V = -rate * Omega * inverse - before * (sp.eye(2) - Pi)
    change = before - rate * A.inv()
    traces = (before**2 * X, -2 * before * X * change * Pi, change * Pi * X * change * Pi)
    return Counterexample(
        f"d=2, B=1, Ω=(1,2), A=diag(1,1/2), Γ₀=2I, η=1/2{name}",
        sum(t.trace() for t in traces) / 2,
        (V * X * V.T).trace() / 2,
    )


@cache
def third_trace() -> Counterexample:
    """The third trace of (C.32), with D_pre on the wrong side of Π."""
    A = sp.diag(1, HALF)
    return _expansion((A.trace() * A + A**2) / 2, ": T_var")


@cache
def third_trace_at_test() -> Counterexample:
    """The third trace of (C.38), with D_pre on the wrong side of Π."""
    return _expansion(sp.diag(2, 1), ", Σ=diag(2,1): T_var,Σ")
