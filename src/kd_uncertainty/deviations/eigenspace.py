r"""Whether distilled students fall behind their teachers in the lower eigendirections of the inputs.

For linear models with squared loss this is a theorem (see :mod:`~kd_uncertainty.deviations.filters`); beyond them it is
a finding, measured here as in Nagarajan et al. (arXiv 2301.12923): teacher and student train by plain
full-batch gradient descent, and their weights on the inputs are projected on the eigenvectors of the inputs'
covariance. *Progress* in direction k is the size of the weights' movement along it since the start, relative to the
teacher's when it stopped. For each pair of directions, student and teacher are compared where their progress in the
top one is equal, and the table says how often the student is behind in the lower one.

Models: ``linear_squared``, ``linear_cross_entropy``, ``random_features`` (squared loss on random ReLU features, with
the covariance of the features) and ``mlp`` (first layer of two, cross-entropy). Linear models start from 0. Networks
start at random; a student has a start of its own ("own") or its teacher's ("shared").

**Control.** Two networks differ by their starts alone. Beside the students stand controls that start where the "own"
students do and learn the labels, as the teacher does; only what students have beyond them is due to distillation.
Linear controls would be the teachers themselves.

**Where it fails.** The statement is one on plain descent. Beside it stand linear models with squared loss and momentum,
whose teachers stop after ``1 - momentum`` as many steps, for heavy-ball descent is as much faster. (Steps beyond
1 / l1, with which the top direction oscillates, break it too; see :func:`~.filters.descent_rates`.)

**Recording.** Every step is recorded. The table also has the shares that coarser records of the same paths give
(``record_every``). Lower against top progress is a convex curve, whose chords lie above it: a student recorded more
coarsely than its teacher seems ahead of it where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from tqdm import tqdm

from kd_uncertainty.deviations._eigenspace_tables import Compared, pair_rows, trajectory_rows
from kd_uncertainty.deviations.eigenspace_models import Kind, Model, Networks, Start, make_model
from kd_uncertainty.deviations.eigenspace_tasks import GaussianOptions, Task, drawn_task, gaussian_task
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.typed import Distinct, Fraction, Options, Seed

Variant = Literal["plain", "momentum"]
"""How it descends."""


class EigenspaceOptions(Options):
    """Tasks, models and how long they train."""

    gaussian: GaussianOptions = GaussianOptions()
    models: Distinct[Kind] = ("linear_squared", "linear_cross_entropy", "random_features", "mlp")
    networks: Networks = Networks()
    num_examples: int = Field(200, ge=3, description="training examples of each seed; fewer if the task has few")
    most_inputs: int = Field(
        64, ge=2, description="of the task given; of more, so many principal components: the others hardly move"
    )
    learning_rate: Fraction = Field(
        0.05, description="as a multiple of 1 / l1; below 1, or filters oscillate and the statement fails"
    )
    momentum: Fraction = Field(0.9, description="of the linear model with squared loss that shows where it fails")
    teacher_stops: Distinct[PositiveInt] = Field((200, 1000), description="steps after which teachers stop")
    student_steps: PositiveInt = Field(1500, description="of students and controls")
    num_directions: int = Field(10, ge=2, description="leading eigenvectors; fewer if the inputs have fewer")
    levels: Distinct[Fraction] = Field(
        tuple(round(0.05 * level, 2) for level in range(1, 20)),
        description="where paths are compared: shares of what both reach in the top direction",
    )
    record_every: Distinct[PositiveInt] = Field((1, 10, 100), description="steps between the records of a path")
    tolerance: PositiveFloat = Field(
        1e-9, description="differences in progress that are smaller are rounding, and their comparison is left out"
    )
    curve_points: int = Field(40, ge=2, description="steps of each path in the table of trajectories")
    num_seeds: int = Field(8, ge=2, description="each with its own examples, labels, starts and features")
    seed: Seed = 15

    @model_validator(mode="after")
    def _records_every_step(self) -> Self:
        if 1 not in self.record_every:
            raise ValueError("record_every must contain 1: coarser records are there to be compared with it")
        return self


class Eigenspace(NamedTuple):
    """The tables of the section; see :func:`eigenspace`."""

    trajectories: pd.DataFrame
    pairs: pd.DataFrame


def eigenspace(
    options: EigenspaceOptions,
    inputs: NDArray[Any] | None = None,
    labels: NDArray[Any] | None = None,
    *,
    confidence: float = 0.95,
    progress: bool = False,
) -> Eigenspace:
    """Train teachers, students and controls of every model, and compare their paths.

    Args:
        options: of the section.
        inputs: (n, features) of a task's training split, to be measured beside the Gaussian task.
        labels: (n,) its classes from 0.
        confidence: of the intervals, over seeds.
        progress: whether to show a bar.

    Returns:
        trajectories: task ("gaussian", "given"), model, descent ("plain", "momentum"), start ("zero", "own", "shared"),
        teacher_stop, role ("teacher", "student", "control"), step, direction (from 1, the top one),
        eigenvalue (relative to the top one, mean over seeds), progress with bounds, num_seeds.

        pairs: task, model, descent, start, teacher_stop, role ("student", "control", "difference": student minus
        control, paired over seeds), record_every, coarse (whose record that is: "neither" where it is every step,
        "both", or "student"); with bounds: share (of pairs and levels in which the student is behind in the lower
        direction) and gap (teacher's minus student's progress there, mean); undecided (share of comparisons within the
        tolerance, which no share counts), num_pairs, num_levels, num_seeds. Shares are NaN where a seed has nothing
        decided.

    Raises:
        UserError: the task cannot be used.
        ValueError: there are inputs without labels, or labels without inputs.
    """
    if (inputs is None) != (labels is None):
        raise ValueError("give inputs and labels, or neither")
    rows: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    tasks = dict(_tasks(options, inputs, labels))
    total = len(tasks) * sum(_num_steps(kind, descent, options) for kind, descent in _variants(options))
    # On matrices as small as these, the threads of BLAS wait for one another longer than they work.
    with (
        threadpool_limits(1, user_api="blas"),
        tqdm(total=total, desc="eigenspace", unit="step", disable=not progress) as bar,
    ):
        for name, task in tasks.items():
            for kind, descent in _variants(options):
                model = _model(kind, descent, task, options)
                keys = {"task": name, "model": kind, "descent": descent}
                for compared in _compared(model, _stops(descent, options), options.student_steps, bar):
                    rows[0].extend({**keys, **row} for row in trajectory_rows(compared, options, confidence))
                    rows[1].extend({**keys, **row} for row in pair_rows(compared, options, confidence))
    return Eigenspace(*(pd.DataFrame(table) for table in rows))


def _variants(options: EigenspaceOptions) -> list[tuple[Kind, Variant]]:
    variants: list[tuple[Kind, Variant]] = [(kind, "plain") for kind in options.models]
    if "linear_squared" in options.models:
        variants.append(("linear_squared", "momentum"))
    return variants


def _model(kind: Kind, variant: Variant, task: Task, options: EigenspaceOptions) -> Model:
    momentum = options.momentum if variant == "momentum" else 0.0
    return make_model(kind, task, options.networks, options.learning_rate, options.num_directions, momentum)


def _tasks(
    options: EigenspaceOptions, inputs: NDArray[Any] | None, labels: NDArray[Any] | None
) -> Iterator[tuple[str, Task]]:
    seeds = tuple(derive_seed(options.seed, number) for number in range(options.num_seeds))
    size = options.num_examples
    yield "gaussian", gaussian_task(options.gaussian, size, seeds)
    if inputs is not None and labels is not None:
        yield "given", drawn_task(inputs, labels, size, options.most_inputs, seeds)


def _stops(variant: Variant, options: EigenspaceOptions) -> tuple[int, ...]:
    """Steps after which teachers stop, each once."""
    share = 1.0 - options.momentum if variant == "momentum" else 1.0
    return tuple(dict.fromkeys(max(1, round(share * stop)) for stop in options.teacher_stops))


def _num_steps(kind: Kind, variant: Variant, options: EigenspaceOptions) -> int:
    students = len(_stops(variant, options)) * (2 if kind == "mlp" else 1) + (kind == "mlp")
    return max(_stops(variant, options)) + students * options.student_steps


def _compared(model: Model, stops: tuple[int, ...], steps: int, bar: tqdm[Any]) -> Iterator[Compared]:
    """Train and yield what is compared, for each stop of the teacher and start of the students."""
    descent = model.descent
    teacher = descent.follow(model.start("teacher"), model.targets, max(stops), stops, bar.update)
    control = None
    if model.starts != ("zero",):
        control = descent.follow(model.start("student"), model.targets, steps, advance=bar.update).sizes
    for stop in stops:
        answers = descent.learner.answers(teacher.states[stop], descent.inputs)
        for start in model.starts:
            student = descent.follow(model.start(_purpose(start)), answers, steps, advance=bar.update).sizes
            paths = {"teacher": teacher.sizes[:, : stop + 1], "student": student}
            if control is not None and start == "own":
                paths["control"] = control
            final = teacher.sizes[:, stop, None]
            final = np.where(final > 0.0, final, 1.0)  # a direction that nothing moves along has progress 0
            progress = {role: path / final for role, path in paths.items()}
            yield Compared(start, stop, model.eigenvalues, progress)


def _purpose(start: Start) -> str:
    return "student" if start == "own" else "teacher"
