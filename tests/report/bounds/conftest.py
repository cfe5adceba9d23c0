"""The synthetic bounds study as fixtures."""

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
        "num_inputs": 64,
        "num_classes": 10,
        "classes": [str(number) for number in range(10)],
        "num_examples": {"train": 1078, "validation": 359, "test": 360},
    }
