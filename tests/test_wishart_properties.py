"""Drawn words: the engine against the sum over pairings in integer matrices, and what must not matter.

Everything is exact; the letters are generic, asymmetric integer matrices, Σ has any rank.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from pairings import LETTERS, d, least, n, pairing_sum, polynomial, product

from theory import notation as nt
from theory.contraction import CENTRED, SIGMA, Contraction
from theory.contraction import S as RANDOM
from theory.errors import ArgumentError
from theory.lower import latex_of, lower_matrix, lower_scalar, raise_matrix, raise_scalar
from theory.notation import letter_of
from theory.wishart import expectation, inverse_quadratic_mean
from theory.words import Letter, identity, letter, pinv_letter
from theory.words.evaluate import evaluate
from theory.words.poly import substitute

S, G, C, V, K = (LETTERS[name] for name in "SGCVK")
eta, rho = sp.symbols("eta rho")
PIECES = ["", "K", "k", "L", "l", "G", "Pp", "Uu", "KL", "kG", "UuM", "Kk"]
many = settings(max_examples=120)


def mean(value, **options):
    return expectation(value, S, G, n, **options)


@st.composite
def texts(draw, most: int = 4, opened: bool | None = None, random: str = "S") -> str:
    """A product of traces, and before it one open word or none; ``most`` samples between them at most.

    Two or more of them share their letters, an inner word may be a number (uSU) or another shape (pSP).
    """
    left = draw(st.integers(1, most))
    words = [""]
    if draw(st.booleans()) if opened is None else opened:
        count = draw(st.integers(0, min(left, 3)))
        inner = "".join(draw(st.sampled_from(random)) + draw(st.sampled_from(PIECES)) for _ in range(count))
        head, tail = draw(st.sampled_from(["", "K", "p", "u"])), draw(st.sampled_from(["", "L", "P", "U"]))
        words = [head + inner + tail or "K"]
        left -= count
    while left > 0 or len(words) == 1:
        count = draw(st.integers(min(left, 1), left))
        gaps = [draw(st.sampled_from(PIECES)) for _ in range(count)]
        words.append("".join(draw(st.sampled_from(random)) + gap for gap in gaps) or "KG")
        left -= count
    return " ".join(words)


@st.composite
def matrices(draw) -> dict[str, np.ndarray]:
    dim, across = draw(st.sampled_from([2, 3])), draw(st.sampled_from([1, 2]))

    def matrix(rows: int, cols: int, most: int = 2) -> np.ndarray:
        entries = st.lists(st.integers(-most, most), min_size=rows * cols, max_size=rows * cols)
        return np.array(draw(entries)).reshape(rows, cols)

    root = matrix(dim, dim, 1)
    at = {name: matrix(dim, dim) for name in "KLM"}
    return at | {"P": matrix(dim, across), "U": matrix(dim, 1), "G": root @ root.T}


def numbers(value, at: dict[str, np.ndarray], size: int) -> list:
    arrays = {
        LETTERS[name]: np.array([[sp.Integer(int(x)) for x in row] for row in matrix], dtype=object)
        for name, matrix in at.items()
    }
    return np.ravel(evaluate(value, arrays, {n: sp.Integer(size)})).tolist()


@many
@given(texts(), matrices(), st.integers(1, 4))
def test_mean_is_the_sum_over_pairings(text: str, at: dict, size: int) -> None:
    found = numbers(mean(polynomial(text)), at, size)
    assert [x * size ** text.count("S") for x in found] == pairing_sum(text, at, size).ravel().tolist()


@many
@given(texts(most=3, random="SC"), matrices())
def test_centred_letter_is_the_sample_less_its_mean(text: str, at: dict) -> None:
    value = polynomial(text)
    expanded = mean(substitute(value, {C: product("S") - product("G")}))
    assert mean(value, centred=C).terms == expanded.terms
    # E[C …] by pairings: each C is S or −Σ.
    if text.count("C") == 1:
        parts = [pairing_sum(text.replace("C", new), at, 2) for new in "SG"]
        total = parts[0] - 2 * parts[1]
        found = numbers(mean(value, centred=C), at, 2)
        assert [x * 2 ** (text.count("S") + 1) for x in found] == total.ravel().tolist()


def test_centred_moments() -> None:
    c = product("C")
    assert mean(c, centred=C).terms == {}
    second = (product("GKG").T + product("G") * product("KG").trace()) * (1 / n)
    assert mean(product("CKC"), centred=C).terms == second.terms
    # Third cumulant: of order 1/n², as S is a mean of n independent terms.
    third = mean((c @ c @ c).trace(), centred=C)
    assert {power.as_powers_dict()[n] for power in third.terms.values()} == {-2}


@many
@given(texts(), texts(opened=False), st.integers(0, 2))
def test_mean_is_linear_in_symbolic_coefficients(one: str, other: str, times: int) -> None:
    other = other if one.startswith(" ") else one
    first, second = polynomial(one), polynomial(other)
    large, small = sp.Integer(10) ** 40, sp.Rational(-5, 7**9)
    found = mean(first * large + second * small)
    assert found.terms == (mean(first) * large + mean(second) * small).terms
    a, b = eta**times / (n + 1) + rho, sp.Rational(-2, 3) * n + (eta + 1)
    found = mean(first * a + second * b)
    assert found.terms == (mean(first) * a + mean(second) * b).terms
    # η + 1 less η less 1 leaves nothing, not a coefficient that is zero in disguise.
    assert mean(first * (eta + 1)).terms == (mean(first) * eta + mean(first)).terms


def test_terms_that_cancel_are_gone() -> None:
    # E tr S² in other words, with coefficients that meet only after the mean is taken.
    squared, mixed, apart = (
        product("SS").trace(),
        product("SG").trace(),
        product("S").trace() * product("G").trace(),
    )
    rest = mixed * (1 + 1 / n) * (eta + 1) + apart * (eta / n) + apart * (1 / n)
    assert mean(squared * (eta + 1) - rest).terms == {}


@many
@given(texts(), st.data())
def test_rotations_and_transposes_give_the_same_mean(text: str, data) -> None:
    opened, *closed = text.split(" ")
    turned = []
    for word in closed:
        at = data.draw(st.integers(0, len(word)))
        turned.append(data.draw(st.sampled_from([str, least]))(word[at:] + word[:at]))
    value = mean(polynomial(text))
    assert mean(polynomial(" ".join([opened, *turned[::-1]]))).terms == value.terms
    if opened:
        assert mean(polynomial(text).T).terms == value.T.terms


alphabet = st.text(RANDOM + CENTRED + SIGMA + "ab", min_size=1, max_size=4)


@many
@given(st.lists(alphabet, min_size=1, max_size=2), st.data())
def test_contraction_takes_words_in_any_form(words: list[str], data) -> None:
    # The letters of words are normal forms before they get here; the states of a contraction are not.
    engine = Contraction({RANDOM: RANDOM, CENTRED: CENTRED, SIGMA: SIGMA, "a": "b", "b": "a"}, 64)
    turned = []
    for word in words:
        at = data.draw(st.integers(0, len(word)))
        new = word[at:] + word[:at]
        turned.append(engine.transpose(new) if data.draw(st.booleans()) else new)
    assert engine.expectation({tuple(words): 7}) == engine.expectation({tuple(turned[::-1]): 7})


def test_numbers_are_products_of_traces() -> None:
    # uᵀSu is a number: its square has the mean (1 + 2/n) (uᵀΣu)², one term, whatever the way there.
    number, fixed = product("uSU").trace(), product("uGU").trace()
    assert mean(number * number).terms == (fixed * fixed * (1 + 2 / n)).terms
    assert mean(product("SUuS").trace() * number).equals(mean((product("uSSU") @ product("uSU")).trace()))


RISK = (identity(d) + product("VS")).power(2).norm2()
AT_V, AT_G = sp.Matrix([[1, 2], [-1, 3]]), sp.Matrix([[2, 1], [1, 5]])


def test_values_may_be_sympy_or_numpy() -> None:
    value = mean(RISK)
    exact = value.subs({V: AT_V, G: AT_G, n: 3})
    assert exact.is_Rational
    arrays = {V: np.array(AT_V.tolist(), dtype=int), G: np.array(AT_G.tolist(), dtype=float)}
    for at in (arrays, {V: AT_V, G: arrays[G]}):
        found = value.subs(at | {n: 3})
        assert isinstance(found, float)
        assert found == pytest.approx(float(exact), rel=1e-13)
    matrix = mean(product("VSVSV"))
    assert isinstance(matrix.subs({V: AT_V, G: AT_G, n: 3}), sp.MatrixBase)
    assert np.allclose(
        matrix.subs(arrays | {n: 3}), np.array(matrix.subs({V: AT_V, G: AT_G, n: 3}), dtype=float)
    )


def test_values_may_be_given_one_after_the_other() -> None:
    value = mean(RISK * eta)
    exact = value.subs({V: AT_V, G: AT_G, n: 3, eta: sp.Rational(1, 2)})
    assert value.subs({n: 3}).subs({eta: sp.Rational(1, 2)}).subs({V: AT_V, G: AT_G}) == exact
    assert value.subs({V: product("KK")}).subs({K: AT_V, G: AT_G, n: 3, eta: 1}) == 2 * value.subs(
        {V: AT_V**2, G: AT_G, n: 3, eta: sp.Rational(1, 2)}
    )
    # A polynomial and matrices at once; a population limit; a letter set to zero.
    once = value.subs({V: product("K") * 2, K: AT_V, G: AT_G, n: 3, eta: 1})
    assert once == value.subs({V: 2 * AT_V, G: AT_G, n: 3, eta: 1})
    assert value.subs({V: product("V") * 0}).terms == {(): d * eta}
    assert mean(product("SVS")).subs({n: sp.oo}).terms == product("GVG").terms
    inverse = inverse_quadratic_mean(product("V"), G, d + 4).subs({V: identity(d)})
    assert {str(f) for _, word in inverse.terms for f in word} == {"Sigma^-1"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({V: AT_V, n: 3}, r"letter Sigma: has no value, given are ['V']"),
        ({V: AT_V, G: AT_G}, r"no value for ['n']"),
        ({V: sp.ones(2, 3), G: AT_G, n: 3}, r"V has shape (2, 3): must be (2, 2)"),
        ({V: sp.eye(3), G: AT_G, n: 3}, r"must be (3, 3)"),
        ({V: np.ones(2), G: AT_G, n: 3}, r"V has shape (2,): must be d × d"),
        ({V: product("P"), G: AT_G, n: 3}, r"letter V: value is d × e, (1) P: must be a d × d matrix"),
        ({G: product("K")}, r"letter Sigma: value is d × d, (1) K: must be a symmetric d × d matrix"),
        # Σᵀ was written Σ on the way: at another matrix the value would depend on the form of the words.
        ({V: AT_V, G: AT_V, n: 3}, r"symmetric"),
        ({V: AT_V.tolist(), G: np.array(AT_V.tolist(), dtype=float), n: 3}, r"symmetric"),
    ],
)
def test_values_that_do_not_fit_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ArgumentError, match=re.escape(message)) as raised:
        mean(RISK).subs(values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["K", "K_1", "alpha", "Z^2", "X", "A", "Ω", "M'"])
def test_latex_of_any_letter(name: str) -> None:
    # X and A are other matrices in the paper; Z^2 is a superscript before any transpose.
    one, symmetric = Letter(name, d, d), Letter("R", d, d, symmetric=True)
    value = (letter(one) @ product("SVS") @ letter(one).T.power(2) @ letter(symmetric)).trace() * (
        eta / (n + 1)
    )
    inverted = letter(one) @ product("S") @ letter(pinv_letter(one)).power(2) @ product("S")
    for expression in (mean(value), mean(inverted), value * 0, letter(one) * 0, identity(d)):
        text = latex_of(expression)
        for opening, closing in (("{", "}"), (r"\left", r"\right"), (r"\begin", r"\end")):
            assert text.count(opening) == text.count(closing)
        assert text
        assert not re.search(r"Trace|Mat|Letter|\*\*", text)
        assert not re.search(r"\^(\{[^{}]*\}|\w)(_(\{[^{}]*\}|\w))?\^", text)  # a double superscript


def test_printed_risk_reads_back_equal() -> None:
    sample, sigma, weights = (letter_of(one) for one in (nt.Sigma_hat, nt.Sigma, nt.V))
    step = identity(nt.d) + letter(weights) @ letter(sample)
    two, three = (expectation(step.power(k).norm2(), sample, sigma, nt.n) for k in (2, 3))
    assert lower_scalar(raise_scalar(three)).terms == three.terms
    gradient = two.gradient(weights)
    assert lower_matrix(raise_matrix(gradient)).terms == gradient.terms
