"""The outcome loss on the trained columns against the full model; where its two minimisers stop."""

from __future__ import annotations

import pytest
import torch

from numerics.curvature import curvature, outcome_loss_of
from numerics.device import seeded
from numerics.errors import ArgumentError, Diverged
from numerics.losses import outcome_loss
from numerics.model import assemble
from numerics.outcome_fit import Targets, descend, draw_targets, first_curvature, fit_loss, minimise
from numerics.prompts import Prompts


def setting(d=4, r=2, n=5, size=3, seed=0):
    generator = seeded(seed, "cpu")
    levels = torch.linspace(0.5, 1.5, r, dtype=torch.float64)
    targets = draw_targets(levels, d, n, size, generator)
    shape = (*targets.w.shape[:-2], d, r)
    return targets, -0.5 * torch.eye(d, r).double() + 0.1 * torch.randn(shape, generator=generator).double()


def whole(targets, d):
    """The covariances with their zero rows and columns."""
    S = targets.S.new_zeros(*targets.S.shape[:-2], d, d)
    r = targets.S.shape[-1]
    S[..., :r, :r] = targets.S
    return S


@pytest.mark.parametrize(("d", "r", "k"), [(4, 2, 1), (4, 2, 3), (3, 3, 2), (1, 1, 4)])
def test_loss_is_that_of_the_full_model(d, r, k):
    targets, columns = setting(d, r)
    S = whole(targets, d)
    V = torch.cat([columns, 0.3 * torch.ones(d, d - r).double()], dim=1)  # columns that S never reads
    values, vectors = torch.linalg.eigh(S)
    X = (vectors * values.clamp(min=0).sqrt()[:, None]) * d**0.5  # X Xᵀ/d = S
    full = outcome_loss(*assemble(V, torch.eye(d).double()), Prompts(X, targets.w), k)
    found = fit_loss(columns, targets, k)
    assert float(found) == pytest.approx(float(full), rel=1e-11)
    assert float(found) == pytest.approx(float(outcome_loss_of(S, targets.w, k)(V)), rel=1e-12)


def test_targets_have_the_moments_of_their_law():
    levels = torch.tensor([0.5, 2.0], dtype=torch.float64)
    targets = draw_targets(levels, 3, 4, 20000, seeded(1, "cpu"))
    assert torch.allclose(targets.S.mean(0), torch.diag(levels), atol=0.06)
    assert torch.allclose(targets.w.mT @ targets.w / 20000, torch.eye(3).double(), atol=0.06)


def test_same_seed_same_targets():
    one, other = (draw_targets(torch.ones(2).double(), 3, 4, 5, seeded(7, "cpu")) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_first_curvature_is_that_of_lanczos(k):
    targets, columns = setting()
    found = float(first_curvature(columns, targets, k))
    V = torch.cat([columns, torch.zeros(4, 2).double()], dim=1)
    exact, _ = curvature(outcome_loss_of(whole(targets, 4), targets.w, k), V)
    assert found == pytest.approx(exact, rel=2e-2)


def test_descent_is_plain_and_runs_do_not_touch():
    targets, columns = setting(size=(2, 3))
    found = descend(columns, targets, 2, [0, 1, 3], 0.5)
    assert torch.equal(found[0], columns)
    assert not found[3].requires_grad
    for j in range(2):
        one = Targets(targets.S[j], targets.w[j])
        step = 0.5 / first_curvature(columns[j], one, 2)
        at = columns[j].clone()
        for _ in range(3):
            (slope,) = torch.autograd.grad(fit_loss(at.requires_grad_(), one, 2), at)
            at = at.detach() - step * slope
        assert torch.allclose(found[3][j], at, rtol=1e-9, atol=1e-12)


def test_divergence_is_one_line():
    targets, columns = setting()
    with pytest.raises(Diverged, match=r"diverged at step \d+, step size .*, estimated limit"):
        descend(columns, targets, 3, [500], 50.0)


def test_minimiser_stops_where_it_says():
    targets, columns = setting(size=8)
    fit = minimise(columns, targets, 1, gradient=1e-9)
    Omega, Phi = targets.w.mT, torch.einsum("bij,bj->ib", targets.S, targets.w[:, :2])
    assert fit.gradient <= 1e-9
    assert torch.allclose(fit.columns, -Omega @ torch.linalg.pinv(Phi), atol=1e-7)
    assert fit.loss == pytest.approx(float(fit_loss(fit.columns, targets, 1)), rel=1e-12)
    assert minimise(columns, targets, 1, gradient=1e-9, iterations=1).gradient > 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": torch.ones(5).double()}, "levels has 5 entries: must have at most d = 3"),
        ({"d": 0}, "d=0"),
        ({"levels": torch.ones(2, 2).double()}, "levels has shape"),
        ({"levels": -torch.ones(2).double()}, "levels"),
        ({"n": 0}, "n=0"),
    ],
)
def test_bad_targets_are_refused(change, message):
    given = {"levels": torch.ones(2).double(), "d": 3, "n": 4, "size": 2} | change
    with pytest.raises(ArgumentError, match=message):
        draw_targets(**given, generator=seeded(0, "cpu"))


def test_bad_training_is_refused():
    targets, columns = setting()
    with pytest.raises(ArgumentError, match="k=0"):
        fit_loss(columns, targets, 0)
    with pytest.raises(ArgumentError, match="columns has shape"):
        fit_loss(columns[:, :1], targets, 1)
    with pytest.raises(ArgumentError, match="step_size"):
        descend(columns, targets, 1, [1], 0.0)
    with pytest.raises(ArgumentError, match="keep"):
        descend(columns, targets, 1, [-1])
