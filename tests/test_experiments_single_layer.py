"""The losses from S and w* against the model itself, and the batched optimisers against theirs."""

from __future__ import annotations

from functools import partial

import pytest
import scipy.optimize
import torch
from torch import Tensor

from numerics import losses
from numerics.device import seeded
from numerics.experiments import single_layer as layer
from numerics.experiments.batched_training import adam_epochs, minimise
from numerics.experiments.single_layer import Seen, Weights
from numerics.model import assemble
from numerics.prompts import Prompts

RUNS, B, D, N, R, ETA = 2, 3, 5, 4, 3, 0.3
ROUNDING = 1e-12  # relative; measured at most 1e-14


def draw(seed: int) -> partial[Tensor]:
    return partial(torch.randn, dtype=torch.float64, generator=seeded(seed, "cpu"))


def prompts(rotated: bool, n: int = N) -> tuple[Seen, Prompts]:
    """The same prompts as the layer sees them and with their features."""
    normal = draw(0)
    P = torch.linalg.qr(normal(D, R))[0] if rotated else torch.eye(D, R, dtype=torch.float64)
    h, w = normal(RUNS, B, R, n), normal(RUNS, B, D)
    return Seen(h @ h.mT / n, w, n, P if rotated else None), Prompts(P @ h, w)


def both(weights: Weights, full: bool, loss: str, seen: Seen, of: Prompts, k: int) -> tuple[Tensor, Tensor]:
    """The loss from S and w*, and by definition."""
    V, W = weights if full else assemble(*weights)
    known = weights if full else layer.columns_of(weights, seen)
    if loss == "os":
        fast = layer.full_outcome_loss if full else layer.reduced_outcome_loss
        return fast(known, seen, k), losses.outcome_loss(V, W, of, k)
    fast_sft = layer.full_sft_loss if full else layer.reduced_sft_loss
    return fast_sft(known, seen, k, ETA), losses.sft_loss(V, W, of, ETA, k)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("loss", ["sft", "os"])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_loss_and_gradient_are_those_of_the_model(rotated: bool, full: bool, loss: str, k: int) -> None:
    seen, of = prompts(rotated)
    normal, size = draw(1), 2 * D + 2 if full else D
    weights = [(0.3 * normal(RUNS, size, size)).requires_grad_() for _ in range(2)]
    fast, defined = both(weights, full, loss, seen, of, k)
    assert fast.shape == (RUNS,)
    torch.testing.assert_close(fast, defined, rtol=ROUNDING, atol=0)
    ours, theirs = (
        torch.autograd.grad(x.sum(), weights, allow_unused=True, materialize_grads=True, retain_graph=True)
        for x in (fast, defined)
    )
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=0, atol=ROUNDING * float(wanted.abs().max()))


def test_one_prompt_that_is_wrong_is_noticed() -> None:
    """The comparison has power: another S for one prompt moves loss and gradient well beyond rounding."""
    seen, of = prompts(False)
    core = seen.core.clone()
    core[0, 0, 0, 0] += 1e-6
    weights = [0.3 * draw(1)(RUNS, 2 * D + 2, 2 * D + 2) for _ in range(2)]
    fast, defined = both(weights, True, "os", seen._replace(core=core), of, 2)
    assert abs(float(fast[0] / defined[0]) - 1) > 1e3 * ROUNDING
    assert float(fast[1] / defined[1]) == pytest.approx(1, rel=ROUNDING)


def test_adam_is_that_of_each_run_alone() -> None:
    seen, _ = prompts(False)
    loss = partial(layer.full_outcome_loss, k=2)
    start = [0.1 * draw(2)(RUNS, 2 * D + 2, 2 * D + 2) for _ in range(2)]
    found, logged = adam_epochs(loss, start, seen, 1e-2, 7, 0, seeded(0, "cpu"))
    assert logged.shape == (8, RUNS)
    for run in range(RUNS):
        leaves = [x[run : run + 1].clone().requires_grad_() for x in start]
        optimizer = torch.optim.Adam(leaves, lr=1e-2)
        alone = seen._replace(core=seen.core[run : run + 1], w=seen.w[run : run + 1])
        for t in range(7):
            optimizer.zero_grad()
            value = loss(leaves, alone).sum()
            assert float(value.detach()) == pytest.approx(float(logged[t, run]), rel=1e-9)
            value.backward()
            optimizer.step()
        for mine, wanted in zip(found, leaves, strict=True):
            torch.testing.assert_close(mine[run], wanted[0].detach(), rtol=1e-9, atol=1e-12)


def test_an_epoch_sees_every_prompt_once() -> None:
    """In minibatches of 2 of 3 prompts, with a step too small to matter, an epoch's loss is that of all."""
    seen, _ = prompts(True)
    start = [0.3 * draw(3)(RUNS, D, D) for _ in range(2)]

    def loss(weights: Weights, some: Seen) -> Tensor:
        sizes.append(some.w.shape[1])
        return layer.reduced_sft_loss(layer.columns_of(weights, some), some, 2, ETA)

    sizes: list[int] = []
    _, logged = adam_epochs(loss, start, seen, 1e-13, 3, 2, seeded(0, "cpu"))
    assert sizes == [2, 1] * 3 + [3]
    torch.testing.assert_close(logged, logged[-1:].expand(4, -1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("loss", ["sft", "os"])
def test_minimum_is_where_scipy_ends(loss: str) -> None:
    """More prompts than the rank, so that the minimum is one point near the start; both runs at once."""
    normal = draw(4)
    h, w = normal(RUNS, 30, R, 8), normal(RUNS, 30, D)
    seen = Seen(h @ h.mT / 8, w, 8)
    objective = (
        partial(layer.reduced_sft_loss, k=1, eta=ETA)
        if loss == "sft"
        else partial(layer.reduced_outcome_loss, k=2)
    )
    start = [-0.5 * torch.eye(D, R, dtype=torch.float64), torch.eye(R, D, dtype=torch.float64)]
    found = minimise(objective, [x.expand(RUNS, -1, -1) for x in start], seen, 1e-9, 3000)
    assert float(found.gradient.max()) <= 1e-8
    for run in range(RUNS):
        alone = seen._replace(core=seen.core[run], w=seen.w[run])

        def value(x, alone=alone):  # type: ignore[no-untyped-def]
            leaf = torch.as_tensor(x).requires_grad_()
            columns = [leaf[: D * R].reshape(D, R), leaf[D * R :].reshape(R, D)]
            result = objective(columns, alone)
            return float(result.detach()), torch.autograd.grad(result, leaf)[0].numpy()

        first = torch.cat([x.reshape(-1) for x in start]).numpy()
        options = {"gtol": 1e-9, "ftol": 0.0, "maxiter": 5000, "maxfun": 10000}
        other = scipy.optimize.minimize(value, first, jac=True, method="L-BFGS-B", options=options)
        assert float(found.loss[run]) == pytest.approx(other.fun, rel=1e-7)


def test_minimise_stops_by_itself_and_says_where() -> None:
    seen, _ = prompts(False)
    loss = partial(layer.reduced_outcome_loss, k=2)
    start = [-0.1 * torch.ones(RUNS, D, R, dtype=torch.float64), torch.ones(RUNS, R, D, dtype=torch.float64)]
    short, long = (minimise(loss, start, seen, 1e-9, steps) for steps in (2, 400))
    assert (short.loss > long.loss).all()
    assert float(short.gradient.min()) > 1e-6 >= float(long.gradient.max())
    torch.testing.assert_close(loss(long.weights, seen), long.loss)
