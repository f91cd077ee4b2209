"""Revealed Wishart matrices, k-step errors: equal in law to the definition, border cases, rounding, input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from numerics import revealed
from numerics.device import seeded
from numerics.errors import ArgumentError
from numerics.sampling import RevealedWishart, k_step_errors, k_step_errors_by_definition
from theory.kstep_value import k_step_risk

GENERIC = torch.tensor([[1.0, 0.4, -0.2], [0.4, 0.7, 0.1], [-0.2, 0.1, 0.5]]).double()
ROOT = torch.tensor([[1.0, 0.3], [-0.5, 0.8], [0.4, 0.6]]).double()
SINGULAR = ROOT @ ROOT.mT  # rank 2
BLOCK = -0.5 * torch.tensor([[1.0, -0.3, 0.2], [0.1, 1.4, 0.0], [0.3, -0.2, 1.1]]).double()
DIAGONAL = torch.tensor([1.2, 0.0, 0.4]).double()
COVARIANCES = {"generic": GENERIC, "singular": SINGULAR, "diagonal": DIAGONAL}

SIZE = 40_000
ALPHA = 1e-6  # chance that an exact sampler fails one such test at a seed not yet looked at


def gram_of(generator: torch.Generator, n: int, d: int, size: int) -> Callable[[Tensor], Tensor]:
    """The definition: products with GᵀG."""
    G = torch.randn(size, n, d, dtype=torch.float64, generator=generator)
    return lambda u: torch.einsum("bnd,bne,be->bd", G, G, u)


def conversation(times: Callable[[Tensor], Tensor], d: int, k: int, size: int) -> Tensor:
    """All coordinates of k answers, each question made from the answers before it; (size, k·d)."""
    u, found = torch.linspace(1, 2, d).double().expand(size, d), []
    for _ in range(k):
        found.append(times(u.contiguous()))
        u = u.roll(1, dims=1) + found[-1] / (1 + torch.linalg.vector_norm(found[-1], dim=1, keepdim=True))
    return torch.cat(found, 1)


def assert_same_law(first: Tensor, second: Tensor) -> None:
    """Each column, and the products of neighbours, by the Kolmogorov-Smirnov distance."""
    for one, other in ((first, second), (first * first.roll(1, 1), second * second.roll(1, 1))):
        for j in range(one.shape[1]):
            assert ks_2samp(one[:, j].numpy(), other[:, j].numpy()).pvalue > ALPHA, j


@pytest.mark.parametrize(
    ("d", "n", "k"), [(1, 1, 3), (3, 1, 3), (4, 2, 4), (3, 3, 5), (4, 4, 3), (2, 5, 4), (3, 40, 3)]
)
def test_answers_have_the_law_of_the_definition(d: int, n: int, k: int) -> None:
    size = SIZE // 4
    gram = RevealedWishart(d, n, size, k, seeded(d + 10 * n, "cpu"), torch.float64)
    defined = conversation(gram_of(seeded(500 + d + 10 * n, "cpu"), n, d, size), d, k, size)
    assert_same_law(conversation(gram.times, d, k, size), defined)


@pytest.mark.parametrize(("n", "k"), [(1, 2), (2, 4), (3, 4), (12, 3)])
@pytest.mark.parametrize("kind", COVARIANCES)
def test_errors_have_the_law_of_the_definition(kind: str, n: int, k: int) -> None:
    drawn = k_step_errors(BLOCK, COVARIANCES[kind], n, k, SIZE, seeded(n, "cpu"))
    defined = k_step_errors_by_definition(BLOCK, COVARIANCES[kind], n, k, SIZE, seeded(60 + n, "cpu"))
    assert drawn.shape == defined.shape == (SIZE, k + 1)
    assert_same_law(drawn, defined)
    for j in range(1, k + 1):  # what a step changes, given where it starts
        ratio, other = drawn[:, j] / drawn[:, j - 1], defined[:, j] / defined[:, j - 1]
        assert ks_2samp(ratio.numpy(), other.numpy()).pvalue > ALPHA


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_errors_near_d_equal_to_n(dtype: torch.dtype) -> None:
    """d = n = 40: S has eigenvalues near zero and near 4, and the errors a heavy tail."""
    spectrum = torch.linspace(0.1, 1, 40)
    V = -1 / (spectrum * (1 + 1 / 40) + spectrum.sum() / 40)
    drawn, defined = (
        f(1.8 * V, spectrum, 40, 4, 20_000, seeded(7 + i, "cpu"), dtype)
        for i, f in enumerate((k_step_errors, k_step_errors_by_definition))
    )
    assert drawn.dtype == dtype
    assert_same_law(drawn.double(), defined.double())


@pytest.mark.parametrize("kind", COVARIANCES)
def test_means_are_the_exact_risks(kind: str) -> None:
    k, n = 3, 8
    Sigma = COVARIANCES[kind]
    drawn = k_step_errors(0.4 * BLOCK, Sigma, n, k, 2 * SIZE, seeded(3, "cpu"))
    full = (torch.diag(Sigma) if Sigma.ndim == 1 else Sigma).numpy()
    for j in range(1, k + 1):
        expected = k_step_risk(0.4 * BLOCK.numpy(), full, n, j)
        spread = float(drawn[:, j].std()) / math.sqrt(len(drawn))
        assert abs(float(drawn[:, j].mean()) - expected) < 5.5 * spread


def questions(size: int, d: int) -> dict[str, Callable[[int, list[Tensor]], Tensor]]:
    first = torch.linspace(1, 2, size * d, dtype=torch.float64).reshape(size, d)
    return {
        "the same again": lambda j, seen: first,
        "scaled": lambda j, seen: first * (-3.0) ** j,
        "zero": lambda j, seen: torch.zeros_like(first),
        "zero first": lambda j, seen: first * min(j, 1),
        "sums of the old": lambda j, seen: sum(seen[:2], start=first) if j > 1 else first + j * first.flip(1),
        "new by rounding": lambda j, seen: first * (1 + 1e-16 * j) + 1e-15 * j * first.roll(1, 1),
        "new for some": lambda j, seen: first + (torch.arange(size) % 2 * j)[:, None] * first.roll(j, 1),
    }


@pytest.mark.parametrize("name", questions(1, 1))
@pytest.mark.parametrize(("d", "n"), [(5, 3), (2, 6), (6, 2)])
def test_the_answers_are_of_one_symmetric_matrix(name: str, d: int, n: int) -> None:
    """Whatever is asked, in whatever order: u·GᵀGv = v·GᵀGu and ‖Gu‖² ≥ 0, and the same question has one
    answer; directions stay orthonormal or zero."""
    size, k = 30, 6
    ask = questions(size, d)[name]
    gram = RevealedWishart(d, n, size, k, seeded(5, "cpu"), torch.float64)
    seen: list[Tensor] = []
    replies: list[Tensor] = []
    for j in range(k):
        seen.append(ask(j, seen))
        replies.append(gram.times(seen[-1]))
    U, Y = torch.stack(seen, 1), torch.stack(replies, 1)
    table = U @ Y.mT
    scale = (d + n) * float(U.square().sum(-1).max())
    assert torch.isfinite(Y).all()
    assert (table - table.mT).abs().max() <= 1e-12 * scale
    assert torch.linalg.eigvalsh((table + table.mT) / 2).min() >= -1e-12 * scale
    Q = gram._q.transpose(0, 1)
    products = Q @ Q.mT
    assert (
        products - torch.diag_embed((products.diagonal(dim1=1, dim2=2) > 0.5).double())
    ).abs().max() < 1e-14
    assert gram.rank.dtype == torch.long
    assert gram.rank.max() <= d
    if name == "the same again":  # a direction made of rounding may be added: it changes no answer
        assert (Y - Y[:, :1]).abs().max() <= 1e-12 * scale


def test_directions_are_orthogonal_where_questions_hardly_differ() -> None:
    """Questions 1e-9 apart: one pass leaves directions 1e-7 from orthogonal, two leave rounding."""
    gram = RevealedWishart(50, 50, 4, 3, seeded(2, "cpu"), torch.float64)
    base = torch.randn(4, 50, dtype=torch.float64, generator=seeded(3, "cpu"))
    for j in range(3):
        gram.times(base + 1e-9 * j * base.roll(j, 1))
    Q = gram._q.transpose(0, 1)
    assert (gram.rank == 3).all()
    assert (Q @ Q.mT - torch.eye(3)).abs().max() < 1e-14


def test_one_batch_may_hold_old_and_new_questions() -> None:
    d, n, size = 4, 6, 20
    gram = RevealedWishart(d, n, size, d, seeded(4, "cpu"), torch.float64)
    old = torch.arange(size) % 2 == 0  # these ask the same each time, the others for a new column
    first = torch.linspace(1, 2, size * d, dtype=torch.float64).reshape(size, d)
    columns = [gram.times(torch.where(old[:, None], first, e)) for e in torch.eye(d).double()]
    Y = torch.stack(columns, 1)
    assert (Y[old] - Y[old][:, :1]).abs().max() <= 1e-12 * Y.abs().max()
    assert (torch.linalg.matrix_rank(Y[~old]) == d).all()
    assert (gram.rank[~old] == d).all()


def test_all_of_the_matrix_is_known_after_n_directions() -> None:
    gram = RevealedWishart(4, 2, 10, 4, seeded(1, "cpu"), torch.float64)
    matrix = torch.stack([gram.times(e.expand(10, 4)) for e in torch.eye(4).double()], 2)
    assert (torch.linalg.matrix_rank(matrix) == 2).all()
    assert not gram._z[2:].any()


def test_restart_draws_other_matrices() -> None:
    gram = RevealedWishart(3, 3, 5, 1, seeded(1, "cpu"), torch.float64)
    u = torch.ones(5, 3).double()
    first = gram.times(u)
    with pytest.raises(ArgumentError, match=r"^times: called more than most=1 times, must be at most that$"):
        gram.times(u)
    gram.restart()
    assert not (gram.times(u) == first).any()


def test_singular_covariance_leaves_its_null_space_alone() -> None:
    """Diagonal Σ with two positive levels: three steps ask along two directions, and S is known then."""
    levels = torch.tensor([1.0, 0.5, 0.0, 0.0])
    for dtype in (torch.float32, torch.float64):
        drawn = k_step_errors(-levels, levels, 5, 5, 2000, seeded(1, "cpu"), dtype)
        assert torch.isfinite(drawn).all()
    zero = k_step_errors(-torch.ones(3), torch.zeros(3), 2, 3, 10, seeded(1, "cpu"))
    assert torch.equal(zero, zero[:, :1].expand(-1, 4))


def test_single_precision_follows_double() -> None:
    """The same questions to the same normals and χ: only rounding differs, 1e-7 times some tens."""
    size, d, k = 6, 300, 4
    grams = [
        RevealedWishart(d, 200, size, k, seeded(1, "cpu"), dtype) for dtype in (torch.float64, torch.float32)
    ]
    base = torch.randn(size, d, dtype=torch.float64, generator=seeded(9, "cpu"))
    for j in range(k):
        u = base.roll(j, 1)
        grams[0].times(u)
        grams[1].times(u.float())
    Q = grams[1]._q.transpose(0, 1)
    assert (Q @ Q.mT - torch.eye(k)).abs().max() < 2e-6
    z = grams[1]._z.transpose(0, 1)
    assert torch.triu(z @ Q.mT, 1).shape == (size, k, k)
    assert torch.tril(z @ Q.mT, -1).abs().max() < 1e-4  # z_l · q_j = 0 for j < l, against entries of 10


def test_diagonal_matrices_in_either_form_and_zero_steps() -> None:
    V, Sigma = torch.tensor([-0.5, -0.3]), torch.tensor([1.0, 2.0])
    one = k_step_errors(V, Sigma, 3, 2, 7, seeded(4, "cpu"))
    assert torch.equal(one, k_step_errors(torch.diag(V), torch.diag(Sigma), 3, 2, 7, seeded(4, "cpu")))
    none = k_step_errors(V, Sigma, 3, 0, 7, seeded(4, "cpu"))
    assert torch.equal(none[:, 0], one[:, 0])
    # A full V with a diagonal Σ, and the other way round.
    full = torch.tensor([[-0.5, 1e-30], [0.0, -0.3]])
    assert torch.allclose(k_step_errors(full, Sigma, 3, 2, 7, seeded(4, "cpu")), one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("sampler", [k_step_errors, k_step_errors_by_definition])
def test_seeds_batches_and_the_global_generator(
    sampler: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_rng_state()
    generator = seeded(1, "cpu")
    first, onward = (sampler(BLOCK, GENERIC, 5, 2, 4, generator) for _ in range(2))
    again, other = (sampler(BLOCK, GENERIC, 5, 2, 4, seeded(s, "cpu")) for s in (1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not (first == other).any()
    assert not (first == onward).any()
    # In batches of two and a last one of one, the draws go on: nothing repeats.
    monkeypatch.setattr(revealed, "CHUNK", 60)
    found = sampler(BLOCK, GENERIC, 5, 2, 7, seeded(1, "cpu"))
    assert found.shape == (7, 3)
    assert len(found[:, 2].unique()) == 7


def test_no_more_is_held_at_once_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Counted(RevealedWishart):
        def __init__(self, d: int, n: int, size: int, *rest: Any) -> None:
            held.append(size)
            super().__init__(d, n, size, *rest)

    monkeypatch.setattr(revealed, "RevealedWishart", Counted)
    # Two steps hold (2·2 + 6)·3 = 30 numbers a prompt: q, z, and six vectors of d besides.
    for chunk, size, batches in [(60, 7, [2, 1]), (59, 3, [1]), (90, 6, [3]), (10**6, 7, [7]), (1, 2, [1])]:
        monkeypatch.setattr(revealed, "CHUNK", chunk)
        assert k_step_errors(BLOCK, GENERIC, 5, 2, size, seeded(1, "cpu")).shape == (size, 3)
        assert held == batches
        held.clear()
    draw = torch.randn

    def counted(*shape: int, **kind: Any) -> Tensor:
        held.extend(shape[:1] if len(shape) == 3 else [])
        return draw(*shape, **kind)

    monkeypatch.setattr(torch, "randn", counted)
    # The features of a prompt and four vectors of d: (5 + 4)·3 = 27.
    for chunk, size, batches in [(54, 5, [2, 2, 1]), (53, 2, [1, 1]), (10**6, 4, [4]), (1, 2, [1, 1])]:
        monkeypatch.setattr(revealed, "CHUNK", chunk)
        assert k_step_errors_by_definition(BLOCK, GENERIC, 5, 2, size, seeded(1, "cpu")).shape == (size, 3)
        assert held == batches
        held.clear()


def test_length_costs_nothing() -> None:
    # n · d = 1e14 numbers.  The errors of S are of order √(d/n), about 1e-3.
    d = 10_000
    spectrum = torch.linspace(0.5, 1, d)
    drawn = k_step_errors(-1 / spectrum, spectrum, 10**10, 2, 3, seeded(1, "cpu"), torch.float32)
    assert (drawn[:, 1] < 1e-4 * drawn[:, 0]).all()


@pytest.mark.parametrize("sampler", [k_step_errors, k_step_errors_by_definition])
@pytest.mark.parametrize("size", [1e15, 1e30])
def test_divergence_is_no_number_in_a_table(sampler: Callable[..., Tensor], size: float) -> None:
    with pytest.raises(OverflowError, match=r"^diverged: the errors are beyond torch.float32, [^\n]*$"):
        sampler(size * BLOCK, GENERIC, 3, 4, 5, seeded(1, "cpu"), torch.float32)


BAD = {
    "n": {"n": 0},
    "k": {"k": -1},
    "size": {"size": 2.0},
    "dtype": {"dtype": torch.float16},
    "V": {"V": torch.zeros(2)},
    "Sigma": {"Sigma": GENERIC - 1.5 * torch.eye(3)},
}


@pytest.mark.parametrize("sampler", [k_step_errors, k_step_errors_by_definition])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_rejected(sampler: Callable[..., Tensor], name: str) -> None:
    arguments = {"V": BLOCK, "Sigma": GENERIC, "n": 3, "k": 2, "size": 4, "generator": seeded(1, "cpu")}
    with pytest.raises(ArgumentError, match=rf"^{name}[ =][^\n]*: must be [^\n]*$"):
        sampler(**(arguments | BAD[name]))


def test_quantiles_of_one_step_at_one_dimension() -> None:
    """d = 1, k = 1: (1 + v c/n)² w², c ~ χ²_n, straight from NumPy's own generator."""
    source = np.random.default_rng(8)
    expected = (1 - 0.7 * source.chisquare(3, SIZE) / 3) ** 2 * source.normal(size=SIZE) ** 2
    drawn = k_step_errors(torch.tensor([-0.7]), torch.ones(1), 3, 1, SIZE, seeded(9, "cpu"))
    assert ks_2samp(drawn[:, 1].numpy(), expected).pvalue > ALPHA
