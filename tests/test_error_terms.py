"""F(β) in numbers: hand values, borders, blocks split and merged, bad input; and the drawn operators."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

from numerics.device import seeded
from numerics.sampling import sft_targets
from numerics.sft import first_order_operators, risk
from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import error_term_points as points
from theory import error_term_words as words
from theory.errors import ArgumentError
from theory.first_order_limit import linearised_risk_limit, linearised_terms, value_at
from theory.proportional import setting
from theory.statement import registry
from verify.checks.error_terms import MEASURES, Drawn, Levels, Task, paper
from verify.error_term_settings import GENERIC, Exact, at_task

HAND = {"aspect": 1.0, "eta": 0.5, "weights": (0.5, 0.5), "post": (1.0, 0.5), "pre": (1, 1), "test": (2, 1)}
FIGURE = {
    "aspect": 0.6,
    "eta": 0.2,
    "weights": (0.5, 0.5),
    "post": (0.22, 0.1),
    "pre": (0.1, 1),
    "test": (1.1, 1),
}
THREE = {
    "aspect": 0.8,
    "eta": 0.7,
    "weights": (0.2, 0.35, 0.45),
    "post": (0.3, 1.2, 0.6),
    "pre": (1.2, 0.4, 0.8),
    "test": (0.6, 1.9, 1.1),
}


def test_hand_values():
    """q = 2, w = (2/3, 1/3), T₁₂ = 1/18: Bias 1/8, T_inv 5, T_inv,Σ 3, Σ̄ 3/2, T_var 37/192, T_var,Σ 37/72."""
    true, printed = 37, 35
    for factor, flag in ((true, False), (printed, True)):
        by_hand = 1 / 8 + factor * (5 / 192 + 1.5 / 72 + 1.5 * 3 / 192)
        assert linearised_risk_limit(beta=0.5, **HAND, printed=flag) == pytest.approx(by_hand, rel=1e-13)


def test_point_in_rationals_is_the_paper_setting():
    """The counterexample's own arithmetic against the compiled formulas, term by term."""
    terms = linearised_terms(0.5, setting(**HAND))
    exact = [float(x) for x in points.AT.parts(True)]
    found = [float(x[0]) for x in (terms.bias, terms.noise, terms.signal, terms.signal_noise)]
    np.testing.assert_allclose(found, exact, rtol=1e-13)


def test_figure_five():
    """n = 1000 and B = 300 of d = 600: 4.37 where the print gives 3.66; and where each is least below 1."""
    assert linearised_risk_limit(beta=0.5, **FIGURE) == pytest.approx(4.37298, abs=1e-5)
    assert linearised_risk_limit(beta=0.5, **FIGURE, printed=True) == pytest.approx(3.66227, abs=1e-5)
    beta = np.arange(1, 200) / 200
    least = [beta[np.argmin(linearised_risk_limit(beta=beta, **FIGURE, printed=p))] for p in (False, True)]
    assert least == [0.07, 0.245]


def test_registered_formula_is_the_compiled_one():
    of = setting(**FIGURE)
    for form, flag in (("printed", True), ("corrected", False)):
        whole = fm.value(getattr(registry()["thm-B.1"], form))
        found = value_at(whole, (0.2, 0.7, 1.4), of)
        limit = linearised_risk_limit(beta=(0.2, 0.7, 1.4), **FIGURE, printed=flag)
        np.testing.assert_allclose(found, limit, rtol=1e-12)


def test_print_is_right_from_one_on_and_for_equal_blocks():
    beta = (1.0, 1.0001, 1.5, 40.0)
    one = linearised_risk_limit(beta=beta, **FIGURE)
    np.testing.assert_allclose(linearised_risk_limit(beta=beta, **FIGURE, printed=True), one, rtol=1e-12)
    assert one[0] == np.inf
    assert (np.diff(one) < 0).all()
    same = FIGURE | {"post": (0.2, 0.2), "pre": (0.7, 0.7), "test": (1.3, 1.3)}
    inside = (0.1, 0.5, 0.9)
    np.testing.assert_allclose(
        linearised_risk_limit(beta=inside, **same, printed=True), linearised_risk_limit(beta=inside, **same)
    )


def test_ends():
    """F(0) is the pretrained model's error and F(∞) that of −ηA⁻¹, both by hand."""
    mu, a, p, x = (np.array(THREE[name]) for name in ("weights", "post", "pre", "test"))
    gamma = THREE["aspect"]
    for beta, V in ((1e-9, -1 / (p + gamma * (mu @ p))), (1e9, -THREE["eta"] / a)):
        by_hand = mu @ (1 + V * x) ** 2 + gamma * (mu @ x) * (mu @ (x * V**2))
        assert linearised_risk_limit(beta=beta, **THREE) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("beta", [0.3, 0.9, 1.7])
def test_block_may_be_split_and_reordered(beta):
    whole = linearised_risk_limit(beta=beta, **THREE)
    order = [2, 0, 1, 2]
    split = {name: [THREE[name][k] for k in order] for name in ("post", "pre", "test")}
    weights = [0.15, 0.2, 0.35, 0.3]
    other = linearised_risk_limit(beta=beta, aspect=0.8, eta=0.7, weights=weights, **split)
    assert other == pytest.approx(whole, rel=1e-12)


def test_one_block():
    """w = β and (1/d) tr(FΠGΠ) = fgβ: by hand."""
    beta, gamma, eta, a, p, x = 0.4, 0.5, 0.3, 0.9, 1.4, 1.1
    g = -1 / (p + gamma * p)
    change = -g - eta / a

    def square(constant):
        return constant**2 + 2 * constant * change * beta + change**2 * beta

    # q = w/(a²(1 − w)) and (1/d) tr(MMᵀ/d)† = q for one level
    variance, inverse = square(g), beta / (a**2 * (1 - beta))
    noise = gamma * inverse * x**2 * variance * a * a
    by_hand = x**2 * square(1 / x + g) + noise + gamma * x * x * variance
    by_hand += gamma**2 * x * inverse * x * variance * a * a
    found = linearised_risk_limit(
        beta=beta, aspect=gamma, eta=eta, weights=(1,), post=(a,), pre=(p,), test=(x,)
    )
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_long_prompts_leave_the_bias():
    no_noise = linearised_risk_limit(beta=(0.3, 1.0, 2.0), **THREE | {"aspect": 0})
    of = setting(**THREE | {"aspect": 1e-12})
    np.testing.assert_allclose(no_noise[[0, 2]], linearised_terms((0.3, 2.0), of).bias, rtol=1e-9)
    assert np.isfinite(no_noise).all()


def test_shape_follows_beta():
    assert isinstance(linearised_risk_limit(beta=0.5, **THREE), float)
    many = linearised_risk_limit(beta=[0.5, 0.7], **THREE)
    assert many.shape == (2,)
    assert many[0] == linearised_risk_limit(beta=0.5, **THREE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.0}, "beta=0"),
        ({"beta": [0.5, -1]}, "beta=-1"),
        ({"beta": [[0.5]]}, "beta has shape"),
        ({"beta": []}, "beta has shape"),
        ({"beta": np.nan}, "beta=nan"),
        ({"post": (0.3, 0, 0.6)}, "post="),
        ({"post": (0.3, 0.6)}, "post has shape"),
        ({"weights": (0.2, 0.2, 0.2)}, "weights"),
        ({"pre": (0, 0, 0)}, "pre"),
        ({"eta": 0}, "eta=0"),
        ({"eta": 1.2}, "eta=1.2"),
        ({"aspect": -1}, "aspect=-1"),
        ({"printed": True}, "weights="),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ArgumentError, match=f"^{message}"):
        linearised_risk_limit(**{"beta": 0.5, **THREE, **change})


# Formulas and draws -----------------------------------------------------------------------------------


def test_formula_has_to_be_linear_in_what_it_is_made_of():
    with pytest.raises(ArgumentError, match="must be linear"):
        words.in_traces(bs.T12 * bs.mu[1])


def test_later_lines_define_the_symbols_of_the_first():
    for form in ("printed", "corrected"):
        found = fm.value(getattr(registry()["eq-C.43"], form))
        assert not found.has(fm.T_var)
        assert found.has(fm.T_inv_Sigma)


def test_exact_measures_are_those_of_draws():
    """The rational matrices of the exact evidence and the drawn ones are measured alike."""
    small = Exact()
    task = Task(small.sizes, 2, 7, small.post, (1.0, 1.0), tuple(map(float, small.test)), float(small.eta))
    drawn = Drawn(task, 1, seeded(1, "cpu"))
    # Γ₀ there is given, not (3.7): put in what the rational point has.
    drawn.inverse = task.diagonal([float(x) for x in small.before])
    drawn.D_1, drawn.D_pre = 1 - drawn.inverse * drawn.Sigma, drawn.inverse - task.eta / drawn.A
    drawn.Pi, drawn.V_S = (
        torch.tensor(np.array(m.tolist(), dtype=float))[None] for m in (small.Pi, small.V_S)
    )
    mean = sum(x * m for x, m in zip(small.test, small.sizes, strict=True)) / 5
    weight = {bs.aspect: sp.Rational(5, 7), bs.Sigma_bar: mean}
    for name, measure in MEASURES.items():
        if "noise" not in name and name != "error":
            exact = float(sp.sympify(small.measure(name)).subs(weight))
            assert float(measure(drawn)) == pytest.approx(exact, rel=1e-10), name


@pytest.mark.parametrize("B", [10, 40])
def test_operators_are_those_of_the_definition(B):
    """QR and blocks against the pseudo-inverse by singular values and (5.1), from the same targets."""
    task = paper(12, 8, B, 30, 0.3, 0.4, 0.2)
    drawn = Drawn(task, 1, seeded(3, "cpu"))
    levels = Levels(task)
    Omega, Phi = sft_targets(levels.A, task.n, B, seeded(3, "cpu"))
    V_S, V_N = first_order_operators(Omega, Phi, levels.A, levels.inverse, task.eta)
    torch.testing.assert_close(drawn.V_S[0], V_S, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(drawn.V_N[0], V_N, rtol=1e-9, atol=1e-9)
    whole = float(risk(V_S + V_N, levels.Sigma, task.n)) / task.d
    assert float(drawn.error()) == pytest.approx(whole, rel=1e-9)
    torch.testing.assert_close(drawn.Pi[0] @ drawn.Pi[0], drawn.Pi[0], rtol=1e-9, atol=1e-9)


def test_draws_honour_their_seed():
    first, again, other = (Drawn(GENERIC, 2, seeded(s, "cpu")).V_N for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


def test_task_keeps_its_ratios():
    beta, of = at_task(GENERIC)
    larger, twice = at_task(GENERIC.scaled(2))
    assert larger == beta
    assert twice.aspect == of.aspect
    np.testing.assert_array_equal(twice.weights, of.weights)
