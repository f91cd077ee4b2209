"""What the rows ``ext-rl`` print, as numbers for a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from theory.errors import ArgumentError
from theory.lower import lower_scalar
from theory.policy_gradient_value import PromptTerms, prompt_terms
from theory.statement import registry
from theory.words.poly import Scalar
from verify.checks.points import tensor
from verify.checks.policy_gradient import Policy
from verify.checks.precision_policy import LiftedPolicy
from verify.stats.bounded import Numbers
from verify.surface import value

Array = NDArray[np.float64]
Values = Mapping[sp.Basic, Any]


def slope_factor(printed: sp.Basic) -> tuple[sp.Expr, sp.Basic]:
    """c and f of a printed mean c · ∇_Ṽ f; 0 and f for any other."""
    right = printed.args[3] if isinstance(printed, nt.Tends) else printed.rhs
    coefficient, factors = right.as_coeff_matrices() if isinstance(right, sp.MatMul) else (sp.S.One, [right])
    if len(factors) == 1 and isinstance(factors[0], nt.Gradient) and factors[0].args[1] == nt.V:
        return coefficient, factors[0].args[0]
    return sp.S.Zero, nt.Label("none")


def with_gradients(
    printed: sp.Basic, gradient: Callable[[sp.Basic, sp.Basic], Any], scalars: Mapping[sp.Basic, Any], d: int
) -> NDArray[Any]:
    """A printed mean at a policy: ``gradient``(f, M) stands for each ∇_M f in it, M being Ṽ or W̃."""
    side = printed.args[3] if isinstance(printed, nt.Tends) else printed.rhs
    known: dict[sp.Basic, Any] = {**scalars, nt.d: d}
    for node in side.atoms(nt.Gradient):
        of, by = node.args
        turned = isinstance(by, sp.Transpose)
        found = gradient(of, by.arg if turned else by)
        known[node] = found.T if turned else found
    return np.asarray(value(side, known))


def loss_slope(at: Policy) -> Callable[[sp.Basic, sp.Basic], Array]:
    """∇_M L_OS(Ṽ, W̃) on the first prompt, by torch through the full model, with what the print has in the
    places of Ṽ and of W̃; a W̃ that is not printed is the policy's."""
    one = Prompts(at.prompts.X[:1], at.prompts.w_star[:1])

    def gradient(of: sp.Basic, by: sp.Basic) -> Array:
        leaves = {nt.V: tensor(at.V).requires_grad_(), nt.W: tensor(at.W).requires_grad_()}
        blocks = [value(part, leaves) for part in (*of.args[1:], nt.W)[:2]]
        loss = outcome_loss(*assemble(*blocks), one, at.k)
        (slope,) = torch.autograd.grad(loss, leaves[by], materialize_grads=True)
        return slope.numpy()

    return gradient


def mean_slope(at: Policy, printed: sp.Basic, scalars: Mapping[sp.Basic, Any] | None = None) -> Array:
    """A printed mean in terms of ∇L_OS."""
    return with_gradients(printed, loss_slope(at), scalars or {}, at.d)


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
    slope = spread_slope(at, normals)
    if of is not None:
        return float(of.subs({pg.sigma: at.sigma})) * slope
    return with_gradients(registry()["ext-rl.h"].printed, lambda *_: slope, {pg.sigma: at.sigma}, at.d)


def normalised_precisely(at: LiftedPolicy, normals: Numbers, of: sp.Expr | None = None) -> Numbers:
    """:func:`normalised_pathwise` in bounded numbers, the deviation differentiated entry by entry."""
    entries = []
    for mean, slope in at.moved():
        misses = mean + at.sigma * normals - at.w_star
        rewards, moved = -(misses**2).sum(-1) / 2, -(misses @ slope)
        centred = rewards - rewards.sum() / len(rewards)
        # ds = ds²/(2s), and the mean of the centred rewards is 0.
        entries.append((centred @ moved) / len(rewards) / np.sqrt((centred**2).sum() / len(rewards)))
    d = at.point.d
    slopes = np.array(entries).reshape(d, d)
    if of is not None:
        return np.asarray(slopes * of.subs({pg.sigma: at.sigma}))
    return with_gradients(registry()["ext-rl.h"].printed, lambda *_: slopes, {pg.sigma: at.sigma}, d)


def pair_slope(at: Policy, printed: sp.Basic) -> Array:
    """The printed mean c · ∇_Ṽ E‖αe + κz‖ at G = 2.  E‖αe + κz‖ is κ times the mean of a noncentral χ_d,
    √2 Γ((d+1)/2)/Γ(d/2) ₁F₁(−1/2; d/2; −α²‖e‖²/(2κ²))."""
    half, square = at.d / 2, float(error(at) @ error(at))
    gammas = float(np.exp(scipy.special.gammaln(half + 0.5) - scipy.special.gammaln(half)))

    def gradient(objective: sp.Basic, by: sp.Basic) -> Array:
        (distance,) = objective.atoms(nt.Frobenius)
        shares = {pg.e: sp.S.Zero, pg.z: sp.S.Zero}
        for part in sp.MatAdd.make_args(distance.args[0]):
            coefficient, (vector,) = part.as_coeff_matrices() if part.is_MatMul else (sp.S.One, [part])
            shares[vector] += coefficient.subs({pg.sigma: at.sigma})
        if not all(share.is_real for share in shares.values()):
            return np.full((at.d, at.d), np.nan)  # no distance
        alpha, kappa = (abs(float(share)) for share in shares.values())
        if not kappa:
            return np.asarray(alpha / square**0.5 * outcome_slope(at))
        slope = scipy.special.hyp1f1(0.5, half + 1, -square * (alpha / kappa) ** 2 / 2)
        return np.asarray(alpha**2 * np.sqrt(2) / (kappa * at.d) * gammas * slope * outcome_slope(at))

    return with_gradients(printed, gradient, {pg.sigma: at.sigma}, at.d)


def large_group_slope(at: Policy, printed: sp.Basic) -> Array:
    """The printed mean c · ∇_Ṽ f(‖e‖²)."""
    a = sp.Symbol("a", positive=True)
    at_point = {a: float(error(at) @ error(at)), pg.sigma: at.sigma, nt.d: at.d}

    def gradient(objective: sp.Basic, by: sp.Basic) -> Array:
        chain = 2 * sp.diff(objective.xreplace({pg.SQUARED: a}), a).subs(at_point)
        return np.asarray((float(chain) if chain.is_real else np.nan) * outcome_slope(at))

    return with_gradients(printed, gradient, {pg.sigma: at.sigma}, at.d)


# Covariances ----------------------------------------------------------------------------------------


def one_action(printed: sp.Basic) -> sp.Expr:
    """The covariance that ``ext-rl.b`` prints, its b_* put in."""
    chain, best = printed.args
    return chain.args[1].subs(best.lhs, best.rhs)


def in_output(expression: sp.Expr, e: Array, scalars: Values) -> Array:
    """A printed covariance at e."""
    return np.asarray(value(expression, {**scalars, pg.e: e[:, None]}))


def factor(printed: sp.Basic) -> sp.Expr:
    """λ, the factor of I in the covariance that ``ext-rl.b`` prints."""
    (part,) = (p for p in one_action(printed).args if p.has(sp.Identity))
    return part.as_coeff_matrices()[0]


def jacobian_squared(printed: sp.Basic, V: Any, S: Any, w_star: Any, k: int) -> Any:
    """‖J‖_F² as ``ext-rl.c`` prints it, at explicit matrices or arrays, w* a column."""
    return value(printed.args[1].rhs, {nt.V: V, nt.S: S, nt.w_star: w_star, nt.k: k})


def lowered(expression: sp.Expr) -> Scalar | None:
    """In words; nothing for a power below zero, which is no polynomial."""
    try:
        return lower_scalar(expression)
    except ArgumentError:
        return None


def spread_of(at: Policy) -> Callable[[float], float]:
    """b ↦ the spread that ``ext-rl.c`` prints, on a policy's one prompt."""
    printed = registry()["ext-rl.c"].printed
    e = error(at)
    size = jacobian_squared(printed, at.V, at.S[0], at.w_star[0][:, None], at.k)
    given = {pg.J_SQUARED: size, pg.SQUARED: float(e @ e), **whole_slope(at)}
    whole = printed.args[0].rhs.xreplace({pg.factor: factor(registry()["ext-rl.b"].printed)})
    here = whole.xreplace(given).subs({pg.sigma: at.sigma, nt.d: at.d})
    return lambda b: number(here.subs(pg.b, b))


def averaged(expression: sp.Expr, prompts: Sequence[Values], scalars: Values) -> Any:
    """A printed expression with its means over τ taken over ``prompts``, and scalars put in."""

    def mean(node: nt.Expectation) -> sp.Expr:
        return sp.Add(*(node.args[0].xreplace(dict(one)) for one in prompts)) / len(prompts)

    return expression.replace(lambda x: isinstance(x, nt.Expectation), mean).subs(dict(scalars))


def _turned(loss: nt.Label) -> tuple[sp.Expr, sp.Expr]:
    """The square of a loss' gradient with Ṽᵀ for Ṽ as its argument, and as what it is differentiated by."""
    there = nt.Gradient(nt.Label(loss.args[0], nt.V.T), nt.V)
    return nt.FrobeniusSquared(there), nt.FrobeniusSquared(nt.Gradient(loss, nt.V.T))


def of_prompts(terms: PromptTerms, turned: PromptTerms | None = None) -> list[Values]:
    """‖e‖², ‖J‖², ‖∇L_τ‖² of each prompt; with the terms at Ṽᵀ in ``turned``, ‖∇L_τ‖² there as well."""
    squares = (terms.gradients**2).sum(axis=(1, 2))
    columns = zip(terms.error_squared, terms.jacobian_squared, squares, strict=True)
    found: list[Values] = [{pg.SQUARED: a, pg.J_SQUARED: j, pg.ONE_SLOPE_SQUARED: g} for a, j, g in columns]
    if turned is None:
        return found
    elsewhere = (turned.gradients**2).sum(axis=(1, 2))
    there, again = _turned(pg.ONE_LOSS)
    return [
        {**one, there: g, again: one[pg.ONE_SLOPE_SQUARED]} for one, g in zip(found, elsewhere, strict=True)
    ]


def prompts_of(at: Policy) -> list[Values]:
    """:func:`of_prompts` of a policy."""
    return of_prompts(terms_of(at), prompt_terms(at.V.T, at.S, at.w_star, at.k))


def whole_slope(at: Policy) -> Values:
    """‖∇L_OS‖² over all prompts."""
    here, there = (
        float((prompt_terms(V, at.S, at.w_star, at.k).gradients.mean(axis=0) ** 2).sum())
        for V in (at.V, at.V.T)
    )
    other, again = _turned(pg.LOSS)
    return {pg.SLOPE_SQUARED: here, again: here, other: there}


def terms_of(at: Policy) -> PromptTerms:
    return prompt_terms(at.V, at.S, at.w_star, at.k)


def constant_baseline(printed: sp.Basic, prompts: Sequence[Values], scalars: Values) -> tuple[Any, Any]:
    """The best single baseline and the spread that it leaves, as ``ext-rl.e`` prints them."""
    best, middle, least = (display.rhs for display in printed.args)
    known = {**scalars, pg.average: averaged(middle, prompts, scalars)}
    return best.subs(known), averaged(least, prompts, known)


def evaluations(
    printed: sp.Basic, prompts: Sequence[Values], whole: Values, scalars: Values, size: Any
) -> Any:
    """N_RL/N_OS as ``ext-rl.k`` prints it; ``whole`` has ‖∇L_OS‖²."""
    ratio, *definitions = printed.args
    known: dict[sp.Basic, Any] = {**scalars, pg.group: size}
    for one in definitions:
        known[one.lhs] = averaged(one.rhs.xreplace(dict(whole)), prompts, scalars)
    return ratio.args[1].subs(known)


def evaluations_of(at: Policy, size: int) -> float:
    """:func:`evaluations` of the registered print for a policy's prompts."""
    scalars = {pg.sigma: at.sigma, nt.d: at.d}
    printed = registry()["ext-rl.k"].printed
    return number(evaluations(printed, prompts_of(at), whole_slope(at), scalars, size))


def number(found: Any) -> float:
    """As a float; what is infinite or complex is no number."""
    found = sp.sympify(found)
    return float(found) if found.is_real and found.is_finite else np.nan
