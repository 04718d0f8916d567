"""Other libraries that serve as oracles: imported where they are installed, else the tests that need them are skipped with a message.

In CI ``MINPRUNE_REQUIRE_ORACLE=1`` makes a missing oracle a failure, so that those tests cannot be skipped unnoticed.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest


def oracle(name: str) -> ModuleType:
    """The module ``name``, or skip (fail, if oracles are required) the test module that asks for it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if os.environ.get("MINPRUNE_REQUIRE_ORACLE") == "1":
            raise
        pytest.skip(f"{name} is not installed; pip install 'minprune[oracle]' runs these tests", allow_module_level=True)
