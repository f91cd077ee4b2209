"""What ``lsatheory new`` writes."""

from __future__ import annotations

TEMPLATE = '''"""What is claimed, in a sentence: the mean of the squared error of one step is this formula."""

from sympy import Trace

from theory.notation import FrobeniusSquared, I, Sigma, Sigma_hat, V, n
from verify.claims import Claim, as_test, one_step_errors

claim = Claim(
    title="The one-step risk",
    # The claim: a SymPy expression in symbols of theory.notation, or your own (verify.claims.matrix, scalar).
    formula=FrobeniusSquared(I + V * Sigma)
    + (Trace(V * Sigma**2 * V.T) + Trace(V * Sigma * V.T) * Trace(Sigma)) / n,
    # What varies: matrices by None, scalars by (low, high), either by a value or an expression.
    symbols={V: None, Sigma: None},
    assumptions=("W̃ = I", "w_0 = 0", "x ~ N(0, Σ)", "w* ~ N(0, I)"),
    # Whose mean over prompts it is, polynomial in Σ̂ = XXᵀ/n; or derive=, a function that gives what the
    # formula has to equal.  Without either there is no symbolic evidence, and the verdict stays open.
    definition=FrobeniusSquared(I + V * Sigma_hat),
    # What is measured: samples whose mean is claimed.  Yours is def simulate(at, size, rng).
    simulate=one_step_errors,
)
test_claim = as_test(claim)
'''


def template(name: str) -> str:
    """The template for a claim of that name."""
    return TEMPLATE.replace("NAME", name)
