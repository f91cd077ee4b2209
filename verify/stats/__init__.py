"""From numbers to an outcome: agrees, differs or undecided."""

from verify.stats.equivalence import Outcome, equivalence_test, least_first
from verify.stats.rounding import RoundingOutcome, rounding_test

__all__ = ["Outcome", "RoundingOutcome", "equivalence_test", "least_first", "rounding_test"]
