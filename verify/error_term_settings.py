"""The tasks that the evidence for Theorem B.1 is taken in, and the predictions of its formulas there.

A formula is the argument throughout, so that a wrong one goes the same way as a right one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import notation as nt
from theory.first_order_limit import value_at
from theory.lower import lower_scalar
from theory.proportional import Setting, setting
from theory.words.poly import Matrix, Scalar, substitute
from verify.checks.error_terms import Drawn, Task, paper
from verify.checks.points import rational
from verify.stats.bounded import bounded
from verify.surface import value

Array = NDArray[np.float64]

# The paper's setting: Figure 5 with n = 1000, below and above β = 1; r/η = 0.05 with μ₁ = 0.8; r/η = 3 with
# μ₁ = 0.2; and near β = 1.
FIGURE = paper(15, 15, 15, 50, 0.1, 0.2, 0.1)
ABOVE = paper(15, 15, 45, 50, 0.1, 0.2, 0.1)
WEAK = paper(32, 8, 12, 80, 0.1, 0.4, 0.02)
STRONG = paper(8, 32, 28, 20, 0.1, 0.4, 1.2)
NEAR = paper(16, 24, 36, 40, 0.3, 0.3, 0.4)
# Levels with no relation between A, Σ₀ and Σ, so that no term of a formula vanishes.
GENERIC = Task((24, 16), 16, 80, (0.3, 1.2), (1.2, 0.4), (0.6, 1.9), 0.7)
OTHER = Task((12, 28), 24, 50, (1.1, 0.4), (0.5, 1.3), (1.6, 0.7), 0.6)
GENERIC_ABOVE = Task((12, 18), 42, 30, (0.5, 1.2), (1.2, 0.4), (0.6, 1.9), 0.7)
THREE = Task((8, 14, 18), 22, 50, (0.3, 1.2, 0.6), (1.2, 0.4, 0.8), (0.6, 1.9, 1.1), 0.7)
THREE_ABOVE = Task((6, 10, 14), 42, 30, (0.3, 1.2, 0.6), (1.2, 0.4, 0.8), (0.6, 1.9, 1.1), 0.7)

PAPER = (FIGURE, WEAK, STRONG, NEAR, ABOVE)
TWO = (*PAPER, GENERIC, OTHER, GENERIC_ABOVE)


def at_task(task: Task) -> tuple[float, Setting]:
    """β, and the levels with γ = d/n."""
    of = setting(
        aspect=task.d / task.n,
        eta=task.eta,
        weights=np.array(task.sizes) / task.d,
        post=task.post,
        pre=task.pre,
        test=task.test,
    )
    return task.B / task.d, of


def at_limit(formula: sp.Expr, task: Task) -> float:
    """A formula in block symbols at the limit that belongs to the task's ratios."""
    beta, of = at_task(task)
    return float(value_at(formula, beta, of)[0])


def printed_levels(formula: sp.Expr, task: Task) -> float:
    """A formula in ρ, η, r, κ, γ, μ₁ and a_k at a task of the paper's setting."""
    _, of = at_task(task)
    values: dict[Any, Any] = {
        bs.rho_pre: of.pre[0],
        nt.eta: of.eta,
        bs.r: of.post[1],
        bs.aspect: of.aspect,
        bs.kappa: of.aspect * (of.weights @ of.pre),
    }
    for family, each in ((bs.mu, of.weights), (bs.a, of.post)):
        values |= {family[i]: each[i - 1] for i in (1, 2)}
    return float(formula.xreplace(values))


def of_draw(formula: sp.Expr) -> Callable[[Drawn], Array]:
    """A formula for two blocks at the w_k and T_ij of the draw's own Π and the levels at its d."""
    families = (bs.mu, bs.Sigma, bs.g, bs.s, bs.alpha, bs.delta, bs.delta_tilde, bs.w)
    scalars = (bs.T12, fm.T11, fm.T22, bs.aspect, bs.Sigma_bar)
    function = bs.callable_of(formula, families, scalars, 2)

    def predict(at: Drawn) -> Array:
        number = bounded if at.Sigma.dtype == object else float
        sizes = [number(size) / at.task.d for size in at.task.sizes]
        diagonals = (at.Sigma, -at.inverse, at.Sigma_A, at.D_1, at.D_pre * at.Sigma, at.D_pre)
        levels = [at.of_blocks(x) for x in diagonals]
        w = np.stack([np.asarray(at.share(k)) for k in (0, 1)])
        T = [np.asarray(at.pair(i, j)) for i, j in ((0, 1), (0, 0), (1, 1))]
        mean = np.asarray(at.Sigma).sum() / at.task.d
        return np.asarray(function(sizes, *levels, w, *T, number(at.task.d) / at.task.n, mean))

    return predict


_INVERSE = sp.MatrixSymbol("Gamma0^-1", nt.d, nt.d)


def by_inverse(expression: sp.Expr) -> sp.Expr:
    """Powers of Γ₀⁻¹ as those of a letter."""
    return expression.replace(
        lambda x: isinstance(x, sp.MatPow) and x.base == nt.Gamma0 and x.exp.is_negative,
        lambda x: _INVERSE**-x.exp,
    )


def of_matrices(expression: sp.Expr) -> Callable[[Drawn], Array]:
    """Traces of products of Γ₀⁻¹, Γ₀⁻², Σ, Σ_A, D₁, D_pre and Π, over d, at the draw's matrices."""
    words = by_inverse(expression)

    def predict(at: Drawn) -> Array:
        diagonals = {
            _INVERSE: at.inverse,
            nt.Sigma: at.Sigma,
            fm.Sigma_A: at.Sigma_A,
            fm.D_1: at.D_1,
            fm.D_pre: at.D_pre,
        }
        known = {one: np.diag(np.asarray(x)) for one, x in diagonals.items()}
        projections = np.asarray(at.Pi)
        size: Any = sp.Integer(at.task.d) if projections.dtype == object else float(at.task.d)
        return np.array([value(words, {**known, fm.Pi: Pi, nt.d: size}) for Pi in projections])

    return predict


def traces(expression: sp.Expr, meaning: Mapping[sp.MatrixSymbol, Matrix]) -> Scalar:
    """The same in words, each matrix replaced by its ``meaning``, that of Γ₀ being its inverse's."""
    letters = {nt.letter_of(one): each for one, each in meaning.items() if one != nt.Gamma0}
    inverse = nt.matrix(_INVERSE.name, nt.d, nt.d, r"\Gamma_{0}^{-1}", symmetric=True)
    whole = lower_scalar(by_inverse(expression).xreplace({_INVERSE: inverse}))
    return substitute(whole, {**letters, nt.letter_of(inverse): meaning[nt.Gamma0]})


# In rationals -----------------------------------------------------------------------------------------

EXACT = "rational Π of rank 2, blocks of 2 and 3"


class Exact:
    """V_S from its definition at d = 5, B = 2, all levels rational and unrelated."""

    sizes, eta = (2, 3), sp.Rational(2, 5)
    post, before, test = ((3, 7), (sp.Rational(5, 2), 4), (2, sp.Rational(1, 3)))  # of A, Γ₀⁻¹ and Σ

    def __init__(self) -> None:
        A, self.inverse, self.Sigma = map(self.diagonal, (self.post, self.before, self.test))
        Omega = rational(5, 2, "error terms")
        pseudo_inverse = (A * Omega).pinv()
        self.Pi = A * Omega * pseudo_inverse
        self.V_S = -self.eta * Omega * pseudo_inverse - self.inverse * (sp.eye(5) - self.Pi)
        self.D_pre = self.inverse - self.eta * A.inv()
        self.Sigma_A = (A.trace() * A + A**2) / 5

    def diagonal(self, levels: Any) -> sp.Matrix:
        return sp.diag(*[x for m, x in zip(self.sizes, levels, strict=True) for _ in range(m)])

    def block(self, i: int, j: int) -> sp.Matrix:
        spots = (slice(0, 2), slice(2, 5))
        return self.Pi[spots[i - 1], spots[j - 1]]

    def measure(self, name: str) -> sp.Expr:
        miss, change = sp.eye(5) + self.V_S * self.Sigma, self.D_pre
        D_1 = sp.eye(5) - self.inverse * self.Sigma
        matrix = {
            "bias": miss * miss.T,
            "T_var": self.V_S * self.Sigma_A * self.V_S.T,
            "T_var,Σ": self.V_S * self.Sigma * self.V_S.T,
            "T_11": self.block(1, 1) ** 2,
            "T_22": self.block(2, 2) ** 2,
            "bias, linear": 2 * D_1 * self.Sigma * self.Pi * change,
            "bias, quadratic": change**2 * self.Pi * self.Sigma**2 * self.Pi,
            "T_var, linear": -2 * self.inverse * self.Sigma_A * change * self.Pi,
            "tr(D_preΠΣ_AD_preΠ)/d": change * self.Pi * self.Sigma_A * change * self.Pi,
            "signal II": bs.aspect * bs.Sigma_bar * self.V_S * self.Sigma * self.V_S.T,
        }[name]
        return matrix.trace() / 5

    def value(self, formula: sp.Expr) -> sp.Expr:
        """A formula for two blocks at the w_k and T_ij of this Π; γ and Σ̄ stay symbols."""
        shares = [sp.Rational(m, 5) for m in self.sizes]
        each = {
            bs.mu: shares,
            bs.Sigma: self.test,
            bs.g: [-x for x in self.before],
            bs.s: [self.Sigma_A[0, 0], self.Sigma_A[4, 4]],
            bs.delta_tilde: [self.D_pre[0, 0], self.D_pre[4, 4]],
        }
        each[bs.alpha] = [1 - x * y for x, y in zip(self.before, self.test, strict=True)]
        each[bs.delta] = [x * y for x, y in zip(each[bs.delta_tilde], self.test, strict=True)]
        each[bs.w] = [self.block(i, i).trace() / m for i, m in zip((1, 2), self.sizes, strict=True)]
        T = {
            symbol: (self.block(i, j) * self.block(j, i)).trace() / 5
            for symbol, i, j in ((bs.T12, 1, 2), (fm.T11, 1, 1), (fm.T22, 2, 2))
        }
        return bs.at(formula, each, T)
