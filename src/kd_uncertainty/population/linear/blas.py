"""Matrix products in which a row of the result depends on its own row alone, to the last bit.

BLAS computes tiles, and tiles at an edge may round differently from tiles inside; which rows those are depends on the
number of rows and of threads. So rows go through in blocks of one fixed size, on one BLAS thread. That an equal row
then gives equal bits at every place of a block is probed once for each shape; a library that fails the probe is asked
for one row at a time, which is slower and sure.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from threadpoolctl import LibController, ThreadpoolController  # type: ignore[import-untyped]

from kd_uncertainty.population.linear.contract import Floats

BLOCK = 192
"""Rows of a block: a multiple of the tile heights of common BLAS kernels (4, 6, 8, 16, 24, 48)."""


class _OneThread:
    """Counts who needs a single BLAS thread in numpy, since that setting belongs to the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._before: list[int] = []

    def enter(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._before = [library.num_threads for library in _libraries()]
                _set_threads([1] * len(self._before))
            self._depth += 1

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                _set_threads(self._before)


_one_thread = _OneThread()


@lru_cache(maxsize=1)
def _libraries() -> list[LibController]:
    """Return the BLAS libraries of the process; the search takes milliseconds."""
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(numbers: list[int]) -> None:
    """Set the threads of each library; threadpoolctl (3.8) reserves that to the thread that did it last."""
    for library, threads in zip(_libraries(), numbers, strict=True):
        release = getattr(library, "clear_controlling_thread", lambda force: None)
        release(force=True)
        library.set_num_threads(threads)
        release(force=True)


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the context, numpy and torch do linear algebra on one thread a call; contexts may nest and overlap."""
    _one_thread.enter()
    torch_threads = torch.get_num_threads()  # that setting belongs to each thread
    try:
        if torch_threads > 1:
            torch.set_num_threads(1)
        yield
    finally:
        if torch_threads > 1:
            torch.set_num_threads(torch_threads)
        _one_thread.leave()


def row_products(rows: Floats, matrix: Floats) -> Floats:
    """Return ``rows @ matrix``, (rows, outputs), each row's bits a pure function of that row and the matrix.

    Args:
        rows: (rows, inputs).
        matrix: (inputs, outputs).
    """
    matrix = np.ascontiguousarray(matrix)
    result = np.empty((len(rows), matrix.shape[1]))
    with one_blas_thread():
        uniform = _uniform(*matrix.shape)
        for top in range(0, len(rows), BLOCK):
            block = np.ascontiguousarray(rows[top : top + BLOCK])
            out = result[top : top + len(block)]
            if not uniform:
                for row, target in zip(block, out, strict=True):
                    np.matmul(row, matrix, out=target)
            elif len(block) == BLOCK:
                np.matmul(block, matrix, out=out)
            else:
                out[:] = (np.concatenate([block, np.zeros((BLOCK - len(block), len(matrix)))]) @ matrix)[: len(block)]
    return result


@lru_cache(maxsize=256)
def _uniform(inputs: int, outputs: int) -> bool:
    """Return whether a row gives the same bits at every place of a block of this shape."""
    row, matrix = np.sin(np.arange(1.0, inputs + 1)), np.cos(np.arange(1.0, inputs * outputs + 1))
    products = np.tile(row, (BLOCK, 1)) @ matrix.reshape(inputs, outputs)
    return bool((products == products[0]).all())
