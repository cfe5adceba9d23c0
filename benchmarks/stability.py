"""W6: students of the convergence study, one example a step, beside a sequential PyTorch loop.

Every student is 30-128-128-5 with ReLU, trained by SGD at batch size 1 with momentum, as in the network experiment of
Morad, Shlezinger & Eldar (arXiv 2601.01484). The loops are eager PyTorch as a user would write it who knows what
costs: tensors in place, batches cut beforehand, no DataLoader; with each of torch's implementations of SGD, and with
the network's forward and backward pass compiled. They train one student; ours trains a population. Divide each time by
students and steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kd_uncertainty.networks import MLP
from kd_uncertainty.population.contract import Cohort, State
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders
from kd_uncertainty.population.training import train

SIZES = (30, 128, 128, 5)
RATE, MOMENTUM = 5e-4, 0.9
LOOPS: dict[str, dict[str, Any]] = {"default": {}, "foreach": {"foreach": True}, "fused": {"fused": True}}
"""Arguments of ``torch.optim.SGD``."""


class Steps(NamedTuple):
    """What everybody is trained on: ``steps`` examples, each once.

    Attributes:
        inputs: (steps, 30).
        targets: (steps, 5), class probabilities.
    """

    inputs: Tensor
    targets: Tensor


class Workload(NamedTuple):
    """One thing to time.

    Attributes:
        run: trains the students.
        students: how many.
        ours: whether it is compared with the fastest loop.
    """

    run: Callable[[], object]
    students: int
    ours: bool


def build() -> MLP:
    """One student."""
    return MLP(SIZES[0], SIZES[-1], hidden=SIZES[1:-1])


def make_steps(steps: int, seed: int = 0) -> Steps:
    """Standard normal inputs with random class probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(steps, SIZES[-1], generator=generator)
    return Steps(torch.randn(steps, SIZES[0], generator=generator), torch.softmax(logits, -1))


def population(data: Steps, students: int, threads: int) -> State:
    """Train students 0, 1, … with our engine; return their parameters, (students, ...)."""
    seeds = tuple(range(students))
    cohort = Cohort(
        data.targets.unsqueeze(0),
        torch.ones(students),
        torch.ones(students),
        seeds,
        seeds,
        tables=torch.zeros(students, dtype=torch.int64),
    )
    options = TrainingOptions(epochs=1, batch_size=1, optimiser="sgd", learning_rate=RATE, momentum=MOMENTUM)
    labels = torch.zeros(len(data.inputs), dtype=torch.int64)  # of no weight
    return train(
        build, data.inputs, labels, cohort, options, backend="native", threads=threads, chunk_size=students
    ).parameters


class Loop:
    """One student after another in plain PyTorch, on one thread, in one network that is filled anew for each.

    Args:
        kind: a key of ``LOOPS``.
        compiled: whether ``torch.compile`` compiles the forward and backward pass.
    """

    def __init__(self, kind: str = "default", compiled: bool = False) -> None:
        self._network = build()
        self._kind = kind

        def loss_of(one: Tensor, target: Tensor) -> Tensor:
            return cross_entropy(self._network(one), target)

        self._loss_of: Callable[[Tensor, Tensor], Tensor] = torch.compile(loss_of) if compiled else loss_of

    def train(self, data: Steps, student: int) -> State:
        """Train a student; return its parameters."""
        torch.set_num_threads(1)
        network = self._network
        start = initial_states(build, [student], torch.device("cpu"))
        network.load_state_dict({name: values[0] for name, values in start.items()})
        optimiser = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM, **LOOPS[self._kind])
        order = torch.from_numpy(batch_orders([student], 0, len(data.inputs))[0])
        for one, target in zip(data.inputs[order].split(1), data.targets[order].split(1), strict=True):
            optimiser.zero_grad()
            self._loss_of(one, target).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return {name: values.clone() for name, values in network.state_dict().items()}


def _one_after_another(loop: Loop, data: Steps) -> Workload:
    return Workload(lambda: loop.train(data, 0), 1, ours=False)


def stability_workloads(threads: int, *, steps: int, students: int, compiled: bool) -> dict[str, Workload]:
    """Return the workloads by name.

    Args:
        threads: of our engine; one thread is tried too.
        steps: of every student.
        students: of our population.
        compiled: whether to try the compiled network too, whose compilation takes a minute.
    """
    data = make_steps(steps)
    found = {
        f"ours: native, {count} thread{'s' if count > 1 else ''}": Workload(
            lambda count=count: population(data, students, count), students, ours=True
        )
        for count in sorted({1, threads})
    }
    for kind in LOOPS:
        found[f"PyTorch loop, {kind} SGD"] = _one_after_another(Loop(kind), data)
    if compiled:
        found["PyTorch loop, fused SGD, compiled network"] = _one_after_another(Loop("fused", compiled=True), data)
    return found
