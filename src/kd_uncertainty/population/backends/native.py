"""The compiled backend: one student is one task for one thread, with all its state in that core's caches.

Its sums are taken in another order than torch's, so it equals the loop to rounding, not to the bit, and is no farther
from exact arithmetic. How far rounding reaches depends on the optimiser: SGD leaves it at 1e-7, while Adam's first
steps may turn a gradient that vanishes but for rounding into a whole step, in this backend as in any other. A student's
bits depend on its own seeds and targets and on the machine's vector instructions, never on neighbours or the number of
threads.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from kd_uncertainty.population.checks import check_cohort, check_epochs
from kd_uncertainty.population.contract import Build, Cohort, Facts, Monitor, State
from kd_uncertainty.population.native import library
from kd_uncertainty.population.native.packing import Layer, layers_of, pack, unpack
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.schedules import learning_rates

BETAS, EPSILON = (0.9, 0.999), 1e-8  # torch's own, which the other backends leave as they are
_OPERATIONS_PER_CALL = 2e10  # multiplications between two reports: some tenths of a second for one thread
_NEVER = 1 << 62


def obstacle(network: nn.Module, facts: Facts) -> str | None:
    """Return why the kernel cannot train the network, as a clause, or None.

    On the CPU the library is compiled and loaded in any case: other backends take their random numbers from it.
    """
    if facts.device.type != "cpu":
        return "native trains on the CPU only"
    if facts.options.precision != "float32":
        return f"native computes in float32, not in {facts.options.precision}"
    missing, layers = library.obstacle(), layers_of(network)
    if isinstance(layers, str):
        return layers
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return "native takes no frozen parameters"
    return missing


def merit() -> str:
    """Return what the record says of the kernel, as a clause."""
    return f"compiled for Linear and ReLU layers, {library.instruction_set()}"


def train_cohort(
    build: Build,
    initial: State,
    inputs: Tensor,
    labels: Tensor,
    cohort: Cohort,
    options: TrainingOptions,
    monitor: Monitor,
    threads: int = 1,
) -> State:
    """Train all students in ``threads`` threads; see :class:`~kd_uncertainty.population.contract.TrainCohort`.

    Raises:
        UserError: if the kernel is not there, or memory is short.
        ValueError: if the network is none that :func:`obstacle` lets pass, or sizes do not fit together.
    """
    layers = layers_of(build())
    if isinstance(layers, str):
        raise ValueError(layers)
    _check(layers, inputs, labels, cohort)
    check_epochs(cohort, options.epochs)
    slots = {"sgd": 2 if options.momentum else 1}.get(options.optimiser, 3)
    memory = pack(initial, layers, slots)
    state = {name: values.clone() for name, values in initial.items()}
    tensors = _tensors(layers, inputs, labels, cohort, options)
    task = _task(layers, tensors, memory, cohort, options)
    task.threads = threads
    students = slice(0, len(cohort))
    for epochs in _blocks(layers, cohort.num_rows * len(cohort), options.epochs, monitor.every_epoch, threads):
        losses = torch.empty((len(cohort), len(epochs)), dtype=torch.float64)
        task.first_epoch, task.last_epoch, task.losses = epochs.start, epochs.stop, losses.data_ptr()
        library.train(task)
        if monitor.every_epoch or epochs.stop == options.epochs:
            unpack(memory, layers, state)
        monitor.after_epochs(students, epochs, state, losses.float())
    return state


def _blocks(layers: list[Layer], examples: int, epochs: int, every_epoch: bool, threads: int) -> Iterator[range]:
    """Cut the epochs into calls of the kernel, long enough not to matter and short enough to report progress."""
    operations = 3.0 * examples * sum(layer.size for layer in layers)
    length = 1 if every_epoch else max(1, int(_OPERATIONS_PER_CALL * threads / operations))
    return (range(start, min(start + length, epochs)) for start in range(0, epochs, length))


def _check(layers: list[Layer], inputs: Tensor, labels: Tensor, cohort: Cohort) -> None:
    """Refuse what the kernel, which trusts its caller, would read beyond the end of."""
    check_cohort(inputs, labels, cohort)
    expected = (layers[0].inputs, layers[-1].outputs)
    if (tuple(inputs.shape[1:]), cohort.targets.shape[-1]) != (expected[:1], expected[1]):
        found = (*inputs.shape[1:], cohort.targets.shape[-1])
        raise ValueError(f"inputs and targets have {found} columns where the network has {expected}")


def _tensors(
    layers: list[Layer], inputs: Tensor, labels: Tensor, cohort: Cohort, options: TrainingOptions
) -> dict[str, Tensor]:
    """Return what the task points to, as contiguous tensors of the kernel's types."""
    never = torch.full((len(cohort),), _NEVER)
    switch_step = never if cohort.switch_step is None else cohort.switch_step
    order_seeds = torch.tensor([_signed(seed) for seed in cohort.order_seeds])
    tensors = {
        "widths": torch.tensor([layers[0].inputs, *(layer.outputs for layer in layers)]),
        "relu": torch.tensor([int(layer.relu) for layer in layers]),
        "bias": torch.tensor([int(layer.bias is not None) for layer in layers]),
        "inputs": inputs.float(),
        **({"values": labels.float()} if cohort.loss == "mse" else {"labels": labels.long()}),
        "targets": cohort.targets.float(),
        "tables": cohort.table_index.long(),
        "mixing": cohort.mixing.float(),
        "mixing_after": (cohort.mixing if cohort.mixing_after is None else cohort.mixing_after).float(),
        "switch_step": switch_step.long(),
        "temperature": cohort.temperature.float(),
        "order_seeds": order_seeds,
        **({} if cohort.rows is None else {"rows": cohort.rows}),
        "rates": torch.from_numpy(learning_rates(options, cohort.num_rows)),
    }
    return {name: values.contiguous() for name, values in tensors.items()}


def _task(
    layers: list[Layer], tensors: dict[str, Tensor], memory: Tensor, cohort: Cohort, options: TrainingOptions
) -> library.Task:
    return library.Task(
        students=len(cohort),
        examples=len(tensors["inputs"]),
        epoch_size=cohort.num_rows,
        row_epochs=cohort.rows.shape[1] if cohort.rows is not None and cohort.rows.dim() == 3 else 1,
        layers=len(layers),
        batch_size=options.batch_size,
        momentum=options.momentum,
        beta1=BETAS[0],
        beta2=BETAS[1],
        epsilon=EPSILON,
        weight_decay=options.weight_decay,
        optimiser=library.OPTIMISERS[options.optimiser],
        loss=library.LOSSES[cohort.loss],
        size=memory.shape[-1],
        slots=memory.shape[1],
        state=memory.data_ptr(),
        **{name: values.data_ptr() for name, values in tensors.items()},
    )


def _signed(seed: int) -> int:
    """Return the 64 bits of a seed as the signed integer that torch holds them in."""
    seed &= (1 << 64) - 1
    return seed - (1 << 64) if seed >> 63 else seed
