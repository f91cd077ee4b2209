"""Printed formulas evaluated at a point, in floats and in rationals."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import model
from theory import notation as nt
from theory.errors import ArgumentError
from theory.statement import registry
from verify.ledger import load_statements
from verify.surface import value

RNG = np.random.default_rng(20261122)
D, B, K = 3, 2, 3
V, W = RNG.normal(size=(2, D, D))
S = RNG.normal(size=(B, D, D))
STAR = RNG.normal(size=(B, D, 1))


def test_a_sum_over_prompts_and_steps() -> None:
    load_statements()
    given = {
        nt.V: V,
        nt.W: W,
        nt.S_tau: lambda tau: S[tau - 1],
        nt.w_star_tau: lambda tau: STAR[tau - 1],
        nt.k: K,
        nt.B: B,
    }
    total = 0.0
    for Sigma_hat, star in zip(S, STAR, strict=True):
        weights = np.zeros((D, 1))
        for _ in range(K):
            weights = weights + V @ Sigma_hat @ (W @ weights - star)
        total += float(np.sum((weights - star) ** 2))
    assert value(registry()["prop-6.1.a"].printed.rhs, given) == pytest.approx(total / (2 * B), rel=1e-12)


def test_pseudo_inverses_in_rationals() -> None:
    A = sp.diag(1, 2, 0)
    form = nt.eta * nt.Pinv(nt.A) + nt.I - nt.A * nt.Pinv(nt.A)
    assert value(form, {nt.A: A, nt.eta: sp.Rational(1, 3)}) == sp.diag(
        sp.Rational(1, 3), sp.Rational(1, 6), 1
    )
    assert np.allclose(value(form, {nt.A: np.diag([1.0, 2, 0]), nt.eta: 0.5}), np.diag([0.5, 0.25, 1]))


def test_blocks_columns_and_norms() -> None:
    column = nt.Column(nt.w_star, 1)
    star = sp.Matrix([1, -2, 3])
    assert value(column, {nt.w_star: star}) == sp.Matrix([1, -2, 3, 1])
    assert value(nt.NormSquared(nt.w_star), {nt.w_star: star}) == 14
    assert value(nt.OperatorNorm(nt.V), {nt.V: np.diag([1.0, -3.0])}) == pytest.approx(3)
    assert value(nt.NormSquared(nt.w_star) < 15, {nt.w_star: star}) == sp.true


def test_what_has_no_value_is_named() -> None:
    with pytest.raises(ArgumentError, match="eta"):
        value(nt.eta * nt.V, {nt.V: V})
    with pytest.raises(ArgumentError, match="Argmin"):
        value(nt.Argmin(nt.eta, nt.eta), {nt.eta: 1})


def test_a_sum_over_prompts_and_steps_of_what_depends_on_both() -> None:
    load_statements()
    form, one = registry()["eq-3.5.b"].printed.rhs, np.ones((4, 1))
    given = {
        nt.V: V,
        nt.k: K,
        nt.B: B,
        model.output: lambda tau: lambda i: (2.0 * tau + i) * one,
        model.target_tau: lambda tau: 0 * one,
    }
    total = sum(4 * (2 * tau + i) ** 2 for tau in (1, 2) for i in range(K + 1))
    assert value(form, given) == pytest.approx(total / (2 * B))


def test_arrays_of_rationals_stay_rational() -> None:
    matrix = np.array([[sp.Rational(1, 3), sp.Integer(2)], [sp.Integer(0), sp.Rational(1, 7)]])
    found = value(nt.I + nt.V**2 / nt.n, {nt.V: matrix, nt.n: 3})
    assert found[0, 0] == 1 + sp.Rational(1, 27)
    assert value(nt.FrobeniusSquared(nt.V), {nt.V: matrix}) == sp.Rational(1, 9) + 4 + sp.Rational(1, 49)
