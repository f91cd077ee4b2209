"""The projection on the columns of M: evidence for ``theory/projections.py``."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import equivalents_calculus as calculus
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.block_symbols import beta, k, mu, q, v, w, z
from theory.equivalents_calculus import f, g
from theory.explicit import explicit
from theory.statement import registry
from verify.checks import equivalents as check
from verify.checks import resolvent_identities as identities
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.resolvent_settings import (
    AMPLE,
    NEAR,
    PAPER,
    PAST,
    SCARCE,
    SINGULAR,
    THREE,
    Levels,
    in_w,
    lemma_definitions,
    of,
    of_rational,
    of_small,
    root_of,
    said,
    same,
)
from verify.surface import value

R = sp.Rational


def printed(id):
    return registry()[id].printed


def _total(found, at):
    return found.fraction @ np.array(at.weights, dtype=float)


TOTAL = check.Quantity("tr(Π)/d", check.projected, _total, 1e-2)


# Shares of the blocks -------------------------------------------------------------------------------


@pytest.mark.statements("eq-B.11")
def test_root(ledger, profile, seed):
    id = "eq-B.11"
    side = printed(id).rhs
    positive = {bs.a[j]: sp.Symbol(f"a_{j}", positive=True) for j in (1, 2)}
    written = bs.explicit(side, 2).xreplace(positive)
    slope = bs.explicit(bs.average(mu[k] * bs.a[k] ** 2 / (1 + q * bs.a[k] ** 2) ** 2), 2).xreplace(positive)
    ends = (written.subs(q, 0), sp.limit(written, q, sp.oo))
    rises = same(sp.diff(written, q), slope) and ends == (0, mu[1] + mu[2])
    text = "from 0 to Σμ_k = 1, with the slope Σμ_ka_k²/(1+a_k²q)² > 0"
    ledger.record(id, symbolic(rises, text, "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for at in (SCARCE, NEAR):
        here = Levels(at)
        gap = partial(lambda here, x: here.value(side, scalars={q: x}) - float(here.at.beta), here)
        root = root_of(gap, 1e3)
        ledger.record(id, check.limit([root], check.RATIO, at, seed("equivalents"), profile, "condition"))


@pytest.mark.statements("lem-C.1")
def test_shares(ledger, profile, seed):
    id = "lem-C.1"
    below, above = (line.args[0].rhs for line in printed(id).args)
    derived = calculus.at_zero(calculus.fraction())
    as_share = below.xreplace({bs.a[k]: sp.sqrt(w[k] / (q * (1 - w[k])))})
    holds = derived == bs.average(mu[k] * f[k] * w[k]) and same(as_share, w[k])
    ledger.record(
        id, symbolic(holds, "any K: the 1/z term of tr(FR)/d, b = qz + …", "condition", "derivation")
    )
    root = calculus.root_above()
    holds = sp.limit(1 - z / (z + root.subs(beta, R(7, 3)) * sp.Symbol("c", positive=True)), z, 0) == above
    ledger.record(id, symbolic(holds, "β > 1: b = β − 1 at z = 0", "condition", "derivation"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for at in (SCARCE, NEAR, PAPER, AMPLE):
        expected = Levels(at).by_block(said(printed(id).args, at))
        ledger.record(
            id, check.limit(expected, check.FRACTIONS, at, seed("equivalents"), profile, "condition")
        )
    found = check.limit([1.0, 1.0], check.FRACTIONS, SINGULAR, seed("equivalents"), profile, "outside")
    ledger.record(id, found)


@pytest.mark.statements("eq-C.56")
def test_sum_of_shares(ledger, profile, seed):
    id = "eq-C.56"
    equal = same(in_w(printed(id).lhs), in_w(calculus.expansion()[0] + beta))
    equal = equal and printed(id).rhs.subs(beta, R(2, 5)) == R(2, 5)
    ledger.record(id, symbolic(equal, "β < 1: the z⁰ term, Σμ_kw_k = β", "condition", "derivation"))
    whole = bs.at(printed(id).lhs, {mu: [R(1, 4), R(3, 4)], w: [1, 1]}) == printed(id).rhs.subs(beta, R(5, 2))
    ledger.record(id, symbolic(whole, "β = 5/2, w_k = 1", "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for at, form in ((NEAR, "condition"), (AMPLE, "condition"), (SINGULAR, "outside")):
        expected = [float(printed(id).rhs.subs(beta, R(at.beta.numerator, at.beta.denominator)))]
        ledger.record(id, check.limit(expected, TOTAL, at, seed("equivalents"), profile, form))


@pytest.mark.statements("eq-C.44")
def test_ridge_limit(ledger, seed):
    id = "eq-C.44"
    sides = [one.args[0] for one in printed(id).args]
    equal = True
    for d, B in ((3, 2), (2, 3), (2, 2)):
        M = rational(d, B, f"{id}{d}{B}")
        if d == B:
            M[:, 1] = 2 * M[:, 0]  # of rank one
        matrices = {fm.M: M, fm.Pi: M * M.pinv(), z: z}
        found = [value(side, matrices) for side in sides]
        ends = [x.applyfunc(lambda e: sp.limit(sp.cancel(e), z, 0, "+")) for x in found]
        stated = [value(one.args[-1], matrices) for one in printed(id).args]
        equal = equal and sp.simplify(found[0] - found[1]).is_zero_matrix and ends == stated
    ledger.record(id, symbolic(equal, "(d,B) = (3,2), (2,3), and (2,2) of rank one, any z, and z → 0"))
    s = sp.Symbol("s", positive=True)  # a singular value: MM† is 1 on its direction and 0 off the range
    limits = [sp.limit(x, z, 0, "+") for x in (s**2 / (s**2 + z), 1 - z / (s**2 + z), 1 - z / (0 + z))]
    projection = limits == [1, 1, 0] and all(one.args[-1] == fm.Pi for one in printed(id).args)
    ledger.record(id, symbolic(projection, "by singular values of any M", kind="derivation"))
    for one in printed(id).args:
        target = of_small(one.args[-1])
        ledger.record(id, identities.approach(identities.projection, of(one.args[0]), seed(id), limit=target))


# Leakage between two blocks -------------------------------------------------------------------------


@pytest.mark.statements("eq-B.12", "lem-C.2", "eq-C.66")
def test_leakage(ledger, profile, seed):
    derived = in_w(calculus.projection_pair())
    forms = {"eq-B.12": said(printed("eq-B.12").args, SCARCE), "lem-C.2": printed("lem-C.2").rhs}
    forms["eq-C.66"] = printed("eq-C.66").args[2].rhs
    for id, form in forms.items():
        equal = same(in_w(form), derived)
        ledger.record(id, symbolic(equal, "from z²·tr(FRGR)/d, any K, at K = 2", kind="derivation"))
        for at in (SCARCE, NEAR, PAPER):
            here = said(printed(id).args, at) if id == "eq-B.12" else form
            expected = [Levels(at).value(here)]
            ledger.record(
                id, check.limit(expected, check.LEAKAGE, at, seed("equivalents"), profile, "printed")
            )
    above = [float(said(printed("eq-B.12").args, AMPLE))]
    found = check.limit(above, check.LEAKAGE, AMPLE, seed("equivalents"), profile, "printed")
    ledger.record("eq-B.12", found)
    # C.66 and C.68 along v(z) = qz + …
    definitions = lemma_definitions()
    for line, text in zip(printed("eq-C.66").args[:2], ("C.66", "C.67 and C.68"), strict=True):
        expression, _, _, limit = line.args
        found = sp.cancel(in_w(expression.xreplace(definitions).subs(fm.v_z, q * z)))
        ledger.record("eq-C.66", symbolic(same(found.subs(z, 0), in_w(limit)), text, kind="derivation"))
    for at in (SCARCE, NEAR):  # T₁₂ is the one over the other
        top, bottom = (Levels(at).value(line.args[3]) for line in printed("eq-C.66").args[:2])
        expected = [top / bottom]
        found = check.limit(expected, check.LEAKAGE, at, seed("equivalents"), profile, "printed")
        ledger.record("eq-C.66", found)


@pytest.mark.statements("eq-C.60")
def test_cross_trace(ledger, seed):
    id = "eq-C.60"
    expression, _, _, limit = printed(id).args
    M = rational(3, 2, id)
    values, scalars = of_rational(M)
    shrunk = nt.I - z * fm.R
    exact = explicit(fm.normalised(fm.D_1 * shrunk * fm.D_2 * shrunk), values, scalars)
    found = explicit(expression, values, scalars)
    resolvent = {fm.R: (M * M.T + z * sp.eye(3)).inv(), fm.Pi: M * M.pinv()}
    moving, end = (value(x, {**values, **resolvent, z: z}) for x in (expression, limit))
    same_end = sp.limit(sp.cancel(moving), z, 0, "+") == end
    text = "tr(D₁(I−zR)D₂(I−zR))/d, d=3, B=2, z = 2/7; z → 0"
    ledger.record(id, symbolic(found == exact and same_end, text))
    target = of_small(limit)
    ledger.record(id, identities.approach(identities.projected_trace, of(expression), seed(id), limit=target))


# Any number of blocks -------------------------------------------------------------------------------


F, G = (1.3, -0.6, 0.9), (0.8, -1.1, 0.5)


@pytest.mark.statements("ext-equivalents.a")
def test_any_number_of_blocks(ledger, profile, seed):
    id = "ext-equivalents.a"
    limit, rank = printed(id).args[0].args[3], printed(id).args[1].rhs
    derived = calculus.at_zero(calculus.fraction())
    root = calculus.normal(calculus.expansion()[0] + beta, lambda index: w[index] / (q * (1 - w[index])))
    text = "any K: the 1/z term of tr(FR)/d, and the z⁰ term of the equation"
    ledger.record(id, symbolic(derived == limit and root == rank, text, kind="derivation"))
    kept = [Levels(THREE).value(rank)]
    ledger.record(id, check.limit(kept, TOTAL, THREE, seed("equivalents"), profile, "printed"))
    for at in (THREE, PAST):
        shares = [
            Levels(at).value(limit, {f: row}) / float(weight)
            for row, weight in zip(np.eye(3), at.weights, strict=True)
        ]
        ledger.record(id, check.limit(shares, check.FRACTIONS, at, seed("equivalents"), profile, "printed"))


@pytest.mark.statements("ext-equivalents.b")
def test_quadratic_traces(ledger, profile, seed):
    id = "ext-equivalents.b"
    limit = printed(id).args[3]
    general = calculus.normal(limit.xreplace({v[k]: w[k] * (1 - w[k])}), lambda index: bs.c[index])
    equal = same(general, calculus.projection_pair())
    ledger.record(id, symbolic(equal, "any K, from two resolvents", kind="derivation"))
    full = {v: [1e-12] * 3}  # v_k → 0, where the second term is 0 over 0
    apart = (1.0, 0.0, 0.7), (0.0, 1.0, 0.4)  # the second term alone
    for at, (one, other), more in ((THREE, (F, G), {}), (THREE, apart, {}), (PAST, (F, G), full)):
        expected = [Levels(at).value(limit, {f: one, g: other, **more})]
        found = check.limit(
            expected, check.quadratic(one, other), at, seed("equivalents"), profile, "printed"
        )
        ledger.record(id, found)
