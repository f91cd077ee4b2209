"""Eqs. 3.6 and 3.7: evidence for ``theory/pretraining.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import exact, pretraining
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.evaluate import evaluate
from theory.words.poly import identity, substitute
from verify.checks import pretraining as check
from verify.checks.points import exact_array, rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.predictions import SIGMA0, V, of_sigma0

PRINTED = lower_matrix(-nt.Gamma0.I)


def _slope(M, root, n):
    """The gradient of E‖I + MS‖_F² by Gaussian moments of the definition."""
    size = M.rows
    names = sp.Matrix(size, size, lambda r, c: sp.Symbol(f"v{r}{c}"))
    risk = exact.mean_over_prompts(lambda S: exact.frobenius_squared(sp.eye(size) + names * S), root, n)
    at = dict(zip(names, M, strict=True))
    return sp.Matrix(size, size, [sp.diff(risk, s).subs(at) for s in names])


def _gamma0(Sigma0, n):
    return evaluate(pretraining.gamma0_derived(), {SIGMA0: exact_array(Sigma0)}, {nt.n: n})


@pytest.mark.statements("eq-3.6.a")
def test_minimiser_derived(ledger):
    derived, printed = pretraining.gamma0_derived(), pretraining.gamma0_printed()
    ledger.record(
        "eq-3.6.a", symbolic(derived.equals(printed), "Γ₀ of (3.7), general d, n", "condition", "derivation")
    )
    # −Γ₀⁻¹ solves (ṼΓ₀ + I)Σ₀ = 0: put Γ₀ for the derived factor and let the inverse cancel.
    gamma = lower_matrix(nt.Gamma0)
    solved = (PRINTED @ gamma + identity(nt.d)).is_zero()
    ledger.record(
        "eq-3.6.a", symbolic(solved, "(ṼΓ₀ + I)Σ₀ = 0 at −Γ₀⁻¹, general d", "condition", "derivation")
    )
    zero_slope = True
    for d, n in ((1, 2), (2, 1)):
        root = rational(d, d, f"pre{d}{n}")
        gamma0 = sp.Matrix(_gamma0(root * root.T, n))
        zero_slope = zero_slope and _slope(-gamma0.inv(), root, n) == sp.zeros(d)
    ledger.record(
        "eq-3.6.a",
        symbolic(zero_slope, "gradient by Gaussian moments, (d,n) = (1,2), (2,1), Σ₀ ≻ 0", "condition"),
    )


@pytest.mark.statements("eq-3.6.a")
def test_singular_covariance(ledger):
    """The gradient vanishes on −Γ₀⁻¹P + ṼᵢₙᵢₜP^⊥ for every Ṽᵢₙᵢₜ, and never points off range(Σ₀)."""
    ledger.record("eq-3.6.a", counterexample(registry()["eq-3.6.a"], "outside"))
    root = sp.Matrix([[1, 0], [2, 0]])
    Sigma0, start = root * root.T, rational(2, 2, "start")
    onto = Sigma0 * Sigma0.pinv()
    corrected = -sp.Matrix(_gamma0(Sigma0, 1)).inv() * onto + start * (sp.eye(2) - onto)
    still = _slope(corrected, root, 1) == sp.zeros(2)
    kept = _slope(start, root, 1) * (sp.eye(2) - onto) == sp.zeros(2)
    ledger.record(
        "eq-3.6.a", symbolic(still and kept, "Gaussian moments, Σ₀ = [[1,2],[2,4]], n=1", "corrected")
    )


@pytest.mark.statements("eq-3.6.a")
def test_training_of_V(ledger, profile, seed):
    printed = of_sigma0(PRINTED)
    corrected = of_sigma0(lower_matrix(pretraining.ON_RANGE))
    ledger.record("eq-3.6.a", check.block_V(printed, seed("V"), profile, {"V"}))
    ledger.record("eq-3.6.a", check.block_V(printed, seed("V and W"), profile, {"V", "W"}))
    ledger.record("eq-3.6.a", check.block_V(printed, seed("singular"), profile, {"V"}, 2, "outside"))
    ledger.record("eq-3.6.a", check.block_V(corrected, seed("singular"), profile, {"V"}, 2, "corrected"))


@pytest.mark.statements("eq-3.6.b")
def test_training_of_W(ledger, seed):
    letters = pretraining.prediction().letters()
    ledger.record(
        "eq-3.6.b",
        symbolic(
            nt.letter_of(nt.W) not in letters,
            "ŵ_1 does not read W̃, so a W̃ at I stays",
            "condition",
            "derivation",
        ),
    )
    ledger.record(
        "eq-3.6.b",
        symbolic(nt.letter_of(nt.W) not in letters, "∂L/∂W̃ = 0, general d, n", "corrected", "derivation"),
    )
    ledger.record("eq-3.6.b", counterexample(registry()["eq-3.6.b"], "outside"))
    at = seed("W")
    ledger.record("eq-3.6.b", check.block_W(lambda _: np.eye(check.D), at, np.eye(check.D), "condition"))
    ledger.record("eq-3.6.b", check.block_W(lambda _: np.eye(check.D), at, None, "outside"))
    ledger.record("eq-3.6.b", check.block_W(lambda start: start, at, None, "corrected"))


@pytest.mark.statements("eq-3.6.c")
def test_label_entry(ledger, profile, seed):
    loss, b = pretraining.loss(), pretraining.b
    # The loss along Ṽ = U/b does not depend on b: −1 is as good as any other value.
    U = nt.LETTERS["G"]
    ridge = substitute(loss, {V: lower_matrix(nt.G) * (1 / b)})
    free = all(not sp.simplify(c).has(b) for c in ridge.terms.values())
    ledger.record(
        "eq-3.6.c",
        symbolic(
            free and U in ridge.letters(), "the loss depends on W_yc Ṽ alone", "condition", "derivation"
        ),
    )
    inner, radial = pretraining.conserved()
    ledger.record(
        "eq-3.6.c",
        symbolic(
            inner.equals(radial),
            "⟨Ṽ, ∂L/∂Ṽ⟩ = W_yc ∂L/∂W_yc: the flow conserves ‖Ṽ‖² − W_yc²",
            "corrected",
            "derivation",
        ),
    )
    ledger.record("eq-3.6.c", counterexample(registry()["eq-3.6.c"], "outside"))
    root = sp.Matrix([[1, 0], [2, 0]])
    onto = (root * root.T) * (root * root.T).pinv()
    still = _slope(-sp.Matrix(_gamma0(root * root.T, 2)).inv() * onto, root, 2) == sp.zeros(2)
    ledger.record(
        "eq-3.6.c",
        symbolic(still, "no slope at W_yc Ṽ P = Γ₀⁻¹P, Gaussian moments, singular Σ₀", "corrected"),
    )
    inverse = of_sigma0(lower_matrix(nt.Gamma0.I * pretraining.ONTO))
    ledger.record("eq-3.6.c", check.held_label(-1.0, seed("held")))
    ledger.record(
        "eq-3.6.c", check.free_label(lambda *_: np.array([-1.0]), seed("label"), profile, "label", "outside")
    )
    ledger.record("eq-3.6.c", check.free_label(inverse, seed("label"), profile, "product", "corrected"))
