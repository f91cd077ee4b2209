"""The best number of prompts: closed forms by hand, brute force on the exact limit, simulated fine-tuning."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from numerics.device import seeded
from numerics.sampling import sft_targets
from numerics.sft import risk_curve
from theory.errors import ArgumentError
from theory.plan import Plan, Regime, best_prompts, whole_error, whole_prompts
from theory.plan_phase import boundary, phase_diagram, two_blocks
from theory.proportional import setting, sft_risk_limit

GENERIC: dict[str, Any] = {
    "aspect": 0.7,
    "aspect_pre": 0.3,
    "aspect_test": 1.6,
    "eta": 0.4,
    "weights": [0.2, 0.35, 0.45],
    "post": [0.9, 0.05, 0.0],
    "pre": [0.1, 2.0, 0.6],
    "test": [1.4, 0.8, 0.3],
}
# The first prompts teach the large block, then interfere, then teach again: two minima.
TWICE: dict[str, Any] = {
    "aspect": 1.0,
    "aspect_pre": 0.01,
    "aspect_test": 0.03,
    "eta": 0.6,
    "weights": [0.95, 0.05],
    "post": [0.55, 0.022],
    "pre": [0.018, 0.23],
    "test": [0.084, 0.33],
}


def figure_1(n: int, r: float, eta: float = 0.2) -> dict[str, Any]:
    """The setting of Figure 1, d = 400 and m = 200."""
    return {
        "aspect": 400 / n,
        "eta": eta,
        "weights": [0.5, 0.5],
        "post": [1.1 * eta, r],
        "pre": [0.1, 1.0],
        "test": [1.1, 1.0],
    }


def drawn(seed: int) -> dict[str, Any]:
    """A generic task of two to four blocks, one in four with a singular A."""
    rng = np.random.default_rng(seed)
    blocks = int(rng.integers(2, 5))
    post = 10 ** rng.uniform(-2.5, 0.5, blocks)
    if seed % 4 == 0:
        post[0] = 0.0
    return {
        "aspect": float(10 ** rng.uniform(-2, 0.7)),
        "aspect_pre": float(10 ** rng.uniform(-2, 0.7)),
        "aspect_test": float(10 ** rng.uniform(-2, 0.7)),
        "eta": float(rng.uniform(0.05, 1)),
        "weights": rng.dirichlet(np.ones(blocks)),
        "post": post,
        "pre": 10 ** rng.uniform(-1.5, 0.5, blocks),
        "test": 10 ** rng.uniform(-1.5, 0.5, blocks),
    }


SETTINGS = [GENERIC, TWICE, figure_1(400, 0.01), figure_1(800, 0.0), *map(drawn, range(12))]


def around(spike: float) -> np.ndarray:
    """Values of β on both sides of the spike, dense at 0 and there."""
    inside = spike / (1 + np.exp(-np.linspace(-14, 9, 400)))
    return np.concatenate([inside, spike + np.geomspace(1e-3, 30, 100)])


@pytest.mark.parametrize("given", SETTINGS)
def test_curve_is_the_limit_and_no_beta_is_better(given: dict[str, Any]) -> None:
    plan = best_prompts(setting(**given))
    beta = around(plan.spike)
    limit = sft_risk_limit(beta=beta, **given)
    assert plan.error(beta) == pytest.approx(limit, rel=1e-9)
    assert plan.error(1e-11) == pytest.approx(plan.none, rel=1e-6)
    assert plan.limit == pytest.approx(sft_risk_limit(beta=1e13, **given), rel=1e-9)
    assert plan.below.error <= limit[beta < plan.spike].min() * (1 + 1e-12)
    assert plan.best <= limit.min() * (1 + 1e-12)
    if plan.below.beta > 0:
        assert sft_risk_limit(beta=plan.below.beta, **given) == pytest.approx(plan.below.error, rel=1e-9)


@pytest.mark.parametrize("given", SETTINGS)
def test_error_rises_where_the_plan_says_and_nowhere_else(given: dict[str, Any]) -> None:
    plan = best_prompts(setting(**given))
    beta = around(plan.spike)
    middles = (beta[1:] + beta[:-1]) / 2
    steps = np.diff(sft_risk_limit(beta=beta, **given))
    ends = [end for rise in plan.rises for end in rise]
    for low, high, middle, step in zip(beta[:-1], beta[1:], middles, steps, strict=True):
        if not any(low <= end <= high for end in ends) and not low < plan.spike < high:
            # rounding hides the slope next to β = 0
            assert (step > -1e-11) if any(a < middle < b for a, b in plan.rises) else (step < 1e-11)


@pytest.mark.parametrize("given", SETTINGS)
def test_slope_at_no_prompts(given: dict[str, Any]) -> None:
    plan = best_prompts(setting(**given))
    h = 1e-5 * plan.spike
    steps = plan.error(np.array([h, 2 * h])) - plan.none
    assert plan.curve.slope == pytest.approx((4 * steps[0] - steps[1]) / (2 * h), rel=1e-4)
    assert (plan.curve.slope < 0) == (not plan.rises or plan.rises[0][0] > 0)


def test_two_minima_with_a_rise_between_them() -> None:
    plan = best_prompts(setting(**TWICE))
    (first, second), (between, last) = plan.minima, plan.rises
    assert 0.8 < first.beta == between[0] < between[1] < second.beta == last[0] < last[1] == plan.spike
    assert plan.below == min(plan.minima, key=lambda point: point.error)


# Isotropic, K = 1, by hand in notes/plan.md: Err = E₀ − Dβ + Nβ/(1 − β) below 1, E₀ − D + N/(β − 1) above.
@pytest.mark.parametrize(
    ("a", "p", "s", "eta", "aspect"),
    [
        (0.5, 0.2, 1.0, 0.5, 0.1),
        (0.5, 0.4, 1.0, 0.5, 0.4),
        (1.0, 1.0, 1.0, 0.3, 0.2),
        (0.3, 0.3, 1.1, 0.3, 2.0),
    ],
)
def test_isotropic_by_hand(a: float, p: float, s: float, eta: float, aspect: float) -> None:
    one = {"weights": [1.0], "post": [a], "pre": [p], "test": [s], "eta": eta, "aspect": aspect}
    gain, start, tuned = s * s * (1 + aspect), -1 / (p + aspect * p), -eta / (a + aspect * a)
    before, after = (1 + 2 * V * s + V * V * gain for V in (start, tuned))
    D = before - after
    N = eta**2 * aspect / (1 + aspect) * gain / (a * a * (1 + aspect))
    plan = best_prompts(setting(**one))
    assert (plan.none, plan.limit, plan.decay) == pytest.approx((before, after, N))
    assert plan.curve.slope == pytest.approx(N - D)
    ratio = np.sqrt(N / D) if D > N else 1.0
    assert plan.below.beta == pytest.approx(1 - ratio, abs=1e-7)
    assert plan.below.error == pytest.approx(before - (D * (1 - ratio) ** 2 if D > N else 0))
    # Few prompts are never best: there is nothing to interfere with.
    assert plan.regime is (Regime.ENDLESS if D > 0 else Regime.NONE)
    if D > N:
        assert plan.overtaken == pytest.approx(2 / (2 - ratio))
    elif D > 0:
        assert plan.overtaken == pytest.approx(1 + N / D)
    else:
        assert plan.overtaken is None


@pytest.mark.parametrize("seed", range(6))
def test_matched_prompts_reach_the_least_possible_error(seed: int) -> None:
    given = drawn(4 * seed + 1)
    given |= {"post": given["eta"] * np.asarray(given["test"]), "aspect": given["aspect_test"]}
    plan = best_prompts(setting(**given))
    assert plan.regime is Regime.ENDLESS
    assert plan.limit == pytest.approx(float(plan.curve.floor))


@pytest.mark.parametrize("given", SETTINGS[:6])
def test_only_the_ratio_of_prompts_and_rate_matters(given: dict[str, Any]) -> None:
    scaled = given | {"post": np.asarray(given["post"]) * 0.6, "eta": given["eta"] * 0.6}
    plan, other = (best_prompts(setting(**x)) for x in (given, scaled))
    assert other.below.error == pytest.approx(plan.below.error)
    assert (other.limit, other.decay, other.none) == pytest.approx((plan.limit, plan.decay, plan.none))


@pytest.mark.parametrize("given", SETTINGS)
def test_overtaken_exactly_where_the_error_is_that_of_the_best_below(given: dict[str, Any]) -> None:
    plan = best_prompts(setting(**given))
    at = plan.overtaken
    if at is None:
        assert plan.regime in (Regime.NONE, Regime.FEW)
        assert plan.error(1e12) >= plan.below.error * (1 - 1e-9)
    else:
        assert plan.regime is Regime.ENDLESS
        assert plan.error(at) == pytest.approx(plan.below.error, rel=1e-9)
        assert plan.error(at * 1.01) < plan.below.error < plan.error((at + plan.spike) / 2)


def test_without_noise_rank_a_prompts_are_enough() -> None:
    exact = {"weights": [0.3, 0.7], "pre": [0.2, 0.5], "test": [1.0, 2.0], "eta": 0.5, "aspect": 0.0}
    plan = best_prompts(setting(post=[0.5, 1.0], **exact))  # A = ηΣ and long prompts
    assert plan.decay == 0
    assert plan.regime is Regime.RANK
    assert (plan.below.beta, plan.limit, plan.overtaken) == (1.0, pytest.approx(0, abs=1e-12), None)
    whole = whole_prompts(plan, 10)
    assert (whole.count, whole.overtaken) == (10, None)
    # A far from ηΣ: the errors at the rank and beyond are equal and worse than none
    spoilt = best_prompts(setting(post=[0.01, 0.02], **exact))
    assert spoilt.regime is Regime.NONE
    assert spoilt.error(np.array([1.0, 5.0])).tolist() == [spoilt.limit, spoilt.limit]


def test_a_useless_change_is_no_plan() -> None:
    # Σ₀ = A/η: fine-tuning changes nothing but adds noise.
    plan = best_prompts(setting(weights=[1.0], post=[0.5], pre=[1.0], test=[0.7], eta=0.5, aspect=0.4))
    assert plan.regime is Regime.NONE
    assert plan.below.beta == 0
    assert plan.rises == ((0.0, 1.0),)
    assert plan.penalty(2) == 1
    assert whole_prompts(plan, 7).count == 0


@pytest.mark.parametrize(
    "given", [figure_1(400, 0.01), figure_1(1200, 0.0), GENERIC, TWICE, drawn(3), drawn(8)]
)
@pytest.mark.parametrize("d", [2, 20, 60])
def test_whole_prompts_by_trying_all(given: dict[str, Any], d: int) -> None:
    plan = best_prompts(setting(**given))
    whole = whole_prompts(plan, d)
    rank = round(plan.spike * d, 6)
    errors = {B: whole_error(plan, d, B) for B in range(0, 40 * d)}
    assert all(np.isinf(errors[B]) for B in errors if abs(B - rank) <= 1 and B > 0)
    assert errors[0] == plan.none
    least = min((B for B in errors if rank - B > 0), key=lambda B: errors[B])
    assert whole.error == pytest.approx(errors[least])
    assert whole.count == least
    better = [B for B in errors if B - rank > 0 and errors[B] < errors[least]]
    if better:
        assert whole.overtaken == better[0]
    else:
        assert whole.overtaken is None or whole.overtaken >= 40 * d


# (n, r, B*, error there, at B → ∞, from where more are better), errors as E‖ŵ − w*‖² at d = 400, η = 0.2
@pytest.mark.parametrize(
    ("n", "r", "count", "below", "limit", "overtaken"),
    [
        (400, 0.0, 39, 734.9, 219.7, 335),
        (400, 0.01, 44, 730.6, 715.5, 224004),
        (800, 0.01, 120, 1137.3, 1761.0, None),
        (1200, 0.01, 144, 1426.7, 3218.5, None),
        (400, 0.1, 103, 683.5, 234.4, 796),
        (800, 0.1, 213, 921.1, 197.7, 576),
        (1200, 0.1, 257, 1040.4, 186.5, 517),
    ],
)
def test_figure_1(n: int, r: float, count: int, below: float, limit: float, overtaken: int | None) -> None:
    plan = best_prompts(setting(**figure_1(n, r)))
    whole = whole_prompts(plan, 400)
    assert (whole.count, whole.overtaken) == (count, overtaken)
    assert (400 * whole.error, 400 * plan.limit) == pytest.approx((below, limit), abs=0.06)


def test_simulated_fine_tuning_has_the_errors_of_the_plan() -> None:
    # d = 400: the limit is off by O(1/d), and the mean of 4 draws by its standard error, 1 % together.
    given = figure_1(400, 0.1)
    plan = best_prompts(setting(**given))
    A, Sigma0, Sigma = (
        torch.tensor(given[k], dtype=torch.float64).repeat_interleave(200) for k in ("post", "pre", "test")
    )
    start = 1 / (401 / 400 * Sigma0 + Sigma0.sum() / 400)
    generator = seeded(0, "cpu")
    curves = torch.stack(
        [risk_curve(*sft_targets(A, 400, 1000, generator), start, Sigma, 0.2, 400) for _ in range(4)]
    )
    mean = curves.mean(0)
    for B in (50, whole_prompts(plan, 400).count, 200, 796, 1000):
        assert float(mean[B - 1]) == pytest.approx(400 * whole_error(plan, 400, B), rel=0.025)
    assert abs(int(mean[:300].argmin()) + 1 - 103) < 15
    assert float(mean[810]) < float(mean[:300].min())  # overtaken from 796 on


def test_a_thousand_eigenvalues_take_little_time() -> None:
    rng = np.random.default_rng(0)
    post, pre, test = rng.exponential(size=(3, 1000))
    of = setting(weights=np.full(1000, 1e-3), post=0.2 * post, pre=pre, test=test, eta=0.2, aspect=0.5)
    start = time.process_time()
    best_prompts(of)
    assert time.process_time() - start < 2


def test_phases_are_the_plans_of_the_family() -> None:
    phases = phase_diagram([1e-3, 0.05, 0.4], [0.1, 1.0, 6.0])
    for i, ratio in enumerate(phases.ratios):
        for j, aspect in enumerate(phases.aspects):
            plan: Plan = best_prompts(two_blocks(ratio, aspect))
            assert phases.below[i, j] == pytest.approx(plan.below.error, rel=1e-10)
            assert phases.beta[i, j] == pytest.approx(plan.below.beta, abs=1e-5)
            assert phases.limit[i, j] == pytest.approx(plan.limit)
            assert phases.few[i, j] == (plan.overtaken is None)
            assert phases.overtaken[i, j] == pytest.approx(plan.overtaken or np.inf)


def test_border_of_the_phases() -> None:
    for aspect, expected in ((1.0, 0.04568), (0.5, 0.10834), (1 / 3, 0.14166)):
        (ratio,) = boundary(aspect, high=2.0)
        assert ratio == pytest.approx(expected, abs=1e-5)
        given = figure_1(round(400 / aspect), ratio * 0.2)
        plan = best_prompts(setting(**given))
        assert plan.below.error == pytest.approx(plan.limit, rel=1e-9)
    assert boundary(6.0, high=2.0) == ()  # beyond γ = 4.95 more prompts are better however small r is


@pytest.mark.parametrize(
    "bad",
    [
        {"post": [0.0, 0.0, 0.0]},
        {"weights": [0.0, 0.0, 1.0]},
    ],
)
def test_refuses_what_has_no_fine_tuning(bad: dict[str, Any]) -> None:
    of = setting(**(GENERIC | bad))
    with pytest.raises(ArgumentError, match=r"^post: "):
        best_prompts(of)


@pytest.mark.parametrize(
    "call", [lambda p: p.error(-1.0), lambda p: p.error(float("nan")), lambda p: whole_prompts(p, 0)]
)
def test_refuses_bad_numbers(call) -> None:
    with pytest.raises(ArgumentError):
        call(best_prompts(setting(**GENERIC)))


@pytest.mark.parametrize(
    "bad", [{"ratios": [0.0]}, {"ratios": []}, {"aspects": [[1.0]]}, {"aspects": [np.inf]}]
)
def test_phase_diagram_refuses_bad_grids(bad: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        phase_diagram(**({"ratios": [0.1], "aspects": [1.0]} | bad))
    with pytest.raises(ArgumentError):
        boundary(1.0, low=2.0, high=1.0)
