"""The terms of Theorem B.1: evidence for ``theory/error_terms.py``."""

from __future__ import annotations

import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import equivalents_calculus as calculus
from theory import error_term_formulas as fm
from theory import error_term_words as words
from theory import error_terms
from theory import notation as nt
from theory.equivalents_calculus import f
from theory.errors import ArgumentError
from theory.notation import Gamma0, Sigma, d
from theory.statement import registry
from theory.words.poly import identity
from verify.checks import error_terms as check
from verify.checks import precision_fits as fits
from verify.checks.error_terms import DELTA, DELTA_NOISE
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.error_term_settings import (
    ABOVE,
    EXACT,
    FIGURE,
    GENERIC,
    GENERIC_ABOVE,
    NEAR,
    OTHER,
    STRONG,
    THREE,
    THREE_ABOVE,
    TWO,
    WEAK,
    Exact,
    at_limit,
    of_draw,
    of_matrices,
    traces,
)
from verify.resolvent_settings import same

ANY = "any projection Π, finite d"


def each(ids):
    """One test for each of these statements."""
    return [pytest.param(id, marks=pytest.mark.statements(id)) for id in ids]


def forms(id):
    """(printed or corrected, the value) of a statement, as registered."""
    statement = registry()[id]
    found = {"printed": statement.printed, "corrected": statement.corrected}
    return [(name, fm.value(form)) for name, form in found.items() if form is not None]


# Constant traces --------------------------------------------------------------------------------------

FIRST = (words.diagonal(bs.g) @ words.diagonal(bs.g) @ words.diagonal(bs.s)).trace() * (1 / d)


def constant(formula):
    """The prediction of a trace that is not random."""
    return lambda task: [at_limit(formula, task)]


@pytest.mark.statements("eq-C.5")
def test_first_trace_of_bias(ledger):
    id = "eq-C.5"
    ((_, formula),) = forms(id)
    D_1 = identity(d) + words.diagonal(bs.g) @ words.diagonal(bs.Sigma)
    holds = words.in_traces(formula).equals((D_1 @ D_1).trace() * (1 / d))
    ledger.record(id, symbolic(holds, "two blocks, finite d", kind="derivation"))
    ledger.record(id, check.levels(constant(formula), "tr(D₁²)/d", TWO))


@pytest.mark.statements("eq-C.32.b")
def test_first_trace_of_variance(ledger):
    id = "eq-C.32.b"
    ledger.record(id, counterexample(registry()[id]))
    for form, formula in forms(id):
        trace = "tr(Γ₀⁻²Σ_A)" if form == "printed" else "tr(Γ₀⁻²Σ_A)/d"
        ledger.record(id, check.levels(constant(formula), trace, TWO, form))
    holds = words.in_traces(forms(id)[1][1]).equals(FIRST)
    ledger.record(id, symbolic(holds, "two blocks, finite d", "corrected", "derivation"))


# Traces of Π ------------------------------------------------------------------------------------------

PI, CHANGE = words.PI, words.diagonal(bs.delta_tilde)
TEST, NOISE = words.diagonal(bs.Sigma), words.diagonal(bs.s)
D_1 = identity(d) + words.diagonal(bs.g) @ TEST
MEANING = {
    Gamma0: words.diagonal(bs.g) * -1,  # Γ₀⁻¹
    Sigma: TEST,
    fm.Sigma_A: NOISE,
    fm.D_1: D_1,
    fm.D_pre: CHANGE,
    fm.Pi: PI,
}
DEFINED = {
    "bias": words.mean_square(words.MISS),
    "T_var": words.mean_square(words.V_S, bs.s),
    "T_var,Σ": words.mean_square(words.V_S, bs.Sigma),
    "T_11": words.block_trace(1, 1),
    "T_22": words.block_trace(2, 2),
    "bias, linear": (D_1 @ TEST @ PI @ CHANGE).trace() * (2 / d),
    "bias, quadratic": (CHANGE @ CHANGE @ PI @ TEST @ TEST @ PI).trace() * (1 / d),
    "T_var, linear": (words.diagonal(bs.g) @ NOISE @ CHANGE @ PI).trace() * (2 / d),
    "tr(D_preΠΣ_AD_preΠ)/d": (CHANGE @ PI @ NOISE @ CHANGE @ PI).trace() * (1 / d),
    "signal II": words.mean_square(words.V_S, bs.Sigma) * (bs.aspect * bs.Sigma_bar),
}
# Where the limit is measured, each group for itself: not where a trace is so small that it scatters by more
# than a tenth.  The first group is where the prints are farthest off, the others take few draws.
LOUD, QUIET, FULL = (FIGURE, GENERIC), (WEAK, STRONG, NEAR, OTHER), (ABOVE, GENERIC_ABOVE)
CALM = (FIGURE, WEAK, NEAR, GENERIC, OTHER)
GROUPS = {
    "bias": (LOUD, QUIET, FULL),
    "T_var": (LOUD, QUIET, FULL),
    "T_var,Σ": (LOUD, QUIET, FULL),
    "T_11": ((FIGURE, NEAR, OTHER), FULL),
    "T_22": ((STRONG, NEAR, GENERIC, OTHER), FULL),
    "bias, linear": (CALM, FULL),
    "bias, quadratic": (CALM, FULL),
    "T_var, linear": ((FIGURE, WEAK, GENERIC), FULL),
    "tr(D_preΠΣ_AD_preΠ)/d": ((FIGURE, WEAK, NEAR, OTHER), FULL),
    "signal II": (LOUD, QUIET, FULL),
}
ROWS = {
    "eq-B.13": "bias",
    "eq-C.14": "bias",
    "eq-C.12": "bias, quadratic",
    "eq-C.13": "bias, linear",
    "eq-C.32.c": "T_var, linear",
    "eq-C.33": "tr(D_preΠΣ_AD_preΠ)/d",
    "eq-C.34": "tr(D_preΠΣ_AD_preΠ)/d",
    "eq-B.16": "T_var",
    "eq-C.35.a": "T_var",
    "eq-B.17": "T_var,Σ",
    "eq-C.39": "T_var,Σ",
    "eq-C.42": "signal II",
}


@pytest.fixture(scope="module")
def small():
    return Exact()


def limit(formula, measure, tasks, seed, profile, form="printed", delta=DELTA):
    expected = [at_limit(formula, task) for task in tasks]
    parts = [(measure, task) for task in tasks]
    return check.limits(expected, parts, seed("error terms"), profile, form, delta)


def stands_for(formula, defined):
    """Whether a formula is these traces; one in which no sum of traces can be read is not."""
    try:
        return words.in_traces(formula).equals(defined)
    except ArgumentError:
        return False


def judge(id, form, formula, measure, ledger, small, profile, seed):
    holds = stands_for(formula, DEFINED[measure])
    ledger.record(id, symbolic(holds, ANY, form, "derivation"))
    equal = sp.expand(small.value(formula) - small.measure(measure)) == 0
    ledger.record(id, symbolic(equal, EXACT, form))
    ledger.record(id, check.identity(of_draw(formula), measure, TWO, seed("identity"), form))
    ledger.record(id, fits.term(of_draw(formula), measure, seed("identity"), form))
    wrong = form == "printed" and registry()[id].corrected is not None
    for tasks in GROUPS[measure][:1] if wrong else GROUPS[measure]:
        ledger.record(id, limit(formula, measure, tasks, seed, profile, form))


@pytest.mark.parametrize("id", each(ROWS))
def test_trace(id, ledger, small, profile, seed):
    if registry()[id].counterexample is not None:
        ledger.record(id, counterexample(registry()[id]))
    for form, formula in forms(id):
        judge(id, form, formula, ROWS[id], ledger, small, profile, seed)
    if isinstance(registry()[id].printed, nt.Chain):  # the trace that is written out
        for between in registry()[id].printed.args[1:-1]:
            equal = traces(between, MEANING).equals(DEFINED[ROWS[id]])
            ledger.record(id, symbolic(equal, f"{ANY}: the trace", kind="derivation"))
            ledger.record(id, check.identity(of_matrices(between), ROWS[id], TWO, seed("identity")))
    if id == "eq-C.34":  # and what is said of its bracket
        first, second = (bs.delta_tilde[i] * bs.s[i] for i in (1, 2))
        product = (bs.delta_tilde[1] - bs.delta_tilde[2]) * (first - second)
        bracket = min(formula.atoms(sp.Add), key=sp.count_ops)  # the other Add is the whole
        ledger.record(id, symbolic(sp.expand(bracket - product) == 0, "the bracket", kind="derivation"))


@pytest.mark.statements("eq-C.11")
def test_diagonal_blocks(ledger, small, profile, seed):
    ((form, formula),) = forms("eq-C.11")
    for block in (1, 2):
        at = formula.subs(bs.k, block)
        judge("eq-C.11", form, at, f"T_{block}{block}", ledger, small, profile, seed)


EXPANDED = {"eq-C.32.a": "T_var", "eq-C.38": "T_var,Σ"}


@pytest.mark.parametrize("id", each(EXPANDED))
def test_expansion(id, ledger, seed):
    ledger.record(id, counterexample(registry()[id]))
    for form, expansion in forms(id):
        holds = traces(expansion, MEANING).equals(DEFINED[EXPANDED[id]])
        ledger.record(id, symbolic(holds, ANY, form, "derivation"))
        ledger.record(id, check.identity(of_matrices(expansion), EXPANDED[id], TWO, seed("identity"), form))
        ledger.record(id, fits.term(of_matrices(expansion), EXPANDED[id], seed("identity"), form))


# Noise and sum ----------------------------------------------------------------------------------------

NOISY = (FIGURE, GENERIC, ABOVE)
ISOTROPIC = "E[EQEᵀ] from Wishart moments where ΣQ_ττw_τw_τᵀ = tr(Q) I"
TRUE = {fm.T_var: fm.variance(bs.s), fm.T_var_Sigma: fm.variance(bs.Sigma), fm.Bias: fm.BIAS}


@pytest.mark.statements("eq-C.35.b")
def test_noise_of_first_term(ledger, profile, seed):
    id = "eq-C.35.b"
    ledger.record(id, counterexample(registry()[id]))
    expected, measured = words.noise()
    for form, formula in forms(id):
        weight = formula / (fm.T_inv * fm.T_var)
        holds = expected.equals(measured * (weight / bs.aspect))
        ledger.record(id, symbolic(holds, ISOTROPIC, form, "derivation"))
        found = limit(formula.subs(TRUE), "noise I", NOISY, seed, profile, form, DELTA_NOISE)
        ledger.record(id, found)


@pytest.mark.statements("eq-C.43")
def test_noise_of_second_term(ledger, profile, seed):
    id = "eq-C.43"
    ledger.record(id, counterexample(registry()[id]))
    weight = bs.aspect**2 * bs.Sigma_bar * fm.T_inv_Sigma
    for form, formula in forms(id):
        holds = stands_for(formula, DEFINED["T_var"] * weight)
        ledger.record(id, symbolic(holds, f"{ANY}; {ISOTROPIC}", form, "derivation"))
        found = limit(formula, "noise II", NOISY, seed, profile, form, DELTA_NOISE)
        ledger.record(id, found)
    definitions(id, ledger, seed)


NAMES = {"Bias": "bias", "T_var": "T_var", "T_var_Sigma": "T_var,Σ"}


def defined(id, name):
    """What the corrected form has for this symbol in a line of its own."""
    corrected = registry()[id].corrected
    assert corrected is not None
    return [line.rhs for line in corrected.args[1:] if str(line.lhs) == name]


def definitions(id, ledger, seed):
    """Those lines, in each draw."""
    for name, measure in NAMES.items():
        for formula in defined(id, name):
            found = check.identity(of_draw(formula), measure, TWO, seed("identity"), "corrected")
            ledger.record(id, found)


# The traces that each part of the sum has
KEPT = {
    "bias": {fm.Bias},
    "noise I": {fm.T_inv, fm.T_var},
    "signal II": {fm.T_var_Sigma},
    "noise II": {fm.T_inv_Sigma, fm.T_var},
}


PARTS = ("bias", "noise I", "signal II", "noise II")


def part(whole, measure):
    """What is left of the sum without the traces that belong to other parts alone; all for the error."""
    others = set().union(*KEPT.values()) - KEPT[measure] if measure in KEPT else ()
    return whole.xreplace(dict.fromkeys(others, sp.Integer(0)))


def defined_sum():
    """Terms I and II of V_S + V_N for two blocks and any Π, E averaged as in (C.17)."""
    noise = bs.aspect * (fm.T_inv + bs.aspect * bs.Sigma_bar * fm.T_inv_Sigma)
    return DEFINED["bias"] + DEFINED["T_var"] * noise + DEFINED["signal II"]


@pytest.mark.statements("thm-B.1")
def test_theorem(ledger, profile, seed):
    id = "thm-B.1"
    ledger.record(id, counterexample(registry()[id]))
    for form, formula in forms(id):
        holds = stands_for(formula, defined_sum())
        ledger.record(id, symbolic(holds, f"{ANY}; {ISOTROPIC}", form, "derivation"))
        for tasks in (NOISY,) if form == "printed" else (NOISY, (STRONG, OTHER)):
            ledger.record(id, limit(formula, "error", tasks, seed, profile, form, DELTA_NOISE))
    definitions(id, ledger, seed)
    corrected = registry()[id].corrected
    assert corrected is not None
    first, *lines = corrected.args
    for measure in PARTS:
        term = part(first.args[3], measure).subs({line.lhs: line.rhs for line in lines})
        found = limit(term, measure, NOISY, seed, profile, "corrected", DELTA_NOISE)
        ledger.record(id, found)


def vanishes(fraction):
    """Whether a rational function is 0."""
    return sp.together(fraction).as_numer_denom()[0].expand() == 0


@pytest.mark.statements("ext-first-order-limit")
def test_blocks(ledger, profile, seed):
    id = "ext-first-order-limit"
    first, *lines = registry()[id].printed.args
    terms = {line.args[0]: fm.value(line) for line in lines}
    names = {"bias": fm.Bias, "T_var": fm.T_var, "T_var,Σ": fm.T_var_Sigma}
    for blocks in (2, 3):
        found = words.by_pairs(blocks)
        for name, symbol in names.items():
            apart = (bs.explicit(terms[symbol], blocks) - found[name]).xreplace(words.factors(blocks))
            holds = vanishes(apart)
            regime = f"{name} from T_ij of the limit, K = {blocks}"
            ledger.record(id, symbolic(holds, regime, kind="derivation"))
    for symbol, power in ((fm.T_inv, 2), (fm.T_inv_Sigma, 1)):
        spread = {bs.Sigma[bs.k] ** power: f[bs.k], bs.v[bs.k]: bs.w[bs.k] * (1 - bs.w[bs.k])}
        general = calculus.normal(terms[symbol].xreplace(spread), lambda index: bs.c[index])
        holds = same(general, calculus.at_zero(calculus.inverse_by_expansion()))
        ledger.record(id, symbolic(holds, f"{symbol}, any K: the z⁰ term of tr(FR)/d", kind="derivation"))
    for symbol, formula in TRUE.items():
        holds = vanishes(words.two_blocks(terms[symbol]) - words.two_blocks(formula))
        ledger.record(id, symbolic(holds, f"{symbol} at K = 2 as corrected", kind="derivation"))
    for task in (THREE, THREE_ABOVE):
        for name, symbol in names.items():
            ledger.record(id, limit(terms[symbol], name, (task,), seed, profile))
        # T_inv and T_inv,Σ are those of β < 1
        inner = {symbol: one for symbol, one in terms.items() if symbol in TRUE or task is THREE}
        whole = fm.value(first)
        for measure in ("error", *PARTS):
            term = part(whole, measure).subs(inner)
            found = limit(term, measure, (task,), seed, profile, delta=DELTA_NOISE)
            ledger.record(id, found)


assert error_terms  # registers the statements
