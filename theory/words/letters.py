"""Letters and words: products of non-commuting matrices in a normal form.

A word is a tuple of factors, read left to right as a matrix product.  Its normal form applies, until
nothing changes, the rules below; each is an axiom of the derivations, so each is tested on generic
and on rank-deficient matrices (``tests/test_words.py``).

==================  =====================================================================
symmetric A         Aᵀ = A
idempotent P        PP = P
inverse             A A⁻¹ = A⁻¹ A = I, and transposed
pseudo-inverse      A A† A = A,  A† A A† = A†,  (A A†)ᵀ = A A†,  (A† A)ᵀ = A† A
symmetric A         A† A = A A†
==================  =====================================================================

There is no rule (AB)† = B†A†: it is false.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import sympy as sp

from theory.errors import ArgumentError

Dim: TypeAlias = Any  # a SymPy integer or symbol; SymPy carries no types


@dataclass(frozen=True)
class Letter:
    """A named matrix of shape ``rows`` × ``cols`` (SymPy integers or symbols).

    ``of`` and ``kind`` tie a letter to the one that it inverts: ``kind`` is ``""`` for a matrix of its
    own, ``"inv"`` or ``"pinv"`` for the inverse or Moore-Penrose pseudo-inverse of ``of``.
    """

    name: str
    rows: Dim
    cols: Dim
    symmetric: bool = False
    idempotent: bool = False
    kind: str = ""
    of: Letter | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", sp.sympify(self.rows))
        object.__setattr__(self, "cols", sp.sympify(self.cols))
        if (self.symmetric or self.idempotent) and self.rows != self.cols:
            raise ArgumentError(f"letter {self.name}: a {self.rows} × {self.cols} matrix is not square")

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name


def inverse_letter(letter: Letter) -> Letter:
    """The letter of A⁻¹; of A⁻¹ itself, A."""
    if letter.kind == "inv" and letter.of is not None:
        return letter.of
    if letter.rows != letter.cols:
        raise ArgumentError(f"letter {letter.name}: a {letter.rows} × {letter.cols} matrix has no inverse")
    name = f"{letter.name}^-1"
    return Letter(name, letter.cols, letter.rows, letter.symmetric, letter.idempotent, "inv", letter)


def pinv_letter(letter: Letter) -> Letter:
    """The letter of the Moore-Penrose pseudo-inverse A†; of A† itself, A."""
    if letter.kind == "pinv" and letter.of is not None:
        return letter.of
    name = f"{letter.name}^+"
    return Letter(name, letter.cols, letter.rows, letter.symmetric, False, "pinv", letter)


def inverts(letter: Letter, target: Letter) -> bool:
    """Whether ``letter`` is an inverse or pseudo-inverse of ``target``, or one of those again."""
    return letter.of is not None and (letter.of == target or inverts(letter.of, target))


def check_free(letters: set[Letter], target: Letter, verb: str) -> None:
    """Raises :class:`ArgumentError` if an inverse of ``target`` is among ``letters``: it is a letter of
    its own, and what is done to ``target`` alone would leave it as it was."""
    found = sorted(str(one) for one in letters if inverts(one, target))
    if found:
        raise ArgumentError(f"letter {target}: cannot {verb} where {', '.join(found)} depends on it")


@dataclass(frozen=True)
class Factor:
    """A letter, or its transpose, inside a word."""

    letter: Letter
    transposed: bool = False

    @property
    def rows(self) -> Dim:
        """Number of rows, of the transpose where it is one."""
        return self.letter.cols if self.transposed else self.letter.rows

    @property
    def cols(self) -> Dim:
        """Number of columns."""
        return self.letter.rows if self.transposed else self.letter.cols

    @property
    def T(self) -> Factor:
        """The transpose: itself for a symmetric letter."""
        return self if self.letter.symmetric else Factor(self.letter, not self.transposed)

    @property
    def key(self) -> tuple[str, bool]:
        """What factors are sorted by."""
        return (self.letter.name, self.transposed)

    def __str__(self) -> str:
        return self.letter.name + ("'" if self.transposed else "")


Word = tuple[Factor, ...]


def transpose(word: Word) -> Word:
    """(A B …)ᵀ = … Bᵀ Aᵀ."""
    return tuple(f.T for f in reversed(word))


def word_key(word: Word) -> tuple[int, tuple[tuple[str, bool], ...]]:
    """A total order on words: by length, then by name."""
    return (len(word), tuple(f.key for f in word))


def _pair_rule(a: Factor, b: Factor) -> Word | None:
    """The normal form of the product of two neighbours, or None where no rule applies."""
    same_side = a.transposed == b.transposed
    if a.letter == b.letter and a.letter.idempotent and same_side:
        return (a,)
    if same_side and (
        (a.letter.kind == "inv" and a.letter.of == b.letter)
        or (b.letter.kind == "inv" and b.letter.of == a.letter)
    ):
        return ()
    if a.letter.kind == "pinv" and a.letter.of == b.letter:
        # (A†)ᵀ Aᵀ = A A†: the projections are symmetric and written without transposes.
        if a.transposed and b.transposed:
            return (b.T, a.T)
        if a.letter.symmetric:
            return (b, a)
    if b.letter.kind == "pinv" and b.letter.of == a.letter and a.transposed and b.transposed:
        return (b.T, a.T)
    return None


def _triple_rule(a: Factor, b: Factor, c: Factor) -> Word | None:
    """Penrose's equations, and what they say of the neighbours of the projections A A† and A† A."""
    for x, y, other, at_left in ((a, b, c, False), (b, c, a, True)):
        if x.transposed or y.transposed:
            continue
        if y.letter.kind == "pinv" and y.letter.of == x.letter:
            base = x.letter  # x y = A A†, the projection onto range(A)
            onto = (Factor(base), Factor(y.letter).T)
            onto_t = (Factor(base).T, Factor(y.letter))
        elif x.letter.kind == "pinv" and x.letter.of == y.letter:
            base = y.letter  # x y = A† A, the projection onto range(Aᵀ)
            onto = (Factor(base).T, Factor(x.letter))
            onto_t = (Factor(base), Factor(x.letter).T)
        else:
            continue
        # P B = B for B in `onto`; B P = B for B in `onto_t`.
        if (not at_left and other in onto) or (at_left and other in onto_t):
            return (other,)
    return None


def _has_rules(word: Word) -> bool:
    return any(f.letter.idempotent or f.letter.of is not None for f in word)


@lru_cache(maxsize=2**16)
def reduce_word(word: Word) -> Word:
    """The normal form of ``word``; raises :class:`ArgumentError` where the shapes do not chain."""
    for a, b in pairwise(word):
        if a.cols != b.rows:
            raise ArgumentError(
                f"word {' '.join(map(str, word))}: {a} has {a.cols} columns, {b} {b.rows} rows"
            )
    current = tuple(Factor(f.letter, f.transposed and not f.letter.symmetric) for f in word)
    changed = _has_rules(word)
    while changed:
        changed = False
        for width, rule in ((2, _pair_rule), (3, _triple_rule)):
            for i in range(len(current) - width + 1):
                new = rule(*current[i : i + width])
                if new is not None:
                    current = current[:i] + new + current[i + width :]
                    changed = True
                    break
            if changed:
                break
    return current


def _rotations(word: Word) -> list[Word]:
    return [word[i:] + word[:i] for i in range(len(word))] or [word]


def _reduce_cyclic(word: Word) -> Word:
    """``word`` reduced across its ends, until every rotation of it is in normal form."""
    current, seen = reduce_word(word), set()
    while _has_rules(current) and current not in seen:
        seen.add(current)  # S S† and its rotation S† S reduce to each other
        changed = (new for old in _rotations(current) if (new := reduce_word(old)) != old)
        current = next((new for new in changed if new not in seen), current)
    return current


@lru_cache(maxsize=2**16)
def reduce_trace(word: Word) -> Word:
    """The normal form of tr(word): reduced in every rotation, as the rules also act across the ends,
    then the least among the rotations of the word and of its transpose.

    Raises :class:`ArgumentError` for a word that is not square.
    """
    if word and word[0].rows != word[-1].cols:
        raise ArgumentError(f"tr({' '.join(map(str, word))}): {word[0].rows} × {word[-1].cols} is not square")
    current = _reduce_cyclic(word)
    mirrored = _reduce_cyclic(transpose(current))
    return min(_rotations(current) + _rotations(mirrored), key=word_key)
