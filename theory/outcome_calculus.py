"""Formulas with differentials, sums over prompts and norms, at values of any kind.

A printed formula is evaluated as it stands: at word polynomials (for every d), at arrays of rationals, at
floats, or at tensors that an optimiser differentiates.  All it asks of a value is ``@``, ``+``, ``*`` and
``.T``.  Notes: ``notes/outcome_gradient.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from theory import notation as nt
from theory.errors import ArgumentError
from theory.notation import FrobeniusSquared, MatrixSum, NormSquared, OperatorNorm, d
from theory.words.letters import Letter
from theory.words.poly import Matrix, identity, letter

M_tau = nt.matrix("M_tau", d, d, r"M_{\tau}")
M = nt.matrix("M_os", d, d, "M")
E = nt.matrix("E_os", d, d, "E")
w, S, V = nt.w_star, nt.S, nt.V

# Nodes ---------------------------------------------------------------------------------------------


class Differential(MatrixExpr):
    """dX: the derivative of X along the direction in which its symbols are given to move."""

    is_commutative = False

    def __new__(cls, of: Any) -> Differential:
        return MatrixExpr.__new__(cls, of)

    @property
    def shape(self) -> Any:
        return self.args[0].shape

    def _latex(self, printer: LatexPrinter) -> str:
        inner = printer._print(self.args[0])
        return f"d{inner}" if isinstance(self.args[0], sp.MatrixSymbol) else rf"d\left( {inner} \right)"

    def _sympystr(self, printer: StrPrinter) -> str:
        return f"d({printer._print(self.args[0])})"  # SymPy has its own idea of a class of this name


class SpectralRadius(FrobeniusSquared):
    """ρ(M), the largest modulus of an eigenvalue."""

    def _latex(self, printer: LatexPrinter) -> str:
        return rf"\rho\left( {printer._print(self.args[0])} \right)"


class Inner(sp.Expr):
    """⟨X, Y⟩ = tr(XᵀY)."""

    is_commutative = True

    def __new__(cls, left: Any, right: Any) -> Inner:
        return sp.Expr.__new__(cls, left, right)

    def _latex(self, printer: LatexPrinter) -> str:
        left, right = (printer._print(a) for a in self.args)
        return rf"\left\langle {left}, {right} \right\rangle"


# Values --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dual:
    """A value and its derivative along a direction."""

    value: Any
    slope: Any

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, number: Any) -> Dual:
        return Dual(self.value * number, self.slope * number)

    def __matmul__(self, other: Dual) -> Dual:
        return Dual(self.value @ other.value, self.slope @ other.value + self.value @ other.slope)

    @property
    def T(self) -> Dual:
        """The transpose, of value and derivative."""
        return Dual(self.value.T, self.slope.T)


@dataclass(frozen=True)
class Given:
    """What the symbols of a formula stand for.

    ``matrices`` by symbol, ``one`` the d × d identity and ``scalars`` by symbol; ``exact`` keeps
    coefficients rational.  ``prompts`` holds the matrices of each prompt, for sums over τ.  ``moves`` are
    the derivatives of those symbols that move, for differentials.  ``norm``, ``radius``, ``pinv`` and
    ``inverse`` take the operator norm, the spectral radius, the pseudo-inverse and, for negative powers, the
    inverse of such a value.
    """

    matrices: Mapping[Any, Any]
    scalars: Mapping[Any, Any]
    one: Any
    exact: bool = True
    prompts: Sequence[Mapping[Any, Any]] = ()
    moves: Mapping[Any, Any] = field(default_factory=dict)
    norm: Callable[[Any], Any] | None = None
    radius: Callable[[Any], Any] | None = None
    pinv: Callable[[Any], Any] | None = None
    inverse: Callable[[Any], Any] | None = None

    def at(self, index: Any, number: int) -> Given:
        """The same with ``number`` for the index ``index``."""
        return replace(self, scalars={**self.scalars, index: number})

    def of_prompt(self, one: Mapping[Any, Any]) -> Given:
        """The same with the matrices of one prompt."""
        return replace(self, matrices={**self.matrices, **one})

    def moving(self) -> Given:
        """The same with each matrix as a value and its derivative along the direction."""
        still = self.one * 0
        dual = {key: Dual(at, self.moves.get(key, at * 0)) for key, at in self.matrices.items()}
        return replace(self, matrices=dual, one=Dual(self.one, still))

    def number(self, expression: Any) -> Any:
        """A scalar without matrices inside."""
        found = sp.sympify(expression).subs(self.scalars)
        known = set().union(*(sp.sympify(x).free_symbols for x in self.scalars.values()))
        if missing := found.free_symbols - known:
            raise ArgumentError(f"expression={expression}: no value for {sorted(map(str, missing))}")
        return found if self.exact else float(found)


def _squares(value: Any) -> Any:
    return value.norm2() if isinstance(value, Matrix) else (value * value).sum((-2, -1))


def _product(left: Any, right: Any) -> Any:
    if isinstance(left, Matrix):
        return (left.T @ right).trace()
    return (left * right).sum((-2, -1))


def _rounds(index: Any, low: Any, high: Any, given: Given) -> list[Given]:
    """The settings that a sum runs through: its prompts (after the last the first again), or the values of
    its index."""
    first, last = (int(sp.sympify(edge).subs(given.scalars)) for edge in (low, high))
    if index == nt.tau:
        count = len(given.prompts)
        return [given.of_prompt(given.prompts[(at - 1) % count]) for at in range(first, last + 1)]
    return [given.at(index, number) for number in range(first, last + 1)]


def _inverse(node: Any, base: Any, exponent: int, inverse: Callable[[Any], Any] | None) -> Any:
    if inverse is None:
        raise ArgumentError(f"expression={node}: the power is {exponent}, must be at least 0")
    if isinstance(base, Dual):
        found = inverse(base.value)
        return Dual(found, found @ base.slope @ found * -1)
    return inverse(base)


def _matrix(node: Any, given: Given) -> Any:
    if isinstance(node, sp.MatrixSymbol):
        if node not in given.matrices:
            raise ArgumentError(f"matrices lack {node}: given are {sorted(map(str, given.matrices))}")
        return given.matrices[node]
    if isinstance(node, sp.Identity):
        return given.one
    if isinstance(node, sp.Transpose):
        return _matrix(node.arg, given).T
    if isinstance(node, Differential):
        return _matrix(node.args[0], given.moving()).slope
    if isinstance(node, nt.Pinv):
        if given.pinv is None:
            raise ArgumentError(f"expression={node}: no way to invert it is given")
        return given.pinv(_matrix(node.args[0], given))
    if isinstance(node, sp.MatPow):
        total, base = given.one, _matrix(node.base, given)
        exponent = int(node.exp.subs(given.scalars))
        if exponent < 0:
            base = _inverse(node, base, exponent, given.inverse)
        for _ in range(abs(exponent)):
            total = total @ base
        return total
    if isinstance(node, MatrixSum):
        of, index, low, high = node.args
        empty = given.one * 0
        if of.shape[1] == 1:
            empty = empty @ given.matrices[w]
        return sum((_matrix(of, one) for one in _rounds(index, low, high, given)), start=empty)
    if isinstance(node, sp.MatAdd):
        first, *rest = (_matrix(part, given) for part in node.args)
        return sum(rest, start=first)
    if isinstance(node, sp.MatMul):
        coefficient, factors = node.as_coeff_matrices()
        product = _matrix(factors[0], given)
        for factor in factors[1:]:
            product = product @ _matrix(factor, given)
        return product if coefficient == 1 else product * given.number(coefficient)
    raise ArgumentError(f"expression={node}: has no value here")


def value(node: Any, given: Given) -> Any:
    """``node``, a matrix or a scalar formula, at ``given``.

    Raises :class:`ArgumentError` for a symbol without a value, a negative power and an unknown node.
    """
    if isinstance(node, MatrixExpr):
        return _matrix(node, given)
    if isinstance(node, SpectralRadius | OperatorNorm):
        size = given.radius if isinstance(node, SpectralRadius) else given.norm
        if size is None:
            raise ArgumentError(f"expression={node}: no way to take it is given")
        return size(_matrix(node.args[0], given))
    if type(node) in (FrobeniusSquared, NormSquared):
        return _squares(_matrix(node.args[0], given))
    if isinstance(node, Inner):
        return _product(*(_matrix(part, given) for part in node.args))
    if isinstance(node, sp.Sum):
        inner, (index, low, high) = node.function, node.limits[-1]
        if len(node.limits) > 1:
            inner = sp.Sum(inner, *node.limits[:-1])
        return sum((value(inner, one) for one in _rounds(index, low, high, given)), start=0)
    if node.has(MatrixExpr, FrobeniusSquared, Inner, sp.Sum):
        if isinstance(node, sp.Pow):
            base, exponent = value(node.base, given), int(node.exp.subs(given.scalars))
            return prod([base] * exponent) if exponent > 0 else base**exponent
        parts = [value(part, given) for part in node.args]
        total = parts[0]
        for part in parts[1:]:
            total = total + part if isinstance(node, sp.Add) else total * part
        return total
    return given.number(node)


# Words ---------------------------------------------------------------------------------------------

_S = letter(Letter("S_any", d, d))  # not declared symmetric: no formula of this part needs it to be
_V, _W, _E = letter(nt.letter_of(V)), letter(nt.letter_of(w)), letter(nt.letter_of(E))


def in_words(k: int, one: Matrix = _W) -> Given:
    """General d at an explicit k, one prompt: w* is ``one``, M = I + ṼS, and Ṽ moves along E."""
    step = identity(d) + _V @ _S
    prompt = {nt.S_tau: _S, nt.w_star_tau: one, M_tau: step, S: _S, w: one, M: step}
    moves = {V: _E, M: _E @ _S, M_tau: _E @ _S}
    base = {V: _V, E: _E, **prompt}
    # To words an inverse is a letter of its own.
    inverse = lambda _: letter(Letter("inverse of M", d, d))  # noqa: E731
    return Given(base, {nt.k: k, nt.B: 1}, identity(d), prompts=(prompt,), moves=moves, inverse=inverse)


def in_norms(formula: sp.Expr, k: int) -> sp.Expr:
    """A bound at an explicit k, a polynomial in m_i = ‖M^i‖, s = ‖S‖, u = ‖w*‖², r = ρ(M) and
    i_j = ‖M^(−j)‖."""
    one = Letter("inverse of M", d, d)
    words = {M: letter(nt.letter_of(M)), S: letter(nt.letter_of(S))}

    def norm(of: Matrix) -> sp.Expr:
        (((_, word), _),) = of.terms.items()
        kind = "i" if any(factor.letter == one for factor in word) else "m"
        name = "s" if of is words[S] else f"{kind}{len(word)}"
        return sp.Symbol(name, positive=True) if word else sp.Integer(1)

    u, r = sp.symbols("u r", positive=True)
    scalars = {nt.k: k, u: u}
    given = Given(words, scalars, identity(d), norm=norm, radius=lambda _: r, inverse=lambda _: letter(one))
    return sp.expand(value(formula.xreplace({NormSquared(w): u}), given))


def at_arrays(V_at: Any, prompts: Sequence[tuple[Any, Any]], k: int, one: Any, **more: Any) -> Given:
    """At arrays: Ṽ and the ``one`` of its shape, prompts (S, w*) with w* a column; the first is S, w*, M of
    the formulas without τ.  ``more``: ``direction`` E, and fields of :class:`Given`."""
    direction = more.pop("direction", None)
    each = []
    for S_at, w_at in prompts:
        step = one + V_at @ S_at
        each.append({nt.S_tau: S_at, nt.w_star_tau: w_at, M_tau: step, S: S_at, w: w_at, M: step})
    base = {V: V_at, **each[0]}
    moves = {}
    if direction is not None:
        base[E] = direction
        moves = {V: direction, M: direction @ prompts[0][0]}
    return Given(base, {nt.k: k, nt.B: len(prompts)}, one, prompts=each, moves=moves, **more)
