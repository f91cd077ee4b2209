"""Label noise, tasks of any covariance and features of other laws: derivations for :mod:`theory.beyond`.

The labels are y = w*ᵀX + εᵀ with noise ε of variance σ², independent of X and w*.
Notes: ``notes/beyond.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import blocks
from theory import notation as nt
from theory.kstep import by_power, c, collapse
from theory.notation import d, n
from theory.pretraining import right_quotient
from theory.wishart import expectation
from theory.words.letters import Letter
from theory.words.poly import Matrix, Scalar, Words, identity, letter, substitute, zero

V, S, SIGMA, W_STAR = (nt.letter_of(a) for a in (nt.V, nt.S, nt.Sigma, nt.w_star))
NOISE = Letter("eps", n, 1)
ROOT = Letter("Lambda^1/2", d, d)  # w* = ROOT u with u of covariance I
M = nt.matrix("M_any", d, d, "M")
ANY = nt.letter_of(M)
Lambda = nt.matrix("Lambda", d, d, r"\Lambda", symmetric=True)
sigma = nt.scalar_symbol("sigma_label", r"\sigma", nonnegative=True)
theta = nt.scalar_symbol("theta_radius", r"\vartheta", positive=True)
overlap = nt.scalar_symbol("overlap", r"\left\| C \right\|_F^2", positive=True)

# Features -------------------------------------------------------------------------------------------


def gaussian_mean(inner: Matrix, length: sp.Expr = n) -> Matrix:
    """E[S M S] for ``length`` columns of N(0, Σ)."""
    s = letter(S)
    found = expectation(s @ inner @ s, S, SIGMA, length)
    assert isinstance(found, Matrix)
    return found


def _of_columns(apart: Matrix, alike: Matrix) -> Matrix:
    """E[SMS] from the means of x_ix_iᵀMx_jx_jᵀ at i ≠ j and at i = j."""
    return apart * ((n - 1) / n) + alike * (1 / n)


def elliptical_mean(inner: Matrix) -> Matrix:
    """E[SMS] for x = √g y, y ~ N(0, Σ), Eg = 1, Eg² = ϑ: the factors g_ig_j have mean 1 but at i = j."""
    covariance = letter(SIGMA)
    return _of_columns(covariance @ inner @ covariance, gaussian_mean(inner, sp.Integer(1)) * theta)


def autocorrelated_mean(inner: Matrix) -> Matrix:
    """E[SMS] for Gaussian columns with E[x_ix_jᵀ] = C_ij Σ.

    x_j = C_ij x_i + (1 − C_ij²)^½ y with y ~ N(0, Σ) independent of x_i: the odd terms in y vanish, so that
    the pair has C_ij² times the mean at i = j and 1 − C_ij² times that at i ≠ j.  ΣC_ij² = ‖C‖².
    """
    covariance = letter(SIGMA)
    alike, apart = gaussian_mean(inner, sp.Integer(1)), covariance @ inner @ covariance
    share = overlap / n**2
    return alike * share + apart * (1 - share)


def entries_moment(size: int, kurtosis: sp.Expr) -> sp.Matrix:
    """E[zzᵀNzzᵀ] for z of ``size`` independent entries with moments 1 and 3 + κ, N a matrix of symbols.

    By enumeration of the indices.  At size 4 every coincidence among four indices occurs, and the mean of a
    product of four entries depends on nothing else.
    """

    def mean(*indices: int) -> sp.Expr:
        counts = sorted(indices.count(i) for i in set(indices))
        return {(4,): 3 + kurtosis, (2, 2): sp.Integer(1)}.get(tuple(counts), sp.Integer(0))

    N = symbols(size)
    spread = range(size)
    return sp.Matrix(size, size, lambda a, b: sum(mean(a, i, j, b) * N[i, j] for i in spread for j in spread))


def symbols(size: int) -> sp.Matrix:
    """A matrix of symbols."""
    return sp.Matrix(size, size, lambda r, s: sp.Symbol(f"N{r}{s}"))


# The model with label noise -------------------------------------------------------------------------


def noisy_step(w_now: Matrix) -> Matrix:
    """The weight rows of f_LSA(Z)[:, −1] by block product, the label row of Z being w*ᵀX + εᵀ."""
    Z = blocks.embedding(letter(blocks.TOKENS), letter(blocks.ONES))
    Z[1][0] = Z[1][0] + letter(NOISE).T
    full_v, full_w = blocks.pattern()
    z = blocks.last_column(w_now)
    update = blocks.product(full_v, blocks.attend(Z, full_w, z))[2][0]
    found = substitute(blocks.with_covariance(w_now + update), {nt.letter_of(nt.W): identity(d)})
    assert isinstance(found, Matrix)
    return found


@cache
def miss_factors(steps: int) -> tuple[Matrix, Matrix]:
    """(K, H) with ŵ_k − w* = K w* + H ε after ``steps`` noisy steps from 0 at W̃ = I."""
    reached = zero(d, 1)
    for _ in range(steps):
        reached = blocks.with_covariance(noisy_step(reached))
    of_task = substitute(reached, {NOISE: zero(n, 1)})
    of_noise = substitute(reached, {W_STAR: zero(d, 1)})
    assert isinstance(of_task, Matrix)
    assert isinstance(of_noise, Matrix)
    return right_quotient(of_task, W_STAR) - identity(d), right_quotient(of_noise, NOISE)


def noisy_risk(steps: int, mean_of_S: bool = True) -> Scalar:
    """E‖ŵ_k − w*‖² for w* = ROOT u, E[uuᵀ] = I, and label noise; over S too, Gaussian, if ``mean_of_S``."""
    of_task, of_noise = miss_factors(steps)
    noise = blocks.with_covariance(of_noise @ of_noise.T).trace() * sigma**2
    total = (of_task @ letter(ROOT)).norm2() + noise
    if not mean_of_S:
        return total
    found = expectation(total, S, SIGMA, n)
    assert isinstance(found, Scalar)
    return found


def with_root(expression: Words) -> Words:
    """``expression`` with Λ = ROOT ROOTᵀ."""
    return substitute(expression, {nt.letter_of(Lambda): letter(ROOT) @ letter(ROOT).T})


@cache
def noisy_isotropic_risk(steps: int) -> sp.Expr:
    """The same at Σ = Λ = I, Ṽ = −cI: a polynomial in c, d, 1/n and σ²."""
    plain = substitute(noisy_risk(steps), {ROOT: identity(d)})
    assert isinstance(plain, Scalar)
    found = collapse(plain, lambda word: d * (-c) ** sum(f.letter == V for f in word))
    return by_power(found, c)


# Fine-tuning ----------------------------------------------------------------------------------------

rate = sp.Symbol("rho_i")  # ρ^i, the share of the path that is left


def supervised_residual() -> Matrix:
    """The model's output from w_i = (1 − ρ^i)w* less w_{i+1} = w_i + ηρ^i w*, at W̃ = I, with label noise."""
    star = letter(W_STAR)
    now = star * (1 - rate)
    return noisy_step(now) - (now + star * (nt.eta * rate))


def level_weights(k: int) -> tuple[sp.Expr, sp.Expr]:
    """c_k and b_k, the sums of ρ^{2i} and of ρ^i over i ≤ k, ρ = 1 − η."""
    rho = 1 - nt.eta
    return sp.Add(*(rho ** (2 * i) for i in range(k + 1))), sp.Add(*(rho**i for i in range(k + 1)))
