"""What goes into and comes out of training a population; shared by the engine and its backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError

State = dict[str, Tensor]
"""Parameters and buffers by name; with a leading students axis where it says so."""

Build = Callable[[], nn.Module]
"""Builds one freshly initialised network; draws its random numbers from torch's global CPU generator only."""

Role = Literal["student", "teacher network"]
"""What messages call the networks of a cohort."""

AfterEpoch = Callable[[slice, int, State, Tensor], None]
"""Called as ``(students, epoch, stacked state, losses (students,))`` when these students finished an epoch."""


@dataclass(frozen=True)
class Cohort:
    """Students trained together.

    Attributes:
        targets: (students, examples, classes) float32, what each student's teacher says about each training example.
        mixing: (students,), the weight of these targets beside the data's own labels.
        temperature: (students,), softening of the student's probabilities.
        initialisation_seeds: one a student; equal seeds start from the same parameters.
        order_seeds: one a student; equal seeds see the same batches (and drop the same units).
        numbers: the students' numbers in messages; by default their positions.
        role: what messages call one of them.
    """

    targets: Tensor
    mixing: Tensor
    temperature: Tensor
    initialisation_seeds: tuple[int, ...]
    order_seeds: tuple[int, ...]
    numbers: tuple[int, ...] = ()
    role: Role = "student"

    def __len__(self) -> int:
        return len(self.order_seeds)

    def __getitem__(self, students: slice) -> Self:
        return type(self)(
            self.targets[students],
            self.mixing[students],
            self.temperature[students],
            self.initialisation_seeds[students],
            self.order_seeds[students],
            self.names[students],
            self.role,
        )

    @property
    def names(self) -> tuple[int, ...]:
        """The students' numbers."""
        return self.numbers or tuple(range(len(self)))

    def to(self, device: torch.device) -> Self:
        """Return the cohort with its tensors as float32 on ``device``."""
        return dataclasses.replace(
            self,
            targets=self.targets.to(device, torch.float32),
            mixing=self.mixing.to(device, torch.float32),
            temperature=self.temperature.to(device, torch.float32),
        )

    @classmethod
    def of_ensemble(cls, targets: Tensor, initialisation_seeds: Sequence[int], order_seeds: Sequence[int]) -> Self:
        """Return ordinary networks, trained on labels: mixing 0, and one table of targets that all share.

        Args:
            targets: (examples, classes) one-hot labels.
            initialisation_seeds: one a network.
            order_seeds: one a network.
        """
        count = len(initialisation_seeds)
        return cls(
            targets.expand(count, *targets.shape),
            torch.zeros(count),
            torch.ones(count),
            tuple(initialisation_seeds),
            tuple(order_seeds),
            role="teacher network",
        )


class Trained(NamedTuple):
    """The result of training a cohort, on the CPU.

    Attributes:
        parameters: each parameter (and buffer) of the network, stacked as (students, ...).
        losses: (students, epochs) mean training loss over each epoch's examples, in nats.
        validation_nll: (students, epochs) mean negative log-likelihood after each epoch, in nats, if asked for.
        validation_accuracy: (students, epochs), likewise.
    """

    parameters: State
    losses: Tensor
    validation_nll: Tensor | None = None
    validation_accuracy: Tensor | None = None


def require_finite(losses: Tensor, cohort: Cohort, epoch: int) -> None:
    """Raise UserError if a network's loss is NaN or infinite; ``losses`` is (students,)."""
    if bool(torch.isfinite(losses).all()):
        return
    position = int((~torch.isfinite(losses)).nonzero()[0, 0])
    student = cohort.role == "student"
    raise UserError(
        f"{cohort.role} {cohort.names[position]}: the training loss became {losses[position].item()} in epoch "
        f"{epoch + 1}; set a smaller {'students' if student else 'teachers'}.training.learning_rate "
        f"(or a smaller momentum{' or distillation temperature' if student else ''})"
    )
