"""A true claim: the risk of one step at finite prompt length, as Proposition 5.1 has it."""

from sympy import Trace

from theory.notation import FrobeniusSquared, I, Sigma, Sigma_hat, V, n
from verify.claims import Claim, as_test, one_step_errors

claim = Claim(
    title="The one-step risk at finite prompt length",
    formula=FrobeniusSquared(I + V * Sigma)
    + (Trace(V * Sigma**2 * V.T) + Trace(V * Sigma * V.T) * Trace(Sigma)) / n,
    symbols=(V, Sigma),
    assumptions=("W̃ = I", "w_0 = 0", "x ~ N(0, Σ)", "w* ~ N(0, I)"),
    definition=FrobeniusSquared(I + V * Sigma_hat),  # given the prompt, the mean over w*
    simulate=one_step_errors,  # the full model on sampled prompts
)
test_claim = as_test(claim)
