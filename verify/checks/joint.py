"""Fine-tuning with both blocks free and very many prompts, measured."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.losses import sft_residuals
from numerics.model import assemble
from numerics.prompts import Prompts, sample_prompts
from verify.checks import wishart_nodes
from verify.checks.descent import Claim, holds
from verify.checks.points import block, covariance, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile

Array = NDArray[np.float64]
Pair = tuple[Array, Array]
STOP = 1e-15  # of Levenberg-Marquardt: at rounding


@dataclass(frozen=True)
class Population:
    """Infinitely many prompts: A with these eigenvalues in a basis drawn from ``basis``, n, η, k."""

    spectrum: tuple[float, ...]
    n: int
    eta: float
    k: int
    basis: int

    @property
    def A(self) -> Array:
        d = len(self.spectrum)
        turn = np.linalg.qr(np.random.default_rng(self.basis).normal(size=(d, d)))[0]
        found = turn @ np.diag(self.spectrum) @ turn.T
        return np.asarray((found + found.T) / 2)

    @property
    def label(self) -> str:
        of = ", ".join(f"{x:g}" for x in self.spectrum)
        return f"n={self.n}, η={self.eta:g}, k={self.k}, A with eigenvalues {of}"


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks Ṽ, W̃, and the prompts that they are for."""

    V: Array
    W: Array
    A: Array
    n: int
    eta: float
    k: int
    label: str


def generic(seed: int, d: int, rank: int | None = None) -> Blocks:
    """Asymmetric blocks that do not commute with A; short prompts, steps away from w_0 = 0."""
    at = seed % 2**31
    W, label = np.eye(d) + block(d, at + 1, 0.3), f"d={d}, n=3, η=0.4, k=2, A of rank {rank or d}"
    return Blocks(block(d, at), W, covariance(d, at + 2, rank), 3, 0.4, 2, label)


def placed(of: Population, blocks: Callable[[Population], Pair]) -> Blocks:
    """``blocks`` in the place of a population, such as (Ṽ_∞, I)."""
    return Blocks(*blocks(of), of.A, of.n, of.eta, of.k, of.label)


# The loss and its gradient -------------------------------------------------------------------------


def _copies(at: Blocks, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The loss of each prompt, and the copies of Ṽ and W̃ that each was given."""
    V, W = (tensor(m).expand(prompts.size, *m.shape).clone().requires_grad_() for m in (at.V, at.W))
    single = Prompts(prompts.X.unsqueeze(1), prompts.w_star.unsqueeze(1))
    return sft_residuals(*assemble(V, W), single, at.eta, at.k).square().sum((-3, -2, -1)) / 2, V, W


def _drawn(at: Blocks, size: int, generator: torch.Generator, of: Callable[[Prompts], torch.Tensor]) -> Array:
    """``of`` fresh prompts, one row each, in parts that fit a cache."""
    parts = [min(4096, size - done) for done in range(0, size, 4096)]
    A = tensor(at.A)
    return torch.cat([of(sample_prompts(A, at.n, part, generator)) for part in parts]).numpy()


def mean_loss(prediction: Callable[[Blocks], float], at: Blocks, seed: int, profile: Profile) -> Evidence:
    """The mean of L_SFT over single prompts against ``prediction``, relative to it."""
    generator, expected = seeded(seed, "cpu"), prediction(at)

    V, W = assemble(tensor(at.V), tensor(at.W))

    def of(prompts: Prompts) -> torch.Tensor:
        return sft_residuals(V, W, prompts, at.eta, at.k).square().sum((-2, -1))[:, None] / 2

    regime = f"loss of fresh prompts, {at.label}"
    return sampled(
        lambda size: _drawn(at, size, generator, of),
        np.array([expected]),
        abs(expected),
        2e-2,
        regime,
        profile,
    )


def mean_gradient(
    prediction: Callable[[Blocks], Pair],
    at: Blocks,
    seed: int,
    profile: Profile,
    blocks: str = "VW",
    scale: float | None = None,
) -> Evidence:
    """The mean gradient of L_SFT in the entries of Ṽ and W̃, or of one of them, against ``prediction``.

    The scale of an entry is the norm of the predicted gradient of its block; where that is 0, ``scale``.
    """
    generator = seeded(seed, "cpu")
    chosen = ["VW".index(name) for name in blocks]
    expected = [prediction(at)[b] for b in chosen]
    units = [np.full(m.size, scale or np.linalg.norm(m)) for m in expected]

    def of(prompts: Prompts) -> torch.Tensor:
        loss, *copies = _copies(at, prompts)
        found = torch.autograd.grad(loss.sum(), [copies[b] for b in chosen])
        return torch.cat([g.reshape(prompts.size, -1) for g in found], dim=1)

    names = " and ".join({"V": "Ṽ", "W": "W̃"}[name] for name in blocks)
    regime = f"gradient in {names}, every entry, {at.label}"
    flat, unit = (np.concatenate([m.ravel() for m in ms]) for ms in (expected, units))
    return sampled(lambda size: _drawn(at, size, generator, of), flat, unit, 5e-2, regime, profile)


def gradient_of_each(prediction: Callable[[Blocks], Pair], at: Sequence[Blocks], seed: int) -> Evidence:
    """Each entry of the gradient in W̃ of 100 single prompts against ``prediction``, relative to the largest
    of that in Ṽ: to rounding, a few hundred operations on numbers of its size."""
    delta, worst = 1e-12, 0.0
    for one in at:
        prompts = sample_prompts(tensor(one.A), one.n, 100, seeded(seed, "cpu"))
        loss, V, W = _copies(one, prompts)
        in_V, in_W = (g.numpy() for g in torch.autograd.grad(loss.sum(), (V, W)))
        worst = max(worst, float(np.abs(in_W - prediction(one)[1]).max() / np.abs(in_V).max()))
    return Evidence(
        "monte-carlo",
        "agrees" if worst <= delta else "differs",
        f"largest gap {worst:.1e} of that in Ṽ",
        "gradient in W̃ of 100 prompts, each; " + "; ".join(one.label for one in at),
        delta,
    )


# Its minimiser -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Loss:
    """L_SFT of all prompts as a function of the d × d blocks: ½‖F(φ(Ṽ), φ(W̃))‖², φ(M) = (1 − ΣM_ij, M).

    The residuals are affine in Ṽ and in W̃, so that the full model at 0 and at the unit matrices has all of
    them; F is a root of their Gram matrix.
    """

    F: Array  # ((d²+1)², d²+1, d²+1)
    d: int

    @property
    def slope(self) -> Array:
        """∂φ/∂M."""
        return np.vstack([-np.ones(self.d**2), np.eye(self.d**2)])

    def split(self, x: Array) -> tuple[Array, Array]:
        v, w = np.split(x, 2)
        return np.concatenate([[1 - v.sum()], v]), np.concatenate([[1 - w.sum()], w])

    def residual(self, x: Array) -> Array:
        v, w = self.split(x)
        return np.asarray(self.F @ w @ v)

    def jacobian(self, x: Array) -> Array:
        v, w = self.split(x)
        return np.concatenate(
            [self.F @ w @ self.slope, np.einsum("rij,i->rj", self.F, v) @ self.slope], axis=1
        )

    def minimised(self, start: Array) -> tuple[float, Array, Array]:
        """Loss, Ṽ and W̃ where Levenberg-Marquardt ends."""
        found = scipy.optimize.least_squares(
            self.residual, start, self.jacobian, method="lm", ftol=STOP, xtol=STOP, gtol=STOP, max_nfev=5000
        )
        V, W = found.x.reshape(2, self.d, self.d)
        return float(found.cost), V, W

    def held(self) -> Array:
        """Ṽ of least loss at W̃ = I."""
        at = self.F @ self.split(np.concatenate([np.zeros(self.d**2), np.eye(self.d).ravel()]))[1]
        found = np.linalg.lstsq(at @ self.slope, -at[:, 0], rcond=1e-10)[0]
        return np.asarray(found.reshape(self.d, self.d), dtype=float)


@cache
def loss_of(of: Population) -> Loss:
    """L_SFT of a population, exactly: the mean over :func:`verify.checks.wishart_nodes.prompts`.

    Of a residual the weight slot is kept: the other rows are 0.
    """
    d = len(of.spectrum)
    units = torch.cat([torch.zeros(1, d * d), torch.eye(d * d)]).double().reshape(-1, d, d)
    m = len(units)
    V, W = assemble(units.repeat_interleave(m, 0), units.repeat(m, 1, 1))
    prompts = wishart_nodes.prompts(of.A, of.n)
    rows = sft_residuals(V, W, prompts, of.eta, of.k)[..., d + 1 : 2 * d + 1].reshape(m * m, -1)
    values, vectors = np.linalg.eigh((rows @ rows.T / prompts.size).numpy())
    return Loss((np.sqrt(values.clip(0)) * vectors).T.reshape(-1, m, m), d)


@cache
def ends(of: Population, seed: int) -> list[tuple[float, Array, Array]]:
    """Loss and blocks where training ends from five dense random starts, the least loss first."""
    starts = np.random.default_rng(seed).normal(size=(5, 2 * len(of.spectrum) ** 2))
    return sorted((loss_of(of).minimised(x) for x in starts), key=lambda end: end[0])


def least_loss(prediction: Callable[[Population], float], of: Population, seed: int) -> Evidence:
    """The least L_SFT over Ṽ and W̃ that five random starts reach, against ``prediction``, relative to it.

    No prompt is drawn: δ is for the minimiser, which may stop at 1e-12 of the loss."""
    delta, found, expected = 1e-8, ends(of, seed)[0][0], prediction(of)
    gap = found / expected - 1
    return Evidence(
        "training",
        "agrees" if abs(gap) < delta else "differs",
        f"least loss {gap:+.1e} off",
        f"both blocks trained from 5 random starts, all prompts, {of.label}",
        delta,
    )


def minimiser(
    goal: Callable[[Population], Pair],
    of: Population,
    seed: int,
    bound: Callable[[Population], float] | None = None,
    claim: Claim = operator.ge,
) -> Evidence:
    """Where the best of five random starts ends, ṼP and PW̃ against those of ``goal``, each relative to
    its own norm; P projects onto range(A), off which the loss sees neither.  The loss there is to
    ``bound`` as claimed, to the tolerance of :func:`least_loss`.

    No prompt is drawn: δ is for the minimiser, the square root of what the loss is known to."""
    delta = 1e-5
    loss, V, W = ends(of, seed)[0]
    onto = of.A @ np.linalg.pinv(of.A, rcond=1e-10)
    to = goal(of)
    gaps = [
        float(np.linalg.norm(M - N) / np.linalg.norm(M))
        for M, N in ((V @ onto, to[0] @ onto), (onto @ W, onto @ to[1]))
    ]
    most = loss if bound is None else bound(of)
    as_claimed = holds(claim, loss, most, 1e-8 * abs(most))
    same = sum(end[0] < loss * (1 + 1e-6) for end in ends(of, seed))
    return Evidence(
        "training",
        "agrees" if max(gaps) < delta and as_claimed else "differs",
        f"distance {gaps[0]:.1e} of Ṽ, {gaps[1]:.1e} of W̃; {same} of 5 starts end there",
        f"both blocks trained from random starts, all prompts, {of.label}",
        delta,
    )


LENGTHS = (256, 512, 1024)


@cache
def _changes(of: Population) -> list[Pair]:
    """n(Ṽ_n − Ṽ), Ṽ the minimiser with W̃ held at I, and n(W̃_n − I), at each of :data:`LENGTHS`."""
    found = []
    for n in LENGTHS:
        model = loss_of(Population(of.spectrum, n, of.eta, of.k, of.basis))
        held, eye = model.held(), np.eye(model.d)
        _, V, W = model.minimised(np.concatenate([held.ravel(), eye.ravel()]))
        found.append((n * (V - held), n * (W - eye)))
    return found


def limit_in_length(goal: Callable[[Population], Pair], of: Population) -> Evidence:
    """n(Ṽ_n − Ṽ_∞) and n(W̃_n − I) of trained blocks, extrapolated to n = ∞, against ``goal``, each
    relative to its own norm; the values themselves must come nearer to it with n.

    No prompt is drawn.  The parabola in 1/n through three lengths leaves c³/(n₁n₂n₃): below δ up to c = 50,
    and 1/n comes with numbers near tr A = 3 and tr A/λ_min."""
    delta = 1e-3
    weights = np.linalg.solve(np.vander(1 / np.array(LENGTHS), increasing=True).T, [1, 0, 0])
    gaps, nearer = [], True
    for measured, to in zip(zip(*_changes(of), strict=True), goal(of), strict=True):
        limit = cast(Array, sum(c * m for c, m in zip(weights, measured, strict=True)))
        gaps.append(float(np.linalg.norm(limit - to) / np.linalg.norm(limit)))
        distances = [np.linalg.norm(m - to) for m in measured]
        nearer = nearer and distances[-1] < distances[0]
    return Evidence(
        "scaling",
        "agrees" if max(gaps) < delta and nearer else "differs",
        f"extrapolated {gaps[0]:.1e} off for Ṽ, {gaps[1]:.1e} for W̃",
        f"trained blocks at n = {', '.join(map(str, LENGTHS))}, all prompts, {of.label.split(', ', 1)[1]}",
        delta,
    )
