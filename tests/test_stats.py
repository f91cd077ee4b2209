"""The comparisons are calibrated before they are used: on a null, on a known alternative, in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import digamma
from scipy.stats import binom, norm
from scipy.stats import t as student_t

from theory.errors import ArgumentError
from verify.stats import LEAST, equivalence_test, half_widths, least_first, rounding_test
from verify.stats.equivalence import BLOCKS, ROUNDING, SKEWNESS, Outcome, hull, looks, tails
from verify.stats.power import agree_probability, detected
from verify.stats.rounding import EPS

RUNS = 2000


def squares(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Squared Gaussians: mean 1, skewness 2.8."""
    return rng.standard_normal(shape) ** 2


def products(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Squared sums of three products of Gaussians (a norm of a forward pass): mean 3, skewness 5.7."""
    return (rng.standard_normal((*shape, 3)) * rng.standard_normal((*shape, 3))).sum(axis=-1) ** 2


def drawer(seed: int, shift: float = 0.0, p: int = 1) -> Callable[[int], np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda size: squares(rng, (size, p)) + shift


def often(runs: int, alpha: float) -> float:
    """The count that a rate of alpha exceeds with probability 1e-4."""
    return float(binom.isf(1e-4, runs, alpha))


def rare(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Gamma of shape (2/15)², mean 1: skewness 15, the most that the test allows for."""
    return rng.standard_gamma((2 / 15) ** 2, shape) / (2 / 15) ** 2


@pytest.mark.parametrize("law", [squares, products, rare])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_null_is_rejected_at_most_alpha_often(law: Callable, alpha: float) -> None:
    rng = np.random.default_rng(20 if alpha == 0.05 else 21)
    first = least_first(alpha, 3, 1)
    truth = {squares: 1.0, products: 3.0, rare: 1.0}[law]
    # δ far below what the budget can establish: every run that does not differ takes every look.
    ends = Counter(
        equivalence_test(lambda n: law(rng, (n, 1)), truth, truth, 1e-9, alpha, first, 3).outcome
        for _ in range(RUNS // 4)
    )
    assert ends["agrees"] == 0
    assert ends["differs"] <= often(RUNS // 4, alpha)


def test_hull_misses_at_each_end_with_the_cube_of_what_a_block_does() -> None:
    # At the same n in one look: the test is not more careful than it says where there is no skewness.
    rng, t, n = np.random.default_rng(22), 0.2, 30
    low = high = 0
    for _ in range(10 * RUNS):
        blocks = rng.standard_normal((BLOCKS, n, 1))
        half = student_t.isf(t, n - 1) * blocks.std(axis=1, ddof=1) / n**0.5
        centre, reach = hull(blocks.mean(axis=1), half)
        low += bool(centre[0] + reach[0] < 0)
        high += bool(centre[0] - reach[0] > 0)
    for misses in (low, high):
        assert binom.isf(1 - 1e-4, 10 * RUNS, t**3) <= misses <= binom.isf(1e-4, 10 * RUNS, t**3)


def test_tails_add_up_to_alpha_with_the_excess_of_the_skewest_law() -> None:
    alpha, stages, p = 2e-9, 8, 5
    first = least_first(alpha, stages, p)
    total = 0.0
    for n, t in tails(alpha, stages, p, first):
        z = norm.isf(t)
        one = SKEWNESS * (2 * z**2 + 1) * norm.pdf(z) / (6 * t) / n**0.5
        total += p * sum((t * np.exp(sign * one)) ** BLOCKS for sign in (1, -1))
    # Below it by what r(z) of the first look, the largest, is taken too large at the later ones.
    assert 0.7 * alpha < total <= alpha
    assert looks(5) == [1, 2, 3, 4, 6, 8, 12, 16]
    assert looks(1) == [1]
    # Averages of many have no excess: t³ is an end's share of α.
    assert tails(alpha, 1, 1, LEAST, 10**12)[0][1] == pytest.approx((alpha / 2) ** (1 / 3), rel=1e-3)


def test_null_of_averages_may_start_with_fewer_samples() -> None:
    rng = np.random.default_rng(25)
    first = max(LEAST, -(-least_first(0.05, 3, 1) // 8))
    ends = Counter(
        equivalence_test(
            lambda n: squares(rng, (n, 8)).mean(axis=1, keepdims=True),
            1.0,
            1.0,
            1e-9,
            0.05,
            first,
            3,
            averaged=8,
        ).outcome
        for _ in range(RUNS)
    )
    assert ends["differs"] <= often(RUNS, 0.05)


def test_null_with_many_components_shares_alpha() -> None:
    rng = np.random.default_rng(30)
    first = least_first(0.05, 2, 4)
    differs = sum(
        equivalence_test(lambda n: squares(rng, (n, 4)), np.ones(4), 1.0, 1e-9, 0.05, first, 2).outcome
        == "differs"
        for _ in range(RUNS // 4)
    )
    assert differs <= often(RUNS // 4, 0.05)


def test_null_within_a_reachable_tolerance_agrees() -> None:
    ends = Counter(
        equivalence_test(drawer(seed), 1.0, 1.0, 0.1, 0.01, least_first(0.01, 4, 1), 4).outcome
        for seed in range(300)
    )
    assert ends["undecided"] == 0
    assert ends["differs"] <= often(300, 0.01)


@pytest.mark.parametrize("limit", [False, True])
def test_three_delta_off_differs_and_never_agrees(limit: bool) -> None:
    ends = Counter(
        equivalence_test(
            drawer(seed, 0.3), 1.0, 1.0, 0.1, 0.01, least_first(0.01, 4, 1), 4, limit=limit
        ).outcome
        for seed in range(300)
    )
    assert ends == {"differs": 300}


def test_one_wrong_component_of_three_differs() -> None:
    prediction = np.array([1.0, 1.3, 1.0])
    found = equivalence_test(drawer(4, p=3), prediction, 1.0, 0.1, 0.01, least_first(0.01, 4, 3), 4)
    assert found.outcome == "differs"
    assert abs(found.deviation + 0.3) <= found.half_width


def ends_half_a_tolerance_off(limit: bool, first: int) -> Counter[str]:
    return Counter(
        equivalence_test(drawer(seed, 0.05), 1.0, 1.0, 0.1, 0.01, first, 4, limit=limit).outcome
        for seed in range(40)
    )


def test_between_zero_and_delta_a_limit_agrees_and_an_exact_statement_differs_or_agrees() -> None:
    # A block of 50000 has a standard error of 0.0063 and t quantiles below 2.2: the deviation of 0.05 is then
    # more than 5 standard errors beyond where all three blocks exclude zero, and as far within δ.
    assert ends_half_a_tolerance_off(limit=True, first=50000) == {"agrees": 40}
    assert ends_half_a_tolerance_off(limit=False, first=50000) == {"differs": 40}
    # With less, the interval may lie inside ±δ first, which is true as well; it is never undecided.
    assert ends_half_a_tolerance_off(limit=False, first=4000).keys() == {"agrees", "differs"}


def test_small_budget_is_undecided() -> None:
    found = equivalence_test(drawer(5), 1.0, 1.0, 1e-3, 0.01, least_first(0.01, 2, 1), 2)
    assert found.outcome == "undecided"
    assert found.samples == BLOCKS * 2 * least_first(0.01, 2, 1)


def test_last_look_is_at_eight_times_the_first_and_draw_keeps_its_size() -> None:
    sizes: list[int] = []
    rng = np.random.default_rng(6)

    def draw(size: int) -> np.ndarray:
        sizes.append(size)
        return squares(rng, (size, 1))

    first = least_first(0.01, 4, 1)
    found = equivalence_test(draw, 1.0, 1.0, 1e-9, 0.01, first, 4)
    assert sizes == [first] * 8 * BLOCKS
    assert found.samples == BLOCKS * 8 * first


def test_moments_survive_a_large_mean() -> None:
    # Spread 1 on a mean of 1e9: sums of uncentred squares would keep no digit of the variance
    # (1e18·eps = 222 against 1).  The half width is the t interval's, and half the range of the blocks' means
    # more, which is below 3 standard errors.
    first = least_first(0.01, 1, 1)
    rng = np.random.default_rng(7)
    found = equivalence_test(lambda n: 1e9 + rng.standard_normal((n, 1)), 1e9, 1.0, 1e-9, 0.01, first, 1)
    quantile = norm.isf(tails(0.01, 1, 1, first)[0][1])
    scatter = 4 * np.sqrt(2 / first)  # of a variance from so many samples
    assert quantile * (1 - scatter) <= found.half_width * first**0.5 <= quantile * (1 + scatter) + 3


def test_interval_is_the_hull_of_the_t_intervals_of_three_blocks() -> None:
    # Batches about 0, 1, 2, …, so that the spread between them counts, and wide enough for no look to
    # exclude zero.
    first = least_first(0.01, 3, 1)
    batches: list[np.ndarray] = []

    def draw(size: int) -> np.ndarray:
        batches.append(np.where(np.arange(size) % 2, 1e3, -1e3)[:, None] + len(batches))
        return batches[-1]

    found = equivalence_test(draw, 5.0, 1.0, 1e-9, 0.01, first, 3)
    blocks = [np.concatenate(batches[b::BLOCKS]) for b in range(BLOCKS)]
    n, t = tails(0.01, 3, 1, first)[-1]
    assert (found.outcome, [len(b) for b in blocks]) == ("undecided", [n, n, n])
    ends = [
        b.mean() - 5 + sign * student_t.isf(t, n - 1) * b.std(ddof=1) / n**0.5
        for b in blocks
        for sign in (-1, 1)
    ]
    # Sums of n = 1e4 samples round by n·eps = 2e-12 of their size at worst; ROUNDING is 1e-12.
    assert found.deviation == pytest.approx((max(ends) + min(ends)) / 2, abs=1e-8)
    assert found.half_width == pytest.approx((max(ends) - min(ends)) / 2, rel=1e-9)


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, "agrees"), (1.0 + ROUNDING / 2, "agrees"), (1.0 + 3 * ROUNDING, "differs")]
)
def test_component_without_variance_is_compared_to_rounding(value: float, expected: str) -> None:
    first = least_first(0.01, 2, 1)
    found = equivalence_test(lambda n: np.full((n, 1), value), 1.0, 1.0, 0.1, 0.01, first, 2)
    assert (found.outcome, found.samples) == (expected, BLOCKS * first)


def test_scale_divides_the_deviation() -> None:
    first = least_first(0.01, 1, 2)
    found = equivalence_test(
        lambda n: np.full((n, 2), [1.0, 10.5]), [1.0, 10.0], [1.0, 10.0], 0.1, 0.01, first, 1, limit=True
    )
    assert found.outcome == "agrees"
    assert found.deviation == pytest.approx(0.05, abs=ROUNDING)


def test_measured_puts_both_figures_on_one_exponent() -> None:
    assert Outcome("agrees", 1.2e-3, 9e-4, 40000, 0.01, 0.01).measured == (
        "rel. dev. 1.2e-3 ± 0.9e-3 (n = 40000)"
    )
    assert Outcome("differs", -9.96, 1.0, 100, 0.01, 0.01).measured == "rel. dev. -1.0e1 ± 0.1e1 (n = 100)"
    assert Outcome("agrees", 0.0, 0.0, 100, 0.01, 0.01).measured == "rel. dev. 0.0 ± 0.0 (n = 100)"


GOOD = dict(prediction=1.0, scale=1.0, delta=0.1, alpha=0.01, first=10000, stages=2)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"prediction": np.nan}, "prediction"),
        ({"scale": 0.0}, "scale"),
        ({"scale": [1.0, 1.0]}, "scale"),
        ({"delta": ROUNDING}, "delta"),
        ({"alpha": 0.0}, "alpha"),
        ({"first": least_first(0.01, 2, 1) - 1}, "first"),
        ({"stages": 0}, "stages"),
        ({"averaged": 0}, "averaged"),
        ({"averaged": 10**6, "first": LEAST - 1}, "first"),
        ({"draw": lambda n: np.full((n, 1), np.inf)}, "not finite"),
        ({"draw": lambda n: np.ones((n, 2))}, "shape"),
        ({"draw": lambda n: np.ones((n, 1), dtype=np.float32)}, "float32"),
    ],
)
def test_bad_arguments_are_named(changed: dict, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        equivalence_test(**{"draw": drawer(8), **GOOD, **changed})


# Power ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spread", "delta", "averaged"), [(1.0, 0.03, 1), (1.0, 0.5, 10**6), (0.05, 0.03, 10**6)]
)
def test_detected_deviation_is_noticed_with_probability_099(
    spread: float, delta: float, averaged: int
) -> None:
    alpha, stages, runs = 2e-3, 6, 400
    first = max(LEAST, -(-least_first(alpha, stages, 1) // averaged))
    deviation = detected(spread, tails(alpha, stages, 1, first, averaged), BLOCKS, delta)
    assert 0 < deviation <= delta
    rng = np.random.default_rng(40)
    ends = Counter(
        equivalence_test(
            lambda n: deviation + spread * rng.standard_normal((n, 1)),
            0.0,
            1.0,
            delta,
            alpha,
            first,
            stages,
            averaged=averaged,
        ).outcome
        for _ in range(runs)
    )
    # At most 1 % of the runs agree: more than the binomial count passed with probability 1e-4 do not.
    assert ends["agrees"] <= often(runs, 0.01)


def test_power_bound_is_not_far_above_the_rate() -> None:
    # Half of δ, where agreeing is neither rare nor sure: the bound is on the safe side of the rate.
    alpha, stages, delta, runs = 2e-3, 6, 0.03, 400
    first = least_first(alpha, stages, 1)
    rng = np.random.default_rng(41)
    for deviation in (0.4 * delta, 0.55 * delta):
        ends = Counter(
            equivalence_test(
                lambda n, at=deviation: at + rng.standard_normal((n, 1)),
                0.0,
                1.0,
                delta,
                alpha,
                first,
                stages,
            ).outcome
            for _ in range(runs)
        )
        plan = tails(alpha, stages, 1, first)
        bound = float(agree_probability(np.array([deviation]), 1.0, plan, BLOCKS, delta)[0])
        assert ends["agrees"] <= binom.isf(1e-4, runs, bound)


def test_a_limit_detects_its_tolerance_and_an_exact_statement_less() -> None:
    arguments = (drawer(8), 1.0, 1.0, 0.1, 0.01, least_first(0.01, 4, 1), 4)
    assert equivalence_test(*arguments, limit=True).detects == 0.1
    less = equivalence_test(*arguments).detects
    assert less is not None
    assert less < 0.1


@pytest.mark.parametrize("size", [12, 48, 3000])
def test_half_widths_hold_for_all_columns(size: int) -> None:
    alpha, rng, runs = 0.05, np.random.default_rng(42), RUNS // 2
    missed = 0
    for _ in range(runs):
        samples = np.log(rng.chisquare(10, (size, 3)))
        reach = half_widths(samples, alpha)
        missed += bool((np.abs(samples.mean(axis=0) - (np.log(2) + digamma(5))) > reach).any())
    assert missed <= often(runs, alpha)
    with pytest.raises(ArgumentError, match="samples"):
        half_widths(np.zeros((5, 1)), alpha)


def test_rounding_of_a_product_agrees_and_a_wrong_factor_differs() -> None:
    rng = np.random.default_rng(9)
    d = 5
    P, Q, R = rng.standard_normal((3, d, d))
    scale = np.prod([np.linalg.norm(M) for M in (P, Q, R)])
    assert rounding_test((P @ Q) @ R, P @ (Q @ R), scale, 3 * d).outcome == "agrees"
    assert rounding_test((P @ Q) @ R, P @ (Q @ R) * (1 + 1e-9), scale, 3 * d).outcome == "differs"


def test_rounding_border() -> None:
    assert rounding_test([1.0, 1 + 2 * EPS], [1.0, 1.0], 1.0, 2).outcome == "agrees"
    assert rounding_test([1.0, 1 + 3 * EPS], [1.0, 1.0], 1.0, 2).outcome == "differs"
    found = rounding_test([1 + EPS], [1.0], 1.0, 1)
    assert (found.measured, found.alpha) == ("rounding 2.2e-16 of the scale", 0.0)
    assert found.delta == pytest.approx(EPS)
    assert rounding_test([1.0], [1.0], 1.0, 1).measured == "rounding 0"


@pytest.mark.parametrize("bad", [([np.nan], [1.0], 1.0, 1), ([1.0], [1.0], 0.0, 1), ([], [], 1.0, 1)])
def test_rounding_rejects_what_it_cannot_compare(bad: tuple) -> None:
    with pytest.raises(ArgumentError):
        rounding_test(*bad)
