"""The noise term of the linearised risk: evidence for ``theory/linearised_noise.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

from theory import error_term_words as ew
from theory import exact
from theory import linearised_moments as moments
from theory import linearised_noise as noise
from theory import linearised_points as points
from theory import linearised_words as lw
from theory import notation as nt
from theory.block_symbols import Sigma_bar, aspect
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.evaluate import evaluate
from theory.words.poly import identity, letter, substitute
from verify.checks import linearised as check
from verify.checks import linearised_limits as limits
from verify.checks import precision_fits as fits
from verify.checks.linearised import training
from verify.checks.points import covariance, exact_array
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.linearised_settings import (
    LETTERS,
    TWO,
    of_means,
    of_sets,
    of_training,
    plain,
    printed_scalar,
    ratio_bounded,
    regime,
)
from verify.surface import value
from verify.test_linearised import above, below, form, parts_in_words
from verify.test_linearised_bias import combination, parts_of_mean

HALF, WIDE = (0.5, 0.8), (1.7, 0.8)  # β, γ


def record_limits(ledger, id, which, printed):
    """The exact mean at finite d over what is printed for it, and the limit of that."""
    try:
        found = moments.limits(id, printed_scalar(printed))
    except KeyError:  # a trace that is in none of the exact means
        found = dict.fromkeys(moments.CASES, sp.nan)
    for text, limit in found.items():
        what = f"exact mean over the print, d → ∞: {text}"
        ledger.record(id, symbolic(limit == 1, what, which, "derivation", f"limit {limit}"))


def record_ratios(ledger, id, left, right, seed, profile, which="printed", places=(HALF, WIDE), **more):
    for beta, gamma in places:
        at, stream = regime(TWO, gamma, beta), seed(f"{id} {beta}")
        ledger.record(id, limits.ratio(right, left, at, "ratio", stream, profile, which, **more))


# Given Ω ------------------------------------------------------------------------------------------------


@pytest.mark.statements("eq-C.16.a", "eq-C.16.b", "eq-C.16.c")
def test_given_tasks(ledger, profile, seed):
    first, second = lw.columns()
    u = {nt.letter_of(noise.u): letter(lw.TASKS[0])}
    printed = substitute(lower_matrix(form("eq-C.16.a").rhs), u)
    same = lw.mean(first @ first.T).equals(printed)
    ledger.record("eq-C.16.a", symbolic(same, "general d, n, A, u", kind="derivation"))
    same = lw.mean(first @ second.T).is_zero()
    ledger.record("eq-C.16.b", symbolic(same, "two independent prompts, general d, n", kind="derivation"))
    stated = form("eq-C.16.c").rhs
    factor, total = stated.args if isinstance(stated, sp.MatMul) else (1, stated)
    over_all = total.args[2:] == (1, nt.B)  # prompts
    same = over_all and lw.quadratic().equals(sum_over_two(total.args[0]) * factor)
    ledger.record("eq-C.16.c", symbolic(same, "a sum over pairs of prompts, any Q", kind="derivation"))
    A, tasks = sp.Matrix([[2, 1], [1, 3]]), (sp.Matrix([1, -2]), sp.Matrix([3, 1]))
    values = {nt.letter_of(nt.A): exact_array(A), nt.letter_of(noise.u): exact_array(tasks[0])}
    direct = exact.mean_over_prompts(lambda S: (S - A) * tasks[0] * tasks[0].T * (S - A), A.cholesky(), 2)
    stated = sp.Matrix(evaluate(lower_matrix(form("eq-C.16.a").rhs), values, {nt.n: 2}))
    ledger.record(
        "eq-C.16.a", symbolic(sp.simplify(direct - stated).is_zero_matrix, "Gaussian moments, d=2, n=2")
    )

    of = training(3, 3, 2, seed("given"))
    outer = lambda i, j: lambda E, _: E[:, :, i : i + 1] @ E[:, :, j : j + 1].mT  # noqa: E731

    def square(of):
        known = {nt.letter_of(nt.A): of.A, nt.letter_of(noise.u): of.Omega[:, :1]}
        return evaluate(lower_matrix(form("eq-C.16.a").rhs), known, {nt.n: of.n})

    measured = (
        ("eq-C.16.a", square, outer(0, 0), "E[(S−A)wwᵀ(S−A)]"),
        ("eq-C.16.b", zero, outer(0, 1), "E[ε₁ε₂ᵀ]"),
    )
    for id, prediction, measure, what in measured:
        ledger.record(id, check.given_tasks(prediction, measure, of, what, seed(id), profile))
    of = training(3, 4, 5, seed("weighted"))

    def whole(E, of):
        return E @ torch.from_numpy(weights(of)) @ E.mT

    ledger.record(
        "eq-C.16.c", check.given_tasks(weighted_sum, whole, of, "E[EQEᵀ]", seed("eq-C.16.c"), profile)
    )


def sum_over_two(summand):
    """A printed summand, summed over two prompts."""
    each, task = lower_matrix(summand), nt.letter_of(nt.w_star_tau)
    found = []
    for t in (0, 1):
        weight = {noise.Q_tau: lw.Q_ENTRIES[t, t]}
        found.append(substitute(each, {task: letter(lw.TASKS[t])}).subs(weight))
    return found[0] + found[1]


def zero(of):
    return np.zeros((of.d, of.d))


def weights(of):
    """Q = M†Σ²M†ᵀ."""
    plus = np.linalg.pinv(of.M)
    return plus @ of.Sigma @ of.Sigma @ plus.T


def weighted_sum(of):
    """The right side of (C.16.c) as printed."""
    Q = np.diag(weights(of))

    def given(tau, values):
        """What belongs to prompt τ; nan for one that there is not."""
        return values[tau - 1] if 0 < tau <= len(Q) else np.nan * values[0]

    known = {nt.A: of.A, nt.w_star_tau: lambda tau: given(tau, of.Omega.T[:, :, None])}
    known |= {nt.n: of.n, nt.B: len(Q), noise.Q_tau: lambda tau: given(tau, Q)}
    return value(form("eq-C.16.c").rhs, known)


@pytest.mark.statements("eq-C.16.d", "eq-C.19.a")
def test_traces(ledger, seed):
    printed = form("eq-C.16.d")
    left, right = (substitute(printed_scalar(x), parts_in_words()) for x in (printed.lhs, printed.rhs))
    ledger.record(
        "eq-C.16.d", symbolic(left.equals(right), "general d, B, A singular or not", kind="derivation")
    )
    sets = [*below(seed), *above(seed)]

    def size(of):
        return ((of.parts()[1] @ of.Sigma) ** 2).sum() / of.d

    for equality in (check.equality, fits.equality):
        ledger.record("eq-C.16.d", equality(of_training(printed.rhs), size, sets, "‖V_NΣ‖²/d"))
    left, right = form("eq-C.19.a").args
    solves = all(gap.is_zero() for gap in lw.pinv_of_square(lower_matrix(left)))
    (features,) = left.atoms(sp.MatrixSymbol)
    solves = solves and right == nt.Pinv(features * features.T)
    ledger.record(
        "eq-C.19.a", symbolic(solves, "M†ᵀM† solves Penrose's equations for MMᵀ", kind="derivation")
    )

    square = nt.Pinv(lw.M * lw.M.T)

    def prediction(of):
        known = {square: of.gram_plus} if isinstance(of, fits.Lifted) else {}  # the print's inner part
        return value(right, {lw.M: of.M, **known})

    def product(of):
        plus = of.plus if isinstance(of, fits.Lifted) else np.linalg.pinv(of.M, rcond=1e-10)
        return plus.T @ plus

    for equality in (check.equality, fits.equality):
        ledger.record("eq-C.19.a", equality(prediction, product, sets, "M†ᵀM†"))


# The mean over Ω ----------------------------------------------------------------------------------------


def norms(of):
    """Q_ττ of each prompt, (size, B)."""
    return check.at_right(check.pinv(of.M), of.Sigma).square().sum(-1)


def squared_lengths(of):
    """Σ_τ Q_ττ w*_τᵀAw*_τ."""
    return (norms(of) * (of.Omega * of.M).sum(-2)).sum(-1)


def tasks_by_halves(of):
    """tr(HZ) of one training set for H = the first and the second half of the coordinates."""
    weighted = (norms(of)[:, None, :] * of.Omega.square()).sum(-1)
    return weighted.reshape(len(weighted), 2, -1).sum(-1)


def by_halves(expression):
    predictions = [of_sets(printed_scalar(expression), block) for block in (0, 1)]
    return lambda of: torch.stack([p(of) for p in predictions], dim=-1)


@pytest.mark.statements("eq-C.17.a")
def test_isotropy(ledger, profile, seed):
    id = "eq-C.17.a"
    ledger.record(id, counterexample(registry()[id]))
    formula, of_F, bound, approximate = form(id, "corrected").args
    x, y = moments.weighted_square()
    right = lower_matrix(formula.args[1])
    F = letter(nt.letter_of(noise.F))
    same = right.equals(F * x + identity(nt.d) * (F.trace() * y))
    spare = sp.denom(moments.trace_of_Q())  # > 0 where E(ΩΩᵀ)⁻¹ is finite
    sizes = [{nt.d: d, nt.B: B} for d in range(1, 5) for B in range(1, 9)]
    same = same and all(bool(value(bound, at)) == bool(spare.subs(at) > 0) for at in sizes)
    ledger.record(
        id, symbolic(same, "Wishart and Haar moments, B ≥ d + 2, any A, Σ", "corrected", "derivation")
    )
    F_there = value(of_F.rhs, {nt.A: sp.eye(2), nt.Sigma: sp.diag(2, 1)})
    at_point = evaluate(right, {nt.letter_of(noise.F): exact_array(F_there)}, {nt.B: 5})
    same = sp.Matrix(at_point) == points.weighted_square()
    ledger.record(id, symbolic(same, "d=2, B=5, A=I, Σ=diag(2,1), by Bartlett's decomposition", "corrected"))
    record_limits(ledger, id, "corrected", approximate.args[1])
    A, Sigma, B = covariance(3, 5), covariance(3, 6), 11
    F_at = value(of_F.rhs, {nt.A: A, nt.Sigma: Sigma})
    exactly = evaluate(right, {nt.letter_of(noise.F): F_at}, {nt.B: B})
    some_Q = np.zeros(
        (B, B)
    )  # of the trace E tr Q = tr(F)/(B − d − 1), which is all that the print has of it
    some_Q[0, 0] = np.trace(F_at) / (B - 4)
    isotropic = evaluate(lower_matrix(plain(form(id).args[1])), {LETTERS["Q"]: some_Q}, {nt.d: 3})
    for prediction, which in ((exactly, "corrected"), (isotropic, "printed")):
        found = limits.weighted_square(prediction, A, Sigma, B, seed("isotropy"), profile, which)
        ledger.record(id, found)
    record_ratios(
        ledger, id, tasks_by_halves, by_halves(approximate.args[1]), seed, profile, "corrected", (HALF,)
    )


def given_by_halves(of):
    """The mean of tr(HEQEᵀ) given Ω, by (C.16)."""
    each = (of.Omega * of.M).sum(-2, keepdim=True) * of.A[:, None] + of.M.square()
    weighted = (norms(of)[:, None, :] * each).sum(-1) / of.n
    return weighted.reshape(len(weighted), 2, -1).sum(-1)


def given_noise(of):
    """The mean of ‖V_NΣ‖_F²/d given Ω, by (C.16)."""
    V_S = of.parts()[0]
    each = (of.Omega * of.M).sum(-2) * (V_S.square() * of.A).sum((-1, -2))[:, None] + (
        V_S @ of.M
    ).square().sum(-2)
    return (norms(of) * each).sum(-1) / (of.n * of.d)


@pytest.mark.statements("eq-C.17.b", "eq-C.17.c", "eq-C.18")
def test_mean_over_tasks(ledger, profile, seed):
    for id, measure in (
        ("eq-C.17.b", squared_lengths),
        ("eq-C.17.c", given_by_halves),
        ("eq-C.18", given_noise),
    ):
        right = form(id).args[1]
        prediction = by_halves(right) if id == "eq-C.17.c" else of_sets(printed_scalar(right))
        record_limits(ledger, id, "printed", right)
        record_ratios(ledger, id, measure, prediction, seed, profile)


def noise_size(of):
    """‖V_NΣ‖_F²/d."""
    return check.at_right(of.parts()[1], of.Sigma).square().sum((-1, -2)) / of.d


def noise_of_term_two(of):
    """tr(V_NΣV_Nᵀ)/d."""
    V_N = of.parts()[1]
    return (check.at_right(V_N, of.Sigma) * V_N).sum((-1, -2)) / of.d


def inverse_trace(of):
    """tr(Σ²(MMᵀ)†)."""
    return norms(of).sum(-1)


def operator_trace(of):
    """tr(V_SΣ_AV_Sᵀ)."""
    weight = (of.A.sum() * of.A + of.A**2) / of.d
    return (of.parts()[0].square() * weight).sum((-1, -2))


FACTORS = (inverse_trace, operator_trace)


@pytest.mark.statements("eq-C.19.b", "eq-C.19.c", "eq-C.40")
def test_split(ledger, profile, seed):
    for id, measure in (("eq-C.19.b", noise_size), ("eq-C.40", noise_of_term_two)):
        record_limits(ledger, id, "printed", form(id).args[1])
        prediction = of_sets(printed_scalar(form(id).args[1]))
        record_ratios(ledger, id, measure, prediction, seed, profile, places=(HALF,), delta=4e-2)
    id = "eq-C.19.c"
    ledger.record(id, counterexample(registry()[id]))
    # V_S without Ω: what is random in the second factor drops out.
    fixed, _ = lw.signal_and_noise()
    free = lw.full_rows(lw.invertible(fixed)).equals(-lower_matrix(nt.A.I) * nt.eta)
    constant = {LETTERS["V_S"]: -lower_matrix(nt.A.I) * nt.eta}
    sides = [substitute(printed_scalar(side), constant) for side in form(id, "corrected").args]
    holds = free and one_block_square() and sides[0].equals(sides[1])
    text = "tr(V_SΣ_AV_Sᵀ) is not random: V_S = −ηA⁻¹ for B ≥ d, and for one block, by tr Π = B"
    ledger.record(id, symbolic(holds, text, "corrected", "derivation"))
    at = regime(TWO, 0.8, 0.5)
    ledger.record(id, limits.dependence(float(form(id).rhs), FACTORS, at, 6, seed("dependence"), profile))
    both, apart = form(id, "corrected").args
    product = of_means(apart, both.args[0], at, seed("means"))
    ledger.record(id, limits.together(product, FACTORS, at, seed("together"), profile, "corrected"))


def one_block_square():
    """Whether no word but tr Π is in tr(V_SV_Sᵀ) for A = aI and Γ₀ = gI."""
    a, g = sp.symbols("a g", positive=True)
    V_S = ew.PI * (-nt.eta / a) - (identity(nt.d) - ew.PI) * (1 / g)
    return set((V_S @ V_S.T).trace().terms) <= {(), *ew.PI.trace().terms}


# Term II ------------------------------------------------------------------------------------------------


def both_traces(of):
    """tr(ṼΣ²Ṽᵀ) + tr(ṼΣṼᵀ)tr(Σ)."""
    V = sum(of.parts())
    weighted = check.at_right(V, of.Sigma)
    return weighted.square().sum((-1, -2)) + (weighted * V).sum((-1, -2)) * of.Sigma.sum()


def term_two(of):
    """Their sum over nd."""
    return both_traces(of) / (of.n * of.d)


@pytest.mark.statements("eq-C.36.a", "eq-C.36.b", "eq-C.37")
def test_term_two(ledger, profile, seed):
    small, large = map(printed_scalar, sp.fraction(form("eq-C.36.a").args[0]))
    bounded = ratio_bounded(small, large) and form("eq-C.36.a").args[-1] == 0
    ledger.record("eq-C.36.a", symbolic(bounded, "at most (σ₁+σ₂)/tr Σ, two blocks", kind="derivation"))
    left, right = map(printed_scalar, form("eq-C.36.b").args)
    # γΣ̄ is tr(Σ)/n, at every d.
    leading = large * (1 / (nt.n * nt.d))
    trace = letter(LETTERS["Sigma"]).trace() * (1 / nt.n)
    named = right.map_coefficients(lambda c: c / (aspect * Sigma_bar)) * trace
    same = left.equals(leading + small * (1 / (nt.n * nt.d))) and leading.equals(named)
    ledger.record(
        "eq-C.36.b", symbolic(bounded and same, "what is left out is the ratio of C.36.a", kind="derivation")
    )
    beta, gamma = HALF
    at = regime(TWO, gamma, beta)
    kept, text = form("eq-C.36.a").args[-1], "whole over the part kept"
    for id, measure, prediction, target in (
        ("eq-C.36.a", both_traces, of_sets(large), 1 + float(kept)),
        ("eq-C.36.b", term_two, of_sets(right), 1.0),
    ):
        found = limits.ratio(prediction, measure, at, text, seed(id), profile, expected=target)
        ledger.record(id, found)
    left, right = parts_of_mean(form("eq-C.37"))
    ledger.record(
        "eq-C.37",
        symbolic(
            lw.vanishes_given_tasks(left - right),
            "left − right is linear in E, E[E | Ω] = 0; general d, n, B",
            kind="derivation",
        ),
    )
    for d, n, B in ((3, 4, 10), (7, 4, 2)):
        of = training(d, n, B, seed(f"term {d}"))
        anywhere = {
            aspect: sp.Rational(2, 3),
            Sigma_bar: sp.Rational(5, 7),
            nt.d: 3,
        }  # a common factor of both means
        combined = combination(form("eq-C.37").rhs, anywhere)
        found = check.split_mean(combined, of, False, seed(f"mean II {d}"), profile)
        ledger.record("eq-C.37", found)
    sets = [*below(seed), *above(seed)]
    stated = of_training(form("eq-C.37").rhs)

    def signal_and_noise(of):
        found = sum(np.trace(V @ of.Sigma @ V.T) for V in of.parts())
        return np.trace(of.Sigma) / of.n * found / of.d

    ledger.record("eq-C.37", check.equality(stated, signal_and_noise, sets, "γΣ̄ times two traces over d"))
