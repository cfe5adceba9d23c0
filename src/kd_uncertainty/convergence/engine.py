"""Which backend trains the network experiment, and why: for the record."""

from __future__ import annotations

from typing import Any

import torch

from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.convergence.stability import StabilityOptions
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.choice import choose_backend
from kd_uncertainty.population.initialisation import initialisation_kind

DEVICE = torch.device("cpu")
"""Where the experiment runs: steps of a single example are too small for a GPU."""


def engine_facts(data: StudyExamples, options: StabilityOptions, num_students: int) -> dict[str, Any]:
    """Return backend and reason, how starts are drawn, device and number of students, as JSON values.

    Args:
        data: the task.
        options: of the experiment.
        num_students: all arms and seeds.
    """
    network = options.network
    build = network_builder(network.class_path, network.arguments, data.inputs.shape[1], data.num_classes)
    backend, reason = choose_backend(
        build, "auto", data.part("train").inputs, data.num_classes, options.training, DEVICE, "distillation"
    )
    return {
        "backend": backend,
        "reason": reason,
        "initialisation": initialisation_kind(build)[0],
        "device": str(DEVICE),
        "num_students": num_students,
    }
