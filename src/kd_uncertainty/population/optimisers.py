"""The optimisers by name, over any tensors: one network's parameters or those of many, stacked.

The updates are torch's own functions. Its classes call the same ones, but import torch's compiler to do so, which takes
every process a second. Where a step is captured, its numbers cannot come from the host; for that there is
:class:`CapturableOptimiser`, which writes the same updates out (torch's own ``capturable`` ones refuse the CPU, where
they could be tested, and round their bias corrections to float32 too early).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from kd_uncertainty.population.options import TrainingOptions

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8  # torch's defaults, and those of Kingma & Ba 2015


class Optimiser:
    """SGD with momentum, Adam or AdamW in torch's ``foreach`` form; updates its parameters in place.

    All three are elementwise, so on stacked parameters they do to each student what they would do to it alone; the
    ``foreach`` form does so bit for bit, the ``fused`` one does not.

    Args:
        parameters: what to update.
        options: which optimiser, with its momentum and weight decay.
    """

    def __init__(self, parameters: Iterable[Tensor], options: TrainingOptions) -> None:
        self.parameters, self.options = list(parameters), options
        self._momentum: list[Tensor | None] = [None] * len(self.parameters)
        adaptive = options.optimiser != "sgd"
        self._first = [torch.zeros_like(values) for values in self.parameters] if adaptive else []
        self._second = [torch.zeros_like(values) for values in self.parameters] if adaptive else []
        self._steps = [torch.zeros(()) for _ in self.parameters]  # on the CPU, where reading one stalls no device

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], rate: float) -> None:
        """Take one step.

        Args:
            gradients: one for each parameter; parameters without one stay as they are, weight decay included.
            rate: the step's learning rate.
        """
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]
        parameters = [self.parameters[index] for index in used]
        slopes = [gradient for gradient in gradients if gradient is not None]
        if not used:
            return
        if self.options.optimiser == "sgd":
            self._sgd(parameters, slopes, used, rate)
            return
        update = adamw if self.options.optimiser == "adamw" else adam
        update(
            parameters,
            slopes,
            [self._first[index] for index in used],
            [self._second[index] for index in used],
            [],
            [self._steps[index] for index in used],
            foreach=True,
            amsgrad=False,
            beta1=_BETA_1,
            beta2=_BETA_2,
            lr=rate,
            weight_decay=self.options.weight_decay,
            eps=_EPSILON,
            maximize=False,
        )

    def _sgd(self, parameters: list[Tensor], slopes: list[Tensor], used: list[int], rate: float) -> None:
        momentum = [self._momentum[index] for index in used]  # filled by torch at the first step
        sgd(
            parameters,
            slopes,
            momentum,
            foreach=True,
            weight_decay=self.options.weight_decay,
            momentum=self.options.momentum,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for index, values in zip(used, momentum, strict=True):
            self._momentum[index] = values


class CapturableOptimiser:
    """The updates of :class:`Optimiser`, to rounding, with every number that changes from step to step in a tensor.

    So a step may be captured once and replayed. A step's numbers depend on its position alone and are computed for all
    steps beforehand, in float64: the rate, Adam's ``rate / (1 - beta_1^t)`` and ``sqrt(1 - beta_2^t)`` (Kingma & Ba
    2015, section 2, end), and AdamW's factor ``1 - rate decay``; here t counts from 1.

    Args:
        parameters: what to update; each has a gradient in every step.
        options: which optimiser, with its momentum and weight decay.
        rates: (steps,), the learning rate of every step.
        position: () int64 on the device of the parameters, the step to take, counted from 0; somebody else advances it.
    """

    def __init__(
        self, parameters: Iterable[Tensor], options: TrainingOptions, rates: NDArray[np.float64], position: Tensor
    ) -> None:
        self.parameters, self.options, self.position = list(parameters), options, position
        slots = {"sgd": 1 if options.momentum else 0}.get(options.optimiser, 2)
        self._slots = [[torch.zeros_like(values) for values in self.parameters] for _ in range(slots)]
        self._numbers = torch.from_numpy(_numbers(options, rates)).to(position.device, torch.float32)

    @property
    def changed(self) -> list[Tensor]:
        """The tensors that a step changes."""
        return [*self.parameters, *(values for slot in self._slots for values in slot)]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Take the step that ``position`` says.

        Args:
            gradients: one for each parameter.
        """
        numbers = self._numbers.index_select(0, self.position.view(1)).squeeze(0)
        rate, size, root, kept = numbers.unbind()
        decay, slopes = self.options.weight_decay, list(gradients)
        if decay and self.options.optimiser == "adamw":
            torch._foreach_mul_(self.parameters, kept)
        elif decay:
            slopes = list(torch._foreach_add(slopes, self.parameters, alpha=decay))
        if self.options.optimiser == "sgd":
            updates = torch._foreach_mul(self._with_momentum(slopes), rate)
        else:
            first, second = self._slots
            torch._foreach_lerp_(first, slopes, 1 - _BETA_1)
            torch._foreach_mul_(second, _BETA_2)
            torch._foreach_addcmul_(second, slopes, slopes, value=1 - _BETA_2)
            spread = torch._foreach_sqrt(second)
            torch._foreach_div_(spread, root)
            torch._foreach_add_(spread, _EPSILON)
            updates = torch._foreach_mul(first, size)
            torch._foreach_div_(updates, spread)
        torch._foreach_sub_(self.parameters, updates)

    def _with_momentum(self, slopes: list[Tensor]) -> list[Tensor]:
        if not self._slots:
            return slopes
        torch._foreach_mul_(self._slots[0], self.options.momentum)
        torch._foreach_add_(self._slots[0], slopes)
        return self._slots[0]


def _numbers(options: TrainingOptions, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (steps, 4): each step's rate, Adam's step size and root of the bias, and AdamW's factor."""
    t = np.arange(1, len(rates) + 1)
    size, root = rates / (1 - _BETA_1**t), np.sqrt(1 - _BETA_2**t)
    return np.stack([rates, size, root, 1 - rates * options.weight_decay], axis=1)
