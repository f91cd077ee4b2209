"""The model against its own definition, and the full model against the recursion on its weights.

Tolerances.  A result that is a sum of products, in which no product passes through more than c roundings,
is off by at most c·u times the same expression with absolute values everywhere (u = 2⁻⁵³, first order;
Higham, Accuracy and Stability of Numerical Algorithms, section 3.1), in any order of summation.  Two
computations of one value thus differ by at most 2c·u = c·eps times it.  An inner product of length m costs
its terms at most m roundings.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from numerics import model, reduced
from numerics.device import resolve, seeded
from numerics.errors import ArgumentError

EPS = torch.finfo(torch.float64).eps
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def normal(seed: int, *shape: int, device: str = "cpu") -> Tensor:
    return torch.randn(shape, dtype=torch.float64, device=device, generator=seeded(seed, device))


def close(actual: Tensor, expected: Tensor, roundings: int, magnitude: Tensor) -> bool:
    assert actual.shape == expected.shape == magnitude.shape
    return bool(((actual - expected).abs() <= roundings * EPS * magnitude).all())


def layer_roundings(rows: int, columns: int) -> int:
    """One layer: three products of length 2d+2, one over the columns, the division, the addition."""
    return 3 * rows + columns + 2


def absolute_rollout(V: Tensor, W: Tensor, X: Tensor, w_star: Tensor, k: int, w0: Tensor) -> Tensor:
    """The recursion with absolute values and plus signs: what bounds the rounding of either path."""
    V, W, X, w_star, w0 = V.abs(), W.abs(), X.abs(), w_star.abs(), w0.abs()
    return reduced.rollout(V, W, X @ X.mT / X.shape[-1], -w_star, k, w0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("d", "n"), [(3, 5), (2, 7)])
@pytest.mark.parametrize("k", [0, 1, 2, 4])
@pytest.mark.parametrize("started", [False, True])
def test_full_model_equals_recursion_on_weights(device: str, d: int, n: int, k: int, started: bool) -> None:
    V, W = normal(1, d, d, device=device), normal(2, d, d, device=device)
    X, w_star = normal(3, 6, d, n, device=device), normal(4, 6, d, device=device)
    w0 = normal(5, 6, d, device=device) if started else None
    Z = model.chain_of_thought(*model.assemble(V, W), X, w_star, k, w0)
    path = reduced.rollout(V, W, X @ X.mT / n, w_star, k, w0)
    bound = absolute_rollout(V, W, X, w_star, k, torch.zeros_like(w_star) if w0 is None else w0)
    # Per step the layer's roundings, plus d for the labels; the recursion has fewer.
    roundings = k * (layer_roundings(2 * d + 2, n + 1 + k) + d)
    assert Z.shape == (6, 2 * d + 2, n + 1 + k)
    assert close(model.predicted_weights(Z, n), path, roundings, bound)
    # The columns keep the form (0, 0, w, 1): nothing but the weight slot is ever written.
    assert torch.equal(Z[:, : d + 1, n:], torch.zeros_like(Z[:, : d + 1, n:]))
    assert torch.equal(Z[:, -1, n:], torch.ones_like(Z[:, -1, n:]))


def test_comparison_with_recursion_sees_a_transposed_block() -> None:
    d, n, k = 3, 5, 2
    V, W, X, w_star = normal(1, d, d), normal(2, d, d), normal(3, d, n), normal(4, d)
    path = reduced.rollout(V, W, X @ X.mT / n, w_star, k)
    bound = absolute_rollout(V, W, X, w_star, k, torch.zeros_like(w_star))
    roundings = k * (layer_roundings(2 * d + 2, n + 1 + k) + d)
    for wrong in [model.assemble(V.mT, W), model.assemble(V, W.mT), model.assemble(V, W, -1 - 1e-9)]:
        Z = model.chain_of_thought(*wrong, X, w_star, k)
        assert not close(model.predicted_weights(Z, n), path, roundings, bound)


def test_recursion_on_weights_by_hand() -> None:
    # d = 2 in small integers, exact in float64: S(W w − w*) = S(−2, 2) = (−2, 4).
    V, W = torch.tensor([[1.0, 2], [0, -1]]).double(), torch.tensor([[0.0, 1], [1, 0]]).double()
    S, w_star, w = (torch.tensor(v).double() for v in ([[3.0, 2], [2, 4]], [4.0, -1], [1.0, 2]))
    assert torch.equal(reduced.step(w, V, W, S, w_star), torch.tensor([7.0, -2]).double())


def test_last_column_is_the_layers_last_column() -> None:
    rows, m = 8, 6
    Z, V, W = normal(1, 4, rows, m), normal(2, 4, rows, rows), normal(3, rows, rows)
    bound = model.lsa(Z.abs(), V.abs(), W.abs(), 5)[..., -1]
    expected = model.lsa(Z, V, W, 5)[..., -1]
    assert close(model.last_column(Z, V, W, 5), expected, layer_roundings(rows, m), bound)


def test_layer_from_its_definition_in_loops() -> None:
    rows, m = 4, 3
    Z, V, W = normal(1, rows, m), normal(2, rows, rows), normal(3, rows, rows)

    def column(Z: Tensor, V: Tensor, W: Tensor, j: int) -> Tensor:
        attended = sum((Z[:, i] * (Z[:, i] @ W @ Z[:, j]) for i in range(m)), torch.zeros(rows).double())
        return Z[:, j] + V @ attended / 7

    expected = torch.stack([column(Z, V, W, j) for j in range(m)], dim=-1)
    bound = torch.stack([column(Z.abs(), V.abs(), W.abs(), j) for j in range(m)], dim=-1)
    assert close(model.lsa(Z, V, W, 7), expected, layer_roundings(rows, m), bound)


def test_unmerged_attention_is_the_merged_layer() -> None:
    rows, m, p, q = 6, 5, 3, 4
    Z = normal(1, 2, rows, m)
    W_K, W_Q, W_V, W_P = normal(2, p, rows), normal(3, p, rows), normal(4, q, rows), normal(5, rows, q)
    merged = model.lsa(Z, W_P @ W_V, W_K.mT @ W_Q, 5)
    bound = model.linear_attention(Z.abs(), W_K.abs(), W_Q.abs(), W_V.abs(), W_P.abs(), 5)
    roundings = layer_roundings(rows, m) + p + q
    assert close(model.linear_attention(Z, W_K, W_Q, W_V, W_P, 5), merged, roundings, bound)


def test_embedding_by_hand() -> None:
    X = torch.tensor([[1.0, 2, 3], [-1, 0, 5]]).double()
    w_star, w0 = torch.tensor([2.0, -1]).double(), torch.tensor([7.0, 8]).double()
    expected = torch.tensor(
        [[1.0, 2, 3, 0], [-1, 0, 5, 0], [3, 4, 1, 0], [0, 0, 0, 7], [0, 0, 0, 8], [0, 0, 0, 1]]
    ).double()
    assert torch.equal(model.embed(X, w_star, w0), expected)
    expected[3:5, 3] = 0
    assert torch.equal(model.embed(X, w_star), expected)


def test_assembled_matrices_by_hand() -> None:
    a, b = torch.tensor([[1.0, 2], [3, 4]]).double(), torch.tensor([[5.0, 6], [7, 8]]).double()
    V, W = model.assemble(a, b)
    V_expected, W_expected = torch.zeros(6, 6).double(), torch.zeros(6, 6).double()
    V_expected[3:5, 0:2] = a
    W_expected[0:2, 3:5] = b
    W_expected[2, 5] = -1
    assert torch.equal(V, V_expected)
    assert torch.equal(W, W_expected)


def test_assembly_is_differentiable_and_batched() -> None:
    R, d = 3, 2
    a, b, label = normal(1, R, d, d), normal(2, R, d, d), normal(3, R)
    V, W = model.assemble(a, b, label)
    for r in range(R):
        V_r, W_r = model.assemble(a[r], b[r], float(label[r]))
        assert torch.equal(V[r], V_r)
        assert torch.equal(W[r], W_r)
    leaves = [t.requires_grad_() for t in (a, b, label)]
    V, W = model.assemble(*leaves)
    gradients = torch.autograd.grad((2 * V.sum() + 3 * W.sum()), leaves)
    for gradient, leaf, slope in zip(gradients, leaves, [2.0, 3.0, 3.0], strict=True):
        assert torch.equal(gradient, torch.full_like(leaf, slope))


def test_teacher_sequence_holds_the_weight_path() -> None:
    # η = 1/4 and small integers keep every number exact.
    X, w_star = torch.tensor([[1.0, 2, 0], [0, -1, 3]]).double(), torch.tensor([16.0, -32]).double()
    Z = model.teacher_sequence(X, w_star, 0.25, 2)
    assert torch.equal(Z[:, :4], model.embed(X, w_star))
    assert torch.equal(Z[:, 4], torch.tensor([0, 0, 0, 4.0, -8, 1]).double())
    assert torch.equal(Z[:, 5], torch.tensor([0, 0, 0, 7.0, -14, 1]).double())
    at_one = model.predicted_weights(model.teacher_sequence(X, w_star, 1.0, 2), 3)
    assert torch.equal(at_one, torch.stack([torch.zeros_like(w_star), w_star, w_star]))


def test_batched_chain_equals_loop_over_prompts() -> None:
    R, B, d, n, k = 2, 3, 2, 4, 2
    rows = 2 * d + 2
    # All entries of V and W: rows that the pattern of eq. (3.8) leaves alone count as well.
    V, W = normal(1, R, 1, rows, rows) / 4, normal(2, R, 1, rows, rows) / 4
    X, w_star = normal(3, B, d, n), normal(4, R, B, d)
    Z = model.chain_of_thought(V, W, X, w_star, k)
    bound = model.chain_of_thought(V.abs(), W.abs(), X.abs(), w_star.abs(), k)
    # A generated column enters the next one's product three times (Z twice, the last column once), so
    # k = 2 steps put at most (1 + 3) times one step's roundings on a product; the first step's products
    # hold at most two labels, of d roundings each.
    roundings = 4 * (layer_roundings(rows, n + 1 + k) + 2 * d)
    assert Z.shape == (R, B, rows, n + 1 + k)
    for r in range(R):
        for b in range(B):
            single = model.chain_of_thought(V[r, 0], W[r, 0], X[b], w_star[r, b], k)
            assert close(Z[r, b], single, roundings, bound[r, b])


X, W_STAR, D4, D6 = normal(1, 2, 4), normal(2, 2), normal(3, 2, 2), normal(4, 6, 6)
BAD_CALLS = {
    "Z": lambda: model.lsa(W_STAR, D6, D6, 1),
    "V": lambda: model.lsa(normal(1, 6, 4), D4, D6, 1),
    "W": lambda: model.last_column(normal(1, 6, 4), D6, D4, 1),
    "scale": lambda: model.last_column(normal(1, 6, 4), D6, D6, 0),
    "W_K": lambda: model.linear_attention(normal(1, 6, 4), D4, D6, D6, D6, 1),
    "W_Q": lambda: model.linear_attention(normal(1, 6, 4), D6, D4, D6, D6, 1),
    "W_V": lambda: model.linear_attention(normal(1, 6, 4), D6, D6, D4, D6, 1),
    "W_P": lambda: model.linear_attention(normal(1, 6, 4), D6, D6, D6, D4, 1),
    "X": lambda: model.embed(X.float(), W_STAR),
    "w_star": lambda: model.embed(X, normal(1, 3)),
    "w0": lambda: model.chain_of_thought(D6, D6, X, W_STAR, 1, normal(1, 3)),
    "V_block": lambda: model.assemble(X, D4),
    "W_block": lambda: model.assemble(D4, normal(1, 3, 3)),
    "k": lambda: model.chain_of_thought(D6, D6, X, W_STAR, -1),
    "n": lambda: model.predicted_weights(normal(1, 6, 4), 0),
    "eta": lambda: model.teacher_sequence(X, W_STAR, 1.5, 1),
    "i": lambda: model.teacher_sequence(X, W_STAR, 0.5, -1),
    "w": lambda: reduced.step(normal(1, 3), D4, D4, D4, W_STAR),
    "S": lambda: reduced.step(W_STAR, D4, D4, X, W_STAR),
}


def test_teacher_sequence_grows_by_one_column_at_a_time() -> None:
    Z = model.teacher_sequence(X, W_STAR, 0.3, 3)
    for i in range(4):
        assert torch.equal(model.teacher_sequence(X, W_STAR, 0.3, i), Z[:, : 4 + 1 + i])


def test_assembly_keeps_all_leading_dimensions() -> None:
    a, b, label = normal(1, 4, 3, 2, 2), normal(2, 4, 3, 2, 2), normal(3, 4, 3)
    V, W = model.assemble(a, b, label)
    assert V.shape == W.shape == (4, 3, 6, 6)
    V_one, W_one = model.assemble(a[3, 1], b[3, 1], label[3, 1])
    assert torch.equal(V[3, 1], V_one)
    assert torch.equal(W[3, 1], W_one)


def test_a_batch_of_the_prompts_or_of_their_start_alone_is_broadcast() -> None:
    starts, prompts = normal(6, 3, 2), normal(7, 3, 2, 4)
    many = model.embed(X, W_STAR, starts)
    assert torch.equal(many, torch.stack([model.embed(X, W_STAR, w0) for w0 in starts]))
    one = model.embed(prompts, W_STAR, starts[0])
    assert torch.equal(one, torch.stack([model.embed(each, W_STAR, starts[0]) for each in prompts]))
    # Runs that share their prompts: the batch of V and W is the columns' alone.
    V, W = normal(1, 3, 6, 6) / 4, normal(2, 3, 6, 6) / 4
    Z = model.chain_of_thought(V, W, X, W_STAR, 2)
    for r in range(3):
        single = model.chain_of_thought(V[r], W[r], X, W_STAR, 2)
        bound = model.chain_of_thought(V[r].abs(), W[r].abs(), X.abs(), W_STAR.abs(), 2)
        assert close(Z[r], single, 4 * (layer_roundings(6, 7) + 4), bound)


def test_results_stay_on_the_device_of_the_input() -> None:
    # Nothing is computed on the device "meta", and no other device's tensor may meet one of it.
    a, b, X_, w = (t.to("meta") for t in (D4, D4, X, W_STAR))
    for found in (*model.assemble(a, b), *model.assemble(a, b, 0.5), model.teacher_sequence(X_, w, 0.3, 2)):
        assert found.device.type == "meta"


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_argument_is_named(name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"^{name}( has shape|=).*: must (be|lie) [^\n]*$"):
        BAD_CALLS[name]()


@pytest.mark.parametrize("k", [-1, 1.0, True, "2"])
def test_recursion_rejects_what_is_no_count(k: object) -> None:
    with pytest.raises(ArgumentError, match=r"^k=.*: must be an integer"):
        reduced.rollout(D4, D4, D4, W_STAR, k)  # type: ignore[arg-type]


def test_device_names() -> None:
    assert resolve("cpu") == torch.device("cpu")
    assert resolve().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "meta", "mps", "cuda:99"])
def test_unusable_device_is_rejected(name: str) -> None:
    with pytest.raises(ArgumentError, match=r"^device=.*: must be auto, cpu"):
        resolve(name)


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_bad_seed_is_rejected(seed: object) -> None:
    with pytest.raises(ArgumentError, match=r"^seed=.*: must be an integer"):
        seeded(seed, "cpu")  # type: ignore[arg-type]
