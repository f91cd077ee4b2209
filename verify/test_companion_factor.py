"""The sharp factor between criterion and error of the companion paper: ``theory/companion.py``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import sympy as sp
from hypothesis import strategies as st

from theory import companion
from theory import companion_points as points
from theory import notation as nt
from theory.words.poly import letter
from verify.checks import companion as check
from verify.checks import generated
from verify.checks.run import exact as symbolic
from verify.companion_predictions import at_matrices, of_matrices, printed, trained, worst
from verify.surface import value
from verify.test_companion import _apart

R = sp.Rational


@dataclass(frozen=True)
class Placed:
    """Λ, Σ and n in rationals with Γ = diag(roots)² and I − Γ^(−1/2)ΣΓ^(−1/2) = N of norm at most 1."""

    roots: tuple[int, ...]
    N: sp.Matrix
    k: int

    @property
    def label(self):
        return f"Γ^(1/2) = diag{self.roots}, N = {self.N.tolist()}, k = {self.k}"

    @property
    def setting(self):
        d, n = len(self.roots), sum(g * g for g in self.roots)  # so long that Λ ≻ 0
        Lambda = sp.diag(*(R(n, n + 1) * (g * g - R(n, n + 1 + d)) for g in self.roots))
        root = sp.diag(*self.roots)
        return Lambda, root * (sp.eye(d) - self.N) * root, n, self.k


@st.composite
def placed(draw, ks):
    d, small = draw(st.sampled_from((2, 3))), st.integers(-3, 3)
    roots = draw(st.lists(st.integers(1, 6), min_size=d, max_size=d))
    entries = draw(st.lists(small, min_size=d * d, max_size=d * d))
    S = sp.Matrix(d, d, lambda a, b: entries[d * max(a, b) + min(a, b)])
    norm = max(1, *(sum(map(abs, S.row(a))) for a in range(d)))  # a bound on S's
    return Placed(tuple(roots), S / norm, draw(st.sampled_from(ks)))


def _error_at(Lambda, Sigma, n, k):
    return points.long_prompt_error(sp.eye(Lambda.rows) - points.gamma(Lambda, n).inv() * Sigma, k)


def _reached(id):
    """(M, factor · criterion at k = 1) at the registered worst Σ, M = I − Γ⁻¹Σ, for Γ = diag(a, b)."""
    a, b = sp.symbols("a b", positive=True)
    given = {companion.Gamma: sp.diag(a, b), companion.share: sp.Symbol("c", positive=True)}
    given |= {companion.low: a, companion.high: b}
    given |= {companion.u: sp.Matrix([1, 0]), companion.v: sp.Matrix([0, 1])}
    M = sp.eye(2) - sp.diag(1 / a, 1 / b) * value(printed(id).args[1].args[0].rhs, given)
    return M.applyfunc(sp.simplify), _factor(id).subs(companion.condition_number, b / a) * (M * M).trace()


def _factor(id):
    """What the criterion is multiplied by; none where it is not the criterion."""
    factor = printed(id).args[0].rhs / companion.CRITERION
    return sp.nan if factor.has(sp.Trace) else factor


@pytest.mark.parametrize(("id", "ks"), [("ext-overthinking.a", (1, 3)), ("ext-overthinking.b", (2, 4))])
@pytest.mark.statements("ext-overthinking.a", "ext-overthinking.b")
def test_sharp_factor(ledger, profile, seed, id, ks):
    claim, reached = printed(id).args[0], printed(id).args[1].args[1]
    lower, upper = claim.args
    sides = (lower, upper, reached.lhs, reached.rhs)  # all the error itself at the worst Σ
    kappa, x = companion.condition_number, sp.Symbol("x", positive=True)
    if id.endswith("a"):
        above = _factor(id) - (x + 1 / x) / 2 - (kappa - x) * (kappa * x - 1) / (2 * kappa * x)
        where = "κ+1/κ ≥ x+1/x at x = γ_j/γ_i: the sum of rel-overthinking.b in pairs, general d, k"
        holds = sp.simplify(above) == 0
    else:
        X, Y, P = (letter(nt.letter_of(one)) for one in (nt.G, nt.V, nt.W))
        plus, minus = X + Y, X + Y * -1
        holds = ((plus @ plus).trace() - (minus @ minus).trace()).equals((X @ Y).trace() * 4)
        product = ((P - plus) @ (P + plus)).trace()
        at_end = (x - 1) * (kappa - x) / x - (1 + kappa - x - kappa / x)
        holds = (
            holds and ((P @ P).trace() - (plus @ plus).trace()).equals(product) and sp.simplify(at_end) == 0
        )
        holds = holds and sp.simplify(_factor(id) - (1 + kappa) ** 2 / (4 * kappa)) == 0
        where = "Γ + γ_min γ_max Γ⁻¹ ⪯ (γ_min + γ_max)I, and 4 tr XY ≤ tr (X + Y)²: general d, Γ, even k"
    ledger.record(
        id, symbolic(bool(holds) and claim.func is sp.Le and lower == reached.lhs, where, kind="derivation")
    )
    M, one = _reached(id)
    again = M * M.trace() if id.endswith("b") else sp.eye(2) * (M * M).trace() / 2
    holds = (
        sp.simplify(M * M - again) == sp.zeros(2)
        and sp.simplify((M * M.T).trace() - one) == 0
        and upper == reached.rhs
    )
    where = "M² ∝ I or M² ∝ M, ‖M‖² = factor · tr M² at the worst Σ: general Γ = diag(a, b), c, k"
    ledger.record(id, symbolic(bool(holds), where, kind="derivation"))
    for roots in ((2, 3), (1, 4, 2)):
        Lambda, _, n, _ = Placed(roots, sp.zeros(len(roots)), 1).setting
        for part in (1, R(1, 2)):
            at = [(Lambda, worst(id, Lambda, n, part), n, k) for k in ks]
            holds = all(_error_at(*one) == at_matrices(side, *one) for one in at for side in sides)
            ledger.record(id, symbolic(holds, f"reached: Γ^(1/2) = diag{roots}, c = {part}, k = {ks}"))

    def within(one):
        return generated.Equality(bool(claim.func(_error_at(*one.setting), at_matrices(upper, *one.setting))))

    every = (1, 2, 3) if id.endswith("a") else ks
    fewer = replace(profile, examples=profile.examples // 4)  # exact powers of matrices
    regime = f"never exceeded: rationals, d = 2, 3, k in {every}"
    ledger.record(id, generated.generated(within, placed(every), regime, fewer))
    Lambda, Sigma = _apart(seed("sharp"))
    apart = [trained(Lambda, 5, s * Sigma, None, k) for s in (1.0, 3.0) for k in every]
    below, above = (lower, upper) if claim.func is sp.Le else (upper, lower)
    ledger.record(id, check.bounded(lambda one: (of_matrices(below)(one), of_matrices(above)(one)), apart))
    Lambda = np.diag([1.0, 4.0, 2.0])
    ends = [trained(Lambda, 5, worst(id, Lambda, 5, part), None, k) for part in (1.0, 0.5) for k in ks]
    for side in (upper, reached.rhs):  # the left sides are rel-overthinking's
        ledger.record(id, check.equal(of_matrices(side), ends))
