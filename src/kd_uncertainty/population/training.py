"""The engine: a cohort of students goes in, their trained parameters and learning curves come out.

One student's result is a pure function of its targets, its seeds and the options. It does not depend on who trains
beside it, on the chunk size, or on what was trained before.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks.build import describe_error
from kd_uncertainty.population.checks import check_cohort, check_epochs, check_initial, check_validation
from kd_uncertainty.population.choice import BACKENDS, choose_backend, require_backend
from kd_uncertainty.population.contract import Build, Cohort, Facts, Loss, Monitor, State, Trained, require_finite
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.memory import ChunkSize, Sizes, students_at_once
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.prediction import predict

__all__ = ["Cohort", "Trained", "choose_backend", "naming_the_network", "predict", "train"]

Validation = tuple[Tensor, Tensor]
"""What to evaluate on after every epoch: inputs (examples, features) with labels (examples,), or, for the loss "mse",
with values (examples, outputs)."""

_CURVES: dict[Loss, tuple[str, ...]] = {
    "distillation": ("validation_nll", "validation_accuracy"),
    "mse": ("validation_mse",),
}
"""Names of the validation curves."""


def train(  # noqa: PLR0913
    build: Build,
    inputs: Tensor,
    labels: Tensor,
    cohort: Cohort,
    options: TrainingOptions,
    *,
    backend: str = "auto",
    device: torch.device | None = None,
    chunk_size: ChunkSize = 32,
    threads: int = 1,
    initial: State | None = None,
    validation: Validation | None = None,
    on_epoch: Callable[[int], None] | None = None,
) -> Trained:
    """Train every student of the cohort from its initialisation seed, in minibatches ordered by its order seed.

    Args:
        build: builds one network; its random numbers must come from torch's global CPU generator.
        inputs: (examples, features) float32.
        labels: (examples,) int64, or (examples, outputs) for the loss "mse".
        cohort: the students.
        options: epochs, batch size, optimiser, schedule. The last, partial batch of an epoch is kept. If a batch has
            room for all examples, it is all examples in their own order.
        backend: "auto" or a name that :func:`choose_backend` returned, for which no dry run is made again.
        device: where to train; the CPU by default. On the CPU one intra-op thread is used.
        chunk_size: students trained at once, or "auto" (:func:`~kd_uncertainty.population.memory.students_at_once`).
            Changes memory and speed, not results.
        threads: threads that a backend may spread students over; never results. Only backends that train students as
            tasks of their own use more than one.
        initial: parameters and buffers to start from, by name, stacked (students, ...); left as found. By default they
            are drawn by the initialisation seeds (:func:`~kd_uncertainty.population.initialisation.initial_states`),
            which are not used otherwise.
        validation: examples to evaluate every student on after every epoch.
        on_epoch: called with the number of epochs that students finished since the last call, over all students.

    Returns:
        Parameters and curves of all students, on the CPU.

    Raises:
        ValueError: if shapes, types or names do not fit together.
        UserError: if a student's loss is not finite: after the epoch on the CPU, at the end elsewhere, where asking
            after each epoch would stall the device.
    """
    device = device or torch.device("cpu")
    inputs, labels = inputs.to(device, torch.float32), labels.to(device)
    if cohort.tables is not None:
        cohort = cohort.to(device)  # once, since all chunks use the same tables
    check_cohort(inputs, labels, cohort)
    check_epochs(cohort, options.epochs)
    if initial is not None:
        initial = _checked(initial, build, len(cohort), device)
    if validation is not None:
        check_validation(*validation, cohort)
    if backend in BACKENDS:
        require_backend(build, backend, Facts(cohort.loss, options, device))
    else:
        backend, _ = choose_backend(
            build, backend, _of_size(inputs, cohort.num_rows), cohort.targets.shape[-1], options, device, cohort.loss
        )
    run = _Run(options, backend, threads, validation, on_epoch)
    with reproducible(device, options.precision):
        sizes = Sizes(tuple(inputs.shape[1:]), max(len(inputs), cohort.num_rows), cohort.targets.shape[-1])
        size = students_at_once(chunk_size, build, sizes, options, device)
        chunks = [
            _train_chunk(build, inputs, labels, cohort[some], _some(initial, some), run)
            for some in (slice(start, start + size) for start in range(0, len(cohort), size))
        ]
    return chunks[0] if len(chunks) == 1 else _join(chunks)


def _checked(initial: State, build: Build, students: int, device: torch.device) -> State:
    """Return the parameters to start from as those of a network: its types, on ``device``."""
    with reproducible(device):
        network = build()
    expected: State = dict((*network.named_parameters(), *network.named_buffers()))
    check_initial(initial, expected, students)
    return {name: initial[name].detach().to(device, values.dtype).contiguous() for name, values in expected.items()}


def _of_size(inputs: Tensor, rows: int) -> Tensor:
    """Return as many inputs as an epoch has, so that a dry run meets its batches."""
    return inputs if rows == len(inputs) else inputs[torch.arange(rows, device=inputs.device) % len(inputs)]


def _some(state: State | None, students: slice) -> State | None:
    return None if state is None else {name: values[students] for name, values in state.items()}


def _join(chunks: list[Trained]) -> Trained:
    parameters = {key: torch.cat([chunk.parameters[key] for chunk in chunks]) for key in chunks[0].parameters}
    losses = torch.cat([chunk.losses for chunk in chunks])
    validation = {key: torch.cat([chunk.validation[key] for chunk in chunks]) for key in chunks[0].validation}
    return Trained(parameters, losses, validation)


class _Run(NamedTuple):
    """What all chunks have in common."""

    options: TrainingOptions
    backend: str
    threads: int
    validation: Validation | None
    on_epoch: Callable[[int], None] | None


def _train_chunk(
    build: Build, inputs: Tensor, labels: Tensor, cohort: Cohort, initial: State | None, run: _Run
) -> Trained:
    device, epochs = inputs.device, run.options.epochs
    names = _CURVES[cohort.loss] if run.validation is not None else ()
    curves = torch.zeros((1 + len(names), len(cohort), epochs), device=device)

    def after_epochs(students: slice, finished: range, state: State, losses: Tensor) -> None:
        columns = slice(finished.start, finished.stop)
        curves[0, students, columns] = losses
        if device.type == "cpu":
            require_finite(losses, cohort[students], finished)
        if run.validation is not None:
            curves[1:, students, finished[-1]] = _evaluate(build, state, run.validation, cohort.loss)
        if run.on_epoch is not None:
            run.on_epoch((students.stop - students.start) * len(finished))

    initial = initial_states(build, cohort.initialisation_seeds, device) if initial is None else initial
    monitor = Monitor(after_epochs, every_epoch=run.validation is not None)
    train_cohort = BACKENDS[run.backend].train_cohort
    state = train_cohort(build, initial, inputs, labels, cohort.to(device), run.options, monitor, run.threads)
    losses, *validated = curves.cpu()
    require_finite(losses, cohort, range(epochs))
    parameters = {name: values.detach().cpu() for name, values in state.items()}
    return Trained(parameters, losses, dict(zip(names, validated, strict=True)))


def _evaluate(build: Build, state: State, validation: Validation, loss: Loss) -> Tensor:
    """Return the values of the curves of ``_CURVES``, (curves, students)."""
    inputs, labels = validation
    logits = predict(build, state, inputs)
    if loss == "mse":
        errors = logits - labels.to(logits.device, torch.float32)
        return errors.square().flatten(1).mean(-1).unsqueeze(0)
    labels = labels.to(logits.device).expand(logits.shape[:2])
    log_likelihood = torch.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return torch.stack([-log_likelihood.mean(-1), (logits.argmax(-1) == labels).float().mean(-1)])


@contextlib.contextmanager
def naming_the_network(class_path: str, section: str, num_examples: int, options: TrainingOptions) -> Iterator[None]:
    """Within the context, what a user's network raises while it is trained becomes a UserError that names it.

    A network is tried with two examples in evaluation mode before (``build_network``); this is about all that shows
    in training mode, or on the data. Errors that did not come through torch are none of the network's and pass.

    Args:
        class_path: import path of the network.
        section: "students" or "teachers", whose options to change.
        num_examples: training examples of an epoch.
        options: how it is trained.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not _came_through_torch(error):
            raise
        mend = _mend(str(error).lower(), section, num_examples, options.batch_size)
        raise UserError(f"network class '{class_path}': training fails: {describe_error(error)}; {mend}") from error


def _came_through_torch(error: Exception) -> bool:
    """Whether torch called what raised: a module its forward, or autograd its backward pass."""
    package = f"{Path(torch.__file__).parent}{os.sep}"
    return any(frame.filename.startswith(package) for frame in traceback.extract_tb(error.__traceback__))


def _mend(text: str, section: str, num_examples: int, batch_size: int) -> str:
    if "out of memory" in text or "can't allocate memory" in text:
        return f"lower execution.chunk_size or {section}.training.batch_size"
    if "expected more than 1" in text and num_examples % batch_size == (1 if batch_size > 1 else 0):
        return (
            f"batch normalisation needs two examples in a batch, and batches of {batch_size} leave a last batch of one "
            f"of the {num_examples} training examples: choose another {section}.training.batch_size"
        )
    if "vmap" in text:
        return "set students.backend to auto or loop"
    return "correct its forward for batches of any size in training mode (a trial with two examples passed)"
