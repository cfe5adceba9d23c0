"""How many students may be trained at once: as many as the measured free memory holds."""

from __future__ import annotations

from typing import Literal, NamedTuple

import psutil
import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Build
from kd_uncertainty.population.dropout import dropout_layers, with_counter_dropout
from kd_uncertainty.population.initialisation import reproducible
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.precision import forward_precision

ChunkSize = int | Literal["auto"]
"""Students trained at once, or "auto" for :func:`students_at_once`."""

ON_A_CPU = 72
"""Students at once on a CPU: enough that a step is mostly arithmetic, and few enough for its caches."""

SAFETY = 2
"""What is estimated is taken this many times: for temporary tensors, workspaces of libraries and fragmentation."""

_FLOAT, _INTEGER = 4, 8  # bytes
_MASK = 32  # bytes for each element of a dropout mask while it is drawn: its random words and their products


class Sizes(NamedTuple):
    """What the memory that training takes depends on, beside the network and its options.

    Attributes:
        example_shape: shape of one input.
        num_examples: training examples.
        num_outputs: logits (or real outputs) of an example.
    """

    example_shape: tuple[int, ...]
    num_examples: int
    num_outputs: int


class Needs(NamedTuple):
    """Bytes for each student.

    Attributes:
        device: where it is trained.
        host: in the memory of the process.
    """

    device: int
    host: int


def students_at_once(
    chunk_size: ChunkSize, build: Build, sizes: Sizes, options: TrainingOptions, device: torch.device
) -> int:
    """Return the students to train at once; never part of a result.

    A number is taken as it is. "auto" is ``ON_A_CPU`` on a CPU, and on a GPU all that fit in its free memory
    (``cudaMemGetInfo``, with what torch holds and does not use); in both cases no more than fit in the host's.

    Args:
        chunk_size: as asked for.
        build: builds one network.
        sizes: of the data.
        options: how students are trained.
        device: where.

    Raises:
        UserError: if "auto" finds no room for a single student.
    """
    if chunk_size != "auto":
        return chunk_size
    free_host = int(psutil.virtual_memory().available)
    with reproducible(device, options.precision):
        needs = needs_of(with_counter_dropout(build()).to(device), sizes, options)
    if device.type != "cuda":
        return min(ON_A_CPU, students_that_fit(Needs(0, needs.device + needs.host), 0, free_host))
    return students_that_fit(needs, _free_on_gpu(device), free_host)


def students_that_fit(needs: Needs, free_device: int, free_host: int) -> int:
    """Return how many students fit in both memories, each estimate taken ``SAFETY`` times.

    Args:
        needs: bytes for each student.
        free_device: free bytes of the device.
        free_host: free bytes of the host.

    Raises:
        UserError: if not one does.
    """
    counts = []
    for memory, need, free in (("GPU", needs.device, free_device), ("main", needs.host, free_host)):
        if not need:
            continue
        counts.append(free // (SAFETY * need))
        if not counts[-1]:
            raise UserError(
                f"execution.chunk_size: one student needs about {_gib(SAFETY * need)} of {memory} memory and "
                f"{_gib(free)} are free: free some, lower training.batch_size, take a smaller network, or set "
                "execution.chunk_size: 1 to try it all the same"
            )
    return min(counts)


def needs_of(network: nn.Module, sizes: Sizes, options: TrainingOptions) -> Needs:
    """Return the bytes that a student takes.

    On the device, with P bytes of parameters and buffers, A of what a batch's forward pass keeps for the backward pass
    (measured on this network), and B of a batch with its targets:

    - P times 2 (initial and current) + 1 (gradients) + 2 (temporary tensors of an update), and two times the
      optimiser's slots and current parameters (a copy is kept during capture);
    - twice A, since gradients of activations are as large; and that for each batch shape, as is B, since each captured
      step keeps its memory;
    - the table of targets and an epoch's order.

    On the host: the table of targets, the order, and twice P.

    Args:
        network: one of them, on the device.
        sizes: of the data.
        options: how it is trained.
    """
    tensors = (*network.parameters(), *network.buffers())
    state = sum(values.numel() * values.element_size() for values in tensors)
    slots = (1 if options.momentum else 0) if options.optimiser == "sgd" else 2
    batch_size = min(options.batch_size, sizes.num_examples)
    shapes = 1 if sizes.num_examples % batch_size == 0 else 2
    example = _FLOAT * (torch.Size(sizes.example_shape).numel() + 2 * sizes.num_outputs) + 3 * _INTEGER
    step = 2 * _kept_bytes(network, sizes.example_shape, batch_size, options) + batch_size * example
    table = sizes.num_examples * (_FLOAT * sizes.num_outputs + _INTEGER)
    return Needs(state * (6 + 2 * slots) + shapes * step + table, table + 2 * state)


def _kept_bytes(network: nn.Module, example_shape: tuple[int, ...], batch_size: int, options: TrainingOptions) -> int:
    """Return the bytes of all that autograd keeps of one batch's forward pass, the parameters aside."""
    tensor = next(network.parameters(), torch.zeros(()))
    own = {values.data_ptr() for values in network.parameters()}
    kept: dict[int, int] = {}

    def keep(values: Tensor) -> Tensor:
        if values.data_ptr() not in own:
            kept[values.data_ptr()] = values.untyped_storage().nbytes()
        return values

    dropped = [0]
    for layer in dropout_layers(network).values():
        layer.register_forward_hook(lambda module, inputs, outputs: dropped.append(outputs.numel()))
    inputs = torch.zeros((batch_size, *example_shape), device=tensor.device)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values),
        forward_precision(tensor.device, options.precision),
    ):
        outputs: Tensor = network.train()(inputs)
    # The outputs themselves, their probabilities, and the gradient that the loss keeps.
    return sum(kept.values()) + 3 * outputs.numel() * _FLOAT + _MASK * max(dropped)


def _free_on_gpu(device: torch.device) -> int:
    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
