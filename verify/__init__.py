"""The comparison of :mod:`theory` with :mod:`numerics`, and the ledger of verdicts that it yields.

``stats`` turns samples into an outcome, ``ledger`` outcomes into a verdict and verdicts into files,
``output`` prints them.  The checks themselves are the pytest files at the top level of this folder.
"""

import os

# The derivations run through SymPy's default of 1000 cache entries; it is read when SymPy is first imported.
os.environ.setdefault("SYMPY_CACHE_SIZE", "20000")
