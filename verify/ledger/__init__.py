"""The ledger: evidence, the verdict that follows from it, and the file that keeps both."""

from __future__ import annotations

import importlib

from theory.statement import Statement, registry


def load_statements() -> dict[str, Statement]:
    """Every statement of the theory by id.

    The one place that fills the registry: it imports all parts of the theory, which takes seconds,
    so it is called where statements are needed and not at import.
    """
    importlib.import_module("theory.statements")
    return registry()
