"""The outcome loss's curvature measured: Lanczos on Hessian-vector products of the recursion (A.1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray

from numerics.curvature import Loss, curvature, hessian_times, outcome_errors, outcome_loss_of
from numerics.device import seeded
from numerics.prompts import sample_prompts
from verify.checks.points import block, tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
SMALL = 12
ROUNDING = 1e-6  # of a curvature: a hundred times the tolerance of Lanczos


@dataclass(frozen=True)
class Landscape:
    """L_OS(·, I) at V (d, d): tasks w (B, d), covariances S (B, d, d), or one for all, (d, d)."""

    V: Array
    S: Array
    w: Array
    k: int


def _loss(at: Landscape) -> Loss:
    S, w = tensor(at.S), tensor(at.w)
    if S.ndim == 3:
        return outcome_loss_of(S, w, at.k)

    def loss(V_block: torch.Tensor) -> torch.Tensor:
        error = w
        for _ in range(at.k):
            error = error + (error @ S) @ V_block.mT
        return error.square().sum() / (2 * len(w))

    return loss


def _largest(at: Landscape) -> float:
    """λ_max by Lanczos; where d is small, of the whole Hessian, from all its products in one pass."""
    loss, V, d = _loss(at), tensor(at.V), len(at.V)
    if d > SMALL:
        return curvature(loss, V)[0]
    units = torch.eye(d * d, dtype=torch.float64).reshape(-1, d, d)
    whole = torch.func.vmap(lambda unit: hessian_times(loss, V, unit))(units).reshape(d * d, d * d)
    return float(torch.linalg.eigvalsh((whole + whole.T) / 2)[-1])


def along(
    prediction: Callable[[Landscape, Array], float],
    at: Sequence[Landscape],
    regime: str,
    form: str = "printed",
) -> Evidence:
    """D²L[E, E] along two asymmetric E that commute with nothing against ``prediction``, to rounding."""
    found = []
    for one in at:
        for shift in (5, 6):
            E = block(len(one.V), shift)
            measured = float((hessian_times(_loss(one), tensor(one.V), tensor(E)) * tensor(E)).sum())
            found.append(abs(prediction(one, E) / measured - 1))
    worst = float(np.max(found))
    outcome = "agrees" if worst < ROUNDING else "differs"
    return Evidence("monte-carlo", outcome, f"rel. dev. {worst:.1e}", regime, ROUNDING, form=form)


def between(
    prediction: Callable[[Landscape], tuple[float, float]],
    at: Sequence[Landscape],
    regime: str,
    tight: Sequence[Landscape] = (),
    form: str = "printed",
) -> Evidence:
    """λ_max of the Hessian between the two bounds of ``prediction``, and equal to both where those are
    ``tight``, up to rounding."""
    ratios = []
    for one in (*at, *tight):
        low, high = prediction(one)
        found = _largest(one)
        ratios.append((found / low, found / high))
    least, most = min(low for low, _ in ratios), max(high for _, high in ratios)
    equal = all(abs(ratio - 1) < ROUNDING for pair in ratios[len(at) :] for ratio in pair)
    outcome = "agrees" if least > 1 - ROUNDING and most < 1 + ROUNDING and equal else "differs"
    measured = f"least λ_max/lower bound {least:.7f}, most λ_max/upper bound {most:.7f}"
    return Evidence("monte-carlo", outcome, measured, regime, ROUNDING, form=form)


def exponents(
    prediction: tuple[float, float],
    replicas: Sequence[Sequence[tuple[float, Landscape]]],
    regime: str,
    profile: Profile,
    form: str = "printed",
    delta: float = 0.15,
    drawn: bool = True,
) -> Evidence:
    """p and q of λ_max ≈ C k^p ρ^{q(2k−2)}, least squares over (ρ, landscape), against ``prediction``.

    The uncertainty is Student's over the replicas; there is none, and the replica farthest off counts, if
    they are settings with nothing ``drawn``.  Where ρ does not vary only p is fitted.  ``delta`` covers the
    factor 2 − 1/k, which adds up to 0.08 to p, and the other eigenvalues of M.
    """
    fits = []
    for replica in replicas:
        steps = np.array([at.k for _, at in replica])
        log_radius = np.log([radius for radius, _ in replica])
        columns = [np.ones(len(steps)), np.log(steps)]
        if np.ptp(log_radius) > 0:
            columns.append((2 * steps - 2) * log_radius)
        heights = np.log([_largest(at) for _, at in replica]) - (
            (2 * steps - 2) * log_radius * prediction[1] if len(columns) == 2 else 0
        )
        fits.append(np.linalg.lstsq(np.stack(columns, axis=1), heights, rcond=None)[0][1:])
    found = np.array(fits)
    goal = np.array(prediction[: found.shape[1]])
    if drawn:
        mean, half = found.mean(axis=0), half_widths(found, profile.alpha)
    else:
        worst = np.abs(found - goal).argmax(axis=0)
        mean, half = found[worst, np.arange(len(goal))], np.zeros(len(goal))
    gap = np.abs(mean - goal)
    if (gap - half > delta).any():
        outcome = "differs"
    else:
        outcome = "agrees" if (gap + half <= delta).all() else "undecided"
    shown = ", ".join(
        f"{name} = {value:.3f}{f' ± {h:.3f}' if drawn else ''}"
        for name, value, h in zip("pq", mean, half, strict=False)
    )
    return Evidence("scaling", outcome, shown, regime, delta, profile.alpha if drawn else 0.0, form)


def _smooth(k: Array) -> Array:
    """Functions of k, in the last dimension."""
    return np.stack([np.ones_like(k), np.log(k), k, 1 / k, k**-2.0, k**-3.0], axis=-1)


def peak(
    prediction: Callable[[float], float], radii: Sequence[float], d: int = 10, form: str = "printed"
) -> Evidence:
    """The k at which λ_max is largest, A = I and M symmetric with ρ(M) of ``radii``, by ``prediction``(ρ).

    Around the best integer log λ_max is interpolated by 1, log k, k, 1/k, 1/k² and 1/k³, which leaves less
    than 1e-3 of the place.
    """
    worst, delta, shown = 0.0, 5e-3, []
    for radius in radii:
        turn = np.linalg.qr(np.random.default_rng(d).normal(size=(d, d)))[0]
        M = turn @ np.diag(np.linspace(-radius, radius / 2, d)) @ turn.T

        def height(k: int, M: Array = M) -> float:
            return float(np.log(_largest(Landscape(M - np.eye(d), np.eye(d), d**0.5 * np.eye(d), k))))

        best = 1
        while height(best + 1) > height(best):
            best += 1
        steps = max(1, best - 2) + np.arange(6.0)
        weights = np.linalg.solve(_smooth(steps), [height(int(k)) for k in steps])
        found = scipy.optimize.minimize_scalar(
            lambda k, weights=weights: -float(_smooth(np.asarray(k)) @ weights),
            bounds=(max(1, best - 1), best + 1),
            method="bounded",
            options={"xatol": 1e-8},
        ).x
        worst = max(worst, abs(float(found) - prediction(radius)))
        shown.append(f"{found:.3f} at ρ = {radius:g}")
    outcome = "agrees" if worst < delta else "differs"
    measured = f"k = {', '.join(shown)}"
    return Evidence("scaling", outcome, measured, f"d={d}, A=I, M symmetric", delta, form=form)


def corner(prediction: float, blocks: Sequence[tuple[float, float]], form: str = "printed") -> Evidence:
    """lim λ_max/(k⁶ β⁴ ρ^{2k−6}) for M = [[ρ, β], [0, ρ]] of each (ρ, β), extrapolated from k = 20, 40, 80.

    What that leaves is of order 1/k³.
    """
    worst, delta = 0.0, 2e-2
    for radius, off in blocks:
        V = np.array([[radius - 1, off], [0.0, radius - 1]])
        quarter, half, whole = (
            _largest(Landscape(V, np.eye(2), 2**0.5 * np.eye(2), k)) / (k**6 * off**4 * radius ** (2 * k - 6))
            for k in (20, 40, 80)
        )
        worst = max(worst, abs((8 * whole - 6 * half + quarter) / 3 / prediction - 1))
    outcome = "agrees" if worst < delta else "differs"
    regime = "d=2, S=I, (ρ, β) = " + ", ".join(f"({r:g}, {b:g})" for r, b in blocks)
    return Evidence("scaling", outcome, f"rel. dev. {worst:.1e}", regime, delta, form=form)


def along_identity(
    prediction: Array, cases: Sequence[tuple[float, int, int, int]], seed: int, profile: Profile
) -> Evidence:
    """The curvature along I/√d at V = −cI over prompts from N(0, I): mean of one prompt's second derivatives,
    for each (c, d, n, k)."""
    generator = seeded(seed, "cpu")

    def draw(size: int) -> Array:
        columns = []
        for c, d, n, k in cases:
            S = sample_prompts(torch.eye(d, dtype=torch.float64), n, size, generator).S
            columns.append(_along_identity(S, c, k))
        return torch.stack(columns, dim=1).numpy()

    regime = "; ".join(f"(c,d,n,k) = ({c:g},{d},{n},{k})" for c, d, n, k in cases)
    return sampled(draw, prediction, np.abs(prediction), 5e-2, regime, profile)


def _along_identity(S: torch.Tensor, c: float, k: int) -> torch.Tensor:
    """The second derivative along I/√d at V = −cI of each prompt's loss, S (size, d, d), mean over w*."""
    size, d = S.shape[:2]
    t = torch.zeros(size, dtype=torch.float64, requires_grad=True)
    unit = torch.eye(d, dtype=torch.float64)
    V = (t / d**0.5 - c)[:, None, None] * unit
    tasks = unit.expand(size, d, d)  # as many as it takes for the mean over w* ~ N(0, I)
    errors = outcome_errors(V, S[:, None].expand(size, d, d, d), tasks, k)
    (slope,) = torch.autograd.grad(errors.square().sum() / 2, t, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), t)
    return bend


def by_prompt(
    prediction: Callable[[Array, float, int], float],
    cases: Sequence[tuple[float, int, int, int]],
    seed: int,
) -> Evidence:
    """That curvature of single prompts, three of each case, against ``prediction``(S, c, k), to rounding."""
    generator, ratios = seeded(seed, "cpu"), []
    for c, d, n, k in cases:
        S = sample_prompts(torch.eye(d, dtype=torch.float64), n, 3, generator).S
        stated = np.array([prediction(one, c, k) for one in S.numpy()])
        ratios.append(np.abs(stated / _along_identity(S, c, k).numpy() - 1))
    worst = float(np.max(ratios))
    outcome = "agrees" if worst < ROUNDING else "differs"
    regime = "single prompts, " + "; ".join(f"(c,d,n,k) = ({c:g},{d},{n},{k})" for c, d, n, k in cases)
    return Evidence("monte-carlo", outcome, f"rel. dev. {worst:.1e}", regime, ROUNDING)


def thinking(
    prediction: tuple[int, float],
    V: Array,
    n: int,
    steps: Sequence[int],
    seed: int,
    profile: Profile,
    form: str = "printed",
) -> Evidence:
    """The sign of the risk after k steps less so many times the risk of none, ``prediction``(sign, times),
    over d, on prompts from N(0, I), for each of ``steps``.

    Tasks √d e_i for each prompt: the mean over w* ~ N(0, I) without its noise.
    """
    d, size = len(V), max(1000, int(4000 * min(profile.sample_factor, 16)))
    prompts = sample_prompts(torch.eye(d, dtype=torch.float64), n, size, seeded(seed, "cpu"))
    tasks = torch.eye(d, dtype=torch.float64).expand(size, d, d)
    S = prompts.S[:, None].expand(size, d, d, d)
    block = tensor(V).expand(size, d, d)
    found = np.stack(
        [(outcome_errors(block, S, tasks, k).square().sum((-2, -1)) / d).numpy() for k in steps], axis=1
    )
    sign, level = prediction
    found = found - level
    mean, half = found.mean(axis=0), half_widths(found, profile.alpha)
    if (np.sign(mean) * sign < 0)[np.abs(mean) > half].any():
        outcome = "differs"
    else:
        outcome = "agrees" if (np.abs(mean) > half).all() else "undecided"
    shown = ", ".join(f"{x:+.2g} ± {h:.1g}" for x, h in zip(mean, half, strict=True))
    regime = f"d={d}, n={n}, V={V[0, 0]:g} I, k={', '.join(map(str, steps))}"
    nearest = int(np.argmin(np.abs(mean) / half))
    return Evidence(
        "monte-carlo",
        outcome,
        f"risk/d − {level:g}: {shown}",
        regime,
        float(half[nearest]),
        profile.alpha,
        form,
    )


def transient(
    prediction: Callable[[Landscape], float],
    at: Sequence[Landscape],
    regime: str,
    tight: Sequence[Landscape] = (),
    form: str = "printed",
) -> Evidence:
    """The largest singular value of k steps of (A.1), run on every unit vector, at most ``prediction``, and
    equal to it at the ``tight``, up to rounding."""
    ratios = []
    for one in (*at, *tight):
        d = len(one.V)
        S = tensor(one.S).expand(d, d, d)
        power = outcome_errors(tensor(one.V), S, torch.eye(d, dtype=torch.float64), one.k)
        ratios.append(float(torch.linalg.matrix_norm(power, 2)) / prediction(one))
    equal = all(abs(ratio - 1) < ROUNDING for ratio in ratios[len(at) :])
    outcome = "agrees" if max(ratios) < 1 + ROUNDING and equal else "differs"
    measured = f"‖M^k‖ over the bound: {min(ratios):.3f} to {max(ratios):.7f}"
    return Evidence("monte-carlo", outcome, measured, regime, ROUNDING, form=form)
