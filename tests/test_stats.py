"""The comparisons are calibrated before they are used: on a null, on a known alternative, in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import t as student_t

from theory.errors import ArgumentError
from verify.stats import equivalence_test, least_first, rounding_test
from verify.stats.equivalence import ROUNDING, Outcome
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


@pytest.mark.parametrize("law", [squares, products])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_null_is_rejected_at_most_alpha_often(law: Callable, alpha: float) -> None:
    rng = np.random.default_rng(20 if alpha == 0.05 else 21)
    first = least_first(alpha, 3, 1)
    truth = {squares: 1.0, products: 3.0}[law]
    # δ far below what the budget can establish: every run that does not differ takes every look.
    ends = Counter(
        equivalence_test(lambda n: law(rng, (n, 1)), truth, truth, 1e-9, alpha, first, 3).outcome
        for _ in range(RUNS)
    )
    assert ends["agrees"] == 0
    # 1.2α is what the module promises for a skewness of up to 8.8 at the least first stage.
    assert 0 < ends["differs"] <= often(RUNS, 1.2 * alpha)


def test_null_of_averages_may_start_with_fewer_samples() -> None:
    rng = np.random.default_rng(25)
    first = max(64, -(-least_first(0.05, 3, 1) // 8))
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
    assert 0 < ends["differs"] <= often(RUNS, 0.05)


def test_null_with_many_components_shares_alpha() -> None:
    rng = np.random.default_rng(30)
    first = least_first(0.05, 2, 4)
    differs = sum(
        equivalence_test(lambda n: squares(rng, (n, 4)), np.ones(4), 1.0, 1e-9, 0.05, first, 2).outcome
        == "differs"
        for _ in range(RUNS)
    )
    assert 0 < differs <= often(RUNS, 0.05)


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
    # The first stage of 50000 has a half width of 0.019 (standard error 0.0063): the deviation of 0.05
    # is then 4.9 standard errors beyond where zero is excluded, and as far within δ.
    assert ends_half_a_tolerance_off(limit=True, first=50000) == {"agrees": 40}
    assert ends_half_a_tolerance_off(limit=False, first=50000) == {"differs": 40}
    # With less, the interval may lie inside ±δ first, which is true as well; it is never undecided.
    assert ends_half_a_tolerance_off(limit=False, first=10000).keys() == {"agrees", "differs"}


def test_small_budget_is_undecided() -> None:
    found = equivalence_test(drawer(5), 1.0, 1.0, 1e-3, 0.01, least_first(0.01, 2, 1), 2)
    assert found.outcome == "undecided"
    assert found.samples == 2 * least_first(0.01, 2, 1)


def test_stages_double_the_total_and_draw_keeps_its_size() -> None:
    sizes: list[int] = []
    rng = np.random.default_rng(6)

    def draw(size: int) -> np.ndarray:
        sizes.append(size)
        return squares(rng, (size, 1))

    first = least_first(0.01, 4, 1)
    found = equivalence_test(draw, 1.0, 1.0, 1e-9, 0.01, first, 4)
    assert sizes == [first] * 8
    assert found.samples == 8 * first


def test_moments_survive_a_large_mean() -> None:
    # Spread 1 on a mean of 1e9: sums of uncentred squares would keep no digit of the variance
    # (1e18·eps = 222 against 1).  The half width must be the t interval's, to its own scatter: at n
    # samples the variance is known to sqrt(2/n) = 2 %, four times that is allowed.
    first = least_first(0.01, 1, 1)
    rng = np.random.default_rng(7)
    found = equivalence_test(lambda n: 1e9 + rng.standard_normal((n, 1)), 1e9, 1.0, 1e-9, 0.01, first, 1)
    assert found.half_width == pytest.approx(2.5758 / np.sqrt(first), rel=4 * np.sqrt(2 / first))


def test_interval_is_the_t_interval_of_all_samples_together() -> None:
    # Batches about 0, 10, 20, 30, so that the spread between them counts, and wide enough for no stage
    # to exclude zero.
    first = least_first(0.01, 3, 1)
    batches: list[np.ndarray] = []

    def draw(size: int) -> np.ndarray:
        batches.append(np.where(np.arange(size) % 2, 1e3, -1e3)[:, None] + 10 * len(batches))
        return batches[-1]

    found = equivalence_test(draw, 15.0, 1.0, 1e-9, 0.01, first, 3)
    together = np.concatenate(batches)
    n = 4 * first
    quantile = student_t.isf(0.01 / (2 * 3), n - 1)
    assert (found.outcome, len(together)) == ("undecided", n)
    # Sums of n = 1e4 samples round by n·eps = 2e-12 of their size at worst; ROUNDING is 1e-12.
    assert found.deviation == pytest.approx(together.mean() - 15, abs=1e-8)
    assert found.half_width == pytest.approx(quantile * together.std(ddof=1) / np.sqrt(n), rel=1e-9)


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, "agrees"), (1.0 + ROUNDING / 2, "agrees"), (1.0 + 3 * ROUNDING, "differs")]
)
def test_component_without_variance_is_compared_to_rounding(value: float, expected: str) -> None:
    first = least_first(0.01, 2, 1)
    found = equivalence_test(lambda n: np.full((n, 1), value), 1.0, 1.0, 0.1, 0.01, first, 2)
    assert (found.outcome, found.samples) == (expected, first)


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
        ({"averaged": 10**6, "first": 63}, "first"),
        ({"draw": lambda n: np.full((n, 1), np.inf)}, "not finite"),
        ({"draw": lambda n: np.ones((n, 2))}, "shape"),
        ({"draw": lambda n: np.ones((n, 1), dtype=np.float32)}, "float32"),
    ],
)
def test_bad_arguments_are_named(changed: dict, named: str) -> None:
    with pytest.raises(ArgumentError, match=named):
        equivalence_test(**{"draw": drawer(8), **GOOD, **changed})


def test_rounding_of_a_product_agrees_and_a_wrong_factor_differs() -> None:
    rng = np.random.default_rng(9)
    d = 5
    P, Q, R = rng.standard_normal((3, d, d))
    scale = np.prod([np.linalg.norm(M) for M in (P, Q, R)])
    assert rounding_test((P @ Q) @ R, P @ (Q @ R), scale, 3 * d).outcome == "agrees"
    assert rounding_test((P @ Q) @ R, P @ (Q @ R) * (1 + 1e-9), scale, 3 * d).outcome == "differs"


def test_rounding_border() -> None:
    assert rounding_test([1.0, 1 + 16 * EPS], [1.0, 1.0], 1.0, 2).outcome == "agrees"
    assert rounding_test([1.0, 1 + 17 * EPS], [1.0, 1.0], 1.0, 2).outcome == "differs"
    found = rounding_test([1 + EPS], [1.0], 1.0, 1)
    assert (found.measured, found.alpha, found.delta) == ("rounding 2.2e-16 of the scale", 0.0, 8 * EPS)
    assert rounding_test([1.0], [1.0], 1.0, 1).measured == "rounding 0"


@pytest.mark.parametrize("bad", [([np.nan], [1.0], 1.0, 1), ([1.0], [1.0], 0.0, 1), ([], [], 1.0, 1)])
def test_rounding_rejects_what_it_cannot_compare(bad: tuple) -> None:
    with pytest.raises(ArgumentError):
        rounding_test(*bad)
