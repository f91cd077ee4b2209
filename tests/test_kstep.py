"""The k-step risk: its forms against each other in rationals, its numbers, what it must not depend on."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_errors import NOT_A_BLOCK, NOT_A_COUNT, NOT_A_COVARIANCE

from theory import exact, kstep, outcome
from theory.errors import ArgumentError
from theory.kstep import MISS, SIGMA, V, W, c, power_sum
from theory.kstep_value import k_step_gradient, k_step_risk, k_step_risk_bound, program
from theory.notation import d, n
from theory.risk import one_step_risk
from theory.wishart import TERM_LIMIT
from theory.words import identity
from theory.words.evaluate import evaluate
from theory.words.letters import Word

Array = NDArray[np.float64]
many = settings(max_examples=60)


def fractions(matrix: Array) -> NDArray[np.object_]:
    """The floats as they are, no rounding."""
    return np.array([[Fraction(float(x)) for x in row] for row in matrix], dtype=object)


def at_rationals(expression, block: Array, Sigma: Array, size: int, **more: Array):
    """``expression`` in V, Σ, W and M₀ = I + VΣ."""
    v, sigma = fractions(block), fractions(Sigma)
    values = {V: v, SIGMA: sigma, MISS: np.eye(len(v), dtype=int) + v @ sigma}
    if more:
        values[W] = fractions(more["W"])
    return evaluate(expression, values, {n: sp.Integer(size)})


def relative(found: float, true) -> float:
    return abs(float(sp.Rational(found) / true - 1))


def drawn(dim: int, seed: int, rank: int | None = None) -> tuple[Array, Array]:
    """An asymmetric V near −½Σ⁻¹, and Σ."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, rank or dim))
    Sigma = root @ root.T / dim + (0 if rank else 0.3) * np.eye(dim)
    block = -0.5 * np.linalg.inv(Sigma + 0.2 * np.eye(dim)) + 0.2 * rng.normal(size=(dim, dim))
    return block, (Sigma + Sigma.T) / 2


@st.composite
def points(draw, most: int = 3) -> tuple[Array, Array, int]:
    """(V, Σ, n): small integers over 4, Σ of any rank."""
    dim = draw(st.integers(1, most))
    entries = st.lists(st.integers(-4, 4), min_size=dim * dim, max_size=dim * dim)
    block, root = (np.array(draw(entries)).reshape(dim, dim) / 4 for _ in range(2))
    return block, root @ root.T, draw(st.integers(1, 9))


# The expressions ------------------------------------------------------------------------------------


@many
@given(points(2), st.sampled_from([1, 2]))
def test_centred_words_are_the_same_risk(at: tuple[Array, Array, int], k: int) -> None:
    assert at_rationals(kstep.centred_risk(k), *at) == at_rationals(kstep.k_step_risk_expr(k), *at)


@pytest.mark.parametrize(("rank", "size"), [(2, 3), (1, 1)])
def test_centred_words_are_the_same_risk_at_three_steps(rank: int, size: int) -> None:
    root = np.array([[1.0, 0.5], [-1.0, 2.0]])[:, :rank]
    at = np.array([[-0.5, 0.25], [1.0, -0.75]]), root @ root.T, size
    assert at_rationals(kstep.centred_risk(3), *at) == at_rationals(kstep.k_step_risk_expr(3), *at)


@pytest.mark.parametrize(("dim", "size", "k"), [(2, 2, 2), (1, 3, 3), (2, 1, 2), (3, 1, 1)])
@pytest.mark.parametrize("with_W", [False, True])
def test_risk_is_the_mean_of_the_definition(dim: int, size: int, k: int, with_W: bool) -> None:
    """k steps of (A.1) on explicit normals, whose moments are (2p − 1)!!."""
    grid = np.arange(1, dim * dim + 1).reshape(dim, dim)
    block, root = (grid % 5 - 2) / 2 + np.eye(dim) / 4, grid % 3 - 1.0
    other = np.eye(dim) + (grid.T % 3 - 1) / 2 if with_W else np.eye(dim)
    v, w, lower = (sp.Matrix(fractions(m).tolist()) for m in (block, other, root))

    def squared_miss(S: sp.Matrix) -> sp.Expr:
        reached = sp.zeros(dim)
        for _ in range(k):
            reached = (reached + v * S * (w * reached - sp.eye(dim))).applyfunc(sp.expand)
        return exact.frobenius_squared(sp.eye(dim) - reached)

    expression = kstep.k_step_risk_expr(k, with_W=with_W)
    found = at_rationals(expression, block, root @ root.T, size, W=other)
    assert found == exact.mean_over_prompts(squared_miss, lower, size)


@pytest.mark.parametrize(
    ("k", "words", "powers", "total"), [(1, 4, 5, 6), (2, 37, 67, 188), (3, 303, 946, 17992)]
)
def test_sizes_are_those_of_the_notes(k: int, words: int, powers: int, total: int) -> None:
    terms = kstep.k_step_risk_expr(k).terms.values()
    assert len(terms) == words
    assert sum(len(sp.Add.make_args(sp.expand(q))) for q in terms) == powers
    assert sum(terms).subs({d: 1, n: 1}) == total


def test_W_at_the_identity_is_left_out() -> None:
    for k in (1, 2):
        reduced = kstep.k_step_risk_expr(k, with_W=True).subs({W: identity(d)})
        assert reduced.equals(kstep.k_step_risk_expr(k))
        assert outcome.unrolled(k, False).equals(outcome.printed(k, False))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_one_dimension_and_one_sample(k: int) -> None:
    """E(1 − cg²)^{2k} = Σ_j C(2k, j) (−c)^j (2j − 1)!!."""
    expected = sum(sp.binomial(2 * k, j) * (-c) ** j * sp.factorial2(2 * j - 1) for j in range(2 * k + 1))
    assert sp.expand(kstep.isotropic_risk(k).subs({d: 1, n: 1}) - expected) == 0
    if k < 4:
        found = at_rationals(kstep.k_step_risk_expr(k), np.array([[-0.75]]), np.eye(1), 1)
        assert found == expected.subs(c, sp.Rational(3, 4))


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_isotropic_risk_is_convex(k: int) -> None:
    """Its second derivative has no real root (Sturm), so one sign for all c: E of a convex function of c."""
    for dim, size in ((1, 1), (1, 20), (2, 1), (3, 7), (7, 3), (50, 20)):
        bend = sp.Poly(sp.diff(kstep.isotropic_risk(k).subs({d: dim, n: size}), c, 2), c)
        assert bend.eval(0) > 0
        assert bend.count_roots() == 0


@pytest.mark.parametrize("k", [1, 2, 3])
def test_isotropic_risk_is_the_risk_there(k: int) -> None:
    t = sp.Rational(3, 4)
    for dim, size in ((1, 4), (2, 3), (3, 1)):
        found = at_rationals(kstep.k_step_risk_expr(k), -0.75 * np.eye(dim), np.eye(dim), size)
        assert found == kstep.isotropic_risk(k).subs({d: dim, n: size, c: t})
        assert relative(k_step_risk(-0.75 * np.eye(dim), np.eye(dim), size, k), found) < 1e-13


@pytest.mark.parametrize("k", [1, 2, 3])
def test_commuting_risk_is_that_of_diagonal_matrices(k: int) -> None:
    v, sigma = np.array([-0.75, 0.5, -1.25]), np.array([1.5, 0.25, 0.0])
    expression = kstep.commuting_risk(k)
    found = expression.atoms(sp.Indexed)
    assert {p.base for p in found} == {power_sum}
    # The entries are dyadic: their powers are exact.
    sums = {p: sp.Rational(float(np.sum(v ** int(p.indices[0]) * sigma ** int(p.indices[1])))) for p in found}
    for size in (1, 4):
        value = expression.xreplace(sums).subs({d: 3, n: size})
        assert value == at_rationals(kstep.k_step_risk_expr(k), np.diag(v), np.diag(sigma), size)
        at = {V: v, SIGMA: sigma, MISS: 1 + v * sigma}
        assert program(k).value(at, size) == pytest.approx(float(value), rel=1e-13)


# The numbers ----------------------------------------------------------------------------------------


@many
@given(points(), st.sampled_from([1, 2]))
def test_risk_is_exact_up_to_rounding(at: tuple[Array, Array, int], k: int) -> None:
    assert relative(k_step_risk(*at, k), at_rationals(kstep.k_step_risk_expr(k), *at)) < 1e-12


@pytest.mark.parametrize(("dim", "rank", "size"), [(1, None, 1), (2, None, 3), (3, 2, 2), (3, 1, 50)])
def test_risk_of_three_steps_is_exact_up_to_rounding(dim: int, rank: int | None, size: int) -> None:
    block, Sigma = drawn(dim, 7 * dim, rank)
    true = at_rationals(kstep.k_step_risk_expr(3), block, Sigma, size)
    assert relative(k_step_risk(block, Sigma, size, 3), true) < 1e-12
    value, bound = k_step_risk_bound(block, Sigma, size, 3)
    assert value == k_step_risk(block, Sigma, size, 3)
    assert abs(sp.Rational(value) - true) <= bound


def test_one_step_is_proposition_5_1() -> None:
    for dim, rank, size in ((1, None, 2), (4, None, 3), (5, 2, 7)):
        block, Sigma = drawn(dim, dim, rank)
        expected = one_step_risk(block, Sigma, size)
        assert k_step_risk(block, Sigma, size, 1) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [2000, 100_000])
def test_nothing_cancels_at_the_inverse(size: int) -> None:
    """V = −Σ⁻¹, d/n ≤ 1e-3: the words in Σ cancel to (d/n)³ of their size, the centred ones do not."""
    Sigma = np.array([[1.3, 0.4], [0.4, 0.7]])
    block = -np.linalg.inv(Sigma)
    true = at_rationals(kstep.k_step_risk_expr(3), block, Sigma, size)
    plain = evaluate(kstep.k_step_risk_expr(3), {V: block, SIGMA: Sigma}, {n: size})
    assert relative(k_step_risk(block, Sigma, size, 3), true) < 1e-13
    assert relative(plain, true) > (1e-8 if size == 2000 else 1e-3)


def test_four_steps() -> None:
    """The one test that derives k = 4, some seconds.  Σ is turned, so that all is dense."""
    v, sigma, size = np.array([-0.8, -1.25]), np.array([1.25, 0.8]), 2000

    def trace(word: Word) -> Fraction:
        a = sum(f.letter == V for f in word)
        powers = (Fraction(x) ** a * Fraction(y) ** (len(word) - a) for x, y in zip(v, sigma, strict=True))
        return sum(powers, start=Fraction(0))

    true = kstep.collapse(kstep._cached(4), trace).subs({d: 2, n: size})
    turn, _ = np.linalg.qr([[1.0, 2.0], [-1.0, 3.0]])
    Sigma = turn @ np.diag(sigma) @ turn.T
    block, Sigma = turn @ np.diag(v) @ turn.T, (Sigma + Sigma.T) / 2
    value, bound = k_step_risk_bound(block, Sigma, size, 4)
    assert relative(value, true) < 1e-10
    assert bound < 1e-8 * value
    plain = evaluate(kstep._cached(4), {V: block, SIGMA: Sigma}, {n: size})
    assert relative(plain, true) > 1e-6
    # Σ = I has a derivation of its own.
    white = sp.Rational(7, 8)
    expected = kstep.isotropic_risk(4).subs({d: 3, n: 5, c: white})
    assert relative(k_step_risk(-0.875 * np.eye(3), np.eye(3), 5, 4), expected) < 1e-13
    risk, slope = k_step_gradient(-0.875 * np.eye(3), np.eye(3), 5, 4)
    assert relative(risk, expected) < 1e-13
    along = sp.diff(kstep.isotropic_risk(4), c).subs({d: 3, n: 5, c: white})
    assert relative(-np.trace(slope), along) < 1e-12


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradient_is_that_of_the_words(k: int) -> None:
    for dim, rank, size in ((1, None, 2), (2, None, 3), (3, 2, 2))[: 4 - k if k == 3 else 3]:
        block, Sigma = drawn(dim, 5 * dim + k, rank)
        value, slope = k_step_gradient(block, Sigma, size, k)
        assert value == pytest.approx(k_step_risk(block, Sigma, size, k), rel=1e-13)
        expected = at_rationals(kstep.k_step_gradient_expr(k), block, Sigma, size).astype(float)
        assert np.abs(slope - expected).max() < 1e-12 * np.abs(expected).max()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_gradient_is_the_slope_of_the_risk(k: int) -> None:
    """By central differences, and by a complex step of the program through M₀ = I + VΣ as well."""
    block, Sigma = drawn(4, k)
    _, slope = k_step_gradient(block, Sigma, 6, k)
    for i, j in product(range(4), repeat=2):
        unit = np.zeros((4, 4))
        unit[i, j] = 1
        up, down = (k_step_risk(block + step * unit, Sigma, 6, k) for step in (1e-5, -1e-5))
        assert (up - down) / 2e-5 == pytest.approx(slope[i, j], abs=1e-7 * np.abs(slope).max())
        moved = block + 1e-30j * unit
        at = {V: moved, SIGMA: Sigma, MISS: np.eye(4) + moved @ Sigma}
        along = program(k).value(at, 6).imag / 1e-30
        assert along == pytest.approx(slope[i, j], abs=1e-12 * np.abs(slope).max())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_nothing_changes_with_the_basis_or_the_unit(k: int) -> None:
    block, Sigma = drawn(5, 20 + k)
    value, slope = k_step_gradient(block, Sigma, 4, k)
    turn, _ = np.linalg.qr(np.random.default_rng(k).normal(size=(5, 5)))
    turned = turn @ Sigma @ turn.T
    again, also = k_step_gradient(turn @ block @ turn.T, (turned + turned.T) / 2, 4, k)
    assert again == pytest.approx(value, rel=1e-12)
    assert np.abs(also - turn @ slope @ turn.T).max() < 1e-11 * np.abs(slope).max()
    for t in (1e-6, 3.0, 1e9):
        again, also = k_step_gradient(block / t, Sigma * t, 4, k)
        assert again == pytest.approx(value, rel=1e-12)
        assert np.abs(also / t - slope).max() < 1e-11 * np.abs(slope).max()


def test_V_transposed_is_another_risk() -> None:
    block, Sigma = drawn(3, 1)
    for k in (1, 2):
        assert abs(k_step_risk(block.T, Sigma, 4, k) / k_step_risk(block, Sigma, 4, k) - 1) > 1e-3
        # Both are E‖(I + VS)^k‖² if Σ = I: S and its transpose have one law, and tr is that of the transpose.
        risks = [k_step_risk(m, np.eye(3), 4, k) for m in (block, block.T)]
        assert risks[0] == pytest.approx(risks[1], rel=1e-12)


def test_border_cases() -> None:
    for k in (1, 2, 3):
        assert k_step_risk(np.zeros((2, 2)), np.eye(2), 3, k) == pytest.approx(2, rel=1e-14)
        assert k_step_risk(np.ones((2, 2)), np.zeros((2, 2)), 1, k) == pytest.approx(2, rel=1e-14)
        block, Sigma = drawn(3, k)
        limit = float(np.linalg.norm(np.linalg.matrix_power(np.eye(3) + block @ Sigma, k)) ** 2)
        near, nearer = (abs(k_step_risk(block, Sigma, size, k) - limit) for size in (10**6, 10**7))
        assert nearer / near == pytest.approx(0.1, rel=1e-3)
        # V = 0 on the range of a singular Σ leaves w* as it is.
        assert k_step_risk(np.diag([0.0, 3.0]), np.diag([2.0, 0.0]), 2, k) == pytest.approx(2, rel=1e-14)


# Bad input ------------------------------------------------------------------------------------------

GOOD = {"V": np.array([[1.0, -2.0], [0.5, 3.0]]), "Sigma": np.array([[2.0, 0.5], [0.5, 1.0]]), "n": 3, "k": 2}
BAD = {"V": NOT_A_BLOCK, "Sigma": NOT_A_COVARIANCE, "n": NOT_A_COUNT, "k": NOT_A_COUNT}
CASES = [
    pytest.param(name, value, id=f"{name}-{kind}")
    for name, values in BAD.items()
    for kind, value in values.items()
]


@pytest.mark.parametrize(("name", "value"), CASES)
@pytest.mark.parametrize("function", [k_step_risk, k_step_gradient, k_step_risk_bound])
def test_bad_argument_is_named_in_one_line(function, name: str, value: object) -> None:
    with pytest.raises(ArgumentError) as error:
        function(**(GOOD | {name: value}))
    message = str(error.value)
    assert "\n" not in message
    assert "must" in message
    assert name in message.split(":")[0].replace("=", " ").split()


@pytest.mark.parametrize("value", [0, -1, 1.0, True])
def test_number_of_steps_of_an_expression(value: object) -> None:
    for make in (
        kstep.k_step_risk_expr,
        kstep.k_step_gradient_expr,
        kstep.isotropic_risk,
        kstep.commuting_risk,
    ):
        with pytest.raises(ArgumentError, match=r"^k=.*: must be an integer of at least 1$"):
            make(value)


@pytest.mark.parametrize("k", [5, 7, 20])
def test_order_that_is_too_large_is_refused_at_once(k: int) -> None:
    with pytest.raises(ArgumentError, match=r"about [\d,]+ terms, more than limit=200,000$") as raised:
        k_step_risk(GOOD["V"], GOOD["Sigma"], 3, k)
    assert f"order {2 * k} in S" in str(raised.value)
    assert "\n" not in str(raised.value)
    if k > 5:
        with pytest.raises(ArgumentError, match=rf"^k={k}: must be smaller, order {2 * k} in S alone "):
            kstep.k_step_risk_expr(k)


def test_limit_can_be_lowered_and_raised() -> None:
    at = tuple(GOOD.values())
    for function in (k_step_risk, k_step_gradient, k_step_risk_bound):
        with pytest.raises(ArgumentError, match=r"^expression has order 4 in S: .* more than limit=60$"):
            function(*at, limit=60)
        told = r"^k=2: must be .* order 4 in S alone has about 52 terms, .*=1$"
        with pytest.raises(ArgumentError, match=told):
            function(*at, limit=1)
        assert str(function(*at, limit=np.inf)) == str(function(*at))
    with pytest.raises(ArgumentError, match=r"more than limit=9$"):
        kstep.k_step_risk_expr(2, limit=9)
    assert program(2) is program(2, TERM_LIMIT)  # derived once, however it is asked for


def test_progress_is_reported() -> None:
    shares: list[float] = []
    kstep.k_step_risk_expr(2, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
