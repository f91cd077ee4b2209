"""Section 6 on curvature: how the outcome loss's Hessian grows with k and with the spectral radius of M.

Beyond the paper: every eigenvalue of it where V commutes with the covariance, bounds that are attained for
a normal M, a prompt already solved, finite prompt length, and a Jordan block.  Counterexamples in
:mod:`theory.curvature_points`.  Notes: ``notes/curvature.md``.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.printing.latex import LatexPrinter

from theory import curvature_points as points
from theory import notation as nt
from theory.errors import ArgumentError, check_count, check_finite, in_range
from theory.kstep import c
from theory.notation import A, B, I, S, S_tau, Sigma_hat, V, d, k, tau, w_star_tau
from theory.statement import BEYOND, Statement, register

Array = NDArray[np.float64]
x, y = sp.symbols("x y", real=True)  # two eigenvalues of M
rho, beta = sp.symbols("rho beta", positive=True)
decay = nt.scalar_symbol("decay", "L", positive=True)  # −ln ρ
m_i, m_j, a_i, a_j = (
    nt.scalar_symbol(f"{letter}_{index}", f"{letter}_{index}", real=True) for letter in "ma" for index in "ij"
)


class Proportional(sp.Basic):
    """a ∝ b: the ratio lies between positive constants that depend on neither k nor ρ."""

    def _latex(self, printer: LatexPrinter) -> str:
        return r" \propto ".join(printer._print(side) for side in self.args)


# Derivations ---------------------------------------------------------------------------------------


def first_order(steps: sp.Expr) -> sp.Expr:
    """h = Σ_l x^l y^{k−1−l}: M^k moves by h f in entry (1, 2) when M = diag(x, y) does by f there."""
    return (x**steps - y**steps) / (x - y)


def second_order(steps: sp.Expr) -> sp.Expr:
    """g = Σ_{a+b+c=k−2} x^{a+c} y^b: M^k moves by g f f′ in entry (1, 1) when M does by f and f′ in entries
    (1, 2) and (2, 1)."""
    return (steps * x ** (steps - 1) * (x - y) - (x**steps - y**steps)) / (x - y) ** 2


def coupling(steps: sp.Expr) -> sp.Expr:
    """t = x^k g(x, y) + y^k g(y, x), which is k (x^{2k−1} − y^{2k−1})/(x − y) − h²."""
    return steps * (x ** (2 * steps - 1) - y ** (2 * steps - 1)) / (x - y) - first_order(steps) ** 2


def induction() -> bool:
    """h, g and the k(k−1)/2 of x = y obey M^{k+1} = M M^k to second order, for a symbolic k; and t is the
    sum it stands for."""
    swapped = {x: y, y: x}
    h, g = first_order(k), second_order(k)
    steps = (
        x * h + y**k - first_order(k + 1),
        x * g + h.subs(swapped, simultaneous=True) - second_order(k + 1),
        sp.binomial(k, 2).expand(func=True) + k - sp.binomial(k + 1, 2).expand(func=True),
        x**k * g + y**k * g.subs(swapped, simultaneous=True) - coupling(k),
    )
    start = first_order(sp.Integer(1)) == 1 and sp.simplify(second_order(sp.Integer(1))) == 0
    return bool(start and all(sp.simplify(sp.expand(sp.together(step))) == 0 for step in steps))


def along_corner(steps: sp.Expr) -> sp.Expr:
    """D²L[E, E] at M = [[ρ, β], [0, ρ]], S = I, Σ w* w*ᵀ/B = I, E = E_21.

    (M^a)_12 = aβρ^{a−1}, and Σ a b⋯ over compositions are binomials: Σ_{a+b=k−1} ab = C(k, 3),
    Σ_{a+b+c=k−2} ab = C(k, 4), abc: C(k, 5).
    """

    def choose(p: int) -> sp.Expr:
        return sp.binomial(steps, p).expand(func=True)

    ratio = beta / rho
    kept = steps**2 + 2 * choose(2) ** 2 * ratio**2 + choose(3) ** 2 * ratio**4
    dropped = 2 * (2 * choose(4) * ratio**2 + steps * choose(5) * ratio**4)
    return rho ** (2 * steps - 2) * (kept + dropped)


@in_range("m, a")
def spectrum(m: Array, a: Array, steps: int) -> Array:
    """All d² eigenvalues of the population Hessian at n = ∞, ascending, V and A having one eigenbasis.

    ``m`` and ``a`` (d,) are the eigenvalues of M = I + VA and of A; ``steps`` is k ≥ 1; w* ~ N(0, I).
    Raises :class:`ArgumentError` for arrays of different shapes and for k < 1.
    """
    check_count("steps", steps)
    m, a = check_finite("m", m), check_finite("a", a)
    if m.ndim != 1 or m.shape != a.shape:
        raise ArgumentError(f"m has shape {m.shape}, a {a.shape}: must be vectors of one length")
    powers = np.arange(steps)
    # Sums and not quotients: no division by the gap of two equal eigenvalues.
    h = np.einsum("il,jl->ij", m[:, None] ** powers, m[:, None] ** powers[::-1])
    long = np.arange(2 * steps - 1)
    t = steps * np.einsum("il,jl->ij", m[:, None] ** long, m[:, None] ** long[::-1]) - h**2
    single = steps * (2 * steps - 1) * a**2 * m ** (2 * steps - 2)
    one, other = np.triu_indices(len(m), 1)
    p, q = a[one] ** 2, a[other] ** 2
    middle = h[one, other] ** 2 * (p + q) / 2
    apart = np.sqrt((h[one, other] ** 2 * (p - q) / 2) ** 2 + p * q * t[one, other] ** 2)
    return np.sort(np.concatenate([single, middle + apart, middle - apart]))


def peak(rate: sp.Expr) -> sp.Expr:
    """The k > 1/2 at which k(2k−1)ρ^{2k−2} is largest, rate = −ln ρ > 0: about 1/rate + 1/4."""
    return (2 + rate + sp.sqrt(4 + rate**2)) / (4 * rate)


# Statements ----------------------------------------------------------------------------------------

H = nt.matrix("H", d**2, d**2, "H", symmetric=True)
_M, _M_TAU = nt.matrix("M", d, d, "M"), nt.matrix("M_tau", d, d, r"M_{\tau}")
_LARGEST = nt.Label(sp.Symbol(r"\lambda_{\max}"), H)
_SMALLEST_A, _LARGEST_A = (nt.Label(sp.Symbol(rf"\lambda_{{\{end}}}"), A) for end in ("min", "max"))
GAMMA = nt.matrix("Gamma", d, d, r"\Gamma", symmetric=True)
CONDITION = nt.Label(sp.Symbol(r"\kappa"), GAMMA)
RADIUS = nt.Label(sp.Symbol(r"\rho"), _M_TAU)
_RADIUS = nt.Label(sp.Symbol(r"\rho"), _M)
NORMAL = "S_τ = A ≻ 0 for all τ (n → ∞), (1/B) Σ w* w*ᵀ = I, M normal"

register(
    Statement(
        "eq-6.1",
        "Section 6, eq. 6.1",
        "The Hessian's largest eigenvalue scales as the mean of k² ρ(M_τ )^{2k−2}",
        Proportional(_LARGEST, sp.Sum(k**2 * RADIUS ** (2 * k - 2), (tau, 1, B)) / B),
        assumptions=("near a global minimum, M_τ^k w* ≈ 0",),
        condition=NORMAL,
        counterexample=points.solved_prompt,
        depends_on=("prop-6.1.b",),
        note="∝ read as a ratio between constants free of k and ρ; it is (2 − 1/k)a², a² between λ_min(A)² "
        "and λ_max(A)².  Nearness to a minimum does not give it: at M_τ w* = 0 there is no factor k at all; "
        "for S of low rank, as from prompts of N(0, Δ), ρ(M) = 1 at the minimum and λ_max is the same for "
        "every k; for M = [[ρ, β], [0, ρ]] it grows like k⁶ ρ^{2k−6}.  The bound with ‖w*‖² ‖S‖ is printed "
        "in Appendix E only.",
    )
)
register(
    Statement(
        "sec-6-curvature.a",
        "Section 6, after eq. 6.1",
        "Near the boundary of stability the curvature grows quadratically with k",
        Proportional(_LARGEST, k**2),
        assumptions=("ρ(M) ≈ 1",),
        condition=f"{NORMAL}, and k ≤ 1/(1 − ρ) about, ρ = ρ(M) < 1",
        counterexample=points.unseen_direction,
        consequences=("insight-3", "sec-7.a"),
        depends_on=("eq-6.1",),
        note="λ_max/(k(2k−1)a²) = ρ^{2k−2} lies in [1 − 2(k−1)(1−ρ), 1]; at fixed ρ < 1 the growth ends at "
        "ext-os-curvature.c.  The loss is then at least ρ^{2k}/2, near 1/2: quadratic growth in k and "
        "M^k w* ≈ 0 exclude each other.",
    )
)
register(
    Statement(
        "sec-6-curvature.b",
        "Section 6, after eq. 6.1",
        "With ρ(I + VΣ) just below 1, finite n makes k steps of thinking worse than none",
        sp.Gt(nt.Expectation(nt.FrobeniusSquared((I + V * Sigma_hat) ** k)), d, evaluate=False),
        assumptions=("ρ(I + VΣ) < 1, near 1",),
        condition="Σ = I, V = −(1+ρ)I, ρ > (n−d−1)/(n+d+1): the eigenvalue near the boundary is −ρ",
        counterexample=points.boundary_at_one,
        depends_on=("ext-kstep.a",),
        note="There risk/d ≥ (risk/d at k = 1)^k > 1, where at n = ∞ it is ρ^{2k}.  At +ρ, where an "
        "under-trained V is, thinking goes on helping: I − cS with small c > 0 cannot come near −1 but for "
        "rare prompts.  Pretraining starts at −Γ₀⁻¹Δ, on the side of −1.",
    )
)
_D2L = nt.scalar_symbol("D2L", r"D^{2} L")
_E = {(one, other): sp.Symbol(rf"E_{{{one}{other}}}") for one, other in (("i", "i"), ("i", "j"), ("j", "i"))}
_h, _t = (sp.Symbol(name) for name in "ht")
ON_PAIR = ((a_j**2 * _h**2, a_i * a_j * _t), (a_i * a_j * _t, a_i**2 * _h**2))
SINGLE = k * (2 * k - 1) * a_i**2 * m_i ** (2 * k - 2)
_AT = {x: m_i, y: m_j}

register(
    Statement(
        "ext-os-curvature.a",
        BEYOND,
        "The whole Hessian where V and A commute: E_ii alone, E_ij and E_ji in pairs",
        nt.Lines(
            nt.Chain(nt.Label(_D2L, _E["i", "i"], _E["i", "i"]), SINGLE),
            nt.Chain(
                nt.Label(_D2L, _E["i", "j"], _E["j", "i"]),
                nt.Blocks(*(sp.Tuple(*row) for row in ON_PAIR)),
            ),
            nt.Chain(_h, first_order(k).subs(_AT)),
            nt.Chain(_t, (coupling(k) + first_order(k) ** 2).subs(_AT) - _h**2),
        ),
        assumptions=("S = A (n → ∞)", "w* ~ N(0, I)", "AV = VA, m and a the eigenvalues of M and A"),
        depends_on=("prop-6.1.b",),
        note="The term that the paper keeps near the minimum is k²a_i² m_i^{2k−2} on E_ii; what it drops is "
        "(1 − 1/k) of that at every m_i and does not become small.",
    )
)
register(
    Statement(
        "ext-os-curvature.b",
        BEYOND,
        "Bounds on λ_max for a normal M, equal for isotropic A",
        nt.Listing(
            sp.Le(k * (2 * k - 1) * _SMALLEST_A**2 * _RADIUS ** (2 * k - 2), _LARGEST, evaluate=False),
            sp.Le(_LARGEST, k * (2 * k - 1) * _LARGEST_A**2 * _RADIUS ** (2 * k - 2), evaluate=False),
        ),
        assumptions=("S = A (n → ∞)", "(1/B) Σ w* w*ᵀ = I", "M normal"),
        depends_on=("prop-6.1.b",),
        note="The upper bound needs no normality with ‖M‖ for ρ.",
    )
)
register(
    Statement(
        "ext-os-curvature.c",
        BEYOND,
        "The k of the sharpest Hessian at a fixed ρ < 1 (isotropic A, M normal)",
        sp.Eq(nt.Argmin(-k * (2 * k - 1) * sp.exp(-2 * (k - 1) * decay), k), peak(decay), evaluate=False),
        assumptions=("ρ(M) = e^{−L}, L > 0", "k real"),
        depends_on=("ext-os-curvature.b",),
        note="1/L + 1/4 up to terms of order L = ln(1/ρ).  For larger k the Hessian flattens.",
    )
)
register(
    Statement(
        "ext-os-curvature.d",
        BEYOND,
        "Where every prompt is solved at the first step, M_τ w* = 0, the curvature has no factor k²",
        nt.Chain(
            nt.Label(_D2L, sp.Symbol("E"), sp.Symbol("E")),
            sp.Sum(
                nt.NormSquared((I + V * S_tau) ** (k - 1) * nt.matrix("E", d, d, "E") * S_tau * w_star_tau),
                (tau, 1, B),
            )
            / B,
        ),
        assumptions=("(I + VS_τ )w* = 0 for all τ",),
        depends_on=("prop-6.1.b",),
        note="So λ_max ≤ (1/B) Σ ‖M_τ^{k−1}‖² ‖S w*‖².  For normal M_τ every zero of the loss is of this "
        "kind; at any other, M^p w* = 0 with p ≤ min(k, d), and p of the k terms M^l dM M^{k−1−l} w* remain.",
    )
)
register(
    Statement(
        "ext-os-curvature.e",
        BEYOND,
        "Finite prompts: the population curvature along I at V = −cI",
        nt.Chain(
            nt.Label(_D2L, I / sp.sqrt(d), I / sp.sqrt(d)),
            k * (2 * k - 1) / d * nt.Expectation(sp.Trace(Sigma_hat**2 * (I - c * Sigma_hat) ** (2 * k - 2))),
        ),
        assumptions=("x ~ N(0, I)", "w* ~ N(0, I)", "B → ∞"),
        depends_on=("ext-kstep.d",),
        note="A lower bound of λ_max.  As d, n grow in proportion, the eigenvalues of S near the "
        "edge carry a share k^{−3/2}: the curvature grows like √k ρ^{2k−2} with the prompts' own ρ(M_τ ), "
        "where eq. 6.1 has k².",
    )
)
register(
    Statement(
        "ext-os-curvature.f",
        BEYOND,
        "A Jordan block, M = [[ρ, β], [0, ρ]]: six powers of k for two",
        nt.Tends(_LARGEST / (k**6 * beta**4 * rho ** (2 * k - 6)), k, sp.oo, sp.Rational(2, 45)),
        assumptions=("S = I", "(1/B) Σ w* w*ᵀ = I", "β > 0"),
        depends_on=("prop-6.1.b",),
        note="Attained along E_21; ‖M^k‖ reaches about β/(eρ ln(1/ρ)) before it falls.",
    )
)
register(
    Statement(
        "ext-os-curvature.g",
        BEYOND,
        "At V = −Γ⁻¹, where training starts, M is as good as normal up to the condition number of Γ",
        sp.Le(
            nt.OperatorNorm((I - GAMMA.I * S) ** k),
            sp.sqrt(CONDITION) * nt.Label(sp.Symbol(r"\rho"), I - GAMMA.I * S) ** k,
            evaluate=False,
        ),
        assumptions=("Γ ≻ 0 symmetric", "S symmetric"),
        depends_on=("eq-3.6.a",),
        note="Γ^{1/2} M Γ^{−1/2} is symmetric.  So the upper bound of ext-os-curvature.b holds there for "
        "every prompt with another factor κ(Γ)².  Equal for odd k at Γ = diag(1, 4), "
        "S = [[1, −2ρ], [−2ρ, 4]].",
    )
)
