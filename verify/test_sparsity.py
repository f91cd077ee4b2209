"""Eq. 3.8: evidence for ``theory/sparsity.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from theory import blocks, exact, pretraining, sparsity
from theory import notation as nt
from theory.statement import registry
from theory.words.poly import letter
from verify.checks import sparsity as check
from verify.checks.points import rational
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.predictions import full_gradient, label_flow


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
                for name, value in (("V", miss[row] * mixed[col]), ("W", back[row] * z[col])):
                    mean = exact.gaussian_mean(value, [*normals, u])
                    found[name, row, col] = found.get((name, row, col), 0) + mean
    return found


@pytest.mark.statements("eq-3.8.a")
def test_zero_blocks_derived(ledger):
    gradient = sparsity.population_gradient()
    outside = [v for key, v in gradient.items() if key not in sparsity.IN_PATTERN]
    inside = [v for key, v in gradient.items() if key in sparsity.IN_PATTERN]
    holds = all(v.is_zero() for v in outside) and not any(v.is_zero() for v in inside)
    ledger.record(
        "eq-3.8.a", symbolic(holds, "all 32 blocks, general d, n, i, A, Ṽ, W̃, W_yc", kind="derivation")
    )
    direct = _exact_gradient(2, sp.Rational(2, 5), -1)
    ok = all((value == 0) == (key not in sparsity.IN_PATTERN) for key, value in direct.items())
    ledger.record("eq-3.8.a", symbolic(ok, "full model and Gaussian moments, d=1, n=2, k=2, all 32 entries"))


@pytest.mark.statements("eq-3.8.a")
def test_zero_blocks_measured(ledger, profile, seed):
    prediction = full_gradient(sparsity.population_gradient())
    ledger.record("eq-3.8.a", check.population_gradient(prediction, seed("zeros"), profile, "zeros"))
    ledger.record("eq-3.8.a", check.population_gradient(prediction, seed("blocks"), profile, "blocks"))
    ledger.record("eq-3.8.a", check.zero_blocks(0.0, seed("pairs"), True))


@pytest.mark.statements("eq-3.8.b")
def test_label_moves(ledger, profile, seed):
    moved = sparsity.label_gradient()
    ledger.record(
        "eq-3.8.b", symbolic(moved.is_zero(), "∂L/∂W_yc = 0, general d, n, i", "outside", "derivation")
    )
    restricted = [v for key, v in sparsity.population_gradient().items() if key not in sparsity.IN_PATTERN]
    ledger.record(
        "eq-3.8.b",
        symbolic(
            all(v.is_zero() for v in restricted),
            "no entry but Ṽ, W̃ and W_yc has a gradient: with W_yc held, (3.8) as printed",
            "condition",
            "derivation",
        ),
    )
    ledger.record("eq-3.8.b", counterexample(registry()["eq-3.8.b"], "outside"))
    direct = _exact_gradient(1, sp.Rational(2, 5), -1)["W", 1, 3]
    at = {
        nt.letter_of(nt.V): np.array([[rational(1, 1, "sv")[0]]], dtype=object),
        nt.letter_of(nt.W): np.array([[rational(1, 1, "sw")[0]]], dtype=object),
        nt.letter_of(nt.A): np.array([[sp.Rational(4, 9)]], dtype=object),
    }
    from theory.words.evaluate import evaluate

    total = sparsity.on_path(moved, sp.Rational(2, 5), 1)
    value = evaluate(total, at, {nt.n: 2, pretraining.b: -1})[0, 0]
    ledger.record(
        "eq-3.8.b", symbolic(sp.simplify(value - direct) == 0, "Gaussian moments, d=1, n=2, k=1", "corrected")
    )
    prediction = full_gradient(sparsity.population_gradient())
    ledger.record(
        "eq-3.8.b", check.population_gradient(prediction, seed("label"), profile, "label", "corrected")
    )


@pytest.mark.statements("eq-3.8.b")
def test_label_in_training(ledger, seed):
    of = replace(check.flow(seed("flow")), n=12)
    # The paper's initialisation (3.6), pretrained on another covariance than A.
    gamma0 = pretraining.gamma0(np.diag([0.5, 2.0]), of.n)
    at = replace(of, V=np.asarray(-np.linalg.inv(gamma0), dtype=float), W=np.eye(2))
    per_prompt = sparsity.prompt_gradient()["W", 1, 3]
    ledger.record("eq-3.8.b", check.label_after_descent(lambda *_: 0.0, at, seed("descent"), "outside"))
    ledger.record(
        "eq-3.8.b", check.label_after_descent(label_flow(per_prompt), at, seed("descent"), "corrected")
    )


@pytest.mark.statements("eq-3.8.b")
def test_label_held(ledger, seed):
    ledger.record("eq-3.8.b", check.zero_blocks(0.0, seed("held"), True, hold_label=True, form="condition"))


@pytest.mark.statements("eq-3.8.b")
def test_conserved(ledger, seed):
    """⟨Ṽ, ∂L/∂Ṽ⟩ = ⟨W̃, ∂L/∂W̃⟩ + W_yc ∂L/∂W_yc, prompt by prompt: the step is linear in each side."""
    found = sparsity.prompt_gradient()
    v, w = (letter(nt.letter_of(m)) for m in (nt.V, nt.W))
    left = (v.T @ found["V", 2, 0]).trace()
    right = (w.T @ found["W", 0, 2]).trace() + found["W", 1, 3].trace() * pretraining.b
    ledger.record(
        "eq-3.8.b",
        symbolic(left.equals(right), "‖Ṽ‖² − ‖W̃‖² − W_yc² conserved, general d", "corrected", "derivation"),
    )
    ledger.record("eq-3.8.b", check.conserved_change(seed("conserved"), 0.0))
    assert blocks.NAMES[1] + blocks.NAMES[3] == "yc"
