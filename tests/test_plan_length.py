"""The best prompt length, for a number of prompts and for a budget of tokens, against every length tried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from theory.errors import ArgumentError
from theory.plan_length import Length, best_length, best_split, whole_length, with_length
from theory.proportional import Setting, setting, sft_risk_limit

GIVEN: dict[str, Any] = {
    "weights": [0.5, 0.5],
    "post": [0.22, 0.01],
    "pre": [0.1, 1.0],
    "test": [1.1, 1.0],
    "eta": 0.2,
    "aspect": 1.0,
}
SINGULAR = GIVEN | {"post": [0.22, 0.0], "aspect_pre": 2.0}
ROLES = [("post",), ("pre",), ("test",), ("post", "test"), ("post", "pre", "test")]


def limit(given: dict[str, Any], beta: float, aspect: float, roles: tuple[str, ...]) -> float:
    """The exact limit at B/d = β with d/n = ``aspect`` in the roles named, from its own module."""
    names = {"post": "aspect", "pre": "aspect_pre", "test": "aspect_test"}
    fixed = {name: given.get(name, given["aspect"]) for name in names.values()}
    return float(sft_risk_limit(beta=beta, **(given | fixed | {names[role]: aspect for role in roles})))


@pytest.mark.parametrize("given", [GIVEN, SINGULAR])
@pytest.mark.parametrize("roles", ROLES)
@pytest.mark.parametrize("beta", [0.1, 0.4, 0.75, 1.5])
def test_no_length_is_better(given: dict[str, Any], beta: float, roles: tuple[str, ...]) -> None:
    found = best_length(setting(**given), beta, roles=roles)
    tried = min(limit(given, beta, 1 / x, roles) for x in np.geomspace(0.05, 1e6, 400))
    assert found.error <= tried * (1 + 1e-12)
    assert found.beta == beta
    aspect = 1 / found.length
    assert limit(given, beta, aspect, roles) == pytest.approx(found.error)
    assert limit(given, beta, 0.0, roles) == pytest.approx(found.endless)


@pytest.mark.parametrize("given", [GIVEN, SINGULAR, GIVEN | {"post": [0.22, 0.1]}])
@pytest.mark.parametrize("tokens", [0.05, 1.0, 20.0])
def test_no_split_of_a_budget_is_better(given: dict[str, Any], tokens: float) -> None:
    found = best_split(setting(**given), tokens)
    lengths = np.geomspace(0.05, 1e6, 500)
    spike = 0.5 if given is SINGULAR else 1.0
    tried = [limit(given, tokens / x, 1 / x, ("post",)) for x in lengths if tokens / x != spike]
    assert found.error <= min(tried) * (1 + 1e-12)
    if np.isinf(found.length):  # one prompt without end: no fine-tuning
        assert (found.beta, found.error) == (0.0, found.endless)
        return
    assert found.beta * found.length == pytest.approx(tokens)
    assert limit(given, found.beta, 1 / found.length, ("post",)) == pytest.approx(found.error)


def whole_limit(d: int, n: int, B: int) -> float:
    return np.inf if abs(B - d) <= 1 else limit(GIVEN, B / d, d / n, ("post",))


def test_whole_lengths_by_trying_all() -> None:
    d = 60
    of = setting(**GIVEN)
    every = {n: limit(GIVEN, 20 / d, d / n, ("post", "pre", "test")) for n in range(20, 400)}
    found = whole_length(of, d, prompts=20, roles=("post", "pre", "test"))
    assert 20 < (found.n or 0) < 400
    assert found.n == min(every, key=lambda n: every[n])
    assert found.error == pytest.approx(min(every.values()))
    for budget in (500, 30_000, 400_000):
        split = whole_length(of, d, budget=budget)
        assert split.n is not None
        assert 0 <= budget - split.n * split.prompts < max(split.n, split.prompts)
        assert split.error == pytest.approx(whole_limit(d, split.n, split.prompts))
        tried = min(whole_limit(d, n, budget // n) for n in range(20, min(budget, 1500)))
        assert split.error <= tried * 1.002  # roundings of both numbers compete with the optimum


def test_ends() -> None:
    of = setting(**GIVEN)
    # More test samples always help, to the noiseless error.
    longest = best_length(of, 0.1, roles=("test",))
    assert longest == Length(np.inf, 0.1, longest.endless, longest.endless)
    assert whole_length(of, 50, prompts=5, roles=("test",)).n is None
    # Here the pretrained model is worse than ŵ = 0, and noise that erases it helps: the shortest is best.
    assert best_length(of, 0.1).length == pytest.approx(0.05)
    assert whole_length(of, 400, prompts=40).n == 20
    assert whole_length(of, 400, prompts=40, shortest=33).n == 33
    # Fine-tuning that can only hurt is best not bought: Σ₀ = A/η = Σ, long pretraining.
    long = {"aspect": 1.0, "aspect_pre": 0.0, "aspect_test": 0.0}
    perfect = setting(weights=[1.0], post=[0.5], pre=[1.0], test=[1.0], eta=0.5, **long)
    assert best_split(perfect, 1.0).length == np.inf
    whole = whole_length(perfect, 30, budget=900)
    assert (whole.n, whole.prompts) == (None, 0)
    assert whole.error == pytest.approx(0, abs=1e-12)


def test_without_noise_any_number_of_prompts_has_a_best_length() -> None:
    # A reaches only what the test does not use: no noise, no spike.
    of = setting(**(GIVEN | {"post": [0.22, 0.0], "test": [0.0, 1.0]}))
    assert np.isfinite(best_length(of, 0.5).error)
    assert whole_length(of, 40, prompts=20).error == pytest.approx(best_length(of, 0.5).error)


def test_pretraining_cannot_be_endless_on_a_singular_covariance() -> None:
    of = setting(**(GIVEN | {"pre": [0.0, 1.0]}))
    assert np.isinf(best_length(of, 0.3, roles=("pre",)).endless)
    with pytest.raises(ArgumentError, match="pre"):
        with_length(of, 0.0, ("pre",))


@pytest.mark.parametrize(
    "call",
    [
        lambda of: best_length(of, 1.0),
        lambda of: best_length(of, 0.0),
        lambda of: best_length(of, 0.5, roles=("train",)),
        lambda of: best_length(of, 0.5, roles=()),
        lambda of: best_length(of, 0.5, shortest=0.0),
        lambda of: best_split(of, -1.0),
        lambda of: whole_length(of, 40),
        lambda of: whole_length(of, 40, prompts=10, budget=10),
        lambda of: whole_length(of, 40, prompts=41),
        lambda of: whole_length(of, 40, prompts=0),
        lambda of: whole_length(of, 40, budget=19),
        lambda of: whole_length(of, 40, prompts=10, shortest=0),
    ],
)
def test_refuses_bad_input_in_one_line(call) -> None:
    of: Setting = setting(**GIVEN)
    with pytest.raises(ArgumentError) as caught:
        call(of)
    assert "\n" not in str(caught.value)
