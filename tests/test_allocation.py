"""The best post-training covariance in numbers: closed forms, optimality, borders, bad input.

Figures of the paper's settings (d = 400, Σ₀ = diag(0.1, 1), Δ = diag(1, 0), m = 200) are recomputed here
from the eigenvalues, by hand arithmetic that shares nothing with the module.
"""

from __future__ import annotations

import numpy as np
import pytest

from theory.allocation import (
    allocation_table,
    full_risk_allocation,
    optimal_allocation,
    post_training_risk,
    risk_parts,
)
from theory.allocation_optimum import _on_cone, constrained_spectrum
from theory.errors import ArgumentError
from theory.population import population_limit
from theory.pretraining import gamma0
from theory.risk import one_step_risk

CAPTION = ((200, 0.1, 1.0), (200, 1.0, 0.0))
RUNNING = ((200, 0.1, 1.0), (200, 0.0, 0.0))


def covariance(m, key, least=0.05):
    root = np.random.default_rng(key).normal(size=(m, m))
    return root @ root.T + least * np.eye(m)


def value_at(A, Sigma_U, n, eta):
    m = len(A)
    M = (n + 1) / n * A + np.trace(A) / n * np.eye(m)
    return float(np.linalg.norm(np.eye(m) - eta * np.linalg.inv(M) @ Sigma_U) ** 2)


# The operator ---------------------------------------------------------------------------------------


def test_feasible_operator_is_zero():
    Sigma_U = np.diag([1.0, 1.3, 0.8]) + 0.1
    found = optimal_allocation(Sigma_U, 3, 0.4)
    assert found.feasible
    assert found.value == 0.0
    assert value_at(found.A, Sigma_U, 3, 0.4) < 1e-28
    np.testing.assert_array_equal(found.A, found.stationary)


def test_hand_example():
    """n = 1, Σ_U = diag(4, 1): α = η(σ₁² + 9σ₂²)/(3(σ₁ + 3σ₂)) = 25η/21, value 1/25; ηΣ_U has 10053/8281."""
    found = optimal_allocation(np.diag([4.0, 1.0]), 1, 1.0)
    assert not found.feasible
    np.testing.assert_allclose(found.A, np.diag([25 / 21, 0]), atol=1e-14)
    np.testing.assert_allclose(found.value, 1 / 25, atol=1e-14)
    np.testing.assert_allclose(found.stationary, np.diag([11 / 8, -1 / 8]), atol=1e-14)
    printed = value_at(np.diag([4.0, 1.0]), np.diag([4.0, 1.0]), 1, 1.0)
    np.testing.assert_allclose(printed, 10053 / 8281, rtol=1e-13)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 1), (2, 7), (3, 2), (4, 1), (5, 3), (6, 1)])
def test_operator_against_a_search(m, n):
    """The root in one unknown against BFGS over A = LLᵀ: two ways with nothing in common."""
    for key in range(12):
        Sigma_U = covariance(m, 100 * m + key)
        found = optimal_allocation(Sigma_U, n, 0.7)
        if found.feasible:
            assert value_at(found.A, Sigma_U, n, 0.7) < 1e-20
            continue
        other = 0.7 * _on_cone(Sigma_U @ Sigma_U, Sigma_U, n)
        np.testing.assert_allclose(found.A, other, atol=1e-10 * np.linalg.norm(other))
        np.testing.assert_allclose(value_at(found.A, Sigma_U, n, 0.7), found.value, atol=1e-12)
        assert np.linalg.norm(found.A @ Sigma_U - Sigma_U @ found.A) < 1e-12 * np.linalg.norm(Sigma_U) ** 2
        assert np.linalg.eigvalsh(found.A)[0] > -1e-13


def test_projection_onto_the_cone():
    """z = σ/μ is the projection of (1, …, 1) on a convex cone: ⟨1 − z, z⟩ = 0 and ⟨1 − z, w⟩ ≤ 0 on it."""
    rng = np.random.default_rng(5)
    for sigma, n in (([5.0, 1.0, 0.3, 0.02], 2), ([1e6, 1.0, 1e-6], 1), ([9.0, 1.0, 1.0, 1.0, 0.1], 4)):
        s = np.array(sigma)
        mu = constrained_spectrum(s, n)
        z, N = s / mu, n + 1 + len(s)
        assert mu.min() >= mu.sum() / N * (1 - 1e-12)
        assert abs((1 - z) @ z) < 1e-12 * len(s)
        for _ in range(200):
            x = rng.exponential(size=len(s)) + 1e-3
            while x.max() * (1 / x).sum() > N:
                x = np.sqrt(x * x.mean())
            assert (1 - z) @ (s * x) <= 1e-9 * np.linalg.norm(s * x)


def test_border_of_feasibility():
    """λ_min = tr/(n+1+m): both ways give the same singular A."""
    n, sigma = 1, np.array([3.0, 1.0])  # tr = 4 = (1 + 1 + 2)·1
    inside = optimal_allocation(np.diag(sigma), n, 1.0)
    outside = optimal_allocation(np.diag(sigma - [0, 1e-9]), n, 1.0)
    assert inside.feasible
    assert not outside.feasible
    np.testing.assert_allclose(inside.A, outside.A, atol=1e-8)
    assert abs(inside.A[1, 1]) < 1e-15


# The full risk --------------------------------------------------------------------------------------


def shifted(d, m, key, crossing=True):
    rng = np.random.default_rng(key)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    Sigma0 = covariance(d, key) / d
    if not crossing:
        Sigma0[:m, m:] = Sigma0[m:, :m] = 0
    Delta = np.zeros((d, d))
    Delta[:m, :m] = covariance(m, key + 1, 1.0)
    return turn @ Sigma0 @ turn.T, turn @ Delta @ turn.T, turn[:, :m]


def symmetric(A):
    return (A + A.T) / 2


def test_unrestricted_is_global():
    """ηΣ reaches d − tr(ΣΓ⁻¹), below which no Ṽ goes."""
    for key in range(5):
        Sigma0, Delta, _ = map(symmetric, (*shifted(4, 2, key)[:2], np.eye(4)))
        A = full_risk_allocation(Sigma0, Delta, 3, 0.6, within_shift=False)
        Sigma = Sigma0 + Delta
        np.testing.assert_array_equal(A, 0.6 * Sigma)
        level = 4 / 3 * Sigma + np.trace(Sigma) / 3 * np.eye(4)
        least = 4 - np.trace(Sigma @ np.linalg.inv(level))
        np.testing.assert_allclose(post_training_risk(A, Sigma0, Delta, 3, 0.6), least, rtol=1e-12)
        V = -np.linalg.inv(level)
        bump = np.random.default_rng(key).normal(size=(4, 4))
        assert one_step_risk(V + 0.01 * bump, Sigma, 3) > least


def test_commuting_closed_form():
    for key in range(5):
        Sigma0, Delta, basis = shifted(5, 2, key, crossing=False)
        Sigma0, Delta, P = symmetric(Sigma0), symmetric(Delta), basis @ basis.T
        on_U = P @ (Sigma0 + Delta) @ P
        goal = 0.3 * (on_U + np.trace(Sigma0 - P @ Sigma0 @ P) / (4 + 1 + 2) * P)
        found = full_risk_allocation(Sigma0, Delta, 4, 0.3)
        np.testing.assert_allclose(found, goal, atol=1e-11)


def test_hand_crossed():
    """n = 2, Σ₀ = [[2,1],[1,1]], Δ = diag(1,0): 315/122, with risk 7409/4725; without post-training 22/15."""
    Sigma0, Delta = np.array([[2.0, 1.0], [1.0, 1.0]]), np.diag([1.0, 0.0])
    A = full_risk_allocation(Sigma0, Delta, 2, 1.0)
    np.testing.assert_allclose(A, np.diag([315 / 122, 0]), atol=1e-13)
    risks = [post_training_risk(a, Sigma0, Delta, 2, 1.0) for a in (A, np.zeros((2, 2)), Sigma0 + Delta)]
    np.testing.assert_allclose(risks, [7409 / 4725, 22 / 15, 54 / 41], rtol=1e-12)


@pytest.mark.parametrize("key", range(8))
def test_no_covariance_on_the_shift_is_better(key):
    """Feasible or not: Ṽ_∞ with the best A has the least risk among A of full range on U."""
    d, m, n = 5, 3, 2
    Sigma0, Delta, basis = shifted(d, m, key)
    Sigma0, Delta = symmetric(Sigma0), symmetric(Delta)
    if key >= 4:  # one weak direction of U: the stationary A is no covariance
        Delta = symmetric(basis @ np.diag([90.0, 1.0, 0.01]) @ basis.T)
    inner = basis.T @ full_risk_allocation(Sigma0, Delta, n, 1.0) @ basis
    start = np.linalg.inv(gamma0(Sigma0, n)) @ (np.eye(d) - basis @ basis.T)
    assert (np.linalg.eigvalsh(inner)[0] < 1e-12) == (key >= 4)

    def risk(A):
        M = (n + 1) / n * A + np.trace(A) / n * np.eye(m)
        return one_step_risk(-basis @ np.linalg.inv(M) @ basis.T - start, Sigma0 + Delta, n)

    least, rng = risk(inner), np.random.default_rng(key)
    for size in (1e-6, 1e-3, 0.1, 1.0):
        for _ in range(25):
            step = rng.normal(size=(m, m)) * size
            values, vectors = np.linalg.eigh(inner + symmetric(step))
            assert risk((vectors * np.maximum(values, 0)) @ vectors.T) >= least - 1e-12


def test_eta_drops_out():
    Sigma0, Delta, _ = shifted(4, 2, 3)
    Sigma0, Delta = symmetric(Sigma0), symmetric(Delta)
    A = full_risk_allocation(Sigma0, Delta, 3, 1.0)
    one = post_training_risk(A, Sigma0, Delta, 3, 1.0)
    np.testing.assert_allclose(post_training_risk(0.2 * A, Sigma0, Delta, 3, 0.2), one, rtol=1e-12)
    np.testing.assert_allclose(full_risk_allocation(Sigma0, Delta, 3, 0.2), 0.2 * A, rtol=1e-10)


def test_parts_add_up():
    Sigma, V = covariance(3, 1), np.random.default_rng(2).normal(size=(3, 3))
    first, rest = risk_parts(V, Sigma, 4)
    np.testing.assert_allclose(first + rest, one_step_risk(V, Sigma, 4), rtol=1e-13)
    tail = (np.trace(V @ Sigma @ Sigma @ V.T) + np.trace(V @ Sigma @ V.T) * np.trace(Sigma)) / 4
    np.testing.assert_allclose(rest, tail, rtol=1e-12)


# The table and the paper's settings -----------------------------------------------------------------


@pytest.mark.parametrize(
    "levels", [((2, 0.3, 1.0), (3, 1.0, 0.0), (1, 0.0, 2.0)), ((3, 0.1, 1.0), (2, 0, 0))]
)
def test_table_against_matrices(levels):
    counts = [level[0] for level in levels]
    Sigma0, Delta = (np.diag(np.repeat([level[j] for level in levels], counts)) for j in (1, 2))
    Sigma, U = Sigma0 + Delta, np.diag(Delta) > 0
    for n in (1, 4):
        rows = {row.choice: row for row in allocation_table(levels, (n,))}
        optimum = optimal_allocation(Sigma[np.ix_(U, U)], n, 1.0)
        operator = np.zeros_like(Sigma)
        operator[np.ix_(U, U)] = optimum.A
        chosen = {
            "pretrained": 0 * Sigma,
            "operator": operator,
            "eta Sigma_U": np.diag(np.diag(Sigma) * U),
            "full risk": full_risk_allocation(Sigma0, Delta, n, 1.0),
            "eta Sigma": Sigma,
        }
        assert list(rows) == list(chosen)
        for name, A in chosen.items():
            if name == "operator" and not optimum.feasible:
                continue  # its risk is an infimum, which Ṽ_∞ of a singular A does not have
            V = population_limit(A, n, 1.0, gamma0(Sigma0, n))
            risk = one_step_risk(V, Sigma, n)
            np.testing.assert_allclose(rows[name].risk, risk, rtol=1e-11)
            np.testing.assert_allclose(rows[name].share * risk, risk_parts(V, Sigma, n)[0], atol=1e-11)
        assert min(row.risk for row in rows.values()) == rows["eta Sigma"].risk


def test_paper_settings():
    """By hand, per coordinate: (1 + vσ)² + v²σ(σ + T)/n with T = 420 (caption) or 220 (running text)."""
    for levels, T0, off in ((CAPTION, 220.0, 1.0), (RUNNING, 20.0, 0.0)):
        T = T0 + 200
        for n in (400, 800, 1200):
            rows = {row.choice: row for row in allocation_table(levels, (n,))}
            a, on = 1 + 1 / n, 1.1

            def risk(v_U, v_off, n=n, T=T, off=off):
                each = [(1 + v * s) ** 2 + v * v * s * (s + T) / n for v, s in ((v_U, 1.1), (v_off, off))]
                return 200 * sum(each)

            before = -1 / (a * 0.1 + T0 / n), -1 / (a * off + T0 / n)
            level = a * on + 220 / n
            hand = {
                "pretrained": risk(*before),
                "operator": risk(-1 / on, before[1]),
                "eta Sigma_U": risk(-1 / level, before[1]),
                "full risk": risk(-1 / (a * on + T / n), before[1]),
                "eta Sigma": risk(-1 / (a * on + T / n), -1 / (a * off + T / n)),
            }
            for name, value in hand.items():
                np.testing.assert_allclose(rows[name].risk, value, rtol=1e-12)
            shrunk = 1 - n / (n + 1) * (1 - 200 / (n + 201))
            np.testing.assert_allclose(rows["operator"].distance, shrunk, rtol=1e-12)
            grown = 200 * off / (n + 201) / on
            np.testing.assert_allclose(rows["full risk"].distance, grown, atol=1e-12)


def caption(n=400):
    P = np.diag(np.repeat([1.0, 0.0], 20))
    return np.diag(np.repeat([0.1, 1.0], 20)), P, n


def test_small_interference_is_worse_than_none_and_than_much():
    """d = 40, n = 40 (the ratios of the caption): on U^⊥, r = η is better than r = 0, r = η/20 far worse."""
    Sigma0, P, n = caption(40)
    off = np.eye(40) - P
    none, little, much = (
        post_training_risk(0.2 * 1.1 * P + r * off, Sigma0, P, n, 0.2) for r in (0.0, 0.01, 0.2)
    )
    assert much < none < little
    aligned, elsewhere = none, post_training_risk(0.2 * 1.1 * off, Sigma0, P, n, 0.2)
    assert aligned < elsewhere / 2


def test_hardness_is_convex_at_fixed_trace():
    """tr(Γ₀⁻¹A²Γ₀⁻¹) is convex in A, the other terms linear: the hardest A of a trace is of rank one."""
    rng = np.random.default_rng(0)
    Sigma0 = covariance(4, 3)
    V, n = -np.linalg.inv(gamma0(Sigma0, 3)), 3
    for _ in range(20):
        pair = []
        for _ in range(2):
            root = rng.normal(size=(4, 4))
            pair.append(root @ root.T / np.trace(root @ root.T))
        middle = one_step_risk(V, (pair[0] + pair[1]) / 2, n)
        assert middle <= sum(one_step_risk(V, A, n) for A in pair) / 2 + 1e-12
        values, vectors = np.linalg.eigh(pair[0])
        corners = [one_step_risk(V, np.outer(v, v), n) for v in vectors.T]
        assert one_step_risk(V, pair[0], n) <= max(corners)
        assert values[0] > 0


# Bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: optimal_allocation(np.diag([1.0, 0.0]), 2, 0.5), "Sigma_U"),
        (lambda: optimal_allocation(np.eye(2), 0, 0.5), "n=0"),
        (lambda: optimal_allocation(np.eye(2), 2, 0.0), "eta=0"),
        (lambda: full_risk_allocation(np.eye(2), np.zeros((2, 2)), 2, 0.5), "Delta is zero"),
        (lambda: full_risk_allocation(np.zeros((2, 2)), np.eye(2), 2, 0.5), "Sigma0 is zero"),
        (lambda: full_risk_allocation(np.eye(2), np.eye(3), 2, 0.5), "Delta has shape"),
        (lambda: full_risk_allocation(np.eye(2), -np.eye(2), 2, 0.5), "Delta has the eigenvalue"),
        (lambda: post_training_risk(np.eye(3), np.eye(2), np.eye(2), 2, 0.5), "A has shape"),
        (lambda: risk_parts(np.eye(3), np.eye(2), 2), "V has shape"),
        (lambda: allocation_table(((1, 1.0, 0.0),), (2,)), "levels="),
        (lambda: allocation_table(((0, 1.0, 1.0),), (2,)), "levels=0"),
        (lambda: allocation_table(((1, -1.0, 1.0), (1, 1.0, 0.0)), (2,)), "levels="),
        (lambda: allocation_table(((1, 1.0, 1.0),), (0,)), "n=0"),
    ],
)
def test_bad_input(call, text):
    with pytest.raises(ArgumentError, match=text):
        call()
