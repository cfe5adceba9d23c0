"""The optimisers by name, over any tensors: one network's parameters or those of many, stacked."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from kd_uncertainty.population.options import TrainingOptions


def make_optimiser(parameters: Iterable[Tensor], options: TrainingOptions) -> torch.optim.Optimizer:
    """Return torch's own optimiser in its ``foreach`` form.

    All three are elementwise, so on stacked parameters they do to each student what they would do to it alone; the
    ``foreach`` form does so bit for bit, the ``fused`` one does not.
    """
    tensors, rate, decay = list(parameters), options.learning_rate, options.weight_decay
    if options.optimiser == "sgd":
        return torch.optim.SGD(tensors, lr=rate, momentum=options.momentum, weight_decay=decay, foreach=True)
    kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
    return kind(tensors, lr=rate, weight_decay=decay, foreach=True)
