"""An asymptotic claim: two steps of the isotropic model, d and n growing in proportion.

With Σ = I and Ṽ = −cI the spectrum of Σ̂ tends to the Marchenko–Pastur law of ratio a = d/n, whose moments
are 1, 1 + a, 1 + 3a + a², 1 + 6a + 6a² + a³; the risk per dimension is the mean of (1 − cs)⁴.
"""

from theory.notation import FrobeniusSquared, I, Sigma, Sigma_hat, V, d, n
from verify.claims import Claim, as_test, k_step_errors, scalar

c = scalar("step", "c", positive=True)
a = scalar("ratio", "a", positive=True)
two_steps = k_step_errors(2)


def simulate(at, size, rng):
    return two_steps(at, size, rng) / at[d]


claim = Claim(
    title="The two-step risk per dimension, d and n in proportion",
    formula=1
    - 4 * c
    + 6 * c**2 * (1 + a)
    - 4 * c**3 * (1 + 3 * a + a**2)
    + c**4 * (1 + 6 * a + 6 * a**2 + a**3),
    symbols={c: (0.2, 0.7), a: (0.3, 1.5), n: d / a, V: -c * I, Sigma: I},
    limit=(d, (6, 12, 24, 48)),
    definition=FrobeniusSquared((I + V * Sigma_hat) ** 2) / d,
    simulate=simulate,
    delta=0.1,  # at d = 48 the gap of order 1/d is a few per cent
)
test_claim = as_test(claim)
