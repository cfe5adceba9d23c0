"""What products of matrices and convolutions are computed in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from kd_uncertainty.population.options import Precision


@contextlib.contextmanager
def product_precision(device: torch.device, precision: Precision) -> Iterator[None]:
    """Within the context, a GPU multiplies float32 numbers as TF32 if ``precision`` says so, and exactly if not.

    TF32 keeps 10 of 23 bits of mantissa of what is multiplied, and sums in float32 (NVIDIA A100 white paper, 2020).
    Torch allows it in convolutions unless told otherwise, so both are set, and restored. Nothing happens on a CPU.
    """
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    try:
        products.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


def forward_precision(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Return the context of a network's forward pass: autocast to bfloat16 for "bf16", else nothing.

    Casts of weights are not cached: a cache would outlive the step, whose weights change, and a captured one.
    """
    if precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
