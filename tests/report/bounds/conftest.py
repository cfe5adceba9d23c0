"""The synthetic bounds study as fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from .study import Tables, make_tables


@pytest.fixture(scope="session")
def made() -> Tables:
    return make_tables()


@pytest.fixture
def tables(made: Tables) -> Tables:
    """Copies, which a test may change."""
    return {name: frame.copy() for name, frame in made.items()}


@pytest.fixture
def task() -> dict[str, Any]:
    return {
        "num_inputs": 64,
        "num_classes": 10,
        "classes": [str(number) for number in range(10)],
        "num_examples": {"train": 1078, "validation": 359, "test": 360},
    }
