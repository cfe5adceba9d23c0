"""The synthetic study as fixtures."""

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
        "classes": [str(digit) for digit in range(10)],
        "features": [f"pixel_{index}" for index in range(64)],
        "num_examples": {"train": 1077, "validation": 360, "test": 360},
        "label_noise": 0.2,
        "num_flipped": 215,
        "seed": 0,
        "target": "digit",
    }


@pytest.fixture
def provenance() -> dict[str, Any]:
    return {
        "command": "kedro run --pipelines classification",
        "parameters": {"teachers": {"training": {"epochs": 10}}, "students": {"response_seeds": 8}},
        "seeds": {"ingestion": 0, "teachers": 1, "responses": 2, "students": 3, "propagation": 4},
        "versions": {"python": "3.11.11", "torch": "2.6.0", "kedro": "1.7.0"},
        "device": "cpu (2 cores)",
        "backend": "vmap",
        "backend_reason": "auto: no accelerator, networks are small",
        "seconds": {"ingestion": 0.4, "teachers": 11.2, "responses": 2.0, "students": 71.5, "propagation": 9.8},
        "fingerprints": {"ingestion": "3f9a0c11", "teachers": "b2d4e6f8"},
        "created": "2026-11-22 10:30 UTC",
    }
