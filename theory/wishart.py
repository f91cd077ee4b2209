"""Expectations over the empirical covariance S = XXᵀ/n, x ~ N(0, Σ) independent, n ≥ 1.

Gaussian integration by parts.  With S = (1/n) Σ_a x_a x_aᵀ and E[x_a f] = Σ E[∂f/∂x_a], the left x_a
of one S meets, each in turn, its own right x_aᵀ and both sides of every other S:

- own right side:                       L S R             →  L Σ R
- left side of a later S:               L S Q S R         →  (1/n) L Σ Qᵀ S R
- right side of a later S:              L S Q S R         →  (1/n) tr(Q S) L Σ R
- either side of an S in a trace:       L S R · tr(S T)   →  (1/n) L Σ (T + Tᵀ) S R

One S is gone in each, so it ends; :mod:`theory.contraction` does it.  Here: from matrix words to its
strings and back, and what is made of expectations.  Notes: ``notes/words.md``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from math import factorial, lcm, prod

import sympy as sp

from theory.contraction import CENTRED, SIGMA, Contraction, Progress
from theory.contraction import S as RANDOM
from theory.contraction import Traces as Strings
from theory.errors import ArgumentError
from theory.words.letters import Factor, Letter, Word, check_free, inverse_letter, transpose
from theory.words.poly import Matrix, Scalar, Traces, Words, letter

Means = Callable[[list[tuple[Strings, sp.Expr]]], dict[Strings, sp.Expr]]
TERM_LIMIT = 200_000  # terms that a derivation may be predicted to have: minutes, and a few GB


def _check(S: Letter, Sigma: Letter, n: sp.Expr, centred: Letter | None) -> sp.Expr:
    size = sp.sympify(n)
    if not (isinstance(size, sp.Expr) and size.is_integer and size.is_positive):
        raise ArgumentError(f"n={n}: must be a positive integer, or a symbol declared one")
    for name, one in (("S", S), ("Sigma", Sigma), ("centred", centred)):
        if one is not None and not (one.symmetric and one.rows == Sigma.rows):
            raise ArgumentError(
                f"{name}={one}: must be a symmetric letter of shape {Sigma.rows} × {Sigma.rows}"
            )
    return size


class _Alphabet:
    """A character for each factor, mirrored by that of its transpose."""

    def __init__(self, S: Letter, Sigma: Letter, centred: Letter | None) -> None:
        self.factor = {RANDOM: Factor(S), SIGMA: Factor(Sigma)}
        if centred is not None:
            self.factor[CENTRED] = Factor(centred)
        self.character = {factor: character for character, factor in self.factor.items()}

    def write(self, word: Word) -> str:
        for factor in word:
            for new in (factor, factor.T):
                if new not in self.character:
                    character = chr(16 + len(self.character))
                    self.character[new], self.factor[character] = character, new
        return "".join(self.character[factor] for factor in word)

    def read(self, text: str) -> Word:
        return tuple(self.factor[character] for character in text)

    def traces(self, words: Strings) -> Traces:
        return tuple(self.read(word) for word in words)

    def mirror(self) -> dict[str, str]:
        return {character: self.character[factor.T] for character, factor in self.factor.items()}


def _gaps(word: str) -> Iterator[str]:
    """What lies between neighbouring S of a trace."""
    parts = word.replace(CENTRED, RANDOM).split(RANDOM)
    if len(parts) > 1:
        yield parts[-1] + parts[0]
        yield from parts[1:-1]


def _predicted(monomials: Mapping[Strings, int], engine: Contraction) -> int:
    """About how many terms the expectation has.

    Order m has (2m − 1)!! pairings, and those that differ by an exchange of equal matrices between the S
    give one term.  Right to a factor of about two for the k-step risk, and exact for distinct matrices."""
    kinds = set()
    for words in monomials:
        gaps = Counter(min(gap, engine.transpose(gap)) for word in words for gap in _gaps(word))
        kinds.add(tuple(sorted(gaps.items())))
    total = 0
    for kind in kinds:
        order = sum(times for _, times in kind)
        pairings = prod(range(1, 2 * order, 2))
        total += max(1, pairings // prod(factorial(times) for _, times in kind))
    return total


def _split(coefficient: sp.Expr) -> tuple[sp.Rational, sp.Expr]:
    number, rest = sp.sympify(coefficient).as_coeff_Mul(rational=True)
    return number, rest


def _means(
    monomials: list[tuple[Strings, sp.Expr]],
    alphabet: _Alphabet,
    n: sp.Expr,
    limit: float,
    progress: Progress | None,
) -> dict[Strings, sp.Expr]:
    """E of Σ coefficient · Π tr(word), as strings."""
    parts = [(words, *_split(c)) for words, c in monomials]
    scale = lcm(*(number.q for _, number, _ in parts))
    slots = {rest: i for i, rest in enumerate(dict.fromkeys(rest for *_, rest in parts))}
    order = max((sum(w.count(RANDOM) + w.count(CENTRED) for w in words) for words, *_ in parts), default=0)
    # No coefficient of any power exceeds the sum of all pairings; one bit more for its sign, one to spare.
    bound = sum(abs(int(number * scale)) for _, number, _ in parts) * prod(range(1, 2 * order, 2))
    width = bound.bit_length() + 2
    engine = Contraction(alphabet.mirror(), width)
    packed: dict[Strings, int] = defaultdict(int)
    for words, number, rest in parts:
        packed[words] += int(number * scale) << (slots[rest] * (order + 1) * width)
    predicted = _predicted(packed, engine)
    if predicted > limit:
        raise ArgumentError(
            f"expression has order {order} in S: must be simpler, about {predicted:,} terms, "
            f"more than limit={limit:,.0f}"
        )
    powers = [rest * n**-p / scale for rest in slots for p in range(order + 1)]
    half, full, known, plain = 1 << (width - 1), 1 << width, {}, set(slots) <= {sp.Integer(1)} and n.is_Atom

    def unpack(value: int) -> sp.Expr:
        found = []
        for power in powers:
            digit = ((value + half) % full) - half
            value = (value - digit) >> width
            if digit:
                found.append(digit * power)
        return sp.Add(*found)

    result = {}
    for words, value in engine.expectation(packed, progress).items():
        if value not in known:
            known[value] = unpack(value) if plain else sp.expand(unpack(value))
        result[words] = known[value]
    return result


def expectation(
    expression: Words,
    S: Letter,
    Sigma: Letter,
    n: sp.Expr,
    *,
    centred: Letter | None = None,
    limit: float = TERM_LIMIT,
    progress: Progress | None = None,
) -> Words:
    """E over S of ``expression``, a polynomial in S; every other letter is fixed, of any shape.

    ``Sigma`` and ``n`` (a positive integer, or a symbol declared one) are those of S = XXᵀ/n; ``centred``
    is a letter that stands for S − Σ.  The result has the type of ``expression``.  ``progress`` is called
    with the share done, 0 to 1.

    Raises :class:`ArgumentError` where S is inverted (see :func:`inverse_mean`), for letters S, Σ that are
    not symmetric, for a bad n, and where more than ``limit`` terms are predicted.
    """
    size = _check(S, Sigma, n, centred)
    for name, one, taken in (("S", S, (Sigma,)), ("centred", centred, (S, Sigma))):
        if one in taken:
            raise ArgumentError(f"{name}={one}: must be a letter of its own")
    for random in filter(None, (S, centred)):
        check_free(expression.letters(), random, "take the mean over it")
    alphabet = _Alphabet(S, Sigma, centred)

    def means(monomials: list[tuple[Strings, sp.Expr]]) -> dict[Strings, sp.Expr]:
        return _means(monomials, alphabet, size, limit, progress)

    if isinstance(expression, Scalar):
        return _scalar_mean(expression, alphabet, means)
    return _matrix_mean(expression, alphabet, means)


def _scalar_mean(expression: Scalar, alphabet: _Alphabet, means: Means) -> Scalar:
    found = means([(tuple(map(alphabet.write, traces)), c) for traces, c in expression.terms.items()])
    return Scalar.of_terms((alphabet.traces(words), c) for words, c in found.items())


def _matrix_mean(expression: Matrix, alphabet: _Alphabet, means: Means) -> Matrix:
    """E[M] from E[tr(Z M)] with a letter Z of its own."""
    mark = Factor(Letter("\0", expression.cols, expression.rows))
    begin, end = alphabet.write((mark,)), alphabet.write((mark.T,))
    monomials = [
        ((*map(alphabet.write, traces), begin + alphabet.write(word)), c)
        for (traces, word), c in expression.terms.items()
    ]

    def opened(words: Strings, c: sp.Expr) -> tuple[Traces, Word, sp.Expr]:
        marked = next(w for w in words if begin in w or end in w)
        at = marked.index(begin if begin in marked else end)
        word = alphabet.read(marked[at + 1 :] + marked[:at])
        others = alphabet.traces(tuple(w for w in words if w is not marked))
        return others, word if begin in marked else transpose(word), c

    found = (opened(words, c) for words, c in means(monomials).items())
    return Matrix.of_terms(expression.rows, expression.cols, found)


def covariance(f: Scalar, g: Scalar, S: Letter, Sigma: Letter, n: sp.Expr) -> Scalar:
    """Cov(f, g) = E[fg] − E[f]E[g] of two polynomials in traces, exact.  Raises as :func:`expectation`."""
    both, first, second = (expectation(x, S, Sigma, n) for x in (f * g, f, g))
    return both - first * second


def variance(f: Scalar, S: Letter, Sigma: Letter, n: sp.Expr) -> Scalar:
    """Var(f) = Cov(f, f).  Raises as :func:`expectation`."""
    return covariance(f, f, S, Sigma, n)


def _degrees(Sigma: Letter, n: sp.Expr, excess: int, what: str) -> sp.Expr:
    """n − d − ``excess`` if it is positive."""
    size = _check(Sigma, Sigma, n, None)
    left = sp.expand(size - Sigma.rows - excess)
    if not left.is_positive:
        why = "does not exist" if left.is_nonpositive else "may not exist"
        raise ArgumentError(
            f"n={n}: {what} {why}: must have n > d + {excess}, d = {Sigma.rows} "
            f"(for a symbolic n, d + {excess} + m with m declared positive)"
        )
    return left


def inverse_mean(Sigma: Letter, n: sp.Expr) -> Matrix:
    """E[S⁻¹] = n Σ⁻¹ / (n − d − 1); it exists if and only if n > d + 1.

    Raises :class:`ArgumentError` where it does not exist, or where that cannot be told from a symbolic n.
    """
    return letter(inverse_letter(Sigma)) * (n / _degrees(Sigma, n, 1, "E[S⁻¹]"))


def inverse_quadratic_mean(M: Matrix, Sigma: Letter, n: sp.Expr) -> Matrix:
    """E[S⁻¹ M S⁻¹] for a fixed d × d matrix M; it exists if and only if n > d + 3, or Mᵀ = −M and n > d + 1.

    n² ((n − d − 2) Σ⁻¹MΣ⁻¹ + Σ⁻¹MᵀΣ⁻¹ + tr(MΣ⁻¹)Σ⁻¹) / ((n − d)(n − d − 1)(n − d − 3)) (Haff 1979;
    Letac & Massam 2004).

    Raises :class:`ArgumentError` where it does not exist, or where that cannot be told from a symbolic n,
    and for an M of another shape.
    """
    if M.shape != (Sigma.rows, Sigma.rows):
        raise ArgumentError(f"M is {M.rows} × {M.cols}: must be {Sigma.rows} × {Sigma.rows}")
    inverse = letter(inverse_letter(Sigma))
    if M.equals(-M.T):
        # S⁻¹MS⁻¹ has 2 × 2 minors of S⁻¹ alone, in which its largest eigenvalue is not squared.
        over = _degrees(Sigma, n, 1, "E[S⁻¹MS⁻¹]")
        return inverse @ M @ inverse * (n**2 / ((over + 1) * over))
    over = _degrees(Sigma, n, 3, "E[S⁻¹MS⁻¹]")
    pieces = inverse @ M @ inverse * (over + 1) + inverse @ M.T @ inverse + inverse * (M @ inverse).trace()
    return pieces * (n**2 / ((over + 3) * (over + 2) * over))
