"""The companion paper arXiv:2510.03605, as reported: what pretraining yields, and what k steps then do.

The model is that of arXiv:2603.01293 with pretraining covariance Λ and length n, test covariance Σ and
length m; hardness is H = tr(Λ)/λ_min(Λ).  Notes: ``notes/companion.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import companion_points as points
from theory import notation as nt
from theory.kstep import w_k
from theory.model import w_next, w_now
from theory.notation import I, Sigma, d, k, n
from theory.notation import m_prompt as m
from theory.pretraining import V_pre
from theory.statement import BEYOND, REPORTED, Statement, register

Lambda = nt.matrix("Lambda", d, d, r"\Lambda", symmetric=True)
Gamma = nt.matrix("Gamma_Lambda", d, d, r"\Gamma", symmetric=True)
root = nt.matrix("Gamma_root", d, d, r"\Gamma^{-1/2}", symmetric=True)
X_m = nt.matrix("X_m", d, m, "X")
w_one = nt.matrix("w_one", d, 1, r"\hat{w}_{1}")
H = nt.scalar_symbol("H_max", "H", positive=True)
condition_number = nt.scalar_symbol("kappa_test", r"\kappa(\Gamma)", positive=True)
low, high = (nt.scalar_symbol(f"gamma_{end}", rf"\gamma_{{\{end}}}", positive=True) for end in ("min", "max"))
u = nt.matrix("u_min", d, 1, "u")  # eigenvectors of Γ of unit length and at right angles, of its least level
v = nt.matrix("v_max", d, 1, "v")  # and of its largest
share = nt.scalar_symbol("c_share", "c", positive=True)
h = sp.IndexedBase("h")  # h[i] = tr(Λ)/λ_i, the hardness of an eigendirection; H is the largest

_TRAINED = "Ṽ = −Γ⁻¹, W̃ = I, w_0 = 0, w* ~ N(0, I)"
_SAME = "Σ = Λ ≻ 0"


def error(estimate: sp.MatrixSymbol) -> sp.Expr:
    """E‖ŵ − w*‖² over prompts and tasks."""
    return nt.Expectation(nt.NormSquared(estimate - nt.w_star))


def at_long_prompts(limit: sp.Expr) -> sp.Basic:
    """E‖ŵ_k − w*‖² → ``limit`` as m → ∞."""
    return nt.Tends(error(w_k), m, sp.oo, limit)


_EACH = (h[nt.i] + 1) ** 2 / (n + 1 + h[nt.i]) ** 2 + n**2 * (1 + h[nt.i]) / (m * (n + 1 + h[nt.i]) ** 2)
_SLOWEST = d * (1 + n / (1 + H)) ** (-2 * k)
_SPECTRUM = sp.Sum((1 + n / (1 + h[nt.i])) ** (-2 * k), (nt.i, 1, d))
CRITERION = sp.Trace((I - root * Sigma * root) ** (2 * k))
LONG_ERROR = nt.FrobeniusSquared((I - Gamma.I * Sigma) ** k)

register(
    Statement(
        "rel-pretraining",
        REPORTED,
        "What pretraining on prompts of any covariance ends at",
        nt.Listing(
            sp.Eq(V_pre, -Gamma.I, evaluate=False),
            sp.Eq(Gamma, (1 + 1 / n) * Lambda + (1 / n) * sp.Trace(Lambda) * I, evaluate=False),
        ),
        assumptions=("Λ ≻ 0", "W_yc held at −1", "w_0 = 0", "w* ~ N(0, I)"),
        depends_on=("eq-3.6.a",),
        note="Eq. 3.6 with Λ for Σ₀; for a singular Λ see there.",
    )
)
register(
    Statement(
        "rel-recursion",
        REPORTED,
        "The recursion of the chain of thought after pretraining",
        sp.Eq(
            w_next,
            w_now - (1 / m) * Gamma.I * X_m * X_m.T * (w_now - nt.w_star),
            evaluate=False,
        ),
        assumptions=("Ṽ = −Γ⁻¹, W̃ = I",),
        depends_on=("rel-pretraining", "eq-A.1"),
    )
)
register(
    Statement(
        "rel-one-step.a",
        REPORTED,
        "The error without a chain of thought is bounded by the hardness",
        sp.Le(error(w_one), d / n**2 * (1 + H) ** 2 + d / m * (1 + H), evaluate=False),
        assumptions=(_TRAINED, _SAME, "n, m ≥ 1"),
        depends_on=("prop-5.1", "rel-one-step.b"),
        note="For every Λ ≻ 0, n, m, and never with equality; at Λ ∝ I both terms are reached as n → ∞. "
        "Above d, the error of no step, once H + 1 ≥ n or H + 1 ≥ m.",
    )
)
register(
    Statement(
        "rel-one-step.b",
        BEYOND,
        "The error without a chain of thought, exact in the hardness of each direction",
        sp.Eq(error(w_one), sp.Sum(_EACH, (nt.i, 1, d)), evaluate=False),
        assumptions=(_TRAINED, _SAME, "h_i = tr(Λ)/λ_i"),
        depends_on=("prop-5.1",),
    )
)
register(
    Statement(
        "rel-many-steps",
        REPORTED,
        "The error of k steps on long prompts",
        at_long_prompts(_SLOWEST),
        corrected=nt.Listing(at_long_prompts(_SPECTRUM), sp.Le(_SPECTRUM, _SLOWEST, evaluate=False)),
        assumptions=(_TRAINED, _SAME),
        condition="Λ is a multiple of I; for any other Λ it is an upper bound, strictly above the error",
        counterexample=points.unequal_levels,
        depends_on=("ext-kstep.a",),
        note="h_i = tr(Λ)/λ_i.  Meant as a bound, ≤, it holds for every Λ ≻ 0.  The rate in k is right: "
        "the error over the print tends to the share of the directions of eigenvalue λ_min(Λ), between 1/d "
        "and 1.",
    )
)
register(
    Statement(
        "rel-overthinking.a",
        REPORTED,
        "The error of k steps at another test covariance, on long prompts",
        at_long_prompts(CRITERION),
        corrected=at_long_prompts(LONG_ERROR),
        assumptions=(_TRAINED, "Σ ⪰ 0"),
        condition="Λ and Σ commute (for even k: (I − Γ⁻¹Σ)^k is symmetric)",
        counterexample=points.detour,
        depends_on=("rel-pretraining", "ext-kstep.a"),
        note="At the counterexample the criterion falls in the first step, from 2, where the error rises.",
    )
)
register(
    Statement(
        "rel-overthinking.b",
        BEYOND,
        "The criterion and the error differ by a factor of at most the condition number of Γ",
        nt.Listing(
            sp.Le(CRITERION, LONG_ERROR, evaluate=False),
            sp.Le(LONG_ERROR, condition_number * CRITERION, evaluate=False),
        ),
        assumptions=("Σ ⪰ 0", "κ(Γ) = λ_max(Γ)/λ_min(Γ)"),
        depends_on=("rel-overthinking.a",),
        note="So both grow without bound as k → ∞ if λ_max(Γ⁻¹Σ) > 2, stay bounded otherwise, and tend to "
        "0 if Σ ≻ 0 and λ_max(Γ⁻¹Σ) < 2.",
    )
)


# In Γ's eigenbasis N = I − Γ^(−1/2)ΣΓ^(−1/2) is c(uvᵀ + vuᵀ) at the first, c(u + v)(u + v)ᵀ/2 at the second.
ODD = (condition_number**2 + 1) / (2 * condition_number)
EVEN = (condition_number + 1) ** 2 / (4 * condition_number)
_SUM = sp.sqrt(low) * u + sp.sqrt(high) * v
EXCHANGING = Gamma - share * sp.sqrt(low * high) * (u * v.T + v * u.T)
PROJECTING = Gamma - (share / 2) * _SUM * _SUM.T


def _largest(factor: sp.Expr, reached: sp.MatrixExpr) -> nt.Listing:
    """error ≤ factor · criterion at every Σ ⪰ 0, with equality at ``reached``."""
    above = factor * CRITERION
    return nt.Listing(
        sp.Le(LONG_ERROR, above, evaluate=False),
        sp.Implies(sp.Eq(Sigma, reached, evaluate=False), sp.Eq(LONG_ERROR, above, evaluate=False)),
    )


_ENDS = ("Σ ⪰ 0", "κ(Γ) = γ_max/γ_min", "Γu = γ_min u, Γv = γ_max v, u ⊥ v of length 1", "0 < c ≤ 1")
register(
    Statement(
        "ext-overthinking.a",
        BEYOND,
        "The error is at most (κ + 1/κ)/2 times the criterion; at odd k, no smaller factor will do",
        _largest(ODD, EXCHANGING),
        assumptions=(*_ENDS, "k odd in the second line"),
        depends_on=("rel-overthinking.a", "rel-overthinking.b"),
        note="At most (n + 2)/2 + 1/(2(n + 2)), as κ(Γ) ≤ n + 2.  At even k: ext-overthinking.b.",
    )
)
register(
    Statement(
        "ext-overthinking.b",
        BEYOND,
        "At even k the error is at most (κ + 1)²/(4κ) times the criterion, and no smaller factor will do",
        _largest(EVEN, PROJECTING),
        assumptions=(*_ENDS, "k even"),
        depends_on=("ext-overthinking.a",),
        note="Kantorovich's constant, below that of odd k: (I − Γ^(−1/2)ΣΓ^(−1/2))^k has no negative "
        "eigenvalue.",
    )
)
