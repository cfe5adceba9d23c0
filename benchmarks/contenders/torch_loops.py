"""What most people write: one network after another, in plain PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.problems import Problem

Batch = tuple[Tensor, Tensor, Tensor]


def dataloader_loop(problem: Problem, students: Sequence[int], seed: int, threads: int) -> NDArray[np.float64]:
    """Train with a shuffling DataLoader over cached soft labels and torch's default Adam; see ``contenders``."""
    torch.set_num_threads(threads)

    def epochs(data: Batch) -> Iterable[Any]:
        return DataLoader(TensorDataset(*data), batch_size=problem.batch_size, shuffle=not problem.full_batch)

    return np.array([_train(problem, student, seed, epochs, {}) for student in students])


def indexing_loop(
    problem: Problem, students: Sequence[int], seed: int, threads: int, adam: str = "default"
) -> NDArray[np.float64]:
    """Train with batches indexed out of tensors, which spares the DataLoader's work for every example.

    Args:
        problem: what to train.
        students: their numbers.
        seed: of this repetition.
        threads: torch's intra-op threads.
        adam: "default", "foreach" or "fused", torch's implementations of Adam.
    """
    torch.set_num_threads(threads)
    options = {} if adam == "default" else {adam: True}
    return np.array(
        [_train(problem, student, seed, lambda data: _Indexed(problem, data), options) for student in students]
    )


class _Indexed:
    """Iterates over an epoch's batches in a fresh order; over the whole data at once if that is one batch."""

    def __init__(self, problem: Problem, data: Batch) -> None:
        self._problem, self._data = problem, data

    def __iter__(self) -> Iterator[Batch]:
        if self._problem.full_batch:
            yield self._data
            return
        inputs, labels, targets = self._data
        for rows in torch.split(torch.randperm(len(inputs)), self._problem.batch_size):
            yield inputs[rows], labels[rows], targets[rows]


def _train(problem: Problem, student: int, seed: int, epochs: Any, adam: Any) -> float:
    torch.manual_seed(1_000_000 * seed + student)
    network = _network(problem.widths)
    optimiser = torch.optim.Adam(network.parameters(), lr=problem.learning_rate, **adam)
    data = (problem.inputs, problem.labels, problem.table(student))
    batches = epochs(tuple(torch.from_numpy(array) for array in data))
    for _ in range(problem.epochs):
        total = torch.zeros(())
        for inputs, labels, targets in batches:
            optimiser.zero_grad()
            loss = _loss(problem, network(inputs), labels, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += loss.detach() * len(inputs)
    return total.item() / len(problem.inputs)


def _network(widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths[:-1]):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def _loss(problem: Problem, outputs: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Return the batch's loss; a term of weight 0 is left out, as one would by hand."""
    mixing, temperature = problem.mixing, problem.temperature
    if problem.loss == "mse":
        soft = functional.mse_loss(outputs, targets)
        return soft if mixing == 1 else (1 - mixing) * functional.mse_loss(outputs, labels) + mixing * soft
    if mixing == 1 and temperature == 1:
        return functional.cross_entropy(outputs, targets)
    soft = temperature**2 * functional.cross_entropy(outputs / temperature, targets)
    return soft if mixing == 1 else (1 - mixing) * functional.cross_entropy(outputs, labels) + mixing * soft
