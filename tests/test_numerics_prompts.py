"""The sampler: seeds, law, singular covariances, antithetic pairs, bad input."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from numerics.device import seeded
from numerics.errors import ArgumentError, check_covariance
from numerics.prompts import Prompts, sample_prompts

EPS = torch.finfo(torch.float64).eps
COVARIANCE = torch.tensor([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]]).double()


def draw(seed: int, size: int | tuple[int, ...] = 4, **options: bool) -> Prompts:
    return sample_prompts(COVARIANCE, 5, size, seeded(seed, "cpu"), **options)


def test_same_seed_same_prompts_other_seed_other_prompts() -> None:
    first, again, other = draw(1), draw(1), draw(2)
    assert torch.equal(first.X, again.X)
    assert torch.equal(first.w_star, again.w_star)
    assert not (first.X == other.X).any()
    assert not (first.w_star == other.w_star).any()


def test_one_generator_goes_on_and_leaves_the_global_one_alone() -> None:
    generator, before = seeded(1, "cpu"), torch.get_rng_state()
    first, second = (sample_prompts(COVARIANCE, 5, 4, generator) for _ in range(2))
    assert not (first.X == second.X).any()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("size", "leading"), [(4, (4,)), ((2, 4), (2, 4)), ((3, 1, 4), (3, 1, 4))])
def test_shapes(size: int | tuple[int, ...], leading: tuple[int, ...]) -> None:
    prompts = draw(1, size)
    assert prompts.X.shape == (*leading, 3, 5)
    assert prompts.w_star.shape == (*leading, 3)
    assert prompts.S.shape == (*leading, 3, 3)
    assert prompts.y.shape == (*leading, 5)
    assert (prompts.d, prompts.n, prompts.size) == (3, 5, 4)
    assert prompts.X.dtype == prompts.w_star.dtype == torch.float64


def test_derived_quantities_by_hand() -> None:
    prompts = Prompts(torch.tensor([[[1.0, 3], [2, -1]]]).double(), torch.tensor([[2.0, 5]]).double())
    assert torch.equal(prompts.S, torch.tensor([[[5.0, -0.5], [-0.5, 2.5]]]).double())
    assert torch.equal(prompts.y, torch.tensor([[12.0, 1]]).double())


def test_prompts_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        draw(1).X = torch.zeros(1)  # type: ignore[misc]


# The directions e_i and e_i + e_j fix a symmetric matrix.
DIRECTIONS = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]).double()
ALPHA = 1e-6  # chance that a correct sampler fails one such test at a seed not yet looked at


def has_covariance(samples: Tensor, covariance: Tensor) -> bool:
    """Exact test at level ALPHA: for N(0, C) samples, Σ⟨v, x⟩²/(vᵀCv) is χ² with a degree per sample.

    Bonferroni over the directions, two-sided.  With N samples its reach is about 5.5·√(2/N) relative.
    """
    squares = (samples @ DIRECTIONS.mT).square().sum(0)
    variances = ((DIRECTIONS @ covariance) * DIRECTIONS).sum(-1)
    statistic = (squares / variances).numpy()
    tail = ALPHA / (2 * len(DIRECTIONS))
    return bool(
        ((statistic > chi2.ppf(tail, len(samples))) & (statistic < chi2.isf(tail, len(samples)))).all()
    )


def test_features_and_task_vectors_have_their_covariances() -> None:
    prompts = draw(20, 20_000)
    features = prompts.X.mT.reshape(-1, 3)
    assert has_covariance(features, COVARIANCE)
    assert has_covariance(prompts.w_star, torch.eye(3).double())
    # Columns of one prompt, and features and task vector, are independent: their sums have the summed
    # covariance, which a shared draw would double.
    assert has_covariance(prompts.X[..., 0] + prompts.X[..., 1], 2 * COVARIANCE)
    assert has_covariance(prompts.X[..., 0] + prompts.w_star, COVARIANCE + torch.eye(3).double())


def test_covariance_test_rejects_alternatives() -> None:
    features = draw(21, 20_000).X.mT.reshape(-1, 3)
    # Variances off by 5 %, a lost sign, and a root applied twice; the reach at N = 100000 is 2.5 %.
    flipped = COVARIANCE * torch.tensor([[1, -1, 1], [-1, 1, 1], [1, 1, 1]])
    for wrong in (1.05 * COVARIANCE, 0.95 * COVARIANCE, flipped, COVARIANCE @ COVARIANCE):
        assert not has_covariance(features, wrong)


def test_singular_covariance_stays_in_its_range() -> None:
    basis = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=seeded(3, "cpu"))).Q
    covariance = basis[:, :2] @ torch.diag(torch.tensor([3.0, 0.5]).double()) @ basis[:, :2].mT
    covariance = (covariance + covariance.mT) / 2
    X = sample_prompts(covariance, 4, 50, seeded(4, "cpu")).X
    # The computed range is off by a small multiple of d·eps·(3/0.5), the largest eigenvalue over the gap to
    # zero; 10 covers the multiple.  Keeping an eigenvalue of rounding size would leave about √eps = 1e-8.
    outside = (basis[:, 2:].mT @ X).abs().max()
    assert outside <= 10 * 5 * EPS * 6 * X.abs().max()
    assert torch.linalg.matrix_rank(X.mT.reshape(-1, 5)) == 2


def test_zero_and_diagonal_covariances_are_exact() -> None:
    assert not sample_prompts(torch.zeros(2, 2), 3, 2, seeded(1, "cpu")).X.any()
    X = sample_prompts(torch.diag(torch.tensor([4.0, 0, 1])), 3, 2, seeded(1, "cpu")).X
    assert not X[:, 1].any()
    assert X[:, [0, 2]].all()


def test_an_eigenvalue_counts_as_zero_up_to_the_rounding_of_the_largest() -> None:
    slack = 2 * 1e-13 * 3.0  # d · 1e-13 of the largest entry
    for least, expected in [(slack, False), (1.001 * slack, True), (-slack, False)]:
        X = sample_prompts(torch.diag(torch.tensor([3.0, least]).double()), 3, 4, seeded(1, "cpu")).X
        assert X[:, 0].all()
        assert bool(X[:, 1].any()) is expected


def test_antithetic_pairs() -> None:
    prompts = draw(1, (3, 2, 6), antithetic=True)
    assert prompts.X.shape == (3, 2, 6, 3, 5)
    assert torch.equal(prompts.X[..., :3, :, :], prompts.X[..., 3:, :, :])
    assert torch.equal(prompts.w_star[..., :3, :], -prompts.w_star[..., 3:, :])
    assert torch.equal(prompts.y[..., :3, :], -prompts.y[..., 3:, :])
    assert len(prompts.w_star.abs().unique()) == 3 * 2 * 3 * 3  # no other repetition


IDENTITY = torch.eye(3).double()
BAD_COVARIANCES = {
    "not square": torch.ones(2, 3),
    "a vector": torch.ones(3),
    "empty": torch.zeros(0, 0),
    "not a number": IDENTITY.clone().index_fill_(0, torch.tensor(1), torch.nan),
    "infinite": torch.inf * IDENTITY.new_ones(3, 3),
    "asymmetric": IDENTITY + torch.tensor([[0, 1e-6, 0], [0, 0, 0], [0, 0, 0]]),
    "indefinite": IDENTITY - 1.001 * torch.diag(torch.tensor([0.0, 0, 1])),
}


@pytest.mark.parametrize("kind", BAD_COVARIANCES)
def test_bad_covariance_is_rejected(kind: str) -> None:
    with pytest.raises(ArgumentError, match=r"^covariance .*: [^\n]*must be [^\n]*$"):
        sample_prompts(BAD_COVARIANCES[kind], 3, 2, seeded(1, "cpu"))


def test_covariance_of_another_dimension_is_rejected() -> None:
    with pytest.raises(ArgumentError, match=r"^A has shape \(3, 3\): must be 2 × 2$"):
        check_covariance("A", IDENTITY, 2)


@pytest.mark.parametrize("n", [0, -1, 2.0, True])
def test_bad_prompt_length_is_rejected(n: object) -> None:
    with pytest.raises(ArgumentError, match=r"^n=.*: must be an integer of at least 1$"):
        sample_prompts(IDENTITY, n, 2, seeded(1, "cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, -2, 2.0, (), (0, 2), (2, 0), (2, 1.5)])
def test_bad_size_is_rejected(size: object) -> None:
    with pytest.raises(ArgumentError, match=r"^size=.*: must be an integer"):
        sample_prompts(IDENTITY, 3, size, seeded(1, "cpu"))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [3, (2, 3)])
def test_odd_size_has_no_antithetic_pairs(size: int | tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match=r"^size=.*: must be even"):
        sample_prompts(IDENTITY, 3, size, seeded(1, "cpu"), antithetic=True)


@pytest.mark.parametrize(
    ("name", "X", "w_star"),
    [
        ("X", torch.zeros(3, 5).double(), torch.zeros(3).double()),
        ("X", torch.zeros(2, 3, 5), torch.zeros(2, 3).double()),
        ("w_star", torch.zeros(2, 3, 5).double(), torch.zeros(2, 5).double()),
        ("w_star", torch.zeros(2, 3, 5).double(), torch.zeros(3).double()),
    ],
)
def test_prompts_of_wrong_shape_are_rejected(name: str, X: Tensor, w_star: Tensor) -> None:
    with pytest.raises(ArgumentError, match=rf"^{name} has shape .*: must be"):
        Prompts(X, w_star)
