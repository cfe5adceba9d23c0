"""The optimisers by name, over any tensors: one network's parameters or those of many, stacked.

The updates are torch's own functions. Its classes call the same ones, but import torch's compiler to do so, which takes
every process a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
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
