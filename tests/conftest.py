"""The options and seeds of ``pytest verify/`` for the tests of the software too, run alone or with it."""

from __future__ import annotations

from verify.conftest import pytest_addoption

__all__ = ["pytest_addoption"]
