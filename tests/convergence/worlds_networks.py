"""Small Gaussian mixtures with known class probabilities, and teachers of known error."""

from __future__ import annotations

import numpy as np
import torch

from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.convergence.stability import StabilityOptions
from kd_uncertainty.tasks.mixtures import MixtureOptions, class_probabilities, make_mixture, sample


def world(train=240, validation=120, test=80, *, inputs=6, classes=3, variance=2.5, seed=0, known=True):
    """A mixture whose splits lie mixed up in the table, with standardised inputs."""
    count = train + validation + test
    mixture = make_mixture(
        MixtureOptions(num_classes=classes, num_inputs=inputs, variance=variance, seed=seed, num_examples=count)
    )
    points, labels = sample(mixture, count, seed)
    splits = np.repeat(np.array(["train", "validation", "test"], dtype=object), [train, validation, test])
    np.random.default_rng(seed).shuffle(splits)
    kept = points[splits == "train"]
    return StudyExamples(
        torch.from_numpy((points - kept.mean(axis=0)) / kept.std(axis=0)).float(),
        torch.from_numpy(labels).long(),
        splits,
        class_probabilities(mixture, points) if known else None,
        classes,
    )


def logits_of(probabilities, draws=1):
    """Soft labels of a teacher that says this in every draw."""
    return np.repeat(np.log(probabilities)[:, None], draws, axis=1).astype(np.float32)


def options(**changes):
    """A few small networks that learn something in milliseconds."""
    settings = {
        "network": {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": [7]}},
        "training": {"epochs": 2, "batch_size": 1, "optimiser": "sgd", "learning_rate": 0.01, "momentum": 0.5},
        "arms": [{"target": "exact"}, {"target": "dirichlet", "levels": [0.5, 5.0]}],
        "num_seeds": 3,
        "evaluations": 4,
    }
    return StabilityOptions.model_validate(settings | changes)
