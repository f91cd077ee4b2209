"""The fixed points of outcome supervision in closed form: one step, isotropic, long prompts, many steps.

Beyond arXiv:2603.01293.  Notes: ``notes/os_limits.md``.
"""

from __future__ import annotations

from functools import cache
from math import lgamma, log, log1p, pi, prod

import numpy as np
import sympy as sp

from theory import notation as nt
from theory.errors import check_count
from theory.kstep import V, by_power, c, collapse, isotropic_risk, k_step_risk_expr
from theory.notation import A, I, d, k, n
from theory.statement import BEYOND, Statement, register
from theory.words.letters import Word

turn = nt.scalar_symbol("a", "a", real=True)
x_k = nt.scalar_symbol("x_k", "x_k", real=True)
ratio = 1 / sp.LambertW(sp.exp(-1))  # y = 3.59112…, the root of y log y = y + 1

# Derivations ---------------------------------------------------------------------------------------


@cache
def isotropic_stationarity(steps: int) -> sp.Expr:
    """E tr S(cS − I)^{2k−1}/d: its only real root in c minimises the k-step risk over Ṽ = −cI at A = I.

    Of degree 2k − 1, with coefficients in d and 1/n: 1/(2kd) of the derivative of a strictly convex
    polynomial.  Raises :class:`ArgumentError` for k < 1.
    """
    return sp.expand(sp.diff(isotropic_risk(steps), c) / (2 * steps * d))


def isotropic_fixed_point(steps: int, dim: int, length: int) -> float:
    """The c > 0 that minimises E tr(I − cS)^{2k} for S of n = ``length`` samples of N(0, I_d), d = ``dim``.

    The root of :func:`isotropic_stationarity`, isolated in rational arithmetic.  Raises
    :class:`ArgumentError` for a count below 1.
    """
    for name, value in (("steps", steps), ("dim", dim), ("length", length)):
        check_count(name, value)
    polynomial = sp.Poly(isotropic_stationarity(steps).subs({d: dim, n: length}), c)
    (root,) = sp.real_roots(polynomial)
    return float(root.evalf(17))


def large_length_correction(steps: int) -> sp.Expr:
    """x_k of c_k = 1 − x_k/n + O(1/n²), c_k the isotropic fixed point: a rational function of d."""
    inverse = sp.Symbol("u")
    shifted = isotropic_stationarity(steps).subs(n, 1 / inverse).subs(c, 1 - x_k * inverse)
    leading = min(sp.Poly(sp.expand(shifted), inverse).terms(), key=lambda term: term[0])[1]
    (found,) = sp.solve(leading, x_k)
    return sp.factor(found)


@cache
def rotated_risk(steps: int) -> sp.Expr:
    """The k-step risk at d = 2, A = I, Ṽ = −cI + aJ with J a quarter turn: a polynomial in c, a², 1/n."""
    block = sp.Matrix([[-c, -turn], [turn, -c]])

    def trace(word: Word) -> sp.Expr:
        factors = [block.T if f.transposed else block for f in word if f.letter == V]
        return sp.expand(prod(factors, start=sp.eye(2)).trace())

    return sp.expand(collapse(k_step_risk_expr(steps), trace).subs(d, 2))


def turning_onset(steps: int) -> list[sp.Expr]:
    """The prompt lengths n > 0 at which ∂R/∂(a²) vanishes at the isotropic fixed point, d = 2.

    Real roots of the resultant in c of the stationarity and of the coefficient of a²: between two of them
    the sign of that curvature is the same.
    """
    bend = sp.numer(sp.together(rotated_risk(steps).coeff(turn, 2)))
    still = sp.numer(sp.together(isotropic_stationarity(steps).subs(d, 2)))
    roots = sp.real_roots(sp.Poly(sp.resultant(still, bend, c), n))
    return [root for root in dict.fromkeys(roots) if root > 0]


def growth_at_threshold(x: sp.Expr) -> sp.Expr:
    """sup_{s>1} of 2 log(s − 1) − ns/(2x): the rate in k at which the eigenvalues above k/x make
    E(1 − xλ/k)^{2k} grow, λ having the tail e^{−nλ/2}."""
    s = sp.Symbol("s", positive=True)
    rate = 2 * sp.log(s - 1) - n * s / (2 * x)
    (best,) = sp.solve(sp.diff(rate, s), s)
    return rate.subs(s, best)


def many_steps(length: int, steps: int) -> float:
    """k c_k at d = 1 for large k: n y/4 less its first correction, of order log(k)/k.

    Laplace's method on E(1 − xλ/k)^{2k}: e^{−2xλ} below k/x, a Gaussian peak at λ = (1 + y)k/x above.
    Raises :class:`ArgumentError` for a count below 1.
    """
    length, steps = check_count("length", length), check_count("steps", steps)
    y = float(ratio)
    # log of n y/4 · (1 + y)^{−n−1} (y/2)^{n/2} Γ(n/2)/√π, whose factors leave float64 from n = 300 on
    peak = log(length * y / 4) - (length + 1) * log1p(y) + length / 2 * log(y / 2)
    peak += lgamma(length / 2) - log(pi) / 2
    slope = 8 * (1 + y) / (length * y**2)
    return float(length * y / 4 - ((length + 1) / 2 * np.log(steps) - peak) / (steps * slope))


# Statements ----------------------------------------------------------------------------------------

_V_OS = nt.matrix("V_OS", d, d, r"\widetilde{V}_{\mathrm{OS}}")
_C_K = nt.scalar_symbol("c_OS", r"c_{\mathrm{OS}}", positive=True)
_C = {steps: nt.scalar_symbol(f"c_{steps}", f"c_{{{steps}}}", positive=True) for steps in (2, 3)}
_J = nt.matrix("J", d, d, "J")
_S = nt.Sigma_hat


def _risk(M: sp.Expr, steps: sp.Expr) -> sp.Expr:
    return nt.Expectation(nt.FrobeniusSquared((I + M) ** steps))


ONE_STEP = -sp.Inverse((n + 1) / n * A + sp.Trace(A) / n * I)

register(
    Statement(
        "ext-os.a",
        BEYOND,
        "The fixed point of outcome supervision at k = 1",
        sp.Eq(nt.Argmin(_risk(nt.V * _S, sp.Integer(1)), nt.V), ONE_STEP, evaluate=False),
        assumptions=("W̃ = I", "B → ∞", "x ~ N(0, A), A ≻ 0"),
        depends_on=("prop-5.1",),
        note="The supervised fixed point (4.2) at η = 1, and the pretrained −Γ₀⁻¹ with A for Σ₀.",
    )
)
register(
    Statement(
        "ext-os.b",
        BEYOND,
        "The isotropic fixed point at k = 2: the one real root",
        nt.Chain(
            nt.Expectation(sp.Trace(_S * (c * _S - I) ** 3)) / d,
            by_power(isotropic_stationarity(2), c),
            sp.Integer(0),
        ),
        assumptions=("A = I", "minimum over Ṽ = −cI"),
        depends_on=("ext-kstep.d",),
        note="Degree 2k − 1 in general; at k = 1 it gives c = n/(n + d + 1).  The minimum over all Ṽ at "
        "n = 1 and at d = 1; not in general, see ext-os.c.",
    )
)
register(
    Statement(
        "ext-os.c",
        BEYOND,
        "The isotropic fixed point is a saddle for long prompts: d = 2, k = 2, J a quarter turn",
        nt.Chain(
            _risk((turn * _J - c * I) * _S, sp.Integer(2)),
            sp.Add(*(turn**p * by_power(rotated_risk(2).coeff(turn, p), c) for p in (0, 2, 4))),
        ),
        assumptions=("A = I", "d = 2"),
        depends_on=("ext-kstep.a",),
        note="The coefficient of a² at the isotropic fixed point is positive for n ≤ 14 and negative for "
        "n ≥ 15: two steps with eigenvalues −c ± ia beat two equal ones, as Chebyshev's step sizes would.",
    )
)
register(
    Statement(
        "ext-os.d",
        BEYOND,
        "The isotropic fixed point as prompts grow long, at k = 2 and 3",
        nt.Lines(
            *(nt.Tends(n * (1 - c_k), n, sp.oo, large_length_correction(steps)) for steps, c_k in _C.items())
        ),
        assumptions=("A = I", "minimum over Ṽ = −cI", "d fixed"),
        depends_on=("ext-os.b",),
        note="At k = 1 it is d + 1.  Supervision with rate η "
        "tends to η instead: its error after k steps is (1 − η)^k at n = ∞, that of outcome supervision 0.",
    )
)
register(
    Statement(
        "ext-os.e",
        BEYOND,
        "The isotropic fixed point as the chain grows long",
        nt.Tends(k * _C_K, k, sp.oo, n * ratio / 4),
        assumptions=("A = I", "minimum over Ṽ = −cI", "n, d fixed"),
        note="1/W(1/e) = 3.5911 = y solves y log y = y + 1.  The risk tends to E tr exp(−(ny/2)S) > 0, at "
        "d = 1 to (1 + y)^{−n/2}: at finite n no number of steps brings it to zero.",
    )
)
