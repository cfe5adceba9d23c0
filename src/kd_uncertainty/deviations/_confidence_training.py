"""The populations of the experiment on confidence: teachers, and students with their controls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot
from tqdm import tqdm

from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.deviations._confidence_options import ConfidenceOptions
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.targets import exact_probabilities
from kd_uncertainty.population.training import naming_the_network, predict, train

Logits = NDArray[np.float32]
SECTION = "confidence"
TEACHERS = ("interpolating", "early_stopped")
_SEEDED = ("initialisation", "order")
_CHUNK = 64  # networks trained at once; memory, not results


class Lesson(NamedTuple):
    """What students of an arm learn: one of the teachers at one temperature."""

    teacher: str
    temperature: float


class Taught(NamedTuple):
    """Students of one network; all logits are (seeds, examples of all splits, classes).

    Attributes:
        control: of students that were trained on labels.
        stopped_control: of the same, stopped when the early-stopped teachers were.
        students: of those that learnt from a teacher.
    """

    control: Logits
    stopped_control: Logits
    students: Mapping[Lesson, Logits]


class Runs(NamedTuple):
    """Trains networks on one task.

    Attributes:
        data: the task.
        options: of the experiment.
        threads: threads over networks; no result depends on them.
        advance: told of the epochs that networks finished.
    """

    data: StudyExamples
    options: ConfidenceOptions
    threads: int
    advance: Callable[[int], None]

    def teachers(self) -> dict[str, Logits]:
        """Train the teachers and return their logits, (seeds, examples, classes).

        With a constant learning rate, the early-stopped teacher of a seed is the interpolating one at an earlier time.
        """
        cohort = self._on_labels("teacher")
        whole, stopped = (self._logits(self.options.teacher, cohort, training) for training in self._trainings)
        return dict(zip(TEACHERS, (whole, stopped), strict=True))

    def students(self, network: NetworkOptions, teachers: Mapping[str, Logits]) -> Taught:
        """Train the control and the students of all lessons.

        Student s starts from the same parameters and sees the same batches in every arm, the control included; it
        learns from teacher s.
        """
        count, options = self.options.num_seeds, self.options
        lessons = [Lesson(teacher, temperature) for teacher in teachers for temperature in options.temperatures]
        arms = 1 + len(lessons)
        training, stopped = self._trainings
        logits = self._logits(network, self._cohort(lessons, teachers), training)
        control, *taught = logits.reshape(arms, count, *logits.shape[1:])
        stopped_control = self._logits(network, self._on_labels("student"), stopped)
        return Taught(control, stopped_control, dict(zip(lessons, taught, strict=True)))

    def _cohort(self, lessons: list[Lesson], teachers: Mapping[str, Logits]) -> Cohort:
        count, rows = self.options.num_seeds, self.data.rows("train")
        tables = [
            torch.from_numpy(exact_probabilities(teachers[teacher][number][rows][:, None], temperature)).float()
            for teacher, temperature in lessons
            for number in range(count)
        ]
        # Controls point to the tables of the first lesson, of which mixing 0 leaves nothing.
        index = torch.cat([torch.arange(count), torch.arange(len(tables))])
        mixing = torch.tensor([0.0, *(self.options.mixing for _ in lessons)])
        temperature = torch.tensor([1.0, *(lesson.temperature for lesson in lessons)])
        initialisation, order = (self._seeds("student", kind) * (1 + len(lessons)) for kind in _SEEDED)
        return Cohort(
            torch.stack(tables),
            mixing.repeat_interleave(count),
            temperature.repeat_interleave(count),
            initialisation,
            order,
            tables=index,
        )

    @property
    def _trainings(self) -> tuple[TrainingOptions, TrainingOptions]:
        """How networks are trained to the end, and those that are stopped early."""
        whole = self.options.training
        return whole, whole.model_copy(update={"epochs": self.options.early_stop})

    def _on_labels(self, role: str) -> Cohort:
        """Networks that are trained on the data's labels, from the seeds of a role."""
        labels = one_hot(self.data.part("train").labels, self.data.num_classes).float()
        return Cohort.of_ensemble(labels, *(self._seeds(role, kind) for kind in _SEEDED))

    def _seeds(self, role: str, kind: str) -> tuple[int, ...]:
        return tuple(derive_seed(self.options.seed, role, kind, number) for number in range(self.options.num_seeds))

    def _logits(self, network: NetworkOptions, cohort: Cohort, training: TrainingOptions) -> Logits:
        part: StudyExamples = self.data.part("train")
        inputs: Tensor = self.data.inputs
        build = network_builder(network.class_path, network.arguments, inputs.shape[1], self.data.num_classes)
        with _naming_the_section(), naming_the_network(network.class_path, SECTION, len(part.labels), training):
            trained = train(
                build,
                part.inputs,
                part.labels,
                cohort,
                training,
                threads=self.threads,
                chunk_size=_CHUNK,
                on_epoch=self.advance,
            )
            return predict(build, trained.parameters, inputs).numpy()


@contextlib.contextmanager
def running(data: StudyExamples, options: ConfidenceOptions, threads: int, progress: bool) -> Iterator[Runs]:
    """Yield what trains the networks of the experiment, with a bar over their epochs if asked for."""
    arms = 1 + len(TEACHERS) * len(options.temperatures)
    epochs = (1 + len(options.students) * arms) * options.training.epochs
    total = options.num_seeds * (epochs + (1 + len(options.students)) * options.early_stop)
    with tqdm(total=total, desc=SECTION, unit="epoch", disable=not progress) as bar:

        def advance(epochs: int) -> None:
            bar.update(epochs)

        yield Runs(data, options, threads, advance)


@contextlib.contextmanager
def _naming_the_section() -> Iterator[None]:
    """Within the context, messages of the engine tell which section to change."""
    try:
        yield
    except UserError as error:
        text = str(error)
        for role in ("students", "teachers"):
            text = text.replace(f"{role}.training", f"{SECTION}.training")
        raise UserError(f"{SECTION}: {text}") from error
