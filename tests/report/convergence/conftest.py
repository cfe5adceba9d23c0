"""The synthetic convergence study as fixtures."""

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
        "num_inputs": 30,
        "num_classes": 5,
        "classes": ["0", "1", "2", "3", "4"],
        "num_examples": {"train": 4500, "validation": 4500, "test": 1000},
        "bayes_probabilities": "exact",
    }
