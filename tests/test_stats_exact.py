"""The statistics against their definitions in plain loops, with the laws of scipy.stats, number by number."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from theory.errors import ArgumentError
from verify.stats import LEAST, equivalence_test, half_widths, least_first, rounding_test
from verify.stats.equivalence import BLOCKS, EXPONENT, SKEWNESS, _decide, _merge, looks, tails
from verify.stats.intervals import ROOM
from verify.stats.power import GRID, LARGE, MISSED, agree_probability, detected


@pytest.mark.parametrize("size", [2 * BLOCKS, 3 * BLOCKS + 1, 50])
def test_half_widths_reach_the_ends_of_the_blocks_intervals(size: int) -> None:
    alpha, p = 0.02, 4
    samples = np.random.default_rng(1).standard_gamma(2.0, (size, p)) * [1.0, 3.0, 0.1, 10.0]
    tail = (alpha / p) ** (1 / BLOCKS) / ROOM
    for j, reach in enumerate(half_widths(samples, alpha)):
        ends, start = [], 0
        for b in range(BLOCKS):
            # The first blocks take what is left over of a size that three does not divide.
            block = samples[start : start + size // BLOCKS + (b < size % BLOCKS), j]
            start += len(block)
            error = math.sqrt(sum((x - block.mean()) ** 2 for x in block) / (len(block) - 1) / len(block))
            ends += [block.mean() + sign * stats.t.isf(tail, len(block) - 1) * error for sign in (-1, 1)]
        mean = sum(samples[:, j]) / size
        assert reach == pytest.approx(max(max(ends) - mean, mean - min(ends)), rel=1e-9)


def test_half_widths_need_two_samples_a_block() -> None:
    with pytest.raises(ArgumentError) as caught:
        half_widths(np.zeros((2 * BLOCKS - 1, 3)), 0.05)
    least = f"samples of shape ({2 * BLOCKS - 1}, 3): must be at least {2 * BLOCKS} in each column"
    assert str(caught.value) == least


def test_looks_are_at_powers_of_two_and_halfway_between() -> None:
    assert [looks(stages) for stages in (1, 2, 3, 4)] == [[1], [1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 6, 8]]


@pytest.mark.parametrize(("alpha", "stages", "p"), [(2e-9, 8, 5), (1e-4, 1, 1), (0.01, 3, 40)])
def test_least_first_look_and_tails_by_their_formulas(alpha: float, stages: int, p: int) -> None:
    share = alpha / (2 * p * len(looks(stages)))
    t = (share / math.cosh(EXPONENT)) ** (1 / 3)
    z = stats.norm.isf(t)
    rate = (2 * z * z + 1) * stats.norm.pdf(z) / 6 / stats.norm.sf(z)
    least = least_first(alpha, stages, p)
    assert least == max(100, math.ceil((3 * SKEWNESS * rate / EXPONENT) ** 2))
    for averaged in (1, 9):
        plan = tails(alpha, stages, p, 2 * least, averaged)
        assert [n for n, _ in plan] == [2 * least * times for times in looks(stages)]
        for n, tail in plan:
            exponent = EXPONENT * math.sqrt(least / n / averaged)
            assert tail**3 * math.cosh(exponent) == pytest.approx(share, rel=1e-12)


PLANS = [
    [(30, 0.01), (60, 0.02), (90, 0.05)],
    [(400, 1e-3)],
    [(LARGE + 1, 0.01), (LARGE + 2, 0.01)],
    [(30, 0.3)],  # 0.3³ is more than 1 %: at δ itself it is by construction that few agree
]


@pytest.mark.parametrize("plan", PLANS)
def test_agree_probability_by_its_formula(plan: list[tuple[int, float]]) -> None:
    spread, delta, deviations = 2.0, 0.8, np.linspace(0, 1, 9)
    expected = []
    for D in deviations:
        total = 0.0
        for n, t in plan:
            sigma, q = spread / math.sqrt(n), stats.t.isf(t, n - 1)
            inside, clear = (
                stats.nct.cdf(-q, n - 1, (D - delta) / sigma)
                if n - 1 <= LARGE
                else stats.norm.cdf(-q, (D - delta) / sigma),
                stats.nct.sf(q, n - 1, D / sigma) if n - 1 <= LARGE else stats.norm.sf(q, D / sigma),
            )
            total += inside**3 - max(inside + clear - 1, 0) ** 3
        expected.append(min(total, 1.0))
    found = agree_probability(deviations, spread, plan, 3, delta)
    assert found == pytest.approx(np.array(expected), abs=1e-9)
    assert found.max() <= 1


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0, 100.0])
def test_detected_is_the_least_deviation_from_which_few_agree(
    plan: list[tuple[int, float]], spread: float
) -> None:
    delta = 0.8
    steps = [delta * (i + 1) / GRID for i in range(GRID)]
    expected = delta
    for D in reversed(steps[:-1]):
        if agree_probability(np.array([D]), spread, plan, BLOCKS, delta)[0] > MISSED:
            break
        expected = D
    assert detected(spread, plan, BLOCKS, delta) == pytest.approx(expected, rel=1e-12)
    assert detected(0.0, plan, BLOCKS, delta) == delta


def test_rounding_tolerance_is_two_gammas_and_belongs_to_agrees() -> None:
    operations = 2**50  # so many that the denominator shows: m·eps/2 = 1/8
    found = rounding_test([1.0], [0.0], 4.0, operations)
    assert found.delta == 2 * (1 / 8) / (1 - 1 / 8)
    assert (found.outcome, found.deviation) == ("agrees", 0.25)
    # With m·eps/2 = 1/2 the tolerance is 2 exactly.
    assert rounding_test([2.0], [0.0], 1.0, 2**52).outcome == "agrees"
    assert rounding_test([np.nextafter(2.0, 3.0)], [0.0], 1.0, 2**52).outcome == "differs"
    assert rounding_test([-3.0], [3.0], [2.0, 60.0], 1).deviation == 3.0


def message(*arguments: object) -> str:
    with pytest.raises(ArgumentError) as caught:
        rounding_test(*arguments)  # type: ignore[arg-type]
    return str(caught.value)


def test_rounding_says_what_it_cannot_compare() -> None:
    finite = "values and prediction must be finite, and at least one of them"
    for values, prediction in [([], []), ([math.nan], [1.0]), ([1.0], [math.inf])]:
        assert message(values, prediction, 1.0, 1) == finite
    for scale in (0.0, -1.0, math.inf, math.nan):
        assert message([1.0], [1.0], scale, 1) == f"scale={scale!r}: must be positive and finite"
    assert message([1.0], [1.0], 1.0, 0) == "operations=0: must be an integer of at least 1"


GOOD = {"prediction": [1.0, 2.0], "scale": 1.0, "delta": 0.1, "alpha": 0.01, "first": 10**5, "stages": 2}
REJECTED = [
    ({"prediction": [1.0, math.inf]}, "prediction=[1.0, inf]: must be finite numbers, one a component"),
    ({"prediction": []}, "prediction=[]: must be finite numbers, one a component"),
    ({"prediction": [[1.0]]}, "prediction=[[1.0]]: must be finite numbers, one a component"),
    ({"scale": [1.0, 0.0]}, "scale=[1.0, 0.0]: must be positive, one number or one for each of 2 components"),
    ({"scale": math.inf}, "scale=inf: must be positive, one number or one for each of 2 components"),
    ({"delta": 2e-12}, "delta=2e-12: must be above 2e-12, the rounding of the samples"),
    ({"alpha": 0.0}, "alpha=0.0: must lie in (0, 1)"),
    ({"alpha": 1.0}, "alpha=1.0: must lie in (0, 1)"),
    ({"stages": 0}, "stages=0: must be an integer of at least 1"),
    ({"averaged": 0}, "averaged=0: must be an integer of at least 1"),
    ({"first": LEAST - 1, "averaged": 10**9}, f"first={LEAST - 1}: must be an integer of at least {LEAST}"),
]


def constant(size: int) -> np.ndarray:
    return np.tile([1.0, 2.0], (size, 1))


@pytest.mark.parametrize(("changed", "text"), REJECTED)
def test_equivalence_says_what_it_rejects(changed: dict, text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        equivalence_test(constant, **GOOD | changed)
    assert str(caught.value) == text


def test_equivalence_takes_the_border() -> None:
    least = least_first(0.01, 2, 2)
    for averaged in (1, 3):
        # Rounded up: a third of a sample is one.
        first = max(LEAST, -(-least // averaged))
        assert equivalence_test(constant, **GOOD | {"first": first, "averaged": averaged}).outcome == "agrees"
        with pytest.raises(ArgumentError, match=f"at least {first}$"):
            equivalence_test(constant, **GOOD | {"first": first - 1, "averaged": averaged})
    assert equivalence_test(constant, **GOOD | {"delta": 2.1e-12, "first": least}).outcome == "agrees"
    assert equivalence_test(constant, **GOOD | {"stages": 1, "first": least}).samples == BLOCKS * least
    fractions = {"prediction": [Fraction(1), 2], "first": least}
    assert equivalence_test(constant, **GOOD | fractions).outcome == "agrees"


def test_borders_of_the_decision() -> None:
    one, half = np.array([0.5]), np.array([0.5])
    assert _decide(one, half, 2.0, False) == ("agrees", 0)  # zero is in the interval
    assert _decide(one, half, 1.0, False) == ("agrees", 0)  # and δ its end
    assert _decide(one, half, 0.75, False) == (None, 0)
    assert _decide(-one, half / 2, 0.75, False) == ("differs", 0)
    assert _decide(-one, half / 2, 0.25, True) == (None, 0)  # a limit's interval begins at δ
    assert _decide(-one, half / 2, 0.125, True) == ("differs", 0)
    several = np.array([0.25, -4.0, 3.0])
    assert _decide(several, np.array([1.0, 1.0, 1.0]), 9.0, False) == ("differs", 1)
    assert _decide(several, np.array([5.0, 4.5, 6.0]), 9.0, False) == ("agrees", 2)


def test_merged_batches_have_the_moments_of_all_samples() -> None:
    rng = np.random.default_rng(3)
    batches = [rng.standard_normal((size, 3)) * [1.0, 5.0, 0.1] + [7.0, 0.0, -2.0] for size in (4, 1, 6)]
    count, mean, M2 = 0, np.zeros(3), np.zeros(3)
    for batch in batches:
        count, mean, M2 = _merge(count, mean, M2, batch)
    samples = np.concatenate(batches)
    assert count == 11
    assert mean == pytest.approx(samples.mean(axis=0), rel=1e-12)
    assert pytest.approx(((samples - samples.mean(axis=0)) ** 2).sum(axis=0), rel=1e-12) == M2
