"""What moves when the paper's assumptions fail: noise on the labels, tasks and features of another law.

Beyond arXiv:2603.01293, which has Gaussian independent features, w* ~ N(0, I), no noise and one rate.
Derived in :mod:`theory.beyond_words`.  Notes: ``notes/beyond.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import block_symbols as block
from theory import notation as nt
from theory.beyond_words import Lambda, M, noisy_isotropic_risk, overlap, sigma, theta
from theory.finetuning import V_STAR, W_STAR
from theory.kstep import c
from theory.notation import A, B, Gamma0, I, Omega, Phi, Sigma, Sigma_hat, V, c_k, d, eta, k, n
from theory.pretraining import V_pre
from theory.risk import w_hat
from theory.statement import BEYOND, Statement, register

V_INF = nt.matrix("V_inf", d, d, r"\widetilde{V}_{\infty}")
N = nt.matrix("N_noisy", d, d, "N", symmetric=True)
L = nt.matrix("L_root", d, d, "L")
Xi = nt.matrix("Xi", d, B, r"\Xi")
b_k = nt.scalar_symbol("b_k", "b_k", positive=True)
kurtosis = nt.scalar_symbol("kappa_entry", r"\kappa", real=True)
nu = nt.scalar_symbol("nu", r"\nu", positive=True)
levels_q = sp.IndexedBase("q")
chi = nt.scalar_symbol("chi_length", r"\chi", positive=True)
noise_level = nt.scalar_symbol("sigma_limit", r"\varsigma", nonnegative=True)
tasks = block.family("ell", r"\ell")
targets = block.family("C_target", "C")

GAUSSIAN = "x ~ N(0, Σ) independent"
LABELS = "y = ⟨w*, x⟩ + ε, ε independent of mean 0 and variance σ²"
TASKS = "w* of mean 0 and covariance Λ, independent of X"
PATH = "W̃ = I, Ξ = [X_τ ε_τ/n], c_k = Σ_{i≤k} ρ^{2i}, b_k = Σ_{i≤k} ρ^i, ρ = 1 − η"

MEAN = nt.MatrixExpectation(Sigma_hat * M * Sigma_hat)
SECOND = nt.MatrixExpectation(Sigma_hat * Lambda * Sigma_hat)
PAIRED = Sigma * M.T * Sigma + sp.Trace(M * Sigma) * Sigma
ENTRIES = Sigma * M * Sigma + (1 / n) * (PAIRED + kurtosis * L * sp.HadamardProduct(I, L.T * M * L) * L.T)
ELLIPTICAL = Sigma * M * Sigma + (1 / n) * ((theta - 1) * Sigma * M * Sigma + theta * PAIRED)
AUTOCORRELATED = Sigma * M * Sigma + overlap / n**2 * PAIRED

_MISS = I + V * Sigma
RISK = (
    sp.Trace(Lambda) + 2 * sp.Trace(V * Sigma * Lambda) + sp.Trace(V * (SECOND + sigma**2 / n * Sigma) * V.T)
)
GAUSSIAN_RISK = sp.Trace(_MISS * Lambda * _MISS.T) + (1 / n) * (
    sp.Trace(V * Sigma * Lambda * Sigma * V.T)
    + (sp.Trace(Lambda * Sigma) + sigma**2) * sp.Trace(V * Sigma * V.T)
)
START = -Lambda * Sigma * sp.Inverse(SECOND + sigma**2 / n * Sigma)
GAUSSIAN_START = -sp.Inverse((1 + 1 / n) * Sigma + (sp.Trace(Lambda * Sigma) + sigma**2) / n * Lambda.I)

N_MATRIX = c_k * Phi * Phi.T + b_k * (Phi * Xi.T + Xi * Phi.T) + (k + 1) * Xi * Xi.T
FIXED = -eta * (c_k * Omega * Phi.T + b_k * Omega * Xi.T) * nt.Pinv(N) - Gamma0.I * (I - N * nt.Pinv(N))
_OFF = (I - Xi * nt.Pinv(Xi)) * Phi
FEW = -eta * Omega * nt.Pinv(_OFF) - Gamma0.I * (I - Xi * nt.Pinv(Xi) - _OFF * nt.Pinv(_OFF))

SECOND_A = nt.MatrixExpectation(nt.S * Lambda * nt.S)
POPULATION = -eta * Lambda * A * sp.Inverse(SECOND_A + (k + 1) / c_k * sigma**2 / n * A)
ISOTROPIC_POPULATION = -eta * A * sp.Inverse(nt.MatrixExpectation(nt.S**2) + (k + 1) / c_k * sigma**2 / n * A)
GAUSSIAN_POPULATION = -eta * sp.Inverse((n + 1) / n * A + (sp.Trace(A) + (k + 1) / c_k * sigma**2) / n * I)
CURVATURE = c_k * SECOND_A + (k + 1) * sigma**2 / n * A

_I = nt.i
RATE = sp.Sum(levels_q[_I] * (levels_q[_I] - levels_q[_I + 1]), (_I, 0, k)) / sp.Sum(
    levels_q[_I] ** 2, (_I, 0, k)
)
PATH_FIXED = -RATE * Omega * nt.Pinv(Phi) - Gamma0.I * (I - Phi * nt.Pinv(Phi))
TAIL = -nu / (4 * k)
_a, _l, _k = block.a, tasks, block.k
TARGETS = (
    _a[_k] ** 2 * _l[_k]
    + block.aspect
    * (
        theta * chi * block.average(block.mu[block.l] * _a[block.l] * _l[block.l], index=block.l)
        + noise_level**2
    )
    * _a[_k]
)


# Statements ----------------------------------------------------------------------------------------


def _mean(law: sp.Expr) -> sp.Eq:
    return sp.Eq(MEAN, law, evaluate=False)


_RISK_OF = nt.Expectation(nt.NormSquared(w_hat - nt.w_star))
OTHER_W = sp.ImmutableMatrix([[1, 0], [sp.Rational(1, 2), 1]])
EXCEEDS = nt.Label(r"\Pr", nt.FrobeniusSquared((I - c * Sigma_hat) ** k) > nt.t)

STATEMENTS = (
    Statement(
        "ext-beyond.a",
        BEYOND,
        "The second moment of Σ̂ for independent entries of any fourth moment",
        _mean(ENTRIES),
        assumptions=(
            "x = Lz, Σ = LLᵀ, entries of z independent of mean 0, variance 1 and excess kurtosis κ",
            "columns independent",
        ),
        depends_on=("lem-A.1.b",),
        note="∘ is the product entry by entry.  Rademacher entries: κ = −2; Student t: κ = 6/(ν − 4).  All "
        "results up "
        "to second order in S follow; the term has no trace and vanishes where d and n grow in proportion.",
    ),
    Statement(
        "ext-beyond.b",
        BEYOND,
        "The second moment of Σ̂ for elliptical features",
        _mean(ELLIPTICAL),
        assumptions=("x = √g y, y ~ N(0, Σ), g independent of y, Eg = 1, Eg² = ϑ", "columns independent"),
        depends_on=("lem-A.1.b",),
        note="Multivariate Student t: ϑ = (ν − 2)/(ν − 4), infinite for ν ≤ 4.  The trace is multiplied: "
        "elliptical "
        "features do not become Gaussian in high dimension, they shorten the prompt.",
    ),
    Statement(
        "ext-beyond.c",
        BEYOND,
        "The second moment of Σ̂ for features correlated within a prompt",
        _mean(AUTOCORRELATED),
        assumptions=("columns jointly Gaussian, E[x_i x_jᵀ] = C_ij Σ, C_ii = 1",),
        depends_on=("lem-A.1.b",),
        note="The prompt is as long as n²/‖C‖² independent columns.  C_ij = r^|i−j|: ‖C‖²/n → (1 + r²)/(1 − "
        "r²).",
    ),
    Statement(
        "ext-beyond.d",
        BEYOND,
        "The one-step risk with noise on the labels and tasks of any covariance",
        nt.Lines(
            nt.Chain(_RISK_OF, RISK),
            sp.Eq(RISK, GAUSSIAN_RISK, evaluate=False),
        ),
        assumptions=(
            "W̃ = I, w_0 = 0",
            LABELS,
            TASKS,
            "columns of mean 0 and covariance Σ; in the second line x ~ N(0, Σ) independent",
        ),
        depends_on=("prop-5.1",),
        note="Noise adds σ² to the variance tr(ΛΣ) of a label.  What is added to (5.1) is of order 1/n.",
    ),
    Statement(
        "ext-beyond.e",
        BEYOND,
        "The pretrained Ṽ, and outcome supervision's at k = 1, under the same",
        nt.Lines(
            nt.Chain(V_pre, START),
            sp.Eq(START, GAUSSIAN_START, evaluate=False),
        ),
        assumptions=(
            "w_0 = 0",
            LABELS,
            TASKS,
            "columns of mean 0 and covariance Σ ≻ 0; in the second line Λ ≻ 0, x ~ N(0, Σ) independent",
        ),
        depends_on=("ext-beyond.d", "eq-3.6.a"),
        note="Γ₀ of (3.7) with the variance tr(ΛΣ) + σ² of a label for tr(Σ) and Λ⁻¹ for I.  For outcome "
        "supervision Σ is A.",
    ),
    Statement(
        "ext-beyond.f",
        BEYOND,
        "Theorem 4.1 with noise on the labels: the minimiser depends on k",
        nt.Listing(sp.Eq(V_STAR, FIXED, evaluate=False), sp.Eq(N, N_MATRIX, evaluate=False)),
        assumptions=(LABELS, PATH, "nearest to −Γ₀⁻¹"),
        depends_on=("thm-4.1",),
        note="ΦΦᵀ, ΦΞᵀ + ΞΦᵀ and ΞΞᵀ have different weights in k, so that Remark 4.1 fails from one prompt "
        "on: at d = n = B = x = "
        "w* = ε = 1, η = 1/2 the minimiser is −1/4 at k = 0 and −11/50 at k = 1.",
    ),
    Statement(
        "ext-beyond.g",
        BEYOND,
        "Fine-tuning on few prompts with noise on the labels",
        nt.Chain(V_STAR, FEW),
        assumptions=(LABELS, PATH, "k ≥ 1, 0 < η < 1", "the 2B columns of Φ and Ξ are independent"),
        depends_on=("ext-beyond.f",),
        note="Neither k nor the size of the noise enters: any noise wipes what pretraining knew on the "
        "range of Ξ.  The loss is "
        "zero up to B = rank(A)/2, where (4.1) has it up to rank(A); at k = 0 Φ + Ξ is in the place of Φ.",
    ),
    Statement(
        "ext-beyond.h",
        BEYOND,
        "With noise on the labels the limit of Theorem 4.1 has W̃ other than I: an example",
        sp.Eq(W_STAR, OTHER_W, evaluate=False),
        assumptions=(
            LABELS,
            "Ṽ and W̃ both free",
            "B = k = 1, d = n = 2, X = I, w* = (2, 0), Xε/n = (0, 1/2), Γ₀ = I, η = 1/2",
        ),
        depends_on=("thm-4.1",),
        note="This W̃ makes SW̃w* = Sw* + Xε/n, which leaves one condition on Ṽ, and the distance² from "
        "(−I, I) is 9/20.  "
        "At W̃ = I, as at every other W̃e₁, zero loss makes Ṽ singular: distance² 1 at least.",
    ),
    Statement(
        "ext-beyond.i",
        BEYOND,
        "Proposition 4.3 with noise on the labels and tasks of any covariance",
        nt.Lines(
            nt.Tends(V_STAR, B, sp.oo, nt.Chain(V_INF, POPULATION)),
            sp.Eq(ISOTROPIC_POPULATION, GAUSSIAN_POPULATION, evaluate=False),
        ),
        assumptions=(
            PATH,
            LABELS,
            TASKS,
            "columns of mean 0 and covariance A ≻ 0; in the second line Λ = I, x ~ N(0, A) independent",
        ),
        depends_on=("prop-4.3", "ext-beyond.f"),
        note="(k + 1)/c_k is 1 at k = 0 and grows like (k + 1)(2η − η²): supervising more steps multiplies "
        "the noise, and Ṽ_∞ → 0 as "
        "k → ∞.  Tasks that share a part u_0, w = √(1−ρ) u + √ρ u_0: Λ = (1 − ρ)I + ρ u_0u_0ᵀ.",
    ),
    Statement(
        "ext-beyond.j",
        BEYOND,
        "The curvature of the fine-tuning loss in Ṽ",
        sp.Eq(nt.Label(r"\lambda_{\max}", sp.Symbol("H")), nt.OperatorNorm(CURVATURE), evaluate=False),
        assumptions=("B → ∞", PATH, LABELS, TASKS, "columns of mean 0 and covariance A"),
        depends_on=("ext-beyond.i",),
        note="Gradient descent is stable up to 2/λ_max.  At k = 0 it is that of outcome supervision with "
        "one step.",
    ),
    Statement(
        "ext-beyond.k",
        BEYOND,
        "The two-step risk with noise on the labels: Ṽ = −cI, Σ = Λ = I",
        sp.Eq(
            nt.Expectation(nt.NormSquared(sp.MatrixSymbol("w_2", d, 1) - nt.w_star)),
            noisy_isotropic_risk(2),
            evaluate=False,
        ),
        assumptions=("W̃ = I, w_0 = 0", LABELS, "w* ~ N(0, I)", "x ~ N(0, I) independent"),
        depends_on=("ext-kstep.d",),
        note="ŵ_k − w* = −M^k w* − Σ_{j<k} M^j ṼXε/n, M = I + ṼS.  At d = n = 1 the noise adds σ²(4c² − "
        "12c³ + 15c⁴).",
    ),
    Statement(
        "ext-beyond.l",
        BEYOND,
        "Under Student t features outcome supervision has no finite risk from k = ν/4 on",
        nt.Tends(
            sp.log(nt.Label(r"\Pr", nt.FrobeniusSquared((I - c * Sigma_hat) ** k) > nt.t)) / sp.log(nt.t),
            nt.t,
            sp.oo,
            TAIL,
        ),
        assumptions=("columns independent, multivariate t with ν degrees of freedom", "c ≠ 0"),
        note="A tail of exponent at most 1 has no mean: the k-step risk is infinite at every Ṽ = −cI, c ≠ "
        "0, for 4k ≥ ν.  "
        "Supervised fine-tuning needs ν > 4 alone, at every k.",
    ),
    Statement(
        "ext-beyond.m",
        BEYOND,
        "Theorem 4.1 on another path: w_i = (1 − q_i)w*",
        nt.Chain(V_STAR, PATH_FIXED),
        assumptions=("W̃ = I", "q_0 = 1, not all prompts' columns Sw* zero", "nearest to −Γ₀⁻¹"),
        depends_on=("thm-4.1",),
        note="(4.1) and (4.2) with a mean rate for η; q_i = (1 − η)^i gives η.  Equal steps, q = 1, 2/3, "
        "1/3, 0: 3/7.  "
        "On other paths than that of (3.5) the rate depends on k and the loss does not reach zero.",
    ),
    Statement(
        "ext-beyond.n",
        BEYOND,
        "The levels of the covariance of Sw* + Xε/n, on which the proportional limit rests",
        sp.Eq(targets[_k], TARGETS, evaluate=False),
        assumptions=(
            "d/n → γ, σ²/d → ς², A and Λ commute",
            "features with Eg² = ϑ, ‖C‖²/n → χ, or independent entries of any kurtosis",
        ),
        depends_on=("ext-beyond.a", "ext-beyond.b", "ext-beyond.c", "ext-beyond.i"),
        note="γϑχ in the place of γ: kurtosis vanishes, elliptical and correlated features do not.  "
        "Fine-tuning at k = 0, pretraining "
        "and test have the same substitution: theory.beyond_limit.sft_risk_limit.",
    ),
)
for _statement in STATEMENTS:
    register(_statement)
