"""From an expression of :mod:`theory` to the callable that a check takes as its prediction.

The expression is the argument, so that a wrong one goes the same way as a right one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import allocation_words, joint, pretraining, sparsity
from theory import notation as nt
from theory.words.evaluate import evaluate
from theory.words.letters import Letter, inverse_letter, pinv_letter
from theory.words.poly import Matrix, Scalar
from verify.checks.allocation import Shift
from verify.checks.finetuning import Task
from verify.checks.joint import Blocks
from verify.checks.points import Point
from verify.checks.precision_fits import Fit
from verify.checks.risk import Setting
from verify.checks.sparsity import Flow
from verify.stats.bounded import Numbers
from verify.stats.bounded_algebra import inverse, pseudo_inverse

Array = NDArray[np.float64]
V, W, S, A, X = (nt.letter_of(m) for m in (nt.V, nt.W, nt.S, nt.A, nt.X))
W_STAR, SIGMA, G, OMEGA, PHI, GAMMA0, SIGMA0 = (
    nt.letter_of(m) for m in (nt.w_star, nt.Sigma, nt.G, nt.Omega, nt.Phi, nt.Gamma0, nt.Sigma0)
)


def at_setting(expression: Scalar | Matrix) -> Callable[[Setting], Any]:
    """A risk or its ingredient at a matrix, a covariance and n; the matrix is called V or A (``G``)."""
    return lambda s: evaluate(expression, {V: s.V, G: s.V, SIGMA: s.Sigma}, {nt.n: s.n})


def of_prompts(
    expression: Matrix | Callable[[int], Matrix],
    more: Callable[[Point, int, int], Mapping[Letter, Array]] | None = None,
    steps: Callable[[Point], int] = lambda _: 1,
) -> Callable[[Point], Array]:
    """A column expression in Ṽ, W̃, S, w* for each prompt and step of a point, (B, steps, rows).

    ``expression`` may depend on the step; ``more`` gives the letters besides (point, prompt, step).
    """

    def predict(point: Point) -> Array:
        rows = []
        for t in range(point.prompts.size):
            base = {V: point.V, W: point.W, S: point.S[t], W_STAR: point.w_star[t][:, None]}
            row = []
            for i in range(steps(point)):
                now = expression(i) if callable(expression) else expression
                values = {**base, **(more(point, t, i) if more else {})}
                scalars = {nt.rho_cot: 1 - point.eta, nt.eta: point.eta, nt.i: i}
                row.append(evaluate(now, values, scalars)[:, 0])
            rows.append(row)
        return np.array(rows).reshape(point.prompts.size, steps(point), point.d)

    return predict


def task_matrix(expression: Matrix) -> Callable[[Task], Array]:
    """A d × d expression in Ω, Φ, Γ₀, η at a fine-tuning task."""
    return lambda of: np.asarray(
        evaluate(expression, {OMEGA: of.Omega, PHI: of.Phi, GAMMA0: of.gamma0}, {nt.eta: of.eta})
    )


def of_targets(expression: Matrix) -> Fit:
    """The same at bounded Ω, Φ, Γ₀⁻¹ and a rational η."""

    def predict(Omega: Numbers, Phi: Numbers, start: Numbers, eta: Any) -> Numbers:
        values = {OMEGA: Omega, PHI: Phi, pinv_letter(PHI): pseudo_inverse(Phi)}
        values |= {GAMMA0: inverse(start), inverse_letter(GAMMA0): start}
        return np.asarray(evaluate(expression, values, {nt.eta: eta}))

    return predict


def of_A(expression: Matrix) -> Callable[[Array, int], Array]:
    """A d × d expression in A and n."""
    return lambda matrix, n: np.asarray(evaluate(expression, {A: matrix}, {nt.n: n}))


def of_shift(expression: Matrix) -> Callable[[Shift], Array]:
    """A d × d expression in P_U, Y = ((n+1)/n A + tr(A)/n P_U)†, Σ₀, Δ, and Γ₀ as eq. 3.7 has it."""

    def predict(at: Shift) -> Array:
        words = allocation_words
        inside = (at.n + 1) / at.n * at.A + np.trace(at.A) / at.n * at.P
        values = {
            words.P: at.P,
            nt.letter_of(words.Y): np.linalg.pinv(inside, rcond=1e-10, hermitian=True),
            nt.letter_of(words.Delta): at.Delta,
            SIGMA0: at.Sigma0,
            GAMMA0: pretraining.gamma0(at.Sigma0, at.n),
        }
        return np.asarray(evaluate(expression, values, {nt.n: at.n, nt.eta: at.eta}))

    return predict


def full_gradient(gradient: sparsity.Gradient) -> Callable[[Flow], tuple[Array, Array]]:
    """The population gradient of L_SFT in all entries, as two (2d+2) × (2d+2) matrices."""

    def predict(of: Flow) -> tuple[Array, Array]:
        d = len(of.V)
        edges = ((0, d), (d, d + 1), (d + 1, 2 * d + 1), (2 * d + 1, 2 * d + 2))
        out = {name: np.zeros((2 * d + 2, 2 * d + 2)) for name in "VW"}
        for (name, row, col), block in gradient.items():
            total = sparsity.on_path(block, sp.Float(of.eta), of.k)
            values = {V: of.V, W: of.W, A: of.A}
            if total.terms:
                out[name][slice(*edges[row]), slice(*edges[col])] = evaluate(
                    total, values, {nt.n: of.n, pretraining.b: of.label, nt.d: d}
                )
        return out["V"], out["W"]

    return predict


def of_blocks(expression: Scalar | Matrix) -> Callable[[Blocks], Any]:
    """An expression in Ṽ, W̃, A, n, η and the sums over the path, at blocks."""
    return lambda at: evaluate(
        expression,
        {V: at.V, W: at.W, A: at.A},
        {nt.n: at.n, nt.eta: at.eta, **joint.path_sums(at.eta, at.k)},
    )
