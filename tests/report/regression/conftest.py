"""The synthetic regression study as fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from .study import Tables, make_tables


@pytest.fixture
def tables() -> Tables:
    return make_tables()


@pytest.fixture
def task() -> dict[str, Any]:
    return {
        "num_inputs": 10,
        "features": ["age", "bmi", "bp"],
        "num_examples": {"train": 264, "validation": 89, "test": 89},
        "target": "target",
    }
