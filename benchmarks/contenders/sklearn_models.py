"""scikit-learn's multilayer perceptrons, for orientation: they learn labels, from another initial distribution."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from benchmarks.problems import Problem


def train(problem: Problem, students: Sequence[int], seed: int, threads: int) -> NDArray[np.float64]:
    """Train for as many epochs of as many batches; classes are the labels, regression its own targets."""
    with threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is meant
        return np.array([_train(problem, student, seed) for student in students])


def _train(problem: Problem, student: int, seed: int) -> float:
    regression = problem.loss == "mse"
    model = (MLPRegressor if regression else MLPClassifier)(
        hidden_layer_sizes=problem.hidden,
        alpha=0.0,
        batch_size=min(problem.batch_size, len(problem.inputs)),
        learning_rate_init=problem.learning_rate,
        max_iter=problem.epochs,
        n_iter_no_change=problem.epochs + 1,
        shuffle=not problem.full_batch,
        random_state=1_000_000 * seed + student,
    )
    model.fit(problem.inputs, problem.table(student).ravel() if regression else problem.labels)
    return float(model.loss_)
