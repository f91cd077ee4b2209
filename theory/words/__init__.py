"""An algebra of matrix words: the derivation language for general d."""

from theory.words.letters import Factor, Letter, inverse_letter, pinv_letter
from theory.words.poly import Matrix, Scalar, identity, letter, scalar, zero

__all__ = [
    "Factor",
    "Letter",
    "Matrix",
    "Scalar",
    "identity",
    "inverse_letter",
    "letter",
    "pinv_letter",
    "scalar",
    "zero",
]
