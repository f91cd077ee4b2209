"""Good arguments for the functions of ``numerics/``, and what their results must satisfy, for the fuzz tests.

Simulations take NaN and ∞ as they come, and hand them on: a loss that is not finite says so.  So a result
need not be finite; but one that is finite from numbers that were not would be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from fuzzed import Arguments, Fuzzed
from fuzzed_right import exact

from numerics import outcome_fit, prompts
from numerics.device import seeded
from numerics.policy_gradient import Estimator
from theory.risk import one_step_risk

Rng = np.random.Generator
Tensor = torch.Tensor
# Numbers of things that are made one by one: a huge one is slow, or too much for memory, and no mistake.
DEEP = frozenset(
    {
        "d",
        "keep",
        "k",
        "steps",
        "i",
        "n",
        "size",
        "B",
        "B_max",
        "realizations",
        "batch",
        "replicas",
        "iterations",
    }
)


def tensor(rng: Rng, *shape: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=shape))


def size(rng: Rng) -> int:
    return int(rng.integers(1, 4))


def covariance(rng: Rng, d: int) -> Tensor:
    Q = np.linalg.qr(rng.normal(size=(d, d)))[0]
    matrix = (Q * rng.uniform(0.1, 2.0, d)) @ Q.T
    return torch.from_numpy((matrix + matrix.T) / 2)


def generator(rng: Rng) -> torch.Generator:
    return seeded(int(rng.integers(2**31)), "cpu")


def some_prompts(rng: Rng, d: int) -> prompts.Prompts:
    return prompts.sample_prompts(covariance(rng, d), 3, 2, generator(rng))


def layer(rng: Rng) -> Arguments:
    rows, m = 2 * size(rng) + 2, 4
    return {
        "Z": tensor(rng, rows, m),
        "V": tensor(rng, rows, rows),
        "W": tensor(rng, rows, rows),
        "scale": 2.0,
    }


def full(rng: Rng) -> Arguments:
    d = size(rng)
    rows = 2 * d + 2
    return {"V": tensor(rng, rows, rows), "W": tensor(rng, rows, rows), "prompts": some_prompts(rng, d)}


def task(rng: Rng) -> Arguments:
    d = size(rng)
    return {"X": tensor(rng, 2, d, 3), "w_star": tensor(rng, 2, d)}


def outcome(rng: Rng) -> Arguments:
    d, many = size(rng), 2
    S = torch.stack([covariance(rng, d) for _ in range(many)])
    return {"V_block": tensor(rng, d, d) / 4, "S": S, "w_star": tensor(rng, many, d), "k": 2}


def quadratic(V: Tensor) -> Tensor:
    """Of any leading shape; the largest eigenvalue of its Hessian is 2."""
    return V.square().sum(dim=(-2, -1))


def sum_of_squares(parameters: list[Tensor]) -> Tensor:
    return sum((p.square().sum() for p in parameters), start=torch.zeros((), dtype=torch.float64))


def fit(rng: Rng) -> Arguments:
    d, r = 3, 2
    levels = torch.tensor([1.0, 0.5], dtype=torch.float64)
    return {
        "columns": -torch.eye(d, r, dtype=torch.float64) / 4,
        "targets": outcome_fit.draw_targets(levels, d, 6, 4, generator(rng)),
        "k": 2,
    }


def targets(rng: Rng) -> Arguments:
    d, B = size(rng), 3
    return {
        "Omega": tensor(rng, d, B),
        "Phi": tensor(rng, d, B),
        "gamma0_inv": covariance(rng, d),
        "eta": 0.5,
    }


def sampled(rng: Rng) -> Arguments:
    return {"A": covariance(rng, size(rng)), "n": 5, "B": 4, "generator": generator(rng)}


def errors(rng: Rng) -> Arguments:
    d = size(rng)
    return {
        "V": -covariance(rng, d) / 4,
        "Sigma": covariance(rng, d),
        "n": 5,
        "k": 2,
        "size": 4,
        "generator": generator(rng),
    }


def policy(rng: Rng) -> Arguments:
    return {"mean": tensor(rng, 2, size(rng)), "sigma": 0.5}


def matches(reference: Callable[..., Any]) -> Callable[..., None]:
    """The result is that of ``reference`` from the same arguments, NaN where that is."""

    def right(found: Any, **arguments: Any) -> None:
        with np.errstate(over="ignore"):
            wanted = np.asarray(reference(**arguments), dtype=float)
        got = np.asarray(found.detach() if isinstance(found, Tensor) else found, dtype=float)
        assert got.shape == wanted.shape
        with np.errstate(all="ignore"):
            scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
            same = np.isclose(got, wanted, rtol=1e-9, atol=1e-9 * scale + 1e-300, equal_nan=True)
        assert (same | ~np.isfinite(got)).all(), (got, wanted)

    return right


def numpy_layer(Z: Tensor, V: Tensor, W: Tensor, scale: Any) -> np.ndarray:
    Z, V, W = (np.asarray(x, dtype=np.longdouble) for x in (Z, V, W))
    with np.errstate(all="ignore"):
        return Z + V @ (Z @ np.swapaxes(Z, -1, -2)) @ (W @ Z) / np.longdouble(float(scale))


def numpy_rollout(V_block: Tensor, S: Tensor, w_star: Tensor, k: int) -> np.ndarray:
    V, S, w = (np.asarray(x, dtype=np.longdouble) for x in (V_block, S, w_star))
    with np.errstate(all="ignore"):
        for _ in range(int(k)):
            w = w + np.einsum("...bij,...bj->...bi", S, w) @ np.swapaxes(V, -1, -2)
    return w


def right_sft_risk(found: Tensor, V: Any, Sigma: Any, n_test: Any) -> None:
    Sigma = np.asarray(Sigma, dtype=float)
    Sigma = np.diag(Sigma) if Sigma.ndim == 1 else Sigma
    V = np.asarray(V, dtype=float)
    if int(n_test) > 2**53:
        return  # more than the reference takes
    if not torch.isfinite(found):
        assert max(np.abs(V).max(), np.abs(Sigma).max()) > 1e100
        return
    wanted = one_step_risk(V, Sigma, n_test)
    size = len(V) + float(np.abs(V).max() * np.abs(Sigma).max()) ** 2 * len(V) ** 4
    assert abs(float(found) - wanted) <= 1e-9 * max(abs(wanted), min(size, 1e300)), (float(found), wanted)


def right_minimiser(found: Tensor, Omega: Any, Phi: Any, gamma0_inv: Any, eta: Any) -> None:
    """The normal equations V ΦΦᵀ = −η ΩΦᵀ, to the rounding of I − ΦΦ⁺ times Γ₀⁻¹."""
    if not torch.isfinite(found).all():
        return
    Omega, Phi, V, G = map(exact, (Omega, Phi, found, gamma0_inv))
    gap = (V @ Phi + Fraction(float(eta)) * Omega) @ Phi.T
    size = (np.abs(V).max() + np.abs(G).max()) * np.abs(Phi).max() ** 2 + np.abs(Omega).max() * np.abs(
        Phi
    ).max()
    assert np.abs(gap).max() <= Fraction(1e-7) * size * len(V)


def case(
    function: Callable[..., Any], good: Callable[[Rng], Arguments], right: Any = None, **more: Any
) -> Fuzzed:
    more.setdefault("raises", ())
    return Fuzzed(
        function,
        good,
        right,
        long=DEEP,
        infinite=True,
        passes=True,
        **more,
    )


def extended(make: Callable[[Rng], Arguments], **more: Any) -> Callable[[Rng], Arguments]:
    """``make`` with further good arguments, a callable one being made for the generator."""
    return lambda rng: {**make(rng), **{k: v(rng) if v is generator else v for k, v in more.items()}}


def estimated(rng: Rng) -> Arguments:
    arguments = policy(rng)
    return {
        **arguments,
        "w_star": torch.zeros_like(arguments["mean"]),
        "estimator": Estimator("group", 3),
        "generator": generator(rng),
    }


def first(rng: Rng) -> Arguments:
    return {
        "loss": quadratic,
        "start": tensor(rng, 2, 2),
        "step_sizes": torch.tensor([0.5, 0.9, 1.1], dtype=torch.float64),
        "steps": 20,
        "growth": 1e3,
    }


def curve_setting(rng: Rng) -> Arguments:
    d = size(rng)
    return {name: covariance(rng, d) for name in ("A", "Sigma0", "Sigma")} | {"eta": 0.5, "n": 4}
