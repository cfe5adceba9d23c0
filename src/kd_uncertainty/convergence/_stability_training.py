"""The population of the network experiment: arms and seeds as one cohort of the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.convergence._stability_options import StabilityOptions
from kd_uncertainty.convergence.arms import Arm, TargetTables
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.convergence.segments import segment_length, segment_rows
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Build, Cohort, Trained
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network, train

_CHUNK = 256  # students trained at once; memory, not results


def train_arms(
    build: Build,
    data: StudyExamples,
    arms: list[Arm],
    targets: TargetTables,
    options: StabilityOptions,
    *,
    threads: int = 1,
    progress: bool = False,
) -> Trained:
    """Train all students, arm by arm, evaluated after every segment on the validation split.

    Args:
        build: builds one network.
        data: the task.
        arms: of the population.
        targets: of the training examples.
        options: of the section.
        threads: threads over students.
        progress: whether to show a bar.

    Returns:
        Students in order of (arm, seed); losses and curves (students, evaluations).

    Raises:
        UserError: if there are too few examples for the evaluations, or a student's training diverges.
    """
    part, validation = data.part("train"), data.part("validation")
    training = options.training.model_copy(update={"epochs": options.training.epochs * options.evaluations})
    cohort = _cohort(arms, targets, len(part.labels), options)
    shown = spread(len(validation.labels), options.evaluation_examples)
    with (
        _naming_the_section(),
        _progress_bar(len(cohort) * training.epochs, progress) as advance,
        naming_the_network(options.network.class_path, "stability", cohort.num_rows, training),
    ):
        return train(
            build,
            part.inputs,
            part.labels,
            cohort,
            training,
            threads=threads,
            chunk_size=_CHUNK,
            validation=(validation.inputs[shown], validation.labels[shown]),
            on_epoch=advance,
        )


@contextlib.contextmanager
def _naming_the_section() -> Iterator[None]:
    """Within the context, messages of the engine tell which section to change: its students are this section's."""
    try:
        yield
    except UserError as error:
        raise UserError(f"stability: {error}".replace("students.training", "stability.training")) from error


@contextlib.contextmanager
def _progress_bar(total: int, progress: bool) -> Iterator[Callable[[int], None]]:
    """Yield what takes the number of segments that students finished."""
    with tqdm(total=total, desc="stability", unit="segment", disable=not progress) as bar:

        def advance(segments: int) -> None:
            bar.update(segments)

        yield advance


def _cohort(arms: list[Arm], targets: TargetTables, num_examples: int, options: StabilityOptions) -> Cohort:
    """Return the students in order of (arm, seed)."""
    seeds = {
        purpose: tuple(derive_seed(options.seed, purpose, number) for number in range(options.num_seeds))
        for purpose in ("initialisation", "order", "pass")
    }
    length = segment_length(num_examples, options.evaluations, options.training.batch_size)
    rows = segment_rows(seeds["pass"], options.training.epochs, options.evaluations, num_examples, length)
    return Cohort(
        targets.tables,
        torch.tensor([arm.weight for arm in arms]).repeat_interleave(options.num_seeds),
        torch.ones(len(arms) * options.num_seeds),
        seeds["initialisation"] * len(arms),
        seeds["order"] * len(arms),
        tables=targets.table_of.flatten(),
        rows=rows.repeat(len(arms), 1, 1),
    )


def spread(count: int, most: int | None) -> Tensor:
    """Return at most so many positions, evenly spread, so that a table sorted by class is no trouble."""
    kept = count if most is None else min(count, most)
    return torch.arange(kept) * count // kept
