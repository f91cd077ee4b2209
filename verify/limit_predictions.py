"""From the printed formulas of the proportional limit to numbers: definitions first, then what uses them.

The expressions are arguments, so that wrong ones go the same way as right ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import prod
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.optimize import brentq

from theory import block_symbols as bs
from theory import notation as nt
from theory import sft_limit
from theory import sft_limit_calculus as calculus
from theory.lower import lower_matrix
from theory.words.evaluate import evaluate
from theory.words.letters import inverse_letter, pinv_letter
from theory.words.poly import Matrix
from verify.checks.sft_columns import Ideal, Normals
from verify.checks.sft_limit import Task
from verify.stats.bounded_algebra import inverse, pseudo_inverse
from verify.surface import value

Array = NDArray[np.float64]
Families = Mapping[sp.IndexedBase, Sequence[Any]]
Scalars = Mapping[sp.Symbol, Any]
LAST = 1e9  # no root q is larger: w would be 1 to nine digits


@dataclass(frozen=True)
class Values:
    """Block values and scalars of the formulas, numbers of any kind: floats, or SymPy's rationals."""

    families: Families
    scalars: Scalars

    @property
    def blocks(self) -> int:
        return len(self.families[bs.mu])

    def of(self, node: sp.Basic, block: int | None = None) -> Any:
        """``node`` here; a block index in it, of a sum or its own, stands for block ``block`` (from 1)."""
        if node.is_Number:
            return int(node) if node.is_Integer else float(node)
        if isinstance(node, sp.Symbol):
            return self.scalars[node]
        if isinstance(node, sp.Indexed):
            at = int(node.indices[0]) if node.indices[0].is_Integer else block
            assert at is not None, f"{node}: no block"
            return self.families[node.base][at - 1]
        if isinstance(node, sp.Sum):
            return sum(self.of(node.function, at + 1) for at in range(self.blocks))
        values = [self.of(each, block) for each in node.args]
        if isinstance(node, sp.Pow):
            return values[0] ** values[1]
        assert isinstance(node, sp.Add | sp.Mul), f"{type(node)}: no rule"
        return sum(values) if isinstance(node, sp.Add) else prod(values)

    def with_levels(self, base: sp.IndexedBase, levels: Sequence[Any]) -> Values:
        return replace(self, families={**self.families, base: tuple(levels)})

    def with_scalar(self, symbol: sp.Symbol, value: Any) -> Values:
        return replace(self, scalars={**self.scalars, symbol: value})

    def defined(self, definitions: Iterable[sp.Eq]) -> Values:
        """With what the equations define, one after the other: scalars, or levels in terms of k."""
        found = self
        for each in definitions:
            if isinstance(each.lhs, sp.Indexed):
                levels = [found.of(each.rhs, block + 1) for block in range(self.blocks)]
                found = found.with_levels(each.lhs.base, levels)
            else:
                found = found.with_scalar(each.lhs, found.of(each.rhs))
        return found


def of_task(task: Task) -> Values:
    """What a task is given by."""
    families: Families = {bs.mu: task.weights, bs.a: task.post, bs.pre: task.pre, bs.Sigma: task.test}
    names = (bs.aspect, bs.aspect_pre, bs.aspect_test)
    scalars = dict(zip(names, task.aspects, strict=True)) | {
        nt.eta: task.eta,
        calculus.rank: task.rank,
    }
    return Values({base: tuple(float(x) for x in each) for base, each in families.items()}, scalars)


def equations(printed: sp.Basic) -> Iterator[sp.Eq]:
    """The equations in a display of several, in the order printed."""
    if isinstance(printed, sp.Eq):
        yield printed
    elif isinstance(printed, nt.Lines | nt.Listing):
        for each in printed.args:
            yield from equations(each)


def limits(printed: sp.Basic) -> list[sp.Expr]:
    """The values that a display of several says are tended to, in the order printed."""
    if isinstance(printed, nt.Tends):
        return [printed.args[3]]
    if isinstance(printed, nt.Lines | nt.Listing):
        return [value for each in printed.args for value in limits(each)]
    return []


def at_beta(start: Values, definitions: Sequence[sp.Eq], beta: Any) -> Values:
    """``start`` with what ``definitions`` define at β: the one with β as its right side is solved for q.

    Above the rank, where it has no solution, q is so large that w_k is 1 or 0 to nine digits.
    """
    (root,) = (each for each in definitions if each.rhs == bs.beta)
    shares = [each for each in definitions if each.lhs in calculus.SHARES]
    rest = [each for each in definitions if each is not root and each not in shares]
    now = start.with_scalar(bs.beta, float(beta)).defined(rest)
    levels = [float(level) for level in now.families[bs.c]]
    now = now.with_levels(calculus.c_dagger, [1 / c if c > 0 else 0 for c in levels])
    q = LAST
    if float(beta) < float(start.scalars[calculus.rank]):
        q = brentq(
            lambda at: now.with_scalar(bs.q, at).of(root.lhs) - float(beta),
            0.0,
            LAST,
            xtol=1e-300,
            rtol=1e-14,
        )
    return now.with_scalar(bs.q, q).defined(shares)


@cache
def values_at(task: Task, definitions: tuple[sp.Eq, ...]) -> list[Values]:
    """What is defined at each β of the task."""
    return [at_beta(of_task(task), definitions, beta) for beta in task.betas]


def curve(
    task: Task, definitions: Sequence[sp.Eq], below: sp.Expr, past: sp.Expr | None = None
) -> list[float]:
    """``below`` at the task's β, and above the rank ``past``, or else the limit q → ∞ of ``below``."""
    forms = [past if past is not None and beta > task.rank else below for beta in task.betas]
    return [v.of(form) for v, form in zip(values_at(task, tuple(definitions)), forms, strict=True)]


# Columns ------------------------------------------------------------------------------------------


def entries(form: sp.MatrixExpr, matrices: Mapping[sp.MatrixSymbol, sp.Matrix]) -> sp.Matrix:
    """Sums and products at explicit matrices, of entries that may be symbols; scalars stay as they are."""
    scalars = {symbol: symbol for symbol in form.atoms(sp.Symbol) - {nt.d}}
    return sp.Matrix(value(form, {**scalars, **matrices}))


def columns(form: sp.MatrixExpr, factors: Iterable[sp.Eq] = ()) -> Callable[[Normals], Array]:
    """A column made of w, h and c, as :class:`Normals` holds them; ``factors`` define scalars in it."""
    d = 3
    root, unit, h, w = sp.Matrix(d, d, sp.symbols("r:9")), *(sp.Matrix(sp.symbols(f"{a}:3")) for a in "uhw")
    known = {sft_limit.root: root, nt.A: root**2, sft_limit.u_hat: unit, sft_limit.h: h, nt.w_star: w}
    column_of = entries(form, known).subs({each.lhs: each.rhs for each in factors})
    column_of = column_of.subs({sft_limit.xi: (unit.T * h)[0], nt.d: d, nt.B: 1})
    names = ([*root], [*unit], [*h], [*w], sft_limit.norm_u, sft_limit.chi_square, nt.n)
    made = sp.lambdify(names, list(column_of))

    def column(of: Normals) -> Array:
        u = of.w @ of.root
        norm = np.linalg.norm(u, axis=1)
        unit = (u / norm[:, None]).T
        return np.stack(made(of.root.ravel(), unit, of.h.T, of.w.T, norm, of.c, of.n), axis=1)

    return column


def ideal(form: sp.MatrixExpr) -> Ideal:
    """The Gaussian matrix that Φ is near to, of Ω and H."""
    words = lower_matrix(form)
    names = [nt.letter_of(m) for m in (nt.A, sft_limit.root, nt.Omega, sft_limit.H)]

    def made(A: Array, ratio: float, Omega: Array, H: Array) -> Array:
        values = dict(zip(names, (A, np.sqrt(A), Omega, H), strict=True))
        return np.asarray(evaluate(words, values, {bs.aspect: ratio, calculus.a_bar: np.trace(A) / len(A)}))

    return made


def regression(
    slope: sp.MatrixExpr, remainder: sp.MatrixExpr, own: sp.MatrixExpr
) -> Callable[[Array, int], tuple[Array, Array]]:
    """L and the remainder from A and from C, which is ``own`` in terms of A and n."""
    A, C = nt.letter_of(nt.A), nt.letter_of(sft_limit.C)
    moment, *forms = (lower_matrix(form) for form in (own, slope, remainder))

    def made(value: Array, n: int) -> tuple[Array, Array]:
        second = evaluate(moment, {A: value}, {nt.n: n})
        found = [evaluate(form, {A: value, C: (second + second.T) / 2}) for form in forms]
        return found[0], found[1]

    return made


def two_parts(form: Matrix) -> Callable[[Array, Array, Array, Array, float], Array]:
    """Ṽ_* from L, Ω, Φ, Γ₀⁻¹ and η."""
    names = [nt.letter_of(m) for m in (sft_limit.L, nt.Omega, nt.Phi, nt.Gamma0)]

    def made(L: Array, Omega: Array, Phi: Array, start: Array, eta: float) -> Array:
        known = dict(zip(names[:3], (L, Omega, Phi), strict=True))
        if Omega.dtype == object:
            values = {**known, names[3]: inverse(start), inverse_letter(names[3]): start}
            values[pinv_letter(names[2])] = pseudo_inverse(Phi)
        else:
            values = {**known, names[3]: np.linalg.inv(start)}
        return np.asarray(evaluate(form, values, {nt.eta: eta}))

    return made


def rescaled(label: nt.Label) -> Callable[[float], tuple[float, float]]:
    """What A and η are multiplied by in Ṽ_*(sη, sA), as functions of s; read off at A = η = ¼, where nothing
    is rounded."""
    _, eta, A = label.args
    quarter = 0.25

    def factors(s: float) -> tuple[float, float]:
        at = {sft_limit.scale: s, nt.eta: quarter, nt.A: np.array([[quarter]])}
        return float(value(A, at)[0, 0]) / quarter, float(value(eta, at)) / quarter

    return factors


# The error at other β -----------------------------------------------------------------------------


def with_betas(task: Task, *betas: str | int, size: int) -> Task:
    return replace(task, betas=tuple(map(Fraction, betas)), size=size)


def anywhere(task: Task, definitions: Sequence[sp.Eq], form: sp.Expr, beta: float = LAST) -> float:
    """A form that has neither q nor w in it, in terms of what is defined."""
    return at_beta(of_task(task), list(definitions), beta).of(form)
