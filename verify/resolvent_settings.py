"""Where the limits of Appendix C are measured, and what the statements say there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from theory import block_symbols as bs
from theory import inverse_trace as inv
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.equivalents import equivalents, resolvent_root
from theory.explicit import explicit
from theory.statement import registry
from verify.checks.equivalents import Ensemble
from verify.checks.precision_fits import Exact as Rationals
from verify.checks.resolvent_identities import Small
from verify.surface import value

Array = NDArray[np.float64]
_TWO, _MU = (1.9, 0.35), (Fraction(5, 16), Fraction(11, 16))
_THREE, _NU = (2.2, 0.5, 0.0), (Fraction(1, 4), Fraction(7, 16), Fraction(5, 16))
SCARCE = Ensemble(_TWO, _MU, Fraction(3, 8), (0.3, 0.3))
NEAR = Ensemble(_TWO, _MU, Fraction(13, 16))
AMPLE = Ensemble(_TWO, _MU, Fraction(5, 4), (0.4, 0.4))
PERTURBED = Ensemble(_TWO, _MU, Fraction(13, 16), (0.2, 0.9))  # z + tD₂ at z = 0.2, t = 0.7
THREE = Ensemble(_THREE, _NU, Fraction(7, 16))
PAST = Ensemble(_THREE, _NU, Fraction(15, 16))
SINGULAR = Ensemble((1.5, 0.0), (Fraction(7, 16), Fraction(9, 16)), Fraction(19, 16), (1e-8, 1e-8))
# Section 5.2 and Figure 5: η = 0.2, ρ = 0.1, r = 0.1, at B/d = 300/600
PAPER = Ensemble((0.22**2, 0.01), (Fraction(1, 2), Fraction(1, 2)), Fraction(1, 2))
TEST = (2.1, 0.7)  # Σ_k
UNSAID = -1.0  # for a value where a statement gives none; traces of positive matrices are never that


def said(listings: Iterable[sp.Basic], at: Ensemble) -> sp.Expr:
    """The right side of the one listing whose condition on β holds at this ensemble."""
    beta = {bs.beta: sp.Rational(at.beta.numerator, at.beta.denominator)}
    found = [line.args[0].rhs for line in listings if value(line.args[1], beta)]
    return found[0] if len(found) == 1 else sp.Float(UNSAID)


def root_of(function: Callable[[float], float], high: float) -> float:
    """The root of an increasing function between 0 and ``high``."""
    low = 1e-9
    return float(brentq(function, low, high)) if function(low) * function(high) < 0 else UNSAID


@dataclass(frozen=True)
class Levels:
    """The numbers of one setting: weights, levels of A², and q, w, v, b there."""

    at: Ensemble

    @property
    def weights(self) -> Array:
        return np.array(self.at.weights, dtype=float)

    @property
    def levels(self) -> Array:
        return np.array(self.at.levels)

    @property
    def families(self) -> Mapping[sp.IndexedBase, Any]:
        found = equivalents(float(self.at.beta), self.levels, self.weights)
        families = {
            bs.mu: self.weights,
            bs.a: np.sqrt(self.levels),
            bs.w: found.w[:, 0],
            bs.v: found.v[:, 0],
        }
        return families | {bs.Sigma: TEST} if len(self.levels) == len(TEST) else families

    @property
    def scalars(self) -> dict[sp.Symbol, float]:
        """q and β, and z, the v(z) of T(z) and m(z) where there is a z."""
        found = equivalents(float(self.at.beta), self.levels, self.weights)
        scalars = {bs.beta: float(self.at.beta), bs.q: float(found.q[0])}
        if not self.at.shift:
            return scalars
        root = resolvent_root(float(self.at.beta), self.levels, self.weights, self.at.shift)
        return scalars | {bs.z: self.at.shift[0], fm.v_z: root}

    @property
    def transform(self) -> float:
        """The limit of the Stieltjes transform of the companion matrix."""
        return self.scalars[fm.v_z] / (float(self.at.beta) * self.at.shift[0])

    def value(
        self,
        expression: sp.Expr,
        families: Mapping[sp.IndexedBase, Any] | None = None,
        scalars: Mapping[sp.Symbol, float] | None = None,
    ) -> float:
        """An expression of a statement at these numbers, with those given in the place of or beside them."""
        return float(
            bs.at(expression, {**self.families, **(families or {})}, {**self.scalars, **(scalars or {})})
        )

    def by_block(self, expression: sp.Expr) -> list[float]:
        """An expression in the index k, for each block."""
        return [self.value(expression.subs(bs.k, j + 1)) for j in range(len(self.levels))]


def _exact(array: Array) -> sp.Matrix:
    """The matrix of a float array, (d, B), or the diagonal one of (d,), in rationals."""
    rational = np.vectorize(sp.Rational, otypes=[object])(array)
    return sp.diag(*rational) if array.ndim == 1 else sp.Matrix(rational)


def of(expression: Any, scaled: bool = False) -> Callable[[Small], Array]:
    """A printed matrix expression as a function of a small M, in rationals, with the matrices of the
    definitions: Ĝ = MMᵀ/d, R(z) the inverse of MMᵀ + z, or of Ĝ + z if ``scaled``."""

    def at(small: Small) -> Array:
        M, shift = _exact(small.M), sp.Rational(small.z)
        gram = M * M.T / (small.d if scaled else 1)
        D1, D2 = map(_exact, small.blocks)
        matrices = {
            fm.M: M,
            fm.R: (gram + shift * sp.eye(small.d)).inv(),
            fm.D_1: D1,
            fm.D_2: D2,
            nt.A: _exact(small.A),
            nt.Sigma: _exact(small.Sigma),
            inv.G_hat: M * M.T / small.d,
        }
        found = explicit(expression, matrices, {nt.d: small.d, nt.B: small.B, bs.z: shift})
        kind = object if isinstance(small, Rationals) else float
        return np.array(found.tolist() if hasattr(found, "tolist") else found, dtype=kind)

    return at


def of_small(expression: Any) -> Callable[[Small], Array]:
    """The same in float64, with Ω = A⁻¹M and Π = MM† besides."""

    def at(small: Small) -> Array:
        M, (D1, D2) = small.M, small.blocks
        values = {
            fm.M: M,
            fm.Pi: M @ np.linalg.pinv(M),
            fm.D_1: D1,
            fm.D_2: D2,
            nt.A: np.diag(small.A),
            nt.Sigma: np.diag(small.Sigma),
            nt.Omega: M / small.A[:, None],
            inv.G_hat: M @ M.T / small.d,
        }
        return np.asarray(value(expression, {**values, nt.d: small.d, nt.B: small.B, bs.z: small.z}))

    return at


# Exact values ---------------------------------------------------------------------------------------


def two_blocks(expression: sp.Expr) -> sp.Expr:
    """A general expression for K = 2, F and G the projections on blocks 1 and 2, μ₂ = 1 − μ₁."""
    table = {fm.f[1]: 1, fm.f[2]: 0, fm.g[1]: 0, fm.g[2]: 1, bs.mu[2]: 1 - bs.mu[1]}
    return bs.explicit(expression, 2).xreplace(table)


def in_w(expression: sp.Expr) -> sp.Expr:
    """That in w_1 and w_2 alone: v_k = w_k(1 − w_k), β = Σμ_kw_k, a_k² = c_k from w_k = c_kq/(1 + c_kq)."""
    full = two_blocks(expression.subs(bs.beta, bs.average(bs.mu[bs.k] * bs.w[bs.k])))
    level = {j: bs.w[j] / (bs.q * (1 - bs.w[j])) for j in (1, 2)}
    table = {bs.v[j]: bs.w[j] * (1 - bs.w[j]) for j in (1, 2)}
    table |= {bs.c[j]: level[j] for j in (1, 2)} | {bs.a[j]: sp.sqrt(level[j]) for j in (1, 2)}
    return full.xreplace(table)


def _labels(expression: sp.Expr) -> set[sp.Basic]:
    """The names of the indexed levels, which are no numbers."""
    bases = expression.atoms(sp.IndexedBase)
    return {*bases, *(base.label for base in bases)}


def same(left: sp.Expr, right: sp.Expr) -> bool:
    """Whether two ratios of polynomials are equal."""
    gap = left - right
    points = sorted((x for x in gap.free_symbols if x not in _labels(gap)), key=str)
    somewhere = {x: sp.Rational(at + 2, 3 * at + 13) for at, x in enumerate(points)}
    there = gap.xreplace(somewhere).n(40)
    if there.is_number and there.is_finite and abs(there) > 1e-30:
        return False  # without the normal form of what is not zero, which takes long
    return bool(sp.cancel(sp.together(gap)) == 0)


def lemma_definitions() -> dict[sp.Expr, sp.Expr]:
    """Ψ₁, Ψ₂ and Δ(z) as Lemma C.3 prints them."""
    _, of_psi, of_delta = registry()["lem-C.3"].printed.args
    return {fm.DELTA: of_delta.rhs} | {fm.Psi[j]: of_psi.rhs.subs(bs.k, j) for j in (1, 2)}


def of_rational(M: sp.Matrix) -> tuple[dict[Any, sp.Matrix], dict[sp.Symbol, sp.Expr]]:
    """R(z) of MMᵀ at z = 2/7, and the blocks of dimensions 1 and d − 1."""
    first, at = sp.diag(1, *[0] * (M.rows - 1)), sp.Rational(2, 7)
    inverse = (M * M.T + at * sp.eye(M.rows)).inv()
    values = {fm.M: M, fm.R: inverse, fm.D_1: first, fm.D_2: sp.eye(M.rows) - first}
    return values, {nt.d: M.rows, nt.B: M.cols, bs.z: at}
