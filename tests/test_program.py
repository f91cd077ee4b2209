"""Straight-line programs: their values, gradients and error bounds against the words in exact rationals."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from unittest.mock import patch

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory import notation as nt
from theory.errors import ArgumentError
from theory.kstep import MISS, SIGMA, V, centred_risk, k_step_risk_expr
from theory.kstep_value import k_step_risk_bound, program
from theory.notation import d, n
from theory.words import Letter, Scalar, identity, letter
from theory.words import program as program_module
from theory.words.evaluate import evaluate
from theory.words.letters import Factor
from theory.words.program import Program, _root_error, matrix_root

Array = NDArray[np.float64]
SYMMETRIC = Letter("A", d, d, symmetric=True)
LETTERS = (SIGMA, V, MISS, SYMMETRIC)
many = settings(max_examples=150)
v, sigma = letter(V), letter(SIGMA)


def fractions(matrix: Array) -> NDArray[np.object_]:
    """The floats as they are, no rounding."""
    return np.array([[Fraction(float(x)) for x in row] for row in matrix], dtype=object)


def exact(expression, at, size: int):
    return evaluate(expression, {one: fractions(m) for one, m in at.items()}, {n: sp.Integer(size)})


def size_of(expression: Scalar, at, size: int) -> float:
    """The sum of all terms' absolute values at most, in which rounding is measured."""
    norm = {one: float(np.linalg.norm(m)) for one, m in at.items()}
    dim = len(at[SIGMA])
    return 1e-300 + sum(
        abs(float(sp.sympify(c).subs(n, size)))
        * prod(dim**0.5 * prod(norm[f.letter] for f in word) for word in traces)
        for traces, c in expression.terms.items()
    )


factors = st.builds(lambda one, turned: Factor(one, turned), st.sampled_from(LETTERS), st.booleans())
words = st.lists(factors, min_size=1, max_size=6).map(tuple)
coefficients = st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 7), st.integers(0, 3)).map(
    lambda c: sp.Rational(c[0], c[1]) / n ** c[2]
)
terms = st.tuples(st.lists(words, max_size=3).map(tuple), coefficients)
polynomials = st.lists(terms, min_size=1, max_size=4).map(
    lambda pairs: sum((Scalar.of_terms([pair]) for pair in pairs[1:]), start=Scalar.of_terms([pairs[0]]))
)


def _matrix(draw, dim: int, most: int = 3) -> Array:
    entries = draw(st.lists(st.integers(-most, most), min_size=dim * dim, max_size=dim * dim))
    return np.array(entries, dtype=float).reshape(dim, dim)


@st.composite
def points(draw) -> dict[Letter, Array]:
    """Asymmetric integer matrices, Σ of any rank: 0 among them."""
    dim = draw(st.integers(1, 3))
    root, half = _matrix(draw, dim, 2), _matrix(draw, dim)
    return {V: _matrix(draw, dim), MISS: _matrix(draw, dim), SYMMETRIC: half + half.T, SIGMA: root @ root.T}


# Values and gradients -------------------------------------------------------------------------------


@many
@given(polynomials, points(), st.integers(1, 50))
def test_value_is_that_of_the_words(expression: Scalar, at, size: int) -> None:
    assert Program(expression, SIGMA, n).value(at, size) == pytest.approx(
        float(exact(expression, at, size)), rel=0, abs=1e-12 * size_of(expression, at, size)
    )


@many
@given(polynomials, points(), st.integers(1, 50))
def test_vectors_are_diagonals(expression: Scalar, at, size: int) -> None:
    diagonals = {one: np.diagonal(m).copy() for one, m in at.items()}
    dense = {one: np.diag(m) for one, m in diagonals.items()}
    assert Program(expression, SIGMA, n).value(diagonals, size) == pytest.approx(
        float(exact(expression, dense, size)), rel=0, abs=1e-12 * size_of(expression, dense, size)
    )


@many
@given(polynomials, points(), st.integers(1, 50))
def test_gradient_is_that_of_the_words(expression: Scalar, at, size: int) -> None:
    made = Program(expression, SIGMA, n)
    value, slopes = made.gradient(at, size)
    assert value == made.value(at, size)
    assert SIGMA not in slopes
    for one in (V, MISS):
        assert (one in slopes) == (one in expression.letters())
        if one in slopes:
            expected = exact(expression.gradient(one), at, size).astype(float)
            # One letter is taken out of each term.
            scale = size_of(expression, at, size) / max(float(np.linalg.norm(at[one])), 1) + size_of(
                expression, at | {one: np.ones_like(at[one])}, size
            )
            assert np.abs(slopes[one] - expected).max() < 1e-11 * scale


@many
@given(polynomials, points(), st.integers(1, 50), st.booleans())
def test_gradient_is_the_slope_of_the_value(expression: Scalar, at, size: int, commuting: bool) -> None:
    """By a complex step, which has no rounding of its own."""
    if commuting:
        at = {one: np.diagonal(m).copy() for one, m in at.items()}
    made = Program(expression, SIGMA, n)
    _, slopes = made.gradient(at, size)
    rng = np.random.default_rng(size)
    moves = {one: rng.normal(size=m.shape) for one, m in at.items() if one != SIGMA}
    for one in slopes:
        moved = at | {one: at[one] + 1e-30j * moves[one]}
        along = float(np.sum(slopes[one] * moves[one]))
        measured = made.value(moved, size)
        assert measured.real == pytest.approx(made.value(at, size), rel=1e-10, abs=1e-9)
        large = {k: np.abs(m) + 1.0 for k, m in at.items()}
        scale = size_of(expression, {k: m if m.ndim == 2 else np.diag(m) for k, m in large.items()}, size)
        assert abs(measured.imag / 1e-30 - along) < 1e-10 * scale * np.abs(moves[one]).sum()


def test_gradient_by_central_differences() -> None:
    made, rng = program(2), np.random.default_rng(3)
    at = {V: rng.normal(size=(3, 3)), MISS: rng.normal(size=(3, 3)), SIGMA: np.diag([0.5, 1.0, 2.0])}
    _, slopes = made.gradient(at, 4)
    for one in (V, MISS):
        for i, j in ((0, 0), (0, 2), (2, 1)):
            step = np.zeros((3, 3))
            step[i, j] = 1e-5
            up, down = (made.value(at | {one: at[one] + sign * step}, 4) for sign in (1, -1))
            assert (up - down) / 2e-5 == pytest.approx(slopes[one][i, j], rel=1e-7)


def test_complex_matrices_are_not_conjugated() -> None:
    made, turned = Program((v @ sigma @ v.T).trace(), SIGMA, n), np.array([[1j]])
    assert made.value({V: turned, SIGMA: np.eye(1)}, 1) == -1
    assert made.gradient({V: turned, SIGMA: np.eye(1)}, 1)[1][V] == 2j


def test_traces_are_those_of_its_words() -> None:
    made, rng = program(3), np.random.default_rng(5)
    root = rng.normal(size=(4, 4))
    at = {V: rng.normal(size=(4, 4)), MISS: rng.normal(size=(4, 4)), SIGMA: root @ root.T}
    found = made.traces(at)
    assert len(found) == len(made.words) == len({w for t in centred_risk(3).terms for w in t})
    for value, word in zip(found, made.words, strict=True):
        direct = evaluate(Scalar.of_terms([((word,), sp.Integer(1))]), at)
        scale = prod(float(np.linalg.norm(at[f.letter], 2)) for f in word)
        assert abs(value - direct) < 1e-12 * scale


def test_products_are_shared() -> None:
    # 584 traces of 5 to 17 factors; a product for each trace of its own, without sharing, is ten times this.
    made = program(3)
    products = sum(left != "letter" for left, _ in made._nodes)
    assert products < len(made.words) / 5


def test_constants_need_no_matrix_of_their_own() -> None:
    at = {SIGMA: np.eye(2)}
    three = Program(identity(1).trace() * (3 - 1 / n), SIGMA, n)
    assert three.value(at, 4) == 2.75
    assert three.bounded(at, {}, 4) == (2.75, pytest.approx(0, abs=1e-14))
    assert Program(identity(1).trace() * 0, SIGMA, n).value(at, 4) == 0


@pytest.mark.parametrize(
    "coefficient", [n, 1 / (n + 1), d, 1 / (d * n), sp.sqrt(n), sp.Float(0.5), 1 / n + nt.eta, sp.pi, n**-d]
)
def test_coefficients_are_polynomials_in_the_inverse_length(coefficient: sp.Expr) -> None:
    with pytest.raises(ArgumentError, match=r"^coefficient .*: must be a polynomial in 1/n$") as raised:
        Program(v.trace() * coefficient, SIGMA, n)
    assert "\n" not in str(raised.value)


def test_coefficients_are_evaluated_at_any_length() -> None:
    made = Program(v.trace() * (2 + sp.Rational(1, 3) / n - 5 / n**3), SIGMA, n)
    at = {V: np.eye(1), SIGMA: np.eye(1)}
    for size in (1, 2, 7, 10**6):
        assert made.value(at, size) == pytest.approx(2 + 1 / (3 * size) - 5 / size**3, rel=1e-15)


# The bound ------------------------------------------------------------------------------------------


@st.composite
def risks(draw) -> tuple[Array, Array, int]:
    """(V, Σ, n): any V, or one near −Σ⁺; Σ well or ill conditioned, of any rank; n to a million."""
    dim = draw(st.integers(1, 3))
    root = _matrix(draw, dim, 4) / 4
    if draw(st.booleans()):
        root = root * 2.0 ** -np.array(draw(st.lists(st.integers(0, 13), min_size=dim, max_size=dim)))
    Sigma = root @ root.T
    if draw(st.booleans()):
        block = _matrix(draw, dim, 9) / 7
    else:
        off = draw(st.sampled_from([0.0, 1e-12, 1e-6, 1e-3]))
        block = -np.linalg.pinv(Sigma) * (1 + off * _matrix(draw, dim))
    return block, Sigma, int(10 ** draw(st.floats(0, 6)))


def true_risk(block: Array, Sigma: Array, size: int, k: int):
    """The risk at the rationals that the floats are, by the words that are not centred."""
    return exact(k_step_risk_expr(k), {V: block, SIGMA: Sigma}, size)


@settings(max_examples=200)
@given(risks(), st.sampled_from([1, 2, 2]))
def test_bound_covers_the_error(at: tuple[Array, Array, int], k: int) -> None:
    value, bound = k_step_risk_bound(*at, k)
    assert abs(sp.Rational(value) - true_risk(*at, k)) <= bound


@pytest.mark.parametrize("seed", range(4))
def test_bound_covers_the_error_of_three_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(2, 2)) * (1, (1, 1e-3, 0, 1)[seed])
    Sigma = root @ root.T
    block = -np.linalg.pinv(Sigma) * (1 + 1e-4 * rng.normal(size=(2, 2)))
    value, bound = k_step_risk_bound(block, Sigma, 10 ** (2 * seed), 3)
    assert abs(sp.Rational(value) - true_risk(block, Sigma, 10 ** (2 * seed), 3)) <= bound


@many
@given(polynomials, points(), st.integers(1, 10**6))
def test_bound_covers_the_error_of_any_polynomial(expression: Scalar, at, size: int) -> None:
    at = {one: m / 7 for one, m in at.items()}  # no longer exact in binary
    at[SIGMA] = (at[SIGMA] + at[SIGMA].T) / 2
    value, bound = Program(expression, SIGMA, n).bounded(at, {}, size)
    assert abs(sp.Rational(value) - exact(expression, at, size)) <= bound


@many
@given(polynomials, points(), st.integers(0, 10**6))
def test_bound_covers_errors_of_the_letters(expression: Scalar, at, seed: int) -> None:
    """The matrices given are off by as much as is said: in the worst direction, that of the gradient, too."""
    made = Program(expression, SIGMA, n)
    _, slopes = made.gradient(at, 3)
    assume(slopes)
    rng = np.random.default_rng(seed)
    for one, slope in slopes.items():
        for direction in (slope, -slope, rng.normal(size=slope.shape)):
            if (size := np.linalg.norm(direction)) == 0:
                continue
            off = np.abs(at[one]).max() * 2.0**-12 * direction / size
            if one == SYMMETRIC:
                off = (off + off.T) / 2
            value, bound = made.bounded(at | {one: at[one] + off}, {one: float(np.linalg.norm(off))}, 3)
            assert abs(sp.Rational(value) - exact(expression, at, 3)) <= bound * (1 + 1e-9)


def test_bound_counts_what_a_letter_is_off_by() -> None:
    """To a factor of two where all is aligned, so that leaving it out would be seen."""
    one = {V: np.array([[3.0]]), SIGMA: np.eye(1)}
    made = Program((v @ sigma).power(4).trace(), SIGMA, n)
    for off in (1e-3, 1e-6, 1e-9):
        value, bound = made.bounded(one | {V: one[V] + off}, {V: off}, 1)
        assert 0.5 * bound < value - 81 <= bound
        assert value - 81 > 1e3 * made.bounded(one, {}, 1)[1]


@many
@given(points(), st.lists(st.integers(0, 20), min_size=3, max_size=3))
def test_root_is_as_near_as_said(at, scales: list[int]) -> None:
    """Σ = RRᵀ exactly: L is within the bound of a rotation of R, the nearest by Procrustes."""
    dim = len(at[V])
    exact_root = at[V] * 2.0 ** -np.array(scales[:dim])
    exact_root[:, dim // 2] *= scales[0] % 2  # singular half of the time
    Sigma = exact_root @ exact_root.T
    assume((fractions(exact_root) @ fractions(exact_root).T == fractions(Sigma)).all())
    root = matrix_root(Sigma)
    left, _, right = np.linalg.svd(exact_root.T @ root)
    distance = float(np.linalg.norm(root - exact_root @ left @ right))
    assert distance <= _root_error(root, Sigma) + 4e-15 * float(np.linalg.norm(exact_root))


@many
@given(risks())
def test_error_of_the_miss_is_covered(at: tuple[Array, Array, int]) -> None:
    """fl(I + VΣ) against rationals, and what the bound is told of it."""
    block, Sigma, size = at
    with patch.object(Program, "bounded", return_value=(0.0, 0.0)) as bounded:
        k_step_risk_bound(block, Sigma, size, 1)
    (matrices, errors, _), _ = bounded.call_args
    true = np.eye(len(block), dtype=int) + fractions(block) @ fractions(Sigma)
    off = [float(e) for e in (fractions(matrices[MISS]) - true).ravel()]
    assert np.linalg.norm(off) <= errors[MISS] < 1e-14 * (2 + np.linalg.norm(block) * np.linalg.norm(Sigma))


@pytest.mark.parametrize("off", [1e-6, 1e-10, 1e-13])
def test_bound_measures_what_the_root_is_off_by(monkeypatch, off: float) -> None:
    """Whatever computed it: here a root that is too long."""
    (block, Sigma, size), *_ = well_conditioned()
    right = matrix_root
    monkeypatch.setattr(program_module, "matrix_root", lambda given: right(given) * (1 + off))
    value, bound = k_step_risk_bound(block, Sigma, size, 2)
    error = abs(sp.Rational(value) - true_risk(block, Sigma, size, 2))
    assert 1e-4 * bound < error <= bound


def test_bound_covers_a_sum_that_cancels() -> None:
    """tr(V M) of orthogonal V and Mᵀ: nothing but the rounding of the sum."""
    made, rng = Program((v @ letter(MISS)).trace(), SIGMA, n), np.random.default_rng(2)
    for _ in range(30):
        one, other = rng.normal(size=(2, 3, 3))
        other -= np.sum(one * other.T) / np.sum(one**2) * one.T
        at = {V: one, MISS: other, SIGMA: np.eye(3)}
        value, bound = made.bounded(at, {}, 1)
        assert abs(sp.Rational(value) - exact((v @ letter(MISS)).trace(), at, 1)) <= bound < 1e-13


def well_conditioned() -> list[tuple[Array, Array, int]]:
    rng = np.random.default_rng(11)
    found = []
    for dim, size in ((2, 5), (5, 40), (20, 1000)):
        root = rng.normal(size=(dim, dim))
        Sigma = root @ root.T / dim + 0.3 * np.eye(dim)
        found.append((-np.linalg.inv(Sigma) + 0.05 * rng.normal(size=(dim, dim)), Sigma, size))
    return found


@pytest.mark.parametrize("k", [1, 2, 3])
def test_bound_is_small_where_all_is_well_conditioned(k: int) -> None:
    for at in well_conditioned():
        value, bound = k_step_risk_bound(*at, k)
        assert 0 < bound < 1e-9 * value


@pytest.mark.parametrize("k", [1, 2])
def test_trace_that_is_off_by_more_than_the_bound_is_seen(monkeypatch, k: int) -> None:
    """Each trace in turn, by what changes the risk by three bounds: less than 1e-8 of the trace."""
    at = well_conditioned()[0]
    made, truth = program(k), true_risk(*at, k)
    _, bound = k_step_risk_bound(*at, k)
    matrices = {V: at[0], SIGMA: at[1], MISS: np.eye(2) + at[0] @ at[1]}
    traces = made.traces(matrices)
    slopes = made._slopes(np.append(traces, 1.0), made.coefficients(at[2]))
    right = Program._all_traces
    for i, slope in enumerate(slopes):
        shift = np.zeros(len(traces))
        shift[i] = 3 * bound / slope
        monkeypatch.setattr(Program, "_all_traces", lambda self, values, by=shift: right(self, values) + by)
        value, moved = k_step_risk_bound(*at, k)
        monkeypatch.undo()
        assert abs(sp.Rational(value) - truth) > moved
        assert abs(shift[i]) < 1e-8 * max(abs(traces).max(), abs(traces[i]))
