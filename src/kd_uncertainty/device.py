"""Where tensors live."""

from __future__ import annotations

import torch

from kd_uncertainty.errors import UserError


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device; ``auto`` takes a GPU if there is one.

    Raises:
        UserError: if a GPU is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("execution.device is cuda, but torch sees no GPU here; set it to auto or cpu")
    return torch.device(name)
