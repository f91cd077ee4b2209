"""What a claim may be measured on: this package's model, or a polynomial in Σ̂ over sampled prompts.

A simulator takes a point (symbol → value), a number of samples and a NumPy generator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from sympy.matrices.expressions.matexpr import MatrixExpr

from numerics import sampling
from numerics.device import seeded
from numerics.model import assemble, chain_of_thought, predicted_weights
from numerics.prompts import Prompts, sample_prompts
from theory import notation as nt
from theory.errors import ArgumentError, check_count
from theory.lower import lower_matrix, lower_scalar
from theory.words.letters import Letter, Word
from theory.words.poly import Scalar, Traces
from verify.checks.points import tensor
from verify.claims.claim import At, Simulate
from verify.surface import value

Array = NDArray[np.float64]
SMALL = 8  # dimensions up to which the full model is run
CHUNK = 2**22  # numbers in the prompts that are held at once: 32 MiB


def _given(at: At, *symbols: sp.Basic) -> list[Any]:
    lacking = [str(s) for s in symbols if s not in at]
    if lacking:
        raise ArgumentError(f"symbols: must have {', '.join(lacking)}, which this simulator reads")
    return [at[s] for s in symbols]


def prompts(at: At, size: int, rng: np.random.Generator) -> Prompts:
    """``size`` prompts of the paper at the point's Σ and n: features ``X`` (size, d, n), x ~ N(0, Σ), tasks
    ``w_star`` (size, d), w* ~ N(0, I), covariances ``S`` (size, d, d), as float64 tensors."""
    Sigma, n = _given(at, nt.Sigma, nt.n)
    return sample_prompts(tensor(Sigma), n, size, seeded(int(rng.integers(2**62)), "cpu"))


def k_step_errors(k: int | sp.Symbol) -> Simulate:
    """The squared error ‖ŵ_k − w*‖² of sampled prompts after k steps of the model, by its forward pass.

    Reads Ṽ, Σ, n and, if it is among the symbols, W̃ (else I); k is a number or one of the symbols.  With
    d > 8 and no W̃ the errors are drawn without the prompts, in the same law (``notes/sampling.md``).
    """

    def simulate(at: At, size: int, rng: np.random.Generator) -> Array:
        V, Sigma, n = _given(at, nt.V, nt.Sigma, nt.n)
        steps = check_count("k", _given(at, k)[0] if isinstance(k, sp.Symbol) else k, 0)
        if len(V) > SMALL and nt.W not in at:
            generator = seeded(int(rng.integers(2**62)), "cpu")
            path = sampling.k_step_errors(tensor(V), tensor(Sigma), n, steps, size, generator)
            return np.asarray(path[:, -1].numpy())
        model = assemble(tensor(V), tensor(at.get(nt.W, np.eye(len(V)))))
        found = []
        for part in _parts(size, len(V) * (n + steps)):
            drawn = prompts(at, part, rng)
            chain = chain_of_thought(*model, drawn.X, drawn.w_star, steps)
            miss = predicted_weights(chain, drawn.n)[:, -1] - drawn.w_star
            found.append(miss.square().sum(-1))
        return np.asarray(torch.cat(found).numpy())

    return simulate


def one_step_errors(at: At, size: int, rng: np.random.Generator) -> Array:
    """:func:`k_step_errors` at k = 1."""
    found: Array = k_step_errors(1)(at, size, rng)
    return found


def over_prompts(definition: Any) -> Simulate:
    """``definition``, polynomial in Σ̂, at the Σ̂ = XXᵀ/n of sampled prompts: (size,) or (size, rows, columns).

    Raises :class:`ArgumentError` for what has no rule that multiplies it out.
    """
    whole = isinstance(definition, MatrixExpr)
    words = lower_matrix(definition) if whole else lower_scalar(definition)

    def simulate(at: At, size: int, rng: np.random.Generator) -> Array:
        found = []
        for part in _parts(size, at[nt.d] * max(at[nt.d], at[nt.n])):
            letters = {nt.letter_of(s): v for s, v in at.items() if isinstance(s, sp.MatrixSymbol)}
            letters[nt.letter_of(nt.Sigma_hat)] = prompts(at, part, rng).S.numpy()
            for one in words.letters():  # an inverse, of a matrix that is not random
                if one.of in letters:
                    letters[one] = (np.linalg.inv if one.kind == "inv" else np.linalg.pinv)(letters[one.of])
            found.append(_values(words, letters, at, part))
        return np.concatenate(found)

    return simulate


def _values(words: Any, letters: dict[Letter, Array], at: At, size: int) -> Array:
    def product(word: Word) -> Array:
        total = None
        for factor in word:
            array = (
                np.swapaxes(letters[factor.letter], -1, -2) if factor.transposed else letters[factor.letter]
            )
            total = array if total is None else total @ array
        assert total is not None
        return total

    def traces(of: Traces) -> Any:
        found: Any = 1.0
        for word in of:
            found = found * np.trace(product(word), axis1=-2, axis2=-1)
        return found

    def number(coefficient: sp.Expr) -> float:
        return float(value(coefficient, at))

    if isinstance(words, Scalar):
        total = sum((number(c) * traces(t) for t, c in words.terms.items()), start=np.zeros(size))
        return np.asarray(total)
    rows, cols = (int(value(side, at)) for side in words.shape)
    result = np.zeros((size, rows, cols))
    for (t, word), c in words.terms.items():
        base = product(word) if word else np.eye(rows)
        result += np.reshape(number(c) * traces(t), (-1, 1, 1)) * base
    return result


def _parts(size: int, numbers: int) -> list[int]:
    most = max(1, CHUNK // numbers)
    return [min(most, size - done) for done in range(0, size, most)]
