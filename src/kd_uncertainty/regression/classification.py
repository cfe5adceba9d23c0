"""Tables, teachers and students of the student-output section, made by the classification study's machinery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor
from torch.nn.functional import one_hot

from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.targets import label_target
from kd_uncertainty.population.training import naming_the_network, predict, train
from kd_uncertainty.regression.data import Floats
from kd_uncertainty.regression.networks import NetworkFit
from kd_uncertainty.tasks.examples import example_tensors
from kd_uncertainty.tasks.noise import flip_labels
from kd_uncertainty.tasks.options import IngestionOptions
from kd_uncertainty.tasks.tables import prepare_task

TargetKind = Literal["argmax", "soft", "label"]
"""What students are trained on: the teacher's most probable class, its probabilities, or a class sampled from them."""

VALIDATION_FRACTION = 0.05
"""Nothing is selected here, so the validation split of the ingestion joins the training examples."""

_CHUNK = 64


class ClassificationData(NamedTuple):
    """A table split into training examples and test points.

    Attributes:
        train_inputs: (examples, features) float32, standardised.
        train_labels: (examples,) int64.
        test_inputs: (points, features) float32.
        test_labels: (points,).
        num_classes: classes.
    """

    train_inputs: Tensor
    train_labels: Tensor
    test_inputs: Tensor
    test_labels: NDArray[np.int64]
    num_classes: int


def classification_data(
    table: pd.DataFrame,
    target: str,
    drop_columns: Sequence[str] = (),
    *,
    label_noise: float = 0.0,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> ClassificationData:
    """Return a table with a stratified split into test points and training examples.

    The rules are those of ``tasks.tables.prepare_task``, with a validation split of 5 % that joins the training
    examples once the scaling is fitted to the other 75 %. What a bundled table suggests as label noise is ignored.

    Args:
        table: one column an input, and the target's.
        target: the column of classes.
        drop_columns: columns that are no inputs.
        label_noise: fraction of the training labels that are flipped to another class.
        test_fraction: of all rows.
        seed: of the split and the flips.

    Raises:
        UserError: if the table cannot be used.
    """
    options = IngestionOptions(
        target=target,
        drop_columns=tuple(drop_columns),
        validation_fraction=VALIDATION_FRACTION,
        test_fraction=test_fraction,
        label_noise=0.0,
        seed=derive_seed(seed, "split"),
    )
    examples, description = prepare_task(table, options)
    training = example_tensors(examples[examples["split"] != "test"])
    test = example_tensors(examples, "test")
    labels = training.labels.numpy()
    classes = int(description["num_classes"])
    noisy = flip_labels(labels, np.arange(len(labels)), classes, label_noise, derive_seed(seed, "label noise"))
    return ClassificationData(training.inputs, torch.from_numpy(noisy), test.inputs, test.labels.numpy(), classes)


def teacher_probabilities(
    data: ClassificationData, fit: NetworkFit, seed: int, threads: int = 1
) -> tuple[Floats, Floats]:
    """Train one teacher on the labels; return its probabilities of the training examples and of the test points.

    Args:
        data: the task.
        fit: the network and its training.
        seed: of the section.
        threads: threads of the engine.

    Returns:
        (examples, classes) and (points, classes).
    """
    labels = one_hot(data.train_labels, data.num_classes).float()
    seeds = [derive_seed(seed, "teacher", "initialisation")], [derive_seed(seed, "teacher", "order")]
    inputs = torch.cat([data.train_inputs, data.test_inputs])
    (probabilities,) = _probabilities(data, Cohort.of_ensemble(labels, *seeds), fit, inputs, threads)
    return probabilities[: len(data.train_inputs)], probabilities[len(data.train_inputs) :]


def student_probabilities(
    data: ClassificationData,
    teacher: Floats,
    target: TargetKind,
    fit: NetworkFit,
    students: int,
    seed: int,
    threads: int = 1,
) -> Floats:
    """Train students on the teacher's answers alone and return their test probabilities, (students, points, classes).

    Args:
        data: the task.
        teacher: (examples, classes) probabilities of the training examples.
        target: what the students learn of them.
        fit: the network and its training.
        students: how many, each with initialisation, order and response seeds of its own.
        seed: of the section.
        threads: threads over students; no result depends on them.
    """
    targets = student_targets(teacher, target, students, seed)
    cohort = Cohort(
        torch.from_numpy(targets.astype(np.float32)),
        torch.ones(students),
        torch.ones(students),
        tuple(derive_seed(seed, "initialisation", student) for student in range(students)),
        tuple(derive_seed(seed, "order", student) for student in range(students)),
        tables=torch.arange(students) if target == "label" else torch.zeros(students, dtype=torch.int64),
    )
    return _probabilities(data, cohort, fit, data.test_inputs, threads)


def student_targets(teacher: Floats, target: TargetKind, students: int, seed: int) -> Floats:
    """Return what students learn, (tables, examples, classes): one table for all, or one a student for "label".

    Args:
        teacher: (examples, classes) probabilities.
        target: what is made of them.
        students: how many.
        seed: of the section; a student's response seed is ``derive_seed(seed, "response", student)``.
    """
    if target == "soft":
        return teacher[None]
    if target == "argmax":
        return np.asarray(np.eye(teacher.shape[1])[teacher.argmax(axis=1)][None])
    seeds = [derive_seed(seed, "response", student) for student in range(students)]
    return np.stack([label_target(teacher, response_seed, 1) for response_seed in seeds])


def _probabilities(data: ClassificationData, cohort: Cohort, fit: NetworkFit, inputs: Tensor, threads: int) -> Floats:
    """Train a cohort and return its probabilities at the inputs, (students, examples, classes), in float64."""
    name, training = fit.network.class_path, fit.training
    build = network_builder(name, fit.network.arguments, data.train_inputs.shape[1], data.num_classes)
    section = "students" if cohort.role == "student" else "teachers"
    with naming_the_network(name, section, len(data.train_labels), training):
        trained = train(
            build, data.train_inputs, data.train_labels, cohort, training, threads=threads, chunk_size=_CHUNK
        )
    logits = predict(build, trained.parameters, inputs).double().numpy()
    return np.asarray(softmax(logits, axis=-1))
