"""Section 5.1 from sampled prompts alone: pretraining and fine-tuning by least squares, the residual
I + ṼΣ that they leave, and the A at which a search over A finds the sampled post-test error least."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import count

import numpy as np
import scipy.optimize
import torch
from numpy.typing import NDArray

from numerics.device import seeded
from numerics.prompts import sample_prompts
from verify.checks.allocation import LENGTHS, Shift
from verify.checks.points import tensor
from verify.checks.run import sampled
from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]
Fit = tuple[Array, Array]  # the pretrained block and the fine-tuned one
REPLICAS = 48  # fits or searches at each n, where a limit is extrapolated


def prompts(profile: Profile) -> int:
    """Prompts of a fit or a search whose mean is tested; the bias is a few times one over it, far below δ."""
    return int(4000 * profile.sample_factor**0.5)


def _prompts(n: int, profile: Profile) -> int:
    """And where a limit in n is extrapolated: S scatters like 1/√n, so that fewer longer ones do."""
    return int(max(200, 20_000 // n) * max(profile.sample_factor, profile.sample_factor**0.5))


def _covariances(covariance: Array, n: int, size: int, generator: torch.Generator) -> torch.Tensor:
    return sample_prompts(tensor(covariance), n, size, generator).S


def _moments(S: torch.Tensor) -> Fit:
    """The means of S and S²."""
    rows = S.flatten(0, 1)
    return S.mean(0).numpy(), (rows.mT @ rows / len(S)).numpy()


def pretrained(at: Shift, size: int, generator: torch.Generator) -> Array:
    """The minimiser of least norm of the mean of ‖I + ṼS‖_F² over prompts from N(0, Σ₀)."""
    first, second = _moments(_covariances(at.Sigma0, at.n, size, generator))
    return np.asarray(-first @ np.linalg.pinv(second, rcond=1e-10, hermitian=True))


def fine_tuned(at: Shift, size: int, generator: torch.Generator) -> Fit:
    """The pretrained block, and the minimiser of L_SFT at W̃ = I nearest to it over prompts from N(0, A)."""
    before = pretrained(at, size, generator)
    prompts = sample_prompts(tensor(at.A), at.n, size, generator)
    phi = torch.einsum("bij,bj->bi", prompts.S, prompts.w_star).numpy()
    change, *_ = np.linalg.lstsq(phi, -(at.eta * prompts.w_star.numpy() + phi @ before.T), rcond=1e-12)
    return before, before + change.T


@cache
def _fits(at: Shift, size: int, number: int, seed: int) -> list[Fit]:
    """The same fits for the same arguments, so that more than one thing is read off them."""
    generator = seeded(seed % 2**62, "cpu")
    return [fine_tuned(at, size, generator) for _ in range(number)]


# What is read off a fit.
Reading = Callable[[Shift, Fit], Array]


def on_shift(at: Shift, fit: Fit) -> Array:
    """P(I + ṼΣ)P."""
    return np.asarray(at.P @ (np.eye(len(at.P)) + fit[1] @ at.Sigma) @ at.P)


def on_complement(at: Shift, fit: Fit) -> Array:
    """(I − P)(I + ṼΣ)(I − P)."""
    return np.asarray(at.off @ (np.eye(len(at.P)) + fit[1] @ at.Sigma) @ at.off)


def both(at: Shift, fit: Fit) -> Array:
    """P(I + ṼΣ)P + (I − P)(I + ṼΣ)(I − P)."""
    return on_shift(at, fit) + on_complement(at, fit)


def initial_inverse(at: Shift, fit: Fit) -> Array:
    """−(I − P)Ṽ_preΣ₀(I − P)."""
    return np.asarray(-at.off @ fit[0] @ at.Sigma0 @ at.off)


def residual(
    prediction: Callable[[Shift], Array],
    at: Shift,
    reading: Reading,
    seed: int,
    profile: Profile,
    form: str,
) -> Evidence:
    """The mean entries of ``reading`` over fits against ``prediction``(setting), in units of I."""
    calls, many = count(), prompts(profile)

    def draw(size: int) -> Array:
        return np.stack([reading(at, fit).ravel() for fit in _fits(at, many, size, seed + next(calls))])

    expected = np.asarray(prediction(at)).ravel()
    text = f"{(reading.__doc__ or '').rstrip('.')}, {many} prompts a fit, {at.text}"
    delta = _delta(profile)
    return sampled(
        draw, expected, 1.0, delta, text, profile, form, "scaling", limit=True, averaged=many, stages=3
    )


def _delta(profile: Profile) -> float:
    """3 %, and at most half as much again: n for n + 1 is 6 % of a residual."""
    return 3e-2 * min(1.0, 1.5 / profile.delta_factor)


def _limit(found: list[Array], prediction: Array, unit: float, profile: Profile) -> tuple[str, str]:
    """The limit in n of means at n = 16, 64, 256, extrapolated from the last two for a gap like 1/n, which
    has to shrink on the way: outcome and what was measured, in units of ``unit``.

    What the extrapolation leaves is (tr Σ₀/c)²/(64·256) for the least eigenvalue c: 1 % at tr Σ₀ = 12c.
    """
    means = [samples.mean(axis=0) / unit for samples in found]
    halves = [half_widths(samples / unit, profile.alpha / len(found)) for samples in found]
    end = (4 * means[2] - means[1]) / 3
    off = np.abs(end - prediction.ravel() / unit)
    spread = (4 * halves[2] + halves[1]) / 3
    gaps = [float(np.linalg.norm(mean - prediction.ravel() / unit)) for mean in means]
    noise = [float(np.linalg.norm(half)) for half in halves]
    delta = 3e-2 * profile.delta_factor
    shrinks = gaps[1] < gaps[0] + noise[0] and gaps[2] < gaps[1] + noise[1]
    if (off > delta + spread).any() or not shrinks:
        outcome = "differs"
    else:
        outcome = "agrees" if (off + spread < delta).all() else "undecided"
    at = int(np.argmax(off + spread))
    gap = ", ".join(f"{g:.2g}" for g in gaps)
    return outcome, f"gaps {gap}, limit off by {off[at]:.1e} ± {spread[at]:.1e}"


Family = Callable[[int], Shift]  # a setting for each n, the same object whenever it is asked for


def _lengths(at: Shift) -> str:
    return f"n = {', '.join(map(str, LENGTHS))}, {at.text.replace(f', n={at.n}', '')}"


def residual_limit(
    prediction: Callable[[Shift], Array],
    family: Family,
    reading: Reading,
    seed: int,
    profile: Profile,
    form: str,
) -> Evidence:
    """The limit in n of the mean of ``reading`` against ``prediction``(setting), in units of I."""
    settings = [family(n) for n in LENGTHS]
    found = [
        np.stack([reading(at, fit).ravel() for fit in _fits(at, _prompts(at.n, profile), REPLICAS, seed)])
        for at in settings
    ]
    outcome, measured = _limit(found, np.asarray(prediction(settings[-1])), 1.0, profile)
    text = f"{(reading.__doc__ or '').rstrip('.')}, {_lengths(settings[-1])}"
    return Evidence("scaling", outcome, measured, text, 3e-2 * profile.delta_factor, profile.alpha, form)


def initial_order(sign: int, at: Shift, seed: int, profile: Profile, form: str) -> Evidence:
    """The sign of the log of λ_min(−Ṽ_pre on U)/λ_max(−Ṽ_pre on U^⊥) over pretrained blocks, which has to
    be clear of zero."""
    generator, found = seeded(seed, "cpu"), []
    values, vectors = np.linalg.eigh(at.P)
    parts = (vectors[:, values > 0.5], vectors[:, values < 0.5])
    for _ in range(REPLICAS):
        before = pretrained(at, prompts(profile), generator)
        on, off = (np.linalg.eigvalsh(-basis.T @ (before + before.T) @ basis / 2) for basis in parts)
        found.append([np.log(on[0] / off[-1])])
    mean, half = float(np.mean(found)), float(half_widths(np.array(found), profile.alpha)[0])
    outcome = "undecided" if abs(mean) < half else "agrees" if np.sign(mean) == sign else "differs"
    measured = f"log ratio {mean:.2f} ± {half:.1g}"
    return Evidence("scaling", outcome, measured, f"{REPLICAS} fits, {at.text}", half, profile.alpha, form)


# The search over A ----------------------------------------------------------------------------------


def _best(at: Shift, dominant: bool, within: bool, size: int, generator: torch.Generator) -> Array:
    """The A = LLᵀ (on U, or on everything) at which the mean of ‖I + ṼS‖_F² over sampled test prompts, or
    ‖I + Ṽ S̄‖_F² of their mean if ``dominant``, is least, by BFGS from η S̄ (on U).

    Ṽ is fine-tuned on prompts x = Lz with one sample of z for all L, w* averaged out: with T = zzᵀ/n it is
    −ηE[S]E[S²]⁻¹ = −ηL E[T] E[T LᵀL T]⁻¹ L⁻¹ on the range of L.
    """
    d = len(at.P)
    values, vectors = np.linalg.eigh(at.P)
    basis = vectors[:, values > 0.5] if within else np.eye(d)
    k = basis.shape[1]
    test, square = _moments(_covariances(at.Sigma, at.n, size, generator))
    kept = pretrained(at, size, generator) @ (np.eye(d) - basis @ basis.T)
    T = _covariances(np.eye(k), at.n, size, generator)
    mean, flat = T.mean(0).numpy(), T.reshape(size, k * k)
    product = (flat.mT @ flat / size).numpy().reshape(k, k, k, k)  # E[T_ia T_bj]
    fourth = product.transpose(0, 3, 1, 2).reshape(k * k, k * k)

    def error(x: Array) -> tuple[float, Array]:
        L = x.reshape(k, k)
        N = (fourth @ (L.T @ L).ravel()).reshape(k, k)
        Z = np.linalg.inv(L @ N)
        fitted = -at.eta * L @ mean @ Z
        V = kept + basis @ fitted @ basis.T
        if dominant:
            miss = np.eye(d) + V @ test
            value, by_V = float((miss**2).sum()), 2 * miss @ test
        else:
            value, by_V = float(d + ((2 * test + V @ square) * V).sum()), 2 * (test + V @ square)
        by_fitted = basis.T @ by_V @ basis
        H = fitted.T @ by_fitted @ Z.T
        J = (fourth.T @ (L.T @ H).ravel()).reshape(k, k)
        return value, (-at.eta * by_fitted @ Z.T @ mean - H @ N.T - L @ (J + J.T)).ravel()

    start = np.linalg.cholesky(at.eta * basis.T @ test @ basis).ravel()
    L = scipy.optimize.minimize(error, start, jac=True, method="BFGS", options={"gtol": 1e-4}).x.reshape(k, k)
    return np.asarray(basis @ L @ L.T @ basis.T)


@cache
def _searches(at: Shift, dominant: bool, within: bool, size: int, number: int, seed: int) -> Array:
    generator = seeded(seed % 2**62, "cpu")
    return np.stack([_best(at, dominant, within, size, generator).ravel() for _ in range(number)])


def minimiser(
    prediction: Callable[[Shift], Array],
    at: Shift,
    seed: int,
    profile: Profile,
    form: str,
    dominant: bool = False,
    within: bool = True,
) -> Evidence:
    """The mean over searches for the best A against ``prediction``(setting), every entry, relative to its
    norm."""
    expected, calls, many = np.asarray(prediction(at)), count(), prompts(profile)

    def draw(size: int) -> Array:
        return _searches(at, dominant, within, many, size, seed + next(calls))

    what = "‖I+ṼΣ‖" if dominant else "the error"
    text = f"least {what}, {'on U' if within else 'A unrestricted'}, {many} prompts, {at.text}"
    return sampled(
        draw,
        expected.ravel(),
        float(np.linalg.norm(expected, 2)),
        _delta(profile),
        text,
        profile,
        form,
        "training",
        limit=True,
        averaged=many,
        stages=3,
    )


def minimiser_limit(
    prediction: Callable[[Shift], Array],
    family: Family,
    seed: int,
    profile: Profile,
    form: str,
    apart: bool = False,
) -> Evidence:
    """The limit in n of the best A on U against ``prediction``(setting), relative to ηΣ_U; or, if
    ``apart``, that of the best A minus the A of least ‖I + ṼΣ‖ on the same prompts."""
    settings = [family(n) for n in LENGTHS]

    def best(at: Shift, dominant: bool) -> Array:
        return _searches(at, dominant, True, _prompts(at.n, profile), REPLICAS, seed)

    found = [best(at, False) - best(at, True) if apart else best(at, False) for at in settings]
    at = settings[-1]
    unit = at.eta * float(np.linalg.norm(at.on_shift, 2))
    outcome, measured = _limit(found, np.asarray(prediction(at)), unit, profile)
    what = "best A minus the A of least ‖I+ṼΣ‖" if apart else "best A"
    text = f"{what} on U, {_lengths(at)}"
    return Evidence("training", outcome, measured, text, 3e-2 * profile.delta_factor, profile.alpha, form)
