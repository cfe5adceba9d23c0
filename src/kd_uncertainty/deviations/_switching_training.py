"""Students whose loss switches on the way: schedules, their population, and the one-hot students stopped in time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.deviations._switching_options import StudentFit, SwitchingOptions
from kd_uncertainty.errors import UserError
from kd_uncertainty.loss_schedules import nearest_step
from kd_uncertainty.population.contract import Build, Cohort, State, Trained
from kd_uncertainty.population.schedules import steps_per_epoch
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network, train

Floats = NDArray[np.float64]

ONE_HOT, DISTILLATION = "one_hot", "distillation"
MIXINGS = {ONE_HOT: (0.0, 0.0), DISTILLATION: (1.0, 1.0), "to_distillation": (0.0, 1.0), "to_one_hot": (1.0, 0.0)}
"""Weight of the teacher's targets before and after the switch, by schedule."""

_CHUNK = 256  # students trained at once; memory, not results


class Arm(NamedTuple):
    """Students of one schedule.

    Attributes:
        teacher: its position, or None where none is asked.
        schedule: a key of ``MIXINGS``.
        switch: share of the optimiser steps before the switch; NaN for the constant schedules.
    """

    teacher: int | None
    schedule: str
    switch: float = math.nan

    def switch_step(self, steps: int) -> int:
        """Return the step, counted from 0, from which the second mixing holds: the nearest to the share of ``steps``.

        A constant schedule has its second mixing, which is its first, from the start.
        """
        return 0 if math.isnan(self.switch) else nearest_step(self.switch, steps)


def make_arms(num_teachers: int, fractions: Sequence[float]) -> list[Arm]:
    """Return all arms, the first being one-hot; then of each teacher distillation, and both switches in order."""
    switches = [(schedule, fraction) for schedule in list(MIXINGS)[2:] for fraction in sorted(fractions)]
    return [Arm(None, ONE_HOT)] + [
        arm
        for teacher in range(num_teachers)
        for arm in (Arm(teacher, DISTILLATION), *(Arm(teacher, *switch) for switch in switches))
    ]


def make_cohort(arms: Sequence[Arm], targets: Tensor, numbers: Sequence[int], options: SwitchingOptions) -> Cohort:
    """Return the students in order of (arm, number); those of one number share start and batch orders.

    Args:
        arms: of the population.
        targets: (teachers, examples, classes), softened probabilities.
        numbers: of the students of each arm.
        options: of the section.
    """
    training = options.student.training
    steps = training.epochs * steps_per_epoch(training, targets.shape[1])

    def of_students(values: list[Any], dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype).repeat_interleave(len(numbers))

    initialisation, order = (
        tuple(derive_seed(options.seed, purpose, number) for number in numbers) * len(arms)
        for purpose in ("initialisation", "order")
    )
    return Cohort(
        targets,
        of_students([MIXINGS[arm.schedule][0] for arm in arms], torch.float32),
        torch.full((len(arms) * len(numbers),), options.temperature),
        initialisation,
        order,
        tables=of_students([arm.teacher or 0 for arm in arms], torch.int64),  # without weight where there is no teacher
        switch_step=of_students([arm.switch_step(steps) for arm in arms], torch.int64),
        mixing_after=of_students([MIXINGS[arm.schedule][1] for arm in arms], torch.float32),
    )


def train_students(
    build: Build,
    part: StudyExamples,
    cohort: Cohort,
    fit: StudentFit,
    *,
    epochs: int | None = None,
    watched: bool = False,
    threads: int = 1,
    progress: bool = False,
) -> Trained:
    """Train students of a cohort.

    Args:
        build: builds one network.
        part: the training examples.
        cohort: the students.
        fit: their network and training.
        epochs: after which they stop; by default all of ``fit``.
        watched: whether to evaluate them on the training examples after each epoch, in ``Trained.validation``.
        threads: threads over students.
        progress: whether to show a bar.

    Raises:
        UserError: if a student's training diverges or its network fails.
    """
    training = fit.training.model_copy(update={"epochs": epochs or fit.training.epochs})
    with (
        naming_the_section(),
        _progress_bar(len(cohort) * training.epochs, progress) as advance,
        naming_the_network(fit.network.class_path, "switching.student", len(part.labels), training),
    ):
        return train(
            build,
            part.inputs,
            part.labels,
            cohort,
            training,
            threads=threads,
            chunk_size=_CHUNK,
            validation=(part.inputs, part.labels) if watched else None,
            on_epoch=advance,
        )


def equal_progress_epochs(curves: Floats, losses: Floats) -> NDArray[np.int64]:
    """Return the epoch, counted from 1, after which each one-hot student has come as far as its distilled sibling.

    That is where its training loss is nearest to the sibling's at its end; the first one of equally near epochs.

    Args:
        curves: (students, epochs) one-hot students' training losses after each epoch.
        losses: (students,) distilled students' losses at their end, on the same labels.
    """
    return np.asarray(np.abs(curves - losses[:, None]).argmin(axis=1) + 1)


def stopped_students(
    build: Build, part: StudyExamples, options: SwitchingOptions, stops: NDArray[np.int64], *, threads: int = 1
) -> State:
    """Train one-hot students, each for its own number of epochs, and return their stacked parameters.

    Args:
        build: builds one network.
        part: the training examples.
        options: of the section.
        stops: (students,) epochs, each from 1 to those of the training.
        threads: threads over students.
    """
    found: dict[int, State] = {}
    for stop in np.unique(stops):
        numbers = np.flatnonzero(stops == stop).tolist()
        state = train_students(
            build, part, one_hot_cohort(part, numbers, options), options.student, epochs=int(stop), threads=threads
        ).parameters
        found |= {number: _row(state, position) for position, number in enumerate(numbers)}
    return {name: torch.stack([found[number][name] for number in range(len(stops))]) for name in found[0]}


def one_hot_cohort(part: StudyExamples, numbers: Sequence[int], options: SwitchingOptions) -> Cohort:
    """Return the students of the one-hot arm, those of these numbers."""
    labels = torch.nn.functional.one_hot(part.labels, part.num_classes).to(torch.float32)
    return make_cohort([Arm(None, ONE_HOT)], labels.unsqueeze(0), numbers, options)


def _row(state: State, row: int) -> State:
    return {name: values[row] for name, values in state.items()}


@contextlib.contextmanager
def naming_the_section() -> Iterator[None]:
    """Within the context, messages of the engine tell which options to change: its networks are this section's."""
    try:
        yield
    except UserError as error:
        text = str(error)
        for networks, section in (("students", "student"), ("teachers", "teacher")):
            text = text.replace(f"a smaller {networks}.training", f"a smaller switching.{section}.training")
        raise UserError(f"switching: {text}") from error


@contextlib.contextmanager
def _progress_bar(total: int, progress: bool) -> Iterator[Callable[[int], None]]:
    """Yield what takes the number of epochs that students finished."""
    with tqdm(total=total, desc="switching", unit="epoch", disable=not progress) as bar:

        def advance(epochs: int) -> None:
            bar.update(epochs)

        yield advance
