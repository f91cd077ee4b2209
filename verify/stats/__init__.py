"""From numbers to an outcome: agrees, differs or undecided."""

from verify.stats.equivalence import LEAST, Outcome, equivalence_test, least_first
from verify.stats.intervals import half_widths
from verify.stats.rounding import RoundingOutcome, pseudo_inverse_rounds, rounding_test

__all__ = [
    "LEAST",
    "Outcome",
    "RoundingOutcome",
    "equivalence_test",
    "half_widths",
    "least_first",
    "pseudo_inverse_rounds",
    "rounding_test",
]
