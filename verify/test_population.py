"""Proposition 4.3: evidence for ``theory/population.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import exact, finetuning, population
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.evaluate import evaluate
from verify.checks import finetuning as tasks_of
from verify.checks import population as check
from verify.checks.descent import constraint_at_limit
from verify.checks.points import exact_array, rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.predictions import A, of_A
from verify.sft_predictions import constraint, fine_tuned, moment_form, of_population, population_form
from verify.sft_predictions import in_rationals as at_prompts
from verify.stats import pseudo_inverse_rounds
from verify.stats.bounded import UNIT
from verify.surface import value
from verify.test_descent import at_fixed_point, in_rationals
from verify.test_finetuning import ETA, exact_prompts, overdetermined


def _exact_moment(which, printed):
    """E[w(Sw)ᵀ] or E[Sw(Sw)ᵀ] by Gaussian moments of x and w against the printed words."""
    for d, n in ((1, 2), (2, 1)):
        root = rational(d, d, f"pop{d}{n}")
        X, normals = exact.normal_prompt(root, n)
        w = sp.Matrix([sp.Symbol(f"u{r}") for r in range(d)])
        Sw = exact.covariance(X) * w
        direct = ((w, Sw)[which] * Sw.T).applyfunc(lambda e: exact.gaussian_mean(e, [*normals, *w]))  # noqa: B023
        words = evaluate(printed, {A: exact_array(root * root.T)}, {nt.n: n})
        if not all(sp.expand(a - b) == 0 for a, b in zip(np.ravel(words), direct, strict=True)):
            return False
    return True


@pytest.mark.statements("prop-4.3", "prop-4.3-proof.d")
def test_limit(ledger, profile, seed):
    a, trace, g = sp.symbols("a t g", positive=True)
    derived, _ = population.limit_on_eigenspace(a, trace)

    def on(eigenvalue, form, moment=0):
        """A form in A, Γ₀ and E[S²] where the three are numbers."""
        numbers = {nt.A: eigenvalue, nt.Gamma0: g, nt.MatrixExpectation(nt.S**2): moment}
        values = {symbol: sp.Matrix([[number]]) for symbol, number in numbers.items()}
        return value(form, values | {sp.Trace(nt.A): trace, nt.n: nt.n, nt.eta: nt.eta})[0]

    first = population.task_moments()[0].equals(lower_matrix(nt.A))
    off = finetuning.fixed_point() @ (finetuning.eye_minus_projection())
    kept = off.equals(finetuning.init @ finetuning.eye_minus_projection())
    form = population_form()
    holds = sp.simplify(derived - on(a, form)) == 0 and on(0, form) == -1 / g
    regime = "on each eigenspace of A, 0 included, general n; Ṽ_*(I − ΦΦ†) = −Γ₀⁻¹(I − ΦΦ†)"
    ledger.record("prop-4.3", symbolic(holds and first and kept, regime, "condition", "derivation"))
    sides = registry()["prop-4.3-proof.d"].printed.args[3].args
    holds = all(sp.simplify(derived - on(a, side, -nt.eta * a / derived)) == 0 for side in sides)
    ledger.record(
        "prop-4.3-proof.d", symbolic(holds and first, "general d, n, invertible A", kind="derivation")
    )
    limit = of_population()
    for rank in (None, 2):
        at = seed(f"limit {rank}")
        ledger.record("prop-4.3", check.limit_of_prompts(limit, at, profile, rank, "condition"))
        ledger.record("prop-4.3", check.limit_by_cubature(limit, at, rank, "condition"))
        at = seed(f"rate {rank}")
        ledger.record("prop-4.3", check.approach_in_prompts(limit, at, rank, form="condition"))
    inverse_form, at = of_population("prop-4.3-proof.d"), seed("invertible")
    ledger.record("prop-4.3-proof.d", check.limit_of_prompts(inverse_form, at, profile, None))
    ledger.record("prop-4.3-proof.d", check.limit_by_cubature(inverse_form, at, None))


@pytest.mark.statements("prop-4.3")
def test_unified_formula(ledger):
    """(4.2) as printed against −ηA(E S²)† − Γ₀⁻¹(I − AA†) in rationals; A singular, A = 0."""
    second = lower_matrix(population.SECOND_MOMENT)
    printed = population_form()
    holds = True
    for d, n, rank in ((2, 1, 1), (3, 2, 2), (2, 3, 0), (2, 2, 2)):
        root = rational(d, d, f"uni{d}{n}")
        root[:, rank:] = sp.zeros(d, d - rank)
        cov, gamma0 = root * root.T, sp.diag(*range(2, d + 2))
        moment = sp.Matrix(evaluate(second, {A: exact_array(cov)}, {nt.n: n}))
        outside = gamma0.inv() * (sp.eye(d) - cov * cov.pinv())
        limit = value(printed, {nt.A: cov, nt.Gamma0: gamma0, nt.eta: ETA, nt.n: n})
        holds = holds and limit == -ETA * cov * moment.pinv() - outside
        floats, start, goal = (np.array(m, dtype=float) for m in (cov, gamma0, limit))
        as_float = population.population_limit(floats, n, float(ETA), start)
        # Both parts are made of the eigenvectors of A, which are off by what κ of A makes of rounding.
        size = np.linalg.norm(goal) + 2 * np.linalg.norm(np.linalg.inv(start))
        rounding = 2 * UNIT * pseudo_inverse_rounds(floats) * size
        holds = holds and bool(np.abs(as_float - goal).max() <= rounding)
    ledger.record("prop-4.3", symbolic(holds, "rationals, d ≤ 3, rank A = 0, 1, 2, full", "condition"))


@pytest.mark.statements("prop-4.3")
def test_both_blocks(ledger, seed):
    """With W̃ free the minimiser goes elsewhere: B → ∞ is where Theorem 4.1 fails."""

    def goal(A, n, eta, gamma0):
        return of_population()(A, n, eta, gamma0), np.eye(len(A))

    ledger.record("prop-4.3", counterexample(registry()["prop-4.3"], "outside"))
    ledger.record("prop-4.3", check.both_blocks(goal, seed("both"), True, "condition"))
    ledger.record("prop-4.3", check.both_blocks(goal, seed("both"), False, "outside"))


@pytest.mark.statements("prop-4.3-proof.a")
def test_constraint_at_many_prompts(ledger, seed):
    gap, statement = finetuning.constraint_gap(), registry()["prop-4.3-proof.a"]
    ledger.record("prop-4.3-proof.a", symbolic(gap.is_zero(), "general d, B", kind="derivation"))
    ledger.record("prop-4.3-proof.a", counterexample(statement))
    ledger.record(
        "prop-4.3-proof.a",
        symbolic(
            at_fixed_point(statement.corrected), "general d, B, Φ of any rank", "corrected", "derivation"
        ),
    )
    left, right = in_rationals(statement.corrected, exact_prompts(2, 2, 3))
    ledger.record(
        "prop-4.3-proof.a",
        symbolic(left == right, "rationals, d=2, B=3", "corrected"),
    )
    many = [*overdetermined(seed), tasks_of.task(3, 4, 200, seed("many"))]
    for form in ("printed", "corrected"):
        claim = constraint(statement.id, form)
        ledger.record("prop-4.3-proof.a", constraint_at_limit(claim, many, form))


@pytest.mark.statements("prop-4.3-proof.b", "prop-4.3-proof.c")
@pytest.mark.parametrize(("id", "which"), [("prop-4.3-proof.b", 0), ("prop-4.3-proof.c", 1)])
def test_moments(ledger, profile, seed, id, which):
    printed, derived = moment_form(id), population.task_moments()
    ledger.record(id, symbolic(derived[which].equals(printed), "general d, n", kind="derivation"))
    regime = "Gaussian moments of x and w*, (d,n) = (1,2), (2,1)"
    ledger.record(id, symbolic(_exact_moment(which, printed), regime))
    ledger.record(id, check.prompt_moments(of_A(printed), which, seed(id), profile, 2))


@pytest.mark.statements("prop-4.3-proof.e")
def test_null_space(ledger, seed):
    off = finetuning.fixed_point() @ finetuning.eye_minus_projection()
    kept = off.equals(finetuning.init @ finetuning.eye_minus_projection())
    # Where Φ has the range of A, ΦΦ† is AA†.
    form, g = population_form("prop-4.3-proof.e"), sp.Symbol("g", positive=True)
    on = [value(form, {nt.A: sp.Matrix([[x]]), nt.Gamma0: sp.Matrix([[g]])})[0] for x in (0, 1)]
    regime = "Ṽ_*(I − ΦΦ†) = −Γ₀⁻¹(I − ΦΦ†), general d, B"
    ledger.record("prop-4.3-proof.e", symbolic(kept and on == [-1 / g, 0], regime, kind="derivation"))
    turn = sp.Matrix([[1, 2, 0], [0, 1, 1], [1, 0, 3]])
    prompts = [(turn * X, w) for X, w in exact_prompts(3, 2, 4, 2)]
    cov, gamma0 = turn * sp.diag(1, 2, 0) * turn.T, sp.Matrix([[3, 1, 0], [1, 2, 1], [0, 1, 4]])
    V_star = at_prompts(fine_tuned()[0], prompts, gamma0, ETA)
    same = V_star * (sp.eye(3) - cov * cov.pinv()) == value(form, {nt.A: cov, nt.Gamma0: gamma0})
    regime = "Ṽ_*(I − AA†) in rationals, d=3, rank A=2, B=4, no commutation"
    ledger.record("prop-4.3-proof.e", symbolic(same, regime))
    ledger.record("prop-4.3-proof.e", check.null_space(of_population("prop-4.3-proof.e"), seed("null")))


@pytest.mark.statements("eq-A.wishart2")
def test_second_moment(ledger, profile, seed):
    printed = lower_matrix(registry()["eq-A.wishart2"].printed.rhs)
    derived = population.second_moment()
    ledger.record("eq-A.wishart2", symbolic(derived.equals(printed), "general d, n", kind="derivation"))
    holds = True
    for d, n in ((1, 3), (2, 2)):
        root = rational(d, d, f"w2{d}{n}")
        direct = exact.mean_over_prompts(lambda S: S * S, root, n)
        words = evaluate(printed, {A: exact_array(root * root.T)}, {nt.n: n})
        holds = holds and all(sp.expand(a - b) == 0 for a, b in zip(np.ravel(words), direct, strict=True))
    ledger.record("eq-A.wishart2", symbolic(holds, "Gaussian moments, (d,n) = (1,3), (2,2)"))
    ledger.record("eq-A.wishart2", check.covariance_square(of_A(printed), seed("square"), profile))
