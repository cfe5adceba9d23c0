"""What the curves of a teacher of classes say of its validation split."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def validation_curves(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return ``validation_nll``, the mean negative log-likelihood in nats, and ``validation_accuracy``.

    Args:
        logits: (examples, classes).
        labels: (examples,).
    """
    nll = cross_entropy(logits.double().cpu(), labels.cpu())
    accuracy = (logits.argmax(-1).cpu() == labels.cpu()).double().mean()
    return {"validation_nll": float(nll), "validation_accuracy": float(accuracy)}
