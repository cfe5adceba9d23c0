"""The losses that students minimise: pure functions of one student's batch."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import log_softmax


def distillation_loss(logits: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor) -> Tensor:
    """Mean distillation loss of a batch, in nats (Hinton, Vinyals & Dean 2015, section 2).

    ``(1 - mixing) CE(label, softmax(logits)) + mixing temperature^2 CE(target, softmax(logits / temperature))``,
    where the factor ``temperature^2`` keeps the size of the soft gradients comparable across temperatures.

    Both terms are always computed, whatever the values of mixing and temperature, so that a student trained among
    others does exactly the arithmetic that it does alone.

    Args:
        logits: (examples, classes).
        labels: (examples,) int64, the data's own labels.
        targets: (examples, classes), the teacher's probabilities; rows sum to 1.
        mixing: scalar, the weight of the teacher's targets.
        temperature: scalar, the softening of the student's probabilities; the targets are softened already.

    Returns:
        A scalar.
    """
    hard = log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    soft = (targets * log_softmax(logits / temperature, dim=-1)).sum(-1)
    return -((1 - mixing) * hard + mixing * temperature**2 * soft).mean()
