"""Eqs. 3.6 and 3.7: evidence for ``theory/pretraining.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import exact, pretraining
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.poly import identity, letter, substitute
from verify.checks import pretraining as check
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.model_predictions import corrected
from verify.predictions import V
from verify.surface import value


def _gamma0(Sigma0, n):
    """Γ₀ of (3.7) as registered, in floats or rationals."""
    _, gamma0 = registry()["eq-3.6.a"].printed.args
    return value(gamma0.rhs, {nt.Sigma0: Sigma0, nt.n: n})


def _end(form, Sigma0, n, initial):
    """``form`` in Σ₀, Γ₀ and the initial Ṽ."""
    return value(
        form, {nt.Sigma0: Sigma0, nt.Gamma0: _gamma0(Sigma0, n), pretraining.V_init: initial, nt.n: n}
    )


def _slope(M, root, n):
    """The gradient of E‖I + MS‖_F² by Gaussian moments of the definition."""
    size = M.rows
    names = sp.Matrix(size, size, lambda r, c: sp.Symbol(f"v{r}{c}"))
    risk = exact.mean_over_prompts(lambda S: exact.frobenius_squared(sp.eye(size) + names * S), root, n)
    at = dict(zip(names, M, strict=True))
    return sp.Matrix(size, size, [sp.diff(risk, s).subs(at) for s in names])


@pytest.mark.statements("eq-3.6.a")
def test_minimiser_derived(ledger):
    claim = registry()["eq-3.6.a"].printed
    limit, gamma0 = (side.rhs for side in claim.args)
    zero_slope = True
    for d, n in ((1, 2), (2, 1)):
        root = rational(d, d, f"pre{d}{n}")
        end = _end(limit, root * root.T, n, sp.zeros(d))
        zero_slope = zero_slope and _slope(end, root, n) == sp.zeros(d)
    ledger.record(
        "eq-3.6.a",
        symbolic(zero_slope, "gradient by Gaussian moments, (d,n) = (1,2), (2,1), Σ₀ ≻ 0", "condition"),
    )
    # The gradient is 2(ṼΓ₀ + I)Σ₀ with the Γ₀ of (3.7), and −Γ₀⁻¹ lets it vanish.
    derived = pretraining.gamma0_derived().equals(lower_matrix(gamma0))
    solved = (lower_matrix(limit) @ lower_matrix(nt.Gamma0) + identity(nt.d)).is_zero()
    ledger.record(
        "eq-3.6.a",
        symbolic(derived and solved, "(ṼΓ₀ + I)Σ₀ = 0, Γ₀ of (3.7), general d, n", "condition", "derivation"),
    )


@pytest.mark.statements("eq-3.6.a")
def test_singular_covariance(ledger):
    """The gradient vanishes on −Γ₀⁻¹P + ṼᵢₙᵢₜP^⊥ for every Ṽᵢₙᵢₜ, and never points off range(Σ₀)."""
    ledger.record("eq-3.6.a", counterexample(registry()["eq-3.6.a"], "outside"))
    root = sp.Matrix([[1, 0], [2, 0]])
    Sigma0, start = root * root.T, rational(2, 2, "start")
    onto = Sigma0 * Sigma0.pinv()
    end = _end(corrected("eq-3.6.a").rhs, Sigma0, 1, start)
    still = _slope(end, root, 1) == sp.zeros(2) and (end - start) * (sp.eye(2) - onto) == sp.zeros(2)
    kept = _slope(start, root, 1) * (sp.eye(2) - onto) == sp.zeros(2)
    ledger.record(
        "eq-3.6.a", symbolic(still and kept, "Gaussian moments, Σ₀ = [[1,2],[2,4]], n=1", "corrected")
    )


@pytest.mark.statements("eq-3.6.a")
def test_training_of_V(ledger, profile, seed):
    limit, on_range = registry()["eq-3.6.a"].printed.args[0].rhs, corrected("eq-3.6.a").rhs
    printed = lambda *at: _end(limit, *at)  # noqa: E731
    everywhere = lambda *at: _end(on_range, *at)  # noqa: E731
    ledger.record("eq-3.6.a", check.block_V(printed, seed("V"), profile, {"V"}))
    ledger.record("eq-3.6.a", check.block_V(printed, seed("V and W"), profile, {"V", "W"}))
    ledger.record("eq-3.6.a", check.block_V(printed, seed("rank 2"), profile, {"V"}, 2, "outside"))
    ledger.record("eq-3.6.a", check.block_V(everywhere, seed("rank 2"), profile, {"V"}, 2, "corrected"))


@pytest.mark.statements("eq-3.6.b")
def test_training_of_W(ledger, seed):
    row, unchanged = registry()["eq-3.6.b"], corrected("eq-3.6.b").rhs
    unread = nt.letter_of(nt.W) not in pretraining.prediction().letters()
    at_one = lower_matrix(row.printed.rhs).equals(identity(nt.d))
    ledger.record(
        "eq-3.6.b",
        symbolic(unread and at_one, "ŵ_1 does not read W̃, so a W̃ at I stays", "condition", "derivation"),
    )
    start = letter(nt.letter_of(pretraining.W_init))
    kept = lower_matrix(unchanged).equals(start)
    ledger.record(
        "eq-3.6.b",
        symbolic(unread and kept, "∂L/∂W̃ = 0, so W̃ stays, general d, n", "corrected", "derivation"),
    )
    ledger.record("eq-3.6.b", counterexample(row, "outside"))

    def printed(_):
        return np.array(value(row.printed.rhs, {nt.d: check.D}), dtype=float)

    at = seed("W")
    ledger.record("eq-3.6.b", check.block_W(printed, at, np.eye(check.D), "condition"))
    ledger.record("eq-3.6.b", check.block_W(printed, at, None, "outside"))
    kept_there = lambda start: value(unchanged, {pretraining.W_init: start})  # noqa: E731
    ledger.record("eq-3.6.b", check.block_W(kept_there, at, None, "corrected"))


@pytest.mark.statements("eq-3.6.c")
def test_label_entry(ledger, profile, seed):
    row, loss, b = registry()["eq-3.6.c"], pretraining.loss(), pretraining.b
    label, stated = float(row.printed.rhs), corrected("eq-3.6.c").rhs
    # The loss along Ṽ = U/b does not depend on b: −1 is as good as any other value, and makes Ṽ −Γ₀⁻¹.
    U = nt.LETTERS["G"]
    ridge = substitute(loss, {V: lower_matrix(nt.G) * (1 / b)})
    free = all(not sp.simplify(c).has(b) for c in ridge.terms.values()) and U in ridge.letters()
    limit = lower_matrix(registry()["eq-3.6.a"].printed.args[0].rhs)
    scaled = (limit * row.printed.rhs).equals(lower_matrix(nt.Gamma0.I))
    ledger.record(
        "eq-3.6.c",
        symbolic(
            free and scaled,
            "the loss depends on W_yc Ṽ alone, which is Γ₀⁻¹ at W_yc = −1",
            "condition",
            "derivation",
        ),
    )
    inner, radial = pretraining.conserved()
    gamma, sigma = lower_matrix(nt.Gamma0), lower_matrix(nt.Sigma0)
    solved = (gamma @ lower_matrix(stated) @ sigma).equals(sigma)
    ledger.record(
        "eq-3.6.c",
        symbolic(
            inner.equals(radial) and solved,
            "⟨Ṽ, ∂L/∂Ṽ⟩ = W_yc ∂L/∂W_yc: the flow conserves ‖Ṽ‖² − W_yc²; Γ₀ times the product is I on Σ₀",
            "corrected",
            "derivation",
        ),
    )
    ledger.record("eq-3.6.c", counterexample(row, "outside"))
    root = sp.Matrix([[1, 0], [2, 0]])
    product = _end(stated, root * root.T, 2, sp.zeros(2))
    still = _slope(-product, root, 2) == sp.zeros(2)
    ledger.record(
        "eq-3.6.c",
        symbolic(still, "no slope at W_yc Ṽ P = Γ₀⁻¹P, Gaussian moments, singular Σ₀", "corrected"),
    )
    inverse = lambda *at: _end(stated, *at)  # noqa: E731
    ledger.record("eq-3.6.c", check.held_label(label, seed("held")))
    ledger.record(
        "eq-3.6.c", check.free_label(lambda *_: np.array([label]), seed("label"), profile, "label", "outside")
    )
    ledger.record("eq-3.6.c", check.free_label(inverse, seed("label"), profile, "product", "corrected"))
