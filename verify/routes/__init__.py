"""The two routes of each statement, symbolic and numeric, and a static proof of what they have in common.

For every check that the tests call, its measured arguments are followed back to all code that they name, at
any remove, and so are its predictions and the arguments of symbolic evidence.  Then

- no module of numerics imports theory, SymPy or verify, and none of theory numerics, verify or torch;
- nothing that is measured reaches theory, but for error messages, symbols and the places listed in
  :data:`verify.routes.allowed.INPUTS`, where a formula says where to measure and not what is found there;
- a prediction enters no draw or simulation but in :data:`verify.routes.allowed.PAIRED`;
- a derivation or exact evidence has nothing in common with what is measured but the sampler, plain settings
  and comparison; where a prediction has more, that is listed with the statement and explained.

A name that leads nowhere and code run by ``eval`` count as forbidden.  The analysis trusts the names of
parameters (``prediction`` and the like) and what torch, NumPy and SymPy do with what they are given.  It
follows neither the conditions of branches, nor what a function does to an object that it was handed, nor a
method that a prediction calls on its setting further than to the code of numerics that it reaches by name.
:mod:`verify.routes.code` reads the source, :mod:`verify.routes.flow` the variables of a test,
:mod:`verify.routes.judges` the comparisons, :mod:`verify.routes.table` attributes them to statements.
"""

from verify.routes.code import Code
from verify.routes.table import Analysis, Route, wall

__all__ = ["Analysis", "Code", "Route", "wall"]
