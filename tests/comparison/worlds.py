"""A small task whose class probabilities are known, and teachers that answer from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from kd_uncertainty.comparison.data import Candidate, ComparisonData
from kd_uncertainty.comparison.measure import Comparison, Intervals, compare
from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.comparison.students import Classroom, StudentFit
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.tasks.examples import ExampleTensors

SIZES = {"train": 160, "validation": 400, "test": 400}
INTERVALS = Intervals(0.95, 200, 3)
FIT = StudentFit(
    NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [12]}),
    TrainingOptions(epochs=30, batch_size=32, learning_rate=0.01),
)


def make_data(seed: int = 0, known: bool = True) -> ComparisonData:
    """Three classes of a linear softmax world in four dimensions, labels drawn from the probabilities."""
    generator = np.random.default_rng(seed)
    weights = 1.5 * generator.standard_normal((4, 3))
    parts, bayes, first = {}, {}, 0
    for split, size in SIZES.items():
        inputs = generator.standard_normal((size, 4))
        probabilities = softmax(inputs @ weights, axis=1)
        labels = (generator.random((size, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
        parts[split] = ExampleTensors(
            np.arange(first, first + size), torch.from_numpy(inputs).float(), torch.from_numpy(labels)
        )
        bayes[split] = probabilities
        first += size
    return ComparisonData(**parts, bayes=bayes if known else {}, num_classes=3)


def logits_of(data: ComparisonData) -> np.ndarray:
    """Logarithms of the Bayes probabilities of all examples, (examples, classes)."""
    return np.log(np.concatenate([data.bayes[split] for split in SIZES]))


def posterior(name: str, kind: str, logits: np.ndarray, noise: float, draws: int | None, **facts: Any) -> Candidate:
    """A teacher whose draws scatter around logits."""

    def answers(count: int) -> np.ndarray:
        scatter = np.random.default_rng(len(name)).standard_normal((count, *logits.shape))
        return np.ascontiguousarray((logits + noise * scatter).transpose(1, 0, 2).astype(np.float32))

    return Candidate(name, kind, draws, facts.get("cross_fitted", False), answers)


def planted(data: ComparisonData) -> list[Candidate]:
    """The exact teacher, a corrupted deterministic one, and a posterior of noisy draws around the exact one."""
    exact = logits_of(data)
    corrupted = exact[:, [1, 2, 0]] * 0.5 + 0.5 * exact
    return [
        posterior("corrupted", "deterministic", corrupted, 0.0, 1),
        posterior("exact", "laplace", exact, 0.0, 1),
        posterior("noisy", "swag", exact, 3.0, None),
    ]


def options(**changed: Any) -> TeacherComparisonOptions:
    given: dict[str, Any] = {"posteriors": {"deterministic": {"kind": "deterministic"}}, "num_draws": [1, 8]}
    given |= {"fractions": [0.25, 1.0], "mixing": [0.5, 1.0], "temperature": [1.0, 2.0], "num_seeds": 5}
    return TeacherComparisonOptions.model_validate(given | changed)


def compared(data: ComparisonData, candidates: list[Candidate], threads: int = 1, **changed: Any) -> Comparison:
    chosen = options(**changed)
    return compare(candidates, data, chosen, Classroom(data, chosen, FIT._replace(threads=threads)), INTERVALS)
