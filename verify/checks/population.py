"""Fine-tuning at large numbers of prompts, measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.prompts import sample_prompts
from verify.checks import wishart_nodes
from verify.checks.finetuning import Task, path_to_limit
from verify.checks.points import covariance, tensor
from verify.checks.run import ALPHA, sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths, rounding_test

Array = NDArray[np.float64]


def least_norm_change(of: Task) -> Array:
    """The minimiser of L_SFT(Ṽ, I) nearest to −Γ₀⁻¹: a least-squares change of least norm (LAPACK)."""
    gap = -(of.eta * of.Omega + of.initial @ of.Phi)
    change, *_ = np.linalg.lstsq(of.Phi.T, gap.T, rcond=1e-12)
    return np.asarray(of.initial + change.T)


def prompt_moments(
    prediction: Callable[[Array, int], Array],
    which: int,
    seed: int,
    profile: Profile,
    rank: int | None,
) -> Evidence:
    """E[w*(Sw*)ᵀ] (``which`` = 0) or E[Sw*(Sw*)ᵀ] (1), every entry, against ``prediction``(A, n)."""
    d, n = 3, 4
    A = covariance(d, seed % 2**31, rank)
    generator = seeded(seed, "cpu")
    expected = prediction(A, n)

    def draw(size: int) -> Array:
        prompts = sample_prompts(tensor(A), n, size, generator)
        phi = torch.einsum("bij,bj->bi", prompts.S, prompts.w_star)
        left = (prompts.w_star, phi)[which]
        return (left[:, :, None] * phi[:, None, :]).reshape(size, -1).numpy()

    regime = f"d=3, n=4, A of rank {rank or d}, all 9 entries"
    return sampled(draw, expected.ravel(), float(np.abs(expected).max()), 2e-2, regime, profile)


def outer_by_prompt(prediction: Callable[[Array, Array], Array], seed: int) -> Evidence:
    """φφᵀ of single prompts, φ = (1/n) Σ y_i x_i of their pairs, against ``prediction``(S, w*), w* a column,
    to rounding, n + d operations a factor."""
    worst = None
    for d, n, rank in ((3, 4, 2), (4, 2, None)):
        A = covariance(d, seed % 2**31, rank)
        prompt = sample_prompts(tensor(A), n, 1, seeded(seed, "cpu"))
        phi = (torch.einsum("bdn,bn->bd", prompt.X, prompt.y) / n)[0].numpy()
        S, w_star = prompt.S[0].numpy(), prompt.w_star[0].numpy()
        size = float(np.linalg.norm(S) * np.linalg.norm(w_star)) ** 2
        found = rounding_test(np.outer(phi, phi), prediction(S, w_star[:, None]), size, 4 * (n + d))
        if worst is None or found.deviation / found.delta > worst.deviation / worst.delta:
            worst = found
    assert worst is not None
    text = "single prompts, (d,n) = (3,4) with A of rank 2, (4,2)"
    return Evidence("monte-carlo", worst.outcome, worst.measured, text, worst.delta)


def covariance_square(prediction: Callable[[Array, int], Array], seed: int, profile: Profile) -> Evidence:
    """E[S²], every entry, from prompts alone."""
    d, n = 3, 2
    A = covariance(d, seed % 2**31, 2)
    generator = seeded(seed, "cpu")
    expected = prediction(A, n)

    def draw(size: int) -> Array:
        S = sample_prompts(tensor(A), n, size, generator).S
        return (S @ S).reshape(size, -1).numpy()

    return sampled(
        draw,
        expected.ravel(),
        float(np.abs(expected).max()),
        2e-2,
        "d=3, n=2, A of rank 2, all 9 entries",
        profile,
    )


Limit = Callable[[Array, int, float, Array], Array]  # (A, n, η, Γ₀) → Ṽ_∞


def _population(seed: int, rank: int | None) -> tuple[Array, int, float, Array]:
    """A of that rank, n, η, and a Γ₀ that does not commute with A; d = 3, n small for its part to be seen."""
    return covariance(3, seed % 2**31, rank), 2, 0.4, covariance(3, seed % 2**31 + 3) + 0.3 * np.eye(3)


def _fitted(at: tuple[Array, int, float, Array], B: int, generator: torch.Generator) -> Array:
    A, n, eta, gamma0 = at
    return least_norm_change(Task(sample_prompts(tensor(A), n, B, generator), gamma0, eta, 0, ""))


def limit_of_prompts(
    goal: Limit, seed: int, profile: Profile, rank: int | None, form: str = "printed"
) -> Evidence:
    """The mean entries of Ṽ_* at B = 10 000 against ``goal``; Ṽ_* is the minimiser of L_SFT at W̃ = I
    nearest to −Γ₀⁻¹.  Its bias at finite B is of relative order 1/B, far inside δ, which is in units of
    the norm on the range of A: the part that is sampled, and that −Γ₀⁻¹ may be ten times as large as."""
    at, generator, B = _population(seed, rank), seeded(seed, "cpu"), 10_000
    expected = goal(*at)

    def draw(size: int) -> Array:
        return np.stack([_fitted(at, B, generator).ravel() for _ in range(size)])

    regime = f"B = {B}, d=3, n=2, A of rank {rank or 3}, Γ₀ not commuting with A"
    scale = float(np.linalg.norm(expected @ at[0] @ np.linalg.pinv(at[0], rcond=1e-10), 2)) or 1.0
    return sampled(
        draw, expected.ravel(), scale, 2e-2, regime, profile, form, "scaling", limit=True, averaged=B
    )


def limit_by_cubature(goal: Limit, seed: int, rank: int | None, form: str = "printed") -> Evidence:
    """Ṽ_* of weighted prompts that have all moments of X and w* in question, against ``goal``.

    The loss is of degree 4 in an entry of X = A^½Z and of degree 2 in one of w*, so that its mean over
    the nodes 0, ±√3 of each entry of Z and w*, with the weights 2/3, 1/6, 1/6, is that over N(0, 1)
    (Gauss-Hermite, exact to degree 5).  Both sides are off by the rounding of a least-squares
    solve with condition number below 1e5.
    """
    at = A, n, eta, gamma0 = _population(seed, rank)
    d, units = len(A), np.array([-(3**0.5), 0.0, 3**0.5])
    grid = np.stack(np.meshgrid(*[units] * (d * (n + 1)), indexing="ij"), -1).reshape(-1, d, n + 1)
    weights = np.where(grid == 0, 2 / 3, 1 / 6).prod((1, 2))
    values, basis = np.linalg.eigh(A)
    values = np.where(values > 1e-12 * values[-1], values, 0.0)  # a root would make 1e-8 of rounding
    X, star = (basis * np.sqrt(values)) @ grid[..., :n], grid[..., n]
    phi = np.einsum("bij,bkj,bk->ib", X, X, star) / n * np.sqrt(weights)
    initial, omega = -np.linalg.inv(gamma0), star.T * np.sqrt(weights)
    change, *_ = np.linalg.lstsq(phi.T, -(eta * omega + initial @ phi).T, rcond=1e-10)
    expected, delta = goal(*at), 1e-10
    gap = float(np.abs(initial + change.T - expected).max())
    return Evidence(
        "training",
        "agrees" if gap < delta else "differs",
        f"distance {gap:.1e}",
        f"{len(grid)} weighted prompts with the moments of the law, d=3, n=2, A of rank {rank or 3}",
        delta,
        form=form,
    )


DRAWS = 360


@cache
def fits(seed: int, rank: int | None, sizes: tuple[int, ...]) -> list[list[Array]]:
    """:data:`DRAWS` draws of Ṽ_* for each number of prompts in ``sizes``."""
    at, generator = _population(seed, rank), seeded(seed + 1, "cpu")
    return [[_fitted(at, B, generator) for _ in range(DRAWS)] for B in sizes]


def approach_in_prompts(
    goal: Limit, seed: int, rank: int | None, rate: float = -0.5, form: str = "printed"
) -> Evidence:
    """The power of B at which the distance to ``goal`` falls against ``rate``: the central limit theorem
    wants B^{-1/2}.

    The mean over draws of the slope of each: log distances of nine normal entries are near enough to normal.
    """
    expected, sizes = goal(*_population(seed, rank)), (50, 200, 800, 3200)
    gaps = [[np.log(np.linalg.norm(V - expected)) for V in found] for found in fits(seed, rank, sizes)]
    found = np.polyfit(np.log(sizes), np.array(gaps), 1)[0]
    slope, half, delta = float(found.mean()), float(half_widths(found[:, None], ALPHA)[0]), 0.1
    off = abs(slope - rate)
    return Evidence(
        "scaling",
        "agrees" if off + half <= delta else "differs" if off - half > delta else "undecided",
        f"slope {slope:.2f} ± {half:.2f} in B",
        f"B = {sizes[0]} … {sizes[-1]}, d=3, n=2, A of rank {rank or 3}",
        delta,
        ALPHA,
        form,
    )


def _joint() -> tuple[int, float, Array]:
    """n, η and Γ₀ of :func:`both_blocks`."""
    return 1, 0.4, np.diag([2.0, 3.0])


@cache
def joint_minimiser(seed: int, hold_W: bool) -> tuple[Array, Array, Array]:
    """A with the eigenvalues 1 and 2, and the minimiser (Ṽ, W̃) of the mean of L_SFT over all prompts that is
    nearest to (−Γ₀⁻¹, I)."""
    n, eta, gamma0 = _joint()
    turn = np.linalg.qr(np.random.default_rng(seed % 2**31).normal(size=(2, 2)))[0]
    A = np.asarray(turn @ np.diag([1.0, 2.0]) @ turn.T)
    of = Task(wishart_nodes.prompts(A, n), gamma0, eta, 1, "")
    return A, *path_to_limit(of, (1e-2, 1e-4, 1e-6, 1e-8), hold_W)[-1]


def both_blocks(
    goal: Callable[[Array, int, float, Array], tuple[Array, Array]], seed: int, hold_W: bool, form: str
) -> Evidence:
    """The minimiser of L_SFT over Ṽ and W̃, or over Ṽ alone if W̃ is held, against ``goal``(A, n, η, Γ₀), each
    block relative to its own norm: that of W̃ is ten times that of Ṽ.

    No prompt is drawn, and A is turned at random: what is compared turns with it.  The penalty λ = 1e-8 moves
    a block by λ over a curvature of the loss: by less than δ where that is above 1e-4.
    """
    A, V, W = joint_minimiser(seed, hold_W)
    V_goal, W_goal = goal(A, *_joint())
    gap = max(float(np.linalg.norm(M - to) / np.linalg.norm(to)) for M, to in ((V, V_goal), (W, W_goal)))
    delta = 1e-4
    return Evidence(
        "training",
        "agrees" if gap < delta else "differs",
        f"distance {gap:.1e}",
        f"d=2, n=1, k=1, all prompts, A with eigenvalues 1, 2, {'W̃ held at I' if hold_W else 'Ṽ and W̃ free'}",
        delta,
        form=form,
    )


def null_space(goal: Limit, seed: int) -> Evidence:
    """Ṽ_*(I − AA†) for a singular A against ``goal``: equal at every B ≥ rank A, to the rounding
    of a least-squares solve with condition number below 1e5."""
    at, generator = _population(seed, 2), seeded(seed + 2, "cpu")
    outside = np.eye(3) - at[0] @ np.linalg.pinv(at[0], rcond=1e-10)
    expected = goal(*at)
    gaps = [float(np.abs(_fitted(at, B, generator) @ outside - expected).max()) for B in (2, 3, 50, 5000)]
    delta = 1e-10
    return Evidence(
        "scaling",
        "agrees" if max(gaps) < delta else "differs",
        f"distance {max(gaps):.1e}",
        "B = 2, 3, 50, 5000, d=3, rank A = 2, null space of A",
        delta,
    )
