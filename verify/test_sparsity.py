"""Eq. 3.8: evidence for ``theory/sparsity.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import blocks, exact, pretraining, sparsity
from theory import notation as nt
from theory.lower import lower_scalar
from theory.statement import registry
from theory.words.poly import identity, letter
from verify.checks import sparsity as check
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.model_predictions import corrected
from verify.predictions import full_gradient
from verify.stability_settings import initial
from verify.surface import value


def _entries():
    """The 4 × 4 blocks of V and of W as eq. 3.8 has them, by (matrix, row, column)."""
    return {
        (name, row, col): entry
        for name, chain in zip("VW", registry()["eq-3.8.a"].printed.args, strict=True)
        for row, of_row in enumerate(chain.args[1].args)
        for col, entry in enumerate(of_row.args)
    }


def _stated(d, moving=np.nan):
    """Eq. 3.8 in numbers: V and W, (2d+2, 2d+2), and ``moving`` for what depends on t."""
    found, sizes = _entries(), (d, 1, d, 1)

    def block(name, row, col):
        entry = found[name, row, col]
        return np.full((sizes[row], sizes[col]), moving if entry.free_symbols else float(entry))

    return tuple(np.block([[block(name, row, col) for col in range(4)] for row in range(4)]) for name in "VW")


def _label_rate():
    """dW_yc/dt at W_yc = −1, as registered, at a flow."""
    form = corrected("eq-3.8.b").rhs

    def rate(of):
        given = {nt.V: of.V, nt.W: of.W, nt.A: of.A}
        return value(form, {**given, nt.n: of.n, nt.k: of.k, nt.rho_cot: 1 - of.eta})

    return rate


def _exact_gradient(k, eta, label):
    """The population gradient in all entries at d = 1, n = 2, from the full model and Gaussian moments:
    a dictionary over (matrix, row, column), with x ~ N(0, 4/9)."""
    X, normals = exact.normal_prompt(sp.Matrix([[sp.Rational(2, 3)]]), 2)
    u = sp.Symbol("u")
    w = sp.Matrix([[u]])
    V, W = exact.assemble(rational(1, 1, "sv"), rational(1, 1, "sw"), label)
    found: dict[tuple[str, int, int], sp.Expr] = {}
    for i in range(k + 1):
        columns = [exact.weight_column(exact.target(w, eta, j)) for j in range(i + 1)]
        Z = exact.embed(X, w, columns)
        z = Z[:, -1]
        miss = exact.forward(Z, V, W, 2) - exact.weight_column(exact.target(w, eta, i + 1))
        mixed = Z * (Z.T * (W * z)) / 2
        back = Z * (Z.T * (V.T * miss)) / 2
        for row in range(4):
            for col in range(4):
                for name, slope in (("V", miss[row] * mixed[col]), ("W", back[row] * z[col])):
                    mean = exact.gaussian_mean(slope, [*normals, u])
                    found[name, row, col] = found.get((name, row, col), 0) + mean
    return found


@pytest.mark.statements("eq-3.8.a")
def test_zero_blocks_derived(ledger):
    gradient = sparsity.population_gradient()
    outside = [v for key, v in gradient.items() if key not in sparsity.IN_PATTERN]
    inside = [v for key, v in gradient.items() if key in sparsity.IN_PATTERN]
    holds = all(v.is_zero() for v in outside) and not any(v.is_zero() for v in inside)
    stated = _entries()
    holds = holds and all((stated[key] == 0) == (key not in sparsity.IN_PATTERN) for key in gradient)
    ledger.record(
        "eq-3.8.a", symbolic(holds, "all 32 blocks, general d, n, i, A, Ṽ, W̃, W_yc", kind="derivation")
    )
    direct = _exact_gradient(2, sp.Rational(2, 5), -1)
    ok = all((slope == 0) == (stated[key] == 0) for key, slope in direct.items())
    ledger.record("eq-3.8.a", symbolic(ok, "full model and Gaussian moments, d=1, n=2, k=2, all 32 entries"))


@pytest.mark.statements("eq-3.8.a")
def test_zero_blocks_measured(ledger, seed):
    """From zero, a unit of descent leads to minus the gradient: the print says to what."""
    inside = full_gradient(sparsity.population_gradient())

    def prediction(of):
        pairs = zip(_stated(len(of.V)), inside(of), strict=True)
        return tuple(np.where(np.isnan(stated), slope, -stated) for stated, slope in pairs)

    ledger.record("eq-3.8.a", check.population_gradient(prediction, seed("zeros"), "others"))
    ledger.record("eq-3.8.a", check.zero_blocks(_stated(2), seed("pairs"), True))


@pytest.mark.statements("eq-3.8.b")
def test_label_moves(ledger, seed):
    claim = registry()["eq-3.8.b"].printed.args[1]
    moved = sparsity.label_gradient()
    ledger.record(
        "eq-3.8.b", symbolic(moved.is_zero(), "∂L/∂W_yc = 0, general d, n, i", "outside", "derivation")
    )
    restricted = [v for key, v in sparsity.population_gradient().items() if key not in sparsity.IN_PATTERN]
    ledger.record(
        "eq-3.8.b",
        symbolic(
            all(v.is_zero() for v in restricted) and blocks.pattern()[1][1][3].equals(identity(1) * claim),
            "no entry but Ṽ, W̃ and W_yc has a gradient: with W_yc held at −1, (3.8) as printed",
            "condition",
            "derivation",
        ),
    )
    ledger.record("eq-3.8.b", counterexample(registry()["eq-3.8.b"], "outside"))
    direct = _exact_gradient(1, sp.Rational(2, 5), -1)["W", 1, 3]
    form = corrected("eq-3.8.b").rhs
    at = {nt.V: rational(1, 1, "sv"), nt.W: rational(1, 1, "sw"), nt.A: sp.Matrix([sp.Rational(4, 9)])}
    rate = value(form, {**at, nt.n: 2, nt.k: 1, nt.rho_cot: sp.Rational(3, 5)})
    ledger.record(
        "eq-3.8.b", symbolic(sp.simplify(rate + direct) == 0, "Gaussian moments, d=1, n=2, k=1", "corrected")
    )
    rate_at = _label_rate()

    def prediction(of):
        V, W = np.zeros((2, 2 * len(of.V) + 2, 2 * len(of.V) + 2))
        W[len(of.V), 2 * len(of.V) + 1] = -rate_at(of)
        return V, W

    ledger.record("eq-3.8.b", check.population_gradient(prediction, seed("label"), "label", "corrected"))


@pytest.mark.statements("eq-3.8.b")
def test_label_in_training(ledger, seed):
    of = check.flow(seed("flow"))
    # The paper's initialisation (3.6), pretrained on another covariance than A.
    at = replace(of, V=initial(np.diag([0.5, 2.0]), of.n), W=np.eye(2))
    ledger.record("eq-3.8.b", check.label_after_descent(lambda _: 0.0, at, "outside"))
    ledger.record("eq-3.8.b", check.label_after_descent(_label_rate(), at, "corrected"))


@pytest.mark.statements("eq-3.8.b")
def test_label_held(ledger, seed):
    V, W = _stated(2, moving=0.0)
    W[2, 5] = float(registry()["eq-3.8.b"].printed.args[1])
    ledger.record(
        "eq-3.8.b", check.zero_blocks((V, W), seed("held"), True, hold_label=True, form="condition")
    )


@pytest.mark.statements("eq-3.8.b")
def test_conserved(ledger):
    """⟨Ṽ, ∂L/∂Ṽ⟩ = ⟨W̃, ∂L/∂W̃⟩ + W_yc ∂L/∂W_yc, prompt by prompt: the step is linear in each side."""
    found = sparsity.prompt_gradient()
    v, w = (letter(nt.letter_of(m)) for m in (nt.V, nt.W))
    left = (v.T @ found["V", 2, 0]).trace()
    right = (w.T @ found["W", 0, 2]).trace() + found["W", 1, 3].trace() * pretraining.b
    form, rho = corrected("eq-3.8.b").rhs, nt.rho_cot
    steps = form.replace(
        lambda e: isinstance(e, sp.Sum), lambda e: sp.Add(*(e.function.subs(nt.i, i) for i in range(3)))
    )
    slope = sparsity.on_path(sparsity.label_gradient(), 1 - rho, 2).trace()
    mean = slope.map_coefficients(lambda c: sp.expand(c.subs(pretraining.b, -1)))
    rate = lower_scalar(steps).map_coefficients(sp.expand)
    ledger.record(
        "eq-3.8.b",
        symbolic(
            left.equals(right) and rate.equals(mean * -1),
            "minus the mean slope at k = 2, of a flow that conserves ‖Ṽ‖² − ‖W̃‖² − W_yc², general d, n",
            "corrected",
            "derivation",
        ),
    )
    assert blocks.NAMES[1] + blocks.NAMES[3] == "yc"
