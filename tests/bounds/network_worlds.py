"""A population of two points and two classes, whose training sets of three can all be listed."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import softmax

from kd_uncertainty.bounds._networks_training import Minimisers
from kd_uncertainty.bounds.finite_population import FinitePopulation, TrainingSets, empirical_risk, losses_of, risk
from kd_uncertainty.bounds.networks import NetworkBoundsOptions
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.prediction import predict

LINEAR = {"class": "kd_uncertainty.networks.MLP", "arguments": {"hidden": []}}


def options(**changes):
    """Small linear networks that learn something in milliseconds, almost without noise."""
    fit = {"training": {"epochs": 8, "batch_size": 2, "optimiser": "sgd", "learning_rate": 0.5}, "noise": 1e-6}
    student = {"training": fit["training"] | {"epochs": 2, "learning_rate": 0.2}, "noise": 2e-6}
    settings = {
        "network": LINEAR, "teacher": fit, "student": student, "num_examples": [3], "label_noise": [0.1],
        "num_sets": 4, "num_draws": 1, "num_replacements": 1, "reference_points": 2,
    }  # fmt: skip
    return NetworkBoundsOptions.model_validate(settings | changes)


def two_points():
    """Bayes probabilities that differ from point to point."""
    inputs = torch.tensor([[1.0, 0.5], [-0.5, 1.0]])
    bayes = np.array([[0.8, 0.2], [0.35, 0.65]])
    return StudyExamples(inputs, torch.tensor([0, 1]), np.array(["train", "test"], dtype=object), bayes, 2)


def minimisers_of(population, chosen):
    network, classes = chosen.network, population.probabilities.shape[1]
    build = network_builder(network.class_path, network.arguments, population.inputs.shape[1], classes)
    return Minimisers(build, population.inputs, classes, chosen)


class Truth(NamedTuple):
    """What is true of the two points, by listing all training sets; expectations are exact."""

    gen_teacher: float
    gen_student_pseudo: float
    gen_student_true: float
    dataset_shift: float
    mean_label_shift: float
    algorithm_distance: float


def truth_of(population: FinitePopulation, chosen, size: int = 3) -> Truth:
    """Enumerate training sets, pseudo-labelled sets and both algorithms, without kernel noise."""
    count, classes = population.probabilities.shape
    pairs = np.array(list(itertools.product(range(count * classes), repeat=size)))
    sets = TrainingSets(pairs // classes, pairs % classes)
    law = (population.probabilities[sets.points, sets.labels] / count).prod(axis=1)
    minimisers = minimisers_of(population, chosen)
    teachers, students = (minimisers.fit(sets, role) for role in ("teacher", "student"))
    logits = {
        name: predict(minimisers.build, means, population.inputs).double().numpy()
        for name, means in (("teacher", teachers), ("student", students))
    }
    gaps = {}
    for name, values in logits.items():
        losses = losses_of(values[:, None], chosen.loss)
        gaps[name] = (risk(losses, population) - empirical_risk(losses, sets))[:, 0]
    said = softmax(logits["teacher"], axis=-1)[np.arange(len(sets.points))[:, None], sets.points]  # (sets, n, classes)
    same_inputs = (sets.points[:, None] == sets.points[None]).all(axis=-1)
    labelled = np.stack([said[:, place, sets.labels[:, place]] for place in range(size)]).prod(axis=0)
    transition = labelled * same_inputs  # (sets, pseudo-labelled sets)
    pseudo_law = law @ transition
    losses = losses_of(logits["student"][:, None], chosen.loss)
    on_true = np.stack([losses[:, 0, p, y].mean(axis=1) for p, y in zip(sets.points, sets.labels, strict=True)])
    true_gaps = risk(losses, population)[:, 0] - on_true  # (true sets, pseudo-labelled sets)
    shift = (said * np.log(said / population.probabilities[sets.points])).sum(axis=(1, 2))
    distance = sum((teachers[name] - students[name]).double().square().flatten(1).sum(1) for name in teachers).numpy()
    return Truth(
        law @ gaps["teacher"],
        pseudo_law @ gaps["student"],
        (law[:, None] * transition * true_gaps).sum(),
        (pseudo_law * np.log(pseudo_law / law)).sum(),
        law @ shift,
        pseudo_law @ distance,
    )
