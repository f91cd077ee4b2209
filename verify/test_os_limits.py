"""The fixed points of outcome supervision: evidence for ``theory/os_limits.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import exact, kstep, os_limits
from theory import notation as nt
from theory.explicit import explicit
from theory.kstep import c
from theory.os_limits import turn
from theory.statement import registry
from verify.checks import os_limits as check
from verify.checks.kstep import Chain, gradient_at_nodes, risk_at_nodes
from verify.checks.points import rational
from verify.checks.run import exact as symbolic
from verify.surface import value
from verify.test_kstep import squared_miss


@pytest.mark.statements("ext-os.a")
def test_one_step(ledger, profile, seed):
    id = "ext-os.a"
    whole = registry()[id].printed.rhs
    a, b, t, v = sp.symbols("a b t v", positive=True)
    # In A's eigenbasis a word of the gradient is a power of a and v; the printed V has an entry v there.
    slope = sp.Add(
        *(
            q * sp.Mul(*(t for _ in traces)) * sp.Mul(*(v if f.letter == kstep.V else a for f in word))
            for (traces, word), q in kstep.k_step_gradient_expr(1).terms.items()
        )
    )
    stated = value(whole, {nt.A: sp.diag(a, b), nt.n: nt.n})  # b: the trace of the rest
    zero = stated[0, 1] == 0 and sp.simplify(slope.subs(v, stated[0, 0]).subs(t, a + b)) == 0
    ledger.record(
        id, symbolic(zero, "gradient zero on each eigenspace of A, convex, general d, n", kind="derivation")
    )
    holds = True
    for d, n in ((1, 3), (2, 1), (2, 2)):
        root = rational(d, d, f"os{d}{n}")
        goal = explicit(whole, {nt.A: root * root.T}, {nt.n: n, nt.d: d})
        step, s = rational(d, d, f"od{d}{n}"), sp.Symbol("s")
        along = exact.mean_over_prompts(squared_miss(goal + s * step, sp.eye(d), 1), root, n)
        holds = holds and sp.expand(sp.diff(along, s).subs(s, 0)) == 0
    ledger.record(
        id, symbolic(holds, "Gaussian moments, (d,n) = (1,3), (2,1), (2,2), slope 0 along a random line")
    )
    goal = lambda A, n, k: _numbers(explicit(whole, {nt.A: sp.Matrix(A)}, {nt.n: n, nt.d: len(A)}))  # noqa: E731
    ledger.record(id, check.trained(goal, "dense", 6, 1, seed("one step"), profile))


@pytest.mark.statements("ext-os.b")
def test_isotropic(ledger, profile, seed):
    id = "ext-os.b"
    _, slope, still = registry()[id].printed.args
    printed = slope - still
    general = kstep.collapse(
        kstep.k_step_risk_expr(2), lambda word: nt.d * (-c) ** sum(f.letter == kstep.V for f in word)
    )
    same = sp.expand(sp.diff(general, c) / (4 * nt.d) - printed) == 0
    ledger.record(id, symbolic(same, "derivative of the general risk, general d, n", kind="derivation"))
    holds, one_root = True, True
    for d, n in ((1, 2), (2, 2), (3, 1)):
        along = exact.mean_over_prompts(squared_miss(-c * sp.eye(d), sp.eye(d), 2), sp.eye(d), n)
        at = printed.subs({nt.d: d, nt.n: n})
        holds = holds and sp.expand(sp.diff(along, c) / (4 * d) - at) == 0
        one_root = one_root and len(sp.real_roots(sp.Poly(at, c))) == 1
    ledger.record(id, symbolic(holds and one_root, "Gaussian moments and Sturm, (d,n) = (1,2), (2,2), (3,1)"))
    # At Ṽ = −cI the gradient of the risk is −4 times what is printed, on the diagonal.
    points = [Chain(-0.6 * np.eye(d), np.eye(d), np.eye(d), n, 2) for d, n in ((1, 2), (2, 3), (3, 2))]
    stated = lambda at: -4 * value(printed, {nt.V: at.V, nt.n: at.n, c: -at.V[0, 0]}) * np.eye(len(at.V))  # noqa: E731
    ledger.record(id, gradient_at_nodes(stated, points))
    goal = lambda A, n, k: -_root(printed, len(A), n) * np.eye(len(A))  # noqa: E731
    # n = 6 is well below the length at which it becomes a saddle, 15.
    ledger.record(id, check.trained(goal, "isotropic", 6, 2, seed("isotropic"), profile))


@pytest.mark.statements("ext-os.c")
def test_saddle(ledger, profile, seed):
    id = "ext-os.c"
    printed = sp.expand(registry()[id].printed.args[1].subs(nt.d, 2))
    (onset,) = os_limits.turning_onset(2)
    signs = []
    for n in (14, 15, 10**6):
        bend = printed.coeff(turn, 2).subs(
            {nt.n: n, c: sp.Float(os_limits.isotropic_fixed_point(2, 2, n), 17)}
        )
        signs.append(sp.sign(bend))
    between = 14 < onset < 15 and signs == [1, -1, -1]
    ledger.record(
        id,
        symbolic(
            bool(between), "sign of ∂R/∂a² at c_OS: one change, n = 14.917, by a resultant", kind="derivation"
        ),
    )
    holds = True
    for n in (1, 2):
        block = sp.Matrix([[-c, -turn], [turn, -c]])
        direct = exact.mean_over_prompts(squared_miss(block, sp.eye(2), 2), sp.eye(2), n)
        holds = holds and sp.expand(printed.subs(nt.n, n) - direct) == 0
    ledger.record(id, symbolic(holds, "Gaussian moments, n = 1, 2, c and a as symbols"))
    stated = lambda at: float(printed.subs({nt.n: at.n, c: -at.V[0, 0], turn: at.V[1, 0]}))  # noqa: E731
    turned = np.array([[-0.6, -0.35], [0.35, -0.6]])
    chains = [Chain(turned, np.eye(2), np.eye(2), n, 2) for n in (2, 3)]
    ledger.record(id, risk_at_nodes(stated, chains))
    goal = lambda A, n, k: _turned_minimum(printed.subs(nt.n, n))  # noqa: E731
    ledger.record(id, check.trained(goal, "isotropic", 60, 2, seed("rotated"), profile, 2000))


def _root(stationarity, d, n):
    """The one real root, and no number where there is another number of them."""
    found = sp.real_roots(sp.Poly(stationarity.subs({nt.d: d, nt.n: n}), c))
    return float(found[0].evalf(17)) if len(found) == 1 else np.nan


def _turned_minimum(risk):
    """−cI + aJ at the least of c_0(c) + c_1(c)a² + c_2a⁴, J with 1 above the diagonal."""
    square = -risk.coeff(turn, 2) / (2 * risk.coeff(turn, 4))
    along = sp.Poly(
        sp.expand(risk.coeff(turn, 0) + risk.coeff(turn, 2) * square + risk.coeff(turn, 4) * square**2), c
    )
    least = min(sp.real_roots(along.diff()), key=lambda root: along.eval(root.evalf(30)))
    a = float(sp.sqrt(square.subs(c, least)).evalf(17))
    return -float(least.evalf(17)) * np.eye(2) + a * np.array([[0.0, 1.0], [-1.0, 0.0]])


def _numbers(matrix):
    return np.array(matrix.tolist(), dtype=float)


@pytest.mark.statements("ext-os.d")
def test_long_prompts(ledger, profile, seed):
    id = "ext-os.d"
    printed = {k: line.args[3] for k, line in zip((2, 3), registry()[id].printed.args, strict=True)}
    vanish = True
    for k, correction in printed.items():
        derived = sp.together(os_limits.isotropic_stationarity(k).subs(c, 1 - correction / nt.n))
        above, below = (sp.degree(part, nt.n) for part in sp.fraction(sp.cancel(derived)))
        vanish = vanish and above + k < below
    ledger.record(
        id, symbolic(vanish, "terms of order 1 … n^−k vanish, k = 2, 3, general d", kind="derivation")
    )
    for k in (2, 3):
        ledger.record(id, check.long_prompts(_of_dimension(printed[k]), k))
    sampled = _of_dimension(printed[2])
    ledger.record(id, check.long_prompts_sampled(sampled, 2, seed("long"), profile))


def _of_dimension(correction):
    """A limit for each d, infinite where the print divides by zero or leaves n in it."""

    def at(d):
        found = correction.subs(nt.d, d)
        return float(found) if found.is_number and found.is_finite else np.inf

    return at


@pytest.mark.statements("ext-os.e")
def test_many_steps(ledger):
    id = "ext-os.e"
    x = sp.Symbol("x", positive=True)
    growth, limit = os_limits.growth_at_threshold(x), registry()[id].printed.args[3]
    at_limit = growth.subs(x, limit).subs(nt.n, 3).evalf(50)
    rises = sp.simplify(sp.diff(growth, x) - 2 / x - nt.n / (2 * x**2)) == 0
    holds = rises and abs(at_limit) < 1e-45
    ledger.record(
        id,
        symbolic(
            bool(holds),
            "growth rate of the tail: rising in x, zero at ny/4 to 50 digits",
            kind="derivation",
        ),
    )
    # The limit as it is printed, and what is missing of it at a finite k.
    left = lambda n, k: os_limits.many_steps(n, k) - float(n * os_limits.ratio / 4)  # noqa: E731
    ledger.record(id, check.many_steps(lambda n, k: float(limit.subs(nt.n, n)) + left(n, k)))
