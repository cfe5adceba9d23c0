"""What the contenders train: the same data, networks and options for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Problem:
    """One training task; student i starts from its own parameters and visits batches in its own orders.

    Attributes:
        name: as in the results.
        inputs: (examples, features) float32.
        labels: (examples,) int64 classes, or (examples, outputs) float32 for the loss "mse".
        targets: (tables, examples, outputs) float32; student i learns table i modulo their number.
        hidden: widths of the hidden ReLU layers.
        epochs: passes over the examples.
        batch_size: examples a step; the last batch of an epoch may be smaller. With at least as many as there are
            examples every step uses all of them, in their own order.
        learning_rate: of Adam; everything else as torch's defaults.
        mixing: weight of the targets beside the labels.
        temperature: softening of the student's probabilities.
        loss: as in the engine's cohorts.
    """

    name: str
    inputs: Floats
    labels: NDArray[Any]
    targets: Floats
    hidden: tuple[int, ...]
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 5e-3
    mixing: float = 1.0
    temperature: float = 1.0
    loss: Literal["distillation", "mse"] = "distillation"

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of every layer, inputs and outputs included."""
        return (self.inputs.shape[1], *self.hidden, self.targets.shape[-1])

    @property
    def full_batch(self) -> bool:
        """Whether a step uses all examples."""
        return self.batch_size >= len(self.inputs)

    @property
    def flops_per_epoch(self) -> int:
        """Floating-point operations of one student's epoch, matrix products only.

        A weight costs each example a multiplication and an addition forward, as many for its own gradient, and,
        except in the first layer, as many for the gradient of its input. Biases, activations, loss and optimiser are
        left out, so the share of the machine's peak is understated.
        """
        weights = [fan_in * fan_out for fan_in, fan_out in pairwise(self.widths)]
        return len(self.inputs) * (4 * weights[0] + 6 * sum(weights[1:]))

    def table(self, student: int) -> Floats:
        """Return the targets of a student, (examples, outputs)."""
        table: Floats = self.targets[student % len(self.targets)]
        return table

    def save(self, path: Path) -> None:
        """Write the problem to an .npz file, which workers read."""
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in vars(self).items()}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Problem:
        """Read what :meth:`save` wrote."""
        arrays = ("inputs", "labels", "targets")
        with np.load(path) as file:
            scalars = {name: file[name].item() for name in file.files if name not in (*arrays, "hidden")}
            return cls(hidden=tuple(file["hidden"].tolist()), **{name: file[name] for name in arrays}, **scalars)


def digits(name: str, hidden: tuple[int, ...], targets: Floats, **options: Any) -> Problem:
    """Return a problem on the training split of the default study."""
    inputs, labels = digits_split()
    return Problem(name, inputs, labels, targets, hidden, **options)


def digits_split() -> tuple[Floats, NDArray[np.int64]]:
    """Return the default study's training inputs (1078, 64) and noisy labels (1078,)."""
    from kd_uncertainty.tasks.bundled import LABEL_NOISE, load_bundled
    from kd_uncertainty.tasks.examples import example_tensors
    from kd_uncertainty.tasks.options import IngestionOptions
    from kd_uncertainty.tasks.tables import prepare_task

    table = load_bundled("digits")
    table.attrs[LABEL_NOISE] = 0.2
    examples = example_tensors(prepare_task(table, IngestionOptions(target="target")).examples, "train")
    return examples.inputs.numpy(), examples.labels.numpy()


def soft_labels(members: int = 8, temperature: float = 1.0) -> Floats:
    """Return what each member of a small deep ensemble says about the digits, (members, 1078, 10)."""
    import torch

    from kd_uncertainty.networks import MLP
    from kd_uncertainty.population.contract import Cohort
    from kd_uncertainty.population.options import TrainingOptions
    from kd_uncertainty.population.training import predict, train

    features, classes = (torch.from_numpy(array) for array in digits_split())

    def build() -> MLP:
        return MLP(64, 10, hidden=[32])

    seeds = range(members)
    one_hot = torch.nn.functional.one_hot(classes, 10).float()
    cohort = Cohort.of_ensemble(one_hot, tuple(seeds), tuple(seeds))
    trained = train(build, features, classes, cohort, TrainingOptions(epochs=20), backend="vmap")
    probabilities: Floats = torch.softmax(predict(build, trained.parameters, features) / temperature, -1).numpy()
    return probabilities


def tabular(students: int, steps: int = 200) -> Problem:
    """Return the regression of the uncertainty paper's size: 404 x 13 -> 16 -> 1, full batches.

    Synthetic: a smooth function of standard normal inputs; each student learns its own noisy copy of the responses.
    """
    generator = np.random.default_rng(13)
    inputs = generator.standard_normal((404, 13)).astype(np.float32)
    truth = np.sin(inputs[:, :1]) + inputs[:, 1:2] * inputs[:, 2:3] / 2 + inputs[:, 3:4]
    noise = generator.standard_normal((students, 404, 1), dtype=np.float32)
    return Problem(
        "W3", inputs, truth, (truth + noise / 2).astype(np.float32), (16,), steps, len(inputs), 1e-2, loss="mse"
    )
