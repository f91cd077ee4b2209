"""Every rewriting rule of the word algebra, against matrices in exact arithmetic.

The rules are the axioms of the derivations.  Random words over letters of every kind, transposes,
inverses and pseudo-inverses included, are multiplied out as they stand and after reduction; the numbers
are SymPy rationals and the two must be equal.  Matrices are drawn as products L R of a drawn inner
dimension, so that every rank occurs, 0 included.
"""

from __future__ import annotations

from functools import reduce
from operator import mul

import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from theory import notation as nt
from theory.errors import ArgumentError
from theory.lower import lower_matrix
from theory.words.letters import (
    Factor,
    Letter,
    Word,
    inverse_letter,
    pinv_letter,
    reduce_trace,
    reduce_word,
    transpose,
)

d, B = sp.symbols("d B", integer=True, positive=True)
SIZES = [(2, 3), (2, 2), (3, 2)]  # d < B, d = B, d > B
V = Letter("V", d, d)
N = Letter("N", B, B)
S = Letter("S", d, d, symmetric=True)
S0 = Letter("S0", d, d, symmetric=True)  # sorts between S and S^+
Phi = Letter("Phi", d, B)
K = Letter("K", d, d)  # invertible
T = Letter("T", d, d, symmetric=True)  # invertible
P = Letter("P", d, d, symmetric=True, idempotent=True)
Q = Letter("Q", d, d, idempotent=True)
GENERIC, INVERTIBLE, IDEMPOTENT = (V, N, S, S0, Phi), (K, T), (P, Q)
LETTERS = (*GENERIC, *INVERTIBLE, *IDEMPOTENT)
many = settings(max_examples=400)


def word(text: str) -> Word:
    """``"V S^+ Phi'"`` as factors, as written: nothing is reduced."""
    names = {one.name: one for one in LETTERS}
    names |= {f"{a}^+": pinv_letter(names[a]) for a in list(names)}
    names |= {f"{a.name}^-1": inverse_letter(a) for a in INVERTIBLE}
    return tuple(Factor(names[part.removesuffix("'")], part.endswith("'")) for part in text.split())


@st.composite
def words(draw, pinv_of: tuple[Letter, ...] = LETTERS, square: bool = False) -> Word:
    """Up to six factors whose shapes chain, over one to three letters and what inverts them."""
    chosen = draw(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=3))
    letters = {*chosen, *(inverse_letter(a) for a in chosen if a in INVERTIBLE)}
    letters |= {pinv_letter(a) for a in chosen if a in pinv_of}
    factors = [Factor(a, side) for a in sorted(letters, key=str) for side in (False, True)]
    result = [draw(st.sampled_from(factors))]
    for _ in range(draw(st.integers(0, 5))):
        fitting = [f for f in factors if f.rows == result[-1].cols]
        if not fitting:
            break
        result.append(draw(st.sampled_from(fitting)))
    assume(not square or result[0].rows == result[-1].cols)
    return tuple(result)


@st.composite
def integer_matrix(draw, rows: int, cols: int) -> sp.Matrix:
    entries = st.lists(st.integers(-2, 2), min_size=rows * cols, max_size=rows * cols)
    return sp.Matrix(rows, cols, draw(entries))


@st.composite
def values(draw, of: Word) -> dict[Letter, sp.Matrix]:
    """A matrix of its kind for every letter of the word."""
    size = dict(zip((d, B), draw(st.sampled_from(SIZES)), strict=True))
    found: dict[Letter, sp.Matrix] = {}
    for base in sorted({f.letter.of or f.letter for f in of}, key=str):
        rows, cols = size[base.rows], size[base.cols]
        left = draw(integer_matrix(rows, draw(st.integers(0, min(rows, cols)))))
        if base.idempotent and base.symmetric:
            found[base] = left * left.pinv()  # the projection onto range(L)
        elif base.idempotent:
            turn = draw(integer_matrix(rows, rows).filter(lambda m: m.det() != 0))
            found[base] = turn * sp.diag(*(int(i < left.cols) for i in range(rows))) * turn.inv()
        elif base in INVERTIBLE:
            any_matrix = integer_matrix(rows, rows)
            if base.symmetric:
                any_matrix = any_matrix.map(lambda m: m + m.T)
            found[base] = draw(any_matrix.filter(lambda m: m.det() != 0))
        elif base.symmetric:
            signs = sp.diag(*(draw(st.sampled_from([1, -1])) for _ in range(left.cols)))
            found[base] = left * signs * left.T
        else:
            found[base] = left * draw(integer_matrix(left.cols, cols))
    for one in sorted({f.letter for f in of} - set(found), key=str):
        inside = found[one.of]  # type: ignore[index]
        found[one] = inside.inv() if one.kind == "inv" else inside.pinv()
    return found


def multiplied(of: Word, at: dict[Letter, sp.Matrix], empty: int = 0) -> sp.Matrix:
    """The product of the factors as they stand; the identity of size ``empty`` for the empty word."""
    matrices = [at[f.letter].T if f.transposed else at[f.letter] for f in of]
    return reduce(mul, matrices) if matrices else sp.eye(empty)


@many
@given(st.data())
def test_reduced_word_has_the_same_value(data) -> None:
    long = data.draw(words())
    at = data.draw(values(long))
    short, value = reduce_word(long), multiplied(long, at)
    assert len(short) <= len(long)
    assert multiplied(short, at, value.rows) == value
    assert reduce_word(short) == short


@many
@given(st.data())
def test_reduced_trace_has_the_same_value(data) -> None:
    long = data.draw(words(square=True))
    at = data.draw(values(long))
    short, value = reduce_trace(long), multiplied(long, at)
    assert len(short) <= len(reduce_word(long))
    assert multiplied(short, at, value.rows).trace() == value.trace()


@many
@given(st.data())
def test_trace_has_one_form_for_rotations_and_transpose(data) -> None:
    # K† and P† are sound but have no rule that makes them K⁻¹ and P, and so no unique form.
    long = data.draw(words(pinv_of=GENERIC, square=True))
    cut = data.draw(st.integers(0, len(long)))
    turned = long[cut:] + long[:cut]
    assert reduce_trace(turned) == reduce_trace(transpose(turned)) == reduce_trace(long)
    assert reduce_trace(reduce_trace(long)) == reduce_trace(long)


@many
@given(st.data())
def test_traces_that_no_rule_joins_stay_apart(data) -> None:
    # Over V, Vᵀ and Kᵀ, K alone no rule applies: equal forms are rotations of a word or its transpose.
    factors = st.lists(st.sampled_from(word("V V' K K'")), min_size=1, max_size=4).map(tuple)
    one, other = data.draw(factors), data.draw(factors)
    same = {w[i:] + w[:i] for w in (one, transpose(one)) for i in range(len(one))}
    assert (reduce_trace(one) == reduce_trace(other)) == (other in same)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("S'", "S"),
        ("T^-1' V", "T^-1 V"),
        ("S^+'", "S^+"),
        ("P P P", "P"),
        ("P' P", "P"),
        ("Q Q", "Q"),
        ("Q' Q'", "Q'"),
        ("K K^-1", ""),
        ("K^-1 K", ""),
        ("K' K^-1'", ""),
        ("V T T^-1 V", "V V"),
        ("V K^-1 T T^-1 K V", "V V"),
        ("Phi Phi^+ Phi", "Phi"),
        ("Phi^+ Phi Phi^+", "Phi^+"),
        ("Phi' Phi^+' Phi'", "Phi'"),
        ("Phi^+' Phi' Phi^+'", "Phi^+'"),
        ("Phi^+' Phi'", "Phi Phi^+"),
        ("Phi' Phi^+'", "Phi^+ Phi"),
        ("Phi Phi^+ Phi^+'", "Phi^+'"),
        ("Phi' Phi Phi^+", "Phi'"),
        ("Phi^+ Phi Phi'", "Phi'"),
        ("Phi^+' Phi^+ Phi", "Phi^+'"),
        ("Phi^+ Phi Phi^+ Phi", "Phi^+ Phi"),
        ("Phi Phi^+ Phi^+' Phi' V", "Phi Phi^+ V"),
        ("S^+ S", "S S^+"),
        ("S S S^+", "S"),
        ("S^+ S^+ S", "S^+"),
    ],
)
def test_rule(long: str, short: str) -> None:
    assert reduce_word(word(long)) == word(short)


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("K V K^-1", "V"),
        ("K' K^-1' ", ""),
        ("Q V Q", "Q V"),
        ("Phi^+ V Phi Phi^+ Phi", "Phi Phi^+ V"),
        ("Phi N Phi^+", "N Phi^+ Phi"),
        ("N' Phi^+ Phi", "N Phi^+ Phi"),
        ("S S0 S^+", "S S^+ S0"),
        ("S^+ S", "S S^+"),
        ("V' S", "S V"),
    ],
)
def test_rule_across_the_ends_of_a_trace(long: str, short: str) -> None:
    assert reduce_trace(word(long)) == word(short)


NO_RULE = [
    "V V^+", "V^+ V", "V V' V^+", "V^+ V'", "V^+ V^+ V'", "V V^+ V'", "V' V^+ V", "K K'", "K K^-1'", "T K^-1",
    "Q Q'", "Q' Q", "Q S Q", "S S", "S^+ S^+", "Phi Phi'", "Phi' Phi", "Phi Phi^+ V Phi", "V S S^+ V^+",
    "Phi^+ V^+ V Phi",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_RULE)
def test_no_rule_applies(text: str) -> None:
    assert reduce_word(word(text)) == word(text)


def test_pseudo_inverse_of_a_product_is_no_word() -> None:
    A, C = sp.Matrix([[1, 1]]), sp.Matrix([[1], [0]])
    assert (A * C).pinv() != C.pinv() * A.pinv()
    assert pinv_letter(Phi).of == Phi
    with pytest.raises(ArgumentError, match="only a single letter can be inverted"):
        lower_matrix(nt.Pinv(nt.V * nt.Phi))
    # For ΦΦᵀ alone it would hold: (ΦΦᵀ)† = Φ†ᵀΦ†.
    assert reduce_word(word("Phi Phi' Phi^+' Phi^+")) == word("Phi Phi^+")


def test_inverting_twice_gives_the_letter_back() -> None:
    for one in (V, S, Phi, Q):
        assert pinv_letter(pinv_letter(one)) == one
    for one in (K, T):
        assert inverse_letter(inverse_letter(one)) == one
    assert (pinv_letter(Phi).rows, pinv_letter(Phi).cols) == (B, d)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: reduce_word(word("V N")), r"^word V N: V has d columns, N B rows$"),
        (lambda: reduce_word(word("Phi Phi")), r"^word Phi Phi: Phi has B columns, Phi d rows$"),
        (lambda: reduce_trace(word("V Phi")), r"^tr\(V Phi\): d × B is not square$"),
        (lambda: inverse_letter(Phi), r"^letter Phi: a d × B matrix has no inverse$"),
        (lambda: Letter("M", d, B, symmetric=True), r"^letter M: a d × B matrix is not square$"),
        (lambda: Letter("M", d, B, idempotent=True), r"^letter M: a d × B matrix is not square$"),
    ],
)
def test_shapes_that_do_not_fit(make, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()
