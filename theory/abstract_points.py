"""Where the abstract's sentences fail, and where they hold, redone in rationals.

d = 2 and n = 1 from the moments of prompts (:mod:`theory.allocation_points`), the limit in proportion at
three blocks (:mod:`theory.risk_in_q`), one direction by hand.  Notes: ``notes/abstract.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import allocation_points as small
from theory import exact
from theory import risk_in_q as rq
from theory.risk_in_q import Blocks
from theory.stability_points import descended
from theory.statement import Counterexample

R = sp.Rational
ONE = sp.Integer(1)

# Pretraining --------------------------------------------------------------------------------------------

UNBALANCED, BALANCED = sp.diag(3, 1), sp.diag(2, 2)  # Σ₀, of one trace
TEST, TAUGHT = sp.diag(10, 2), sp.diag(10, 0)  # Σ and A


def before_and_after(
    Sigma0: sp.Matrix, Sigma: sp.Matrix, A: sp.Matrix, length: int = 1
) -> tuple[sp.Expr, sp.Expr]:
    """The test errors of the pretrained and of the post-trained model, η = 1."""
    before = small.error(small.pretrained(Sigma0, length), Sigma, length)
    return before, small.post_test(A, Sigma0, Sigma - Sigma0, length)


@cache
def more_elsewhere() -> Counterexample:
    """Σ₀ = diag(1, 3) has more of its trace outside U, where post-training does not reach."""
    Sigma = sp.diag(10, 3)
    found = [before_and_after(Sigma0, Sigma, TAUGHT)[1] for Sigma0 in (BALANCED, sp.diag(1, 3))]
    return Counterexample(
        f"d=2, n=1, η=1, Σ=diag(10,3), A=diag(10,0): {found[0]} after Σ₀=2I, {found[1]} after diag(1,3); "
        "is the first the smaller?",
        sp.true,
        sp.sympify(bool(found[0] < found[1])),
    )


# Fine-tuning --------------------------------------------------------------------------------------------

WEIGHTS = (R(1, 5), R(1, 2), R(3, 10))
BEFORE, AT_TEST = (R(1, 2), R(2), R(1)), (R(3), R(2), R(1))  # levels of Σ₀ and Σ
OFF = (R(3), R(2, 5), R(1, 5))  # levels of A/η: Σ on the first block, a fifth of it on the others


def blocks(A: tuple[sp.Rational, ...], eta: sp.Rational = ONE, length: int = 4) -> Blocks:
    """Three blocks; n = 3d in post-training and test, ``length``·d in pretraining."""
    return Blocks(WEIGHTS, A, BEFORE, AT_TEST, eta, R(1, 3), R(1, length), R(1, 3))


def matched(eta: sp.Rational = ONE) -> Blocks:
    """A = ηΣ."""
    return blocks(tuple(eta * s for s in AT_TEST), eta)


def large_set_wins(of: Blocks) -> bool:
    """Whether every β below the spike has more risk than β → ∞, by Sturm's theorem."""
    return rq.above(of, rq.floor(of))


@cache
def best_is_large() -> Counterexample:
    """One block: Γ = 2, Γ₀ = 1/2, so 1/2 at β → ∞ and 5 before."""
    of = Blocks((ONE,), (ONE,), (R(1, 4),), (ONE,), ONE, ONE, ONE, ONE)
    return Counterexample(
        f"A=Σ=I, Σ₀=I/4, η=1, n=d: is the risk over d at some β < 1 below {rq.floor(of)}, that of β → ∞?",
        sp.true,
        sp.sympify(not large_set_wins(of)),
    )


@cache
def harder_and_worse() -> Counterexample:
    """Equal trace and rank, n = 1, η = 1; both sets improve on the pretrained 3546/1225."""
    Sigma0, Sigma = sp.diag(2, 1), sp.diag(6, 2)
    sets = [sp.diag(4, 0), sp.diag(0, 4)]
    hard = [small.hardness(A, Sigma0, 1) for A in sets]
    after = [before_and_after(Sigma0, Sigma, A)[1] for A in sets]
    if not hard[1] > hard[0]:
        raise ArithmeticError(f"difficulties {hard}: the second is expected to be harder")
    return Counterexample(
        f"d=2, n=1, η=1, Σ₀=diag(2,1), Σ=diag(6,2), A=diag(4,0), diag(0,4): difficulty {hard[0]}, {hard[1]}, "
        f"error after {after[0]}, {after[1]}; is the second error the smaller?",
        sp.true,
        sp.sympify(bool(after[1] < after[0])),
    )


def kept(prompts: list[tuple[sp.Matrix, sp.Matrix]], Gamma0: sp.Matrix, eta: sp.Rational) -> sp.Expr:
    """‖Ṽ_*(Γ₀⁻¹ + I) − Ṽ_*(Γ₀⁻¹)‖_F² of (4.1) in rationals."""
    Omega, Phi = exact.stack(prompts)
    moved = (Gamma0.inv() + sp.eye(Gamma0.rows)).inv()
    first, second = (exact.fixed_point(Omega, Phi, G, eta) for G in (Gamma0, moved))
    return exact.frobenius_squared(second - first)


@cache
def no_further() -> Counterexample:
    """A of rank 1: the first prompt takes the one direction there is."""
    prompts = [(sp.Matrix([[x], [0]]), sp.Matrix([1, w])) for x, w in ((1, 2), (3, -1))]
    one, two = (kept(prompts[:B], sp.diag(2, 3), ONE) for B in (1, 2))
    return Counterexample(
        f"d=2, n=1, A=diag(1,0), x=1, 3, w*=(1,2), (1,−1): kept {one} at B=1, {two} at B=2; less at B=2",
        sp.true,
        sp.sympify(bool(two < one)),
    )


# Outcome supervision ------------------------------------------------------------------------------------


@cache
def few_are_better() -> Counterexample:
    """k = 1, where L_OS is L_SFT at η = 1."""
    of = blocks(OFF)
    return Counterexample(
        "k=1, three blocks 1/5, 1/2, 3/10, A=diag(3,2/5,1/5), Σ₀=diag(1/2,2,1), Σ=diag(3,2,1), n=3d, "
        f"n_pre=4d: is the risk at every β < 1 above that of β → ∞, {sp.N(rq.floor(of), 4)} d?",
        sp.true,
        sp.sympify(large_set_wins(of)),
    )


def difficulty(x: sp.Expr, k: int) -> sp.Expr:
    """The error ‖w* − ŵ_k‖² over w*² at 1 + ṼS = x."""
    return sp.sympify(x) ** (2 * k)


def factor_of_x(x: sp.Expr, step: sp.Expr, k: int, a: sp.Expr = ONE) -> sp.Expr:
    """x'/x of one step of descent, from the slope of the loss at a number."""
    return descended(x, step, k, a) / x


def factor(x: sp.Expr, step: sp.Expr, k: int, a: sp.Expr = ONE) -> sp.Expr:
    """L_1/L_0 of one step."""
    return factor_of_x(x, step, k, a) ** (2 * k)


@cache
def no_bound() -> Counterexample:
    """k = 1, a step of 1 at S = w* = 1: every start lands on the minimum."""
    left = [factor(sp.Integer(x), ONE, 1) for x in (2, 10, 1000)]
    return Counterexample(
        "d=1, k=1, S=w*=1, step 1, difficulties 2², 10², 1000²: does the error rise from one of them on?",
        sp.true,
        sp.sympify(any(f > 1 for f in left)),
    )


@cache
def harder_gains_more() -> Counterexample:
    """k = 2, a step of 1/8: u = x²/4."""
    easy, hard = (1 / factor(x, R(1, 8), 2) for x in (R(1, 2), R(3, 2)))
    return Counterexample(
        f"d=1, k=2, S=w*=1, step 1/8, difficulties (1/2)⁴, (3/2)⁴: the error falls by {easy} and {hard}; by "
        "more from the first",
        sp.true,
        sp.sympify(bool(easy > hard)),
    )
