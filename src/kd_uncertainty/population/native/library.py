"""The kernel's functions, callable from Python; arrays are handed over by address."""

from __future__ import annotations

import ctypes
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.counter import use_implementation
from kd_uncertainty.population.linear.noise import use_normals
from kd_uncertainty.population.native.build import BuildError, ensure_library

OPTIMISERS = {"sgd": 0, "adam": 1, "adamw": 2}
LOSSES = {"distillation": 0, "mse": 1}
INSTRUCTION_SETS = {1: "no vector instructions", 2: "AVX2", 3: "AVX-512"}

_int, _double, _address = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class Task(ctypes.Structure):
    """``kd_task`` of ``kernel/task.h``, field by field."""

    _fields_ = (
        *((name, _int) for name in ("students", "examples", "epoch_size", "row_epochs", "layers", "batch_size")),
        *((name, _int) for name in ("first_epoch", "last_epoch")),
        *((name, _address) for name in ("widths", "relu", "bias", "inputs", "labels", "values", "targets", "tables")),
        *((name, _address) for name in ("mixing", "mixing_after", "switch_step", "temperature", "order_seeds")),
        *((name, _address) for name in ("rows", "rates")),
        *((name, _double) for name in ("momentum", "beta1", "beta2", "epsilon", "weight_decay")),
        *((name, _int) for name in ("optimiser", "loss", "size", "slots")),
        *((name, _address) for name in ("state", "losses")),
        *((name, _int) for name in ("threads", "isa")),
    )


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL | str:
    """Return the library, or a clause that says why there is none; both are remembered for this process."""
    try:
        path = ensure_library()
        library = ctypes.CDLL(str(path))
        library.kd_best_isa.restype = ctypes.c_int64
        library.kd_train.argtypes = [ctypes.POINTER(Task)]
        library.kd_words.argtypes = [_address, _address, _int, ctypes.c_uint32, _int, _address, _int]
        library.kd_normals.argtypes = [_address, _int, ctypes.c_uint64, _int, _address, _int]
        library.kd_orders.argtypes = [_address, _int, ctypes.c_uint64, _int, _address, _int]
    except BuildError as error:
        return str(error)
    except (OSError, AttributeError) as error:
        return f"the compiled kernel cannot be loaded ({error}); delete {path.parent}"
    use_implementation(partial(_words, library), partial(_orders, library))  # the same bits, sooner
    use_normals(partial(_normals, library))
    return library


def obstacle() -> str | None:
    """Return None if the library is there (it is compiled now, if need be), else a clause that says why it is not."""
    library = _load()
    return library if isinstance(library, str) else None


def instruction_set() -> str:
    """Return the best vector instructions of this machine that the kernel knows, by name."""
    return INSTRUCTION_SETS[int(_library().kd_best_isa())]


def train(task: Task) -> None:
    """Train a cohort in place; see ``kernel/task.h``. Python's global lock is released meanwhile.

    Raises:
        UserError: if there is not enough memory.
        ValueError: if the machine has not the instructions asked for.
    """
    result = _library().kd_train(ctypes.byref(task))
    if result == 1:
        raise UserError("the native kernel runs out of memory; lower execution.workers or students.training.batch_size")
    if result:
        raise ValueError(f"this machine has no {INSTRUCTION_SETS[task.isa]}")


def _words(
    library: ctypes.CDLL, seeds: NDArray[np.uint64], streams: NDArray[np.uint64], purpose: int, count: int
) -> NDArray[np.uint32]:
    seeds, streams = np.ascontiguousarray(seeds, np.uint64), np.ascontiguousarray(streams, np.uint64)
    result = np.empty((len(seeds), count), dtype=np.uint32)
    _check(library.kd_words(_at(seeds), _at(streams), len(seeds), purpose, count, _at(result), 1))
    return result


def _orders(library: ctypes.CDLL, seeds: NDArray[np.uint64], epoch: int, count: int) -> NDArray[np.int64]:
    seeds = np.ascontiguousarray(seeds, np.uint64)
    result = np.empty((len(seeds), count), dtype=np.int64)
    _check(library.kd_orders(_at(seeds), len(seeds), epoch, count, _at(result), 1))
    return result


def _normals(library: ctypes.CDLL, seeds: NDArray[np.uint64], stream: int, out: NDArray[np.float64]) -> None:
    _check(library.kd_normals(_at(seeds), len(seeds), stream, out.shape[1], _at(out), 1))


def _library() -> ctypes.CDLL:
    library = _load()
    if isinstance(library, str):
        raise UserError(f"students.backend: native cannot train these students: {library}; use auto or loop")
    return library


def _check(result: int) -> None:
    if result:
        raise MemoryError("the native kernel runs out of memory")


def _at(array: NDArray[Any]) -> int:
    return array.ctypes.data
