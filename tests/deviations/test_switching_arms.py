"""Arms of a classification study that switch are the students of the deviations study with the same seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from kd_uncertainty.deviations._switching_training import Arm, make_cohort, train_students
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.targets import exact_probabilities
from kd_uncertainty.population.training import choose_backend

from ..population.worlds import CPU, block, crossing
from .worlds_switching import BUILD, options, small_world

SHARES = (0.25, 0.5, 0.9)
NUMBERS = (0, 1, 2)
DIRECTIONS = {"to_teacher": "to_distillation", "to_labels": "to_one_hot"}


@pytest.fixture(scope="module")
def study():
    """The training examples, a teacher's logits (examples, 1, classes), and the options of both studies."""
    part = small_world().part("train")
    logits = 2.0 * np.random.default_rng(0).standard_normal((len(part.labels), 1, 3))
    return part, logits.astype(np.float32), options()


@pytest.fixture(scope="module")
def plan(study):
    """One arm a schedule; of the crossed students those with the seeds of the deviations study, a number both."""
    *_, chosen = study
    schedules = ("constant", *(f"{name}@{share}" for name in DIRECTIONS for share in SHARES))
    arm = block("exact", temperature=(chosen.temperature,), schedule=schedules)
    whole = make_plan(crossing(arm, initialisations=3, orders=3, seed=chosen.seed), {"t": 1})
    seeds = [[derive_seed(chosen.seed, purpose, n) for n in NUMBERS] for purpose in ("initialisation", "order")]
    pairs = pd.DataFrame({"initialisation_seed": seeds[0], "order_seed": seeds[1], "number": NUMBERS})
    return whole.merge(pairs, on=["initialisation_seed", "order_seed"]).sort_values(["arm", "number"])


def trained(study, plan, backend):
    part, logits, chosen = study
    job = PopulationJob(
        plan=plan.drop(columns="number"),
        inputs=part.inputs.numpy(),
        labels=part.labels.numpy(),
        soft_labels={"t": logits},
        prediction_inputs=part.inputs.numpy(),
        num_classes=3,
        network_class=chosen.student.network.class_path,
        network_arguments=chosen.student.network.arguments,
        training=chosen.student.training,
        shard_size=len(plan),
    )
    job.check()
    shard = job.train_shard(0, backend, CPU, len(plan))
    return {name.removeprefix("parameters/"): v for name, v in shard.items() if name.startswith("parameters/")}


def test_they_are_the_same_students_bit_for_bit(study, plan):
    part, logits, chosen = study
    targets = torch.from_numpy(exact_probabilities(logits.astype(np.float64), chosen.temperature)).float()
    arms = [Arm(0, "distillation")] + [Arm(0, kind, share) for kind in DIRECTIONS.values() for share in SHARES]
    cohort = make_cohort(arms, targets.unsqueeze(0), NUMBERS, chosen)
    theirs = train_students(BUILD, part, cohort, chosen.student).parameters
    backend, _ = choose_backend(BUILD, "auto", part.inputs, 3, chosen.student.training, CPU)
    ours = trained(study, plan, backend)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert len(values) == len(arms) * len(NUMBERS) == len(plan)
        assert torch.equal(ours[name], values), name
