"""Appendix B to first order and (C.1)–(C.8): evidence for ``theory/linearised.py``."""

from __future__ import annotations

from functools import cache

import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import error_term_words as ew
from theory import exact, linearised, risk
from theory import linearised_moments as moments
from theory import linearised_words as lw
from theory import notation as nt
from theory.lower import lower_matrix, lower_scalar
from theory.proportional import sft_risk_limit
from theory.statement import registry
from theory.words.evaluate import evaluate
from theory.words.poly import identity, substitute
from verify.checks import linearised as check
from verify.checks import linearised_limits as limits
from verify.checks import linearised_model as full
from verify.checks import precision_fits as fits
from verify.checks.linearised import training
from verify.checks.points import exact_array, rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.linearised_settings import (
    LETTERS,
    ONE,
    THREE,
    of_training,
    plain,
    regime,
    stacked,
)
from verify.surface import value

R = sp.Rational
ETA = R(2, 5)
COLUMNS, SINGULAR, ROWS = "B=2 < d=3", "B=2 < rank A=3 < d=4", "B=4 > rank A=2 < d=3"


def form(id, which="printed"):
    return getattr(registry()[id], which)


def below(seed):
    """B below the rank of A, which is d, two blocks of it, or less."""
    return [
        training(5, 8, 3, seed("narrow")),
        training(6, 5, 4, seed("blocks"), split=2),
        training(6, 6, 2, seed("singular"), rank=4),
    ]


def above(seed):
    """B from the rank of A on: at it and above, A invertible."""
    return [training(3, 6, 3, seed("square")), training(4, 9, 9, seed("wide"))]


# Order of error ---------------------------------------------------------------------------------------


def _pinv(M, rank):
    """M† of a matrix whose first ``rank`` rows are independent or that has independent columns."""
    if M.cols <= rank:
        return (M.T * M).inv() * M.T
    top = M[:rank, :]
    return (top.T * (top * top.T).inv()).row_join(sp.zeros(M.cols, M.rows - rank))


@cache
def exact_slopes():
    """(text, values of the letters, dΦ†/dt, d(ΦΦ†)/dt) at t = 0, Φ = M + tE, all in rationals: the slopes
    by SymPy's derivative of rational functions of t."""
    t, found = sp.Symbol("t"), []
    for text, d, B, rank in ((COLUMNS, 3, 2, 3), (SINGULAR, 4, 2, 3), (ROWS, 3, 4, 2)):
        A, Omega, E = (
            sp.diag(*[2, 1, 3][:rank], *[0] * (d - rank)),
            rational(d, B, f"lO{d}{B}"),
            rational(d, B, "lE"),
        )
        E[rank:, :] = sp.zeros(d - rank, B)
        M = A * Omega
        plus = _pinv(M + t * E, rank)
        slopes = [x.applyfunc(lambda e: sp.diff(e, t).subs(t, 0)) for x in (plus, (M + t * E) * plus)]
        gamma0 = sp.diag(*range(3, 3 + d))
        named = {"M": M, "E": E, "Omega": Omega, "Gamma0": gamma0}
        found.append((text, {LETTERS[k]: exact_array(v) for k, v in named.items()}, *slopes))
    return found


def _equal(words, values, goal):
    return sp.simplify(sp.Matrix(evaluate(words, values, {nt.eta: ETA})) - goal).is_zero_matrix


@pytest.mark.statements("eq-B.3.a")
def test_projection(ledger, seed):
    id = "eq-B.3.a"
    printed, corrected = (lw.linear_part(linearised.expansion(form(id, f))) for f in ("printed", "corrected"))
    first, *others = lw.penrose_gaps(lw.change())
    rank_kept = first.equals(-((identity(nt.d) - lw.pi) @ lw.e @ (identity(nt.B) - lw.rows)))
    moved = lw.projection_change(lw.change())
    solves = rank_kept and all(gap.is_zero() for gap in others) and moved.equals(corrected)
    text = "d(MM†) = EM† + M dM†, dM† by Penrose's equations where (I−MM†)E(I−M†M) = 0, general d, B"
    ledger.record(id, symbolic(solves, text, "corrected", "derivation"))
    ledger.record(
        id, symbolic(printed.equals(printed.T), "d(MM†) is symmetric, general d, B", kind="derivation")
    )
    ledger.record(id, counterexample(registry()[id]))
    for text, values, _, slope in exact_slopes():
        ledger.record(id, symbolic(_equal(corrected, values, slope), f"rationals, {text}", "corrected"))
        # From rank A on the range stays, and the print holds.
        assert _equal(printed, values, slope) == (text == ROWS)
    wrong, right = (of_training(linearised.expansion(form(id, f))) for f in ("printed", "corrected"))
    ledger.record(id, check.expansion(wrong, check.projection, below(seed), "printed"))
    every = [*below(seed), *above(seed), training(5, 6, 6, seed("singular wide"), rank=3)]
    ledger.record(id, check.expansion(right, check.projection, every, "corrected"))
    assert check.expansion(wrong, check.projection, every[3:]).outcome == "agrees"


@pytest.mark.statements("eq-B.3.b", "eq-B.4.b")
def test_operator(ledger, profile, seed):
    printed, corrected = (linearised.expansion(form("eq-B.3.b", f)) for f in ("printed", "corrected"))
    moved = lw.operator_change(lw.change())
    ledger.record(
        "eq-B.3.b",
        symbolic(moved.equals(lw.linear_part(corrected)), "−ηΩ dM† + Γ₀⁻¹ d(MM†)", "corrected", "derivation"),
    )
    differ = moved.equals(lw.linear_part(printed))
    ledger.record("eq-B.3.b", symbolic(differ, "−ηΩ dM† + Γ₀⁻¹ d(MM†)", kind="derivation"))
    fixed, noise = lw.signal_and_noise()
    for which in ("printed", "corrected"):
        words = substitute(lower_matrix(linearised.expansion(form("eq-B.4.b", which))), parts_in_words())
        linear = words - fixed
        same = linear.equals(moved)  # the last is the corrected one
        ledger.record("eq-B.4.b", symbolic(same, "first-order terms of Ṽ_*", which, "derivation"))
    # For an invertible A, Ω = A⁻¹M, what is lacking is D_pre M†ᵀEᵀ(I − MM†).
    d_pre = lw.inverse - lower_matrix(nt.A.I) * nt.eta
    lacking = d_pre @ lw.m_pinv.T @ lw.e.T @ (identity(nt.d) - lw.pi)
    assert lw.invertible(moved - noise).equals(lacking)
    for text, values, slope, onto in exact_slopes():
        Omega, gamma0 = (sp.Matrix(values[LETTERS[k]]) for k in ("Omega", "Gamma0"))
        goal = -ETA * Omega * slope + gamma0.inv() * onto
        for id, words in (("eq-B.3.b", lw.linear_part(corrected)), ("eq-B.4.b", linear)):
            right = _equal(words, values, goal)
            ledger.record(id, symbolic(right, f"rationals, {text}", "corrected"))
    for id in ("eq-B.3.b", "eq-B.4.b"):
        ledger.record(id, counterexample(registry()[id]))
        wrong, complete = (of_training(linearised.expansion(form(id, f))) for f in ("printed", "corrected"))
        broad = training(5, 6, 6, seed("singular wide"), rank=3)
        ledger.record(id, check.expansion(wrong, check.minimiser, [*below(seed), broad], "printed"))
        every = [*below(seed), *above(seed), broad]
        ledger.record(id, check.expansion(complete, check.minimiser, every, "corrected"))
        assert check.expansion(wrong, check.minimiser, above(seed)).outcome == "agrees"
        if id == "eq-B.4.b":
            at = seed("lengths")
            ledger.record(id, check.in_length(wrong, 5, 2, at, profile, "printed"))
            ledger.record(id, check.in_length(complete, 5, 2, at, profile, "corrected"))


def parts_in_words():
    fixed, noise = lw.signal_and_noise()
    return {LETTERS["V_S"]: fixed, LETTERS["V_N"]: noise}


@pytest.mark.statements("eq-B.4.a")
def test_regrouped(ledger, seed):
    id = "eq-B.4.a"
    whole, fixed, noise = form(id).args
    right = lower_matrix(whole.rhs)
    parts = substitute(lower_matrix(noise.rhs), {LETTERS["V_S"]: lower_matrix(fixed.rhs)})
    same = (lower_matrix(fixed.rhs) + parts).equals(right)
    ledger.record(id, symbolic(same, "general d, B, Γ₀, A singular or not", kind="derivation"))
    sets = [*below(seed), *above(seed)]
    for equality in (check.equality, fits.equality):
        for line, measure, text in (
            (whole, lambda of: sum(of.parts()), "V_S + V_N"),
            (fixed, lambda of: of.parts()[0], "V_S"),
            (noise, lambda of: of.parts()[1], "V_N"),
        ):
            ledger.record(id, equality(of_training(line.rhs), measure, sets, text))


# Means --------------------------------------------------------------------------------------------------


@pytest.mark.statements("eq-B.5")
def test_test_error(ledger, profile, seed):
    id = "eq-B.5"
    _, middle, right = form(id).args
    printed = lower_scalar(plain(right))
    whole = lower_scalar(risk.formula(nt.V)) * (1 / nt.d)
    derived = risk.risk() * (1 / nt.d)
    defined = plain(middle) == nt.NormSquared(risk.w_hat - nt.w_star) / nt.d
    ledger.record(
        id,
        symbolic(
            defined and printed.equals(whole) and printed.equals(derived),
            "given the training data Ṽ is fixed, and (5.1) is its risk; general d, n",
            kind="derivation",
        ),
    )
    # d = n = B = 1, A = Σ = 1, η = 1/2: V_S + V_N = −(2 − S)/2 with S = x²; test prompt z.
    x, z = sp.symbols("x z")
    V = -(2 - x**2) / 2
    direct = exact.gaussian_mean(sp.expand((1 + V * z**2) ** 2), [x, z])
    values = {LETTERS["V"]: exact_array(sp.Matrix([[V]])), LETTERS["Sigma"]: exact_array(sp.eye(1))}
    averaged = exact.gaussian_mean(sp.expand(_at(printed, values)), [x])
    ledger.record(id, symbolic(direct == averaged, f"d=n=B=1, V_S+V_N, both means exact: {direct}"))

    def prediction(V, of):
        values = {LETTERS["V"]: V, LETTERS["Sigma"]: check.tensor(of.Sigma)}
        return stacked(printed, values.__getitem__, {nt.d: of.d, nt.n: of.n}).numpy()

    at = training(4, 6, 20, seed("test error"))
    ledger.record(id, full.model_error(prediction, at, at.n, seed("test error"), profile))
    distance = lambda found, w_star: value(  # noqa: E731
        plain(middle), {risk.w_hat: found, nt.w_star: w_star}
    )
    ledger.record(id, full.model_distance(distance, at, at.n, seed("distance")))


def _at(printed, values):
    """The scalar at 1 × 1 matrices with symbols in them, which ``evaluate`` takes for numbers."""
    total = sp.Integer(0)
    for traces, c in printed.terms.items():
        factors = [values[f.letter][0, 0] for word in traces for f in word]
        total += c.subs({nt.d: 1, nt.n: 1}) * sp.prod(factors)
    return total


# Other spectra, and the risk to first order ---------------------------------------------------------------


def limit_of(blocks, aspect, beta):
    named = {"weights" if k == "shares" else k: v for k, v in blocks.items()}
    return float(sft_risk_limit(beta=beta, aspect=aspect, **named))


@pytest.mark.statements("app-B-general.a", "app-B-general.b")
def test_general_spectra(ledger, profile, seed):
    for id in ("app-B-general.a", "app-B-general.b"):
        outside = "outside" if id.endswith("a") else "printed"
        ledger.record(id, counterexample(registry()[id], outside))
    # A block in two of the same levels is one block: the formulas see weights of joint levels alone.
    same = all(
        sp.simplify(_merged(bs.explicit(x, 3)) - bs.explicit(x, 2)) == 0
        for x in (ew.BIAS_K, ew.T_VAR_K, ew.inverse_trace(bs.Sigma[bs.k] / bs.a[bs.k] ** 2))
    )
    text = "K-block formulas: a block split in two of equal levels changes none"
    ledger.record("app-B-general.a", symbolic(same, text, "condition", "derivation"))
    ledger.record(
        "app-B-general.b", symbolic(_turned(), "one rotation of Γ₀, Δ, A and Ω, rationals, d=3", "corrected")
    )
    for beta in (0.5, 1.6):
        level = limit_of(THREE, 0.8, beta)
        at = regime(THREE, 0.8, beta)
        ledger.record(
            "app-B-general.a", limits.risk_limit(level, at, seed(f"risk {beta}"), profile, "condition")
        )
        turned = regime(THREE, 0.8, beta, turned=True)
        ledger.record(
            "app-B-general.b", limits.risk_limit(level, turned, seed(f"turned {beta}"), profile, "corrected")
        )
    apart = regime({**THREE, "post": (0.5, 1.4, 0.9)}, 0.8, 1.6)  # the levels of A in another order
    found = limits.risk_limit(limit_of(THREE, 0.8, 1.6), apart, seed("another order"), profile, "printed")
    ledger.record("app-B-general.b", found)


def _merged(expression):
    """Three blocks with the third like the second, their weights added up."""
    rest = sp.Symbol("rest", positive=True)
    alike = {
        base[3]: base[2]
        for base in (bs.a, bs.w, bs.v, bs.g, bs.s, bs.alpha, bs.delta, bs.delta_tilde, bs.Sigma)
    }
    return expression.xreplace(alike).subs({bs.mu[3]: rest, bs.mu[2]: bs.mu[2] - rest})


def _turned():
    """‖I + Ṽ_*Σ‖² does not change if everything is turned, Ω included, whose law is the same."""
    turn = sp.diag(sp.Matrix([[R(3, 5), R(-4, 5)], [R(4, 5), R(3, 5)]]), 1) * sp.Matrix(
        [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    )
    gamma0, Sigma = sp.diag(2, 3, 5), sp.diag(1, 4, 2)
    Omega, Phi = rational(3, 2, "turn"), rational(3, 2, "turned")

    def error(U):
        V = exact.fixed_point(U * Omega, U * Phi, U * gamma0 * U.T, ETA)
        return exact.frobenius_squared(sp.eye(3) + V * U * Sigma * U.T)

    return sp.simplify(error(turn) - error(sp.eye(3))) == 0


@pytest.mark.statements("ext-sft-linear.a", "ext-sft-linear.b", "ext-sft-linear.c")
def test_linearised_risk(ledger, profile, seed):
    near, far = ONE, {**ONE, "eta": 0.9}  # x = 0.58 and 1.3
    cases = {
        "a": (False, False, ((near, 0.3, 0.1), (far, 0.6, 0.2))),
        "b": (True, False, ((far, 2.5, 0.1),)),
        "c": (False, True, ((near, 0.4, 0.1), (far, 0.4, 0.1))),
    }
    for part, (over, complete, places) in cases.items():
        id = f"ext-sft-linear.{part}"
        closed = moments.excess(over, complete)
        stated, first = form(id).args[3], moments.first_order(closed)
        same = sp.expand(first - stated) == 0
        ledger.record(id, symbolic(same, "one block, both limits in closed form", kind="derivation"))
        for blocks, beta, aspect in places:
            at = {bs.beta: beta, bs.aspect: aspect, **one_block(blocks)}
            exact_limit = float(moments.minimiser_risk(over).subs(at))
            assert abs(exact_limit - limit_of(blocks, aspect, beta)) < 1e-12 * exact_limit
            ledger.record(
                id,
                limits.excess(
                    # what is stated of γ → 0, and what is left at this γ
                    float((stated + closed / bs.aspect - first).subs(at)),
                    complete_part if complete else first_order,
                    regime(blocks, aspect, beta),
                    "(Err(V) − Err(Ṽ_*))/γ",
                    seed(f"{part} {beta}"),
                    profile,
                ),
            )


def one_block(blocks):
    """x = ησ/a and y = σ/σ₀."""
    (a,), (start,), (test,) = (blocks[name] for name in ("post", "pre", "test"))
    return {moments.fit: blocks["eta"] * test / a, moments.start: test / start}


def first_order(sets):
    """V_S + V_N."""
    fixed, noise = sets.parts()
    return fixed + noise


def complete_part(sets):
    """V_S + V_N + V_⊥ for an invertible A: V_⊥ = (Γ₀⁻¹ − ηA⁻¹)M†ᵀEᵀ(I − MM†), diagonal A and Γ₀."""
    M, plus = sets.M, check.pinv(sets.M)
    off_range = sets.E - M @ (plus @ sets.E)
    lacking = ((sets.start - sets.eta / sets.A)[:, None] * plus.mT) @ off_range.mT
    return first_order(sets) + lacking
