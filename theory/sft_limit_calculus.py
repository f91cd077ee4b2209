"""The limit of Err(Ṽ_*) as formulas in block sums, and the derivations behind them.

Notes: ``notes/proportional.md``.  Numbers: :mod:`theory.proportional`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise

import sympy as sp

from theory import equivalents_calculus as calculus
from theory import notation as nt
from theory.block_symbols import (
    Sigma,
    Sigma_bar,
    a,
    aspect,
    aspect_pre,
    aspect_test,
    average,
    beta,
    c,
    explicit,
    family,
    g,
    k,
    mu,
    pre,
    q,
    r,
    rho_pre,
    v,
    w,
)
from theory.blocks import gaussian_task
from theory.finetuning import eye_minus_projection, init, omega, phi, projection
from theory.notation import A, Phi, S, d, eta, n
from theory.wishart import expectation
from theory.words.letters import Factor, Letter, pinv_letter
from theory.words.poly import Matrix, Scalar, identity, letter

L = family("L_block", "L")  # the regression of w* on Sw*
psi = family("psi_block", r"\psi")  # V_S = −Γ₀⁻¹ + ΨΠ
chi = family("chi_block", r"\chi")  # the error is 1 + 2(1/d) tr(ṼΣ) + (1/d) tr(ṼXṼᵀ) with these levels of X
c_dagger = family("c_dagger", r"c^{\dagger}")
risk_before = family("risk_before", "R^{0}")
risk_after = family("risk_after", r"R^{\infty}")
a_bar = nt.scalar_symbol("a_bar", r"\bar{a}", positive=True)
p_bar = nt.scalar_symbol("p_bar", r"\bar{p}", positive=True)
r_bar = nt.scalar_symbol("r_bar", r"\bar{r}", positive=True)
rank = nt.scalar_symbol("rank_A", r"\beta_{A}", positive=True)
signal = aspect_test * Sigma_bar


def block_risk(level: sp.Expr) -> sp.Expr:
    """The error of a block on which Ṽ has that level."""
    return (1 + level * Sigma[k]) ** 2 + signal * Sigma[k] * level**2


SCALARS = {
    a_bar: average(mu[k] * a[k]),
    p_bar: average(mu[k] * pre[k]),
    Sigma_bar: average(mu[k] * Sigma[k]),
    r_bar: average(mu[k] * aspect * a_bar / (a[k] + aspect * a_bar)),
}
LEVELS = {
    g[k]: -1 / (pre[k] + aspect_pre * p_bar),
    L[k]: 1 / (a[k] + aspect * a_bar),
    c[k]: a[k] * (a[k] + aspect * a_bar),
    psi[k]: -eta * L[k] - g[k],
    chi[k]: Sigma[k] * (Sigma[k] + signal),
    risk_before[k]: block_risk(g[k]),
    risk_after[k]: block_risk(-eta * L[k]),
}
_RISKS = {one: LEVELS[one] for one in (risk_before[k], risk_after[k])}
_LATER = {one: LEVELS[one] for one in (psi[k], chi[k])}
ROOT = sp.Eq(average(mu[k] * c[k] * q / (1 + c[k] * q)), beta, evaluate=False)
SHARES = {w[k]: c[k] * q / (1 + c[k] * q), v[k]: w[k] * (1 - w[k])}

_SPREAD = average(mu[k] * v[k])


def _pair(f: sp.Expr, x: sp.Expr) -> sp.Expr:
    """What tr(FΠXΠ)/d has beyond Σ μ f x w: it is zero where F or X is a multiple of the identity."""
    crossed = average(mu[k] * v[k] * f) * average(mu[k] * v[k] * x) / _SPREAD
    return crossed - average(mu[k] * v[k] * f * x)


def _mixed(before: sp.Expr, after: sp.Expr) -> sp.Expr:
    return average(mu[k] * ((1 - w[k]) * before + w[k] * after))


BIAS = _mixed((1 + g[k] * Sigma[k]) ** 2, (1 - eta * L[k] * Sigma[k]) ** 2) + _pair(
    psi[k] ** 2, Sigma[k] ** 2
)
SIGNAL = _mixed(Sigma[k] * g[k] ** 2, Sigma[k] * eta**2 * L[k] ** 2) + _pair(psi[k] ** 2, Sigma[k])


def inverse(x: sp.Expr) -> sp.Expr:
    """lim (1/d) tr(X (ΦΦᵀ/d)†) below the rank."""
    return q * average(mu[k] * v[k] * x) / _SPREAD


def inverse_past(x: sp.Expr) -> sp.Expr:
    """lim (1/d) tr(X (ΦΦᵀ/d)†) above the rank."""
    return average(mu[k] * c_dagger[k] * x) / (beta - rank)


LEAST = _mixed(risk_before[k], risk_after[k])  # where w_k is 1 on the range of A and 0 off it
EXCESS = eta**2 * r_bar * average(mu[k] * c_dagger[k] * chi[k])


def sft_risk_limit_expr(past_rank: bool = False) -> sp.Expr:
    """lim Err(Ṽ_*) for K blocks in general, β below rank(A)/d, or above it.

    In the families of :data:`LEVELS` and :data:`SHARES` and the scalars of :data:`SCALARS`; above the rank
    w_k is 1 where a_k > 0 and 0 elsewhere, as is c_k c†_k.  :func:`theory.proportional.sft_risk_limit` has
    the numbers.
    """
    if past_rank:
        return LEAST + EXCESS / (beta - rank)
    crossed = average(mu[k] * v[k] * psi[k] ** 2) + eta**2 * r_bar * q
    return (
        LEAST
        + crossed * average(mu[k] * v[k] * chi[k]) / _SPREAD
        - average(mu[k] * v[k] * psi[k] ** 2 * chi[k])
    )


# One column ---------------------------------------------------------------------------------------


def laplace_bases(mean: sp.Expr, by_v: sp.Expr, by_w: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """E[exp(vᵀSw) | w] is the power −n/2 of these: from the definition of S, and from c and h.

    ``mean`` = vᵀAw, ``by_v`` = vᵀAv, ``by_w`` = wᵀAw.  The definition: vᵀSw is the mean of n products of two
    normals, and E exp(½zᵀNz) = det(I − N Cov z)^{−1/2}.  The other: over h, then over c ~ χ²_n, whose
    E exp(tc) is (1 − 2t)^{−n/2}.
    """
    half = sp.Matrix([[0, 1], [1, 0]]) / n
    covariance = sp.Matrix([[by_v, mean], [mean, by_w]])
    definition = (sp.eye(2) - half * covariance).det()
    norm = sp.sqrt(by_w)
    along, across = mean / norm, by_v - mean**2 / by_w  # vᵀA^{1/2}û and ‖(I − ûûᵀ)A^{1/2}v‖²
    chi_square = sp.Symbol("c", positive=True)
    exponent = norm / n * chi_square * along + (norm / n) ** 2 * chi_square * across / 2
    return definition, 1 - 2 * sp.diff(exponent, chi_square)


def factor_moments() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """E(s − 1)², E t² and Var t² of the factors of Sw = s Aw + t A^{1/2}h, in tr A and tr A².

    s = c/n − √c ξ/n and t² = ‖u‖²c/n² with c ~ χ²_n, ξ ~ N(0, 1), ‖u‖² = wᵀAw, all independent.
    """
    first, second = sp.symbols("tr_A tr_A2", positive=True)
    c_mean, c_square = n, n**2 + 2 * n
    shift = c_square / n**2 - 2 * c_mean / n + 1 + c_mean / n**2
    square = c_mean * first / n**2
    spread = c_square * (first**2 + 2 * second) / n**4 - square**2
    return sp.expand(shift), square, sp.expand(spread)


# The decomposition --------------------------------------------------------------------------------

REGRESSION = Letter("L", d, d)
_phi_pinv = letter(pinv_letter(nt.letter_of(Phi)))
PSI = Letter("Psi", d, d, symmetric=True)  # Ψ, so that V_S = −Γ₀⁻¹ + ΨΠ
INITIAL = Letter("-Gamma0^-1", d, d, symmetric=True)
PROJECTION = Letter("Pi", d, d, symmetric=True, idempotent=True)


def residual_moments() -> tuple[Matrix, Matrix]:
    """E[(w − LSw)(Sw)ᵀ] and E[(w − LSw)(w − LSw)ᵀ] for any fixed L."""
    star, s = letter(nt.letter_of(nt.w_star)), letter(nt.letter_of(S))
    open_ = star - letter(REGRESSION) @ s @ star
    moments = (
        expectation(gaussian_task(open_ @ other.T), nt.letter_of(S), nt.letter_of(A), n)
        for other in (s @ star, open_)
    )
    return next(moments), next(moments)


def on_eigenspace(of: Matrix, level: sp.Expr, trace: sp.Expr, regression: sp.Expr) -> sp.Expr:
    """A word polynomial in A and L on an eigenspace of A where A is ``level`` and L is ``regression``."""
    values = {nt.letter_of(A): level, REGRESSION: regression}
    total = sp.Integer(0)
    for (traces, word), coefficient in of.terms.items():
        assert all(one == (Factor(nt.letter_of(A)),) for one in traces)
        total += coefficient * trace ** len(traces) * sp.prod([values[f.letter] for f in word])
    return total


def decomposition() -> Matrix:
    """−ηLΠ − Γ₀⁻¹(I − Π) − ηRΦ† with R = Ω − LΦ, for any L."""
    left = letter(REGRESSION)
    return left @ projection * -eta + init @ eye_minus_projection() - (omega - left @ phi) @ _phi_pinv * eta


def split_norms(test: Letter) -> tuple[Scalar, Scalar]:
    """‖I + V_SΣ‖_F² and tr(V_SΣV_Sᵀ) for V_S = G + ΨΠ, in words."""
    operator = letter(INITIAL) + letter(PSI) @ letter(PROJECTION)
    sigma = letter(test)
    return (identity(d) + operator @ sigma).norm2(), (operator @ sigma @ operator.T).trace()


# Limits of traces ---------------------------------------------------------------------------------


def trace_limit(of: Scalar, levels: Mapping[Letter, sp.Expr]) -> sp.Expr:
    """lim of (1/d) ``of``: its letters have block ``levels``, but for Π, at most twice in a trace."""
    total = sp.Integer(0)
    for traces, coefficient in of.terms.items():
        if not traces:
            total += sp.cancel(coefficient / d)
            continue
        (word,) = traces
        cuts = [i for i, f in enumerate(word) if f.letter == PROJECTION]
        parts = [word] if not cuts else [word[i + 1 : j] for i, j in pairwise([*cuts, len(word)])]
        if cuts:
            parts[-1] += word[: cuts[0]]
        values = [sp.prod([levels[f.letter] for f in part]) for part in parts]
        total += coefficient * _of_projections(values, len(cuts))
    return total


def _of_projections(values: list[sp.Expr], count: int) -> sp.Expr:
    if count == 0:
        return average(mu[k] * values[0])
    first, second = values[0], values[-1]
    return projected(count).xreplace({calculus.f[k]: first, calculus.g[k]: second})


@cache
def projected(count: int) -> sp.Expr:
    """lim (1/d) tr(FΠ) or, at ``count`` 2, (1/d) tr(FΠGΠ), below the rank."""
    return calculus.fraction() if count == 1 else calculus.projection_pair()


def normal(expression: sp.Expr) -> sp.Expr:
    """The normal form in μ, w, q and the levels that are free: equal expressions become equal."""
    found = expression.xreplace(_RISKS).xreplace(_LATER).xreplace({v[k]: w[k] * (1 - w[k])})
    return calculus.normal(found, lambda index: w[index] / (q * (1 - w[index])))


# The curve ----------------------------------------------------------------------------------------


Exact = Mapping[sp.IndexedBase, Sequence[sp.Expr]]


def at_levels(expression: sp.Expr, values: Exact, scalars: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """``expression`` at exact values of μ, Σ, g, L, c and of the scalars, among them q."""
    count = len(values[mu])
    found = explicit(expression, count)
    for table in (_RISKS, _LATER, SHARES, SHARES):  # v first, then the w in it
        for i in range(1, count + 1):
            found = found.xreplace({key.subs(k, i): value.subs(k, i) for key, value in table.items()})
    given = {base[i]: value for base, each in values.items() for i, value in enumerate(each, 1)}
    return found.xreplace(given).xreplace(dict(scalars))


def from_below(values: Exact, scalars: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """lim (β_A − β) Err as β ↑ β_A, which is q → ∞, at exact levels and scalars."""
    x = sp.Symbol("x", positive=True)
    held = sum((m for m, level in zip(values[mu], values[c], strict=True) if level > 0), start=sp.Integer(0))
    left = held - average(mu[k] * w[k])
    found = at_levels(left * sft_risk_limit_expr(), values, {**scalars, q: 1 / x})
    ring = sp.QQ.frac_field(*sorted(found.free_symbols, key=str))
    return ring.to_sympy(ring.from_sympy(found)).subs(x, 0)


def at_start(values: Exact, scalars: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """lim Err as β → 0, which is q → 0, at exact levels and scalars."""
    return sp.cancel(at_levels(sft_risk_limit_expr(), values, {**scalars, q: q})).subs(q, 0)


def population_risk() -> sp.Expr:
    """The limit d → ∞ of the error (5.1)/d of Ṽ_∞ of (4.2) in a block, n = d/γ and tr A = dā."""
    level = -eta / ((n + 1) / n * a[k] + d * a_bar / n)
    sampling = level**2 * Sigma[k] * (Sigma[k] + d * Sigma_bar) * aspect_test / d
    risk = (1 + level * Sigma[k]) ** 2 + sampling
    return sp.limit(risk.subs(n, d / aspect), d, sp.oo)


def small_r() -> sp.Expr:
    """lim of Σ μ_k R^∞_k as r → 0 at a = (η(ρ+1), r), Σ = (ρ+1, 1), γ_test = γ."""
    levels = {a[1]: eta * (rho_pre + 1), a[2]: r, Sigma[1]: rho_pre + 1, Sigma[2]: sp.Integer(1)}
    of_block = LEVELS[risk_after[k]].xreplace({L[k]: LEVELS[L[k]], aspect_test: aspect})
    found = explicit(average(mu[k] * of_block), 2).xreplace(levels)
    return sp.cancel(found.subs(a_bar, explicit(SCALARS[a_bar], 2).xreplace(levels))).subs(r, 0)


def rescaled() -> sp.Expr:
    """The limit at sη, sA minus that at η, A, in μ, Σ, g and in L, c, q at η, A.

    Where A enters it is a power: L_k of degree −1, c_k of degree 2, so that q is of degree −2, and r̄ of 0.
    """
    s = sp.Symbol("s", positive=True)
    moved = {a[k]: s * a[k], a_bar: s * a_bar}
    powers = {L[k]: -1, c[k]: 2}
    share = SCALARS[r_bar].function
    for form, power in [(LEVELS[one], power) for one, power in powers.items()] + [(share, 0)]:
        assert sp.simplify(form.xreplace(moved) - s**power * form) == 0, "a power of A"
    whole = sft_risk_limit_expr().xreplace(_RISKS).xreplace(_LATER).xreplace(SHARES).xreplace(SHARES)
    scaled = {one: s**power * one for one, power in powers.items()}
    return whole.xreplace({**scaled, eta: s * eta, q: q / s**2}) - whole
