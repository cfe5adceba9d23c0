"""Teachers are trained by the population engine: a teacher is a population with the data's labels as targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from torch.nn.functional import one_hot

from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import Cohort, Trained, naming_the_network, train
from kd_uncertainty.teachers.contract import Fitted, Problem


def fit_members(problem: Problem, arguments: Mapping[str, Any], members: int, seed: int) -> Fitted:
    """Train ``members`` networks on the training labels or numbers, each with its own initialisation and batch order.

    Raises:
        UserError: if the network cannot be built, fails while it is trained, or diverges.
    """
    build = network_builder(problem.network.class_path, arguments, problem.inputs.shape[1], problem.num_classes)
    values = problem.labels if problem.loss == "mse" else one_hot(problem.labels, problem.num_classes).float()
    cohort = Cohort.of_ensemble(
        values,
        [derive_seed(seed, "initialisation", member) for member in range(members)],
        [derive_seed(seed, "order", member) for member in range(members)],
    )
    with naming_the_network(problem.network.class_path, "teachers", len(problem.labels), problem.training):
        trained = train(
            build,
            problem.inputs,
            problem.labels,
            replace(cohort, loss=problem.loss),
            problem.training,
            device=problem.device,
            chunk_size=problem.chunk_size,
            validation=(problem.validation_inputs, problem.validation_labels),
        )
    return Fitted(trained.parameters, _curves(trained))


def _curves(trained: Trained) -> pd.DataFrame:
    members, epochs = trained.losses.shape
    return pd.DataFrame(
        {
            "member": np.repeat(np.arange(members), epochs),
            "epoch": np.tile(np.arange(1, epochs + 1), members),
            "train_loss": trained.losses.double().numpy().ravel(),
            **{name: values.double().numpy().ravel() for name, values in trained.validation.items()},
        }
    )
