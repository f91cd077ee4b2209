"""The models of arXiv:2603.01293 in torch: prompts, forward pass, losses, training.

No check of a statement rests on a closed form here (``sft.py`` has one, to be fast) that it could be compared with: :mod:`theory` derives those, and
:mod:`verify` compares.
"""
