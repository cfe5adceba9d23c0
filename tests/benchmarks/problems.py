"""Problems small enough for tests."""

from __future__ import annotations

import numpy as np

from benchmarks.problems import Problem


def small(loss: str = "distillation", **options) -> Problem:
    """Return 50 examples, 5 inputs and 3 outputs, 2 tables of targets."""
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((50, 5)).astype(np.float32)
    if loss == "mse":
        targets = generator.standard_normal((2, 50, 3)).astype(np.float32)
        labels = generator.standard_normal((50, 3)).astype(np.float32)
    else:
        targets = generator.dirichlet(np.ones(3), (2, 50)).astype(np.float32)
        labels = generator.integers(0, 3, 50)
    defaults = {"hidden": (8,), "epochs": 3, "batch_size": 16, "learning_rate": 0.02}
    return Problem("small", inputs, labels, targets, loss=loss, **{**defaults, **options})
