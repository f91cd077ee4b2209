"""The claim of ``few_prompts.py`` with the border that the tool found as its condition, at full rank."""

import numpy as np
import sympy as sp
import torch

from numerics.sampling import sft_targets
from theory.exact import gaussian_mean
from theory.notation import B, G, I, Sigma, d, i, j, n
from verify.claims import Claim, as_test


def simulate(at, size, rng):
    """‖ΩΦ†Φ‖_F², Ω the tasks of B prompts and Φ their images Sw*: Ω itself where Φ†Φ = I."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    targets = sft_targets(torch.as_tensor(at[Sigma]), at[n], size * at[B], generator)
    Omega, Phi = (t.numpy().reshape(at[d], size, at[B]).transpose(1, 0, 2) for t in targets)
    return np.square(Omega @ np.linalg.pinv(Phi) @ Phi).sum(axis=(1, 2))


def derive():
    """Φ†Φ = I almost surely if B ≤ d; what is left is E‖Ω‖_F², a sum of d × B second moments."""
    w = sp.Symbol("w")
    return sp.Sum(gaussian_mean(w**2, [w]), (i, 1, d), (j, 1, B)).doit()


claim = Claim(
    title="The minimum-norm fit reproduces at most d targets",
    formula=d * B,
    symbols={d: (2, 4), B: (1, 6), G: None, Sigma: G * G.T + I},
    simulate=simulate,
    condition=sp.Le(B, d),
    derive=derive,
)
test_claim = as_test(claim)
