"""What a CUDA graph does, on the CPU: operations are recorded with their addresses and numbers, then repeated blindly.

A replay runs the recorded operations on the very tensors of the recording. Nothing that Python computed in between
takes part, so a step that reads a number on the host, or counts in Python, comes out wrong here as it would on a GPU.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKS_THE_HOST = {"_local_scalar_dense", "nonzero", "is_nonzero", "item", "masked_select", "lift_fresh", "equal"}
"""Operations that wait for the device, or bring data from the host."""

_EMPTY = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided"}


class HostError(AssertionError):
    """An operation of a recorded step needs the host."""


class Tape(TorchDispatchMode):
    """Records while it is the current mode; leaves every tensor that was there before as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._made: set[int] = set()
        self._saved: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = operation._schema.name.removeprefix("aten::").rstrip("_")
        if name in ASKS_THE_HOST:
            raise HostError(name)
        before = {values.untyped_storage().data_ptr() for values in _tensors((args, kwargs))}
        writes = operation._schema.is_mutable
        if writes:
            self._save(_tensors((args, kwargs)))
        outputs = operation(*args, **kwargs)
        made = [values for values in _tensors(outputs) if values.untyped_storage().data_ptr() not in before]
        self._made |= {values.untyped_storage().data_ptr() for values in made}
        if (writes or made) and name not in _EMPTY:  # views and uninitialised memory need no kernel
            self.operations.append((operation, args, kwargs, outputs))
        elif made:
            self.operations.append((None, args, kwargs, outputs))  # keeps the memory from being used again
        return outputs

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        with torch.no_grad():
            for values, saved in self._saved.values():
                values.copy_(saved)

    def replay(self) -> None:
        with torch.no_grad():
            for operation, args, kwargs, outputs in self.operations:
                if operation is None:
                    continue
                results = operation(*args, **kwargs)
                for values, result in zip(_tensors(outputs), _tensors(results), strict=True):
                    if values is not result:
                        values.copy_(result)

    def _save(self, tensors: list[Tensor]) -> None:
        for values in tensors:
            place = values.untyped_storage().data_ptr()
            if place not in self._made | self._saved.keys():
                whole = torch.empty(0, dtype=values.dtype).set_(values.untyped_storage())
                self._saved[place] = (whole, whole.clone())


class FakeCuda:
    """As much of ``torch.cuda`` as capturing takes; remembers what was run where."""

    def __init__(self, monkeypatch: Any) -> None:
        for name in ("device", "Stream", "current_stream", "stream", "CUDAGraph", "graph", "synchronize"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        self.current, self.waits = "main", list[tuple[str, str]]()
        self.tapes: list[Tape] = []

    def device(self, device: torch.device) -> Any:
        assert device.type == "cuda"
        return contextlib.nullcontext()

    def Stream(self) -> _Stream:
        return _Stream(self, "side")

    def current_stream(self) -> _Stream:
        return _Stream(self, self.current)

    @contextlib.contextmanager
    def stream(self, stream: _Stream) -> Iterator[None]:
        before, self.current = self.current, stream.name
        yield
        self.current = before

    def CUDAGraph(self) -> Tape:
        self.tapes.append(Tape())
        return self.tapes[-1]

    @contextlib.contextmanager
    def graph(self, tape: Tape) -> Iterator[None]:
        before, self.current = self.current, "capture"
        with tape:
            yield
        self.current = before

    def synchronize(self, device: torch.device) -> None:
        pass


class _Stream:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.cuda, self.name = cuda, name

    def wait_stream(self, other: _Stream) -> None:
        self.cuda.waits.append((self.name, other.name))


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
