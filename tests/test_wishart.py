"""Means over the empirical covariance, against oracles that share no line with ``theory/wishart.py``.

``pairings.py`` sums over all pairings of the samples' occurrences (Wick's theorem), in words and in integer
matrices; ``theory/exact.py`` expands S into monomials of standard normals and knows E[z^{2p}] = (2p−1)!!
alone.  All comparisons are exact.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from pairings import LETTERS, Mean, counted, d, e, n, pairing_mean, pairing_sum, polynomial, product, risk

from theory import exact
from theory.contraction import Contraction
from theory.errors import ArgumentError
from theory.wishart import TERM_LIMIT, expectation
from theory.words import Letter, Scalar, identity, inverse_letter, letter, pinv_letter
from theory.words.evaluate import evaluate

S, SIGMA, C, V = (LETTERS[name] for name in "SGCV")
ROOT, SINGULAR = np.array([[1, 2], [-1, 3]]), np.array([[1, 0], [-2, 0]])
FIXED = {
    "K": np.array([[1, -2], [3, 5]]),
    "L": np.array([[0, 1], [4, -1]]),
    "M": np.array([[2, 7], [-1, 1]]),
    "N": np.array([[-3, 1], [2, 2]]),
    "P": np.array([[1, 0, 2], [-1, 3, 1]]),
    "U": np.array([[2], [-3]]),
}
# One open word, or none, then traces; a small letter is a transpose, G is Σ, P is d × e, U a column.
OPEN = ["S", "KSL", "KSLSM", "SS", "KSLSMSN", "SSS", "SKS L", "K SM SN", "SLS MS", "KSL SM SNS", "pSKSU uSU"]
OPEN += ["KSLSMSNSK", "GSKGS SG", "SUuS", "uSU SUu"]
CLOSED = ["S", "KS", "KSLS", "SS", "KS LS", "S S", "KSLSMS", "SSS", "KSLS MS", "S KS LSN", "SKS LM S"]
CLOSED += ["SKSkSLSl", "SG SGS", "pSPpSP", "uSU", "uSU uSU", "uSKSU uSU", "SkSl SK SN"]


def mean(value, **options):
    return expectation(value, S, SIGMA, n, **options)


def steps(k: int) -> Scalar:
    """‖(I + V S)^k‖_F², the k-step risk."""
    return (identity(d) + product("VS")).power(k).norm2()


def rational(matrix: np.ndarray) -> np.ndarray:
    return np.array([[sp.Integer(int(x)) for x in row] for row in matrix], dtype=object)


def numbers(value, at: dict[str, np.ndarray], size: int) -> list:
    arrays = {LETTERS[name]: rational(matrix) for name, matrix in at.items()}
    return np.ravel(evaluate(value, arrays, {n: sp.Integer(size)})).tolist()


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("text", [*OPEN, *(f" {closed}" for closed in CLOSED)])
def test_mean_is_the_sum_over_pairings(text: str, size: int) -> None:
    value = mean(polynomial(text))
    for root in (ROOT, SINGULAR):
        at = FIXED | {"G": root @ root.T}
        found = [entry * size ** text.count("S") for entry in numbers(value, at, size)]
        assert found == pairing_sum(text, at, size).ravel().tolist()


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "text", ["KSL", "KSLSM", "SKS L", "K SM SN", " KSLS", " KS LS", " KSLSMS", " S KS LS"]
)
def test_mean_is_the_mean_of_the_definition(text: str, size: int) -> None:
    opened, *closed = text.split(" ")
    fixed = {name: sp.Matrix(matrix) for name, matrix in FIXED.items()}

    def value(at: sp.Matrix):
        def multiplied(word: str) -> sp.Matrix:
            return sp.prod([at if name == "S" else fixed[name] for name in word], start=sp.eye(2))

        weight = sp.prod([multiplied(word).trace() for word in closed])
        return multiplied(opened) * weight if opened else weight

    direct = exact.mean_over_prompts(value, sp.Matrix(ROOT), size)
    found = numbers(mean(polynomial(text)), FIXED | {"G": ROOT @ ROOT.T}, size)
    assert found == (list(direct) if isinstance(direct, sp.MatrixBase) else [direct])


@pytest.mark.parametrize(
    ("k", "dim", "size"), [(1, 3, 4), (2, 1, 4), (2, 2, 2), (2, 3, 1), (3, 1, 4), (3, 2, 1)]
)
@pytest.mark.parametrize("rank", ["full", "deficient"])
def test_risk_of_k_steps_is_the_mean_of_the_definition(k: int, dim: int, size: int, rank: str) -> None:
    weights = sp.Matrix(3, 3, [1, 2, -1, -3, 0, 1, 2, 1, -2])[:dim, :dim]  # V S ≠ S V, V ≠ Vᵀ
    root = sp.Matrix(3, 3, [1, -1, 2, 2, 1, 0, 1, 0, 1])[:dim, :dim]
    if rank == "deficient":
        root[:, 0] = sp.zeros(dim, 1)

    def value(at: sp.Matrix) -> sp.Expr:
        return exact.frobenius_squared((sp.eye(dim) + weights * at) ** k)

    direct = exact.mean_over_prompts(value, root, size)
    assert mean(steps(k)).subs({V: weights, SIGMA: root * root.T, n: size}) == direct


@pytest.mark.parametrize(
    ("k", "words", "terms", "total"), [(1, 4, 5, 6), (2, 37, 67, 188), (3, 303, 946, 17992)]
)
def test_risk_of_k_steps_is_the_sum_over_pairings_term_for_term(
    k: int, words: int, terms: int, total: int
) -> None:
    found, expected = counted(mean(steps(k))), pairing_mean(risk(k))
    assert found == expected
    assert (len(found), sum(map(len, found.values()))) == (words, terms)
    assert sum(sum(powers.values()) for powers in found.values()) == total


def test_risk_of_four_steps_has_every_pairing() -> None:
    # All letters 1 at d = n = 1: S = g², E(1 + g²)^8 = Σ_j C(8, j) (2j−1)!!.
    found = counted(mean(steps(4)))
    assert (len(found), sum(map(len, found.values()))) == (2117, 9384)
    total = sum(sum(powers.values()) for powers in found.values())
    assert total == sum(sp.binomial(8, j) * sp.factorial2(2 * j - 1) for j in range(9)) == 3_460_368


Moves = Callable[[Contraction, tuple[str, ...]], dict]


def spoilt(number: int, how: str) -> Moves:
    """The engine's moves, one of those of the order-two states counted otherwise or with a letter turned."""
    right = Contraction._moves

    def moves(self: Contraction, live: tuple[str, ...]) -> dict:
        found = Counter(right(self, live))
        if sum(word.count("\x01") for word in live) != 2 or number >= len(found):
            return found
        key = sorted(found)[number]
        ways = found.pop(key)
        if how == "twice":
            found[key] += 2 * ways
        elif how == "1/n":
            found[key] += ways * self._over_n
        elif how == "turned":
            found[_turned(self, key)] += ways
        return found

    return moves


def _turned(engine: Contraction, key: tuple) -> tuple:
    """``key`` with the first letter transposed that makes it another product of traces."""
    for part, words in enumerate(key):
        for w, word in enumerate(words):
            for i, character in enumerate(word):
                new = word[:i] + engine.transpose(character) + word[i + 1 :]
                if engine.least(new) != engine.least(word):
                    changed = tuple(sorted((*words[:w], engine.least(new), *words[w + 1 :])))
                    return (*key[:part], changed, *key[part + 1 :])
    return key


@pytest.mark.parametrize("how", ["dropped", "twice", "1/n", "turned"])
@pytest.mark.parametrize("text", [" KSLS", " KLSNS", " KS LS", " KSLSMS", " KLS MSNS", "KSL SM", "KSLMSN"])
def test_one_wrong_move_is_seen_by_both_oracles(monkeypatch, text: str, how: str) -> None:
    value, at = polynomial(text), FIXED | {"G": ROOT @ ROOT.T}
    right = mean(value)
    expected = [sp.Rational(x, 3 ** text.count("S")) for x in pairing_sum(text, at, 3).ravel().tolist()]
    words = words_of(text)
    seen = 0
    for number in range(3):
        monkeypatch.setattr(Contraction, "_moves", spoilt(number, how))
        wrong = mean(value)
        monkeypatch.undo()
        if how == "turned" and wrong.terms == right.terms:
            continue  # every trace of that move is its own transpose
        seen += 1
        assert numbers(wrong, at, 3) != expected
        assert words is None or counted(wrong) != words
    assert seen >= (1 if how == "turned" else 2)


def words_of(text: str) -> Mean | None:
    opened, *closed = text.split(" ")
    return None if opened else pairing_mean({tuple(closed): 1})


def test_what_holds_no_sample_is_its_own_mean() -> None:
    fixed = product("KG") + identity(d) * n
    assert mean(fixed).terms == fixed.terms
    assert mean(fixed.trace()).terms == fixed.trace().terms


@pytest.mark.parametrize("inverse", [inverse_letter(S), pinv_letter(S), inverse_letter(C), pinv_letter(C)])
def test_inverted_covariance_is_refused(inverse: Letter) -> None:
    # E of S⁻¹ is no polynomial in Σ; taking the letter S⁻¹ for a constant would be wrong.
    with pytest.raises(ArgumentError, match=r"^letter [SC]: cannot take the mean over it where [SC]\^"):
        mean(product("S") @ letter(inverse) @ product("K") @ letter(inverse), centred=C)


@pytest.mark.parametrize(
    "size", [0, -1, 1.5, sp.Rational(3, 2), sp.Symbol("m"), sp.Symbol("m", integer=True)]
)
def test_size_that_is_no_positive_integer_is_refused(size) -> None:
    with pytest.raises(
        ArgumentError, match=rf"^n={re.escape(str(size))}: must be a positive integer, or .*$"
    ):
        expectation(product("S"), S, SIGMA, size)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("S", {"S": V, "Sigma": SIGMA}),
        ("Sigma", {"S": S, "Sigma": V}),
        ("centred", {"S": S, "Sigma": SIGMA, "centred": V}),
        ("S", {"S": Letter("T", e, e, symmetric=True), "Sigma": SIGMA}),
        # One letter for two matrices: E[S] would come out as S, or as 0.
        ("S", {"S": SIGMA, "Sigma": SIGMA}),
        ("centred", {"S": S, "Sigma": SIGMA, "centred": S}),
        ("centred", {"S": S, "Sigma": SIGMA, "centred": SIGMA}),
    ],
)
def test_letters_that_are_no_covariances_are_refused(name: str, given: dict[str, Letter]) -> None:
    with pytest.raises(ArgumentError, match=rf"^{name}={given[name]}: must be .*$"):
        expectation(product("S"), n=n, **given)


def test_shapes_that_do_not_chain_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^cannot multiply d × e by d × d: must chain$"):
        mean(product("P") @ product("S"))


def predicted(value, limit: float = 0) -> int:
    with pytest.raises(
        ArgumentError, match=r"^expression has order \d+ in S: must be simpler, about [\d,]+ terms, .*$"
    ) as raised:
        mean(value, limit=limit)
    assert str(raised.value).endswith(f"more than limit={limit:,}")
    return int(re.findall(r"about ([\d,]+) terms", str(raised.value))[0].replace(",", ""))


def test_prediction_is_near_the_number_of_terms() -> None:
    for k, terms in ((2, 37), (3, 303), (4, 2117)):
        assert terms / 4 < predicted(steps(k)) < 4 * terms
    for text, terms in ((" SK", 1), (" SKSL", 3), (" SKSLSM", 15), (" SKSLSMSN", 105), ("KSLSMSNSV", 105)):
        assert predicted(polynomial(text)) == terms == len(mean(polynomial(text)).terms)


def test_limit_stops_long_derivations_and_can_be_raised() -> None:
    assert predicted(steps(7), TERM_LIMIT) > TERM_LIMIT
    few = predicted(steps(2), 37)
    for limit in (few, float("inf")):
        assert len(mean(steps(2), limit=limit).terms) == 37


def test_progress_runs_from_nothing_to_one() -> None:
    for value in (steps(3), polynomial("KSLSM"), product("K")):
        shares: list[float] = []
        mean(value, progress=shares.append)
        assert all(a <= b for a, b in pairwise(shares))
        assert 0 <= shares[0] <= shares[-1] == 1
    assert len(shares) == 1  # nothing to do
