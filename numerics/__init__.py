"""The models of arXiv:2603.01293 in torch: prompts, forward pass, losses, training.

Nothing here is evidence for a closed form that it uses (:mod:`numerics.sft` has one, to be fast):
:mod:`theory` derives the formulas, and :mod:`verify` compares.
"""
