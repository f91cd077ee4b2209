"""The rational oracle against the float64 model, against known moments, and the block algebra against it.

The two models are compared at dyadic numbers (small integers over powers of two, n and B powers of two):
float64 holds every intermediate result exactly, so that ``==`` is the right comparison.
"""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

from numerics import losses, model
from numerics.prompts import Prompts
from theory import blocks, exact
from theory import notation as nt
from theory.errors import ArgumentError
from theory.model import w_now
from theory.words.evaluate import evaluate
from theory.words.letters import Letter
from theory.words.poly import letter

half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
V = exact.matrix([["1/2", -1], ["3/4", 2]])
W = exact.matrix([[1, "-1/2"], [2, "1/4"]])
X = exact.matrix([[1, -2, 0, "1/2"], [3, 1, -1, 2]])
X2 = exact.matrix([[0, 1, 1, -1], ["1/2", 2, 0, 1]])
STAR, STAR2 = exact.matrix([[2], ["-1/2"]]), exact.matrix([["1/4"], [1]])
PROMPTS = [(X, STAR), (X2, STAR2)]
# Every block occupied, the rows that pattern (3.8) leaves at zero as well.
FULL_V = sp.Matrix(6, 6, lambda r, c: sp.Rational((3 * r + 2 * c) % 5 - 2, 4))
FULL_W = sp.Matrix(6, 6, lambda r, c: sp.Rational((r + 4 * c) % 7 - 3, 4))


def tensor(matrix: sp.Matrix) -> torch.Tensor:
    return torch.tensor(np.array(matrix.tolist(), dtype=float))


def prompts() -> Prompts:
    return Prompts(
        torch.stack([tensor(x) for x, _ in PROMPTS]), torch.stack([tensor(w)[:, 0] for _, w in PROMPTS])
    )


def same(found: torch.Tensor, expected: sp.Matrix) -> bool:
    return torch.equal(found, tensor(expected))


def test_matrices_are_read_exactly() -> None:
    assert exact.matrix([["-2/3", "0.1"]]) == sp.Matrix([[sp.Rational(-2, 3), sp.Rational(1, 10)]])


@pytest.mark.parametrize("weights", [exact.assemble(V, W), exact.assemble(V, W, half), (FULL_V, FULL_W)])
def test_chain_is_the_chain_of_the_float_model(weights) -> None:
    columns = exact.chain(*weights, X, STAR, 2)
    Z = model.chain_of_thought(*map(tensor, weights), tensor(X), tensor(STAR)[:, 0], 2)
    assert len(columns) == 2
    assert same(Z[:, 5:], sp.Matrix.hstack(*columns))
    assert same(Z[:, :5], exact.embed(X, STAR, [exact.weight_column(sp.zeros(2, 1))]))


def test_assembly_is_that_of_the_float_model() -> None:
    for found, expected in zip(
        model.assemble(tensor(V), tensor(W), 0.5), exact.assemble(V, W, half), strict=True
    ):
        assert same(found, expected)


@pytest.mark.parametrize("i", [0, 1, 2])
def test_taught_column_is_that_of_the_float_model(i: int) -> None:
    Z = model.teacher_sequence(tensor(X), tensor(STAR)[:, 0], 0.25, i)
    found = model.last_column(Z, tensor(FULL_V), tensor(FULL_W), 4)
    assert same(found[:, None], exact.taught(FULL_V, FULL_W, X, STAR, quarter, i))


def test_path_starts_at_zero_for_every_rate() -> None:
    for eta in (quarter, sp.Integer(1)):
        assert exact.target(STAR, eta, 0) == sp.zeros(2, 1)
        assert exact.target(STAR, eta, 1) == eta * STAR
    assert exact.target(STAR, sp.Integer(1), 3) == STAR


@pytest.mark.parametrize("k", [0, 2])
def test_supervised_loss_and_gradient_are_autograds(k: int) -> None:
    v, identity = tensor(V).requires_grad_(), torch.eye(2, dtype=torch.float64, requires_grad=True)
    loss = losses.sft_loss(*model.assemble(v, identity), prompts(), 0.25, k)
    assert sp.Rational(loss.item()) == exact.supervised_loss(V, sp.eye(2), PROMPTS, quarter, k)
    for found, expected in zip(
        torch.autograd.grad(loss, (v, identity)),
        exact.supervised_gradient(PROMPTS, V, quarter, k),
        strict=True,
    ):
        assert same(found, expected)
    at_w = losses.sft_loss(*model.assemble(tensor(V), tensor(W)), prompts(), 0.25, k)
    assert sp.Rational(at_w.item()) == exact.supervised_loss(V, W, PROMPTS, quarter, k)


z = list(sp.symbols("z:3"))
a, b = sp.symbols("a b")


@pytest.mark.parametrize(
    ("polynomial", "mean"),
    [
        (z[0] ** 2, 1),
        (z[0] ** 4, 3),
        (z[0] ** 6, 15),
        (z[0] ** 8, 105),
        (z[0] ** 3 * z[1] ** 2, 0),
        (z[0] ** 2 * z[1] ** 4 * z[2] ** 2, 3),
        (z[0] * z[1], 0),
        ((z[0] ** 2 + z[1] ** 2 + z[2] ** 2) ** 2, 15),  # χ²_3: 3 · 5
        ((z[0] ** 2 + z[1] ** 2 + z[2] ** 2) ** 3, 105),  # χ²_3: 3 · 5 · 7
        ((a * z[0] + b * z[1]) ** 4, 3 * (a**2 + b**2) ** 2),
        ((sp.sqrt(2) * z[0] + 1) ** 2, 3),
        (sp.Integer(7), 7),
        (sp.Integer(0), 0),
    ],
)
def test_gaussian_mean(polynomial, mean) -> None:
    assert sp.expand(exact.gaussian_mean(polynomial, z) - mean) == 0


def test_mean_over_prompts_is_over_samples_of_the_covariance() -> None:
    root = exact.matrix([[1, 2], [0, -1]])
    sigma = root * root.T
    assert exact.mean_over_prompts(lambda S: S, root, 3) == sigma
    # E‖S‖² at n = 1 is E|x|⁴ = (tr Σ)² + 2 tr Σ².
    found = exact.mean_over_prompts(exact.frobenius_squared, root, 1)
    assert found == sigma.trace() ** 2 + 2 * (sigma**2).trace()
    symbols = exact.normal_prompt(root, 3)[1]
    assert len(set(symbols)) == 6


@pytest.mark.parametrize(
    ("Omega", "Phi"),
    [
        ([[1], [2]], [["1/2"], [3]]),  # B < d
        ([[1, 0], [2, -1]], [["1/2", 1], [3, -2]]),  # B = d
        ([[1, 0, 4], [2, -1, 1]], [["1/2", 1, 2], [3, -2, 5]]),  # B > d
        ([[1, 0, 4], [2, -1, 1]], [[1, 2, -1], [-2, -4, 2]]),  # B > d > rank
        ([[1, 1]] * 2, [[0, 0]] * 2),
    ],
)
def test_fixed_point_is_the_nearest_least_squares_solution(Omega, Phi) -> None:
    Omega, Phi, gamma0 = exact.matrix(Omega), exact.matrix(Phi), exact.matrix([[3, 1], [1, 2]])
    found = exact.fixed_point(Omega, Phi, gamma0, quarter)
    assert (found * Phi + quarter * Omega) * Phi.T == sp.zeros(2)
    # Nearest to −Γ₀⁻¹: the difference has its rows in the span of Φ's columns.
    difference = found + gamma0.inv()
    assert sp.Matrix.vstack(Phi.T, difference).rank() == Phi.rank()


def test_stacked_prompts() -> None:
    Omega, Phi = exact.stack(PROMPTS)
    assert Omega == sp.Matrix([[2, quarter], [-half, 1]])
    assert Phi[:, 1] == X2 * (X2.T * STAR2) / 4
    assert exact.covariance(X2) == exact.covariance(X2).T


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exact.chain(FULL_V, FULL_W, X, STAR, -1), r"^k=-1: must be an integer of at least 0$"),
        (lambda: exact.normal_prompt(sp.eye(2), 0), r"^n=0: must be an integer of at least 1$"),
        (lambda: exact.normal_prompt(sp.ones(2, 1), 1), r"^root has shape \(2, 1\): must be square$"),
    ],
)
def test_bad_argument_is_named(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


# The block algebra ---------------------------------------------------------------------------------

TOKENS = exact.matrix([[0, 1, "1/3"], [0, "-1/2", 5]])  # the last column is the current weight


def block_values(weights: tuple[sp.Matrix, sp.Matrix]) -> dict[Letter, np.ndarray]:
    """Arrays for every letter of the blocks, V and W cut at rows 2, 3, 5."""
    found = {
        nt.letter_of(nt.X): X,
        nt.letter_of(nt.S): exact.covariance(X),
        nt.letter_of(nt.w_star): STAR,
        nt.letter_of(w_now): TOKENS[:, 2],
        nt.letter_of(nt.V): V,
        nt.letter_of(nt.W): W,
        blocks.TOKENS: TOKENS,
        blocks.ONES: sp.ones(1, 3),
    }
    cuts = [0, 2, 3, 5, 6]
    for name, matrix in zip("VW", weights, strict=True):
        for r, row in enumerate(blocks.full(name)):
            for c, block in enumerate(row):
                (one,) = block.letters()
                found[one] = matrix[cuts[r] : cuts[r + 1], cuts[c] : cuts[c + 1]]
    return {one: np.array(matrix.tolist(), dtype=object) for one, matrix in found.items()}


@pytest.mark.parametrize(
    ("block_weights", "weights"),
    [
        ((blocks.full("V"), blocks.full("W")), (FULL_V, FULL_W)),
        (blocks.pattern(), exact.assemble(V, W)),
        (blocks.pattern(half), exact.assemble(V, W, half)),
    ],
)
def test_block_forward_is_the_definition(block_weights, weights) -> None:
    Z = exact.embed(X, STAR, [exact.weight_column(TOKENS[:, j]) for j in range(3)])
    column = blocks.forward(*block_weights, letter(nt.letter_of(w_now)))
    arrays = block_values(weights)
    entries = [entry for row in column for entry in evaluate(row[0], arrays).ravel()]
    assert entries == list(exact.forward(Z, *weights, 4))


def test_unit_block_changes_nothing() -> None:
    full = blocks.full("V")
    for product in (blocks.product(blocks.unit(), full), blocks.product(full, blocks.unit())):
        for row, expected in zip(product, full, strict=True):
            assert all(one.equals(other) for one, other in zip(row, expected, strict=True))


def test_covariance_is_recognised_in_words_and_in_traces() -> None:
    x, s, v = (letter(nt.letter_of(symbol)) for symbol in (nt.X, nt.S, nt.V))
    found = blocks.with_covariance(v @ x @ x.T * (x.T @ v @ x).trace())
    assert found.equals(v @ s * (v @ s).trace() * nt.n**2)
    for other in (x.T @ v, x.T @ x, x.T @ v @ x):
        # No X Xᵀ in it: XᵀX is n × n and no covariance.
        assert blocks.with_covariance(other).equals(other)


w_, S, M = (letter(nt.letter_of(symbol)) for symbol in (nt.w_star, nt.S, nt.V))


@pytest.mark.parametrize(
    "expression",
    [
        w_ @ w_.T,
        M @ w_ @ w_.T @ S,
        S * (w_.T @ M @ w_).trace(),
        w_ @ w_.T @ M + M,
        M @ w_ @ w_.T @ M.T @ S - S * (w_.T @ S @ w_).trace(),
    ],
)
def test_mean_over_the_task(expression) -> None:
    at = {nt.letter_of(nt.S): exact.covariance(X), nt.letter_of(nt.V): V}
    arrays = {one: np.array(m.tolist(), dtype=object) for one, m in at.items()}
    task = np.array([[z[0]], [z[1]]], dtype=object)
    direct = evaluate(expression, {**arrays, nt.letter_of(nt.w_star): task}).ravel()
    mean = evaluate(blocks.gaussian_task(expression), arrays).ravel().tolist()
    assert mean == [exact.gaussian_mean(entry, z[:2]) for entry in direct]
    total = evaluate(expression.trace(), {**arrays, nt.letter_of(nt.w_star): task})
    assert evaluate(blocks.gaussian_task(expression.trace()), arrays) == exact.gaussian_mean(total, z[:2])


def test_odd_powers_of_the_task_vanish_and_higher_even_ones_are_refused() -> None:
    assert blocks.gaussian_task(M @ w_).is_zero()
    assert blocks.gaussian_task(w_ @ (w_.T @ M @ w_)).is_zero()
    with pytest.raises(ArithmeticError, match="degree 4"):
        blocks.gaussian_task((w_.T @ M @ w_).trace() * (w_.T @ S @ w_).trace())
