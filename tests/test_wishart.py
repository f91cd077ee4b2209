"""Means over the empirical covariance, against two oracles that share no line with ``theory/wishart.py``.

The first sums over all pairings of the samples' occurrences (Wick's theorem) with integer matrices; the
second expands S into monomials of standard normals.  Letac & Massam, "All invariant moments of the
Wishart distribution", Scand. J. Statist. 31 (2004), is the third.
"""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_letters

import numpy as np
import pytest
import sympy as sp

from theory import exact
from theory.errors import ArgumentError
from theory.wishart import expectation
from theory.words import Letter, identity, inverse_letter, letter, pinv_letter
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix

d, n = sp.symbols("d n", integer=True, positive=True)
NAMES = "KLMN"
LETTERS = {name: Letter(name, d, d) for name in NAMES}
S_, SIGMA_ = Letter("S", d, d, symmetric=True), Letter("Sigma", d, d, symmetric=True)
s, sigma = letter(S_), letter(SIGMA_)

ROOT = np.array([[1, 2], [-1, 3]])
FIXED = {
    "K": np.array([[1, -2], [3, 5]]),
    "L": np.array([[0, 1], [4, -1]]),
    "M": np.array([[2, 7], [-1, 1]]),
    "N": np.array([[-3, 1], [2, 2]]),
}

# One open word, or none, then traces: capital letters are fixed matrices, S the covariance.
OPEN = ["S", "KSL", "KSLSM", "SS", "KSLSMSN", "SSS", "SKS L", "K SM SN", "SLS MS", "KSL SM SNS", "L KSM SN S"]
CLOSED = [
    " S",
    " KS",
    " KSLS",
    " SS",
    " KS LS",
    " S S",
    " KSLSMS",
    " SSS",
    " KSLS MS",
    " S KS LSN",
    " SKS LM S",
]


def in_words(text: str):
    """``"KS LS"`` is the matrix K S times tr(L S); ``" KS"`` the scalar tr(K S)."""
    opened, *closed = text.split(" ")

    def product(names: str) -> Matrix:
        result = identity(d)
        for name in names:
            result = result @ (s if name == "S" else letter(LETTERS[name]))
        return result

    value = product(opened) if opened else 1
    for names in closed:
        value = value * product(names).trace() if opened else product(names).trace() * value
    return value


def pairings(ends: list[int]) -> Iterator[list[tuple[int, int]]]:
    if not ends:
        yield []
    for at in range(1, len(ends)):
        for rest in pairings(ends[1:at] + ends[at + 1 :]):
            yield [(ends[0], ends[at]), *rest]


def cycles(pairs: list[tuple[int, int]]) -> int:
    """How many samples stay free: ends 2j and 2j+1 belong to one S, and so to one sample."""
    group = {i: i // 2 for pair in pairs for i in pair}
    for p, q in pairs:
        old, new = group[p], group[q]
        group = {i: new if label == old else label for i, label in group.items()}
    return len(set(group.values()))


def wick(text: str, covariance: np.ndarray, size: int) -> np.ndarray:
    """n^p E[…] in integers, p the number of S, by summing over all pairings of the 2p ends."""
    opened, *closed = text.split(" ")
    count, names = 0, iter(ascii_letters)
    operands: list[tuple[str, np.ndarray]] = []
    ends: dict[int, str] = {}
    result = ""
    for closes, part in [(False, opened), *((True, c) for c in closed)]:
        if not part:
            continue
        first = here = next(names)
        for name in part:
            there = next(names)
            if name == "S":
                ends[2 * count], ends[2 * count + 1] = here, there
                count += 1
            else:
                operands.append((here + there, FIXED[name]))
            here = there
        if closes:
            operands.append((here + first, np.eye(2, dtype=int)))
        else:
            result = first + here
    total: np.ndarray = np.zeros((2,) * len(result), dtype=np.int64)
    for pairs in pairings(sorted(ends)):
        joined = operands + [(ends[p] + ends[q], covariance) for p, q in pairs]
        subscripts = ",".join(index for index, _ in joined) + "->" + result
        total = total + size ** cycles(pairs) * np.einsum(subscripts, *(matrix for _, matrix in joined))
    return total


def numbers(value, covariance: np.ndarray, size: int) -> np.ndarray:
    arrays = {LETTERS[a]: sp_array(FIXED[a]) for a in NAMES} | {SIGMA_: sp_array(covariance)}
    return np.array(evaluate(value, arrays, {n: sp.Integer(size)}))


def sp_array(matrix: np.ndarray) -> np.ndarray:
    return np.array([[sp.Integer(int(x)) for x in row] for row in matrix], dtype=object)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("text", [*OPEN, *CLOSED])
def test_mean_is_the_sum_over_pairings(text: str, size: int) -> None:
    for root in (ROOT, np.array([[1, 0], [-2, 0]])):  # the second Σ is singular
        covariance = root @ root.T
        mean = numbers(expectation(in_words(text), S_, SIGMA_, n), covariance, size)
        expected = wick(text, covariance, size).ravel().tolist()
        assert [entry * size ** text.count("S") for entry in mean.ravel()] == expected


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "text", ["KSL", "KSLSM", "SKS L", "KSLSMSN", "K SM SN", " KSLS", " KS LS", " KSLSMS", " S KS LS"]
)
def test_mean_is_the_mean_of_the_definition(text: str, size: int) -> None:
    opened, *closed = text.split(" ")
    fixed = {name: sp.Matrix(matrix) for name, matrix in FIXED.items()}

    def value(S: sp.Matrix):
        at = {**fixed, "S": S}

        def product(names: str) -> sp.Matrix:
            return sp.prod([at[name] for name in names], start=sp.eye(2))

        weight = sp.prod([product(names).trace() for names in closed])
        return product(opened) * weight if opened else weight

    direct = exact.mean_over_prompts(value, sp.Matrix(ROOT), size)
    mean = numbers(expectation(in_words(text), S_, SIGMA_, n), ROOT @ ROOT.T, size)
    assert mean.ravel().tolist() == (list(direct) if isinstance(direct, sp.MatrixBase) else [direct])


def moments() -> dict[str, tuple]:
    """Means of W = nS ~ Wishart(n, Σ): Letac & Massam 2004, real case."""
    t1, t2, t3 = (sigma.power(p).trace() for p in (1, 2, 3))
    W = s * n
    tr = [W.power(p).trace() for p in range(4)]
    return {
        "W": (W, sigma * n),
        "W²": (W @ W, sigma @ sigma * (n * (n + 1)) + sigma * t1 * n),
        "W³": (
            W.power(3),
            sigma.power(3) * (n * (n**2 + 3 * n + 4))
            + sigma.power(2) * t1 * (2 * n * (n + 1))
            + sigma * t2 * (n * (n + 1))
            + sigma * t1 * t1 * n,
        ),
        "W tr W": (W * tr[1], sigma * t1 * n**2 + sigma @ sigma * (2 * n)),
        "tr W": (tr[1], t1 * n),
        "tr W²": (tr[2], t2 * (n * (n + 1)) + t1 * t1 * n),
        "(tr W)²": (tr[1] * tr[1], t1 * t1 * n**2 + t2 * (2 * n)),
        "tr W³": (
            tr[3],
            t3 * (n * (n**2 + 3 * n + 4)) + t1 * t2 * (3 * n * (n + 1)) + t1 * t1 * t1 * n,
        ),
        "tr W tr W²": (
            tr[1] * tr[2],
            t1 * t2 * (n**3 + n**2 + 4 * n) + t1 * t1 * t1 * n**2 + t3 * (4 * n * (n + 1)),
        ),
        "(tr W)³": (
            tr[1] * tr[1] * tr[1],
            t1 * t1 * t1 * n**3 + t1 * t2 * (6 * n**2) + t3 * (8 * n),
        ),
    }


MOMENTS = moments()


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_of_letac_and_massam(name: str) -> None:
    value, printed = MOMENTS[name]
    assert expectation(value, S_, SIGMA_, n).equals(printed)


@pytest.mark.parametrize(("k", "expected"), [(1, 6), (2, 188), (3, 17992)])
def test_coefficient_sums_at_one_sample(k: int, expected: int) -> None:
    # All letters 1 at d = n = 1: S = g², E(1 + g²)^{2k} = Σ_j C(2k, j) (2j−1)!!.
    oracle = sum(sp.binomial(2 * k, j) * sp.factorial2(2 * j - 1) for j in range(2 * k + 1))
    assert oracle == expected
    mean = expectation((identity(d) + letter(LETTERS["K"]) @ s).power(k).norm2(), S_, SIGMA_, sp.Integer(1))
    assert sum(mean.terms.values()).subs(d, 1) == expected


def test_what_holds_no_sample_is_its_own_mean() -> None:
    fixed = letter(LETTERS["K"]) @ sigma + identity(d) * n
    assert expectation(fixed, S_, SIGMA_, n).equals(fixed)
    assert expectation(fixed.trace(), S_, SIGMA_, n).equals(fixed.trace())


@pytest.mark.parametrize("inverse", [inverse_letter(S_), pinv_letter(S_)])
def test_inverted_covariance_is_refused(inverse: Letter) -> None:
    # E of S⁻¹ is no polynomial in Σ; taking the letter S⁻¹ for a constant would be wrong.
    with pytest.raises(ArgumentError, match=r"^letter S: cannot take the mean over it where S\^"):
        expectation(s @ letter(inverse) @ letter(LETTERS["K"]) @ letter(inverse), S_, SIGMA_, n)
