"""Proposition 4.3: evidence for ``theory/population.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import exact, finetuning, population
from theory import notation as nt
from theory.explicit import explicit
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
from verify.test_finetuning import ETA, exact_prompts, overdetermined


def _exact_moment(which):
    """E[w(Sw)ᵀ] or E[Sw(Sw)ᵀ] by Gaussian moments of x and w against the derived words."""
    derived = population.task_moments()[which]
    for d, n in ((1, 2), (2, 1)):
        root = rational(d, d, f"pop{d}{n}")
        X, normals = exact.normal_prompt(root, n)
        w = sp.Matrix([sp.Symbol(f"u{r}") for r in range(d)])
        Sw = exact.covariance(X) * w
        direct = ((w, Sw)[which] * Sw.T).applyfunc(lambda e: exact.gaussian_mean(e, [*normals, *w]))  # noqa: B023
        words = evaluate(derived, {A: exact_array(root * root.T)}, {nt.n: n})
        if not all(sp.expand(a - b) == 0 for a, b in zip(np.ravel(words), direct, strict=True)):
            return False
    return True


@pytest.mark.statements("prop-4.3", "prop-4.3-proof.d", "prop-4.3-proof.e")
def test_limit(ledger, profile, seed):
    a, trace = sp.symbols("a t", positive=True)
    derived, printed = population.limit_on_eigenspace(a, trace)
    holds = sp.simplify(derived - printed) == 0
    first = population.task_moments()[0].equals(lower_matrix(nt.A))
    ledger.record(
        "prop-4.3",
        symbolic(holds and first, "on each eigenspace of A, general n", "condition", "derivation"),
    )
    ledger.record(
        "prop-4.3-proof.d", symbolic(holds and first, "general d, n, invertible A", kind="derivation")
    )
    off = finetuning.fixed_point() @ (finetuning.eye_minus_projection())
    kept = off.equals(finetuning.init @ finetuning.eye_minus_projection())
    ledger.record(
        "prop-4.3", symbolic(kept, "Ṽ_*(I − ΦΦ†) = −Γ₀⁻¹(I − ΦΦ†), general d, B", "condition", "derivation")
    )
    limit = population.population_limit
    for rank in (None, 2):
        at = seed(f"limit {rank}")
        found = check.limit_of_prompts(limit, at, profile, rank, "condition")
        ledger.record("prop-4.3", found)
        if rank is not None:
            ledger.record("prop-4.3-proof.e", replace(found, form="printed"))
        at = seed(f"rate {rank}")
        ledger.record("prop-4.3", check.approach_in_prompts(limit, at, rank, form="condition"))

    def inverse_form(A, n, eta, gamma0):
        second = of_A(lower_matrix(population.SECOND_MOMENT))(A, n)
        return -eta * A @ np.linalg.inv(second)

    ledger.record("prop-4.3-proof.d", check.limit_of_prompts(inverse_form, seed("invertible"), profile, None))


@pytest.mark.statements("prop-4.3")
def test_unified_formula(ledger):
    """(4.2) as printed against −ηA(E S²)† − Γ₀⁻¹(I − AA†) in rationals; A singular, A = 0."""
    second = lower_matrix(population.SECOND_MOMENT)
    printed = registry()["prop-4.3"].printed.args[3].args[1]
    holds = True
    for d, n, rank in ((2, 1, 1), (3, 2, 2), (2, 3, 0), (2, 2, 2)):
        root = rational(d, d, f"uni{d}{n}")
        root[:, rank:] = sp.zeros(d, d - rank)
        cov, gamma0 = root * root.T, sp.diag(*range(2, d + 2))
        moment = sp.Matrix(evaluate(second, {A: exact_array(cov)}, {nt.n: n}))
        outside = gamma0.inv() * (sp.eye(d) - cov * cov.pinv())
        value = explicit(printed, {nt.A: cov, nt.Gamma0: gamma0}, {nt.eta: ETA, nt.n: n, nt.d: d})
        holds = holds and value == -ETA * cov * moment.pinv() - outside
        numbers = (np.array(m, dtype=float) for m in (cov, gamma0))
        as_float = population.population_limit(next(numbers), n, float(ETA), next(numbers))
        holds = holds and np.allclose(as_float, np.array(value, dtype=float), rtol=1e-10, atol=1e-12)
    ledger.record("prop-4.3", symbolic(holds, "rationals, d ≤ 3, rank A = 0, 1, 2, full", "condition"))


@pytest.mark.statements("prop-4.3")
def test_both_blocks(ledger, seed):
    """With W̃ free the minimiser goes elsewhere: B → ∞ is where Theorem 4.1 fails."""

    def goal(A, n, eta, gamma0):
        return population.population_limit(A, n, eta, gamma0), np.eye(len(A))

    ledger.record("prop-4.3", counterexample(registry()["prop-4.3"], "outside"))
    ledger.record("prop-4.3", check.both_blocks(goal, seed("both"), True, "condition"))
    ledger.record("prop-4.3", check.both_blocks(goal, seed("both"), False, "outside"))


@pytest.mark.statements("prop-4.3-proof.a")
def test_constraint_at_many_prompts(ledger, seed):
    gap, normal = finetuning.constraint_gap(), finetuning.normal_equation_gap()
    ledger.record("prop-4.3-proof.a", symbolic(gap.is_zero(), "general d, B", kind="derivation"))
    ledger.record("prop-4.3-proof.a", counterexample(registry()["prop-4.3-proof.a"]))
    ledger.record(
        "prop-4.3-proof.a",
        symbolic(normal.is_zero(), "general d, B, Φ of any rank", "corrected", "derivation"),
    )
    omega, phi = exact.stack(exact_prompts(2, 2, 3))
    fixed = exact.fixed_point(omega, phi, sp.diag(2, 3), ETA)
    ledger.record(
        "prop-4.3-proof.a",
        symbolic(fixed * phi * phi.T == -ETA * omega * phi.T, "rationals, d=2, B=3", "corrected"),
    )
    many = [*overdetermined(seed), tasks_of.task(3, 4, 200, seed("many"))]
    ledger.record("prop-4.3-proof.a", constraint_at_limit(many, False, "printed"))
    ledger.record("prop-4.3-proof.a", constraint_at_limit(many, True, "corrected"))


@pytest.mark.statements("prop-4.3-proof.b", "prop-4.3-proof.c")
@pytest.mark.parametrize(("id", "which"), [("prop-4.3-proof.b", 0), ("prop-4.3-proof.c", 1)])
def test_moments(ledger, profile, seed, id, which):
    printed = (lower_matrix(nt.A), lower_matrix(population.SECOND_MOMENT))
    derived = population.task_moments()
    ledger.record(id, symbolic(derived[which].equals(printed[which]), "general d, n", kind="derivation"))
    ledger.record(id, symbolic(_exact_moment(which), "Gaussian moments of x and w*, (d,n) = (1,2), (2,1)"))
    both = [of_A(m) for m in printed]
    ledger.record(
        id, check.prompt_moments(lambda A, n: (both[0](A, n), both[1](A, n)), which, seed(id), profile, 2)
    )


@pytest.mark.statements("prop-4.3-proof.e")
def test_null_space(ledger, seed):
    off = finetuning.fixed_point() @ finetuning.eye_minus_projection()
    kept = off.equals(finetuning.init @ finetuning.eye_minus_projection())
    ledger.record(
        "prop-4.3-proof.e", symbolic(kept, "Ṽ_*(I − ΦΦ†) = −Γ₀⁻¹(I − ΦΦ†), general d, B", kind="derivation")
    )
    _, phi = exact.stack(exact_prompts(3, 2, 4, 2))
    same = phi * phi.pinv() == sp.diag(1, 1, 0)
    ledger.record("prop-4.3-proof.e", symbolic(same, "ΦΦ† = AA† in rationals, d=3, rank A=2, B=4"))
    ledger.record("prop-4.3-proof.e", check.null_space(population.population_limit, seed("null")))


@pytest.mark.statements("eq-A.wishart2")
def test_second_moment(ledger, profile, seed):
    printed = lower_matrix(population.SECOND_MOMENT)
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
