"""The numeric checks: each measures a quantity by :mod:`numerics` and takes the prediction as argument.

Nothing here knows what a theorem says: a wrong prediction can be put in the place of any right one,
which ``tests/test_planted.py`` does.
"""
