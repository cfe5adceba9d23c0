"""The seam between a training step and the way it is run: call by call, or captured once and replayed.

A small network's step is some hundred kernels of a few microseconds each, less than the host needs to start them. A
CUDA graph starts them all at once. It repeats the same kernels on the same addresses with the same numbers, so a step
that may be captured reads and writes fixed tensors, counts in a tensor, and asks the host for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[], None]
"""Reads and changes fixed tensors in place; takes and returns nothing, and repeats itself exactly when called again."""

Capture = Callable[[Step, Sequence[Tensor], torch.device], Step]
"""Turns a step, and all tensors that it changes, into something that does the same; changes no tensor itself."""

_WARM_UPS = 3  # before a capture, so that lazily created handles, workspaces and kernels are there (torch's own advice)


def capture(step: Step, changed: Sequence[Tensor], device: torch.device) -> Step:
    """Return what does the step's work: a CUDA graph's replay on a GPU, elsewhere the step itself.

    Warm-up and capture leave ``changed`` as it was, so that a captured training takes the steps that another takes. The
    step is captured as a whole, backward pass and optimiser included (PyTorch documentation, "CUDA semantics", section
    "CUDA Graphs").

    Args:
        step: one step on tensors of fixed shape.
        changed: every tensor that outlives a step and that it changes.
        device: where they are.
    """
    return _cuda_graph(step, changed, device) if device.type == "cuda" else step


def run_eagerly(step: Step, changed: Sequence[Tensor], device: torch.device) -> Step:
    """Return the step itself: what :func:`capture` is compared with."""
    return step


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that graphs may be dropped that it still replays."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def upload(destination: Tensor, values: Tensor) -> None:
    """Copy values (CPU) into a fixed tensor on any device, without waiting for the device to come to it."""
    if destination.device.type == "cuda":
        # From pinned memory, which torch does not use again before the copy is done.
        destination.copy_(values.pin_memory(), non_blocking=True)
    else:
        destination.copy_(values)


def _cuda_graph(step: Step, changed: Sequence[Tensor], device: torch.device) -> Step:
    with torch.cuda.device(device):
        saved = [values.clone() for values in changed]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                step()
                _restore(changed, saved)  # each time, since counters must not run past the end of what they index
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()  # recorded, not run
    return graph.replay


@torch.no_grad()
def _restore(changed: Sequence[Tensor], saved: Sequence[Tensor]) -> None:
    for values, before in zip(changed, saved, strict=True):
        values.copy_(before)
