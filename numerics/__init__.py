"""The models of arXiv:2603.01293 in torch: prompts, forward pass, losses, training.

Nothing here knows a closed form that it could be compared with: :mod:`theory` derives those, and
:mod:`verify` compares.
"""
