"""Simulated risk curves: the same numbers for any number of processes, seeds, settings, bad input."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
import torch
from torch import Tensor

from numerics.curves import CurveSetting, simulate_curves
from numerics.errors import ArgumentError

A = torch.tensor([[0.5, 0.1, 0], [0.1, 0.3, 0], [0, 0, 0.2]], dtype=torch.float64)
SIGMA0 = torch.tensor([0.1, 1, 2], dtype=torch.float64)
SIGMA = torch.tensor([[1.1, 0.2, 0], [0.2, 1, 0], [0, 0, 2]], dtype=torch.float64)
SETTINGS = [CurveSetting(A, SIGMA0, SIGMA, 0.3, 4), CurveSetting(A, SIGMA0, SIGMA, 0.3, 9)]


def test_shape_seeds_and_independent_draws() -> None:
    curves = simulate_curves(SETTINGS, 3, 8, seed=1)
    assert curves.shape == (2, 3, 8)
    assert curves.dtype == torch.float64
    assert torch.equal(curves, simulate_curves(SETTINGS, 3, 8, seed=1))
    assert not (curves == simulate_curves(SETTINGS, 3, 8, seed=2)).any()
    assert len(curves.unique()) == 2 * 3 * 8


def test_workers_make_no_difference_and_threads_stay() -> None:
    threads = torch.get_num_threads()
    curves = simulate_curves(SETTINGS, 3, 8, seed=1)
    assert torch.get_num_threads() == threads
    # The same generators and the same operations, each on one thread: the same bits.
    assert torch.equal(curves, simulate_curves(SETTINGS, 3, 8, seed=1, workers=2))


def test_place_and_realization_alone_decide_the_draws() -> None:
    curves = simulate_curves(SETTINGS, 3, 8, seed=1)
    assert torch.equal(simulate_curves(SETTINGS[:1], 2, 8, seed=1), curves[:1, :2])
    # The same setting in another place has draws of its own.
    assert not (simulate_curves(SETTINGS[:1] * 2, 3, 8, seed=1)[1] == curves[0]).any()


def reached(setting: CurveSetting) -> Tensor:
    return simulate_curves([setting], 4, 6, seed=3)


def test_context_lengths_enter_where_they_belong() -> None:
    base = SETTINGS[0]
    same = dataclasses.replace(base, n_pre=4, n_test=4)
    assert torch.equal(reached(same), reached(base))
    for change in ({"n": 7, "n_pre": 4, "n_test": 4}, {"n_test": 7}):
        assert not (reached(dataclasses.replace(base, **change)) == reached(base)).any()
    # Pretraining counts while there are fewer prompts than dimensions, three.
    pretrained = reached(dataclasses.replace(base, n_pre=7))
    assert not (pretrained == reached(base))[..., :2].any()
    assert torch.allclose(pretrained[..., 2:], reached(base)[..., 2:], rtol=1e-9, atol=0)
    longer = dataclasses.replace(base, n_test=10**12)
    assert (reached(longer) < reached(base)).all()  # the terms in 1/n_test of (5.1) are positive


def test_gamma0_by_hand() -> None:
    # n_pre = 4, tr Σ₀ = 3.1: (5/4) Σ₀ + 0.775.
    expected = 1 / torch.tensor([0.9, 2.025, 3.275], dtype=torch.float64)
    assert torch.allclose(SETTINGS[0].gamma0_inv, expected, rtol=1e-15, atol=0)
    turned = dataclasses.replace(SETTINGS[0], Sigma0=SIGMA, n=9, n_pre=2)
    Gamma0 = 1.5 * SIGMA + 2.05 * torch.eye(3).double()
    assert torch.allclose(turned.gamma0_inv @ Gamma0, torch.eye(3).double(), rtol=0, atol=1e-14)


def test_settings_pickle() -> None:
    copy = pickle.loads(pickle.dumps(SETTINGS[0]))
    assert torch.equal(copy.A, A)
    assert (copy.eta, copy.n, copy.n_pre, copy.n_test) == (0.3, 4, 4, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", torch.eye(2)),
        ("A", -torch.eye(3)),
        ("Sigma", torch.ones(3, 2)),
        ("Sigma0", torch.tensor([1.0, -1, 1])),
        ("Sigma0", torch.zeros(3)),
        ("eta", 0.0),
        ("eta", 1.5),
        ("n", 0),
        ("n_pre", 0),
        ("n_test", 2.5),
    ],
)
def test_bad_setting_is_rejected(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=rf"^{name}[ =][^\n]*: must [^\n]*$"):
        dataclasses.replace(SETTINGS[0], **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("realizations", 0), ("B_max", 0), ("seed", -1), ("workers", 0), ("workers", 1.5)]
)
def test_bad_counts_are_rejected(name: str, value: object) -> None:
    counts = {"realizations": 2, "B_max": 3, "seed": 0, "workers": 1} | {name: value}
    with pytest.raises(ArgumentError, match=rf"^{name}=.*: must be an integer of at least"):
        simulate_curves(SETTINGS, **counts)  # type: ignore[arg-type]


def test_no_settings_are_rejected() -> None:
    with pytest.raises(ArgumentError, match=r"^settings is empty: must have at least one$"):
        simulate_curves([], 2, 3, 0)
