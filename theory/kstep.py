"""The k-step risk E‖ŵ_k − w*‖² at finite prompt length: exact, for any Ṽ, W̃, Σ, n.

Beyond arXiv:2603.01293, whose Proposition 5.1 is k = 1.  Notes: ``notes/kstep.md``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from numbers import Real
from typing import Any

import sympy as sp

from theory import notation as nt
from theory.contraction import Progress
from theory.errors import ArgumentError, check_count, shown
from theory.lower import raise_matrix, raise_scalar
from theory.notation import d, n
from theory.outcome import unrolled
from theory.statement import BEYOND, Statement, register
from theory.wishart import TERM_LIMIT, expectation
from theory.words.letters import Letter, Word
from theory.words.poly import Matrix, Scalar, letter

V, W, S, SIGMA = (nt.letter_of(m) for m in (nt.V, nt.W, nt.S, nt.Sigma))
CENTRED = Letter("S - Sigma", d, d, symmetric=True)
MOST_COUNTED = 1000  # beyond it the number of terms has thousands of digits
MISS = Letter("M0", d, d)  # I + ṼΣ, the miss at n = ∞


def check_limit(limit: Any) -> float:
    """``limit`` as a float; raises :class:`ArgumentError` unless it is a positive number, ∞ allowed."""
    try:
        number = float(limit) if isinstance(limit, Real) and not isinstance(limit, bool) else 0.0
    except OverflowError:
        number = math.inf
    if not number > 0:
        raise ArgumentError(f"limit={shown(limit)}: must be a positive number")
    return number


def _check_order(k: int, limit: float) -> float:
    """The limit as a float.  Refuses a k whose words of order 2k, of 2k − 2 equal gaps, have too many terms.

    All 4^k words take minutes at k = 10.
    """
    most = check_limit(limit)
    top = sp.factorial2(4 * k - 1) // sp.factorial(2 * k - 2) if k <= MOST_COUNTED else sp.oo
    if top > most:
        about = f"about {int(top):,}" if top.is_finite else "far more"
        raise ArgumentError(
            f"k={shown(k)}: must be smaller, order {shown(2 * k)} in S alone has {about} terms, "
            f"more than limit={most:,.0f}"
        )
    return most


def k_step_risk_expr(
    k: int, with_W: bool = False, *, limit: float = TERM_LIMIT, progress: Progress | None = None
) -> Scalar:
    """E‖ŵ_k − w*‖² from w_0 = 0 as a polynomial in traces of words in Ṽ, Σ and in 1/n.

    At W̃ = I it is E‖(I + ṼS)^k‖_F²; ``with_W`` leaves W̃ in (Proposition 6.1).  Raises
    :class:`ArgumentError` for k < 1 and where more than ``limit`` terms are predicted.
    """
    limit = _check_order(check_count("k", k), limit)
    return expectation(unrolled(k, with_W).norm2(), S, SIGMA, n, limit=limit, progress=progress)


@cache
def _cached(k: int) -> Scalar:
    return k_step_risk_expr(k)


def centred_risk(k: int, limit: float = TERM_LIMIT) -> Scalar:
    """E‖(M₀ + Ṽ(S − Σ))^k‖_F², M₀ = I + ṼΣ: the same risk, with no cancellation where M₀ is small."""
    steps = check_count("k", k)
    return _centred_risk(steps, _check_order(steps, limit))


@cache
def _centred_risk(k: int, limit: float) -> Scalar:
    miss = (letter(MISS) + letter(V) @ letter(CENTRED)).power(k)
    return expectation(miss.norm2(), S, SIGMA, n, centred=CENTRED, limit=limit)


def k_step_gradient_expr(k: int) -> Matrix:
    """∂/∂Ṽ of :func:`k_step_risk_expr`, exact, d × d."""
    check_count("k", k)
    return _cached(k).gradient(V)


# Specialisations -----------------------------------------------------------------------------------

c = nt.scalar_symbol("c", "c", real=True)
power_sum = sp.IndexedBase("p")  # p[a, b] = Σ_i v_i^a σ_i^b


def collapse(value: Scalar, trace: Callable[[Word], sp.Expr]) -> sp.Expr:
    """``value`` with a number for each trace."""
    known = cache(trace)
    return sp.Add(*(q * sp.Mul(*map(known, traces)) for traces, q in value.terms.items()))


def isotropic_moment(j: int) -> sp.Expr:
    """E tr S^j at Σ = I, a polynomial in d and 1/n."""
    mean = expectation(letter(S).power(j).trace(), S, SIGMA, n)
    return sp.expand(collapse(mean, lambda word: d))


def by_power(value: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
    """A polynomial in ``symbol`` with its coefficients factored."""
    powers = sp.Poly(sp.expand(value), symbol).terms()
    return sp.Add(*(sp.factor(q) * symbol**p for (p,), q in powers))


@cache
def isotropic_risk(k: int) -> sp.Expr:
    """The k-step risk at Σ = I, Ṽ = −cI, E tr(I − cS)^{2k}: a polynomial in c, d, 1/n, convex in c."""
    _check_order(check_count("k", k), TERM_LIMIT)
    terms = [sp.binomial(2 * k, j) * (-c) ** j * isotropic_moment(j) for j in range(2 * k + 1)]
    return by_power(sp.Add(*terms), c)


@cache
def commuting_risk(k: int) -> sp.Expr:
    """The k-step risk where Ṽ and Σ share an eigenbasis, Ṽ with eigenvalues v_i, Σ with σ_i.

    A polynomial in 1/n and the power sums ``power_sum[a, b]`` = Σ_i v_i^a σ_i^b; p[0, 0] is d.
    """
    check_count("k", k)

    def trace(word: Word) -> sp.Expr:
        covariances = sum(f.letter == SIGMA for f in word)
        return power_sum[len(word) - covariances, covariances]

    return collapse(_cached(k), trace)


# Statements ----------------------------------------------------------------------------------------

_PROMPTS = "x ~ N(0, Σ) independent, Σ ⪰ 0, n ≥ 1"
_TASKS = "w* ~ N(0, I), w_0 = 0"
w_k = nt.matrix("w_k", d, 1, r"\hat{w}_k")


def _power(M: sp.Expr, k: int) -> sp.Expr:
    return nt.Expectation(nt.FrobeniusSquared((nt.I + M) ** k))


def by_length(value: Scalar) -> list[Scalar]:
    """T_0, T_1, … of ``value`` = Σ_p T_p/n^p, coefficients polynomial in 1/n."""
    inverse = sp.Symbol("u")
    turned = value.map_coefficients(lambda q: sp.expand(q.subs(n, 1 / inverse)))
    top = max(sp.degree(q, inverse) for q in turned.terms.values())

    def part(power: int) -> Scalar:
        return turned.map_coefficients(lambda q: q.coeff(inverse, power))

    return [part(power) for power in range(int(top) + 1)]


def _displayed(head: tuple[sp.Basic, ...], value: Scalar) -> nt.Lines:
    """``head`` = T_0 + T_1/n + …, and a line for each T_p."""
    parts = by_length(value)
    names = [nt.scalar_symbol(f"T_{p}", f"T_{p}") for p in range(len(parts))]
    total = sp.Add(*(name / n**p for p, name in enumerate(names)), evaluate=False)
    rows = (sp.Eq(name, raise_scalar(part), evaluate=False) for name, part in zip(names, parts, strict=True))
    return nt.Lines(nt.Chain(*head, total), *rows)


register(
    Statement(
        "ext-kstep.a",
        BEYOND,
        "The k-step risk at finite prompt length, at k = 2",
        _displayed(
            (
                nt.Expectation(nt.NormSquared(nt.matrix("w_2", d, 1, r"\hat{w}_2") - nt.w_star)),
                _power(nt.V * nt.Sigma_hat, 2),
            ),
            k_step_risk_expr(2),
        ),
        assumptions=("W̃ = I", _TASKS, _PROMPTS),
        depends_on=("prop-6.1.b",),
        note="Proposition 5.1 is k = 1.  Of 4, 37, 303, 2117 terms at k = 1 … 4; at d = n = 1, "
        "Ṽ = Σ = 1 the coefficients sum to E(1 + g²)^{2k} = 6, 188, 17992, 3460368.",
    )
)
_TWO_STEPS = nt.I + 2 * nt.V * nt.Sigma_hat + nt.V * nt.Sigma_hat * nt.W * nt.V * nt.Sigma_hat
register(
    Statement(
        "ext-kstep.b",
        BEYOND,
        "The two-step risk with W̃",
        _displayed((nt.Expectation(nt.FrobeniusSquared(_TWO_STEPS)),), k_step_risk_expr(2, with_W=True)),
        assumptions=(_TASKS, _PROMPTS),
        depends_on=("prop-6.1.a",),
    )
)
register(
    Statement(
        "ext-kstep.c",
        BEYOND,
        "The gradient of the k-step risk, at k = 1",
        sp.Eq(
            nt.Gradient(_power(nt.V * nt.Sigma_hat, 1), nt.V),
            raise_matrix(k_step_gradient_expr(1)),
            evaluate=False,
        ),
        assumptions=(_PROMPTS,),
        depends_on=("ext-kstep.a",),
    )
)
register(
    Statement(
        "ext-kstep.d",
        BEYOND,
        "The isotropic case Ṽ = −cI, Σ = I, at k = 2",
        sp.Eq(_power(-c * nt.Sigma_hat, 2), isotropic_risk(2), evaluate=False),
        assumptions=(_PROMPTS.replace("Σ)", "I)").replace(", Σ ⪰ 0", ""),),
        depends_on=("ext-kstep.a",),
    )
)
