"""E over S by enumerating every pairing of its samples (Wick's theorem): the oracle of ``theory/wishart.py``.

Each S is (1/n) Σ_a x_a x_aᵀ, so a product of m of them has 2m ends x_a, and its mean is the sum over the
(2m − 1)!! pairings of the ends: a pair puts Σ between its ends and makes their samples one.  This is done
twice, for words and for integer matrices, with an order of factors and a normal form of its own.

A word is a string: "S" is S, "G" is Σ, another capital letter a matrix and the small letter its transpose.
"KSL Sm" is the matrix K S L times tr(S Mᵀ), " Sm" the trace alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from math import comb, prod
from string import ascii_letters

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.words import Letter, Matrix, Scalar, identity, letter

Traces = tuple[str, ...]
Mean = dict[Traces, dict[int, int]]  # product of traces: power of 1/n: number of pairings
SYMMETRIC = str.maketrans("sgc", "SGC")


def pairings(size: int) -> Iterator[list[int]]:
    """Every pairing of 0 … size − 1 as a list of partners; one list, changed in place."""
    partner = [-1] * size

    def rest(first: int) -> Iterator[list[int]]:
        while first < size and partner[first] >= 0:
            first += 1
        if first == size:
            yield partner
        for other in range(first + 1, size):
            if partner[other] < 0:
                partner[first], partner[other] = other, first
                yield from rest(first + 1)
                partner[first] = partner[other] = -1

    return rest(0)


def free_samples(partner: list[int]) -> int:
    """How many samples are left: ends 2j and 2j + 1 are those of one S, and paired ends have one sample."""
    count, seen = 0, [False] * len(partner)
    for start in range(0, len(partner), 2):
        count += not seen[start]
        end = start
        while not seen[end]:
            seen[end] = seen[partner[end]] = True
            end = partner[end] ^ 1
    return count


def transposed(word: str) -> str:
    return word[::-1].swapcase().translate(SYMMETRIC)


@cache
def least(word: str) -> str:
    """One form for tr(word): the first in the alphabet of all rotations of the word and its transpose."""
    turned = transposed(word)
    return min(w[i:] + w[:i] for w in (word, turned) for i in range(max(1, len(word))))


def _gaps(traces: Traces) -> tuple[list[tuple[int, str]], Traces]:
    """(for each end, the end at the far side of its gap and the word from here to there; words without S)."""
    across: list[tuple[int, str]] = []
    fixed = []
    for word in traces:
        first, *after = word.split("S")
        if not after:
            fixed.append(least(word))
            continue
        after[-1] += first
        base, count = len(across), len(after)
        for i in range(count):
            # S number i: its left end closes the gap before it, its right end opens the one after it.
            across.append((base + 2 * ((i - 1) % count) + 1, transposed(after[i - 1])))
            across.append((base + 2 * ((i + 1) % count), after[i]))
    return across, tuple(fixed)


def _loops(partner: list[int], across: list[tuple[int, str]]) -> list[str]:
    """The traces that a pairing leaves: along a gap, over the pair to the next gap, until it closes."""
    found, seen = [], [False] * len(partner)
    for start in range(len(partner)):
        word, end = "", start
        while not seen[end]:
            far, gap = across[end]
            seen[end] = seen[far] = True
            word += gap + "G"
            end = partner[far]
        if word:
            found.append(least(word))
    return found


def pairing_mean(monomials: Mapping[Traces, int]) -> Mean:
    """E of Σ coefficient · Π tr(word), as {product of traces: {power of 1/n: integer}}."""
    total: dict[Traces, Counter[int]] = defaultdict(Counter)
    for traces, coefficient in monomials.items():
        across, fixed = _gaps(traces)
        for partner in pairings(len(across)):
            key = tuple(sorted([*_loops(partner, across), *fixed]))
            total[key][len(across) // 2 - free_samples(partner)] += coefficient
    return {key: dict(powers) for key, powers in total.items()}


def risk(k: int) -> dict[Traces, int]:
    """‖(I + V S)^k‖_F² = Σ_ij C(k, i) C(k, j) tr((S Vᵀ)^i (V S)^j)."""
    monomials: Counter[Traces] = Counter()
    for i in range(k + 1):
        for j in range(k + 1):
            monomials[(least("Sv" * i + "VS" * j),)] += comb(k, i) * comb(k, j)
    return dict(monomials)


def pairing_sum(text: str, at: Mapping[str, NDArray[np.int64]], size: int) -> NDArray[np.int64]:
    """n^m E[…] at integer matrices and n = ``size``, m the number of S, as sums over indices."""
    dim = len(at["G"])

    def product(word: str) -> NDArray[np.int64]:
        factors = [at[c] if c in at else at[c.swapcase()].T for c in word]
        return reduce(np.matmul, factors or [np.eye(dim, dtype=np.int64)])

    names = iter(ascii_letters)
    ends: list[str] = []  # the index of each end
    operands: list[tuple[str, NDArray[np.int64]]] = []
    result = ""
    for closed, word in enumerate(text.split(" ")):
        if not closed and not word:
            continue
        gaps = word.split("S")
        inner = [next(names) for _ in gaps[1:] * 2]
        ends += inner
        if closed and inner:  # the last gap runs on into the first
            corners, gaps = [*inner[1:], inner[0]], [*gaps[1:-1], gaps[-1] + gaps[0]]
        else:
            head = next(names)
            corners = [head, *inner, head if closed else next(names)]
        if not closed:
            result = corners[0] + corners[-1]
        operands += [(corners[2 * i] + corners[2 * i + 1], product(gap)) for i, gap in enumerate(gaps)]
    order = len(ends) // 2
    # No sum exceeds the product of the sums of all entries.
    largest = (size * int(np.abs(at["G"]).sum())) ** order * prod(range(1, 2 * order, 2))
    assert largest * prod(int(np.abs(matrix).sum()) for _, matrix in operands) < 2**63
    total: NDArray[np.int64] = np.zeros((), dtype=np.int64)
    for partner in pairings(2 * order):
        pairs = [(ends[p] + ends[q], at["G"]) for p, q in enumerate(partner) if p < q]
        indices = ",".join(index for index, _ in operands + pairs) + "->" + result
        values = (matrix for _, matrix in operands + pairs)
        total = total + size ** free_samples(partner) * np.einsum(indices, *values)
    return total


# The same words as polynomials of theory/words.
d, e, n = sp.symbols("d e n", integer=True, positive=True)
LETTERS = {name: Letter(name, d, d) for name in "KLMNV"}
LETTERS |= {"P": Letter("P", d, e), "U": Letter("U", d, 1)}
LETTERS |= {name: Letter(name, d, d, symmetric=True) for name in "SC"}
LETTERS["G"] = Letter("Sigma", d, d, symmetric=True)
NAMES = {one: name for name, one in LETTERS.items()}


def product(word: str) -> Matrix:
    factors = (letter(LETTERS[c]) if c in LETTERS else letter(LETTERS[c.swapcase()]).T for c in word)
    return reduce(Matrix.__matmul__, factors) if word else identity(d)


def polynomial(text: str) -> Matrix | Scalar:
    opened, *closed = text.split(" ")
    traces = [product(word).trace() for word in closed]
    if not opened:
        return prod(traces[1:], start=traces[0])
    return prod(traces, start=product(opened))


def counted(mean: Scalar) -> Mean:
    """The terms of a mean as :func:`pairing_mean` has them; tr(I) = d is the empty word."""
    found: Mean = {}
    for words, coefficient in mean.terms.items():
        spelled = [
            "".join(NAMES[f.letter].lower() if f.transposed else NAMES[f.letter] for f in w) for w in words
        ]
        for term in sp.Add.make_args(sp.expand(coefficient)):
            number, _ = term.as_coeff_Mul()
            powers = term.as_powers_dict()
            key = tuple(sorted([*map(least, spelled), *[""] * int(powers[d])]))
            at = found.setdefault(key, {})
            power = -int(powers[n])
            assert power not in at, f"{key} twice"  # else two terms of the mean would be one
            at[power] = int(number)
    return found
