"""The synthetic language study as fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from .study import Tables, make_tables, make_task


@pytest.fixture
def tables() -> Tables:
    return make_tables()


@pytest.fixture
def task() -> dict[str, Any]:
    return make_task()
