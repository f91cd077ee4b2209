"""The losses against loops written from their definitions, the optimisers, and pretraining."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from numerics.device import seeded
from numerics.errors import ArgumentError
from numerics.losses import outcome_loss, pretraining_loss, sft_loss, sft_residuals
from numerics.model import assemble
from numerics.pretraining import pretrain
from numerics.prompts import Prompts, sample_prompts
from numerics.training import adam, gradient_descent

EPS = torch.finfo(torch.float64).eps
COVARIANCE = torch.tensor([[1.0, 0.3], [0.3, 0.5]]).double()
D, N, B, K, ETA = 2, 3, 3, 2, 0.3
ROWS = 2 * D + 2


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed, "cpu"))


def prompts_from(generator: torch.Generator, *leading: int) -> Prompts:
    return sample_prompts(COVARIANCE, N, (*leading, B), generator)


def prompts_of(seed: int, *leading: int) -> Prompts:
    return prompts_from(seeded(seed, "cpu"), *leading)


# The definitions once more, prompt by prompt and column by column.  With sign = +1 and absolute values put
# in, each returns the sum of the absolute values of its terms, which bounds its rounding error.


def column_of(Z: list[Tensor], V: Tensor, W: Tensor) -> Tensor:
    attended = torch.zeros(ROWS).double()
    for z in Z:
        attended = attended + z * (z @ W @ Z[-1])
    return Z[-1] + V @ attended / N


def data_columns(X: Tensor, w_star: Tensor) -> list[Tensor]:
    return [torch.tensor([*x, x @ w_star, *[0.0] * D, 0.0]).double() for x in X.mT]


def weight_column(w: Tensor) -> Tensor:
    return torch.tensor([*[0.0] * D, 0.0, *w, 1.0]).double()


def slow_sft(V: Tensor, W: Tensor, X: Tensor, w_star: Tensor, sign: int = -1) -> Tensor:
    total = torch.zeros(()).double()
    for b in range(B):
        for i in range(K + 1):
            path = [weight_column((1 + sign * (1 - ETA) ** j) * w_star[b]) for j in range(i + 2)]
            residual = column_of(data_columns(X[b], w_star[b]) + path[:-1], V, W) + sign * path[-1]
            total = total + (residual**2).sum()
    return total / (2 * B)


def slow_outcome(V: Tensor, W: Tensor, X: Tensor, w_star: Tensor, sign: int = -1, steps: int = K) -> Tensor:
    total = torch.zeros(()).double()
    for b in range(B):
        Z = [*data_columns(X[b], w_star[b]), weight_column(torch.zeros(D).double())]
        for _ in range(steps):
            Z.append(column_of(Z, V, W))
        total = total + ((Z[-1][D + 1 : 2 * D + 1] + sign * w_star[b]) ** 2).sum()
    return total / (2 * B)


def slow_pretraining(V: Tensor, W: Tensor, X: Tensor, w_star: Tensor, sign: int = -1) -> Tensor:
    return 2 * slow_outcome(V, W, X, w_star, sign, steps=1)


FAST = {
    "sft": lambda V, W, prompts: sft_loss(V, W, prompts, ETA, K),
    "outcome": lambda V, W, prompts: outcome_loss(V, W, prompts, K),
    "pretraining": lambda V, W, prompts: pretraining_loss(V, W, prompts),
}
SLOW = {"sft": slow_sft, "outcome": slow_outcome, "pretraining": slow_pretraining}
LAYER = 3 * ROWS + N + 1 + K + 2  # roundings of a product in one layer, see test_numerics_model.py
# A residual: two layers nested (at most 1 + 3 times one layer's), labels and weight path (D + 4, at most
# three factors of a product).  The loss: twice the residual's, the square, the sum and the division.
ROUNDINGS = 2 * (4 * LAYER + 3 * (D + 4) + 1) + 1 + B * (K + 1) * ROWS + 1


@pytest.mark.parametrize("name", FAST)
def test_loss_equals_slow_loop(name: str) -> None:
    # All entries of V and W, so that every row of a residual counts.
    V, W, prompts = normal(1, ROWS, ROWS), normal(2, ROWS, ROWS), prompts_of(3)
    bound = SLOW[name](V.abs(), W.abs(), prompts.X.abs(), prompts.w_star.abs(), sign=1)
    expected = SLOW[name](V, W, prompts.X, prompts.w_star)
    loss = FAST[name](V, W, prompts)
    assert loss.shape == ()
    assert abs(loss - expected) <= ROUNDINGS * EPS * bound


@pytest.mark.parametrize("name", FAST)
def test_replicas_have_their_own_loss(name: str) -> None:
    R = 2
    V, W, prompts = normal(1, R, ROWS, ROWS), normal(2, R, ROWS, ROWS), prompts_of(3, R)
    losses = FAST[name](V, W, prompts)
    shared = FAST[name](V[0], W[0], prompts)
    assert losses.shape == shared.shape == (R,)
    for r in range(R):
        X, w_star = prompts.X[r], prompts.w_star[r]
        for loss, v, w in [(losses[r], V[r], W[r]), (shared[r], V[0], W[0])]:
            bound = SLOW[name](v.abs(), w.abs(), X.abs(), w_star.abs(), sign=1)
            assert abs(loss - SLOW[name](v, w, X, w_star)) <= ROUNDINGS * EPS * bound


def test_residuals_are_those_of_the_loss() -> None:
    V, W, prompts = normal(1, ROWS, ROWS), normal(2, ROWS, ROWS), prompts_of(3)
    residuals = sft_residuals(V, W, prompts, ETA, K)
    assert residuals.shape == (B, K + 1, ROWS)
    assert torch.equal(sft_loss(V, W, prompts, ETA, K), residuals.square().sum() / (2 * B))


def test_residual_vanishes_where_the_path_is_followed() -> None:
    # V = 0 keeps the last column: the residual is (0, 0, w_i − w_{i+1}, 0), at η = 1 zero from i = 1 on.
    zero, prompts = torch.zeros(ROWS, ROWS).double(), prompts_of(3)
    residuals = sft_residuals(zero, zero, prompts, 1.0, 2)
    assert torch.equal(residuals[:, 0, D + 1 : 2 * D + 1], -prompts.w_star)
    assert not residuals[:, 1:].any()
    assert not residuals[:, :, [*range(D + 1), -1]].any()


def anchored(scale: Tensor) -> Callable[[list[Tensor]], Tensor]:
    """½ Σ scale·(p − target)² with dyadic numbers, on which gradient descent makes no rounding error."""
    return lambda parameters: (scale * (parameters[0] - TARGET).square()).sum(-1) / 2


TARGET = torch.tensor([1.0, -0.5]).double()
START = torch.tensor([3.0, 1.5]).double()
CURVATURE = torch.tensor([1.0, 0.5]).double()


def test_gradient_descent_on_a_quadratic() -> None:
    seen: list[tuple[int, Tensor]] = []
    final = gradient_descent(anchored(CURVATURE), [START], 0.5, 6, lambda t, p: seen.append((t, p[0])))
    assert [t for t, _ in seen] == list(range(7))
    for t, p in seen:
        # Contraction by 1 − 0.5·curvature = (1/2, 3/4) each step, exact in binary up to t = 6.
        assert torch.equal(p, TARGET + torch.tensor([0.5**t, 0.75**t]).double() * (START - TARGET))
    assert torch.equal(final[0], seen[-1][1])
    assert not final[0].requires_grad


def test_replicas_are_descended_independently() -> None:
    starts, curvatures = (
        torch.stack([START, 2 * START, -START]),
        torch.stack([CURVATURE, CURVATURE.flip(0), CURVATURE]),
    )
    together = gradient_descent(anchored(curvatures), [starts], 0.5, 4)[0]
    for start, curvature, end in zip(starts, curvatures, together, strict=True):
        assert torch.equal(gradient_descent(anchored(curvature), [start], 0.5, 4)[0], end)


def test_adam_decreases_the_loss() -> None:
    losses: list[float] = []
    loss = anchored(CURVATURE)
    seen: list[Tensor] = []

    def observe(t: int, parameters: list[Tensor]) -> None:
        assert t == len(losses)
        losses.append(float(loss(parameters)))
        seen.append(parameters[0])

    final = adam(loss, [START], 0.1, 10, observe)
    # Ten steps of at most about 0.1 cannot pass the target, 2 away in each entry: each one goes down.
    assert len(losses) == 11
    assert all(after < before for before, after in pairwise(losses))
    # The first step is lr·g/(|g| + 1e-8) with |g| ≥ 1; 1e-15 is the rounding of a difference near 3.
    assert torch.allclose(seen[0] - seen[1], torch.full_like(START, 0.1), rtol=0, atol=0.1 * 1e-8 + 1e-15)
    assert torch.equal(seen[0], START)
    assert torch.equal(final[0], seen[-1])
    assert not final[0].requires_grad


@pytest.mark.parametrize("optimise", [gradient_descent, adam])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_parameters_passed_in_are_unchanged(
    optimise: Callable[..., list[Tensor]], requires_grad: bool
) -> None:
    start = START.clone().requires_grad_(requires_grad)
    end = optimise(anchored(CURVATURE), [start], 0.1, 3, lambda _, parameters: parameters[0].zero_())
    assert torch.equal(start, START)
    assert start.requires_grad is requires_grad
    assert start.grad is None
    # What an observer does to the tensors it is shown has no effect either.
    assert torch.equal(end[0], optimise(anchored(CURVATURE), [START], 0.1, 3)[0])
    at_rest = optimise(anchored(CURVATURE), [start], 0.1, 0)[0]
    at_rest.zero_()
    assert torch.equal(start, START)


INITIAL: dict[str, Tensor | float] = {
    "V": torch.tensor([[-0.3, 0.1], [0.05, -0.4]]).double(),
    "W": torch.tensor([[1.0, -0.2], [0.1, 0.8]]).double(),
    "label": -0.9,
}


def pretrained(seed: int, free: set[str], **changed: object) -> dict[str, Tensor]:
    arguments = {"batch": B, "steps": 3, "step_size": 0.05, "replicas": 2, "initial": INITIAL} | changed
    return pretrain(COVARIANCE, N, free, generator=seeded(seed, "cpu"), **arguments)  # type: ignore[arg-type]


def test_pretraining_is_gradient_descent_on_fresh_prompts() -> None:
    names, start = ("V", "W", "label"), [torch.as_tensor(v, dtype=torch.float64) for v in INITIAL.values()]
    result = pretrained(5, set(names))
    generator = seeded(5, "cpu")
    batches = [prompts_from(generator, 2) for _ in range(3)]
    for r in range(2):
        now, path = start, []
        allowed = [torch.zeros(()).double() for _ in names]
        for batch in batches:
            X, w_star = batch.X[r], batch.w_star[r]
            leaves = [p.detach().requires_grad_() for p in now]
            gradients = torch.autograd.grad(slow_pretraining(*assemble(*leaves), X, w_star), leaves)
            # The gradient with absolute values everywhere bounds the rounding of the gradient, whose
            # products are the loss's with a factor left out.
            sizes = [p.detach().abs().requires_grad_() for p in now]
            bound = slow_pretraining(*assemble(*sizes), X.abs(), w_star.abs(), sign=1)
            bounds = torch.autograd.grad(bound, sizes)
            now = [p.detach() - 0.05 * g for p, g in zip(leaves, gradients, strict=True)]
            # An error made before grows by ‖I − 0.05·Hessian‖, below 2 here.  EPS: the update itself.
            allowed = [
                2 * a + 0.05 * ROUNDINGS * EPS * g.max() + EPS * (p.abs().max() + 1)
                for a, g, p in zip(allowed, bounds, now, strict=True)
            ]
            path.append(now)
        # Of three steps, the second half is the iterates 2 and 3.
        for name, second, third, error in zip(names, path[1], path[2], allowed, strict=True):
            assert (result[name][r] - (second + third) / 2).abs().max() <= error


def test_only_the_free_parameters_move() -> None:
    for free in ({"V"}, {"label"}, {"V", "label"}):
        result = pretrained(6, free)
        assert set(result) == {"V", "W", "label"}
        assert result["V"].shape == result["W"].shape == (2, D, D)
        assert result["label"].shape == (2,)
        for name, value in result.items():
            start = torch.as_tensor(INITIAL[name], dtype=torch.float64).expand_as(value)
            assert (value != start).all() if name in free else torch.equal(value, start)


def test_one_step_from_zero_gives_no_gradient_to_the_weight_block() -> None:
    # W₁₃ multiplies w₀ = 0.  The average of two equal iterates has no rounding.
    result = pretrained(6, {"W"}, steps=2)
    assert torch.equal(result["W"], torch.as_tensor(INITIAL["W"]).expand(2, D, D))


def test_pretraining_seeds_replicas_and_input() -> None:
    before = {name: torch.as_tensor(value, dtype=torch.float64).clone() for name, value in INITIAL.items()}
    first, again, other = (pretrained(seed, {"V"})["V"] for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not (first == other).any()
    assert not (first[0] == first[1]).any()
    for name, value in INITIAL.items():
        assert torch.equal(torch.as_tensor(value, dtype=torch.float64), before[name])


def test_initial_values_may_differ_between_replicas() -> None:
    labels = torch.tensor([-0.9, -0.5], dtype=torch.float64)
    result = pretrained(7, {"V"}, initial=INITIAL | {"label": labels})
    assert torch.equal(result["label"], labels)
    assert torch.equal(result["V"][0], pretrained(7, {"V"})["V"][0])
    assert not (result["V"][1] == pretrained(7, {"V"})["V"][1]).any()


def test_pretraining_lowers_the_loss_on_prompts_not_seen() -> None:
    result = pretrained(9, {"V"}, steps=60, batch=32)
    held_out = sample_prompts(COVARIANCE, N, 2000, seeded(10, "cpu"))
    start = {name: torch.as_tensor(value, dtype=torch.float64) for name, value in INITIAL.items()}
    before = pretraining_loss(*assemble(start["V"], start["W"], start["label"]), held_out)
    for r in range(2):
        after = pretraining_loss(*assemble(result["V"][r], result["W"][r], result["label"][r]), held_out)
        assert after < before


MATRIX = normal(1, ROWS, ROWS)
BAD_CALLS: dict[str, Callable[[], object]] = {
    "k of sft": lambda: sft_loss(MATRIX, MATRIX, prompts_of(1), ETA, -1),
    "k of the residuals": lambda: sft_residuals(MATRIX, MATRIX, prompts_of(1), ETA, -1),
    "k of outcome": lambda: outcome_loss(MATRIX, MATRIX, prompts_of(1), 0),
    "eta = 0": lambda: sft_loss(MATRIX, MATRIX, prompts_of(1), 0.0, K),
    "eta > 1": lambda: sft_loss(MATRIX, MATRIX, prompts_of(1), 1.01, K),
    "eta NaN": lambda: sft_residuals(MATRIX, MATRIX, prompts_of(1), torch.nan, K),
    "V of the wrong size": lambda: sft_loss(MATRIX[:4, :4], MATRIX, prompts_of(1), ETA, K),
    "W of the wrong size": lambda: outcome_loss(MATRIX, MATRIX[:4, :4], prompts_of(1), K),
    "W of the wrong precision": lambda: pretraining_loss(MATRIX, MATRIX.float(), prompts_of(1)),
    "step_size = 0": lambda: gradient_descent(anchored(CURVATURE), [START], 0.0, 1),
    "step_size infinite": lambda: gradient_descent(anchored(CURVATURE), [START], torch.inf, 1),
    "steps < 0": lambda: gradient_descent(anchored(CURVATURE), [START], 0.1, -1),
    "lr < 0": lambda: adam(anchored(CURVATURE), [START], -0.1, 1),
    "steps of adam": lambda: adam(anchored(CURVATURE), [START], 0.1, -1),
    "covariance": lambda: pretrain(-COVARIANCE, N, {"V"}, INITIAL, 4, 3, 0.1, seeded(1, "cpu"), 2),
    "n = 0": lambda: pretrain(COVARIANCE, 0, {"V"}, INITIAL, 4, 3, 0.1, seeded(1, "cpu"), 2),
    "free empty": lambda: pretrained(1, set()),
    "free unknown": lambda: pretrained(1, {"V", "x"}),
    "initial incomplete": lambda: pretrained(1, {"V"}, initial={"V": INITIAL["V"]}),
    "initial of the wrong shape": lambda: pretrained(1, {"V"}, initial=INITIAL | {"W": torch.eye(3)}),
    "batch": lambda: pretrained(1, {"V"}, batch=0),
    "steps of pretraining": lambda: pretrained(1, {"V"}, steps=0),
    "step_size of pretraining": lambda: pretrained(1, {"V"}, step_size=-1.0),
    "replicas": lambda: pretrained(1, {"V"}, replicas=0),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_bad_argument_is_named(case: str) -> None:
    with pytest.raises(ArgumentError, match=rf"^{case.split()[0]}\b[^\n]*: must [^\n]*$"):
        BAD_CALLS[case]()
