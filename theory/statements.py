"""Importing this module registers every statement."""

from theory import (  # noqa: F401, I001
    model,
    pretraining,
    sparsity,
    finetuning,
    descent,
    population,
    risk,
    allocation,
    hardness,
    outcome,
    kstep,
    joint,
    os_limits,
)
