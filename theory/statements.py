"""Importing this module registers every statement, in the order of the paper's argument."""

from theory import (  # noqa: F401, I001
    model,
    pretraining,
    sparsity,
    finetuning,
    descent,
    population,
    risk,
    outcome,
)
