"""What a sample costs a minimiser: tr H⁻¹G, G = E ∇L_τ ∇L_τᵀ and H = E ∇²L_τ of L_τ = ½‖ŵ_k − w*‖² in Ṽ.

The minimiser on B prompts is off by −H⁻¹∇L_B up to terms of order 1/B, and E‖ŵ_k − w*‖² by tr H⁻¹G/B: the
1/B law of least squares.  Both means by Gauss's rule, over the full model and its derivatives: nothing is
sampled.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from torch import Tensor

from numerics.model import assemble, chain_of_thought, predicted_weights
from numerics.prompts import Prompts
from verify.checks.points import tensor
from verify.ledger.evidence import Evidence

Array = NDArray[np.float64]
DELTA = 1e-9  # of the size: means of polynomials in float64, and a solve of a well-conditioned H


def _grid(count: int, size: int) -> tuple[Array, Array]:
    """Nodes (count^size, size) of a standard normal vector, and their weights."""
    points, weights = hermegauss(count)
    nodes = np.array(list(product(points, repeat=size)))
    return nodes, np.array(list(product(weights / weights.sum(), repeat=size))).prod(axis=1)


def _prompts(d: int, n: int, k: int) -> tuple[Prompts, Tensor]:
    """For A = I, exact for the squares of gradients: of degree 8k in an entry of X and 4 in one of w*."""
    X, of_X = _grid(4 * k + 1, d * n)
    star, of_star = _grid(3, d)
    both = Prompts(
        tensor(np.repeat(X.reshape(-1, d, n), len(star), axis=0)), tensor(np.tile(star, (len(X), 1)))
    )
    return both, tensor(np.outer(of_X, of_star).ravel())


def _losses(V: Tensor, prompts: Prompts, k: int) -> Tensor:
    full = assemble(V, torch.eye(prompts.d, dtype=torch.float64).expand_as(V))
    reached = predicted_weights(chain_of_thought(*full, prompts.X, prompts.w_star, k), prompts.n)[..., -1, :]
    return (reached - prompts.w_star).square().sum(-1) / 2


def _slopes(V: Tensor, prompts: Prompts, k: int) -> Tensor:
    each = V.expand(prompts.size, *V.shape).clone().requires_grad_()
    (found,) = torch.autograd.grad(_losses(each, prompts, k).sum(), each)
    return found.reshape(prompts.size, -1)


def cost(V: Array, n: int, k: int, newton: bool = False) -> float:
    """tr H⁻¹G at Ṽ = V (d, d); after a Newton step from it, which ends at the minimum if k = 1, for
    ``newton``."""
    d, at = len(V), tensor(V)
    prompts, weights = _prompts(d, n, k)
    mean = lambda V: weights @ _losses(V.expand(prompts.size, d, d), prompts, k)  # noqa: E731
    H = torch.autograd.functional.hessian(mean, at).reshape(d * d, d * d)
    if newton:
        at = at - torch.linalg.solve(H, weights @ _slopes(at, prompts, k)).reshape(d, d)
    slopes = _slopes(at, prompts, k)
    return float(torch.trace(torch.linalg.solve(H, slopes.mT @ (weights[:, None] * slopes))))


def _judged(found: list[float], stated: list[float], regime: str, form: str) -> Evidence:
    off = float(np.max(np.abs(np.array(stated) - np.array(found)) / np.array(found)))
    outcome = "agrees" if off < DELTA else "differs"
    return Evidence("monte-carlo", outcome, f"rel. dev. {off:.1e}", regime, DELTA, form=form)


def one_step(
    prediction: Callable[[int, int], float], sizes: tuple[tuple[int, int], ...], form: str = "printed"
) -> Evidence:
    """k = 1, A = I, at the minimum, against ``prediction``(d, n)."""
    found = [cost(-0.5 * np.eye(d), n, 1, newton=True) for d, n in sizes]
    at = ", ".join(f"({d},{n})" for d, n in sizes)
    regime = f"tr H⁻¹G at the minimum by Gauss's rule, k=1, A=I, (d,n) = {at}"
    return _judged(found, [prediction(*size) for size in sizes], regime, form)


def scalar(
    prediction: Callable[[int, int, float], float],
    at: tuple[tuple[int, int, float], ...],
    form: str = "printed",
) -> Evidence:
    """d = 1 against ``prediction``(n, k, c), at any Ṽ = −c."""
    found = [cost(np.array([[-c]]), n, k) for n, k, c in at]
    shown = ", ".join(f"({n},{k},{c:g})" for n, k, c in at)
    regime = f"tr H⁻¹G at Ṽ = −c by Gauss's rule, d=1, (n,k,c) = {shown}"
    return _judged(found, [prediction(*each) for each in at], regime, form)
