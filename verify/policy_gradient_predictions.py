"""What the rows ``ext-rl`` print, as numbers for a policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.special
import sympy as sp
import torch
from numpy.typing import NDArray

from numerics.losses import outcome_loss
from numerics.model import assemble
from numerics.prompts import Prompts
from theory import notation as nt
from theory import policy_gradient as pg
from theory.explicit import explicit
from theory.lower import lower_matrix
from theory.policy_gradient_value import PromptTerms, prompt_terms
from theory.statement import registry
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix
from verify.checks.points import tensor
from verify.checks.policy_gradient import Policy
from verify.checks.precision_policy import LiftedPolicy
from verify.stats.bounded import Numbers

Array = NDArray[np.float64]
Values = Mapping[sp.Basic, Any]


def slope_factor(printed: sp.Basic) -> tuple[sp.Expr, sp.Expr]:
    """c and f of a printed mean c · ∇_Ṽ f."""
    right = printed.args[3] if isinstance(printed, nt.Tends) else printed.rhs
    coefficient, (gradient,) = right.as_coeff_matrices()
    assert isinstance(gradient, nt.Gradient)
    assert gradient.args[1] == nt.V
    return coefficient, gradient.args[0]


def outcome_slope(at: Policy) -> Array:
    """∇_Ṽ L_OS on the first prompt, by torch through the full model."""
    V = tensor(at.V).requires_grad_()
    one = Prompts(at.prompts.X[:1], at.prompts.w_star[:1])
    (slope,) = torch.autograd.grad(outcome_loss(*assemble(V, tensor(at.W)), one, at.k), V)
    return slope.numpy()


def reached(at: Policy, block: NDArray[Any]) -> NDArray[Any]:
    """ŵ_k on the first prompt by the recursion (A.1), for a real or complex Ṽ."""
    star, now = at.w_star[0], np.zeros(at.d)
    for _ in range(at.k):
        now = now + block @ at.S[0] @ (at.W @ now - star)
    return now


def error(at: Policy) -> Array:
    """e = ŵ_k − w* on the first prompt."""
    return np.asarray(reached(at, at.V) - at.w_star[0])


def spread_slope(at: Policy, normals: Array) -> Array:
    """∇_Ṽ of the standard deviation of the rewards at fixed normals (G, d), by complex steps."""
    slope, step = np.zeros((at.d, at.d)), 1e-30
    for row, col in np.ndindex(at.d, at.d):
        block = at.V.astype(complex)
        block[row, col] += 1j * step
        misses = reached(at, block) + at.sigma * normals - at.w_star[0]
        rewards = -(misses**2).sum(axis=-1) / 2
        slope[row, col] = np.sqrt(((rewards - rewards.mean()) ** 2).mean()).imag / step
    return slope


def normalised_pathwise(at: Policy, normals: Array, of: sp.Expr | None = None) -> Array:
    """The normalised estimator at fixed normals as ``ext-rl.h`` prints its mean."""
    coefficient = slope_factor(registry()["ext-rl.h"].printed)[0] if of is None else of
    return float(coefficient.subs({pg.sigma: at.sigma})) * spread_slope(at, normals)


def normalised_precisely(at: LiftedPolicy, normals: Numbers, of: sp.Expr | None = None) -> Numbers:
    """:func:`normalised_pathwise` in bounded numbers, the deviation differentiated entry by entry."""
    coefficient = slope_factor(registry()["ext-rl.h"].printed)[0] if of is None else of
    entries = []
    for mean, slope in at.moved():
        misses = mean + at.sigma * normals - at.w_star
        rewards, moved = -(misses**2).sum(-1) / 2, -(misses @ slope)
        centred = rewards - rewards.sum() / len(rewards)
        # ds = ds²/(2s), and the mean of the centred rewards is 0.
        entries.append((centred @ moved) / len(rewards) / np.sqrt((centred**2).sum() / len(rewards)))
    d = at.point.d
    return np.array(entries).reshape(d, d) * coefficient.subs({pg.sigma: at.sigma})


def pair_slope(at: Policy, printed: sp.Basic) -> Array:
    """The printed mean c · ∇_Ṽ E‖e + κz‖ at G = 2.  E‖e + κz‖ is κ times the mean of a noncentral χ_d,
    √2 Γ((d+1)/2)/Γ(d/2) ₁F₁(−1/2; d/2; −‖e‖²/(2κ²))."""
    coefficient, objective = slope_factor(printed)
    (distance,) = objective.atoms(nt.Frobenius)
    (scale,) = (part.as_coeff_matrices()[0] for part in distance.args[0].args if part.has(pg.z))
    c, kappa = (float(x.subs({pg.sigma: at.sigma})) for x in (coefficient, scale))
    half, square = at.d / 2, float(error(at) @ error(at))
    gammas = float(np.exp(scipy.special.gammaln(half + 0.5) - scipy.special.gammaln(half)))
    slope = scipy.special.hyp1f1(0.5, half + 1, -square / (2 * kappa**2))
    return np.asarray(c * np.sqrt(2) / (kappa * at.d) * gammas * slope * outcome_slope(at))


def large_group_slope(at: Policy, printed: sp.Basic) -> Array:
    """The printed mean c · ∇_Ṽ f(‖e‖²)."""
    coefficient, objective = slope_factor(printed)
    a = sp.Symbol("a", positive=True)
    chain = 2 * coefficient * sp.diff(objective.xreplace({pg.SQUARED: a}), a)
    at_point = {a: float(error(at) @ error(at)), pg.sigma: at.sigma, nt.d: at.d}
    return np.asarray(float(chain.subs(at_point)) * outcome_slope(at))


# Covariances ----------------------------------------------------------------------------------------


def one_action(printed: sp.Basic) -> sp.Expr:
    """The covariance that ``ext-rl.b`` prints, its b_* put in."""
    chain, best = printed.args
    return chain.args[1].subs(best.lhs, best.rhs)


def in_output(expression: sp.Expr, e: Array, scalars: Values) -> Array:
    """A printed covariance at e."""
    words = lower_matrix(expression)
    assert isinstance(words, Matrix)
    return np.asarray(evaluate(words, {nt.letter_of(pg.e): e[:, None]}, dict(scalars)))


def factor(printed: sp.Basic) -> sp.Expr:
    """λ, the factor of I in the covariance that ``ext-rl.b`` prints."""
    (part,) = (p for p in one_action(printed).args if p.has(sp.Identity))
    return part.as_coeff_matrices()[0]


def jacobian_squared(printed: sp.Basic, V: sp.Matrix, S: sp.Matrix, w_star: sp.Matrix, k: int) -> Any:
    """‖J‖_F² as ``ext-rl.c`` prints it, at explicit matrices."""
    total = printed.args[1].rhs
    matrices = {nt.V: V, nt.S: S, nt.w_star: w_star}
    scalars = {nt.k: k, nt.d: V.rows}
    return sum(
        explicit(total.function, matrices, {**scalars, nt.i: i, nt.j: j}) for i in range(k) for j in range(k)
    )


def averaged(expression: sp.Expr, prompts: Sequence[Values], scalars: Values) -> Any:
    """A printed expression with its means over τ taken over ``prompts``, and scalars put in."""

    def mean(node: nt.Expectation) -> sp.Expr:
        return sp.Add(*(node.args[0].xreplace(dict(one)) for one in prompts)) / len(prompts)

    return expression.replace(lambda x: isinstance(x, nt.Expectation), mean).subs(dict(scalars))


def of_prompts(terms: PromptTerms) -> list[Values]:
    """‖e‖², ‖J‖², ‖∇L_τ‖² of each prompt."""
    squares = (terms.gradients**2).sum(axis=(1, 2))
    columns = zip(terms.error_squared, terms.jacobian_squared, squares, strict=True)
    return [{pg.SQUARED: a, pg.J_SQUARED: j, pg.ONE_SLOPE_SQUARED: g} for a, j, g in columns]


def terms_of(at: Policy) -> PromptTerms:
    return prompt_terms(at.V, at.S, at.w_star, at.k)


def constant_baseline(printed: sp.Basic, prompts: Sequence[Values], scalars: Values) -> tuple[Any, Any]:
    """The best single baseline and the spread that it leaves, as ``ext-rl.e`` prints them."""
    best, middle, least = (display.rhs for display in printed.args)
    known = {**scalars, pg.average: averaged(middle, prompts, scalars)}
    return best.subs(known), averaged(least, prompts, known)


def evaluations(
    printed: sp.Basic, prompts: Sequence[Values], slope_squared: Any, scalars: Values, size: int
) -> Any:
    """N_RL/N_OS as ``ext-rl.k`` prints it; ``slope_squared`` is ‖∇L_OS‖²."""
    ratio, *definitions = printed.args
    known: dict[sp.Basic, Any] = {**scalars, pg.group: size}
    whole = {pg.SLOPE_SQUARED: slope_squared}
    for one in definitions:
        known[one.lhs] = averaged(one.rhs.xreplace(whole), prompts, scalars)
    return ratio.args[1].subs(known)


def evaluations_of(at: Policy, size: int) -> float:
    """:func:`evaluations` of the registered print for a policy's prompts."""
    terms = terms_of(at)
    total = float((terms.gradients.mean(axis=0) ** 2).sum())
    scalars = {pg.sigma: at.sigma, nt.d: at.d}
    return float(evaluations(registry()["ext-rl.k"].printed, of_prompts(terms), total, scalars, size))
