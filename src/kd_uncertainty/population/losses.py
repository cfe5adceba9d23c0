"""The losses that students minimise: pure functions of students' batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kd_uncertainty.population.contract import Loss

BatchLoss = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""A batch's loss from outputs, labels, targets, mixing and temperature."""


def batch_loss(loss: Loss) -> BatchLoss:
    """Return the function that computes ``loss``, with the arguments of :func:`distillation_loss`."""
    return _mse if loss == "mse" else distillation_loss


def _mse(outputs: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor) -> Tensor:
    return mse_loss(outputs, labels, targets, mixing)


def distillation_loss(logits: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor) -> Tensor:
    """Return the mean distillation loss of a batch, in nats (Hinton, Vinyals & Dean 2015, section 2).

    ``(1 - mixing) CE(label, softmax(logits)) + mixing temperature^2 CE(target, softmax(logits / temperature))``,
    where the factor ``temperature^2`` keeps the size of the soft gradients comparable across temperatures.

    Both terms are always computed, whatever the values of mixing and temperature, so that a student trained among
    others does exactly the arithmetic that it does alone. Differentiable in the logits, once.

    All arguments may have leading axes, such as students; then so has the result.

    Args:
        logits: (..., examples, classes).
        labels: (..., examples) int64, the data's own labels.
        targets: (..., examples, classes), the teacher's probabilities; rows sum to 1.
        mixing: (...), the weight of the teacher's targets.
        temperature: (...), the softening of the student's probabilities; the targets are softened already.

    Returns:
        (...), one loss each.
    """
    loss: Tensor = _DistillationLoss.apply(logits, labels, targets, mixing, temperature)[0]  # type: ignore[no-untyped-call]
    return loss


def mse_loss(outputs: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor) -> Tensor:
    """Return the mean squared error of a batch, to the data's own labels and to the teacher's outputs.

    ``(1 - mixing) mean((outputs - labels)^2) + mixing mean((outputs - targets)^2)``, means over examples and outputs:
    distillation of a regression (Saputra et al. 2019, "Distilling knowledge from a deep pose regressor network",
    section 3.1). In squared units of the outputs. Both terms are always computed, as in :func:`distillation_loss`.
    Differentiable in the outputs, once.

    Args:
        outputs: (..., examples, outputs).
        labels: (..., examples, outputs), the data's own.
        targets: (..., examples, outputs), the teacher's.
        mixing: (...), the weight of the teacher's targets.

    Returns:
        (...), one loss each.
    """
    loss: Tensor = _MeanSquaredError.apply(outputs, labels, targets, mixing)[0]  # type: ignore[no-untyped-call]
    return loss


class _DistillationLoss(torch.autograd.Function):
    """The loss together with its gradient in closed form.

    ``(1 - mixing) (softmax(logits) - label) + mixing temperature (softmax(logits / temperature) - target)``, each
    divided by the number of examples.

    Classes are moved before examples, since torch's softmax over a last axis shorter than a vector register is 20
    times slower. The gradient leaves contiguous, so that what follows is the same for one student and for many.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        logits: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor
    ) -> tuple[Tensor, Tensor]:
        examples = logits.shape[-2]
        mixing, temperature = mixing[..., None, None], temperature[..., None, None]
        logits, targets, labels = logits.mT.contiguous(), targets.mT.contiguous(), labels.unsqueeze(-2)
        softened = logits / temperature
        hard = torch.log_softmax(logits, dim=-2).gather(-2, labels)
        soft = (targets * torch.log_softmax(softened, dim=-2)).sum(-2, keepdim=True)
        hard_weight, soft_weight = 1 - mixing, mixing * temperature
        loss = -(hard_weight * hard + soft_weight * temperature * soft).mean(-1).squeeze(-1)
        residual = torch.softmax(logits, dim=-2)
        residual = residual.scatter_add(-2, labels, -torch.ones_like(hard))
        gradient = hard_weight * residual + soft_weight * (torch.softmax(softened, dim=-2) - targets)
        # A clone, since contiguous() leaves the strides of a single column as they are, and autograd goes by strides.
        return loss, (gradient / examples).mT.clone(memory_format=torch.contiguous_format)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0][..., None, None], None, None, None, None


class _MeanSquaredError(torch.autograd.Function):
    """The loss together with its gradient, ``2 ((1 - mixing) (outputs - labels) + mixing (outputs - targets))``.

    The gradient is divided by the number of examples times outputs, and contiguous as in the distillation loss.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(outputs: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor) -> tuple[Tensor, Tensor]:
        soft_weight = mixing[..., None, None]
        hard_weight = 1 - soft_weight
        hard, soft = outputs - labels, outputs - targets
        errors = (hard_weight * hard.square() + soft_weight * soft.square()).flatten(-2)
        gradient = (hard_weight * hard + soft_weight * soft) * (2 / errors.shape[-1])
        return errors.mean(-1), gradient.contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0][..., None, None], None, None, None
