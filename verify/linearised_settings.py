"""Where the linearisation is judged, and its printed formulas as predictions on stacks of training sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import seeded
from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import error_term_words as ew
from theory import linearised_noise as noise
from theory import linearised_words as lw
from theory import notation as nt
from theory.block_symbols import Sigma_bar, aspect
from theory.lower import lower_matrix, lower_scalar
from theory.words.evaluate import evaluate
from theory.words.letters import Factor, Letter, Word, inverse_letter, pinv_letter
from theory.words.poly import Matrix, Scalar, letter, substitute
from verify.checks.linearised import Batch, Training, at_right, pinv
from verify.checks.linearised_limits import GROUP, SMALL, Regime
from verify.checks.precision_fits import Lifted

Array = NDArray[np.float64]
TWO = {"shares": (0.4, 0.6), "post": (1.3, 0.5), "pre": (0.4, 1.1), "test": (0.8, 1.9), "eta": 0.6}
ONE = {"shares": (1.0,), "post": (0.9,), "pre": (0.7,), "test": (1.3,), "eta": 0.4}
THREE = {
    "shares": (0.25, 0.25, 0.5),
    "post": (1.4, 0.5, 0.9),
    "pre": (0.5, 1.2, 0.8),
    "test": (0.7, 1.5, 1.1),
    "eta": 0.5,
}


def regime(blocks: Mapping[str, Any], aspect: float, beta: float, turned: bool = False) -> Regime:
    return Regime(**blocks, aspect=aspect, beta=beta, turned=turned)


def plain(expression: sp.Expr) -> sp.Expr:
    """A printed scalar of one training set: its expectations taken off, and (MMᵀ)† written M†ᵀM†."""
    square = nt.Pinv(lw.M * lw.M.T)
    bare = expression.replace(lambda x: isinstance(x, nt.Expectation), lambda x: x.args[0])
    return bare.subs(square, lw.M_PINV.T * lw.M_PINV)


def stacked(
    expression: Matrix | Scalar, value: Callable[[Letter], Tensor], scalars: Mapping[Any, Any]
) -> Any:
    """A word polynomial at stacks of matrices (…, rows, cols), a diagonal one as (d,); a number, or a
    stack of matrices."""
    known: dict[Factor, Tensor] = {}

    def factor(f: Factor) -> Tensor:
        if f not in known:
            matrix = value(f.letter)
            known[f] = matrix.mT if f.transposed and matrix.ndim > 1 else matrix
        return known[f]

    def product(word: Word) -> Tensor:
        found = factor(word[0])
        for f in word[1:]:
            if found.ndim == 1:
                right = factor(f)
                found = found * right if right.ndim == 1 else found[:, None] * right
            else:
                found = at_right(found, factor(f))
        return found

    def closed(traces: tuple[Word, ...], coefficient: sp.Expr) -> Any:
        total: Any = float(coefficient.subs(scalars))
        for word in traces:
            found = product(word)
            total = total * (found if found.ndim == 1 else found.diagonal(dim1=-2, dim2=-1)).sum(-1)
        return total

    if isinstance(expression, Scalar):
        return sum(closed(t, c) for t, c in expression.terms.items())
    return sum(closed(t, c) * product(word) for (t, word), c in expression.terms.items())


LETTERS = {
    name: nt.letter_of(one)
    for name, one in {
        "M": lw.M,
        "E": lw.E,
        "Q": lw.Q,
        "H": noise.H,
        "Omega": nt.Omega,
        "Phi": nt.Phi,
        "A": nt.A,
        "Sigma": nt.Sigma,
        "V": nt.V,
        "V_S": fm.V_S,
        "V_N": fm.V_N,
        "Sigma_A": fm.Sigma_A,
        "Gamma0": nt.Gamma0,
        "Pi": fm.Pi,
        "D_1": fm.D_1,
        "D_pre": fm.D_pre,
        "M_S": fm.M_S,
    }.items()
}


def of_sets(expression: Scalar, block: int = 0) -> Callable[[Batch], Tensor]:
    """An expression in M, E, Q, V_S, V_N, Σ_A, Ṽ = V_S + V_N and H, the ``block``-th of the two halves of I,
    at training sets with diagonal A and Σ; γ = d/n and Σ̄ = tr(Σ)/d as they are there."""

    def predict(of: Batch) -> Tensor:
        parts, found = cache(of.parts), {}

        def weighted_plus() -> Tensor:
            return at_right(pinv(of.M), of.Sigma)

        def half() -> Tensor:
            return (torch.arange(of.d) // (of.d // 2) == block).double()

        values: dict[str, Callable[[], Tensor]] = {
            "M": lambda: of.M,
            "M^+": lambda: pinv(of.M),
            "E": lambda: of.E,
            "Q": lambda: weighted_plus() @ weighted_plus().mT,
            "H": half,
            "A": lambda: of.A,
            "Sigma": lambda: of.Sigma,
            "V_S": lambda: parts()[0],
            "V_N": lambda: parts()[1],
            "V": lambda: sum(parts()[1:], start=parts()[0]),
            "Sigma_A": lambda: (of.A.sum() * of.A + of.A**2) / of.d,
        }
        letters = {LETTERS[k]: each for k, each in values.items() if k in LETTERS}
        letters[pinv_letter(LETTERS["M"])] = values["M^+"]

        def value(one: Letter) -> Tensor:
            if one not in found:
                found[one] = letters[one]()
            return found[one]

        scalars = {
            nt.d: of.d,
            nt.n: of.n,
            nt.B: of.Omega.shape[-1],
            aspect: of.d / of.n,
            Sigma_bar: float(of.Sigma.sum()) / of.d,
        }
        return stacked(expression, value, scalars)

    return predict


def of_means(printed: sp.Expr, product: sp.Expr, at: Regime, seed: int) -> float:
    """A printed product of means over that of the means of the factors of ``product``, as d → ∞, all of them
    over common training sets."""
    found, generator = [], seeded(seed, "cpu")
    for d in (SMALL, 2 * SMALL):
        sets = at.sets(d, GROUP, generator)
        means = {
            x: float(of_sets(printed_scalar(x.args[0]))(sets).mean()) for x in printed.atoms(nt.Expectation)
        }
        goal = float(np.prod([float(of_sets(printed_scalar(x))(sets).mean()) for x in product.args]))
        found.append(float(printed.xreplace(means)) / goal)
    return 2 * found[1] - found[0]


def printed_scalar(expression: sp.Expr) -> Scalar:
    """A printed scalar in words."""
    return lower_scalar(plain(expression))


def of_training(expression: Matrix | Scalar | sp.Basic) -> Callable[[Training], Array]:
    """An expression in Ω, Φ, M, E, V_S, V_N, Π, D₁, D_pre, M_S, A, Γ₀, Σ at one training set."""
    if isinstance(expression, sp.MatrixExpr):
        expression = lower_matrix(expression)
    elif isinstance(expression, sp.Basic):
        expression = printed_scalar(expression)
    words = expression

    def predict(of: Training) -> Array:
        first, second = of.parts()
        values = {
            "Omega": of.Omega,
            "Phi": of.Phi,
            "M": of.M,
            "E": of.E,
            "A": of.A,
            "Sigma": of.Sigma,
            "Gamma0": of.gamma0,
            "V_S": first,
            "V_N": second,
            "V": first + second,
            "Pi": of.projection(),
            "D_1": np.eye(of.d) - of.start @ of.Sigma,
            "M_S": np.eye(of.d) + first @ of.Sigma,
        }
        if of.rank == of.d:
            values["D_pre"] = of.start - of.eta * of.A_inverse
        known = {LETTERS[k]: v for k, v in values.items()}
        if isinstance(of, Lifted):
            known |= {pinv_letter(LETTERS["M"]): of.plus, inverse_letter(LETTERS["Gamma0"]): of.start}
            known |= {inverse_letter(LETTERS["A"]): of.A_inverse} if of.rank == of.d else {}
        scalars = {nt.eta: of.eta, nt.n: of.n, nt.d: of.d}
        if not isinstance(of, Lifted):
            scalars |= {aspect: of.d / of.n, Sigma_bar: np.trace(of.Sigma) / of.d}
        return np.asarray(evaluate(words, known, scalars))

    return predict


def ratio_bounded(small: Scalar, large: Scalar) -> bool:
    """Whether small ≤ (σ₁ + σ₂) large/tr Σ for two blocks of levels σ₁, σ₂ and x_k = tr(ṼP_kṼᵀ) ≥ 0."""
    V, (first, second) = letter(LETTERS["V"]), ew.BLOCKS
    x, y, rank = sp.symbols("x y m", positive=True)
    squares = [(V @ p @ V.T).trace() for p in (first, first + second)]
    values = {next(iter(s.terms)): value for s, value in zip(squares, (x, x + y), strict=True)}
    trace = first.trace()
    values[next(iter(trace.terms))] = rank

    def total_of(scalar: Scalar) -> sp.Expr:
        words = substitute(scalar, {LETTERS["Sigma"]: ew.diagonal(bs.Sigma)})
        return sum(c * sp.prod([values[(word,)] for word in key]) for key, c in words.terms.items())

    total = rank * bs.Sigma[1] + (nt.d - rank) * bs.Sigma[2]  # tr Σ
    part = sp.cancel(total_of(large) / total)
    gap = sp.Poly(
        sp.expand((bs.Sigma[1] + bs.Sigma[2]) * part - total_of(small)), bs.Sigma[1], bs.Sigma[2], x, y
    )
    return all(c >= 0 for c in gap.coeffs())
