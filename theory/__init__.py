"""Derivations for the theory of arXiv:2603.01293: SymPy and a small algebra of matrix words.

Nothing here draws a random number, reads a file or imports torch: what this package says should
happen, :mod:`numerics` makes happen, and :mod:`verify` compares.
"""
