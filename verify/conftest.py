"""Puts the ledger's plugin into every pytest run that reaches this folder, whatever it started from."""

from __future__ import annotations

import pytest

from verify import plugin


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Not ``pytest_plugins``, which pytest accepts in the outermost conftest only.
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "lsatheory-ledger")
