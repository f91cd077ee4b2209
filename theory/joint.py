"""Fine-tuning with Ṽ and W̃ both free as B → ∞: where the minimiser of the population loss lies.

Beyond arXiv:2603.01293, whose Proposition 4.3 is the minimiser with W̃ held at I.  Notes: ``notes/joint.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp

from theory import notation as nt
from theory.joint_loss import (
    T_OF_V,
    JointMinimiser,
    cov,
    gradient_formula,
    in_path_sums,
    joint_minimiser,
    path_sums,
    population_loss,
    population_loss_expr,
    population_loss_gradient_expr,
    s0,
    s1,
    s2,
    twice_loss,
    v,
    w,
)
from theory.lower import lower_matrix
from theory.notation import A, I, V, W, c_k, d, eta, n
from theory.statement import BEYOND, Statement, register
from theory.wishart import expectation
from theory.words.letters import Letter, Word, inverse_letter, pinv_letter
from theory.words.poly import Matrix, Scalar, identity, letter, substitute

__all__ = [
    "T_OF_V",
    "JointMinimiser",
    "gradient_formula",
    "in_path_sums",
    "joint_minimiser",
    "path_sums",
    "population_loss",
    "population_loss_expr",
    "population_loss_gradient_expr",
]

HALF = sp.Rational(1, 2)
rank = sp.Symbol("r", integer=True, positive=True)
a, t, u, m = sp.symbols("a t u m", positive=True)  # an eigenvalue of A, tr A, tr A⁻¹, tr(AQ†²)
T = nt.matrix("T_V", d, d, "T", symmetric=True)
Q = nt.matrix("Q_inf", d, d, "Q", symmetric=True)
H = nt.matrix("H_A", d, d, "H", symmetric=True)
BETA = (s1 - s2) ** 2 / (s2 * c_k)
_V, _W, _A, _S, _T = (nt.letter_of(m) for m in (V, W, A, nt.S, T))

# Derivations ---------------------------------------------------------------------------------------


def on_eigenspace(value: Matrix, letters: Mapping[Letter, sp.Expr], trace: Callable[[Word], sp.Expr]) -> Any:
    """``value`` where all its letters are functions of A, given on one eigenspace; ``trace`` of a word."""
    return sum(
        c * sp.prod([trace(t) for t in traces]) * sp.prod([letters[f.letter] for f in word])
        for (traces, word), c in value.terms.items()
    )


def of_A(expression: sp.Expr) -> Any:
    """A printed function of A, A⁻¹ and Q† on the eigenspace of A with eigenvalue a."""
    inverse, pinv = inverse_letter(_A), pinv_letter(nt.letter_of(Q))
    traces = {((_A, 1),): t, ((inverse, 1),): u, ((_A, 1), (pinv, 2)): m}

    def trace(word: Word) -> sp.Expr:
        counts = Counter(f.letter for f in word)
        return traces[tuple(sorted(counts.items(), key=lambda item: item[0] != _A))]

    return on_eigenspace(
        in_path_sums(lower_matrix(expression)), {_A: a, inverse: 1 / a, pinv: limit_on(a)}, trace
    )


def limit_on(eigenvalue: sp.Expr) -> sp.Expr:
    """Q† on an eigenspace of A, −Ṽ_∞/η."""
    return 1 / ((n + 1) / n * eigenvalue + t / n)


def slope_at_limit() -> tuple[sp.Expr, sp.Expr]:
    """∂L/∂Ṽ and ∂L/∂W̃ at (Ṽ_∞, I) on the eigenspace with eigenvalue a; every trace has one A, and two Ṽ
    or none."""
    values = {_A: a, _V: -eta * limit_on(a), _W: sp.Integer(1)}

    def trace(word: Word) -> sp.Expr:
        counts = Counter(f.letter for f in word)
        return {(1, 0): t, (1, 2): eta**2 * m}[counts[_A], counts[_V]]

    in_V, in_W = (on_eigenspace(g, values, trace) for g in population_loss_gradient_expr())
    return in_V, in_W


def miss() -> Scalar:
    """Φ(Ṽ, W̃) = E‖ṼSW̃ + ηI‖_F²."""
    return expectation((v @ letter(_S) @ w + identity(d) * eta).norm2(), _S, _A, n)


def as_misses() -> Scalar:
    """½[(s_0−s_1)²/s_0 · Φ(Ṽ, Z) + (s_2 − s_1²/s_0) Φ(Ṽ, W̃)] with Z = (s_0I − s_1W̃)/(s_0−s_1)."""
    other = substitute(miss(), {_W: (identity(d) * s0 - w * s1) * (1 / (s0 - s1))})
    return other * (HALF * (s0 - s1) ** 2 / s0) + miss() * (HALF * (s2 - s1**2 / s0))


def least_over_W() -> tuple[Matrix, Scalar]:
    """The W̃ where ∂L/∂W̃ = 0, and L there, both with T for E[S ṼᵀṼ S]:
    ½[(s_0−s_1²/s_2)(tr T + 2η tr ṼA) − η²(s_1−s_2)²/s_2 · tr(ṼAT⁻¹AṼᵀ) + η²c_kd]."""
    inverse, s = letter(inverse_letter(_T)), s1 - s2
    at = identity(d) * (s1 / s2) + inverse @ cov @ v.T * (eta * s / s2)
    first = (letter(_T).trace() + (v @ cov).trace() * (2 * eta)) * (s0 - s1**2 / s2)
    second = (v @ cov @ inverse @ cov @ v.T).trace() * (eta**2 * s**2 / s2)
    return at, (first - second + eta**2 * c_k * d) * HALF


def diagonal(value: Any, letters: Mapping[Letter, Sequence[sp.Expr]], at: int | None = None) -> Any:
    """A word polynomial where every letter is a diagonal matrix, given by its entries: a scalar, or the
    entry ``at`` of a matrix."""

    def trace(word: Word) -> sp.Expr:
        return sum(sp.prod(entries) for entries in zip(*(letters[f.letter] for f in word), strict=True))

    if at is None:
        return sum(c * sp.prod([trace(t) for t in traces]) for traces, c in value.terms.items())
    return on_eigenspace(value, {one: entries[at] for one, entries in letters.items()}, trace)


def in_eigenvalues() -> tuple[sp.Expr, ...]:
    """Zero, all of them: how the loss of :func:`least_over_W` at Ṽ = −σ diag(y) is a sum over eigenvalues.

    With μ = λy², m = Σμ/n, κ = (s_1−s_2)²/s_2, one eigenvalue gives
    (s_0−s_1²/s_2)(σ²λ(αμ + m) − 2ησ√(λμ)) − η²κ μ/(αμ + m), where Σλ(αμ + m) = Σ(αλ + t/n)μ.  In the sums
    X = Σ√(λμ), Y = Σ(αλ + t/n)μ and G = Σμ/(αμ + m) the best σ is ηX/Y, and the loss there (4) of the note.
    """
    lam, y, m, scale, X, Y, G = sp.symbols("lam y m scale X Y G", positive=True)
    mu, alpha, kappa, inner = lam * y**2, 1 + 1 / n, (s1 - s2) ** 2 / s2, s0 - s1**2 / s2
    mean = lam * (alpha * mu + m) * scale**2
    letters = {_V: [-scale * y], _A: [lam], _T: [mean], inverse_letter(_T): [1 / mean]}
    one = 2 * diagonal(least_over_W()[1], letters) - eta**2 * c_k * d
    parts = inner * (mean - 2 * eta * scale * lam * y) - eta**2 * kappa * mu / (alpha * mu + m)
    total = inner * (scale**2 * Y - 2 * eta * scale * X) - eta**2 * kappa * G
    least = -(eta**2) * c_k * ((1 - BETA) * X**2 / Y + BETA * G)
    gap = (total.subs(scale, eta * X / Y) - least).subs(c_k, s0 - 2 * s1 + s2)
    return one - parts, sp.diff(total, scale).subs(scale, eta * X / Y), gap


def leading_order() -> tuple[sp.Expr, sp.Expr]:
    """The limits of n(Ṽ − Ṽ_∞) and n(W̃ − I) at the joint minimiser on the eigenspace of A with eigenvalue
    a, from the gradient at Ṽ = −(η/a)(1 + x/n), W̃ = 1 + y/n to order 1/n; t = tr A, u = tr A⁻¹.

    Every trace in the gradient has a factor 1/n, so that of it only the leading part is needed.
    """
    x, y, h = sp.symbols("x y h")
    values = {_A: a, _V: -eta / a * (1 + x * h), _W: 1 + y * h}

    def trace(word: Word) -> sp.Expr:
        lower = sum(f.letter == _V for f in word)
        power = sum(f.letter == _A for f in word) - lower
        rest = sp.Symbol("rest_" + "".join(map(str, word)))  # of relative order 1/n; has to drop out
        return (-eta) ** lower * {1: t, 0: d, -1: u}[power] + rest * h

    orders = [
        sp.Poly(sp.expand(on_eigenspace(g, values, trace).subs(n, 1 / h)), h)
        for g in population_loss_gradient_expr()
    ]
    if any(sp.expand(p.coeff_monomial(1)) != 0 for p in orders):
        raise ArithmeticError("Ṽ = −ηA⁻¹, W̃ = I is expected to solve the equations at n = ∞")
    (found,) = sp.solve([p.coeff_monomial(h) for p in orders], [x, y], dict=True)
    return sp.factor(-eta / a * (found[x] + 1 + t / a)), sp.factor(found[y])


# Statements ----------------------------------------------------------------------------------------

LOSS = sp.Symbol(r"L_{\infty}")
_V_INF = nt.matrix("V_inf", d, d, r"\widetilde{V}_{\infty}")
_V_N, _W_N = (nt.matrix(f"{m}_n", d, d, rf"\widetilde{{{m}}}_{{n}}") for m in "VW")
_SETTING = ("x ~ N(0, A), A ⪰ 0, w* ~ N(0, I)", "0 < η ≤ 1", "s_j = Σ_{i=0}^k (1−ρ^i)^j, c_k = Σ ρ^{2i}")
_PROPER = "k ≥ 1, η < 1"
_AT = nt.Label(LOSS, V, W)

register(
    Statement(
        "ext-sft-loss",
        BEYOND,
        "The limit of L_SFT as B → ∞, for any Ṽ and W̃",
        sp.Eq(2 * _AT, twice_loss(T), evaluate=False),
        assumptions=(*_SETTING, "T = E[S ṼᵀṼ S] = (n+1)/n · AṼᵀṼA + tr(AṼᵀṼ)/n · A"),
        depends_on=("thm-4.1-residual", "eq-A.wishart2"),
    )
)

PINV = nt.Pinv(Q)
SLOPE = -(s1 - s2) * eta**2 / n * (sp.Trace(A * PINV * PINV) * A - sp.Trace(A) * A * PINV * PINV)
register(
    Statement(
        "ext-sft-stationary",
        BEYOND,
        "With W̃ = I the limit (4.2) is stationary for the population loss in both blocks if and only if "
        "k = 0, or η = 1, or all non-zero eigenvalues of A are equal",
        sp.Eq(nt.Gradient(nt.Label(LOSS, _V_INF, I), W), SLOPE, evaluate=False),
        assumptions=(*_SETTING, "Q = (n+1)/n · A + tr(A)/n · AA†"),
        depends_on=("ext-sft-loss", "prop-4.3"),
        note="The gradient in Ṽ is 0.  s_1 − s_2 = Σ ρ^i(1−ρ^i) is 0 only for k = 0 or η = 1, the bracket "
        "only for equal eigenvalues.",
    )
)

LEAST = eta**2 * c_k / 2 * (d - rank * n / (n + rank + 1))
register(
    Statement(
        "ext-sft-minimum",
        BEYOND,
        "Where (4.2) with W̃ = I is stationary it is a global minimum: the least loss for any A of rank r, "
        "attained there if all non-zero eigenvalues of A are equal",
        nt.Listing(
            sp.Ge(_AT, LEAST, evaluate=False), sp.Eq(nt.Label(LOSS, _V_INF, I), LEAST, evaluate=False)
        ),
        assumptions=(*_SETTING, "r = rank A", "equality: the non-zero eigenvalues of A are equal"),
        depends_on=("ext-sft-loss", "ext-sft-stationary"),
        note="The minimiser is unique in ṼP and PW̃, P = AA†, for k ≥ 1; with other A and k ≥ 1, η < 1 the "
        "bound is not attained.  For k = 0 or η = 1 (Ṽ_∞, I) is a minimiser for every A, with loss "
        "½η²(d − tr(AQ†)).",
    )
)

lam, mu = sp.IndexedBase("lambda"), sp.IndexedBase("mu")
beta = nt.scalar_symbol("beta", r"\beta", positive=True)
_RANGE = (nt.i, 1, rank)
RATIO = sp.Sum(sp.sqrt(lam[nt.i] * mu[nt.i]), _RANGE) ** 2 / sp.Sum(
    ((n + 1) * lam[nt.i] + sp.Trace(A)) * mu[nt.i] / n, _RANGE
)
SPREAD = sp.Sum(n * mu[nt.i] / ((n + 1) * mu[nt.i] + sp.Sum(mu[nt.j], (nt.j, 1, rank))), _RANGE)
REDUCED = d - (1 - beta) * RATIO - beta * SPREAD
register(
    Statement(
        "ext-sft-joint.a",
        BEYOND,
        "The joint minimisers are functions of A on its range, and solve a problem in its eigenvalues alone",
        nt.Listing(
            nt.Chain(
                nt.Label(sp.Symbol(r"\min_{\widetilde{V}, \widetilde{W}}"), _AT),
                nt.Product_(eta**2 * c_k / 2, nt.Label(sp.Symbol(r"\min_{\mu > 0}"), REDUCED)),
            ),
            sp.Eq(beta, BETA, evaluate=False),
        ),
        assumptions=(*_SETTING, _PROPER, "λ_i the non-zero eigenvalues of A, μ_i those of AṼᵀṼ"),
        depends_on=("ext-sft-loss",),
        note="Ṽ has the eigenvalues −√(μ_i/λ_i), W̃ follows from it by linear equations.  At k = 3, η = 0.3, "
        "n = 3, A = diag(0.1, 1, 10) two eigenvalues of W̃ are negative, and the loss is 6.3 % below that at "
        "(Ṽ_∞, I).",
    )
)

H_OF_A = sp.Trace(A.I) * A - sp.Trace(A) * A.I


def first_order(H: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The limits of n(Ṽ − Ṽ_∞) and n(W̃ − I), with H for tr(A⁻¹)A − tr(A)A⁻¹."""
    below = s0 * s2 - s1**2
    return -eta * (s1 - s2) ** 2 / below * A.I * H, (s1 - s2) * c_k / below * H


FIRST_V, FIRST_W = first_order(H_OF_A)
register(
    Statement(
        "ext-sft-joint.b",
        BEYOND,
        "The joint minimiser (Ṽ_n, W̃_n) at large n",
        nt.Listing(
            nt.Tends(n * (_V_N - _V_INF), n, sp.oo, first_order(H)[0]),
            nt.Tends(n * (_W_N - I), n, sp.oo, first_order(H)[1]),
        ),
        assumptions=(*_SETTING, _PROPER, "A invertible", "H = tr(A⁻¹)A − tr(A)A⁻¹"),
        depends_on=("ext-sft-joint.a",),
        note="For large n the minimiser is unique.",
    )
)
