"""Expectations over the empirical covariance S = XXᵀ/n, x ~ N(0, Σ) independent, n ≥ 1.

Gaussian integration by parts.  With S = (1/n) Σ_a x_a x_aᵀ and E[x_a f] = Σ E[∂f/∂x_a], the left x_a
of one S meets, each in turn, its own right x_aᵀ and both sides of every other S:

- own right side:                       L S R             →  L Σ R
- left side of a later S:               L S Q S R         →  (1/n) L Σ Qᵀ S R
- right side of a later S:              L S Q S R         →  (1/n) tr(Q S) L Σ R
- either side of an S in a trace:       L S R · tr(S T)   →  (1/n) L Σ (T + Tᵀ) S R

One S is gone in each, so the recursion ends (arXiv:2603.01293, eq. A.3 and A.3 of the proof of
Proposition 4.3, needs order two only).
"""

from __future__ import annotations

import sympy as sp

from theory.words.letters import Factor, Letter, Word, check_free, transpose
from theory.words.poly import Matrix, Scalar, Traces, scalar, zero


def _position(word: Word, S: Letter) -> int | None:
    return next((i for i, f in enumerate(word) if f.letter == S), None)


def _trace_of(word: Word) -> Scalar:
    return Matrix.of_word(word, word[0].rows, word[-1].cols).trace()


def _inside(
    L: Word, R: Word, traces: Traces, S: Letter, Sigma: Letter, n: sp.Expr
) -> list[tuple[Word, Scalar]]:
    """The contractions of L S R · traces, as pairs (new open word, factor)."""
    one, cov = (Factor(S),), (Factor(Sigma),)
    rest = Scalar({traces: sp.Integer(1)})
    found = [(L + cov + R, rest)]
    for j, f in enumerate(R):
        if f.letter == S:
            Q, tail = R[:j], R[j + 1 :]
            found.append((L + cov + transpose(Q) + one + tail, rest * (1 / n)))
            found.append((L + cov + tail, rest * _trace_of(Q + one) * (1 / n)))
    for t, word in enumerate(traces):
        others = Scalar({traces[:t] + traces[t + 1 :]: sp.Integer(1)})
        for j, f in enumerate(word):
            if f.letter == S:
                T = word[j + 1 :] + word[:j]
                for side in (T, transpose(T)):
                    found.append((L + cov + side + one + R, others * (1 / n)))
    return found


def expectation(expression: Matrix | Scalar, S: Letter, Sigma: Letter, n: sp.Expr) -> Matrix | Scalar:
    """E over S of ``expression``; every other letter is fixed.  ``Sigma`` and ``n`` as in S = XXᵀ/n.

    Raises :class:`ArgumentError` where S is inverted.
    """
    check_free(expression.letters(), S, "take the mean over it")
    return _expectation(expression, S, Sigma, n)


def _expectation(expression: Matrix | Scalar, S: Letter, Sigma: Letter, n: sp.Expr) -> Matrix | Scalar:
    if isinstance(expression, Matrix):
        result = zero(expression.rows, expression.cols)
        for (traces, word), c in expression.terms.items():
            at = _position(word, S)
            if at is not None:
                for new, factor in _inside(word[:at], word[at + 1 :], traces, S, Sigma, n):
                    piece = Matrix.of_word(new, expression.rows, expression.cols) * factor
                    result = result + _expectation(piece, S, Sigma, n) * c
            else:
                weight = _expectation(Scalar({traces: sp.Integer(1)}), S, Sigma, n)
                result = result + Matrix.of_word(word, expression.rows, expression.cols) * weight * c
        return result
    total = scalar(0)
    for traces, c in expression.terms.items():
        j = next((j for j, word in enumerate(traces) if _position(word, S) is not None), None)
        if j is None:
            total = total + Scalar({traces: c})
            continue
        at = _position(traces[j], S)
        assert at is not None
        turned = traces[j][at + 1 :] + traces[j][:at]
        for new, factor in _inside((), turned, traces[:j] + traces[j + 1 :], S, Sigma, n):
            total = total + _expectation(_trace_of(new) * factor, S, Sigma, n) * c
    return total
