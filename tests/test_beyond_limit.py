"""The proportional limit of prompts of other laws: where it is known from elsewhere, and its arguments."""

from __future__ import annotations

import numpy as np
import pytest

from theory import proportional
from theory import risk_curve_points as points
from theory.beyond_limit import Departure, linearised_limit, sft_risk_limit
from theory.errors import ArgumentError

PAPER = Departure()
OF = proportional.setting(
    aspect=0.5, eta=0.4, weights=(0.3, 0.7), post=(0.6, 0.3), pre=(0.5, 1.0), test=(1.5, 1.0), aspect_pre=0.2
)
BETA = [0.2, 0.7, 1.6]


def test_without_a_departure_it_is_the_paper_s() -> None:
    known = proportional.limit_terms(np.array(BETA), OF).total
    assert sft_risk_limit(BETA, OF, PAPER) == pytest.approx(known, rel=1e-13)


def test_a_singular_covariance() -> None:
    of = proportional.setting(
        aspect=0.5, eta=0.4, weights=(0.3, 0.7), post=(0.6, 0.0), pre=(0.5, 1.0), test=(1.5, 1.0)
    )
    known = proportional.limit_terms(np.array([0.1, 0.5]), of).total
    assert sft_risk_limit([0.1, 0.5], of, PAPER) == pytest.approx(known, rel=1e-13)


def test_linearised_it_is_the_corrected_curve() -> None:
    """Theorem B.1's F with the T₁₂ terms corrected, at Figure 5 (a)."""
    curve = points.printed(points.figure_5(1000), corrected=True)
    of = proportional.setting(
        aspect=0.6, eta=0.2, weights=(0.5, 0.5), post=(0.22, 0.1), pre=(0.1, 1.0), test=(1.1, 1.0)
    )
    for q in (1, 20):
        beta, error = (float(x.subs(points.q, q)) for x in (curve.beta, curve.error))
        assert linearised_limit(beta, of, PAPER)[0] == pytest.approx(error, rel=1e-12)


def test_shorter_prompts_are_what_elliptical_features_amount_to() -> None:
    shorter = proportional.setting(
        aspect=1.0,
        eta=0.4,
        weights=(0.3, 0.7),
        post=(0.6, 0.3),
        pre=(0.5, 1.0),
        test=(1.5, 1.0),
        aspect_pre=0.4,
    )
    assert sft_risk_limit(BETA, OF, Departure(shortening=2.0)) == pytest.approx(
        sft_risk_limit(BETA, shorter, PAPER), rel=1e-13
    )


def test_tasks_of_twice_the_size_and_noise_of_twice_the_variance_are_twice_the_error() -> None:
    one = Departure(noise=0.3, tasks=(0.5, 1.5))
    two = Departure(noise=0.6, tasks=(1.0, 3.0))
    for function in (sft_risk_limit, linearised_limit):
        assert function(BETA, OF, two) == pytest.approx(2 * function(BETA, OF, one), rel=1e-13)


def test_with_many_prompts_it_is_the_population_s() -> None:
    """β → ∞: V = −ηΛA/C on every block, whose risk is a sum of squares."""
    noise, tasks, shortening = 0.3, np.array([0.5, 1.5]), 1.25
    mu, a, s = OF.weights, OF.post, OF.test
    gain = {level: shortening * float(mu @ (x * tasks)) + noise for level, x in (("a", a), ("s", s))}
    v = -OF.eta * tasks / (a * tasks + 0.5 * gain["a"])
    expected = float(mu @ ((1 + v * s) ** 2 * tasks + 0.5 * gain["s"] * v**2 * s))
    of = Departure(shortening, noise, (0.5, 1.5))
    assert sft_risk_limit(1e9, OF, of)[0] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Departure(shortening=0.9), "shortening"),
        (lambda: Departure(shortening=float("nan")), "shortening"),
        (lambda: Departure(noise=-1.0), "noise"),
        (lambda: Departure(tasks=(1.0, 0.0)), "tasks"),
        (lambda: sft_risk_limit(0.5, OF, Departure(tasks=(1.0,))), "tasks"),
        (lambda: sft_risk_limit(-0.5, OF, PAPER), "beta"),
        (lambda: sft_risk_limit(0.5, None, PAPER), "of"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(make, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ArgumentError, match=told):
        make()


def test_linearised_needs_an_invertible_covariance() -> None:
    of = proportional.setting(
        aspect=0.5, eta=0.4, weights=(0.3, 0.7), post=(0.6, 0.0), pre=(0.5, 1.0), test=(1.5, 1.0)
    )
    with pytest.raises(ArgumentError, match="post"):
        linearised_limit(0.5, of, PAPER)
