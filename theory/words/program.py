"""Trace polynomials at large matrices: a straight-line program of shared products.

tr(X₁ Σ X₂ Σ …) for a covariance Σ = L Lᵀ is the trace of a product of the segments Y_i = Lᵀ X_i L, whose
mirror image (Y_i … Y_j)ᵀ is the product of the mirrored segments.  Each trace is cut into two halves of
segments, halves are shared by all traces up to transposition, and tr(A B) = Σ_ij A_ij B_ji costs d².  With
vectors for matrices (all letters diagonal in one basis) the same program is elementwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.errors import ArgumentError
from theory.words.letters import Factor, Letter, Word, transpose, word_key
from theory.words.poly import Scalar

Array = NDArray[Any]
Chain = tuple[Word, ...]  # a product of segments, or of letters as words of one factor
Ref = tuple[int, bool]  # a node, and whether it enters transposed


def _mirror(chain: Chain) -> Chain:
    return tuple(transpose(word) for word in reversed(chain))


def _product(a: Array, b: Array) -> Array:
    return np.asarray(a * b if a.ndim == 1 else a @ b)


def _turned(a: Array, turned: bool) -> Array:
    return np.asarray(a.T if turned else a)


class Program:
    """``expression``, a polynomial in traces and 1/n with rational coefficients, made ready for numbers.

    ``Sigma`` is the letter that is split as L Lᵀ; the others enter as they are.  ``words`` are the traces
    that it computes, in the order of :meth:`traces`.

    Raises :class:`ArgumentError` for coefficients in anything but 1/n.
    """

    def __init__(self, expression: Scalar, Sigma: Letter, n: sp.Symbol) -> None:
        self._sigma, self._letters, self._nodes = Sigma, [], []  # type: ignore[var-annotated]
        self._root = Letter("root of " + Sigma.name, Sigma.rows, Sigma.cols)
        self._known: dict[Chain, int] = {}
        self.words = sorted({w for traces in expression.terms for w in traces}, key=word_key, reverse=True)
        self._ends = [self._cut(word) for word in self.words]
        place = {word: i for i, word in enumerate(self.words)}
        width = max(map(len, expression.terms), default=0)
        # A column of ones stands behind the traces, for terms with fewer factors than the most.
        self._factors = np.full((len(expression.terms), width), len(self.words))
        for row, traces in zip(self._factors, expression.terms, strict=True):
            row[: len(traces)] = [place[word] for word in traces]
        self._powers = _powers_of_inverse(list(expression.terms.values()), n)

    # Compilation: from words to nodes ----------------------------------------------------------------

    def _segments(self, word: Word) -> Chain:
        """The segments between the Σ of a trace; its letters where there is none."""
        at = [i for i, f in enumerate(word) if f.letter == self._sigma]
        if not at:
            return tuple((f,) for f in word)
        turned = word[at[0] + 1 :] + word[: at[0] + 1]
        found, start = [], 0
        for i, f in enumerate(turned):
            if f.letter == self._sigma:
                found.append(self._within(turned[start:i]))
                start = i + 1
        return tuple(found)

    def _within(self, word: Word) -> Word:
        return (Factor(self._root, True), *word, Factor(self._root))

    def _cut(self, word: Word) -> tuple[Ref, Ref | None]:
        """The two halves of a trace, in the rotation that needs the fewest new products."""
        chain = self._segments(word)
        half = (len(chain) + 1) // 2
        turns = (chain[i:] + chain[:i] for i in range(len(chain)))
        best = min(turns, key=lambda c: self._missing(c[:half]) + self._missing(c[half:]))
        return self._ref(best[:half]), self._ref(best[half:]) if best[half:] else None

    def _missing(self, chain: Chain) -> int:
        return bool(chain) and chain not in self._known and _mirror(chain) not in self._known

    def _ref(self, chain: Chain) -> Ref:
        """The node of a product, made with its factors where it is not there yet."""
        if chain in self._known:
            return self._known[chain], False
        mirrored = _mirror(chain)
        if mirrored in self._known:
            return self._known[mirrored], True
        if len(chain) > 1:
            splits = ((chain[:i], chain[i:]) for i in range(1, len(chain)))
            parts = min(splits, key=lambda ab: self._missing(ab[0]) + self._missing(ab[1]))
        elif len(chain[0]) > 1:
            word = chain[0]
            parts = ((word[:-1],), (word[-1:],))
        else:
            factor = chain[0][0]
            if factor.transposed:
                return self._ref(mirrored)[0], True
            self._letters.append(factor.letter)
            return self._add(chain, ("letter", len(self._letters) - 1)), False
        return self._add(chain, (self._ref(parts[0]), self._ref(parts[1]))), False

    def _add(self, chain: Chain, node: Any) -> int:
        self._nodes.append(node)
        self._known[chain] = len(self._nodes) - 1
        return len(self._nodes) - 1

    # Evaluation --------------------------------------------------------------------------------------

    def _values(self, matrices: Mapping[Letter, Array]) -> list[Array]:
        """All nodes at ``matrices``: d × d arrays, or their diagonals as vectors."""
        root = matrix_root(matrices[self._sigma])
        values: list[Array] = []
        for left, right in self._nodes:
            if left == "letter":
                one = self._letters[right]
                values.append(root if one == self._root else np.asarray(matrices[one]))
            else:
                values.append(
                    _product(_turned(values[left[0]], left[1]), _turned(values[right[0]], right[1]))
                )
        return values

    def _all_traces(self, values: list[Array]) -> Array:
        found, flat = [], {}
        for (a, turned), other in self._ends:
            if other is None:
                found.append(values[a].sum() if values[a].ndim == 1 else np.trace(values[a]))
                continue
            b, again = other
            # tr(A B) = Σ A_ij B_ji: the transposes that the two enter with meet or cancel.
            key = (b, turned == again)
            if key not in flat:
                flat[key] = np.ravel(_turned(values[b], turned == again))
            found.append(np.dot(values[a].ravel(), flat[key]))
        return np.array(found)

    def coefficients(self, n: int) -> Array:
        """The coefficient of each term."""
        return np.asarray(self._powers @ (float(n) ** -np.arange(self._powers.shape[1])))

    def traces(self, matrices: Mapping[Letter, Array]) -> Array:
        """tr(word) for each of :attr:`words`."""
        return self._all_traces(self._values(matrices))

    def total(self, traces: Array, coefficients: Array) -> Any:
        """Σ coefficient · Π trace, the sum rounded once."""
        products = coefficients * np.append(traces, 1.0)[self._factors].prod(axis=1)
        if np.iscomplexobj(products):
            return complex(fsum(products.real), fsum(products.imag))
        return fsum(products)

    def value(self, matrices: Mapping[Letter, Array], n: int) -> Any:
        """The polynomial at d × d ``matrices``, or at their diagonals as vectors of length d."""
        return self.total(self.traces(matrices), self.coefficients(n))

    def bounded(
        self, matrices: Mapping[Letter, Array], errors: Mapping[Letter, float], n: int
    ) -> tuple[float, float]:
        """The value at d × d ``matrices``, and a bound on its error by rounding.

        ``errors`` has ‖given − exact‖_F of the letters that are not exact.  A running error analysis: fl(AB)
        errs by γ_d ‖A‖_F‖B‖_F in the Frobenius norm, the sum of the d² products of a trace by γ_{d²}
        ‖A‖_F‖B‖_F (Higham, Accuracy and Stability, 3.5), and the factors' own errors are carried along.
        """
        values, d = self._values(matrices), len(matrices[self._sigma])
        carried: list[_Size] = []
        for value, (left, right) in zip(values, self._nodes, strict=True):
            if left == "letter":
                one = self._letters[right]
                error = (
                    _root_error(value, matrices[self._sigma]) if one == self._root else errors.get(one, 0.0)
                )
                carried.append(_Size.of(value, float(np.linalg.norm(value, 2)), error))
            else:
                a, b = carried[left[0]], carried[right[0]]
                error = a.times(b) + _gamma(d) * a.frobenius * b.frobenius
                # Segments, whose products are many, get their norm computed; products that of their factors.
                inner = self._root in (self._letter_of(left), self._letter_of(right))
                norm = float(np.linalg.norm(value, 2)) if inner else a.norm * b.norm + error
                carried.append(_Size.of(value, norm, error))
        slack = []
        for (a, _), other in self._ends:
            if other is None:
                slack.append(np.sqrt(d) * carried[a].error + _gamma(d) * d * carried[a].frobenius)
            else:
                one, two = carried[a], carried[other[0]]
                cross = one.error * two.frobenius + one.frobenius * two.error + one.error * two.error
                slack.append(cross + _gamma(d * d) * one.frobenius * two.frobenius)
        traces, coefficients = self._all_traces(values), self.coefficients(n)
        most, sizes = np.abs(traces) + np.array(slack), np.abs(coefficients)
        # Beyond the traces' errors: each term's powers of n, coefficient and factors are rounded, in the
        # value and in the two sums of which the bound is the difference.
        roundings = 3 * (self._powers.shape[1] + self._factors.shape[1] + 4)
        whole = np.abs(self._powers) @ (float(n) ** -np.arange(self._powers.shape[1]))
        bound = self.total(most, sizes) - self.total(np.abs(traces), sizes)
        return self.total(traces, coefficients), 1.01 * (bound + _gamma(roundings) * self.total(most, whole))

    def _letter_of(self, ref: Ref) -> Letter | None:
        left, right = self._nodes[ref[0]]
        return self._letters[right] if left == "letter" else None

    def gradient(self, matrices: Mapping[Letter, Array], n: int) -> tuple[Any, dict[Letter, Array]]:
        """The value, and its derivative by each letter but Σ, in the letter's shape: one reverse sweep."""
        values = self._values(matrices)
        traces = self._all_traces(values)
        coefficients = self.coefficients(n)
        slopes = self._slopes(np.append(traces, 1.0), coefficients)
        bars = [np.zeros(value.shape, np.result_type(value, slopes)) for value in values]
        for slope, ((a, turned), other) in zip(slopes, self._ends, strict=True):
            if other is None:
                bars[a] += slope * (1.0 if values[a].ndim == 1 else np.eye(len(values[a])))
            else:
                b, again = other
                bars[a] += slope * _turned(values[b], turned == again)
                bars[b] += slope * _turned(values[a], turned == again)
        found: dict[Letter, Array] = {}
        for (left, right), bar in zip(reversed(self._nodes), reversed(bars), strict=True):
            if left == "letter":
                found[self._letters[right]] = bar
                continue
            (a, a_turned), (b, b_turned) = left, right
            bars[a] += _turned(_product(bar, _turned(values[b], not b_turned)), a_turned)
            bars[b] += _turned(_product(_turned(values[a], not a_turned), bar), b_turned)
        return self.total(traces, coefficients), {k: g for k, g in found.items() if k != self._root}

    def _slopes(self, traces: Array, coefficients: Array) -> Array:
        """∂(Σ coefficient · Π trace)/∂trace."""
        factors = traces[self._factors]
        found = np.zeros_like(traces)
        for column in range(self._factors.shape[1]):
            others = np.delete(factors, column, axis=1).prod(axis=1)
            np.add.at(found, self._factors[:, column], coefficients * others)
        return found[:-1]


def matrix_root(Sigma: Array) -> Array:
    """L with L Lᵀ = Σ for a positive semidefinite d × d Σ, or √σ for its eigenvalues as a vector.

    Σ is taken as checked.
    """
    if Sigma.ndim == 1:
        return np.asarray(np.sqrt(np.clip(Sigma, 0, None)))
    eigenvalues, vectors = np.linalg.eigh(Sigma)
    return np.asarray(vectors * np.sqrt(np.clip(eigenvalues, 0, None)))


@dataclass(frozen=True)
class _Size:
    """Bounds on the Frobenius and spectral norm of a computed matrix, and on that of its error."""

    frobenius: float
    norm: float
    error: float

    @classmethod
    def of(cls, value: Array, norm: float, error: float) -> _Size:
        frobenius = float(np.linalg.norm(value)) * (1 + 1e-10)
        return cls(frobenius, min(frobenius, norm * (1 + 1e-10)), error)

    def times(self, other: _Size) -> float:
        """What the two errors do to the product."""
        return self.error * other.norm + self.norm * other.error + self.error * other.error


def _gamma(m: int) -> float:
    """m roundings in a row, of 2⁻⁵³ each."""
    return m * 2.0**-53 / (1 - m * 2.0**-53)


def _root_error(root: Array, Sigma: Array) -> float:
    """A bound on ‖L − L*‖_F for the nearest L* with L* L*ᵀ = Σ.

    With E = Σ − LLᵀ it is at most √‖E‖_* (the Bures distance), and ‖E‖_F/√λ_min(LLᵀ) where that is less.
    """
    d = len(root)
    residual = float(np.linalg.norm(root @ root.T - Sigma)) + _gamma(d + 1) * float(np.sum(root**2))
    least = float(np.linalg.norm(root, -2))
    return min(float(np.sqrt(np.sqrt(d) * residual)), residual / least if least > 0 else np.inf)


def _powers_of_inverse(coefficients: list[sp.Expr], n: sp.Symbol) -> Array:
    """Row by row the coefficients of 1, 1/n, 1/n², …"""
    rows = []
    for coefficient in coefficients:
        row: dict[int, float] = {}
        for term in sp.Add.make_args(coefficient):
            number, rest = term.as_coeff_Mul()
            base, exponent = rest.as_base_exp()
            if not (
                number.is_Rational and (rest == 1 or (base == n and exponent.is_Integer and exponent < 0))
            ):
                raise ArgumentError(f"coefficient {coefficient}: must be a polynomial in 1/{n}")
            row[0 if rest == 1 else -int(exponent)] = float(number)
        rows.append(row)
    found = np.zeros((len(rows), 1 + max((p for row in rows for p in row), default=0)))
    for i, row in enumerate(rows):
        for power, number in row.items():
            found[i, power] = number
    return found
