"""Logits of trained students."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call

from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.initialisation import reproducible

BATCH_SIZE = 1024
"""Examples per forward pass. Fixed, because batches of another size may round differently in the last bit."""


def predict(build: Build, parameters: State, inputs: Tensor) -> Tensor:
    """Return every student's logits, (students, examples, classes), with dropout off.

    One student after another, so that none depends on its neighbours; on the device of the parameters.

    Args:
        build: builds one network, whose own parameters are not used.
        parameters: parameters and buffers by name, stacked (students, ...), as in ``Trained``.
        inputs: (examples, features).
    """
    device = next(iter(parameters.values())).device
    # Copied, here and below: matrices that start at other addresses may round differently (see ``backends.stacked``).
    inputs = inputs.to(device, torch.float32, copy=True)
    with torch.no_grad(), reproducible(device):
        network = build().to(device).eval()
        return torch.stack(
            [
                torch.cat([functional_call(network, state, (batch,)) for batch in torch.split(inputs, BATCH_SIZE)])
                for state in _each(parameters)
            ]
        )


def _each(parameters: State) -> Iterator[State]:
    for student in range(len(next(iter(parameters.values())))):
        yield {name: values[student].clone() for name, values in parameters.items()}
