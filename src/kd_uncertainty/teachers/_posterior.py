"""The posterior of a network's weights, as minibatches show it: gradients of the likelihood, and curves.

With a prior ``N(0, diag(s^2))`` and n training examples, the negative log posterior of the weights w is, but for a
constant,

    U(w) = n L(w) + sum_k w_k^2 / (2 s_k^2),

where L is the mean negative log-likelihood of an example. Classes have the likelihood softmax(logits); numbers a normal
one, ``N(output, noise_std^2)``. Networks are in evaluation mode: dropout is no part of this posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.backends.program import Batches, Gradients
from kd_uncertainty.population.backends.vmap import make_step, obstacle
from kd_uncertainty.population.contract import Cohort, Facts, Loss, State
from kd_uncertainty.population.dropout import dropout_keys
from kd_uncertainty.population.losses import batch_loss
from kd_uncertainty.population.options import Precision
from kd_uncertainty.population.precision import forward_precision
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.teachers._vectors import Vectors
from kd_uncertainty.teachers.contract import Problem

Slopes = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From weight vectors (networks, size) to the gradients of L on each one's minibatch, and L itself (networks,)."""


class Likelihood:
    """Minibatches of the training split, and the gradients of L on them, for several networks at once.

    Args:
        problem: the data.
        vectors: the network.
        order_seeds: one a network; equal seeds see the same minibatches.
        noise_std: standard deviation of the noise, where a number is predicted.
    """

    def __init__(self, problem: Problem, vectors: Vectors, order_seeds: Sequence[int], noise_std: float) -> None:
        device, training = problem.device, problem.training
        self.vectors = vectors
        self.num_examples = len(problem.labels)
        inputs, labels = problem.inputs.to(device, torch.float32), problem.labels.to(device)
        # Targets are not used, as mixing is 0; but each example needs a row of them.
        targets = labels if problem.loss == "mse" else labels.new_zeros(len(labels), problem.num_classes)
        cohort = replace(Cohort.of_ensemble(targets, [0] * len(order_seeds), order_seeds), loss=problem.loss)
        self._cohort = cohort.to(device)
        self._batches = Batches(inputs, labels, self._cohort, training.batch_size)
        self._gradients = _gradients(vectors.build().to(device).eval(), problem, dropout_keys(order_seeds, device))
        # The engine's loss of numbers is the mean over examples and outputs of the squared error.
        self._factor = labels.shape[1] / (2 * noise_std**2) if problem.loss == "mse" else 1.0

    def epoch(self, epoch: int) -> Iterator[tuple[Slopes, int]]:
        """Go through the minibatches of an epoch, counted from 0, each with its number of examples."""
        self._batches.start_epoch(epoch)
        for take, times in self._batches.shapes():
            for _ in range(times):
                batch = take()
                yield self._slopes_on(batch), batch[0].shape[1]

    def _slopes_on(self, batch: tuple[Tensor, Tensor, Tensor]) -> Slopes:
        def slopes(weights: Tensor) -> tuple[Tensor, Tensor]:
            state = self.vectors.state(weights)
            gradients, losses = self._gradients(state, *batch, self._cohort.mixing, self._cohort.temperature)
            return self.vectors.flat(gradients).mul_(self._factor), losses * self._factor

        return slopes


def _gradients(network: nn.Module, problem: Problem, keys: Tensor) -> Gradients:
    """Return the engine's vectorised gradients where it has them, and otherwise those of one network after another."""
    facts = Facts(problem.loss, problem.training, problem.device)
    if obstacle(network, facts) is None:
        return make_step(network, problem.loss, keys, problem.training.precision)
    return _one_by_one(network, problem.loss, problem.training.precision)


def _one_by_one(network: nn.Module, loss: Loss, precision: Precision) -> Gradients:
    loss_of = batch_loss(loss)

    def one(state: State, inputs: Tensor, *batch: Tensor) -> tuple[State, Tensor]:
        leaves = {name: values.detach().clone().requires_grad_() for name, values in state.items()}
        with forward_precision(inputs.device, precision):
            outputs = functional_call(network, leaves, (inputs,))
        value = loss_of(outputs.float(), *batch)
        gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
        return dict(zip(leaves, gradients, strict=True)), value.detach()

    def step(state: State, *batch: Tensor) -> tuple[State, Tensor]:
        each = [
            one({name: values[i] for name, values in state.items()}, *(part[i].clone() for part in batch))
            for i in range(len(batch[0]))
        ]
        gradients = {name: torch.stack([found[name] for found, _ in each]) for name in state}
        return gradients, torch.stack([value for _, value in each])

    return step


class Curves:
    """Training curves in the making: a row for each member and epoch, as ``_fitting`` has them.

    Args:
        problem: whose validation split to evaluate on.
        vectors: the network.
        after: epochs that were finished before.
    """

    def __init__(self, problem: Problem, vectors: Vectors, after: int = 0) -> None:
        self._problem, self._build, self._after = problem, vectors.build, after
        self._members: list[int] = []
        self._epochs: list[int] = []
        self._values: dict[str, list[Tensor]] = {}

    def add(self, epoch: int, members: Sequence[int], losses: Tensor, state: State) -> None:
        """Add an epoch, counted from 0, of these members: mean training losses (members,) and stacked weights."""
        logits = predict(self._build, state, self._problem.validation_inputs)
        for name, values in {"train_loss": losses, **_evaluate(self._problem, logits)}.items():
            self._values.setdefault(name, []).append(values)
        self._members += members
        self._epochs += [self._after + epoch + 1] * len(members)

    def table(self) -> pd.DataFrame:
        """Return all rows, by member and epoch."""
        columns = {name: torch.cat(values).double().cpu().numpy() for name, values in self._values.items()}
        table = pd.DataFrame({"member": self._members, "epoch": self._epochs, **columns})
        return table.sort_values(["member", "epoch"], ignore_index=True)


def _evaluate(problem: Problem, logits: Tensor) -> dict[str, Tensor]:
    labels = problem.validation_labels.to(logits.device)
    if problem.loss == "mse":
        return {"validation_mse": (logits - labels).square().flatten(1).mean(-1)}
    nll = torch.stack([functional.cross_entropy(one, labels) for one in logits])
    return {"validation_nll": nll, "validation_accuracy": (logits.argmax(-1) == labels).float().mean(-1)}


def require_finite(values: Tensor, members: Sequence[int], kind: str, epoch: int, mend: str) -> None:
    """Raise UserError if a value, one a member, is NaN or infinite.

    Args:
        values: (members,), such as losses.
        members: their numbers.
        kind: of the teacher.
        epoch: counted from 0.
        mend: what to lower.
    """
    finite = torch.isfinite(values)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        raise UserError(
            f"teachers: kind: {kind}: member {members[row]} diverges: its training loss became {values[row].item()} in "
            f"epoch {epoch + 1}; lower {mend}"
        )
