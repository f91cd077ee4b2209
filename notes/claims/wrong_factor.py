"""A wrong claim: the last line of the proof of Lemma A.1, which has a factor 2 too many."""

from sympy import Trace

from theory.notation import FrobeniusSquared, I, Sigma, Sigma_hat, V, n
from verify.claims import Claim, as_test

claim = Claim(
    title="The mean of the square, with a factor 2",
    formula=FrobeniusSquared(I + V * Sigma)
    + (Trace(V * Sigma**2 * V.T) + 2 * Trace(V * Sigma * V.T) * Trace(Sigma)) / n,
    symbols=(V, Sigma),
    assumptions=("x ~ N(0, Σ)",),
    definition=FrobeniusSquared(I + V * Sigma_hat),
)
test_claim = as_test(claim)
