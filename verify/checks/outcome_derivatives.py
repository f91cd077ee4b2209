"""Gradient and Hessian of the outcome loss at W̃ = I, measured by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, core, given, settings, target
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from numerics.curvature import hessian_times, outcome_errors, outcome_loss_of
from numerics.device import seeded
from numerics.losses import outcome_loss
from numerics.model import assemble
from verify.checks import generated
from verify.checks.points import HESSIAN, Point, SquaredPoint, block, tensor
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.strategies import model_points

Array = NDArray[np.float64]


class DerivativePoint(SquaredPoint):
    """A point whose measure is a derivative in Ṽ, along :attr:`direction` where it has one."""

    @property
    def direction(self) -> Array:
        """An asymmetric E that commutes with nothing here."""
        return self.V[::-1] + 0.3 * np.arange(self.d)[:, None] - 0.2

    @property
    def growth(self) -> float:
        """‖w*‖²(1 + ‖S‖)² (Σ_{j≤k} ‖M^j‖)⁴ (1 + ‖E‖)², times what a step adds up before it cancels.

        A second derivative has two powers of M besides the two of the loss, and two directions with an S.
        """
        norm, found = np.linalg.norm, 0.0
        for prompt, (S, star) in enumerate(zip(self.S, self.w_star, strict=True)):
            size = np.trace(S)
            reach = sum(norm(np.linalg.matrix_power(self.step(prompt), j), 2) for j in range(self.k + 1))
            step = 2 + norm(self.V) * size
            found = max(found, float(norm(star) ** 2 * (1 + size) ** 2 * reach**4 * step))
        return float(found * (1 + norm(self.direction)) ** 2)

    @property
    def operations(self) -> int:
        """Those of a Hessian's product."""
        return HESSIAN * super().operations

    def step(self, prompt: int = 0) -> Array:
        """M = I + ṼS."""
        return np.eye(self.d) + self.V @ self.S[prompt]


def gradient(point: Point) -> Array:
    """∇_Ṽ L_OS(Ṽ, I), (d, d), by automatic differentiation of the full model."""
    V = tensor(point.V).requires_grad_()
    loss = outcome_loss(*assemble(V, torch.eye(point.d, dtype=V.dtype)), point.prompts, point.k)
    return torch.autograd.grad(loss, V)[0].numpy()


def radial(point: Point) -> Array:
    """⟨∇_Ṽ L_OS, Ṽ⟩, one number."""
    return np.array([(gradient(point) * point.V).sum()])


def _loss(point: Point) -> Callable[[Tensor], Tensor]:
    return outcome_loss_of(point.prompts.S, point.prompts.w_star, point.k)


def hessian_along(point: Point) -> Array:
    """H[E], (d, d), E the point's direction: the gradient's own derivative."""
    assert isinstance(point, DerivativePoint)
    return hessian_times(_loss(point), tensor(point.V), tensor(point.direction)).numpy()


def first_prompt(point: Point) -> Array:
    """H[E] of the loss of the first prompt alone."""
    assert isinstance(point, DerivativePoint)
    only = outcome_loss_of(point.prompts.S[:1], point.prompts.w_star[:1], point.k)
    return hessian_times(only, tensor(point.V), tensor(point.direction)).numpy()


def gauss_newton(point: Point) -> Array:
    """JᵀJ[E] of the first prompt, J the derivative of its error ŵ_k − w* in Ṽ."""
    assert isinstance(point, DerivativePoint)
    return _gauss_newton(
        tensor(point.V), tensor(point.direction), point.prompts.S[:1], point.prompts.w_star[:1], point.k
    ).numpy()


def curvature_along(point: Point) -> Array:
    """⟨E, H[E]⟩, one number."""
    assert isinstance(point, DerivativePoint)
    return np.array([(hessian_along(point) * point.direction).sum()])


def _gauss_newton(V: Tensor, E: Tensor, S: Tensor, w_star: Tensor, k: int) -> Tensor:
    miss = lambda at: outcome_errors(at, S, w_star, k)  # noqa: E731
    pull = torch.func.vjp(miss, V)[1]
    # JE by the double backward trick: the pullback is linear in its argument, and its derivative is J.
    push = torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(w_star))[1]
    (found,) = pull(push(E)[0])
    return torch.as_tensor(found) / w_star.shape[-2]


def power_norms(point: Point) -> Array:
    """Σ_j Σ_l ‖M‖^j ‖M‖^l ‖M‖^{k−1−l} ‖M‖^{k−1−j} ‖w*‖²‖S‖ of the first prompt, added up, one number."""
    assert isinstance(point, DerivativePoint)
    norm, k = np.linalg.norm(point.step(), 2), point.k
    terms = [
        norm**j * norm**i * norm ** (k - 1 - i) * norm ** (k - 1 - j) for j in range(k) for i in range(k)
    ]
    size = np.linalg.norm(point.w_star[0]) ** 2 * np.linalg.norm(point.S[0], 2)
    return np.array([sum(terms) * size])


def over_examples(
    measure: Callable[[Point], Array],
    prediction: Callable[[Point], Array],
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """``measure`` against ``prediction`` to rounding, at models with W̃ = I that hypothesis draws."""
    examples = model_points(DerivativePoint, 1, identity=True)
    return generated.identity(measure, prediction, examples, profile, form)


# Long chains ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chain:
    """Ṽ (d, d) and prompts with covariances S (B, d, d) and weights w_star (B, d)."""

    V: Array
    S: Array
    w_star: Array
    label: str

    @property
    def radius(self) -> float:
        """The largest ρ(M_τ)."""
        steps = np.eye(len(self.V)) + self.V @ self.S
        return float(np.abs(np.linalg.eigvals(steps)).max())

    def gradient(self, k: int) -> Array:
        loss = outcome_loss_of(tensor(self.S), tensor(self.w_star), k)
        return torch.func.grad(loss)(tensor(self.V)).numpy()


Claim = Callable[[float, float], bool]  # ρ(M), the gradient's factor per step → whether it is as claimed


def gradient_rate(claim: Claim, chains: Sequence[Chain], k: int, form: str = "printed") -> Evidence:
    """The factor (‖∇L_2k‖/‖∇L_k‖)^{1/k} that a step multiplies the gradient by, and what is claimed of it.

    It tends to ρ² for almost every w*; the gradient has a factor k besides, which makes it 2^{1/k} too
    large, and what other eigenvalues still contribute is of that order: ``k`` must be such that this does
    not reach from ρ² to 1.
    """
    found = []
    for chain in chains:
        sizes = [float(np.linalg.norm(chain.gradient(j))) for j in (k, 2 * k)]
        found.append((chain.radius, (sizes[1] / sizes[0]) ** (1 / k)))
    rates = ", ".join(f"{rate:.4g} at ρ = {radius:.4g}" for radius, rate in found)
    return Evidence(
        "scaling",
        "agrees" if all(claim(radius, rate) for radius, rate in found) else "differs",
        f"factor per step {rates}",
        "; ".join(chain.label for chain in chains) + f"; k = {k}, {2 * k}",
        form=form,
    )


def long_chain(
    prediction: Callable[[Chain], Array], chains: Sequence[Chain], ks: tuple[int, int]
) -> Evidence:
    """The gradient against its limit in k: off by 1e-6 of it at the second k at most, and by less than half
    of what it is at the first."""
    worst, ratio = 0.0, 0.0
    for chain in chains:
        goal = prediction(chain)
        off = [float(np.linalg.norm(chain.gradient(k) - goal) / np.linalg.norm(goal)) for k in ks]
        worst, ratio = max(worst, off[1]), max(ratio, off[1] / off[0])
    delta = 1e-6
    return Evidence(
        "scaling",
        "agrees" if worst <= delta and ratio < 0.5 else "differs",
        f"rel. dev. {worst:.1e} at k = {ks[1]}, {ratio:.1e} of that at k = {ks[0]}",
        "; ".join(chain.label for chain in chains),
        delta,
    )


# What is dropped near a minimum --------------------------------------------------------------------


def dropped(limit: float, minimum: Chain, k: int, form: str = "printed") -> Evidence:
    """‖H[E] − JᵀJ[E]‖/‖JᵀJ[E]‖ on the way to a minimum, against its limit there.

    The way is straight, from a distance of 1e-2 of ‖Ṽ‖ to 1e-6 in steps of ten, so what goes to its limit
    linearly is off by 1e-6 times the ratio of two third derivatives at the end: ten decades of room to 1e-3.
    """
    S, w_star, goal = tensor(minimum.S), tensor(minimum.w_star), tensor(minimum.V)
    loss, d = outcome_loss_of(S, w_star, k), len(minimum.V)
    away, E = tensor(block(d, 3)), tensor(block(d, 4))
    away = away / away.norm() * goal.norm()
    shares = []
    for distance in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        V = goal + distance * away
        kept = _gauss_newton(V, E, S, w_star, k)
        shares.append(float((hessian_times(loss, V, E) - kept).norm() / kept.norm()))
    delta = 1e-3
    return Evidence(
        "scaling",
        "agrees" if abs(shares[-1] - limit) <= delta else "differs",
        "dropped/kept " + ", ".join(f"{share:.3g}" for share in shares),
        f"{minimum.label}; k = {k}, distance 1e-2 to 1e-6",
        delta,
        form=form,
    )


# Bounds --------------------------------------------------------------------------------------------

Bound = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # Ṽ, S (…, d, d), w* (…, d, 1), k → (…)


@dataclass(frozen=True)
class Search:
    """Gradient ascent over Ṽ, S = LLᵀ/tr, w* and E from ``starts`` generic points at once, one prompt each.

    ``unit`` holds ‖S‖ at 1.
    """

    d: int
    k: int
    seed: int
    starts: int = 8
    steps: int = 70
    unit: bool = False
    lower: Bound | None = None

    def worst(self, bound: Bound) -> float:
        """The largest ratio of the curvature D²L[E, E]/‖E‖² (or of ``lower``) to ``bound``; infinite where
        the bound is below 0."""
        generator = seeded(self.seed, "cpu")
        shapes = ((self.d, self.d), (self.d, self.d), (self.d, 1), (self.d, self.d))
        variables = [
            torch.randn(self.starts, *shape, generator=generator, dtype=torch.float64).requires_grad_()
            for shape in shapes
        ]
        optimiser = torch.optim.Adam(variables, lr=0.05)
        best = 0.0
        for step in range(self.steps):
            for group in optimiser.param_groups:  # smaller steps towards the end
                group["lr"] = 0.1 * (1 - step / self.steps) + 1e-3
            ratio = self._ratio(bound, *variables)
            best = max(best, float(ratio.detach().max()))
            optimiser.zero_grad()
            (-ratio.clamp_min(1e-9).log().sum()).backward()
            optimiser.step()
            if best > 1e6:
                break
        return best

    def _ratio(self, bound: Bound, V: Tensor, L: Tensor, w: Tensor, E: Tensor) -> Tensor:
        S = L @ L.mT
        if self.unit:
            S = S / torch.linalg.matrix_norm(S, 2)[:, None, None]
        above = bound(V, S, w, self.k)
        above = torch.where(above < 0, 0.0, above)  # not even 0 is below such a bound
        if self.lower is not None:
            return self.lower(V, S, w, self.k) / above
        loss = outcome_loss_of(S[:, None], w[:, None, :, 0], self.k)
        (slope,) = torch.autograd.grad(loss(V).sum(), V, create_graph=True)
        (moved,) = torch.autograd.grad((slope * E).sum(), V, create_graph=True)
        return (moved * E).sum((-2, -1)) / E.square().sum((-2, -1)) / above


def over_matrices(bound: Bound, profile: Profile, form: str = "printed") -> Evidence:
    """The largest eigenvalue of the Hessian of one prompt against ``bound``, at matrices of small halves
    of integers that hypothesis draws, d ≤ 2: singular, nilpotent and scalar ones are among them."""
    found = [0.0]
    entry = st.integers(-4, 4).map(lambda j: j / 2)

    @settings(
        max_examples=profile.examples,
        derandomize=core.global_force_seed is None,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.data(), st.integers(1, 2), st.integers(1, 3))
    def compare(data: st.DataObject, d: int, k: int) -> None:
        V, L = (
            torch.tensor(data.draw(st.lists(entry, min_size=d * d, max_size=d * d)), dtype=torch.float64)
            for _ in range(2)
        )
        V, L, star = V.reshape(d, d), L.reshape(d, d), torch.arange(1, d + 1, dtype=torch.float64)
        S = L @ L.T / d
        loss = outcome_loss_of(S[None], star[None], k)
        hessian = torch.autograd.functional.hessian(loss, V).reshape(d * d, d * d)
        top, above = float(torch.linalg.eigvalsh(hessian)[-1]), float(bound(V, S, star[:, None], k))
        # Below 1e-12 both are the rounding of zero.
        ratio = top / above if above > 1e-12 else (1e9 if top > 1e-9 else 0.0)
        found.append(ratio)
        target(ratio)

    compare()
    return Evidence(
        "property",
        "agrees" if max(found) <= 1 + 1e-9 else "differs",
        f"ratio up to {max(found):.4g}" if max(found) < 1e6 else "ratio unbounded",
        f"{len(found) - 1} examples, entries −2 … 2 in halves, d ≤ 2, k ≤ 3",
        1e-9,
        form=form,
    )


def adversarial(
    bound: Bound, searches: Sequence[Search], form: str = "printed", attained: bool = False
) -> Evidence:
    """The largest ratio of the curvature to ``bound`` that gradient ascent finds: at most 1 if it is one.

    With ``attained`` it must also come within 1 %, for the best bound does.
    """
    found = [search.worst(bound) for search in searches]
    room = 1e-9  # a norm and a second derivative of chains of k steps, each to rounding
    holds = all(ratio <= 1 + room for ratio in found) and (not attained or min(found) >= 0.99)
    return Evidence(
        "training",
        "agrees" if holds else "differs",
        "ratio up to " + ", ".join(f"{ratio:.4g}" if ratio < 1e6 else "beyond 1e6" for ratio in found),
        "gradient ascent, (d, k) = "
        + ", ".join(f"({s.d}, {s.k})" for s in searches)
        + (", ‖S‖ = 1" if searches[0].unit else ""),
        room,
        form=form,
    )
