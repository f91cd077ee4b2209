"""The sampler of post-training targets: equal in law to the prompts it does without, seeds, bad input."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from numerics import sampling
from numerics.device import seeded
from numerics.errors import ArgumentError
from numerics.prompts import Prompts, sample_prompts
from numerics.sampling import sft_targets, sft_targets_by_definition

EPS = torch.finfo(torch.float64).eps
GENERIC = torch.tensor([[1.0, 0.4, -0.2], [0.4, 0.7, 0.1], [-0.2, 0.1, 0.5]]).double()
ROOT = torch.tensor([[1.0, 0.3], [-0.5, 0.8], [0.4, 0.6]]).double()
SINGULAR = ROOT @ ROOT.mT  # rank 2
SINGULAR_DIAGONAL = torch.tensor([1.2, 0.0, 0.4]).double()
COVARIANCES = {"generic": GENERIC, "singular": SINGULAR, "diagonal": SINGULAR_DIAGONAL}

SIZE = 400_000
ALPHA = 1e-6  # chance that an exact sampler fails one such test at a seed not yet looked at
Targets = tuple[Tensor, Tensor]
Sampler = Callable[[Tensor, int, int, torch.Generator], Targets]


def up_to_two(w: Tensor, Sw: Tensor, normed: bool) -> Tensor:
    """1, the coordinates of (w, Sw), divided by ‖w‖ or not, and their products in pairs, a row each."""
    z = torch.cat([w, Sw])
    if normed:
        z = z / torch.linalg.vector_norm(w, dim=0)
    i, j = torch.triu_indices(len(z), len(z))
    return torch.cat([torch.ones_like(z[:1]), z, z[i] * z[j]])


def worst_excess(first: Targets, second: Targets, orders: int = 4) -> float:
    """The largest |Σδ|/√(Σδ²) over products of up to ``orders`` (3 or 4) of the coordinates of (w, Sw), and
    of (w, Sw)/‖w‖; δ is the difference of such a product between paired draws.

    For equal laws each δ is symmetric, and P(|Σδ| ≥ t√(Σδ²)) ≤ 2 exp(−t²/2) holds exactly, however heavy
    the tails (Hoeffding, given the |δ|).

    (w, Sw) and (−w, −Sw) have one law, so that products of one or three have mean zero in any sampler
    odd in w: the third moments of Sw given w show in the products of three of its entries and one of w.
    Division by ‖w‖, which Sw/‖w‖ does not depend on, makes the tails lighter.
    """
    factors = 1 + sum(map(len, first)) if orders == 3 else None
    found = []
    for normed in (False, True):
        total, size, cross = (torch.zeros(()).double() for _ in range(3))
        for w, Sw, w_other, Sw_other in zip(*(part.split(10_000, 1) for part in first + second), strict=True):
            z, other = up_to_two(w, Sw, normed), up_to_two(w_other, Sw_other, normed)
            both, own, others = z * other, z.square(), other.square()
            # A product of up to four is one of two such rows: its sums over the draws are matrix products.
            total = total + z[:factors] @ z.mT - other[:factors] @ other.mT
            size = size + own[:factors] @ own.mT + others[:factors] @ others.mT
            cross = cross + both[:factors] @ both.mT
        squares = size - 2 * cross
        # What is equal in every draw differs by rounding alone.
        distances = (total.abs() / squares.clamp(min=0).sqrt()).masked_fill(squares <= 1e-12 * size, 0)
        found.append(float(distances.max()))
    return max(found)


# Bonferroni over products of one to four out of six coordinates, twice.
LIMIT = math.sqrt(2 * math.log(2 * 2 * (6 + 21 + 56 + 126) / ALPHA))


def as_stated(A: Tensor, n: int, B: int, generator: torch.Generator, plant: str = "") -> Targets:
    """Sw = (‖u‖/n) A^{1/2}(c û + √c (I − ûûᵀ)h) written out, with the mistake that ``plant`` names."""

    def chi_square() -> Tensor:
        return torch.randn(n, B, generator=generator, dtype=torch.float64).square().sum(0)

    values, vectors = torch.linalg.eigh(A if A.ndim == 2 else torch.diag(A))
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    w, h = (torch.randn(len(root), B, generator=generator, dtype=torch.float64) for _ in range(2))
    u = root @ w
    unit = u / torch.linalg.vector_norm(u, dim=0)
    c = chi_square()
    across = {"another draw": chi_square(), "its mean": torch.full_like(c, n)}.get(plant, c)
    if plant != "no projection":
        h = h - unit * (unit * h).sum(0)
    along = torch.full_like(c, n) if plant == "no fluctuation along" else c
    return w, root @ (along * unit + across.sqrt() * h) * torch.linalg.vector_norm(u, dim=0) / n


def excess(sampler: Sampler, A: Tensor, n: int, seed: int) -> float:
    """Of ``sampler`` against the definition."""
    drawn = sampler(A, n, SIZE, seeded(seed, "cpu"))
    return worst_excess(drawn, sft_targets_by_definition(A, n, SIZE, seeded(seed + 1, "cpu")))


@pytest.mark.parametrize("n", [1, 2, 6])
@pytest.mark.parametrize("kind", COVARIANCES)
def test_moments_up_to_the_fourth_are_those_of_the_definition(kind: str, n: int) -> None:
    assert excess(sft_targets, COVARIANCES[kind], n, 10 * n) < LIMIT


def test_one_dimension() -> None:
    # (I − ûûᵀ)h is zero, and Sw = (a/n) c w.
    A = torch.tensor([0.8]).double()
    assert excess(sft_targets, A, 2, 40) < LIMIT
    w, Sw = sft_targets(A, 2, 1000, seeded(3, "cpu"))
    assert (Sw * w > 0).all()


@pytest.mark.parametrize("kind", ["generic", "singular"])
def test_a_wrong_law_is_caught(kind: str) -> None:
    A = COVARIANCES[kind]
    defined = sft_targets_by_definition(A, 2, SIZE, seeded(60, "cpu"))

    def drawn(plant: str) -> Targets:
        return as_stated(A, 2, SIZE, seeded(61, "cpu"), plant)

    assert worst_excess(drawn(""), defined) < LIMIT
    for plant in ("no projection", "no fluctuation along"):
        assert worst_excess(drawn(plant), defined) > LIMIT
    for plant in ("another draw", "its mean"):
        # Across û, the first and second moments given w are the right ones: it takes E[c²] = n(n+2) against
        # n² in the third, at n = 2 a factor 2.
        planted = drawn(plant)
        assert worst_excess(planted, defined) > LIMIT
        assert worst_excess(planted, defined, orders=3) < LIMIT


@pytest.mark.parametrize("n", [1, 4])
def test_distributions_beyond_moments(n: int) -> None:
    # wᵀSw and ‖Sw‖ together with w decide the law given w, up to a rotation about Aw.
    drawn = sft_targets(GENERIC, n, 50_000, seeded(80 + n, "cpu"))
    defined = sft_targets_by_definition(GENERIC, n, 50_000, seeded(90 + n, "cpu"))
    for functional in (
        lambda w, Sw: (w * Sw).sum(0),
        lambda w, Sw: torch.linalg.vector_norm(Sw, dim=0),
        lambda w, Sw: torch.linalg.vector_norm(Sw, dim=0) / torch.linalg.vector_norm(w, dim=0),
    ):
        assert ks_2samp(functional(*drawn).numpy(), functional(*defined).numpy()).pvalue > ALPHA


def test_long_prompts_approach_their_mean() -> None:
    # The work does not depend on n.  The entries of S have standard deviations of order 1/√n = 3e-5 here;
    # 6 covers their sizes and the largest of 300.
    w, Sw = sft_targets(GENERIC, 10**9, 100, seeded(5, "cpu"))
    assert (Sw - GENERIC @ w).abs().max() < 6 * 3.2e-5 * torch.linalg.vector_norm(w, dim=0).max()


def test_singular_covariance_stays_in_its_range() -> None:
    null = torch.linalg.svd(ROOT).U[:, 2:]
    _, Sw = sft_targets(SINGULAR, 2, 1000, seeded(6, "cpu"))
    # Rounding of the root, whose eigenvalue gap is of the size of A: a small multiple of d·eps.
    assert (null.mT @ Sw).abs().max() <= 30 * EPS * Sw.abs().max()
    _, Sw = sft_targets(SINGULAR_DIAGONAL, 2, 1000, seeded(6, "cpu"))
    assert not Sw[1].any()
    assert Sw[[0, 2]].all()


@pytest.mark.parametrize("sampler", [sft_targets, sft_targets_by_definition])
def test_zero_covariance(sampler: Sampler) -> None:
    for A in (torch.zeros(3), torch.zeros(3, 3)):
        w, Sw = sampler(A, 2, 5, seeded(7, "cpu"))
        assert w.all()
        assert torch.equal(Sw, torch.zeros(3, 5).double())


def test_forms_of_the_covariance() -> None:
    diagonal = torch.tensor([2.0, 0.3, 1.0]).double()
    from_diagonal = sft_targets(diagonal, 3, 50, seeded(8, "cpu"))
    from_matrix = sft_targets(torch.diag(diagonal), 3, 50, seeded(8, "cpu"))
    for one, other in zip(from_diagonal, from_matrix, strict=True):
        assert torch.equal(one, other)
    # An entry off the diagonal takes the full square root, to which 1e-30 is no difference.
    nearly = torch.diag(diagonal)
    nearly[0, 1] = nearly[1, 0] = 1e-30
    w, Sw = sft_targets(nearly, 3, 50, seeded(8, "cpu"))
    assert torch.equal(w, from_diagonal[0])
    assert torch.allclose(Sw, from_diagonal[1], rtol=0, atol=float(30 * EPS * Sw.abs().max()))


def test_negative_rounding_on_the_diagonal_counts_as_zero() -> None:
    for A in (torch.tensor([1.0, -1e-17]), torch.diag(torch.tensor([1.0, -1e-17]))):
        _, Sw = sft_targets(A, 2, 5, seeded(8, "cpu"))
        assert torch.equal(Sw[1], torch.zeros(5).double())
        assert Sw[0].all()


def test_diagonal_covariance_needs_no_matrix() -> None:
    # As a matrix this covariance would take 80 GB.
    w, Sw = sft_targets(torch.ones(100_000), 3, 2, seeded(9, "cpu"))
    assert w.shape == Sw.shape == (100_000, 2)


@pytest.mark.parametrize("sampler", [sft_targets, sft_targets_by_definition])
def test_seeds_shapes_and_the_global_generator(sampler: Sampler) -> None:
    before = torch.get_rng_state()
    generator = seeded(1, "cpu")
    first, onward = (sampler(GENERIC, 5, 4, generator) for _ in range(2))
    again, other = (sampler(GENERIC, 5, 4, seeded(seed, "cpu")) for seed in (1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    for one, same, different, later in zip(first, again, other, onward, strict=True):
        assert one.shape == (3, 4)
        assert one.dtype == torch.float64
        assert torch.equal(one, same)
        assert not (one == different).any()
        assert not (one == later).any()


def test_definition_is_that_of_the_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = sample_prompts(GENERIC, 5, 4, seeded(1, "cpu"))
    Omega, Phi = sft_targets_by_definition(GENERIC, 5, 4, seeded(1, "cpu"))
    assert torch.equal(Omega, prompts.w_star.mT)
    expected = (prompts.S @ prompts.w_star[..., None])[..., 0].mT
    # Sums of d·n products in another order.
    assert torch.allclose(Phi, expected, rtol=0, atol=float(15 * EPS * Phi.abs().max()))
    # In chunks of two, two and one the draws go on: nothing repeats, nothing is lost.
    held: list[int] = []

    def counted(A: Tensor, n: int, size: int, generator: torch.Generator) -> Prompts:
        held.append(size)
        return sample_prompts(A, n, size, generator)

    monkeypatch.setattr(sampling, "sample_prompts", counted)
    monkeypatch.setattr(sampling, "CHUNK", 2 * 3 * 5 - 1)
    sft_targets_by_definition(GENERIC, 5, 2, seeded(1, "cpu"))
    monkeypatch.setattr(sampling, "CHUNK", 2 * 3 * 5)
    Omega, Phi = sft_targets_by_definition(GENERIC, 5, 5, seeded(1, "cpu"))
    assert held == [1, 1, 2, 2, 1]
    assert Omega.shape == Phi.shape == (3, 5)
    assert len(Omega.unique()) == len(Phi.unique()) == 15


IDENTITY = torch.eye(3).double()
BAD_COVARIANCES = {
    "a number": torch.tensor(1.0),
    "empty": torch.zeros(0),
    "not square": torch.ones(2, 3),
    "a batch": torch.ones(2, 3, 3),
    "not a number": torch.tensor([1.0, torch.nan]),
    "infinite": torch.inf * IDENTITY.new_ones(3, 3),
    "asymmetric": IDENTITY + torch.tensor([[0, 1e-6, 0], [0, 0, 0], [0, 0, 0]]),
    "indefinite": GENERIC - 1.5 * IDENTITY,
    "a negative diagonal": torch.tensor([1.0, -1e-3, 1]),
    "an indefinite diagonal matrix": torch.diag(torch.tensor([1.0, -1e-3, 1])),
}


@pytest.mark.parametrize("sampler", [sft_targets, sft_targets_by_definition])
@pytest.mark.parametrize("kind", BAD_COVARIANCES)
def test_bad_covariance_is_rejected(sampler: Sampler, kind: str) -> None:
    with pytest.raises(ArgumentError, match=r"^A [^\n]*: (must be|every entry must be) [^\n]*$"):
        sampler(BAD_COVARIANCES[kind], 3, 2, seeded(1, "cpu"))


@pytest.mark.parametrize("sampler", [sft_targets, sft_targets_by_definition])
@pytest.mark.parametrize("value", [0, -1, 2.0, True])
def test_bad_counts_are_rejected(sampler: Sampler, value: object) -> None:
    with pytest.raises(ArgumentError, match=r"^n=.*: must be an integer of at least 1$"):
        sampler(IDENTITY, value, 2, seeded(1, "cpu"))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"^B=.*: must be an integer of at least 1$"):
        sampler(IDENTITY, 2, value, seeded(1, "cpu"))  # type: ignore[arg-type]
