"""Sums of words and traces: arithmetic, derivatives, substitution, numbers.

Every expression is written twice, once in words and once as a function of SymPy matrices, at sizes that
differ (d = 2, B = 3) and with a Φ of rank one; exact rationals, so that equality is ``==``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp

from theory import notation as nt
from theory.errors import ArgumentError
from theory.words import identity, inverse_letter, letter, pinv_letter, scalar, zero
from theory.words.evaluate import evaluate, function, rational
from theory.words.letters import Factor, Letter, reduce_trace
from theory.words.poly import Matrix, replace_word, substitute

d, B = sp.symbols("d B", integer=True, positive=True)
half = sp.Rational(1, 2)
V_, G_, S_, PHI_, OMEGA_, w_ = (
    Letter("V", d, d),
    Letter("G", d, d),
    Letter("S", d, d, symmetric=True),
    Letter("Phi", d, B),
    Letter("Omega", d, B),
    Letter("w", d, 1),
)
v, g, s, phi, omega, w = map(letter, (V_, G_, S_, PHI_, OMEGA_, w_))
phi_plus, v_inv = letter(pinv_letter(PHI_)), letter(inverse_letter(V_))

V = sp.Matrix([["1/2", 2], [-1, "2/3"]])
G = sp.Matrix([[3, "-1/5"], [2, "7/2"]])
S = sp.Matrix([[1, 2], [2, 4]])  # rank one
PHI = sp.Matrix([[1, "1/2", -1], [-2, -1, 2]])  # rank one
OMEGA = sp.Matrix([[0, 1, 3], ["1/3", -2, 5]])
W = sp.Matrix([2, "-3/4"])
AT = {V_: V, G_: G, S_: S, PHI_: PHI, OMEGA_: OMEGA, w_: W}


def array(matrix: sp.Matrix) -> np.ndarray:
    return np.array(matrix.tolist(), dtype=object)


ARRAYS = {one: array(matrix) for one, matrix in AT.items()}


def at_point(expression, changed: dict[Letter, sp.Matrix] | None = None):
    """The number or sp.Matrix of ``expression`` at AT."""
    found = evaluate(expression, ARRAYS | {one: array(m) for one, m in (changed or {}).items()})
    return sp.Matrix(found.tolist()) if isinstance(expression, Matrix) else found


def squared(matrix: sp.Matrix) -> sp.Expr:
    return (matrix.T * matrix).trace()


# (degree in V, words, the same as a function of the matrix V)
SCALARS: dict[str, tuple[int, object, Callable[[sp.Matrix], sp.Expr]]] = {
    "tr(VG)": (1, (v @ g).trace(), lambda X: (X * G).trace()),
    "tr(VᵀG)": (1, (v.T @ g).trace(), lambda X: (X.T * G).trace()),
    "tr(V)tr(VG)": (2, v.trace() * (v @ g).trace(), lambda X: X.trace() * (X * G).trace()),
    "tr(V)²": (2, v.trace() * v.trace(), lambda X: X.trace() ** 2),
    "tr(VV)": (2, (v @ v).trace(), lambda X: (X * X).trace()),
    "tr(VSVᵀ)": (2, (v @ s @ v.T).trace(), lambda X: (X * S * X.T).trace()),
    "tr(VᵀSVG)": (2, (v.T @ s @ v @ g).trace(), lambda X: (X.T * S * X * G).trace()),
    "‖VΦ+Ω/2‖²": (2, (v @ phi + omega * half).norm2(), lambda X: squared(X * PHI + OMEGA / 2)),
    "wᵀVw": (1, (w.T @ v @ w).trace(), lambda X: (W.T * X * W).trace()),
    "‖(V+I)w‖²": (2, ((v + identity(d)) @ w).norm2(), lambda X: squared((X + sp.eye(2)) * W)),
    "tr(VΦΦ†)": (1, (v @ phi @ phi_plus).trace(), lambda X: (X * PHI * PHI.pinv()).trace()),
    "‖(I+VS)²‖²": (
        4,
        (identity(d) + v @ s).power(2).norm2(),
        lambda X: squared((sp.eye(2) + X * S) ** 2),
    ),
    "tr(VGVᵀV)": (3, (v @ g @ v.T @ v).trace(), lambda X: (X * G * X.T * X).trace()),
    "tr(V)³−2": (3, v.trace() * v.trace() * v.trace() - 2, lambda X: X.trace() ** 3 - 2),
}


@pytest.mark.parametrize("name", SCALARS)
def test_words_say_what_the_matrices_say(name: str) -> None:
    _, words, numbers = SCALARS[name]
    assert at_point(words) == numbers(V)
    assert at_point(words * 3 - words + half) == 2 * numbers(V) + half


@pytest.mark.parametrize("name", [n for n in SCALARS if SCALARS[n][0] <= 2])
def test_gradient_is_the_central_difference(name: str) -> None:
    # Exact in V of degree two and less: the cubic remainder of the difference is zero.
    _, words, numbers = SCALARS[name]

    def slope(row: int, col: int) -> sp.Expr:
        unit = sp.zeros(2)
        unit[row, col] = 1
        return (numbers(V + unit) - numbers(V - unit)) / 2

    assert at_point(words.gradient(V_)) == sp.Matrix(2, 2, slope)


@pytest.mark.parametrize("name", SCALARS)
def test_gradient_is_the_derivative_by_entries(name: str) -> None:
    _, words, numbers = SCALARS[name]
    entries = sp.Matrix(2, 2, sp.symbols("v:4"))
    free = dict(zip(entries, V, strict=True))
    assert at_point(words.gradient(V_)) == sp.diff(numbers(entries), entries).subs(free)


def test_gradient_has_the_shape_of_its_letter() -> None:
    expression = (v @ phi + omega).norm2()
    gradient = expression.gradient(PHI_)
    assert gradient.shape == (d, B)
    assert at_point(gradient) == 2 * V.T * (V * PHI + OMEGA)
    assert expression.gradient(G_).is_zero()


def test_gradient_refuses_what_it_cannot_differentiate() -> None:
    with pytest.raises(ArgumentError, match=r"^letter V: cannot differentiate by it where V\^-1 depends"):
        (v_inv @ g).trace().gradient(V_)
    with pytest.raises(ArgumentError, match=r"^letter S: cannot differentiate by entries that are not free$"):
        (s @ g).trace().gradient(S_)


@pytest.mark.parametrize(
    ("expression", "numbers"),
    [
        (v @ phi @ phi.T - v, lambda X: X * PHI * PHI.T - X),
        (v.T @ g @ v * v.trace(), lambda X: X.T * G * X * X.trace()),
        ((v @ s @ v.T).trace(), lambda X: (X * S * X.T).trace()),
        (v @ w @ w.T @ v @ w, lambda X: X * W * W.T * X * W),
        (identity(d) * 2, lambda X: 2 * sp.eye(2)),
    ],
)
@pytest.mark.parametrize(
    ("value", "matrix"),
    [
        (g @ s.T - identity(d) * half, G * S - sp.eye(2) / 2),
        (v @ v + v.T, V * V + V.T),  # V itself inside its value
        (phi @ phi_plus * g.trace(), PHI * PHI.pinv() * G.trace()),
        (zero(d, d), sp.zeros(2)),
    ],
)
def test_substitution(expression, numbers, value, matrix) -> None:
    assert at_point(substitute(expression, {V_: value})) == numbers(matrix)


def test_substitution_is_simultaneous() -> None:
    assert substitute(v @ g, {V_: g, G_: v}).equals(g @ v)


@pytest.mark.parametrize(
    ("expression", "values", "message"),
    [
        (v, {V_: phi}, r"^letter V: value is d × B, \(1\) Phi: must be a d × d matrix$"),
        (s, {S_: v}, r"^letter S: value is d × d, \(1\) V: must be a symmetric d × d matrix$"),
        (v @ v_inv @ g @ v_inv, {V_: g}, r"^letter V: cannot substitute for it where V\^-1 depends on it$"),
    ],
)
def test_substitution_refuses(expression, values, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        substitute(expression, values)


def test_replaced_neighbours_keep_the_value_where_the_constraint_holds() -> None:
    # VΦ = −ηΩ at a V and a Φ that satisfy it, η = 1/2: Ω := −2VΦ.
    at = {OMEGA_: -2 * V * PHI}
    pattern, value = (Factor(V_), Factor(PHI_)), omega * -half
    for expression in (
        v @ phi @ phi_plus,
        phi.T @ v.T @ g @ v @ phi,
        v @ phi @ phi.T @ v @ phi + omega * 3,
        v @ phi * (v @ g).trace(),
    ):
        replaced = replace_word(expression, pattern, value)
        assert not replaced.equals(expression)
        assert at_point(replaced, at) == at_point(expression, at)
    assert replace_word(phi.T @ v.T, pattern, value).equals(omega.T * -half)
    assert replace_word(v @ g @ phi, pattern, value).equals(v @ g @ phi)


def test_replaced_neighbours_are_replaced_once() -> None:
    # S is its own transpose, and occurs in its value: S G stays as it is.
    assert replace_word(s, (Factor(S_),), s @ g).equals(s @ g)
    assert replace_word(v @ s, (Factor(S_),), s + identity(d)).equals(v @ s + v)
    assert replace_word(v, (Factor(V_),), v.T @ g).equals(v.T @ g)


def test_one_by_one_factors_become_traces() -> None:
    form = w.T @ v @ w
    assert form.shape == (1, 1)
    assert form.terms == {((reduce_trace((Factor(V_), Factor(w_), Factor(w_).T)),), ()): 1}
    assert (w @ form).equals(w * form.trace())
    assert (g @ w @ w.T @ v.T @ w @ w.T).equals(g @ w @ w.T * form.trace())
    assert at_point(g @ w @ w.T @ v @ w @ w.T) == G * W * W.T * V * W * W.T
    # A quadratic form is its own transpose; with another vector it is another number.
    assert (w.T @ v.T @ w).equals(form)
    other = letter(Letter("u", d, 1))
    assert not (w.T @ v @ other).equals(other.T @ v @ w)
    assert (w.T @ v @ other).equals(other.T @ v.T @ w)


def test_equality_is_of_polynomials() -> None:
    c, n = sp.symbols("c n", positive=True)
    assert (v * (c**2 - 1)).equals(v * ((c - 1) * (c + 1)))
    assert (v @ g).T.equals(g.T @ v.T)
    assert (v @ g * (1 / n) + v @ g * ((n - 1) / n)).equals(v @ g)
    assert not (v @ g).equals(g @ v)
    assert (v @ g).trace().equals((g @ v).trace())
    assert identity(d).trace().equals(d)
    assert not v.trace().equals(scalar(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: v @ omega.T, r"^cannot multiply d × d by B × d: must chain$"),
        (lambda: v + phi, r"^cannot add a d × d and a d × B matrix$"),
        (lambda: phi.trace(), r"^trace of a d × B matrix: must be square$"),
        (lambda: at_point(letter(Letter("M", d, d))), r"^letter M: has no value, given are .*'Phi'.*$"),
        (lambda: evaluate(v @ phi, {V_: array(V), PHI_: array(PHI.T)}), r"^Phi has shape \(3, 2\): must be "),
        (lambda: evaluate(v, {V_: array(PHI)}), r"^V has shape \(2, 3\): must be \(2, 2\)$"),
        (lambda: evaluate(w, {w_: array(V)}), r"^w has shape \(2, 2\): must be \(2, 1\)$"),
        (lambda: evaluate(v, {V_: np.ones(2)}), r"^V has shape \(2,\): must be d × d$"),
        (lambda: evaluate(v, {V_: array(V)}, {d: 3}), r"^V has shape \(2, 2\): must be \(3, 3\)$"),
        (
            lambda: evaluate(letter(Letter("Z", 2 * d + 2, d)), {Letter("Z", 2 * d + 2, d): array(V)}),
            r"^Z has shape \(2, 2\): must be \(6, 2\)$",
        ),
        (lambda: at_point(v * nt.eta), r"^coefficient eta: no value for \['eta'\]$"),
        (lambda: evaluate(identity(B), {V_: array(V)}), r"^coefficient B: no value for \['B'\]$"),
    ],
)
def test_what_does_not_fit_is_named(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_coefficients_and_dimensions_are_read_off() -> None:
    assert at_point(identity(d).trace()) == 2
    assert evaluate(v.trace() * nt.eta, {V_: array(V)}, {nt.eta: sp.Rational(1, 7)}) == V.trace() / 7
    assert (rational([["1/3", 1], [0, 2]]) == array(sp.Matrix([["1/3", 1], [0, 2]]))).all()
    assert (function(v @ g)(ARRAYS) == array(V * G)).all()


def test_floats_of_integer_words_are_the_exact_numbers() -> None:
    # Integers below 2⁵³ throughout: float64 adds and multiplies them without rounding.
    whole = {one: array(60 * matrix) for one, matrix in AT.items()}
    for expression in (v @ g @ s @ v.T * 3 - g @ v, phi @ omega.T @ v * g.trace()):
        exact = evaluate(expression, whole)
        found = evaluate(expression, {one: m.astype(float) for one, m in whole.items()})
        assert found.dtype == float
        assert (found == exact.astype(float)).all()


@pytest.mark.parametrize(
    ("expression", "factors"),
    [
        (v @ phi @ phi_plus, (V, PHI, PHI.pinv())),
        (phi_plus.T @ phi_plus, (PHI.pinv(), PHI.pinv())),
        (v_inv @ g @ v_inv, (V.inv(), G, V.inv())),
    ],
)
def test_floats_of_inverses_round_as_their_condition_allows(expression, factors) -> None:
    exact = evaluate(expression, ARRAYS).astype(float)
    floats = {one: m.astype(float) for one, m in ARRAYS.items()}
    # A computed inverse or pseudo-inverse is off, relative to its norm, by a small multiple of its
    # condition number (on the range) times u, and products add d·u a factor (Higham, Accuracy and
    # Stability, 3.5, 14.1, 20.1): 50 u κ for each of two inverses is ample, and far below the values.
    condition = max(np.linalg.cond(floats[V_]), 1.0)
    scale = condition * np.prod([np.linalg.norm(array(m).astype(float), 2) for m in factors])
    error = np.abs(evaluate(expression, floats) - exact).max()
    assert error <= 100 * np.finfo(float).eps * scale


def test_floats_of_a_singular_inverse_are_none() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        evaluate(v_inv, {V_: array(S).astype(float)})
