"""What the products of fine-tuning are computed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear

from kd_uncertainty.language.options import FineTuningOptions

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ROUNDED = "_kd_uncertainty_rounded_head"


def precision_of(options: FineTuningOptions, device: torch.device) -> Literal["float32", "bfloat16"]:
    """Return what products are computed in: as asked for, or, for "auto", bfloat16 where the device multiplies it."""
    if options.precision != "auto":
        return options.precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and torch.cpu._is_amx_tile_supported() else "float32"


@contextmanager
def products_in(options: FineTuningOptions, device: torch.device) -> Iterator[None]:
    """Compute products within in the precision of the options."""
    if precision_of(options, device) == "float32":
        yield
        return
    # On the CPU, attention in one kernel takes longer than plain products for sequences as short as answers.
    attention = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
    with attention, torch.autocast(device.type, torch.bfloat16):
        yield


def head_output(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """Return the logits of hidden states.

    Autocast rounds a frozen head in every step, which takes a sixth of the time; here it is rounded once, to the same
    numbers, until :func:`forget_rounded_head`.

    Args:
        model: whose head is nothing but a linear layer.
        hidden: (tokens, dimensions).
    """
    head, device = model.get_output_embeddings(), hidden.device.type
    rounds = torch.is_autocast_enabled(device) and type(head) is torch.nn.Linear
    logits: Tensor
    if not rounds or head.weight.requires_grad:
        logits = head(hidden)
        return logits
    if _ROUNDED not in vars(model):
        setattr(model, _ROUNDED, head.weight.detach().to(torch.get_autocast_dtype(device)))
    logits = linear(hidden, getattr(model, _ROUNDED), head.bias)
    return logits


def forget_rounded_head(model: PreTrainedModel) -> None:
    """Free what :func:`head_output` keeps."""
    vars(model).pop(_ROUNDED, None)
