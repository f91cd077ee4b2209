"""Wrong predictions, made from right ones, and the question whether a check tells the two apart.

A mutant of a word polynomial differs from it in one place: a term, one of the summands of a term's
coefficient, a factor of a word, or a scalar.  Only those that are another polynomial are kept; equality
is decided by the normal form, so a transposed factor that changes no value (tr VᵀΣ for tr VΣ) is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray

from theory import notation as nt
from theory.words.letters import Factor, Letter, Word
from theory.words.poly import Matrix, Scalar, identity, letter, scalar
from verify.checks import descent, run
from verify.ledger.evidence import Evidence

Poly = TypeVar("Poly", Scalar, Matrix)
Edit = Callable[[Factor], Iterable[tuple[str, Matrix]]]
BY_LENGTH = 1 + 1 / nt.n
BY_EIGHTH = sp.Rational(9, 8)  # where n is not in the setting


def _product(word: Word, dim: Any) -> Matrix:
    """The word as a polynomial, the empty one as the identity of size ``dim``."""
    total = identity(word[0].rows if word else dim)
    for f in word:
        total = total @ (letter(f.letter).T if f.transposed else letter(f.letter))
    return total


def _term(of: Poly, products: list[Matrix], coefficient: sp.Expr) -> Poly:
    """A term of the kind of ``of``: traces of the products, and for a matrix the last one left open."""
    *closed, last = products if isinstance(of, Matrix) else [*products, identity(1)]
    weight = scalar(coefficient)
    for one in closed:
        weight = weight * one.trace()
    return last * weight if isinstance(of, Matrix) else weight


def _terms(of: Poly) -> Iterator[tuple[str, list[Word], list[Matrix], sp.Expr]]:
    """(text, words, their products, coefficient) of each term, a coefficient that is a sum split up."""
    for key, coefficient in of.terms.items():
        words = [*key[0], key[1]] if isinstance(of, Matrix) else [*key]
        products = [_product(w, of.rows if isinstance(of, Matrix) else 1) for w in words]
        text = " · ".join(" ".join(map(str, w)) or "I" for w in words)
        for part in sp.Add.make_args(sp.expand(coefficient)):
            yield f"({part}) {text}", words, products, part


def _edited(of: Poly, edit: Edit) -> Iterator[tuple[str, Poly]]:
    """``of`` with one factor of one term replaced by what ``edit`` offers for it, all ways."""
    for text, words, products, part in _terms(of):
        number = count(1)
        for at, word in enumerate(words):
            for place, f in enumerate(word):
                where = f"{text}, factor {next(number)}"
                for label, new in edit(f):
                    if new.shape == (f.rows, f.cols):
                        changed = _product(word[:place], f.rows) @ new @ _product(word[place + 1 :], f.cols)
                        others = [*products[:at], changed, *products[at + 1 :]]
                        mutant = of - _term(of, products, part) + _term(of, others, part)
                        yield f"{where}: {f} {label}", mutant


def _edits(letters: Iterable[Letter]) -> Edit:
    """Transposed, left out, doubled, not inverted, or another of ``letters`` in its place."""

    def edit(f: Factor) -> Iterator[tuple[str, Matrix]]:
        now = _product((f,), f.rows)
        if f.rows == f.cols:
            yield "transposed", now.T
            yield "left out", identity(f.rows)
            yield "doubled", now @ now
        if f.letter.of is not None:
            base = letter(f.letter.of)
            yield "not inverted", base if f.letter.kind == "inv" else base.T
        for other in letters:
            if other != f.letter:
                yield f"is {other}", letter(other)
                yield f"is {other} transposed", letter(other).T

    return edit


def mutants(
    of: Poly,
    factor: sp.Expr = BY_EIGHTH,
    scalars: Mapping[sp.Symbol, Any] | None = None,
    letters: Iterable[Letter] = (),
    words: bool = True,
) -> dict[str, Poly]:
    """All mutants by name: the whole and each term times ``factor``, the sign of each term flipped, each
    of ``scalars`` replaced, and with ``words`` each factor edited.  ``letters`` may be swapped in besides
    those of ``of``; the swap keeps the shape."""
    found: list[tuple[str, Poly]] = [(f"all times {factor}", of * factor)]
    for text, _, products, part in _terms(of):
        term = _term(of, products, part)
        found.append((f"{text} times {factor}", of + term * (factor - 1)))
        found.append((f"{text} with the other sign", of - term * 2))
    if words:
        found += _edited(of, _edits(sorted({*of.letters(), *letters}, key=lambda one: one.name)))
    for old, new in (scalars or {}).items():
        found.append((f"{new} for {old}", of.map_coefficients(lambda c, old=old, new=new: c.subs(old, new))))
    kept: dict[frozenset, tuple[str, Poly]] = {}
    for name, mutant in found:
        if not mutant.equals(of):
            kept.setdefault(frozenset(mutant.terms.items()), (name, mutant))
    assert len(dict(kept.values())) == len(kept)  # no two mutants of one name
    return dict(kept.values())


# Checks and their predictions ----------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A check with everything but its prediction fixed, the right prediction, and wrong ones by name."""

    check: Callable[[Any], Evidence]
    right: Any
    wrong: Mapping[str, Any]


Plan = Mapping[str, tuple[Callable[[], Case], ...]]


def of_words(check: Callable[[Any], Evidence], make: Callable[[Poly], Any], of: Poly, **more: Any) -> Case:
    """The case whose wrong predictions are ``make`` of all :func:`mutants` of ``of``."""
    return Case(check, make(of), {name: make(mutant) for name, mutant in mutants(of, **more).items()})


@contextmanager
def shared_work() -> Iterator[None]:
    """Samples are drawn, and descent is run, once for all predictions of a case.

    Sound because neither depends on the prediction, and the seed is the same for all: every check
    that asks for the j-th draw gets the same numbers, in the order in which one check would draw them.
    """
    first: list[Callable[[int], NDArray[np.float64]]] = []
    kept: list[NDArray[np.float64]] = []

    def sampled(draw: Callable[[int], NDArray[np.float64]], *args: Any, **options: Any) -> Evidence:
        first.append(draw)
        calls = count()

        def again(size: int) -> NDArray[np.float64]:
            if (at := next(calls)) == len(kept):
                kept.append(first[0](size))
            return kept[at]

        return run.sampled(again, *args, **options)

    modules = (
        "allocation",
        "risk",
        "population",
        "pretraining",
        "joint",
        "kstep",
        "policy_gradient",
        "error_terms",
        "equivalents",
        "risk_curve",
        "curvature",
        "beyond",
        "beyond_tuning",
    )
    patches = [patch(f"verify.checks.{name}.sampled", sampled) for name in modules]
    patches.append(patch.object(descent, "trajectory", cache(descent.trajectory)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny matrices: waiting for a second thread is all that it would do
    for one in patches:
        one.start()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        for one in patches:
            one.stop()


def unnoticed(case: Case) -> dict[str, str]:
    """The outcomes that are not as they must be: ``agrees`` for the right prediction, ``differs`` for
    every wrong one."""
    with shared_work():
        right = case.check(case.right)
        found = {} if right.outcome == "agrees" else {"the right one": f"{right.outcome}: {right.measured}"}
        for name, prediction in case.wrong.items():
            evidence = case.check(prediction)
            if evidence.outcome != "differs":
                found[name] = f"{evidence.outcome}: {evidence.measured}"
    return found
