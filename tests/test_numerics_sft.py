"""Fine-tuning in closed form: the minimiser, its first-order parts, and the risk curve against both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from mpmath import mp
from torch import Tensor

from numerics import sft
from numerics.device import seeded
from numerics.diagonal import full
from numerics.errors import ArgumentError
from numerics.sampling import sft_targets
from numerics.sft import first_order_operators, risk, risk_curve, sft_minimiser
from theory.risk import one_step_risk

EPS = torch.finfo(torch.float64).eps
Setting = tuple[Tensor, Tensor, Tensor, Tensor, float, int]  # the arguments of risk_curve


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed, "cpu"))


def covariance(d: int, seed: int, rank: int | None = None) -> Tensor:
    """A d × d covariance far from diagonal."""
    root = normal(d, d if rank is None else rank, seed=seed)
    return root @ root.mT / d + (0.2 * torch.eye(d) if rank is None else 0)


def setting(d: int, B_max: int, n: int = 7, rank: int | None = None, seed: int = 0) -> Setting:
    """Targets of the model and matrices that do not commute; Γ₀⁻¹ is not even symmetric."""
    Omega, Phi = sft_targets(covariance(d, seed, rank), n, B_max, seeded(seed + 1, "cpu"))
    return Omega, Phi, normal(d, d, seed=seed + 2) / d**0.5, covariance(d, seed + 3), 0.4, n + 2


def by_svd(Omega: Tensor, Phi: Tensor, gamma0_inv: Tensor, Sigma: Tensor, eta: float, n_test: int) -> Tensor:
    return torch.stack(
        [
            risk(sft_minimiser(Omega[:, :B], Phi[:, :B], gamma0_inv, eta), Sigma, n_test)
            for B in range(1, Phi.shape[1] + 1)
        ]
    )


def rounding(Phi: Tensor, rank: int) -> Tensor:
    """What the risk may be off by at B = 1, …, B_max, relative to itself.

    DΦ⁺ by QR or by singular values is off by a multiple of eps·κ, κ the condition number of the first B
    columns; past the rank, where the normal equations are followed down from all columns, by eps·κ'²
    more, κ' that of the first B columns in coordinates where ΦΦᵀ = I.  Sums of d terms and the square in
    the risk make the multiple: 4 d covers it.
    """
    right = torch.linalg.svd(Phi, full_matrices=False).Vh
    found = []
    for B in range(1, Phi.shape[1] + 1):
        kept = torch.linalg.svdvals(Phi[:, :B])[: min(B, rank)]
        squared = torch.linalg.svdvals(right[:rank, :B])[-1] ** -2 if rank < B else 0
        found.append(float(kept[0] / kept[-1] + squared))
    return 4 * len(Phi) * EPS * torch.tensor(found, dtype=torch.float64)


def assert_agrees(of: Setting, rank: int) -> None:
    curve, reference = risk_curve(*of), by_svd(*of)
    assert curve.shape == (of[1].shape[1],)
    assert curve.dtype == torch.float64
    excess = (curve / reference - 1).abs() / rounding(of[1], rank)
    assert excess.max() < 1, (
        f"{float(excess.max()):.2g} times the allowance at B = {int(excess.argmax()) + 1}"
    )


# d, B_max, n: below, at, next to and beyond the rank, and across blocks of columns.
SIZES = [
    (5, 1, 3),
    (5, 4, 3),
    (5, 5, 3),
    (5, 6, 3),
    (5, 7, 3),
    (5, 12, 1),
    (1, 4, 2),
    (2, 9, 3),
    (9, 260, 20),
]


@pytest.mark.parametrize(("d", "B_max", "n"), SIZES)
def test_curve_is_the_risk_of_each_minimiser(d: int, B_max: int, n: int) -> None:
    assert_agrees(setting(d, B_max, n), d)


@pytest.mark.parametrize("B_max", [2, 3, 4, 5, 20, 230])
def test_curve_for_a_singular_covariance(B_max: int) -> None:
    assert_agrees(setting(7, B_max, 4, rank=3), 3)


@pytest.mark.parametrize("r", [0.0, 1e-3, 0.3])
def test_curve_at_the_diagonal_setting_of_figure_1(r: float) -> None:
    d, m, n, eta = 30, 12, 25, 0.2
    top = (torch.arange(d) < m).double()
    Sigma0 = 0.1 * top + (1 - top)
    A = eta * 1.1 * top + r * (1 - top)
    gamma0_inv = 1 / ((n + 1) / n * Sigma0 + Sigma0.sum() / n)
    Omega, Phi = sft_targets(A, n, 140, seeded(4, "cpu"))
    assert_agrees((Omega, Phi, gamma0_inv, Sigma0 + top, eta, n), m if r == 0 else d)


def test_diagonals_and_matrices_give_one_curve() -> None:
    Omega, Phi, _, _, eta, n_test = setting(6, 15)
    gamma0_inv, Sigma = normal(6, seed=8).abs() + 0.1, normal(6, seed=9).abs()
    curve = risk_curve(Omega, Phi, gamma0_inv, Sigma, eta, n_test)
    assert torch.equal(curve, risk_curve(Omega, Phi, torch.diag(gamma0_inv), torch.diag(Sigma), eta, n_test))
    # An entry of 1e-30 off the diagonal makes a full matrix of it, and no other difference.
    nearly = [torch.diag(matrix) for matrix in (gamma0_inv, Sigma)]
    for matrix in nearly:
        matrix[0, 1] = matrix[1, 0] = 1e-30
    assert ((risk_curve(Omega, Phi, *nearly, eta, n_test) / curve - 1).abs() < rounding(Phi, 6)).all()


def test_curve_does_not_depend_on_the_columns_to_come() -> None:
    of = setting(6, 30)
    shorter = risk_curve(of[0][:, :9], of[1][:, :9], *of[2:])
    assert ((risk_curve(*of)[:9] / shorter - 1).abs() < rounding(of[1], 6)[:9]).all()


def test_zero_targets() -> None:
    Omega, Phi, gamma0_inv, Sigma, eta, n_test = setting(4, 6)
    curve = risk_curve(Omega, 0 * Phi, gamma0_inv, Sigma, eta, n_test)
    assert torch.equal(curve, risk(-gamma0_inv, Sigma, n_test).expand(6))


def repeated(of: Setting, *places: int) -> Setting:
    return of[0][:, places], of[1][:, places], *of[2:]


def test_columns_may_repeat_past_the_rank() -> None:
    of = repeated(setting(4, 8), 0, 1, 2, 3, 3, 0, 0, 4, 5, 5)
    of[1][:, 6] = 0  # a prompt that says nothing
    assert_agrees(of, 4)


@pytest.mark.parametrize(
    ("places", "rank", "column"), [((0, 0, 1, 2, 3), 4, 2), ((0, 1, 2, 1, 3, 4), 4, 4), ((0, 0, 0, 1), 2, 2)]
)
def test_dependent_columns_before_the_rank_are_refused(
    places: tuple[int, ...], rank: int, column: int
) -> None:
    with pytest.raises(
        ArgumentError,
        match=rf"^Phi has rank {rank} but its column {column} depends on those before it: "
        rf"the first {rank} columns must be independent$",
    ):
        risk_curve(*repeated(setting(4, 8), *places))


def test_no_singular_values_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    diagonal = torch.tensor([1.0, 0.5, 0, 2])
    settings = [setting(6, 150), (*sft_targets(diagonal, 3, 9, seeded(1, "cpu")), diagonal, diagonal, 0.4, 3)]
    expected = [by_svd(*of) for of in settings]
    for name in ("svd", "pinv", "svdvals"):
        monkeypatch.setattr(torch.linalg, name, None)
    for of, reference in zip(settings, expected, strict=True):
        assert torch.allclose(risk_curve(*of), reference, rtol=1e-6, atol=0)


def exact_curve(Omega: Tensor, Phi: Tensor, gamma0_inv: Tensor, Sigma: Tensor, eta: float, n: int) -> Tensor:
    """The curve in 60 digits from (4.1) and (5.1), by normal equations."""

    def lifted(matrix: Tensor) -> mp.matrix:
        return mp.matrix(matrix.tolist())

    with mp.workdps(60):
        G, S, d = lifted(full(gamma0_inv)), lifted(full(Sigma)), len(Phi)
        found = []
        for B in range(1, Phi.shape[1] + 1):
            W, P = lifted(Omega[:, :B]), lifted(Phi[:, :B])
            pinv = mp.inverse(P.T * P) * P.T if d >= B else P.T * mp.inverse(P * P.T)
            V = -mp.mpf(eta) * W * pinv - G * (mp.eye(d) - P * pinv)
            VS, miss = V * S, mp.eye(d) + V * S
            trace = sum((VS * V.T)[i, i] for i in range(d)) * sum(S[i, i] for i in range(d))
            squares = [sum(entry**2 for entry in matrix) for matrix in (miss, VS)]
            found.append(float(squares[0] + (squares[1] + trace) / n))
    return torch.tensor(found, dtype=torch.float64)


def nearly_dependent(Phi: Tensor, start: int, stop: int, sharp: float) -> None:
    """Shrink by ``sharp`` what columns start, …, stop−1 have outside the span of those before, in place."""
    before = torch.linalg.qr(Phi[:, :start]).Q
    inside = before @ (before.mT @ Phi[:, start:stop])
    Phi[:, start:stop] = inside + sharp * (Phi[:, start:stop] - inside)


@pytest.mark.parametrize("sharp", [1.0, 1e-2, 1e-4])
def test_rounding_at_the_peak_is_that_of_the_condition_number(sharp: float) -> None:
    d, B_max = 8, 20
    of = setting(d, B_max, seed=40)
    Phi = of[1]
    nearly_dependent(Phi, d - 1, d, sharp)
    exact, allowed = exact_curve(*of), rounding(Phi, d)
    for curve in (risk_curve(*of), by_svd(*of)):
        assert ((curve / exact - 1).abs() < allowed).all()
    # The allowance is not idle: at the peak, and nowhere else, it is beyond what rounding elsewhere makes.
    assert allowed.argmax() in (d - 1, d)
    assert allowed[[0, -1]].max() < 1e-11


@pytest.mark.parametrize("sharp", [1e-5, 1e-7])
def test_nearly_dependent_start_is_left_to_singular_values(
    sharp: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Columns d, d+1 and d+2 nearly in the span of those before: κ'² beyond 4.5e6 up to B = d+2.
    d, B_max = 8, 20
    of = setting(d, B_max, seed=50)
    Phi = of[1]
    nearly_dependent(Phi, d - 1, d + 2, sharp)
    exact = exact_curve(*of)
    values = torch.linalg.svdvals(Phi[:, : d + 2])
    allowed = 10 * d * EPS * values[0] / values[-1]  # without the square
    assert ((risk_curve(*of) / exact - 1).abs() < allowed).all()
    # The normal equations alone would lose κ'² here, more than 1e-5.
    monkeypatch.setattr(sft, "MOST_GROWTH", torch.inf)
    followed = (risk_curve(*of) / exact - 1).abs()
    assert (followed[d : d + 2] > 1e-5).all()
    assert (followed[d + 2 :] < allowed).all()


def test_breakdown_is_left_to_singular_values(monkeypatch: pytest.MonkeyPatch) -> None:
    # What LAPACK leaves of a matrix that is not positive definite looks like a factor.
    of = setting(4, 9)
    monkeypatch.setattr(
        torch.linalg, "cholesky_ex", lambda gram: (torch.eye(len(gram)).double(), torch.ones(()))
    )
    assert_agrees(of, 4)


@pytest.mark.parametrize("block", [1, 2, 7])
def test_blocks_make_no_difference(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of = setting(5, 26)
    curve = risk_curve(*of)
    monkeypatch.setattr(sft, "BLOCK", block)
    assert ((risk_curve(*of) / curve - 1).abs() < rounding(of[1], 5)).all()


def test_risk_by_hand() -> None:
    # d = 1, Σ = 2, V = −1/4, n = 4: (1 − 1/2)² + (1/4)(1/4 + 1/4).
    assert float(risk(torch.tensor([[-0.25]]).double(), torch.tensor([2.0]), 4)) == 0.375


@pytest.mark.parametrize("rank", [None, 2])
def test_risk_is_the_derived_one(rank: int | None) -> None:
    # theory lowers (5.1) to traces of words; sums of d² = 25 products in another order.
    V, Sigma = normal(5, 5, seed=1), covariance(5, 2, rank)
    for matrix in (Sigma, torch.diag(Sigma.diagonal())):
        expected = one_step_risk(V.numpy(), matrix.numpy(), 3)
        assert abs(float(risk(V, matrix, 3)) / expected - 1) < 25 * EPS
        assert float(risk(V, matrix, 1)) > expected


@pytest.mark.parametrize(("B", "rank"), [(2, 5), (5, 5), (9, 5), (2, 3), (9, 3)])
def test_minimiser_fits_best_and_moves_least(B: int, rank: int) -> None:
    Omega, Phi, gamma0_inv, _, eta, _ = setting(5, B, rank=None if rank == 5 else rank)
    V = sft_minimiser(Omega, Phi, gamma0_inv, eta)
    # Best fit: the gradient (VΦ + ηΩ)Φᵀ vanishes.  Least move: V + Γ₀⁻¹ acts on range Φ alone.
    values = torch.linalg.svdvals(Phi)
    kappa = float(values[0] / values[: min(B, rank)][-1])
    gradient = (V @ Phi + eta * Omega) @ Phi.mT
    assert gradient.norm() < 10 * 5 * EPS * kappa * (V.norm() * Phi.norm() + Omega.norm()) * Phi.norm()
    null = torch.linalg.svd(Phi).U[:, min(B, rank) :]
    assert ((V + gamma0_inv) @ null).norm() < 10 * 5 * EPS * kappa * (V.norm() + gamma0_inv.norm())


def test_minimiser_takes_repeated_columns() -> None:
    of = repeated(setting(4, 4), 0, 1, 1, 0)
    V = sft_minimiser(of[0], of[1], of[2], of[4])
    once = sft_minimiser(of[0][:, :2], of[1][:, :2], of[2], of[4])
    kappa = torch.linalg.cond(of[1][:, :2])  # the same with each column twice
    assert (V - once).norm() < 10 * 4 * EPS * kappa * once.norm()


@pytest.mark.parametrize(("B", "rank"), [(3, 5), (5, 5), (11, 5), (3, 2), (11, 2)])
def test_first_order_operators_by_numpy(B: int, rank: int) -> None:
    A = covariance(5, 60, None if rank == 5 else rank)
    Omega, Phi = sft_targets(A, 50, B, seeded(61, "cpu"))
    gamma0_inv, eta = normal(5, 5, seed=62), 0.3
    M = (A @ Omega).numpy()
    pinv = np.linalg.pinv(M, rcond=1e-12)
    V_S = -eta * Omega.numpy() @ pinv - gamma0_inv.numpy() @ (np.eye(5) - M @ pinv)
    V_N = -V_S @ (Phi.numpy() - M) @ pinv
    bound = 10 * 5 * EPS * np.linalg.norm(pinv, 2) * np.linalg.norm(M, 2)
    for found, expected in zip(
        first_order_operators(Omega, Phi, A, gamma0_inv, eta), (V_S, V_N), strict=True
    ):
        assert np.linalg.norm(found.numpy() - expected) < bound * np.linalg.norm(expected)


def test_first_order_operators_are_the_derivative_for_as_many_prompts_as_dimensions() -> None:
    # M invertible, so that (M + tE)⁻¹ = M⁻¹ − tM⁻¹EM⁻¹ + O(t²) leaves nothing out of (B.4).
    A = covariance(4, 70)
    Omega, Phi = sft_targets(A, 5, 4, seeded(71, "cpu"))
    gamma0_inv, eta, M = normal(4, 4, seed=72), 0.3, A @ Omega
    V_S, V_N = first_order_operators(Omega, Phi, A, gamma0_inv, eta)
    distances = [
        float((sft_minimiser(Omega, M + t * (Phi - M), gamma0_inv, eta) - V_S - t * V_N).norm())
        for t in (1e-3, 1e-4)
    ]
    # The ratio is 100 but for terms of relative size t‖EM⁻¹‖.
    assert distances[0] / distances[1] == pytest.approx(
        100, rel=2e-3 * float(torch.linalg.norm((Phi - M) @ torch.linalg.inv(M), 2))
    )


def test_diagonal_covariance_of_the_first_order_operators() -> None:
    Omega, Phi, gamma0_inv, _, eta, _ = setting(4, 7)
    A = normal(4, seed=5).abs()
    for one, other in zip(
        first_order_operators(Omega, Phi, A, gamma0_inv, eta),
        first_order_operators(Omega, Phi, torch.diag(A), gamma0_inv, eta),
        strict=True,
    ):
        assert torch.equal(one, other)


GOOD = dict(zip(("Omega", "Phi", "gamma0_inv", "Sigma", "eta", "n_test"), setting(3, 5), strict=True))
BAD: dict[str, tuple[str, object]] = {
    "Phi in float32": ("Phi", torch.ones(3, 5)),
    "a batch of Phi": ("Phi", torch.ones(2, 3, 5).double()),
    "no columns": ("Phi", torch.ones(3, 0).double()),
    "Phi not finite": ("Phi", torch.full((3, 5), torch.nan).double()),
    "Omega in float32": ("Omega", torch.ones(3, 5)),
    "Omega of another B": ("Omega", torch.ones(3, 4).double()),
    "Omega infinite": ("Omega", torch.full((3, 5), torch.inf).double()),
    "gamma0_inv of another d": ("gamma0_inv", torch.eye(4)),
    "gamma0_inv not square": ("gamma0_inv", torch.ones(3, 2)),
    "gamma0_inv not finite": ("gamma0_inv", torch.full((3,), torch.inf)),
    "Sigma of another d": ("Sigma", torch.eye(4)),
    "Sigma indefinite": ("Sigma", torch.tensor([1.0, -1, 1])),
    "Sigma asymmetric": ("Sigma", torch.eye(3) + torch.tensor([[0, 1e-6, 0], [0, 0, 0], [0, 0, 0]])),
    "eta zero": ("eta", 0.0),
    "eta above one": ("eta", 1.5),
    "n_test zero": ("n_test", 0),
    "n_test no integer": ("n_test", 2.5),
}


def calls(values: dict[str, object]) -> list[tuple[set[str], Callable[[], object]]]:
    """The functions, each with the names of what it takes of ``values``."""
    Omega, Phi, gamma0_inv, Sigma, eta, n_test = values.values()
    targets = {"Omega", "Phi", "gamma0_inv", "eta"}
    return [
        (set(values), lambda: risk_curve(Omega, Phi, gamma0_inv, Sigma, eta, n_test)),  # type: ignore[arg-type]
        (targets, lambda: sft_minimiser(Omega, Phi, gamma0_inv, eta)),  # type: ignore[arg-type]
        (targets, lambda: first_order_operators(Omega, Phi, torch.eye(3), gamma0_inv, eta)),  # type: ignore[arg-type]
        ({"Sigma", "n_test"}, lambda: risk(torch.eye(3).double(), Sigma, n_test)),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_rejected(kind: str) -> None:
    name, value = BAD[kind]
    rejected = 0
    for takes, call in calls(GOOD | {name: value}):
        if name in takes:
            # The sizes are those of Phi, so that a bad Phi may leave Omega at fault.
            with pytest.raises(ArgumentError, match=rf"^({name}|Omega)[ =][^\n]*: (must|every)[^\n]*$"):
                call()
            rejected += 1
    assert rejected in (2, 3)


def test_bad_matrices_of_risk_and_first_order_operators_are_rejected() -> None:
    for V in (torch.eye(3), torch.ones(3, 2).double(), torch.full((3, 3), torch.nan).double()):
        with pytest.raises(ArgumentError, match=r"^V has "):
            risk(V, torch.ones(3), 2)
    Omega, Phi, gamma0_inv, _, eta, _ = setting(3, 5)
    for A in (torch.eye(2), -torch.eye(3), torch.ones(3, 2)):
        with pytest.raises(ArgumentError, match=r"^A has "):
            first_order_operators(Omega, Phi, A, gamma0_inv, eta)


def test_arguments_stay_as_they_are() -> None:
    of = setting(4, 12)
    copies = [value.clone() for value in of if isinstance(value, Tensor)]
    risk_curve(*of)
    for value, copy in zip(of, copies, strict=False):
        assert torch.equal(value, copy)  # type: ignore[arg-type]
