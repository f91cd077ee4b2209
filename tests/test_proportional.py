"""The numeric limit of Err(Ṽ_*): input, closed forms, what it does not depend on, extremes, time, memory."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from theory import proportional
from theory.errors import ArgumentError
from theory.proportional import limit_terms, setting, sft_risk_limit
from theory.statement import registry
from verify import limit_predictions as predict
from verify.checks.sft_limit import FIGURE, GENERIC, SINGULAR, Task

Array = NDArray[np.float64]
BETAS = np.array([0.05, 0.3, 0.62, 0.99, 1.3, 4.0])
THREE: dict[str, Any] = {
    "aspect": 0.6,
    "aspect_pre": 1.2,
    "aspect_test": 0.3,
    "eta": 0.35,
    "weights": [0.25, 0.45, 0.3],
    "post": [0.4, 1.0, 0.25],
    "pre": [0.5, 0.1, 1.0],
    "test": [1.1, 1.0, 2.0],
}
KEYS = ("weights", "post", "pre", "test")


def risk(beta: Any = BETAS, **changed: Any) -> Any:
    return sft_risk_limit(beta=beta, **{**THREE, **changed})


def blocks(order: list[int]) -> dict[str, Any]:
    return {key: np.array(THREE[key])[order] for key in KEYS}


# Input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"beta": 0.0}, "beta=0"),
        ({"beta": -1.0}, "beta=-1"),
        ({"beta": np.inf}, "beta=inf"),
        ({"beta": [0.5, np.nan]}, "beta=nan"),
        ({"beta": []}, r"beta has shape \(0,\)"),
        ({"beta": [[0.5]]}, r"beta has shape \(1, 1\)"),
        ({"beta": "half"}, "beta is not made of numbers"),
        ({"beta": None}, "beta is not made of numbers"),
        ({"weights": [0.25, 0.45, 0.31]}, r"weights: must sum to 1, the sum is 1\.01"),
        ({"weights": [0.6, 0.6, -0.2]}, r"weights\[2\]=-0\.2"),
        ({"weights": []}, r"weights has shape \(0,\)"),
        ({"weights": 1.0}, r"weights has shape \(\)"),
        ({"weights": [[1.0]]}, r"weights has shape \(1, 1\)"),
        ({"post": [0.4, 1.0]}, r"post has shape \(2,\).*3 weights"),
        ({"post": [0.4, -1.0, 1.0]}, r"post\[1\]=-1"),
        ({"post": [0.4, 1e-60, 1.0]}, r"post\[1\]=1e-60.*at least 1e-50"),
        ({"pre": [0.4, np.nan, 1.0]}, r"pre\[1\]=nan"),
        ({"test": [0.4, np.inf, 1.0]}, r"test\[1\]=inf"),
        ({"test": ["a", "b", "c"]}, "test is not made of numbers"),
        ({"test": [[1.0], [2.0, 3.0]]}, "test is not made of numbers"),
        ({"pre": [0.0, 0.0, 0.0]}, "pre: must be positive"),
        ({"pre": [0.0, 0.1, 0.2], "aspect_pre": 0}, r"pre\[0\]=0.*aspect_pre = 0"),
        ({"aspect": -0.1}, "aspect=-0.1"),
        ({"aspect": None}, "aspect=None"),
        ({"aspect": "x"}, "aspect='x'"),
        ({"aspect": True}, "aspect=True"),
        ({"aspect_pre": np.inf}, "aspect_pre=inf"),
        ({"aspect_test": float("nan")}, "aspect_test=nan"),
        ({"eta": 0.0}, "eta=0.0"),
        ({"eta": 1.5}, "eta=1.5"),
        ({"eta": "x"}, "eta='x'"),
        ({"eta": float("nan")}, "eta=nan"),
    ],
)
def test_bad_input_in_one_line(changed: dict[str, Any], names: str) -> None:
    with pytest.raises(ArgumentError, match=names) as error:
        risk(**changed)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 160


def test_long_input_does_not_flood_the_message() -> None:
    many = np.full(5000, 1 / 5000)
    with pytest.raises(ArgumentError) as error:
        risk(**{key: many for key in KEYS} | {"test": -many})
    assert len(str(error.value)) < 160
    with pytest.raises(ArgumentError) as error:
        risk(beta=np.linspace(0, 1, 5000))
    assert len(str(error.value)) < 160


# The formula ---------------------------------------------------------------------------------------------


def test_is_the_printed_theorem() -> None:
    printed = registry()["ext-limit.j"].printed
    definitions, (below, past) = list(predict.equations(printed)), predict.limits(printed)
    for task in (GENERIC, SINGULAR, FIGURE):
        expected = predict.curve(task, definitions, below, past)
        assert np.allclose(of_task(task), expected, rtol=1e-7)  # q is cut off at 1e9 above the rank
        below_rank = [beta < task.rank for beta in task.betas]
        assert np.allclose(of_task(task)[below_rank], np.array(expected)[below_rank], rtol=1e-12)


def of_task(task: Task) -> Array:
    aspect, aspect_pre, aspect_test = task.aspects
    found = sft_risk_limit(
        beta=[float(beta) for beta in task.betas],
        aspect=aspect,
        aspect_pre=aspect_pre,
        aspect_test=aspect_test,
        eta=task.eta,
        weights=[float(m) for m in task.weights],
        post=task.post,
        pre=task.pre,
        test=task.test,
    )
    return np.asarray(found)


@pytest.mark.parametrize("a", [0.3, 1.7])
def test_one_block_in_closed_form(a: float) -> None:
    """w = min(β, 1), tr((ΦΦᵀ/d)†)/d = β/(c(1 − β)) below 1 and 1/(c(β − 1)) above, tr(ΠΠ) = tr Π."""
    p, s, eta, ratio, pre, test = 0.8, 1.4, 0.6, 0.5, 1.5, 0.25
    found = sft_risk_limit(
        beta=BETAS,
        aspect=ratio,
        aspect_pre=pre,
        aspect_test=test,
        eta=eta,
        weights=[1],
        post=[a],
        pre=[p],
        test=[s],
    )
    w = np.minimum(BETAS, 1)
    c = a * a * (1 + ratio)
    inverse = np.where(BETAS < 1, BETAS / (c * np.abs(1 - BETAS)), 1 / (c * np.abs(BETAS - 1)))

    def of_level(x: float) -> float:
        return (1 + x * s) ** 2 + test * s * s * x * x

    noise = eta**2 * ratio / (1 + ratio) * inverse * s * s * (1 + test)
    expected = (1 - w) * of_level(-1 / (p * (1 + pre))) + w * of_level(-eta / (a * (1 + ratio))) + noise
    assert np.allclose(found, expected, rtol=1e-13)


def test_blocks_split_merged_permuted() -> None:
    right = risk()
    assert np.allclose(risk(**blocks([2, 0, 1])), right, rtol=1e-13)
    halves = blocks([0, 1, 1, 2])
    halves["weights"] = [0.25, 0.2, 0.25, 0.3]
    assert np.allclose(risk(**halves), right, rtol=1e-13)
    padded = {key: [*THREE[key], extra] for key, extra in zip(KEYS, (0.0, 7.0, 3.0, 2.0), strict=True)}
    assert np.allclose(risk(**padded), right, rtol=1e-13)
    padded["post"][-1] = 0.0  # an empty block does not make A singular
    assert np.allclose(risk(**padded), right, rtol=1e-13)


def test_eigenvalues_as_blocks() -> None:
    """Thousands of equal and of different blocks, in pieces that fit a core's cache."""
    d = 2000
    sizes = (np.array(THREE["weights"]) * d).round().astype(int)
    spread = {key: np.repeat(THREE[key], sizes) for key in KEYS} | {"weights": np.full(d, 1 / d)}
    assert np.allclose(risk(**spread), risk(), rtol=1e-11)
    source = np.random.default_rng(3)
    own = {key: source.uniform(0.2, 2.0, d) for key in KEYS} | {"weights": np.full(d, 1 / d)}
    whole = risk(beta=np.linspace(0.01, 2, 50), **own)
    assert np.allclose(whole[[3, 30]], [risk(beta=b, **own) for b in np.linspace(0.01, 2, 50)[[3, 30]]])


def test_depends_on_post_over_eta_alone() -> None:
    smaller = risk(eta=THREE["eta"] / 7, post=np.array(THREE["post"]) / 7)
    assert np.allclose(smaller, risk(), rtol=1e-12)


def test_terms_add_up_and_are_not_negative() -> None:
    of = setting(**THREE)
    terms = limit_terms(BETAS, of)
    parts = (terms.bias, terms.noise, terms.signal, terms.signal_noise)
    assert all((part >= 0).all() for part in parts)
    assert np.allclose(np.sum(parts, axis=0), risk(), rtol=1e-14)


# Shapes and extremes --------------------------------------------------------------------------------------


def test_scalar_and_vector() -> None:
    one = risk(beta=0.3)
    assert isinstance(one, float)
    assert [risk(beta=float(beta)) for beta in BETAS] == pytest.approx(risk(), rel=1e-14)
    assert risk(beta=np.float64(0.3)) == risk(beta=np.array(0.3)) == one
    assert risk(beta=[0.3]).shape == (1,)
    assert risk(beta=(1, 2)).shape == (2,)


def test_defaults_of_the_other_aspects() -> None:
    named = risk(aspect_pre=0.6, aspect_test=0.6)
    assert np.array_equal(risk(aspect_pre=None, aspect_test=None), named)


@pytest.mark.parametrize(("post", "spike"), [([0.4, 1.0, 0.25], 1.0), ([0.4, 0.0, 0.25], 0.55)])
def test_spike(post: list[float], spike: float) -> None:
    assert risk(beta=spike, post=post) == np.inf
    near = risk(beta=spike * (1 + np.array([-1e-9, 1e-9, -1e-13, 1e-13])), post=post)
    assert np.isfinite(near).all()
    assert (near > 1e6).all()
    assert near[0] == pytest.approx(near[1], rel=1e-6)


def test_no_spike_without_noise() -> None:
    """γ = 0 and A ≻ 0: Φ determines Ω, and at β ≥ 1 the risk is that of the population."""
    clean = risk(beta=[0.999999, 1.0, 1.000001, 50.0], aspect=0)
    assert np.isfinite(clean).all()
    assert np.ptp(clean) < 1e-4
    assert clean[1] == pytest.approx(clean[3], rel=1e-14)
    # A singular: what Φ says nothing about is noise, at γ = 0 too.
    assert risk(beta=0.55, aspect=0, post=[0.4, 0.0, 0.25]) == np.inf


def test_ends() -> None:
    of = setting(**THREE)
    mu, s, g = of.weights, of.test, of.initial
    sampling = of.aspect_test * (mu @ s)
    before = mu @ ((1 + g * s) ** 2 + sampling * s * g**2)
    assert risk(beta=1e-300) == pytest.approx(before, rel=1e-12)
    after = -of.eta * of.regression
    end = mu @ ((1 + after * s) ** 2 + sampling * s * after**2)
    assert risk(beta=1e300) == pytest.approx(end, rel=1e-12)
    assert risk(beta=2.0, post=[0, 0, 0]) == pytest.approx(before, rel=1e-12)  # nothing to learn from


def test_levels_many_decades_apart() -> None:
    wide = risk(post=[1e-40, 1.0, 1e20], aspect=0.3)
    assert np.isfinite(wide).all()
    assert (wide > 0).all()
    assert risk(beta=0.2, post=[1e-45, 1e-45, 1e-45], eta=1e-45) == pytest.approx(
        risk(beta=0.2, post=[1, 1, 1], eta=1.0), rel=1e-12
    )


def test_time() -> None:
    """2000 values of β at three blocks in a millisecond on one core; the fastest of many runs, threefold."""
    betas = np.linspace(0.001, 2, 2000)
    seconds = []
    for _ in range(200):
        start = time.perf_counter()
        risk(beta=betas)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 3e-3


def test_memory_does_not_grow_with_blocks_times_betas(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    inner = proportional._terms
    monkeypatch.setattr(
        proportional, "_terms", lambda beta, of: seen.append(beta.size * of.weights.size) or inner(beta, of)
    )
    K = 3000
    own = {key: np.linspace(0.5, 1.5, K) for key in KEYS} | {"weights": np.full(K, 1 / K)}
    risk(beta=np.linspace(0.1, 1.9, 40), **own)
    assert len(seen) > 1
    assert max(seen) <= proportional.CHUNK
