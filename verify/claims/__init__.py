"""A claim of one's own, checked as the paper's are by ``lsatheory check my_claim.py``.

Notes: ``notes/claims.md``.
"""

from verify.claims.check import as_test
from verify.claims.claim import Claim, matrix, scalar
from verify.claims.simulators import k_step_errors, one_step_errors, prompts

__all__ = ["Claim", "as_test", "k_step_errors", "matrix", "one_step_errors", "prompts", "scalar"]
